"""A check split into questions and judgement: what goes where, and what cannot be split."""

from __future__ import annotations

import pytest

from grader.engine.split import SplitError, split

ANSWER = "def f(x):\n    return x\n\n\nclass Box:\n    pass\n\n\nkey = 3\n"

# (what it is, check, questions, judgement)
CASES: list[tuple[str, str, str, str]] = [
    ("a call, and its assert", "got = f(2)\nassert got == 2, f'got {got}'", "__ask__(0, lambda: f(2))", "got = __answer__(0, 2)\nassert got == 2, f'got {got}'"),
    ("inputs are kept, expected values are not", "x = [1]\nwanted = [1]\ngot = f(x)\nassert got == wanted, 'no'",
     "x = [1]\n__ask__(0, lambda: f(x))", "x = [1]\nwanted = [1]\ngot = __answer__(0, x)\nassert got == wanted, 'no'"),
    ("a call in an assert is asked, and goes on where it raises", "assert f(1) == 1, f'{f(1)}'", "__ask__(0, lambda: f(1), quiet=True)\n__ask__(1, lambda: f(1), quiet=True)",
     "assert __answer__(0, 1) == 1, f'{__answer__(1, 1)}'"),
    ("a call in a call", "assert f(f(1)) == 1, 'no'", "__ask__(1, lambda: f(__ask__(0, lambda: f(1))), quiet=True)", "assert __answer__(1, __answer__(0, 1)) == 1, 'no'"),
    ("a function of the check that calls the answer", "y = 5\nz = 6\n\ndef both():\n    return f(y), 7\n\ngot, seven = both()\nassert got == z, 'no'",
     "y = 5\n\ndef both():\n    return (f(y), 7)\n__ask__(0, lambda: both())", "y = 5\nz = 6\ngot, seven = __answer__(0)\nassert got == z, 'no'"),
    ("a chain on a class is one question", "assert Box(1).open(2).name == 'b', 'no'", "__ask__(0, lambda: Box(1).open(2).name, quiet=True)", "assert __answer__(0, 1, 2) == 'b', 'no'"),
    ("what is done with a function's value is judgement", "assert f(1).bit_length() == 1, 'no'", "__ask__(0, lambda: f(1), quiet=True)", "assert __answer__(0, 1).bit_length() == 1, 'no'"),
    ("a value", "assert key == 3, 'no'", "__ask__(0, lambda: key, quiet=True)", "assert __answer__(0) == 3, 'no'"),
    ("the answer as an argument", "got = sorted([1], key=f)\nassert got == [1], 'no'", "__ask__(0, lambda: sorted([1], key=f))", "got = __answer__(0, [1])\nassert got == [1], 'no'"),
    ("a loop", "for n in (1, 2):\n    wanted = n * 1\n    got = f(n)\n    assert got == wanted, 'no'", "for n in (1, 2):\n    got = __ask__(0, lambda: f(n))",
     "for n in (1, 2):\n    wanted = n * 1\n    got = __answer__(0, n)\n    assert got == wanted, 'no'"),
    ("a comprehension in an assert", "assert all(f(n) == n for n in (1, 2)), 'no'", "[__ask__(0, lambda: f(n), quiet=True) for n in (1, 2)]", "assert all((__answer__(0, n) == n for n in (1, 2))), 'no'"),
    ("seeds and what draws before an input", "torch.manual_seed(1)\nlayer = nn.Linear(2, 2)\nx = torch.randn(2)\nwanted = layer(x)\ngot = f(x)\nassert_close(got, wanted)",
     "torch.manual_seed(1)\nlayer = nn.Linear(2, 2)\nx = torch.randn(2)\n__ask__(0, lambda: f(x))", "torch.manual_seed(1)\nlayer = nn.Linear(2, 2)\nx = torch.randn(2)\nwanted = layer(x)\ngot = __answer__(0, x)\nassert_close(got, wanted)"),
    ("what is written through another name", "w = torch.zeros(2)\nfirst = w[0]\nfirst.fill_(3)\ngot = f(w)\nassert got == 0, 'no'", "w = torch.zeros(2)\nfirst = w[0]\nfirst.fill_(3)\n__ask__(0, lambda: f(w))",
     "w = torch.zeros(2)\nfirst = w[0]\nfirst.fill_(3)\ngot = __answer__(0, w)\nassert got == 0, 'no'"),
]  # fmt: skip


@pytest.mark.parametrize(("check", "questions", "judgement"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_check_is_split(check: str, questions: str, judgement: str) -> None:
    made = split(check, ANSWER)
    assert made.questions.strip() == questions
    assert made.judgement.strip() == judgement


REFUSED = [
    ("asks nothing", "x = 1\nassert x == 1, 'no'", "asks the answer nothing"),
    (
        "looks at an argument",
        "x = [1]\ngot = f(x)\nassert got == [1], 'no'\nassert x == [1], 'changed'",
        "looks at nothing that the answer gave",
    ),
    (
        "looks at an argument beside the value",
        "x = [1]\ngot = f(x)\nassert (got, x) == ([1], [1]), 'no'",
        "looks at nothing that the answer gave",
    ),
    ("asks in a lambda, of its argument", "got = f(1)\nassert got == max([1], key=lambda n: f(n)), 'no'", "lambda"),
]


@pytest.mark.parametrize(("check", "words"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_a_check_that_cannot_be_split_is_refused_with_the_reason(check: str, words: str) -> None:
    with pytest.raises(SplitError, match=words):
        split(check, ANSWER)


def test_a_setup_function_that_calls_the_answer_is_asked() -> None:
    made = split("assert helper(2) == 2, 'no'", ANSWER, ["def helper(n):\n    return f(n)"])
    assert made.questions.strip() == "__ask__(0, lambda: helper(2), quiet=True)"


def test_no_expected_value_and_no_message_is_among_the_questions() -> None:
    made = split("x = 4\nwanted = 'SECRET'\ngot = f(x)\nassert got == wanted, f'SECRET {got}'\nprint('SECRET')", ANSWER)
    assert "SECRET" not in made.questions
