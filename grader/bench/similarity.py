"""How well copies are told from answers that people wrote alone: over every pair of the latter, and a disguised copy of each.

    python -m grader.bench.similarity

What people wrote alone lies in `grader/class_answers`. A copy has other local names, another layout and another order of statements.
Somebody who copies in part has a few answers of another's, disguised, and their own for the rest.
"""

from __future__ import annotations

import random
from itertools import combinations

from grader.course import Chapter, Course
from grader.demo_class import written
from grader.lesson import read
from grader.mutation.disguise import disguise
from grader.review.similarity import Overlap, Prints, fingerprints, overlap

IN_PART = (2, 3, 5, 7)  # answers that are copied


def main() -> None:
    """Print the shares of each chapter, and how many pairs would be listed."""
    alone, copies = [], []
    in_part: dict[int, list[Overlap]] = {count: [] for count in IN_PART}
    rng = random.Random(1)
    for chapter in Course.find().chapters():
        found = _prints(chapter)
        if found:
            ours = [overlap(one, other) for (one, _), (other, _) in combinations(found, 2)]
            theirs = [overlap(one, copy) for one, copy in found]
            print(f"{chapter.name}: alone {_said(ours)}; copies {_said(theirs)}")
            alone += ours
            copies += theirs
            for count, pairs in in_part.items():
                for (one, copy), (other, _) in combinations(found, 2):
                    taken = rng.sample(sorted(copy), min(count, len(copy)))
                    pairs.append(overlap(one, other | {name: copy[name] for name in taken}))
    print(f"listed: {_listed(copies)} copies, {_listed(alone)} pairs who wrote alone")
    for count, pairs in in_part.items():
        print(f"with {count} answers copied: {_listed(pairs)}")


def _prints(chapter: Chapter) -> list[tuple[Prints, Prints]]:
    """Return what each person wrote alone, and a copy of it."""
    lesson = read(chapter.source)
    people = [answers for name, answers in written(chapter.name).items() if name.startswith("own-")]
    return [
        (fingerprints(lesson, answers), fingerprints(lesson, {name: disguise(source) for name, source in answers.items()}))
        for answers in people
    ]


def _said(found: list[Overlap]) -> str:
    return " ".join(f"{share:.2f}" for share in sorted(pair.share for pair in found))


def _listed(found: list[Overlap]) -> str:
    return f"{sum(pair.is_listed for pair in found)} of {len(found)}"


if __name__ == "__main__":
    main()
