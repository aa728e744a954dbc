"""HTML of our own, from templates: self-contained, without scripts, and whatever a student wrote is only ever text in it."""

from __future__ import annotations

from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from latex2mathml.converter import convert
from latex2mathml.exceptions import ExtraLeftOrMissingRightError
from markdown_it import MarkdownIt
from markupsafe import Markup
from mdit_py_plugins.dollarmath import dollarmath_plugin
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from grader.safe_text import visible

MANY = 4096  # texts that are kept as HTML: many of a class write the same
LONGEST = 20_000  # characters of one text of a student's that are shown


def page(template: str, **values: Any) -> str:
    """Return the page that a template makes of values."""
    return _environment().get_template(f"{template}.html.j2").render(**values)


def text(source: str) -> str:
    """Return a text that anybody may have written as a page shows it: at most LONGEST characters, nothing in them acts."""
    shown = visible(source)
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}\n… and {len(shown) - LONGEST} characters more"


@lru_cache(MANY)
def code(source: str) -> Markup:
    """Return Python code in colours."""
    return Markup(highlight(text(source), PythonLexer(stripnl=False), _formatter()))


@lru_cache(MANY)
def prose(markdown: str) -> Markup:
    """Return the course's own Markdown as HTML, formulas as MathML, which browsers show without a script."""
    return Markup(_markdown().render(markdown))


@lru_cache(MANY)
def inline(markdown: str) -> Markup:
    """Return a sentence of the course's own Markdown as HTML."""
    return Markup(_markdown().renderInline(markdown))


@cache
def _environment() -> Environment:
    folder = files("grader.review") / "templates"
    environment = Environment(
        loader=FunctionLoader(lambda name: (folder / name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"code": code, "inline": inline, "prose": prose, "text": text, "plural": _plural}
    environment.globals["code_style"] = _formatter().get_style_defs(".code")
    return environment


@cache
def _formatter() -> HtmlFormatter[str]:
    return HtmlFormatter(style="xcode", cssclass="code")  # each of its colours can be read on white


@cache
def _markdown() -> MarkdownIt:
    return MarkdownIt("js-default").use(dollarmath_plugin, renderer=_formula)


def _formula(source: str, options: dict[str, Any]) -> str:
    try:
        return convert(source, display="block" if options.get("display_mode") else "inline")
    except (ExtraLeftOrMissingRightError, ValueError, IndexError):
        return f"<code>{Markup.escape(source)}</code>"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
