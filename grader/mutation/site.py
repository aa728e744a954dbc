"""A place in a syntax tree, and the questions that every mutation operator asks about it."""

from __future__ import annotations

import ast
import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Replacement = ast.AST | list[Any]  # a list takes the place of one element of a list; the empty list removes the element


@dataclass(frozen=True)
class Site:
    """A node and where it hangs: in `field` of the parent's node, as element `index` where that field is a list."""

    node: Any
    field: str = ""
    index: int | None = None
    parent: Site | None = None

    @property
    def above(self) -> Any:
        """The parent's node; None at the root."""
        return self.parent.node if self.parent else None

    @property
    def keyword(self) -> str:
        """The keyword argument whose value this node is; else empty."""
        return (self.above.arg or "") if isinstance(self.above, ast.keyword) else ""

    @property
    def argument_of(self) -> str:
        """The function of which this node is a positional argument; else empty."""
        return called(self.above) if isinstance(self.above, ast.Call) and self.field == "args" else ""

    @property
    def function(self) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        """The innermost function definition around this node."""
        site: Site | None = self
        while site and not isinstance(site.node, ast.FunctionDef | ast.AsyncFunctionDef):
            site = site.parent
        return site.node if site else None


Operator = Callable[[Site], Iterator[Replacement]]


def words(text: str) -> frozenset[str]:
    """Return the words of `text`."""
    return frozenset(text.split())


def both_ways(pairs: str) -> dict[str, str]:
    """Return a dict that maps each side of every `a/b` in `pairs` to the other."""
    split = [pair.split("/") for pair in pairs.split()]
    return dict(split) | {b: a for a, b in split}


def called(call: ast.Call) -> str:
    """Return the last name of what is called: `sum` for `torch.sum(x)` and for `x.sum()`; empty where it has no name."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id if isinstance(call.func, ast.Name) else ""


def number(node: ast.AST) -> int | float | None:
    """Return the value of a number as it is written, its minus sign included; None for anything else."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        value = number(node.operand)
        return None if value is None else -value
    if not isinstance(node, ast.Constant) or isinstance(node.value, bool) or not isinstance(node.value, int | float):
        return None
    return node.value if math.isfinite(node.value) else None


def is_text(node: ast.AST) -> bool:
    """Say whether `node` is a string or an f-string."""
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def same(a: ast.AST, b: ast.AST) -> bool:
    """Say whether two nodes are written alike."""
    return ast.dump(a) == ast.dump(b)


def changed(node: Any, **fields: object) -> Any:
    """Return a shallow copy of `node` with other `fields`."""
    new = copy.copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


def literal(value: int | float) -> ast.expr:
    """Return the expression that writes a number."""
    return ast.UnaryOp(ast.USub(), ast.Constant(-value)) if value < 0 else ast.Constant(value)


def without(items: list[Any], index: int) -> list[Any]:
    """Return `items` less one."""
    return [*items[:index], *items[index + 1 :]]


def swapped(items: list[Any], index: int) -> list[Any]:
    """Return `items` with one and its right neighbour swapped."""
    return [*items[:index], items[index + 1], items[index], *items[index + 2 :]]
