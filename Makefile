.DEFAULT_GOAL := help
.PHONY: help demo test dev lint docs tables bench bench-compression clean
VENV := .venv
BIN := $(VENV)/bin
SOURCES := $(shell find toolkit converters targets sample_apps tests/contracts -name '*.py' -o -name '*.toml' -o -name '*.json')

help:
	@echo "make demo    install, then convert the embedded example"
	@echo "make test    install, then run the tests"
	@echo "make lint    ruff, mypy and the floors"
	@echo "make docs    the documentation, as a site in build/site"
	@echo "make tables  the pages, tables and schemas that are written from the code"
	@echo "make bench   the measurements of benchmarks/README.md"
	@echo "make bench-compression   its table of compression schemes (hours; goes on where it stopped)"

# 3.11, then 3.10, then any supported one: tflite-runtime ends at 3.11.
$(BIN)/python:
	@for python in python3.11 python3.10 python3.12 python3.13 python3; do \
	  $$python -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 14))' 2>/dev/null || continue; \
	  if ! $$python -c 'import ensurepip, venv' 2>/dev/null; then missing="$$missing $$python"; continue; fi; \
	  echo "making $(VENV) with $$($$python --version)"; \
	  exec $$python -m venv $(VENV); \
	done; \
	if [ -n "$$missing" ]; then \
	  set -- $$missing; echo "$$1 cannot make a virtual environment: install its venv package (Debian, Ubuntu: apt install $$1-venv)"; \
	else echo "edgekit needs Python 3.10 to 3.13; none was found on PATH"; fi; exit 1

$(VENV)/edgekit.stamp: pyproject.toml | $(BIN)/python
	@echo "installing edgekit and TensorFlow (about 2.3 GB, a minute or two)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-warn-script-location -e . --config-settings editable_mode=strict
	@touch $@

$(VENV)/dev.stamp: pyproject.toml | $(BIN)/python
	@echo "installing edgekit with its development tools"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-warn-script-location -e ".[dev]" --config-settings editable_mode=strict
	@touch $@ $(VENV)/edgekit.stamp

# setuptools' strict editable install is a tree of links: a new file needs a new tree.
$(VENV)/links.stamp: $(SOURCES)
	@if [ -n "$$(find toolkit converters targets sample_apps tests/contracts -type f -newer $@ 2>/dev/null)" ] || [ ! -e $@ ]; then \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e . --config-settings editable_mode=strict; fi
	@touch $@

demo: $(VENV)/edgekit.stamp $(VENV)/links.stamp
	@$(BIN)/edgekit init demo --if-missing
	@$(BIN)/edgekit convert --project demo/edgekit.toml

dev: $(VENV)/dev.stamp $(VENV)/links.stamp

test: dev
	@$(BIN)/python -m pytest -n 2 -m "not slow"

lint: dev
	@$(BIN)/ruff check --no-cache . && $(BIN)/ruff format --check .
	@$(BIN)/mypy -p edgekit
	@$(BIN)/lint-imports

# Strict: a link or an anchor that leads nowhere is an error. With --quiet it would not be seen.
docs: dev
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "build/site/index.html"

# Each is compared with the code by a test.
tables: dev
	@$(BIN)/python tests/documents/pages.py
	@$(BIN)/python tests/target_table.py docs/targets.md
	@$(BIN)/python tests/task_table.py docs/tasks.md
	@$(BIN)/python tests/error_table.py docs/errors.md
	@$(BIN)/python tests/output_schemas.py toolkit/report

bench: dev
	@$(BIN)/python benchmarks/run.py

bench-compression: dev
	@$(BIN)/python benchmarks/compression.py

clean:
	rm -rf $(VENV) build dist demo *.egg-info
