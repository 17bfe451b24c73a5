#!/usr/bin/env bash
# Makes the environment of tests/model: PyTorch for the CPU, transformers, the toolkit from this checkout, pytest.
# For Linux on x86_64 with Python 3.11. Usage: tests/model/install.sh VENV
set -euo pipefail
cd "$(dirname "$0")/../.."
tests/torch_cpu/install.sh "$1" test-model model_cpu.lock
