"""Which key serves: order, rotation, resting, and keys that do not open."""

import pytest

from keys.cooling import LONGEST, MOST, Cooling
from keys.missing import missing_key_message
from keys.order import in_order
from keys.pool import KeyPool
from keys.sealing import Unsealable
from providers.entries import ProviderEntry
from tests.pools import Clock, key, key_set, texts


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def pool(clock):
    return KeyPool(clock)


class TestOrder:
    def test_r37_a_projects_own_keys_come_before_the_shared_ones(self, pool):
        sets = (key_set(1, key("s1"), key("s2")), key_set(2, key("own"), project=7))
        assert texts(pool, sets, 7) == ["own", "s1", "s2"]
        assert texts(pool, sets, 8) == ["s1", "s2"]
        assert texts(pool, sets, None) == ["s1", "s2"]

    def test_f25_no_project_ever_gets_anothers_keys(self, pool):
        sets = (key_set(1, key("a"), project=1), key_set(2, key("b"), project=2, name="other"))
        assert texts(pool, sets, 1) == ["a"]
        assert texts(pool, sets, 3) == []
        assert texts(pool, sets, 1, 2) == ["a"], "not even where a route names that set"
        assert texts(pool, sets, None, 2) == []

    def test_m10_a_live_override_is_the_only_candidate(self, pool):
        sets = (key_set(1, key("l", live=True), key("s")), key_set(2, key("own"), project=7))
        assert texts(pool, sets, 7) == ["l"]
        assert texts(pool, sets, 8) == ["l"]

    def test_a_disabled_live_override_overrides_nothing(self, pool):
        assert texts(pool, (key_set(1, key("l", live=True, enabled=False), key("s")),)) == ["s"]

    def test_m11_of_two_equal_keys_the_first_counts(self, pool):
        sets = (key_set(1, key("a"), key("b"), key("a")), key_set(2, key("b"), project=7))
        assert texts(pool, sets) == ["a", "b"]
        assert texts(pool, sets, 7) == ["b", "a"]

    def test_disabled_keys_are_no_candidates(self, pool):
        assert texts(pool, (key_set(1, key("a", enabled=False), key("b")),)) == ["b"]

    def test_p07_the_set_a_route_names_and_no_other_shared_one(self, pool):
        sets = (key_set(1, key("mini"), name="gpt5mini"), key_set(2, key("five"), name="gpt52"))
        assert texts(pool, sets, None, 2) == ["five"]
        assert texts(pool, sets, None, 1) == ["mini"]
        assert texts(pool, sets) == [], "with several and no default there is none to take by itself"
        assert texts(pool, sets[:1]) == ["mini"], "the only one is the account's"
        assert texts(pool, sets, None, 99) == []

    def test_a_projects_set_of_the_routes_name_comes_before_its_default(self, pool):
        sets = (
            key_set(1, key("shared"), name="gpt52"),
            key_set(2, key("default"), project=7),
            key_set(3, key("named"), project=7, name="gpt52"),
        )
        assert texts(pool, sets, 7, 1) == ["named", "default", "shared"]

    def test_the_order_is_remembered_per_snapshot_and_project(self, pool):
        sets = (key_set(1, key("a")), key_set(2, key("own"), project=7))
        assert pool.candidates(sets, 7) is pool.candidates(sets, 7)
        assert pool.candidates(sets, 7) == in_order(sets, 7, None)
        other = (key_set(1, key("b")),)
        assert texts(pool, other, 7) == ["b"]


class TestResting:
    def test_a_limited_key_rests_as_long_as_it_was_told(self, pool, clock):
        sets = (key_set(1, key("a"), key("b")),)
        first = pool.candidates(sets, None)[0].key
        pool.cool(first.fingerprint, 20)
        assert pool.is_cool(first.fingerprint)
        assert texts(pool, sets) == ["b"]
        clock.now += 19.9
        assert texts(pool, sets) == ["b"]
        clock.now += 0.2
        assert not pool.is_cool(first.fingerprint)
        assert texts(pool, sets) == ["a", "b"]

    def test_all_resting_says_how_long_and_offers_nothing(self, pool, clock):
        sets = (key_set(1, key("a"), key("b")),)
        for candidate, seconds in zip(pool.candidates(sets, None), (30, 12), strict=True):
            pool.cool(candidate.key.fingerprint, seconds)
        assert pool.candidates(sets, None) == []
        assert pool.wait(sets, None) == 12
        clock.now += 12
        assert pool.wait(sets, None) == 0
        assert texts(pool, sets) == ["b"]

    def test_m18_no_key_at_all_is_not_a_wait(self, pool):
        assert pool.candidates((), None) == []
        assert pool.wait((), None) is None

    def test_a_shorter_rest_does_not_end_a_longer_one(self, clock):
        cooling = Cooling(clock)
        cooling.cool("a" * 12, 60)
        cooling.cool("a" * 12, 1)
        assert cooling.remaining("a" * 12) == 60

    @pytest.mark.parametrize("seconds", [0, -5, float("nan"), float("inf"), float("-inf")])
    def test_nonsense_rests_nobody(self, clock, seconds):
        cooling = Cooling(clock)
        cooling.cool("a" * 12, seconds)
        assert not cooling.is_cool("a" * 12)

    def test_no_upstream_takes_a_key_out_for_longer_than_a_day(self, clock):
        cooling = Cooling(clock)
        cooling.cool("a" * 12, 1e9)
        assert cooling.remaining("a" * 12) == LONGEST

    def test_memory_is_bounded(self, clock):
        cooling = Cooling(clock)
        for number in range(MOST + 500):
            cooling.cool(f"{number:012x}", 100 + number / 100)
        assert len(cooling) <= MOST
        assert len(cooling.outbox) <= 1024
        assert cooling.is_cool(f"{MOST + 499:012x}")


class TestOpening:
    def test_a_key_that_does_not_open_is_skipped_and_listed(self, pool):
        bad = key("bad", origin="https://evil.example.com:443")
        sets = (key_set(1, bad, key("good")),)
        first = pool.candidates(sets, None)[0]
        with pytest.raises(Unsealable):
            pool.lease(first)
        assert pool.undecryptable == {bad.id: "moved"}
        assert texts(pool, sets) == ["good"]
        with pytest.raises(Unsealable):
            pool.lease(first)

    def test_a_key_is_usable_again_when_the_ring_has_been_put_right(self, pool, clock, monkeypatch):
        from keys import pool as module

        sets, real = (key_set(1, key("a")),), module.open_key

        def broken(*_):
            raise Unsealable("unknown-key")

        monkeypatch.setattr(module, "open_key", broken)
        with pytest.raises(Unsealable):
            pool.lease(pool.candidates(sets, None)[0])
        monkeypatch.setattr(module, "open_key", real)
        assert pool.candidates(sets, None) == []
        clock.now += 16
        assert texts(pool, sets) == ["a"]
        assert pool.undecryptable == {}

    def test_a_changed_origin_closes_a_key_that_was_open(self, pool):
        entry = key("a")
        assert texts(pool, (key_set(1, entry),)) == ["a"]
        moved = (key_set(1, entry, origin="https://evil.example.com:443"),)
        with pytest.raises(Unsealable):
            pool.lease(pool.candidates(moved, None)[0])
        assert pool.wait(moved, None) is None

    def test_the_seal_of_another_key_in_this_row_does_not_pass(self, pool):
        """An older seal of the same row, put back, is told by the fingerprint beside it."""
        entry = key("new", fingerprint="0" * 12)
        with pytest.raises(Unsealable) as caught:
            pool.lease(pool.candidates((key_set(1, entry),), None)[0])
        assert caught.value.reason == "mismatch"

    def test_a_key_is_opened_once(self, pool, monkeypatch):
        sets = (key_set(1, key("a")),)
        candidate = pool.candidates(sets, None)[0]
        first = pool.lease(candidate).secret
        monkeypatch.setattr("keys.pool.open_key", None)
        assert pool.lease(candidate).secret is first

    def test_a_key_that_left_the_configuration_leaves_memory(self, pool):
        gone, stays = key("gone"), key("stays")
        sets = (key_set(1, gone, stays),)
        assert texts(pool, sets) == ["gone", "stays"]
        assert pool.check((key_set(1, stays),)) == {}
        assert [identity[0] for identity in pool._opened] == [stays.id]

    def test_check_opens_all_and_names_those_that_need_to_be_entered_again(self, pool):
        bad = key("bad", origin="http://api.example.com:80")
        assert pool.check((key_set(1, bad, key("a")), key_set(2, key("b")))) == {bad.id: "moved"}
        assert pool.undecryptable == {bad.id: "moved"}
        assert pool.check((key_set(1, key("a")),)) == {}
        assert pool.undecryptable == {}

    def test_nothing_shows_a_key(self, pool):
        sets = (key_set(1, key("sk-canary-in-the-pool")),)
        lease = pool.lease(pool.candidates(sets, None)[0])
        assert "canary" not in f"{lease} {lease!r} {pool._opened!r} {pool.__dict__!r}"


def test_f23_r39_the_missing_key_message():
    provider = ProviderEntry(
        slug="moonshotai", name="Moonshot AI", family="openai-completions", families={}, base_url="", variables=(),
        credential="bearer", credential_name="", env_keys=("MOONSHOT_API_KEY", "KIMI_API_KEY"), aliases=("kimi",),
        capabilities=(), streaming=True, keyless=False, quirks={}, enabled=True, deferred_to="", deferred_reason="",
    )  # fmt: skip
    message = missing_key_message(provider, "account 'moonshotai'")
    assert message.startswith("API key not configured for provider 'moonshotai'")
    where, first, second = (
        message.index(text) for text in ("account 'moonshotai'", "MOONSHOT_API_KEY", "KIMI_API_KEY")
    )
    assert where < first < second
