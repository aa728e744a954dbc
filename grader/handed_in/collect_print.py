"""Says what was collected, and lists what a person should look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from rich.console import Console

from grader.handed_in.collect import Attempt, Collection
from grader.handed_in.roster import Roster, describe
from grader.safe_text import visible


def show(collection: Collection, roster: Roster | None, console: Console) -> None:
    """Print what is there by chapter, then a list for each kind of trouble, each with what to do."""
    for name, count in sorted(Counter(attempt.chapter.name for attempt in collection.chosen).items()):
        of = f" of {len(roster.students)}" if roster else ""
        console.print(f"{name}: {count}{of} students", markup=False)
    if roster is None:
        console.print("no list of the class: nobody can be missing or unknown\n    remedy: --roster class.csv", style="yellow")
    for name, students in collection.missing.items():
        _list(f"missing from {name}", describe(students), "", console)
    _list("late, says the platform", _who(collection.late), "it does not say by how much: --late-by does", console)
    _list("handed in more than once", _who(collection.earlier), "the last attempt is graded; all are in gradebook/attempts", console)
    _list(
        "another chapter than the one asked for",
        (
            f"{line}: {chapter}"
            for line, chapter in zip(_who(a for a, _ in collection.elsewhere), (c for _, c in collection.elsewhere), strict=True)
        ),
        "not taken; collect without a chapter takes each to its own",
        console,
    )
    _list(
        "unknown",
        (f"{visible(one.origin)}: {why}" for one, why in collection.unknown),
        "mend the list of the class or the name, and collect again",
        console,
    )
    _list("not usable", (f"{visible(one.origin)}: {why}" for one, why in collection.unusable), "ask for the notebook again", console)


def _who(attempts: Iterable[Attempt]) -> Iterable[str]:
    return [f"{next(iter(describe([attempt.student])))} {attempt.chapter.name}" for attempt in attempts]


def _list(title: str, lines: Iterable[str], remedy: str, console: Console) -> None:
    lines = list(lines)
    if not lines:
        return
    console.print(f"{title}: {len(lines)}" + (f"    ({remedy})" if remedy else ""), style="yellow", markup=False)
    for line in lines:
        console.print(f"    {line}", markup=False)
