# %% [markdown] needs="07" sittings="3"
# # Recurrent networks
#
# A travel desk reads "leave Taipei and arrive Osaka", and "arrive Taipei and leave Osaka".
# In the first sentence Taipei is where the journey begins, in the second where it ends.
# The word is the same. How can a network give it two different labels?
#
# The figure below shows the two sentences; colours are the labels that we want.
#
# After this chapter you can
#
# - turn words and letters into vectors, and read a sequence of any length with one small set of weights,
# - rebuild `nn.RNN` yourself: both layouts, stacked, in both directions, with sequences of unequal length,
# - train through time, whole or truncated, and measure how far back a gradient reaches,
# - cut a time series into windows without a leak, and judge a forecast against two baselines,
# - prove that a model without memory must fail, and build one that does not.
#
# The chapter takes three sittings; two resting places are marked.
# "Common notes" are lecture notes found on the web; where their sentences are wrong, we say so.

# %% [markdown]
# ## Setup
#
# All imports stand in one cell.
# Some figures take many lines to draw. You need not read the drawing code.

# %% setup="imports"
import itertools
import math
import os
from collections import Counter
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.testing import assert_close

DATA = Path(os.environ.get("COURSE_DATA", "../../data"))
torch.optim.SGD([torch.zeros(1)])  # the first optimizer loads a good part of PyTorch: here, so that no check has to wait for it
plt.rcParams["figure.constrained_layout.use"] = True

# %%
colours = {"O": "0.9", "DEP": "#ffb56b", "ARR": "#8fc1ea"}
rows = ["leave Taipei and arrive Osaka", "arrive Taipei and leave Osaka"]
labels = [["O", "DEP", "O", "O", "ARR"], ["O", "ARR", "O", "O", "DEP"]]
fig, ax = plt.subplots(figsize=(7, 1.9))
for r, (sentence, line) in enumerate(zip(rows, labels, strict=True)):
    for c, (word, tag) in enumerate(zip(sentence.split(), line, strict=True)):
        ax.text(c, -r, word, ha="center", va="center", bbox={"facecolor": colours[tag], "edgecolor": "none", "boxstyle": "round,pad=0.5"})
for tag, meaning in (("DEP", "departure"), ("ARR", "arrival"), ("O", "other")):
    ax.scatter([], [], marker="s", s=80, color=colours[tag], label=f"{tag}: {meaning}")
ax.legend(loc="lower center", ncols=3, bbox_to_anchor=(0.5, -0.25), frameon=False)
ax.set(xlim=(-0.6, 4.6), ylim=(-1.9, 0.5))
ax.axis("off")
plt.show()

# %% [markdown]
# Taipei is orange above and blue below.
# A function of the word alone has one answer for Taipei, so it is wrong in at least one of the two sentences, however long it is trained.
# It needs a **memory** (记忆) of the words before.
#
# ## From words to vectors
#
# A **sequence** (序列) is a list whose order matters; one place in it is a **step** (时间步), one entry of a text a **token** (词元): a word, or a letter.
# A **vocabulary** (词表) numbers the tokens: each has an integer, its **id**.
# The number itself means nothing (word 7 is not "more" than word 3), so we make a vector of it.
#
# - **one-hot** (独热): a vector as long as the vocabulary, with a single 1 at the id;
# - **dense embedding** (稠密嵌入): a short vector of trainable numbers, one for each token: the row of a table.

# %%
words = ["and", "arrive", "leave", "Taipei"]
table = torch.tensor([[0.1, 0.2, 0.3], [1.0, 0.0, 0.5], [-1.0, 0.0, 0.5], [0.0, 2.0, 0.0]])  # (V, C): 4 words, 3 numbers each
sentence = torch.tensor([words.index(w) for w in "leave Taipei".split()])  # ids (2,)
print("one-hot:", nn.functional.one_hot(sentence, 4).tolist())
print("rows of the table:", nn.Embedding.from_pretrained(table)(sentence).tolist())

# %% [markdown]
# `nn.Embedding` is no more than that table: it picks rows.
# The same comes out of a matrix product, for a one-hot row times a matrix is one row of the matrix.
# So an embedding is a linear layer on one-hot vectors, without the useless multiplications by zero.
# For 10,000 words and 100 columns the product costs a million multiplications a token; the look-up costs none.

# %% [markdown]
# ### Exercise 1: the embedding as a product (4 points)
#
# Write `embed_as_matmul(W, ids)`: `W` is a float tensor `(V, C)` of finite numbers (0 times `inf` would be `nan`),
# `ids` an integer tensor of *any* shape `(...)`, not empty, with values from 0 to V − 1.
# Return the tensor `(..., C)` of rows of `W`, in the dtype of `W`, computed as **one-hot times** `W`, so that gradients reach `W`.
#
# - If the dtype of `ids` is neither `torch.int64` nor `torch.int32` (bool and uint8 are neither), raise `TypeError`: an id is a name, and 2.5 is the name of nothing.
# - Not allowed: `W[ids]`, `nn.Embedding`, `nn.functional.embedding`, `index_select`, `gather`.
#   `nn.functional.one_hot` (wants int64) and comparisons are allowed.
#
# By hand: `W = [[1, 2], [3, 4], [5, 6]]`, `ids = [2, 0]` gives one-hot rows (0, 0, 1) and (1, 0, 0), and the result `[[5, 6], [1, 2]]`.
#
# <details><summary>Hint 1</summary>How long is a one-hot row, if it must meet the rows of <code>W</code>?</details>
# <details><summary>Hint 2</summary>A product needs one dtype on both sides: bring the one-hot tensor to that of <code>W</code>.</details>


# %% exercise="embed"
def embed_as_matmul(W: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Return rows `ids` (...) of the table W (V, C) as (..., C); TypeError unless ids are int64 or int32."""
    # BEGIN SOLUTION
    if ids.dtype not in (torch.int64, torch.int32):
        raise TypeError(f"ids must be int64 or int32, got {ids.dtype}")
    return nn.functional.one_hot(ids.long(), len(W)).to(W.dtype) @ W
    # END SOLUTION


# %% check="embed-by-hand" points=1
def rows_of(ids, kind):
    table = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]).to(kind)
    try:
        return embed_as_matmul(table, torch.tensor(ids))
    except NotImplementedError:
        raise
    except RuntimeError as e:
        return f"RuntimeError: {e}"


causes = (
    "None: is `return` missing? An error about shapes or classes: a one-hot row has V = 3 places, whichever ids occur; "
    "about dtypes: the one-hot tensor needs that of W"
)
got = rows_of([2, 0], torch.float32)
assert type(got) is torch.Tensor, f"ids [2, 0] of a 3 × 2 table must give a tensor, got {got!r:.200}. {causes}"
assert_close(
    got,
    torch.tensor([[5.0, 6.0], [1.0, 2.0]]),
    msg=lambda m: f"ids [2, 0] of a 3 × 2 table: [[5, 6], [1, 2]], got {got.tolist()}. Columns instead of rows: the table is (V, C)\n{m}",
)
got = rows_of([[1, 0]], torch.float64)
assert type(got) is torch.Tensor, f"ids [[1, 0]] of the same table in float64 must give a tensor, got {got!r:.200}. {causes}"
assert_close(
    got,
    torch.tensor([[[3.0, 4.0], [1.0, 2.0]]], dtype=torch.float64),
    msg=lambda m: (
        f"ids [[1, 0]], shape (1, 2), of the same table in float64: [[[3, 4], [1, 2]]] in float64, got {got.tolist()}. "
        f"[[3, 4], [1, 2]]: the shape of ids is lost\n{m}"
    ),
)
print("passed: one-hot times table picks rows")


# %% check="embed-floats" points=1
def error_of(ids):
    try:
        embed_as_matmul(torch.ones(3, 2), ids)
    except NotImplementedError:  # not written yet
        raise
    except Exception as e:
        return type(e).__name__
    return "no error"


got = [error_of(torch.tensor([1, 0]).to(kind)) for kind in (torch.float32, torch.bool, torch.uint8, torch.int32)]
assert got == ["TypeError"] * 3 + ["no error"], (
    f"ids of dtype float32, bool and uint8 must raise TypeError, and int32 ids no error; got {got}. "
    "RuntimeError at the end: `one_hot` wants int64; TypeError there too: compare ids.dtype, not type(ids)"
)
print("passed: int64 and int32 are ids, floats, bools and bytes are not")


# %% hidden="embed-shapes" points=1
def rows_and_slope(table, places, weights):
    table = table.clone().requires_grad_()
    out = embed_as_matmul(table, places)
    (out * weights).sum().backward()
    return out.detach(), table.grad


_ = torch.manual_seed(20)
W64, many, factor = torch.randn(7, 3, dtype=torch.float64), torch.randint(5, (2, 4, 5)), torch.randn(2, 4, 5, 3, dtype=torch.float64)
got, slope = rows_and_slope(W64, many, factor)
wanted_slope = torch.zeros(7, 3, dtype=torch.float64).index_add(0, many.flatten(), factor.reshape(-1, 3))
assert_close(got, W64[many], msg=lambda m: f"table (7, 3) float64, ids (2, 4, 5) without the last two ids\n{m}")
assert_close(slope, wanted_slope, msg=lambda m: f"the gradient of the table sums over the places where a row was used\n{m}")


# %% hidden="embed-dtypes" points=1
def problem_with(ids):
    try:
        embed_as_matmul(torch.ones(4, 5), ids)
    except Exception as e:
        return type(e).__name__
    return "no error"


got = [problem_with(torch.tensor([1]).to(kind)) for kind in (torch.bool, torch.uint8, torch.int16, torch.float64, torch.int32)]
assert got == ["TypeError"] * 4 + ["no error"], f"dtypes bool, uint8, int16, float64, int32: four TypeErrors, then no error; got {got}"


# %% wrong="embed-transposed" fails="embed-by-hand embed-shapes"
def embed_as_matmul(W, ids):
    if ids.dtype not in (torch.int64, torch.int32):
        raise TypeError("integers, please")
    return nn.functional.one_hot(ids.long(), W.shape[1] + 3).to(W.dtype)[..., : W.shape[1]] @ W.T


# %% [markdown] mistake="embed-transposed"
# Takes columns of `W` where rows are asked for.
#
# With the statement's `W` the id 0 gives 1, 3, 5, the first column, so every id gets 3 numbers and not C = 2. Write down the shape (V, C)
# and ask which of the two axes an id counts along.

# %% wrong="embed-float-ids" fails="embed-floats embed-dtypes"
def embed_as_matmul(W, ids):
    return nn.functional.one_hot(ids.long(), len(W)).to(W.dtype) @ W


# %% [markdown] mistake="embed-float-ids"
# Accepts ids of every dtype and never raises `TypeError`.
#
# The ids 2.5 and 1.9 give rows 2 and 1 without a word: the fractions are cut off on the way to integers. The first bullet of the statement
# says which dtypes are ids; when in your function can you still see what came in?

# %% wrong="embed-short-one-hot" fails="embed-by-hand embed-shapes"
def embed_as_matmul(W, ids):
    if ids.dtype not in (torch.int64, torch.int32):
        raise TypeError("integers, please")
    return nn.functional.one_hot(ids.long()).to(W.dtype) @ W


# %% [markdown] mistake="embed-short-one-hot"
# Makes the one-hot rows only as long as the largest id in `ids` needs.
#
# With three rows in `W` and the ids 0 and 1, your one-hot rows have 2 places and do not fit a table of 3 rows. The example by hand passes
# only because its last id occurs. On what should the length of a one-hot row depend?

# %% wrong="embed-float32" fails="embed-by-hand embed-shapes"
def embed_as_matmul(W, ids):
    if ids.dtype not in (torch.int64, torch.int32):
        raise TypeError("integers, please")
    return nn.functional.one_hot(ids.long(), len(W)).float() @ W


# %% [markdown] mistake="embed-float32"
# Builds the one-hot tensor in float32 whatever the dtype of `W`.
#
# A float32 table works, but a float64 table ends in a RuntimeError about two different dtypes, for a product wants the same on both sides.
# Print the dtypes of the two factors, and read which dtype the result must have.

# %% wrong="embed-bool-ids" fails="embed-floats embed-dtypes"
def embed_as_matmul(W, ids):
    if ids.is_floating_point():
        raise TypeError("integers, please")
    return nn.functional.one_hot(ids.long(), len(W)).to(W.dtype) @ W


# %% [markdown] mistake="embed-bool-ids"
# Refuses float ids only; bool and uint8 pass as ids.
#
# The ids True and False give rows 1 and 0 of the table, as if they were numbers. Your test asks what is forbidden, and the list of
# forbidden dtypes is longer than you think; the statement names the dtypes that are allowed.

# %% wrong="embed-int32-as-is" fails="embed-floats embed-dtypes"
def embed_as_matmul(W, ids):
    if ids.dtype not in (torch.int64, torch.int32):
        raise TypeError("integers, please")
    return nn.functional.one_hot(ids, W.shape[0]).to(W.dtype) @ W


# %% [markdown] mistake="embed-int32-as-is"
# Lets int32 ids pass, but a later step of the answer does not take them.
#
# The ids 1 and 0 in int32 end in a RuntimeError, although the statement allows this dtype; in int64 the same ids work. Find the step that
# raises the error, and read in the second bullet which dtype it wants.

# %% wrong="embed-uint8-ids" fails="embed-floats embed-dtypes"
def embed_as_matmul(W, ids):
    if ids.is_floating_point() or ids.dtype is torch.bool:
        raise TypeError("integers, please")
    return nn.functional.one_hot(ids.long(), len(W)).to(W.dtype) @ W


# %% [markdown] mistake="embed-uint8-ids"
# Refuses floats and bools, but takes uint8 for ids.
#
# The ids 1 and 0 in uint8 give rows of the table, where `TypeError` is asked. The statement names the dtypes that are allowed, and all
# others are refused: count how many integer dtypes PyTorch has, and how many of them your test lets pass.

# %% right="embed-comparison"
def embed_as_matmul(W, ids):
    if ids.dtype not in {torch.int32, torch.int64}:
        raise TypeError("integers, please")
    hot = (ids[..., None] == torch.arange(W.shape[0])).to(W.dtype)
    return torch.einsum("...v,vc->...c", hot, W)


# %% [markdown] explanation="embed"
# The one-hot row must have V places whether or not the last ids occur: `one_hot(ids)` alone stops at the largest id that it sees,
# and works until the first batch without the last word.
# `nn.Linear` would hold the transpose of the table, (C, V): copying an embedding into a linear layer needs `.T`.
# The gradient of the table is zero in every row that was not used: a rare word learns rarely.

# %% [markdown]
# ## A cell and its state
#
# A **recurrent network** (循环神经网络, RNN) reads one step at a time and keeps a **state** (隐藏状态) $h$, a vector of $H$ numbers.
# At step $t$ it has the input $x_t$ of shape $(B, C)$, $C$ numbers of each of $B$ sequences side by side, and the state $h_{t-1}$ of shape $(B, H)$:
#
# $$h_t = \tanh(x_t W_{ih}^\top + b_{ih} + h_{t-1} W_{hh}^\top + b_{hh}), \qquad W_{ih}: (H, C), \quad W_{hh}: (H, H).$$
#
# The first state is $h_0 = 0$. This step is the **cell** (循环单元), `nn.RNNCell`.
# The same weights serve every step, so a sequence may have any length.
# Why two **bias** vectors, when only their sum counts? Here one would do. PyTorch keeps both because of a fast library for GPUs (cuDNN)
# whose cells have two; count them, or the number of parameters does not come out.

# %%
cell = nn.RNNCell(3, 5)
print([(name, tuple(p.shape)) for name, p in cell.named_parameters()])
print("parameters:", sum(p.numel() for p in cell.parameters()), "= 5·3 + 5·5 + 5 + 5")

# %% [markdown]
# To see the memory at work we take all weights 1, no bias, and no tanh, two units, and a last layer of ones.

# %%
ones = torch.ones(2, 2)
for order in ([[1.0, 2.0], [0.0, 1.0], [1.0, 2.0]], [[0.0, 1.0], [1.0, 2.0], [1.0, 2.0]]):
    h, outputs = torch.zeros(2), []
    for x_t in torch.tensor(order):
        h = ones @ x_t + ones @ h
        outputs.append((ones @ h).tolist())
    print("inputs", order, "outputs", outputs)

# %% [markdown]
# In the first line the input (1, 2) stands at the first and the third step, and gives 6 once and 34 once: the state differs.
# In the second line the same three inputs in another order give other outputs, at the end too (26): a recurrent network sees order.
#
# Now the picture: the loop, drawn once for every step, is the **unrolled** network (展开).

# %%
fig, ax = plt.subplots(figsize=(8, 2.7))
arrow = {"arrowstyle": "->", "color": "0.3"}
for t, word in enumerate(["leave", "Taipei", "and", "arrive", "Osaka"]):
    for y, text, colour in ((0, word, "0.9"), (1, f"$h_{t + 1}$", "tab:green"), (2, f"$y_{t + 1}$", "0.9")):
        ax.text(
            1.6 * t, y, text, ha="center", va="center", bbox={"facecolor": colour, "edgecolor": "none", "alpha": 0.7, "boxstyle": "round"}
        )
    ax.annotate("", (1.6 * t, 0.75), (1.6 * t, 0.25), arrowprops=arrow)
    ax.annotate("", (1.6 * t, 1.75), (1.6 * t, 1.25), arrowprops=arrow)
    ax.annotate("", (1.6 * t - 0.35, 1), (1.6 * t - 1.25, 1), arrowprops=arrow | {"color": "tab:red"})
    ax.text(1.6 * t + 0.07, 0.45, "$W_{ih}$", fontsize=9)
    ax.text(1.6 * t - 0.8, 1.13, "$W_{hh}$", fontsize=9, ha="center", color="tab:red")
ax.text(-1.7, 1, "$h_0 = 0$", ha="center", va="center")
ax.set(xlim=(-2.1, 7), ylim=(-0.4, 2.4))
ax.axis("off")
plt.show()

# %% [markdown]
# Every red arrow is the same matrix $W_{hh}$.
# What the network knows of "leave" when it reads "Osaka" has gone through four of them.
#
# `nn.RNN` runs the cell over all steps. It returns two things: the states of all steps, and the last state `h_n`.
# There are two **layouts** (布局), and the default surprises: time comes first.

# %%
_ = torch.manual_seed(0)
for batch_first, x in ((False, torch.zeros(7, 2, 3)), (True, torch.zeros(2, 7, 3))):
    output, h_n = nn.RNN(3, 5, num_layers=2, batch_first=batch_first)(x)
    print(f"batch_first={batch_first!s:5s} input {tuple(x.shape)} output {tuple(output.shape)} h_n {tuple(h_n.shape)}")

# %% [markdown]
# Seven steps, two sequences, three numbers each. `(T, B, C)` is the default, `(B, T, C)` with `batch_first=True`.
# Feed the one where the other is expected, and no error comes: a batch of 2 sequences of 7 steps is read as 7 sequences of 2.
# `h_n` is `(layers, B, H)` in both layouts.
#
# Is the network really nothing but the cell in a loop? We give `nn.RNN`'s weights to an `nn.RNNCell` and walk.

# %%
_ = torch.manual_seed(0)
whole, walker, x = nn.RNN(3, 5), nn.RNNCell(3, 5), torch.randn(7, 2, 3)  # x (T, B, C)
walker.load_state_dict({name.removesuffix("_l0"): p for name, p in whole.state_dict().items()})
h = torch.zeros(2, 5)
for t in range(7):
    h = walker(x[t], h)
assert_close(h, whole(x)[1][0])
print("the same last state")

# %% [markdown]
# With `num_layers=2` the network is **stacked** (堆叠): the states of the first layer, one a step, are the inputs of the second.
# The first $W_{ih}$ is then `(H, C)` and all later ones `(H, H)`; `output` is the top layer's, `h_n` has one last state of each.

# %% [markdown]
# ### Exercise 2: cell and unrolled network (9 points)
#
# A layer's weights are a tuple `(W_ih, W_hh, b_ih, b_hh)` with the shapes `(H, C)`, `(H, H)`, `(H,)`, `(H,)`.
#
# - `cell_step(x, h, weights)`: `x` `(B, C)`, `h` `(B, H)`; return the new state `(B, H)` by the formula above.
# - `unroll(x, layers, batch_first=False)`: `layers` is a list of L ≥ 1 such tuples, the bottom one first; all have the same H.
#   `x` is `(T, B, C)`, or `(B, T, C)` with `batch_first=True`; T ≥ 1. Every layer starts from zeros.
#   Return a tuple `(output, h_n)`: the top layer's states, in the layout of `x`, and the last states `(L, B, H)`, bottom first.
#
# By hand: `W_ih = [[1]]`, `W_hh = [[2]]`, `b_ih = [0.5]`, `b_hh = [0.25]`, inputs 1 and −2. First $\tanh(1 + 0.75) = 0.941$,
# then $\tanh(-2 + 0.75 + 2 \cdot 0.941) = 0.560$.
# `x` and the weights have one dtype, and the results have it too (float64, for example). Not allowed: `nn.RNN`, `nn.RNNCell` and their like. The inputs must not change.
#
# <details><summary>Hint 1</summary>If you bring <code>x</code> into one layout first, what is left to do at the end?</details>
# <details><summary>Hint 2</summary>A loop over layers, in it a loop over steps; <code>torch.stack</code> of the collected states is the
# next layer's input.</details>


# %% exercise="unroll"
def cell_step(x: torch.Tensor, h: torch.Tensor, weights: tuple) -> torch.Tensor:
    """One step: x (B, C), h (B, H), weights (W_ih, W_hh, b_ih, b_hh); the new state (B, H)."""
    # BEGIN SOLUTION
    W_ih, W_hh, b_ih, b_hh = weights
    return torch.tanh(x @ W_ih.T + b_ih + h @ W_hh.T + b_hh)
    # END SOLUTION


def unroll(x: torch.Tensor, layers: list, batch_first: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """All steps of all layers from zero states: (output in the layout of x, h_n (L, B, H))."""
    # BEGIN SOLUTION
    steps = x.transpose(0, 1) if batch_first else x  # (T, B, C)
    last = []
    for weights in layers:
        h, states = x.new_zeros(steps.shape[1], len(weights[1])), []
        for x_t in steps:
            h = cell_step(x_t, h, weights)
            states.append(h)
        steps = torch.stack(states)  # (T, B, H)
        last.append(h)
    return steps.transpose(0, 1) if batch_first else steps, torch.stack(last)
    # END SOLUTION


# %% check="unroll-cell" points=1
two_units = (
    torch.tensor([[2.0, 7.0], [0.0, 0.0]]),
    torch.tensor([[-1.0, 0.0], [3.0, 0.0]]),
    torch.tensor([-1.0, 0.0]),
    torch.tensor([0.25, 0.0]),
)
got = cell_step(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.5, 0.25]]), two_units)
assert type(got) is torch.Tensor, f"cell_step must return a tensor, got {type(got).__name__}. NoneType: is `return` missing?"
assert_close(
    got,
    torch.tensor([[0.75, 1.5]]).tanh(),
    msg=lambda m: (
        f"before tanh 2 − 1 − 0.5 + 0.25 = 0.75 and 3·0.5 = 1.5, so [0.635, 0.905], got {got.tolist()}. [0.75, 1.5]: no tanh. "
        f"First 0.462: b_hh lost; 0.941: b_ih lost; 0.848: the state lost. [0.905, 0]: W_hh is not transposed. Second 1.0: W_ih is not transposed\n{m}"
    ),
)
print("passed: one step of the cell")

# %% check="unroll-by-hand" points=1
one = (torch.tensor([[1.0]]), torch.tensor([[2.0]]), torch.tensor([0.5]), torch.tensor([0.25]))
got = unroll(torch.tensor([1.0, -2.0]).reshape(2, 1, 1), [one])
stacked = unroll(torch.ones(1, 1, 1), [one, one])
for pair in (got, stacked):
    kinds = [type(v).__name__ for v in pair] if type(pair) is tuple else type(pair).__name__
    assert kinds == ["Tensor", "Tensor"], f"unroll must return a tuple of two tensors, got {kinds}"
shapes = [tuple(v.shape) for v in (*got, *stacked)]
assert shapes == [(2, 1, 1), (1, 1, 1), (1, 1, 1), (2, 1, 1)], (
    "output (T, B, H) and h_n (L, B, H): (2, 1, 1) and (1, 1, 1) for two steps and one layer, "
    f"(1, 1, 1) and (2, 1, 1) for one step and two layers, got {shapes}"
)
first = math.tanh(1.75)
second = math.tanh(-1.25 + 2 * first)
assert_close(
    got,
    (torch.tensor([first, second]).reshape(2, 1, 1), torch.tensor([[[second]]])),
    msg=lambda m: f"inputs 1, −2: states 0.941, 0.560, got {[v.flatten().tolist() for v in got]}. −0.848: the state is not carried\n{m}",
)
above = math.tanh(0.75 + first)
assert_close(
    stacked,
    (torch.tensor([[[above]]]), torch.tensor([first, above]).reshape(2, 1, 1)),
    msg=lambda m: (
        f"two equal layers, one step: output 0.934, h_n 0.941 and 0.934, got {[v.flatten().tolist() for v in stacked]}. "
        f"0.998: the second layer did not start from zeros\n{m}"
    ),
)
print("passed: two steps, and two layers, by hand")


# %% check="unroll-layouts" points=2
def states_of(inputs, weights, batch_first):
    try:
        return unroll(inputs, weights, batch_first=batch_first)
    except NotImplementedError:
        raise
    except RuntimeError as e:
        return f"RuntimeError: {e}"


def layer(C):
    return torch.randn(3, C), torch.randn(3, 3), torch.randn(3), torch.randn(3)


_ = torch.manual_seed(7)
both_layers, series = [layer(2), layer(3)], torch.randn(5, 4, 2)  # T = 5, B = 4
by_time, by_batch = states_of(series, both_layers, False), states_of(series.transpose(0, 1), both_layers, True)
for name, pair in (("time first", by_time), ("batch first", by_batch)):
    kinds = [type(v).__name__ for v in pair] if type(pair) is tuple else pair
    assert kinds == ["Tensor", "Tensor"], (
        f"two layers, {name}: unroll must return a tuple of two tensors, got {kinds!r:.200}. "
        "An error about sizes: each layer has its own weights, and the layout is turned once for all layers"
    )
shapes = [tuple(v.shape) for v in (*by_time, *by_batch)]
assert shapes == [(5, 4, 3), (2, 4, 3), (4, 5, 3), (2, 4, 3)], (
    f"T=5, B=4, H=3, two layers: output (5, 4, 3), h_n (2, 4, 3); batch first: (4, 5, 3), (2, 4, 3); got {shapes}. "
    "(2, 5, 3): the axes B and T are mixed up. (4, 2, 3): h_n is (L, B, H) in both layouts"
)
assert_close(
    by_batch,
    (by_time[0].transpose(0, 1), by_time[1]),
    msg=lambda m: f"the same sequences in the other layout must give the same states; was `batch_first` used?\n{m}",
)
got = states_of(series.double(), [tuple(w.double() for w in both_layers[0])], False)
kinds = [str(v.dtype) for v in got] if type(got) is tuple else got
assert kinds == ["torch.float64"] * 2, f"float64 x and weights: both results float64, got {kinds!r:.200}. Which dtype has your first state?"
print("passed: both layouts give the same states")


# %% hidden="unroll-torch" points=3
def reference(module, inputs):
    with torch.no_grad():
        return module(inputs)


def states_and_inputs(inputs, given, batch_first):
    return unroll(inputs, given, batch_first), inputs, given


def weights_of(module):
    names = ("weight_ih_l", "weight_hh_l", "bias_ih_l", "bias_hh_l")
    return [tuple(getattr(module, f"{n}{layer}").detach().clone() for n in names) for layer in range(module.num_layers)]


_ = torch.manual_seed(20)
for n_layers, batch_first, shape in ((1, False, (6, 2, 3)), (1, True, (2, 6, 3)), (3, False, (1, 4, 3)), (2, True, (4, 5, 3))):
    module = nn.RNN(3, 5, num_layers=n_layers, batch_first=batch_first)
    inputs = torch.randn(shape)
    got, *kept = states_and_inputs(inputs.clone(), weights_of(module), batch_first)
    assert_close(
        got,
        reference(module, inputs),
        msg=lambda m, case=(n_layers, batch_first, shape): f"(layers, batch_first, shape of x) = {case}: unlike nn.RNN\n{m}",
    )
    assert_close(kept, [inputs, weights_of(module)], msg=lambda m: f"x or the list of layers was changed\n{m}")


# %% hidden="unroll-cell-torch" points=2
def slopes(step_x, step_h, given):
    given = tuple(w.clone().requires_grad_() for w in given)
    out = cell_step(step_x, step_h, given)
    out.square().sum().backward()
    return [out.detach(), *(w.grad for w in given)]


_ = torch.manual_seed(20)
cell = nn.RNNCell(2, 4).double()
step_x, step_h = torch.randn(3, 2).double(), torch.randn(3, 4).double()
cell_weights = (cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)
got = slopes(step_x, step_h, tuple(w.detach().clone() for w in cell_weights))
wanted = cell(step_x, step_h)
wanted.square().sum().backward()
assert_close(
    got,
    [wanted.detach(), *(w.grad for w in cell_weights)],
    msg=lambda m: f"cell_step in float64: values or gradients unlike nn.RNNCell\n{m}",
)
long = unroll(step_x[None].repeat(4, 1, 1), [tuple(w.detach().clone() for w in cell_weights)])
assert long[0].dtype == torch.float64, f"float64 in must give float64 out, got {long[0].dtype}"


# %% wrong="unroll-batch-first" fails="unroll-layouts unroll-torch"
def cell_step(x, h, weights):
    W_ih, W_hh, b_ih, b_hh = weights
    return torch.tanh(x @ W_ih.T + b_ih + h @ W_hh.T + b_hh)


def unroll(x, layers, batch_first=False):
    last = []
    for weights in layers:
        h, states = x.new_zeros(x.shape[1], len(weights[1])), []
        for x_t in x:
            h = cell_step(x_t, h, weights)
            states.append(h)
        x = torch.stack(states)
        last.append(h)
    return x, torch.stack(last)


# %% [markdown] mistake="unroll-batch-first"
# Ignores `batch_first` and always walks along the first axis.
#
# For `x` of shape (2, 7, C) with `batch_first=True`, 2 sequences of 7 steps, you walk 2 steps with 7 sequences: no error, but `h_n` has the
# shape (1, 7, H). Change the first sequence only and look at the output of the second: it moves.

# %% wrong="unroll-h-n-turned" fails="unroll-layouts unroll-torch"
def cell_step(x, h, weights):
    W_ih, W_hh, b_ih, b_hh = weights
    return torch.tanh(x @ W_ih.T + b_ih + h @ W_hh.T + b_hh)


def unroll(x, layers, batch_first=False):
    x = x.transpose(0, 1) if batch_first else x
    last = []
    for weights in layers:
        h, states = x.new_zeros(x.shape[1], len(weights[1])), []
        for x_t in x:
            h = cell_step(x_t, h, weights)
            states.append(h)
        x = torch.stack(states)
        last.append(h)
    h_n = torch.stack(last)
    return (x.transpose(0, 1), h_n.transpose(0, 1)) if batch_first else (x, h_n)


# %% [markdown] mistake="unroll-h-n-turned"
# Exchanges the axes of `h_n` too when `batch_first=True`.
#
# With one layer, 2 sequences and 7 steps your `h_n` has the shape (2, 1, H) as soon as the batch comes first. The statement gives the
# layout of `x` to one of the two results only; read which axes the other one has, and in which order.

# %% wrong="unroll-one-bias" fails="unroll-cell unroll-by-hand unroll-torch unroll-cell-torch"
def cell_step(x, h, weights):
    W_ih, W_hh, b_ih, _ = weights
    return torch.tanh(x @ W_ih.T + h @ W_hh.T + b_ih)


def unroll(x, layers, batch_first=False):
    x = x.transpose(0, 1) if batch_first else x
    last = []
    for weights in layers:
        h, states = x.new_zeros(x.shape[1], len(weights[1])), []
        for x_t in x:
            h = cell_step(x_t, h, weights)
            states.append(h)
        x = torch.stack(states)
        last.append(h)
    return x.transpose(0, 1) if batch_first else x, torch.stack(last)


# %% [markdown] mistake="unroll-one-bias"
# Leaves out the bias `b_hh`.
#
# In the example by hand the first state comes out as tanh(1.5) = 0.905, where 0.941 is wanted: 0.25 is missing under the tanh. Count the
# terms of the formula and find each of them in your `cell_step`.

# %% wrong="unroll-state-from-below" fails="unroll-by-hand unroll-torch"
def cell_step(x, h, weights):
    W_ih, W_hh, b_ih, b_hh = weights
    return torch.tanh(x @ W_ih.T + b_ih + h @ W_hh.T + b_hh)


def unroll(x, layers, batch_first=False):
    x = x.transpose(0, 1) if batch_first else x
    last, h = [], x.new_zeros(x.shape[1], len(layers[0][1]))
    for weights in layers:
        states = []
        for x_t in x:
            h = cell_step(x_t, h, weights)
            states.append(h)
        x = torch.stack(states)
        last.append(h)
    return x.transpose(0, 1) if batch_first else x, torch.stack(last)


# %% [markdown] mistake="unroll-state-from-below"
# Starts an upper layer from the last state of the layer below, not from zeros.
#
# Two layers with the weights of the example and the single input 1: your upper state is 0.998, and 0.934 is right. Write down the state
# that each layer has before its first step, and compare it with the statement's sentence on the start.

# %% wrong="unroll-not-transposed" fails="unroll-cell unroll-torch unroll-cell-torch"
def cell_step(x, h, weights):
    W_ih, W_hh, b_ih, b_hh = weights
    return torch.tanh(x @ W_ih.T + b_ih + h @ W_hh + b_hh)


def unroll(x, layers, batch_first=False):
    x = x.transpose(0, 1) if batch_first else x
    last = []
    for weights in layers:
        h, states = x.new_zeros(x.shape[1], len(weights[1])), []
        for x_t in x:
            h = cell_step(x_t, h, weights)
            states.append(h)
        x = torch.stack(states)
        last.append(h)
    return x.transpose(0, 1) if batch_first else x, torch.stack(last)


# %% [markdown] mistake="unroll-not-transposed"
# Multiplies the state by `W_hh` without transposing it.
#
# With one unit nothing shows. Take zero inputs and biases, `h` = (1, 0) and `W_hh` = [[0, 1], [0, 0]]: the new state should be (0, 0), and
# yours is (0, 0.762). Compare the two products in the formula with the two in your line.

# %% wrong="unroll-float32-state" fails="unroll-layouts unroll-cell-torch"
def cell_step(x, h, weights):
    W_ih, W_hh, b_ih, b_hh = weights
    return torch.tanh(x @ W_ih.T + b_ih + h @ W_hh.T + b_hh)


def unroll(x, layers, batch_first=False):
    x = x.transpose(0, 1) if batch_first else x
    last = []
    for weights in layers:
        h, states = torch.zeros(x.shape[1], len(weights[1])), []
        for x_t in x:
            h = cell_step(x_t, h, weights)
            states.append(h)
        x = torch.stack(states)
        last.append(h)
    return x.transpose(0, 1) if batch_first else x, torch.stack(last)


# %% [markdown] mistake="unroll-float32-state"
# Starts from a state in float32 whatever the dtype of `x`.
#
# With `x` and weights in float64 the first step stops with a RuntimeError about float and double. Print the dtype of everything that enters
# the first product, and ask from where the start state gets its own.

# %% wrong="unroll-turned-each-layer" fails="unroll-layouts unroll-torch"
def cell_step(x, h, weights):
    W_ih, W_hh, b_ih, b_hh = weights
    return torch.tanh(x @ W_ih.T + b_ih + h @ W_hh.T + b_hh)


def unroll(x, layers, batch_first=False):
    last = []
    for weights in layers:
        steps = x.transpose(0, 1) if batch_first else x
        h, states = x.new_zeros(steps.shape[1], len(weights[1])), []
        for x_t in steps:
            h = cell_step(x_t, h, weights)
            states.append(h)
        x = torch.stack(states)
        last.append(h)
    return x.transpose(0, 1) if batch_first else x, torch.stack(last)


# %% [markdown] mistake="unroll-turned-each-layer"
# Turns the layout anew in every layer, so the second layer reads across the batch.
#
# With `batch_first=True` one layer works. With two, 4 sequences of 5 steps, the first layer reads 5 steps of 4 sequences and the second 4
# steps of 5. In which layout are the states that your first layer hands on? Print their shape at the start of each layer.

# %% right="unroll-step-by-step"
def cell_step(x, h, weights):
    w_i, w_h, b_i, b_h = weights
    both = torch.cat([x, h], dim=1) @ torch.cat([w_i, w_h], dim=1).T
    return (both + (b_i + b_h)).tanh()


def unroll(x, layers, batch_first=False):
    axis = 1 if batch_first else 0
    memory = [torch.zeros(x.shape[1 - axis], w[1].shape[0], dtype=x.dtype) for w in layers]
    top = []
    for current in x.unbind(axis):
        for level, w in enumerate(layers):
            current = memory[level] = cell_step(current, memory[level], w)
        top.append(current)
    return torch.stack(top, dim=axis), torch.stack(memory)


# %% [markdown] survives="unroll"
# - `h, states = (x.new_zeros(steps.shape[1], len(weights[0])), [])`: all four tensors of a layer have H rows
# - `h, states = (x.new_zeros(steps.shape[1], len(weights[2])), [])`: all four tensors of a layer have H rows

# %% [markdown] explanation="unroll"
# One transposition at the entrance and one at the exit serve both layouts; the loop knows only time first.
# The mix-up gives no error, because the loop is content with any two axes: only the values are wrong.
# The other right answer goes step by step through all layers. Layer by layer and step by step give the same numbers,
# since the state of layer l at step t needs only its neighbours below and before.
# PyTorch calls the nonlinear part "tanh" by default; with `nonlinearity="relu"` nothing else changes.

# %% [markdown]
# ## Elman and Jordan
#
# What is carried from step to step? In an **Elman network** (Elman 网络) the *hidden state*: that is `nn.RNN`.
# In a **Jordan network** (Jordan 网络) the *output* of the step before.
#
# | | memory | state | output |
# |---|---|---|---|
# | Elman | $m = h_{t-1}$, shape (B, H) | $h_t = \tanh(x_t W^\top + m\,U^\top)$ | $y_t = h_t V^\top$ |
# | Jordan | $m = y_{t-1}$, shape (B, K) | the same, with $U$ of shape (H, K) | the same |
#
# Both begin with zeros, $h_0 = 0$ or $y_0 = 0$. $V$, of shape (K, H), is a matrix here.
#
# A common note adds that "the Jordan network may learn better, because outputs have a target".
# It is right that the output is compared with a target and the state is not, so what is fed back is easier to *interpret*.
# "Better" is not supported in general: with $K$ outputs the memory has only $K$ numbers, and the target says what they should be.
# A task shows it: at every step output the *previous* input bit. We train both with 8 hidden units, three seeds each.

# %% tags=["nbval-ignore-output"]
final = {"Elman": [], "Jordan": []}
for kind, seed in itertools.product(final, range(3)):
    _ = torch.manual_seed(seed)
    inside, back, out = nn.Linear(1, 8), nn.Linear(8 if kind == "Elman" else 1, 8), nn.Linear(8, 1)
    optimizer = torch.optim.Adam([*inside.parameters(), *back.parameters(), *out.parameters()], lr=0.02)
    for _ in range(150):
        bits = torch.randint(2, (32, 9, 1)).float()
        memory, answers = torch.zeros(32, back.in_features), []
        for t in range(9):
            state = torch.tanh(inside(bits[:, t]) + back(memory))
            answers.append(out(state))
            memory = state if kind == "Elman" else answers[-1]
        loss = nn.functional.mse_loss(torch.stack(answers[1:], dim=1), bits[:, :-1])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    final[kind].append(loss.item())
print({kind: [f"{v:.2g}" for v in values] for kind, values in final.items()})
assert max(final["Elman"]) < 0.05 < 0.1 < min(final["Jordan"])

# %% [markdown]
# A constant answer 0.5 has the mean squared error 0.25.
# The Elman network comes near 0 with every seed; the Jordan network stays above 0.1.
# A Jordan memory is the output, and the target asks for just the *old* bit there.
# To keep the new bit too, the output would have to carry it as a small deviation.
# Such weights exist (four units reach 0.005 with weights set by hand), but training found them on none of ten seeds when this was written.
# (A task whose outputs are just what must be remembered would suit it well.)

# %% [markdown]
# ### Exercise 3: what is fed back (5 points)
#
# Write `elman_step(x, memory, W, U, V)` and `jordan_step(x, memory, W, U, V)` with the formulas of the table (no biases).
# `x` `(B, C)`, `W` `(H, C)`, `V` `(K, H)`; Elman: `memory` `(B, H)`, `U` `(H, H)`; Jordan: `memory` `(B, K)`, `U` `(H, K)`.
# Each returns a tuple `(y, memory)`: the output `(B, K)`, and the memory **for the next step**.
# All arguments have one dtype, and the results have it too. The inputs must not change.
#
# By hand, all of size 1: `x = 1`, memory 2, `W = 0.5`, `U = 0.25`, `V = 3`: the state is $\tanh(0.5 + 0.5) = 0.762$, the output 2.285.
# Elman returns (2.285, 0.762), Jordan (2.285, 2.285).
#
# <details><summary>Hint 1</summary>In which line do the two functions differ?</details>
# <details><summary>Hint 2</summary><code>h = torch.tanh(x @ W.T + …)</code>, then the output from <code>h</code>.</details>


# %% exercise="elman"
def elman_step(x: torch.Tensor, memory: torch.Tensor, W: torch.Tensor, U: torch.Tensor, V: torch.Tensor) -> tuple:
    """One step of an Elman network: (y (B, K), memory (B, H) for the next step)."""
    # BEGIN SOLUTION
    h = torch.tanh(x @ W.T + memory @ U.T)
    return h @ V.T, h
    # END SOLUTION


def jordan_step(x: torch.Tensor, memory: torch.Tensor, W: torch.Tensor, U: torch.Tensor, V: torch.Tensor) -> tuple:
    """One step of a Jordan network: (y (B, K), memory (B, K) for the next step)."""
    # BEGIN SOLUTION
    y = torch.tanh(x @ W.T + memory @ U.T) @ V.T
    return y, y
    # END SOLUTION


# %% check="elman-by-hand" points=2
arguments = [torch.tensor([[v]]) for v in (1.0, 2.0, 0.5, 0.25, 3.0)]
got = [elman_step(*arguments), jordan_step(*arguments)]
for name, pair in zip(("elman_step", "jordan_step"), got, strict=True):
    kinds = [type(v).__name__ for v in pair] if type(pair) is tuple else type(pair).__name__
    assert kinds == ["Tensor", "Tensor"], f"{name} must return a tuple of two tensors, y and memory, got {kinds}"
state = math.tanh(1.0)
causes = {
    "elman_step": "Memory 2: the old one was returned; 2.285: the output was fed back. Output 0.979: there is no tanh on it",
    "jordan_step": "Memory 0.762: the state was fed back, not the output. Output 0.979: there is no tanh on it",
}
for name, pair, wanted in (("elman_step", got[0], [3 * state, state]), ("jordan_step", got[1], [3 * state, 3 * state])):
    assert_close(
        list(pair),
        [torch.tensor([[w]]) for w in wanted],
        msg=lambda m, name=name, wanted=wanted, pair=pair: (
            f"{name} by hand: (y, memory) = {[[[round(w, 3)]] for w in wanted]}, got {[v.tolist() for v in pair]}. {causes[name]}\n{m}"
        ),
    )
x2, m2 = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
W2, U2, V2 = torch.tensor([[0.0, 1.0], [0.0, 0.0]]), torch.tensor([[0.0, 1.0], [0.5, 0.0]]), torch.tensor([[1.0, 2.0], [0.0, 1.0]])
got = [*elman_step(x2, m2, W2, U2, V2), *jordan_step(x2, m2, W2, U2, V2)]
half = math.tanh(0.5)
y2, h2 = torch.tensor([[2 * half, half], [-2 * half, -half]]), torch.tensor([[0.0, half], [0.0, -half]])
assert_close(
    got,
    [y2, h2, y2, y2],
    msg=lambda m: (
        f"two units, x = memory = (1, 0): state (0, 0.462), output (0.924, 0.462), and all with a minus in the second row, "
        f"got {[v.tolist() for v in got]} from Elman and Jordan. 0.762 or 0.905 in the state: U or W is not transposed. "
        f"Output (0, 0.462): V is not. Rows mixed up: reshape does not transpose. One row: what of the rest of the batch?\n{m}"
    ),
)
print("passed: Elman carries the state, Jordan the output")


# %% hidden="elman-sequence" points=3
def run_both(xs, W, U, V):
    out = []
    for step in (elman_step, jordan_step):
        memory = torch.zeros(2, 3, dtype=xs.dtype)
        for x_t in xs:
            start = memory.clone()
            y, following = step(x_t, memory, W, U, V)
            out += [y, following, memory - start]
            memory = following
    return out, [xs, W, U, V]


def run_unequal():
    e = elman_step(torch.ones(4, 2), torch.ones(4, 5), torch.ones(5, 2), torch.ones(5, 5), torch.ones(3, 5))
    j = jordan_step(torch.ones(4, 2), torch.ones(4, 3), torch.ones(5, 2), torch.ones(5, 3), torch.ones(3, 5))
    return [tuple(v.shape) for v in (*e, *j)]


_ = torch.manual_seed(20)
xs, W, U, V = (torch.randn(shape, dtype=torch.float64) for shape in ((4, 2, 2), (3, 2), (3, 3), (3, 3)))
(got, kept), sizes = run_both(xs.clone(), W.clone(), U.clone(), V.clone()), run_unequal()
wanted = []
for keeps_state in (True, False):
    m = torch.zeros(2, 3, dtype=torch.float64)
    for x_t in xs:
        h = torch.tanh(torch.einsum("bc,hc->bh", x_t, W) + torch.einsum("bh,gh->bg", m, U))
        y = torch.einsum("bh,kh->bk", h, V)
        m = h if keeps_state else y
        wanted += [y, m, torch.zeros(2, 3, dtype=torch.float64)]
assert_close(
    got,
    wanted,
    msg=lambda m: f"four steps in float64 with H = K = 3, each memory given to the next step (y, memory, change of its input)\n{m}",
)
assert_close(kept, [xs, W, U, V], msg=lambda m: f"x or a weight was changed\n{m}")
assert sizes == [(4, 3), (4, 5), (4, 3), (4, 3)], (
    f"B=4, C=2, H=5, K=3: y (4, 3), memory (4, 5) for Elman and (4, 3) for Jordan, got {sizes}"
)


# %% wrong="elman-jordan-hidden" fails="elman-by-hand elman-sequence"
def elman_step(x, memory, W, U, V):
    h = torch.tanh(x @ W.T + memory @ U.T)
    return h @ V.T, h


def jordan_step(x, memory, W, U, V):
    h = torch.tanh(x @ W.T + memory @ U.T)
    return h @ V.T, h


# %% [markdown] mistake="elman-jordan-hidden"
# Feeds the hidden state back in `jordan_step`, as in an Elman network.
#
# In the example by hand `jordan_step` returns the memory 0.762, where 2.285 is asked. With H = 5 and K = 3 your memory has the shape (B,
# 5), and the next step cannot multiply it by `U`. Which quantity of the step has the shape of a Jordan memory?

# %% wrong="elman-swapped" fails="elman-by-hand elman-sequence"
def elman_step(x, memory, W, U, V):
    y = torch.tanh(x @ W.T + memory @ U.T) @ V.T
    return y, y


def jordan_step(x, memory, W, U, V):
    h = torch.tanh(x @ W.T + memory @ U.T)
    return h @ V.T, h


# %% [markdown] mistake="elman-swapped"
# Exchanges the two: `elman_step` feeds back the output, `jordan_step` the state.
#
# For the example by hand `elman_step` returns the memory 2.285 and `jordan_step` 0.762, each the number of the other. Put the column
# "memory" of the table beside the two names, and check the shapes for a case in which H and K differ.

# %% wrong="elman-no-memory" fails="elman-by-hand elman-sequence"
def elman_step(x, memory, W, U, V):
    h = torch.tanh(x @ W.T)
    return h @ V.T, h


def jordan_step(x, memory, W, U, V):
    y = torch.tanh(x @ W.T) @ V.T
    return y, y


# %% [markdown] mistake="elman-no-memory"
# Computes the state from `x` alone; `memory` is never used.
#
# In the example by hand the output is 1.386 where 2.285 is wanted, and it stays 1.386 if the memory is −7 in place of 2. Such a network
# forgets everything at once; look for the second term under the tanh in the table.

# %% wrong="elman-not-transposed" fails="elman-by-hand elman-sequence"
def elman_step(x, memory, W, U, V):
    h = torch.tanh(x @ W.T + memory @ U)
    return h @ V.T, h


def jordan_step(x, memory, W, U, V):
    y = torch.tanh(x @ W.T + memory @ U) @ V.T
    return y, y


# %% [markdown] mistake="elman-not-transposed"
# Multiplies the memory by `U` without transposing it.
#
# One unit hides it. With `x` = 0, memory (1, 0) and `U` = [[0, 1], [0, 0]] the state should be (0, 0), and yours is (0, 0.762). In a Jordan
# network whose H and K differ it ends in an error; write the shapes of both factors side by side.

# %% wrong="elman-old-memory" fails="elman-by-hand elman-sequence"
def elman_step(x, memory, W, U, V):
    return torch.tanh(x @ W.T + memory @ U.T) @ V.T, memory


def jordan_step(x, memory, W, U, V):
    y = torch.tanh(x @ W.T + memory @ U.T) @ V.T
    return y, y


# %% [markdown] mistake="elman-old-memory"
# Returns from `elman_step` the memory that came in, not the one for the next step.
#
# In the example by hand `elman_step` gives back the memory 2, the very number that it was given. A sequence that starts from zeros then has
# the memory zero at every step. What does the table call the memory, seen from the step that comes next?

# %% wrong="elman-reshaped" fails="elman-by-hand elman-sequence"
def elman_step(x, memory, W, U, V):
    h = torch.tanh(W @ x.T + U @ memory.T)
    return (V @ h).reshape(len(x), -1), h.reshape(len(x), -1)


def jordan_step(x, memory, W, U, V):
    y = (V @ torch.tanh(W @ x.T + U @ memory.T)).reshape(len(x), -1)
    return y, y


# %% [markdown] mistake="elman-reshaped"
# Computes with the batch on the last axis, and comes back with `reshape` in place of a transposition.
#
# A batch of one hides it. Two sequences with the states (0, 5) and (0, −5) come back as (0, 0) and (5, −5): the numbers of one sequence are
# spread over the rows. Fill a (2, 3) tensor with 1 to 6 and compare what `reshape(3, 2)` and `.T` make of it.

# %% right="elman-functional"
def elman_step(x, memory, W, U, V):
    state = (nn.functional.linear(x, W) + nn.functional.linear(memory, U)).tanh()
    return nn.functional.linear(state, V), state


def jordan_step(x, memory, W, U, V):
    out = elman_step(x, memory, W, U, V)[0]
    return out, out.clone()


# %% [markdown] explanation="elman"
# The step itself is the same; only the memory differs, and with it the shape of U.
# Where K = H, feeding the wrong one back raises no error.
# "Teacher forcing" (chapter 22) feeds the *target* back in place of the output: possible for Jordan, whose memory is an output, not for Elman.

# %% [markdown]
# ## What is asked of a sequence
#
# The same network serves different **targets** (目标):
#
# - **many-to-one** (多对一): one answer for the whole sequence, from the last state: a language for a name, next year's value for past years;
# - **many-to-many** (多对多): one answer a step, from each state: a label for each word, or the *next* token.
#
# A **language model** (语言模型) is trained on the second: at each step it gives a probability to each possible next token.
# No labels are needed: the target is the sequence itself, moved by one step, and so is called a **sequence target** (序列目标).
# We read names in 15 languages. Each name begins with a mark `^` as input, and ends with the mark as target.

# %%
names = pd.read_csv(DATA / "names.csv", keep_default_na=False)  # "NA" would be read as missing
letters = ["", "^", *sorted(set("".join(names["name"])))]  # id 0 is the pad
letter_id = {letter: i for i, letter in enumerate(letters)}
n_letters = torch.tensor([len(name) for name in names["name"]])  # (N,)
name_ids = torch.zeros(len(names), int(n_letters.max()), dtype=torch.long)  # (N, T), pads 0
for i, name in enumerate(names["name"]):
    name_ids[i, : len(name)] = torch.tensor([letter_id[c] for c in name])
shuffled = torch.randperm(len(names), generator=torch.Generator().manual_seed(0))
held_out, training = shuffled[:1100], shuffled[1100:]
print(len(names), "names,", len(letters) - 2, "different characters, longest", int(n_letters.max()))

# %% [markdown]
# The names have unequal length. To stack them we fill the short ones with a **pad** (填充) at the end, and keep the lengths;
# a **mask** (掩码) says which places are real (`sequence_mask` of chapter 2).
#
# How good is a language model? Its loss at each token is the **negative log-likelihood** (负对数似然, NLL), $-\ln p(\text{right token})$:
# the cross entropy of chapter 7. **Perplexity** (困惑度) is the exponential of its mean over the *real* tokens:
#
# $$\mathrm{PPL} = \exp\Big(\frac{1}{n_{real}} \sum_{real} -\ln p\Big).$$
#
# Whoever guesses evenly among $V$ tokens has $p = 1/V$ everywhere and perplexity exactly $V$. So it reads: "as unsure as among that many".

# %%
start = torch.ones(len(names), 1, dtype=torch.long)
inputs = torch.cat([start, name_ids], dim=1)  # ^ A n
targets = torch.cat([name_ids, 0 * start], dim=1).scatter(1, n_letters[:, None], 1)  # A n ^
real = torch.arange(inputs.shape[1]) <= n_letters[:, None]  # (N, T + 1): a name of n letters has n + 1 targets
print("first row:", inputs[0, :5].tolist(), "->", targets[0, :5].tolist())

# %% [markdown]
# Embedding, recurrent network, linear layer: the logits of each step are compared with the target of this step.
# `padding_idx=0` keeps the pad's row of the embedding at zero.

# %%
_ = torch.manual_seed(0)
reader = nn.ModuleList([nn.Embedding(len(letters), 24, padding_idx=0), nn.RNN(24, 96, batch_first=True), nn.Linear(96, len(letters))])
optimizer = torch.optim.Adam(reader.parameters(), lr=0.003)


def token_losses(rows: torch.Tensor) -> torch.Tensor:
    """NLL of each target (n, T); pads too."""
    logits = reader[2](reader[1](reader[0](inputs[rows]))[0])
    return nn.functional.cross_entropy(logits.transpose(1, 2), targets[rows], reduction="none")


# %%
_ = torch.manual_seed(1)
for _ in range(3):
    for rows in training[torch.randperm(len(training))].split(64):
        loss = token_losses(rows)[real[rows]].mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(reader.parameters(), 1.0)  # limits the gradient's length; why: see "Back through time"
        optimizer.step()

# %% tags=["nbval-ignore-output"]
with torch.no_grad():
    nll = token_losses(held_out)
frequency = targets[training][real[training]].bincount(minlength=len(letters)) + 1.0  # + 1: no probability is 0
unigram = -(frequency / frequency.sum()).log()[targets[held_out]]
ppl = {
    "even guess": len(letters) - 1,
    "letter frequency": unigram[real[held_out]].mean().exp().item(),
    "RNN": nll[real[held_out]].mean().exp().item(),
    "RNN, mean over pads too": nll.mean().exp().item(),
}
print({name: f"{v:.3g}" for name, v in ppl.items()})
assert ppl["RNN"] < 15 < 25 < ppl["letter frequency"] < ppl["even guess"]

# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 3), width_ratios=[1, 1.3])
bars = axes[0].bar(
    ["even", "frequency", "RNN", "RNN, pads\ncounted"], list(ppl.values()), color=["0.7", "tab:orange", "tab:blue", "tab:red"]
)
axes[0].bar_label(bars, labels=[f"{v:,.0f}" for v in ppl.values()])
axes[0].set(ylabel="perplexity (log axis)", yscale="log", ylim=(1, 2e4), title="1,100 held-out names")
shown = (n_letters[held_out] == 9).int().argmax().item()  # the first held-out name of nine letters
word = names["name"][held_out[shown].item()]
axes[1].bar(range(len(word) + 1), nll[shown, : len(word) + 1], color="tab:blue")
axes[1].axhline(math.log(len(letters) - 1), color="0.5", ls="--", label="even guess: ln 102")
axes[1].set(xticks=range(len(word) + 1), xticklabels=[*word, "end"], ylabel="NLL of the letter", title="One name, letter by letter")
axes[1].set(ylim=(0, 7.5))
axes[1].legend(loc="upper right")
plt.show()
assert word == "Lagerweij" and nll[shown, 5] > math.log(len(letters) - 1) > 2 > nll[shown, 9]

# %% [markdown]
# After three epochs the network hesitates as if among some 13 characters instead of 102 (12.6 to 13.0 on three seeds when this was written);
# the frequency of letters alone gives 31.
# Right: `w`, where a second word begins, surprises the network even more than an even guess would; the end after `ij` surprises it little.
# The red bar is a mistake: the pads, which the network was never asked to predict, were averaged in, and the number says nothing.

# %% [markdown]
# ### Exercise 4: perplexity (5 points)
#
# Write `perplexity(nll, mask)`: `nll` is a float tensor `(B, T)` of negative log-likelihoods (natural logarithm), perhaps with a graph,
# `mask` a bool tensor `(B, T)`, True at real tokens, wherever they stand; a row may be without any.
# Return the Python `float` $\exp(\text{mean NLL over all real tokens of the batch})$.
# At pads `nll` may hold anything, `nan` and `inf` too. Without a single real token raise `ValueError`.
# A mean too large for `exp` does not occur.
#
# By hand: a first sequence with the NLLs $\ln 2, \ln 2$, a second with $\ln 16$ and a pad.
# The mean over three tokens is $(1 + 1 + 4)/3 \cdot \ln 2 = 2 \ln 2$, the perplexity 4.
#
# <details><summary>Hint 1</summary>How many tokens does the mean divide by?</details>
# <details><summary>Hint 2</summary><code>nll[mask]</code> is a one-dimensional tensor of the real places. 0 times <code>nan</code> is
# <code>nan</code>, so multiplying by the mask does not remove it.</details>


# %% exercise="perplexity"
def perplexity(nll: torch.Tensor, mask: torch.Tensor) -> float:
    """exp of the mean of nll (B, T) over the places where mask (B, T) is True; ValueError if there is none."""
    # BEGIN SOLUTION
    if not mask.any():
        raise ValueError("no real token")
    return nll[mask].mean().exp().item()
    # END SOLUTION


# %% check="perplexity-by-hand" points=1
got = perplexity(torch.tensor([[2.0, 2.0], [16.0, 1.0]]).log(), torch.tensor([[True, True], [True, False]]))
assert type(got) is float, f"perplexity must return a Python float, got {type(got).__name__}"
assert abs(got - 4) < 1e-4, (
    f"NLLs ln 2, ln 2, ln 16 and a pad: 4, got {got:.4g}. 2.83: pads are in the mean. 5.66: mean of the sequences' means. "
    "9: mean of the sequences' perplexities. 1.39: exp is missing. 64: the sum, not the mean"
)
print("passed: the example worked by hand")


# %% check="perplexity-even" points=1
def outcome(nll, mask):
    try:
        return ["value", perplexity(nll.clone().requires_grad_(), mask)]
    except NotImplementedError:
        raise
    except Exception as e:
        return [type(e).__name__, str(e)]


kept = torch.zeros(3, 400, dtype=torch.bool)
kept[1], kept[2, 1::2] = True, True
losses_ = torch.full((3, 400), math.log(7.0)).masked_fill(~kept, math.nan)
losses_[0] = math.inf
got = outcome(losses_, kept)
assert got[0] == "value" and type(got[1]) is float and abs(got[1] - 7) < 1e-3, (
    "an even guess among 7 tokens has perplexity 7 for any mask (a row of 400 pads, one of 400 real tokens, one with a pad in every other "
    f"place; nan and inf at pads; nll with requires_grad), got {got}. nan: 0 · nan and 0 · inf are nan, an empty row's mean was taken, "
    "or the pads were thought to be at the end. inf or division by zero: a product of 600 probabilities is 0 in floating point"
)
got = outcome(torch.ones(1, 3), torch.tensor([[False] * 3]))
assert got[0] == "ValueError", f"a mask without a single True must raise ValueError, got {got}"
print("passed: an even guess among 7 has perplexity 7; no token, no perplexity")

# %% hidden="perplexity-random" points=1
def number_and_losses(nll, mask):
    given = nll.clone()
    return perplexity(given, mask), given


_ = torch.manual_seed(20)
losses = torch.rand(5, 6) * 4
losses[0, 0] = 0.0  # a token that was certain
kept = torch.arange(6) < torch.tensor([6, 1, 3, 0, 4])[:, None]
got, given = number_and_losses(losses, kept)
numbers = [v for row, k in zip(losses.tolist(), kept.tolist(), strict=True) for v, ok in zip(row, k, strict=True) if ok]
assert abs(got - math.exp(sum(numbers) / 14)) < 1e-3, f"14 real tokens of 30: expected {math.exp(sum(numbers) / 14):.4g}, got {got:.4g}"
assert torch.equal(given, losses), "nll was changed in place"


# %% hidden="perplexity-rubbish" points=2
def empty_error():
    try:
        perplexity(torch.zeros(2, 2), torch.zeros(2, 2, dtype=torch.bool))
    except Exception as e:
        return type(e).__name__
    return "no error"


got = [perplexity(torch.tensor([[math.log(3.0), bad]]), torch.tensor([[True, False]])) for bad in (math.inf, math.nan)]
assert all(abs(v - 3) < 1e-4 for v in got), f"a pad that holds inf or nan must not matter: expected 3, got {got}"
assert empty_error() == "ValueError", f"no real token must raise ValueError, got {empty_error()}"


# %% wrong="perplexity-pads" fails="perplexity-by-hand perplexity-even perplexity-random"
def perplexity(nll, mask):
    if not mask.any():
        raise ValueError("nothing to average")
    return (nll.masked_fill(~mask, 0)).mean().exp().item()


# %% [markdown] mistake="perplexity-pads"
# Counts the pads in the mean, with an NLL of 0 each.
#
# One real token with the NLL ln 9 and one pad: the perplexity is 9, and you return 3, because the sum is divided by two places. How many
# places does your mean divide by, and how many of them are real?

# %% wrong="perplexity-by-sequence" fails="perplexity-by-hand perplexity-random"
def perplexity(nll, mask):
    if not mask.any():
        raise ValueError("nothing to average")
    rows = [n[m].mean() for n, m in zip(nll, mask, strict=True) if m.any()]
    return torch.stack(rows).mean().exp().item()


# %% [markdown] mistake="perplexity-by-sequence"
# Averages each sequence first, and then the means of the sequences.
#
# Three tokens with ln 2 in one sequence and one with ln 32 in another: the mean over tokens is 2 ln 2 and the perplexity 4, but you return
# 8. One token of the short sequence weighs as much as three of the long one; over what is the mean in the statement?

# %% wrong="perplexity-times-mask" fails="perplexity-even perplexity-rubbish"
def perplexity(nll, mask):
    if not mask.any():
        raise ValueError("nothing to average")
    return ((nll * mask).sum() / mask.sum()).exp().item()


# %% [markdown] mistake="perplexity-times-mask"
# Multiplies by the mask, so that `nan` or `inf` at a pad survives.
#
# One real token with the NLL ln 5 and a pad that holds `nan` must give 5; you return `nan`. Try in Python what 0 times `nan` is, and 0
# times `inf`, and think of a way in which pads do not enter the calculation at all.

# %% wrong="perplexity-mean-of-exp" fails="perplexity-by-hand perplexity-random"
def perplexity(nll, mask):
    if not mask.any():
        raise ValueError("nothing to average")
    return nll[mask].exp().mean().item()


# %% [markdown] mistake="perplexity-mean-of-exp"
# Takes the mean of the exponentials, not the exponential of the mean.
#
# Two tokens with the NLLs 0 and ln 9: the mean NLL is ln 3, so the perplexity is 3, and you return (1 + 9)/2 = 5. The order of the two
# operations matters; follow the formula from the inside to the outside.

# %% wrong="perplexity-of-nothing" fails="perplexity-even perplexity-rubbish"
def perplexity(nll, mask):
    return nll[mask].mean().exp().item()


# %% [markdown] mistake="perplexity-of-nothing"
# Returns `nan` when no token is real, and raises no error.
#
# With a mask that is False everywhere, you take the mean of an empty tensor, which is `nan`, and hand it on without a word. Read the
# statement's sentence about the case without a single real token.

# %% wrong="perplexity-product" fails="perplexity-even"
def perplexity(nll, mask):
    p = (-nll[mask]).exp()
    if len(p) == 0:
        raise ValueError("nothing to average")
    return (1 / p.prod() ** (1 / len(p))).item()


# %% [markdown] mistake="perplexity-product"
# Multiplies the probabilities of all tokens, and their product becomes 0.
#
# On paper the root of the product is the same number. But 600 tokens with probability 1/7 have a product of about $10^{-507}$, which is 0
# in floating point, so the perplexity comes out infinite. The formula has a sum where you have a product; why?

# %% wrong="perplexity-lengths" fails="perplexity-even"
def perplexity(nll, mask):
    lengths = mask.sum(dim=1).tolist()
    if sum(lengths) == 0:
        raise ValueError("nothing to average")
    return math.exp(sum(row[:n].sum().item() for row, n in zip(nll, lengths, strict=True)) / sum(lengths))


# %% [markdown] mistake="perplexity-lengths"
# Uses only how many tokens of a row are real, and takes them from its beginning.
#
# With the mask False, True in a row whose first NLL is `nan` you return `nan`, although the real token stands behind it. The mask says
# which places are real, one by one, and they need not come first; what does your answer do with that?

# %% right="perplexity-where"
def perplexity(nll, mask):
    n = int(mask.sum())
    if n == 0:
        raise ValueError("nothing to average")
    return math.exp(torch.where(mask, nll, 0.0).sum().item() / n)


# %% [markdown] explanation="perplexity"
# The mean is over tokens, not over sequences: otherwise a letter of a short name counts more than one of a long name,
# and the number changes with the way the data are batched.
# The same is true of the training loss: `cross_entropy(..., ignore_index=0)` leaves the pads out.
# A perplexity can only be compared between models with the same vocabulary: with words instead of letters it is another number.

# %% [markdown]
# ## Lengths: what the pads do
#
# A network that runs on over the pads changes its state, and `h_n` is then the state after the last *pad*.
# `pack_padded_sequence` hands the lengths to `nn.RNN`, which stops each sequence at its end; `pad_packed_sequence` restores the layout.
# With `enforce_sorted=False` the sequences may come in any order. (The lengths must be on the CPU.)

# %%
_ = torch.manual_seed(4)
short_rnn = nn.RNN(2, 4, batch_first=True)
lengths = torch.tensor([3, 8, 5])
batch = torch.randn(3, 8, 2) * (torch.arange(8) < lengths[:, None])[:, :, None]  # zeros at pads
with torch.no_grad():
    plain, plain_last = short_rnn(batch)
    squeezed = pack_padded_sequence(batch, lengths, batch_first=True, enforce_sorted=False)
    packed, packed_last = short_rnn(squeezed)
    packed, _ = pad_packed_sequence(packed, batch_first=True)
rows = torch.arange(3)
assert_close(packed_last[0], plain[rows, lengths - 1])  # h_n is the last REAL state
differ = ~torch.isclose(packed_last[0], plain_last[0], atol=1e-5)
print("last states differ from the unpacked ones in rows", differ.any(dim=1).nonzero().flatten().tolist())

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 2.6))
for ax, states, title in zip(axes, (plain, packed), ("run over the pads", "packed"), strict=True):
    picture = ax.imshow(states[:, :, 2], cmap="coolwarm", vmin=-1, vmax=1, aspect="auto")
    for place, end in enumerate((lengths - 0.5).tolist()):
        ax.plot([end, end], [place - 0.5, place + 0.5], color="black", lw=3)
        ax.fill_between([end, 7.5], place - 0.5, place + 0.5, facecolor="none", edgecolor="0.3", hatch="//", lw=0)
    ax.set(xlabel="step", ylabel="sequence", yticks=range(3), xlim=(-0.5, 7.7), title=title)
fig.colorbar(picture, ax=axes, label="third number of the state")
plt.show()

# %% [markdown]
# The black bars are the ends of the sequences; the pads are hatched.
# Left, the state lives on behind the bar, and the last column is no longer the state at the sequence's end.
# Right, it is zero there, and `h_n` holds the state just before the bar. Row 1 has no pads, so nothing changes.
#
# ## In both directions
#
# "Taipei is where we arrive": the label of Taipei is decided by a word that comes *after* it.
# A **bidirectional** (双向) network runs two networks: one forward, and one with weights of its own from the end to the beginning.
# The output of a step is both states, one after the other: $(B, T, 2H)$.
#
# With pads this has a trap. Turn the whole row round, and the backward network begins with the pads.
# Each sequence must be turned within its own length; the outputs are turned back in the same way.

# %%
two_way = nn.RNN(2, 4, batch_first=True, bidirectional=True)
output, h_n = two_way(torch.zeros(3, 8, 2))
print("output", tuple(output.shape), "h_n", tuple(h_n.shape))

# %% [markdown]
# The two last states stand one behind the other on axis 0 of `h_n`, first the forward one.

# %% [markdown]
# ### Exercise 5: two directions, unequal lengths (8 points)
#
# - `reverse_real(x, lengths)`: `x` `(B, T, ...)` with at least two axes, `lengths` int64 `(B,)`, each from 1 to T.
#   Return a new tensor of the same shape and dtype: in row `b` the first `lengths[b]` steps in reverse order, the pads behind them where they were.
# - `bidirectional(x, lengths, forward, backward)`: `x` is `(B, T, C)`; `forward` and `backward` are functions that run a network
#   from zero states over a tensor `(B, T, C)`, for any B and T, from left to right and return its states `(B, T, H)`.
#   They know nothing of lengths.
#   Return a tuple `(output, h_n)` with the numbers of a packed `nn.RNN(bidirectional=True)`, and the T of `x` even if no sequence is so long:
#   `output` `(B, T, 2H)`, in each real step the forward state and then the backward state of *that* step, and **zero at pads**;
#   `h_n` `(2, B, H)`: the forward network's state after its last real step, and the backward network's after *its* last, which stands at step 0.
#
# By hand, with the "network" $h_t = 1 x_1 + 2 x_2 + \dots + t\,x_t$ in both directions and the sequence 1, 2, 3 and a pad 9:
# forward 1, 5, 14; the backward one reads 3, 2, 1 and has 3, 7, 10, which belong to steps 3, 2, 1.
# Output: (1, 10), (5, 7), (14, 3), (0, 0); `h_n`: 14 and 10. Row 1, 2, 3, 9 of length 3 reversed is 3, 2, 1, 9.
# Not allowed: `nn.RNN` and its like with `bidirectional=True`. `x` must not change; pads may hold any numbers that leave the states finite.
#
# <details><summary>Hint 1</summary>Which step of the original stands at place t of a reversed row of length n?</details>
# <details><summary>Hint 2</summary>Build a table of places (B, T) and index with it, <code>x[rows[:, None], places]</code>; or loop over the
# rows. Reverse the input of <code>backward</code>, and its output too.</details>


# %% exercise="bidirectional"
def reverse_real(x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Reverse the first lengths[b] steps of each row of x (B, T, ...); leave the pads where they are."""
    # BEGIN SOLUTION
    out = x.clone()
    for row, n in enumerate(lengths.tolist()):
        out[row, :n] = x[row, :n].flip(0)
    return out
    # END SOLUTION


def bidirectional(x: torch.Tensor, lengths: torch.Tensor, forward, backward) -> tuple[torch.Tensor, torch.Tensor]:
    """Run forward and backward over x (B, T, C): (output (B, T, 2H) with zeros at pads, h_n (2, B, H))."""
    # BEGIN SOLUTION
    ahead = forward(x)
    behind = reverse_real(backward(reverse_real(x, lengths)), lengths)
    mask = torch.arange(x.shape[1]) < lengths[:, None]
    output = torch.cat([ahead, behind], dim=2) * mask[:, :, None]
    return output, torch.stack([ahead[torch.arange(len(x)), lengths - 1], behind[:, 0]])
    # END SOLUTION


# %% check="bidirectional-reverse" points=1
def turned_and_kept():
    rows = torch.tensor([[1, 2, 3, 9], [4, 5, 6, 7], [8, 9, 9, 9]])
    return reverse_real(rows, torch.tensor([3, 4, 1])), rows


got, kept_ = turned_and_kept()
assert type(got) is torch.Tensor, f"reverse_real must return a tensor, got {type(got).__name__}. NoneType: is `return` missing?"
assert_close(
    got,
    torch.tensor([[3, 2, 1, 9], [7, 6, 5, 4], [8, 9, 9, 9]]),
    msg=lambda m: (
        f"lengths 3, 4, 1: rows 3 2 1 9, 7 6 5 4, 8 9 9 9 in int64, got {got.tolist()}. "
        f"Row 0 beginning with 9: the pads were reversed too; ending in 0: pads stay as they are. "
        f"Another dtype: the new tensor needs that of x\n{m}"
    ),
)
assert kept_[0].tolist() == [1, 2, 3, 9], f"x itself was changed, its first row is now {kept_[0].tolist()}: the result must be a new tensor"
print("passed: each row is reversed within its length")


# %% check="bidirectional-by-hand" points=2
def by_hand():
    network = lambda v: (v * torch.arange(1, v.shape[1] + 1)[None, :, None]).cumsum(dim=1)
    return bidirectional(torch.tensor([1.0, 2.0, 3.0, 9.0]).reshape(1, 4, 1), torch.tensor([3]), network, network)


def two_networks():
    rows = torch.tensor([[1.0, 2.0], [4.0, 9.0]])[:, :, None]
    return bidirectional(rows, torch.tensor([2, 1]), lambda v: v.cumsum(dim=1), lambda v: 10 * v.cumsum(dim=1))


got, both = by_hand(), two_networks()
for pair in (got, both):
    kinds = [type(v).__name__ for v in pair] if type(pair) is tuple else type(pair).__name__
    assert kinds == ["Tensor", "Tensor"], f"bidirectional must return a tuple of two tensors, got {kinds}"
shapes = [tuple(v.shape) for v in (*got, *both)]
assert shapes == [(1, 4, 2), (2, 1, 1), (2, 2, 2), (2, 2, 1)], (
    "output (B, T, 2H) and h_n (2, B, H): (1, 4, 2) and (2, 1, 1) for one row of four steps, "
    f"(2, 2, 2) and (2, 2, 1) for two rows of two steps, got {shapes}"
)
assert_close(
    got,
    (torch.tensor([[[1.0, 10.0], [5.0, 7.0], [14.0, 3.0], [0.0, 0.0]]]), torch.tensor([[[14.0]], [[10.0]]])),
    msg=lambda m: (
        f"expected output [[1, 10], [5, 7], [14, 3], [0, 0]] and h_n [14, 10], got {got[0].tolist()} and {got[1].flatten().tolist()}. "
        f"(1, 3) first: the backward states were not turned back. h_n 50, 46 or 25: pads were read. "
        f"h_n 3: the backward network's last state stands at step 0. Last pair not (0, 0): pads must be zero\n{m}"
    ),
)
assert_close(
    both,
    (torch.tensor([[[1.0, 30.0], [3.0, 20.0]], [[4.0, 40.0], [0.0, 0.0]]]), torch.tensor([[[3.0], [4.0]], [[30.0], [40.0]]])),
    msg=lambda m: (
        f"rows 1, 2 and 4 with a pad 9, `forward` adding up, `backward` adding up times 10: output (1, 30), (3, 20) and (4, 40), (0, 0), "
        f"h_n 3, 4 and 30, 40; got {both[0].tolist()} and {both[1].tolist()}. 13 in h_n: a pad was read. 2 or 3 for 20 and 30: `backward` was not used\n{m}"
    ),
)
print("passed: both directions by hand")


# %% hidden="bidirectional-torch" points=3
def ours(inputs, counts, state):
    nets = [nn.RNN(3, 4, batch_first=True) for _ in range(2)]
    with torch.no_grad():
        for net, suffix in zip(nets, ("", "_reverse"), strict=True):
            for name, p in net.named_parameters():
                p.copy_(state[name + suffix])
        return bidirectional(inputs, counts, lambda v: nets[0](v)[0], lambda v: nets[1](v)[0]), inputs


_ = torch.manual_seed(20)
both = nn.RNN(3, 4, batch_first=True, bidirectional=True)
xs, counts = torch.randn(5, 6, 3), torch.tensor([2, 6, 1, 4, 6])
got, kept_ = ours(xs.clone(), counts, {k: v.clone() for k, v in both.state_dict().items()})
with torch.no_grad():
    out_packed, h_wanted = both(pack_padded_sequence(xs, counts, batch_first=True, enforce_sorted=False))
out_wanted, _ = pad_packed_sequence(out_packed, batch_first=True)
assert_close(got, (out_wanted, h_wanted), msg=lambda m: f"lengths {counts.tolist()}: unlike the packed bidirectional nn.RNN\n{m}")
assert torch.equal(kept_, xs), "bidirectional changed x"


# %% hidden="bidirectional-edges" points=2
def kept_inputs():
    v = torch.arange(24.0).reshape(2, 3, 4)
    n = torch.tensor([2, 3])
    r = reverse_real(v, n)
    return v, r, reverse_real(r, n), reverse_real(v.reshape(2, 3, 2, 2), n)


same, turned, twice, four_axes = kept_inputs()
block = torch.arange(24.0).reshape(2, 3, 4)
assert torch.equal(same, block), "reverse_real changed its input in place"
assert_close(turned[0], block[0][[1, 0, 2]], msg=lambda m: f"a tensor (2, 3, 4), first row of length 2: got {turned[0].tolist()}\n{m}")
assert_close(four_axes, turned.reshape(2, 3, 2, 2), msg=lambda m: f"the same numbers in shape (2, 3, 2, 2)\n{m}")
assert_close(twice, block, msg=lambda m: f"reversing twice must give the tensor back\n{m}")
whole = reverse_real(torch.tensor([[1, 2, 3]]), torch.tensor([3]))
assert whole.dtype == torch.int64 and whole.tolist() == [[3, 2, 1]], f"an int64 row 1, 2, 3: expected 3, 2, 1, got {whole.tolist()}"


# %% wrong="bidirectional-pads-reversed" fails="bidirectional-reverse bidirectional-by-hand bidirectional-torch bidirectional-edges"
def reverse_real(x, lengths):
    return x.flip(1)


def bidirectional(x, lengths, forward, backward):
    ahead, behind = forward(x), reverse_real(backward(reverse_real(x, lengths)), lengths)
    mask = torch.arange(x.shape[1]) < lengths[:, None]
    h_n = torch.stack([ahead[torch.arange(len(x)), lengths - 1], behind[:, 0]])
    return torch.cat([ahead, behind], dim=2) * mask[..., None], h_n


# %% [markdown] mistake="bidirectional-pads-reversed"
# Reverses whole rows, so that the pads come to the front.
#
# The row 1, 2, 3, 9 of length 3 becomes 9, 3, 2, 1, and the backward network reads the pad first: its last state is 25 in the example by
# hand, not 10. Which places of a row may move, and which must stay?

# %% wrong="bidirectional-not-turned-back" fails="bidirectional-by-hand bidirectional-torch"
def reverse_real(x, lengths):
    rows = [torch.cat([r[:n].flip(0), r[n:]]) for r, n in zip(x, lengths.tolist(), strict=True)]
    return torch.stack(rows)


def bidirectional(x, lengths, forward, backward):
    ahead, behind = forward(x), backward(reverse_real(x, lengths))
    mask = torch.arange(x.shape[1]) < lengths[:, None]
    rows = torch.arange(len(x))
    h_n = torch.stack([ahead[rows, lengths - 1], behind[rows, lengths - 1]])
    return torch.cat([ahead, behind], dim=2) * mask[..., None], h_n


# %% [markdown] mistake="bidirectional-not-turned-back"
# Leaves the backward states in reading order, so they stand at the wrong steps.
#
# In the example by hand your first output is (1, 3), but the backward state 3 was computed from the input of step 3 alone. Write beside
# each backward state which inputs it has read; to which step does it belong?

# %% wrong="bidirectional-last-column" fails="bidirectional-by-hand bidirectional-torch"
def reverse_real(x, lengths):
    rows = [torch.cat([r[:n].flip(0), r[n:]]) for r, n in zip(x, lengths.tolist(), strict=True)]
    return torch.stack(rows)


def bidirectional(x, lengths, forward, backward):
    ahead, behind = forward(x), reverse_real(backward(reverse_real(x, lengths)), lengths)
    mask = torch.arange(x.shape[1]) < lengths[:, None]
    return torch.cat([ahead, behind], dim=2) * mask[..., None], torch.stack([ahead[:, -1], behind[:, 0]])


# %% [markdown] mistake="bidirectional-last-column"
# Takes the forward part of `h_n` at the last column, after the pads.
#
# In the example by hand the forward part of `h_n` is 50 and not 14: the pad 9 at the fourth place was read too, and 4 · 9 = 36 came on top.
# Ask for each row where its last real step stands when the lengths differ.

# %% wrong="bidirectional-backward-at-end" fails="bidirectional-by-hand bidirectional-torch"
def reverse_real(x, lengths):
    rows = [torch.cat([r[:n].flip(0), r[n:]]) for r, n in zip(x, lengths.tolist(), strict=True)]
    return torch.stack(rows)


def bidirectional(x, lengths, forward, backward):
    ahead, behind = forward(x), reverse_real(backward(reverse_real(x, lengths)), lengths)
    mask = torch.arange(x.shape[1]) < lengths[:, None]
    output = torch.cat([ahead, behind], dim=2) * mask[..., None]
    last = output[torch.arange(len(x)), lengths - 1]
    return output, torch.stack(last.chunk(2, dim=1))


# %% [markdown] mistake="bidirectional-backward-at-end"
# Takes the backward part of `h_n` at the last real step, where it has read one input only.
#
# In the example by hand the second number of `h_n` is 3 in your answer and 10 in the statement. The backward network begins at the end of
# the sequence; which of its states has read all of 1, 2 and 3, and at which step does that one stand?

# %% wrong="bidirectional-in-place" fails="bidirectional-reverse bidirectional-torch bidirectional-edges"
def reverse_real(x, lengths):
    for row, n in zip(x, lengths.tolist(), strict=True):
        row[:n] = row[:n].flip(0)
    return x


def bidirectional(x, lengths, forward, backward):
    ahead, behind = forward(x), reverse_real(backward(reverse_real(x, lengths)), lengths)
    mask = torch.arange(x.shape[1]) < lengths[:, None]
    h_n = torch.stack([ahead[torch.arange(len(x)), lengths - 1], behind[:, 0]])
    return torch.cat([ahead, behind], dim=2) * mask[..., None], h_n


# %% [markdown] mistake="bidirectional-in-place"
# Reverses the rows of `x` itself and returns it.
#
# The result is right, but a caller who gave you the row 1, 2, 3, 9 with the length 3 has 3, 2, 1, 9 in the old tensor afterwards. A row shares
# its memory with its tensor; what must exist before the first number is written?

# %% wrong="bidirectional-one-network" fails="bidirectional-by-hand bidirectional-torch"
def reverse_real(x, lengths):
    rows = [torch.cat([r[:n].flip(0), r[n:]]) for r, n in zip(x, lengths.tolist(), strict=True)]
    return torch.stack(rows)


def bidirectional(x, lengths, forward, backward):
    ahead, behind = forward(x), reverse_real(forward(reverse_real(x, lengths)), lengths)
    mask = torch.arange(x.shape[1]) < lengths[:, None]
    h_n = torch.stack([ahead[torch.arange(len(x)), lengths - 1], behind[:, 0]])
    return torch.cat([ahead, behind], dim=2) * mask[..., None], h_n


# %% [markdown] mistake="bidirectional-one-network"
# Runs the same network in both directions; `backward` is never called.
#
# The example by hand cannot show it, for both networks are equal there. If `backward` gives ten times the numbers of `forward`, your second
# half stays as it was. Which network reads the reversed rows?

# %% right="bidirectional-places"
def reverse_real(x, lengths):
    t, n = torch.arange(x.shape[1]), lengths[:, None]
    places = torch.where(t < n, n - 1 - t, t)
    return x[torch.arange(x.shape[0])[:, None], places]


def bidirectional(x, lengths, forward, backward):
    states = [forward(x), backward(reverse_real(x, lengths))]
    rows = torch.arange(x.shape[0])
    h_n = torch.stack([s[rows, lengths - 1] for s in states])
    both = torch.cat([states[0], reverse_real(states[1], lengths)], dim=-1)
    pads = torch.arange(x.shape[1])[None] >= lengths[:, None]
    return both.masked_fill(pads[:, :, None], 0.0), h_n


# %% [markdown] survives="bidirectional"
# - `for row, n in enumerate(lengths):`: a tensor without axes counts as an index in a slice

# %% [markdown] explanation="bidirectional"
# The forward network needs no lengths: pads come after everything real, and the states before them do not know the future.
# The backward network must not see them first. A whole-row flip is right for the longest rows and wrong for all others,
# so on a batch of equal lengths nobody notices.
# The last column of `output` is a common choice as "the sentence's vector": it is the forward state at the end,
# but the backward network has read only *one* word there. `h_n` has both after the whole sentence.
# A forecast at every step must not be bidirectional: the backward half would read the future.

# %% [markdown]
# **A resting place.** You can read a sequence. In the second sitting the network learns: what does the gradient do on the way back?

# %% [markdown]
# ## Back through time
#
# The unrolled network is an ordinary deep network, as deep as the sequence is long, whose layers share their weights.
# So backpropagation (chapter 4) works as it is; it has a name of its own, **backpropagation through time** (沿时间反向传播, BPTT).
# The gradient of a shared weight is the sum over all its uses.
#
# From the last state back to the state $d$ steps earlier the chain rule multiplies $d$ matrices,
#
# $$\frac{\partial h_T}{\partial h_{T-d}} = J_T\, J_{T-1} \cdots J_{T-d+1}, \qquad J_t = \mathrm{diag}(1 - h_t^2)\, W_{hh},$$
#
# where $1 - h_t^2$ is the slope of tanh, never above 1, and diag puts it on the diagonal of a matrix.
# $d$ factors smaller than 1 shrink like $0.8^d$: the gradient **vanishes** (梯度消失). $d$ factors larger than 1 grow: it **explodes** (梯度爆炸).
# Against explosion, `clip_grad_norm_` shortens a gradient that is longer than a given norm (1 in this chapter), before the optimizer's step.
#
# The common note "RNNs suit long-range dependence" is right in principle: there is a path from every step to every later one.
# In practice the question is how much comes through. We measure $\lVert \partial h_T / \partial x_{T-d} \rVert$,
# where $\partial h_T/\partial x$ is the $(H, C)$ matrix of all derivatives, and $\lVert\cdot\rVert$ the root of the sum of its squares
# (the Frobenius norm, 弗罗贝尼乌斯范数).
# $W_{hh}$ is PyTorch's own first value, or a rotation or mirror image (orthogonal matrix, 正交矩阵: it changes no length) times a factor.


# %%
def slopes_by_distance(net: nn.RNN, seq: torch.Tensor) -> torch.Tensor:
    """‖∂h_T/∂x_{T-d}‖ for d = 0 … T-1, adding up the squares unit by unit."""
    seq = seq.clone().requires_grad_()
    final = net(seq[None])[1].flatten()
    squares = sum(torch.autograd.grad(unit, seq, retain_graph=True)[0].square().sum(dim=1) for unit in final)
    return squares.sqrt().flip(0)


measured = {"PyTorch's start": [], "orthogonal × 0.7": [], "orthogonal × 1.0": [], "orthogonal × 1.5": []}
for name, seed in itertools.product(measured, range(3)):
    _ = torch.manual_seed(seed)
    net = nn.RNN(4, 32, batch_first=True)
    if "×" in name:
        nn.init.orthogonal_(net.weight_hh_l0, gain=float(name[-3:]))
    measured[name].append(slopes_by_distance(net, 0.3 * torch.randn(60, 4)))

# %%
fig, ax = plt.subplots(figsize=(7, 3.6))
for (name, lines), colour in zip(measured.items(), ["black", "tab:blue", "tab:green", "tab:red"], strict=True):
    for seed, line in enumerate(lines):
        ax.plot(line, color=colour, lw=1, label=name if seed == 0 else None)
ax.set(
    xlabel="distance d (steps)",
    ylabel=r"$\|\partial h_T / \partial x_{T-d}\|$ (log axis)",
    yscale="log",
    title="How far a gradient reaches, three seeds each",
)
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()
assert all(line[40] < 1e-6 * line[0] for name in ("PyTorch's start", "orthogonal × 0.7") for line in measured[name])
assert all(0.003 < line[40] / line[0] < 0.05 for line in measured["orthogonal × 1.0"]) and all(
    line[59] > line[0] for line in measured["orthogonal × 1.5"]
)

# %% [markdown]
# On the log axis a straight line is a constant factor a step.
# From PyTorch's start and from 0.7, less than a millionth of the slope is left at distance 40.
# The orthogonal matrix itself (× 1.0) loses far less, yet at distance 40 no more than three hundredths are left: tanh takes its share.
# With 1.5 the slope at distance 59 is larger than at 0, on all three seeds.
#
# Does this matter for learning? The task: remember one of four symbols, shown at the first step, while $d$ steps of noise follow; then name it.
# Chance is 0.25. The function can also train with a truncated gradient; we come to that below.


# %%
def remember(d: int, seed: int, steps_back: int | None = None) -> float:
    """Share of right answers after 250 updates; the gradient sees the last `steps_back` steps, or all."""
    _ = torch.manual_seed(seed)
    net, out = nn.RNN(5, 32, batch_first=True), nn.Linear(32, 4)
    optimizer = torch.optim.Adam([*net.parameters(), *out.parameters()], lr=0.003)
    cut = d + 1 - (steps_back or d + 1)

    def sample(n: int) -> tuple[torch.Tensor, torch.Tensor]:
        symbol, noise = torch.randint(4, (n,)), torch.zeros(n, d, 5)
        noise[:, :, 4] = torch.rand(n, d)
        return torch.cat([nn.functional.one_hot(symbol, 5)[:, None], noise], dim=1), symbol

    for _ in range(250):
        x, symbol = sample(64)
        with torch.no_grad():  # a forward run only: the state arrives, the gradient stops here
            before = net(x[:, :cut])[1] if cut else None
        loss = nn.functional.cross_entropy(out(net(x[:, cut:], before)[1][0]), symbol)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_([*net.parameters(), *out.parameters()], 1.0)
        optimizer.step()
    x, symbol = sample(1000)
    with torch.no_grad():
        return (out(net(x)[1][0]).argmax(dim=1) == symbol).double().mean().item()


# %% tags=["nbval-ignore-output"]
by_distance = {d: [remember(d, seed) for seed in range(3)] for d in (3, 10, 40)}
print({d: [f"{v:.2f}" for v in values] for d, values in by_distance.items()})
assert min(by_distance[3] + by_distance[10]) > 0.95 and max(by_distance[40]) < 0.5

# %% [markdown]
# The task is as easy at distance 40 as at 3: one symbol, four answers, and a state of 32 numbers.
# At 3 and 10 every seed learns it perfectly; at 40 none gets above chance (five seeds when this was written, and at 60 too).
# At 20 four of five learned it.
# A larger rate, 0.01, makes it a matter of luck: five seeds gave 0.48 to 1.00 at 40, 0.28 to 0.53 at 60, 0.26 to 1.00 at 100;
# its large steps may throw the weights to a place where a gradient does come through. It is the reach of the gradient that fails, not the size of the memory.
# **The corrected note**: an RNN *can* depend on far steps; gradient descent has trouble to *find* such a dependence.
# Chapter 21 builds cells that find it.

# %% [markdown]
# ### Exercise 6: correct the note: measure the reach (5 points)
#
# Write `reach(rnn, x)`: `rnn` is an `nn.RNN` with one layer, one direction, tanh and `batch_first=True`; `x` `(T, C)` is one sequence,
# starting from the zero state.
# Return a tensor `(T,)` without a graph (`requires_grad` False), whose entry `d` is $\lVert \partial h_T/\partial x_{T-d} \rVert$, the Frobenius norm
# of the $(H, C)$ matrix of derivatives of the last state: entry 0 is the last input, entry T − 1 the first.
# Afterwards `x` is as before (its `requires_grad` too), and the `.grad` of every parameter of `rnn`: nothing is added to it or taken away.
#
# By hand: one unit, $W_{ih} = 3$, $W_{hh} = -0.5$, no biases, `x` three zeros. All states are 0 and the slope of tanh at 0 is 1;
# so the derivatives are 3, $-0.5 \cdot 3$, $0.25 \cdot 3$, and the result is [3, 1.5, 0.75].
# With two units the gradient of the *sum* of the state is not enough: their slopes can cancel.
# `torch.autograd.functional.jacobian(f, x)` is allowed; it returns a tensor of the shape of `f(x)` followed by that of `x`.
#
# <details><summary>Hint 1</summary>Which shape has the Jacobian of the last state (H,) by x (T, C), and over which axes is the norm?</details>
# <details><summary>Hint 2</summary><code>rnn(x[None])</code> makes a batch of one; <code>.norm(dim=…)</code> takes several axes; then the
# order.</details>


# %% exercise="reach"
def reach(rnn: nn.RNN, x: torch.Tensor) -> torch.Tensor:
    """Norm of the derivative of the last state by the input d steps before the end, d = 0 … T-1; x is (T, C)."""
    # BEGIN SOLUTION
    jacobian = torch.autograd.functional.jacobian(lambda v: rnn(v[None])[1].flatten(), x)  # (H, T, C)
    return jacobian.norm(dim=(0, 2)).flip(0)
    # END SOLUTION


# %% check="reach-by-hand" points=2
def by_hand(into, steps, before=None):
    net, x = nn.RNN(len(into[0]), len(into), batch_first=True, bias=False), torch.tensor(steps)
    with torch.no_grad():
        net.weight_ih_l0.copy_(torch.tensor(into))
        net.weight_hh_l0.copy_(-0.5 * torch.eye(len(into)))
    for p in net.parameters():
        p.grad = None if before is None else torch.full_like(p, before)
    out = reach(net, x)
    return out, [p.grad if p.grad is None else p.grad.tolist() for p in net.parameters()], x.requires_grad


got, left, marked = by_hand([[3.0]], [[0.0]] * 3)
two, ones_left, _ = by_hand([[1.0, 2.0], [-2.0, 4.0]], [[0.0, 0.0]] * 3, 1.0)
bent, *_ = by_hand([[1.0]], [[1.0]])
assert type(got) is torch.Tensor, f"reach must return a tensor, got {type(got).__name__}. NoneType: is `return` missing?"
assert got.requires_grad is False, "the result must not carry a graph"
assert_close(
    got,
    torch.tensor([3.0, 1.5, 0.75]),
    msg=lambda m: (
        f"weights 3 and −0.5: [3, 1.5, 0.75], got {got.tolist()}. Rising: entry 0 is the LAST input. A minus: a norm has no sign. "
        f"Lists in lists: the Jacobian has the axes of f(x), then those of x\n{m}"
    ),
)
assert_close(
    two,
    torch.tensor([5.0, 2.5, 1.25]),
    msg=lambda m: (
        f"W_ih = [[1, 2], [−2, 4]]: the root of 1 + 4 + 4 + 16 is 5, so [5, 2.5, 1.25], got {two.tolist()}. "
        f"6.08 first: the gradient of the state's sum. 4.70: the largest singular value, not the Frobenius norm. 9: the sum of sizes\n{m}"
    ),
)
assert_close(
    bent,
    torch.tensor([1 - math.tanh(1.0) ** 2]),
    msg=lambda m: f"weight 1, one step, x = 1: the slope of tanh at 1 is 0.42, got {bent.tolist()}. 1: the slope of tanh is missing\n{m}",
)
assert left == [None, None], f"the .grad of the parameters was None before and must be so afterwards, got {left}: `backward` fills it"
assert ones_left == [[[1.0, 1.0]] * 2] * 2, f"the .grad of the parameters held ones and must do so afterwards, got {ones_left}: was it emptied?"
assert marked is False, "x.requires_grad was False before and is True afterwards: mark a copy"
print("passed: the norms fall by the factor 0.5 a step")


# %% hidden="reach-random" points=3
def measured_reach(state, inputs):
    net = nn.RNN(2, 4, batch_first=True)
    net.load_state_dict(state)
    for weight in net.parameters():
        weight.grad = torch.ones_like(weight)
    given = inputs.clone()
    return reach(net, given), [p.grad for p in net.parameters()], given.detach(), [given.requires_grad, given.grad is None]


_ = torch.manual_seed(20)
source, xs = nn.RNN(2, 4, batch_first=True), torch.randn(6, 2)
got, left, after, marks = measured_reach({k: v.clone() for k, v in source.state_dict().items()}, xs)
with torch.no_grad():
    W_in, W_back = source.weight_ih_l0, source.weight_hh_l0
    product, wanted = torch.eye(4), []
    for h in source(xs[None])[0][0].flip(0):
        product = product @ torch.diag(1 - h**2)
        wanted.append((product @ W_in).square().sum().sqrt())
        product = product @ W_back
assert_close(got, torch.stack(wanted), msg=lambda m: f"H=4, C=2, T=6: unlike the product of the Jacobians\n{m}")
assert all(g is not None and torch.equal(g, torch.ones_like(g)) for g in left), (
    "the .grad of a parameter was changed: use autograd.grad or jacobian, not backward"
)
assert torch.equal(after, xs) and marks == [False, True], "x must stay as it was, without requires_grad and without a .grad"


# %% wrong="reach-by-time" fails="reach-by-hand reach-random"
def reach(rnn, x):
    J = torch.autograd.functional.jacobian(lambda v: rnn(v[None])[1].flatten(), x)
    return J.square().sum(dim=(0, 2)).sqrt()


# %% [markdown] mistake="reach-by-time"
# Returns the norms in the order of time, the first input first.
#
# In the example by hand you return [0.75, 1.5, 3]: the numbers are right, the order is not. Entry d belongs to the input d steps before the
# end; which input is entry 0, and where does it stand in `x`?

# %% wrong="reach-of-the-sum" fails="reach-by-hand reach-random"
def reach(rnn, x):
    v = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(rnn(v[None])[1].sum(), v)
    return slope.norm(dim=1).flip(0)


# %% [markdown] mistake="reach-of-the-sum"
# Differentiates the sum of the last state, in which the slopes of units can cancel.
#
# One input and two units with the slopes 1 and −1: the norm is the root of 2, about 1.41, but the slope of the sum is 0. The matrix of
# derivatives has one row for each unit; how many rows does what you compute have?

# %% wrong="reach-signed" fails="reach-by-hand reach-random"
def reach(rnn, x):
    J = torch.autograd.functional.jacobian(lambda v: rnn(v[None])[1].flatten(), x)
    return J.sum(dim=(0, 2)).flip(0)


# %% [markdown] mistake="reach-signed"
# Adds up the derivatives themselves; no norm is taken.
#
# In the example by hand your second entry is −1.5, and a norm is never negative. Two units with the slopes 3 and −4 give −1 in your answer
# and 5 by the definition; what does the Frobenius norm do to each number before it adds?

# %% wrong="reach-all-states" fails="reach-by-hand reach-random"
def reach(rnn, x):
    J = torch.autograd.functional.jacobian(lambda v: rnn(v[None])[0][0], x)
    return J.square().sum(dim=(0, 1, 3)).sqrt().flip(0)


# %% [markdown] mistake="reach-all-states"
# Differentiates the states of all steps, not only the last one.
#
# In the example by hand you return 3, 3.35 and 3.44: the numbers grow with the distance, since an early input moves every state after it.
# Which state stands above the fraction line in the statement? Compare the shape of your Jacobian with an (H, C) matrix for each input.

# %% wrong="reach-backward" fails="reach-by-hand reach-random"
def reach(rnn, x):
    v, total = x.clone().requires_grad_(), torch.zeros(len(x))
    for unit in range(rnn.hidden_size):
        v.grad = None
        rnn(v[None])[1][0, 0, unit].backward()
        total = total + v.grad.square().sum(dim=1)
    return total.sqrt().flip(0)


# %% [markdown] mistake="reach-backward"
# Uses `backward`, which adds to the `.grad` of the network's parameters.
#
# The norms are right, but after the call the parameters of `rnn` hold gradients that were not there before, and the next optimizer step
# would use them. Print one `.grad` before and after; how else can derivatives be asked for?

# %% wrong="reach-spectral" fails="reach-by-hand reach-random"
def reach(rnn, x):
    J = torch.autograd.functional.jacobian(lambda v: rnn(v[None])[1].flatten(), x)
    return torch.linalg.matrix_norm(J.transpose(0, 1), ord=2).flip(0)


# %% [markdown] mistake="reach-spectral"
# Takes the largest singular value instead of the Frobenius norm.
#
# A matrix of derivatives with 3 and 4 on the diagonal and zeros elsewhere has the Frobenius norm 5; you return 4. With one unit or one
# input number the two norms agree, so test with two of each, and look up the definition in the chapter.

# %% wrong="reach-zero-grad" fails="reach-by-hand reach-random"
def reach(rnn, x):
    v, total = x.clone().requires_grad_(), torch.zeros(len(x))
    for unit in range(rnn.hidden_size):
        v.grad = None
        rnn(v[None])[1][0, 0, unit].backward()
        total = total + v.grad.square().sum(dim=1)
    rnn.zero_grad()
    return total.sqrt().flip(0)


# %% [markdown] mistake="reach-zero-grad"
# Uses `backward` and then empties the `.grad` of all parameters, also of what stood there before.
#
# If the parameters hold gradients of ones before the call, they hold none afterwards: whoever measures the reach in the middle of a training
# step loses it. Is there a way to ask for derivatives that never touches `.grad`?

# %% wrong="reach-marks-x" fails="reach-by-hand reach-random"
def reach(rnn, x):
    x.requires_grad_()
    h = rnn(x[None])[1].flatten()
    squares = [torch.autograd.grad(unit, x, retain_graph=True)[0].square().sum(dim=1) for unit in h]
    return torch.stack(squares).sum(dim=0).sqrt().flip(0)


# %% [markdown] mistake="reach-marks-x"
# Sets `requires_grad` on the caller's `x` and leaves it so.
#
# The norms are right, but after the call `x.requires_grad` is True, and all that is computed from `x` later drags a graph along. The
# statement says how `x` must be afterwards; on which tensor could the mark stand instead?

# %% right="reach-unit-by-unit"
def reach(rnn, x):
    v = x.detach().clone().requires_grad_(True)
    h = rnn(v[None])[1].reshape(-1)
    rows = torch.stack([torch.autograd.grad(h[k], v, retain_graph=True)[0] for k in range(len(h))])
    return torch.stack([torch.linalg.matrix_norm(rows[:, t]) for t in reversed(range(len(x)))])


# %% [markdown] survives="reach"
# - `return jacobian.norm(dim=(0, 2)).flip(-1)`: the only axis is also the last one

# %% [markdown] explanation="reach"
# The Jacobian of all units keeps what the gradient of a sum would cancel.
# An average over time would hide the decay, for the nearest steps dominate it.
# `backward` would also fill the parameters' `.grad`, and the next optimizer step would use it.
# A slope is local: the reach is measured at this input and these weights. With a saturated tanh (states near ±1) it is far shorter.

# %% [markdown]
# ## Truncated backpropagation
#
# BPTT keeps every step until the backward pass: memory grows with the length of the sequence.
# **Truncated BPTT** (截断的 BPTT) cuts a long sequence into chunks of $k$ steps.
# The *state* is passed on from chunk to chunk, but detached (`detach`, chapter 4): the forward memory is whole, the gradient stops at the border.
# We count the numbers that autograd keeps for one chunk, and look at $\lVert\partial h_t / \partial x_s\rVert$ for every pair of steps.

# %%
_ = torch.manual_seed(0)
net = nn.RNN(1, 8, batch_first=True)
nn.init.orthogonal_(net.weight_hh_l0)
own = {p.data_ptr() for p in net.parameters()}


def numbers_kept(k: int) -> int:
    """Numbers that autograd saves, parameters left out, for a chunk of k steps of 16 sequences."""
    kept = {}
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.setdefault((t.data_ptr(), t.shape), t), lambda t: t):
        _ = net(torch.randn(16, k, 1))
    return sum(t.numel() for (place, _), t in kept.items() if place not in own)


def pair_slopes(k: int) -> torch.Tensor:
    """‖∂h_t/∂x_s‖ (T, T) for 24 steps in chunks of k."""
    x, state, lines = torch.zeros(1, 24, 1, requires_grad=True), None, []
    for part in x.split(k, dim=1):
        states, state = net(part, state)
        state = state.detach()
        lines += [torch.autograd.grad(unit, x, retain_graph=True)[0].flatten() for unit in states.flatten()]
    return torch.stack(lines).view(24, 8, 24).norm(dim=1)


fig, axes = plt.subplots(1, 3, figsize=(11, 3.2))
lengths_k = [1, 5, 10, 20, 40, 60]
kept_numbers = [numbers_kept(k) for k in lengths_k]
axes[0].plot(lengths_k, [n / 1000 for n in kept_numbers], "o-")
axes[0].set(xlabel="chunk length k (steps)", ylabel="numbers kept (thousands)", title="Memory of one chunk")
for ax, k in zip(axes[1:], (24, 6), strict=True):
    slopes = pair_slopes(k).log10().clamp(min=-4)
    picture = ax.imshow(slopes, cmap="magma", vmin=-4, vmax=0)
    ax.set(xlabel="input step s", ylabel="state at step t", title="whole" if k == 24 else f"chunks of {k}")
fig.colorbar(picture, ax=axes[1:], label=r"$\log_{10} \|\partial h_t / \partial x_s\|$")
plt.show()
assert 2.5 < kept_numbers[-1] / kept_numbers[3] < 3.1  # 60 steps against 20
assert pair_slopes(24).tril().ne(0).sum() == 300 and pair_slopes(24)[23, 0] > 1e-4 and pair_slopes(6).ne(0).sum() == 4 * 21

# %% [markdown]
# Left: a straight line; each step more keeps the same amount more (here an input and 8 numbers of state for each of 16 sequences).
# Middle: every state reaches back to the first input, but the farther, the darker. Black is nothing: no state knows a later input.
# Right: nothing goes back across a border. The first step of a chunk sees only its own input, the last one all $k$ of its chunk, although *values* do cross.
#
# The price is seen in the memory task above, at distance 10. With a gradient through the last 2 of 11 steps, the symbol itself never gets a gradient.

# %% tags=["nbval-ignore-output"]
cut_off = [remember(10, seed, steps_back=2) for seed in range(3)]
print("2 steps:", [f"{v:.2f}" for v in cut_off], " whole:", [f"{v:.2f}" for v in by_distance[10]])
assert sum(cut_off) / 3 < 0.85 and min(by_distance[10]) > 0.95

# %% [markdown]
# The whole gradient gets everything right on every seed; with 2 steps it was 0.39 to 1.00 on nine seeds, 0.67 on average.
# Why above chance at all? Untrained weights carry only a faint trace of the symbol: if they are frozen, the last layer alone stays at 0.22 to 0.28.
# But $W_{hh}$ and the biases are shared by all steps, so what the last two steps teach them can, by luck, make the trace stronger too.
# Nothing teaches the network how to write the symbol down: the symbol's columns of $W_{ih}$ get no gradient.

# %% [markdown]
# ### Exercise 7: truncated BPTT (8 points)
#
# Write `bptt_truncated(rnn, head, x, y, k)`: `rnn` an `nn.RNN` (one layer, one direction, `batch_first=True`), `head` an `nn.Linear` from
# its H numbers to K; `x` `(B, T, C)`, `y` `(B, T, K)`.
#
# - Cut the T steps into chunks of `k`, from the left; the last chunk may be shorter. Starting from the zero state, pass the state on
#   from chunk to chunk, **detached**.
# - For each chunk, in order: run it, compute the sum of the squared errors of its steps **divided by B·T·K** (T of the whole sequence, so the
#   chunks' losses add up to the mean squared error), and call `backward` on it, before the next chunk is run.
# - Return the sum of the chunks' losses as a Python `float`.
#
# Gradients are *added* to `.grad` of the parameters of `rnn` and `head`: do not zero them, and make no optimizer step.
# `k < 1` raises `ValueError`; with `k ≥ T` it is the whole BPTT.
#
# By hand, with `nonlinearity="relu"`, all weights 1, biases 0, `x` = 1, 1 and targets 0, 0: states 1 and 2, loss $(1 + 4)/2 = 2.5$.
# The gradient of $W_{ih}$: step 2 gives $2 \cdot 2/2 = 2$ times its input 1; step 1 has its own $2 \cdot 1/2 = 1$, and 2 more that come back from
# step 2. Whole: $2 + 3 = 5$. With $k = 1$ those 2 are cut off: $2 + 1 = 3$.
#
# <details><summary>Hint 1</summary>What would the second <code>backward</code> walk through, if the state were not detached?</details>
# <details><summary>Hint 2</summary><code>x.split(k, dim=1)</code> cuts; <code>rnn(chunk, state)</code> takes a start state, and
# <code>None</code> means zeros.</details>


# %% exercise="bptt"
def bptt_truncated(rnn: nn.RNN, head: nn.Linear, x: torch.Tensor, y: torch.Tensor, k: int) -> float:
    """Add the gradients of the MSE, cut every k steps, to .grad of rnn and head; return the loss. ValueError if k < 1."""
    # BEGIN SOLUTION
    if k < 1:
        raise ValueError("k must be at least 1")
    state, total = None, 0.0
    for start in range(0, x.shape[1], k):
        chunk = slice(start, start + k)
        states, state = rnn(x[:, chunk], state)
        loss = (head(states) - y[:, chunk]).square().sum() / y.numel()
        loss.backward()
        total += loss.item()
        state = state.detach()
    return total
    # END SOLUTION


# %% check="bptt-by-hand" points=3
def by_hand(k, T=2, B=1):
    net, last, order = nn.RNN(1, 1, batch_first=True, nonlinearity="relu"), nn.Linear(1, 1), []
    with torch.no_grad():
        for p, value in zip([*net.parameters(), *last.parameters()], (1.0, 1.0, 0.0, 0.0, 1.0, 0.0), strict=True):
            p.fill_(value)
            p.grad = torch.full_like(p, 10.0)
    net.register_forward_pre_hook(lambda *_: order.append("run"))
    net.weight_ih_l0.register_hook(lambda _: order.append("backward"))
    try:
        loss = bptt_truncated(net, last, torch.ones(B, T, 1), torch.zeros(B, T, 1), k)
    except RuntimeError as e:
        if "second time" not in str(e):
            raise
        return f"RuntimeError: {str(e)[:60]}", None, None
    added = [None if p.grad is None else p.grad.item() - 10 for p in (net.weight_ih_l0, last.bias)]
    return loss, added, [word for word, _ in itertools.groupby(order)]


def error_of_zero():
    try:
        bptt_truncated(nn.RNN(1, 1, batch_first=True), nn.Linear(1, 1), torch.ones(1, 2, 1), torch.zeros(1, 2, 1), 0)
    except Exception as e:
        return type(e).__name__
    return "no error"


whole, cut, short, problem = by_hand(2), by_hand(1), by_hand(2, T=3, B=2), error_of_zero()
assert type(whole[0]) is float, f"k=2 must return a Python float, got {whole[0]!r}"
assert abs(whole[0] - 2.5) < 1e-5 and whole[1] == [5, 3], (
    f"k=2: loss 2.5; 5 added to the gradient of W_ih and 3 to that of the head's bias, got {whole[0]:.4g} and {whole[1]}. "
    "5.0 as loss: not divided by B·T·K. 0 added: `backward` was not called. −5 or −7 added, or None: the 10 that stood in .grad before is gone"
)
assert type(cut[0]) is float, f"k=1 must return a float, got {cut[0]!r}. 'backward … a second time': the state was not detached"
assert abs(cut[0] - 2.5) < 1e-5, (
    f"k=1: the loss is 2.5 as before, got {cut[0]:.4g}. 1: the state was not passed on. 5: divided by the chunk's size"
)
assert cut[1] == [3, 3], (
    f"k=1: 3 added to the gradients of W_ih and of the head's bias, got {cut[1]}. "
    "5 in the first: the gradient crossed the border, or the batch was cut, not the time (dim=1). 2 in both: only the last chunk counted"
)
assert cut[2] == ["run", "backward"] * 2, (
    f"k=1, two steps: run, backward, run, backward in this order, got {cut[2]}. run, backward: the graphs of all chunks were kept until the end"
)
assert type(short[0]) is float and abs(short[0] - 14 / 3) < 1e-4 and short[1] is not None and abs(short[1][0] - 16 / 3) < 1e-4, (
    f"two equal sequences of three steps, k=2: loss (1 + 4 + 9)/3 = 4.667, and 5.333 added to the gradient of W_ih, got {short[:2]}. "
    "1.667: the last, shorter chunk is lost. 9.333 as loss: not divided by B. Another number added: the cuts stand elsewhere"
)
assert problem == "ValueError", f"k=0 must raise ValueError, got {problem}"
print("passed: values cross the border, gradients do not")


# %% hidden="bptt-random" points=3
def slopes_and_loss(net_state, head_state, inputs, wanted, k):
    net, last = nn.RNN(2, 4, batch_first=True), nn.Linear(4, 3)
    net.load_state_dict(net_state)
    last.load_state_dict(head_state)
    loss = bptt_truncated(net, last, inputs, wanted, k)
    return loss, [p.grad for p in (*net.parameters(), *last.parameters())]


_ = torch.manual_seed(20)
source, top = nn.RNN(2, 4, batch_first=True), nn.Linear(4, 3)
xs, ys = torch.randn(5, 7, 2), torch.randn(5, 7, 3)
for k in (1, 3, 7, 50):
    got = slopes_and_loss(
        {n: p.clone() for n, p in source.state_dict().items()}, {n: p.clone() for n, p in top.state_dict().items()}, xs, ys, k
    )
    h, errors = torch.zeros(1, 5, 4), []
    for t in range(7):
        h = h.detach() if t % k == 0 else h
        step_out, h = source(xs[:, t : t + 1], h)
        errors.append((top(step_out) - ys[:, t : t + 1]).square())
    mse = torch.cat(errors, dim=1).mean()
    slopes = torch.autograd.grad(mse, [*source.parameters(), *top.parameters()])
    assert type(got[0]) is float and abs(got[0] - mse.item()) < 1e-4, f"T=7, k={k}: the loss is {mse.item():.4g}, got {got[0]}"
    assert_close(got[1], list(slopes), msg=lambda m, k=k: f"T=7, k={k}: gradients\n{m}")


# %% hidden="bptt-adds" points=2
def twice_and_error(net_state):
    net, last = nn.RNN(1, 2, batch_first=True), nn.Linear(2, 1)
    net.load_state_dict(net_state)
    before = [p.detach().clone() for p in (*net.parameters(), *last.parameters())]
    _ = bptt_truncated(net, last, torch.ones(2, 4, 1), torch.zeros(2, 4, 1), 2)
    once = [p.grad.clone() for p in (*net.parameters(), *last.parameters())]
    _ = bptt_truncated(net, last, torch.ones(2, 4, 1), torch.zeros(2, 4, 1), 2)
    same = all(torch.equal(a, b) for a, b in zip(before, (*net.parameters(), *last.parameters()), strict=True))
    problems = []
    for k in (0, -1):
        try:
            bptt_truncated(net, last, torch.ones(2, 4, 1), torch.zeros(2, 4, 1), k)
            problems.append("no error")
        except Exception as e:
            problems.append(type(e).__name__)
    return once, [p.grad for p in (*net.parameters(), *last.parameters())], same, problems


once, second, same, problems = twice_and_error(nn.RNN(1, 2, batch_first=True).state_dict())
assert_close(second, [2 * g for g in once], msg=lambda m: f"called twice, the gradients must add up to the double: nothing is zeroed\n{m}")
assert same, "the parameters were changed: there is no optimizer step in this function"
assert problems == ["ValueError"] * 2, f"k = 0 and k = -1 must raise ValueError, got {problems}"


# %% wrong="bptt-no-detach" fails="bptt-by-hand bptt-random"
def bptt_truncated(rnn, head, x, y, k):
    if k < 1:
        raise ValueError("k")
    h, total = None, 0.0
    for xb, yb in zip(x.split(k, 1), y.split(k, 1), strict=True):
        out, h = rnn(xb, h)
        part = (head(out) - yb).pow(2).sum() / y.numel()
        part.backward()
        total += part.item()
    return total


# %% [markdown] mistake="bptt-no-detach"
# Passes the state on to the next chunk with its graph, not detached.
#
# One chunk works. With two, the second `backward` walks into the graph of the first, which is already freed, and stops with "Trying to
# backward through the graph a second time". What should cross the border between two chunks: the value, the graph, or both?

# %% wrong="bptt-retained" fails="bptt-by-hand bptt-random"
def bptt_truncated(rnn, head, x, y, k):
    if k < 1:
        raise ValueError("k")
    h, total = None, 0.0
    for xb, yb in zip(x.split(k, 1), y.split(k, 1), strict=True):
        out, h = rnn(xb, h)
        part = (head(out) - yb).pow(2).sum() / y.numel()
        part.backward(retain_graph=True)
        total += part.item()
    return total


# %% [markdown] mistake="bptt-retained"
# Lets gradients cross the borders between chunks: old graphs are kept, not cut off.
#
# In the example by hand with k = 1 you add 5 to the gradient of the input weight, as the whole BPTT does, and 3 is asked. Keeping the
# graphs alive silences an error message, not its cause; in which way does the statement pass on the state?

# %% wrong="bptt-forgets" fails="bptt-by-hand bptt-random"
def bptt_truncated(rnn, head, x, y, k):
    if k < 1:
        raise ValueError("k")
    total = 0.0
    for xb, yb in zip(x.split(k, 1), y.split(k, 1), strict=True):
        part = (head(rnn(xb)[0]) - yb).pow(2).sum() / y.numel()
        part.backward()
        total += part.item()
    return total


# %% [markdown] mistake="bptt-forgets"
# Starts every chunk from the zero state; nothing is passed on.
#
# In the example by hand with k = 1 your states are 1 and 1, so you return the loss (1 + 1)/2 = 1 and not 2.5. Truncation ends the gradient
# at the border; what should happen to the value of the state there?

# %% wrong="bptt-mean-of-chunk" fails="bptt-by-hand bptt-random"
def bptt_truncated(rnn, head, x, y, k):
    if k < 1:
        raise ValueError("k")
    h, total = None, 0.0
    for xb, yb in zip(x.split(k, 1), y.split(k, 1), strict=True):
        out, h = rnn(xb, h)
        part = (head(out) - yb).pow(2).mean()
        part.backward()
        total += part.item()
        h = h.detach()
    return total


# %% [markdown] mistake="bptt-mean-of-chunk"
# Divides each chunk's error by the chunk's own size, not by B·T·K.
#
# In the example by hand with k = 1 you return 1 + 4 = 5, although the mean squared error is 2.5: the more chunks, the larger your loss. Add
# up the chunks' losses on paper for k = 1 and k = 2; they should be the same number.

# %% wrong="bptt-zeroed" fails="bptt-by-hand bptt-random bptt-adds"
def bptt_truncated(rnn, head, x, y, k):
    if k < 1:
        raise ValueError("k")
    h, total = None, 0.0
    for xb, yb in zip(x.split(k, 1), y.split(k, 1), strict=True):
        rnn.zero_grad()
        head.zero_grad()
        out, h = rnn(xb, h)
        part = (head(out) - yb).pow(2).sum() / y.numel()
        part.backward()
        total += part.item()
        h = h.detach()
    return total


# %% [markdown] mistake="bptt-zeroed"
# Sets the gradients to zero before every chunk.
#
# In the example by hand with k = 1 only the 2 of the last chunk is left in the gradient of the input weight; the share of the first chunk,
# and all that stood there before the call, are gone. What does the statement say about gradients that are already there?

# %% wrong="bptt-zeroed-first" fails="bptt-by-hand bptt-adds"
def bptt_truncated(rnn, head, x, y, k):
    if k < 1:
        raise ValueError("k")
    rnn.zero_grad()
    head.zero_grad()
    h, total = None, 0.0
    for xb, yb in zip(x.split(k, 1), y.split(k, 1), strict=True):
        out, h = rnn(xb, h)
        part = (head(out) - yb).pow(2).sum() / y.numel()
        part.backward()
        total += part.item()
        h = h.detach()
    return total


# %% [markdown] mistake="bptt-zeroed-first"
# Sets the gradients to zero at the start of the call.
#
# If the gradient of the input weight holds 10 before the example with k = 2, it must hold 15 afterwards, and with your answer it holds 5.
# Two calls in a row should add up; who decides when gradients begin anew, this function or its caller?

# %% wrong="bptt-short-chunk-lost" fails="bptt-by-hand bptt-random"
def bptt_truncated(rnn, head, x, y, k):
    if k < 1:
        raise ValueError("k")
    h, total = None, 0.0
    for start in range(0, x.shape[1] - k, k):
        out, h = rnn(x[:, start : start + k], h)
        part = (head(out) - y[:, start : start + k]).pow(2).sum() / y.numel()
        part.backward()
        total += part.item()
        h = h.detach()
    return total


# %% [markdown] mistake="bptt-short-chunk-lost"
# Never runs the last chunk.
#
# In the example by hand with k = 2 no chunk runs at all: the loss is 0.0 and no gradient arrives. With three steps of 1 and k = 2 you
# return 1.67, where 4.67 is right. Write down at which steps your chunks begin in both cases.

# %% wrong="bptt-one-backward" fails="bptt-by-hand"
def bptt_truncated(rnn, head, x, y, k):
    if k < 1:
        raise ValueError("k")
    h, total = None, 0.0
    for xb, yb in zip(x.split(k, 1), y.split(k, 1), strict=True):
        out, h = rnn(xb, h)
        total = total + (head(out) - yb).pow(2).sum() / y.numel()
        h = h.detach()
    total.backward()
    return total.item()


# %% [markdown] mistake="bptt-one-backward"
# Calls `backward` once at the end, for the sum of all chunks.
#
# Loss and gradients are right, but the graph of every chunk is kept until the last one has run, so the memory grows with T as in the whole
# BPTT. At which moment does the statement ask for `backward`, and what is freed by it?

# %% wrong="bptt-any-k" fails="bptt-by-hand bptt-adds"
def bptt_truncated(rnn, head, x, y, k):
    h, total = None, 0.0
    for xb, yb in zip(x.split(k, 1), y.split(k, 1), strict=True):
        out, h = rnn(xb, h)
        part = (head(out) - yb).pow(2).sum() / y.numel()
        part.backward()
        total += part.item()
        h = h.detach()
    return total


# %% [markdown] mistake="bptt-any-k"
# Does not look at `k`: 0 or −1 raises no `ValueError`.
#
# What comes for k = 0 is left to the rest of your answer: an error of PyTorch, or a loop that does nothing. The statement names the values
# of `k` that are refused, and the error; where must that test stand?

# %% right="bptt-while"
def bptt_truncated(rnn, head, x, y, k):
    if k <= 0:
        raise ValueError("k")
    h, losses, start = x.new_zeros(1, x.shape[0], rnn.hidden_size), [], 0
    while start < x.shape[1]:
        out, h = rnn(x[:, start : start + k], h.detach())
        share = out.shape[1] / x.shape[1]
        losses.append(nn.functional.mse_loss(head(out), y[:, start : start + k]) * share)
        losses[-1].backward()
        start += k
    return float(sum(v.item() for v in losses))


# %% [markdown] survives="bptt"
# - `if k < 0:`: for k = 0 the `range` raises a ValueError of its own

# %% [markdown] explanation="bptt"
# Without `detach` the second backward pass walks into the first chunk's graph, which is already freed: "Trying to backward through the graph a
# second time". The advice in that message, `retain_graph=True`, removes the error and the truncation with it: the memory grows again.
# A state that is not passed on is the opposite mistake: then not even values cross the border.
# Dividing by the whole B·T·K makes the gradient for k ≥ T exactly that of the mean squared error, and a short last chunk weighs less.
# In training one usually makes an optimizer step after each chunk: more steps from the same sequence, each with a gradient of shorter reach.

# %% [markdown]
# **A resting place.** You can train through time. The third sitting has three real tasks, each with its baseline.

# %% [markdown]
# ## Real task 1: sunspots
#
# The number of spots on the sun has been counted each year since 1700; it rises and falls in cycles of about eleven years.
# Can we forecast next year from the last 22?
# The order of time is kept: we train on years before 1900, choose on 1900 to 1949, and report on 1950 to 2008.
# A random split would put 1960 and 1962 into the training and ask for 1961.
# That is a **leak** (数据泄漏): the model has seen what no forecast can know.

# %%
sun = pd.read_csv(DATA / "sunspots.csv")
years, spots = torch.tensor(sun["YEAR"].to_numpy()).int(), torch.tensor(sun["SUNACTIVITY"].to_numpy()).float()
fig, ax = plt.subplots(figsize=(10, 2.6))
for first, last, name, colour in ((1700, 1900, "train", "0.4"), (1900, 1950, "validate", "tab:orange"), (1950, 2009, "test", "tab:blue")):
    part = (years >= first - 1) & (years < last)
    ax.plot(years[part], spots[part], color=colour, label=name)
ax.set(xlabel="year", ylabel="sunspots (yearly mean)", title="309 years of sunspots", ylim=(0, 250))
ax.legend(loc="upper left", ncols=3)
plt.show()

# %% [markdown]
# The cycles have unequal heights and lengths, and the tallest of all stands in the part that we test on.
#
# A **window** (滑动窗口) of $w$ past values is one sample, and the value $h$ steps after its end, the **horizon** (预测步长), is its target.

# %% [markdown]
# ### Exercise 8: windows without a leak (5 points)
#
# Write `window(series, w, h)`: `series` is a tensor `(T,)`, `w` ≥ 1 and `h` ≥ 1 are ints.
# Return a tuple `(X, y)`. Row `i` of `X`, shape `(N, w)`, holds `series[i]` to `series[i + w − 1]`; `y[i]`, shape `(N,)`, is the value `h` steps after
# the last of them. So `h = 1` means the very next value. N is as large as possible, in the order of time.
# `w < 1`, `h < 1`, or $T < w + h$ (not one sample fits) raise `ValueError`.
# Both have the dtype of `series`, float64 and int64 too, and share no memory with it: a change in them changes neither `series` nor another row.
#
# By hand: 10, 20, 30, 40, 50, 60 with `w = 3`, `h = 2` gives the rows (10, 20, 30) and (20, 30, 40) and the targets 50 and 60.
#
# <details><summary>Hint 1</summary>At which index does the target of row 0 stand?</details>
# <details><summary>Hint 2</summary>The last target is the last value of the series: how many starts does that leave?</details>


# %% exercise="window"
def window(series: torch.Tensor, w: int, h: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Windows X (N, w) of series (T,) and the values y (N,) h steps after each window's last; ValueError if none fits."""
    # BEGIN SOLUTION
    n = len(series) - w - h + 1
    if min(w, h, n) < 1:
        raise ValueError("w and h must be at least 1, and the series long enough")
    return torch.stack([series[i : i + w] for i in range(n)]), series[-n:].clone()
    # END SOLUTION


# %% check="window-by-hand" points=1
got = window(torch.tensor([10.0, 20.0, 30.0, 40.0, 50.0, 60.0]), 3, 2)
kinds = [type(v).__name__ for v in got] if type(got) is tuple else type(got).__name__
assert kinds == ["Tensor", "Tensor"], f"window must return a tuple of two tensors, got {kinds}"
assert_close(
    got,
    (torch.tensor([[10.0, 20.0, 30.0], [20.0, 30.0, 40.0]]), torch.tensor([50.0, 60.0])),
    msg=lambda m: (
        f"w=3, h=2: rows (10 20 30), (20 30 40), targets 50, 60; got {got[0].tolist()} and {got[1].tolist()}. "
        f"First target 30: it stands in its own window; 40: h is one too small; 60: one too large. "
        f"One row and 50: the last window is lost\n{m}"
    ),
)
print("passed: the example worked by hand")


# %% check="window-next" points=1
def change_one():
    values = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    X, y = window(values, 2, 1)
    X[0, 1], y[-1] = 9.0, 9.0
    return values.tolist(), X[1, 0].item()


def outcome(w, h):
    try:
        X, y = window(torch.tensor([10.0, 20.0, 30.0, 40.0, 50.0]), w, h)
    except Exception as e:
        return type(e).__name__
    return [X.tolist(), y.tolist()]


got = window(torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64), 2, 1)
kinds = type(got).__name__
if type(got) is tuple:
    kinds = [str(v.dtype) if type(v) is torch.Tensor else type(v).__name__ for v in got]
assert kinds == ["torch.float64"] * 2, (
    f"a float64 series: window must return a tuple of two float64 tensors, X and y, got {kinds}. "
    "NoneType: is `return` missing? float32: through Python lists the dtype is lost"
)
assert [v.tolist() for v in got] == [[[0.1, 0.2], [0.2, 0.3]], [0.3, 0.4]], (
    f"0.1 to 0.4 with w=2, h=1: rows (0.1 0.2), (0.2 0.3), targets 0.3, 0.4, got {[v.tolist() for v in got]}. "
    "0.30000001…: the values went through float32"
)
series_, neighbour = change_one()
assert series_ == [0.1, 0.2, 0.3, 0.4], f"9 was written into X and y, and now the series is {series_}: they must be copies"
assert neighbour == 0.2, f"9 was written into row 0 of X, and row 1 now begins with {neighbour}: the rows share their memory"
got = outcome(2, 3)
assert got == [[[10.0, 20.0]], [50.0]], (
    f"10 to 50 with w=2, h=3: one sample fits, [[10, 20]] and [50], got {got}. ValueError: T = w + h is long enough. "
    "A list too few: X must keep its two axes. Another target: it stands at i + w − 1 + h"
)
got = [outcome(3, 3), outcome(3, 0), outcome(0, 1)]
assert got == ["ValueError"] * 3, (
    f"T=5 with (w, h) = (3, 3), where the first target would be the sixth value, and with (3, 0) and (0, 1): three ValueErrors, got {got}"
)
print("passed: h = 1 is the very next value; copies, in the dtype of the series")


# %% hidden="window-sizes" points=2
def changed():
    s = torch.arange(8.0)
    X, y = window(s, 3, 1)
    X += 1
    y += 1
    return s, X


def lists_of(series, w, h):
    X, y = window(series, w, h)
    return [str(X.dtype), X.tolist(), str(y.dtype), y.tolist()]


for n, w, h in ((12, 4, 3), (9, 1, 1), (7, 5, 2), (10, 2, 8)):
    got = lists_of(torch.arange(2 * n)[::2], w, h)
    rows = [(list(range(i, i + w)), i + w - 1 + h) for i in range(n) if i + w - 1 + h < n]
    wanted = ["torch.int64", [[2 * v for v in r] for r, _ in rows], "torch.int64", [2 * t for _, t in rows]]
    assert got == wanted, f"int64, T={n}, w={w}, h={h}: expected {wanted}, got {got}"
got = lists_of(2**60 + torch.arange(4), 2, 1)
assert [got[1], got[3]] == [[[2**60, 2**60 + 1], [2**60 + 1, 2**60 + 2]], [2**60 + 2, 2**60 + 3]], f"int64 numbers were rounded: {got}"
after, moved = changed()
assert torch.equal(after, torch.arange(8.0)), f"X and y must be copies: changing them changed the series to {after.tolist()}"
assert moved[1].tolist() == [2.0, 3.0, 4.0], f"row 1 plus one must be 2, 3, 4, got {moved[1].tolist()}: the windows share their memory"


# %% hidden="window-errors" points=1
def problems():
    out = []
    for n, w, h in ((5, 3, 3), (5, 0, 1), (5, 1, 0), (5, -1, 2), (5, 3, 2)):
        try:
            window(torch.zeros(n), w, h)
            out.append("fits")
        except Exception as e:
            out.append(type(e).__name__)
    return out


got = problems()
assert got == ["ValueError"] * 4 + ["fits"], (
    f"T=5 with (w, h) = (3, 3), (0, 1), (1, 0), (−1, 2), (3, 2): four ValueErrors, then it fits; got {got}"
)


# %% wrong="window-target-inside" fails="window-by-hand window-next window-sizes"
def window(series, w, h):
    n = len(series) - w - h + 1
    if w < 1 or h < 1 or n < 1:
        raise ValueError("too short")
    starts = range(n)
    return torch.stack([series[s : s + w].clone() for s in starts]), torch.stack([series[s + w - 1] for s in starts])


# %% [markdown] mistake="window-target-inside"
# Takes the last value of the window itself as the target.
#
# In the example by hand the targets come out as 30 and 40, which already stand in their windows, so a model has only to copy them. At which
# index does a window end, and how far behind it does the statement place the target?

# %% wrong="window-horizon-from-zero" fails="window-by-hand window-next window-sizes"
def window(series, w, h):
    n = len(series) - w - h
    if w < 1 or h < 1 or n < 1:
        raise ValueError("too short")
    starts = range(n)
    return torch.stack([series[s : s + w] for s in starts]), torch.stack([series[s + w + h] for s in starts])


# %% [markdown] mistake="window-horizon-from-zero"
# Places the target one step too far: `h` is counted from 0.
#
# In the example by hand the first target is 60 and not 50, and the second window falls away. With `h = 1` the target must be the very next
# value, and yours is the one after it; number the six values from 0 and count.

# %% wrong="window-last-lost" fails="window-by-hand window-next window-sizes window-errors"
def window(series, w, h):
    n = len(series) - w - h
    if w < 1 or h < 1 or n < 1:
        raise ValueError("too short")
    starts = range(n)
    return torch.stack([series[s : s + w] for s in starts]), torch.stack([series[s + w + h - 1] for s in starts])


# %% [markdown] mistake="window-last-lost"
# Stops one window too early.
#
# In the example by hand you return one row with the target 50, but (20, 30, 40) with the target 60 fits too. A series of exactly w + h
# values holds one sample, and your answer raises ValueError for it; count the possible starts in that case.

# %% wrong="window-views" fails="window-next window-sizes"
def window(series, w, h):
    n = len(series) - w - h + 1
    if w < 1 or h < 1 or n < 1:
        raise ValueError("too short")
    return series.unfold(0, w, 1)[:n], series[w + h - 1 :]


# %% [markdown] mistake="window-views"
# Returns views that share their memory with the series.
#
# From 1, 2, 3, 4 with `w = 2` and `h = 1`, write 9 into the last place of row 0: the series becomes 1, 9, 3, 4, and row 1 begins with 9.
# The values are right; which of your steps makes new memory, and which only a new view?

# %% wrong="window-lists" fails="window-next window-sizes"
def window(series, w, h):
    if w < 1 or h < 1 or len(series) < w + h:
        raise ValueError("too short")
    starts = range(len(series) - w - h + 1)
    return torch.tensor([series[s : s + w].tolist() for s in starts]), torch.tensor([float(series[s + w + h - 1]) for s in starts])


# %% [markdown] mistake="window-lists"
# Loses the dtype of the series on the way through Python numbers.
#
# A float64 series comes back as float32, and an int64 series gets float32 targets. A Python float does not remember the dtype it came from;
# print the dtypes of both results beside that of `series`, and find the step at which they part.

# %% wrong="window-lists-cast" fails="window-next"
def window(series, w, h):
    if w < 1 or h < 1 or len(series) < w + h:
        raise ValueError("too short")
    starts = range(len(series) - w - h + 1)
    X = torch.tensor([series[s : s + w].tolist() for s in starts]).to(series.dtype)
    return X, torch.tensor([float(series[s + w + h - 1]) for s in starts]).to(series.dtype)


# %% [markdown] mistake="window-lists-cast"
# Sends float64 values through float32; the dtype comes back, the digits do not.
#
# In a float64 series 0.3 comes back as 0.30000001192092896: between two conversions the value was rounded, and the last one cannot undo
# that. Ask at which step your numbers are in float32, and whether they need to leave their tensor at all.

# %% wrong="window-length-without-h" fails="window-next window-errors"
def window(series, w, h):
    if w < 1 or h < 1 or w > len(series):
        raise ValueError("too short")
    starts = range(len(series) - w - h + 1)
    return torch.stack([series[s : s + w] for s in starts]), torch.stack([series[s + w + h - 1] for s in starts])


# %% [markdown] mistake="window-length-without-h"
# Checks only that a window fits the series, and forgets the horizon.
#
# With T = 4, `w = 3` and `h = 2` there is no value for the first target, yet your check lets the call through, and it ends in a
# RuntimeError about an empty list. Which conditions for a ValueError does the statement name, and which one is missing?

# %% wrong="window-any-horizon" fails="window-next window-errors"
def window(series, w, h):
    n = len(series) - w - h + 1
    if n < 1:
        raise ValueError("too short")
    starts = range(n)
    return torch.stack([series[s : s + w] for s in starts]), torch.stack([series[s + w + h - 1] for s in starts])


# %% [markdown] mistake="window-any-horizon"
# Checks only that a sample fits; `h = 0` and `w = 0` are let through.
#
# From 10, 20, 30, 40, 50 with `w = 3` and `h = 0` you return the targets 30, 40, 50, each the last value of its own window: a leak without a
# word. Which three conditions for a ValueError does the statement name?

# %% wrong="window-one-sample-refused" fails="window-next window-sizes window-errors"
def window(series, w, h):
    if w < 1 or h < 1 or len(series) <= w + h:
        raise ValueError("too short")
    starts = range(len(series) - w - h + 1)
    return torch.stack([series[s : s + w] for s in starts]), torch.stack([series[s + w + h - 1] for s in starts])


# %% [markdown] mistake="window-one-sample-refused"
# Refuses a series in which exactly one sample fits.
#
# Five values with `w = 2` and `h = 3` hold one window and its target, the fifth value, but you raise `ValueError`. Write down for which T
# not one sample fits, and compare it with your condition at its border.

# %% right="window-two-copies"
def window(series, w, h):
    if min(w, h) < 1 or len(series) < w + h:
        raise ValueError("too short")
    joined = series.unfold(0, w + h, 1)
    return joined[:, :w].clone(), joined[:, -1].clone()


# %% right="window-unfold"
def window(series, w, h):
    if w < 1 or h < 1 or w + h > len(series):
        raise ValueError("too short")
    return series[:-h].unfold(0, w, 1).clone(), series[w - 1 + h :].clone()


# %% [markdown] explanation="window"
# The last index of the window is i + w − 1, the target stands h further: i + w + h − 1.
# A target inside its window gives a test error of nearly zero: the model copies. Whoever sees such an error should look for this first.
# A second leak is subtler: windows that cross the border. It is harmless that a test window *begins* in the training years (those values are known
# by then); the *target* decides to which part a window belongs.
# `unfold` makes overlapping views: an in-place change in one row would appear in others.

# %% [markdown]
# We build the windows (with `unfold`), scale with the training years only, and give each window to the part in which its *target* lies.
# Two baselines need no training: the **last value** (上一个值), and the **last cycle** (上一周期), the value eleven years before.
# A third is a linear model on the same 22 numbers.

# %%
scale_mean, scale_std = spots[:200].mean(), spots[:200].std()
z = (spots - scale_mean) / scale_std
past, nxt, target_year = z[:-1].unfold(0, 22, 1), z[22:], years[22:]
parts = {"train": target_year < 1900, "val": (target_year >= 1900) & (target_year < 1950), "test": target_year >= 1950}
rmse = lambda error: (error * scale_std).square().mean().sqrt().item()  # in sunspots

test_part, forecasts = parts["test"], {}
forecasts["last value"] = past[test_part][:, -1]
forecasts["last cycle"] = past[test_part][:, -11]
with_one = torch.cat([past, torch.ones(len(past), 1)], dim=1)
forecasts["linear"] = with_one[test_part] @ torch.linalg.lstsq(with_one[parts["train"]], nxt[parts["train"]]).solution
errors = {name: [rmse(f - nxt[test_part])] for name, f in forecasts.items()}
print({name: f"{v[0]:.3g}" for name, v in errors.items()})

# %% [markdown]
# Now the network, many-to-one: 16 numbers of state, and a linear layer on the last one.
# Every ten steps we look at the validation years, and keep the forecast of the best moment.

# %% tags=["nbval-ignore-output"]
errors["RNN"] = []
for seed in range(3):
    _ = torch.manual_seed(seed)
    model = nn.ModuleList([nn.RNN(1, 16, batch_first=True), nn.Linear(16, 1)])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    best = math.inf
    for step in range(151):
        predicted = model[1](model[0](past[:, :, None])[1][0])[:, 0]
        now = rmse((predicted - nxt).detach()[parts["val"]])
        if step % 10 == 0 and now < best:
            best, kept = now, predicted.detach()[test_part]
        loss = nn.functional.mse_loss(predicted[parts["train"]], nxt[parts["train"]])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    errors["RNN"].append(rmse(kept - nxt[test_part]))
    forecasts["RNN"] = kept
print({name: [f"{e:.3g}" for e in v] for name, v in errors.items()})
assert max(errors["RNN"]) < 27 < 32 < min(errors["last value"][0], errors["last cycle"][0])

# %%
fig, axes = plt.subplots(1, 2, figsize=(11, 3), width_ratios=[2, 1])
for name, colour, style in (("last value", "0.6", ":"), ("linear", "tab:green", "--"), ("RNN", "tab:blue", "-")):
    axes[0].plot(
        target_year[test_part], forecasts[name] * scale_std + scale_mean, color=colour, ls=style, label=name.replace("RNN", "RNN, seed 2")
    )
axes[0].plot(target_year[test_part], spots[22:][test_part], "k.", label="counted")
axes[0].set(xlabel="year", ylabel="sunspots", title="One year ahead, test years", ylim=(-20, 270))
axes[0].legend(ncols=4, loc="upper center")
axes[1].bar(list(errors), [sum(v) / len(v) for v in errors.values()], color=["0.6", "0.8", "tab:green", "tab:blue"])
axes[1].plot(["RNN"] * 3, errors["RNN"], "k.")
axes[1].set(ylabel="RMSE (sunspots)", title="Test error, each seed a dot")
plt.show()

# %% [markdown]
# The network's error, about 20 sunspots (18.9 to 21.9 on ten seeds when this was written), is well below both baselines: 33 for the last value, 37 for the last cycle.
# The dotted line is right one year late; the other two turn nearly in time, and with this seed the network stays below the highest peaks.
# But look at the third bar: a *linear* model with 23 numbers has 20.1.
# With 178 training samples the network has nothing to add. Without this bar we would have praised it.
#
# ## Real task 2: where from, where to?
#
# Back to the travel desk. To label each word is **slot filling** (槽填充): DEP, ARR, or O for all other words.
# We make the sentences ourselves, so we can make sure that only memory helps.
# Before training we ask how good a tagger without memory *could* be.
#
# A tagger that sees only some **key** (键) of a token, say the word, must give the same answer each time it meets the same key.
# The best it can do is the most frequent label of each key.
# Counting those gives a **ceiling** (上界) that no training can pass:
#
# $$\text{ceiling} = \frac1N \sum_{key} \max_{label} \#(key, label),$$
#
# where $\#$ counts the tokens with this key and this label, and N is the number of all tokens.
# With the pairs (key, label) ("leave", O), ("Taipei", DEP), ("arrive", O), ("Taipei", ARR) it is 3/4: one Taipei must be wrong.
# The key may be more: (word, position), or all words read so far.
# If the ceiling by *position* were high, the data would have a leak: with departure always first, a network could learn to count instead of to read.

# %%
careless = [(place, tag) for _ in range(10) for place, tag in ((1, "DEP"), (3, "ARR"))]  # ten times "leave … arrive …"
careful = careless + [(place, tag) for _ in range(10) for place, tag in ((1, "ARR"), (3, "DEP"))]
for name, tokens in (("departure always first", careless), ("both orders", careful)):
    most_frequent = [Counter(tag for p, tag in tokens if p == place).most_common(1)[0][1] for place in (1, 3)]
    print(name, "- ceiling by position:", sum(most_frequent) / len(tokens))

# %% [markdown]
# ### Exercise 9: data that do not give the answer away (7 points)
#
# - `trips(cities)`: a list of n ≥ 2 different city names. Return a list of tuples `(words, tags)`, two lists of strings of equal length.
#   For each ordered pair (a, b) of different cities, `a` in the order of the list and, for each `a`, `b` in the order of the list,
#   there are two sentences, one after the other:
#   `["leave", a, "arrive", b]` with `["O", "DEP", "O", "ARR"]`, and then `["arrive", b, "leave", a]` with its tags.
# - `ceiling(keys, tags)`: two lists of equal length ≥ 1, a key (any hashable object) and a tag (any string) for each token.
#   Return the ceiling as a Python `float`.
#
# By hand: `trips(["A", "B"])` has four sentences: leave A arrive B, arrive B leave A, leave B arrive A, arrive A leave B.
# `ceiling(["x", "x", "x", "z", "z"], ["O", "O", "DEP", "ARR", "O"])` is (2 + 1)/5 = 0.6. One label for all tokens (O) also gets 3 of 5: the two agree
# here, but in general the ceiling is at least as high.
#
# <details><summary>Hint 1</summary>Which sentence must exist so that position 1 is no hint?</details>
# <details><summary>Hint 2</summary><code>itertools.permutations(cities, 2)</code> gives the ordered pairs in this order;
# <code>Counter(zip(keys, tags))</code> counts pairs.</details>


# %% exercise="trips"
def trips(cities: list[str]) -> list[tuple[list[str], list[str]]]:
    """All (words, tags) of leave a arrive b, and arrive b leave a, for ordered pairs of different cities."""
    # BEGIN SOLUTION
    sentences = []
    for a, b in itertools.permutations(cities, 2):
        sentences.append((["leave", a, "arrive", b], ["O", "DEP", "O", "ARR"]))
        sentences.append((["arrive", b, "leave", a], ["O", "ARR", "O", "DEP"]))
    return sentences
    # END SOLUTION


def ceiling(keys: list, tags: list[str]) -> float:
    """The largest share of tokens that a tagger seeing only the key can label right."""
    # BEGIN SOLUTION
    most = Counter()
    for (key, _), count in Counter(zip(keys, tags)).items():  # noqa: B905
        most[key] = max(most[key], count)
    return sum(most.values()) / len(tags)
    # END SOLUTION


# %% check="trips-by-hand" points=1
got = trips(["A", "B"])
assert type(got) is list, f"trips must return a list, got {type(got).__name__}. NoneType: is `return` missing?"
assert len(got) == 4, f"two cities: 4 sentences, got {len(got)}. 2: the pairs are ordered, (A, B) and (B, A). 8: a and b differ"
kinds = [[type(v).__name__ for v in s] if type(s) is tuple else type(s).__name__ for s in got]
assert kinds == [["list", "list"]] * 4, f"each sentence must be a tuple of two lists, words and tags; got {got[0]!r} first"
sentences_ = [" ".join(words) for words, _ in got]
stated = ["leave A arrive B", "arrive B leave A", "leave B arrive A", "arrive A leave B"]
assert sentences_ == stated, f"expected {stated}, got {sentences_}. Second 'arrive A leave B': both sentences of a pair have a as departure"
tags_ = [" ".join(line) for _, line in got]
assert tags_ == ["O DEP O ARR", "O ARR O DEP"] * 2, f"departure follows leave, arrival follows arrive; got {tags_}"
got = [[s[0][1], s[0][3]] for s in trips(["Seoul", "New York", "Hanoi"])[::2]]
pairs_ = [[a, b] for a in ("Seoul", "New York", "Hanoi") for b in ("Seoul", "New York", "Hanoi") if a != b]
assert got == pairs_, (
    f"Seoul, New York, Hanoi: every other sentence must leave and arrive in {pairs_}, got {got}. "
    "Another order: a runs through the list as it is given, and for each a, b does. 'New': a name may hold a blank"
)
print("passed: four sentences for two cities")

# %% check="trips-ceiling" points=2
def share_of(keys, tags):
    try:
        return ceiling(keys, tags)
    except TypeError as e:
        if "not supported between" not in str(e):
            raise
        return f"TypeError: {e}"


got = share_of(["a", ("b", 1), "a", None, ("b", 1), "a", ("b", 1), ("b", 1)], ["O", "ARR", "O", "O", "DEP", "DEP", "ARR", "O"])
assert type(got) is float, (
    f"ceiling must return a Python float, got {got!r}. None: is `return` missing? "
    "A TypeError about '<' or '>': keys are hashable, but have no order"
)
assert abs(got - 0.625) < 1e-9, (
    f"key a: 2 of 3, (b, 1): 2 of 4, None: 1 of 1, together 5/8 = 0.625, got {got}. 0.5: one label for all. 0.722: mean of the keys' shares. "
    "5: not divided. 0.875: a key that comes back was counted as a new one"
)
print("passed: each key gets its most frequent label")

# %% hidden="trips-no-leak" points=2
cities_ = ["Taipei", "Osaka", "Seoul", "Hanoi"]
got = trips(cities_)
pairs = [(a, b) for a in cities_ for b in cities_ if a != b]
wanted = [
    s
    for a, b in pairs
    for s in ((["leave", a, "arrive", b], ["O", "DEP", "O", "ARR"]), (["arrive", b, "leave", a], ["O", "ARR", "O", "DEP"]))
]
assert [tuple(s) for s in got] == wanted, f"four cities: 24 sentences as stated, got {len(got)}: {got[:3]!r:.150}"
at_city = [(w[i], i, t[i]) for w, t in got for i in (1, 3)]
for name, keyed in (
    ("word", [c[0] for c in at_city]),
    ("position", [c[1] for c in at_city]),
    ("word and position", [c[:2] for c in at_city]),
):
    best = sum(
        max(sum(k == key and c[2] == tag for k, c in zip(keyed, at_city, strict=True)) for tag in ("DEP", "ARR")) for key in set(keyed)
    )
    assert best == len(at_city) / 2, f"the {name} of a city must not tell its label, but knows {best} of {len(at_city)}"

# %% hidden="trips-ceiling-random" points=2
_ = torch.manual_seed(20)
numbers, marks = torch.randint(6, (50,)).tolist(), [("O", "DEP", "ARR")[i] for i in torch.randint(3, (50,)).tolist()]
keyed = [(n, n % 2) for n in numbers]
got = [ceiling(keyed, marks), ceiling(["only"] * 50, marks), ceiling(list(range(50)), marks), ceiling(["k", "k"], ["noun"] * 2)]
table_ = [[sum(n == k and m == tag for n, m in zip(numbers, marks, strict=True)) for tag in ("O", "DEP", "ARR")] for k in range(6)]
wanted = [sum(max(row) for row in table_) / 50, max(marks.count(t) for t in ("O", "DEP", "ARR")) / 50, 1.0, 1.0]
assert all(abs(g - w) < 1e-9 for g, w in zip(got, wanted, strict=True)), (
    f"six keys, one key, all keys different, tags of another kind: {wanted}, got {got}"
)


# %% wrong="trips-departure-first" fails="trips-by-hand trips-no-leak"
def trips(cities):
    return [(["leave", a, "arrive", b], ["O", "DEP", "O", "ARR"]) for a in cities for b in cities if a != b for _ in range(2)]


def ceiling(keys, tags):
    pairs = Counter(zip(keys, tags, strict=True))
    return sum(max(n for (k, _), n in pairs.items() if k == key) for key in set(keys)) / len(tags)


# %% [markdown] mistake="trips-departure-first"
# Always names the departure first; the second sentence repeats the first.
#
# `trips(["A", "B"])` holds "leave A arrive B" twice and never "arrive B leave A". The city at position 1 is then always a departure, the
# ceiling by position is 1, and no reading is needed. Which order of the words is missing?

# %% wrong="trips-tags-by-position" fails="trips-by-hand trips-no-leak"
def trips(cities):
    out = []
    for a in cities:
        for b in cities:
            if a != b:
                out += [(line, ["O", "DEP", "O", "ARR"]) for line in (["leave", a, "arrive", b], ["arrive", b, "leave", a])]
    return out


def ceiling(keys, tags):
    pairs = Counter(zip(keys, tags, strict=True))
    return sum(max(n for (k, _), n in pairs.items() if k == key) for key in set(keys)) / len(tags)


# %% [markdown] mistake="trips-tags-by-position"
# Gives the tags by position, O DEP O ARR, even where "arrive" comes first.
#
# In "arrive B leave A" your answer calls B the departure. Then a city's place alone tells its tag, and memory is not needed. Write the four
# tags under the four words of this sentence by hand: what decides the tag of a city?

# %% wrong="trips-majority" fails="trips-ceiling trips-ceiling-random"
def trips(cities):
    out = []
    for a in cities:
        for b in cities:
            if a != b:
                out += [(["leave", a, "arrive", b], ["O", "DEP", "O", "ARR"]), (["arrive", b, "leave", a], ["O", "ARR", "O", "DEP"])]
    return out


def ceiling(keys, tags):
    return max(Counter(tags).values()) / len(tags)


# %% [markdown] mistake="trips-majority"
# Gives one label to all tokens in `ceiling`; the keys are ignored.
#
# For the keys "a", "b" with the tags "O", "DEP" each key has a label of its own, so the ceiling is 1; you return 0.5. The example by hand
# cannot show it, for both numbers are 0.6 there. What may a tagger do that sees the key?

# %% wrong="trips-mean-of-shares" fails="trips-ceiling trips-ceiling-random"
def trips(cities):
    out = []
    for a in cities:
        for b in cities:
            if a != b:
                out += [(["leave", a, "arrive", b], ["O", "DEP", "O", "ARR"]), (["arrive", b, "leave", a], ["O", "ARR", "O", "DEP"])]
    return out


def ceiling(keys, tags):
    pairs, totals = Counter(zip(keys, tags, strict=True)), Counter(keys)
    return sum(max(n for (k, _), n in pairs.items() if k == key) / totals[key] for key in totals) / len(totals)


# %% [markdown] mistake="trips-mean-of-shares"
# Averages the shares of the keys, so a rare key weighs as much as a frequent one.
#
# Nine tokens of key "a", all O, and two of key "b", one O and one DEP: 10 of 11 can be right, 0.909, and you return (1 + 0.5)/2 = 0.75.
# What does the formula count, and what is its N?

# %% wrong="trips-pair-and-back" fails="trips-by-hand trips-no-leak"
def trips(cities):
    out = []
    for pair in itertools.combinations(cities, 2):
        for a, b in (pair, pair[::-1]):
            out += [(["leave", a, "arrive", b], ["O", "DEP", "O", "ARR"]), (["arrive", b, "leave", a], ["O", "ARR", "O", "DEP"])]
    return out


def ceiling(keys, tags):
    pairs = Counter(zip(keys, tags, strict=True))
    return sum(max(n for (k, _), n in pairs.items() if k == key) for key in set(keys)) / len(tags)


# %% [markdown] mistake="trips-pair-and-back"
# Puts each pair and its reverse side by side, so the order of the sentences is another one.
#
# With two cities nothing shows. With A, B, C your departures are A, B, A, C, B, C, two sentences each, and A, A, B, B, C, C is asked. Read
# in the statement what stays the same while `b` runs through the list.

# %% wrong="trips-sorted-keys" fails="trips-ceiling"
def trips(cities):
    out = []
    for a in cities:
        for b in cities:
            if a != b:
                out += [(["leave", a, "arrive", b], ["O", "DEP", "O", "ARR"]), (["arrive", b, "leave", a], ["O", "ARR", "O", "DEP"])]
    return out


def ceiling(keys, tags):
    groups = itertools.groupby(sorted(zip(keys, tags, strict=True)), key=lambda pair: pair[0])
    return sum(max(Counter(tag for _, tag in group).values()) for _, group in groups) / len(tags)


# %% [markdown] mistake="trips-sorted-keys"
# Sorts the keys, which need not have an order.
#
# The keys "Taipei" and ("Taipei", 1) together end in a TypeError about `<`. The statement asks of a key only that it is hashable, so it can
# be an entry of a dictionary or a set; can you group the tokens with one of these?

# %% right="trips-dictionary"
def trips(cities):
    out = []
    for i, a in enumerate(cities):
        for j, b in enumerate(cities):
            if i == j:
                continue
            depart, arrive = [("leave", "O"), (a, "DEP")], [("arrive", "O"), (b, "ARR")]
            for tokens in (depart + arrive, arrive + depart):
                out.append(([w for w, _ in tokens], [t for _, t in tokens]))
    return out


def ceiling(keys, tags):
    seen = {}
    for key, tag in zip(keys, tags, strict=True):
        seen.setdefault(key, []).append(tag)
    return sum(max(v.count(t) for t in v) for v in seen.values()) / len(keys)


# %% [markdown] survives="trips"
# - `for (key, _), count in reversed(list(Counter(zip(keys, tags)).items())):`: a maximum does not depend on the order

# %% [markdown] explanation="trips"
# With both orders and both directions every city stands in every place equally often with either label.
# "Departure first" is how most people write examples down, and it makes the task trivial: the ceiling by position is then 1.
# The ceiling is computed on the very tokens that are scored: it is a bound in hindsight, so no model of that key can pass it, whatever it was trained on.
# An average of the keys' shares counts a rare key as much as a frequent one.

# %% [markdown]
# For the real task the sentences are richer: openings, a word between verb and city, and a second kind in which the verb comes *after* the city
# ("Taipei is where we arrive").
# Five of the fifteen pairs of cities are kept for the test: these two were never seen together.

# %%
places = ["Taipei", "Tainan", "Osaka", "Seoul", "Manila", "Hanoi"]
openings = [[], ["please"], ["tomorrow", "we"]]
test_pairs = {
    frozenset(p) for p in (("Taipei", "Osaka"), ("Tainan", "Hanoi"), ("Osaka", "Seoul"), ("Manila", "Taipei"), ("Seoul", "Hanoi"))
}
sentences = {("verb first", False): [], ("verb first", True): [], ("city first", False): [], ("city first", True): []}
for (a, b), opening, swap in itertools.product(itertools.permutations(places, 2), openings, (False, True)):
    halves = [("leave", a, "DEP"), ("arrive", b, "ARR")][:: -1 if swap else 1]
    is_test = frozenset((a, b)) in test_pairs
    for extra in itertools.product(([], ["rainy"]), repeat=2):
        clauses = [[(verb, "O"), *((w, "O") for w in more), (city, tag)] for (verb, city, tag), more in zip(halves, extra, strict=True)]
        sentences["verb first", is_test].append([(w, "O") for w in opening] + clauses[0] + [("and", "O")] + clauses[1])
    clauses = [[(city, tag), *((w, "O") for w in ("is", "where", "we", verb))] for verb, city, tag in halves]
    sentences["city first", is_test].append([(w, "O") for w in opening] + clauses[0] + [("and", "O")] + clauses[1])
for kind in ("verb first", "city first"):
    print(
        kind,
        len(sentences[kind, False]),
        "to train,",
        len(sentences[kind, True]),
        "to test, e.g.",
        " ".join(w for w, _ in sentences[kind, True][0]),
    )

# %% [markdown]
# The ceilings, on the cities of the test sentences, for three keys: the word, word and position, and everything read so far.


# %%
def city_ceiling(kind: str, key) -> float:
    """Ceiling on the cities of the test sentences of one kind, for a key(sentence, place)."""
    tokens = [(key(s, i), s[i][1]) for s in sentences[kind, True] for i in range(len(s)) if s[i][1] != "O"]
    by_key = Counter(tokens)
    return sum(max(by_key[k, tag] for tag in ("DEP", "ARR")) for k in {k for k, _ in tokens}) / len(tokens)


seen_by = {
    "word": lambda s, i: s[i][0],
    "word and position": lambda s, i: (s[i][0], i),
    "words so far": lambda s, i: tuple(w for w, _ in s[: i + 1]),
}
bounds = {kind: [city_ceiling(kind, key) for key in seen_by.values()] for kind in ("verb first", "city first")}
print(bounds)
assert bounds == {"verb first": [0.5, 0.5, 1.0], "city first": [0.5, 0.5, 0.75]}

# %% [markdown]
# Neither the word nor its position is worth more than a coin.
# "Words so far" is all that a network reading from left to right can ever know.
# It suffices when the verb comes first. When the city comes first it can know the second city only (the first verb has been read by then, and the
# other city is the other label), and must guess the first: 0.75.
#
# Three networks now meet these bounds: one without memory, a recurrent one, a bidirectional one. Each is trained on both kinds, with three seeds.

# %%
tag_id = {"O": 0, "DEP": 1, "ARR": 2}
word_id = {w: i + 1 for i, w in enumerate(sorted({w for group in sentences.values() for s in group for w, _ in s}))}


def as_tensors(group: list) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Word ids (N, T) with pad 0, tags (N, T) with −100 at pads, lengths (N,)."""
    count = torch.tensor([len(s) for s in group])
    rows, marks = torch.zeros(len(group), int(count.max()), dtype=torch.long), torch.full((len(group), int(count.max())), -100)
    for r, s in enumerate(group):
        rows[r, : len(s)] = torch.tensor([word_id[w] for w, _ in s])
        marks[r, : len(s)] = torch.tensor([tag_id[t] for _, t in s])
    return rows, marks, count


def score(parts: nn.ModuleDict, rows: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
    """Logits (N, T, 3); without the part "memory" each word is seen alone."""
    vectors = parts["table"](rows)
    if "memory" in parts:
        vectors, _ = parts["memory"](pack_padded_sequence(vectors, count, batch_first=True, enforce_sorted=False))
        vectors, _ = pad_packed_sequence(vectors, batch_first=True, total_length=rows.shape[1])
    return parts["top"](vectors)


train_rows, train_marks, train_count = as_tensors(sentences["verb first", False] + sentences["city first", False])
print("training sentences", tuple(train_rows.shape), "words", len(word_id))

# %% [markdown]
# `cross_entropy` leaves out targets of −100 (its `ignore_index`), so pads cost nothing.

# %% tags=["nbval-ignore-output"]
right_cities = {"no memory": [], "left to right": [], "both directions": []}
for name, seed in itertools.product(right_cities, range(3)):
    _ = torch.manual_seed(seed)
    tagger = nn.ModuleDict({"table": nn.Embedding(len(word_id) + 1, 16, padding_idx=0)})
    width = 16
    if name != "no memory":
        tagger["memory"] = nn.RNN(16, 32, batch_first=True, bidirectional=name == "both directions")
        width = 64 if name == "both directions" else 32
    tagger["top"] = nn.Linear(width, 3)
    optimizer = torch.optim.Adam(tagger.parameters(), lr=0.01)
    for _ in range(10):
        for rows in torch.randperm(len(train_rows)).split(50):
            logits = score(tagger, train_rows[rows], train_count[rows])
            loss = nn.functional.cross_entropy(logits.transpose(1, 2), train_marks[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    shares = []
    for kind in ("verb first", "city first"):
        test_rows, test_marks, test_count = as_tensors(sentences[kind, True])
        with torch.no_grad():
            hits = score(tagger, test_rows, test_count).argmax(dim=2) == test_marks
        shares.append(hits[test_marks > 0].double().mean().item())
    right_cities[name].append(shares)
print({name: [[f"{s:.2f}" for s in shares] for shares in three] for name, three in right_cities.items()})
assert all(max(shares) <= 0.5 for shares in right_cities["no memory"])
assert all(a > 0.98 and 0.6 < b <= 0.75 for a, b in right_cities["left to right"])
assert all(min(shares) > 0.98 for shares in right_cities["both directions"])

# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 3), sharey=True)
for k, (ax, kind) in enumerate(zip(axes, bounds, strict=True)):
    for x, (name, colour) in enumerate(zip(right_cities, ("0.6", "tab:orange", "tab:blue"), strict=True)):
        values = [shares[k] for shares in right_cities[name]]
        ax.bar(x, sum(values) / 3, color=colour)
        ax.plot([x] * 3, values, "k.")
    for x, value in enumerate((bounds[kind][0], bounds[kind][2])):
        ax.plot([x - 0.45, x + 0.45], [value] * 2, color="tab:red", lw=2, label="computed ceiling" if x == 0 else None)
    ax.set(xticks=range(3), xticklabels=right_cities, title=kind, ylim=(0, 1.3))
    ax.legend(loc="upper left")
axes[0].set(ylabel="cities labelled right (share)")
plt.show()

# %% [markdown]
# **The answer to the first question**: the label of Taipei is computed from the word *and* the state, and the state holds the verb.
# Without memory a tagger is right for at most half of the cities, which is its ceiling.
# Left to right is perfect if the verb comes first, and reaches no more than its ceiling 0.75 otherwise.
# Both directions are perfect in both kinds, for pairs of cities never seen in training.

# %% [markdown]
# ### Exercise 10: a slot tagger (8 points)
#
# Write the class `SlotTagger(n_words, n_tags, C=8, H=16)`, a subclass of `nn.Module` with exactly these parts, made in this order
# (so that a seed gives everybody the same weights):
#
# - `embed`: `nn.Embedding` with `n_words` rows of `C` numbers, whose `padding_idx` is 0 (row 0 is zero and gets no gradient);
# - `rnn`: a bidirectional `nn.RNN`, one layer, state of `H` numbers, batch first;
# - `head`: `nn.Linear` from the 2H numbers of a step to `n_tags`.
#
# `forward(ids, lengths)`: `ids` int64 `(B, T)`, 0 at pads; `lengths` int64 `(B,)`, each from 1 to T, in **any order**; no sequence need have length T.
# Return the logits `(B, T, n_tags)`. In the real steps they must not depend on the pads; the logits returned at pads may be anything.
#
# By hand (shapes): `SlotTagger(10, 3)` on ids (4, 6) gives (4, 6, 3); it has 10·8 + 2·(16·8 + 16·16 + 16 + 16) + (32·3 + 3) = 1,011 parameters.
#
# <details><summary>Hint 1</summary>Which two functions stand around the call of <code>self.rnn</code>?</details>
# <details><summary>Hint 2</summary>Unpacking gives back only as many steps as the longest sequence has; <code>total_length=</code> of
# <code>pad_packed_sequence</code> restores T.</details>


# %% exercise="tagger"
class SlotTagger(nn.Module):
    """Tags each word: forward(ids (B, T), lengths (B,)) gives logits (B, T, n_tags); parts embed, rnn, head."""

    def __init__(self, n_words: int, n_tags: int, C: int = 8, H: int = 16):
        # BEGIN SOLUTION
        super().__init__()
        self.embed = nn.Embedding(n_words, C, padding_idx=0)
        self.rnn = nn.RNN(C, H, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * H, n_tags)
        # END SOLUTION

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        # BEGIN SOLUTION
        packed = pack_padded_sequence(self.embed(ids), lengths, batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True, total_length=ids.shape[1])
        return self.head(states)
        # END SOLUTION


# %% check="tagger-parts" points=1
def outline():
    net = SlotTagger(10, 3)
    parts = vars(net).get("_modules")  # None where nn.Module's own __init__ did not run
    parts = None if parts is None else [(name, type(part).__name__) for name, part in parts.items()]
    return parts, SlotTagger.forward is not nn.Module.forward


def parts_and_shape():
    net = SlotTagger(10, 3)
    names = [(name, tuple(p.shape)) for name, p in net.named_parameters()]
    ids = torch.tensor([[1, 2, 3, 0, 0, 0], [4, 0, 0, 0, 0, 0], [5, 6, 7, 8, 9, 0], [1, 1, 0, 0, 0, 0]])
    try:
        out = net(ids, torch.tensor([3, 1, 5, 2]))
    except NotImplementedError:
        raise
    except RuntimeError as e:
        out = f"RuntimeError: {e}"
    shape = tuple(out.shape) if type(out) is torch.Tensor else out if type(out) is str else type(out).__name__
    return names, shape, net.rnn.batch_first, net.embed.padding_idx


def fixed_head():
    net = SlotTagger(10, 3)
    with torch.no_grad():
        net.head.weight.zero_()
        net.head.bias.copy_(torch.tensor([1.0, 2.0, 3.0]))
        out = net(torch.tensor([[4, 5, 6], [7, 8, 0]]), torch.tensor([3, 2]))
    return out[0].tolist(), net.embed.weight[0].abs().sum().item(), [tuple(p.shape) for p in SlotTagger(7, 2, C=4, H=5).parameters()]


parts_, has_forward = outline()
assert parts_ is not None, "an object of SlotTagger has no parts: is `super().__init__()` missing in __init__?"
assert parts_ == [("embed", "Embedding"), ("rnn", "RNN"), ("head", "Linear")], (
    f"SlotTagger must have exactly the parts embed (Embedding), rnn (RNN) and head (Linear), made in this order, got {parts_}"
)
assert has_forward, "the class SlotTagger has no method `forward`: is its name misspelt, or does it stand outside the class?"
names_, shape_, batch_first_, padding_ = parts_and_shape()
rnn_shapes = [(16, 8), (16, 16), (16,), (16,)] * 2
wanted = [(10, 8), *rnn_shapes, (3, 32), (3,)]
assert [s for _, s in names_] == wanted, (
    f"SlotTagger(10, 3): parameters of shapes {wanted}, got {names_}. No `_reverse`: one direction only"
)
assert shape_ == (4, 6, 3), (
    f"ids (4, 6) with the lengths 3, 1, 5, 2 must give logits (4, 6, 3), a tensor, got {shape_!r:.200}. "
    "(4, 5, 3): total_length is missing. (6, 4, 3), or an error about a length: batch_first is missing in pack_padded_sequence "
    "or pad_packed_sequence. NoneType: is `return` missing in forward?"
)
assert batch_first_ is True, f"the part rnn must be an nn.RNN with batch_first=True, got {batch_first_}"
assert padding_ == 0, f"the part embed must be an nn.Embedding with padding_idx=0, got padding_idx {padding_}"
fixed_, row_, small_ = fixed_head()
assert row_ == 0, f"row 0 of embed.weight must be zero, the sum of its sizes is {row_:.3g}: was it initialised anew?"
assert fixed_ == [[1.0, 2.0, 3.0]] * 3, (
    f"a head of weight 0 and bias 1, 2, 3 must give the logits 1, 2, 3 for each of three words, got {fixed_}. "
    "−2.41, −1.41, −0.41: a log-softmax was taken; 0.09, 0.24, 0.67: a softmax"
)
wanted = [(7, 4), *[(5, 4), (5, 5), (5,), (5,)] * 2, (2, 10), (2,)]
assert small_ == wanted, f"SlotTagger(7, 2, C=4, H=5): parameters of shapes {wanted}, got {small_}"
print("passed: 1,011 parameters, one row of logits for each word")


# %% check="tagger-memory" points=2
def logits_of(lines, counts):
    torch.manual_seed(3)
    net = SlotTagger(8, 3)
    if "_modules" not in vars(net):
        return "an object without parts: is `super().__init__()` missing in __init__?"
    if SlotTagger.forward is nn.Module.forward:
        return "a class without a method `forward`: is its name misspelt?"
    with torch.no_grad():
        out = net(torch.tensor(lines), torch.tensor(counts))
    return "None: is `return` missing in forward?" if out is None else out if type(out) is torch.Tensor else type(out).__name__


verbs = logits_of([[1, 5, 0, 0], [2, 5, 0, 0], [5, 1, 0, 0], [5, 2, 0, 0]], [2, 2, 2, 2])
shape_ = tuple(verbs.shape) if type(verbs) is torch.Tensor else verbs
assert shape_ == (4, 4, 3), f"SlotTagger(8, 3) on ids (4, 4) must give logits, a tensor (4, 4, 3), got {shape_}"
assert not torch.allclose(verbs[0, 1], verbs[1, 1]), (
    "word 5 after word 1 and after word 2 got the same logits: the tagger does not see the words before, "
    "or batch_first is missing in pack_padded_sequence or pad_packed_sequence"
)
assert not torch.allclose(verbs[2, 0], verbs[3, 0]), (
    "word 5 before word 1 and before word 2 got the same logits: it does not see the words after, "
    "or batch_first is missing in pack_padded_sequence or pad_packed_sequence"
)
alone, padded = logits_of([[1, 5, 3]], [3]), logits_of([[1, 5, 3, 0, 0], [2, 4, 1, 6, 7], [6, 2, 3, 4, 0]], [3, 5, 4])
assert_close(
    padded[0, :3],
    alone[0],
    msg=lambda m: (
        f"a sentence must get the same logits with and without two pads behind it, and whoever stands beside it: was it packed? "
        f"If you sort the sentences by length yourself, did each come back to its own row?\n{m}"
    ),
)
print("passed: both neighbours count, pads do not")


# %% hidden="tagger-torch" points=3
def logits_and_slopes(state, lines, counts, factor):
    net = SlotTagger(9, 4, C=5, H=3)
    net.load_state_dict(state)
    out = net(lines, counts) * factor
    out.sum().backward()
    return out.detach(), net.embed.weight.grad, net.rnn.weight_hh_l0_reverse.grad


def fresh_weights():
    torch.manual_seed(30)
    return [p.detach() for p in SlotTagger(9, 4, C=5, H=3).parameters()]


_ = torch.manual_seed(30)
made_ = [nn.Embedding(9, 5, padding_idx=0), nn.RNN(5, 3, bidirectional=True), nn.Linear(6, 4)]
assert_close(
    fresh_weights(),
    [p.detach() for part in made_ for p in part.parameters()],
    msg=lambda m: f"embed, rnn, head must be made in this order\n{m}",
)
_ = torch.manual_seed(20)
reference = nn.ModuleDict({"embed": nn.Embedding(9, 5, padding_idx=0), "rnn": nn.RNN(5, 3, bidirectional=True), "head": nn.Linear(6, 4)})
counts = torch.tensor([2, 5, 1, 4])
mask_ = torch.arange(6) < counts[:, None]
lines = torch.randint(1, 9, (4, 6)) * mask_
factor = torch.randn(4, 6, 4) * mask_[:, :, None]
got = logits_and_slopes({n: p.clone() for n, p in reference.state_dict().items()}, lines, counts, factor)
wanted = torch.zeros(4, 6, 4)
for row, n in enumerate(counts.tolist()):
    wanted[row, :n] = reference["head"](reference["rnn"](reference["embed"](lines[row, :n])[:, None])[0][:, 0])
wanted = wanted * factor
wanted.sum().backward()
assert_close(
    got,
    (wanted.detach(), reference["embed"].weight.grad, reference["rnn"].weight_hh_l0_reverse.grad),
    msg=lambda m: f"C=5, H=3, lengths {counts.tolist()} of 6: logits or gradients unlike those of each sentence run alone\n{m}",
)


# %% hidden="tagger-learns" points=2
def learnt(lines, wanted_tags, others):
    torch.manual_seed(0)
    net = SlotTagger(7, 3)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.03)
    for _ in range(40):
        loss = nn.functional.cross_entropy(net(lines, torch.full((len(lines),), 4)).transpose(1, 2), wanted_tags)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    zero_row = net.embed.weight[0].detach().abs().sum().item()
    return net(others, torch.full((len(others),), 4)).argmax(dim=2), zero_row


made = [(a, b) for a in range(3, 7) for b in range(3, 7) if a != b]  # words: 1 leave, 2 arrive, 3 to 6 cities; tags 0, 1, 2
lines_ = torch.tensor([s for a, b in made for s in ([1, a, 2, b], [2, b, 1, a])])
marks_ = torch.tensor([s for _ in made for s in ([0, 1, 0, 2], [0, 2, 0, 1])])
new = torch.tensor([{3, 4} == {a, b} for a, b in made for _ in range(2)])
got, zero_row = learnt(lines_[~new], marks_[~new], lines_[new])
assert torch.equal(got, marks_[new]), (
    f"after 40 steps, pairs of cities not seen together must be tagged perfectly: {(got == marks_[new]).float().mean():.2f} right"
)
assert zero_row == 0, f"the pad's row of the embedding must stay zero, its sum is {zero_row:.3g}"


# %% wrong="tagger-per-word" fails="tagger-parts tagger-memory tagger-torch tagger-learns"
class SlotTagger(nn.Module):
    def __init__(self, n_words, n_tags, C=8, H=16):
        super().__init__()
        self.embed = nn.Embedding(n_words, C, padding_idx=0)
        self.rnn = nn.Linear(C, 2 * H)
        self.head = nn.Linear(2 * H, n_tags)

    def forward(self, ids, lengths):
        return self.head(torch.tanh(self.rnn(self.embed(ids))))


# %% [markdown] mistake="tagger-per-word"
# Labels each word alone: there is no recurrent network.
#
# Word 5 gets the same logits after word 1 as after word 2, and `SlotTagger(10, 3)` has 467 parameters, not 1,011. "Taipei" after "leave"
# and after "arrive" look alike to it. Which of the three parts should carry what was read?

# %% wrong="tagger-position" fails="tagger-parts tagger-memory tagger-torch tagger-learns"
class SlotTagger(nn.Module):
    def __init__(self, n_words, n_tags, C=8, H=16):
        super().__init__()
        self.embed = nn.Embedding(n_words, C, padding_idx=0)
        self.place = nn.Embedding(50, C)
        self.rnn = nn.Linear(C, 2 * H)
        self.head = nn.Linear(2 * H, n_tags)

    def forward(self, ids, lengths):
        return self.head(torch.tanh(self.rnn(self.embed(ids) + self.place(torch.arange(ids.shape[1])))))


# %% [markdown] mistake="tagger-position"
# Uses the word and its position in place of a recurrent network.
#
# The second word gets the same logits whatever the first one is, so "leave Taipei" and "arrive Taipei" look alike. The chapter computes how
# good such a tagger can be: right for half of the cities. Compare your parts with the three of the statement.

# %% wrong="tagger-no-padding-idx" fails="tagger-parts tagger-learns"
class SlotTagger(nn.Module):
    def __init__(self, n_words, n_tags, C=8, H=16):
        super().__init__()
        self.embed = nn.Embedding(n_words, C)
        self.rnn = nn.RNN(C, H, bidirectional=True, batch_first=True)
        self.head = nn.Linear(2 * H, n_tags)

    def forward(self, ids, lengths):
        short = pack_padded_sequence(self.embed(ids), lengths, batch_first=True, enforce_sorted=False)
        return self.head(pad_packed_sequence(self.rnn(short)[0], batch_first=True, total_length=ids.shape[1])[0])


# %% [markdown] mistake="tagger-no-padding-idx"
# Makes the embedding without `padding_idx`, so the row of the pad is not zero.
#
# The shapes are right and real words see no pads, but row 0 of your table starts with random numbers, and nothing keeps it at zero. Print
# `embed.weight[0]` of a fresh tagger and read again what the statement says about this row.

# %% wrong="tagger-one-direction" fails="tagger-parts tagger-memory tagger-torch"
class SlotTagger(nn.Module):
    def __init__(self, n_words, n_tags, C=8, H=16):
        super().__init__()
        self.embed = nn.Embedding(n_words, C, padding_idx=0)
        self.rnn = nn.RNN(C, 2 * H, batch_first=True)
        self.head = nn.Linear(2 * H, n_tags)

    def forward(self, ids, lengths):
        return self.head(self.rnn(self.embed(ids))[0])


# %% [markdown] mistake="tagger-one-direction"
# Reads from left to right only.
#
# Word 5 before word 1 and before word 2 gets the same logits, so "Taipei is where we arrive" cannot be labelled. `SlotTagger(10, 3)` has
# 1,523 parameters in your answer, not 1,011; read again what kind of network `rnn` is, and why a step has 2H numbers.

# %% wrong="tagger-pads-read" fails="tagger-memory tagger-torch"
class SlotTagger(nn.Module):
    def __init__(self, n_words, n_tags, C=8, H=16):
        super().__init__()
        self.embed = nn.Embedding(n_words, C, padding_idx=0)
        self.rnn = nn.RNN(C, H, bidirectional=True, batch_first=True)
        self.head = nn.Linear(2 * H, n_tags)

    def forward(self, ids, lengths):
        return self.head(self.rnn(self.embed(ids))[0])


# %% [markdown] mistake="tagger-pads-read"
# Runs the network over the pads; `lengths` is not used.
#
# The sentence 1, 5, 3 gets other logits when two pads stand behind it, because the backward half reads the pads first. Run one sentence
# with and without pads and compare; what must the network know to begin at the last real word?

# %% wrong="tagger-time-first" fails="tagger-parts tagger-memory tagger-torch"
class SlotTagger(nn.Module):
    def __init__(self, n_words, n_tags, C=8, H=16):
        super().__init__()
        self.embed = nn.Embedding(n_words, C, padding_idx=0)
        self.rnn = nn.RNN(C, H, bidirectional=True)
        self.head = nn.Linear(2 * H, n_tags)

    def forward(self, ids, lengths):
        return self.head(self.rnn(self.embed(ids))[0])


# %% [markdown] mistake="tagger-time-first"
# Leaves `rnn` in the time-first layout, so that it reads across the batch.
#
# Exchange one sentence of a batch, and the logits of its neighbours move; in a batch of one, the words do not see each other at all. No
# error tells you. Print the shape that goes into `rnn` and ask which axis it takes for time.

# %% wrong="tagger-sorted-twice" fails="tagger-memory tagger-torch"
class SlotTagger(nn.Module):
    def __init__(self, n_words, n_tags, C=8, H=16):
        super().__init__()
        self.embed = nn.Embedding(n_words, C, padding_idx=0)
        self.rnn = nn.RNN(C, H, bidirectional=True, batch_first=True)
        self.head = nn.Linear(2 * H, n_tags)

    def forward(self, ids, lengths):
        by_length = lengths.argsort(descending=True)
        short = pack_padded_sequence(self.embed(ids[by_length]), lengths[by_length], batch_first=True)
        states = pad_packed_sequence(self.rnn(short)[0], batch_first=True, total_length=ids.shape[1])[0]
        return self.head(states)[by_length]


# %% [markdown] mistake="tagger-sorted-twice"
# Sorts the sentences by length, and does not bring each back to its own row.
#
# With two sentences it works. With the lengths 3, 5, 4 the first row of your result belongs to the sentence of length 4. Sorting was one
# permutation; try on the list of row numbers what comes out when the same one is applied twice.

# %% wrong="tagger-log-softmax" fails="tagger-parts tagger-torch"
class SlotTagger(nn.Module):
    def __init__(self, n_words, n_tags, C=8, H=16):
        super().__init__()
        self.embed = nn.Embedding(n_words, C, padding_idx=0)
        self.rnn = nn.RNN(C, H, bidirectional=True, batch_first=True)
        self.head = nn.Linear(2 * H, n_tags)

    def forward(self, ids, lengths):
        short = pack_padded_sequence(self.embed(ids), lengths, batch_first=True, enforce_sorted=False)
        states = pad_packed_sequence(self.rnn(short)[0], batch_first=True, total_length=ids.shape[1])[0]
        return self.head(states).log_softmax(dim=-1)


# %% [markdown] mistake="tagger-log-softmax"
# Returns log-probabilities where logits are asked.
#
# If the head gives 1, 2, 3 for a word, you return −2.41, −1.41, −0.41. The likeliest tag is the same, and so is the training loss, since
# `cross_entropy` takes the log-softmax itself. What does the statement ask `forward` to return?

# %% right="tagger-sentence-by-sentence"
class SlotTagger(nn.Module):
    def __init__(self, n_words, n_tags, C=8, H=16):
        super().__init__()
        self.embed = nn.Embedding(num_embeddings=n_words, embedding_dim=C, padding_idx=0)
        self.rnn = nn.RNN(input_size=C, hidden_size=H, bidirectional=True, batch_first=True)
        self.head = nn.Linear(in_features=H + H, out_features=n_tags)

    def forward(self, ids, lengths):
        out = torch.zeros(*ids.shape, self.head.out_features)
        for row, n in enumerate(lengths.tolist()):
            states, _ = self.rnn(self.embed(ids[row : row + 1, :n]))
            out[row, :n] = self.head(states)[0]
        return out


# %% [markdown] explanation="tagger"
# A tagger without memory or with positions in its place stays at half of the cities on these data, by the ceiling, whatever its size:
# the hidden check would be passed by neither.
# Without packing the *forward* half is right and the backward half begins with the pads; the error is greatest at the last words.
# `total_length` matters as soon as a batch is a part of a larger one, whose T it must keep.
# The target's logits need (B, n_tags, T) for `cross_entropy`: hence the `transpose(1, 2)` in the training loop.

# %% [markdown]
# **Try it: your own functions.** In a new cell, after Exercises 8 to 10:
#
# ```python
# X, y = window(spots, 22, 5)          # five years ahead: how good are the two baselines now? (eleven years before y: X[:, -7])
# made = trips(places)
# cities_only = [(w[i], t[i]) for w, t in made for i in (1, 3)]
# print(ceiling([c for c, _ in cities_only], [t for _, t in cities_only]))
# mine = SlotTagger(len(word_id) + 1, 3)
# print(mine(train_rows[:2], train_count[:2]).shape)
# ```
#
# ## Real task 3: which language is this name?
#
# Many-to-one: the letters of a name go in, the last state gives 15 logits.
# The majority baseline is right for about one name in fifteen. A stronger one is a linear model on *which letters occur how often*, blind to their order.

# %%
languages = sorted(names["language"].unique())
spoken = torch.tensor([languages.index(name) for name in names["language"]])  # (N,)
letter_counts = nn.functional.one_hot(name_ids, len(letters)).sum(dim=1)[:, 1:].float()  # (N, V - 1), pads left out
majority = spoken[training].mode().values
print(f"majority: {(spoken[held_out] == majority).double().mean():.2f}")


# %%
def new_net(name: str) -> nn.Module:
    if name == "letter counts":
        return nn.Linear(len(letters) - 1, 15)
    table = nn.Embedding(len(letters), 24, padding_idx=0)
    return nn.ModuleList([table, nn.RNN(24, 64, batch_first=True, bidirectional=True), nn.Linear(128, 15)])


def classify(net: nn.Module, rows: torch.Tensor) -> torch.Tensor:
    """Logits (n, 15) of the names in these rows; the RNN's come from both last real states."""
    if isinstance(net, nn.Linear):
        return net(letter_counts[rows])
    short = pack_padded_sequence(net[0](name_ids[rows]), n_letters[rows], batch_first=True, enforce_sorted=False)
    return net[2](net[1](short)[1].transpose(0, 1).flatten(start_dim=1))


# %% tags=["nbval-ignore-output"]
confusions = {"letter counts": [], "RNN": []}
for name, seed in itertools.product(confusions, range(3)):
    _ = torch.manual_seed(seed)
    net = new_net(name)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.003 if name == "RNN" else 0.01)
    for _ in range(6):
        for rows in training[torch.randperm(len(training))].split(64):
            loss = nn.functional.cross_entropy(classify(net, rows), spoken[rows])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
    with torch.no_grad():
        answers = classify(net, held_out).argmax(dim=1)
    counts = torch.zeros(15, 15).index_put_((spoken[held_out], answers), torch.ones(len(held_out)), accumulate=True)
    confusions[name].append(counts)

# %% tags=["nbval-ignore-output"]
recalls = {name: [c.diagonal() / c.sum(dim=1) for c in three] for name, three in confusions.items()}
balanced = {name: [v.mean().item() for v in three] for name, three in recalls.items()}
print({name: [f"{v:.2f}" for v in three] for name, three in balanced.items()})
assert min(balanced["RNN"]) > 0.62 > 0.6 > max(balanced["letter counts"]) and min(balanced["letter counts"]) > 0.45

# %% [markdown]
# The classes have unequal sizes (400 names of most languages, 100 Japanese), so we print the **balanced accuracy** (平衡准确率):
# the share of right answers in each class, averaged over the classes. A majority answer has 1/15 = 0.07.
# The recurrent network is more than ten points in a hundred ahead, but not by order alone, since the letter counts go into a *linear* model.
# With a hidden layer of 128 tanh units they have 0.58 to 0.60 (three seeds when this was written): about ten points are owed to order.
# Which languages are confused?

# %%
fig, axes = plt.subplots(1, 2, figsize=(12, 5), width_ratios=[1.3, 1])
summed = sum(confusions["RNN"])  # over the three seeds
shares = summed / summed.sum(dim=1, keepdim=True)
picture = axes[0].imshow(shares, cmap="Blues", vmin=0, vmax=1)
axes[0].set(xticks=range(15), yticks=range(15), xlabel="answer", ylabel="true language", title="RNN, three seeds: rows add up to 1")
axes[0].set_xticklabels(languages, rotation=90)
axes[0].set_yticklabels(languages)
fig.colorbar(picture, ax=axes[0], label="share of the row")
order = torch.stack(recalls["RNN"]).mean(dim=0).argsort()
for name, colour, shift in (("letter counts", "tab:orange", -0.2), ("RNN", "tab:blue", 0.2)):
    axes[1].barh(torch.arange(15) + shift, torch.stack(recalls[name]).mean(dim=0)[order], height=0.4, color=colour, label=name)
axes[1].set(yticks=range(15), xlabel="share recognised, mean of three seeds", title="Each language by itself", xlim=(0, 1))
axes[1].set_yticklabels([languages[k] for k in order.tolist()])
axes[1].legend(loc="lower right", reverse=True)
plt.show()
by_rnn, by_counts = (
    dict(zip(languages, torch.stack(v).mean(dim=0).tolist(), strict=True)) for v in (recalls["RNN"], recalls["letter counts"])
)
assert min(by_rnn["Irish"], by_rnn["Chinese"]) > 0.9 > 0.6 > max(by_rnn["Japanese"], by_rnn["English"])
assert by_rnn["French"] - by_counts["French"] > 0.2
mistaken = dict(zip(languages, (shares - shares.diagonal().diag()).argmax(dim=1).tolist(), strict=True))
assert languages[mistaken["Japanese"]] == "Chinese" and languages[mistaken["Italian"]] == "Spanish"

# %% [markdown]
# A dark diagonal means recognised.
# Irish (nine of ten begin with Ó or Mac) and Chinese are nearly always right, and Irish already by its letters.
# Japanese, the rarest, and English, which has taken names from everywhere, are the hardest; an average over all names would hide the 0.4 of Japanese.
# Japanese, where it is not recognised, is most often taken for Chinese, Italian for Spanish.
# Order helps most where letters are shared by all, as in French; Croatian and Dutch gain nothing.
#
# **Try it**: what does the network answer for your own name?
#
# ## What goes wrong in practice
#
# - **The results are poor and nothing complains.** `batch_first` is missing: the network reads across the batch.
#   Test: change one sequence of a batch; no other output may change.
# - **"Trying to backward through the graph a second time."** The state of the last batch was kept without `detach`.
# - **A state from the sequence before.** Carried over from sentence to sentence, it makes results depend on the order of the batch.
#   Start from zeros unless the chunks belong to one sequence.
# - **Long sequences of a batch are fine, short ones bad.** `output[:, -1]` is the state at a pad: pack, or take `lengths - 1`.
# - **The loss jumps to `nan`.** An exploding gradient: clip its norm (`clip_grad_norm_`) between `backward` and `step`.
# - **The forecast is too good.** The target stands in its window, the scaler saw the test years,
#   or, with a forecast at every step, the network is bidirectional.
# - **The forecast is one step late.** It copies the last value; compare with that baseline before you praise it.
# - **A tagger is perfect on your examples only.** Compute the ceiling by position first.
# - **Perplexity changes with the batch size.** Pads are in the mean, or it is a mean of batch means.
#
# ## Summary
#
# A recurrent network applies one cell at every step and carries a state; an embedding is a row look-up, equal to one-hot times a table.
# `nn.RNN` wants time first unless told, has two biases, and returns all states of the top layer and the last state of each layer.
# Elman feeds back the state, Jordan the output. Bidirectional networks read from both ends, each sequence within its own length.
# BPTT is backpropagation in the unrolled network: the gradient is a product of as many matrices as steps, and vanishes or explodes.
# Truncation saves memory in proportion, and ends the gradient at the border, not the values.
# Baselines and ceilings come first: they say what a number is worth. Cells that remember longer are chapter 21's.
#
# ## Terms
#
# | English | 中文 | in one line |
# |---|---|---|
# | sequence, step | 序列，时间步 | a list whose order matters; one place in it |
# | token | 词元 | one entry of a text: a word or a letter |
# | vocabulary | 词表 | the numbered list of all tokens |
# | one-hot | 独热 | a vector with a single 1 |
# | dense embedding | 稠密嵌入 | a trainable row of a table for each token |
# | memory | 记忆 | what a network keeps of earlier steps |
# | recurrent network | 循环神经网络 | applies one cell at each step and carries a state |
# | state | 隐藏状态 | the vector that is carried |
# | cell | 循环单元 | the function of one step |
# | bias | 偏置 | the vector added; `nn.RNN` has two |
# | unrolled | 展开 | drawn once for every step |
# | layout | 布局 | order of the axes: (T, B, C) or (B, T, C) |
# | stacked | 堆叠 | one layer's states are the next one's inputs |
# | Elman network | Elman 网络 | feeds back the state |
# | Jordan network | Jordan 网络 | feeds back the output |
# | target | 目标 | what the answer is compared with |
# | many-to-one, many-to-many | 多对一，多对多 | one answer a sequence; one a step |
# | language model | 语言模型 | probabilities of the next token |
# | sequence target | 序列目标 | the sequence itself, moved by one step |
# | pad, mask | 填充，掩码 | fills short sequences; tells what is real |
# | negative log-likelihood | 负对数似然 | $-\ln p$ of the right token |
# | perplexity | 困惑度 | exp of the mean NLL of real tokens |
# | bidirectional | 双向 | one network from each end |
# | BPTT | 沿时间反向传播 | backpropagation in the unrolled network |
# | vanish, explode | 梯度消失，梯度爆炸 | gradients shrink or grow with distance |
# | Frobenius norm | 弗罗贝尼乌斯范数 | root of the sum of a matrix's squared entries |
# | orthogonal matrix | 正交矩阵 | changes no length |
# | truncated BPTT | 截断的 BPTT | the state is detached every k steps |
# | leak | 数据泄漏 | the training has seen what it could not know |
# | window, horizon | 滑动窗口，预测步长 | the past values of a sample; how far ahead |
# | last value, last cycle | 上一个值，上一周期 | two baselines of a forecast |
# | slot filling | 槽填充 | a label for each word |
# | key, ceiling | 键，上界 | what a tagger sees; the best it can do with it |
# | balanced accuracy | 平衡准确率 | mean over classes of the share recognised |
#
# ## Reading
#
# - M. I. Jordan, *Serial Order: A Parallel Distributed Processing Approach*, 1986.
# - J. L. Elman, *Finding Structure in Time*, 1990.
# - P. J. Werbos, *Backpropagation Through Time: What It Does and How to Do It*, 1990.
# - Y. Bengio, P. Simard, P. Frasconi, *Learning Long-Term Dependencies with Gradient Descent Is Difficult*, 1994.
# - M. Schuster, K. K. Paliwal, *Bidirectional Recurrent Neural Networks*, 1997.
# - The PyTorch documentation: the pages of `torch.nn.RNN`, `torch.nn.Embedding` and `torch.nn.utils.rnn.pack_padded_sequence`.
