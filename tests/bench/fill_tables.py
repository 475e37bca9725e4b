"""Fills an installation's tables past the row-by-row saves of the ORM: what is measured is serving, not filling."""

from __future__ import annotations

from unittest.mock import patch

from django.db import models

from keys import tokens
from keys.models import ApiToken, Project
from providers.models import Account
from routing.models import PublicModel, Route


def fill(wanted: int) -> None:
    """Bring the installation to `wanted` extra public models, routes and tokens."""
    account, project = Account.objects.get(name="bench"), Project.objects.get(name="demo")
    have = PublicModel.objects.filter(name__startswith="filler-").count()
    public = models.QuerySet(PublicModel).bulk_create(
        [PublicModel(name=f"filler-{i}") for i in range(have, wanted)], batch_size=500
    )
    models.QuerySet(Route).bulk_create(
        [Route(model=row, account=account, upstream_model="bench-upstream") for row in public], batch_size=500
    )
    with patch.object(ApiToken, "save", lambda self, **_: None):
        rows = [tokens.issue(project)[0] for _ in range(have, wanted)]
    models.QuerySet(ApiToken).bulk_create(rows, batch_size=500)
