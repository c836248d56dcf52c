# `make run` and `make test` set up the virtual environment they need; both are safe to repeat.

PYTHON ?= python3
CONFIG ?= configs/basic.json
# hyperparameters to change, such as UPDATES="epochs=20 n_runs=1"
UPDATES ?=
PYTEST_FLAGS ?=
# the same for the tests that need Keras on PyTorch
TORCH_FLAGS ?=

VENV := .venv
BIN := $(VENV)/bin
REQUIREMENTS := requirements/base.txt

.PHONY: run test quick fuzz lint docs linkcheck benchmark clean

run: $(VENV)/.base
	$(BIN)/python run_experiments.py -d $(CONFIG) $(UPDATES)

# Keras has one backend in a process: the few tests that need another than JAX have one of their own
test: $(VENV)/.dev
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder $(PYTEST_FLAGS)
	KERAS_BACKEND=torch $(BIN)/python -m pytest -m backend $(TORCH_FLAGS)

# a look at what was just changed; `make test` runs everything
quick: $(VENV)/.dev
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder --quick $(PYTEST_FLAGS)

# a thousand configs and two thousand stored records of nonsense, and what became of them
fuzz: $(VENV)/.dev
	$(BIN)/python -m pytest --run-slow -k thousand tests/launching/test_fuzzed_configs.py tests/faults

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell

docs: $(VENV)/.docs
	$(BIN)/python -m sphinx -W -b html docs docs/_build

# needs a network; links within the project are checked by `make docs` and `make test`
linkcheck: $(VENV)/.docs
	$(BIN)/python -m sphinx -D nb_execution_mode=off -b linkcheck docs docs/_build/linkcheck

benchmark: $(VENV)/.dev
	$(BIN)/python -m benchmarks.training
	$(BIN)/python -m benchmarks.training_cost
	$(BIN)/python -m benchmarks.estimators
	$(BIN)/python -m benchmarks.neighbors
	$(BIN)/python -m benchmarks.estimator_accuracy
	$(BIN)/python -m benchmarks.state_space
	$(BIN)/python -m benchmarks.watch
	$(BIN)/python -m benchmarks.movie
	$(BIN)/python -m benchmarks.evaluation
	$(BIN)/python -m benchmarks.launching
	$(BIN)/python -m benchmarks.database_size

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis

# torch comes first and alone, so that the pinned build at hand is taken
$(VENV)/.base: $(REQUIREMENTS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $$(grep '^torch==' requirements/base.txt)
	$(BIN)/python -m pip install --quiet -r requirements/base.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.base requirements/dev.txt requirements/notebooks.txt requirements/tensorboard.txt
	$(BIN)/python -m pip install --quiet -r requirements/dev.txt
	touch $@

$(VENV)/.docs: $(VENV)/.dev requirements/docs.txt
	$(BIN)/python -m pip install --quiet -r requirements/docs.txt
	touch $@
