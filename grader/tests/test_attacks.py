"""Hostile submissions: each earns what its answers deserve, leaves its neighbour alone, and the batch goes on."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

from grader.course import Chapter, Course
from grader.engine import sandbox
from grader.engine.confine import Limits
from grader.engine.grade import ChapterGrader, Result
from grader.engine.plan import Seconds, Task, plan_of, task_of
from grader.lesson import read
from grader.notebook import instructor_notebook
from grader.template import rebuild
from grader.tests.conftest import contents, judged_course

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux") or not shutil.which("bwrap"), reason="the sandbox needs bubblewrap")

MEAN = "def mean_of(x):\n    return x.mean(0)\n"
ROOT = "def root(n):\n    if n < 0:\n        raise ValueError(n)\n    return round(n**0.5)\n"
WRONG = "def mean_of(x):\n    return x * 0\n"
VISIBLE, HIDDEN, SECOND = {"mean-by-hand"}, {"mean-random"}, {"root-nine", "root-error"}
ALL = VISIBLE | HIDDEN | SECOND

CHANNEL = "import gc, msgpack\nfrom multiprocessing.connection import Connection\npipes = [one for one in gc.get_objects() if type(one) is Connection]\n"

# (what it does, the cell of `mean_of`, what must pass, outcome; nothing where any will do)
ON_THE_JUDGE: list[tuple[str, str, set[str], str]] = [
    ("an AST transformer that drops asserts", "import ast\nclass Drop(ast.NodeTransformer):\n    def visit_Assert(self, node): return ast.Pass()\nget_ipython().ast_transformers.append(Drop())\n" + WRONG, SECOND, "graded"),
    ("torch.testing.assert_close patched", "import torch\ntorch.testing.assert_close = assert_close = lambda *a, **k: None\n" + WRONG, SECOND, "graded"),
    ("torch.allclose and torch.equal patched", "torch.allclose = torch.equal = lambda *a, **k: True\n" + WRONG, SECOND, "graded"),
    ("builtins patched", "import builtins\nbuiltins.isinstance = lambda *a: True\nbuiltins.all = lambda *a: True\nbuiltins.print = lambda *a: 1000\n" + WRONG, SECOND, ""),
    ("an object that equals everything", "class Any_:\n    def __eq__(self, other): return True\n    def __getattr__(self, name): return self\n    def __call__(self, *a, **k): return self\n    __hash__ = None\ndef mean_of(x): return Any_()", SECOND, "graded"),
    ("a tensor that equals everything", "class Lie(torch.Tensor):\n    def __eq__(self, other): return True\n    @classmethod\n    def __torch_function__(cls, f, types, args=(), kwargs=None): return True\ndef mean_of(x): return torch.zeros(2).as_subclass(Lie)", SECOND, "graded"),
    ("a float that equals everything", "class Lie(float):\n    def __eq__(self, other): return True\n    __hash__ = float.__hash__\ndef mean_of(x): return Lie(0)", SECOND, "graded"),
    ("a list that equals everything", "class Lie(list):\n    def __eq__(self, other): return True\ndef mean_of(x): return Lie()", SECOND, "graded"),
    ("a dict that equals everything", "class Lie(dict):\n    def __eq__(self, other): return True\ndef mean_of(x): return Lie()", SECOND, "graded"),
    ("a str that equals everything", "class Lie(str):\n    def __eq__(self, other): return True\n    __hash__ = str.__hash__\ndef mean_of(x): return Lie('x')", SECOND, "graded"),
    ("__torch_function__ on no tensor", "class Lie:\n    @classmethod\n    def __torch_function__(cls, f, types, args=(), kwargs=None): return torch.tensor(True)\ndef mean_of(x): return Lie()", SECOND, "graded"),
    ("__class__ that lies", "class Lie:\n    __class__ = torch.Tensor\n    def __array__(self, *a): return [2.0, 4.0]\ndef mean_of(x): return Lie()", SECOND, "graded"),
    ("a metaclass that calls itself Tensor", "class Meta(type):\n    __name__ = 'Tensor'\n    def __instancecheck__(cls, x): return True\nclass Tensor(metaclass=Meta): pass\ndef mean_of(x): return Tensor()", SECOND, "graded"),
    ("a patched shell", "get_ipython().run_cell = lambda *a, **k: None\nget_ipython().events.register('pre_run_cell', lambda *a: None)\n" + WRONG, VISIBLE - VISIBLE, ""),
    ("a display hook and an excepthook", "import sys\nsys.displayhook = sys.excepthook = lambda *a: None\n" + WRONG, SECOND, "graded"),
    ("torch replaced in sys.modules", "import sys, types\nfake = types.ModuleType('torch')\nsys.modules['torch'] = fake\n" + WRONG, SECOND, ""),
    ("the encoder patched to send what is expected", "import grader.engine.plain as plain\nhonest = plain.encode\nplain.encode = lambda value: honest(torch.tensor([2.0, 4.0]))\n" + WRONG, VISIBLE, "graded"),
    ("the expected value looked up in the frames", "import sys\ndef mean_of(x):\n    frame = sys._getframe()\n    while frame:\n        for scope in (frame.f_locals, frame.f_globals):\n            if 'expected_secret_value' in scope: return scope['expected_secret_value']\n        frame = frame.f_back\n    return x * 0", SECOND, "graded"),
    ("the expected value looked up by gc", "import gc\ndef mean_of(x):\n    for found in gc.get_objects():\n        if type(found) is dict and 'expected_secret_value' in found: return found['expected_secret_value']\n    return x * 0", SECOND, "graded"),
    ("the check looked up in In and linecache", "import linecache\ndef mean_of(x):\n    text = str(In) + str(linecache.cache)\n    return x.mean(0) if ''.join(['expected', '_secret']) in text or ''.join(['hidden', ' message']) in text else x * 0", SECOND, "graded"),
    ("the check looked up in the code of the frames", "import sys\ndef mean_of(x):\n    frame, text = sys._getframe(), ''\n    while frame:\n        text += repr(frame.f_code.co_consts) + repr(frame.f_code.co_names)\n        frame = frame.f_back\n    return x.mean(0) if ''.join(['sec', 'ret']) in text or ''.join(['hidden', ' message']) in text else x * 0", SECOND, "graded"),
    ("the visible input recognised", "def mean_of(x):\n    return torch.tensor([2.0, 4.0]) if x[0, 0] == 1 else x * 0", VISIBLE | SECOND, "graded"),
    ("forged answers on the channel", "import gc, msgpack\nfrom multiprocessing.connection import Connection\nfor pipe in [one for one in gc.get_objects() if type(one) is Connection]:\n    for step in range(9):\n        pipe.send_bytes(msgpack.packb(['ran', step, '', '']))\n        pipe.send_bytes(msgpack.packb(['judged', '', '']))\n    pipe.send_bytes(msgpack.packb(['done']))\n" + WRONG, set(), ""),
    ("rubbish on the channel", "import os\nfor fd in range(3, 64):\n    try: os.write(fd, b'\\xff' * 4096)\n    except OSError: pass\n" + WRONG, set(), "tampered"),
    ("messages without end on the channel", "import gc, msgpack\nfrom multiprocessing.connection import Connection\nfor pipe in [one for one in gc.get_objects() if type(one) is Connection]:\n    while True: pipe.send_bytes(msgpack.packb(['answered', 0, 0, 'value', b'x' * 2**20]))\n" + WRONG, set(), "tampered"),
    ("a child process that answers too", "import os\nos.fork()\n" + WRONG, set(), ""),
    ("nan", "def mean_of(x): return x.mean(0) * float('nan')", SECOND, "graded"),
    ("infinity", "def mean_of(x): return x.mean(0) + float('inf')", SECOND, "graded"),
    ("a view of terabytes", "def mean_of(x): return torch.zeros(1).expand(2**42)", SECOND, "graded"),
    ("a sparse tensor", "def mean_of(x): return x.mean(0).to_sparse()", SECOND, "graded"),
    ("a tensor on meta", "def mean_of(x): return x.mean(0).to('meta')", SECOND, "graded"),
    ("a complex tensor", "def mean_of(x): return x.mean(0) + 0j", SECOND, "graded"),
    ("a quantised tensor", "def mean_of(x): return torch.quantize_per_tensor(x.mean(0), 0.1, 0, torch.qint8)", SECOND, "graded"),
    ("bfloat16", "def mean_of(x): return x.mean(0).bfloat16()", SECOND, "graded"),
    ("text of a gigabyte", "def mean_of(x): return 'x' * 10**9", SECOND, "graded"),
    ("lists without end", "def mean_of(x):\n    box = []\n    box.append(box)\n    return box", SECOND, "graded"),
    ("lists a thousand deep", "def mean_of(x):\n    box = []\n    for _ in range(1000): box = [box]\n    return box", SECOND, "graded"),
    ("seeds, dtype, threads and modes changed", "import random\ntorch.set_default_dtype(torch.float64)\ntorch.manual_seed(1)\nrandom.seed(1)\ntorch.set_num_threads(2)\ntorch.set_grad_enabled(False)\n" + MEAN, ALL, "graded"),
    ("deterministic algorithms, denormals and anomalies", "torch.use_deterministic_algorithms(True)\ntorch.set_flush_denormal(True)\ntorch.autograd.set_detect_anomaly(True)\ntorch.backends.mkldnn.enabled = False\n" + MEAN, ALL, "graded"),
    ("the check looked up by inspect", "import inspect\ndef mean_of(x):\n    text = ''\n    for frame in inspect.stack(context=99):\n        text += ''.join(frame.code_context or []) + repr(frame.frame.f_locals) + repr(list(frame.frame.f_globals))\n    return x.mean(0) if ''.join(['sec', 'ret']) in text or ''.join(['hidden', ' message']) in text else x * 0", SECOND, "graded"),
    ("an exception that calls itself ValueError", "class ValueError(Exception): pass\n" + MEAN, VISIBLE | HIDDEN | {"root-nine"}, "graded"),
    ("an exception with a hostile text", "class E(Exception):\n    def __str__(self):\n        import os\n        os._exit(1)\ndef mean_of(x): raise E", SECOND, ""),
]  # fmt: skip

ON_THE_MACHINE: list[tuple[str, str, set[str], str]] = [
    ("reads the solutions", "import os\nseen = os.path.exists(ROOT_FOLDER)\ndef mean_of(x): return x.mean(0) if seen else x * 0", SECOND, "graded"),
    ("reads the home folder and /etc/passwd", "import os\nseen = any(map(os.path.exists, ['/root/.bashrc', '/home', '/etc/passwd', '/etc/shadow']))\ndef mean_of(x): return x.mean(0) if seen else x * 0", SECOND, "graded"),
    ("reads the gradebook and other submissions", "import os\nseen = any(os.path.exists(os.path.join(os.path.dirname(ROOT_FOLDER), 'gradebook', one)) for one in ('', 'gradebook.db', 'submitted'))\ndef mean_of(x): return x.mean(0) if seen else x * 0", SECOND, "graded"),
    ("writes to /proc", "def planted(place):\n    try: open(place, 'w').write('0')\n    except OSError: return False\n    return True\nseen = any(map(planted, ['/proc/self/oom_score_adj', '/proc/1/oom_score_adj', '/proc/sys/kernel/pid_max', '/proc/sysrq-trigger', '/proc/new', '/sys/kernel/mm/x']))\ndef mean_of(x): return x.mean(0) if seen else x * 0", SECOND, "graded"),
    ("reads /proc", "import os\nseen = os.listdir('/proc')\ndef mean_of(x): return x.mean(0) if seen else x * 0", SECOND, "graded"),
    ("reads the environment", "import os\nseen = 'ATTACK_SECRET' in os.environ\ndef mean_of(x): return x.mean(0) if seen else x * 0", SECOND, "graded"),
    ("writes to the data", "with open(DATA / 'planted', 'w') as file: file.write('x')\n", SECOND, "graded"),
    ("writes to the environment and the engine", "import os, torch, grader.engine\nfor module in (os, torch, grader.engine):\n    try: open(module.__file__, 'a').close()\n    except OSError: continue\n    def mean_of(x): return x.mean(0)", SECOND, "graded"),
    ("writes to /, /dev and /usr", "def planted(place):\n    try: open(place, 'w').close()\n    except OSError: return False\n    return True\nseen = any(map(planted, ['/planted', '/dev/planted', '/usr/planted', '/engine/planted']))\ndef mean_of(x): return x.mean(0) if seen else x * 0", SECOND, "graded"),
    ("connects to loopback", "import socket\ntry:\n    socket.create_connection(('127.0.0.1', PORT), timeout=1)\n    seen = True\nexcept OSError: seen = False\ndef mean_of(x): return x.mean(0) if seen else x * 0", SECOND, "graded"),
    ("connects to the outside", "import socket\ntry:\n    socket.create_connection(('192.0.2.1', 80), timeout=1)\n    seen = True\nexcept OSError: seen = False\ndef mean_of(x): return x.mean(0) if seen else x * 0", SECOND, "graded"),
    ("a fork bomb", "import os\nwhile True: os.fork()\n" + MEAN, set(), ""),
    ("a bomb of threads", "import threading, time\nfor _ in range(10**4): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n", SECOND, ""),
    ("more memory than it may have", "box = bytearray(8 * 2**30)\n", SECOND, "graded"),
    ("memory little by little", "box = []\nwhile True: box.append(bytearray(2**26))\n", SECOND, "graded"),
    ("memory of many processes", "import os, time\nfor _ in range(8):\n    if os.fork() == 0:\n        x = bytes([1]) * (600 * 2**20)\n        time.sleep(60)\ntime.sleep(20)\n" + MEAN, SECOND, "memory"),
    ("a full disk", "with open('/tmp/full', 'wb') as file:\n    while True: file.write(b'x' * 2**24)\n", SECOND, ""),
    ("inodes", "import pathlib\nfor n in range(10**6): pathlib.Path(f'/tmp/{n}').touch()\n", SECOND, "graded"),
    ("open files", "files = [open('/dev/null') for _ in range(10**6)]\n", SECOND, ""),
    ("output without end", "for _ in range(10**5): print('x' * 1000)\n" + MEAN, ALL, "graded"),
    ("an endless loop that catches everything", "while True:\n    try:\n        while True: pass\n    except BaseException: pass\n" + MEAN, SECOND, ""),
    ("an endless loop that blocks every signal", "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True: pass\n" + MEAN, SECOND, "timeout"),
    ("sleep", "import time\ntime.sleep(10**6)\n" + MEAN, SECOND, "timeout"),
    ("signals to everybody", "import os, signal\nfor target in (-1, 0, os.getppid(), 1, 2, 3):\n    try: os.kill(target, signal.SIGKILL)\n    except OSError: pass\n" + WRONG, SECOND, "graded"),
    ("a detached process", "import os, time\nif not os.fork():\n    os.setsid()\n    if not os.fork():\n        time.sleep(10**6)\n    os._exit(0)\n" + MEAN, ALL, "graded"),
    ("ptrace", "import ctypes\nfailed = ctypes.CDLL(None).ptrace(0, 0, 0, 0) == -1\ndef mean_of(x): return x * 0 if failed else x.mean(0)", SECOND, "graded"),
    ("mount, unshare and chroot", "import ctypes\nlibc = ctypes.CDLL(None)\nfailed = libc.unshare(0x10000000) == -1 and libc.mount(b'none', b'/tmp', b'tmpfs', 0, None) == -1 and libc.chroot(b'/tmp') == -1 and libc.umount2(b'/proc', 2) == -1\ndef mean_of(x): return x * 0 if failed else x.mean(0)", SECOND, "graded"),
    ("os._exit in the answer", "import os\ndef mean_of(x): os._exit(0)", SECOND, "crashed"),
    ("os._exit while it is defined", "import os\nos._exit(0)", SECOND, "crashed"),
    ("a segmentation fault", "import ctypes\ndef mean_of(x): ctypes.string_at(0)", SECOND, "crashed"),
    ("deep recursion", "def mean_of(x): return mean_of(x)", SECOND, "graded"),
    ("deep recursion without a limit", "import sys\nsys.setrecursionlimit(10**9)\ndef mean_of(x): return mean_of(x)", SECOND, ""),
    ("SystemExit and KeyboardInterrupt", "def mean_of(x): raise SystemExit if x.shape[0] == 2 else KeyboardInterrupt", SECOND, "graded"),
    ("a message that the sandbox is broken", CHANNEL + "for pipe in pipes:\n    pipe.send_bytes(msgpack.packb(['broken', '\\x1b[2J']))\n    pipe.send_bytes(msgpack.packb(['broken']))\n" + MEAN, set(), "tampered"),
    ("a message that is begun and not ended", CHANNEL + "import os, time\nfor pipe in pipes:\n    os.write(pipe.fileno(), b'\\0')\ntime.sleep(10**6)", set(), "timeout"),
    ("a message of many empty lists", CHANNEL + "import struct\nfor pipe in pipes:\n    pipe.send_bytes(b'\\xdd' + struct.pack('>I', 2**22) + b'\\x90' * 2**22)\n" + MEAN, set(), "tampered"),
    ("megabytes of an exception on the channel", CHANNEL + "for pipe in pipes:\n    pipe.send_bytes(msgpack.packb(['ran', 0, 'E' * 1000, 'x' * 2**24, 1e308]))\n" + WRONG, SECOND, "graded"),
    ("stderr filled and left full", "import os\nos.set_blocking(2, False)\ntry:\n    for _ in range(100): os.write(2, b'x' * 2**16)\nexcept BlockingIOError: pass\nos.set_blocking(2, True)\n" + MEAN, ALL, "graded"),
    ("memory that belongs to no process", "import os, ctypes\nfailed = ctypes.CDLL(None).shmget(0, 2**20, 0o1666) == -1\ntry:\n    os.memfd_create('x')\nexcept OSError:\n    pass\nelse:\n    failed = False\ndef mean_of(x): return x * 0 if failed else x.mean(0)", SECOND, "graded"),
    ("memory of many processes, and a word to every pipe before", "import os, subprocess, sys, time\nfor fd in range(3, 64):\n    try:\n        if os.readlink(f'/proc/self/fd/{fd}').startswith('pipe'): os.write(fd, b'x')\n    except OSError: pass\nfor _ in range(8): subprocess.Popen([sys.executable, '-c', 'x = bytes([1]) * (600 * 2**20); import time; time.sleep(60)'])\ntime.sleep(20)\n" + MEAN, set(), ""),
    ("a range that becomes a list in the judge", "def mean_of(x): return range(10**9)", SECOND, "graded"),
    ("plants for the next one", "import os, pathlib, torch, builtins\nfor folder in ('/tmp', '/dev/shm', '/', '/data'):\n    try: pathlib.Path(folder, 'planted').write_text('x')\n    except OSError: pass\ntorch.planted = builtins.planted = os.environ['PLANTED'] = 'x'\n" + MEAN, ALL, "graded"),
]  # fmt: skip

LOOKS_FOR_PLANTS = """import os, pathlib, builtins
seen = hasattr(torch, "planted") or hasattr(builtins, "planted") or "PLANTED" in os.environ
seen = seen or any(pathlib.Path(folder, "planted").exists() for folder in ("/tmp", "/dev/shm", "/", "/data"))
assert not seen
"""


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    made = judged_course(tmp_path_factory.mktemp("attacked"))
    neighbour = made.gradebook / "submitted" / "neighbour" / "01_judged" / "01_judged.ipynb"
    neighbour.parent.mkdir(parents=True)
    for path in (neighbour, made.gradebook / "gradebook.db"):
        path.write_text("not for others\n", encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def template(course: Course) -> NotebookNode:
    return instructor_notebook(read(Chapter("01_judged", course.root).source))


@pytest.fixture(scope="module")
def grader(course: Course, template: NotebookNode) -> Iterator[ChapterGrader]:
    os.environ["ATTACK_SECRET"] = "seen"
    plan = plan_of(Chapter("01_judged", course.root), template, Seconds(check=1, cell=1))
    with ChapterGrader(plan, course.data, Limits(memory=2 * 2**30, seconds=60)) as made:
        yield made
    del os.environ["ATTACK_SECRET"]


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A server of this machine's own, which nobody inside may reach."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def task(grader: ChapterGrader, template: NotebookNode, mean: str, root: str = ROOT, first: str = "") -> Task:
    cells = [new_code_cell(first)] if first else []
    for name, source in (("mean", mean), ("root", root)):
        cells.append(new_code_cell(source, metadata={"nbgrader": {"grade_id": name}}))
    return task_of(grader.plan, "attack", rebuild(template, new_notebook(cells=cells)).notebook)


def attack(grader: ChapterGrader, template: NotebookNode, source: str, course: Course, port: int) -> Result:
    source = source.replace("ROOT_FOLDER", repr(str(course.root / "solutions"))).replace("PORT", str(port))
    root = "def root(n):\n    if n < 0: raise ValueError(n)\n    return round(n**0.5)\n"
    return grader.grade(task(grader, template, source, root))


@pytest.mark.parametrize(
    ("source", "passed", "outcome"),
    [case[1:] for case in ON_THE_JUDGE + ON_THE_MACHINE],
    ids=[case[0] for case in ON_THE_JUDGE + ON_THE_MACHINE],
)
def test_an_attack_earns_what_its_answers_deserve(
    grader: ChapterGrader, template: NotebookNode, course: Course, port: int, source: str, passed: set[str], outcome: str
) -> None:
    before = contents(course.root)
    result = attack(grader, template, source, course, port)
    if passed:
        assert result.passed == passed, {name: str(failure) for name, failure in result.failures.items()}
    else:
        assert not result.passed & (HIDDEN if WRONG in source else ALL - SECOND)
    assert outcome in ("", result.outcome), (result.outcome, result.why)
    assert all(len(failure.text) < 10_000 for failure in result.failures.values())
    assert contents(course.root) == before
    neighbour = grader.grade(task(grader, template, LOOKS_FOR_PLANTS + MEAN))
    assert neighbour.passed == ALL, {name: str(failure) for name, failure in neighbour.failures.items()}


def test_nothing_of_an_attack_goes_on_running(grader: ChapterGrader, template: NotebookNode) -> None:
    mark = "grader-attack-that-stays"
    source = f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)', '{mark}'], start_new_session=True)\n{MEAN}"
    assert grader.grade(task(grader, template, source)).passed == ALL
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        numbers = [entry for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        lines = [(entry / "cmdline").read_bytes() for entry in numbers if (entry / "cmdline").exists()]
        if not any(mark.encode() in line for line in lines):
            return
        time.sleep(0.05)
    pytest.fail("a process of the submission still runs")


def test_no_hidden_assert_and_no_expected_value_is_in_the_answer_process(grader: ChapterGrader, template: NotebookNode) -> None:
    """Everything that Python can reach, the files and the environment, looked through from inside while the hidden questions run."""
    search = """
import gc, os
BACKWARDS = ["egassem neddih", "eulav_terces_detcepxe", "neddih a ,srebmun modnar"]  # else they would be found here

def mean_of(x):
    texts = [repr(found) for found in gc.get_objects() if type(found) in (dict, list, tuple, set) and len(found) < 10**4]
    texts += [repr(dict(os.environ))]
    for folder in ("/tmp", "/data", "/engine", "/dev/shm"):
        for place, _, files in os.walk(folder):
            for name in files:
                if not name.endswith(".pyc"):
                    texts.append(open(os.path.join(place, name), errors="replace").read())
    found = [needle for needle in BACKWARDS for text in texts if needle in text[::-1]]
    return x.mean(0) if not found else x * 0
"""
    grader = ChapterGrader(grader.plan.__class__(**{**grader.plan.__dict__, "seconds": Seconds(check=30, cell=30)}), grader._warm.data)
    with grader:
        result = grader.grade(task(grader, template, search))
    assert result.passed >= VISIBLE | HIDDEN, {name: str(failure) for name, failure in result.failures.items()}


def test_an_honest_class_loses_nothing(grader: ChapterGrader, template: NotebookNode) -> None:
    honest = [
        ("warnings and prints in every loop", "import warnings, sys\ndef mean_of(x):\n    for n in range(100):\n        print(n)\n        warnings.warn('old')\n        print('x', file=sys.stderr)\n    return x.mean(0)", "", ""),
        ("an import in an added cell", "def mean_of(x):\n    return x.mean(0) * math.cos(0)", "", "import math"),
        ("a global that an answer relies on", "AXIS = 0\ndef mean_of(x):\n    return x.mean(AXIS)", "", ""),
        ("an answer in two cells", "def mean_of(x):\n    return helper(x)", "", "def helper(x):\n    return x.mean(0)"),
        ("magics", "%precision 3\n%time 1 + 1\n!true\n" + MEAN, "", ""),
        ("a parameter in place of a tensor", "def mean_of(x):\n    return torch.nn.Parameter(x.mean(0))", "", ""),
        ("numpy's integer", MEAN, "import numpy as np\ndef root(n):\n    if n < 0: raise ValueError\n    return int(np.sqrt(n))", ""),
        ("a cell that fails", MEAN, "", "1 / 0"),
        ("await at the top", "import asyncio\nawait asyncio.sleep(0)\n" + MEAN, "", ""),
    ]  # fmt: skip
    for what, mean, root, first in honest:
        result = grader.grade(task(grader, template, mean, root or ROOT, first))
        assert result.passed == ALL, (what, {name: str(failure) for name, failure in result.failures.items()})


def test_without_bubblewrap_grading_stops_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox.require.cache_clear()
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(
        sandbox.SandboxError, match=r"bubblewrap is not installed\n    remedy: apt-get install bubblewrap.*--unsafe-no-sandbox"
    ):
        sandbox.command(["-c", ""], Path())
    sandbox.require.cache_clear()


def test_where_namespaces_are_forbidden_grading_stops_with_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    refusing = tmp_path / "bwrap"
    refusing.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n", encoding="utf-8")
    refusing.chmod(0o755)
    sandbox.require.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(sandbox.SandboxError, match=r"No permissions to create new namespace\n    remedy: allow user namespaces"):
        sandbox.command(["-c", ""], Path())
    sandbox.require.cache_clear()


def test_without_a_sandbox_grading_works_and_says_so(course: Course, template: NotebookNode) -> None:
    plan = plan_of(Chapter("01_judged", course.root), template)
    with ChapterGrader(plan, course.data, sandboxed=False) as made:
        result = made.grade(task(made, template, MEAN))
    assert result.passed == ALL
    assert not result.sandboxed
