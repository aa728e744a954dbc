"""Runs an instructor notebook in a kernel and keeps what may be committed of its outputs."""

from __future__ import annotations

import asyncio
import base64
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import NoSuchKernel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from traitlets.config import Config

from grader.environment import ONE_THREAD, use_sockets
from grader.errors import BuildError

CELL_TIMEOUT = 120  # seconds; a whole chapter is meant to take less than 60


def execute(notebook: NotebookNode, path: Path, figures: Path | None = None) -> NotebookNode:
    """Return `notebook` with the outputs of a run from top to bottom in the folder of `path`, on one thread.

    Text outputs are kept, pictures are not (they go to the folder `figures` where one is given).
    Raises BuildError, naming the cell, where a cell fails, hangs, kills the kernel or writes to stderr.
    """
    run: NotebookNode = nbformat.from_dict(notebook)
    with tempfile.TemporaryDirectory() as runtime:
        try:
            asyncio.run(_client(run, path, Path(runtime)).async_execute(env=os.environ | ONE_THREAD))
        except CellExecutionError as error:
            raise BuildError(
                f"{_place(run, path)}: the cell fails: {error.ename}: {error.evalue}\n    remedy: mend the lesson source"
            ) from error
        except CellTimeoutError as error:
            raise BuildError(
                f"{_place(run, path)}: no answer after {CELL_TIMEOUT} s\n    remedy: make the cell faster, or end its loop"
            ) from error
        except DeadKernelError as error:
            raise BuildError(
                f"{_place(run, path)}: the kernel died\n    remedy: look for a crash or too much memory in this cell"
            ) from error
        except (NoSuchKernel, RuntimeError) as error:
            raise BuildError(f"{path}: no kernel starts: {error}\n    remedy: run `make setup`") from error
    if figures is not None:
        _save_pictures(run, figures)
    for cell in _code_cells(run):
        cell.outputs = [kept for output in cell.outputs if (kept := _committable(output, cell, path))]
    run.metadata = notebook.metadata  # the kernel's own, such as its version, differs between machines
    return run


def _client(run: NotebookNode, path: Path, runtime: Path) -> NotebookClient:
    config = Config()
    use_sockets(config, runtime)
    resources = {"metadata": {"path": str(path.parent)}}
    return NotebookClient(run, timeout=CELL_TIMEOUT, record_timing=False, coalesce_streams=True, resources=resources, config=config)


def _place(run: NotebookNode, path: Path) -> str:
    """Name the cell at which the run stopped: the last that has begun."""
    begun = [cell for cell in _code_cells(run) if cell.execution_count is not None or cell.outputs]
    cells = _code_cells(run)
    stopped = cells[min(len(begun), len(cells) - 1)]
    failed = next((cell for cell in begun if any(output.output_type == "error" for output in cell.outputs)), stopped)
    return f"{path}: cell '{failed.id}' ({(failed.source.splitlines() or [''])[0][:60]!r})"


def _code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _committable(output: NotebookNode, cell: NotebookNode, path: Path) -> NotebookNode | None:
    if output.output_type == "stream" and output.name == "stderr":
        text = output.text.strip().splitlines()[-1][:200] if output.text.strip() else ""
        raise BuildError(f"{path}: cell '{cell.id}' writes to stderr: {text!r}\n    remedy: mend the cause of the warning")
    if "data" in output:
        output.data = NotebookNode({kind: value for kind, value in output.data.items() if not kind.startswith("image/")})
        output.metadata = NotebookNode()
        return output if output.data else None
    return output


def _save_pictures(run: NotebookNode, figures: Path) -> None:
    figures.mkdir(parents=True, exist_ok=True)
    for number, png in enumerate(_pictures(run), start=1):
        (figures / f"figure-{number:02}.png").write_bytes(png)


def _pictures(run: NotebookNode) -> Iterator[bytes]:
    for cell in _code_cells(run):
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                yield base64.b64decode(output.data["image/png"])
