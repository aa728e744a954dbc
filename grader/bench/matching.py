"""How often a failing answer is matched with the right known mistake: over wrong answers reworked by hand, and over mutants.

    python -m grader.bench.matching [--mutants] [CHAPTER …]

What is reworked lies in `grader/class_answers`: each makes the mistake of one of the lesson's wrong answers, in other words. A mutant
makes a mistake that nobody thought of, so that a match is right only where the mutant happens to be that mistake: people read each match,
and `grader/class_answers/mutants.json` says for those that they read whether it is right. What nobody has read is printed.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence

from grader.course import Chapter, Course
from grader.demo_class import ANSWERS, written
from grader.engine.grade import ChapterGrader
from grader.engine.plan import plan_of
from grader.lesson import owner_of, read
from grader.mutation import diff, mutants
from grader.notebook import instructor_notebook
from grader.review.mistakes import Known, behaviours_of, known, match


def main() -> None:
    """Print a line for each chapter, every wrong match, and the sum."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("chapters", nargs="*")
    parser.add_argument("--mutants", action="store_true")
    arguments = parser.parse_args()
    total: Counter[str] = Counter()
    for chapter in Course.find().chapters(arguments.chapters):
        found = Counter(mutated(chapter, known(chapter)) if arguments.mutants else reworked(chapter, known(chapter)))
        total += found
        print(f"{chapter.name}: {_said(found)}", flush=True)
    print(f"all: {_said(total)}")


def reworked(chapter: Chapter, mistakes: Sequence[Known]) -> Iterator[str]:
    """Yield for each reworked answer whether its match is right, wrong or withheld."""
    lesson = read(chapter.source)
    ids = [exercise.id for exercise in lesson.exercises]
    answers = [(owner_of(name, ids) or "", name, source) for name, source in written(chapter.name).get("reworked", {}).items()]
    for name, result in _matched(chapter, mistakes, answers):
        if result and result.id != name:
            print(f"    {name} was taken for {result.id}")
        yield "withheld" if result is None else "right" if result.id == name else "wrong"


def mutated(chapter: Chapter, mistakes: Sequence[Known]) -> Iterator[str]:
    """Yield for each mutant that fails whether its match is right, wrong, withheld or not yet read by anybody; print the latter."""
    lesson = read(chapter.source)
    answers = {exercise.id: exercise.answer.source for exercise in lesson.exercises}
    changes = [(name, _change(source, mutant.source), mutant.source) for name, source in answers.items() for mutant in mutants(source)]
    verdicts = json.loads((ANSWERS / "mutants.json").read_text(encoding="utf-8")).get(chapter.name, {})
    for change, result in _matched(chapter, mistakes, changes):
        verdict = verdicts.get(result.id, {}).get(change, "unread") if result else "withheld"
        if result and verdict in ("unread", "wrong"):
            print(f"    {verdict}: taken for {result.id} ({result.mistake.headline})\n{change}")
        yield verdict


def _change(original: str, mutated: str) -> str:
    """Return the lines that a mutant changes, before and after."""
    _, _, *lines = diff(original, mutated).splitlines()
    return "\n".join(line for line in lines if line[0] in "-+")


def _matched(chapter: Chapter, mistakes: Sequence[Known], answers: Sequence[tuple[str, str, str]]) -> Iterator[tuple[str, Known | None]]:
    """Yield the name and the match of each of `answers`, (exercise, name, source), that fails a check."""
    plan = plan_of(chapter, instructor_notebook(read(chapter.source)))
    with ChapterGrader(plan, Course(chapter.root).data) as grader:
        behaviours = list(behaviours_of(grader, plan, [(exercise, source) for exercise, _, source in answers]))
    for (exercise, name, _), found in zip(answers, behaviours, strict=True):
        if found:
            yield name, match(mistakes, exercise, found)


def _said(found: Counter[str]) -> str:
    count = sum(found.values())
    return ", ".join(f"{number} {what} ({number / count:.0%})" for what, number in sorted(found.items())) or "nothing"


if __name__ == "__main__":
    main()
