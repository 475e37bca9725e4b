"""`manage.py explain` tells every candidate, every dropped one and why."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from keys import vault
from keys.models import KeySet
from providers.models import Account, CatalogModel
from providers.secrets import Secret
from routing.models import Alias, PublicModel

pytestmark = pytest.mark.django_db


@pytest.fixture
def panel(world):
    first = world.account("one", "https://one.example/v1", keys=("sk-canary-000000000000",), timeouts={"total": 7})
    second = world.account("two", "https://{region}.example/v1")
    shut = world.account("shut", enabled=False)
    world.model(
        "gpt-best",
        (first, "gpt-4o"),
        (second, "gpt-4o-mini"),
        (shut, "x"),
        (first, "old", {"enabled": False}),
    )
    CatalogModel.objects.create(provider=world.provider(), model="gpt-4o", price_input=2_500_000)
    Alias.objects.create(name="best", model=PublicModel.objects.get())
    world.project("demo")
    world.project("small", allow=["other"])
    return world


def run(*arguments: str) -> str:
    """What the command prints. It ends with 1 exactly where nothing could serve."""
    out, code = StringIO(), 0
    try:
        call_command("explain", *arguments, stdout=out)
    except SystemExit as end:
        code = end.code
    text = out.getvalue()
    if "--json" in arguments:
        assert code == (0 if any(not place["problems"] for place in json.loads(text)["candidates"]) else 1)
    return text


def test_json_holds_candidates_and_dropped(panel):
    found = json.loads(run("best", "--project", "demo", "--json"))
    assert (found["meaning"], found["identity"], found["error"]) == ("alias of gpt-best", "gpt-best", None)
    (place,) = found["candidates"]
    assert (place["account"], place["upstream_model"], place["keys"]) == ("one", "gpt-4o", 1)
    assert place["base_url"] == "https://one.example/v1" and place["timeouts"]["total"] == 7
    assert place["prices"]["price_input"] == 2_500_000 and place["prices"]["price_output"] is None
    assert {(d["what"], d["reason"]) for d in found["dropped"]} == {
        ("shut/x", "account shut is switched off"),
        ("one/old", "the route is switched off"),
        ("two/gpt-4o-mini", "account two has no key"),
    }


def test_text_says_the_same(panel):
    text = run("gpt-best")
    for part in (
        "public model",
        "1. one / gpt-4o",
        "https://one.example/v1",
        "total 7 s",
        "input $2.5",
        "output unknown",
        "dropped two/gpt-4o-mini: account two has no key",
        "dropped shut/x: account shut is switched off",
    ):
        assert part in text
    assert "canary" not in text


def test_without_any_key_the_candidates_stay_and_say_what_they_lack(panel, world):
    world.model("poor", (world.account("bare", "https://{region}.example/v1"), "m"))
    (place,) = json.loads(run("poor", "--json"))["candidates"]
    assert place["problems"] == ["account bare has no key", "account bare lacks the variable 'region'"]


def test_a_refusal_is_told_not_raised(panel):
    found = json.loads(run("gpt-bes", "--json"))
    assert found["error"]["code"] == "model_not_found" and "gpt-best" in found["error"]["suggestions"]
    found = json.loads(run("best", "--project", "small", "--json"))
    assert found["error"]["code"] == "model_not_allowed" and found["candidates"] == []
    assert "refused with model_not_allowed" in run("best", "--project", "small")
    assert json.loads(run("auto", "--project", "demo", "--json"))["error"]["code"] == "auto_not_configured"


def test_auto_without_a_project_says_how_to_name_one(panel):
    assert "name one with --project" in run("auto")
    assert "name one with --project" not in run("auto", "--project", "demo")


def test_an_address_that_nothing_is_sent_to_cannot_serve(panel, world):
    world.model("plain", (world.account("plain", "http://127.0.0.1:9/v1", keys=("sk-canary-0000000000e1",)), "m"))
    (place,) = json.loads(run("plain", "--json"))["candidates"]
    assert place["problems"] == [
        "account plain: nothing is sent to http://127.0.0.1:9/v1 while the account's private_network is off "
        "(HTTPS only)"
    ]


def test_an_unknown_project_is_an_error(panel):
    with pytest.raises(CommandError, match="nobody"):
        run("best", "--project", "nobody")


def test_r_sec_04_keys_that_moved_are_not_counted(panel, world):
    """A key that does not open for the present address serves nobody; the page and the command say so."""
    account = Account.objects.get(name="one")
    world.keys(account, "sk-canary-000000000001")
    Account.objects.filter(pk=account.pk).update(base_url="https://moved.example/v1")
    place = json.loads(run("best", "--json"))["candidates"][0]
    assert place["account"] == "one"
    assert place["keys"] == 0
    assert "account one has no key that opens: 2 keys must be entered again (moved)" in place["problems"]
    world.keys(account, "sk-canary-000000000002")
    (place,) = json.loads(run("best", "--json"))["candidates"]
    assert (place["keys"], place["keys_to_enter_again"], place["problems"]) == (1, {"moved": 2}, [])
    assert "2 keys must be entered again (moved)" in run("best")


def test_m08_m11_r37_the_keys_of_a_request_are_counted_and_no_other(panel, world):
    """The route's set or the default one, the project's own first, equal keys once, a live override alone."""
    account = Account.objects.get(name="one")
    world.keys(account, "sk-canary-000000000000", "sk-canary-000000000009")
    world.keys(account, "sk-canary-0000000000a1", name="spare")
    world.keys(account, "sk-canary-0000000000b1", project=world.project("demo"))
    world.keys(account, "sk-canary-0000000000c1", project=world.project("other"))

    def keys(*arguments: str) -> int:
        return json.loads(run("best", *arguments, "--json"))["candidates"][0]["keys"]

    assert keys() == 2
    assert keys("--project", "demo") == 3
    vault.enter_key(KeySet.objects.get(account=account, name="default", project=None), Secret("sk-live-1"), live=True)
    assert keys("--project", "demo") == 1


def test_p07_the_url_is_that_of_the_set_in_use(panel, world):
    account = world.account("cloudy", "https://{region}.example/v1")
    spare = KeySet.objects.create(account=account, name="spare", variables={"region": "eu"})
    KeySet.objects.create(account=account, name="default", variables={"region": "us"})
    vault.enter_key(spare, Secret("sk-canary-0000000000d1"))
    world.model("cloud", (account, "m", {"key_set": spare}))
    (place,) = json.loads(run("cloud", "--json"))["candidates"]
    assert (place["base_url"], place["keys"]) == ("https://eu.example/v1", 1)
