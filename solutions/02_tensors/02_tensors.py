# %% [markdown] needs="01" sittings="2"
# # Tensors, shapes, broadcasting
#
# The first picture below is a photo.
# A program was told to put its colours first, and made the second one.
# It is made of the same 819,840 numbers, all of them, in the same order; nothing was lost, and no error was raised.
# What went wrong?
#
# After this chapter you can
#
# - make tensors, choose the type and the device of their numbers, and say what shape an operation gives before you run it,
# - turn a photo or a list of words into a tensor of the form that a network expects,
# - compare every row of one table with every row of another without a loop,
# - say when two tensors share their memory, and what `data` and `grad` are,
# - take a photo apart into little tiles and put it together again out of handwritten digits.
#
# It is long enough for two sittings: a resting place is marked after Exercise 6.

# %% [markdown]
# ## Setup
#
# From chapter 1 you need classes, `for`, `enumerate` and `zip`; NumPy, the older library for arrays of numbers, appears in one cell only.
# "Notes" are again lecture notes found on the web; we check some of their sentences.
# You need not read the drawing code.

# %% setup="imports"
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits, load_sample_image
from torch.testing import assert_close

plt.rcParams["figure.constrained_layout.use"] = True

# %%
photo = torch.tensor(load_sample_image("china.jpg"))
digits = torch.tensor(load_digits().images, dtype=torch.float32)
labels = torch.tensor(load_digits().target)
print(tuple(photo.shape), tuple(digits.shape), tuple(labels.shape))

# %%
riddle = photo.reshape(3, 427, 640)  # meant: three colours, each of 427 rows and 640 columns
fig, axes = plt.subplots(1, 2, figsize=(10, 3.5))
axes[0].imshow(photo)
axes[1].imshow(torch.stack(list(riddle), dim=2))
for ax, title in zip(axes, ["the photo", "the same numbers in the same order"], strict=True):
    ax.set(title=title, xticks=[], yticks=[])
plt.show()

# %% [markdown]
# A roof and some pillars shine through, in wrong colours, one over the other and torn into lines.
# The two pictures differ in one thing only, the *shape* that the numbers were given.
# So shapes come first.
#
# ## A tensor is numbers and a shape
#
# A **tensor** (张量) is a block of numbers, all of one type.
# Its **shape** (形状) says how many there are along each **axis** (轴), which PyTorch calls a `dim`.
# The type of the numbers is the **dtype** (数据类型).

# %%
table = torch.tensor([[1, 2, 3], [4, 5, 6]])
print(table)
print("shape", tuple(table.shape), "| axes", table.dim(), "| numbers", table.numel(), "| dtype", table.dtype)
print("photo:", tuple(photo.shape), photo.dtype, "top left pixel:", photo[0, 0].tolist())

# %% [markdown]
# Two rows of three numbers have shape `(2, 3)`; `len(x)` is `x.shape[0]`, here 2.
# The photo has 427 rows of 640 **pixels** (像素), each of which is three numbers: red, green, blue.
# Its top left pixel is a light blue.
#
# | dtype | numbers | used for |
# |---|---|---|
# | `torch.float32` | about seven digits | nearly everything; `torch.tensor([1.5])` has it |
# | `torch.float64` | about sixteen digits | checking results |
# | `torch.int64` | whole numbers | labels, places; `torch.tensor([1])` has it |
# | `torch.uint8` | 0 to 255 | pixels in files |
# | `torch.bool` | `True`, `False` | the result of a comparison |
#
# `x.float()`, `x.long()` and `x.to(torch.float64)` make a copy of another dtype. If nothing has to change, you get `x` itself, not a copy.
# A list of three numbers has shape `(3,)`: one axis; the comma is Python's way to write a tuple of one.
# A single number has no axis at all, and its shape is `()`.
# Tensors can be made without a list, too:

# %%
print(torch.arange(5), torch.linspace(0, 1, 5))
print(torch.full((2, 3), 7.0))
print(torch.zeros(2, 3).shape, torch.ones_like(table).dtype, torch.tensor(2.5).item())
_ = torch.manual_seed(0)
print("random numbers between 0 and 1, of shape", tuple(torch.rand(4, 2).shape))

# %% [markdown]
# `zeros`, `ones` and `full` are given a shape, and the `_like` forms take shape, dtype and device from another tensor.
# `item()` makes a Python number of a tensor with one element, `tolist()` a list of any tensor.
# `manual_seed` fixes the random numbers that follow, so that each run draws the same.
#
# Notes mix `torch.tensor` with `torch.Tensor`. They are not the same:

# %%
print(torch.tensor([1, 2]).dtype, torch.Tensor([1, 2]).dtype)
print(tuple(torch.tensor(4).shape), tuple(torch.Tensor(4).shape))

# %% [markdown]
# `torch.tensor` takes *values* and keeps their type.
# `torch.Tensor` is the class: called, it turns everything into `float32`, and `torch.Tensor(4)` is no 4 but a tensor of four numbers that nobody has chosen.
# Write `torch.tensor` to make one, and `torch.Tensor` only as the name of the type.

# %% [markdown]
# ### Where a tensor lives
#
# Every tensor lives on a **device** (设备): the processor's memory, `cpu`, or that of a graphics card, such as `cuda`.
# Two tensors that meet in an operation must be on the same one.
# A program should run wherever it is started, so it asks once, and everything else follows:

# %%
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
here = torch.ones(3, device=device)
there = torch.arange(3, device=here.device) + here
print(there.device == here.device, there.cpu().tolist())

# %% [markdown]
# `x.to(device)` brings a tensor over; if it is there already, you get `x` itself.
# Inside a function there is no need to know the device: what it makes goes where its input is, `device=x.device`.
#
# Does a function keep this rule?
# We can find out without a graphics card.
# On the device `meta` tensors have a shape and a dtype but no numbers, and the rule about meeting holds there too.

# %% setup="meta"
ghost = torch.zeros(2, 3, device="meta")
print(ghost.sum(dim=0).shape, ghost.sum(dim=0).device)
try:
    print(ghost + torch.zeros(3))
except RuntimeError as error:
    print("RuntimeError:", error)

# %% [markdown]
# `torch.zeros(3)` was made on the CPU, whatever the input is.
# Some checks and hidden tests below use `meta` to see whether your functions work on every device.
# Reading a value fails there, for there is none: `item()`, `tolist()`, `int(x)`, `if x > 0`.
#
# ### Arithmetic
#
# `+ - * / **` work on one pair of numbers at a time, in tensors of equal shape.
# Each has a name as well: `add`, `sub`, `mul`, `div`, `pow`; `sqrt`, `abs`, `exp` take one tensor.

# %%
a = torch.tensor([1.0, 2.0, 3.0])
b = torch.tensor([10.0, 20.0, 30.0])
print(a + b, torch.add(a, b).tolist(), b.sub(a).tolist())
print(a**2, a.pow(2).tolist(), a > 1.5)
print(a.add_(100), a)

# %% [markdown]
# The last line shows a convention: a method whose name ends in `_` changes the tensor itself, **in place** (原地).
# `add` would have left `a` alone.
#
# The dtype takes part in the arithmetic.
# We make the photo brighter by 80, first as it is, in `uint8`, then in `float32` with `clamp`, which cuts off at both ends.

# %%
wrapped = photo + 80
bright = (photo.float() + 80).clamp(0, 255) / 255
fig, axes = plt.subplots(1, 2, figsize=(10, 3.5))
for ax, picture, title in zip(axes, [wrapped, bright], ["uint8: photo + 80", "float32, clamped to 0 … 255"], strict=True):
    ax.imshow(picture)
    ax.set(title=title, xticks=[], yticks=[])
plt.show()
print("in uint8, 200 + 80 =", (torch.tensor([200], dtype=torch.uint8) + 80).item())

# %% [markdown]
# On the left the bright sky has turned dark: after 255 a `uint8` begins again at 0, and 280 becomes 24.
# Turn a photo into `float32` before you compute with it. (`/` always gives floating-point numbers, so `photo / 255` is safe as it is.)
#
# ## Rows are samples, columns are features
#
# A table of data in machine learning has one row for each **sample** (样本) and one column for each **feature** (特征), a quantity that is known of every sample.
# The 1,797 handwritten digits are pictures of 8 × 8 numbers from 0 to 16.
# Written one after another, the 64 pixels of a picture are one row of a table `X` of shape `(N, D)`, with $N = 1797$ samples and $D = 64$ features.

# %%
X = digits.reshape(1797, 64)
print("X", tuple(X.shape), "| mean over dim 0", tuple(X.mean(dim=0).shape), "| mean over dim 1", tuple(X.mean(dim=1).shape))

# %%
fig, axes = plt.subplots(2, 3, figsize=(10.5, 4.6), width_ratios=[6, 0.5, 2.4], height_ratios=[6, 0.7])
style = {"cmap": "gray_r", "vmin": 0, "vmax": 16, "aspect": "auto"}
axes[0, 0].imshow(X[:30], **style)
axes[0, 0].set(ylabel="sample (dim 0)", title="X[:30], one digit a row")
axes[0, 1].imshow(X[:30].mean(dim=1, keepdim=True), cmap="gray_r", vmin=3.5, vmax=6.5, aspect="auto")
axes[0, 1].set(title="mean\n(dim=1)", xticks=[], yticks=[])
axes[1, 0].imshow(X[:30].mean(dim=0, keepdim=True), **style)
axes[1, 0].set(xlabel="feature: pixel 0 to 63 (dim 1)", ylabel="mean\n(dim=0)", yticks=[])
axes[0, 2].imshow(X[:30].mean(dim=0).reshape(8, 8), **(style | {"aspect": "equal"}))
axes[0, 2].set_title("X[:30].mean(dim=0) as 8 × 8", fontsize=10)
axes[0, 2].set(xticks=[], yticks=[])
axes[1, 1].axis("off")
axes[1, 2].axis("off")
plt.show()

# %% [markdown]
# Over `dim=0` the rows fall together, and one row is left: the mean picture of these thirty, drawn again on the right.
# Over `dim=1` the columns fall together, and every sample keeps one number, how much ink it has (4 to 5.9 here; this strip is drawn with a range of greys of its own).
# **The axis that you name is the one that disappears.**
#
# One note explains `dim=1` with the comment "columns are dim 0, rows dim 1". That is the wrong way round: `shape[0]` counts the rows.

# %%
print(table.tolist(), "shape", tuple(table.shape))
for dim in (0, 1):
    kept = table.sum(dim=dim, keepdim=True)
    print(f"sum(dim={dim}) =", table.sum(dim=dim).tolist(), "| with keepdim the shape is", tuple(kept.shape))
print("sum() =", table.sum().item())

# %% [markdown]
# `sum(dim=1)` on `(2, 3)` leaves `(2,)`: one sum for each row.
# With `keepdim=True` the axis stays, with size 1. Soon this will matter.
# `mean` works the same way but wants floating-point numbers: on `int64` it raises an error.
#
# ## Picking, adding and removing axes
#
# Square brackets take one entry for each axis.
# A number picks one place and removes the axis, a slice `a:b` keeps it, `:` takes all, and `...` stands for as many `:` as are needed.
# `None` puts in a new axis of size 1.
# A tensor of places picks several: `X[torch.tensor([5, 2])]` holds rows 5 and 2, in this order, as a copy.

# %%
for code in ("photo[100]", "photo[100, 200]", "photo[:, :, 0]", "photo[..., 0]", "photo[50:90, 300:400]", "photo[None]", "labels[:, None]"):
    print(f"{code:24s}{tuple(eval(code).shape)}")

# %% [markdown]
# (`eval` runs a piece of Python that is kept in a string; here it saves us writing everything twice.)
#
# | operation | shape before | shape after | |
# |---|---|---|---|
# | `x.unsqueeze(0)` | `(3, 4)` | `(1, 3, 4)` | a new axis of size 1 at place 0; the same as `x[None]` |
# | `x.squeeze(0)` | `(1, 3, 4)` | `(3, 4)` | removes axis 0, if its size is 1 |
# | `x.squeeze()` | `(1, 3, 1)` | `(3,)` | removes *all* axes of size 1 |
# | `torch.cat([x, y], dim=0)` | `(2, 4)`, `(5, 4)` | `(7, 4)` | joins along an axis that is there; without `dim` along axis 0 |
# | `torch.stack([x, y], dim=0)` | `(3, 4)`, `(3, 4)` | `(2, 3, 4)` | joins along a new axis |
#
# Axes can be counted from the end: `-1` is the last.
#
# A network, a program whose numbers are learned from data (chapter 5 begins with the smallest), is given several pictures at once, a batch, as one tensor of shape `(N, C, H, W)`: pictures, **channels** (通道; the colours), height, width.
# A program that calls `squeeze()` to tidy up works for weeks, until the last batch holds one single picture:

# %%
for n in (32, 1):
    scores = torch.zeros(n, 10, 1)
    print(f"a batch of {n}: squeeze() gives {tuple(scores.squeeze().shape)}, squeeze(2) gives {tuple(scores.squeeze(2).shape)}")

# %% [markdown]
# The axis of the batch is gone.
# So say which axis you mean.
#
# ## Views and copies
#
# In memory a tensor is one line of numbers.
# Its **strides** (步长) say how many places of that line to move on for the next row, the next column, and so on.
# Many operations leave the line alone and make only a new shape and new strides: such a tensor is a **view** (视图).
# The figure shows one line of twelve numbers and three tensors that read it.

# %%
line = torch.arange(12)
block = line.reshape(3, 4)


def draw_cells(ax, values, left=0.0, top=0.0, solid=None):
    """Draw a 2-axis tensor as boxes, coloured by value; boxes that are not `solid` are pale."""
    solid = torch.ones_like(values, dtype=torch.bool) if solid is None else solid
    for i, row in enumerate(values.tolist()):
        for j, number in enumerate(row):
            fill = plt.cm.viridis(0.25 + 0.75 * number / 12, alpha=0.9 if solid[i, j] else 0.3)
            edge = "0.2" if solid[i, j] else "0.75"
            ax.add_patch(plt.Rectangle((left + j, top + i), 1, 1, facecolor=fill, edgecolor=edge, linewidth=1))
            ax.text(left + j + 0.5, top + i + 0.5, f"{number:g}", ha="center", va="center", color="0.1" if solid[i, j] else "0.6")


# %%
fig, ax = plt.subplots(figsize=(9, 4.2))
draw_cells(ax, line[None], left=2)
ax.text(8, -0.25, "the line in memory", ha="center")
for left, code in ((0, "block"), (6.5, "block.T"), (12, "block.reshape(4, 3)")):
    shown = eval(code)
    draw_cells(ax, shown, left=left, top=2.8)
    words = f"{code}\nshape {tuple(shown.shape)}, strides {shown.stride()}"
    ax.text(left + shown.shape[1] / 2, 2.55, words, ha="center", va="bottom", fontsize=9)
ax.set(xlim=(-0.8, 16), ylim=(7, -1))
ax.set_aspect("equal")
ax.axis("off")
plt.show()

# %% [markdown]
# `block` moves on 4 places for the next row and 1 for the next column.
# `block.T`, the **transpose** (转置), only has the two strides exchanged: its *columns* are the rows of `block`.
# `block.reshape(4, 3)` has the same shape as `block.T`, but fills it by reading the line from left to right: the number 3 has left its row.
#
# That is the answer to the question at the beginning.
# `reshape` fills the new shape in reading order, the order of the line, red, green, blue, red, green, blue; it moves no axis.
# To move axes there is `transpose`, which exchanges two, and `permute`, which names the new order: on the photo `permute(2, 0, 1)` puts the colour first and keeps every number at its row, column and colour.
# (On a tensor of two axes `x.T` is short for `x.transpose(0, 1)`.)
#
# ### Made visible by changing one
#
# A view shares its numbers with the original; a copy does not.
# We make some of each, then change one number.

# %%
first_row, turned, wide = block[0], block.T, block.unsqueeze(0)
copied, selected, glued = block.clone(), block[block < 2], torch.cat([block, block])
block[0, 1] = 100
for name in ("line", "first_row", "turned", "wide", "copied", "selected", "glued"):
    print(f"{name:10s}", "sees the change" if (eval(name) == 100).any() else "has its own numbers")

# %% [markdown]
# Slices, `T`, `transpose`, `permute`, `squeeze`, `unsqueeze` and `view` give views.
# `clone`, arithmetic, `cat`, `stack`, and a choice by a comparison such as `block[block < 2]` give copies.
# `view` is `reshape` with a promise: it never copies, and raises an error where strides cannot express the new shape; `reshape` then copies in silence.

# %%
try:
    block.T.view(12)
except RuntimeError:
    print("view:    RuntimeError, the line cannot be read in this order")
print("reshape:", block.T.reshape(12).tolist())

# %% [markdown]
# NumPy's arrays can share their memory with a tensor as well, or give a copy:

# %%
array = np.zeros(3)
shared, own = torch.from_numpy(array), torch.tensor(array)
array[0] = 7
print(shared.tolist(), own.tolist())

# %% [markdown]
# ### Exercise 1: a photo as a network wants it (5 points)
#
# Files and screens keep a picture as `(H, W, C)`; networks want a batch `(N, C, H, W)`.
# Write `nchw(img_hwc)`: the picture is a `uint8` tensor of shape `(H, W, C)` with numbers from 0 to 255.
# Return a `float32` tensor of shape `(1, C, H, W)` with every number divided by 255.
# `C` is often 3, but may be any number.
# The picture may be a view, such as a slice of a larger photo, and must not be changed.
#
# By hand: a picture of one row and two pixels, `[[[255, 51, 0], [0, 0, 102]]]`, has shape `(1, 2, 3)` and becomes `[[[[1, 0]], [[0.2, 0]], [[0, 0.4]]]]` of shape `(1, 3, 1, 2)`:
# first the red of both pixels, then their green, then their blue.
#
# <details><summary>Hint 1</summary>The number at row h, column w, colour c: at which four places must it stand in the result?</details>
# <details><summary>Hint 2</summary>Move the last axis to the front without filling a new shape in reading order, then add the axis of the batch.</details>


# %% exercise="nchw"
def nchw(img_hwc: torch.Tensor) -> torch.Tensor:
    """Turn a picture (H, W, C), uint8 from 0 to 255, into a batch of one (1, C, H, W), float32 from 0 to 1."""
    # BEGIN SOLUTION
    return img_hwc.permute(2, 0, 1).unsqueeze(0) / 255
    # END SOLUTION


# %% check="nchw-by-hand" points=1
two_pixels = torch.tensor([[[255, 51, 0], [0, 0, 102]]], dtype=torch.uint8)
got = nchw(two_pixels)
assert type(got) is torch.Tensor, f"nchw must return a tensor, got {type(got).__name__}. NoneType: `return` is missing; list: no .tolist()"
assert tuple(got.shape) == (1, 3, 1, 2), (
    f"a picture of shape (1, 2, 3) must give (1, 3, 1, 2), got {tuple(got.shape)}: batch, channel, row, column, in this order"
)
assert got.dtype == torch.float32, f"the result must be float32, got {got.dtype}"
wanted = torch.tensor([[[[1.0, 0.0]], [[0.2, 0.0]], [[0.0, 0.4]]]])
assert_close(
    got,
    wanted,
    msg=(
        f"red (1, 0), green (0.2, 0), blue (0, 0.4) should come, got {got.double().round(decimals=4).tolist()}.\n"
        f"Numbers up to 255: not divided. Only 0 and 1: // drops the rest, use /. "
        f"0.2 beside 1: reshape or view filled the new shape in reading order, it moves no axis"
    ),
)
print("passed: the two pixels worked by hand")

# %% check="nchw-dark" points=1
dark = torch.arange(80, dtype=torch.uint8).reshape(4, 5, 4)[:, 1:3]  # a slice: rows 4, columns 2, channels 4
got = nchw(dark)
assert type(got) is torch.Tensor, (
    f"nchw(picture) must return a tensor, got {type(got).__name__}. NoneType: `return` is missing; list: no .tolist()"
)
assert tuple(got.shape) == (1, 4, 4, 2), f"a picture of shape (4, 2, 4), four channels, must give (1, 4, 4, 2), got {tuple(got.shape)}"
for channel in range(4):
    expected = dark[:, :, channel] / 255
    assert_close(
        got[0, channel],
        expected,
        msg=(
            f"channel {channel} of a dark picture should be\n{expected}\ngot\n{got[0, channel]}\n"
            f"All larger: divide by 255, not by the largest number. All 0: // for /. Other places: reshape and view move no axis"
        ),
    )
print("passed: every number keeps its row, column and colour")


# %% hidden="nchw-crop" points=2
def convert_a_crop():
    large = torch.arange(7 * 9 * 4, dtype=torch.int32).remainder(251).to(torch.uint8).reshape(7, 9, 4)
    before = large.clone()
    result = nchw(large[2:5, 1:6, :2])
    return result, (large - before).abs().sum().item()


made, difference = convert_a_crop()
source = torch.arange(7 * 9 * 4).remainder(251).reshape(7, 9, 4)
assert tuple(made.shape) == (1, 2, 3, 5), f"a slice of shape (3, 5, 2) of a larger picture must give (1, 2, 3, 5), got {tuple(made.shape)}"
reference = torch.stack([source[2:5, 1:6, c].float() / 255 for c in (0, 1)])[None]
assert_close(made, reference, msg=lambda m: f"a slice of shape (3, 5, 2) of a larger picture: numbers are at wrong places, or wrong\n{m}")
assert difference == 0, "the picture that was given has been changed"

# %% hidden="nchw-grey" points=1
black, single = nchw(torch.zeros(2, 3, 1, dtype=torch.uint8)), nchw(torch.full((1, 1, 5), 3, dtype=torch.uint8))
assert_close(black, torch.zeros(1, 1, 2, 3), msg=lambda m: f"a black picture (2, 3, 1) must give zeros (1, 1, 2, 3), got {black.tolist()}")
assert_close(
    single,
    torch.full((1, 5, 1, 1), 3 / 255),
    msg=lambda m: f"one pixel of five channels, each 3, must give 3/255, got {single.tolist()}",
)


# %% wrong="nchw-reshaped" fails="nchw-by-hand nchw-dark nchw-crop"
def nchw(img_hwc):
    h, w, c = img_hwc.shape
    return img_hwc.reshape(1, c, h, w).float() / 255


# %% [markdown] mistake="nchw-reshaped"
# Fills the new shape in reading order instead of moving the axes, so colours and places are mixed.
#
# Before the division, the two pixels (1, 2, 3) and (4, 5, 6) become the planes (1, 2), (3, 4) and (5, 6): red stands beside green. The
# shape is right and the numbers are in wrong places, as in the second picture of the chapter. Which operations really move an axis?

# %% wrong="nchw-viewed" fails="nchw-by-hand nchw-dark nchw-crop"
def nchw(img_hwc):
    h, w, c = img_hwc.shape
    return img_hwc.float().view(c, h, w)[None] / 255


# %% [markdown] mistake="nchw-viewed"
# Takes `view` or `reshape` for a way to move axes, but both keep the numbers in their old order.
#
# Take a picture of 2 × 2 pixels and two colours that holds 1 to 8 in reading order. Its first colour is 1, 3, 5, 7, and your first plane
# holds 1, 2, 3, 4 (before the division). Look again at the figure that compares `block.T` with `block.reshape(4, 3)`.

# %% wrong="nchw-whole-pictures-only" fails="nchw-dark nchw-crop"
def nchw(img_hwc):
    h, w, c = img_hwc.shape
    return img_hwc.view(h * w, c).T.reshape(1, c, h, w) / 255


# %% [markdown] mistake="nchw-whole-pictures-only"
# Works for whole pictures only: a slice of a larger photo raises an error.
#
# `view` needs the numbers in one unbroken line of memory, and columns 1 and 2 of a wider photo leave gaps in it. The statement says that
# the picture may itself be a view. Call `nchw(photo[:, 1:3])` and find the step that complains: which operations do not mind gaps?

# %% wrong="nchw-rows-and-columns" fails="nchw-by-hand nchw-dark nchw-crop"
def nchw(img_hwc):
    return img_hwc.transpose(0, 2).unsqueeze(0).float() / 255


# %% [markdown] mistake="nchw-rows-and-columns"
# Exchanges rows and columns: the picture lies on its side.
#
# A picture of 2 rows and 5 columns in three colours comes out with shape (1, 3, 5, 2). For a square picture the shape looks right and only
# the numbers are wrong. Follow the number at row 0, column 1, colour 2: at which four places should it stand, and where is it now?

# %% wrong="nchw-no-batch" fails="nchw-by-hand nchw-dark nchw-crop nchw-grey"
def nchw(img_hwc):
    return img_hwc.permute(2, 0, 1).float() / 255


# %% [markdown] mistake="nchw-no-batch"
# Leaves out the axis of the batch: the result has three axes, not four.
#
# A picture of 2 rows and 5 columns in three colours comes out with shape (3, 2, 5). A network reads the first axis as the pictures of the
# batch, and there is one picture here. Count the opening brackets of the example by hand and those of your result.

# %% wrong="nchw-largest" fails="nchw-dark nchw-grey"
def nchw(img_hwc):
    x = img_hwc.permute(2, 0, 1).float()[None]
    return x / x.max()


# %% [markdown] mistake="nchw-largest"
# Divides by the largest number in the picture instead of the fixed 255.
#
# The two grey pixels 10 and 50 become 0.2 and 1, as bright as in a sunny photo, and a black picture becomes `nan`. Should the same pixel
# give different numbers in different pictures? Read again by what every number is divided.

# %% wrong="nchw-not-divided" fails="nchw-by-hand nchw-dark nchw-crop nchw-grey"
def nchw(img_hwc):
    return img_hwc.permute(2, 0, 1)[None].float()


# %% [markdown] mistake="nchw-not-divided"
# Leaves out the division by 255: the numbers still go up to 255.
#
# A white pixel comes out as 255.0. The axes and the dtype are right, but another dtype does not change the values, and the docstring
# promises numbers from 0 to 1. Compare your result with the example worked by hand.

# %% wrong="nchw-three-channels" fails="nchw-dark nchw-crop nchw-grey"
def nchw(img_hwc):
    red, green, blue = img_hwc.float().div(255).unbind(dim=2)
    return torch.stack([red, green, blue]).unsqueeze(0)


# %% [markdown] mistake="nchw-three-channels"
# Works for exactly three channels, although `C` may be any number.
#
# A grey picture of shape (2, 5, 1) stops with an error, because your answer counts on red, green and blue. Where in your function does the
# number 3 hide? Ask what each line would do with a picture of two channels.

# %% right="nchw-stacked"
def nchw(img_hwc):
    planes = [img_hwc[:, :, c].float() for c in range(img_hwc.shape[2])]
    return torch.stack([torch.stack(planes)]) / 255


# %% right="nchw-two-transposes"
def nchw(img_hwc):
    return img_hwc.transpose(0, 2).transpose(1, 2).to(torch.float32).div(255)[None]


# %% [markdown] explanation="nchw"
# `permute` names, for each axis of the result, the axis that it comes from.
# `reshape(1, C, H, W)` gives the right shape with the wrong numbers, which is why no error warns us; the picture of the beginning is what it makes.
# `transpose(0, 2)` alone gives `(C, W, H)`: the picture lies on its side, and for square pictures the shape looks right.
# Division turns `uint8` into `float32` by itself.
# Dividing by the picture's own maximum makes every dark photo as bright as a sunny one, and a black one `nan`.
# `torchvision` calls the same step `ToTensor`, without the axis of the batch.

# %% [markdown]
# ### Exercise 2: put channels together (5 points)
#
# Write `cat_channels(a, b)`.
# `a` has shape `(N, C, H, W)`.
# `b` has shape `(N, D, H, W)`, or it is a batch of grey pictures `(N, H, W)` whose axis for the channel is missing: one channel.
# Return one tensor `(N, C + D, H, W)`, or `(N, C + 1, H, W)`: picture by picture, first the channels of `a`, then those of `b`.
# `a` and `b` agree in `N`, `H`, `W` and dtype, and stay as they are; the result has that dtype.
#
# By hand: `a = [[[[1, 2]]], [[[3, 4]]]]` of shape `(2, 1, 1, 2)` and grey `b = [[[5, 6]], [[7, 8]]]` of shape `(2, 1, 2)`
# give `[[[[1, 2]], [[5, 6]]], [[[3, 4]], [[7, 8]]]]` of shape `(2, 2, 1, 2)`.
#
# <details><summary>Hint 1</summary>How do you see which of the two forms <code>b</code> has, and where does the missing axis belong?</details>
# <details><summary>Hint 2</summary>The result has more channels than <code>a</code>, and as many pictures. Along which axis are the two joined?</details>


# %% exercise="channels"
def cat_channels(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Join `a` (N, C, H, W) and `b` (N, D, H, W) or (N, H, W) to (N, C + D, H, W); `b` without an axis of channels has D = 1."""
    # BEGIN SOLUTION
    if b.dim() == 3:
        b = b.unsqueeze(1)
    return torch.cat([a, b], dim=1)
    # END SOLUTION


# %% check="channels-grey" points=1
def join_grey():
    b_batch = torch.tensor([[[5, 6]], [[7, 8]]])
    try:
        return cat_channels(torch.tensor([[[[1, 2]]], [[[3, 4]]]]), b_batch), list(b_batch.shape)
    except NotImplementedError:
        raise
    except RuntimeError as problem:
        return f"{type(problem).__name__}: {str(problem).rstrip('.')}", None


got, b_shape = join_grey()
assert type(got) is not str, (
    f"(2, 1, 1, 2) with grey (2, 1, 2) gave {got}. About sizes or the number of dimensions: "
    f"the axis that b lacks is that of the channel, at place 1"
)
assert type(got) is torch.Tensor, (
    f"cat_channels must return a tensor, got {type(got).__name__}. NoneType: `return` is missing; list: no .tolist()"
)
assert tuple(got.shape) == (2, 2, 1, 2), (
    f"(2, 1, 1, 2) with grey (2, 1, 2) must give (2, 2, 1, 2), got {tuple(got.shape)}: two pictures of two channels each"
)
assert got.tolist() == [[[[1, 2]], [[5, 6]]], [[[3, 4]], [[7, 8]]]], (
    f"picture 0 has the channels [1, 2] and [5, 6], picture 1 has [3, 4] and [7, 8]; got {got.tolist()}: "
    f"[5, 6] first: a and b exchanged. [1, 2] beside [3, 4]: joined along dim 0 and reshaped"
)
assert b_shape == [2, 1, 2], f"b must stay as it is, its shape has become {b_shape}: unsqueeze_ changes the caller's tensor"
print("passed: a grey channel is put beside the others")


# %% check="channels-many" points=1
def join_many(first, second):
    try:
        return cat_channels(first, second)
    except NotImplementedError:
        raise
    except RuntimeError as problem:
        return f"{type(problem).__name__}: {str(problem).rstrip('.')}"


a_batch, b_batch = torch.arange(60).reshape(2, 3, 5, 2), -torch.arange(80).reshape(2, 4, 5, 2)
got = join_many(a_batch, b_batch)
assert type(got) is not str, f"(2, 3, 5, 2) with (2, 4, 5, 2) gave {got}" + (
    ": b has its channels here, a further axis is one too many"
    if "same number of dimensions" in got
    else ": join channels, not pictures"
    if "Sizes of tensors" in got
    else ""
)
assert type(got) is torch.Tensor, (
    f"two batches with channels must give a tensor, got {type(got).__name__}. NoneType: `return` is missing; list: no .tolist()"
)
assert tuple(got.shape) == (2, 7, 5, 2), (
    f"3 and 4 channels must give 7: shape (2, 7, 5, 2), got {tuple(got.shape)}. dim=0 joins pictures, not channels"
)
assert torch.equal(got[:, :3], a_batch), f"the first 3 channels must be those of a, got sums {got[:, :3].sum(dim=(2, 3)).tolist()}"
assert torch.equal(got[:, 3:], b_batch), f"the last 4 channels must be those of b, got sums {got[:, 3:].sum(dim=(2, 3)).tolist()}"
print("passed: 3 channels and 4 channels are 7")


# %% hidden="channels-order" points=2
def join_bytes():
    colour, mask = torch.arange(36, dtype=torch.uint8).reshape(3, 2, 2, 3), torch.full((3, 2, 3), 255, dtype=torch.uint8)
    whole = cat_channels(colour, mask)
    return whole, colour, list(mask.shape)


whole, colour_after, mask_shape = join_bytes()
assert whole.dtype == torch.uint8, f"two uint8 tensors must give uint8, got {whole.dtype}"
assert tuple(whole.shape) == (3, 3, 2, 3), f"(3, 2, 2, 3) with grey (3, 2, 3) must give (3, 3, 2, 3), got {tuple(whole.shape)}"
for n in range(3):
    means = whole[n].float().mean(dim=(1, 2)).tolist()
    assert_close(
        means, [12.0 * n + 2.5, 12.0 * n + 8.5, 255.0], msg=lambda m, n=n: f"picture {n}: wrong channels, or in a wrong order\n{m}"
    )
assert mask_shape == [3, 2, 3], f"b must stay as it is, its shape has become {mask_shape}: unsqueeze_ changes the caller's tensor"
assert torch.equal(colour_after, torch.arange(36, dtype=torch.uint8).reshape(3, 2, 2, 3)), "a must stay as it is, its numbers have changed"

# %% hidden="channels-one-picture" points=1
joined = cat_channels(torch.zeros(1, 2, 3, 4), torch.ones(1, 3, 4))
again = cat_channels(torch.zeros(1, 2, 1, 1), torch.ones(1, 1, 1, 1))
assert [tuple(t.shape) for t in (joined, again)] == [(1, 3, 3, 4), (1, 3, 1, 1)], (
    f"batches of one: expected (1, 3, 3, 4) and (1, 3, 1, 1), got {tuple(joined.shape)} and {tuple(again.shape)}: squeeze() loses the batch"
)
assert joined.sum(dim=(2, 3)).tolist() == [[0.0, 0.0, 12.0]], (
    f"two channels of 0, one of 1 expected, sums {joined.sum(dim=(2, 3)).tolist()}"
)


# %% wrong="channels-along-batch" fails="channels-grey channels-many channels-order channels-one-picture"
def cat_channels(a, b):
    if b.dim() == 3:
        b = b[:, None]
    return torch.cat([a, b])


# %% [markdown] mistake="channels-along-batch"
# Joins along the axis of the batch: there are more pictures instead of more channels.
#
# In the example by hand you return shape (4, 1, 1, 2), four pictures of one channel. With three channels and one channel it even raises an
# error, since only the joined axis may differ in size. Which axis of the result should be longer than that of `a`?

# %% wrong="channels-viewed" fails="channels-grey channels-many channels-order"
def cat_channels(a, b):
    n, c, h, w = a.shape
    return torch.cat([a.flatten(), b.flatten()]).view(n, -1, h, w)


# %% [markdown] mistake="channels-viewed"
# Puts all numbers of `a` before all of `b` and cuts them anew, which mixes the pictures.
#
# In the example by hand picture 0 gets [1, 2] and [3, 4], both from `a`, and picture 1 gets [5, 6] and [7, 8], both from `b`. The shape is
# right, and with one picture you see nothing of it. Which numbers belong to picture 0, and where do they lie in the line that you cut?

# %% wrong="channels-axis-in-front" fails="channels-grey channels-order"
def cat_channels(a, b):
    if b.dim() == 3:
        b = b.unsqueeze(0)
    return torch.cat((a, b), dim=1)


# %% [markdown] mistake="channels-axis-in-front"
# Puts the missing axis of a grey `b` in front of the pictures.
#
# A grey `b` of shape (2, 4, 5) becomes one picture of two channels, (1, 2, 4, 5), and joining it with two pictures raises an error. A batch
# of one hides the mistake. At which place does the statement write the number of channels?

# %% wrong="channels-added" fails="channels-grey channels-many channels-order channels-one-picture"
def cat_channels(a, b):
    return a + b if b.dim() == 4 else a + b[:, None]


# %% [markdown] mistake="channels-added"
# Adds the numbers of `b` to those of `a` instead of joining the channels.
#
# One pixel with 10 in `a` and 20 in `b` gives one channel with 30, and nobody can tell the 10 and the 20 apart any more. How many channels
# should come out? Look in the table of operations for those that join.

# %% wrong="channels-no-grey" fails="channels-grey channels-order channels-one-picture"
def cat_channels(a, b):
    return torch.cat((a, b), dim=1)


# %% [markdown] mistake="channels-no-grey"
# Does not handle a grey `b` of shape `(N, H, W)`: an error is raised.
#
# Shape (2, 3, 4, 5) with a grey (2, 4, 5) stops with a RuntimeError, because a tensor of four axes cannot be joined with one of three. The
# statement names two forms of `b`. What in `b` tells them apart, and what does the second form lack?

# %% wrong="channels-in-place" fails="channels-grey channels-order"
def cat_channels(a, b):
    if b.dim() == 3:
        b.unsqueeze_(1)
    return torch.cat((a, b), 1)


# %% [markdown] mistake="channels-in-place"
# Changes the shape of the caller's `b`.
#
# The result is right, but a grey `b` of shape (2, 1, 2) has shape (2, 1, 1, 2) after the call, and whoever uses it next gets a surprise.
# The statement says that both inputs stay as they are. Look at the names of the methods that you call on `b`: what does an underscore at
# the end mean?

# %% wrong="channels-squeezed" fails="channels-one-picture"
def cat_channels(a, b):
    if b.dim() == 3:
        b = b[:, None]
    return torch.cat((a, b), 1).squeeze()


# %% [markdown] mistake="channels-squeezed"
# Removes every axis of size 1 from the result, that of a batch of one too.
#
# Shape (1, 3, 4, 5) with a grey (1, 4, 5) comes back as (4, 4, 5): the axis of the pictures is gone. With larger sizes nobody notices.
# Print the shape after each of your steps: is there an axis too many anywhere that has to go?

# %% right="channels-loop"
def cat_channels(a, b):
    pictures = []
    for one, other in zip(a, b, strict=True):
        grey = other.dim() == 2
        pictures.append(torch.stack([*one, other] if grey else [*one, *other]))
    return torch.stack(pictures)


# %% right="channels-reshape"
def cat_channels(a, b):
    n, _, h, w = a.shape
    return torch.cat((a, b.reshape(n, -1, h, w)), dim=-3)


# %% [markdown] explanation="channels"
# The axis along which we join is the only one in which `a` and `b` may differ.
# `unsqueeze(0)` would make `(1, N, H, W)`, N channels of one picture: for N = 1 the same, so a test with one picture does not notice.
# Joining the flat numbers and reshaping puts all of `a` before all of `b`: right for one picture, wrong for two.
# Networks do this often: a photo with its mask, GoogLeNet's branches, DenseNet's layers.

# %% [markdown]
# ### The photo, taken apart
#
# `photo.permute(2, 0, 1)` is three grey pictures.
# We show each in its own colour, then put them together again, in the right order and in the reverse one.

# %%
red, green, blue = photo.permute(2, 0, 1)
nothing = torch.zeros_like(red)
panels = {
    "red": [red, nothing, nothing],
    "green": [nothing, green, nothing],
    "blue": [nothing, nothing, blue],
    "put together": [red, green, blue],
    "blue first": [blue, green, red],
}
fig, axes = plt.subplots(1, 5, figsize=(13, 2.2))
for ax, (title, planes) in zip(axes, panels.items(), strict=True):
    ax.imshow(torch.stack(planes, dim=-1))
    ax.set(title=title, xticks=[], yticks=[])
plt.show()
print("the same as before:", torch.equal(torch.stack([red, green, blue], dim=-1), photo))

# %% [markdown]
# The pillars are visible in red and nearly black in green and blue; the sky is bright in all three, and most of all in blue.
# In the last picture the pillars are blue and the sky is a pale orange: the shape is right, only the meaning of the channels has been exchanged, and no program can notice that.

# %% [markdown]
# ## Broadcasting
#
# What is `x + y` when the shapes are not equal?
# PyTorch tries to stretch them; this is **broadcasting** (广播).
# The rule has three parts:
#
# 1. Write the two shapes one below the other, aligned on the **right**. Missing axes on the left count as 1.
# 2. In each column the sizes must be equal, or one of them must be 1.
# 3. A size of 1 is stretched to the other size: the same numbers are used again and again.

# %%
column, row = torch.tensor([[0], [3], [6], [9]]), torch.tensor([0, 1, 2])  # (4, 1) and (3,)
total = column + row
fig, axes = plt.subplots(1, 2, figsize=(11.5, 3.9), width_ratios=[1.6, 1])
draw_cells(axes[0], column.expand(4, 3), left=0, solid=torch.arange(3).expand(4, 3) == 0)
draw_cells(axes[0], row.expand(4, 3), left=5, solid=torch.arange(4)[:, None].expand(4, 3) == 0)
draw_cells(axes[0], total, left=10)
for x, text in ((4, "+"), (9, "=")):
    axes[0].text(x, 2, text, ha="center", va="center", fontsize=18)
for x, text in ((1.5, "(4, 1)"), (6.5, "(3,)"), (11.5, "(4, 3)")):
    axes[0].text(x, 4.6, text, ha="center")
axes[0].set(xlim=(-0.3, 13.3), ylim=(5, -0.6))
axes[0].set_title("pale boxes: the same numbers, used again", fontsize=11)
axes[0].set_aspect("equal", anchor="N")
axes[0].axis("off")
for k, (first, second) in enumerate((((4, 1), (3,)), ((6, 1, 5), (2, 5)), ((427, 640, 3), (3,)), ((2, 3), (2,)))):
    for at, shape in enumerate((first, second)):
        for back in range(len(first)):
            size, other = (([1] * 3 + list(of))[-1 - back] for of in (shape, (second, first)[at]))
            colour = "white" if size == other or other == 1 else "orange" if size == 1 else "tomato"
            missing = back >= len(shape)
            box = {"boxstyle": "round,pad=0.25", "facecolor": colour, "edgecolor": "0.5", "linestyle": ":" if missing else "-"}
            axes[1].text(3 - back, 2.4 * k + at, f"({size})" if missing else size, ha="center", va="center", bbox=box, fontsize=9)
    fits = all(m == n or 1 in (m, n) for m, n in zip(reversed(first), reversed(second), strict=False))
    verdict = tuple(torch.broadcast_shapes(first, second)) if fits else "error"
    axes[1].text(3.8, 2.4 * k + 0.5, f"→ {verdict}", va="center")
axes[1].set(xlim=(0.5, 5.8), ylim=(9, -0.7))
axes[1].set_title("orange: stretched, red: clash, (1): counted as 1", fontsize=11)
axes[1].axis("off")
plt.show()

# %% [markdown]
# On the left a column of four and a row of three give all twelve sums.
# (The row has shape `(3,)`; the rule makes it `(1, 3)`.)
# On the right the last pair fails: `(2,)` is laid under the 3, although there is a 2 further left.
# `[:, None]` makes `(2, 1)` of it, and then the pair fits.
#
# The stretched copies are never made: `expand`, which does the same by hand, gives the new axis the stride 0, and every step along it stays at the same number.

# %%
stretched = torch.tensor([[5], [7]]).expand(2, 3)
print(stretched.tolist(), "strides", stretched.stride())

# %% [markdown]
# On the photo, of shape `(427, 640, 3)`, a factor of shape `(3,)` acts on colours, `(640, 1)` on columns, `(427, 1, 1)` on rows:

# %%
factors = {
    "(3,): a warm light": torch.tensor([1.0, 0.75, 0.45]),
    "(640, 1): dark on the left": torch.linspace(0, 1, 640)[:, None],
    "(427, 1, 1): dark below": torch.linspace(1, 0, 427)[:, None, None],
}
fig, axes = plt.subplots(1, 3, figsize=(12, 3))
for ax, (title, factor) in zip(axes, factors.items(), strict=True):
    ax.imshow(photo / 255 * factor)
    ax.set(title=title, xticks=[], yticks=[])
plt.show()

# %% [markdown]
# One multiplication each, and no loop over 273,280 pixels.
#
# ### Why keepdim exists
#
# To take from each row its own mean, the means need shape `(N, 1)`.
# `mean(dim=1)` gives `(N,)`, which the rule lays under the *columns*.
# If the table is square, nothing complains:

# %%
square = torch.tensor([[0.0, 2.0], [10.0, 30.0]])
print("row means:", square.mean(dim=1).tolist())
print("without keepdim:", (square - square.mean(dim=1)).tolist())
print("with keepdim:   ", (square - square.mean(dim=1, keepdim=True)).tolist())

# %% [markdown]
# Only with `keepdim` does every row have the mean 0.

# %% [markdown]
# ### Exercise 3: rows of length one (5 points)
#
# Halving the brightness of a picture halves its row in `X`. To compare shapes, not brightness, every row is brought to length 1.
# Write `normalize_rows(X)` for a `float32` or `float64` tensor `X` of shape `(N, D)`.
# The **length** (长度, also norm) of a row is the root of the sum of its squares; divide each row by its own length.
#
# - A row of zeros has no direction and stays a row of zeros: no `nan`.
# - All other rows are right to five digits; their lengths lie between 0.001 and 1000.
# - The result is a new tensor of the same shape and dtype; `X` is not changed.
#
# By hand: `[[3, 4], [-6, 8]]` has the lengths 5 and 10 and becomes `[[0.6, 0.8], [-0.6, 0.8]]`.
# No loop, and no `torch.nn.functional.normalize`: it is what we build. PyTorch's `norm` is allowed: `X.norm(dim=0)` would give the lengths of the columns.
#
# <details><summary>Hint 1</summary>Which shape must the lengths have so that row i is divided by length i?</details>
# <details><summary>Hint 2</summary>0 / 0 is <code>nan</code>, but 0 divided by a tiny number is 0: <code>clamp(min=…)</code>.</details>


# %% exercise="rows"
def normalize_rows(X: torch.Tensor) -> torch.Tensor:
    """Divide each row of `X` (N, D) by its length; a row of zeros stays zero."""
    # BEGIN SOLUTION
    lengths = X.pow(2).sum(dim=1, keepdim=True).sqrt()
    return X / lengths.clamp(min=1e-12)
    # END SOLUTION


# %% check="rows-by-hand" points=1
got = normalize_rows(torch.tensor([[3.0, 4.0], [-6.0, 8.0]]))
assert type(got) is torch.Tensor, (
    f"normalize_rows must return a tensor, got {type(got).__name__}. NoneType: `return` is missing; list: no .tolist()"
)
assert tuple(got.shape) == (2, 2), f"the shape (2, 2) must stay, got {tuple(got.shape)}"
assert got.dtype == torch.float32, f"the dtype float32 must stay, got {got.dtype}"
assert_close(
    got,
    torch.tensor([[0.6, 0.8], [-0.6, 0.8]]),
    rtol=5e-5,
    atol=1e-5,
    msg=(
        f"rows (3, 4) and (-6, 8) should become (0.6, 0.8) and (-0.6, 0.8), got {got.double().round(decimals=4).tolist()}.\n"
        f"0.6, 0.4: the lengths lie under the columns, keepdim is missing. 0.447: dim=0. 0.12: the root is missing. 0.429: no squares. "
        f"0.268: one length for the whole table"
    ),
)
print("passed: two rows by hand")


# %% check="rows-zero" points=1
def zero_and_short_rows():
    given = torch.tensor([[0.0, 0.0, 0.0], [1.0, 2.0, 2.0], [0.003, 0.0, -0.004]])
    return normalize_rows(given), given


got, afterwards = zero_and_short_rows()
assert type(got) is torch.Tensor, f"normalize_rows must return a tensor, got {type(got).__name__}"
assert_close(
    got,
    torch.tensor([[0.0, 0.0, 0.0], [1 / 3, 2 / 3, 2 / 3], [0.6, 0.0, -0.8]]),
    rtol=5e-5,
    atol=1e-5,
    msg=(
        f"(0, 0, 0) stays zero, (1, 2, 2) becomes (1, 2, 2)/3 and (0.003, 0, -0.004) becomes (0.6, 0, -0.8), got\n{got}\n"
        f"nan is 0 / 0. Last row too short: clamp(min=...) or the number added is larger than its length"
    ),
)
assert afterwards[1].tolist() == [1.0, 2.0, 2.0], f"X must not be changed, its row (1, 2, 2) is now {afterwards[1]}: an operation in place?"
print("passed: a row of zeros stays as it is, and X too")

# %% hidden="rows-many" points=2
_ = torch.manual_seed(3)
scales = torch.tensor([1e-3, 0.02, 1.0, 900.0]).double()[:, None]
many = torch.randn(4, 7).double()
many = many / many.square().sum(1, keepdim=True).sqrt() * scales
results = [normalize_rows(many.clone()), normalize_rows(many.float())]
assert [r.dtype for r in results] == [torch.float64, torch.float32], f"the dtype must stay, got {[r.dtype for r in results]}"
for result, same_dtype in zip(results, (many, many.float()), strict=True):
    assert_close(
        result,
        same_dtype / scales.to(same_dtype.dtype),
        rtol=5e-5,
        atol=1e-7,
        msg=lambda m, result=result: (
            f"rows of length 0.001, 0.02, 1 and 900 in a (4, 7) tensor should all get length 1, "
            f"they have {result.square().sum(dim=1).sqrt().tolist()}: too large a safeguard, or the wrong axis?"
        ),
    )


# %% hidden="rows-untouched" points=1
def before_and_after():
    given = torch.tensor([[2.0, 0.0, 0.0], [0.0, -5.0, 0.0], [0.0, 0.0, 0.5]])
    return normalize_rows(given), given, normalize_rows(torch.tensor([[-4.0], [0.0], [2.5]]))


unit, given_after, signs = before_and_after()
assert_close(
    given_after, torch.diag(torch.tensor([2.0, -5.0, 0.5])), msg=lambda m: f"X itself was changed, it is now {given_after.tolist()}"
)
assert_close(
    unit,
    torch.diag(torch.tensor([1.0, -1.0, 1.0])),
    rtol=5e-5,
    atol=1e-5,
    msg=lambda m: f"a diagonal 2, -5, 0.5 must give 1, -1, 1, got {unit.tolist()}",
)
assert_close(
    signs,
    torch.tensor([[-1.0], [0.0], [1.0]]),
    rtol=5e-5,
    atol=1e-5,
    msg=lambda m: f"one column -4, 0, 2.5 must give the signs -1, 0, 1, got {signs.tolist()}",
)


# %% wrong="rows-no-keepdim" fails="rows-by-hand rows-zero rows-many"
def normalize_rows(X):
    return X / X.norm(dim=1).clamp(min=1e-12)


# %% [markdown] mistake="rows-no-keepdim"
# Divides column j by the length of row j: the lengths lie under the columns.
#
# Rows (3, 4) and (6, 8) have the lengths 5 and 10, and you return (0.6, 0.4) and (1.2, 0.8): first numbers divided by 5, second ones by 10.
# Three rows of two numbers raise an error. Print the shape of your lengths and write it below that of `X`, aligned on the right.

# %% wrong="rows-columns" fails="rows-by-hand rows-zero rows-many"
def normalize_rows(X):
    return X / X.norm(dim=0, keepdim=True).clamp(min=1e-12)


# %% [markdown] mistake="rows-columns"
# Brings the columns to length 1 instead of the rows.
#
# (3, 4) and (6, 8) point the same way and should become equal rows; you return (0.447, 0.447) and (0.894, 0.894), where each column has
# length 1. How many lengths do you compute for three rows of two numbers? Think of the axis that disappears.

# %% wrong="rows-nan" fails="rows-zero rows-untouched"
def normalize_rows(X):
    return X / X.norm(dim=1, keepdim=True)


# %% [markdown] mistake="rows-nan"
# Divides a row of zeros by its length 0, which gives `nan`.
#
# The row (0, 0) has length 0, and 0 / 0 is `nan`, which then spoils every sum and mean it enters. All other rows are right. Read the first
# bullet of the statement and ask by which numbers a zero can be divided and stay zero.

# %% wrong="rows-squared-length" fails="rows-by-hand rows-zero rows-many"
def normalize_rows(X):
    return X / (X * X).sum(dim=1, keepdim=True).clamp(min=1e-12)


# %% [markdown] mistake="rows-squared-length"
# Divides by the squared length: no root is taken.
#
# The row (3, 4) has length 5, and you return (0.12, 0.16), divided by 25. A row of length 1 hides the mistake. Compute the length of one of
# the rows that you return, and compare your divisor with the definition of the length in the statement.

# %% wrong="rows-sum" fails="rows-by-hand rows-zero rows-many"
def normalize_rows(X):
    return X / X.abs().sum(dim=1, keepdim=True).clamp(min=1e-12)


# %% [markdown] mistake="rows-sum"
# Divides by the sum of the absolute values instead of the length.
#
# The row (3, 4) becomes (0.429, 0.571): these two add up to 1, but the length of the row is 0.714. That is another way to scale, with
# shares of a sum. Which definition of length does the statement give?

# %% wrong="rows-large-epsilon" fails="rows-many"
def normalize_rows(X):
    return X / (X.norm(dim=1, keepdim=True) + 1e-6)


# %% [markdown] mistake="rows-large-epsilon"
# Adds a small number to every length, which leaves short rows too short.
#
# Zeros stay zeros, but all other rows change a little too: (0.003, 0.004) comes back with length 0.9998, and the statement asks for five
# digits. Could the divisor differ from the length only where the length is useless?

# %% wrong="rows-clamped-at-one" fails="rows-zero rows-many rows-untouched"
def normalize_rows(X):
    return X / X.norm(dim=1, keepdim=True).clamp(min=1)


# %% [markdown] mistake="rows-clamped-at-one"
# Leaves rows shorter than 1 as they are: its divisor is never below 1.
#
# The row (0.3, 0.4) has length 0.5 and should grow to length 1, but it comes back unchanged. Your lower limit is meant for rows of zeros
# alone. What is the shortest other row that the statement allows, and on which side of the limit must it lie?

# %% wrong="rows-in-place" fails="rows-zero rows-untouched"
def normalize_rows(X):
    X /= X.norm(dim=1, keepdim=True).clamp(min=1e-12)
    return X


# %% [markdown] mistake="rows-in-place"
# Changes the caller's `X` in place.
#
# The result is right, but after the call `X` itself holds (0.6, 0.8) twice where (3, 4) and (6, 8) stood, and their brightness is lost. The
# third bullet of the statement speaks of this. Which line writes into `X`?

# %% wrong="rows-whole-table" fails="rows-by-hand rows-many"
def normalize_rows(X):
    return X / X.norm().clamp(min=1e-12)


# %% [markdown] mistake="rows-whole-table"
# Divides all rows by one number, the length of the whole table.
#
# (3, 4) and (6, 8) come back with lengths 0.447 and 0.894, so the second is still twice as long as the first. By how many different numbers
# must a table of N rows be divided? Print the shape of your divisor.

# %% right="rows-where"
def normalize_rows(X):
    n = torch.linalg.vector_norm(X, dim=-1)[:, None]
    return torch.where(n == 0, torch.zeros_like(X), X / n)


# %% right="rows-einsum"
def normalize_rows(X):
    lengths = torch.einsum("nd,nd->n", X, X).sqrt()
    lengths[lengths == 0] = 1
    return (X.T / lengths).T


# %% [markdown] explanation="rows"
# `keepdim=True` leaves `(N, 1)`, which broadcasts over the columns.
# Without it a square table is divided column by column, in silence, and any other raises an error: the silent case is the dangerous one, so the first check is square.
# `clamp` acts on the lengths, not on the result, and changes no row that is not zero.
# Adding a small number to every length instead is a slight error everywhere.
# The curriculum's name `batch_normalize_rows` was shortened: batch normalisation (chapter 14) is something else, it works on columns.

# %% [markdown]
# ### Exercise 4: a one for every label (5 points)
#
# A label names the **class** (类别), the kind, of a sample by a number from 0 to $k - 1$; but class 9 is not nine times class 1.
# A **one-hot** (独热) row says the same without an order: $k$ places, a 1 at the place of the class, 0 elsewhere.
# Write `one_hot(y, k)`: `y` has shape `(N,)` and a whole-number dtype.
# Return shape `(N, k)`, dtype `float32` (so that it can be multiplied with other `float32` tables), on the device of `y` (the first check and a hidden test run it on `meta`).
# A label that is none of $0, \dots, k-1$, such as −1 for "unknown", gets a row of zeros.
#
# By hand: `one_hot(torch.tensor([2, 0]), 3)` is `[[0, 0, 1], [1, 0, 0]]`, as floats.
# Build it from a comparison with broadcasting: no loop, no `torch.nn.functional.one_hot`, no assignment to indexed places.
#
# <details><summary>Hint 1</summary>The place (i, c) of the result is 1 exactly if <code>y[i]</code> is equal to what?</details>
# <details><summary>Hint 2</summary>All N labels against all k classes: which two shapes broadcast to <code>(N, k)</code>?</details>


# %% exercise="one-hot"
def one_hot(y: torch.Tensor, k: int) -> torch.Tensor:
    """Return (N, k), float32: row i has a 1 at place y[i] and zeros elsewhere; all zeros where y[i] is no class."""
    # BEGIN SOLUTION
    return (y[:, None] == torch.arange(k, device=y.device)).float()
    # END SOLUTION


# %% check="one-hot-by-hand" points=1
def device_of_ones():
    try:
        return str(one_hot(torch.zeros(3, dtype=torch.int64, device="meta"), 4).device)
    except RuntimeError as problem:
        return f"{type(problem).__name__}: {problem}"


got = one_hot(torch.tensor([2, 0]), 3)
assert type(got) is torch.Tensor, (
    f"one_hot must return a tensor, got {type(got).__name__}. NoneType: `return` is missing; list: no .tolist()"
)
assert tuple(got.shape) == (2, 3), f"2 labels and 3 classes give shape (2, 3), got {tuple(got.shape)}: one row for each label"
assert got.dtype == torch.float32, f"the dtype must be float32, got {got.dtype}: a comparison gives bool, and F.one_hot int64"
assert got.tolist() == [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]], f"labels 2 and 0 should give [[0, 0, 1], [1, 0, 0]], got {got.tolist()}"
where = device_of_ones()
assert where == "meta", f"labels on the device meta must give a result there, got {where}" + (
    ": what the function makes itself needs device=y.device"
    if "device" in where or where == "cpu"
    else ": it needs only y.device, no value of y"
)
print("passed: labels 2 and 0 of three classes, and labels on another device")


# %% check="one-hot-unknown" points=1
def ones_of_strangers():
    try:
        return one_hot(torch.tensor([1, -1, 0, 2], dtype=torch.int32), 2)
    except NotImplementedError:
        raise
    except (IndexError, RuntimeError) as problem:
        return f"{type(problem).__name__}: {str(problem).rstrip('.')}"


got = ones_of_strangers()
assert type(got) is not str, f"labels 1, -1, 0, 2 of two classes, int32, gave {got}" + (
    ". torch.nn.functional.one_hot is not allowed, and refuses int32, -1 and 2"
    if "one_hot" in got or "lass values" in got
    else ". As a place, 2 is out of range: compare instead"
    if "out of" in got
    else ""
)
assert type(got) is torch.Tensor, (
    f"one_hot(y, 2) must return a tensor, got {type(got).__name__}. NoneType: `return` is missing; list: no .tolist()"
)
assert tuple(got.shape) == (4, 2), f"4 labels and k = 2 give shape (4, 2), got {tuple(got.shape)}: one column for each of the k classes"
assert got.tolist() == [[0.0, 1.0], [0.0, 0.0], [1.0, 0.0], [0.0, 0.0]], (
    f"labels 1, -1, 0, 2 of two classes: -1 and 2 are no classes and get zeros, got {got.tolist()}. An index -1 would mean the last class"
)
print("passed: what is no class has no one")


# %% hidden="one-hot-device" points=1
def place_of_result():
    try:
        return str(one_hot(torch.zeros(3, dtype=torch.int64, device="meta"), 5).device)
    except Exception as trouble:
        return f"{type(trouble).__name__}: {trouble}"


where_it_is = place_of_result()
assert where_it_is == "meta", f"labels on the device meta must give a result there, got {where_it_is}: arange(k) alone is made on the CPU"

# %% hidden="one-hot-sizes" points=2
y_many = torch.tensor([3, 0, 6, 6, 1, 2, 5, 4, 6])
result = one_hot(y_many, 7)
assert_close(
    result,
    torch.nn.functional.one_hot(y_many, 7).to(torch.float32),
    msg=lambda m: f"nine labels of seven classes: got\n{result}\nis k the number of columns, and the first class 0?",
)
single = one_hot(torch.tensor([0]), 1)
assert_close(single, torch.ones(1, 1), msg=lambda m: f"one label of one class must give [[1.0]], got {single.tolist()}")
wide_row = one_hot(torch.tensor([0, 1]), 4)
assert tuple(wide_row.shape) == (2, 4), f"k = 4 gives four columns, even if the labels only go to 1, got shape {tuple(wide_row.shape)}"


# %% wrong="one-hot-integers" fails="one-hot-by-hand one-hot-sizes"
def one_hot(y, k):
    return (y[:, None] == torch.arange(k, device=y.device)).long()


# %% [markdown] mistake="one-hot-integers"
# Returns whole numbers instead of `float32`.
#
# The ones are in their places, but the dtype is `int64`, and `one_hot(y, 2) @ torch.ones(2, 1)` raises an error. The statement says which
# dtype is wanted, and why. Print the dtype after each step.

# %% wrong="one-hot-bool" fails="one-hot-by-hand one-hot-sizes"
def one_hot(y, k):
    return y[:, None] == torch.arange(k, device=y.device)


# %% [markdown] mistake="one-hot-bool"
# Returns `True` and `False` instead of the numbers 1 and 0.
#
# The right places are marked, but a comparison gives dtype `bool`, and a matrix product of it with a `float32` table raises an error. Print
# the dtype of your result and compare it with the one in the statement: which step is still missing?

# %% wrong="one-hot-transposed" fails="one-hot-by-hand one-hot-unknown one-hot-sizes"
def one_hot(y, k):
    classes = torch.arange(k, device=y.device)
    return (classes[:, None] == y).to(torch.float32)


# %% [markdown] mistake="one-hot-transposed"
# Returns one row for each class instead of one row for each label.
#
# Labels 1, 0, 1 with `k = 4` give shape (4, 3), although three labels should give three rows. Where N and `k` are equal the shape looks
# right and only the numbers tell. Which of the two, labels or classes, should change from row to row?

# %% wrong="one-hot-cpu" fails="one-hot-by-hand one-hot-device"
def one_hot(y, k):
    return (y[:, None] == torch.arange(k)).float()


# %% [markdown] mistake="one-hot-cpu"
# Makes its own tensor on the CPU, whatever the device of `y`.
#
# On the CPU all is right. Labels on `meta` or on a graphics card raise a RuntimeError, because two tensors that meet must be on the same
# device. Which tensor comes into being inside your function, and what does the section on devices say about it?

# %% wrong="one-hot-eye" fails="one-hot-unknown"
def one_hot(y, k):
    return torch.eye(k, device=y.device)[y]


# %% [markdown] mistake="one-hot-eye"
# Uses the labels as places, so -1 means the last class and a label `k` raises an error.
#
# With three classes the label -1 gets the row [0, 0, 1], as if it were class 2, and the label 3 stops with an IndexError. The statement
# says what such labels get, and with which kind of operation to build the rows.

# %% wrong="one-hot-from-one" fails="one-hot-by-hand one-hot-unknown one-hot-sizes"
def one_hot(y, k):
    return (y[:, None] == torch.arange(1, k + 1, device=y.device)).float()


# %% [markdown] mistake="one-hot-from-one"
# Counts the classes from 1 instead of from 0.
#
# With `k = 2` the label 0 gets a row of zeros, as if it were unknown, and the label 1 gets its 1 at place 0. Write down the numbers of the
# classes for `k = 2` as the statement has them, then print those that your function compares with.

# %% wrong="one-hot-seen-classes" fails="one-hot-unknown one-hot-sizes"
def one_hot(y, k):
    return (y[:, None] == torch.arange(int(y.max()) + 1, device=y.device)).float()


# %% [markdown] mistake="one-hot-seen-classes"
# Takes the number of columns from the largest label instead of from `k`.
#
# Labels 1, 0, 1 with `k = 4` give two columns instead of four, and a batch with other labels would get another width. On `meta` it fails as
# well, because a value of `y` must be read. Which argument says how many classes there are?

# %% wrong="one-hot-same-shape" fails="one-hot-by-hand one-hot-unknown one-hot-sizes"
def one_hot(y, k):
    return (y == torch.arange(k, device=y.device)).float()


# %% [markdown] mistake="one-hot-same-shape"
# Compares `y` with the classes place by place, not every label with every class.
#
# Labels 0, 1, 1 with `k = 3` give three numbers on one axis, and two labels with three classes raise an error. Write the shapes (N,) and
# (k,) one below the other, as the broadcasting rule says. What would they have to look like for (N, k) to come out?

# %% right="one-hot-where"
def one_hot(y, k):
    classes = torch.arange(k, device=y.device).expand(len(y), k)
    zeros = torch.zeros(len(y), k, device=y.device)
    return torch.where(classes == y.unsqueeze(1), zeros + 1, zeros)


# %% [markdown] explanation="one-hot"
# `(N, 1)` against `(k,)` broadcasts to `(N, k)`: every label is compared with every class.
# The comparison gives `bool`; `.float()` makes numbers that can be multiplied with other `float32` tables (`int64 @ float32` raises an error).
# `arange` must be made on the device of `y`: written without it, the function works until the first run on a graphics card.
# `torch.eye(k)[y]` is short, but −1 picks the last row, and a label k raises an error.
# One-hot rows make sums by class a product of matrices, as the real task shows.

# %% [markdown]
# ### Everything against everything
#
# `y[:, None] == classes` compared every label with every class.
# In the same way every row of one table can be compared with every row of another.
# The usual measure is the **squared distance** (平方距离) of two rows, the sum of the squared differences:
#
# $$d(a, b) = \sum_{j=1}^{D} (a_j - b_j)^2 .$$
#
# Multiplied out it is $\sum a_j^2 + \sum b_j^2 - 2 \sum a_j b_j$, which is quicker and which many programs use.
# We try both with one feature: the points 100.2 and 100.201 are 0.001 apart, so the squared distance is 0.000001.

# %%
p, q = torch.tensor(100.2), torch.tensor(100.201)
print(f"difference, then square: {(p - q) ** 2:.3g}")
print(f"multiplied out:          {p * p + q * q - 2 * p * q:.3g}")

# %% [markdown]
# A squared distance of −0.00195!
# `float32` keeps seven digits, so near 20,000 it keeps about 0.002; the two large numbers are equal in all digits that it keeps, and their difference is what the rounding left over.
# This is **cancellation** (相消): subtract first, and it does not happen.

# %% [markdown]
# ### Exercise 5: all squared distances (5 points)
#
# Write `pairwise_sqdist(A, B)`: `A` has shape `(N, D)`, `B` has shape `(M, D)`, both of the same floating-point dtype.
# Return shape `(N, M)`, of the dtype of the inputs; place `(i, j)` is the squared distance of row `A[i]` and row `B[j]`. No root is taken.
#
# - No Python loop and no `torch.cdist`; a table of $N \cdot M \cdot D$ numbers on the way is allowed.
# - The result is never negative, and right (to four digits) for close points that lie far from zero, also if there are such points in several places: `[10000, 0]` and `[10001, 0]` have squared distance 1.
# - The inputs are not changed.
#
# By hand: for `A = [[0, 0], [3, 4], [6, 8]]` and `B = [[0, 0], [3, 0]]` the result is `[[0, 9], [25, 16], [100, 73]]`.
#
# <details><summary>Hint 1</summary>Give <code>A</code> one axis more, and perhaps <code>B</code>, so that the two broadcast to <code>(N, M, D)</code>.</details>
# <details><summary>Hint 2</summary>What stands along each of the three axes then, and which of them must disappear?</details>


# %% exercise="sqdist"
def pairwise_sqdist(A: torch.Tensor, B: torch.Tensor) -> torch.Tensor:
    """Return (N, M): the squared distance of each row of `A` (N, D) to each row of `B` (M, D), without cancellation."""
    # BEGIN SOLUTION
    return ((A[:, None] - B) ** 2).sum(dim=2)  # (N, M, D) → (N, M)
    # END SOLUTION


# %% check="sqdist-by-hand" points=1
got = pairwise_sqdist(torch.tensor([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]]), torch.tensor([[0.0, 0.0], [3.0, 0.0]]))
assert type(got) is torch.Tensor, (
    f"pairwise_sqdist must return a tensor, got {type(got).__name__}. NoneType: `return` is missing; list: no .tolist()"
)
assert tuple(got.shape) == (3, 2), f"3 rows against 2 rows give shape (3, 2), got {tuple(got.shape)}: rows of A first"
assert got.dtype == torch.float32, f"float32 rows give float32 distances, got {got.dtype}"
assert_close(
    got,
    torch.tensor([[0.0, 9.0], [25.0, 16.0], [100.0, 73.0]]),
    msg=(
        f"expected [[0, 9], [25, 16], [100, 73]], got {got.double().round(decimals=4).tolist()}.\n"
        f"5 where 25 belongs: no root. 12.5: mean for sum. 9 in the corner: the sum went over the rows of B, not over the features"
    ),
)
print("passed: six distances by hand")

# %% check="sqdist-far" points=1
got = pairwise_sqdist(torch.tensor([[10000.0, 0.0], [-10000.0, 0.0]]), torch.tensor([[10001.0, 0.0], [-10000.0, 0.0], [10003.0, -4.0]]))
assert type(got) is torch.Tensor, f"pairwise_sqdist must return a tensor, got {type(got).__name__}"
assert tuple(got.shape) == (2, 3), f"2 rows against 3 rows give shape (2, 3), got {tuple(got.shape)}: rows of A first, features summed away"
assert got.dtype == torch.float32, f"float32 rows give float32 distances, got {got.dtype}"
assert_close(
    got,
    torch.tensor([[1.0, 20000.0**2, 25.0], [20001.0**2, 0.0, 20003.0**2 + 16]]),
    rtol=1e-4,
    atol=1e-4,
    msg=(
        f"(10000, 0) is at squared distance 1, 400000000, 25 from (10001, 0), (-10000, 0), (10003, -4), got {got[0].tolist()};\n"
        f"(-10000, 0) is at 400040001, 0, 400120025, got {got[1].tolist()}.\n"
        f"5 for 25: a root. 12.5 for 25: mean for sum. 0 or 8 for 1: multiplied out, the digits of the difference cancel"
    ),
)
crowd = pairwise_sqdist(torch.tensor([[10000.0, 0.0]] * 30), torch.tensor([[10001.0, 0.0], [10000.0, 2.0]]))
assert type(crowd) is torch.Tensor and tuple(crowd.shape) == (30, 2), (
    f"30 rows against 2 give a tensor of shape (30, 2), got {type(crowd).__name__} {tuple(getattr(crowd, 'shape', ()))}"
)
assert_close(
    crowd,
    torch.tensor([[1.0, 4.0]] * 30),
    rtol=1e-4,
    atol=1e-4,
    msg=(
        f"30 times (10000, 0), to (10001, 0) and (10000, 2): 1 and 4 in every row, got {crowd[0].tolist()} in the first. "
        f"Digits cancel: multiplied out, as torch.cdist does too from 26 rows on"
    ),
)
print("passed: close points far from zero keep their distance")

# %% hidden="sqdist-many" points=2
_ = torch.manual_seed(5)
left, right = torch.randn(5, 3).double(), torch.randn(4, 3).double()
result = pairwise_sqdist(left, right)
loops = torch.tensor(
    [[sum((u - v) ** 2 for u, v in zip(r, s, strict=True)) for s in right.tolist()] for r in left.tolist()], dtype=torch.float64
)
assert_close(result, loops, msg=lambda m: f"5 random rows against 4 with 3 features differ from two loops\n{m}")
line_of_points = torch.tensor([[1.0], [4.0]])
itself = pairwise_sqdist(line_of_points, line_of_points)
assert itself.tolist() == [[0.0, 9.0], [9.0, 0.0]], f"1 and 4 on a line, with themselves: [[0, 9], [9, 0]] expected, got {itself.tolist()}"
one_pair = pairwise_sqdist(torch.tensor([[1.0, 2.0, 3.0, 4.0]]), torch.zeros(1, 4))
assert one_pair.tolist() == [[30.0]], f"(1, 2, 3, 4) to the origin: [[30.0]] expected, got {one_pair.tolist()}"


# %% hidden="sqdist-never-negative" points=1
def clouds_far_away(offset):
    cloud = torch.arange(12.0).reshape(6, 2) / 64 + 4096
    both = torch.cat([cloud, cloud[:3] - offset])
    kept = both.clone()
    return pairwise_sqdist(both, both[:8]), (both - kept).abs().max().item()


for offset in (0, 6000, 8192):  # one cloud near (4096, 4096); two clouds, so that no shift brings all points near zero
    table_far, moved = clouds_far_away(offset)
    along = torch.cat([torch.arange(6.0), torch.arange(3.0) - 32 * offset]).double() / 32  # each point is 1/32 further in both coordinates
    steps = along[:, None] - along[:8]
    assert (table_far >= 0).all(), f"no squared distance is negative, the least of points far from zero is {table_far.min().item()}"
    assert_close(
        table_far,
        (2 * steps * steps).float(),
        rtol=1e-4,
        atol=1e-6,
        msg=lambda m: (
            f"points near (4096, 4096), each 1/32 further in both coordinates, and such points elsewhere: digits have cancelled\n{m}"
        ),
    )
    assert moved == 0, "the input was changed"


# %% wrong="sqdist-multiplied-out" fails="sqdist-far sqdist-never-negative"
def pairwise_sqdist(A, B):
    return (A * A).sum(1, keepdim=True) + (B * B).sum(1) - 2 * A @ B.T


# %% [markdown] mistake="sqdist-multiplied-out"
# Multiplies the square out, so that for points far from zero the digits cancel.
#
# (5000, 0) and (5001, 0) are at squared distance 1, and you return 0. The squares are about 25,000,000, where neighbouring `float32`
# numbers are 2 apart. Read again what the text before the exercise says about cancellation.

# %% wrong="sqdist-clamped" fails="sqdist-far sqdist-never-negative"
def pairwise_sqdist(A, B):
    return ((A * A).sum(1, keepdim=True) + (B * B).sum(1) - 2 * A @ B.T).clamp(min=0)


# %% [markdown] mistake="sqdist-clamped"
# Multiplies the square out; cutting off at 0 does not bring the cancelled digits back.
#
# (3000, 1) and (3000, 2) are at squared distance 1 and get 0, with a `clamp` or without one. A `clamp` at 0 hides negative results, but the
# digits are gone before it. At which step of your computation is the small difference of the two rows still visible?

# %% wrong="sqdist-centred" fails="sqdist-far sqdist-never-negative"
def pairwise_sqdist(A, B):
    middle = A.mean(dim=0)
    A, B = A - middle, B - middle
    return ((A * A).sum(1, keepdim=True) + (B * B).sum(1) - 2 * A @ B.T).clamp(min=0)


# %% [markdown] mistake="sqdist-centred"
# Moves all points by one mean before multiplying out, which only helps for a single cloud.
#
# For `A = [[-30000], [30000]]` the mean is 0, so nothing moves, and 30000 against 30001 comes out as 0 instead of 1. The statement speaks
# of close points in several places. Which step of yours needs all points to lie near zero?

# %% wrong="sqdist-wrong-axis" fails="sqdist-by-hand sqdist-far sqdist-many"
def pairwise_sqdist(A, B):
    return (A[:, None] - B[None]).square().sum(dim=1)


# %% [markdown] mistake="sqdist-wrong-axis"
# Sums over the rows of `B` instead of over the features.
#
# (0, 0) against (3, 4) gives [[9, 16]]: the squared differences of the two features are never added up. Where M equals D even the shape
# looks right. Before your sum there are three axes; write beside each what it counts, and which of them must disappear.

# %% wrong="sqdist-root" fails="sqdist-by-hand sqdist-far sqdist-many sqdist-never-negative"
def pairwise_sqdist(A, B):
    return (A[:, None] - B[None]).norm(dim=-1)


# %% [markdown] mistake="sqdist-root"
# Takes the root: distances come out instead of squared distances.
#
# (0, 0) and (3, 4) are at squared distance 25, and you return 5. Distances of 0 and 1 hide the mistake. One short sentence of the statement
# speaks of the root; does a function that you call take it for you?

# %% wrong="sqdist-transposed" fails="sqdist-by-hand sqdist-far sqdist-many sqdist-never-negative"
def pairwise_sqdist(A, B):
    return (A - B[:, None]).square().sum(dim=-1)


# %% [markdown] mistake="sqdist-transposed"
# Exchanges the two tables: the result has shape `(M, N)` instead of `(N, M)`.
#
# Three rows in `A` and seven in `B` give shape (7, 3), and place (i, j) holds the distance of `A[j]` and `B[i]`. With equally many rows the
# shape looks right. Which table should belong to the first axis of the result?

# %% wrong="sqdist-mean" fails="sqdist-by-hand sqdist-far sqdist-many sqdist-never-negative"
def pairwise_sqdist(A, B):
    return (A[:, None] - B[None]).square().mean(dim=-1)


# %% [markdown] mistake="sqdist-mean"
# Takes the mean of the squared differences instead of their sum.
#
# (0, 0) and (3, 4) get 12.5, half of 25; with three features you would return a third. One feature hides the mistake. Compare the formula
# for d(a, b) with what you do along the last axis.

# %% wrong="sqdist-no-new-axis" fails="sqdist-by-hand sqdist-far sqdist-many"
def pairwise_sqdist(A, B):
    return (A - B).square().sum(dim=-1)


# %% [markdown] mistake="sqdist-no-new-axis"
# Compares row i of `A` with row i of `B` only, not every row with every row.
#
# Three rows against seven raise an error, and two rows against two give two numbers instead of a table of four. Write the shapes (N, D) and
# (M, D) one below the other: N lies over M, so the rule pairs them. What must be different for a table to come out?

# %% right="sqdist-feature-sum"
def pairwise_sqdist(A, B):
    wide = A.T.unsqueeze(2) - B.T.unsqueeze(1)  # (D, N, M)
    return (wide * wide).sum(0)


# %% right="sqdist-einsum"
def pairwise_sqdist(A, B):
    gap = B.unsqueeze(0) - A.unsqueeze(1)
    return torch.einsum("nmd,nmd->nm", gap, gap)


# %% [markdown] explanation="sqdist"
# `(N, 1, D)` against `(M, D)` broadcasts to `(N, M, D)`: every difference of every pair. The features, the last axis, are summed away.
# Summing over `dim=1` mixes the rows of B; where M equals D even the shape looks right, as in the example by hand, and only the numbers tell.
# The multiplied-out form needs no table of N · M · D numbers and runs on fast matrix products.
# It is fine where points lie about as far from zero as from one another: for one cloud of points after its mean has been subtracted, but not for two clouds far apart; a `clamp` only hides that the digits are gone.
# `torch.cdist` chooses by itself: it multiplies out where there are more than 25 rows.

# %% [markdown]
# ### A distance matrix, drawn
#
# We take twenty pictures of each digit, sort them by digit, and draw all 200 × 200 distances.
# The demonstration uses PyTorch's `cdist`, which takes the root.
# `torch.where(labels == c)[0]` lists the places where the comparison is true, and `~` turns true and false round.

# %%
by_class = torch.cat([torch.where(labels == c)[0][:20] for c in range(10)])
chosen = X[by_class]
D = torch.cdist(chosen, chosen)
fig, ax = plt.subplots(figsize=(5.6, 4.7))
heat = ax.imshow(D, cmap="magma")
ax.set(xticks=range(10, 200, 20), yticks=range(10, 200, 20), xlabel="digit of picture j", ylabel="digit of picture i")
ax.set_xticklabels(range(10))
ax.set_yticklabels(range(10))
ax.set_title("distance of 200 pictures to one another")
fig.colorbar(heat, label="distance (grey levels)")
plt.show()

# %%
same_class = labels[by_class][:, None] == labels[by_class]
D.fill_diagonal_(float("nan"))  # no picture is compared with itself
print(f"mean distance within a class {D[same_class].nanmean():.3g}, between classes {D[~same_class].mean():.3g}")

# %% [markdown]
# The dark squares on the diagonal are the digits: pictures of one class lie close together.
# The square of the 0 is the darkest: these twenty are alike. That of the 2 is the palest and full of stripes: people write it in several ways.
# `same_class`, all labels against all labels, is broadcasting again.

# %% [markdown]
# ### Matrix products
#
# One operation does not go pair by pair.
# For `A` of shape `(N, D)` and `B` of shape `(D, M)` the **matrix product** (矩阵乘积) `A @ B` has shape `(N, M)`: place `(i, j)` is the sum of the products of row `i` of `A` with column `j` of `B`.
# The inner sizes must be equal, and disappear; broadcasting does not take part in them.

# %%
prices = torch.tensor([[1.0], [2.0], [10.0]])  # (3, 1): a price for each of three goods
baskets = torch.tensor([[1.0, 1.0, 0.0], [0.0, 5.0, 2.0]])  # (2, 3): how many of each
print((baskets @ prices).tolist(), tuple((baskets @ prices).shape))

# %% [markdown]
# ## Twelve shapes
#
# Here are twelve lines of code.
# Predict each shape on paper before you let PyTorch tell you.

# %% setup="puzzles"
PUZZLES = {
    "sum": "torch.ones(2, 3).sum(dim=1)",
    "keepdim": "torch.ones(5, 4).mean(dim=0, keepdim=True)",
    "add": "torch.ones(4, 1) + torch.ones(3)",
    "mul": "torch.ones(6, 1, 5) * torch.ones(2, 5)",
    "sub": "torch.ones(2, 3) - torch.ones(2)",
    "squeeze": "torch.ones(1, 1, 28, 20).squeeze()",
    "squeeze-0": "torch.ones(2, 5, 1).squeeze(0)",
    "unsqueeze": "torch.ones(3, 4).unsqueeze(-1)",
    "cat": "torch.cat([torch.ones(2, 3), torch.ones(5, 3)])",
    "stack": "torch.stack([torch.ones(4, 6)] * 3, dim=1)",
    "permute": "torch.ones(2, 3, 4).permute(2, 0, 1)",
    "index": "torch.ones(8, 9, 7)[:, 2, 1:4]",
}


def true_shape(code: str):
    """Run `code` and return the shape of its result as a tuple, or "error" where PyTorch refuses."""
    try:
        return tuple(eval(code).shape)
    except RuntimeError:
        return "error"


# %% [markdown]
# ### Exercise 6: predict twelve shapes (5 points)
#
# Write `predict_shapes()`: return a dictionary with one entry for each key of `PUZZLES`.
# The value is the shape that you predict, as a tuple of whole numbers (`(3,)` for one axis, `()` for none), or the text `"error"` where PyTorch refuses.
# Write the values down; do not compute them inside the function, or there is nothing to learn from.
# PyTorch is the judge: the checks run the lines, and for each miss they say which rule applies. The visible check looks at the first six.
# By hand: `"torch.ones(7, 2).sum()"` would give `()`, and `"torch.cat([torch.ones(2), torch.ones(2, 2)])"` would give `"error"`.
#
# <details><summary>Hint 1</summary>For <code>+ - *</code> write the two shapes one below the other, aligned on the right.</details>
# <details><summary>Hint 2</summary>For the others ask: which axis disappears, which is new, which sizes only change places?</details>


# %% exercise="shapes"
def predict_shapes() -> dict:
    """Return {key of PUZZLES: the shape of its result, a tuple, or "error"}."""
    # BEGIN SOLUTION
    return {
        "sum": (2,),
        "keepdim": (1, 4),
        "add": (4, 3),
        "mul": (6, 2, 5),
        "sub": "error",
        "squeeze": (28, 20),
        "squeeze-0": (2, 5, 1),
        "unsqueeze": (3, 4, 1),
        "cat": (7, 3),
        "stack": (4, 3, 6),
        "permute": (4, 2, 3),
        "index": (8, 3),
    }
    # END SOLUTION


# %% check="shapes-first" points=2
predicted = predict_shapes()
assert type(predicted) is dict, f"predict_shapes must return a dictionary, got {type(predicted).__name__}. NoneType: is `return` missing?"
rules = {
    "sum": "the axis that you name disappears. dim=1 counts the columns: every row keeps one sum",
    "keepdim": "dim=0 would disappear, but keepdim leaves it with size 1",
    "add": "(3,) counts as (1, 3); in each column of (4, 1) and (1, 3) the 1 is stretched",
    "mul": "(2, 5) counts as (1, 2, 5); column by column 6 and 1, 1 and 2, 5 and 5",
    "sub": "aligned on the right, the 2 lies under the 3: they differ, and neither is 1",
    "squeeze": "squeeze() without an axis removes every axis of size 1, that of the batch too",
}
misses = []
for key, rule in rules.items():
    guess, truth = predicted.get(key, "no prediction"), true_shape(PUZZLES[key])
    if key not in predicted or isinstance(guess, tuple) or (isinstance(guess, str) and guess == "error"):
        kind = ""
    else:
        kind = f", of type {type(guess).__name__}: write a tuple, as (2,) for one axis of size 2, or the text 'error'"
    if kind or guess != truth:
        misses.append(f"{PUZZLES[key]}: you predicted {guess!r}{kind}. PyTorch gives {truth!r}. The rule: {rule}")
assert not misses, "\n".join([f"{len(misses)} of 6 missed", *misses])
print("passed: the first six shapes, and the rules behind them")

# %% hidden="shapes-axes" points=2
guesses = predict_shapes()
reasons = {
    "squeeze-0": "squeeze(0) removes axis 0 only if its size is 1; here it is 2, and the 1 at the end was not asked for",
    "unsqueeze": "-1 is the last place of the result: the new axis of size 1 comes at the end",
    "permute": "permute names the old axes in their new order: sizes number 2, 0, 1 of (2, 3, 4)",
    "index": "a number removes its axis, a slice a:b keeps b - a places, : keeps all",
}
missed = [
    f"{PUZZLES[key]}: predicted {guesses.get(key, 'nothing')}, PyTorch gives {true_shape(PUZZLES[key])}. The rule: {reason}"
    for key, reason in reasons.items()
    if not isinstance(guesses.get(key), tuple) or guesses[key] != true_shape(PUZZLES[key])
]
assert not missed, "\n".join([f"{len(missed)} of 4 missed", *missed])

# %% hidden="shapes-joined" points=1
answers = predict_shapes()
for key, reason in (
    ("cat", "cat joins along an axis that is there, dim=0 if none is named: 2 + 5 rows"),
    ("stack", "stack makes a new axis, here at place 1, as long as the list"),
):
    truth = true_shape(PUZZLES[key])
    found = answers.get(key, "nothing")
    assert isinstance(found, tuple) and found == truth, f"{PUZZLES[key]}: predicted {found}, PyTorch gives {truth}. The rule: {reason}"


# %% wrong="shapes-batch-kept" fails="shapes-first"
def predict_shapes():
    return {
        **{"sum": (2,), "keepdim": (1, 4), "add": (4, 3), "mul": (6, 2, 5), "sub": "error", "squeeze": (1, 28, 20)},
        **{"squeeze-0": (2, 5, 1), "unsqueeze": (3, 4, 1), "cat": (7, 3), "stack": (4, 3, 6), "permute": (4, 2, 3), "index": (8, 3)},
    }


# %% [markdown] mistake="shapes-batch-kept"
# Keeps an axis of size 1 that `squeeze()` removes.
#
# You predict that one axis of size 1 survives. The table of operations has a line for `squeeze` with a number in its brackets and one
# without: what is the difference? Predict `torch.ones(1, 3, 1).squeeze()`, then run it.

# %% wrong="shapes-notes-axes" fails="shapes-first"
def predict_shapes():
    return {
        **{"sum": (3,), "keepdim": (5, 1), "add": (4, 3), "mul": (6, 2, 5), "sub": "error", "squeeze": (28, 20)},
        **{"squeeze-0": (2, 5, 1), "unsqueeze": (3, 4, 1), "cat": (7, 3), "stack": (4, 3, 6), "permute": (4, 2, 3), "index": (8, 3)},
    }


# %% [markdown] mistake="shapes-notes-axes"
# Exchanges the two axes in `sum` and `mean`, as the note does that calls the columns dim 0.
#
# For `sum` you predict three numbers, which is what the other axis would leave. A sentence in bold letters says what becomes of the axis
# that you name. Write down the shape, find the size that `dim` counts, and then decide whether it stays.

# %% wrong="shapes-left-aligned" fails="shapes-first"
def predict_shapes():
    return {
        **{"sum": (2,), "keepdim": (1, 4), "add": "error", "mul": "error", "sub": (2, 3), "squeeze": (28, 20)},
        **{"squeeze-0": (2, 5, 1), "unsqueeze": (3, 4, 1), "cat": (7, 3), "stack": (4, 3, 6), "permute": (4, 2, 3), "index": (8, 3)},
    }


# %% [markdown] mistake="shapes-left-aligned"
# Aligns the two shapes on the left when it applies the broadcasting rule.
#
# Your predictions for `add`, `mul` and `sub` all come from this. Part 1 of the rule says on which side the shapes are aligned, and as what
# a missing axis counts. Predict `torch.ones(3) + torch.ones(2, 3)` in that way, then run it.

# %% wrong="shapes-squeeze-anything" fails="shapes-axes"
def predict_shapes():
    return {
        **{"sum": (2,), "keepdim": (1, 4), "add": (4, 3), "mul": (6, 2, 5), "sub": "error", "squeeze": (28, 20)},
        **{"squeeze-0": (5, 1), "unsqueeze": (3, 4, 1), "cat": (7, 3), "stack": (4, 3, 6), "permute": (3, 4, 2), "index": (8, 1, 3)},
    }


# %% [markdown] mistake="shapes-squeeze-anything"
# Misses three rules about axes: `squeeze(0)`, `permute`, and a number in square brackets.
#
# When does `squeeze(0)` remove anything, what do the numbers in `permute` name, and what becomes of an axis at which one place is picked?
# The text before the table and the table answer all three. Predict `torch.ones(4, 1).squeeze(0)`, `torch.ones(5, 6, 7).permute(1, 2, 0)`
# and `torch.ones(5, 6)[:, 0]`, then run them.

# %% wrong="shapes-stack-in-front" fails="shapes-joined"
def predict_shapes():
    return {
        **{"sum": (2,), "keepdim": (1, 4), "add": (4, 3), "mul": (6, 2, 5), "sub": "error", "squeeze": (28, 20)},
        **{"squeeze-0": (2, 5, 1), "unsqueeze": (3, 4, 1), "cat": (7, 3), "stack": (3, 4, 6), "permute": (4, 2, 3), "index": (8, 3)},
    }


# %% [markdown] mistake="shapes-stack-in-front"
# Puts the new axis of `stack` in front, whatever `dim` says.
#
# You predict the number of stacked tensors as the first size. The line asks for another place than the first. Predict the shape of
# `torch.stack([torch.ones(2, 5)] * 4, dim=2)`, run it, and compare the place of the 4 with `dim`.

# %% wrong="shapes-cat-stacks" fails="shapes-joined"
def predict_shapes():
    return {
        **{"sum": (2,), "keepdim": (1, 4), "add": (4, 3), "mul": (6, 2, 5), "sub": "error", "squeeze": (28, 20)},
        **{"squeeze-0": (2, 5, 1), "unsqueeze": (3, 4, 1), "cat": "error", "stack": (4, 3, 6), "permute": (4, 2, 3), "index": (8, 3)},
    }


# %% [markdown] mistake="shapes-cat-stacks"
# Expects `cat` to refuse tensors whose shapes are not equal.
#
# Equal shapes are what `stack` needs. `cat` joins along an axis that is there already, and the table shows an example in which the sizes
# along it differ. Which axis is it if none is named? Predict `torch.cat([torch.ones(1, 2), torch.ones(3, 2)])`, then run it.

# %% wrong="shapes-new-axis-in-front" fails="shapes-axes"
def predict_shapes():
    return {
        **{"sum": (2,), "keepdim": (1, 4), "add": (4, 3), "mul": (6, 2, 5), "sub": "error", "squeeze": (28, 20)},
        **{"squeeze-0": (2, 5), "unsqueeze": (1, 3, 4), "cat": (7, 3), "stack": (4, 3, 6), "permute": (4, 2, 3), "index": (8, 3)},
    }


# %% [markdown] mistake="shapes-new-axis-in-front"
# Works at the wrong end: `unsqueeze(-1)` in front, `squeeze(0)` on the last axis.
#
# You put the new axis of `unsqueeze(-1)` in front, and let `squeeze(0)` remove the 1 at the end, for which nobody asked. Axes are counted
# from 0 at the front, and from -1 at the end. Predict `torch.ones(2, 3).unsqueeze(-1)` and `torch.ones(4, 1).squeeze(0)`, then run them.

# %% wrong="shapes-stack-joins" fails="shapes-axes shapes-joined"
def predict_shapes():
    return {
        **{"sum": (2,), "keepdim": (1, 4), "add": (4, 3), "mul": (6, 2, 5), "sub": "error", "squeeze": (28, 20)},
        **{"squeeze-0": (2, 5, 1), "unsqueeze": (3, 4, 1), "cat": (7, 3), "stack": (12, 6), "permute": (3, 4, 2), "index": (8, 3)},
    }


# %% [markdown] mistake="shapes-stack-joins"
# Takes `stack` for `cat`, and reads the order in `permute` the wrong way round.
#
# You predict two axes for stacked tensors, but `stack` makes no axis longer. For `permute` ask whether its numbers say where each old axis
# goes, or which old axis stands at each new place. `torch.ones(5, 6, 7).permute(1, 2, 0)` tells the two readings apart.

# %% wrong="shapes-lists" fails="shapes-first shapes-axes shapes-joined"
def predict_shapes():
    return {
        **{"sum": [2], "keepdim": [1, 4], "add": [4, 3], "mul": [6, 2, 5], "sub": "error", "squeeze": [28, 20]},
        **{"squeeze-0": [2, 5, 1], "unsqueeze": [3, 4, 1], "cat": [7, 3], "stack": [4, 3, 6], "permute": [4, 2, 3], "index": [8, 3]},
    }


# %% [markdown] mistake="shapes-lists"
# Writes the shapes as lists instead of tuples.
#
# In Python `[2, 3] == (2, 3)` is `False`, so every shape counts as a miss although its sizes are right. The statement says of which kind
# the values must be, and how a shape with one axis is written.

# %% right="shapes-zip"
def predict_shapes():
    shapes = [(2,), (1, 4), (4, 3), (6, 2, 5), "error", (28, 20), (2, 5, 1), (3, 4, 1), (7, 3), (4, 3, 6), (4, 2, 3), (8, 3)]
    return dict(zip(PUZZLES, shapes, strict=True))


# %% [markdown] explanation="shapes"
# Unequal sizes everywhere: with `(3, 3)` most mistakes would have the right shape.
# The most expensive two in practice are `squeeze()`, which removes the axis of a batch of one, and left alignment: shapes are compared from the right.
# `squeeze(0)` on a size other than 1 does nothing and says nothing.
# The exercise takes the reader's predictions, not a function that computes them: a rule that has been said aloud and was wrong is remembered.

# %% [markdown]
# **A good place to rest.** What follows is shorter: words, gradients, some notes to correct, and the real task.
#
# ## There is no tensor of strings
#
# We try:

# %%
for attempt in (["cat", "horse"], [[3, 1, 20], [8, 15]]):
    try:
        torch.tensor(attempt)
    except ValueError as error:
        print(f"{attempt}: ValueError: {error}")

# %% [markdown]
# A tensor does arithmetic, and all its elements have one size in memory; that is what makes the strides work.
# Strings have neither arithmetic nor one length.
# The second attempt fails for the length alone: rows of a tensor are equally long.
#
# So words become whole numbers, **ids** (编号), one for each character (in later chapters, for each word), and short rows are filled up at the end with an id that means "nothing here".
# The filling is the **padding** (填充).
# Its id must not be that of any character: a program that gives `a` the id 0 and pads with 0 cannot tell `b` from `ba`.
# Python numbers the characters of the world with `ord`, and back with `chr`:

# %%
print([ord(c) for c in "cat"], [ord(c) for c in "张量"], chr(24352))

# %% [markdown]
# These ids are large and full of gaps; we number only the characters that occur.

# %% [markdown]
# ### Exercise 7: words as a tensor (5 points)
#
# Write `encode_strings(words)` for a list of at least one string. Strings may be empty.
# Return a tuple `(codes, alphabet)`.
#
# - `alphabet` is a string: every character that occurs in the words, once, in the order of `sorted`.
# - `codes` is an `int64` tensor of shape `(N, T)`: N words, and T the length of the longest.
#   Row i holds the ids of the characters of word i, from the left, then padding.
#   The first character of the alphabet has id 1, the next 2, and so on; 0 is the padding and nothing else.
#
# By hand: `encode_strings(["cab", "b"])` has the alphabet `"abc"` and the codes `[[3, 1, 2], [2, 0, 0]]`.
# If all words are empty, `alphabet` is `""` and `codes` has shape `(N, 0)`.
# Loops are allowed here.
#
# <details><summary>Hint 1</summary><code>"".join(words)</code> is one long string, and <code>set</code> of it holds every character once.</details>
# <details><summary>Hint 2</summary>Make every row a list of the same length before you call <code>torch.tensor</code>; lists can be added.</details>


# %% exercise="strings"
def encode_strings(words: list[str]) -> tuple[torch.Tensor, str]:
    """Return (codes (N, T), int64, padded with 0; alphabet): character k of the alphabet has id k + 1."""
    # BEGIN SOLUTION
    alphabet = "".join(sorted(set("".join(words))))
    ids = {c: k for k, c in enumerate(alphabet, start=1)}
    longest = max(len(word) for word in words)
    rows = [[ids[c] for c in word] + [0] * (longest - len(word)) for word in words]
    return torch.tensor(rows, dtype=torch.int64), alphabet
    # END SOLUTION


# %% check="strings-by-hand" points=1
got = encode_strings(["cab", "b"])
assert type(got) is tuple and len(got) == 2, (
    f"encode_strings must return a tuple of two, (codes, alphabet), got {type(got).__name__}. NoneType: `return` is missing"
)
codes, alphabet = got
assert type(alphabet) is str, (
    f"the second of (codes, alphabet) must be a string, got {type(alphabet).__name__}. Tensor: the codes come first; list: join it"
)
assert alphabet == "abc", f"the alphabet of 'cab' and 'b' is 'abc', got {alphabet!r}: each character once, in the order of sorted"
assert type(codes) is torch.Tensor and codes.dtype == torch.int64, (
    f"the codes must be an int64 tensor, got {codes.dtype if type(codes) is torch.Tensor else type(codes).__name__}"
)
assert codes.tolist() == [[3, 1, 2], [2, 0, 0]], (
    f"'cab', 'b' should give [[3, 1, 2], [2, 0, 0]], got {codes.tolist()}. "
    f"[0, 0, 2]: padding belongs at the end. [2, 0, 1] first: ids begin at 1"
)
got = encode_strings(["hgfedcba"])
assert type(got) is tuple and got[1:] == ("abcdefgh",), (
    f"'hgfedcba' must have the alphabet 'abcdefgh', got {got[1:] if type(got) is tuple else got!r}: a set has no order of its own"
)
print("passed: two words by hand")

# %% check="strings-pad" points=1
got = encode_strings(["b", "ba", "", "B b"])
assert type(got) is tuple and len(got) == 2, f"encode_strings must return two things, codes and alphabet, got {got!r}"
codes, alphabet = got
assert type(codes) is torch.Tensor and type(alphabet) is str, (
    f"codes is a tensor and alphabet a string, in this order, got {type(codes).__name__} and {type(alphabet).__name__}"
)
assert alphabet == " Bab", (
    f"the alphabet of 'b', 'ba', '', 'B b' is ' Bab', got {alphabet!r}: each character once, in the order of sorted; "
    f"a space and a capital are characters too"
)
assert codes.tolist() == [[4, 0, 0], [4, 3, 0], [0, 0, 0], [2, 1, 4]], (
    f"'b', 'ba', '', 'B b' should give [[4, 0, 0], [4, 3, 0], [0, 0, 0], [2, 1, 4]], got {codes.tolist()}: "
    f"padding stands at the end and shares its id with no character, not even with the space"
)
got = encode_strings(["", ""])
assert type(got) is tuple and type(got[0]) is torch.Tensor, f"['', ''] must give a tuple (codes, alphabet), codes a tensor, got {got!r}"
assert got[0].dtype == torch.int64, (
    f"['', ''] should give int64 codes too, got {got[0].dtype}: without a number to look at, torch.tensor guesses"
)
print("passed: 'b', 'ba' and 'B b' can be told apart")

# %% hidden="strings-round-trip" points=2
texts = ["Tensor", "张量", "a", "shape 形状", "", "aaaaaaaaaaaa"]
numbers, letters = encode_strings(texts)
assert letters == "".join(sorted(set("".join(texts)))), f"the alphabet of {texts} must be sorted and without repeats, got {letters!r}"
assert tuple(numbers.shape) == (6, 12), f"six words, the longest of 12 characters: shape (6, 12), got {tuple(numbers.shape)}"
read_back = ["".join(letters[i - 1] for i in row if 0 < i <= len(letters)) for row in numbers.tolist()]
assert read_back == texts, f"read back with id k for character k - 1 the words should be {texts}, got {read_back}"
assert (numbers > 0).sum(dim=1).tolist() == [len(t) for t in texts], (
    f"each row has as many ids above 0 as its word has characters, got {(numbers > 0).sum(dim=1).tolist()}"
)
assert numbers.max().item() == len(letters), f"the last character has id {len(letters)}, the largest id is {numbers.max().item()}"

# %% hidden="strings-empty" points=1
none_at_all, no_letters = encode_strings(["", "", ""])
assert (tuple(none_at_all.shape), no_letters) == ((3, 0), ""), (
    f"three empty words: shape (3, 0) and alphabet '', got {tuple(none_at_all.shape)} and {no_letters!r}"
)
assert none_at_all.dtype == torch.int64, f"three empty words: dtype int64 too, got {none_at_all.dtype}"
lone, its_letters = encode_strings(["zz"])
assert (lone.tolist(), its_letters) == ([[1, 1]], "z"), f"'zz' alone: [[1, 1]] and 'z' expected, got {lone.tolist()} and {its_letters!r}"


# %% wrong="strings-pad-clash" fails="strings-by-hand strings-pad strings-round-trip strings-empty"
def encode_strings(words):
    alphabet = "".join(sorted(set("".join(words))))
    codes = torch.zeros(len(words), max(map(len, words)), dtype=torch.int64)
    for i, word in enumerate(words):
        for t, c in enumerate(word):
            codes[i, t] = alphabet.index(c)
    return codes, alphabet


# %% [markdown] mistake="strings-pad-clash"
# Gives the first character of the alphabet the id 0, which is also the padding.
#
# For `["b", "a", "ba"]` the rows of "b" and "ba" are both [1, 0], so the two words cannot be told apart. The statement says which id the
# first character has, and what 0 is for. With which number does your counting begin?

# %% wrong="strings-tensor-of-strings" fails="strings-by-hand strings-pad strings-round-trip strings-empty"
def encode_strings(words):
    return torch.tensor(words), "".join(sorted(set("".join(words))))


# %% [markdown] mistake="strings-tensor-of-strings"
# Hands the strings themselves to `torch.tensor`, which raises an error.
#
# `torch.tensor(["dog", "at"])` stops with a ValueError: there is no tensor of strings. Write the table of numbers for two short words on
# paper first. How does one character become its number, and one word a row?

# %% wrong="strings-not-padded" fails="strings-by-hand strings-pad strings-round-trip"
def encode_strings(words):
    alphabet = "".join(sorted(set("".join(words))))
    rows = [[alphabet.index(c) + 1 for c in word] for word in words]
    return torch.tensor(rows, dtype=torch.long), alphabet


# %% [markdown] mistake="strings-not-padded"
# Does not fill up short words, so the rows have different lengths and an error is raised.
#
# `["dog", "at"]` gives a row of three ids and one of two, and `torch.tensor` stops with a ValueError. Words of equal length hide the
# mistake. How many ids must each row have, and which id stands for "nothing here"?

# %% wrong="strings-first-seen" fails="strings-by-hand strings-pad strings-round-trip"
def encode_strings(words):
    ids = {}
    for c in "".join(words):
        ids.setdefault(c, len(ids) + 1)
    codes = torch.zeros(len(words), max(map(len, words)), dtype=torch.long)
    for i, word in enumerate(words):
        codes[i, : len(word)] = torch.tensor([ids[c] for c in word])
    return codes, "".join(ids)


# %% [markdown] mistake="strings-first-seen"
# Numbers the characters in the order in which they first occur instead of sorting them.
#
# For `["ba", "c"]` your alphabet is "bac" and b has id 1. The same words in another order, `["c", "ba"]`, get the alphabet "cba" and other
# ids. Which order does the statement ask for?

# %% wrong="strings-padded-left" fails="strings-by-hand strings-pad"
def encode_strings(words):
    alphabet = "".join(sorted(set("".join(words))))
    longest = max(map(len, words))
    rows = [[0] * (longest - len(w)) + [alphabet.index(c) + 1 for c in w] for w in words]
    return torch.tensor(rows, dtype=torch.long), alphabet


# %% [markdown] mistake="strings-padded-left"
# Puts the padding before the word instead of behind it.
#
# For `["dog", "at"]` the second row is [0, 1, 5], so the word begins at the second place. Words of equal length hide the mistake. From
# which side does the statement fill a row, and where is the room that is left over?

# %% wrong="strings-floats" fails="strings-by-hand strings-empty"
def encode_strings(words):
    alphabet = "".join(sorted(set("".join(words))))
    codes = torch.zeros(len(words), max(map(len, words)))
    for i, word in enumerate(words):
        for t, c in enumerate(word):
            codes[i, t] = alphabet.index(c) + 1
    return codes, alphabet


# %% [markdown] mistake="strings-floats"
# Returns the codes as floating-point numbers instead of `int64`.
#
# `["ba", "c"]` gives [[2.0, 1.0], [3.0, 0.0]]. Ids are used as places, and `alphabet[2.0]` is an error. Print `codes.dtype`: which of the
# functions that you call chose it?

# %% wrong="strings-cut" fails="strings-by-hand strings-pad strings-round-trip"
def encode_strings(words):
    alphabet = "".join(sorted(set("".join(words))))
    shortest = min(map(len, words))
    rows = [[alphabet.index(c) + 1 for c in w[:shortest]] for w in words]
    return torch.tensor(rows, dtype=torch.long), alphabet


# %% [markdown] mistake="strings-cut"
# Cuts all words to the length of the shortest instead of filling up the short ones.
#
# For `["dog", "at"]` the codes have shape (2, 2), and the g of "dog" is lost; one empty word would leave nothing at all. Read how the
# statement defines T. Can the words be read back from your codes?

# %% wrong="strings-empty-floats" fails="strings-pad strings-empty"
def encode_strings(words):
    alphabet = "".join(sorted(set("".join(words))))
    longest = max(map(len, words))
    return torch.tensor([[alphabet.index(c) + 1 for c in w] + [0] * (longest - len(w)) for w in words]), alphabet


# %% [markdown] mistake="strings-empty-floats"
# Lets PyTorch guess the dtype, which gives `float32` if all words are empty.
#
# As soon as there is one character all is right. `encode_strings([""])` has the right shape (1, 0) and the dtype `float32`, for an empty
# list shows no whole number from which to guess. Which part of your call leaves the choice to PyTorch?

# %% wrong="strings-lower" fails="strings-pad strings-round-trip"
def encode_strings(words):
    words = [w.lower() for w in words]
    alphabet = "".join(sorted(set("".join(words))))
    longest = max(map(len, words))
    rows = [[alphabet.index(c) + 1 for c in w] + [0] * (longest - len(w)) for w in words]
    return torch.tensor(rows, dtype=torch.long), alphabet


# %% [markdown] mistake="strings-lower"
# Turns capitals into small letters before it numbers the characters.
#
# For `["Aa", "a"]` the alphabet is "a" and the word "Aa" becomes [1, 1], which reads back as "aa". The statement asks for every character
# that occurs. Are A and a the same character to `ord`?

# %% wrong="strings-padded-with-spaces" fails="strings-pad strings-round-trip"
def encode_strings(words):
    alphabet = "".join(sorted(set("".join(words))))
    longest = max(map(len, words))
    rows = [[alphabet.find(c) + 1 for c in w.ljust(longest)] for w in words]
    return torch.tensor(rows, dtype=torch.long), alphabet


# %% [markdown] mistake="strings-padded-with-spaces"
# Fills up with spaces, so the padding gets the id of the space if the words contain one.
#
# `["a b", "a"]` gives the rows [2, 1, 3] and [2, 1, 1]: behind the second word stands the id of a real character. Without a space in the
# words nobody notices. What does the statement say about the id of the padding?

# %% right="strings-dictionary"
def encode_strings(words):
    letters = sorted({c for word in words for c in word})
    ids = {c: k for k, c in enumerate(letters, start=1)}
    codes = torch.zeros(len(words), max(map(len, words)), dtype=torch.long)
    for i, word in enumerate(words):
        for t, c in enumerate(word):
            codes[i, t] = ids[c]
    return codes, "".join(letters)


# %% [markdown] explanation="strings"
# The alphabet is part of the answer: without it nobody can read the codes back, and the same word would get other ids from another list.
# Sorting makes the ids independent of the order of the words.
# Id 0 belongs to the padding alone. If the first character also had it, "b" and "ba" would be the same row, and every mean, mask or loss that leaves out zeros would leave out characters.
# `dtype=torch.int64` is only seen when all words are empty: an empty list has no number from which to guess the type, and PyTorch takes float32.
# Later chapters call this a vocabulary, and give further ids a meaning: begin, end, unknown.

# %% [markdown]
# ### Which places are real?
#
# After padding, means and sums must not count the filled places.
# A **mask** (掩码) is a `bool` tensor that says which places are real.
# The figure shows six words as ids (here the place in the English alphabet; `pad_sequence` is PyTorch's way to fill up with zeros), and beside it their mask, taken from the ids themselves.

# %%
words = ["tensor", "axis", "view", "broadcast", "row", "mask"]
one_each = [torch.tensor([ord(c) - 96 for c in word]) for word in words]  # a is 1, z is 26
ids = torch.nn.utils.rnn.pad_sequence(one_each, batch_first=True)  # (6, 9)
fig, axes = plt.subplots(1, 2, figsize=(12, 3.9), sharey=True)
axes[0].imshow(ids, cmap="viridis")
for y_at, name in enumerate(words):
    for t, number in enumerate(ids[y_at].tolist()):
        text = f"{name[t]}\n{number}" if t < len(name) else "0"
        axes[0].text(t, y_at, text, ha="center", va="center", fontsize=9, color="black" if number > 12 else "white")
axes[1].imshow(ids > 0, cmap="gray", vmin=0, vmax=1)
axes[0].set(title="characters and their ids", yticks=range(6), xlabel="place t")
axes[0].set_yticklabels(words)
axes[1].set(title="white: real, black: padding", xlabel="place t")
plt.show()

# %% [markdown]
# Each white bar is as long as its word.
# Often the ids are no longer at hand, and only the lengths are known; the mask can be made from them.

# %% [markdown]
# ### Exercise 8: a mask from lengths (5 points)
#
# Write `sequence_mask(lengths, T)`: `lengths` is a tensor of whole numbers of shape `(N,)`, none negative; `T` is a Python integer, at least 1.
# Return a `bool` tensor of shape `(N, T)`, on the device of `lengths`: place `(i, t)` is `True` exactly if place $t$, counted from 0, belongs to a sequence of length `lengths[i]`.
# A length of 0 gives a row of `False`; a length of `T` or more gives a row of `True`.
#
# By hand: `sequence_mask(torch.tensor([2, 0, 3]), 4)` is
# `[[True, True, False, False], [False, False, False, False], [True, True, True, False]]`.
# No Python loop, and no assignment to indexed places.
#
# <details><summary>Hint 1</summary>A sequence of length 2 has the places 0 and 1. Which comparison of t and 2 is true for exactly these?</details>
# <details><summary>Hint 2</summary>As in <code>one_hot</code>: all places against all lengths, on the device of the input.</details>


# %% exercise="mask"
def sequence_mask(lengths: torch.Tensor, T: int) -> torch.Tensor:
    """Return (N, T), bool: True at the first lengths[i] places of row i; on the device of `lengths` (N,)."""
    # BEGIN SOLUTION
    return torch.arange(T, device=lengths.device) < lengths[:, None]
    # END SOLUTION


# %% check="mask-by-hand" points=1
got = sequence_mask(torch.tensor([2, 0, 3]), 4)
assert type(got) is torch.Tensor, (
    f"sequence_mask must return a tensor, got {type(got).__name__}. NoneType: `return` is missing; list: no .tolist()"
)
assert tuple(got.shape) == (3, 4), (
    f"3 lengths and T = 4 give shape (3, 4), got {tuple(got.shape)}: one row for each length; the columns are T, not the longest length"
)
assert got.dtype == torch.bool, f"a mask is bool, got {got.dtype}"
assert got.tolist() == [[True, True, False, False], [False] * 4, [True, True, True, False]], (
    f"lengths 2, 0, 3 should be true at 2, 0 and 3 places from the left, got {got.int().tolist()}. "
    f"One too many: <= for <. Exchanged: true where the padding is"
)
print("passed: lengths 2, 0 and 3")


# %% check="mask-device" points=1
def device_of_mask():
    try:
        mask = sequence_mask(torch.ones(3, dtype=torch.int64, device="meta"), 5)
        return str(mask.device) if isinstance(mask, torch.Tensor) else f"{type(mask).__name__}, not a tensor"
    except RuntimeError as error:
        if not str(error):  # not written yet
            raise
        return f"{type(error).__name__}: {error}"


found = device_of_mask()
assert found == "meta", f"lengths on the device meta must give a mask there, got {found}: " + (
    "what the function makes itself needs device=lengths.device"
    if "device" in found or found == "cpu"
    else "NoneType: `return` is missing"
    if "not a tensor" in found
    else "on meta no value can be read, and none is needed; the number of columns is T, not the longest length"
)
print("passed: the mask is where the lengths are")

# %% hidden="mask-long" points=1
longer = sequence_mask(torch.tensor([5, 3, 4, 2**40]), 4)
assert tuple(longer.shape) == (4, 4), f"T = 4 places, even if a length is greater: shape (4, 4), got {tuple(longer.shape)}"
assert longer.sum(dim=1).tolist() == [4, 3, 4, 4], (
    f"lengths 5, 3, 4 and 2**40 with T = 4: 4, 3, 4, 4 true places, got {longer.sum(1).tolist()}"
)
short = sequence_mask(torch.tensor([1, 0], dtype=torch.int32), 3)
assert short.tolist() == [[True, False, False], [False, False, False]], f"int32 lengths 1, 0 with T = 3: got {short.int().tolist()}"

# %% hidden="mask-sizes" points=2
given_lengths = [6, 1, 0, 7, 3]
for width in (1, 7, 9):
    made = sequence_mask(torch.tensor(given_lengths), width)
    assert made.dtype == torch.bool, f"lengths {given_lengths}, T = {width}: a bool tensor is expected, got {made.dtype}"
    by_loop = [[t < n for t in range(width)] for n in given_lengths]
    assert made.tolist() == by_loop, (
        f"lengths {given_lengths} and T = {width}: a loop over i and t gives {by_loop}, got {made.int().tolist()}"
    )
only = sequence_mask(torch.tensor([2]), 5)
assert only.tolist() == [[True, True, False, False, False]], f"a batch of one, length 2, T = 5: shape (1, 5) expected, got {only.tolist()}"


# %% wrong="mask-one-too-many" fails="mask-by-hand mask-long mask-sizes"
def sequence_mask(lengths, T):
    return torch.arange(T, device=lengths.device) <= lengths[:, None]


# %% [markdown] mistake="mask-one-too-many"
# Marks one place too many in each row.
#
# Length 1 with `T = 3` gives [True, True, False], and a length of 0 gives one `True`. Places are counted from 0: which is the last place of
# a sequence of length 1? Try your comparison with the place after it.

# %% wrong="mask-one-too-few" fails="mask-by-hand mask-long mask-sizes"
def sequence_mask(lengths, T):
    return torch.arange(1, T + 1, device=lengths.device) < lengths[:, None]


# %% [markdown] mistake="mask-one-too-few"
# Marks one place too few in each row.
#
# Length 1 with `T = 3` gives no `True` at all, and length 2 gives one. Print the numbers of the places that you compare with the lengths.
# From which number does the statement count?

# %% wrong="mask-cpu" fails="mask-device"
def sequence_mask(lengths, T):
    return torch.arange(T) < lengths[:, None]


# %% [markdown] mistake="mask-cpu"
# Makes its own tensor on the CPU, whatever the device of `lengths`.
#
# On the CPU the mask is right. Lengths on `meta` or on a graphics card meet a tensor that lives elsewhere, and a RuntimeError is raised.
# What does your function make itself, and where should it be made?

# %% wrong="mask-inverted" fails="mask-by-hand mask-long mask-sizes"
def sequence_mask(lengths, T):
    return torch.arange(T, device=lengths.device) >= lengths[:, None]


# %% [markdown] mistake="mask-inverted"
# Marks the padding instead of the real places.
#
# Length 1 with `T = 3` gives [False, True, True], and a length of 0 gives a row of `True`. Some libraries do use masks of that kind, so
# read what `True` means in this statement, and try your comparison for t = 0 and length 1.

# %% wrong="mask-transposed" fails="mask-by-hand mask-sizes"
def sequence_mask(lengths, T):
    return torch.arange(T, device=lengths.device)[:, None] < lengths


# %% [markdown] mistake="mask-transposed"
# Returns one column for each sequence instead of one row.
#
# Lengths 1 and 2 with `T = 3` give shape (3, 2). With as many lengths as places the shape looks right. Which of your two tensors should
# change from row to row, the places or the lengths? Write their shapes one below the other.

# %% wrong="mask-longest" fails="mask-by-hand mask-device mask-long mask-sizes"
def sequence_mask(lengths, T):
    return torch.arange(int(lengths.max()), device=lengths.device) < lengths[:, None]


# %% [markdown] mistake="mask-longest"
# Takes the number of columns from the longest sequence instead of from `T`.
#
# With `T = 3` the lengths 1 and 2 give two columns, and a length of 5 gives five; neither fits a padded tensor with three places. On `meta`
# no value can be read, so it fails there. Which argument says how wide the table is?

# %% wrong="mask-numbers" fails="mask-by-hand mask-sizes"
def sequence_mask(lengths, T):
    return (torch.arange(T, device=lengths.device) < lengths[:, None]).long()


# %% [markdown] mistake="mask-numbers"
# Returns numbers, 1 and 0, instead of `True` and `False`.
#
# As an index the two differ: with `x = (7, 8, 9)` and the row [1, 0, 0], `x[row]` picks places 1, 0 and 0 and gives 8, 7, 7. Print the
# dtype of your result. What does a comparison give before you change it?

# %% right="mask-cumsum"
def sequence_mask(lengths, T):
    counts = torch.ones(len(lengths), T, dtype=torch.long, device=lengths.device).cumsum(dim=1)
    return counts <= lengths.unsqueeze(-1)


# %% right="mask-not-reached"
def sequence_mask(lengths, T):
    places = torch.arange(T, device=lengths.device).expand(lengths.numel(), T)
    return ~(places >= lengths.reshape(-1, 1))


# %% [markdown] explanation="mask"
# `(T,)` against `(N, 1)` broadcasts to `(N, T)`.
# Places are counted from 0, so the last real one is `lengths - 1`, and `<` is right; `<=` lets one padded place through, which usually shows as a slightly wrong mean and never as an error.
# `T` must come from outside: the longest sequence of this batch may be shorter than the padded tensor.
# Attention (chapter 23) needs this mask, and there the meaning of `True` differs from function to function: say it in the docstring.

# %% [markdown]
# ## `grad` and `data`
#
# A tensor can remember how it was computed.
# If it is made with `requires_grad=True`, every operation on it is recorded, and `backward()` on a single number that came out of it works out the **gradient** (梯度): how fast that number rises when each element rises a little.
# The result is kept in the attribute `grad`.
# Chapter 3 derives such numbers by hand, and chapter 4 builds the machine; here we only read them.

# %%
x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
total = x.pow(2).sum()
total.backward()
print("grad:", x.grad.tolist())
nudged = torch.tensor([1.0, 2.01, 3.0]).pow(2).sum()
print(f"rise when x[1] rises by 0.01: {nudged.item() - total.item():.2f}")

# %% [markdown]
# The gradient at place 1 is 4: a rise of 0.01 there makes the sum rise by about 4 · 0.01.
#
# Sometimes we want the numbers without the record.
# Old notes take the attribute `data` for that, and wrap tensors in `Variable`.
# Both come from the years before 2018. `Variable` does nothing any more:

# %%
print(type(torch.autograd.Variable(torch.ones(1))))

# %% [markdown]
# `data` still works, and it is dangerous: it shares the numbers but hides changes from the record.
# `detach()` shares them too, but a change is noticed.
# The gradient of $x^2$ at 3 is 6, and `backward` needs the value of $x$ for it.
# We overwrite that value behind its back, once through each.

# %%
for way in ("data", "detach"):
    x = torch.tensor([3.0], requires_grad=True)
    square_of_x = x * x
    numbers = x.data if way == "data" else x.detach()
    numbers.zero_()
    try:
        square_of_x.sum().backward()
        print(f"{way}: gradient {x.grad.item():g}, and no complaint")
    except RuntimeError as error:
        print(f"{way}: RuntimeError: {str(error).partition(':')[0]}")

# %% [markdown]
# Through `data` the answer 0 is wrong, and nobody says so.
# Through `detach()` PyTorch refuses.
#
# | wanted | write |
# |---|---|
# | one Python number, for printing | `x.item()` |
# | the numbers, without the record | `x.detach()`; followed by `.clone()` if they will be changed |
# | change a tensor that has `requires_grad` | `with torch.no_grad():` around the change |
#
# In `with torch.no_grad():` nothing is recorded; chapter 5 improves the numbers in a model that way.

# %%
weight = torch.tensor([1.0, 2.0], requires_grad=True)
weight.sum().backward()
with torch.no_grad():
    weight.sub_(0.1 * weight.grad)
print([round(w, 2) for w in weight.tolist()], weight.requires_grad)

# %% [markdown]
# ### Broadcasting, backwards
#
# A `bias`, numbers that are added to every row, has shape `(3,)`; it is added to a table of shape `(2, 3)`. What is its gradient?

# %%
bias = torch.zeros(3, requires_grad=True)
weights = torch.tensor([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]])
((torch.zeros(2, 3) + bias) * weights).sum().backward()
print(bias.grad.tolist())

# %% [markdown]
# Broadcasting used each element of `bias` in two rows.
# If `bias[0]` rises by 1, the result rises by 1 through the first row and by 10 through the second, together 11.
# So the gradient of the stretched `(2, 3)` table, here `weights`, is **summed over the copies**.
# This is the other half of the rule: what broadcasting copies on the way forward is added up on the way back.

# %% [markdown]
# ### Exercise 9: undo a broadcast (5 points)
#
# Write `unbroadcast(g, shape)`.
# A tensor of shape `shape` was broadcast to the shape of `g`, which holds one number for each copy.
# Return a tensor of shape `shape`: each element is the sum of `g` over all its copies.
# `shape` is a tuple that can be broadcast to `tuple(g.shape)`: it may lack axes on the left, and have size 1 where `g` has more. `()` is allowed.
# `g` holds floating-point numbers; it is not changed, and its dtype stays. If nothing was stretched the result has the numbers of `g`; it may be `g` itself.
#
# By hand: for `g = [[1, 2, 3], [10, 20, 30]]`
#
# - `unbroadcast(g, (3,))` is `[11, 22, 33]`,
# - `unbroadcast(g, (2, 1))` is `[[6], [60]]`,
# - `unbroadcast(g, ())` is `66`.
#
# Do not use `sum_to_size` or autograd (`backward`, `grad`): they are what this function does inside. A loop over the axes is fine.
#
# <details><summary>Hint 1</summary>Two things can have happened: new axes on the left, and sizes of 1 that were stretched. Which of them must disappear, and which must stay with size 1?</details>
# <details><summary>Hint 2</summary>As many times as <code>g</code> has more axes than <code>shape</code>, sum over axis 0. Then go through <code>shape</code> with <code>enumerate</code>.</details>


# %% exercise="unbroadcast"
def unbroadcast(g: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Sum `g` over the copies that broadcasting made of a tensor of shape `shape`; the result has that shape."""
    # BEGIN SOLUTION
    for _ in range(g.dim() - len(shape)):
        g = g.sum(dim=0)
    for axis, size in enumerate(shape):
        if size == 1:
            g = g.sum(dim=axis, keepdim=True)
    return g
    # END SOLUTION


# %% check="unbroadcast-by-hand" points=1
def summed_to(shape):
    try:
        return unbroadcast(torch.tensor([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]]), shape)
    except IndexError as problem:
        return f"IndexError: {problem}"


got = [summed_to((3,)), summed_to(())]
for shape, summed in (((3,), got[0]), ((), got[1])):
    assert type(summed) is not str, (
        f"unbroadcast(g, {shape}) for g of shape (2, 3) gave {summed}. After a sum without keepdim the next axis is axis 0 again"
    )
assert type(got[0]) is torch.Tensor, (
    f"unbroadcast must return a tensor, got {type(got[0]).__name__}. NoneType: `return` is missing; list: no .tolist()"
)
assert got[0].tolist() == [11.0, 22.0, 33.0], (
    f"unbroadcast(g, (3,)) should add the two rows, [11, 22, 33], got {got[0].tolist()}. "
    f"[5.5, 11, 16.5] is their mean, [1, 2, 3] only the first copy, [6, 60] the other axis"
)
assert type(got[1]) is torch.Tensor, f"unbroadcast(g, ()) must return a tensor, got {type(got[1]).__name__}. float: no .item()"
assert got[1].shape == () and got[1].item() == 66.0, f"unbroadcast(g, ()) should be 66 with shape (), got {got[1].tolist()}"
print("passed: axes on the left are summed away")


# %% check="unbroadcast-size-one" points=1
def sum_of_all(ones):
    try:
        return unbroadcast(torch.tensor([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]]), ones).tolist()
    except IndexError as problem:
        return f"IndexError: {problem}"


g_ones = torch.tensor([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]])
column_of_sums = unbroadcast(g_ones, (2, 1))
assert type(column_of_sums) is torch.Tensor, f"unbroadcast must return a tensor, got {type(column_of_sums).__name__}"
assert tuple(column_of_sums.shape) == (2, 1), (
    f"unbroadcast(g, (2, 1)) must have shape (2, 1), got {tuple(column_of_sums.shape)}: a size of 1 was stretched too, and stays an axis"
)
assert column_of_sums.tolist() == [[6.0], [60.0]], f"each row should be summed, [[6], [60]], got {column_of_sums.tolist()}"
all_summed = [sum_of_all((1,)), sum_of_all((1, 1))]
assert all_summed == [[66.0], [[66.0]]], (
    f"unbroadcast(g, (1,)) and unbroadcast(g, (1, 1)) should be [66] and [[66]], got {all_summed}. First miss: axis 0 of shape is axis 0 "
    f"of g only after the further axes on the left are gone. Second: a sum without keepdim moves the axes behind it"
)
print("passed: an axis of size 1 is summed and kept")

# %% hidden="unbroadcast-torch" points=2
counted = torch.arange(120.0, dtype=torch.float64).reshape(4, 2, 3, 5)
for target in ((5,), (1, 5), (3, 1), (2, 1, 1), (1, 2, 1, 5), (4, 1, 3, 1), (1, 1, 1, 1), (1,), (), (4, 2, 3, 5), (2, 3, 5)):
    summed = unbroadcast(counted, target)
    assert tuple(summed.shape) == target, f"g of shape (4, 2, 3, 5), shape={target}: the result has shape {tuple(summed.shape)}"
    assert_close(
        summed,
        counted.sum_to_size(target),
        msg=lambda m, target=target: f"g of shape (4, 2, 3, 5), shape={target}: not the sum over the copies\n{m}",
    )


# %% hidden="unbroadcast-gradient" points=1
def given_back():
    upstream = torch.tensor([[[1.0, -2.0]], [[4.0, 8.0]], [[16.0, 32.0]]])  # (3, 1, 2)
    before = upstream.clone()
    found = [unbroadcast(upstream, (1, 2)), unbroadcast(upstream, torch.Size([3, 1, 1])), unbroadcast(upstream, (3, 1, 2))]
    return found, (upstream - before).abs().sum().item()


sums, drift = given_back()
for shape_wanted, summed in zip(((1, 2), (3, 1, 1), (3, 1, 2)), sums, strict=True):
    leaf = torch.zeros(shape_wanted, requires_grad=True)
    leaf.expand(3, 1, 2).backward(torch.tensor([[[1.0, -2.0]], [[4.0, 8.0]], [[16.0, 32.0]]]))
    assert_close(
        summed,
        leaf.grad,
        msg=lambda m, shape_wanted=shape_wanted, summed=summed, leaf=leaf: (
            f"g of shape (3, 1, 2), shape={shape_wanted}: autograd gives {leaf.grad.tolist()}, got {summed.tolist()}"
        ),
    )
assert drift == 0, "g must not be changed"


# %% wrong="unbroadcast-forgets-ones" fails="unbroadcast-size-one unbroadcast-torch unbroadcast-gradient"
def unbroadcast(g, shape):
    while g.dim() > len(shape):
        g = g.sum(dim=0)
    return g


# %% [markdown] mistake="unbroadcast-forgets-ones"
# Does not sum over axes that have size 1 in `shape`.
#
# For `g` of shape (3, 2) and `shape` (3, 1) you return all six numbers. A size of 1 was stretched too, so here every element has two
# copies. Compare the shape of your result with `shape`, place by place.

# %% wrong="unbroadcast-forgets-left" fails="unbroadcast-by-hand unbroadcast-torch unbroadcast-gradient"
def unbroadcast(g, shape):
    for d, n in enumerate(shape):
        if n == 1:
            g = g.sum(dim=d, keepdim=True)
    return g


# %% [markdown] mistake="unbroadcast-forgets-left"
# Does not sum away the axes on the left that `shape` lacks.
#
# For `g` of shape (3, 2) and `shape` (2,) you return three rows, and for `()` the whole of `g`. Broadcasting made copies along these axes
# as well. How do you see that `g` has more axes than `shape`, and what should become of them?

# %% wrong="unbroadcast-drops-ones" fails="unbroadcast-size-one unbroadcast-torch unbroadcast-gradient"
def unbroadcast(g, shape):
    while g.dim() > len(shape):
        g = g.sum(dim=0)
    ones = [d for d, n in enumerate(shape) if n == 1]
    return g.sum(dim=ones) if ones else g


# %% [markdown] mistake="unbroadcast-drops-ones"
# Sums over the axes of size 1, but lets them disappear.
#
# For `g = [[1, 2], [3, 4], [5, 6]]` and `shape` (3, 1) the sums 3, 7, 11 are right, but they come in shape (3,). The next operation would
# lay them under the columns. Hint 1 asks which axes must go and which must stay.

# %% wrong="unbroadcast-mean" fails="unbroadcast-by-hand unbroadcast-size-one unbroadcast-torch unbroadcast-gradient"
def unbroadcast(g, shape):
    while g.dim() > len(shape):
        g = g.mean(dim=0)
    for d, n in enumerate(shape):
        if n == 1:
            g = g.mean(dim=d, keepdim=True)
    return g


# %% [markdown] mistake="unbroadcast-mean"
# Takes the mean over the copies instead of the sum.
#
# For `g = [[1, 2], [3, 4], [5, 6]]` and `shape` (2,) you return [3, 4], a third of what it should be. If an element that is used in three
# rows rises by 1, do the effects through the three rows add up or average out? The section on `bias` works it out.

# %% wrong="unbroadcast-one-copy" fails="unbroadcast-by-hand unbroadcast-size-one unbroadcast-torch unbroadcast-gradient"
def unbroadcast(g, shape):
    while g.dim() > len(shape):
        g = g[0]
    for d, n in enumerate(shape):
        if n == 1:
            g = g.narrow(d, 0, 1)
    return g


# %% [markdown] mistake="unbroadcast-one-copy"
# Takes the number of the first copy and ignores the others.
#
# For `g = [[1, 2], [3, 4], [5, 6]]` and `shape` (2,) you return [1, 2]; change any of the other four numbers of `g` and your result stays
# the same. What does the statement do with the copies of one element?

# %% wrong="unbroadcast-from-the-right" fails="unbroadcast-by-hand unbroadcast-torch unbroadcast-gradient"
def unbroadcast(g, shape):
    while g.dim() > len(shape):
        g = g.sum(dim=-1)
    for d, n in enumerate(shape):
        if n == 1:
            g = g.sum(dim=d, keepdim=True)
    return g


# %% [markdown] mistake="unbroadcast-from-the-right"
# Sums away the axes on the right, although broadcasting adds axes on the left.
#
# For `g = [[1, 2], [3, 4], [5, 6]]` and `shape` (2,) you return three numbers, 3, 7 and 11. With a square `g` the shape looks right and the
# numbers are those of the other axis. On which side does the broadcasting rule align two shapes?

# %% wrong="unbroadcast-ones-first" fails="unbroadcast-size-one unbroadcast-torch"
def unbroadcast(g, shape):
    for d, n in enumerate(shape):
        if n == 1:
            g = g.sum(dim=d, keepdim=True)
    while g.dim() > len(shape):
        g = g.sum(dim=0)
    return g


# %% [markdown] mistake="unbroadcast-ones-first"
# Handles the sizes of 1 while the extra axes on the left are still there, and sums wrong axes.
#
# For `g` of shape (3, 2) and `shape` (1,) you return two numbers instead of one, because place 0 of `shape` was taken for axis 0 of `g`.
# Write the two shapes one below the other, aligned on the right: when do equal numbers mean the same axis?

# %% wrong="unbroadcast-axes-move" fails="unbroadcast-size-one unbroadcast-torch"
def unbroadcast(g, shape):
    while g.dim() > len(shape):
        g = g.sum(dim=0)
    for d, n in enumerate(shape):
        if n == 1:
            g = g.sum(dim=d)
    return g.reshape(shape)


# %% [markdown] mistake="unbroadcast-axes-move"
# Lets each summed axis disappear at once, so the axes behind it move to other places.
#
# For a 3 × 2 `g` and `shape` (1, 1) you get an IndexError: after the first sum there is no axis 1 any more. With a single size of 1 it
# works. Print the shape of `g` after each step of your loop.

# %% wrong="unbroadcast-all-axes" fails="unbroadcast-torch unbroadcast-gradient"
def unbroadcast(g, shape):
    extra = [1] * (g.dim() - len(shape)) + list(shape)
    axes = [d for d, (n, m) in enumerate(zip(extra, g.shape, strict=True)) if n != m]
    return g.sum(dim=axes).reshape(shape)


# %% [markdown] mistake="unbroadcast-all-axes"
# Sums over everything if nothing was stretched.
#
# For `g` of shape (3, 2) and `shape` (3, 2) there is no axis to sum over, but one number is left, and an error follows. PyTorch's `sum`
# takes an empty list of axes to mean all of them. What does the statement say about this case?

# %% right="unbroadcast-reshape"
def unbroadcast(g, shape):
    aligned = [1] * (g.dim() - len(shape)) + list(shape)
    for d, n in enumerate(aligned):
        if n < g.shape[d]:
            g = g.sum(dim=d, keepdim=True)
    return g.reshape(shape)


# %% [markdown] survives="unbroadcast"
# - `for axis, size in reversed(list(enumerate(shape))):`: keepdim leaves the places of the axes alone, so their order makes no difference

# %% [markdown] explanation="unbroadcast"
# New axes on the left are summed away, stretched sizes are summed and kept: the two halves of the broadcasting rule, in reverse.
# The first loop can always sum over axis 0, because after each sum the next axis moves there.
# The mistake that costs most is the forgotten size 1: the result has the shape of g, is broadcast once more in the next operation, and nothing complains.
# `g.sum(dim=[])` sums over *all* axes, not over none: a version that collects the axes in a list must not call it with an empty one.
# Every autograd engine has this function; chapter 4 needs it for the bias.

# %% [markdown]
# ## Correct the notes
#
# Each program below begins with a sentence from notes that is wrong or half true.
# Read it, decide what `result` will be, and only then run it with `run_program(NOTES["…"])`.

# %% setup="notes-programs"
NOTES = {
    "axis": """# note: dim=1: columns are dim 0, rows dim 1
table = torch.tensor([[1, 2, 3], [4, 5, 6]])
result = table.sum(dim=1).tolist()
""",
    "constructor": """# note: torch.Tensor and torch.tensor are two spellings of one function
result = (str(torch.tensor([1, 2]).dtype), str(torch.Tensor([1, 2]).dtype), len(torch.Tensor(3)))
""",
    "slice": """# note: a slice of a tensor is a new tensor, as with lists
x = torch.tensor([0, 1, 2, 3])
part = x[1:3]
part[0] = 9
result = x.tolist()
""",
    "bytes": """# note: photo + 100 makes a photo brighter by 100
photo = torch.tensor([100, 200], dtype=torch.uint8)
result = (photo + 100).tolist()
""",
    "view": """# note: view(3, 2) turns rows into columns, as the transpose does
x = torch.tensor([[1, 2, 3], [4, 5, 6]])
result = (x.view(3, 2).tolist(), x.T.tolist())
""",
    "variable": """# note: only a Variable has a grad, a Tensor has not
x = torch.tensor([5.0], requires_grad=True)
(x * x).sum().backward()
result = (type(torch.autograd.Variable(x)).__name__, x.grad.tolist())
""",
    "data": """# note: x.data is the safe way to change a tensor that has requires_grad
x = torch.tensor([2.0, 3.0], requires_grad=True)
y = (x * x).sum()
x.data[0] = 10.0
y.backward()
result = x.grad.tolist()
""",
    "detach": """# note: detach() gives a copy that can be changed without effect on x
x = torch.tensor([1.0, 2.0], requires_grad=True)
y = x.detach()
y[1] = 7.0
result = x.tolist()
""",
}


def run_program(program: str):
    """Run `program` and return what it called `result`."""
    scope: dict = {"torch": torch}
    exec(program, scope)
    return scope["result"]


# %% [markdown]
# ### Exercise 10: what really happens (5 points)
#
# Write `corrected()`: return a dictionary with one entry for each key of `NOTES`, the `result` that you predict for its program: the same values, lists as lists and tuples as tuples.
# Write the values down; do not run the programs inside `corrected`.
# PyTorch is the judge, and for each miss the checks name the rule. The visible check looks at the first four.
# By hand: for a program `x = torch.zeros(2)` followed by `x.add_(1)` and `result = (x.tolist(), x.dim())` the entry would be `([1.0, 1.0], 1)`.
#
# <details><summary>Hint 1</summary>For each program ask: which tensors share one line of memory?</details>
# <details><summary>Hint 2</summary>The gradient of the sum of squares is two times the value that x has when <code>backward</code> runs.</details>


# %% exercise="notes"
def corrected() -> dict:
    """Return {key of NOTES: the result that its program really has}."""
    # BEGIN SOLUTION
    return {
        "axis": [6, 15],
        "constructor": ("torch.int64", "torch.float32", 3),
        "slice": [0, 9, 2, 3],
        "bytes": [200, 44],
        "view": ([[1, 2], [3, 4], [5, 6]], [[1, 4], [2, 5], [3, 6]]),
        "variable": ("Tensor", [10.0]),
        "data": [20.0, 6.0],
        "detach": [1.0, 7.0],
    }
    # END SOLUTION


# %% check="notes-tensors" points=2
predicted = corrected()
assert type(predicted) is dict, f"corrected must return a dictionary, got {type(predicted).__name__}. NoneType: is `return` missing?"
rules = {
    "axis": "shape[0] counts the rows and shape[1] the columns; dim=1 disappears, and each row keeps its sum",
    "constructor": "torch.tensor keeps the type of its values; torch.Tensor makes float32, and given a number makes so many elements",
    "slice": "a slice is a view: it shares its numbers with the original, unlike a slice of a list",
    "bytes": "uint8 begins again at 0 after 255: 300 becomes 300 - 256",
}
misses = []
for key, rule in rules.items():
    guess, truth = predicted.get(key, "no prediction"), run_program(NOTES[key])
    if type(guess) is not type(truth) or guess != truth:
        misses.append(f"{key!r}: you predicted {guess!r}, PyTorch gives {truth!r}. The rule: {rule}")
assert not misses, "\n".join([f"{len(misses)} of 4 missed", *misses])
print("passed: four notes about tensors are corrected")

# %% hidden="notes-memory" points=1
for key, reason in (
    ("view", "view fills the new shape in the order of the memory; only T, transpose and permute move axes"),
    ("detach", "detach shares the numbers, and only the record is left behind; a copy needs clone"),
):
    prediction, real = corrected().get(key, "nothing"), run_program(NOTES[key])
    assert type(prediction) is type(real) and prediction == real, f"{key!r}: you predicted {prediction!r}, not {real!r}. The rule: {reason}"

# %% hidden="notes-gradients" points=2
for key, reason in (
    ("variable", "Variable returns a plain tensor; every tensor made with requires_grad=True gets a grad, here 2 * 5"),
    ("data", "a change through data is not noticed: backward takes 2 * 10 for the overwritten element, where y was made with 2"),
):
    entry, real = corrected().get(key, "nothing"), run_program(NOTES[key])
    assert type(entry) is type(real) and entry == real, f"{key!r}: you wrote {entry!r}, PyTorch says {real!r}. The rule: {reason}"


# %% wrong="notes-believed" fails="notes-tensors notes-memory notes-gradients"
def corrected():
    return dict(
        axis=[5, 7, 9],
        constructor=("torch.int64", "torch.int64", 1),
        slice=[0, 1, 2, 3],
        bytes=[200, 255],
        view=([[1, 4], [2, 5], [3, 6]], [[1, 4], [2, 5], [3, 6]]),
        variable=("Variable", [10.0]),
        data=[4.0, 6.0],
        detach=[1.0, 2.0],
    )


# %% [markdown] mistake="notes-believed"
# Predicts what the notes say instead of what the programs do.
#
# All eight entries follow the first lines, and each of these sentences is wrong or half true. Cover the note and follow the program: which
# dtype computes, which axis disappears, which tensors share their memory? The chapter demonstrates all of these cases.

# %% wrong="notes-axis-reversed" fails="notes-tensors"
def corrected():
    return dict(
        axis=[5, 7, 9],
        constructor=("torch.int64", "torch.float32", 3),
        slice=[0, 9, 2, 3],
        bytes=[200, 44],
        view=([[1, 2], [3, 4], [5, 6]], [[1, 4], [2, 5], [3, 6]]),
        variable=("Tensor", [10.0]),
        data=[20.0, 6.0],
        detach=[1.0, 7.0],
    )


# %% [markdown] mistake="notes-axis-reversed"
# Sums over the wrong axis in `axis`, as the exchanged rows and columns of the note suggest.
#
# You predict [5, 7, 9], three sums for a table of two rows. Which size of the shape (2, 3) does `dim=1` count, and what does the sentence
# in bold letters say about the axis that is named?

# %% wrong="notes-copies" fails="notes-tensors notes-memory"
def corrected():
    return dict(
        axis=[6, 15],
        constructor=("torch.int64", "torch.float32", 3),
        slice=[0, 1, 2, 3],
        bytes=[200, 44],
        view=([[1, 2], [3, 4], [5, 6]], [[1, 4], [2, 5], [3, 6]]),
        variable=("Tensor", [10.0]),
        data=[20.0, 6.0],
        detach=[1.0, 2.0],
    )


# %% [markdown] mistake="notes-copies"
# Takes a slice and the result of `detach()` for copies with numbers of their own.
#
# You predict that `x` keeps its values when `part` or `y` is changed. So it is with slices of lists. Which tensors "see the change" in the
# section on views, and what does `detach()` leave behind: the numbers, or the record?

# %% wrong="notes-data-is-safe" fails="notes-gradients"
def corrected():
    return dict(
        axis=[6, 15],
        constructor=("torch.int64", "torch.float32", 3),
        slice=[0, 9, 2, 3],
        bytes=[200, 44],
        view=([[1, 2], [3, 4], [5, 6]], [[1, 4], [2, 5], [3, 6]]),
        variable=("Tensor", [10.0]),
        data=[4.0, 6.0],
        detach=[1.0, 7.0],
    )


# %% [markdown] mistake="notes-data-is-safe"
# Believes that a change through `x.data` has no effect on the gradient.
#
# You predict [4, 6], from the values that `x` had when `y` was computed. But `backward` reads values of `x` too. Look at the cell that does
# the same with x = 3 through `data`: why did the gradient 0 come out there?

# %% wrong="notes-variable-class" fails="notes-memory notes-gradients"
def corrected():
    return dict(
        axis=[6, 15],
        constructor=("torch.int64", "torch.float32", 3),
        slice=[0, 9, 2, 3],
        bytes=[200, 44],
        view=([[1, 4], [2, 5], [3, 6]], [[1, 4], [2, 5], [3, 6]]),
        variable=("Variable", [10.0]),
        data=[20.0, 6.0],
        detach=[1.0, 7.0],
    )


# %% [markdown] mistake="notes-variable-class"
# Takes `Variable` for a class of its own, and `view(3, 2)` for the transpose.
#
# Two entries are wrong. One cell of the chapter prints the type of what `Variable` returns. For the other, ask in which order `view` fills
# its new shape; the figure with `block.T` and `block.reshape(4, 3)` shows the same pair with twelve numbers.

# %% right="notes-in-another-order"
def corrected():
    squares = {"data": [20.0, 6.0], "variable": ("Tensor", [10.0])}
    memory = {"slice": [0, 9, 2, 3], "detach": [1.0, 7.0], "view": ([[1, 2], [3, 4], [5, 6]], [[1, 4], [2, 5], [3, 6]])}
    return squares | memory | {"bytes": [200, 44], "constructor": ("torch.int64", "torch.float32", 3), "axis": [6, 15]}


# %% [markdown] explanation="notes"
# - axis: the comment of the notes has rows and columns exchanged; `sum(dim=1)` on (2, 3) has shape (2,).
# - constructor: `torch.Tensor(3)` are three elements without a chosen value.
# - slice, detach: views. `detach` cuts the record, not the memory.
# - bytes: 300 − 256 = 44; no error, no warning.
# - view: same shape as the transpose, other numbers.
# - variable: `Variable(x)` gives a plain `Tensor`; every tensor can have a `grad`.
# - data: the gradient of the *recorded* sum would be (4, 6); after the silent change it is (20, 6). With `x.detach()[0] = 10.0` PyTorch refuses `backward`.

# %% [markdown]
# ## The real task: a photo made of digits
#
# We turn the photo and the digits into tensors, take the photo apart into tiles of 8 × 8 pixels, find for each tile the digit that is most like it, and put the photo together again out of these digits.
# No loop over pixels or tiles occurs.
#
# ### Take apart
#
# First as a batch of networks' form: `(C, H, W)`, `float32`, from 0 to 1, cut to multiples of 8.
# Then each of the two long axes is split into *which tile* and *where in the tile*, and `permute` brings the two "which" to the front.
# In small, with the numbers 0 to 15 in four rows, and tiles of 2 × 2:

# %%
small = torch.arange(16).reshape(4, 4)
four_axes = small.reshape(2, 2, 2, 2)  # tile row, y, tile column, x
print(small.tolist())
print(four_axes.permute(0, 2, 1, 3).reshape(4, 2, 2).tolist())  # tile row, tile column, y, x: four tiles

# %% [markdown]
# The first tile is 0, 1 and below them 4, 5: the top left corner.
# The photo has an axis for the colour more, and is larger; nothing else is new.

# %%
picture = photo[:424].permute(2, 0, 1) / 255  # (3, 424, 640)
split = picture.reshape(3, 53, 8, 80, 8)  # channel, tile row, y, tile column, x
tiles = split.permute(1, 3, 0, 2, 4).reshape(53 * 80, 3, 8, 8)  # (4240, 3, 8, 8): a batch of tiles
print(tuple(picture.shape), "→", tuple(tiles.shape))


# %% [markdown]
# `reshape` is right here: it splits an axis into two neighbours, or joins two neighbours, and reading order does not change.
# Only `permute` moves axes.
# Putting together is the same way back, and it must return what we took apart:


# %%
def assemble(pieces):
    """Put tiles (4240, C, 8, 8) together to one picture (424, 640, C)."""
    grid = pieces.reshape(53, 80, -1, 8, 8)
    return grid.permute(0, 3, 1, 4, 2).reshape(424, 640, -1)


print("nothing lost:", torch.equal(assemble(tiles), photo[:424] / 255))

# %%
fig, axes = plt.subplots(1, 2, figsize=(11, 3.6))
axes[0].imshow(assemble(tiles)[160:208, 240:312])
axes[0].set(title="6 × 9 of the tiles, put together", xlabel="pixel", ylabel="pixel")
axes[0].set_xticks([8 * k - 0.5 for k in range(10)], [8 * k for k in range(10)])
axes[0].set_yticks([8 * k - 0.5 for k in range(7)], [8 * k for k in range(7)])
axes[0].grid(color="white", linewidth=0.8)
axes[1].imshow(tiles.reshape(424, 640, 3))
axes[1].set(title="tiles.reshape(424, 640, 3)", xticks=[], yticks=[])
plt.show()

# %% [markdown]
# On the left the tiles are in their places.
# On the right `reshape` was asked to do the work of `permute`, and the shape is right again and the photo is gone.
#
# ### Compare
#
# Which digit is like a tile?
# Brightness should not count, because the colours will be added afterwards: so from every tile (its colours averaged to one grey) and from every digit we take its own mean, and bring the row to length 1.
# Seven tiles of the sky are one even grey, so that without their mean nothing should be left.
# Some of these rows are zero, and a division by the length would give `nan`; in the others a little rounding is left over and is stretched to length 1, so that their digit is chance.
# Then 4,240 × 1,797 distances, and the smallest in each row; `argmin` gives its place.
# The three functions in the first cell are PyTorch's.

# %%
unit_rows = torch.nn.functional.normalize
distances = torch.cdist
classes_as_ones = torch.nn.functional.one_hot

# %%
ink = X / 16  # (1797, 64), from 0 to 1
grey = tiles.mean(dim=1).reshape(4240, 64)
tile_rows = unit_rows(grey - grey.mean(dim=1, keepdim=True))
digit_rows = unit_rows(ink - ink.mean(dim=1, keepdim=True))
nearest = distances(tile_rows, digit_rows).argmin(dim=1)  # (4240,)
print("places:", tuple(nearest.shape), "| no nan:", bool(torch.isfinite(tile_rows).all()))

# %% [markdown]
# ### Put together
#
# Each tile becomes its mean colour, `(4240, 3, 1, 1)`, plus a little of its digit, `(4240, 1, 8, 8)`: both are stretched, and `(4240, 3, 8, 8)` comes out.

# %%
colour = tiles.mean(dim=(2, 3), keepdim=True)
strokes = ink[nearest] - ink[nearest].mean(dim=1, keepdim=True)
mosaic = assemble((colour + 0.35 * strokes.reshape(4240, 1, 8, 8)).clamp(0, 1))
fig, axes = plt.subplots(1, 2, figsize=(13, 4.6), width_ratios=[1.5, 1])
axes[0].imshow(mosaic)
axes[0].set(title="4,240 digits", xticks=[], yticks=[])
axes[1].imshow(mosaic[160:264, 232:336])
axes[1].set(title="a part of it", xticks=[], yticks=[])
plt.show()

# %% [markdown]
# From afar it is the photo, from near it is digits.
# Every tile took the digit whose strokes lie most like its own light and dark; along an edge the same digit often stands several times in a row.
#
# ### The same comparison, for reading digits
#
# Chapter 1 compared pictures with the mean of each class, number by number, in loops.
# Here it is without one.
# With the labels of the first 1,000 digits as one-hot rows, `ones.T @ X` of shapes `(10, 1000)` and `(1000, 64)` adds up, for every class, the rows of that class.

# %%
ones = classes_as_ones(labels[:1000], 10).float()  # (1000, 10)
means = ones.T @ X[:1000] / ones.sum(dim=0)[:, None]  # (10, 64)
guesses = distances(X[1000:], means).argmin(dim=1)
right_share = (guesses == labels[1000:]).float().mean()
print(f"right: {right_share:.2f} of {len(guesses)} digits")
assert 0.8 < right_share < 0.95

# %%
fig, axes = plt.subplots(1, 10, figsize=(12, 1.7))
for c, ax in enumerate(axes):
    ax.imshow(means[c].reshape(8, 8), cmap="gray_r")
    share = (guesses[labels[1000:] == c] == c).float().mean()
    ax.set(title=f"{c}: {share:.0%}", xticks=[], yticks=[])
plt.show()

# %% [markdown]
# Nearly nine digits in ten are right.
# Above each mean stands the share of its class that was recognised: the 8 and the 1 do worst.
#
# ### Try it: your own functions
#
# Not graded. When your exercises pass, write this in place of the cell with PyTorch's three functions, and run the task again from there:
#
# ```python
# unit_rows, classes_as_ones = normalize_rows, one_hot
#
# def distances(A, B):
#     return torch.cat([pairwise_sqdist(part, B) for part in A.split(100)])
# ```
#
# `split(100)` hands out a hundred rows at a time.
# All at once your table of differences would hold 4240 · 1797 · 64 numbers of 4 bytes, two gigabytes: that is the price of subtracting first, and the reason why `cdist` multiplies out.
# The guesses must not change, nor the tiles, but for a few even sky tiles, where only rounding decides.
# And `nchw(photo[:424])[0]` is `picture`.

# %% [markdown]
# ## What goes wrong in practice
#
# - **The results are bad, no error, and the shapes are all right.** `view` or `reshape` where `permute` was meant, or a mean under the wrong axis of a square table. Draw one sample.
# - **`(N,)` against `(N, 1)`.** The result is `(N, N)`: broadcasting made all pairs. Chapter 5 meets it in the loss, the number that says how wrong a model is.
# - **It fails in the last batch.** `squeeze()` on a batch of one.
# - **`Expected all tensors to be on the same device`.** Something was made inside a function without `device=x.device`.
# - **`view size is not compatible`.** The tensor was turned before. Use `reshape`, after asking whether you meant it.
# - **A tensor changes that nobody touched.** It is a view of one that was changed; `clone()` it.
# - **A photo with black spots where it is brightest.** Arithmetic in `uint8`.
# - **`mean(): could not infer output dtype`.** Whole numbers; call `.float()` first.
# - **Memory grows with every step.** A tensor with its record was kept in a list; keep `x.item()` or `x.detach()`.
#
# ## Summary
#
# - A tensor is one line of numbers of one dtype, on one device, read with a shape and strides.
# - Rows are samples, columns are features; the axis that you name disappears, unless `keepdim` keeps it with size 1.
# - `reshape` never moves an axis; `permute` and `transpose` do. Both may share memory with the original; `clone` does not.
# - Broadcasting aligns shapes on the right and stretches sizes of 1; its gradient is the sum over the copies.
# - `squeeze`, `unsqueeze`, `cat` and `sum` should be told their axis.
# - Strings become ids and padding, and a mask says which places are real.
# - What a function makes itself goes to the device of its input.
# - `grad` holds a gradient; for the numbers alone there are `item` and `detach`, and for changes `no_grad`; not `data`, not `Variable`.
#
# ## Terms
#
# | English | 中文 | in one line |
# |---|---|---|
# | tensor | 张量 | block of numbers of one type, with a shape |
# | shape | 形状 | how many numbers along each axis |
# | axis (dim) | 轴 | one direction of a tensor, counted from 0 |
# | dtype | 数据类型 | the type of the numbers |
# | device | 设备 | where the numbers lie: cpu, cuda, meta |
# | pixel | 像素 | one place of a picture |
# | in place | 原地 | changes the tensor itself; name ends in `_` |
# | sample | 样本 | one row of a table of data |
# | feature | 特征 | one column: a quantity known of every sample |
# | channel | 通道 | one of the layers of a picture, such as its red |
# | stride | 步长 | places to move on in memory for the next index of an axis |
# | view | 视图 | another shape of the same memory |
# | transpose | 转置 | rows and columns exchanged |
# | broadcasting | 广播 | stretching sizes of 1 so that shapes agree |
# | length (norm) | 长度（范数） | root of the sum of the squares |
# | class | 类别 | the kind of a sample, given by its label |
# | one-hot | 独热 | one 1 at the place of the class, zeros elsewhere |
# | squared distance | 平方距离 | sum of the squared differences |
# | cancellation | 相消 | digits lost when nearly equal numbers are subtracted |
# | matrix product | 矩阵乘积 | sums of products, rows with columns |
# | id | 编号 | the whole number that stands for a character or word |
# | padding | 填充 | what fills short rows |
# | mask | 掩码 | says which places are real |
# | gradient | 梯度 | how fast a result rises with each element |
#
# ## Reading
#
# - PyTorch documentation: *Broadcasting semantics*, *Tensor Views*, *Meta device*.
# - C. R. Harris et al., *Array programming with NumPy*, 2020: the same ideas, and where they come from.
# - A. Rush, *Tensor Puzzles*: 21 functions of PyTorch, each rebuilt from broadcasting alone.
# - D. Goldberg, *What Every Computer Scientist Should Know About Floating-Point Arithmetic*, 1991: cancellation.
