"""The graded notebook, rebuilt from the instructor notebook: of a submission only its answers and the code cells that it adds count.

Tags, metadata, outputs, setup and check cells of a submission are ignored, so nothing that a student does to them, by
accident or not, changes what is graded. This module knows nbformat and nbgrader's metadata keys, not nbgrader.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from grader import names
from grader.lesson import STUB, owner_of
from grader.notebook import COURSE_KEY, EXPLANATION_TAG

SKIP_TAG = "skip-execution"  # nbclient passes over a cell with this tag
MARKDOWN_STUB = ("YOUR ANSWER HERE",)  # what nbgrader's ClearSolutions writes
MAX_BYTES = 64 * 2**20  # a released notebook has some tens of kilobytes
MAX_CELLS, MAX_SOURCE = 5000, 2**20  # and some two hundred cells; who reads code needs a hundred times its size in memory
_EDITION = re.compile("[0-9a-f]{12}")
_REGION = re.compile(
    r"^(?P<indent>[ \t]*)(?:# |<!-- )BEGIN SOLUTION(?: -->)?$.*?^[ \t]*(?:# |<!-- )END SOLUTION(?: -->)?$", re.MULTILINE | re.DOTALL
)
_HIDDEN = re.compile(r"^[^\n]*BEGIN HIDDEN TESTS[^\n]*\n.*?^[^\n]*END HIDDEN TESTS[^\n]*$\n?", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Note:
    """Something that was found in a submission, and what to do about it."""

    found: str
    remedy: str


@dataclass(frozen=True)
class Rebuilt:
    """The notebook to grade, and what was found on the way."""

    notebook: NotebookNode
    notes: tuple[Note, ...]


def read_submission(path: Path, template: NotebookNode) -> NotebookNode | Note:
    """Return the submission at `path`, or a note on why it cannot be graded: of cells type, source and grade_id, and its edition.

    Whatever the file holds is a result; only an OSError of a file that is there but cannot be read is raised.
    """
    if path.is_symlink() or not path.is_file():
        return _missing(path)
    if path.stat().st_size > MAX_BYTES:
        return Note(f"the file has more than {MAX_BYTES // 2**20} MiB", "ask for the notebook with its outputs cleared")
    try:
        data = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        return Note(f"the file is not JSON: {str(error)[:100]}", "ask for the notebook again, as JupyterLab saves it")
    if found := broken(data):
        return Note(found, "ask for the notebook again, as JupyterLab saves it")
    if len(data["cells"]) > MAX_CELLS or sum(map(_length, data["cells"])) > MAX_SOURCE:
        found = f"the notebook has more than {MAX_CELLS} cells, or more than {MAX_SOURCE // 2**20} MiB of text and code"
        return Note(found, "ask for the notebook without what was pasted into it")
    edition = NotebookNode({COURSE_KEY: NotebookNode(edition=_edition(data))})
    submission = _notebook([_plain(cell, number) for number, cell in enumerate(data["cells"], start=1)], edition)
    if not {grade_id(cell) for cell in submission.cells} & set(_Template.of(template).answers):
        return Note("it has none of this chapter's exercise cells", "is it another chapter's notebook? ask for the right one")
    return submission


def rebuild(template: NotebookNode, submission: NotebookNode) -> Rebuilt:
    """Return `template` with the answers of `submission` by grade_id and its added code cells at their place; nothing runs.

    The last of several answer cells of one name counts, the ones before it are added cells. An answer that is not there is blank.
    Demonstrations are tagged to be skipped, since checks need only setup cells and answers, unless the student's code uses them.
    """
    known = _Template.of(template)
    found = _read(known, submission)
    cells = [_added(source) for source in found.added[-1]]
    run = _used_demonstrations(known, found)
    for position, given in enumerate(template.cells):
        cell = _copy(given)
        name = grade_id(cell)
        if name in known.answers:
            cell.source = found.answers.get(name, blank(cell))
        elif position in known.demonstrations and position not in run:
            cell.metadata["tags"] = [SKIP_TAG]
        if position not in known.left_out and (position not in known.demonstrations or position in found.seen):
            cells.append(cell)
        cells += [_added(source) for source in found.added[position]]
    for number, cell in enumerate((cell for cell in cells if not cell.get("id")), start=1):
        cell.id = f"added-{number}"
    notes, theirs, ours = _notes(known, found), _edition(submission), _edition(template)
    if notes and theirs and ours and theirs != ours:
        notes = list(_notes_of_another_edition(known, found, theirs, ours))
    return Rebuilt(_notebook(cells, template.metadata), tuple(notes))


def grade_id(cell: NotebookNode) -> str:
    """Return nbgrader's name of the cell; empty for a cell that has none."""
    return _name(cell.metadata)


def _name(metadata: dict[str, Any]) -> str:
    entry = metadata.get("nbgrader")
    name = entry.get("grade_id") if isinstance(entry, dict) else None
    return name if isinstance(name, str) else ""


def blank(cell: NotebookNode) -> str:
    """Return the cell's source with each solution region replaced by nbgrader's stub: what a student is given."""
    stub = MARKDOWN_STUB if cell.cell_type == "markdown" else STUB
    return _REGION.sub(lambda match: "\n".join(match["indent"] + line for line in stub), cell.source)


def without_hidden_tests(source: str) -> str:
    """Return a check's source without its hidden region: what a student is given."""
    return _HIDDEN.sub("", source).rstrip("\n")


def hidden_lines(template: NotebookNode) -> set[str]:
    """Return the stripped lines of all hidden tests, their markers too."""
    regions = [match.group() for cell in template.cells for match in _HIDDEN.finditer(cell.source)]
    return {line.strip() for region in regions for line in region.splitlines()} - {""}


def exercises(template: NotebookNode) -> dict[str, str]:
    """Map the grade_id of every cell that gives points to the exercise that it belongs to, in the order of the notebook."""
    names = [grade_id(cell) for cell in template.cells if cell.cell_type == "code" and is_a(cell, "solution")]
    graded = [grade_id(cell) for cell in template.cells if is_a(cell, "grade")]
    return {name: owner_of(name, names) or name for name in graded}


@dataclass(frozen=True)
class _Template:
    """The positions of the template's cells, by what they are."""

    cells: list[NotebookNode]
    answers: dict[str, int] = field(default_factory=dict)
    locked: dict[str, int] = field(default_factory=dict)  # setup and check cells
    plain: dict[str, int] = field(default_factory=dict)  # source of every other cell
    demonstrations: set[int] = field(default_factory=set)
    left_out: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, template: NotebookNode) -> _Template:
        known = cls(template.cells)
        for position, cell in enumerate(template.cells):
            if is_a(cell, "solution"):
                known.answers[grade_id(cell)] = position
            elif grade_id(cell):
                known.locked[grade_id(cell)] = position
            elif EXPLANATION_TAG in cell.metadata.get("tags", []):
                known.left_out.add(position)
            else:
                known.plain.setdefault(cell.source.strip(), position)
                if cell.cell_type == "code":
                    known.demonstrations.add(position)
        return known


@dataclass
class _Found:
    """What a submission holds."""

    answers: dict[str, str] = field(default_factory=dict)
    added: defaultdict[int, list[str]] = field(default_factory=lambda: defaultdict(list))  # position of the cell before it → sources
    seen: set[int] = field(default_factory=set)  # positions of the template's plain cells that are still there, unchanged
    count: Counter[str] = field(default_factory=Counter)
    changed: set[str] = field(default_factory=set)  # locked cells with another source


def _read(known: _Template, submission: NotebookNode) -> _Found:
    found, before = _Found(), -1
    last = {grade_id(cell): index for index, cell in enumerate(submission.cells)}
    for index, cell in enumerate(submission.cells):
        name, source = grade_id(cell), cell.source.strip()
        found.count[name] += 1
        if name in known.answers and last[name] == index:
            found.answers[name] = cell.source
            before = known.answers[name]
        elif name in known.locked:
            before = known.locked[name]
            if source != without_hidden_tests(known.cells[before].source).strip():
                found.changed.add(name)
        elif source in known.plain:
            before = known.plain[source]
            found.seen.add(before)
        elif cell.cell_type == "code" and source:
            found.added[before].append(cell.source)
    return found


def _used_demonstrations(known: _Template, found: _Found) -> set[int]:
    """Return the demonstrations that bind a name which the student's code reads, and those which these read in turn."""
    sources = [source for added in found.added.values() for source in added]
    sources += [source for name, source in found.answers.items() if known.cells[known.answers[name]].cell_type == "code"]
    wanted = {name for source in sources for name in names.bound_and_read(source)[1]}
    wanted -= {name for position in known.locked.values() for name in names.bound_and_read(known.cells[position].source)[0]}
    used = set()
    for position in sorted(known.demonstrations, reverse=True):
        bound, read = names.bound_and_read(known.cells[position].source)
        if bound & wanted:
            used.add(position)
            wanted |= read
    return used


def _notes(known: _Template, found: _Found) -> list[Note]:
    notes = []
    for name, position in sorted({**known.answers, **known.locked}.items(), key=lambda item: item[1]):
        answer, count = name in known.answers, found.count[name]
        kind = "answer" if answer else "check" if is_a(known.cells[position], "grade") else "setup"
        ours = "nothing to do: the course's own cell was graded"
        if count == 0:
            remedy = "it earns nothing; the student can copy the cell back from the released notebook" if answer else ours
            notes.append(Note(f"{kind} cell '{name}' was deleted", remedy))
        elif count > 1:
            remedy = "the last one counts, the others ran before it as added cells" if answer else ours
            notes.append(Note(f"{kind} cell '{name}' stands there {count} times", remedy))
        if name in found.changed:
            needs = "the course's own cell was run; what an answer needs belongs into the answer, or a cell of its own"
            notes.append(Note(f"{kind} cell '{name}' was changed", needs if kind == "setup" else ours))
    return notes


def _notes_of_another_edition(known: _Template, found: _Found, theirs: str, ours: str) -> Iterator[Note]:
    """Say of which edition a submission is, and which exercises it has no answers to; in what else it differs is the course's doing."""
    remedy = "nothing to do: its answers were graded by their names, with the checks of this edition"
    yield Note(f"it was made from another edition of the chapter ({theirs}, not {ours})", remedy)
    for name in known.answers:
        if name not in found.answers:
            yield Note(f"answer cell '{name}' is not in it", "it earns nothing; if that edition did not have it, give the points by hand")


def _edition(notebook: Mapping[str, Any]) -> str:
    """Return the edition that a notebook says it is of; nothing where it says none."""
    metadata = notebook.get("metadata")
    about = metadata.get(COURSE_KEY) if isinstance(metadata, dict) else None
    found = about.get("edition") if isinstance(about, dict) else None
    return found if isinstance(found, str) and _EDITION.fullmatch(found) else ""


def is_a(cell: NotebookNode, key: str) -> bool:
    """Tell whether nbgrader's metadata give the cell this mark: `solution`, `grade`, `locked`."""
    entry = cell.metadata.get("nbgrader")
    return isinstance(entry, dict) and bool(entry.get(key, False))


def _added(source: str) -> NotebookNode:
    return _cell("code", "", source)


def _plain(cell: dict[str, Any], number: int) -> NotebookNode:
    source = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
    source = source.encode(errors="replace").decode()  # a lone surrogate cannot be written to a file
    name = _name(cell.get("metadata", {}))
    kind = "code" if cell["cell_type"] == "code" else "markdown"
    return _cell(kind, f"cell-{number}", source, name)


# nbformat's own functions copy all of what they are given and validate each cell: that takes longer than all the rest.


def _length(cell: dict[str, Any]) -> int:
    """Return the characters of a cell's source."""
    return len(cell["source"]) if isinstance(cell["source"], str) else sum(map(len, cell["source"]))


def _notebook(cells: list[NotebookNode], metadata: dict[str, Any]) -> NotebookNode:
    return NotebookNode(cells=cells, metadata=NotebookNode(metadata), nbformat=4, nbformat_minor=5)


def _cell(kind: str, identity: str, source: str, grade_id: str = "") -> NotebookNode:
    metadata = NotebookNode(nbgrader=NotebookNode(grade_id=grade_id)) if grade_id else NotebookNode()
    code: dict[str, Any] = {"outputs": [], "execution_count": None} if kind == "code" else {}
    return NotebookNode(cell_type=kind, id=identity, source=source, metadata=metadata, **code)


def _copy(cell: NotebookNode) -> NotebookNode:
    """Return a cell of the template as it was before it was executed, without its tags; what is done to it changes no other."""
    metadata = NotebookNode({key: value for key, value in cell.metadata.items() if key != "tags"})
    if "nbgrader" in metadata:
        metadata.nbgrader = NotebookNode(metadata.nbgrader)
    code: dict[str, Any] = {"outputs": [], "execution_count": None} if cell.cell_type == "code" else {}
    return NotebookNode({**cell, "metadata": metadata, **code})


def _missing(path: Path) -> Note:
    if path.is_symlink():
        return Note("it is a link, not a file", "ask for the notebook itself")
    others = sorted(other.name for other in path.parent.glob("*.ipynb"))
    remedy = f"if {others[0]} is the submission, rename it to {path.name}" if others else "ask for the notebook"
    return Note(f"no {path.name} in the folder", remedy)


def broken(data: Any) -> str:
    """Say what makes `data` no notebook of format 4; nothing where it is one."""
    if not isinstance(data, dict) or "nbformat" not in data:
        return "the file is JSON, but no notebook"
    if data["nbformat"] != 4:
        return f"the notebook has format {str(data['nbformat'])[:20]}, not 4"
    if not isinstance(data.get("cells"), list) or not data["cells"]:
        return "the notebook has no cells"
    for number, cell in enumerate(data["cells"], start=1):
        if not isinstance(cell, dict) or cell.get("cell_type") not in ("code", "markdown", "raw"):
            return f"cell {number} is neither code nor text"
        source = cell.get("source")
        if not isinstance(source, str) and not (isinstance(source, list) and all(isinstance(line, str) for line in source)):
            return f"the source of cell {number} is no text"
        if not isinstance(cell.get("metadata", {}), dict):
            return f"the metadata of cell {number} are broken"
    return ""
