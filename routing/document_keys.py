"""Reads the keys a document names and puts them into their key sets. A key that is there already is left alone.

A document names places, `env:NAME` or `file:PATH`. Keys that people entered by hand and live overrides are not of its
business: they stay, whatever a document says.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from keys import vault
from keys.models import KeySet, ProviderKey
from keys.ring import BadRing
from keys.vault import MAX_LENGTH, BadKey
from providers.hosts import BadUrl
from providers.secrets import Secret
from routing.document_schema import KeyLine


class Unreadable(Exception):
    """The place named holds no key. The text names the place, never what it holds."""


class KeyWriter:
    """Makes the keys of a key set those of its lines. Runs after every account has its final origin."""

    def __init__(self, unusable: set[str], *, rebind: bool, environ: Mapping[str, str] | None = None) -> None:
        """`unusable`: ids of keys that did not open before the document was written."""
        self.environ = os.environ if environ is None else environ
        self.rebind = rebind
        self.problems: list[str] = []
        self.notes: list[str] = []
        #: keys whose name stays and whose sealed value does not, as lines of the diff
        self.changed: list[str] = []
        self._before = unusable
        self._now = {failure.key_id for failure in vault.check_all()}

    def write(self, place: str, key_set: KeySet, lines: Sequence[KeyLine]) -> None:
        """Enter what is new, replace what is another key now, remove what is no longer named; keep the order."""
        sources = [line.source for line in lines]
        for source in sorted({source for source in sources if sources.count(source) > 1}):
            self.problems.append(f"{place}: the key {source} is named twice.")
        stored: dict[str, list[ProviderKey]] = {}
        for row in key_set.keys.filter(live=False).order_by("position", "created_at", "pk"):
            if row.source.startswith(("env:", "file:")):
                stored.setdefault(row.source, []).append(row)
        for source, rows in stored.items():
            if source not in sources:
                for row in rows:
                    row.delete()
        kept: list[ProviderKey] = []
        for position, line in enumerate(lines):
            try:
                kept += self._one(place, key_set, line, stored.get(line.source, []), position)
            except (BadKey, BadUrl, BadRing, Unreadable) as error:
                self.problems.append(f"{place}: key {line.source}: {error}.")
        self._order(kept)

    def _one(
        self, place: str, key_set: KeySet, line: KeyLine, rows: list[ProviderKey], position: int
    ) -> list[ProviderKey]:
        try:
            secret = read_key(line.source, self.environ)
        except Unreadable as error:
            if not rows:
                raise
            self.notes.append(f"{place}: {error}; the stored key from {line.source} stays.")
        else:
            same = [row for row in rows if row.fingerprint == vault.fingerprint(secret)]
            if not rows:
                rows = [vault.enter_key(key_set, secret, source=line.source, position=position)]
            elif not same:
                vault.replace_key(rows[0], secret)
                self.changed.append(f'~ keys "{line.source}" of {_owner(key_set)}: another value')
            for row in same:
                self._reseal(place, row, secret, f'~ keys "{line.source}" of {_owner(key_set)}')
        for row in rows:
            if row.enabled != line.enabled:
                row.enabled = line.enabled
                row.save(update_fields=["enabled"])
        return rows

    def _reseal(self, place: str, row: ProviderKey, secret: Secret, shown: str) -> None:
        """Seal a key for its account's new origin if this document, or `rebind`, says that it may go there.

        Otherwise whoever changed an address before would be handed the key by the next application (R-SEC-04).
        """
        if str(row.pk) not in self._now:
            return
        if self.rebind or str(row.pk) not in self._before:
            vault.replace_key(row, secret)
            self.changed.append(f"{shown}: sealed for the present address")
        else:
            self.notes.append(
                f"{place}: the key from {row.source} was sealed for another address and stays unusable; "
                "apply with --rebind to seal it for the present one."
            )

    def _order(self, rows: list[ProviderKey]) -> None:
        """Number the keys anew only if they are not tried in the document's order already."""
        if rows == sorted(rows, key=lambda row: (row.position, row.created_at, row.pk)):
            return
        for position, row in enumerate(rows):
            if row.position != position:
                row.position = position
                row.save(update_fields=["position"])


def _owner(key_set: KeySet) -> str:
    """The set as a line of the diff names it: by its account, and by its own name where it is not the usual one."""
    parts = (key_set.account.name, key_set.project.name if key_set.project else "", key_set.name)
    return f'"{" / ".join(part for part in parts if part and part != "default")}"'


def read_key(source: str, environ: Mapping[str, str]) -> Secret:
    """The key at `env:NAME` or `file:PATH`, white space around it removed. Raises Unreadable."""
    scheme, _, name = source.partition(":")
    if scheme == "env":
        text = environ.get(name, "").strip()
        if not text:
            raise Unreadable(f"the environment variable {name} is not set")
        return Secret(text)
    path = Path(name).expanduser()
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_LENGTH + 1)
        text = raw.decode().strip()
    except OSError as error:
        raise Unreadable(f"the file {path} cannot be read ({error.strerror or type(error).__name__})") from None
    except UnicodeDecodeError:
        raise Unreadable(f"the file {path} is not text") from None
    if not text:
        raise Unreadable(f"the file {path} is empty")
    return Secret(text)
