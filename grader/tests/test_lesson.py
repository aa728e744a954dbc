"""A malformed lesson gets an error that names file, line, cell and remedy."""

from __future__ import annotations

import pytest

from grader.course import Chapter
from grader.errors import LessonError
from grader.lesson import read
from grader.rules import require_sound
from grader.tests.conftest import edit

# (what the author did, text in the tiny lesson, its replacement, words of the message)
MALFORMED = [
    ("an unknown role", '# %% check="length-by-hand" points=2', '# %% chek="length-by-hand" points=2', "unknown role or key chek=\n    remedy: did you mean check=? "),
    ("an unquoted role", '# %% check="length-by-hand" points=2', "# %% check=length-by-hand points=2", "put each value in straight double quotes"),
    ("a duplicate id", '# %% wrong="length-table"', '# %% wrong="length-sum"', "the id 'length-sum' is taken by line"),
    ("an id with an umlaut", '# %% wrong="length-table"', '# %% wrong="länge-table"', "letters a–z"),
    ("a marker without a space", '# %% wrong="length-table"', '#%% wrong="length-table"', "a marker without its space"),
    ("a wrong answer of another name", "def length(x, y):\n    return 5.0", "def lenght(x, y):\n    return 5.0", "it does not define 'length', as the exercise 'length' does"),
    ("an id with a capital", '# %% wrong="length-table"', '# %% wrong="length-Table"', "is not an id"),
    ("a check of no exercise", '# %% check="length-by-hand"', '# %% check="width-by-hand"', "no exercise owns 'width-by-hand'"),
    ("a check before its exercise", '# %% check="length-by-hand"', '# %% check="double-first"', "it stands before its exercise 'double'"),
    ("no points", '# %% hidden="length-negative" points=3', '# %% hidden="length-negative"', "points are None"),
    ("negative points", '# %% hidden="length-negative" points=3', '# %% hidden="length-negative" points=-3', "points are -3"),
    ("points in words", '# %% hidden="length-negative" points=3', '# %% hidden="length-negative" points="three"', "points are 'three'"),
    ("no hidden test", '# %% hidden="length-negative"', '# %% check="length-negative"', "no hidden test"),
    ("no visible check", '# %% check="length-by-hand"', '# %% hidden="length-by-hand"', "no visible check"),
    ("one wrong answer", '# %% wrong="length-table" fails="length-negative"', '# %% right="length-table"', "1 wrong answers"),
    ("no right answer", '# %% right="length-hypot"', '# %% wrong="length-hypot" fails="length-by-hand"', "no right answer"),
    ("no explanation", '# %% [markdown] explanation="length"', "# %% [markdown]", "no explanation"),
    ("fails= of no check", 'fails="length-negative"', 'fails="length-negatives"', "names 'length-negatives', which is no check"),
    ("no fails=", '# %% wrong="length-table" fails="length-negative"', '# %% wrong="length-table"', "which check catches it"),
    ("a mistake of another answer", '# %% [markdown] mistake="length-table"', '# %% [markdown] mistake="length-sum"', "nothing says what is wrong with it"),
    ("a wrong answer without its mistake", '# %% [markdown] mistake="length-table"', "# %% [markdown]", "nothing says what is wrong with it"),
    ("a mistake without a headline", "# Adds the two sides.\n#\n", "", "no headline, or no explanation"),
    ("a headline that is too long", "# Adds the two sides.", f"# Adds the {'very ' * 20}two sides.", "no headline, or no explanation"),
    ("a mistake that gives the answer away", "# Adds the two sides.\n#\n", "# Adds the two sides.\n#\n# return math.sqrt(x * x + y * y)\n", "it gives the answer away"),
    ("a heading with other points", "arrow (5 points)", "arrow (6 points)", "its checks give 5"),
    ("a heading with another number", "### Exercise 2", "### Exercise 3", "Exercise 2: … (3 points)"),
    ("no heading", "### Exercise 2: doubling (3 points)", "Doubling.", "no statement stands directly above"),
    ("a marker with a stray space", "    # BEGIN SOLUTION\n    return math", "    # BEGIN  SOLUTION\n    return math", "a solution marker with a stray character"),
    ("a marker without its space", "    # BEGIN SOLUTION\n    return math", "    #BEGIN SOLUTION\n    return math", "a solution marker with a stray character"),
    ("a marker with a space at its end", "    # BEGIN SOLUTION\n    return math", "    # BEGIN SOLUTION \n    return math", "a solution marker with a stray character"),
    ("a region that does not end", "y * y)\n    # END SOLUTION", "y * y)", "does not end"),
    ("a solution outside an answer", "print(math.hypot(6.0, 8.0))", "# BEGIN SOLUTION\nprint(0)\n# END SOLUTION", "outside an answer cell"),
    ("a hidden-tests marker by hand", "print(math.hypot(6.0, 8.0))", "### BEGIN HIDDEN TESTS", "leave it out"),
    ("a check that ends in a value", 'print("passed: every number is doubled")', "len(found)", "partial credit"),
    ("an assert without a message", "assert found == 5.0, f\"length(3, 4) should be 5, got {found!r}\"", "assert found == 5.0", "assert without a message"),
    ("a demonstration that uses an answer", "print(math.hypot(6.0, 8.0))", "print(length(6.0, 8.0))", "it reads 'length', last bound by exercise cell 'length'"),
    ("a demonstration that uses a check's name", "print(math.hypot(6.0, 8.0))", "print(found)", "it reads 'found', last bound by hidden cell 'double-keeps'"),
    ("a demonstration that replaces an answer", "print(math.hypot(6.0, 8.0))", "length = math.hypot", "it binds 'length', the name of an answer"),
    ("a check that needs another exercise", "found = double([1.0, 2.5])", "found = double([length(1.0, 0.0), 2.5])", "it reads 'length', which no setup cell above it binds"),
    ("a check that replaces a setup name", "found, numbers = doubled", "math, numbers = doubled", "it binds 'math' anew"),
    ("code that is not Python", "return 5.0", "return 5.0)", "Python cannot parse this"),
    ("tags on a check", '# %% check="length-by-hand" points=2', '# %% check="length-by-hand" points=2 tags=["slow"]', "tags on a cell with a role"),
    ("a survivor's line of another form", "# A comprehension makes", '# x\n\n# %% [markdown] survives="double"\n# because\n\n# %% [markdown]\n# A comprehension makes', "not a survivor's line"),
    ("code that would become prose", '# %%\nprint(math.hypot(6.0, 8.0))', '# %% [markdown]\nprint(math.hypot(6.0, 8.0))', "would become prose"),
    ("a magic", "print(math.hypot(6.0, 8.0))", "%time math.hypot(6.0, 8.0)", "jupytext would write"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "words"), [case[1:] for case in MALFORMED], ids=[case[0] for case in MALFORMED])
def test_a_malformed_lesson_is_refused_with_file_line_and_remedy(chapter: Chapter, old: str, new: str, words: str) -> None:
    edit(chapter.source, old, new)
    with pytest.raises(LessonError) as caught:
        require_sound(read(chapter.source))
    message = str(caught.value)
    assert words in message
    assert f"{chapter.source}:" in message
    assert "remedy: " in message
    lines = len(chapter.source.read_text(encoding="utf-8").splitlines())
    assert all(1 <= finding.line <= lines for finding in caught.value.findings)


def test_the_tiny_lesson_is_sound(chapter: Chapter) -> None:
    require_sound(read(chapter.source))


def test_all_findings_are_told_at_once(chapter: Chapter) -> None:
    edit(chapter.source, "arrow (5 points)", "arrow (6 points)")
    edit(chapter.source, 'fails="length-negative"', 'fails="length-negatives"')
    with pytest.raises(LessonError) as caught:
        require_sound(read(chapter.source))
    assert len(caught.value.findings) == 2


def test_a_lesson_that_is_not_utf8_is_refused(chapter: Chapter) -> None:
    chapter.source.write_bytes(b"# %% [markdown]\n# \xff\n")
    with pytest.raises(LessonError, match="not UTF-8"):
        read(chapter.source)


def test_an_empty_lesson_is_refused(chapter: Chapter) -> None:
    chapter.source.write_text("", encoding="utf-8")
    with pytest.raises(LessonError, match="not a cell marker"):
        read(chapter.source)


def test_a_check_belongs_to_the_longest_exercise_id_that_begins_its_own(chapter: Chapter) -> None:
    text = chapter.source.read_text(encoding="utf-8")
    chapter.source.write_text(text.replace('"double', '"length-twice'), encoding="utf-8")
    exercises = {exercise.id: [test.id for test in exercise.tests] for exercise in read(chapter.source).exercises}
    assert exercises == {
        "length": ["length-by-hand", "length-negative"],
        "length-twice": ["length-twice-by-hand", "length-twice-keeps"],
    }


def test_the_blank_answer_is_nbgraders_stub(chapter: Chapter) -> None:
    blank = read(chapter.source).exercises[0].answer.blank
    assert blank.endswith('"""Return the length of the arrow (x, y)."""\n    # YOUR CODE HERE\n    raise NotImplementedError()')
