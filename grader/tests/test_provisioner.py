"""Jupyter's own programs get a kernel in the sandbox: nbclient here, and with it nbval and nbgrader."""

from __future__ import annotations

from pathlib import Path

import nbformat
import psutil
import pytest
from jupyter_client.provisioning.factory import KernelProvisionerFactory
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook, new_output

from grader.engine.provisioner import NAME, _visible
from grader.engine.sandbox import SandboxError
from grader.notebook import KERNELSPEC
from grader.proof import Step, nbval, run


@pytest.fixture(autouse=True)
def _sandboxed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KernelProvisionerFactory.instance(), "default_provisioner_name", NAME)


@pytest.fixture
def printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Run cells in one sandboxed kernel, in a folder with a table and a student's `torch.py`; return what each printed."""
    (tmp_path / "secret.ipynb").write_text("{}")
    (tmp_path / "torch.py").write_text("raise ImportError")
    (tmp_path / "table.csv").write_text("1,2\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "numbers.txt").write_text("3\n")
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("A_SECRET", "42")
    notebook = new_notebook(cells=[new_code_cell(source) for source in CELLS.values()], metadata={"kernelspec": KERNELSPEC})
    NotebookClient(notebook, timeout=20, resources={"metadata": {"path": str(tmp_path)}}, allow_errors=True).execute()
    assert list(tmp_path.glob("*.new")) == []
    return {
        name: "".join(o.get("text", o.get("ename", "")) for o in cell.outputs) for name, cell in zip(CELLS, notebook.cells, strict=True)
    }


CELLS = {
    "files": "import os\nfrom pathlib import Path\nprint(sorted(p.name for p in Path().iterdir()))",
    "data": "print(Path(os.environ['COURSE_DATA'], 'numbers.txt').read_text())",
    "table": "Path('table.csv').write_text('')",
    "new": "Path('x.new').write_text('1')\nprint('written')",
    "environment": "print('A_SECRET' in os.environ)",
    "home": f"print(Path({str(Path(__file__).parents[2])!r}).exists(), os.path.expanduser('~'))",
    "network": "import socket\ntry:\n    socket.create_connection(('1.1.1.1', 53), timeout=2)\nexcept OSError as e:\n    print(e)",
    "processes": "print(len([p for p in Path('/proc').iterdir() if p.name.isdigit()]) < 4)",
    "memory": "x = bytearray(4 * 2**30)",
    "disk": "Path('big').write_bytes(bytes(2**29))",
    "namespace": "import ctypes\nprint(ctypes.CDLL(None).unshare(0x10000000))",
    "after": "print('goes on')",
}
EXPECTED = {
    "files": "['data', 'table.csv']\n",
    "data": "3\n\n",
    "table": "OSError",
    "new": "written\n",
    "environment": "False\n",
    "home": "False /tmp\n",
    "network": "[Errno 101] Network is unreachable\n",
    "processes": "True\n",
    "memory": "MemoryError",
    "disk": "OSError",
    "namespace": "-1\n",
    "after": "goes on\n",
}


def test_a_kernel_in_the_sandbox_sees_and_reaches_what_an_answer_may_and_no_more(printed: dict[str, str]) -> None:
    assert printed == EXPECTED


def test_an_endless_cell_is_interrupted_and_the_kernel_goes_on(tmp_path: Path) -> None:
    notebook = new_notebook(cells=[new_code_cell("while True: pass"), new_code_cell("print(1)")], metadata={"kernelspec": KERNELSPEC})
    client = NotebookClient(
        notebook, timeout=2, interrupt_on_timeout=True, allow_errors=True, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    assert notebook.cells[0].outputs[0].ename == "KeyboardInterrupt"
    assert notebook.cells[1].outputs[0].text == "1\n"


def test_nothing_of_it_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    notebook = new_notebook(
        cells=[new_code_cell("import subprocess\nchild = subprocess.Popen(['sleep', '1000.5'])")], metadata={"kernelspec": KERNELSPEC}
    )
    NotebookClient(notebook, timeout=20).execute()
    assert list(tmp_path.glob("kernel-*")) == []
    assert not [process for process in psutil.process_iter(["cmdline"]) if "1000.5" in (process.info["cmdline"] or [])]


def test_an_environment_variable_chooses_it_for_every_program(tmp_path: Path) -> None:
    cell = new_code_cell("import os\nprint(os.path.expanduser('~'))", execution_count=1, outputs=[new_output("stream", text="/tmp\n")])
    nbformat.write(new_notebook(cells=[cell], metadata={"kernelspec": KERNELSPEC}), tmp_path / "home.ipynb")
    command = nbval("--nbval", [tmp_path / "home.ipynb"], spread=())
    assert not run(Step("as you", (command,)), tmp_path, 60).passed
    outcome = run(Step("sandboxed", (command,), {"JUPYTER_DEFAULT_PROVISIONER_NAME": NAME}), tmp_path, 60)
    assert outcome.passed, outcome.output


def test_a_folder_of_too_many_files_is_refused_with_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grader.engine.provisioner.MAX_FILES", 2)
    for name in "abc":
        (tmp_path / name).touch()
    with pytest.raises(SandboxError, match=r"more than 2 files.*\n    remedy: start it in the notebook's own folder"):
        list(_visible(tmp_path / "connection.json", tmp_path, tmp_path))
