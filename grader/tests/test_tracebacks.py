"""What a reader sees below a cell that failed."""

from __future__ import annotations

import re

import pytest
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from grader.lesson import SECTION_KEY
from grader.notebook import KERNELSPEC
from grader.student.tracebacks import NO_ANSWER

CHECK = "got = f(2)\nassert got == 4, f'f(2) should be 4, got {got}'"
CASES: dict[str, tuple[list[str], str, list[str], list[str]]] = {  # cells, what the last raises, words that are shown, words that are not
    "a check says what is wrong": (["def f(x):\n    return x", CHECK], "AssertionError", ["AssertionError: f(2) should be 4, got 2"], ["Traceback", "---->"]),
    "a library says it for the check": (
        ["from numpy.testing import assert_array_equal", "assert_array_equal([1], [2], 'the lists')"],
        "AssertionError", ["the lists", "Mismatched"], ["Traceback", "site-packages"],
    ),
    "an answer is blank": (["def f(x: int) -> int:\n    '''Double.'''\n    # YOUR CODE HERE\n    raise NotImplementedError()", CHECK], "NotImplementedError", [NO_ANSWER], ["Traceback"]),
    "an answer fails": (["def f(x):\n    return len(x)", CHECK], "TypeError", ["----> 1 got = f(2)", "----> 2     return len(x)", "TypeError: object of type 'int' has no len()"], []),
    "a library fails in an answer": (["import json\ndef f(x):\n    return json.loads('{')", CHECK], "JSONDecodeError", ["return json.loads", "Expecting property name"], ["decoder.py"]),
    "an assert of an answer fails": (["def f(x):\n    assert x > 2, 'too small'", CHECK], "AssertionError", ["assert x > 2", "too small", "----> 1 got = f(2)"], []),
    "an assert without words": (["x = 1", "assert x == 2"], "AssertionError", ["----> 1 assert x == 2"], []),
    "a NotImplementedError of the reader's own": (["def f(x):\n    raise NotImplementedError('not yet')", CHECK], "NotImplementedError", ["not yet", "---->"], [NO_ANSWER]),
    "no Python": (["x = 1", "x = (1 +"], "SyntaxError", ["x = (1 +", "SyntaxError: "], ["site-packages"]),
}  # fmt: skip


@pytest.fixture(scope="module")
def outputs() -> dict[str, tuple[str, str]]:
    """Run every case in one kernel; return the name of the error and what is shown, without colours."""
    sources = [source for cells, *_ in CASES.values() for source in cells]
    notebook = new_notebook(cells=[new_code_cell(source) for source in sources], metadata={"kernelspec": KERNELSPEC})
    NotebookClient(notebook, timeout=20, allow_errors=True, extra_arguments=["--ext=grader.student.tracebacks"]).execute()
    found, position = {}, -1
    for name, (cells, *_) in CASES.items():
        position += len(cells)
        (output,) = [output for output in notebook.cells[position].outputs if output.output_type == "error"]
        found[name] = (output.ename, re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(output.traceback)))
    return found


@pytest.mark.parametrize("name", CASES)
def test_what_is_shown_helps_and_no_more(outputs: dict[str, tuple[str, str]], name: str) -> None:
    _, error, words, absent = CASES[name]
    found, text = outputs[name]
    assert found == error
    assert [word for word in words if word not in text] == [], text
    assert [word for word in absent if word in text] == [], text


def test_a_check_says_where_to_read_again_when_jupyterlab_sends_its_metadata() -> None:
    manager, client = start_new_kernel(kernel_name="python3", extra_arguments=["--ext=grader.student.tracebacks"])
    try:
        for source, metadata in (("def f(x):\n    return x", {}), (CHECK, {SECTION_KEY: "Doubling"})):
            request = client.session.msg("execute_request", {"code": source, "silent": False, "stop_on_error": False}, metadata=metadata)
            client.shell_channel.send(request)
        while (message := client.get_iopub_msg(timeout=20))["msg_type"] != "error":
            pass
        assert message["content"]["traceback"] == ["AssertionError: f(2) should be 4, got 2", "\nTo read again: the section “Doubling”"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
