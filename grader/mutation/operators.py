"""The mistakes that `grader.mutation.mutants` makes: each operator looks at one site and yields what could stand there instead.

Sources: mutmut 3.8 (`mutation/mutators.py`) and cosmic-ray 8.7 (`operators/`) for what any Python program can get wrong; the mistakes
that the course warns of for what only tensor programs can: the axis, `keepdim`, the order of a product, `detach`, a missing `/ n`.
Left out on purpose: what every run of the line kills (`x = None`, `f(None)`, a random number for a variable, misspelt keywords), and
what another mutant implies (`a - b` for `a + b`, where `a` and `b` are tried).

Nothing here changes the tree: a new node shares its children with the old one. Calls, attributes and indices are in
`grader.mutation.calls`, statements in `grader.mutation.statements`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from grader.mutation.calls import CALL_OPERATORS, DIM_KEYWORDS, SHAPED, TRANSPOSING, UNSEEN_KEYWORDS, is_dim
from grader.mutation.site import Operator, Replacement, Site, both_ways, called, changed, is_text, literal, number, same, without, words
from grader.mutation.statements import STATEMENT_OPERATORS, SWAPPED_OPERATORS

TINY = 0.01  # a float below this is there for numerical safety: tried as 0, and as a value that shows
SEEDING = words("manual_seed seed default_rng")
NAMING = words("float getattr setattr hasattr register_buffer register_parameter")  # calls whose string, when changed, only raises
SWAPPED_STRINGS = both_ways("sum/mean fan_in/fan_out same/valid train/test max/min left/right")
RANDOM = words("rand rand_like uniform")  # never equal to what it is compared with
SIGNLESS = words("abs square norm vector_norm cos")
COMMUTATIVE = (ast.Add, ast.Mult, ast.BitAnd, ast.BitOr, ast.BitXor)
COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {  # the first of two moves the boundary
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}


# Numbers and other constants


def _other_numbers(site: Site) -> Iterator[Replacement]:
    value, name = number(site.node), site.argument_of
    in_dims = isinstance(site.above, ast.Tuple | ast.List) and site.parent is not None and site.parent.keyword in DIM_KEYWORDS
    if value is None or name in SEEDING | {"permute"} or site.keyword == "seed" or in_dims or number(site.above) is not None:
        return
    complement = value == 1 and site.field == "left" and isinstance(site.above, ast.BinOp) and isinstance(site.above.op, ast.Sub)
    if complement or (value == -1 and name in SHAPED):
        return  # `1 - p` is tried as `p` and `1 + p`; `reshape(0, n)` and `reshape(-2, n)` only raise
    if isinstance(value, float):
        others: list[int | float] = [1.0] if value == 0 else [0.0, 0.1] if 0 < value < TINY else [0.0, max(-value, 2 * value)]
    elif site.field == "step":
        others = [-value if value < 0 else value + 1]
    elif name[:1].isupper():
        others = [value + 1]  # the size of a layer: one neighbour proves as much as two
    else:
        others = [value - 1, value + 1]
    taken = [number(argument) for argument in site.above.args] if name in TRANSPOSING else []
    yield from (literal(other) for other in others if other not in taken)


def change_number(site: Site) -> Iterator[Replacement]:
    """Turn `1` into `0` and `2`, `0.5` into `0.0` and `1.0`, `1e-5` into `0.0` and `0.1`."""
    if not is_dim(site):
        yield from _other_numbers(site)


def change_dim(site: Site) -> Iterator[Replacement]:
    """Turn `x.sum(dim=1)` into `x.sum(dim=0)` and `x.sum(dim=2)`; never the same axis counted from the other end."""
    if is_dim(site):
        yield from _other_numbers(site)


def change_string(site: Site) -> Iterator[Replacement]:
    """Turn `"sum"` into `"mean"`, `"ij,jk->ik"` into `"ij,jk->ki"`, `"a"` into `""`."""
    value = site.node.value
    is_key = isinstance(site.above, ast.Subscript) or (isinstance(site.above, ast.Dict) and site.field == "keys")
    if not isinstance(value, str) or is_key or site.argument_of in NAMING:
        return
    if "->" in value:
        if value[-2:].isalpha() and value[-2] != value[-1]:
            yield ast.Constant(value[:-2] + value[-1] + value[-2])
    elif value in SWAPPED_STRINGS:
        yield ast.Constant(SWAPPED_STRINGS[value])
    elif not site.keyword:
        yield ast.Constant("" if value else "x")


def flip_boolean(site: Site) -> Iterator[Replacement]:
    """Turn `keepdim=True` into `keepdim=False`."""
    if isinstance(site.node.value, bool) and site.keyword not in UNSEEN_KEYWORDS | {"strict"}:
        yield ast.Constant(not site.node.value)


def replace_none(site: Site) -> Iterator[Replacement]:
    """Turn `self.cache = None` into `self.cache = 0`."""
    if site.node.value is None and site.field == "value" and isinstance(site.above, ast.Assign | ast.Return):
        yield ast.Constant(0)


# Arithmetic and logic


def drop_term(site: Site) -> Iterator[Replacement]:
    """Turn `a + b` into `a` and `b`, `a / n` into `a`, `1 - p` into `p`; change-number does it for other terms that are numbers."""
    node = site.node
    left, right = number(node.left) is not None, number(node.right) is not None
    if isinstance(node.op, ast.Sub) and left:
        yield node.right
    elif not (left or right or is_text(node.left) or isinstance(node.op, ast.FloorDiv | ast.MatMult | ast.LShift | ast.RShift)):
        yield node.left
        if isinstance(node.op, COMMUTATIVE):
            yield node.right


def replace_operator(site: Site) -> Iterator[Replacement]:
    """Turn `x + 1` into `x - 1`, `a @ b` into `a * b`, `a // b` into `a / b`; not where drop-term proves as much."""
    node = site.node
    numbers = [value for value in (number(node.left), number(node.right)) if value is not None]
    tiny = any(isinstance(value, float) and abs(value) < TINY for value in numbers)
    implied = isinstance(node.op, (*COMMUTATIVE, ast.Sub)) and (tiny or not numbers)
    implied |= isinstance(node.op, ast.Div) and number(node.right) is None
    if not (implied or is_text(node.left) or isinstance(node.left, ast.List)):
        yield changed(node, op=SWAPPED_OPERATORS[type(node.op)]())


def swap_operands(site: Site) -> Iterator[Replacement]:
    """Turn `a @ b` into `b @ a`, `a - b` into `b - a`, `a / b` into `b / a`; not `(a - b) ** 2` into the same number."""
    node = site.node
    left, right = number(node.left) is not None, number(node.right) is not None
    ordered = isinstance(node.op, ast.MatMult) or (isinstance(node.op, ast.Div) and not right)
    ordered |= isinstance(node.op, ast.Sub) and not (left or right or _loses_sign(site))
    if ordered and not same(node.left, node.right):
        yield changed(node, left=node.right, right=node.left)


def _loses_sign(site: Site) -> bool:
    """Say whether a square or an absolute value is taken of this node right away."""
    above = site.above
    if isinstance(above, ast.BinOp) and isinstance(above.op, ast.Pow):
        return site.field == "left" and number(above.right) == 2
    if isinstance(above, ast.Attribute) and site.parent and isinstance(site.parent.above, ast.Call):
        return above.attr in SIGNLESS or (above.attr == "pow" and [number(argument) for argument in site.parent.above.args] == [2])
    return site.argument_of in SIGNLESS


def round_up(site: Site) -> Iterator[Replacement]:
    """Turn `a // b` into `-(-a // b)`, which rounds up; not where it is plain that nothing is left over, as in `n * (n + 1) // 2`."""
    left = site.node.left
    even = (
        isinstance(left, ast.BinOp)
        and isinstance(left.op, ast.Mult)
        and (_is_next(left.left, left.right) or _is_next(left.right, left.left))
    )
    if isinstance(site.node.op, ast.FloorDiv) and not (even and number(site.node.right) == 2):
        yield ast.UnaryOp(ast.USub(), changed(site.node, left=ast.UnaryOp(ast.USub(), site.node.left)))


def _is_next(a: ast.expr, b: ast.expr) -> bool:
    """Say whether `b` is written as `a + 1` or `a - 1`."""
    return isinstance(b, ast.BinOp) and isinstance(b.op, ast.Add | ast.Sub) and same(a, b.left) and number(b.right) == 1


def drop_unary(site: Site) -> Iterator[Replacement]:
    """Turn `-x`, `not x` and `~x` into `x`."""
    if (
        not isinstance(site.node.op, ast.UAdd)
        and number(site.node) is None
        and not (isinstance(site.node.op, ast.USub) and _loses_sign(site))
    ):
        yield site.node.operand


def replace_boolean(site: Site) -> Iterator[Replacement]:
    """Turn `a and b` into `a or b`."""
    yield changed(site.node, op=ast.Or() if isinstance(site.node.op, ast.And) else ast.And())


def drop_condition(site: Site) -> Iterator[Replacement]:
    """Turn `a and b` into `a` and `b`."""
    for index in range(len(site.node.values)):
        rest = without(site.node.values, index)
        yield rest[0] if len(rest) == 1 else changed(site.node, values=rest)


def replace_comparison(site: Site) -> Iterator[Replacement]:
    """Turn `a < b` into `a <= b` and `a > b`, `a == b` into `a != b`."""
    ops, sides = site.node.ops, [site.node.left, *site.node.comparators]
    for index, op in enumerate(ops):
        by_chance = any(isinstance(side, ast.Call) and called(side) in RANDOM for side in sides[index : index + 2])
        others = COMPARISONS[type(op)]
        for other in others[1:] if by_chance else others:
            yield changed(site.node, ops=[*ops[:index], other(), *ops[index + 1 :]])


def force_branch(site: Site) -> Iterator[Replacement]:
    """Turn `a if c else b` into `a` and `b`."""
    yield from (site.node.body, site.node.orelse)


def drop_filter(site: Site) -> Iterator[Replacement]:
    """Turn `[x for x in xs if x]` into `[x for x in xs]`."""
    if site.field == "ifs":
        yield []


OPERATORS: tuple[tuple[type[ast.AST], tuple[Operator, ...]], ...] = (
    (ast.Constant, (change_number, change_dim, change_string, flip_boolean, replace_none)),
    (ast.UnaryOp, (change_number, change_dim, drop_unary)),
    (ast.BinOp, (drop_term, replace_operator, swap_operands, round_up)),
    (ast.BoolOp, (replace_boolean, drop_condition)),
    (ast.Compare, (replace_comparison,)),
    (ast.IfExp, (force_branch,)),
    (ast.expr, (drop_filter,)),
    *CALL_OPERATORS,
    *STATEMENT_OPERATORS,
)


def replacements(site: Site) -> Iterator[tuple[str, Replacement]]:
    """Yield the name of each operator that applies at `site`, in kebab case, with each node that it would put there."""
    for kind, operators in OPERATORS:
        if isinstance(site.node, kind):
            for operator in operators:
                name = operator.__name__.replace("_", "-")
                yield from ((name, replacement) for replacement in operator(site) if not _is_idle(site, replacement))


def _is_idle(site: Site, replacement: Replacement) -> bool:
    """Say whether the replacement would leave `x = x`, which delete-statement does too."""
    value_of = site.above.targets[0] if isinstance(site.above, ast.Assign) and site.field == "value" else None
    return isinstance(value_of, ast.Name) and isinstance(replacement, ast.Name) and replacement.id == value_of.id
