"""Splits a check cell into questions, which the student's code answers, and the judgement on what comes back.

A *question* is a call of a name that the exercise defines, or of a function of the check (or of a setup cell) that uses such a
name. The answer process runs the questions, and of the rest of the cell only what they need: inputs, seeds, helpers. The judge
runs the whole cell, with what came back in the place of every question. So asserts, messages and expected values stay with the
judge, and a check needs no special form: it runs unchanged in a student's notebook.

What a question needs is found by a backward slice over the names that a statement reads and may write. Whether a call writes
to its arguments cannot be told from the text, so a few rules stand for it (`_written_by_call`); `grader audit` proves for
every check that the questions get the same answers in the slice as in the whole cell.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from grader import names

ASK, ANSWER = "__ask__", "__answer__"  # the calls that stand for a question in the two programs
_RANDOM = "<random numbers>"  # the state of the generators, as if it were a name
_JUDGES = frozenset({"print", "assert_close", "assert_allclose", "assert_equal", "assert_array_equal"})
_DRAWS = frozenset(
    """rand randn randint randperm rand_like randn_like randint_like normal normal_ uniform uniform_ bernoulli bernoulli_ multinomial
    exponential_ random_ log_normal_ dropout dropout_ choice choices sample shuffle random gauss permutation standard_normal
    kaiming_normal_ kaiming_uniform_ xavier_normal_ xavier_uniform_ trunc_normal_ reset_parameters random_split DataLoader""".split()
)
_SEEDS = frozenset({"manual_seed", "seed"})
_MUTATORS = frozenset(
    """append extend insert add update pop popitem remove discard clear sort reverse setdefault load_state_dict step zero_grad backward
    train eval double float half register_buffer register_parameter register_forward_hook writerow write seek""".split()
)
_VIEWS = frozenset({"getattr", "zip", "enumerate", "reversed", "iter", "list", "vars"})  # give access to what they are given
_VIEW_METHODS = frozenset({"parameters", "named_parameters", "modules", "children", "items", "values", "state_dict", "view", "detach", "t"})


class Kind(Enum):
    """What a name of the answer is: of a class, a whole chain of calls on an object is one question."""

    FUNCTION = "function"
    CLASS = "class"
    VALUE = "value"


@dataclass(frozen=True)
class Split:
    """The two programs of a check; the text of each is Python."""

    questions: str
    judgement: str
    sites: int  # how many questions stand in the text


class SplitError(Exception):
    """A check that cannot be split; the text says which part of it and what its author can do."""


def split(check: str, answer: str, setup: Iterable[str] = ()) -> Split:
    """Split the source of a check of the exercise whose reference answer and setup cells are given.

    Raises SplitError where a question cannot stand alone, SyntaxError where a source is no Python.
    """
    module = ast.parse(check)
    helpers = [node for source in setup for node in ast.parse(source).body]
    asked = _asked_names(module, answer, helpers)
    sites = _Sites(asked)
    marked = sites.visit(copy.deepcopy(module))
    assert isinstance(marked, ast.Module)
    if not sites.count:
        raise SplitError("it asks the answer nothing: call what the exercise defines")
    _require_answers(marked.body)
    slicer = _Slicer(module.body, _drawing_functions([*helpers, *module.body]) | asked.keys())
    questions = ast.Module(slicer.slice(marked.body, set())[0], [])
    judgement = _Judgement(asked).visit(copy.deepcopy(marked))
    return Split(_text(questions), _text(judgement), sites.count)


def _text(module: ast.Module) -> str:
    return ast.unparse(ast.fix_missing_locations(module)) + "\n"


def _asked_names(check: ast.Module, answer: str, helpers: list[ast.stmt]) -> dict[str, Kind]:
    """Return the names whose use is a question: those of the answer, and of the functions and classes that use one of these."""
    asked: dict[str, Kind] = {}
    for node in ast.parse(answer).body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                asked[name] = Kind.FUNCTION
            case ast.ClassDef(name=name):
                asked[name] = Kind.CLASS
            case ast.Import() | ast.ImportFrom():
                pass
            case _:
                kind = Kind.FUNCTION if isinstance(getattr(node, "value", None), ast.Lambda) else Kind.VALUE
                asked |= dict.fromkeys(_bound(node), kind)
    defined = [node for node in [*helpers, *check.body] if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    while new := [node for node in defined if node.name not in asked and _reads(node) & asked.keys()]:
        asked |= {node.name: Kind.CLASS if isinstance(node, ast.ClassDef) else Kind.FUNCTION for node in new}
    return asked


def _question(site: int, expression: ast.expr) -> ast.Call:
    """Return `__ask__(site, lambda: expression)`."""
    thunk = ast.Lambda(ast.arguments([], [], None, [], [], None, []), expression)
    return ast.copy_location(ast.Call(ast.Name(ASK, ast.Load()), [ast.Constant(site), thunk], []), expression)


def _asked_expression(node: ast.AST) -> ast.expr | None:
    """Return what a question made by `_question` asks; None where `node` is something else."""
    match node:
        case ast.Call(func=ast.Name(id=name), args=[_, ast.Lambda(body=expression)]) if name == ASK:
            return expression
    return None


class _Sites(ast.NodeTransformer):
    """Wraps every question of a cell."""

    def __init__(self, asked: dict[str, Kind]) -> None:
        self.asked, self.count = asked, 0

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return node if node.name in self.asked else self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return node if node.name in self.asked else self.generic_visit(node)

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.expr) and self._is_question(node):
            self._visit_arguments(node)
            site, self.count = self.count, self.count + 1
            return _question(site, node)
        made: ast.AST = super().visit(node)
        return made

    def _visit_arguments(self, question: ast.expr) -> None:
        """Wrap the questions in the arguments of a question."""
        match question:
            case ast.Call(func=func):
                self._visit_arguments(func)
                question.args = [self._visited(argument) for argument in question.args]
                for keyword in question.keywords:
                    keyword.value = self._visited(keyword.value)
            case ast.Attribute(value=value):
                self._visit_arguments(value)
            case ast.Subscript(value=value, slice=index):
                self._visit_arguments(value)
                question.slice = self._visited(index)

    def _visited(self, node: ast.expr) -> ast.expr:
        made = self.visit(node)
        assert isinstance(made, ast.expr)
        return made

    def _is_question(self, node: ast.expr) -> bool:
        """Tell whether `node` is one question: the visitor comes from outside, so it is the largest such expression."""
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                return self.asked.get(name) is Kind.VALUE
            case ast.Call() if self._takes_asked(node):
                return _last_name(node.func) not in _JUDGES
            case ast.Call(func=ast.Name(id=name)):
                return name in self.asked
            case ast.Call() | ast.Attribute() | ast.Subscript():
                return self._is_chain(node)
        return False

    def _is_chain(self, node: ast.expr) -> bool:
        """Tell whether `node` is `Class(…).method(…)`, `Class.attribute`, or `function.attribute`."""
        inner: ast.expr = node
        while True:
            match inner:
                case ast.Attribute(value=ast.Name(id=name)):
                    return self.asked.get(name, Kind.VALUE) is not Kind.VALUE
                case ast.Call(func=ast.Name(id=name)):
                    return self.asked.get(name) is Kind.CLASS and not self._takes_asked(inner)
                case ast.Call(func=value) | ast.Attribute(value=value) | ast.Subscript(value=value):
                    inner = value
                case _:
                    return False

    def _takes_asked(self, call: ast.Call) -> bool:
        return any(self._names(argument) for argument in [*call.args, *(keyword.value for keyword in call.keywords)])

    def _names(self, argument: ast.expr) -> bool:
        """Tell whether an argument is a function or a class of the answer, handed over as it is."""
        inner = argument.value if isinstance(argument, ast.Starred) else argument
        return isinstance(inner, ast.Name) and self.asked.get(inner.id, Kind.VALUE) is not Kind.VALUE


def _require_answers(statements: list[ast.stmt]) -> None:
    """Raise SplitError for an assert that no answer can make fail: what a student's code did to its inputs does not come back."""
    given: set[str] = set()  # names whose values come from an answer

    def looks(node: ast.AST) -> bool:
        return _questions(node) or bool(_reads(node) & given)

    for _ in range(2):  # what a round of a loop gives, the next one may look at
        for statement in statements:
            for node in ast.walk(statement):
                match node:
                    case ast.Assign() | ast.AugAssign() | ast.AnnAssign() if looks(node):
                        given |= _bound(node)
                    case ast.For(target=target, iter=source) if looks(source):
                        given |= _stored(target)
                    case ast.Expr(value=ast.Call(func=ast.Attribute(value=inner), args=args)) if any(map(looks, args)):
                        given |= _roots(inner)  # found.append(…)
                    case ast.ExceptHandler(name=str(name)):
                        given.add(name)
                    case ast.If(test=test) | ast.While(test=test) if looks(test):
                        given |= {name for inner in node.body for name in _bound(inner)}
    for statement in statements:
        for node in ast.walk(statement):
            match node:
                case ast.FunctionDef() | ast.ClassDef():
                    continue
                case ast.Assert(test=ast.BoolOp(op=ast.And(), values=parts)):
                    pass
                case ast.Assert(test=ast.Compare(left=ast.Tuple(elts=left), ops=[ast.Eq()], comparators=[ast.Tuple(elts=right)])):
                    parts = [ast.Tuple(list(pair), ast.Load()) for pair in zip(left, right, strict=False)]
                case ast.Assert(test=test):
                    parts = [test]
                case ast.Expr(value=ast.Call(func=func, args=parts)) if _last_name(func) in _JUDGES - {"print"}:
                    parts = [ast.Tuple(parts, ast.Load())]
                case _:
                    continue
            for part in parts:
                if not looks(part):
                    raise SplitError(
                        f"`{ast.unparse(part)[:80]}` looks at nothing that the answer gave; what it did to its arguments must be "
                        f"returned by a function of the check"
                    )


class _Judgement(ast.NodeTransformer):
    """Puts `__answer__(site, arguments…)` in the place of every question; the arguments may change the judge's own inputs."""

    def __init__(self, asked: dict[str, Kind]) -> None:
        self.asked = asked

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST | None:
        return None if node.name in self.asked else self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST | None:
        return None if node.name in self.asked else self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        expression = _asked_expression(node)
        if expression is None:
            return self.generic_visit(node)
        arguments = [self.visit(argument) for argument in self._arguments(expression)]
        return ast.copy_location(ast.Call(ast.Name(ANSWER, ast.Load()), [node.args[0], *arguments], []), node)

    def _arguments(self, question: ast.expr) -> Iterator[ast.expr]:
        match question:
            case ast.Call(func=ast.Name(id=name)) if name == ASK:
                yield question
            case ast.Call(func=func, args=args, keywords=keywords):
                yield from self._arguments(func)
                for argument in [*args, *(keyword.value for keyword in keywords)]:
                    inner = argument.value if isinstance(argument, ast.Starred) else argument
                    if not (isinstance(inner, ast.Name) and inner.id in self.asked):
                        yield inner
            case ast.Attribute(value=value) | ast.Subscript(value=value):
                yield from self._arguments(value)


class _Slicer:
    """Keeps of statements what the questions in them, and a set of names after them, need."""

    def __init__(self, cell: list[ast.stmt], drawing: set[str]) -> None:
        self.drawing = drawing
        self.inside = {node.name: _reads(node) for node in cell if isinstance(node, ast.FunctionDef | ast.ClassDef)}

    def slice(self, statements: list[ast.stmt], needed: set[str]) -> tuple[list[ast.stmt], set[str]]:
        """Return the kept statements and the names that they need from what comes before."""
        kept: list[ast.stmt] = []
        needed = set(needed)
        aliases = _aliases(statements)
        for statement in reversed(statements):
            new = self._keep(statement, needed, aliases)
            if not new:
                continue
            if len(new) == 1 and new[0] is statement:
                needed -= _overwritten(statement)
            for node in new:
                needed |= self._reads(node)
            kept = new + kept
        return kept, needed

    def _keep(self, statement: ast.stmt, needed: set[str], aliases: dict[str, set[str]]) -> list[ast.stmt]:
        match statement:
            case ast.Assert(test=test, msg=message):
                return self._hoisted(test, quiet=True) + (self._hoisted(message, quiet=True) if message else [])
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                return [statement] if name in needed else []
            case ast.Expr(value=ast.Call(func=func)) if _last_name(func) in _JUDGES:
                return self._hoisted(statement, quiet=True)
            case ast.Raise() | ast.Pass():
                return []
            case ast.For() | ast.While() | ast.If() | ast.With() | ast.Try():
                return self._compound(statement, needed, aliases)
            case _:
                if self._writes(statement, aliases) & needed:
                    return [statement]
                return self._hoisted(statement, quiet=isinstance(statement, ast.Expr) and not _asked_expression(statement.value))

    def _compound(self, statement: ast.stmt, needed: set[str], aliases: dict[str, set[str]]) -> list[ast.stmt]:
        made = copy.copy(statement)
        inside = set(needed)
        if isinstance(statement, ast.For | ast.While):
            for _ in range(3):  # what a round needs, the round before it must keep
                inside |= self.slice(statement.body, inside | self._header_reads(statement))[1]
        touched = self._writes(statement, aliases)
        extra = {name for name in touched if aliases.get(name, set()) & needed}
        blocks = {}
        for field in ("body", "orelse", "finalbody"):
            if getattr(statement, field, None):
                blocks[field] = self.slice(getattr(statement, field), inside | extra)[0]
        if isinstance(statement, ast.Try):
            handlers = []
            for handler in statement.handlers:
                new = copy.copy(handler)
                new.body = self.slice(handler.body, inside)[0] or [ast.Pass()]
                handlers.append(new)
            blocks["handlers"] = handlers if blocks["body"] else []  # type: ignore[assignment]
        if not any(blocks.values()) and not _questions(_header(statement)):
            return []
        for field, block in blocks.items():
            setattr(made, field, block or ([ast.Pass()] if field == "body" else []))
        return [made]

    def _hoisted(self, node: ast.AST, *, quiet: bool) -> list[ast.stmt]:
        """Return statements that ask the questions in `node` and do nothing else; a `quiet` one goes on where the answer raises."""
        found: list[ast.stmt] = []
        for question, around in _outermost(node):
            call = copy.copy(question)
            asked: ast.expr = call
            if quiet:
                call.keywords = [ast.keyword("quiet", ast.Constant(value=True))]
            for scope in reversed(around):
                if isinstance(scope, ast.Lambda):
                    if {argument.arg for argument in scope.args.args} & _reads(question):
                        raise SplitError(f"line {question.lineno}: a lambda asks the answer; put the loop into a function of the check")
                else:
                    asked = ast.ListComp(asked, scope.generators)  # type: ignore[attr-defined]
            found.append(ast.Expr(asked))
        return found

    def _reads(self, node: ast.AST) -> set[str]:
        """Return the names that `node` reads, also by way of the functions of the cell that it calls."""
        found = _reads(node)
        while more := {inner for name in found for inner in self.inside.get(name, ())} - found:
            found |= more
        return found | ({_RANDOM} if self._draws(node) or _questions(node) else set())

    def _header_reads(self, statement: ast.stmt) -> set[str]:
        return {name for part in _header(statement) for name in self._reads(part)}

    def _draws(self, node: ast.AST) -> bool:
        return any(isinstance(call, ast.Call) and _may_draw(call, self.drawing) for call in ast.walk(node))

    def _writes(self, statement: ast.stmt, aliases: dict[str, set[str]]) -> set[str]:
        """Return the names that a statement binds, changes, or gives to something that may change them."""
        written = _bound(statement)
        for node in ast.walk(statement):
            if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
                written |= _roots(node)
            elif isinstance(node, ast.Call):
                written |= _written_by_call(node)
            elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and _last_name(node.value.func) not in _JUDGES:
                written |= {name for argument in node.value.args for name in _reads(argument)}
        while more := {name for one in written for name in aliases.get(one, ())} - written:
            written |= more
        return written | ({_RANDOM} if self._draws(statement) or _questions(statement) or _seeds(statement) else set())


def _outermost(node: ast.AST, around: tuple[ast.AST, ...] = ()) -> Iterator[tuple[ast.Call, tuple[ast.AST, ...]]]:
    """Yield the questions in `node` that are in no other question, in the order of evaluation, with the scopes around each."""
    if isinstance(node, ast.Call) and _asked_expression(node):
        yield node, around
        return
    if isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp):
        first = node.generators[0]
        yield from _outermost(first.iter, around)
        parts = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        inside = copy.copy(node)
        for part in parts:
            yield from _outermost(part, (*around, inside))
        if any(_questions(test) for generator in node.generators for test in generator.ifs):
            raise SplitError(f"line {node.lineno}: the `if` of a comprehension asks the answer; put it into a function of the check")
        return
    if isinstance(node, ast.Lambda):
        around = (*around, node)
    for child in ast.iter_child_nodes(node):
        yield from _outermost(child, around)


def _questions(node: ast.AST | list[ast.AST]) -> bool:
    nodes = node if isinstance(node, list) else [node]
    return any(_asked_expression(inner) is not None for one in nodes for inner in ast.walk(one))


def _header(statement: ast.stmt) -> list[ast.AST]:
    match statement:
        case ast.For(iter=header) | ast.While(test=header) | ast.If(test=header):
            return [header]
        case ast.With(items=items):
            return [item.context_expr for item in items]
        case _:
            return []


def _bound(node: ast.AST) -> set[str]:
    """Return the names that a statement or a target binds; not those of comprehensions and of functions inside."""
    return set(names.bound(_source(node)))


def _overwritten(statement: ast.stmt) -> set[str]:
    """Return what a statement gives a new value, whatever it was before."""
    match statement:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Assign() | ast.Expr():
            bound = _bound(statement) if isinstance(statement, ast.Assign) else set()
            return bound - _reads(statement) | ({_RANDOM} if _seeds(statement) else set())
        case _:
            return set()


def _reads(node: ast.AST) -> set[str]:
    """Return the names that `node` reads from outside; not those of its comprehensions and functions."""
    return set(names.read(_source(node)))


def _source(node: ast.AST) -> str:
    if isinstance(node, ast.comprehension | ast.withitem | ast.ExceptHandler):
        raise TypeError(f"{type(node).__name__} is no statement and no expression")
    return ast.unparse(node)


def _roots(node: ast.expr) -> set[str]:
    """Return the name at the root of `a.b[c].d`, or of a call that only gives access to it."""
    while not isinstance(node, ast.Name):
        match node:
            case ast.Attribute(value=inner) | ast.Subscript(value=inner) | ast.Starred(value=inner):
                node = inner
            case ast.Call(func=ast.Attribute(value=inner, attr=attr)) if attr in _VIEW_METHODS:
                node = inner
            case ast.Call(func=ast.Name(id=name), args=args) if name in _VIEWS:
                return {root for argument in args for root in _roots(argument)}
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                return {root for element in elements for root in _roots(element)}
            case ast.ListComp(generators=generators) | ast.GeneratorExp(generators=generators):
                return {root for generator in generators for root in _roots(generator.iter)}
            case _:
                return set()
    return {node.id}


def _aliases(statements: list[ast.stmt]) -> dict[str, set[str]]:
    """Map each name to those whose objects it may share: what is written through it is written to them."""
    shared: dict[str, set[str]] = {}
    for statement in statements:
        for node in ast.walk(statement):
            match node:
                case ast.Assign(targets=targets, value=value):
                    pass
                case ast.For(target=target, iter=value) | ast.comprehension(target=target, iter=value):
                    targets = [target]
                case _:
                    continue
            for name in {name for target in targets for name in _stored(target)}:
                shared.setdefault(name, set()).update(_roots(value))
    return shared


def _stored(target: ast.expr) -> set[str]:
    return {node.id for node in ast.walk(target) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def _last_name(func: ast.expr) -> str:
    return func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""


def _written_by_call(call: ast.Call) -> set[str]:
    """Return the names that a call changes, as far as its text tells."""
    name = _last_name(call.func)
    if isinstance(call.func, ast.Attribute):
        in_place = name.endswith("_") and not name.startswith("_")
        written = _roots(call.func.value) if in_place or name in _MUTATORS else set()
        if in_place and call.args:  # nn.init.zeros_(w)
            written |= _roots(call.args[0])
    elif name == "next":
        written = {root for argument in call.args for root in _roots(argument)}
    else:
        written = {name} - {""}  # calling a module may change its buffers
    generators = {root for keyword in call.keywords if keyword.arg == "generator" for root in _roots(keyword.value)}
    return written | generators


def _seeds(node: ast.AST) -> bool:
    """Tell whether a statement seeds the global generators."""
    return any(
        isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in _SEEDS
        and isinstance(call.func.value, ast.Name | ast.Attribute)
        for call in ast.walk(node)
    )


def _may_draw(call: ast.Call, drawing: set[str]) -> bool:
    """Tell whether a call may take random numbers: by its name, as a layer that is made, or as a function that does so."""
    name = _last_name(call.func)
    if any(keyword.arg == "generator" for keyword in call.keywords):
        return False
    made = name[:1].isupper() and (not isinstance(call.func, ast.Attribute) or _roots(call.func.value) <= {"nn", "torch", "torchvision"})
    return name in _DRAWS or name in drawing or made


def _drawing_functions(nodes: list[ast.stmt]) -> set[str]:
    """Return the functions and classes that take random numbers, directly or by way of one another."""
    defined = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    drawing: set[str] = set()
    while new := {
        node.name
        for node in defined
        if node.name not in drawing and any(isinstance(call, ast.Call) and _may_draw(call, drawing) for call in ast.walk(node))
    }:
        drawing |= new
    return drawing
