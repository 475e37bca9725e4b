"""The home directory: where one machine keeps what it must not lose and nobody else may read."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Home:
    """Paths below JACKFIELD_HOME. Everything in it is readable by its owner only."""

    root: Path

    @property
    def database(self) -> Path:
        return self.root / "jackfield.sqlite3"

    @property
    def ring(self) -> Path:
        return self.root / "ring.json"

    @property
    def snapshot(self) -> Path:
        """The sealed copy of the snapshot that a start without a database serves from."""
        return self.root / "snapshot.sealed"

    @property
    def journal(self) -> Path:
        return self.root / "journal"

    @property
    def tickets(self) -> Path:
        """What was done today of what may be done so often a day."""
        return self.root / "tickets"

    @property
    def broker(self) -> Path:
        return self.root / "broker"

    @property
    def static(self) -> Path:
        return self.root / "static"

    def prepare(self) -> None:
        """Make the directory and its folders, mode 0700."""
        queues = (self.broker / "queue", self.broker / "control")
        for folder in (self.root, self.journal, self.broker, *queues, self.static):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.root.chmod(0o700)

    def secret_key(self) -> str:
        """Django's own secret of this machine, made once. It seals nothing of Jackfield's (R-SEC-02)."""
        path = self.root / "secret_key"
        try:
            return path.read_text().strip()
        except FileNotFoundError:
            self.prepare()
            return write_private(path, secrets.token_urlsafe(64))


def write_private(path: Path, text: str) -> str:
    """Write a new 0600 file, whole or not at all. Another process that was first wins, and its text is returned."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(fd, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(fd)
        os.link(draft, path)  # unlike a rename, it never replaces a file that was there first
    except FileExistsError:
        return path.read_text().strip()
    finally:
        draft.unlink()
    return text
