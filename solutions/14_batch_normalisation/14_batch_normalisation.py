# %% [markdown] needs="07" sittings="2"
# # Normalisation
#
# A network of twelve layers looks at 2,000 pictures of clothes, five times over.
# It learns nothing: at the end it names one garment in ten correctly, as a guesser would.
# We write one more line after each layer, and the same network, with the same data and learning rate, learns.
# What does that line compute, why does it help, and could we have had the help without it?
#
# One more puzzle: the repaired network is put to work, the first customer sends *one* picture, and the program stops with an error.
#
# After this chapter you can
#
# - scale the inputs of a network in three ways, constant columns included,
# - build batch normalisation: training, running statistics, evaluation, and the backward pass by hand,
# - say which numbers Batch, Layer, Instance and Group normalisation average, and write each,
# - use a network with batch normalisation on a single sample, and fold the layer away without changing the answers,
# - put layer normalisation around a residual branch, as a Transformer (the network of chapter 25) does.
#
# The chapter takes two sittings; a resting place is marked after Exercise 4.
# "Common notes" are lecture notes found on the web, whose sentences we check.

# %% [markdown]
# ## Setup
#
# All imports stand in one cell. You need not read the drawing code of the figures.

# %% setup="imports"
import os
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_wine
from torch import nn
from torch.testing import assert_close
from torchvision.datasets import FashionMNIST

DATA = Path(os.environ.get("COURSE_DATA", "../../data"))
plt.rcParams["figure.constrained_layout.use"] = True

# %% [markdown]
# The pictures are the first 3,000 of the training file of Fashion-MNIST, 2,000 to train and 1,000 to validate,
# and the 10,000 of its test file.
# Each 2 × 2 block of pixels is replaced by its mean, which leaves 14 × 14 = 196 numbers a picture.
# They are standardised with one mean and one deviation, measured on the 2,000 training pictures (chapter 6).


# %%
def small(pictures: torch.Tensor) -> torch.Tensor:
    """Bytes (N, 28, 28) to numbers from 0 to 1, (N, 196): the mean of each block of 2 × 2 pixels."""
    return (pictures.float() / 255).reshape(-1, 14, 2, 14, 2).mean(dim=(2, 4)).flatten(1)


train_file, test_file = FashionMNIST(DATA, train=True), FashionMNIST(DATA, train=False)
pixels = small(train_file.data[:3000])
centre, spread = pixels[:2000].mean(), pixels[:2000].std(correction=0)
pixels = (pixels - centre) / spread
X, y = pixels[:2000], train_file.targets[:2000]
X_val, y_val = pixels[2000:], train_file.targets[2000:3000]
X_test, y_test = (small(test_file.data) - centre) / spread, test_file.targets
print(tuple(X.shape), tuple(X_val.shape), tuple(X_test.shape))

# %% [markdown]
# The network: twelve hidden layers of 64 neurons, each a linear layer and a ReLU, $\max(0, x)$, and a linear layer to ten scores.
# `start="default"` keeps PyTorch's first weights.
# `start="kaiming"` draws them larger, with standard deviation $\sqrt{2 / n}$ for a neuron with $n$ inputs (chapter 9), and biases 0.
# `norm` names a layer that is put between the linear layer and the ReLU; `nn.BatchNorm1d` is the line in question.


# %%
def deep(norm=None, start: str = "default", depth: int = 12, width: int = 64) -> nn.Sequential:
    """Pictures (N, 196) to scores (N, 10) by `depth` hidden layers."""
    layers, n = [], 196
    for _ in range(depth):
        linear = nn.Linear(n, width)
        if start == "kaiming":
            nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
            nn.init.zeros_(linear.bias)
        layers += [linear, nn.ReLU()] if norm is None else [linear, norm(width), nn.ReLU()]
        n = width
    return nn.Sequential(*layers, nn.Linear(n, 10))


def train(model: nn.Sequential, lr: float, seed: int, n_epochs: int = 5, batch_size: int = 50, watch=None) -> list[float]:
    """Train by SGD on the 2,000 pictures; return the loss of each step. `watch(model)` is called before each step."""
    g = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    model.train()
    losses = []
    for _ in range(n_epochs):
        for rows in torch.randperm(len(X), generator=g).split(batch_size):
            if watch is not None:
                watch(model)
            loss = nn.functional.cross_entropy(model(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


def accuracy(model: nn.Module, inputs: torch.Tensor, labels: torch.Tensor) -> float:
    """Share of right answers, in evaluation mode."""
    model.eval()
    with torch.no_grad():
        return (model(inputs).argmax(1) == labels).double().mean().item()


# %%
opening = {}
for name, norm in (("twelve layers", None), ("with one more line after each", nn.BatchNorm1d)):
    _ = torch.manual_seed(0)
    model = deep(norm)
    opening[name] = (train(model, lr=0.03, seed=0), accuracy(model, X_val, y_val))
fig, ax = plt.subplots(figsize=(7, 3.2))
for (name, (losses, share)), colour in zip(opening.items(), ["tab:red", "tab:blue"], strict=True):
    ax.plot(losses, color=colour, label=f"{name}: share right {share:.1f} on new pictures")
ax.axhline(torch.tensor(10.0).log(), color="0.6", ls=":", label="guessing: ln 10 = 2.3")
ax.set(
    xlabel="step (40 steps are one pass over the pictures)",
    ylabel="training loss",
    title="The same network, learning rate 0.03",
    ylim=(0, 3.4),
)
ax.legend(loc="upper right", fontsize=8)
plt.show()
shares = [share for _, share in opening.values()]
assert shares[0] < 0.2 and shares[1] > 0.65

# %% [markdown]
# Red stays at the loss of a guesser, $\ln 10 = 2.3$; blue falls from the first step.
#
# ## Scaling the inputs
#
# The wine data of scikit-learn has 178 wines and 13 measurements of each: one column is near 0.4, another near 750.
# To **normalise** (归一化) is to bring numbers into a fixed range or onto a fixed mean and spread.
# Three ways, each column by itself:
#
# - the **z-score** (标准分数): subtract the mean, divide by the standard deviation; mean 0 and deviation 1 result;
# - **min-max scaling** (最小最大缩放): subtract the smallest value, divide by largest minus smallest; 0 to 1 results;
# - **max scaling** (最大值缩放): divide by the largest absolute value; nothing is subtracted, so 0 stays 0.
#
# A common note says "the pictures are normalised by the set's maximum" and means torchvision's `transforms.Normalize`.
# The note describes max scaling; `Normalize` subtracts a mean and divides by a standard deviation: the z-score.

# %%
bunch = load_wine()
wine = torch.tensor(bunch.data).float()  # (178, 13)
low, high = wine.min(dim=0).values, wine.max(dim=0).values
columns = [0, 4, 7, 12]
views = {
    "raw (log axis)": wine,
    "z-score": (wine - wine.mean(0)) / wine.std(0, correction=0),
    "min-max": (wine - low) / (high - low),
    "max scaling": wine / high,
}
fig, axes = plt.subplots(1, 4, figsize=(12, 2.6), sharey=True)
for ax, (title, table) in zip(axes, views.items(), strict=True):
    for k, column in enumerate(columns):
        ax.plot(table[:, column], [k] * len(table), "|", ms=14, alpha=0.4)
    ax.set(title=title, xlabel="value", ylim=(-0.6, 3.6))
for ax in axes[2:]:
    ax.set_xlim(-0.05, 1.05)
axes[0].set(xscale="log", yticks=range(4), yticklabels=[bunch.feature_names[c].replace("_", " ") for c in columns])
plt.show()

# %% [markdown]
# Each mark is a wine. Raw, the columns lie far apart, from about 0.1 to 1,700.
# The z-score puts them all around 0, min-max fills 0 to 1 exactly,
# and max scaling leaves alcohol in a narrow band near 1, for its smallest value is not near 0.
#
# Two things need care.
# The numbers (mean, deviation, smallest, largest) are measured on the *training* rows and applied to all others;
# a scaler that has seen the test rows **leaks** (数据泄漏).
# And a column may be constant: its deviation is 0, and 0/0 is not a number. Is it 0?

# %% tags=["nbval-ignore-output"]
tenths = torch.full((10,), 0.1)
print(f"deviation of ten equal values: {tenths.std(correction=0):.1g}")

# %%
assert tenths.std(correction=0) < 1e-7
print("largest equals smallest:", bool(tenths.amax() == tenths.amin()))

# %% [markdown]
# On many machines it is *not* 0: the mean, rounded to 7 digits, misses 0.1 by about a hundred-millionth.
# Divided by this tiny number, the rounding error becomes 1 or −1, the same in all ten rows, and a new row with 0.2 becomes more than ten million.
# So ask whether all values are equal, not whether the deviation is 0.

# %% [markdown]
# ### Exercise 1: three scalings (7 points)
#
# Write `zscore(X, train)`, `minmax(X, train)` and `maxscale(X, train)`.
# `train` has shape `(N, D)`, N ≥ 1, and `X` has shape `(M, D)`; both float32 or float64, the same dtype.
# Each function measures its numbers on the columns of `train` only, and returns a new tensor `(M, D)` of the same dtype: the scaled `X`.
#
# - `zscore`: minus the mean, divided by the standard deviation that divides by $N$ (not $N - 1$);
# - `minmax`: minus the smallest, divided by largest minus smallest; values of `X` outside the range of `train` are *not* clipped;
# - `maxscale`: divided by the largest absolute value.
#
# Where the divisor has no meaning, divide by 1 instead.
# For `zscore` and `minmax` these are the columns of `train` in which all values are exactly equal (decide it so, not by the size of the deviation);
# for `maxscale` the columns of `train` that hold only zeros.
# Neither input may be changed. Do not use `sklearn`.
#
# By hand: the training column 2, 4, 9 has mean 5, deviation $\sqrt{(9 + 1 + 16)/3} = 2.944$, smallest 2, largest 9.
# The value 16 becomes $(16 - 5)/2.944 = 3.737$, $(16 - 2)/(9 - 2) = 2$ and $16/9 = 1.778$.
# In a training column 5, 5, 5 the value 7 becomes $7 - 5 = 2$, $7 - 5 = 2$ and $7/5 = 1.4$.
# (A mean is rounded: after the subtraction a rest of about 1e-8 may stay where 0 is meant.)
#
# <details><summary>Hint 1</summary>Which axis is averaged if one number a column is left? What is true of <code>amax</code> and
# <code>amin</code> of a constant column?</details>
# <details><summary>Hint 2</summary><code>torch.where(condition, 1.0, divisor)</code> puts 1 where the condition holds.</details>


# %% exercise="scaling"
def zscore(X: torch.Tensor, train: torch.Tensor) -> torch.Tensor:
    """X (M, D) minus mean, divided by the deviation (over N) of the columns of train (N, D); constant columns: divided by 1."""
    # BEGIN SOLUTION
    constant = train.amax(dim=0) == train.amin(dim=0)
    return (X - train.mean(dim=0)) / train.std(dim=0, correction=0).masked_fill(constant, 1)
    # END SOLUTION


def minmax(X: torch.Tensor, train: torch.Tensor) -> torch.Tensor:
    """X (M, D) so that the columns of train (N, D) would fill 0 to 1; constant columns: divided by 1."""
    # BEGIN SOLUTION
    lowest = train.amin(dim=0)
    width = train.amax(dim=0) - lowest
    return (X - lowest) / width.masked_fill(width == 0, 1)
    # END SOLUTION


def maxscale(X: torch.Tensor, train: torch.Tensor) -> torch.Tensor:
    """X (M, D) divided by the largest absolute value of each column of train (N, D); columns of zeros: divided by 1."""
    # BEGIN SOLUTION
    largest = train.abs().amax(dim=0)
    return X / largest.masked_fill(largest == 0, 1)
    # END SOLUTION


# %% check="scaling-by-hand" points=1
def each_scaled(X, train):
    found = []
    for scale in (zscore, minmax, maxscale):
        mine = [X.clone(), train.clone()]
        try:
            value = scale(*mine)
        except NotImplementedError:
            raise
        except RuntimeError as problem:
            value = f"RuntimeError: {problem}"
        found.append([value, *mine])
    return found


rows, asked_ = torch.tensor([[2.0, -8.0], [4.0, 2.0], [9.0, 6.0]]), torch.tensor([[16.0, 4.0]])
found = each_scaled(asked_, rows)
got = [value for value, _, _ in found]
kinds = [type(v).__name__ for v in got]
assert kinds == ["Tensor"] * 3, (
    f"the three functions must return tensors, got {got}. None: is `return` missing? "
    "'Boolean value of Tensor': an `if` decides once, but each column needs its own decision"
)
assert_close(
    got,
    [torch.tensor([[11 / (26 / 3) ** 0.5, 4 / (104 / 3) ** 0.5]]), torch.tensor([[2.0, 12 / 14]]), torch.tensor([[16 / 9, 0.5]])],
    msg=lambda m: (
        "training columns (2, 4, 9) and (-8, 2, 6), row (16, 4): zscore 3.737, 0.679, minmax 2, 0.857, maxscale 1.778, 0.5; "
        f"got {[v.tolist() for v in got]}. zscore 3.051: divided by N - 1 under the root. 0 or nan: measured on X instead of train. "
        f"minmax 1: clipped. maxscale 0.667: the largest value, not the largest absolute value. zscore 2.555: one mean for the whole table\n{m}"
    ),
)
for name_, (_, X_left, train_left) in zip(("zscore", "minmax", "maxscale"), found, strict=True):
    assert torch.equal(X_left, asked_) and torch.equal(train_left, rows), (
        f"{name_} changed an input: X (16, 4) is now {X_left.tolist()}, train {train_left.tolist()}. `-=` and `/=` write into the tensor given"
    )
print("passed: the example worked by hand, measured on the training rows")

# %% check="scaling-constant" points=2
fixed, new_row = torch.tensor([[5.0, 0.0, 2.0], [5.0, 0.0, 4.0], [5.0, 0.0, 9.0]]), torch.tensor([[7.0, 3.0, 16.0]])
got = [zscore(new_row, fixed), minmax(new_row, fixed), maxscale(new_row, fixed)]
kinds = [type(v).__name__ for v in got]
assert kinds == ["Tensor"] * 3, f"zscore, minmax and maxscale must return tensors, got {kinds}. NoneType: is `return` missing?"
assert_close(
    got,
    [torch.tensor([[2.0, 3.0, 11 / (26 / 3) ** 0.5]]), torch.tensor([[2.0, 3.0, 2.0]]), torch.tensor([[1.4, 3.0, 16 / 9]])],
    msg=lambda m: (
        "training columns (5, 5, 5), (0, 0, 0), (2, 4, 9), row (7, 3, 16): zscore 2, 3, 3.737, minmax 2, 3, 2, maxscale 1.4, 3, 1.778; "
        f"got {[v.tolist() for v in got]}. inf or nan: divided by 0; is each column decided by itself, in maxscale too? "
        f"A huge number: divided by a tiny one. maxscale 7: there only columns of zeros get the divisor 1\n{m}"
    ),
)
tenths_ = torch.full((10, 1), 0.1)
got = zscore(tenths_, tenths_)
assert_close(
    got,
    torch.zeros(10, 1),
    msg=lambda m: (
        f"ten values 0.1: zscore must give (nearly) zeros, got {got.flatten().tolist()}. nan: 0/0. "
        f"Far from 0: the rounded deviation is tiny but not 0, compare largest and smallest instead\n{m}"
    ),
)
narrow = torch.tensor([[0.0, 1024.0], [2e-12, 1024.0078125]])
got = [zscore(narrow, narrow), minmax(narrow, narrow)]
assert_close(
    got,
    [torch.tensor([[-1.0, -1.0], [1.0, 1.0]]), torch.tensor([[0.0, 0.0], [1.0, 1.0]])],
    msg=lambda m: (
        "columns (0, 2e-12) and (1024, 1024.0078125), scaled by themselves, are not constant: zscore -1, 1 and minmax 0, 1 in both; "
        f"got {[v.tolist() for v in got]}. A column left nearly as it was: a small spread was taken for equality; compare with ==\n{m}"
    ),
)
print("passed: constant columns stay finite")

# %% hidden="scaling-many" points=2
def scaled_and_inputs(X, train):
    given = X.clone(), train.clone()
    return [zscore(*given), minmax(*given), maxscale(*given)], given


_ = torch.manual_seed(14)
tr = torch.randn(7, 4, dtype=torch.float64) * torch.tensor([1.0, 50.0, 0.01, 3.0]) - torch.tensor([0.0, 200.0, 1.0, 2.0])
other = torch.randn(3, 4, dtype=torch.float64) * 40
got, given = scaled_and_inputs(other, tr)
assert torch.equal(given[0], other) and torch.equal(given[1], tr), "zscore, minmax or maxscale changed an input in place"
low_, high_ = tr.min(dim=0).values, tr.max(dim=0).values
wanted = [
    (other - tr.sum(0) / 7) / ((tr - tr.sum(0) / 7) ** 2).mean(0).sqrt(),
    (other - low_) / (high_ - low_),
    other / torch.maximum(high_.abs(), low_.abs()),
]
for name_, g_, w_ in zip(("zscore", "minmax", "maxscale"), got, wanted, strict=True):
    assert_close(
        g_, w_, msg=lambda m, n=name_, g=g_: f"{n} with train (7, 4), X (3, 4), float64, negative values too, gave {g.tolist()}\n{m}"
    )

# %% hidden="scaling-edges" points=2
mixed = torch.tensor([[0.1, 0.0, -4.0], [0.1, 0.0, 2.0]])
got = [zscore(mixed, mixed), minmax(mixed, mixed), maxscale(mixed, mixed)]
wanted = [
    torch.tensor([[0.0, 0.0, -1.0], [0.0, 0.0, 1.0]]),
    torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
    torch.tensor([[1.0, 0.0, -1.0], [1.0, 0.0, 0.5]]),
]
assert_close(
    got,
    wanted,
    msg=lambda m: (
        f"columns (0.1, 0.1), (0, 0), (-4, 2) scaled by themselves gave {[v.tolist() for v in got]}; only constant columns (for maxscale: "
        f"zeros) get the divisor 1, and maxscale takes the largest absolute value\n{m}"
    ),
)
zero, three = torch.zeros(2, 1), torch.tensor([[3.0]])
got = maxscale(three, zero)
assert_close(got, three, msg=lambda m: f"maxscale: a training column of zeros has the divisor 1, so 3 stays 3, got {got.tolist()}\n{m}")
small_, one = torch.tensor([[0.0], [2e-9]]), torch.tensor([[3.0, -3.0]])
got = [zscore(small_, small_), minmax(small_, small_), zscore(one, one), minmax(one, one), maxscale(one, one)]
assert_close(
    got,
    [torch.tensor([[-1.0], [1.0]]), torch.tensor([[0.0], [1.0]]), torch.zeros(1, 2), torch.zeros(1, 2), torch.tensor([[1.0, -1.0]])],
    msg=lambda m: (
        f"column (0, 0.000000002) is not constant: zscore -1, 1 and minmax 0, 1; a single row (3, -3): 0, 0 by zscore and minmax, "
        f"1, -1 by maxscale; got {[v.tolist() for v in got]}\n{m}"
    ),
)


# %% wrong="scaling-ddof" fails="scaling-by-hand scaling-many"
def zscore(X, train):
    same = train.amax(0) == train.amin(0)
    return (X - train.mean(0)) / torch.where(same, 1.0, train.std(0))


def minmax(X, train):
    low, high = train.amin(0), train.amax(0)
    return (X - low) / torch.where(high == low, 1.0, high - low)


def maxscale(X, train):
    top = train.abs().amax(0)
    return X / torch.where(top == 0, 1.0, top)


# %% [markdown] mistake="scaling-ddof"
# Divides by N − 1 instead of N in the deviation of `zscore`.
#
# With the training column 0, 4 the value 8 should become 3, and you return 2.121. The shorter the column, the larger the error. The
# statement says by what its deviation divides; which one do PyTorch's functions give if you say nothing?

# %% wrong="scaling-leak" fails="scaling-by-hand scaling-many scaling-constant"
def zscore(X, train):
    X_all = torch.cat([X, train])
    return (X - X_all.mean(0)) / X_all.std(0, correction=0).clamp(min=1e-12)


def minmax(X, train):
    X_all = torch.cat([X, train])
    return (X - X_all.amin(0)) / (X_all.amax(0) - X_all.amin(0)).clamp(min=1e-12)


def maxscale(X, train):
    return X / torch.cat([X, train]).abs().amax(0).clamp(min=1e-12)


# %% [markdown] mistake="scaling-leak"
# Measures its numbers on `X` and `train` together instead of on `train` only.
#
# With the training column 1, 3 the value 6 becomes 1 in `minmax`, as if it were the largest value ever seen in training; it should come out
# as 2.5. Add a row to `X` in your mind: may the scaled values of the other rows change because of it?

# %% wrong="scaling-std-zero" fails="scaling-constant scaling-edges"
def zscore(X, train):
    std = train.std(0, correction=0) + 1e-8
    return (X - train.mean(0)) / std


def minmax(X, train):
    low, high = train.amin(0), train.amax(0)
    return (X - low) / (high - low + 1e-8)


def maxscale(X, train):
    return X / (train.abs().amax(0) + 1e-8)


# %% [markdown] mistake="scaling-std-zero"
# Adds a tiny number to the divisor instead of treating the special columns separately.
#
# A training column 3, 3 turns the value 4 into 100,000,000 in `zscore`, where a division by 1 was asked for. And where the mean is rounded,
# equal values may come out far from 0. Which question about a column does the statement tell you to ask?

# %% wrong="scaling-whole-table" fails="scaling-by-hand scaling-many scaling-edges"
def zscore(X, train):
    return X - train.mean() if train.amax() == train.amin() else (X - train.mean()) / train.std(correction=0)


def minmax(X, train):
    low, high = train.min(), train.max()
    return X - low if high == low else (X - low) / (high - low)


def maxscale(X, train):
    return X / train.abs().max()


# %% [markdown] mistake="scaling-whole-table"
# Measures one number for the whole table instead of one for each column.
#
# Columns (1, 3) and (100, 300) should each fill 0 to 1 in `minmax`; your first column becomes 0 and 0.007, squeezed by its large neighbour.
# How many means, or smallest values, does a table of D columns have? Print the shape of yours.

# %% wrong="scaling-signed-max" fails="scaling-by-hand scaling-many scaling-edges"
def zscore(X, train):
    same = train.amax(0) == train.amin(0)
    return (X - train.mean(0)) / torch.where(same, 1.0, train.std(0, correction=0))


def minmax(X, train):
    low, high = train.amin(0), train.amax(0)
    return (X - low) / torch.where(high == low, 1.0, high - low)


def maxscale(X, train):
    top = train.amax(0)
    return X / torch.where(top == 0, 1.0, top)


# %% [markdown] mistake="scaling-signed-max"
# Takes the largest value in `maxscale` instead of the largest absolute value.
#
# The training column −3, −1, scaled by itself, becomes 3 and 1: the signs are turned round and 3 lies above 1. In the column −10, 2 you
# divide by 2. Which of these two numbers is farther from 0?

# %% wrong="scaling-threshold" fails="scaling-constant scaling-edges"
def zscore(X, train):
    std = train.std(0, correction=0)
    return (X - train.mean(0)) / torch.where(std < 1e-6, 1.0, std)


def minmax(X, train):
    low, high = train.amin(0), train.amax(0)
    return (X - low) / torch.where(high - low < 1e-6, 1.0, high - low)


def maxscale(X, train):
    top = train.abs().amax(0)
    return X / torch.where(top == 0, 1.0, top)


# %% [markdown] mistake="scaling-threshold"
# Takes a column for constant because its spread is small.
#
# The training column 0, 0.000000003 should become 0 and 1 in `minmax`, and yours stays nearly as it is. Whether a spread is small depends on
# the unit: the same lengths in nanometres are scaled. Which question about a column does the statement tell you to ask?

# %% right="scaling-loop"
def by_column(X, train, numbers):
    out = torch.empty_like(X)
    for d in range(X.shape[1]):
        shift, width, constant = numbers(train[:, d])
        out[:, d] = (X[:, d] - shift) / (1 if constant else width)
    return out


def zscore(X, train):
    return by_column(X, train, lambda c: (c.mean(), ((c - c.mean()) ** 2).mean().sqrt(), bool((c == c[0]).all())))


def minmax(X, train):
    return by_column(X, train, lambda c: (c.min(), c.max() - c.min(), bool((c == c[0]).all())))


def maxscale(X, train):
    return by_column(X, train, lambda c: (0.0, c.abs().max(), bool((c == 0).all())))


# %% [markdown] explanation="scaling"
# All three are straight lines, value by value; they differ in the two numbers and in what an outlier does to them.
# One outlier of 1,000 squeezes all other values of min-max and max scaling into a corner; the z-score suffers less.
# The population deviation (divide by N) is what batch normalisation uses below and what `StandardScaler` uses.
# Adding a small eps to the deviation does not mend a constant column: the rounded mean leaves an error of the size of eps.
# `X` outside the range of `train` gives values below 0 or above 1, and that is information; a clip would hide it.

# %% [markdown]
# ## The inputs of the later layers
#
# The second layer sees what the first one made of a scaled picture, and nobody scaled that.
# We send 500 pictures through three untrained networks of twelve layers, and measure two things in every layer:
# the spread over the pictures of the **activations** (激活值), the numbers that leave its ReLU
# (the deviation of each neuron, averaged over the 64 neurons);
# and the size of the gradient of its weights (the root of the sum of all squares).


# %%
def probe(model: nn.Sequential) -> tuple[list[float], list[float]]:
    """Deviation over the pictures behind each ReLU (mean of its neurons), and length of each hidden layer's weight gradient."""
    h, deviations = X[:500], []
    for layer in model:
        h = layer(h)
        if isinstance(layer, nn.ReLU):
            deviations.append(h.std(dim=0).mean().item())
    nn.functional.cross_entropy(h, y[:500]).backward()
    return deviations, [layer.weight.grad.norm().item() for layer in model if isinstance(layer, nn.Linear)][:-1]


kinds = {
    "PyTorch's first weights": (None, "default"),
    "Kaiming's first weights": (None, "kaiming"),
    "with BatchNorm": (nn.BatchNorm1d, "default"),
}
probes = {}
for name, (norm, start) in kinds.items():
    _ = torch.manual_seed(0)
    probes[name] = probe(deep(norm, start))

# %%
fig, axes = plt.subplots(1, 2, figsize=(11, 3.3))
for (name, both), colour in zip(probes.items(), ["tab:red", "tab:orange", "tab:blue"], strict=True):
    for ax, values in zip(axes, both, strict=True):
        ax.plot(range(1, 13), values, "o-", ms=4, color=colour, label=name)
axes[0].set(xlabel="layer", ylabel="deviation (log axis)", yscale="log", title="Activations on the way forward")
axes[1].set(xlabel="layer", ylabel="length of the gradient (log axis)", yscale="log", title="Gradients on the way back")
for ax in axes:
    ax.set_xticks(range(1, 13))
axes[0].legend(loc="center right", fontsize=8)
plt.show()
red, blue = probes["PyTorch's first weights"], probes["with BatchNorm"]
assert red[0][-1] < 0.01 < 0.3 < blue[0][-1] and red[1][0] < 1e-3 < 1e-2 < blue[1][0]

# %% [markdown]
# Red: each layer shrinks what it gets, and after twelve layers all pictures look alike to the network.
# The gradients of its early weights are below a thousandth of those of the other two: that is why the first network did not learn.
# Orange: with larger first weights spread and gradients survive; a good start is another cure for the same illness.
# Blue: the spread is the same in every layer, because it is *made* so, at every step and not only at the start.
# Its gradients even grow on the way back, more than tenfold over the twelve layers.
#
# ## Batch normalisation
#
# The idea of Ioffe and Szegedy (2015): apply the z-score inside the network, to each feature,
# with mean and deviation taken over the samples of the current batch.
# For a batch `x` of shape `(N, C)`, and for each of its $C$ columns:
#
# $$\mu = \frac1N \sum_i x_i, \qquad v = \frac1N \sum_i (x_i - \mu)^2, \qquad
# \hat x_i = \frac{x_i - \mu}{\sqrt{v + \varepsilon}}, \qquad y_i = \gamma \hat x_i + \beta .$$
#
# This is **batch normalisation** (批量归一化), or BatchNorm.
# The small $\varepsilon$ (`eps`, $10^{-5}$) keeps the root away from 0.
# The variance $v$ divides by $N$: it is the **biased** (有偏) or population variance.
#
# "To mean 0 and variance some value", says a common note; the value is 1 (a hair less, because of $\varepsilon$), before the last step,
# the **affine** (仿射) part: each column has a **scale** (缩放) $\gamma$, gamma, and a **shift** (平移) $\beta$, beta,
# learnt like weights. With them the network can undo the normalisation where it prefers other numbers.
# In PyTorch gamma is called `weight` and starts at 1, beta is called `bias` and starts at 0.

# %%
batch = torch.tensor([[1.0, 10.0], [3.0, 30.0], [8.0, 80.0]])  # (N, C) = (3, 2)
bn = nn.BatchNorm1d(2)
print(bn(batch).detach())
print("gamma", bn.weight.tolist(), "beta", bn.bias.tolist())

# %% [markdown]
# First column by hand: $\mu = 4$, $v = (9 + 1 + 16)/3 = 8.667$, and $(1 - 4)/\sqrt{8.667} = -1.019$.
# The second is ten times as large and gives the same: BatchNorm takes the units away.
#
# ### What it remembers: the running statistics
#
# Later we want an answer for *one* picture, whatever its neighbours in the batch.
# So during training the layer keeps a **moving average** (移动平均) of the means and variances it has met, its
# **running statistics** (滑动统计量), and uses these when training is over.
# With the **momentum** (动量) $m$, 0.1 if nothing else is said, after every training batch
#
# $$\text{running} \leftarrow (1 - m) \cdot \text{running} + m \cdot \text{batch} .$$
#
# Two traps. Here $m$ weighs the *new* value; in an optimizer (chapter 12) momentum weighs the *old* one: 0.1 here is what 0.9 is there.
# And the variance that goes into the running variance divides by $N - 1$, the **unbiased** (无偏) one,
# while the one that normalises the batch divides by $N$:

# %%
for name, t in (("mean", bn.running_mean), ("variance", bn.running_var)):
    print(f"running {name:9s}", [round(v, 3) for v in t.tolist()])
print("first column by hand:", round(0.9 * 0 + 0.1 * 4, 3), round(0.9 * 1 + 0.1 * 26 / 2, 3))

# %% [markdown]
# The running mean starts at 0, the running variance at 1; $26/2 = 13$ is the unbiased variance of 1, 3, 8; the biased $26/3$ would have given 1.767 instead of 2.2.
#
# With `momentum=None` the layer keeps the plain mean of all batches so far: a **cumulative average** (累积平均).
# For the batch number $k = 1, 2, \dots$ that is the same formula with $m = 1/k$; a counter, `num_batches_tracked`, keeps $k$.

# %%
pixel = X[:, 90:91]  # one pixel of all 2,000 pictures
batches = [pixel[rows] for rows in torch.randperm(2000, generator=torch.Generator().manual_seed(0)).split(25)]
fig, ax = plt.subplots(figsize=(8, 3))
ax.plot(range(1, 81), [b.mean().item() for b in batches], ".", color="0.6", label="mean of the batch")
for momentum, colour in ((0.1, "tab:blue"), (0.01, "tab:green"), (None, "tab:orange")):
    tracker, path = nn.BatchNorm1d(1, momentum=momentum), [0.0]
    for b in batches:
        _ = tracker(b)
        path.append(tracker.running_mean.item())
    ax.plot(path, color=colour, label=f"running mean, momentum {momentum}")
ax.axhline(pixel.mean(), color="black", ls=":", label="mean of all 2,000")
ax.set(xlabel="batches seen (25 pictures each)", ylabel="mean of pixel 90", title="Three memories of the same batches")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8)
plt.show()
assert abs(path[-1] - pixel.mean().item()) < 1e-4

# %% [markdown]
# Momentum 0.1 reaches the middle of the grey batch means after some 30 batches and keeps trembling; momentum 0.01 is smoother, and after
# 80 batches still on its way from 0; the cumulative average jumps to the first batch and ends on the mean of all.
# Forgetting is good while weights change: old batches are out of date.
#
# Gamma and beta are parameters: the optimizer changes them.
# The running statistics are **buffers** (缓冲区): the module keeps and saves them, but no gradient touches them.
# `self.register_buffer("name", tensor)` in `__init__` makes a buffer; afterwards it is the attribute `self.name`.

# %% [markdown]
# ### Exercise 2: batch normalisation in training (10 points)
#
# Write the class `MyBatchNorm(n_features, eps=1e-5, momentum=0.1)`, a subclass of `nn.Module`, for training
# (evaluation is Exercise 3, so `forward` need not look at `self.training`). With $C$ = `n_features` it has
#
# - the parameters `weight` (gamma) and `bias` (beta), in this order, shape `(C,)`, float32, with the right first values;
# - the buffers `running_mean` and `running_var`, shape `(C,)`, float32, starting from 0 and 1,
#   and `num_batches_tracked`, an integer tensor without axes, `torch.tensor(0)`;
# - `forward(x)`: `x` has shape `(N, C)`, float32; return the normalised, scaled and shifted batch, `(N, C)`, by the formula above.
#   Each call adds 1 to the counter and updates the running statistics of all columns as PyTorch does:
#   biased variance for normalising, unbiased for `running_var`; with `momentum=None` the cumulative average.
#   Running statistics carry no graph (`requires_grad` is False); gradients do flow through mean and variance of the batch to `x`.
# - A batch of one sample has no spread: raise `ValueError` for N = 1, and then change neither statistics nor counter.
#
# `x` may not be changed. Do not use `nn.BatchNorm1d` or `torch.nn.functional.batch_norm`.
# By hand: the first batch 1, 3, 8 (one column) gives −1.019, −0.340, 1.359, running mean 0.4, running variance 2.2;
# with gamma 2 and beta 10 it would give 7.96, 9.32, 12.72 and the same statistics.
#
# <details><summary>Hint 1</summary>Over which axis is a mean taken, if one number a column is left? Which two variances do you need?</details>
# <details><summary>Hint 2</summary>Update the statistics inside <code>with torch.no_grad():</code>;
# the weight of the new value is <code>1 / k</code> if momentum is None.</details>


# %% exercise="batchnorm"
class MyBatchNorm(nn.Module):
    """Batch normalisation in training: x (N, C) to (N, C); ValueError for N = 1; keeps running statistics as PyTorch does."""

    def __init__(self, n_features: int, eps: float = 1e-5, momentum: float | None = 0.1):
        # BEGIN SOLUTION
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(n_features))
        self.bias = nn.Parameter(torch.zeros(n_features))
        self.register_buffer("running_mean", torch.zeros(n_features))
        self.register_buffer("running_var", torch.ones(n_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))
        # END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # BEGIN SOLUTION
        if len(x) == 1:
            raise ValueError("a batch of one sample has no spread")
        mean, var = x.mean(dim=0), x.var(dim=0, correction=0)
        with torch.no_grad():
            self.num_batches_tracked += 1
            m = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
            self.running_mean += m * (mean - self.running_mean)
            self.running_var += m * (x.var(dim=0) - self.running_var)
        return self.weight * (x - mean) / torch.sqrt(var + self.eps) + self.bias
        # END SOLUTION


# %% check="batchnorm-start" points=1
def start_values():
    layer = MyBatchNorm(3)
    if "_parameters" not in vars(layer):
        return "nothing, for `super().__init__()` is missing", {}
    state = {name: (list(t.shape), t.tolist()) for name, t in layer.state_dict().items()}
    return [name for name, _ in layer.named_parameters()], state


names, state = start_values()
assert names == ["weight", "bias"], (
    f"the parameters must be weight and bias, in this order, got {names}. More: running statistics are buffers, not parameters. "
    "Fewer: wrap them in nn.Parameter"
)
wanted_state = {
    "weight": ([3], [1.0] * 3),
    "bias": ([3], [0.0] * 3),
    "running_mean": ([3], [0.0] * 3),
    "running_var": ([3], [1.0] * 3),
    "num_batches_tracked": ([], 0),
}
assert state == wanted_state, (
    f"MyBatchNorm(3) must start with (shape, values) {wanted_state}, got {state}. "
    "weight 0 and bias 1: swapped, gamma starts at 1 and beta at 0. A name is missing: register_buffer"
)
count = state["num_batches_tracked"][1]
assert type(count) is int, f"num_batches_tracked must be an integer tensor, torch.tensor(0), but it holds {count!r}"
print("passed: names, shapes and first values are those of nn.BatchNorm1d")


# %% check="batchnorm-by-hand" points=2
def first_batch(x, along, **options):
    layer = MyBatchNorm(2, **options)
    if "_parameters" not in vars(layer):
        return "no call of `super().__init__()` in __init__", None, None
    if type(layer).forward is nn.Module.forward:
        return "a class without a method `forward`", None, None
    missing = [name for name in ("weight", "bias") if not isinstance(getattr(layer, name, None), torch.Tensor)]
    if missing:
        return f"no parameter {' and no '.join(missing)}", None, None
    with torch.no_grad():
        layer.weight.fill_(2.0)
        layer.bias.fill_(10.0)
    x = x.requires_grad_()
    try:
        out = layer(x)
        if type(out) is not torch.Tensor:
            return type(out).__name__, None, None
        (out * along).sum().backward()
    except NotImplementedError:
        raise
    except RuntimeError as problem:
        return f"RuntimeError: {problem}", None, None
    sums = None if x.grad is None else [x.grad.sum(0), (x.grad * x.detach()).sum(0)]
    return out.detach(), sums, any(t.requires_grad for t in layer.buffers())


first, along = torch.tensor([[1.0, 0.0], [3.0, 0.0], [8.0, 6.0]]), torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
got, sums, graph = first_batch(first.clone(), along)
assert type(got) is torch.Tensor, (
    f"the output, and a backward pass to x, of the columns (1, 3, 8) and (0, 0, 6): got {got}. NoneType: does forward return? "
    "'in-place operation': x was changed. 'does not require grad': only the update of the statistics belongs under no_grad"
)
assert_close(
    got,
    10 + 2 * torch.tensor([[-3.0, -2.0], [-1.0, -2.0], [4.0, 4.0]]) / (torch.tensor([26 / 3, 8.0]) + 1e-5).sqrt(),
    msg=lambda m: (
        "columns (1, 3, 8) and (0, 0, 6) with gamma 2 and beta 10 must give 7.96, 9.32, 12.72 and 8.59, 8.59, 12.83; got "
        f"{got.T.tolist()}. -1.02, -0.34, 1.36: gamma and beta are not used. 8.34, 9.45, 12.2: divided by N - 1. "
        f"8.69, 10, 13.27: one mean for the whole table instead of one a column\n{m}"
    ),
)
assert sums is not None and torch.stack(sums).abs().max() < 1e-4, (
    "each column of the gradient dx must add up to 0, and dx * x too (nearly, because of eps); "
    f"got the sums {None if sums is None else [v.tolist() for v in sums]}. The first not 0: detach or no_grad cut the mean of the batch off "
    "the graph (perhaps the variance too). Only the second: the variance. None: x itself was cut off"
)
assert graph is False, "a running statistic carries a graph (requires_grad is True): update it under torch.no_grad()"
wide, _, _ = first_batch(first.clone(), along, eps=1.0)
assert type(wide) is torch.Tensor, f"the same batch and MyBatchNorm(2, eps=1.0): got {wide}"
assert_close(
    wide,
    10 + 2 * torch.tensor([[-3.0, -2.0], [-1.0, -2.0], [4.0, 4.0]]) / torch.tensor([29 / 3, 9.0]).sqrt(),
    msg=lambda m: (
        f"with eps=1.0 the second column must give 10 - 4/3, 10 - 4/3, 10 + 8/3, got {wide[:, 1].tolist()}. "
        f"8.59: the constructor's eps is not used. 8.96: eps stands outside the root\n{m}"
    ),
)
print("passed: the output worked by hand")


# %% check="batchnorm-running" points=1
def after_batches(momentum):
    layer = MyBatchNorm(1, momentum=momentum)
    if "_parameters" not in vars(layer):
        return "no call of `super().__init__()` in __init__", "", []
    if type(layer).forward is nn.Module.forward:
        return "a class without a method `forward`", "", []
    names = ("running_mean", "running_var", "num_batches_tracked")
    kinds = {name: type(getattr(layer, name, None)).__name__ for name in names}
    missing = [f"{name} ({kind})" for name, kind in kinds.items() if kind not in ("Tensor", "Parameter", "Buffer")]
    if missing:
        return f"not a tensor: {', '.join(missing)}", "", []
    try:
        for column in ([1.0, 3.0, 8.0], [5.0, 9.0]):
            layer(torch.tensor(column)[:, None])
    except TypeError as problem:
        return f"TypeError: {problem}", "", []

    def numbers():
        return [getattr(layer, name).item() for name in names]

    kept = numbers()
    try:
        layer(torch.ones(1, 1))
        error = "no error"
    except Exception as came:
        error = type(came).__name__
    return kept, error, numbers()


found = [after_batches(0.1), after_batches(None)]
got = [kept for kept, _, _ in found]
assert [type(kept) for kept in got] == [list, list], (
    f"MyBatchNorm(1, momentum=0.1) and MyBatchNorm(1, momentum=None) on two batches: got {got}. "
    "'NoneType' and 'float': momentum None is not handled. Not a tensor: register_buffer keeps one, for the counter torch.tensor(0)"
)
assert_close(
    torch.tensor(got),
    torch.tensor([[0.9 * 0.4 + 0.1 * 7, 0.9 * 2.2 + 0.1 * 8, 2], [(4 + 7) / 2, (13 + 8) / 2, 2]]),
    msg=lambda m: (
        "after the batches (1, 3, 8) and (5, 9): running mean 1.06 and variance 2.78 with momentum 0.1, 5.5 and 10.5 with momentum None, "
        f"and the counter 2; got {got}. 0 and 1: never updated. A smaller variance: the biased one was used. "
        f"A much larger mean: old and new are swapped. Second mean 7: 1/k with a k that stays 1\n{m}"
    ),
)
for kept, error, later in found:
    assert error == "ValueError" and later == kept, (
        f"a batch of one must raise ValueError and leave mean, variance and counter at {kept}; got {error} and {later}. "
        "Changed: they were updated before the error"
    )
print("passed: both memories after two batches, and one sample is refused")


# %% hidden="batchnorm-torch" points=2
def outputs(batches, gamma, beta, eps, momentum):
    layer = MyBatchNorm(4, eps=eps, momentum=momentum)
    with torch.no_grad():
        layer.weight.copy_(gamma)
        layer.bias.copy_(beta)
    found = []
    for x in batches:
        found += [layer(x).detach(), layer.running_mean.clone(), layer.running_var.clone(), layer.num_batches_tracked.item()]
    return found


_ = torch.manual_seed(14)
stream = [torch.randn(n, 4) * torch.tensor([1.0, 20.0, 0.1, 3.0]) + torch.tensor([0.0, -50.0, 2.0, 1.0]) for n in (5, 2, 7)]
gamma_, beta_ = torch.randn(4), torch.randn(4)
for eps_, momentum_ in ((1e-5, 0.1), (0.25, 0.7), (1e-3, None), (1e-5, 0.0)):
    got = outputs([x.clone() for x in stream], gamma_, beta_, eps_, momentum_)
    theirs = nn.BatchNorm1d(4, eps=eps_, momentum=momentum_)
    with torch.no_grad():
        theirs.weight.copy_(gamma_)
        theirs.bias.copy_(beta_)
    wanted = []
    for x in stream:
        wanted += [theirs(x).detach(), theirs.running_mean.clone(), theirs.running_var.clone(), theirs.num_batches_tracked.item()]
    assert_close(
        got,
        wanted,
        rtol=1e-4,
        atol=1e-4,
        msg=lambda m, e=eps_, mom=momentum_: (
            f"three batches (5, 4), (2, 4), (7, 4), eps {e}, momentum {mom}: outputs, running statistics and counter must be those of "
            f"nn.BatchNorm1d\n{m}"
        ),
    )


# %% hidden="batchnorm-gradients" points=2
def gradients(x, direction):
    layer = MyBatchNorm(3)
    values = x.clone().requires_grad_()
    (layer(values) * direction).sum().backward()
    flags = [layer.running_mean.requires_grad, layer.running_var.requires_grad]
    return [values.grad, layer.weight.grad, layer.bias.grad], flags, len(list(layer.buffers()))


_ = torch.manual_seed(15)
values, along = torch.randn(6, 3), torch.randn(6, 3)
got, flags, n_buffers = gradients(values, along)
reference, leaf = nn.BatchNorm1d(3), values.clone().requires_grad_()
(reference(leaf) * along).sum().backward()
assert_close(
    got,
    [leaf.grad, reference.weight.grad, reference.bias.grad],
    rtol=1e-4,
    atol=1e-5,
    msg=lambda m: (
        f"gradients of x, weight and bias must be those of nn.BatchNorm1d; got for x {None if got[0] is None else got[0].tolist()}. "
        f"Mean and variance of the batch depend on x: do not cut them off\n{m}"
    ),
)
assert flags == [False, False] and n_buffers == 3, (
    f"running statistics must carry no graph and be buffers: requires_grad is {flags}, buffers: {n_buffers} of 3"
)


# %% hidden="batchnorm-one" points=2
def refused():
    layer = MyBatchNorm(2)
    try:
        layer(torch.ones(1, 2))
        error = "no error"
    except Exception as problem:
        error = type(problem).__name__
    kept = [layer.running_mean.tolist(), layer.running_var.tolist(), layer.num_batches_tracked.item()]
    x = torch.tensor([[1.0, 7.0], [5.0, 7.0]])
    out = layer(x).detach()
    return error, kept, out, x


error, kept, pair, left = refused()
assert error == "ValueError", f"a batch of one must raise ValueError, got {error}"
assert kept == [[0.0, 0.0], [1.0, 1.0], 0], f"after the refused batch the statistics and the counter must be as before, got {kept}"
assert_close(
    pair,
    torch.tensor([[-1.0, 0.0], [1.0, 0.0]]),
    msg=lambda m: f"a batch of two, (1, 7) and (5, 7): -1, 0 and 1, 0; got {pair.tolist()}\n{m}",
)
assert left.tolist() == [[1.0, 7.0], [5.0, 7.0]], f"x was changed in place: {left.tolist()}"


# %% wrong="batchnorm-biased-running" fails="batchnorm-running batchnorm-torch"
class MyBatchNorm(nn.Module):
    def __init__(self, n_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight, self.bias = nn.Parameter(torch.ones(n_features)), nn.Parameter(torch.zeros(n_features))
        self.register_buffer("running_mean", torch.zeros(n_features))
        self.register_buffer("running_var", torch.ones(n_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x):
        if x.shape[0] == 1:
            raise ValueError
        mu, v = x.mean(0), x.var(0, unbiased=False)
        with torch.no_grad():
            self.num_batches_tracked += 1
            m = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
            self.running_mean = (1 - m) * self.running_mean + m * mu
            self.running_var = (1 - m) * self.running_var + m * v
        return (x - mu) / (v + self.eps) ** 0.5 * self.weight + self.bias


# %% [markdown] mistake="batchnorm-biased-running"
# Puts the variance that divides by N into `running_var`.
#
# After one batch 0, 10 the running variance should be 5.9, and yours is 3.4. The text names two traps about the running statistics; the
# second is this one. Which of the two variances is for the batch, and which for the memory?

# %% wrong="batchnorm-unbiased-output" fails="batchnorm-by-hand batchnorm-torch batchnorm-gradients batchnorm-one"
class MyBatchNorm(nn.Module):
    def __init__(self, n_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight, self.bias = nn.Parameter(torch.ones(n_features)), nn.Parameter(torch.zeros(n_features))
        self.register_buffer("running_mean", torch.zeros(n_features))
        self.register_buffer("running_var", torch.ones(n_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x):
        if x.shape[0] == 1:
            raise ValueError
        mu, v = x.mean(0), x.var(0)
        with torch.no_grad():
            self.num_batches_tracked += 1
            m = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
            self.running_mean = (1 - m) * self.running_mean + m * mu
            self.running_var = (1 - m) * self.running_var + m * v
        return (x - mu) / (v + self.eps) ** 0.5 * self.weight + self.bias


# %% [markdown] mistake="batchnorm-unbiased-output"
# Normalises the batch with the variance that divides by N − 1.
#
# The batch 1, 3 becomes −0.707 and 0.707 instead of −1 and 1. Two different variances are needed in this exercise. Look at the fraction
# before the sum in the formula for v, and then at what you divide by when you normalise.

# %% wrong="batchnorm-no-affine" fails="batchnorm-by-hand batchnorm-torch batchnorm-gradients"
class MyBatchNorm(nn.Module):
    def __init__(self, n_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight, self.bias = nn.Parameter(torch.ones(n_features)), nn.Parameter(torch.zeros(n_features))
        self.register_buffer("running_mean", torch.zeros(n_features))
        self.register_buffer("running_var", torch.ones(n_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x):
        if x.shape[0] == 1:
            raise ValueError
        mu, v = x.mean(0), x.var(0, unbiased=False)
        with torch.no_grad():
            self.num_batches_tracked += 1
            m = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
            self.running_mean = (1 - m) * self.running_mean + m * mu
            self.running_var = (1 - m) * self.running_var + m * x.var(0)
        return (x - mu) / (v + self.eps) ** 0.5


# %% [markdown] mistake="batchnorm-no-affine"
# Returns the normalised batch without using gamma and beta.
#
# With gamma 2 and beta 10 the batch 1, 3 should give about 8 and 12, and you return −1 and 1. The first values of gamma and beta hide it,
# and neither would ever learn. Which of the four formulas is missing in what you return?

# %% wrong="batchnorm-never-updated" fails="batchnorm-running batchnorm-torch"
class MyBatchNorm(nn.Module):
    def __init__(self, n_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight, self.bias = nn.Parameter(torch.ones(n_features)), nn.Parameter(torch.zeros(n_features))
        self.register_buffer("running_mean", torch.zeros(n_features))
        self.register_buffer("running_var", torch.ones(n_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x):
        if x.shape[0] == 1:
            raise ValueError
        mu, v = x.mean(0), x.var(0, unbiased=False)
        return (x - mu) / (v + self.eps) ** 0.5 * self.weight + self.bias


# %% [markdown] mistake="batchnorm-never-updated"
# Never updates the running statistics and the counter.
#
# After any number of batches the running mean is still 0, the running variance 1 and the counter 0. The output in training is right, so you
# would only notice in evaluation. Read the sentence that begins with "Each call".

# %% wrong="batchnorm-swapped-start" fails="batchnorm-start batchnorm-gradients batchnorm-one"
class MyBatchNorm(nn.Module):
    def __init__(self, n_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight, self.bias = nn.Parameter(torch.zeros(n_features)), nn.Parameter(torch.ones(n_features))
        self.register_buffer("running_mean", torch.zeros(n_features))
        self.register_buffer("running_var", torch.ones(n_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x):
        if x.shape[0] == 1:
            raise ValueError
        mu, v = x.mean(0), x.var(0, unbiased=False)
        with torch.no_grad():
            self.num_batches_tracked += 1
            m = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
            self.running_mean = (1 - m) * self.running_mean + m * mu
            self.running_var = (1 - m) * self.running_var + m * x.var(0)
        return (x - mu) / (v + self.eps) ** 0.5 * self.weight + self.bias


# %% [markdown] mistake="batchnorm-swapped-start"
# Starts with gamma 0 and beta 1: the two first values are swapped.
#
# A new layer turns every batch into ones, whatever goes in, and no gradient gets back to `x`. What should the affine part do to the
# normalised numbers before anything is learnt? The text names both first values.

# %% wrong="batchnorm-optimizer-momentum" fails="batchnorm-running batchnorm-torch"
class MyBatchNorm(nn.Module):
    def __init__(self, n_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight, self.bias = nn.Parameter(torch.ones(n_features)), nn.Parameter(torch.zeros(n_features))
        self.register_buffer("running_mean", torch.zeros(n_features))
        self.register_buffer("running_var", torch.ones(n_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x):
        if x.shape[0] == 1:
            raise ValueError
        mu, v = x.mean(0), x.var(0, unbiased=False)
        with torch.no_grad():
            self.num_batches_tracked += 1
            k = self.num_batches_tracked.item()
            m = 1 - 1 / k if self.momentum is None else self.momentum
            self.running_mean = m * self.running_mean + (1 - m) * mu
            self.running_var = m * self.running_var + (1 - m) * x.var(0)
        return (x - mu) / (v + self.eps) ** 0.5 * self.weight + self.bias


# %% [markdown] mistake="batchnorm-optimizer-momentum"
# Lets the momentum m weigh the old value, as an optimizer does, instead of the new one.
#
# After the batch 0, 10 the running mean should be 0.5, and yours is 4.5: nearly all of the past is forgotten at every step. Put m = 0 into
# the formula of the text, then into yours: what does the layer remember in each?

# %% wrong="batchnorm-detached" fails="batchnorm-by-hand batchnorm-gradients"
class MyBatchNorm(nn.Module):
    def __init__(self, n_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight, self.bias = nn.Parameter(torch.ones(n_features)), nn.Parameter(torch.zeros(n_features))
        self.register_buffer("running_mean", torch.zeros(n_features))
        self.register_buffer("running_var", torch.ones(n_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x):
        if x.shape[0] == 1:
            raise ValueError
        with torch.no_grad():
            mu, v = x.mean(0), x.var(0, unbiased=False)
            self.num_batches_tracked += 1
            m = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
            self.running_mean = (1 - m) * self.running_mean + m * mu
            self.running_var = (1 - m) * self.running_var + m * x.var(0)
        return (x - mu) / (v + self.eps) ** 0.5 * self.weight + self.bias


# %% [markdown] mistake="batchnorm-detached"
# Cuts the mean and the variance of the batch off the graph.
#
# The output is right, the gradient is not: for the column 1, 2, 6 and the first output as loss, `x.grad` is 0.463, 0, 0. But samples 2 and
# 3 act on the first output too, by way of the mean. Which of your lines must not record anything, and which must?

# %% wrong="batchnorm-late-error" fails="batchnorm-running batchnorm-one"
class MyBatchNorm(nn.Module):
    def __init__(self, n_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight, self.bias = nn.Parameter(torch.ones(n_features)), nn.Parameter(torch.zeros(n_features))
        self.register_buffer("running_mean", torch.zeros(n_features))
        self.register_buffer("running_var", torch.ones(n_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x):
        mu, v = x.mean(0), x.var(0, unbiased=False)
        with torch.no_grad():
            self.num_batches_tracked += 1
            m = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
            self.running_mean = (1 - m) * self.running_mean + m * mu
            self.running_var = (1 - m) * self.running_var + m * x.var(0)
        if x.shape[0] == 1:
            raise ValueError
        return (x - mu) / (v + self.eps) ** 0.5 * self.weight + self.bias


# %% [markdown] mistake="batchnorm-late-error"
# Updates the running statistics and the counter before it refuses a batch of one.
#
# After the refused batch (5) the running mean is 0.5, the running variance `nan` and the counter 1, and `nan` stays for ever. The statement
# says what must be unchanged after the error. Go through your lines in order for N = 1.

# %% wrong="batchnorm-pooled" fails="batchnorm-by-hand batchnorm-torch"
class MyBatchNorm(nn.Module):
    def __init__(self, n_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight, self.bias = nn.Parameter(torch.ones(n_features)), nn.Parameter(torch.zeros(n_features))
        self.register_buffer("running_mean", torch.zeros(n_features))
        self.register_buffer("running_var", torch.ones(n_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x):
        if x.shape[0] == 1:
            raise ValueError
        mu, v = x.mean(), x.var(unbiased=False)
        with torch.no_grad():
            self.num_batches_tracked += 1
            m = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
            self.running_mean = (1 - m) * self.running_mean + m * x.mean(0)
            self.running_var = (1 - m) * self.running_var + m * x.var(0)
        return (x - mu) / (v + self.eps) ** 0.5 * self.weight + self.bias


# %% [markdown] mistake="batchnorm-pooled"
# Takes one mean and one variance for the whole batch instead of one for each column.
#
# Columns (1, 3) and (100, 300) should both become −1 and 1; your first becomes −0.822 and −0.806, ruled by its large neighbour. With one
# column nobody notices. How many numbers does your mean hold, and how many does C columns need?

# %% wrong="batchnorm-graph" fails="batchnorm-by-hand batchnorm-gradients"
class MyBatchNorm(nn.Module):
    def __init__(self, n_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight, self.bias = nn.Parameter(torch.ones(n_features)), nn.Parameter(torch.zeros(n_features))
        self.register_buffer("running_mean", torch.zeros(n_features))
        self.register_buffer("running_var", torch.ones(n_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x):
        if x.shape[0] == 1:
            raise ValueError
        mu, v = x.mean(0), x.var(0, unbiased=False)
        self.num_batches_tracked += 1
        m = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
        self.running_mean = (1 - m) * self.running_mean + m * mu
        self.running_var = (1 - m) * self.running_var + m * x.var(0)
        return (x - mu) / (v + self.eps) ** 0.5 * self.weight + self.bias


# %% [markdown] mistake="batchnorm-graph"
# Updates the running statistics with the graph still attached.
#
# All numbers are right, but as soon as `x` needs a gradient `running_mean.requires_grad` is `True`: every batch hangs on to the one before,
# memory grows, and `copy.deepcopy` of the model fails. Which of your lines belong to the memory of the layer and not to its output?

# %% wrong="batchnorm-momentum-zero" fails="batchnorm-torch"
class MyBatchNorm(nn.Module):
    def __init__(self, n_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight, self.bias = nn.Parameter(torch.ones(n_features)), nn.Parameter(torch.zeros(n_features))
        self.register_buffer("running_mean", torch.zeros(n_features))
        self.register_buffer("running_var", torch.ones(n_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x):
        if x.shape[0] == 1:
            raise ValueError
        mu, v = x.mean(0), x.var(0, unbiased=False)
        with torch.no_grad():
            self.num_batches_tracked += 1
            m = self.momentum or 1 / self.num_batches_tracked.item()
            self.running_mean = (1 - m) * self.running_mean + m * mu
            self.running_var = (1 - m) * self.running_var + m * x.var(0)
        return (x - mu) / (v + self.eps) ** 0.5 * self.weight + self.bias


# %% [markdown] mistake="batchnorm-momentum-zero"
# Treats the momentum 0 as if it were None.
#
# With `momentum=0.0` the formula leaves the running mean at 0 whatever comes; yours becomes 5 after the batch 0, 10. Python counts both 0.0
# and None as false. How does one ask for None alone?

# %% right="batchnorm-sums"
class MyBatchNorm(nn.Module):
    def __init__(self, n_features, eps=1e-5, momentum=0.1):
        nn.Module.__init__(self)
        self.small, self.m = eps, momentum
        self.weight = nn.Parameter(torch.full((n_features,), 1.0))
        self.bias = nn.Parameter(torch.full((n_features,), 0.0))
        for key, start in (("running_mean", 0.0), ("running_var", 1.0)):
            self.register_buffer(key, torch.full((n_features,), start))
        self.register_buffer("num_batches_tracked", torch.tensor(0, dtype=torch.long))

    def forward(self, x):
        n = x.shape[0]
        if n < 2:
            raise ValueError("expected more than 1 sample")
        gap = x - x.sum(dim=0) / n
        squares = (gap**2).sum(dim=0)
        self.num_batches_tracked = self.num_batches_tracked + 1
        m = self.m if self.m is not None else 1 / int(self.num_batches_tracked)
        self.running_mean = (1 - m) * self.running_mean + m * x.detach().mean(dim=0)
        self.running_var = (1 - m) * self.running_var + m * squares.detach() / (n - 1)
        return self.bias + self.weight * gap * torch.rsqrt(squares / n + self.small)


# %% [markdown] explanation="batchnorm"
# Training normalises with the batch's own numbers; the running statistics are only written, never read.
# Why two variances: the batch's own deviation makes the batch exactly unit-sized (biased); the running one estimates the variance of *all* data,
# and dividing by N underestimates that by (N − 1)/N on average. With N = 50 the difference is 2 %, with N = 2 it is a factor of 2.
# Forgetting `no_grad` (or `detach`) keeps the graph of every batch alive through the running mean: memory grows, and `copy.deepcopy` of the model fails.
# Cutting mean and variance of the batch off the graph is the opposite mistake: then the layer's backward forgets that they depend on x (Exercise 5).
# gamma starts at 1 and beta at 0: the layer begins as a plain z-score.

# %% [markdown]
# ## One picture: training mode and evaluation mode
#
# `model` is still the trained network with BatchNorm of the first figure. The first customer sends one picture:

# %%
model.train()
try:
    model(X_val[:1])
except ValueError as problem:
    print("ValueError:", problem)

# %% [markdown]
# In **training mode** (训练模式) the layer normalises with the mean of the batch.
# With one value per feature (PyTorch: channel) the mean is that value, every difference is 0, and all pictures would get the same answer;
# PyTorch refuses. But a batch of two is no cure: of two values that clearly differ one becomes about 1, the other −1, whatever they were.
# One picture is put into 30 different batches, and each time the network is asked how probable it finds the class
# that it names for this picture in evaluation mode (explained below).

# %%
g = torch.Generator().manual_seed(1)
model.eval()
with torch.no_grad():
    ask = X_val[model(X_val).softmax(1).amax(1).argmax()]  # the picture of which it is surest
    alone = model(ask[None]).softmax(1)[0]
favourite = alone.argmax().item()
spreads = {}
for size in (2, 5, 20, 100):
    others = [X_val[torch.randperm(1000, generator=g)[: size - 1]] for _ in range(30)]
    answers = []
    for neighbours in others:
        keep = {name: t.clone() for name, t in model.state_dict().items()}
        model.train()
        with torch.no_grad():
            answers.append(model(torch.cat([ask[None], neighbours])).softmax(1)[0, favourite].item())
        model.load_state_dict(keep)  # a call in training mode changes the running statistics, gradient or not
    spreads[size] = answers
model.eval()
fig, ax = plt.subplots(figsize=(7, 3))
for k, answers in enumerate(spreads.values()):
    ax.plot([k + 0.012 * j - 0.17 for j in range(30)], answers, ".", color="tab:red", label="training mode, 30 batches" if k == 0 else None)
ax.axhline(alone[favourite], color="tab:blue", label="evaluation mode, alone or in any batch")
ax.set(
    xticks=range(4),
    xticklabels=spreads,
    xlabel="size of the batch",
    ylabel="probability",
    title="One picture in different company",
    ylim=(-0.05, 1.3),
)
ax.legend(loc="upper center", ncols=2, fontsize=8)
plt.show()
errors = [sum(abs(v - alone[favourite].item()) for v in answers) / 30 for answers in spreads.values()]
assert errors[0] > 0.3 > errors[-1]

# %% [markdown]
# In evaluation mode the network is nearly certain. In training mode its answer depends on the neighbours, most of all in small batches.
# In **evaluation mode** (评估模式), after `model.eval()`, the layer uses its running statistics instead of the batch's:
#
# $$y = \gamma \, \frac{x - \text{running mean}}{\sqrt{\text{running variance} + \varepsilon}} + \beta .$$
#
# Nothing in it depends on the batch, so one sample is enough.
# A common note says that the running statistics "are assigned to the training set".
# They are *collected* on the training set and *used* at inference, when the network answers and no longer learns.
#
# `torch.no_grad()` stops the graph, not the statistics:
# under it, in training mode, the layer still uses the batch, and still changes its running statistics.

# %% [markdown]
# ### Exercise 3: evaluation, and one sample (7 points)
#
# - `bn_eval(x, gamma, beta, running_mean, running_var, eps=1e-5)`: what a BatchNorm layer computes in evaluation mode.
#   `x` has shape `(N, C)` with N ≥ 1, the other four `(C,)`, all of the same float dtype; return a new tensor `(N, C)`; change no input.
# - `predict_one(model, sample)`: `model` is an `nn.Module` that turns `(N, D)` into `(N, K)` and may contain BatchNorm or Dropout;
#   `sample` has shape `(D,)`. Return the answer for this one sample in evaluation mode, shape `(K,)`, without a graph (`requires_grad` False).
#   All modules of `model` are in the same mode when it is called, training or evaluation; afterwards they are in that mode again,
#   and no parameter and no buffer has changed, nor `sample`.
#
# In `bn_eval` do not use `nn.BatchNorm1d` or `torch.nn.functional.batch_norm`.
# By hand: $x = 7$, running mean 3, running variance 4, $\varepsilon = 0$, gamma 5, beta 1 gives $5 \cdot (7 - 3)/2 + 1 = 11$.
#
# <details><summary>Hint 1</summary>Is there any mean to compute in <code>bn_eval</code>?</details>
# <details><summary>Hint 2</summary><code>model.training</code> tells the mode, <code>model.train(True)</code> and
# <code>model.train(False)</code> set it. <code>sample[None]</code> is a batch of one.</details>


# %% exercise="eval"
def bn_eval(
    x: torch.Tensor, gamma: torch.Tensor, beta: torch.Tensor, running_mean: torch.Tensor, running_var: torch.Tensor, eps: float = 1e-5
) -> torch.Tensor:
    """BatchNorm in evaluation mode: x (N, C), N >= 1, to (N, C), by the running statistics (C,)."""
    # BEGIN SOLUTION
    return gamma * (x - running_mean) / torch.sqrt(running_var + eps) + beta
    # END SOLUTION


def predict_one(model: nn.Module, sample: torch.Tensor) -> torch.Tensor:
    """The model's answer (K,) for one sample (D,), in evaluation mode, without a graph; the model is left as it was found."""
    # BEGIN SOLUTION
    was_training = model.training
    model.eval()
    with torch.no_grad():
        answer = model(sample[None]).squeeze(0)
    model.train(was_training)
    return answer
    # END SOLUTION


# %% check="eval-by-hand" points=1
def evaluated(numbers, eps):
    mine = [torch.tensor(v) for v in numbers]
    return bn_eval(*mine, eps=eps), mine


single_row = ([[7.0]], [5.0], [1.0], [3.0], [4.0])  # x, gamma, beta, running mean, running variance
got, after = evaluated(single_row, 0.0)
assert type(got) is torch.Tensor, f"bn_eval must return a tensor, got {type(got).__name__}. NoneType: is `return` missing?"
assert_close(
    got,
    torch.tensor([[11.0]]),
    msg=lambda m: (
        f"x = 7, running mean 3, running variance 4, gamma 5, beta 1, eps 0 must give 11, got {got.tolist()}. "
        f"1 or nan: the batch's own mean was used. 6: the root is missing. 7: gamma and beta are swapped\n{m}"
    ),
)
assert [v.tolist() for v in after] == list(single_row), (
    f"x, gamma, beta, running mean and running variance were {single_row} and are now {[v.tolist() for v in after]}: changed in place"
)
two_rows = ([[7.0], [3.0]], [5.0], [1.0], [3.0], [0.15625])
got, after = evaluated(two_rows, 0.09375)
assert_close(
    got,
    torch.tensor([[41.0], [1.0]]),
    msg=lambda m: (
        "rows 7 and 3, running variance 0.15625, eps 0.09375, the rest as before: the root of their sum is 0.5, so 5 * 4 / 0.5 + 1 = 41, and 1; "
        f"got {got.tolist()}. 41.9: eps outside the root. 51.6: no eps\n{m}"
    ),
)
assert [v.tolist() for v in after] == list(two_rows), f"bn_eval changed {two_rows} in place, to {[v.tolist() for v in after]}"
print("passed: a batch of one, by the running statistics")


# %% check="eval-one" points=2
def asked(numbers, mode):
    net = nn.Sequential(nn.BatchNorm1d(2), nn.ReLU(), nn.Dropout(1.0))
    net[0].running_mean.copy_(torch.tensor([1.0, 2.0]))
    net[0].running_var.copy_(torch.tensor([4.0, 0.25]))
    net.train(mode)
    sample = torch.tensor(numbers)
    try:
        out = predict_one(net, sample)
    except ValueError as problem:
        return f"ValueError: {problem}", None, None, None
    return out, getattr(out, "requires_grad", None), [module.training for module in net.modules()], sample.tolist()


def one_class():
    return list(getattr(predict_one(nn.Linear(3, 1), torch.ones(3)), "shape", []))


for found_mode in (True, False):
    got, graph, modes, left = asked([5.0, 3.0], found_mode)
    assert type(got) is torch.Tensor, (
        f"predict_one must return a tensor, got {got!r}. None: is `return` missing? 'Expected more than 1 value': the model was not set to "
        "evaluation mode. 'expected 2D or 3D input': the sample needs an axis for the batch"
    )
    assert_close(
        got.detach(),
        torch.tensor([4 / (4 + 1e-5) ** 0.5, 1 / (0.25 + 1e-5) ** 0.5]),
        msg=lambda m, got=got: (
            "BatchNorm with running mean (1, 2) and variance (4, 0.25), a ReLU and a Dropout must give (2, 2) for (5, 3), "
            f"got {got.tolist()}. [[2, 2]]: shape (1, 2), take row 0. 0, 0: BatchNorm or Dropout was in training mode\n{m}"
        ),
    )
    assert graph is False, "the answer still has a graph: compute it under torch.no_grad()"
    assert modes == [found_mode] * 4, (
        f"the model came with training={found_mode} and must leave so: module.training is {modes}. Note the mode before you call eval()"
    )
    assert left == [5.0, 3.0], f"sample was [5.0, 3.0] and is now {left}: `unsqueeze_` and `-=` change the tensor that was given"
got = one_class()
assert got == [1], f"a model with K = 1 must give the shape (1,), got {tuple(got)}. (): squeeze() without dim takes every axis of length 1 away"
print("passed: one sample, and the model is in its old mode again")

# %% hidden="eval-torch" points=2
def result_and_inputs(inputs, eps):
    given = [t.clone() for t in inputs]
    return bn_eval(*given, eps=eps), given


_ = torch.manual_seed(14)
for n, eps_ in ((6, 1e-5), (1, 0.3)):
    inputs = [torch.randn(n, 3, dtype=torch.float64) * 5] + [torch.randn(3, dtype=torch.float64) for _ in range(3)]
    inputs.append(torch.rand(3, dtype=torch.float64) * 4)
    got, given = result_and_inputs(inputs, eps_)
    assert all(torch.equal(a, b) for a, b in zip(given, inputs, strict=True)), "bn_eval changed an input in place"
    x_, gamma_, beta_, mean_, var_ = inputs
    wanted = torch.nn.functional.batch_norm(x_, mean_, var_, gamma_, beta_, training=False, eps=eps_)
    assert_close(
        got, wanted, msg=lambda m, n=n, e=eps_: f"bn_eval with x ({n}, 3), float64, eps {e} differs from PyTorch's evaluation mode\n{m}"
    )
tiny = torch.tensor([[0.01]])
got = bn_eval(tiny, torch.ones(1), torch.zeros(1), torch.zeros(1), torch.zeros(1))
assert_close(got, tiny / 1e-5**0.5, msg=lambda m: f"eps is 1e-5 if not given: x 0.01, variance 0 must give 3.16, got {got.tolist()}\n{m}")


# %% hidden="eval-model" points=2
def answers_of(weights, sample, mode):
    net = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Dropout(0.9), nn.Linear(5, 3))
    net.load_state_dict(weights)
    net.train(mode)
    answer_ = predict_one(net, sample)
    after = {name: t.clone() for name, t in net.state_dict().items()}
    return answer_, getattr(answer_, "requires_grad", None), [module.training for module in net.modules()], after


_ = torch.manual_seed(14)
source = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Dropout(0.9), nn.Linear(5, 3))
for _ in range(3):
    source(torch.randn(8, 4) * 2 + 1)
weights = {name: t.clone() for name, t in source.state_dict().items()}
single = torch.randn(4)
for mode in (True, False):
    got, graph, modes, after = answers_of({name: t.clone() for name, t in weights.items()}, single.clone(), mode)
    source.eval()
    wanted = source(single[None])[0].detach()
    assert_close(
        got, wanted, msg=lambda m, v=mode: f"a model with BatchNorm and Dropout, found with training={v}, gave another answer\n{m}"
    )
    assert graph is False, "the answer of predict_one still has a graph"
    assert modes == [mode] * 6, f"the model was found with training={mode} and left with {modes}"
    assert_close(after, weights, msg=lambda m, v=mode: f"predict_one (training={v}) changed a parameter or a buffer\n{m}")


def special_models():
    class Switched(nn.Module):  # has no module inside, and looks at its own mode
        def forward(self, inputs):
            return torch.nn.functional.dropout(inputs, 1.0, self.training)

    return list(predict_one(nn.Linear(4, 1), torch.ones(4)).shape), predict_one(Switched(), torch.ones(4)).tolist()


shape, ones = special_models()
assert shape == [1], f"a model with K = 1 output must give the shape (1,), got {tuple(shape)}"
assert ones == [1.0] * 4, f"a model whose forward drops all where self.training is True must give ones, got {ones}: set the model's own mode"


# %% wrong="eval-batch-statistics" fails="eval-by-hand eval-torch eval-one eval-model"
def bn_eval(x, gamma, beta, running_mean, running_var, eps=1e-5):
    return gamma * (x - x.mean(0)) / (x.var(0, correction=0) + eps).sqrt() + beta


def predict_one(model, sample):
    model.train()
    with torch.no_grad():
        return model(torch.stack([sample, sample]))[0]


# %% [markdown] mistake="eval-batch-statistics"
# Normalises with the batch's own statistics in evaluation too, instead of the running ones.
#
# With running mean 1, running variance 16 and ε = 0, gamma 1 and beta 0, the rows 9 and 17 should become 2 and 4; you return −1 and 1, and
# one row alone gives `nan`. In evaluation nothing may depend on the other rows. Check both of your functions for that.

# %% wrong="eval-left-in-eval" fails="eval-one eval-model"
def bn_eval(x, gamma, beta, running_mean, running_var, eps=1e-5):
    return gamma * (x - running_mean) / (running_var + eps).sqrt() + beta


def predict_one(model, sample):
    model.eval()
    with torch.no_grad():
        return model(sample.unsqueeze(0)).squeeze(0)


# %% [markdown] mistake="eval-left-in-eval"
# Leaves the model in evaluation mode after `predict_one`.
#
# A model that came in training mode leaves with `training` equal to `False`. A training loop that goes on with it no longer updates the
# running statistics and no longer drops anything, and nobody is told. What must you know before you change the mode?

# %% wrong="eval-always-train-after" fails="eval-one eval-model"
def bn_eval(x, gamma, beta, running_mean, running_var, eps=1e-5):
    return gamma * (x - running_mean) / (running_var + eps).sqrt() + beta


def predict_one(model, sample):
    model.eval()
    with torch.no_grad():
        out = model(sample.unsqueeze(0)).squeeze(0)
    model.train()
    return out


# %% [markdown] mistake="eval-always-train-after"
# Puts the model into training mode after `predict_one`, however it was found.
#
# A model that came in evaluation mode leaves in training mode, and its next direct call with one picture fails or answers differently. Call
# `model.eval()`, then `predict_one`, then print `model.training`. Which sentence of the statement speaks of this?

# %% wrong="eval-eps-outside" fails="eval-by-hand eval-torch"
def bn_eval(x, gamma, beta, running_mean, running_var, eps=1e-5):
    return gamma * (x - running_mean) / (running_var.sqrt() + eps) + beta


def predict_one(model, sample):
    mode = model.training
    model.eval()
    with torch.no_grad():
        out = model(sample.unsqueeze(0)).squeeze(0)
    model.train(mode)
    return out


# %% [markdown] mistake="eval-eps-outside"
# Adds ε to the deviation in `bn_eval`, outside the root.
#
# With running variance 9 and ε = 16 the divisor should be 5, and yours is 19. With ε = 0.00001 and an ordinary variance nobody sees the
# difference, but with a variance near 0 it is large. How far does the root reach in the formula?

# %% wrong="eval-only-no-grad" fails="eval-one eval-model eval-by-hand eval-torch"
def bn_eval(x, gamma, beta, running_mean, running_var, eps=1e-5):
    return gamma * (x - running_mean) / (running_var + eps) + beta


def predict_one(model, sample):
    with torch.no_grad():
        return model(sample.unsqueeze(0)).squeeze(0)


# %% [markdown] mistake="eval-only-no-grad"
# Forgets the root in `bn_eval`, and stays in training mode in `predict_one`.
#
# With running mean 1, running variance 16, ε = 0, gamma 1 and beta 0 the value 9 becomes 0.5 instead of 2. And `no_grad` stops the graph,
# not the statistics: in training mode BatchNorm still refuses a single sample. Compare the first with the formula, and find the second in
# the text.

# %% wrong="eval-graph" fails="eval-model"
def bn_eval(x, gamma, beta, running_mean, running_var, eps=1e-5):
    return gamma * (x - running_mean) / (running_var + eps).sqrt() + beta


def predict_one(model, sample):
    mode = model.training
    out = model.eval()(sample.unsqueeze(0)).squeeze(0)
    model.train(mode)
    return out


# %% [markdown] mistake="eval-graph"
# Returns an answer from `predict_one` that still carries a graph.
#
# The numbers and the mode are right, but `requires_grad` of the answer is `True`, so each answer keeps its whole computation in memory and
# `.numpy()` refuses it. Evaluation mode and recording are two switches. Which one did you leave on?

# %% wrong="eval-squeeze" fails="eval-one eval-model"
def bn_eval(x, gamma, beta, running_mean, running_var, eps=1e-5):
    return gamma * (x - running_mean) / (running_var + eps).sqrt() + beta


def predict_one(model, sample):
    mode = model.training
    model.eval()
    with torch.no_grad():
        out = model(sample.unsqueeze(0)).squeeze()
    model.train(mode)
    return out


# %% [markdown] mistake="eval-squeeze"
# Takes away every axis of length 1 from the answer, that of a single output too.
#
# A model with K = 1 should give the shape (1,), and your answer has the shape (). With more outputs nobody notices. Which one axis was added
# for the batch, and how do you take away that one only?

# %% wrong="eval-only-batchnorm" fails="eval-one eval-model"
def bn_eval(x, gamma, beta, running_mean, running_var, eps=1e-5):
    return gamma * (x - running_mean) / (running_var + eps).sqrt() + beta


def predict_one(model, sample):
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm1d)]
    modes = [module.training for module in norms]
    for module in norms:
        module.eval()
    with torch.no_grad():
        out = model(sample.unsqueeze(0)).squeeze(0)
    for module, mode in zip(norms, modes, strict=True):
        module.train(mode)
    return out


# %% [markdown] mistake="eval-only-batchnorm"
# Puts only the BatchNorm layers into evaluation mode, not the whole model.
#
# A Dropout in the model still drops, so two calls with the same sample differ. Which layers does the statement name, and which one call
# reaches all of them?

# %% right="eval-scale-shift"
def bn_eval(x, gamma, beta, running_mean, running_var, eps=1e-5):
    scale = gamma * torch.rsqrt(running_var + eps)
    return x * scale + (beta - running_mean * scale)


def predict_one(model, sample):
    mode = {module: module.training for module in model.modules()}
    try:
        model.train(False)
        out = model(sample.reshape(1, -1)).detach().reshape(-1)
    finally:
        for module, training in mode.items():
            module.training = training
    return out


# %% [markdown] explanation="eval"
# In evaluation mode the layer is a fixed straight line, column by column; that is what makes folding possible (Exercise 4).
# `no_grad` and `eval` are independent switches, and inference needs both.
# Restoring the mode matters when the function is called in the middle of training, to look at a sample:
# left in evaluation mode, the running statistics would silently stop to move.
# A careful version restores each module by itself (the right answer above), so that a BatchNorm frozen on purpose stays frozen.

# %% [markdown]
# ## Where to put it, and how to take it out again
#
# The paper puts BatchNorm between the linear layer and the activation, as `deep` does: linear, norm, ReLU.
# Others put it behind: linear, ReLU, norm. Neither always wins, but once a network is trained its order must stay.
#
# Before a BatchNorm the **bias** (偏置) of the linear layer is useless: it moves the whole column, and the mean takes it away again.
# Beta does its work, so one writes `nn.Linear(n, k, bias=False)` there.

# %%
linear = nn.Linear(196, 5)
before = nn.BatchNorm1d(5)(linear(X[:50]))
with torch.no_grad():
    linear.bias += 100
print(
    "100 more in every bias, greatest change behind BatchNorm:",
    "below 0.001" if (nn.BatchNorm1d(5)(linear(X[:50])) - before).abs().max() < 1e-3 else "large",
)

# %% [markdown]
# After training the layer need not even be there.
# In evaluation mode it is a straight line for each column, and the linear layer in front of it is one too:
#
# $$y = \gamma \, \frac{(W x + b) - \mu_r}{s} + \beta, \qquad s = \sqrt{v_r + \varepsilon},$$
#
# with the running mean $\mu_r$ and the running variance $v_r$.
# A straight line of a straight line is a straight line, so one linear layer can do both: **folding** (折叠).
# Collect what stands before $x$, and what does not; each output has its own $\gamma$, $s$, $\mu_r$ and $\beta$.

# %% [markdown]
# ### Exercise 4: fold BatchNorm into the linear layer (7 points)
#
# Write `fold_bn(linear, bn)`: `linear` is an `nn.Linear(D, C)`, with or without bias, and `bn` an `nn.BatchNorm1d(C)` with gamma, beta and
# running statistics; both float32. Return a *new* `nn.Linear(D, C)` with a bias, float32, that computes for every `x` of shape `(N, D)` what
# `bn(linear(x))` computes **in evaluation mode**, up to rounding.
# Neither `linear` nor `bn` may be changed, its mode included; `bn` may be in training mode when the function is called.
#
# By hand: $W = (2)$, $b = 1$, running mean 4, running variance 9, $\varepsilon = 0$, gamma 6, beta 0.5:
# $y = 6 \, (2x + 1 - 4)/3 + 0.5 = 4x - 5.5$. So the new weight is 4 and the new bias −5.5.
#
# <details><summary>Hint 1</summary>By what is row c of <code>W</code>, the weights of output c, multiplied? Is that a factor for
# rows or for columns of <code>W</code>?</details>
# <details><summary>Hint 2</summary>Write into the new layer under <code>torch.no_grad()</code> with <code>folded.weight.copy_(...)</code>;
# a linear layer without bias has <code>linear.bias is None</code>.</details>


# %% exercise="fold"
def fold_bn(linear: nn.Linear, bn: nn.BatchNorm1d) -> nn.Linear:
    """One new linear layer, with bias, equal to bn(linear(x)) in evaluation mode."""
    # BEGIN SOLUTION
    folded = nn.Linear(linear.in_features, linear.out_features)
    with torch.no_grad():
        scale = bn.weight / torch.sqrt(bn.running_var + bn.eps)  # (C,)
        bias = 0 if linear.bias is None else linear.bias
        folded.weight.copy_(scale[:, None] * linear.weight)
        folded.bias.copy_(scale * (bias - bn.running_mean) + bn.bias)
    return folded
    # END SOLUTION


# %% check="fold-by-hand" points=2
def folded_numbers():
    linear, bn = nn.Linear(1, 1), nn.BatchNorm1d(1, eps=0.0)
    with torch.no_grad():
        for tensor, value in (
            (linear.weight, 2),
            (linear.bias, 1),
            (bn.running_mean, 4),
            (bn.running_var, 9),
            (bn.weight, 6),
            (bn.bias, 0.5),
        ):
            tensor.fill_(value)
    try:
        out = fold_bn(linear, bn)
    except (RuntimeError, TypeError) as problem:
        if "leaf Variable" not in str(problem) and "cannot assign" not in str(problem):
            raise
        return f"{type(problem).__name__}: {problem}", None, []
    left = [t.item() for t in (linear.weight, linear.bias, bn.running_mean, bn.running_var, bn.weight, bn.bias)]
    if not isinstance(out, nn.Linear):
        return type(out).__name__, None, left
    if out.bias is None:
        return "Linear without a bias", None, left
    if out.weight.numel() != 1:
        return f"Linear({out.in_features}, {out.out_features}) for Linear(1, 1)", None, left
    return "Linear", [out.weight.item(), out.bias.item()], left


kind, got, left = folded_numbers()
assert kind == "Linear", (
    f"fold_bn must return an nn.Linear with a bias, got {kind}. NoneType: is `return` missing? 'a leaf Variable that requires grad': "
    "write under torch.no_grad(). 'cannot assign': a parameter is written with copy_, or replaced by an nn.Parameter"
)
assert_close(
    torch.tensor(got),
    torch.tensor([4.0, -5.5]),
    msg=lambda m: (
        f"W 2, b 1, running mean 4, variance 9, gamma 6, beta 0.5: weight 4 and bias -5.5, got {got}. Bias 10.5: wrong sign of the mean. "
        f"-7.5: the old bias is lost. -6.5: it is not scaled. -1.5: the mean is not scaled. -2.5: neither is. "
        f"Weight 12: not divided by the deviation; 1.33: no root\n{m}"
    ),
)
assert left == [2, 1, 4, 9, 6, 0.5], (
    f"W, b, running mean, running variance, gamma, beta were 2, 1, 4, 9, 6, 0.5 and are now {left}: linear or bn was changed; make a new layer"
)
print("passed: 4x - 5.5")


# %% check="fold-equal" points=1
def both_answers(first_state, statistics, x):
    linear, bn = nn.Linear(3, 2, bias="bias" in first_state), nn.BatchNorm1d(2, eps=0.75)
    linear.load_state_dict(first_state)
    bn.load_state_dict(statistics)
    try:
        single = fold_bn(linear, bn)
    except NotImplementedError:
        raise
    except (RuntimeError, TypeError, AttributeError) as problem:
        return f"{type(problem).__name__}: {problem}", None, None, None
    if not isinstance(single, nn.Linear):
        return f"{type(single).__name__} as its result", None, None, None
    if single.bias is None:
        return "a linear layer without a bias as its result", None, None, None
    if single.weight.shape != (2, 3):
        return f"a linear layer with weights {tuple(single.weight.shape)} in place of (2, 3)", None, None, None
    return single(x).detach(), dict(linear.state_dict()), dict(bn.state_dict()), bn.training


weight_, bias_ = torch.tensor([[1.0, 2.0, 3.0], [-1.0, 0.0, 5.0]]), torch.tensor([1.0, -2.0])
numbers = {"weight": torch.tensor([2.0, -1.0]), "bias": torch.tensor([0.0, 4.0]), "num_batches_tracked": torch.tensor(7)}
numbers |= {"running_mean": torch.tensor([10.0, 20.0]), "running_var": torch.tensor([4.0, 0.25])}
x_ = torch.tensor([[1.0, 1.0, 1.0], [0.0, 2.0, 4.0]])
for given in ({"weight": weight_}, {"weight": weight_, "bias": bias_}):
    got, linear_left, bn_left, mode_left = both_answers(
        {k: v.clone() for k, v in given.items()}, {k: v.clone() for k, v in numbers.items()}, x_.clone()
    )
    assert type(got) is torch.Tensor, (
        f"nn.Linear(3, 2) with {' and '.join(given)}, and BatchNorm: fold_bn must return an nn.Linear(3, 2) with a bias; it came to {got}. "
        "NoneType as its result: is `return` missing? 'NoneType' in an error: without a bias linear.bias is None. Boolean value: ask "
        "`is None`. "
        "Sizes that do not match: the factor belongs to the rows of W, shape (C, 1), and the new layer is nn.Linear(D, C). "
        "'a leaf Variable that requires grad': write into the new layer under torch.no_grad(). 'cannot assign': a parameter is written "
        "with copy_, or replaced by an nn.Parameter"
    )
    names = " and ".join(given)
    before_bn = x_ @ weight_.T + given.get("bias", torch.zeros(2))
    wanted = torch.tensor([2.0, -1.0]) * (before_bn - torch.tensor([10.0, 20.0])) / torch.tensor([4.75, 1.0]).sqrt() + torch.tensor([0.0, 4.0])
    assert_close(
        got,
        wanted,
        rtol=1e-4,
        atol=1e-4,
        msg=lambda m, g=got, w=wanted, names=names: (
            f"a linear layer with {names} and BatchNorm with eps 0.75 in evaluation mode give {w.tolist()}, the folded layer {g.tolist()}. "
            f"-4, 36 first (without bias): eps must be bn.eps, not 1e-5. Otherwise: are the running statistics used, and the rows of W scaled?\n{m}"
        ),
    )
    for name_, was, is_now in (("linear", given, linear_left), ("bn", numbers, bn_left)):
        assert set(is_now) == set(was) and all(torch.equal(is_now[k], was[k]) for k in was), (
            f"{name_} was changed, from { {k: v.tolist() for k, v in was.items()} } to "
            f"{ {k: v.tolist() for k, v in is_now.items()} }; make a new layer"
        )
    assert mode_left is True, "bn came in training mode and was left in evaluation mode"
print("passed: the folded layer gives the answers of the two")


# %% hidden="fold-random" points=2
def folded_answers(linear_state, bn_state, eps, x):
    linear, bn = nn.Linear(4, 6), nn.BatchNorm1d(6, eps=eps)
    linear.load_state_dict(linear_state)
    bn.load_state_dict(bn_state)
    new_layer = fold_bn(linear, bn)
    return new_layer(x).detach()


_ = torch.manual_seed(14)
for eps_ in (1e-5, 0.5):
    lin, norm_ = nn.Linear(4, 6), nn.BatchNorm1d(6, eps=eps_)
    with torch.no_grad():
        _ = norm_.weight.normal_(), norm_.bias.normal_()
    for _ in range(5):
        norm_(lin(torch.randn(9, 4) * 3 + 2).detach())
    states = [{k: v.clone() for k, v in module.state_dict().items()} for module in (lin, norm_)]
    x = torch.randn(7, 4) * 3
    got = folded_answers(*states, eps_, x.clone())
    wanted = norm_.eval()(lin(x)).detach()
    assert_close(got, wanted, rtol=1e-4, atol=1e-4, msg=lambda m, e=eps_: f"nn.Linear(4, 6) and BatchNorm with eps {e}, x (7, 4)\n{m}")


# %% hidden="fold-untouched" points=2
def what_is_left(mode):
    _ = torch.manual_seed(3)
    linear, bn = nn.Linear(2, 3), nn.BatchNorm1d(3)
    with torch.no_grad():
        bn.running_mean.copy_(torch.tensor([1.0, -2.0, 3.0]))
        bn.weight.copy_(torch.tensor([1.0, 5.0, -2.0]))
    bn.train(mode)
    before = [t.clone() for t in (*linear.state_dict().values(), *bn.state_dict().values())]
    new_layer = fold_bn(linear, bn)
    after = [t.clone() for t in (*linear.state_dict().values(), *bn.state_dict().values())]
    same = all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    shapes = [(name, tuple(p.shape), p.requires_grad) for name, p in new_layer.named_parameters()]
    shared = {p.data_ptr() for p in new_layer.parameters()} & {p.data_ptr() for p in (*linear.parameters(), *bn.parameters())}
    return same, bn.training, shapes, len(shared)


for mode in (True, False):
    same, training, shapes, shared = what_is_left(mode)
    assert same and shared == 0, (
        f"fold_bn must leave linear and bn as they were (unchanged: {same}) and share no tensor with them ({shared} shared)"
    )
    assert training == mode, f"bn came with training={mode} and was left with training={training}"
    assert shapes == [("weight", (3, 2), True), ("bias", (3,), True)], (
        f"the new layer must have trainable weight (3, 2) and bias (3,), got {shapes}"
    )


# %% wrong="fold-bias-sign" fails="fold-by-hand fold-equal fold-random"
def fold_bn(linear, bn):
    out = nn.Linear(linear.in_features, linear.out_features)
    k = bn.weight / (bn.running_var + bn.eps) ** 0.5
    b = 0 if linear.bias is None else linear.bias
    out.weight.data = (k.unsqueeze(1) * linear.weight).detach()
    out.bias.data = (k * (b + bn.running_mean) + bn.bias).detach()
    return out


# %% [markdown] mistake="fold-bias-sign"
# Gives the running mean the wrong sign in the new bias.
#
# For W = 1, b = 0, running mean 3, running variance 1, gamma 1, beta 0 and ε = 0 the two layers compute x − 3, and your layer x + 3. Put x
# = 0 into the formula for y: what is left is the bias.

# %% wrong="fold-batch-statistics" fails="fold-by-hand fold-equal fold-random fold-untouched"
def fold_bn(linear, bn):
    out = nn.Linear(linear.in_features, linear.out_features)
    bn.train()
    with torch.no_grad():
        probe_rows = torch.cat([torch.zeros(1, linear.in_features), torch.eye(linear.in_features)])
        answers = bn(linear(probe_rows))
        out.bias.copy_(answers[0])
        out.weight.copy_((answers[1:] - answers[0]).T)
    return out


# %% [markdown] mistake="fold-batch-statistics"
# Calls `bn` in training mode, so statistics of a batch go into the folded layer.
#
# The new numbers depend on the rows that were sent through instead of on the running statistics, and `bn` itself has changed: its running
# mean moves, its counter rises, and it is left in training mode. In which mode must the folded layer agree with the two, and what may
# happen to `bn`?

# %% wrong="fold-bias-lost" fails="fold-by-hand fold-random"
def fold_bn(linear, bn):
    out = nn.Linear(linear.in_features, linear.out_features)
    k = bn.weight / (bn.running_var + bn.eps) ** 0.5
    out.weight.data = (k.unsqueeze(1) * linear.weight).detach()
    out.bias.data = (bn.bias - k * bn.running_mean).detach()
    return out


# %% [markdown] mistake="fold-bias-lost"
# Leaves the bias of `linear` out of the new bias.
#
# For W = 1, b = 5, running mean 0, running variance 1, gamma 1, beta 0 and ε = 0 your new bias is 0, but at x = 0 the two layers give 5. A
# linear layer without bias hides it. Follow b through the formula for y.

# %% wrong="fold-variance" fails="fold-by-hand fold-equal fold-random"
def fold_bn(linear, bn):
    out = nn.Linear(linear.in_features, linear.out_features)
    k = bn.weight / (bn.running_var + bn.eps)
    b = 0 if linear.bias is None else linear.bias
    out.weight.data = (k.unsqueeze(1) * linear.weight).detach()
    out.bias.data = (k * (b - bn.running_mean) + bn.bias).detach()
    return out


# %% [markdown] mistake="fold-variance"
# Divides by the variance: the root is missing.
#
# For W = 1, running variance 16, gamma 1 and ε = 0 your new weight is 0.0625, although the deviation is 4. A variance of 1 hides the
# mistake. How is s defined below the formula for y?

# %% wrong="fold-in-place" fails="fold-untouched fold-equal"
def fold_bn(linear, bn):
    k = bn.weight / (bn.running_var + bn.eps) ** 0.5
    with torch.no_grad():
        linear.weight.mul_(k.unsqueeze(1))
        linear.bias.copy_(k * (linear.bias - bn.running_mean) + bn.bias)
    return linear


# %% [markdown] mistake="fold-in-place"
# Overwrites `linear` itself, and stops with an error if `linear` has no bias.
#
# After the call the old layer holds the new numbers, so a second call folds once more: with W = 3 and a factor of 2 the weights are 6, then
# 12. And where there is no bias, there is nothing to write it into. Which kind of layer does the statement ask you to return?

# %% wrong="fold-same-layer" fails="fold-equal fold-untouched"
def fold_bn(linear, bn):
    k = bn.weight / (bn.running_var + bn.eps) ** 0.5
    b = 0 if linear.bias is None else linear.bias
    linear.bias = nn.Parameter((k * (b - bn.running_mean) + bn.bias).detach())
    with torch.no_grad():
        linear.weight.mul_(k.unsqueeze(1))
    return linear


# %% [markdown] mistake="fold-same-layer"
# Changes `linear` and returns it instead of a new layer.
#
# The answers are right, but `fold_bn(linear, bn) is linear` is `True`. The caller's layer has changed, and `bn(linear(x))` computes
# something else from then on. Read the sentence on what may not be changed: in which line is your new layer made?

# %% wrong="fold-fixed-eps" fails="fold-equal fold-random"
def fold_bn(linear, bn):
    out = nn.Linear(linear.in_features, linear.out_features)
    k = bn.weight / (bn.running_var + 1e-5) ** 0.5
    b = 0 if linear.bias is None else linear.bias
    out.weight.data = (k.unsqueeze(1) * linear.weight).detach()
    out.bias.data = (k * (b - bn.running_mean) + bn.bias).detach()
    return out


# %% [markdown] mistake="fold-fixed-eps"
# Does not use the ε of `bn`.
#
# For W = 1, running variance 1, gamma 1 and a BatchNorm made with `eps=3` the new weight should be 0.5, and yours is 1 or nearly so. With
# the usual ε nobody notices. Where does the layer that you are given keep its own ε?

# %% wrong="fold-columns" fails="fold-equal fold-random"
def fold_bn(linear, bn):
    out = nn.Linear(linear.in_features, linear.out_features)
    k = bn.weight / (bn.running_var + bn.eps) ** 0.5
    b = 0 if linear.bias is None else linear.bias
    out.weight.data = (k * linear.weight).detach()
    out.bias.data = (k * (b - bn.running_mean) + bn.bias).detach()
    return out


# %% [markdown] mistake="fold-columns"
# Mixes up the rows of `W`, one for each output, with its columns, one for each input.
#
# With D = 3 and C = 2 there is an error. With D = C there is none, and the result is right or wrong: take W with ones everywhere, shape (2,
# 2), and the factors 1 and 10. The second output should be ten times as large as the first, whichever input it comes from; is yours? Which
# outputs does row c of `W` make, and in which order does `nn.Linear` take its two sizes?

# %% wrong="fold-left-in-eval" fails="fold-equal fold-untouched"
def fold_bn(linear, bn):
    out = nn.Linear(linear.in_features, linear.out_features)
    bn.eval()
    with torch.no_grad():
        start = bn(linear(torch.zeros(1, linear.in_features)))
        out.bias.copy_(start[0])
        out.weight.copy_((bn(linear(torch.eye(linear.in_features))) - start).T)
    return out


# %% [markdown] mistake="fold-left-in-eval"
# Leaves `bn` in evaluation mode.
#
# The folded layer is right, but a `bn` that came in training mode has `bn.training` equal to `False` afterwards, and stops collecting
# statistics. Read in the statement what may not be changed. Is a call of `bn` needed at all?

# %% wrong="fold-bias-truth" fails="fold-equal fold-random fold-untouched"
def fold_bn(linear, bn):
    out = nn.Linear(linear.in_features, linear.out_features)
    k = bn.weight / (bn.running_var + bn.eps) ** 0.5
    b = linear.bias if linear.bias else 0
    out.weight.data = (k.unsqueeze(1) * linear.weight).detach()
    out.bias.data = (k * (b - bn.running_mean) + bn.bias).detach()
    return out


# %% [markdown] mistake="fold-bias-truth"
# Asks whether the bias is true, where it should ask whether there is one.
#
# With one output and with no bias all is well; a bias of two numbers raises "Boolean value of Tensor … is ambiguous". What is `linear.bias`
# of a layer without bias, and how does one ask for exactly that?

# %% right="fold-by-probing"
def fold_bn(linear, bn):
    out = nn.Linear(linear.in_features, linear.out_features)

    def both(x):
        z = torch.nn.functional.linear(x, linear.weight, linear.bias)
        return torch.nn.functional.batch_norm(z, bn.running_mean, bn.running_var, bn.weight, bn.bias, training=False, eps=bn.eps)

    with torch.no_grad():
        offset = both(torch.zeros(1, linear.in_features))
        out.weight.copy_((both(torch.eye(linear.in_features)) - offset).T)
        out.bias.copy_(offset[0])
    return out


# %% [markdown] explanation="fold"
# Weight: row c of W is multiplied by gamma_c / s_c; bias: (b_c − mean_c) gamma_c / s_c + beta_c.
# Rows, because row c of W belongs to output c; a factor for columns would scale the inputs, and only fits where D = C.
# The right answer finds a straight line by asking: f(0) is the bias, f(e_i) − f(0) is column i of the weight.
# The same asking in training mode finds the statistics of the probes: the wrong answer with the batch.
# A folded network is faster and has nothing to forget to switch: it is what is shipped. It cannot be trained further as before, though.

# %% [markdown]
# **A resting place.** So far: scaling, BatchNorm in training and in evaluation, one sample, folding.
# To come: the way back, three relatives that average over something else, and the long experiment.

# %% [markdown]
# ## The way back
#
# A sample $x_i$ acts on the loss $L$ along three paths: directly, through the mean $\mu$, and through the variance $v$.
# Through the last two it moves *all* outputs of its column.
# As in chapter 4 we multiply along a path and add over the paths.
# Write $c_i = x_i - \mu$, $s = \sqrt{v + \varepsilon}$, $\hat x_i = c_i / s$, and $\mathrm{d}y_i$ for $\partial L / \partial y_i$, which comes from behind.
#
# 1. $y_i = \gamma \hat x_i + \beta$. Beta is added to each sample, gamma is multiplied by $\hat x_i$, so
#    $\mathrm{d}\beta = \sum_i \mathrm{d}y_i$ and $\mathrm{d}\gamma = \sum_i \mathrm{d}y_i \, \hat x_i$.
#    What goes on to $\hat x_i$ is $g_i = \gamma \, \mathrm{d}y_i$.
# 2. $\hat x_i = c_i / s$. Directly, $c_i$ gets $g_i / s$. And $s$ gets
#    $\sum_j g_j \cdot (-c_j / s^2) = -\frac1s \sum_j g_j \hat x_j$.
# 3. From $c_i$ to $s$, by way of $v$: $s = \sqrt{v + \varepsilon}$ has the derivative $\frac{1}{2s}$, and $v = \frac1N \sum_j c_j^2$
#    has $\frac{2 c_i}{N}$. Their product is $\hat x_i / N$; times what $s$ gets, and added to the direct part:
#    $$\mathrm{d}c_i = \frac1s \Bigl( g_i - \hat x_i \cdot \frac1N \sum_j g_j \hat x_j \Bigr).$$
# 4. $c_i = x_i - \mu$, and $\mu$ is the mean of all $x$. So $x_i$ gets $\mathrm{d}c_i$, and by way of the mean every sample gets
#    $-\frac1N \sum_j \mathrm{d}c_j$. Since the $\hat x_j$ add up to 0, this is $-\frac1s \cdot \frac1N \sum_j g_j$:
#
# $$\mathrm{d}x_i = \frac1s \Bigl( g_i - \overline{g} - \hat x_i \, \overline{g \hat x} \Bigr),$$
#
# where a bar is a mean over the batch.
# The gradient loses its own mean and its part along $\hat x$: the layer would undo any move or stretch of the whole column.
# We draw the three parts, found by cutting paths with `detach` (chapter 4).


# %%
def part(x: torch.Tensor, direction: torch.Tensor, cut_mean: bool, cut_variance: bool) -> torch.Tensor:
    """Gradient of (direction · BatchNorm(x)).sum() for one column x (N,), with chosen paths cut."""
    x = x.clone().requires_grad_()
    middle = x.mean().detach() if cut_mean else x.mean()
    variance = (x - x.mean()).square().mean()
    (direction * (x - middle) / (variance.detach() if cut_variance else variance).sqrt()).sum().backward()
    return x.grad


column = torch.tensor([-2.0, -1.0, -0.5, 0.0, 0.2, 0.8, 1.5, 3.0], dtype=torch.float64)
slopes = torch.tensor([0.5, 1.0, -0.5, 2.0, 1.5, 0.0, 1.0, 2.5], dtype=torch.float64)
direct = part(column, slopes, True, True)
by_mean = part(column, slopes, False, True) - direct
total = part(column, slopes, False, False)
pieces = {"direct": direct, "through the mean": by_mean, "through the variance": total - direct - by_mean}
fig, ax = plt.subplots(figsize=(9, 3.2))
for k, ((name, values), colour) in enumerate(zip(pieces.items(), ["tab:blue", "tab:orange", "tab:green"], strict=True)):
    ax.bar([i + 0.22 * (k - 1) for i in range(8)], values, width=0.2, color=colour, label=name)
ax.plot(range(8), total, "kD", ms=6, label="total")
ax.axhline(0, color="0.4", lw=0.8)
ax.set(
    xlabel="sample",
    ylabel="gradient",
    xticks=range(8),
    xticklabels=[f"x = {v:g}" for v in column.tolist()],
    title="Three paths back to each sample",
)
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8)
plt.show()
assert abs(total.sum()) < 1e-12 and abs((total * column).sum()) < 1e-12

# %% [markdown]
# Blue: the direct part. The orange part is the same for all samples; the green one grows with the distance from the mean (here 0.25), with opposite signs on its two sides.
# The black totals add up to 0, also after each is multiplied by its $x$.

# %% [markdown]
# ### Exercise 5: BatchNorm backwards (8 points)
#
# Write `bn_backward(dy, x, gamma, eps=1e-5)`: the gradients of a loss through BatchNorm in training mode.
# `x` `(N, C)` is the batch that went in, N ≥ 2, `dy` `(N, C)` the gradient of the loss with respect to the output, `gamma` `(C,)` the scale,
# all of the same float dtype.
# Return the tuple `(dx, dgamma, dbeta)`, shapes `(N, C)`, `(C,)`, `(C,)`, same dtype. Change no input.
# Do not call autograd (`backward`, `torch.autograd.grad`) or PyTorch's BatchNorm.
#
# By hand, $\varepsilon = 0$, one column $x$ = 2, 2, 6, 6, so $\mu = 4$, $s = 2$, $\hat x$ = −1, −1, 1, 1; gamma 3 and `dy` = 1, 0, 0, 0.
# Then $g$ = 3, 0, 0, 0, $\overline g = 0.75$, $\overline{g \hat x} = -0.75$;
# `dx` $= \frac12 (3 - 0.75 - 0.75,\; 0 - 0.75 - 0.75,\; 0 - 0.75 + 0.75,\; 0) = (0.75, -0.75, 0, 0)$, `dgamma` = −1, `dbeta` = 1.
#
# <details><summary>Hint 1</summary>Which of the three results need <code>x</code>, and in which form?</details>
# <details><summary>Hint 2</summary>First recompute mean, s and x̂ from <code>x</code>; then each bar is a <code>mean(dim=0)</code>.</details>


# %% exercise="backward"
def bn_backward(
    dy: torch.Tensor, x: torch.Tensor, gamma: torch.Tensor, eps: float = 1e-5
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gradients (dx (N, C), dgamma (C,), dbeta (C,)) through BatchNorm in training mode, from dy (N, C)."""
    # BEGIN SOLUTION
    s = torch.sqrt(x.var(dim=0, correction=0) + eps)
    xhat = (x - x.mean(dim=0)) / s
    g = gamma * dy
    dx = (g - g.mean(dim=0) - xhat * (g * xhat).mean(dim=0)) / s
    return dx, (dy * xhat).sum(dim=0), dy.sum(dim=0)
    # END SOLUTION


# %% check="backward-by-hand" points=2
def column_back(dy, x, gamma):
    mine = [dy.clone(), x.clone(), gamma.clone()]
    return bn_backward(*mine, eps=0.0), mine


column_x, column_dy = torch.tensor([[2.0], [2.0], [6.0], [6.0]]), torch.tensor([[1.0], [0.0], [0.0], [0.0]])
got, after = column_back(column_dy, column_x, torch.tensor([3.0]))
assert type(got) is tuple and [type(v) for v in got] == [torch.Tensor] * 3, (
    f"bn_backward must return a tuple of three tensors, got {got!r}. None: is `return` missing?"
)
assert_close(
    got,
    (torch.tensor([[0.75], [-0.75], [0.0], [0.0]]), torch.tensor([-1.0]), torch.tensor([1.0])),
    msg=lambda m: (
        f"dx (0.75, -0.75, 0, 0), dgamma -1, dbeta 1; got {[v.flatten().tolist() for v in got]}. dx 1.5, 0, 0, 0: only the direct path. "
        f"1.125, -0.375, 0.375, 0.375: the mean path is lost. 1.125, -0.375, -0.375, -0.375: the variance path is lost. 0.25: gamma is lost. "
        f"0.731, -0.568, -0.081, -0.081: divided by N - 1 in s. "
        f"dgamma -0.25 or dbeta 0.25: a mean instead of a sum. dgamma -3: multiplied by gamma. dgamma 2: x instead of x̂. "
        f"dgamma 1, dbeta -1: exchanged. The right numbers in another shape: summed over more than dim 0, or an axis was kept\n{m}"
    ),
)
for name_, was, is_now in zip(("dy", "x", "gamma"), (column_dy, column_x, torch.tensor([3.0])), after, strict=True):
    assert torch.equal(is_now, was), f"bn_backward changed {name_} in place, from {was.flatten().tolist()} to {is_now.flatten().tolist()}"
print("passed: the example worked by hand")


# %% check="backward-gradcheck" points=1
def normalised(x, gamma, beta):
    return gamma * (x - x.mean(0)) / (((x - x.mean(0)) ** 2).mean(0) + 0.5) ** 0.5 + beta


def passes_gradcheck(x, gamma, beta):
    class Norm(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, gamma, beta):
            ctx.save_for_backward(x, gamma)
            return normalised(x, gamma, beta)

        @staticmethod
        def backward(ctx, dy):
            return bn_backward(dy, *ctx.saved_tensors, eps=0.5)

    try:
        return torch.autograd.gradcheck(Norm.apply, (x.requires_grad_(), gamma.requires_grad_(), beta.requires_grad_())), ""
    except NotImplementedError:
        raise
    except RuntimeError as problem:
        return False, str(problem).split(",\nnumerical")[0][:300]


def first_difference(got, wanted):
    for name, mine, right in zip(("dx", "dgamma", "dbeta"), got, wanted, strict=True):
        if mine.shape != right.shape:
            return f"{name} has shape {tuple(mine.shape)} instead of {tuple(right.shape)}"
        far = ~torch.isclose(mine.to(right.dtype), right)
        if far.any():
            place = tuple(far.nonzero()[0].tolist())
            return f"{name}[{', '.join(map(str, place))}] is {mine[place].item():.5g} instead of {right[place].item():.5g}"
    return "none"


_ = torch.manual_seed(41)
leaves = [torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in ((5, 3), (3,), (3,))]
slopes_ = torch.randn(5, 3, dtype=torch.float64)
got = bn_backward(slopes_.clone(), *(leaf.detach().clone() for leaf in leaves[:2]), eps=0.5)
kinds_ = [type(v).__name__ for v in got] if type(got) is tuple else type(got).__name__
assert kinds_ == ["Tensor"] * 3, f"bn_backward must return a tuple of three tensors, got {kinds_}. NoneType: is `return` missing?"
wanted = torch.autograd.grad(normalised(*leaves), leaves, slopes_)
differs = first_difference(got, wanted)
ok, found = passes_gradcheck(*(torch.randn(*shape, dtype=torch.float64) for shape in ((5, 3), (3,), (3,))))
assert ok is True, (
    "gradcheck in float64 on x (5, 3), eps 0.5, compares your gradients with finite differences and refuses them (below, input or index 0 is dx, "
    "1 dgamma, 2 dbeta). 'Jacobian mismatch': the numbers differ; if the example by hand passed, look for a mean() without dim, which mixes the "
    "columns, an eps that is not the argument or not under the root, or an N that is fixed. 'invalid gradient': a wrong shape, add over dim 0 only. "
    f"'modified by an inplace operation': an input was changed. gradcheck says: {found}. "
    f"The first number that differs from autograd's, on another x: {differs}"
)
assert_close(got, wanted, msg=lambda m: f"another x (5, 3) and dy, eps 0.5: (dx, dgamma, dbeta) are not autograd's: {differs}\n{m}")
print("passed: gradcheck agrees")

# %% hidden="backward-autograd" points=3
def gradients_and_inputs(*inputs, eps):
    given = [t.clone() for t in inputs]
    return bn_backward(*given, eps=eps), given


_ = torch.manual_seed(14)
for n, c, eps_ in ((5, 3, 1e-5), (2, 4, 0.3), (9, 1, 1e-2)):
    x = torch.randn(n, c, dtype=torch.float64) * 3 + 7
    dy, gamma_ = torch.randn(n, c, dtype=torch.float64), torch.randn(c, dtype=torch.float64)
    gamma_[1:2] = 0.0
    got, given = gradients_and_inputs(dy, x, gamma_, eps=eps_)
    assert all(torch.equal(a, b) for a, b in zip(given, (dy, x, gamma_), strict=True)), "bn_backward changed an input in place"
    leaves = [x.clone().requires_grad_(), gamma_.clone().requires_grad_(), torch.zeros(c, dtype=torch.float64, requires_grad=True)]
    out = torch.nn.functional.batch_norm(leaves[0], None, None, leaves[1], leaves[2], training=True, eps=eps_)
    wanted = torch.autograd.grad(out, leaves, dy)
    for name_, g_, w_ in zip(("dx", "dgamma", "dbeta"), got, wanted, strict=True):
        assert_close(
            g_,
            w_,
            msg=lambda m, v=name_, s=(n, c), e=eps_, g=g_: (
                f"{v} for x of shape {s}, eps {e}, gamma[1] = 0, differs from autograd, got {g.tolist()}\n{m}"
            ),
        )

# %% hidden="backward-default" points=2
_ = torch.manual_seed(15)
x = torch.randn(6, 2) * 0.003
dy, gamma_ = torch.randn(6, 2), torch.tensor([2.0, -1.0])
got = bn_backward(dy.clone(), x.clone(), gamma_.clone())
leaf = x.clone().requires_grad_()
out = torch.nn.functional.batch_norm(leaf, None, None, gamma_, torch.zeros(2), training=True)
wanted = torch.autograd.grad(out, leaf, dy)[0]
assert_close(
    got[0],
    wanted,
    rtol=1e-3,
    atol=1e-3,
    msg=lambda m: f"x of size 0.003 and the eps that holds if none is given: dx {got[0].tolist()}, autograd {wanted.tolist()}\n{m}",
)
assert got[0].sum(0).abs().max() < 1e-2 * wanted.abs().max(), f"each column of dx must add up to 0, got sums {got[0].sum(0).tolist()}"


# %% wrong="backward-mean-path" fails="backward-by-hand backward-gradcheck backward-autograd"
def bn_backward(dy, x, gamma, eps=1e-5):
    std = (x.var(0, correction=0) + eps).sqrt()
    z = (x - x.mean(0)) / std
    dz = dy * gamma
    return (dz - z * (dz * z).mean(0)) / std, (dy * z).sum(0), dy.sum(0)


# %% [markdown] mistake="backward-mean-path"
# Leaves out the path through the mean in `dx`.
#
# For x = 1, 1, 3, 3, `dy` = 1, 0, 0, 0, gamma 1 and ε = 0 your `dx` adds up to 1. If all x rise by the same amount no output changes, so
# the sum has to be 0. Which step of the derivation takes care of that?

# %% wrong="backward-variance-path" fails="backward-by-hand backward-gradcheck backward-autograd"
def bn_backward(dy, x, gamma, eps=1e-5):
    std = (x.var(0, correction=0) + eps).sqrt()
    z = (x - x.mean(0)) / std
    dz = dy * gamma
    return (dz - dz.mean(0)) / std, (dy * z).sum(0), dy.sum(0)


# %% [markdown] mistake="backward-variance-path"
# Leaves out the path through the variance in `dx`.
#
# For x = 1, 1, 3, 3, `dy` = −1, −1, 1, 1, gamma 1 and ε = 0 you return −1, −1, 1, 1. But if the whole column is stretched no output
# changes, so nothing should come back along that direction. Look at steps 2 and 3: what does s receive, and from where?

# %% wrong="backward-direct-only" fails="backward-by-hand backward-gradcheck backward-autograd"
def bn_backward(dy, x, gamma, eps=1e-5):
    std = (x.var(0, correction=0) + eps).sqrt()
    return dy * gamma / std, (dy * (x - x.mean(0)) / std).sum(0), dy.sum(0)


# %% [markdown] mistake="backward-direct-only"
# Takes only the direct path: in `dx` mean and variance count as constants.
#
# For x = 1, 1, 3, 3, `dy` = 1, 1, 1, 1, gamma 1 and ε = 0 you return 1 for each sample. Yet raising all x by 1 changes no output at all.
# Along how many paths does a sample act on the loss, and which of them are in your `dx`?

# %% wrong="backward-eps-forgotten" fails="backward-gradcheck backward-autograd backward-default"
def bn_backward(dy, x, gamma, eps=1e-5):
    std = x.var(0, correction=0).sqrt()
    z = (x - x.mean(0)) / std
    dz = dy * gamma
    return (dz - dz.mean(0) - z * (dz * z).mean(0)) / std, (dy * z).sum(0), dy.sum(0)


# %% [markdown] mistake="backward-eps-forgotten"
# Leaves `eps` out of the deviation s.
#
# For x = 1, 1, 3, 3, `dy` = 1, 0, 0, 0 and gamma 1 you return 0.5, −0.5, 0, 0 with ε = 3 as well as with ε = 0, and a column of equal
# values gives `nan`. Where in your function is the argument `eps` used?

# %% wrong="backward-one-mean" fails="backward-gradcheck backward-autograd"
def bn_backward(dy, x, gamma, eps=1e-5):
    std = (x.var(0, correction=0) + eps).sqrt()
    z = (x - x.mean(0)) / std
    dz = dy * gamma
    return (dz - dz.mean() - z * (dz * z).mean()) / std, (dy * z).sum(0), dy.sum(0)


# %% [markdown] mistake="backward-one-mean"
# Takes the means in `dx` over the whole table instead of over each column.
#
# Let two columns both be 1, 1, 3, 3, with `dy` ones in the first and zeros in the second, gamma 1 and ε = 0. Your `dx` is −0.5 in the
# second column, for which no gradient came. One column hides it. How many numbers must a bar hold for C columns?

# %% wrong="backward-mean-of-parameters" fails="backward-by-hand backward-gradcheck backward-autograd"
def bn_backward(dy, x, gamma, eps=1e-5):
    std = (x.var(0, correction=0) + eps).sqrt()
    z = (x - x.mean(0)) / std
    dz = dy * gamma
    return (dz - dz.mean(0) - z * (dz * z).mean(0)) / std, (dy * z).mean(0), dy.mean(0)


# %% [markdown] mistake="backward-mean-of-parameters"
# Averages over the batch in `dgamma` and `dbeta`, where the derivation adds up.
#
# With `dy` = 1, 1, 1, 1 your `dbeta` is 1. But beta is added to each of the four samples, so if it rises by 1 all four outputs do. Read
# step 1 of the derivation again: which results are written with a bar, and which with Σ?

# %% wrong="backward-in-place" fails="backward-by-hand backward-autograd"
def bn_backward(dy, x, gamma, eps=1e-5):
    std = (x.var(0, correction=0) + eps).sqrt()
    z = (x - x.mean(0)) / std
    dbeta, dgamma = dy.sum(0), (dy * z).sum(0)
    dy *= gamma
    return (dy - dy.mean(0) - z * (dy * z).mean(0)) / std, dgamma, dbeta


# %% [markdown] mistake="backward-in-place"
# Multiplies gamma into the caller's `dy` in place.
#
# The three gradients are right, but with gamma 3 a `dy` of ones holds threes after the call, and a second call gives other gradients. Which of
# your operations writes into a tensor that it was given?

# %% right="backward-node-by-node"
def bn_backward(dy, x, gamma, eps=1e-5):
    n = len(x)
    c = x - x.sum(0) / n
    v = (c * c).sum(0) / n + eps
    dbeta = dy.sum(0)
    dgamma = (dy * c * v**-0.5).sum(0)
    dxhat = dy * gamma
    dv = (dxhat * c).sum(0) * -0.5 * v**-1.5
    dc = dxhat * v**-0.5 + dv * 2 * c / n
    return dc - dc.sum(0) / n, dgamma, dbeta


# %% [markdown] explanation="backward"
# The three terms are the three paths: direct, mean, variance.
# Without the mean path the columns of dx no longer add up to 0, and a network trained with it drifts; the loss still falls for a while,
# which is why only gradcheck finds the mistake.
# With N = 2 and eps = 0 every dx is exactly 0: two unequal values are always normalised to −1 and 1, whatever they are. Small batches tell little.
# The other right answer is the same, node by node; the division by N stands in `2c/N` and in the mean.

# %% [markdown]
# ## Four layers, four ways to average
#
# "BatchNorm has four kinds", say common notes: Batch, Layer, Instance and Group.
# They are four different layers with one formula, and differ in *which numbers share a mean and a variance*.
# First for tables `(N, C)`, samples by features:
# BatchNorm averages down each column, **layer normalisation** (层归一化), or LayerNorm, along each row.

# %%
fig, axes = plt.subplots(1, 2, figsize=(8.5, 2.7))
palette = plt.get_cmap("tab20").colors
for ax, title, axis in zip(axes, ["BatchNorm: one mean for each feature", "LayerNorm: one mean for each sample"], [1, 0], strict=True):
    for i in range(4):
        for j in range(6):
            ax.add_patch(plt.Rectangle((j, i), 1, 1, facecolor=palette[2 * (j if axis else i)], edgecolor="white", lw=2))
    ax.set(xlim=(0, 6), ylim=(4, 0), title=title, xlabel="feature", ylabel="sample", aspect="equal")
    ax.set_xticks([j + 0.5 for j in range(6)], labels=range(6))
    ax.set_yticks([i + 0.5 for i in range(4)], labels=range(4))
plt.show()

# %% [markdown]
# Squares of one colour share a mean and a variance: six means on the left, four on the right.
#
# For a sample $x$ of $D$ features, LayerNorm (Ba, Kiros, Hinton, 2016) computes
#
# $$y_d = \gamma_d \, \frac{x_d - \mu}{\sqrt{v + \varepsilon}} + \beta_d, \qquad
# \mu = \frac1D \sum_d x_d, \qquad v = \frac1D \sum_d (x_d - \mu)^2 .$$
#
# Mean and variance belong to the sample; gamma and beta still belong to the features, one each.
# Common notes print it without $\varepsilon$, $\gamma$ and $\beta$, and do not say that $v$ divides by $D$, not by $D - 1$.
# Common notes say "the same feature, the same sample". One feature of one sample is one number, and needs no mean:
# it is *all* features of the same sample.
#
# A sample does not need its neighbours: no running statistics, training and evaluation compute the same,
# and a batch of one is like any other.
# In a sequence of words, `(B, T, C)` (batch, time, features), each word of each sentence is normalised by itself: only the last axis is averaged.

# %%
ln = nn.LayerNorm(3)
print(ln(torch.tensor([[1.0, 3.0, 8.0]])).detach(), "from a batch of one, in training mode")
words = nn.LayerNorm(16)(torch.arange(160.0).reshape(2, 5, 16) ** 2)
print(tuple(words.shape), "largest mean of a word below 0.001:", bool(words.mean(-1).abs().max() < 1e-3))

# %% [markdown]
# ### Exercise 6: layer normalisation (6 points)
#
# Write `layernorm(x, gamma, beta, eps=1e-5)`: `x` has shape `(..., D)` with any number of axes in front, also none; `gamma` and `beta` have shape
# `(D,)`; all of the same float dtype. Return a new tensor of the shape and dtype of `x`, normalised over the last axis by the formula above.
# A row of equal values gives `beta` (its differences are 0, and $\varepsilon$ keeps the root from being 0). Do not change an input.
# The numbers may be large: the row 10000, 10002, 10004, 10006 must come out as 0, 2, 4, 6 does, in float32 too.
# Do not use `nn.LayerNorm`, `torch.nn.functional.layer_norm` or other ready-made normalisations.
#
# By hand: $x = (2, 2, 5)$ has $\mu = 3$ and $v = (1 + 1 + 4)/3 = 2$; with gamma (1, 2, 3), beta (0, 0, 10) the result is
# $(-1/\sqrt2,\; -2/\sqrt2,\; 3 \cdot 2/\sqrt2 + 10) = (-0.707, -1.414, 14.243)$.
#
# <details><summary>Hint 1</summary>Which <code>dim</code> is the last axis, however many there are?</details>
# <details><summary>Hint 2</summary>The mean of a row must still fit under the row: what does <code>keepdim=True</code> do?</details>


# %% exercise="layernorm"
def layernorm(x: torch.Tensor, gamma: torch.Tensor, beta: torch.Tensor, eps: float = 1e-5) -> torch.Tensor:
    """Normalise x (..., D) over its last axis (population variance), then scale by gamma (D,) and shift by beta (D,)."""
    # BEGIN SOLUTION
    centred = x - x.mean(dim=-1, keepdim=True)
    return gamma * centred / torch.sqrt(centred.square().mean(dim=-1, keepdim=True) + eps) + beta
    # END SOLUTION


# %% check="layernorm-by-hand" points=2
def rows_normalised(x, gamma, beta, **options):
    try:
        return layernorm(x, gamma, beta, **options), x
    except NotImplementedError:
        raise
    except (RuntimeError, IndexError) as problem:
        return f"{type(problem).__name__}: {problem}", x


two, scale, shift = torch.tensor([[1.0, 3.0, 8.0], [2.0, 2.0, 5.0]]), torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.0, 0.0, 10.0])
got, left = rows_normalised(two.clone(), scale.clone(), shift.clone())
assert type(got) is torch.Tensor, (
    f"layernorm for x (2, 3) must return a tensor, got {got}. None: is `return` missing? 'size of tensor a (3) must match': the mean of a row "
    "must keep its axis, shape (2, 1), see hint 2"
)
assert got.shape == (2, 3), f"for x (2, 3) the result must have shape (2, 3), got {tuple(got.shape)}"
wanted = torch.tensor([[-3.0, -2.0, 12.0], [-1.0, -2.0, 6.0]]) / torch.tensor([[26 / 3], [2.0]]).add(1e-5).sqrt() + shift
assert_close(
    got,
    wanted,
    msg=lambda m: (
        f"rows (1, 3, 8) and (2, 2, 5), gamma (1, 2, 3), beta (0, 0, 10) must give {wanted.tolist()}, got {got.tolist()}. "
        f"Row 1 -1, 2, 13: columns were averaged (that is BatchNorm). Row 2 beginning with -0.577: divided by D - 1. "
        f"Row 1 -1.02, -0.34, 1.36: gamma and beta are not used\n{m}"
    ),
)
assert torch.equal(left, two), f"x was changed in place, from {two.tolist()} to {left.tolist()}"
got, _ = rows_normalised(two[None].clone(), scale.clone(), shift.clone(), eps=2.0)
wanted = torch.tensor([[[-3.0, -2.0, 12.0], [-1.0, -2.0, 6.0]]]) / torch.tensor([[32 / 3], [4.0]]).sqrt() + shift
assert type(got) is torch.Tensor, f"layernorm for x (1, 2, 3) must return a tensor, got {got}: which axis is the last one?"
assert_close(
    got,
    wanted,
    msg=lambda m: (
        f"the same rows as x (1, 2, 3), eps 2: {wanted.tolist()}, got {got.tolist()}. "
        f"Second row beginning with -0.293: eps outside the root. Otherwise: more than the last axis, or another one, was averaged\n{m}"
    ),
)
got, _ = rows_normalised(torch.tensor([10000.0, 10002.0, 10004.0, 10006.0]), torch.ones(4), torch.zeros(4))
assert type(got) is torch.Tensor, f"layernorm for one vector, shape (4,), must return a tensor, got {got}: it has no axis in front of the last one"
assert_close(
    got,
    torch.tensor([-3.0, -1.0, 1.0, 3.0]) / 5.00001**0.5,
    rtol=1e-3,
    atol=1e-3,
    msg=lambda m: (
        "one vector 10000, 10002, 10004, 10006, shape (4,), gamma 1, beta 0: -1.342, -0.447, 0.447, 1.342; "
        f"got {got.tolist()}. Numbers far off, or nan: the variance was found as a difference of two numbers near 100,000,000, which float32 "
        f"cannot tell apart. -1.162: divided by 3, not by 4\n{m}"
    ),
)
print("passed: the example worked by hand")

# %% hidden="layernorm-torch" points=2
def result_and_input(x, gamma_, beta_, eps):
    given = x.clone()
    return layernorm(given, gamma_, beta_, eps=eps), given


_ = torch.manual_seed(14)
for shape, eps_ in (((4, 7), 1e-5), ((2, 3, 5), 0.4), ((6,), 1e-5), ((1, 4), 1e-3), ((2, 3, 2, 5), 1e-5)):
    x = torch.randn(*shape, dtype=torch.float64) * 3 - 20
    gamma_, beta_ = torch.randn(shape[-1], dtype=torch.float64), torch.randn(shape[-1], dtype=torch.float64)
    got, given = result_and_input(x, gamma_, beta_, eps_)
    assert torch.equal(given, x), "layernorm changed x in place"
    wanted = torch.nn.functional.layer_norm(x, shape[-1:], gamma_, beta_, eps=eps_)
    assert_close(got, wanted, msg=lambda m, s=shape, e=eps_: f"layernorm on shape {s}, float64, eps {e} differs from PyTorch\n{m}")

# %% hidden="layernorm-eps" points=2
beta_ = torch.tensor([1.0, -2.0, 3.0, 0.5])
got = layernorm(torch.full((2, 4), 7.0), torch.ones(4), beta_)
assert_close(
    got, beta_.expand(2, 4), msg=lambda m: f"a row of equal values must give beta, got {got.tolist()}. nan: 0/0, eps is missing\n{m}"
)
far = torch.arange(10.0).reshape(2, 5) - 30000
got = layernorm(far, torch.ones(5), torch.zeros(5))
wanted = ((torch.arange(5.0) - 2) / 2.00001**0.5).expand(2, 5)
assert_close(
    got, wanted, rtol=1e-3, atol=1e-3, msg=lambda m: f"rows -30000, -29999, … in float32 must give {wanted[0].tolist()}, got {got.tolist()}\n{m}"
)
small_ = torch.tensor([[0.001, -0.001]])
got = layernorm(small_, torch.ones(2), torch.zeros(2))
assert_close(
    got,
    small_ / (1e-6 + 1e-5) ** 0.5,
    msg=lambda m: (
        f"row (0.001, -0.001) with the eps of 1e-5 that holds if none is given: 0.302, -0.302; got {got.tolist()}. ±1: no eps; ±0.99: eps outside the root\n{m}"
    ),
)


# %% wrong="layernorm-batch-axis" fails="layernorm-by-hand layernorm-torch"
def layernorm(x, gamma, beta, eps=1e-5):
    return gamma * (x - x.mean(0)) / (x.var(0, correction=0) + eps).sqrt() + beta


# %% [markdown] mistake="layernorm-batch-axis"
# Averages down the columns, over the samples: that is BatchNorm.
#
# A batch with the one row (1, 3) gives `beta`, since each column holds a single number; LayerNorm makes about −1 and 1 of it (gamma 1, beta
# 0), alone or in any batch. Which numbers share a mean in the right half of the figure?

# %% wrong="layernorm-no-eps" fails="layernorm-by-hand layernorm-torch layernorm-eps"
def layernorm(x, gamma, beta, eps=1e-5):
    mu = x.mean(-1, keepdim=True)
    return gamma * (x - mu) / x.std(-1, keepdim=True, correction=0) + beta


# %% [markdown] mistake="layernorm-no-eps"
# Divides by the plain deviation: `eps` is never used.
#
# The row (4, 4) has deviation 0 and gives `nan`, where `beta` should come. And (0, 6) gives −1 and 1 for every ε, although a large ε must
# make the numbers smaller. Where does ε stand in the formula?

# %% wrong="layernorm-axis-one" fails="layernorm-by-hand layernorm-torch"
def layernorm(x, gamma, beta, eps=1e-5):
    mu = x.mean(1, keepdim=True)
    return gamma * (x - mu) / (x.var(1, keepdim=True, correction=0) + eps).sqrt() + beta


# %% [markdown] mistake="layernorm-axis-one"
# Always averages over axis 1, which is the last one only for tables.
#
# The sentence [[[0, 2], [0, 20]]] of shape (1, 2, 2) becomes [[[0, −1], [0, 1]]]: features are compared across the words. A single vector
# raises an error. How can you name the last axis so that it is right for any number of axes?

# %% wrong="layernorm-eps-outside" fails="layernorm-by-hand layernorm-torch layernorm-eps"
def layernorm(x, gamma, beta, eps=1e-5):
    mu = x.mean(-1, keepdim=True)
    return gamma * (x - mu) / (x.std(-1, keepdim=True, correction=0) + eps) + beta


# %% [markdown] mistake="layernorm-eps-outside"
# Adds `eps` to the deviation, outside the root.
#
# For (0, 6) and ε = 16 the divisor should be 5, and yours is 19, so you return ±0.158 instead of ±0.6. With a small ε and large numbers the
# two look alike. How far does the root reach in the formula?

# %% wrong="layernorm-unbiased" fails="layernorm-by-hand layernorm-torch"
def layernorm(x, gamma, beta, eps=1e-5):
    mu = x.mean(-1, keepdim=True)
    return gamma * (x - mu) / (x.var(-1, keepdim=True) + eps).sqrt() + beta


# %% [markdown] mistake="layernorm-unbiased"
# Divides by D − 1 instead of D in the variance.
#
# The row (1, 3) becomes −0.707 and 0.707 instead of −1 and 1 (gamma 1, beta 0). Look at the fraction before the sum in the formula for v,
# and at what PyTorch's functions for variance do if you say nothing.

# %% wrong="layernorm-all-but-batch" fails="layernorm-by-hand layernorm-torch"
def layernorm(x, gamma, beta, eps=1e-5):
    axes = tuple(range(1, x.ndim)) or (0,)
    mu = x.mean(axes, keepdim=True)
    return gamma * (x - mu) / (x.var(axes, keepdim=True, correction=0) + eps).sqrt() + beta


# %% [markdown] mistake="layernorm-all-but-batch"
# Averages over all axes but the first, which mixes the words of a sentence.
#
# In the sentence [[0, 2], [0, 20]] each word should become −1 and 1; your first word becomes −0.65 and −0.42, because the second one has
# entered its mean. Tables hide the mistake. Over which axes does the statement normalise?

# %% wrong="layernorm-no-affine" fails="layernorm-by-hand layernorm-torch layernorm-eps"
def layernorm(x, gamma, beta, eps=1e-5):
    mu = x.mean(-1, keepdim=True)
    return (x - mu) / (x.var(-1, keepdim=True, correction=0) + eps).sqrt()


# %% [markdown] mistake="layernorm-no-affine"
# Returns the normalised numbers without using `gamma` and `beta`.
#
# The row (1, 3) with gamma (2, 2) and beta (10, 10) should give about 8 and 12, and you return −1 and 1. A row of equal values gives zeros,
# where the statement promises `beta`. Compare your result with the formula from left to right.

# %% wrong="layernorm-two-squares" fails="layernorm-by-hand layernorm-eps"
def layernorm(x, gamma, beta, eps=1e-5):
    mu = x.mean(-1, keepdim=True)
    v = (x * x).mean(-1, keepdim=True) - mu * mu
    return gamma * (x - mu) / (v + eps).sqrt() + beta


# %% [markdown] mistake="layernorm-two-squares"
# Finds the variance as mean of the squares minus square of the mean, and loses all digits.
#
# On paper it is the same. But for the row 20000, 20001, 20002 both are near 400,040,000, where float32 has steps of 32, and the variance is
# 0.667: what is left is rounding, or even negative. Which differences does the formula for v square?

# %% wrong="layernorm-in-place" fails="layernorm-by-hand layernorm-torch"
def layernorm(x, gamma, beta, eps=1e-5):
    x -= x.mean(-1, keepdim=True)
    return gamma * x / (x.pow(2).mean(-1, keepdim=True) + eps).sqrt() + beta


# %% [markdown] mistake="layernorm-in-place"
# Subtracts the mean from the caller's `x` in place.
#
# The result is right, but the row (1, 3) has become (−1, 1) after the call, and whoever still needs `x`, such as a residual sum, adds the wrong
# numbers. Which operation of yours writes into a tensor that it was given?

# %% right="layernorm-rows"
def layernorm(x, gamma, beta, eps=1e-5):
    rows = x.reshape(-1, x.shape[-1])
    out = torch.stack([(r - r.mean()) * ((r - r.mean()).dot(r - r.mean()) / len(r) + eps) ** -0.5 for r in rows])
    return (out * gamma + beta).reshape(x.shape)


# %% [markdown] explanation="layernorm"
# `dim=-1` with `keepdim=True` keeps the mean as a column, so that it is subtracted from its own row.
# Without keepdim the shapes (2, 3) and (2,) do not fit, or worse, fit by accident when the table is square.
# Square the differences, not the numbers: for large numbers mean of squares minus square of mean loses all digits in float32.
# eps stands under the root: for a row of size 0.001 it decides whether noise is blown up to size 1.
# Averaging over all axes but the first would mix the words of a sentence; a later word would then change an earlier one.

# %% [markdown]
# ### Pictures: cubes instead of tables
#
# A batch of colour pictures, or of what a layer makes of them, has the shape `(N, C, H, W)`: $N$ samples, $C$ channels, $H \cdot W$ places.
# We draw 3 samples, 4 channels (channel 0 at the bottom) and 3 places as a block of cubes.
# Cubes of one colour share a mean and a variance.

# %%
places, samples, channels = torch.meshgrid(torch.arange(3), torch.arange(3), torch.arange(4), indexing="ij")
groupings = {
    "Batch: 4 means": channels,
    "Layer: 3 means": samples,
    "Instance: 12 means": samples * 4 + channels,
    "Group (2 groups): 6 means": samples * 2 + channels // 2,
}
fig = plt.figure(figsize=(13, 3.8))
for k, (title, number) in enumerate(groupings.items()):
    ax = fig.add_subplot(1, 4, k + 1, projection="3d")
    step = 2 if number.max() < 10 else 1
    colours = torch.tensor(palette)[number * step % 20].numpy()
    ax.voxels(torch.ones(3, 3, 4).numpy(), facecolors=colours, edgecolor="white", lw=0.8, shade=False)
    ax.set_xlabel("place", labelpad=-8)
    ax.set_ylabel("sample", labelpad=-8)
    ax.set_zlabel("channel", labelpad=-8)
    ax.set(title=title, xticks=[], yticks=[], zticks=[0.5, 1.5, 2.5, 3.5], zticklabels=range(4), box_aspect=(3, 3, 4))
    ax.tick_params(axis="z", pad=-3, labelsize=8)
    ax.view_init(elev=22, azim=-50)
plt.show()

# %% [markdown]
# Batch: a colour is a slice through all samples, one channel. Layer: a colour is a whole sample.
# **Instance normalisation** (实例归一化; Ulyanov, Vedaldi, Lempitsky, 2016): each channel of each sample by itself.
# **Group normalisation** (组归一化; Wu and He, 2018): each sample by itself, its channels cut into groups of neighbours,
# here 0 and 1, 2 and 3.
# In none of the last three does a colour reach over two samples: no running statistics,
# and a batch of one is no trouble as long as a colour holds more than one number.
#
# With one group, Group is Layer (over channels and places); with as many groups as channels, Group is Instance.
# PyTorch's layers for pictures are `nn.BatchNorm2d(C)`, `nn.InstanceNorm2d(C)` and `nn.GroupNorm(g, C)`.

# %%
_ = torch.manual_seed(0)
blocks = torch.randn(3, 4, 5, 5)  # (N, C, H, W)
one_group = (nn.GroupNorm(1, 4)(blocks) - nn.functional.layer_norm(blocks, (4, 5, 5))).abs().max()
all_groups = (nn.GroupNorm(4, 4)(blocks) - nn.InstanceNorm2d(4)(blocks)).abs().max()
print("GroupNorm(1) is LayerNorm:", bool(one_group < 1e-5), "  GroupNorm(C) is InstanceNorm:", bool(all_groups < 1e-5))
print("BatchNorm2d keeps", nn.BatchNorm2d(4).running_mean.numel(), "running means for 4 channels")

# %% [markdown]
# Beware of the name: `nn.LayerNorm(shape)` averages over the last axes that you name; in Transformers these are the features of one place,
# while the "Layer" cube takes all places too.

# %% [markdown]
# ### Exercise 7: groups, and counting means (7 points)
#
# - `group_instance(x, g, eps=1e-5)`: group normalisation of `x` `(N, C, H, W)` with `g` groups, g ≥ 1, without gamma and beta
#   (the name: g = C gives instance normalisation).
#   Group 0 are the first C/g channels, group 1 the next C/g, and so on;
#   mean and population variance are taken over the C/g · H · W numbers of one group of one sample.
#   Return a new tensor of the shape and dtype of `x`. Raise `ValueError` if `C` is not a multiple of `g`.
# - `n_means(kind, shape, g=1)`: how many means are computed for an input of shape `(N, C, H, W)`. `kind` is one of `"batch"`, `"layer"`
#   (over channels and places, as in the figure), `"instance"`, `"group"`; `g` matters for `"group"` only, and divides C. Return an `int`.
#
# `x` may be non-contiguous (a transposed view) and may not be changed.
# Do not use ready-made normalisations such as `nn.GroupNorm`.
# By hand: one sample with four channels of one place, 1, 3, 10, 20, and $g = 2$, $\varepsilon = 0$: the groups (1, 3) and (10, 20) become
# −1, 1, −1, 1. And `n_means("group", (4, 6, 5, 5), 3)` is $4 \cdot 3 = 12$.
#
# <details><summary>Hint 1</summary>Into which shape must <code>x</code> be brought so that one group of one sample is one row?</details>
# <details><summary>Hint 2</summary><code>reshape(N, g, -1)</code> keeps neighbouring channels together; average over the last axis,
# and reshape back at the end.</details>


# %% exercise="group"
def group_instance(x: torch.Tensor, g: int, eps: float = 1e-5) -> torch.Tensor:
    """Group normalisation of x (N, C, H, W) with g groups of neighbouring channels; ValueError if g does not divide C."""
    # BEGIN SOLUTION
    N, C, _, _ = x.shape
    if C % g != 0:
        raise ValueError(f"{C} channels cannot be cut into {g} equal groups")
    rows = x.reshape(N, g, -1)  # (N, g, C/g · H · W)
    rows = rows - rows.mean(dim=2, keepdim=True)
    return (rows / torch.sqrt(rows.square().mean(dim=2, keepdim=True) + eps)).reshape(x.shape)
    # END SOLUTION


def n_means(kind: str, shape: tuple[int, int, int, int], g: int = 1) -> int:
    """How many means "batch", "layer", "instance" or "group" normalisation takes for an input of shape (N, C, H, W)."""
    # BEGIN SOLUTION
    N, C, _, _ = shape
    return {"batch": C, "layer": N, "instance": N * C, "group": N * g}[kind]
    # END SOLUTION


# %% check="group-by-hand" points=1
def in_two_groups(x):
    return group_instance(x, 2, eps=0.0), x


four = torch.tensor([1.0, 3.0, 10.0, 20.0]).reshape(1, 4, 1, 1)
got, left = in_two_groups(four.clone())
assert type(got) is torch.Tensor, f"group_instance must return a tensor, got {type(got).__name__}. NoneType: is `return` missing?"
assert got.shape == (1, 4, 1, 1), f"the result must have the shape of x, (1, 4, 1, 1), got {tuple(got.shape)}"
assert_close(
    got.flatten(),
    torch.tensor([-1.0, 1.0, -1.0, 1.0]),
    msg=lambda m: (
        f"channels 1, 3, 10, 20 in two groups: -1, 1, -1, 1; got {got.flatten().tolist()}. -1, -1, 1, 1: channels 0 and 2 were put together. "
        f"±0.707: divided by the count less one\n{m}"
    ),
)
assert torch.equal(left, four), (
    f"x held 1, 3, 10, 20 and holds {left.flatten().tolist()} afterwards: what reshape returns may share its numbers, so `-=` on it changes x"
)
print("passed: neighbours are grouped")

# %% check="group-counts" points=1
got = [n_means(kind, (4, 6, 5, 5), 3) for kind in ("batch", "layer", "instance", "group")]
assert [type(v) for v in got] == [int] * 4, (
    f"n_means must return an int, got {[type(v).__name__ for v in got]}. NoneType: is `return` missing? float: / was used"
)
assert got == [6, 4, 24, 12], (
    f"for (4, 6, 5, 5) and 3 groups: batch 6, layer 4, instance 24, group 12 (count the colours), got {got}. "
    "group 8: C/g is the size of a group, not the number of groups. group 3: samples do not share a mean"
)
print("passed: as many means as colours")


# %% check="group-limits" points=1
def grouped(x, g, eps):
    x = x.transpose(2, 3)  # not contiguous any more
    try:
        return group_instance(x, g, eps=eps)
    except NotImplementedError:
        raise
    except (RuntimeError, ValueError, AssertionError) as problem:
        return f"{type(problem).__name__}: {str(problem)[:120]}"


_ = torch.manual_seed(41)
x = torch.randn(2, 6, 3, 2) + torch.arange(6.0).reshape(6, 1, 1)
got = [grouped(x.clone(), 1, 0.5), grouped(x.clone(), 6, 0.5)]
upright = x.transpose(2, 3).contiguous()
wanted = [torch.nn.functional.layer_norm(upright, (6, 2, 3), eps=0.5), torch.nn.functional.instance_norm(upright, eps=0.5)]
for name_, g_, w_ in zip(("g = 1 must be LayerNorm over (C, H, W)", "g = C must be InstanceNorm"), got, wanted, strict=True):
    assert type(g_) is torch.Tensor, (
        f"x (2, 6, 2, 3), a transposed view: got {g_!r}. None: is `return` missing? RuntimeError on view: `reshape` copies where it must"
    )
    assert g_.shape == w_.shape, f"x (2, 6, 2, 3): the result must have this shape too, got {tuple(g_.shape)}"
    assert_close(
        g_,
        w_,
        rtol=1e-4,
        atol=1e-4,
        msg=lambda m, n=name_, g=g_, w=w_: (
            f"x (2, 6, 2, 3), eps 0.5: {n}; the first two numbers must be {w.flatten()[:2].tolist()}, got {g.flatten()[:2].tolist()}. "
            f"Is C/g used for g, are samples mixed, is eps under the root?\n{m}"
        ),
    )
got = grouped(x.clone(), 4, 0.5)
assert type(got) is str and got.startswith("ValueError"), (
    f"6 channels cannot be cut into 4 equal groups: group_instance must raise ValueError, got {got if type(got) is str else 'a result'}"
)
print("passed: one group is LayerNorm, C groups are InstanceNorm, 4 groups of 6 channels are refused")

# %% hidden="group-torch" points=2
def grouped_and_input(x, g, eps):
    given = x.clone()
    return group_instance(given, g, eps=eps), given


_ = torch.manual_seed(15)
for shape, g_, eps_ in (((2, 6, 3, 5), 3, 1e-5), ((1, 6, 4, 2), 2, 0.5), ((5, 4, 1, 3), 2, 1e-3)):
    x = torch.randn(*shape, dtype=torch.float64) * 2 + 5 * torch.arange(shape[1], dtype=torch.float64).reshape(-1, 1, 1)
    got, given = grouped_and_input(x, g_, eps_)
    assert torch.equal(given, x), "group_instance changed x in place"
    wanted = torch.nn.functional.group_norm(x, g_, eps=eps_)
    assert_close(got, wanted, msg=lambda m, s=shape, g=g_, e=eps_: f"x {s}, {g} groups, eps {e}, float64: differs from PyTorch\n{m}")
across = (torch.randn(3, 5, 4, 2) * 0.003).permute(0, 2, 3, 1)  # (3, 4, 2, 5), not contiguous
got = group_instance(across, 2)
wanted = torch.nn.functional.group_norm(across.contiguous(), 2)
assert_close(
    got, wanted, rtol=1e-4, atol=1e-5, msg=lambda m: f"a non-contiguous x of size 0.003 and the eps that holds if none is given\n{m}"
)


# %% hidden="group-refused" points=2
def error_of(channels, g):
    try:
        group_instance(torch.ones(2, channels, 2, 3), g)
    except Exception as problem:
        return type(problem).__name__
    return "no error"


got = [error_of(6, 4), error_of(4, 8), error_of(5, 3), error_of(6, 3)]
assert got == ["ValueError"] * 3 + ["no error"], f"6 channels in 4 groups, 4 in 8, 5 in 3: ValueError; 6 in 3: no error; got {got}"
got = [
    n_means("batch", (7, 6, 2, 9), 3),
    n_means("layer", (7, 6, 2, 9), 3),
    n_means("instance", (7, 6, 2, 9)),
    n_means("group", (7, 6, 2, 9), 3),
]
got.append(n_means("group", (7, 6, 2, 9)))
assert got == [6, 7, 42, 21, 7], f"(7, 6, 2, 9): batch 6, layer 7, instance 42, three groups 21, one group 7; got {got}"


# %% wrong="group-order" fails="group-by-hand group-torch"
def group_instance(x, g, eps=1e-5):
    N, C, H, W = x.shape
    if C % g:
        raise ValueError
    z = x.reshape(N, C // g, g, H, W)
    mu = z.mean((1, 3, 4), keepdim=True)
    return ((z - mu) / (z.var((1, 3, 4), keepdim=True, correction=0) + eps).sqrt()).reshape(N, C, H, W)


def n_means(kind, shape, g=1):
    return {"batch": shape[1], "layer": shape[0], "instance": shape[0] * shape[1], "group": shape[0] * g}[kind]


# %% [markdown] mistake="group-order"
# Puts channels 0, g, 2g and so on into one group instead of neighbours.
#
# Channels 0, 2, 100, 102 with `g = 2` become −1, −1, 1, 1: 0 was grouped with 100. For g = 1 and g = C all is right. Number four channels 0
# to 3, bring them into your shape, and read off which of them share a group.

# %% wrong="group-size-for-number" fails="group-counts group-limits group-torch group-refused"
def group_instance(x, g, eps=1e-5):
    N, C, H, W = x.shape
    if C % g:
        raise ValueError
    z = x.reshape(N, C // g, -1)
    mu = z.mean(2, keepdim=True)
    return ((z - mu) / (z.var(2, keepdim=True, correction=0) + eps).sqrt()).reshape(N, C, H, W)


def n_means(kind, shape, g=1):
    return {"batch": shape[1], "layer": shape[0], "instance": shape[0] * shape[1], "group": shape[0] * shape[1] // g}[kind]


# %% [markdown] mistake="group-size-for-number"
# Takes `g` for the size of a group instead of the number of groups.
#
# Channels 0, 2, 4, 6, 50, 58 with `g = 2` become −1, 1, −1, 1, −1, 1, three pairs, and `n_means("group", (10, 8, 5, 5), 2)` gives 40. What
# does g count in the statement, and how many channels are then in one group?

# %% wrong="group-over-batch" fails="group-limits group-torch group-counts group-refused"
def group_instance(x, g, eps=1e-5):
    N, C, H, W = x.shape
    if C % g:
        raise ValueError
    z = x.reshape(N, g, C // g, H, W)
    mu = z.mean((0, 2, 3, 4), keepdim=True)
    return ((z - mu) / (z.var((0, 2, 3, 4), keepdim=True, correction=0) + eps).sqrt()).reshape(N, C, H, W)


def n_means(kind, shape, g=1):
    return {"batch": shape[1], "layer": shape[0], "instance": shape[0] * shape[1], "group": g}[kind]


# %% [markdown] mistake="group-over-batch"
# Lets all samples of the batch share the mean of a group.
#
# Two samples with the channels (0, 2) and (100, 102), `g = 1`, should both become −1 and 1; yours become −1.02, −0.98 and 0.98, 1.02. And
# `n_means` does not grow with N. Does a colour of the Group cubes reach over two samples?

# %% wrong="group-view" fails="group-limits group-torch group-refused"
def group_instance(x, g, eps=1e-5):
    N, C, H, W = x.shape
    z = x.view(N, g, -1)
    mu = z.mean(2, keepdim=True)
    return ((z - mu) / (z.var(2, keepdim=True, correction=0) + eps).sqrt()).view(N, C, H, W)


def n_means(kind, shape, g=1):
    return {"batch": shape[1], "layer": shape[0], "instance": shape[0] * shape[1], "group": shape[0] * g}[kind]


# %% [markdown] mistake="group-view"
# Fails on a transposed `x`, and does not refuse a `g` that does not divide C.
#
# `view` needs the numbers in one unbroken line, which a transposed tensor has not. And four channels of one place in three groups end in a
# RuntimeError; with 1 × 3 places they even give a result that cuts channels apart. Which input does the statement allow, and which error
# does it ask for?

# %% wrong="group-only-too-many" fails="group-limits group-refused"
def group_instance(x, g, eps=1e-5):
    if g > x.shape[1]:
        raise ValueError
    z = x.reshape(x.shape[0], g, -1)
    mu = z.mean(2, keepdim=True)
    return ((z - mu) / (z.var(2, keepdim=True, correction=0) + eps).sqrt()).reshape(x.shape)


def n_means(kind, shape, g=1):
    return {"batch": shape[1], "layer": shape[0], "instance": shape[0] * shape[1], "group": shape[0] * g}[kind]


# %% [markdown] mistake="group-only-too-many"
# Raises `ValueError` only where `g` is larger than C, not wherever it does not divide C.
#
# Three channels of 2 × 2 places with `g = 2` give a result without complaint: 12 numbers make two rows of six, and the middle channel is
# cut in two. What must be true of C and g for all groups to have equally many whole channels?

# %% wrong="group-batch-layer-swapped" fails="group-counts group-refused"
def group_instance(x, g, eps=1e-5):
    N, C, H, W = x.shape
    if C % g:
        raise ValueError
    z = x.reshape(N, g, -1)
    mu = z.mean(2, keepdim=True)
    return ((z - mu) / (z.var(2, keepdim=True, correction=0) + eps).sqrt()).reshape(N, C, H, W)


def n_means(kind, shape, g=1):
    return {"batch": shape[0], "layer": shape[1], "instance": shape[0] * shape[1], "group": shape[0] * g}[kind]


# %% [markdown] mistake="group-batch-layer-swapped"
# Swaps Batch and Layer in `n_means`: N means for the first and C for the second.
#
# For (10, 8, 5, 5) you return 10 for "batch" and 8 for "layer". Look at the cubes: a colour of Batch is a slice through all samples, a
# colour of Layer is a whole sample. How many such slices are there, and how many samples?

# %% wrong="group-in-place" fails="group-by-hand group-torch"
def group_instance(x, g, eps=1e-5):
    N, C, H, W = x.shape
    if C % g:
        raise ValueError
    z = x.reshape(N, g, -1)
    z -= z.mean(2, keepdim=True)
    z /= (z.pow(2).mean(2, keepdim=True) + eps).sqrt()
    return z.reshape(N, C, H, W)


def n_means(kind, shape, g=1):
    return {"batch": shape[1], "layer": shape[0], "instance": shape[0] * shape[1], "group": shape[0] * g}[kind]


# %% [markdown] mistake="group-in-place"
# Works in place on a reshaped `x`, and so changes the caller's numbers.
#
# The result is right, but channels 0 and 2 with `g = 1` hold −1 and 1 after the call. `reshape` copies only where it must; otherwise the new
# shape looks at the same numbers. Which of your operations write into them?

# %% right="group-chunks"
def group_instance(x, g, eps=1e-5):
    if x.shape[1] % g:
        raise ValueError("g does not divide C")
    done = []
    for piece in x.chunk(g, dim=1):
        mu = piece.mean((1, 2, 3), keepdim=True)
        done.append((piece - mu) * ((piece - mu).pow(2).mean((1, 2, 3), keepdim=True) + eps) ** -0.5)
    return torch.cat(done, dim=1)


def n_means(kind, shape, g=1):
    N, C = shape[:2]
    groups = {"layer": 1, "instance": C, "group": g}
    return C if kind == "batch" else N * groups[kind]


# %% [markdown] survives="group"
# - `rows = x.reshape(g, N, -1)`: the N · g runs of numbers are the same, in the same order; only their numbering differs

# %% [markdown] explanation="group"
# `reshape(N, g, -1)` works because channels, rows and columns of one sample lie one behind the other: C/g channels are one run of numbers.
# `reshape(N, C // g, g, ...)` is accepted too, and puts channels 0, g, 2g, … together: right for g = 1 and g = C, wrong between.
# That is why the limits alone do not test a group normalisation.
# `view` fails on a transposed input; `reshape` copies where it must.
# Layer is Group with g = 1, Instance is Group with g = C; Batch is no Group at all, it is the only one that looks across samples.

# %% [markdown]
# ## LayerNorm around a branch
#
# The original Transformer puts LayerNorm behind each of its parts.
# Let $f$ be a part, any function that keeps the shape. It is used as a **residual branch** (残差分支):
# its result is *added* to what came in, $x + f(x)$, so the part only has to learn what should change,
# and the gradient has the straight way through the sum (chapter 17).
# But each addition may widen the spread. LayerNorm brings it back. There are two places for it:
#
# - **post-LN** (后置层归一化), the original: $\;x \mapsto \mathrm{LN}(x + f(x))$, "add and norm";
# - **pre-LN** (前置层归一化), common today: $\;x \mapsto x + f(\mathrm{LN}(x))$. The sum itself is never normalised, and the straight way is free.
#
# We send the same numbers through 30 untrained parts with Kaiming's first weights, and follow their spread.

# %%
_ = torch.manual_seed(0)
parts_ = [nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 32)) for _ in range(30)]
for f in parts_:
    for layer in (f[0], f[2]):
        nn.init.kaiming_normal_(layer.weight)
norm = nn.LayerNorm(32)
ways = {
    "no norm: x + f(x)": lambda f, h: h + f(h),
    "pre-LN: x + f(LN(x))": lambda f, h: h + f(norm(h)),
    "post-LN: LN(x + f(x))": lambda f, h: norm(h + f(h)),
}
fig, ax = plt.subplots(figsize=(8, 3))
for (name, way), colour in zip(ways.items(), ["tab:red", "tab:green", "tab:blue"], strict=True):
    h = torch.randn(100, 32, generator=torch.Generator().manual_seed(1))
    path = [h.std().item()]
    with torch.no_grad():
        for f in parts_:
            h = way(f, h)
            path.append(h.std().item())
    ax.plot(path, color=colour, label=name)
    assert (name[:2] != "po" or max(path) < 1.1) and (name[:2] != "no" or path[-1] > 1e6)
ax.set(xlabel="parts passed", ylabel="deviation (log axis)", yscale="log", title="Thirty residual branches, one behind the other")
ax.legend(loc="upper left")
plt.show()

# %% [markdown]
# Without a norm the spread grows by nearly the same factor with every part, to more than a million
# (with PyTorch's smaller first weights only to about 2.6).
# Pre-LN: each part adds something of the same size, so the growth is slow.
# Post-LN: back to 1 every time.

# %% [markdown]
# ### Exercise 8: add and norm (5 points)
#
# Write `post_ln(x, f, norm)` and `pre_ln(x, f, norm)`, the two maps above.
# `x` is a tensor `(B, T, C)`, `f` and `norm` are callables that turn a tensor into a new tensor of the same shape.
# Each is called exactly once, with a tensor `(B, T, C)`. Return a tensor `(B, T, C)`; do not change `x` in place.
#
# By hand, with $f(x) = x^2$, the "norm" $x/2 - 1$ (not a real one, but easy to follow) and $x = 6$:
# post-LN gives $(6 + 36)/2 - 1 = 20$, pre-LN gives $6 + (6/2 - 1)^2 = 10$.
#
# <details><summary>Hint 1</summary>In which of the two is the sum normalised?</details>
# <details><summary>Hint 2</summary>In pre-LN the untouched <code>x</code> is added.</details>


# %% exercise="residual"
def post_ln(x: torch.Tensor, f, norm) -> torch.Tensor:
    """Add and norm, the original Transformer's order: x (B, T, C) to (B, T, C)."""
    # BEGIN SOLUTION
    return norm(x + f(x))
    # END SOLUTION


def pre_ln(x: torch.Tensor, f, norm) -> torch.Tensor:
    """The norm inside the branch: x (B, T, C) to (B, T, C)."""
    # BEGIN SOLUTION
    return x + f(norm(x))
    # END SOLUTION


# %% check="residual-by-hand" points=2
def with_toys(x):
    mine = [x.clone(), x.clone()]
    results = [way(v, lambda u: u * u, lambda u: u / 2 - 1) for way, v in zip((post_ln, pre_ln), mine, strict=True)]
    return results, [v.flatten()[0].item() for v in mine]


got, left = with_toys(torch.full((1, 1, 2), 6.0))
assert [type(v) for v in got] == [torch.Tensor] * 2, f"both functions must return tensors, got {[type(v).__name__ for v in got]}"
numbers = [v.flatten()[0].item() for v in got]
assert abs(numbers[0] - 20) < 1e-5, (
    f"post_ln for x = 6, f = x squared, norm = x/2 - 1 must give 20, got {numbers[0]}. 17: the branch alone, x is not added. "
    "23: only the branch is normalised. 38: only x is normalised. 19: each by itself, not the sum. 10: that is pre-LN"
)
assert abs(numbers[1] - 10) < 1e-5, (
    f"pre_ln must give 10, got {numbers[1]}. 6: the normalised x was added. 4: x is not added. 23: f(x) is normalised, not x. 20: that is post-LN"
)
assert left == [6.0, 6.0], f"x = 6 must be left as it was, but after post_ln and pre_ln it is {left}: `x += ...` works in place"
print("passed: both orders by hand")


# %% hidden="residual-real" points=2
def with_layers(x, weight, kind):
    norm = nn.LayerNorm(4)
    out = (post_ln if kind == "post" else pre_ln)(x, lambda v: torch.tanh(v @ weight), norm)
    return out.detach(), x


_ = torch.manual_seed(14)
x, weight = torch.randn(2, 3, 4) * 3, torch.randn(4, 4)
ln_ = lambda v: torch.nn.functional.layer_norm(v, (4,))
references = {"post": ln_(torch.tanh(x @ weight) + x), "pre": torch.tanh(ln_(x) @ weight) + x}
for kind, wanted in references.items():
    got, left = with_layers(x.clone(), weight.clone(), kind)
    assert_close(
        got, wanted, msg=lambda m, k=kind, g=got: f"{k}_ln with LayerNorm(4) and f = tanh(x W): first row got {g[0, 0].tolist()}\n{m}"
    )
    assert torch.equal(left, x), f"{kind}_ln changed x in place"


# %% hidden="residual-calls" points=1
def counted(kind):
    calls = []

    def f(v):
        calls.append(["f", list(v.shape)])
        return 2 * v

    def norm(v):
        calls.append(["norm", list(v.shape)])
        return v / 4

    out = (post_ln if kind == "post" else pre_ln)(torch.ones(2, 3, 1), f, norm)
    return calls, out.flatten().tolist()


got = {kind: counted(kind) for kind in ("post", "pre")}
whole = [2, 3, 1]
assert got == {"post": ([["f", whole], ["norm", whole]], [0.75] * 6), "pre": ([["norm", whole], ["f", whole]], [1.5] * 6)}, (
    "post_ln calls f, then norm, once each, with a tensor (2, 3, 1) as x is, and gives 0.75 for x = 1, f = 2x, norm = x/4; "
    f"pre_ln norm, then f, and gives 1.5; got {got}"
)


# %% wrong="residual-lost" fails="residual-by-hand residual-real residual-calls"
def post_ln(x, f, norm):
    return norm(f(x))


def pre_ln(x, f, norm):
    return f(norm(x))


# %% [markdown] mistake="residual-lost"
# Never adds `x`: the result of the branch is returned alone.
#
# With f(x) = x + 10, a norm that halves, and x = 4, `post_ln` gives 7 and `pre_ln` 12. If f gave zeros, nothing of x would be left. What
# does the text say is done with the result of a residual branch?

# %% wrong="residual-swapped" fails="residual-by-hand residual-real residual-calls"
def post_ln(x, f, norm):
    return x + f(norm(x))


def pre_ln(x, f, norm):
    return norm(x + f(x))


# %% [markdown] mistake="residual-swapped"
# Swaps the two: `post_ln` computes pre-LN and `pre_ln` computes post-LN.
#
# With f(x) = x + 10, a norm that halves, and x = 4, `post_ln` gives 16 and `pre_ln` gives 9; each is the answer of the other. "Post" means
# after: in which of the formulas does the norm come last?

# %% wrong="residual-norm-on-branch" fails="residual-by-hand residual-real residual-calls"
def post_ln(x, f, norm):
    return x + norm(f(x))


def pre_ln(x, f, norm):
    h = norm(x)
    return h + f(h)


# %% [markdown] mistake="residual-norm-on-branch"
# Puts the norm in the wrong places: on f(x) alone in `post_ln`, on the added x in `pre_ln`.
#
# With f(x) = x + 10, a norm that halves, and x = 4, `post_ln` gives 11 and `pre_ln` 14. Draw both ways from x to the plus sign: the branch
# and the straight way. On which of them, or behind the plus, does each formula put LN?

# %% wrong="residual-in-place" fails="residual-by-hand residual-real"
def post_ln(x, f, norm):
    x += f(x)
    return norm(x)


def pre_ln(x, f, norm):
    x += f(norm(x))
    return x


# %% [markdown] mistake="residual-in-place"
# Changes the caller's `x` in place.
#
# The results are right, but with f(x) = x + 10 and a norm that halves, x = 4 has become 18 after `post_ln`, and 16 after `pre_ln`. Whoever
# still needs the old `x` has lost it. Which operation of yours writes into a tensor that it was given?

# %% right="residual-steps"
def post_ln(x, f, norm):
    change = f(x)
    return norm(torch.add(change, x))


def pre_ln(x, f, norm):
    change = f(norm(x))
    return torch.add(change, x)


# %% [markdown] explanation="residual"
# Post-LN: the sum is normalised, so every block hands on numbers of the same size, but the straight way of the gradient passes each norm.
# Pre-LN: the straight way is free, which lets deep stacks train without a careful warm-up (chapter 13); one more norm is put behind the last block.
# `x + LN(f(x))` is neither, though some models use it; `LN(x) + f(LN(x))` loses the untouched x.
# Adding in place changes the caller's tensor, and breaks autograd where x is still needed.

# %% [markdown]
# ## Why does it help?
#
# The authors' explanation: while the early layers learn, the distribution of what they hand on moves, and the later ones must follow.
# They called this **internal covariate shift** (内部协变量偏移); **covariate shift** (协变量偏移) is the statisticians' word for inputs
# whose distribution changes (chapter 10). BatchNorm, they wrote, reduces it. We look: the mean of five neurons of layer 6 over 200 fixed pictures, before each training step, without and with BatchNorm.

# %%
drift = {}
for name, norm, cut in (("Kaiming's first weights, no norm", None, 11), ("behind BatchNorm", nn.BatchNorm1d, 17)):
    _ = torch.manual_seed(0)
    net, means = deep(norm, "kaiming"), []

    def watch(m, cut=cut, means=means):
        with torch.no_grad():  # five whole layers and the beginning of the sixth, up to its ReLU
            means.append(m[:cut](X[:200])[:, :5].mean(0))

    _ = train(net, lr=0.03, seed=0, n_epochs=3, watch=watch)
    drift[name] = torch.stack(means)
fig, axes = plt.subplots(1, 2, figsize=(11, 3), sharey=True)
for ax, (name, paths) in zip(axes, drift.items(), strict=True):
    ax.plot(paths, lw=1.2)
    ax.set(xlabel="step", title=name)
axes[0].set(ylabel="mean of the ReLU's input")
plt.show()
moved = [(paths.amax(0) - paths.amin(0)).mean().item() for paths in drift.values()]
assert moved[0] > 2 * moved[1]

# %% [markdown]
# Left the means wander; right they are held (the five lines lie on one another): behind BatchNorm the mean of a batch is beta,
# which only moves as it is learnt. So the shift is real and BatchNorm reduces it *at this place*.
# That it is the *reason* for the help is doubted: Santurkar and others (2018) added random shifts behind BatchNorm
# layers, and the networks still trained about as well;
# they found instead that BatchNorm makes the loss surface smoother, so that larger steps are safe.
# The experiment below cannot decide between the two; it can measure how large the steps may be.
#
# ## Correcting the notes
#
# One more common sentence, "beta starts at 1 and gamma at 0", has the two swapped.
# The next exercise lets the layer answer: what comes out, and what comes back?

# %% [markdown]
# ### Exercise 9: correct the notes (8 points)
#
# - `note_fix(x, dy, gamma0, beta0)`: make an `nn.BatchNorm1d(C)` in training mode, fill its gamma with the number `gamma0` and its beta with `beta0`,
#   and send `x` `(N, C)` through, N ≥ 2, float32.
#   Return a tuple `(y, dx)` of tensors `(N, C)` without graphs: the output, and the gradient of `(dy * y).sum()` with respect to `x`.
#   `dy` has shape `(N, C)`. `x` is left as it was: its values, its `requires_grad`, its `grad`.
# - `right_start()`: return `{"gamma": ..., "beta": ...}`, the two numbers (Python floats) with which PyTorch starts.
# - `corrections()`: return a list of seven letters, one for each sentence, in order.
#
# 1. "BatchNorm has four kinds: Batch, Layer, Instance, Group."
#    (a) true  (b) two kinds, 1d and 2d  (c) four different layers that average over different numbers
# 2. "The running statistics are assigned to the training set."
#    (a) collected in training, used at inference  (b) collected and used in training  (c) collected at inference
# 3. "It normalises to mean 0 and variance some value." Before gamma and beta, for $\varepsilon = 0$ and unequal values, that value is
#    (a) 0  (b) 1  (c) gamma
# 4. "LayerNorm averages over the same feature of the same sample."
#    (a) over all samples, the same feature  (b) true  (c) over all features of the same sample
# 5. "`transforms.Normalize` divides by the set's maximum."
#    (a) it subtracts a mean and divides by a standard deviation  (b) true  (c) it maps the smallest value to 0, the largest to 1
# 6. "BatchNorm works because it removes internal covariate shift."
#    (a) proved  (b) the authors' explanation, which later experiments put in doubt  (c) wrong, BatchNorm does not help
# 7. "PyTorch's momentum 0.1 means: keep 0.1 of the old running mean."
#    (a) true  (b) it keeps 0.5 of it  (c) it keeps 0.9 of it
#
# By hand: the column 2, 2, 6, 6 becomes (nearly) −1, −1, 1, 1 with gamma 1 and beta 0, and 1, 1, 1, 1 with the note's values, whatever `x` was.
#
# <details><summary>Hint 1</summary>By what is the gradient multiplied on its way through the affine part?</details>
# <details><summary>Hint 2</summary><code>x.detach().requires_grad_()</code> is a leaf of its own;
# <code>nn.init.constant_</code> fills a tensor with a number.</details>


# %% exercise="note"
def note_fix(x: torch.Tensor, dy: torch.Tensor, gamma0: float, beta0: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Output (N, C) of BatchNorm with gamma0 and beta0 everywhere, and the gradient (N, C) of (dy * output).sum() for x."""
    # BEGIN SOLUTION
    layer = nn.BatchNorm1d(x.shape[1])
    nn.init.constant_(layer.weight, gamma0)
    nn.init.constant_(layer.bias, beta0)
    leaf = x.detach().requires_grad_()
    out = layer(leaf)
    (dy * out).sum().backward()
    return out.detach(), leaf.grad
    # END SOLUTION


def right_start() -> dict[str, float]:
    """The first values of gamma and beta in PyTorch."""
    # BEGIN SOLUTION
    return {"gamma": 1.0, "beta": 0.0}
    # END SOLUTION


def corrections() -> list[str]:
    """Seven letters, the right answers to sentences 1 to 7."""
    # BEGIN SOLUTION
    return ["c", "a", "b", "c", "a", "b", "c"]
    # END SOLUTION


# %% check="note-both-starts" points=2
col, along = torch.tensor([[2.0], [2.0], [6.0], [6.0]]), torch.tensor([[1.0], [0.0], [0.0], [0.0]])


def answered(x, dy, gamma0, beta0):
    pair = note_fix(x, dy, gamma0, beta0)
    graphs = [getattr(v, "requires_grad", None) for v in pair] if type(pair) is tuple else None
    return pair, x.requires_grad or x.grad is not None, graphs


(note_pair, touched, graphs), (other_pair, _, _) = answered(col.clone(), along.clone(), 0.0, 1.0), answered(col.clone(), along.clone(), 3.0, 0.5)
got = [note_pair, other_pair]
kinds_ = [[type(v).__name__ for v in pair] if type(pair) is tuple else type(pair).__name__ for pair in got]
assert kinds_ == [["Tensor", "Tensor"]] * 2, (
    f"note_fix must return a tuple of two tensors, got {kinds_}. NoneType alone: is `return` missing? NoneType as the gradient: "
    "only a tensor with requires_grad collects one, so x needs a copy with it"
)
assert_close(
    got[0],
    (torch.ones(4, 1), torch.zeros(4, 1)),
    msg=lambda m: (
        f"with the note's gamma 0 and beta 1 the output is 1 everywhere and no gradient comes back; got {[v.flatten().tolist() for v in got[0]]}. "
        f"-1, -1, 1, 1: gamma0 and beta0 are swapped or not used\n{m}"
    ),
)
assert_close(
    got[1],
    (torch.tensor([[-2.5], [-2.5], [3.5], [3.5]]), torch.tensor([[0.75], [-0.75], [0.0], [0.0]])),
    rtol=1e-4,
    atol=1e-4,
    msg=lambda m: (
        f"gamma 3, beta 0.5: output -2.5, -2.5, 3.5, 3.5, gradient 0.75, -0.75, 0, 0; got {[v.flatten().tolist() for v in got[1]]}. "
        f"gradient 0, 0, 0, 0: dy is not used\n{m}"
    ),
)
assert graphs == [False, False], f"y and dx must come without graphs, requires_grad is {graphs}: what does detach() return?"
assert not touched, "x must stay without requires_grad and grad: you differentiated x itself; use x.detach().requires_grad_()"
print("passed: with gamma 0 the layer forgets its input and lets no gradient through")

# %% check="note-form" points=1
got = (right_start(), corrections())
assert type(got[0]) is dict and set(got[0]) == {"gamma", "beta"}, f"right_start must return a dict with gamma and beta, got {got[0]!r}"
assert [type(v) for v in got[0].values()] == [float, float], f"the two numbers of right_start must be floats (2.0, not 2), got {got[0]!r}"
assert type(got[1]) is list and len(got[1]) == 7 and all(letter in ("a", "b", "c") for letter in got[1]), (
    f"corrections must return a list of seven letters a, b or c, got {got[1]!r}"
)
assert got[1][0] == "c", f"sentence 1: they are four layers with one formula, got {got[1][0]!r}; look at the cubes"
print("passed: the form, and the first sentence")

# %% hidden="note-start" points=1
got = right_start()
theirs = nn.BatchNorm1d(1)
wanted = {"gamma": theirs.weight.item(), "beta": theirs.bias.item()}
assert got == wanted and [type(got[k]) for k in ("gamma", "beta")] == [float, float], f"PyTorch starts with {wanted} (floats), got {got}"

# %% hidden="note-sentences" points=3
got = corrections()
reasons = [
    "four layers, one formula, different numbers averaged",
    "collected in training, used at inference",
    "unit variance before the affine part",
    "the same sample, all features",
    "mean and standard deviation",
    "a claim put in doubt in 2018, while the help itself is measured",
    "running = 0.9 old + 0.1 new",
]
missed = [k + 1 for k in range(7) if got[k] != "cabcabc"[k]]
assert missed == [], f"sentences {missed} are not corrected: {[reasons[k - 1] for k in missed]}; got {got}"


# %% hidden="note-random" points=1
def started(x, dy, gamma0, beta0):
    x = x.requires_grad_()
    out = note_fix(x, dy, gamma0, beta0)
    return out, [v.requires_grad for v in out], x.grad is None and x.requires_grad, x.detach()


_ = torch.manual_seed(14)
x, dy = torch.randn(6, 3), torch.randn(6, 3)
got, graphs, untouched, left = started(x.clone(), dy.clone(), 1.7, -2.0)
leaf = x.clone().requires_grad_()
out = torch.nn.functional.batch_norm(leaf, None, None, torch.full((3,), 1.7), torch.full((3,), -2.0), training=True)
(gradient,) = torch.autograd.grad(out, leaf, dy)
assert_close(
    got, (out.detach(), gradient), rtol=1e-4, atol=1e-4, msg=lambda m: f"x (6, 3), gamma 1.7, beta -2: output or gradient is wrong\n{m}"
)
assert graphs == [False, False], f"neither result may carry a graph, requires_grad is {graphs}"
assert untouched and torch.equal(left, x), "x must be left as it was: values, requires_grad and grad"


# %% wrong="note-as-noted" fails="note-start note-sentences note-form"
def note_fix(x, dy, gamma0, beta0):
    bn = nn.BatchNorm1d(x.shape[1])
    bn.weight.data.fill_(gamma0)
    bn.bias.data.fill_(beta0)
    z = x.detach().clone().requires_grad_()
    y = bn(z)
    (y * dy).sum().backward()
    return y.detach(), z.grad


def right_start():
    return {"gamma": 0.0, "beta": 1.0}


def corrections():
    return ["a", "b", "c", "b", "b", "a", "a"]


# %% [markdown] mistake="note-as-noted"
# Repeats the notes: gamma 0 and beta 1 at the start, and their sentences uncorrected.
#
# Your own `note_fix` shows what gamma 0 does: every output is beta, whatever `x` was, and no gradient comes back. Could PyTorch start so?
# Make a new layer and look at its numbers, then check each of the seven sentences against its section.

# %% wrong="note-swapped" fails="note-both-starts note-random note-sentences"
def note_fix(x, dy, gamma0, beta0):
    bn = nn.BatchNorm1d(x.shape[1])
    bn.weight.data.fill_(beta0)
    bn.bias.data.fill_(gamma0)
    z = x.detach().clone().requires_grad_()
    y = bn(z)
    (y * dy).sum().backward()
    return y.detach(), z.grad


def right_start():
    return {"gamma": 1.0, "beta": 0.0}


def corrections():
    return ["c", "a", "c", "a", "a", "a", "a"]


# %% [markdown] mistake="note-swapped"
# Fills gamma with `beta0` and beta with `gamma0`, and misses several of the sentences.
#
# For x = 1, 1, 3, 3 with `gamma0` 5 and `beta0` 7 the output should be about 2, 2, 12, 12, and you return −2, −2, 12, 12. By which names
# does PyTorch call the scale and the shift? Then read sentences 3, 4, 6 and 7 again beside their sections.

# %% wrong="note-not-filled" fails="note-both-starts note-random"
def note_fix(x, dy, gamma0, beta0):
    bn = nn.BatchNorm1d(x.shape[1])
    z = x.detach().clone().requires_grad_()
    y = bn(z)
    (y * dy).sum().backward()
    return y.detach(), z.grad


def right_start():
    return {"gamma": 1.0, "beta": 0.0}


def corrections():
    return ["c", "a", "b", "c", "a", "b", "c"]


# %% [markdown] mistake="note-not-filled"
# Never uses `gamma0` and `beta0`: the layer keeps PyTorch's first values.
#
# For x = 1, 1, 3, 3 with `gamma0` 5 and `beta0` 7 you return about −1, −1, 1, 1, and the same for any other two numbers. The statement says
# what is done with the layer before `x` is sent through. Search your function for the last two arguments.

# %% wrong="note-callers-tensor" fails="note-both-starts note-random"
def note_fix(x, dy, gamma0, beta0):
    bn = nn.BatchNorm1d(x.shape[1])
    bn.weight.data.fill_(gamma0)
    bn.bias.data.fill_(beta0)
    x.requires_grad_()
    y = bn(x)
    (y * dy).sum().backward()
    return y.detach(), x.grad


def right_start():
    return {"gamma": 1.0, "beta": 0.0}


def corrections():
    return ["c", "a", "b", "c", "a", "b", "c"]


# %% [markdown] mistake="note-callers-tensor"
# Collects the gradient in the caller's `x`, which then has `requires_grad` and a `grad`.
#
# After the call `x.requires_grad` is `True`. A second call adds its gradient to the first one, so that the `dx` of the second call is twice
# as large as it should be. The statement lists what of `x` must stay; which tensor could take its place?

# %% wrong="note-graph" fails="note-both-starts note-random"
def note_fix(x, dy, gamma0, beta0):
    bn = nn.BatchNorm1d(x.shape[1])
    bn.weight.data.fill_(gamma0)
    bn.bias.data.fill_(beta0)
    z = x.detach().clone().requires_grad_()
    y = bn(z)
    (y * dy).sum().backward()
    return y, z.grad


def right_start():
    return {"gamma": 1.0, "beta": 0.0}


def corrections():
    return ["c", "a", "b", "c", "a", "b", "c"]


# %% [markdown] mistake="note-graph"
# Returns an output that still carries its graph.
#
# The numbers are right, but `requires_grad` of the first result is `True`, and `.numpy()` refuses it. The statement asks for two tensors
# without graphs; the gradient has none. What is left to do with the other one?

# %% right="note-functional"
def note_fix(x, dy, gamma0, beta0):
    C = x.shape[1]
    z = x.detach().requires_grad_()
    gamma, beta = torch.full((C,), float(gamma0)), torch.full((C,), float(beta0))
    y = torch.nn.functional.batch_norm(z, None, None, gamma, beta, training=True)
    return y.detach(), torch.autograd.grad(y, z, grad_outputs=dy)[0]


def right_start():
    fresh = nn.BatchNorm1d(1)
    return {"gamma": float(fresh.weight.detach()), "beta": float(fresh.bias.detach())}


def corrections():
    return list("cabcabc")


# %% [markdown] explanation="note"
# gamma 0: the output is beta, a constant, and the gradient towards x is multiplied by 0, so no earlier layer learns in the first step.
# (gamma itself does get a gradient, so such a layer can wake up. A gamma of 0 is even used on purpose in the *last* norm of a residual branch,
# where the straight way carries everything: the block then starts as the identity.)
# Sentences: 1 c, 2 a, 3 b, 4 c, 5 a, 6 b, 7 c.

# %% [markdown]
# ## The real task: how large may the steps be?
#
# Back to the twelve layers. A fair comparison gives each network its own best learning rate, so we try six, three seeds each:
# PyTorch's first weights, Kaiming's first weights, and BatchNorm (with PyTorch's first weights).
# The mean validation accuracy chooses the rate; the test part is asked once, afterwards.

# %% tags=["nbval-ignore-output"]
entries = {
    "PyTorch's first weights": dict(),
    "Kaiming's first weights": dict(start="kaiming"),
    "BatchNorm": dict(norm=nn.BatchNorm1d),
}


def race(options: dict, rates: tuple[float, ...], depth: int) -> dict[float, list[tuple[nn.Module, float]]]:
    """For each rate three trained models (seeds 0, 1, 2) with their validation accuracies."""
    results = {}
    for lr in rates:
        results[lr] = []
        for seed in range(3):
            _ = torch.manual_seed(seed)
            net = deep(depth=depth, **options)
            _ = train(net, lr, seed)
            results[lr].append((net, accuracy(net, X_val, y_val)))
    return results


def mean_accuracy(three: list[tuple[nn.Module, float]]) -> float:
    return sum(share for _, share in three) / len(three)


outcome = {name: race(options, (0.003, 0.01, 0.03, 0.1, 0.3, 1.0), depth=12) for name, options in entries.items()}
for name, results in outcome.items():
    print(f"{name:24s}", {lr: f"{mean_accuracy(three):.2f}" for lr, three in results.items()})

# %%
fig, ax = plt.subplots(figsize=(8, 3.6))
for (name, results), colour in zip(outcome.items(), ["tab:red", "tab:orange", "tab:blue"], strict=True):
    ax.plot(list(results), [mean_accuracy(three) for three in results.values()], color=colour, label=name)
    for lr, three in results.items():
        ax.plot([lr] * 3, [share for _, share in three], "o", ms=4, color=colour)
ax.axhline(0.1, color="0.6", ls=":", label="guessing")
ax.set(
    xlabel="learning rate (log axis)",
    ylabel="accuracy, validation",
    xscale="log",
    ylim=(0, 0.9),
    title="Twelve layers, five epochs: each dot is a seed, lines are means",
)
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8)
plt.show()
good = {name: sum(mean_accuracy(three) > 0.6 for three in results.values()) for name, results in outcome.items()}
assert good["PyTorch's first weights"] == 0 and good["Kaiming's first weights"] <= 3 and good["BatchNorm"] >= 4

# %% [markdown]
# Red leaves the line of guessing at none of the six rates.
# Orange learns in a band from about 0.01 to 0.1; outside of it the mean falls quickly, and its seeds lie far apart at 0.003 and 0.3.
# Blue passes 0.6 at every rate from 0.01 to 1, a hundredfold.
# That is BatchNorm's plainest help: **the choice of the rate is forgiven**.
#
# Now each at its own best rate, on the 10,000 test pictures. And did we need twelve layers?

# %% tags=["nbval-ignore-output"]
shallow = {name: race(entries[name], (0.03, 0.1, 0.3, 1.0), depth=2) for name in ("Kaiming's first weights", "BatchNorm")}
tested = {}
for label, table in (("12 layers, ", {k: outcome[k] for k in shallow}), ("2 layers, ", shallow)):
    for name, results in table.items():
        best = max(results, key=lambda lr, results=results: mean_accuracy(results[lr]))
        tested[label + name] = [accuracy(net, X_test, y_test) for net, _ in results[best]]
        print(f"{label + name:36s} rate {best:<5} test", [f"{share:.3f}" for share in tested[label + name]])

# %%
means = {name: sum(shares) / 3 for name, shares in tested.items()}
fig, ax = plt.subplots(figsize=(8, 2.6))
for k, (name, shares) in enumerate(tested.items()):
    ax.barh(k, means[name], color="tab:blue" if "Batch" in name else "tab:orange", alpha=0.5)
    ax.plot(shares, [k] * 3, "k.", ms=6)
ax.set(
    yticks=range(4),
    xlabel="accuracy on 10,000 test pictures (axis starts at 0.5)",
    xlim=(0.5, 0.85),
    title="Each at its own best rate; dots are seeds",
)
ax.set_yticklabels(list(tested))
ax.invert_yaxis()
plt.show()
plain12, norm12, plain2, norm2 = means.values()
assert norm12 > plain12 + 0.01 and plain2 > plain12 + 0.02 and norm2 > norm12

# %% [markdown]
# Of the twelve-layer networks, those with BatchNorm are ahead on average by several points in a hundred.
# (Test accuracies of a longer run, not shown: at rate 0.03, ten seeds, mean about 0.69 with Kaiming and 0.75 with BatchNorm,
# standard deviation over the seeds about 0.02 and 0.01.)
#
# But look at the lower bars: *two* layers without any norm are ahead of twelve with it.
# BatchNorm repaired an illness that the depth had brought, and for 2,000 small pictures we did not need the depth.
# It helps the two layers as well. (A longer run, test, rate 0.1, ten seeds: 0.77 with Kaiming, 0.78 with BatchNorm.)
#
# And BatchNorm *with* Kaiming's first weights, twelve layers, six seeds, test? At rate 0.03 only about 0.69, no more than Kaiming alone.
# At 0.2 it reaches about 0.74. Kaiming's weights are 2.4 times as large; before a norm this does not change the output, but asks for larger steps.
#
# What this does not show: other data, other optimizers, longer training.
# A wide band of rates fits the picture of a smoother loss surface, but does not prove it.
#
# **The answer to the first questions.** The line gives what enters each ReLU mean 0 and deviation 1 over the batch,
# and two learnt numbers, gamma and beta, may change that.
# Here spread and gradients no longer die on their way through the layers, and a wide band of learning rates works.
# Could we have had the help without it? In part: by larger first weights, or by fewer layers.
#
# ### The batch-of-one trap, measured
#
# The best network with BatchNorm is asked about the 1,000 validation pictures, but someone forgot `model.eval()`.

# %%
chosen = max(outcome["BatchNorm"], key=lambda lr: mean_accuracy(outcome["BatchNorm"][lr]))
net = outcome["BatchNorm"][chosen][0][0]
saved = {name: t.clone() for name, t in net.state_dict().items()}
forgotten = {}
for size in (2, 4, 10, 100):
    net.load_state_dict(saved)
    net.train()
    with torch.no_grad():
        hits = [(net(xb).argmax(1) == yb).sum().item() for xb, yb in zip(X_val.split(size), y_val.split(size), strict=True)]
    forgotten[f"train mode,\nbatches of {size}"] = sum(hits) / 1000
net.load_state_dict(saved)
forgotten["eval mode,\none by one"] = sum(accuracy(net, X_val[i : i + 1], y_val[i : i + 1]) for i in range(1000)) / 1000
forgotten["eval mode,\nall at once"] = accuracy(net, X_val, y_val)

# %%
fig, ax = plt.subplots(figsize=(9, 2.8))
bars = ax.bar(list(forgotten), list(forgotten.values()), color=["tab:red"] * 4 + ["tab:blue"] * 2, alpha=0.7)
ax.bar_label(bars, fmt="%.2f", fontsize=8)
ax.set(ylabel="accuracy", ylim=(0, 0.95), title="The same weights, the same pictures")
plt.show()
values_ = list(forgotten.values())
assert values_[0] < values_[-1] - 0.2 and values_[4] == values_[5]
assert net(X_val[5:6]).argmax() == y_val[5]

# %% [markdown]
# Batches of two: most of what the network knows is lost, without a warning. The larger the batch, the smaller the damage; at 100 hardly any is left.
# In evaluation mode one by one and all at once give the same answers. LayerNorm has no such trap.
#
# **Try it: your own functions.** In a new cell:
#
# ```python
# mine = deep(MyBatchNorm)                       # your layer inside the twelve; it ignores eval(), so accuracy(mine, ...) would use the batch
# print(train(mine, lr=0.03, seed=0)[-1])
#
# net.train()                                    # the wrong mode, and one picture
# print(predict_one(net, X_val[5]).argmax(), y_val[5])
#
# net.eval()                                     # all norms folded away: linear, ReLU, linear, ReLU, ...
# layers = list(net)
# small_net = nn.Sequential(*[m for k in range(0, 36, 3) for m in (fold_bn(layers[k], layers[k + 1]), nn.ReLU())], layers[-1])
# print((small_net(X_val) - net(X_val)).abs().max())
# ```
#
# Then try `deep(nn.LayerNorm)` in the race: our validation means of three seeds were about 0.65 at the rates 0.01 and 0.03, and 0.1 to 0.2 at 0.1 and 0.3.
#
# ## What goes wrong in practice
#
# - **ValueError: Expected more than 1 value per channel when training.** One sample in training mode: `model.eval()` before inference.
#   Or the last batch of an epoch has one sample (2,001 in batches of 50): `drop_last=True` in the training loader.
# - **Good in training, bad in evaluation.** The running statistics do not fit: tiny batches, too short a training, or unshuffled classes.
# - **Evaluation changes the model.** `no_grad` without `eval`: the running statistics moved.
# - **Fine-tuning** (training a finished network further, on other data): `requires_grad=False` freezes gamma and beta,
#   not the running statistics; set the layer to `eval()`.
# - **Small batches**: noisy statistics. Group or Layer normalisation instead.
# - **Weight decay** (a penalty that pulls weights towards 0) on gamma and beta: many leave both out of it.
# - **A constant column** in a z-score becomes all 1, all −1 or `nan`, and a new value in it explodes.
# - **`nn.LayerNorm(C)` on `(N, C, H, W)`** raises an error or, if W = C, silently averages over W.
#   Name `(C, H, W)`, or use `nn.GroupNorm(1, C)`.
#
# ## Summary
#
# Inputs are scaled by numbers of the training part: z-score, min-max, max scaling.
# BatchNorm is the z-score of each feature over the batch, with a learnt scale gamma (from 1) and shift beta (from 0).
# In training it uses the batch (biased variance) and collects running statistics (unbiased variance);
# in evaluation it uses these, and can be folded into the linear layer before it.
# Backwards, each column's gradient loses its mean and its part along $\hat x$.
# Batch, Layer, Instance and Group are one formula over different numbers; only Batch looks across samples.
# LayerNorm stands behind the residual sum (post-LN) or inside the branch (pre-LN).
# In our experiment BatchNorm widened the band of learning rates; depth was not worth it.
#
# ## Terms
#
# | English | 中文 | in one line |
# |---|---|---|
# | normalise | 归一化 | bring to a fixed range, or a fixed mean and spread |
# | z-score | 标准分数 | minus the mean, divided by the standard deviation |
# | min-max scaling | 最小最大缩放 | smallest to 0, largest to 1 |
# | max scaling | 最大值缩放 | divided by the largest absolute value |
# | leak | 数据泄漏 | test data have entered the training |
# | activation | 激活值 | number that leaves a layer |
# | batch normalisation | 批量归一化 | z-score of each feature over the batch |
# | biased, unbiased variance | 有偏方差，无偏方差 | divides by $N$; by $N - 1$ |
# | affine part | 仿射 | scale and shift that follow |
# | scale, gamma; shift, beta | 缩放，平移 | learnt factor, from 1; learnt summand, from 0 |
# | moving average | 移动平均 | mean that forgets old values |
# | running statistics | 滑动统计量 | collected in training |
# | momentum (here) | 动量 | weight of the new batch in the running statistics |
# | cumulative average | 累积平均 | plain mean of all batches so far |
# | buffer | 缓冲区 | tensor that a module keeps and does not train |
# | training mode, evaluation mode | 训练模式，评估模式 | batch statistics; running statistics |
# | bias | 偏置 | the constant that a linear layer adds |
# | folding | 折叠 | putting the norm into the linear layer |
# | layer normalisation | 层归一化 | over all features of one sample |
# | instance normalisation | 实例归一化 | over the places of one channel of one sample |
# | group normalisation | 组归一化 | over a group of channels of one sample |
# | residual branch | 残差分支 | a part whose result is added to its input |
# | post-LN, pre-LN | 后置层归一化，前置层归一化 | norm behind the sum; norm inside the branch |
# | covariate shift | 协变量偏移 | the distribution of the inputs changes |
# | internal covariate shift | 内部协变量偏移 | the same, for inner layers during training |
#
# ## Reading
#
# - S. Ioffe, C. Szegedy, *Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift*, 2015.
# - J. L. Ba, J. R. Kiros, G. E. Hinton, *Layer Normalization*, 2016.
# - D. Ulyanov, A. Vedaldi, V. Lempitsky, *Instance Normalization: The Missing Ingredient for Fast Stylization*, 2016.
# - Y. Wu, K. He, *Group Normalization*, 2018.
# - S. Santurkar, D. Tsipras, A. Ilyas, A. Madry, *How Does Batch Normalization Help Optimization?*, 2018.
# - The PyTorch documentation: `BatchNorm1d`, `LayerNorm`, `GroupNorm`, `InstanceNorm2d`.
