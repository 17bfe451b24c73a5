#!/usr/bin/env bash
# Makes an environment with PyTorch for the CPU and the toolkit from this checkout, for Linux on x86_64 with Python 3.11.
# Usage: tests/torch_cpu/install.sh VENV TARGET LOCK [PACKAGE==VERSION ...]
# TARGET is the target of make that wants it, LOCK a file of requirements/; the packages are those that are installed,
# as torch is, without asking what they require.
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=$1 target=$2 lock=$3
shift 3

python=${PYTHON:-$(command -v python3.11 || command -v python3)}
found=$("$python" -c 'import platform as p; print(p.system(), p.machine(), *p.python_version_tuple()[:2])')
if [ "$found" != "Linux x86_64 3 11" ]; then
  echo "make $target needs Linux x86_64 and Python 3.11, found $found ($python). Run: make PYTHON=python3.11 $target" >&2
  exit 1
fi

rm -rf "$venv"
"$python" -m venv "$venv"
pip() { "$venv/bin/python" -m pip --disable-pip-version-check -q "$@"; }
# torch is the CPU build. Where the package index has it for CUDA only, add PyTorch's own index of CPU builds with
# PIP_EXTRA_INDEX_URL. No hashes: the indexes have builds of their own.
pip install --no-deps torch==2.13.0 torchvision==0.28.0 "$@"
pip install --no-deps --require-hashes -r requirements/build.lock  # what builds packages that have no wheel, and ours
pip install --no-deps --no-build-isolation --require-hashes -r "requirements/$lock"
pip install --no-deps --no-build-isolation -e .

if ! "$venv/bin/python" -c 'import torchvision' 2> "$venv/torchvision.log"; then
  site=$("$venv/bin/python" -c 'import site; print(site.getsitepackages()[0])')
  cp tests/torch_cpu/torchvision_without_cuda.py "$site/"
  echo 'import torchvision_without_cuda' > "$site/torchvision_without_cuda.pth"
  "$venv/bin/python" -c 'import torchvision'
fi
