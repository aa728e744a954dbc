"""From nothing: what the Makefile does and does again, what a machine may lack, and that no version is written twice."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import namedtuple
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from packaging.requirements import Requirement

from grader.tests.conftest import ROOT

PREFLIGHT = ROOT / "tools" / "preflight.py"
TARGETS = ["setup", "lab", "formgrader", "build", "check", "audit", "test", "portable", "grade", "demo", "feedback", "clean"]
PYTHON = """#!/bin/sh
# Stands for every program of the environment: writes down how it was called, and makes what the real one would make.
echo "$(basename "$0") $*" >> "$CALLS"
case "$*" in
  *"$BROKEN"*) exit 1 ;;
  "-m venv --clear "*) rm -rf .venv; mkdir -p .venv/bin; for name in python grader jupyter; do cp "$0" ".venv/bin/$name"; done ;;
esac
"""


class Workplace:
    """A copy of the files that `make setup` reads, with a Python that only pretends."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.calls = folder, folder / "calls"
        for name in ("Makefile", "pyproject.toml", "requirements.lock"):
            shutil.copy(ROOT / name, folder)
        shutil.copytree(ROOT / "lab", folder / "lab")
        (folder / "data" / "MNIST" / "raw").mkdir(parents=True)
        (folder / "data" / "SHA256SUMS").touch()
        (folder / "data" / "MNIST" / "raw" / "some.gz").touch()
        self.python = folder / "fake-python"
        self.python.write_text(PYTHON, encoding="utf-8")
        self.python.chmod(0o755)

    def make(self, *arguments: str, broken: str = "never") -> subprocess.CompletedProcess[str]:
        """Run make; `broken` is a call that fails."""
        self.calls.write_text("", encoding="utf-8")
        environment = {"PATH": os.environ["PATH"], "CALLS": str(self.calls), "BROKEN": broken}
        command = ["make", "--no-print-directory", f"PYTHON={self.python}", *arguments]
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=60, check=False)

    def called(self) -> list[str]:
        """Return the programs that make called, in order."""
        return self.calls.read_text(encoding="utf-8").splitlines()

    def touch(self, name: str) -> None:
        """Make a file newer than everything else."""
        newest = max(path.stat().st_mtime for path in self.folder.glob("**/*"))
        os.utime(self.folder / name, (newest + 1, newest + 1))


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path)


def test_setup_does_everything_once(workplace: Workplace) -> None:
    assert workplace.make("setup").returncode == 0
    words = [
        "preflight.py machine",
        "-m venv --clear",
        "preflight.py registry",
        "-r requirements.lock",
        "-e .",
        "-m pip check",
        "grader data",
    ]
    assert [word for word, call in zip(words, workplace.called(), strict=True) if word in call] == words
    assert workplace.make("setup").returncode == 0
    assert workplace.called() == []
    settings = workplace.folder / "lab" / "environment"
    files = [path.relative_to(settings) for path in settings.rglob("*") if path.is_file()]
    assert len(files) == 3
    for file in files:
        assert (workplace.folder / ".venv" / file).read_bytes() == (settings / file).read_bytes()


def test_lab_starts_at_once_when_all_is_there(workplace: Workplace) -> None:
    workplace.make("setup")
    workplace.make("lab", "ARGS=--no-browser --port 8899")
    assert workplace.called() == [
        "jupyter trust notebooks/*.ipynb notebooks/*/*.ipynb",  # there is none here
        "jupyter lab --ServerApp.root_dir=notebooks --LabApp.default_url=/lab/tree/welcome.ipynb --no-browser --port 8899",
    ]


@pytest.mark.parametrize("broken", ["-m venv", "preflight.py registry", "-r requirements.lock", "-e .", "-m pip check", "data"])
def test_what_fails_leaves_no_stamp_and_is_done_again(workplace: Workplace, broken: str) -> None:
    assert workplace.make("setup", broken=broken).returncode != 0
    assert broken in workplace.called()[-1] or "preflight.py failed" in workplace.called()[-1]
    assert workplace.make("setup").returncode == 0
    assert "grader data" in workplace.called()
    workplace.make("setup")
    assert workplace.called() == []


def test_an_interrupted_install_is_made_afresh(workplace: Workplace) -> None:
    workplace.make("setup", broken="-r requirements.lock")
    leftover = workplace.folder / ".venv" / "half-installed"
    leftover.touch()
    workplace.make("setup")
    assert not leftover.exists()


@pytest.mark.parametrize(
    ("changed", "redone"),
    [
        ("requirements.lock", ["venv", "-r requirements.lock", "-e ."]),
        ("pyproject.toml", ["-e ."]),
        ("data/SHA256SUMS", ["grader data"]),
        ("data/MNIST/raw/some.gz", ["grader data"]),
        ("lab/environment/etc/ipython/ipython_config.py", []),
    ],
)
def test_only_what_changed_is_done_again(workplace: Workplace, changed: str, redone: list[str]) -> None:
    workplace.make("setup")
    workplace.touch(changed)
    workplace.make("setup")
    calls = "\n".join(workplace.called())
    assert [word for word in ("venv", "-r requirements.lock", "-e .", "grader data") if word in calls] == redone


def test_lesson_and_arguments_reach_the_command(workplace: Workplace) -> None:
    workplace.make("setup")
    for target in ("build", "check", "audit", "test"):
        workplace.make(target, "LESSON=05 06", "ARGS=--fast")
        assert workplace.called() == [f"grader {target} 05 06 --fast"]


@pytest.mark.parametrize(
    ("target", "variable", "call"),
    [
        ("new", "TITLE", "grader new 27 --title {}"),
        ("update", "FROM", "grader update --from {}"),
        ("collect", "FROM", "grader collect {} 27"),
        ("export", "INTO", "grader export 27 {}"),
        ("due", "DUE", "grader due 27 {}"),
    ],
)
def test_what_a_person_names_reaches_the_command_as_it_was_typed(workplace: Workplace, target: str, variable: str, call: str) -> None:
    workplace.make("setup")
    typed = """Ann's 5" disks, the "best" of $5 and `id` $(shell id)"""
    workplace.make(target, f"{variable}={typed}", "LESSON=27")
    assert workplace.called() == [call.format(typed)]


def test_stock_nbgrader_can_be_asked_for(workplace: Workplace) -> None:
    workplace.make("setup")
    workplace.make("grade", "LESSON=05", "ENGINE=nbgrader")
    assert workplace.called() == ["grader grade 05 --engine nbgrader"]


def test_clean_removes_what_was_made_and_keeps_what_people_made(workplace: Workplace) -> None:
    workplace.make("setup")
    kept = [workplace.folder / name for name in ("gradebook/gradebook.db", "notebooks/01_tiny/01_tiny.ipynb", "data/SHA256SUMS")]
    for path in kept:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (workplace.folder / "grader" / "__pycache__").mkdir(parents=True)
    assert workplace.make("clean").returncode == 0
    assert "grader data --remove" in workplace.called()
    assert all(path.is_file() for path in kept)
    for gone in (".venv", "grader/__pycache__", "data/.unpacked"):
        assert not (workplace.folder / gone).exists()


def test_help_says_what_each_target_does(workplace: Workplace) -> None:
    lines = workplace.make().stdout.splitlines()
    described = {line.split()[0]: " ".join(line.split()[1:]) for line in lines if line.startswith("  ")}
    assert [target for target in TARGETS if not described.get(target)] == []
    assert workplace.called() == []


def test_a_python_that_is_not_there_is_told(workplace: Workplace) -> None:
    done = workplace.make("setup", "PYTHON=/nowhere/python3")
    assert done.returncode != 0
    assert "/nowhere/python3: not found" in done.stdout + done.stderr
    assert "remedy: " in done.stdout + done.stderr


@pytest.fixture
def preflight() -> ModuleType:
    spec = importlib.util.spec_from_file_location("preflight", PREFLIGHT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_this_machine_lacks_nothing(preflight: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "ENVIRONMENT_GB", 0)
    monkeypatch.setattr(preflight, "DOWNLOAD_GB", 0)
    assert preflight.main("machine", str(tmp_path / ".venv")) == 0


def test_the_preflight_is_python_that_an_old_python_reads() -> None:
    tree = ast.parse(PREFLIGHT.read_text(encoding="utf-8"), feature_version=(3, 4))
    assert not any(isinstance(node, ast.JoinedStr | ast.AnnAssign | ast.NamedExpr) for node in ast.walk(tree))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.List | ast.Tuple)]
    assert not any(isinstance(item, ast.Starred) for node in calls for item in node.elts)


@pytest.mark.parametrize(
    ("others", "remedy"), [(["python3.13"], "make setup PYTHON=python3.13"), ([], "sudo apt install python3.11 python3.11-venv")]
)
def test_an_old_python_is_told_so(preflight: ModuleType, monkeypatch: pytest.MonkeyPatch, others: list[str], remedy: str) -> None:
    monkeypatch.setattr(preflight, "sys", SimpleNamespace(version_info=(3, 9, 1), maxsize=2**63, executable="/usr/bin/python3"))
    monkeypatch.setattr(preflight.shutil, "which", lambda name: name if name in others else None)
    complaint = preflight.wrong_python()
    assert "/usr/bin/python3 is Python 3.9 (64 bit), and the course needs 3.11 or newer" in complaint
    assert remedy in complaint


def test_a_python_without_venv_is_told_how_to_get_it(preflight: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight.importlib.util, "find_spec", lambda name: None if name == "ensurepip" else name)
    complaint = preflight.no_venv()
    monkeypatch.undo()
    assert "it has no module ensurepip" in complaint
    assert f"sudo apt install python{sys.version_info[0]}.{sys.version_info[1]}-venv" in complaint


def test_too_little_disk_space_is_told_in_figures(preflight: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda _: usage(2 * 10**9))
    complaint = preflight.no_room(tmp_path / ".venv")
    assert "has 2.0 GB free, and " in complaint
    assert ".venv takes 6.5 GB, the download 3.5 GB" in complaint
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda _: usage(20 * 10**9))
    assert preflight.no_room(tmp_path / ".venv") == ""


def test_a_registry_that_does_not_answer_is_told(preflight: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    complaint = preflight.no_registry(ROOT / "requirements.lock")
    assert complaint.startswith("the package registry cannot be reached\n    pip: ")
    assert "remedy: connect to the network" in complaint


def pins() -> dict[str, set[str]]:
    """Return the versions that the lock pins, by package; one may differ by platform."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            requirement = Requirement(line)
            (specifier,) = requirement.specifier
            assert specifier.operator == "==", line
            found.setdefault(requirement.name, set()).add(specifier.version)
    return found


def test_the_lock_pins_what_the_project_asks_for_and_names_no_host() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [Requirement(line) for line in (*project["project"]["dependencies"], *project["build-system"]["requires"])]
    assert {need.name: version for need in wanted for version in pins()[need.name] if not need.specifier.contains(version)} == {}
    assert "//" not in (ROOT / "requirements.lock").read_text(encoding="utf-8")


def test_no_version_is_written_twice() -> None:
    text = "\n".join(line.partition("#")[0] for line in (ROOT / "environment.yml").read_text(encoding="utf-8").splitlines())
    assert not re.search(r"\d", text)
    assert "- -r requirements.lock" in text
    assert "- -e ." in text
    assert not re.search(r"[=>]=?\s*\d+\.\d+", (ROOT / "Makefile").read_text(encoding="utf-8"))


def test_continuous_integration_runs_make_test() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "make test" in script.read_text(encoding="utf-8")


@pytest.mark.parametrize("file", ["README.md", "CONTRIBUTING.md", ".ci/run", ".github/workflows/test.yml", "Containerfile"])
def test_every_target_that_is_named_elsewhere_is_there(file: str) -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = set(re.findall(r"^  ([a-z-]+) ", listed, re.MULTILINE))
    named = set(re.findall(r"(?:`|run: |\n|\"|&& |RUN )make\"?,? ?\"?([a-z-]+)", (ROOT / file).read_text(encoding="utf-8")))
    assert named
    assert named - targets == set()
