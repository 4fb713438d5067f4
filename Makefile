# The short way to everything. `make` alone lists the targets.
PYTHON ?= python3
ARGS ?=
# The lock to install: `make install GPU=cuda` takes the CUDA build of TensorFlow (Linux).
GPU ?=
LOCK := requirements/$(if $(filter cuda,$(GPU)),cuda,dev).txt
# Two tests at a time, those that share what they set up in one process (tests/conftest.py).
SIDE_BY_SIDE := -n 2 --dist loadscope --no-loadscope-reorder
BIN := .venv/bin
STAMP := .venv/.installed-$(notdir $(LOCK))
COMPILE := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 \
	--generate-hashes --quiet --custom-compile-command "make lock"

# `make run ARGS="-P set="a=1 b=2""` would be heard as ARGS and a variable b, without a word.
KNOWN := ARGS GPU PYTHON
STRAY := $(filter-out $(KNOWN),$(foreach v,$(.VARIABLES),$(if $(filter command,$(word 1,$(origin $v))),$v)))
$(if $(STRAY),$(error unknown variable: $(STRAY). Known are $(KNOWN); quote as in ARGS='-P set="a=1 b=2"'))

.DEFAULT_GOAL := help
.PHONY: help install run test check lock serve ui clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

# Compiled here, once: to compile TensorFlow's sources takes twice as long as to import them, and where
# Python is not to write what it compiles (PYTHONDONTWRITEBYTECODE), every process would.
$(STAMP): $(LOCK) pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
		|| { echo "Python 3.11, 3.12 or 3.13 is needed; name it: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	VIRTUAL_ENV=.venv $(BIN)/uv pip sync --quiet --require-hashes --compile-bytecode $(LOCK)
	VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --no-deps -e .
	rm -f .venv/.installed-*
	touch $@

install: $(STAMP) ## make .venv from the lock, where it is missing or stale

run: install ## the main job: audio in, a served model out (ARGS="-P trials=20")
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/mlflow run . --env-manager local $(ARGS)

test: install ## all tests (ARGS="-k splits", ARGS="tests/unit")
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(ARGS)

check: install ## style, types, floors and docstrings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/numpydoc lint $$(git ls-files 'genre_mlops/*.py')

lock: install ## compile requirements/*.txt anew from pyproject.toml
	$(COMPILE) --extra pipeline --extra serving -o requirements/main.txt
	$(COMPILE) --all-extras --group dev -o requirements/dev.txt
	$(COMPILE) --extra serving -o requirements/serving.txt
	$(COMPILE) --all-extras --group dev --override requirements/cuda.in -o requirements/cuda.txt
	grep -A 99 '^uv==' requirements/dev.txt | awk '/^uv==/ || /^    --hash/ {print; next} {exit}' > requirements/uv.txt

serve: install ## serve the champion's bento on http://127.0.0.1:3000
	@test -e "$${BENTOML_HOME:-$$HOME/bentoml}/bentos/genre_classifier/latest" \
		|| { echo "no bento yet: make run makes one"; exit 1; }
	BENTOML_DO_NOT_TRACK=True $(BIN)/bentoml serve genre_classifier:latest --host 127.0.0.1 --port 3000 $(ARGS)

ui: install ## browse the runs on http://127.0.0.1:5000
	MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false $(BIN)/mlflow ui $(ARGS)

clean: ## remove the environment (runs, data and models stay)
	rm -rf .venv
