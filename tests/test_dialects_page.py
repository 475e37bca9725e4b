"""The pages that list families, endpoints and quirks list those that there are."""

from __future__ import annotations

import re
from pathlib import Path

from providers.families import FAMILIES
from providers.quirk_forms import FORMS
from tests.openapi_document import document

DOCS = Path(__file__).resolve().parent.parent / "docs"


def section(page: str, title: str) -> str:
    """The text of one section of a page."""
    return (DOCS / page).read_text().split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def test_every_family_that_is_served_stands_beside_its_dialect() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", section("dialects.md", "What upstreams speak"), re.MULTILINE)
    listed = {family: dialect for dialect, families in rows for family in re.findall(r"`([\w-]+)`", families)}
    assert listed == {family.name: family.dialect for family in FAMILIES.values() if family.dialect}


def test_every_family_that_embeds_stands_beside_how_it_is_asked() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+) \|$", section("dialects.md", "Embeddings"), re.MULTILINE)
    listed = {family: dialect for dialect, families, _ in rows for family in re.findall(r"`([\w-]+)`", families)}
    assert listed == {family.name: family.embedding for family in FAMILIES.values() if family.embedding}
    for family in FAMILIES.values():
        paths = " ".join(path for dialect, _, path in rows if dialect == family.embedding)
        assert family.embed_path.replace("{verb}", "").rstrip(":") in paths


def test_every_family_that_makes_pictures_stands_beside_how_it_is_asked() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| `(.+)` \|$", section("dialects.md", "Pictures"), re.MULTILINE)
    listed = {family: dialect for dialect, families, _ in rows for family in re.findall(r"`([\w-]+)`", families)}
    assert listed == {family.name: family.imaging for family in FAMILIES.values() if family.imaging}
    for family in FAMILIES.values():
        paths = {path for dialect, _, path in rows if dialect == family.imaging}
        assert not family.imaging or paths == {family.image_path or family.path}


def test_every_quirk_is_described() -> None:
    rows = re.findall(r"^\| (`.+?`) \|", section("configuration.md", "Quirks"), re.MULTILINE)
    listed = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert len(listed) == len(set(listed)) and set(listed) == set(FORMS)


def test_every_way_to_ask_a_model_is_named() -> None:
    page = section("dialects.md", "What clients speak")
    for path, operations in document()["paths"].items():
        if "post" in operations and not path.startswith("/fleet/"):  # which workers ask, and no applications
            verb = path.rpartition(":")[2] if ":" in path else path
            assert verb in page, path
