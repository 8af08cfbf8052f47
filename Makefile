# Two commands are all that a fresh machine needs: `make demo` and `make test`.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
JOBS ?= 2

.PHONY: help demo test check format docs sbom clean

help:
	@echo "make demo    open the reading room with invented patients in a browser; no torch"
	@echo "             make demo FILM=path/to/film.dcm reads your own film instead, without it"
	@echo "make test    install what the checks need and run all of them (what CI runs)"
	@echo "make check   run the checks alone: format, lint, types, imports, docs, tests"
	@echo "make format  let ruff rewrite the code"
	@echo "make docs    write the generated reference pages anew"
	@echo "make sbom    write what an installation is made of (CycloneDX) to dist/sbom.cdx.json"
	@echo "make clean   remove the virtual environment and everything generated"

$(BIN)/python:
	@echo "Creating a virtual environment in $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.base: pyproject.toml | $(BIN)/python
	@echo "Installing LucidRay (half a minute, under 400 MB) ..."
	@$(PIP) -e .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	@echo "Installing LucidRay with everything that the checks need (about two minutes, 7 GB) ..."
	@$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/.base $(VENV)/.clinic

$(VENV)/.clinic: pyproject.toml | $(BIN)/python
	@echo "Installing LucidRay with its reading room (half a minute, under 450 MB) ..."
	@$(PIP) -e '.[clinic]'
	@touch $@ $(VENV)/.base

ifdef FILM
demo: $(VENV)/.base
	@$(BIN)/lucidray demo $(FILM) --out demo
else
demo: $(VENV)/.clinic
	@$(BIN)/lucidray serve --demo --data reading-room
endif

test: $(VENV)/.dev
	@$(MAKE) --no-print-directory check
	@echo
	@echo "All checks passed. Next: make demo, or read docs/getting-started.md."

check:
	@echo "== format"; $(BIN)/ruff format --check .
	@echo "== lint"; $(BIN)/ruff check .
	@echo "== types"; $(BIN)/mypy
	@echo "== imports"; $(BIN)/lint-imports
	@echo "== docs"; $(BIN)/python docs/build.py --check
	@echo "== tests"; OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -n $(JOBS)

format:
	@$(BIN)/ruff check --fix-only --quiet . ; $(BIN)/ruff format .

docs:
	@$(BIN)/python docs/build.py

sbom: $(VENV)/.dev
	@mkdir -p dist && $(BIN)/python deploy/sbom.py >dist/sbom.cdx.json && echo "dist/sbom.cdx.json"

clean:
	rm -rf $(VENV) build dist demo reading-room .mypy_cache .ruff_cache .hypothesis .import_linter_cache
