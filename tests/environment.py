"""Loaded before the settings (see addopts): gives each test process a home of its own, empty and short-lived, and a
database of its own in the Redis that they are given."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings

# A loaded machine is slow to draw examples; that is no finding. What is tested are results.
settings.register_profile("jackfield", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("jackfield")

BASE = "JACKFIELD_TEST_HOMES"

if BASE not in os.environ:
    os.environ[BASE] = tempfile.mkdtemp(prefix="jackfield-tests-")
    atexit.register(shutil.rmtree, os.environ[BASE], ignore_errors=True)

home = Path(os.environ[BASE]) / os.environ.get("PYTEST_XDIST_WORKER", "main")
home.mkdir(mode=0o700, exist_ok=True)
os.environ["JACKFIELD_HOME"] = str(home)
worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
redis, _, database = os.environ.get("REDIS_URL", "").rpartition("/")
if worker and database.isdigit():
    os.environ["REDIS_URL"] = f"{redis}/{(int(database) + int(worker)) % 16}"  # Redis has 16, unless told
for name in ("JACKFIELD_RING_FILE", "JACKFIELD_PRODUCTION", "SECRET_KEY", "ALLOWED_HOSTS"):
    os.environ.pop(name, None)
