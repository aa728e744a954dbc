"""JupyterLab as a person uses it: tabs, cells, menus, the palette of commands."""

from __future__ import annotations

import re
import subprocess

from playwright.sync_api import Locator, Page, expect

from grader.course import Course

SECONDS = 1000  # Playwright counts milliseconds
RUN_SECONDS = 120
CREATE_ASSIGNMENT = '[data-id="nbgrader-create_assignemnt"]'  # the tab of nbgrader's panel, in its own spelling
_RUN = re.compile(r"^\[\d+\]:$")  # the prompt of a cell that has run


class Lab:
    """One JupyterLab in one page of a browser; `open` comes first."""

    def __init__(self, address: str, token: str, environment: dict[str, str]) -> None:
        self.address, self.token, self.environment = address, token, environment

    def make(self, course: Course, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run make in the course, as in a terminal of this JupyterLab; return what it printed on either stream as `stdout`."""
        command = ["make", *arguments]
        return subprocess.run(
            command, cwd=course.root, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )

    def open(self, page: Page) -> None:
        """Open what JupyterLab opens on, and wait until its kernel is there."""
        self.page = page
        page.goto(f"{self.address}/?token={self.token}")
        self.wait_for_front("welcome")

    def follow(self, link: str, name: str) -> None:
        """Follow the first link with these words, and wait until the notebook `name` is in front and its kernel is there."""
        self.page.get_by_role("link", name=link).first.click()
        self.wait_for_front(name)

    def wait_for_front(self, name: str) -> None:
        """Wait until a notebook is in front and its kernel is there; for a moment the status bar still tells of the one before."""
        tab = self.page.get_by_role("main").get_by_role("tab", name=name, selected=True)
        expect(tab).to_be_visible(timeout=RUN_SECONDS * SECONDS)
        expect(self.status).to_contain_text(f"{name}.ipynb", timeout=RUN_SECONDS * SECONDS)
        self.wait_for_kernel()

    def wait_for_kernel(self) -> None:
        """Wait until the kernel of the notebook in front does nothing."""
        expect(self.status).to_contain_text("| Idle", timeout=RUN_SECONDS * SECONDS)

    @property
    def status(self) -> Locator:
        """The status bar."""
        return self.page.locator("#jp-main-statusbar")

    @property
    def notebook(self) -> Locator:
        """The notebook in front."""
        return self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")

    def cell(self, place: int) -> Locator:
        """The cell at a place of the notebook file, counted from 0."""
        return self.notebook.locator(f'.jp-Cell[data-windowed-list-index="{place}"]')

    def output(self, place: int) -> Locator:
        """What a cell printed."""
        return self.cell(place).locator(".jp-OutputArea")

    def tab(self, name: str) -> None:
        """Bring a document to the front."""
        self.page.get_by_role("main").get_by_role("tab", name=name).click()

    def menu(self, *path: str) -> None:
        """Choose from the menus."""
        self.page.get_by_role("menubar").first.get_by_role("menuitem", name=path[0], exact=True).click()
        for name in path[1:]:
            self.page.locator(".lm-Menu").last.get_by_role("menuitem", name=name).first.click()

    def command(self, name: str) -> None:
        """Give a command by the palette, with the keyboard."""
        self.page.keyboard.press("Control+Shift+C")
        self.page.keyboard.type(name)
        expect(self.page.locator(".lm-CommandPalette-item").first).to_contain_text(name)
        self.page.keyboard.press("Enter")

    def run_all(self) -> None:
        """Run every cell and wait for the end."""
        self.menu("Run", "Run All Cells")
        self.wait_until_run(self.notebook.locator(".jp-CodeCell").last)

    def wait_until_run(self, cell: Locator) -> None:
        """Wait until a cell has its number."""
        expect(cell.locator(".jp-InputPrompt").first).to_have_text(_RUN, timeout=RUN_SECONDS * SECONDS)
        self.wait_for_kernel()

    def replace(self, place: int, source: str) -> None:
        """Write a cell anew."""
        self.cell(place).scroll_into_view_if_needed()
        self.cell(place).locator(".cm-content").click()
        self.page.keyboard.press("Control+A")
        self.page.keyboard.insert_text(source)

    def run(self, place: int) -> str:
        """Run a cell by Shift+Enter and return what it shows."""
        cell = self.cell(place)
        cell.scroll_into_view_if_needed()
        cell.locator(".cm-content").click()
        before = cell.locator(".jp-InputPrompt").first.inner_text()
        self.page.keyboard.press("Shift+Enter")
        expect(cell.locator(".jp-InputPrompt").first).not_to_have_text(before, timeout=RUN_SECONDS * SECONDS)
        self.wait_until_run(cell)
        return str(self.output(place).inner_text())
