"""An operator's hand on an installation: one process with Django loaded that does what a dozen commands would.

Reads one JSON value per line, `[what, argument]`, and answers each with one line. A command of its own for each thing
would load Django each time, which takes longer than most faults.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

import django

django.setup()

from django.core.management import call_command  # noqa: E402 - Django must be set up first

from api.drain import drain  # noqa: E402
from api.models import UsageRecord  # noqa: E402
from routing.applying import apply  # noqa: E402
from routing.models import GatewayProcess  # noqa: E402
from routing.presence import reach  # noqa: E402
from routing.revisions import latest  # noqa: E402
from tests.faults import acts  # noqa: E402


def do(what: str, argument: Any) -> Any:
    match what:
        case "apply":
            return apply(argument, author="chaos", note="a scenario", dry_run=False, rebind=False).revision
        case "token":
            told = io.StringIO()
            call_command("token", argument, create=True, stdout=told)
            # The command waits two seconds: a busy machine may need more.
            there = reach(latest(), wait=30.0)
            assert there.live == there.total, "not every gateway heard of it"
            return told.getvalue().strip()
        case "rows":
            drain()
            return list(UsageRecord.objects.order_by("id").values(*argument))
        case "forget":  # a process that was killed is waited for until its last sign of life is old
            GatewayProcess.objects.filter(name__endswith=f":{argument}").delete()
            return None
        case "act":
            return acts.act(*argument)
    raise ValueError(what)


def main() -> None:
    for line in sys.stdin:
        with contextlib.redirect_stdout(sys.stderr):
            answer = do(*json.loads(line))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
