"""The ring of master keys: what is refused, what is derived, how it changes (R-SEC-02, R-SEC-05)."""

import base64
import copy
import hashlib
import json
import os
import pickle
import secrets
import stat
import threading

import pytest

from keys import ring as rings
from keys import rotation
from keys.ring import BadRing, Purpose, Ring, State, UnknownKey


def key(key_id="k1", state="primary", secret=None):
    raw = secrets.token_bytes(32) if secret is None else secret
    text = base64.b64encode(raw).decode() if isinstance(raw, bytes) else raw
    return {"id": key_id, "secret": text, "state": state, "created": "2026-01-01T00:00:00+00:00"}


def document(*keys, root=None):
    return {"version": 1, "root": root or {"secret": key()["secret"], "created": ""}, "keys": list(keys or [key()])}


@pytest.fixture
def path(tmp_path, settings):
    settings.RING_FILE = tmp_path / "ring.json"
    yield settings.RING_FILE
    rings.forget()


def write(path, content, mode=0o600):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    path.chmod(mode)
    return path


def test_created_ring_is_private_and_random(path):
    ring = rings.create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(ring.states.values()) == [State.PRIMARY]
    assert rings.create(path).primary == ring.primary, "an existing ring is kept"
    assert [item.name for item in path.parent.iterdir()] == ["ring.json"], "no draft is left"


def test_processes_that_start_together_share_one_ring(path):
    made, gate = [], threading.Barrier(8)

    def start():
        gate.wait()
        made.append(rings.create(path).derive(Purpose.TOKEN))

    threads = [threading.Thread(target=start) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(set(made)) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o777])
def test_a_ring_others_can_read_or_write_is_refused(path, mode):
    write(path, document(), mode)
    with pytest.raises(BadRing, match="chmod 600"):
        Ring.load(path)


SEQUENCE = bytes(range(32))
BAD = {
    "missing": (None, "rotate_ring --init"),
    "empty": ("", "empty"),
    "not json": ("{", "not JSON"),
    "another version": ({"version": 2, "keys": []}, "version"),
    "no keys": ({"version": 1, "root": {"secret": key()["secret"]}, "keys": []}, "0 primary"),
    "no root": ({"version": 1, "keys": [key()]}, "root"),
    "two primaries": (document(key("a"), key("b")), "2 primary"),
    "short": (document(key(secret=secrets.token_bytes(31))), "31 bytes"),
    "long": (document(key(secret=secrets.token_bytes(33))), "33 bytes"),
    "no base64": (document(key(secret="*" * 44)), "base64"),
    "zeros": (document(key(secret=bytes(32))), "not random"),
    "a sequence": (document(key(secret=SEQUENCE)), "not random"),
    "a repeated half": (document(key(secret=secrets.token_bytes(16) * 2)), "not random"),
    "typed text": (document(key(secret=b"correct horse battery staple 123")), "not random"),
    "a hashed word": (document(key(secret=hashlib.sha256(b"password").digest())), "not random"),
    "unknown state": (document(key(state="secondary")), "state"),
    "bad id": (document(key(key_id="K 1")), "id"),
    "repeated id": (document(key("a"), key("a", "added")), "two keys"),
}


@pytest.mark.parametrize("case", BAD)
def test_an_unfit_ring_is_refused_with_a_reason_and_no_key(path, case):
    content, reason = BAD[case]
    if content is not None:
        write(path, content)
    with pytest.raises(BadRing, match=reason) as caught:
        Ring.load(path)
    if isinstance(content, dict):
        assert not any(item["secret"] in str(caught.value) for item in content["keys"])


def test_a_repeated_secret_is_refused(path):
    same = secrets.token_bytes(32)
    with pytest.raises(BadRing, match="repeats"):
        Ring(document(key("a", secret=same), key("b", "added", secret=same)))
    with pytest.raises(BadRing, match="repeats"):
        Ring(document(key("a", secret=same), root=key(secret=same)))


def test_every_purpose_and_every_key_gives_another_key():
    ring = Ring(document(key("a"), key("b", "decrypt-only")))
    derived = [ring.derive(purpose, key_id) for purpose in rings.SEALING for key_id in ("a", "b")]
    derived += [ring.derive(purpose) for purpose in Purpose if purpose not in rings.SEALING]
    assert len(set(derived)) == len(derived) == 12
    assert all(len(item) == 32 for item in derived)


def test_a_disabled_or_unknown_key_derives_nothing():
    ring = Ring(document(key("a"), key("b", "disabled")))
    for key_id in ("b", "c"):
        with pytest.raises(UnknownKey):
            ring.derive(Purpose.CREDENTIAL, key_id)


def test_the_ring_shows_and_copies_nothing():
    content = document()
    ring = Ring(content)
    assert content["keys"][0]["secret"] not in f"{ring!r} {ring} {vars(type(ring))}"
    for spread in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            spread(ring)


def test_a_ring_comes_from_a_descriptor_too(settings):
    reader, writer = os.pipe()
    content = document()
    os.write(writer, json.dumps(content).encode())
    os.close(writer)
    settings.RING_FILE = f"/dev/fd/{reader}"
    try:
        first = rings.current()
        assert rings.reload() is first, "a pipe is read once"
        with pytest.raises(BadRing, match="cannot be written"):
            rings.change(rings.Path(settings.RING_FILE), rotation.add)
    finally:
        os.close(reader)
        rings.forget()


def test_a_changed_file_is_seen(path):
    rings.create(path)
    before = rings.current()
    rings.change(path, rotation.add)
    assert before.primary == rings.current().primary
    assert list(rings.current().states.values()) == [State.PRIMARY, State.ADDED]


def test_another_processes_change_is_seen_at_the_next_look(path):
    rings.create(path)
    old = rings.current()
    other = document(key("other"))
    draft = write(path.with_name("draft"), other)
    draft.replace(path)
    assert rings.current() is old, "within a second nothing is looked up"
    assert rings.reload().primary == "other"


def test_a_ring_file_that_is_gone_or_bad_for_a_while_leaves_the_ring_in_use(path, monkeypatch, caplog):
    rings.create(path)
    old = rings.current()
    monkeypatch.setattr(rings, "_LOOK_EVERY", 0.0)
    aside = path.rename(path.with_name("aside"))
    monkeypatch.setattr(rings._loaded, "look_again", 0.0)
    assert rings.current() is old and rings.current() is old
    assert "there is no ring" in rings.problem()
    write(path, {"version": 1})
    assert rings.current() is old
    assert "JSON object" in rings.problem()
    assert len([record for record in caplog.records if record.name == "keys.ring"]) == 2, "told once each"
    with pytest.raises(BadRing):
        rings.reload()
    aside.replace(path)
    assert list(rings.current().states) == list(old.states)
    assert rings.problem() == ""


def test_states_go_added_primary_decrypt_only(path):
    rings.create(path)
    with pytest.raises(BadRing, match="no added key"):
        rings.change(path, rotation.promote)
    rings.change(path, rotation.add)
    tokens_before = rings.current().derive(Purpose.TOKEN)
    ring = rings.change(path, rotation.promote)
    assert list(ring.states.values()) == [State.DECRYPT_ONLY, State.PRIMARY]
    assert rings.current().derive(Purpose.TOKEN) == tokens_before, "the root does not rotate"


def test_a_change_that_would_break_the_ring_is_not_written(path):
    rings.create(path)
    before = path.read_bytes()
    with pytest.raises(BadRing):
        rings.change(path, lambda content: content["keys"].clear())
    assert path.read_bytes() == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
