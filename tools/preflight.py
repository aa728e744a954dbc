"""Says what a machine lacks to make the environment, and how to get it; the Makefile runs it.

    preflight.py machine .venv               before the environment is made: Python, the venv module, disk space
    preflight.py registry requirements.lock  with the environment's pip, before the packages are downloaded
    preflight.py failed                      after pip could not install them

It runs on whatever `python3` is there, one that is too old above all: so it is written as for Python 3.4.
"""
# ruff: noqa: RUF005, UP032

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

GB = 10**9
ENVIRONMENT_GB = 6.5  # the finished .venv takes 6.2 on Linux, where torch brings the libraries for GPUs along
DOWNLOAD_GB = 3.5  # the packages as they are packed: 3.2; pip holds them while it installs, and keeps them in its cache
SMALLEST = "iniconfig"  # a package of the lock that downloads in no time
TIMEOUT = 90  # seconds


def main(stage: str, argument: str = "") -> int:
    """Print what is missing at this stage, with its remedy; return 1 where something is."""
    if stage == "machine":
        complaint = wrong_python() or no_venv() or no_room(Path(argument))
    elif stage == "registry":
        complaint = no_registry(Path(argument))
    else:
        complaint = failed()
    if complaint:
        sys.stderr.write(complaint + "\n")
    return 1 if complaint else 0


def oldest_python() -> "tuple[int, int]":
    """Return the oldest Python that pyproject.toml allows, such as (3, 11)."""
    with (Path(__file__).absolute().parents[1] / "pyproject.toml").open() as file:
        (version,) = [line.split(">=")[1].strip(' "\n') for line in file if line.startswith("requires-python")]
    major, minor = version.split(".")
    return int(major), int(minor)


def wrong_python() -> str:
    """A Python that is too old, or too small for the packages."""
    wanted, bits = oldest_python(), 64 if sys.maxsize > 2**32 else 32
    if sys.version_info >= wanted and bits == 64:
        return ""
    found = "{} is Python {}.{} ({} bit), and the course needs {}.{} or newer (64 bit)".format(
        sys.executable, sys.version_info[0], sys.version_info[1], bits, *wanted
    )
    names = ["python{}.{}".format(wanted[0], wanted[1] + later) for later in range(4)]
    others = [name for name in names if shutil.which(name)]
    if others:
        return "{}\n    remedy: run it as `make setup PYTHON={}`".format(found, others[-1])
    return (
        "{}\n    remedy: install one (Debian, Ubuntu: sudo apt install {} {}-venv; macOS: brew install python; any: python.org)"
        "\n            and name it: make setup PYTHON=/path/to/python"
        "\n        or, with conda: conda env create -f environment.yml"
    ).format(found, names[0], names[0])


def no_venv() -> str:
    """A Python without the modules that make environments: Debian packs them apart."""
    missing = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
    if not missing:
        return ""
    return (
        "{} cannot make an environment: it has no module {}"
        "\n    remedy: Debian, Ubuntu: sudo apt install python{}.{}-venv; elsewhere, install Python from python.org"
    ).format(sys.executable, " and no ".join(missing), *sys.version_info[:2])


def no_room(environment: Path) -> str:
    """Too little disk space for the environment, the download and pip's cache, which may lie on one disk or on several."""
    needs = [(environment, ENVIRONMENT_GB - size_of(environment)), (Path(tempfile.gettempdir()), DOWNLOAD_GB), (pip_cache(), DOWNLOAD_GB)]
    disks = {}  # type: dict[int, tuple[Path, float]]
    for folder, need in needs:
        existing = next(place for place in [folder.absolute()] + list(folder.absolute().parents) if place.is_dir())
        first, sum_so_far = disks.get(existing.stat().st_dev, (existing, 0.0))
        disks[existing.stat().st_dev] = first, sum_so_far + need
    complaints = []
    for folder, need in disks.values():
        free = shutil.disk_usage(str(folder)).free / GB
        if free < need:
            complaints.append("the disk of {} has {:.1f} GB free, and {:.1f} GB are needed".format(folder, free, need))
    if complaints:
        complaints.append("    remedy: make room there, or put the course (TMPDIR, PIP_CACHE_DIR) on a larger disk")
        sizes = "    .venv takes {} GB, the download {} GB in TMPDIR and as much in pip's cache"
        complaints.append(sizes.format(ENVIRONMENT_GB, DOWNLOAD_GB))
    return "\n".join(complaints)


def size_of(folder: Path) -> float:
    """Return the GB below `folder`, which a new environment will get back; 0 where there is none."""
    return sum(path.lstat().st_size for path in folder.glob("**/*")) / GB


def pip_cache() -> Path:
    """Return the folder in which pip keeps what it downloads."""
    usual = "~/Library/Caches" if sys.platform == "darwin" else os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("PIP_CACHE_DIR", usual + "/pip")).expanduser()


def no_registry(lock: Path) -> str:
    """A package registry that does not answer, told by the download of one small package."""
    with lock.open() as file:
        pin = next(line.strip() for line in file if line.startswith(SMALLEST + "=="))
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--retries", "1", "--timeout", "15"]
    with tempfile.TemporaryDirectory() as folder:
        try:
            subprocess.check_output(pip + ["--dest", folder, pin], stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=TIMEOUT)
            return ""
        except subprocess.CalledProcessError as error:
            said = error.output.decode(errors="replace").splitlines()
        except subprocess.TimeoutExpired:
            said = ["ERROR: no answer after {} s".format(TIMEOUT)]
    words = ["    pip: " + line[:300] for line in said if line.startswith("ERROR") or "connection broken" in line]
    return (
        "the package registry cannot be reached\n{}"
        "\n    remedy: connect to the network; behind a proxy, set HTTPS_PROXY;"
        "\n            for a mirror, set PIP_INDEX_URL (`pip config list` shows the settings that hold)"
    ).format("\n".join(words))


def failed() -> str:
    """What to do after pip's own message."""
    return (
        "the packages could not be installed, for the reason that stands above"
        "\n    remedy: where the connection broke, run make again: what has arrived is not downloaded twice;"
        "\n            where this machine has no such package, try the oldest Python: make setup PYTHON=python{}.{}"
    ).format(*oldest_python())


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
