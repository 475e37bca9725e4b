"""Loaded before the settings (see addopts): gives each test process a home of its own, empty and short-lived."""

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
for name in ("JACKFIELD_RING_FILE", "JACKFIELD_PRODUCTION", "SECRET_KEY", "ALLOWED_HOSTS"):
    os.environ.pop(name, None)
