"""docs/errors.md, made from the vocabulary. `python tests/error_page.py` writes it."""

from __future__ import annotations

from pathlib import Path

from api.errors import Fault
from api.meanings import Domain

INTRODUCTION = """# Errors

Every error is told in the dialect of the endpoint that was asked, so that its SDK raises what its users catch:

| endpoint | envelope |
|---|---|
| OpenAI's, and anything unknown | `{"error": {"message", "type", "param", "code"}}` |
| `/v1/messages…` | `{"type": "error", "error": {"type", "message", "code"}}`, the type in Anthropic's words |
| `…/models/{model}:…`, all of `/v1beta` | `{"error": {"code", "message", "status"}}`, the status being Google's word |

Every error has these headers:

- `x-jackfield-error`: the code of the table below. It is stable. Where an upstream of the same dialect refused the
  request, the envelope carries that upstream's own message, type and code, and this header still says ours.
- `x-jackfield-request-id`: quote it when you ask for help. The usage row, if there is one, has the same id.
- `x-jackfield-revision`: the configuration that refused it, once the gateway has one. A refusal that comes before a
  request reaches an endpoint has none: malformed HTTP, headers over the limits, a foreign Host.
- `x-jackfield-attempts` and `x-jackfield-dropped`: on every answer to a caller who is known. A refusal at the door
  (`invalid_api_key`, `token_in_url`, `conflicting_credentials`) tells nothing about any project and leaves no row.
- `x-jackfield-route`: the account and upstream model that were asked last, if any.
- `retry-after`: seconds, where waiting helps; of several places that could serve, the soonest's.
- `x-should-retry`: `false` where it helps only after more than half a minute, or once somebody has paid. OpenAI's and
  Anthropic's SDKs then raise the error at once.

A model that the project may not use is `model_not_found`, word for word as one that does not exist. Only `auto` and
requests without a model, which stand for the project's own preferences, say `model_not_allowed`.

The domain says who has to act: the **caller**, whoever set the **policy** (projects, models, routes, keys), the
**upstream**, or those who run the **gateway**. The status is the usual one; an upstream's own status is passed on.
A stream that breaks after it began ends with one event that holds the same error, and without its dialect's own end.
"""


def page() -> str:
    """docs/errors.md."""
    lines = [INTRODUCTION]
    for domain in Domain:
        lines += [f"## {domain.value.capitalize()}", "", "| code | status | means | what to do |", "|---|---|---|---|"]
        for fault in Fault:
            if fault.domain is domain:
                meaning = fault.value
                lines.append(f"| `{meaning.code}` | {meaning.status} | {meaning.text} | {meaning.step} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    (Path(__file__).resolve().parent.parent / "docs" / "errors.md").write_text(page())
