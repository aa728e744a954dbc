# %% [markdown] needs="04 05" sittings="2"
# # Module, loop, data
#
# A program has been shown 5,000 pictures of clothes, each with its name.
# Asked about these same 5,000 pictures again, it is right every time.
# How many of the *next* 1,000 pictures will it get right?
#
# The figure below has garments of the ten kinds.
# At the end of the chapter we meet this perfect program again, answer the question, and build a better one.
#
# After this chapter you can
#
# - write a layer of your own, and see what a network is made of,
# - train any network with the same five lines, and find the mistake in a loop that runs and yet does not learn,
# - turn a file into a `Dataset`, and a `Dataset` into shuffled batches,
# - scale the inputs without letting the test data speak,
# - keep training, validation and test apart, and report a number that you can defend.
#
# The chapter takes two sittings; a resting place is marked after Exercise 3.
# "Common notes" are lecture notes found on the web; where their sentences are wrong, we check them and say so.

# %% [markdown]
# ## Setup
#
# All imports stand in one cell.
# Some figures take many lines to draw. You need not read the drawing code.

# %% setup="imports"
import copy
import io
import itertools  # this and weakref are used by checks only
import os
import weakref
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import torch
from torch import nn
from torch.testing import assert_close
from torch.utils.data import DataLoader, Dataset, TensorDataset, get_worker_info
from torchvision import transforms
from torchvision.datasets import CIFAR10, FakeData, FashionMNIST

DATA = Path(os.environ.get("COURSE_DATA", "../../data"))
plt.rcParams["figure.constrained_layout.use"] = True

# %%
clothes = FashionMNIST(DATA, train=True)  # 60,000 pictures, read from the disk, nothing is downloaded
fig, axes = plt.subplots(2, 10, figsize=(11, 2.7))
for c, name in enumerate(clothes.classes):
    for ax, place in zip(axes[:, c], (clothes.targets == c).nonzero()[:2, 0].tolist(), strict=True):
        ax.imshow(clothes.data[place], cmap="gray_r")
        ax.set(xticks=[], yticks=[])
    axes[0, c].set_title(name, fontsize=9)
plt.show()

# %% [markdown]
# Two pictures of each kind, 28 × 28 **pixels** (像素), from Fashion-MNIST.
# A kind is also called a **class** (类别), and the number of a picture's kind, 0 to 9, its **label** (标签).
# Trousers look like nothing else; a shirt, a pullover and a coat are hard to tell apart even for us.
#
# ## A layer is an object
#
# `nn.Linear(3, 2)` is a **layer** (层) that turns 3 numbers into 2: $y = x W^\top + b$, with weights $W$ of shape `(2,
# 3)` and a bias $b$ of shape `(2,)`.
# It is an object that is called like a function (chapter 1), and it takes a whole batch, one sample a row.

# %%
layer = nn.Linear(3, 2)
print("a batch of 5 gives", tuple(layer(torch.zeros(5, 3)).shape))
print([(name, tuple(p.shape)) for name, p in layer.named_parameters()])

# %% [markdown]
# Note the shape of the weights: *outputs first*.
#
# Every layer and every network is an `nn.Module` (模块).
# To make one of our own we write a class with two methods: `__init__` builds the parts, **`forward`** (前向) computes the output.
# There is no `backward` to write: autograd (chapter 4) records what `forward` does, and finds the way back.
# We call `net(x)`, never `net.forward(x)`: the call does some more things around `forward`.
#
# Which tensors of a module will be trained?
# Those that it has *registered*. Two kinds of attributes are registered for training: a tensor wrapped in **`nn.Parameter`** (参数),
# and another module, with all its parameters.
# (A third kind, the **buffer** (缓冲区), is kept with the module and not trained: chapter 14.)
# The next class has a factor and a shift; look at what is found.


# %%
class Stretch(nn.Module):
    """y = factor · x + shift; only one of the two will be trained."""

    def __init__(self):
        super().__init__()  # without this line, the next one is an error
        self.factor = nn.Parameter(torch.ones(1))
        self.shift = torch.zeros(1, requires_grad=True)  # a plain tensor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.factor * x + self.shift


print([name for name, _ in Stretch().named_parameters()])

# %% [markdown]
# The shift is missing, although it asks for a gradient.
# An **optimizer** (优化器), the object that changes the parameters, gets its list from `net.parameters()`; it never hears of the shift.
# Nothing complains: the network trains, and is a little worse than it should be.

# %% [markdown]
# ### Exercise 1: a linear layer of your own (7 points)
#
# Write the class `MyLinear(n_in, n_out, bias=True)`, a subclass of `nn.Module`, with
#
# - the parameter `weight`, shape `(n_out, n_in)`, and then the parameter `bias`, shape `(n_out,)`; both float32;
#   with `bias=False` the attribute `bias` is `None`, and there is one parameter only;
# - first values drawn at random, evenly between $-1/\sqrt{n_{in}}$ and $+1/\sqrt{n_{in}}$, for weight and bias alike;
# - `forward(x)`: `x` has shape `(..., n_in)` with any number of axes in front, the result `(..., n_out)` is $x W^\top + b$.
#
# By hand: with weights `[[1, 0, 2], [0, 1, -1]]`, bias `[10, 20]` and `x = [1, 2, 3]` the result is `[1 + 6 + 10, 2 - 3 + 20] = [17, 19]`.
# Do not use `nn.Linear` or `torch.nn.functional.linear`. `tensor.uniform_(a, b)` fills a tensor with evenly drawn numbers, in place.
# The names are those of `nn.Linear`, so either can take over the other's parameters.
#
# <details><summary>Hint 1</summary>Which line must come first in <code>__init__</code>,
# and what did <code>Stretch</code> forget to wrap?</details>
# <details><summary>Hint 2</summary><code>torch.empty(n_out, n_in).uniform_(-a, a)</code> is the tensor; wrap it,
# and give it its name.</details>


# %% exercise="linear"
class MyLinear(nn.Module):
    """A linear layer: x (..., n_in) to (..., n_out); parameters weight (n_out, n_in) and bias (n_out,), or bias None."""

    def __init__(self, n_in: int, n_out: int, bias: bool = True):
        # BEGIN SOLUTION
        super().__init__()
        limit = n_in**-0.5
        self.weight = nn.Parameter(torch.empty(n_out, n_in).uniform_(-limit, limit))
        self.bias = nn.Parameter(torch.empty(n_out).uniform_(-limit, limit)) if bias else None
        # END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # BEGIN SOLUTION
        y = x @ self.weight.T
        return y if self.bias is None else y + self.bias
        # END SOLUTION


# %% check="linear-registered" points=1
def registered():
    try:
        return [(name, tuple(p.shape)) for name, p in MyLinear(3, 2).named_parameters()]
    except AttributeError as problem:
        return f"AttributeError: {problem}"


got = registered()
assert got == [("weight", (2, 3)), ("bias", (2,))], (
    f"MyLinear(3, 2) must have the parameters weight (2, 3) and bias (2,), in this order, got {got}. "
    "Empty or one missing: a tensor was not wrapped in nn.Parameter. A weight (3, 2): outputs come first. "
    "'before Module.__init__() call', or no attribute '_parameters': super().__init__() is missing, or not the first line of __init__"
)
print("passed: weight and bias are registered")


# %% check="linear-by-hand" points=1
def by_hand():
    try:
        layer = MyLinear(3, 2)
        with torch.no_grad():
            layer.weight.copy_(torch.tensor([[1.0, 0.0, 2.0], [0.0, 1.0, -1.0]]))
            layer.bias.copy_(torch.tensor([10.0, 20.0]))
        return layer(torch.tensor([1.0, 2.0, 3.0]))
    except NotImplementedError:  # not written yet
        raise
    except Exception as problem:
        return f"{type(problem).__name__}: {problem}"


got = by_hand()
assert type(got) is torch.Tensor, (
    f"calling the layer with x = [1, 2, 3] must give a tensor, got {got!r}. None: forward does not return. "
    "'before Module.__init__() call': super().__init__() is missing. "
    "mat1 and mat2, or sizes that do not match: weight stands as (n_out, n_in), and the formula needs its transpose"
)
assert_close(
    got.detach(),
    torch.tensor([17.0, 19.0]),
    msg=lambda m: f"x = [1, 2, 3] must give [17, 19], got {got.tolist()}. [7, -1]: the bias is lost\n{m}",
)
print("passed: the example worked by hand")


# %% check="linear-options" points=1
def without_and_with():
    try:
        bare = MyLinear(4, 2, bias=False)
        names = [name for name, _ in bare.named_parameters()]
        without = [names, type(bare.bias).__name__, tuple(bare(torch.zeros(3, 4)).shape)]
    except NotImplementedError:  # not written yet
        raise
    except Exception as problem:
        return f"{type(problem).__name__}: {problem}", []
    return without, [(p < 0).double().mean().item() for p in MyLinear(100, 300).parameters()]


_ = torch.manual_seed(0)
without, negative = without_and_with()
assert without == [["weight"], "NoneType", (3, 2)], (
    f"MyLinear(4, 2, bias=False): its parameters, the type of .bias, and the shape that three samples give must be "
    f"[['weight'], 'NoneType', (3, 2)], got {without}. A second parameter: bias must be None, a bias of zeros would be trained. "
    "A TypeError with NoneType: forward adds a bias that is not there. "
    "An AttributeError about '_parameters' or Module.__init__(): see the first check"
)
assert len(negative) == 2 and all(0.35 < share < 0.65 for share in negative), (
    f"MyLinear(100, 300) starts evenly between -0.1 and 0.1: about half of weight and half of bias is negative, got the shares {negative}. "
    "0: all zeros, or drawn from 0 upwards"
)
print("passed: no bias where none is wanted, and first values of both signs")


# %% hidden="linear-torch" points=1
def ours(weight, bias, x):
    layer = MyLinear(5, 3)
    layer.load_state_dict({"weight": weight, "bias": bias})
    y = layer(x)
    y.square().sum().backward()
    return y.detach(), layer.weight.grad, layer.bias.grad


_ = torch.manual_seed(20)
theirs, inputs = nn.Linear(5, 3), torch.randn(4, 2, 5)
got = ours(theirs.weight.detach().clone(), theirs.bias.detach().clone(), inputs)
wanted = theirs(inputs)
wanted.square().sum().backward()
assert_close(
    got,
    (wanted.detach(), theirs.weight.grad, theirs.bias.grad),
    msg=lambda m: f"with nn.Linear's parameters and an input (4, 2, 5), output and gradients must be those of nn.Linear\n{m}",
)


# %% hidden="linear-start" points=2
def first_values():
    layer, other = MyLinear(100, 300), MyLinear(100, 300)
    return layer.weight.detach(), layer.bias.detach(), other.weight.detach(), other.bias.detach()


_ = torch.manual_seed(20)
w, b, w2, b2 = first_values()
for name, values in (("weight", w), ("bias", b)):
    low, high, middle = values.min().item(), values.max().item(), values.abs().mean().item()
    assert -0.1 <= low < -0.09 and 0.09 < high <= 0.1, (
        f"first values of {name} for n_in = 100 must fill -0.1 to 0.1, got {low:.3g} to {high:.3g}"
    )
    assert 0.04 < middle < 0.06, f"evenly drawn from -0.1 to 0.1, the mean size of {name} is near 0.05, got {middle:.3g}"
assert not torch.equal(w, w2) and not torch.equal(b, b2), "two layers must not start with the same values: are they drawn in __init__?"
assert w.dtype == b.dtype == torch.float32, f"weight and bias must be float32, got {w.dtype} and {b.dtype}"


# %% hidden="linear-no-bias" points=1
def without_bias():
    layer = MyLinear(4, 2, bias=False)
    names = [name for name, _ in layer.named_parameters()]
    return names, layer.bias, layer(torch.zeros(3, 4)).detach()


names_, absent, zeros_out = without_bias()
assert names_ == ["weight"] and absent is None, (
    f"with bias=False: parameters ['weight'] and bias None, got {names_} and {type(absent).__name__}"
)
assert_close(zeros_out, torch.zeros(3, 2), msg=lambda m: f"without a bias, zeros in must give zeros out, got {zeros_out.tolist()}\n{m}")


# %% wrong="linear-plain-tensor" fails="linear-registered linear-torch"
class MyLinear(nn.Module):
    def __init__(self, n_in, n_out, bias=True):
        super().__init__()
        a = 1 / n_in**0.5
        self.weight = torch.empty(n_out, n_in).uniform_(-a, a).requires_grad_()
        self.bias = torch.empty(n_out).uniform_(-a, a).requires_grad_() if bias else None

    def forward(self, x):
        out = x @ self.weight.T
        return out if self.bias is None else out + self.bias


# %% [markdown] mistake="linear-plain-tensor"
# Keeps weight and bias as plain tensors, so the module registers no parameter.
#
# The list of `named_parameters()` of your `MyLinear(3, 2)` is empty, and `torch.optim.SGD` refuses it: "optimizer got an empty parameter
# list". Asking for a gradient is not the same as being registered. Compare the two attributes of `Stretch` in the text.

# %% wrong="linear-inputs-first" fails="linear-registered linear-by-hand linear-torch"
class MyLinear(nn.Module):
    def __init__(self, n_in, n_out, bias=True):
        super().__init__()
        a = 1 / n_in**0.5
        self.weight = nn.Parameter(torch.empty(n_in, n_out).uniform_(-a, a))
        self.bias = nn.Parameter(torch.empty(n_out).uniform_(-a, a)) if bias else None

    def forward(self, x):
        out = x @ self.weight
        return out if self.bias is None else out + self.bias


# %% [markdown] mistake="linear-inputs-first"
# Stores the weight as `(n_in, n_out)`, inputs first.
#
# Your `MyLinear(3, 2)` has a weight of shape (3, 2), so it cannot take over the parameters of `nn.Linear(3, 2)`, whose weight has the shape
# (2, 3). Print the shape and compare it with the first point of the list; then ask which form of the weight the formula of `forward`
# multiplies by.

# %% wrong="linear-from-zero" fails="linear-options linear-start"
class MyLinear(nn.Module):
    def __init__(self, n_in, n_out, bias=True):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_out, n_in))
        self.bias = nn.Parameter(torch.zeros(n_out)) if bias else None

    def forward(self, x):
        out = x @ self.weight.T
        return out if self.bias is None else out + self.bias


# %% [markdown] mistake="linear-from-zero"
# Starts weight and bias at zero instead of drawing them at random.
#
# Your new layer answers 0 to every input. With two such layers in a row, all gradients of the first layer are 0 and its neurons stay equal
# for ever. Read the statement's sentence about the first values again, and print the weights of a new `MyLinear(3, 2)`.

# %% wrong="linear-from-zero-up" fails="linear-options linear-start"
class MyLinear(nn.Module):
    def __init__(self, n_in, n_out, bias=True):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(n_out, n_in) / n_in**0.5)
        self.bias = nn.Parameter(torch.rand(n_out) / n_in**0.5) if bias else None

    def forward(self, x):
        out = x @ self.weight.T
        return out if self.bias is None else out + self.bias


# %% [markdown] mistake="linear-from-zero-up"
# Draws the first values from 0 upwards, so none is negative.
#
# Of the 30,000 weights of your `MyLinear(100, 300)` not one is below 0, and their mean is near 0.05. The statement names two ends for the
# interval. Where is its middle, and which share of the numbers should be negative?

# %% wrong="linear-zero-bias" fails="linear-options linear-start"
class MyLinear(nn.Module):
    def __init__(self, n_in, n_out, bias=True):
        super().__init__()
        a = 1 / n_in**0.5
        self.weight = nn.Parameter(torch.empty(n_out, n_in).uniform_(-a, a))
        self.bias = nn.Parameter(torch.zeros(n_out)) if bias else None

    def forward(self, x):
        out = x @ self.weight.T
        return out if self.bias is None else out + self.bias


# %% [markdown] mistake="linear-zero-bias"
# Draws the weight at random and starts the bias at zero.
#
# The bias of your `MyLinear(3, 2)` is [0, 0] each time, and two new layers have the same one. Print `layer.bias` of two new layers, and
# read which of the two parameters the statement means by "alike".

# %% wrong="linear-normal" fails="linear-start"
class MyLinear(nn.Module):
    def __init__(self, n_in, n_out, bias=True):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_out, n_in) / n_in**0.5)
        self.bias = nn.Parameter(torch.randn(n_out) / n_in**0.5) if bias else None

    def forward(self, x):
        out = x @ self.weight.T
        return out if self.bias is None else out + self.bias


# %% [markdown] mistake="linear-normal"
# Draws the first values from a bell curve instead of evenly between two bounds.
#
# For `n_in = 4` all first values must lie between -0.5 and 0.5, but about 3 in 10 of yours lie outside. Print the smallest and the largest
# weight of a large layer: which word in the statement says how the numbers are spread?

# %% wrong="linear-no-super" fails="linear-registered linear-by-hand linear-options linear-torch linear-start linear-no-bias"
class MyLinear(nn.Module):
    def __init__(self, n_in, n_out, bias=True):
        a = 1 / n_in**0.5
        self.weight = nn.Parameter(torch.empty(n_out, n_in).uniform_(-a, a))
        self.bias = nn.Parameter(torch.empty(n_out).uniform_(-a, a)) if bias else None

    def forward(self, x):
        out = x @ self.weight.T
        return out if self.bias is None else out + self.bias


# %% [markdown] mistake="linear-no-super"
# Assigns parameters before `nn.Module` has been set up.
#
# No layer comes into being: the first assignment in your `__init__` stops with "cannot assign parameters before Module.__init__() call". A
# module needs its list of parameters before it can register one. Compare your `__init__` with that of `Stretch`, starting with its first
# line.

# %% wrong="linear-always-bias" fails="linear-options linear-no-bias"
class MyLinear(nn.Module):
    def __init__(self, n_in, n_out, bias=True):
        super().__init__()
        a = 1 / n_in**0.5
        self.weight = nn.Parameter(torch.empty(n_out, n_in).uniform_(-a, a))
        self.bias = nn.Parameter(torch.empty(n_out).uniform_(-a, a))

    def forward(self, x):
        return x @ self.weight.T + self.bias


# %% [markdown] mistake="linear-always-bias"
# Creates and trains a bias even with `bias=False`.
#
# Your `MyLinear(4, 2, bias=False)` has two parameters, and zeros as input do not come out as zeros. Search your class for every place that
# looks at the argument `bias`, and ask what `forward` must do when the attribute is `None`.

# %% right="linear-register"
class MyLinear(nn.Module):
    def __init__(self, n_in, n_out, bias=True):
        nn.Module.__init__(self)
        draw = lambda *shape: nn.Parameter((2 * torch.rand(*shape) - 1) / n_in**0.5)
        self.register_parameter("weight", draw(n_out, n_in))
        self.register_parameter("bias", draw(n_out) if bias else None)

    def forward(self, x):
        out = torch.einsum("...i,oi->...o", x, self.weight)
        if self.bias is not None:
            out = out + self.bias
        return out


# %% [markdown] explanation="linear"
# `nn.Module.__setattr__` looks at every value that is assigned: a Parameter goes into one dictionary, a module into another,
# and those dictionaries are what `parameters()`, `to(device)` and `state_dict()` walk over.
# A plain tensor is found by none of the three, and nothing reports it.
# `super().__init__()` creates the dictionaries, so it must come first.
# Starting from zeros works for one layer and fails for two: all neurons of a hidden layer then stay equal.
# The weights stand as (n_out, n_in), so each row is one neuron, and the product needs a transpose.

# %% [markdown]
# ## A network is a tree of modules
#
# A module that is an attribute of another is its **child** (子模块), so every network is a tree.
# `nn.Sequential` is the plainest parent: it calls its children one after another.
# Our network for clothes has two parts, each a child of its own.
# **`nn.Flatten`** (展平) makes 784 numbers of 28 × 28, `nn.ReLU` (线性整流) is $\max(0, x)$, and `nn.Dropout` comes below.


# %%
class ClothesNet(nn.Module):
    """Pictures (N, 1, 28, 28) to logits (N, 10): one score for each kind of garment."""

    def __init__(self, n_hidden: int = 128):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(784, n_hidden), nn.ReLU(), nn.Dropout(0.2))
        self.head = nn.Linear(n_hidden, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(images))


net = ClothesNet()
print("children:", [name for name, _ in net.named_children()])
print("modules: ", [name for name, _ in net.named_modules()])

# %% [markdown]
# `children()` gives the **direct** children only.
# `modules()` walks the whole tree and begins with the network itself, whose name is the empty string.
# The dots in the names are the path down the tree.
# We draw it: each box a module, the number below it the parameters it holds itself.


# %%
def draw_tree(ax, module: nn.Module, name: str, x: float, y: float, width: float) -> None:
    """Draw `module` at (x, y) and its children evenly over `width` below it."""
    own = sum(p.numel() for p in module.parameters(recurse=False))
    text = f"{name}\n{type(module).__name__}" + (f"\n{own:,}" if own else "")
    children = list(module.named_children())
    for k, (child_name, child) in enumerate(children):
        child_x = x + width * ((k + 0.5) / len(children) - 0.5)
        ax.plot([x, child_x], [y, y - 1], color="0.6", zorder=1)
        draw_tree(ax, child, child_name, child_x, y - 1, width / len(children))
    box = {"boxstyle": "round", "fc": "#dbe9f6" if own else "white", "ec": "0.4"}
    ax.text(x, y, text, ha="center", va="center", fontsize=9, bbox=box, zorder=2)


fig, ax = plt.subplots(figsize=(9, 3.8))
draw_tree(ax, net, "net", 0, 0, 10)
ax.set(xlim=(-5.3, 4.2), ylim=(-2.4, 0.4))
ax.set_title("The tree of ClothesNet", x=5.3 / 9.5)  # above the root
ax.axis("off")
plt.show()

# %% [markdown]
# Only the two blue boxes hold numbers: $784 \cdot 128 + 128 = 100480$ and $128 \cdot 10 + 10 = 1290$.
# The other boxes only compute, or only hold others.

# %% [markdown]
# ### Exercise 2: count the nodes (5 points)
#
# Write `count_nodes(net)`, which returns a tuple of four ints `(direct, below, depth, numbers)`:
#
# - `direct`: the direct children of `net`;
# - `below`: all modules below `net`, at any depth, without `net` itself; a module object that stands in two places counts once,
#   as it does for `children()` and `modules()`;
# - `depth`: steps from `net` down to the deepest module, by the longest way; 0 for a module without children;
# - `numbers`: single numbers in all parameters of the tree, frozen ones (`requires_grad=False`) too;
#   a parameter that two modules share counts once.
#
# By hand: `Sequential(Linear(3, 4), Sequential(ReLU(), Linear(4, 2)))` has 2 direct children, 4 modules below, depth 2,
# and $3 \cdot 4 + 4 + 4 \cdot 2 + 2 = 26$ numbers: `(2, 4, 2, 26)`.
# You may use every method of `nn.Module`. Nothing in `net` may change.
#
# <details><summary>Hint 1</summary>Which of <code>children()</code>,
# <code>modules()</code> and <code>parameters()</code> walk the whole tree,
# and which of them give the start too?</details>
# <details><summary>Hint 2</summary>The depth of a node is one more than the largest depth of a child; <code>max(..., default=0)</code>
# helps where there is none.</details>


# %% exercise="nodes"
def count_nodes(net: nn.Module) -> tuple[int, int, int, int]:
    """Return (direct children, modules below, depth, single numbers in parameters) of the tree under `net`."""
    # BEGIN SOLUTION
    depths = [1 + count_nodes(child)[2] for child in net.children()]
    numbers = sum(p.numel() for p in net.parameters())
    return len(depths), len(list(net.modules())) - 1, max(depths, default=0), numbers
    # END SOLUTION


# %% check="nodes-by-hand" points=1
def small():
    return count_nodes(nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.ReLU(), nn.Linear(4, 2))))


got = small()
assert type(got) is tuple and [type(v) for v in got] == [int] * 4, f"count_nodes must return a tuple of four ints, got {got!r}"
assert got == (2, 4, 2, 26), (
    f"the example by hand is (2, 4, 2, 26), got {got}. A first 4 or 5: modules() instead of children(). "
    "A second 5: net counted itself; 2: only the direct children. A third 1: the way down has two steps (a name like '1.0' has one dot "
    "and two steps); 3: net was counted as a step. A fourth above 26: parameters() is already recursive; "
    "4: the parameters were counted, not their numbers"
)
print("passed: the example worked by hand")


# %% check="nodes-once" points=1
def three_nets():
    frozen, act, first, second = nn.Linear(5, 3), nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 4)
    frozen.bias.requires_grad_(False)
    second.weight = first.weight  # one Parameter, held by two layers
    return [count_nodes(frozen), count_nodes(nn.Sequential(act, act, nn.Sequential(act))), count_nodes(nn.Sequential(first, second))]


got = three_nets()
assert got[0] == (0, 0, 0, 18), (
    f"Linear(5, 3) alone has no children, depth 0, and 5·3 + 3 = 18 numbers: (0, 0, 0, 18), got {got[0]}. 15: its bias is frozen, but counts"
)
assert got[1] == (2, 2, 2, 0), (
    f"Sequential(act, act, Sequential(act)) holds one ReLU in three places, and one Sequential: (2, 2, 2, 0), got {got[1]}. "
    "3 or 4: places were counted, not objects"
)
assert got[2] == (2, 2, 1, 24), (
    f"two Linear(4, 4) that share one weight have 16 + 4 + 4 = 24 numbers: (2, 2, 1, 24), got {got[2]}. 40: the shared weight counted twice"
)
print("passed: frozen counts, shared counts once")


# %% hidden="nodes-shared" points=1
def shared():
    act = nn.ReLU()
    lin = nn.Linear(2, 2)
    lin.bias.requires_grad_(False)
    words, scores = nn.Embedding(5, 3), nn.Linear(3, 5)
    scores.weight = words.weight
    return count_nodes(nn.Sequential(act, lin, act, nn.Sequential(lin, act))), count_nodes(
        nn.Sequential(words, nn.Sequential(nn.Tanh(), scores))
    )


got = shared()
assert got[0] == (3, 3, 2, 6), (
    f"a tree with one ReLU in three places and one half-frozen Linear(2, 2) in two gives (3, 3, 2, 6), got {got[0]}"
)
assert got[1] == (2, 4, 2, 20), f"a table (5, 3) that a Linear(3, 5) at another depth shares: (2, 4, 2, 15 + 5), got {got[1]}"


# %% hidden="nodes-deep" points=2
def deep():
    class Strange(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(7))
            self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.Tanh())), nn.ReLU(), nn.BatchNorm1d(3)])
            self.plain = [nn.Linear(9, 9)]  # a Python list hides it

    return count_nodes(Strange())


got = deep()
assert got == (1, 7, 4, 22), (
    f"a tree with its own parameter (7), a ModuleList and a Linear hidden in a plain list gives (1, 7, 4, 22), got {got}: "
    "the deepest branch decides the depth, BatchNorm1d(3) has 6 parameters (its running statistics are none)"
)


# %% wrong="nodes-modules-direct" fails="nodes-by-hand nodes-once nodes-deep nodes-shared"
def count_nodes(net):
    depth = max((1 + count_nodes(c)[2] for c in net.children()), default=0)
    return len(list(net.modules())), len(list(net.modules())) - 1, depth, sum(p.numel() for p in net.parameters())


# %% [markdown] mistake="nodes-modules-direct"
# Counts all modules of the tree as direct children.
#
# For the example by hand you say 5 direct children, where a look at the outer `Sequential` shows 2; for a lone `nn.ReLU()` you say 1
# instead of 0. Which walk through the tree goes one step only, and does yours contain `net` itself?

# %% wrong="nodes-counts-itself" fails="nodes-by-hand nodes-once nodes-deep"
def count_nodes(net):
    depth = max((1 + count_nodes(c)[2] for c in net.children()), default=0)
    return len(list(net.children())), len(list(net.modules())), depth, sum(p.numel() for p in net.parameters())


# %% [markdown] mistake="nodes-counts-itself"
# Counts `net` itself among the modules below it.
#
# A lone `nn.ReLU()` has nothing below it, and you answer 1; for the example by hand you find 5 instead of 4. Print the names that your walk
# visits, and look closely at the first one.

# %% wrong="nodes-children-only" fails="nodes-by-hand nodes-deep"
def count_nodes(net):
    kids = list(net.children())
    depth = max((1 + count_nodes(c)[2] for c in kids), default=0)
    return len(kids), len(kids), depth, sum(p.numel() for p in net.parameters())


# %% [markdown] mistake="nodes-children-only"
# Counts only the direct children as the modules below.
#
# Your first two numbers are always equal. In the example by hand the inner `Sequential` holds a ReLU and a Linear, and neither of them is
# counted: you find 2 below instead of 4. Which method visits the grandchildren too?

# %% wrong="nodes-parameters-twice" fails="nodes-by-hand nodes-once nodes-deep"
def count_nodes(net):
    depth = max((1 + count_nodes(c)[2] for c in net.children()), default=0)
    total = sum(p.numel() for m in net.modules() for p in m.parameters())
    return len(list(net.children())), len(list(net.modules())) - 1, depth, total


# %% [markdown] mistake="nodes-parameters-twice"
# Adds up the whole subtree's parameters for every module, so most numbers count several times.
#
# For the example by hand you find 62 numbers instead of 26: the 10 numbers of the inner Linear are counted for that layer, for its
# `Sequential`, and for `net`. Print `len(list(net.parameters()))`: how far down does `parameters()` look?

# %% wrong="nodes-shared-twice" fails="nodes-once nodes-shared"
def count_nodes(net):
    kids = list(net._modules.values())
    below = [count_nodes(k) for k in kids]
    own = sum(p.numel() for p in net.parameters(recurse=False))
    deepest = max((1 + b[2] for b in below), default=0)
    return len(kids), len(kids) + sum(b[1] for b in below), deepest, own + sum(b[3] for b in below)


# %% [markdown] mistake="nodes-shared-twice"
# Counts places in the tree, so a module or parameter used twice counts twice.
#
# `Sequential(act, act)` holds one ReLU object, and you count 2 children and 2 modules below. The numbers of a shared parameter are added at
# each place as well. Draw this small tree, and ask which objects `is` would call the same.

# %% wrong="nodes-trainable" fails="nodes-once nodes-shared"
def count_nodes(net):
    depth = max((1 + count_nodes(c)[2] for c in net.children()), default=0)
    total = sum(p.numel() for p in net.parameters() if p.requires_grad)
    return len(list(net.children())), len(list(net.modules())) - 1, depth, total


# %% [markdown] mistake="nodes-trainable"
# Leaves frozen parameters out of the count.
#
# Freeze the weight of a `Linear(2, 1)`: it still holds 2 weights and 1 bias, but you report 1 number. A frozen parameter is not trained,
# and yet it is there. Read the statement's point about `numbers` once more.

# %% wrong="nodes-tied-twice" fails="nodes-once nodes-shared"
def count_nodes(net):
    depth = max((1 + count_nodes(c)[2] for c in net.children()), default=0)
    total = sum(p.numel() for m in net.modules() for p in m.parameters(recurse=False))
    return len(list(net.children())), len(list(net.modules())) - 1, depth, total


# %% [markdown] mistake="nodes-tied-twice"
# Counts a parameter that two modules share once for each of them.
#
# Two `Linear(2, 2)` with one common weight hold 4 + 2 + 2 = 8 numbers, and you find 12. You ask each module for its own numbers and add;
# that cannot notice that two modules hold the same object. Which call on the whole tree gives each parameter once?

# %% wrong="nodes-dots" fails="nodes-by-hand nodes-once nodes-deep"
def count_nodes(net):
    depth = max(name.count(".") for name, _ in net.named_modules())
    return len(list(net.children())), len(list(net.modules())) - 1, depth, sum(p.numel() for p in net.parameters())


# %% [markdown] mistake="nodes-dots"
# Takes the dots in a module's name for its depth, one step too few.
#
# `Sequential(Linear(3, 4))` has depth 1, but the name of the Linear is "0", without a dot, and you answer 0. Write down the names at depth
# 0, 1 and 2, and next to each the number of its dots and the number of its steps.

# %% right="nodes-walk"
def count_nodes(net):
    seen, level, depth = {id(net)}, [net], 0
    deepest = 0
    while level:
        deepest, depth = depth, depth + 1
        level = [child for module in level for child in module.children()]
        seen.update(map(id, level))
    weights = {id(p): p.numel() for p in net.parameters()}
    return len({id(c) for c in net.children()}), len(seen) - 1, deepest, sum(weights.values())


# %% [markdown] explanation="nodes"
# `children()` is one step, `modules()` and `parameters()` are the whole tree.
# Who recurses over `modules()`, or sums `parameters()` over all modules, counts most things several times;
# who sums each module's own parameters counts tied weights, one Parameter in two modules, twice. `parameters()` gives each object once.
# `len(net)` of a Sequential counts places, `children()` counts objects: they differ where one ReLU is used twice.
# Modules in a plain Python list are invisible; `nn.ModuleList` is a list that registers.
# What else is not counted: running statistics of BatchNorm, which are buffers (chapter 14).

# %% [markdown]
# ### Two ways to be: training and evaluation
#
# Some modules compute one thing during training and another afterwards.
# `nn.Dropout(0.2)` sets each number to 0 with chance 0.2 and divides the others by 0.8, so that the mean stays; afterwards it does nothing
# (chapter 11 says what for).
# `net.train()` and `net.eval()` set `training` on *every module of the tree*; a new network is in training mode (训练模式).

# %%
ones = torch.ones(1, 10)
drop = nn.Dropout(0.2)
_ = torch.manual_seed(0)
print("train:", [f"{v:g}" for v in drop(ones)[0].tolist()])
print("eval: ", [f"{v:g}" for v in drop.eval()(ones)[0].tolist()])

# %% [markdown]
# Thus the same network gives different answers to the same picture in training mode.
# The figure asks the untrained network 300 times about one picture.

# %%
shoe = clothes.data[0].float().reshape(1, 1, 28, 28) / 255
_ = torch.manual_seed(0)
net = ClothesNet()
with torch.no_grad():
    noisy = torch.stack([net.train()(shoe)[0, 9] for _ in range(300)])
    steady = net.eval()(shoe)[0, 9]
fig, ax = plt.subplots(figsize=(6, 2.8))
ax.hist(noisy, bins=30, color="tab:orange", label="training mode, 300 calls")
ax.axvline(steady, color="tab:blue", lw=2, label="evaluation mode, every call")
ax.set(xlabel="logit of 'Ankle boot'", ylabel="calls", title="One picture, one network", ylim=(0, 42))
ax.legend()
plt.show()
assert noisy.std() > 0 and abs(noisy.mean() - steady) < noisy.std()

# %% [markdown]
# In training mode the answer is a cloud, in evaluation mode (评估模式) one number in the middle of it.
# Evaluating in training mode therefore reports a network that is disturbed on purpose.
#
# ## Five steps
#
# To train we need two more things besides data and model.
# A **criterion** (准则, loss function) turns outputs and targets into one number, the loss.
# For ten kinds we use `nn.CrossEntropyLoss` (交叉熵): it takes ten scores per sample, the **logits** (未归一化分数),
# and the number of the right kind,
# and is small where the right kind has by far the largest score. Chapter 7 opens it up.
# By hand: with all scores equal the chance of the right kind is 1/10, and the loss $\ln 10 \approx 2.303$.
# The **optimizer** takes a step against the gradient; `torch.optim.SGD(net.parameters(), lr=0.1)` is chapter 5's descent.

# %%
criterion = nn.CrossEntropyLoss()
print(f"{criterion(torch.zeros(4, 10), torch.tensor([0, 3, 9, 9])):.3f}")

# %% [markdown]
# Now the **five steps** (五步) that all training in this book repeats, here on one batch of 64 garments.
# Each printed number is the loss *before* the step.

# %%
xb, yb = clothes.data[:64].float()[:, None] / 255, clothes.targets[:64]  # (64, 1, 28, 28), (64,)
_ = torch.manual_seed(0)
net = ClothesNet()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
trace = []
for _ in range(60):
    logits = net(xb)  # 1. forward
    loss = criterion(logits, yb)  # 2. loss
    optimizer.zero_grad()  # 3. forget the old gradients
    loss.backward()  # 4. backward: new gradients into .grad
    optimizer.step()  # 5. step: change the parameters
    trace.append(loss.item())
print(f"first {trace[0]:.1f}, last below 1:", trace[-1] < 1)

# %% [markdown]
# The third step is the one that is forgotten.
# `backward()` *adds* to `.grad` (chapter 4), so without it every step uses the sum of all gradients since the start.
# The next cell trains a single weight with the loss $w^2$, and then our network on 1,000 pictures in batches of 32,
# both with and without `zero_grad`.


# %%
def train_losses(model, inputs, targets, measure, lr, n_epochs, forget) -> list[float]:
    """Loss before each step; `forget` says whether zero_grad is called."""
    opt, seen = torch.optim.SGD(model.parameters(), lr=lr), []
    for _ in range(n_epochs):
        for rows in torch.randperm(len(inputs)).split(32):
            seen.append(measure(model(inputs[rows]), targets[rows]))
            if forget:
                opt.zero_grad()
            seen[-1].backward()
            opt.step()
            seen[-1] = seen[-1].item()
    return seen


# %%
thousand = (
    clothes.data[:1000].float()[:, None] / 255 - 0.287
) / 0.354  # (1000, 1, 28, 28); these numbers are explained under "Feature scaling"
fig, axes = plt.subplots(1, 2, figsize=(10, 3.2))
ends = {}
for forget, label, colour in ((True, "five steps", "tab:blue"), (False, "four steps: no zero_grad", "tab:red")):
    weight = nn.Linear(1, 1, bias=False)
    nn.init.ones_(weight.weight)
    one = train_losses(weight, torch.ones(1, 1), torch.zeros(1, 1), nn.MSELoss(), 0.02, 80, forget)
    _ = torch.manual_seed(0)
    many = train_losses(ClothesNet(), thousand, clothes.targets[:1000], criterion, 0.03, 6, forget)
    ends[forget] = sum(many[-32:]) / 32
    axes[0].plot(one, color=colour, label=label)
    axes[1].plot(many, color=colour, lw=1, label=label)
axes[0].set(xlabel="iteration", ylabel="loss w²", title="One weight, lr = 0.02", ylim=(-0.05, 1.45))
axes[1].set(xlabel="iteration", title="The network, 6 epochs, lr = 0.03")
axes[1].set(ylabel="loss of the batch (log axis)", yscale="log", ylim=(0.2, 70))
for ax in axes:
    ax.legend(loc="upper left" if ax is axes[1] else "upper right")
plt.show()
print("mean loss of the last epoch below 0.8:", {"five steps": ends[True] < 0.8, "four steps": ends[False] < 0.8})
assert ends[True] < 0.8 and ends[False] > 2.3

# %% [markdown]
# On the left the blue weight comes to rest at the minimum.
# The red one arrives *sooner*, and cannot stop: the old gradients still push when it has passed, so it swings back and forth for ever.
# That is what makes the mistake hard to see; in the first few steps it looks like progress.
# On the right, in a network, the swings of many weights add up: the blue loss falls; the red one jumps about,
# and on average ends above its start (so it did for the seeds 0, 1 and 2).
# No message appears: only a look at the loss tells.
#
# A quieter mistake is to collect the losses as tensors: `total += loss`.
# A loss is not just a number; it remembers the graph it was computed by, and a sum of losses remembers all their graphs.
# `loss.item()` is the bare number.

# %%
total = 0
for _ in range(3):
    total += criterion(net(xb), yb)
print(type(total).__name__, "that remembers a graph:", total.grad_fn is not None)

# %% [markdown]
# ### Exercise 3: repair two training loops (7 points)
#
# The two functions stand in the next cell as comments, as they were found. Each has **one** fault.
# Write them again without it. They are graded by what they do: we run them, and look at the model and at what is left behind.
# `batches` is a list of pairs `(xb, yb)`, with at least one pair (at the end of the chapter a `DataLoader` takes its place:
# walk over it with `for`); `criterion(outputs, targets)` is the mean loss of a batch.
# Both leave the mode of the model, training or evaluation, as it is.
#
# - `train(model, optimizer, criterion, batches)` does the five steps for each batch in turn and returns `None`.
#   The model may arrive with old gradients in `.grad`: they must not count.
# - `mean_losses(model, optimizer, criterion, batches, n_epochs)` goes through all batches `n_epochs` times (0 is allowed) and
#   returns a list with one Python float an epoch: the mean loss **of a sample**, measured before each step.
#   So a batch of 3 counts three times as much as a batch of 1.
#   No graph may be collected: when the criterion is called for a batch, of all earlier graphs at most the one of the batch just before
#   may still exist.
#
# By hand: two batches of sizes 3 and 1 with losses 2 and 6 have the mean loss $(3 \cdot 2 + 1 \cdot 6)/4 = 3$.
#
# <details><summary>Hint 1</summary>Count the steps of the first loop on your fingers.</details>
# <details><summary>Hint 2</summary>In the second: what type is <code>total</code> after one batch, and when is it made a number?</details>


# %% exercise="train"
def train(model: nn.Module, optimizer: torch.optim.Optimizer, criterion, batches: list) -> None:
    """Change the parameters of `model` by the five steps, for each batch (xb, yb) in turn."""
    # As found; the loss jumps about:
    #     for xb, yb in batches:
    #         loss = criterion(model(xb), yb)
    #         loss.backward()
    #         optimizer.step()
    # BEGIN SOLUTION
    for xb, yb in batches:
        loss = criterion(model(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    # END SOLUTION


def mean_losses(model: nn.Module, optimizer: torch.optim.Optimizer, criterion, batches: list, n_epochs: int) -> list[float]:
    """Train for `n_epochs` and return the mean loss of a sample of each epoch, as floats."""
    # As found; the program needs more memory from batch to batch:
    #     history = []
    #     for _ in range(n_epochs):
    #         total, seen = 0.0, 0
    #         for xb, yb in batches:
    #             loss = criterion(model(xb), yb)
    #             optimizer.zero_grad()
    #             loss.backward()
    #             optimizer.step()
    #             total += loss * len(xb)
    #             seen += len(xb)
    #         history.append(total / seen)
    #     return history
    # BEGIN SOLUTION
    history = []
    for _ in range(n_epochs):
        total, seen = 0.0, 0
        for xb, yb in batches:
            loss = criterion(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(xb)
            seen += len(xb)
        history.append(total / seen)
    return history
    # END SOLUTION


# %% check="train-steps" points=1
def one_weight(n_batches, old):
    model = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(1.0)
    model.weight.grad = torch.tensor([[old]])
    model.eval()
    result = train(model, torch.optim.SGD(model.parameters(), lr=0.25), nn.MSELoss(), [(torch.ones(2, 1), torch.zeros(2, 1))] * n_batches)
    return result, model.weight.item(), model.training


got = [one_weight(1, 0.0), one_weight(2, 0.0), one_weight(1, 8.0)]
assert [g[0] for g in got] == [None] * 3, f"train must return None, got {[g[0] for g in got]}"
weights = [g[1] for g in got]
assert weights == [0.5, 0.25, 0.5], (
    f"loss w², gradient 2w, lr 0.25: each batch halves w = 1. After 1 batch, 2 batches, and 1 batch with an old gradient 8 in .grad "
    f"w must be [0.5, 0.25, 0.5], got {weights}. A second -0.25: gradients "
    f"add up. A third -1.5: zero_grad comes too late for the first batch. All 1: no step at all, or zeroed after "
    "backward, before the step could use them"
)
assert [g[2] for g in got] == [False] * 3, (
    f"a model that arrives in evaluation mode must leave in it, .training False, got {[g[2] for g in got]}"
)
print("passed: every batch starts with fresh gradients")


# %% check="train-floats" points=1
def history_by_hand():
    model = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(1.0)
    frozen = torch.optim.SGD(model.parameters(), lr=0.0)
    batches = [(torch.ones(3, 1), torch.full((3, 1), 3.0)), (torch.ones(1, 1), torch.full((1, 1), 5.0))]
    model.eval()
    history = mean_losses(model, frozen, nn.MSELoss(), batches, 2)
    if type(history) is not list:
        return type(history).__name__, None, None, model.training
    return "list", [type(v).__name__ for v in history], [float(v) for v in history], model.training


kind, kinds, values, mode = history_by_hand()
assert kind == "list", f"mean_losses must return a list, got {kind}: is the return missing?"
assert kinds == ["float"] * 2, (
    f"two epochs must give a list of two Python floats, got {kinds}. Tensor: make each loss a bare number as soon as its batch is done"
)
assert values == [7.0, 7.0], (
    f"losses 4 (3 samples) and 16 (1 sample), lr 0: the mean of a sample is (3·4 + 16)/4 = 7 in each epoch, got {values}. "
    "10: mean of the batch means. 28: not divided"
)
assert mode is False, "mean_losses switched a model that arrived in evaluation mode to training mode: leave the mode alone"
print("passed: a list of floats, each the mean of a sample")


# %% check="train-memory" points=1
def graphs_alive():
    class Token:
        """Nothing; we only look how long it lives."""

    tokens, alive = [], []

    def watching(outputs, targets):
        alive.append(sum(ref() is not None for ref in tokens))
        loss, token = (outputs - targets).square().mean(), Token()
        loss.grad_fn.metadata["token"] = token  # lives as long as this node of the graph
        tokens.append(weakref.ref(token))  # a weak reference tells whether it lives, and does not keep it alive
        return loss

    model = nn.Linear(1, 1)
    mean_losses(model, torch.optim.SGD(model.parameters(), lr=0.01), watching, [(torch.ones(2, 1), torch.ones(2, 1))] * 4, 2)
    return alive


alive = graphs_alive()
assert len(alive) == 8 and max(alive) <= 1, (
    f"2 epochs of 4 batches: 8 calls of the criterion, and at each at most 1 earlier graph alive, got {alive}. "
    "Empty: the criterion was never called. "
    "Growing numbers: losses are added or collected as tensors, each with its graph, and become numbers too late"
)
print("passed: no graph is collected")


# %% hidden="train-torch" points=2
def trained(start, pairs):
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    model.load_state_dict(start)
    train(model, torch.optim.SGD(model.parameters(), lr=0.3), nn.CrossEntropyLoss(), pairs)
    return [p.detach() for p in model.parameters()]


_ = torch.manual_seed(20)
twin = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
pairs = [(torch.randn(5, 3), torch.randint(2, (5,))) for _ in range(6)]
got = trained({key: value.clone() for key, value in twin.state_dict().items()}, pairs)
for xs, ys in pairs:
    slopes = torch.autograd.grad(nn.functional.cross_entropy(twin(xs), ys), list(twin.parameters()))
    with torch.no_grad():
        for p, slope in zip(twin.parameters(), slopes, strict=True):
            p -= 0.3 * slope
assert_close(
    got, [p.detach() for p in twin.parameters()], msg=lambda m: f"six batches through a small network differ from plain descent\n{m}"
)


# %% hidden="train-history" points=2
def history_of(pairs, n_epochs):
    model = nn.Linear(2, 1)
    with torch.no_grad():
        model.weight.fill_(0.5)
        model.bias.fill_(-0.25)
        model.weight.grad = torch.full((1, 2), 9.0)
    double = lambda outputs, targets: (outputs - 2 * targets).square().mean()  # not the same with its arguments exchanged
    got = mean_losses(model, torch.optim.SGD(model.parameters(), lr=0.1), double, pairs, n_epochs)
    return got, model.weight.detach(), model.bias.detach()


_ = torch.manual_seed(21)
pairs = [(torch.randn(n, 2), torch.randn(n, 1)) for n in (4, 4, 1)]
got, none_at_all = history_of(pairs, 3), history_of(pairs, 0)
w, b, wanted = torch.full((1, 2), 0.5), torch.tensor([-0.25]), []
for _ in range(3):
    total = 0.0
    for xs, ys in pairs:
        r = xs @ w.T + b - 2 * ys
        total += r.square().sum().item()
        w, b = w - 0.1 * 2 * (r * xs).mean(0), b - 0.1 * 2 * r.mean(0)
    wanted.append(total / 9)
assert_close(
    got[0],
    wanted,
    rtol=1e-4,
    atol=1e-5,
    msg=lambda m: f"history of 3 epochs, batches of 4, 4, 1, loss the mean of (output - 2·target)²: wanted {wanted}, got {got[0]}\n{m}",
)
assert_close(got[1:], (w, b), rtol=1e-4, atol=1e-5, msg=lambda m: f"the parameters after 3 epochs differ from plain descent\n{m}")
assert none_at_all[0] == [], f"0 epochs must give an empty list, got {none_at_all[0]}"
assert_close(none_at_all[1], torch.full((1, 2), 0.5), msg=lambda m: f"0 epochs must leave the weights alone\n{m}")


# %% wrong="train-no-zero-grad" fails="train-steps train-torch"
def train(model, optimizer, criterion, batches):
    for xb, yb in batches:
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()


def mean_losses(model, optimizer, criterion, batches, n_epochs):
    out = []
    for _ in range(n_epochs):
        losses = []
        for xb, yb in batches:
            loss = criterion(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses += [loss.item()] * len(xb)
        out.append(sum(losses) / len(losses))
    return out


# %% [markdown] mistake="train-no-zero-grad"
# Lets the gradients of all batches add up in `train`.
#
# With the loss w², w = 1 and lr 0.1, three batches should give 0.8, 0.64, 0.512; yours give 0.8, 0.44 and about -0.01, past the minimum.
# Compare your loop with the five steps of the text, one by one.

# %% wrong="train-zero-before-step" fails="train-steps train-torch"
def train(model, optimizer, criterion, batches):
    for xb, yb in batches:
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.zero_grad()
        optimizer.step()


def mean_losses(model, optimizer, criterion, batches, n_epochs):
    out = []
    for _ in range(n_epochs):
        losses = []
        for xb, yb in batches:
            loss = criterion(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses += [loss.item()] * len(xb)
        out.append(sum(losses) / len(losses))
    return out


# %% [markdown] mistake="train-zero-before-step"
# Moves no parameter in `train`: gradients are wiped out before the step, or something is missing.
#
# Whatever the data, your parameters never move: with w = 1, w is still 1 after three batches. Go through one batch by hand: which calls are
# made, in which order, and what is in `.grad` at the moment when the optimizer takes its step?

# %% wrong="train-zero-at-the-end" fails="train-steps"
def train(model, optimizer, criterion, batches):
    for xb, yb in batches:
        criterion(model(xb), yb).backward()
        optimizer.step()
        optimizer.zero_grad()


def mean_losses(model, optimizer, criterion, batches, n_epochs):
    out = []
    for _ in range(n_epochs):
        losses = []
        for xb, yb in batches:
            loss = criterion(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses += [loss.item()] * len(xb)
        out.append(sum(losses) / len(losses))
    return out


# %% [markdown] mistake="train-zero-at-the-end"
# Clears the gradients in `train` after each step only, so old ones spoil the first batch.
#
# Take the loss w², w = 1, lr 0.1, and a model that arrives with 10 in `.grad`: after one batch you have -0.2 instead of 0.8. From the
# second batch on all is right. What does the statement say about a model's first moment in your function?

# %% wrong="train-tensor-total" fails="train-floats train-history train-memory"
def train(model, optimizer, criterion, batches):
    for xb, yb in batches:
        optimizer.zero_grad()
        criterion(model(xb), yb).backward()
        optimizer.step()


def mean_losses(model, optimizer, criterion, batches, n_epochs):
    history = []
    for _ in range(n_epochs):
        total, seen = 0.0, 0
        for xb, yb in batches:
            loss = criterion(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss * len(xb)
            seen += len(xb)
        history.append(total / seen)
    return history


# %% [markdown] mistake="train-tensor-total"
# Returns the mean losses as tensors, each with the graphs of all its batches.
#
# Two batches of one epoch give a list like `[tensor(3.4139, grad_fn=...)]` instead of a float. The sum remembers the graph of every loss in
# it, so the memory grows with each batch. Print the type of your sum after one batch, and read what the text says about `total += loss`.

# %% wrong="train-item-too-late" fails="train-memory"
def train(model, optimizer, criterion, batches):
    for xb, yb in batches:
        optimizer.zero_grad()
        criterion(model(xb), yb).backward()
        optimizer.step()


def mean_losses(model, optimizer, criterion, batches, n_epochs):
    out = []
    for _ in range(n_epochs):
        total = 0.0
        for xb, yb in batches:
            optimizer.zero_grad()
            loss = criterion(model(xb), yb)
            loss.backward()
            optimizer.step()
            total += loss * len(xb)
        out.append((total / sum(len(xb) for xb, _ in batches)).item())
    return out


# %% [markdown] mistake="train-item-too-late"
# Adds the losses up as tensors and makes a number of the sum only at the end of the epoch.
#
# The types are right and the memory is not: when the fifth batch of an epoch begins, four graphs are still alive, since the running sum
# points to all of them. At which moment does a loss stop being needed as a tensor?

# %% wrong="train-collected" fails="train-memory"
def train(model, optimizer, criterion, batches):
    for xb, yb in batches:
        optimizer.zero_grad()
        criterion(model(xb), yb).backward()
        optimizer.step()


def mean_losses(model, optimizer, criterion, batches, n_epochs):
    out = []
    for _ in range(n_epochs):
        losses, n = [], 0
        for xb, yb in batches:
            optimizer.zero_grad()
            losses.append(criterion(model(xb), yb) * len(xb))
            losses[-1].div(len(xb)).backward()
            optimizer.step()
            n += len(xb)
        out.append(sum(v.item() for v in losses) / n)
    return out


# %% [markdown] mistake="train-collected"
# Keeps a list of loss tensors, so all graphs live until the epoch ends.
#
# You make numbers of the losses, but only after the last batch: at the fifth batch of an epoch the list still holds four graphs. What do
# you need to remember about a batch once its step is done, and of which type is that?

# %% wrong="train-sets-mode" fails="train-steps train-floats"
def train(model, optimizer, criterion, batches):
    model.train()
    for xb, yb in batches:
        optimizer.zero_grad()
        criterion(model(xb), yb).backward()
        optimizer.step()


def mean_losses(model, optimizer, criterion, batches, n_epochs):
    model.train()
    out = []
    for _ in range(n_epochs):
        losses = []
        for xb, yb in batches:
            loss = criterion(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses += [loss.item()] * len(xb)
        out.append(sum(losses) / len(losses))
    return out


# %% [markdown] mistake="train-sets-mode"
# Switches the model to training mode.
#
# A model that arrives in evaluation mode leaves your function with `training` True, and if it has a Dropout, that was at work on the way.
# The statement has a sentence on the mode, for both functions. Print `model.training` before and after a call.

# %% wrong="train-batch-means" fails="train-floats train-history"
def train(model, optimizer, criterion, batches):
    for xb, yb in batches:
        optimizer.zero_grad()
        criterion(model(xb), yb).backward()
        optimizer.step()


def mean_losses(model, optimizer, criterion, batches, n_epochs):
    out = []
    for _ in range(n_epochs):
        total = 0.0
        for xb, yb in batches:
            loss = criterion(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        out.append(total / len(batches))
    return out


# %% [markdown] mistake="train-batch-means"
# Averages the batch means, so samples of a short batch weigh too much.
#
# In the example by hand, batches of 3 and 1 with the losses 2 and 6, you get 4 instead of 3: the one sample of the second batch counts as
# much as three others. How much must each batch weigh, and what do you divide by?

# %% right="train-model-zero-grad"
def train(model, optimizer, criterion, batches):
    for inputs, targets in batches:
        model.zero_grad(set_to_none=False)
        criterion(model(inputs), targets).backward()
        optimizer.step()


def mean_losses(model, optimizer, criterion, batches, n_epochs):
    history = []
    for _ in range(n_epochs):
        sizes, losses = [], []
        for inputs, targets in batches:
            optimizer.zero_grad()
            loss = criterion(model(inputs), targets)
            loss.backward()
            optimizer.step()
            sizes.append(len(inputs))
            losses.append(float(loss.detach()))
        history.append(sum(n * v for n, v in zip(sizes, losses, strict=True)) / sum(sizes))
    return history


# %% [markdown] explanation="train"
# Loop one lacks step three; it may stand anywhere between the last `step` and the next `backward`, but before the *first* `backward` too,
# since a model can arrive with gradients from a check or an aborted run. Between `backward` and `step` it wipes out what was just computed.
# Loop two adds tensors. After `backward` the large buffers of a graph are freed, but its nodes stay as long as the sum points to them,
# and without `backward`, as in validation, the buffers stay too. `.item()` at the end of the epoch mends the type and not the memory.
# The mean over samples weighs the last, short batch rightly; the mean of batch means does not.

# %% [markdown]
# **A resting place.** You can now build a network and train it on tensors that are already there.
# The second half is about where the tensors come from, and what may be said afterwards.

# %% [markdown]
# ## A Dataset: how many, and which
#
# A **`Dataset`** (数据集) answers two questions: `len(data)`, how many samples,
# and `data[i]`, sample number i as a pair (input, target).
# That is chapter 1's sequence protocol, no more.
# `FashionMNIST` is one; with a **transform** (变换), a function applied to each picture as it is read, it gives tensors.

# %%
as_tensor = FashionMNIST(DATA, train=True, transform=transforms.ToTensor())
image, label = as_tensor[0]
print(len(as_tensor), tuple(image.shape), image.dtype, "from", f"{image.min():g} to {image.max():g}", as_tensor.classes[label])

# %% [markdown]
# `ToTensor` turns a picture of bytes 0 to 255 into a float tensor `(channels, height, width)` from 0 to 1: one channel here,
# three for colour.
# `MNIST`, the handwritten digits, is read in the same way.
#
# Your own data usually come as a table: a CSV file, one line a sample, numbers and words mixed.
# Here are the first days of Seattle's weather.

# %%
weather = pd.read_csv(DATA / "seattle-weather.csv")
print(weather.head(3).to_string())
try:
    torch.tensor(weather.to_numpy())
except TypeError as problem:
    print("TypeError:", problem)

# %% [markdown]
# The whole table cannot become a tensor: dates and words are not numbers (chapter 2).
# We choose the columns that are **features** (特征), and number the words of the target column.
# A target that names a class must be a whole number, `int64`, because the criterion uses it as an index.

# %% [markdown]
# ### Exercise 4: a dataset from a CSV file (8 points)
#
# Write the class `CsvDataset(source, features, target)`, a subclass of `Dataset`.
# `source` is a path, or an open text stream, as `pd.read_csv` takes it; it may be read **once only**.
# `features` is a list of column names, `target` the name of the column of classes; no value is missing.
#
# - The attribute `classes` is the sorted list of the different words in the target column.
# - `len(data)` is the number of samples.
# - `data[i]` is a tuple `(x, y)`: `x` a float32 tensor `(D,)` with the features *in the order of* `features`,
#   `y` an int64 tensor of shape `()`, the place of the sample's word in `classes`.
# - `i` may be an int, a NumPy integer or an int64 tensor of shape `()`; −1 is the last sample.
#   An index outside $-N \dots N - 1$ raises `IndexError`: a plain `for` loop over the dataset ends by it.
#
# By hand: of the text `"a,b,kind\n1,2,sun\n3,4,fog\n"` with `features=["b", "a"]` and `target="kind"`,
# `classes` is `["fog", "sun"]` and sample 0 is `([2., 1.], 1)`. (`\n` ends a line.)
#
# <details><summary>Hint 1</summary>What can be done once in <code>__init__</code>,
# so that <code>data[i]</code> has little left to do?</details>
# <details><summary>Hint 2</summary><code>frame[features].to_numpy()</code> is an array of numbers only. An index that a tensor accepts
# will do for you, and so will its errors.</details>


# %% exercise="csv"
class CsvDataset(Dataset):
    """Samples (x float32 (D,), y int64 ()) from the columns of a CSV table; `classes` lists the words of the target column."""

    def __init__(self, source, features: list[str], target: str):
        # BEGIN SOLUTION
        frame = pd.read_csv(source)
        self.classes = sorted(set(frame[target]))
        self.x = torch.tensor(frame[features].to_numpy(), dtype=torch.float32)
        self.y = torch.tensor([self.classes.index(word) for word in frame[target]])
        # END SOLUTION

    def __len__(self) -> int:
        # BEGIN SOLUTION
        return len(self.y)
        # END SOLUTION

    def __getitem__(self, i) -> tuple[torch.Tensor, torch.Tensor]:
        # BEGIN SOLUTION
        return self.x[i], self.y[i]
        # END SOLUTION


# %% check="csv-by-hand" points=1
def by_hand():
    try:
        data = CsvDataset(io.StringIO("a,b,kind\n1,2,sun\n3,4,fog\n"), ["b", "a"], "kind")
        return len(data), data.classes, data[0]
    except NotImplementedError:  # not written yet
        raise
    except Exception as problem:
        return type(problem).__name__, str(problem), None


n, words, sample = by_hand()
assert type(n) is int, (
    f"building the dataset, len(data), data.classes and data[0] must work, got {n}: {words}. A TypeError about numpy.object_: words went "
    "into torch.tensor, choose the feature columns first; or a whole row was taken first, whose type is object: take the columns before "
    "the row. A KeyError 0: frame[i] looks for a column called i. A NoneType as an integer: the return of __len__ is missing"
)
assert n == 2, f"two lines below the header: len must be 2, got {n}. 3: the columns, or the header, were counted"
assert type(words) is list, f"data.classes must be a list, got {type(words).__name__}: {words!r}"
assert words == ["fog", "sun"], f"classes must be the sorted list ['fog', 'sun'], got {words!r}"
assert type(sample) is tuple and len(sample) == 2, (
    f"data[0] must be a tuple (x, y), got {type(sample).__name__}. NoneType: is the return missing?"
)
assert [type(v) for v in sample] == [torch.Tensor] * 2, f"x and y must be tensors, got {[type(v).__name__ for v in sample]}"
assert_close(
    sample,
    (torch.tensor([2.0, 1.0]), torch.tensor(1)),
    msg=lambda m: (
        f"sample 0 must be ([2., 1.] float32, 1 int64), got {sample}. [1, 2]: the order of `features` counts. 0: classes are sorted\n{m}"
    ),
)
print("passed: the example worked by hand")


# %% check="csv-index" points=1
def by_index():
    data = CsvDataset(io.StringIO("u,v\n1.5,b\n2.5,a\n3.5,b\n"), ["u"], "v")
    out = []
    for i in (1, torch.tensor(2), torch.tensor([1, 0]).numpy()[1], -1, 3, -4):
        try:
            x, y = data[i]
            out.append((float(x[0]), int(y)))
        except NotImplementedError:  # not written yet
            raise
        except IndexError:
            out.append("IndexError")
        except Exception as problem:
            out.append(f"{type(problem).__name__}: {problem}")
    return out


got = by_index()
assert got[:4] == [(2.5, 0), (3.5, 1), (1.5, 1), (3.5, 1)], (
    f"data[1], data[tensor(2)], data[numpy 0], data[-1] of u = 1.5, 2.5, 3.5 and v = b, a, b must give "
    f"(2.5, 0), (3.5, 1), (1.5, 1), (3.5, 1), got {got[:4]}. A KeyError: frame[i] looks for a column, frame.loc[i] for a row "
    "called i. A TypeError about a location index: iloc takes no tensor, give it int(i)"
)
assert got[4:] == ["IndexError"] * 2, (
    f"data[3] and data[-4] of 3 samples must both raise IndexError, got {got[4:]}. A KeyError: see above. Numbers: an index was bent into "
    "the range (by %, or by adding the length once too often); a for loop over the dataset would never end"
)
print("passed: four kinds of index, and an IndexError beyond both ends")


# %% check="csv-types" points=1
def by_type():
    data = CsvDataset(io.StringIO("u,v,w\n1,x,7\n2,x,8\n"), ["u", "w"], "v")
    try:
        samples = [data[0], data[1]]
    except NotImplementedError:  # not written yet
        raise
    except Exception as problem:
        return f"{type(problem).__name__}: {problem}"
    samples = [sample if type(sample) is tuple else (sample,) for sample in samples]
    return [[(str(v.dtype), tuple(v.shape)) if type(v) is torch.Tensor else type(v).__name__ for v in sample] for sample in samples]


got = by_type()
assert got == [[("torch.float32", (2,)), ("torch.int64", ())]] * 2, (
    f"two samples of whole numbers must be pairs of float32 (2,) and int64 (), got {got}. x int64: to_numpy() of whole numbers is int64. "
    "y float32: a class number is no measurement. int: y must be a tensor. NoneType: is the return missing? An error: see the first check"
)
print("passed: float32 inputs, int64 targets")


# %% hidden="csv-ends" points=2
def walk():
    data = CsvDataset(io.StringIO("k,v\n" + "".join(f"{'cab'[i % 3]},{i}\n" for i in range(7))), ["v"], "k")
    seen = [(float(x[0]), int(y)) for x, y in itertools.islice(data, 50)]
    errors = []
    for i in (7, -8, 100):
        try:
            data[i]
            errors.append("no error")
        except Exception as trouble:
            errors.append(type(trouble).__name__)
    return seen, errors, len(data), float(data[-7][0][0]), data.classes, isinstance(data, Dataset)


seen, errors, n, first, words, is_dataset = walk()
assert seen == [(float(i), [2, 0, 1][i % 3]) for i in range(7)], f"a for loop over 7 samples, classes c, a, b in turn, gave {seen}"
assert errors == ["IndexError"] * 3, f"data[7], data[-8] and data[100] of 7 samples must each raise IndexError, got {errors}"
assert (n, first, words, is_dataset) == (7, 0.0, ["a", "b", "c"], True), (
    f"len 7, data[-7] is sample 0, classes a, b, c, a Dataset; got {(n, first, words, is_dataset)}"
)


# %% hidden="csv-loader" points=1
def batches():
    text = "p,q,r,kind\n" + "".join(f"{i},{i * i},{-i},{'even' if i % 2 == 0 else 'odd'}\n" for i in range(10))
    data = CsvDataset(io.StringIO(text), ["q", "r"], "kind")
    return [(x, y) for x, y in DataLoader(data, batch_size=4)]


got = batches()
numbers = torch.arange(10.0)
wanted = torch.stack([numbers**2, -numbers], dim=1)
assert_close(
    got,
    [(wanted[i : i + 4], torch.arange(10)[i : i + 4] % 2) for i in (0, 4, 8)],
    msg=lambda m: f"through a DataLoader with batch_size 4 the ten samples must come as (4, 2), (4, 2), (2, 2) and int64 targets\n{m}",
)

# %% hidden="csv-weather" points=2
lines = "date,rain,wind,weather\n2012/01/01,0.0,4.7,drizzle\n2012/01/02,10.9,4.5,rain\n2012/01/05,1.3,6.1,rain\n2012/01/14,4.1,5.3,snow\n"


def two_sets():
    first = CsvDataset(io.StringIO(lines), ["rain", "wind"], "weather")
    second = CsvDataset(io.StringIO("rain,weather\n3,hail\n"), ["rain"], "weather")
    return (
        torch.stack([first[i][0] for i in range(4)]),
        [int(first[i][1]) for i in range(4)],
        first.classes,
        second.classes,
        len(first),
        len(second),
    )


got = two_sets()
assert_close(
    got[0],
    torch.tensor([[0.0, 4.7], [10.9, 4.5], [1.3, 6.1], [4.1, 5.3]]),
    msg=lambda m: f"rain and wind of four days, got {got[0].tolist()}\n{m}",
)
assert got[1:] == ([0, 1, 1, 2], ["drizzle", "rain", "snow"], ["hail"], 4, 1), (
    f"targets 0, 1, 1, 2; each dataset has classes and length of its own (kept in the instance, not the class), got {got[1:]}"
)


# %% wrong="csv-whole-frame" fails="csv-by-hand csv-index csv-types csv-weather"
class CsvDataset(Dataset):
    def __init__(self, source, features, target):
        frame = pd.read_csv(source)
        self.table = torch.tensor(frame.to_numpy())
        self.classes = sorted(frame[target].unique())
        self.features, self.target = features, target

    def __len__(self):
        return len(self.table)

    def __getitem__(self, i):
        return self.table[i, :-1].float(), self.table[i, -1].long()


# %% [markdown] mistake="csv-whole-frame"
# Turns the whole table into a tensor, words included.
#
# Building the dataset fails with "can't convert np.ndarray of type numpy.object_": the words "sun" and "fog" cannot be numbers of a tensor.
# Decide first which columns are the inputs, and what has to happen to the words of the target column.

# %% wrong="csv-frame-i" fails="csv-by-hand csv-index csv-types"
class CsvDataset(Dataset):
    def __init__(self, source, features, target):
        self.frame = pd.read_csv(source)
        self.classes = sorted(self.frame[target].unique())
        self.features, self.target = features, target

    def __len__(self):
        return len(self.frame)

    def __getitem__(self, i):
        row = self.frame[i]
        return torch.tensor(row[self.features], dtype=torch.float32), torch.tensor(self.classes.index(row[self.target]))


# %% [markdown] mistake="csv-frame-i"
# Asks the table for a column named i instead of row number i.
#
# `data[0]` ends in `KeyError: 0`, because square brackets behind a table look for a column of that name, and yours are called a, b and
# kind. Print `frame.columns`. What could you prepare in `__init__`, so that an index meets something that counts rows?

# %% wrong="csv-loc" fails="csv-index csv-ends"
class CsvDataset(Dataset):
    def __init__(self, source, features, target):
        self.frame = pd.read_csv(source)
        self.classes = sorted(self.frame[target].unique())
        self.features, self.target = features, target

    def __len__(self):
        return len(self.frame)

    def __getitem__(self, i):
        row = self.frame.loc[i]
        x = torch.tensor(row[self.features].to_numpy(dtype="float32"))
        return x, torch.tensor(self.classes.index(row[self.target]))


# %% [markdown] mistake="csv-loc"
# Looks rows up by their label, so -1 and places beyond the end raise `KeyError`.
#
# Of two samples, `data[-1]` stops with `KeyError: -1`, and a plain `for` loop breaks off with `KeyError: 2`. The rows are named 0 and 1,
# and -1 is no name. What kind of object counts from the end by itself, and raises `IndexError` by itself?

# %% wrong="csv-modulo" fails="csv-index csv-ends"
class CsvDataset(Dataset):
    def __init__(self, source, features, target):
        frame = pd.read_csv(source)
        self.classes = sorted(frame[target].unique())
        self.x = torch.tensor(frame[features].to_numpy(), dtype=torch.float32)
        self.y = torch.tensor([self.classes.index(v) for v in frame[target]])

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        k = i % len(self)
        return self.x[k], self.y[k]


# %% [markdown] mistake="csv-modulo"
# Bends every index into the range, so no index raises `IndexError`.
#
# With two samples, `data[2]` gives sample 0 again and `data[3]` sample 1, so a `for` loop over the dataset never ends. Which indices does
# the statement allow, and what does a tensor do by itself with the others?

# %% wrong="csv-adds-length" fails="csv-index csv-ends"
class CsvDataset(Dataset):
    def __init__(self, source, features, target):
        frame = pd.read_csv(source)
        self.classes = sorted(frame[target].unique())
        self.x = torch.tensor(frame[features].to_numpy(), dtype=torch.float32)
        self.y = torch.tensor([self.classes.index(v) for v in frame[target]])

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        if i < 0:
            i += len(self)
        return self.x[i], self.y[i]


# %% [markdown] mistake="csv-adds-length"
# Adds the length to a negative index and then counts from the end once more.
#
# With two samples, `data[-3]` should be an error, but you hand out the last sample. Follow i = -3 through your `__getitem__`: what is it
# after your correction, and what does a tensor make of that number?

# %% wrong="csv-double" fails="csv-by-hand csv-types csv-loader csv-weather"
class CsvDataset(Dataset):
    def __init__(self, source, features, target):
        frame = pd.read_csv(source)
        self.classes = sorted(frame[target].unique())
        self.x = torch.tensor(frame[features].to_numpy())
        self.y = torch.tensor([float(self.classes.index(v)) for v in frame[target]])

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


# %% [markdown] mistake="csv-double"
# Leaves the dtypes to chance: inputs are not always float32, targets are floats.
#
# Sample 0 of the example by hand comes out as ([2, 1], 1.): whole-number inputs and a float target, the reverse of what is asked. Print the
# dtypes of x and y for a table of whole numbers, and ask what the criterion uses y for.

# %% wrong="csv-first-seen" fails="csv-by-hand csv-index csv-ends"
class CsvDataset(Dataset):
    def __init__(self, source, features, target):
        frame = pd.read_csv(source)
        codes, names = pd.factorize(frame[target])
        self.classes = list(names)
        self.x = torch.tensor(frame[features].to_numpy(), dtype=torch.float32)
        self.y = torch.tensor(codes)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


# %% [markdown] mistake="csv-first-seen"
# Numbers the words in the order of their first appearance instead of sorted.
#
# In the example by hand "sun" stands in the first line, so your `classes` is ["sun", "fog"] and sample 0 gets the target 0 instead of 1.
# With the lines exchanged, the numbers change. Read what the statement says about the order of `classes`.

# %% wrong="csv-columns" fails="csv-by-hand csv-ends csv-loader csv-weather"
class CsvDataset(Dataset):
    def __init__(self, source, features, target):
        self.frame = pd.read_csv(source)
        self.classes = sorted(self.frame[target].unique())
        self.x = torch.tensor(self.frame[features].to_numpy(), dtype=torch.float32)
        self.y = torch.tensor([self.classes.index(v) for v in self.frame[target]])

    def __len__(self):
        return len(self.frame.columns)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


# %% [markdown] mistake="csv-columns"
# Returns the number of columns as the number of samples.
#
# The example by hand has two samples and three columns, and your `len(data)` is 3. A `DataLoader` would ask for a sample that does not
# exist. Which of the table's two sizes is counted here, and is it the one with a sample in each place?

# %% right="csv-lazy"
class CsvDataset(Dataset):
    def __init__(self, source, features, target):
        self.frame, self.features, self.target = pd.read_csv(source), list(features), target
        self.classes = sorted(self.frame[target].unique().tolist())
        self.number = {word: k for k, word in enumerate(self.classes)}

    def __len__(self):
        return self.frame.shape[0]

    def __getitem__(self, i):
        row = self.frame.iloc[int(i)]
        x = torch.tensor([float(row[name]) for name in self.features], dtype=torch.float32)
        return x, torch.tensor(self.number[row[self.target]], dtype=torch.int64)


# %% [markdown] explanation="csv"
# The work is done once: read, choose the columns, convert, number the words. Then indexing a tensor gives all that `__getitem__` promises,
# the negative index, the tensor index and the IndexError included.
# `frame[i]` asks a frame for a column, `.loc[i]` for a row *named* i, `.iloc[i]` for row number i.
# Sorting the words makes the numbers independent of the order of the lines; a training and a test file then still agree
# as long as they have the same words. For more safety, pass the classes of the training part to the others.
# For data that do not fit into memory do the converting in `__getitem__`, as the second correct answer does.

# %% [markdown]
# ## A DataLoader: shuffled batches
#
# A **`DataLoader`** (数据加载器) draws samples from a dataset and stacks them into **batches** (批).
# Once through the dataset is an **epoch** (轮), one batch and its step an **iteration** (迭代).
# With ten samples and batches of four the last batch is short; `drop_last=True` leaves it out.

# %%
ten = TensorDataset(torch.arange(10))
for drop_last in (False, True):
    print(f"drop_last={drop_last}:", [batch.tolist() for (batch,) in DataLoader(ten, batch_size=4, drop_last=drop_last)])

# %% [markdown]
# (`TensorDataset` makes a dataset of tensors with equally many rows.
# The class is called `DataLoader`: a common note writes `Dataloader(...)`, which is a `NameError`.)
#
# `shuffle=True` (打乱) deals the samples anew for each epoch.
# It is meant for training: batches of one kind only would pull the network to and fro. For evaluation the order does not matter.
# The figure shows 24 samples in 4 epochs of batches of 5: each row an epoch, each colour a batch.

# %%
order = DataLoader(TensorDataset(torch.arange(24)), batch_size=5, shuffle=True, generator=torch.Generator().manual_seed(0))
member = torch.zeros(4, 24)
for e in range(4):
    for k, (batch,) in enumerate(order):
        member[e, batch] = k
fig, ax = plt.subplots(figsize=(8, 2.4))
picture = ax.imshow(member, aspect="auto", cmap=plt.get_cmap("tab10", 5), vmin=-0.5, vmax=4.5)
ax.set(xlabel="sample", ylabel="epoch", yticks=range(4), title="In which batch is each sample?")
fig.colorbar(picture, label="batch", ticks=range(5))
plt.show()
assert all(torch.equal(row.long().bincount(), torch.tensor([5, 5, 5, 5, 4])) for row in member)

# %% [markdown]
# Every sample stands in exactly one batch of every epoch, and in other company each time.
# Batch 4 has four samples only.

# %% [markdown]
# ### Exercise 5: how many steps? (5 points)
#
# Write `iterations(n, batch_size, n_epochs, drop_last=False)` for a loader over `n` samples.
# Return a tuple of two ints `(steps, used)`: the number of batches in all `n_epochs` epochs together,
# and the number of samples in those batches,
# a sample counted once an epoch.
#
# - `n` and `n_epochs` may be 0; `n` may be smaller than `batch_size`.
# - A `batch_size` below 1 raises `ValueError`.
# - The result must be exact for ints of any size, so no floats; and no loop over batches.
#
# By hand: `iterations(10, 4, 3)` has 3 batches an epoch, `(9, 30)`; with `drop_last=True` it is 2 batches of 4, `(6, 24)`.
#
# <details><summary>Hint 1</summary>What do <code>10 // 4</code> and <code>-(-10 // 4)</code> give?</details>
# <details><summary>Hint 2</summary>First the number of batches in one epoch, then its samples, then times the epochs.</details>


# %% exercise="iterations"
def iterations(n: int, batch_size: int, n_epochs: int, drop_last: bool = False) -> tuple[int, int]:
    """Return (number of batches, number of samples in them) of `n_epochs` epochs; ValueError for batch_size < 1."""
    # BEGIN SOLUTION
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}")
    full, rest = divmod(n, batch_size)
    if drop_last or rest == 0:
        return full * n_epochs, full * batch_size * n_epochs
    return (full + 1) * n_epochs, n * n_epochs
    # END SOLUTION


# %% check="iterations-by-hand" points=1
got = [iterations(10, 4, 3), iterations(10, 4, 3, drop_last=True)]
assert [type(pair) for pair in got] == [tuple] * 2, (
    f"iterations must return a tuple (steps, used), got {got}, of the types "
    f"{[type(pair).__name__ for pair in got]}. NoneType: is the return missing?"
)
assert all(type(v) is int for pair in got for v in pair), f"both numbers must be ints, got {got}"
assert got == [(9, 30), (6, 24)], (
    f"10 samples in batches of 4, 3 epochs, without and with drop_last: (9, 30) and (6, 24), got {got}. "
    "A first 6: floor where the short batch counts. A first 8: rounded up only once, after all epochs. "
    "A second 30 with drop_last: the dropped samples were counted"
)
print("passed: the example worked by hand")


# %% check="iterations-even" points=1
def refused():
    try:
        return iterations(6, 0, 1)
    except Exception as problem:
        return type(problem).__name__


got = [iterations(12, 4, 2), iterations(12, 4, 2, True), iterations(3, 4, 5), iterations(3, 4, 5, True)]
large, zero = iterations(10**20 + 1, 10, 1), refused()
assert got == [(6, 24), (6, 24), (5, 15), (0, 0)], (
    f"(12, 4, 2) has no short batch: (6, 24) either way; (3, 4, 5) has nothing else: (5, 15), and (0, 0) with drop_last. Got {got}. "
    "A first 8: one batch too many where the division leaves nothing"
)
assert large == (10**19 + 1, 10**20 + 1), (
    f"10²⁰ + 1 samples in batches of 10 are 10¹⁹ + 1 batches exactly, got {large}: was there a float on the way?"
)
assert zero == "ValueError", f"batch_size 0 must raise ValueError, got {zero}. ZeroDivisionError: is 0 below 1 in your test?"
print("passed: no short batch, nothing but a short batch, large numbers, and no batch of 0")

# %% hidden="iterations-loader" points=1
cases = [(n, b, d) for n in (1, 7, 8, 9, 20) for b in (1, 3, 4, 8, 21) for d in (False, True)]
got = [iterations(n, b, 2, d) for n, b, d in cases]
for (n, b, d), pair in zip(cases, got, strict=True):
    sizes = [len(batch) for (batch,) in DataLoader(TensorDataset(torch.zeros(n)), batch_size=b, drop_last=d)]
    assert pair == (2 * len(sizes), 2 * sum(sizes)), f"iterations({n}, {b}, 2, {d}): a DataLoader has batches {sizes} an epoch, got {pair}"

# %% hidden="iterations-large" points=1
huge = 10**30 + 1
got = [iterations(huge, 10, 3), iterations(huge, 10, 3, True), iterations(0, 5, 4), iterations(0, 5, 4, True), iterations(9, 2, 0)]
assert got == [(3 * (10**29 + 1), 3 * huge), (3 * 10**29, 3 * 10**30), (0, 0), (0, 0), (0, 0)], (
    f"10³⁰ + 1 samples must be counted exactly (no floats), and 0 samples or 0 epochs give (0, 0), got {got}"
)


# %% hidden="iterations-errors" points=1
def outcome(size, drop):
    try:
        return iterations(6, size, 1, drop)
    except Exception as trouble:
        return type(trouble).__name__


got = [outcome(0, False), outcome(-3, True), outcome(1, True)]
assert got == ["ValueError", "ValueError", (6, 6)], f"batch_size 0 and -3 must raise ValueError, batch_size 1 gives (6, 6); got {got}"


# %% wrong="iterations-floor" fails="iterations-by-hand iterations-even iterations-loader iterations-large"
def iterations(n, batch_size, n_epochs, drop_last=False):
    if batch_size < 1:
        raise ValueError
    return n // batch_size * n_epochs, n // batch_size * batch_size * n_epochs


# %% [markdown] mistake="iterations-floor"
# Leaves out the short batch even without `drop_last`.
#
# `iterations(7, 4, 1)` gives (1, 4): three samples are never used, although nobody asked to drop them. Does your answer look at `drop_last`
# at all? Work out 7 samples in batches of 4 by hand, once for each value of it.

# %% wrong="iterations-always-ceil" fails="iterations-by-hand iterations-even iterations-loader iterations-large"
def iterations(n, batch_size, n_epochs, drop_last=False):
    if batch_size < 1:
        raise ValueError
    return -(-n // batch_size) * n_epochs, n * n_epochs


# %% [markdown] mistake="iterations-always-ceil"
# Ignores `drop_last` and always counts the short batch.
#
# `iterations(7, 4, 1, drop_last=True)` gives (2, 7), the same as without it. The second batch would have only three samples. Deal 7 samples
# by hand with the option on: which batches are left, and how many samples are in them?

# %% wrong="iterations-one-more" fails="iterations-even iterations-loader iterations-large"
def iterations(n, batch_size, n_epochs, drop_last=False):
    if batch_size < 1:
        raise ValueError
    k = n // batch_size
    return (k * n_epochs, k * batch_size * n_epochs) if drop_last else ((k + 1) * n_epochs, n * n_epochs)


# %% [markdown] mistake="iterations-one-more"
# Counts one more batch even where the division leaves nothing.
#
# `iterations(8, 4, 1)` gives (3, 8): the third batch would be empty, and for 0 samples you count 1 batch. When is there a short batch, and
# when is there none? Try 7, 8 and 9 samples in batches of 4.

# %% wrong="iterations-epochs-joined" fails="iterations-by-hand iterations-loader iterations-even"
def iterations(n, batch_size, n_epochs, drop_last=False):
    if batch_size < 1:
        raise ValueError
    total = n * n_epochs
    if drop_last:
        return total // batch_size, total // batch_size * batch_size
    return -(-total // batch_size), total


# %% [markdown] mistake="iterations-epochs-joined"
# Deals the samples of all epochs as one long row instead of starting each epoch afresh.
#
# For `iterations(6, 4, 2)` you get 3 batches, as if the short batch of the first epoch were filled up from the second. Write down the
# batches of both epochs, one below the other, and count. At which point do the epochs come in?

# %% wrong="iterations-float" fails="iterations-even iterations-large"
def iterations(n, batch_size, n_epochs, drop_last=False):
    import math

    if batch_size < 1:
        raise ValueError
    k = math.floor(n / batch_size) if drop_last else math.ceil(n / batch_size)
    return k * n_epochs, min(k * batch_size, n) * n_epochs


# %% [markdown] mistake="iterations-float"
# Divides with floats, so large counts are not exact.
#
# For 2**53 + 1 samples in batches of 1 you count 2**53 batches, one too few, because floats of that size skip whole numbers. Look for the
# place where your ints become a float, and ask which division keeps them ints.

# %% wrong="iterations-all-used" fails="iterations-by-hand iterations-even iterations-loader iterations-large"
def iterations(n, batch_size, n_epochs, drop_last=False):
    if batch_size < 1:
        raise ValueError
    return (n // batch_size if drop_last else -(-n // batch_size)) * n_epochs, n * n_epochs


# %% [markdown] mistake="iterations-all-used"
# Counts the dropped samples as used.
#
# `iterations(7, 4, 1, drop_last=True)` gives (1, 7), but one batch of 4 cannot hold seven samples. The second number counts samples that
# stand in the counted batches. How many fit in there when the last ones are left out?

# %% wrong="iterations-zero-allowed" fails="iterations-even iterations-errors"
def iterations(n, batch_size, n_epochs, drop_last=False):
    if batch_size < 0:
        raise ValueError
    k = n // batch_size if drop_last else -(-n // batch_size)
    return k * n_epochs, min(k * batch_size, n) * n_epochs


# %% [markdown] mistake="iterations-zero-allowed"
# Lets a `batch_size` of 0 pass its test.
#
# `iterations(6, 0, 1)` ends in a `ZeroDivisionError` of Python's own instead of the `ValueError` that is asked for. Try your condition on
# -1, 0 and 1 by hand: which of them are below 1?

# %% right="iterations-ceil"
def iterations(n, batch_size, n_epochs, drop_last=False):
    if batch_size <= 0:
        raise ValueError("batch_size")
    an_epoch = n // batch_size if drop_last else (n + batch_size - 1) // batch_size
    return an_epoch * n_epochs, min(an_epoch * batch_size, n) * n_epochs


# %% [markdown] explanation="iterations"
# Floor with `drop_last`, ceiling without, and *then* times the epochs: the loader starts afresh with each epoch,
# so a short batch is not filled up from the next one.
# `math.ceil(n / batch_size)` is right until n passes 2⁵³, where floats stop counting; `-(-n // b)` is always right.
# Why drop the last batch at all? Its gradient is the noisiest, and a BatchNorm layer (chapter 14) fails on a training batch of one.

# %% [markdown]
# ### Workers
#
# Reading and transforming takes time, while the network waits.
# With `num_workers=2` two other processes, the **workers** (工作进程), prepare batches in advance.
# The next dataset tells who has prepared each sample.


# %%
class WhoReads(Dataset):
    """Eight samples; sample i is (i, the number of the worker that read it, or -1 for the main process)."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, i: int) -> tuple[int, int]:
        worker = get_worker_info()
        return i, -1 if worker is None else worker.id


alone = DataLoader(WhoReads(), batch_size=2)
helped = DataLoader(WhoReads(), batch_size=2, num_workers=2, multiprocessing_context="fork", timeout=60)
for name, loader in (("alone", alone), ("two workers", helped)):
    print(f"{name}:", [(i.tolist(), worker.tolist()) for i, worker in loader])

# %% [markdown]
# The batches come in the same order as before; the workers take turns, a whole batch each.
# Three warnings.
# Workers pay where reading is slow (large pictures, or **augmentation** (数据增强): pictures changed at random
# as they are read, chapter 11); for tensors in memory `num_workers=0` is faster.
# Each worker has a *copy* of the dataset, so what it counts or remembers is lost to the main program.
# And each worker has random numbers of its own: PyTorch seeds them from the loader's generator,
# so the results depend on the number of workers.
# (`"fork"` copies this notebook's process and does not exist on Windows; there, a dataset class must stand in a file of its own.)
#
# ## Feature scaling
#
# A learning rate must fit all features, and features come in all sizes.
# **Feature scaling** (特征缩放) makes them alike. Two ways are common:
#
# - **max scaling** (最大值缩放): divide by the largest value, so that it becomes 1;
# - **standardising** (标准化): subtract the mean, divide by the standard deviation, so that mean and deviation become 0 and 1.
#
# A common note says "Normalize divides by the set's maximum". It does not: `transforms.Normalize(mean,
# std)` subtracts and divides, channel by channel.
# Nor does it measure anything; the two numbers are yours to find.
# We find them on the part that we shall train on: a fixed random 5,000 of the 60,000 training pictures.

# %%
shuffled = torch.randperm(60_000, generator=torch.Generator().manual_seed(0))
train_rows, val_rows = shuffled[:5000], shuffled[5000:6000]
pixels = clothes.data[train_rows].float() / 255  # (5000, 28, 28); dividing by 255 is max scaling
pixel_mean, pixel_std = pixels.mean().item(), pixels.std(correction=0).item()
print(f"mean {pixel_mean:.3f}, standard deviation {pixel_std:.3f}")

# %%
standard = transforms.Normalize((pixel_mean,), (pixel_std,))(pixels[:, None])
fig, axes = plt.subplots(1, 3, figsize=(10, 2.6))
shown = [(pixels * 255, "bytes"), (pixels, "divided by the maximum"), (standard, "Normalize(mean, std)")]
for ax, (values, title) in zip(axes, shown, strict=True):
    ax.hist(values[:300].flatten(), bins=40, color="0.5")
    ax.axvline(values.mean(), color="tab:red", label=f"mean {values.mean().abs():.2g}" if values.mean() > 0.1 else "mean 0")
    ax.set(xlabel="pixel value", title=title, yscale="log")
    ax.legend(loc="upper right")
axes[0].set(ylabel="pixels of 300 pictures")
plt.show()
assert abs(standard.mean()) < 1e-4 and abs(standard.std() - 1) < 1e-3

# %% [markdown]
# The three pictures have the same shape, and only the axis differs: both scalings are straight lines, value by value.
# After max scaling the mean is still above zero, after `Normalize` it is 0.
#
# Does it matter? We let a linear layer tell rain from no rain, out of the four weather columns,
# with the temperatures in kelvin (°C + 273.15),
# as a physicist would store them.
# Three scalings, the same learning rate.

# %%
table = torch.tensor(weather[["precipitation", "temp_max", "temp_min", "wind"]].to_numpy()).float()
table[:, 1:3] += 273.15
wet = torch.tensor((weather["weather"] == "rain").to_numpy()).long()
scalings = {
    "raw": table,
    "max scaling": table / table.amax(dim=0),
    "standardised": (table - table.mean(dim=0)) / table.std(dim=0, correction=0),
}
curves = {}
for name, inputs in scalings.items():
    model = nn.Linear(4, 2)
    for p in model.parameters():
        nn.init.zeros_(p)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    curves[name] = []
    for _ in range(200):
        loss = nn.functional.cross_entropy(model(inputs), wet)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        curves[name].append(loss.item())

# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 3))
for (name, curve), colour, style in zip(curves.items(), ["tab:red", "tab:orange", "tab:blue"], ["-", "-", "--"], strict=True):
    axes[0].plot(curve, style, label=name, color=colour, lw=1 if name == "raw" else 2)
    if name != "raw":
        axes[1].plot(curve, style, label=name, color=colour)
axes[0].set(xlabel="step", ylabel="loss (log axis)", yscale="log", title="Rain or not: three scalings, lr = 0.3", ylim=(0.2, 1e5))
axes[1].set(xlabel="step", ylabel="loss", title="The two lower curves, closer")
axes[0].legend(loc="lower right", bbox_to_anchor=(1, 0.16), ncols=3, fontsize=8)
axes[1].legend(loc="upper right")
share = wet.double().mean()
ignorant = -(share * share.log() + (1 - share) * (1 - share).log()).item()  # loss of always giving rain its share
axes[1].axhline(ignorant, color="0.5", lw=1, ls=":")
axes[1].text(200, ignorant + 0.004, "without looking at the weather", ha="right", fontsize=8, color="0.3")
plt.show()
print(f"without looking: {ignorant:.2f}", {name: f"{curve[-1]:.2g}" for name, curve in curves.items() if name != "raw"})
assert curves["standardised"][-1] < curves["max scaling"][-1] < min(curves["raw"][1:])

# %% [markdown]
# Raw, the loss jumps up by factors of thousands: the step is far beyond the stable bound of chapter 5.
# Max scaling is stable: the loss falls quickly at first and then hardly moves, for daily maxima of 285 K and 295 K became 0.92 and 0.96,
# nearly the same number,
# and the weight that could use their difference would have to grow very large.
# The dotted line is the loss of a model that looks at nothing and always gives rain its share of the days, 18 in 100:
# after 200 steps max scaling is hardly below it. Standardised, the loss ends clearly lower.
# (Here we scaled by all rows, since we only compared ways to train. Where rows are kept for testing, that is a mistake,
# and the next exercise's subject.)

# %% [markdown]
# ### Exercise 6: scale, and leak nothing (7 points)
#
# A scaler that has seen the test rows has told the model something about them: a **leak** (数据泄漏).
# So the numbers are measured on the training rows only, and applied to all.
#
# - `fit_scaler(train)`: `train` has shape `(N, D)`, N ≥ 1, floating point; return a tuple `(mean, std)` of two tensors `(D,)`:
#   mean and standard deviation of each column, the one that divides by $N$ (not by $N - 1$).
#   A column whose values are all equal gets `std` exactly 1
#   (rounding can leave it a tiny deviation instead of 0; every other column keeps its own, however small).
# - `scale_parts(train, val, test)`: three tensors `(N, D)`, `(V, D)`, `(T, D)`; return a tuple of the three,
#   each standardised with mean and std
#   of `train`. `val` or `test` may have no rows. No input may change; the dtype stays.
#
# By hand: a training column 1, 3 has mean 2 and deviation 1 (dividing by $N - 1$ it would be $\sqrt 2$);
# a validation value 5 becomes $(5 - 2)/1 = 3$.
# Do not use `sklearn`.
#
# <details><summary>Hint 1</summary>How often may a mean be computed in <code>scale_parts</code>?</details>
# <details><summary>Hint 2</summary><code>train.std(dim=0, correction=0)</code> divides by N.
# Rounding can leave a tiny deviation, so do not ask whether it is 0: ask whether all values of the column <em>are equal</em>,
# then <code>torch.where</code>.</details>


# %% exercise="scaler"
def fit_scaler(train: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and standard deviation (division by N) of each column of `train` (N, D), 1 for a constant column."""
    # BEGIN SOLUTION
    std = train.std(dim=0, correction=0)
    std[train.amax(dim=0) == train.amin(dim=0)] = 1
    return train.mean(dim=0), std
    # END SOLUTION


def scale_parts(train: torch.Tensor, val: torch.Tensor, test: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Standardise the three parts with the numbers of `train`."""
    # BEGIN SOLUTION
    mean, std = fit_scaler(train)
    return (train - mean) / std, (val - mean) / std, (test - mean) / std
    # END SOLUTION


# %% check="scaler-by-hand" points=1
got = fit_scaler(torch.tensor([[1.0, 5.0, 2.0], [3.0, 5.0, 8.0]]))
assert type(got) is tuple and [type(v) for v in got] == [torch.Tensor] * 2, f"fit_scaler must return a tuple of two tensors, got {got!r}"
assert_close(
    got,
    (torch.tensor([2.0, 5.0, 5.0]), torch.tensor([1.0, 1.0, 3.0])),
    msg=lambda m: (
        f"rows (1, 5, 2), (3, 5, 8): mean (2, 5, 5), std (1, 1, 3), got "
        f"{[v.tolist() for v in got]}. 1.41: divided by N-1. A 0: the constant column\n{m}"
    ),
)
tables = [torch.full((10, 1), 0.1), torch.full((10, 1), 273.15), torch.tensor([0.1, 273.15]).expand(100, 2).clone()]
constant = [fit_scaler(t) for t in tables]
middles, spreads = [c[0] for c in constant], [c[1].tolist() for c in constant]
assert_close(
    middles,
    [t[0] for t in tables],
    msg=lambda m: f"10 × 0.1; 10 × 273.15; 100 rows (0.1, 273.15): the mean of equal rows is the row, got {middles}\n{m}",
)
assert spreads == [[1.0], [1.0], [1.0, 1.0]], (
    f"10 × 0.1; 10 × 273.15; 100 rows (0.1, 273.15): all columns are constant, std must be exactly 1 in each, got {spreads}. "
    "7e-09, 3e-05 and the like: rounding kept the deviation from being 0, so compare the values of the column, not its deviation with 0"
)
print("passed: mean, deviation, and constant columns")

# %% check="scaler-parts" points=2
def scaled_and_parts(*parts):
    return scale_parts(*parts), parts


got, parts = scaled_and_parts(torch.tensor([[1.0], [3.0]]), torch.tensor([[5.0]]), torch.tensor([[2.0], [0.0], [4.0]]))
assert type(got) is tuple and [type(v) for v in got] == [torch.Tensor] * 3, f"scale_parts must return a tuple of three tensors, got {got!r}"
assert_close(
    got,
    (torch.tensor([[-1.0], [1.0]]), torch.tensor([[3.0]]), torch.tensor([[0.0], [-2.0], [2.0]])),
    msg=lambda m: (
        f"train 1, 3; val 5; test 2, 0, 4 must become -1, 1; 3; 0, -2, 2, got {[v.flatten().tolist() for v in got]}. "
        f"Val 0: it was scaled by itself. -0.88 first: mean and std have seen all parts. -0.71 first: divided by N-1\n{m}"
    ),
)
kept = [part.flatten().tolist() for part in parts]
assert kept == [[1.0, 3.0], [5.0], [2.0, 0.0, 4.0]], f"scale_parts changed its inputs: they are now {kept}. -= and /= write into them"
print("passed: validation and test are scaled with the numbers of the training part")

# %% hidden="scaler-random" points=2
def scaled_numbers_and_parts(*parts):
    given = [p.clone() for p in parts]
    return scale_parts(*given), fit_scaler(given[0]), given


_ = torch.manual_seed(20)
parts = [torch.randn(n, 3, dtype=torch.float64) * torch.tensor([1.0, 50.0, 0.01]) + torch.tensor([0.0, 7.0, -3.0]) + n for n in (9, 4, 6)]
got, numbers, given = scaled_numbers_and_parts(*parts)
middle = parts[0].sum(0) / 9
spread = ((parts[0] - middle).square().sum(0) / 9).sqrt()
assert_close(numbers, (middle, spread), msg=lambda m: f"fit_scaler on a float64 (9, 3) tensor gave {[v.tolist() for v in numbers]}\n{m}")
assert_close(got, tuple((p - middle) / spread for p in parts), msg=lambda m: f"scale_parts on float64 parts of 9, 4 and 6 rows\n{m}")
assert all(torch.equal(g, p) for g, p in zip(given, parts, strict=True)), (
    "an input was changed in place: write (x - mean) / std, not x -= mean"
)

# %% hidden="scaler-edges" points=2
one_row = fit_scaler(torch.tensor([[4.0, -2.0]]))
assert_close(
    one_row,
    (torch.tensor([4.0, -2.0]), torch.ones(2)),
    msg=lambda m: f"one training row: mean is the row, std is 1, got {[v.tolist() for v in one_row]}\n{m}",
)
tenths = torch.full((3, 1), 0.1)
nothing = scale_parts(torch.cat([tenths, torch.tensor([[0.0], [2.0], [4.0]])], dim=1), torch.zeros(0, 2), torch.tensor([[5.1, 2.0]]))
assert tuple(nothing[1].shape) == (0, 2), f"a validation part without rows must stay (0, 2), got {tuple(nothing[1].shape)}"
assert_close(
    nothing[2],
    torch.tensor([[5.0, 0.0]]),
    msg=lambda m: f"test (5.1, 2) with a constant column 0.1 and a column of mean 2: (5, 0), got {nothing[2].tolist()}\n{m}",
)
tiny = fit_scaler(torch.tensor([[0.0], [2e-6]]))
assert_close(
    tiny[1],
    torch.tensor([1e-6]),
    atol=1e-9,
    rtol=0.01,
    msg=lambda m: f"a small deviation is no zero: std of 0 and 2e-6 is 1e-6, got {tiny[1].tolist()}\n{m}",
)
flat = [fit_scaler(torch.full((n, 1), v))[1].item() for n in (7, 10, 13, 100) for v in (0.1, 3.3, 99.9, 273.15)]
wide = [fit_scaler(torch.tensor([0.1, 0.7, 99.9, 273.15, -3.3]).expand(n, 5).clone())[1].tolist() for n in (7, 13, 100)]
assert flat == [1.0] * 16 and wide == [[1.0] * 5] * 3, (
    f"constant columns of 7 to 100 rows must all have std exactly 1, got {flat} and {wide}"
)


# %% wrong="scaler-leak" fails="scaler-parts scaler-random"
def fit_scaler(train):
    std = train.std(dim=0, correction=0)
    return train.mean(dim=0), torch.where(train.amax(0) == train.amin(0), torch.ones_like(std), std)


def scale_parts(train, val, test):
    mean, std = fit_scaler(torch.cat([train, val, test]))
    return tuple((part - mean) / std for part in (train, val, test))


# %% [markdown] mistake="scaler-leak"
# Measures mean and deviation in `scale_parts` on all three parts together.
#
# Take train 1, 3, val 5 and test 7, 9: your training part becomes -1.41, -0.71, so its mean is no longer 0. Change a test value and look at
# the scaled training part: may it change? The exercise has a word for this in its title.

# %% wrong="scaler-each-by-itself" fails="scaler-parts scaler-random"
def fit_scaler(train):
    std = train.std(dim=0, correction=0)
    return train.mean(dim=0), torch.where(train.amax(0) == train.amin(0), torch.ones_like(std), std)


def scale_parts(train, val, test):
    out = []
    for part in (train, val, test):
        mean, std = fit_scaler(part)
        out.append((part - mean) / std)
    return tuple(out)


# %% [markdown] mistake="scaler-each-by-itself"
# Scales each part with its own mean and deviation.
#
# A validation part with the one row 5 becomes 0 in your answer, and so would 100; and test values 7, 9 come out as -1, 1, the same as
# training values 1, 3. The parts can no longer be compared. Whose numbers does the statement name for all three?

# %% wrong="scaler-ddof" fails="scaler-by-hand scaler-parts scaler-random"
def fit_scaler(train):
    std = train.std(dim=0)
    return train.mean(dim=0), torch.where(train.amax(0) == train.amin(0), torch.ones_like(std), std)


def scale_parts(train, val, test):
    mean, std = fit_scaler(train)
    return tuple((part - mean) / std for part in (train, val, test))


# %% [markdown] mistake="scaler-ddof"
# Divides by N - 1 in the standard deviation instead of N.
#
# For the training column 1, 3 you find the deviation 1.414 instead of 1. The statement says which of the two is meant and works this very
# example. Look up in the documentation of your function which one it takes when nothing is said.

# %% wrong="scaler-zero-std" fails="scaler-by-hand scaler-edges"
def fit_scaler(train):
    return train.mean(dim=0), train.std(dim=0, correction=0)


def scale_parts(train, val, test):
    mean, std = fit_scaler(train)
    return tuple((part - mean) / std for part in (train, val, test))


# %% [markdown] mistake="scaler-zero-std"
# Leaves a constant column's deviation as it is, 0 or nearly 0.
#
# A training column 5, 5 gets `std` 0, and scaling then gives `nan` for the value 5 and `inf` for 6. The statement has a rule for such a
# column. How can you tell it from all the others?

# %% wrong="scaler-asks-for-zero" fails="scaler-by-hand scaler-edges"
def fit_scaler(train):
    std = train.std(dim=0, correction=0)
    return train.mean(dim=0), torch.where(std == 0, torch.ones_like(std), std)


def scale_parts(train, val, test):
    mean, std = fit_scaler(train)
    return tuple((part - mean) / std for part in (train, val, test))


# %% [markdown] mistake="scaler-asks-for-zero"
# Finds constant columns by asking whether the standard deviation is 0.
#
# A single column of eight values 0.1 has a deviation of about 7e-9 in float32, not 0, so you keep it and later divide by it. Rounding makes
# the deviation a bad witness. What else about the values of a constant column can you test?

# %% wrong="scaler-own-formula-zero" fails="scaler-by-hand scaler-edges"
def fit_scaler(train):
    mean = train.mean(dim=0)
    spread = ((train - mean) ** 2).mean(dim=0).sqrt()
    return mean, torch.where(spread == 0, 1.0, spread)


def scale_parts(train, val, test):
    mean, std = fit_scaler(train)
    return tuple((part - mean) / std for part in (train, val, test))


# %% [markdown] mistake="scaler-own-formula-zero"
# Computes the deviation by its own formula and asks whether that is 0, which rounding prevents.
#
# Nine rows of (0.1, 0.1) have a rounded mean that misses 0.1 by about 7e-9, so your deviation is 7e-9 in both columns and your question is
# answered with no. Which question about such a column needs no mean, and so no rounding?

# %% wrong="scaler-small-is-zero" fails="scaler-by-hand scaler-edges"
def fit_scaler(train):
    std = train.std(dim=0, correction=0)
    return train.mean(dim=0), torch.where(std < 1e-5, torch.ones_like(std), std)


def scale_parts(train, val, test):
    mean, std = fit_scaler(train)
    return tuple((part - mean) / std for part in (train, val, test))


# %% [markdown] mistake="scaler-small-is-zero"
# Treats every deviation below a small bound as that of a constant column.
#
# A column 0, 8e-6 varies, with the deviation 4e-6, but you give it 1; and ten values 273.15, all equal, get 3e-5 from rounding and pass
# above your bound. No bound separates the two cases. Which property of a constant column is sharp?

# %% wrong="scaler-all-columns" fails="scaler-by-hand scaler-random"
def fit_scaler(train):
    std = train.std(correction=0).expand(train.shape[1]).clone()
    return train.mean().expand(train.shape[1]), torch.where(std == 0, torch.ones_like(std), std)


def scale_parts(train, val, test):
    mean, std = fit_scaler(train)
    return tuple((part - mean) / std for part in (train, val, test))


# %% [markdown] mistake="scaler-all-columns"
# Takes one mean and one deviation for the whole table instead of for each column.
#
# For rows (1, 10) and (3, 30) you give both columns the mean 11 and the deviation 11.47, although the first column never comes near 11.
# Print the mean of each column by hand, and ask which axis has to disappear.

# %% wrong="scaler-in-place" fails="scaler-parts scaler-random"
def fit_scaler(train):
    std = train.std(dim=0, correction=0)
    return train.mean(dim=0), torch.where(train.amax(0) == train.amin(0), torch.ones_like(std), std)


def scale_parts(train, val, test):
    mean, std = fit_scaler(train)
    for part in (train, val, test):
        part -= mean
        part /= std
    return train, val, test


# %% [markdown] mistake="scaler-in-place"
# Changes the given tensors while scaling.
#
# After a call with the training values 1, 3 the caller's own tensor holds -1, 1; a second call would scale what is scaled already. Print
# the inputs after a call, and look for the operations that write into a tensor instead of making a new one.

# %% right="scaler-loop"
def fit_scaler(train):
    mean = train.sum(dim=0) / len(train)
    std = ((train - mean) ** 2).mean(dim=0).sqrt()
    equal = (train == train[0]).all(dim=0)
    return mean, std.masked_fill(equal, 1.0)


def scale_parts(train, val, test):
    mean, std = fit_scaler(train)
    return tuple((part - mean).div(std) for part in (train, val, test))


# %% [markdown] explanation="scaler"
# The scaler is a part of the model: it is fitted on the training part and then only applied, to validation, test, and all future rows.
# After that the validation part has no mean 0 and no deviation 1, and should not.
# N or N − 1 hardly matters for large N, but a program must say which; PyTorch's `std` divides by N − 1 unless told,
# NumPy's and scikit-learn's by N.
# A constant column is found by comparing its values: in float32 a single column of ten 0.1 has a deviation near 7e-9, of ten 273.15 one
# of 3e-5, and dividing by it makes ±1 of nothing; whether rounding leaves exactly 0 depends even on the number of columns.
# No threshold helps: another column may really vary by 1e-6.

# %% [markdown]
# ### Exercise 7: correct the note about Normalize (5 points)
#
# The note: "we normalise the images by the set's maximum, as transforms.Normalize does".
# Show the difference, with pictures of several channels (a colour picture has three).
# `train` has shape `(N, C, H, W)`, `images` `(M, C, H, W)`, both float;
# in each channel of `train` the largest value is positive and not all values are equal.
#
# - `max_scaled(train, images)`: divide each channel of `images` by the largest value of that channel in `train`.
# - `normalised(train, images)`: what `transforms.Normalize(mean, std)` does to `images`, where `mean[c]` and `std[c]` are the mean and the
#   standard deviation (dividing by the count, not by the count less one) of all $N \cdot H \cdot W$ values of channel `c` in `train`.
#
# Both return a new tensor of the shape of `images`. You may use `transforms.Normalize`.
# By hand: one channel with the training values 0, 4, 4, 8 has maximum 8, mean 4 and deviation $\sqrt{(16 + 0 + 0 + 16)/4} = \sqrt 8$.
# A value 8 becomes 1 by the maximum, and $(8 - 4)/\sqrt 8 = 1.414$ by `Normalize`.
#
# <details><summary>Hint 1</summary>Over which axes do you reduce, if one number a channel is left?</details>
# <details><summary>Hint 2</summary><code>dim=(0, 2, 3), keepdim=True</code> works for <code>amax</code>,
# <code>mean</code> and <code>std</code>.</details>


# %% exercise="note"
def max_scaled(train: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Divide each channel of `images` (M, C, H, W) by the maximum of that channel in `train` (N, C, H, W)."""
    # BEGIN SOLUTION
    return images / train.amax(dim=(0, 2, 3), keepdim=True)
    # END SOLUTION


def normalised(train: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Subtract mean and divide by standard deviation of the channel in `train`."""
    # BEGIN SOLUTION
    axes = (0, 2, 3)
    mean, std = train.mean(dim=axes, keepdim=True), train.std(dim=axes, correction=0, keepdim=True)
    return (images - mean) / std
    # END SOLUTION


# %% check="note-by-hand" points=1
values = torch.tensor([0.0, 4.0, 4.0, 8.0]).reshape(1, 1, 2, 2)
got = [max_scaled(values, values), normalised(values, values)]
assert [type(v) for v in got] == [torch.Tensor] * 2, f"both functions must return tensors, got {[type(v).__name__ for v in got]}"
assert_close(
    got,
    [values / 8, (values - 4) / 8**0.5],
    msg=lambda m: (
        f"values 0, 4, 4, 8: max scaling 0, 0.5, 0.5, 1; Normalize -1.414, 0, 0, 1.414; got "
        f"{[v.flatten().tolist() for v in got]}. 1.22: divided by the count less one\n{m}"
    ),
)
print("passed: the example worked by hand")

# %% check="note-channels" points=1
first, second = torch.tensor([[2.0, 4.0], [4.0, 10.0]]), torch.tensor([[20.0, 40.0], [40.0, 100.0]])
two = torch.stack([first, second], dim=1).reshape(2, 2, 1, 2)  # two pictures, two channels, 1 × 2 pixels
other = torch.tensor([[8.0, 5.0], [140.0, 20.0]]).reshape(1, 2, 1, 2)  # one picture, two channels
got = [max_scaled(two, other), normalised(two, other)]
assert [type(v) for v in got] == [torch.Tensor] * 2, f"both functions must return tensors, got {[type(v).__name__ for v in got]}"
assert_close(
    got,
    [torch.tensor([[0.8, 0.5], [1.4, 0.2]]).reshape(1, 2, 1, 2), torch.tensor([[1.0, 0.0], [3.0, -1.0]]).reshape(1, 2, 1, 2)],
    msg=lambda m: (
        "train: channel 0 has 2, 4 | 4, 10 (maximum 10, mean 5, std 3) in its two pictures, channel 1 ten times as much; images: 8, 5 and "
        "140, 20. max_scaled must give 0.8, 0.5, 1.4, 0.2, normalised 1, 0, 3, -1; got "
        f"{[v.flatten().tolist() for v in got]}. max_scaled 1 or normalised 1, -1, 1, -1: the numbers of `images`, not of `train`. "
        "max_scaled 0.08: channels mixed. normalised 0.87: divided by the count less one; 1.5: mean of each picture's std; "
        f"nan or inf: a std over too few values\n{m}"
    ),
)
print("passed: each channel has its own numbers, and they come from the training pictures")

# %% hidden="note-torch" points=3
def both_and_inputs(tr, im):
    given = tr.clone(), im.clone()
    return [max_scaled(*given), normalised(*given)], given


_ = torch.manual_seed(20)
tr = torch.rand(5, 3, 4, 2) * torch.tensor([1.0, 20.0, 300.0]).reshape(3, 1, 1) - 0.2
im = torch.rand(2, 3, 6, 7) * 50
got, given = both_and_inputs(tr, im)
assert torch.equal(given[0], tr) and torch.equal(given[1], im), "an input was changed in place"
flat = tr.transpose(0, 1).reshape(3, -1)
wanted = [im / flat.max(dim=1).values.reshape(3, 1, 1), transforms.Normalize(flat.mean(1), flat.std(1, correction=0))(im)]
assert_close(got[0], wanted[0], msg=lambda m: f"max_scaled on train (5, 3, 4, 2) and images (2, 3, 6, 7)\n{m}")
assert_close(
    got[1], wanted[1], msg=lambda m: f"normalised on train (5, 3, 4, 2) and images (2, 3, 6, 7) differs from transforms.Normalize\n{m}"
)


# %% wrong="note-as-noted" fails="note-by-hand note-torch"
def max_scaled(train, images):
    return images / train.amax(dim=(0, 2, 3), keepdim=True)


def normalised(train, images):
    return max_scaled(train, images)


# %% [markdown] mistake="note-as-noted"
# Divides by the maximum in `normalised` too, as the note claims.
#
# For the values 0, 4, 4, 8 your `normalised` gives 0, 0.5, 0.5, 1, the same as `max_scaled`, and never a negative number. The note is what
# this exercise corrects. What does `Normalize` do with a value below the mean?

# %% wrong="note-own-numbers" fails="note-channels note-torch"
def max_scaled(train, images):
    return images / images.amax(dim=(0, 2, 3), keepdim=True)


def normalised(train, images):
    m, s = images.mean(dim=(0, 2, 3), keepdim=True), images.std(dim=(0, 2, 3), correction=0, keepdim=True)
    return (images - m) / s


# %% [markdown] mistake="note-own-numbers"
# Measures maximum, mean and deviation on `images` instead of on `train`.
#
# With training values 0, 4, 4, 8, a picture that is 2 everywhere becomes 1 by your `max_scaled` and `nan` by your `normalised`. The same
# would come out for any other training pictures. Which of your two arguments is never looked at?

# %% wrong="note-all-channels" fails="note-channels note-torch"
def max_scaled(train, images):
    return images / train.max()


def normalised(train, images):
    return (images - train.mean()) / train.std(correction=0)


# %% [markdown] mistake="note-all-channels"
# Uses one number for all channels instead of one for each.
#
# Take a channel with the values 0, 2 and another with 0, 200: your `max_scaled` turns the first into 0, 0.01, so a dark colour nearly
# vanishes. How many maxima does a picture of three channels need, and which axes have to disappear to get them?

# %% wrong="note-sample-std" fails="note-by-hand note-channels note-torch"
def max_scaled(train, images):
    return images / train.amax(dim=(0, 2, 3), keepdim=True)


def normalised(train, images):
    m, s = train.mean(dim=(0, 2, 3), keepdim=True), train.std(dim=(0, 2, 3), keepdim=True)
    return (images - m) / s


# %% [markdown] mistake="note-sample-std"
# Divides by the count less one in the standard deviation.
#
# In the example by hand the value 8 becomes 1.2247 by your `normalised` and not 1.414. Your deviation is too large: 3.27 where the
# statement's is the root of 8. Read what your function divides by when nothing is said.

# %% wrong="note-picture-std" fails="note-channels note-torch"
def max_scaled(train, images):
    return images / train.amax(dim=(0, 2, 3), keepdim=True)


def normalised(train, images):
    spread = train.std(dim=(2, 3), correction=0, keepdim=True).mean(dim=0, keepdim=True)
    return (images - train.mean(dim=(0, 2, 3), keepdim=True)) / spread


# %% [markdown] mistake="note-picture-std"
# Averages the pictures' own deviations instead of taking one over all pictures.
#
# Two training pictures with the pixels 1, 3 and 5, 7 each have the deviation 1, but all four values together have 2.24, since the pictures
# differ in brightness; you divide by 1. Over which values does the statement take the deviation of a channel?

# %% wrong="note-min-max" fails="note-channels note-torch"
def max_scaled(train, images):
    low, high = train.amin(dim=(0, 2, 3), keepdim=True), train.amax(dim=(0, 2, 3), keepdim=True)
    return (images - low) / (high - low)


def normalised(train, images):
    m, s = train.mean(dim=(0, 2, 3), keepdim=True), train.std(dim=(0, 2, 3), correction=0, keepdim=True)
    return (images - m) / s


# %% [markdown] mistake="note-min-max"
# Subtracts the smallest training value in `max_scaled`.
#
# With training values 2 and 8, your `max_scaled` turns 2 into 0, and a quarter of the maximum is wanted. In the example by hand the
# smallest value is 0, so nothing shows there. Which numbers of `train` does the statement mention for `max_scaled`?

# %% right="note-transform"
def _by_channel(train):
    return train.transpose(0, 1).flatten(start_dim=1)


def max_scaled(train, images):
    return torch.einsum("mchw,c->mchw", images, 1 / _by_channel(train).max(dim=1).values)


def normalised(train, images):
    rows = _by_channel(train)
    return transforms.Normalize(rows.mean(1).tolist(), rows.std(1, unbiased=False).tolist())(images)


# %% [markdown] explanation="note"
# Max scaling keeps zero where it is and fixes the largest value; `Normalize` moves the mean to zero and fixes the spread.
# `ToTensor` has already done max scaling by 255, the largest *possible* byte, so the usual pair does both, one after the other.
# Numbers of the whole picture instead of each channel's mix colours of unlike brightness; numbers of the images to be scaled are a leak.

# %% [markdown]
# ## Three parts, three uses
#
# The **training part** (训练集) changes the parameters.
# The **validation part** (验证集) chooses: the learning rate, the number of epochs, the kind of network.
# The **test part** (测试集) is looked at once, at the end, and reports.
# Why is a third part needed? Because choosing spoils the number by which we chose.
# In the next cell 200 "models" guess: each is right about each of 100 pictures with chance 0.1. We choose the best guesser, 500 times over.

# %%
_ = torch.manual_seed(0)
on_val = torch.distributions.Binomial(100, torch.tensor(0.1)).sample((500, 200)) / 100  # (repeats, models)
on_test = torch.distributions.Binomial(100, torch.tensor(0.1)).sample((500, 200)) / 100
best = on_val.argmax(dim=1, keepdim=True)
chosen_val, chosen_test = on_val.gather(1, best)[:, 0], on_test.gather(1, best)[:, 0]
fig, ax = plt.subplots(figsize=(6.5, 3))
bins = torch.arange(0.005, 0.32, 0.01)
ax.hist(chosen_val, bins=bins, color="tab:red", alpha=0.7, label="where it was chosen")
ax.hist(chosen_test, bins=bins, color="tab:blue", alpha=0.7, label="on 100 other pictures")
ax.set(xlabel="accuracy of the best of 200 guessers", ylabel="repeats (of 500)", title="Choosing spoils the number")
ax.legend()
plt.show()
assert 0.18 < chosen_val.mean() < 0.20 and 0.09 < chosen_test.mean() < 0.11

# %% [markdown]
# **Accuracy** (准确率) is the share of right answers.
# Where the guesser was chosen it seems to be right in about 19 of 100 cases; elsewhere it is a guesser, 10 of 100.
# A common note's program for MNIST calls `test()` after every epoch and keeps the best number: it reports the red histogram.
# The same `test()` never calls `model.eval()`. Both mistakes are in the next exercises.

# %% [markdown]
# ### Exercise 8: repair three evaluations (9 points)
#
# Again each function has **one** fault, and is graded by what it does.
# `loader` can be walked over several times and gives batches `(xb, yb)`, at least one; `model(xb)` gives logits `(B, K)`.
# All three must leave the model in evaluation mode, use no dropout, record no graph while the model computes,
# and change nothing else: neither in the model nor in PyTorch's settings, so afterwards graphs are recorded again.
# (In some checks the model is `nn.Identity()`, which returns its input: the inputs are then the logits.)
#
# - `validation_loss(model, loader, criterion)`: the mean loss of a sample, a Python float; `criterion` gives the mean of a batch.
# - `all_logits(model, loader)`: the logits of all samples, `(N, K)`, in the order of the loader; they do not require a gradient.
# - `predictions(model, loader)`: for each sample the number of the class with the largest logit, int64 `(N,)`.
#
# By hand: logits `[[1, 5, 2], [4, 0, 3]]` give the predictions `[1, 0]`, one for each *row*.
#
# <details><summary>Hint 1</summary>For each of the three ask: which mode, is a graph recorded, over which axis?</details>
# <details><summary>Hint 2</summary>The three missing things are <code>eval</code>,
# <code>no_grad</code> and the right <code>dim</code>, one each.</details>


# %% exercise="evaluate"
def validation_loss(model: nn.Module, loader, criterion) -> float:
    """Return the mean loss of a sample in evaluation mode."""
    # As found; two calls give two numbers:
    #     total, seen = 0.0, 0
    #     with torch.no_grad():
    #         for xb, yb in loader:
    #             total += criterion(model(xb), yb).item() * len(xb)
    #             seen += len(xb)
    #     return total / seen
    # BEGIN SOLUTION
    model.eval()
    total, seen = 0.0, 0
    with torch.no_grad():
        for xb, yb in loader:
            total += criterion(model(xb), yb).item() * len(xb)
            seen += len(xb)
    return total / seen
    # END SOLUTION


def all_logits(model: nn.Module, loader) -> torch.Tensor:
    """Return the logits (N, K) of all samples, without a graph."""
    # As found; the memory is full before the last batch:
    #     model.eval()
    #     return torch.cat([model(xb) for xb, _ in loader])
    # BEGIN SOLUTION
    model.eval()
    with torch.no_grad():
        return torch.cat([model(xb) for xb, _ in loader])
    # END SOLUTION


def predictions(model: nn.Module, loader) -> torch.Tensor:
    """Return the predicted classes (N,), int64."""
    # As found; the number of predictions is wrong:
    #     model.eval()
    #     with torch.no_grad():
    #         return torch.cat([model(xb).argmax(dim=0) for xb, _ in loader])
    # BEGIN SOLUTION
    model.eval()
    with torch.no_grad():
        return torch.cat([model(xb).argmax(dim=1) for xb, _ in loader])
    # END SOLUTION


# %% check="evaluate-predictions" points=1
got = predictions(
    nn.Identity(), [(torch.tensor([[1.0, 5.0, 2.0], [4.0, 0.0, 3.0]]), torch.zeros(2)), (torch.tensor([[0.0, 1.0, 9.0]]), torch.zeros(1))]
)
assert type(got) is torch.Tensor, f"predictions must return a tensor, got {type(got).__name__}"
assert got.tolist() == [1, 0, 2], (
    f"the rows (1, 5, 2), (4, 0, 3) and (0, 1, 9) have their largest values at 1, 0, 2; got {got.tolist()}. "
    "Six numbers: argmax went down the columns, over the samples"
)
print("passed: one prediction a sample")


# %% check="evaluate-mode" points=2
def modes_and_numbers():
    model = nn.Sequential(nn.Dropout(0.5), nn.Flatten())
    loader = [(torch.ones(30, 4), torch.zeros(30, 4)), (torch.ones(10, 4), torch.full((10, 4), 3.0))]
    out = {}
    for name, ask in (
        ("validation_loss", lambda: validation_loss(model, loader, nn.MSELoss())),
        ("all_logits", lambda: all_logits(model, loader)),
        ("predictions", lambda: predictions(model, loader)),
    ):
        model.train()
        value = ask()
        out[name] = (
            type(value).__name__,
            float(torch.as_tensor(value).sum()) if type(value) in (float, torch.Tensor) else None,
            [m.training for m in model.modules()],
        )
    return out


_ = torch.manual_seed(0)
got = modes_and_numbers()
wanted = {"validation_loss": ("float", 1.75), "all_logits": ("Tensor", 160.0), "predictions": ("Tensor", 0.0)}
kinds, values = {name: g[0] for name, g in got.items()}, {name: g[:2] for name, g in got.items()}
assert kinds == {name: w[0] for name, w in wanted.items()}, (
    f"the types must be a float and two tensors, got {kinds}. list: one tensor of all samples is asked for; NoneType: is the return "
    "missing?"
)
assert all(not any(g[2]) for g in got.values()), (
    "the model arrives in training mode and must be left in evaluation mode by each function, with its children; "
    f"(model, dropout, flatten).training afterwards: { {name: g[2] for name, g in got.items()} }. "
    "Is model.eval() called? It reaches the children, model.training = False does not"
)
assert values == wanted, (
    "40 samples of four ones, loss 1 for a batch of 30 and 4 for a batch of 10: the mean of a sample is (30·1 + 10·4)/40 = 1.75; the logits sum "
    f"to 160, the predictions to 0: {wanted}, got {values}. 2.5: the mean of the batch means. Other values: Dropout was at work"
)
print("passed: evaluation mode, no dropout, every sample counts once")


# %% check="evaluate-no-graph" points=1
def graph_recorded():
    model = nn.Linear(2, 3)
    recorded = []
    model.register_forward_hook(lambda module, inputs, outputs: recorded.append(outputs.requires_grad))
    loader = [(torch.ones(2, 2), torch.tensor([0, 1])), (torch.ones(1, 2), torch.tensor([2]))]
    enabled = {}
    try:
        for name, ask in (
            ("validation_loss", lambda: validation_loss(model, loader, nn.CrossEntropyLoss())),
            ("predictions", lambda: predictions(model, loader)),
            ("all_logits", lambda: all_logits(model, loader)),
        ):
            torch.set_grad_enabled(mode=True)
            recorded.clear()
            logits = ask()
            enabled[name] = torch.is_grad_enabled()
    finally:
        torch.set_grad_enabled(mode=True)  # so that the rest of the notebook can train
    kind = (tuple(logits.shape), logits.requires_grad) if type(logits) is torch.Tensor else (type(logits).__name__, None)
    return (*kind, recorded), enabled, [p.requires_grad for p in model.parameters()]


got, enabled, trainable = graph_recorded()
assert all(enabled.values()) and len(enabled) == 3, (
    f"afterwards graphs must be recorded again, torch.is_grad_enabled() True, got {enabled}. False: gradients were left switched off for the "
    "whole notebook; use with torch.no_grad(): around the loop, which switches back"
)
assert trainable == [True, True], (
    f"the parameters must still ask for gradients: requires_grad [True, True], got {trainable}. Freezing them changes the model; no_grad does not"
)
assert got == ((3, 3), False, [False, False]), (
    f"all_logits of 2 + 1 samples: shape (3, 3), requires_grad False, and no graph for either batch [False, False]; got {got}. "
    "A type, not a shape: all_logits must return one tensor. detach() afterwards is too late: the graph was recorded already"
)
print("passed: no graph is recorded, and gradients are on again afterwards")


# %% hidden="evaluate-loss" points=2
def losses():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    with torch.no_grad():
        model[0].weight.copy_(weight)
        model[0].bias.zero_()
    model[1].running_mean.fill_(0.5)
    graphs = []
    model.register_forward_hook(lambda _module, _inputs, y: graphs.append(y.requires_grad))
    before = copy.deepcopy(model.state_dict())
    model.train()
    value = validation_loss(model, DataLoader(TensorDataset(xs, ys), batch_size=4), nn.CrossEntropyLoss())
    same = all(torch.equal(before[key], now) for key, now in model.state_dict().items())
    return value, same, model.training, graphs, model[0].weight.grad is None


_ = torch.manual_seed(20)
weight, xs, ys = torch.randn(4, 3), torch.randn(9, 3), torch.randint(4, (9,))
got = losses()
wanted = nn.functional.cross_entropy((xs @ weight.T - 0.5) / (1 + 1e-5) ** 0.5, ys).item()
assert type(got[0]) is float and abs(got[0] - wanted) < 1e-5, (
    f"mean loss of 9 samples in batches 4, 4, 1 is {wanted:.5f}, a float; got {got[0]!r}"
)
assert got[1:3] == (True, False), f"validation must change no running statistics (True) and leave training False; got {got[1:3]}"
assert got[3:] == ([False] * 3, True), f"validation must record no graph in any of 3 batches and make no gradients; got {got[3:]}"


# %% hidden="evaluate-logits" points=2
def logits_of(batch_size):
    model = nn.Sequential(nn.Dropout(0.9), nn.Linear(3, 5))
    with torch.no_grad():
        model[1].weight.copy_(weight)
        model[1].bias.zero_()
    loader = DataLoader(TensorDataset(xs, torch.zeros(7)), batch_size=batch_size)
    graphs = []
    model.register_forward_hook(lambda _module, _inputs, y: graphs.append(y.requires_grad))
    logits, classes = all_logits(model.train(), loader), predictions(model.train(), loader)
    return logits.detach(), logits.requires_grad, classes, any(graphs), model.training


_ = torch.manual_seed(21)
weight, xs = torch.randn(5, 3), torch.randn(7, 3)
answers = [logits_of(3), logits_of(7), logits_of(1)]
for logits, needs, classes, recorded, mode in answers:
    assert_close(
        logits, xs @ weight.T, rtol=1e-4, atol=1e-5, msg=lambda m: f"all_logits of 7 samples, 5 classes, in the order of the loader\n{m}"
    )
    assert_close(
        classes, (xs @ weight.T).max(dim=1).indices, msg=lambda m, c=classes: f"predictions of 7 samples, 5 classes; got {c.tolist()}\n{m}"
    )
    assert (needs, recorded, mode) == (False, False, False), (
        f"no gradient, no graph, evaluation mode afterwards; got {(needs, recorded, mode)}"
    )


# %% hidden="evaluate-outside" points=1
def outside():
    model = nn.Linear(2, 2)
    model.weight.requires_grad_(False)
    loader = [(torch.ones(2, 2), torch.tensor([0, 1]))]
    _ = validation_loss(model, loader, nn.CrossEntropyLoss()), all_logits(model, loader), predictions(model, loader)
    return torch.is_grad_enabled(), [p.requires_grad for p in model.parameters()]


got = outside()
torch.set_grad_enabled(True)
assert got == (True, [False, True]), (
    f"afterwards gradients must be enabled again, and requires_grad of each parameter as before [False, True]; got {got}"
)


# %% wrong="evaluate-train-mode" fails="evaluate-mode evaluate-loss"
def validation_loss(model, loader, criterion):
    total, seen = 0.0, 0
    with torch.no_grad():
        for xb, yb in loader:
            total += criterion(model(xb), yb).item() * len(xb)
            seen += len(xb)
    return total / seen


def all_logits(model, loader):
    model.eval()
    return torch.no_grad()(lambda: torch.cat([model(xb) for xb, _ in loader]))()


def predictions(model, loader):
    return all_logits(model, loader).argmax(dim=1)


# %% [markdown] mistake="evaluate-train-mode"
# Never puts the model into evaluation mode in `validation_loss`.
#
# With a `Dropout(0.5)` in the model, two calls on the same four samples gave us 2.25 and 3.0, and in evaluation mode it is 1.75 each time.
# Switching graphs off does not switch Dropout off. Print `model.training` inside your loop.

# %% wrong="evaluate-graph" fails="evaluate-no-graph evaluate-logits"
def validation_loss(model, loader, criterion):
    model.eval()
    total, seen = 0.0, 0
    with torch.no_grad():
        for xb, yb in loader:
            total += criterion(model(xb), yb).item() * len(xb)
            seen += len(xb)
    return total / seen


def all_logits(model, loader):
    model.eval()
    return torch.cat([model(xb) for xb, _ in loader]).detach()


def predictions(model, loader):
    model.eval()
    with torch.no_grad():
        return torch.cat([model(xb).argmax(dim=1) for xb, _ in loader])


# %% [markdown] mistake="evaluate-graph"
# Lets `all_logits` record a graph for every batch.
#
# Inside your `all_logits` each batch's output still has `requires_grad` True, so all graphs live together until the last batch is done;
# cutting the result loose afterwards comes too late. Compare with your other two functions: what surrounds the call of the model there?

# %% wrong="evaluate-axis" fails="evaluate-predictions evaluate-logits"
def validation_loss(model, loader, criterion):
    model.eval()
    total, seen = 0.0, 0
    with torch.no_grad():
        for xb, yb in loader:
            total += criterion(model(xb), yb).item() * len(xb)
            seen += len(xb)
    return total / seen


def all_logits(model, loader):
    model.eval()
    with torch.no_grad():
        return torch.cat([model(xb) for xb, _ in loader])


def predictions(model, loader):
    model.eval()
    with torch.no_grad():
        return torch.cat([model(xb).argmax(dim=0) for xb, _ in loader])


# %% [markdown] mistake="evaluate-axis"
# Takes the largest logit of each column instead of each row in `predictions`.
#
# For the logits [[1, 5, 2], [4, 0, 3]] you give three numbers, [1, 0, 1], for two samples. They say which sample is best for each class.
# What are the two axes of `(B, K)`, and which of them must be gone in the result?

# %% wrong="evaluate-switch-off" fails="evaluate-no-graph evaluate-outside"
def validation_loss(model, loader, criterion):
    model.eval()
    torch.set_grad_enabled(False)
    total = sum(criterion(model(xb), yb).item() * len(xb) for xb, yb in loader)
    return total / sum(len(xb) for xb, _ in loader)


def all_logits(model, loader):
    model.eval()
    torch.set_grad_enabled(False)
    return torch.cat([model(xb) for xb, _ in loader])


def predictions(model, loader):
    return all_logits(model, loader).argmax(dim=1)


# %% [markdown] mistake="evaluate-switch-off"
# Switches gradients off for the whole program and never on again.
#
# After one call `torch.is_grad_enabled()` is False, and the next training stops at `loss.backward()` with "element 0 of tensors does not
# require grad". The statement wants PyTorch's settings as before. Look for a way whose effect ends together with your loop.

# %% wrong="evaluate-freezes" fails="evaluate-no-graph evaluate-outside"
def validation_loss(model, loader, criterion):
    model.eval()
    total, seen = 0.0, 0
    with torch.no_grad():
        for xb, yb in loader:
            total += criterion(model(xb), yb).item() * len(xb)
            seen += len(xb)
    return total / seen


def all_logits(model, loader):
    model.eval()
    model.requires_grad_(False)
    return torch.cat([model(xb) for xb, _ in loader])


def predictions(model, loader):
    return all_logits(model, loader).argmax(dim=1)


# %% [markdown] mistake="evaluate-freezes"
# Freezes the model's parameters to avoid a graph.
#
# After `all_logits` every parameter of the model has `requires_grad` False, so the model can no longer be trained: the next `backward()`
# fails. That changes the model, which the statement forbids. How do you keep PyTorch from recording without touching a parameter?

# %% wrong="evaluate-flag-only" fails="evaluate-mode evaluate-loss evaluate-logits"
def validation_loss(model, loader, criterion):
    model.training = False
    total, seen = 0.0, 0
    with torch.no_grad():
        for xb, yb in loader:
            total += criterion(model(xb), yb).item() * len(xb)
            seen += len(xb)
    return total / seen


def all_logits(model, loader):
    model.training = False
    with torch.no_grad():
        return torch.cat([model(xb) for xb, _ in loader])


def predictions(model, loader):
    return all_logits(model, loader).argmax(dim=1)


# %% [markdown] mistake="evaluate-flag-only"
# Sets evaluation mode on the model itself only, not on the modules inside it.
#
# Afterwards the flags of a `Sequential` with a Dropout and a Flatten are [False, True, True]: the outer module is switched, and Dropout
# goes on dropping. Print `[m.training for m in model.modules()]`. What in the chapter reaches every module of the tree?

# %% wrong="evaluate-batch-means" fails="evaluate-mode evaluate-loss"
def validation_loss(model, loader, criterion):
    model.eval()
    with torch.no_grad():
        losses = [criterion(model(xb), yb).item() for xb, yb in loader]
    return sum(losses) / len(losses)


def all_logits(model, loader):
    model.eval()
    with torch.no_grad():
        return torch.cat([model(xb) for xb, _ in loader])


def predictions(model, loader):
    return all_logits(model, loader).argmax(dim=1)


# %% [markdown] mistake="evaluate-batch-means"
# Averages the mean losses of the batches in `validation_loss`, whatever their sizes.
#
# A batch of 3 with the loss 2 and a batch of 1 with the loss 6 give 4 in your answer, but the mean of the four samples is 3. The last batch
# of a loader is often short. How much should each batch count?

# %% right="evaluate-inference"
@torch.no_grad()
def validation_loss(model, loader, criterion):
    pairs = [(criterion(model.eval()(xb), yb).item(), len(yb)) for xb, yb in loader]
    return sum(value * n for value, n in pairs) / sum(n for _, n in pairs)


def all_logits(model, loader):
    model.train(False)
    with torch.inference_mode():
        parts = []
        for xb, _ in loader:
            parts.append(model(xb))
        return torch.vstack(parts)


def predictions(model, loader):
    return all_logits(model, loader).max(-1).indices


# %% [markdown] explanation="evaluate"
# `eval()` and `no_grad()` are two different switches. `eval()` changes what Dropout and BatchNorm compute; it still records graphs.
# `no_grad()` records none; it leaves Dropout on. An evaluation needs both.
# A BatchNorm in training mode does worse than disturb the answer: each validation batch moves its running statistics,
# so the validation data have entered the model.
# `detach()` after the forward pass gives the right type, but all graphs were alive until then.
# `argmax(dim=0)` of (B, K) asks which *sample* is best for each class; where B equals K the shape does not warn.

# %% [markdown]
# ### Exercise 9: accuracy, whatever the batches (7 points)
#
# Write `accuracy(model, loader)`: the share of all samples whose largest logit is that of the right class, a Python float from 0 to 1.
# `loader` gives batches `(xb, yb)` of any sizes, with at least one sample in all; `model(xb)` has shape `(B, K)`, `yb` `(B,)`.
# Of equal largest logits the first counts, as for `argmax`.
#
# - The result depends on the samples only, not on how they are cut into batches.
# - The model computes in evaluation mode and records no graph.
# - Afterwards every module is in the mode it had before. In the tests all modules of a model have the same mode.
#
# By hand: a batch of 3 with 3 right, then a batch of 1 with 0 right: $3/4 = 0.75$. The mean of the batches' accuracies would be 0.5.
#
# <details><summary>Hint 1</summary>Which two whole numbers do you carry from batch to batch?</details>
# <details><summary>Hint 2</summary>Remember <code>model.training</code> first; <code>model.train(flag)</code> sets either mode.</details>


# %% exercise="accuracy"
def accuracy(model: nn.Module, loader) -> float:
    """Return the share of right answers of `model` over all samples; the model's mode is as before."""
    # BEGIN SOLUTION
    was_training = model.training
    model.eval()
    right = seen = 0
    with torch.no_grad():
        for xb, yb in loader:
            right += (model(xb).argmax(dim=1) == yb).sum().item()
            seen += len(yb)
    model.train(was_training)
    return right / seen
    # END SOLUTION


# %% check="accuracy-by-hand" points=1
eye = torch.eye(3)
got = accuracy(nn.Identity(), [(eye[[1, 2, 0]], torch.tensor([1, 2, 0])), (eye[:1], torch.tensor([2]))])
assert type(got) is float, f"accuracy must be a Python float, got {type(got).__name__}"
assert got == 0.75, (
    f"3 of 3 right, then 0 of 1: 3/4 = 0.75, got {got}. 0.5: the mean of the batches' accuracies. 75: a percentage. "
    "3: not divided. 0: argmax over the wrong axis"
)
print("passed: every sample counts once")


# %% check="accuracy-modes" points=2
def modes():
    seen = []

    class Spy(nn.Dropout):
        def forward(self, x):
            seen.append((self.training, torch.is_grad_enabled()))
            return x

    model = nn.Sequential(Spy(0.5), nn.Flatten())
    out = []
    for flag in (True, False):
        model.train(flag)
        accuracy(model, [(torch.eye(2), torch.tensor([0, 1]))])
        out.append((model.training, model[0].training))
    return seen, out


inside, after = modes()
assert inside == [(False, False)] * 2, (
    f"(training, gradients enabled) inside the model must be (False, False) in both calls, got {inside}. "
    "Empty: the model was never called. A first True: call model.eval(), it reaches the children, model.training = False does not. "
    "A second True: no_grad is missing"
)
assert after == [(True, True), (False, False)], (
    f"a model that came in training mode must leave in training mode, one in evaluation mode in evaluation mode; "
    f"(model, its layer) after the calls: {after}"
)
print("passed: evaluated in evaluation mode, and handed back as it came")


# %% hidden="accuracy-batches" points=2
def cut(sizes):
    parts = list(zip(scores.split(sizes), labels.split(sizes), strict=True))
    return accuracy(nn.Identity(), parts)


_ = torch.manual_seed(20)
scores, labels = torch.randn(11, 11), torch.arange(11)
labels[:4] = scores[:4].argmax(1)
got = [cut([11]), cut([1] * 11), cut([4, 4, 3]), cut([9, 2])]
hits = sum(int(row.tolist().index(max(row.tolist())) == label) for row, label in zip(scores, labels.tolist(), strict=True))
assert got == [hits / 11] * 4, f"11 samples cut into [11], 11 times 1, [4, 4, 3], [9, 2]: always {hits / 11:.4f}, got {got}"


# %% hidden="accuracy-dropout" points=2
def many():
    model = nn.Sequential(nn.BatchNorm1d(6), nn.Dropout(0.5))
    before = copy.deepcopy(model.state_dict())
    value = accuracy(
        model.train(), DataLoader(TensorDataset(torch.eye(6).repeat(50, 1), torch.arange(6).repeat(50)), batch_size=7, shuffle=True)
    )
    same = all(torch.equal(before[key], now) for key, now in model.state_dict().items())
    none_right = accuracy(model, [(torch.eye(6), torch.arange(6).roll(1))])
    ties = accuracy(model, [(torch.zeros(5, 6), torch.tensor([0, 0, 1, 5, 0]))])
    return value, same, none_right, ties, torch.is_grad_enabled()


got = many()
torch.set_grad_enabled(True)
assert got == (1.0, True, 0.0, 0.6, True), (
    "a network with BatchNorm and Dropout that copies its one-hot inputs: accuracy 1.0, running statistics unchanged (True), "
    f"0.0 for shifted labels, 0.6 with equal logits (the first counts), gradients enabled again (True); got {got}"
)


# %% wrong="accuracy-batch-means" fails="accuracy-by-hand accuracy-batches"
def accuracy(model, loader):
    mode = model.training
    model.eval()
    with torch.no_grad():
        shares = [(model(xb).argmax(dim=1) == yb).float().mean().item() for xb, yb in loader]
    model.train(mode)
    return sum(shares) / len(shares)


# %% [markdown] mistake="accuracy-batch-means"
# Averages the accuracies of the batches instead of counting samples.
#
# In the example by hand, 3 of 3 right and then 0 of 1, you return 0.5 instead of 0.75. Cut the same four samples into other batches, and
# your result changes, which it must not. What can be added up over batches without harm?

# %% wrong="accuracy-no-eval" fails="accuracy-modes accuracy-dropout"
def accuracy(model, loader):
    hits = n = 0
    with torch.no_grad():
        for xb, yb in loader:
            hits += (model(xb).argmax(dim=1) == yb).sum().item()
            n += len(yb)
    return hits / n


# %% [markdown] mistake="accuracy-no-eval"
# Evaluates the model in whatever mode it arrives.
#
# If the model comes in training mode, Dropout disturbs its answers, and a BatchNorm layer even takes your test data into its running
# statistics. Print `model.training` inside your loop for a model fresh from training. Graphs and modes are two different switches.

# %% wrong="accuracy-not-restored" fails="accuracy-modes"
def accuracy(model, loader):
    model.eval()
    hits = n = 0
    with torch.no_grad():
        for xb, yb in loader:
            hits += (model(xb).argmax(dim=1) == yb).sum().item()
            n += len(yb)
    return hits / n


# %% [markdown] mistake="accuracy-not-restored"
# Leaves the model in evaluation mode whatever mode it had before.
#
# A model that comes in training mode goes back with `training` False, and the rest of its training would run without Dropout. Call your
# function on `nn.Sequential(nn.Dropout(0.5))` and print the mode before and after. What would you have to know at the end?

# %% wrong="accuracy-flag-only" fails="accuracy-modes accuracy-dropout"
def accuracy(model, loader):
    mode, model.training = model.training, False
    hits = n = 0
    with torch.no_grad():
        for xb, yb in loader:
            hits += (model(xb).argmax(dim=1) == yb).sum().item()
            n += len(yb)
    model.training = mode
    return hits / n


# %% [markdown] mistake="accuracy-flag-only"
# Sets the mode of the outer module only; the layers inside keep computing in training mode.
#
# In a `Sequential` with a Dropout, your function switches the `Sequential`, and the Dropout inside still drops numbers. Print `[m.training
# for m in model.modules()]` inside your loop. How do the methods of a module that set a mode differ from setting the attribute?

# %% wrong="accuracy-always-train" fails="accuracy-modes"
def accuracy(model, loader):
    model.eval()
    hits = n = 0
    with torch.no_grad():
        for xb, yb in loader:
            hits += (model(xb).argmax(dim=1) == yb).sum().item()
            n += len(yb)
    model.train()
    return hits / n


# %% [markdown] mistake="accuracy-always-train"
# Always leaves the model in training mode, even one that came in evaluation mode.
#
# A finished model, handed over in evaluation mode, comes back with Dropout switched on, and its next answers are disturbed. Try both modes
# and print `model.training` before and after. What decides which mode is the right one at the end?

# %% wrong="accuracy-axis" fails="accuracy-by-hand accuracy-batches"
def accuracy(model, loader):
    mode = model.training
    model.eval()
    hits = n = 0
    with torch.no_grad():
        for xb, yb in loader:
            hits += sum(int(k == int(t)) for k, t in zip(model(xb).argmax(dim=0).tolist(), yb, strict=False))
            n += len(yb)
    model.train(mode)
    return hits / n


# %% [markdown] mistake="accuracy-axis"
# Takes the largest logit along the samples instead of along the classes.
#
# For the logits [[9, 0, 0], [5, 1, 0], [6, 0, 2]] every row is largest at place 0, so with three labels 0 the accuracy is 1; you get 1/3.
# Print the shape of your predictions for a batch of 2 samples and 3 classes.

# %% wrong="accuracy-with-graph" fails="accuracy-modes"
def accuracy(model, loader):
    mode = model.training
    model.eval()
    hits = n = 0
    for xb, yb in loader:
        hits += (model(xb).argmax(dim=1) == yb).sum().item()
        n += len(yb)
    model.train(mode)
    return hits / n


# %% [markdown] mistake="accuracy-with-graph"
# Records a graph while the model computes.
#
# The number is right, but for each batch PyTorch keeps all that a way back would need, and nobody will go back. Print
# `torch.is_grad_enabled()` inside your loop. Evaluation mode does not change it: that is a second switch.

# %% right="accuracy-cat"
def accuracy(model, loader):
    mode = model.training
    model.train(False)
    try:
        with torch.inference_mode():
            answers = [torch.eq(model(xb).max(dim=-1).indices, yb) for xb, yb in loader]
    finally:
        model.train(mode)
    return torch.cat(answers).double().mean().item()


# %% [markdown] explanation="accuracy"
# Two counters, one division: the last batch is usually shorter than the others, and a mean of means gives its samples too much weight.
# The mode is remembered, not assumed: a function that always ends in `train()` switches Dropout on in a finished model,
# one that ends in `eval()` switches it off for the rest of the training.
# With `try … finally`, as in the second correct answer, the mode comes back even where the model fails.

# %% [markdown]
# ### Exercise 10: choose on validation, report on test (5 points)
#
# Several runs were trained, and after each epoch both accuracies were written down: `val` and `test` are tensors `(R, E)`,
# R runs of E epochs.
# The note's program takes the largest number in `test`. Write `choose(val, test)`, which returns a tuple `(run, epoch, reported)`:
#
# - `run` and `epoch`, two ints counted from 0: the place of the largest number in `val`; of equal ones the smallest run,
#   then the smallest epoch;
# - `reported`, a Python float: the number at that place in `test`.
#
# By hand: `val = [[0.5, 0.75, 0.5]]` and `test = [[0.25, 0.5, 0.875]]` give `(0, 1, 0.5)`; the 0.875 may not be reported.
#
# <details><summary>Hint 1</summary>In which line of your function may <code>test</code> appear at all?</details>
# <details><summary>Hint 2</summary><code>argmax()</code> of a matrix counts row by row;
# <code>divmod</code> turns its number into two.</details>


# %% exercise="choose"
def choose(val: torch.Tensor, test: torch.Tensor) -> tuple[int, int, float]:
    """Return (run, epoch, test accuracy there) of the first largest entry of `val` (R, E)."""
    # BEGIN SOLUTION
    run, epoch = divmod(val.argmax().item(), val.shape[1])
    return run, epoch, test[run, epoch].item()
    # END SOLUTION


# %% check="choose-by-hand" points=1
def one_run():
    try:
        return choose(torch.tensor([[0.5, 0.75, 0.5]]), torch.tensor([[0.25, 0.5, 0.875]]))
    except IndexError as problem:
        return f"IndexError: {problem}"


got = one_run()
assert type(got) is not str, (
    f"1 run of 3 epochs: choose looked at a place that does not exist, {got}. argmax counts row by row, so divide by the number of epochs, E"
)
assert type(got) is tuple and [type(v) for v in got] == [int, int, float], f"choose must return (int, int, float), got {got!r}"
assert got == (0, 1, 0.5), (
    f"the best validation is 0.75 in epoch 1, where test is 0.5: (0, 1, "
    f"0.5), got {got}. 0.875: the test part chose. 0.75: reported what chose"
)
print("passed: validation chooses, test reports")

# %% check="choose-runs" points=1
got = choose(torch.tensor([[0.5, 0.25], [0.25, 0.75], [0.75, 0.5]]), torch.tensor([[0.0, 0.125], [0.25, 0.375], [0.5, 0.625]]))
assert got == (1, 1, 0.375), (
    f"3 runs of 2 epochs, 0.75 first in run 1, epoch 1: (1, 1, 0.375), got {got}. "
    "(2, 0, 0.5): the last of two equal ones, or epochs first. (1, 0, 0.25): divided by the number of runs, not of epochs"
)
print("passed: the first of two equal ones")

# %% hidden="choose-random" points=3
_ = torch.manual_seed(20)
vals, tests = (
    [torch.rand(r, e) for r, e in ((4, 7), (5, 2), (1, 1), (2, 9))],
    [torch.rand(r, e) for r, e in ((4, 7), (5, 2), (1, 1), (2, 9))],
)
vals[3] = torch.full((2, 9), 0.25)
vals.append(torch.rand(3, 4) - 2)
tests.append(torch.rand(3, 4))
got = [choose(v, t) for v, t in zip(vals, tests, strict=True)]
for v, t, answer in zip(vals, tests, got, strict=True):
    places = [(i, j) for i in range(v.shape[0]) for j in range(v.shape[1])]
    i, j = max(places, key=lambda place: v[place].item())
    assert answer == (i, j, t[i, j].item()), f"val {v.tolist()}, test {t.tolist()}: the answer is {(i, j, t[i, j].item())}, got {answer}"


# %% wrong="choose-on-test" fails="choose-by-hand choose-runs choose-random"
def choose(val, test):
    i, j = divmod(test.argmax().item(), test.shape[1])
    return i, j, test.max().item()


# %% [markdown] mistake="choose-on-test"
# Chooses run and epoch by the test accuracies.
#
# For the example by hand you give (0, 2, 0.875), the number that may not be reported. It is the largest of many on the test part, and so it
# promises too much, like the red histogram. Which tensor may decide about run and epoch?

# %% wrong="choose-best-reported" fails="choose-by-hand choose-runs choose-random"
def choose(val, test):
    i, j = divmod(val.argmax().item(), val.shape[1])
    return i, j, test.max().item()


# %% [markdown] mistake="choose-best-reported"
# Reports the largest test accuracy instead of the one at the chosen place.
#
# For the example by hand you give (0, 1, 0.875). Run and epoch are right, but 0.875 was reached in epoch 2, not in epoch 1. Look up in
# `test` what belongs to the place that you name.

# %% wrong="choose-last-epoch" fails="choose-by-hand choose-random"
def choose(val, test):
    i = val[:, -1].argmax().item()
    return i, val.shape[1] - 1, test[i, -1].item()


# %% [markdown] mistake="choose-last-epoch"
# Looks at the last epoch of each run only.
#
# In the example by hand you give (0, 2, 0.875), although `val` is 0.5 in that epoch and was 0.75 in the one before. Over which entries of
# `val` does the statement take the largest number?

# %% wrong="choose-validation-reported" fails="choose-by-hand choose-runs choose-random"
def choose(val, test):
    i, j = divmod(val.argmax().item(), val.shape[1])
    return i, j, val.max().item()


# %% [markdown] mistake="choose-validation-reported"
# Reports the validation accuracy that was used for the choice.
#
# For the example by hand you give (0, 1, 0.75). The place is right, but 0.75 is the number by which you chose, and choosing spoils it. In
# which of the two tensors must the reported number be looked up?

# %% wrong="choose-divides-by-runs" fails="choose-by-hand choose-runs choose-random"
def choose(val, test):
    i, j = divmod(val.argmax().item(), len(val))
    return i, j, test[i, j].item()


# %% [markdown] mistake="choose-divides-by-runs"
# Splits the place of the largest number by the count of runs instead of epochs.
#
# With 1 run of 3 epochs and the best number at place 1 you look for run 1, epoch 0, and there is no run 1: an `IndexError`. Number the
# entries of a matrix of 2 runs and 3 epochs by hand, row by row. After how many does a new run begin?

# %% wrong="choose-last-tie" fails="choose-runs choose-random"
def choose(val, test):
    i, j = (val == val.max()).nonzero()[-1].tolist()
    return i, j, test[i, j].item()


# %% [markdown] mistake="choose-last-tie"
# Takes the last of several equal largest numbers instead of the first.
#
# For `val = [[0.6, 0.8], [0.8, 0.7]]` the 0.8 stands in two places, and you choose run 1, epoch 0. Read which of equal ones the statement
# prefers, and ask in which order your answer lists the places.

# %% right="choose-nonzero"
def choose(val, test):
    i, j = (val == val.max()).nonzero()[0].tolist()
    return i, j, float(test[i][j])


# %% [markdown] explanation="choose"
# The test part appears in one place: the last line, after the choice.
# The best number of the test part over runs and epochs is the red histogram above, it promises too much;
# the best validation number promises too much for the same reason, and that is why it is not the one reported.
# How much too much: more, the more was tried and the smaller the validation part is (chapter 10 makes it exact).

# %% [markdown]
# ## The real task: clothes, from Dataset to a validated model
#
# We put everything together, on 6,000 pictures of the training file, 5,000 to train and 1,000 to validate,
# and on all 10,000 of the test file.
# Learning rates and epochs are chosen by validation.
#
# **Data.** Each part is a dataset with the transform whose numbers we measured on the training rows.
# The transform has no chance in it, so we run it once and keep the tensors.
# `Compose` applies transforms one after another; `Subset` is the dataset of the chosen rows of another.


# %%
transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((pixel_mean,), (pixel_std,))])


def in_memory(train_file: bool, rows: list[int]) -> TensorDataset:
    """The chosen pictures of Fashion-MNIST, transformed, (N, 1, 28, 28), with their labels (N,)."""
    part = torch.utils.data.Subset(FashionMNIST(DATA, train=train_file, transform=transform), rows)
    images, labels = zip(*part, strict=True)
    return TensorDataset(torch.stack(images), torch.tensor(labels))


train_part = in_memory(True, train_rows.tolist())
val_part = in_memory(True, val_rows.tolist())
test_part = in_memory(False, list(range(10_000)))
print("training", len(train_part), "validation", len(val_part), "test", len(test_part))
assert not set(train_rows.tolist()) & set(val_rows.tolist())

# %% [markdown]
# **Baselines.** The cheapest answer always says the most frequent kind of the training part (多数类基线).
# And here is the perfect program of the beginning: a dictionary (查找表) from picture to name,
# which says the most frequent kind if it does not know the picture.

# %%
majority = train_part.tensors[1].bincount().argmax().item()
memory = {image.numpy().tobytes(): label.item() for image, label in train_part}
for name, part in (("training", train_part), ("validation", val_part)):
    hits = [memory.get(image.numpy().tobytes(), majority) == label.item() for image, label in part]
    print(f"dictionary, {name} part: {sum(hits) / len(hits):.3f}")
print(f"majority, test part: {(test_part.tensors[1] == majority).float().mean():.3f}")

# %% [markdown]
# **The answer to the first question**: all 5,000 right, and of the next 1,000 about one in ten, as a guesser.
# The accuracy on the training part says nothing about new pictures.
#
# **Model, criterion, optimizer, loop.** One function trains, and after every epoch looks at the validation part.
# It keeps a copy of the best parameters, chosen by validation, and never sees the test part.


# %%
def share_right(model: nn.Module, part: TensorDataset) -> float:
    """Share of right answers, the whole part in one batch, in evaluation mode."""
    model.eval()
    images, labels = part.tensors
    with torch.no_grad():
        return (model(images).argmax(1) == labels).double().mean().item()


def run(make, lr: float, seed: int, n_epochs: int = 15) -> dict:
    """Train for `n_epochs`; return the model of the best validation epoch and what happened on the way."""
    _ = torch.manual_seed(seed)
    model = make()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    loader = DataLoader(train_part, batch_size=32, shuffle=True)
    out = {"losses": [], "val": [], "best": None}
    for _ in range(n_epochs):
        model.train()
        total = 0.0
        for xb, yb in loader:
            logits = model(xb)
            loss = criterion(logits, yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(yb)
        out["losses"].append(total / len(train_part))
        out["val"].append(share_right(model, val_part))
        if out["val"][-1] == max(out["val"]):
            out["best"] = copy.deepcopy(model.state_dict())
    model.load_state_dict(out["best"])
    return out | {"model": model}


# %% [markdown]
# `state_dict()` is the dictionary of all parameters (and buffers); a deep copy keeps them as they are now (chapter 19 saves it to a file).
# We compare our network with a linear model.
# Each is trained with three learning rates and three seeds, and the mean validation accuracy over the seeds chooses the rate.

# %% tags=["nbval-ignore-output"]
makers = {"linear": lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), "network": ClothesNet}
runs = {}
for name, make in makers.items():
    tried = {lr: [run(make, lr, seed) for seed in range(3)] for lr in (0.01, 0.03, 0.1)}
    mean_val = {lr: sum(max(r["val"]) for r in three) / 3 for lr, three in tried.items()}
    chosen = max(mean_val, key=mean_val.get)
    runs[name] = tried[chosen]
    print(name, {lr: f"{v:.3f}" for lr, v in mean_val.items()}, "chosen:", chosen)

# %% [markdown]
# Now, once, the test part.

# %% tags=["nbval-ignore-output"]
tested = {name: [share_right(r["model"], test_part) for r in three] for name, three in runs.items()}
for name, values in tested.items():
    print(f"{name:8s} validation", [f"{max(r['val']):.3f}" for r in runs[name]], "  test", [f"{v:.3f}" for v in values])
gain = [a - b for a, b in zip(tested["network"], tested["linear"], strict=True)]
print("network above linear, by seed:", [f"{100 * g:.1f} points" for g in gain])

# %%
assert all(0.79 < v < 0.84 for v in tested["linear"]) and all(0.80 < v < 0.87 for v in tested["network"])
assert sum(gain) / 3 > 0.005
print("linear: 79 to 84 of 100; network: 80 to 87 of 100; network ahead on average: True")

# %%
fig, axes = plt.subplots(1, 3, figsize=(12, 3.3))
for name, colour in (("linear", "tab:orange"), ("network", "tab:blue")):
    for k, r in enumerate(runs[name]):
        axes[0].plot(range(1, 16), r["losses"], color=colour, label=name if k == 0 else None)
        axes[1].plot(range(1, 16), r["val"], color=colour, label=name if k == 0 else None)
axes[0].set(xlabel="epoch", ylabel="training loss", title="Training part, three seeds")
axes[1].set(xlabel="epoch", ylabel="accuracy", title="Validation part, three seeds")
for seed, marker in enumerate("os^"):
    for x, (name, colour) in enumerate((("linear", "tab:orange"), ("network", "tab:blue"))):
        axes[2].plot(x, tested[name][seed], marker, color=colour, ms=8, label=f"seed {seed}" if x else None)
axes[2].set(ylabel="accuracy", title="Test part, closer (majority: 0.10)", xticks=[0, 1], xticklabels=["linear", "network"])
axes[2].margins(x=0.6, y=0.15)
axes[2].legend(loc="upper left")
for ax in axes[:2]:
    ax.set(xticks=[1, 5, 10, 15])
    ax.legend()
plt.show()

# %% [markdown]
# Left: the training loss of every run falls, almost without a break.
# Middle: the validation accuracy rises and then wavers from epoch to epoch; that is why the best epoch is kept, and not the last.
# Right, enlarged (the majority's 0.10 is far below): with every seed the network is ahead of the linear model,
# by about 1.4 points in a hundred on average when this chapter was written; the `assert` demands half a point.
#
# Is that much? Both models answer the same 10,000 pictures. Where both are right, or both wrong, nothing is learnt about the difference;
# so we count the pictures that only one of them answers rightly.
# If the two were equally good, each of these $m$ pictures would go to one or the other like a coin,
# and heads minus tails of $m$ coins stays within $\pm 2\sqrt m$ about 19 times in 20.

# %% tags=["nbval-ignore-output"]
images, labels = test_part.tensors
with torch.no_grad():
    solved = {name: [r["model"].eval()(images).argmax(1) == labels for r in three] for name, three in runs.items()}
for a, b in zip(solved["network"], solved["linear"], strict=True):
    only_a, only_b = (a & ~b).sum().item(), (b & ~a).sum().item()
    ahead, chance = (only_a - only_b) / 100, 2 * (only_a + only_b) ** 0.5 / 100  # points: pictures in a hundred
    print(f"only the network {only_a}, only the linear model {only_b}: ahead by {ahead:.1f} ± {chance:.1f} points")

# %% [markdown]
# When this chapter was written: 2.0 ± 0.6, 1.5 ± 0.5 and 0.8 ± 0.5 points.
# With each of the three seeds the network is ahead by more than the choice of test pictures explains.
# The ± says nothing about other *seeds*; how much they change the gain we see only roughly, from 0.8 to 2.0 in three of them.
# Where does the network fail?

# %%
best_run = max(runs["network"], key=lambda r: max(r["val"]))
with torch.no_grad():
    guesses = best_run["model"].eval()(images).argmax(1)
table_of = torch.zeros(10, 10).index_put_((labels, guesses), torch.ones(10_000), accumulate=True)
fig, ax = plt.subplots(figsize=(5.6, 4.8))
picture = ax.imshow(table_of, cmap="Blues", vmax=1000)
for (i, j), count in zip(torch.cartesian_prod(torch.arange(10), torch.arange(10)).tolist(), table_of.flatten().tolist(), strict=True):
    if count >= 60:
        ax.text(j, i, int(count), ha="center", va="center", fontsize=7, color="white" if count > 500 else "black")
ax.set(xlabel="answer of the network", ylabel="true kind", xticks=range(10), yticks=range(10), title="10,000 test pictures")
ax.set_xticklabels(clothes.classes, rotation=90)
ax.set_yticklabels(clothes.classes)
fig.colorbar(picture, label="pictures")
plt.show()
shirt = table_of[6, 6] / 1000
assert all(table_of[k, k] / 1000 > shirt for k in range(10) if k != 6) and shirt < 0.75
assert table_of[6].topk(2).indices.tolist() == [6, 0]  # after shirt, the most frequent answer is T-shirt

# %% [markdown]
# Most pictures lie on the diagonal, answered right.
# The shirt is the worst known kind: taken most often for a T-shirt, then for a pullover or a coat, the two that were hard for us too.
#
# **Try it: your own functions.** In a new cell:
#
# ```python
# mine = nn.Sequential(nn.Flatten(), MyLinear(784, 128), nn.ReLU(), MyLinear(128, 10))
# print(count_nodes(mine))
# loader = DataLoader(train_part, batch_size=32, shuffle=True)
# print(mean_losses(mine, torch.optim.SGD(mine.parameters(), lr=0.02), criterion, loader, 3))
# print(accuracy(mine, DataLoader(val_part, batch_size=256)))
# ```
#
# And `CsvDataset(DATA / "seattle-weather.csv", ["temp_max", "wind"], "weather")` reads the real weather.
#
# ### Another dataset, one line changed: CIFAR-10
#
# `CIFAR10` has 60,000 colour pictures of ten kinds (aeroplane, cat, ship, …), 3 × 32 × 32.
# It is too large to come with this course; with an internet connection `CIFAR10(DATA, download=True)` fetches it.
# A program should say so, and go on with something of the same shape: `FakeData` makes random pictures.

# %% tags=["nbval-ignore-output"]
try:
    colour = CIFAR10(DATA, train=True, transform=transforms.ToTensor())
    print("CIFAR-10 found:", len(colour), "pictures")
except RuntimeError as problem:
    colour = FakeData(size=64, image_size=(3, 32, 32), num_classes=10, transform=transforms.ToTensor())
    print(f"CIFAR-10 is not here ({problem}) - random pictures instead: shapes are right, nothing can be learnt")

# %%
batch, names = next(iter(DataLoader(colour, batch_size=16)))
print(tuple(batch.shape), tuple(names.shape))

# %% [markdown]
# ## What goes wrong in practice
#
# - **The loss does not fall, and nothing complains.** `zero_grad` is missing, or `step`,
#   or a layer hides in a plain Python list or a plain tensor.
#   Print `[name for name, _ in net.named_parameters()]`, and train on one single batch first: the loss must go to nearly 0.
# - **Evaluation differs from call to call.** The model is in training mode. Or it is in evaluation mode during training:
#   `train()` was not called after validating.
# - **The memory grows.** Losses or logits are collected with their graphs: `.item()`, `no_grad`.
# - **Accuracy near chance although the loss is small.** `argmax` over the wrong axis; labels shuffled without their inputs.
# - **A crash with the last batch.** A shape with the batch size written into it, or BatchNorm (a layer that standardises each batch, chapter 14) with a batch of one:
#   `drop_last=True` in training, never in evaluation.
# - **Validation is better than it should be.** The scaler, the choice of columns or copies of the same sample have crossed the border
#   between the parts.
# - **The reported number does not hold later.** It was the best of many on the test part.
# - **Workers fail or hang.** Try `num_workers=0` first: the error message is then the true one.
#
# ## Summary
#
# A module is a node of a tree; it registers the attributes that are parameters, child modules (and buffers), and no plain tensor or list.
# We write `forward`; autograd supplies the way back.
# Training is five steps: forward, loss, `zero_grad`, backward, step; once for each batch, all batches make an epoch.
# `train()`/`eval()` choose what Dropout computes, `no_grad` whether a graph is recorded: evaluation needs both `eval` and `no_grad`.
# A dataset answers "how many" and "which"; a loader shuffles, cuts and stacks; the last batch is short or dropped.
# Scaling is fitted on the training part. The validation part chooses, the test part reports, once.
# Sums and counts over samples, divided once at the end, are right for batches of any size.
#
# ## Terms
#
# | English | 中文 | in one line |
# |---|---|---|
# | pixel | 像素 | one place of a picture |
# | class, label | 类别，标签 | a kind of thing; the number of the right kind |
# | layer | 层 | a module that turns one tensor into another |
# | Module | 模块 | PyTorch's class for layers and networks |
# | forward | 前向 | the method that computes the output |
# | Parameter | 参数 | a tensor that a module registers to be trained |
# | buffer | 缓冲区 | a tensor that a module keeps and does not train |
# | child | 子模块 | a module that is an attribute of another |
# | Flatten | 展平 | makes one axis of several |
# | ReLU | 线性整流 | $\max(0, x)$ |
# | training mode, evaluation mode | 训练模式，评估模式 | what `train()` and `eval()` set |
# | criterion | 准则 | the function that gives the loss |
# | cross entropy | 交叉熵 | loss of scores against the right class |
# | logits | 未归一化分数 | one score for each class |
# | optimizer | 优化器 | changes the parameters by their gradients |
# | five steps | 五步 | forward, loss, zero_grad, backward, step |
# | Dataset | 数据集 | how many samples, and which |
# | transform | 变换 | function applied to a sample as it is read |
# | feature | 特征 | one input column |
# | DataLoader | 数据加载器 | makes batches of a dataset |
# | batch | 批 | the samples of one step |
# | epoch, iteration | 轮，迭代 | all samples once; one batch and its step |
# | shuffle | 打乱 | new order in each epoch |
# | worker | 工作进程 | a process that prepares batches |
# | augmentation | 数据增强 | random changes of the training pictures |
# | feature scaling | 特征缩放 | makes features alike in size |
# | max scaling | 最大值缩放 | divide by the largest value |
# | standardise | 标准化 | subtract the mean, divide by the standard deviation |
# | leak | 数据泄漏 | validation or test data have entered the training |
# | training, validation, test part | 训练集，验证集，测试集 | learns; chooses; reports |
# | accuracy | 准确率 | share of right answers |
# | majority baseline | 多数类基线 | always says the most frequent class |
#
# ## Reading
#
# - A. Paszke et al., *PyTorch: An Imperative Style, High-Performance Deep Learning Library*, 2019.
# - H. Xiao, K. Rasul, R. Vollgraf, *Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms*, 2017.
# - A. Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009: where CIFAR-10 comes from.
# - T. Hastie, R. Tibshirani, J. Friedman, *The Elements of Statistical Learning*, second edition, 2009: chapter 7, on validation and test.
# - The PyTorch documentation: the pages of `torch.nn.Module`, `torch.utils.data`,
#   and the note "Autograd mechanics" on `eval` and `no_grad`.
