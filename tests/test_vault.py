"""Keys go in, are bound to where they may be sent, and never come out again (R-SEC-03, -04, -07, -08)."""

import copy
import io
import json
import pickle

import msgspec
import pytest
from django.core import serializers
from django.core.management import call_command
from django.db import connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from keys import origins, vault
from keys.models import KeySet, ProviderKey
from keys.pool import KeyPool
from keys.sealing import Unsealable
from keys.vault import BadKey
from providers.config import together
from providers.entries import AccountEntry, ProviderEntry, Timeouts, Variable
from providers.hosts import BadUrl, UnfilledVariable
from providers.models import Account, Provider
from providers.secrets import Secret
from routing.build import build
from routing.loading import load_catalog

CANARY = "sk-vault-canary-5b1f0c7e9a"


def reveal(row):
    row = ProviderKey.objects.get(pk=row.pk)
    return vault.open_key(vault.entry(row), vault.bound(row.key_set)).reveal()


@pytest.fixture
def account(world):
    return world.account("up", "https://up.example/v1")


@pytest.fixture
def key_set(world, account):
    return world.keys(account)


def test_a_key_is_stored_sealed_and_shown_by_four_digits(key_set):
    row = vault.enter_key(key_set, Secret(f"  {CANARY}\n"))
    assert reveal(row) == CANARY
    shown = f"{row} {row!r} {serializers.serialize('json', [row])} {vault.entry(row)!r}"
    assert CANARY not in shown
    assert (row.last_four, len(row.fingerprint)) == ("0c7e9a"[-4:], 12)


def test_the_fingerprint_does_not_test_a_guess(key_set, settings, tmp_path):
    """It is of a keyed MAC: the same key has another one in another installation."""
    import hashlib

    from keys import ring as rings

    here = vault.fingerprint(Secret(CANARY))
    assert here == vault.fingerprint(Secret(CANARY))
    assert here not in (hashlib.sha256(CANARY.encode()).hexdigest(), hashlib.sha1(CANARY.encode()).hexdigest())
    settings.RING_FILE = tmp_path / "ring.json"
    rings.create(settings.RING_FILE)
    assert vault.fingerprint(Secret(CANARY)) != here


@pytest.mark.parametrize(("text", "shown"), [("short-key", ""), ("x" * 15, ""), ("x" * 12 + "abcd", "abcd")])
def test_a_short_key_shows_nothing_of_itself(key_set, text, shown):
    assert vault.enter_key(key_set, Secret(text)).last_four == shown


def test_a_credential_in_parts_shows_its_name_part(key_set):
    document = json.dumps({"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": CANARY})
    row = vault.enter_key(key_set, Secret(document))
    assert row.last_four == "MPLE"
    assert reveal(row) == document


@pytest.mark.parametrize(
    "text", ["", "  \n", "a\nb", "a\r\nHost: evil", "a\0b", "schlüssel", "x" * 20_000, "{broken", "{}x"]
)
def test_what_cannot_be_a_key_is_refused_without_being_quoted(key_set, text):
    with pytest.raises(BadKey) as caught:
        vault.enter_key(key_set, Secret(text))
    assert not text.strip() or text not in str(caught.value)
    assert not ProviderKey.objects.exists()


def test_positions_follow_the_order_of_entry(key_set):
    rows = [vault.enter_key(key_set, Secret(f"key-{number}")) for number in range(3)]
    assert [row.position for row in rows] == [0, 1, 2]


def test_replacing_keeps_the_row_and_changes_the_rest(key_set):
    row = vault.enter_key(key_set, Secret(CANARY))
    before = (row.pk, row.fingerprint, bytes(row.sealed))
    vault.replace_key(row, Secret("another-key-entirely"))
    assert reveal(row) == "another-key-entirely"
    assert row.pk == before[0]
    assert row.fingerprint != before[1]
    assert row.rotated_at is not None


def test_a_form_opened_before_a_replacement_does_not_bring_the_old_key_back(key_set):
    row = vault.enter_key(key_set, Secret(CANARY))
    stale = ProviderKey.objects.get(pk=row.pk)
    vault.replace_key(row, Secret("another-key-entirely"))
    stale.enabled = False
    stale.save()
    assert reveal(row) == "another-key-entirely"
    assert not ProviderKey.objects.get(pk=row.pk).enabled


class TestDestination:
    """G2: a stored key is only ever sent to the origin it was entered for."""

    @pytest.fixture
    def row(self, key_set):
        return vault.enter_key(key_set, Secret(CANARY))

    @pytest.mark.parametrize(
        "url",
        [
            "https://evil.example/v1",
            "http://up.example/v1",
            "https://up.example:8443/v1",
            "https://up.example.evil.example/v1",
            "https://up.example@evil.example/v1",
            "https://sub.up.example/v1",
        ],
    )
    def test_another_origin_closes_it(self, account, row, url):
        Account.objects.filter(pk=account.pk).update(base_url=url)
        with pytest.raises((Unsealable, BadUrl)):
            reveal(row)
        (failure,) = vault.check_all()
        assert (failure.key_id, failure.account, failure.reason in ("moved", "no-origin")) == (str(row.pk), "up", True)

    @pytest.mark.parametrize("url", ["https://UP.example/v2", "https://up.example:443/other", "https://up.example./v1"])
    def test_another_path_does_not(self, account, row, url):
        Account.objects.filter(pk=account.pk).update(base_url=url)
        assert reveal(row) == CANARY

    def test_it_opens_again_when_the_origin_is_put_back(self, account, row):
        Account.objects.filter(pk=account.pk).update(base_url="https://evil.example")
        Account.objects.filter(pk=account.pk).update(base_url="https://up.example")
        assert reveal(row) == CANARY

    def test_the_providers_address_counts_where_the_account_has_none(self, world):
        provider = world.provider(
            "other", base_url="https://{region}.one.example/{path}", variables=[{"name": "region"}]
        )
        account = world.account("other", "", provider=provider, variables={"region": "eu"})
        row = vault.enter_key(world.keys(account), Secret(CANARY))
        assert vault.origin(row.key_set) == "https://eu.one.example:443"
        Account.objects.filter(pk=account.pk).update(variables={"region": "us"})
        with pytest.raises(Unsealable):
            reveal(row)

    def test_moving_a_key_to_another_accounts_set_closes_it(self, world, row):
        other = world.keys(world.account("two", "https://two.example"))
        ProviderKey.objects.filter(pk=row.pk).update(key_set=other)
        with pytest.raises(Unsealable):
            reveal(row)

    def test_f25_a_projects_key_serves_nobody_else_whatever_the_rows_say(self, world, account):
        """G2: by SQL a project's key is put into the shared set, its set is given to all, to another, to an account."""
        mine = world.project("mine")
        row = vault.enter_key(world.keys(account, project=mine), Secret(CANARY))
        assert reveal(row) == CANARY
        shared, other = world.keys(account), world.project("other")
        same_host = world.account("three", account.base_url)
        for table, column, value, pk in [
            ("keys_providerkey", "key_set_id", shared.pk, row.pk if connection.vendor == "postgresql" else row.pk.hex),
            ("keys_keyset", "project_id", other.pk, row.key_set_id),
            ("keys_keyset", "account_id", same_host.pk, row.key_set_id),
        ]:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(f"UPDATE {table} SET {column} = %s WHERE id = %s", [value, pk])
                assert cursor.rowcount == 1
                with pytest.raises(Unsealable, match="moved"):
                    reveal(row)
                assert [failure.reason for failure in vault.check_all()] == ["moved"]
                transaction.set_rollback(True)
        assert reveal(row) == CANARY

    def test_f25_the_snapshot_and_its_pool_know_it_too(self, world, account):
        row = vault.enter_key(world.keys(account, project=world.project("mine")), Secret(CANARY))
        pool = KeyPool()
        sets = build().key_sets[account.pk]
        (candidate,) = pool.candidates(sets, row.key_set.project_id)
        assert pool.lease(candidate).secret.reveal() == CANARY
        moved = tuple(msgspec.structs.replace(entry, project_id=None) for entry in sets)
        (candidate,) = pool.candidates(moved, 999)
        with pytest.raises(Unsealable, match="moved"):
            pool.lease(candidate)

    def test_swapping_two_seals_closes_both(self, key_set, row):
        other = vault.enter_key(key_set, Secret("the-other-key"))
        first, second = bytes(row.sealed), bytes(other.sealed)
        for target, sealed in ((row, second), (other, first)):
            target.sealed = sealed
            target.save(update_fields=["sealed"])
        assert {failure.key_id for failure in vault.check_all()} == {str(row.pk), str(other.pk)}

    def test_an_unfilled_host_takes_no_key_and_names_the_variable(self, world):
        account = world.account("cloudy", "https://{resource}.cloud.example/v1")
        with pytest.raises(UnfilledVariable, match="resource"):
            vault.enter_key(world.keys(account), Secret(CANARY))
        assert not ProviderKey.objects.exists()


def test_r_sec_08_a_ring_that_does_not_fit_is_told_from_a_key_that_moved(world, settings, tmp_path):
    from keys import ring as rings

    account = world.account("up", "https://up.example", keys=("one-key", "two-key"))
    assert vault.ring_problem() == ""
    Account.objects.filter(pk=account.pk).update(base_url="https://evil.example")
    assert vault.ring_problem() == "", "a moved key is that key's trouble"
    Account.objects.filter(pk=account.pk).update(base_url="https://up.example")
    settings.RING_FILE = tmp_path / "ring.json"
    rings.create(settings.RING_FILE)
    assert "2 stored key(s)" in vault.ring_problem()
    assert {failure.reason for failure in vault.check_all()} == {"unknown-key"}


# --- origins --------------------------------------------------------------------------------------------------------


def entries(base_url, families=None, account_url="", variables=None, defaults=None, account_family=""):
    provider = ProviderEntry(
        slug="p", name="p", family="openai-completions", families=families or {}, base_url=base_url,
        variables=tuple(Variable(name, (), value) for name, value in (defaults or {}).items()), credential="bearer",
        credential_name="", env_keys=(), aliases=(), capabilities=(), streaming=True, keyless=False, quirks={},
        enabled=True, deferred_to="", deferred_reason="",
    )  # fmt: skip
    account = AccountEntry(
        id=1, name="a", provider="p", family=account_family, base_url=account_url, variables=variables or {},
        private_network=False, timeouts=Timeouts(), enabled=True,
    )  # fmt: skip
    return provider, account


def test_a_provider_of_several_hosts_binds_to_all_of_them():
    provider, account = entries("https://b.example/v1", {"anthropic-messages": "https://a.example:8443/x"})
    bound = origins.origin(provider, account, {})
    assert bound == "https://a.example:8443 https://b.example:443"
    assert origins.allows(bound, "https://b.example/anything")
    assert origins.allows(bound, "https://a.example:8443/")
    for other in ("https://a.example/", "http://b.example/", "https://c.example/", "nonsense", ""):
        assert not origins.allows(bound, other)


def test_a_route_may_name_another_region_of_the_same_vendor_and_no_other_host():
    provider, account = entries("https://{location}-ai.vendor.example/v1", defaults={"location": "us"})
    bound = origins.origin(provider, account, {})
    assert bound == "https://*-ai.vendor.example:443 https://us-ai.vendor.example:443"
    assert origins.allows(bound, "https://europe-west1-ai.vendor.example/v1/x")
    for other in (
        "https://ai.vendor.example/",
        "https://-ai.vendor.example/",
        "https://a.b-ai.vendor.example/",
        "https://evil.example/?-ai.vendor.example",
        "https://evil.example#-ai.vendor.example:443",
        "http://us-ai.vendor.example/",
        "https://us-ai.vendor.example:444/",
        "https://us-ai.vendor.example.evil.example/",
    ):
        assert not origins.allows(bound, other), other


def test_an_accounts_own_address_is_the_only_one():
    provider, account = entries("https://b.example", {"x": "https://a.example"}, "https://own.example/v1")
    assert origins.origin(provider, account, {}) == "https://own.example:443"


def test_a_whole_url_in_a_variable_gives_the_origin():
    provider, account = entries("{service_url}/v2", variables={"service_url": "https://x.example:9/a/b"})
    assert origins.origin(provider, account, {}) == "https://x.example:9"


@pytest.mark.parametrize("url", ["", "up.example/v1", "ftp://up.example", "https://user:pw@up.example/", "https://"])
def test_an_address_without_an_origin_is_refused(url):
    with pytest.raises(BadUrl):
        origins.origin(*entries(url), {})


@pytest.mark.django_db
@pytest.mark.parametrize("layer", ["default", "account", "set"])
def test_the_admins_and_the_snapshots_idea_of_the_origin_are_one(layer):
    template = "https://{region}.p.example/v1"
    families = {"anthropic-messages": "https://{region}.q.example", "openai-responses": "https://{unknown}.r.example"}
    defaults = {"region": "default"}
    variables = {"region": "account"} if layer != "default" else {}
    own = {"region": "set"} if layer == "set" else {}
    provider = Provider.objects.create(
        slug="p", name="p", family="openai-completions", base_url=template, families=families,
        variables=[{"name": "region", "default": "default"}],
    )  # fmt: skip
    account = Account.objects.create(name="a", provider=provider, variables=variables)
    key_set = KeySet.objects.create(account=account, variables=own)
    frozen = origins.origin(*entries(template, families, variables=variables, defaults=defaults), own)
    assert vault.origin(key_set) == frozen == f"https://{layer}.p.example:443 https://{layer}.q.example:443"


@pytest.mark.django_db
def test_the_two_agree_on_every_key_set_of_the_catalog():
    """As shipped, and with a value for each variable of each account."""
    load_catalog()
    asked = [name for row in Provider.objects.all() for name in (item["name"] for item in row.variables)]
    filled = {name: f"https://{name}.example" if name.endswith("url") else "value" for name in asked}
    seen: set[bool] = set()
    for variables in ({}, filled):
        with together():
            for account in Account.objects.all():
                account.variables = {**account.variables, **variables}
                account.save(update_fields=["variables"])
        entries = [entry for sets in build().key_sets.values() for entry in sets]
        rows = KeySet.objects.select_related("account__provider").in_bulk()
        assert len(entries) == len(rows) > 80
        for entry in entries:
            try:
                bound = vault.origin(rows[entry.id])
            except BadUrl:
                bound = ""
            assert entry.origin == bound, rows[entry.id]
            seen.add(bool(bound))
    assert seen == {True, False}


# --- the type -------------------------------------------------------------------------------------------------------


@given(st.text(min_size=5))
def test_r_sec_09_a_secret_shows_and_copies_nothing(text):
    secret = Secret("canary:" + text)
    shown = f"{secret} {secret!r} {secret:>40} %s %r {[secret]} {(secret,)!r}" % (secret, secret)
    assert "canary" not in shown
    for spread in (copy.copy, copy.deepcopy, pickle.dumps, json.dumps):
        with pytest.raises(TypeError):
            spread(secret)
    assert secret != Secret("canary:" + text), "comparison tells nothing"
    assert secret.reveal() == "canary:" + text


def test_no_output_of_rotation_holds_a_key(key_set, settings, tmp_path):
    vault.enter_key(key_set, Secret(CANARY))
    out = io.StringIO()
    call_command("rotate_ring", "--status", stdout=out, stderr=out)
    assert CANARY not in out.getvalue()
