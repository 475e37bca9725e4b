"""Proofs and encrypted thoughts that travel through a client of another dialect and come back. Pure.

A client keeps a thought's signature and sends it back with the next turn. Where the upstream that made it speaks
another dialect than the client, the client's field carries it in a frame that names its maker, so that the next turn
knows whose it is: it goes back to an upstream that speaks the maker's dialect, and is left out for every other.
"""

from __future__ import annotations

from typing import Final

_FRAME: Final = "jf1"
#: How a frame begins in JSON: as it is, or in base64, as clients that take signatures for bytes carry it.
_MARKS: Final = (b'"jf1:', b'"amYxO')


def framed(signature: str, signer: str, native: str, item: str = "") -> str:
    """How a client of the dialect `native` carries a signature: as it is if that dialect made it, else in a frame.

    `item` is the id of the item it belongs to, where its maker needs that too.
    """
    if not signature or signer in ("", native):
        return signature
    return f"{_FRAME}:{signer}:{item}:{signature}"


def unframed(text: str, native: str) -> tuple[str, str, str]:
    """(signature, signer, item id) of what a client of the dialect `native` sent."""
    if text.startswith(f"{_FRAME}:"):
        _, signer, item, signature = [*text.split(":", 3), "", "", ""][:4]
        return signature, signer, item
    return text, native if text else "", ""


def travels(body: bytes) -> bool:
    """Whether a request seems to carry a framed signature, which no upstream may be sent as it is."""
    return any(mark in body for mark in _MARKS)
