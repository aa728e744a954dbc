"""Shows progress in the terminal and as a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from grader.course import Course
from grader.errors import GraderError
from grader.files import whole
from grader.safe_text import visible
from grader.student.progress import Progress, State, progress

SIGNS = {State.PASSING: "●", State.WRITTEN: "●", State.FAILING: "✗", State.UNTOUCHED: "·"}
STYLES = {State.PASSING: "green", State.WRITTEN: "green", State.FAILING: "red", State.UNTOUCHED: "dim"}
COLOURS = {"pass": "tab:green", "fail": "tab:orange", "not begun": "0.88"}


def show(found: Sequence[Progress], console: Console, *, details: bool) -> None:
    """Print a line for each chapter, a sign for each exercise; with `details` every exercise with what its first failing check says."""
    table = Table(box=None, pad_edge=False)
    table.add_column("chapter", overflow="fold")
    table.add_column("exercises")
    table.add_column("pass", justify="right")
    for chapter in found:
        signs = Text.assemble(*((SIGNS[standing.state], STYLES[standing.state]) for standing in chapter.standings))
        done = chapter.count(State.PASSING, State.WRITTEN)
        table.add_row(Text(chapter.chapter), signs, f"{done} of {len(chapter.standings)}")
    console.print(table)
    console.print(
        f"{SIGNS[State.PASSING]} passes its checks   {SIGNS[State.FAILING]} fails one   {SIGNS[State.UNTOUCHED]} not begun", style="dim"
    )
    for chapter in found:
        if chapter.problem:
            console.print(visible(chapter.problem), style="red", markup=False)
        for standing in chapter.standings if details else ():
            console.print(f"{standing.state:9}  {standing.title or standing.exercise}", style=STYLES[standing.state], markup=False)
            for line in standing.message.strip().splitlines()[:3]:
                console.print(f"           {visible(line)}", markup=False)
            if standing.section:
                console.print(f"           to read again: {standing.section}", markup=False)


def draw_course() -> None:
    """Draw the progress of the course that the working directory lies in, and say it in words: for a cell of the welcome page."""
    course = Course.find()
    found = list(progress(course, course.released()))
    draw(found)
    for line in begun(found):
        print(line)


def begun(found: Sequence[Progress]) -> Iterator[str]:
    """Yield a line for each chapter with an exercise that is begun, and for each that cannot be read."""
    for chapter in found:
        if chapter.problem:
            yield f"{chapter.title}: {visible(chapter.problem)}"
        elif chapter.count(State.UNTOUCHED) < len(chapter.standings):
            done, failing = chapter.count(State.PASSING, State.WRITTEN), chapter.count(State.FAILING)
            yield f"{chapter.title}: {done} of {len(chapter.standings)} exercises pass, {failing} fail"


def draw(found: Sequence[Progress], path: Path | None = None) -> None:
    """Draw a bar for each chapter; into a file where `path` says so, else below the cell that calls it."""
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(8, 0.6 + 0.32 * len(found)), layout="constrained")
    places = range(len(found))
    counts = {
        "pass": [chapter.count(State.PASSING, State.WRITTEN) for chapter in found],
        "fail": [chapter.count(State.FAILING) for chapter in found],
        "not begun": [chapter.count(State.UNTOUCHED) for chapter in found],
    }
    left = [0] * len(found)
    for name, values in counts.items():
        ax.barh(places, values, left=left, color=COLOURS[name], label=name, edgecolor="white")
        left = [a + b for a, b in zip(left, values, strict=True)]
    ax.set(yticks=places, yticklabels=[chapter.title for chapter in found], xlabel="exercises")
    ax.invert_yaxis()
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(left=False)
    ax.legend(ncols=3, loc="lower left", bbox_to_anchor=(0, 1), frameon=False)
    if path is None:
        plt.show()
    else:
        kind = path.suffix.removeprefix(".").lower() or "png"
        if kind not in fig.canvas.get_supported_filetypes():
            raise GraderError(f"{path}: a picture cannot be written as '{kind}'\n    remedy: name it .png, .svg or .pdf")
        with whole(path) as partial:
            fig.savefig(partial, dpi=120, format=kind)
        plt.close(fig)
