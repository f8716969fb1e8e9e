PYTHON ?= python3.11
VENV ?= .venv
BIN = $(VENV)/bin
THREADS ?= example/threads.jsonl

.PHONY: run train check static format lint types readme docs smoke test clean

# Build fa_multibert from the shipped adapters, install it, tag the example threads and show them.
run: $(VENV)/project
	$(BIN)/python -m spacy project run pretrained
	$(BIN)/python -m pip install --quiet --force-reinstall --no-deps packages/pretrained/fa_multibert-*/dist/*.whl
	$(BIN)/python -m spacy multibert show fa_multibert $(THREADS) --html training/threads.html

# The same, trained from nothing on the sample corpus.
train: $(VENV)/project
	$(BIN)/python -m spacy project run all
	$(BIN)/python -m pip install --quiet --force-reinstall --no-deps packages/sample/fa_multibert-*/dist/*.whl
	$(BIN)/python -m spacy multibert show fa_multibert $(THREADS) --html training/threads.html

# All that is checked before a merge; .ci/run and .pre-commit-config.yaml are made of the same.
check: static docs smoke test

static: format lint types readme

format: $(VENV)/project
	$(BIN)/python -m ruff format --check .

lint: $(VENV)/project
	$(BIN)/python -m ruff check .

types: $(VENV)/project
	$(BIN)/python -m mypy

readme: $(VENV)/project
	$(BIN)/python -m scripts.document --check
	$(BIN)/python -m scripts.checks.licences --check

smoke: $(VENV)/project
	$(BIN)/python -m spacy project run smoke

# Two processes with a thread each: with more threads they wait for each other. Each has its own
# order of sets, so that pytest-xdist refuses tests whose names depend on it (tests/ids.py).
test: $(VENV)/project
	OMP_NUM_THREADS=1 PYTHONHASHSEED=random $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

# The site, into site/. A link that leads nowhere is an error.
docs: $(VENV)/project
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

$(VENV)/project: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[project,test,dev,docs,openvino]'
	touch $@

clean:
	rm -rf $(VENV) training packages corpus/sample assets/core project.lock scripts/experiments/project.lock
