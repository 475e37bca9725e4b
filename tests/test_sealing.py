"""Seals: they hide, they notice every change, and they open in one place only (R-SEC-01 to R-SEC-04)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys import ring as rings
from keys import rotation, sealing
from keys.ring import SEALING, Purpose
from keys.sealing import Unsealable, Where
from providers.secrets import Secret

CANARY = "sk-canary-7f3a9c51d2e84b60"
HERE = Where(Purpose.CREDENTIAL, "keys_providerkey", "8a1f", "sealed", "https://api.example.com:443")
places = st.builds(Where, st.sampled_from(sorted(SEALING)), st.text(), st.text(), st.text(), st.text())


@pytest.fixture(autouse=True, scope="module")
def ring(tmp_path_factory):
    from django.test import override_settings

    path = tmp_path_factory.mktemp("ring") / "ring.json"
    with override_settings(RING_FILE=path):
        rings.forget()
        rings.create(path)
        yield path
    rings.forget()


def test_confidential():
    """The text is in no part of the seal, and no two seals of it are alike."""
    first, second = (sealing.seal(Secret(CANARY), HERE) for _ in range(2))
    assert CANARY.encode() not in first
    assert first != second
    assert not any(first[at : at + 8] in second for at in range(3 + first[2], len(first) - 8)), "fresh keys and nonces"
    assert sealing.open_(first, HERE).reveal() == CANARY


def test_integrity_any_flipped_byte():
    sealed = sealing.seal(Secret(CANARY), HERE)
    for at in range(len(sealed)):
        for bit in (1, 0x80):
            broken = bytearray(sealed)
            broken[at] ^= bit
            with pytest.raises(Unsealable):
                sealing.open_(bytes(broken), HERE)


def test_integrity_any_cut_or_addition():
    sealed = sealing.seal(Secret(CANARY), HERE)
    for end in range(len(sealed)):
        with pytest.raises(Unsealable):
            sealing.open_(sealed[:end], HERE)
    with pytest.raises(Unsealable):
        sealing.open_(sealed + b"\0", HERE)


@given(st.binary(max_size=300))
def test_integrity_anything_else(noise):
    with pytest.raises(Unsealable):
        sealing.open_(noise, HERE)
    with pytest.raises(Unsealable):
        sealing.open_(b"\x01\x01" + noise, HERE)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("purpose", Purpose.SNAPSHOT),
        ("table", "api_other"),
        ("row", "8a20"),
        ("field", "spare"),
        ("origin", "https://api.example.com:8443"),
        ("origin", "http://api.example.com:443"),
        ("origin", "https://evil.example.com:443"),
        ("origin", ""),
    ],
)
def test_move(field, value):
    sealed = sealing.seal(Secret(CANARY), HERE)
    with pytest.raises(Unsealable):
        sealing.open_(sealed, HERE._replace(**{field: value}))


@given(places, places)
def test_a_seal_opens_in_its_place_and_no_other(here, there):
    sealed = sealing.seal(Secret(CANARY), here)
    if here == there:
        assert sealing.open_(sealed, there).reveal() == CANARY
    else:
        with pytest.raises(Unsealable):
            sealing.open_(sealed, there)


@given(st.text(), st.text())
def test_places_whose_parts_join_alike_differ(left, right):
    """A boundary between two parts cannot be shifted."""
    sealed = sealing.seal(Secret(CANARY), HERE._replace(table=left + "x", row=right))
    with pytest.raises(Unsealable):
        sealing.open_(sealed, HERE._replace(table=left, row="x" + right))


@given(st.sampled_from(sorted(Purpose)), st.sampled_from(sorted(Purpose)), st.binary(max_size=64))
def test_purpose_x_is_rejected_by_every_purpose_y(made, used, data):
    """What one purpose made is worthless for each other one (R-SEC-02)."""
    if made not in SEALING:
        with pytest.raises(ValueError, match="seals nothing"):
            sealing.seal_blob(made, data)
        return
    sealed = sealing.seal_blob(made, data)
    if made == used:
        assert sealing.open_blob(used, sealed) == data
    else:
        with pytest.raises(Unsealable):
            sealing.open_blob(used, sealed)


@given(st.text())
def test_round_trip_of_any_text(text):
    assert sealing.open_(sealing.seal(Secret(text), HERE), HERE).reveal() == text


def test_a_grafted_wrapping_does_not_open():
    """The data key of one secret does not open the ciphertext of another."""
    one, two = sealing.seal(Secret("one"), HERE), sealing.seal(Secret("two"), HERE)
    cut = 3 + one[2] + 60
    with pytest.raises(Unsealable):
        sealing.open_(one[:cut] + two[cut:], HERE)


def test_rewrap_changes_the_wrapping_alone(ring):
    sealed = sealing.seal(Secret(CANARY), HERE)
    assert sealing.rewrap(sealed) == sealed
    rings.change(ring, lambda content: (rotation.add(content), rotation.promote(content)))
    assert sealing.open_(sealed, HERE).reveal() == CANARY, "the old key still opens"
    moved = sealing.rewrap(sealed)
    assert sealing.key_id_of(moved) == rings.current().primary != sealing.key_id_of(sealed)
    tail = len(CANARY) + 28
    assert moved[-tail:] == sealed[-tail:], "the ciphertext is the same"
    assert sealing.open_(moved, HERE).reveal() == CANARY


def test_restored_old_version_is_useless_once_its_ring_key_is_disabled(ring):
    """What the format allows: a backup of a seal ends with the ring key that wrapped it."""
    old = sealing.seal(Secret(CANARY), HERE)
    rings.change(ring, lambda content: (rotation.add(content), rotation.promote(content)))
    new = sealing.rewrap(old)

    def disable(content):
        for key in content["keys"]:
            if key["state"] == "decrypt-only":
                key["state"] = "disabled"

    rings.change(ring, disable)
    with pytest.raises(Unsealable) as caught:
        sealing.open_(old, HERE)
    assert caught.value.reason == "unknown-key"
    assert sealing.open_(new, HERE).reveal() == CANARY


def test_a_ring_key_of_the_same_id_and_another_secret_is_told_apart(ring):
    sealed = sealing.seal(Secret(CANARY), HERE)
    before = ring.read_text()

    def swap(content):
        content["keys"][-1]["secret"] = rings.fresh_key(rings.State.ADDED)["secret"]

    rings.change(ring, swap)
    with pytest.raises(Unsealable) as caught:
        sealing.open_(sealed, HERE)
    assert caught.value.reason == "wrong-key"
    draft = ring.with_name("draft")
    draft.write_text(before)
    draft.chmod(0o600)
    draft.replace(ring)
    rings.reload()
    assert sealing.open_(sealed, HERE).reveal() == CANARY


def test_errors_hold_no_secret():
    sealed = sealing.seal(Secret(CANARY), HERE)
    with pytest.raises(Unsealable) as caught:
        sealing.open_(sealed, HERE._replace(row="other"))
    assert CANARY not in f"{caught.value!r} {caught.value} {caught.value.__cause__!r}"
