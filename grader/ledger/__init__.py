"""All that is known about nbgrader: releases notebooks, grades submissions, keeps marks in its gradebook, writes feedback.

The modules inside: `preprocessors` run in nbgrader's own pipelines and are named in `nbgrader_config.py`; `converters` run
those pipelines; `gradebook` keeps and tells marks; `grading` takes a class through all of it; `results` is what comes out.
"""

from grader.ledger.converters import release
from grader.ledger.feedback import feedback
from grader.ledger.gradebook import sheets
from grader.ledger.grading import Limits, grade, strays
from grader.ledger.preprocessors import HideTests, KeepMarks, Rebuild, RequireExecution, RunSubmission, TagForRunAll
from grader.ledger.results import Mark, Problem, Sheet

__all__ = [
    "HideTests",
    "KeepMarks",
    "Limits",
    "Mark",
    "Problem",
    "Rebuild",
    "RequireExecution",
    "RunSubmission",
    "Sheet",
    "TagForRunAll",
    "feedback",
    "grade",
    "release",
    "sheets",
    "strays",
]
