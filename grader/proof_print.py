"""Prints the proof: a line for each step as it ends, all that a failing step printed, and a table at the end."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from grader.proof import Outcome, Status

STYLES = {Status.PASSED: "green", Status.FAILED: "red", Status.TIMEOUT: "red"}


def show(outcome: Outcome, console: Console) -> None:
    """Print how a step ended: its last line where it passed, and everything where it did not."""
    if not outcome.passed:
        console.rule(outcome.step.name)
        console.print(outcome.output.rstrip(), markup=False)
        console.rule()
    console.print(_words(outcome), style=STYLES[outcome.status], markup=False)


def _words(outcome: Outcome) -> str:
    return f"{outcome.step.name}: {outcome.status.value} in {outcome.seconds:.1f} s: {outcome.last_line}"


def summary(outcomes: list[Outcome], console: Console) -> None:
    """Print the table of all steps, and one line in pytest's form."""
    table = Table("step", "result", "time")
    table.columns[2].justify = "right"
    for outcome in outcomes:
        table.add_row(outcome.step.name, outcome.status.value, f"{outcome.seconds:.1f} s", style=STYLES[outcome.status])
    console.print(table)
    failed = sum(not outcome.passed for outcome in outcomes)
    counts = ([f"{failed} failed"] if failed else []) + ([f"{len(outcomes) - failed} passed"] if failed < len(outcomes) else [])
    seconds = sum(outcome.seconds for outcome in outcomes)
    console.print(f"===== {', '.join(counts)} in {seconds:.2f}s =====", style="red" if failed else "green", markup=False)
