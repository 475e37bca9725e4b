"""Imported keys whose variable is gone: kept and named, removed only on demand; live overrides end (M-10)."""

# ruff: noqa: F401, F811 - fixtures come by import and are used by name

import io

from django.core.management import call_command

from keys.importing import import_keys
from keys.models import ProviderKey
from tests.test_importing import catalog, openai, plain


def test_a_variable_that_is_gone_leaves_its_key_until_it_is_pruned(openai):
    import_keys({"OPENAI_API_KEY": "a", "OPENAI_API_KEY_1": "b"})
    report = import_keys({})
    assert (report.wrote, plain()) == (False, ["a", "b"])
    assert report.kept == ["OPENAI_API_KEY (openai)", "OPENAI_API_KEY_1 (openai)"]
    report = import_keys({}, prune=True)
    assert (report.removed, report.kept) == (["OPENAI_API_KEY (openai)", "OPENAI_API_KEY_1 (openai)"], [])
    assert not ProviderKey.objects.exists()


def test_a_kept_key_comes_after_those_of_the_environment(openai):
    import_keys({"OPENAI_API_KEY": "a"})
    assert import_keys({"OPENAI_API_KEY_1": "b"}).removed == []
    assert plain() == ["b", "a"]
    assert not import_keys({"OPENAI_API_KEY_1": "b"}).wrote


def test_m10_a_live_override_ends_with_its_variable(openai):
    import_keys({"OPENAI_API_KEY": "a", "JACKFIELD_LIVE_OPENAI_KEY": "forced"})
    report = import_keys({})
    assert plain() == ["a"]
    assert report.removed == ["JACKFIELD_LIVE_OPENAI_KEY (openai)"]
    assert report.kept == ["OPENAI_API_KEY (openai)"]


def test_the_command_names_what_it_keeps_and_removes(openai, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEYS", "sk-first-canary,sk-second-canary")
    call_command("import_keys", stdout=io.StringIO())
    monkeypatch.delenv("OPENAI_API_KEYS")
    out = io.StringIO()
    call_command("import_keys", stdout=out)
    assert "kept though OPENAI_API_KEYS is not set; --prune removes it" in out.getvalue()
    call_command("import_keys", "--prune", stdout=out)
    assert out.getvalue().count("- OPENAI_API_KEYS (openai)") == 2
