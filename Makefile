# `make verify` and `make test` set up everything they need in .venv, from the pinned versions in constraints.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
OUT ?= report

.PHONY: help verify test lint types bench solution stored record clean
help:
	@echo "make verify   check every claim, train the models beside the theory, write $(OUT)/index.html (about two minutes)"
	@echo "make test     unit, property and slow tests"
	@echo "make lint     ruff; make types: mypy on the installed package and on the tests' names"
	@echo "make bench    benchmarks and growth with n; make solution: time to solution against a notebook-style loop (25 minutes)"
	@echo "make stored   train, prove and derive again what is stored: presets, landscape runs, proofs, transitions, counts, closed forms (two hours)"
	@echo "make record   make the evidence and runs of the last make verify the recorded ones"

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else f"tegum needs Python 3.11 or newer, $$(command -v $(PYTHON)) is {v.major}.{v.minor}; try make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt setuptools wheel
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-build-isolation -e '.[dev]'
	@touch $@

verify: $(READY)
	$(BIN)/tegum verify --tier slow --out $(OUT)

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadgroup

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	rm -rf build
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --target build/check .
	cp -r tests build/check
	cd build/check && ../../$(BIN)/mypy -p tegum -p tests --config-file ../../pyproject.toml --cache-dir ../mypy

bench: $(READY)
	$(BIN)/python -m pytest benchmarks --benchmark-only --benchmark-sort=name -o python_files="bench_*.py" --benchmark-columns=min,median,rounds
	$(BIN)/python benchmarks/growth.py

solution: $(READY)
	$(BIN)/python benchmarks/time_to_solution.py

# Interrupted transitions go on where they stopped.
stored: $(READY)
	$(BIN)/python -m tegum.papers.derivations docs/derivations.md
	$(BIN)/python -m tegum.papers.transition_runs
	$(BIN)/python -m tegum.papers.pair_proofs
	$(BIN)/python -m tegum.papers.pair_runs
	$(BIN)/python -m tegum.papers.count_runs
	$(BIN)/python -m tegum.papers.uniform_theory
	$(BIN)/python -m tegum.papers.preset_runs
	$(BIN)/python benchmarks/lower_bounds.py

# After `make verify`: its evidence and runs become the recorded ones, and the README shows its figures.
record: $(READY)
	$(BIN)/python -m tegum.papers.record $(OUT)
	cp $(OUT)/figures/phase_diagram.png $(OUT)/figures/counts.png docs/

clean:
	rm -rf $(VENV) build dist *.egg-info
