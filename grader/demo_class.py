"""A made-up class over several chapters, from what students handed in to what the platform imports, with all that must come of it."""

from __future__ import annotations

import csv
import io
import os
import random
import re
import shutil
import time
import zipfile
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from grader import ledger
from grader.audit import answered
from grader.course import Chapter, Course
from grader.demo import course_in, filled
from grader.export import export
from grader.handed_in import roster as lists
from grader.handed_in.archives import files
from grader.handed_in.collect import sort, write
from grader.handed_in.roster import key, plain
from grader.ledger import Sheet, lateness
from grader.lesson import Exercise, read
from grader.mutation.disguise import disguise
from grader.mutation.mutants import mutants
from grader.notebook import dumps, load
from grader.review.feedback import feedback
from grader.review.report import Report, report
from grader.trial import Result

CHAPTERS = ["01", "02", "04"]
DUE = "2026-11-20 22:59 UTC"
PER_DAY = 0.1  # of the points, for lateness
ONE_MUTANT_IN = 25  # students, at each exercise
SLOW = 2.0  # seconds; nobody gives an answer that takes longer: `make demo` shows what an endless one costs
ANSWERS = Path(__file__).with_name("class_answers")  # what several people wrote, each alone
_CELL = re.compile(r'^# %% (?P<role>\w+)="(?P<id>[^"]+)"\n', re.MULTILINE)
FIRST = "Ada Jörg Zoë 小明 Jane Noor محمد Łukasz Ana-María Sinéad Søren Ekaterina José 健太 Priya Deniz Björk Amara Dmitri Ngọc".split()
LAST = (
    "Lovelace Müller O'Neil 王 Smith Al-Khwārizmī حسن Wójcik Núñez Ångström Иванова Pérez 伊藤 Iyer Öztürk Guðmundsdóttir Okafor Nguyễn"
).split()


@dataclass(frozen=True)
class Answer:
    """An answer to an exercise, and the known mistake that it makes on purpose."""

    source: str
    mistake: str = ""


@dataclass(frozen=True)
class Person:
    """A student as Canvas knows them."""

    number: int
    name: str
    login: str

    @property
    def key(self) -> str:
        """The name of their folder."""
        return key(self.login)


@dataclass
class Paper:
    """What a person hands in for a chapter, and what must come of it."""

    person: Person
    answers: Mapping[str, Answer]  # exercise → answer
    points: dict[str, float] = field(default_factory=dict)  # check → points that it must get
    late: bool = False
    broken: bool = False  # not JSON
    earlier: Mapping[str, Answer] | None = None  # an attempt before


@dataclass
class MadeClass:
    """A course of its own with a class; nothing is collected yet."""

    course: Course
    roster: Path
    archives: dict[str, Path]  # chapter → what Canvas gives for it
    papers: dict[str, list[Paper]]  # by chapter
    missing: list[Person]
    copied: tuple[str, str]


def make_class(course: Course, chapters: Sequence[Chapter], folder: Path, count: int, seed: int = 1) -> MadeClass:
    """Write to `folder` a course with a class of `count` (at least 10), handed in as Canvas gives it; the chapters must be built.

    Raises LedgerError where the folder holds a gradebook already.
    """
    copy = course_in(course, folder, f"c.LatePenalty.per_day = {PER_DAY}\n")
    if (kept := course.root / ".grader" / "mistakes").is_dir():
        shutil.copytree(kept, copy.root / ".grader" / "mistakes")
    people = _people(count)
    made = MadeClass(copy, _roster(copy.root / "grades.csv", people), {}, {}, people[:3], (people[-2].key, people[-1].key))

    def papers_of(chapter: Chapter) -> list[Paper]:
        return _papers(chapter, people[3:], random.Random(f"{seed} {chapter.name}"))

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        made.papers = dict(zip((chapter.name for chapter in chapters), pool.map(papers_of, chapters), strict=True))
    for chapter in chapters:
        papers = made.papers[chapter.name]
        shutil.copytree(chapter.source.parent, copy.root / "solutions" / chapter.name)
        made.archives[chapter.name] = _archive(copy.root / f"{chapter.name}.zip", chapter, papers)
    return made


def differences(made: MadeClass, chapter: str, sheets: Sequence[Sheet]) -> Iterator[str]:
    """Yield every mark of a chapter that is not as expected."""
    found = {sheet.student: sheet for sheet in sheets}
    for person in made.missing:
        if person.key in found:
            yield f"{person.key} handed in nothing and has marks"
    for paper in made.papers[chapter]:
        sheet = found.get(paper.person.key)
        if sheet is None:
            yield f"{paper.person.key} has no marks"
            continue
        for mark in sheet.marks:
            if mark.points != (wanted := paper.points[mark.cell]):
                yield f"{paper.person.key}: check '{mark.cell}' must get {wanted:g} and has {mark.points}: {mark.message[:200]}"
        penalty = PER_DAY * sum(paper.points.values()) if paper.late else 0.0
        if abs(sheet.penalty - penalty) > 1e-9:
            yield f"{paper.person.key}: lateness must cost {penalty:g} and costs {sheet.penalty:g}"


@dataclass
class Matches:
    """How often a mistake that was made on purpose was recognised."""

    right: int = 0
    wrong: list[str] = field(default_factory=list)
    withheld: int = 0


def matches(made: MadeClass, report: Report) -> Matches:
    """Compare the mistakes that a report counts with those that were made."""
    found = Matches()
    counted = {(exercise.id, student): mistake.id for exercise, mistake in report.figures.mistakes for student in mistake.students}
    for paper in made.papers[report.figures.chapter]:
        for exercise, answer in paper.answers.items():
            if not answer.mistake or paper.broken:
                continue
            told = counted.get((exercise, paper.person.key))
            if told is None:
                found.withheld += 1
            elif told == answer.mistake:
                found.right += 1
            else:
                found.wrong.append(f"{paper.person.key}: {answer.mistake} was taken for {told}")
    return found


class Walk:
    """The way of an instructor with a made-up class, step by step; `differences` holds what was not as expected."""

    def __init__(self, course: Course, chapters: Sequence[Chapter], folder: Path, count: int) -> None:
        self.make = partial(make_class, course, chapters, folder, count)
        self.differences: list[str] = []

    def steps(self) -> Iterator[tuple[str, float, str]]:
        """Take each step; yield its name, the seconds that it took, and what came of it."""
        for step in (self._made, self._collected, self._graded, self._reported, self._told, self._exported):
            start = time.perf_counter()
            said = step()
            yield step.__name__.removeprefix("_"), time.perf_counter() - start, said

    def _made(self) -> str:
        self.made = self.make()
        self.course, self.chapters = self.made.course, self.made.course.chapters()
        return f"{len(self.chapters)} archives as Canvas gives them"

    def _collected(self) -> str:
        roster = lists.read(self.made.roster)
        lists.keep(self.course, roster)
        for chapter in self.chapters:
            lateness.set_due(self.course, chapter, DUE)
            found = sort(self.course, files(self.made.archives[chapter.name]), roster, chapter)
            write(self.course, found, {chapter.name: lateness.later(self.course, chapter, 1)})
            papers = self.made.papers[chapter.name]
            self._same(chapter, "chosen", len(found.chosen), len(papers))
            self._same(chapter, "missing", [one.key for one in found.missing[chapter.name]], [one.key for one in self.made.missing])
            self._same(chapter, "late", [one.student.key for one in found.late], [one.person.key for one in papers if one.late])
            self._same(chapter, "earlier", [one.student.key for one in found.earlier], [one.person.key for one in papers if one.earlier])
            self._same(chapter, "to look at", [*found.unknown, *found.unusable, *found.elsewhere], [])
        return "who is missing, late, twice there: as made"

    def _graded(self) -> str:
        outcomes = Counter(graded.outcome for graded in ledger.grade(self.course, self.chapters))
        self.sheets = {chapter.name: ledger.sheets(self.course, chapter) for chapter in self.chapters}
        for name, sheets in self.sheets.items():
            self.differences += [f"{name}: {line}" for line in differences(self.made, name, sheets)]
        return ", ".join(f"{outcome} {count}" for outcome, count in outcomes.items())

    def _reported(self) -> str:
        total = Matches()
        for made in report(self.course, self.chapters):
            found = matches(self.made, made)
            total.right += found.right
            total.withheld += found.withheld
            total.wrong += [f"{made.figures.chapter}: {line}" for line in found.wrong]
            self._alike(made)
        self.differences += total.wrong
        return f"of the lessons' own mistakes {total.right} recognised, {total.withheld} withheld, {len(total.wrong)} mistaken"

    def _alike(self, made: Report) -> None:
        """The two who copied stand first; besides them, at most two of those who wrote for themselves look alike."""
        pairs = [(pair.one, pair.other) for pair in made.pairs]
        self._same(made.figures.chapter, "pair alike", pairs[:1], [self.made.copied] if written(made.figures.chapter) else [])
        alone = {paper.person.key for paper in self.made.papers[made.figures.chapter][-5:]}
        self._same(made.figures.chapter, "other pairs alike", [pair for pair in pairs[1:] if not set(pair) <= alone], [])

    def _told(self) -> str:
        pages = sum(1 for _ in feedback(self.course, self.chapters))
        self._same("feedback", "pages", pages, sum(map(len, self.made.papers.values())))
        return f"{pages} pages of feedback"

    def _exported(self) -> str:
        for chapter in self.chapters:
            out = self.course.gradebook / "export" / f"{chapter.name}.csv"
            export(self.made.roster, chapter.name, self.sheets[chapter.name], out)
            with out.open(newline="", encoding="utf-8-sig") as file:
                rows = {row["SIS Login ID"]: row[chapter.name] for row in csv.DictReader(file)}
            for paper in self.made.papers[chapter.name]:
                points = sum(paper.points.values()) * (1 - PER_DAY * paper.late)
                self._same(chapter, paper.person.login, float(rows[paper.person.login]), round(points + 1e-9, 2))
            for person in self.made.missing:
                self._same(chapter, person.login, rows[person.login], "")
        return "Canvas's CSV, read back"

    def _same(self, where: Chapter | str, what: str, found: object, wanted: object) -> None:
        if found != wanted:
            self.differences.append(f"{getattr(where, 'name', where)}: {what}: {found!r}, not {wanted!r}")


def _people(count: int) -> list[Person]:
    names = [f"{LAST[(number * 7 + number // len(FIRST)) % len(LAST)]}, {FIRST[number % len(FIRST)]}" for number in range(count)]
    return [Person(1001 + number, name, f"s{number:03d}") for number, name in enumerate(names)]


def _roster(path: Path, people: Sequence[Person]) -> Path:
    """Write Canvas's gradebook."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["Student", "ID", "SIS User ID", "SIS Login ID", "Section"])
    writer.writerow(["    Points Possible", "", "", "", ""])
    for person in people:
        writer.writerow([person.name, person.number, f"S{person.number}", person.login, "A"])
    path.write_text(text.getvalue(), encoding="utf-8-sig")
    return path


def _papers(chapter: Chapter, people: Sequence[Person], rng: random.Random) -> list[Paper]:
    """Return what each hands in. The last two have one paper between them; the four before hold what people wrote alone."""
    lesson = read(chapter.source)
    own = written(lesson.name)
    alone = [{name: Answer(source) for name, source in own[f"own-{number}"].items()} for number in (4, 3, 2, 1) if f"own-{number}" in own]
    if alone:
        alone.append({name: Answer(disguise(answer.source)) for name, answer in alone[-1].items()})
    pools = {exercise.id: _Pool(exercise, len(people) // ONE_MUTANT_IN, rng) for exercise in lesson.exercises}
    pairs = {(name, answer.source) for name, pool in pools.items() for answer in pool.all}
    pairs |= {(name, answer.source) for answers in alone for name, answer in answers.items()}
    results = answered(chapter, lesson, sorted(pairs), 2 * SLOW)  # whole, beside their checks, as the audit does it
    for name, pool in pools.items():
        pool.keep({source for (exercise, source), result in results.items() if exercise == name and _seconds(result) < SLOW})
    papers = []
    first = len(people) - len(alone)
    for person in people[:first]:
        ability = rng.betavariate(4, 2)
        papers.append(Paper(person, {name: pool.draw(ability, rng) for name, pool in pools.items()}))
    papers += [Paper(person, answers) for person, answers in zip(people[first:], alone, strict=True)]
    papers[0].late = papers[1].late = True
    papers[2].broken = True
    papers[3].earlier = {name: pool.draw(0.2, rng) for name, pool in pools.items()}
    for paper in papers:
        for exercise in lesson.exercises:
            lost = results[exercise.id, paper.answers[exercise.id].source].lost([test.id for test in exercise.tests])
            paper.points |= {test.id: 0.0 if paper.broken or test.id in lost else test.points for test in exercise.tests}
    return papers


def _seconds(result: Result) -> float:
    return sum(outcome.seconds for outcome in result.outcomes.values())


def written(chapter: str) -> dict[str, dict[str, str]]:
    """Return what people wrote for a chapter: file → exercise, or wrong answer that was reworked → source."""
    found = {}
    for path in sorted((ANSWERS / chapter).glob("*.py")):
        _, *parts = _CELL.split(path.read_text(encoding="utf-8"))
        found[path.stem] = {name: source.strip() for name, source in zip(parts[1::3], parts[2::3], strict=True)}
    return found


class _Pool:
    """The answers to one exercise that a class gives."""

    def __init__(self, exercise: Exercise, mutants_each: int, rng: random.Random) -> None:
        self.right = [Answer(exercise.answer.source), *(Answer(cell.source) for cell in exercise.rights)]
        self.wrong = [Answer(cell.source, cell.id) for cell in exercise.wrongs]
        found = list(mutants(exercise.answer.source))
        self.mutants = [Answer(mutant.source) for mutant in rng.sample(found, min(mutants_each, len(found)))]  # each for one student
        rng.shuffle(self.wrong)  # the first are the most frequent
        self.blank = Answer(exercise.answer.blank)

    @property
    def all(self) -> list[Answer]:
        """Every answer that may be drawn."""
        return [*self.right, *self.wrong, *self.mutants, self.blank]

    def keep(self, sources: Collection[str]) -> None:
        """Forget the wrong answers that are not among `sources`."""
        self.wrong = [answer for answer in self.wrong if answer.source in sources]
        self.mutants = [answer for answer in self.mutants if answer.source in sources]

    def draw(self, ability: float, rng: random.Random) -> Answer:
        """Return the answer of somebody who is right with probability `ability`."""
        if rng.random() < ability:
            return rng.choice(self.right)
        kind = rng.random()
        if self.wrong and kind < 0.7:
            return self.wrong[min(int(rng.expovariate(0.8)), len(self.wrong) - 1)]
        return self.mutants.pop() if self.mutants and kind < 0.9 else self.blank


def _archive(path: Path, chapter: Chapter, papers: Sequence[Paper]) -> Path:
    """Write a zip as Canvas gives it."""
    released = load(chapter.student)
    attachment = 9000
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for paper in papers:
            for attempt, answers in enumerate(filter(None, (paper.earlier, paper.answers))):
                attachment += 1
                late = "LATE_" if paper.late else ""
                number = f"-{attempt}" if attempt else ""
                name = f"{plain(paper.person.name)}_{late}{paper.person.number}_{attachment}_{chapter.name}{number}.ipynb"
                content = dumps(filled(released, {exercise: answer.source for exercise, answer in answers.items()}))
                archive.writestr(name, content[: len(content) // 2] if paper.broken else content)
    return path
