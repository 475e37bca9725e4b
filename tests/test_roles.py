"""Who may do what (R-SEC, permission model): role x admin URL x field, against the table written here."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.core.management.sql import emit_post_migrate_signal
from django.db import models
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from keys.models import ApiToken, KeySet, ProviderKey
from keys.roles import FIRST_OPERATOR_GROUPS, ROLES, codenames, make_first_operator
from routing.models import Alias, GatewayProcess, PrefixRule, PublicModel, Revision, Route, Worker
from tests.people import client, person, posted

pytestmark = pytest.mark.django_db

#: page -> what each role may do there: v(iew), a(dd), c(hange), d(elete)
PAGES = {
    "providers.provider": {"security": "vacd", "operator": "vc", "auditor": "v"},
    "providers.account": {"security": "vacd", "operator": "vc", "auditor": "v"},
    "providers.catalogmodel": {"security": "vacd", "operator": "vac", "auditor": "v"},
    "keys.project": {"security": "vacd", "operator": "vac", "auditor": "v"},
    "keys.keyset": {"security": "vacd", "operator": "v", "auditor": "v"},
    "keys.providerkey": {"security": "vacd", "operator": "", "auditor": "v"},
    "keys.apitoken": {"security": "vad", "operator": "va", "auditor": "v"},
    "routing.publicmodel": {"security": "vacd", "operator": "vacd", "auditor": "v"},
    "routing.route": {"security": "vacd", "operator": "vacd", "auditor": "v"},
    "routing.alias": {"security": "vacd", "operator": "vacd", "auditor": "v"},
    "routing.prefixrule": {"security": "vacd", "operator": "vacd", "auditor": "v"},
    "routing.preference": {"security": "vacd", "operator": "vacd", "auditor": "v"},
    "routing.revision": {"security": "v", "operator": "v", "auditor": "v"},
    "routing.gatewayprocess": {"security": "v", "operator": "v", "auditor": "v"},
    "routing.worker": {"security": "v", "operator": "v", "auditor": "v"},
    "api.usagerecord": {"security": "v", "operator": "v", "auditor": "v"},
    "auth.user": {"security": "vac", "operator": "", "auditor": "v"},
    "auth.group": {"security": "v", "operator": "", "auditor": "v"},
}
#: URL kinds of one page and the letter that opens them with GET.
KINDS = {"changelist": "v", "add": "a", "change": "v", "delete": "d", "history": "v"}
#: What there is besides the pages of models.
OTHER_URLS = {
    *("index", "login", "logout", "password_change", "password_change_done", "autocomplete", "jsi18n"),
    *("routing_worker_live", "routing_worker_drain", "routing_health", "routing_explain"),
    *("providers_account_sign_in", "view_on_site", "app_list", "search", "auth_user_password_change", None),
}
#: Columns of an existing row that a role may write through its page. `*` is every column of the form.
FORM = {
    "providers.provider": {"slug", "name", "family", "families", "base_url", "variables", "credential"}
    | {"credential_name", "env_keys", "env_prefix", "aliases", "capabilities", "streaming", "keyless", "quirks"}
    | {"enabled", "deferred_to", "deferred_reason"},
    "providers.account": {"name", "provider_id", "family", "base_url", "variables", "private_network", "timeouts"}
    | {"env_pattern", "enabled", "probe", "probe_interval", "probe_cost"},
    "keys.keyset": {"account_id", "project_id", "name", "variables", "env_pattern"},
    "keys.project": {"name", "description", "enabled"},
    "keys.providerkey": {"position", "enabled"},
    "keys.apitoken": set(),
    "routing.publicmodel": {"name", "service", "description", "enabled", "strategy", "sticky", "content_fallback"}
    | {"hedge_after", "hedge_daily"},
    "routing.route": {"model_id", "account_id", "upstream_model", "key_set_id", "family", "infra", "priority"}
    | {"weight", "enabled", "quirks", "larger_context"},
    "routing.prefixrule": {"prefix", "provider_id", "strip", "enabled"},
    "auth.user": {"username", "first_name", "last_name", "email", "is_active", "is_staff"},
}
NARROWED = {
    "providers.provider": {"streaming"},
    "providers.account": {"enabled", "timeouts", "probe", "probe_interval"},
}


@pytest.fixture
def rows(world: Any) -> dict[str, models.Model]:
    """One row of every table that has a page."""
    account = world.account("one", keys=("sk-0123456789abcdefgh",))
    model = world.model("gpt-best", (account, "gpt-4o"))
    project = world.project("demo")
    world.token(project)
    from django.utils import timezone

    from api.models import UsageRecord
    from providers.models import CatalogModel

    now = timezone.now()
    return {
        "providers.provider": account.provider,
        "providers.account": account,
        "providers.catalogmodel": CatalogModel.objects.create(provider=account.provider, model="gpt-4o"),
        "keys.project": project,
        "keys.keyset": KeySet.objects.get(),
        "keys.providerkey": ProviderKey.objects.get(),
        "keys.apitoken": ApiToken.objects.get(),
        "routing.publicmodel": model,
        "routing.route": Route.objects.get(),
        "routing.alias": Alias.objects.create(name="best", model=model),
        "routing.prefixrule": PrefixRule.objects.create(prefix="gpt", provider=account.provider),
        "routing.preference": project.preference,
        "routing.revision": Revision.objects.first(),
        "routing.gatewayprocess": GatewayProcess.objects.create(name="host:1", seen_at=now - timedelta(hours=1)),
        "routing.worker": Worker.objects.create(
            id="w1", account=account, token=ApiToken.objects.get(), url="https://w", heard_at=now, changed_at=now
        ),
        "api.usagerecord": UsageRecord.objects.create(
            request_id="r1", started_at=now, endpoint="chat", dialect="openai_chat", outcome="ok"
        ),
        "auth.user": person("colleague"),
        "auth.group": Group.objects.first(),
    }


def address(label: str, kind: str, row: models.Model) -> str:
    name = f"admin:{label.replace('.', '_')}_{kind}"
    return reverse(name) if kind in ("changelist", "add") else reverse(name, args=[row.pk])


def test_every_registered_page_is_in_the_table() -> None:
    """A new model or a new admin URL fails until somebody has said who may use it."""
    assert {model._meta.label_lower for model in admin.site._registry} == set(PAGES)
    known = {f"{label.replace('.', '_')}_{kind}" for label in PAGES for kind in KINDS} | OTHER_URLS
    names = {pattern.name for pattern in _patterns(admin.site.urls[0])}
    assert names - known == set()


def _patterns(found: Any) -> list[URLPattern]:
    flat: list[URLPattern] = []
    for entry in found:
        flat += _patterns(entry.url_patterns) if isinstance(entry, URLResolver) else [entry]
    return flat


@pytest.mark.parametrize("role", ["security", "operator", "auditor", "nobody"])
def test_role_by_url(role: str, rows: dict[str, models.Model]) -> None:
    browser = client(role)
    wrong = []
    for label, row in rows.items():
        for kind, letter in KINDS.items():
            allowed = letter in PAGES[label].get(role, "")
            status = browser.get(address(label, kind, row)).status_code
            if status != (200 if allowed else 403):
                wrong.append((label, kind, status, "allowed" if allowed else "forbidden"))
    assert wrong == []


@pytest.mark.parametrize("role", ["anonymous", "outsider"])
def test_no_staff_no_page(role: str, rows: dict[str, models.Model]) -> None:
    browser = client(role)
    for label, row in rows.items():
        for kind in KINDS:
            response = browser.get(address(label, kind, row))
            assert (response.status_code, response.url.split("?")[0]) == (302, reverse("admin:login"))


@pytest.mark.parametrize("role", ["security", "operator", "auditor", "nobody"])
def test_deleting_by_post(role: str, rows: dict[str, models.Model]) -> None:
    browser = client(role)
    for label in ("routing.alias", "routing.prefixrule", "keys.providerkey", "routing.revision", "auth.user"):
        browser.post(address(label, "delete", rows[label]), {"post": "yes"})
        gone = not type(rows[label])._base_manager.filter(pk=rows[label].pk).exists()
        assert gone == ("d" in PAGES[label].get(role, "")), label


OTHER_VALUES: dict[type[models.Field], Any] = {
    models.JSONField: '{"injected": "x"}',
    models.BooleanField: "flip",
    models.PositiveIntegerField: "77",
    models.BigIntegerField: "77",
    models.DateTimeField: "2031-01-01 00:00:00",
    models.BinaryField: "AAAA",
}


@pytest.mark.parametrize("label", sorted(FORM))
@pytest.mark.parametrize("role", ["security", "operator"])
def test_role_by_field(role: str, label: str, rows: dict[str, models.Model], world: Any) -> None:
    """Every column of the row, one at a time, put into what the page posts: only those of the table change."""
    may_change = "c" in PAGES[label][role]
    allowed = (NARROWED.get(label, FORM[label]) if role == "operator" else FORM[label]) if may_change else set()
    row, model = rows[label], type(rows[label])
    other = world.account("other", "https://other.example/v1", provider=world.provider("other"))
    browser = client(role)
    url = address(label, "change", row)
    changed: set[str] = set()
    page = client("security").get(url)
    for field in model._meta.concrete_fields:
        if field.primary_key:
            continue
        data = {**posted(page), **_injected(field, row, other)}
        before = model._base_manager.filter(pk=row.pk).values().get()
        browser.post(url, {**data, "_continue": "1"})
        after = model._base_manager.filter(pk=row.pk).values().get()
        changed |= {name for name in after if _plain(before[name]) != _plain(after[name])}
    # A field whose other value is refused for its content shows nothing here; what must not happen is a change.
    bookkeeping = {"last_login", "catalog", "rights_mac"}
    assert changed - allowed - bookkeeping == set()
    assert bool(changed) == bool(allowed)


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value


def _injected(field: models.Field, row: models.Model, other: Any) -> dict[str, Any]:
    """A value for the column that differs from the row's."""
    if isinstance(field, models.BooleanField):
        return {field.name: "" if getattr(row, field.name) else "on"}
    if isinstance(field, models.ForeignKey):
        known = {"account": other.pk, "provider": other.provider.pk, "project": "", "key_set": ""}
        return {field.name: known.get(field.name, 1)}
    if isinstance(field, models.DateTimeField):
        return {field.name: "2031-01-01", f"{field.name}_0": "2031-01-01", f"{field.name}_1": "00:00:00"}
    if isinstance(field, models.JSONField):
        return {field.name: '{"total": 5}' if field.name == "timeouts" else '{"injected": "x"}'}
    if isinstance(field, models.IntegerField):
        return {field.name: "77"}
    choices = [value for value, _ in field.choices or () if value != getattr(row, field.name)]
    if choices:
        return {field.name: choices[0]}
    if field.name == "family":
        return {field.name: "anthropic-messages"}
    return {field.name: "injected"}


@pytest.mark.parametrize("label", sorted(FORM))
def test_an_auditor_writes_nothing(label: str, rows: dict[str, models.Model], world: Any) -> None:
    row, model = rows[label], type(rows[label])
    other = world.account("other", "https://other.example/v1", provider=world.provider("other"))
    data: dict[str, Any] = {}
    for field in model._meta.concrete_fields:
        data.update(_injected(field, row, other))
    browser = client("auditor")
    before = list(model._base_manager.order_by("pk").values())
    assert browser.post(address(label, "change", row), data).status_code == 403
    assert browser.post(address(label, "add", row), data).status_code == 403
    assert browser.post(address(label, "delete", row), {"post": "yes"}).status_code == 403
    assert list(model._base_manager.order_by("pk").values()) == before


ACTIONS = {
    ("providers.account", "sync_models"): {"security", "operator"},
    ("routing.publicmodel", "enable_selected"): {"security", "operator"},
    ("routing.publicmodel", "disable_selected"): {"security", "operator"},
    ("routing.publicmodel", "repatch_selected"): {"security", "operator"},
    ("routing.publicmodel", "delete_selected"): {"security", "operator"},
    ("routing.route", "delete_selected"): {"security", "operator"},
    ("routing.alias", "delete_selected"): {"security", "operator"},
    ("routing.prefixrule", "delete_selected"): {"security", "operator"},
    ("routing.preference", "delete_selected"): {"security", "operator"},
    ("keys.apitoken", "revoke_selected"): {"security", "operator"},
    ("keys.apitoken", "revoke_compromised"): {"security", "operator"},
    ("keys.apitoken", "delete_selected"): {"security"},
    ("keys.providerkey", "delete_selected"): {"security"},
    ("keys.providerkey", "use_again"): {"security"},
    ("keys.keyset", "delete_selected"): {"security"},
    ("keys.project", "delete_selected"): {"security"},
    ("providers.provider", "delete_selected"): {"security"},
    ("providers.account", "delete_selected"): {"security"},
    ("providers.catalogmodel", "delete_selected"): {"security"},
}


@pytest.mark.parametrize("role", ["security", "operator", "auditor"])
def test_role_by_action(role: str, rf: Any) -> None:
    """Every bulk action of every page is offered to the roles of the table and to nobody else."""
    request = rf.get("/admin/")
    request.user = User.objects.get(pk=person(role).pk)
    offered = {
        (model._meta.label_lower, name)
        for model, page in admin.site._registry.items()
        for name in page.get_actions(request)
    }
    assert offered == {key for key, roles in ACTIONS.items() if role in roles}


def test_an_action_that_is_not_offered_does_nothing(rows: dict[str, models.Model]) -> None:
    for label, action in ACTIONS:
        if "v" in PAGES[label]["auditor"]:
            url = address(label, "changelist", rows[label])
            client("auditor").post(url, {"action": action, "_selected_action": [str(rows[label].pk)], "post": "yes"})
    assert ApiToken.objects.filter(revoked_at=None).count() == 1
    assert PublicModel.objects.filter(enabled=True).count() == 1
    assert ProviderKey.objects.count() == 1


def test_an_operator_cannot_issue_an_admin_token(rows: dict[str, models.Model]) -> None:
    data = {"project": rows["keys.project"].pk, "kind": "a", "name": "x", "expires_at_0": "", "expires_at_1": ""}
    client("operator").post(reverse("admin:keys_apitoken_add"), data)
    assert not ApiToken.objects.filter(kind="a").exists()
    assert client("security").post(reverse("admin:keys_apitoken_add"), data).status_code == 200
    assert ApiToken.objects.filter(kind="a").count() == 1


@pytest.mark.parametrize("role", ["security", "auditor"])
@pytest.mark.parametrize(
    ("page", "lookup"),
    [
        *(
            ("providerkey", lookup)
            for lookup in ("sealed__gt", "sealed", "sealed__startswith", "key_set__keys__sealed")
        ),
        *(("apitoken", lookup) for lookup in ("mac__startswith", "row_mac__gt", "project__tokens__mac__startswith")),
        *(("project", lookup) for lookup in ("tokens__mac__startswith", "key_sets__keys__sealed__gt")),
        ("apitoken", "created_by__password__startswith"),
    ],
)
def test_f24_no_filter_asks_about_a_secret_column(
    page: str, lookup: str, role: str, rows: dict[str, models.Model]
) -> None:
    """A list that grows and shrinks with a filter would tell a column that is never shown, digit by digit."""
    answer = client(role).get(reverse(f"admin:keys_{page}_changelist"), {lookup: "a"})
    assert answer.status_code == 400
    assert "Traceback" not in answer.content.decode()


def test_nobody_becomes_a_superuser_in_the_admin(rows: dict[str, models.Model]) -> None:
    """Also not by setting a superuser's password (no daily role is one)."""
    root = User.objects.create_superuser("root", password="a password of root")
    browser = client("security")
    me = User.objects.get(username="security")
    url = reverse("admin:auth_user_change", args=[me.pk])
    browser.post(url, {**posted(browser.get(url)), "is_superuser": "on", "user_permissions": "1"})
    assert not User.objects.get(pk=me.pk).is_superuser
    password = {"password1": "another password 1", "password2": "another password 1"}
    given = {"username": "newcomer", **password, "is_superuser": "on", "user_permissions": "1"}
    assert browser.post(reverse("admin:auth_user_add"), given).status_code == 302
    made = User.objects.get(username="newcomer")
    assert not made.is_superuser and not made.user_permissions.exists() and not made.groups.exists()
    for name in ("admin:auth_user_password_change", "admin:auth_user_change"):
        data = {"password1": "another password 1", "password2": "another password 1", "username": "root"}
        assert browser.post(reverse(name, args=[root.pk]), data).status_code == 403
    root.refresh_from_db()
    assert root.check_password("a password of root")


def test_the_groups_hold_what_the_table_says() -> None:
    for role in ROLES:
        held = Group.objects.get(name=role).permissions.select_related("content_type")
        assert {(each.content_type.app_label, each.codename) for each in held} == codenames(role)


def test_the_first_operator_is_staff_with_roles_and_no_superuser() -> None:
    name, password = make_first_operator()
    user = User.objects.get(username=name)
    assert user.check_password(password) and len(password) >= 16
    assert user.is_staff and not user.is_superuser
    assert {group.name for group in user.groups.all()} == set(FIRST_OPERATOR_GROUPS)
    with pytest.raises(ValueError, match="there is a user already"):
        make_first_operator()


def test_every_url_of_the_control_plane_is_known() -> None:
    """What is outside the admin and /manage/ is the landing page and the data plane only."""
    outside = {str(entry.pattern) for entry in get_resolver().url_patterns}
    assert outside == {"", "admin/", "manage/"}


def test_every_migrate_brings_the_table_to_the_groups() -> None:
    """A database made under an older table, or edited past us, holds what the table says after an upgrade."""
    Group.objects.get(name="auditor").permissions.clear()
    Group.objects.get(name="operator").permissions.add(*Permission.objects.filter(codename="delete_user"))
    Group.objects.filter(name="security admin").delete()
    emit_post_migrate_signal(0, False, "default")
    for role in ROLES:
        held = Group.objects.get(name=role).permissions.values_list("content_type__app_label", "codename")
        assert set(held) == codenames(role), role
