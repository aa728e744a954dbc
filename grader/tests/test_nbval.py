"""The strict run turns red on every planted fault, and no cell can keep it waiting."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook, new_output

from grader.course import Course
from grader.notebook import KERNELSPEC
from grader.proof import Outcome, Status, Step, nbval, run, students
from grader.tests.conftest import edit

SECONDS = 120.0
FINE = ("print(1)", [new_output("stream", text="1\n")])


def write(path: Path, *cells: tuple[str, list[NotebookNode]]) -> None:
    """Write a notebook of code cells, each with its stored outputs."""
    code = [new_code_cell(source, outputs=outputs, execution_count=1) for source, outputs in cells]
    nbformat.write(new_notebook(cells=code, metadata={"kernelspec": KERNELSPEC}), path)


def verdict(outcome: Outcome, name: str) -> str:
    """Return the line of pytest's summary on cell 0 of a notebook, or nothing where it passed."""
    return next(
        (line for line in outcome.output.splitlines() if line.startswith(("FAILED", "ERROR")) and f"{name}.ipynb::Cell 0" in line), ""
    )


DRAW = "import matplotlib.pyplot as plt\nfig, ax = plt.subplots(figsize=(5, 3))\nplt.show()"
SVG = "from IPython.display import SVG\nSVG('<svg xmlns=\"http://www.w3.org/2000/svg\"></svg>')"
PLANTED: dict[str, tuple[str, list[NotebookNode]]] = {
    "changed": ("print(2)", [new_output("stream", text="1\n")]),
    "missing": ("x = 1", [new_output("stream", text="1\n")]),
    "unexpected": ("print(1)", []),
    "stderr": ("import sys\nprint(1)\nprint('old', file=sys.stderr)", [new_output("stream", text="1\n")]),
    "raises": ("1 / 0", []),
    "result": ("2", [new_output("execute_result", data={"text/plain": "1"}, execution_count=1)]),
}
ENDLESS: dict[str, tuple[str, list[NotebookNode]]] = {
    "hangs": ("while True:\n    pass", []),
    "endless": ("while True:\n    try:\n        while True:\n            pass\n    except KeyboardInterrupt:\n        print('no')", []),
}
SOUND: dict[str, tuple[str, list[NotebookNode]]] = {
    "fine": FINE,
    "figure": (DRAW, [new_output("display_data", data={"text/plain": "<Figure size 500x300 with 1 Axes>"})]),
    "svg": (SVG, [new_output("execute_result", data={"text/plain": "<IPython.core.display.SVG object>"}, execution_count=1)]),
    "threads": ("import os\nprint(os.environ['OMP_NUM_THREADS'])", [new_output("stream", text="1\n")]),
}


def test_the_strict_run_turns_red_on_every_planted_fault_and_on_nothing_else(tmp_path: Path) -> None:
    for name, cell in (PLANTED | SOUND).items():
        write(tmp_path / f"{name}.ipynb", cell)
    outcome = run(Step("strict", (nbval("--nbval", sorted(tmp_path.glob("*.ipynb"))),)), tmp_path, SECONDS)
    assert outcome.status is Status.FAILED
    assert {name for name in PLANTED | SOUND if verdict(outcome, name)} == set(PLANTED)
    assert f"{len(PLANTED)} failed, {len(SOUND)} passed" in outcome.last_line


def test_a_cell_without_an_end_is_ended_and_red(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, cell in ENDLESS.items():
        write(tmp_path / f"{name}.ipynb", cell)
    monkeypatch.setattr("grader.proof.CELL_TIMEOUT", 2)
    outcome = run(Step("strict", (nbval("--nbval", sorted(tmp_path.glob("*.ipynb"))),)), tmp_path, SECONDS)
    assert {name for name in ENDLESS if verdict(outcome, name)} == set(ENDLESS)


def test_a_dead_kernel_is_noticed_long_before_the_cell_timeout(tmp_path: Path) -> None:
    notebook = tmp_path / "dies.ipynb"
    write(notebook, ("import os\nos._exit(1)", []), FINE)
    outcome = run(Step("strict", (nbval("--nbval", [notebook], spread=()),)), tmp_path, SECONDS)
    assert "Cell 0: The kernel died while it ran this cell" in outcome.output
    assert "1 failed, 1 xfailed" in outcome.last_line
    assert outcome.seconds < 60


def test_a_built_course_passes_and_a_changed_output_fails(built: Course) -> None:
    (chapter,) = built.chapters()
    strictly = Step("strict", (nbval("--nbval", [chapter.instructor], spread=()),))
    assert run(strictly, built.root, SECONDS).passed
    edit(chapter.instructor, '"10.0\\n"', '"10.5\\n"')
    assert not run(strictly, built.root, SECONDS).passed


def test_the_blank_notebook_runs_and_a_failing_lesson_cell_is_seen(built: Course) -> None:
    (chapter,) = built.chapters()
    loosely = Step("lax", (nbval("--nbval-lax", [chapter.student], spread=()),))
    assert run(loosely, built.root, SECONDS).passed
    edit(chapter.student, "print(math.hypot(6.0, 8.0))", "print(math.hypot(length(6.0, 8.0), 0))")
    assert "NotImplementedError" in run(loosely, built.root, SECONDS).output


def test_what_the_blank_notebook_prints_is_what_the_instructors_does(built: Course) -> None:
    (chapter,) = built.chapters()
    step = students([chapter])
    assert run(step, built.root, SECONDS).passed
    edit(chapter.instructor, '"10.0\\n"', '"10.5\\n"')
    outcome = run(step, built.root, SECONDS)
    assert "Cell outputs differ" in outcome.output
    assert "1 failed" in outcome.last_line
