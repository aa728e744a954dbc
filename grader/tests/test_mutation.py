"""Every operator makes its mistake, nothing outside a solution region changes, and no mutant is made twice."""

from __future__ import annotations

import ast
import textwrap

import pytest

from grader.mutation import Mutant, diff, mutants, without_return
from grader.mutation.operators import OPERATORS

COSINE = '''\
def cosine_similarity(a: torch.Tensor, B: torch.Tensor) -> torch.Tensor:
    """Return the cosine of the angle between `a` (D,) and each row of `B` (N, D), shape (N,); 0 for a row of zeros."""
    # BEGIN SOLUTION
    lengths = a.norm() * B.norm(dim=1)  # (N,)
    return torch.where(lengths > 0, B @ a / lengths.clamp(min=1e-12), torch.zeros_like(lengths))
    # END SOLUTION
'''
DENSE = '''\
class Layer(nn.Module):
    def __init__(self, n_in: int, n_out: int = 4) -> None:
        # BEGIN SOLUTION
        super().__init__(n_in)
        self.weight = nn.Parameter(torch.zeros(n_out, n_in))
        self.seen = 0
        # END SOLUTION

    def forward(self, x: torch.Tensor, train: bool = True) -> torch.Tensor:
        # BEGIN SOLUTION
        """Not a docstring by place, but only text."""
        if train and not self.frozen:
            self.seen += len(x)
        elif len(x) == 0:
            raise ValueError(f"empty batch of {len(x) + 1}")
        for name, part in enumerate(self.parts):
            x = part(x, name)
        with torch.no_grad():
            x = x + 1
        try:
            return x.sum(dim=(0, 2), keepdim=True)[:, None]
        except IndexError:
            print("no", 2)
            return None
        # END SOLUTION
'''

# (solution, operator, mutated statements): all that the operator makes of it
CASES = [
    ("y = f(1)", "change-number", ["y = f(0)", "y = f(2)"]),
    ("y = x[-1]", "change-number", ["y = x[-2]", "y = x[0]"]),
    ("y = x + 0.5", "change-number", ["y = x + 0.0", "y = x + 1.0"]),
    ("y = x + 0.0", "change-number", ["y = x + 1.0"]),
    ("y = x + -2.5", "change-number", ["y = x + 0.0", "y = x + 2.5"]),
    ("y = x + 1e-5", "change-number", ["y = x + 0.0", "y = x + 0.1"]),
    ("y = x[::-1]", "change-number", ["y = x[::1]"]),
    ("y = nn.Linear(8, n)", "change-number", ["y = nn.Linear(9, n)"]),
    ("y = x.reshape(-1, n)", "change-number", []),
    ("y = 1 - p", "change-number", []),
    ("y = torch.manual_seed(0)", "change-number", []),
    ("y: Annotated[int, 3] = x", "change-number", []),
    ("y = f'{x + 1}'", "change-number", []),
    ("y = x.sum(dim=1)", "change-dim", ["y = x.sum(dim=0)", "y = x.sum(dim=2)"]),
    ("y = x.sum(axis=0)", "change-dim", ["y = x.sum(axis=-1)", "y = x.sum(axis=1)"]),
    ("y = x.sum(-1)", "change-dim", ["y = x.sum(-2)", "y = x.sum(0)"]),
    ("y = x.unsqueeze(0)", "change-dim", ["y = x.unsqueeze(-1)", "y = x.unsqueeze(1)"]),
    ("y = x.squeeze(1)", "change-dim", ["y = x.squeeze(0)", "y = x.squeeze(2)"]),
    ("y = x.transpose(1, 2)", "change-dim", ["y = x.transpose(0, 2)", "y = x.transpose(1, 3)"]),
    ("y = x.permute(0, 2, 1)", "change-dim", []),
    ("y = f('a')", "change-string", ["y = f('')"]),
    ("y = f('')", "change-string", ["y = f('x')"]),
    ("y = f(reduction='sum')", "change-string", ["y = f(reduction='mean')"]),
    ("y = torch.einsum('ij,jk->ik', x, w)", "change-string", ["y = torch.einsum('ij,jk->ki', x, w)"]),
    ("y = float('inf')", "change-string", []),
    ("y = x.sum(0, keepdim=True)", "flip-boolean", ["y = x.sum(0, keepdim=False)"]),
    ("self.cache = None", "replace-none", ["self.cache = 0"]),
    ("y = a + b", "drop-term", ["y = a", "y = b"]),
    ("y = a * b", "drop-term", ["y = a", "y = b"]),
    ("y = a & b", "drop-term", ["y = a", "y = b"]),
    ("y = a / n", "drop-term", ["y = a"]),
    ("y = a - b", "drop-term", ["y = a"]),
    ("y = 1 - p", "drop-term", ["y = p"]),
    ("y = x + 1", "drop-term", []),
    ("y = x + 1", "replace-operator", ["y = x - 1"]),
    ("y = 1 - p", "replace-operator", ["y = 1 + p"]),
    ("y = x + 1e-5", "replace-operator", []),
    ("y = a + b", "replace-operator", []),
    ("y = x ** 2", "replace-operator", ["y = x * 2"]),
    ("y = a // b", "replace-operator", ["y = a / b"]),
    ("y = a @ b", "replace-operator", ["y = a * b"]),
    ("y = a @ b", "swap-operands", ["y = b @ a"]),
    ("y = a - b", "swap-operands", ["y = b - a"]),
    ("y = a / b", "swap-operands", ["y = b / a"]),
    ("y = a * b", "swap-operands", []),
    ("y = x @ x", "swap-operands", []),
    ("y = (a - b) ** 2", "swap-operands", []),
    ("y = (a - b).abs().sum()", "swap-operands", []),
    ("y = torch.square(a - b)", "swap-operands", []),
    ("y = (a - b).pow(3)", "swap-operands", ["y = (b - a).pow(3)"]),
    ("y = (-a) ** 2", "drop-unary", []),
    ("y = a // b", "round-up", ["y = -(-a // b)"]),
    ("y = n * (n + 1) // 2", "round-up", []),
    ("y = -x", "drop-unary", ["y = x"]),
    ("y = not x", "drop-unary", ["y = x"]),
    ("y = ~x", "drop-unary", ["y = x"]),
    ("y = a and b", "replace-boolean", ["y = a or b"]),
    ("y = a or b", "drop-condition", ["y = b", "y = a"]),
    ("y = a < b", "replace-comparison", ["y = a <= b", "y = a > b"]),
    ("y = a == b", "replace-comparison", ["y = a != b"]),
    ("y = a is None", "replace-comparison", ["y = a is not None"]),
    ("y = a in b", "replace-comparison", ["y = a not in b"]),
    ("y = torch.rand(3) < p", "replace-comparison", ["y = torch.rand(3) > p"]),
    ("y = a if c else b", "force-branch", ["y = a", "y = b"]),
    ("y = torch.where(c, a, b)", "force-where", ["y = a", "y = b"]),
    ("if c == d:\n    x = 1", "force-condition", ["if False:  # was: c == d", "if True:  # was: c == d"]),
    ("if True:\n    x = 1", "force-condition", []),
    ("while c:\n    f()", "force-condition", ["while False:  # was: c"]),
    ("y = [x for x in xs if x]", "drop-filter", ["y = [x for x in xs]"]),
    ("y = x.detach()", "drop-call", ["y = x"]),
    ("y = x.clone().contiguous()", "drop-call", ["y = x.clone()", "y = x.contiguous()"]),
    ("y = loss.item()", "drop-call", ["y = loss"]),
    ("h = h.relu()", "drop-call", []),
    ("y = torch.exp(x)", "drop-call", ["y = x"]),
    ("y = math.log(x)", "drop-call", ["y = x"]),
    ("y = x.permute(0, 2, 1)", "drop-call", ["y = x"]),
    ("y = x.to(device)", "drop-call", []),
    ("y = x.sum()", "replace-function", ["y = x.mean()"]),
    ("y = torch.argmax(x)", "replace-function", ["y = torch.argmin(x)"]),
    ("y = torch.zeros(n)", "replace-function", ["y = torch.ones(n)"]),
    ("y = torch.sin(x)", "replace-function", ["y = torch.cos(x)"]),
    ("y = math.floor(x)", "replace-function", ["y = math.ceil(x)"]),
    ("y = x.tril()", "replace-function", ["y = x.triu()"]),
    ("y = max(a, b)", "replace-function", ["y = min(a, b)"]),
    ("y = s.split(',')", "replace-function", []),
    ("y = f(a, b)", "swap-arguments", ["y = f(b, a)"]),
    ("y = f(a, a)", "swap-arguments", []),
    ("y = max(a, b)", "swap-arguments", []),
    ("y = x.reshape(-1, n)", "swap-arguments", ["y = x.reshape(n, -1)"]),
    ("y = x.permute(0, 2, 1)", "swap-arguments", ["y = x.permute(2, 0, 1)", "y = x.permute(0, 1, 2)"]),
    ("y = torch.cat([a, b], 1)", "swap-arguments", []),
    ("y = f(x, p=2)", "drop-keyword", ["y = f(x)"]),
    ("y = f(x, device=d)", "drop-keyword", []),
    ("y = torch.cat(xs, dim=0)", "drop-keyword", []),
    ("y = x.sum(1)", "drop-argument", ["y = x.sum()"]),
    ("y = torch.softmax(x, 1)", "drop-argument", ["y = torch.softmax(x)"]),
    ("super().__init__(n, size=3)", "drop-argument", ["super().__init__()"]),
    ("y = nn.Sequential(a, b)", "drop-argument", ["y = nn.Sequential(b)", "y = nn.Sequential(a)"]),
    ("y = x.mean(dim=(0, 2))", "drop-element", ["y = x.mean(dim=(2,))", "y = x.mean(dim=(0,))"]),
    ("y = torch.cat([a, b])", "drop-element", ["y = torch.cat([b])", "y = torch.cat([a])"]),
    ("y = x[:, None]", "drop-element", ["y = x[:,]"]),
    ("y = x[:, None]", "swap-elements", ["y = x[None, :]"]),
    ("y = x[i, j]", "swap-elements", ["y = x[j, i]"]),
    ("return a, b", "swap-elements", ["return (b, a)"]),
    ("y = x[:n]", "shift-bound", ["y = x[:n + 1]", "y = x[:n - 1]"]),
    ("y = range(n)", "shift-bound", ["y = range(n + 1)", "y = range(n - 1)"]),
    ("y = range(n + 1)", "shift-bound", []),
    ("y = enumerate(x)", "shift-start", ["y = enumerate(x, 1)"]),
    ("y = x.masked_fill(mask, 0)", "invert-mask", ["y = x.masked_fill(~mask, 0)"]),
    ("y = A.T @ B.mT", "drop-attribute", ["y = A @ B.mT", "y = A.T @ B"]),
    ("y = x.to(torch.float64)", "replace-attribute", ["y = x.to(torch.float32)"]),
    ("optimizer.zero_grad()", "delete-statement", ["pass  # deleted: optimizer.zero_grad()"]),
    ("self.n = n", "delete-statement", ["pass  # deleted: self.n = n"]),
    ("x[0] = n", "delete-statement", ["pass  # deleted: x[0] = n"]),
    ("x += n", "delete-statement", ["pass  # deleted: x += n"]),
    ("h = relu(h)", "delete-statement", ["pass  # deleted: h = relu(h)"]),
    ("h = relu(x)", "delete-statement", []),
    ("print(x)", "delete-statement", []),
    ("ax.plot(x)", "delete-statement", []),
    ("x = x * 2", "assign-in-place", ["x *= 2"]),
    ("n = n * 2", "assign-in-place", []),
    ("x += y", "replace-augmented", ["x = y", "x -= y"]),
    ("x -= y", "replace-augmented", ["x = y", "x += y"]),
    ("return x", "return-none", ["return None  # was: x"]),
    ("return None", "return-none", []),
    ("for i in x:\n    if i:\n        break", "replace-break", ["continue  # was: break"]),
    ("for i in x:\n    if i:\n        continue\n    f()", "replace-break", ["break  # was: continue"]),
    ("for i in x:\n    f(i)", "empty-loop", ["for i in []:  # was: x"]),
    ("for i in x:\n    f(i)", "reverse-loop", ["for i in reversed(list(x)):"]),
    ("for i in x:\n    f()", "reverse-loop", []),
    ("for i in x:\n    total += i", "reverse-loop", []),
    ("for i in x:\n    out[i] = i * 2", "reverse-loop", []),
    ("for i in x:\n    out[i] = out[i - 1]", "reverse-loop", ["for i in reversed(list(x)):"]),
    ("with torch.no_grad():\n    f()", "drop-with", ["pass  # deleted: with torch.no_grad():"]),
    ("with open(x) as y:\n    f()", "drop-with", []),
    ("match x:\n    case 1:\n        f()\n    case _:\n        g()", "drop-case", ["pass  # deleted: case 1:", "pass  # deleted: case _:"]),
    ("class A:\n    @property\n    def f(self): return 1", "drop-decorator", ["def f(self):  # deleted: @property"]),
    ("@staticmethod\n@cache\ndef f(): return 1", "drop-decorator", ["def f():  # deleted: @staticmethod", "def f():  # deleted: @cache"]),
    ("try:\n    f()\nexcept KeyError as e:\n    g()", "catch-nothing", ["except () as e:"]),
    ("raise ValueError('no', 3)", "raise-other", ["raise Exception('no', 3)"]),
    ("raise StopIteration", "raise-other", ["raise Exception"]),
    ("def g(n=3): return n", "change-number", ["def g(n=2):", "def g(n=4):"]),  # defaults of what the answer itself defines
    ("if a:\n    f()\nelif b == 1:\n    g()", "replace-comparison", ["elif b != 1:"]),
]  # fmt: skip


def cell(solution: str) -> str:
    """Return an answer cell with `solution` as its region."""
    return f"def answer(x, n: int = 1):\n    # BEGIN SOLUTION\n{textwrap.indent(solution, '    ')}\n    # END SOLUTION\n"


def made_by(operator: str, source: str) -> list[Mutant]:
    return [mutant for mutant in mutants(source) if mutant.operator == operator]


@pytest.mark.parametrize(("solution", "operator", "expected"), CASES)
def test_an_operator_makes_its_mistakes_and_no_others(solution: str, operator: str, expected: list[str]) -> None:
    assert [mutant.statement for mutant in made_by(operator, cell(solution))] == expected


def test_every_operator_has_a_case() -> None:
    names = {operator.__name__.replace("_", "-") for _, operators in OPERATORS for operator in operators}
    assert names == {operator for _, operator, expected in CASES if expected}


@pytest.mark.parametrize("source", [COSINE, DENSE, *(cell(solution) for solution, _, _ in CASES)])
def test_mutants_compile_differ_from_the_answer_and_from_each_other(source: str) -> None:
    made = mutants(source)
    sources = [mutant.source for mutant in made]
    for mutated in sources:
        compile(mutated, "<mutant>", "exec", dont_inherit=True)
    assert len(set(sources)) == len(sources)
    assert ast.unparse(ast.parse(source)) not in sources
    assert all(mutant.statement and "\n" not in mutant.statement for mutant in made)
    assert [mutant.line for mutant in made] == sorted(mutant.line for mutant in made)


def test_the_same_cell_gives_the_same_mutants() -> None:
    assert mutants(DENSE) == mutants(DENSE)


def test_only_what_stands_in_a_region_is_changed() -> None:
    lines = DENSE.splitlines()
    begins, ends = (
        [number for number, line in enumerate(lines, 1) if line.strip() == mark] for mark in ("# BEGIN SOLUTION", "# END SOLUTION")
    )
    made = mutants(DENSE)
    assert all(any(begin < mutant.line < end for begin, end in zip(begins, ends, strict=True)) for mutant in made)
    assert any(mutant.line < ends[0] for mutant in made) and any(mutant.line > begins[1] for mutant in made)
    assert all("n_in: int, n_out: int=4" in mutant.source and "train: bool=True" in mutant.source for mutant in made)


def test_a_cell_without_a_region_has_no_mutants() -> None:
    assert mutants("def f(x):\n    return x + 1\n") == []


def test_a_region_may_hold_a_whole_definition() -> None:
    source = "# BEGIN SOLUTION\ndef f(x: int = 3) -> int:\n    '''Add 1.'''\n    return x + n\n# END SOLUTION\ny = f(2)\n"
    statements = [mutant.statement for mutant in mutants(source)]
    assert "def f(x: int=2) -> int:" in statements
    assert "return n" in statements
    assert all("Add 1." in mutant.source and "f(2)" in mutant.source for mutant in mutants(source))


def test_what_people_read_is_not_mutated() -> None:
    for mutant in mutants(DENSE):
        assert "but only text." in mutant.source
        assert "f'empty batch of {len(x) + 1}'" in mutant.source
        assert "print('no', 2)" in mutant.source


def test_a_mutated_elif_is_shown_as_one() -> None:
    assert "elif len(x) != 0:" in [mutant.statement for mutant in mutants(DENSE)]


def test_the_line_is_that_of_the_original_cell() -> None:
    (deleted,) = made_by("delete-statement", cell("y = 1\n\n# why\nf(y)"))
    assert deleted.line == 6


def test_a_diff_shows_the_changed_line_and_three_lines_around_it() -> None:
    mutant = next(mutant for mutant in mutants(DENSE) if mutant.operator == "replace-augmented")
    lines = diff(DENSE, mutant.source).splitlines()
    assert lines[:2] == ["--- answer", "+++ mutant"]
    assert [line for line in lines[3:] if line[0] in "+-"] == ["-            self.seen += len(x)", "+            self.seen = len(x)"]
    assert len(lines) == 3 + 8


def test_the_cosine_of_the_example_lesson() -> None:
    made = {(mutant.line, mutant.operator, mutant.statement) for mutant in mutants(COSINE)}
    assert {
        (4, "change-dim", "lengths = a.norm() * B.norm(dim=0)"),
        (4, "drop-keyword", "lengths = a.norm() * B.norm()"),
        (4, "drop-term", "lengths = a.norm()"),
        (4, "drop-term", "lengths = B.norm(dim=1)"),
        (5, "drop-term", "return torch.where(lengths > 0, B @ a, torch.zeros_like(lengths))"),
        (5, "swap-operands", "return torch.where(lengths > 0, a @ B / lengths.clamp(min=1e-12), torch.zeros_like(lengths))"),
        (5, "replace-function", "return torch.where(lengths > 0, B @ a / lengths.clamp(min=1e-12), torch.ones_like(lengths))"),
        (5, "force-where", "return B @ a / lengths.clamp(min=1e-12)"),
    } <= made
    assert len(made) == 20


def test_the_number_of_mutants_stays_moderate() -> None:
    assert len(mutants(DENSE)) <= 4 * sum(1 for line in DENSE.splitlines() if line.strip())


def test_a_return_is_forgotten_in_one_function_at_a_time_and_only_where_the_answer_does_not_call_it() -> None:
    source = """
def helper(x):
    return x + 1

def nothing(x):
    print(x)

def answer(x):
    def inner():
        return helper(x)
    if x:
        return inner()
    return None

class Layer:
    def forward(self, x):
        return self.part(x)

    def part(self, x):
        return x
"""
    found = dict(without_return(source))
    assert list(found) == ["answer", "forward"]
    assert "return helper(x)" in found["answer"]
    assert "return inner()" not in found["answer"]
    assert "    inner()" in found["answer"]
    assert "return self.part(x)" in found["answer"]
    assert "return self.part(x)" not in found["forward"]
    assert "return x" in found["forward"]
