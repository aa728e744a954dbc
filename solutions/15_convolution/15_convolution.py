# %% [markdown] needs="07" sittings="2"
# # Convolution by hand
#
# Nine numbers made the right picture below from the left one.
# Every pixel of the right picture was computed from a 3 × 3 patch of the left one, with the same nine numbers everywhere.
# Could a program that only sees pictures before and after find out which nine?
#
# After this chapter you can
#
# - compute a convolution by hand and in code, with channels, padding and stride, and predict every size,
# - blur, sharpen and find edges in a photo,
# - say how many numbers a convolution learns, how far it sees, and what a shift of the picture does to it,
# - pool, enlarge, and mix channels with a 1 × 1 convolution,
# - write the backward pass, and learn a kernel from data.
#
# The chapter takes two sittings; a resting place is marked after Exercise 4.
# "Common notes" are lecture notes found on the web; where their sentences are wrong, we check them and say so.

# %% [markdown]
# ## Setup
#
# All imports stand in one cell.
# Some figures take many lines to draw. You need not read the drawing code.

# %% setup="imports"
import os
from pathlib import Path

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from matplotlib.patches import Rectangle
from sklearn.datasets import load_sample_image
from torch import nn
from torch.testing import assert_close
from torchvision.datasets import FashionMNIST

DATA = Path(os.environ.get("COURSE_DATA", "../../data"))
plt.rcParams["figure.constrained_layout.use"] = True

# %%
pagoda = torch.tensor(load_sample_image("china.jpg"))[30:350, 60:460].permute(2, 0, 1) / 255  # (3, 320, 400), from 0 to 1
grey = pagoda.mean(dim=0)  # (320, 400)
secret = torch.tensor([[-2.0, -1.0, 0.0], [-1.0, 1.0, 1.0], [0.0, 1.0, 2.0]])  # do not look
after = F.conv2d(grey[None, None], secret[None, None])[0, 0]
fig, axes = plt.subplots(1, 2, figsize=(9, 3.8))
for ax, picture, title in zip(axes, [grey, after], ["before", "after"], strict=True):
    ax.imshow(picture, cmap="gray", vmin=0, vmax=1)
    ax.set(title=title, xticks=[], yticks=[])
plt.show()

# %% [markdown]
# The right picture looks as if it were cut into stone.
# (Its numbers below 0 are drawn black, those above 1 white: about 20 in a hundred.)
# At the end of the chapter a program finds the nine numbers, from other pictures, and with noise on them.
# First we must say what a picture is.
#
# ## Raster and vector, and three channels
#
# "A disc of radius 3 at row 5, column 7" is a **vector picture** (矢量图): shapes, given by a few numbers.
# It can be drawn at any size.
# A **raster picture** (栅格图) is a table of pixels, and what lies between the pixels is lost.
# A photo is a raster; so is all that a convolution takes in.
#
# The next cell describes one disc by three numbers and draws it as rasters of three sizes.

# %%
fig, axes = plt.subplots(1, 4, figsize=(10, 2.7))
axes[0].add_patch(plt.Circle((0.55, 0.45), 0.35, color="tab:red"))
axes[0].set(xlim=(0, 1), ylim=(1, 0), aspect="equal", title="vector: 3 numbers", xticks=[], yticks=[])
for ax, size in zip(axes[1:], (6, 12, 48), strict=True):
    middle = (torch.arange(size) + 0.5) / size  # middles of the pixels
    far = torch.hypot(middle[:, None] - 0.45, middle[None] - 0.55)
    ax.imshow(far < 0.35, cmap="Reds", vmax=1.3)
    ax.set(title=f"raster: {size**2} numbers", xticks=[], yticks=[])
plt.show()

# %% [markdown]
# The vector picture is round at any size; the raster of 6 × 6 is a staircase, and no computation brings the circle back.
#
# A colour picture has three tables, its **channels** (通道): red, green and blue, in short **RGB**.
# PyTorch wants the channels first, `(C, H, W)`, and a batch of pictures as `(N, C, H, W)` (chapter 2).

# %% [markdown]
# ### Exercise 1: from vector to raster (4 points)
#
# Write `rasterise(h, w, cy, cx, r, rgb)`, which draws one filled disc on black.
#
# - `h`, `w`: height and width in pixels, integers; `cy`, `cx`: row and column of the disc's centre, `r`: its radius, in pixels;
#   all three may be fractions, the centre may lie outside the picture, and `r` is not negative.
# - `rgb`: a tuple of three numbers from 0 to 1, integers or floats, the disc's red, green and blue.
# - The result has shape `(3, h, w)` and dtype float32.
#   The pixel in row `i`, column `j` has the colour of the disc where $(i - cy)^2 + (j - cx)^2 \le r^2$, the border included, and is 0 elsewhere.
#   Here the pixel lies at `i`, `j` itself, not at `i + 0.5` as in the figure.
#   (`cy`, `cx` and `r` are multiples of 1/4 in all checks, so no rounding decides about the border.)
#
# By hand: `rasterise(2, 3, 0, 1, 1, (1, 0.5, 0))` has the red channel `[[1, 1, 1], [0, 1, 0]]`:
# the centre is row 0, column 1, and its neighbours left, right and below are exactly 1 away.
# Green is half of that, blue is 0.
#
# <details><summary>Hint 1</summary>What shape does <code>torch.arange(h)[:, None] + torch.arange(w)</code> have?</details>
# <details><summary>Hint 2</summary>Make a table of True and False, shape (h, w), first; multiply it by the colours, as a tensor of shape
# (3, 1, 1).</details>


# %% exercise="raster"
def rasterise(h: int, w: int, cy: float, cx: float, r: float, rgb: tuple) -> torch.Tensor:
    """Draw a filled disc with centre (row cy, column cx) and radius r on black; return (3, h, w), float32."""
    # BEGIN SOLUTION
    rows, columns = torch.arange(h)[:, None], torch.arange(w)
    inside = (rows - cy) ** 2 + (columns - cx) ** 2 <= r**2
    return torch.tensor(rgb, dtype=torch.float32)[:, None, None] * inside
    # END SOLUTION


# %% check="raster-by-hand" points=1
got = rasterise(2, 3, 0, 1, 1, (1, 0.5, 0))
assert type(got) is torch.Tensor, f"rasterise must return a tensor, got {type(got).__name__}. NoneType: is `return` missing?"
assert got.shape == (3, 2, 3), f"2 rows, 3 columns: shape (3, 2, 3), got {tuple(got.shape)}. (2, 3, 3): channels come first"
assert got.dtype == torch.float32, f"the picture must be float32, got {got.dtype}"
red = torch.tensor([[1.0, 1.0, 1.0], [0.0, 1.0, 0.0]])
assert_close(
    got,
    torch.stack([red, red / 2, 0 * red]),
    msg=lambda m: (
        f"red must be [[1, 1, 1], [0, 1, 0]], green half of it, blue 0; got {got.tolist()}. "
        f"Only one pixel: the border belongs to the disc (<=). [[1, 0, 0], [1, 1, 0]]: row and column of the centre swapped. "
        f"[[1, 1, 0], [0, 0, 0]]: the pixel was put at i + 0.5, j + 0.5\n{m}"
    ),
)
print("passed: the example worked by hand")

# %% check="raster-types" points=1
got = rasterise(3, 6, 1.5, 9.25, 4.5, (0, 1, 0))
assert type(got) is torch.Tensor, f"rasterise must return a tensor, got {type(got).__name__}. NoneType: is `return` missing?"
assert got.shape == (3, 3, 6), f"3 rows, 6 columns: shape (3, 3, 6), got {tuple(got.shape)}. (3, 6, 3): height and width exchanged"
assert got.dtype == torch.float32, f"whole numbers as colours must still give float32, got {got.dtype}"
assert got.sum(dim=(0, 1)).tolist() == [0, 0, 0, 0, 0, 2], (
    f"centre at row 1.5, column 9.25, right of the picture, radius 4.5, colour (0, 1, 0): only column 5 is reached, in rows 1 and 2; "
    f"sums of the columns 0, 0, 0, 0, 0, 2, got {got.sum(dim=(0, 1)).tolist()}. 3: a fraction was cut off or rounded up. "
    "All 0: compared with r, not with r², or r was cut to 4, or row and column of the centre exchanged. 6: the colours are ignored"
)
print("passed: float32, and a centre outside the picture")

# %% hidden="raster-random" points=2
cases = [
    (7, 4, 2.5, 1.25, 2.0, (0.25, 0.5, 1.0)),
    (3, 9, -1.0, 4.0, 3.0, (0, 1, 0)),
    (4, 4, 2, 2, 0, (1, 1, 1)),
    (1, 6, 0, 3, 9, (0.5, 0, 0)),
]
got = [rasterise(*case) for case in cases]
for (h, w, cy, cx, r, rgb), out in zip(cases, got, strict=True):
    wanted = [[[float(c) if (i - cy) ** 2 + (j - cx) ** 2 <= r * r else 0.0 for j in range(w)] for i in range(h)] for c in rgb]
    assert_close(out, torch.tensor(wanted), msg=lambda m, h=h, w=w, r=r: f"a picture {h} × {w} with radius {r}\n{m}")


# %% wrong="raster-swapped" fails="raster-by-hand raster-random"
def rasterise(h, w, cy, cx, r, rgb):
    rows, columns = torch.arange(h)[:, None], torch.arange(w)
    mask = (rows - cx) ** 2 + (columns - cy) ** 2 <= r**2
    return torch.tensor(rgb, dtype=torch.float32).reshape(3, 1, 1) * mask


# %% [markdown] mistake="raster-swapped"
# Takes `cy` for the column and `cx` for the row of the centre.
#
# In the example worked by hand your centre lies in row 1, column 0, so the red channel begins with 1, 0, 0. A point is written (x, y), but
# a pixel has its row first. Which of your two tables of numbers grows downwards, and which coordinate of the centre belongs to it?

# %% wrong="raster-channels-last" fails="raster-by-hand raster-random"
def rasterise(h, w, cy, cx, r, rgb):
    rows, columns = torch.arange(h)[:, None], torch.arange(w)
    mask = (rows - cy) ** 2 + (columns - cx) ** 2 <= r**2
    return mask[:, :, None] * torch.tensor(rgb, dtype=torch.float32)


# %% [markdown] mistake="raster-channels-last"
# Puts the channels last: the result has the shape `(h, w, 3)`.
#
# A picture of 4 rows and 5 columns comes out with the shape (4, 5, 3). It looks right when drawn, but PyTorch wants another order of the
# axes, and so does the statement. Print the shape for a picture whose height and width differ, and are not 3.

# %% wrong="raster-open-border" fails="raster-by-hand raster-random"
def rasterise(h, w, cy, cx, r, rgb):
    rows, columns = torch.arange(h)[:, None], torch.arange(w)
    mask = (rows - cy) ** 2 + (columns - cx) ** 2 < r**2
    return torch.tensor(rgb, dtype=torch.float32).reshape(3, 1, 1) * mask


# %% [markdown] mistake="raster-open-border"
# Leaves out the pixels that lie exactly on the border of the disc.
#
# In the example worked by hand the neighbours to the left, to the right and below are exactly 1 away from the centre, and the radius is 1;
# your disc has only the centre left. What does the statement say about the border?

# %% wrong="raster-integers" fails="raster-types raster-random"
def rasterise(h, w, cy, cx, r, rgb):
    rows, columns = torch.arange(h)[:, None], torch.arange(w)
    mask = (rows - cy) ** 2 + (columns - cx) ** 2 <= r**2
    return torch.tensor(rgb).reshape(3, 1, 1) * mask


# %% [markdown] mistake="raster-integers"
# Keeps the dtype of `rgb`, so whole-number colours give an integer picture.
#
# With the colour (0, 1, 1) your picture has dtype int64, with (0.0, 1.0, 1.0) float32; the caller would have to know how the colour was
# typed. The statement names one dtype for all cases. Print the `.dtype` for both.

# %% wrong="raster-radius-not-squared" fails="raster-types raster-random"
def rasterise(h, w, cy, cx, r, rgb):
    rows, columns = torch.arange(h)[:, None], torch.arange(w)
    mask = (rows - cy) ** 2 + (columns - cx) ** 2 <= r
    return torch.tensor(rgb, dtype=torch.float32).reshape(3, 1, 1) * mask


# %% [markdown] mistake="raster-radius-not-squared"
# Compares the squared distance with the radius itself.
#
# A disc of radius 2 reaches the pixel two columns away, as 4 is 2 squared; yours ends after one column. With radius 1, as in the example
# worked by hand, nothing shows. What stands on the right side of the inequality in the statement?

# %% wrong="raster-whole-pixels" fails="raster-types raster-random"
def rasterise(h, w, cy, cx, r, rgb):
    rows, columns = torch.arange(h)[:, None], torch.arange(w)
    mask = (rows - int(cy)) ** 2 + (columns - int(cx)) ** 2 <= r**2
    return torch.tensor(rgb, dtype=torch.float32).reshape(3, 1, 1) * mask


# %% [markdown] mistake="raster-whole-pixels"
# Cuts the fractions off the centre, so the disc lies up to a pixel away from its place.
#
# On one row of four pixels, a disc with its centre at column 1.5 and radius 1 covers the columns 1 and 2; yours covers 0, 1 and 2. Does the
# centre of a disc have to be the place of a pixel?

# %% right="raster-loop"
def rasterise(h, w, cy, cx, r, rgb):
    out = torch.zeros(3, h, w)
    for i in range(h):
        for j in range(w):
            if (i - cy) ** 2 + (j - cx) ** 2 <= r**2:
                out[:, i, j] = torch.tensor(rgb)
    return out


# %% [markdown] explanation="raster"
# A column (h, 1) and a row (w,) broadcast to the table of all places, so no loop is needed.
# The picture is 3 · h · w numbers, whatever the disc; the disc is three numbers and a colour, whatever the picture's size.
# Going back, from pixels to shapes, is hard: finding that a picture shows a disc is what the rest of the course builds networks for.
# The usual mistake is the order: a point is given as (x, y), a pixel as [row, column], and row is y.

# %% [markdown]
# ## A window, a kernel, one number
#
# A **kernel** (卷积核) is a small table of numbers.
# We lay it on the picture; the part of the picture below it is the **window** (窗口).
# Multiply each number of the window by the number of the kernel that lies on it, and add up: one number comes out.
# Then move the kernel by one place, and again.

# %%
x = torch.tensor([[1, 2, 0, 1], [0, 3, 1, 2], [2, 1, 0, 4], [1, 0, 2, 3.0]])
k = torch.tensor([[0, 1, 2], [1, 0, -1], [0, 4, 0.0]])
y = F.conv2d(x[None, None], k[None, None])[0, 0]
print(y)

# %%
blue, orange = (0.75, 0.87, 0.96), (1.0, 0.85, 0.65)


def draw_table(ax, table, title, marked=(), colour=blue) -> None:
    """Write the numbers of a small table into a grid; `marked` cells get a colour."""
    rows, columns = table.shape
    for i in range(rows):
        for j in range(columns):
            ax.add_patch(Rectangle((j, i), 1, 1, fc=colour if (i, j) in marked else "white", ec="0.5"))
            ax.text(j + 0.5, i + 0.5, f"{table[i, j]:.0f}", ha="center", va="center", fontsize=13)
    ax.set(xlim=(-0.05, columns + 0.05), ylim=(rows + 0.05, -0.05), aspect="equal")
    ax.set_title(title, fontsize=11)
    ax.axis("off")


fig, axes = plt.subplots(1, 4, figsize=(12, 3.1))
lit = [(i, j) for i in (1, 2, 3) for j in (0, 1, 2)]
draw_table(axes[0], x, "picture (4, 4), one window", lit)
draw_table(axes[1], k, "kernel (3, 3)", [(i, j) for i in range(3) for j in range(3)], orange)
draw_table(axes[2], x[1:4, 0:3] * k + 0.0, f"window × kernel, sum = {(x[1:4, 0:3] * k).sum():.0f}")
draw_table(axes[3], y, "result (2, 2)", [(1, 0)])
plt.show()

# %% [markdown]
# The window that starts in row 1, column 0 gives the number in row 1, column 0 of the result:
# $0 \cdot 0 + 3 \cdot 1 + 1 \cdot 2 + 2 \cdot 1 + 1 \cdot 0 + 0 \cdot (-1) + 1 \cdot 0 + 0 \cdot 4 + 2 \cdot 0 = 7$.
# A 3 × 3 kernel fits into 4 × 4 at 2 × 2 places, so the result is 2 × 2.
# As a formula, with the window's start $(i, j)$:
#
# $$y_{ij} = \sum_{u} \sum_{v} x_{i + u,\, j + v} \; k_{uv} .$$
#
# One sentence and one word of common notes need care.
#
# *"Convolution is a small-window matrix multiplication."* Not of window and kernel: entries are multiplied in pairs and added, as in a dot product of nine with nine numbers.
# The matrix product of our window and kernel is a table of 3 × 3, and none of its numbers is the 7.
# (As one large table a convolution is a matrix: see "The same numbers everywhere".)

# %%
window = x[1:4, 0:3]
print("in pairs:", (window * k).sum().item(), "  matrix product:", (window @ k).tolist())

# %% [markdown]
# *The word "convolution"* (not "Concolutional", as some notes print). Notes say that `conv2d` computes a convolution.
# But in mathematics **convolution** (卷积) flips the kernel first, top to bottom and left to right.
# Without the flip the operation is called **cross-correlation** (互相关), and that is what `conv2d` of PyTorch computes, in spite of its name.
# For a network it makes no difference: the numbers of the kernel are learned, and if the flipped ones were needed, those would be learned.
# We keep the name convolution, and do not flip.

# %%
flipped = F.conv2d(x[None, None], k.flip(0, 1)[None, None])[0, 0]
print("not flipped:", y.tolist(), "  flipped:", flipped.tolist())

# %% [markdown]
# ### Exercise 2: cross-correlation (5 points)
#
# Write `corr2d(x, k)`: picture `x`, shape `(H, W)`, kernel `k`, shape `(kh, kw)`, both of the same floating-point dtype;
# neither need be square, and the kernel is not larger than the picture.
# The result has shape `(H - kh + 1, W - kw + 1)` and the dtype of `x`, and is the sum above, no flip.
# Loops are welcome. Do not use any ready convolution (`F.conv2d`, `nn.Conv2d`, SciPy), and leave `x` and `k` as they are.
#
# By hand: the picture `[[1, 2, 3], [4, 5, 6]]` with the kernel `[[1, 10]]` gives `[[21, 32], [54, 65]]`; the first is $1 \cdot 1 + 2 \cdot 10$.
#
# <details><summary>Hint 1</summary>Where does the window for <code>y[i, j]</code> start, and where does it end?</details>
# <details><summary>Hint 2</summary>An empty result of the right shape and dtype, two loops, and in the middle a slice of x, times k, summed.</details>


# %% exercise="corr"
def corr2d(x: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    """Cross-correlate x (H, W) with k (kh, kw); return (H - kh + 1, W - kw + 1)."""
    # BEGIN SOLUTION
    kh, kw = k.shape
    out = x.new_zeros(x.shape[0] - kh + 1, x.shape[1] - kw + 1)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = (x[i : i + kh, j : j + kw] * k).sum()
    return out
    # END SOLUTION


# %% check="corr-by-hand" points=1
try:
    got = corr2d(torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), torch.tensor([[1.0, 10.0]]))
except NotImplementedError:  # not written yet
    raise
except (RuntimeError, IndexError) as problem:
    got = f"{type(problem).__name__}: {problem}"
assert type(got) is torch.Tensor, (
    f"corr2d must return a tensor, got {got}. None: is `return` missing? mat1 and mat2: @ is a matrix product, * multiplies in pairs. "
    "Index out of bounds, or sizes of the windows: the loops run over the picture, not over the places of the result"
)
assert got.shape == (2, 2), (
    f"(2, 3) with a kernel (1, 2) gives (2 - 1 + 1, 3 - 2 + 1) = (2, 2), got {tuple(got.shape)}. (1, 1): the + 1 is missing"
)
assert_close(
    got,
    torch.tensor([[21.0, 32.0], [54.0, 65.0]]),
    msg=lambda m: (
        f"must be [[21, 32], [54, 65]], got {got.tolist()}. [[12, 23], [45, 56]]: the kernel was flipped left to right. "
        f"All zeros: the result was never filled. 21, 22 and zeros: the slice of a window ends at i + kh, not at kh\n{m}"
    ),
)
print("passed: the example worked by hand")

# %% check="corr-square" points=1
picture_, kernel_ = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).double(), torch.tensor([[1.0, 10.0], [100.0, 1000.0]]).double()
try:
    got = corr2d(picture_, kernel_)
except NotImplementedError:  # not written yet
    raise
except (RuntimeError, IndexError) as problem:
    got = f"{type(problem).__name__}: {problem}"
assert type(got) is torch.Tensor, (
    f"a kernel as large as the picture gives one number, shape (1, 1), got {got}. None: is `return` missing? "
    "Index out of bounds, or sizes of the windows: the loops run over the picture, not over the places of the result"
)
assert got.shape == (1, 1), (
    f"a kernel as large as the picture gives one number, shape (1, 1), got {tuple(got.shape)}. "
    "(0, 0): the + 1 is missing. (2, 2): as many places as the picture has pixels"
)
assert got.item() == 4321, (
    f"1·1 + 2·10 + 3·100 + 4·1000 = 4321, got {got.item():.0f}. 1234: flipped both ways. 4231: the kernel was transposed. "
    "3412 or 2143: flipped one way. 6644 or 6464: @, a matrix product, instead of *"
)
assert got.dtype == torch.float64, (
    f"picture and kernel are float64, so the result must be too, got {got.dtype}: torch.zeros and torch.empty make float32 unless dtype= is given"
)
got = corr2d(picture_ / 3, kernel_)
assert_close(
    got,
    torch.tensor([[4321 / 3]], dtype=torch.float64),
    rtol=1e-12,
    atol=0,
    msg=lambda m: (
        f"the same picture divided by 3 gives 4321/3 with 15 digits, in float64, got {got.tolist()}. "
        f"1440.33337…: kept in float32 on the way, and a cast at the end brings no digits back\n{m}"
    ),
)
print("passed: no flip, no transpose, and the dtype")

# %% hidden="corr-torch" points=3
def results_and_inputs(pairs):
    given = [(a.clone(), b.clone()) for a, b in pairs]
    return [corr2d(a, b) for a, b in given], given


_ = torch.manual_seed(20)
sizes = [((6, 9), (3, 2)), ((7, 4), (1, 4)), ((5, 5), (3, 3)), ((8, 3), (5, 1)), ((1, 6), (1, 1))]
pairs = [(torch.randn(*a, dtype=torch.float64), torch.randn(*b, dtype=torch.float64)) for a, b in sizes]
pairs.append((torch.randn(9, 5, dtype=torch.float64).T, torch.randn(2, 3, dtype=torch.float64).T))  # not in one row in memory
got, given = results_and_inputs(pairs)
got_half = corr2d(torch.ones(2, 3, dtype=torch.bfloat16), torch.ones(1, 2, dtype=torch.bfloat16))
for (a, b), (a0, b0), out in zip(given, pairs, got, strict=True):
    assert torch.equal(a, a0) and torch.equal(b, b0), "x or k was changed in place"
    wanted = F.conv2d(a0[None, None], b0[None, None])[0, 0]
    where = f"float64, picture {tuple(a0.shape)}, kernel {tuple(b0.shape)}, against PyTorch"
    assert_close(out, wanted, rtol=1e-12, atol=1e-12, msg=lambda m, where=where: f"{where}\n{m}")
assert got_half.dtype == torch.bfloat16, f"picture and kernel are bfloat16, so the result must be too, got {got_half.dtype}"


# %% wrong="corr-flipped" fails="corr-by-hand corr-square corr-torch"
def corr2d(x, k):
    kh, kw = k.shape
    k = k.flip(0, 1)
    y = x.new_zeros(x.shape[0] - kh + 1, x.shape[1] - kw + 1)
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = (x[i : i + kh, j : j + kw] * k).sum()
    return y


# %% [markdown] mistake="corr-flipped"
# Flips the kernel before it is laid on the picture.
#
# In the example worked by hand your first number is 12, that is 1 · 10 + 2 · 1, and not 21. That is what mathematics calls a convolution; a
# symmetric kernel such as a blur does not show the difference. Follow the indices in the formula: which number of the kernel meets the
# first pixel of the window?

# %% wrong="corr-matrix-product" fails="corr-square corr-torch"
def corr2d(x, k):
    kh, kw = k.shape
    y = x.new_zeros(x.shape[0] - kh + 1, x.shape[1] - kw + 1)
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = (x[i : i + kh, j : j + kw] @ k.T).sum()
    return y


# %% [markdown] mistake="corr-matrix-product"
# Uses a matrix product of window and kernel where numbers are multiplied in pairs.
#
# For a window of four ones and the kernel [[1, 2], [3, 4]] the sum of the pairs is 1 + 2 + 3 + 4 = 10; you get 20. A kernel with one row
# can hide this. How many products does the formula add up for one place, and how many does yours?

# %% wrong="corr-square-only" fails="corr-by-hand corr-torch"
def corr2d(x, k):
    n = k.shape[0]
    y = x.new_zeros(x.shape[0] - n + 1, x.shape[1] - n + 1)
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = (x[i : i + n, j : j + n] * k).sum()
    return y


# %% [markdown] mistake="corr-square-only"
# Takes the height of the kernel for its width too, as if every kernel were square.
#
# With the kernel [[1, 10]] in the example your windows are only one pixel wide: the first number is 1 · 1 + 1 · 10 = 11, and the result has
# the shape (2, 3). Print the shapes of the window and of the kernel before they are multiplied.

# %% wrong="corr-one-short" fails="corr-by-hand corr-square corr-torch"
def corr2d(x, k):
    kh, kw = k.shape
    y = x.new_zeros(x.shape[0] - kh, x.shape[1] - kw)
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = (x[i : i + kh, j : j + kw] * k).sum()
    return y


# %% [markdown] mistake="corr-one-short"
# Makes the result one row and one column too small.
#
# In the example worked by hand only one number is left, 21, and a kernel as large as the picture gives an empty result. Lay a kernel of 2
# on a line of 3 numbers, count the places by hand, and compare with the shape in the statement.

# %% wrong="corr-float32" fails="corr-square corr-torch"
def corr2d(x, k):
    kh, kw = k.shape
    y = torch.zeros(x.shape[0] - kh + 1, x.shape[1] - kw + 1)
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = (x[i : i + kh, j : j + kw] * k).sum()
    return y


# %% [markdown] mistake="corr-float32"
# Makes a float32 result whatever the dtype of the picture.
#
# A float64 picture comes back as float32, and more than half of its digits are lost on the way; the values agree only roughly with what you
# would work out. Print the `.dtype` of the empty result that you fill, and ask where it comes from.

# %% wrong="corr-cast-late" fails="corr-square corr-torch"
def corr2d(x, k):
    kh, kw = k.shape
    y = torch.zeros(x.shape[0] - kh + 1, x.shape[1] - kw + 1)
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = (x[i : i + kh, j : j + kw] * k).sum()
    return y.to(x.dtype)


# %% [markdown] mistake="corr-cast-late"
# Keeps the sums in float32 and casts only the finished result.
#
# The float64 picture [[0.1]] with the kernel [[1]] comes back as 0.10000000149: the dtype is float64, but only the first digits are right.
# A cast cannot bring back what was rounded away. Which dtype must the table have before the first number is written into it?

# %% right="corr-by-kernel"
def corr2d(x, k):
    h, w = x.shape[0] - k.shape[0] + 1, x.shape[1] - k.shape[1] + 1
    return sum(k[a, b] * x[a : a + h, b : b + w] for a in range(k.shape[0]) for b in range(k.shape[1]))


# %% [markdown] survives="corr"
# - `out = x.new_ones(x.shape[0] - kh + 1, x.shape[1] - kw + 1)`: every place of the result is written, so what it holds before does not matter.

# %% [markdown] explanation="corr"
# Two loops over the places of the result; the slice of `x` is the window.
# The second right answer loops over the kernel instead: each number of the kernel multiplies a shifted copy of the whole picture.
# It is the same sum in another order, and much faster in Python, nine steps instead of a hundred thousand for a photo.
# The flip cannot be seen with a symmetric kernel such as a blur, which is why many wrong programs live long.

# %% [markdown]
# ## Blur, edges, sharpening
#
# What a kernel does can be read off its numbers.
#
# - **Blur** (模糊): nine times 1/9 is the mean of the window.
# - **Edges** (边缘): numbers that sum to 0 give 0 wherever the picture is constant.
#   Minus on the left and plus on the right responds to a step from dark to bright; with the weights 1, 2, 1 in the three rows it is called Sobel's kernel.
# - **Sharpening** (锐化): the picture plus twice what the blur took away, $3 \cdot \text{picture} - 2 \cdot \text{blur}$; its numbers sum to 1.
#
# The result of a kernel is called a **feature map** (特征图): it says where in the picture something is.

# %%
blur = torch.full((3, 3), 1 / 9)
same = torch.zeros(3, 3)
same[1, 1] = 1
sobel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
kernels = {"blur": blur, "sharpen": 3 * same - 2 * blur, "upright edges": sobel, "level edges": sobel.T}
patch = grey[70:230, 80:280]
maps = {name: F.conv2d(patch[None, None], kernel[None, None])[0, 0] for name, kernel in kernels.items()}
print({name: round(kernel.sum().item(), 3) + 0.0 for name, kernel in kernels.items()})

# %%
fig, axes = plt.subplots(1, 5, figsize=(13, 2.6))
axes[0].imshow(patch, cmap="gray", vmin=0, vmax=1)
axes[0].set_title("photo, grey")
for ax, (name, feature_map) in zip(axes[1:], maps.items(), strict=True):
    edges = "edges" in name
    ax.imshow(feature_map, cmap="RdBu_r" if edges else "gray", vmin=-2 if edges else 0, vmax=2 if edges else 1)
    ax.set_title(name)
for ax in axes:
    ax.set(xticks=[], yticks=[])
plt.show()

# %% [markdown]
# Red is positive, blue negative, white zero: the sky is almost white in both edge maps.
# The pillars stand out in the map of upright edges, each as a red and a blue line, its two sides; the long lines of the roofs and of the balcony stand out in the other.
# (Usual names: vertical and horizontal edges, 垂直边缘 and 水平边缘.)
# The sharpened photo shows the tiles more clearly, and any noise too.
#
# ## Padding, stride, dilation
#
# Three settings change where the windows lie.
#
# - **Padding** (填充) $p$: put $p$ rows and columns of zeros around the picture, on all four sides.
#   With $p = (k - 1)/2$, for odd $k$, stride 1 and dilation 1, the result is as large as the picture (with dilation $d$: $p = d(k - 1)/2$).
# - **Stride** (步幅) $s$: move the window by $s$ places instead of 1.
# - **Dilation** (空洞, also 膨胀) $d$: spread the kernel, so that its numbers lie $d$ places apart.
#   It then spans $d (k - 1) + 1$ places.
#
# For one axis of length $h$ the number of windows is
#
# $$\left\lfloor \frac{h + 2p - d(k - 1) - 1}{s} \right\rfloor + 1 ,$$
#
# where $\lfloor \; \rfloor$ rounds down: the room for moving is cut into steps of $s$, a step that would stick out is not made, and the first window counts too.
# `F.pad(x, (left, right, top, bottom))` writes zeros around the last two axes.

# %%
fig, axes = plt.subplots(1, 4, figsize=(12, 3.4))
settings = [(6, 3, 1, 0, 1), (6, 3, 1, 1, 1), (6, 3, 2, 1, 1), (6, 3, 1, 0, 2)]
titles = ["plain", "padding 1", "padding 1, stride 2", "dilation 2"]
for ax, (h, kernel_size, s, p, d), title in zip(axes, settings, titles, strict=True):
    for i in range(-p, h + p):
        for j in range(-p, h + p):
            inside = 0 <= i < h and 0 <= j < h
            ax.add_patch(Rectangle((j, i), 1, 1, fc="white" if inside else "0.88", ec="0.7"))
    for i in range(kernel_size):
        for j in range(kernel_size):
            ax.add_patch(Rectangle((j * d - p, i * d - p), 1, 1, fc=orange, ec="0.5"))
    size = F.conv2d(torch.zeros(1, 1, h, h), torch.zeros(1, 1, kernel_size, kernel_size), None, s, p, d).shape[2]
    starts = [(a * s - p + d * (kernel_size - 1) / 2 + 0.5) for a in range(size)]
    ax.plot([b for _ in starts for b in starts], [a for a in starts for _ in starts], "o", color="tab:blue", ms=5)
    ax.set(xlim=(-1.2, h + 1.2), ylim=(h + 1.2, -1.2), aspect="equal", title=f"{title}: {size} × {size}")
    ax.axis("off")
plt.show()

# %% [markdown]
# White is the 6 × 6 picture, grey the padding, orange the first window, and each dot the middle of one window.
# With stride 2 the room is $6 + 2 - 3 = 5$: two whole steps, so three windows, and the last row and column of padding are never used.

# %% [markdown]
# ### Exercise 3: the size of the result (5 points)
#
# Write `out_size(h, k, s=1, p=0, d=1)`: the number of windows along one axis of length `h`, for a kernel of `k` numbers, stride `s`, padding `p` on both sides, dilation `d`.
# All are integers up to a million, `h`, `k`, `s`, `d` at least 1, `p` at least 0; return an `int`.
# If not even one window fits, raise `ValueError`. Do not build any tensor or layer.
#
# By hand: `out_size(28, 5, 2, 1, 1)` is $\lfloor (28 + 2 - 4 - 1)/2 \rfloor + 1 = \lfloor 12.5 \rfloor + 1 = 13$.
#
# <details><summary>Hint 1</summary>How many places does the spread kernel span, and how many places is it free to move?</details>
# <details><summary>Hint 2</summary><code>//</code> rounds down.
# When the room to move is negative, no window fits; with room 0 there is exactly one.</details>


# %% exercise="size"
def out_size(h: int, k: int, s: int = 1, p: int = 0, d: int = 1) -> int:
    """Windows along an axis of length h: kernel k, stride s, padding p on both sides, dilation d; ValueError if none fits."""
    # BEGIN SOLUTION
    room = h + 2 * p - d * (k - 1) - 1
    if room < 0:
        raise ValueError("the kernel is larger than the padded picture")
    return room // s + 1
    # END SOLUTION


# %% check="size-by-hand" points=1
got = [out_size(28, 5, 2, 1, 1), out_size(6, 3), out_size(6, 3, p=1), out_size(7, 3, d=2), out_size(6, 3, 2), out_size(9, 5, 1, 2, 2)]
assert [type(v) for v in got] == [int] * 6, (
    f"out_size must return an int, got {[type(v).__name__ for v in got]}. float: / was used. NoneType: is `return` missing?"
)
assert got[0] == 13, f"out_size(28, 5, 2, 1, 1) is 13, got {got[0]}. 14: rounded up. 12: the first window is lost"
assert got[1:4] == [4, 6, 3], (
    f"plain 6 with k = 3: 4; padding 1: 6; length 7 with dilation 2: 3; got {got[1:4]}. A 5 in the middle: padding on one side only. A last 5: d ignored; 2: d·k, not d·(k - 1) + 1"
)
assert got[4:] == [2, 5], (
    f"out_size(6, 3, 2): room 3, one whole step of 2, so 2; out_size(9, 5, 1, 2, 2): 5; got {got[4:]}. "
    "A 3: 1.5 was rounded to 2. A 7: right for k = 3 only, a kernel of 5 has four gaps. A 9: d was applied to the padding too"
)
print("passed: the example worked by hand")


# %% check="size-none" points=1
def attempt(*numbers):
    try:
        return out_size(*numbers)
    except NotImplementedError:  # not written yet
        raise
    except Exception as problem:
        return type(problem).__name__


got = [attempt(2, 3), attempt(3, 3), attempt(4, 3, 1, 0, 2), attempt(1, 3, 2, 1, 1), attempt(2, 3, 2)]
assert got == ["ValueError", 1, "ValueError", 1, "ValueError"], (
    f"length 2 has no place for 3: ValueError; length 3 has one: 1; a kernel spread over 5 does not fit into 4: ValueError; "
    f"1 with padding 1 is 3: 1; length 2 has no place for 3 with stride 2 either: ValueError; got {got}. "
    "0 in place of ValueError: nothing was raised. Another name: the error must be a ValueError. Only the last is 1: int() rounds towards 0, so int(-1 / 2) is 0; // rounds down. All ValueError: room 0 is one window"
)
print("passed: no window, and exactly one window")


# %% hidden="size-torch" points=3
def tried(h, k, s, p, d):
    try:
        return out_size(h, k, s, p, d)
    except ValueError:
        return "ValueError"


cases = [(h, k, s, p, d) for h in (1, 4, 9, 16) for k in (1, 2, 5) for s in (1, 2, 3) for p in (0, 1, 3) for d in (1, 2)]
got = [tried(*case) for case in cases]
for (h, k, s, p, d), answer in zip(cases, got, strict=True):
    try:
        wanted = F.conv1d(torch.zeros(1, 1, h), torch.zeros(1, 1, k), None, s, p, d).shape[2]
    except RuntimeError:
        wanted = "ValueError"
    assert answer == wanted, f"out_size(h={h}, k={k}, s={s}, p={p}, d={d}) must be {wanted}, got {answer}"


# %% wrong="size-ceil" fails="size-by-hand size-torch"
def out_size(h, k, s=1, p=0, d=1):
    free = h + 2 * p - d * (k - 1) - 1
    if free < 0:
        raise ValueError("no window fits")
    return -(-free // s) + 1


# %% [markdown] mistake="size-ceil"
# Rounds up, so a last window that sticks out of the padded picture is counted.
#
# For a length of 6, a kernel of 3 and stride 2 you count 3 windows. They would start at 0, 2 and 4, but the last of them needs place 6, and
# the places end at 5. In the worked example you get 14 for 13. What becomes of a step that would stick out?

# %% wrong="size-no-dilation" fails="size-by-hand size-none size-torch"
def out_size(h, k, s=1, p=0, d=1):
    if h + 2 * p < k:
        raise ValueError("no window fits")
    return (h + 2 * p - k) // s + 1


# %% [markdown] mistake="size-no-dilation"
# Ignores the dilation `d`, as if the kernel's numbers always lay side by side.
#
# `out_size(7, 3, d=2)` gives 5, as without dilation. Draw seven boxes and mark those that three numbers meet when they lie two places
# apart: how many boxes does this kernel span, and how far can it still move?

# %% wrong="size-one-side" fails="size-by-hand size-none size-torch"
def out_size(h, k, s=1, p=0, d=1):
    free = h + p - d * (k - 1) - 1
    if free < 0:
        raise ValueError("no window fits")
    return free // s + 1


# %% [markdown] mistake="size-one-side"
# Counts the padding on one side only.
#
# `out_size(6, 3, p=1)` gives 5, though a kernel of 3 with padding 1 keeps the length 6. Draw the six boxes with the padding that the
# statement describes, and count the places in the row.

# %% wrong="size-no-error" fails="size-none size-torch"
def out_size(h, k, s=1, p=0, d=1):
    return (h + 2 * p - d * (k - 1) - 1) // s + 1


# %% [markdown] mistake="size-no-error"
# Returns a number even where no window fits, and never raises `ValueError`.
#
# `out_size(2, 3)` gives 0 and `out_size(2, 6)` gives -3, but a number of windows cannot be negative. The statement asks for an error in
# such cases. How large is the room to move when exactly one window fits, and how large when none does?

# %% wrong="size-int" fails="size-none size-torch"
def out_size(h, k, s=1, p=0, d=1):
    windows = int((h + 2 * p - d * (k - 1) - 1) / s) + 1
    if windows < 1:
        raise ValueError("no window fits")
    return windows


# %% [markdown] mistake="size-int"
# Rounds negative room towards 0, so a kernel that is too long can still fit once.
#
# `out_size(2, 3)` raises the error, but `out_size(2, 3, 2)` returns 1: the room is -1, half of it is -0.5, and you round that up to 0.
# Whether one window fits cannot depend on the stride. Try your way of rounding on some negative numbers.

# %% wrong="size-round" fails="size-by-hand size-torch"
def out_size(h, k, s=1, p=0, d=1):
    free = h + 2 * p - d * (k - 1) - 1
    if free < 0:
        raise ValueError("no window fits")
    return round(free / s) + 1


# %% [markdown] mistake="size-round"
# Rounds the number of steps to the nearest integer, so some halves are rounded up.
#
# `out_size(6, 3, 2)` gives 3: the room is 3, which is 1.5 steps, and you make 2 of them. The worked example hides it, since 12.5 is rounded
# to 12. Try your way of rounding on 1.5, 2.5 and 1.7, and ask what becomes of a step that would stick out.

# %% right="size-count"
def out_size(h, k, s=1, p=0, d=1):
    starts = range(-p, h + p - d * (k - 1), s)
    if not starts:
        raise ValueError("no window fits")
    return len(starts)


# %% [markdown] explanation="size"
# The second right answer counts the starts of the windows; the formula is the length of that range.
# Rounding up would need a window that sticks out of the padded picture.
# Some other libraries do pad more on one side so that the size is the rounded-up h / s ("same" padding); PyTorch does not do so with a stride.
# Three lines worth knowing by heart: k = 3, p = 1 keeps the size; k = 3, s = 2, p = 1 halves it; k = 1 keeps it without padding.

# %% [markdown]
# ## Many channels, many kernels
#
# A colour picture has three channels, so the window is a block of $3 \times k_h \times k_w$ numbers, and the kernel is a block of the same shape.
# Multiply in pairs and add up *everything*, over the channels too: one number.
# One such block makes one feature map; to find many things we use many blocks, and the maps are the channels of the result.
# So the weight of a layer has the shape
#
# $$(C_{out},\; C_{in},\; k_h,\; k_w),$$
#
# for each output channel one slice per input channel, and each block may have a number added, its bias.

# %%
layer = nn.Conv2d(3, 8, kernel_size=5)
print("weight", tuple(layer.weight.shape), "bias", tuple(layer.bias.shape))
print("3 channels to 8:", tuple(layer(pagoda[None]).shape))

# %% [markdown]
# A common note says: *"every channel must use the same kernel."*
# Look at the shape: there are as many slices as input channels, each with its own numbers.
# And different slices are needed.
# To find where the photo is redder than it is blue, the red slice must be positive and the blue one negative; we use 1/9 and −1/9, and 0 for green.
# The best that equal slices can do is to look at the sum of the channels, that is, at a grey picture.

# %%
flower = torch.tensor(load_sample_image("flower.jpg"))[60:400, 150:480].permute(2, 0, 1) / 255
own = torch.stack([blur, 0 * blur, -blur])[None]  # (1, 3, 3, 3), a slice per channel
equal = torch.stack([blur, blur, blur])[None] / 3
fig, axes = plt.subplots(1, 3, figsize=(10, 3.4))
axes[0].imshow(flower.permute(1, 2, 0))
axes[0].set_title("photo")
for ax, weight, title in zip(axes[1:], [own, equal], ["slices blur, 0, −blur", "three equal slices"], strict=True):
    drawn = ax.imshow(F.conv2d(flower[None], weight)[0, 0], cmap="RdBu_r", vmin=-1, vmax=1)
    ax.set_title(title)
for ax in axes:
    ax.set(xticks=[], yticks=[])
fig.colorbar(drawn, ax=axes, label="feature map")
plt.show()

# %% [markdown]
# With slices of its own the layer separates the flower (red, positive) from most of the leaves (blue, negative).
# With equal slices the map is only a blurred brightness.
# The next cell is the proof: two pictures, pure red and pure blue, are one and the same to equal slices.

# %%
red_page, blue_page = torch.zeros(2, 3, 5, 5).unbind()
red_page[0], blue_page[2] = 1, 1
for name, weight in (("own slices  ", own), ("equal slices", equal)):
    answers = F.conv2d(torch.stack([red_page, blue_page]), weight)[:, 0, 0, 0]
    print(f"{name}: red page {answers[0]:5.2f}, blue page {answers[1]:5.2f}")

# %% [markdown]
# ### Exercise 4: conv2d (7 points)
#
# Write `conv2d(x, w, b=None, stride=1, padding=0)`, what `F.conv2d` computes.
#
# - `x` `(N, C_in, H, W)`, `w` `(C_out, C_in, kh, kw)`, `b` `(C_out,)` or `None`, all floating-point of one dtype;
#   `stride` at least 1 and `padding` at least 0, integers that hold for both axes.
# - The result has shape `(N, C_out, H', W')` with the sizes of the formula above (dilation 1) and the dtype of `x`.
#   At least one window fits.
# - Leave the inputs as they are; they may have been permuted, as our photos were. Do not use ready convolutions, `F.unfold` or `F.fold`; `F.pad` and the method `x.unfold` (Exercise 8) are allowed.
#
# By hand: one picture of two channels, `[[1, 2]]` and `[[3, 4]]`, with one block whose slices are `[[10]]` and `[[100]]`, and bias 5,
# gives $1 \cdot 10 + 3 \cdot 100 + 5 = 315$ and $2 \cdot 10 + 4 \cdot 100 + 5 = 425$.
#
# <details><summary>Hint 1</summary>Which rows of the padded picture belong to the output row i, if the stride is s?</details>
# <details><summary>Hint 2</summary>With a window (N, C_in, kh, kw) and w (C_out, C_in, kh, kw), an axis put in between
# (<code>window[:, None]</code>) makes all pairs; three axes are then summed.</details>


# %% exercise="conv"
def conv2d(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor | None = None, stride: int = 1, padding: int = 0) -> torch.Tensor:
    """Cross-correlate x (N, C_in, H, W) with w (C_out, C_in, kh, kw), add b (C_out,); return (N, C_out, H', W')."""
    # BEGIN SOLUTION
    kh, kw = w.shape[2:]
    xp = F.pad(x, [padding] * 4)
    h, wide = (xp.shape[2] - kh) // stride + 1, (xp.shape[3] - kw) // stride + 1
    out = x.new_zeros(len(x), len(w), h, wide)
    for i in range(h):
        for j in range(wide):
            window = xp[:, :, i * stride : i * stride + kh, j * stride : j * stride + kw]
            out[:, :, i, j] = (window[:, None] * w).sum(dim=(2, 3, 4))
    return out if b is None else out + b[:, None, None]
    # END SOLUTION


# %% check="conv-by-hand" points=1
try:
    got = conv2d(torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]]), torch.tensor([[[[10.0]], [[100.0]]]]), torch.tensor([5.0]))
except NotImplementedError:  # not written yet
    raise
except (RuntimeError, IndexError) as problem:
    got = f"{type(problem).__name__}: {problem}"
assert type(got) is torch.Tensor, (
    f"conv2d must return a tensor, got {got}. None: is `return` missing? "
    "Dimension out of range, or a size that must match: window[:, None] may be missing, so that windows and blocks have one axis too few"
)
assert got.shape == (1, 1, 1, 2), f"one picture, one block, 1 × 2 places: shape (1, 1, 1, 2), got {tuple(got.shape)}"
assert_close(
    got,
    torch.tensor([[[[315.0, 425.0]]]]),
    msg=lambda m: (
        f"must be [315, 425], got {got.flatten().tolist()}. 320, 430: the bias added once for each input channel. "
        f"310, 420: no bias. 45, 65 or 405, 605: one slice used for every channel\n{m}"
    ),
)
print("passed: the example worked by hand")


# %% check="conv-blocks" points=1
def three_blocks():
    try:
        return conv2d(pictures_, blocks_, torch.tensor([100.0, 200.0, 300.0]))
    except NotImplementedError:  # not written yet
        raise
    except (RuntimeError, IndexError) as problem:
        return f"{type(problem).__name__}: {problem}"


pictures_ = torch.arange(1.0, 25.0).reshape(2, 2, 2, 3)
blocks_ = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]).reshape(3, 2, 1, 1)
got = three_blocks()
assert type(got) is torch.Tensor, (
    f"2 pictures of 2 channels, 3 blocks of 1 × 1, 3 biases: must give a tensor, got {got}. Sizes 2 and 3 do not match: every window of every picture "
    "must meet every block (window[:, None]), and b belongs to axis 1 (b[:, None, None]). Boolean value: ask `b is not None`, not `if b`"
)
assert got.shape == (2, 3, 2, 3), f"2 pictures, 3 blocks, 2 × 3 places: shape (2, 3, 2, 3), got {tuple(got.shape)}"
first_, second_ = pictures_.unbind(dim=1)
assert_close(
    got,
    torch.stack([first_ + 100, second_ + 200, first_ + second_ + 300], dim=1),
    msg=lambda m: (
        f"channel 0 + 100, channel 1 + 200, both + 300; the first picture must begin [[101, 102, 103], [104, 105, 106]], got {got[0].tolist()}. "
        f"[101, 202, 303]: b was added along the columns, it belongs to axis 1, b[:, None, None]\n{m}"
    ),
)
print("passed: several pictures, several blocks, a bias for each block")


# %% check="conv-stride" points=1
def moved(kernel, padding):
    try:
        return conv2d(ramp, kernel, stride=3, padding=padding)
    except NotImplementedError:  # not written yet
        raise
    except (RuntimeError, IndexError) as problem:
        return f"{type(problem).__name__}: {problem}"
    except (TypeError, AttributeError) as problem:
        if "NoneType" not in str(problem):
            raise
        return f"{type(problem).__name__}: {problem}"


ramp = torch.arange(1.0, 26.0).double().reshape(1, 1, 5, 5)  # rows 1 … 5 | 6 … 10 | 11 … 15 | …
lying, standing = torch.tensor([1.0, 100.0]).double().reshape(1, 1, 1, 2), torch.tensor([1.0, 100.0]).double().reshape(1, 1, 2, 1)
got = [moved(lying, 1), moved(standing, 2)]
assert [type(v) for v in got] == [torch.Tensor] * 2, (
    f"conv2d without b must return a tensor, got {got}. None: is `return` missing? 'NoneType': b may be None, add it only if it is given. "
    "Dimension out of range, or sizes that do not match: is window[:, None] missing, or do the loops run too far?"
)
assert got[0].shape == (1, 1, 3, 2), (
    f"5 × 5 with padding 1 is 7 × 7; a kernel (1, 2) with stride 3 has 3 × 2 places, got {tuple(got[0].shape)}. "
    "(3, 3): rounded up, or the width was computed with the height of the kernel. (2, 2): no padding, or not on all four sides"
)
assert got[0][0, 0].tolist() == [[0, 0], [1100, 1413], [0, 0]], (
    f"windows start at padded rows 0, 3, 6 and columns 0, 3; the second row meets (0, 11) and (13, 14): "
    f"[[0, 0], [1100, 1413], [0, 0]], got {got[0][0, 0].tolist()}. 11 and 1314: flipped. 100 and 201: the windows start at 0, 1, …, the stride is lost. "
    f"1211 and 1514: no padding left and right"
)
assert got[1].shape == (1, 1, 3, 3), (
    f"5 × 5 with padding 2 is 9 × 9; a kernel (2, 1) with stride 3 has 3 × 3 places, got {tuple(got[1].shape)}. (2, 3): padding 1 where 2 was asked for"
)
assert got[1][0, 0].tolist() == [[0, 0, 0], [0, 1207, 1510], [0, 22, 25]], (
    f"the kernel [[1], [100]] with stride 3, padding 2 meets 7 over 12, 10 over 15, 22 and 25 over zeros: "
    f"[[0, 0, 0], [0, 1207, 1510], [0, 22, 25]], got {got[1][0, 0].tolist()}. 712: flipped. 7: only the first row of the kernel is used"
)
assert [v.dtype for v in got] == [torch.float64] * 2, (
    f"x and w are float64, so the result must be too, got {got[0].dtype}: torch.zeros makes float32 unless dtype= is given"
)
print("passed: stride, padding and the dtype")


# %% hidden="conv-torch" points=3
def results_and_inputs(made):
    given = [[t.clone() if isinstance(t, torch.Tensor) else t for t in inputs] for inputs in made]
    return [conv2d(*inputs) for inputs in given], [inputs[:3] for inputs in given]


_ = torch.manual_seed(20)
cases = [
    ((2, 3, 7, 9), (4, 3, 3, 2), 2, 1),
    ((1, 1, 5, 4), (1, 1, 2, 3), 1, 2),
    ((3, 2, 8, 6), (5, 2, 1, 1), 3, 0),
    ((2, 4, 6, 11), (3, 4, 3, 5), 3, 1),
]
made = [[torch.randn(n, dtype=torch.float64) for n in (xs, ws, ws[:1])] + [s, p] for xs, ws, s, p in cases]
got, given = results_and_inputs(made)
for (*old, s, p), new, out in zip(made, given, got, strict=True):
    assert all(torch.equal(a, b) for a, b in zip(new, old, strict=True)), "an input was changed in place"
    shapes = f"x {tuple(old[0].shape)}, w {tuple(old[1].shape)}, stride {s}, padding {p}"
    assert_close(
        out,
        F.conv2d(*old, stride=s, padding=p),
        rtol=1e-12,
        atol=1e-12,
        msg=lambda m, shapes=shapes: f"float64, {shapes}, against PyTorch\n{m}",
    )

# %% hidden="conv-defaults" points=1
_ = torch.manual_seed(21)
xs, ws = torch.randn(2, 4, 5, 3).permute(0, 3, 1, 2), torch.randn(2, 3, 2, 2)  # a permuted picture, as a photo is
got = conv2d(xs, ws)
assert_close(got, F.conv2d(xs, ws), msg=lambda m: f"without bias, stride 1 and padding 0 are what is meant when nothing is said\n{m}")


# %% wrong="conv-flipped" fails="conv-stride conv-torch conv-defaults"
def conv2d(x, w, b=None, stride=1, padding=0):
    w = w.flip(2, 3)
    x = F.pad(x, [padding] * 4)
    h, v = (x.shape[2] - w.shape[2]) // stride + 1, (x.shape[3] - w.shape[3]) // stride + 1
    y = x.new_zeros(x.shape[0], w.shape[0], h, v)
    for i in range(h):
        for j in range(v):
            part = x[:, :, i * stride : i * stride + w.shape[2], j * stride : j * stride + w.shape[3]]
            y[:, :, i, j] = torch.einsum("ncab,ocab->no", part, w)
    return y if b is None else y + b.reshape(-1, 1, 1)


# %% [markdown] mistake="conv-flipped"
# Flips every block top to bottom and left to right.
#
# Kernels of 1 × 1, as in the worked example, cannot show it. Lay [[1, 100]] on the pixels 0 and 11: the result should be 1100, yours is 11.
# Follow the indices u and v in the formula of this chapter: do they run the same way in the picture and in the kernel?

# %% wrong="conv-one-kernel" fails="conv-by-hand conv-torch conv-defaults"
def conv2d(x, w, b=None, stride=1, padding=0):
    x = F.pad(x, [padding] * 4)
    h, v = (x.shape[2] - w.shape[2]) // stride + 1, (x.shape[3] - w.shape[3]) // stride + 1
    y = x.new_zeros(x.shape[0], w.shape[0], h, v)
    for i in range(h):
        for j in range(v):
            part = x[:, :, i * stride : i * stride + w.shape[2], j * stride : j * stride + w.shape[3]]
            y[:, :, i, j] = torch.einsum("ncab,oab->no", part, w[:, 0])
    return y if b is None else y + b.reshape(-1, 1, 1)


# %% [markdown] mistake="conv-one-kernel"
# Uses one slice of a block for all input channels.
#
# In the example worked by hand you get (1 + 3) · 10 + 5 = 45 and not 315: the slice with 100 is never used. That is what the common note
# claims. Which axes do the block and the window share, and over which of them do you multiply in pairs?

# %% wrong="conv-ceil" fails="conv-stride conv-torch"
def conv2d(x, w, b=None, stride=1, padding=0):
    full = F.pad(x, [padding] * 4)
    h, v = -(-(full.shape[2] - w.shape[2]) // stride) + 1, -(-(full.shape[3] - w.shape[3]) // stride) + 1
    full = F.pad(full, [0, stride, 0, stride])
    y = x.new_zeros(x.shape[0], w.shape[0], h, v)
    for i in range(h):
        for j in range(v):
            part = full[:, :, i * stride : i * stride + w.shape[2], j * stride : j * stride + w.shape[3]]
            y[:, :, i, j] = torch.einsum("ncab,ocab->no", part, w)
    return y if b is None else y + b.reshape(-1, 1, 1)


# %% [markdown] mistake="conv-ceil"
# Rounds the number of windows up, so the last ones stick out of the padded picture.
#
# For one row of 4 pixels, a kernel of 1 × 3 and stride 2 only one window fits, but you return two numbers; the second one was made with
# zeros that nobody put there. Work out the room to move, and what becomes of half a step.

# %% wrong="conv-bias-per-channel" fails="conv-by-hand conv-torch"
def conv2d(x, w, b=None, stride=1, padding=0):
    x = F.pad(x, [padding] * 4)
    h, v = (x.shape[2] - w.shape[2]) // stride + 1, (x.shape[3] - w.shape[3]) // stride + 1
    y = x.new_zeros(x.shape[0], w.shape[0], h, v)
    for i in range(h):
        for j in range(v):
            for c in range(x.shape[1]):
                part = x[:, c, i * stride : i * stride + w.shape[2], j * stride : j * stride + w.shape[3]]
                y[:, :, i, j] += torch.einsum("nab,oab->no", part, w[:, c]) + (0 if b is None else b)
    return y


# %% [markdown] mistake="conv-bias-per-channel"
# Adds the bias once for each input channel.
#
# In the example worked by hand, with two channels and bias 5, you get 320 and 430, that is 5 too much in each place. With one channel all
# is well. At which moment of the sum over the channels does a block's bias come in, and how often?

# %% wrong="conv-stride-ignored-in-window" fails="conv-stride conv-torch"
def conv2d(x, w, b=None, stride=1, padding=0):
    x = F.pad(x, [padding] * 4)
    h, v = (x.shape[2] - w.shape[2]) // stride + 1, (x.shape[3] - w.shape[3]) // stride + 1
    y = x.new_zeros(x.shape[0], w.shape[0], h, v)
    for i in range(h):
        for j in range(v):
            y[:, :, i, j] = torch.einsum("ncab,ocab->no", x[:, :, i : i + w.shape[2], j : j + w.shape[3]], w)
    return y if b is None else y + b.reshape(-1, 1, 1)


# %% [markdown] mistake="conv-stride-ignored-in-window"
# Uses the stride for the size of the result, but moves the window by single places.
#
# Take one row with the pixels 1 to 5, a kernel [[1]] and stride 2: you return 1, 2, 3 and not 1, 3, 5. The shape is right, so only the
# numbers show it. Where in the padded picture does the window for place (i, j) start?

# %% wrong="conv-bias-last" fails="conv-blocks conv-torch"
def conv2d(x, w, b=None, stride=1, padding=0):
    y = F.conv2d(x, w, None, stride, padding)
    return y if b is None else y + b


# %% [markdown] mistake="conv-bias-last"
# Adds the biases along the columns of the result, not along its output channels.
#
# With two blocks of zeros, biases 100 and 200 and a picture of two columns, each row of your result is 100, 200 in both channels. With
# other widths there is an error about sizes. Print the shapes of the result and of `b`: with which axis does the addition line `b` up?

# %% wrong="conv-one-block" fails="conv-blocks conv-torch conv-defaults"
def conv2d(x, w, b=None, stride=1, padding=0):
    x = F.pad(x, [padding] * 4)
    h, v = (x.shape[2] - w.shape[2]) // stride + 1, (x.shape[3] - w.shape[3]) // stride + 1
    y = x.new_zeros(x.shape[0], w.shape[0], h, v)
    for i in range(h):
        for j in range(v):
            part = x[:, :, i * stride : i * stride + w.shape[2], j * stride : j * stride + w.shape[3]]
            y[:, :, i, j] = (part * w).sum((1, 2, 3))[:, None]
    return y if b is None else y + b.reshape(-1, 1, 1)


# %% [markdown] mistake="conv-one-block"
# Pairs picture n with block n, where every picture must meet every block.
#
# Two pictures of one pixel, 1 and 2, and two blocks, 10 and 100, should give (10, 100) and (20, 200); you return (10, 10) and (200, 200).
# With other numbers of pictures and blocks there is an error about sizes. Write down the axes of window and blocks: which of them must not
# be lined up?

# %% wrong="conv-padded-top-left" fails="conv-stride conv-torch"
def conv2d(x, w, b=None, stride=1, padding=0):
    return F.conv2d(F.pad(x, (padding, 0, padding, 0)), w, b, stride)


# %% [markdown] mistake="conv-padded-top-left"
# Pads at the top and on the left only.
#
# A 3 × 3 picture with a 3 × 3 kernel and padding 1 gives you 2 × 2 numbers, where the size should stay 3 × 3. Print the shape of the padded
# picture, and compare it with what the chapter says about the sides.

# %% wrong="conv-float32" fails="conv-stride conv-torch"
def conv2d(x, w, b=None, stride=1, padding=0):
    x = F.pad(x, [padding] * 4)
    h, v = (x.shape[2] - w.shape[2]) // stride + 1, (x.shape[3] - w.shape[3]) // stride + 1
    y = torch.zeros(x.shape[0], w.shape[0], h, v)
    for i in range(h):
        for j in range(v):
            part = x[:, :, i * stride : i * stride + w.shape[2], j * stride : j * stride + w.shape[3]]
            y[:, :, i, j] = torch.einsum("ncab,ocab->no", part, w)
    if b is not None:
        y += b.reshape(-1, 1, 1)
    return y


# %% [markdown] mistake="conv-float32"
# Makes a float32 result whatever the dtype of the pictures.
#
# For the float64 pixel 0.1 and the weight 0.1 you return 0.00999999978 in float32: half of the digits are gone. Print the `.dtype` of `x` and
# of the table that you fill, and ask where the second comes from.

# %% right="conv-shifted-copies"
def conv2d(x, w, b=None, stride=1, padding=0):
    x = F.pad(x, [padding] * 4)
    h, v = (x.shape[2] - w.shape[2]) // stride + 1, (x.shape[3] - w.shape[3]) // stride + 1
    total = 0 if b is None else b.reshape(1, -1, 1, 1)
    for i in range(w.shape[2]):
        for j in range(w.shape[3]):
            seen = x[:, :, i : i + (h - 1) * stride + 1 : stride, j : j + (v - 1) * stride + 1 : stride]
            total = total + torch.einsum("nchv,oc->nohv", seen, w[:, :, i, j])
    return total


# %% [markdown] survives="conv"
# - `out = x.new_ones(len(x), len(w), h, wide)`: every place of the result is written, so what it holds before does not matter.
# - `for i in reversed(list(range(h))):`: the places of the result do not depend on each other, any order will do.
# - `for j in reversed(list(range(wide))):`: the same, along a row.

# %% [markdown] explanation="conv"
# `window[:, None]` is (N, 1, C_in, kh, kw); with `w` it broadcasts to (N, C_out, C_in, kh, kw), and the sum over the last three axes leaves (N, C_out).
# The sum over the input channels is what makes a block see colours; the bias comes once, after the sum.
# Libraries write all windows as the rows of one large matrix and multiply it with the blocks as columns:
# there a matrix product does appear, but of flattened windows, not of a window with a kernel.
# The right answer loops over the kernel's places, 9 steps for a 3 × 3, and lets a slice with a step do the stride.

# %% [markdown]
# **A resting place.** You can now compute every number of a convolution.
# The second half asks what it costs, how far it sees, and how it learns.

# %% [markdown]
# ## The same numbers everywhere
#
# A layer that connects every number of the picture with every number of the result is **fully connected** (全连接): `nn.Linear` on the flattened picture (chapter 6).
# A convolution is such a layer with two restrictions.
# It is *local*: a number of the result sees only a window.
# It has **shared weights** (权值共享): every window uses the same block.
# So the number of parameters does not depend on the size of the picture.

# %%
conv, linear = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(8 * 8, 4 * 8 * 8)
for name, made in (("convolution", conv), ("fully connected", linear)):
    print(f"{name:16s} 1 × 8 × 8 to 4 × 8 × 8: {sum(p.numel() for p in made.parameters()):6d} parameters")

# %% [markdown]
# That the first is a special case of the second can be drawn.
# We take the 3 × 3 Sobel kernel without padding on a picture of 6 × 6, 36 numbers to 16, and write it as one table of 16 × 36 weights:
# row by row, what each result takes from each pixel.
# (The Jacobian is the table of derivatives of each result by each pixel; for a linear map, its weights.)

# %%
table = torch.autograd.functional.jacobian(lambda flat: F.conv2d(flat.reshape(1, 1, 6, 6), sobel[None, None]).flatten(), torch.zeros(36))
fig, ax = plt.subplots(figsize=(8, 3.6))
drawn = ax.imshow(table, cmap="RdBu_r", vmin=-2, vmax=2)
ax.set(xlabel="pixel of the picture (flattened)", ylabel="number of the result", title="A convolution as a fully connected layer")
fig.colorbar(drawn, label="weight", shrink=0.8)
plt.show()
print(
    f"{table.numel()} weights, {int((table != 0).sum())} not zero, only {table[table != 0].unique().numel()} different values among these"
)

# %% [markdown]
# White is zero, and every row is the row above it, moved by one pixel, or by three where a new row of the result begins: six numbers of the kernel that are not 0 (four different values), 16 times.

# %% [markdown]
# ### Exercise 5: count the parameters (4 points)
#
# - `conv_params(c_in, c_out, k, bias=True)`: the numbers in a convolution from `c_in` to `c_out` channels with kernels of `k` × `k`.
# - `fc_params(c_in, c_out, h, w, bias=True)`: the numbers in a fully connected layer from all `c_in` · h · w numbers of one picture to all `c_out` · h · w numbers of a result of the same size.
#
# Both return an `int`; with `bias=False` there are no biases. Compute; do not build a layer.
# By hand: `conv_params(3, 8, 5)` is $8 \cdot 3 \cdot 5 \cdot 5 + 8 = 608$; `fc_params(1, 2, 2, 3)` is $6 \cdot 12 + 12 = 84$.
#
# <details><summary>Hint 1</summary>How many blocks are there, and how many numbers has one?</details>
# <details><summary>Hint 2</summary>There is one bias for each block, and one for each output of the fully connected layer.</details>


# %% exercise="counts"
def conv_params(c_in: int, c_out: int, k: int, bias: bool = True) -> int:
    """Numbers in a convolution from c_in to c_out channels, kernels k × k."""
    # BEGIN SOLUTION
    return c_out * (c_in * k * k + bias)
    # END SOLUTION


def fc_params(c_in: int, c_out: int, h: int, w: int, bias: bool = True) -> int:
    """Numbers in a fully connected layer from c_in · h · w to c_out · h · w numbers."""
    # BEGIN SOLUTION
    return c_out * h * w * (c_in * h * w + bias)
    # END SOLUTION


# %% check="counts-by-hand" points=1
got = [conv_params(3, 8, 5), fc_params(1, 2, 2, 3), conv_params(4, 2, 2), fc_params(2, 1, 1, 3)]
assert [type(v) for v in got] == [int] * 4, (
    f"both must return an int, got {[type(v).__name__ for v in got]}. NoneType: is `return` missing?"
)
assert got[0] == 608, (
    f"conv_params(3, 8, 5) is 608, got {got[0]}. 208: the 3 input channels are lost. "
    "600: no bias. 603: a bias per input channel. 624: a bias per slice"
)
assert got[1] == 84, f"fc_params(1, 2, 2, 3) is 84, got {got[1]}. 72: no bias. 74: a bias per channel, not per output. 78: a bias per input"
assert got[2:] == [34, 21], (
    f"4 to 2 channels: 2·4·2·2 + 2 = 34 with 2 × 2 kernels, 2 to 1 channels fully connected on 1 × 3: 6·3 + 3 = 21; got {got[2:]}. "
    "36: a bias per input channel. 74: the kernel was taken as 3 wide. 24: a bias per input channel and output"
)
print("passed: the examples worked by hand")

# %% check="counts-no-bias" points=1
got = [conv_params(2, 3, 1, bias=False), fc_params(2, 1, 1, 3, bias=False)]
assert [type(v) for v in got] == [int, int], f"both must return an int without biases too, got {[type(v).__name__ for v in got]}"
assert got == [6, 18], f"without biases: 3·2·1 = 6 and 6·3 = 18, got {got}. 9 and 21: bias=False is ignored"
print("passed: no bias where none is wanted")

# %% hidden="counts-torch" points=2
cases = [(1, 1, 1, 4, 3, True), (3, 5, 3, 2, 4, True), (6, 2, 5, 3, 1, False), (4, 4, 2, 2, 2, True)]
got = [(conv_params(ci, co, k, bias), fc_params(ci, co, h, w, bias), conv_params(ci, co, k)) for ci, co, k, h, w, bias in cases]
got_default, got_large = fc_params(2, 3, 1, 2), fc_params(3, 7, 101, 103)
for (ci, co, k, h, w, bias), answers in zip(cases, got, strict=True):
    layers = [nn.Conv2d(ci, co, k, bias=bias), nn.Linear(ci * h * w, co * h * w, bias=bias), nn.Conv2d(ci, co, k)]
    wanted = tuple(sum(p.numel() for p in layer.parameters()) for layer in layers)
    assert answers == wanted, f"{ci} to {co} channels, k = {k}, {h} × {w}, bias {bias}: {wanted} as in PyTorch's layers, got {answers}"
assert got_default == 30, f"fc_params(2, 3, 1, 2) has biases when nothing is said: 4·6 + 6 = 30, got {got_default}"
n_in_, n_out_ = 3 * 101 * 103, 7 * 101 * 103
assert got_large == n_in_ * n_out_ + n_out_, (
    f"fc_params(3, 7, 101, 103) is {n_in_ * n_out_ + n_out_}, got {got_large}: float32 has 7 digits"
)


# %% wrong="counts-no-input-channels" fails="counts-by-hand counts-no-bias counts-torch"
def conv_params(c_in, c_out, k, bias=True):
    return c_out * k**2 + c_out * bias


def fc_params(c_in, c_out, h, w, bias=True):
    n_in, n_out = c_in * h * w, c_out * h * w
    return n_in * n_out + n_out * bias


# %% [markdown] mistake="counts-no-input-channels"
# Leaves the number of input channels out of `conv_params`.
#
# You return 208 for `conv_params(3, 8, 5)`, the same as for a picture with one channel, where the statement has 608. Print the shape of
# `nn.Conv2d(3, 8, 5).weight`, and ask how many numbers one block has.

# %% wrong="counts-bias-lost" fails="counts-by-hand counts-torch"
def conv_params(c_in, c_out, k, bias=True):
    return c_out * c_in * k**2


def fc_params(c_in, c_out, h, w, bias=True):
    return c_in * h * w * c_out * h * w


# %% [markdown] mistake="counts-bias-lost"
# Never counts the biases, also where `bias` is true.
#
# You return 600 and 72 where the worked examples have 608 and 84. What is missing is one number for each block, and one for each output of
# the fully connected layer. What does `bias` change in your answer when it is true?

# %% wrong="counts-bias-per-slice" fails="counts-by-hand counts-torch"
def conv_params(c_in, c_out, k, bias=True):
    return c_out * c_in * (k**2 + bias)


def fc_params(c_in, c_out, h, w, bias=True):
    return c_in * h * w * c_out * h * w + c_out * bias


# %% [markdown] mistake="counts-bias-per-slice"
# Counts a bias for each slice of a block, and in `fc_params` one for each channel.
#
# You return 624 where the worked example has 608, and 74 where it has 84: too many biases in the first function, too few in the second. How
# many numbers come out of one block at one place, and how many outputs has the fully connected layer?

# %% right="counts-layers"
def conv_params(c_in, c_out, k, bias=True):
    weight = torch.zeros(c_out, c_in, k, k)
    return weight.numel() + (len(weight) if bias else 0)


def fc_params(c_in, c_out, h, w, bias=True):
    n_in, n_out = c_in * h * w, c_out * h * w
    return (n_in + 1) * n_out if bias else n_in * n_out


# %% [markdown] explanation="counts"
# One block is c_in · k · k numbers and a bias; there are c_out of them. The size of the picture does not occur.
# For a colour picture of 224 × 224 and 64 maps: 1,792 numbers for a 3 × 3 convolution; fully connected more than 4.8 · 10¹¹.
# Sharing has a price: a place cannot be treated in its own way, as in a passport photo, where the eyes are always in the same place.

# %% [markdown]
# ## How far it sees
#
# Two 3 × 3 convolutions, one after the other: a number of the second map sees 3 × 3 numbers of the first, and these together see 5 × 5 pixels.
# The smallest square that holds all pixels which can change a number is its **receptive field** (感受野).
# Autograd measures it: the gradient of one number of the last map with respect to the picture is different from 0 at these pixels, and 0 at all others
# (if no weight is 0 and nothing cancels, so all weights here are 1).
# With dilation, or a stride larger than the kernel, the square can have holes; its side counts them too.


# %%
def seen_pixels(layers: list, size: int = 41) -> torch.Tensor:
    """How many ways lead from each pixel to the middle number of the last map; layers of (kernel, stride, dilation)."""
    picture = torch.zeros(1, 1, size, size, requires_grad=True)
    out = picture
    for kernel_size, stride, dilation in layers:
        out = F.conv2d(out, torch.ones(1, 1, kernel_size, kernel_size), stride=stride, dilation=dilation)
    out[0, 0, out.shape[2] // 2, out.shape[3] // 2].backward()
    return picture.grad[0, 0]


stacks = {
    "3": [(3, 1, 1)],
    "3, 3": [(3, 1, 1)] * 2,
    "3, 3, 3": [(3, 1, 1)] * 3,
    "3, 3 stride 2, 3": [(3, 1, 1), (3, 2, 1), (3, 1, 1)],
    "3, 3 dilation 2, 3 dilation 4": [(3, 1, 1), (3, 1, 2), (3, 1, 4)],
}
fig, axes = plt.subplots(1, 5, figsize=(13, 3.0))
for ax, (name, layers) in zip(axes, stacks.items(), strict=True):
    ways = seen_pixels(layers)
    rows = (ways != 0).any(dim=1).nonzero()[:, 0]
    ax.imshow(ways / ways.max(), cmap="Blues", vmin=0, vmax=1)
    side, corner = (rows[-1] - rows[0] + 1).item(), rows[0].item() - 0.5
    left = (ways != 0).any(dim=0).nonzero()[0].item() - 0.5
    ax.add_patch(Rectangle((left, corner), side, side, fill=False, ec="tab:red", lw=1.5))
    ax.set_title(f"{name}\n{side} × {side} pixels", fontsize=10)
    ax.set(xlim=(8.5, 32.5), ylim=(32.5, 8.5), xticks=[], yticks=[])
plt.show()

# %% [markdown]
# Above each picture stand the kernel sizes of a stack of layers; the red frame is the receptive field of one number.
# Every further 3 × 3 adds 2 pixels. After a stride of 2 it adds 4, because neighbours in the map are then 2 pixels apart.
# Without dilation the blue grows darker towards the middle, as soon as there are two layers: more ways lead from there, so the middle counts most.
# With dilation 2 and 4 the same three layers see 15 pixels instead of 7, and the ways form a grid.
#
# As a rule: keep the field $r$ and the step $j$, the distance in pixels of two neighbours in the map. Start with $r = 1$, $j = 1$, and for each layer
#
# $$r \leftarrow r + d (k - 1) \cdot j, \qquad \text{then} \qquad j \leftarrow j \cdot s .$$

# %% [markdown]
# ### Exercise 6: receptive field (5 points)
#
# Write `receptive_field(layers)`: a list of tuples `(k, s, d)`, kernel, stride and dilation of each layer, the first layer first.
# Return a tuple of two ints `(r, j)`: the side of the receptive field of one number of the last map, in pixels (from the first pixel that it sees to the last, holes included), and the step of the last map.
# Padding does not matter: count as if the picture had no end. Pooling layers (below) count as layers like any other.
# For an empty list the map is the picture: `(1, 1)`. Do not use autograd or any layer, and leave the list as it is.
#
# By hand: `[(3, 2, 1), (3, 1, 1)]`: after the first layer $r = 1 + 2 \cdot 1 = 3$, $j = 2$; after the second $r = 3 + 2 \cdot 2 = 7$, $j = 2$.
#
# <details><summary>Hint 1</summary>Does the stride of a layer change what this layer sees, or what later layers see?</details>
# <details><summary>Hint 2</summary>A loop with the two lines of the rule, in their order.</details>


# %% exercise="field"
def receptive_field(layers: list[tuple[int, int, int]]) -> tuple[int, int]:
    """Return (side of the receptive field, step) in pixels after layers of (kernel, stride, dilation)."""
    # BEGIN SOLUTION
    r, j = 1, 1
    for k, s, d in layers:
        r += d * (k - 1) * j
        j *= s
    return r, j
    # END SOLUTION


# %% check="field-by-hand" points=1
got = receptive_field([(3, 2, 1), (3, 1, 1)])
assert type(got) is tuple and [type(v) for v in got] == [int, int], (
    f"receptive_field must return a tuple of two ints, got {got!r}. None: is `return` missing?"
)
assert got == (7, 2), (
    f"[(3, 2, 1), (3, 1, 1)] gives (7, 2), got {got}. A 5: the stride is ignored, or the last layer was taken first. A 6: the kernels were added up. "
    "A 9: j was changed before r. A 10: k was added, not k - 1. (7, 1) or (7, 3): the steps are multiplied"
)
print("passed: the example worked by hand")


# %% check="field-order" points=1
def field_and_list(layers):
    return receptive_field(layers), layers


got = [receptive_field([]), receptive_field([(3, 1, 1), (3, 2, 1)]), receptive_field([(2, 3, 1), (1, 2, 1), (2, 1, 3)])]
assert got[0] == (1, 1), f"no layer: (1, 1), got {got[0]}"
assert got[1] == (5, 2), (
    f"the stride in the last layer does not change what that layer sees: (5, 2), got {got[1]}. 7: j was changed before r, "
    "or k was added, not k - 1, or k - 1 was multiplied by this layer's own stride, or the last layer was taken first"
)
assert got[2] == (20, 6), (
    f"strides 3 and 2 make a step of 6, then dilation 3: 1 + 1 + 0 + 3·1·6 = 20, so (20, 6), got {got[2]}. 17: steps added, not multiplied. "
    "32: d·k - 1 was added, not d·(k - 1). (8, 6): dilation ignored. (8, 1): only the last stride is kept"
)
got, given = field_and_list([(3, 1, 3), (2, 2, 1), (2, 2, 1)])
assert got == (10, 4), (
    f"[(3, 1, 3), (2, 2, 1), (2, 2, 1)]: 1 + 3·2·1 + 1·1 + 1·2 = 10, 2·2 = 4, so (10, 4), got {got}. 8: d - 1 was added once, but a kernel of 3 has two gaps. "
    "6: the first dilation is lost. 9: two equal layers were taken for one. A last 2: two strides of 2 make a step of 4"
)
assert given == [(3, 1, 3), (2, 2, 1), (2, 2, 1)], f"the caller's list must stay as it is, it became {given}: is pop or reverse used on it?"
print("passed: no layer, order, dilation, the product of the strides, and the list")


# %% hidden="field-measured" points=3
stacks_ = [
    [(3, 2, 1), (5, 1, 2), (2, 2, 1)],
    [(1, 2, 1), (3, 3, 1), (2, 2, 2)],
    [(4, 1, 3)],
    [(2, 2, 1)] * 4,
    [(7, 2, 1), (3, 2, 1), (3, 1, 4)],
]
got = [receptive_field(list(layers)) for layers in stacks_]
for layers, answer in zip(stacks_, got, strict=True):
    line = torch.zeros(1, 1, 150, dtype=torch.float64, requires_grad=True)
    out = line
    for k_, s_, d_ in layers:
        out = F.conv1d(out, torch.ones(1, 1, k_, dtype=torch.float64), stride=s_, dilation=d_)
    ends = []
    for place in (0, 1):
        (grad_,) = torch.autograd.grad(out[0, 0, place], line, retain_graph=True)
        seen_ = grad_[0, 0].nonzero()[:, 0]
        ends.append((seen_[0].item(), seen_[-1].item()))
    wanted = (ends[0][1] - ends[0][0] + 1, ends[1][0] - ends[0][0])
    assert answer == wanted, f"layers {layers}: measured with the gradient {wanted}, got {answer}"


# %% wrong="field-no-stride" fails="field-by-hand field-order field-measured"
def receptive_field(layers):
    size, step = 1, 1
    for k, s, d in layers:
        size += d * (k - 1)
        step *= s
    return size, step


# %% [markdown] mistake="field-no-stride"
# Adds up the layers as if all strides before them were 1.
#
# For `[(3, 2, 1), (3, 1, 1)]` you get a field of 5, not 7, though your step of 2 is right. After a stride of 2 neighbours in the map lie 2
# pixels apart, so the next kernel covers more of the picture. Where does the rule use the step j?

# %% wrong="field-own-stride" fails="field-order field-measured"
def receptive_field(layers):
    size, step = 1, 1
    for k, s, d in layers:
        step *= s
        size += d * (k - 1) * step
    return size, step


# %% [markdown] mistake="field-own-stride"
# Lets the stride of a layer already widen what this layer itself sees.
#
# A single layer `[(3, 2, 1)]` sees 3 pixels, as its windows are 3 wide; you say 5, and 9 in the worked example. A stride sets how far apart
# the windows lie. For which layers does that matter? The rule has two lines and the word "then".

# %% wrong="field-stride-not-multiplied" fails="field-order field-measured"
def receptive_field(layers):
    size, step = 1, 1
    for k, s, d in layers:
        size += d * (k - 1) * step
        step = s
    return size, step


# %% [markdown] mistake="field-stride-not-multiplied"
# Keeps only the stride of the last layer as the step.
#
# In the worked example your field of 7 is right, but the step is 1 and not 2: the last layer has stride 1, yet its numbers still lie 2
# pixels apart, because of the layer before. For two layers of stride 2, mark on paper which pixels the windows start at.

# %% wrong="field-no-dilation" fails="field-order field-measured"
def receptive_field(layers):
    size, step = 1, 1
    for k, s, _ in layers:
        size += (k - 1) * step
        step *= s
    return size, step


# %% [markdown] mistake="field-no-dilation"
# Ignores the dilation of the layers.
#
# A single layer `[(3, 1, 2)]` sees 3 pixels in your answer. Its three numbers lie two places apart, so draw the row of pixels, and count
# from the first that it meets to the last. Which of the three numbers in each tuple does your answer never use?

# %% wrong="field-one-gap" fails="field-order field-measured"
def receptive_field(layers):
    size, step = 1, 1
    for k, s, d in layers:
        size += (k + d - 2) * step
        step *= s
    return size, step


# %% [markdown] mistake="field-one-gap"
# Spreads the kernel by the dilation in one gap only.
#
# A single layer `[(3, 1, 2)]` sees 4 pixels in your answer; its three numbers meet the pixels 0, 2 and 4. With a kernel of 2 nothing shows.
# How many gaps lie between k numbers, and how wide is each?

# %% wrong="field-list-emptied" fails="field-order"
def receptive_field(layers):
    size, step = 1, 1
    while layers:
        k, s, d = layers.pop(0)
        size += d * (k - 1) * step
        step *= s
    return size, step


# %% [markdown] mistake="field-list-emptied"
# Takes the layers out of the list that the caller still needs.
#
# The numbers are right, but after the call the list is empty, so a second call with the same list returns (1, 1). Print the list before and
# after. How can you go through a list and leave it whole?

# %% right="field-backwards"
def receptive_field(layers):
    size, step = 1, 1
    for k, s, d in reversed(layers):
        size = (size - 1) * s + d * (k - 1) + 1
        step *= s
    return size, step


# %% [markdown] explanation="field"
# The right answer goes from the last layer back to the picture: a stretch of n numbers needs (n − 1) · s + d (k − 1) + 1 numbers of the map before it.
# It is the formula of the sizes, solved for h. Both ways give the same number, and the first needs no list in memory.
# Strides multiply: three layers of stride 2 make a step of 8, and a 3 × 3 after them adds 16 pixels at once.

# %% [markdown]
# A common note says: *"small kernels increase the amount of computation."* It is the reverse.
# Three 3 × 3 layers see as far as one 7 × 7, and have a ReLU after each.
# With $C$ channels in and out, one place in each map costs $9 C^2$ multiplications, three maps $27 C^2$, against $49 C^2$ for the one.
# Chapter 16 builds a network on this.

# %% [markdown]
# ### Exercise 7: correct the note (5 points)
#
# The note: "every channel must use the same kernel, and small kernels increase the amount of computation". Give the counter-examples.
#
# - `difference_weight(k, plus, minus, c_in)`: `k` is one slice, shape `(kh, kw)`; `plus` and `minus` are different channel numbers from 0 to `c_in - 1`.
#   Return the weight, shape `(1, c_in, kh, kw)` and dtype of `k`, with which `F.conv2d` gives the correlation of channel `plus` with `k` minus that of channel `minus` with `k`; the other channels must not change the result. Leave `k` as it is.
# - `multiplications(k, n, c)`, where `k` is a side: the number of multiplications, an `int`, in `n` convolutions of `k` × `k`, one after another, each from `c` to `c` channels: count, in each of the `n` results, one place with all its `c` channels. Additions and biases are not counted.
#
# By hand: `difference_weight(torch.tensor([[5.0]]), 2, 0, 3)` has the slices −5, 0, 5;
# `multiplications(3, 3, 2)` is $3 \cdot 9 \cdot 4 = 108$, and `multiplications(7, 1, 2)` is $49 \cdot 4 = 196$.
#
# <details><summary>Hint 1</summary>What must a slice be so that its channel cannot change the result?</details>
# <details><summary>Hint 2</summary>Start with zeros of the right shape and fill two slices. One output channel costs c · k · k multiplications.</details>


# %% exercise="note"
def difference_weight(k: torch.Tensor, plus: int, minus: int, c_in: int) -> torch.Tensor:
    """Weight (1, c_in, kh, kw): channel `plus` correlated with k, minus channel `minus` correlated with k."""
    # BEGIN SOLUTION
    signs = k.new_zeros(1, c_in, 1, 1)
    signs[:, plus], signs[:, minus] = 1, -1
    return signs * k
    # END SOLUTION


def multiplications(k: int, n: int, c: int) -> int:
    """Multiplications for one place in each map of n convolutions k × k from c to c channels."""
    # BEGIN SOLUTION
    return n * (k * c) ** 2
    # END SOLUTION


# %% check="note-by-hand" points=1
counts_ = [multiplications(3, 3, 2), multiplications(7, 1, 2), multiplications(1, 2, 3)]
got = [difference_weight(torch.tensor([[5.0]], dtype=torch.float64), 2, 0, 3), *counts_]
assert type(got[0]) is torch.Tensor, f"difference_weight must return a tensor, got {type(got[0]).__name__}. NoneType: is `return` missing?"
assert got[0].shape == (1, 3, 1, 1), f"the weight must have shape (1, 3, 1, 1), outputs first, got {tuple(got[0].shape)}"
assert got[0].flatten().tolist() == [-5, 0, 5], (
    f"the slices must be -5, 0, 5, got {got[0].flatten().tolist()}. All equal: as the note says. 5, 0, -5: plus and minus swapped"
)
assert got[0].dtype == torch.float64, (
    f"k is float64, so the weight must be too, got {got[0].dtype}: torch.zeros makes float32 unless dtype= is given"
)
assert got[1:3] == [108, 196] and type(got[1]) is int, (
    f"108 and 196, as ints; got {got[1:3]}. None: is `return` missing? 54 and 98: c only once; 36: n is ignored"
)
assert got[3] == 18, f"multiplications(1, 2, 3) is 2·1·9 = 18, got {got[3]}. 12: c was added to c, not multiplied with it"
print("passed: the examples worked by hand")

# %% check="note-pages" points=1
pages = torch.zeros(2, 3, 2, 2)
pages[0, 0], pages[1, 2] = 1, 1  # a red page, a blue page
got = difference_weight(torch.tensor([[1.0, 2.0]]), 0, 2, 3)
assert type(got) is torch.Tensor and got.shape == (1, 3, 1, 2), (
    f"a slice (1, 2) for each of 3 channels: shape (1, 3, 1, 2), got {tuple(got.shape) if isinstance(got, torch.Tensor) else got}"
)
maps_ = F.conv2d(pages, got)[:, 0].tolist()
assert maps_ == [[[3.0], [3.0]], [[-3.0], [-3.0]]], (
    f"red minus blue with the slice [1, 2]: the red page gives 3, the blue page -3 at each of the two places, got {maps_}. "
    "Equal numbers: equal slices. Signs the wrong way round: plus and minus swapped"
)
try:
    got = difference_weight(torch.tensor([[0.1, 0.2]], dtype=torch.float64), 1, 3, 4)
except NotImplementedError:  # not written yet
    raise
except (RuntimeError, IndexError) as problem:
    got = f"{type(problem).__name__}: {problem}"
assert type(got) is torch.Tensor and got.shape == (1, 4, 1, 2), (
    f"a slice (1, 2) for each of 4 channels: shape (1, 4, 1, 2), got {tuple(got.shape) if isinstance(got, torch.Tensor) else got}. "
    "(1, 3, 1, 2), or an error about an index: c_in need not be 3"
)
assert_close(
    got[0, :, 0],
    torch.tensor([[0.0, 0.0], [0.1, 0.2], [0.0, 0.0], [-0.1, -0.2]], dtype=torch.float64),
    rtol=1e-12,
    atol=0,
    msg=lambda m: (
        f"channel 1 minus channel 3 of 4, slice [0.1, 0.2] in float64: [[0, 0], [0.1, 0.2], [0, 0], [-0.1, -0.2]], got {got[0, :, 0].tolist()}. "
        f"0.2 before 0.1: the slice was flipped. 0.10000000149: kept in float32 on the way\n{m}"
    ),
)
print("passed: red and blue are told apart, and so are two of four channels")

# %% hidden="note-random" points=3
def weights_and_slice(k, pairs):
    given = k.clone()
    return [difference_weight(given, p, m, 5) for p, m in pairs], given


_ = torch.manual_seed(20)
slice_, five = torch.randn(2, 3, dtype=torch.float64), torch.randn(2, 5, 4, 6, dtype=torch.float64)
pairs = ((0, 3), (4, 1), (2, 0))
got, given = weights_and_slice(slice_, pairs)
counts = [multiplications(k, n, c) for k, n, c in ((5, 2, 3), (1, 4, 7), (3, 1, 1))]
assert torch.equal(given, slice_), "k was changed in place"
for (p, m), weight in zip(pairs, got, strict=True):
    wanted = F.conv2d(five[:, p : p + 1] - five[:, m : m + 1], slice_[None, None])
    assert weight.shape == (1, 5, 2, 3) and weight.dtype == torch.float64, (
        f"shape (1, 5, 2, 3), float64, got {tuple(weight.shape)}, {weight.dtype}"
    )
    where = f"channel {p} minus channel {m} of five, slice 2 × 3"
    assert_close(F.conv2d(five, weight), wanted, rtol=1e-12, atol=1e-12, msg=lambda mm, where=where: f"{where}\n{mm}")
assert counts == [450, 196, 9], f"multiplications(5, 2, 3), (1, 4, 7), (3, 1, 1): 450, 196, 9, got {counts}"


# %% wrong="note-same-slices" fails="note-by-hand note-pages note-random"
def difference_weight(k, plus, minus, c_in):
    return k.expand(1, c_in, *k.shape)


def multiplications(k, n, c):
    return n * k * k * c * c


# %% [markdown] mistake="note-same-slices"
# Gives every channel the same slice, which is what the note claims.
#
# In the example worked by hand you return 5, 5, 5 where −5, 0, 5 is wanted. Your weight sees only the sum of the channels, so a pure red
# and a pure blue page look the same to it. What must each of the three kinds of channel contribute to the result?

# %% wrong="note-signs" fails="note-by-hand note-pages note-random"
def difference_weight(k, plus, minus, c_in):
    weight = k.new_zeros(1, c_in, *k.shape)
    weight[0, plus], weight[0, minus] = -k, k
    return weight


def multiplications(k, n, c):
    return n * k * k * c * c


# %% [markdown] mistake="note-signs"
# Exchanges the signs: subtracts channel `plus` and adds channel `minus`.
#
# In the example worked by hand, with `plus` 2 and `minus` 0, your slices are 5, 0, −5. Everything else is right. Read once more from which
# of the two channels the other is taken away, and count the channels from 0.

# %% wrong="note-one-c" fails="note-by-hand note-random"
def difference_weight(k, plus, minus, c_in):
    weight = k.new_zeros(1, c_in, *k.shape)
    weight[0, plus], weight[0, minus] = k, -k
    return weight


def multiplications(k, n, c):
    return n * k * k * c


# %% [markdown] mistake="note-one-c"
# Counts the channels only once in `multiplications`.
#
# You return 54 and 98 where the worked examples have 108 and 196; with one channel both ways agree. One number of a result needs a product
# for every number of its block. How many such numbers stand at one place of a result with `c` channels?

# %% wrong="note-float32" fails="note-by-hand note-random"
def difference_weight(k, plus, minus, c_in):
    weight = torch.zeros(1, c_in, *k.shape)
    weight[0, plus], weight[0, minus] = k, -k
    return weight


def multiplications(k, n, c):
    return n * k * k * c * c


# %% [markdown] mistake="note-float32"
# Makes a float32 weight whatever the dtype of `k`.
#
# Put a float64 slice in, and use your weight on a float64 picture: `F.conv2d` stops with "expected scalar type Double but found Float". The
# statement names the dtype of the weight. Print the `.dtype` of the tensor that you fill.

# %% wrong="note-flipped" fails="note-pages note-random"
def difference_weight(k, plus, minus, c_in):
    k = k.flip(0, 1)
    weight = k.new_zeros(1, c_in, *k.shape)
    weight[0, plus], weight[0, minus] = k, -k
    return weight


def multiplications(k, n, c):
    return n * k * k * c * c


# %% [markdown] mistake="note-flipped"
# Flips the slice before it is put into the weight.
#
# Take the slice [[1, 2]] and a channel `plus` with the pixels 1, 0, 0: the correlation is 1, 0, but your weight makes 2, 0. A constant page
# or a slice of 1 × 1 does not show it. What does `F.conv2d` do with a kernel, by the first pages of this chapter?

# %% wrong="note-two-c" fails="note-by-hand note-random"
def difference_weight(k, plus, minus, c_in):
    weight = k.new_zeros(1, c_in, *k.shape)
    weight[0, plus], weight[0, minus] = k, -k
    return weight


def multiplications(k, n, c):
    return n * k * k * (c + c)


# %% [markdown] mistake="note-two-c"
# Adds the channels in and the channels out in `multiplications`.
#
# With 2 channels 2 + 2 and 2 · 2 are alike, so the worked examples come out right; for one 1 × 1 convolution from 3 to 3 channels you count
# 6. Write down the matrix of such a layer: how many of its numbers are multiplied at one pixel?

# %% right="note-stack"
def difference_weight(k, plus, minus, c_in):
    return torch.stack([k * ((c == plus) - (c == minus)) for c in range(c_in)])[None]


def multiplications(k, n, c):
    return sum(c * c * k * k for _ in range(n))


# %% [markdown] explanation="note"
# A map "red minus blue" is impossible with equal slices, because then only the sum of the channels enters.
# The first layer of trained networks is full of such colour differences.
# 27 C² against 49 C²: the small kernels compute less and see as far; what grows is the number of maps that must be kept for the backward pass.

# %% [markdown]
# ## Pooling, and back up
#
# **Pooling** (池化) makes a map smaller: each window of each channel, by itself, becomes its largest number (**max pooling**, 最大池化)
# or its mean (**average pooling**, 平均池化). There is nothing to learn. Usually the stride is as large as the window.
# **Nearest upsampling** (最近邻上采样) makes a map larger: every number becomes a block of equal numbers; PyTorch: `F.interpolate(x, scale_factor=2, mode="nearest")`.
# As layers they are `nn.MaxPool2d`, `nn.AvgPool2d` and `nn.Upsample`.

# %%
edge_map = F.conv2d(grey[None, None, 99:229, 99:229], sobel[None, None]).abs()
views = {
    "edges, 128 × 128": edge_map,
    "max pooling 4": F.max_pool2d(edge_map, 4),
    "average pooling 4": F.avg_pool2d(edge_map, 4),
    "average, nearest up 4": F.interpolate(F.avg_pool2d(edge_map, 4), scale_factor=4, mode="nearest"),
}
fig, axes = plt.subplots(1, 4, figsize=(12, 3.3))
for ax, (name, view) in zip(axes, views.items(), strict=True):
    ax.imshow(view[0, 0], cmap="gray_r", vmin=0, vmax=2)
    ax.set(title=name, xlabel=f"{view.shape[3]} columns", xticks=[], yticks=[])
plt.show()

# %% [markdown]
# Max pooling keeps the strongest edge of each block, so lines grow thick; the average spreads an edge over its block, so lines grow pale.
# Upsampling brings the size back, and nothing of what was lost.
#
# With padding the two treat the border differently.
# Max pooling pads with **−∞**, not with 0: a border of zeros would win against negative numbers.
# Average pooling pads with 0, and by default these zeros are counted in the mean (`count_include_pad=True`); with `False` only pixels of the picture are.

# %%
low = -torch.ones(1, 1, 2, 2)
print("max:           ", F.max_pool2d(low, 2, stride=2, padding=1).flatten().tolist())
print("avg:           ", F.avg_pool2d(low, 2, stride=2, padding=1).flatten().tolist())
print("avg, not padded:", F.avg_pool2d(low, 2, stride=2, padding=1, count_include_pad=False).flatten().tolist())

# %% [markdown]
# ### Exercise 8: pooling and upsampling (7 points)
#
# All take and return `(N, C, H, W)` of one floating-point dtype, and leave `x` as it is.
# In the two poolings `2 * p <= k`, so that every window meets the picture.
#
# - `max_pool(x, k, s, p)`: maximum over windows of `k` × `k`, stride `s`, with `p` rows and columns of padding on all sides that never win.
# - `avg_pool(x, k, s, p, include_pad=True)`: mean over the same windows, padded with 0; with `include_pad=False` the padding is not counted:
#   the sum is divided by the number of places of the window that lie in the picture.
# - `nearest_up(x, f)`: height and width `f` times as large, `f` a positive integer; each number becomes a block of `f` × `f`.
#
# The number of windows is that of the formula above (rounded down). Do not use ready pooling functions, `F.interpolate` or `nn.Upsample`.
# `F.pad(x, [left, right, top, bottom], value=v)` pads with `v`.
# `x.unfold(2, k, s)` cuts axis 2 into windows of length `k`, one every `s` places: `(N, C, H', W, k)`, the window as a new last axis.
#
# By hand: the picture `[[-1, -2], [-3, -4]]` with `k = 2, s = 2, p = 1` has four windows with one pixel each:
# `max_pool` gives −1, −2, −3, −4; `avg_pool` a quarter of that; `avg_pool(..., include_pad=False)` again −1, −2, −3, −4.
# `nearest_up` of `[[1, 2]]` with `f = 2` is `[[1, 1, 2, 2], [1, 1, 2, 2]]`.
#
# <details><summary>Hint 1</summary>Which number loses every comparison of a maximum?</details>
# <details><summary>Hint 2</summary>Unfold axis 2, then axis 3; reduce the two new axes.
# For include_pad=False, pool a picture of ones in the same way. <code>torch.repeat_interleave(x, f, dim)</code> repeats every entry along an axis.</details>


# %% exercise="pool"
def max_pool(x: torch.Tensor, k: int, s: int, p: int) -> torch.Tensor:
    """Maximum over windows k × k of x (N, C, H, W), stride s, p places of padding that never win."""
    # BEGIN SOLUTION
    padded = F.pad(x, [p] * 4, value=-torch.inf)
    return padded.unfold(2, k, s).unfold(3, k, s).amax(dim=(4, 5))
    # END SOLUTION


def avg_pool(x: torch.Tensor, k: int, s: int, p: int, include_pad: bool = True) -> torch.Tensor:
    """Mean over windows k × k of x (N, C, H, W), stride s, p zeros on each side, counted only if include_pad."""
    # BEGIN SOLUTION
    total = F.pad(x, [p] * 4).unfold(2, k, s).unfold(3, k, s).sum(dim=(4, 5))
    if include_pad:
        return total / k**2
    return total / F.pad(torch.ones_like(x), [p] * 4).unfold(2, k, s).unfold(3, k, s).sum(dim=(4, 5))
    # END SOLUTION


def nearest_up(x: torch.Tensor, f: int) -> torch.Tensor:
    """Each number of x (N, C, H, W) becomes a block f × f."""
    # BEGIN SOLUTION
    return x.repeat_interleave(f, dim=2).repeat_interleave(f, dim=3)
    # END SOLUTION


# %% check="pool-max" points=1
low_ = torch.tensor([[[[-1.0, -2.0], [-3.0, -4.0]]]])
got = max_pool(low_, 2, 2, 1)
assert type(got) is torch.Tensor, (
    f"max_pool must return a tensor, got {type(got).__name__}. NoneType: is `return` missing? "
    "max, a kind of tuple: `max` along an axis gives a pair, values and indices; `amax` gives the values"
)
assert got.flatten().tolist() == [-1, -2, -3, -4] and got.shape == (1, 1, 2, 2), (
    f"four windows with one pixel each: -1, -2, -3, -4, shape (1, 1, 2, 2), got {got.flatten().tolist()}, shape {tuple(got.shape)}. "
    "Zeros: the padding won, it must lose always. Only -1: there is no padding"
)
got = [max_pool(-torch.arange(1.0, 31.0).double().reshape(1, 2, 3, 5), 3, 2, 1), max_pool(1e30 * low_, 2, 2, 1)]
assert got[0].tolist() == [[[[-1, -2, -4], [-6, -7, -9]], [[-16, -17, -19], [-21, -22, -24]]]], (
    f"-1 to -15 in 3 rows of 5, and a second channel with -16 to -30, k = 3, s = 2, p = 1: [[-1, -2, -4], [-6, -7, -9]] and 15 less, got {got[0].tolist()}. "
    "-1, -3: the windows are k places apart, not s. The second channel like the first: each channel has its own maximum"
)
assert got[0].dtype == torch.float64, (
    f"x is float64, so the result must be too, got {got[0].dtype}: torch.zeros makes float32 unless dtype= is given"
)
assert torch.equal(got[1], 1e30 * low_), (
    f"pixels of -1e30 to -4e30, one in each window: they must come out as they are, got {got[1].flatten().tolist()}. "
    "All alike: the number in the padding is not low enough"
)
print("passed: padding never wins")

# %% check="pool-avg" points=1
low_ = torch.tensor([[[[-1.0, -2.0], [-3.0, -4.0]]]])
got = [avg_pool(low_, 2, 2, 1), avg_pool(low_, 2, 2, 1, include_pad=False)]
assert [type(v) for v in got] == [torch.Tensor] * 2, f"avg_pool must return a tensor, got {[type(v).__name__ for v in got]}"
assert got[0].flatten().tolist() == [-0.25, -0.5, -0.75, -1], (
    f"with the padding counted: -0.25, -0.5, -0.75, -1, got {got[0].flatten().tolist()}. "
    "-1, -2, -3, -4: padding not counted, or no division"
)
assert got[1].flatten().tolist() == [-1, -2, -3, -4], (
    f"with include_pad=False one pixel is left in each window: -1, -2, -3, -4, got {got[1].flatten().tolist()}. "
    "-0.25, -0.5, …: include_pad is ignored"
)
nines = 9 * torch.arange(15.0).reshape(1, 1, 3, 5)
got = [avg_pool(nines, 3, 2, 1), avg_pool(nines, 3, 2, 1, include_pad=False)]
means = torch.tensor([[[[12.0, 27.0, 24.0], [32.0, 57.0, 44.0]]]]), torch.tensor([[[[27.0, 40.5, 54.0], [72.0, 85.5, 99.0]]]])
assert got[0].shape == got[1].shape == (1, 1, 2, 3), (
    f"3 × 5 with k = 3, s = 2, p = 1: shape (1, 1, 2, 3), got {[tuple(v.shape) for v in got]}. (1, 1, 1, 2): the windows are k places apart, not s"
)
for name, mean_, out_ in zip(("", ", include_pad=False"), means, got, strict=True):
    assert_close(
        out_,
        mean_,
        msg=lambda m, name=name, mean_=mean_, out_=out_: (
            f"0, 9, 18, …, 126 in 3 rows of 5, avg_pool(x, 3, 2, 1{name}) must be {mean_[0, 0].tolist()}, got {out_.tolist()}. "
            f"60.75: a window at the side was divided as if it lay in a corner. 36: a pixel of the picture that is 0 was not counted\n{m}"
        ),
    )
print("passed: two kinds of mean at the border")

# %% check="pool-up" points=1
got = nearest_up(torch.tensor([[[[1.0, 2.0, 3.0]], [[4.0, 5.0, 6.0]]]]), 2)
assert type(got) is torch.Tensor and got.shape == (1, 2, 2, 6), (
    f"(1, 2, 1, 3) twice as large is (1, 2, 2, 6), got {got if not isinstance(got, torch.Tensor) else tuple(got.shape)}"
)
assert got[0].tolist() == [[[1, 1, 2, 2, 3, 3]] * 2, [[4, 4, 5, 5, 6, 6]] * 2], (
    f"rows 1 1 2 2 3 3 twice, then 4 4 5 5 6 6 twice, got {got[0].tolist()}. 1 2 3 1 2 3: the picture was laid as tiles"
)
got = nearest_up(torch.tensor([[[[7.0], [8.0]]]]), 3)
assert got.tolist() == [[[[7] * 3] * 3 + [[8] * 3] * 3]], (
    f"7 over 8 with f = 3: three rows 7 7 7, then three rows 8 8 8, got {got.tolist()}"
)
print("passed: blocks, not tiles")

# %% hidden="pool-torch" points=4
def answers_and_input(x, settings, factors):
    given = x.clone()
    pooled = [[max_pool(given, *o), avg_pool(given, *o), avg_pool(given, *o, include_pad=False)] for o in settings]
    return pooled, [nearest_up(given, f) for f in factors], given


_ = torch.manual_seed(20)
batches = [torch.randn(2, 3, 7, 10, dtype=torch.float64) - 2, torch.randn(1, 1, 5, 4, dtype=torch.float64).relu()]
batches.append(-1e30 * torch.rand(1, 2, 3, 5, dtype=torch.float64))
settings_ = [(3, 2, 1), (2, 2, 0), (4, 1, 2), (3, 3, 0)]
for x_ in batches:
    got, got_up, given = answers_and_input(x_, settings_, (1, 3))
    assert torch.equal(given, x_), "x was changed in place"
    for o, answers in zip(settings_, got, strict=True):
        wanted = [F.max_pool2d(x_, *o), F.avg_pool2d(x_, *o), F.avg_pool2d(x_, *o, count_include_pad=False)]
        for name, a, b in zip(("max_pool", "avg_pool", "avg_pool, include_pad=False,"), answers, wanted, strict=True):
            assert_close(a, b, msg=lambda m, name=name, o=o: f"{name} with (k, s, p) = {o} against PyTorch\n{m}")
    for f_, answer in zip((1, 3), got_up, strict=True):
        assert_close(answer, F.interpolate(x_, scale_factor=f_, mode="nearest"), msg=lambda m, f_=f_: f"nearest_up with f = {f_}\n{m}")


# %% wrong="pool-zero-padding" fails="pool-max pool-torch"
def max_pool(x, k, s, p):
    return F.pad(x, [p] * 4).unfold(2, k, s).unfold(3, k, s).amax(dim=(4, 5))


def avg_pool(x, k, s, p, include_pad=True):
    return F.avg_pool2d(x, k, s, p, count_include_pad=include_pad)


def nearest_up(x, f):
    return x.repeat_interleave(f, dim=2).repeat_interleave(f, dim=3)


# %% [markdown] mistake="pool-zero-padding"
# Pads with zeros for the maximum, and a zero wins against negative numbers.
#
# In the example worked by hand all pixels are negative, and you return 0 four times, a number that is nowhere in the picture. After a ReLU
# nobody would notice. The statement says that the padding never wins: against which numbers must it lose?

# %% wrong="pool-pad-never-counted" fails="pool-avg pool-torch"
def max_pool(x, k, s, p):
    return F.pad(x, [p] * 4, value=-torch.inf).unfold(2, k, s).unfold(3, k, s).amax(dim=(4, 5))


def avg_pool(x, k, s, p, include_pad=True):
    return F.avg_pool2d(x, k, s, p, count_include_pad=False)


def nearest_up(x, f):
    return x.repeat_interleave(f, dim=2).repeat_interleave(f, dim=3)


# %% [markdown] mistake="pool-pad-never-counted"
# Leaves the padding out of the mean even with `include_pad=True`.
#
# In the example worked by hand `avg_pool` should give a quarter of each pixel, −0.25 to −1, as each window holds one pixel and three zeros;
# yours gives −1 to −4 for both settings. By how many numbers do you divide, and does that depend on `include_pad`?

# %% wrong="pool-pad-always-counted" fails="pool-avg pool-torch"
def max_pool(x, k, s, p):
    return F.pad(x, [p] * 4, value=-torch.inf).unfold(2, k, s).unfold(3, k, s).amax(dim=(4, 5))


def avg_pool(x, k, s, p, include_pad=True):
    return F.avg_pool2d(x, k, s, p)


def nearest_up(x, f):
    return x.repeat_interleave(f, dim=2).repeat_interleave(f, dim=3)


# %% [markdown] mistake="pool-pad-always-counted"
# Counts the padding in the mean even with `include_pad=False`.
#
# In the example worked by hand each window has one pixel of the picture, so with `include_pad=False` the mean is that pixel, −1 to −4;
# yours is a quarter of it for both settings. How many places of a window lie in the picture, and how could you count them for every window?

# %% wrong="pool-tiles" fails="pool-up pool-torch"
def max_pool(x, k, s, p):
    return F.pad(x, [p] * 4, value=-torch.inf).unfold(2, k, s).unfold(3, k, s).amax(dim=(4, 5))


def avg_pool(x, k, s, p, include_pad=True):
    return F.avg_pool2d(x, k, s, p, count_include_pad=include_pad)


def nearest_up(x, f):
    return x.repeat(1, 1, f, f)


# %% [markdown] mistake="pool-tiles"
# Lays copies of the whole picture side by side in `nearest_up`.
#
# [[1, 2]] with `f = 2` becomes 1, 2, 1, 2 in each row of yours, and not 1, 1, 2, 2. A picture of one pixel looks the same both ways. Where
# should the f copies of one number stand in the result?

# %% wrong="pool-stride-is-k" fails="pool-max pool-avg pool-torch"
def max_pool(x, k, s, p):
    return F.max_pool2d(x, k, k, p)


def avg_pool(x, k, s, p, include_pad=True):
    return F.avg_pool2d(x, k, k, p, count_include_pad=include_pad)


def nearest_up(x, f):
    return x.repeat_interleave(f, dim=2).repeat_interleave(f, dim=3)


# %% [markdown] mistake="pool-stride-is-k"
# Moves the window by `k` places each time and ignores `s`.
#
# Take two equal rows 1, 2, 3, 4, 5, 6 with `k = 2`, `s = 1` and no padding: the maxima should be 2, 3, 4, 5, 6, but you return 2, 4, 6. The
# worked example has `k` equal to `s`, so it cannot show this. Where in your functions does `s` occur?

# %% wrong="pool-corner-count" fails="pool-avg pool-torch"
def max_pool(x, k, s, p):
    return F.max_pool2d(x, k, s, p)


def avg_pool(x, k, s, p, include_pad=True):
    places = k * k if include_pad else (k - p) ** 2
    return F.avg_pool2d(x, k, s, p) * k * k / places


def nearest_up(x, f):
    return x.repeat_interleave(f, dim=2).repeat_interleave(f, dim=3)


# %% [markdown] mistake="pool-corner-count"
# Divides every window by the count of a corner window when `include_pad=False`.
#
# On a 3 × 3 picture of ones with `k = 3`, `s = 1`, `p = 1` every mean of real pixels is 1. Yours is 1 in the corners, 1.5 at the sides and
# 2.25 in the middle. Count by hand how many pixels of the picture each of the nine windows holds.

# %% wrong="pool-finite-padding" fails="pool-max pool-torch"
def max_pool(x, k, s, p):
    return F.pad(x, [p] * 4, value=-1e9).unfold(2, k, s).unfold(3, k, s).amax(dim=(4, 5))


def avg_pool(x, k, s, p, include_pad=True):
    return F.avg_pool2d(x, k, s, p, count_include_pad=include_pad)


def nearest_up(x, f):
    return x.repeat_interleave(f, dim=2).repeat_interleave(f, dim=3)


# %% [markdown] mistake="pool-finite-padding"
# Pads the maximum with a low number that a lower pixel still loses against.
#
# On a picture where every pixel is -1e30, a window with padding returns the number of the padding, which is nowhere in the picture. The
# statement says "never". Which number is below every other?

# %% wrong="pool-zeros-not-counted" fails="pool-avg pool-torch"
def max_pool(x, k, s, p):
    return F.max_pool2d(x, k, s, p)


def avg_pool(x, k, s, p, include_pad=True):
    parts = F.pad(x, [p] * 4).unfold(2, k, s).unfold(3, k, s)
    places = k * k if include_pad else (parts != 0).sum(dim=(4, 5)).clamp(min=1)
    return parts.sum(dim=(4, 5)) / places


def nearest_up(x, f):
    return x.repeat_interleave(f, dim=2).repeat_interleave(f, dim=3)


# %% [markdown] mistake="pool-zeros-not-counted"
# Takes every zero for padding when `include_pad=False`, also the zeros of the picture.
#
# The pixels 0, 2 in one window have the mean 1; yours is 2. After a ReLU many pixels are 0. What tells a place of the picture from a place of
# the padding, if not the number that stands there?

# %% right="pool-loops"
def pooled(x, k, s, reduce):
    rows = range(0, x.shape[2] - k + 1, s)
    columns = range(0, x.shape[3] - k + 1, s)
    lines = [torch.stack([reduce(x[:, :, i : i + k, j : j + k]) for j in columns], dim=-1) for i in rows]
    return torch.stack(lines, dim=-2)


def max_pool(x, k, s, p):
    return pooled(F.pad(x, [p] * 4, value=float("-inf")), k, s, lambda part: part.flatten(2).max(dim=2).values)


def avg_pool(x, k, s, p, include_pad=True):
    marked = F.pad(x, [p] * 4, value=0.0 if include_pad else float("nan"))
    return pooled(marked, k, s, lambda part: part.flatten(2).nanmean(dim=2))


def nearest_up(x, f):
    return torch.kron(x, torch.ones(1, 1, f, f, dtype=x.dtype))


# %% [markdown] explanation="pool"
# After a ReLU no number is negative and a padding of 0 never shows: the mistake waits for maps that do have negative numbers.
# Max pooling sends its whole gradient to the winner of each window, average pooling an equal share to all.
# `repeat` lays tiles, `repeat_interleave` makes blocks.

# %% [markdown]
# ## Mixing channels: concatenation and 1 × 1
#
# Maps of the same height and width can be put together along the channels, `torch.cat(parts, dim=1)`: **channel concatenation** (通道拼接).
# Edges of one kernel size and blurs of another are then one input for the next layer.
#
# A kernel of **1 × 1** sees one pixel, but all its channels.
# At every place it multiplies the vector of channels with the same matrix $(C_{out}, C_{in})$: it is `nn.Linear` applied to each pixel.
# It changes the number of channels, and nothing moves.
# Here one makes grey out of three colours, and another makes one map out of five: this grey, and four edge maps.

# %%
to_grey = torch.tensor([0.299, 0.587, 0.114]).reshape(1, 3, 1, 1)  # brightness as the eye sees it
light = F.conv2d(pagoda[None], to_grey)
print(tuple(pagoda[None].shape), "->", tuple(light.shape))
diagonal = torch.tensor([[-2.0, -1.0, 0.0], [-1.0, 0.0, 1.0], [0.0, 1.0, 2.0]])
bank = torch.stack([sobel, sobel.T, diagonal, diagonal.flip(1)])[:, None]  # (4, 1, 3, 3)
edge_maps = F.conv2d(light, bank, padding=1).abs()
both = torch.cat([light, edge_maps], dim=1)  # (1, 5, 320, 400)
ink = F.conv2d(both, torch.tensor([0.2, -0.2, -0.2, -0.2, -0.2]).reshape(1, 5, 1, 1), bias=torch.tensor([0.9]))

# %%
fig, axes = plt.subplots(1, 3, figsize=(12, 3.4))
shown = [
    (pagoda.permute(1, 2, 0), "3 channels"),
    (light[0, 0], "1 × 1: grey"),
    (ink[0, 0, 1:-1, 1:-1], "1 × 1: 0.9 + 0.2 · (grey − edges)"),
]  # cut: the padding makes an edge
for ax, (picture, title) in zip(axes, shown, strict=True):
    ax.imshow(picture, cmap="gray", vmin=0, vmax=1)
    ax.set(title=title, xticks=[], yticks=[])
plt.show()

# %% [markdown]
# The right picture is a drawing with ink: one 1 × 1 convolution of five channels, brightness and four kinds of edges.

# %% [markdown]
# ### Exercise 9: concatenate and mix (5 points)
#
# Write `mix_channels(parts, w, b)`: `parts` is a non-empty list of tensors `(N, C_1, H, W)`, `(N, C_2, H, W)`, …, alike except in their channels;
# `w` has shape `(C_out, C_1 + C_2 + …, 1, 1)`, as in `nn.Conv2d`, and `b` `(C_out,)`, all of one floating-point dtype.
# Concatenate the channels in the order of the list, then apply the 1 × 1 convolution; the result has shape `(N, C_out, H, W)` and the same dtype.
# Leave the inputs as they are.
# Use one matrix product (`@`) or one `torch.einsum`; no convolution functions, no loop.
#
# By hand: parts of one pixel with the channels `[1, 2]` and `[3]`, weights `[[1, 10, 100], [0, 0, 1]]`, biases `[0, 0.5]`: the result has the channels $1 + 20 + 300 = 321$ and $3.5$.
#
# <details><summary>Hint 1</summary>Which axis must stand last, or last but one, so that the product sums over the channels?</details>
# <details><summary>Hint 2</summary><code>x.flatten(2)</code> is (N, C, H·W): one column a pixel. A matrix (C_out, C) times that is (N, C_out, H·W).
# Then put the pixels back into rows.</details>


# %% exercise="mix"
def mix_channels(parts: list[torch.Tensor], w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Concatenate parts (N, C_i, H, W) by channel and apply the 1 × 1 convolution w (C_out, C, 1, 1), b (C_out,)."""
    # BEGIN SOLUTION
    x = torch.cat(parts, dim=1)
    mixed = w.flatten(1) @ x.flatten(2) + b[:, None]  # (N, C_out, H · W)
    return mixed.unflatten(2, x.shape[2:])
    # END SOLUTION



# %% check="mix-by-hand" points=1
def mixed_or_error(parts, w, b):
    try:
        return mix_channels(parts, w, b)
    except NotImplementedError:  # not written yet
        raise
    except (RuntimeError, IndexError) as problem:
        return f"{type(problem).__name__}: {problem}"


parts_ = [torch.tensor([1.0, 2.0]).reshape(1, 2, 1, 1), torch.tensor([3.0]).reshape(1, 1, 1, 1)]
got = mixed_or_error(parts_, torch.tensor([[1.0, 10.0, 100.0], [0.0, 0.0, 1.0]]).reshape(2, 3, 1, 1), torch.tensor([0.0, 0.5]))
assert type(got) is torch.Tensor, (
    f"mix_channels must return a tensor, got {got}. None: is `return` missing? 'Sizes … except in dimension 0': the channels are axis 1. "
    "'unflatten', 'shape … is invalid' or 'size of tensor a': with (N, C_out, H·W), b belongs to axis 1: b[:, None]. "
    "'batch2' or another error in the product: w must be (C_out, C)"
)
assert got.shape == (1, 2, 1, 1), (
    f"one picture, two channels, one pixel: shape (1, 2, 1, 1), got {tuple(got.shape)}. "
    "(1, 4, 1, 1) or (1, 2, 1, 2): b was added along another axis; it belongs to axis 1, the channels"
)
assert got.flatten().tolist() == [321, 3.5], (
    f"must be 321 and 3.5, got {got.flatten().tolist()}. 213: the parts in another order. A second 3: the bias is lost"
)
got = mixed_or_error([torch.tensor([[[[5.0]]]])], torch.tensor([2.0, 3.0]).reshape(2, 1, 1, 1), torch.tensor([0.0, 1.0]))
assert type(got) is torch.Tensor and got.tolist() == [[[[10]], [[16]]]], (
    f"one part with one channel, one pixel 5, weights 2 and 3, biases 0 and 1: [[[[10]], [[16]]]], got {got if isinstance(got, str) else got.tolist()}. "
    "An error of sizes: w.squeeze() also takes away an axis of channels that has length 1"
)
print("passed: the example worked by hand, and a single channel")


# %% check="mix-places" points=1
def two_pictures(x):
    try:
        return mix_channels([x], torch.tensor([[1.0, 100.0], [0.0, 1.0]]).reshape(2, 2, 1, 1), torch.zeros(2))
    except NotImplementedError:  # not written yet
        raise
    except (RuntimeError, IndexError) as problem:
        return f"{type(problem).__name__}: {problem}"


got = two_pictures(torch.arange(24.0).reshape(2, 2, 2, 3))
assert type(got) is torch.Tensor, (
    f"mix_channels must return a tensor, got {got}. None: is `return` missing? Sizes 6 and 2: b belongs to axis 1 of (N, C_out, H·W): b[:, None]. "
    "'batch2' or another error in the product: w must be (C_out, C)"
)
assert got.shape == (2, 2, 2, 3), (
    f"two pictures, two channels, 2 × 3 pixels: shape (2, 2, 2, 3), got {tuple(got.shape)}. (1, 2, 2, 3): only the first picture, or the sum of both"
)
assert got[0].tolist() == [[[600, 701, 802], [903, 1004, 1105]], [[6, 7, 8], [9, 10, 11]]], (
    f"channel 0 has 0 to 5, channel 1 has 6 to 11, weights [1, 100] and [0, 1]: 600, 701, 802, 903, 1004, 1105 and then 6 to 11, "
    f"got {got[0].tolist()}. 100, 302, …: reshaped to rows of two before the channels were moved to the last axis. "
    "600, 6, 701, …: the same mistake on the way back. 600, 802, 1004 or 600, 903, 701: rows and columns were exchanged. "
    "1200, 1301, …: reshaped to (C, N·H·W) before the axis N was moved. 1812, … as the second channel: the same on the way back. "
    "0, 1, 2, …: w was transposed"
)
assert got[1].tolist() == [[[1812, 1913, 2014], [2115, 2216, 2317]], [[18, 19, 20], [21, 22, 23]]], (
    f"the second picture has 12 to 17 and 18 to 23: 1812, 1913, 2014, 2115, 2216, 2317 and then 18 to 23, got {got[1].tolist()}"
)
print("passed: every pixel keeps its place, in two pictures")


# %% hidden="mix-torch" points=3
def results_and_inputs(made):
    given = [([piece.clone() for piece in pieces], weight.clone(), offset.clone()) for pieces, weight, offset in made]
    return [mix_channels(*inputs) for inputs in given], given


_ = torch.manual_seed(20)
cases = [((2, 3), 4, (3, 5, 2)), ((1,), 1, (1, 4, 4)), ((2, 2, 1), 3, (4, 1, 6)), ((1,), 3, (2, 2, 3))]
made = [
    (
        [torch.randn(n, c, h, v, dtype=torch.float64) for c in channels],
        torch.randn(o, sum(channels), 1, 1, dtype=torch.float64),
        torch.randn(o, dtype=torch.float64),
    )
    for channels, o, (n, h, v) in cases
]
got, given = results_and_inputs(made)
for (pieces, weight, offset), (pieces1, weight1, offset1), out in zip(made, given, got, strict=True):
    shapes = [tuple(piece.shape) for piece in pieces]
    assert len(pieces1) == len(pieces), "the list of parts was changed in place"
    unchanged = zip([*pieces, weight, offset], [*pieces1, weight1, offset1], strict=True)
    assert all(torch.equal(a, b) for a, b in unchanged), "an input was changed in place"
    wanted = F.conv2d(torch.cat(pieces, 1), weight, offset)
    assert_close(out, wanted, msg=lambda m, shapes=shapes: f"float64, parts {shapes}, against F.conv2d\n{m}")


# %% wrong="mix-reshape" fails="mix-places mix-torch"
def mix_channels(parts, w, b):
    x = torch.cat(parts, dim=1)
    n, c, h, v = x.shape
    return (x.reshape(-1, c) @ w.reshape(-1, c).T + b).reshape(n, -1, h, v)


# %% [markdown] mistake="mix-reshape"
# Cuts the numbers into pixels without moving the channel axis first.
#
# Channel 0 holds 1, 2, 3 and channel 1 holds 10, 20, 30. The first pixel is (1, 10), but yours is (1, 2), two neighbours of one channel;
# with weights 1 and 100 that gives 201 and not 1001. The shapes fit all the same. In which order do the numbers lie in memory?

# %% wrong="mix-reshape-back" fails="mix-places mix-torch"
def mix_channels(parts, w, b):
    x = torch.cat(parts, dim=1)
    n, c, h, v = x.shape
    return (x.permute(0, 2, 3, 1) @ w.reshape(-1, c).T + b).reshape(n, -1, h, v)


# %% [markdown] mistake="mix-reshape-back"
# Reshapes the result back although its channels still stand last.
#
# With channels 1, 2, 3 and 10, 20, 30 and weights that change nothing, your first channel is 1, 10, 2: the numbers are right, but in the
# wrong places. Write the meaning of each axis next to the shape before and after your last line. Did an axis have to move?

# %% wrong="mix-order" fails="mix-by-hand mix-torch"
def mix_channels(parts, w, b):
    x = torch.cat(parts[::-1], dim=1)
    y = x.permute(0, 2, 3, 1) @ w.flatten(1).T + b
    return y.permute(0, 3, 1, 2)


# %% [markdown] mistake="mix-order"
# Puts the parts together in the reverse order.
#
# In the example worked by hand your channels come as 3, 1, 2, so the first result is 3 + 10 + 200 = 213 and not 321. With a single part
# nothing shows. In which order does the list stand, and which column of the weights belongs to its first channel?

# %% wrong="mix-batch-in-one-row" fails="mix-places mix-torch"
def mix_channels(parts, w, b):
    x = torch.cat(parts, dim=1)
    n, c, h, v = x.shape
    return (w.flatten(1) @ x.reshape(c, -1) + b[:, None]).reshape(n, -1, h, v)


# %% [markdown] mistake="mix-batch-in-one-row"
# Lays all pictures in one row for each channel without moving the axis of the pictures.
#
# Two pictures of one pixel with the channels (1, 10) and (2, 20) lie in memory as 1, 10, 2, 20; your row for channel 0 is 1, 10 and not
# 1, 2. With one picture nothing shows. Which axis must come first before the others are flattened together?

# %% wrong="mix-squeeze" fails="mix-by-hand mix-torch"
def mix_channels(parts, w, b):
    x = torch.cat(parts, dim=1)
    y = w.squeeze() @ x.flatten(2) + b[:, None]
    return y.reshape(len(x), -1, *x.shape[2:])


# %% [markdown] mistake="mix-squeeze"
# Takes away every axis of length 1 from the weights, also an axis of channels.
#
# Weights of the shape (2, 1, 1, 1) become (2,), and the product with a single channel stops with an error about sizes. Print the shape of
# your weights for one channel in, and for one channel out. Which two axes are to go, whatever their neighbours are?

# %% wrong="mix-no-bias" fails="mix-by-hand mix-torch"
def mix_channels(parts, w, b):
    x = torch.cat(parts, dim=1)
    return (x.permute(0, 2, 3, 1) @ w.flatten(1).T).permute(0, 3, 1, 2)


# %% [markdown] mistake="mix-no-bias"
# Leaves out the bias `b`.
#
# In the example worked by hand the second channel is 3, where the statement has 3.5. The first channel has bias 0 and looks right. Where in
# your function does `b` occur, and along which axis does each of its numbers belong?

# %% right="mix-permute"
def mix_channels(parts, w, b):
    pixels = torch.cat(parts, dim=1).permute(0, 2, 3, 1)  # channels last
    return (pixels @ w[:, :, 0, 0].T + b).permute(0, 3, 1, 2)


# %% right="mix-einsum"
def mix_channels(parts, w, b):
    return torch.einsum("nchw,oc->nohw", torch.cat(parts, dim=1), w[:, :, 0, 0]) + b.reshape(1, -1, 1, 1)


# %% [markdown] explanation="mix"
# `reshape(-1, C)` of (N, C, H, W) takes C neighbouring numbers of one channel for a pixel: it runs, the shapes are right, the numbers are not.
# First move the channels to the end, or keep them and flatten what lies behind them.
# The way back has the same trap: (N, H, W, C_out) must be permuted, not reshaped.

# %% [markdown]
# ## Move the picture, and the map moves
#
# Every window is treated alike, so what a convolution finds here it also finds there.
# With stride 1, move the picture by three pixels and the map moves by three: $f(\text{shift}(x)) = \text{shift}(f(x))$.
# (With stride $s$ only a move by a multiple of $s$ moves the map, by $1/s$ of it.)
# This is called **equivariance** (等变性).
# It is not **invariance** (不变性), $f(\text{shift}(x)) = f(x)$: the map does change, it moves.
#
# Padding breaks the rule near the edge, where a window sees zeros, and so does anything that leaves the picture.
# `torch.roll(x, (dy, dx), (2, 3))` moves by `dy` rows down and `dx` columns to the right, and what leaves on one side comes in on the other.

# %%
page = grey[None, None, 60:140, 100:220]
move = lambda t: torch.roll(t, (12, 20), (2, 3))
edges_of = lambda t: F.conv2d(t, sobel[None, None], padding=1)
first, second = edges_of(move(page)), move(edges_of(page))
fig, axes = plt.subplots(1, 3, figsize=(12, 2.9))
shown = [(first, "move, then find edges"), (second, "find edges, then move"), ((first - second).abs(), "difference")]
for ax, (picture, title) in zip(axes, shown, strict=True):
    ax.imshow(picture[0, 0], cmap="gray_r" if title == "difference" else "RdBu_r", vmin=0 if title == "difference" else -2, vmax=2)
    ax.set(title=title, xticks=[], yticks=[])
plt.show()
core = (..., slice(13, -13), slice(21, -21))  # without 13 rows and 21 columns on each side
print(f"largest difference of the two: {(first - second).abs().max():.1f}, and in the core {(first - second)[core].abs().max():.1f}")
print(f"core compared with a map that was not moved: {(first - edges_of(page))[core].abs().max():.1f}")

# %% [markdown]
# The two maps agree except on thin lines: at the edge of the picture, where there is padding, and where the old edge was moved to, 12 rows down and 20 columns to the right.
# Whoever compares the whole pictures finds "not equivariant".
# So leave out a **band** (边带) along all four sides, as wide as the move and the reach of the kernel together: 12 + 1 and 20 + 1.
# (The level lines are pale: Sobel's upright kernel hardly responds to a level edge.)
# In the core that remains the difference is 0. Compared with a map that was not moved it is large: equivariant, not invariant.

# %% [markdown]
# ### Exercise 10: is it equivariant? (6 points)
#
# Write `is_equivariant(f, x, shift, band)`.
#
# - `f` takes a tensor `(N, C, H, W)`, which it does not change, and returns one `(N, C', H, W)`, same height and width; `x` is such an input, floating-point.
# - `shift = (dy, dx)`: integers, move down and right with `torch.roll`, negative ones up and left.
# - `band`: a non-negative integer, smaller than half of `H` and of `W`: the number of rows at the top and at the bottom, and columns left and right, that are left out of the comparison.
#
# Return `True` (a `bool`) if $f(\text{shift}(x))$ and $\text{shift}(f(x))$ differ by at most $10^{-4}$ at every remaining place of every channel and picture, else `False`.
# (`torch.allclose(a, b, atol=1e-4)` allows more; it needs `rtol=0` too.)
# Leave `x` as it is.
#
# (`lambda t: 2 * t` is a function without a name, of one argument `t`.)
# By hand: `f = lambda t: 2 * t` is equivariant with every shift and band 0; `f = lambda t: t.flip(3)`, the mirror, is not, for `x = [[1, 2, 3]]` and `shift = (0, 1)`:
# shift and mirror gives `[2, 1, 3]`, mirror and shift gives `[1, 3, 2]`.
#
# <details><summary>Hint 1</summary>How often is f called, and on what?</details>
# <details><summary>Hint 2</summary>With band 0 the slice <code>[0:-0]</code> is empty; write the end as H - band.</details>


# %% exercise="equi"
def is_equivariant(f, x: torch.Tensor, shift: tuple[int, int], band: int) -> bool:
    """Whether f(shift(x)) equals shift(f(x)), up to 1e-4, except in a band along the four sides."""
    # BEGIN SOLUTION
    gap = f(torch.roll(x, shift, (2, 3))) - torch.roll(f(x), shift, (2, 3))
    h, w = x.shape[2:]
    return bool((gap[:, :, band : h - band, band : w - band].abs() <= 1e-4).all())
    # END SOLUTION


# %% check="equi-by-hand" points=1
def simple_ones():
    line = torch.tensor([[[[1.0, 2.0, 3.0]]]])
    return [is_equivariant(f, line, (0, 1), 0) for f in (lambda t: 2 * t, lambda t: t.flip(3), lambda t: t * torch.tensor([1.0, 2.0, 4.0]))]


got = simple_ones()
assert [type(v) for v in got] == [bool] * 3, (
    f"is_equivariant must return True or False (bool), got {got}. None: is `return` missing? A tensor: bool(…) makes one of it"
)
assert got == [True, False, False], (
    f"doubling is equivariant, the mirror is not, nor are weights that depend on the place: [True, False, False], got {got}. "
    "All False: f(shift(x)) was compared with f(x), that is invariance. [False, True, False]: f(x) was moved the other way. "
    "All True: band 0 gave the empty slice [0:-0], or dy and dx were swapped (the axes are (2, 3))"
)
print("passed: the examples worked by hand")


# %% check="equi-band" points=1
def padded_mean():
    ramp = torch.arange(1.0, 82.0).reshape(1, 1, 9, 9)
    f = lambda t: F.avg_pool2d(t, 3, stride=1, padding=1)
    return [is_equivariant(f, ramp, (2, 1), band) for band in (0, 2, 3)]


def one_pixel(height, band):
    speck = torch.zeros(2, 2, 9, 9, dtype=torch.float64)
    speck[1, 1, 4, 4] = height
    return is_equivariant(lambda t: t + speck, torch.full((2, 2, 9, 9), 100.0, dtype=torch.float64), (2, 1), band)


got, got_speck = padded_mean(), [one_pixel(0.001, 0), one_pixel(0.001, 3), one_pixel(-0.001, 3), one_pixel(1e-6, 0)]
assert [type(v) for v in got + got_speck] == [bool] * 7, (
    f"is_equivariant must return True or False (bool), got {got + got_speck}. A tensor: bool(…) makes one of it"
)
assert got == [False, False, True], (
    f"a 3 × 3 mean with padding, moved by (2, 1): 2 rows moved in and 1 of reach, so bands 0, 2, 3 give [False, False, True], got {got}. "
    "All False: the band is not left out on all four sides, or f(x) was not moved. "
    "All True: too much is left out, or nothing was moved: the axes are (2, 3). "
    "[True, False, True]: with band 0 the slice [0:-0] is empty. [False, True, True]: more than the band is left out, or it was not cut from axes 2 and 3"
)
assert got_speck[:3] == [False] * 3, (
    f"f adds 0.001, 0.001 or -0.001 to one pixel of the last of 2 × 2 maps of hundreds; two places differ by 0.001, with band 3 one remains: "
    f"False, False, False, got {got_speck[:3]}. All True: the mean of the differences was tested, or only the first channel or picture, "
    "or rtol was not 0. One True: the sign of the difference counts. The last two True: more than the band is left out"
)
assert got_speck[3] is True, (
    f"f adds 0.000001 to one pixel, less than 1e-4: True, got {got_speck[3]}: equal to the last bit is too much to ask"
)
print("passed: only the band is left out, and every place counts")


# %% hidden="equi-kinds" points=2
def kinds_and_input(x, w):
    given = x.clone()
    fs = {
        "conv": lambda t: F.conv2d(t, w, padding=1),
        "relu": lambda t: F.conv2d(t, w, padding=1).relu() - 1,
        "constant": lambda t: torch.zeros_like(t),
        "place": lambda t: t * torch.linspace(0, 1, t.shape[3]),
        "transposed": lambda t: t.transpose(2, 3).reshape(t.shape),
        "back": lambda t: t.cumsum(3),
        "second picture": lambda t: t * torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1) * torch.linspace(0, 1, 9)[:, None],
        "almost": lambda t: t + 1e-6 * torch.linspace(0, 1, t.shape[3]),
        "last channel": lambda t: torch.cat([t, t * torch.linspace(0, 1, t.shape[3])], dim=1),
        "a little": lambda t: t + 0.01 * torch.linspace(0, 1, t.shape[3]),
        "one place": lambda t: t + 0.0005 * (torch.arange(9)[:, None] == 4) * (torch.arange(12) == 5),
    }
    return {name: [is_equivariant(f, given, shift, 3) for shift in ((1, 0), (0, -2), (2, 1))] for name, f in fs.items()}, given


_ = torch.manual_seed(20)
inputs, weights = torch.randn(2, 3, 9, 12), torch.randn(4, 3, 3, 3)
got, given = kinds_and_input(inputs, weights)
assert torch.equal(given, inputs), "x was changed in place"
always, never = [True] * 3, [False] * 3
wanted = {"conv": always, "relu": always, "constant": always, "transposed": never, "almost": always, "one place": never}
wanted |= dict.fromkeys(("place", "back", "last channel", "a little"), [True, False, False]) | {"second picture": [False, True, False]}
for name, answers in wanted.items():
    assert got[name] == answers, f"'{name}', shifts (1, 0), (0, -2), (2, 1), band 3: {answers}, got {got[name]}"


# %% hidden="equi-sides" points=1
def broken_at(line, axis, band):
    def f(t):
        out = t.clone()
        out.select(axis, line).zero_()
        return out

    x = 1 + torch.arange(56.0).reshape(1, 1, 7, 8)
    return is_equivariant(f, x, (1, 0) if axis == 3 else (0, 1), band)


def broken_far(band):
    x = 1 + torch.arange(56.0).reshape(1, 1, 7, 8)
    picked = torch.zeros(7, 8)
    picked[3, 4] = 1
    return is_equivariant(lambda t: t * picked, x, (1, -1), band)


got = [[broken_far(band) for band in (0, 2, 3)], [broken_at(0, 2, 0), broken_at(7, 3, 0)]]
assert got[0] == [False, False, False], f"f keeps the middle pixel (3, 4) of 7 × 8 only: False with the bands 0, 2 and 3, got {got[0]}"
assert got[1] == [True, True], f"rows are zeroed and the move is along the rows (and the same for columns): True, True, got {got[1]}"


# %% hidden="equi-each-side" points=1
def one_side(where, band, step):
    picked = torch.ones(8, 9)
    picked[where] = 0
    return is_equivariant(lambda t: t * picked, torch.full((1, 1, 8, 9), 2.0), (step, step), band)


places = [(1, 4), (6, 4), (4, 1), (4, 7)]
got = [[one_side(place, band, step) for band in (1, 2, 3)] for place in places for step in (1, -1)]
wanted = []
for i, j in places:
    for step in (1, -1):
        spots = [(i, j), (i + step, j + step)]  # the hole, and the hole after the move
        wanted.append([not any(b <= a < 8 - b and b <= c < 9 - b for a, c in spots) for b in (1, 2, 3)])
assert got == wanted, f"a hole near the top, bottom, left, right of 8 × 9, moves (1, 1) and (-1, -1), bands 1, 2, 3: {wanted}, got {got}"


# %% wrong="equi-invariance" fails="equi-by-hand equi-band equi-kinds"
def is_equivariant(f, x, shift, band):
    a, b = f(torch.roll(x, shift, (2, 3))), f(x)
    inner = (..., slice(band, x.shape[2] - band), slice(band, x.shape[3] - band))
    return torch.allclose(a[inner], b[inner], rtol=0, atol=1e-4)


# %% [markdown] mistake="equi-invariance"
# Compares f(shift(x)) with f(x) itself, which tests invariance.
#
# Doubling should be equivariant, but for [1, 2, 3] moved by one you compare [6, 2, 4] with [2, 4, 6] and answer `False`. Read the two
# formulas above the exercise: what happens to the result in each? Which one has the map move with the picture?

# %% wrong="equi-band-counted" fails="equi-band equi-kinds"
def is_equivariant(f, x, shift, band):
    a, b = f(torch.roll(x, shift, (2, 3))), torch.roll(f(x), shift, (2, 3))
    return torch.allclose(a, b, rtol=0, atol=1e-4)


# %% [markdown] mistake="equi-band-counted"
# Compares the whole pictures and never leaves out the band.
#
# A 3 × 3 mean with padding is "not equivariant" in your answer for every `band`, also for a wide one, since the zeros at the edge always
# differ. Does your answer depend on `band` at all? On paper, mark the places of a 9 × 9 picture that remain with band 3.

# %% wrong="equi-minus-zero" fails="equi-by-hand"
def is_equivariant(f, x, shift, band):
    a, b = f(torch.roll(x, shift, (2, 3))), torch.roll(f(x), shift, (2, 3))
    return torch.allclose(a[:, :, band:-band, band:-band], b[:, :, band:-band, band:-band], rtol=0, atol=1e-4)


# %% [markdown] mistake="equi-minus-zero"
# Compares an empty slice when the band is 0, so that every f passes.
#
# With band 0 you answer `True` for the mirror too, as nothing is left that could differ. Print the shape of what you compare for the bands
# 0 and 1, and ask where a slice ends whose end is minus zero.

# %% wrong="equi-wrong-way" fails="equi-band equi-kinds"
def is_equivariant(f, x, shift, band):
    a, b = f(torch.roll(x, shift, (2, 3))), torch.roll(f(x), (-shift[0], -shift[1]), (2, 3))
    inner = (..., slice(band, x.shape[2] - band), slice(band, x.shape[3] - band))
    return torch.allclose(a[inner], b[inner], rtol=0, atol=1e-4)


# %% [markdown] mistake="equi-wrong-way"
# Moves f(x) the opposite way to the picture.
#
# For doubling, [1, 2, 3] and a move by one to the right you compare [6, 2, 4] with [4, 6, 2] and answer `False`, though doubling is
# equivariant. Print both results for this example. Which way does the map have to go when the picture goes right?

# %% wrong="equi-mean" fails="equi-band equi-kinds"
def is_equivariant(f, x, shift, band):
    a, b = f(torch.roll(x, shift, (2, 3))), torch.roll(f(x), shift, (2, 3))
    inner = (..., slice(band, x.shape[2] - band), slice(band, x.shape[3] - band))
    return bool((a[inner] - b[inner]).abs().mean() <= 1e-4)


# %% [markdown] mistake="equi-mean"
# Tests the mean of the differences, where each single one must be small.
#
# If 2 of 100 places differ by 0.001, their mean is 0.00002, and you answer `True`. The statement allows at most 0.0001 at every remaining
# place. Which one number tells you about the worst place?

# %% wrong="equi-first-map" fails="equi-band equi-kinds"
def is_equivariant(f, x, shift, band):
    a, b = f(torch.roll(x, shift, (2, 3)))[0, 0], torch.roll(f(x), shift, (2, 3))[0, 0]
    inner = (slice(band, x.shape[2] - band), slice(band, x.shape[3] - band))
    return torch.allclose(a[inner], b[inner], rtol=0, atol=1e-4)


# %% [markdown] mistake="equi-first-map"
# Looks at the first channel of the first picture only.
#
# A function that is right there, and mirrors every other picture or channel, gets `True` from you. Print the shape of what you compare for
# two pictures with two channels, and count the numbers that were left out.

# %% wrong="equi-relative" fails="equi-band"
def is_equivariant(f, x, shift, band):
    a, b = f(torch.roll(x, shift, (2, 3))), torch.roll(f(x), shift, (2, 3))
    inner = (..., slice(band, x.shape[2] - band), slice(band, x.shape[3] - band))
    return torch.allclose(a[inner], b[inner], atol=1e-4)


# %% [markdown] mistake="equi-relative"
# Lets large numbers differ by more, since a relative tolerance is left on.
#
# The numbers 100 and 100.001 differ by ten times what the statement allows, and you answer `True`. Look up what the default tolerances of
# your comparison add up to, for a number of 100.

# %% right="equi-mask"
def is_equivariant(f, x, shift, band):
    height, width = x.shape[-2:]
    keep = torch.zeros(height, width, dtype=torch.bool)
    keep[band : height - band, band : width - band] = True
    one = f(x.roll(shift, dims=(-2, -1)))[..., keep]
    two = f(x).roll(shift, dims=(-2, -1))[..., keep]
    return (one - two).abs().max().item() <= 1e-4


# %% [markdown] survives="equi"
# - `gap = torch.roll(f(x), shift, (2, 3)) - f(torch.roll(x, shift, (2, 3)))`: only the size of the difference is used, not its sign.
# - `return bool((gap[:, :, band:h - band, band:w - band].abs() < 0.0001).all())`: differs only where a difference is exactly 1e-4, which rounding decides.

# %% [markdown] explanation="equi"
# f is called twice, on the moved picture and on the picture; the second result is moved.
# Comparing with f(x) unmoved asks for invariance, and a convolution does not have it.
# Without the band every padded convolution is "not equivariant", which is true and says nothing about the inside.
# One check is an experiment, not a proof: the constant function passes, and so does anything that happens to agree on this x.

# %% [markdown]
# ### A little invariance from pooling
#
# After max pooling over 4 × 4, an edge that moves by one pixel mostly stays in its block: the pooled map changes less than the map.
# We measure it on 500 pictures of clothes: how much does a move change the numbers, relative to their size?

# %%
clothes = FashionMNIST(DATA, train=True)  # read from the disk
images = clothes.data[:5000, None] / 255  # (5000, 1, 28, 28)
with torch.no_grad():
    wide = F.pad(images[:500], [8] * 4)
    find = lambda t: F.conv2d(t, bank, padding=1).abs()
    stages = {
        "edge maps": find,
        "max pooling 2": lambda t: F.max_pool2d(find(t), 2),
        "max pooling 4": lambda t: F.max_pool2d(find(t), 4),
        "maximum of the whole map": lambda t: find(t).amax(dim=(2, 3)),
    }
    changes = {name: [((g(wide.roll(d, 3)) - g(wide)).norm() / g(wide).norm()).item() for d in range(7)] for name, g in stages.items()}
fig, ax = plt.subplots(figsize=(6, 3.4))
for name, values in changes.items():
    ax.plot(range(7), values, "o-", ms=4, label=name)
ax.set(xlabel="move to the right (pixels)", ylabel="relative change", title="500 pictures of clothes", ylim=(-0.05, 1.7))
ax.legend(ncols=2, fontsize=8)
plt.show()
assert (
    changes["max pooling 4"][1] < changes["max pooling 2"][1] < changes["edge maps"][1] and max(changes["maximum of the whole map"]) < 1e-4
)
print({name: round(values[1], 2) for name, values in changes.items()}, "at a move of 1")

# %% [markdown]
# A move of one pixel changes the edge maps by 70 in a hundred and the maps pooled by 4 only by about half of that.
# After six pixels pooling by 4 helps little. Only the maximum over the whole map is invariant, and it no longer knows where anything was.

# %% [markdown]
# ## The way back
#
# A layer learns through its gradients.
# Let $g$, shape `(N, C_out, H', W')`, be the gradient of the loss with respect to the result $y$; in code `dy`.
# Every $y_{noij}$ (picture $n$, block $o$, place $i, j$) was made from one window and one block:
#
# $$y_{noij} = b_o + \sum_{c, u, v} \tilde x_{n,\, c,\, i \cdot s + u,\, j \cdot s + v} \; w_{ocuv},$$
#
# where $\tilde x$ is the padded input, $s$ the stride, and $u, v$ a place in the kernel.
# Write $db$, $dw$, $dx$ for the gradients of the loss with respect to $b$, $w$, $x$, and $w_o$ for block $o$, shape `(C_in, kh, kw)`. Then
#
# - a bias was added once for each place: $db_o$ is the sum of $g_{noij}$ over pictures and places;
# - a weight met one pixel for each place: $dw_{ocuv} = \sum_{n, i, j} g_{noij} \; \tilde x_{n,\, c,\, i \cdot s + u,\, j \cdot s + v}$;
# - a pixel was used in several windows, and gets a share from each: for every place $i, j$, **add** $\sum_o g_{noij} \, w_o$ to the gradient of the window that starts in row $i \cdot s$, column $j \cdot s$.
#   This is called **scatter-add** (散射累加): windows overlap, so add, do not assign.
#   At last cut off the padding.
#
# The figure shows how many windows use each pixel of a 7 × 7 picture: the gradient of the sum of the result, when all weights are 1.

# %%
fig, axes = plt.subplots(1, 3, figsize=(9, 3.1))
for ax, (stride, padding) in zip(axes, [(1, 0), (2, 0), (2, 1)], strict=True):
    square = torch.zeros(1, 1, 7, 7, requires_grad=True)
    F.conv2d(square, torch.ones(1, 1, 3, 3), stride=stride, padding=padding).sum().backward()
    uses = square.grad[0, 0]
    ax.imshow(uses, cmap="Blues", vmin=0, vmax=12)
    for i in range(7):
        for j in range(7):
            ax.text(j, i, int(uses[i, j]), ha="center", va="center")
    ax.set(title=f"stride {stride}, padding {padding}", xticks=[], yticks=[])
plt.show()

# %% [markdown]
# With stride 1 a pixel of the middle is used 9 times, a corner once.
# With stride 2 the pixels take part in 1, 2 or 4 windows, in a pattern; a wrong stride in the backward pass destroys exactly this.

# %% [markdown]
# ### Exercise 11: the backward pass (8 points)
#
# Write `conv_backward(dy, x, w, stride, padding)` for `y = F.conv2d(x, w, b, stride=stride, padding=padding)`:
# `dy` is the gradient of the loss with respect to `y`, shape `(N, C_out, H', W')`; `x` is `(N, C_in, H, W)`, `w` is `(C_out, C_in, kh, kw)`, all of one floating-point dtype, and perhaps permuted.
# Return the tuple `(dx, dw, db)`, shaped like `x`, `w` and `(C_out,)`.
# Do not use autograd or any ready convolution (also not `torch.nn.grad` or a transposed convolution), nor `F.unfold` or `F.fold`, and leave the inputs as they are; `F.pad` and `x.unfold` are allowed, and so are loops.
#
# By hand: `x = [[1, 2, 3]]`, `w = [[10, 100]]`, stride 1, no padding, and `dy = [[1, 5]]` (one picture, one channel):
# `db` $= 6$, `dw` $= [1 \cdot 1 + 5 \cdot 2,\; 1 \cdot 2 + 5 \cdot 3] = [11, 17]$,
# `dx` $= [1 \cdot 10,\; 1 \cdot 100 + 5 \cdot 10,\; 5 \cdot 100] = [10, 150, 500]$.
#
# <details><summary>Hint 1</summary>The two loops of the forward pass come again. What is known at place (i, j), and which slice of the padded input belongs to it?</details>
# <details><summary>Hint 2</summary>Per place: <code>g = dy[:, :, i, j]</code> of shape (N, C_out), given three further axes of length 1;
# times w and summed over C_out it belongs to the window; times the window (N, 1, C_in, kh, kw) and summed over N it belongs to dw.</details>


# %% exercise="back"
def conv_backward(
    dy: torch.Tensor, x: torch.Tensor, w: torch.Tensor, stride: int, padding: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gradients (dx, dw, db) of a loss with respect to x, w and b of conv2d, from dy (N, C_out, H', W')."""
    # BEGIN SOLUTION
    xp = F.pad(x, [padding] * 4)
    dxp, dw = torch.zeros_like(xp), torch.zeros_like(w)
    for i in range(dy.shape[2]):
        for j in range(dy.shape[3]):
            g = dy[:, :, i, j, None, None, None]  # (N, C_out, 1, 1, 1)
            rows = slice(i * stride, i * stride + w.shape[2])
            columns = slice(j * stride, j * stride + w.shape[3])
            dxp[:, :, rows, columns] += (g * w).sum(dim=1)
            dw += (g * xp[:, None, :, rows, columns]).sum(dim=0)
    h, wide = x.shape[2:]
    return dxp[:, :, padding : padding + h, padding : padding + wide], dw, dy.sum(dim=(0, 2, 3))
    # END SOLUTION


# %% check="back-by-hand" points=1
line_, slice_, out_ = (torch.tensor(v).reshape(1, 1, 1, -1) for v in ([1.0, 2.0, 3.0], [10.0, 100.0], [1.0, 5.0]))
got = conv_backward(out_, line_, slice_, 1, 0)
assert type(got) is tuple and [type(v) for v in got] == [torch.Tensor] * 3, (
    f"conv_backward must return a tuple of three tensors, got {got!r}. None: is `return` missing?"
)
assert [tuple(v.shape) for v in got] == [(1, 1, 1, 3), (1, 1, 1, 2), (1,)], (
    f"shapes of x, w and (C_out,), got {[tuple(v.shape) for v in got]}. A 0: with padding 0 the cut [p:-p] leaves nothing. "
    "A 2 before the 3: the order is dx, dw, db. () at the end: db has one number for each block, so axis 1 stays"
)
assert [v.flatten().tolist() for v in got] == [[10, 150, 500], [11, 17], [6]], (
    f"dx 10, 150, 500, dw 11, 17, db 6; got {[v.flatten().tolist() for v in got]}. dx 10, 50, 500: assigned, not added. "
    "dx 100, 510, 50: the kernel was flipped. dw 17, 11: flipped. dw 10, 15: assigned. db 3: a mean, not a sum"
)
print("passed: the example worked by hand")

# %% check="back-stride" points=1
slice_, out_ = (torch.tensor(v).double().reshape(1, 1, 1, 2) for v in ([10.0, 100.0], [1.0, 5.0]))
long_ = torch.arange(1.0, 7.0).double().reshape(1, 1, 1, 6)
got = conv_backward(out_, long_, slice_, 3, 0)
assert type(got) is tuple and [type(v) for v in got] == [torch.Tensor] * 3, f"conv_backward must return three tensors, got {got!r}"
assert [v.flatten().tolist() for v in got] == [[10, 100, 0, 50, 500, 0], [21, 27], [6]], (
    f"x = 1 … 6, stride 3, windows (1, 2) and (4, 5): dx 10, 100, 0, 50, 500, 0, dw 1·1 + 5·4 = 21 and 1·2 + 5·5 = 27, db 6; "
    f"got {[v.flatten().tolist() for v in got]}. dx 10, 150, 500, 0, 0, 0: the stride is ignored"
)
assert [v.dtype for v in got] == [torch.float64] * 3, (
    f"dy, x and w are float64, so dx, dw, db must be too, got {[v.dtype for v in got]}: torch.zeros makes float32 unless dtype= is given"
)
print("passed: stride, pixels that no window used, and the dtype")


# %% check="back-gradcheck" points=1
def checked():
    class Ours(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w, b):
            ctx.save_for_backward(x, w)
            return F.conv2d(x, w, b, stride=2, padding=2)

        @staticmethod
        def backward(ctx, dy):
            return conv_backward(dy, *ctx.saved_tensors, 2, 2)

    _ = torch.manual_seed(15)
    inputs = [torch.randn(n, dtype=torch.float64, requires_grad=True) for n in ((2, 2, 4, 3), (3, 2, 3, 2), (3,))]
    try:
        return torch.autograd.gradcheck(Ours.apply, inputs)
    except NotImplementedError:  # not written yet
        raise
    except Exception as problem:
        return f"{type(problem).__name__}: {problem}".partition("\n")[0]


_ = torch.manual_seed(16)
leaves = [torch.randn(n, dtype=torch.float64, requires_grad=True) for n in ((2, 2, 4, 3), (3, 2, 3, 2), (3,))]
slopes_ = torch.randn(2, 3, 3, 3, dtype=torch.float64)
got = conv_backward(slopes_.clone(), *(leaf.detach().clone() for leaf in leaves[:2]), 2, 2)
kinds_ = [type(v).__name__ for v in got] if type(got) is tuple else type(got).__name__
assert kinds_ == ["Tensor"] * 3, f"conv_backward must return a tuple of three tensors, got {kinds_}. NoneType: is `return` missing?"
verdict = checked()
assert verdict is True, (
    "gradcheck (chapter 4) with two pictures, 2 to 3 channels, stride 2, padding 2 fails. Input (index) 0 is x, 1 is w, 2 is b. "
    f"An invalid gradient at index 0: the padding was not cut off, or not by `padding` places. It says: {verdict}"
)
wanted = torch.autograd.grad(F.conv2d(*leaves, stride=2, padding=2), leaves, slopes_)
assert_close(got, wanted, msg=lambda m: f"other pictures, kernels and dy, stride 2, padding 2: (dx, dw, db) are not autograd's\n{m}")
print("passed: gradcheck with stride and padding")

# %% hidden="back-torch" points=5
def gradients_and_inputs(made):
    given = [[t.clone() if isinstance(t, torch.Tensor) else t for t in inputs] for inputs in made]
    return [conv_backward(*inputs) for inputs in given], [inputs[:3] for inputs in given]


_ = torch.manual_seed(21)
cases = [
    ((2, 3, 5, 7), (4, 3, 3, 2), 1, 0),
    ((3, 1, 6, 5), (2, 1, 2, 3), 2, 1),
    ((1, 2, 7, 4), (1, 2, 1, 1), 3, 2),
    ((2, 2, 6, 6), (3, 2, 3, 3), 2, 2),
    ((2, 3, 4, 5), (2, 3, 2, 2), 1, 0),
]
made, wanted = [], []
for n, (xs, ws, s, p) in enumerate(cases):
    leaves = [torch.randn(size, dtype=torch.float64, requires_grad=True) for size in (xs, ws, ws[:1])]
    result = F.conv2d(*leaves, stride=s, padding=p)
    upstream = torch.randn_like(result)
    wanted.append(torch.autograd.grad(result, leaves, upstream))
    inputs = [upstream, leaves[0].detach(), leaves[1].detach()]
    if n == 4:  # the same numbers in another order in memory, as after permute
        inputs = [t.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0) for t in inputs]
    made.append([*inputs, s, p])
got, given = gradients_and_inputs(made)
for inputs, new, answers, right_ones in zip(made, given, got, wanted, strict=True):
    assert all(torch.equal(a, b) for a, b in zip(inputs[:3], new, strict=True)), "an input was changed in place"
    where = f"x {tuple(inputs[1].shape)}, w {tuple(inputs[2].shape)}, stride {inputs[3]}, padding {inputs[4]}"
    for name, a, b in zip(("dx", "dw", "db"), answers, right_ones, strict=True):
        assert_close(a, b, rtol=1e-11, atol=1e-11, msg=lambda m, name=name, where=where: f"{name} for {where} against autograd\n{m}")


# %% wrong="back-stride-ignored" fails="back-stride back-gradcheck back-torch"
def conv_backward(dy, x, w, stride, padding):
    big = F.pad(x, [padding] * 4)
    dbig, dw = torch.zeros_like(big), torch.zeros_like(w)
    for i in range(dy.shape[2]):
        for j in range(dy.shape[3]):
            at, to = i * stride, j * stride
            dbig[:, :, i : i + w.shape[2], j : j + w.shape[3]] += torch.einsum("no,ocab->ncab", dy[:, :, i, j], w)
            dw += torch.einsum("no,ncab->ocab", dy[:, :, i, j], big[:, :, at : at + w.shape[2], to : to + w.shape[3]])
    return dbig[:, :, padding : padding + x.shape[2], padding : padding + x.shape[3]], dw, dy.sum((0, 2, 3))


# %% [markdown] mistake="back-stride-ignored"
# Adds the shares for `dx` to windows one place apart, whatever the stride.
#
# Take four pixels, the kernel [10, 100], stride 2 and `dy` [1, 1]: the windows do not overlap, so `dx` is 10, 100, 10, 100. Yours is 10,
# 110, 100, 0. From which pixels was each result made in the forward pass? Those and no others get its share.

# %% wrong="back-assigned" fails="back-by-hand back-gradcheck back-torch"
def conv_backward(dy, x, w, stride, padding):
    big = F.pad(x, [padding] * 4)
    dbig, dw = torch.zeros_like(big), torch.zeros_like(w)
    for i in range(dy.shape[2]):
        for j in range(dy.shape[3]):
            at, to = i * stride, j * stride
            dbig[:, :, at : at + w.shape[2], to : to + w.shape[3]] = torch.einsum("no,ocab->ncab", dy[:, :, i, j], w)
            dw += torch.einsum("no,ncab->ocab", dy[:, :, i, j], big[:, :, at : at + w.shape[2], to : to + w.shape[3]])
    return dbig[:, :, padding : padding + x.shape[2], padding : padding + x.shape[3]], dw, dy.sum((0, 2, 3))


# %% [markdown] mistake="back-assigned"
# Overwrites the shares of earlier windows in `dx` where they should add up.
#
# In the example worked by hand your `dx` is 10, 50, 500: the middle pixel was used by two windows, with shares of 100 and 50, and only the
# last share is left. What must happen at a pixel where windows overlap?

# %% wrong="back-flipped" fails="back-by-hand back-stride back-gradcheck back-torch"
def conv_backward(dy, x, w, stride, padding):
    big = F.pad(x, [padding] * 4)
    dbig, dw = torch.zeros_like(big), torch.zeros_like(w)
    for i in range(dy.shape[2]):
        for j in range(dy.shape[3]):
            at, to = i * stride, j * stride
            dbig[:, :, at : at + w.shape[2], to : to + w.shape[3]] += torch.einsum("no,ocab->ncab", dy[:, :, i, j], w.flip(2, 3))
            dw += torch.einsum("no,ncab->ocab", dy[:, :, i, j], big[:, :, at : at + w.shape[2], to : to + w.shape[3]])
    return dbig[:, :, padding : padding + x.shape[2], padding : padding + x.shape[3]], dw, dy.sum((0, 2, 3))


# %% [markdown] mistake="back-flipped"
# Flips the kernel in the shares for `dx`.
#
# In the example worked by hand your `dx` is 100, 510, 50 and not 10, 150, 500. The first pixel was multiplied by 10 in the forward pass, so
# its share cannot contain the 100. For one window, write down which number of the kernel met which pixel.

# %% wrong="back-padding-kept" fails="back-gradcheck back-torch"
def conv_backward(dy, x, w, stride, padding):
    big = F.pad(x, [padding] * 4)
    dbig, dw = torch.zeros_like(big), torch.zeros_like(w)
    for i in range(dy.shape[2]):
        for j in range(dy.shape[3]):
            at, to = i * stride, j * stride
            dbig[:, :, at : at + w.shape[2], to : to + w.shape[3]] += torch.einsum("no,ocab->ncab", dy[:, :, i, j], w)
            dw += torch.einsum("no,ncab->ocab", dy[:, :, i, j], big[:, :, at : at + w.shape[2], to : to + w.shape[3]])
    return dbig, dw, dy.sum((0, 2, 3))


# %% [markdown] mistake="back-padding-kept"
# Returns `dx` with the padding still around it.
#
# For a 4 × 4 picture with padding 1 your `dx` is 6 × 6, though it must have the shape of `x`. The shares of the padding belong to zeros
# that nobody can learn. Print the shapes of `dx` and `x` with a padding above 0, and read the last sentence on the pixels above the
# exercise.

# %% wrong="back-batch-mean" fails="back-gradcheck back-torch"
def conv_backward(dy, x, w, stride, padding):
    big = F.pad(x, [padding] * 4)
    dbig, dw = torch.zeros_like(big), torch.zeros_like(w)
    for i in range(dy.shape[2]):
        for j in range(dy.shape[3]):
            at, to = i * stride, j * stride
            dbig[:, :, at : at + w.shape[2], to : to + w.shape[3]] += torch.einsum("no,ocab->ncab", dy[:, :, i, j], w)
            dw += torch.einsum("no,ncab->ocab", dy[:, :, i, j], big[:, :, at : at + w.shape[2], to : to + w.shape[3]]) / len(x)
    return dbig[:, :, padding : padding + x.shape[2], padding : padding + x.shape[3]], dw, dy.sum((2, 3)).mean(0)


# %% [markdown] mistake="back-batch-mean"
# Divides `dw` and `db` by the number of pictures, as a mean over the batch.
#
# Put the picture worked by hand in twice, with the same `dy`: each of the two uses the weights, so `dw` should become 22, 34 and `db` 12;
# yours stay at 11, 17 and 6. What do the formulas do with the index n? A mean in the loss would already be inside `dy`.

# %% wrong="back-float32" fails="back-stride back-torch"
def conv_backward(dy, x, w, stride, padding):
    big = F.pad(x, [padding] * 4)
    dbig, dw = torch.zeros(big.shape), torch.zeros(w.shape)
    for i in range(dy.shape[2]):
        for j in range(dy.shape[3]):
            at, to = i * stride, j * stride
            dbig[:, :, at : at + w.shape[2], to : to + w.shape[3]] += torch.einsum("no,ocab->ncab", dy[:, :, i, j], w)
            dw += torch.einsum("no,ncab->ocab", dy[:, :, i, j], big[:, :, at : at + w.shape[2], to : to + w.shape[3]])
    return dbig[:, :, padding : padding + x.shape[2], padding : padding + x.shape[3]], dw, dy.sum((0, 2, 3))


# %% [markdown] mistake="back-float32"
# Collects `dx` and `dw` in float32 tables, whatever the dtype of the inputs.
#
# For float64 inputs your `dx` and `dw` come back as float32; shares of 0.1 lose half of their digits. Print the `.dtype` of what you return
# beside that of `x`, `w` and `dy`.

# %% right="back-by-kernel"
def conv_backward(dy, x, w, stride, padding):
    big = F.pad(x, [padding] * 4)
    dbig, dw = torch.zeros_like(big), torch.zeros_like(w)
    for i in range(w.shape[2]):
        for j in range(w.shape[3]):
            rows = slice(i, i + (dy.shape[2] - 1) * stride + 1, stride)
            columns = slice(j, j + (dy.shape[3] - 1) * stride + 1, stride)
            dbig[:, :, rows, columns] += torch.einsum("nohv,oc->nchv", dy, w[:, :, i, j])
            dw[:, :, i, j] = torch.einsum("nohv,nchv->oc", dy, big[:, :, rows, columns])
    return dbig[:, :, padding : padding + x.shape[2], padding : padding + x.shape[3]], dw, torch.einsum("nohv->o", dy)


# %% [markdown] survives="back"
# - `for i in reversed(list(range(dy.shape[2]))):`: shares are added, and a sum may be taken in any order.
# - `for j in reversed(list(range(dy.shape[3]))):`: the same, along a row.

# %% [markdown] explanation="back"
# Each line of the forward pass comes back with the roles changed: what read a window now adds to a window.
# dx with stride 1 is itself a convolution of the padded dy with the flipped block; with a larger stride zeros come between the numbers of dy.
# That operation alone is called transposed convolution, and is used to make maps larger.
# The sum over pictures in dw and db comes from sharing: one weight, many uses, so the shares are added (chapter 4).

# %% [markdown]
# ## The real task: find the nine numbers
#
# The blurs and edges above were designed by hand. Now the kernel is to be learned from pictures before and after.
# The data: 5,000 pictures of clothes. Each step draws 16 and makes their pictures after the secret kernel afresh, with noise of standard deviation 0.1 on every pixel.
# The model is one `nn.Conv2d(1, 1, 3)`, ten parameters that start at random; the loss is the mean squared difference; the loop has the five steps of chapter 6.
# The optimizer is Adam (chapter 12), a relative of SGD that chooses a step for every parameter; nothing here hangs on it.


# %%
def learn_kernel(true_kernel: torch.Tensor, seed: int, n_steps: int = 250) -> tuple[torch.Tensor, list]:
    """Learn a 3 × 3 kernel from pairs of pictures; return it, and its largest error after each step."""
    _ = torch.manual_seed(seed)
    layer = nn.Conv2d(1, 1, 3)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.2)
    errors = []
    for _ in range(n_steps):
        xb = images[torch.randint(len(images), (16,))]
        target = F.conv2d(xb, true_kernel[None, None])
        loss = F.mse_loss(layer(xb), target + 0.1 * torch.randn_like(target))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        errors.append((layer.weight.detach()[0, 0] - true_kernel).abs().max().item())
    return layer.weight.detach()[0, 0], errors


found = [learn_kernel(secret, seed) for seed in range(3)]
assert all(errors[-1] < 0.1 for _, errors in found)
print("largest error of the nine numbers below 0.1 for each of three seeds: True")

# %%
fig, axes = plt.subplots(1, 4, figsize=(13, 3.2), width_ratios=[1, 1, 1.6, 1.4])
for ax, kernel, title in zip(axes[:2], [secret, found[0][0]], ["secret kernel", "learned, seed 0"], strict=True):
    ax.imshow(kernel, cmap="RdBu_r", vmin=-2.5, vmax=2.5)
    for i in range(3):
        for j in range(3):
            ax.text(
                j,
                i,
                f"{kernel[i, j]:.1f}".replace("-0.0", "0.0"),
                ha="center",
                va="center",
                color="white" if abs(kernel[i, j]) > 1.5 else "black",
            )
    ax.set(title=title, xticks=[], yticks=[])
for seed, (_, errors) in enumerate(found):
    axes[2].semilogy(range(1, 251), errors, label=f"seed {seed}")
axes[2].set(xlabel="step", ylabel="largest error", title="Nine numbers, three seeds")
axes[2].legend(fontsize=8)
redone = F.conv2d(grey[None, None], found[0][0][None, None])[0, 0]
axes[3].imshow(redone, cmap="gray", vmin=0, vmax=1)
axes[3].set(title="learned kernel on the photo", xticks=[], yticks=[])
plt.show()
assert (redone - after).abs().max() < 0.3

# %% [markdown]
# **The answer to the first question**: yes.
# For all three seeds each of the nine numbers is found to within 0.1 (within 0.03 for twelve seeds, when this chapter was written), although the program never saw the photo.
# Applied to the photo, they make the stone picture again.
#
# Why is a correlation found, and not its flip?
# Because the layer computes a correlation, and so did the program that made the pairs.
# Had that program flipped its kernel first, the same loop would find the flipped numbers, and the pictures would agree as well.

# %%
mathematician, _ = learn_kernel(secret.flip(0, 1), seed=0)
print("pairs made with the flip; learned kernel equals the flipped one:", bool((mathematician - secret.flip(0, 1)).abs().max() < 0.1))

# %% [markdown]
# ### Kernels as a feature extractor
#
# A network that recognises pictures begins with convolutions and pooling, and only then comes a classifier.
# The first part is called the **feature extractor** (特征提取器): it turns pixels into numbers that say what is where.
# Even without any learning in that part it helps. We take eight edge kernels made by hand (four, and their negatives), a ReLU, and average pooling by 4:
# $8 \cdot 7 \cdot 7 = 392$ **features** (特征) instead of 784 pixels.
# A linear classifier (chapter 7) on top is trained on 5,000 pictures and tested on the 10,000 of the test file, with pixels and with features,
# with the same learning rate and number of epochs.
# (With half this rate the order was the same.)

# %% tags=["nbval-ignore-output"]
test_file = FashionMNIST(DATA, train=False)
signed = torch.cat([bank, -bank])  # (8, 1, 3, 3)
extract = {
    "pixels": lambda t: t.flatten(1),
    "edge features": lambda t: F.avg_pool2d(F.conv2d(t, signed, padding=1).relu(), 4).flatten(1),
}


def linear_accuracy(train_x: torch.Tensor, test_x: torch.Tensor, seed: int) -> float:
    """Test accuracy of a linear classifier, 10 epochs of Adam on standardised inputs."""
    mean, std = train_x.mean(0), train_x.std(0) + 0.01
    train_x, test_x = (train_x - mean) / std, (test_x - mean) / std
    _ = torch.manual_seed(seed)
    model = nn.Linear(train_x.shape[1], 10)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.004)
    for _ in range(10):
        for rows in torch.randperm(len(train_x)).split(250):
            loss = F.cross_entropy(model(train_x[rows]), clothes.targets[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        return (model(test_x).argmax(1) == test_file.targets).double().mean().item()


with torch.no_grad():
    inputs = {name: (g(images), g(test_file.data[:, None] / 255)) for name, g in extract.items()}
scores = {name: [linear_accuracy(*pair, seed) for seed in range(3)] for name, pair in inputs.items()}
print({name: [f"{v:.3f}" for v in values] for name, values in scores.items()})

# %%
gains = [a - b for a, b in zip(scores["edge features"], scores["pixels"], strict=True)]
assert min(gains) > 0.008 and 0.79 < min(scores["pixels"]) and max(scores["edge features"]) < 0.87
print("edge features ahead of pixels for each of three seeds: True")

# %%
sample = images[:1]
with torch.no_grad():
    steps = [sample, F.conv2d(sample, signed[:4], padding=1).relu(), F.avg_pool2d(F.conv2d(sample, signed[:4], padding=1).relu(), 4)]
fig, axes = plt.subplots(1, 9, figsize=(13, 1.9))
panels = [("28 × 28", steps[0][0, 0])] + [("ReLU(edges)", m) for m in steps[1][0]] + [("pooled", m) for m in steps[2][0]]
for ax, (title, panel) in zip(axes, panels, strict=True):
    ax.imshow(panel, cmap="gray_r")
    ax.set_title(title, fontsize=9)
    ax.set(xticks=[], yticks=[])
plt.show()

# %% [markdown]
# A boot, four of its eight edge maps, and the same maps pooled to 7 × 7.
# With half as many inputs the linear classifier is about 2 points in a hundred better
# (0.840 to 0.845 against 0.815 to 0.822 over six seeds when this chapter was written).
# Chapter 16 lets the loop choose the kernels too.
#
# **Try it: your own functions.** In a new cell:
#
# ```python
# mine = conv2d(grey[None, None, :60, :80], secret[None, None])
# print((mine[0, 0] - after[:58, :78]).abs().max())
# disc = rasterise(40, 60, 20, 30, 12, (1, 0.6, 0))
# plt.imshow(corr2d(disc[0], sobel), cmap="RdBu_r")
# print(is_equivariant(lambda t: conv2d(t, sobel[None, None], padding=1), disc[None, :1], (2, 3), 4))
# print(receptive_field([(3, 1, 1), (4, 4, 1)]), "pixels are seen by a pooled edge feature, and their step")
# ```

# %% [markdown]
# ## What goes wrong in practice
#
# - **`… to have 3 channels, but got 320 channels instead`.** The picture is `(H, W, C)`; it must be permuted to `(C, H, W)`. A reshape has the right shape and scrambles the pixels.
# - **`Expected 3D (unbatched) or 4D (batched) input to conv2d`.** A grey picture `(H, W)` lacks the axes of batch and channels: `picture[None, None]`.
# - **The flattened size does not fit the next linear layer.** Compute every size with the formula, or print the shape after each layer; remember that it rounds down.
# - **A result from another library differs.** It flips (SciPy's `convolve`), or pads otherwise, or stores channels last.
# - **A dark frame around the result.** Zero padding of a picture whose background is not 0; `padding_mode="reflect"` of `nn.Conv2d`, or a cut border, helps.
# - **Colours lost in the first layer.** Three equal slices can only see brightness.
# - **The bias before batch normalisation** (chapter 14: the mean of each channel is taken away) does nothing: `bias=False` saves it.
# - **Memory, not parameters, is the limit.** A convolution has few numbers, but its maps, kept for the backward pass, are as large as the picture, times the channels.
#
# ## Summary
#
# A raster picture is a table of numbers per channel.
# A convolution lays a kernel on every window, multiplies in pairs and adds up; PyTorch does not flip, so it is a cross-correlation.
# The weight has the shape (out, in, height, width): a slice of its own for every input channel, a block for every output channel.
# The size is $\lfloor (h + 2p - d(k - 1) - 1)/s \rfloor + 1$.
# It is a fully connected layer that is local and shares its weights, so it has few parameters, whatever the size of the picture.
# The receptive field grows by $d(k-1)$ times the product of the strides so far.
# Pooling shrinks, with −∞ as the padding of a maximum; nearest upsampling repeats; 1 × 1 is a matrix product at each pixel; concatenation joins channels.
# A convolution with stride 1 is equivariant to moves, away from the edges; pooling adds a little invariance.
# Backwards, what read a window adds to a window. A kernel can be learned from pictures, because all of this has gradients.
#
# ## Terms
#
# | English | 中文 | in one line |
# |---|---|---|
# | vector picture | 矢量图 | shapes, given by a few numbers |
# | raster picture | 栅格图 | a table of pixels |
# | channel, RGB | 通道 | one table of a picture; red, green, blue |
# | kernel | 卷积核 | the small table of numbers that slides |
# | window | 窗口 | the part of the picture under the kernel |
# | cross-correlation | 互相关 | sum of products, no flip: what `conv2d` computes |
# | convolution | 卷积 | in mathematics, with the kernel flipped |
# | blur | 模糊 | the mean of a window |
# | edge | 边缘 | a place where brightness changes |
# | sharpening | 锐化 | the picture plus what a blur takes away |
# | feature map | 特征图 | result of a kernel: where something is |
# | padding | 填充 | zeros around the picture |
# | stride | 步幅 | distance of neighbouring windows |
# | dilation | 空洞（膨胀） | distance of the kernel's numbers in the picture |
# | fully connected | 全连接 | every output uses every input |
# | shared weights | 权值共享 | the same numbers at every place |
# | receptive field | 感受野 | the smallest square with all pixels that can change a number |
# | pooling | 池化 | one number for each window, nothing learned |
# | max pooling, average pooling | 最大池化，平均池化 | its largest number; its mean |
# | nearest upsampling | 最近邻上采样 | each number becomes a block |
# | channel concatenation | 通道拼接 | maps put together along the channels |
# | 1 × 1 convolution | 1 × 1 卷积 | a matrix product at each pixel |
# | equivariance | 等变性 | the input moves, the output moves with it |
# | invariance | 不变性 | the input moves, the output stays |
# | band | 边带 | rows and columns along the sides, left out of a comparison |
# | scatter-add | 散射累加 | add each share to the place that it came from |
# | feature extractor | 特征提取器 | the part that turns pixels into features |
# | feature | 特征 | a number that says something about the picture |
#
# ## Reading
#
# - K. Fukushima, *Neocognitron: A Self-organizing Neural Network Model for a Mechanism of Pattern Recognition Unaffected by Shift in Position*, 1980.
# - Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, *Gradient-Based Learning Applied to Document Recognition*, 1998.
# - M. D. Zeiler, R. Fergus, *Visualizing and Understanding Convolutional Networks*, 2014.
# - V. Dumoulin, F. Visin, *A guide to convolution arithmetic for deep learning*, 2016: all the sizes, drawn.
# - The PyTorch documentation: the pages of `torch.nn.Conv2d`, `torch.nn.MaxPool2d` and `torch.nn.AvgPool2d`.
