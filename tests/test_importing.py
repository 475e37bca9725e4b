"""Keys from the environment: which variables, in which order, sealed, never shown (M-08 to M-11, A-03 to A-18)."""

import io
import json

import msgspec
import pytest
from django.core.management import call_command
from django.db.models.signals import post_save

from keys import vault
from keys.environment import Asked, keys_of_provider
from keys.importing import import_keys
from keys.models import KeySet, ProviderKey
from providers.catalog.forms import Catalog, CatalogAccount, CatalogKeySet, CatalogProvider, CatalogVariable
from providers.models import Account, Provider
from providers.secrets import Secret
from routing.models import Revision


def provider(slug, *, prefix="", env_keys=(), base_url="https://api.example.com/v1", **values):
    row = Provider.objects.create(
        slug=slug,
        name=slug,
        family="openai-completions",
        base_url=base_url,
        env_prefix=prefix,
        env_keys=list(env_keys),
        **values,
    )
    Account.objects.create(name=slug, provider=row)
    return row


@pytest.fixture(autouse=True)
def catalog(monkeypatch):
    """A catalog of the providers as these tests first make them, at the accounts that there are."""
    known = {}

    def remember(sender, instance, created, **_):
        if created:
            known[instance.slug] = CatalogProvider(
                id=instance.slug,
                name=instance.name,
                family=instance.family,
                base_url=instance.base_url,
                variables=msgspec.convert(instance.variables, tuple[CatalogVariable, ...]),
                credential=instance.credential,
                env_keys=tuple(instance.env_keys),
                env_prefix=instance.env_prefix,
                capabilities=(),
            )

    def shipped():
        accounts = tuple(
            CatalogAccount(
                name=account.name,
                provider=account.provider.slug,
                env_pattern=account.env_pattern,
                variables=account.catalog.get("variables", {}),
                key_sets=tuple(
                    CatalogKeySet(name=key_set.name, env_pattern=key_set.env_pattern)
                    for key_set in account.key_sets.all()
                ),
            )
            for account in Account.objects.all()
        )
        return Catalog(tuple(known.values()), accounts, (), (), ())

    post_save.connect(remember, sender=Provider)
    monkeypatch.setattr("keys.importing.load", shipped)
    yield
    post_save.disconnect(remember, sender=Provider)


def plain(account="openai", key_set="default"):
    """The stored keys in the order they are tried, opened."""
    rows = ProviderKey.objects.filter(key_set__account__name=account, key_set__name=key_set)
    bound_to = vault.bound(KeySet.objects.get(account__name=account, name=key_set))
    return [vault.open_key(vault.entry(row), bound_to).reveal() for row in rows.order_by("position")]


@pytest.fixture
def openai(db):
    return provider("openai", prefix="OPENAI", env_keys=["OPENAI_API_KEY"])


class TestOrder:
    def order(self, environ, slug="openai", prefix="OPENAI", env_keys=("OPENAI_API_KEY",), credential="bearer"):
        asked = Asked(slug, prefix, tuple(env_keys), credential, {})
        return [(item.name, item.secret.reveal()) for item in keys_of_provider(asked, environ)]

    def test_m08_list_then_primary_then_numbered(self):
        environ = {
            "OPENAI_API_KEY_2": "n2",
            "OPENAI_API_KEY": "primary",
            "OPENAI_API_KEYS": "l1, l2;l3",
            "OPENAI_API_KEY_1": "n1",
            "UNRELATED": "x",
        }
        assert [value for _, value in self.order(environ)] == ["l1", "l2", "l3", "primary", "n1", "n2"]

    def test_m10_live_override_comes_first_and_is_marked(self):
        environ = {"JACKFIELD_LIVE_OPENAI_KEY": "live", "OPENAI_API_KEY": "primary"}
        asked = Asked("openai", "OPENAI", ("OPENAI_API_KEY",), "bearer", {})
        assert [(item.secret.reveal(), item.live) for item in keys_of_provider(asked, environ)] == [
            ("live", True),
            ("primary", False),
        ]

    def test_a16_numbers_sort_as_numbers_and_names_after_them(self):
        environ = {f"OPENAI_API_KEY_{suffix}": suffix for suffix in ("10", "B", "2", "1", "A", "02x")}
        assert [value for _, value in self.order(environ)] == ["1", "2", "10", "02x", "A", "B"]

    def test_m09_google_takes_all_gemini_before_google(self):
        environ = {
            "GOOGLE_API_KEY": "google",
            "GEMINI_API_KEY_1": "n1",
            "GEMINI_API_KEY": "primary",
            "GEMINI_API_KEYS": "l1",
            "JACKFIELD_LIVE_GEMINI_KEY": "live",
        }
        found = self.order(environ, "google", "GEMINI", ("GEMINI_API_KEY", "GOOGLE_API_KEY"))
        assert [value for _, value in found] == ["live", "l1", "primary", "n1", "google"]
        swapped = self.order(environ, "google", "GEMINI", ("GOOGLE_API_KEY", "GEMINI_API_KEY"))
        assert swapped == found

    def test_m11_repetitions_keep_the_first_place_and_blanks_are_dropped(self):
        environ = {
            "OPENAI_API_KEYS": " a ,, b ;a",
            "OPENAI_API_KEY": " ",
            "OPENAI_API_KEY_1": "b\n",
            "OPENAI_API_KEY_2": "c",
        }
        assert self.order(environ) == [("OPENAI_API_KEYS", "a"), ("OPENAI_API_KEYS", "b"), ("OPENAI_API_KEY_2", "c")]

    def test_f24_a_repeated_key_still_knows_all_its_variables(self):
        """The environment must be rid of each of them once the key is sealed."""
        environ = {"OPENAI_API_KEYS": "a,b", "OPENAI_API_KEY": "a", "OPENAI_API_KEY_1": "b", "OPENAI_API_KEY_2": "a"}
        asked = Asked("openai", "OPENAI", ("OPENAI_API_KEY",), "bearer", {})
        found = keys_of_provider(asked, environ)
        assert [item.secret.reveal() for item in found] == ["a", "b"]
        assert {name for item in found for name in (item.name, *item.others)} == set(environ)

    def test_m20_several_variables_in_the_order_written(self):
        names = ("COPILOT_GITHUB_TOKEN", "GITHUB_COPILOT_API_KEY", "GH_TOKEN", "GITHUB_TOKEN")
        environ = {name: name.lower() for name in reversed(names)}
        found = self.order(environ, "github-copilot", "GITHUB_COPILOT", names)
        assert [name for name, _ in found] == list(names)

    def test_a15_bedrock_bearer_before_the_key_pair_in_one_document(self):
        names = ("AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        environ = {"AWS_ACCESS_KEY_ID": "AKIAX", "AWS_SECRET_ACCESS_KEY": "shh", "AWS_BEARER_TOKEN_BEDROCK": "bearer"}
        found = self.order(environ, "amazon-bedrock", "AWS", names, "sigv4")
        assert found[0] == ("AWS_BEARER_TOKEN_BEDROCK", "bearer")
        assert found[1][0] == "AWS_ACCESS_KEY_ID"
        assert json.loads(found[1][1]) == {"access_key_id": "AKIAX", "secret_access_key": "shh"}
        assert len(found) == 2
        environ["AWS_SESSION_TOKEN"] = "session"
        assert (
            json.loads(self.order(environ, "amazon-bedrock", "AWS", names, "sigv4")[1][1])["session_token"] == "session"
        )
        del environ["AWS_SECRET_ACCESS_KEY"]
        assert len(self.order(environ, "amazon-bedrock", "AWS", names, "sigv4")) == 1, "half a pair is no credential"

    def test_two_parts_of_sap_become_one_document(self):
        names = ("AICORE_SERVICE_KEY", "SAP_AI_CORE_CLIENT_ID", "SAP_AI_CORE_CLIENT_SECRET", "SAP_AI_CORE_TOKEN_URL")
        environ = {name: name.lower() for name in names[1:]}
        found = self.order(environ, "sap-ai-core", "SAP_AI_CORE", names, "oauth2-client")
        assert [name for name, _ in found] == ["SAP_AI_CORE_CLIENT_ID"]
        assert set(json.loads(found[0][1])) == {"client_id", "client_secret", "token_url"}

    def test_a_name_that_no_shell_can_export(self):
        assert self.order({"302AI_API_KEY": "k"}, "302ai", "302AI", ("302AI_API_KEY",)) == [("302AI_API_KEY", "k")]


class TestRows:
    def test_keys_are_sealed_under_their_names(self, openai):
        canary = "sk-import-canary-0123456789"
        report = import_keys({"OPENAI_API_KEY": canary})
        row = ProviderKey.objects.get()
        assert (row.source, row.last_four, row.key_set.name) == ("import:OPENAI_API_KEY", "6789", "default")
        assert canary.encode() not in bytes(row.sealed)
        assert plain() == [canary]
        assert report.added == ["OPENAI_API_KEY (openai)"]
        assert report.names == {"OPENAI_API_KEY"}
        assert canary not in repr(report)

    def test_a_second_run_writes_nothing(self, openai):
        environ = {"OPENAI_API_KEYS": "aaaa,bbbb", "JACKFIELD_LIVE_OPENAI_KEY": "cccc"}
        import_keys(environ)
        before, revisions = list(ProviderKey.objects.values()), Revision.objects.count()
        report = import_keys(environ)
        assert not report.wrote
        assert report.names == set(environ)
        assert list(ProviderKey.objects.values()) == before
        assert Revision.objects.count() == revisions

    def test_everything_of_one_run_is_one_revision_without_values(self, openai):
        provider("anthropic", prefix="ANTHROPIC", env_keys=["ANTHROPIC_API_KEY"])
        before = Revision.objects.count()
        import_keys({"OPENAI_API_KEYS": "sk-one-canary,sk-two-canary", "ANTHROPIC_API_KEY": "sk-three-canary"})
        revision = Revision.objects.order_by("number").last()
        assert Revision.objects.count() == before + 1
        assert revision.author_name == "import_keys"
        assert "canary" not in json.dumps(revision.changes)

    def test_a_variable_that_holds_another_key_replaces_its_own(self, openai):
        import_keys({"OPENAI_API_KEYS": "a,b,c"})
        report = import_keys({"OPENAI_API_KEYS": "a,c"})
        assert plain() == ["a", "c"]
        assert (report.removed, report.kept) == (["OPENAI_API_KEYS (openai)"], [])

    def test_a_moved_key_keeps_its_row(self, openai):
        import_keys({"OPENAI_API_KEYS": "a,b"})
        ids = set(ProviderKey.objects.values_list("id", flat=True))
        import_keys({"OPENAI_API_KEY": "b", "OPENAI_API_KEY_1": "a"})
        assert plain() == ["b", "a"]
        assert set(ProviderKey.objects.values_list("id", flat=True)) == ids
        assert set(ProviderKey.objects.values_list("source", flat=True)) == {
            "import:OPENAI_API_KEY",
            "import:OPENAI_API_KEY_1",
        }

    def test_keys_that_people_entered_are_never_touched(self, openai):
        account = Account.objects.get(name="openai")
        key_set = KeySet.objects.create(account=account)
        entered = vault.enter_key(key_set, Secret("entered-by-hand"))
        declared = vault.enter_key(key_set, Secret("from-a-document"), source="env:OPENAI_API_KEY")
        before = list(ProviderKey.objects.order_by("pk").values())
        import_keys({"OPENAI_API_KEY": "imported"})
        assert plain() == ["entered-by-hand", "from-a-document", "imported"]
        import_keys({}, prune=True)
        assert list(ProviderKey.objects.order_by("pk").values()) == before
        assert {entered.pk, declared.pk} == set(ProviderKey.objects.values_list("pk", flat=True))

    def test_a_value_that_is_no_key_is_refused_by_name(self, openai):
        report = import_keys({"OPENAI_API_KEY": "bad\x00canary", "OPENAI_API_KEY_1": "good"})
        assert plain() == ["good"]
        (line,) = report.refused
        assert line.startswith("OPENAI_API_KEY (openai):")
        assert "canary" not in line
        assert report.names == {"OPENAI_API_KEY_1"}


class TestOrigins:
    def test_whoever_changes_the_address_is_not_handed_the_key_at_the_next_start(self, openai):
        import_keys({"OPENAI_API_KEY": "sk-canary"})
        Account.objects.filter(name="openai").update(base_url="https://evil.example.com/v1")
        report = import_keys({"OPENAI_API_KEY": "sk-canary"})
        assert not report.wrote
        assert "--rebind" in report.refused[0]
        assert [failure.reason for failure in vault.check_all()] == ["moved"]
        report = import_keys({"OPENAI_API_KEY": "sk-canary"}, rebind=True)
        assert report.changed == ["OPENAI_API_KEY (openai)"]
        assert plain() == ["sk-canary"]
        assert vault.check_all() == []

    def test_a26_an_address_that_lacks_a_variable_takes_no_key(self, db):
        provider(
            "cloudy",
            prefix="CLOUDY",
            base_url="https://{region}.cloud.example/v1/{tenant}",
            variables=[{"name": "region", "env": ["CLOUDY_REGION"]}, {"name": "tenant", "env": []}],
        )
        report = import_keys({"CLOUDY_API_KEY": "k"})
        assert not ProviderKey.objects.exists()
        assert "variable" in report.refused[0]
        report = import_keys({"CLOUDY_API_KEY": "k", "CLOUDY_REGION": "eu"})
        assert plain("cloudy") == ["k"], "the path's variable does not matter"
        assert Account.objects.get(name="cloudy").variables == {"region": "eu"}
        assert vault.origin(KeySet.objects.get()) == "https://eu.cloud.example:443"

    def test_a_variable_that_appears_takes_imported_keys_along_but_not_entered_ones(self, db):
        row = provider(
            "cloudy",
            prefix="CLOUDY",
            base_url="https://{region}.cloud.example/v1",
            variables=[{"name": "region", "env": ["CLOUDY_REGION"], "default": "us"}],
        )
        import_keys({"CLOUDY_API_KEY": "k"})
        import_keys({"CLOUDY_API_KEY": "k", "CLOUDY_REGION": "eu"})
        assert plain("cloudy") == ["k"]
        assert vault.check_all() == []
        Account.objects.filter(provider=row).update(variables={})
        import_keys({}, prune=True)
        vault.enter_key(KeySet.objects.get(), Secret("by-hand"))
        report = import_keys({"CLOUDY_API_KEY": "k", "CLOUDY_REGION": "eu"})
        assert Account.objects.get(provider=row).variables == {}
        assert any("CLOUDY_REGION" in line for line in report.refused)
        assert plain("cloudy") == ["by-hand"], "the environment and the rows name different regions"
        import_keys({"CLOUDY_API_KEY": "k", "CLOUDY_REGION": "eu"}, rebind=True)
        assert plain("cloudy") == ["by-hand", "k"]


class TestPatterns:
    @pytest.fixture
    def azure(self, db):
        row = Provider.objects.create(
            slug="azure-openai",
            name="Azure",
            family="azure-openai",
            base_url="https://{resource}.{domain}/openai/deployments/{deployment}/x?api-version={api_version}",
            variables=[
                {"name": "resource", "env": ["AZURE_OPENAI_RESOURCE"]},
                {"name": "domain", "default": "openai.azure.com"},
                {"name": "deployment", "env": ["AZURE_OPENAI_DEPLOYMENT"]},
                {"name": "api_version", "env": ["AZURE_OPENAI_API_VERSION"], "default": "2024-02-15-preview"},
            ],
            env_keys=["AZURE_OPENAI_API_KEY"],
            env_prefix="AZURE_OPENAI",
        )
        first = Account.objects.create(name="Azure (Myceli)", provider=row, env_pattern="AZURE_MYCELI_*")
        second = Account.objects.create(name="Azure-2 (PointsFlyer)", provider=row, env_pattern="AZURE_PF_*")
        KeySet.objects.create(account=first, name="gpt5mini", env_pattern="AZURE_MYCELI_GPT5MINI_*")
        KeySet.objects.create(account=first, name="gpt52", env_pattern="AZURE_MYCELI_GPT52_*")
        KeySet.objects.create(account=second, name="gpt41", env_pattern="AZURE_PF_GPT41_*")

    def test_p07_each_family_of_variables_fills_its_own_set(self, azure):
        import_keys(
            {
                "AZURE_MYCELI_GPT5MINI_API_KEY": "mini",
                "AZURE_MYCELI_GPT5MINI_ENDPOINT": "https://mini-res.openai.azure.com/",
                "AZURE_MYCELI_GPT52_KEY": "five",
                "AZURE_MYCELI_GPT52_RESOURCE": "five-res",
                "AZURE_MYCELI_GPT52_API_VERSION": "2025-01-01",
                "AZURE_PF_GPT41_API_KEY": "pf",
                "AZURE_PF_GPT41_ENDPOINT": "pf.cognitiveservices.azure.com",
                "AZURE_OPENAI_API_KEY": "not-theirs",
            }
        )
        assert plain("Azure (Myceli)", "gpt5mini") == ["mini"]
        assert plain("Azure (Myceli)", "gpt52") == ["five"]
        assert plain("Azure-2 (PointsFlyer)", "gpt41") == ["pf"]
        origins = {key_set.name: vault.origin(key_set) for key_set in KeySet.objects.all()}
        assert origins == {
            "gpt5mini": "https://mini-res.openai.azure.com:443",
            "gpt52": "https://five-res.openai.azure.com:443",
            "gpt41": "https://pf.cognitiveservices.azure.com:443",
        }
        assert KeySet.objects.get(name="gpt52").variables == {"resource": "five-res", "api_version": "2025-01-01"}

    def test_p06_one_account_never_reads_the_others_variables(self, azure):
        import_keys({"AZURE_PF_GPT41_API_KEY": "pf", "AZURE_PF_GPT41_RESOURCE": "pf"})
        assert ProviderKey.objects.get().key_set.name == "gpt41"

    def test_every_part_of_a_credential_is_named_for_removal_from_the_environment(self, db):
        provider("amazon-bedrock", prefix="AWS", credential="sigv4")
        pair = {"AWS_ACCESS_KEY_ID": "AKIAX", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}
        assert import_keys({**pair, "AWS_OTHER": "x"}).names == set(pair)

    def test_a_region_an_operator_set_stays(self, db):
        row = Provider.objects.create(
            slug="amazon-bedrock",
            name="Bedrock",
            family="bedrock-converse",
            base_url="https://bedrock-runtime.{region}.amazonaws.com",
            variables=[{"name": "region", "env": ["AWS_REGION", "AWS_DEFAULT_REGION"], "default": "us-east-1"}],
            env_keys=["AWS_BEARER_TOKEN_BEDROCK"],
            credential="sigv4",
        )
        catalog = {"variables": {"region": "us-east-1"}}
        account = Account.objects.create(
            name="AWS", provider=row, env_pattern="AWS_*", variables={"region": "us-east-1"}, catalog=catalog
        )
        KeySet.objects.create(account=account, env_pattern="AWS_*")
        environ = {"AWS_BEARER_TOKEN_BEDROCK": "b", "AWS_REGION": "eu-west-1"}
        import_keys(environ)
        assert vault.origin(KeySet.objects.get()) == "https://bedrock-runtime.eu-west-1.amazonaws.com:443"
        assert plain("AWS") == ["b"]
        ProviderKey.objects.all().delete()
        KeySet.objects.update(variables={})
        account.variables = {"region": "ap-south-1"}
        account.save()
        assert "AWS_BEARER_TOKEN_BEDROCK" in import_keys(environ).refused[0]
        assert not ProviderKey.objects.exists()
        import_keys(environ, rebind=True)
        assert vault.origin(KeySet.objects.get()) == "https://bedrock-runtime.ap-south-1.amazonaws.com:443"


def test_the_command_prints_names_and_no_values(openai, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEYS", "sk-first-canary,sk-second-canary")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-broken\x01canary")
    out, err = io.StringIO(), io.StringIO()
    call_command("import_keys", stdout=out, stderr=err)
    assert out.getvalue().count("+ OPENAI_API_KEYS (openai)") == 2
    assert "! OPENAI_API_KEY (openai)" in err.getvalue()
    assert "canary" not in out.getvalue() + err.getvalue()
    out = io.StringIO()
    call_command("import_keys", stdout=out, stderr=err)
    assert "nothing to change" in out.getvalue()
