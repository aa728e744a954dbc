"""Disguises a copied answer as a copier does: local names changed, statements that do not need each other swapped, laid out anew."""

from __future__ import annotations

import ast
from itertools import pairwise

from grader.names import bound, read


def disguise(source: str) -> str:
    """Return code that does the same as `source` and looks otherwise; comments are gone."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            _rename(node)
        body = getattr(node, "body", None)
        if isinstance(body, list):
            _swap(body)
    return ast.unparse(tree)


def _rename(function: ast.FunctionDef) -> None:
    """Give the names that a function binds for itself others; parameters stay, since callers may name them."""
    inner = [node for node in ast.walk(function) if isinstance(node, (ast.FunctionDef, ast.Lambda, ast.ClassDef, ast.Global, ast.Nonlocal))]
    if len(inner) > 1:  # who reads whose names is not to be seen at a glance
        return
    stored = {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    parameters = {node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg)}
    new = {name: f"{name[0]}_{number}" for number, name in enumerate(sorted(stored - parameters))}
    for node in ast.walk(function):
        if isinstance(node, ast.Name):
            node.id = new.get(node.id, node.id)


def _swap(body: list[ast.stmt]) -> None:
    """Swap the first two neighbours that are plain assignments without calls, and do not need each other."""
    for place, (first, second) in enumerate(pairwise(body)):
        if _plain(first) and _plain(second):
            one, other = ast.unparse(first), ast.unparse(second)
            if not bound(one) & (read(other) | bound(other)) and not bound(other) & read(one):
                body[place], body[place + 1] = second, first
                return


def _plain(statement: ast.stmt) -> bool:
    simple = isinstance(statement, ast.Assign) and all(isinstance(target, ast.Name) for target in statement.targets)
    return simple and not any(isinstance(node, (ast.Call, ast.Subscript)) for node in ast.walk(statement))
