"""Mutation operators on statements: what is forgotten, repeated, left too early, done in the wrong order or to the wrong object.

Each yields what could stand at a site by mistake; `grader.mutation.operators` has the others and says where they come from.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from grader.mutation.site import Operator, Replacement, Site, called, changed, is_text, same, words

UNCHANGEABLE = words("int float str bool tuple")  # `+=` on these makes a new object
ENDLESS = words("count cycle repeat")
SWAPPED_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.MatMult: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd,
}


def force_condition(site: Site) -> Iterator[Replacement]:
    """Turn `if c:` into `if False:` and `if True:`, `while c:` into `while False:`."""
    if site.field == "test" and isinstance(site.above, ast.If | ast.While) and not isinstance(site.node, ast.Constant):
        yield ast.Constant(False)
        if isinstance(site.above, ast.If):
            yield ast.Constant(True)


def delete_statement(site: Site) -> Iterator[Replacement]:
    """Delete `optimizer.zero_grad()`, `self.n = n`, `x += 1`, `h = h.relu()`; not `h = x.relu()`, which would leave no `h`."""
    node = site.node
    target = node.targets[0] if isinstance(node, ast.Assign) else None
    if isinstance(target, ast.Name) and not any(isinstance(part, ast.Name) and part.id == target.id for part in ast.walk(node.value)):
        return
    if not isinstance(target, ast.Tuple | ast.List):
        yield ast.Pass()


def assign_in_place(site: Site) -> Iterator[Replacement]:
    """Turn `x = x + y` into `x += y`, which changes the caller's tensor where `x` is an argument."""
    node, function, target = site.node, site.function, site.node.targets[0]
    if function is None or not isinstance(target, ast.Name) or len(node.targets) > 1 or not isinstance(node.value, ast.BinOp):
        return
    annotations = {argument.arg: argument.annotation for argument in ast.walk(function.args) if isinstance(argument, ast.arg)}
    kind = annotations.get(target.id)
    fresh = any(
        isinstance(part, ast.Name) and part.id == target.id and isinstance(part.ctx, ast.Store) and part.lineno < node.lineno
        for part in ast.walk(function)
    )
    itself = isinstance(node.value.left, ast.Name) and node.value.left.id == target.id
    if itself and target.id in annotations and not fresh and not (isinstance(kind, ast.Name) and kind.id in UNCHANGEABLE):
        yield ast.copy_location(ast.AugAssign(target, node.value.op, node.value.right), node)


def replace_augmented(site: Site) -> Iterator[Replacement]:
    """Turn `x += y` into `x = y` and `x -= y`."""
    node = site.node
    yield ast.copy_location(ast.Assign([node.target], node.value), node)
    if not isinstance(node.op, ast.MatMult) and not is_text(node.value) and not isinstance(node.value, ast.List | ast.ListComp):
        yield changed(node, op=SWAPPED_OPERATORS[type(node.op)]())


def return_none(site: Site) -> Iterator[Replacement]:
    """Turn `return x` into `return None`, `yield x` into `yield None`."""
    if site.field == "value" and isinstance(site.above, ast.Return | ast.Yield) and not same(site.node, ast.Constant(None)):
        yield ast.Constant(None)


def replace_break(site: Site) -> Iterator[Replacement]:
    """Turn `break` into `continue`, and `continue` into `break`."""
    yield ast.Continue() if isinstance(site.node, ast.Break) else ast.Break()


def empty_loop(site: Site) -> Iterator[Replacement]:
    """Turn `for x in xs:` into `for x in []:`."""
    if site.field == "iter" and isinstance(site.above, ast.For):
        yield ast.List([], ast.Load())


def reverse_loop(site: Site) -> Iterator[Replacement]:
    """Turn `for x in xs:` into `for x in reversed(list(xs)):`; not where the order plainly makes no difference, or the loop never ends."""
    loop = site.above
    if (
        site.field != "iter"
        or not isinstance(loop, ast.For)
        or (isinstance(site.node, ast.Call) and called(site.node) in words("reversed count cycle repeat"))
    ):
        return
    targets = {part.id for part in ast.walk(loop.target) if isinstance(part, ast.Name)}
    if _reads(loop.body, targets) and not all(_is_unordered(statement, targets) for statement in loop.body):
        yield ast.Call(ast.Name("reversed"), [ast.Call(ast.Name("list"), [site.node], [])], [])


def _reads(nodes: Sequence[ast.AST], names: set[str]) -> bool:
    return any(isinstance(part, ast.Name) and part.id in names for node in nodes for part in ast.walk(node))


def _is_unordered(statement: ast.stmt, targets: set[str]) -> bool:
    """Say whether repeating `statement` gives the same in any order: sums, and assignments to the loop's own element."""
    if isinstance(statement, ast.If | ast.For):
        return all(_is_unordered(inner, targets) for inner in statement.body + statement.orelse)
    if isinstance(statement, ast.AugAssign):
        return isinstance(statement.op, ast.Add | ast.Sub | ast.Mult) and not isinstance(
            statement.value, ast.List | ast.ListComp | ast.Constant
        )
    if isinstance(statement, ast.Assign) and isinstance(target := statement.targets[0], ast.Subscript):
        written = ast.unparse(target.value)
        return _reads([target.slice], targets) and written not in ast.unparse(statement.value)
    return isinstance(statement, ast.Pass)


def drop_with(site: Site) -> Iterator[Replacement]:
    """Delete `with torch.no_grad():`, its body stays."""
    if not any(item.optional_vars for item in site.node.items):
        yield site.node.body


def drop_case(site: Site) -> Iterator[Replacement]:
    """Delete a case of a `match`."""
    if len(site.above.cases) > 1:
        yield []


def drop_decorator(site: Site) -> Iterator[Replacement]:
    """Delete `@property`."""
    if site.field == "decorator_list":
        yield []


def catch_nothing(site: Site) -> Iterator[Replacement]:
    """Turn `except KeyError:` into `except ():`."""
    if site.field == "type" and isinstance(site.above, ast.ExceptHandler):
        yield ast.Tuple([], ast.Load())


def raise_other(site: Site) -> Iterator[Replacement]:
    """Turn `raise ValueError(m)` into `raise Exception(m)`."""
    if site.field == "exc":
        kind = site.node.func if isinstance(site.node, ast.Call) else site.node
        other = ast.Name("RuntimeError" if isinstance(kind, ast.Name) and kind.id == "Exception" else "Exception", ast.Load())
        yield changed(site.node, func=other) if isinstance(site.node, ast.Call) else other


STATEMENT_OPERATORS: tuple[tuple[type[ast.AST], tuple[Operator, ...]], ...] = (
    (ast.Expr, (delete_statement,)),
    (ast.Delete, (delete_statement,)),
    (ast.Assert, (delete_statement,)),
    (ast.Assign, (delete_statement, assign_in_place)),
    (ast.AugAssign, (delete_statement, replace_augmented)),
    (ast.Break, (replace_break,)),
    (ast.Continue, (replace_break,)),
    (ast.With, (drop_with,)),
    (ast.match_case, (drop_case,)),
    (ast.expr, (force_condition, return_none, empty_loop, reverse_loop, drop_decorator, catch_nothing, raise_other)),
)
