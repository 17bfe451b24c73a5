#!/usr/bin/env bash
# Installs Chromium for the tests of coc review where there is none: the distribution's by root, which plays H.264, else
# Playwright's, which does not (tests of playing video are skipped with it). Usage: install.sh [PLAYWRIGHT]
set -euo pipefail
playwright=${1:-}

found() {
  for name in chromium chromium-browser google-chrome; do # also looked for by conftest.py
    if "$name" --version 2> /dev/null; then
      return 0
    fi
  done
  return 1
}

found && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  wait=(-o DPkg::Lock::Timeout=60 -q)
  timeout 60 apt-get "${wait[@]}" update &&
    timeout 180 apt-get "${wait[@]}" install -y --no-install-recommends chromium || true
  found && exit 0
fi
if [ -z "$playwright" ]; then
  echo "Chromium is not there and apt-get could not install it. Run: make browser" >&2
  exit 1
fi
timeout 300 "$playwright" install chromium
