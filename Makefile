PYTHON ?= python3.11
VENV ?= .venv
BIN = $(VENV)/bin
THREADS ?= example/threads.jsonl

.PHONY: run train test lint clean

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

# Two processes with a thread each: with more threads they wait for each other.
test: $(VENV)/project
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

lint: $(VENV)/project
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy
	$(BIN)/python -m scripts.document --check

$(VENV)/project: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[project,test,dev,openvino]'
	touch $@

clean:
	rm -rf $(VENV) training packages corpus/sample assets/core project.lock scripts/experiments/project.lock
