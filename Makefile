# Two commands: `make run` and `make test`. Both make their own environment from a hash-locked requirements file.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ifneq ($(strip $(DATABASE_URL)$(REDIS_URL)$(CELERY_BROKER_URL)),)
LOCK := requirements-postgres-redis.txt
else
LOCK := requirements.txt
endif
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes --only-binary :all:

# Without it pytest keeps no rewritten tests, and every worker of every run pays 5 s to rewrite them.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test openapi conformance fuzz chaos bench bench-scale bench-peers smoke lint lock clean

run: $(VENV)/made-from-$(LOCK)
	@exec $(BIN)/python manage.py run

test: $(VENV)/made-from-requirements-dev.txt
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

# A stamp per lock. A larger lock holds what the smaller ones hold, so it stands in for them.
$(VENV)/made-from-requirements.txt: requirements.txt
	$(call install,requirements.txt)

$(VENV)/made-from-requirements-postgres-redis.txt: requirements-postgres-redis.txt
	$(call install,requirements-postgres-redis.txt)
	@touch $(VENV)/made-from-requirements.txt

$(VENV)/made-from-requirements-dev.txt: requirements-dev.txt
	$(call install,requirements-dev.txt)
	@touch $(VENV)/made-from-requirements.txt $(VENV)/made-from-requirements-postgres-redis.txt

define install
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Jackfield needs Python 3.11 or newer; name one with: make PYTHON=python3.12 ...")'
@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
@echo "Installing what $(1) locks (once) ..."
@$(INSTALL) -r $(1)
@touch $(VENV)/made-from-$(1)
endef

# api/openapi.json from the views. It is emptied first, because the views read it: one that is broken is made anew too.
openapi: $(VENV)/made-from-requirements-dev.txt
	@echo '{}' > api/openapi.json
	@$(BIN)/python manage.py shell -v 0 -c "from tests.openapi_document import KEPT, write; write(KEPT)"

# Every recorded answer to every client dialect. The recordings lie beside the repository, not in it.
conformance: $(VENV)/made-from-requirements-dev.txt
	@$(BIN)/python -m tests.conformance $(ARGS)

# Hostile bodies for everything that reads what others sent; ARGS="--seconds 600 --seed 7" for longer and others.
fuzz: $(VENV)/made-from-requirements-dev.txt
	@$(BIN)/python tests/fuzz $(ARGS)

# Every fault in its long form, with a table of what is promised and what was measured; ARGS="--only R-REL-10" for some.
chaos: $(VENV)/made-from-requirements-dev.txt
	@$(BIN)/python -m tests.faults $(ARGS)

bench: $(VENV)/made-from-requirements-dev.txt
	@$(BIN)/python -m tests.bench $(ARGS)

bench-scale: $(VENV)/made-from-requirements-dev.txt
	@$(BIN)/python -m tests.bench.scale $(ARGS)

bench-peers:
	@$(PYTHON) -m tests.bench.peers

smoke: $(VENV)/made-from-requirements-dev.txt
	@$(BIN)/python -m tests.smoke $(ARGS)

lint: $(VENV)/made-from-requirements-dev.txt
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy .

# Writes the three locks anew, on Python 3.11: the newest releases that pyproject.toml allows.
COMPILE := $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-find-links
lock: $(VENV)/made-from-requirements-dev.txt
	$(COMPILE) -o requirements.txt pyproject.toml
	$(COMPILE) -c requirements.txt --extra postgres --extra redis -o requirements-postgres-redis.txt pyproject.toml
	$(COMPILE) -c requirements-postgres-redis.txt --all-extras -o requirements-dev.txt pyproject.toml

clean:
	rm -rf $(VENV)
