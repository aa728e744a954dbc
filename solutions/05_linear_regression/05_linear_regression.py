# %% [markdown] needs="02" sittings="2"
# # Linear model and gradient descent
#
# It is evening in Seattle, and today's maximum was 20 °C.
# How warm will it be tomorrow?
# The points below are three years of such pairs of days.
# A straight line through them would be an answer for every evening: but which line, and how does a program find it?
#
# After this chapter you can
#
# - say how wrong a line is with one number, and search for the best line by grid and by divide and conquer,
# - derive the gradient by hand and walk downhill along it, with all data or a few rows at a time,
# - compute the largest step that does not diverge, before you take a single step,
# - smooth a noisy series without spoiling its beginning,
# - tell a minimum from a saddle, and leave a saddle.
#
# It is long enough for two sittings: the second begins at "A few rows at a time".

# %% setup="imports"
import os
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import torch
from sklearn.datasets import load_diabetes
from torch.testing import assert_close

DATA = Path(os.environ.get("COURSE_DATA", "../../data"))
plt.rcParams["figure.constrained_layout.use"] = True

# %% [markdown]
# We read the weather and pair each day of 2012 to 2014 with the day after it.
# The input is today's maximum **in tens of degrees**, the target is tomorrow's maximum in °C; the unlike units are on purpose,
# and we shall see their effect.
# The year 2015 stays untouched until the end of the chapter.
# All numbers here are `float64`, so that our answers can be compared with exact ones.

# %%
weather = pd.read_csv(DATA / "seattle-weather.csv", parse_dates=["date"])
t_max = torch.tensor(weather["temp_max"].to_numpy())  # (1461,) °C, one per day
n_train = 1095
x_day = t_max[:n_train] / 10  # (N,) today's maximum, tens of °C
y_day = t_max[1 : n_train + 1]  # (N,) tomorrow's maximum, °C
print(tuple(x_day.shape), weather["date"][0].date(), "to", weather["date"][n_train].date())

# %%
fig, axes = plt.subplots(1, 2, figsize=(9.5, 3.6))
ends = torch.tensor([-0.3, 3.8])
axes[0].scatter(x_day, y_day, s=5, color="0.6")
for (slope, height), colour in zip([(10, 0), (4, 9)], ["tab:blue", "tab:orange"], strict=True):
    axes[0].plot(ends, slope * ends + height, color=colour, label=f"{slope} x + {height}")
axes[0].set(xlabel="maximum today (10 °C)", ylabel="maximum tomorrow (°C)", title="1,095 pairs of days, two lines")
axes[0].legend()
few = slice(0, None, 95)  # every 95th day
axes[1].scatter(x_day[few], y_day[few], s=25, color="0.3", zorder=3)
axes[1].plot(ends, 4 * ends + 9, color="tab:orange")
axes[1].vlines(x_day[few], 4 * x_day[few] + 9, y_day[few], color="tab:red", lw=1.2)
axes[1].set(xlabel="maximum today (10 °C)", ylabel="maximum tomorrow (°C)", title="12 of them: errors of the orange line")
plt.show()

# %% [markdown]
# The blue line says "as today", the orange one "a little of today, plus a constant".
# Blue follows the cloud; orange is too flat.
# The red sticks on the right are what we shall make small.
#
# ## A line, and how wrong it is
#
# A **linear model** (线性模型) predicts a number from a number by $p = wx + b$, with a **weight** (权重) $w$ and a **bias** (偏置) $b$.
# For sample $i$ the **residual** (残差) is $p_i - y_i$: a red stick with its sign.
# The **mean squared error** (均方误差, MSE) of $N$ samples is
#
# $$L(w, b) = \frac1N \sum_{i=1}^{N} (w x_i + b - y_i)^2 .$$
#
# By hand: targets $(1, 2, 3)$ and predictions $(1, 4, 2)$ have residuals $(0, 2, -1)$, squares $(0, 4, 1)$, mean $5/3$.

# %%
residuals = torch.tensor([1, 4, 2]) - torch.tensor([1, 2, 3])
print(residuals.tolist(), residuals.square().tolist(), f"{residuals.square().sum() / 3:.3g}")

# %% [markdown]
# The next cell defines the loss of any number of lines at once on our training days, and asks it about the two lines of the figure.


# %%
def line_loss(theta: torch.Tensor) -> torch.Tensor:
    """MSE on the training days of the lines theta (..., 2), each a pair (w, b); shape (...)."""
    predictions = theta[..., :1] * x_day + theta[..., 1:]  # (..., N)
    return (y_day - predictions).square().mean(-1)


lines = torch.tensor([[10.0, 0.0], [4.0, 9.0]]).double()
print("blue, orange:", [f"{loss:.3g}" for loss in line_loss(lines)], "(°C)²")

# %% [markdown]
# The number agrees with the eye: the blue line is better, by a factor of nearly three.
# The square root of its loss, about 3 °C, is a typical error.
#
# Why a mean, when the best line is the same for the sum?
# Because a sum grows with the data: twice the rows give twice the loss and twice the gradient (below),
# so a step down the loss that was only just short enough is now too long.
# Many programs in lecture notes use `reduction="sum"`, and only work for the number of rows that they were tried on.
#
# One more trap before the first exercise: three targets in a row minus three predictions in a column are not three residuals.

# %%
print("shape of the difference:", tuple((torch.zeros(3) - torch.zeros(3, 1)).shape))

# %% [markdown]
# Broadcasting made all nine pairs, without a word.

# %% [markdown]
# ### Exercise 1: mean squared error (5 points)
#
# Write `mse(y, p, reduction="mean")` for targets `y` and predictions `p`, two floating-point tensors of one and the same shape,
# with at least one element.
# It returns a tensor of shape `()`: the mean of the squared residuals for `"mean"`, their sum for `"sum"`.
#
# - Any other `reduction` raises `ValueError`.
# - Different shapes raise `ValueError`. Without this, `(N,)` and `(N, 1)` silently broadcast to `(N, N)`, and the program learns nonsense.
#
# By hand: `mse([1, 2, 3], [1, 4, 2])` is 5/3, and 5 for `"sum"` (both arguments as tensors).
# Do not call a loss of `torch.nn`.
#
# <details><summary>Hint 1</summary>Both errors can be seen before anything is computed. Where do you look?</details>
# <details><summary>Hint 2</summary>Begin with <code>if</code> and <code>raise ValueError("…")</code> for each;
# then square the difference.</details>


# %% exercise="mse"
def mse(y: torch.Tensor, p: torch.Tensor, reduction: str = "mean") -> torch.Tensor:
    """Return the squared error of predictions `p` for targets `y` (same shape), averaged or summed, shape ().

    Raises ValueError for different shapes and for a reduction other than "mean" and "sum".
    """
    # BEGIN SOLUTION
    if y.shape != p.shape or reduction not in ("mean", "sum"):
        raise ValueError(f"shapes {tuple(y.shape)} and {tuple(p.shape)}, reduction {reduction!r}")
    squares = (p - y) ** 2
    return squares.mean() if reduction == "mean" else squares.sum()
    # END SOLUTION


# %% check="mse-by-hand" points=1
def refusal():
    try:
        return f"a value, {mse(torch.zeros(3, 1), torch.zeros(3))}"
    except (ValueError, AssertionError) as error:
        return type(error).__name__


targets, guesses = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 4.0, 2.0])
got = mse(targets, guesses)
assert type(got) is torch.Tensor, f"mse must return a tensor (no .item()), got {type(got).__name__}. NoneType: `return` is missing"
assert_close(
    got,
    torch.tensor(5 / 3),
    msg=lambda m: f"residuals (0, 2, -1) give a tensor of shape () with 5/3, got {got}. 5: the sum; 1: no squares; 0.833: half\n{m}",
)
refused = refusal()
assert refused == "ValueError", (
    f"targets of shape (3, 1) and predictions of shape (3,) must raise ValueError, got {refused}: nine pairs would be compared"
)
print("passed: the example worked by hand, and (3, 1) with (3,) is refused")

# %% check="mse-doubled" points=1
targets, guesses = torch.tensor([0.0, 4.0, 1.0, 1.0]), torch.tensor([3.0, 0.0, 1.0, 2.0])
once = [mse(targets, guesses, r) for r in ("mean", "sum")]
twice = [mse(targets.repeat(2), guesses.repeat(2), r) for r in ("mean", "sum")]
kinds = [type(value).__name__ for value in once + twice]
assert kinds == ["Tensor"] * 4, (
    f"mse must return a tensor for 'mean' and for 'sum', got {kinds}. NoneType: no `return` was reached; float: no .item()"
)
assert_close(once, [torch.tensor(6.5), torch.tensor(26.0)], msg=lambda m: f"squares are 9, 16, 0, 1: mean 6.5, sum 26, got {once}\n{m}")
assert_close(
    twice,
    [torch.tensor(6.5), torch.tensor(52.0)],
    msg=lambda m: f"with every row twice the mean stays 6.5 and the sum becomes 52, got {twice}\n{m}",
)
print("passed: doubling the data leaves the mean alone and doubles the sum")

# %% hidden="mse-shapes" points=2
column = torch.arange(4.0).reshape(4, 1)


def outcome(a, b, how):
    try:
        return mse(a, b, how)
    except Exception as problem:
        return type(problem).__name__


got = [outcome(column, column[:, 0], how) for how in ("mean", "sum")] + [outcome(column, column, how) for how in ("none", "Mean", "")]
assert got == ["ValueError"] * 5, (
    f"shapes (4, 1) with (4,), twice, then the reductions 'none', 'Mean' and '': each must raise ValueError, got {got}"
)
fine = outcome(column, column + 2, "sum")
assert_close(fine, torch.tensor(16.0), msg=lambda m: f"two equal shapes (4, 1) are allowed; four residuals of 2 sum to 16, got {fine}\n{m}")

# %% hidden="mse-torch" points=1
_ = torch.manual_seed(1)
truth, guess = torch.randn(6, 5).double(), torch.randn(6, 5).double()
for how in ("mean", "sum"):
    wanted = torch.nn.functional.mse_loss(guess, truth, reduction=how)
    got = mse(truth, guess, how)
    assert_close(
        got,
        wanted,
        msg=lambda m, how=how: (
            f"mse of two (6, 5) tensors with '{how}' differs from PyTorch's: every element counts, and float64 stays float64\n{m}"
        ),
    )
default = mse(truth, guess)
assert_close(default, ((truth - guess) ** 2).sum() / 30, msg=lambda m: f"without a third argument the reduction is 'mean'\n{m}")


# %% wrong="mse-always-sum" fails="mse-by-hand mse-doubled mse-torch"
def mse(y, p, reduction="mean"):
    if y.shape != p.shape or reduction not in {"mean", "sum"}:
        raise ValueError
    return ((p - y) ** 2).sum()


# %% [markdown] mistake="mse-always-sum"
# Returns the sum of the squared residuals whatever `reduction` says.
#
# With the residuals 0, 2 and -1 of the example you return 5 for `"sum"`, which is right, and 5 again for `"mean"`, which is the default.
# Follow your function line by line for a call with two arguments: where does `reduction` change the result?

# %% wrong="mse-broadcasts" fails="mse-by-hand mse-shapes"
def mse(y, p, reduction="mean"):
    if reduction not in {"mean", "sum"}:
        raise ValueError
    return getattr((p - y) ** 2, reduction)()


# %% [markdown] mistake="mse-broadcasts"
# Accepts predictions of another shape than the targets and lets them broadcast.
#
# Targets of shape (2, 1) with 0 and 2, and predictions of shape (2,) with 0 and 2: every guess is right, yet you return 2.0, because the
# difference is a (2, 2) table of all pairs. Read again what the statement asks for different shapes.

# %% wrong="mse-absolute" fails="mse-by-hand mse-doubled mse-torch"
def mse(y, p, reduction="mean"):
    if y.shape != p.shape or reduction not in {"mean", "sum"}:
        raise ValueError
    return getattr((p - y).abs(), reduction)()


# %% [markdown] mistake="mse-absolute"
# Takes the sizes of the residuals instead of their squares.
#
# For the residuals 0, 2 and -1 of the example you return 1 as mean and 3 as sum: the residual 2 counts as 2. Compute by hand what a
# residual of 2 adds to the formula of the MSE in the text, and compare.

# %% wrong="mse-over-rows" fails="mse-torch"
def mse(y, p, reduction="mean"):
    if y.shape != p.shape or reduction not in {"mean", "sum"}:
        raise ValueError
    total = ((p - y) ** 2).sum()
    return total / len(y) if reduction == "mean" else total


# %% [markdown] mistake="mse-over-rows"
# Divides by the number of rows instead of the number of all elements.
#
# For vectors both numbers are the same, so the example cannot show it. Two tensors of shape (2, 3) whose residuals are all 1 must have the
# mean 1, and you return 3. How many squares were summed there, and by what did you divide?

# %% right="mse-dot"
def mse(y, p, reduction="mean"):
    if y.shape != p.shape:
        raise ValueError("different shapes")
    r = (y - p).flatten()
    match reduction:
        case "sum":
            return r @ r
        case "mean":
            return r @ r / r.numel()
    raise ValueError(reduction)


# %% [markdown] explanation="mse"
# The two guards are the exercise: the arithmetic is one line.
# An `(N,)` against an `(N, 1)` is the commonest silent mistake of regression programs: the loss is finite, falls,
# and stops at the variance of the targets.
# `"sum"` is no mistake in itself; it multiplies the loss, the gradient and the curvature by N, so the step size must be divided by N.
# Exercise 5 makes that exact.
# Dividing by `len(y)` is right for vectors only; the mean of a (6, 5) tensor divides by 30.

# %% [markdown]
# ## Try every pair
#
# The plainest way to the best line: choose some weights, choose some biases, compute the loss of each pair, keep the smallest.
# This is an exhaustive **grid search** (网格搜索).
# The next cell colours 41 × 61 pairs.

# %%
w_axis, b_axis = torch.linspace(0, 20, 41).double(), torch.linspace(-15, 15, 61).double()
plane = torch.stack(torch.meshgrid(w_axis, b_axis, indexing="ij"), dim=-1)  # (41, 61, 2)
heights = line_loss(plane)  # (41, 61)
fig, ax = plt.subplots(figsize=(6, 3.8))
picture = ax.pcolormesh(w_axis, b_axis, heights.T.log10(), cmap="viridis", shading="nearest")
row, column_ = divmod(heights.argmin().item(), len(b_axis))
ax.plot(w_axis[row], b_axis[column_], "r*", ms=14, label=f"best pair: w = {w_axis[row]:g}, b = {b_axis[column_]:g}")
ax.set(xlabel="w", ylabel="b", title="Loss of 2,501 lines")
ax.legend(loc="upper right")
fig.colorbar(picture, label="log₁₀ of the loss")
plt.show()

# %% [markdown]
# The loss is a long, dark, slanting valley: a steeper line with a lower bias is nearly as good.
# The red star is the best pair *of the grid*, not the best pair.
# And the price is high: with $k$ values for each of $D$ parameters the grid has $k^D$ points.

# %%
print("losses of 1, 2, 4, 6 parameters with 41 values each:", [f"{41**d:,}" for d in (1, 2, 4, 6)])

# %% [markdown]
# Six parameters are already out of reach, and our real tasks have seven and eleven.

# %% [markdown]
# ### Exercise 2: grid search (5 points)
#
# Write `grid_search(ws, bs, x, y)`: `ws` has shape `(W,)`, `bs` `(B,)`, the samples `x` and `y` `(N,)`.
# Return a tuple `(losses, w, b)`:
#
# - `losses` has shape `(W, B)`, and `losses[i, j]` is the MSE of the line with weight `ws[i]` and bias `bs[j]`;
# - `w` and `b` are Python floats, the pair with the smallest loss. Of equal losses the first wins: the smallest `i`,
#   and among those the smallest `j`. The values in `ws` and `bs` may stand in any order.
#
# By hand: with `x = [1]`, `y = [1]`, `ws = [0, 1]`, `bs = [0, 1]` the losses are `[[1, 0], [0, 1]]`. Two pairs have loss 0,
# and the first of them is `w = 0.0`, `b = 1.0`.
# Broadcasting does it without a Python loop.
#
# <details><summary>Hint 1</summary>Which shape must <code>ws</code> have so that <code>ws * x</code> has shape (W, 1, N)?</details>
# <details><summary>Hint 2</summary><code>argmin()</code> of a matrix gives one number, counted row by row,
# and the first of several minima. <code>divmod</code> turns it into (i, j).</details>


# %% exercise="grid"
def grid_search(ws: torch.Tensor, bs: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, float, float]:
    """Return the MSE of each line ws[i] x + bs[j], shape (W, B), and the first pair (w, b) with the smallest."""
    # BEGIN SOLUTION
    p = ws[:, None, None] * x + bs[:, None]  # (W, B, N)
    losses = ((p - y) ** 2).mean(dim=-1)
    i, j = divmod(losses.argmin().item(), len(bs))
    return losses, ws[i].item(), bs[j].item()
    # END SOLUTION


# %% check="grid-by-hand" points=1
got = grid_search(torch.tensor([0.0, 1.0]), torch.tensor([0.0, 1.0]), torch.tensor([1.0]), torch.tensor([1.0]))
assert type(got) is tuple and len(got) == 3, (
    f"grid_search must return a tuple of three, (losses, w, b), got {type(got).__name__}. NoneType: no `return`"
)
assert type(got[0]) is torch.Tensor, f"losses, the first of the three, must be a tensor, got {type(got[0]).__name__}"
assert_close(got[0], torch.tensor([[1.0, 0.0], [0.0, 1.0]]), msg=lambda m: f"losses of the example by hand must be [[1, 0], [0, 1]]\n{m}")
assert [type(v) for v in got[1:]] == [float, float], (
    f"w and b must be Python floats (use .item()), got {[type(v).__name__ for v in got[1:]]}"
)
assert got[1:] == (0.0, 1.0), (
    f"of the two pairs with loss 0 the first, (0.0, 1.0), wins, got {got[1:]}: is i the index of the weight, or the last of the equal ones?"
)
print("passed: losses, floats and the first of two equal minima")

# %% check="grid-axes" points=1
got = grid_search(
    torch.tensor([0.0, 1.0, 2.0]), torch.tensor([0.0, 10.0]), torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([12.0, 14.0, 16.0, 18.0])
)
assert type(got) is tuple and len(got) == 3, f"grid_search must return three things: all losses, the best w, the best b; got {got!r}"
assert type(got[0]) is torch.Tensor, f"losses, the first of the three, must be a tensor, got {type(got[0]).__name__}"
assert tuple(got[0].shape) == (3, 2), f"3 weights and 2 biases give losses of shape (3, 2), got {tuple(got[0].shape)}: weights come first"
corner = got[0][0, 0].item()
assert abs(corner - 230) < 1e-3, (
    f"losses[0, 0] is the line 0: (12² + 14² + 16² + 18²) / 4 = 230, got {corner:.6g}. 920: the sum instead of the mean"
)
assert got[1:] == (2.0, 10.0), f"y = 2x + 10 exactly, so (2.0, 10.0) has loss 0, got {got[1:]}"
print("passed: weights along the rows, biases along the columns")

# %% hidden="grid-values" points=2
_ = torch.manual_seed(2)
ws_, bs_ = torch.randn(5).double(), 3 * torch.randn(7).double()
xs, ys = torch.randn(4).double(), torch.randn(4).double()
wanted = torch.tensor(
    [[sum((u * a + v - c) ** 2 for a, c in zip(xs.tolist(), ys.tolist(), strict=True)) / 4 for v in bs_.tolist()] for u in ws_.tolist()]
).double()
kept = [ws_.clone(), bs_.clone(), xs.clone(), ys.clone()]
table, u, v = grid_search(ws_, bs_, xs, ys)
assert_close(table, wanted, msg=lambda m: f"5 weights, 7 biases, 4 samples: losses differ from a double loop over Python numbers\n{m}")
place = min(range(35), key=lambda k: wanted[k // 7, k % 7].item())
assert (u, v) == (ws_[place // 7].item(), bs_[place % 7].item()), (
    f"the smallest loss stands at row {place // 7}, column {place % 7}; the pair returned is {(u, v)}"
)

# %% hidden="grid-ties" points=1
level = grid_search(torch.tensor([5.0, -5.0, 2.0]), torch.tensor([7.0, 3.0, -3.0, 3.0]), torch.zeros(2), torch.zeros(2))
assert level[1:] == (5.0, 3.0), (
    f"with x = 0 the weight does not matter and b = ±3 tie: the first are ws[0] = 5.0 and bs[1] = 3.0, got {level[1:]}"
)


# %% wrong="grid-transposed" fails="grid-axes grid-values"
def grid_search(ws, bs, x, y):
    p = ws[:, None] * x + bs[:, None, None]
    losses = ((p - y) ** 2).mean(dim=-1)
    j, i = divmod(losses.argmin().item(), len(ws))
    return losses, ws[i].item(), bs[j].item()


# %% [markdown] mistake="grid-transposed"
# Lays out the losses with one row per bias and one column per weight.
#
# For 3 weights and 2 biases your table has the shape (2, 3). Read the bullet about `losses[i, j]` again: which of the two does `i` count?
# The table of the example by hand is symmetric, so it looks right there. Give each axis another length when you try it.

# %% wrong="grid-last-tie" fails="grid-by-hand grid-ties"
def grid_search(ws, bs, x, y):
    losses = torch.stack([torch.stack([((w * x + b - y) ** 2).mean() for b in bs]) for w in ws])
    best = (losses == losses.min()).nonzero()[-1]
    return losses, ws[best[0]].item(), bs[best[1]].item()


# %% [markdown] mistake="grid-last-tie"
# Takes the last of several pairs with the smallest loss instead of the first.
#
# In the example by hand two pairs have loss 0, and you return (1.0, 0.0), the later one. The statement says which of two equal losses wins.
# Does the way you look for the smallest value keep the first place that it meets, or replace it?

# %% wrong="grid-sum" fails="grid-axes grid-values"
def grid_search(ws, bs, x, y):
    losses = ((ws[:, None, None] * x + bs[:, None] - y) ** 2).sum(-1)
    i, j = divmod(losses.argmin().item(), len(bs))
    return losses, ws[i].item(), bs[j].item()


# %% [markdown] mistake="grid-sum"
# Fills the table with sums of squares instead of means.
#
# The smallest loss stays at its place, so `w` and `b` are right and only the table is wrong. For `w = 0`, `b = 0` and the targets 12, 14,
# 16, 18 you get 920, while the MSE is 230. What does the M in MSE stand for?

# %% wrong="grid-axis-by-axis" fails="grid-by-hand grid-values"
def grid_search(ws, bs, x, y):
    losses = ((ws[:, None, None] * x + bs[None, :, None] - y) ** 2).mean(2)
    return losses, ws[losses.mean(1).argmin()].item(), bs[losses.mean(0).argmin()].item()


# %% [markdown] mistake="grid-axis-by-axis"
# Chooses the weight and the bias separately, each by its average loss over the other.
#
# Take `x = y = [1, 2, 3]`, `ws = [0, 1]`, `bs = [0, 4]`. The table is [[4.67, 4.67], [0, 16]]; its 0 is the perfect line, yet you return
# (0.0, 0.0), because row 0 is better on average. Which entry of the table does the statement ask for?

# %% right="grid-loops"
def grid_search(ws, bs, x, y):
    losses = torch.stack([torch.stack([(w * x + b - y).square().mean() for b in bs]) for w in ws])
    i, j = (losses == losses.min()).nonzero()[0].tolist()
    return losses, float(ws[i]), float(bs[j])


# %% [markdown] explanation="grid"
# The shapes do the work: (W, 1, 1) times (N,) is (W, 1, N), plus (B, 1) is (W, B, N), and the mean takes the last axis away.
# Unequal W, B and N make a swapped axis visible; with a square grid the transposed answer would look right.
# The best weight and the best bias cannot be chosen separately (one axis averaged away at a time), because the valley slants.

# %% [markdown]
# ## Divide and conquer
#
# A grid wastes most of its points far from the minimum.
# **Divide and conquer** (分治) spends them where it matters: try a few points, keep the part that must hold the minimum, repeat.
# When may we throw the other parts away?
#
# A function of one number is **unimodal** (单峰, here: a single valley) if it falls until its minimum and rises after it.
# It is **convex** (凸) if the chord between any two points of its curve never runs below the curve,
# *strictly* convex if the chord runs above the curve between them: no flat stretch, so one lowest point at most.
# A strictly convex function with a minimum is unimodal, and then two points $a < b$ tell us something: if $f(a) < f(b)$,
# the minimum cannot lie to the right of $b$, for then $f$ would still be falling from $a$ to $b$.
# An equal $f(a) = f(b)$ leaves the minimum between $a$ and $b$, so the part on either side may go.
#
# The mean squared error is convex in $w$ and $b$: here is the loss half-way between 1,000 random pairs of lines,
# against the middle of the chord.

# %%
_ = torch.manual_seed(0)
left_lines, right_lines = 10 * torch.randn(2, 1000, 2).double()
chord = (line_loss(left_lines) + line_loss(right_lines)) / 2
print("chord above the surface:", int((chord >= line_loss((left_lines + right_lines) / 2)).sum()), "of 1000")

# %% [markdown]
# A thousand examples are no proof; we prove it with the Hessian, below.
# For contrast we take a loss that is not convex.
# Model the temperature as a wave with $f$ cycles a year, $16 - 10\cos(2\pi f t)$, and ask for the MSE as a function of $f$.

# %%
years = torch.arange(n_train + 1).double() / 365.25


def wave_loss(f: torch.Tensor) -> torch.Tensor:
    """MSE (°C)² of a yearly wave with f (...) cycles a year; shape (...)."""
    return (t_max[: n_train + 1] - 16 + 10 * torch.cos(2 * torch.pi * f[..., None] * years)).square().mean(-1)


# %% [markdown]
# The search below takes eight points in each round and goes on between the neighbours of the best.


# %%
def zoom(loss, lo: float, hi: float, n_points: int = 8) -> list[tuple[float, float]]:
    """Intervals kept in four rounds, when the neighbours of the best of n_points become the new ends."""
    kept_intervals = [(lo, hi)]
    for _ in range(4):
        grid = torch.linspace(*kept_intervals[-1], n_points, dtype=torch.float64)
        k = loss(grid).argmin().item()
        kept_intervals.append((grid[max(k - 1, 0)].item(), grid[min(k + 1, n_points - 1)].item()))
    return kept_intervals


# %%
def slice_loss(w: torch.Tensor) -> torch.Tensor:
    """Loss of lines with weights w (...) and bias 1.2: one cut through the valley."""
    return line_loss(torch.stack([w, torch.full_like(w, 1.2)], dim=-1))


# %%
fig, axes = plt.subplots(2, 2, figsize=(9.5, 4.4), sharex="col", height_ratios=[5, 3])
names = ["w (b = 1.2): convex", "cycles a year: many valleys"]
for (ax, bars), cut, hi, name in zip(axes.T, [slice_loss, wave_loss], [20.0, 5.0], names, strict=True):
    xs_ = torch.linspace(0, hi, 501).double()
    ax.plot(xs_, cut(xs_), color="0.3")
    ax.set(ylabel="loss (°C)²", ylim=(0, None))
    for level_, (left, right) in enumerate(zoom(cut, 0.0, hi)):
        bars.plot([left, right], [level_] * 2, "|-", color=f"C{level_}", lw=4, ms=8)
        ax.axvspan(left, right, color="0.5", alpha=0.08, lw=0)
    bars.set(xlabel=name, ylabel="interval kept", ylim=(4.6, -0.6), yticks=range(5))
    bars.set_yticklabels(["start", *[f"round {n}" for n in range(1, 5)]], fontsize=8)
axes[0, 0].set_title("each round keeps the valley")
axes[0, 1].set_title("the right valley is thrown away")
plt.show()

# %% [markdown]
# The bars are the intervals kept.
# On the left they close around the minimum: 32 losses, where an even grid as fine as the last bar needs about 300.
# On the right, none of the eight first points falls into the narrow valley near 1 cycle a year, so the search settles, confidently, at 2.1.
# (The true valley is at 0.97, not 1, because the yearly wave is coldest not on 1 January but about 20 January.)
#
# **A common mistake in lecture notes**: "divide and conquer can be used if the loss is convex", in a chapter on gradient descent.
# The sentence belongs to *searching a grid*: convexity allows us to drop intervals.
# Gradient descent runs on any differentiable loss; convexity only tells us what it may promise.
# Nor is convexity needed here: one valley is enough.
# And it concerns one number at a time: with a coarse grid in two dimensions,
# the cell around the best point can miss a slanting valley's minimum.

# %% [markdown]
# ### Exercise 3: search by thirds (5 points)
#
# Write `search_by_thirds(f, lo, hi, n_rounds)` for a function `f` from float to float; `lo` and `hi` are floats, `lo < hi`.
# Each round takes the two inner points that cut `[lo, hi]` into three equal parts, $a = lo + (hi - lo)/3$ and $b = hi - (hi - lo)/3$,
# and evaluates `f` **once at each**.
#
# - If $f(a) < f(b)$, the last third is dropped: the interval becomes $[lo, b]$.
# - Otherwise, equality included, the first third is dropped: $[a, hi]$.
#
# Return the last interval as a tuple `(lo, hi)` of floats; with `n_rounds=0` it is the interval given.
# By hand: for $f(x) = (x - 1)^2$ on $[0, 9]$ the points are 3 and 6, $f = 4$ and 25, so $[0, 6]$ is kept; then 2 and 4 give 1 and 9,
# so $[0, 4]$. For $f(x) = |x|$ on $[-3, 3]$ the points −1 and 1 tie, and $[-1, 3]$ is kept.
#
# <details><summary>Hint 1</summary>How long is the interval after one round, after two?</details>
# <details><summary>Hint 2</summary>Compute both inner points before you change <code>lo</code> or <code>hi</code>.</details>


# %% exercise="thirds"
def search_by_thirds(f, lo: float, hi: float, n_rounds: int) -> tuple[float, float]:
    """Return the interval (lo, hi) that n_rounds of search by thirds keep; 2 * n_rounds calls of `f` in all."""
    # BEGIN SOLUTION
    for _ in range(n_rounds):
        third = (hi - lo) / 3
        a, b = lo + third, hi - third
        lo, hi = (lo, b) if f(a) < f(b) else (a, hi)
    return lo, hi
    # END SOLUTION


# %% check="thirds-by-hand" points=1
got = [search_by_thirds(lambda x: (x - 1) ** 2, 0.0, 9.0, rounds) for rounds in (0, 1, 2)]
assert [type(ends_) for ends_ in got] == [tuple] * 3, f"the result is a tuple (lo, hi), got {got}. None: no `return` for 0, 1 or 2 rounds"
assert_close(
    got,
    [(0.0, 9.0), (0.0, 6.0), (0.0, 4.0)],
    msg=lambda m: f"after 0, 1 and 2 rounds the intervals are (0, 9), (0, 6), (0, 4), got {got}\n{m}",
)
tied = search_by_thirds(abs, -3.0, 3.0, 1)
assert tied == (-1.0, 3.0), f"|x| is equal at -1 and 1, and then the first third goes: (-1.0, 3.0), got {tied}: < or <= ?"
print("passed: the example worked by hand")

# %% check="thirds-minimum" points=1
got = search_by_thirds(lambda x: abs(x + 2.5), -10.0, 10.0, 60)
assert type(got) is tuple and [type(v) for v in got] == [float, float], f"the result is a tuple of two floats, got {got!r}"
assert abs(got[0] + 2.5) < 1e-6 and abs(got[1] + 2.5) < 1e-6, (
    f"60 rounds on |x + 2.5| close in on -2.5, got {got}: is the third with the larger value dropped?"
)
print("passed: the interval closes in on the minimum (a hidden test counts the calls of f)")


# %% hidden="thirds-calls" points=2
def record(centre, rounds):
    seen = []
    ends_ = search_by_thirds(lambda x: seen.append(x) or (x - centre) ** 2, -3.0, 24.0, rounds)
    return ends_, seen


ends_, seen = record(23.0, 2)
assert_close(ends_, (12.0, 24.0), msg=lambda m: f"(x - 23)² on [-3, 24], two rounds: [6, 24], then [12, 24], got {ends_}\n{m}")
assert_close(sorted(seen), [6.0, 12.0, 15.0, 18.0], msg=lambda m: f"two rounds evaluate f at 6, 15, 12, 18, once each, got {seen}\n{m}")
ends_, seen = record(0.5, 30)
assert len(seen) == 60, f"30 rounds call f twice each, 60 times in all, got {len(seen)}"
assert abs(ends_[1] - ends_[0] - 27 * (2 / 3) ** 30) < 1e-9, (
    f"each round keeps two thirds: length 27 (2/3)^30 after 30, got {ends_[1] - ends_[0]}"
)

# %% hidden="thirds-ties-and-valleys" points=1
flat = search_by_thirds(lambda x: 1.0, 0.0, 27.0, 3)
assert_close(
    flat,
    (19.0, 27.0),
    msg=lambda m: f"a constant function ties in each round, and the first third goes: [9, 27], [15, 27], [19, 27], got {flat}\n{m}",
)
lured = search_by_thirds(lambda x: min((x - 2) ** 2, 5 + (x - 7) ** 2), 0.0, 9.0, 40)
assert abs(lured[0] - 2) < 1e-6, f"two valleys, at 2 and (higher) at 7: f(3) = 1 < f(6) = 6, so the search ends at 2, got {lured}"
lured = search_by_thirds(lambda x: min(50 * (x - 1) ** 2, 5 + (x - 7) ** 2), 0.0, 9.0, 40)
assert abs(lured[0] - 7) < 1e-6, (
    f"with a narrow deepest valley at 1 the rule itself drops it (f(3) = 21 > f(6) = 6) and ends at 7, got {lured}"
)


# %% wrong="thirds-keeps-worse" fails="thirds-by-hand thirds-minimum thirds-calls thirds-ties-and-valleys"
def search_by_thirds(f, lo, hi, n_rounds):
    for _ in range(n_rounds):
        a, b = lo + (hi - lo) / 3, hi - (hi - lo) / 3
        if f(a) < f(b):
            lo = a
        else:
            hi = b
    return lo, hi


# %% [markdown] mistake="thirds-keeps-worse"
# Drops the third beside the better point and keeps the one beside the worse point.
#
# For (x - 1)² on [0, 9] the points 3 and 6 have the values 4 and 25, and you keep [3, 9], which no longer holds the minimum at 1. Draw this
# parabola: on which side can the minimum not be when the left point is lower?

# %% wrong="thirds-ends" fails="thirds-by-hand thirds-calls"
def search_by_thirds(f, lo, hi, n_rounds):
    for _ in range(n_rounds):
        middle = (lo + hi) / 2
        if f(lo) < f(hi):
            hi = middle
        else:
            lo = middle
    return lo, hi


# %% [markdown] mistake="thirds-ends"
# Compares `f` at the two ends of the interval and halves it.
#
# For (x - 1)² on [0, 9] you keep [0, 4.5] after one round, and the example says [0, 6]. Each round cuts away a half instead of a third. At
# which two points does the statement ask for `f`, and are the ends among them?

# %% wrong="thirds-moves-early" fails="thirds-by-hand thirds-calls"
def search_by_thirds(f, lo, hi, n_rounds):
    for _ in range(n_rounds):
        a = lo + (hi - lo) / 3
        b = hi - (hi - a) / 3
        lo, hi = (lo, b) if f(a) < f(b) else (a, hi)
    return lo, hi


# %% [markdown] mistake="thirds-moves-early"
# Computes the second inner point from an interval whose left end has already moved.
#
# On [0, 9] the inner points must be 3 and 6, but yours are 3 and 7, so for (x - 1)² you keep [0, 7]. Print both points in the first round.
# Which `lo` and which `hi` does the formula of each point mean?

# %% wrong="thirds-tie" fails="thirds-by-hand thirds-ties-and-valleys"
def search_by_thirds(f, lo, hi, n_rounds):
    for _ in range(n_rounds):
        a, b = lo + (hi - lo) / 3, hi - (hi - lo) / 3
        lo, hi = (lo, b) if f(a) <= f(b) else (a, hi)
    return lo, hi


# %% [markdown] mistake="thirds-tie"
# Drops the last third, not the first, when both inner points have equal values.
#
# For |x| on [-3, 3] the values at -1 and 1 are equal, and you return (-3.0, 1.0). One of the two rules in the statement says "equality
# included". Check which branch of your program an equal pair goes through.

# %% right="thirds-recursive"
def search_by_thirds(f, lo, hi, n_rounds):
    if n_rounds == 0:
        return lo, hi
    left, right = (2 * lo + hi) / 3, (lo + 2 * hi) / 3
    smaller = f(left) < f(right)
    return search_by_thirds(f, lo if smaller else left, right if smaller else hi, n_rounds - 1)


# %% [markdown] explanation="thirds"
# Each round costs two evaluations and keeps two thirds, so the error after n evaluations falls like (2/3)^(n/2):
# 60 rounds shrink an interval of 20 below 1e-9.
# Comparing the two *ends* is not enough: for |x + 2.5| on [-10, 10] it happens to go left, but f(lo) < f(hi)
# does not say on which side of the middle the minimum is.
# The last check is the warning: the method never fails loudly, it ends in whichever valley its comparisons lead to.
# Golden-section search places the points so that one of them can be used again; then a round costs one evaluation.

# %% [markdown]
# ## Which way is down?
#
# A search only asks "how high?".
# Calculus also answers "which way is down?", for all parameters at once.
#
# **One component at a time.** A **partial derivative** (偏导数) $\partial/\partial w$ lets $w$ vary and keeps $b$ fixed.
# With $r_i = w x_i + b - y_i$ we have $\partial r_i/\partial w = x_i$ and $\partial r_i/\partial b = 1$.
# The square $r_i^2$ has the derivative $2 r_i$ times that of $r_i$ (the chain rule, 链式法则), so
#
# $$\frac{\partial L}{\partial w} = \frac2N \sum_i r_i x_i, \qquad \frac{\partial L}{\partial b} = \frac2N \sum_i r_i .$$
#
# The **gradient** (梯度) is the vector of these derivatives.
# It points where the loss rises fastest, so **gradient descent** (梯度下降) goes against it,
# with a step size or **learning rate** (学习率) `lr`; with $\theta = (w, b)$,
#
# $$\theta_{t+1} = \theta_t - \mathrm{lr}\, \nabla L(\theta_t).$$
#
# We add up the sums sample by sample, as the formula says, and ask autograd for a second opinion.

# %%
theta = torch.tensor([4.0, 9.0]).double().requires_grad_()
by_w = by_b = 0.0
for x_i, y_i in zip(x_day.tolist(), y_day.tolist(), strict=True):
    r_i = 4 * x_i + 9 - y_i
    by_w, by_b = by_w + r_i * x_i, by_b + r_i
(slopes,) = torch.autograd.grad(line_loss(theta), theta)
assert_close(torch.tensor([by_w, by_b]).double() * 2 / n_train, slopes)
print("∂L/∂w, ∂L/∂b of the orange line:", [f"{s:.3g}" for s in slopes])

# %% [markdown]
# Both agree.
# Both derivatives are negative, so the loss falls if $w$ and $b$ grow: the orange line is too flat and too low.
#
# **All at once.** Write the samples as rows of a matrix $X$ of shape $(N, D)$, with a last column of ones,
# and the parameters as $w$ of shape $(D,)$, whose last entry is now the bias.
# Then the predictions are $Xw$, the sums over $i$ become a product with the transpose $X^\top$ (`X.T`), and
#
# $$L(w) = \frac1N \lVert Xw - y \rVert^2, \qquad \nabla L(w) = \frac2N X^\top (Xw - y) .$$
#
# Here $\lVert r \rVert^2$ is the sum of the squares of $r$.
# This is the **vectorised** (向量化) form: two matrix products instead of a Python loop over $N$ samples, for any $D$.
# Where the gradient is zero stands the **normal equation** (正规方程) $X^\top X w = X^\top y$: a linear system whose solution is the best $w$,
# in **closed form** (闭式解).

# %%
X_day = torch.stack([x_day, torch.ones_like(x_day)], dim=1)  # (N, 2)
best_line = torch.linalg.solve(X_day.T @ X_day, X_day.T @ y_day)  # (2,)
print("closed form: w, b =", [f"{v:.3g}" for v in best_line], f" loss {line_loss(best_line):.3g}")

# %% [markdown]
# Tomorrow's maximum rises by 9.24 °C for every 10 °C of today's: on average, warm days are followed by slightly less warm ones,
# and cold days by slightly less cold ones.
# For our 20 °C evening the line says $9.24 \cdot 2 + 1.21 = 19.7$ °C.

# %% [markdown]
# ### Exercise 4: a step of gradient descent (5 points)
#
# Write `gd_step(X, y, w, lr)`: `X` `(N, D)`, `y` `(N,)`, `w` `(D,)`, `lr` a float.
# Return the weights `(D,)` after **one** step of gradient descent on the MSE (mean of the squares, as above).
# `w` itself must stay as it was.
# The model has no bias of its own: whoever wants one gives `X` a column of ones.
#
# By hand: `X = [[1, 1], [2, 1]]`, `y = [1, 3]`, `w = [0, 0]`, `lr = 0.1`.
# The residuals are (−1, −3), $X^\top r = (-7, -4)$, the gradient is $\frac22 (-7, -4)$, and the step leads to (0.7, 0.4).
# Derive it yourself: no autograd, and no loop over the samples.
#
# <details><summary>Hint 1</summary>What shape has <code>X.T</code>, and which vector of length N may stand to its right?</details>
# <details><summary>Hint 2</summary>First the residuals, then the gradient, then a new tensor;
# <code>-=</code> would change the caller's <code>w</code>.</details>


# %% exercise="gd-step"
def gd_step(X: torch.Tensor, y: torch.Tensor, w: torch.Tensor, lr: float) -> torch.Tensor:
    """Return w (D,) after one gradient step on mean((X w - y)²), for X (N, D) and y (N,); `w` is left alone."""
    # BEGIN SOLUTION
    return w - lr * 2 / len(y) * X.T @ (X @ w - y)
    # END SOLUTION


# %% check="gd-step-by-hand" points=1
def step_and_start(start):
    return gd_step(torch.tensor([[1.0, 1.0], [2.0, 1.0]]), torch.tensor([1.0, 3.0]), start, 0.1), start


got, start = step_and_start(torch.zeros(2))
assert type(got) is torch.Tensor, f"gd_step must return the new weights, a tensor, got {type(got).__name__}. NoneType: no `return`"
assert tuple(got.shape) == (2,), f"the new weights have shape (2,), got {tuple(got.shape)}: did a row meet a column?"
assert_close(
    got,
    torch.tensor([0.7, 0.4]),
    msg=lambda m: (
        f"the step worked by hand leads to (0.7, 0.4), got {got}.\n"
        f"(-0.7, -0.4): the sign. Twice or half: the 2 or the N. (0.4, 0.5): X for X.T. (-7, -4): the gradient, not the new w.\n{m}"
    ),
)
assert start.tolist() == [0.0, 0.0], f"the w that was given must stay (0, 0), it is now {start.tolist()}: an in-place operation?"
print("passed: the step worked by hand")

# %% check="gd-step-rests" points=1
X = torch.tensor([[1.0, 1.0], [2.0, 1.0], [4.0, 1.0]]).double()
solution = torch.linalg.solve(X.T @ X, X.T @ torch.tensor([1.0, 3.0, 2.0]).double())
got = gd_step(X, torch.tensor([1.0, 3.0, 2.0]).double(), solution, 0.05)
assert type(got) is torch.Tensor, f"gd_step must return a tensor, got {type(got).__name__}. NoneType: `return` is missing"
assert_close(
    got, solution, msg=lambda m: f"at the solution of the normal equation the gradient is 0, so a step stays there, got {got}\n{m}"
)
got = gd_step(torch.tensor([[1.0, 2.0]]), torch.tensor([5.0]), torch.zeros(2), 0.1)
assert type(got) is torch.Tensor, f"gd_step must return a tensor, got {type(got).__name__}"
assert_close(
    got,
    torch.tensor([1.0, 2.0]),
    msg=lambda m: f"one row (1, 2), y = 5, lr 0.1: from (0, 0) to (1, 2), got {got}. (0.5, 1): divided by D = 2, not by N = 1\n{m}",
)
print("passed: the solution of the normal equation is a resting point, and one row counts as one")


# %% hidden="gd-step-autograd" points=2
def step_and_given(rows_, targets_, w):
    given = w.clone()
    return gd_step(rows_, targets_, given, 0.3), given


_ = torch.manual_seed(4)
for n, d in ((7, 3), (1, 4), (5, 1)):
    rows_, targets_, leaf = torch.randn(n, d).double(), torch.randn(n).double(), torch.randn(d).double().requires_grad_()
    torch.nn.functional.mse_loss(rows_ @ leaf, targets_).backward()
    moved, given = step_and_given(rows_, targets_, leaf.detach())
    assert_close(
        moved,
        leaf.detach() - 0.3 * leaf.grad,
        msg=lambda m, n=n, d=d: f"N={n}, D={d}: the step differs from autograd's gradient of the mean\n{m}",
    )
    assert torch.equal(given, leaf.detach()), f"N={n}, D={d}: the given w was changed in place"

# %% hidden="gd-step-converges" points=1
_ = torch.manual_seed(5)
rows_, targets_ = torch.randn(40, 3).double(), torch.randn(40).double()


def walk(n_steps):
    weights = torch.ones(3).double()
    for _ in range(n_steps):
        weights = gd_step(rows_, targets_, weights, 0.2)
    return weights


arrived = walk(400)
assert_close(
    arrived,
    torch.linalg.lstsq(rows_, targets_[:, None]).solution[:, 0],
    msg=lambda m: f"400 steps must arrive at the least-squares solution\n{m}",
)


# %% wrong="gd-step-uphill" fails="gd-step-by-hand gd-step-autograd gd-step-converges"
def gd_step(X, y, w, lr):
    return w + lr * 2 * X.T @ (X @ w - y) / len(y)


# %% [markdown] mistake="gd-step-uphill"
# Steps along the gradient, uphill, instead of against it.
#
# In the example by hand you arrive at (-0.7, -0.4): the right length, but away from the minimum, so the loss grows at every step. The
# gradient points where the loss rises fastest. In which direction must a descent go?

# %% wrong="gd-step-no-mean" fails="gd-step-by-hand gd-step-autograd"
def gd_step(X, y, w, lr):
    return w - lr * 2 * X.T @ (X @ w - y)


# %% [markdown] mistake="gd-step-no-mean"
# Uses the gradient of the sum of the squares: the division by N is lost.
#
# For `X` with rows [1], all targets 1, `w = [0]` and `lr = 0.25` you step to 1.0 with two rows and to 2.0 with four. Equal rows must not
# change the step. Which factor in the formula of the gradient depends on the number of rows?

# %% wrong="gd-step-no-two" fails="gd-step-by-hand gd-step-autograd"
def gd_step(X, y, w, lr):
    return w - lr * X.T @ (X @ w - y) / len(y)


# %% [markdown] mistake="gd-step-no-two"
# Makes half the step: the 2 from the derivative of the square is lost.
#
# In the example you arrive at (0.35, 0.2), half of the step worked by hand. Take one row, `X = [[1]]`, `y = [1]`, `w = [0]`: what is the
# slope of (w - 1)² at w = 0, and which slope did your step use?

# %% wrong="gd-step-over-features" fails="gd-step-rests gd-step-autograd"
def gd_step(X, y, w, lr):
    return w - lr * 2 * X.T @ (X @ w - y) / X.shape[1]


# %% [markdown] mistake="gd-step-over-features"
# Divides by the number of features D instead of the number of samples N.
#
# The example has N = D = 2 and cannot show it. Two equal rows [1] with targets 1, `w = [0]` and `lr = 0.25` must lead to 0.5, and you
# return 1.0. The loss is a mean: over what? Which axis of `X` counts that?

# %% wrong="gd-step-in-place" fails="gd-step-by-hand gd-step-autograd"
def gd_step(X, y, w, lr):
    w -= lr * 2 * X.T @ (X @ w - y) / len(y)
    return w


# %% [markdown] mistake="gd-step-in-place"
# Returns the right weights but changes the caller's `w` in place.
#
# After the call of the example, the `w` that was given holds (0.7, 0.4) instead of (0, 0). The statement says that it must stay as it was.
# Print `w` before and after the call, and look for the line that writes into it.

# %% right="gd-step-by-component"
def gd_step(X, y, w, lr):
    r = X.mv(w).sub(y)
    return torch.stack([w_k - 2 * lr * (r * column).mean() for w_k, column in zip(w, X.unbind(1), strict=True)])


# %% [markdown] explanation="gd-step"
# One line holds what the derivation built: the residuals (N,), the transposed product that sums over the samples (D,),
# the factor 2/N of the mean.
# "At rest" does not see a lost 2 or N, because anything times zero is zero: that is why the value by hand and autograd are needed too.
# With D = N a division by the wrong dimension would pass, so the hidden sizes differ.

# %% [markdown]
# ## The path on the surface
#
# To draw paths we write a small walker for any loss, with autograd's gradients.


# %%
def descend(loss, start, lr: float, n_steps: int) -> torch.Tensor:
    """Points that gradient descent on `loss` visits from `start` (D,), shape (n_steps + 1, D)."""
    path = [torch.as_tensor(start, dtype=torch.float64)]
    while len(path) <= n_steps:
        point = path[-1].clone().requires_grad_()
        loss(point).backward()
        path.append(path[-1] - lr * point.grad)
    return torch.stack(path)


calm = descend(line_loss, [1.0, 14.0], lr=0.2, n_steps=60)
wild = descend(line_loss, [8.0, 1.2], lr=0.27, n_steps=15)
print(f"lr 0.2:  loss {line_loss(calm[0]):.3g} → {line_loss(calm[-1]):.3g}")
print(f"lr 0.27: loss {line_loss(wild[0]):.3g} → {line_loss(wild[-1]):.3g}")

# %%
fine_w, fine_b = torch.linspace(0, 20, 161).double(), torch.linspace(-15, 15, 241).double()
fine = torch.stack([line_loss(torch.stack([w.expand(241), fine_b], dim=1)) for w in fine_w])  # (161, 241), for smooth contours
fig = plt.figure(figsize=(11, 4.6))
ax = fig.add_subplot(1, 2, 1, projection="3d", computed_zorder=False)
ax.plot_surface(*plane.unbind(-1), heights, cmap="viridis", alpha=0.6, rcount=41, ccount=31, lw=0)
flat_ax = fig.add_subplot(1, 2, 2)
flat_ax.contour(fine_w, fine_b, fine.T, levels=[8.5, 12, 20, 40, 80, 160, 320, 640], cmap="viridis", linewidths=0.8)
for path, colour, label in [(calm, "tab:red", "lr 0.2: arrives"), (wild, "black", "lr 0.27: diverges")]:
    ax.plot(path[:, 0], path[:, 1], line_loss(path), ".-", color=colour, ms=4, lw=1)
    flat_ax.plot(path[:, 0], path[:, 1], ".-", color=colour, ms=5, lw=1, label=label)
ax.set(xlabel="w", ylabel="b", zlabel="loss", xticks=range(0, 21, 5))
ax.view_init(36, -58)
flat_ax.plot(*best_line, "*", color="gold", mec="k", ms=14, label="closed form")
flat_ax.set(xlabel="w", ylabel="b", title="the same from above", xlim=(0, 20), ylim=(-15, 15))
flat_ax.legend(loc="upper right")
ax.set_title("loss surface and two paths")
plt.show()

# %% [markdown]
# The red path falls into the valley at once, jumping from wall to wall, and then creeps along the floor towards the star.
# The black one begins close to the star, overshoots a little more at each step, and climbs out: it **diverges** (发散).
# The step sizes differ by a third.
#
# ## How long may a step be?
#
# The **Hessian** (海森矩阵) is the matrix of second derivatives.
# We differentiate the gradient $\frac2N X^\top (Xw - y)$ once more:
#
# $$H = \frac2N X^\top X, \quad \text{shape } (D, D).$$
#
# The factor belongs to *our* loss, the mean of the squares; half the mean would have $\frac1N$, the sum would have $2$.
# On any straight line $w + sv$ the second derivative by $s$ is $v^\top H v = \frac2N \lVert Xv \rVert^2$.
# It is never negative, so the curve never bends down: the MSE of a linear model is convex, as promised.
#
# A vector $v \ne 0$ is an **eigenvector** (特征向量) of $H$ with **eigenvalue** (特征值) $\lambda$ if $Hv = \lambda v$: $H$ only stretches it.
# A symmetric $(D, D)$ matrix ($H = H^\top$) has $D$ perpendicular ones;
# along each, the loss is a parabola with second derivative $\lambda$.
#
# Let $w^*$ be the minimum. The gradient is $H(w - w^*)$, and one step turns the error $w - w^*$ into $(I - \mathrm{lr}\,H)(w - w^*)$.
# Along an eigenvector that is a multiplication by $1 - \mathrm{lr}\,\lambda$:
#
# - it shrinks if $|1 - \mathrm{lr}\,\lambda| < 1$, that is $0 < \mathrm{lr} < 2/\lambda$,
# - **at exactly** $\mathrm{lr} = 2/\lambda$ the factor is −1: it jumps from side to side for ever, neither nearer nor farther,
# - beyond, it grows at every step.

# %%
curvatures = torch.linalg.eigvalsh(torch.autograd.functional.hessian(line_loss, best_line))
print("eigenvalues:", [f"{v:.3g}" for v in curvatures], f" bound: {2 / curvatures[-1]:.3g}")
for rate in (0.2, 0.27):
    print(f"lr {rate}: factors", [f"{1 - rate * v:.3g}" for v in curvatures])

# %% [markdown]
# With 0.2 the error across the valley is multiplied by −0.6 (it jumps from wall to wall and shrinks), along the floor by 0.946 (it creeps).
# With 0.27 the factor across is −1.16: divergence.
# The steepest direction decides, so the bound is $2/\lambda_{\max}$.
# The flattest one ($\lambda_{\min}$) needs about $\lambda_{\max}/\lambda_{\min}$ times as many steps as the steepest:
# this ratio is the **condition number** (条件数), here 30.
# With today's maximum in °C it would be 1,843 and the bound 0.0032; standardised (below) it is 1.
#
# We compare 300 step sizes, for the mean, the sum, and the sum over every tenth day.
# No walking needed: after 100 steps the error along each eigenvector is multiplied by $(1 - \mathrm{lr}\,\lambda)^{100}$.

# %%
steps = torch.logspace(-5, 0, 300).double()
panels = [("mean, 1,095 days", X_day, 1 / n_train), ("sum, 1,095 days", X_day, 1), ("sum, every 10th day", X_day[::10], 1)]
fig, ax = plt.subplots(figsize=(7.5, 3.6))
for colour, (name, rows, scale) in zip(["tab:blue", "tab:red", "tab:orange"], panels, strict=True):
    rates, axes_ = torch.linalg.eigh(2 * scale * rows.T @ rows)
    faults = (1 - steps[:, None] * rates) ** 100 * (axes_.T @ (torch.tensor([1.0, 14.0]).double() - best_line))  # (300, 2)
    final = line_loss(best_line + faults @ axes_.T).clamp(max=1e9)
    ax.loglog(steps, final, color=colour, label=name)
    ax.axvline(2 / rates[-1], color="k", ls="--", lw=1, zorder=3)
ax.set(xlabel="step size lr", ylabel="loss after 100 steps", title=r"dashed: $2/\lambda_{\max}$", ylim=(7, 1e4))
ax.legend(loc="upper left", fontsize=8)
plt.show()

# %% [markdown]
# Each curve falls as steps get longer, until it meets its dashed line, and there it jumps out of the picture.
# The curves have one shape; only the bound moves.
# For the mean it is 0.25, and nearly the same for every tenth day (0.244); for the sum it is 1,095 times smaller,
# and about ten times larger again with a tenth of the days.
# This is why we average.

# %% [markdown]
# ### Exercise 5: the largest stable step (6 points)
#
# Write `max_stable_lr(X)`: for `X` `(N, D)`, not all zero, return the Python float $2/\lambda_{\max}$,
# where $\lambda_{\max}$ is the largest eigenvalue of the Hessian of the MSE (mean of the squares).
# Below this step size gradient descent converges, above it diverges (from almost every start).
#
# By hand: `X = [[2], [2], [2], [2]]` has $X^\top X = 16$, $H = \frac24 \cdot 16 = 8$, so the bound is 0.25.
# For `X = [[1, 0], [0, 3]]`, $H$ has the eigenvalues 1 and 9, and the bound is 2/9.
# Compute it from `X`; no trial steps.
#
# <details><summary>Hint 1</summary>What happens to the Hessian when every row stands twice in <code>X</code>? To the bound?</details>
# <details><summary>Hint 2</summary><code>torch.linalg.eigvalsh</code> takes a symmetric matrix and returns its eigenvalues in ascending
# order.</details>


# %% exercise="max-lr"
def max_stable_lr(X: torch.Tensor) -> float:
    """Return 2 / λ_max of the Hessian of mean((X w - y)²) for X (N, D), as a float."""
    # BEGIN SOLUTION
    H = 2 * X.T @ X / len(X)
    return 2 / torch.linalg.eigvalsh(H)[-1].item()
    # END SOLUTION


# %% check="max-lr-by-hand" points=1
def bound_or_problem():
    try:
        return max_stable_lr(torch.full((4, 1), 2.0))
    except NotImplementedError as error:
        if "Complex" not in str(error):
            raise
        return str(error)


got = bound_or_problem()
assert type(got) is not str, f"complex numbers have no largest one: {got}. eigvals gives complex numbers, eigvalsh real ones"
assert type(got) is float, f"the result must be a Python float (use .item()), got {type(got).__name__}. NoneType: `return` is missing"
assert abs(got - 0.25) < 1e-6, (
    f"four rows [2] have H = 8 and the bound 0.25, got {got}. 0.5: the 2 of 2/N is lost; 0.0625: the N; 0.125: both, or 1/λ"
)
print("passed: one feature")


# %% check="max-lr-two-features" points=1
def bound_or_problem():
    try:
        return max_stable_lr(torch.tensor([[1.0, 0.0], [0.0, 3.0]]))
    except NotImplementedError as error:
        if "Complex" not in str(error):
            raise
        return str(error)


got = bound_or_problem()
assert type(got) is not str, f"complex numbers have no largest one: {got}. eigvals gives complex numbers, eigvalsh real ones"
assert type(got) is float, f"max_stable_lr must return a float, got {type(got).__name__}. NoneType: `return` is missing"
assert abs(got - 2 / 9) < 1e-6, (
    f"H of X = [[1, 0], [0, 3]] has the eigenvalues 1 and 9, so the bound is 2/9 = 0.222, got {got}. "
    "0.2: the sum of the eigenvalues was used; 2.0: the smallest; 4/9 = 0.444: the 2 of 2/N is lost; "
    "0.111: the N is lost, or 1/λ; 0.2209: the norm of the matrix was used"
)
print("passed: the largest eigenvalue decides")

# %% hidden="max-lr-diverges" points=2
_ = torch.manual_seed(6)
A = torch.randn(30, 4).double() * torch.tensor([1.0, 5.0, 0.2, 2.0]).double() + 1
bound = max_stable_lr(A)
growth = []
for factor in (0.98, 1.02):
    v = torch.ones(4).double()
    for _ in range(600):
        v = v - factor * bound * 2 / 30 * (A.T @ (A @ v))
    growth.append((A @ v).square().mean().item() / (A @ torch.ones(4).double()).square().mean().item())
assert growth[0] < 1, (
    f"600 steps at 0.98 of the bound {bound:.4g} must lower the loss, it was multiplied by {growth[0]:.3g}: the bound is too large"
)
assert growth[1] > 1, (
    f"600 steps at 1.02 of the bound {bound:.4g} must raise the loss, it was multiplied by {growth[1]:.3g}: the bound is too small"
)

# %% hidden="max-lr-at-the-bound" points=1
square = max_stable_lr(torch.tensor([[2.0], [-2.0], [1.0], [-1.0]]).double())
assert abs(square - 0.4) < 1e-12, f"X = (2, -2, 1, -1) has H = 2/4 · 10 = 5, so 0.4, got {square}"
error = 3.0
for _ in range(5):
    error = error - square * 5 * error
assert abs(error + 3.0) < 1e-9, f"at exactly the bound the error only changes its sign: five steps take 3 to -3, got {error}"

# %% hidden="max-lr-invariant" points=1
_ = torch.manual_seed(7)
for n, d in ((9, 3), (2, 5)):
    A = torch.randn(n, d)
    values = [max_stable_lr(A), max_stable_lr(A.repeat(3, 1)), 9 * max_stable_lr(3 * A)]
    wanted = n / torch.linalg.svdvals(A)[0].item() ** 2
    assert_close(
        values,
        [wanted] * 3,
        rtol=1e-4,
        atol=0.0,
        msg=lambda m, n=n, d=d: f"N={n}, D={d}: rows repeated leave the bound alone, inputs times 3 divide it by 9\n{m}",
    )


# %% wrong="max-lr-norm" fails="max-lr-two-features max-lr-diverges max-lr-invariant"
def max_stable_lr(X):
    return len(X) / X.square().sum().item()


# %% [markdown] mistake="max-lr-norm"
# Divides by the sum of all eigenvalues (all squared entries of `X`), not by the largest one.
#
# With one feature the two are the same. For `X = [[1, 0], [0, 3]]` the eigenvalues of the Hessian are 1 and 9, and your bound is 0.2 = 2/10
# instead of 2/9. It is safe, but too small. Which direction alone decides when descent diverges?

# %% wrong="max-lr-of-the-sum" fails="max-lr-by-hand max-lr-two-features max-lr-diverges max-lr-at-the-bound max-lr-invariant"
def max_stable_lr(X):
    return 1 / torch.linalg.eigvalsh(X.T @ X)[-1].item()


# %% [markdown] mistake="max-lr-of-the-sum"
# Uses the Hessian of the sum of the squares: the number of rows is lost.
#
# For the four rows [2] you return 0.0625, a quarter of 0.25, and for a single row [2] you would be right. With every row twice in `X` your
# bound is halved. Should the bound of a mean change then? Look at the factor in front of the Hessian.

# %% wrong="max-lr-no-mean" fails="max-lr-by-hand max-lr-diverges max-lr-at-the-bound max-lr-invariant"
def max_stable_lr(X):
    return 2 / torch.linalg.eigvalsh(X.T @ X)[-1].item()


# %% [markdown] mistake="max-lr-no-mean"
# Leaves out the whole factor in front of the Hessian of the MSE.
#
# For the four rows [2] you return 0.125, half of what the example says, and for two rows you are right by accident, because there the
# factor is 1. Write down the second derivative of the mean of the squares for one feature and N rows, and compare it with your matrix.

# %% wrong="max-lr-one-over" fails="max-lr-by-hand max-lr-two-features max-lr-diverges max-lr-at-the-bound max-lr-invariant"
def max_stable_lr(X):
    return len(X) / (2 * torch.linalg.matrix_norm(X, ord=2).item() ** 2)


# %% [markdown] mistake="max-lr-one-over"
# Returns 1 over the largest eigenvalue, half of the largest stable step.
#
# Your values are exactly half of the right ones: 0.125 instead of 0.25 for the four rows [2], and 1/9 instead of 2/9. At your step size the
# error along the steepest direction is multiplied by 0. Which factor does it have where divergence begins?

# %% wrong="max-lr-smallest" fails="max-lr-two-features max-lr-diverges"
def max_stable_lr(X):
    return len(X) / torch.linalg.eigvalsh(X.T @ X)[0].item()


# %% [markdown] mistake="max-lr-smallest"
# Uses the smallest eigenvalue of the Hessian instead of the largest.
#
# For `X = [[1, 0], [0, 3]]`, with eigenvalues 1 and 9, you return 2.0. At that step size the second component is multiplied by 1 - 2.0 · 9
# = -17 at every step. Which of the two directions goes wrong first when steps grow?

# %% right="max-lr-singular-value"
def max_stable_lr(X):
    return len(X) / torch.linalg.matrix_norm(X, ord=2).item() ** 2


# %% [markdown] survives="max-lr"
# - `H = X @ (2 * X.T) / len(X)`: X Xᵀ has the same non-zero eigenvalues as Xᵀ X

# %% [markdown] explanation="max-lr"
# The Hessian carries the factor 2/N of the loss that is descended: 2/λ_max(XᵀX) would be the bound for half the sum.
# The sum of all squared entries is the sum of the eigenvalues, not the largest: as a bound it is safe, but too small, up to D times.
# λ_max(XᵀX) is the square of the largest singular value of X, which gives the shorter form N/σ².
# At the bound itself the steepest component flips for ever; a direction with λ = 0 (dependent columns) has the factor 1 and never moves,
# which is no divergence.

# %% [markdown]
# ## A few rows at a time
#
# A step above reads all $N$ rows.
# **Stochastic gradient descent** (随机梯度下降, SGD) takes the gradient of a few of them, a **mini-batch** (小批量), and steps at once.
# An **epoch** (轮) is one pass in which every row is used exactly once; each update is one **iteration** (迭代).
# With batches of size $B$ an epoch has $\lceil N/B \rceil$ iterations, and the last batch may be short.
# The rows are shuffled anew for each epoch, inputs and targets in the same order.
#
# Is this still the right direction? On average: 15 batches of 73 days each make the 1,095.

# %%
print("iterations in an epoch of 1,095 rows:", {size: -(-n_train // size) for size in (1095, 100, 73, 1)})
order = torch.randperm(n_train, generator=torch.Generator().manual_seed(0))
at = torch.tensor([4.0, 9.0]).double()
batch_slopes = torch.stack([2 * (X_day[i] @ at - y_day[i]) @ X_day[i] / 73 for i in order.split(73)])  # (15, 2)
assert_close(batch_slopes.mean(0), slopes)
print("∂L/∂w, 15 batches:", [f"{s:.3g}" for s in batch_slopes[:4, 0]], "…  mean:", f"{batch_slopes[:, 0].mean():.3g}")

# %% [markdown]
# Each batch points somewhere else; their mean, for batches of equal size, is the full gradient.
# We let three batch sizes walk from the same start with the same step size.

# %%
trails, noisy = {}, []
for size in (1095, 73, 1):
    generator, here, trail = torch.Generator().manual_seed(1), torch.tensor([1.0, 14.0]).double(), []
    for i in [i for _ in range(8) for i in torch.randperm(n_train, generator=generator).split(size)]:
        trail.append(here)
        gap = X_day[i] @ here - y_day[i]
        noisy += [gap.square().mean().item()] if size == 73 else []
        here = here - 0.05 * 2 * gap @ X_day[i] / len(i)
    trails[size] = torch.stack([*trail, here])
excess = {size: line_loss(trail) - line_loss(best_line) for size, trail in trails.items()}
print("excess loss after 8 epochs:", {size: f"{excess[size][-1]:.2g}" for size in (1095, 73)})

# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 3.7))
axes[0].contour(fine_w, fine_b, fine.T, levels=[8.5, 12, 20, 40, 80, 160], cmap="Greys_r", linewidths=0.6)
for size, colour in zip([1, 73, 1095], ["tab:orange", "tab:red", "tab:blue"], strict=True):
    label = {1: "1 row", 73: "mini-batch of 73", 1095: "all rows"}[size]
    axes[0].plot(*trails[size][:121].T, ".-", color=colour, lw=0.8, ms=3, label=label, alpha=0.85)
    shown = excess[size][:: max(1, 73 // size)]  # every 73 rows at most
    axes[1].semilogy(torch.linspace(0, 8, len(shown)), shown, color=colour, lw=1, marker="o" if size == 1095 else None)
axes[0].plot(*best_line, "*", color="gold", mec="k", ms=13, zorder=5)
axes[0].set(xlabel="w", ylabel="b", title="paths, at most 120 steps", xlim=(0, 14), ylim=(-3, 15))
axes[0].legend()
axes[1].set(xlabel="epochs (rows read / 1,095)", ylabel="loss − smallest loss", title="loss over 8 epochs")
plt.show()

# %% [markdown]
# One epoch is one step for blue, 15 for red, 1,095 for orange, so for the same number of rows read red is far ahead of blue throughout.
# Orange is ahead of both at first, but does not come to rest; from the seventh epoch red is lower than orange on average.
# The gradients of single rows are not zero at the star, so orange hovers around it, at a height that the step size sets;
# chapter 13 lets the step size shrink.
# Small batches are often said to do better on test data too: sometimes, an observation and not a law.

# %% [markdown]
# ### Exercise 6: mini-batch descent (6 points)
#
# Write `sgd(X, y, batch_size, lr, n_epochs, seed)`: `X` `(N, D)`, `y` `(N,)`. Return `(w, epochs)`:
#
# - `w` `(D,)`, the weights after all epochs, from a start of zeros of `X`'s dtype;
# - `epochs`, a list with one entry per epoch: the list of that epoch's batches in order, each an `int64` tensor of row numbers.
#
# Each epoch uses every row exactly once, in batches of `batch_size` with a shorter last one where it does not divide $N$;
# a `batch_size` above $N$ gives one batch.
# Each batch gives one gradient step on the mean over *its own* rows.
# A new random order for every epoch (any way to shuffle is right) comes from one generator, seeded once:
# `torch.Generator().manual_seed(seed)`.
# Equal seeds give equal results, other seeds other orders, and the global random state is not touched.
# By hand: `X = [[1]]`, `y = [1]`, batch size 1, `lr = 0.25`: each step halves the distance to 1, so three epochs give `w = [0.875]`.
# With three such rows and batch size 2, one epoch has two steps and gives `[0.75]`.
#
# <details><summary>Hint 1</summary>How do you see from <code>epochs</code> alone whether a row was left out?</details>
# <details><summary>Hint 2</summary><code>torch.randperm(n, generator=…)</code> is an order;
# its <code>.split(size)</code> makes the batches, the short one included.</details>


# %% exercise="sgd"
def sgd(
    X: torch.Tensor, y: torch.Tensor, batch_size: int, lr: float, n_epochs: int, seed: int
) -> tuple[torch.Tensor, list[list[torch.Tensor]]]:
    """Return w (D,) after n_epochs of mini-batch descent from zeros, and per epoch the list of batches (row numbers)."""
    # BEGIN SOLUTION
    generator = torch.Generator().manual_seed(seed)
    w, epochs = torch.zeros(X.shape[1], dtype=X.dtype), []
    for _ in range(n_epochs):
        epochs.append(list(torch.randperm(len(y), generator=generator).split(batch_size)))
        for rows in epochs[-1]:
            w = w - lr * 2 / len(rows) * X[rows].T @ (X[rows] @ w - y[rows])
    return w, epochs
    # END SOLUTION


# %% check="sgd-covers" points=1
got = sgd(torch.ones(10, 2), torch.zeros(10), 4, 0.1, 3, seed=0)
assert type(got) is tuple and len(got) == 2, f"sgd must return a tuple of two, (w, epochs), got {type(got).__name__}. NoneType: no `return`"
epochs = got[1]
assert type(epochs) is list and len(epochs) == 3, f"3 epochs give a list of 3 entries, got {epochs}"
kinds = [type(epoch).__name__ for epoch in epochs]
assert kinds == ["list"] * 3, f"each epoch is a list of batches, got {kinds}: .split() gives a tuple"
kinds = {str(getattr(batch, "dtype", type(batch).__name__)) for epoch in epochs for batch in epoch}
assert kinds == {"torch.int64"}, f"each batch is an int64 tensor of row numbers, got {sorted(kinds)}"
sizes = [[len(batch) for batch in epoch] for epoch in epochs]
assert sizes == [[4, 4, 2]] * 3, f"10 rows in batches of 4 are batches of 4, 4, 2 in each epoch, got {sizes}: is the short last batch lost?"
rows_used = [sorted(torch.cat(epoch).tolist()) for epoch in epochs]
assert rows_used == [list(range(10))] * 3, f"each epoch uses each of the rows 0 to 9 once, got {rows_used}: drawn with replacement?"
orders = [torch.cat(epoch).tolist() for epoch in epochs]
assert orders[0] != orders[1] or orders[1] != orders[2], f"all three epochs have the order {orders[0]}: draw a new one for each"
print("passed: every row once per epoch, in a new order")

# %% check="sgd-by-hand" points=1
got = sgd(torch.tensor([[1.0]]), torch.tensor([1.0]), 1, 0.25, 3, seed=0)
assert type(got) is tuple and len(got) == 2, f"sgd must return two things, got {got!r}"
w, _ = got
assert type(w) is torch.Tensor, f"w, the first of the two, must be a tensor, got {type(w).__name__}"
assert_close(w, torch.tensor([0.875]), msg=lambda m: f"three epochs of one row with lr 0.25 give 1/2, 3/4, 7/8, got {w}\n{m}")
w, _ = sgd(torch.ones(3, 1), torch.ones(3), 2, 0.25, 1, seed=0)
assert_close(
    w,
    torch.tensor([0.75]),
    msg=lambda m: (
        f"three rows x = y = 1, batches of 2 and 1: w is 0.5, then 0.75, in any order, got {w}. "
        f"0.444: divided by N; 0.625: by batch_size; 0.5: a batch is left out\n{m}"
    ),
)
inputs, wanted = torch.tensor([[1.0], [2.0], [-1.0], [3.0]]).double(), torch.tensor([3.0, -1.0, 2.0, 5.0]).double()
got = sgd(inputs, wanted, 2, 0.05, 2, seed=1)
assert type(got) is tuple and len(got) == 2, f"sgd must return two things, got {got!r}"
w, epochs = got
assert type(epochs) is list and all(type(epoch) is list for epoch in epochs), f"epochs is a list of lists of batches, got {epochs}"
batches = [batch for epoch in epochs for batch in epoch]
assert len(batches) == 4 and all(
    type(batch) is torch.Tensor and batch.dtype == torch.int64 and batch.shape == (2,) and ((0 <= batch) & (batch < 4)).all()
    for batch in batches
), f"4 rows, batches of 2, 2 epochs: four int64 tensors of two row numbers each, got {epochs}"
replayed = torch.zeros(1).double()
for batch in batches:
    replayed = replayed - 0.05 * 2 * (inputs[batch] @ replayed - wanted[batch]) @ inputs[batch] / 2
assert_close(
    w,
    replayed,
    msg=lambda m: (
        f"four rows: the batches that you return, {[batch.tolist() for batch in batches]}, lead from 0 to {replayed.tolist()}, got {w}. "
        f"Does each row of X keep its own y? Is w kept from one epoch to the next?\n{m}"
    ),
)
print("passed: the two examples worked by hand, and every row with its own y (seed and global random state: a hidden test)")

# %% hidden="sgd-replay" points=2
_ = torch.manual_seed(8)
inputs, wanted = torch.randn(23, 3).double(), torch.randn(23).double()
state = [inputs.clone(), wanted.clone()]
end, history = sgd(inputs, wanted, 5, 0.07, 4, seed=11)
again = torch.zeros(3).double()
for batch in [batch for epoch in history for batch in epoch]:
    assert batch.dtype == torch.int64, f"batches hold row numbers, int64, got {batch.dtype}"
    again = again - 0.07 * 2 * (inputs[batch] @ again - wanted[batch]) @ inputs[batch] / len(batch)
assert_close(
    end,
    again,
    msg=lambda m: (
        f"steps from zeros, each on the mean over its own rows (the last has 3, not 5), X and y in one order, lead elsewhere\n{m}"
    ),
)
assert [sorted(torch.cat(epoch).tolist()) for epoch in history] == [list(range(23))] * 4, (
    "23 rows, batches of 5: a row is missing or used twice in an epoch"
)

# %% hidden="sgd-order" points=2
lots = torch.ones(50, 1)
first, same, other = (torch.cat([b for e in sgd(lots, lots[:, 0], 8, 0.01, 2, seed=s)[1] for b in e]) for s in (3, 3, 4))
assert torch.equal(first, same), "the same seed twice must give the same batches: create the generator inside sgd"
assert not torch.equal(first, other), "the seeds 3 and 4 gave the same batches: is the seed used?"
assert not torch.equal(first[:50], first[50:]), "both epochs used the same order: draw a new permutation in each epoch"
assert not torch.equal(first[:50], torch.arange(50)), "the rows were not shuffled"


def touched():
    before = torch.random.get_rng_state()
    sgd(lots, lots[:, 0], 60, 0.01, 1, seed=5)
    return bool((before != torch.random.get_rng_state()).any())


assert touched() is False, "sgd changed the global random state: use the generator of its own for every draw"


# %% wrong="sgd-drops-last" fails="sgd-covers sgd-replay"
def sgd(X, y, batch_size, lr, n_epochs, seed):
    g = torch.Generator().manual_seed(seed)
    w, epochs = X.new_zeros(X.shape[1]), []
    for _ in range(n_epochs):
        order = torch.randperm(len(y), generator=g)
        batches = [order[k : k + batch_size] for k in range(0, len(y) - batch_size + 1, batch_size)]
        for i in batches:
            w = w - 2 * lr * X[i].T @ (X[i] @ w - y[i]) / len(i)
        epochs.append(batches)
    return w, epochs


# %% [markdown] mistake="sgd-drops-last"
# Leaves out the last batch when it is shorter than `batch_size`.
#
# With three rows and batches of 2 you take one step and return [0.5] instead of [0.75]; with a `batch_size` above N you take none at all,
# and `w` stays 0. Count the rows in each entry of `epochs`. Is every one there?

# %% wrong="sgd-same-order" fails="sgd-covers sgd-order"
def sgd(X, y, batch_size, lr, n_epochs, seed):
    g = torch.Generator().manual_seed(seed)
    batches = list(torch.randperm(len(y), generator=g).split(batch_size))
    w = X.new_zeros(X.shape[1])
    for i in batches * n_epochs:
        w = w - 2 * lr * X[i].T @ (X[i] @ w - y[i]) / len(i)
    return w, [batches] * n_epochs


# %% [markdown] mistake="sgd-same-order"
# Draws the random order once and uses it again in every epoch.
#
# All entries of your `epochs` hold the same batches, so the same rows always meet and come in the same sequence. Print the batches of two
# epochs side by side. What must happen anew in each epoch, and what only once?

# %% wrong="sgd-targets-not-shuffled" fails="sgd-by-hand sgd-replay"
def sgd(X, y, batch_size, lr, n_epochs, seed):
    g = torch.Generator().manual_seed(seed)
    w, epochs = X.new_zeros(X.shape[1]), []
    for _ in range(n_epochs):
        batches = list(torch.randperm(len(y), generator=g).split(batch_size))
        for i, yb in zip(batches, y.split(batch_size), strict=True):
            w = w - 2 * lr * X[i].T @ (X[i] @ w - yb) / len(i)
        epochs.append(batches)
    return w, epochs


# %% [markdown] mistake="sgd-targets-not-shuffled"
# Takes the rows of `X` in the shuffled order but the targets in the original order.
#
# With two rows, batches of 1 and the order (1, 0), row 1 of `X` is trained towards `y[0]`. The reported batches look right, but the pairs
# are false, and the loss stays high. For one batch, print the row numbers, the rows and the targets that you use.

# %% wrong="sgd-with-replacement" fails="sgd-covers sgd-replay"
def sgd(X, y, batch_size, lr, n_epochs, seed):
    g = torch.Generator().manual_seed(seed)
    w, epochs = X.new_zeros(X.shape[1]), []
    for _ in range(n_epochs):
        batches = list(torch.randint(len(y), (len(y),), generator=g).split(batch_size))
        for i in batches:
            w = w - 2 * lr * X[i].T @ (X[i] @ w - y[i]) / len(i)
        epochs.append(batches)
    return w, epochs


# %% [markdown] mistake="sgd-with-replacement"
# Draws the rows of an epoch with replacement, so some come twice and others never.
#
# An epoch of 6 rows can come out as 2, 3, 5, 0, 1, 3: row 3 twice, row 4 never. The batch sizes are right, so only the row numbers show it.
# Sort the numbers of one epoch and compare them with 0 to N - 1.

# %% wrong="sgd-over-all-rows" fails="sgd-by-hand sgd-replay"
def sgd(X, y, batch_size, lr, n_epochs, seed):
    g = torch.Generator().manual_seed(seed)
    w, epochs = X.new_zeros(X.shape[1]), []
    for _ in range(n_epochs):
        epochs.append(list(torch.randperm(len(y), generator=g).split(batch_size)))
        for i in epochs[-1]:
            w = w - 2 * lr * X[i].T @ (X[i] @ w - y[i]) / len(y)
    return w, epochs


# %% [markdown] mistake="sgd-over-all-rows"
# Divides the gradient of each batch by N, the number of all rows.
#
# Three rows with x = y = 1, batches of 2 and 1: you arrive at 0.444 instead of 0.75, because each step is too short. The statement says
# over which rows the mean of a step is taken. How many are they in each of these two batches?

# %% wrong="sgd-wrong-mean" fails="sgd-by-hand sgd-replay"
def sgd(X, y, batch_size, lr, n_epochs, seed):
    g = torch.Generator().manual_seed(seed)
    w, epochs = X.new_zeros(X.shape[1]), []
    for _ in range(n_epochs):
        epochs.append(list(torch.randperm(len(y), generator=g).split(batch_size)))
        for i in epochs[-1]:
            w = w - 2 * lr * X[i].T @ (X[i] @ w - y[i]) / min(batch_size, len(y))
    return w, epochs


# %% [markdown] mistake="sgd-wrong-mean"
# Divides the gradient of the shorter last batch by the full `batch_size`.
#
# Three rows with x = y = 1, batches of 2 and 1: your first step leads to 0.5, which is right, and the second to 0.625 instead of 0.75. The
# row of the short batch counts only half. How many rows does that mean have?

# %% wrong="sgd-global-seed" fails="sgd-order"
def sgd(X, y, batch_size, lr, n_epochs, seed):
    torch.manual_seed(seed)
    w, epochs = X.new_zeros(X.shape[1]), []
    for _ in range(n_epochs):
        epochs.append(list(torch.randperm(len(y)).split(batch_size)))
        for i in epochs[-1]:
            w = w - 2 * lr * X[i].T @ (X[i] @ w - y[i]) / len(i)
    return w, epochs


# %% [markdown] mistake="sgd-global-seed"
# Seeds and uses the global random generator instead of one of its own.
#
# Call `sgd` with one seed and then `torch.rand(1)`, and do both again: the two numbers are equal, because your function set the state of
# the whole program back. The statement names the object that all draws must come from. Does each of your draws use it?

# %% right="sgd-slices"
def sgd(X, y, batch_size, lr, n_epochs, seed):
    g, w, epochs = torch.Generator(), X.new_zeros(X.shape[1]), []
    g.manual_seed(seed)
    for _ in range(n_epochs):
        order, batches = torch.rand(len(y), generator=g).argsort(), []
        for k in range(0, len(y), batch_size):
            i = order[k : k + batch_size]
            xb, yb = X.index_select(0, i), y.index_select(0, i)
            w = w - lr * (2 * (xb @ w - yb)[:, None] * xb).mean(0)
            batches.append(i)
        epochs.append(batches)
    return w, epochs


# %% [markdown] explanation="sgd"
# The hidden test takes your steps again from the batches that you report, so any way of shuffling is right,
# and any mistake in the steps shows.
# Dividing the last batch by the full batch size makes its rows count less; forgetting to index `y` by the same rows trains on false pairs,
# and the loss then stops near the variance of the targets.
# A generator of its own keeps the rest of the program reproducible: the global state stays as it was.

# %% [markdown]
# ## Smoothing what jumps
#
# The loss of a mini-batch jumps from one batch to the next.
# The **exponential average** (指数加权平均, also exponentially weighted moving average, EWMA) of $x_1, x_2, \dots$ keeps a running value:
#
# $$v_0 = 0, \qquad v_t = \beta v_{t-1} + (1 - \beta) x_t, \qquad 0 \le \beta < 1 .$$
#
# Unrolled, $v_t = (1-\beta) \sum_{s \le t} \beta^{t-s} x_s$: the past counts less and less, with a memory of about $1/(1-\beta)$ values.
# The weights add up to $1 - \beta^t$, not to 1, so at first $v_t$ is far too close to zero.
# The **bias correction** (偏差修正) divides by that sum: $\hat v_t = v_t / (1 - \beta^t)$.
# Many notes leave it out, and then cannot explain the first steps of Adam (chapter 12), which uses it twice.

# %%
summer = t_max[182:302]  # (120,) from 1 July 2012
k = torch.arange(120.0).double()
shares = (0.95 ** (k[:, None] - k)).tril()  # (120, 120): row t holds β^(t-s) for s <= t, else 0
print("sum of the weights, days 1, 10, 60:", [f"{0.05 * shares[t - 1].sum():.3g}" for t in (1, 10, 60)])
fig, axes = plt.subplots(1, 2, figsize=(10, 3.5))
axes[0].plot(summer, color="0.75", lw=1, label="daily maximum")
axes[0].plot(0.05 * shares @ summer, color="tab:red", label="v: not corrected")
axes[0].plot(shares @ summer / shares.sum(1), color="tab:blue", label="v / (1 − βᵗ): corrected")
axes[0].set(xlabel="days since 1 July 2012", ylabel="°C", title="Seattle, β = 0.95", ylim=(0, 37))
axes[0].legend(loc="upper right", fontsize=8)
smooth = (0.9 ** (k[:60, None] - k[:60])).tril()
axes[1].plot(noisy[:60], color="0.75", lw=1, label="loss of each mini-batch")
axes[1].plot(0.1 * smooth @ torch.tensor(noisy[:60]).double(), color="tab:red", label="not corrected")
axes[1].plot(smooth @ torch.tensor(noisy[:60]).double() / smooth.sum(1), color="tab:blue", label="corrected")
axes[1].set(xlabel="iteration", ylabel="loss (°C)²", title="SGD with batches of 73, β = 0.9")
axes[1].legend(fontsize=8)
plt.show()

# %% [markdown]
# Without the correction (red) Seattle begins July near freezing and needs two months to warm up, and the loss seems to *rise* at first.
# With it (blue) the first value is the first day itself, and later both curves meet.
# Blue also shows the price of smoothing: it lags behind whatever changes.

# %% [markdown]
# ### Exercise 7: exponential average (5 points)
#
# Write `ewma(x, beta, bias_correct=True)`: `x` is a floating-point tensor `(T,)`, `beta` in $[0, 1)$.
# Return a new tensor `(T,)` of the same dtype with $\hat v_1, \dots, \hat v_T$, or with $v_1, \dots, v_T$ if `bias_correct` is false.
# The first element belongs to $t = 1$.
# The recursion always goes on from the uncorrected $v_t$.
# `x` stays as it was.
#
# By hand: `x = [4, 8]`, `beta = 0.75`: $v = (1, 2.75)$; divided by $(0.25, 0.4375)$ they are $(4, 6.29)$.
#
# <details><summary>Hint 1</summary>What must the corrected average of a constant series be?</details>
# <details><summary>Hint 2</summary>Loop with <code>enumerate(x, start=1)</code>,
# keep <code>v</code> and store <code>v</code> or the quotient.</details>


# %% exercise="ewma"
def ewma(x: torch.Tensor, beta: float, bias_correct: bool = True) -> torch.Tensor:
    """Return the exponential average of x (T,) at every t = 1 … T, shape (T,), divided by 1 - beta^t if bias_correct."""
    # BEGIN SOLUTION
    v, averages = 0.0, torch.empty_like(x)
    for t, value in enumerate(x, start=1):
        v = beta * v + (1 - beta) * value
        averages[t - 1] = v / (1 - beta**t) if bias_correct else v
    return averages
    # END SOLUTION


# %% check="ewma-by-hand" points=1
def averaged(corrected):
    series_ = torch.tensor([4.0, 8.0])
    return ewma(series_, 0.75, bias_correct=corrected), series_.tolist()


(plain, _), (fair, series_after) = averaged(False), averaged(True)
assert type(plain) is type(fair) is torch.Tensor, (
    f"ewma must return a tensor, got {type(plain).__name__}, {type(fair).__name__}. NoneType: no `return`"
)
assert_close(
    plain,
    torch.tensor([1.0, 2.75]),
    msg=lambda m: (
        f"not corrected, [4, 8] with beta 0.75 gives [1, 2.75], got {plain}. "
        f"[3, 6.75]: the factors are swapped; [4, 5]: v began at x[0] instead of 0; "
        f"[4, 6.29]: corrected though bias_correct is False\n{m}"
    ),
)
assert_close(
    fair,
    torch.tensor([4.0, 2.75 / 0.4375]),
    msg=lambda m: (
        f"corrected it gives [1/0.25, 2.75/0.4375] = [4, 6.29], got {fair}. "
        f"inf: t began at 0; 11.4: the corrected value went back into the recursion\n{m}"
    ),
)
assert series_after == [4.0, 8.0], f"x must stay [4, 8], it is now {series_after}: write the averages into a new tensor"
print("passed: the example worked by hand")

# %% check="ewma-constant" points=1
got = ewma(torch.full((6,), 3.0).double(), 0.9)
assert type(got) is torch.Tensor, f"ewma must return a tensor, got {type(got).__name__}. NoneType: `return` is missing"
assert got.dtype == torch.float64, f"a float64 series gives float64 averages, got {got.dtype}: torch.tensor(list) makes float32"
assert_close(
    got,
    torch.full((6,), 3.0).double(),
    msg=lambda m: f"the corrected average of 3, 3, 3, … is 3 from the start (and correction is the default), got {got}\n{m}",
)
print("passed: a constant series stays constant")

# %% hidden="ewma-weights" points=2
_ = torch.manual_seed(9)
series = torch.randn(40).double() - 2
held = series.clone()
for decay in (0.0, 0.3, 0.97):
    weights = torch.tensor([[decay ** (t - s) if s <= t else 0.0 for s in range(40)] for t in range(40)]).double()
    plain = ewma(series, decay, False)
    assert_close(
        plain,
        (1 - decay) * (weights @ series),
        msg=lambda m, decay=decay: f"beta={decay}, not corrected: differs from (1-β) Σ β^(t-s) x_s\n{m}",
    )
    fair = ewma(series, decay)
    assert_close(
        fair,
        weights @ series / weights.sum(1),
        msg=lambda m, decay=decay: f"beta={decay}, corrected: differs from the weighted mean with weights β^(t-s)\n{m}",
    )


# %% hidden="ewma-input" points=1
def input_after():
    kept_ = torch.tensor([5.0, -1.0, 2.0])
    result = ewma(kept_, 0.8)
    return kept_, result


left, result = input_after()
assert_close(left, torch.tensor([5.0, -1.0, 2.0]), msg=lambda m: f"ewma changed its input in place\n{m}")
assert result.dtype == torch.float32 and tuple(result.shape) == (3,), (
    f"a float32 series of 3 gives a float32 series of 3, got {result.dtype}, {tuple(result.shape)}"
)
single = ewma(torch.tensor([7.0]).double(), 0.999)
assert_close(single, torch.tensor([7.0]).double(), msg=lambda m: f"a series of one value, corrected, is that value\n{m}")


# %% wrong="ewma-no-correction" fails="ewma-by-hand ewma-constant ewma-weights ewma-input"
def ewma(x, beta, bias_correct=True):
    v, out = 0.0, []
    for value in x:
        v = beta * v + (1 - beta) * value
        out.append(v)
    return torch.stack(out)


# %% [markdown] mistake="ewma-no-correction"
# Returns the uncorrected averages even when `bias_correct` is true.
#
# For `x = [4, 8]` and `beta = 0.75` you return (1, 2.75) with `bias_correct` true and false alike. A series 3, 3, 3 with `beta = 0.9`
# begins at 0.3, although no value of it is near 0.3. Where does your function look at `bias_correct`?

# %% wrong="ewma-correction-fed-back" fails="ewma-by-hand ewma-weights"
def ewma(x, beta, bias_correct=True):
    v, out = 0.0, []
    for t, value in enumerate(x, start=1):
        v = beta * v + (1 - beta) * value
        if bias_correct:
            v = v / (1 - beta**t)
        out.append(v)
    return torch.stack(out)


# %% [markdown] mistake="ewma-correction-fed-back"
# Goes on with the corrected value, so every later value is divided again.
#
# For `x = [4, 8]` and `beta = 0.75` the first value is 4, as it must be, but the second is 11.4, more than any value of `x`. The statement
# says from which value the recursion goes on. Write down by hand what your `v` is at the start of round 2.

# %% wrong="ewma-starts-at-first" fails="ewma-by-hand ewma-constant ewma-weights"
def ewma(x, beta, bias_correct=True):
    v, out = x[0], []
    for t, value in enumerate(x, start=1):
        v = beta * v + (1 - beta) * value
        out.append(v / (1 - beta**t) if bias_correct else v)
    return torch.stack(out)


# %% [markdown] mistake="ewma-starts-at-first"
# Starts the recursion at the first value of `x` instead of 0.
#
# For `x = [4, 8]` and `beta = 0.75` you get (4, 5) without correction, and 16 as first corrected value. The correction repairs a start at
# zero; after another start it spoils what was right. Which v₀ does the definition give?

# %% wrong="ewma-weights-swapped" fails="ewma-by-hand ewma-weights"
def ewma(x, beta, bias_correct=True):
    v, out = 0.0, []
    for t, value in enumerate(x, start=1):
        v = (1 - beta) * v + beta * value
        out.append(v / (1 - (1 - beta) ** t) if bias_correct else v)
    return torch.stack(out)


# %% [markdown] mistake="ewma-weights-swapped"
# Exchanges the two factors: the past gets 1 - `beta` and the new value gets `beta`.
#
# For `x = [4, 8]` and `beta = 0.75`, not corrected, you get (3, 6.75) instead of (1, 2.75). A constant series looks right after correction,
# so it cannot show this. A large `beta` means a long memory: which term of your sum is the memory?

# %% wrong="ewma-into-x" fails="ewma-by-hand ewma-input"
def ewma(x, beta, bias_correct=True):
    v = 0.0
    for t in range(1, len(x) + 1):
        v = beta * v + (1 - beta) * x[t - 1].item()
        x[t - 1] = v / (1 - beta**t) if bias_correct else v
    return x


# %% [markdown] mistake="ewma-into-x"
# Writes the averages into `x` itself and so destroys the caller's series.
#
# After the call with `x = [4, 8]` and `beta = 0.75`, the caller's `x` holds (4, 6.29). The returned numbers are right, but a second call
# with the same series would smooth the smoothed one. Print `x` after the call. Is what you return a new tensor?

# %% wrong="ewma-fixed-divisor" fails="ewma-by-hand ewma-constant ewma-weights"
def ewma(x, beta, bias_correct=True):
    v, out = 0.0, []
    for value in x:
        v = beta * v + (1 - beta) * value
        out.append(v / (1 - beta) if bias_correct else v)
    return torch.stack(out)


# %% [markdown] mistake="ewma-fixed-divisor"
# Divides by 1 - `beta` at every t, so the correction does not change with t.
#
# For `x = [4, 8]` and `beta = 0.75` the first value is right, but the second is 11, larger than both numbers that it averages; 3, 3, 3
# keeps growing. Add up the weights of the values seen so far, at t = 1 and at t = 2: are the two sums equal?

# %% right="ewma-weighted-mean"
def ewma(x, beta, bias_correct=True):
    out = []
    for t in range(1, len(x) + 1):
        powers = torch.tensor([float(beta) ** (t - s) for s in range(1, t + 1)], dtype=x.dtype)
        total = powers @ x[:t]
        out.append(total / powers.sum() if bias_correct else (1 - beta) * total)
    return torch.stack(out)


# %% [markdown] explanation="ewma"
# With v₀ = 0 the weights of the values seen so far sum to 1 - β^t, and dividing by that sum makes a true weighted mean:
# a constant series shows it at once.
# The corrected value must not go back into the recursion, or every later value is divided again.
# Starting at v₀ = x₁ instead is another cure: it gives the first value a weight that a noisy first value does not deserve.
# With β = 0.5 swapped factors cannot be seen, which is why no check uses it.

# %% [markdown]
# ## When the surface has more than one valley
#
# A loss that is not convex is **non-convex** (非凸).
# A **local minimum** (局部极小) is a point with no lower point near it, a **global minimum** (全局最小) one with no lower point anywhere.
# For a convex loss every local minimum is global.
# Our wave is not so kind: we start from three frequencies.
# The step size is tiny because its valleys are sharply curved: at the bottom of the deepest $\lambda$ is 12,000, so the bound is 0.00017.

# %%
starts = [1.15, 1.35, 2.2]
walks = [descend(wave_loss, s, lr=1e-5, n_steps=200) for s in starts]
fig, ax = plt.subplots(figsize=(7.5, 3.2))
cycles = torch.linspace(0.5, 3, 400).double()
ax.plot(cycles, wave_loss(cycles), color="0.4")
for trail_, colour in zip(walks, ["tab:green", "tab:red", "tab:orange"], strict=True):
    ax.plot(trail_, wave_loss(trail_), ".-", color=colour, ms=4)
    ax.plot(trail_[0], wave_loss(trail_[0]), "o", color=colour, label=f"from {trail_[0]:.3g} to {trail_[-1]:.3g}")
ax.set(xlabel="cycles a year", ylabel="loss (°C)²", title="Each start rolls into its own valley")
ax.legend(loc="lower right")
plt.show()

# %% [markdown]
# Only the first start finds the global minimum; 1.35 is so near and ends in a shallow local one.
# Gradient descent is a local method: it promises no more than the valley it stands in.
#
# ## Flat, but not a minimum
#
# Where the gradient is zero, a point is **stationary** (驻点), and no more is known.
# "The gradient is 0, so it is a saddle" (or "so it is a minimum") is a common mistake: the gradient cannot tell; the Hessian can,
# by the signs of its eigenvalues $\lambda$ at that point.
#
# | eigenvalues of $H$ | the point is |
# |---|---|
# | all positive | a local minimum |
# | all negative | a local maximum |
# | some positive and some negative | a **saddle** (鞍点): up one way, down another |
# | none of these (some zero, the rest of one sign) | undecided, **degenerate** (退化): compare $x^4$, $-x^4$, $x^3$ at 0 |
#
# The determinant, the *product* of the eigenvalues, is not enough: two negative ones have a positive product.
#
# Two weights in a row, $p = u\,v\,x$, are the simplest model with a saddle.
# For one sample $x = y = 1$ the loss is $L(u, v) = (1 - uv)^2$.


# %%
def product_loss(point: torch.Tensor) -> torch.Tensor:
    """(1 - u v)² for points (..., 2)."""
    return (1 - point[..., 0] * point[..., 1]).square()


middle = torch.zeros(2).double()
bend = torch.autograd.functional.hessian(product_loss, middle)
print("gradient at (0, 0):", torch.autograd.functional.jacobian(product_loss, middle).tolist())
print("Hessian:", bend.tolist(), " eigenvalues:", [round(v, 6) for v in torch.linalg.eigvalsh(bend).tolist()])

# %% [markdown]
# The gradient at the origin is zero and the eigenvalues are −2 and 2: a saddle.
# We start once exactly on the line $u = -v$, which leads down into it, and once a thousandth beside that line.

# %%
stuck = descend(product_loss, [1.2, -1.2], lr=0.05, n_steps=150)
freed = descend(product_loss, [1.2, -1.199], lr=0.05, n_steps=150)
print("distance from the line u = -v:", [f"{freed[n].sum() / 2**0.5:.1g}" for n in (0, 30, 60, 90)])

# %%
u_axis = torch.linspace(-1.4, 1.4, 57).double()
sheet = torch.stack(torch.meshgrid(u_axis, u_axis, indexing="ij"), dim=-1)
fig = plt.figure(figsize=(10.5, 4.4))
ax = fig.add_subplot(1, 2, 1, projection="3d", computed_zorder=False)
ax.plot_surface(*sheet.unbind(-1), product_loss(sheet), cmap="viridis", alpha=0.7, rcount=57, ccount=57, lw=0)
flat_ax = fig.add_subplot(1, 2, 2)
rings = flat_ax.contour(u_axis, u_axis, product_loss(sheet).T, levels=[0.1, 0.5, 1, 2, 4], cmap="viridis", linewidths=0.8)
flat_ax.clabel(rings, fontsize=7)
arm = torch.linspace(1 / 1.4, 1.4, 50)
for sign, label in [(1, "valley uv = 1, loss 0"), (-1, None)]:
    ax.plot(sign * arm, sign / arm, 0 * arm, "--", color="tab:blue", lw=1.5)
    flat_ax.plot(sign * arm, sign / arm, "--", color="tab:blue", lw=1.5, label=label)
paths = [(freed, "tab:red", 3, "a thousandth beside it: escapes"), (stuck, "black", 1, "exactly on u = −v: stuck")]
for path, colour, width, label in paths:
    ax.plot(path[:, 0], path[:, 1], product_loss(path), ".-", color=colour, ms=5, lw=width)
    flat_ax.plot(path[:, 0], path[:, 1], ".-", color=colour, ms=5, lw=width, label=label)
ax.set(xlabel="u", ylabel="v", zlabel="loss", title="loss (1 − uv)²")
ax.view_init(42, -115)
ax.set(xticks=[-1, 0, 1], yticks=[-1, 0, 1])
flat_ax.plot(0, 0, "X", color="white", mec="k", ms=10)
flat_ax.set(xlabel="u", ylabel="v", title="cross: the saddle", aspect="equal")
flat_ax.legend(fontsize=8, loc="upper left")
plt.show()

# %% [markdown]
# Both paths slide down to the saddle together and rest there for a while.
# Red's thousandth of a unit is multiplied, near the saddle, by $1 - \mathrm{lr} \cdot (-2) = 1.1$ at each step,
# and after some 60 steps it is large enough to fall off the side into the valley $uv = 1$.
# Black has no such component, and stays.
#
# So does gradient descent get stuck?
# We try 1,000 random starts.

# %%
_ = torch.manual_seed(0)
crowd = 4 * torch.rand(1000, 2).double() - 2
ends_of_crowd = descend(lambda points: product_loss(points).sum(), crowd, lr=0.05, n_steps=500)[-1]
print("at a minimum:", int((product_loss(ends_of_crowd) < 1e-6).sum()), "of 1000")

# %% [markdown]
# None got stuck.
# "Gradient descent hardly ever gets stuck" is an observation, not a law: true in this experiment and in much of practice,
# but not for black.
# And it says nothing about how *long* one waits near a saddle.

# %% [markdown]
# ### Exercise 8: name the stationary point (5 points)
#
# At a point where the gradient is zero the Hessian is the symmetric matrix `H` `(D, D)`.
# Write `classify_stationary(H, tol=1e-6)`, which returns one of four strings.
# An eigenvalue counts as positive if it is `> tol`, as negative if it is `< -tol`, otherwise as zero.
#
# - `"saddle"`: at least one positive and at least one negative (whatever the others are),
# - `"minimum"`: all positive, `"maximum"`: all negative,
# - `"degenerate"`: everything else. The second derivatives do not decide.
#
# By hand: `[[0, -2], [-2, 0]]` has the eigenvalues ±2, although no entry is positive: `"saddle"`.
# `[[2, 0], [0, 0]]` is `"degenerate"`.
#
# <details><summary>Hint 1</summary>Can you tell all four apart from the smallest and the largest eigenvalue alone?</details>
# <details><summary>Hint 2</summary><code>torch.linalg.eigvalsh(H)</code> is sorted: look at the first and the last.</details>


# %% exercise="classify"
def classify_stationary(H: torch.Tensor, tol: float = 1e-6) -> str:
    """Return "minimum", "maximum", "saddle" or "degenerate" for the symmetric Hessian H (D, D) at a stationary point."""
    # BEGIN SOLUTION
    values = torch.linalg.eigvalsh(H)
    if values[0] < -tol and values[-1] > tol:
        return "saddle"
    if values[0] > tol:
        return "minimum"
    return "maximum" if values[-1] < -tol else "degenerate"
    # END SOLUTION


# %% check="classify-four" points=1
got = [classify_stationary(torch.diag(torch.tensor(d))) for d in ([3.0, 1.0], [-3.0, -1.0], [3.0, -1.0], [2.0, 0.0])]
kinds = [type(name).__name__ for name in got]
assert kinds == ["str"] * 4, f"classify_stationary must return a string, got {kinds}. NoneType: no `return` was reached"
assert got == ["minimum", "maximum", "saddle", "degenerate"], (
    f"diagonals (3, 1), (-3, -1), (3, -1), (2, 0) are minimum, maximum, saddle, degenerate (in small letters), got {got}. "
    f"(-3, -1) has a positive determinant too; downhill on all sides is a maximum; an eigenvalue 0 is neither up nor down"
)
print("passed: the four kinds (tol: a hidden test)")

# %% check="classify-not-the-entries" points=1
got = [classify_stationary(torch.tensor(m)) for m in ([[0.0, -2.0], [-2.0, 0.0]], [[1.0, 3.0], [3.0, 1.0]], [[2.0, -1.0], [-1.0, 2.0]])]
kinds = [type(name).__name__ for name in got]
assert kinds == ["str"] * 3, f"classify_stationary must return a string, got {kinds}. NoneType: no `return` was reached"
assert got == ["saddle", "saddle", "minimum"], (
    f"eigenvalues (-2, 2), (-2, 4), (1, 3): saddle, saddle, minimum (small letters), got {got}. "
    f"Entries, even diagonal ones, are not eigenvalues"
)
got = [classify_stationary(torch.diag(torch.tensor(d))) for d in ([-1.0, -1.0, 3.0], [1.0, -1.0, 0.0])]
assert got == ["saddle", "saddle"], (
    f"diagonals (-1, -1, 3) and (1, -1, 0) have a way up and a way down: saddle twice, got {got}: does the product (3, 0) decide?"
)
print("passed: the eigenvalues decide, not the entries, nor the determinant")

# %% hidden="classify-rotated" points=2
_ = torch.manual_seed(10)
cases = {
    (4.0, 1.0, 2.0): "minimum",
    (-1.0, -2.0, -5.0): "maximum",
    (-1.0, -2.0, 5.0): "saddle",
    (3.0, -0.5, 0.0): "saddle",
    (-3.0, 0.0, 0.0): "degenerate",
    (0.0, 0.0, 0.0): "degenerate",
    (-1.0, -1.0, 1.0, 1.0): "saddle",
    (-7.0,): "maximum",
}
for eigenvalues, name in cases.items():
    turn = torch.linalg.qr(torch.randn(len(eigenvalues), len(eigenvalues)).double()).Q
    answer = classify_stationary(turn @ torch.diag(torch.tensor(eigenvalues).double()) @ turn.T)
    assert answer == name, f"a symmetric matrix with the eigenvalues {eigenvalues}: expected '{name}', got {answer!r}"

# %% hidden="classify-tolerance" points=1
table = {
    (0.25, 1.0): "degenerate",
    (-0.25, 1.0): "degenerate",
    (-0.25, 0.25): "degenerate",
    (-1.0, 0.25): "degenerate",
    (-1.0, -0.25): "degenerate",
    (-0.125, -1.0): "degenerate",
    (0.125, 1.0): "degenerate",
    (0.5, 1.0): "minimum",
    (-0.5, -1.0): "maximum",
    (-0.5, 0.5): "saddle",
}
for pair, name in table.items():
    answer = classify_stationary(torch.diag(torch.tensor(pair)), tol=0.25)
    assert answer == name, f"eigenvalues {pair} with tol=0.25 (exactly ±0.25 counts as zero): expected '{name}', got {answer!r}"
tiny = [classify_stationary(torch.diag(torch.tensor([1.0, small]).double())) for small in (2e-6, 5e-7, -5e-7, -2e-6)]
assert tiny == ["minimum", "degenerate", "degenerate", "saddle"], (
    f"with the default tol=1e-6, eigenvalues 1 and 2e-6, 5e-7, -5e-7, -2e-6: got {tiny}"
)


# %% wrong="classify-determinant" fails="classify-four classify-not-the-entries classify-rotated"
def classify_stationary(H, tol=1e-6):
    d = torch.linalg.det(H)
    return "minimum" if d > tol else "saddle" if d < -tol else "degenerate"


# %% [markdown] mistake="classify-determinant"
# Decides by the sign of the determinant alone and never answers "maximum".
#
# With the eigenvalues -3 and -1 the determinant is 3, and you answer "minimum". With -1, -1 and 2 it is 2, and you answer "minimum" again,
# although there is a way down. A product forgets signs. What does the table in the text ask of the eigenvalues?

# %% wrong="classify-determinant-and-corner" fails="classify-not-the-entries classify-rotated"
def classify_stationary(H, tol=1e-6):
    d, corner = torch.linalg.det(H), H[0, 0]
    if abs(d) <= tol:
        return "degenerate"
    if d < 0:
        return "saddle"
    return "minimum" if corner > tol else "maximum"


# %% [markdown] mistake="classify-determinant-and-corner"
# Decides by the determinant and one corner entry, a rule for two dimensions only.
#
# The diagonal (-1, -1, 2) has a positive determinant and a negative corner, so you answer "maximum", though one axis leads up. For (-1, -1,
# -1) you answer "saddle". Why does the sign of a product of three numbers tell less than that of two?

# %% wrong="classify-diagonal" fails="classify-not-the-entries"
def classify_stationary(H, tol=1e-6):
    d = H.diagonal()
    if (d > tol).any() and (d < -tol).any():
        return "saddle"
    return "minimum" if (d > tol).all() else "maximum" if (d < -tol).all() else "degenerate"


# %% [markdown] mistake="classify-diagonal"
# Reads the signs of the diagonal entries instead of the eigenvalues.
#
# For [[1, 2], [2, 1]] both diagonal entries are positive and you answer "minimum", yet the eigenvalues are -1 and 3. The two are sure to
# agree only where all other entries are 0. Try your function on the first example of the statement, whose diagonal is 0, 0.

# %% wrong="classify-no-tolerance" fails="classify-tolerance"
def classify_stationary(H, tol=1e-6):
    e = torch.linalg.eigvalsh(H)
    if e.min() >= 0:
        return "minimum"
    return "maximum" if e.max() <= 0 else "saddle"


# %% [markdown] mistake="classify-no-tolerance"
# Compares the eigenvalues with 0 instead of `tol`, and never answers "degenerate".
#
# For the eigenvalues 2 and 0 you answer "minimum", for -2 and 0 "maximum", and with `tol=0.5` the pair 0.1 and 1 is a "minimum" too. Read
# how the statement counts an eigenvalue near zero, and which of the four names is left for such points.

# %% wrong="classify-zero-first" fails="classify-not-the-entries classify-rotated"
def classify_stationary(H, tol=1e-6):
    e = torch.linalg.eigvalsh(H)
    if (e.abs() <= tol).any():
        return "degenerate"
    return "minimum" if e[0] > 0 else "maximum" if e[-1] < 0 else "saddle"


# %% [markdown] mistake="classify-zero-first"
# Answers "degenerate" as soon as one eigenvalue is zero, even at a saddle.
#
# For the eigenvalues 1, -1 and 0 you answer "degenerate", though there is a way up and a way down already. The statement says of a saddle
# "whatever the others are". In which order do your tests stand, and which one answers here?

# %% right="classify-counts"
def classify_stationary(H, tol=1e-6):
    e = torch.linalg.eigh(H).eigenvalues
    up, down = int((e > tol).sum()), int((e < -tol).sum())
    names = {(True, True): "saddle", (up == len(e), False): "minimum", (False, down == len(e)): "maximum"}
    return names.get((up > 0, down > 0), "degenerate") if up * down or up + down == len(e) else "degenerate"


# %% [markdown] explanation="classify"
# The smallest and the largest eigenvalue hold everything: smallest > 0 is a minimum, largest < 0 a maximum, opposite signs a saddle.
# In two dimensions determinant and corner entry are enough (negative product: saddle), which is why the school rule survives;
# with three or more they are not: (-1, -2, 5) has a positive product.
# A zero beside two opposite signs is still a saddle: one way up and one way down are there already.
# The tolerance is absolute, so it has the units of the Hessian; after rescaling the loss, rescale it too.
# In float32 rounding alone can move a zero eigenvalue beyond 1e-6, so the rotated cases are float64.

# %% [markdown]
# ### Exercise 9: the way out of a saddle (5 points)
#
# At a saddle the gradient gives no direction.
# Near it, a small step $v$ changes the loss by about $\frac12 v^\top H v$,
# and among all $v$ of length 1 this is smallest for the eigenvector of the smallest eigenvalue.
#
# Write `escape_saddle(H, tol=1e-6)` for a symmetric `H` `(D, D)`.
# Return a unit eigenvector `(D,)` of the most negative eigenvalue, in `H`'s dtype.
# Either sign is right: both ways lead down.
# If no eigenvalue is `< -tol` there is no such way, and the result is `None`.
#
# By hand: `[[0, -2], [-2, 0]]` has the eigenvalue −2 along $(1, 1)/\sqrt2$ (or its negative): off the line $u = -v$, as red did.
#
# <details><summary>Hint 1</summary>Which eigenvector is the way <em>up</em>,
# and where does each stand in the result of <code>torch.linalg.eigh</code>?</details>
# <details><summary>Hint 2</summary><code>eigh</code> returns ascending eigenvalues and a matrix whose <em>columns</em> are the
# eigenvectors, of length 1 already.</details>


# %% exercise="escape"
def escape_saddle(H: torch.Tensor, tol: float = 1e-6) -> torch.Tensor | None:
    """Return a unit eigenvector (D,) of the most negative eigenvalue of the symmetric H (D, D), or None if none is < -tol."""
    # BEGIN SOLUTION
    values, vectors = torch.linalg.eigh(H)
    return vectors[:, 0] if values[0] < -tol else None
    # END SOLUTION


# %% check="escape-by-hand" points=1
got = escape_saddle(torch.tensor([[0.0, -2.0], [-2.0, 0.0]]))
assert type(got) is torch.Tensor and tuple(got.shape) == (2,), f"for a (2, 2) saddle the result is a tensor of shape (2,), got {got!r}"
assert got.dtype == torch.float32, f"a float32 matrix gives a float32 direction, got {got.dtype}. complex64: eig for eigh"
assert abs(got.norm().item() - 1) < 1e-4, f"the direction must have length 1, got {got} of length {got.norm().item():.4g}"
assert_close(got * got[0].sign(), torch.tensor([0.5, 0.5]).sqrt(), msg=lambda m: f"down is ±(1, 1)/√2, got {got}: (1, -1) leads up\n{m}")
got = escape_saddle(torch.diag(torch.tensor([-1.0, 3.0, -2.0])))
assert type(got) is torch.Tensor and tuple(got.shape) == (3,), (
    f"diag(-1, 3, -2) has negative eigenvalues: a tensor of shape (3,) expected, got {got!r}. "
    f"None: was the eigenvalue largest in size, 3, looked at?"
)
assert_close(
    got.abs(),
    torch.tensor([0.0, 0.0, 1.0]),
    msg=lambda m: (
        f"the diagonal (-1, 3, -2) has -2 along ±(0, 0, 1), got {got}. "
        f"Second axis: a row of the matrix, or the eigenvalue largest in size; first: not the most negative\n{m}"
    ),
)
print("passed: down from two saddles")

# %% check="escape-none" points=1
got = [escape_saddle(torch.eye(3)), escape_saddle(torch.diag(torch.tensor([2.0, 0.0])))]
assert got == [None, None], f"a minimum and the eigenvalues (2, 0) have no way down of second order: None expected, got {got}"
print("passed: None where no eigenvalue is negative (tol: a hidden test)")

# %% hidden="escape-steepest" points=2
_ = torch.manual_seed(12)
for eigenvalues in ((-0.5, 3.0, -4.0, 1.0), (-2.0, 9.0, 0.5), (-1.0, -3.0), (-5.0,)):
    size = len(eigenvalues)
    turn = torch.linalg.qr(torch.randn(size, size).double()).Q
    bent = turn @ torch.diag(torch.tensor(eigenvalues).double()) @ turn.T
    way = escape_saddle(bent)
    assert type(way) is torch.Tensor and way.dtype == torch.float64 and tuple(way.shape) == (size,), (
        f"expected a float64 tensor of shape ({size},), got {way!r}"
    )
    assert_close(way @ way, torch.tensor(1.0).double(), msg=lambda m: f"the direction must have length 1\n{m}")
    assert_close(
        bent @ way,
        min(eigenvalues) * way,
        msg=lambda m, e=eigenvalues: (
            f"eigenvalues {e}: the result is not an eigenvector of the smallest, {min(e)} (a row of the matrix instead of a column?)\n{m}"
        ),
    )

# %% hidden="escape-tolerance" points=1
given = [escape_saddle(torch.diag(torch.tensor([1.0, least])), tol=0.25) for least in (-0.25, -0.125, 0.125, -0.5)]
assert given[:3] == [None] * 3, f"tol=0.25: eigenvalues -0.25, -0.125 and 0.125 are not < -0.25, so None, got {given[:3]}"
assert_close(
    given[3].abs(),
    torch.arange(2.0),
    msg=lambda m: f"tol=0.25 and the eigenvalue -0.5: the second axis, either sign, got {given[3]}\n{m}",
)
given = [escape_saddle(torch.diag(torch.tensor([1.0, least]).double())) is None for least in (-5e-7, -2e-6)]
assert given == [True, False], f"with the default tol=1e-6 the eigenvalue -5e-7 gives None and -2e-6 a direction; None? {given}"


# %% wrong="escape-uphill" fails="escape-by-hand escape-steepest escape-tolerance"
def escape_saddle(H, tol=1e-6):
    e, Q = torch.linalg.eigh(H)
    return Q[:, -1] if e[0] < -tol else None


# %% [markdown] mistake="escape-uphill"
# Returns the eigenvector of the largest eigenvalue, the way up.
#
# For [[0, -2], [-2, 0]] you return a multiple of (1, -1), along which the loss rises on both sides. Compute v · Hv for your vector v by
# hand: which eigenvalue do you get, and which one does the statement ask for? Mind the order in which `eigh` gives them.

# %% wrong="escape-row" fails="escape-by-hand escape-steepest"
def escape_saddle(H, tol=1e-6):
    e, Q = torch.linalg.eigh(H)
    return Q[0] if e[0] < -tol else None


# %% [markdown] mistake="escape-row"
# Returns a row of the matrix of eigenvectors.
#
# In two dimensions it can be right by accident, as in the first example. For the diagonal (-1, 3, -2) you return (0, 1, 0), and H times
# that vector is 3 times it: the way up. Read in the second hint how the eigenvectors lie in the matrix, and test H v = λ v.

# %% wrong="escape-always" fails="escape-none escape-tolerance"
def escape_saddle(H, tol=1e-6):
    return torch.linalg.eigh(H).eigenvectors[:, 0]


# %% [markdown] mistake="escape-always"
# Returns a direction even when no eigenvalue is below -`tol`.
#
# For the identity matrix every eigenvalue is 1, so every direction leads up, and you return one of them. The statement says what the result
# is where there is no way down. Which number must be looked at before a vector is returned?

# %% wrong="escape-largest-in-size" fails="escape-by-hand escape-steepest"
def escape_saddle(H, tol=1e-6):
    e, Q = torch.linalg.eigh(H)
    return Q[:, e.abs().argmax()] if e[0] < -tol else None


# %% [markdown] mistake="escape-largest-in-size"
# Chooses the eigenvalue that is largest in absolute value instead of the most negative.
#
# For the diagonal (5, -1) you return (1, 0), along which the loss rises, because 5 is larger in size than -1. The sign tells up from down
# and must not get lost. Order the numbers 5 and -1 on a line: which one is lowest?

# %% wrong="escape-any-negative" fails="escape-by-hand escape-steepest"
def escape_saddle(H, tol=1e-6):
    e, Q = torch.linalg.eigh(H)
    negative = (e < -tol).nonzero().flatten()
    return Q[:, negative[-1]] if len(negative) else None


# %% [markdown] mistake="escape-any-negative"
# Takes a negative eigenvalue, but not the most negative one.
#
# For the diagonal (-4, -1) you return (0, 1), where the loss falls along -1, while -4 falls faster. For the diagonal (-1, 3, -2) you return
# the first axis. Several eigenvalues can be below -`tol`: print them and see which one yours belongs to.

# %% wrong="escape-not-unit" fails="escape-by-hand escape-steepest"
def escape_saddle(H, tol=1e-6):
    e, Q = torch.linalg.eigh(H)
    return Q[:, 0] * e[0] if e[0] < -tol else None


# %% [markdown] mistake="escape-not-unit"
# Returns the right direction, but its length is not 1.
#
# For [[0, -2], [-2, 0]] you return (1.414, 1.414) up to sign, which has length 2, the size of the eigenvalue. The statement asks for a unit
# vector. Print the length of what `eigh` gives you and the length of what you return.

# %% right="escape-argmin"
def escape_saddle(H, tol=1e-6):
    pairs = torch.linalg.eigh(-H)
    k = int(pairs.eigenvalues.argmax())
    if pairs.eigenvalues[k] <= tol:
        return None
    return -pairs.eigenvectors.T[k]


# %% [markdown] explanation="escape"
# The eigenvector of a positive eigenvalue leads up, on both sides; any negative one leads down, the most negative one fastest.
# `eigh` gives columns; a row of that matrix is only right by accident, in two dimensions often.
# `None` is an honest answer: at a minimum there is nowhere to go,
# and where the smallest eigenvalue is zero one would need higher derivatives.
# In large networks the Hessian is never formed; the noise of mini-batches supplies the nudge.

# %% [markdown]
# ## The real task
#
# We now predict two things that we have not seen: the temperatures of 2015, and the progress of diabetes in 100 patients.
# First, a program that is common in lecture notes has to be repaired.
#
# ```python
# for epoch in range(100000):
#     prediction = model(data)
#     loss = MSELoss(reduction="sum")(prediction, target)
#     print(epoch, loss.item())
#     ...
# ```
#
# It runs 100,000 epochs whether it needs 50 or a million, prints every one, has a step size that is right for one number of rows only,
# and if it diverges it prints `nan` to the end.

# %% [markdown]
# ### Exercise 10: repair the program (6 points)
#
# Write `fit(X, y, lr, tol=1e-6, max_steps=100_000)`, a full-batch gradient descent on the **mean** of the squares,
# from zeros of `X`'s dtype.
# `X` is `(N, D)`, `y` `(N,)`. It returns `(w, n_steps)`, the weights `(D,)` and the number of updates made, an `int`, and prints nothing.
# Before each update it looks at the Euclidean length (norm) of the gradient:
#
# - not finite (`inf` or `nan`): raise `FloatingPointError`, an exception of Python's own: the descent has diverged;
# - at most `tol` (equality included): stop, and return what we have.
#
# After `max_steps` updates it stops too and returns `w` as it is, without another look at the gradient.
# (In float32 a gradient of 1e-6 may be below the rounding error and never be reached: pass a larger `tol`.)
#
# By hand: `X = [[1]]`, `y = [8]`, `lr = 0.25`, `tol = 1`: the gradient is −16, −8, −4, −2, −1 at $w = 0, 4, 6, 7, 7.5$,
# so the result is `([7.5], 4)`.
# Use the formula of the gradient, not autograd.
#
# <details><summary>Hint 1</summary>How many updates have been made when the loop variable of <code>range(max_steps)</code> is k and the
# update of this round has not happened?</details>
# <details><summary>Hint 2</summary>In each round: gradient, its <code>.norm()</code>, the two tests, the update.
# <code>torch.isfinite</code> knows both inf and nan.</details>


# %% exercise="fit"
def fit(X: torch.Tensor, y: torch.Tensor, lr: float, tol: float = 1e-6, max_steps: int = 100_000) -> tuple[torch.Tensor, int]:
    """Return w (D,) and the number of updates of gradient descent on mean((X w - y)²), stopped at a gradient norm <= tol.

    Raises FloatingPointError when the norm of the gradient is not finite.
    """
    # BEGIN SOLUTION
    w = torch.zeros(X.shape[1], dtype=X.dtype)
    for n_steps in range(max_steps):
        gradient = 2 * X.T @ (X @ w - y) / len(y)
        if not gradient.norm().isfinite():
            raise FloatingPointError(f"diverged after {n_steps} steps: lr={lr} is too large")
        if gradient.norm() <= tol:
            return w, n_steps
        w = w - lr * gradient
    return w, max_steps
    # END SOLUTION


# %% check="fit-by-hand" points=1
got = fit(torch.tensor([[1.0]]), torch.tensor([8.0]), 0.25, tol=1.0)
assert type(got) is tuple and len(got) == 2, (
    f"fit must return a tuple of two, (w, n_steps), got {type(got).__name__}. NoneType: no `return`"
)
w, n_steps = got
assert type(w) is torch.Tensor and type(n_steps) is int, (
    f"w must be a tensor and n_steps an int, in this order, got {type(w).__name__} and {type(n_steps).__name__}"
)
assert n_steps == 4, (
    f"X = [[1]], y = [8], lr 0.25, tol 1: the gradient is 1 in length after 4 updates, got n_steps={n_steps}. "
    f"5: < for <=, or counted or updated before the test; 8: the 2 of 2/N is lost; 3: the loss was compared, or k is one behind; "
    f"100000: the test never ended the loop"
)
assert_close(w, torch.tensor([7.5]), msg=lambda m: f"after those 4 updates w is 7.5, got {w}\n{m}")
got = fit(2 * torch.eye(2), torch.tensor([3.0, 4.0]), 0.1, tol=9.0)
assert type(got) is tuple and len(got) == 2, f"fit must return a tuple of two, got {type(got).__name__}"
n_steps = got[1]
assert n_steps == 1, f"X = 2 I, y = (3, 4): the gradient (-6, -8) has length 10 > tol = 9, so 1 update, got {n_steps}: largest entry (8)?"
print("passed: stops at the first gradient that is small enough")

# %% check="fit-data-size" points=1
X = torch.tensor([[1.0, 1.0], [2.0, 1.0], [4.0, 1.0], [5.0, 1.0]]).double()
y = torch.tensor([1.0, 2.0, 2.0, 4.0]).double()


def result_of(copies, step):
    try:
        return fit(X.repeat(copies, 1), y.repeat(copies), step, max_steps=2000)
    except (ArithmeticError, ValueError) as error:
        return type(error).__name__


once, thrice, beyond = result_of(1, 0.07), result_of(3, 0.07), result_of(1, 0.5)
for copies, result in ((1, once), (3, thrice)):
    assert type(result) is not str, (
        f"lr 0.07 is stable for the mean (the bound is 0.081), yet with {4 * copies} rows fit raised {result}: is the sum descended?"
    )
    assert type(result) is tuple, f"fit must return a tuple of the weights and the number of steps, got {result!r}"
    assert type(result[0]) is torch.Tensor, f"w, the first of the two, must be a tensor, got {type(result[0]).__name__}"
    assert result[0].isfinite().all(), (
        f"with {4 * copies} rows and lr 0.07 fit returned {result[0]}: the descent diverged and no FloatingPointError was raised; "
        "is the sum descended?"
    )
assert_close(
    once[0],
    torch.linalg.lstsq(X, y[:, None]).solution[:, 0],
    rtol=0,
    atol=1e-5,
    msg=lambda m: f"with the default tol the result agrees with the closed form\n{m}",
)
assert_close(thrice[0], once[0], rtol=0, atol=1e-6, msg=lambda m: f"every row three times must not change the result: mean or sum?\n{m}")
assert abs(once[1] - thrice[1]) <= 1, f"nor the number of steps: {once[1]} and {thrice[1]}"
assert beyond == "FloatingPointError", f"lr 0.5 is beyond the bound: FloatingPointError within 2,000 steps expected, got {beyond}"
print("passed: the same lr serves 4 rows and 12, and a step too long is an error")

# %% hidden="fit-limits" points=2
one, eight = torch.ones(1, 1), torch.full((1,), 8.0)
limited = [fit(one, eight, 0.25, tol=0.0, max_steps=limit) for limit in (0, 1, 3)]
assert [n for _, n in limited] == [0, 1, 3], f"with tol=0 and max_steps 0, 1, 3 the updates are 0, 1, 3, got {[n for _, n in limited]}"
assert_close(
    [v for v, _ in limited], [torch.tensor([p]) for p in (0.0, 4.0, 7.0)], msg=lambda m: f"0, 1, 3 updates from zero lead to 0, 4, 7\n{m}"
)
tight = [fit(one, eight, 0.25, tol=limit)[1] for limit in (16.0, 15.9, 1.001, 0.999)]
assert tight == [0, 1, 4, 5], f"tol 16, 15.9, 1.001, 0.999 stop after 0, 1, 4, 5 updates, got {tight}"
diagonal = fit(torch.eye(2).double() * 2, torch.tensor([3.0, 4.0]).double(), 0.1, tol=10.0)
assert diagonal[1] == 0, (
    f"the gradient (-6, -8) has the Euclidean length 10, so tol=10 stops at once, got {diagonal[1]} updates: largest entry, or sum?"
)
diagonal = fit(torch.eye(2).double() * 2, torch.tensor([3.0, 4.0]).double(), 0.1, tol=9.9)
assert diagonal[1] == 1, f"and tol=9.9 needs one update, got {diagonal[1]}"


# %% hidden="fit-diverges" points=1
def ending(step, n):
    try:
        return fit(torch.tensor([[1.0], [3.0]]), torch.tensor([1.0, 2.0]), step, max_steps=n)[1]
    except Exception as trouble:
        return type(trouble).__name__


outcomes = [ending(0.25, 2000), ending(0.25, 3), ending(float("nan"), 5)]
assert outcomes == ["FloatingPointError", 3, "FloatingPointError"], (
    f"lr 0.25 > 0.2 diverges: FloatingPointError within 2,000 steps, 3 after only 3; lr nan: FloatingPointError, got {outcomes}"
)


# %% hidden="fit-quiet" points=1
def printed():
    import contextlib
    import io

    paper = io.StringIO()
    with contextlib.redirect_stdout(paper):
        found, count = fit(torch.arange(6.0).reshape(3, 2).double(), torch.tensor([1.0, 0.0, 2.0]).double(), 0.02, max_steps=40)
    return paper.getvalue(), found, count


text, found, count = printed()
assert text == "", f"fit must print nothing, it printed {text[:40]!r}"
rows_, line = torch.arange(6.0).reshape(3, 2).double(), torch.zeros(2).double()
for _ in range(40):
    line = line - 0.02 * 2 / 3 * ((rows_ @ line - torch.tensor([1.0, 0.0, 2.0]).double()) @ rows_)
assert_close(found, line, msg=lambda m: f"40 updates on 3 rows of 2 features differ from gradient descent on the mean of the squares\n{m}")
assert count == 40, f"max_steps=40 was reached before tol=1e-6, got {count} updates"


# %% wrong="fit-sum" fails="fit-data-size fit-quiet"
def fit(X, y, lr, tol=1e-6, max_steps=100_000):
    w = X.new_zeros(X.shape[1])
    for k in range(max_steps):
        g = 2 * X.T @ (X @ w - y)
        if not torch.isfinite(g).all():
            raise FloatingPointError("diverged")
        if g.norm() <= tol:
            return w, k
        w = w - lr * g
    return w, max_steps


# %% [markdown] mistake="fit-sum"
# Descends the sum of the squares, so the step depends on the number of rows.
#
# One row [1] with target 8, `lr = 0.25` and `tol = 1` gives ([7.5], 4), as in the example. Put the same row in five times and your descent
# diverges, though the mean is the same loss. What in your gradient grows with the number of rows?

# %% wrong="fit-prints-to-the-end" fails="fit-by-hand fit-data-size fit-limits fit-diverges fit-quiet"
def fit(X, y, lr, tol=1e-6, max_steps=100_000):
    w = X.new_zeros(X.shape[1])
    for k in range(min(max_steps, 3000)):
        w = w - lr * 2 * X.T @ (X @ w - y) / len(y)
        if k % 500 == 0:
            print(k, w)
    return w, max_steps


# %% [markdown] mistake="fit-prints-to-the-end"
# Never looks at the gradient: runs to the end, prints on the way, and cannot tell divergence.
#
# For the example by hand you report 100,000 updates instead of 4, and with a step too long you return `nan` without an error. The statement
# asks for two tests before each update, and for silence. Which number do both tests look at?

# %% wrong="fit-loss-small" fails="fit-by-hand fit-limits"
def fit(X, y, lr, tol=1e-6, max_steps=100_000):
    w = X.new_zeros(X.shape[1])
    for k in range(min(max_steps, 3000)):
        r = X @ w - y
        if not torch.isfinite(r).all():
            raise FloatingPointError("diverged")
        if r.square().mean() <= tol:
            return w, k
        w = w - lr * 2 * X.T @ r / len(y)
    return w, max_steps


# %% [markdown] mistake="fit-loss-small"
# Stops when the loss is small instead of when the gradient is small.
#
# In the example you stop at w = 7 after 3 updates, where the loss is 1 but the gradient is -2. For `X = [[1], [1]]`, `y = [0, 2]` no `w`
# has a loss below 1, so with `tol = 0.1` you run to the limit. What is near 0 at every minimum?

# %% wrong="fit-nan-silently" fails="fit-data-size fit-diverges"
def fit(X, y, lr, tol=1e-6, max_steps=100_000):
    w = X.new_zeros(X.shape[1])
    for k in range(max_steps):
        g = 2 * X.T @ (X @ w - y) / len(y)
        if g.norm() <= tol:
            return w, k
        w = w - lr * g
    return w, max_steps


# %% [markdown] mistake="fit-nan-silently"
# Never checks that the gradient is finite, so a diverged run returns `nan` without an error.
#
# For `X = [[1]]`, `y = [8]`, `lr = 2` and `max_steps=2000` you make all 2,000 updates and return [nan]. Any comparison with `nan` is false,
# so your test against `tol` never stops such a run. What does the statement say of `inf` and `nan`?

# %% wrong="fit-largest-entry" fails="fit-by-hand fit-limits"
def fit(X, y, lr, tol=1e-6, max_steps=100_000):
    w = X.new_zeros(X.shape[1])
    for k in range(max_steps):
        g = 2 * X.T @ (X @ w - y) / len(y)
        if not torch.isfinite(g).all():
            raise FloatingPointError("diverged")
        if g.abs().max() <= tol:
            return w, k
        w = w - lr * g
    return w, max_steps


# %% [markdown] mistake="fit-largest-entry"
# Compares the largest entry of the gradient with `tol` instead of its length.
#
# For `X` = 2 I and `y` = (3, 4) the first gradient is (-6, -8). Its largest entry has size 8, and with `tol = 9` you stop at once, after 0
# updates. How long is this vector? With a single weight both measures agree.

# %% wrong="fit-one-more" fails="fit-by-hand fit-limits"
def fit(X, y, lr, tol=1e-6, max_steps=100_000):
    w = X.new_zeros(X.shape[1])
    for k in range(max_steps):
        g = 2 * X.T @ (X @ w - y) / len(y)
        if not torch.isfinite(g).all():
            raise FloatingPointError("diverged")
        w = w - lr * g
        if g.norm() <= tol:
            return w, k + 1
    return w, max_steps


# %% [markdown] mistake="fit-one-more"
# Makes one more update after the gradient is already small enough.
#
# In the example you return ([7.75], 5): at w = 7.5 the gradient was -1, small enough, and you moved all the same. If the descent starts at
# the minimum you report 1 update. In which order do the test and the update stand in the statement?

# %% right="fit-while"
def fit(X, y, lr, tol=1e-6, max_steps=100_000):
    w, n = X.new_zeros(X.shape[1]), 0
    while n < max_steps:
        g = ((X @ w - y)[:, None] * X).mean(dim=0).mul(2)
        size = float(torch.linalg.vector_norm(g))
        if size <= tol:
            break
        if size == float("inf") or size != size:
            raise FloatingPointError("the gradient is no longer finite")
        w, n = w - lr * g, n + 1
    return w, n


# %% [markdown] explanation="fit"
# Four repairs: the mean instead of the sum, a reason to stop, silence, and an error where the numbers have ceased to mean anything.
# A small *loss* is no reason to stop: the smallest loss of noisy data is not zero, and the program would run to its limit.
# A small gradient is one, for a convex loss; elsewhere it says "stationary", and exercise 8 asks what kind.
# `nan <= tol` is false, so without the test for finite numbers a diverged run looks like a slow one.

# %% [markdown]
# ### Tomorrow's maximum, in 2015
#
# Six inputs: today's maximum, minimum, rain and wind, and the season of tomorrow's date as a point on a circle (sine and cosine).
# Each is **standardised** (标准化): minus its mean, divided by its standard deviation, both taken *from the training years only*.
# The test set is the end of the series, so nothing of the future leaks into the past.

# %%
season = 2 * torch.pi * torch.tensor(weather["date"].dt.dayofyear.to_numpy()) / 365.25
today = torch.tensor(weather[["temp_max", "temp_min", "precipitation", "wind"]].to_numpy())[:-1]
inputs_w = torch.cat([today, season[1:, None].sin(), season[1:, None].cos()], dim=1)  # (1460, 6)
targets_w = t_max[1:]
is_train = torch.arange(1460) < n_train
print("training:", int(is_train.sum()), "days   test:", int((~is_train).sum()), "days from", weather["date"][n_train + 1].date())


# %%
def standardised(inputs: torch.Tensor, train: torch.Tensor) -> torch.Tensor:
    """Columns scaled by the mean and deviation of the rows in `train`, and a column of ones, (N, D + 1)."""
    mean, deviation = inputs[train].mean(0), inputs[train].std(0, correction=0)
    return torch.cat([(inputs - mean) / deviation, torch.ones(len(inputs), 1).double()], dim=1)


# %%
def compare(name: str, rows: torch.Tensor, truth: torch.Tensor, train: torch.Tensor, n_steps: int) -> dict:
    """Descend on the training rows with lr = 1/λ_max, half the bound: no direction flips its sign.

    Return the path, the closed form, their relative distance and the test RMSE.
    """
    A, t = rows[train], truth[train]
    exact = torch.linalg.lstsq(A, t[:, None]).solution[:, 0]
    spectrum = torch.linalg.eigvalsh(2 / len(A) * A.T @ A)
    path = descend(lambda v: (A @ v - t).square().mean(), torch.zeros(A.shape[1]), 1 / spectrum[-1].item(), n_steps)
    errors = (path @ rows[~train].T - truth[~train]).square().mean(1).sqrt()  # (n_steps + 1,)
    print(f"{name}: condition number {spectrum[-1] / spectrum[0]:.3g}, largest stable lr {2 / spectrum[-1]:.3g}")
    return {"path": path, "exact": exact, "gap": (path - exact).norm(dim=1) / exact.norm(), "rmse": errors}


# %% [markdown]
# The **RMSE** (均方根误差), the root of the MSE, is in the unit of the target.
# We compare with the **baseline** (基线) "as today" (the blue line), and with the closed form.

# %%
rows_w = standardised(inputs_w, is_train)
seattle = compare("Seattle", rows_w, targets_w, is_train, n_steps=1000)
as_today = (today[~is_train, 0] - targets_w[~is_train]).square().mean().sqrt()
always_mean = (targets_w[is_train].mean() - targets_w[~is_train]).square().mean().sqrt()
closed_w = (rows_w[~is_train] @ seattle["exact"] - targets_w[~is_train]).square().mean().sqrt()
print(f"RMSE on 2015: mean {always_mean:.3g}, as today {as_today:.3g}, closed form {closed_w:.3g}, descent {seattle['rmse'][-1]:.3g} °C")
assert seattle["gap"][-1] < 1e-6 and seattle["rmse"][-1] < 0.95 * as_today

# %% [markdown]
# The linear model beats "as today" by 8 %: 2.67 °C against 2.91 °C on days it has never seen.
# After 1,000 steps the weights of descent and closed form differ by less than one in a million, as the `assert` says.
# Try your own `fit(rows_w[is_train], targets_w[is_train], 0.17)`: it stops after 364 steps.
#
# ### Diabetes
#
# Ten measurements of 442 patients, and the progress of the disease one year later.
# Patients have no order in time, so a random 100 are held out.
# We take the unscaled data: scikit-learn's ready-scaled columns have used all 442 rows, the test rows too.
# Here the baseline is the mean of the training targets.

# %%
bunch = load_diabetes(scaled=False)
inputs_d, targets_d = torch.tensor(bunch.data), torch.tensor(bunch.target)
shuffled = torch.randperm(442, generator=torch.Generator().manual_seed(0))
is_train_d = torch.ones(442, dtype=torch.bool).index_fill(0, shuffled[:100], False)
rows_d = standardised(inputs_d, is_train_d)
diabetes = compare("diabetes", rows_d, targets_d, is_train_d, n_steps=10_000)
closed_d = (rows_d[~is_train_d] @ diabetes["exact"] - targets_d[~is_train_d]).square().mean().sqrt()
mean_d = (targets_d[is_train_d].mean() - targets_d[~is_train_d]).square().mean().sqrt()
print(f"RMSE of 100 patients: mean {mean_d:.3g}, closed form {closed_d:.3g}")

# %%
for n in (10, 100, 1000, 10_000):
    print(f"{n:6d} steps: RMSE {diabetes['rmse'][n]:.1f}, relative distance to the closed form {diabetes['gap'][n]:.2f}")
assert diabetes["gap"][-1] < 1e-6 and abs(diabetes["rmse"][-1] - closed_d) < 1e-4 and closed_d < 0.9 * mean_d

# %%
fig, axes = plt.subplots(1, 3, figsize=(12.5, 3.6))
window = slice(n_train + 150, n_train + 240)
axes[0].plot(range(151, 241), targets_w[window], "o", color="0.5", ms=3, label="truth")
axes[0].plot(range(151, 241), rows_w[window] @ seattle["path"][-1], color="tab:red", lw=1.2, label="prediction from the day before")
axes[0].set(xlabel="day of the year 2015", ylabel="°C", title="Seattle, summer (held out)", ylim=(10, 37))
axes[0].legend(fontsize=8, loc="lower right")
axes[1].scatter(targets_d[~is_train_d], rows_d[~is_train_d] @ diabetes["path"][-1], s=12)
axes[1].plot([30, 330], [30, 330], color="0.5", lw=1)
axes[1].set(xlabel="true progress", ylabel="predicted", title="100 held-out patients")
for name, result, colour in [("Seattle", seattle, "tab:red"), ("diabetes", diabetes, "tab:blue")]:
    axes[2].loglog(range(1, len(result["gap"])), result["gap"][1:], color=colour, label=name)
axes[2].set(xlabel="step", ylabel="relative distance to closed form", title="How fast descent arrives", ylim=(1e-9, 2))
axes[2].legend()
plt.show()

# %% [markdown]
# On the left the line follows the warm spells one day late: it knows today, not tomorrow's weather front.
# In the middle the cloud rises with the diagonal but is flatter, as least squares must be when much is unexplained.
# On the right Seattle (condition number 27) arrives in a few hundred steps, diabetes (about 500) needs thousands.
# For diabetes the model's RMSE of 54.9 beats the mean's 75.8, and the printed lines show that its *predictions*
# are as good after 10 steps as after 10,000: the directions still missing are those in which the data hardly vary.

# %% [markdown]
# ## What goes wrong in practice
#
# - **The loss becomes `nan`.** The step was beyond $2/\lambda_{\max}$. Compute the bound, or divide `lr` by ten; standardise the inputs,
#   which usually shrinks the condition number.
# - **It works on 100 rows and explodes on 1,000.** `reduction="sum"`.
# - **The loss stops at the variance of the targets.** `(N,)` against `(N, 1)`, or targets not shuffled with their inputs.
# - **The normal equation has no unique solution.** Two columns say the same, $H$ has an eigenvalue 0.
#   On the CPU `torch.linalg.lstsq` still gives a best prediction, as descent from zeros does, but not *the* best weights.
# - **A test error too good to be true.** Scaling, shuffling a time series, or choosing the step size looked at the test rows.
# - **A "converged" run at a saddle or in a poor valley.** A small gradient says stationary, no more.
#
# ## Summary
#
# A loss makes "good" a number; the mean keeps it independent of the data's size.
# Grid search is simple and exponential in the number of parameters; divide and conquer is fast where there is one valley.
# Descent uses the gradient $\frac2N X^\top(Xw - y)$, converges below $2/\lambda_{\max}$, flips at the bound, diverges beyond,
# and is slow where the condition number is large.
# SGD steps after a few rows and hovers; an exponential average, corrected by $1 - \beta^t$, shows the trend.
# On a non-convex surface the Hessian's eigenvalues tell minimum, maximum and saddle apart.
# A line has no memory and no bends: chapter 6 builds the general machinery, chapter 9 adds the bends.
#
# ## Terms
#
# | English | 中文 | in one line |
# |---|---|---|
# | linear model | 线性模型 | prediction $Xw$ (+ bias) |
# | weight, bias | 权重，偏置 | factor of an input; constant added |
# | residual | 残差 | prediction minus target |
# | mean squared error | 均方误差 | mean of the squared residuals; its root is the RMSE (均方根误差) |
# | grid search | 网格搜索 | try every combination |
# | divide and conquer | 分治 | keep the part that must hold the minimum |
# | convex | 凸 | no chord below the curve |
# | unimodal | 单峰 | falls, then rises: one valley |
# | gradient | 梯度 | vector of partial derivatives, steepest way up |
# | learning rate | 学习率 | factor on the gradient in a step |
# | normal equation | 正规方程 | $X^\top X w = X^\top y$ |
# | closed form | 闭式解 | solved at once, without steps |
# | Hessian | 海森矩阵 | second derivatives; here $\frac2N X^\top X$ |
# | eigenvector, eigenvalue | 特征向量，特征值 | $Hv = \lambda v$: direction and factor |
# | condition number | 条件数 | $\lambda_{\max}/\lambda_{\min}$ |
# | divergence | 发散 | every step makes the error larger |
# | SGD | 随机梯度下降 | descent on a few rows at a time |
# | mini-batch | 小批量 | the rows of one step |
# | epoch, iteration | 轮，迭代 | every row once; one update |
# | exponential average | 指数加权平均 | running mean that forgets |
# | bias correction | 偏差修正 | divide by $1 - \beta^t$ |
# | non-convex | 非凸 | a chord runs below the curve somewhere |
# | local, global minimum | 局部极小，全局最小 | lowest nearby; lowest anywhere |
# | stationary point | 驻点 | gradient zero |
# | saddle | 鞍点 | stationary, eigenvalues of both signs |
# | degenerate | 退化 | the second derivatives do not decide |
# | standardise | 标准化 | subtract the mean, divide by the standard deviation |
# | baseline | 基线 | the cheap answer to be beaten |
#
# ## Reading
#
# - S. Boyd, L. Vandenberghe, *Convex Optimization*, 2004: chapters 3 and 9.
# - L. Bottou, F. E. Curtis, J. Nocedal, *Optimization Methods for Large-Scale Machine Learning*, 2018.
# - J. D. Lee, M. Simchowitz, M. I. Jordan, B. Recht, *Gradient Descent Only Converges to Minimizers*, 2016:
#   what can be proved about random starts and saddles.
# - Y. Dauphin et al., *Identifying and attacking the saddle point problem in high-dimensional non-convex optimization*, 2014.
# - B. Efron, T. Hastie, I. Johnstone, R. Tibshirani, *Least Angle Regression*, 2004: where the diabetes data come from.
