"""The page on which JupyterLab opens says what the lessons say, and runs."""

from __future__ import annotations

from pathlib import Path

from grader.build import build
from grader.check import orphans, welcome
from grader.course import Course
from grader.new import new_lesson
from grader.notebook import load
from grader.proof import run, students
from grader.tests.conftest import TINY, edit
from grader.welcome import page, path, update


def texts(course: Course) -> str:
    return "\n".join(cell.source for cell in load(path(course)).cells)


def test_the_page_has_every_chapter_with_what_it_needs_and_links_that_lead_there(built: Course) -> None:
    source = new_lesson(built, "02", 'Graphs, "nets" | trees')
    edit(source, 'sittings="1"', 'needs="01" sittings="3"')
    assert [result.error for result in build(built, built.chapters())] == [None, None]
    assert update(built)
    assert not update(built)
    found = texts(built)
    assert f"| [01 How long is an arrow?]({TINY}/{TINY}.ipynb) |" in found
    row = next(line for line in found.splitlines() if line.startswith("| [02"))
    assert row.endswith("| 01 | 3 | 1 |")
    assert "do what the first part teaches; do what the second part teaches" in row
    assert '    c02["02 Graphs, #quot;nets#quot; | trees"]\n    c01 --> c02' in found
    for name in (TINY, "02_graphs_nets_trees"):
        assert (built.root / "notebooks" / name / f"{name}.ipynb").is_file()


def test_a_page_that_is_not_what_the_lessons_say_is_seen(built: Course) -> None:
    assert "missing, or not what the lessons say\n    remedy: run `make build`" in str(welcome(built)[0])
    update(built)
    assert welcome(built) == []
    assert orphans(built) == []
    edit(built.chapters()[0].source, "# # How long is an arrow?", "# # How long is this arrow?")
    assert len(welcome(built)) == 1


def test_the_page_runs(built: Course) -> None:
    update(built)
    outcome = run(students(built.chapters(), [path(built)]), built.root, 120)
    assert outcome.passed, outcome.output


def test_what_stands_on_the_wrong_cell_or_names_no_earlier_chapter_is_a_finding(built: Course) -> None:
    from grader.lesson import read
    from grader.rules import RULES

    source: Path = built.chapters()[0].source
    edit(source, "# %% [markdown]\n# # How", '# %% [markdown] needs="01 x" sittings="many"\n# # How')
    edit(source, "# %% [markdown]\n# ## What we saw", '# %% [markdown] sittings="2"\n# ## What we saw')
    found = [finding.found for rule in RULES for finding in rule(read(source))]
    assert found == ["sittings= stands on a cell that is not the first", "needs= names '01'", "needs= names 'x'", "sittings= is 'many'"]
    assert page(built).cells
