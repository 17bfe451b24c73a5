"""Makes requirements/vllm_cpu.lock or model_cpu.lock again: lock.py NAME, with Python 3.11 on Linux x86_64.

Versions are those of dev.lock where the environment allows them, and the newest that fit otherwise. One hash per
package will do: the locks are for one platform.
"""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "requirements"
NAMED_IN_INSTALL = {"torch": "2.13.0"}
FREE = {
    "vllm_cpu": ("numpy", "setuptools"),  # vLLM and numba want older ones than we have
    "model_cpu": (),
}
TOOLS = ("pytest", "hypothesis", "hatchling", "editables", "wheel")


def main(environment: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["vlm"], *TOOLS]
    ours = re.findall(r"^([\w.-]+)==([^\\\n]+)", (REQUIREMENTS / "dev.lock").read_text(), re.MULTILINE)
    kept = [f"{name}=={version}" for name, version in ours if name not in FREE[environment]]
    kept += [f"{name}=={version}" for name, version in NAMED_IN_INSTALL.items()]
    with tempfile.TemporaryDirectory() as folder:
        constraints, report = Path(folder, "constraints.txt"), Path(folder, "report.json")
        constraints.write_text("\n".join(kept))
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
        command += ["--report", str(report), "-c", str(constraints)]
        command += ["-r", str(REQUIREMENTS / f"{environment}.in"), *wanted]
        subprocess.run(command, check=True)
        found = json.loads(report.read_text())["install"]
    lines = sorted(filter(None, map(_pin, found)))
    (REQUIREMENTS / f"{environment}.lock").write_text("".join(lines))


def _pin(item: dict) -> str:
    name = re.sub(r"[-_.]+", "-", item["metadata"]["name"]).lower()
    if name in NAMED_IN_INSTALL:
        return ""
    digest = item["download_info"]["archive_info"]["hashes"]["sha256"]
    return f"{name}=={item['metadata']['version']} --hash=sha256:{digest}\n"


if __name__ == "__main__":
    main(*sys.argv[1:])
