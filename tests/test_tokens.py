"""Tokens: format, storage, one reveal, expiry, revocation, uniform failure (R-TOK-01, -02, -03, -06)."""

import hmac
import io
import re
import string
import time
import uuid
import zlib
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from keys import ring as rings
from keys import tokens
from keys.entries import TokenEntry
from keys.models import ApiToken, Project

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase


def entry(row):
    def seconds(at):
        return None if at is None else at.timestamp()

    return TokenEntry(
        id=str(row.pk),
        mac=bytes(row.mac),
        project_id=row.project_id,
        kind=row.kind,
        expires_at=seconds(row.expires_at),
        revoked_at=seconds(row.revoked_at),
    )


def stored(row):
    return ApiToken.objects.values_list(*tokens.TOKEN_FIELDS).get(pk=row.pk)


@pytest.fixture
def project(db):
    return Project.objects.create(name="alpha")


def number(text):
    value = 0
    for digit in text:
        value = value * 62 + ALPHABET.index(digit)
    return value


def test_format_is_checked_by_anyone_offline(project):
    """R-TOK-01: the pattern and the checksum are all a scanner needs."""
    seen = set()
    for kind in ("p", "a", "t"):
        _, text = tokens.issue(project, kind=kind)
        assert re.fullmatch(tokens.TOKEN_PATTERN, text)
        assert text.startswith(f"jf_{kind}")
        assert len(text) == 53
        assert number(text[-6:]) == zlib.crc32(text[:-6].encode())
        seen.add(text[4:-6])
    assert len(seen) == 3
    assert 62**43 > 2**256


@given(st.integers(min_value=3, max_value=52), st.sampled_from(ALPHABET))
def test_a_mistyped_token_is_refused_before_any_look_up(at, digit):
    body = "jf_p" + "0aZ" * 14 + "x"
    text = body + tokens._checksum(body)
    assert tokens.mac(text) is not None
    wrong = text[:at] + digit + text[at + 1 :]
    if wrong != text:
        assert tokens.mac(wrong) is None


@given(st.text(max_size=80))
def test_no_other_text_is_a_token(text):
    assert tokens.mac(text) is None
    assert tokens.mac("jf_p" + text) is None


@pytest.mark.parametrize("extra", ["\n", " ", "\0", "é"])
def test_nothing_may_stand_around_a_token(project, extra):
    _, text = tokens.issue(project)
    assert tokens.mac(text + extra) is None
    assert tokens.mac(extra + text) is None


def test_the_database_holds_a_mac_and_four_digits_only(project):
    """R-TOK-02: whoever reads the table has no token, and no plain hash to test guesses with."""
    row, text = tokens.issue(project, name="ci")
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM keys_apitoken")
        dump = repr([[bytes(v) if isinstance(v, memoryview) else v for v in line] for line in cursor.fetchall()])
    assert text not in dump
    assert text[4:12] not in dump
    assert row.last_four == text[-4:]
    assert len(bytes(row.mac)) == 32
    assert text not in f"{row} {row!r} {row.__dict__}"


def test_a_token_lives_until_it_expires_or_is_revoked(project):
    now = time.time()
    row, text = tokens.issue(project, expires_at=timezone.now() + timedelta(hours=1))
    table = {bytes(row.mac): entry(row)}
    found = tokens.authenticate(table, text, now)
    assert found is not None
    assert found.id == str(row.pk)
    assert tokens.authenticate(table, text, now + 3601) is None
    tokens.revoke(row)
    table = {bytes(row.mac): entry(row)}
    assert tokens.authenticate(table, text, now) is None


def test_failures_are_one_answer(project):
    """R-TOK-06: malformed, unknown, revoked and expired are told apart by nobody."""
    revoked, revoked_text = tokens.issue(project)
    tokens.revoke(revoked)
    expiring, expired_text = tokens.issue(project, expires_at=timezone.now() + timedelta(seconds=5))
    table = {bytes(row.mac): entry(row) for row in (revoked, expiring)}
    unknown = tokens.issue(project)[1]
    later = time.time() + 10
    assert {tokens.authenticate(table, text, later) for text in (revoked_text, expired_text, unknown, "nonsense")} == {
        None
    }


def test_every_failure_takes_the_same_steps(project, monkeypatch):
    """R-TOK-06: one MAC and one comparison in constant time, for unknown, revoked, expired and malformed."""
    rows = [tokens.issue(project, expires_at=timezone.now() + timedelta(seconds=5)) for _ in range(3)]
    tokens.revoke(rows[1][0])
    table = {bytes(row.mac): entry(row) for row, _ in rows[:2]}
    steps = []
    real_digest, real_compare = tokens.hmac.digest, tokens.hmac.compare_digest

    class Watched:
        @staticmethod
        def digest(*args):
            steps[-1].append("digest")
            return real_digest(*args)

        @staticmethod
        def compare_digest(*args):
            steps[-1].append("compare")
            return real_compare(*args)

    monkeypatch.setattr(tokens, "hmac", Watched)
    for text in [*(text for _, text in rows), rows[0][1][:-1] + "*", "", "nonsense"]:
        steps.append([])
        assert tokens.authenticate(table, text, time.time() + 10) is None
    assert steps == [["digest", "compare"]] * 6


def test_an_entry_filed_under_another_mac_lets_nobody_in(project):
    row, text = tokens.issue(project)
    other, _ = tokens.issue(project)
    assert tokens.authenticate({bytes(row.mac): entry(other)}, text, time.time()) is None


class TestRowsWrittenPastUs:
    """Security goal G3: writing to the database mints no token and widens none."""

    def forge(self, row, **values):
        sets = ", ".join(f"{name} = %s" for name in values)
        with connection.cursor() as cursor:
            key = row.pk if connection.features.has_native_uuid_field else row.pk.hex
            cursor.execute(f"UPDATE keys_apitoken SET {sets} WHERE id = %s", [*values.values(), key])
            assert cursor.rowcount == 1

    def test_an_honest_row_passes(self, project):
        row, _ = tokens.issue(project, expires_at=timezone.now() + timedelta(days=1, microseconds=123))
        assert tokens.row_mac_ok(stored(row))
        tokens.revoke(row)
        assert tokens.row_mac_ok(stored(row))

    @pytest.mark.parametrize("column", ["mac", "project_id", "kind", "expires_at", "revoked_at", "id", "row_mac"])
    def test_an_altered_column_is_noticed(self, project, column):
        other = Project.objects.create(name="beta")
        row, _ = tokens.issue(project, expires_at=timezone.now() + timedelta(days=1))
        tokens.revoke(row)
        forged = {
            "mac": b"\1" * 32,
            "project_id": other.pk,
            "kind": "a",
            "expires_at": datetime(2099, 1, 1, tzinfo=UTC).isoformat(sep=" "),
            "revoked_at": None,
            "row_mac": b"\2" * 32,
        }
        if column == "id":
            values = list(stored(row))
            values[0] = uuid.uuid4()
            assert not tokens.row_mac_ok(values)
            return
        self.forge(row, **{column: forged[column]})
        assert not tokens.row_mac_ok(stored(row))

    def test_a_mac_of_the_wrong_length_is_no_crash(self, project):
        row, _ = tokens.issue(project)
        values = list(stored(row))
        for broken in (b"", b"x", b"x" * 200):
            assert not tokens.row_mac_ok([*values[:-1], broken])
            assert not tokens.row_mac_ok([values[0], broken, *values[2:]])

    def test_a_forged_row_is_not_blessed_by_a_later_change(self, project):
        row, _ = tokens.issue(project, expires_at=timezone.now() + timedelta(hours=1))
        other = Project.objects.create(name="beta")
        self.forge(row, project_id=other.pk)
        with pytest.raises(tokens.TokenError, match="altered outside"):
            tokens.set_expiry(ApiToken.objects.get(pk=row.pk), None)


def test_a_stale_form_does_not_bring_a_revoked_token_back(project):
    row, _ = tokens.issue(project)
    stale = ApiToken.objects.get(pk=row.pk)
    tokens.revoke(row, "compromised")
    stale.name = "renamed"
    stale.save()
    fresh = ApiToken.objects.get(pk=row.pk)
    assert (fresh.name, fresh.revoked_reason) == ("renamed", "compromised")
    assert fresh.revoked_at is not None
    assert tokens.row_mac_ok(stored(row))


def test_the_first_revocation_stands(project):
    row, _ = tokens.issue(project)
    tokens.revoke(row, "compromised")
    first = row.revoked_at
    tokens.revoke(row, "retired")
    assert (row.revoked_at, row.revoked_reason) == (first, "compromised")
    with pytest.raises(tokens.TokenError):
        tokens.revoke(row, "because")


def test_a_successor_overlaps(project):
    """R-TOK-03: the old token ends after the overlap and never later than it would have."""
    row, text = tokens.issue(project, name="app")
    successor, new_text = tokens.replace(row, overlap=timedelta(hours=1))
    assert (successor.name, successor.project_id) == ("app", project.pk)
    assert new_text != text
    row.refresh_from_db()
    assert timedelta(minutes=59) < row.expires_at - timezone.now() <= timedelta(hours=1)
    assert tokens.row_mac_ok(stored(row))
    tokens.replace(row, overlap=timedelta(days=9))
    row.refresh_from_db()
    assert row.expires_at - timezone.now() <= timedelta(hours=1)


def test_the_maximum_life_holds_for_all_tokens(project, settings):
    settings.TOKEN_MAX_DAYS = 10.0
    row, _ = tokens.issue(project)
    assert timedelta(days=9) < row.expires_at - timezone.now() <= timedelta(days=10)
    with pytest.raises(tokens.TokenError, match="JACKFIELD_TOKEN_MAX_DAYS"):
        tokens.issue(project, expires_at=timezone.now() + timedelta(days=11))
    with pytest.raises(tokens.TokenError, match="past"):
        tokens.issue(project, expires_at=timezone.now() - timedelta(seconds=1))


def test_tokens_outlive_a_rotation_of_the_ring(project, settings, tmp_path):
    from keys import rotation

    settings.RING_FILE = tmp_path / "ring.json"
    rings.create(settings.RING_FILE)
    row, text = tokens.issue(project)
    before = tokens.mac(text)
    rings.change(settings.RING_FILE, lambda ring: (rotation.add(ring), rotation.promote(ring)))
    rings.change(settings.RING_FILE, rotation.retire)
    assert tokens.mac(text) == before == bytes(row.mac)
    assert tokens.row_mac_ok(stored(row))
    rings.forget()


def test_a_row_costs_a_small_multiple_of_one_mac(project):
    """Ten thousand rows are verified whenever a snapshot is built: a ratio, since machines differ."""
    row, _ = tokens.issue(project, expires_at=timezone.now() + timedelta(days=1))
    values = stored(row)
    key, message = bytes(32), bytes(120)
    plain = min(_seconds_for(lambda: hmac.digest(key, message, "sha256")) for _ in range(5))
    assert min(_seconds_for(lambda: tokens.row_mac_ok(values)) for _ in range(5)) < 12 * plain


def _seconds_for(call):
    start = time.process_time()
    for _ in range(2_000):
        call()
    return time.process_time() - start


class TestCommand:
    def run(self, *args):
        out, err = io.StringIO(), io.StringIO()
        call_command("token", *args, stdout=out, stderr=err)
        return out.getvalue(), err.getvalue()

    def test_prints_the_token_alone(self, project):
        out, err = self.run("alpha", "--name", "laptop")
        assert re.fullmatch(tokens.TOKEN_PATTERN + "\n", out)
        assert err == ""
        row = ApiToken.objects.get()
        assert (row.name, bytes(row.mac)) == ("laptop", tokens.mac(out.strip()))

    def test_a_missing_project_names_the_way_out(self, project):
        with pytest.raises(CommandError) as caught:
            self.run("beta")
        assert "--create" in str(caught.value)
        assert "alpha" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert not ApiToken.objects.exists()

    def test_create(self, project):
        out, _ = self.run("beta", "--create")
        assert ApiToken.objects.get(project__name="beta").mac
        assert tokens.mac(out.strip())

    def test_create_refuses_a_bad_name(self, db):
        with pytest.raises(CommandError, match="project name"):
            self.run("No Good", "--create")

    def test_expires(self, project):
        self.run("alpha", "--expires", "30d")
        left = ApiToken.objects.get().expires_at - timezone.now()
        assert timedelta(days=29) < left <= timedelta(days=30)
        for bad in ("30", "d", "0d", "-1d", "1y"):
            with pytest.raises(CommandError, match="--expires"):
                self.run("alpha", f"--expires={bad}")
