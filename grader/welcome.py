"""The page on which JupyterLab opens, made from the lesson sources: the map of the course, how an exercise works, the reader's progress."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from grader.course import Chapter, Course
from grader.files import write_if_changed
from grader.fingerprints import Fingerprints
from grader.lesson import Lesson, read
from grader.notebook import PYTHON, content_id, dumps
from grader.readme import abilities

HEAD = """# Deep learning, from `enumerate` to a Transformer that translates

Every chapter begins with a question about real data and ends with its answer.
In between you write the parts yourself, in small exercises that say at once whether they are right, and if not, why.
Nothing is downloaded and nothing that you do leaves this machine.

New here? Open [{first}]({link}). A chapter takes two or three sittings; each sitting is an evening of about two hours, by our estimate."""

MAP = """## How the chapters build on each other

An arrow leads from what you need to what you can read then. If you know the subjects at the top, begin further down.

```mermaid
flowchart TD
    accTitle: which chapters build on which; the table above says the same
{arrows}
```"""

EXERCISES = """## How an exercise works

1. Read the statement. It says what goes in and what comes out, with a value worked by hand, and has hints that you may open.
2. Below it is a cell with `# YOUR CODE HERE`. Put your code in the place of this line and the one after it.
   Run the cell (Shift + Enter).
3. Run the cells below it. Each calls your code: it prints `passed`,
   or says what it called, what it expected, what came, and the likely cause.
   Cells that say *Hidden tests* have no code here; they run when your work is graded.
4. Stuck? Open the next hint; make the input smaller; print shapes. You can also read on: no text depends on your answers.

**Validate**, in the notebook's toolbar, runs the whole notebook and lists the checks that fail."""

PROGRESS_TEXT = """## How far you are

Run the cell below: it runs the checks of the exercises that you have begun.
In a terminal, `make progress LESSON=05` says more about one chapter."""

PROGRESS = """from grader.student.progress_print import draw_course

draw_course()"""

HELP = """## Where help is

- **A cell runs for ever**: press the black square in the toolbar. Nothing happens? Kernel, Restart Kernel.
- **A check fails and you do not see why**: Kernel, Restart Kernel and Run up to Selected Cell.
  Code that you deleted may still be in memory.
- **You spoilt a cell of ours**: Edit, Undo; or, if you have not saved since, File, Reload Notebook from Disk.
- **A newer edition**: `make update` brings it, with your answers in it. Before, it copies your notebooks to `backups/`.
- **Handing in**: `make submit LESSON=05` looks at your notebook, runs its checks and writes a copy into `hand-in/`."""


def path(course: Course) -> Path:
    """Return the place of the page."""
    return course.root / "notebooks" / "welcome.ipynb"


def page(course: Course, chapters: Sequence[Chapter] | None = None) -> NotebookNode:
    """Return the page for these chapters, or for all that there are."""
    lessons = [read(chapter.source) for chapter in chapters or course.chapters()]
    cells = [
        new_markdown_cell(HEAD.format(first=f"{lessons[0].number} {lessons[0].title}", link=_link(lessons[0]))),
        new_markdown_cell("\n".join(_table(lessons))),
        new_markdown_cell(MAP.format(arrows="\n".join(_arrows(lessons)))),
        new_markdown_cell(EXERCISES),
        new_markdown_cell(PROGRESS_TEXT),
        new_code_cell(PROGRESS),
        new_markdown_cell(HELP),
    ]
    for cell in cells:
        cell.id = content_id(cell.source)
    notebook: NotebookNode = new_notebook(cells=cells, metadata=PYTHON)
    nbformat.validate(notebook)
    return notebook


def update(course: Course) -> bool:
    """Write the page of now; say whether that changed it."""
    fingerprints, place = Fingerprints(course), path(course)
    files = (place, *(chapter.source for chapter in course.chapters()))
    if not course.chapters() or fingerprints.hold(place.name, files):
        return False
    changed = write_if_changed(place, dumps(page(course)).encode())
    fingerprints.keep(place.name, files)
    return changed


def _table(lessons: list[Lesson]) -> Iterator[str]:
    yield "## The chapters\n"
    yield "| chapter | after it you can | needs | sittings | exercises |"
    yield "|:---|:---|:---|---:|---:|"
    for lesson in lessons:
        link = f"[{lesson.number} {lesson.title}]({_link(lesson)})"
        yield f"| {link} | {'; '.join(abilities(lesson))} | {', '.join(lesson.needs)} | {lesson.sittings} | {len(lesson.exercises)} |"


def _arrows(lessons: list[Lesson]) -> Iterator[str]:
    """Yield the graph's nodes and edges in Mermaid's notation."""
    known = {lesson.number for lesson in lessons}
    for lesson in lessons:
        title = lesson.title.replace('"', "#quot;")
        yield f'    c{lesson.number}["{lesson.number} {title}"]'
        for number in lesson.needs:
            if number in known:
                yield f"    c{number} --> c{lesson.number}"


def _link(lesson: Lesson) -> str:
    return f"{lesson.name}/{lesson.name}.ipynb"
