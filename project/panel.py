"""The base of every admin page: one revision per submit, its number and reach shown, history from revisions.

What a role may write is decided here for all pages, from the table in `keys.roles`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Final

from django import forms
from django.contrib import messages
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.core.exceptions import FieldDoesNotExist, PermissionDenied, ValidationError
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from unfold.admin import ModelAdmin, StackedInline, TabularInline
from unfold.decorators import display
from unfold.views import ChangeList
from unfold.widgets import UnfoldAdminTextareaWidget

from keys.roles import writable_fields
from routing import history
from routing.presence import reach
from routing.revisions import RefusedChange, recording

#: Seconds that a save waits for the processes to follow, so that it can say that they did.
REACH_WAIT: Final = 0.9
#: Attribute of a request whose change was refused: the reasons.
_REFUSED: Final = "_reasons_of_refusal"


@contextmanager
def one_revision(request: HttpRequest, note: str = "") -> Iterator[None]:
    """Everything written inside is one revision of this user; then say its number and how far it has come."""
    began = time.monotonic()
    author = request.user if request.user.is_authenticated else None
    with recording(author, note=note) as change:
        yield
    if not change.number:
        return
    came = reach(change.number, REACH_WAIT)
    if not came.total:
        messages.info(request, f"Revision {change.number} is saved. No gateway process is running to serve it.")
    elif came.live == came.total:
        took = round((time.monotonic() - began) * 1000)
        messages.success(
            request,
            f"Revision {change.number} is live on {came.live}/{came.total} gateway processes (after {took} ms).",
        )
    else:
        messages.warning(
            request,
            f"Revision {change.number} is live on {came.live}/{came.total} gateway processes so far. "
            "See Gateway processes for those behind.",
        )


def asks_for_secret(model: type[models.Model], lookup: str) -> bool:
    """Does a look-up (`mac__startswith`, `project__tokens__mac`) touch a column of a table's `secret_fields`?"""
    table: Any = model
    for part in lookup.split("__"):
        if part in getattr(table, "secret_fields", ()):
            return True
        try:
            table = table._meta.get_field(part).related_model
        except FieldDoesNotExist:
            return False
        if table is None:
            return False
    return False


def _forget_messages(request: HttpRequest) -> None:
    """Take back what was said of a change that did not come to be."""
    storage: Any = messages.get_messages(request)
    storage._queued_messages.clear()


def _refusing(form: Any, reasons: list[str]) -> Any:
    """The form, invalid for these reasons whatever is in it."""

    class Refused(form):
        def clean(self) -> Any:
            found = super().clean()
            self.add_error(None, ValidationError(reasons))
            return found

    return Refused


def _or_back(request: HttpRequest, view: Callable[[], Any]) -> Any:
    """What the view makes, as one revision; if that is refused, the same page as before and why."""
    try:
        with one_revision(request):
            return view()
    except RefusedChange as error:
        _forget_messages(request)
        for reason in error.messages:
            messages.error(request, reason)
        return HttpResponseRedirect(request.get_full_path())


class LinesField(forms.Field):
    """A list of texts, one per line."""

    widget = UnfoldAdminTextareaWidget

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(str(item) for item in value) if isinstance(value, list | tuple) else value

    def to_python(self, value: Any) -> list[str]:
        if isinstance(value, list):
            return value
        return [line.strip() for line in str(value or "").splitlines() if line.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.to_python(initial) != self.to_python(data))


class ObjectField(forms.JSONField):
    """A JSON object or list of the type that the model field starts with."""

    def __init__(self, *args: Any, shape: type, **kwargs: Any) -> None:
        self.shape = shape
        kwargs.setdefault("widget", UnfoldAdminTextareaWidget(attrs={"rows": 3, "class": "font-mono"}))
        super().__init__(*args, **kwargs)

    def clean(self, value: Any) -> Any:
        found = super().clean(value)
        if found in (None, ""):
            return self.shape()
        if not isinstance(found, self.shape):
            raise ValidationError(f"This is {'an object {…}' if self.shape is dict else 'a list […]'} in JSON.")
        if isinstance(found, dict) and any(not str(name).isprintable() for name in found):
            raise ValidationError("A name in it holds a character that cannot be printed.")
        return found


class Fields:
    """How the fields of our models become form fields, in pages and inlines alike."""

    #: JSON lists of plain texts, edited one per line.
    lines: ClassVar[tuple[str, ...]] = ()
    #: What a field is called, and what is said of it, where the column's name and help do not say it well.
    labels: ClassVar[dict[str, str]] = {}
    hints: ClassVar[dict[str, str]] = {}

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> forms.Field | None:
        if isinstance(db_field, models.JSONField):
            common: dict[str, Any] = {
                "required": False,
                "label": kwargs.get("label", db_field.verbose_name.capitalize()),
                "help_text": kwargs.get("help_text", db_field.help_text),
            }
            if db_field.name in self.lines:
                help_text = f"{common['help_text']} One per line.".strip()
                return LinesField(**{**common, "help_text": help_text}, widget=UnfoldAdminTextareaWidget({"rows": 4}))
            shape = db_field.default if isinstance(db_field.default, type) else dict
            return ObjectField(**common, shape=shape, initial=shape)
        return super().formfield_for_dbfield(db_field, request, **kwargs)  # type: ignore[misc, no-any-return]  # unfold has no types

    def _words(self, given: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a form's making, with the labels and hints of this page: read-only fields have them too."""
        return {"labels": self.labels or None, "help_texts": self.hints or None, **given}


class PanelChangeList(ChangeList):
    """A page of rows with the last change of each, found in two queries for all of them."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if "last_change" not in self.list_display:
            return
        found = history.last_changes(self.model, [row.pk for row in self.result_list])
        for row in self.result_list:
            row.last_change = found.get(str(row.pk))


class Panel(Fields, ModelAdmin):
    """One table of the configuration."""

    show_full_result_count = False
    list_per_page = 50
    compressed_fields = True
    warn_unsaved_form = True
    list_filter_submit = False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return PanelChangeList

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """No filter in an address may ask about a column that is never shown: answers would tell it bit by bit."""
        return not asks_for_secret(self.model, lookup) and super().lookup_allowed(lookup, value, request)

    @display(description="Last change")
    def last_change(self, row: Any) -> str:
        """Who and when, from the newest revision that touched the row."""
        last = row.last_change
        return f"{last.author}, {history.ago(last.at)} (r{last.number})" if last else "-"

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """The fields that this user's role may not write are text, and a value posted for them is not read."""
        declared = tuple(super().get_readonly_fields(request, obj))
        allowed = writable_fields(request.user, self.model) if obj is not None else None
        if allowed is None:
            return declared
        editable = [field.name for field in self.model._meta.fields if field.editable and not field.primary_key]
        return (*declared, *(name for name in editable if name not in allowed and name not in declared))

    def changeform_view(
        self, request: HttpRequest, object_id: Any = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        if request.method != "POST":
            return super().changeform_view(request, object_id, form_url, extra_context)
        try:
            with one_revision(request):
                return super().changeform_view(request, object_id, form_url, extra_context)
        except RefusedChange as error:
            # The same page again with what was typed, its form refused with the reason.
            _forget_messages(request)
            setattr(request, _REFUSED, error.messages)
            return super().changeform_view(request, object_id, form_url, extra_context)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **self._words(kwargs))
        reasons: list[str] = getattr(request, _REFUSED, [])
        return _refusing(form, reasons) if reasons else form

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        if request.method != "POST":
            return super().delete_view(request, object_id, extra_context)
        return _or_back(request, lambda: super(Panel, self).delete_view(request, object_id, extra_context))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        if request.method != "POST":
            return super().changelist_view(request, extra_context)
        return _or_back(request, lambda: super(Panel, self).changelist_view(request, extra_context))

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """What changed in this row and in what belongs to it, who did it and when."""
        row = self.get_object(request, object_id)
        if row is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[no-any-return]  # unfold has no types
        if not self.has_view_or_change_permission(request, row):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": f"History of {row}",
            "changes": history.of_row(self.model, row.pk, request.user),
            "object": row,
            "opts": self.opts,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/object_history.html", context)


class ReadOnlyPanel(Panel):
    """Rows that only the system writes."""

    warn_unsaved_form = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_actions(self, request: HttpRequest) -> Any:
        return {}


class _Inline(Fields):
    """What inlines share: no links to other pages inside, which would lose what was typed."""

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        return super().get_formset(request, obj, **self._words(kwargs))  # type: ignore[misc]  # unfold has no types

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> forms.Field | None:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and isinstance(field.widget, RelatedFieldWidgetWrapper):
            widget = field.widget
            widget.can_add_related = widget.can_change_related = widget.can_view_related = False
            widget.can_delete_related = False
        return field


class OneInline(_Inline, StackedInline):
    """The one row that belongs to its owner's."""

    extra = 0
    min_num = 1
    max_num = 1
    can_delete = False
    hide_title = True


class PanelInline(_Inline, TabularInline):
    """Rows that are edited on their owner's page, by who may edit them on their own."""

    extra = 0
    #: Rows say what they are in their columns.
    hide_title = True
