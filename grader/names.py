"""Which global names a piece of code binds and reads, told without running it."""

from __future__ import annotations

import builtins
import symtable
from collections.abc import Iterator
from functools import lru_cache

BUILTINS = frozenset(dir(builtins)) | {"__name__", "__file__", "__doc__"}


def bound(source: str) -> frozenset[str]:
    """Return the names that `source` binds at module level: functions, classes, imports, assignments."""
    module = symtable.symtable(source, "<cell>", "exec")
    top = {symbol.get_name() for symbol in module.get_symbols() if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()}
    declared = {
        symbol.get_name()
        for table in _tables(module)
        if table is not module
        for symbol in table.get_symbols()
        if symbol.is_declared_global() and symbol.is_assigned()
    }
    return frozenset(top | declared)


def read(source: str) -> frozenset[str]:
    """Return the global names that `source` reads, in any function or class body too, builtins left out."""
    module = symtable.symtable(source, "<cell>", "exec")
    found = {symbol.get_name() for symbol in module.get_symbols() if symbol.is_referenced()}
    for table in _tables(module):
        if table is not module:
            found |= {symbol.get_name() for symbol in table.get_symbols() if symbol.is_global() and symbol.is_referenced()}
    return frozenset(found - BUILTINS)


@lru_cache(4096)  # every submission has the cells of its chapter
def bound_and_read(source: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names that a person's `source` binds, and those that it reads without binding them; none where Python cannot parse it."""
    try:
        return bound(source), read(source) - bound(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset(), frozenset()


def _tables(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _tables(child)
