"""Puts what a class handed in where it is graded, and says who is missing, who is unknown, and what cannot be used."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from grader.course import Chapter, Course
from grader.files import write_if_changed
from grader.handed_in.archives import ArchiveError, Found, files
from grader.handed_in.roster import Roster, Student, key
from grader.ledger.submissions import TIMESTAMP, attempts_folder, submitted
from grader.notebook import COURSE_KEY


@dataclass(frozen=True)
class Attempt:
    """One notebook of a student."""

    student: Student
    chapter: Chapter
    found: Found


@dataclass
class Collection:
    """What was found. `chosen` is to be graded; every other list is for a person to look at."""

    chosen: list[Attempt] = field(default_factory=list)
    earlier: list[Attempt] = field(default_factory=list)  # attempts before the chosen one
    late: list[Attempt] = field(default_factory=list)  # chosen ones that the platform calls late
    missing: dict[str, list[Student]] = field(default_factory=dict)  # of each chapter that somebody handed in
    unknown: list[tuple[Found, str]] = field(default_factory=list)  # nobody in the list, or more than one
    elsewhere: list[tuple[Attempt, str]] = field(default_factory=list)  # of another chapter than the one that was asked for
    unusable: list[tuple[Found, str]] = field(default_factory=list)  # too large, no notebook, of no chapter

    @property
    def students(self) -> int:
        """How many students have something to grade."""
        return len({attempt.student.key for attempt in self.chosen})


def handed_in(course: Course, source: Path) -> Iterator[Found]:
    """Yield every file of a folder or archive; ArchiveError where it cannot be read, or is a folder that holds the course itself."""
    if course.root.resolve().is_relative_to(source.resolve()):
        raise ArchiveError(f"{source}: holds the course itself\n    remedy: name what was downloaded: make collect FROM=submissions.zip")
    yield from files(source)


def sort(course: Course, found: Iterable[Found], roster: Roster | None, chapter: Chapter | None = None) -> Collection:
    """Say what belongs to whom; the last attempt of each student at each chapter is chosen.

    Without a `roster` everybody is taken under the name that the platform gives them. With a `chapter`, only that one is wanted.
    """
    collection = Collection()
    known = {chapter.name: chapter for chapter in course.chapters()}
    taken: list[Attempt] = []
    attempts: defaultdict[tuple[str, str], list[Attempt]] = defaultdict(list)
    for one in found:
        if one.content is None:
            collection.unusable.append((one, one.problem))
            continue
        of = _chapter(known, one)
        if of is None:
            collection.unusable.append((one, "it says nothing of a chapter of this course"))
            continue
        match _who(one, roster):
            case Student() as student:
                taken.append(Attempt(student, of, one))
            case str(why):
                collection.unknown.append((one, why))
    owners: defaultdict[str, set[Student]] = defaultdict(set)
    for attempt in taken:
        owners[attempt.student.key.casefold()].add(attempt.student)
    for attempt in taken:
        if len(owners[attempt.student.key.casefold()]) > 1:
            collection.unknown.append((attempt.found, f"another student would get the same folder, {attempt.student.key}"))
        elif chapter and attempt.chapter != chapter:
            collection.elsewhere.append((attempt, attempt.chapter.name))
        else:
            attempts[attempt.student.key, attempt.chapter.name].append(attempt)
    for several in attempts.values():
        *earlier, last = sorted(several, key=lambda attempt: attempt.found.attempt)
        collection.chosen.append(last)
        collection.earlier += earlier
        if last.found.late:
            collection.late.append(last)
    collection.chosen.sort(key=lambda attempt: (attempt.chapter.name, attempt.student.key))
    if roster:
        for name in sorted({attempt.chapter.name for attempt in collection.chosen} | ({chapter.name} if chapter else set())):
            here = {attempt.student.key for attempt in collection.chosen if attempt.chapter.name == name}
            collection.missing[name] = [student for student in roster.students if student.key not in here]
    return collection


def write(course: Course, collection: Collection, late: Mapping[str, str] | None = None) -> int:
    """Write the chosen attempts to where they are graded, and all of them aside; return how many of the chosen are new or changed.

    `late` says when what the platform calls late came, by chapter: the platform itself does not.
    """
    changed = 0
    for attempt in (*collection.earlier, *collection.chosen):
        place = _aside(course, attempt)
        write_if_changed(place, attempt.found.content or b"")
        _stamp(place.with_name(TIMESTAMP), attempt, late or {})
    for attempt in collection.chosen:
        place = submitted(course, attempt.chapter, attempt.student.key)
        changed += write_if_changed(place, attempt.found.content or b"")
        _stamp(place.with_name(TIMESTAMP), attempt, late or {})
    return changed


def _stamp(place: Path, attempt: Attempt, late: Mapping[str, str]) -> None:
    """Write when a late attempt came; of one in time no file says anything."""
    if attempt.found.late and attempt.chapter.name in late:
        write_if_changed(place, late[attempt.chapter.name].encode())
    else:
        place.unlink(missing_ok=True)


def _aside(course: Course, attempt: Attempt) -> Path:
    """Return where an attempt is kept: only Canvas numbers each, so those of one number get another behind it, in the order they came."""
    folder, number = attempts_folder(course, attempt.chapter, attempt.student.key), "-".join(map(str, attempt.found.attempt))
    places = (folder / f"{number}-{again}" / f"{attempt.chapter.name}.ipynb" for again in count())
    return next(place for place in places if not place.is_file() or place.read_bytes() == attempt.found.content)


def _chapter(known: dict[str, Chapter], found: Found) -> Chapter | None:
    """Return the chapter that a notebook is of: what it says itself, else what its name says."""
    try:
        about = json.loads(found.content or b"")["metadata"][COURSE_KEY]["chapter"]
    except (ValueError, KeyError, TypeError, RecursionError):
        about = found.file.removesuffix(".ipynb")
    return known.get(about) if isinstance(about, str) else None


def _who(found: Found, roster: Roster | None) -> Student | str:
    """Return whose a file is, or why that cannot be said."""
    if not found.called:
        return "its name says nothing of a student"
    if roster is None:
        name = key("-".join(reversed(found.called)))
        return Student(name, found.called[-1], found.called) if name else "its name cannot be that of a folder"
    students = roster.find(*found.called)
    if len(students) == 1:
        return students[0]
    return "nobody in the list" if not students else f"{len(students)} students in the list have this name"
