"""A gateway whose operating system knows other names: a stub stands in the place of `getaddrinfo`.

Run: python -m tests.faults.names PORT FOLDER DEADLINE. A file in the folder has the name of a host and says what comes
of looking it up: an address, `gone`, or seconds that it takes to come to nothing. Each look-up is a line of the file
`log` there. All else is as `manage.py run --gateway-only` has it.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")


def main(port: int, folder: Path, deadline: float) -> None:
    import django

    from providers import resolving

    real = socket.getaddrinfo

    def stub(host: Any, *more: Any, **named: Any) -> Any:
        """Blocks, as the real thing does."""
        name = str(host).rstrip(".")
        if not (folder / name).is_file():
            return real(host, *more, **named)
        with (folder / "log").open("a") as log:
            log.write(f"{name}\n")
        said = (folder / name).read_text().strip()
        if said.count(".") == 3:
            return real(said, *more, **named)
        if said != "gone":
            time.sleep(float(said))
        raise socket.gaierror(socket.EAI_NONAME, "the stub has no such name")

    socket.getaddrinfo = stub
    resolving.LOOKUP_DEADLINE = deadline  # type: ignore[misc]  # shorter in the short form
    django.setup()
    from project.boot import serve_gateway

    serve_gateway("127.0.0.1", port)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))
