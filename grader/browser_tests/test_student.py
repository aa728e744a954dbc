"""A student in JupyterLab, from the welcome page to a file handed in."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from grader.browser_tests.conftest import photograph
from grader.browser_tests.lab import CREATE_ASSIGNMENT, SECONDS, Lab
from grader.course import Course
from grader.notebook import dumps, load
from grader.template import grade_id

CHAPTER = "01_python_objects"
STUB = '''def numbered(seq: Iterable, start: int = 0) -> list:
    """Return [(start, first item), (start + 1, second item), …] for any iterable `seq`."""
'''
WRONG = f"{STUB}    return list(enumerate(seq))"
PROGRESS = 5  # the cell of the welcome page that shows it
# MathJax's copy of a formula for screen readers is hidden, and as wide as the browser's fonts make it: nobody has to scroll for it
HIDDEN_COPY = "mjx-assistive-mml { width: 1px !important; overflow: hidden }"
RIGHT = f"{STUB}    return list(enumerate(seq, start))"


@pytest.fixture
def places(course: Course) -> dict[str, int]:
    """Where each cell of the chapter is that nbgrader knows."""
    (chapter,) = course.released(["01"])
    return {grade_id(cell): place for place, cell in enumerate(load(chapter.student).cells) if grade_id(cell)}


def test_from_the_welcome_page_to_a_file_handed_in(lab: Lab, course: Course, places: dict[str, int]) -> None:
    page = lab.page
    photograph(page, "welcome")
    lab.follow("01 Python objects behind PyTorch", CHAPTER)
    expect(lab.notebook.get_by_role("heading", name="Python objects behind PyTorch")).to_be_visible()
    lab.run_all()

    lab.replace(places["numbered"], WRONG)
    lab.run(places["numbered"])
    message = lab.run(places["numbered-by-hand"])
    photograph(page, "failing-check")
    assert "Traceback" not in message

    lab.replace(places["numbered"], RIGHT)
    lab.run(places["numbered"])
    assert lab.run(places["numbered-by-hand"]).startswith("passed: ")
    assert lab.run(places["numbered-default"]).startswith("passed: ")

    lab.notebook.get_by_role("button", name="Validate").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("The following cell failed", timeout=120 * SECONDS)
    assert "batches_of_letters" in dialog.inner_text(), "the first check that fails is that of the second exercise"
    photograph(page, "validated")
    dialog.get_by_role("button", name="Ok").click()

    lab.tab("welcome.ipynb")
    lab.run_all()
    expect(lab.output(PROGRESS)).to_contain_text("PyTorch: 1 of 10 exercises pass, 0 fail")
    photograph(page, "progress")

    lab.command("New Terminal")
    hand_in(lab, course)
    photograph(page, "handed-in")


def hand_in(lab: Lab, course: Course) -> None:
    """Give the command in the terminal in front."""
    page, receipt = lab.page, course.root / "hand-in" / f"{CHAPTER}.receipt.txt"
    expect(page.locator(".jp-Terminal .xterm-helper-textarea")).to_be_focused()
    for waited in range(120):
        if receipt.exists():
            break
        if waited % 40 == 2:  # it is drawn, not text: that the shell is there cannot be seen
            page.keyboard.type("make submit LESSON=01\n")
        page.wait_for_timeout(0.5 * SECONDS)
    saved = load(receipt.parent / f"{CHAPTER}.ipynb")
    assert RIGHT in [cell.source for cell in saved.cells]
    assert "passing    numbered" in receipt.read_text()


def test_the_same_with_the_keyboard_alone(lab: Lab, course: Course, places: dict[str, int]) -> None:
    page, keyboard = lab.page, lab.page.keyboard

    press_until(lab, "Tab", "document.activeElement.innerText.startsWith('01 Python objects')")
    keyboard.press("Enter")
    expect(lab.notebook.get_by_role("heading", name="Python objects behind PyTorch")).to_be_visible()
    lab.wait_for_front(CHAPTER)
    expect(lab.status).to_contain_text("Cell 1/")
    for _ in range(places["numbered"]):
        keyboard.press("Shift+Enter")
    keyboard.press("Enter")
    keyboard.press("Control+End")
    keyboard.press("Shift+ArrowUp")
    keyboard.press("Shift+Home")
    keyboard.type("return list(enumerate(seq))")
    keyboard.press("Shift+Enter")
    keyboard.press("Shift+Enter")
    expect(lab.output(places["numbered-by-hand"])).to_contain_text("should be [(5, 'coat'), (6, 'bag')]", timeout=30 * SECONDS)

    keyboard.press("ArrowUp")
    keyboard.press("ArrowUp")
    keyboard.press("Enter")
    keyboard.press("Control+End")
    keyboard.press("ArrowLeft")
    keyboard.press("ArrowLeft")
    keyboard.type(", start")
    keyboard.press("Shift+Enter")
    keyboard.press("Shift+Enter")
    keyboard.press("Shift+Enter")
    for check in ("numbered-by-hand", "numbered-default"):
        expect(lab.output(places[check])).to_contain_text("passed: ")

    press_until(lab, "Shift+Tab", "document.activeElement.closest('.jp-NotebookPanel-toolbar') !== null")
    press_until(lab, "ArrowRight", "document.activeElement.innerText.trim() === 'Validate'")
    keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("The following cell failed", timeout=120 * SECONDS)
    keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)

    keyboard.press("Control+Shift+[")
    lab.command("Run All Cells")
    expect(lab.output(PROGRESS)).to_contain_text("PyTorch: 1 of 10 exercises pass, 0 fail", timeout=60 * SECONDS)
    lab.command("New Terminal")
    hand_in(lab, course)


def test_it_is_set_up_for_learners(lab: Lab) -> None:
    page = lab.page
    assert "Nbgrader" not in page.get_by_role("menubar").first.inner_text()
    expect(page.locator(CREATE_ASSIGNMENT)).to_have_count(0)
    expect(lab.notebook.get_by_role("button", name="Validate")).to_be_visible()
    expect(page.get_by_title("Notebook trusted")).to_be_visible()
    expect(page.locator(".jp-toast, .Toastify__toast")).to_have_count(0)
    plan = lab.notebook.locator(".jp-RenderedMermaid").first
    plan.scroll_into_view_if_needed()
    expect(plan.locator("img, svg").first).to_be_visible()
    photograph(page, "map")
    page.get_by_role("tab", name="Table of Contents").click()
    expect(page.locator(".jp-TableOfContents")).to_contain_text("How an exercise works")
    lab.menu("Settings")
    expect(page.get_by_role("menuitemcheckbox", name="Autosave Documents")).to_be_checked()
    page.keyboard.press("Escape")
    photograph(page, "settings")


def test_a_blank_notebook_runs_to_its_end_and_can_be_read_by_everybody(lab: Lab, course: Course) -> None:
    (chapter,) = course.released(["05"])
    assert serious(lab) == []
    lab.follow("05 Linear model and gradient descent", chapter.name)
    lab.run_all()
    cells = [cell for cell in load(chapter.student).cells if cell.cell_type == "code"]
    prompts = lab.notebook.locator(".jp-CodeCell .jp-InputPrompt").all_text_contents()
    assert prompts == [f"[{number}]:" for number in range(1, len(cells) + 1)]
    errors = lab.notebook.locator(
        '.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.stderr"], .jp-RenderedText[data-mime-type*="error"]'
    )
    assert {text.split(":")[0] for text in errors.all_text_contents()} == {"NotImplementedError"}
    figure = lab.notebook.locator(".jp-RenderedImage").nth(2)
    for _ in range(3):  # the cells above get their height when they are near
        figure.evaluate("image => image.scrollIntoView({block: 'end'})")
        lab.page.wait_for_timeout(0.5 * SECONDS)
    photograph(lab.page, "figure")
    assert serious(lab) == []


def test_an_update_waits_until_the_notebook_is_closed(lab: Lab, course: Course, tmp_path: Path) -> None:
    old = tmp_path / "last year"
    shutil.copytree(course.root / "notebooks", old / "notebooks")
    (chapter,) = Course(old).released(["01"])
    notebook = load(chapter.student)
    next(cell for cell in notebook.cells if grade_id(cell) == "numbered").source = RIGHT
    chapter.student.write_text(dumps(notebook), encoding="utf-8")

    lab.follow("01 Python objects behind PyTorch", CHAPTER)
    refused = lab.make(course, "update", f"FROM={old}")
    assert refused.returncode
    assert "open in JupyterLab: 01_python_objects\n    remedy: save" in refused.stdout
    lab.menu("File", "Save Notebook")
    lab.menu("File", "Close and Shut Down Notebook")
    lab.page.get_by_role("dialog").get_by_role("button", name="Ok").click()
    expect(lab.page.get_by_role("main").get_by_role("tab", name=CHAPTER)).to_have_count(0)
    done = lab.make(course, "update", f"FROM={old}")
    assert done.returncode == 0, done.stdout
    lab.follow("01 Python objects behind PyTorch", CHAPTER)
    expect(lab.notebook).to_contain_text("return list(enumerate(seq, start))")


def serious(lab: Lab) -> list[str]:
    """Return what axe finds in our own text, figures and outputs that keeps a reader out.

    JupyterLab itself is not ours, nor that it gives the image of an output no description.
    """
    lab.page.add_style_tag(content=HIDDEN_COPY)
    front = ".jp-NotebookPanel:not(.lm-mod-hidden)"
    found = Axe().run(
        lab.page, context={"include": [f"{front} .jp-RenderedMarkdown", f"{front} .jp-OutputArea-output:not(.jp-RenderedImage)"]}
    )
    wrong = [one for one in found.response["violations"] if one["impact"] in ("serious", "critical")]
    return [
        f"{one['id']}: {lab.page.locator(node['target'][0]).inner_text()[:200]} {node['html']}" for one in wrong for node in one["nodes"]
    ]


def press_until(lab: Lab, key: str, condition: str) -> None:
    """Press a key until a condition of the page holds."""
    for _ in range(80):
        if lab.page.evaluate(condition):
            return
        lab.page.keyboard.press(key)
    raise AssertionError(f"{key} did not lead to: {condition}")
