"""The rules that a lesson must keep, each a function that yields findings; `require_sound` runs them all.

No kernel is started and no lesson code is run here.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterator
from difflib import get_close_matches

from grader import names
from grader.errors import Finding, LessonError
from grader.lesson import (
    BEGIN_SOLUTION,
    END_SOLUTION,
    HEADING,
    IDS_ARE,
    MARKDOWN_ROLES,
    POINTS_ROLES,
    SURVIVOR,
    TEST_ROLES,
    Cell,
    Lesson,
    Role,
    mistake_of,
    owner_of,
)

ID = re.compile(r"^[a-z0-9]+(-[a-z0-9]+)*$")
LIKE_A_SOLUTION_MARKER = re.compile(r"(BEGIN|END)[\s_]*SOLUTION", re.IGNORECASE)
LIKE_A_HIDDEN_MARKER = re.compile(r"(BEGIN|END)[\s_]*HIDDEN", re.IGNORECASE)
MARKDOWN_MARKERS = {"<!-- BEGIN SOLUTION -->", "<!-- END SOLUTION -->"}
KEYS = {role: {"points"} for role in POINTS_ROLES} | {Role.WRONG: {"fails"}, Role.LESSON: {"needs", "sittings"}}
UNREADABLE = "incorrectly_encoded_metadata"  # jupytext's key for what it cannot read of a marker
MIN_WRONG, MIN_RIGHT = 2, 1
HEADLINE = 100  # characters: it is one row of a table
GIVEN_AWAY = 16  # characters of a line of the answer that no mistake may quote


def require_sound(lesson: Lesson) -> None:
    """Raise LessonError with every finding of every rule; return where there is none."""
    findings: list[Finding] = []
    for rules in ((_syntax,), (_roles_and_keys,), RULES):  # what one stage finds, the next would only repeat in other words
        findings = findings or [finding for rule in rules for finding in rule(lesson)]
    if findings:
        raise LessonError(sorted(findings, key=lambda finding: finding.line))


def _finding(lesson: Lesson, cell: Cell, found: str, remedy: str, offset: int = 0) -> Finding:
    return Finding(lesson.path, cell.line + offset, cell.id, found, remedy)


def _syntax(lesson: Lesson) -> Iterator[Finding]:
    """Code that Python cannot parse; the other rules need syntax trees."""
    for cell in lesson.cells:
        if cell.kind == "code":
            try:
                ast.parse(cell.source)
            except SyntaxError as error:
                yield _finding(lesson, cell, f"Python cannot parse this: {error.msg}", "correct the code", error.lineno or 0)


def _roles_and_keys(lesson: Lesson) -> Iterator[Finding]:
    """Unknown roles, a role on the wrong kind of cell, ids that nbgrader refuses."""
    roles = [role.value for role in Role if role.value]
    known = {*roles, "tags"}.union(*KEYS.values())
    places = "points= goes with graded cells, fails= with wrong, needs= and sittings= with the first cell"
    for cell in lesson.cells:
        for key in sorted(set(cell.keys) - KEYS.get(cell.role, set()) - {"tags"}):
            if key == UNREADABLE:
                remedy = 'put each value in straight double quotes, as in `exercise="softmax"`'
                yield _finding(lesson, cell, f"the marker cannot be read: {cell.keys[key]}", remedy)
                continue
            meant = get_close_matches(key, sorted(known), 1)
            remedy = f"did you mean {meant[0]}=? " if meant and meant[0] != key else ""
            yield _finding(lesson, cell, f"unknown role or key {key}=", f"{remedy}roles are {', '.join(roles)}; {places}")
        if cell.role is Role.LESSON:
            continue
        if cell.keys.get("tags"):
            yield _finding(
                lesson, cell, "tags on a cell with a role", "tags belong to lesson cells; a role says all that the builder needs"
            )
        wanted = "markdown" if cell.role in MARKDOWN_ROLES else "code"
        if cell.kind != wanted:
            marker = f'# %% [markdown] {cell.role.value}="…"' if wanted == "markdown" else f'# %% {cell.role.value}="…"'
            yield _finding(lesson, cell, f"role '{cell.role.value}' stands on a {cell.kind} cell", f"write `{marker}`")
        if not ID.match(cell.id):
            yield _finding(lesson, cell, f"'{cell.id}' is not an id", IDS_ARE)


def _first_cell(lesson: Lesson) -> Iterator[Finding]:
    """What the welcome page says of a chapter stands on its first cell: earlier chapters by number, and a count of sittings."""
    for cell in lesson.cells[1:]:
        for key in sorted({"needs", "sittings"} & set(cell.keys)):
            yield _finding(lesson, cell, f"{key}= stands on a cell that is not the first", "move it to the lesson's first cell")
    for number in lesson.needs:
        if not re.fullmatch(r"\d\d", number) or number >= lesson.number:
            yield _finding(lesson, lesson.cells[0], f"needs= names '{number}'", "name earlier chapters by their two digits")
    sittings = lesson.cells[0].keys.get("sittings", "1")
    if not re.fullmatch("[1-9]", sittings):
        yield _finding(
            lesson, lesson.cells[0], f"sittings= is '{sittings}'", "write how many evenings of about two hours the chapter takes"
        )


def _unique_ids(lesson: Lesson) -> Iterator[Finding]:
    """A grade_id names one cell; `explanation` and `survives` repeat their exercise's, `mistake` its wrong answer's."""
    seen: dict[str, Cell] = {}
    for cell in lesson.cells:
        if cell.role in (Role.LESSON, Role.EXPLANATION, Role.MISTAKE, Role.SURVIVES):
            continue
        if cell.id in seen:
            yield _finding(lesson, cell, f"the id '{cell.id}' is taken by line {seen[cell.id].line}", "give every cell an id of its own")
        seen.setdefault(cell.id, cell)


def _cells_follow_their_exercise(lesson: Lesson) -> Iterator[Finding]:
    """Everything about an exercise stands below it and names it."""
    ids = [cell.id for cell in lesson.with_role(Role.EXERCISE)]
    lines = {cell.id: cell.line for cell in lesson.with_role(Role.EXERCISE)}
    for cell in lesson.with_role(Role.CHECK, Role.HIDDEN, Role.WRONG, Role.MISTAKE, Role.RIGHT, Role.EXPLANATION, Role.SURVIVES):
        owner = cell.id if cell.role in (Role.EXPLANATION, Role.SURVIVES) and cell.id in ids else owner_of(cell.id, ids)
        if owner is None:
            yield _finding(lesson, cell, f"no exercise owns '{cell.id}'", "begin the id with the exercise's id and a hyphen")
        elif lines[owner] > cell.line:
            yield _finding(lesson, cell, f"it stands before its exercise '{owner}' (line {lines[owner]})", "move it below the exercise")


def _points(lesson: Lesson) -> Iterator[Finding]:
    for cell in lesson.with_role(*POINTS_ROLES):
        if cell.points <= 0:
            yield _finding(lesson, cell, f"points are {cell.keys.get('points')!r}", "write points= and a positive number")


def _fails_names_checks(lesson: Lesson) -> Iterator[Finding]:
    for exercise in lesson.exercises:
        tests = {test.id for test in exercise.tests}
        for wrong in exercise.wrongs:
            if not wrong.fails:
                yield _finding(lesson, wrong, "it does not say which check catches it", 'add fails="check-id …" to the marker')
            for name in wrong.fails:
                if name not in tests:
                    yield _finding(
                        lesson,
                        wrong,
                        f"fails= names '{name}', which is no check of '{exercise.id}'",
                        f"choose from: {' '.join(sorted(tests))}",
                    )


def _mistakes(lesson: Lesson) -> Iterator[Finding]:
    """Below each wrong answer stands what is wrong with it, in a headline and an explanation that do not give the answer away."""
    for cell, before in zip(lesson.cells[1:], lesson.cells, strict=False):
        if cell.role is Role.MISTAKE and not (before.role is Role.WRONG and before.id == cell.id):
            yield _finding(lesson, cell, "it does not stand below its wrong answer", f'put it below `# %% wrong="{cell.id}"`')
        if before.role is Role.WRONG and not (cell.role is Role.MISTAKE and cell.id == before.id):
            remedy = f'write below it `# %% [markdown] mistake="{before.id}"`: a headline, an empty line, an explanation for the student'
            yield _finding(lesson, before, "nothing says what is wrong with it", remedy)
    for exercise in lesson.exercises:
        answer = {line.strip() for line in exercise.answer.solution_lines if len(line.strip()) >= GIVEN_AWAY}
        for cell in lesson.with_role(Role.MISTAKE):
            if cell.id not in exercise.mistakes:
                continue
            mistake = mistake_of(cell)
            if not mistake.explanation or not mistake.headline.endswith(".") or len(mistake.headline) > HEADLINE:
                remedy = f"one sentence of at most {HEADLINE} characters, an empty line, and an explanation"
                yield _finding(lesson, cell, f"no headline, or no explanation: {mistake.headline[:60]!r}", remedy)
            for line in sorted(line for line in answer if line in cell.source):
                yield _finding(lesson, cell, f"it gives the answer away: {line!r}", "say where to look, not what to write")


def _exercises_are_complete(lesson: Lesson) -> Iterator[Finding]:
    for exercise in lesson.exercises:
        roles = Counter(test.role for test in exercise.tests)
        for missing, found, remedy in (
            (not roles[Role.CHECK], "no visible check", 'add a `# %% check="…" points=…` cell'),
            (not roles[Role.HIDDEN], "no hidden test", 'add a `# %% hidden="…" points=…` cell'),
            (exercise.explanation is None, "no explanation", f'add `# %% [markdown] explanation="{exercise.id}"`'),
            (
                len(exercise.wrongs) < MIN_WRONG,
                f"{len(exercise.wrongs)} wrong answers",
                f"write at least {MIN_WRONG}: what do students get wrong?",
            ),
            (len(exercise.rights) < MIN_RIGHT, "no right answer", "write a correct answer in another way"),
        ):
            if missing:
                yield _finding(lesson, exercise.answer, f"the exercise has {found}", remedy)


def _variants_answer(lesson: Lesson) -> Iterator[Finding]:
    """A wrong or right answer that defines something else fails for that reason alone, and proves nothing."""
    for exercise in lesson.exercises:
        for cell in (*exercise.wrongs, *exercise.rights):
            for name in sorted(names.bound(exercise.answer.source) - names.bound(cell.source)):
                found = f"it does not define '{name}', as the exercise '{exercise.id}' does"
                yield _finding(lesson, cell, found, "a wrong or right answer is a whole answer: is a name misspelt?")


def _headings(lesson: Lesson) -> Iterator[Finding]:
    """The statement above an exercise says its number and its points."""
    for number, exercise in enumerate(lesson.exercises, start=1):
        match = HEADING.search(exercise.statement.source) if exercise.statement else None
        wanted = f"### Exercise {number}: … ({exercise.points:g} point{'s' if exercise.points != 1 else ''})"
        if match is None:
            remedy = f"begin the markdown cell above it with `{wanted}`, and move what stands between them away"
            yield _finding(lesson, exercise.answer, "no statement stands directly above the exercise", remedy)
        elif (int(match["number"]), float(match["points"])) != (number, exercise.points):
            yield _finding(
                lesson,
                exercise.statement or exercise.answer,
                f"the heading says '{match.group()}'",
                f"write `{wanted}`: it is exercise {number} of the chapter, and its checks give {exercise.points:g}",
            )


def _solution_markers(lesson: Lesson) -> Iterator[Finding]:
    """Markers that nbgrader would miss (and so leak the answer), or that do not pair up."""
    for cell in lesson.cells:
        exact = MARKDOWN_MARKERS if cell.kind == "markdown" else {BEGIN_SOLUTION, END_SOLUTION}
        inside = False
        for offset, line in enumerate(cell.source.split("\n"), start=1):
            if LIKE_A_HIDDEN_MARKER.search(line):
                yield _finding(
                    lesson,
                    cell,
                    f"a hidden-tests marker: {line.strip()!r}",
                    "leave it out: the builder writes it around the body of a `hidden` cell",
                    offset,
                )
            if not LIKE_A_SOLUTION_MARKER.search(line):
                continue
            if line.strip() not in exact or line != line.rstrip():
                yield _finding(
                    lesson,
                    cell,
                    f"a solution marker with a stray character: {line!r}",
                    f"write exactly one of: {', '.join(sorted(exact))}",
                    offset,
                )
                continue
            begins = "BEGIN" in line
            if begins == inside:
                yield _finding(lesson, cell, f"{line.strip()!r} without its partner", "pair every BEGIN with one END", offset)
            inside = begins
            if cell.role not in (Role.EXERCISE, Role.ANSWER):
                yield _finding(
                    lesson, cell, "a solution region outside an answer cell", 'move it into an `exercise="…"` or `answer="…"` cell', offset
                )
        if inside:
            yield _finding(lesson, cell, "a solution region that does not end", "add the END SOLUTION line")
        if cell.role in (Role.EXERCISE, Role.ANSWER) and not cell.solution_lines:
            yield _finding(
                lesson, cell, "an answer cell without a solution region", "put the answer between BEGIN SOLUTION and END SOLUTION"
            )


def _last_statements(lesson: Lesson) -> Iterator[Finding]:
    """A check that ends in a value is read as partial credit by nbgrader; an assert without a message teaches nothing."""
    for cell in lesson.with_role(*TEST_ROLES):
        body = ast.parse(cell.source).body
        if not body:
            yield _finding(lesson, cell, "an empty check", "write what must hold")
            continue
        last = body[-1]
        if isinstance(last, ast.Expr) and not _returns_none(last.value):
            yield _finding(
                lesson,
                cell,
                "it ends in an expression, which nbgrader reads as partial credit",
                'end in print("passed: …") or an assert',
                last.lineno,
            )
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Assert) and node.msg is None:
                yield _finding(
                    lesson,
                    cell,
                    "an assert without a message",
                    "say what was called, what was expected, what came, and the likely cause",
                    node.lineno,
                )


def _returns_none(node: ast.expr) -> bool:
    name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
    return name == "print" or name.rpartition(".")[2].startswith("assert_")


def _exercises_stand_alone(lesson: Lesson) -> Iterator[Finding]:
    """Answers and checks rely on setup cells alone, so that a mistake costs one exercise and a lesson cell costs none."""
    available: set[str] = set()
    answers = {exercise.id: names.bound(exercise.answer.source) for exercise in lesson.exercises}
    ids = list(answers)
    for cell in lesson.cells:
        if cell.kind == "markdown":
            continue
        if cell.role is Role.SETUP:
            available |= names.bound(cell.source)
        elif cell.role is not Role.LESSON:
            own = answers.get(cell.id if cell.role is Role.EXERCISE else owner_of(cell.id, ids) or "", frozenset())
            for name in sorted(names.read(cell.source) - available - own - names.bound(cell.source)):
                yield _finding(
                    lesson,
                    cell,
                    f"it reads '{name}', which no setup cell above it binds",
                    "bind it in the cell itself, or in a setup cell above",
                )
            for name in sorted(names.bound(cell.source) & available):
                yield _finding(lesson, cell, f"it binds '{name}' anew, which a setup cell binds", "choose another name")


def _lesson_cells_use_no_answers(lesson: Lesson) -> Iterator[Finding]:
    """The blank notebook runs from top to bottom, so a lesson cell may read only what lesson and setup cells bind."""
    origin: dict[str, Cell] = {}
    needed = {name for cell in lesson.cells if cell.role in TEST_ROLES | {Role.EXERCISE, Role.RIGHT} for name in names.read(cell.source)}
    answers = {name for exercise in lesson.exercises for name in names.bound(exercise.answer.source)}
    for cell in lesson.cells:
        if cell.kind == "markdown" or cell.role in (Role.WRONG, Role.RIGHT):
            continue
        if cell.role in (Role.LESSON, Role.SETUP):
            for name in sorted(names.read(cell.source) - names.bound(cell.source)):
                if name in origin and origin[name].role not in (Role.LESSON, Role.SETUP):
                    found = f"it reads '{name}', last bound by {origin[name].role.value} cell '{origin[name].id}'"
                    yield _finding(lesson, cell, found, "use PyTorch's own function, or bind the name under another name in a lesson cell")
        if cell.role is Role.LESSON:
            for name in sorted(names.bound(cell.source) & answers):
                yield _finding(
                    lesson, cell, f"it binds '{name}', the name of an answer", "choose another name: it would replace the student's answer"
                )
            for name in sorted(names.bound(cell.source) & needed):
                if name in origin and origin[name].role is Role.SETUP:
                    yield _finding(lesson, cell, f"it changes '{name}', which a setup cell binds for the checks", "choose another name")
        origin |= dict.fromkeys(names.bound(cell.source), cell)


def _survivors(lesson: Lesson) -> Iterator[Finding]:
    for cell in lesson.with_role(Role.SURVIVES):
        for offset, line in enumerate(cell.source.splitlines(), start=1):
            if line.strip() and not SURVIVOR.match(line):
                yield _finding(
                    lesson, cell, f"not a survivor's line: {line[:60]!r}", "write `- `mutated statement`: reason` on one line", offset
                )


RULES: tuple[Callable[[Lesson], Iterator[Finding]], ...] = (
    _first_cell,
    _unique_ids,
    _cells_follow_their_exercise,
    _points,
    _fails_names_checks,
    _mistakes,
    _exercises_are_complete,
    _variants_answer,
    _headings,
    _solution_markers,
    _last_statements,
    _exercises_stand_alone,
    _lesson_cells_use_no_answers,
    _survivors,
)
