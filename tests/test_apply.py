"""`manage.py apply`: a document becomes rows, all of it in one revision, or is refused with every problem named."""

from __future__ import annotations

import io
import re
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from keys.models import KeySet, Project, ProviderKey
from keys.vault import bound, entry, open_key
from providers.models import Account, Provider
from routing.applying import Outcome, Refused, apply
from routing.document import state
from routing.loading import load_catalog
from routing.models import Alias, PrefixRule, PublicModel, Revision, Route
from routing.revisions import latest

pytestmark = pytest.mark.django_db
SECRET = "sk-replay-secret-0123456789-canary"
EXAMPLE = """
[[provider]]            # only to add or override; the catalog's are there
id = "replay"
family = "openai-completions"
base_url = "http://127.0.0.1:9100/v1"
credential = "bearer"
[[account]]
name = "replay"
provider = "replay"
private_network = true
variables = {}                  # what the URL template and the credential need: region, resource, api_version, ...
timeouts = { connect = 5, first_byte = 60, gap = 90, total = 1800 }   # seconds, all optional
keys = ["env:REPLAY_KEY"]
[[model]]
name = "gpt-best"
service = "text"
routes = [{ account = "replay", model = "gpt-4o-2024-08-06", priority = 0, weight = 1 }]
[[project]]
name = "demo"
default_model = "gpt-best"
preferred = ["gpt-best"]
allow = ["*"]
"""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLAY_KEY", SECRET)


def refused(text: str) -> list[str]:
    """The problems of a document that must be refused, and that nothing of it stayed."""
    before, revision = state(), latest()
    with pytest.raises(Refused) as error:
        apply(text)
    assert (state(), latest()) == (before, revision)
    return error.value.problems


def run(*args: str, **options: Any) -> str:
    out = StringIO()
    call_command("apply", *args, stdout=out, **options)
    return out.getvalue()


def opened(row: ProviderKey) -> str:
    return open_key(entry(row), bound(row.key_set)).reveal()


def test_the_documented_example_becomes_rows_in_one_signed_revision() -> None:
    outcome = apply(EXAMPLE, author="ada", note="c.toml")
    revision = Revision.objects.get(number=outcome.revision)
    assert (revision.author_name, revision.note, Revision.objects.count()) == ("ada", "c.toml", 1)
    account = Account.objects.get(name="replay")
    assert account.private_network
    assert account.timeouts == {"connect": 5, "first_byte": 60, "gap": 90, "total": 1800}
    assert Route.objects.get().upstream_model == "gpt-4o-2024-08-06"
    preference = Project.objects.get(name="demo").preference
    assert (preference.default_model, preference.preferred, preference.allow) == ("gpt-best", ["gpt-best"], ["*"])
    key = ProviderKey.objects.get()
    assert (key.source, opened(key)) == ("env:REPLAY_KEY", SECRET)


def examples_of_the_manual(settings: Any) -> list[str]:
    """Two recipes, then one example for each table."""
    text = (settings.BASE_DIR / "docs" / "configuration.md").read_text()
    found = [block for block in re.findall(r"```toml\n(.*?)```", text, re.S) if block.startswith("[[")]
    assert len(found) == 9
    return found


def test_the_examples_of_the_manual_can_be_applied(
    monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path
) -> None:
    spare = tmp_path / "spare"
    spare.write_text("house-spare-0123456789")
    for name in ("HOUSE_KEY", "RESEARCH_KEY"):
        monkeypatch.setenv(name, f"{name}-0123456789")
    load_catalog()
    reference = "\n".join(examples_of_the_manual(settings)[2:])
    outcome = apply(reference.replace("/run/secrets/house-spare", str(spare)))
    assert outcome.notes == ['model "gpt-best" -> openai/gpt-4o-2024-08-06: account openai has no key.']


def test_the_recipes_of_the_manual_can_be_applied(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    monkeypatch.setenv("HOUSE_KEY", "HOUSE_KEY-0123456789")
    load_catalog()
    for recipe in examples_of_the_manual(settings)[:2]:
        assert apply(recipe).notes == []


def test_a_second_application_changes_nothing_and_makes_no_revision() -> None:
    first = apply(EXAMPLE)
    assert apply(EXAMPLE) == Outcome([], [], 0)
    assert latest() == first.revision


def test_a_document_touches_only_what_it_names() -> None:
    apply(EXAMPLE)
    Account.objects.filter(name="replay").update(timeouts={"gap": 7}, enabled=False)
    apply('[[account]]\nname = "replay"\nenabled = true\n')
    account = Account.objects.get(name="replay")
    assert (account.enabled, account.timeouts, account.private_network) == (True, {"gap": 7}, True)
    assert ProviderKey.objects.count() == Route.objects.count() == 1


def test_a_repatched_route_stays_the_same_row(world: Any) -> None:
    first, second = world.account("first"), world.account("second")
    model = world.model("m", (first, "x"))
    kept = model.routes.get()
    apply('[[model]]\nname = "m"\nroutes = [{ account = "second", model = "y" }]\n')
    assert [(row.pk, row.account, row.upstream_model) for row in model.routes.all()] == [(kept.pk, second, "y")]


def test_routes_are_replaced_as_a_whole_and_matched_by_account_and_model(world: Any) -> None:
    account = world.account("a")
    model = world.model("m", (account, "x"), (account, "y"), (account, "z"))
    ids = {row.upstream_model: row.pk for row in model.routes.all()}
    lines = ", ".join(f'{{ account = "a", model = "{name}", priority = {n} }}' for n, name in enumerate(("z", "x")))
    apply(f'[[model]]\nname = "m"\nroutes = [{lines}]\n')
    assert [(row.upstream_model, row.priority, row.pk) for row in model.routes.order_by("priority")] == [
        ("z", 0, ids["z"]),
        ("x", 1, ids["x"]),
    ]


def test_a_repatched_model_of_the_catalog_stays_repatched_when_the_catalog_is_loaded_again() -> None:
    load_catalog()
    apply('[[model]]\nname = "openai"\nroutes = [{ account = "sandbox", model = "echo" }]\n')
    load_catalog()
    route = Route.objects.get(model__name="openai")
    assert (route.account.name, route.upstream_model, route.key_set) == ("sandbox", "echo", None)


def test_every_problem_is_reported_at_once_with_its_place() -> None:
    load_catalog()
    problems = refused(
        """
        [[account]]
        name = "mine"
        provider = "opnai"
        [[model]]
        name = "fine"
        routes = [{ account = "sandbox", model = "echo" }]
        [[model]]
        name = "other"
        routes = [{ account = "sandbox", model = "echo" }, { account = "Azure (Micely)", model = "m", family = "opn" }]
        [[alias]]
        name = "short"
        model = "fin"
        """
    )
    assert problems == [
        '[[account]] 1 "mine": there is no provider "opnai"; did you mean "openai"?',
        '[[model]] 2 "other", routes 2: there is no account "Azure (Micely)"; did you mean "Azure (Myceli)"?',
        '[[model]] 2 "other", routes 2: family: "opn" is not known.',
        '[[alias]] 1 "short": there is no model "fin"; did you mean "fine"?',
    ]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[[modle]]\nname = 'x'", ["no table [[modle]]", 'did you mean "model"']),
        ("[model]\nname = 'x'", ["[[model]] with two brackets"]),
        ("[[model]]\nnme = 'x'", ['no field "nme"', 'did you mean "name"', '"name" is missing']),
        ("[[model]]\nname = 'bad name'", ["bad name", "A model name starts with"]),
        ("[[model]]\nname = '<script>'", ["A model name starts with"]),
        ("[[model]]\nname = 'm'\nservice = 'txt'", ['service is "txt"', 'did you mean "text"']),
        ("[[model]]\nname = 'm'\nenabled = 'yes'", ["enabled: expected true or false, got text"]),
        ("[[model]]\nname = 'm'\n[[model]]\nname = 'm'", ['same row as [[model]] 1 "m"']),
        ("[[model]]\nname = 'm'\nabsent = true\nservice = 'text'", ["absent = true", "service"]),
        ("[[model]]\nname = 'm'\nroutes = [{ account = 'a', model = 'b', weight = -1 }]", ["routes 1: weight"]),
        ("[[model]]\nname = 'm'\nroutes = [{ account = 'a', model = 'b', quirks = { at = 2025-01-01 } }]", ["a date"]),
        ("[[model]]\nname = 'm'\nroutes = [{ account = 'a', model = 'b', quirks = { x = nan } }]", ["finite"]),
        ("[[account]]\nname = 'a'\ntimeouts = { conect = 3 }", ["timeouts", 'did you mean "connect"']),
        ("[[account]]\nname = 'a'\ntimeouts = { connect = 0 }", ["timeouts: connect"]),
        ("[[account]]\nname = 'a'\nvariables = { Region = 'x' }", ['"Region" is no variable name']),
        ("[[account]]\nname = 'a'\ndescription = \"\\u0000\"", ["no field"]),
        ("[[project]]\nname = 'a'\ndescription = \"\\u0007\"", ["control characters"]),
        ("[[provider]]\nid = 'p'", ['"family" is missing']),
        ("[[provider]]\nid = 'p'\nfamily = 'opnai-completions'", ['did you mean "openai-completions"']),
        ("[[provider]]\nid = 'p'\nfamily = 'openai-completions'\nbase_url = 'ftp://x'", ["https:// or http://"]),
        (
            "[[provider]]\nid = 'p'\nfamily = 'openai-completions'\nbase_url = 'https://u:p@x'",
            ["user name or password"],
        ),
        ("[[provider]]\nid = 'p'\nfamily = 'openai-completions'\ncredential = 'bear'", ['did you mean "bearer"']),
        ("[[account]]\nname = 'a'", ['"provider" is missing']),
        ("[[alias]]\nname = 'a'", ['"model" is missing']),
        ("[[prefix]]\nprefix = 'a'", ['"provider" is missing']),
        ("name = \n", ["This is not TOML", "line 1"]),
        ("[[model]]\nname = 'auto'", ["'auto' cannot be the name of a public model"]),
        ("[[model]]\nname = 'm'\n[[alias]]\nname = 'm'\nmodel = 'm'", ["'m' is a public model and also an alias"]),
    ],
)
def test_a_bad_document_is_refused_with_the_way_out(text: str, parts: list[str]) -> None:
    problems = "\n".join(refused(text))
    for part in parts:
        assert part in problems


def test_a_snapshot_that_would_be_refused_is_not_saved(world: Any) -> None:
    world.model("taken", (world.account(), "x"))
    assert any(
        "also the name of a public model" in line or "also an alias" in line
        for line in refused('[[model]]\nname = "m"\n[[alias]]\nname = "taken"\nmodel = "m"\n')
    )


def test_what_could_not_serve_yet_is_told_and_not_refused() -> None:
    load_catalog()
    outcome = apply(
        '[[model]]\nname = "m"\nroutes = [{ account = "openai", model = "x" }]\n'
        '[[project]]\nname = "p"\npreferred = ["n", "m", "openai/gpt-4o"]\n'
    )
    assert outcome.notes == [
        'model "m" -> openai/x: account openai has no key.',
        'project "p" prefers "n", which is no model.',
    ]


# --- removal ---------------------------------------------------------------------------------------------


def test_absent_rows_go_and_their_absence_is_no_error() -> None:
    apply(EXAMPLE + '[[alias]]\nname = "n"\nmodel = "gpt-best"\n[[prefix]]\nprefix = "r-"\nprovider = "replay"\n')
    gone = "".join(
        f"[[{table}]]\n{key} = '{name}'\nabsent = true\n"
        for table, key, name in (
            ("provider", "id", "replay"),
            ("account", "name", "replay"),
            ("model", "name", "gpt-best"),
            ("alias", "name", "n"),
            ("prefix", "prefix", "r-"),
            ("project", "name", "demo"),
        )
    )
    apply(gone)
    for model in (Provider, Account, PublicModel, Alias, PrefixRule, Project, KeySet, ProviderKey, Route):
        assert not model.objects.exists()
    assert apply(gone).revision == 0


def test_an_account_that_is_still_used_is_not_removed() -> None:
    apply(EXAMPLE)
    assert refused('[[account]]\nname = "replay"\nabsent = true\n') == [
        '[[account]] 1 "replay": it is still used by gpt-best -> replay / gpt-4o-2024-08-06; '
        "re-patch or remove those first."
    ]
    moved = '[[model]]\nname = "gpt-best"\nroutes = []\n[[account]]\nname = "replay"\nabsent = true\n'
    assert apply(moved).revision


# --- the command -----------------------------------------------------------------------------------------


def test_the_command_prints_a_stable_diff_without_colours_and_signs_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(EXAMPLE)
    text = run(str(path), author="ada")
    assert text.splitlines() == [
        '+ provider "replay"',
        '    + family = "openai-completions"',
        '    + base_url = "http://127.0.0.1:9100/v1"',
        '+ account "replay"',
        '    + provider = "replay"',
        "    + private_network = true",
        "    + timeouts = { connect = 5, first_byte = 60, gap = 90, total = 1800 }",
        "    + keys",
        '        + "env:REPLAY_KEY"',
        '+ model "gpt-best"',
        "    + routes",
        '        + { account = "replay", model = "gpt-4o-2024-08-06", priority = 0, weight = 1 }',
        '+ project "demo"',
        '    + default_model = "gpt-best"',
        "    + preferred",
        '        + "gpt-best"',
        "    + allow",
        '        + "*"',
        f"revision {latest()}",
    ]
    revision = Revision.objects.get()
    assert (revision.author_name, revision.note) == ("ada", "apply c.toml")
    path.write_text(EXAMPLE.replace("gpt-4o-2024-08-06", "gpt-5").replace("gap = 90", "gap = 30"))
    assert run(str(path)).splitlines()[:-1] == [
        '~ account "replay"',
        "    ~ timeouts: { connect = 5, first_byte = 60, gap = 90, total = 1800 } -> "
        "{ connect = 5, first_byte = 60, gap = 30, total = 1800 }",
        '~ model "gpt-best"',
        "    ~ routes",
        '        - { account = "replay", model = "gpt-4o-2024-08-06", priority = 0, weight = 1 }',
        '        + { account = "replay", model = "gpt-5", priority = 0, weight = 1 }',
    ]
    assert run(str(path)) == "no changes\n"


def test_a_dry_run_prints_the_same_diff_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(EXAMPLE)
    before = state()
    dry = run(str(path), "--dry-run").splitlines()
    assert (state(), latest(), Revision.objects.count()) == (before, 0, 0)
    assert dry[-1] == "dry run: nothing was changed"
    assert run(str(path)).splitlines()[:-1] == dry[:-1]


def test_a_document_comes_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stdin:
        buffer = io.BytesIO(EXAMPLE.encode())

    monkeypatch.setattr(sys, "stdin", Stdin())
    run("-")
    assert Revision.objects.get().note == "apply standard input"


def test_no_secret_is_in_what_an_application_prints_or_records(tmp_path: Path, capfd: Any) -> None:
    path = tmp_path / "c.toml"
    path.write_text(EXAMPLE)
    text = run(str(path)) + str(Revision.objects.values_list("changes", flat=True)) + "".join(capfd.readouterr())
    assert SECRET not in text and SECRET[-6:] not in text


def test_the_command_refuses_with_all_problems_and_says_that_nothing_changed(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("[[model]]\nnme = 'x'\n")
    with pytest.raises(CommandError) as error:
        run(str(path))
    assert str(error.value).startswith("c.toml is refused, nothing was changed (2 problems):\n  [[model]] 1:")
    with pytest.raises(CommandError, match="cannot be read: No such file"):
        run(str(tmp_path / "lost.toml"))
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(CommandError, match="is not UTF-8 text"):
        run(str(path))
