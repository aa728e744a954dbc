"""How well copies are told from answers that people wrote alone: over every pair of the latter, and a disguised copy of each.

    python -m grader.bench.similarity

What people wrote alone lies in `grader/class_answers`. A copy has other local names, another layout and another order of statements.
"""

from __future__ import annotations

from itertools import combinations

from grader.course import Chapter, Course
from grader.demo_class import written
from grader.lesson import read
from grader.mutation.disguise import disguise
from grader.review.similarity import Prints, fingerprints, is_listed, shared


def main() -> None:
    """Print the shares of each chapter, and how many pairs would be listed."""
    alone, copies = [], []
    for chapter in Course.find().chapters():
        found = _prints(chapter)
        if found:
            ours = [shared(one, other) for (one, _), (other, _) in combinations(found, 2)]
            theirs = [shared(one, copy) for one, copy in found]
            print(f"{chapter.name}: alone {_said(ours)}; copies {_said(theirs)}")
            alone += ours
            copies += theirs
    print(f"listed: {_listed(copies)} of {len(copies)} copies, {_listed(alone)} of {len(alone)} pairs who wrote alone")


def _prints(chapter: Chapter) -> list[tuple[Prints, Prints]]:
    """Return what each person wrote alone, and a copy of it."""
    lesson = read(chapter.source)
    people = [answers for name, answers in written(chapter.name).items() if name.startswith("own-")]
    return [
        (fingerprints(lesson, answers), fingerprints(lesson, {name: disguise(source) for name, source in answers.items()}))
        for answers in people
    ]


def _said(found: list[tuple[int, float]]) -> str:
    return " ".join(f"{share:.2f}" for _, share in sorted(found, key=lambda pair: pair[1]))


def _listed(found: list[tuple[int, float]]) -> int:
    return sum(is_listed(characters, share) for characters, share in found)


if __name__ == "__main__":
    main()
