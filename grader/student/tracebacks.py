"""An IPython extension that shows a failure as a reader can use it: of a failed check its message, of an error the lines of cells.

What is raised stays what it is; only what is shown below the cell becomes shorter. Kernels of the course's environment load it
by `lab/environment/etc/ipython/ipython_config.py`.
"""

from __future__ import annotations

import traceback
from types import FrameType, TracebackType
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from grader.lesson import SECTION_KEY, STUB

NO_ANSWER = f"this exercise has no answer yet: write it where the cell above says {STUB[0].removeprefix('# ')}"


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Show every exception of a cell by `show`."""
    shell.set_custom_exc((Exception,), show)


def show(
    shell: InteractiveShell,
    kind: type[BaseException],
    error: BaseException,
    trace: TracebackType | None,
    tb_offset: int | None = None,  # noqa: ARG001  (IPython gives it by name)
) -> list[str]:
    """Show an exception below its cell, and return the lines; whatever goes wrong here, it is shown."""
    if isinstance(error, SyntaxError):
        shell.showsyntaxerror()
        return []
    try:
        lines = _lines(shell, kind, error, trace)
        if (section := _section(shell)) and not lines[-1].endswith(NO_ANSWER):
            lines.append(f"\nTo read again: the section “{section}”")
    except Exception:
        lines = traceback.format_exception(kind, error, trace)
    shell._showtraceback(kind, error, lines)
    return lines


def _lines(shell: InteractiveShell, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> list[str]:
    """Return what is shown: of the frames, those of cells alone; none where a check says what is wrong, or an answer is blank."""
    steps = [step for step in _steps(trace) if step.tb_frame.f_globals is shell.user_ns]
    files = {step.tb_frame.f_code.co_filename for step in steps}
    if isinstance(error, AssertionError) and str(error) and len(files) == 1:  # raised by the cell itself, or for it by a library
        return [f"{kind.__name__}: {error}"]
    if kind is NotImplementedError and not str(error) and steps and _is_blank(steps[-1].tb_frame):
        return [f"{kind.__name__}: {NO_ANSWER}"]
    made: list[str] = shell.InteractiveTB.structured_traceback(kind, error, _joined(steps) or trace, tb_offset=0 if steps else 1)
    return made


def _section(shell: InteractiveShell) -> str:
    """Return the section that a check's metadata name; JupyterLab sends the metadata of a cell along with its source."""
    parent: dict[str, Any] = getattr(shell, "get_parent", dict)()
    return str(parent.get("metadata", {}).get(SECTION_KEY, ""))


def _steps(trace: TracebackType | None) -> list[TracebackType]:
    found = []
    while trace:
        found.append(trace)
        trace = trace.tb_next
    return found


def _joined(steps: list[TracebackType]) -> TracebackType | None:
    """Return a traceback of these steps alone."""
    made = None
    for step in reversed(steps):
        made = TracebackType(made, step.tb_frame, step.tb_lasti, step.tb_lineno)
    return made


def _is_blank(frame: FrameType) -> bool:
    """Tell whether a function does nothing but say that it is not written: the stub that a student is given."""
    return set(frame.f_code.co_names) == {"NotImplementedError"}
