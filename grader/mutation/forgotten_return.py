"""The commonest slip of all: an answer that works out the right thing and does not return it."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator


def without_return(source: str) -> Iterator[tuple[str, str]]:
    """Yield, for every function and method of an answer that returns something, its name and the answer without its `return`.

    Those that the answer calls itself are left out: there the error is of the student's own code, and says where.
    """
    tree = ast.parse(source)
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for function in _functions(tree):
        if function.name in (names if function in tree.body else attributes):
            continue
        before, function.body = function.body, [_Forget().visit(copy.deepcopy(statement)) for statement in function.body]
        if ast.dump(ast.Module(function.body, [])) != ast.dump(ast.Module(before, [])):
            yield function.name, ast.unparse(ast.fix_missing_locations(tree))
        function.body = before


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    for statement in tree.body:
        for inner in statement.body if isinstance(statement, ast.ClassDef) else [statement]:
            if isinstance(inner, ast.FunctionDef):
                yield inner


class _Forget(ast.NodeTransformer):
    """Leaves the value of a `return` as a statement of its own; what is returned within another function stays."""

    def visit_Return(self, node: ast.Return) -> ast.stmt:
        return ast.Expr(node.value) if node.value else node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        return node
