"""What a method of a view takes and answers, said in the names of `api.schemas`. Pure.

`make openapi` has drf-spectacular read it from the views. Nothing else does: requests are not held against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Operation(NamedTuple):
    """One method of an endpoint; if the path ends in one of several verbs, one verb."""

    #: The operationId. Below /v1beta and /v1alpha it has the version's name after it.
    name: str
    #: The schema of the answer, by the dialect of the SDK that asks if it is told in several. "" is plain text.
    answers: str | Mapping[str, str] = ""
    #: The schema of the JSON body; "" if there is none.
    asks: str = ""
    #: Parameters besides those of the path.
    parameters: tuple[str, ...] = ()
    #: Whether it may answer with events.
    streams: bool = False
    #: What an answer means, by its status. Errors of endpoints that need a token are the same for all.
    says: Mapping[str, str] = {"200": "The answer."}
