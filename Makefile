# A fresh machine has Python 3.11 or newer; everything else is installed here, into .venv.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
# Settings of the developer must not affect the demo, the tests or the benchmarks.
CLEAN := env -u DAGSTER_HOME $(foreach name,$(filter TVDB_%,$(.VARIABLES)),-u $(name))

.PHONY: install demo dev test coverage lint format formats errors logs reference docs package fuzz bench lock clean

install: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

demo: install
	@$(CLEAN) $(BIN)/python demo/demo.py

dev: install
	$(BIN)/tvdb dev

# Three processes, because the tests of whole runs mostly wait for Dagster. They come first
# (conftest.py), so that no process ends with one of them while the others have nothing to do.
test: install lint
	$(CLEAN) $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

# The tests that need neither Dagster's processes nor minutes; pyproject.toml has the floor.
# Tracing makes examples slow, so Hypothesis runs them without a deadline, as in CI.
UNIT := $(addprefix tvdb_assets_tests/,core lifecycle spend_guard embedding contracts parsing \
  sources repositories reporting ingestion retrieval) \
  $(filter-out %definitions.py %walkthrough.py,$(wildcard tvdb_assets_tests/test_*.py))
coverage: install
	$(CLEAN) $(BIN)/python -m coverage run -m pytest --hypothesis-profile=ci $(UNIT)
	$(BIN)/python -m coverage report

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

formats: install
	$(BIN)/python -m tvdb_assets.parsing.formats_reference > docs/formats.md

errors: install
	$(BIN)/python -m tvdb_assets.error_reference > docs/errors.md

logs: install
	$(BIN)/python -m tvdb_assets.telemetry > docs/logs.md

# Settings, commands, Python names and the database schema. With CHECK=1, compares and writes nothing.
reference: install
	$(CLEAN) $(BIN)/python -m tools.reference_pages $(if $(CHECK),--check)

# Tools that only the documentation or a release needs have their own environments, so that
# `make test` installs none of them.
.venv-%/.installed: requirements-%.lock
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	touch $@

docs: .venv-docs/.installed
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --quiet --strict --site-dir build/site

package: .venv-release/.installed
	rm -rf dist
	.venv-release/bin/python -m build --outdir dist .
	.venv-release/bin/twine check --strict dist/*
	.venv-release/bin/check-wheel-contents dist/*.whl

# Damages good files at random for SECONDS, from SEED or a new one; prints how to reproduce a finding.
SECONDS ?= 600
fuzz: install
	$(CLEAN) PYTHONPATH=. $(BIN)/python -W ignore -m tvdb_assets_tests.fuzzing.fuzz \
	  --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

bench: install
	$(CLEAN) $(BIN)/python benchmarks/ingestion.py
	$(CLEAN) $(BIN)/python benchmarks/paid_calls.py
	$(CLEAN) PYTHONPATH=. $(BIN)/python benchmarks/parsing.py
	$(CLEAN) PYTHONPATH=. $(BIN)/python benchmarks/bucket.py

# Names and hashes only. Each machine chooses its registry in its own settings.
COMPILE = $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --no-header --quiet
lock:
	$(BIN)/python -m pip install --quiet uv
	$(COMPILE) pyproject.toml --group dev -o requirements.lock
	$(COMPILE) pyproject.toml --extra celery --extra kubernetes -c requirements.lock \
	  -o deploy/docker/requirements.lock
	$(COMPILE) --group docs -o requirements-docs.lock
	$(COMPILE) --group release -o requirements-release.lock

clean:
	-$(BIN)/tvdb stop
	-DAGSTER_HOME=demo/.tvdb $(BIN)/tvdb stop
	rm -rf .venv .venv-docs .venv-release .dagster-versions .tvdb demo/.tvdb build dist
