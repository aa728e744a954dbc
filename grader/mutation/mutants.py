"""Mutants of a reference answer: the same answer with one small mistake, for the audit's proof that the checks are strong.

A check that no mutant fails proves little; a mutant that no check fails shows a missing test, or computes the same as the answer.
`grader.mutation.operators` says which mistakes are made, and where they were collected.
Only what stands in a solution region is changed: the student is given the rest. Docstrings, annotations, f-strings, `print`, figures
and the texts of errors stay as they are.
"""

from __future__ import annotations

import ast
import copy
import difflib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from grader.lesson import BEGIN_SOLUTION, END_SOLUTION
from grader.mutation.operators import replacements
from grader.mutation.site import Replacement, Site

UNTOUCHED_FIELDS = frozenset({"annotation", "returns", "ctx", "format_spec", "msg", "cause"})
SHOWING = frozenset({"print", "plt", "ax", "axes", "fig"})  # a statement that calls one of these has no result
EXPLAINED = frozenset({"force-condition", "return-none", "empty-loop", "replace-break"})  # the new statement alone would not say where
BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases", "decorator_list")


@dataclass(frozen=True)
class Mutant:
    """An answer cell with one mistake; `statement` is also how a lesson names a mutant that may survive."""

    operator: str  # e.g. "drop-keyword"
    line: int  # 1-based, in the original cell
    statement: str  # the mutated statement on one line, of a compound one its header, of a deleted one "pass  # deleted: ..."
    source: str  # the whole mutated cell


def mutants(source: str) -> list[Mutant]:
    """Return the mutants of an answer cell, by line, column and operator; no two have the same source, none has the original's.

    Every mutant compiles. Raises SyntaxError where the cell does not, ValueError where its region markers do not pair.
    """
    regions = _regions(source)
    tree = ast.parse(source)
    planned = [
        (_start(site.node), name, site, new)
        for site in _sites(Site(tree))
        if _within(site.node, regions)
        for name, new in replacements(site)
    ]
    seen = {ast.unparse(tree)}
    made = []
    for (line, _), name, site, replacement in sorted(planned, key=lambda plan: plan[:2]):
        statement, mutated = _apply(tree, name, site, replacement)
        if mutated not in seen and _compiles(mutated):
            seen.add(mutated)
            made.append(Mutant(name, line, statement, mutated))
    return made


def diff(original: str, mutated: str) -> str:
    """Return what a mutant changed as a unified diff; both sides are unparsed, so comments and layout do not show."""
    old, new = (ast.unparse(ast.parse(text)).splitlines() for text in (original, mutated))
    return "\n".join(difflib.unified_diff(old, new, "answer", "mutant", lineterm="", n=3))


def _regions(source: str) -> list[range]:
    """Return the line numbers of each solution region, its marker lines included."""
    lines = [line.strip() for line in source.splitlines()]
    begins = [number for number, line in enumerate(lines, start=1) if line == BEGIN_SOLUTION]
    ends = [number for number, line in enumerate(lines, start=1) if line == END_SOLUTION]
    return [range(begin, end + 1) for begin, end in zip(begins, ends, strict=True)]


def _start(node: Any) -> tuple[int, int]:
    node = node.pattern if isinstance(node, ast.match_case) else node
    return getattr(node, "lineno", 0), getattr(node, "col_offset", 0)


def _within(node: Any, regions: list[range]) -> bool:
    first = _start(node)[0]
    return any(first in region and getattr(node, "end_lineno", first) in region for region in regions)


def _sites(site: Site) -> Iterator[Site]:
    """Yield every place below `site` where an operator may look, outer before inner; of a `raise`, not what it says."""
    if site.field == "exc":
        return
    for field, value in ast.iter_fields(site.node):
        if field in UNTOUCHED_FIELDS:
            continue
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST) and not _is_for_people(child):
                below = Site(child, field, index, site)
                yield below
                yield from _sites(below)


def _is_for_people(node: ast.AST) -> bool:
    """Say whether no result depends on `node`: a docstring, an f-string, a `print`, a figure."""
    if not isinstance(node, ast.Expr):
        return isinstance(node, ast.JoinedStr)
    root: ast.expr = node.value
    while isinstance(root, ast.Call | ast.Attribute | ast.Subscript):
        root = root.func if isinstance(root, ast.Call) else root.value
    return isinstance(node.value, ast.Constant) or (isinstance(root, ast.Name) and root.id in SHOWING)


def _apply(tree: ast.Module, name: str, site: Site, replacement: Replacement) -> tuple[str, str]:
    """Return the mutated statement and the mutated cell; afterwards `tree` is as before."""
    old = getattr(site.above, site.field)
    new: object = replacement
    if site.index is not None:
        new = [*old[: site.index], *(replacement if isinstance(replacement, list) else [replacement]), *old[site.index + 1 :]]
    setattr(site.above, site.field, new)
    try:
        return _statement(name, site, replacement), ast.unparse(tree)
    finally:
        setattr(site.above, site.field, old)


def _statement(name: str, site: Site, replacement: Replacement) -> str:
    """Describe the mutated tree in one line."""
    was = _header(site.node)
    unit = site
    while unit.parent and not isinstance(unit.node, ast.stmt | ast.ExceptHandler | ast.match_case):
        unit = unit.parent
    if unit is not site:
        shown = _header(unit.node)
        if isinstance(unit.node, ast.If) and unit.field == "orelse" and unit.node.col_offset == unit.above.col_offset:
            shown = f"el{shown}"
    elif isinstance(replacement, list | ast.Pass):
        return f"pass  # deleted: {was}"
    else:
        shown = _header(replacement)
    if site.field == "decorator_list":
        return f"{shown}  # deleted: @{was}"
    return f"{shown}  # was: {was}" if name in EXPLAINED else shown


def _header(node: ast.AST) -> str:
    """Return `node` on one line, without its body and its decorators."""
    bare = copy.copy(node)
    for block in BLOCKS:
        if isinstance(getattr(bare, block, None), list):
            setattr(bare, block, [])
    return "\\n".join(ast.unparse(bare).strip().splitlines())


def _compiles(source: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(source, "<mutant>", "exec")
        except (SyntaxError, ValueError):
            return False
    return True
