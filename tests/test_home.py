"""The home's private files: whole or not there, and the first of two writers wins."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import patch

import pytest

from project.home import Home, write_private


def test_a_private_file_is_its_owners_only(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    assert write_private(path, "text") == "text"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret"], "no draft is left"


def test_of_many_writers_all_get_the_first_ones_text(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    with ThreadPoolExecutor(8) as pool:
        texts = set(pool.map(lambda number: write_private(path, f"text {number}"), range(32)))
    assert texts == {path.read_text()}


def test_a_crash_while_writing_leaves_no_empty_secret(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    with patch.object(os, "fsync", side_effect=OSError(28, "No space left on device")), pytest.raises(OSError):
        write_private(path, "text")
    assert not path.exists()


def test_the_secret_key_is_made_once(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    first = home.secret_key()
    assert len(first) >= 64 and home.secret_key() == first
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o700
