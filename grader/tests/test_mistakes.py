"""A failing answer is matched with the mistake that the lesson knows, by what it does, or with none."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from typing import Any

import hypothesis.strategies as st
import msgpack
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from grader.course import Chapter, Course
from grader.engine import plain
from grader.engine.behaviour import MAX_PARTS, Behaviour, behaviour, same
from grader.engine.grade import ChapterGrader
from grader.engine.plan import plan_of, task_of
from grader.lesson import read
from grader.notebook import instructor_notebook
from grader.review.mistakes import Known, known, match
from grader.template import grade_id
from grader.tests.conftest import judged_course

sandboxed = pytest.mark.skipif(not sys.platform.startswith("linux") or not shutil.which("bwrap"), reason="the sandbox needs bubblewrap")


def of(*values: Any, stopped: str = "") -> Behaviour:
    return behaviour([[0, "value", plain.encode(value)] for value in values], stopped)


ALIKE = [
    (1 / 3, 0.33333334),
    (torch.tensor([1.0, 2.0]) / 3, torch.tensor([1.0, 2.0], dtype=torch.float64) * (1 / 3)),
    (np.array([1, 2], dtype=np.float32), np.array([1, 2], dtype=np.float64)),
    ([1.0, 2.0, 3.0, 4.0], [1, 2, 3, 4.0000001]),
    ({"a": (1, "x")}, {"a": (1, "x")}),
    (torch.tensor([1.0, float("nan")]), torch.tensor([1.0, float("nan")])),
    (1e-9, 1.0000001e-9),
]
APART = [
    (1.0, 1.01),
    (1e-9, 2e-9),
    (torch.tensor([1.0, 2.0]), torch.tensor([2.0, 1.0])),
    (torch.zeros(2, 3), torch.zeros(3, 2)),
    (torch.tensor([1.0, float("nan")]), torch.tensor([1.0, 0.0])),
    ([1.0, 2.0, 3.0, 4.0], (1.0, 2.0, 3.0, 4.0)),
    (True, 1),
    (None, 0),
    ("one", "two"),
    ({1, 2}, {1, 3}),
]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_rounding_and_precision_make_no_difference(one: Any, other: Any) -> None:
    assert same(of(one), of(other))


@pytest.mark.parametrize(("one", "other"), APART)
def test_what_differs_is_told_apart(one: Any, other: Any) -> None:
    assert not same(of(one), of(other))


def test_errors_are_told_apart_by_their_text_and_a_stop_by_what_stopped() -> None:
    def failed(error: Exception) -> Behaviour:
        return behaviour([[0, "error", plain.encode_error(error)]], "")

    assert same(failed(ValueError("x")), failed(ValueError("x")))
    assert not same(failed(ValueError("x")), failed(ValueError("y")))
    assert not same(failed(ValueError("x")), failed(KeyError("x")))
    assert not same(of(1.0), of(1.0, stopped="IndexError: list index out of range"))


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=200) | st.recursive(st.none() | st.floats() | st.integers() | st.text(), st.lists).map(lambda one: plain.encode(one))
)
def test_whatever_the_bytes_are_something_comes_back_that_can_be_sent(data: bytes) -> None:
    for kind in ("value", "error", "other"):
        found = behaviour([[0, kind, data]] * 3, "")
        assert len(found) <= MAX_PARTS
        assert same(found, msgpack.unpackb(msgpack.packb(found)))


@pytest.fixture(scope="module")
def lesson(tmp_path_factory: pytest.TempPathFactory) -> Chapter:
    return judged_course(tmp_path_factory.mktemp("course")).chapters()[0]


@pytest.fixture(scope="module")
def mistakes(lesson: Chapter) -> list[Known]:
    return known(lesson)


ANSWERS = [
    ("mean", "def mean_of(values):\n    total = 0\n    for row in values:\n        total = total + row\n    return total", "mean-sum"),
    ("mean", "def mean_of(x):\n    return x.T.mean(0)", "mean-columns"),
    ("mean", "def mean_of(x):\n    return x.mean(dim=0) * 2", None),
    ("mean", "def mean_of(x):\n    return nothing", None),
    ("mean", "def mean_of(x):\n    return None", None),
    ("root", "def root(n):\n    return int(n / 2)", "root-half"),
    ("root", "def root(n):\n    raise ValueError(n)", None),
]


@sandboxed
@pytest.mark.parametrize(("exercise", "answer", "mistake"), ANSWERS)
def test_a_known_mistake_in_other_words_is_recognised_and_another_one_is_not(
    lesson: Chapter, mistakes: list[Known], exercise: str, answer: str, mistake: str | None
) -> None:
    notebook = instructor_notebook(read(lesson.source))
    plan = plan_of(lesson, notebook)
    next(cell for cell in notebook.cells if grade_id(cell) == exercise).source = answer
    with ChapterGrader(plan, Course(lesson.root).data) as grader:
        result = grader.grade(task_of(plan, "ada", notebook))
    assert result.behaviours.keys() == result.failures.keys() & plan.checks.keys()
    found = match(mistakes, exercise, result.behaviours)
    assert (found.id if found else None) == mistake


@sandboxed
def test_two_mistakes_that_do_the_same_are_withheld(mistakes: list[Known]) -> None:
    first = mistakes[0]
    assert match(mistakes, first.exercise, first.behaviours) == first
    assert match([*mistakes, replace(first, id="twin")], first.exercise, first.behaviours) is None
