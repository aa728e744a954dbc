"""All that is known about nbgrader: releases notebooks, grades submissions, keeps marks in its gradebook.

The modules inside: `preprocessors` run in nbgrader's own pipelines and are named in `nbgrader_config.py`; `converters` run
those pipelines; `submissions` reads what was handed in; `grading` takes a class through the engine and `record` writes what it
found, or `stock` lets nbgrader itself grade; `gradebook` keeps and tells marks; `results` is what comes out.
"""

from grader.engine.plan import Seconds
from grader.ledger.converters import release
from grader.ledger.gradebook import papers, sheets
from grader.ledger.grading import Graded, Options, Progress, count, grade
from grader.ledger.preprocessors import HideTests, KeepMarks, Rebuild, RequireExecution, RunSubmission, TagForRunAll
from grader.ledger.rehearsal import Change, changes, rehearse
from grader.ledger.results import Mark, Paper, Problem, Sheet, State
from grader.ledger.submissions import strays

__all__ = [
    "Change",
    "Graded",
    "HideTests",
    "KeepMarks",
    "Mark",
    "Options",
    "Paper",
    "Problem",
    "Progress",
    "Rebuild",
    "RequireExecution",
    "RunSubmission",
    "Seconds",
    "Sheet",
    "State",
    "TagForRunAll",
    "changes",
    "count",
    "grade",
    "papers",
    "rehearse",
    "release",
    "sheets",
    "strays",
]
