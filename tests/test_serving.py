"""One answer to "could this route serve": a real request, `explain`, apply and doctor, and the admin agree on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx
import pytest

from api.leasing import keys_now
from keys import vault
from keys.models import KeySet, Project, ProviderKey
from keys.pool import pool
from providers import transport
from providers.egress import check_url
from providers.families import OPENAI_CHAT
from providers.models import CatalogModel
from providers.secrets import Secret
from routing import revisions
from routing.build import build
from routing.candidates import Unresolved
from routing.explain import explain
from routing.loose_ends import why_not
from routing.models import PublicModel, Route
from routing.moment import Moment
from routing.resolve import UNKNOWN, Ask, resolve
from routing.snapshot import Snapshot
from routing.standing import Standing, with_standing, working_routes
from routing.store import store
from tests.vendor_replies import reply

pytestmark = pytest.mark.django_db(transaction=True)

DEMO, RICH = "demo", "rich"
NOBODY: frozenset[str] = frozenset()
ONLY_RICH = frozenset({RICH})
ALL = frozenset({DEMO, RICH})
#: A family that nothing speaks.
UNSPOKEN = "google-vertex-image"
#: A family whose requests hold a variable of the account.
ASSIST = {"family": "google-cloud-code-assist"}
OWN = "https://{region}.own.example/v1"


@dataclass
class Set:
    """A key set: of one project, or shared; `keys` are how many."""

    project: str = ""
    name: str = "default"
    keys: int = 1
    variables: dict[str, str] = field(default_factory=dict)
    enabled: bool = True
    opens: bool = True


@dataclass
class Case:
    """A model with one route, and the projects that it serves."""

    serves: frozenset[str]
    sets: tuple[Set, ...] = (Set(),)
    provider: dict[str, Any] = field(default_factory=dict)
    account: dict[str, Any] = field(default_factory=dict)
    route: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] | None = None
    #: the name of the set that the route names
    named: str = ""


CASES = {
    "plain": Case(ALL),
    "route-off": Case(NOBODY, route={"enabled": False}),
    "account-off": Case(NOBODY, account={"enabled": False}),
    "provider-off": Case(NOBODY, provider={"enabled": False}),
    "provider-retired": Case(NOBODY, provider={"deferred_to": "other", "deferred_reason": "It is gone."}),
    # keys
    "no-set": Case(NOBODY, ()),
    "no-key": Case(NOBODY, (Set(keys=0),)),
    "key-off": Case(NOBODY, (Set(enabled=False),)),
    "one-unnamed-set": Case(ALL, (Set(name="a"),)),
    "two-unnamed-sets": Case(NOBODY, (Set(name="a"), Set(name="b"))),
    "named-set": Case(ALL, (Set(name="a"), Set(name="b")), named="b"),
    "named-set-empty": Case(NOBODY, (Set(), Set(name="b", keys=0)), named="b"),
    "own-set": Case(ONLY_RICH, (Set(RICH),)),
    "own-set-before-shared": Case(ALL, (Set(RICH), Set())),
    "own-set-closed-shared-opens": Case(ALL, (Set(RICH, opens=False), Set())),
    "own-set-of-another-name": Case(NOBODY, (Set(RICH, "a"),)),
    "unreadable": Case(NOBODY, (Set(keys=2, opens=False),)),
    "keyless": Case(ALL, (), provider={"keyless": True}),
    "credential-none": Case(ALL, (), provider={"credential": "none"}),
    "credential-none-empty-set": Case(ALL, (Set(keys=0),), provider={"credential": "none"}),
    "credential-not-built": Case(NOBODY, provider={"credential": "unheard-of"}),
    "credential-not-built-keyless": Case(NOBODY, (), provider={"credential": "unheard-of", "keyless": True}),
    # addresses
    "no-address": Case(NOBODY, (), account={"base_url": ""}, provider={"keyless": True}),
    "variable-missing": Case(NOBODY, (), account={"base_url": OWN}, provider={"keyless": True}),
    "variable-of-the-account": Case(ALL, account={"base_url": OWN, "variables": {"region": "eu"}}),
    "variable-of-the-set": Case(ALL, (Set(variables={"region": "eu"}),), account={"base_url": OWN}),
    "variable-of-an-unused-set": Case(
        NOBODY, (Set("", "default", 0), Set("", "b", 1, {"region": "eu"})), account={"base_url": OWN}
    ),
    "variable-of-a-set-without-a-key": Case(
        NOBODY, (Set(keys=0, variables={"region": "eu"}),), account={"base_url": OWN}, provider={"keyless": True}
    ),
    "plain-http": Case(NOBODY, account={"base_url": "http://up.example/v1"}),
    "loopback": Case(NOBODY, account={"base_url": "https://127.0.0.1/v1"}),
    "loopback-allowed": Case(ALL, account={"base_url": "http://127.0.0.1:9/v1", "private_network": True}),
    "body-variable-missing": Case(NOBODY, provider=ASSIST),
    "body-variable-of-the-account": Case(ALL, provider=ASSIST, account={"variables": {"project": "p"}}),
    "body-variable-of-the-set": Case(ONLY_RICH, (Set(RICH, variables={"project": "p"}), Set()), provider=ASSIST),
    "body-variable-blank": Case(NOBODY, provider=ASSIST, account={"variables": {"project": " "}}),
    # families
    "not-served": Case(NOBODY, provider={"family": UNSPOKEN}),
    "not-served-by-the-account": Case(NOBODY, account={"family": UNSPOKEN}),
    "not-served-by-the-route": Case(NOBODY, route={"family": UNSPOKEN}),
    "not-served-by-the-model": Case(NOBODY, facts={"family": UNSPOKEN}),
    "not-served-by-the-models-other-id": Case(NOBODY, facts={"family": UNSPOKEN, "model": "x", "aliases": ["up"]}),
    "spoken-by-the-model": Case(ALL, provider={"family": UNSPOKEN}, facts={"family": "openai-completions"}),
    "spoken-by-the-route-against-the-model": Case(
        ALL, route={"family": "openai-completions"}, facts={"family": UNSPOKEN}
    ),
    "offered-too": Case(
        ALL, provider={"family": UNSPOKEN, "families": {"openai-completions": "https://too.example/v1"}}
    ),
    "offered-too-and-not-asked": Case(
        NOBODY,
        provider={"family": UNSPOKEN, "families": {"openai-completions": "https://too.example/v1"}},
        account={"family": UNSPOKEN},
    ),
}


@pytest.fixture
def sent() -> Iterator[None]:
    """What would leave this machine is answered here, after the check of its address."""

    def answer(request: httpx.Request) -> httpx.Response:
        refused = check_url(str(request.url), request.extensions["jackfield"].private_network)
        if refused:
            raise httpx.ConnectError(refused)
        return reply(request)

    transport.install(httpx.MockTransport(answer))
    yield
    transport.install(None)


def patch(world: Any, name: str, case: Case) -> None:
    provider = world.provider(name, **case.provider)
    account = world.account(name, **{"base_url": f"https://{name}.example/v1", "provider": provider, **case.account})
    for made in case.sets:
        owner = world.project(made.project) if made.project else None
        key_set = KeySet.objects.create(account=account, project=owner, name=made.name, variables=made.variables)
        for number in range(made.keys):
            row = vault.enter_key(key_set, Secret(f"key-{name}-{made.project}-{made.name}-{number}"))
            if not made.opens:
                row.sealed = bytes(row.sealed[:-1]) + bytes([row.sealed[-1] ^ 1])
            row.enabled = made.enabled
            row.save(update_fields=["sealed", "enabled"])
    if case.facts is not None:
        CatalogModel.objects.create(**{"provider": provider, "model": "up", **case.facts})
    named = {"key_set": KeySet.objects.get(account=account, name=case.named)} if case.named else {}
    world.model(name, (account, "up", {**case.route, **named}))


def explained(snapshot: Snapshot, name: str, project: str) -> bool:
    return any(not place["problems"] for place in explain(snapshot, name, project)["candidates"])


def available(snapshot: Snapshot, name: str, project: str) -> bool:
    """What `auto` thinks of the model."""
    row = Project.objects.get(name=project)
    now = Moment(snapshot, OPENAI_CHAT, partial(keys_now, snapshot, row.pk))
    try:
        plan = resolve(snapshot, UNKNOWN, Ask(row.pk, name, OPENAI_CHAT))
    except Unresolved:
        return False
    return any(now.why_not(candidate) is None for candidate in plan.candidates)


def test_all_who_are_asked_agree_with_a_request(plane: Any, sent: None) -> None:
    tokens = {project: plane.world.token(plane.world.project(project)) for project in (DEMO, RICH)}
    with revisions.recording("tester"):
        for name, case in CASES.items():
            patch(plane.world, name, case)
    plane.settle()
    snapshot, standing = build(), Standing()
    working = set(working_routes(standing).values_list("model__name", flat=True))
    assert working == set(with_standing(PublicModel.objects.all()).filter(works=True).values_list("name", flat=True))
    told: dict[str, dict[str, frozenset[str]]] = {}
    for name in CASES:
        (entry,) = snapshot.models[name].routes
        row = Route.objects.select_related("account__provider").get(model__name=name)
        told[name] = {
            "explain": frozenset(project for project in ALL if explained(snapshot, name, project)),
            "auto": frozenset(project for project in ALL if available(store.current, name, project)),
            "request": frozenset(project for project in ALL if _serves(plane, tokens[project], name)),
        }
        anybody = bool(told[name]["request"])
        assert bool(why_not(snapshot, entry)) != anybody, (name, why_not(snapshot, entry))
        assert (name in working) == anybody, name
        assert not row.enabled or bool(standing.problems(row)) != anybody, (name, standing.problems(row))
    assert told == {name: dict.fromkeys(("explain", "auto", "request"), case.serves) for name, case in CASES.items()}


def _serves(plane: Any, token: str, model: str) -> bool:
    asked = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    answer = plane.client.post("/v1/chat/completions", json=asked, headers={"authorization": f"Bearer {token}"})
    return bool(answer.status_code == 200)


def test_a_model_that_is_off_serves_nobody(plane: Any, sent: None) -> None:
    patch(plane.world, "plain", Case(ALL))
    PublicModel.objects.filter(name="plain").update(enabled=False)
    plane.settle()
    assert not _serves(plane, plane.token, "plain") and not explained(build(), "plain", DEMO)
    assert not available(store.current, "plain", DEMO)


def test_a_key_that_does_not_open_stops_no_provider_that_needs_none(plane: Any, sent: None) -> None:
    """Also when the pool tries it again after a while."""
    patch(plane.world, "open", Case(ALL, (Set(opens=False),), provider={"keyless": True}))
    plane.settle()
    for _ in range(2):
        assert _serves(plane, plane.token, "open")
        pool._failed.clear()
    assert explained(build(), "open", DEMO) and available(store.current, "open", DEMO)


def test_a_rest_of_all_keys_passes(rested: None, plane: Any, sent: None) -> None:
    """Requests are told when to come again, `auto` looks elsewhere, and nobody is sent to mend anything."""
    patch(plane.world, "plain", Case(ALL))
    plane.settle()
    pool.cool(ProviderKey.objects.get(key_set__account__name="plain").fingerprint, 60)
    answer = plane.ask("plain")
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "keys_cooling")
    assert not available(store.current, "plain", DEMO)
    snapshot = build()
    assert explained(snapshot, "plain", DEMO)
    assert why_not(snapshot, snapshot.models["plain"].routes[0]) == ""
    assert working_routes().filter(model__name="plain").exists()
