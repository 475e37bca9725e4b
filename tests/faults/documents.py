"""Configuration documents of scenarios: an account at an upstream, and models that lead there. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

#: Keys that documents name: every installation of a scenario has them in its environment.
KEYS: Final = {f"CHAOS_KEY_{number}": f"sk-chaos-{number}-0123456789abcdef" for number in range(1, 10)}
#: By the dialect that the upstream is to speak: the family, and what of its URL the family does not say.
FAMILIES: Final = {
    "chat": ("openai-completions", "/v1"),
    "responses": ("openai-responses", "/v1"),
    "messages": ("anthropic-messages", ""),
    "google": ("google-generative-ai", "/v1beta"),
}

#: Two accounts at one upstream of `tests.truth`, whose answers name the side they were asked on. Wants its port.
TWO_SIDES: Final = """
[[provider]]
id = "truth"
family = "openai-completions"
base_url = "http://127.0.0.1:{port}/{{side}}/v1"
variables = [{{ name = "side" }}]
credential = "bearer"
[[account]]
name = "left"
provider = "truth"
private_network = true
variables = {{ side = "left" }}
keys = ["env:CHAOS_KEY_1"]
[[account]]
name = "right"
provider = "truth"
private_network = true
variables = {{ side = "right" }}
keys = ["env:CHAOS_KEY_2"]
[[model]]
name = "patched"
service = "text"
routes = [{{ account = "left", model = "m" }}]
"""


def account(name: str, url: str, dialect: str = "chat", *, keys: Sequence[int] = (1,), **timeouts: float) -> str:
    """An account and its provider, both of this name, at the root URL of an upstream. A key rests wherever it is: what
    may limit one has keys of its own."""
    family, path = FAMILIES[dialect]
    said = ", ".join(f"{phase} = {seconds}" for phase, seconds in timeouts.items())
    held = ", ".join(f'"env:CHAOS_KEY_{number}"' for number in keys)
    return f"""
[[provider]]
id = "{name}"
family = "{family}"
base_url = "{url}{path}"
credential = "bearer"
[[account]]
name = "{name}"
provider = "{name}"
private_network = true
timeouts = {{ {said} }}
keys = [{held}]
"""


def model(name: str, *routes: tuple[str, str], **more: str | int) -> str:
    """A public model: (account, the model there), in the order in which they are tried."""
    places = ", ".join(
        f'{{ account = "{place}", model = "{upstream}", priority = {number} }}'
        for number, (place, upstream) in enumerate(routes)
    )
    held = "\n".join(f"{field} = {value!r}" for field, value in more.items())
    return f"""
[[model]]
name = "{name}"
routes = [{places}]
{held}
"""
