"""What the scripted upstreams say: use the tool that this client has, then tell what it answered."""

from __future__ import annotations

from pathlib import Path

from tests.scripted import Call, Heard, Turn

SIGNATURE = "c21va2Utc2lnbmF0dXJl"
MADE = "made.txt"
CONTENT = "ahoj"
WEATHER = "seven degrees and rain"


class Actor:
    """`folder`: where an agent works now, for tools that want whole paths."""

    def __init__(self) -> None:
        self.folder = Path()

    def __call__(self, heard: Heard) -> Turn:
        if heard.results:
            return Turn(f"Done: {heard.results[-1][1]}", "I have it.", SIGNATURE)
        call = self._call(heard.tools)
        if call is None:
            return Turn("Grüß Gott from upstream.")
        return Turn("I use a tool.", "A tool is needed.", SIGNATURE, (call,))

    def _call(self, tools: list[str]) -> Call | None:
        known = {
            "exec_command": {"cmd": f"echo {CONTENT} > {MADE}"},
            "shell": {"command": ["sh", "-c", f"echo {CONTENT} > {MADE}"]},
            "Write": {"file_path": str(self.folder / MADE), "content": f"{CONTENT}\n"},
            "weather": {"city": "Oslo"},
        }
        name = next((name for name in known if name in tools), None)
        return None if name is None else Call("call_smoke_1", name, known[name])
