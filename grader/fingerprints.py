"""What is known to be up to date: a shortcut for `grader build`, never a proof.

To find nothing to do by building in memory takes half a second a chapter; comparing the bytes of all files that go in and
come out takes none. `grader check` does not look here, and deleting the file costs one slow build.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

from grader.course import Course

TOOLS = ("jupytext", "nbconvert", "nbformat", "nbgrader")  # what they write depends on their version


class Fingerprints:
    """The fingerprints of things that were built, by name, in a file that git ignores."""

    def __init__(self, course: Course) -> None:
        self.path = course.root / ".grader" / "built.json"
        self.settings = course.config

    def hold(self, name: str, files: Iterable[Path]) -> bool:
        """Say whether `files` are what they were when `name` was last kept."""
        return self._kept.get(name) == self._fingerprint(files)

    def keep(self, name: str, files: Iterable[Path]) -> None:
        """Remember `files` as what `name` is up to date with; a disk that cannot be written to only makes the next build slower."""
        self._kept[name] = self._fingerprint(files)
        try:
            self.path.parent.mkdir(exist_ok=True)
            self.path.write_text(json.dumps(self._kept, indent=1, sort_keys=True), encoding="utf-8")
        except OSError:
            return

    @cached_property
    def _kept(self) -> dict[str, str]:
        try:
            kept = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return kept if isinstance(kept, dict) else {}

    @cached_property
    def _builder(self) -> bytes:
        """Everything else that what is built depends on: this package, nbgrader's settings, the tools."""
        digest = hashlib.sha256(" ".join(version(tool) for tool in TOOLS).encode())
        for path in [self.settings, *sorted(Path(__file__).parent.glob("**/*.py"))]:
            digest.update(path.read_bytes())
        return digest.digest()

    def _fingerprint(self, files: Iterable[Path]) -> str:
        digest = hashlib.sha256(self._builder)
        for path in files:
            digest.update(hashlib.sha256(path.read_bytes()).digest() if path.is_file() else b"missing")
        return digest.hexdigest()
