"""What a project may use, under a MAC: rights that were written past us are not honoured (security goal G3).

The MAC covers the project, whether it is enabled, and its allowlist or that it has none. It is kept in the project's
row; `routing.rights` renews it with every save and has it checked when a snapshot is built.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any, Final

from keys import ring as rings

#: Tells this use of the row key from the MACs of tokens.
_WHAT: Final = b"jackfield-project-rights/1"


def rights_mac(project_id: int, enabled: bool, allow: Any) -> bytes:
    """The MAC of one project's rights. `allow` is the allowlist as its column holds it, None without preferences."""
    written = json.dumps([project_id, bool(enabled), allow], separators=(",", ":"), sort_keys=True)
    message = _WHAT + hashlib.sha256(written.encode()).digest()
    return hmac.digest(rings.current().row_key, message, "sha256")


def rights_ok(project_id: int, enabled: bool, allow: Any, mac: bytes) -> bool:
    """Did we write these rights?"""
    return hmac.compare_digest(rights_mac(project_id, enabled, allow), bytes(mac))
