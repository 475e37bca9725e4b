"""What a model's name means for the caller: the plan of `routing.resolve`, its refusals as this API's errors.

A name that the project may not see is answered exactly as one that does not exist, suggestions included: an answer that
told the two apart would let each project try out the names of all others.
"""

from __future__ import annotations

from api.errors import BY_CODE, ApiError, Fault
from routing.candidates import Unresolved, unknown_model
from routing.resolve import AUTO, Ask, Now, Plan, resolve
from routing.snapshot import Snapshot


def plan_for(snapshot: Snapshot, now: Now, ask: Ask) -> Plan:
    """`resolve`, with its refusals as errors of this API. Raises ApiError."""
    try:
        return resolve(snapshot, now, ask)
    except Unresolved as problem:
        name = ask.model.strip()
        raise refused(problem, ask.models[0] if ask.models and name in ("", AUTO) else name) from None


def refused(problem: Unresolved, name: str) -> ApiError:
    """The error for a name that leads nowhere.

    Under `auto` the names are the project's own preferences, which the caller did not choose: there `model_not_allowed`
    stays, and says who has to act.
    """
    if problem.code == "model_not_allowed" and name not in ("", AUTO):
        problem = unknown_model(name, problem.suggestions)
    return ApiError(BY_CODE.get(problem.code, Fault.MODEL_NOT_FOUND), problem.message, param="model")
