# %% [markdown] needs="14 23" sittings="2"
# # Where does each character of a translation come from?
#
# "Saturday, 5 June 2021" is 2021年6月5日星期六 in Chinese.
# The year moves from the end to the front, the month becomes a number, the weekday moves from the front to the end.
# A person who translates looks back at the right English word for each character.
# Can a program learn where to look, from nothing but pairs of dates?
#
# The program of this chapter is the **Transformer** (变换器): a stack of blocks in which every position of a sentence looks at every other position at once.
#
# After this chapter you can
#
# - build the encoder block and the decoder block, and show that they equal PyTorch's to the last digits,
# - write the masks, the scaled embedding and the smoothed loss that training needs,
# - copy the weights of `nn.Transformer` into your own model, name by name,
# - train a small translator and read from its attention where each character came from,
# - write one character at a time without computing anything twice, and say what it costs to write all of them at once.

# %% setup="imports"
import csv
import math
import os
import re
from pathlib import Path

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

DATA = Path(os.environ.get("COURSE_DATA", "../../data"))
PAD, BOS, EOS = 0, 1, 2  # ids: padding, beginning of sentence, end of sentence
torch.backends.mha.set_fastpath_enabled(False)  # PyTorch's fused inference code differs in the last digits; we compare digits

# %%
english, chinese = ["Saturday", ",", "5", "June", "2", "0", "2", "1"], ["2", "0", "2", "1", "nian", "6", "yue", "5", "ri", "xingqi", "liu"]
source_of = [4, 5, 6, 7, None, 3, None, 2, None, 0, 0]  # worked out by a person
fig, ax = plt.subplots(figsize=(8, 2.6))
for i, word in enumerate(english):
    ax.text(i * 10 / 7, 1, word, ha="center", va="bottom")
for j, word in enumerate(chinese):
    ax.text(j, 0, word, ha="center", va="top")
    if source_of[j] is not None:
        ax.plot([source_of[j] * 10 / 7, j], [0.96, 0.06], color=f"C{source_of[j]}", lw=2)
ax.set(xlim=(-0.8, 10.6), ylim=(-0.25, 1.25), title="Which English piece does each Chinese piece come from?")
ax.axis("off")
plt.show()

# %% [markdown]
# The lines cross: no rule such as "take the next word" will do.
# (Matplotlib's own font has no Chinese characters, so our figures spell them in pinyin: 年 nian, 月 yue, 日 ri, 星期 xingqi.)
# At the end of the chapter a trained network finds these lines by itself.
#
# ## What this chapter takes from others
#
# You can read this chapter on its own: each part that it uses is explained in a few lines where it is needed.
# Other chapters of the course open the parts up:
#
# | part | here | opened up in |
# |---|---|---|
# | modules, parameters | used | 06 Modules and data |
# | Adam, warm-up | one picture | 12 and 13 Optimizers |
# | layer normalisation | one formula | 14 Normalisation |
# | residual paths | one picture | 17 Residual nets |
# | encoder and decoder, teacher forcing | a few lines | 22 Seq2seq |
# | attention, masks, positions | one class | 23 Attention |
#
# One name to keep apart: the speech recogniser that notes call the "RNN Transformer" of the Pixel 4 is an RNN-*Transducer*, a recurrent network.

# %% [markdown]
# ## Attention: every row looks at every row
#
# A **token** (词元) is a piece of a sentence: here a word, a digit, a sign or a Chinese character.
# Two more tokens, `<bos>` and `<eos>`, mark the beginning and the end of a sentence.
# A sentence of $T$ tokens is a table $x$ of shape $(T, C)$: one row of $C$ numbers for each token.
# **Attention** (注意力) lets each row collect information from the rows of a source.
# Each row asks a **query** (查询) $q$; each source row offers a **key** (键) $k$ and a **value** (值) $v$; all three are learned linear maps of the rows.
# A row's answer is a weighted mean of the values:
#
# $$\mathrm{attention}(q, k, v) = \mathrm{softmax}\!\left(\frac{q\,k^\top}{\sqrt{d}}\right) v .$$
#
# The source has $S$ rows, and a query, a key and a value have $d$ numbers each.
# So $q$ is $(T, d)$, $k$ and $v$ are $(S, d)$, the weights are $(T, S)$, and each row of weights is positive and sums to 1.
# By hand: take two rows $(1, 0)$ and $(0, 1)$ as queries, keys and values at once.
# The scores are 1 on the diagonal and 0 elsewhere; divided by $\sqrt 2$ they are 0.71 and 0; $e^{0.71} / (e^{0.71} + e^0) = 0.67$.

# %%
pair = torch.eye(2)
weights = (pair @ pair.T / math.sqrt(2)).softmax(dim=1)
print(weights)

# %% [markdown]
# Each row looks at itself with weight 0.67 and at the other with 0.33.
#
# Why $\sqrt d$?
# A dot product of $d$ independent numbers of size 1 has size $\sqrt d$.
# Some notes divide by $d$; the next picture compares the three choices on random queries and 8 random keys.

# %%
sizes = [2**n for n in range(1, 11)]
choices = {"not divided": lambda d: 1, r"divided by $\sqrt{d}$": math.sqrt, "divided by d": lambda d: d}
_ = torch.manual_seed(0)
dots = {d: torch.randn(400, 1, d) @ torch.randn(400, d, 8) for d in sizes}  # (400, 1, 8): 400 queries, 8 keys each
fig, ax = plt.subplots(figsize=(5, 3))
for name, divisor in choices.items():
    ax.semilogx(sizes, [(dots[d] / divisor(d)).softmax(-1).amax(-1).mean() for d in sizes], "o-", base=2, label=name)
ax.axhline(1 / 8, color="grey", ls=":")
ax.set(xlabel="size d of a key", ylabel="largest of 8 weights", title="How sharply a random query looks")
ax.legend()
plt.show()

# %% [markdown]
# Undivided scores soon put the whole weight on one key, where the softmax has almost no gradient.
# Divided by $d$, all weights become 1/8 (dotted) and the query cannot choose.
# Divided by $\sqrt d$, the sharpness hardly depends on $d$.
#
# **Multi-head attention** (多头注意力) cuts the $C$ numbers into `n_heads` parts, the heads, and runs one attention in each, so that a row can look at several places for several reasons.
# The heads' answers are put side by side and mixed by a fourth linear map, `w_o`.
# A **mask** (掩码) says which pairs are blocked: their scores become $-\infty$ and their weights 0.
# Throughout this chapter, as in `nn.Transformer`, `True` means **blocked**.
# In code an axis of $B$ sentences comes first.

# %% setup="attention"
class MultiHeadAttention(nn.Module):
    """Each row of `x` (B, T, C) looks at the rows of `source` (B, S, C) that `block`, (T, S) or (B, T or 1, S), does not forbid."""

    def __init__(self, C: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.w_q, self.w_k, self.w_v, self.w_o = (nn.Linear(C, C) for _ in range(4))

    def heads(self, z: torch.Tensor) -> torch.Tensor:
        return z.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)  # (B, T, C) -> (B, n_heads, T, C / n_heads)

    def keys_values(self, source: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.heads(self.w_k(source)), self.heads(self.w_v(source))

    def look(self, x: torch.Tensor, k: torch.Tensor, v: torch.Tensor, block: torch.Tensor | None = None) -> torch.Tensor:
        q = self.heads(self.w_q(x))
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])  # (B, n_heads, T, S)
        if block is not None:
            B, _, T, S = scores.shape
            assert tuple(block.shape) in {(T, S), (B, T, S), (B, 1, S)}, f"block must be (B, 1, S) = {B, 1, S}, (B, T, S) or (T, S) = {T, S}, got {tuple(block.shape)}"
            scores = scores.masked_fill(block[..., None, :, :], -torch.inf)
        return self.w_o((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))  # heads side by side again: (B, T, C)

    def forward(self, x: torch.Tensor, source: torch.Tensor, block: torch.Tensor | None = None) -> torch.Tensor:
        return self.look(x, *self.keys_values(source), block)


# %% [markdown]
# `forward(x, source, block)` is the whole of it; it is two steps, `keys_values` and `look`, because Exercise 8 wants them apart.
# With `source = x` it is **self-attention** (自注意力); with another sentence as the source it is **cross-attention** (交叉注意力).
#
# A note that goes around says: "in self-attention, key, value and query are completely identical".
# They are computed from the same *input*, by three different learned maps.
# If queries and keys were identical, the table of scores would be symmetric: "June" would score "5" exactly as "5" scores "June".

# %%
_ = torch.manual_seed(0)
attention = MultiHeadAttention(C=4, n_heads=1)
words = torch.randn(1, 3, 4)
queries, keys = attention.w_q(words)[0], attention.w_k(words)[0]
print("queries equal keys:", torch.equal(queries, keys))
print("scores symmetric:  ", torch.allclose(queries @ keys.T, keys @ queries.T))

# %% [markdown]
# ## Add, then normalise
#
# A block never replaces a row, it **adds an update** to it: $x + f(x)$.
# The path that carries $x$ past $f$ is the **residual path** (残差连接); along it a gradient reaches lower blocks without passing through $f$.
# After each addition the row is brought back to a standard size by **layer normalisation** (层归一化), over the $C$ numbers of one row:
#
# $$\mathrm{LN}(x) = \gamma \, \frac{x - \mu}{\sqrt{\sigma^2 + \varepsilon}} + \beta, \qquad \mu = \frac1C \sum_c x_c, \qquad \sigma^2 = \frac1C \sum_c (x_c - \mu)^2 .$$
#
# Notes often give $(x - \mu) / \sigma$ and stop.
# Three things are missing: the learned $\gamma$ (starts at 1) and $\beta$ (starts at 0), each of shape $(C,)$; the $\varepsilon$; and that $\sigma^2$ is the *population* variance, divided by $C$ and not by $C - 1$.
# By hand: the row $(1, 3)$ has $\mu = 2$ and $\sigma^2 = 1$, so it becomes $(-1, 1)$.

# %%
for row in (torch.tensor([1.0, 3.0]), torch.tensor([2.0, 2.0])):
    print("note:", (row - row.mean()) / row.std(), " PyTorch:", F.layer_norm(row, (2,)))

# %% [markdown]
# The note's formula, with the usual `std`, is wrong by a factor $\sqrt{1/2}$ on two numbers and gives `nan` on a constant row, where PyTorch gives 0.
#
# ## Feed-forward: each row on its own
#
# Attention moves information between rows; the **position-wise feed-forward network** (逐位置前馈网络) then works on each row alone:
# $\mathrm{ffn}(x) = W_2\,\mathrm{relu}(W_1 x + b_1) + b_2$, from $C$ numbers to `hidden` numbers (usually $4C$) and back, the same weights at every position.
# The next exercise asks what this has to do with convolution.

# %% [markdown]
# ### Exercise 1: correct the note (5 points)
#
# A note says: "the position-wise feed-forward network equals a 1×1 convolution."
# One convolution is one linear map, so that cannot be right; correct it.
#
# Write `ffn_by_convolution(x, linear1, linear2)` that returns what the feed-forward network with these two layers returns, computed by convolutions over the positions.
# `x` is `(B, T, C)`, `linear1` is an `nn.Linear(C, hidden)` and `linear2` an `nn.Linear(hidden, C)`, both with bias; the result is `(B, T, C)`.
# Use `F.conv1d` (or `nn.Conv1d`), exactly two of them, each with a kernel of size 1; no `linear1(…)`, no `@`, no loop.
# `F.conv1d(z, weight, bias)` wants `z` as `(B, channels, T)` and `weight` as `(channels out, channels in, kernel size)`.
#
# By hand, with $C = 1$ and two hidden numbers: $x = 2$, $W_1 = (1, -1)^\top$, $b_1 = 0$, $W_2 = (3, 5)$, $b_2 = 1$ gives $(2, -2)$, after the ReLU $(2, 0)$, and $3 \cdot 2 + 5 \cdot 0 + 1 = 7$.
#
# <details><summary>Hint 1</summary>Which axis of <code>x</code> holds the channels, and where does <code>conv1d</code> look for them?</details>
# <details><summary>Hint 2</summary>A linear layer's weight has shape (out, in). Give it a third axis of length 1.</details>

# %% exercise="ffn"
def ffn_by_convolution(x: torch.Tensor, linear1: nn.Linear, linear2: nn.Linear) -> torch.Tensor:
    """Return the feed-forward network of `linear1` and `linear2` on each row of `x` (B, T, C), computed by two convolutions, (B, T, C)."""
    # BEGIN SOLUTION
    z = F.conv1d(x.mT, linear1.weight[:, :, None], linear1.bias).relu()  # (B, hidden, T)
    return F.conv1d(z, linear2.weight[:, :, None], linear2.bias).mT
    # END SOLUTION


# %% check="ffn-by-hand" points=1
up, down = nn.Linear(1, 2).requires_grad_(False), nn.Linear(2, 1).requires_grad_(False)
up.weight[:], up.bias[:] = torch.tensor([[1.0], [-1.0]]), 0.0
down.weight[:], down.bias[:] = torch.tensor([[3.0, 5.0]]), 1.0


def by_hand():
    try:
        return ffn_by_convolution(torch.tensor([[[2.0], [-1.0]]]), up, down)
    except NotImplementedError:  # not written yet
        raise
    except RuntimeError as mismatch:
        return f"the error: {mismatch}"


out = by_hand()
assert type(out) is torch.Tensor and tuple(out.shape) == (1, 2, 1), (
    f"x (1, 2, 1) must give a tensor (1, 2, 1), got {out}. None: is return missing? (1, 1, 2), or an error about channels: "
    "conv1d has the channels on axis 1, x on the last; an error about the weight: it needs three axes"
)
torch.testing.assert_close(
    out,
    torch.tensor([[[7.0], [6.0]]]),
    msg=lambda m: (
        f"x = 2 should give 7, and x = -1 should give 6; got {out.flatten().tolist()}.\n"
        f"-3 and 3 mean that there is no ReLU between or that it is in the wrong place, 0 and 3 that the ReLU comes last, "
        f"6 and 5 that the second bias is missing.\n{m}"
    ),
)
print("passed: the example worked by hand")

# %% check="ffn-kernels" points=1
up, down, z = nn.Linear(4, 6).requires_grad_(False), nn.Linear(6, 4).requires_grad_(False), torch.ones(2, 3, 4)


def convolutions_used():
    seen = []

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            if func.__name__ == "conv1d":
                seen.append(list(args[1].shape if len(args) > 1 else kwargs["weight"].shape))
            return func(*args, **(kwargs or {}))

    with Watch():
        try:
            result = ffn_by_convolution(z, up, down)
        except NotImplementedError:  # not written yet
            raise
        except RuntimeError as mismatch:
            return seen, f"the error: {mismatch}"
    return seen, list(result.shape) if isinstance(result, torch.Tensor) else type(result).__name__


used, shape = convolutions_used()
assert shape == [2, 3, 4], (
    f"x of shape [2, 3, 4] must give a tensor of the same shape, got {shape}. NoneType: is return missing? [2, 4, 3], or an error "
    "about channels: conv1d has the channels on axis 1, x on the last; an error about the weight: it needs three axes"
)
assert used == [[6, 4, 1], [4, 6, 1]], (
    f"expected one conv1d with a kernel of shape [6, 4, 1], then one of [4, 6, 1]; got {used}. []: no convolution was called. "
    "The kernel size is the last axis"
)
print("passed: two convolutions with kernels of size 1")

# %% hidden="ffn-linear" points=2
gen = torch.Generator().manual_seed(11)
wide, narrow = nn.Linear(3, 7).double().requires_grad_(False), nn.Linear(7, 3).double().requires_grad_(False)
for tensor in (wide.weight, wide.bias, narrow.weight, narrow.bias):
    tensor.normal_(generator=gen)
z = torch.randn(4, 5, 3, generator=gen, dtype=torch.float64)
out = ffn_by_convolution(z.clone(), wide, narrow)
torch.testing.assert_close(out, narrow(wide(z).relu()), msg=lambda m: f"for x of shape (4, 5, 3) the result must equal linear2(relu(linear1(x))):\n{m}")

# %% hidden="ffn-alone" points=1
gen = torch.Generator().manual_seed(12)
wide, narrow = nn.Linear(2, 9).requires_grad_(False), nn.Linear(9, 2).requires_grad_(False)
z = torch.randn(1, 6, 2, generator=gen)
changed = z.clone()
changed[0, 3] += 5
before, after = ffn_by_convolution(z, wide, narrow), ffn_by_convolution(changed, wide, narrow)
moved = (before - after).abs().amax(-1)[0] > 1e-6
assert moved.tolist() == [False, False, False, True, False, False], f"only row 3 of x changed, but the rows of the result that changed are {moved.nonzero().flatten().tolist()}: positions must not mix"

# %% wrong="ffn-one-convolution" fails="ffn-by-hand ffn-linear"
def ffn_by_convolution(x, linear1, linear2):
    z = F.conv1d(x.transpose(1, 2), linear1.weight.unsqueeze(-1), linear1.bias)
    return F.conv1d(z, linear2.weight.unsqueeze(-1), linear2.bias).transpose(1, 2)


# %% [markdown] mistake="ffn-one-convolution"
# Has no ReLU between the two convolutions, so the whole is one linear map, as in the note.
#
# In the example by hand (2, -2) goes on unchanged, and 3 · 2 + 5 · (-2) + 1 = -3 comes out instead of 7. Two linear maps one after the
# other are one linear map again, which is the very point where the note is wrong; what stands between them in the formula of the network?

# %% wrong="ffn-activation-last" fails="ffn-linear"
def ffn_by_convolution(x, linear1, linear2):
    z = F.conv1d(x.transpose(1, 2), linear1.weight.unsqueeze(-1), linear1.bias)
    return F.conv1d(z, linear2.weight.unsqueeze(-1), linear2.bias).relu().transpose(1, 2)


# %% [markdown] mistake="ffn-activation-last"
# Puts the ReLU after the second convolution instead of between the two.
#
# In the example by hand -3 arrives at the end and becomes 0, where 7 is expected; a network that ends so can never return a negative
# number. Read the formula of the feed-forward network from the inside to the outside and note which step comes at which place.

# %% wrong="ffn-mixes-positions" fails="ffn-kernels ffn-linear ffn-alone"
def ffn_by_convolution(x, linear1, linear2):
    three = linear1.weight[:, :, None].expand(-1, -1, 3) / 3
    z = F.conv1d(x.mT, three, linear1.bias, padding=1).relu()
    return F.conv1d(z, linear2.weight[:, :, None], linear2.bias).mT


# %% [markdown] mistake="ffn-mixes-positions"
# Uses a kernel wider than 1, so each position is mixed with its neighbours.
#
# Change one row of `x` and see which rows of the result move: with the weights of the example and the rows 0, 0, 0, 6, your third row
# becomes 7 although its own input is 0, and it should be 1. The statement gives the size of the kernel; print the shape of your weights,
# whose last axis is that size.

# %% wrong="ffn-linear-layers" fails="ffn-kernels"
def ffn_by_convolution(x, linear1, linear2):
    return linear2(F.relu(linear1(x)))


# %% [markdown] mistake="ffn-linear-layers"
# Computes the right numbers with the linear layers themselves, not with two convolutions.
#
# The result is right, but no `conv1d` is called at all, and the task is to show that the network can be written with two of them. Start
# from the layout: which axis of `x` holds the channels, and what shape does a convolution want its weight to have?

# %% right="ffn-modules"
def ffn_by_convolution(x, linear1, linear2):
    layers = []
    for linear in (linear1, linear2):
        conv = nn.Conv1d(linear.in_features, linear.out_features, 1).to(x.dtype)
        conv.weight.data, conv.bias.data = linear.weight.data.unsqueeze(2), linear.bias.data
        layers.append(conv)
    return layers[1](torch.relu(layers[0](x.transpose(1, 2)))).transpose(1, 2).detach()


# %% [markdown] explanation="ffn"
# A convolution with a kernel of size 1 sees one position and all channels: it *is* a linear layer applied at every position.
# The network has two linear layers with a ReLU between, so it is two such convolutions with a ReLU between; without the ReLU the two would collapse into one linear map, which is what the note describes.
# The usual slip is the layout: `conv1d` wants channels before positions, hence the two transposes.
# Try next: how many multiplications does one position cost, and does it depend on T?

# %% [markdown]
# ## The encoder block
#
# Now the parts meet.
# The **encoder** (编码器) reads the source sentence; it is a stack of blocks, and this picture is one of them, with the **decoder** (解码器) block beside it.

# %%
def draw_block(ax, x, steps):
    """Draw the steps upwards at `x`; each 'add, norm' receives a path that leads around the step below it."""
    for i, step in enumerate(steps):
        colour = "#ffe9b8" if step == "add, norm" else "#cfe3f7" if i else "white"
        ax.text(x, i, step, ha="center", va="center", bbox={"boxstyle": "round,pad=0.45", "fc": colour})
        if i:
            ax.annotate("", (x, i - 0.3), (x, i - 0.7), arrowprops={"arrowstyle": "->"})
        if step == "add, norm":
            ax.plot([x, x + 1.4, x + 1.4], [i - 1.5, i - 1.5, i], color="C3")
            ax.annotate("", (x + 0.6, i), (x + 1.42, i), arrowprops={"arrowstyle": "->", "color": "C3"})


fig, ax = plt.subplots(figsize=(8, 5))
draw_block(ax, 0, ["x, the source", "self-attention", "add, norm", "feed-forward", "add, norm"])
draw_block(ax, 5.2, ["y, the target", "masked self-attention", "add, norm", "cross-attention", "add, norm", "feed-forward", "add, norm"])
ax.plot([0, 0, 2.6, 2.6], [4.35, 4.9, 4.9, 3], color="C2")
ax.annotate("", (4.3, 3), (2.58, 3), arrowprops={"arrowstyle": "->", "color": "C2"})
ax.text(1.3, 5.05, "memory: keys and values", color="C2", ha="center")
for x, name in ((0, "encoder block"), (5.2, "decoder block")):
    ax.text(x, 6.8, name, ha="center", weight="bold")
ax.set(xlim=(-1.3, 7), ylim=(-0.5, 7.1))
ax.axis("off")
plt.show()

# %% [markdown]
# Read it from the bottom to the top.
# Blue boxes compute an update; the red residual path carries the input around each of them; the yellow boxes add the two and normalise.
# The green path carries what the encoder has read to the decoder.
# Blocks are stacked, each taking the result of the one below.
# This order, *update, add, norm*, is the **post-LN** (后置归一化) of the paper of 2017 and the default of `nn.TransformerEncoderLayer`.
# `nn.Transformer` puts one more norm after the last block; it is neither in the paper nor in the picture.
# Many later models put the norm inside, $x + f(\mathrm{LN}(x))$: **pre-LN** (前置归一化), which trains without much warm-up.
# In pre-LN nothing at all lies on the residual path; in post-LN each norm does.
# The two are different functions: weights of one are of no use in the other.
#
# Here are the parts of both blocks, each without its order, which is your work.
# They have PyTorch's names; `multihead_attn` is what PyTorch calls the decoder's cross-attention.

# %% setup="parts"
class EncoderParts(nn.Module):
    """What an encoder block is made of; C numbers per row, `hidden` inside the feed-forward network."""

    def __init__(self, C: int, n_heads: int, hidden: int) -> None:
        super().__init__()
        self.self_attn = MultiHeadAttention(C, n_heads)
        self.linear1, self.linear2 = nn.Linear(C, hidden), nn.Linear(hidden, C)
        self.norm1, self.norm2 = nn.LayerNorm(C), nn.LayerNorm(C)


class DecoderParts(EncoderParts):
    """What a decoder block has: all of the above, cross-attention and a third norm."""

    def __init__(self, C: int, n_heads: int, hidden: int) -> None:
        super().__init__(C, n_heads, hidden)
        self.multihead_attn = MultiHeadAttention(C, n_heads)
        self.norm3 = nn.LayerNorm(C)


class Stack(nn.Module):
    """Parts of several blocks in `layers`, and the `norm` that follows the last block."""

    def __init__(self, layers: list[nn.Module], C: int) -> None:
        super().__init__()
        self.layers, self.norm = nn.ModuleList(layers), nn.LayerNorm(C)


class TransformerParts(nn.Module):
    """The parts of a whole `nn.Transformer`: an `encoder` and a `decoder`, each a Stack."""

    def __init__(self, C: int, n_heads: int, hidden: int, n_encoder: int, n_decoder: int) -> None:
        super().__init__()
        self.encoder = Stack([EncoderParts(C, n_heads, hidden) for _ in range(n_encoder)], C)
        self.decoder = Stack([DecoderParts(C, n_heads, hidden) for _ in range(n_decoder)], C)


# %%
print(sum(p.numel() for p in EncoderParts(C=64, n_heads=4, hidden=128).parameters()), "parameters in an encoder block")
print(sum(p.numel() for p in DecoderParts(C=64, n_heads=4, hidden=128).parameters()), "parameters in a decoder block")

# %% [markdown]
# ### Exercise 2: the encoder block (5 points)
#
# Write `encoder_block(x, parts, pad)`: the left picture above, in post-LN order, with dropout left out.
# `x` is `(B, T, C)`, `parts` is an `EncoderParts`, and `pad` is `(B, T)` of bool, `True` where a position is padding, which no row may look at.
# The result is `(B, T, C)`; rows at padding are computed like any other, nobody will look at them.
# `norm1` belongs to the attention, `norm2` to the feed-forward network, whose layers are `linear1` and `linear2` with a ReLU between.
# Do not change `x` in place, and do not build a PyTorch layer.
#
# By hand: if both updates are 0 (all of `w_o` and `linear2` zero), the row $(1, 3)$ is normalised twice, and $(-1, 1)$ comes out, up to $\varepsilon$.
#
# <details><summary>Hint 1</summary>How many times does the input of a step appear in "step, add, norm"?</details>
# <details><summary>Hint 2</summary><code>self_attn(x, x, block)</code> wants a block of shape (B, 1, T): one row of blocked keys for all queries of a sentence.</details>

# %% exercise="encoder"
def encoder_block(x: torch.Tensor, parts: EncoderParts, pad: torch.Tensor) -> torch.Tensor:
    """Return one post-LN encoder block of `x` (B, T, C), shape (B, T, C); `pad` (B, T) is True where nobody may look."""
    # BEGIN SOLUTION
    x = parts.norm1(x + parts.self_attn(x, x, pad[:, None, :]))
    return parts.norm2(x + parts.linear2(parts.linear1(x).relu()))
    # END SOLUTION


# %% check="encoder-by-hand" points=1
silent = EncoderParts(C=2, n_heads=1, hidden=3).requires_grad_(False)
for layer in (silent.self_attn.w_o, silent.linear2):
    layer.weight[:], layer.bias[:] = 0.0, 0.0
out = encoder_block(torch.tensor([[[1.0, 3.0], [8.0, 2.0]]]), silent, torch.tensor([[False, False]]))
assert type(out) is torch.Tensor, f"encoder_block must return a tensor, got {type(out).__name__}. NoneType: is return missing?"
expected = torch.tensor([[[-1.0, 1.0], [1.0, -1.0]]])
torch.testing.assert_close(out, expected, atol=1e-4, rtol=0, msg=lambda m: f"with both updates zero, (1, 3) and (8, 2) should become (-1, 1) and (1, -1); got\n{out}\nUnchanged rows mean pre-LN; zeros, that the residual path is missing; nan, that a row may look nowhere: is the mask inverted?\n{m}")
print("passed: with silent updates the block only normalises")

# %% check="encoder-pytorch" points=1
_ = torch.manual_seed(1)
theirs = nn.TransformerEncoderLayer(4, 1, 9, dropout=0.0, batch_first=True).double().requires_grad_(False)
for p in theirs.parameters():
    p.normal_()
parts = EncoderParts(C=4, n_heads=1, hidden=9).double().requires_grad_(False)
for name in ("linear1", "linear2", "norm1", "norm2"):
    getattr(parts, name).load_state_dict(getattr(theirs, name).state_dict())
for linear in (parts.self_attn.w_q, parts.self_attn.w_k, parts.self_attn.w_v, parts.self_attn.w_o):  # identity maps on both sides
    linear.weight[:], linear.bias[:] = torch.eye(4), 0.0
theirs.self_attn.in_proj_weight[:], theirs.self_attn.in_proj_bias[:] = torch.eye(4).repeat(3, 1), 0.0
theirs.self_attn.out_proj.weight[:], theirs.self_attn.out_proj.bias[:] = torch.eye(4), 0.0
z, short = torch.randn(2, 5, 4, dtype=torch.float64), torch.arange(5) >= torch.tensor([[5], [3]])


def block_and_input(pad):
    given = z.clone()
    return encoder_block(given, parts, pad), given


out, given = block_and_input(torch.zeros(2, 5).bool())
out_short, _ = block_and_input(short)
assert type(out) is torch.Tensor, f"encoder_block must return a tensor, got {type(out).__name__}. NoneType: is return missing?"
torch.testing.assert_close(
    out,
    theirs(z),
    atol=1e-10,
    rtol=0,
    msg=lambda m: (
        f"without padding the block must equal nn.TransformerEncoderLayer to 1e-10 in float64.\n"
        f"Order: attention, add, norm1, feed-forward with its ReLU, add, norm2. nan: no row may look anywhere, is the mask inverted?\n{m}"
    ),
)
expected = theirs(z, src_key_padding_mask=short)
torch.testing.assert_close(out_short, expected, atol=1e-10, rtol=0, msg=lambda m: f"without padding the block is right; with two padded places in sentence 1 it is not.\nNo row of a sentence may look at a place where pad is True.\n{m}")
assert torch.equal(given, z), "encoder_block changed x in place: x += … writes into the caller's tensor"
print("passed: equal to nn.TransformerEncoderLayer to 1e-10, with and without padding")

# %% hidden="encoder-padding" points=2
_ = torch.manual_seed(21)
layer = nn.TransformerEncoderLayer(6, 3, 10, dropout=0.0, batch_first=True).double().requires_grad_(False)
parts = EncoderParts(6, 3, 10).double().requires_grad_(False)
for p in layer.parameters():
    p.normal_(std=0.5)
for ours, from_row in ((parts.self_attn.w_q, 0), (parts.self_attn.w_k, 6), (parts.self_attn.w_v, 12)):
    ours.weight[:] = layer.self_attn.in_proj_weight[from_row : from_row + 6]
    ours.bias[:] = layer.self_attn.in_proj_bias[from_row : from_row + 6]
for ours, other in ((parts.self_attn.w_o, layer.self_attn.out_proj), (parts.linear1, layer.linear1), (parts.linear2, layer.linear2), (parts.norm1, layer.norm1), (parts.norm2, layer.norm2)):
    ours.weight[:], ours.bias[:] = other.weight, other.bias
z = torch.randn(3, 5, 6, dtype=torch.float64)
ends = torch.arange(5) >= torch.tensor([[5], [3], [2]])
out = encoder_block(z.clone(), parts, ends)
torch.testing.assert_close(out, layer(z, src_key_padding_mask=ends), atol=1e-10, rtol=0, msg=lambda m: f"with random weights, 3 heads and padding the block differs from nn.TransformerEncoderLayer(…)(x, src_key_padding_mask=pad):\n{m}")

# %% hidden="encoder-pure" points=1
_ = torch.manual_seed(22)
parts = EncoderParts(4, 2, 7).requires_grad_(False)
z, one_pad = torch.randn(1, 4, 4), torch.tensor([[False, False, False, True]])


def outputs_and_input():
    given = z.clone()
    first = encoder_block(given, parts, one_pad)
    return first, encoder_block(given + 9 * one_pad[..., None], parts, one_pad), given


first, other_pad, given = outputs_and_input()
assert torch.equal(given, z), "encoder_block changed its input x in place; write x = x + …, not x += …"
torch.testing.assert_close(first[:, :3], other_pad[:, :3], msg=lambda m: f"changing the row at a padded position must not change the other rows:\n{m}")
assert not torch.allclose(first[:, 3], other_pad[:, 3], atol=1e-3), "the row at the padded position was changed, yet its result stayed the same"

# %% wrong="encoder-pre-ln" fails="encoder-by-hand encoder-pytorch encoder-padding"
def encoder_block(x, parts, pad):
    z = parts.norm1(x)
    x = x + parts.self_attn(z, z, pad[:, None, :])
    return x + parts.linear2(F.relu(parts.linear1(parts.norm2(x))))


# %% [markdown] mistake="encoder-pre-ln"
# Normalises before each step (pre-LN) instead of after each addition (post-LN).
#
# If both updates are 0, the row (1, 3) comes out as (1, 3) and should become (-1, 1), since nothing normalises what lies on your residual
# path. Follow one yellow box of the left picture: what goes into it, and what comes out of it?

# %% wrong="encoder-no-residual" fails="encoder-by-hand encoder-pytorch encoder-padding"
def encoder_block(x, parts, pad):
    x = parts.norm1(parts.self_attn(x, x, pad.unsqueeze(1)))
    return parts.norm2(parts.linear2(F.relu(parts.linear1(x))))


# %% [markdown] mistake="encoder-no-residual"
# Leaves out the residual paths: both updates are normalised alone, without their inputs.
#
# If both updates are 0, every row becomes (0, 0) in your answer, whatever it was before, and (1, 3) should give (-1, 1). In the picture two
# arrows lead into each yellow box; find both in your code, for each of the two steps.

# %% wrong="encoder-one-residual" fails="encoder-pytorch encoder-padding"
def encoder_block(x, parts, pad):
    x = parts.norm1(x + parts.self_attn(x, x, pad.unsqueeze(1)))
    return parts.norm2(parts.linear2(F.relu(parts.linear1(x))) + 0 * x)


# %% [markdown] mistake="encoder-one-residual"
# Adds the input to the attention's update, but not to that of the feed-forward network.
#
# If both updates are 0, the second norm receives nothing but zeros and every row becomes (0, 0), where (1, 3) should give (-1, 1). The left
# picture has a red path around each of its blue boxes; how many do you have?

# %% wrong="encoder-no-mask" fails="encoder-pytorch encoder-padding encoder-pure"
def encoder_block(x, parts, pad):
    x = parts.norm1(x + parts.self_attn(x, x))
    return parts.norm2(x + parts.linear2(F.relu(parts.linear1(x))))


# %% [markdown] mistake="encoder-no-mask"
# Does not use `pad`: every row also looks at the padding.
#
# Without padding nothing shows. Declare the last of three places as a pad, change its row and watch the first two rows of the result: they
# move, and they should stay as they are. Which argument of `self_attn` says who may not be looked at?

# %% wrong="encoder-mask-inverted" fails="encoder-by-hand encoder-pytorch encoder-padding encoder-pure"
def encoder_block(x, parts, pad):
    x = parts.norm1(x + parts.self_attn(x, x, ~pad[:, None]))
    return parts.norm2(x + parts.linear2(F.relu(parts.linear1(x))))


# %% [markdown] mistake="encoder-mask-inverted"
# Blocks the real places and lets the rows look at the padding only.
#
# In a sentence without padding every place is blocked, and the whole result is `nan`; with padding the rows see nothing but pads. Write
# down what True means in `pad` by the statement, and what True means in the block of `MultiHeadAttention`.

# %% wrong="encoder-mask-by-queries" fails="encoder-by-hand encoder-pytorch encoder-padding"
def encoder_block(x, parts, pad):
    x = parts.norm1(x + parts.self_attn(x, x, pad[:, :, None]))
    return parts.norm2(x + parts.linear2(F.relu(parts.linear1(x))))


# %% [markdown] mistake="encoder-mask-by-queries"
# Gives the padding mask to the rows that look (B, T, 1) instead of the places looked at.
#
# A pad must not be looked at, by any row; whether it looks itself does not matter. Your mask has its T places along the axis of the
# queries, and `MultiHeadAttention` refuses the shape with a message; compare it with the three shapes that it lists, and with the grey
# columns in the figure of the masks.

# %% wrong="encoder-norms-swapped" fails="encoder-pytorch encoder-padding"
def encoder_block(x, parts, pad):
    x = parts.norm2(x + parts.self_attn(x, x, pad.unsqueeze(1)))
    return parts.norm1(x + parts.linear2(F.relu(parts.linear1(x))))


# %% [markdown] mistake="encoder-norms-swapped"
# Uses `norm2` after the attention and `norm1` after the feed-forward network.
#
# Fresh norms are all alike, so nothing shows at first. With silent updates and (10, 20) as the bias of `norm2` the row (1, 3) should end as
# (9, 21), and yours ends as (-1, 1), because the last norm wipes that shift out. The statement says which norm belongs to which step.

# %% wrong="encoder-in-place" fails="encoder-pytorch encoder-pure"
def encoder_block(x, parts, pad):
    x += parts.self_attn(x, x, pad.unsqueeze(1))
    x = parts.norm1(x)
    return parts.norm2(x + parts.linear2(F.relu(parts.linear1(x))))


# %% [markdown] mistake="encoder-in-place"
# Writes the update into the caller's `x` itself.
#
# The result is right, but print the input before and after the call: it is another one. Whoever calls the block a second time with the same
# tensor gets another answer. Look for an assignment that changes an existing tensor instead of making a new one.

# %% right="encoder-spelled-out"
def encoder_block(x, parts, pad):
    block = pad.unsqueeze(1).expand(-1, x.shape[1], -1)
    attended = parts.self_attn(x, x, block)
    middle = F.layer_norm(x + attended, x.shape[-1:], parts.norm1.weight, parts.norm1.bias)
    update = parts.linear2(torch.clamp(parts.linear1(middle), min=0))
    return F.layer_norm(middle + update, x.shape[-1:], parts.norm2.weight, parts.norm2.bias)


# %% [markdown] explanation="encoder"
# Two lines, each of the form "norm of (input plus update)".
# The pre-LN mix-up is the commonest: it also trains, and only a comparison with the reference shows it.
# A block without residual paths trains badly when stacked, and nothing in the shapes tells you.
# Next: set `norm_first=True` in PyTorch's layer and find the two-line change that makes the blocks equal again.

# %% [markdown]
# ## Masks: who may look where
#
# Sentences of a batch have different lengths, so the short ones are filled up with a **padding** (填充) token, here with id 0.
# Nobody may look at padding.
# The decoder has a second rule.
# In training it receives the whole target sentence at once, one place late: to write $y_1 y_2 \dots$ it reads `<bos>` $y_1 y_2 \dots$ and must predict, at each place, the token that comes next.
# Giving it the true previous tokens is **teacher forcing** (教师强制).
# A place that could look ahead would copy its answer, so the **causal mask** (因果掩码) blocks the future.

# %%
places = torch.arange(7)
future_7 = places[None] > places[:, None]
padded = torch.tensor([[False] * 5 + [True] * 2]).expand(7, 7)
fig, axes = plt.subplots(1, 3, figsize=(8, 2.9))
for ax, block, title in zip(axes, [padded, future_7, padded | future_7], ["padding (source)", "future", "both (target)"], strict=True):
    ax.imshow(block, cmap="Greys", vmin=0, vmax=1.6)
    ax.set(xlabel="place looked at (key)", ylabel="place that looks (query)", title=title, xticks=range(7), yticks=range(7))
plt.tight_layout()
plt.show()

# %% [markdown]
# Grey is blocked.
# Padding blocks whole columns; the future is the triangle above the diagonal, and the diagonal itself stays open, because each place may look at its own input.
# A row that is wholly grey would ask for a mean over nothing; here no row is, as `<bos>` is always visible.

# %% [markdown]
# ### Exercise 3: the masks (5 points)
#
# Write `make_masks(src, tgt, pad)`: `src` `(B, S)` and `tgt` `(B, T)` are integer ids, `pad` is the id of padding.
# Return three bool tensors, `True` = blocked, as `nn.Transformer` wants them:
#
# 1. `src_pad` `(B, S)`, for `src_key_padding_mask` and `memory_key_padding_mask`,
# 2. `tgt_pad` `(B, T)`, for `tgt_key_padding_mask`,
# 3. `future` `(T, T)`, on the device of `tgt`, for `tgt_mask`: row $t$ blocks every column after $t$.
#
# By hand: for `src = [[5, 6, 0]]`, `tgt = [[1, 7]]`, `pad = 0` they are `[[False, False, True]]`, `[[False, False]]` and `[[False, True], [False, False]]`.
#
# <details><summary>Hint 1</summary>Which of the three depend on the ids, and which only on a length?</details>
# <details><summary>Hint 2</summary><code>triu(n)</code> keeps the n-th diagonal and what is above it. Which n leaves the main diagonal open?</details>

# %% exercise="masks"
def make_masks(src: torch.Tensor, tgt: torch.Tensor, pad: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return (src_pad (B, S), tgt_pad (B, T), future (T, T)), all of dtype bool, True where looking is blocked."""
    # BEGIN SOLUTION
    T = tgt.shape[1]
    return src == pad, tgt == pad, tgt.new_ones(T, T, dtype=torch.bool).triu(1)
    # END SOLUTION


# %% check="masks-by-hand" points=1
masks = make_masks(torch.tensor([[5, 6, 0]]), torch.tensor([[1, 7]]), 0)
assert type(masks) is tuple and len(masks) == 3, f"make_masks must return a tuple of three tensors, got {masks}. None: is return missing?"
assert masks[0].tolist() == [[False, False, True]], f"src = [[5, 6, 0]]: only the last place is padding, and True means blocked; got {masks[0].tolist()}"
assert masks[1].tolist() == [[False, False]], f"tgt = [[1, 7]] has no padding; got {masks[1].tolist()}"
assert masks[2].tolist() == [[False, True], [False, False]], f"place 0 may not see place 1, place 1 may see both, and T is the length of tgt, here 2; got {masks[2].tolist()}"
print("passed: the example worked by hand")

# %% check="masks-kinds" points=1
masks = make_masks(torch.tensor([[3, 3, 3, 9], [3, 9, 9, 9]]), torch.tensor([[1, 4, 5], [1, 4, 9]]), 9)
assert type(masks) is tuple and [type(mask) for mask in masks] == [torch.Tensor] * 3, (
    f"make_masks must return a tuple of three tensors, got {masks}. None: is return missing?"
)
kinds = [mask.dtype for mask in masks]
shapes = [tuple(mask.shape) for mask in masks]
assert shapes == [(2, 4), (2, 3), (3, 3)], f"for src (2, 4) and tgt (2, 3) the shapes should be (2, 4), (2, 3), (3, 3), got {shapes}: T is the length of tgt"
assert kinds == [torch.bool] * 3, f"all three masks must be bool: a mask that is not bool is added to the scores or refused; got {kinds}"
print("passed: three bool masks of the right shapes")

# %% hidden="masks-values" points=2
source_ids = torch.tensor([[4, 2, 7, 7, 7], [4, 0, 2, 6, 7], [7, 3, 7, 7, 3]])
target_ids = torch.tensor([[1, 5, 2, 7], [1, 0, 6, 2], [1, 2, 7, 7]])
got = make_masks(source_ids, target_ids, 7)
torch.testing.assert_close(got[0], torch.tensor([[i == 7 for i in r] for r in source_ids.tolist()]), msg=lambda m: f"src_pad must be True exactly where src is pad = 7 (and 0 is a word here):\n{m}")
torch.testing.assert_close(got[1], torch.tensor([[i == 7 for i in r] for r in target_ids.tolist()]), msg=lambda m: f"tgt_pad must be True exactly where tgt is pad = 7:\n{m}")
torch.testing.assert_close(got[2], torch.tensor([[c > r for c in range(4)] for r in range(4)]), msg=lambda m: f"future[r, c] must be True exactly where c > r:\n{m}")

# %% hidden="masks-device" points=1
got = make_masks(torch.tensor([[3], [0]]), torch.tensor([[1], [1]]), 0)
assert [m.tolist() for m in got] == [[[False], [True]], [[False], [False]], [[False]]], f"sentences of one token give wrong masks: {[m.tolist() for m in got]}"


def devices():
    class OnlyDevices(torch.overrides.TorchFunctionMode):  # the first comparison on "meta" would import for half a second
        def __torch_function__(self, func, types, args, kwargs=None):
            quick = args and func.__name__.strip("_") in ("eq", "ne", "gt", "lt", "ge", "le", "triu", "tril")
            return args[0] if quick else func(*args, **kwargs or {})  # values do not matter here

    on_meta = torch.zeros(2, 3, dtype=torch.long, device="meta")
    with OnlyDevices():
        return [m.device.type for m in make_masks(on_meta, on_meta, 0)]


found = devices()
assert found == ["meta"] * 3, f"the masks must be made on the device of src and tgt (here 'meta'), got {found}: torch.ones(…) alone is made on the CPU"

# %% wrong="masks-true-keeps" fails="masks-by-hand masks-values"
def make_masks(src, tgt, pad):
    T = tgt.shape[1]
    return src != pad, tgt != pad, torch.ones(T, T, dtype=torch.bool, device=tgt.device).tril()


# %% [markdown] mistake="masks-true-keeps"
# Marks the places that may be looked at with True, in all three masks.
#
# For the example by hand you return [[True, True, False]] as `src_pad`, and the statement has [[False, False, True]]; the other two are
# turned around as well. No error would follow, only a model that looks at padding and at the future. What does True mean in
# `nn.Transformer`?

# %% wrong="masks-blocks-itself" fails="masks-by-hand masks-values"
def make_masks(src, tgt, pad):
    T = tgt.shape[1]
    return src == pad, tgt == pad, torch.ones(T, T, dtype=torch.bool, device=tgt.device).triu()


# %% [markdown] mistake="masks-blocks-itself"
# Blocks the diagonal of `future` too, so no place may look at its own input.
#
# For two places row 0 is (True, True): place 0 has nothing left to look at, and a softmax over nothing is `nan`. The statement says which
# columns row t blocks; is column t itself among them?

# %% wrong="masks-blocks-the-past" fails="masks-by-hand masks-values"
def make_masks(src, tgt, pad):
    T = tgt.shape[1]
    return src == pad, tgt == pad, torch.ones(T, T, dtype=torch.bool, device=tgt.device).tril(-1)


# %% [markdown] mistake="masks-blocks-the-past"
# Blocks the earlier places in `future` instead of the later ones.
#
# For two places you return [[False, False], [True, False]]: place 0 may see place 1, which is not written yet, and place 1 may not see
# place 0. Rows look, columns are looked at; take row 0 and ask which of the columns come after it.

# %% wrong="masks-zero-is-pad" fails="masks-values"
def make_masks(src, tgt, pad):
    T = tgt.shape[1]
    return src == 0, tgt == 0, torch.ones(T, T, dtype=torch.bool, device=tgt.device).triu(1)


# %% [markdown] mistake="masks-zero-is-pad"
# Takes 0 as the id of padding, whatever `pad` is.
#
# With `src` = [[5, 0, 9]] and `pad` = 9 you mark the second place, which is a word, and leave the third, the real padding, open. In this
# chapter's data the id happens to be 0, so it stays hidden; which of the three arguments do you never use?

# %% wrong="masks-float" fails="masks-kinds masks-values"
def make_masks(src, tgt, pad):
    T = tgt.shape[1]
    return src == pad, tgt == pad, torch.full((T, T), -torch.inf, device=tgt.device).triu(1)


# %% [markdown] mistake="masks-float"
# Makes `future` of floats, 0 and minus infinity, instead of bool.
#
# For two places row 0 is (0, -inf) in your answer, where (False, True) is asked for. PyTorch adds a float mask to the scores, but code that
# reads True as blocked, such as the class of this chapter, cannot use it. Print the dtype of all three masks.

# %% wrong="masks-source-length" fails="masks-by-hand masks-kinds masks-values"
def make_masks(src, tgt, pad):
    S = src.shape[1]
    return src == pad, tgt == pad, torch.ones(S, S, dtype=torch.bool, device=tgt.device).triu(1)


# %% [markdown] mistake="masks-source-length"
# Gives `future` the length of the source, S × S, instead of that of the target.
#
# With a source of 3 tokens and a target of 2 your mask is 3 × 3 and does not fit the target's scores. It hides as long as both sentences
# have one length, so try two different ones. Who looks and who is looked at in the decoder's self-attention?

# %% wrong="masks-on-the-cpu" fails="masks-device"
def make_masks(src, tgt, pad):
    return src == pad, tgt == pad, torch.ones(tgt.shape[1], tgt.shape[1], dtype=torch.bool).triu(1)


# %% [markdown] mistake="masks-on-the-cpu"
# Makes `future` on the CPU wherever `tgt` is.
#
# The values are right, but with a model on a GPU the scores lie on one device and this mask on the other, and PyTorch stops with an error.
# The other two masks are computed from the ids and so follow them; from where does a newly made tensor know its device?

# %% right="masks-compare-places"
def make_masks(src, tgt, pad):
    t = torch.arange(tgt.shape[1], device=tgt.device)
    return src.eq(pad), tgt.eq(pad), t.unsqueeze(0) > t.unsqueeze(1)


# %% [markdown] explanation="masks"
# Two masks come from the ids, the third only from a length.
# PyTorch is not of one mind about `True`: it means *blocked* in `nn.Transformer` and `nn.MultiheadAttention`, but *may look* in `F.scaled_dot_product_attention`.
# `triu()` without the 1 blocks the diagonal too, and then the first place has nothing to look at.
# With padding at the end, `tgt_pad` changes only rows that are padding themselves: the causal mask already hides later places. It matters where padding stands in front.

# %% [markdown]
# ## The decoder block
#
# The decoder block is the right half of the picture: masked self-attention over what has been written, cross-attention into the **memory** (记忆), which is the encoder's output, then the feed-forward network.
# In cross-attention the queries come from the target and the keys and values from the source, so its weights form a table target × source: it is the picture from the top of this chapter.

# %% [markdown]
# ### Exercise 4: the decoder block (5 points)
#
# Write `decoder_block(y, memory, parts, future, tgt_pad, src_pad)` in post-LN order:
# masked self-attention with `norm1`, cross-attention (`multihead_attn`) with `norm2`, feed-forward with `norm3`, a residual path around each.
# `y` is `(B, T, C)`, `memory` is `(B, S, C)`, `parts` is a `DecoderParts`; `future` `(T, T)`, `tgt_pad` `(B, T)` and `src_pad` `(B, S)` are masks as in Exercise 3, `True` = blocked.
# Self-attention may look where neither `future` nor `tgt_pad` blocks; cross-attention where `src_pad` does not.
# The result is `(B, T, C)`; change no input in place and build no PyTorch layer.
#
# By hand: if all three updates are 0, the row $(1, 3)$ is normalised three times and comes out as $(-1, 1)$, up to $\varepsilon$.
#
# <details><summary>Hint 1</summary>Which of <code>y</code> and <code>memory</code> asks, and which is looked at?</details>
# <details><summary>Hint 2</summary>Bool masks combine with <code>|</code>; (T, T) and (B, 1, T) broadcast to (B, T, T).</details>

# %% exercise="decoder"
def decoder_block(
    y: torch.Tensor, memory: torch.Tensor, parts: DecoderParts, future: torch.Tensor, tgt_pad: torch.Tensor, src_pad: torch.Tensor
) -> torch.Tensor:
    """Return one post-LN decoder block of `y` (B, T, C) with `memory` (B, S, C), shape (B, T, C); in all masks True means blocked."""
    # BEGIN SOLUTION
    y = parts.norm1(y + parts.self_attn(y, y, future | tgt_pad[:, None, :]))
    y = parts.norm2(y + parts.multihead_attn(y, memory, src_pad[:, None, :]))
    return parts.norm3(y + parts.linear2(parts.linear1(y).relu()))
    # END SOLUTION


# %% check="decoder-by-hand" points=1
silent = DecoderParts(C=2, n_heads=1, hidden=3).requires_grad_(False)
for layer in (silent.self_attn.w_o, silent.multihead_attn.w_o, silent.linear2):
    layer.weight[:], layer.bias[:] = 0.0, 0.0
ahead, z = torch.tensor([[False, True], [False, False]]), torch.tensor([[[1.0, 3.0], [8.0, 2.0]]])


def block_of(parts):
    try:
        return decoder_block(z, torch.ones(1, 3, 2), parts, ahead, torch.zeros(1, 2).bool(), torch.zeros(1, 3).bool())
    except NotImplementedError:  # not written yet
        raise
    except Exception as error:
        return f"{type(error).__name__}: {error}"


out = block_of(silent)
assert type(out) is torch.Tensor and out.shape == z.shape, (
    f"y (1, 2, 2) and memory (1, 3, 2) must give a tensor (1, 2, 2), got {out}. None: is return missing? Three rows, or sizes 2 and 3: "
    "in the cross-attention, which of y and memory asks? A refused block: whose padding is it, and along which axis?"
)
silent.norm3.bias[:] = torch.tensor([10.0, 20.0])
raised = block_of(silent)
expected = torch.tensor([[[-1.0, 1.0], [1.0, -1.0]]])
torch.testing.assert_close(out, expected, atol=1e-4, rtol=0, msg=lambda m: f"with all three updates zero, (1, 3) and (8, 2) should become (-1, 1) and (1, -1); got\n{out}\nUnchanged rows mean pre-LN; zeros, that a residual path is missing; nan, that a row may look nowhere: is a mask inverted?\n{m}")
torch.testing.assert_close(raised, expected + torch.tensor([10.0, 20.0]), atol=1e-4, rtol=0, msg=lambda m: f"with (10, 20) as the bias of norm3 the rows should become (9, 21) and (11, 19), as norm3 comes last; got\n{raised}\n{m}")
print("passed: with silent updates the block only normalises, norm3 last")

# %% check="decoder-future" points=1
_ = torch.manual_seed(2)
parts, deaf = (DecoderParts(C=8, n_heads=2, hidden=12).requires_grad_(False) for _ in range(2))
deaf.multihead_attn.w_o.weight[:], deaf.multihead_attn.w_o.bias[:] = 0.0, 0.0  # its cross-attention adds nothing
z, read, other = torch.randn(2, 5, 8), torch.randn(2, 4, 8), torch.randn(2, 4, 8)
ahead, open_5, open_4 = ~torch.ones(5, 5).tril().bool(), torch.zeros(2, 5).bool(), torch.zeros(2, 4).bool()
gap, end = open_5.clone(), open_4.clone()
gap[1, 1] = end[1, 3] = True  # padding in sentence 1: target place 1, source place 3
later, filled, longer = z.clone(), z.clone(), read.clone()
later[:, 3:] += 1
filled[1, 1] += 1
longer[1, 3] += 1


def block_of(y, memory, model, tgt_pad, src_pad):
    try:
        return decoder_block(y, memory, model, ahead, tgt_pad, src_pad)
    except NotImplementedError:  # not written yet
        raise
    except Exception as error:
        return f"{type(error).__name__}: {error}"


out, out_memory = block_of(z, read, parts, open_5, open_4), block_of(z, other, parts, open_5, open_4)
out_later = block_of(later, read, parts, open_5, open_4)
out_gap, out_filled = block_of(z, read, parts, gap, open_4), block_of(filled, read, parts, gap, open_4)
out_end, out_longer = block_of(z, read, parts, open_5, end), block_of(z, longer, parts, open_5, end)
out_deaf, out_deaf_memory = block_of(z, read, deaf, open_5, open_4), block_of(z, other, deaf, open_5, open_4)
for one in (out, out_memory, out_later, out_gap, out_filled, out_end, out_longer, out_deaf, out_deaf_memory):
    assert type(one) is torch.Tensor and one.shape == z.shape, (
        f"y (2, 5, 8) and memory (2, 4, 8) must give a tensor (2, 5, 8), got {one if type(one) is not torch.Tensor else tuple(one.shape)}. "
        "None: is return missing? Sizes 5 and 2, or a refused block: tgt_pad (B, T) and src_pad (B, S) need an axis for the queries. "
        "4 rows, or sizes 4 and 5: which of y and memory asks?"
    )
    assert not one.isnan().any(), "the result holds nan: some row may look nowhere, is a mask inverted?"
assert not torch.allclose(out, out_memory, atol=1e-3), "another memory gave the same result: cross-attention must take its keys and values from memory"
torch.testing.assert_close(out[:, :3], out_later[:, :3], msg=lambda m: f"rows 3 and 4 of y changed, and rows 0 to 2 of the result changed with them: some row sees the future, in self-attention or because cross-attention looks at y.\n{m}")
torch.testing.assert_close(
    out_gap[:, 2:],
    out_filled[:, 2:],
    msg=lambda m: (
        f"tgt_pad is True at place 1 of sentence 1 only; that row of y changed, and later rows of the result changed with it: "
        f"self-attention must not look where tgt_pad is True.\n{m}"
    ),
)
torch.testing.assert_close(
    out_end,
    out_longer,
    msg=lambda m: (
        f"src_pad is True at place 3 of sentence 1 only; that row of memory changed, and the result changed with it: "
        f"cross-attention must not look where src_pad is True.\n{m}"
    ),
)
torch.testing.assert_close(
    out_deaf,
    out_deaf_memory,
    msg=lambda m: (
        f"w_o of multihead_attn is 0, and yet another memory gave another result: "
        f"the cross-attention is parts.multihead_attn, not parts.self_attn.\n{m}"
    ),
)
print("passed: the memory is read, the future and the padding are hidden")

# %% hidden="decoder-pytorch" points=2
_ = torch.manual_seed(31)
layer = nn.TransformerDecoderLayer(6, 2, 11, dropout=0.0, batch_first=True).double().requires_grad_(False)
parts = DecoderParts(6, 2, 11).double().requires_grad_(False)
for p in layer.parameters():
    p.normal_(std=0.5)
for attn in ("self_attn", "multihead_attn"):
    packed, ours = getattr(layer, attn), getattr(parts, attn)
    for n, linear in enumerate((ours.w_q, ours.w_k, ours.w_v)):
        linear.weight[:], linear.bias[:] = packed.in_proj_weight[6 * n : 6 * n + 6], packed.in_proj_bias[6 * n : 6 * n + 6]
    ours.w_o.weight[:], ours.w_o.bias[:] = packed.out_proj.weight, packed.out_proj.bias
for n in ("linear1", "linear2", "norm1", "norm2", "norm3"):
    getattr(parts, n).weight[:], getattr(parts, n).bias[:] = getattr(layer, n).weight, getattr(layer, n).bias
z, read = torch.randn(3, 4, 6, dtype=torch.float64), torch.randn(3, 5, 6, dtype=torch.float64)
ahead = torch.ones(4, 4, dtype=torch.bool).triu(1)
target_pad = torch.tensor([[False, False, False, False], [False, True, False, True], [False, False, True, True]])
source_pad = torch.tensor([[False, True, False, False, True], [False] * 5, [True, False, False, True, True]])
out = decoder_block(z.clone(), read.clone(), parts, ahead, target_pad, source_pad)
reference = layer(z, read, tgt_mask=ahead, tgt_key_padding_mask=target_pad, memory_key_padding_mask=source_pad)
torch.testing.assert_close(out, reference, atol=1e-10, rtol=0, msg=lambda m: f"with random weights and all three masks the block differs from nn.TransformerDecoderLayer:\n{m}")

# %% hidden="decoder-pure" points=1
_ = torch.manual_seed(32)
parts = DecoderParts(4, 2, 5).requires_grad_(False)
z, read = torch.randn(2, 1, 4), torch.randn(2, 3, 4)
source_pad = torch.tensor([[False, False, True], [False, True, True]])


def with_other_padding():
    kept = [z.clone(), read.clone()]
    first = decoder_block(*kept, parts, torch.zeros(1, 1).bool(), torch.zeros(2, 1).bool(), source_pad)
    second = decoder_block(z, read + 9 * source_pad[..., None], parts, torch.zeros(1, 1).bool(), torch.zeros(2, 1).bool(), source_pad)
    return first, second, kept


first, second, kept = with_other_padding()
assert torch.equal(kept[0], z) and torch.equal(kept[1], read), "decoder_block changed y or memory in place"
torch.testing.assert_close(first, second, msg=lambda m: f"the memory changed only at places that src_pad blocks, yet the result changed:\n{m}")

# %% wrong="decoder-masks-swapped" fails="decoder-future decoder-pytorch"
def decoder_block(y, memory, parts, future, tgt_pad, src_pad):
    T, S = y.shape[1], memory.shape[1]
    future_for_memory = torch.ones(T, S, dtype=torch.bool).triu(1)
    y = parts.norm1(y + parts.self_attn(y, y, tgt_pad[:, None]))
    y = parts.norm2(y + parts.multihead_attn(y, memory, future_for_memory))
    return parts.norm3(y + parts.linear2(F.relu(parts.linear1(y))))


# %% [markdown] mistake="decoder-masks-swapped"
# Puts the future mask on the cross-attention; self-attention sees the future, source pads are seen.
#
# Change the last row of `y`, and all earlier rows of the result move, although they may not know it. Row 0, in turn, sees the first source
# place only, although the whole source may be read. For each of the two attentions, write down who looks at whom, and which masks the
# statement names for it.

# %% wrong="decoder-memory-asks" fails="decoder-by-hand decoder-pytorch"
def decoder_block(y, memory, parts, future, tgt_pad, src_pad):
    y = parts.norm1(y + parts.self_attn(y, y, future | tgt_pad[:, None]))
    z = parts.norm2(memory + parts.multihead_attn(memory, y, tgt_pad[:, None]))
    return parts.norm3(z + parts.linear2(F.relu(parts.linear1(z))))


# %% [markdown] mistake="decoder-memory-asks"
# Exchanges the sides of the cross-attention: the memory asks and the target is looked at.
#
# With 3 target and 5 source places the result has 5 rows, the length of the source. Where both are equally long nothing shows in the
# shapes, so test with unequal ones. The result of a step belongs to the rows that ask: whose rows does the decoder write?

# %% wrong="decoder-no-memory" fails="decoder-future decoder-pytorch"
def decoder_block(y, memory, parts, future, tgt_pad, src_pad):
    y = parts.norm1(y + parts.self_attn(y, y, future | tgt_pad[:, None]))
    y = parts.norm2(y + parts.multihead_attn(y, y, future | tgt_pad[:, None]))
    return parts.norm3(y + parts.linear2(F.relu(parts.linear1(y))))


# %% [markdown] mistake="decoder-no-memory"
# Never uses the memory: the second attention looks at the target again.
#
# Give another `memory` and the result stays exactly the same, so a decoder of this kind could not know what sentence it translates. In the
# right picture a green path leads from the encoder into one box; which input does it carry there, and for what?

# %% wrong="decoder-no-future-mask" fails="decoder-future decoder-pytorch"
def decoder_block(y, memory, parts, future, tgt_pad, src_pad):
    y = parts.norm1(y + parts.self_attn(y, y, tgt_pad[:, None]))
    y = parts.norm2(y + parts.multihead_attn(y, memory, src_pad[:, None]))
    return parts.norm3(y + parts.linear2(F.relu(parts.linear1(y))))


# %% [markdown] mistake="decoder-no-future-mask"
# Does not use `future`: in the self-attention every place sees the later ones.
#
# Change the last row of `y`: the earlier rows of the result move, and they should not. In training such a decoder copies its answer from
# its own input, as the section on the leaky model shows. Which masks does the statement name for the self-attention, and how many of them
# arrive there?

# %% wrong="decoder-pre-ln" fails="decoder-by-hand decoder-pytorch"
def decoder_block(y, memory, parts, future, tgt_pad, src_pad):
    z = parts.norm1(y)
    y = y + parts.self_attn(z, z, future | tgt_pad[:, None])
    y = y + parts.multihead_attn(parts.norm2(y), memory, src_pad[:, None])
    return y + parts.linear2(F.relu(parts.linear1(parts.norm3(y))))


# %% [markdown] mistake="decoder-pre-ln"
# Normalises before each of the three steps instead of after each addition.
#
# If all three updates are 0, the row (1, 3) comes out unchanged and should become (-1, 1). In post-LN, the order of the paper and of this
# exercise, each norm lies on the residual path; compare the order "update, add, norm" with yours, step by step.

# %% wrong="decoder-no-target-padding" fails="decoder-future decoder-pytorch"
def decoder_block(y, memory, parts, future, tgt_pad, src_pad):
    y = parts.norm1(y + parts.self_attn(y, y, future))
    y = parts.norm2(y + parts.multihead_attn(y, memory, src_pad[:, None]))
    return parts.norm3(y + parts.linear2(F.relu(parts.linear1(y))))


# %% [markdown] mistake="decoder-no-target-padding"
# Does not use `tgt_pad`: the self-attention looks at padding in the target.
#
# With padding at the end nothing shows at the real places, as the future mask hides it there. Mark place 1 of three as padding and change
# its row: the last row of the result moves, and it should not. How can two masks say together who is blocked?

# %% wrong="decoder-norms-swapped" fails="decoder-by-hand decoder-pytorch"
def decoder_block(y, memory, parts, future, tgt_pad, src_pad):
    y = parts.norm1(y + parts.self_attn(y, y, future | tgt_pad[:, None]))
    y = parts.norm3(y + parts.multihead_attn(y, memory, src_pad[:, None]))
    return parts.norm2(y + parts.linear2(F.relu(parts.linear1(y))))


# %% [markdown] mistake="decoder-norms-swapped"
# Uses `norm3` after the cross-attention and `norm2` after the feed-forward network.
#
# Fresh norms are all alike, so this hides at first. With silent updates and (10, 20) as the bias of `norm3`, the row (1, 3) should end as
# (9, 21), and yours ends as (-1, 1). The statement gives each of the three steps its norm; which one comes last?

# %% right="decoder-in-steps"
def decoder_block(y, memory, parts, future, tgt_pad, src_pad):
    own = torch.logical_or(future.unsqueeze(0), tgt_pad.unsqueeze(1))
    a = parts.norm1(parts.self_attn(y, y, own) + y)
    k, v = parts.multihead_attn.keys_values(memory)
    b = parts.norm2(parts.multihead_attn.look(a, k, v, src_pad.unsqueeze(1)) + a)
    hidden = F.relu(parts.linear1(b))
    return parts.norm3(parts.linear2(hidden) + b)


# %% [markdown] explanation="decoder"
# Three steps of the same form as in the encoder, with two rules about looking.
# Swapped masks show at once where source and target differ in length, and not at all where they happen to agree: always test with T ≠ S.
# If the memory asks and the target is looked at, the result has the source's length; that too is only visible when the lengths differ.
# Next: which rows change if you drop `tgt_pad` and all padding stands at the end?

# %% [markdown]
# ## Tokens in, tokens out
#
# An **embedding** (词嵌入) is a table with one learned row of $C$ numbers for each token.
# Attention itself does not know any order: shuffle the rows and the results are shuffled alike.
# So the place is written into the row, by adding a fixed pattern of waves, fast ones on the left and slow ones on the right: $p_{t,2i} = \sin(t / 10000^{2i/C})$ and $p_{t,2i+1} = \cos(t / 10000^{2i/C})$.

# %% setup="positions"
def sinusoids(length: int, C: int) -> torch.Tensor:
    """Return the waves (length, C), C even: column 2i is a sine, column 2i + 1 a cosine of the same speed."""
    angle = torch.arange(length)[:, None] / 10000 ** (torch.arange(0, C, 2) / C)  # (length, C / 2)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)


# %%
fig, axes = plt.subplots(1, 2, figsize=(8, 3))
waves = sinusoids(40, 64)
axes[0].imshow(waves, cmap="RdBu", aspect="auto")
axes[0].set(xlabel="number in the row", ylabel="place", title="waves: blue +1, red -1")
axes[1].imshow(waves @ waves.T, cmap="viridis")
axes[1].set(xlabel="place", ylabel="place", title="dot product of two places")
plt.tight_layout()
plt.show()

# %% [markdown]
# On the left, each row is a different barcode: the fast waves tell neighbours apart, the slower ones regions; over 40 places the slowest hardly move.
# On the right, the dot product depends only on the distance of two places and is largest for equal ones: nearby places look alike.
# And a fixed linear map, a rotation of each pair of sine and cosine, moves the pattern by one place, so the learned maps `w_q` and `w_k` can ask for "the place just before mine".
#
# The sizes must fit.
# The waves have size about 0.7 per number, while the table is started with numbers of size $1/\sqrt C$, so that it can also serve as the **output head** (输出头), where a row is multiplied by each token's row to give its score, its **logit** (对数几率).
# (This head is a linear map and has nothing to do with the heads of attention.)
# So the embedding is multiplied by $\sqrt C$ before the waves are added, or the tokens would drown in them.
# Using one table for both is **weight tying** (权重绑定): one parameter with two uses, and two gradients that add up.

# %% [markdown]
# ### Exercise 5: tied embedding (5 points)
#
# Complete the class `TiedEmbedding(vocab, C, max_len)`.
#
# - `__init__` makes `table`, an `nn.Embedding(vocab, C)`, and the buffer `positions` `(max_len, C)` for you.
#   Add `head`, an `nn.Linear` from `C` to `vocab` without bias, whose weight is *the same parameter* as the table's, not a copy; the table keeps its start values.
# - `forward(ids, start=0)` takes ids `(B, T)` and returns `(B, T, C)`: the rows of the table times $\sqrt C$, plus the positions `start` to `start + T - 1`.
#
# By hand, with $C = 4$: the table row $(1, 0, 0, 1)$ at place 0, whose waves are $(0, 1, 0, 1)$, becomes $(2, 0, 0, 2) + (0, 1, 0, 1) = (2, 1, 0, 3)$.
#
# <details><summary>Hint 1</summary>What is the shape of the weight of <code>nn.Linear(C, vocab)</code>, and of the table?</details>
# <details><summary>Hint 2</summary>Assigning a parameter of one module as an attribute of another shares it; <code>.clone()</code> and <code>.data</code> do not share it.</details>

# %% exercise="embed"
class TiedEmbedding(nn.Module):
    """Token ids to rows of C numbers with their place added; `head` gives the logits of all tokens from a row, by the same table."""

    def __init__(self, vocab: int, C: int, max_len: int) -> None:
        super().__init__()
        self.table = nn.Embedding(vocab, C)
        nn.init.normal_(self.table.weight, std=C**-0.5)
        self.register_buffer("positions", sinusoids(max_len, C))
        # BEGIN SOLUTION
        self.head = nn.Linear(C, vocab, bias=False)
        self.head.weight = self.table.weight
        # END SOLUTION

    def forward(self, ids: torch.Tensor, start: int = 0) -> torch.Tensor:
        """Return the rows of `ids` (B, T), which stand at the places start, start + 1, …: (B, T, C)."""
        # BEGIN SOLUTION
        rows = self.table(ids) * math.sqrt(self.table.embedding_dim)
        return rows + self.positions[start : start + ids.shape[1]]
        # END SOLUTION


# %% check="embed-by-hand" points=1
def embedded_rows():
    embedding = TiedEmbedding(vocab=3, C=4, max_len=6)
    embedding.table.weight.data[2] = torch.tensor([1.0, 0.0, 0.0, 1.0])
    rows = [embedding(torch.tensor([[2]])), embedding(torch.tensor([[2]]), start=5)]
    return [row.detach() if isinstance(row, torch.Tensor) else type(row).__name__ for row in rows]


out, at_five = embedded_rows()
assert [type(out), type(at_five)] == [torch.Tensor] * 2, (
    f"embedding(ids) must return a tensor, with start=5 too, got {out} and {at_five}: is return missing?"
)
torch.testing.assert_close(out, torch.tensor([[[2.0, 1.0, 0.0, 3.0]]]), msg=lambda m: f"the row (1, 0, 0, 1) at place 0 should become (2, 1, 0, 3): times sqrt(4), plus (0, 1, 0, 1); got {out}\n{m}")
expected = torch.tensor([[[2.0, 0.0, 0.0, 2.0]]]) + sinusoids(6, 4)[5]
torch.testing.assert_close(at_five, expected, msg=lambda m: f"with start=5 the only token stands at place 5: (2, 0, 0, 2) plus the waves of place 5 should be {expected}; got {at_five}\n{m}")
print("passed: the example worked by hand, at place 0 and at place 5")

# %% check="embed-tied" points=1
_ = torch.manual_seed(5)


def parameters_and_logits():
    embedding = TiedEmbedding(vocab=7, C=4, max_len=6)
    if not isinstance(getattr(embedding, "head", None), nn.Linear):
        return type(embedding.head).__name__ if hasattr(embedding, "head") else "none at all"
    embedding.table.weight.data.fill_(1.0)
    sizes = [embedding.head.in_features, embedding.head.out_features]
    start = TiedEmbedding(vocab=1000, C=16, max_len=2).table.weight.std().item()
    return sum(p.numel() for p in embedding.parameters()), sizes, embedding.head(torch.tensor([[1.0, 2.0, 3.0, 4.0]])).detach(), start


found = parameters_and_logits()
assert type(found) is tuple, f"embedding.head must be an nn.Linear, made in __init__, got {found}"
count, sizes_of_head, logits, start = found
assert sizes_of_head == [4, 7], f"the head maps C = 4 numbers to 7 logits, nn.Linear(4, 7); yours is nn.Linear({sizes_of_head[0]}, {sizes_of_head[1]})"
assert count == 28, (
    f"with 7 tokens and C = 4 there is one table of 28 parameters; yours has {count}: a bias adds 7, a copy of the table adds 28, "
    "and so does .data, which makes two parameters"
)
torch.testing.assert_close(logits, torch.full((1, 7), 10.0), msg=lambda m: f"after the table was filled with ones, head((1, 2, 3, 4)) should be 10 for every token: the head must use the table itself.\n{m}")
assert 0.24 < start < 0.26, f"with C = 16 the table starts with numbers of size 1/sqrt(16) = 0.25; yours have size {start:.3f}: tie the head to the table, not the table to the head"
print("passed: one table, used twice")

# %% hidden="embed-places" points=2
_ = torch.manual_seed(41)
numbers = torch.tensor([[0, 4, 4], [3, 1, 2]])
fixed = torch.randn(5, 6)


def rows_from(start):
    embedding = TiedEmbedding(5, 6, 9)
    embedding.table.weight.data.copy_(fixed)
    return embedding(numbers, start=start).detach() if start else embedding(numbers).detach()


at_zero, at_four = rows_from(0), rows_from(4)
torch.testing.assert_close(at_zero, fixed[numbers] * 6**0.5 + sinusoids(9, 6)[:3], msg=lambda m: f"TiedEmbedding(5, 6, 9)(ids) for ids (2, 3): every row is table row times sqrt(6) plus its place:\n{m}")
torch.testing.assert_close(at_four, fixed[numbers] * 6**0.5 + sinusoids(9, 6)[4:7], msg=lambda m: f"with start=4 the three tokens stand at places 4, 5 and 6:\n{m}")

# %% hidden="embed-gradients" points=1
def table_after_a_step():
    embedding = TiedEmbedding(3, 2, 4)
    embedding.table.weight.data.zero_()
    embedding.head(torch.ones(1, 2))[0, 0].backward()
    from_head = embedding.table.weight.grad.clone()
    embedding(torch.tensor([[1]])).sum().backward()
    return from_head, embedding.table.weight.grad - from_head


from_head, from_lookup = table_after_a_step()
torch.testing.assert_close(from_head, torch.tensor([[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]]), msg=lambda m: f"the gradient of the head's logit 0 must reach row 0 of the table:\n{m}")
torch.testing.assert_close(from_lookup, 2**0.5 * torch.tensor([[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]]), msg=lambda m: f"the gradient of the embedding of token 1 must reach row 1 of the table, times sqrt(C):\n{m}")

# %% wrong="embed-scale-lost" fails="embed-by-hand embed-places embed-gradients"
class TiedEmbedding(nn.Module):
    def __init__(self, vocab, C, max_len):
        super().__init__()
        self.table = nn.Embedding(vocab, C)
        nn.init.normal_(self.table.weight, std=C**-0.5)
        self.head = nn.Linear(C, vocab, bias=False)
        self.head.weight = self.table.weight
        self.register_buffer("positions", sinusoids(max_len, C))

    def forward(self, ids, start=0):
        return self.table(ids) + self.positions[start : start + ids.shape[1]]


# %% [markdown] mistake="embed-scale-lost"
# Adds the positions to the table's rows without the factor of the square root of C.
#
# The example by hand gives (1, 1, 0, 2) and not (2, 1, 0, 3). The table starts with numbers much smaller than the waves, and the text
# before the exercise says what would happen to the tokens then; what does it do before the waves are added?

# %% wrong="embed-copied-head" fails="embed-tied embed-gradients"
class TiedEmbedding(nn.Module):
    def __init__(self, vocab, C, max_len):
        super().__init__()
        self.table = nn.Embedding(vocab, C)
        nn.init.normal_(self.table.weight, std=C**-0.5)
        self.head = nn.Linear(C, vocab, bias=False)
        self.head.weight.data.copy_(self.table.weight)
        self.register_buffer("positions", sinusoids(max_len, C))

    def forward(self, ids, start=0):
        return self.table(ids) * self.positions.shape[1] ** 0.5 + self.positions[start : start + ids.shape[1]]


# %% [markdown] mistake="embed-copied-head"
# Gives `head` a copy of the table's numbers, so there are two parameters instead of one.
#
# Count the parameters: with 3 tokens and C = 4 there should be 12, and you have 24. Both start with the same numbers, but the first step of
# an optimizer changes them in different ways. Ask `head.weight is table.weight`: two equal tensors are not one tensor.

# %% wrong="embed-positions-scaled" fails="embed-by-hand embed-places"
class TiedEmbedding(nn.Module):
    def __init__(self, vocab, C, max_len):
        super().__init__()
        self.table = nn.Embedding(vocab, C)
        nn.init.normal_(self.table.weight, std=C**-0.5)
        self.head = nn.Linear(C, vocab, bias=False)
        self.head.weight = self.table.weight
        self.register_buffer("positions", sinusoids(max_len, C))

    def forward(self, ids, start=0):
        return (self.table(ids) + self.positions[start : start + ids.shape[1]]) * self.positions.shape[1] ** 0.5


# %% [markdown] mistake="embed-positions-scaled"
# Multiplies the positions by the square root of C as well as the table's rows.
#
# The example by hand gives (2, 2, 0, 4) and not (2, 1, 0, 3). Scaling was meant to lift the tokens to the size of the waves, and if both
# grow, nothing is won; in which order do the two operations stand in the statement?

# %% wrong="embed-start-ignored" fails="embed-by-hand embed-places"
class TiedEmbedding(nn.Module):
    def __init__(self, vocab, C, max_len):
        super().__init__()
        self.table = nn.Embedding(vocab, C)
        nn.init.normal_(self.table.weight, std=C**-0.5)
        self.head = nn.Linear(C, vocab, bias=False)
        self.head.weight = self.table.weight
        self.register_buffer("positions", sinusoids(max_len, C))

    def forward(self, ids, start=0):
        return self.table(ids) * self.positions.shape[1] ** 0.5 + self.positions[: ids.shape[1]]


# %% [markdown] mistake="embed-start-ignored"
# Ignores `start`: the first token always stands at place 0.
#
# With `start` = 5 the token of the example still gets the waves (0, 1, 0, 1) of place 0. When a decoder reads one token at a time, every
# token would believe that it comes first. The statement says which places the T rows have; where does `start` occur in your `forward`?

# %% wrong="embed-table-replaced" fails="embed-tied"
class TiedEmbedding(nn.Module):
    def __init__(self, vocab, C, max_len):
        super().__init__()
        self.table = nn.Embedding(vocab, C)
        nn.init.normal_(self.table.weight, std=C**-0.5)
        self.head = nn.Linear(C, vocab, bias=False)
        self.table.weight = self.head.weight
        self.register_buffer("positions", sinusoids(max_len, C))

    def forward(self, ids, start=0):
        return self.table(ids) * self.positions.shape[1] ** 0.5 + self.positions[start : start + ids.shape[1]]


# %% [markdown] mistake="embed-table-replaced"
# Ties the table to the fresh weight of the linear layer, so the table loses its start values.
#
# It is one parameter, as asked, but whose numbers are they? With C = 64 the table should start with numbers of size 0.125, and yours have
# 0.072, the start of a linear layer. An assignment has two sides: which of the two weights should survive it?

# %% right="embed-functional"
class TiedEmbedding(nn.Module):
    def __init__(self, vocab, C, max_len):
        super().__init__()
        self.head = nn.Linear(C, vocab, bias=False)
        nn.init.normal_(self.head.weight, std=1 / math.sqrt(C))
        self.table = nn.Embedding(vocab, C, _weight=self.head.weight)
        self.table.weight = self.head.weight
        self.register_buffer("positions", sinusoids(max_len, C))

    def forward(self, ids, start=0):
        places = torch.arange(ids.shape[1]) + start
        return torch.add(F.embedding(places, self.positions), self.head.weight[ids], alpha=math.sqrt(self.head.in_features))


# %% [markdown] explanation="embed"
# `self.head.weight = self.table.weight` makes two names for one parameter: `parameters()` lists it once, an optimizer steps it once, and both uses add to one gradient.
# A copy looks right on the first day and drifts away with the first optimizer step.
# The scale belongs to the table alone: multiplying the sum would scale the waves too.
# `start` will be needed when the decoder reads one token at a time: its only row then stands at place t, not at place 0.

# %% [markdown]
# ## The same numbers as PyTorch
#
# A trained model is a dictionary of named tensors, its `state_dict`.
# Our parts have PyTorch's names with one exception: PyTorch keeps the three input maps of an attention in one matrix.

# %%
layer = nn.TransformerEncoderLayer(d_model=8, nhead=2, dim_feedforward=16, batch_first=True)
print("PyTorch:", {name: list(tensor.shape) for name, tensor in layer.self_attn.state_dict().items()})
print("ours:   ", {name: list(tensor.shape) for name, tensor in MultiHeadAttention(8, 2).state_dict().items()})

# %% [markdown]
# `in_proj_weight` is `(3C, C)`: the query's $C$ rows first, then the key's, then the value's; `in_proj_bias` is packed in the same order.
# `out_proj` is our `w_o`.
# Everything else has the same name on both sides, down to the norm that follows the last block, `encoder.norm` and `decoder.norm`.
# If a whole model with copied numbers gives the same result to ten digits, then no step of it is different.

# %% [markdown]
# ### Exercise 6: copy the weights (6 points)
#
# Write `copy_weights(parts, model)`: copy every number of the `nn.Transformer` `model` into the `TransformerParts` `parts`, which has the same sizes.
# Return `None`; `parts` holds copies (later changes of `model` do not reach it) and `model` stays as it is.
# All parameters of `parts` must be set, biases and final norms included, for any number of encoder and decoder blocks.
#
# By hand, with $C = 1$: if `in_proj_weight` is `[[2], [3], [4]]`, then the weights of `w_q`, `w_k`, `w_v` become `[[2]]`, `[[3]]`, `[[4]]`.
#
# <details><summary>Hint 1</summary>Print the names in both state dicts. Which names differ, and how could you turn one into the other?</details>
# <details><summary>Hint 2</summary>Build a dictionary with our names from PyTorch's, and give it to <code>parts.load_state_dict</code>, which complains about any name that is missing; or write into the parameters yourself, under <code>torch.no_grad()</code>.</details>

# %% exercise="copy"
def copy_weights(parts: TransformerParts, model: nn.Transformer) -> None:
    """Copy all parameters of `model` into `parts`, which has the same sizes; in_proj is packed as query, key, value."""
    # BEGIN SOLUTION
    state = {}
    for name, tensor in model.state_dict().items():
        if "in_proj" in name:
            for i, letter in enumerate("qkv"):
                state[name.replace("in_proj_", f"w_{letter}.")] = tensor.chunk(3)[i]
        else:
            state[name.replace("out_proj", "w_o")] = tensor
    parts.load_state_dict(state)
    # END SOLUTION


# %% check="copy-attention" points=1
_ = torch.manual_seed(3)
model = nn.Transformer(4, 2, 2, 1, 6, dropout=0.0, batch_first=True).double().requires_grad_(False)
for p in model.parameters():
    p.normal_()
z, other = torch.randn(2, 3, 4, dtype=torch.float64), torch.randn(2, 5, 4, dtype=torch.float64)


def attention_after_copying():
    parts = TransformerParts(4, 2, 6, 2, 1).double().requires_grad_(False)
    start = {name: p.clone() for name, p in parts.named_parameters() if "attn" in name}
    copy_weights(parts, model)
    left = [name for name, p in parts.named_parameters() if name in start and torch.equal(p, start[name])]
    return parts.encoder.layers[1].self_attn(z, z), parts.decoder.layers[0].multihead_attn(z, other), left


own, cross, left = attention_after_copying()
assert not left, (
    f"{len(left)} of 32 parameters of the attentions still hold their start values, such as {', '.join(left[:4])}. "
    "All: nothing was copied, or load_state_dict with strict=False passed over the names that differ"
)
torch.testing.assert_close(own, model.encoder.layers[1].self_attn(z, z, z)[0], atol=1e-10, rtol=0, msg=lambda m: f"the self-attention of encoder block 1 differs after copying: in_proj is packed as query, key, value, biases too.\n{m}")
torch.testing.assert_close(cross, model.decoder.layers[0].multihead_attn(z, other, other)[0], atol=1e-10, rtol=0, msg=lambda m: f"the cross-attention of decoder block 0 differs after copying: PyTorch calls it multihead_attn.\n{m}")
print("passed: the attentions agree after copying")

# %% check="copy-norms" points=1
_ = torch.manual_seed(4)
model = nn.Transformer(4, 2, 1, 2, 6, dropout=0.0, batch_first=True).requires_grad_(False)
for p in model.parameters():
    p.normal_()


def norms_after_copying():
    parts = TransformerParts(4, 2, 6, 1, 2)
    result = copy_weights(parts, model)
    return result, {name: tensor.detach() for name, tensor in parts.named_parameters() if "norm" in name}


result, norms = norms_after_copying()
wanted = {name: tensor for name, tensor in model.named_parameters() if "norm" in name}
different = [name for name in wanted if not torch.equal(norms[name], wanted[name])]
assert result is None, f"copy_weights works in place and returns None, got {type(result).__name__}"
assert not different, f"these norms differ after copying: {different}; encoder.norm and decoder.norm follow the last blocks and are easily forgotten"
print("passed: every norm is copied, the final ones too")

# %% hidden="copy-whole-model" points=3
_ = torch.manual_seed(51)
model = nn.Transformer(8, 4, 2, 3, 10, dropout=0.0, batch_first=True).double().eval().requires_grad_(False)
for value in model.state_dict().values():
    value.normal_(std=0.4)


def numbers_after_copying():
    ours = TransformerParts(8, 4, 10, 2, 3).double()
    copy_weights(ours, model)
    return {name: tensor.detach().clone() for name, tensor in ours.state_dict().items()}


numbers = numbers_after_copying()
whole = TransformerParts(8, 4, 10, 2, 3).double().requires_grad_(False)
whole.load_state_dict(numbers)
src, tgt = torch.randn(4, 5, 8, dtype=torch.float64), torch.randn(4, 3, 8, dtype=torch.float64)
src_pad = torch.arange(5) >= torch.tensor([[5], [4], [2], [1]])
tgt_pad = torch.arange(3) >= torch.tensor([[1], [3], [2], [3]])
ahead = torch.ones(3, 3, dtype=torch.bool).triu(1)
memory, y = src, tgt
for b in whole.encoder.layers:
    memory = b.norm1(memory + b.self_attn(memory, memory, src_pad[:, None]))
    memory = b.norm2(memory + b.linear2(F.relu(b.linear1(memory))))
memory = whole.encoder.norm(memory)
for b in whole.decoder.layers:
    y = b.norm1(y + b.self_attn(y, y, ahead | tgt_pad[:, None]))
    y = b.norm2(y + b.multihead_attn(y, memory, src_pad[:, None]))
    y = b.norm3(y + b.linear2(F.relu(b.linear1(y))))
y = whole.decoder.norm(y)
reference = model(src, tgt, tgt_mask=ahead, src_key_padding_mask=src_pad, tgt_key_padding_mask=tgt_pad, memory_key_padding_mask=src_pad)
torch.testing.assert_close(y, reference, atol=1e-10, rtol=0, msg=lambda m: f"a whole model of 2 encoder and 3 decoder blocks with the copied weights differs from nn.Transformer:\n{m}")

# %% hidden="copy-not-shared" points=1
_ = torch.manual_seed(52)
model = nn.Transformer(2, 2, 1, 1, 3, dropout=0.0, batch_first=True).requires_grad_(False)
fresh = {name: tensor.clone() for name, tensor in model.state_dict().items()}


def before_and_after():
    ours = TransformerParts(2, 2, 3, 1, 1)
    copy_weights(ours, model)
    after_copy = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    taken = [p.detach().clone() for p in ours.parameters()]
    for value in model.state_dict().values():
        value.add_(1.0)
    return after_copy, all(torch.equal(p, old) for p, old in zip(ours.parameters(), taken, strict=True)), all(p.requires_grad for p in ours.parameters())


after_copy, kept, trainable = before_and_after()
assert all(torch.equal(after_copy[name], fresh[name]) for name in fresh), "copy_weights changed the model that it copies from"
assert kept is True, "after copying, a change of the model changed parts too: they must hold copies, not the same tensors"
assert trainable is True, "after copying, the parameters of parts must still require a gradient: copy the numbers, do not replace the parameters"

# %% wrong="copy-order-kqv" fails="copy-attention copy-whole-model"
def copy_weights(parts, model):
    state = {}
    for name, value in model.state_dict().items():
        if "in_proj" in name:
            for letter, piece in zip("kqv", value.chunk(3), strict=True):
                state[name.replace("in_proj_", f"w_{letter}.")] = piece
        else:
            state[name.replace("out_proj", "w_o")] = value
    parts.load_state_dict(state)


# %% [markdown] mistake="copy-order-kqv"
# Takes the first third of the packed matrix for the key and the second for the query.
#
# With C = 1 and the rows 2, 3, 4, `w_q` gets 3 and `w_k` gets 2, the opposite of the statement's example. All thirds have the same shape,
# so no error comes; the text before the exercise gives the order in which they are packed.

# %% wrong="copy-no-final-norms" fails="copy-norms copy-whole-model"
def copy_weights(parts, model):
    state = {}
    for name, value in model.state_dict().items():
        if "in_proj" in name:
            for letter, piece in zip("qkv", value.chunk(3), strict=True):
                state[name.replace("in_proj_", f"w_{letter}.")] = piece
        elif not name.startswith(("encoder.norm", "decoder.norm")):
            state[name.replace("out_proj", "w_o")] = value
    parts.load_state_dict(state, strict=False)


# %% [markdown] mistake="copy-no-final-norms"
# Does not copy the norms after the last blocks, `encoder.norm` and `decoder.norm`.
#
# In a fresh model these norms hold 1 and 0 on both sides, so the gap shows only after training. Set `model.encoder.norm.weight` to 7 and
# look into `parts` afterwards: it still holds 1. What would a strict `load_state_dict` say about your dictionary of names?

# %% wrong="copy-no-attention" fails="copy-attention copy-whole-model"
def copy_weights(parts, model):
    parts.load_state_dict(model.state_dict(), strict=False)


# %% [markdown] mistake="copy-no-attention"
# Leaves out the weights that have other names in PyTorch, so all attentions stay random.
#
# The packed input maps and `out_proj` have no partner of the same name in `parts`, and a loading that is not strict passes over them in
# silence. Print the names in both state dicts side by side: which of ours never receive a number?

# %% wrong="copy-columns-of-heads" fails="copy-attention copy-whole-model"
def copy_weights(parts, model):
    state = {}
    for name, value in model.state_dict().items():
        if "in_proj" in name:
            for i, letter in enumerate("qkv"):
                state[name.replace("in_proj_", f"w_{letter}.")] = value[i::3]
        else:
            state[name.replace("out_proj", "w_o")] = value
    parts.load_state_dict(state)


# %% [markdown] mistake="copy-columns-of-heads"
# Takes every third row of the packed matrix for each map, not one third in a piece.
#
# With C = 2 the packed rows 0 … 5 should give `w_q` the rows 0 and 1, and yours gets 0 and 3; with C = 1 nothing shows. The text says that
# the query's rows come first, all of them: where does the key's part begin?

# %% wrong="copy-recorded" fails="copy-norms copy-whole-model copy-not-shared"
def copy_weights(parts, model):
    theirs = model.state_dict()
    for name, p in parts.named_parameters():
        if ".w_o." in name:
            p.copy_(theirs[name.replace("w_o", "out_proj")])
        elif ".w_" in name:
            head, letter, kind = re.fullmatch(r"(.*)w_(.)\.(.*)", name).groups()
            p.copy_(theirs[f"{head}in_proj_{kind}"].chunk(3)["qkv".index(letter)])
        else:
            p.copy_(theirs[name])


# %% [markdown] mistake="copy-recorded"
# Writes into parameters while autograd is recording, which PyTorch refuses with an error.
#
# Parameters that require a gradient may not be changed in place where autograd records, so the first write stops with "a leaf Variable that
# requires grad is being used in an in-place operation". Copying is no part of a computation to be differentiated; Hint 2 names two ways
# out.

# %% wrong="copy-shares" fails="copy-not-shared"
def copy_weights(parts, model):
    state = {}
    for name, value in model.state_dict().items():
        if "in_proj" in name:
            for letter, piece in zip("qkv", value.chunk(3), strict=True):
                state[name.replace("in_proj_", f"w_{letter}.")] = piece
        else:
            state[name.replace("out_proj", "w_o")] = value
    parts.load_state_dict(state, assign=True)


# %% [markdown] mistake="copy-shares"
# Shares the tensors of `model` with `parts` instead of copying their numbers.
#
# The numbers agree, but they are the same tensors: set a norm of `model` from 7 to 8 after the call, and `parts` holds 8 too. The statement
# says what later changes of `model` may do; at which point does your function hand over a tensor itself?

# %% right="copy-part-by-part"
def copy_weights(parts, model):
    @torch.no_grad()
    def attention(ours, theirs):
        C = theirs.embed_dim
        for n, linear in enumerate((ours.w_q, ours.w_k, ours.w_v)):
            linear.weight.copy_(theirs.in_proj_weight[n * C : (n + 1) * C])
            linear.bias.copy_(theirs.in_proj_bias[n * C : (n + 1) * C])
        ours.w_o.load_state_dict(theirs.out_proj.state_dict())

    for ours, theirs in ((parts.encoder, model.encoder), (parts.decoder, model.decoder)):
        ours.norm.load_state_dict(theirs.norm.state_dict())
        for one, other in zip(ours.layers, theirs.layers, strict=True):
            for name, module in other.named_children():
                if isinstance(module, nn.MultiheadAttention):
                    attention(getattr(one, name), module)
                elif isinstance(module, (nn.Linear, nn.LayerNorm)):
                    getattr(one, name).load_state_dict(module.state_dict())


# %% [markdown] explanation="copy"
# Because the names agree, the copying is a renaming of dictionary keys, and the strict `load_state_dict` reports whatever was forgotten.
# With `strict=False` the same mistakes pass in silence: this is how the final norms get lost, which a freshly made model hides, as its norms are all 1 and 0.
# The three packed maps have equal shapes, so a wrong order raises no error either; only comparing results shows it.
# `load_state_dict` copies the numbers into the existing parameters; `assign=True` would share the tensors instead.

# %% [markdown]
# ## The loss, and a slow start
#
# At each target place the model gives one logit per token, and the loss is the cross-entropy with the true next token, averaged over all places that are not padding.
# Plain cross-entropy always asks for more: the true token's logit should be infinitely above the others.
# **Label smoothing** (标签平滑) asks for less.
# The target is no longer "all on the true token" but $1 - \epsilon$ on it and $\epsilon$ shared equally by the others.
# Padding is no word, so we give it nothing.

# %%
tokens = ["<pad>", "<bos>", "<eos>", "nian", "yue", "ri"]
hard = F.one_hot(torch.tensor(3), 6).float()
soft = torch.tensor([0, 0.05, 0.05, 0.8, 0.05, 0.05])
steps = torch.arange(700)
fig, axes = plt.subplots(1, 2, figsize=(8, 2.8))
axes[0].bar(torch.arange(6) - 0.2, hard, 0.4, label="hard")
axes[0].bar(torch.arange(6) + 0.2, soft, 0.4, label=r"smoothed, $\epsilon$ = 0.2")
axes[0].set(xticks=range(6), yticks=[0, 0.5, 1], xlim=(-0.6, 5.6), ylim=(0, 1.45), ylabel="probability", title="two targets for the token nian")
axes[0].set_xticklabels(tokens, fontsize=8)
axes[0].legend(loc="upper left", fontsize=8)
axes[1].plot(steps, torch.minimum((steps + 1) / 100, (700 - steps) / 600))
axes[1].set(xlabel="step", ylabel="share of the largest rate", title="warm-up, then decay")
plt.tight_layout()
plt.show()

# %% [markdown]
# On the left, the smoothed target keeps a little for every token except padding.
# On the right, the learning rate of this chapter's training: a **warm-up** (预热) from almost nothing, then a straight decay to nothing.
# At the first steps Adam knows little about the size of the gradients, and post-LN blocks are easily thrown off; small steps give both time.

# %% [markdown]
# ### Exercise 7: label smoothing (5 points)
#
# Write `label_smoothing_ce(logits, target, eps, pad)`: `logits` is `(B, T, V)`, `target` is `(B, T)` of ids, and the result is one number (a tensor of shape `()`).
# At each place the target distribution $q$ has $1 - \epsilon$ on the true token, 0 on the padding token, and $\epsilon / (V - 2)$ on each of the $V - 2$ others.
# The loss of a place is $-\sum_v q_v \log p_v$ with $p = \mathrm{softmax}(\text{logits})$; the result is its mean over the places where `target` is not `pad`.
# At least one place is not padding, $V \ge 3$, and all logits are finite.
# Do not call `F.cross_entropy` or `nn.CrossEntropyLoss`; `log_softmax` is allowed.
#
# By hand: $V = 4$, `pad = 0`, $\epsilon = 0.2$, and $p = (\frac18, \frac12, \frac14, \frac18)$ with true token 1: $0.8 \ln 2 + 0.1 \ln 4 + 0.1 \ln 8 = 1.3 \ln 2 = 0.901$.
#
# <details><summary>Hint 1</summary>Which tokens share ε at a place, and how many are they?</details>
# <details><summary>Hint 2</summary>Fill a tensor like <code>logits</code> with the share, set the column of padding, then write the true token's value with <code>scatter</code>.</details>

# %% exercise="smooth"
def label_smoothing_ce(logits: torch.Tensor, target: torch.Tensor, eps: float, pad: int) -> torch.Tensor:
    """Return the mean cross-entropy of `logits` (B, T, V) with the smoothed `target` (B, T) over places that are not `pad`, shape ()."""
    # BEGIN SOLUTION
    q = torch.full_like(logits, eps / (logits.shape[-1] - 2))
    q[..., pad] = 0
    q.scatter_(-1, target[..., None], 1 - eps)
    losses = -(q * logits.log_softmax(-1)).sum(-1)  # (B, T)
    return losses[target != pad].mean()
    # END SOLUTION


# %% check="smooth-by-hand" points=1
log_p = torch.tensor([[[1 / 8, 1 / 2, 1 / 4, 1 / 8]]]).log()
loss = label_smoothing_ce(log_p + 3, torch.tensor([[1]]), 0.2, 0)  # the softmax does not see a constant
torch.testing.assert_close(loss, torch.tensor(1.3 * math.log(2)), msg=lambda m: f"p = (1/8, 1/2, 1/4, 1/8), true token 1, eps 0.2, pad 0: expected 1.3 ln 2 = 0.901, got {loss}.\n-2.099 means that the logits were taken for log p; 0.866, 0.786, 0.728 or 1.109, that eps is not shared by exactly the 2 other tokens. Do your q sum to 1?\n{m}")
print("passed: the example worked by hand")

# %% check="smooth-hard" points=1
_ = torch.manual_seed(5)
scores, words = torch.randn(3, 4, 6), torch.tensor([[1, 2, 0, 0], [3, 4, 5, 2], [2, 0, 0, 0]])
loss = label_smoothing_ce(scores, words, 0.0, 0)
expected = F.cross_entropy(scores.flatten(0, 1), words.flatten(), ignore_index=0)
torch.testing.assert_close(loss, expected, msg=lambda m: f"with eps = 0 this is the ordinary cross-entropy over the 7 places that are not padding.\nA mean over all 12 places, or over sentences, is different.\n{m}")
print("passed: without smoothing it is the cross-entropy")

# %% hidden="smooth-general" points=2
gen = torch.Generator().manual_seed(61)
scores = 5 * torch.randn(2, 5, 7, generator=gen, dtype=torch.float64)
words = torch.tensor([[0, 4, 6, 3, 3], [5, 1, 3, 3, 3]])
loss = label_smoothing_ce(scores.clone(), words.clone(), 0.3, 3)
terms = []
for b, t in [(b, t) for b in range(2) for t in range(5) if words[b, t] != 3]:
    wanted = torch.tensor([0.7 if v == words[b, t] else 0.0 if v == 3 else 0.06 for v in range(7)], dtype=torch.float64)
    terms.append(F.cross_entropy(scores[b, t], wanted))
torch.testing.assert_close(loss, torch.stack(terms).mean(), msg=lambda m: f"V = 7, pad = 3, eps = 0.3: 0.7 on the true token, 0 on token 3, 0.06 on the others, mean over 5 places:\n{m}")

# %% hidden="smooth-gradient" points=1
words = torch.tensor([[2, 4], [1, 4]])


def gradient(size):
    scores = (size * torch.tensor([0.5, -1.0, 2.0, 0.0, 1.0])).repeat(2, 2, 1).double().requires_grad_()
    label_smoothing_ce(scores, words, 0.1, 4).backward()
    return scores.grad


mild, steep = gradient(1.0), gradient(500.0)
wanted = torch.full((2, 2, 5), 0.1 / 3, dtype=torch.float64)
wanted[..., 4] = 0
wanted[0, 0, 2] = wanted[1, 0, 1] = 0.9
p = torch.tensor([0.5, -1.0, 2.0, 0.0, 1.0], dtype=torch.float64).softmax(0)
expected = (p - wanted) / 2 * (words != 4)[..., None]
torch.testing.assert_close(mild, expected, msg=lambda m: f"the gradient of the loss must be (p - q) / (number of places), and 0 at padding:\n{m}")
assert bool(steep.isfinite().all()), "with logits of several hundred the gradient is not finite: use log_softmax, not log(softmax)"

# %% wrong="smooth-mass-on-pad" fails="smooth-by-hand smooth-general smooth-gradient"
def label_smoothing_ce(logits, target, eps, pad):
    V = logits.shape[-1]
    q = torch.full_like(logits, eps / V).scatter_add(-1, target[..., None], torch.full_like(logits[..., :1], 1 - eps))
    return -(q * logits.log_softmax(-1)).sum(-1)[target != pad].mean()


# %% [markdown] mistake="smooth-mass-on-pad"
# Shares ε among all V tokens, the padding and the true one included.
#
# In the example by hand you get 0.866 and not 0.901: four tokens share the 0.2, and by the statement only two of them may. Write your q for
# that example as a row of four numbers and compare it with the three rules, one for each kind of token.

# %% wrong="smooth-share-too-small" fails="smooth-by-hand smooth-general smooth-gradient"
def label_smoothing_ce(logits, target, eps, pad):
    q = torch.full_like(logits, eps / (logits.shape[-1] - 1)).scatter(-1, target[..., None], 1 - eps)
    q[..., pad] = 0
    return -(q * logits.log_softmax(-1)).sum(-1)[target != pad].mean()


# %% [markdown] mistake="smooth-share-too-small"
# Divides ε by V - 1, as if the padding token had a share too, so q sums to less than 1.
#
# In the example by hand your q is (0, 0.8, 0.067, 0.067), which sums to 0.933, and the loss is 0.786 instead of 0.901. Count the tokens
# that really receive a part of ε: which two do not?

# %% wrong="smooth-no-log-softmax" fails="smooth-by-hand smooth-hard smooth-general smooth-gradient"
def label_smoothing_ce(logits, target, eps, pad):
    q = torch.full_like(logits, eps / (logits.shape[-1] - 2)).scatter(-1, target[..., None], 1 - eps)
    q[..., pad] = 0
    return -(q * logits).sum(-1)[target != pad].mean()


# %% [markdown] mistake="smooth-no-log-softmax"
# Uses the logits as if they were log-probabilities.
#
# In the example the logits may all be 3 higher, the probabilities stay the same and the loss must be 0.901; yours becomes -2.099, and a
# loss below 0 cannot be a mean of -log p. The statement defines p from the logits: where does that step happen in your answer?

# %% wrong="smooth-pads-counted" fails="smooth-hard smooth-general smooth-gradient"
def label_smoothing_ce(logits, target, eps, pad):
    q = torch.full_like(logits, eps / (logits.shape[-1] - 2))
    q[..., pad] = 0
    q.scatter_(-1, target[..., None], 1 - eps)
    return -(q * logits.log_softmax(-1)).sum(-1).mean()


# %% [markdown] mistake="smooth-pads-counted"
# Counts padded places as words: their loss goes into the mean.
#
# Take p = (1/8, 1/2, 1/4, 1/8) at two places, the targets 1 and padding (id 0), and ε = 0: the answer is ln 2 = 0.693, but you return
# 1.386, as if the padding had to be predicted. Over which places does the statement take the mean?

# %% wrong="smooth-divided-by-all" fails="smooth-hard smooth-general smooth-gradient"
def label_smoothing_ce(logits, target, eps, pad):
    q = torch.full_like(logits, eps / (logits.shape[-1] - 2)).scatter(-1, target[..., None], 1 - eps)
    q[..., pad] = 0
    return -(q * logits.log_softmax(-1)).sum(-1).mean()


# %% [markdown] mistake="smooth-divided-by-all"
# Takes probability from the padding token, but still divides by the number of all places.
#
# Take p = (1/8, 1/2, 1/4, 1/8) at two places, the targets 1 and padding (id 0), and ε = 0: the answer is ln 2 = 0.693, but you return
# 0.347, half of it. A padded place should change neither the sum nor the count; how many places do you count here?

# %% wrong="smooth-log-of-softmax" fails="smooth-gradient"
def label_smoothing_ce(logits, target, eps, pad):
    q = torch.full_like(logits, eps / (logits.shape[-1] - 2)).scatter(-1, target[..., None], 1 - eps)
    q[..., pad] = 0
    return -(q * logits.softmax(-1).log()).sum(-1)[target != pad].mean()


# %% [markdown] mistake="smooth-log-of-softmax"
# Takes the logarithm of a softmax in two steps, which breaks down for large logits.
#
# For the logits (0, 200, 0, 0) the small probabilities are rounded to 0, their logarithm is minus infinity, and loss and gradient become
# `nan`, where the right loss for ε = 0.1 is 20. The numbers are lost between the two steps; the statement names a function that does both
# at once.

# %% right="smooth-by-sums"
def label_smoothing_ce(logits, target, eps, pad):
    logp = torch.log_softmax(logits, dim=-1)
    true = logp.gather(-1, target.unsqueeze(-1)).squeeze(-1)
    others = logp.sum(-1) - true - logp[..., pad]
    losses = -(1 - eps) * true - eps / (logits.shape[-1] - 2) * others
    real = target.ne(pad)
    return torch.where(real, losses, 0.0).sum() / real.sum()


# %% [markdown] explanation="smooth"
# Padding enters in two ways that are easy to confuse: as a *place* (it must not count in the mean) and as a *token* (it must get no probability).
# `F.cross_entropy(label_smoothing=…, ignore_index=pad)` takes care of the first only: it shares ε among all V tokens, padding and the true one included.
# The difference is small, and a model trained so gives padding a small probability at every place.
# At padded places the scatter writes to the padding column; those places are dropped afterwards, so it does no harm.

# %% [markdown]
# ## The real task: a translator of dates
#
# The data are English dates in several styles with their Chinese translation, made by a small generator that is shipped with the course.
# The split is by *year*: no year of the test set occurs in training, so a network cannot remember years, it has to learn to copy digits.

# %%
with open(DATA / "dates_en_zh.csv", encoding="utf-8", newline="") as file:
    records = list(csv.DictReader(file))
by_split = {name: [(r["en"], r["zh"]) for r in records if r["split"] == name] for name in ("train", "test")}
print({name: len(pairs) for name, pairs in by_split.items()})
for en, zh in by_split["train"][::1000]:
    print(f"{en:32} {zh}")

# %% [markdown]
# As tokens we take whole words, single digits and single signs on the English side, and single characters on the Chinese side.
# Digits must be single, or an unseen year would be an unseen token.

# %%
def tokenise(text):
    return re.findall(r"[A-Za-z]+|.", text)


def vocabulary(sentences):
    found = sorted({token for sentence in sentences for token in tokenise(sentence)})
    return {token: number for number, token in enumerate(["<pad>", "<bos>", "<eos>", *found])}


def to_ids(sentences, vocab):
    rows = [torch.tensor([BOS, *(vocab[token] for token in tokenise(s)), EOS]) for s in sentences]
    return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD)  # (N, longest)


en_vocab, zh_vocab = (vocabulary(column) for column in zip(*by_split["train"], strict=True))
train_src, test_src = (to_ids([en for en, _ in by_split[name]], en_vocab) for name in ("train", "test"))
train_tgt, test_tgt = (to_ids([zh for _, zh in by_split[name]], zh_vocab) for name in ("train", "test"))
print(len(en_vocab), "English tokens,", len(zh_vocab), "Chinese tokens")
print(by_split["train"][0][0], train_src[0].tolist())

# %% [markdown]
# The translator is PyTorch's own `nn.Transformer`, one encoder and one decoder block of width 64, with tables, positions and a tied output head around it.
# It needs no mask for target padding: that stands last, so the causal mask hides it from the real places, and the loss skips its own.
# `leaky=True` leaves out the causal mask; we shall see what that does.

# %%
class Translator(nn.Module):
    def __init__(self, n_src, n_tgt, C=64, leaky=False):
        super().__init__()
        self.leaky, self.size = leaky, math.sqrt(C)
        self.src_table, self.tgt_table = (nn.Parameter(torch.randn(n, C) / math.sqrt(C)) for n in (n_src, n_tgt))
        self.register_buffer("waves", sinusoids(64, C))
        self.body = nn.Transformer(C, 4, 1, 1, 2 * C, dropout=0.0, batch_first=True)

    def rows(self, table, ids):  # the waves plus sqrt(C) times the rows of the table, as in Exercise 5
        return torch.addcmul(self.waves[: ids.shape[1]], F.embedding(ids, table), torch.tensor(self.size))

    def forward(self, src, tgt):
        hide = None if self.leaky else nn.Transformer.generate_square_subsequent_mask(tgt.shape[1]) < 0  # it has -inf where we want True
        blank = ~src.bool()  # True at padding, since PAD is 0
        out = self.body(self.rows(self.src_table, src), self.rows(self.tgt_table, tgt), tgt_mask=hide, src_key_padding_mask=blank, memory_key_padding_mask=blank)
        return F.linear(out, self.tgt_table)  # (B, T, n_tgt)


# %% [markdown]
# Training draws batches of 32 pairs; each is cut to its own longest sentence.
# The target goes in without its last token and is compared without its first: that is the shift by one place.
# The loss is PyTorch's own, whose smoothing gives all tokens a share, padding too; yours of Exercise 7 gives padding none.

# %%
def train(seed, n_steps, batch_size=32, leaky=False):
    _ = torch.manual_seed(seed)
    model = Translator(len(en_vocab), len(zh_vocab), leaky=leaky)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min((step + 1) / 100, (n_steps - step) / (n_steps - 100)))
    criterion = nn.CrossEntropyLoss(ignore_index=PAD, label_smoothing=0.1)
    losses = []
    for _ in range(n_steps):
        chosen = torch.randint(len(train_src), (batch_size,))
        src, tgt = (ids[chosen][:, : int(ids[chosen].bool().sum(1).max())] for ids in (train_src, train_tgt))
        loss = criterion(model(src, tgt[:, :-1]).flatten(0, 1), tgt[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return model.eval(), losses


models, curves = zip(*(train(seed, n_steps=700) for seed in range(3)), strict=True)

# %% [markdown]
# With label smoothing the loss cannot reach 0: its least value is the entropy $-\sum_v q_v \log q_v$ of the smoothed target, reached where $p = q$.
# We compute this floor and draw how far above it each network is.

# %%
smoothed = F.one_hot(torch.tensor(3), len(zh_vocab)) * 0.9 + 0.1 / len(zh_vocab)  # shared with all tokens
floor = -(smoothed * smoothed.log()).sum()
fig, ax = plt.subplots(figsize=(5, 3))
for seed, curve in enumerate(curves):
    ax.semilogy(range(20, 701, 20), torch.tensor(curve).unfold(0, 20, 20).mean(1) - floor, label=f"seed {seed}")
ax.set(xlabel="step", ylabel=f"loss above its floor of {floor:.3f}", title="Training, three seeds")
ax.legend()
plt.show()

# %% [markdown]
# The three seeds agree.
# More than nine tenths of the excess are gone after 150 steps, when the network knows which characters are likely at which place.
# What decides about whole dates is the slow rest.
# Three trainings of only 300 steps ended 0.04 to 0.05 above the floor and got from a quarter to nearly nine tenths of the dates right; with 600 steps all three ended below 0.004 and got more than 99 of 100.
#
# A trained translator writes one token at a time: it reads `<bos>`, takes the likeliest next token, appends it, reads again.
# This is **greedy decoding** (贪心解码); it ends where the model writes `<eos>`, the **stop token** (终止符), or at a largest length.
# No one tells the model how long the translation is: length is one more thing that it learns.

# %%
@torch.no_grad()
def translate(model, src, longest=20):
    tgt = src.new_full((len(src), 1), BOS)
    for _ in range(longest):
        tgt = torch.cat([tgt, model(src, tgt)[:, -1].argmax(1, keepdim=True)], dim=1)
    return tgt


def to_text(ids, vocab):
    """The tokens between <bos> and the first <eos>."""
    names = list(vocab)
    written = ids.tolist()[1:]
    return "".join(names[i] for i in (written[: written.index(EOS)] if EOS in written else written))


def exact_match(model, src, tgt):
    """The share of sentences that are right in every character."""
    return sum(to_text(a, zh_vocab) == to_text(b, zh_vocab) for a, b in zip(translate(model, src), tgt, strict=True)) / len(src)


# %% tags=["nbval-ignore-output"]
scores = [exact_match(model, test_src[:500], test_tgt[:500]) for model in models]
print("exact match of the three seeds:", [round(score, 3) for score in scores])
assert min(scores) >= 0.95, f"expected at least 0.95 exact matches on held-out years for every seed, got {scores}"

# %% [markdown]
# On years that it has never seen, every one of the three translators writes at least 95 of 100 dates without a single wrong character.
# One wrong character makes a date wrong, so this is a stricter number than the share of right characters.
#
# ## Where did it look?
#
# PyTorch's decoder block throws its cross-attention weights away unless asked.
# A hook before the call asks for them, and a hook after the call keeps them.

# %%
def cross_attention(model, src, tgt):
    """Return the cross-attention weights, mean over the heads, of sentences src (B, S) and tgt (B, T): (B, T, S)."""
    kept, attn = [], model.body.decoder.layers[-1].multihead_attn
    ask = attn.register_forward_pre_hook(lambda module, args, kwargs: (args, {**kwargs, "need_weights": True}), with_kwargs=True)
    keep = attn.register_forward_hook(lambda module, args, output: kept.append(output[1]))
    with torch.no_grad():
        model(src, tgt)
    ask.remove(), keep.remove()
    return kept[0]


PINYIN = dict(zip("年月日号星期周一二三四五六天", "nian yue ri hao xing qi zhou yi er san si wu liu tian".split(), strict=True))
en_names, zh_names = [token.replace(" ", "_") for token in en_vocab], [PINYIN.get(token, token) for token in zh_vocab]

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 4.6), layout="constrained")
for ax, text in zip(axes, ["Saturday, November 30, 2058", "Thu 31 Oct 1957"], strict=True):  # two held-out dates
    src = to_ids([text], en_vocab)
    tgt = translate(models[0], src)
    tgt = tgt[:, : tgt[0].tolist().index(EOS) + 1]
    image = ax.imshow(cross_attention(models[0], src, tgt[:, :-1])[0], cmap="Blues", vmin=0, vmax=1)
    ax.set(xticks=range(src.shape[1]), yticks=range(tgt.shape[1] - 1), title=text)
    ax.set_xticklabels([en_names[j] for j in src[0]], rotation=90)
    ax.set_yticklabels([zh_names[j] for j in tgt[0, 1:]])
axes[0].set_ylabel("token being written")
fig.supxlabel("English token looked at (_ is a space)", fontsize="medium")
fig.colorbar(image, ax=axes, label="weight", shrink=0.8)
plt.show()

# %% [markdown]
# Nobody told the network which word belongs to which character; it found out because it had to.
# Read row by row: the digits of the year look at digits on the right, the month's number at the month's name, the day at its digits (less firmly at the second), the last character before `<eos>` at the weekday.
# These are the lines from the top of the chapter.
# The first digit of a year is 1 or 2 and can be told from its neighbour, so its row often looks there.
# Rows that follow from the grammar alone, such as 年 and 月, need nothing from the source and rest mostly on `<bos>`.
#
# One picture can be luck.
# So for every held-out date we ask: when the last digit of the year is written, does the place that it looks at most hold that digit?

# %% tags=["nbval-ignore-output"]
looked_at = cross_attention(models[0], test_src, test_tgt[:, :-1])[:, 3].argmax(1)  # row 3 writes the fourth character
seen = [en_names[int(ids[j])] for ids, j in zip(test_src, looked_at, strict=True)]
share = sum(en == zh[3] for en, (_, zh) in zip(seen, by_split["test"], strict=True)) / len(seen)
print(f"it looks at the right digit in {share:.0%} of the dates")
assert share >= 0.75, f"expected the year's last digit to look at itself in at least 0.75 of the dates, got {share}"

# %% [markdown]
# ## Without the causal mask
#
# We train one more network whose decoder may look ahead.

# %% tags=["nbval-ignore-output"]
leaky, leaky_curve = train(0, n_steps=400, leaky=True)
leaky_excess, leaky_score = sum(leaky_curve[-20:]) / 20 - floor, exact_match(leaky, test_src[:100], test_tgt[:100])
print(f"loss above the floor: {leaky_excess:.3f}, exact match: {leaky_score}")
for (en, _), ids in zip(by_split["test"][:2], translate(leaky, test_src[:2]), strict=True):
    print(f"{en:32} {to_text(ids, zh_vocab)}")
assert leaky_excess < 0.05 and leaky_score < 0.1, f"expected a low loss and a useless translator, got {leaky_excess}, {leaky_score}"

# %% [markdown]
# Its loss is at least as low as that of an honest training with as many steps, and its translations are worthless: in training it learned to copy the next token from its own input, and in use there is no next token to copy.
# A low loss proves nothing until the model has been run the way it will be used.

# %% [markdown]
# ## Writing without computing twice
#
# `translate` runs the decoder over the whole prefix at every step and uses one row of the result.
# Yet the causal mask has promised that earlier rows cannot change when a token is appended.
# So only the newest row has to be computed.
# What later rows need from earlier ones are their keys and values in each block's self-attention; we keep them: the **key-value cache** (键值缓存).
# The memory never changes, so the keys and values of the cross-attention are computed once.

# %%
_ = torch.manual_seed(0)
attention, sentence = MultiHeadAttention(C=8, n_heads=2), torch.randn(1, 6, 8)
k_all, v_all = attention.keys_values(sentence)
k_short, v_short = attention.keys_values(sentence[:, :5])
print(k_all.shape, torch.allclose(k_all[:, :, :5], k_short))
last = attention.look(sentence[:, 5:], k_all, v_all)
print(last.shape, torch.allclose(last, attention(sentence, sentence)[:, 5:], atol=1e-6))

# %% [markdown]
# The keys of the first five rows are the same with and without the sixth, and one row with all the keys gives the sixth row of the full result.

# %% [markdown]
# ### Exercise 8: greedy decoding with a cache (7 points)
#
# Write `greedy_cache(decoder, table, positions, memory, src_pad, max_len)`.
#
# - `decoder` is a `Stack` of `DecoderParts` with its final `norm`; `table` `(V, C)` is the tied table, and `positions` `(L, C)` the waves with `L >= max_len`; `memory` is `(B, S, C)` and `src_pad` `(B, S)` its mask, `True` = blocked (`look` wants a block of shape `(B, 1, S)`); `max_len >= 1`.
# - Start every sentence with `BOS` at place 0. At each step embed only the newest token (table row times $\sqrt C$, plus the wave of *its* place), send this one row through all blocks (post-LN, as in the picture), apply the final `norm`, multiply by the table to get the logits, and take the largest.
# - In each block's self-attention, keep the keys and values of earlier rows and add the new ones. Use `keys_values` and `look`: at every step `keys_values` of a self-attention gets one row per sentence, and `keys_values` of each cross-attention is called once in all.
# - A sentence that has written `EOS` gets `PAD` from then on; its rows may still be computed, they are not used. Stop when every sentence has written `EOS`, or after `max_len` tokens.
# - Return ids `(B, n)` of dtype `torch.int64`, `n <= max_len`, without the `BOS` and with the `EOS`.
#
# By hand: if a sentence's likeliest tokens are 5, 7, `EOS`, and another's are 4, `EOS`, the result is `[[5, 7, EOS], [4, EOS, PAD]]`.
#
# <details><summary>Hint 1</summary>In step t, how many rows does the cache hold before, and how many after? At which axis of (B, heads, T, C / heads) do you join?</details>
# <details><summary>Hint 2</summary>Does the one new row need a causal mask? If your tokens are wrong from some place on, compare with the slow way: all rows of the prefix through your decoder block of Exercise 4.</details>

# %% exercise="cache"
@torch.no_grad()
def greedy_cache(
    decoder: Stack, table: torch.Tensor, positions: torch.Tensor, memory: torch.Tensor, src_pad: torch.Tensor, max_len: int
) -> torch.Tensor:
    """Return the greedy translation (B, n) of `memory` (B, S, C), n <= max_len, computing one decoder row per step and sentence."""
    # BEGIN SOLUTION
    ids = torch.full((len(memory), 1), BOS)
    past = [[] for _ in decoder.layers]
    crossed = [parts.multihead_attn.keys_values(memory) for parts in decoder.layers]
    for t in range(max_len):
        y = F.embedding(ids[:, -1:], table) * math.sqrt(table.shape[1]) + positions[t]
        for i, parts in enumerate(decoder.layers):
            past[i].append(torch.stack(parts.self_attn.keys_values(y)))  # (2, B, heads, 1, C / heads)
            y = parts.norm1(y + parts.self_attn.look(y, *torch.cat(past[i], 3)))
            y = parts.norm2(y + parts.multihead_attn.look(y, *crossed[i], src_pad[:, None, :]))
            y = parts.norm3(y + parts.linear2(parts.linear1(y).relu()))
        best = (decoder.norm(y) @ table.T).argmax(-1)
        best[(ids == EOS).any(1)] = PAD
        ids = torch.cat([ids, best], 1)
        if (ids == EOS).any(1).all():
            break
    return ids[:, 1:]
    # END SOLUTION


# %% check="cache-places" points=1
silent = Stack([DecoderParts(C=8, n_heads=2, hidden=4) for _ in range(2)], 8).requires_grad_(False)
for parts in silent.layers:
    for linear in (parts.self_attn.w_o, parts.multihead_attn.w_o, parts.linear2):
        linear.weight[:], linear.bias[:] = 0.0, 0.0
spelled = torch.zeros(9, 8)
spelled[torch.arange(9), torch.tensor([5, 7, 3, 2, 6, 4, 6, 4, 6])] = 100.0  # the wave of place t shouts one token
out = greedy_cache(silent, torch.eye(8), spelled, torch.ones(2, 3, 8), torch.zeros(2, 3).bool(), 9)
assert type(out) is torch.Tensor and out.dtype == torch.int64, (
    f"greedy_cache must return a tensor of int64 ids, got {getattr(out, 'dtype', type(out).__name__)}. NoneType: is return missing?"
)
assert out.tolist() == [[5, 7, 3, 2]] * 2, (
    f"with silent updates each place writes the token that its own wave shouts: 5, 7, 3, then EOS = 2, and stops; got {out.tolist()}. "
    "A 1 in front: BOS does not belong in the result. No 2 at the end: EOS does. Pairs 5, 5: stacked as (n, B), not (B, n). "
    "Else: is the newest token at place t in step t, and does the loop stop?"
)
for linear in (silent.layers[1].multihead_attn.w_v, silent.layers[1].multihead_attn.w_o):  # block 1 adds what it reads
    linear.weight[:], linear.bias[:] = torch.eye(8), 0.0
loud, heard = torch.zeros(3, 8), torch.zeros(2, 3, 8)
loud[[0, 0, 1, 1, 2], [5, 4, 7, EOS, EOS]] = torch.tensor([20.0, 15.0, 20.0, 15.0, 20.0])
heard[1, :, 4], heard[1, :, EOS] = 60.0, 60.0  # the memory of sentence 1 lifts 4 and EOS over the others
both = greedy_cache(silent, torch.eye(8), loud, heard, torch.zeros(2, 3).bool(), 3)
assert both.tolist() == [[5, 7, EOS], [4, EOS, PAD]], (
    f"the example worked by hand should be [[5, 7, EOS], [4, EOS, PAD]] = [[5, 7, 2], [4, 2, 0]]; got {both.tolist()}. "
    "Two columns: stopped before every sentence had written EOS. Not 0 at the end: a sentence that has written EOS gets PAD"
)
print("passed: every token stands at its place, and EOS stops")

# %% check="cache-rows" points=1
_ = torch.manual_seed(6)
decoder = Stack([DecoderParts(C=4, n_heads=2, hidden=5) for _ in range(2)], 4).requires_grad_(False)
table, waves_4, read = torch.randn(6, 4), torch.randn(5, 4), torch.randn(3, 4, 4)
table[EOS] = 0.0  # logit 0 is hardly ever the largest, so all steps are run


def rows_of_keys():
    counts = {"self": [], "cross": []}
    watched = [parts.self_attn.w_k for parts in decoder.layers], [parts.multihead_attn.w_k for parts in decoder.layers]
    handles = [m.register_forward_hook(lambda m, i, o: counts["self"].append(i[0].shape[1])) for m in watched[0]]
    handles += [m.register_forward_hook(lambda m, i, o: counts["cross"].append(i[0].shape[1])) for m in watched[1]]
    written = greedy_cache(decoder, table, waves_4, read, torch.zeros(3, 4).bool(), 5)
    for handle in handles:
        handle.remove()
    return counts, list(written.shape) if isinstance(written, torch.Tensor) else type(written).__name__


counts, shape = rows_of_keys()
assert type(shape) is list and len(shape) == 2 and shape[0] == 3 and shape[1] <= 5, (
    f"3 sentences and max_len = 5 must give a tensor (3, n) with n <= 5, got {shape}. NoneType: is return missing? "
    "[3, 6]: BOS does not belong in the result. [5, 3]: stacked as (n, B)"
)
n = shape[1]
assert all(rows == 1 for rows in counts["self"]), (
    f"every step should compute the keys of one row in each block; the rows per call were {counts['self']}: "
    "earlier keys come from the cache"
)
assert len(counts["self"]) == 2 * n, (
    f"{n} tokens came back, so {n} steps through 2 blocks should compute self-attention keys {2 * n} times, not {len(counts['self'])}. "
    "Too often: called twice in a step, or a token was computed and is not in the result"
)
assert counts["cross"] == [4, 4], f"the keys of the 4 memory rows should be computed once in each of the 2 blocks; the rows per call were {counts['cross']}"
print("passed: one new row per step, the memory once")

# %% check="cache-slow" points=1
_ = torch.manual_seed(386)
ours = Stack([DecoderParts(8, 2, 12) for _ in range(2)], 8).double().requires_grad_(False)
theirs = nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 12, dropout=0.0, batch_first=True), 2, ours.norm).double().requires_grad_(False)
for p in ours.parameters():
    p.add_(torch.randn_like(p), alpha=0.4)
for layer, parts in zip(theirs.layers, ours.layers, strict=True):  # PyTorch's decoder gets the same numbers
    for name in ("linear1", "linear2", "norm1", "norm2", "norm3"):
        setattr(layer, name, getattr(parts, name))
    for packed, maps in ((layer.self_attn, parts.self_attn), (layer.multihead_attn, parts.multihead_attn)):
        packed.in_proj_weight[:] = torch.cat([m.weight for m in (maps.w_q, maps.w_k, maps.w_v)])
        packed.in_proj_bias[:] = torch.cat([m.bias for m in (maps.w_q, maps.w_k, maps.w_v)])
        packed.out_proj = maps.w_o
words, places_8, read = (torch.randn(*shape, dtype=torch.float64) for shape in ((17, 8), (8, 8), (1, 4, 8)))
places_8 *= 4
words[EOS], last_pad = 0.0, torch.tensor([[False, False, False, True]])  # EOS is never the likeliest, so all steps are run
out = greedy_cache(ours, words, places_8, read, last_pad, 8)
assert type(out) is torch.Tensor and out.dim() == 2 and len(out) == 1 and out.shape[1] <= 8, (
    f"one sentence and max_len = 8 must give a tensor (1, n) with n <= 8, got {getattr(out, 'shape', type(out).__name__)}. "
    "NoneType: is return missing? 9 columns: BOS does not belong in the result. One column: stacked as (n, B)"
)
slow = torch.tensor([[BOS]])
for n in range(1, 9):
    hidden_future = torch.ones(n, n).triu(1).bool()
    rows = theirs(words[slow] * math.sqrt(8) + places_8[:n], read, tgt_mask=hidden_future, memory_key_padding_mask=last_pad)
    slow = torch.cat([slow, (rows[:, -1] @ words.T).argmax(1, keepdim=True)], 1)
assert out.tolist() == slow[:, 1:].tolist(), f"PyTorch's decoder, run over the whole prefix at every step, writes {slow[0, 1:].tolist()}, the cache {out[0].tolist()}. A wrong first token: is sqrt(C), the final norm or src_pad missing, or do the blocks share one cache? A wrong later one: are the earlier keys and values kept, joined along the places? Either: is each wave that of its place?"
print("passed: the same tokens as the slow way")

# %% hidden="cache-full-decode" points=3
memory_pad = torch.tensor([[False] * 5, [False, False, True, True, True], [False, False, False, False, True]])
cases = []
for number in (72, 76, 94, 102):
    _ = torch.manual_seed(number)
    deep = Stack([DecoderParts(8, 2, 12) for _ in range(2)], 8).double().requires_grad_(False)
    for p in deep.parameters():
        p += 0.4 * torch.randn_like(p)
    cases.append((deep, *(size * torch.randn(*s, dtype=torch.float64) for size, s in ((1, (17, 8)), (4, (12, 8)), (1, (3, 5, 8))))))


def all_cases():
    return [greedy_cache(deep, words, waves_12, read, memory_pad, 10) for deep, words, waves_12, read in cases]


answers = all_cases()
for (deep, words, waves_12, read), answer in zip(cases, answers, strict=True):
    wanted = torch.ones(3, 1, dtype=torch.long)
    for _ in range(10):
        T = wanted.shape[1]
        h = words[wanted] * 8**0.5 + waves_12[:T]
        for b in deep.layers:
            h = b.norm1(h + b.self_attn(h, h, torch.ones(T, T).triu(1).bool()))
            h = b.norm2(h + b.multihead_attn(h, read, memory_pad[:, None]))
            h = b.norm3(h + b.linear2(F.relu(b.linear1(h))))
        nxt = (deep.norm(h[:, -1]) @ words.T).argmax(1)
        ended = (wanted == EOS).any(1)
        wanted = torch.cat([wanted, torch.where(ended, PAD, nxt)[:, None]], 1)
        if bool((wanted == EOS).any(1).all()):
            break
    assert answer.tolist() == wanted[:, 1:].tolist(), f"decoding with a cache gave {answer.tolist()}, decoding the whole prefix at every step gives {wanted[:, 1:].tolist()}"

# %% hidden="cache-stop" points=1
quiet = Stack([DecoderParts(6, 1, 2)], 6).requires_grad_(False)
for muted in (quiet.layers[0].self_attn.w_o, quiet.layers[0].linear2, quiet.layers[0].multihead_attn.w_v):
    muted.weight[:], muted.bias[:] = 0.0, 0.0
quiet.layers[0].multihead_attn.w_v.weight[:] = quiet.layers[0].multihead_attn.w_o.weight[:] = torch.eye(6)
quiet.layers[0].multihead_attn.w_o.bias[:] = 0.0
shouts = torch.zeros(4, 6)
shouts[[0, 1, 2, 3], [4, 2, 3, 5]] = 20.0
voices = torch.zeros(3, 2, 6)
voices[0, :, 5], voices[2, :, 3] = 60.0, 0.0
out, short, one = (greedy_cache(quiet, torch.eye(6), shouts, v, torch.zeros(len(v), 2).bool(), n) for v, n in ((voices, 4), (voices, 1), (voices[1:2], 4)))
assert out.tolist() == [[5, 5, 5, 5], [4, 2, 0, 0], [4, 2, 0, 0]], f"sentence 0 never ends, the others write 4, EOS = 2 and then PAD = 0 up to max_len = 4; got {out.tolist()}"
assert short.tolist() == [[5], [4], [4]], f"with max_len = 1 one token is written for each sentence; got {short.tolist()}"
assert one.tolist() == [[4, 2]], f"a single sentence stops after its EOS; got {one.tolist()}"

# %% wrong="cache-place-zero" fails="cache-places cache-slow cache-full-decode"
def greedy_cache(decoder, table, positions, memory, src_pad, max_len):
    ids, past = torch.full((len(memory), 1), BOS), [None] * len(decoder.layers)
    crossed = [p.multihead_attn.keys_values(memory) for p in decoder.layers]
    for _ in range(max_len):
        y = table[ids[:, -1:]] * table.shape[1] ** 0.5 + positions[0]
        for i, p in enumerate(decoder.layers):
            k, v = p.self_attn.keys_values(y)
            past[i] = (k, v) if past[i] is None else (torch.cat([past[i][0], k], 2), torch.cat([past[i][1], v], 2))
            y = p.norm1(y + p.self_attn.look(y, *past[i]))
            y = p.norm2(y + p.multihead_attn.look(y, *crossed[i], src_pad[:, None]))
            y = p.norm3(y + p.linear2(F.relu(p.linear1(y))))
        best = (decoder.norm(y) @ table.T).argmax(-1).masked_fill((ids == EOS).any(1, keepdim=True), PAD)
        ids = torch.cat([ids, best], 1)
        if (ids == EOS).any(1).all():
            break
    return ids[:, 1:]


# %% [markdown] mistake="cache-place-zero"
# Gives every new token the wave of place 0.
#
# Where each place's wave shouts one token, you write 5, 5, 5, … and should write 5, 7, 3, `EOS`. The first token is even right. The new row
# is alone in its tensor, but that does not make its place 0: which number says how many tokens stand before it?

# %% wrong="cache-place-one-late" fails="cache-places cache-full-decode"
def greedy_cache(decoder, table, positions, memory, src_pad, max_len):
    ids, past = torch.full((len(memory), 1), BOS), [None] * len(decoder.layers)
    crossed = [p.multihead_attn.keys_values(memory) for p in decoder.layers]
    for _ in range(max_len):
        y = table[ids[:, -1:]] * table.shape[1] ** 0.5 + positions[ids.shape[1] % len(positions)]
        for i, p in enumerate(decoder.layers):
            k, v = p.self_attn.keys_values(y)
            past[i] = (k, v) if past[i] is None else (torch.cat([past[i][0], k], 2), torch.cat([past[i][1], v], 2))
            y = p.norm1(y + p.self_attn.look(y, *past[i]))
            y = p.norm2(y + p.multihead_attn.look(y, *crossed[i], src_pad[:, None]))
            y = p.norm3(y + p.linear2(F.relu(p.linear1(y))))
        best = (decoder.norm(y) @ table.T).argmax(-1).masked_fill((ids == EOS).any(1, keepdim=True), PAD)
        ids = torch.cat([ids, best], 1)
        if (ids == EOS).any(1).all():
            break
    return ids[:, 1:]


# %% [markdown] mistake="cache-place-one-late"
# Gives each token the wave of the place after its own: `BOS` stands at place 1, not 0.
#
# Where the waves of the places shout 5, 7, 3, `EOS`, you write 7, 3, `EOS`: the first one is never heard. The statement says where `BOS`
# stands; print the place number that you use in the first round.

# %% wrong="cache-forgets" fails="cache-slow cache-full-decode"
def greedy_cache(decoder, table, positions, memory, src_pad, max_len):
    ids = torch.full((len(memory), 1), BOS)
    crossed = [p.multihead_attn.keys_values(memory) for p in decoder.layers]
    for t in range(max_len):
        y = table[ids[:, -1:]] * table.shape[1] ** 0.5 + positions[t]
        for i, p in enumerate(decoder.layers):
            y = p.norm1(y + p.self_attn(y, y))
            y = p.norm2(y + p.multihead_attn.look(y, *crossed[i], src_pad[:, None]))
            y = p.norm3(y + p.linear2(F.relu(p.linear1(y))))
        best = (decoder.norm(y) @ table.T).argmax(-1).masked_fill((ids == EOS).any(1, keepdim=True), PAD)
        ids = torch.cat([ids, best], 1)
        if (ids == EOS).any(1).all():
            break
    return ids[:, 1:]


# %% [markdown] mistake="cache-forgets"
# Keeps no keys and values: each new row looks only at itself in the self-attention.
#
# The first token is right, the later ones are written without knowing what stands before them, apart from the newest token. Print how many
# rows of keys the self-attention receives in step t: it should grow by one each time, and yours stays at 1.

# %% wrong="cache-none" fails="cache-rows"
def greedy_cache(decoder, table, positions, memory, src_pad, max_len):
    ids = torch.full((len(memory), 1), BOS)
    for t in range(1, max_len + 1):
        y = table[ids] * table.shape[1] ** 0.5 + positions[:t]
        for p in decoder.layers:
            y = p.norm1(y + p.self_attn(y, y, torch.ones(t, t).triu(1).bool()))
            y = p.norm2(y + p.multihead_attn(y, memory, src_pad[:, None]))
            y = p.norm3(y + p.linear2(F.relu(p.linear1(y))))
        best = (decoder.norm(y[:, -1:]) @ table.T).argmax(-1).masked_fill((ids == EOS).any(1, keepdim=True), PAD)
        ids = torch.cat([ids, best], 1)
        if (ids == EOS).any(1).all():
            break
    return ids[:, 1:]


# %% [markdown] mistake="cache-none"
# Runs the whole prefix through the decoder at every step; nothing is cached.
#
# The tokens are right, but the work is that of the slow way: in four steps each block computes self-attention keys for 1 + 2 + 3 + 4 = 10
# rows instead of 4, and those of the memory four times instead of once. Which results of step t are the same in step t + 1?

# %% wrong="cache-never-stops" fails="cache-places cache-stop"
def greedy_cache(decoder, table, positions, memory, src_pad, max_len):
    ids, past = torch.full((len(memory), 1), BOS), [None] * len(decoder.layers)
    crossed = [p.multihead_attn.keys_values(memory) for p in decoder.layers]
    for t in range(max_len):
        y = table[ids[:, -1:]] * table.shape[1] ** 0.5 + positions[t]
        for i, p in enumerate(decoder.layers):
            k, v = p.self_attn.keys_values(y)
            past[i] = (k, v) if past[i] is None else (torch.cat([past[i][0], k], 2), torch.cat([past[i][1], v], 2))
            y = p.norm1(y + p.self_attn.look(y, *past[i]))
            y = p.norm2(y + p.multihead_attn.look(y, *crossed[i], src_pad[:, None]))
            y = p.norm3(y + p.linear2(F.relu(p.linear1(y))))
        ids = torch.cat([ids, (decoder.norm(y) @ table.T).argmax(-1)], 1)
    return ids[:, 1:]


# %% [markdown] mistake="cache-never-stops"
# Never looks for `EOS`: it writes `max_len` tokens and goes on after the end.
#
# Where the waves shout 5, 7, 3, `EOS` and more, you write all nine places instead of four. The statement has two rules about `EOS`, one for
# a single sentence that has ended and one for the whole batch; neither has a place in your loop yet.

# %% wrong="cache-memory-pads" fails="cache-slow cache-full-decode"
def greedy_cache(decoder, table, positions, memory, src_pad, max_len):
    ids, past = torch.full((len(memory), 1), BOS), [None] * len(decoder.layers)
    crossed = [p.multihead_attn.keys_values(memory) for p in decoder.layers]
    for t in range(max_len):
        y = table[ids[:, -1:]] * table.shape[1] ** 0.5 + positions[t]
        for i, p in enumerate(decoder.layers):
            k, v = p.self_attn.keys_values(y)
            past[i] = (k, v) if past[i] is None else (torch.cat([past[i][0], k], 2), torch.cat([past[i][1], v], 2))
            y = p.norm1(y + p.self_attn.look(y, *past[i]))
            y = p.norm2(y + p.multihead_attn.look(y, *crossed[i]))
            y = p.norm3(y + p.linear2(F.relu(p.linear1(y))))
        best = (decoder.norm(y) @ table.T).argmax(-1).masked_fill((ids == EOS).any(1, keepdim=True), PAD)
        ids = torch.cat([ids, best], 1)
        if (ids == EOS).any(1).all():
            break
    return ids[:, 1:]


# %% [markdown] mistake="cache-memory-pads"
# Does not use `src_pad`: the cross-attention looks at the memory's padding as well.
#
# As long as the memory has no padding, nothing shows. Mark one memory place as padding, change its row, and compare the rows that come out
# of the cross-attention: they move, and they should not. Which argument of `look` have you left at its default?

# %% wrong="cache-one-for-all-blocks" fails="cache-slow cache-full-decode"
def greedy_cache(decoder, table, positions, memory, src_pad, max_len):
    ids, past = torch.full((len(memory), 1), BOS), None
    crossed = [p.multihead_attn.keys_values(memory) for p in decoder.layers]
    for t in range(max_len):
        y = table[ids[:, -1:]] * table.shape[1] ** 0.5 + positions[t]
        for i, p in enumerate(decoder.layers):
            k, v = p.self_attn.keys_values(y)
            past = (k, v) if past is None else (torch.cat([past[0], k], 2), torch.cat([past[1], v], 2))
            y = p.norm1(y + p.self_attn.look(y, *past))
            y = p.norm2(y + p.multihead_attn.look(y, *crossed[i], src_pad[:, None]))
            y = p.norm3(y + p.linear2(F.relu(p.linear1(y))))
        best = (decoder.norm(y) @ table.T).argmax(-1).masked_fill((ids == EOS).any(1, keepdim=True), PAD)
        ids = torch.cat([ids, best], 1)
        if (ids == EOS).any(1).all():
            break
    return ids[:, 1:]


# %% [markdown] mistake="cache-one-for-all-blocks"
# Keeps one common cache for all blocks instead of one for each block.
#
# With two blocks your cache grows by two rows in a step, and each block looks at keys and values that the other block made with its own
# maps. With a single block nothing shows. After step t, how many rows should one block see?

# %% wrong="cache-no-final-norm" fails="cache-slow cache-full-decode"
def greedy_cache(decoder, table, positions, memory, src_pad, max_len):
    ids, past = torch.full((len(memory), 1), BOS), [None] * len(decoder.layers)
    crossed = [p.multihead_attn.keys_values(memory) for p in decoder.layers]
    for t in range(max_len):
        y = table[ids[:, -1:]] * table.shape[1] ** 0.5 + positions[t]
        for i, p in enumerate(decoder.layers):
            k, v = p.self_attn.keys_values(y)
            past[i] = (k, v) if past[i] is None else (torch.cat([past[i][0], k], 2), torch.cat([past[i][1], v], 2))
            y = p.norm1(y + p.self_attn.look(y, *past[i]))
            y = p.norm2(y + p.multihead_attn.look(y, *crossed[i], src_pad[:, None]))
            y = p.norm3(y + p.linear2(F.relu(p.linear1(y))))
        best = (y @ table.T).argmax(-1).masked_fill((ids == EOS).any(1, keepdim=True), PAD)
        ids = torch.cat([ids, best], 1)
        if (ids == EOS).any(1).all():
            break
    return ids[:, 1:]


# %% [markdown] mistake="cache-no-final-norm"
# Leaves out the decoder's final `norm` before the logits.
#
# A fresh norm changes almost nothing on a row that has been normalised a moment before, so this hides until the norm has learned its own
# scale and shift; then other tokens win. Go through the statement's second point step by step: what lies between the last block and the
# table?

# %% wrong="cache-scale-lost" fails="cache-slow cache-full-decode"
def greedy_cache(decoder, table, positions, memory, src_pad, max_len):
    ids, past = torch.full((len(memory), 1), BOS), [None] * len(decoder.layers)
    crossed = [p.multihead_attn.keys_values(memory) for p in decoder.layers]
    for t in range(max_len):
        y = table[ids[:, -1:]] + positions[t]
        for i, p in enumerate(decoder.layers):
            k, v = p.self_attn.keys_values(y)
            past[i] = (k, v) if past[i] is None else (torch.cat([past[i][0], k], 2), torch.cat([past[i][1], v], 2))
            y = p.norm1(y + p.self_attn.look(y, *past[i]))
            y = p.norm2(y + p.multihead_attn.look(y, *crossed[i], src_pad[:, None]))
            y = p.norm3(y + p.linear2(F.relu(p.linear1(y))))
        best = (decoder.norm(y) @ table.T).argmax(-1).masked_fill((ids == EOS).any(1, keepdim=True), PAD)
        ids = torch.cat([ids, best], 1)
        if (ids == EOS).any(1).all():
            break
    return ids[:, 1:]


# %% [markdown] mistake="cache-scale-lost"
# Embeds the newest token without the factor of the square root of C.
#
# The tokens then count less against the waves than in the training, and other words win. The order of the steps is right, so compare the
# row that enters the first block, for `BOS` at place 0, with the row that the formula in the statement gives.

# %% wrong="cache-no-padding" fails="cache-places cache-full-decode cache-stop"
def greedy_cache(decoder, table, positions, memory, src_pad, max_len):
    ids, past = torch.full((len(memory), 1), BOS), [None] * len(decoder.layers)
    crossed = [p.multihead_attn.keys_values(memory) for p in decoder.layers]
    for t in range(max_len):
        y = table[ids[:, -1:]] * table.shape[1] ** 0.5 + positions[t]
        for i, p in enumerate(decoder.layers):
            k, v = p.self_attn.keys_values(y)
            past[i] = (k, v) if past[i] is None else (torch.cat([past[i][0], k], 2), torch.cat([past[i][1], v], 2))
            y = p.norm1(y + p.self_attn.look(y, *past[i]))
            y = p.norm2(y + p.multihead_attn.look(y, *crossed[i], src_pad[:, None]))
            y = p.norm3(y + p.linear2(F.relu(p.linear1(y))))
        best = (decoder.norm(y) @ table.T).argmax(-1)
        ids = torch.cat([ids, best], 1)
        if (ids == EOS).any(1).all():
            break
    return ids[:, 1:]


# %% [markdown] mistake="cache-no-padding"
# Goes on writing words after `EOS` in a sentence that has ended, instead of `PAD`.
#
# In the example by hand you return [4, `EOS`, `EOS`] for the second sentence, and the end should be `PAD`. The loop stops at the right
# moment, but as long as another sentence goes on, nothing marks the ones that have finished; how can you see that from the ids written so
# far?

# %% right="cache-lists"
def greedy_cache(decoder, table, positions, memory, src_pad, max_len):
    B, blocks = len(memory), list(decoder.layers)
    keys, values = [[] for _ in blocks], [[] for _ in blocks]
    read = [block.multihead_attn.keys_values(memory) for block in blocks]
    token, ended, written = torch.full((B,), BOS), torch.zeros(B, dtype=torch.bool), []
    while len(written) < max_len and not ended.all():
        row = (table[token] * table.shape[1] ** 0.5 + positions[len(written)]).unsqueeze(1)
        for block, ks, vs, (mk, mv) in zip(blocks, keys, values, read, strict=True):
            k, v = block.self_attn.keys_values(row)
            ks.append(k)
            vs.append(v)
            row = block.norm1(row + block.self_attn.look(row, torch.cat(ks, 2), torch.cat(vs, 2)))
            row = block.norm2(row + block.multihead_attn.look(row, mk, mv, src_pad.unsqueeze(1)))
            row = block.norm3(row + block.linear2(F.relu(block.linear1(row))))
        token = torch.where(ended, PAD, F.linear(decoder.norm(row[:, 0]), table).argmax(1))
        ended = ended | (token == EOS)
        written.append(token)
    return torch.stack(written, 1)


# %% [markdown] explanation="cache"
# The new row needs no causal mask: the cache holds only rows that are not in its future.
# The treacherous line is the position.
# The new row is alone in its tensor, so code that adds `positions[:1]` runs, and every token believes that it stands at place 0; for the first token that is even right.
# The cache costs memory, two rows of C numbers per token and block, and saves the recomputation of the prefix: the next exercise counts it.
# Beam search needs the cache too; when it drops a sentence and doubles another, the rows of the cache must be reordered with them.

# %% [markdown]
# You have now written every part of a translator.
# Once Exercises 2, 6 and 8 pass, put this into a new cell: the trained numbers move into your parts, and your own functions translate five held-out dates.
#
# ```python
# trained, source = models[0], test_src[:5]
# mine = TransformerParts(64, 4, 128, 1, 1)
# copy_weights(mine, trained.body)
# with torch.no_grad():
#     read = encoder_block(trained.rows(trained.src_table, source), mine.encoder.layers[0], source == PAD)
# written = greedy_cache(mine.decoder, trained.tgt_table, trained.waves, mine.encoder.norm(read), source == PAD, 20)
# for (en, zh), ids in zip(by_split["test"], written):
#     print(en, "|", to_text(F.pad(ids, (1, 0)), zh_vocab), "|", zh)  # the padding stands for <bos>
# ```

# %% [markdown]
# ## All tokens at once?
#
# A model that writes one token after another, each given those before it, is **autoregressive** (自回归, AT).
# A **non-autoregressive** (非自回归, NAT) decoder gets a row of `<bos>` tokens, one for each place, and writes all places in one pass.
# It has to know the length beforehand: a small classifier on the memory predicts it, or the model writes the largest length and everything after the first `<eos>` is thrown away.
# A second price is that the places do not know of each other.
# Suppose two translations are equally good and each place picks a character that is good at its place.

# %%
good = ["6月5日", "六月五日"]
first, second = "6六", "5五"
mixed = [a + "月" + b + "日" for a in first for b in second]
print({sentence: sentence in good for sentence in mixed})

# %% [markdown]
# Two of the four combinations are mixtures that nobody would write.
# An autoregressive decoder cannot do this: once it has written 六, it knows.
# This is why non-autoregressive translations repeat and mix words, and why they are usually less good; chapter 26 builds one.

# %% [markdown]
# ### Exercise 9: what does a sentence cost? (5 points)
#
# Write `decoding_cost(n, kind)` for a sentence of `n >= 1` tokens, its `<eos>` included, and return `(passes, rows)`:
# how many times the decoder is run, one run after the other, and for how many rows altogether one decoder block computes self-attention keys (the encoder is not counted).
#
# - `"full"`: greedy decoding without a cache; step $t = 1, 2, \dots, n$ runs the decoder over $t$ rows,
# - `"cached"`: greedy decoding with a key-value cache,
# - `"parallel"`: a non-autoregressive decoder whose length `n` is known.
#
# Raise a `ValueError` for any other kind, with that kind in its message. Both results are of type `int`.
# By hand, for $n = 3$: full is `(3, 6)`, because $1 + 2 + 3 = 6$.
#
# <details><summary>Hint 1</summary>Predict the six numbers for n = 4 with a pencil before you write code.</details>
# <details><summary>Hint 2</summary>What is the sum 1 + 2 + … + n, and how is it kept an integer?</details>

# %% exercise="cost"
def decoding_cost(n: int, kind: str) -> tuple[int, int]:
    """Return (passes, rows) of decoding `n` tokens; kind is "full", "cached" or "parallel", else ValueError."""
    # BEGIN SOLUTION
    costs = {"full": (n, n * (n + 1) // 2), "cached": (n, n), "parallel": (1, n)}
    if kind not in costs:
        raise ValueError(f"unknown kind {kind!r}")
    return costs[kind]
    # END SOLUTION


# %% check="cost-by-hand" points=1
cost = decoding_cost(3, "full")
assert type(cost) is tuple, f"decoding_cost must return a tuple (passes, rows), got {type(cost).__name__}. NoneType: is return missing?"
assert cost == (3, 6), f"3 tokens without a cache: 3 passes over 1, 2 and 3 rows, (3, 6); got {cost}"
assert [type(c) for c in cost] == [int, int], f"both numbers must be of type int, got {[type(c).__name__ for c in cost]}: // keeps integers"
print("passed: the example worked by hand")

# %% check="cost-error" points=1
def error_of(kind):
    try:
        decoding_cost(3, kind)
    except NotImplementedError:  # not written yet
        raise
    except Exception as error:
        return type(error).__name__, str(error)
    return "no error", ""


error, text = error_of("quick")
assert error == "ValueError", f"decoding_cost(3, 'quick') should raise a ValueError, got {error}"
assert "quick" in text, f"the message of the error should name the kind 'quick', got {text!r}"
print("passed: an unknown kind is refused")

# %% hidden="cost-kinds" points=3
found = [decoding_cost(n, kind) for n in (1, 2, 13, 1000) for kind in ("full", "cached", "parallel")]
wanted = [pair for n in (1, 2, 13, 1000) for pair in ((n, sum(range(n + 1))), (n, n), (1, n))]
assert found == wanted, f"for n = 1, 2, 13, 1000 and full, cached, parallel: expected {wanted}, got {found}"
assert all(type(c) is int for pair in found for c in pair), f"all counts must be of type int, got {found}"

# %% wrong="cost-cache-saves-passes" fails="cost-kinds"
def decoding_cost(n, kind):
    if kind == "full":
        return n, n * (n + 1) // 2
    if kind in ("cached", "parallel"):
        return 1, n
    raise ValueError(kind)


# %% [markdown] mistake="cost-cache-saves-passes"
# Says that a cached decoder runs once, although it still writes one token after another.
#
# You give the same pair for "cached" and "parallel". What does a cache save: rows or runs? Go through n = 3 with Exercise 8 in mind: which
# token goes into the second run of the decoder, and when is it known?

# %% wrong="cost-square" fails="cost-by-hand cost-kinds"
def decoding_cost(n, kind):
    costs = {"full": (n, n * n), "cached": (n, n), "parallel": (1, n)}
    if kind in costs:
        return costs[kind]
    raise ValueError(kind)


# %% [markdown] mistake="cost-square"
# Counts n rows in every step of "full" instead of as many as are written so far.
#
# For n = 3 you return (3, 9), and the example has (3, 6). In the first step there is `BOS` alone, so the decoder cannot run over three rows
# yet; write the number of rows of each step for n = 4 in a line and add them up.

# %% wrong="cost-key-error" fails="cost-error"
def decoding_cost(n, kind):
    return {"full": (n, (n * n + n) // 2), "cached": (n, n), "parallel": (1, n)}[kind]


# %% [markdown] mistake="cost-key-error"
# Raises a `KeyError` for an unknown kind, where a `ValueError` is asked for.
#
# The numbers are right, but looking up an unknown key in a dictionary fails in its own way, and code that catches a `ValueError` misses it.
# The statement names the kind of error and what its message must contain; what has to be asked before the look-up?

# %% right="cost-sum"
def decoding_cost(n, kind):
    match kind:
        case "full":
            return n, sum(t for t in range(1, n + 1))
        case "cached":
            return n, n
        case "parallel":
            return 1, n
    raise ValueError("kind must be full, cached or parallel, not " + kind)


# %% [markdown] explanation="cost"
# The cache turns a cost that grows with the square of the length into one that grows with the length; it does not reduce the number of passes, since each token still waits for the one before.
# Only the non-autoregressive decoder reduces the passes, and it pays in quality, because its places do not know of each other.
# Counted in rows, cached and parallel decoding cost the same: what the parallel decoder saves is waiting.

# %% [markdown]
# ## What goes wrong in practice
#
# - **`True` has two meanings.** It blocks in `nn.Transformer` and `nn.MultiheadAttention`; it allows in `F.scaled_dot_product_attention`. The next cell shows a wrongly used mask that raises no error.
# - **A fully blocked row.** A mean over nothing is `nan`, in our class and in `nn.MultiheadAttention` when it returns weights; without weights PyTorch 2.14 attends to nothing there, and only the bias of `out_proj` comes out. Do not feed empty sentences.
# - **`batch_first`.** The default of `nn.Transformer` is `False`: `(T, B, C)`. Without masks no shape complains where source and target are equally long; with masks, none where the batch is as long as the sentence.
# - **Forgotten `eval()`.** `dropout` is 0.1 by default, and comparisons to ten digits fail in training mode.
# - **Reading a low loss as success.** The leaky model above; measure the translations.

# %%
query = torch.eye(3)[None]  # the values are the identity too, so each output row is its row of weights
blocked = nn.Transformer.generate_square_subsequent_mask(3) < 0
print("True blocks:", nn.functional.softmax((query @ query.mT).masked_fill(blocked, -torch.inf), -1)[0, 1])
print("True allows:", F.scaled_dot_product_attention(query, query, query, attn_mask=blocked, scale=1.0)[0, 1])

# %% [markdown]
# The same mask, two opposite results: place 1 sees places 0 and 1 in the first line, and only the future place 2 in the second.
#
# ## Summary
#
# - An encoder block is self-attention, add, norm, feed-forward, add, norm; a decoder block has cross-attention into the memory in between.
# - The feed-forward network works on each position alone: two 1×1 convolutions with a ReLU between.
# - Masks hide padding and the future; `True` means blocked in `nn.Transformer`.
# - Tokens enter as table row times $\sqrt C$ plus position and leave through the same table.
# - Two models are the same when copied weights give the same result to ten digits.
# - A translator of 90,000 parameters learns from pairs alone where to look, and its cross-attention shows it.
# - A key-value cache saves the recomputation of the prefix; a non-autoregressive decoder saves the waiting and pays in quality.
#
# ## Terms
#
# | English | 中文 | in one line |
# |---|---|---|
# | Transformer | 变换器 | a stack of blocks of attention and feed-forward networks |
# | token | 词元 | a piece of a sentence: a word, a digit, a sign, a character |
# | attention | 注意力 | a weighted mean of values, with weights from queries and keys |
# | query, key, value | 查询、键、值 | three learned maps of the rows |
# | multi-head attention | 多头注意力 | several attentions on parts of the numbers, side by side; each is a head |
# | mask | 掩码 | says which pairs are blocked |
# | self-attention, cross-attention | 自注意力、交叉注意力 | a sentence looks at itself, or at another |
# | residual path | 残差连接 | carries the input around a step, to be added to its update |
# | layer normalisation | 层归一化 | brings the numbers of one row to mean 0 and variance 1, then scales and shifts |
# | post-LN, pre-LN | 后置、前置归一化 | norm after the addition, or before the step |
# | position-wise feed-forward network | 逐位置前馈网络 | two linear layers with a ReLU, on each row alone |
# | encoder, decoder, memory | 编码器、解码器、记忆 | reads the source; writes the target; what the encoder hands over |
# | padding | 填充 | a token that fills short sentences up |
# | causal mask | 因果掩码 | hides the future from each place |
# | teacher forcing | 教师强制 | the true previous tokens as the decoder's input in training |
# | embedding | 词嵌入 | a table with one learned row per token |
# | output head | 输出头 | the linear map from a row to the logits; no head of attention |
# | logit | 对数几率 | a token's score before the softmax |
# | weight tying | 权重绑定 | one table for input and output |
# | label smoothing | 标签平滑 | keeps a little of the target for the other tokens |
# | warm-up | 预热 | small learning rates at the start |
# | greedy decoding | 贪心解码 | always takes the likeliest next token |
# | stop token | 终止符 | the token with which the model ends its sentence |
# | key-value cache | 键值缓存 | keys and values of earlier rows, kept for later ones |
# | autoregressive, non-autoregressive | 自回归、非自回归 | one token after another, or all at once |
#
# ## Reading
#
# - Vaswani and others, *Attention Is All You Need*, 2017: the paper; section 3 is this chapter.
# - Xiong and others, *On Layer Normalization in the Transformer Architecture*, 2020: post-LN, pre-LN and warm-up.
# - Press and Wolf, *Using the Output Embedding to Improve Language Models*, 2017: weight tying.
# - Szegedy and others, *Rethinking the Inception Architecture for Computer Vision*, 2016: label smoothing.
# - Gu and others, *Non-Autoregressive Neural Machine Translation*, 2018.
# - Zhang, Lipton, Li and Smola, *Dive into Deep Learning*, chapter "Attention Mechanisms and Transformers".
# - PyTorch documentation: `torch.nn.Transformer`, `torch.nn.MultiheadAttention`, `torch.nn.functional.scaled_dot_product_attention`.
