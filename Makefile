# A fresh machine has Python 3.11 or newer; everything else is installed here, into .venv.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
# A developer's settings must not steer the demo, the tests or the benchmarks.
CLEAN := env -u DAGSTER_HOME $(foreach name,$(filter TVDB_%,$(.VARIABLES)),-u $(name))

.PHONY: install demo dev test lint format formats logs fuzz bench lock clean

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

test: install lint
	$(CLEAN) $(BIN)/python -m pytest -n 2 --dist loadfile

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

logs: install
	$(BIN)/python -m tvdb_assets.telemetry > docs/logs.md

# Damages good files at random for SECONDS, from SEED or a new one; prints what makes a finding again.
SECONDS ?= 600
fuzz: install
	$(CLEAN) PYTHONPATH=. $(BIN)/python -W ignore -m tvdb_assets_tests.fuzzing.fuzz \
	  --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

bench: install
	$(CLEAN) $(BIN)/python benchmarks/walk.py
	$(CLEAN) $(BIN)/python benchmarks/paid.py
	$(CLEAN) PYTHONPATH=. $(BIN)/python benchmarks/parsing.py

# Names and hashes only: which registry they come from is the machine's own setting.
lock:
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --quiet -o requirements.lock

clean:
	-$(BIN)/tvdb stop
	rm -rf .venv .tvdb
