"""Forks gateways: Django is loaded once, so that fifty kills do not cost fifty starts.

Run in an installation's environment. Reads ports on standard input, a line each, forks a gateway that listens there
and prints its process id. The child runs exactly what `manage.py run --gateway-only` runs. Behind a port may stand
settings of its own, as in `8000 MAX_IN_FLIGHT=32`.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

import django

django.setup()

from django.conf import settings  # noqa: E402 - Django must be set up first

from project.boot import serve_gateway  # noqa: E402


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        port, *own = line.split()
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            sys.stdin.close()
            for name, _, value in (setting.partition("=") for setting in own):
                setattr(settings, name, type(getattr(settings, name))(value))
            serve_gateway("127.0.0.1", int(port))
            os._exit(0)
        print(child, flush=True)


if __name__ == "__main__":
    main()
