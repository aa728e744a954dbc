"""Shows an audit's report in the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from grader.audit import ExerciseReport, Report
from grader.lesson import Lesson
from grader.mutation import diff


def show(report: Report, lesson: Lesson, console: Console) -> None:
    """Print the table of exercises, the surviving mutants as diffs, and the faults."""
    table = Table(title=f"{report.name}  ({report.seconds:.1f} s)", title_justify="left")
    for heading in ("exercise", "points", "wrong answer: caught by", "right", "mutants killed"):
        table.add_column(heading, overflow="fold")
    for exercise in report.exercises:
        table.add_row(exercise.id, f"{exercise.points:g}", _wrongs(exercise), _rights(exercise), _mutants(exercise))
    share = f"{report.killed / report.mutants:.1%}" if report.mutants else "no mutants"
    table.add_row(
        "",
        f"{sum(exercise.points for exercise in report.exercises):g}",
        "",
        "",
        f"{report.killed}/{report.mutants} = {share}",
        style="bold",
    )
    console.print(table)
    if report.waits:
        slowest = max(report.waits, key=report.waits.__getitem__)
        console.print(f"the slowest visible check answers in {report.waits[slowest]:.2f} s: {escape(slowest)}")
    answers = {exercise.id: exercise.answer.source for exercise in lesson.exercises}
    for exercise in report.exercises:
        for mutant in exercise.unexplained:
            console.print(
                f"survivor in '{exercise.id}', line {mutant.line} ({mutant.operator}): `{escape(mutant.statement)}`", style="yellow"
            )
            console.print(diff(answers[exercise.id], mutant.source), markup=False)
    for fault in report.faults():
        console.print(fault, style="red", markup=False)


def _wrongs(exercise: ExerciseReport) -> str:
    return "\n".join(
        f"{escape(_short(wrong.id, exercise))}: {' '.join(_short(check, exercise) for check in wrong.caught) or 'nothing'}"
        for wrong in exercise.wrongs
    )


def _rights(exercise: ExerciseReport) -> str:
    return "\n".join(f"{escape(_short(right, exercise))}: {'refused' if lost else 'accepted'}" for right, lost in exercise.rights.items())


def _mutants(exercise: ExerciseReport) -> str:
    explained = f" ({len(exercise.explained)} explained)" if exercise.explained else ""
    return f"{exercise.killed}/{exercise.mutants}{explained}"


def _short(identity: str, exercise: ExerciseReport) -> str:
    return identity.removeprefix(f"{exercise.id}-")
