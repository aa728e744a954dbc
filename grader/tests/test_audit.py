"""The audit turns red on every planted fault, and stays green without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.audit import audit
from grader.course import Chapter
from grader.errors import GraderError
from grader.tests.conftest import edit
from grader.trial import Status, Step, Trial, Workshop


def faults(chapter: Chapter) -> str:
    return "\n".join(audit(chapter, jobs=2).faults())


def test_the_tiny_lesson_is_proved(chapter: Chapter) -> None:
    report = audit(chapter, jobs=2)
    assert list(report.faults()) == []
    assert report.mutants == report.killed > 5
    assert {wrong.id: wrong.caught for wrong in report.exercises[0].wrongs} == {
        "length-sum": ("length-by-hand", "length-negative"),
        "length-table": ("length-negative",),
    }


# (what was planted, text in the tiny lesson, its replacement, words of the fault)
PLANTED = [
    ("a wrong answer that is accepted", "def length(x, y):\n    return 5.0", "def length(x, y):\n    return abs(complex(x, y))", "'length-table' is accepted by 'length-negative'"),
    ("a right answer that is refused", "return list(map(lambda value: value + value, values))", "return list(map(str, values))", "right answer 'double-map' is refused by 'double-by-hand': AssertionError: double([1, 2.5]) should be [2, 5], got ['1.0', '2.5']"),
    ("a reference answer that fails", "return math.sqrt(x * x + y * y)", "return math.sqrt(x * x + y * y) + 1", "the reference answers lose 'length-by-hand'"),
    ("a check that cannot fail", "found = double([1.0, 2.5])", "found = [2.0, 5.0]", "the blank notebook earns 'double-by-hand'"),
    ("a check that blames an answer not yet written", "found = length(3.0, 4.0)\n", "try:\n    found = length(3.0, 4.0)\nexcept Exception as error:\n    found = repr(error)\n", "the blank notebook's 'length-by-hand' says"),
    ("a check that keeps a student waiting", "found = double([1.0, 2.5])\n", "import time\n\ntime.sleep(1.01)\nfound = double([1.0, 2.5])\n", "'double-by-hand' takes 1.0 s"),
    ("a check that falls over a forgotten return", "found = double([1.0, 2.5])\n", "found = double([1.0, 2.5])[:]\n", "'double-by-hand' falls over an answer that forgets its `return` (TypeError: 'NoneType' object is not subscriptable)"),
    ("a wrong answer with a slip of the pen", "def length(x, y):\n    return 5.0", "def length(x, y):\n    return math.sqr(x * x + y * y)", "fails by nothing but a slip of the pen (AttributeError: module 'math' has no attribute 'sqr'"),
    ("a mutant that no check kills", "return math.sqrt(x * x + y * y)", "return math.sqrt(x * x + y * y + 0.0 * y)", "a mutant of 'length' survives"),
    ("a wrong answer that disturbs others", "def length(x, y):\n    return 5.0", "def length(x, y):\n    import builtins\n\n    builtins.print = None\n    return 5.0", "costs another exercise's check 'double-"),
    ("a survivor that is killed", '# %% [markdown] explanation="double"', '# %% [markdown] survives="double"\n# - `return []`: no one would write it\n\n# %% [markdown] explanation="double"', "is no surviving mutant"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "words"), [case[1:] for case in PLANTED], ids=[case[0] for case in PLANTED])
def test_a_planted_fault_is_told(chapter: Chapter, old: str, new: str, words: str) -> None:
    edit(chapter.source, old, new)
    assert words in faults(chapter)


def test_a_survivor_that_is_listed_with_its_reason_is_no_fault(chapter: Chapter) -> None:
    edit(chapter.source, "    return math.sqrt(x * x + y * y)", "    x = x + 0.0 * y\n    return math.sqrt(x * x + y * y)")
    survivors = audit(chapter, jobs=2).exercises[0].unexplained
    assert survivors
    lines = "".join(
        f"\n# - `{statement}`: adding nothing changes nothing" for statement in sorted({mutant.statement for mutant in survivors})
    )
    edit(
        chapter.source,
        '# %% [markdown] explanation="length"',
        f'# %% [markdown] survives="length"{lines}\n\n# %% [markdown] explanation="length"',
    )
    report = audit(chapter, jobs=2)
    assert report.exercises[0].unexplained == ()
    assert report.exercises[0].stale == ()
    assert len(report.exercises[0].explained) == len(survivors)


def test_a_setup_cell_that_fails_is_named(chapter: Chapter) -> None:
    edit(chapter.source, "import math\n", "import math\n\nmath.nothing\n")
    with pytest.raises(GraderError, match="setup cell 'imports' fails: AttributeError"):
        audit(chapter)


def run(steps: list[str], tmp_path: Path, *, timeout: float = 20, first_failure: bool = False) -> list[Status]:
    with Workshop(tmp_path, [Step("setup", "x = [1]")]) as workshop:
        trial = Trial("trial", tuple(Step(str(number), source) for number, source in enumerate(steps)), first_failure)
        (result,) = workshop.run([trial], timeout)
    return [outcome.status for outcome in result.outcomes.values()]


HOSTILE = [
    ("passes", "assert x == [1]", [Status.PASSED, Status.PASSED]),
    ("fails", "1 / 0", [Status.FAILED, Status.PASSED]),
    ("exits", "raise SystemExit", [Status.FAILED, Status.PASSED]),
    ("dies", "import os\nos._exit(3)", [Status.CRASHED, Status.CRASHED]),
    ("kills itself", "import os\nos.kill(os.getpid(), 9)", [Status.CRASHED, Status.CRASHED]),
    ("loops", "while True: pass", [Status.TIMEOUT, Status.TIMEOUT]),
    ("eats memory", "y = bytearray(10**12)", [Status.FAILED, Status.PASSED]),
    ("raises what has no text", "class E(Exception):\n    def __str__(self): raise ValueError\nraise E", [Status.FAILED, Status.PASSED]),
]


@pytest.mark.parametrize(("source", "expected"), [case[1:] for case in HOSTILE], ids=[case[0] for case in HOSTILE])
def test_a_step_ends_with_its_status_and_costs_no_other_trial(tmp_path: Path, source: str, expected: list[Status]) -> None:
    assert run([source, "pass"], tmp_path, timeout=2) == expected


def test_a_trial_that_ends_at_its_first_failure_skips_the_rest(tmp_path: Path) -> None:
    assert run(["pass", "1 / 0", "pass"], tmp_path, first_failure=True) == [Status.PASSED, Status.FAILED, Status.SKIPPED]


def test_trials_do_not_see_each_other(tmp_path: Path) -> None:
    trial = Trial("append", (Step("a", "x.append(2)"), Step("b", "assert x == [1, 2], x")))
    with Workshop(tmp_path, [Step("setup", "x = [1]")], jobs=2) as workshop:
        results = workshop.run([trial] * 5, 20)
    assert [result.lost(["a", "b"]) for result in results] == [()] * 5


def test_every_step_has_its_own_seed(tmp_path: Path) -> None:
    steps = ["import random\ny = random.random()", "z = random.random()\nassert z != y, 'one stream'"]
    assert run(steps, tmp_path) == [Status.PASSED] * 2
