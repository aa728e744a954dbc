"""A student's folder, a JupyterLab on it, and a browser that tells of every request and every error."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from grader.browser_tests.lab import Lab
from grader.bundle import NAME, bundle
from grader.course import Course
from grader.environment import ONE_THREAD

ROOT = Path(__file__).parents[2]
COURSE = Course(ROOT)
PICTURES = ROOT / "dist" / "screenshots"
ALONE = "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync --no-first-run".split()
HERE = ("http://127.0.0.1:", "data:", "blob:", "file:")
# JupyterLab's own, now and then, where a notebook is closed while it is still being drawn
NOT_OURS = "Cannot read properties of null (reading 'insertWidget')"
LONG_AGO = 1577836800.0
START_SECONDS = 60.0


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive that students get."""
    return bundle(COURSE, COURSE.chapters(), tmp_path_factory.mktemp("dist") / "course.zip").path


@pytest.fixture
def course(archive: Path, tmp_path: Path) -> Course:
    """A student's folder, with a name such as students give; the data lies in the repository."""
    folder = tmp_path / "Ann's 课程 (new)"
    with zipfile.ZipFile(archive) as file:
        for name in file.namelist():
            if not name.startswith(f"{NAME}/data/"):
                os.utime(file.extract(name, folder), (LONG_AGO, LONG_AGO))  # the archive's own dates: make would make the environment anew
    (folder / NAME / ".venv").symlink_to(sys.prefix)
    return Course(folder / NAME)


@contextmanager
def jupyterlab(course: Course, make: str = "", settings: Path | None = None) -> Iterator[Lab]:
    """Start JupyterLab in a course, with nobody's own settings, by `make` or on the whole folder; `settings` come on top of all others."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = course.root.parent / "jupyter"
    own.mkdir()
    token = secrets.token_hex(8)
    environment = {
        **os.environ,
        **ONE_THREAD,
        "COURSE_DATA": str(COURSE.data),
        "JUPYTER_CONFIG_DIR": str(own / "config"),
        "JUPYTER_CONFIG_PATH": str(settings or ""),
        "JUPYTER_DATA_DIR": str(own / "data"),
        "JUPYTER_RUNTIME_DIR": str(own / "runtime"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(course.root),
    }
    options = ["--no-browser", f"--port={port}", f"--IdentityProvider.token={token}", "--allow-root"]
    command = ["make", make, f"ARGS={' '.join(options)}"] if make else ["jupyter", "lab", "--ServerApp.root_dir=.", *options]
    with (
        (own / "log").open("wb") as log,
        subprocess.Popen(command, cwd=course.root, env=environment, stdout=log, stderr=log, start_new_session=True) as server,
    ):
        try:
            _wait_for(f"http://127.0.0.1:{port}/api", server, own / "log")
            yield Lab(f"http://127.0.0.1:{port}", token, environment)
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                server.wait(20)
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)


def _wait_for(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise AssertionError(f"JupyterLab did not start: {log.read_text()[-2000:]}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert executable, "no Chromium on this machine; `make setup-browser` says how to get it"
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=executable, args=ALONE)


@contextmanager
def empty_page(browser: Browser, name: str) -> Iterator[Page]:
    """Open an empty page. Fail where something left the machine, or the console had an error; `name` is for its last picture."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    left: list[str] = []
    errors: list[str] = []
    context.on("request", lambda sent: None if sent.url.startswith(HERE) else left.append(sent.url))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: None if NOT_OURS in str(error) else errors.append(str(error)))
    try:
        yield page
    finally:
        photograph(page, f"{name}-end")
        context.close()
    assert left == [], "requests that left the machine"
    assert errors == [], "errors in the browser's console"


@pytest.fixture
def lab(course: Course, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A student's JupyterLab, open on the welcome page."""
    with jupyterlab(course, make="lab") as lab, empty_page(browser, request.node.name) as page:
        lab.open(page)
        yield lab


def photograph(page: Page, name: str) -> None:
    """Keep what the page looks like, to be looked at."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png")
