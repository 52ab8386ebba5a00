# Needs GNU make and Python 3.11, 3.12 or 3.13; everything else goes into .venv.
# `make PYTHON=python3.13 ...` chooses the interpreter, `make test ARGS="-k pareto"` passes arguments on.
.DEFAULT_GOAL := help
.PHONY: help install environment demo test test-slow test-long lint conf types docs bench pin clean

PY := .venv/bin/python
ARGS ?=
PYTHON ?=
export PYTHON
# uv trusts the certificates that the system trusts, as a network's own proxy needs.
export UV_SYSTEM_CERTS ?= 1
# Hundreds of processes start here: modules are compiled once, also where the shell asks Python not to keep that.
unexport PYTHONDONTWRITEBYTECODE

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "Each command builds the environment in .venv first where it is missing or out of date."

install: ## build the environment in .venv (about 6 GB on Linux, once)
	@sh tools/environment.sh

environment:
	@sh tools/environment.sh --quiet

demo: environment ## search a small supernet on real images, under 5 minutes on 2 cores
	$(PY) launch.py experiment=demo $(ARGS)

test: environment ## run the fast tests
	OMP_NUM_THREADS=1 $(PY) -m pytest -m "not slow and not long" -n 2 --dist worksteal --cpu-times $(ARGS)

# pytest's exit code 5 says that no test was selected.
test-slow: environment ## run the slow tests: whole runs, kills and resumes
	OMP_NUM_THREADS=1 $(PY) -m pytest -m "slow and not long" -n 2 --dist worksteal $(ARGS) || [ $$? -eq 5 ]

test-long: environment ## run what takes longest: faults on SLURM where it can be started, processes that die in every way, exports of every kind
	OMP_NUM_THREADS=1 sh tools/with_slurm.sh $(PY) -m pytest -m long -n 2 $(ARGS)

lint: environment ## check style, format and the layers of imports
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	.venv/bin/lint-imports --no-logo

conf: environment ## write the comments of conf/ from the descriptions of the constructors
	$(PY) tools/write_conf.py

types: environment ## check types, strictly
	$(PY) -m mypy

docs: environment ## build the documentation site in build/site; a broken link or a warning is an error
	PYTHONPATH=. NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --quiet

bench: environment ## run every benchmark, one after the other
	@set -e; for file in benchmarks/*.py; do echo "== $$file"; $(PY) "$$file" $(ARGS); done

pin: ## write requirements.txt anew from pyproject.toml (needs uv)
	uv pip compile --quiet --upgrade --universal --fork-strategy fewest --python-version 3.11 --extra dev \
		--no-header --no-annotate --no-emit-index-url --output-file requirements.txt pyproject.toml

clean: ## remove the environment and all caches; results in outputs/ stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build dist
	find . -name __pycache__ -type d -not -path './outputs/*' -prune -exec rm -rf {} +
