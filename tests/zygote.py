"""Forks gateways: Django is loaded once, so that fifty kills do not cost fifty starts.

Run in an installation's environment. Reads ports on standard input, a line each, forks a gateway that listens there
and prints its process id. The child runs exactly what `manage.py run --gateway-only` runs.
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

from project.boot import serve_gateway  # noqa: E402 - Django must be set up first


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        port = int(line)
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            sys.stdin.close()
            serve_gateway("127.0.0.1", port)
            os._exit(0)
        print(child, flush=True)


if __name__ == "__main__":
    main()
