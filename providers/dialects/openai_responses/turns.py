"""What `previous_response_id` stands for: the items of an earlier turn, put before those of the next. Pure.

Who keeps an answer keeps the body that asked for it (as it was sent on, with earlier turns put in) and the response
object that came back; nothing else is needed for the next turn.
"""

from __future__ import annotations

from typing import Any, Final

#: Of an answer's items, not said again.
_CONTENT: Final = "content"


def carried(body: dict[str, Any], response: dict[str, Any]) -> list[dict[str, Any]]:
    """The items that the next turn begins with: what was asked, and what was answered. Instructions are not carried."""
    output = response.get("output")
    answered = [_again(item) for item in output if isinstance(item, dict)] if isinstance(output, list) else []
    return [*_items(body.get("input")), *answered]


def continued(body: dict[str, Any], earlier: list[dict[str, Any]]) -> dict[str, Any]:
    """The body of the next turn with the items of the turns before it in place of `previous_response_id`."""
    rest = {name: value for name, value in body.items() if name != "previous_response_id"}
    return rest | {"input": [*earlier, *_items(body.get("input"))]}


def _items(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, str):
        return [{"type": "message", "role": "user", "content": value}]
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _again(item: dict[str, Any]) -> dict[str, Any]:
    """An item of an answer as one of a history: members that are null are refused there, log probabilities useless."""
    kept = {name: value for name, value in item.items() if value is not None}
    content = kept.get(_CONTENT)
    if item.get("type") == "message" and isinstance(content, list):
        kept[_CONTENT] = [
            {name: value for name, value in part.items() if name != "logprobs"}
            for part in content
            if isinstance(part, dict)
        ]
    return kept
