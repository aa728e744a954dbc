"""The exceptions that the package raises, drawn once.

    GraderError
    ├── LessonError     a lesson source breaks a rule of the notation
    ├── BuildError      a notebook cannot be built (a cell fails, hangs, or the kernel dies)
    ├── DriftError      a committed file is not what its source says
    ├── DataError       a data file is missing, damaged, or cannot be unpacked
    └── LedgerError     the gradebook cannot be read or written

A student's mistake is never an exception: it is a result.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Finding:
    """One broken rule: where it is, what was found, and what to do."""

    path: Path
    line: int
    cell: str
    found: str
    remedy: str

    def __str__(self) -> str:
        cell = f" cell '{self.cell}':" if self.cell else ""
        return f"{self.path}:{self.line}:{cell} {self.found}\n    remedy: {self.remedy}"


class GraderError(Exception):
    """Base of all errors that a user can mend; its text is one message with the place, the finding and the remedy."""


class LessonError(GraderError):
    """A lesson source breaks a rule; every finding is listed, not only the first."""

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = findings
        super().__init__("\n".join(str(finding) for finding in findings))


class BuildError(GraderError):
    """A notebook cannot be built."""


class DriftError(GraderError):
    """A committed file is not what its source says; `make build` brings them together."""


class DataError(GraderError):
    """A data file is missing, damaged, or cannot be unpacked."""


class LedgerError(GraderError):
    """The gradebook cannot be read or written."""
