"""What a model's name means for the caller: the plan of `routing.resolve`, its refusals as this API's errors.

A name that the project may not see is answered exactly as one that does not exist, suggestions included: an answer that
told the two apart would let each project try out the names of all others.
"""

from __future__ import annotations

from typing import Any

from api.errors import BY_CODE, ApiError, Fault
from routing.resolve import AUTO, Plan, Unresolved, resolve, unknown_model
from routing.snapshot import Snapshot


def plan_for(snapshot: Snapshot, project_id: int, name: str, dialect: str, **options: Any) -> Plan:
    """`resolve` for an endpoint of this dialect; `options` are its other arguments. Raises ApiError."""
    try:
        return resolve(snapshot, project_id, name, dialect=dialect, **options)
    except Unresolved as problem:
        raise refused(problem, name) from None


def refused(problem: Unresolved, name: str) -> ApiError:
    """The error for a name that leads nowhere.

    Under `auto` the names are the project's own preferences, which the caller did not choose: there `model_not_allowed`
    stays, and says who has to act.
    """
    if problem.code == "model_not_allowed" and name not in ("", AUTO):
        problem = unknown_model(name, problem.suggestions)
    return ApiError(BY_CODE.get(problem.code, Fault.MODEL_NOT_FOUND), problem.message, param="model")
