"""A snapshot patched row by row equals one built from nothing, whatever the writes were."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, models, transaction
from django.test.utils import CaptureQueriesContext

from keys.models import ApiToken, KeySet, Project, ProviderKey
from keys.tokens import issue, revoke, set_expiry
from keys.vault import enter_key
from providers.models import Account, CatalogModel, Provider
from providers.secrets import Secret
from routing import build as building
from routing.build import build, patch
from routing.models import Alias, Preference, PrefixRule, PublicModel, Revision, Route
from routing.revisions import latest, publish, recording
from tests.snapshots import assert_same

pytestmark = pytest.mark.django_db


def test_r_tok_05_a_compromised_token_is_told_from_a_retired_one() -> None:
    project = Project.objects.create(name="one")
    kept, retired, stolen = (issue(project)[0] for _ in range(3))
    revoke(retired)
    revoke(stolen, ApiToken.Reason.COMPROMISED)
    entries = {entry.id: entry.compromised for entry in build().tokens.values()}
    assert entries == {str(kept.pk): False, str(retired.pk): False, str(stolen.pk): True}


class Scribbler:
    """Random writes on every table, through the ORM as all code does it."""

    def __init__(self, seed: int) -> None:
        self.draws = random.Random(seed)
        self.count = 0
        self.steps = [getattr(self, name) for name in dir(self) if name.startswith("do_")]

    def name(self) -> str:
        self.count += 1
        return f"n{self.count}"

    def any(self, model: type[models.Model]):
        return model._default_manager.order_by("pk")[
            self.draws.randrange(max(model._default_manager.count(), 1)) :
        ].first()

    def step(self) -> None:
        """One write; what the database refuses is taken back whole."""
        try:
            with transaction.atomic():
                self.draws.choice(self.steps)()
        except (models.ProtectedError, IntegrityError, ValidationError):
            pass

    def do_add_provider(self):
        Provider.objects.create(
            slug=self.name(), name="P", family="openai-completions", base_url=f"https://h{self.count}.example/v1",
            aliases=[f"al{self.count}"],
        )  # fmt: skip

    def do_change_provider(self):
        if row := self.any(Provider):
            change = self.draws.choice(["slug", "base_url", "enabled", "aliases", "variables"])
            values = {
                "slug": self.name(),
                "base_url": f"https://{self.name()}.example/v1",
                "enabled": not row.enabled,
                "aliases": [self.name(), self.name()],
                "variables": [{"name": "region", "env": ["R"], "default": self.name()}],
            }
            setattr(row, change, values[change])
            row.save()

    def do_add_account(self):
        if provider := self.any(Provider):
            Account.objects.create(name=self.name(), provider=provider, timeouts={"total": 5})

    def do_change_account(self):
        if row := self.any(Account):
            row.name, row.provider = self.name(), self.any(Provider)
            row.base_url = self.draws.choice(["", "https://own.example/v1", "https://{region}.example/v1"])
            row.variables = {"region": self.name()}
            row.save()

    def do_add_key_set(self):
        if account := self.any(Account):
            KeySet.objects.create(
                account=account, project=self.draws.choice([None, self.any(Project)]), name=self.name()
            )

    def do_change_key_set(self):
        if row := self.any(KeySet):
            if self.draws.random() < 0.3 and not Route.objects.filter(key_set=row).exists():
                row.account = self.any(Account)
            row.variables = {"region": self.name()}
            row.save()

    def do_add_key(self):
        row = self.any(KeySet)
        if row and Account.objects.filter(pk=row.account_id).exclude(base_url__contains="{").exists():
            enter_key(row, Secret(f"sk-canary-{self.name()}-00000000000"))

    def do_change_key(self):
        if row := self.any(ProviderKey):
            row.enabled, row.position = not row.enabled, self.draws.randrange(9)
            row.save()

    def do_add_project(self):
        Project.objects.create(name=self.name())

    def do_change_project(self):
        if row := self.any(Project):
            row.name, row.enabled = self.name(), not row.enabled
            row.save()

    def do_prefer(self):
        if project := self.any(Project):
            Preference.objects.update_or_create(
                project=project, defaults={"allow": [self.draws.choice(["*", "n*", "n1"])], "preferred": ["n3"]}
            )

    def do_add_model(self):
        PublicModel.objects.create(name=self.name())

    def do_rename_model(self):
        if row := self.any(PublicModel):
            row.name = self.name()
            row.save()

    def do_swap_models(self):
        one, other = self.any(PublicModel), self.any(PublicModel)
        if one and other and one.pk != other.pk:
            first, second = one.name, other.name
            with recording("swap"):
                PublicModel.objects.filter(pk=one.pk).update(name=self.name())
                PublicModel.objects.filter(pk=other.pk).update(name=first)
                PublicModel.objects.filter(pk=one.pk).update(name=second)

    def do_add_route(self):
        if (model := self.any(PublicModel)) and (account := self.any(Account)):
            key_set = self.draws.choice([None, KeySet.objects.filter(account=account).first()])
            Route.objects.create(
                model=model, account=account, upstream_model="u", key_set=key_set, priority=self.draws.randrange(3)
            )

    def do_move_route(self):
        if row := self.any(Route):
            row.model, row.priority = self.any(PublicModel), self.draws.randrange(3)
            row.account, row.key_set = self.any(Account), None
            row.quirks = {"n": self.count}
            row.save()

    def do_add_alias(self):
        if model := self.any(PublicModel):
            Alias.objects.create(name=self.name(), model=model)

    def do_move_alias(self):
        if row := self.any(Alias):
            row.name, row.model = self.name(), self.any(PublicModel)
            row.save()

    def do_add_prefix(self):
        if provider := self.any(Provider):
            PrefixRule.objects.create(prefix=f"{self.name()}-", provider=provider)

    def do_change_prefix(self):
        if row := self.any(PrefixRule):
            row.enabled, row.strip = not row.enabled, not row.strip
            row.save()

    def do_add_facts(self):
        if provider := self.any(Provider):
            CatalogModel.objects.create(provider=provider, model=self.name(), aliases=["x", self.name()])

    def do_change_facts(self):
        if row := self.any(CatalogModel):
            row.model, row.price_input = self.name(), self.draws.randrange(10**6)
            row.save()

    def do_add_token(self):
        if project := self.any(Project):
            issue(project)

    def do_change_token(self):
        if row := self.any(ApiToken):
            if self.draws.random() < 0.5:
                revoke(row)
            else:
                set_expiry(row, datetime.now(UTC) + timedelta(days=1))

    def do_delete(self):
        tables = (Provider, Account, KeySet, ProviderKey, Project, PublicModel, Route, Alias, PrefixRule, ApiToken)
        if row := self.any(self.draws.choice((*tables, CatalogModel, Preference))):
            row.delete()

    def do_several(self):
        with recording("several"):
            for _ in range(3):
                self.step()


@pytest.mark.parametrize("seed", range(6))
def test_a_patch_equals_a_build_after_any_writes(seed):
    """Every table, every kind of write, patched over one revision or many."""
    scribbler = Scribbler(seed)
    snapshot = build()
    for _ in range(60):
        for _ in range(scribbler.draws.choice([1, 1, 1, 2, 5])):
            scribbler.step()
        snapshot = patch(snapshot)
        assert_same(snapshot, build())
    assert snapshot.revision == latest() > 60
    assert sum(len(getattr(snapshot, name)) for name in ("models", "accounts", "tokens", "key_sets", "facts")) > 10


def test_a_patch_shares_what_it_did_not_touch(world):
    world.model("m", (world.account(keys=("sk-canary-000000000000",)), "u"))
    world.token()
    before = build()
    PublicModel.objects.update(description="new")
    after = patch(before)
    assert after.models["m"].description == "new" and before.models["m"].description == ""
    for name in ("tokens", "accounts", "key_sets", "providers", "facts", "projects"):
        assert getattr(after, name) is getattr(before, name)
    assert patch(after) is after


def test_a_build_takes_the_same_number_of_queries_however_much_there_is(world):
    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            build()
        return len([q for q in seen if q["sql"].startswith("SELECT")])

    few = queries()
    for n in range(25):
        account = world.account(f"a{n}", keys=("sk-canary-000000000000",))
        world.model(f"m{n}", (account, "u"), (account, "v"))
        world.token()
    assert queries() == few <= 13


def test_a_patch_takes_few_queries_however_much_there_is(world):
    account = world.account()
    for n in range(30):
        world.model(f"m{n}", (account, "u"))
    snapshot = build()
    PublicModel.objects.filter(name="m7").update(description="x")
    with CaptureQueriesContext(connection) as seen:
        patch(snapshot)
    assert len([q for q in seen if q["sql"].startswith("SELECT")]) <= 5


@pytest.mark.parametrize("how", ["gap", "many", "publish", "restored"])
def test_where_the_changes_are_not_all_known_everything_is_read(world, monkeypatch, how):
    world.model("m", (world.account(), "u"))
    snapshot = build()
    PublicModel.objects.update(description="one")
    PublicModel.objects.update(description="two")
    if how == "gap":
        Revision.objects.filter(number=latest() - 1).delete()
    elif how == "many":
        monkeypatch.setattr(building, "PATCH_LIMIT", 0)
    elif how == "publish":
        publish()
    else:
        snapshot = msgspec.structs.replace(snapshot, revision=latest() + 5)
    PublicModel._base_manager.get_queryset().filter(name="m")
    seen = []
    monkeypatch.setattr(building, "_fill", lambda draft, pace: (seen.append(1), fill(draft, pace)))
    assert_same(patch(snapshot), build())
    assert len(seen) == 2


fill = building._fill


def test_publish_brings_in_what_raw_sql_changed(world):
    world.model("m", (world.account(), "u"))
    snapshot = build()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE routing_publicmodel SET description = 'raw'")
    assert patch(snapshot) is snapshot
    publish()
    assert patch(snapshot).models["m"].description == "raw"


def test_a_token_row_written_past_us_is_left_out_and_told(world):
    """R-TOK-02: by raw SQL a revoked token is made live, another moved to a second project; neither works."""
    issue(world.project("one"))
    issue(world.project("two"))
    third, _ = issue(world.project("two"))
    revoke(ApiToken.objects.order_by("created_at")[0])
    before = build()
    assert len(before.tokens) == 3 and not before.left_out
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE keys_apitoken SET revoked_at = NULL, project_id = %s", [Project.objects.get(name="one").pk]
        )
    after = build()
    assert len(after.tokens) == 0 and len(after.left_out) == 3
    assert f"token {third.pk}" in after.left_out
    third.refresh_from_db()
    third.name = "touched"
    third.save(update_fields=["name"])
    patched = patch(before)
    assert f"token {third.pk}" in patched.left_out and len(patched.tokens) == 2
    third.delete()
    assert not patch(patched).left_out
