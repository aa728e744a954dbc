# %% [markdown] needs="07" sittings="2"
# # Optimizers
#
# Five walkers stand on the left slope of a long, curved valley, in fog.
# None of them sees the valley: each feels only how steep the ground is under its feet, and may take 300 steps.
# The first walker is gradient descent from chapter 5; its walk is drawn below, with the best length of step that we could find.
# It has not even turned the corner.
# Who of the others gets to the star, and will the same one win in a network that reads handwritten digits?
#
# After this chapter you can
#
# - build an optimizer from nothing, with groups of parameters that have learning rates of their own,
# - write SGD with momentum, Adagrad, RMSprop and Adam, each equal to PyTorch's to the last digits,
# - say how far back an average looks, and why Adam corrects the beginning,
# - race optimizers fairly, and say how far the result may be trusted,
# - predict how noisy a gradient is from the size of its batch.
#
# It takes two sittings: a resting place is marked after Exercise 6.
# "Common notes" are lecture notes found on the web whose sentences we check.

# %% [markdown]
# ## Setup
#
# All imports stand in one cell. You need not read the drawing code.
# Most numbers are `float64`.

# %% setup="imports"
import math

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.testing import assert_close

plt.rcParams["figure.constrained_layout.use"] = True

# %% [markdown]
# Each of the five optimizers is a function that takes a list of parameters and a **learning rate** (学习率) `lr`, and makes one of PyTorch's optimizers.

# %% setup="optimizers"
optimizers = {
    "SGD": lambda params, lr: torch.optim.SGD(params, lr=lr),
    "momentum": lambda params, lr: torch.optim.SGD(params, lr=lr, momentum=0.9),
    "Adagrad": lambda params, lr: torch.optim.Adagrad(params, lr=lr),
    "RMSprop": lambda params, lr: torch.optim.RMSprop(params, lr=lr),
    "Adam": lambda params, lr: torch.optim.Adam(params, lr=lr),
}
colours = dict(zip(optimizers, ["black", "tab:blue", "tab:orange", "tab:green", "tab:red"], strict=True))
first_made = optimizers["SGD"]([torch.zeros(1)], 0.1)  # the first optimizer of a program takes a second: get it over with

# %% [markdown]
# `trace` writes down where an optimizer goes.
# An optimizer reads the gradient from `.grad`, so we may put it there by hand.


# %%
def trace(make, lr: float, gradient, start: torch.Tensor, n_steps: int) -> torch.Tensor:
    """Positions (n_steps + 1, ...) of the optimizer make(params, lr), from `start`, on the ground with this gradient."""
    point = start.clone()
    walker, path = make([point], lr), [start]
    for _ in range(n_steps):
        point.grad = gradient(point)
        walker.step()
        path.append(point.clone())
    return torch.stack(path)


def valley(p: torch.Tensor) -> torch.Tensor:
    """Rosenbrock's function of points p (..., 2); shape (...). Its minimum is 0, at (1, 1)."""
    x, y = p.unbind(-1)
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def valley_gradient(p: torch.Tensor) -> torch.Tensor:
    x, y = p.unbind(-1)
    bend = 200 * (y - x**2)
    return torch.stack([-2 * (1 - x) - 2 * x * bend, bend], dim=-1)


# %%
def draw_valley(ax) -> None:
    """Level lines of Rosenbrock's function, its minimum, and labels."""
    xs, ys = torch.linspace(-2, 1.6, 181).double(), torch.linspace(-0.7, 3, 151).double()
    grid = torch.stack(torch.meshgrid(xs, ys, indexing="xy"), dim=-1)
    ax.contourf(xs, ys, (valley(grid) + 1e-3).log10(), levels=30, cmap="Greys", alpha=0.7)
    ax.plot(1, 1, "*", color="gold", mec="k", ms=15, zorder=5)
    ax.set(xlabel="x", ylabel="y", xlim=(-2, 1.6), ylim=(-0.7, 3))


left_slope = torch.tensor([-1.5, 2.0]).double()
crawl = trace(optimizers["SGD"], 10**-2.75, valley_gradient, left_slope, 300)
fig, ax = plt.subplots(figsize=(7, 3.6))
draw_valley(ax)
ax.plot(*crawl.T, ".-", color="k", ms=4, lw=0.8, label="gradient descent, 300 steps")
ax.plot(*left_slope, "o", color="tab:red", ms=8, label="start")
ax.set_title("Rosenbrock's valley (dark is high)")
ax.legend(loc="upper right")
plt.show()

# %% [markdown]
# The floor of the valley is the light, bent band; the star is its lowest point.
# The first three steps cross the valley, each further than the one before; then the walker zigzags down to the floor and creeps along it.
#
# ## Why a valley is hard
#
# Near a minimum every smooth valley looks like a stretched bowl. The plainest one is a **ravine** (峡谷), a quadratic
#
# $$L(\theta) = \tfrac12\, \theta^\top H\, \theta, \qquad \nabla L(\theta) = H\theta,$$
#
# with a symmetric matrix $H$, the Hessian of chapter 5, and the minimum 0 at the origin.
# For $H = \mathrm{diag}(1, 100)$ the **condition number** (条件数), the largest eigenvalue over the smallest, is 100.
# Chapter 5 showed that gradient descent, $\theta \leftarrow \theta - \mathrm{lr}\,\nabla L$, multiplies the error along an eigenvector by $1 - \mathrm{lr}\,\lambda$ at each step.
# The steep direction forbids rates from $2/\lambda_{\max} = 0.02$ on; the flat direction then keeps 98 % of its error, at best, from step to step.

# %%
for lr in (0.005, 0.018, 0.021):
    factors = 1 - lr * torch.tensor([1.0, 100.0])
    print(f"lr {lr}: a step multiplies the flat error by {factors[0]:.3f}, the steep one by {factors[1]:.2f}")

# %% [markdown]
# One rate has to serve two directions.
# There are two ways out: momentum, which remembers where you were going,
# and an **adaptive rate** (自适应学习率), a rate of its own for each parameter.
# Adam has both.
#
# ## An optimizer is a small object
#
# Chapter 6 used `torch.optim.SGD(net.parameters(), lr=0.1)` and two of its methods.
# `zero_grad()` removes the old gradients; `step()` moves every parameter **in place** (原地): the tensor stays the same object, which the network
# holds too, and gets new numbers.
# A **parameter group** (参数组) is a dictionary: a list of parameters, and the options that hold for them.
# With two groups, two parts of a network can learn at two rates.

# %%
body, head = nn.Linear(4, 3), nn.Linear(3, 2)
two_rates = torch.optim.SGD([{"params": body.parameters(), "lr": 0.01}, {"params": head.parameters()}], lr=0.1)
print([(len(group["params"]), group["lr"]) for group in two_rates.param_groups])

# %% [markdown]
# The body learns at its own 0.01, the head at the default 0.1.
# Groups are read anew at each step, so whoever writes into `param_groups` changes the rate of a running training,
# as the schedules of chapter 13 do.

# %% [markdown]
# ### Exercise 1: groups with their own learning rates (7 points)
#
# Write the class `GroupSGD(params, lr)`, plain gradient descent, from nothing: it inherits from no class of `torch.optim`.
#
# - `params` is either an iterable of parameters (a list, or a generator such as `net.parameters()`), or a list of dictionaries, each with the key
#   `"params"` (an iterable of parameters) and perhaps `"lr"`, and no other keys. No iterable is empty.
# - The attribute `param_groups` is a list with one **new** dictionary for each group, with the keys `"params"` (a list of the parameters themselves, in
#   their order) and `"lr"`: the group's own, or the default `lr`. Parameters without dictionaries make one group.
#   The caller's dictionaries and lists stay as they were.
# - A parameter that is listed twice, in two groups or in one, raises `ValueError` when the object is made.
# - `zero_grad()` sets `.grad` of every parameter to `None`.
# - `step()` changes each parameter in place by $-\mathrm{lr} \cdot$ gradient, with the `"lr"` that stands in its group *at that moment*.
#   A parameter whose `.grad` is `None` stays as it is. No graph is recorded.
#
# By hand: two parameters of value 1, both with gradient 2, groups with `lr` 0.5 and with the default 0.1: after one step they are 0 and 0.8.
#
# <details><summary>Hint 1</summary>An iterable can be a generator, which can be walked over only once. What do you do first?</details>
# <details><summary>Hint 2</summary><code>{"lr": lr, **entry}</code> is a new dictionary in which the entry's own rate wins;
# its <code>"params"</code> must still become a new list. <code>==</code> compares tensors element by element, so find repetitions by <code>id(p)</code>.</details>


# %% exercise="groups"
class GroupSGD:
    """Gradient descent on groups of parameters; `param_groups` is a list of {"params": list, "lr": float}.

    Raises ValueError where a parameter is listed twice.
    """

    def __init__(self, params, lr: float):
        # BEGIN SOLUTION
        entries = list(params)
        if not isinstance(entries[0], dict):
            entries = [{"params": entries}]
        self.param_groups = [{"lr": lr, **entry, "params": list(entry["params"])} for entry in entries]
        ids = [id(p) for g in self.param_groups for p in g["params"]]
        if len(set(ids)) < len(ids):
            raise ValueError("a parameter is listed twice")
        # END SOLUTION

    def zero_grad(self) -> None:
        """Forget all gradients."""
        # BEGIN SOLUTION
        for g in self.param_groups:
            for p in g["params"]:
                p.grad = None
        # END SOLUTION

    @torch.no_grad()
    def step(self) -> None:
        """Move each parameter that has a gradient, in place. (The line above switches recording off.)"""
        # BEGIN SOLUTION
        for g in self.param_groups:
            for p in g["params"]:
                if p.grad is not None:
                    p -= g["lr"] * p.grad
        # END SOLUTION


# %% check="groups-by-hand" points=2
def by_hand():
    a, b, c = (nn.Parameter(torch.tensor([1.0])) for _ in range(3))
    mine = [{"params": [a], "lr": 0.5}, {"params": [b, c]}]
    try:
        optimizer = GroupSGD(mine, lr=0.1)
    except ValueError:
        return "refused"
    groups = getattr(optimizer, "param_groups", None)
    if type(groups) is not list or [type(g) for g in groups] != [dict, dict]:
        return [type(groups).__name__, [type(g).__name__ for g in groups] if type(groups) is list else []]
    pairs = list(zip(groups, mine, strict=True))
    own = [any(g is e for g, e in pairs), any(g.get("params") is e["params"] for g, e in pairs), sorted(mine[1])]
    a.grad, b.grad = torch.tensor([2.0]), torch.tensor([2.0])
    try:
        optimizer.step()
    except TypeError as problem:
        if "NoneType" not in str(problem):
            raise
        return f"{problem}"
    moved = [a.item(), b.item(), c.item()]
    optimizer.zero_grad()
    return [g.get("lr") for g in groups], moved, a.grad is None and b.grad is None, own


def from_network():
    net = nn.Linear(2, 1)
    with torch.no_grad():
        net.weight.fill_(1.0)
        net.bias.fill_(1.0)
    optimizer = GroupSGD(net.parameters(), 0.5)
    net.weight.grad, net.bias.grad = torch.tensor([[2.0, 4.0]]), torch.tensor([6.0])
    optimizer.step()
    return [*net.weight.flatten().tolist(), net.bias.item()]


answer = by_hand()
assert answer != "refused", (
    "GroupSGD refused two groups with three different parameters, each of which holds the number 1; compare by id(p), not by =="
)
assert type(answer) is not list, (
    f"after __init__ the attribute param_groups (self.param_groups) must be a list of two dictionaries, got {answer[0]} {answer[1]}. "
    "NoneType: the attribute was not made"
)
assert type(answer) is tuple, (
    f"step() failed with three parameters, one of them without gradient (.grad is None): {answer}. Such a parameter must be left out"
)
rates, moved, cleared, own = answer
assert rates == [0.5, 0.1], f"the groups' learning rates are their own 0.5 and the default 0.1, got {rates}"
assert [round(v, 5) for v in moved] == [0.0, 0.8, 1.0], (
    f"gradients 2, 2 and None: after one step the parameters are [0.0, 0.8, 1.0], got {moved}. [0.8, 0.8, 1]: every group used the default; "
    "[1, 1, 1]: the parameters did not change (p = p - … makes a new tensor); [2, 1.2, 1]: uphill"
)
assert cleared is True, "after zero_grad() every .grad must be None"
assert own == [False, False, ["params"]], (
    f"the caller's groups must stay his own: (same dictionary, same list, keys of his second dictionary) must be "
    f"[False, False, ['params']], got {own}. First True or a key 'lr': make new dictionaries; second True: list(...) makes a new list"
)
got = from_network()
assert got == [0.0, -1.0, -2.0], (
    f"GroupSGD(net.parameters(), 0.5), numbers 1, 1 and 1, gradients 2, 4 and 6: one step to [0, -1, -2], got {got}. "
    "[1, 1, -2]: the first parameter was lost, a generator can be walked over only once; [1, 1, 1]: nothing was left in it"
)
print("passed: two groups, two learning rates, and nothing of the caller's changed")


# %% check="groups-duplicates" points=1
def outcome_of(double):
    a, b = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    groups = {
        "two groups": [{"params": [a, b]}, {"params": [a]}],
        "one group": [a, b, b],
        "equal numbers": [{"params": [a]}, {"params": [b]}],
    }
    try:
        GroupSGD(groups[double], lr=0.1)
    except NotImplementedError:
        raise
    except (ValueError, RuntimeError) as problem:
        return type(problem).__name__
    return "no error"


got = [outcome_of(double) for double in ("two groups", "one group", "equal numbers")]
assert got == ["ValueError", "ValueError", "no error"], (
    f"the same parameter in two groups, twice in one group, two parameters with equal numbers: "
    f"expected ['ValueError', 'ValueError', 'no error'], got {got}. A RuntimeError: tensors were compared with == or `in`; use id(p). "
    "'no error' first alone: each group was looked at by itself; second alone: only different groups were. Third ValueError: by numbers"
)
print("passed: a parameter stands in one place only")


# %% hidden="groups-alias" points=2
def apart():
    a, b, c = [nn.Parameter(torch.ones(1)) for _ in "abc"]
    mine = [{"params": [a]}, {"params": [b]}]
    optimizer = GroupSGD(mine, lr=0.25)
    untouched = [sorted(entry) for entry in mine]
    optimizer.param_groups[0]["lr"] = 1.0
    rates = [g["lr"] for g in optimizer.param_groups]
    mine[0]["params"].append(c)
    mine[1]["lr"] = 9.0
    for p in (a, b, c):
        p.grad = torch.tensor([0.5])
    optimizer.step()
    return untouched, rates, [a.item(), b.item(), c.item()], [len(g["params"]) for g in optimizer.param_groups]


untouched, rates, moved, sizes = apart()
assert untouched == [["params"], ["params"]], f"the caller's dictionaries must stay as they were, with the key params only, got {untouched}"
assert rates == [1.0, 0.25], f"a new rate for group 0 must leave group 1 alone: [1.0, 0.25], got {rates}"
assert moved == [0.5, 0.875, 1.0] and sizes == [1, 1], (
    f"what the caller does later to his own dictionaries and lists must not reach the optimizer: parameters [0.5, 0.875, 1.0] "
    f"and groups of sizes [1, 1], got {moved} and {sizes}"
)


# %% hidden="groups-none" points=1
def partly():
    a, b = nn.Parameter(torch.tensor([1.0, 2.0])), nn.Parameter(torch.tensor([3.0]))
    before = a.data_ptr()
    optimizer = GroupSGD((p for p in (a, b)), lr=0.5)
    (a * torch.tensor([4.0, -2.0])).sum().backward()
    optimizer.step()
    alone = len(GroupSGD([b], lr=0.5).param_groups)
    return (
        a.detach(),
        b.detach(),
        a.grad,
        a.data_ptr() == before,
        a.grad_fn is None and a.requires_grad,
        [len(optimizer.param_groups), alone],
    )


a_, b_, gradient_, same_place, leaf, n_groups = partly()
assert_close(
    [a_, b_, gradient_],
    [torch.tensor([-1.0, 3.0]), torch.tensor([3.0]), torch.tensor([4.0, -2.0])],
    msg=lambda m: (
        f"gradients (4, -2) and None, lr 0.5, from (1, 2) and 3: expected (-1, 3) and 3, the gradient unchanged, got {a_, b_, gradient_}\n{m}"
    ),
)
assert (same_place, leaf, n_groups) == (True, True, [1, 1]), (
    f"in place, still a parameter that wants gradients; a generator makes one group, and so does a single parameter: "
    f"expected (True, True, [1, 1]), got {(same_place, leaf, n_groups)}"
)


# %% hidden="groups-torch" points=1
def five_steps(start, inputs, generators):
    first, second = nn.Parameter(start[:3].clone()), nn.Parameter(start[3:].clone())
    wrap = iter if generators else list
    optimizer = GroupSGD([{"params": wrap([first]), "lr": 0.03}, {"params": wrap([second])}], lr=0.2)
    for x in inputs:
        optimizer.zero_grad()
        ((first @ x[:3] - 1) ** 2 + (second @ x[3:]) ** 4).backward()
        optimizer.step()
        optimizer.param_groups[1]["lr"] *= 0.5
    return torch.cat([first, second]).detach()


_ = torch.manual_seed(3)
start_, inputs_ = torch.randn(5).double(), torch.randn(5, 5).double() / 2
got = [five_steps(start_, inputs_, False), five_steps(start_, inputs_, True)]
w = start_.clone().requires_grad_()
speeds = torch.tensor([0.03, 0.03, 0.03, 0.2, 0.2]).double()
for x in inputs_:
    (slope_,) = torch.autograd.grad((w[:3] @ x[:3] - 1) ** 2 + (w[3:] @ x[3:]) ** 4, w)
    w = (w - speeds * slope_).detach().requires_grad_()
    speeds = speeds * torch.tensor([1, 1, 1, 0.5, 0.5]).double()
assert_close(
    got,
    [w.detach()] * 2,
    msg=lambda m: f"five steps of two groups, the second group's lr halved after each, given as lists and as generators\n{m}",
)


# %% wrong="groups-one-rate" fails="groups-by-hand groups-alias groups-torch"
class GroupSGD:
    def __init__(self, params, lr):
        entries = list(params)
        if not isinstance(entries[0], dict):
            entries = [{"params": entries}]
        self.param_groups = [{"lr": lr, **e, "params": list(e["params"])} for e in entries]
        self.lr = lr
        seen = [id(p) for e in self.param_groups for p in e["params"]]
        if len(seen) != len(set(seen)):
            raise ValueError

    def zero_grad(self):
        for e in self.param_groups:
            for p in e["params"]:
                p.grad = None

    def step(self):
        with torch.no_grad():
            for e in self.param_groups:
                for p in e["params"]:
                    if p.grad is not None:
                        p.sub_(self.lr * p.grad)


# %% [markdown] mistake="groups-one-rate"
# Moves every parameter at the default `lr`, whatever rate stands in its group.
#
# In the example worked by hand, with rates 0.5 and 0.1 and gradients of 2, both of your parameters go to 0.8. A rate written into
# `param_groups` during training changes nothing either. Which number does your `step()` read, and which one does the statement want at that
# moment?

# %% wrong="groups-alias-caller" fails="groups-by-hand groups-alias"
class GroupSGD:
    def __init__(self, params, lr):
        entries = list(params)
        if not isinstance(entries[0], dict):
            entries = [{"params": entries}]
        for e in entries:
            e.setdefault("lr", lr)
            if not isinstance(e["params"], list):
                e["params"] = list(e["params"])
        self.param_groups = entries
        seen = [id(p) for e in self.param_groups for p in e["params"]]
        if len(seen) != len(set(seen)):
            raise ValueError

    def zero_grad(self):
        for e in self.param_groups:
            for p in e["params"]:
                p.grad = None

    def step(self):
        with torch.no_grad():
            for e in self.param_groups:
                for p in e["params"]:
                    if p.grad is not None:
                        p.sub_(e["lr"] * p.grad)


# %% [markdown] mistake="groups-alias-caller"
# Uses the caller's own dictionaries as groups and writes the default `lr` into them.
#
# Make two optimizers from the same list of groups, first with `lr=0.1`, then with `lr=0.5`: your second one still learns at 0.1, because
# the first left its rate in the caller's dictionaries. Test with `is` whether a group of yours and the caller's dictionary are one object.

# %% wrong="groups-shared-defaults" fails="groups-by-hand groups-alias groups-torch"
class GroupSGD:
    def __init__(self, params, lr):
        entries = list(params)
        if not isinstance(entries[0], dict):
            entries = [{"params": entries}]
        defaults = {"lr": lr}
        self.param_groups = []
        for e in entries:
            defaults.update(e)
            self.param_groups.append(defaults)
        seen = [id(p) for e in entries for p in e["params"]]
        if len(seen) != len(set(seen)):
            raise ValueError

    def zero_grad(self):
        for e in self.param_groups:
            for p in e["params"]:
                p.grad = None

    def step(self):
        with torch.no_grad():
            for e in self.param_groups:
                for p in e["params"]:
                    if p.grad is not None:
                        p.sub_(e["lr"] * p.grad)


# %% [markdown] mistake="groups-shared-defaults"
# Puts one and the same dictionary into `param_groups` for every group.
#
# In the example worked by hand both entries show the last group's parameters, and its missing rate is taken from the group before: the
# first parameter stays at 1, the second is moved twice, to -1. Print `id(...)` of each entry of `param_groups`, and count how often your
# code makes a dictionary.

# %% wrong="groups-keeps-list" fails="groups-by-hand groups-alias"
class GroupSGD:
    def __init__(self, params, lr):
        entries = list(params)
        if not isinstance(entries[0], dict):
            entries = [{"params": entries}]
        self.param_groups = [{"lr": lr, **e} for e in entries]
        seen = [id(p) for e in self.param_groups for p in e["params"]]
        if len(seen) != len(set(seen)):
            raise ValueError

    def zero_grad(self):
        for e in self.param_groups:
            for p in e["params"]:
                p.grad = None

    def step(self):
        with torch.no_grad():
            for e in self.param_groups:
                for p in e["params"]:
                    if p.grad is not None:
                        p.sub_(e["lr"] * p.grad)


# %% [markdown] mistake="groups-keeps-list"
# Keeps the caller's own "params" list or generator instead of a new list.
#
# If the caller appends a parameter to a list after the optimizer is made, your `step()` moves that one too. And if a group's "params" is a
# generator, your check for repetitions uses it up, so nothing moves at all. Ask of each of the three levels, outer list, dictionary, inner
# list, whose object it is.

# %% wrong="groups-needs-gradient" fails="groups-by-hand groups-none"
class GroupSGD:
    def __init__(self, params, lr):
        entries = list(params)
        if not isinstance(entries[0], dict):
            entries = [{"params": entries}]
        self.param_groups = [{"lr": e.get("lr", lr), "params": list(e["params"])} for e in entries]
        seen = [id(p) for e in self.param_groups for p in e["params"]]
        if len(seen) != len(set(seen)):
            raise ValueError

    def zero_grad(self):
        for e in self.param_groups:
            for p in e["params"]:
                p.grad = None

    def step(self):
        with torch.no_grad():
            for e in self.param_groups:
                for p in e["params"]:
                    p.sub_(e["lr"] * p.grad)


# %% [markdown] mistake="groups-needs-gradient"
# Fails in `step()` on a parameter whose `.grad` is `None`.
#
# A parameter that took no part in the loss has no gradient, and a number times `None` raises `TypeError`; the parameters after it then get
# no step either. The statement says what becomes of such a parameter. Try two parameters and a loss that uses only one of them.

# %% wrong="groups-no-duplicates" fails="groups-duplicates"
class GroupSGD:
    def __init__(self, params, lr):
        entries = list(params)
        if not isinstance(entries[0], dict):
            entries = [{"params": entries}]
        self.param_groups = [{"lr": e.get("lr", lr), "params": list(e["params"])} for e in entries]

    def zero_grad(self):
        for e in self.param_groups:
            for p in e["params"]:
                p.grad = None

    def step(self):
        with torch.no_grad():
            for e in self.param_groups:
                for p in e["params"]:
                    if p.grad is not None:
                        p.sub_(e["lr"] * p.grad)


# %% [markdown] mistake="groups-no-duplicates"
# Accepts a parameter that is listed twice, without a `ValueError`.
#
# Put one parameter of value 1 with gradient 2 into two groups, with rates 0.5 and 0.1: your `step()` moves it twice, to -0.2. The statement
# wants an error instead, and says at which moment. Try it with the twin in another group, and within one group.

# %% wrong="groups-rebinds" fails="groups-by-hand groups-alias groups-none groups-torch"
class GroupSGD:
    def __init__(self, params, lr):
        entries = list(params)
        if not isinstance(entries[0], dict):
            entries = [{"params": entries}]
        self.param_groups = [{"lr": e.get("lr", lr), "params": list(e["params"])} for e in entries]
        seen = [id(p) for e in self.param_groups for p in e["params"]]
        if len(seen) != len(set(seen)):
            raise ValueError

    def zero_grad(self):
        for e in self.param_groups:
            for p in e["params"]:
                p.grad = None

    def step(self):
        for e in self.param_groups:
            for p in e["params"]:
                if p.grad is not None:
                    p = p - e["lr"] * p.grad


# %% [markdown] mistake="groups-rebinds"
# `step()` leaves the parameters themselves unchanged.
#
# From 1, with gradient 2 and rate 0.5, the parameter should be 0, and it is still 1 after the step. Is the line that should move a
# parameter reached? If so, compare `id(...)` before and after it: a result that is a new tensor the network never sees. What does "in
# place" mean?

# %% right="groups-flat"
class GroupSGD:
    def __init__(self, params, lr):
        self.param_groups, seen = [], set()
        for entry in list(params):
            if not isinstance(entry, dict):
                if not self.param_groups:
                    self.param_groups.append({"params": [], "lr": lr})
                self.param_groups[0]["params"].append(entry)
            else:
                self.param_groups.append({"params": [*entry["params"]], "lr": entry.get("lr", lr)})
        for p in self._all():
            if p in seen:
                raise ValueError("twice")
            seen.add(p)

    def _all(self):
        return [p for e in self.param_groups for p in e["params"]]

    def zero_grad(self):
        for p in self._all():
            p.grad = None

    def step(self):
        for e in self.param_groups:
            for p in e["params"]:
                if p.grad is not None:
                    p.data.add_(p.grad, alpha=-e["lr"])


# %% [markdown] survives="groups"
# - `if not isinstance(entries[-1], dict):`: either all entries are dictionaries or none is
# - `for g in reversed(list(self.param_groups)):`: the order in which parameters move does not matter
# - `for p in reversed(list(g['params'])):`: as above

# %% [markdown] explanation="groups"
# Three copies make the object independent of its caller: the outer list, each dictionary, each list of parameters. The parameters themselves
# must *not* be copied: the network and the optimizer share them.
# PyTorch is less careful: it writes the defaults into the caller's dictionaries, so a list of groups used for two optimizers carries the first
# one's rate into the second. It raises ValueError for a parameter in two groups, and only warns for one that is listed twice in a group.
# A twin would be moved twice in one step, at two rates.
# `p in seen` is fine for a set (tensors are hashed by identity), not for a list, which compares with `==`.

# %% [markdown]
# ### What all optimizers share
#
# From here on we let `torch.optim.Optimizer` keep the groups.
# It also keeps `state`, with one dictionary for each parameter: there an optimizer remembers things between steps.
# The next class adds the two loops of `step`; an optimizer of ours then says only how *one* parameter moves.


# %% setup="by-hand"
class HandOptimizer(torch.optim.Optimizer):
    """A subclass writes update(p, g, state, group): change `p` in place by its gradient `g`; `state` belongs to `p` alone."""

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.update(p, p.grad, self.state[p], group)


class PlainSGD(HandOptimizer):
    def __init__(self, params, lr: float):
        super().__init__(params, {"lr": lr})  # the second argument: the defaults of a group

    def update(self, p: torch.Tensor, g: torch.Tensor, state: dict, group: dict) -> None:
        p.sub_(g, alpha=group["lr"])  # p ← p - lr · g


# %% [markdown]
# Two helpers apply gradients that we choose: `walk` to a single number, `drive` to several parameters.


# %% setup="helpers"
def walk(make, start: float, slopes: list[float], lrs: list[float] | None = None) -> list[float]:
    """Where one number is after each step; `slopes` are its gradients, `lrs` (if given) the learning rate of each step."""
    p = nn.Parameter(torch.tensor(start, dtype=torch.float64))
    optimizer, places = make([p]), []
    for k, slope in enumerate(slopes):
        if lrs is not None:
            optimizer.param_groups[0]["lr"] = lrs[k]
        p.grad = torch.tensor(slope, dtype=torch.float64)
        optimizer.step()
        places.append(p.item())
    return places


def drive(make, starts: list[torch.Tensor], gradients: list[list]) -> list[torch.Tensor]:
    """Parameters after one step for each row of `gradients`; row[i] is the gradient of parameter i, or None."""
    params = [nn.Parameter(s.clone()) for s in starts]
    optimizer = make(params)
    for row in gradients:
        for p, g in zip(params, row, strict=True):
            p.grad = None if g is None else g.clone()
        optimizer.step()
    return [p.detach() for p in params]


def test_ground(seed: int, n_steps: int = 10) -> tuple[list, list]:
    """Four parameters of different shapes, and their gradients in each step: of very different sizes, the last often None."""
    _ = torch.manual_seed(seed)
    starts = [torch.randn(shape, dtype=torch.float64) for shape in [(3,), (2, 4), (), (5,)]]
    rows = [[torch.randn_like(s) * 10.0 ** (1 - i) for i, s in enumerate(starts)] for _ in range(n_steps)]
    for k in (0, 1, 2, 5):
        rows[k][3] = None
    return starts, rows


# %%
print([round(place, 3) for place in walk(lambda params: PlainSGD(params, lr=0.1), 1.0, [1.0, 2.0])])

# %% [markdown]
# From 1, gradients 1 and 2 at rate 0.1 lead to 0.9 and 0.7.
#
# ## Momentum: remember where you were going
#
# In the ravine, at a rate that is not tiny, the steep component of the gradient changes its sign from step to step; the flat one does not.
# In a *sum* of gradients the first cancels and the second grows.
# The **velocity** (速度) $v$ is such a sum, in which older gradients fade by a factor $\mu$, the **momentum** (动量), usually 0.9:
#
# $$v \leftarrow \mu\, v + (1 - \tau)\, g, \qquad \theta \leftarrow \theta - \mathrm{lr}\; v .$$
#
# Three details of this form, PyTorch's, are easily lost.
# In the **first** step $v = g$: the gradient itself.
# $\tau$, the **dampening** (阻尼), is 0 by default, and not applied in the first step.
# The learning rate stands outside $v$.
#
# Under a constant gradient the sum grows to $g\,(1 + \mu + \mu^2 + \dots) = g/(1-\mu)$: with 0.9, ten times the gradient.
#
# **Nesterov momentum** (涅斯捷罗夫动量) wants the gradient where the momentum is about to carry us: it looks ahead.
# With our $v$, a sum of *uphill* gradients, the look-ahead point is $\theta - \mathrm{lr}\,\mu\,v$.
# (Common notes write $\theta + \mathrm{lr}\,\mu\,v$: that would look back.)
# In PyTorch's rewritten form the parameter that we see *is* the look-ahead point, so the gradient is taken where we stand:
#
# $$v \leftarrow \mu\, v + g, \qquad \theta \leftarrow \theta - \mathrm{lr}\,(g + \mu\, v) \quad\text{with the new } v.$$
#
# Chapter 13 takes the two forms apart.
# We draw 40 steps of each, every step a dot: plain descent at the rate 0.045, the other two at 0.015.
# Look at the shapes; the race comes later.

# %%
H_draw = torch.diag(torch.tensor([1.0, 40.0])).double()
kinds = {"plain": {}, "momentum 0.8": {"momentum": 0.8}, "Nesterov 0.8": {"momentum": 0.8, "nesterov": True}}
across = torch.tensor([-10.0, 1.5]).double()
fig, axes = plt.subplots(1, 3, figsize=(12, 3), sharey=True)
gx, gy = torch.meshgrid(torch.linspace(-11, 4, 100), torch.linspace(-2.4, 2.4, 100), indexing="xy")
for ax, (name, options) in zip(axes, kinds.items(), strict=True):
    make = lambda params, lr, options=options: torch.optim.SGD(params, lr=lr, **options)
    path = trace(make, 0.015 if options else 0.045, lambda p: H_draw @ p, across, 40)
    ax.contour(gx, gy, gx**2 / 2 + 20 * gy**2, levels=[0.5, 3, 10, 25, 50, 80], colors="0.8", linewidths=0.8)
    ax.plot(*path.T, ".-", color="tab:blue", lw=0.8, ms=5)
    ax.plot(0, 0, "*", color="gold", mec="k", ms=14)
    ax.set(xlabel="flat direction", title=name, xlim=(-11, 4), ylim=(-2.4, 2.4))
axes[0].set_ylabel("steep direction")
plt.show()

# %% [markdown]
# On the left every step crosses the ravine.
# With momentum the walker swings like a ball in a gutter, picks up speed along the floor, and gets to the star.
# Nesterov's version is calmer across the ravine, but not safer in general: at the rate 0.045 it would fly out, while the other two stay in.

# %% [markdown]
# ### Exercise 2: SGD with momentum (9 points)
#
# Complete `SGDM`, a subclass of `HandOptimizer`, so that it does what `torch.optim.SGD` does with these options.
#
# - Made with `nesterov=True` it raises `ValueError` unless `momentum` is above 0 and `dampening` is 0. (Only the arguments are examined, not what single
#   groups say.)
# - `update` moves `p` in place by the formulas above. The velocity of `p` is kept in `state`, and contains no learning rate.
#   First step of a parameter with momentum: $v = g$, with or without dampening. A step in which `p` has no gradient is no step of `p`: `update` is
#   not called.
# - With Nesterov the direction is $g + \mu v$ with the new $v$, in the first step too.
# - A group with momentum 0 takes plain steps, whatever its dampening; they neither make nor change a velocity.
# - All options are read from `group`, at each call. The gradient `g` stays as it is, and may be overwritten by others after the step.
#
# By hand, $\mu = 0.75$, lr 0.1, from 1, gradients 1 then 2: $v = 1$ leads to 0.9; $v = 0.75 \cdot 1 + 2 = 2.75$ leads to 0.625.
# With dampening 0.5 the second $v$ is $0.75 + 0.5 \cdot 2 = 1.75$: 0.9, then 0.725.
# With Nesterov the first direction is $1 + 0.75 \cdot 1 = 1.75$: 0.825; the second is $2 + 0.75 \cdot 2.75 = 4.0625$: 0.41875.
# With momentum 0 and dampening 0.5: 0.9, then 0.7.
# Do not call `torch.optim.SGD`.
#
# <details><summary>Hint 1</summary>How can you see from <code>state</code> that this is the first step of <code>p</code>?</details>
# <details><summary>Hint 2</summary>Work out the direction first, for the three cases; the last line is the same for all.
# A tensor kept in <code>state</code> should not be the tensor <code>g</code> itself.</details>


# %% exercise="sgdm"
class SGDM(HandOptimizer):
    """SGD with momentum, dampening and Nesterov's variant, as torch.optim.SGD."""

    def __init__(self, params, lr: float, momentum: float = 0.0, dampening: float = 0.0, nesterov: bool = False):
        # BEGIN SOLUTION
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov needs momentum, and no dampening")
        # END SOLUTION
        super().__init__(params, {"lr": lr, "momentum": momentum, "dampening": dampening, "nesterov": nesterov})

    def update(self, p: torch.Tensor, g: torch.Tensor, state: dict, group: dict) -> None:
        """Change `p` in place; the velocity stays in `state`."""
        # BEGIN SOLUTION
        mu, direction = group["momentum"], g
        if mu != 0:
            if state:
                state["v"] = mu * state["v"] + (1 - group["dampening"]) * g
            else:
                state["v"] = g.clone()
            direction = g + mu * state["v"] if group["nesterov"] else state["v"]
        p -= group["lr"] * direction
        # END SOLUTION


# %% check="sgdm-by-hand" points=2
def by_hand(**options):
    return walk(lambda params: SGDM(params, lr=0.1, **options), 1.0, [1.0, 2.0])


got = [
    by_hand(momentum=0.75),
    by_hand(momentum=0.75, dampening=0.5),
    by_hand(momentum=0.75, nesterov=True),
    by_hand(dampening=0.5),
]
assert_close(
    got[0],
    [0.9, 0.625],
    msg=lambda m: (
        f"momentum 0.75: expected [0.9, 0.625], got {got[0]}. [1, 1]: p did not change in place; [0.9, 0.7]: no memory; "
        f"0.775 in second place: v was averaged, not summed\n{m}"
    ),
)
assert_close(
    got[1],
    [0.9, 0.725],
    msg=lambda m: f"with dampening 0.5: expected [0.9, 0.725], got {got[1]}. First 0.95: the first step is not dampened\n{m}",
)
assert_close(
    got[2],
    [0.825, 0.41875],
    msg=lambda m: (
        f"with Nesterov: expected [0.825, 0.41875], got {got[2]}. [0.9, …]: the first step is g + mu v too; "
        f"0.55 or 0.61875 in second place: the new v, and g, belong in the direction; 0.34375: v was worked out inside the tensor g\n{m}"
    ),
)
assert_close(
    got[3],
    [0.9, 0.7],
    msg=lambda m: (
        f"momentum 0 with dampening 0.5: plain steps, expected [0.9, 0.7], got {got[3]}. "
        f"0.8 in second place: the gradient was dampened, though there is no momentum\n{m}"
    ),
)
print("passed: momentum, dampening, Nesterov and plain steps by hand")


# %% check="sgdm-new-rate" points=1
def slower():
    return walk(lambda params: SGDM(params, lr=9.0, momentum=0.75), 1.0, [1.0, 2.0], lrs=[0.1, 0.01])


def overwritten():
    p = nn.Parameter(torch.tensor([1.0, 1.0]))
    optimizer, left = SGDM([p], lr=0.5, momentum=0.5), []
    p.grad = torch.zeros(2)
    for slope in (2.0, 4.0):
        p.grad.fill_(slope)  # the same tensor in both steps
        optimizer.step()
        left.append(p.grad[0].item())
    return p.tolist(), left


def two_at_once():
    starts = [torch.zeros(1).double(), torch.zeros(1).double()]
    rows = [[torch.tensor([one]).double(), torch.tensor([two]).double()] for one, two in ((1.0, 4.0), (2.0, -2.0))]
    ended = drive(lambda ps: SGDM([{"params": ps[:1], "momentum": 0.5}, {"params": ps[1:]}], lr=0.1, momentum=0.75), starts, rows)
    return [p.item() for p in ended]


got = slower()
assert_close(
    got,
    [0.9, 0.8725],
    msg=lambda m: (
        f"lr 0.1, then 0.01, written into the group: the second step is 0.01 · 2.75, to 0.8725, got {got}. "
        f"0.805: the learning rate is inside the velocity, which still carries the old one; -8: the rate was read in __init__\n{m}"
    ),
)
got = overwritten()
assert_close(
    got,
    ([-2.5, -2.5], [2.0, 4.0]),
    msg=lambda m: (
        f"gradients 2, then 4 written into the same tensor, lr 0.5, momentum 0.5: 1 → 0 → -2.5, and the gradients stay 2 and 4; got {got}. "
        f"-3: the velocity is the gradient tensor itself, so the 4 overwrote it; other gradients: the velocity was worked out inside g\n{m}"
    ),
)
got = two_at_once()
assert_close(
    got,
    [-0.35, -0.5],
    msg=lambda m: (
        f"two parameters at 0, gradients 1 and 4, then 2 and -2, lr 0.1; the first has momentum 0.5, the other the default 0.75: "
        f"expected [-0.35, -0.5], got {got}. First -0.375: momentum was read from self, not from group; first -0.5375: "
        f"both share one velocity, it belongs in state\n{m}"
    ),
)
print("passed: the velocity contains no learning rate, and each parameter has its own")


# %% check="sgdm-errors" points=1
def outcome_of(**options):
    try:
        SGDM([nn.Parameter(torch.zeros(1))], lr=0.1, **options)
    except ValueError:
        return "ValueError"
    return "no error"


got = [
    outcome_of(nesterov=True),
    outcome_of(nesterov=True, momentum=0.9, dampening=0.1),
    outcome_of(nesterov=True, momentum=0.9),
    outcome_of(momentum=0.9, dampening=0.1),
    outcome_of(),
]
assert got == ["ValueError", "ValueError", "no error", "no error", "no error"], (
    f"Nesterov without momentum, Nesterov with dampening, Nesterov with momentum 0.9, dampening without Nesterov, nothing: "
    f"expected two ValueErrors and then none, got {got}. 'no error' first: __init__ must refuse, and each of the two faults is "
    "enough (or, not and). A later ValueError: only Nesterov wants momentum and no dampening"
)
print("passed: Nesterov wants momentum and no dampening")

# %% hidden="sgdm-torch" points=3
settings = [{"momentum": 0.9, "dampening": 0.3}, {"momentum": 0.0, "dampening": 0.5}, {"momentum": 0.5, "nesterov": True, "lr": 0.2}]


def ours(settings, starts, rows):
    return drive(
        lambda ps: SGDM(
            [{"params": ps[:2], **settings[0]}, {"params": ps[2:3], **settings[1]}, {"params": ps[3:], **settings[2]}], lr=0.05
        ),
        starts,
        rows,
    )


starts, rows = test_ground(seed=5)
got = ours(settings, starts, rows)
wanted = drive(
    lambda ps: torch.optim.SGD(
        [{"params": ps[:2], **settings[0]}, {"params": ps[2:3], **settings[1]}, {"params": ps[3:], **settings[2]}], lr=0.05
    ),
    starts,
    rows,
)
for place, what in enumerate(
    ["momentum 0.9, dampening 0.3", "the same group, another shape", "momentum 0 with dampening", "Nesterov, often no gradient"]
):
    assert_close(
        got[place],
        wanted[place],
        msg=lambda m, what=what: f"ten steps in three groups differ from torch.optim.SGD in parameter '{what}'\n{m}",
    )


# %% hidden="sgdm-gradient" points=2
def reused(**options):
    p = nn.Parameter(torch.tensor([3.0, -1.0]).double())
    place = p.data_ptr()
    optimizer = SGDM([p], lr=0.25, **options)
    p.grad = torch.zeros(2).double()
    seen = []
    for k, slope in enumerate((4.0, -2.0, 6.0)):
        optimizer.param_groups[0]["momentum"] = 0.5 if k else options["momentum"]
        p.grad.fill_(slope)  # as after zero_grad(set_to_none=False)
        optimizer.step()
        seen.append(p.grad.tolist())
    return p.tolist(), seen, p.data_ptr() == place


cases = {"momentum": {"momentum": 0.5}, "Nesterov": {"momentum": 0.5, "nesterov": True}, "momentum 0 in the first step": {"momentum": 0.0}}
results = [reused(**options) for options in cases.values()]
# velocities 4, 0, 6; directions with Nesterov 6, -2, 9; first step plain: directions 4, -2, 5
for case, (moved, seen, same), way in zip(cases, results, (10.0, 13.0, 7.0), strict=True):
    assert_close(
        moved,
        [3 - way / 4, -1 - way / 4],
        msg=lambda m, case=case, moved=moved: f"{case}: gradients 4, -2, 6 in one tensor, lr 0.25, momentum 0.5, got {moved}\n{m}",
    )
    assert seen == [[4.0] * 2, [-2.0] * 2, [6.0] * 2], f"{case}: step must leave the gradients alone, got {seen}"
    assert same is True, "the parameter must be changed in place: its storage moved"


# %% wrong="sgdm-lr-inside" fails="sgdm-new-rate"
class SGDM(HandOptimizer):
    def __init__(self, params, lr, momentum=0.0, dampening=0.0, nesterov=False):
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError
        super().__init__(params, {"lr": lr, "momentum": momentum, "dampening": dampening, "nesterov": nesterov})

    def update(self, p, g, state, group):
        mu, lr = group["momentum"], group["lr"]
        if mu == 0:
            p.sub_(lr * g)
            return
        if "v" not in state:
            state["v"] = lr * g
        else:
            state["v"] = mu * state["v"] + lr * (1 - group["dampening"]) * g
        p.sub_(lr * g + mu * state["v"] if group["nesterov"] else state["v"])


# %% [markdown] mistake="sgdm-lr-inside"
# Multiplies the gradient by `lr` before it goes into the velocity.
#
# As long as the rate stays the same, nobody notices. With momentum 0.5, gradients 1 and 1, and the rate lowered from 0.1 to 0.01 after the
# first step, your second step is 0.06 long and not 0.015, since the old rate lives on in the velocity. Where does the rate stand in the two
# formulas?

# %% wrong="sgdm-dampened-start" fails="sgdm-by-hand sgdm-torch"
class SGDM(HandOptimizer):
    def __init__(self, params, lr, momentum=0.0, dampening=0.0, nesterov=False):
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError
        super().__init__(params, {"lr": lr, "momentum": momentum, "dampening": dampening, "nesterov": nesterov})

    def update(self, p, g, state, group):
        mu = group["momentum"]
        if mu == 0:
            p.sub_(group["lr"] * g)
            return
        state["v"] = mu * state.get("v", torch.zeros_like(p)) + (1 - group["dampening"]) * g
        p.sub_(group["lr"] * (g + mu * state["v"] if group["nesterov"] else state["v"]))


# %% [markdown] mistake="sgdm-dampened-start"
# Applies the dampening in the first step of a parameter too.
#
# With momentum 0.75, dampening 0.5 and a first gradient of 1 your velocity starts at 0.5, so the first step goes from 1 to 0.95 and not to
# 0.9. Read what the statement says about the velocity in the first step, and ask how your code can tell which step is the first.

# %% wrong="sgdm-nesterov-is-momentum" fails="sgdm-by-hand sgdm-torch"
class SGDM(HandOptimizer):
    def __init__(self, params, lr, momentum=0.0, dampening=0.0, nesterov=False):
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError
        super().__init__(params, {"lr": lr, "momentum": momentum, "dampening": dampening, "nesterov": nesterov})

    def update(self, p, g, state, group):
        mu = group["momentum"]
        if mu == 0:
            p.sub_(group["lr"] * g)
            return
        if "v" in state:
            state["v"] = mu * state["v"] + (1 - group["dampening"]) * g
        else:
            state["v"] = g.clone()
        p.sub_(group["lr"] * (mu * state["v"] if group["nesterov"] else state["v"]))


# %% [markdown] mistake="sgdm-nesterov-is-momentum"
# Leaves the gradient itself out of the Nesterov direction; only the faded velocity is used.
#
# In the worked example with Nesterov (momentum 0.75, first gradient 1) your first direction is 0.75, so you go from 1 to 0.925; the
# statement goes to 0.825. Its direction has two terms. Print yours in the first step and compare it with the 1.75 worked out by hand.

# %% wrong="sgdm-shared-velocity" fails="sgdm-torch"
class SGDM(HandOptimizer):
    def __init__(self, params, lr, momentum=0.0, dampening=0.0, nesterov=False):
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError
        super().__init__(params, {"lr": lr, "momentum": momentum, "dampening": dampening, "nesterov": nesterov})
        self.v = None

    def update(self, p, g, state, group):
        mu = group["momentum"]
        if mu == 0:
            p.sub_(group["lr"] * g)
            return
        self.v = g.clone() if self.v is None else mu * self.v + (1 - group["dampening"]) * g
        p.sub_(group["lr"] * (g + mu * self.v if group["nesterov"] else self.v))


# %% [markdown] mistake="sgdm-shared-velocity"
# Keeps one velocity for the whole optimizer instead of one for each parameter.
#
# Take two parameters, momentum 0.5, gradients 1 and 10: in its very first step the second one already moves by 10.5 times the rate, because
# the first one's gradient is in its velocity. With two shapes it gets worse. Which argument of `update` belongs to one parameter alone?

# %% wrong="sgdm-keeps-gradient" fails="sgdm-new-rate sgdm-gradient"
class SGDM(HandOptimizer):
    def __init__(self, params, lr, momentum=0.0, dampening=0.0, nesterov=False):
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError
        super().__init__(params, {"lr": lr, "momentum": momentum, "dampening": dampening, "nesterov": nesterov})

    def update(self, p, g, state, group):
        mu = group["momentum"]
        if mu == 0:
            p.sub_(group["lr"] * g)
            return
        state["v"] = g if "v" not in state else mu * state["v"] + (1 - group["dampening"]) * g
        p.sub_(group["lr"] * (g + mu * state["v"] if group["nesterov"] else state["v"]))


# %% [markdown] mistake="sgdm-keeps-gradient"
# Stores the gradient tensor itself as the first velocity, not a copy of its numbers.
#
# The next backward pass may write into the same tensor, and then your memory changes too: with momentum 0.5, gradient 1 and then 2 written
# into the same tensor, your second velocity is 3 and not 2.5. After the first step, test with `is` whether the velocity and `p.grad` are
# one object.

# %% wrong="sgdm-both-faults" fails="sgdm-errors"
class SGDM(HandOptimizer):
    def __init__(self, params, lr, momentum=0.0, dampening=0.0, nesterov=False):
        if nesterov and momentum <= 0 and dampening != 0:
            raise ValueError
        super().__init__(params, {"lr": lr, "momentum": momentum, "dampening": dampening, "nesterov": nesterov})

    def update(self, p, g, state, group):
        mu = group["momentum"]
        if mu == 0:
            p.sub_(group["lr"] * g)
            return
        state["v"] = mu * state["v"] + (1 - group["dampening"]) * g if "v" in state else g.clone()
        p.sub_(group["lr"] * (g + mu * state["v"] if group["nesterov"] else state["v"]))


# %% [markdown] mistake="sgdm-both-faults"
# Does not refuse Nesterov when one of momentum and dampening is wrong.
#
# With `nesterov=True` and no momentum you raise nothing, and nothing for momentum 0.9 with dampening 0.1 either. Read the sentence with
# "unless" again. Write down the four cases, momentum right or wrong and dampening right or wrong, and what each must do.

# %% wrong="sgdm-never-plain" fails="sgdm-by-hand sgdm-torch sgdm-gradient"
class SGDM(HandOptimizer):
    def __init__(self, params, lr, momentum=0.0, dampening=0.0, nesterov=False):
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError
        super().__init__(params, {"lr": lr, "momentum": momentum, "dampening": dampening, "nesterov": nesterov})

    def update(self, p, g, state, group):
        mu = group["momentum"]
        state["v"] = mu * state["v"] + (1 - group["dampening"]) * g if "v" in state else g.clone()
        p.sub_(group["lr"] * (g + mu * state["v"] if group["nesterov"] else state["v"]))


# %% [markdown] mistake="sgdm-never-plain"
# Dampens the gradient and keeps a velocity in groups with momentum 0 too.
#
# With momentum 0 and dampening 0.5, gradients 1 then 2 from 1 at rate 0.1, your second direction is 1 and you end at 0.8; a plain step ends
# at 0.7. The statement has a sentence of its own about such groups: about the direction, and about what they leave in `state`.

# %% wrong="sgdm-average" fails="sgdm-by-hand sgdm-new-rate sgdm-torch"
class SGDM(HandOptimizer):
    def __init__(self, params, lr, momentum=0.0, dampening=0.0, nesterov=False):
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError
        super().__init__(params, {"lr": lr, "momentum": momentum, "dampening": dampening, "nesterov": nesterov})

    def update(self, p, g, state, group):
        mu = group["momentum"]
        state["v"] = mu * state["v"] + (1 - mu) * g if "v" in state else g.clone()
        p.sub_(group["lr"] * (g + mu * state["v"] if group["nesterov"] else state["v"]))


# %% [markdown] mistake="sgdm-average"
# Averages the gradients with weight 1 - momentum, and ignores `dampening`.
#
# With momentum 0.75 and gradients 1 then 2 your second velocity is 1.25 where the statement has 2.75. Under a constant gradient of 1 and
# momentum 0.9 a velocity should grow towards 10; yours stays at 1. Which letter stands in the factor of the new gradient in the formula?

# %% right="sgdm-in-place"
class SGDM(HandOptimizer):
    def __init__(self, params, lr, momentum=0.0, dampening=0.0, nesterov=False):
        if nesterov:
            if momentum <= 0 or dampening != 0:
                raise ValueError("Nesterov")
        super().__init__(params, {"lr": lr, "momentum": momentum, "dampening": dampening, "nesterov": nesterov})

    def update(self, p, g, state, group):
        if group["momentum"] == 0:
            p.data = p.data.add_(g, alpha=-group["lr"])
            return
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.clone(g)
        else:
            state["momentum_buffer"].mul_(group["momentum"]).add_(g, alpha=1 - group["dampening"])
        v = state["momentum_buffer"]
        if group["nesterov"]:
            v = g.add(v, alpha=group["momentum"])
        p.add_(v, alpha=-group["lr"])


# %% [markdown] explanation="sgdm"
# As long as the learning rate never changes, a velocity with the rate inside gives the same path: that is why the mistake survives in many programs.
# When a schedule lowers the rate, their velocity goes on with the old one for some 1/(1-mu) steps.
# Books differ here (Sutskever et al. have the rate inside); a rate tuned for one form fits the other only at a constant rate.
# The first step is special: a velocity that starts at zero and is dampened would begin with (1-tau) g.
# `g.clone()`: the gradient tensor belongs to backward, which writes into it again when gradients are zeroed and not removed.

# %% [markdown]
# ## A rate for each parameter
#
# Which parameter wants a large rate, and which a small one?
# **Adagrad** (自适应梯度算法) lets the gradients say so: each parameter adds up the squares of its own gradients, and divides by the root.
#
# $$s \leftarrow s + g^2, \qquad \theta \leftarrow \theta - \mathrm{lr}\; \frac{g}{\sqrt{s} + \varepsilon} .$$
#
# All operations are element by element.
# $\varepsilon$ (epsilon), $10^{-10}$ here, guards against a division by zero; it stands outside the root.
# (Common notes also spell the two names "Adagraad" and "RMSProop".)
#
# Since $s$ only grows, the steps only shrink.
# **RMSprop** replaces the sum by the exponential average of chapter 5, with a factor $\alpha$, usually 0.99, which forgets:
#
# $$s \leftarrow \alpha\, s + (1 - \alpha)\, g^2, \qquad \theta \leftarrow \theta - \mathrm{lr}\; \frac{g}{\sqrt{s} + \varepsilon}, \qquad \varepsilon = 10^{-8}.$$
#
# RMS stands for **r**oot **m**ean **s**quare (均方根).
# In the next figure three parameters have gradients of size 1, 10, and 1 but only at every tenth step (like a rare word in a text).
# We draw the factor by which each gradient is multiplied.

# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 3.2), sharey=True)
for ax, name, key in zip(axes, ["Adagrad", "RMSprop"], ["sum", "square_avg"], strict=True):
    p = torch.zeros(3)
    walker, factors = optimizers[name]([p], 0.1), []
    for k in range(300):
        p.grad = torch.tensor([1.0, 10.0, float(k % 10 == 0)])
        walker.step()
        factors.append(0.1 / walker.state[p][key].sqrt())
    for values, label, colour in zip(torch.stack(factors).T, ["size 1", "size 10", "1, each tenth step"], ["C0", "C3", "C2"], strict=True):
        ax.semilogy(range(1, 301), values, color=colour, label=label)
    ax.set(xlabel="step", title=name)
axes[0].set_ylabel("factor, lr / √s")
axes[0].legend(loc="upper right", title="gradient")
plt.show()

# %% [markdown]
# In both panels the parameter with the large gradients (red) gets a tenth of blue's factor, and the rare one (green) soon more than blue.
# Adagrad's factors fall for ever, like $1/\sqrt{k}$ at step $k$.
# RMSprop's come to rest, after an odd beginning: blue and red start ten times too *large*, green three times. We come back to that.

# %% [markdown]
# ### Exercise 3: Adagrad (7 points)
#
# Complete `Adagrad`, a subclass of `HandOptimizer`. It has one option more, `lr_decay` $= d$: in step $k$ of a parameter, counted **from 1**,
# the rate is $\mathrm{lr}/(1 + (k-1)\,d)$, so the first step has the full rate.
# $s$ starts at 0. Steps in which `p` has no gradient do not count.
# Read all options from `group`, and change `p` in place.
#
# By hand, lr 1, from 2, gradients 3 then 4: $s = 9$, a step of $3/3 = 1$; $s = 25$, a step of $4/5 = 0.8$: 1, then 0.2.
# With $d = 3$ the second step is a quarter of that, 0.2: 1, then 0.8. A third gradient 12 makes $s = 169$ and the rate $1/7$.
# A gradient that has always been 0 gives a step of $0/(0 + \varepsilon) = 0$.
# (PyTorch has one more option, `initial_accumulator_value`, the first $s$; its default is 0.)
# Do not call `torch.optim.Adagrad`.
#
# <details><summary>Hint 1</summary>Which two things must <code>state</code> remember?</details>
# <details><summary>Hint 2</summary><code>state.get("s", 0)</code> is 0 in the first step and the old sum afterwards.</details>


# %% exercise="adagrad"
class Adagrad(HandOptimizer):
    """Adagrad as torch.optim.Adagrad."""

    def __init__(self, params, lr: float = 0.01, lr_decay: float = 0.0, eps: float = 1e-10):
        super().__init__(params, {"lr": lr, "lr_decay": lr_decay, "eps": eps})

    def update(self, p: torch.Tensor, g: torch.Tensor, state: dict, group: dict) -> None:
        """Change `p` in place; sum of squares and number of steps stay in `state`."""
        # BEGIN SOLUTION
        state["s"] = state.get("s", 0) + g**2
        rate = group["lr"] / (1 + state.get("k", 0) * group["lr_decay"])
        state["k"] = state.get("k", 0) + 1
        p -= rate * g / (state["s"].sqrt() + group["eps"])
        # END SOLUTION


# %% check="adagrad-by-hand" points=2
def by_hand(**options):
    return walk(lambda params: Adagrad(params, lr=1.0, **options), 2.0, [3.0, 4.0, 12.0])


got = [by_hand(), by_hand(lr_decay=3.0)]
assert_close(
    got[0],
    [1.0, 0.2, 0.2 - 12 / 13],
    msg=lambda m: (
        f"gradients 3, 4 and 12 from 2: expected [1, 0.2, -0.723], got {got[0]}. [2, 2, 2]: p did not change in place; "
        f"[1, 0, -1]: s was reset in each step; [1.67, …]: no root; [1, 0.43, …]: the gradients were added, not their squares\n{m}"
    ),
)
assert_close(
    got[1],
    [1.0, 0.8, 0.8 - 12 / 13 / 7],
    msg=lambda m: (
        f"with lr_decay 3: expected [1, 0.8, 0.668], got {got[1]}. [1.75, …]: k - 1 is 0 in the first step; "
        f"0.742 in third place: a power of 1 + d, but d is multiplied by k - 1; 0.767: the lowered rate was written into group\n{m}"
    ),
)
print("passed: the sum of squares and the decay")


# %% check="adagrad-zero" points=1
def resting():
    return walk(lambda params: Adagrad(params, lr=1.0), 5.0, [0.0, 0.0, -7.0])


def two_elements():
    starts, row = [torch.zeros(2).double()] * 2, [torch.tensor([3.0, -4.0]).double(), torch.tensor([6.0, 8.0]).double()]
    ended = drive(lambda ps: Adagrad(ps, lr=1.0, lr_decay=3.0, eps=0.5), starts, [row])
    return [*ended[0].tolist(), *ended[1].tolist()]


got = resting()
assert_close(got, [5.0, 5.0, 6.0], msg=lambda m: f"gradients 0, 0, -7 at lr 1: expected [5, 5, 6], got {got}. nan: eps is missing\n{m}")
got = two_elements()
assert_close(
    got[:2],
    [-3 / 3.5, 4 / 4.5],
    msg=lambda m: (
        f"a parameter with two elements at 0, gradients 3 and -4, lr 1, eps 0.5: 3 / 3.5 and 4 / 4.5, so [-0.857, 0.889], got {got[:2]}. "
        f"[-0.545, 0.727]: one sum for both, but each element has its own; [-1, 1]: eps was not read from group; "
        f"[-0.973, 0.985]: eps is inside the root\n{m}"
    ),
)
assert_close(
    got[2:],
    [-6 / 6.5, -8 / 8.5],
    msg=lambda m: (
        f"a second parameter in the same step, gradients 6 and 8: its first step, so [-0.923, -0.941] with lr_decay 3 too, got {got[2:]}. "
        f"First -0.832: the parameters share the sum; first -0.231: they share the number of steps; both belong in state\n{m}"
    ),
)
print("passed: no gradient, no step; every element and every parameter by itself")


# %% hidden="adagrad-torch" points=3
def ours(starts, rows):
    return drive(
        lambda ps: Adagrad([{"params": ps[:1], "lr_decay": 0.2}, {"params": ps[1:2], "lr": 0.7}, {"params": ps[2:]}], lr=0.1), starts, rows
    )


starts, rows = test_ground(seed=6)
got = ours(starts, rows)
wanted = drive(
    lambda ps: torch.optim.Adagrad([{"params": ps[:1], "lr_decay": 0.2}, {"params": ps[1:2], "lr": 0.7}, {"params": ps[2:]}], lr=0.1),
    starts,
    rows,
)
for place, what in enumerate(["with lr_decay 0.2", "with its own lr", "a single number", "often no gradient"]):
    assert_close(
        got[place], wanted[place], msg=lambda m, what=what: f"ten steps in three groups differ from PyTorch's in the parameter {what}\n{m}"
    )


# %% hidden="adagrad-options" points=1
def tiny():
    large_eps = walk(lambda params: Adagrad(params, lr=1.0, eps=1.0), 0.0, [3.0, 4.0])
    new_rate = walk(lambda params: Adagrad(params), 0.0, [2.0, -2.0], lrs=[1.0, 0.5])
    default = walk(lambda params: Adagrad(params), 0.0, [1e-9, 1e9])
    return large_eps, new_rate, default


got = tiny()
assert_close(got[0], [-0.75, -0.75 - 4 / 6], msg=lambda m: f"with eps 1, gradients 3 and 4 divide by 3 + 1 and 5 + 1, got {got[0]}\n{m}")
assert_close(got[1], [-1.0, 0.125**0.5 - 1], msg=lambda m: f"the rate is read from the group in each step (1, then 0.5), got {got[1]}\n{m}")
assert_close(
    got[2],
    [-0.01 / 1.1, -0.01 / 1.1 - 0.01],
    msg=lambda m: f"defaults: lr 0.01 and eps 1e-10 outside the root; a gradient of 1e-9 is divided by 1.1e-9, got {got[2]}\n{m}",
)


# %% wrong="adagrad-reset" fails="adagrad-by-hand adagrad-torch adagrad-options"
class Adagrad(HandOptimizer):
    def __init__(self, params, lr=0.01, lr_decay=0.0, eps=1e-10):
        super().__init__(params, {"lr": lr, "lr_decay": lr_decay, "eps": eps})

    def update(self, p, g, state, group):
        state["k"] = state.get("k", 0) + 1
        total = torch.zeros_like(p) + g * g
        p.sub_(group["lr"] / (1 + (state["k"] - 1) * group["lr_decay"]) * g / (total.sqrt() + group["eps"]))


# %% [markdown] mistake="adagrad-reset"
# Starts the sum of squares anew in each step.
#
# With gradients 3 and 4 at `lr` 1 each gradient is divided by its own size, so you go 2, 1, 0: every step has the length of the rate, and
# only the sign of the gradient counts. What must survive from one call of `update` to the next, and where can it be kept?

# %% wrong="adagrad-late-decay" fails="adagrad-by-hand adagrad-torch"
class Adagrad(HandOptimizer):
    def __init__(self, params, lr=0.01, lr_decay=0.0, eps=1e-10):
        super().__init__(params, {"lr": lr, "lr_decay": lr_decay, "eps": eps})

    def update(self, p, g, state, group):
        state["k"] = state.get("k", 0) + 1
        state["s"] = state.get("s", torch.zeros_like(p)) + g * g
        p.sub_(group["lr"] / (1 + state["k"] * group["lr_decay"]) * g / (state["s"].sqrt() + group["eps"]))


# %% [markdown] mistake="adagrad-late-decay"
# Lowers the rate by `lr_decay` already in the first step, one step too early.
#
# With `lr` 1 and `lr_decay` 3 the first gradient 3 takes you from 2 only to 1.75, a quarter of a full step. The statement says which rate
# the first step has. Work out your divisor for the steps 1, 2 and 3 on paper, and compare it with the example.

# %% wrong="adagrad-eps-inside" fails="adagrad-zero adagrad-options"
class Adagrad(HandOptimizer):
    def __init__(self, params, lr=0.01, lr_decay=0.0, eps=1e-10):
        super().__init__(params, {"lr": lr, "lr_decay": lr_decay, "eps": eps})

    def update(self, p, g, state, group):
        state["k"] = state.get("k", 0) + 1
        state["s"] = state.get("s", torch.zeros_like(p)) + g * g
        p.sub_(group["lr"] / (1 + (state["k"] - 1) * group["lr_decay"]) * g / (state["s"] + group["eps"]).sqrt())


# %% [markdown] mistake="adagrad-eps-inside"
# Adds `eps` to the sum of squares, inside the root.
#
# Take a large `eps` to see it: with `eps=5` and a gradient of 2 you divide by 3, the root of 9, where the formula divides by 7. With the
# default the smallest divisor becomes 0.00001, so tiny gradients take steps that are far too short. Where does the root sign end in the
# formula?

# %% wrong="adagrad-no-root" fails="adagrad-by-hand adagrad-zero adagrad-torch adagrad-options"
class Adagrad(HandOptimizer):
    def __init__(self, params, lr=0.01, lr_decay=0.0, eps=1e-10):
        super().__init__(params, {"lr": lr, "lr_decay": lr_decay, "eps": eps})

    def update(self, p, g, state, group):
        state["k"] = state.get("k", 0) + 1
        state["s"] = state.get("s", torch.zeros_like(p)) + g * g
        p.sub_(group["lr"] / (1 + (state["k"] - 1) * group["lr_decay"]) * g / (state["s"] + group["eps"]))


# %% [markdown] mistake="adagrad-no-root"
# Divides by the sum of squares itself, without taking its root.
#
# The first gradient 3 should give a step of 3/3 = 1; yours is 3/9, so you go from 2 to 1.667. A check: in the first step, a gradient ten
# times as large should move the parameter equally far, but yours moves a tenth of that. Compare your divisor with the formula.

# %% wrong="adagrad-one-sum" fails="adagrad-zero adagrad-torch"
class Adagrad(HandOptimizer):
    def __init__(self, params, lr=0.01, lr_decay=0.0, eps=1e-10):
        super().__init__(params, {"lr": lr, "lr_decay": lr_decay, "eps": eps})

    def update(self, p, g, state, group):
        state["k"] = state.get("k", 0) + 1
        state["s"] = state.get("s", 0) + (g * g).sum()
        p.sub_(group["lr"] / (1 + (state["k"] - 1) * group["lr_decay"]) * g / (state["s"].sqrt() + group["eps"]))


# %% [markdown] mistake="adagrad-one-sum"
# Adds the squares of all elements of a parameter into one number.
#
# A parameter with two elements and gradients 6 and 8 has both divided by 10, so at `lr` 1 the elements move by 0.6 and 0.8; each by itself
# would move by 1. The operations are element by element. Print the shape of what you keep in `state` next to the shape of `p`.

# %% wrong="adagrad-power-decay" fails="adagrad-by-hand adagrad-torch"
class Adagrad(HandOptimizer):
    def __init__(self, params, lr=0.01, lr_decay=0.0, eps=1e-10):
        super().__init__(params, {"lr": lr, "lr_decay": lr_decay, "eps": eps})

    def update(self, p, g, state, group):
        state["k"] = state.get("k", 0) + 1
        state["s"] = state.get("s", torch.zeros_like(p)) + g * g
        p.sub_(group["lr"] / (1 + group["lr_decay"]) ** (state["k"] - 1) * g / (state["s"].sqrt() + group["eps"]))


# %% [markdown] mistake="adagrad-power-decay"
# Divides the rate by powers of 1 + `lr_decay`, so it falls geometrically.
#
# With `lr_decay` 3 and `lr` 1 your rates are 1, 1/4, 1/16, while the example in the statement has 1/7 in the third step; the first two
# agree by chance. Write the divisors of steps 1, 2, 3 in a row: do they grow by a fixed amount or by a fixed factor?

# %% wrong="adagrad-fixed-eps" fails="adagrad-zero adagrad-options"
class Adagrad(HandOptimizer):
    def __init__(self, params, lr=0.01, lr_decay=0.0, eps=1e-10):
        super().__init__(params, {"lr": lr, "lr_decay": lr_decay, "eps": eps})

    def update(self, p, g, state, group):
        state["k"] = state.get("k", 0) + 1
        state["s"] = state.get("s", torch.zeros_like(p)) + g * g
        p.sub_(group["lr"] / (1 + (state["k"] - 1) * group["lr_decay"]) * g / (state["s"].sqrt() + 1e-10))


# %% [markdown] mistake="adagrad-fixed-eps"
# Uses a fixed 1e-10 in the divisor and ignores the option `eps`.
#
# With `eps=1`, `lr` 1 and a first gradient of 1 the step should be 1/2, but yours is 1, as if the option had not been given. The default
# looks the same in both, so only another value shows it. Which options does your `update` read from `group`?

# %% right="adagrad-in-place"
class Adagrad(HandOptimizer):
    def __init__(self, params, lr=0.01, lr_decay=0.0, eps=1e-10):
        super().__init__(params, {"lr": lr, "lr_decay": lr_decay, "eps": eps})

    def update(self, p, g, state, group):
        if not state:
            state["sum"], state["steps"] = torch.zeros_like(p), 0
        state["steps"] += 1
        state["sum"].addcmul_(g, g)
        rate = group["lr"] / (1 + (state["steps"] - 1) * group["lr_decay"])
        p.addcdiv_(g, state["sum"].sqrt().add_(group["eps"]), value=-rate)


# %% [markdown] explanation="adagrad"
# With s reset in each step only the sign of the gradient is left: every step has the length lr, and the walker never comes to rest.
# One sum for a whole tensor gives every parameter of the layer the same factor: that is no adaptive rate for each parameter.
# eps inside the root seems harmless; but the root of 1e-10 is 1e-5, so gradients below 1e-5 would take tiny steps instead of full ones.

# %% [markdown]
# ### Exercise 4: RMSprop (7 points)
#
# Complete `RMSprop`, a subclass of `HandOptimizer`, by the formula above: $s$ starts at 0, there is no bias correction,
# and $\varepsilon$ is added **after** the root.
# Every element of every parameter has an $s$ of its own. Read all options from `group`, and change `p` in place.
# (PyTorch's other options, `momentum` and `centered`, are not asked for.)
#
# By hand, lr 1, $\alpha = 0.75$, $\varepsilon = 0.5$, from 5, gradients 2 then 1:
# $s = 0.25 \cdot 4 = 1$, a step of $2/(1 + 0.5)$; $s = 0.75 \cdot 1 + 0.25 \cdot 1 = 1$, a step of $1/1.5$. Together 2: we go over 3.667 to 3.
# Do not call `torch.optim.RMSprop`.
#
# <details><summary>Hint 1</summary>Which of the two, the old average or the new square, gets the large factor?</details>
# <details><summary>Hint 2</summary>It differs from Adagrad in one line.</details>


# %% exercise="rmsprop"
class RMSprop(HandOptimizer):
    """RMSprop as torch.optim.RMSprop, without momentum and not centered."""

    def __init__(self, params, lr: float = 0.01, alpha: float = 0.99, eps: float = 1e-8):
        super().__init__(params, {"lr": lr, "alpha": alpha, "eps": eps})

    def update(self, p: torch.Tensor, g: torch.Tensor, state: dict, group: dict) -> None:
        """Change `p` in place; the average of the squares stays in `state`."""
        # BEGIN SOLUTION
        state["s"] = group["alpha"] * state.get("s", 0) + (1 - group["alpha"]) * g**2
        p -= group["lr"] * g / (state["s"].sqrt() + group["eps"])
        # END SOLUTION


# %% check="rmsprop-by-hand" points=2
def by_hand():
    return walk(lambda params: RMSprop(params, lr=1.0, alpha=0.75, eps=0.5), 5.0, [2.0, 1.0])


got = by_hand()
assert_close(
    got,
    [11 / 3, 3.0],
    msg=lambda m: (
        f"expected [3.667, 3], got {got}. [5, 5]: p did not change in place; [3.367, …]: eps inside the root; "
        f"[4.104, …]: alpha and 1 - alpha swapped; [4.2, 3.703]: a bias correction, which RMSprop has not; [4.2, 3.8]: the new square has "
        f"no factor 1 - alpha; [4.2, 3.766]: s began at g², not at 0; [3, 2]: eps was not read from group; [3.343, …]: g for g²\n{m}"
    ),
)
print("passed: the example worked by hand")


# %% check="rmsprop-elements" points=1
def side_by_side():
    rows = [[torch.tensor([2.0, 4.0]).double(), torch.tensor([-8.0, 8.0]).double()]] * 2
    ended = drive(lambda ps: RMSprop(ps, lr=1.0, alpha=0.75, eps=0.5), [torch.zeros(2).double()] * 2, rows)
    return [*ended[0].tolist(), *ended[1].tolist()]


got = side_by_side()
far = 8 / 4.5 + 8 / (28**0.5 + 0.5)
assert_close(
    got,
    [-2 / 1.5 - 2 / (1.75**0.5 + 0.5), -4 / 2.5 - 4 / (7**0.5 + 0.5), far, -far],
    msg=lambda m: (
        f"two parameters of two elements, gradients (2, 4) and (-8, 8) twice: expected [-2.43, -2.87, 3.16, -3.16], got {got}. "
        f"First -1.73: one average for both elements; first -1.81: the two parameters share one memory, use state; -2.22: no root\n{m}"
    ),
)
print("passed: every element has its own average")


# %% hidden="rmsprop-torch" points=3
def ours(starts, rows):
    return drive(
        lambda ps: RMSprop([{"params": ps[:1], "alpha": 0.5}, {"params": ps[1:2], "lr": 0.3, "eps": 0.1}, {"params": ps[2:]}]), starts, rows
    )


starts, rows = test_ground(seed=7)
got = ours(starts, rows)
wanted = drive(
    lambda ps: torch.optim.RMSprop([{"params": ps[:1], "alpha": 0.5}, {"params": ps[1:2], "lr": 0.3, "eps": 0.1}, {"params": ps[2:]}]),
    starts,
    rows,
)
for place, what in enumerate(["with alpha 0.5", "with its own lr and eps", "a single number, defaults", "often no gradient, defaults"]):
    assert_close(
        got[place], wanted[place], msg=lambda m, what=what: f"ten steps in three groups differ from PyTorch's in the parameter {what}\n{m}"
    )


# %% hidden="rmsprop-tiny" points=1
def tiny():
    return walk(lambda params: RMSprop(params), 0.0, [1e-7, 0.0], lrs=[1.0, 0.5])


got = tiny()
first = -1e-7 / (1e-8 + 1e-8)
assert_close(
    got,
    [first, first],
    msg=lambda m: (
        f"a gradient of 1e-7 with the defaults: √s is 1e-8, plus eps 1e-8, so the step is 5 at lr 1; then 0, got {got}. "
        f"-0.001: eps inside the root\n{m}"
    ),
)


# %% wrong="rmsprop-eps-inside" fails="rmsprop-by-hand rmsprop-torch rmsprop-tiny"
class RMSprop(HandOptimizer):
    def __init__(self, params, lr=0.01, alpha=0.99, eps=1e-8):
        super().__init__(params, {"lr": lr, "alpha": alpha, "eps": eps})

    def update(self, p, g, state, group):
        state["s"] = group["alpha"] * state.get("s", torch.zeros_like(p)) + (1 - group["alpha"]) * g * g
        p.sub_(group["lr"] * g / (state["s"] + group["eps"]).sqrt())


# %% [markdown] mistake="rmsprop-eps-inside"
# Adds `eps` to the average of squares before the root, not after it.
#
# In the example worked by hand the first average is 1 and `eps` is 0.5: you divide by 1.225, the root of 1.5, and reach 3.367; the
# statement divides by 1.5 and reaches 3.667. One word about this is printed in bold in the statement.

# %% wrong="rmsprop-swapped" fails="rmsprop-by-hand rmsprop-torch rmsprop-tiny"
class RMSprop(HandOptimizer):
    def __init__(self, params, lr=0.01, alpha=0.99, eps=1e-8):
        super().__init__(params, {"lr": lr, "alpha": alpha, "eps": eps})

    def update(self, p, g, state, group):
        state["s"] = (1 - group["alpha"]) * state.get("s", torch.zeros_like(p)) + group["alpha"] * g * g
        p.sub_(group["lr"] * g / (state["s"].sqrt() + group["eps"]))


# %% [markdown] mistake="rmsprop-swapped"
# Exchanges the two weights, so that the old average gets the small one.
#
# With `alpha` 0.75 and a first gradient of 2 your average is 3 and not 1, so the first step goes from 5 to 4.104. With the default 0.99 the
# newest square alone would have 99 % of the weight. Should an average with 0.99 remember a long time, or forget at once?

# %% wrong="rmsprop-corrected" fails="rmsprop-by-hand rmsprop-torch rmsprop-tiny"
class RMSprop(HandOptimizer):
    def __init__(self, params, lr=0.01, alpha=0.99, eps=1e-8):
        super().__init__(params, {"lr": lr, "alpha": alpha, "eps": eps})

    def update(self, p, g, state, group):
        state["k"] = state.get("k", 0) + 1
        state["s"] = group["alpha"] * state.get("s", torch.zeros_like(p)) + (1 - group["alpha"]) * g * g
        corrected = state["s"] / (1 - group["alpha"] ** state["k"])
        p.sub_(group["lr"] * g / (corrected.sqrt() + group["eps"]))


# %% [markdown] mistake="rmsprop-corrected"
# Corrects the average for its start at 0, which is not asked for here.
#
# In the example worked by hand your corrected first average is 4, where the statement has 1, so you step from 5 to 4.2 and not to 3.667.
# Long first steps belong to this optimizer as the chapter defines it. The statement has half a sentence on this; which of the chapter's
# optimizers does correct?

# %% wrong="rmsprop-sum" fails="rmsprop-by-hand rmsprop-torch rmsprop-tiny"
class RMSprop(HandOptimizer):
    def __init__(self, params, lr=0.01, alpha=0.99, eps=1e-8):
        super().__init__(params, {"lr": lr, "alpha": alpha, "eps": eps})

    def update(self, p, g, state, group):
        state["s"] = group["alpha"] * state.get("s", torch.zeros_like(p)) + g * g
        p.sub_(group["lr"] * g / (state["s"].sqrt() + group["eps"]))


# %% [markdown] mistake="rmsprop-sum"
# Gives each new square its full weight, so a fading sum is kept and no average.
#
# With `alpha` 0.75 and a gradient of 2 in every step all squares are 4, so their average cannot be above 4, but your number climbs towards
# 16. In the worked example your first step leads to 4.2. What must the two weights of an average add up to?

# %% wrong="rmsprop-one-average" fails="rmsprop-elements rmsprop-torch"
class RMSprop(HandOptimizer):
    def __init__(self, params, lr=0.01, alpha=0.99, eps=1e-8):
        super().__init__(params, {"lr": lr, "alpha": alpha, "eps": eps})

    def update(self, p, g, state, group):
        state["s"] = group["alpha"] * state.get("s", 0) + (1 - group["alpha"]) * (g * g).mean()
        p.sub_(group["lr"] * g / (state["s"].sqrt() + group["eps"]))


# %% [markdown] mistake="rmsprop-one-average"
# Keeps one average for all elements of a parameter together.
#
# Two elements of one parameter with gradients 1 and 10, `alpha` 0.75 and `lr` 1, move by 0.28 and 2.81 in your first step; with an average
# each, both would move by 2. Print the shape of what you keep in `state`, and compare it with the shape of `p`.

# %% wrong="rmsprop-shared-memory" fails="rmsprop-elements rmsprop-torch"
class RMSprop(HandOptimizer):
    def __init__(self, params, lr=0.01, alpha=0.99, eps=1e-8):
        super().__init__(params, {"lr": lr, "alpha": alpha, "eps": eps})
        self.s = 0

    def update(self, p, g, state, group):
        self.s = group["alpha"] * self.s + (1 - group["alpha"]) * g * g
        p.sub_(group["lr"] * g / (self.s.sqrt() + group["eps"]))


# %% [markdown] mistake="rmsprop-shared-memory"
# Keeps one average for the whole optimizer, which all parameters use in turn.
#
# Take two parameters with gradients 1 and 10, `alpha` 0.75, `lr` 1. In its second step the first one moves by 0.23, though alone it would
# move by 1.51: the other's large gradient sits in its divisor. Which argument of `update` belongs to one parameter alone?

# %% right="rmsprop-in-place"
class RMSprop(HandOptimizer):
    def __init__(self, params, lr=0.01, alpha=0.99, eps=1e-8):
        super().__init__(params, {"lr": lr, "alpha": alpha, "eps": eps})

    def update(self, p, g, state, group):
        square = state.setdefault("square_avg", torch.zeros_like(p))
        square.lerp_(g.square(), 1 - group["alpha"])
        p.addcdiv_(g, square.sqrt() + group["eps"], value=-group["lr"])


# %% [markdown] explanation="rmsprop"
# With eps = 1e-8 inside the root, the smallest divisor is 1e-4 instead of 1e-8: gradients below 1e-4 are no longer scaled up.
# Some libraries do put it inside, and their rates do not carry over for such gradients.
# Since s starts at 0 and is not corrected, the first divisor is √(1-alpha) |g| = 0.1 |g|: the first step is ten times the learning rate.

# %% [markdown]
# ## Averages, and their beginning
#
# **Adam** (自适应矩估计) takes two exponential averages: $m$ of the gradients, a velocity, and $v$ of their squares, as in RMSprop.
#
# $$m \leftarrow \beta_1 m + (1-\beta_1)\, g, \qquad v \leftarrow \beta_2 v + (1-\beta_2)\, g^2, \qquad \beta_1 = 0.9,\ \beta_2 = 0.999 .$$
#
# **From here on $v$ is this average of squares; the velocity is now called $m$.**
# In such an average a square that is $j$ steps old has the weight $(1-\beta)\beta^j$.
# All weights sum to 1; the newest $n$ sum to $1 - \beta^n$.
# In a plain mean of $n$ numbers the newest has the weight $1/n$, and here $1 - \beta$:
# so one says that the average looks back over $1/(1-\beta)$ **effective steps** (有效步数).
#
# Both start at 0, so after $k$ steps the weights sum to $1 - \beta^k$ only, and the averages are too small by that factor (chapter 5).
# The **bias correction** (偏差修正) divides by it: $\hat m = m/(1 - \beta_1^k)$ and $\hat v = v/(1 - \beta_2^k)$.
# Common notes leave this out, and then cannot explain Adam's first steps.
# Without the correction $m$ is too small, so the steps would be too short?

# %%
m = v = torch.zeros(()).double()
ratio = []
for _ in range(3000):
    m, v = m + 0.1 * (1 - m), v + 0.001 * (1 - v)  # a constant gradient of 1
    ratio.append((m / v.sqrt()).item())
fig, axes = plt.subplots(1, 2, figsize=(10.5, 3.2))
ages = torch.arange(3000)
for beta, colour in ((0.9, "tab:blue"), (0.99, "tab:orange"), (0.999, "tab:red")):
    axes[0].loglog(ages + 1, (1 - beta) * beta**ages, color=colour, label=f"β = {beta}")
axes[0].set(xlabel="age of the gradient (steps) + 1", ylabel="weight in the average", title="Who is remembered", ylim=(1e-6, 0.2))
axes[0].legend()
axes[1].semilogx(range(1, 3001), ratio, color="tab:red", label="without correction")
axes[1].axhline(1, color="k", lw=1, label="with correction")
axes[1].set(xlabel="step k", ylabel="length of the step / lr", title="Adam under a constant gradient", ylim=(0, 8))
axes[1].legend()
plt.show()
print(f"without correction: first step {ratio[0]:.3g} lr, longest {max(ratio):.3g} lr, step 1000 {ratio[999]:.3g} lr")

# %% [markdown]
# On the left, each weight is nearly level at first, has fallen to about a third at the age $1/(1-\beta)$, and then drops.
# On the right is the surprise: without correction the steps would be too **long**, up to 6.6 times, and for more than a thousand steps.
# At first $m$ is too small by the factor 0.1, but $\sqrt v$, which divides it, by the factor $\sqrt{0.001} = 0.032$.

# %% [markdown]
# ### Exercise 5: how far back, and how wrong at first (7 points)
#
# Write two functions. `betas` is a tuple $(\beta_1, \beta_2)$ of floats, each above 0 and below 1, as Adam takes it.
#
# - `effective_steps(betas)` tells how far back the average of the **squares** looks: a tuple `(length, n_half)`, with the float
#   `length` $= 1/(1-\beta_2)$, and the int `n_half`, the smallest whole number $n$ for which the newest $n$ squares have together at least half
#   of all the weight: $1 - \beta_2^n \ge 1/2$.
# - `early_factor(k, betas)`, a float: in step $k$ (counted from 1), under a constant gradient, the length of Adam's step **without** both corrections,
#   divided by its length with both. Neglect $\varepsilon$.
#
# By hand: for $\beta_2 = 0.75$ the length is 4, and the newest 1, 2, 3 weights sum to 0.25, 0.4375, 0.578: `(4.0, 3)`.
# For $\beta_2 = 0.5$ one weight is exactly half: `(2.0, 1)`.
# With `betas = (0.5, 0.9375)` and `k = 1`, $m$ is too small by the factor 0.5 and $\sqrt v$ by 0.25, so the step is 2 times too long.
# You may use `math`.
#
# <details><summary>Hint 1</summary>For a constant gradient of 1, what are m and v after k steps, without correction? And m̂ and v̂?</details>
# <details><summary>Hint 2</summary>βⁿ ≤ 1/2 means n ≥ log(1/2) / log(β). Or count upwards.</details>


# %% exercise="averages"
def effective_steps(betas: tuple[float, float]) -> tuple[float, int]:
    """Return 1 / (1 - beta2), and the number of newest squares that hold half of the weight."""
    # BEGIN SOLUTION
    return 1 / (1 - betas[1]), math.ceil(math.log(0.5) / math.log(betas[1]))
    # END SOLUTION


def early_factor(k: int, betas: tuple[float, float]) -> float:
    """Return (length of step k without bias corrections) / (length with them), for a constant gradient."""
    # BEGIN SOLUTION
    return (1 - betas[0] ** k) / math.sqrt(1 - betas[1] ** k)
    # END SOLUTION


# %% check="averages-steps" points=1
got = [effective_steps((0.9, b)) for b in (0.75, 0.5)]
assert [type(pair) for pair in got] == [tuple] * 2 and [type(v) for v in got[0]] == [float, int], (
    f"effective_steps must return a tuple of a float and an int, got {got}"
)
assert_close(
    got,
    [(4.0, 3), (2.0, 1)],
    msg=lambda m: (
        f"for beta2 = 0.75 and 0.5: expected [(4.0, 3), (2.0, 1)], got {got}. (10, 7) twice: that is beta1. "
        f"(4.0, 2): two weights are only 0.4375; (2.0, 2): exactly half is enough\n{m}"
    ),
)
print("passed: how far back the average looks")

# %% check="averages-factor" points=2
got = [early_factor(1, (0.5, 0.9375)), early_factor(2, (0.75, 0.75))]
assert [type(v) for v in got] == [float] * 2, f"early_factor must return a float, got {got}"
assert_close(
    got,
    [2.0, 0.4375**0.5],
    msg=lambda m: (
        f"k = 1, betas (0.5, 0.9375): 0.5 / 0.25 = 2; k = 2, betas (0.75, 0.75): 0.4375 / √0.4375 = 0.661, got {got}. "
        f"First 8: no root; first 0.5: with over without; first 0.0884: the betas are swapped. "
        f"Second 0.25: (1 - beta)^k instead of 1 - beta^k; second 0.5: k was not used\n{m}"
    ),
)
print("passed: without correction the first step can be too long")

# %% hidden="averages-defaults" points=2
got = [effective_steps((0.9, b)) for b in (0.999, 0.99, 0.3, 0.9375)]
lengths = [pair[0] for pair in got]
assert_close(lengths, [1000.0, 100.0, 1 / 0.7, 16.0], msg=lambda m: f"lengths for beta2 = 0.999, 0.99, 0.3, 0.9375, got {lengths}\n{m}")
halves = [pair[1] for pair in got]
assert halves == [693, 69, 1, 11], f"half of the weight for beta2 = 0.999, 0.99, 0.3, 0.9375: [693, 69, 1, 11], got {halves}"

# %% hidden="averages-many" points=2
for b1, b2 in ((0.9, 0.999), (0.5, 0.99), (0.99, 0.6)):
    m_, v_ = 0.0, 0.0
    for k in range(1, 13):
        m_, v_ = b1 * m_ + (1 - b1) * 3.0, b2 * v_ + (1 - b2) * 9.0
        got = early_factor(k, (b1, b2))
        assert type(got) is float, f"early_factor({k}, {(b1, b2)}) must return a float, got {type(got).__name__}"
        assert abs(got - m_ / v_**0.5) < 1e-6, (
            f"early_factor({k}, {(b1, b2)}) must be {m_ / v_**0.5:.6g} (averages of a gradient of 3), got {got:.6g}"
        )


# %% wrong="averages-beta1" fails="averages-steps averages-defaults"
def effective_steps(betas):
    return 1 / (1 - betas[0]), math.ceil(math.log(0.5) / math.log(betas[0]))


def early_factor(k, betas):
    b1, b2 = betas
    return (1 - b1**k) / (1 - b2**k) ** 0.5


# %% [markdown] mistake="averages-beta1"
# Uses the first beta in `effective_steps`, not the one of the squares.
#
# For the betas (0.9, 0.75) and for (0.9, 0.5) you return the same, a length of 10 and 7 steps, so the second number never matters. Which of
# Adam's two averages does the statement ask about, and which beta belongs to it?

# %% wrong="averages-no-root" fails="averages-factor averages-many"
def effective_steps(betas):
    b = betas[1]
    return 1 / (1 - b), next(n for n in range(1, 10**6) if 1 - b**n >= 0.5)


def early_factor(k, betas):
    b1, b2 = betas
    return (1 - b1**k) / (1 - b2**k)


# %% [markdown] mistake="averages-no-root"
# Forgets in `early_factor` that Adam divides by the root of the averaged square.
#
# In the example worked by hand, `k = 1` with betas (0.5, 0.9375), you get 8 where the statement has 2. Write down the two averages after
# one step with a gradient of 1, first raw, then corrected, and work out both step lengths by the formula.

# %% wrong="averages-one-more" fails="averages-steps"
def effective_steps(betas):
    b = betas[1]
    return 1 / (1 - b), next(n for n in range(1, 10**6) if 1 - b**n > 0.5)


def early_factor(k, betas):
    b1, b2 = betas
    return (1 - b1 ** (k - 1)) / (1 - b2 ** (k - 1)) ** 0.5 if k > 1 else (1 - b1) / (1 - b2) ** 0.5


# %% [markdown] mistake="averages-one-more"
# Wants more than half of the weight, and takes k one too small in `early_factor`.
#
# For `beta2` 0.5 the newest square has exactly half of the weight, and yet you answer 2 steps. And with betas (0.75, 0.75) your factor is
# 0.5 for `k = 2` as for `k = 1`; the averages have taken in two gradients by then. Read "at least half" and "counted from 1" again.

# %% wrong="averages-inverted" fails="averages-factor averages-many"
def effective_steps(betas):
    b = betas[1]
    return 1 / (1 - b), next(n for n in range(1, 10**6) if 1 - b**n >= 0.5)


def early_factor(k, betas):
    b1, b2 = betas
    return (1 - b2**k) ** 0.5 / (1 - b1**k)


# %% [markdown] mistake="averages-inverted"
# Divides the corrected length by the uncorrected one in `early_factor`, upside down.
#
# In the example worked by hand the step without corrections is twice too long, so the factor is 2; you return 0.5. Name the two lengths in
# the sentence of the statement: which is divided by which? A factor above 1 should mean that the uncorrected step is too long.

# %% right="averages-loops"
def effective_steps(betas):
    _, b = betas
    total, n = 0.0, 0
    while total < 0.5:
        total += (1 - b) * b**n
        n += 1
    return (1 - b) ** -1, n


def early_factor(k, betas):
    m = v = 0.0
    for _ in range(k):
        m, v = betas[0] * m + (1 - betas[0]), betas[1] * v + (1 - betas[1])
    return m / v**0.5


# %% [markdown] explanation="averages"
# For beta2 = 0.999 the length is 1000 and half of the weight lies on the newest 693 steps; the newest 1000 hold 63 % (1 - 1/e).
# It is beta2, not beta1 (length 10), that decides how long the correction matters, and how long Adam remembers one huge gradient.
# The factor (1 - b1^k)/√(1 - b2^k) is 3.16 for k = 1, 6.6 near k = 12, and 1.26 still for k = 1000.
# Where beta1 is above √beta2 by enough, as in (0.99, 0.6), the uncorrected steps are too short instead.

# %% [markdown]
# ## Adam
#
# Now the whole of it. With the step number $k$ of the parameter counted from **1**,
#
# $$\theta \leftarrow \theta - \mathrm{lr}\; \frac{\hat m}{\sqrt{\hat v} + \varepsilon}, \qquad \hat m = \frac{m}{1 - \beta_1^k}, \quad \hat v = \frac{v}{1 - \beta_2^k}, \qquad \varepsilon = 10^{-8},$$
#
# with $\varepsilon$ added after the root of the *corrected* $\hat v$.
# In the first step $\hat m = g$ and $\hat v = g^2$, so every parameter moves by lr, whatever the size of its gradient.
#
# What does the learning rate *mean* for each of the five?
# We give them a constant gradient, of size 1 and of size 100, and measure their steps.

# %%
fig, axes = plt.subplots(1, 2, figsize=(10.5, 3.4), sharey=True)
first_steps = {}
for ax, size in zip(axes, (1.0, 100.0), strict=True):
    for name, make in optimizers.items():
        places = torch.tensor([0.0, *walk(lambda params, make=make: make(params, 0.01), 0.0, [size] * 500)])
        lengths = -places.diff() / 0.01
        ax.loglog(range(1, 501), lengths, color=colours[name], label=name, ls="--" if name == "Adam" else "-")
        first_steps[name, size] = lengths[0].item()
    ax.set(xlabel="step", title=f"gradient {size:g} at each step")
axes[0].set_ylabel("length of the step / lr")
axes[0].legend(ncols=2)
plt.show()
print({name: f"{first_steps[name, 1.0]:.3g}, {first_steps[name, 100.0]:.3g}" for name in optimizers})

# %% [markdown]
# SGD and momentum go a hundred times further on the right: their step is rate times gradient, and momentum's grows to ten times that.
# The other three curves are the same in both panels.
# For Adam, the learning rate *is* the length of a step, in the unit of the parameter, as long as the gradient is constant
# (where its sign alternates, $\hat m$ cancels: with ±1 by turns, steps of lr/19 are left). Adagrad's steps shrink like $1/\sqrt{k}$;
# RMSprop, uncorrected, begins with ten times lr.
# So a rate that suits one says nothing about another.

# %% [markdown]
# ### Exercise 6: Adam (9 points)
#
# Complete `Adam`, a subclass of `HandOptimizer`, by the formulas above.
# $m$ and $v$ start at 0. Each parameter has its own $m$, $v$ and $k$, and $k$ counts only the steps in which this parameter has a gradient.
# Read all options from `group` (`group["betas"]` is the tuple), change `p` in place, and leave `g` as it is.
#
# By hand, lr 1, betas (0.75, 0.5), from 5, gradients 2 then 1:
#
# - $k = 1$: $m = 0.5$, $\hat m = 2$; $v = 2$, $\hat v = 4$; a step of $2/2 = 1$, to 4;
# - $k = 2$: $m = 0.625$, $\hat m = 0.625/0.4375 = 1.4286$; $v = 1.5$, $\hat v = 1.5/0.75 = 2$; a step of $1.4286/\sqrt2 = 1.0102$, to 2.9898.
#
# Do not call `torch.optim.Adam`.
#
# <details><summary>Hint 1</summary>Which three things must <code>state</code> remember, and when is <code>k</code> raised?</details>
# <details><summary>Hint 2</summary>Keep m and v uncorrected; the corrected ones are used once and forgotten.</details>


# %% exercise="adam"
class Adam(HandOptimizer):
    """Adam as torch.optim.Adam."""

    def __init__(self, params, lr: float = 0.001, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    def update(self, p: torch.Tensor, g: torch.Tensor, state: dict, group: dict) -> None:
        """Change `p` in place; both averages and the number of steps stay in `state`."""
        # BEGIN SOLUTION
        b1, b2 = group["betas"]
        k = state["k"] = state.get("k", 0) + 1
        state["m"] = b1 * state.get("m", 0) + (1 - b1) * g
        state["v"] = b2 * state.get("v", 0) + (1 - b2) * g**2
        root = (state["v"] / (1 - b2**k)).sqrt()
        p -= group["lr"] * state["m"] / (1 - b1**k) / (root + group["eps"])
        # END SOLUTION


# %% check="adam-by-hand" points=2
def by_hand():
    return walk(lambda params: Adam(params, lr=1.0, betas=(0.75, 0.5)), 5.0, [2.0, 1.0])


got = by_hand()
assert_close(
    got,
    [4.0, 4 - (0.625 / 0.4375) / 2**0.5],
    msg=lambda m: (
        f"expected [4, 2.9898], got {got}. First 5: p did not change in place; 4.646: no bias correction; "
        f"4.300: k counted from 2; nan: k counted from 0; 4.75: m̂ is not corrected; 4.5: no root; 4.293: the root is not over the "
        f"correction of v, or that was made with beta1. 3.586 with second 2.349: g for g² in v, else v̂ is not corrected. "
        f"Second 3.118: the betas are swapped; second 1.809: the corrected m and v were stored, and corrected again\n{m}"
    ),
)
print("passed: the example worked by hand")


# %% check="adam-first-step" points=1
def first_steps_of():
    return [walk(lambda params: Adam(params), 0.0, [slope])[0] for slope in (1e-3, -1.0, 1e6, 0.0)]


got = first_steps_of()
assert_close(
    got,
    [-0.001 / (1 + 1e-5), 0.001, -0.001, 0.0],
    msg=lambda m: (
        f"with the defaults, the first step is 0.001 against the sign of the gradient, whatever its size: gradients 1e-3, -1, 1e6, 0 "
        f"should give [-0.00099999, 0.001, -0.001, 0], got {got}. First -0.000995: eps is inside the root; -0.0009997: eps was added "
        f"before the correction. Last nan: 0/0, eps is missing\n{m}"
    ),
)
print("passed: the first step has the length lr")


# %% check="adam-own-counter" points=1
def joins_late():
    starts, rows = [torch.tensor(5.0).double()] * 2, [[2.0, None], [1.0, 2.0]]
    rows = [[None if g is None else torch.tensor(g).double() for g in row] for row in rows]
    return [p.item() for p in drive(lambda ps: Adam(ps, lr=1.0, betas=(0.75, 0.5)), starts, rows)]


got = joins_late()
assert_close(
    got[0],
    4 - (0.625 / 0.4375) / 2**0.5,
    msg=lambda m: (
        f"gradients 2, then 1: the first of two parameters goes from 5 to 2.9898, got {got[0]}: mend the check adam-by-hand first\n{m}"
    ),
)
assert_close(
    got[1],
    4.0,
    msg=lambda m: (
        f"two parameters at 5; gradients 2 and None, then 1 and 2: for the second it is the first step, to 4, got {got[1]}. "
        f"4.300 or 4.428: k belongs to the optimizer or the group, not to state; other values: the parameters share m or v\n{m}"
    ),
)
print("passed: each parameter counts its own steps")

# %% hidden="adam-torch" points=3
starts, rows = test_ground(seed=8, n_steps=10)


def ours(starts, rows):
    return drive(
        lambda ps: Adam([{"params": ps[:1], "betas": (0.5, 0.8)}, {"params": ps[1:3], "lr": 0.3, "eps": 0.1}, {"params": ps[3:]}]),
        starts,
        rows,
    )


got = ours(starts, rows)
wanted = drive(
    lambda ps: torch.optim.Adam([{"params": ps[:1], "betas": (0.5, 0.8)}, {"params": ps[1:3], "lr": 0.3, "eps": 0.1}, {"params": ps[3:]}]),
    starts,
    rows,
)
for place, what in enumerate(
    ["with betas (0.5, 0.8)", "with its own lr and eps", "a number of the same group", "often no gradient, defaults"]
):
    assert_close(
        got[place], wanted[place], msg=lambda m, what=what: f"ten steps in three groups differ from PyTorch's in the parameter {what}\n{m}"
    )

# %% hidden="adam-late" points=1
late_starts = [torch.ones(2).double(), torch.ones(2).double()]
late_rows = [[torch.full((2,), 3.0).double(), None]] * 4 + [[torch.full((2,), 3.0).double(), torch.tensor([1.0, -2.0]).double()]] * 3


def late_ours(starts, rows):
    return drive(lambda ps: Adam(ps, lr=0.5, betas=(0.8, 0.9)), starts, rows)


got = late_ours(late_starts, late_rows)
wanted = drive(lambda ps: torch.optim.Adam(ps, lr=0.5, betas=(0.8, 0.9)), late_starts, late_rows)
assert_close(
    got,
    wanted,
    msg=lambda m: (
        f"two parameters of one group, the second without a gradient in the first 4 of 7 steps: it has its own m, v and k. "
        f"Expected {[w.tolist() for w in wanted]}, got {[g.tolist() for g in got]}\n{m}"
    ),
)


# %% hidden="adam-gradient" points=1
def reused():
    p = nn.Parameter(torch.tensor([1.0, -1.0]).double())
    optimizer = Adam([p], lr=0.5, betas=(0.5, 0.5))
    p.grad = torch.zeros(2).double()
    before, seen = p.data_ptr(), []
    for size in (2.0, 4.0):
        p.grad.fill_(size)  # the same tensor, as after zero_grad(set_to_none=False)
        optimizer.step()
        seen += p.grad.tolist()
    return p.tolist(), seen, p.data_ptr() == before


moved, seen, same = reused()
away = 0.5 + 0.5 * (2.5 / 0.75) / (9 / 0.75) ** 0.5
assert seen == [2.0, 2.0, 4.0, 4.0] and same is True, f"step must leave the gradients alone and change p in place, got gradients {seen}"
assert_close(
    moved,
    [1 - away, -1 - away],
    msg=lambda m: f"gradients 2, then 4 in the same tensor: each parameter moves by {away:.4g}, got {moved}\n{m}",
)


# %% wrong="adam-no-correction" fails="adam-by-hand adam-first-step adam-torch adam-late"
class Adam(HandOptimizer):
    def __init__(self, params, lr=0.001, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    def update(self, p, g, state, group):
        b1, b2 = group["betas"]
        state["m"] = b1 * state.get("m", torch.zeros_like(p)) + (1 - b1) * g
        state["v"] = b2 * state.get("v", torch.zeros_like(p)) + (1 - b2) * g * g
        p.sub_(group["lr"] * state["m"] / (state["v"].sqrt() + group["eps"]))


# %% [markdown] mistake="adam-no-correction"
# Uses both averages as they are, without the bias corrections.
#
# In the example worked by hand you divide 0.5 by the root of 2 and go to 4.646, not to 4. With the default options your first step is 3.16
# times the learning rate. Print your two averages after the first step next to the gradient and its square: what should they be in the
# formula?

# %% wrong="adam-k-from-two" fails="adam-by-hand adam-first-step adam-torch adam-late"
class Adam(HandOptimizer):
    def __init__(self, params, lr=0.001, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    def update(self, p, g, state, group):
        b1, b2 = group["betas"]
        state["k"] = state.get("k", 1) + 1
        state["m"] = b1 * state.get("m", torch.zeros_like(p)) + (1 - b1) * g
        state["v"] = b2 * state.get("v", torch.zeros_like(p)) + (1 - b2) * g * g
        m_hat, v_hat = state["m"] / (1 - b1 ** state["k"]), state["v"] / (1 - b2 ** state["k"])
        p.sub_(group["lr"] * m_hat / (v_hat.sqrt() + group["eps"]))


# %% [markdown] mistake="adam-k-from-two"
# Counts the steps from 2, so the first step is corrected as if it were the second.
#
# In the example worked by hand you reach 4.300 and not 4; with the default options the first step is 0.74 of the learning rate. In the
# first step the corrected average of the gradients must be the gradient itself. Print `k` and that average in the first call.

# %% wrong="adam-k-shared" fails="adam-own-counter adam-torch adam-late"
class Adam(HandOptimizer):
    def __init__(self, params, lr=0.001, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})
        self.k = 0

    def update(self, p, g, state, group):
        b1, b2 = group["betas"]
        self.k += 1
        state["m"] = b1 * state.get("m", torch.zeros_like(p)) + (1 - b1) * g
        state["v"] = b2 * state.get("v", torch.zeros_like(p)) + (1 - b2) * g * g
        m_hat, v_hat = state["m"] / (1 - b1**self.k), state["v"] / (1 - b2**self.k)
        p.sub_(group["lr"] * m_hat / (v_hat.sqrt() + group["eps"]))


# %% [markdown] mistake="adam-k-shared"
# Keeps one step counter for the whole optimizer, raised for every parameter.
#
# Two parameters, one call of `step()`: your counter already stands at 2. With gradient 2, `lr` 1 and betas (0.75, 0.5) the first goes from
# 5 to 4, the second only to 4.300, though it is its first step too. How often is `update` called in one step, and whose steps should be
# counted?

# %% wrong="adam-k-of-group" fails="adam-own-counter adam-torch adam-late"
class Adam(HandOptimizer):
    def __init__(self, params, lr=0.001, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    def update(self, p, g, state, group):
        b1, b2 = group["betas"]
        k = group["k"] = group.get("k", 0) + 1
        state["m"] = b1 * state.get("m", torch.zeros_like(p)) + (1 - b1) * g
        state["v"] = b2 * state.get("v", torch.zeros_like(p)) + (1 - b2) * g * g
        p.sub_(group["lr"] * state["m"] / (1 - b1**k) / ((state["v"] / (1 - b2**k)).sqrt() + group["eps"]))


# %% [markdown] mistake="adam-k-of-group"
# Keeps the step counter in the group, so its parameters share one count.
#
# Three parameters of one group, all at 5 with gradient 2, `lr` 1 and betas (0.75, 0.5), should all go to 4 in their first step; yours go to
# 4, 4.300 and 4.428. Every parameter of the group gets the same `group` in `update`. Which argument is its own?

# %% wrong="adam-averages-shared" fails="adam-own-counter adam-torch"
class Adam(HandOptimizer):
    def __init__(self, params, lr=0.001, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    def update(self, p, g, state, group):
        b1, b2 = group["betas"]
        state["k"] = state.get("k", 0) + 1
        group["m"] = b1 * group.get("m", torch.zeros_like(p)) + (1 - b1) * g
        group["v"] = b2 * group.get("v", torch.zeros_like(p)) + (1 - b2) * g * g
        m_hat, v_hat = group["m"] / (1 - b1 ** state["k"]), group["v"] / (1 - b2 ** state["k"])
        p.sub_(group["lr"] * m_hat / (v_hat.sqrt() + group["eps"]))


# %% [markdown] mistake="adam-averages-shared"
# Keeps the two averages in the group, so its parameters share them.
#
# Two parameters of one group at 5, gradients 2 and -2, `lr` 1, betas (0.75, 0.5): they should go to 4 and 6, but your second goes to 5.204,
# because the first one's gradient is in its average. Compare what `update` gets anew for each parameter with what is the same for all.

# %% wrong="adam-eps-early" fails="adam-first-step adam-torch"
class Adam(HandOptimizer):
    def __init__(self, params, lr=0.001, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    def update(self, p, g, state, group):
        b1, b2 = group["betas"]
        state["k"] = state.get("k", 0) + 1
        state["m"] = b1 * state.get("m", torch.zeros_like(p)) + (1 - b1) * g
        state["v"] = b2 * state.get("v", torch.zeros_like(p)) + (1 - b2) * g * g
        divisor = (state["v"].sqrt() + group["eps"]) / (1 - b2 ** state["k"]) ** 0.5
        p.sub_(group["lr"] * state["m"] / (1 - b1 ** state["k"]) / divisor)


# %% [markdown] mistake="adam-eps-early"
# Adds `eps` to the root of the average of squares before that is corrected.
#
# The default is so small that ordinary gradients hide it. Take `eps=1`, `lr` 1, betas (0.75, 0.5) and a first gradient of 2: by the formula
# the step is 2/3, yours is 0.586. Follow the order of root, correction and addition in the formula, one operation at a time.

# %% wrong="adam-corrects-twice" fails="adam-by-hand adam-torch adam-late"
class Adam(HandOptimizer):
    def __init__(self, params, lr=0.001, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    def update(self, p, g, state, group):
        b1, b2 = group["betas"]
        k = state["k"] = state.get("k", 0) + 1
        state["m"] = (b1 * state.get("m", torch.zeros_like(p)) + (1 - b1) * g) / (1 - b1**k)
        state["v"] = (b2 * state.get("v", torch.zeros_like(p)) + (1 - b2) * g * g) / (1 - b2**k)
        p.sub_(group["lr"] * state["m"] / (state["v"].sqrt() + group["eps"]))


# %% [markdown] mistake="adam-corrects-twice"
# Stores the corrected averages, so the next step corrects them once more.
#
# Your first step is right. In the example worked by hand the second ends at 1.809 and not at 2.9898, because it starts from averages of 2
# and 4 where the statement starts from 0.5 and 2. Print what stands in `state` after one step.

# %% right="adam-in-place"
class Adam(HandOptimizer):
    def __init__(self, params, lr=0.001, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    def update(self, p, g, state, group):
        beta1, beta2 = group["betas"]
        if not state:
            state.update(step=0, exp_avg=torch.zeros_like(p), exp_avg_sq=torch.zeros_like(p))
        state["step"] += 1
        state["exp_avg"].lerp_(g, 1 - beta1)
        state["exp_avg_sq"].mul_(beta2).addcmul_(g, g, value=1 - beta2)
        size = group["lr"] / (1 - beta1 ** state["step"])
        p.addcdiv_(state["exp_avg"], (state["exp_avg_sq"] / (1 - beta2 ** state["step"])).sqrt_().add_(group["eps"]), value=-size)


# %% [markdown] explanation="adam"
# m and v are kept raw: whoever stores the corrected averages corrects them again in the next step.
# A counter on the optimizer is raised once for each *parameter*, and belongs to no one; a counter raised once a step is still wrong for a
# parameter that joins late (a layer that was frozen at first).
# With k from 0 the first division is 0/0. With k from 2 the first step is too short, 0.74 lr with the default betas.
# eps before the correction is a real variant (the paper mentions it as the faster order), but another function: at k = 1 and beta2 = 0.999
# it acts like an eps 32 times larger.

# %% [markdown]
# ### A note on weight decay
#
# "**Weight decay** (权重衰减) is equivalent to L2 regularisation", say common notes.
# For plain SGD it is: $\frac{\lambda}{2}\lVert\theta\rVert^2$ in the loss adds $\lambda\theta$ to the gradient, which shrinks $\theta$ by
# the factor $1 - \mathrm{lr}\,\lambda$ at each step.
# In Adam the added $\lambda\theta$ is divided by $\sqrt{\hat v}$ together with the rest, so parameters with large gradients hardly decay.
# Two weights of 1 get gradients ±100 and ±0.01 by turns, which pull nowhere on average.

# %%
pulls = [torch.tensor([100.0, 0.01]) * (-1) ** k for k in range(400)]
for name, make in [("SGD", torch.optim.SGD), ("Adam", torch.optim.Adam), ("AdamW", torch.optim.AdamW)]:
    (ended,) = drive(lambda ps, make=make: make(ps, lr=0.001, weight_decay=0.5), [torch.ones(2)], [[pull] for pull in pulls])
    print(f"{name:5} after 400 steps with weight_decay 0.5: large gradients {ended[0]:.2f}, small gradients {ended[1]:.2f}")

# %% [markdown]
# SGD and AdamW shrink both weights alike; Adam's `weight_decay`, which is L2, does not.
# AdamW is a subject of chapter 13.
#
# **A resting place.** The second half asks which of them to use, and what noise does.

# %% [markdown]
# ## A race on the ravine
#
# A fair race needs three decisions.
# *What counts*: the number of steps until the loss is at most a **tolerance** (容差).
# *Where to start*: at three random places; one rate must serve all three, and the last arrival counts.
# *At which learning rate*: **each at its own best**, searched on a grid evenly spaced on a log scale,
# since one rate for all would mean steps of quite different lengths.
#
# There are two ravines: the one above, and the same turned by 45°.
# All five optimizers act element by element, so three starting points can be one tensor with three rows.

# %%
rates = [10 ** (e / 4) for e in range(-12, 7)]
angles = 2 * math.pi * torch.rand(3, generator=torch.Generator().manual_seed(0)).double()
places = 10 * torch.stack([angles.cos(), angles.sin()], dim=1)  # (3, 2) starts at the distance 10
turn = torch.tensor([[1.0, -1.0], [1.0, 1.0]]).double() / 2**0.5
straight = torch.diag(torch.tensor([1.0, 100.0])).double()
ravines = {"along the axes": (straight, places), "turned by 45°": (turn @ straight @ turn.T, places @ turn.T)}
arrivals, tuned = {}, {}
for where, (H, starts) in ravines.items():
    for name, make in optimizers.items():
        for lr in rates:
            path = trace(make, lr, lambda p, H=H: p @ H, starts, 400)  # (401, 3, 2)
            done = (path @ H * path).sum(-1) / 2 <= 1e-3  # (401, 3)
            arrivals[where, name, lr] = done.int().argmax(0).max().item() if done.any(0).all() else math.inf
        tuned[where, name] = min(rates, key=lambda lr, key=(where, name): arrivals[*key, lr])

# %% tags=["nbval-ignore-output"]
fig, axes = plt.subplots(1, 2, figsize=(11, 3.6), sharey=True)
for ax, where in zip(axes, ravines, strict=True):
    for name, colour in colours.items():
        n_steps = [arrivals[where, name, lr] for lr in rates]
        ax.loglog(rates, n_steps, ".-", color=colour, label=name)
        if min(n_steps) < math.inf:
            ax.plot(tuned[where, name], min(n_steps), "*", color=colour, ms=14)
    ax.set(xlabel="learning rate", title=where, xlim=(7e-4, 50))
axes[0].set_ylabel("steps to loss ≤ 0.001")
axes[1].legend(loc="lower left", fontsize=8)
plt.show()
for where in ravines:
    best = {name: (arrivals[where, name, tuned[where, name]], tuned[where, name]) for name in optimizers}
    print(f"{where}:", {name: f"{k} at {lr:.2g}" if k < math.inf else "did not arrive" for name, (k, lr) in best.items()})
assert all(arrivals[r, "SGD", tuned[r, "SGD"]] > 2 * arrivals[r, "momentum", tuned[r, "momentum"]] for r in ravines)
assert arrivals["along the axes", "RMSprop", tuned["along the axes", "RMSprop"]] < 20
assert arrivals["turned by 45°", "RMSprop", tuned["turned by 45°", "RMSprop"]] > 200

# %% [markdown]
# A rate without a dot did not arrive within 400 steps; the star is the best. SGD arrives at one rate only: a star without a curve.
#
# - The best rates lie more than a thousandfold apart. At no single rate do all five arrive; in neither panel do more than three.
# - SGD and momentum have the same numbers in both panels: turning the ravine turns their paths, and changes nothing else.
#   Momentum needs a third of SGD's steps.
# - Along the axes, Adagrad and RMSprop are done in a few steps: the two coordinates are separate problems, and the division by $\sqrt s$
#   removes the 100 altogether. Their best rates lie beyond the grid (from 1,000 to 10,000 both need 4 steps), by a trick of quadratics:
#   the first step overshoots far, and the huge gradient there makes the divisor just large enough.
# - Turned, both coordinates look alike, and the division has nothing to get hold of. RMSprop needs about 250 steps or more, Adagrad does not arrive;
#   Adam, which has momentum too, is close to momentum.
#
# With nine other starting points, Adagrad on the turned ravine sometimes arrived, after 380 steps or more; all else was as here.
# Next, the first 30 steps of each from the red dot, at moderate rates, the same in both rows.

# %%
fig, axes = plt.subplots(2, 5, figsize=(12.5, 4.6), sharex=True, sharey="row", height_ratios=[6, 14])
gx, gy = torch.meshgrid(torch.linspace(-13, 13, 131).double(), torch.linspace(-13, 13, 131).double(), indexing="xy")
moderate = {"SGD": 0.018, "momentum": 0.006, "Adagrad": 3.0, "RMSprop": 0.3, "Adam": 0.6}
for row, (H, start) in zip(axes, [(straight, across * 0.9), (ravines["turned by 45°"][0], turn @ across * 0.9)], strict=True):
    height = H[0, 0] * gx**2 / 2 + H[0, 1] * gx * gy + H[1, 1] * gy**2 / 2
    for ax, (name, lr) in zip(row, moderate.items(), strict=True):
        path = trace(optimizers[name], lr, lambda p, H=H: H @ p, start, 30)
        ax.contour(gx, gy, height, levels=[5, 50, 500, 2000], colors="0.8", linewidths=0.7)
        ax.plot(*path.T, ".-", color=colours[name], lw=0.9, ms=5)
        ax.plot(*start, "o", color="tab:red", ms=7, zorder=5)
        ax.plot(0, 0, "*", color="gold", mec="k", ms=11, zorder=5)
        low, high = (-3, 3) if H is straight else (-10, 4)
        ax.set(xlim=(-10, 4), ylim=(low, high), title=f"{name}, lr {lr:g}" if H is straight else "", aspect="equal")
axes[0, 0].set_ylabel("along the axes")
axes[1, 0].set_ylabel("turned by 45°")
plt.show()

# %% [markdown]
# In the left two columns the lower row is the upper one, turned.
# In the other three, the upper row shows the division at work: the very first step goes at 45°, equally long in both coordinates, whatever the slopes.
# Adagrad and RMSprop come to the star, Adam swings past it. In the lower row all three have still about two thirds of the way before them.
# An adaptive rate helps as far as the ravine lies along the *parameters*; in a network that is a matter of measuring.

# %% [markdown]
# ### Exercise 7: a fair race (8 points)
#
# Write `race(makers, H, start, rates, tol, max_steps)` for the loss $\frac12\theta^\top H \theta$ with a symmetric `H` `(D, D)`.
#
# - `makers` is a dictionary from a name to a function `make(params, lr)`, which takes a list of tensors and a float and returns an optimizer
#   (like `optimizers` above). `start` has shape `(D,)`, is float64, and stays as it was. `rates` is a list of floats, in any order, not empty.
# - A run begins at `start`, with a new optimizer. Its number of steps is the smallest $k$ for which the loss after $k$ steps is at most `tol`
#   (equality counts; 0 if the start is there already). A run may take at most `max_steps` steps, and the loss after the last of them counts.
#   A run whose loss becomes `inf` or `nan` has not arrived.
# - Return a dictionary with the same names in the same order. The value is a tuple `(steps, lr)`: the fewest steps over all `rates`, an int,
#   and the rate that achieved it; of equal ones, the first in `rates`. If no rate arrived, the value is `None`.
#
# By hand: `H = [[1]]`, `start = [8]`, `tol = 0.5`. SGD at rate 0.5 halves $\theta$: 8, 4, 2, 1, losses 32, 8, 2, 0.5: 3 steps.
# At rate 2 it swings between 8 and −8 for ever. A maker that halves the rate it is given arrives in 1 step at 2.
# So with `rates = [0.25, 0.5, 2.0]` these two makers give `(3, 0.5)` and `(1, 2.0)`.
# You may write the gradient $H\theta$ into `.grad`, or use autograd.
#
# <details><summary>Hint 1</summary>Every optimizer changes its parameter in place. Which tensor must it not get?</details>
# <details><summary>Hint 2</summary>A small function for one run, which returns <code>math.inf</code> if it does not arrive, makes the rest a
# <code>min</code> over the rates; <code>min</code> keeps the first of equal ones.</details>


# %% exercise="race"
def race(makers: dict, H: torch.Tensor, start: torch.Tensor, rates: list[float], tol: float, max_steps: int) -> dict:
    """Return for each name (fewest steps to a loss of at most `tol`, its rate), or None; the loss is half of θᵀHθ."""

    # BEGIN SOLUTION
    def steps_of(make, lr):
        theta = start.clone()
        optimizer = make([theta], lr)
        for k in range(max_steps + 1):
            if theta @ H @ theta / 2 <= tol:
                return k
            theta.grad = H @ theta
            optimizer.step()
        return math.inf

    best = {name: min((steps_of(make, lr), i) for i, lr in enumerate(rates)) for name, make in makers.items()}
    return {name: None if k == math.inf else (k, rates[i]) for name, (k, i) in best.items()}
    # END SOLUTION


# %% check="race-by-hand" points=2
def by_hand():
    makers = {"plain": lambda params, lr: torch.optim.SGD(params, lr=lr), "half": lambda params, lr: torch.optim.SGD(params, lr=lr / 2)}
    start = torch.tensor([8.0]).double()
    results = [race(makers, torch.ones(1, 1).double(), start, [0.25, 0.5, 2.0], 0.5, limit) for limit in (20, 3)]
    return *results, start


got, just, start_after = by_hand()
assert type(got) is dict and list(got) == ["plain", "half"], f"race must return a dictionary with the names plain and half, got {got!r}"
assert start_after.tolist() == [8.0], f"start must stay [8], got {start_after.tolist()}: the optimizer worked on it; give it a clone"
assert type(got["plain"]) is tuple and [type(v) for v in got["plain"]] == [int, float], (
    f"each value is a tuple (int, float), got {got['plain']!r}"
)
assert got == {"plain": (3, 0.5), "half": (1, 2.0)}, (
    f"expected {{'plain': (3, 0.5), 'half': (1, 2.0)}}, got {got}. half at 0.5 or 0.25: the rate must be chosen for each by itself; "
    "(4, 0.5): the ½ of the loss is missing, or equality does not count, or a step was counted too many; (2, 0.5): one too few; "
    "(6, 0.5): old gradients were not removed; (0, …): the runs share one θ, each begins with a clone of its own"
)
assert just == got, (
    f"with max_steps 3 the answer is the same, {got}, got {just}. None for plain: the loss after the last step was not looked at, "
    "or a run that arrives in step max_steps was taken for a lost one"
)
print("passed: each optimizer at its own rate")


# %% check="race-none" points=1
def lost():
    makers = {"plain": lambda params, lr: torch.optim.SGD(params, lr=lr)}
    there = torch.tensor([0.5, 0.5]).double()
    return race(makers, torch.eye(2).double(), there * 8, [3.0, 1e300], 0.5, 30), race(
        makers, torch.eye(2).double(), there, [3.0, 0.1], 0.25, 5
    )


got = lost()
assert got[0] == {"plain": None}, f"at the rates 3 and 1e300 SGD diverges: None, got {got[0]}"
assert got[1] == {"plain": (0, 3.0)}, (
    f"a start with the loss tol is 0 steps away, and of equal rates the first, 3.0, wins: {{'plain': (0, 3.0)}}, a tuple; got {got[1]}"
)
print("passed: no arrival, and no way to go")


# %% hidden="race-torch" points=3
def five(H, start, rates, tol, max_steps):
    return race(optimizers, H, start.clone(), rates, tol, max_steps)


def steps_needed(make, H, start, lr, tol, max_steps):
    point = nn.Parameter(start.clone())
    optimizer = make([point], lr)
    for k in range(max_steps + 1):
        optimizer.zero_grad()
        loss = (point * (H @ point)).sum() / 2
        if loss.item() <= tol:
            return k
        loss.backward()
        optimizer.step()
    return None


H_ = torch.tensor([[6.0, 2.0, 0.0], [2.0, 5.0, 1.0], [0.0, 1.0, 0.5]]).double()
start_, rates_ = torch.tensor([3.0, -2.0, 4.0]).double(), [0.03, 0.9, 0.2, 4.0]
got = five(H_, start_, rates_, 0.02, 60)
assert list(got) == list(optimizers), f"the names must be those of makers, in their order, got {list(got)}"
for name in optimizers:
    runs = [(n, i) for i, n in enumerate(steps_needed(optimizers[name], H_, start_, lr, 0.02, 60) for lr in rates_) if n is not None]
    wanted = (min(runs)[0], rates_[min(runs)[1]]) if runs else None
    assert got[name] == wanted, f"{name} on a 3 × 3 ravine, rates {rates_}, at most 60 steps: expected {wanted}, got {got[name]}"


# %% hidden="race-limit" points=2
def limited(max_steps, tol):
    makers = {"plain": optimizers["SGD"]}
    return race(makers, torch.tensor([[4.0]]).double(), torch.tensor([8.0]).double(), [0.125, 0.0625], tol, max_steps)


got = [limited(3, 2.0), limited(2, 2.0), limited(0, 128.0), limited(0, 127.0), limited(4, 1.9)]
wanted = [(3, 0.125), None, (0, 0.125), None, (4, 0.125)]
for (limit, tol), have, want in zip([(3, 2.0), (2, 2.0), (0, 128.0), (0, 127.0), (4, 1.9)], got, wanted, strict=True):
    assert have == {"plain": want}, (
        f"H = [[4]], start 8, rate 0.125 halves: losses 128, 32, 8, 2, 0.5; with tol {limit and tol or tol} and at most {limit} steps "
        f"expected {want}, got {have}"
    )


# %% wrong="race-one-rate" fails="race-by-hand race-torch"
def race(makers, H, start, rates, tol, max_steps):
    def run(make, lr):
        theta = start.clone()
        optimizer = make([theta], lr)
        for k in range(max_steps + 1):
            if theta @ H @ theta / 2 <= tol:
                return k
            theta.grad = H @ theta
            optimizer.step()
        return None

    first = next(iter(makers.values()))
    runs = [(run(first, lr), lr) for lr in rates]
    lr = min((r for r in runs if r[0] is not None), default=(0, rates[0]), key=lambda r: r[0])[1]
    steps = {name: run(make, lr) for name, make in makers.items()}
    return {name: None if k is None else (k, lr) for name, k in steps.items()}


# %% [markdown] mistake="race-one-rate"
# Searches the best rate for the first optimizer only and gives it to all the others.
#
# In the example worked by hand the second maker runs at 0.5, the best rate of the first, and needs 8 steps; at 2.0 it would arrive in 1.
# The winner is then the one that the rate happens to suit. For which names does your search over `rates` run?

# %% wrong="race-start-moves" fails="race-by-hand race-torch"
def race(makers, H, start, rates, tol, max_steps):
    results = {}
    for name, make in makers.items():
        results[name] = None
        for lr in rates:
            theta = start
            optimizer = make([theta], lr)
            for k in range(max_steps + 1):
                if theta @ H @ theta / 2 <= tol:
                    if results[name] is None or k < results[name][0]:
                        results[name] = (k, lr)
                    break
                theta.grad = H @ theta
                optimizer.step()
    return results


# %% [markdown] mistake="race-start-moves"
# Lets the optimizers change `start` itself, so each run begins where the last one ended.
#
# In the example worked by hand your runs soon begin close to the minimum, and you report 0 steps for both names; afterwards `start` is no
# longer 8. An optimizer moves its tensor in place. Print `start` before each run, and ask which tensor the maker was given.

# %% wrong="race-lost-at-limit" fails="race-by-hand race-limit"
def race(makers, H, start, rates, tol, max_steps):
    def run(make, lr):
        theta = start.clone()
        optimizer, k = make([theta], lr), 0
        while k < max_steps and not theta @ H @ theta / 2 <= tol:
            theta.grad = H @ theta
            optimizer.step()
            k += 1
        return k

    results = {}
    for name, make in makers.items():
        counts = [run(make, lr) for lr in rates]
        least = min(counts)
        results[name] = None if least == max_steps else (least, rates[counts.index(least)])
    return results


# %% [markdown] mistake="race-lost-at-limit"
# Takes a run that arrives exactly in step `max_steps` for a lost one.
#
# In the example worked by hand with `max_steps = 3` the first maker arrives in its third step, and you return `None` for it. A run that
# used up its steps may have arrived with the last of them: how does your code tell that from a run that did not arrive?

# %% wrong="race-no-half" fails="race-by-hand race-none race-limit"
def race(makers, H, start, rates, tol, max_steps):
    results = {}
    for name, make in makers.items():
        results[name] = None
        for lr in rates:
            theta = start.clone()
            optimizer = make([theta], lr)
            for k in range(max_steps + 1):
                if theta @ H @ theta <= tol:
                    if results[name] is None or k < results[name][0]:
                        results[name] = (k, lr)
                    break
                theta.grad = H @ theta
                optimizer.step()
    return results


# %% [markdown] mistake="race-no-half"
# Compares twice the loss with `tol`: the factor one half is missing.
#
# In the example worked by hand the position after three steps is 1 and the loss 0.5, which is small enough, but you compare 1 with `tol`
# and return 4 steps. Print the loss that you compare at the start 8: the statement has 32 there.

# %% wrong="race-last-step-unseen" fails="race-by-hand race-limit"
def race(makers, H, start, rates, tol, max_steps):
    results = {}
    for name, make in makers.items():
        results[name] = None
        for lr in rates:
            theta = start.clone()
            optimizer = make([theta], lr)
            for k in range(max_steps):
                if theta @ H @ theta / 2 <= tol:
                    if results[name] is None or k < results[name][0]:
                        results[name] = (k, lr)
                    break
                theta.grad = H @ theta
                optimizer.step()
    return results


# %% [markdown] mistake="race-last-step-unseen"
# Misses an arrival in the last step allowed: the loss after it does not count.
#
# With `H = [[1]]`, start 8, rate 1 and `max_steps = 1` the one step lands on the minimum, and you answer `None`. The statement says whether
# the loss after the last step counts. At how many places does a walker stand in a run of n steps, the start included?

# %% wrong="race-largest-rate" fails="race-none race-torch"
def race(makers, H, start, rates, tol, max_steps):
    results = {}
    for name, make in makers.items():
        results[name] = None
        for lr in rates:
            theta = start.clone()
            optimizer = make([theta], lr)
            for k in range(max_steps + 1):
                if theta @ H @ theta / 2 <= tol:
                    if results[name] is None or lr > results[name][1]:
                        results[name] = (k, lr)
                    break
                theta.grad = H @ theta
                optimizer.step()
        if results[name] is not None and results[name][0] == 0:
            results[name] = (0, max(rates[1:]))
    return results


# %% [markdown] mistake="race-largest-rate"
# Keeps the largest rate that arrived, not the rate with the fewest steps.
#
# Take `H = [[1]]`, start 8, `tol` 0.5 and plain descent: the rate 1.0 arrives in 1 step, 0.5 and 1.5 in 3 each. With the rates 0.5, 1.0,
# 1.5 you return (3, 1.5). What does the statement compare, and which rate wins where two runs are equal?

# %% wrong="race-optimizer-reused" fails="race-torch"
def race(makers, H, start, rates, tol, max_steps):
    results = {}
    for name, make in makers.items():
        results[name] = None
        theta = start.clone()
        optimizer = make([theta], rates[0])
        for lr in rates:
            theta.copy_(start)
            optimizer.param_groups[0]["lr"] = make([start.clone()], lr).param_groups[0]["lr"]
            for k in range(max_steps + 1):
                if theta @ H @ theta / 2 <= tol:
                    if results[name] is None or k < results[name][0]:
                        results[name] = (k, lr)
                    break
                theta.grad = H @ theta
                optimizer.step()
    return results


# %% [markdown] mistake="race-optimizer-reused"
# Uses one optimizer for all rates, so its memory passes from one run to the next.
#
# Plain descent has no memory, so it hides this. With momentum 0.9, `H = [[1]]`, start 8, `tol` 0.5, the rate 0.2 alone arrives in 3 steps;
# with the rates 0.1 and 0.2 you return (5, 0.1), as the second run starts with the first one's velocity. What is new in each run, says the
# statement?

# %% right="race-autograd"
def race(makers, H, start, rates, tol, max_steps):
    results = {}
    for name, make in makers.items():
        best = None
        for lr in rates:
            point = start.clone().requires_grad_()
            optimizer, k = make([point], lr), 0
            while True:
                loss = 0.5 * point @ (H @ point)
                if not torch.isfinite(loss) or loss.item() <= tol or k == max_steps:
                    break
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                k += 1
            if loss.item() <= tol and (best is None or k < best[0]):
                best = (k, lr)
        results[name] = best
    return results


# %% [markdown] survives="race"
# - `if theta @ (theta @ H) / 2 <= tol:`: H is symmetric
# - `if H @ theta @ theta / 2 <= tol:`: H is symmetric
# - `theta.grad = theta @ H`: H is symmetric

# %% [markdown] explanation="race"
# One rate for all compares learning rates, not optimizers: the winner is the one whose scale the rate happens to suit.
# A fair search gives each the same number of trials on a grid wide enough that no best rate stands at its end.
# `start.clone()` for each run: an optimizer changes its tensor in place, and the second run would begin where the first ended.
# The optimizer must be new as well: it carries velocity, averages and step numbers.
# `nan <= tol` is False, so a diverged run counts as not arrived without a test of its own.

# %% [markdown]
# ### Back to the valley
#
# Now the question of the beginning: all five in Rosenbrock's valley, 300 steps, from three starts.
# What counts is the distance to the star after the last step; the best of 19 rates is chosen for each start separately.

# %% tags=["nbval-ignore-output"]
valley_starts = torch.tensor([[-1.5, 2.0], [-1.2, 1.0], [-1.0, -0.5]]).double()
walks, distances = {}, {}
for name, make in optimizers.items():
    runs = torch.stack([trace(make, 10 ** (e / 4), valley_gradient, valley_starts, 300) for e in range(-16, 3)])  # (19, 301, 3, 2)
    last = (runs[:, -1] - 1).norm(dim=-1).nan_to_num(math.inf)  # (19, 3)
    distances[name], best = last.min(dim=0)
    walks[name] = runs[best[0], :, 0]
    print(f"{name:9}", [f"{d:.2f}" for d in distances[name]])
nearest = [min(distances, key=lambda name, i=i: distances[name][i]) for i in range(3)]
print("nearest from each start:", nearest)

# %%
fig, axes = plt.subplots(1, 5, figsize=(13, 2.9), sharey=True)
for ax, (name, path) in zip(axes, walks.items(), strict=True):
    draw_valley(ax)
    ax.plot(*path.T, ".-", color=colours[name], ms=3, lw=0.8)
    ax.plot(*path[0], "o", color="tab:red", mec="w", ms=8, zorder=6)
    ax.plot(*path[-1], "s", color="w", mec="k", ms=6, zorder=6)
    ax.set_title(f"{name}: {distances[name][0]:.2f} away")
    ax.label_outer()
plt.show()
assert distances["momentum"].max() < 0.2 and distances["Adam"].max() < 0.2 and distances["SGD"].min() > 0.5
assert nearest == ["Adam", "momentum", "Adam"]

# %% [markdown]
# **The answer to the first question**: Adam came nearest to the star from two of the three starts, momentum from the third; SGD stayed far away.
# With one rate for all three starts the order is another question (the farthest of Adam's three ends is then 0.28 away, of momentum's 0.63).
# The walks go from the red dot to the white square. Orange, green and red leave the picture at first: at their best rates
# the first steps leap out of the valley.

# %% [markdown]
# ## Noise, and the size of a batch
#
# So far the gradients were exact.
# In training, a step sees the mean gradient of a **mini-batch** (小批量) of $b$ samples, drawn from $N$; its difference from the full gradient
# is the **gradient noise** (梯度噪声).
# Let $\sigma^2$ be the mean squared distance of one sample's gradient from the full one (the squares of all coordinates are *summed*).
# If the $b$ samples are drawn **with replacement** (有放回), so that a sample may come twice, they are independent, and
#
# $$\mathrm{E}\,\lVert \bar g_b - \bar g \rVert^2 = \frac{\sigma^2}{b} \quad\text{(with replacement)}, \qquad \frac{\sigma^2}{b}\cdot\frac{N-b}{N-1} \quad\text{(without)}.$$
#
# ($\mathrm E$ is the mean over all batches that could be drawn.)
# A `DataLoader` with `shuffle=True` draws without replacement: its noise is smaller, and 0 for $b = N$.
# The *sum* of a batch is $b$ times the mean, so its variance **grows**, as $b\,\sigma^2$: one more reason for the mean as a loss.
#
# We measure it on the digits (8 × 8 pixels, ten classes), softmax regression (chapter 7) with all weights 0.
# There the gradient of one sample's cross entropy for the weights is $(p - y)\,x^\top$, with the probabilities $p$, the one-hot target $y$ and the pixels $x$.

# %% setup="digits"
bunch = load_digits()
X = torch.tensor(bunch.data, dtype=torch.float32) / 16  # (1797, 64): pixels from 0 to 1
y = torch.tensor(bunch.target)  # (1797,)
shuffled = torch.randperm(1797, generator=torch.Generator().manual_seed(0))
train_rows, val_rows, test_rows = shuffled[:1000], shuffled[1000:1400], shuffled[1400:]

# %%
residual = 0.1 - nn.functional.one_hot(y[train_rows], 10).double()  # p - y, (1000, 10)
per_sample = (residual[:, :, None] * X[train_rows].double()[:, None]).flatten(1)  # (1000, 640)
full = per_sample.mean(0)
sigma2 = (per_sample - full).square().sum(1).mean()
sizes = [1, 3, 10, 30, 100, 300, 1000]
noise = {"with replacement": [], "without": []}
generator = torch.Generator().manual_seed(0)
for b in sizes:
    picks = [torch.randint(1000, (200, b), generator=generator), torch.rand(200, 1000, generator=generator).argsort(1)[:, :b]]
    for kind, rows in zip(noise, picks, strict=True):
        noise[kind].append(sum((per_sample[i].mean(0) - full).square().sum().item() for i in rows) / 200)
logs = torch.tensor([sizes, noise["with replacement"]]).log10()
slope = ((logs[0] - logs[0].mean()) * (logs[1] - logs[1].mean())).sum() / (logs[0] - logs[0].mean()).square().sum()
print(f"slope on log-log axes, with replacement: {slope:.1f}")
assert -1.05 < slope < -0.95 and noise["without"][-1] < 1e-20

# %% [markdown]
# The slope is −1, as the formula says: ten times the batch, a tenth of the variance, and $1/\sqrt{10}$ of the *length* of the error.
# What does the noise do to a descent with a constant rate?
# On $L = \frac12\theta^2$ we add to each gradient a random number of variance $1/b$, and draw the loss, the mean of 2,000 walkers.

# %%
fig, axes = plt.subplots(1, 2, figsize=(11, 3.7))
curve = torch.logspace(0, 3, 300, base=10)[:-1]
axes[0].loglog(curve, sigma2 / curve, color="0.6", label="σ² / b")
axes[0].loglog(curve, sigma2 / curve * (1000 - curve) / 999, color="tab:orange", lw=1, label="σ² / b · (N - b) / (N - 1)")
axes[0].loglog(sizes, noise["with replacement"], "o", color="0.3", label="with replacement, measured")
axes[0].loglog(sizes[:-1], noise["without"][:-1], "s", color="tab:orange", ms=5, label="without, measured")
axes[0].set(xlabel="batch size b", ylabel="mean squared error of the gradient", title="Gradient noise, digits, N = 1,000")
axes[0].legend(fontsize=8)
floors = {}
for (lr, b), colour in zip([(0.3, 1), (0.3, 10), (0.03, 1)], ["tab:red", "tab:blue", "tab:green"], strict=True):
    generator, theta, losses = torch.Generator().manual_seed(1), torch.full((2000,), 10.0), []
    for _ in range(300):
        losses.append(theta.square().mean() / 2)
        theta = theta - lr * (theta + torch.randn(2000, generator=generator) / b**0.5)
    floors[lr, b] = torch.stack(losses[-50:]).mean().item()
    axes[1].semilogy(losses, color=colour, label=f"lr {lr}, batch {b}")
axes[1].set(xlabel="step", ylabel="mean loss", title="Noise keeps a constant rate from arriving")
axes[1].legend()
plt.show()
print("levels:", {key: f"{level:.2g}" for key, level in floors.items()})

# %% [markdown]
# On the left the measured points lie on their lines; the orange ones bend down where the batch is a good part of the data.
# On the right each curve falls to a level and stays there.
# A tenth of the rate, or ten times the batch, lowers the level about tenfold: red to green, or red to blue; green pays with time.
# So there is no arriving at a constant rate; chapter 13 lowers the rate while it runs.
#
# A larger batch also costs more: $b$ gradients for a step whose error shrinks with $\sqrt b$ only.

# %% [markdown]
# ### Exercise 8: measure the noise (7 points)
#
# Write `batch_noise(G, batch_size, n_batches, generator, replacement=True)`.
# `G` `(N, D)` holds one gradient in each row, float64. Draw `n_batches` batches of `batch_size` rows at random, each batch anew from all rows,
# by `generator` (a `torch.Generator`: use it for every random draw, and no other source).
# Return a Python float: the mean over the batches of $\lVert \bar g_b - \bar g\rVert^2$,
# where $\bar g_b$ is the mean of the batch's rows, $\bar g$ the mean of all rows of `G`, and $\lVert\cdot\rVert^2$ the **sum** of the $D$ squares.
#
# - With `replacement=True` each row of a batch is drawn from all $N$ rows, independently. Without, the rows of one batch are all different;
#   then `batch_size` is at most $N$.
# - Draw: the formulas above give the mean over *all* batches, not the value of these. How you draw is free. `G` stays as it was.
#
# By hand: `G = [[0, 0], [2, 4]]` has the mean (1, 2), and each row has the squared distance $1 + 4 = 5$ from it. So batches of 1 give exactly 5, and batches
# of 2 without replacement exactly 0; with replacement half of them are a row taken twice, and the result is near 2.5.
#
# <details><summary>Hint 1</summary>What does <code>torch.randint</code> draw, and what <code>torch.randperm</code>? Both take
# <code>generator=</code>.</details>
# <details><summary>Hint 2</summary>If <code>rows</code> has the shape (n_batches, batch_size), what is the shape of
# <code>G[rows]</code>, and which axis is the batch? A loop over the batches is fine too.</details>


# %% exercise="noise"
def batch_noise(G: torch.Tensor, batch_size: int, n_batches: int, generator: torch.Generator, replacement: bool = True) -> float:
    """Return the mean squared distance of a batch's mean gradient from the mean of all rows of `G` (N, D)."""
    # BEGIN SOLUTION
    if replacement:
        rows = torch.randint(len(G), (n_batches, batch_size), generator=generator)
    else:
        rows = torch.rand(n_batches, len(G), generator=generator).argsort(dim=1)[:, :batch_size]
    errors = G[rows].mean(dim=1) - G.mean(dim=0)  # (n_batches, D)
    return errors.square().sum(dim=1).mean().item()
    # END SOLUTION


# %% check="noise-by-hand" points=1
def by_hand(size, replacement, n_batches=50):
    return batch_noise(torch.tensor([[0.0, 0.0], [2.0, 4.0]]).double(), size, n_batches, torch.Generator().manual_seed(1), replacement)


got = [by_hand(1, True), by_hand(1, False), by_hand(2, False)]
assert [type(v) for v in got] == [float] * 3, f"batch_noise must return a Python float (use .item()), got {[type(v).__name__ for v in got]}"
assert_close(
    got,
    [5.0, 5.0, 0.0],
    msg=lambda m: (
        f"batches of 1 with and without replacement, and of 2 without: expected [5, 5, 0], got {got}. First 2.5: mean over D, not sum; "
        f"2.236: a root, the norm is squared; 250: sum over the batches; 0: each batch was compared with itself. "
        f"Third near 2.5: replacement=False was not read; third 5: the sum of the batch, or squares taken before its mean\n{m}"
    ),
)
twice = by_hand(2, True, 4000)
assert 2.2 < twice < 2.8, (
    f"batches of 2 with replacement: near 2.5, got {twice:.3g}. Near 10: the sum of the batch, not its mean; 0: drawn without replacement"
)
print("passed: batches of one and two by hand")


# %% check="noise-slope" points=1
def at_sizes(G):
    return [batch_noise(G, b, 1000, torch.Generator().manual_seed(2)) for b in (2, 32)]


_ = torch.manual_seed(2)
cloud = torch.randn(40, 3).double() * 2 + 5
got = at_sizes(cloud)
assert [type(g) for g in got] == [float, float], f"batch_noise must return a float, got {got}. None: `return` is missing"
assert got[1] > 0, f"batches of 32 of 40 rows have noise too, got {got[1]}: was each batch compared with itself?"
assert 12 < got[0] / got[1] < 21, (
    f"batches 16 times as large have a 16th of the noise (with replacement), got {got[0]:.3g} / {got[1]:.3g} = {got[0] / got[1]:.3g}. "
    "Above 40: drawn without replacement; 4: not squared; near 0.06: the variance of the sum"
)
print("passed: the variance of the mean falls like 1 / b")


# %% check="noise-draws" points=1
def seeded(replacement):
    G = torch.tensor([[0.0, 1.0], [2.0, -3.0], [5.0, 4.0], [7.5, 0.25], [-1.0, 6.0]]).double()
    return [batch_noise(G, 2, 30, torch.Generator().manual_seed(seed), replacement) for seed in (4, 4, 7)]


def half_of_four():
    G = torch.tensor([[0.0, 0.0], [0.0, 0.0], [2.0, 4.0], [2.0, 4.0]]).double()
    return batch_noise(G, 2, 4000, torch.Generator().manual_seed(5), False)


for replacement in (True, False):
    got = seeded(replacement)
    assert [type(v) for v in got] == [float] * 3, f"batch_noise must return a float, got {got}. None: `return` is missing"
    assert got[0] == got[1], (
        f"replacement={replacement}: the same seed twice must give the same number, got {got[:2]}: draw by `generator` only"
    )
    assert got[1] != got[2], (
        f"replacement={replacement}: another seed draws other batches, got {got[1:]}: was nothing drawn (a formula)? "
        "0: each batch was compared with itself"
    )
got = half_of_four()
assert 1.45 < got < 1.9, (
    f"rows (0, 0) twice and (2, 4) twice, batches of 2 without replacement: two equal rows (5) in a third of all batches, else 0, "
    f"so near 1.67, got {got:.3g}. 0 or 5: one permutation serves all batches; 2.5: drawn with replacement"
)
print("passed: every batch is drawn anew, by the generator")


# %% hidden="noise-formula" points=3
def measured(G, size, replacement):
    return batch_noise(G, size, 4000, torch.Generator().manual_seed(3), replacement)


_ = torch.manual_seed(3)
G_ = torch.randn(12, 4).double() * torch.tensor([1.0, 3.0, 0.5, 2.0]).double() - 7
spread_ = (G_ - G_.mean(0)).square().sum(1).mean().item()
for size, replacement in ((3, True), (12, True), (20, True), (3, False), (9, False), (11, False)):
    wanted = spread_ / size * (1 if replacement else (12 - size) / 11)
    got = measured(G_, size, replacement)
    assert abs(got / wanted - 1) < 0.15, (
        f"N = 12, batches of {size}, replacement={replacement}: expected about {wanted:.4g} from the formula, got {got:.4g}"
    )
whole = measured(G_, 12, False)
assert abs(whole) < 1e-20, f"a batch of all 12 rows without replacement has no noise, got {whole}"


# %% hidden="noise-random" points=1
def repeated():
    G = torch.arange(30.0).double().reshape(10, 3) ** 2
    before = torch.get_rng_state()
    values = [batch_noise(G, 4, 20, torch.Generator().manual_seed(seed), r) for r in (True, False) for seed in (5, 5, 6)]
    default = batch_noise(G, 4, 20, torch.Generator().manual_seed(5))
    return values, default, torch.equal(before, torch.get_rng_state()), torch.equal(G, torch.arange(30.0).double().reshape(10, 3) ** 2)


got, default, quiet, unchanged = repeated()
assert got[0] == got[1] != got[2] and got[3] == got[4] != got[5], f"equal seeds give equal results, others do not: got {got}"
assert default == got[0] and quiet is True and unchanged is True, (
    f"replacement is True by default, only `generator` is used, and G stays: got {default} for {got[0]}, {quiet}, {unchanged}"
)


# %% wrong="noise-of-the-sum" fails="noise-by-hand noise-slope noise-formula"
def batch_noise(G, batch_size, n_batches, generator, replacement=True):
    total = 0.0
    for _ in range(n_batches):
        rows = (
            torch.randint(len(G), (batch_size,), generator=generator)
            if replacement
            else torch.randperm(len(G), generator=generator)[:batch_size]
        )
        total += (G[rows].sum(0) - batch_size * G.mean(0)).square().sum().item()
    return total / n_batches


# %% [markdown] mistake="noise-of-the-sum"
# Measures the error of the sum of a batch's gradients, not of their mean.
#
# In the example worked by hand, batches of 2 with replacement give you about 10 where 2.5 is expected. Your result grows with the size of
# the batch; by the formula it must fall. For batches of 1 both agree, so try larger ones.

# %% wrong="noise-never-replaces" fails="noise-by-hand noise-slope noise-formula"
def batch_noise(G, batch_size, n_batches, generator, replacement=True):
    total = 0.0
    for _ in range(n_batches):
        rows = torch.randperm(len(G), generator=generator)[:batch_size]
        total += (G[rows].mean(0) - G.mean(0)).square().sum().item()
    return total / n_batches


# %% [markdown] mistake="noise-never-replaces"
# Draws without replacement whatever `replacement` says.
#
# In the example worked by hand a batch of 2 always holds both rows in your answer, so the noise with replacement is 0, and not near 2.5.
# Print the rows of some batches: with replacement some row must come twice now and then. What happens when a batch has more rows than `G`?

# %% wrong="noise-mean-over-d" fails="noise-by-hand noise-formula"
def batch_noise(G, batch_size, n_batches, generator, replacement=True):
    total = 0.0
    for _ in range(n_batches):
        rows = (
            torch.randint(len(G), (batch_size,), generator=generator)
            if replacement
            else torch.randperm(len(G), generator=generator)[:batch_size]
        )
        total += (G[rows].mean(0) - G.mean(0)).square().mean().item()
    return total / n_batches


# %% [markdown] mistake="noise-mean-over-d"
# Takes the mean of the D squares where their sum is asked for.
#
# In the example worked by hand each row has the distance 1 + 4 = 5, and you return 2.5. With one column you would never notice; with many
# columns the result is too small by that factor. Read the sentence with the word in bold once more.

# %% wrong="noise-closed-formula" fails="noise-draws noise-random"
def batch_noise(G, batch_size, n_batches, generator, replacement=True):
    spread = (G - G.mean(0)).square().sum(1).mean().item() / batch_size
    return spread if replacement else spread * (len(G) - batch_size) / (len(G) - 1)


# %% [markdown] mistake="noise-closed-formula"
# Returns the value of the formula and draws no batches at all.
#
# Ask for one single batch of 2 from the two rows worked by hand, with replacement: the result can only be 0 or 5, but you return 2.5, and
# the same for every seed. The formula is the mean over all batches that could be drawn; the statement wants that of the ones drawn here.

# %% wrong="noise-one-permutation" fails="noise-draws noise-formula"
def batch_noise(G, batch_size, n_batches, generator, replacement=True):
    order, total = torch.randperm(len(G), generator=generator), 0.0
    for i in range(n_batches):
        if replacement:
            rows = torch.randint(len(G), (batch_size,), generator=generator)
        else:
            rows = order.roll(-i * batch_size)[:batch_size]
        total += (G[rows].mean(0) - G.mean(0)).square().sum().item()
    return total / n_batches


# %% [markdown] mistake="noise-one-permutation"
# Shuffles once and cuts all batches without replacement from that one order.
#
# Four rows have six different pairs, but of one fixed order your code can only ever cut a few of them, the same again and again, however
# many batches are asked for. Print the rows of ten batches without replacement. What does "each batch anew from all rows" ask for?

# %% wrong="noise-global-seed" fails="noise-draws noise-random"
def batch_noise(G, batch_size, n_batches, generator, replacement=True):
    total = 0.0
    for _ in range(n_batches):
        rows = torch.randint(len(G), (batch_size,)) if replacement else torch.randperm(len(G))[:batch_size]
        total += (G[rows].mean(0) - G.mean(0)).square().sum().item()
    return total / n_batches


# %% [markdown] mistake="noise-global-seed"
# Draws from PyTorch's global random numbers, not from `generator`.
#
# Two calls with generators of the same seed give you two different numbers, so nobody can repeat your measurement, and each call also
# disturbs the random numbers of the rest of the program. Go through every random draw in your function and ask where its numbers come from.

# %% wrong="noise-within-batch" fails="noise-by-hand noise-formula"
def batch_noise(G, batch_size, n_batches, generator, replacement=True):
    total = 0.0
    for _ in range(n_batches):
        rows = (
            torch.randint(len(G), (batch_size,), generator=generator)
            if replacement
            else torch.randperm(len(G), generator=generator)[:batch_size]
        )
        total += (G[rows] - G[rows].mean(0)).square().sum(1).mean().item() / batch_size
    return total / n_batches


# %% [markdown] mistake="noise-within-batch"
# Measures the spread of a batch around its own mean, not the error of that mean.
#
# A batch of 1 is its own mean, so you return 0 in the example worked by hand, where 5 is expected. The spread inside a batch knows nothing
# of the other rows. Which two means does the formula in the statement compare?

# %% right="noise-loop"
def batch_noise(G, batch_size, n_batches, generator, replacement=True):
    centre, squares = G.mean(0), []
    for _ in range(n_batches):
        chosen = torch.multinomial(torch.ones(len(G)), batch_size, replacement=replacement, generator=generator)
        squares.append(((G[chosen].mean(0) - centre) ** 2).sum().item())
    return sum(squares) / len(squares)


# %% [markdown] survives="noise"
# - `rows = torch.randn(n_batches, len(G), generator=generator).argsort(dim=1)[:, :batch_size]`: only the order of the random numbers counts
# - `rows = torch.rand(n_batches, len(G), generator=generator).argsort()[:, :batch_size]`: the last axis is the default, and axis 1 the last
# - `errors = G.mean(dim=0) - G[rows].mean(dim=1)`: the errors are squared

# %% [markdown] explanation="noise"
# Independent terms: the variance of a sum of b is b times that of one, the mean divides by b, its variance by b squared, and 1/b is left.
# Without replacement the rows of a batch are slightly opposed to each other (who is in cannot come again), hence the factor (N - b)/(N - 1).
# The spread *within* the batch, divided by b, estimates the noise from one batch, but too low by (b - 1)/b; for a batch of one it is 0.
# One epoch of a shuffled loader is one long draw without replacement: its batches are not independent of each other either.

# %% [markdown]
# ### Flat and sharp minima: a remark
#
# A minimum with large curvature is called **sharp** (尖锐极小), one with small curvature **flat** (平坦极小).
# If the loss on new data is the training loss, slightly shifted, a sharp minimum pays more for the shift.
# And a descent with rate lr cannot rest where the curvature is above $2/\mathrm{lr}$ (chapter 5).
# Here are two minima with curvatures 100 and 4, and 200 walkers at two rates.


# %%
def two_minima(x: torch.Tensor) -> torch.Tensor:
    """A sharp minimum at -1 (curvature 100) and a flat one at 1 (curvature 4), both 0, smoothly joined."""
    return -torch.logaddexp(-50 * (x + 1) ** 2, -2 * (x - 1) ** 2)


line = torch.linspace(-1.9, 2.6, 600).double()
crowd_starts = torch.linspace(-1.45, -0.7, 200).double().requires_grad_()
fig, ax = plt.subplots(figsize=(7, 3.2))
ax.plot(line, two_minima(line), color="k", label="training")
ax.plot(line, two_minima(line - 0.15), color="0.5", ls="--", label="new data, shifted by 0.15")
for lr, colour, height in ((0.005, "tab:blue", -0.5), (0.05, "tab:red", -1.0)):
    crowd = crowd_starts.detach().clone().requires_grad_()
    walker = torch.optim.SGD([crowd], lr=lr)
    for _ in range(600):
        walker.zero_grad()
        two_minima(crowd).sum().backward()
        walker.step()
    ax.plot(crowd.detach(), torch.full((200,), height), "|", color=colour, ms=14, label=f"200 ends (all in one place), lr {lr}")
    print(f"lr {lr}: in the sharp minimum {(crowd < -0.5).sum()}, in the flat one {(crowd > 0.5).sum()}")
ax.set(xlabel="θ", ylabel="loss", ylim=(-1.6, 6), title="A sharp and a flat minimum")
ax.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.63, 1))
plt.show()

# %% [markdown]
# All walkers start in the sharp valley. At the small rate all stay; at the large one all are thrown out, and end in the flat one,
# where the shift costs less.
#
# Do not read this picture for more.
# Keskar and others (2017) found flatter minima, and better test accuracy, with small batches in their networks;
# Dinh and others (2017) rescaled a ReLU network, without changing what it computes, so that a flat minimum became a sharp one.
# "Small batches are better on test data" and "gradient descent hardly ever gets stuck" are observations: often true, and no laws.

# %% [markdown]
# ## The real task: the same race on digits
#
# A network 64-64-64-10 learns from 1,000 digits; 400 validate, 397 test.
# All five optimizers get the same budget (10 epochs of batches of 50, so 200 steps), the same seven rates (0.0018 to 1.8, half a decade apart), and the same
# six seeds for first weights and batches.
# The **validation loss** (验证损失), averaged over the seeds, chooses each one's rate (chapter 6).
# The test digits are looked at once, at the end.
#
# The networks of the six seeds are trained side by side, as one with a longer first axis: all five optimizers act element by element,
# and each network's weights occur in its own loss only.


# %%
def logits(params: list[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """Six networks at once: x (6, B, 64) to (6, B, 10); every parameter has a first axis of 6, one place for each seed."""
    W1, b1, W2, b2, W3, b3 = params
    hidden = torch.relu(x @ W1.mT + b1[:, None])
    hidden = torch.relu(hidden @ W2.mT + b2[:, None])
    return hidden @ W3.mT + b3[:, None]


def seed_losses(params: list[torch.Tensor], rows: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy of each seed's network on its own rows (6, B); shape (6,)."""
    each = nn.functional.cross_entropy(logits(params, X[rows]).flatten(0, 1), y[rows].flatten(), reduction="none")
    return each.reshape(rows.shape).mean(1)


def first_params(seed: int) -> list[torch.Tensor]:
    """First weights and biases of the three layers, as nn.Linear draws them."""
    _ = torch.manual_seed(seed)
    layers = [nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10)]
    return [p.detach() for layer in layers for p in layer.parameters()]


# %%
def train_digits(make, lr: float, batch_size: int = 50, n_steps: int = 200) -> tuple[torch.Tensor, torch.Tensor]:
    """Train with seeds 0 to 5. Return the training losses after each 20 steps (n, 6), and the scores (3, 6):
    training loss, validation loss and test accuracy at the end (rows) of each seed (columns)."""
    params = [nn.Parameter(torch.stack(same)) for same in zip(*map(first_params, range(6)), strict=True)]
    dice = [torch.Generator().manual_seed(seed) for seed in range(6)]
    optimizer, history, batches = make(params, lr), [], []
    for k in range(n_steps):
        if not batches:
            batches = list(train_rows[torch.stack([torch.randperm(1000, generator=d) for d in dice])].split(batch_size, dim=1))
        optimizer.zero_grad()
        seed_losses(params, batches.pop()).sum().backward()
        optimizer.step()
        if k % 20 == 19:
            with torch.no_grad():
                history.append(seed_losses(params, train_rows.expand(6, -1)))
    with torch.no_grad():
        right = (logits(params, X[test_rows].expand(6, -1, -1)).argmax(2) == y[test_rows]).float().mean(1)
        ends = [seed_losses(params, part.expand(6, -1)) for part in (train_rows, val_rows)]
    return torch.stack(history) if history else torch.empty(0, 6), torch.stack([*ends, right])


# %% tags=["nbval-ignore-output"]
digit_rates = [10 ** (e / 4) for e in range(-11, 2, 2)]
runs = {(name, lr): train_digits(make, lr) for name, make in optimizers.items() for lr in digit_rates}
table = {key: ends for key, (_, ends) in runs.items()}  # (3 scores, 6 seeds) each
chosen = {name: min(digit_rates, key=lambda lr, n=name: table[n, lr][1].mean().nan_to_num(math.inf)) for name in optimizers}
print("chosen rates:", {name: f"{lr:.2g}" for name, lr in chosen.items()})

# %%
fig, axes = plt.subplots(1, 3, figsize=(13.5, 3.9), width_ratios=[5, 4, 3])
for place, (name, colour) in enumerate(colours.items()):
    losses = torch.stack([table[name, lr][0] for lr in digit_rates])  # (7, 6)
    axes[0].loglog(digit_rates, losses.mean(1), ".-", color=colour)
    axes[0].fill_between(digit_rates, losses.amin(1), losses.amax(1), color=colour, alpha=0.15, lw=0)
    axes[0].plot(chosen[name], losses.mean(1)[digit_rates.index(chosen[name])], "*", color=colour, ms=14)
    curves = runs[name, chosen[name]][0].mean(1)
    axes[1].semilogy(range(20, 201, 20), curves, ".-", color=colour, label=name)
    axes[2].plot(table[name, chosen[name]][2], [place] * 6, "o", color=colour, alpha=0.7)
axes[0].set(
    xlabel="learning rate",
    ylabel="training loss after 200 steps",
    title="Final loss against rate (mean and range, 6 seeds)",
    ylim=(0.01, 6),
)
axes[1].legend(fontsize=8, loc="upper right")
axes[1].set(xlabel="step", ylabel="training loss (mean of 6 seeds)", title="Each at its chosen rate")
axes[2].set(xlabel="test accuracy, each seed", title="Test", yticks=range(5), xlim=(0.88, 1.0))
axes[2].set_yticklabels(list(optimizers))
axes[2].invert_yaxis()
plt.show()

# %% tags=["nbval-ignore-output"]
means = {name: table[name, chosen[name]][2].mean().item() for name in optimizers}
print("test accuracy, mean of 6 seeds:", {name: f"{100 * mean:.0f} %" for name, mean in means.items()})
assert min(means.values()) > 0.9 and max(means.values()) - min(means.values()) < 0.04
assert all(0 < digit_rates.index(lr) < 6 for lr in chosen.values())  # no best rate at an end of the grid

# %%
for place in (0, 4):
    sgd, adam = (table[name, digit_rates[place]][0].mean().nan_to_num(math.inf).item() for name in ("SGD", "Adam"))
    print(f"both at {digit_rates[place]:.2g}: SGD below 1: {sgd < 1}, Adam below 1: {adam < 1}")
    assert (sgd < 0.5 < 1 < adam) if place else (adam < 0.5 < 2 < sgd)

# %% [markdown]
# The left panel is the main result.
#
# - Every curve has a valley, and climbs steeply on its right. The valleys stand at different places: near 0.01 for Adam and RMSprop, near 0.1 for Adagrad and momentum, near 0.5 for SGD.
# - So *one rate for all* can crown whom you like. At 0.0018, near the default of several optimizers, Adam learns and SGD has not begun to;
#   at 0.18 SGD learns, and Adam has lost its way.
# - Each at its own rate, the five end close together on the test digits: their means are 93 to 95 %,
#   and the six seeds of one and the same optimizer differ by as much as the optimizers do. These runs cannot tell which of them is best:
#   SGD is last here, and with the seeds 6 to 11 it was level with the best. Adam ends with the lowest loss in the middle panel;
#   on the test digits nothing is left of that.
#
# "Adam is always best" is thus not what we found, nor what Wilson and others (2017) found: in several of their networks SGD with momentum,
# well tuned, was better on test data. What speaks for Adam is that its steps are seldom much longer than lr, whatever the scale of the gradients.
# All of this holds for one small network, one budget, and an untuned momentum of 0.9.
#
# **Try it**, when your answers are done: put `lambda params, lr: Adam(params, lr)` in the place of PyTorch's in `optimizers` and run the cells above again.

# %% [markdown]
# ### Does a small batch win?
#
# SGD with three batch sizes, six seeds, each at the better of the rates 0.18 and 0.56 (by validation loss), first for equal *epochs*, then for equal *steps*.

# %% tags=["nbval-ignore-output"]
by_budget = {}
for budget in ("10 epochs", "200 steps"):
    line_of = []
    for batch_size in (50, 250, 1000):
        n_steps = 200 if budget == "200 steps" else 10_000 // batch_size
        tries = [train_digits(optimizers["SGD"], lr, batch_size, n_steps)[1].mean(1) for lr in (10**-0.75, 10**-0.25)]
        line_of.append(min(tries, key=lambda three: three[1]))
    by_budget[budget] = [best[2].item() for best in line_of]
    print(budget, "- test accuracy of batches of 50, 250, 1000:", [f"{accuracy:.2f}" for accuracy in by_budget[budget]])
assert by_budget["10 epochs"][0] > by_budget["10 epochs"][2] + 0.15
assert min(by_budget["200 steps"]) > 0.88 and by_budget["200 steps"][0] < by_budget["200 steps"][2] + 0.03

# %% [markdown]
# For equal epochs the small batch wins by far: it took 200 steps, the "batch" of all data 10.
# For equal steps it wins no more (the large batch has read 20 times as many samples).
# Whoever reports that "small batches are better" must say what was held equal.
#
# ## What goes wrong in practice
#
# - **One rate for all.** The rate of another optimizer, or of another program, is no starting point: search a log grid, and widen it if the best stands at an end.
# - **The optimizer was made before the parameters were final.** Layers that are added or replaced afterwards are in no group, and never move. `add_param_group` adds them.
# - **A new optimizer in the middle of training** (one per epoch, or on resuming without its state, chapter 19) forgets velocity and averages.
# - **`grad is None` is not a zero gradient.** A parameter without a gradient is skipped; with a gradient of zero, momentum and Adam still move it, by what they remember.
# - **$\varepsilon$ matters where gradients are tiny**, and its place differs between libraries.
# - **A divided step does not shrink with the gradient.** On $\frac12\theta^2$ with noisy gradients, at a constant rate, RMSprop went on jumping by 0.8 lr,
#   and Adam by 0.2 lr; lower the rate (chapter 13).
# - **`weight_decay` in Adam is L2**, and mostly not what was meant: use AdamW.
#
# ## Summary
#
# - An optimizer keeps groups of parameters with options, and a state for each parameter; `step` changes the parameters in place.
# - Momentum adds up gradients, which cancel across a ravine and grow along it. The rate stays outside the sum.
# - Adagrad and RMSprop divide each gradient by the root of its own squares, summed or averaged; Adam divides an averaged gradient by the root of an averaged
#   square, and corrects both for their start at 0. It looks back over $1/(1-\beta_2)$ = 1000 steps.
# - The rate means something else for each of them, so compare only tuned optimizers; adaptive rates work along the axes of the parameters.
# - The variance of a batch's mean gradient is $\sigma^2/b$; a constant rate turns it into a level below which the loss does not fall.
#
# ## Terms
#
# | English | 中文 | in one line |
# |---|---|---|
# | learning rate | 学习率 | the factor lr of a step; for Adam, roughly the limit of a step |
# | in place | 原地 | the tensor stays the same object and gets new numbers |
# | parameter group | 参数组 | parameters with common options |
# | ravine | 峡谷 | a loss that is steep in one direction and flat in another |
# | condition number | 条件数 | largest eigenvalue of the Hessian over the smallest |
# | velocity | 速度 | fading sum of past gradients |
# | momentum | 动量 | the factor μ by which the velocity fades; also the method |
# | dampening | 阻尼 | factor 1 − τ on the new gradient in the velocity |
# | Nesterov momentum | 涅斯捷罗夫动量 | momentum with the gradient taken at the point looked ahead to |
# | adaptive rate | 自适应学习率 | a rate of its own for each parameter, made from its gradients |
# | Adagrad | 自适应梯度算法 | divides by the root of the sum of squared gradients |
# | RMSprop (root mean square) | 均方根 | divides by the root of their exponential average |
# | Adam | 自适应矩估计 | averaged gradient over root of averaged square, both corrected |
# | effective steps | 有效步数 | 1/(1 − β): how far back an exponential average looks |
# | bias correction | 偏差修正 | division by 1 − βᵏ, because the average started at 0 |
# | weight decay | 权重衰减 | shrinking the parameters a little at each step |
# | tolerance | 容差 | the loss that counts as arrived |
# | validation loss | 验证损失 | loss on data that choose, but do not train |
# | mini-batch | 小批量 | the samples of one step |
# | gradient noise | 梯度噪声 | difference of a batch's mean gradient from the full one |
# | with replacement | 有放回 | a sample may be drawn twice |
# | sharp / flat minimum | 尖锐极小 / 平坦极小 | with large / small curvature |
#
# ## Reading
#
# - B. T. Polyak, "Some methods of speeding up the convergence of iteration methods", 1964.
# - J. Duchi, E. Hazan, Y. Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization", 2011.
# - T. Tieleman, G. Hinton, "Neural Networks for Machine Learning", Lecture 6.5 (RMSprop), 2012.
# - I. Sutskever, J. Martens, G. Dahl, G. Hinton, "On the importance of initialization and momentum in deep learning", 2013.
# - D. P. Kingma, J. Ba, "Adam: A Method for Stochastic Optimization", 2015.
# - A. C. Wilson and others, "The Marginal Value of Adaptive Gradient Methods in Machine Learning", 2017.
# - N. S. Keskar and others, "On Large-Batch Training for Deep Learning: Generalization Gap and Sharp Minima", 2017.
# - L. Dinh and others, "Sharp Minima Can Generalize For Deep Nets", 2017.
# - PyTorch documentation, `torch.optim`: the algorithms line by line.
