"""Text from submissions as a terminal or a spreadsheet may have it: nothing in it acts."""

from __future__ import annotations

import unicodedata

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_DIRECTIONS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}  # they turn the text after them around


def visible(text: str) -> str:
    """Return `text` with what moves a cursor, colours a terminal or hides other text written as escapes, as `repr` writes them."""
    return "".join(character if _is_harmless(character) else _escape(character) for character in text)


def no_formula(text: str) -> str:
    """Return `text` so that a spreadsheet takes it for text: what would be a formula gets an apostrophe in front."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _is_harmless(character: str) -> bool:
    if character in "\n\t":
        return True
    return unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp") and unicodedata.bidirectional(character) not in _DIRECTIONS


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()
