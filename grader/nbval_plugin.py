"""What nbval lacks, loaded with `pytest -p grader.nbval_plugin`: it notices a dead kernel at once, and ends every cell.

nbval waits for the answer of a dead kernel until the cell's timeout, and for ever for a cell that goes on printing after
it was interrupted. Here the kernel is looked at while it is waited for, and a cell has one deadline for all that it sends.

Students' notebooks hold no outputs. With `--instructors` the same cell of the instructor's notebook lends its own.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from functools import cache, partial
from pathlib import Path
from queue import Empty
from typing import Any

import nbval.plugin
import pytest
from nbformat import NotebookNode
from nbval.kernel import RunningKernel
from nbval.plugin import IPyNbCell, IPyNbFile, find_metadata_tags

from grader.course import Course
from grader.notebook import load
from grader.template import is_a

LOOK = 0.5  # seconds between two looks at a silent kernel
PICTURES = ("image/svg+xml", "image/gif")  # beside PNG and JPEG, which nbval leaves out itself; committed notebooks store none
GRACE = 5.0  # seconds that a cell has beyond its timeout to be interrupted and to send the rest of its output


class KernelDiedError(Exception):
    """The kernel's process has ended while a cell was running."""


class WatchedKernel(RunningKernel):  # type: ignore[misc]  # nbval has no types
    """nbval's kernel, which is never waited for once it is dead, nor after its cell's deadline."""

    def __init__(self, *args: Any, cell_timeout: float, **kwargs: Any) -> None:
        self.cell_timeout = cell_timeout
        self.deadline = float("inf")
        super().__init__(*args, **kwargs)

    def execute_cell_input(self, *args: Any, **kwargs: Any) -> str:
        """Start a cell, and its clock; return the id of the request."""
        self.deadline = time.monotonic() + self.cell_timeout + GRACE
        message_id: str = super().execute_cell_input(*args, **kwargs)
        return message_id

    def get_message(self, stream: str, timeout: float | None = None) -> dict[str, Any]:
        """Return the next message; raises Empty where none comes in time, KernelDiedError where none can come."""
        end = min(self.deadline, time.monotonic() + (timeout or self.cell_timeout))
        while (left := end - time.monotonic()) > 0:
            try:
                message: dict[str, Any] = super().get_message(stream, timeout=min(LOOK, left))
                return message
            except Empty:
                if not self.is_alive():
                    raise KernelDiedError from None
        raise Empty


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--instructors`."""
    parser.addoption("--instructors", action="store_true", help="Compare students' notebooks with the outputs of the instructors'.")


def pytest_configure(config: pytest.Config) -> None:
    """Let nbval start watched kernels."""
    nbval.plugin.RunningKernel = partial(WatchedKernel, cell_timeout=config.option.nbval_cell_timeout)


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Let nbval compare no pictures."""
    if isinstance(collector, IPyNbFile):
        collector.skip_compare = (*collector.skip_compare, *PICTURES)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let nbval compare the cells of a student's notebook, but for answers and checks, with what the instructor's hold."""
    own = [item for item in items if isinstance(item, IPyNbCell) and not is_a(item.cell, "grade") and not is_a(item.cell, "solution")]
    for item in own if config.option.instructors else ():
        if same := _instructors(item.path).get(item.cell.id):
            item.cell.update(outputs=same.outputs, execution_count=same.execution_count)
            item.options["check"] = dict(find_metadata_tags(same.metadata)).get("check", True)


@cache
def _instructors(student: Path) -> dict[str, NotebookNode]:
    """Return the cells of the instructor's notebook by id; none for a page that belongs to no chapter."""
    chapters = Course.find(student.parent).chapters()
    return {cell.id: cell for chapter in chapters if chapter.student == student for cell in load(chapter.instructor).cells}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Fail the cell whose kernel died; nbval then expects the cells below it to fail."""
    try:
        return (yield)
    except KernelDiedError:
        item.parent.timed_out = True  # type: ignore[union-attr]
        item.raise_cell_error("The kernel died while it ran this cell")  # type: ignore[attr-defined]
