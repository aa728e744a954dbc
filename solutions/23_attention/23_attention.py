# %% [markdown] needs="21" sittings="2"
# # Attention
#
# "Thu 31 Oct 1957" is 1957年10月31日星期四 in Chinese.
# Whoever writes the last sign, 四 (four, for the fourth day of the week), looks at *Thu*, the very first word.
# An encoder–decoder squeezes the whole English sentence into one vector before the first sign is written:
# one recurrent network reads it, and a second writes from the last state of the first alone.
# Can a network look back instead, at the right word each time, and can we see where it looks?
#
# The figure below shows by hand what we want. At the end of the chapter a network draws it for itself.
#
# After this chapter you can
#
# - read attention as a weighted mean, and compute its weights from queries and keys in three ways,
# - hide padding, the future, or all that is far away, without a single `nan`,
# - build multi-head attention that agrees with PyTorch's to ten decimal places, from one sequence to itself or to another,
# - test with a probe whether a layer is blind to order, or sees the future, and give it positions,
# - show that a convolution is a special attention, and say what each of the two and a recurrent network cost.
#
# The chapter takes two sittings; a resting place is marked in the middle.
# "Common notes" are lecture notes found on the web; where their sentences are wrong, we say so.

# %% [markdown]
# ## Setup
#
# All imports stand in one cell. You need not read the drawing code of the figures.

# %% setup="imports"
import csv
import math
import os
import re
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

DATA = Path(os.environ.get("COURSE_DATA", "../../data"))
plt.rcParams["figure.constrained_layout.use"] = True

# %%
english = ["Thu", "31", "Oct", "1957"]
chinese = ["1957", "nian (year)", "10", "yue (month)", "31", "ri (day)", "xingqi (weekday)", "si (four)"]
links = {0: 3, 2: 2, 4: 1, 7: 0}  # Chinese place -> English place
fig, ax = plt.subplots(figsize=(8, 2.6))
for j, word in enumerate(english):
    ax.text(1.2 + 2 * j, 1, word, ha="center", va="bottom", fontsize=12)
for i, word in enumerate(chinese):
    ax.text(1.1 * i, 0, word.replace(" (", "\n("), ha="center", va="top", fontsize=10)
for i, j in links.items():
    ax.plot([1.1 * i, 1.2 + 2 * j], [0.05, 0.97], color="tab:red")
ax.set(xlim=(-0.7, 8.4), ylim=(-0.45, 1.25), title="Which word does each part need? (Chinese in Latin letters)")
ax.axis("off")
plt.show()

# %% [markdown]
# Four lines, and they cross: the two languages have opposite orders.
# The parts without a line follow from the grammar and have no word of their own.
#
# ## What goes in, what comes out
#
# The input of this chapter is a **set of vectors** (向量集): $T$ vectors of $C$ numbers, a tensor $(T, C)$; with a batch of $B$ of them $(B, T, C)$.
# $T$ may differ from sample to sample. Words of a sentence (rows of an embedding, chapter 20), rows of a picture,
# pieces of 25 milliseconds of sound, one every 10, and the atoms of a molecule are such sets.
# Three kinds of task are asked of them:
#
# | outputs | example |
# |---|---|
# | one for each vector: **sequence labelling** (序列标注) | the part of speech of each word; the sound of each piece |
# | one for the whole set | which digit is this picture |
# | the model decides how many | translation: dates, at the end of the chapter |
#
# A linear layer on each vector alone cannot label "saw" in "I saw a saw": the same word, two answers.
# A **window** (窗口) of neighbours helps, until the answer lies outside of it; a window as wide as the longest sequence needs a huge layer.
# What is needed: each vector may look at *all* others, and the content decides at which.
#
# ## Attention is a weighted mean
#
# The idea is older than neural networks. The file `co2.csv` has the carbon dioxide in the air at Mauna Loa, week by week.
# We take every third week of 1990 to 1992 as known, and ask at 200 times in these years.

# %%
with open(DATA / "co2.csv", encoding="utf-8") as file:
    rows = [row for row in csv.DictReader(file) if row["co2"] and "1990" <= row["date"][:4] <= "1992"][::3]
known_at = torch.tensor([(int(r["date"][:4]) - 1990) * 12 + int(r["date"][4:6]) - 1 + int(r["date"][6:]) / 31 for r in rows])  # months
known = torch.tensor([float(r["co2"]) for r in rows])  # parts per million
asked_at = torch.linspace(0, 36, 200)
print("known:", len(known), "values, asked:", len(asked_at))

# %% [markdown]
# Name three things.
# The **query** (查询) $q$ is the place we ask about, the **keys** (键) $k_1 \dots k_N$ are the places where something is known, and the **values** (值)
# $v_1 \dots v_N$ are what is known there.
# The answer is a mean of the values, in which near keys count more.
# This is **attention pooling** (注意力汇聚), found by Nadaraya and by Watson in 1964:
#
# $$\hat v(q) = \sum_i \alpha_i v_i, \qquad \alpha_i = \frac{\exp(-(q-k_i)^2 / 2w^2)}{\sum_j \exp(-(q-k_j)^2 / 2w^2)} .$$
#
# The weights $\alpha_i$, the **attention weights** (注意力权重), are positive and sum to 1. The bell $\exp(-z^2/2w^2)$ is the **kernel** (核) of width $w$.
# First with loops, for one query; then for all at once, where the weights are a matrix with a row for each query.
# (`F.normalize(…, p=1, dim=1)` divides each row by its sum; `clamp(min=…)` lifts smaller numbers to the bound, so no sum is 0 here.)

# %%
bells = [math.exp(-((18.0 - k) ** 2) / (2 * 0.8**2)) for k in known_at.tolist()]  # month 18, width 0.8
by_loop = sum(bell / sum(bells) * v for bell, v in zip(bells, known.tolist(), strict=True))
pools = {}
for width in (0.2, 0.8, 6.0):
    gaps = torch.cdist(asked_at[:, None], known_at[:, None], p=1) / width  # (200, N): distances in widths
    pools[width] = F.normalize((-gaps.square() / 2).exp().clamp(min=1e-30), p=1, dim=1)  # every row sums to 1
print(f"by loop, month 18: {by_loop:.1f} ppm; by matrix: {(pools[0.8] @ known)[99:101].mean():.1f} ppm")

# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 3.4))
axes[0].plot(known_at, known, "k.", ms=5, label="known")
for width, colour in zip(pools, ("tab:orange", "tab:blue", "tab:green"), strict=True):
    axes[0].plot(asked_at, pools[width] @ known, color=colour, label=f"width {width}")
axes[0].set(xlabel="months since January 1990", ylabel="CO2 (ppm)", title="Attention pooling as regression", ylim=(348, 364))
axes[0].legend(loc="upper left", ncols=4, fontsize=8, columnspacing=0.9)
image = axes[1].imshow(pools[0.8], aspect="auto", cmap="Blues", extent=(0, len(known), 36, 0), interpolation="nearest")
axes[1].set(xlabel="key: which known value", ylabel="query (months)", title="the weights, width 0.8")
fig.colorbar(image, ax=axes[1], label="weight")
plt.show()

# %% [markdown]
# On the left: width 0.2 jumps from value to value, width 6 flattens the seasons, width 0.8 follows them.
# On the right, each row is one query; it looks at the few keys around its own time, so the band runs along the diagonal,
# and is darkest at the ends, where keys lie on one side only.
# Nothing was trained. In a network the keys and queries are learned, and with them what "near" means.

# %% [markdown]
# ### Exercise 1: attention pooling (5 points)
#
# Write `attention_pool(query, keys, values, width)`: `query` is `(M,)`, `keys` and `values` are `(N,)`, N ≥ 1, all float32 or all float64; `width` > 0 is a number.
# Return $\hat v$ of each query by the formula above, a tensor `(M,)` of the same dtype.
#
# However far a query lies from all keys, its weights sum to 1. For distances up to $10^6$ and widths from 0.01 never return `nan`:
# far away, the nearest key wins (keys whose distances are equal share). Do not loop over queries or keys. The inputs must not change.
#
# By hand: query 0, keys 0 and 2, values 10 and 40, width 3. The kernel is $1$ and $e^{-4/18} = 0.801$, the weights 0.555 and 0.445,
# and the result 23.34.
#
# <details><summary>Hint 1</summary>Which of the functions that you know turns numbers into positive ones that sum to 1, safely?</details>
# <details><summary>Hint 2</summary><code>query[:, None] - keys</code> has the shape (M, N). Over which axis must the weights sum to 1?</details>


# %% exercise="pool"
def attention_pool(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, width: float) -> torch.Tensor:
    """Return the Nadaraya-Watson mean of `values` (N,) at `keys` (N,) for each query (M,): (M,), never nan."""
    # BEGIN SOLUTION
    scores = -((query[:, None] - keys) ** 2) / (2 * width**2)  # (M, N)
    return scores.softmax(1) @ values
    # END SOLUTION


# %% check="pool-by-hand" points=1
got = attention_pool(torch.tensor([0.0]), torch.tensor([0.0, 2.0]), torch.tensor([10.0, 40.0]), 3.0)
assert type(got) is torch.Tensor, (
    f"attention_pool must return a tensor, got {type(got).__name__}" + ": is `return` missing?" * (got is None)
)
assert got.shape == (1,), f"one query, two keys: the result must have shape (1,), got {tuple(got.shape)}"
share = 1 / (1 + math.exp(-4 / 18))
assert_close(
    got,
    torch.tensor([10 * share + 40 * (1 - share)]),
    msg=lambda m: (
        f"query 0, keys 0 and 2, values 10 and 40, width 3: 23.34, got {got.tolist()}. 42.03: the kernel is not normalised. "
        f"50: normalised over the queries. 21.72: the 2 of 2w² is lost. 20.18: width not squared. 26.66: the minus sign is lost. "
        f"24.17: the distance is not squared\n{m}"
    ),
)
print("passed: the mean worked by hand")


# %% check="pool-far" points=1
def far_away(queries):
    try:
        keys, values = torch.tensor([0.0, 2.0, 3.0]).double(), torch.tensor([10.0, 40.0, 70.0]).double()
        return [attention_pool(queries, keys, values, 0.01), queries, keys, values]
    except NotImplementedError:
        raise
    except (RuntimeError, IndexError) as e:
        return f"{type(e).__name__}: {e}"


got = far_away(torch.tensor([1e6, -1e6, 1.0]).double())
assert type(got) is list, f"three queries, three keys in float64: expected a tensor (3,), got {got}"
got, *left = got
assert type(got) is torch.Tensor, (
    f"three queries, three keys: expected a tensor (3,), got {type(got).__name__}" + ": is `return` missing?" * (got is None)
)
assert got.shape == (3,), f"three queries, three keys: expected shape (3,), got {tuple(got.shape)}: one number for each query"
assert [part.tolist() for part in left] == [[1e6, -1e6, 1.0], [0.0, 2.0, 3.0], [10.0, 40.0, 70.0]], (
    f"query, keys or values were changed in place, now {left}"
)
assert_close(
    got,
    torch.tensor([70.0, 10.0, 25.0]).double(),
    msg=lambda m: (
        f"queries 1e6, −1e6 and 1, keys 0, 2, 3, values 10, 40, 70, width 0.01: [70, 10, 25] in float64, got {got.tolist()} in {got.dtype}. "
        f"nan: every exp became 0, and 0/0 is nan; softmax subtracts the largest score first. 0: every weight "
        f"became 0; a small number in the denominator does not repair that. 40: bells or scores were lifted to one least value, "
        f"so far away every key counts the same. 10 or 70 last: the keys 0 and 2 are equally near to 1 and share\n{m}"
    ),
)
print("passed: three queries far from every key, no nan")


# %% hidden="pool-many" points=2
_ = torch.manual_seed(7)
queries, places, known_values = (3 * torch.randn(n, dtype=torch.float64) for n in (5, 7, 7))
got = [attention_pool(queries.clone(), places.clone(), known_values.clone(), w) for w in (0.7, 2.0)]
for result, w in zip(got, (0.7, 2.0), strict=True):
    bells = [[math.exp(-((q - k) ** 2) / (2 * w * w)) for k in places.tolist()] for q in queries.tolist()]
    wanted = [sum(b * v for b, v in zip(line, known_values.tolist(), strict=True)) / sum(line) for line in bells]
    assert_close(result, torch.tensor(wanted, dtype=torch.float64), msg=lambda m, w=w: f"5 queries, 7 keys, width {w}\n{m}")


# %% hidden="pool-keeps" points=1
def inputs_after(parts):
    attention_pool(*parts, 0.5)
    return parts


parts = (torch.tensor([1.0, 4.0]), torch.tensor([0.0, 2.0, 3.0]), torch.tensor([1.0, 5.0, 2.0]))
got = inputs_after([p.clone() for p in parts])
one = attention_pool(torch.tensor([1e4, 5.0]), torch.tensor([3.0]), torch.tensor([7.0]), 0.1)
pair = attention_pool(torch.tensor([0.0]), torch.tensor([-1e6, 1e6]), torch.tensor([10.0, 40.0]), 0.01)
assert_close(got, list(parts), msg=lambda m: f"query, keys or values were changed in place\n{m}")
assert_close(one, torch.tensor([7.0, 7.0]), msg=lambda m: f"a single key has the weight 1 for every query\n{m}")
assert_close(pair, torch.tensor([25.0]), msg=lambda m: f"two keys at the distance 1e6, values 10 and 40, width 0.01: they share, 25\n{m}")


# %% wrong="pool-unnormalised" fails="pool-by-hand pool-many"
def attention_pool(query, keys, values, width):
    return (-((query[:, None] - keys) ** 2) / (2 * width**2)).exp() @ values


# %% [markdown] mistake="pool-unnormalised"
# Sums the values times the kernel without dividing by the sum of the kernels.
#
# Put both values to 5, keys 0 and 2, query 1, width 1: a mean of 5 and 5 is 5, but you return 6.07. Add up your weights for this query:
# what does the statement say that all the weights of one query give together?

# %% wrong="pool-over-queries" fails="pool-by-hand pool-many"
def attention_pool(query, keys, values, width):
    return (-((query[:, None] - keys) ** 2) / (2 * width**2)).softmax(0) @ values


# %% [markdown] mistake="pool-over-queries"
# Normalises the weights over the queries, so each key's weights sum to 1 instead of each query's.
#
# With a single query every key gets the weight 1, and you return the plain sum: values 10 and 40 become 50, which is no mean of them. Print
# the table of weights and its sums along both axes: which of the two axes belongs to one question?

# %% wrong="pool-nan" fails="pool-far"
def attention_pool(query, keys, values, width):
    bell = torch.exp(-((query[:, None] - keys) ** 2) / (2 * width**2))
    return bell @ values / bell.sum(1)


# %% [markdown] mistake="pool-nan"
# Divides kernel sums that become 0 far from all keys, so the result there is `nan`.
#
# With keys 0 and 2, width 1 and the query 30, both bells are `exp` of less than -390, which float32 rounds to 0, and 0/0 is `nan`. The
# formula is right, the order of the computation is not safe: only the ratios of the bells matter, so ask what may be done to all exponents
# of a row before `exp`.

# %% wrong="pool-clamped" fails="pool-far"
def attention_pool(query, keys, values, width):
    bell = torch.exp(-((query[:, None] - keys) ** 2) / (2 * width**2)).clamp(min=1e-30)
    return bell @ values / bell.sum(1)


# %% [markdown] mistake="pool-clamped"
# Lifts tiny kernels to a least value, so far from all keys every key counts the same.
#
# With keys 0 and 2, values 10 and 40, width 1 and the query 30 you return 25, the plain mean, but the nearest key wins and the answer is
# 40. Both bells lie below your bound and become equal; the fact which one was larger must survive until the division.

# %% wrong="pool-width" fails="pool-by-hand pool-many"
def attention_pool(query, keys, values, width):
    return (-((query[:, None] - keys) ** 2) / (2 * width)).softmax(1) @ values


# %% [markdown] mistake="pool-width"
# Divides the squared distance by 2 `width` instead of 2 `width`².
#
# At width 1 nobody can tell, but the example worked by hand, width 3, gives 20.18 in your answer and not 23.34. Compute the kernel of that
# example on paper, distance 2 and width 3, and compare the exponent with yours.

# %% right="pool-shifted"
def attention_pool(query, keys, values, width):
    z = (query.unsqueeze(1) - keys.unsqueeze(0)) / width
    half = z.square() / 2
    bell = torch.exp(half.min(dim=1, keepdim=True).values - half)
    return (bell * values).sum(dim=1) / bell.sum(dim=1)


# %% [markdown] explanation="pool"
# The normalised kernel *is* a softmax of the scores $-(q-k)^2/2w^2$: that is the bridge from statistics to attention.
# Multiply the square out: $-q^2 + 2qk - k^2$. The first term is the same for all keys and drops out of the softmax, so what decides is the product
# $qk$ and a term that belongs to the key alone. The next section keeps only the product.
# Without the normalisation the curve sinks to 0 between keys; over the wrong axis it is too high where queries are rare.

# %% [markdown]
# ## Three ways to score
#
# Queries and keys are vectors from now on. A **score** (得分) is one number for a query and a key: how well they fit.
# The softmax turns the scores of one query into its weights. Three scores are in use:
#
# | name | score of $q$ and $k$ | sizes |
# |---|---|---|
# | **dot product** (点积) | $q \cdot k$ | both $d$ |
# | **scaled dot product** (缩放点积) | $q \cdot k / \sqrt d$ | both $d$ |
# | **additive** (加性) | $u \cdot \tanh(W_q q + W_k k)$ | any: $W_q$ is $(h, d_q)$, $W_k$ is $(h, d_k)$, $u$ is $(h,)$ |
#
# The additive score came first in translation (Bahdanau, Cho and Bengio 2015). It needs a small network for every pair;
# the products of all pairs are a single matrix product, $QK^\top$, which is why they won.
#
# Why $\sqrt d$? A common note says "divide by $d$". Take $d$ independent numbers of mean 0 and variance 1 for $q$, and as many for $k$.
# Each product $q_i k_i$ has variance 1, and variances of independent terms add: $q \cdot k$ has variance $d$, standard deviation $\sqrt d$.
# We measure it, and what it does to the softmax over eight keys.

# %%
_ = torch.manual_seed(0)
dots = {d: (torch.randn(3000, 1, d) @ torch.randn(3000, d, 8))[:, 0] for d in (4, 64, 1024)}  # (3000 queries, 8 keys)
for d, scores in dots.items():
    print(f"d = {d:4}: variance / d {scores.var() / d:.2f}, after / sqrt(d) {(scores / math.sqrt(d)).var():.2f}")
    assert abs(scores.var() / d - 1) < 0.05

# %%
fig, axes = plt.subplots(1, 3, figsize=(10, 3), sharey=True)
for ax, (name, power) in zip(axes, {"not divided": 0, r"divided by $\sqrt{d}$": 0.5, "divided by d": 1}.items(), strict=True):
    for place, (d, scores) in enumerate(dots.items()):
        sorted_weights = (scores / d**power).softmax(1).sort(1, descending=True)[0].mean(0)
        ax.bar(torch.arange(8) + 0.27 * (place - 1), sorted_weights, width=0.25, label=f"d = {d}")
    ax.set(xlabel="key, from most to least weight", title=name)
axes[0].set(ylabel="weight, mean of 3000 queries")
axes[2].legend()
plt.show()

# %% [markdown]
# Undivided, the sharpness depends on $d$: at 1024 nearly all the weight is on one key. The softmax is **saturated** (饱和):
# its slope $\alpha(1-\alpha)$ is almost 0 there, so nothing can be learned from a wrong choice.
# Divided by $d$, the bars of 1024 are level: every query sees a plain mean. Divided by $\sqrt d$, the three sizes agree.
# This holds at the start of a training, with numbers of that kind; later the network itself decides how sharply to look.

# %% [markdown]
# ### Exercise 2: three scores (6 points)
#
# Write three functions. In all of them the result is `(..., T, S)`, a row for each query and a column for each key,
# in the dtype of the inputs; `...` are any leading axes, equal in queries and keys (a batch, or none).
#
# - `dot_scores(q, k)`: `q` is `(..., T, d)`, `k` is `(..., S, d)`;
# - `scaled_scores(q, k)`: the same, divided by $\sqrt d$;
# - `additive_scores(q, k, W_q, W_k, u)`: `q` is `(..., T, d_q)`, `k` is `(..., S, d_k)`, `W_q` `(h, d_q)`, `W_k` `(h, d_k)`, `u` `(h,)`.
#
# By hand: $q = (1, 2, 3, 0)$ and $k = (2, 1, 1, 9)$ have the dot score 7 and, with $d = 4$, the scaled score 3.5.
# With $d_q = d_k = h = 1$, $W_q = W_k = 1$ and $u = 2$, $q = 1$ and $k = -0.5$ have the additive score $2 \tanh 0.5 = 0.924$.
# No softmax here. No loops over queries or keys. The inputs must not change.
#
# <details><summary>Hint 1</summary>Which axes of <code>k</code> must change places so that <code>q @ …</code> has the shape (..., T, S)?
# <code>.T</code> turns all axes around; a batch should stay first.</details>
# <details><summary>Hint 2</summary>For the sum of every query with every key: bring them to (..., T, 1, h) and (..., 1, S, h).</details>


# %% exercise="scores"
def dot_scores(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    """q (..., T, d), k (..., S, d): all dot products, (..., T, S)."""
    # BEGIN SOLUTION
    return q @ k.mT
    # END SOLUTION


def scaled_scores(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    """q (..., T, d), k (..., S, d): all dot products over the root of d, (..., T, S)."""
    # BEGIN SOLUTION
    return q @ k.mT / math.sqrt(q.shape[-1])
    # END SOLUTION


def additive_scores(q: torch.Tensor, k: torch.Tensor, W_q: torch.Tensor, W_k: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    """q (..., T, d_q), k (..., S, d_k), W_q (h, d_q), W_k (h, d_k), u (h,): u · tanh(W_q q + W_k k) of all pairs, (..., T, S)."""
    # BEGIN SOLUTION
    return ((q @ W_q.T)[..., :, None, :] + (k @ W_k.T)[..., None, :, :]).tanh() @ u
    # END SOLUTION


# %% check="scores-products" points=1
def two_products(q, k):
    try:
        return [dot_scores(q, k), scaled_scores(q, k)]
    except NotImplementedError:
        raise
    except (RuntimeError, IndexError) as e:
        return f"{type(e).__name__}: {e}"


q, k = torch.tensor([[1.0, 2.0, 3.0, 0.0]]), torch.tensor([[2.0, 1.0, 1.0, 9.0], [1.0, 0.0, 0.0, 0.0], [0.0, 2.0, 0.0, 1.0]])
got = two_products(q, k)
assert type(got) is list, f"q (1, 4) and k (3, 4): expected scores, got {got}. About shapes: is k transposed?"
assert [type(g) for g in got] == [torch.Tensor] * 2, (
    f"both must return tensors, got {[type(g).__name__ for g in got]} (NoneType: is `return` missing?)"
)
assert_close(got[0], torch.tensor([[7.0, 1.0, 4.0]]), msg=lambda m: f"dot scores of (1, 2, 3, 0): [[7, 1, 4]], got {got[0].tolist()}\n{m}")
assert_close(
    got[1],
    torch.tensor([[3.5, 0.5, 2.0]]),
    msg=lambda m: (
        f"scaled scores with d = 4: [[3.5, 0.5, 2]], got {got[1].tolist()}. 1.75 first: divided by d. 7: not divided. "
        f"4.04: divided by the root of the number of keys. Numbers that sum to 1: the softmax comes later\n{m}"
    ),
)
print("passed: dot and scaled scores by hand")


# %% check="scores-additive" points=1
def sums(q, k, W_q, W_k, u):
    try:
        return additive_scores(q, k, W_q, W_k, u)
    except NotImplementedError:
        raise
    except (RuntimeError, IndexError) as e:
        return f"{type(e).__name__}: {e}"


got = sums(torch.ones(1, 1), torch.tensor([[-0.5], [2.0]]), torch.ones(1, 1), torch.ones(1, 1), torch.full((1,), 2.0))
assert type(got) is torch.Tensor, f"one query, two keys: expected a tensor (1, 2), got {got}" + ": is `return` missing?" * (got is None)
assert got.shape == (1, 2), (
    f"one query, two keys: expected (1, 2), got {tuple(got.shape)}. (2, 1): queries are the rows. (1, 2, 1): sum over h"
)
assert_close(
    got,
    torch.tensor([[2 * math.tanh(0.5), 2 * math.tanh(3.0)]]),
    msg=lambda m: (
        f"q = 1, k = −0.5 and 2, W_q = W_k = 1, u = 2: [[0.924, 1.990]], got {got.tolist()}. 0.462 and 0.995: u is not used. "
        f"1 and 6: no tanh. −0.924 and 1.928: a product inside. 0.599 and 3.451: two tanh, one of each. 0.762 and 1.000: u inside the tanh\n{m}"
    ),
)
many = [torch.full(s, v).double() for s, v in (((2, 4, 3), 1.0), ((2, 5, 2), 1.0), ((6, 3), 0.1), ((6, 2), 0.1))]
got = sums(*many, torch.arange(1.0, 7.0).double())
assert type(got) is torch.Tensor, f"q (2, 4, 3), k (2, 5, 2), h = 6: expected a tensor (2, 4, 5), got {got}"
assert got.shape == (2, 4, 5), f"q (2, 4, 3), k (2, 5, 2), h = 6: the result must be (2, 4, 5), got {tuple(got.shape)}"
assert_close(
    got,
    torch.full((2, 4, 5), 21 * math.tanh(0.5)).double(),
    msg=lambda m: (
        f"q and k all 1, W_q and W_k all 0.1, u = 1 … 6, float64: (1 + … + 6) · tanh(0.3 + 0.2) = 9.704, got {got[0, 0, 0].item():.3f} in {got.dtype}. "
        f"2.773: one entry of u was used for all. 5.603: additive scores are not divided by a root\n{m}"
    ),
)
print("passed: additive scores, with unequal sizes")


# %% check="scores-batch" points=1
def batch_of_two(q, k):
    try:
        return [dot_scores(q, k), scaled_scores(q, k), q, k]
    except NotImplementedError:
        raise
    except (RuntimeError, IndexError) as e:
        return f"{type(e).__name__}: {e}"


q, k = torch.arange(24).reshape(2, 4, 3).double(), torch.arange(30).reshape(2, 5, 3).double()
got = batch_of_two(q.clone(), k.clone())
wanted = torch.tensor(
    [[[sum(a * b for a, b in zip(x, z, strict=True)) for z in kb] for x in qb] for qb, kb in zip(q.tolist(), k.tolist(), strict=True)]
)
assert type(got) is list, (
    f"q (2, 4, 3) and k (2, 5, 3) in float64: expected (2, 4, 5), got {got}. About shapes: the last two axes of k change places, the "
    f"batch stays first"
)
assert [type(g) for g in got[:2]] == [torch.Tensor] * 2, f"both must return tensors, got {[type(g).__name__ for g in got[:2]]}"
assert [tuple(g.shape) for g in got[:2]] == [(2, 4, 5)] * 2, (
    f"q (2, 4, 3) and k (2, 5, 3): both must have shape (2, 4, 5), got {[tuple(g.shape) for g in got[:2]]}"
)
assert_close(got[2:], [q, k], msg=lambda m: f"q or k was changed in place: `q /= …` writes into q, `q / …` does not\n{m}")
assert_close(
    got[0],
    wanted.double(),
    msg=lambda m: (
        f"two samples, four queries, five keys: the dot scores of query 0 are {wanted[0, 0].tolist()}, got {got[0][0, :1].tolist()}\n{m}"
    ),
)
assert_close(
    got[1],
    wanted.double() / 3**0.5,
    msg=lambda m: (
        f"two samples, d = 3: the dot scores over the root of 3, so {[round(v / 3**0.5, 3) for v in wanted[0, 0].tolist()]} for query 0, "
        f"got {got[1][0, :1].tolist()}. Second 7: divided by the root of 4, but that is T; d is the last axis\n{m}"
    ),
)
print("passed: two samples in a batch, in float64")


# %% hidden="scores-random" points=2
def all_three(parts):
    fresh = lambda: [p.mT.contiguous().mT if p.dim() == 4 else p.clone() for p in parts]  # copies; as views, like heads
    q, k, k2, *rest = fresh()
    return [dot_scores(q, k), scaled_scores(*fresh()[:2]), additive_scores(fresh()[0], k2, *rest), dot_scores(fresh()[0][0, 0], k[0, 0])]


_ = torch.manual_seed(7)
sizes = ((2, 3, 4, 5), (2, 3, 6, 5), (2, 3, 6, 2), (7, 5), (7, 2), (7,))
parts = [torch.randn(s, dtype=torch.float64) for s in sizes]
got = all_three([p.clone() for p in parts])
q, k, k2, W_q, W_k, u = parts
products = torch.einsum("abtd,absd->abts", q, k)
inside = torch.einsum("hd,abtd->abth", W_q, q).unsqueeze(3) + torch.einsum("hd,absd->absh", W_k, k2).unsqueeze(2)
wanted = [products, products / 5**0.5, (u * inside.tanh()).sum(-1), products[0, 0]]
for name, g, w in zip(("dot", "scaled", "additive", "dot without a batch"), got, wanted, strict=True):
    assert_close(g, w, msg=lambda m, name=name: f"{name} scores, two leading axes, T=4, S=6, d=5, d_k=2, h=7\n{m}")


# %% hidden="scores-keeps" points=1
def parts_after(q, k, k2, W_q, W_k, u):
    dot_scores(q, k), scaled_scores(q, k), additive_scores(q, k2, W_q, W_k, u)
    return [q, k, k2, W_q, W_k, u]


given = [1.0 + torch.arange(math.prod(s)).reshape(s) for s in ((3, 2), (2, 2), (2, 3), (4, 2), (4, 3), (4,))]
got = parts_after(*(g.clone() for g in given))
assert_close(got, given, msg=lambda m: f"an input was changed in place: q, k, W_q, W_k or u\n{m}")


# %% wrong="scores-by-d" fails="scores-products scores-batch scores-random"
def dot_scores(q, k):
    return q @ k.transpose(-2, -1)


def scaled_scores(q, k):
    return q @ k.transpose(-2, -1) / q.shape[-1]


def additive_scores(q, k, W_q, W_k, u):
    return torch.tanh((q @ W_q.T).unsqueeze(-2) + (k @ W_k.T).unsqueeze(-3)) @ u


# %% [markdown] mistake="scores-by-d"
# Divides the dot products by d instead of the square root of d in `scaled_scores`.
#
# With d = 4 the dot score 7 becomes 1.75 in your answer, and the statement's example has 3.5. The section before the exercise measures how
# large a dot product of d random numbers typically is; look at its third picture for what your choice does at d = 1024.

# %% wrong="scores-capital-t" fails="scores-batch scores-random"
def dot_scores(q, k):
    return q @ k.permute(*range(k.ndim - 1, -1, -1))


def scaled_scores(q, k):
    return dot_scores(q, k) / k.shape[-1] ** 0.5


def additive_scores(q, k, W_q, W_k, u):
    return torch.tanh((q @ W_q.T).unsqueeze(-2) + (k @ W_k.T).unsqueeze(-3)) @ u


# %% [markdown] mistake="scores-capital-t"
# Turns all axes of the keys around, where only the last two should change places.
#
# Without a batch nothing shows. Keys of shape (10, 5, 3) become (3, 5, 10), so the batch axis ends up last, and the product stops with an
# error or, if all sizes happen to agree, mixes the samples. Print the shape of the keys before and after the exchange, once for two axes
# and once for three.

# %% wrong="scores-no-tanh" fails="scores-additive scores-random"
def dot_scores(q, k):
    return q @ k.transpose(-2, -1)


def scaled_scores(q, k):
    return dot_scores(q, k) / k.shape[-1] ** 0.5


def additive_scores(q, k, W_q, W_k, u):
    return ((q @ W_q.T).unsqueeze(-2) + (k @ W_k.T).unsqueeze(-3)) @ u


# %% [markdown] mistake="scores-no-tanh"
# Leaves out the tanh in `additive_scores`.
#
# For q = 1, k = -0.5 and u = 2 you return 1, not 0.924. Without the bend the score falls apart into a part of the query and a part of the
# key, and after a softmax every query has the same weights; compare your function with the row "additive" of the table, symbol by symbol.

# %% wrong="scores-no-u" fails="scores-additive scores-random"
def dot_scores(q, k):
    return q @ k.transpose(-2, -1)


def scaled_scores(q, k):
    return dot_scores(q, k) / k.shape[-1] ** 0.5


def additive_scores(q, k, W_q, W_k, u):
    return torch.tanh((q @ W_q.T).unsqueeze(-2) + (k @ W_k.T).unsqueeze(-3)).sum(dim=-1)


# %% [markdown] mistake="scores-no-u"
# Adds up the tanh values in `additive_scores` without weighting them by `u`.
#
# In the example with u = 2 you return 0.462, half of 0.924. Every hidden number counts the same in your sum, whatever `u` holds; set `u` to
# zeros and ask what the score should be then.

# %% wrong="scores-keys-as-rows" fails="scores-products scores-additive scores-batch scores-random"
def dot_scores(q, k):
    return k @ q.transpose(-2, -1)


def scaled_scores(q, k):
    return dot_scores(q, k) / k.shape[-1] ** 0.5


def additive_scores(q, k, W_q, W_k, u):
    return torch.tanh((q @ W_q.T).unsqueeze(-3) + (k @ W_k.T).unsqueeze(-2)) @ u


# %% [markdown] mistake="scores-keys-as-rows"
# Returns a row for each key and a column for each query, instead of the other way round.
#
# For one query and three keys the result has shape (3, 1), and the statement asks for (..., T, S), here (1, 3). The numbers are right, but
# a softmax over the last axis would then run over queries; write the shapes of both factors of your product beside each other.

# %% wrong="scores-pairs-by-place" fails="scores-additive scores-random"
def dot_scores(q, k):
    return q @ k.transpose(-2, -1)


def scaled_scores(q, k):
    return dot_scores(q, k) / k.shape[-1] ** 0.5


def additive_scores(q, k, W_q, W_k, u):
    return torch.tanh(q @ W_q.T + k @ W_k.T) @ u


# %% [markdown] mistake="scores-pairs-by-place"
# Adds query t to key t only in `additive_scores`, instead of pairing every query with every key.
#
# With three queries and three keys you return 3 numbers where a table of 9 is asked for; with unequal lengths it is an error or a wrong
# shape. Which shapes must the two parts have so that broadcasting builds all T times S pairs? Hint 2 speaks of them.

# %% right="scores-einsum"
def dot_scores(q, k):
    return torch.einsum("...td,...sd->...ts", q, k)


def scaled_scores(q, k):
    return dot_scores(q / k.shape[-1] ** 0.5, k)


def additive_scores(q, k, W_q, W_k, u):
    a, b = torch.einsum("...td,hd->...th", q, W_q), torch.einsum("...sd,hd->...sh", k, W_k)
    return (u * torch.tanh(a.unsqueeze(-2) + b.unsqueeze(-3))).sum(dim=-1)


# %% [markdown] survives="scores"
# - `return ((q @ W_q.T)[:, ..., None, :] + (k @ W_k.T)[..., None, :, :]).tanh() @ u`: with two axes or more the colon may stand on either side of the dots

# %% [markdown] explanation="scores"
# `.mT` exchanges the last two axes only; `.T` would reverse all of them, and works by luck where there is no batch.
# $d$ is the size of one key, the last axis of `q`; in a multi-head layer it is the size of one *head*.
# The additive score holds a tensor (…, T, S, h) in memory, h times as much as the product: the price of the small network.
# It needs no scaling: tanh keeps every term between −1 and 1.

# %% [markdown]
# ## Masks: who may not be looked at
#
# Sentences in a batch are padded (chapter 20), and a pad must get no weight. A writer must not look at signs that are not written yet.
# A **mask** (掩码) says which pairs are blocked. In this chapter, as in `nn.MultiheadAttention` and in chapter 25, `True` means **blocked**.
# (In `F.scaled_dot_product_attention` it means the opposite, *allowed*. No error comes when you mix them up.)
#
# - the **padding mask** (填充掩码): the columns of pads are blocked for every query;
# - the **causal mask** (因果掩码): query $t$ may see keys $0 \dots t$, itself included, and no later one;
# - a **band** or window (局部窗口): query $t$ sees only the keys near $t$. Speech needs it: a second of sound is about 100 vectors,
#   a minute gives a score table of 6000 × 6000, and a sound depends on its neighbours. So each looks at a window only (with a mask, the whole table is still computed).

# %%
n = 9
place = torch.arange(n)
masks = {
    "padding (last 3 are pads)": (place >= 6).expand(n, n),
    "causal": torch.ones(n, n).triu(1).bool(),
    "window: 3 back, 1 ahead": (place - place[:, None] + 1).abs() > 2,  # two on each side of the place before
}
fig, axes = plt.subplots(1, 3, figsize=(9, 3.1))
for ax, (name, blocked) in zip(axes, masks.items(), strict=True):
    ax.imshow(blocked, cmap="Greys", vmin=0, vmax=1.4)
    ax.set(title=name, xlabel="key", ylabel="query", xticks=range(n), yticks=range(n))
plt.show()

# %% [markdown]
# Dark is blocked. Padding blocks columns, the causal mask the triangle above the diagonal, the window all that is far from it.
# Several masks are combined with `|`: blocked by one is blocked.
#
# How does a score become a weight of 0? It is replaced by $-\infty$ before the softmax, for $e^{-\infty} = 0$.
# One case breaks that: a row in which *everything* is blocked.

# %%
row = torch.tensor([1.0, 2.0, 3.0])
for blocked in (torch.tensor([False, False, True]), torch.tensor([True, True, True])):
    print(blocked.tolist(), row.masked_fill(blocked, -torch.inf).softmax(0))

# %% [markdown]
# $0/0$ is `nan`, and one `nan` spoils all gradients of the batch.
# Such rows are real: pads on the *left* under a causal mask (row 0 may see itself alone, and is a pad), or a sample that is all pads.

# %% [markdown]
# ### Exercise 3: the masked softmax (6 points)
#
# Write `masked_softmax(scores, blocked)`: `scores` is a float tensor `(..., T, S)` of finite numbers,
# `blocked` a bool tensor of any shape that broadcasts to it, `True` = blocked.
# Return the weights, in the shape and dtype of `scores`:
#
# - over the last axis, the softmax of the scores that are not blocked; a blocked place has exactly 0;
# - a row in which all is blocked is all 0. The gradient of its scores is 0 too, and nowhere is there a `nan`.
#
# By hand: scores (0, ln 3, 5) with the last one blocked give (0.25, 0.75, 0). The inputs must not change.
# Scores may be of any size that is greater than `torch.finfo(scores.dtype).min`: −1e12 is a score like another, and so is −1e39 in float64.
# The score of a blocked place must have no influence.
# `torch.softmax` is allowed, `F.scaled_dot_product_attention` is not.
#
# <details><summary>Hint 1</summary>What would a softmax do with a row in which all scores are the same finite number?</details>
# <details><summary>Hint 2</summary><code>torch.finfo(scores.dtype).min</code> is the least finite number. After the softmax, what must still be set to 0?</details>


# %% exercise="masked"
def masked_softmax(scores: torch.Tensor, blocked: torch.Tensor) -> torch.Tensor:
    """Softmax of scores (..., T, S) over the last axis without the places where `blocked` is True; a row with no place left is 0."""
    # BEGIN SOLUTION
    least = torch.finfo(scores.dtype).min
    return scores.masked_fill(blocked, least).softmax(-1).masked_fill(blocked, 0.0)
    # END SOLUTION


# %% check="masked-by-hand" points=1
def first_weights(scores, blocked):
    mine = [scores.clone(), blocked.clone()]
    try:
        return [masked_softmax(*mine), *mine]
    except NotImplementedError:
        raise
    except (RuntimeError, IndexError) as e:
        return f"{type(e).__name__}: {e}"


scores, last = torch.tensor([[0.0, math.log(3.0), 5.0], [0.0, math.log(3.0), 0.0]]), torch.tensor([False, False, True])
got = first_weights(scores, last)
assert type(got) is list, (
    f"scores (2, 3), blocked (3,): expected weights (2, 3), got {got}. About a mask or an index: `scores[blocked]` needs a mask of the "
    f"full shape; blocked only broadcasts, as masked_fill and torch.where let it"
)
got, *left = got
assert type(got) is torch.Tensor, (
    f"masked_softmax must return a tensor, got {type(got).__name__}" + ": is `return` missing?" * (got is None)
)
assert_close(
    got,
    torch.tensor([[0.25, 0.75, 0.0], [0.25, 0.75, 0.0]]),
    msg=lambda m: (
        f"scores (0, ln 3, 5) and (0, ln 3, 0), last column blocked: (0.25, 0.75, 0) twice, got {got.tolist()}. "
        f"(0, 0, 1): True was read as allowed. (0.007, 0.020, 0): softmax first, then zeros: the rest no longer sums to 1. "
        f"0.2, 0.6 in row 2: the blocked score was set to 0, not to minus infinity. 0.5 in the second column: softmax over the queries. "
        f"nan: blocked times minus infinity, and 0 · inf is nan\n{m}"
    ),
)
assert_close(left, [scores, last], msg=lambda m: f"scores or blocked were changed in place: masked_fill_ writes, masked_fill copies\n{m}")
got = first_weights(scores.repeat(2, 1, 1), last)
assert type(got) is list, f"the same scores twice, as a batch (2, 2, 3): expected weights, got {got}"
got = got[0]
assert_close(
    got,
    torch.tensor([0.25, 0.75, 0.0]).expand(2, 2, 3),
    msg=lambda m: f"the same scores twice, as a batch (2, 2, 3): (0.25, 0.75, 0) in every row, got {got}. 0.5: axis 1 is not the last one here\n{m}",
)
got = masked_softmax(torch.tensor([[-3e38, -3e38, 3e38]]), last)
assert got.tolist() == [[0.5, 0.5, 0.0]], (
    f"scores (−3e38, −3e38, 3e38), last one blocked: [[0.5, 0.5, 0]], got {got.tolist()}. (0, 0, 0) or (0, 0, 1): the blocked score was set to "
    "−1e9 or the like, or the least number was added to it; what stands there must not depend on the score, and be less than all others. "
    "nan: exp of the blocked score is inf, and inf · 0 is nan, or the rest is 0/0 beside it: hide the score before exp or softmax"
)
got = masked_softmax(torch.tensor([[-1e39, -1e39, 0.0]], dtype=torch.float64), torch.tensor([[False, False, True]]))
assert got.tolist() == [[0.5, 0.5, 0.0]] and got.dtype == torch.float64, (
    f"float64 scores (−1e39, −1e39, 0), last one blocked: [[0.5, 0.5, 0]] in float64, got {got.tolist()} in {got.dtype}. "
    "(0, 0, 0) or (0, 0, 1): the blocked score was set to the least number of float32, −3.4e38; take that of scores.dtype"
)
print("passed: blocked places get no weight")


# %% check="masked-empty-row" points=2
def empty_row(scores, blocked):
    given = scores.clone().requires_grad_()
    try:
        weights = masked_softmax(given, blocked)
        if type(weights) is not torch.Tensor:
            return [type(weights).__name__, None]
        (weights * torch.arange(3.0).double()).sum().backward()
    except NotImplementedError:
        raise
    except (RuntimeError, IndexError) as e:
        return f"{type(e).__name__}: {e}"
    return [weights.detach(), given.grad]


scores = torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 4.0]]).double()
got = empty_row(scores, torch.tensor([[True, True, True], [False, False, True]]))
assert type(got) is list, (
    f"a row all blocked, one without its last place: expected weights and a gradient, got {got}. About grad: the weights must stay "
    f"connected to the scores, no detach. About an inplace operation: no writing into what softmax returned (masked_fill, not "
    f"masked_fill_ or weights[…] = 0)"
)
got, slope = got
assert type(got) is torch.Tensor, f"masked_softmax must return a tensor, got {got}" + ": is `return` missing?" * (got == "NoneType")
assert_close(
    got,
    torch.tensor([[0.0, 0.0, 0.0], [0.5, 0.5, 0.0]]).double(),
    msg=lambda m: (
        f"first row all blocked, second without its last place, float64: (0, 0, 0) and (0.5, 0.5, 0), got {got.tolist()} in {got.dtype}. "
        f"nan: minus infinity everywhere, or 0/0. 1/3: a large negative number everywhere gives equal shares; set them to 0\n{m}"
    ),
)
assert_close(
    slope,
    torch.tensor([[0.0, 0.0, 0.0], [-0.25, 0.25, 0.0]]).double(),
    msg=lambda m: (
        f"the gradient of Σ weights·(0, 1, 2): 0 in the blocked row, (−0.25, 0.25, 0) in the other, got {slope.tolist()}. "
        f"nan: was minus infinity added to the scores? The slope of a softmax over minus infinities is nan, an addition hands it on to the scores, "
        f"and repairing the weights afterwards does not help; masked_fill stops it\n{m}"
    ),
)
print("passed: a row with nothing to look at is 0, and so is its gradient")


# %% hidden="masked-random" points=2
_ = torch.manual_seed(7)
scores = 30 * torch.randn(2, 3, 4, 5, dtype=torch.float64)
masks = [torch.rand(s) < 0.5 for s in ((4, 5), (2, 1, 1, 5), (2, 3, 4, 5))]
masks[0][1], masks[1][1], masks[2][1, 2, 3] = True, True, True  # rows with nothing to look at
got = [masked_softmax(scores.clone(), b.clone()) for b in masks]
for result, b in zip(got, masks, strict=True):
    e = (scores - scores.amax(-1, keepdim=True)).exp() * ~b
    total = e.sum(-1, keepdim=True)
    wanted = torch.where(total > 0, e / total.where(total > 0, torch.ones_like(total)), torch.zeros_like(e))
    assert_close(result, wanted, msg=lambda m, b=b: f"scores (2, 3, 4, 5), blocked {tuple(b.shape)}\n{m}")
    assert (result.masked_select(b.expand_as(result)) == 0).all(), f"blocked {tuple(b.shape)}: a blocked place must have exactly 0"


# %% hidden="masked-extremes" points=1
def extremes(scores, blocked):
    kept = blocked.clone()
    return masked_softmax(scores, blocked), torch.equal(kept, blocked)


def in_half(scores, blocked):
    got = masked_softmax(scores.half(), blocked)
    return got.tolist(), str(got.dtype)


scores = torch.tensor([[-1e12, -1e12, 1e12], [3e12, 0.0, -5.0]])
got, same = extremes(scores, torch.tensor([[False, False, True], [False, True, True]]))
assert same, "the mask was changed in place"
assert_close(
    got,
    torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]]),
    msg=lambda m: f"scores of ±1e12: [[0.5, 0.5, 0], [1, 0, 0]], got {got.tolist()}. −1e9 is not small enough\n{m}",
)
got = in_half(torch.tensor([[1.0, 1.0, 9.0], [1.0, 2.0, 3.0]]), torch.tensor([[False, False, True], [True, True, True]]))
assert got == ([[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]], "torch.float16"), f"float16: (0.5, 0.5, 0) and (0, 0, 0), got {got}: its least number is −65504"


# %% wrong="masked-nan" fails="masked-empty-row"
def masked_softmax(scores, blocked):
    return scores.masked_fill(blocked, -torch.inf).softmax(dim=-1)


# %% [markdown] mistake="masked-nan"
# Returns `nan` for a row in which everything is blocked.
#
# A row of three blocked scores gives (nan, nan, nan), and the statement asks for (0, 0, 0). All scores of that row are minus infinity, so
# the softmax divides 0 by 0; the text before the exercise shows this very case. What could stand there instead of infinity, and what is
# left to do afterwards?

# %% wrong="masked-added-infinity" fails="masked-empty-row"
def masked_softmax(scores, blocked):
    extra = torch.zeros_like(scores).masked_fill(blocked, -torch.inf)
    return (scores + extra).softmax(dim=-1).nan_to_num(0.0)


# %% [markdown] mistake="masked-added-infinity"
# Sends `nan` gradients back through a row in which everything is blocked, though its weights are 0.
#
# Your weights are right, but call `backward` with a row of three blocked scores: the gradient of the scores is (nan, nan, nan). The softmax
# of such a row already went wrong, and repairing its result does not repair the way back; the trouble must be avoided before the softmax.

# %% wrong="masked-inverted" fails="masked-by-hand masked-empty-row masked-random"
def masked_softmax(scores, blocked):
    filled = scores.masked_fill(~blocked, torch.finfo(scores.dtype).min)
    return filled.softmax(dim=-1).masked_fill(~blocked, 0)


# %% [markdown] mistake="masked-inverted"
# Reads True in `blocked` as allowed, and blocks all the rest.
#
# For the scores (0, ln 3, 5) with the last one blocked you return (0, 0, 1): all the weight goes to the one place that nobody may see. The
# section on masks says what True means in this chapter, and which PyTorch function means the opposite.

# %% wrong="masked-after" fails="masked-by-hand masked-empty-row masked-random"
def masked_softmax(scores, blocked):
    return scores.softmax(dim=-1).masked_fill(blocked, 0)


# %% [markdown] mistake="masked-after"
# Takes the softmax over all scores first and sets the blocked places to 0 afterwards.
#
# For (0, ln 3, 5) with the last one blocked you return (0.007, 0.020, 0), which does not sum to 1. The blocked score 5 has already taken
# its share, and zeros written later do not give it back; at which moment must a blocked score lose its influence?

# %% wrong="masked-minus-1e9" fails="masked-by-hand masked-empty-row masked-random masked-extremes"
def masked_softmax(scores, blocked):
    return scores.masked_fill(blocked, -1e9).softmax(dim=-1)


# %% [markdown] mistake="masked-minus-1e9"
# Gives blocked places a fixed large negative score such as -1e9, and does no more about them.
#
# A row with all three places blocked comes out as (1/3, 1/3, 1/3) and not as zeros, and with the scores (-2e9, -2e9, 0), last one blocked,
# all the weight is on the blocked place. How small may an allowed score be by the statement, and what does it promise for a blocked place
# in every case?

# %% wrong="masked-least-of-float32" fails="masked-by-hand"
def masked_softmax(scores, blocked):
    return scores.masked_fill(blocked, torch.finfo(torch.float32).min).softmax(dim=-1).masked_fill(blocked, 0)


# %% [markdown] mistake="masked-least-of-float32"
# Fills in the least number of float32 for blocked scores, also when the scores are float64.
#
# A float64 score may be far below -3.4e38. With (-2e300, -2e300, 0), last one blocked, your filler is the largest of the three, takes all
# the weight and is then set to 0: (0, 0, 0) comes out instead of (0.5, 0.5, 0). Which dtype should decide about the least number?

# %% wrong="masked-in-place" fails="masked-by-hand"
def masked_softmax(scores, blocked):
    with torch.no_grad():
        scores.masked_fill_(blocked, torch.finfo(scores.dtype).min)
    return scores.softmax(dim=-1).masked_fill(blocked, 0)


# %% [markdown] mistake="masked-in-place"
# Writes the mask into the caller's `scores` and so changes the input.
#
# The weights are right, but print the scores after the call: the blocked ones have become -3.4e38, and whoever uses that tensor next works
# with them. Find the operation that writes into an existing tensor; how does PyTorch mark the names of such operations?

# %% wrong="masked-zero-score" fails="masked-by-hand masked-random"
def masked_softmax(scores, blocked):
    return (scores * ~blocked).softmax(dim=-1).masked_fill(blocked, 0)


# %% [markdown] mistake="masked-zero-score"
# Sets blocked scores to 0 before the softmax, where 0 is a score like any other.
#
# For (0, ln 3, 5) with the last one blocked you return (0.2, 0.6, 0), which sums to 0.8. `exp(0)` is 1, so the blocked place still takes a
# share away from the others; which score has an `exp` that adds nothing to the sum?

# %% wrong="masked-added-least" fails="masked-by-hand"
def masked_softmax(scores, blocked):
    low = torch.finfo(scores.dtype).min
    return (scores + low * blocked.to(scores.dtype)).softmax(dim=-1).masked_fill(blocked, 0)


# %% [markdown] mistake="masked-added-least"
# Adds the least number to a blocked score, so the score still has a say.
#
# A blocked score of 3e38 becomes -4e37, and next to an allowed -3e38 it is the largest of the row: for (-3e38, -3e38, 3e38), last one
# blocked, you return (0, 0, 0). A blocked score of -1e32 even becomes minus infinity. What must stand there, whatever stood there before?

# %% wrong="masked-axis-one" fails="masked-by-hand masked-random"
def masked_softmax(scores, blocked):
    return scores.masked_fill(blocked, torch.finfo(scores.dtype).min).softmax(dim=1).masked_fill(blocked, 0)


# %% [markdown] mistake="masked-axis-one"
# Takes the softmax over axis 1, which is the last axis of a matrix only.
#
# A batch of one matrix with the rows (0, ln 3) and (0, ln 3) gives 0.5 everywhere, and the statement asks for (0.25, 0.75) in each row. How
# is the last axis named, whatever their number?

# %% right="masked-by-exp"
def masked_softmax(scores, blocked):
    low = torch.full_like(scores, torch.finfo(scores.dtype).min)
    top = torch.where(blocked, low, scores).amax(dim=-1, keepdim=True)
    e = torch.exp(torch.where(blocked, low, scores) - top) * (~blocked).to(scores.dtype)
    return e / e.sum(dim=-1, keepdim=True).clamp(min=0.5)


# %% right="masked-repaired"
def masked_softmax(scores, blocked):
    return scores.masked_fill(blocked, -torch.inf).softmax(dim=-1).nan_to_num(0.0)


# %% [markdown] explanation="masked"
# With the least finite number instead of minus infinity, a row of nothing is a row of equal scores: weights 1/S, finite slopes.
# The second `masked_fill` makes them 0 and stops the gradient, too.
# `nan_to_num` after the softmax is right only by luck: backward meets nan in the softmax, and `masked_fill` happens to write 0 over it.
# *Add* the infinities instead of filling them in, and the nan of the way back arrives at the scores. Repairs belong before the bad operation.
# −1e9 is a habit from tutorials; in half precision it overflows, and next to scores of −1e10 it is the *largest*.

# %% [markdown]
# ### Exercise 4: the window of speech (4 points)
#
# Write `window_mask(T, back, ahead)`: a bool tensor `(T, T)`, row = query, column = key, `True` = **blocked**.
# Query $t$ may see the keys from $t - \mathrm{back}$ to $t + \mathrm{ahead}$, both ends and itself included; what lies outside of $0 \dots T-1$ does not exist.
# All three are Python integers, T ≥ 1, `back` ≥ 0, `ahead` ≥ 0, and both may be larger than T.
#
# By hand: `window_mask(3, 1, 0)` is `[[F, T, T], [F, F, T], [T, F, F]]`: query 2 may see 1 and 2, not 0.
# `window_mask(T, T, 0)` is the causal mask.
#
# <details><summary>Hint 1</summary>The difference of key place and query place, for all pairs: which shape has it, and between which bounds may it lie?</details>
# <details><summary>Hint 2</summary><code>place - place[:, None]</code> has the key in its columns.</details>


# %% exercise="window"
def window_mask(T: int, back: int, ahead: int) -> torch.Tensor:
    """Bool (T, T), True = blocked: query t (row) sees only keys t - back to t + ahead (columns)."""
    # BEGIN SOLUTION
    place = torch.arange(T)
    step = place - place[:, None]  # key minus query
    return (step < -back) | (step > ahead)
    # END SOLUTION


# %% check="window-by-hand" points=2
def window_of(*case):
    try:
        return window_mask(*case)
    except NotImplementedError:
        raise
    except (RuntimeError, IndexError) as e:
        return f"{type(e).__name__}: {e}"


got = window_of(3, 1, 0)
assert type(got) is not str, f"window_mask(3, 1, 0): got {got}. Boolean value: | and & go element by element, `or` and `and` do not"
assert type(got) is torch.Tensor, f"window_mask(3, 1, 0) must return a tensor, got {got}" + ": is `return` missing?" * (got is None)
assert got.dtype == torch.bool, f"the mask must have dtype torch.bool, got {got.dtype}"
wanted = [[False, True, True], [False, False, True], [True, False, False]]
assert got.tolist() == wanted, (
    f"window_mask(3, 1, 0): expected {wanted}, got {got.tolist()}. All exchanged: True means blocked here. Mirrored at the diagonal: "
    "back and ahead, or rows and columns, are exchanged. True on the whole diagonal: a query sees itself; the end of a slice is excluded, "
    "and <= differs from <. True in all of the first row only: a slice that starts below 0 counts from the end. All False: & for |. True "
    "just below the diagonal: both ends belong to it. First row (F, F, T): each side has a bound of its own"
)
got = window_of(4, 0, 1)
assert type(got) is torch.Tensor, f"window_mask(4, 0, 1) must return a tensor, got {got}"
wanted = [[False, False, True, True], [True, False, False, True], [True, True, False, False], [True, True, True, False]]
assert got.tolist() == wanted, (
    f"window_mask(4, 0, 1): expected {wanted}, got {got.tolist()}. First row (F, T, T, T): the key at t + ahead belongs to the window, "
    "and the size of the gap must not be compared with back on both sides"
)
got = window_of(4, 9, 1)
assert type(got) is torch.Tensor, f"window_mask(4, 9, 1): back may be larger than T, expected a mask (4, 4), got {got}"
wanted = [[False, False, True, True], [False, False, False, True], [False] * 4, [False] * 4]
assert got.tolist() == wanted, (
    f"window_mask(4, 9, 1): expected {wanted}, got {got.tolist()}. All of the past is free, and one key ahead: the two bounds hold together"
)
print("passed: one back, none ahead; none back, one ahead; all of the past, one ahead")

# %% hidden="window-others" points=2
cases = [(5, 2, 1), (4, 0, 3), (6, 6, 0), (3, 9, 9), (1, 0, 0), (4, 0, 0), (5, 1, 7), (300, 140, 160)]
got = [window_mask(*case) for case in cases]
for case, mask in zip(cases, got, strict=True):
    wanted = [[not t - case[1] <= s <= t + case[2] for s in range(case[0])] for t in range(case[0])]
    assert mask.dtype == torch.bool and mask.shape == (case[0], case[0]), f"window_mask{case}: got {mask.dtype}, {tuple(mask.shape)}"
    missed = [t for t, line in enumerate(mask.tolist()) if line != wanted[t]][:1]
    assert not missed, f"window_mask{case}, row {missed}: expected {wanted[missed[0]]}, got {mask[missed[0]].tolist()}"


# %% wrong="window-allowed" fails="window-by-hand window-others"
def window_mask(T, back, ahead):
    i = torch.arange(T)
    return (i >= i[:, None] - back) & (i <= i[:, None] + ahead)


# %% [markdown] mistake="window-allowed"
# Marks the places that may be seen with True, but True means blocked.
#
# The first row of `window_mask(3, 1, 0)` is (T, F, F) in your answer and (F, T, T) in the statement: every place is the opposite. Read
# again what True says in this chapter, and then ask of each pair "is it outside of the window?".

# %% wrong="window-mirrored" fails="window-by-hand window-others"
def window_mask(T, back, ahead):
    i = torch.arange(T)
    return (i < i[:, None] - ahead) | (i > i[:, None] + back)


# %% [markdown] mistake="window-mirrored"
# Exchanges `back` and `ahead` (or rows and columns), so the window lies on the wrong side.
#
# `window_mask(3, 1, 0)` lets query 0 see key 1, which is ahead of it, and hides key 0 from query 1. The shape does not show it, as both
# axes have length T; take row 1 by hand and decide which of its entries are before the query.

# %% wrong="window-end-excluded" fails="window-by-hand window-others"
def window_mask(T, back, ahead):
    gap = torch.arange(T) - torch.arange(T)[:, None]
    return (gap < -back) | (gap >= ahead) & (gap > 0)


# %% [markdown] mistake="window-end-excluded"
# Leaves out the last key ahead, at t + `ahead`.
#
# For `window_mask(4, 1, 2)` query 0 may see the keys 0, 1 and 2, and yours sees 0 and 1 only. With `ahead` 0 nothing shows. The statement
# says whether the ends of the window belong to it; check your comparison at the key where the distance equals `ahead`.

# %% wrong="window-absolute" fails="window-by-hand window-others"
def window_mask(T, back, ahead):
    gap = torch.arange(T) - torch.arange(T)[:, None]
    return (gap.abs() > back) | (gap > ahead)


# %% [markdown] mistake="window-absolute"
# Compares the distance with `back` on both sides, so keys farther ahead than `back` are blocked too.
#
# With `back` 0 and `ahead` 2 a query may see two later keys, and yours sees itself alone. As long as `ahead` is not larger than `back` this
# stays hidden; the two sides of the window need bounds of their own, so look at what the sign of the difference tells you.

# %% wrong="window-self-missing" fails="window-by-hand window-others"
def window_mask(T, back, ahead):
    i = torch.arange(T)
    return (i < i[:, None] - back) | (i >= i[:, None] + ahead)


# %% [markdown] mistake="window-self-missing"
# Blocks the key at t + `ahead`; with `ahead` 0 no query sees even itself.
#
# The first row of `window_mask(3, 1, 0)` is (T, T, T): query 0 has no key left, and a softmax over it has nothing to divide. Try the
# diagonal by hand with `ahead` 0: which distance do query and key have there, and on which side of your comparison does it fall?

# %% right="window-triangles"
def window_mask(T, back, ahead):
    ones = torch.ones(T, T, dtype=torch.bool)
    return ones.triu(ahead + 1).logical_or(ones.tril(-back - 1))


# %% [markdown] explanation="window"
# A window needs $T (\mathrm{back} + \mathrm{ahead} + 1)$ pairs of the $T^2$; a mask over the whole table saves none. Its sight grows with the layers: after $n$ of them, $n \cdot \mathrm{back}$ steps.
# `ahead = 0` is causal: a recogniser that writes while you speak needs it.
# Off by one here blocks the query itself, and row 0 of a causal mask is then empty: the `nan` of Exercise 3.

# %% [markdown]
# ## Self-attention: one input, three roles
#
# Now every vector of a set is to look at all the others: **self-attention** (自注意力).
# Each $x_t$ gets three roles through three learned matrices:
#
# $$q_t = W_q x_t, \qquad k_t = W_k x_t, \qquad v_t = W_v x_t, \qquad \text{out}_t = \sum_s \alpha_{ts} v_s, \qquad \alpha_t = \mathrm{softmax}_s(q_t \cdot k_s / \sqrt d).$$
#
# A common note says "in self-attention, query, key and value are completely identical". The *input* is the same; the three projections differ.
# Were $q$ and $k$ identical, the scores would be symmetric and each vector would tend to look at itself. We check that they are not.
# First by the loop that the formula is, then all rows at once: $\mathrm{softmax}(Q K^\top / \sqrt d)\, V$ is the whole layer.

# %%
_ = torch.manual_seed(0)
x = torch.randn(5, 8)  # T=5 vectors of C=8
to_q, to_k, to_v = (nn.Linear(8, 4, bias=False) for _ in range(3))
Q, K, V = to_q(x), to_k(x), to_v(x)  # (5, 4) each
slow = []
for t in range(5):
    e = torch.stack([(Q[t] @ K[s] / 2).exp() for s in range(5)])  # the root of 4 is 2
    slow.append(sum(e[s] / e.sum() * V[s] for s in range(5)))
assert_close(torch.stack(slow), F.scaled_dot_product_attention(Q[None], K[None], V[None])[0])
pairs = torch.einsum("td,sd->ts", Q, K)
print("Q equals K:", torch.equal(Q, K), " scores symmetric:", torch.allclose(pairs, pairs.T))

# %% [markdown]
# The loop and PyTorch's function agree; $Q$ differs from $K$, and the scores are not symmetric.
# No step of it waits for another: all $T^2$ pairs may be computed at once.
#
# ## Several heads
#
# One weighted mean can look for one thing. "31" may want to know its month *and* that it is a day.
# **Multi-head attention** (多头注意力) cuts the $C$ numbers of $q$, $k$ and $v$ into `n_heads` pieces of $d = C / \text{n\_heads}$ and runs one attention in each.
# The heads' results are put side by side again, $(T, C)$, and mixed by a last matrix $W_o$.
#
# The cutting is where programs go wrong. The heads are in the *last* axis: $(B, T, C) \to (B, T, n, d) \to (B, n, T, d)$,
# a view and a transposition. A view straight to $(B, n, T, d)$ has the right shape, too, and mixes up words.

# %%
two_words = torch.tensor([[[1, 2, 3, 4], [10, 20, 30, 40]]])  # (B=1, T=2, C=4), words 1 … 4 and 10 … 40
print("view, transpose: head 0 sees", two_words.view(1, 2, 2, 2).transpose(1, 2)[0, 0].tolist())
print("view only:       head 0 sees", two_words.view(1, 2, 2, 2)[0, 0].tolist())

# %% [markdown]
# With the transposition head 0 sees the first half of both words; without it, the whole first word and nothing of the second.
#
# `nn.MultiheadAttention` keeps $W_q$, $W_k$, $W_v$ stacked in one tall `in_proj_weight` $(3C, C)$, in this order.
# Four of its habits: the layout is $(T, B, C)$ unless `batch_first=True`; the weights that it returns are averaged over the heads;
# `True` blocks; and this stack, whose thirds are cut apart again in the cell below.

# %%
_ = torch.manual_seed(0)
layer = nn.MultiheadAttention(6, 2, batch_first=True)
print([(name, tuple(p.shape)) for name, p in layer.named_parameters()])
x = torch.randn(3, 5, 6)
print("weights, mean over heads:", tuple(layer(x, x, x)[1].shape))
print("weights of each head:    ", tuple(layer(x, x, x, average_attn_weights=False)[1].shape))
future = torch.ones(5, 5).triu(1).bool()
print("True blocks, row 0:", layer(x, x, x, attn_mask=future)[1][0, 0].tolist())
heads = [z.unflatten(-1, (2, 3)).transpose(1, 2) for z in F.linear(x, layer.in_proj_weight, layer.in_proj_bias).chunk(3, -1)]
other = F.scaled_dot_product_attention(*heads, attn_mask=~future)  # here True allows
assert_close(layer.out_proj(other.transpose(1, 2).flatten(2)), layer(x, x, x, attn_mask=future)[0])

# %% [markdown]
# Row 0 of the causal mask may see itself alone: weight 1, and four zeros.
# The last line but one gives the function the *inverse* mask, `~future`, and the result is the layer's: the two meanings of `True`.

# %% [markdown]
# ### Exercise 5: multi-head attention (9 points)
#
# Write `multihead(x, source, weights, n_heads, blocked=None)`:
#
# - `x` `(B, T, C)` gives the queries, `source` `(B, S, C)` the keys and the values (for self-attention the caller passes `x` twice);
# - `weights` is a tuple `(in_w, in_b, out_w, out_b)` of shapes `(3C, C)`, `(3C,)`, `(C, C)`, `(C,)`: the rows of `in_w` are those of
#   $W_q$, then $W_k$, then $W_v$, `in_b` likewise; a matrix acts as in `nn.Linear`, $x W^\top + b$;
# - `blocked` is None or a bool tensor `(T, S)`, `(B, 1, S)` or `(B, T, S)`, `True` = blocked, the same for all heads; each query has a key left.
#
# Return a tuple `(out, attn)`: `out` `(B, T, C)`, and `attn` `(B, n_heads, T, S)`, the weights of each head, in the dtype of `x`.
# `n_heads` ≥ 1; if it does not divide C, raise `ValueError`.
# It must agree with `nn.MultiheadAttention` to $10^{-10}$ in float64, gradients included. Not allowed: that class,
# `F.multi_head_attention_forward`, `F.scaled_dot_product_attention`. Nothing that comes in may change.
# Here and in Exercise 6 you may call your earlier functions; if they are wrong, so is this.
#
# By hand: C = 2, two heads (so $d = 1$), all four matrices the identity, no biases. `x` is (ln 3, 0), `source` is (1, 2), (0, 6).
# Head 0 has the query ln 3 and the keys 1, 0: weights 0.75, 0.25, values 1, 0, result 0.75.
# Head 1 has the query 0: weights 0.5, 0.5, values 2, 6, result 4. So `out` is (0.75, 4).
#
# <details><summary>Hint 1</summary>Which axis of the tall matrix is cut into thirds? Each third needs its own input.</details>
# <details><summary>Hint 2</summary>A mask (B, T, S) meets scores (B, n, T, S): where does it need an axis of length 1?
# <code>blocked[..., None, :, :]</code> puts it there for (T, S) too.</details>


# %% exercise="multihead"
def multihead(
    x: torch.Tensor, source: torch.Tensor, weights: tuple, n_heads: int, blocked: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Multi-head attention from x (B, T, C) to source (B, S, C): out (B, T, C), weights (B, n_heads, T, S); True in `blocked` blocks."""
    # BEGIN SOLUTION
    in_w, in_b, out_w, out_b = weights
    if x.shape[2] % n_heads:
        raise ValueError(f"{n_heads} heads do not divide {x.shape[2]} numbers")
    q, k, v = (
        F.linear(z, w, b).unflatten(2, (n_heads, -1)).transpose(1, 2)  # (B, n_heads, T or S, d)
        for z, w, b in zip((x, source, source), in_w.chunk(3), in_b.chunk(3), strict=True)
    )
    scores = q @ k.mT / math.sqrt(q.shape[3])
    if blocked is not None:
        scores = scores.masked_fill(blocked[..., None, :, :], -torch.inf)
    attn = scores.softmax(3)
    return F.linear((attn @ v).transpose(1, 2).flatten(2), out_w, out_b), attn
    # END SOLUTION


# %% check="multihead-by-hand" points=2
def hand_heads(x, source, weights, blocked):
    try:
        return multihead(x, source, weights, 2, blocked)
    except NotImplementedError:
        raise
    except (RuntimeError, IndexError) as e:
        return f"{type(e).__name__}: {e}"
    except (TypeError, AttributeError) as e:
        if "NoneType" not in str(e):
            raise
        return f"{type(e).__name__}: {e}"


eye, none = torch.eye(2), torch.zeros(2)
identity = (eye.repeat(3, 1), none.repeat(3), eye, none)
query, source = torch.tensor([[[math.log(3.0), 0.0]]]), torch.tensor([[[1.0, 2.0], [0.0, 6.0]]])
got = hand_heads(query, source, identity, None)
assert type(got) is not str, (
    f"x (1, 1, 2), source (1, 2, 2), two heads, blocked=None: got {got}. NoneType: blocked was None here. About sizes: keys and values "
    f"come from source, with 2 places, x has 1; each head has d = 1, and the heads are put side by side again before out_w"
)
assert type(got) is tuple and [type(g) for g in got] == [torch.Tensor] * 2, (
    f"multihead must return a tuple (out, attn) of tensors, got {got}" + ": is `return` missing?" * (got is None)
)
assert_close(
    got[0],
    torch.tensor([[[0.75, 4.0]]]),
    msg=lambda m: (
        f"by hand: out = (0.75, 4), got {got[0].tolist()}. (1.75, 3): a view without the transposition. (0.75, 3): both heads use the weights of "
        f"head 0. (0.685, 4): divided by the root of C, not of d. (0.685, 3.26): one head only. (1.10, 0): keys and values come from x\n{m}"
    ),
)
assert_close(
    got[1], torch.tensor([[[[0.75, 0.25]], [[0.5, 0.5]]]]), msg=lambda m: f"attn is (B=1, n_heads=2, T=1, S=2), a row per head\n{m}"
)
far = torch.tensor([[[1.0, 2.0], [1e10, 6.0]]])
got = hand_heads(query, far, identity, torch.tensor([[False, True]]))
assert type(got) is tuple and got[0].tolist() == [[[1.0, 2.0]]], (
    f"source (1, 2) and (1e10, 6), key 1 blocked: only (1, 2) is left, got {got}. (1e10, 6): True was read as allowed. nan: all was blocked. "
    "(1e10, 4): the mask is not used. (1e10, 2): a number was subtracted from the blocked score, which is larger still"
)
got = hand_heads(query.repeat(1, 2, 1), source, identity, torch.tensor([[False, True], [True, False]]))
assert type(got) is tuple and got[0].tolist() == [[[1.0, 2.0], [0.0, 6.0]]], (
    f"two queries, mask (2, 2): query 0 may see source 0 alone, query 1 source 1: out = (1, 2), (0, 6), got {got}. "
    "(1, 6) twice: row h of the mask went to head h; it needs its axis of length 1 before the last two. (0, 6), (1, 2): True was read as allowed"
)
print("passed: two heads by hand, with masks")


# %% check="multihead-torch" points=2
def both_results(x, source, weights, heads, blocked):
    try:
        mine = [x.clone(), source.clone(), [w.clone() for w in weights], blocked.clone()]
        return [multihead(mine[0], mine[1], tuple(mine[2]), heads, mine[3]), mine]
    except NotImplementedError:
        raise
    except (RuntimeError, IndexError, ValueError) as e:
        return f"{type(e).__name__}: {e}"


_ = torch.manual_seed(23)
theirs = nn.MultiheadAttention(6, 3, batch_first=True).double()
_ = nn.init.normal_(theirs.in_proj_bias), nn.init.normal_(theirs.out_proj.bias)
parts = tuple(p.detach().clone() for p in theirs.parameters())
x, source = torch.randn(2, 4, 6).double(), torch.randn(2, 5, 6).double()
pads = torch.tensor([[False, False, False, True, True], [False, True, False, False, True]])
got = both_results(x, source, parts, 3, pads[:, None])
assert type(got) is list, (
    f"B=2, T=4, S=5, C=6, 3 heads, blocked (2, 1, 5): expected (out, attn), got {got}. "
    "About 2 and 3: the mask needs an axis of length 1 for the heads, or its B meets them. About 5 and 4: keys and values come from "
    "source, not x"
)
got, left = got
assert type(got) is tuple and [type(g) for g in got] == [torch.Tensor] * 2, (
    f"multihead must return a tuple (out, attn) of tensors, got {type(got).__name__}" + ": is `return` missing?" * (got is None)
)
wanted = theirs(x, source, source, key_padding_mask=pads, average_attn_weights=False)
shapes = [tuple(g.shape) for g in got]
assert shapes == [(2, 4, 6), (2, 3, 4, 5)], f"out (2, 4, 6) and attn (2, 3, 4, 5) expected, got {shapes}: the length of out is that of the queries"
worst = int((got[1] - wanted[1]).abs().amax(3).argmax())  # the row of weights that is farthest off
assert_close(
    got[1],
    wanted[1],
    rtol=1e-10,
    atol=1e-10,
    msg=lambda m: (
        f"the weights differ from nn.MultiheadAttention's (float64, pads): look at the order q, k, v, the biases, the mask, "
        f"the matrices (x Wᵀ), the cut into heads, the root of d = 2. Row {worst} of all (2 · 3 · 4): expected "
        f"{[round(v, 3) for v in wanted[1].flatten(0, 2)[worst].tolist()]}, got "
        f"{[round(v, 3) for v in got[1].flatten(0, 2)[worst].tolist()]}\n{m}"
    ),
)
assert_close(
    got[0],
    wanted[0],
    rtol=1e-10,
    atol=1e-10,
    msg=lambda m: (
        f"the weights are right, out differs: were the heads put side by side (B, T, n, d) before they were flattened? Is out_w applied, "
        f"transposed as in nn.Linear, and out_b?\n{m}"
    ),
)
assert_close(
    left, [x, source, list(parts), pads[:, None]], msg=lambda m: f"an input was changed in place: x, source, weights, or blocked\n{m}"
)
got = both_results(x, source, parts, 4, pads[:, None])
assert type(got) is str and got.startswith("ValueError"), (
    f"6 numbers in 4 heads: expected a ValueError, got {got if type(got) is str else 'a result'}"
)
print("passed: equal to nn.MultiheadAttention, with pads")


# %% hidden="multihead-others" points=4
def with_slopes(x, source, weights, heads, blocked):
    weights = tuple(w.clone().requires_grad_() for w in weights)
    kept = None if blocked is None else blocked.clone()
    x, source = (z.mT.contiguous().mT for z in (x, source))  # copies, with their axes in another order in memory
    out, attn = multihead(x, source, weights, heads, kept)
    (out.square().sum() + attn.square().sum()).backward()
    return out.detach(), attn.detach(), [w.grad for w in weights], x, source, kept


_ = torch.manual_seed(7)
cases = []
for C, heads, kind in ((6, 3, "causal"), (4, 4, "each"), (5, 1, None), (4, 2, "pads")):
    theirs = nn.MultiheadAttention(C, heads, batch_first=True).double()
    for bias in (theirs.in_proj_bias, theirs.out_proj.bias):
        _ = nn.init.normal_(bias)
    x = 3 * torch.randn(3, 4, C).double()
    source = x if kind == "causal" else torch.randn(3, 2 if kind else 7, C).double()
    S = source.shape[1]
    blocked = {"causal": torch.ones(4, S).triu(1).bool(), "each": torch.rand(3, 4, S) < 0.5, None: None, "pads": torch.rand(3, 1, S) < 0.5}[
        kind
    ]
    if kind in ("each", "pads"):
        blocked[..., 0] = False
    cases.append((theirs, x, source, heads, blocked))
got = [with_slopes(x, s, tuple(p.detach().clone() for p in theirs.parameters()), h, b) for theirs, x, s, h, b in cases]
for (theirs, x, source, h, b), (out, attn, slopes, *left) in zip(cases, got, strict=True):
    full = None if b is None else b.expand(3, 4, source.shape[1]).repeat_interleave(h, 0)
    wanted = theirs(x, source, source, attn_mask=full, average_attn_weights=False)
    (wanted[0].square().sum() + wanted[1].square().sum()).backward()
    name = f"x {tuple(x.shape)}, source {tuple(source.shape)}, {h} heads, blocked {None if b is None else tuple(b.shape)}"
    assert_close((out, attn), tuple(w.detach() for w in wanted), rtol=1e-10, atol=1e-10, msg=lambda m, name=name: f"{name}\n{m}")
    slopes_wanted = [p.grad for p in theirs.parameters()]
    assert_close(slopes, slopes_wanted, rtol=1e-9, atol=1e-9, msg=lambda m, name=name: f"gradients of the weights, {name}\n{m}")
    assert_close(left, [x, source, b], msg=lambda m, name=name: f"an input was changed, {name}\n{m}")


# %% hidden="multihead-error" points=1
def refusal(C, heads):
    try:
        multihead(
            torch.ones(1, 2, C), torch.ones(1, 2, C), (torch.ones(3 * C, C), torch.ones(3 * C), torch.ones(C, C), torch.ones(C)), heads
        )
    except Exception as e:
        if type(e) is NotImplementedError:
            raise
        return type(e).__name__
    return "no error"


got = [refusal(6, 4), refusal(6, 3), refusal(5, 2), refusal(4, 3)]
assert got == ["ValueError", "no error", "ValueError", "ValueError"], (
    f"6 numbers with 4 heads, 6 with 3, 5 with 2, 4 with 3: ValueError but for the second; got {got}. It is C that is divided, not 3C"
)


# %% wrong="multihead-no-transpose" fails="multihead-by-hand multihead-torch multihead-others"
def multihead(x, source, weights, n_heads, blocked=None):
    in_w, in_b, out_w, out_b = weights
    (B, T, C), S = x.shape, source.shape[1]
    if C % n_heads:
        raise ValueError("heads")
    d = C // n_heads
    q = (x @ in_w[:C].T + in_b[:C]).view(B, n_heads, T, d)
    k = (source @ in_w[C : 2 * C].T + in_b[C : 2 * C]).view(B, n_heads, S, d)
    v = (source @ in_w[2 * C :].T + in_b[2 * C :]).view(B, n_heads, S, d)
    scores = q @ k.transpose(-2, -1) / d**0.5
    if blocked is not None:
        mask = blocked if blocked.dim() == 2 else blocked.unsqueeze(1)
        scores = scores.masked_fill(mask, float("-inf"))
    w = torch.softmax(scores, dim=-1)
    mixed = (w @ v).transpose(1, 2).reshape(B, T, C)
    return mixed @ out_w.T + out_b, w


# %% [markdown] mistake="multihead-no-transpose"
# Cuts the heads by a view straight to (B, `n_heads`, T, d), which mixes up words.
#
# The example by hand gives (1.75, 3), not (0.75, 4). The shape is right, but head 0 receives the whole first word of `source` and head 1
# the whole second one; compare with the cell of the two words 1 … 4 and 10 … 40 before the exercise, and print what each of your heads
# holds.

# %% wrong="multihead-mask-to-heads" fails="multihead-by-hand multihead-others"
def multihead(x, source, weights, n_heads, blocked=None):
    in_w, in_b, out_w, out_b = weights
    (B, T, C), S = x.shape, source.shape[1]
    if C % n_heads:
        raise ValueError("heads")
    d = C // n_heads
    q = (x @ in_w[:C].T + in_b[:C]).view(B, T, n_heads, d).transpose(1, 2)
    k = (source @ in_w[C : 2 * C].T + in_b[C : 2 * C]).view(B, S, n_heads, d).transpose(1, 2)
    v = (source @ in_w[2 * C :].T + in_b[2 * C :]).view(B, S, n_heads, d).transpose(1, 2)
    scores = q @ k.transpose(-2, -1) / d**0.5
    if blocked is not None:
        scores = scores.masked_fill(blocked[:, None], float("-inf"))
    w = torch.softmax(scores, dim=-1)
    mixed = (w @ v).transpose(1, 2).reshape(B, T, C)
    return mixed @ out_w.T + out_b, w


# %% [markdown] mistake="multihead-mask-to-heads"
# Lines up row h of a (T, S) mask with head h instead of query h.
#
# Take two heads and two queries, where query 0 may see source 0 alone and query 1 source 1: both queries get (1, 6), a mixture. If T and
# the number of heads differ, it is an error. Write the mask's shape right-aligned under (B, n, T, S) for each shape that the statement
# allows.

# %% wrong="multihead-rest-cut-off" fails="multihead-torch multihead-error"
def multihead(x, source, weights, n_heads, blocked=None):
    in_w, in_b, out_w, out_b = weights
    d = x.shape[2] // n_heads
    q, k, v = (
        F.linear(z, w, b)[..., : n_heads * d].unflatten(2, (n_heads, d)).transpose(1, 2)
        for z, w, b in zip((x, source, source), in_w.chunk(3), in_b.chunk(3), strict=True)
    )
    scores = q @ k.transpose(-2, -1) / d**0.5
    if blocked is not None:
        mask = blocked if blocked.dim() == 2 else blocked.unsqueeze(1)
        scores = scores.masked_fill(mask, float("-inf"))
    w = torch.softmax(scores, dim=-1)
    return F.linear(F.pad((w @ v).transpose(1, 2).flatten(2), (0, x.shape[2] - n_heads * d)), out_w, out_b), w


# %% [markdown] mistake="multihead-rest-cut-off"
# Raises no error when the heads do not divide C, and leaves the last numbers out.
#
# With 7 numbers and 3 heads, each head gets 2 numbers and the seventh belongs to no head, and a result comes out as if nothing had
# happened. The statement says what to do with such sizes; where does your function look at the remainder?

# %% wrong="multihead-heads-share" fails="multihead-by-hand multihead-torch multihead-others"
def multihead(x, source, weights, n_heads, blocked=None):
    in_w, in_b, out_w, out_b = weights
    (B, T, C), S = x.shape, source.shape[1]
    if C % n_heads:
        raise ValueError("heads")
    d = C // n_heads
    q = (x @ in_w[:C].T + in_b[:C]).view(B, T, n_heads, d).transpose(1, 2)
    k = (source @ in_w[C : 2 * C].T + in_b[C : 2 * C]).view(B, S, n_heads, d).transpose(1, 2)
    v = (source @ in_w[2 * C :].T + in_b[2 * C :]).view(B, S, n_heads, d).transpose(1, 2)
    scores = q @ k.transpose(-2, -1) / d**0.5
    if blocked is not None:
        mask = blocked if blocked.dim() == 2 else blocked.unsqueeze(1)
        scores = scores.masked_fill(mask, float("-inf"))
    w = torch.softmax(scores[:, :1], dim=-1).expand(B, n_heads, T, S)
    mixed = (w @ v).transpose(1, 2).reshape(B, T, C)
    return mixed @ out_w.T + out_b, w


# %% [markdown] mistake="multihead-heads-share"
# Uses the attention weights of the first head for all heads.
#
# In the example by hand head 1 has the query 0 and should weigh both keys by 0.5; yours repeats 0.75 and 0.25 from head 0, and (0.75, 3)
# comes out instead of (0.75, 4). Print your weights of each head for this example: they should be two different rows.

# %% wrong="multihead-root-of-all" fails="multihead-by-hand multihead-torch multihead-others"
def multihead(x, source, weights, n_heads, blocked=None):
    in_w, in_b, out_w, out_b = weights
    (B, T, C), S = x.shape, source.shape[1]
    if C % n_heads:
        raise ValueError("heads")
    d = C // n_heads
    q = (x @ in_w[:C].T + in_b[:C]).view(B, T, n_heads, d).transpose(1, 2)
    k = (source @ in_w[C : 2 * C].T + in_b[C : 2 * C]).view(B, S, n_heads, d).transpose(1, 2)
    v = (source @ in_w[2 * C :].T + in_b[2 * C :]).view(B, S, n_heads, d).transpose(1, 2)
    scores = q @ k.transpose(-2, -1) / C**0.5
    if blocked is not None:
        mask = blocked if blocked.dim() == 2 else blocked.unsqueeze(1)
        scores = scores.masked_fill(mask, float("-inf"))
    w = torch.softmax(scores, dim=-1)
    mixed = (w @ v).transpose(1, 2).reshape(B, T, C)
    return mixed @ out_w.T + out_b, w


# %% [markdown] mistake="multihead-root-of-all"
# Divides the scores by the root of C, where the size of one head's key belongs.
#
# With C = 2 and two heads, head 0 gives 0.685 instead of 0.75, since its scores are too small by a factor of 1.41. How many numbers does
# one of the dot products in a head add up? That count decides how large the scores become.

# %% wrong="multihead-order-kqv" fails="multihead-torch multihead-others"
def multihead(x, source, weights, n_heads, blocked=None):
    in_w, in_b, out_w, out_b = weights
    (B, T, C), S = x.shape, source.shape[1]
    if C % n_heads:
        raise ValueError("heads")
    d = C // n_heads
    q = (x @ in_w[C : 2 * C].T + in_b[C : 2 * C]).view(B, T, n_heads, d).transpose(1, 2)
    k = (source @ in_w[:C].T + in_b[:C]).view(B, S, n_heads, d).transpose(1, 2)
    v = (source @ in_w[2 * C :].T + in_b[2 * C :]).view(B, S, n_heads, d).transpose(1, 2)
    scores = q @ k.transpose(-2, -1) / d**0.5
    if blocked is not None:
        mask = blocked if blocked.dim() == 2 else blocked.unsqueeze(1)
        scores = scores.masked_fill(mask, float("-inf"))
    w = torch.softmax(scores, dim=-1)
    mixed = (w @ v).transpose(1, 2).reshape(B, T, C)
    return mixed @ out_w.T + out_b, w


# %% [markdown] mistake="multihead-order-kqv"
# Takes the first third of `in_w` for the keys and the second for the queries.
#
# In the example by hand all maps are the identity, so nothing shows. Take C = 1, `in_w` with the rows 1, 0, 1 and `in_b` = (0, 1, 0): every
# key is 1, so two source places should get 0.5 each, but for the source 0, 1 yours get 0.27 and 0.73. Read the order of the rows in the
# statement.

# %% wrong="multihead-inverted" fails="multihead-by-hand multihead-torch multihead-others"
def multihead(x, source, weights, n_heads, blocked=None):
    in_w, in_b, out_w, out_b = weights
    (B, T, C), S = x.shape, source.shape[1]
    if C % n_heads:
        raise ValueError("heads")
    d = C // n_heads
    q = (x @ in_w[:C].T + in_b[:C]).view(B, T, n_heads, d).transpose(1, 2)
    k = (source @ in_w[C : 2 * C].T + in_b[C : 2 * C]).view(B, S, n_heads, d).transpose(1, 2)
    v = (source @ in_w[2 * C :].T + in_b[2 * C :]).view(B, S, n_heads, d).transpose(1, 2)
    scores = q @ k.transpose(-2, -1) / d**0.5
    if blocked is not None:
        mask = blocked if blocked.dim() == 2 else blocked.unsqueeze(1)
        scores = scores.masked_fill(~mask, float("-inf"))
    w = torch.softmax(scores, dim=-1)
    mixed = (w @ v).transpose(1, 2).reshape(B, T, C)
    return mixed @ out_w.T + out_b, w


# %% [markdown] mistake="multihead-inverted"
# Reads True in `blocked` as allowed and blocks the other places.
#
# Without a mask all is right. In the example with key 1 blocked only source (1, 2) is left, and you return (0, 6), the row that nobody may
# look at. Does the mask go into your function with the meaning of this chapter or with that of `F.scaled_dot_product_attention`?

# %% wrong="multihead-merged-flat" fails="multihead-torch multihead-others"
def multihead(x, source, weights, n_heads, blocked=None):
    in_w, in_b, out_w, out_b = weights
    (B, T, C), S = x.shape, source.shape[1]
    if C % n_heads:
        raise ValueError("heads")
    d = C // n_heads
    q = (x @ in_w[:C].T + in_b[:C]).view(B, T, n_heads, d).transpose(1, 2)
    k = (source @ in_w[C : 2 * C].T + in_b[C : 2 * C]).view(B, S, n_heads, d).transpose(1, 2)
    v = (source @ in_w[2 * C :].T + in_b[2 * C :]).view(B, S, n_heads, d).transpose(1, 2)
    scores = q @ k.transpose(-2, -1) / d**0.5
    if blocked is not None:
        mask = blocked if blocked.dim() == 2 else blocked.unsqueeze(1)
        scores = scores.masked_fill(mask, float("-inf"))
    w = torch.softmax(scores, dim=-1)
    mixed = (w @ v).reshape(B, T, C)
    return mixed @ out_w.T + out_b, w


# %% [markdown] mistake="multihead-merged-flat"
# Flattens the heads' results without bringing each query's heads side by side first.
#
# With one query nothing shows. With two queries that should give (1, 2) and (0, 6) you return (1, 0) and (2, 6): row 0 holds head 0 of both
# queries, row 1 holds head 1. Which axes stand next to each other when you merge, and which ones should?

# %% wrong="multihead-no-output-map" fails="multihead-torch multihead-others"
def multihead(x, source, weights, n_heads, blocked=None):
    in_w, in_b, out_w, out_b = weights
    (B, T, C), S = x.shape, source.shape[1]
    if C % n_heads:
        raise ValueError("heads")
    d = C // n_heads
    q = (x @ in_w[:C].T + in_b[:C]).view(B, T, n_heads, d).transpose(1, 2)
    k = (source @ in_w[C : 2 * C].T + in_b[C : 2 * C]).view(B, S, n_heads, d).transpose(1, 2)
    v = (source @ in_w[2 * C :].T + in_b[2 * C :]).view(B, S, n_heads, d).transpose(1, 2)
    scores = q @ k.transpose(-2, -1) / d**0.5
    if blocked is not None:
        mask = blocked if blocked.dim() == 2 else blocked.unsqueeze(1)
        scores = scores.masked_fill(mask, float("-inf"))
    w = torch.softmax(scores, dim=-1)
    mixed = (w @ v).transpose(1, 2).reshape(B, T, C)
    return mixed, w


# %% [markdown] mistake="multihead-no-output-map"
# Returns the heads side by side without the last linear map.
#
# Your weights are right, but `out` stays the same whatever `out_w` and `out_b` hold; put 10 into `out_b` and see that nothing moves. In the
# example by hand that map is the identity without a bias, so it hides there; the text on several heads says what comes after putting them
# side by side.

# %% wrong="multihead-keys-from-x" fails="multihead-by-hand multihead-torch multihead-others"
def multihead(x, source, weights, n_heads, blocked=None):
    in_w, in_b, out_w, out_b = weights
    (B, T, C), S = x.shape, source.shape[1]
    if C % n_heads:
        raise ValueError("heads")
    d = C // n_heads
    q = (x @ in_w[:C].T + in_b[:C]).view(B, T, n_heads, d).transpose(1, 2)
    k = (x @ in_w[C : 2 * C].T + in_b[C : 2 * C]).view(B, T, n_heads, d).transpose(1, 2)
    v = (source @ in_w[2 * C :].T + in_b[2 * C :]).view(B, S, n_heads, d).transpose(1, 2)
    scores = q @ k.transpose(-2, -1) / d**0.5
    if blocked is not None:
        mask = blocked if blocked.dim() == 2 else blocked.unsqueeze(1)
        scores = scores.masked_fill(mask, float("-inf"))
    w = torch.softmax(scores, dim=-1)
    mixed = (w @ v).transpose(1, 2).reshape(B, T, C)
    return mixed @ out_w.T + out_b, w


# %% [markdown] mistake="multihead-keys-from-x"
# Takes the keys from `x` and only the values from `source`.
#
# In self-attention both are the same tensor and all looks well. In the example by hand there is one query and two source places, so the
# weights get one column while the values have two rows, and the product fails. The weight of a key is spent on its own value: from which
# side must both come?

# %% right="multihead-by-slices"
def multihead(x, source, weights, n_heads, blocked=None):
    W, b, W_o, b_o = weights
    C = x.shape[-1]
    if C % n_heads != 0:
        raise ValueError(f"{C} cannot be cut into {n_heads} parts")
    d = C // n_heads
    results, tables = [], []
    for h in range(n_heads):
        rows = [slice(part * C + h * d, part * C + (h + 1) * d) for part in range(3)]
        q, k, v = (torch.nn.functional.linear(z, W[r], b[r]) for z, r in zip((x, source, source), rows, strict=True))
        s = torch.einsum("btd,bsd->bts", q, k) * d**-0.5
        if blocked is not None:
            s = torch.where(blocked, torch.full_like(s, -torch.inf), s)
        tables.append(torch.softmax(s, dim=-1))
        results.append(tables[-1] @ v)
    return torch.cat(results, dim=-1) @ W_o.T + b_o, torch.stack(tables, dim=1)


# %% [markdown] explanation="multihead"
# A head is a slice of d rows of each third of the tall matrix: the other right answer computes it so, one head at a time.
# Cutting after the product gives the same and needs one product for all heads.
# $d$ is the size of a head's key. With $\sqrt C$ the scores are too small by $\sqrt{n}$, which trains, a little worse, and never raises an error.
# Without the second transposition the merged rows mix words again. It needs T > 1 to show, so a test with one query is not enough.
# The number of parameters does not depend on the number of heads.

# %% [markdown]
# ## Cross-attention: from one sequence to another
#
# A translator asks from the sentence that it writes into the sentence that it reads: **cross-attention** (交叉注意力).
# The queries come from one side, the keys *and* the values from the other, the **memory** (记忆).
# The two sides may differ in length and in the size of their vectors. The weights form a table with a row for each written token
# and a column for each read one, and that is the picture that we wanted at the beginning.

# %% [markdown]
# ### Exercise 6: cross-attention (6 points)
#
# Write `cross_attention(y, memory, W_q, W_k, W_v, pad)`, with one head:
#
# - `y` `(B, T, C_y)` gives the queries, `memory` `(B, S, C_m)` the keys and the values;
# - `W_q` is `(d, C_y)`, `W_k` `(d, C_m)`, `W_v` `(d_v, C_m)`, used as in `nn.Linear`, no biases; scores are divided by $\sqrt d$;
# - `pad` is bool `(B, S)`, `True` where the memory is a pad: nobody looks there. Each sample has at least one place that is not a pad.
#
# Return a tuple `(out, attn)`, `(B, T, d_v)` and `(B, T, S)`, in the dtype of `y`. Inputs must not change.
#
# By hand: `y` is 0, ½ ln 3; `memory` is 1, 0; `W_q` and `W_k` are columns of four ones (d = 4), `W_v` is 4.
# Query ½ ln 3 scores $4 \cdot \tfrac12 \ln 3 / 2 = \ln 3$ and 0: weights 0.75, 0.25, values 4, 0, result 3. Query 0 gives 2.
#
# <details><summary>Hint 1</summary>Which of the two inputs decides the number of rows of the weights, which the number of columns?</details>
# <details><summary>Hint 2</summary><code>pad[:, None, :]</code> has the shape (B, 1, S) and serves all T queries.</details>


# %% exercise="cross"
def cross_attention(
    y: torch.Tensor, memory: torch.Tensor, W_q: torch.Tensor, W_k: torch.Tensor, W_v: torch.Tensor, pad: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of y (B, T, C_y) look at rows of memory (B, S, C_m) that are not `pad` (B, S): out (B, T, d_v), weights (B, T, S)."""
    # BEGIN SOLUTION
    q, k, v = y @ W_q.T, memory @ W_k.T, memory @ W_v.T
    attn = (q @ k.mT / math.sqrt(len(W_q))).masked_fill(pad[:, None], -torch.inf).softmax(2)
    return attn @ v, attn
    # END SOLUTION


# %% check="cross-by-hand" points=1
def crossed(*parts):
    try:
        return cross_attention(*parts)
    except NotImplementedError:
        raise
    except (RuntimeError, IndexError) as e:
        return f"{type(e).__name__}: {e}"


asks, reads = torch.tensor([[[0.0], [math.log(3.0) / 2]]]), torch.tensor([[[1.0], [0.0]]])
got = crossed(asks, reads, torch.ones(4, 1), torch.ones(4, 1), torch.full((1, 1), 4.0), torch.zeros(1, 2).bool())
assert type(got) is tuple and [type(g) for g in got] == [torch.Tensor] * 2, (
    f"cross_attention must return a tuple (out, attn), got {got}" + ": is `return` missing?" * (got is None)
)
assert_close(
    got[0],
    torch.tensor([[[2.0], [3.0]]]),
    msg=lambda m: (
        f"by hand: out = 2, 3, got {got[0].flatten().tolist()}. 2, 1.41: the keys come from y. 1.10, 0.55: the values come from y. "
        f"1.65, 1.10: both sides exchanged. Second 3.6: not divided, or by the root of C_y = 1, not of d = 4. "
        f"2.54: divided by d. 1, 3: softmax over the queries. 0.5, 0.75: W_v is not used. Four numbers: attn and out exchanged. 0, 0 or "
        f"nan: everything was blocked, but True means pad, and here are none\n{m}"
    ),
)
got = crossed(asks, torch.tensor([[[1.0], [1e10]]]), *[torch.ones(4, 1)] * 2, torch.full((1, 1), 4.0), torch.tensor([[False, True]]))
assert type(got) is tuple and got[0].tolist() == [[[4.0], [4.0]]], (
    f"memory 1 and 1e10, the second is a pad: out = 4, 4, got {got}. nan: a softmax over all, zeros afterwards; the pad had taken everything. "
    "4e10: pads are not hidden, or a number was subtracted from their scores, which are larger still"
)
print("passed: queries from y, keys and values from the memory, no pad")


# %% check="cross-sizes" points=2
def crossed_sizes(*parts):
    try:
        mine = [p.clone() for p in parts]
        return [cross_attention(*mine), mine]
    except NotImplementedError:
        raise
    except (RuntimeError, IndexError) as e:
        return f"{type(e).__name__}: {e}"


_ = torch.manual_seed(23)
parts = [torch.randn(s).double() for s in ((2, 3, 5), (2, 4, 2), (6, 5), (6, 2), (7, 2))]
ends = torch.tensor([[False, False, True, True], [False, True, False, False]])
got = crossed_sizes(*parts, ends)
assert type(got) is list, (
    f"y (2, 3, 5), memory (2, 4, 2), d = 6, d_v = 7, float64: expected (out, attn), got {got}. "
    "3 and 4: does pad belong to the columns, as (B, 1, S)? 5 and 2: do keys or values come from y?"
)
got, left = got
assert type(got) is tuple and [type(g) for g in got] == [torch.Tensor] * 2, (
    f"cross_attention must return a tuple (out, attn) of tensors, got {type(got).__name__}" + ": is `return` missing?" * (got is None)
)
assert [tuple(g.shape) for g in got] == [(2, 3, 7), (2, 3, 4)], (
    f"expected shapes (2, 3, 7) and (2, 3, 4), got {[tuple(g.shape) for g in got]}"
)
assert_close(got[1].sum(2), torch.ones(2, 3).double(), msg=lambda m: f"each query's weights sum to 1, got {got[1].sum(2).tolist()}\n{m}")
seen = got[1].masked_select(ends[:, None].expand(2, 3, 4)).tolist()
assert seen == [0.0] * 9, f"pads must get the weight 0, got {seen}: is `pad` used, for each sample its own row, and True = pad?"
fit = F.linear(parts[0][0, 0], parts[2]) @ F.linear(parts[1][0, 0] - parts[1][0, 1], parts[3]) / 6**0.5
assert_close(
    (got[1][0, 0, 0] / got[1][0, 0, 1]).log(),
    fit,
    msg=lambda m: (
        f"sample 0, query 0, keys 0 and 1: the ratio of their weights should be exp({fit.item():.3f}), the weights are {got[1][0, 0].tolist()}. "
        f"Scores over the root of d = 6? W_q and W_k as in nn.Linear, not reshaped? Only this sample's own pads?\n{m}"
    ),
)
assert_close(got[0], got[1] @ (parts[1] @ parts[4].mT), msg=lambda m: f"out is not attn times the values W_v·memory\n{m}")
assert_close(left, [*parts, ends], msg=lambda m: f"an input was changed in place: y, memory, a matrix, or pad\n{m}")
print("passed: unequal sizes, two samples with different pads")


# %% hidden="cross-random" points=3
def crossed_twice(parts):
    kept = [p.clone() for p in parts]
    out, attn = cross_attention(*kept)
    return out, attn, kept


_ = torch.manual_seed(7)
for sizes in (((3, 2, 4), (3, 5, 6), (3, 4), (3, 6), (2, 6)), ((1, 4, 3), (1, 4, 3), (5, 3), (5, 3), (3, 3))):
    given = [0.7 * torch.randn(s, dtype=torch.float64) for s in sizes]
    hidden_places = torch.rand(sizes[1][:2]) < 0.3
    hidden_places[:, -2:] = False
    out, attn, kept = crossed_twice([*given, hidden_places])
    asks, reads, W1, W2, W3 = given
    e = torch.einsum("btc,dc,bsm,dm->bts", asks, W1, reads, W2) / sizes[2][0] ** 0.5
    e = (e - e.amax(2, keepdim=True)).exp() * (~hidden_places).unsqueeze(1)
    table = e / e.sum(2, keepdim=True)
    assert_close(attn, table, msg=lambda m, sizes=sizes: f"weights for the sizes {sizes}\n{m}")
    assert_close(out, torch.einsum("bts,bsm,vm->btv", table, reads, W3), msg=lambda m, sizes=sizes: f"out for the sizes {sizes}\n{m}")
    assert_close(kept, [*given, hidden_places], msg=lambda m: f"an input was changed in place\n{m}")


# %% wrong="cross-keys-from-queries" fails="cross-by-hand cross-sizes cross-random"
def cross_attention(y, memory, W_q, W_k, W_v, pad):
    q, k, v = F.linear(y, W_q), F.linear(y, W_k), F.linear(memory, W_v)
    scores = q @ k.transpose(1, 2) / W_q.shape[0] ** 0.5
    w = scores.masked_fill(pad.unsqueeze(1), -torch.inf).softmax(-1)
    return w @ v, w


# %% [markdown] mistake="cross-keys-from-queries"
# Computes the keys from `y` instead of from `memory`.
#
# The example by hand gives 2 and 1.41, not 2 and 3: the sentence asks itself where to look and then reads another one at those places. With
# C_y and C_m or T and S unequal it is an error. Which of the two inputs has rows of the length that `W_k` (d, C_m) can take?

# %% wrong="cross-values-from-queries" fails="cross-by-hand cross-sizes cross-random"
def cross_attention(y, memory, W_q, W_k, W_v, pad):
    q, k, v = F.linear(y, W_q), F.linear(memory, W_k), F.linear(y, W_v)
    scores = q @ k.transpose(1, 2) / W_q.shape[0] ** 0.5
    w = scores.masked_fill(pad.unsqueeze(1), -torch.inf).softmax(-1)
    return w @ v, w


# %% [markdown] mistake="cross-values-from-queries"
# Computes the values from `y` instead of from `memory`.
#
# The example by hand gives 1.10 and 0.55, not 2 and 3: your weights are right, but they average what the asking side says itself, so
# nothing of the memory's content arrives. Compare the shape of `W_v` in the statement with the rows that you multiply by it.

# %% wrong="cross-no-pads" fails="cross-sizes cross-random"
def cross_attention(y, memory, W_q, W_k, W_v, pad):
    q, k, v = F.linear(y, W_q), F.linear(memory, W_k), F.linear(memory, W_v)
    w = (q @ k.transpose(1, 2) / W_q.shape[0] ** 0.5).softmax(-1)
    return w @ v, w


# %% [markdown] mistake="cross-no-pads"
# Does not use `pad`: padded places of the memory get weight as well.
#
# Declare the second place of the memory in the example as a pad: then only the value 4 is left, and both queries should get 4, but you
# still return 2 and 3. Change a memory row that is a pad, and watch whether your result moves.

# %% wrong="cross-root-of-input" fails="cross-by-hand cross-random"
def cross_attention(y, memory, W_q, W_k, W_v, pad):
    q, k, v = F.linear(y, W_q), F.linear(memory, W_k), F.linear(memory, W_v)
    scores = q @ k.transpose(1, 2) / y.shape[-1] ** 0.5
    w = scores.masked_fill(pad.unsqueeze(1), -torch.inf).softmax(-1)
    return w @ v, w


# %% [markdown] mistake="cross-root-of-input"
# Divides the scores by the root of the size of the rows of `y`, where d belongs.
#
# In the example C_y is 1 and d is 4, so your score of the second query is too large by a factor of 2 and the result is 3.6 instead of 3.
# Which vectors are multiplied in a score, the rows that come in or their projections, and how long are they?

# %% wrong="cross-renormalised" fails="cross-by-hand"
def cross_attention(y, memory, W_q, W_k, W_v, pad):
    q, k, v = F.linear(y, W_q), F.linear(memory, W_k), F.linear(memory, W_v)
    w = (q @ k.transpose(1, 2) / W_q.shape[0] ** 0.5).softmax(-1) * ~pad.unsqueeze(1)
    return w @ v / w.sum(-1, keepdim=True), w / w.sum(-1, keepdim=True)


# %% [markdown] mistake="cross-renormalised"
# Lets the pads into the softmax, removes them afterwards and divides by what is left.
#
# On paper that is the same. But with the scores 0 and 200, the second one a pad, the first weight is exp(-200), which float32 rounds to 0,
# and 0/0 is `nan`. A pad's score must lose its influence before the softmax.

# %% wrong="cross-subtracted" fails="cross-by-hand"
def cross_attention(y, memory, W_q, W_k, W_v, pad):
    q, k, v = F.linear(y, W_q), F.linear(memory, W_k), F.linear(memory, W_v)
    w = (q @ k.transpose(1, 2) / W_q.shape[0] ** 0.5 - 1e4 * pad.unsqueeze(1)).softmax(-1)
    return w @ v, w


# %% [markdown] mistake="cross-subtracted"
# Subtracts a large number from the scores of pads, which hides only those that are smaller.
#
# With the scores 0 and 20000, the second one a pad, the pad is left with 10000 and gets all the weight. Nobody promises that scores are
# small; what can stand in the place of a pad's score that is less than every number?

# %% right="cross-sample-by-sample"
def cross_attention(y, memory, W_q, W_k, W_v, pad):
    outs, tables = [], []
    for asks, reads, hidden in zip(y, memory, pad, strict=True):
        s = torch.einsum("td,sd->ts", F.linear(asks, W_q), F.linear(reads, W_k)) * W_k.shape[0] ** -0.5
        s[:, hidden] = -torch.inf
        tables.append(torch.softmax(s, dim=1))
        outs.append(tables[-1] @ F.linear(reads, W_v))
    return torch.stack(outs), torch.stack(tables)


# %% [markdown] explanation="cross"
# Keys and values belong to the same side, for the weight of a key is spent on its own value.
# With T = S and equal sizes the mix-up raises no error and trains to something: test with unequal ones.
# `pad` blocks columns of the memory only. Pads among the queries give rows that nobody uses; the loss leaves them out.

# %% [markdown]
# **A resting place.** You have all the parts: weighted means, scores, masks, heads, and both directions.
# The second sitting asks what such a layer cannot know, and uses it on real data.

# %% [markdown]
# ## Blind to order
#
# In a weighted mean nothing says where a vector stood. Shuffle the inputs of self-attention, and the outputs are the same, shuffled alike.
# This is **permutation equivariance** (置换等变性): $f(x_\pi) = f(x)_\pi$ for every order $\pi$.
# (If the output did not change at all, it would be **permutation invariance**, 置换不变性: a mean over all rows is invariant.)
# "man bites dog" and "dog bites man" give the same three vectors. A convolution and a recurrent network do see the order.

# %%
_ = torch.manual_seed(0)
attend, convolve = nn.MultiheadAttention(6, 2, batch_first=True), nn.Conv1d(6, 6, 3, padding=1)
layers = {"attention": lambda z: attend(z[None], z[None], z[None])[0][0], "convolution": lambda z: convolve(z.T[None])[0].T}
x, order = torch.randn(5, 6), torch.tensor([2, 0, 4, 1, 3])
with torch.no_grad():
    for name, f in layers.items():
        print(f"{name}: f(x shuffled) is f(x) shuffled, up to rounding:", torch.allclose(f(x[order]), f(x)[order], atol=1e-5))
        assert ((f(x[order]) - f(x)[order]).abs().max() < 1e-5) == (name == "attention")
print("LayerNorm of x and of x + 1, up to rounding the same:", torch.allclose(F.layer_norm(x, (6,)), F.layer_norm(x + 1, (6,)), atol=1e-5))

# %% [markdown]
# For attention the difference is rounding; for the convolution it is not.
# Such a test of a property, from outside, is a **probe** (探针): it needs no look into the code, and it finds masks that are off by one.
# It can refute, never prove: it sees one input and one change, and the change must get through.
# LayerNorm (chapter 14) takes away each row's mean, and with it a number added to the whole row.
# In float64 rounding is about $10^{-15}$, so a bound of $10^{-9}$ is strict and lies far from rounding.

# %% [markdown]
# ### Exercise 7: two probes (8 points)
#
# Write two functions. `f` takes a float64 tensor `(T, C)` and returns one `(T, D)`, a row for each input row; you may call it as often as you like.
# Both return a Python `bool`. Two numbers $a$, $b$ count as equal if $|a - b| \le$ `atol` holds: an absolute bound; where the difference is `nan`
# (a `nan`, or two equal infinities), they are different. `f` does not write into its input, and you may not change `x`.
#
# - `permutation_equivariant(f, x, order, atol=1e-9)`: `order` is an int64 tensor `(T,)`, a permutation of 0 … T−1.
#   True if $f$ of the reordered rows, `x[order]`, equals the rows of $f(x)$ in that same order.
# - `no_future(f, x, atol=1e-9)`: T ≥ 1. For every $s = 1 \dots T-1$ add 1, 2, …, C to the C numbers of row $s$ **alone** (the other rows as in `x`).
#   True if, for each $s$, the rows of the output *before* $s$ are equal to those of $f(x)$. (For T = 1 there is no future: True.)
#
# By hand: $f$ that adds the place number to each row is not equivariant, and sees no future. `f(x) = x.flip(0)` with T = 3 sees it: row 0 of the output is row 2.
# $f(x) = $ the mean of all rows, in every row, is equivariant and sees the future.
#
# <details><summary>Hint 1</summary>On which of the two sides does <code>order</code> go into f, on which is it applied to what comes out?</details>
# <details><summary>Hint 2</summary>A mask that is off by one lets row t see row t + 1. Which s and which output row show it?</details>


# %% exercise="probes"
def permutation_equivariant(f, x: torch.Tensor, order: torch.Tensor, atol: float = 1e-9) -> bool:
    """Is f(x[order]) equal to f(x)[order], up to atol?"""
    # BEGIN SOLUTION
    return bool(((f(x[order]) - f(x)[order]).abs() <= atol).all())
    # END SOLUTION


def no_future(f, x: torch.Tensor, atol: float = 1e-9) -> bool:
    """Do the rows of f(x) before s stay, up to atol, when 1, 2, …, C are added to row s of x alone, for every s ≥ 1?"""
    # BEGIN SOLUTION
    rows, step = f(x), torch.arange(1, x.shape[1] + 1)
    for s in range(1, len(x)):
        changed = x.clone()
        changed[s] += step
        if not ((f(changed) - rows)[:s].abs() <= atol).all():
            return False
    return True
    # END SOLUTION


# %% check="probes-order" points=2
def answers_about_order(x, order):
    places = torch.arange(4.0).double()[:, None]
    fs = {
        "x * 2": lambda z: z * 2,
        "x minus the mean of the rows": lambda z: z - z.mean(0),
        "x + place": lambda z: z + places,
        "x + place / 1,000,000": lambda z: z + places * 1e-6,
        "x + 3e-9 in one place": lambda z: z + torch.tensor([[3e-9, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]).double(),
        "the first row everywhere": lambda z: z[:1].expand(4, 2),
        "minus the first row everywhere": lambda z: -z[:1].expand(4, 2),
        "x.cumsum(0)": lambda z: z.cumsum(0),
        "nan": lambda z: z * torch.nan,
        "infinity": lambda z: z * torch.inf,
    }
    kept = x.clone()
    answers = {name: permutation_equivariant(f, kept, order) for name, f in fs.items()}
    return {"x + place, atol = 3": permutation_equivariant(fs["x + place"], kept, order, 3.0), **answers}, kept


x, order = torch.tensor([[1.0, 5.0], [2.0, 6.0], [4.0, -3.0], [8.0, 1.0]]).double(), torch.tensor([1, 2, 0, 3])
got, left = answers_about_order(x, order)
assert torch.equal(left, x), f"x was changed, now {left.tolist()}"
kinds = sorted({type(v).__name__ for v in got.values()})
assert kinds == ["bool"], f"permutation_equivariant must return a Python bool, got {kinds}: bool(…)? Is `return` missing?"
wanted = dict(zip(got, [True] * 3 + [False] * 8, strict=True))
missed = {name: v for name, v in got.items() if v != wanted[name]}
same_side = "f(x) must be put into the same order, not left, nor into the inverse order."
both_sides = "f must be called with x[order], and rows compared place by place."
hints = {
    "x + place, atol = 3": "Is atol used?",
    "x * 2": same_side,
    "x minus the mean of the rows": same_side,
    "x + place": both_sides,
    "the first row everywhere": both_sides,
    "x.cumsum(0)": both_sides,
    "x + place / 1,000,000": "A relative tolerance is too mild.",
    "x + 3e-9 in one place": "One number beyond atol is enough: a mean, or a relative tolerance, hides it.",
    "minus the first row everywhere": "Differences may be negative.",
    "nan": "nan is never within a bound: ask whether the difference is within it, not whether it is beyond.",
    "infinity": "inf - inf is nan, which is never within a bound.",
}
assert not missed, (
    f"order [1, 2, 0, 3]: for these f the other answer was expected: {missed}. {' '.join(dict.fromkeys(hints[name] for name in missed))}"
)
print("passed: shuffled in, shuffled out alike")


# %% check="probes-future" points=2
def answers_about_future(x):
    fs = {
        "x * 2": lambda z: z * 2,
        "x.cumsum(0)": lambda z: z.cumsum(0),
        "the next row (mask off by one)": lambda z: torch.cat([z[1:], z[-1:]]),
        "the row after the next": lambda z: torch.cat([z[2:], z[-1:], z[-1:]]),
        "row 0 looks at the last row": lambda z: torch.cat([z[:1] + z[-1:], z[1:]]),
        "row 0 looks at row 1": lambda z: torch.cat([z[:1] + z[1:2], z[1:]]),
        "row 1 looks at the last row": lambda z: torch.cat([z[:1], z[1:2] + z[3:], z[2:]]),
        "row 0 looks at row 1 where it is above the last row": lambda z: torch.cat([(z[1:2] - z[3:]).relu(), z[1:]]),
        "row 0 looks at 1.5e-9 of row 1": lambda z: torch.cat([z[:1] + torch.tensor([1.5e-9, 0.0]).double() * z[1:2], z[1:]]),
        "the next row / 1,000,000": lambda z: z + 1e-6 * torch.cat([z[1:], z[-1:]]),
        "the next row less its mean": lambda z: torch.cat([z[1:] - z[1:].mean(1, keepdim=True), z[-1:]]),
        "the mean of all rows": lambda z: z.mean(0).expand(4, 2),
        "nan": lambda z: z * torch.nan,
        "infinity": lambda z: z * torch.inf,
    }
    kept = x.clone()
    answers = {name: no_future(f, kept) for name, f in fs.items()}
    return {"the mean of all rows, atol = 3": no_future(fs["the mean of all rows"], kept, 3.0), **answers}, kept


x = torch.tensor([[2.0, 5.0], [1.0, 2.0], [0.1, -3.0], [1.7, 3.3]], dtype=torch.float64)
got, left = answers_about_future(x)
assert torch.equal(left, x), f"x was changed, now {left.tolist()}: work on a clone (what is added and taken off again leaves rounding behind)"
kinds = sorted({type(v).__name__ for v in got.values()})
assert kinds == ["bool"], f"no_future must return a Python bool, got {kinds}: bool(…)? Is `return` missing?"
wanted = dict(zip(got, [True] * 3 + [False] * 12, strict=True))
missed = {name: v for name, v in got.items() if v != wanted[name]}
later = "Rows from s on may change, only those before s may not; or earlier changes were still in x: a new clone for every s."
every = "Try every s, and look at all rows before it."
hints = {
    "the mean of all rows, atol = 3": "Is atol used, and a new clone made for every s?",
    "x * 2": later,
    "x.cumsum(0)": later,
    "the next row (mask off by one)": "The last row that must stay is s − 1.",
    "the row after the next": every,
    "row 0 looks at the last row": every,
    "row 1 looks at the last row": every,
    "row 0 looks at row 1": "s begins at 1, the last row that must stay is s − 1, and the numbers are added, not written.",
    "row 0 looks at row 1 where it is above the last row": "Row s changes alone, and every s is tried.",
    "row 0 looks at 1.5e-9 of row 1": "One number beyond atol is enough: a mean, or a relative tolerance, hides it.",
    "the next row / 1,000,000": "A relative tolerance is too mild.",
    "the next row less its mean": "1, 2, …, C: where one number is added to the whole row, such an f takes it away again.",
    "the mean of all rows": "Compare the rows before s with those of f(x).",
    "nan": "nan is never within a bound: ask whether the difference is within it, not whether it is beyond.",
    "infinity": "inf - inf is nan, which is never within a bound.",
}
assert not missed, f"for these f the other answer was expected: {missed}. {' '.join(dict.fromkeys(hints[name] for name in missed))}"
print("passed: leaks found at every distance")


# %% hidden="probes-attention" points=2
def about_attention(weights, x, order):
    attend = nn.MultiheadAttention(4, 2, batch_first=True).double()
    attend.load_state_dict(weights)
    T = len(x)
    results = {}
    for name, k in (("causal", 1), ("off by one", 2), ("self missing", 0), ("free", T)):
        block = torch.ones(T, T).triu(k).bool()
        block[0, 0] = False
        f = lambda z, block=block: attend(z[None], z[None], z[None], attn_mask=block)[0][0].detach()
        results[name] = [no_future(f, x), permutation_equivariant(f, x, order)]
    waves = torch.arange(T).double()[:, None].sin()
    plain = lambda z: attend(z[None], z[None], z[None])[0][0].detach()
    norm = nn.LayerNorm(4).double()
    results["free, after LayerNorm"] = [no_future(lambda z: plain(norm(z)), x), permutation_equivariant(lambda z: plain(norm(z)), x, order)]
    results["position inside"] = [no_future(lambda z: plain(z + waves), x), permutation_equivariant(lambda z: plain(z + waves), x, order)]
    return results


_ = torch.manual_seed(7)
weights = {k: v.clone() for k, v in nn.MultiheadAttention(4, 2, batch_first=True).double().state_dict().items()}
got = about_attention(weights, torch.randn(6, 4).double(), torch.tensor([4, 0, 3, 5, 2, 1]))
wanted = {
    "causal": [True, False],
    "off by one": [False] * 2,
    "self missing": [True, False],
    "free": [False, True],
    "free, after LayerNorm": [False, True],
    "position inside": [False] * 2,
}
assert got == wanted, f"[no_future, permutation_equivariant] of self-attention with masks: expected {wanted}, got {got}"


# %% hidden="probes-bound" points=2
def about_the_bound(x):
    shift = lambda by: lambda z: z + by * torch.arange(len(z)).double()[:, None]
    peek = lambda by: lambda z: z + by * torch.cat([z[1:], z[-1:]])
    swap = torch.tensor([1, 0, 2])
    first = [permutation_equivariant(shift(by), x, swap, atol) for by, atol in ((0.25, 0.25), (0.25, 0.24), (-0.25, 0.24), (1e-10, 1e-9))]
    second = [no_future(peek(by), x, atol) for by, atol in ((0.25, 0.25), (0.25, 0.24), (-0.25, 0.24), (1e-10, 1e-9))]
    tight = [permutation_equivariant(shift(1e-8), x, swap), permutation_equivariant(shift(1e-10), x, swap)]
    tight += [no_future(peek(1e-8), x), no_future(peek(1e-10), x), no_future(lambda z: z * torch.nan, x), no_future(peek(1.0), x[:1])]
    late = lambda z: z + (z > 0).double() * torch.cat([z[1:], torch.zeros(1, 1).double()])
    up = lambda z: torch.cat([(z[1:] >= 0.5).double(), torch.zeros(1, 1).double()])
    down = lambda z: torch.cat([(z[1:] <= -0.5).double(), torch.zeros(1, 1).double()])
    more = lambda z: torch.cat([(z[1:] > 1.5).double(), torch.zeros(1, 1).double()])
    wide = torch.zeros(3, 3).double()
    alike = lambda row: lambda z: torch.cat([(z[1:] == torch.tensor(row)).all(1, keepdim=True).double(), torch.zeros(1, 1).double()])
    steps = [no_future(alike(row), wide) for row in ([1.0, 2.0, 3.0], [1.0, 1.0, 1.0], [3.0, 2.0, 1.0])]
    return first, second, tight, [no_future(late, x), no_future(up, x), no_future(down, x), no_future(more, x)], steps


got = about_the_bound(torch.zeros(3, 1).double())
expected = ([True, False, False, True],) * 2 + ([False, True, False, True, False, True],)
assert got[:3] == expected, f"effects at, above and below the bound, default 1e-9, nan, T = 1: expected {expected}, got {got[:3]}"
assert got[3] == [True, False, True, True], (
    f"zeros, C = 1, f that reacts to +1 only: expected [True, False, True, True], got {got[3]}: add 1, no other number"
)
assert got[4] == [False, True, True], f"zeros, C = 3, f that reacts to a row (1, 2, 3), (1, 1, 1), (3, 2, 1) alone: expected [False, True, True], got {got[4]}"


# %% wrong="probes-invariance" fails="probes-order probes-attention"
def permutation_equivariant(f, x, order, atol=1e-9):
    return bool(((f(x[order]) - f(x)).abs() <= atol).all())


def no_future(f, x, atol=1e-9):
    rows = f(x)
    for s in range(1, x.shape[0]):
        y = x.clone()
        y[s] += torch.arange(1, x.shape[1] + 1)
        if not bool(((f(y)[:s] - rows[:s]).abs() <= atol).all()):
            return False
    return True


# %% [markdown] mistake="probes-invariance"
# Compares f of the shuffled rows with f(x) in the old order, which tests invariance.
#
# For f(x) = 2x, rows 1, 2, 4 and the order (1, 2, 0), the shuffled call gives 4, 8, 2; you compare it with 2, 4, 8 and answer False, though
# this f is equivariant. The text before the exercise sets the two words side by side: in which of them does the output move along?

# %% wrong="probes-inverse-order" fails="probes-order probes-attention"
def permutation_equivariant(f, x, order, atol=1e-9):
    return bool(((f(x[order]) - f(x)[order.argsort()]).abs() <= atol).all())


def no_future(f, x, atol=1e-9):
    rows = f(x)
    step = torch.arange(1, x.shape[1] + 1)
    return all(bool(((f(x + (torch.arange(len(x)) == s)[:, None] * step) - rows)[:s].abs() <= atol).all()) for s in range(1, len(x)))


# %% [markdown] mistake="probes-inverse-order"
# Puts the rows of f(x) into the inverse order instead of the same one.
#
# For f(x) = 2x, rows 1, 2, 4 and the order (1, 2, 0), the shuffled call gives 4, 8, 2; you compare it with 8, 2, 4 and answer False. A swap
# of two rows is its own inverse and hides this, so check by hand with a cycle of three.

# %% wrong="probes-off-by-one" fails="probes-future probes-attention"
def permutation_equivariant(f, x, order, atol=1e-9):
    return bool(((f(x[order]) - f(x)[order]).abs() <= atol).all().item())


def no_future(f, x, atol=1e-9):
    rows = f(x)
    for s in range(1, x.shape[0]):
        y = x.clone()
        y[s] += torch.arange(1, x.shape[1] + 1)
        if not bool(((f(y)[: s - 1] - rows[: s - 1]).abs() <= atol).all()):
            return False
    return True


# %% [markdown] mistake="probes-off-by-one"
# Does not check the row directly before the changed one, so a look at the next row goes unnoticed.
#
# An f whose row t shows row t + 1 is the mask that is off by one, and you answer True for it; with T = 2 nothing is compared at all. Take s
# = 1 and write down which rows of the output your slice keeps, and which ones stand before s.

# %% wrong="probes-in-place" fails="probes-future"
def permutation_equivariant(f, x, order, atol=1e-9):
    return bool(((f(x[order]) - f(x)[order]).abs() <= atol).all().item())


def no_future(f, x, atol=1e-9):
    rows, fine = f(x).clone(), True
    for s in range(x.shape[0] - 1, 0, -1):
        x[s] += torch.arange(1, x.shape[1] + 1)
        fine = fine and bool(((f(x)[:s] - rows[:s]).abs() <= atol).all())
    return fine


# %% [markdown] mistake="probes-in-place"
# Adds its numbers to the caller's `x` itself and never takes them back.
#
# For the rows 1, 2, 4 the caller finds 1, 3, 5 after one call, and each later s sees the changes of the earlier ones too. The statement
# allows one changed row at a time, all others as in `x`: what must each round start from?

# %% wrong="probes-allclose" fails="probes-order probes-future"
def permutation_equivariant(f, x, order, atol=1e-9):
    return torch.allclose(f(x[order]), f(x)[order], rtol=1e-5, atol=atol)


def no_future(f, x, atol=1e-9):
    rows = f(x)
    for s in range(1, x.shape[0]):
        y = x.clone()
        y[s] += torch.arange(1, x.shape[1] + 1)
        if not torch.allclose(f(y)[:s], rows[:s], rtol=1e-5, atol=atol):
            return False
    return True


# %% [markdown] mistake="probes-allclose"
# Compares with a relative tolerance on top of `atol`, so small leaks behind large numbers pass.
#
# With rows near 1000, an f that adds 0.001 of the next row sees the future, and you answer True: the relative part alone allows about 0.01
# there. The statement defines "equal" by one absolute bound; look up what the comparison that you call adds to it by default.

# %% wrong="probes-one-number" fails="probes-future probes-attention probes-bound"
def permutation_equivariant(f, x, order, atol=1e-9):
    return bool(((f(x[order]) - f(x)[order]).abs() <= atol).all().item())


def no_future(f, x, atol=1e-9):
    rows = f(x)
    for s in range(1, x.shape[0]):
        y = x.clone()
        y[s] += 1
        if not bool(((f(y)[:s] - rows[:s]).abs() <= atol).all()):
            return False
    return True


# %% [markdown] mistake="probes-one-number"
# Adds one and the same number to the whole row, which a layer may take away again.
#
# An f that first subtracts each row's mean, as LayerNorm does, turns (4, 6) and (5, 7) into the same (-1, 1): it may look at the next row as
# much as it likes, and you answer True. The statement says what each column of row s gets.

# %% wrong="probes-all-later-rows" fails="probes-future"
def permutation_equivariant(f, x, order, atol=1e-9):
    return bool(((f(x[order]) - f(x)[order]).abs() <= atol).all().item())


def no_future(f, x, atol=1e-9):
    rows = f(x)
    for s in range(1, x.shape[0]):
        y = x.clone()
        y[s:] += torch.arange(1, x.shape[1] + 1)
        if not bool(((f(y)[:s] - rows[:s]).abs() <= atol).all()):
            return False
    return True


# %% [markdown] mistake="probes-all-later-rows"
# Changes row s and all rows after it at once, so changes can cancel each other.
#
# An f whose row 0 shows by how much row 1 is above row 3 does not move when both rise alike. With the rows 2, 1, 1, 1 its first row is 0,
# and stays 0 for every s of yours. How many rows of the input differ from `x` in each try, by the statement?

# %% right="probes-one-row-at-a-time"
def permutation_equivariant(f, x, order, atol=1e-9):
    together, alone = f(x), f(x.index_select(0, order))
    return all(bool((alone[i] - together[j]).abs().max() <= atol) for i, j in enumerate(order.tolist()))


def no_future(f, x, atol=1e-9):
    rows, T = f(x), x.shape[0]
    for s in reversed(range(1, T)):
        other = f(torch.cat([x[:s], x[s : s + 1] + torch.arange(1, x.shape[1] + 1), x[s + 1 :]]))
        if any(not bool((other[t] - rows[t]).abs().max() <= atol) for t in range(s)):
            return False
    return True


# %% [markdown] survives="probes"
# - `for s in reversed(list(range(1, len(x)))):`: each s is tried by itself, the order does not matter
# - `for s in range(0, len(x)):`: there is no row before 0, so s = 0 compares nothing
# - `if not ((rows - f(changed))[:s].abs() <= atol).all():`: the size of a difference has no sign

# %% [markdown] explanation="probes"
# A swap of two rows is its own inverse, so a probe that confuses `order` with its inverse passes on swaps: use an order with a cycle of three.
# `torch.allclose` has a relative part of $10^{-5}$ by default, which hides small leaks behind large numbers.
# `<=` and not `not >`: every comparison with nan is False.
# A probe can only refute. Passing at one x is strong evidence for a smooth layer with random weights, and no proof.
# Many transformers begin a layer with LayerNorm: without any mask they pass a probe that adds one number to a whole row. 1, 2, …, C gets through.

# %% [markdown]
# ## Positions
#
# Since attention cannot see where a vector stands, the place is written *into* the vector: a row $p_t$ that depends on $t$ alone is added to it,
# **positional encoding** (位置编码). It may be a learned table, or the fixed waves of "Attention Is All You Need" (2017):
#
# $$p_{t,2i} = \sin(t / 10000^{2i/d}), \qquad p_{t,2i+1} = \cos(t / 10000^{2i/d}).$$
#
# Each pair of columns is a clock hand with a speed of its own. The first turns by 1 (in radians) a step, the last almost stands still.
# (The cell writes them oddly, so as not to give Exercise 8 away: skip its code.)

# %%
L, d = 60, 32
angles = torch.outer(torch.arange(L), torch.logspace(0, -4, d // 2 + 1)[:-1])  # (60, 16): place times speed
waves = torch.view_as_real(torch.polar(torch.ones_like(angles), angles)).flip(2).flatten(1)  # a hand's (cos, sin), turned to sin, cos
fig, axes = plt.subplots(1, 3, figsize=(11, 3.2))
image = axes[0].imshow(waves, cmap="RdBu", aspect="auto", vmin=-1, vmax=1)
axes[0].set(xlabel="column", ylabel="place t", title="the waves")
fig.colorbar(image, ax=axes[0])
axes[1].imshow(waves @ waves.T, cmap="viridis")
axes[1].set(xlabel="place s", ylabel="place t", title=r"dot products $p_t \cdot p_s$")
for t, style in ((10, "-"), (30, "--"), (50, ":")):
    axes[2].plot(range(-10, 10), (waves @ waves[t])[t - 10 : t + 10], style, lw=2, label=f"t = {t}")
axes[2].set(xlabel="distance s − t", ylabel=r"$p_t \cdot p_s$", title="three rows of it, shifted")
axes[2].legend()
plt.show()
assert_close((waves @ waves.T).diagonal(5), (waves @ waves.T)[0, 5].expand(L - 5), atol=1e-3, rtol=0)

# %% [markdown]
# On the left every row is another pattern. In the middle the colour is the same along each diagonal, and on the right the three curves coincide:
# the dot product depends on the distance $s - t$ alone, because $\sin a \sin b + \cos a \cos b = \cos(a - b)$ for every hand.
# It is largest at distance 0, so a place resembles its neighbours.

# %% [markdown]
# ### Exercise 8: the waves (5 points)
#
# Write `sinusoid(L, d)`: the tensor `(L, d)`, float32, of the waves above for the places 0 … L−1; L ≥ 1 and d ≥ 1 are Python integers.
# Sine and cosine alternate: columns 0, 2, 4 … are sines, 1, 3, 5 … cosines, and columns $2i$ and $2i+1$ have the same speed
# ($2i$ in the exponent is the number of the sine's column).
# If d is odd, the last column is a sine; $d$ in the exponent is the d that was given. Values must be right to $10^{-4}$ for places below 500.
#
# By hand, d = 4, place 1: $\sin 1, \cos 1, \sin 0.01, \cos 0.01$, that is 0.841, 0.540, 0.010, 1.000.
# d = 3, place 1: $\sin 1$, $\cos 1$, $\sin(10000^{-2/3}) = 0.00215$.
#
# <details><summary>Hint 1</summary>How many sines are there for odd d, and how many cosines?</details>
# <details><summary>Hint 2</summary>A tensor of zeros, and <code>out[:, 0::2] = …</code>, <code>out[:, 1::2] = …</code>.</details>


# %% exercise="sinusoid"
def sinusoid(L: int, d: int) -> torch.Tensor:
    """Waves (L, d): column 2i is sin(t / 10000^(2i/d)), column 2i + 1 the cosine of the same; d may be odd."""
    # BEGIN SOLUTION
    speed = 10000.0 ** (-torch.arange(0, d, 2) / d)
    angle = torch.arange(L)[:, None] * speed  # (L, ceil(d / 2))
    return torch.stack([angle.sin(), angle.cos()], 2).flatten(1)[:, :d]
    # END SOLUTION


# %% check="sinusoid-by-hand" points=1
got = sinusoid(3, 4)
assert type(got) is torch.Tensor, f"sinusoid must return a tensor, got {type(got).__name__}" + ": is `return` missing?" * (got is None)
assert got.shape == (3, 4) and got.dtype == torch.float32, (
    f"sinusoid(3, 4) must be float32 of shape (3, 4), got {got.dtype}, {tuple(got.shape)}"
)
wanted = torch.tensor([[w for a in (t, t / 100) for w in (math.sin(a), math.cos(a))] for t in range(3)])
assert_close(
    got,
    wanted,
    atol=1e-4,
    rtol=0,
    msg=lambda m: (
        f"place 1 of d = 4: (0.841, 0.540, 0.010, 1.000), got {got[1].tolist()}. (0.841, 0.010, 0.540, 1.000): first all sines, then all cosines. "
        f"(0.540, 0.841, …): sine and cosine exchanged. (…, …, 0.0998, 0.995): exponent i/d, not 2i/d. "
        f"Third 0.0001: 2i is the number of the column, not twice that. Second 0.995: the cosine has a speed of its own. "
        f"First 0.909: places count from 0\n{m}"
    ),
)
print("passed: sine, cosine, sine, cosine")


# %% check="sinusoid-odd" points=1
def odd_waves():
    try:
        return [sinusoid(2, 3), sinusoid(2, 1), sinusoid(2, 5)]
    except NotImplementedError:
        raise
    except (RuntimeError, IndexError) as e:
        return f"{type(e).__name__}: {e}"


got = odd_waves()
assert type(got) is list, f"sinusoid(2, 3): odd d must work, got {got}. About sizes: there is one sine more than cosines"
assert all(type(g) is torch.Tensor for g in got), (
    f"sinusoid must return a tensor, got {[type(g).__name__ for g in got]} (NoneType: is `return` missing?)"
)
assert [tuple(g.shape) for g in got] == [(2, 3), (2, 1), (2, 5)], (
    f"d = 3, 1 and 5 must give (2, 3), (2, 1) and (2, 5), got {[tuple(g.shape) for g in got]}"
)
assert_close(
    got[0][1],
    torch.tensor([math.sin(1), math.cos(1), math.sin(10000 ** (-2 / 3))]),
    atol=1e-5,
    rtol=0,
    msg=lambda m: (
        f"place 1 of d = 3: (0.841, 0.540, 0.00215), got {got[0][1].tolist()}. 0.0100: the exponent was divided by 4, not by 3. "
        f"Second 0.99…: each cosine has the speed of the sine before it. First 0.909: places count from 0\n{m}"
    ),
)
slow, last = 10000 ** (-2 / 5), 10000 ** (-4 / 5)
assert_close(
    got[2][1],
    torch.tensor([math.sin(1), math.cos(1), math.sin(slow), math.cos(slow), math.sin(last)]),
    atol=1e-5,
    rtol=0,
    msg=lambda m: (
        f"place 1 of d = 5: (0.841, 0.540, 0.0251, 0.9997, 0.00063), got {got[2][1].tolist()}. "
        f"Fourth 0.540: each cosine has the speed of the sine before it, not of the first\n{m}"
    ),
)
print("passed: odd sizes")

# %% hidden="sinusoid-many" points=3
sizes = [(500, 10), (7, 9), (1, 6), (40, 2), (3, 1), (20, 64)]
got = [sinusoid(*size) for size in sizes]
for (L, d), result in zip(sizes, got, strict=True):
    at = [[t / 10000 ** ((c - c % 2) / d) for c in range(d)] for t in range(L)]
    wanted = torch.tensor([[math.cos(a) if c % 2 else math.sin(a) for c, a in enumerate(line)] for line in at])
    assert_close(result, wanted, atol=1e-4, rtol=0, msg=lambda m, L=L, d=d: f"sinusoid({L}, {d})\n{m}")


# %% wrong="sinusoid-halves" fails="sinusoid-by-hand sinusoid-odd sinusoid-many"
def sinusoid(L, d):
    a = torch.arange(L).unsqueeze(1) / 10000 ** (torch.arange(0, d, 2) / d)
    return torch.cat([a.sin(), a.cos()], dim=1)[:, :d]


# %% [markdown] mistake="sinusoid-halves"
# Puts all sines first and all cosines after them instead of alternating.
#
# Place 1 of d = 4 is (0.841, 0.010, 0.540, 1.000) in your answer: the right four numbers in the wrong columns. By the statement columns 2i
# and 2i + 1 belong together; how do you join two tables so that their columns take turns?

# %% wrong="sinusoid-even-only" fails="sinusoid-odd sinusoid-many"
def sinusoid(L, d):
    out = torch.zeros(L, d)
    a = torch.arange(L).unsqueeze(1) / 10000 ** (torch.arange(0, d, 2) / d)
    out[:, 0::2], out[:, 1::2] = a.sin(), a.cos()
    return out


# %% [markdown] mistake="sinusoid-even-only"
# Assumes that d is even and stops with an error for odd d.
#
# For d = 3 there are two sines and one cosine, columns 0, 2 and column 1, but you compute as many cosines as sines and one column has no
# room. Write down for d = 5 which columns are sines and which are cosines, and count both.

# %% wrong="sinusoid-exponent" fails="sinusoid-by-hand sinusoid-many"
def sinusoid(L, d):
    a = torch.arange(L).unsqueeze(1) / 10000 ** (torch.arange((d + 1) // 2) / d)
    out = torch.zeros(L, d)
    out[:, 0::2], out[:, 1::2] = a.sin(), a.cos()[:, : d // 2]
    return out


# %% [markdown] mistake="sinusoid-exponent"
# Uses the exponent i/d where the formula has 2i/d.
#
# The first pair is right, as its exponent is 0, but the second pair at place 1 of d = 4 is (0.0998, 0.995) and should be (0.010, 1.000):
# your hands slow down only half as fast. In the formula, what is the exponent of column 2?

# %% wrong="sinusoid-own-speeds" fails="sinusoid-by-hand sinusoid-many"
def sinusoid(L, d):
    a = torch.arange(L).unsqueeze(1) / 10000 ** (torch.arange(d) / d)
    return torch.where(torch.arange(d) % 2 == 0, a.sin(), a.cos())


# %% [markdown] mistake="sinusoid-own-speeds"
# Gives each cosine a speed of its own instead of that of the sine before it.
#
# At place 1 of d = 4 the second number is 0.995 in your answer and should be 0.540, the cosine of 1. Each pair of columns is one clock
# hand, sine and cosine of the same angle; which exponents do columns 0 and 1 have in your code?

# %% wrong="sinusoid-rounded-up" fails="sinusoid-odd sinusoid-many"
def sinusoid(L, d):
    even = d + d % 2
    a = torch.arange(L).unsqueeze(1) / 10000 ** (torch.arange(0, even, 2) / even)
    return torch.stack([a.sin(), a.cos()], dim=-1).flatten(1)[:, :d]


# %% [markdown] mistake="sinusoid-rounded-up"
# Rounds an odd d up to the next even number in the exponent as well.
#
# For d = 3 at place 1 the last number is 0.0100 in your answer and should be 0.00215, because you divide by 4 there. Making one column too
# many is no harm; the statement has a sentence about which d stands in the exponent.

# %% right="sinusoid-columns"
def sinusoid(L, d):
    t, out = torch.arange(L, dtype=torch.float64), torch.zeros(L, d)
    for c in range(d):
        wave = torch.cos if c % 2 else torch.sin
        out[:, c] = wave(t * 10000.0 ** (-(c - c % 2) / d)).float()
    return out


# %% [markdown] explanation="sinusoid"
# There are ceil(d/2) sines; stacking pairs and cutting at d leaves out the last cosine of an odd d.
# Halves instead of pairs would train as well, since the columns are only renamed; but weights trained with the one are nonsense with the other.
# One step further is a rotation of every pair by its own angle, the same for all t: a linear map can learn "the place before mine".

# %% [markdown]
# ## Does it matter? Digits with shuffled rows
#
# Each scikit-learn digit is a set of 8 vectors: its rows, of 8 pixels each. An attention layer reads them, added to its input;
# a linear layer with ReLU on each row, a mean over the rows and a last linear layer name the digit. We train it with the waves and without, on 1,397 digits, with three seeds,
# and test on the other 400 twice: as they are, and with the rows in another order.

# %%
bunch = load_digits()
mixed = torch.randperm(1797, generator=torch.Generator().manual_seed(0))
images, labels = torch.tensor(bunch.images, dtype=torch.float32)[mixed] / 16, torch.tensor(bunch.target)[mixed]  # (N, 8, 8), (N,)


class RowReader(nn.Module):
    """Digits (N, 8, 8) as sets of 8 rows; `strength` 1 adds the waves, 0 leaves them out."""

    def __init__(self, strength: float, C: int = 32) -> None:
        super().__init__()
        self.up, self.attend = nn.Linear(8, C), nn.MultiheadAttention(C, 4, batch_first=True)
        self.name = nn.Sequential(nn.Linear(C, 64), nn.ReLU(), nn.Linear(64, 10))
        self.register_buffer("places", strength * waves[:8])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.up(x) + self.places
        z = z + self.attend(z, z, z, need_weights=False)[0]
        return self.name[2](self.name[:2](z).mean(1))


def train_reader(strength: float, seed: int) -> nn.Module:
    _ = torch.manual_seed(seed)
    model = RowReader(strength)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, 600)
    for _ in range(600):
        chosen = torch.randint(1397, (64,))
        loss = F.cross_entropy(model(images[chosen]), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval()


readers = {strength: [train_reader(strength, seed) for seed in range(3)] for strength in (0.0, 1.0)}

# %% tags=["nbval-ignore-output"]
rows_mixed = torch.tensor([3, 6, 1, 7, 0, 4, 2, 5])


@torch.no_grad()
def share_right(model: nn.Module, x: torch.Tensor) -> float:
    return (model(x).argmax(1) == labels[1397:]).float().mean().item()


results = {s: [(share_right(m, images[1397:]), share_right(m, images[1397:, rows_mixed])) for m in readers[s]] for s in readers}
print({f"strength {s}": [(round(a, 2), round(b, 2)) for a, b in pairs] for s, pairs in results.items()})
fig, axes = plt.subplots(1, 3, figsize=(9, 2.8), width_ratios=(1, 1, 2.2))
for ax, picture, title in ((axes[0], images[1399], "as it is"), (axes[1], images[1399][rows_mixed], "rows shuffled")):
    ax.imshow(picture, cmap="gray_r")
    ax.set(title=title, xticks=[], ylabel="row")
for place, s in enumerate((0.0, 1.0)):
    for k, colour in ((0, "tab:blue"), (1, "tab:orange")):
        axes[2].bar([place + 0.13 * (i + 3 * k - 2.5) for i in range(3)], [r[k] for r in results[s]], 0.11, color=colour)
axes[2].set(
    xticks=[0, 1], xticklabels=["without positions", "with positions"], ylabel="share right", ylim=(0, 1.2), title="three seeds each"
)
axes[2].legend(axes[2].containers[:6:3], ["as they are", "rows shuffled"], ncols=2, loc="upper center", fontsize=8)
plt.show()
assert all(abs(a - b) <= 0.005 and a < 0.9 for a, b in results[0.0]), results
assert all(a > 0.9 and b < 0.5 for a, b in results[1.0]), results
assert min(a for a, _ in results[1.0]) > max(a for a, _ in results[0.0]) + 0.02, results

# %% [markdown]
# Without positions the two bars of each seed are equal: the shuffle changes nothing, and the network has never known the order.
# It is right on more than three quarters all the same, for the rows themselves tell much.
# With positions it is better by several points (with seven seeds: 94 to 96 % against 81 to 86 %),
# and falls below a half, to about a quarter, when the rows are mixed, because now it relies on them.
# Neither is "better" as such. If the input truly is a set (atoms, a basket of goods), blindness is right.

# %% [markdown]
# ## A convolution is a special attention
#
# Suppose the weights did not depend on the content, but only on the distance: head 0 always looks at the place before, head 1 at its own, head 2
# at the next. A softmax does that when the score is, say, $-50\,(s - t - o)^2$ with the offset $o$ of the head: the weights become all but one-hot rows.
# Then the heads collect exactly what the kernel of a convolution, of width 3, sees, and $W_v$, $W_o$ together are its numbers
# (Cordonnier, Loukas and Jaggi 2020 show it for pictures).
# So a convolution is attention with a fixed, narrow look, and attention a convolution that learns where to look.
# The wider set of functions needs more data; with little data, the narrow one wins.
#
# At the border the two part. A convolution with padding sees zeros there; a row of attention must sum to 1, so it looks at the nearest place there is.

# %%
T, offsets = 9, (-1, 0, 1)
distance = torch.arange(T) - torch.arange(T)[:, None]  # key place minus query place
fig, axes = plt.subplots(1, 3, figsize=(8, 2.8))
for ax, o in zip(axes, offsets, strict=True):
    ax.imshow((-50.0 * (distance - o) ** 2).softmax(1), cmap="Blues", vmin=0, vmax=1)
    ax.set(title=f"head with offset {o}", xlabel="key", ylabel="query", xticks=range(0, 9, 2), yticks=range(0, 9, 2))
plt.show()

# %% [markdown]
# Three diagonals. In the left picture query 0 should look at place −1, which does not exist: it looks at 0. In the right one query 8 does likewise.

# %% [markdown]
# ### Exercise 9: a convolution as attention (7 points)
#
# Write `conv_as_attention(x, kernel)`: `x` `(T, C)` has T ≥ 1 places, `kernel` `(C_out, C, K)` has the layout of `nn.Conv1d`, K odd; both have one float dtype.
# Return a tuple `(out, attn)`:
#
# - `attn` `(K, T, T)`, in the dtype of `x`: head $j$ has the offset $j - (K-1)/2$, a whole number, as K is odd; its row $t$ is one-hot (exactly 0 and 1; the −50 above only
#   comes near) at the place $t$ + offset.
#   Where that place does not exist, at the nearest one that does (0 or T−1). So every row sums to 1. K may be larger than T.
# - `out` `(T, C_out)`: the sum over the heads of `attn[j] @ x @ kernel[:, :, j].T`.
#
# *Inside*, for $t$ from $(K-1)/2$ to $T - 1 - (K-1)/2$, `out` then equals `F.conv1d`; at the border it does not.
# Not allowed: `conv1d`, `nn.Conv1d`, `unfold`, `pad`. Inputs must not change; gradients must reach `x` and `kernel`.
#
# By hand: C = C_out = 1, kernel (1, 10, 100), x = (1, 2, 4, 7).
# Place 1: $1 \cdot 1 + 10 \cdot 2 + 100 \cdot 4 = 421$. Place 0 sees itself twice: $1 + 10 + 200 = 211$.
#
# <details><summary>Hint 1</summary>Which place does head j of query t look at, as a table (K, T) of integers, and what does <code>clamp</code> do with it?</details>
# <details><summary>Hint 2</summary><code>F.one_hot(places, T)</code> makes the rows, as integers: a product needs the dtype of <code>x</code>.</details>


# %% exercise="conv"
def conv_as_attention(x: torch.Tensor, kernel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """x (T, C), kernel (C_out, C, K), K odd: out (T, C_out) and the one-hot heads (K, T, T), nearest place at the border."""
    # BEGIN SOLUTION
    T, K = len(x), kernel.shape[2]
    seen = torch.arange(T) + torch.arange(K)[:, None] - K // 2  # (K, T)
    attn = F.one_hot(seen.clamp(0, T - 1), T).to(x.dtype)
    return torch.einsum("kts,sc,ock->to", attn, x, kernel), attn
    # END SOLUTION


# %% check="conv-by-hand" points=2
def as_heads(x, kernel):
    try:
        return conv_as_attention(x, kernel)
    except NotImplementedError:
        raise
    except (RuntimeError, IndexError) as e:
        return f"{type(e).__name__}: {e}"


got = as_heads(torch.tensor([[1.0], [2.0], [4.0], [7.0]]), torch.tensor([[[1.0, 10.0, 100.0]]]))
assert type(got) is not str, (
    f"x (4, 1), kernel (1, 1, 3): expected (out, attn), got {got}. LongTensor: the places are floats, for `/` gives floats; use //. Class "
    f"values or an index: bring the places beyond the border back to 0 or T−1 first. Two unlike dtypes: one_hot gives integers"
)
assert type(got) is tuple and [type(g) for g in got] == [torch.Tensor] * 2, (
    f"conv_as_attention must return a tuple (out, attn) of tensors, got {got}" + ": is `return` missing?" * (got is None)
)
assert got[1].shape == (3, 4, 4), f"three heads over four places: attn must be (3, 4, 4), got {tuple(got[1].shape)}"
assert got[1].dtype == torch.float32, f"attn must have the dtype of x, torch.float32, got {got[1].dtype}: one_hot gives integers"
looks = [[1, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]
assert got[1][0].tolist() == looks, (
    f"head 0 (offset −1) must look at 0, 0, 1, 2: {looks}, got {got[1][0].tolist()}. A first row of zeros: at the border it looks at the nearest place. "
    "A first row (0, 1, 0, 0): the sign of the offset. A first row (0, 0, 0, 1): places count from 0, −1 is not the end. A diagonal: the "
    "offset is j − (K−1)/2, not j. Numbers such as 1.9e-22: the softmax of −50(s − t − o)² is only nearly one-hot"
)
assert got[0].flatten().tolist() == [211.0, 421.0, 742.0, 774.0], (
    f"x = 1, 2, 4, 7 and kernel 1, 10, 100: (211, 421, 742, 774), got {got[0].flatten().tolist()}. (112, 124, 247, 477): the kernel is flipped. "
    "210 first and 74 last: zeros at the border. 421 first: not centred"
)
print("passed: three heads, by hand, border included")


# %% check="conv-inside" points=1
def several_channels(x, kernel):
    try:
        return conv_as_attention(x, kernel)
    except NotImplementedError:
        raise
    except (RuntimeError, IndexError) as e:
        return f"{type(e).__name__}: {e}"


_ = torch.manual_seed(23)
x, kernel = torch.randn(9, 2).double(), torch.randn(4, 2, 5).double()
got = several_channels(x, kernel)
assert type(got) is not str, (
    f"x (9, 2), kernel (4, 2, 5), float64: expected (out, attn), got {got}. LongTensor: the places are floats, for `/` gives floats; use "
    f"//. Two unlike dtypes: one_hot gives integers, and attn has the dtype of x. About sizes: kernel is (C_out, C, K)"
)
assert type(got) is tuple and [type(g) for g in got] == [torch.Tensor] * 2, (
    f"conv_as_attention must return a tuple (out, attn) of tensors, got {type(got).__name__}" + ": is `return` missing?" * (got is None)
)
got = got[0]
inside = F.conv1d(x.T[None], kernel)[0].T  # the places 2 to 6, no padding
assert got.shape == (9, 4), f"x (9, 2), kernel (4, 2, 5): out must be (9, 4), got {tuple(got.shape)}"
assert_close(
    got[2:7],
    inside,
    msg=lambda m: f"places 2 to 6 of 9 (K = 5) must equal conv1d; place 2: {inside[0].tolist()}, got {got[2].tolist()}\n{m}",
)
edge = kernel[:, :, :3].sum(2) @ x[0] + kernel[:, :, 3] @ x[1] + kernel[:, :, 4] @ x[2]
assert_close(
    got[0],
    edge,
    msg=lambda m: (
        f"place 0, offsets −2 … 2: places 0, 0, 0, 1, 2, out {edge.tolist()}, got {got[0].tolist()}. What does not exist is replaced by the nearest "
        f"place, not mirrored; at place 1, too, offset −2 looks at place 0, not at 1\n{m}"
    ),
)
edge = kernel[:, :, :2].sum(2) @ x[0] + sum(kernel[:, :, j] @ x[j - 1] for j in (2, 3, 4))
assert_close(got[1], edge, msg=lambda m: f"place 1, offsets −2 … 2: places 0, 0, 1, 2, 3, out {edge.tolist()}, got {got[1].tolist()}\n{m}")
print("passed: inside equal to conv1d, two channels to four, and nearest places at the border")


# %% hidden="conv-random" points=3
def with_gradients(x, kernel, factor):
    x, kernel = x.clone().requires_grad_(), kernel.clone().requires_grad_()
    out, attn = conv_as_attention(x, kernel)
    (out * factor).sum().backward()
    return out.detach(), attn.detach(), x.grad, kernel.grad


_ = torch.manual_seed(7)
for T, C, C_out, K in ((6, 3, 2, 3), (7, 2, 5, 1), (4, 1, 3, 7), (1, 2, 2, 3), (8, 4, 4, 5), (2, 2, 3, 7)):
    x, kernel, factor = torch.randn(T, C).double(), torch.randn(C_out, C, K).double(), torch.randn(T, C_out).double()
    out, attn, to_x, to_kernel = with_gradients(x, kernel, factor)
    x.requires_grad_(), kernel.requires_grad_()
    wide = F.pad(x.T.unsqueeze(0), (K // 2, K // 2), mode="replicate")
    wanted = F.conv1d(wide, kernel)[0].T
    slopes = torch.autograd.grad((wanted * factor).sum(), (x, kernel))
    name = f"T={T}, C={C}, C_out={C_out}, K={K}"
    assert_close(out, wanted.detach(), msg=lambda m, name=name: f"{name}: out differs\n{m}")
    assert_close((to_x, to_kernel), slopes, msg=lambda m, name=name: f"{name}: the gradients differ\n{m}")
    table = [[[float(s == min(max(t + j - K // 2, 0), T - 1)) for s in range(T)] for t in range(T)] for j in range(K)]
    exact = torch.tensor(table, dtype=torch.float64)
    assert_close(attn, exact, rtol=0, atol=0, msg=lambda m, name=name: f"{name}: the heads differ, or are not exactly 0 and 1 in float64\n{m}")


# %% hidden="conv-keeps" points=1
def inputs_left(x, kernel):
    _ = conv_as_attention(x, kernel)
    return x, kernel


given = (torch.arange(10.0).reshape(5, 2), torch.arange(18.0).reshape(3, 2, 3))
got = inputs_left(*(g.clone() for g in given))
assert_close(got, given, msg=lambda m: f"x or the kernel was changed in place\n{m}")


# %% wrong="conv-flipped" fails="conv-by-hand conv-inside conv-random"
def conv_as_attention(x, kernel):
    n, K = x.shape[0], kernel.shape[-1]
    heads = torch.stack([torch.eye(n, dtype=x.dtype)[(torch.arange(n) + j - K // 2).clamp(0, n - 1)] for j in range(K)])
    return sum(heads[j] @ x @ kernel[:, :, K - 1 - j].T for j in range(K)), heads


# %% [markdown] mistake="conv-flipped"
# Flips the kernel: the head that looks back gets the last number of the kernel, not the first.
#
# At place 1 of the example you compute 100 · 1 + 10 · 2 + 1 · 4 = 124, and the statement has 421. Your heads themselves are right; follow
# which number of the kernel each of them is multiplied by. Does `nn.Conv1d` turn its kernel around?

# %% wrong="conv-zero-border" fails="conv-by-hand conv-random"
def conv_as_attention(x, kernel):
    n, K = x.shape[0], kernel.shape[-1]
    i = torch.arange(n)
    heads = torch.stack([(i == i[:, None] + j - K // 2).to(x.dtype) for j in range(K)])
    return sum(heads[j] @ x @ kernel[:, :, j].T for j in range(K)), heads


# %% [markdown] mistake="conv-zero-border"
# Gives a head nothing to look at beyond the border, as a convolution padded with zeros does.
#
# The first row of head 0 is all zeros, so it does not sum to 1, and place 0 of the example becomes 210 instead of 211. A row of attention
# must look somewhere; the statement says at which place when the wanted one does not exist.

# %% wrong="conv-not-centred" fails="conv-by-hand conv-inside conv-random"
def conv_as_attention(x, kernel):
    n, K = x.shape[0], kernel.shape[-1]
    heads = torch.stack([torch.eye(n, dtype=x.dtype)[(torch.arange(n) + j).clamp(0, n - 1)] for j in range(K)])
    return sum(heads[j] @ x @ kernel[:, :, j].T for j in range(K)), heads


# %% [markdown] mistake="conv-not-centred"
# Lets head j look j places ahead, so the kernel is not centred at the query.
#
# Head 0 of the example looks at its own place, and place 0 gets 421, the number that belongs to place 1. With K = 3, which offsets do the
# three heads have by the statement, and which one should see its own place?

# %% wrong="conv-wraps" fails="conv-by-hand conv-random"
def conv_as_attention(x, kernel):
    n, K = x.shape[0], kernel.shape[-1]
    heads = torch.stack([torch.eye(n, dtype=x.dtype)[(torch.arange(n) + j - K // 2) % n] for j in range(K)])
    return sum(heads[j] @ x @ kernel[:, :, j].T for j in range(K)), heads


# %% [markdown] mistake="conv-wraps"
# Wraps around at the border: before place 0 comes the last place.
#
# Place 0 of the example becomes 217, because head 0 looks at the 7 at the other end of the sequence. Places do not lie on a circle, but a
# remainder or a negative index treats them so; what does the statement ask for where the place does not exist?

# %% wrong="conv-nearly-one-hot" fails="conv-by-hand"
def conv_as_attention(x, kernel):
    n, K = x.shape[0], kernel.shape[-1]
    i = torch.arange(n, dtype=x.dtype)
    heads = torch.stack([(-50 * (i - i[:, None] - (j - K // 2)) ** 2).softmax(-1) for j in range(K)])
    return sum(heads[j] @ x @ kernel[:, :, j].T for j in range(K)), heads


# %% [markdown] mistake="conv-nearly-one-hot"
# Builds the heads by a softmax that comes close to one-hot rows but does not reach them.
#
# Where an exact 0 is asked for, your rows hold numbers such as 1.9e-22, which is exp(-50). The result `out` hides it by rounding, `attn`
# does not. Either the zeros and ones are written directly, or ask how far apart scores must lie for `exp` to be 0 in every dtype.

# %% wrong="conv-integer-heads" fails="conv-by-hand conv-random"
def conv_as_attention(x, kernel):
    n, K = x.shape[0], kernel.shape[-1]
    heads = F.one_hot((torch.arange(n) + torch.arange(-(K // 2), K // 2 + 1)[:, None]).clamp(0, n - 1), n)
    return sum(heads[j].to(x.dtype) @ x @ kernel[:, :, j].T for j in range(K)), heads


# %% [markdown] mistake="conv-integer-heads"
# Returns the heads as integers; only their product with `x` uses the dtype of `x`.
#
# `out` is right, and `attn.dtype` is int64: such weights can neither be compared with a softmax nor meet a float tensor in a product. The
# statement says which dtype `attn` has; print it for a float64 `x`.

# %% wrong="conv-float32-heads" fails="conv-inside conv-random"
def conv_as_attention(x, kernel):
    n, K = x.shape[0], kernel.shape[-1]
    heads = torch.stack([torch.eye(n)[(torch.arange(n) + j - K // 2).clamp(0, n - 1)] for j in range(K)])
    return sum(heads[j] @ x @ kernel[:, :, j].T for j in range(K)), heads


# %% [markdown] mistake="conv-float32-heads"
# Makes the heads in float32 whatever the dtype of `x` is.
#
# With a float64 `x` the product of a head and `x` stops with an error about two dtypes; with float32 all looks well. The statement says
# which dtype `attn` has; print the dtype of your heads, and ask from where a newly made tensor takes its own.

# %% right="conv-softmax"
def conv_as_attention(x, kernel):
    n, K = x.shape[0], kernel.shape[-1]
    places = torch.arange(n, dtype=x.dtype)
    gap = places - places.unsqueeze(1)
    heads = torch.stack([torch.softmax(-1e4 * (gap - (j - K // 2)) ** 2, dim=-1) for j in range(K)])
    return sum(heads[j] @ x @ kernel[:, :, j].T for j in range(K)), heads


# %% [markdown] explanation="conv"
# The scores $-\beta (s - t - o)^2$ of the other right answer are a real attention: multiply out, and they are a product of a query that knows $t$
# and a key that knows $s$ and $s^2$. For large β the softmax is one-hot to the last digit, and the border takes care of itself.
# `nn.Conv1d` does not flip its kernel (chapter 15), so head 0 belongs to the first number and to the place *before*.
# Equal at the border is only `padding_mode="replicate"`, never the default of zeros.

# %% [markdown]
# ## What it costs, against a recurrent network and a convolution
#
# L vectors of d numbers; the kernel of the convolution has width K. **Path length** (路径长度) is the number of steps between the two ends of the sequence,
# the number of factors that a gradient must survive (chapter 21). Steps that wait for each other cannot be done at once.
#
# | layer | multiplications, about | steps that wait | path length |
# |---|---|---|---|
# | self-attention | $2 L^2 d$ for the pairs, $4 L d^2$ for the projections | 1 | 1 |
# | recurrent network | $2 L d^2$ | $L$ | $L - 1$ |
# | convolution | $K L d^2$ | 1 | $2(L-1)/(K-1)$ layers |
# | attention in a centred window of K, the band alone | $2 K L d$ and $4 L d^2$ | 1 | $2(L-1)/(K-1)$ layers |
#
# A centred kernel of K reaches $(K-1)/2$ places to either side, so a kernel of 3 carries news one place a layer. We count.

# %%
for K in (3, 9):
    signal, n_layers = torch.eye(31)[:1], 0  # one channel, a single 1 at place 0
    while signal[0, 30] == 0:
        signal, n_layers = F.conv1d(signal, torch.ones(1, 1, K), padding=K // 2), n_layers + 1
    print(f"K = {K}: from place 0 to place 30 in {n_layers} layers; 2 · 30 / (K − 1) = {60 / (K - 1)}")
    assert n_layers == math.ceil(60 / (K - 1))

# %%
d, lengths = 64, torch.logspace(1, 4, 50)
pair_work, projections = 2 * lengths**2 * d, 4 * lengths * d**2
fig, axes = plt.subplots(1, 2, figsize=(10, 3.4))
axes[0].loglog(lengths, pair_work + projections, label=r"attention: $2L^2d + 4Ld^2$")
axes[0].loglog(lengths, pair_work, ":", color="tab:blue", label=r"its pairs alone: $2L^2d$")
axes[0].loglog(lengths, 3 * lengths * d**2, color="tab:green", label=r"convolution, K = 3: $3Ld^2$")
axes[0].loglog(lengths, 2 * lengths * d**2, "--", color="tab:orange", label=r"RNN: $2Ld^2$")
axes[0].set(xlabel="length L", ylabel="multiplications", title="Work of one layer, d = 64")
axes[1].loglog(lengths, lengths - 1, color="tab:green", lw=5, alpha=0.4, label="convolution, K = 3 (layers)")
axes[1].loglog(lengths, lengths - 1, "--", color="tab:orange", label="RNN (steps)")
axes[1].loglog(lengths, ((lengths - 1) / 4).ceil(), color="tab:olive", label="convolution, K = 9 (layers)")
axes[1].axhline(1, color="tab:blue", label="attention (layers)")
axes[1].set(xlabel="length L", ylabel="steps or layers", title="Path from one end to the other")
for ax in axes:
    ax.legend(fontsize=8)
plt.show()

# %% [markdown]
# The pairs cost $L^2 d$ for the scores and as much for the weighted mean, the four projections $4Ld^2$; a step of a simple RNN has two matrices, $2d^2$.
# The pairs alone cost less than the RNN while L < d. With the projections attention costs $L/d + 2$ times the RNN, more at every length:
# 3 times at L = d, 96 times for a minute of sound (L = 6000, d = 64), and chapter 24 is about that.
# So what is won is not work. Nothing waits, and any two vectors are one step apart, while a kernel of 3 is as slow as the RNN.
#
# ## The real task: where does a translator look?
#
# The file `dates_en_zh.csv` has 7,500 dates in eight English styles and in Chinese; no year of the test part occurs in training.
# Tokens are English words, single digits, and single signs.

# %%
PAD, BOS, EOS = 0, 1, 2
with open(DATA / "dates_en_zh.csv", encoding="utf-8") as file:
    table = list(csv.DictReader(file))
by_split = {name: [r for r in table if r["split"] == name] for name in ("train", "test")}


def tokenise(text: str) -> list[str]:
    return re.findall(r"[A-Za-z]+|.", text)


vocabs, ids = {}, {}
for side in ("en", "zh"):
    found = sorted({token for r in by_split["train"] for token in tokenise(r[side])})
    vocabs[side] = {token: number for number, token in enumerate(["<pad>", "<bos>", "<eos>", *found])}
    for name, part in by_split.items():
        rows = [torch.tensor([BOS, *(vocabs[side][token] for token in tokenise(r[side])), EOS]) for r in part]
        ids[side, name] = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD)
print({key: tuple(value.shape) for key, value in ids.items()})

# %% [markdown]
# The translator is an encoder–decoder with one attention between its halves.
# The **decoder** (解码器), a GRU (chapter 21) over the signs written so far, gives a query for each sign to be written.
# The keys come from a bidirectional GRU over the English tokens: two GRUs, one from the left and one from the right, side by side.
# So a key knows its surroundings: "the second digit of a year".
# The values come from the *embedding of the token alone*, so a value says only what stands at its place.
# All that a sign learns from the source comes through its look: *what* stands there, and *where* it falls, which the keys decide.
# We train three, in the longest cell of the chapter.


# %%
class DateReader(nn.Module):
    def __init__(self, n_en: int, n_zh: int, C: int = 48) -> None:
        super().__init__()
        self.en, self.zh = nn.Embedding(n_en, C), nn.Embedding(n_zh, C)
        self.around = nn.GRU(C, C // 2, batch_first=True, bidirectional=True)
        self.write = nn.GRU(C, C, batch_first=True)
        self.ask, self.key, self.value = (nn.Linear(C, C, bias=False) for _ in range(3))
        self.sign = nn.Linear(2 * C, n_zh)

    def forward(self, src: torch.Tensor, written: torch.Tensor, state: torch.Tensor | None = None) -> tuple:
        words = self.en(src)  # (B, S, C)
        h, state = self.write(self.zh(written), state)  # (B, T, C)
        fit = torch.einsum("btc,bsc->bts", self.ask(h), self.key(self.around(words)[0])) * h.shape[-1] ** -0.5
        looks = fit.masked_fill((src == PAD)[:, None], -torch.inf).softmax(dim=-1)  # (B, T, S)
        return self.sign(torch.cat([h, looks @ self.value(words)], dim=-1)), looks, state


def train_dates(seed: int, n_steps: int = 500) -> nn.Module:
    _ = torch.manual_seed(seed)
    model = DateReader(len(vocabs["en"]), len(vocabs["zh"]))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, n_steps)
    for _ in range(n_steps):
        chosen = torch.randint(len(by_split["train"]), (64,))
        src, tgt = ids["en", "train"][chosen], ids["zh", "train"][chosen]
        loss = F.cross_entropy(model(src, tgt[:, :-1])[0].flatten(0, 1), tgt[:, 1:].flatten(), ignore_index=PAD)
        optimizer.zero_grad()
        loss.backward()
        _ = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return model.eval()


translators = [train_dates(seed) for seed in range(3)]

# %% [markdown]
# In training the decoder reads the true signs (teacher forcing); in the test it reads its own, one after the other, the likeliest each time.
# A date is right if every sign is.


# %% tags=["nbval-ignore-output"]
@torch.no_grad()
def translate(model: nn.Module, src: torch.Tensor, n_signs: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Signs (B, n_signs) written greedily, and where each was looked for (B, n_signs, S)."""
    sign, state, signs, looks = torch.full((len(src), 1), BOS), None, [], []
    for _ in range(n_signs):
        logits, look, state = model(src, sign, state)
        sign = logits.argmax(-1)
        signs.append(sign)
        looks.append(look)
    return torch.cat(signs, 1), torch.cat(looks, 1)


src, tgt = ids["en", "test"], ids["zh", "test"][:, 1:]
exact, found_digit = [], []
names = {side: list(vocabs[side]) for side in vocabs}
for model in translators:
    signs, looks = translate(model, src, tgt.shape[1])
    exact.append(((signs == tgt) | (tgt == PAD)).all(1).float().mean().item())
    seen = src.gather(1, looks[:, 2:4].argmax(2))  # the English tokens most looked at by the last two digits of the year
    same = [
        [names["en"][i] == names["zh"][j] for i, j in zip(a, b, strict=True)]
        for a, b in zip(seen.tolist(), tgt[:, 2:4].tolist(), strict=True)
    ]
    found_digit.append(torch.tensor(same).float().mean().item())
assert sorted(exact)[1] >= 0.95 and min(found_digit) >= 0.95, (exact, found_digit)
best = translators[exact.index(max(exact))]
print("test dates right in every sign, for each seed:", [round(share, 3) for share in exact])
print("last two digits of the year, written while looking at that very digit:", [round(share, 3) for share in found_digit])

# %% [markdown]
# The cell asks two of three seeds for 95 %: when this was written, seeds 0 to 5 gave 100 % five times, and once 80 %.
# In that one, the month's signs seldom looked at its name, and every wrong date went wrong there: train several seeds, and compare.

# %%
latin = dict(zip("年月日星期一二三四五六天", "nian yue ri xing qi yi er san si wu liu tian".split(), strict=True))
fig, axes = plt.subplots(1, 2, figsize=(11, 5))
for ax, text in zip(axes, ("Thu 31 Oct 1957", "Saturday, November 30, 2058"), strict=True):
    one = torch.tensor([[BOS, *(vocabs["en"][token] for token in tokenise(text)), EOS]])
    signs, looks = translate(best, one, 18)
    n = signs[0].tolist().index(EOS)
    image = ax.imshow(looks[0, :n], cmap="Blues", vmin=0, vmax=1)
    ax.set(title=text, xlabel="English token looked at (_ is a space)", ylabel="sign being written")
    ax.set_xticks(range(one.shape[1]), [names["en"][i].replace(" ", "_") for i in one[0]], rotation=90)
    ax.set_yticks(range(n), [latin.get(names["zh"][i], names["zh"][i]) for i in signs[0, :n]])
fig.colorbar(image, ax=axes, label="attention weight", shrink=0.7)
plt.show()

# %% [markdown]
# Nobody told the network which word belongs to which sign.
# It can look back, and this is the picture of where it looks.
# The digits of the year sit on a diagonal at the right, the day's digits on theirs, both signs of the month at its name,
# and the last sign at the weekday, far on the left: the crossing lines of the first figure.
# xing looks left too, at the weekday or the comma behind it: there this network reads whether a weekday follows at all.
# The other signs follow from those before them, and where they look does not matter:
# nian rests on `<eos>` (the end token), yue spreads its weight, and ri looks left without need.
# All held-out dates with a weekday say which of these looks are a rule:

# %% tags=["nbval-ignore-output"]
dated = [b for b, r in enumerate(by_split["test"]) if "星" in r["zh"]]  # 292 dates; in English the weekday is token 1
xing, row = torch.tensor([by_split["test"][b]["zh"].index("星") for b in dated]), torch.arange(len(dated))
weekday_share = []
for model in translators:
    looks = translate(model, src[dated], tgt.shape[1])[1]
    places = {"nian": torch.full_like(xing, 4), "ri": xing - 1, "xing": xing, "qi": xing + 1, "last sign": xing + 2}
    print("mean weight on tokens 1 and 2:", {name: round(looks[row, at, 1:3].sum(1).mean().item(), 2) for name, at in places.items()})
    weekday_share.append(looks[row, xing + 2, 1].mean().item())
assert sorted(weekday_share)[1] > 0.5, weekday_share

# %% [markdown]
# On the weekday and the token behind it lies most of the last sign's weight and of xing's, with each of the three seeds.
# ri and qi differ from seed to seed, as looks do that nothing depends on.
#
# Careful with the word "because". A weight says how much of a value entered the sum, not whether the output would have changed without it.
# "Attention is not Explanation" (Jain and Wallace 2019) gives models in which quite other weights lead to the same answers.
# Only a change of the input shows what the output follows. We replace one English token;
# then, in the test dates whose month is begun with less than 0.1 of the weight on its name, we make that name August.

# %% tags=["nbval-ignore-output"]
before = torch.tensor([[BOS, *(vocabs["en"][token] for token in tokenise("Thu 31 Oct 1957")), EOS]])
for place, new in ((1, "Mon"), (10, "8")):
    after = before.clone()
    after[0, place] = vocabs["en"][new]
    signs = [translate(m, after, 15)[0][0].tolist() for m in translators]
    old = [translate(m, before, 15)[0][0].tolist() for m in translators]
    changed = [
        [i for i, (a, b) in enumerate(zip(s, o, strict=True)) if a != b and EOS not in o[:i]] for s, o in zip(signs, old, strict=True)
    ]
    assert sum({1: 13, 10: 2}[place] in c for c in changed) >= 2, (place, changed)
    print(f"token {place} becomes {new!r}: signs changed, for each seed: {changed}")
is_month = torch.tensor([name[:3] in "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split() for name in names["en"]])
month, begun = is_month[src], []  # (B, S): where the month's name stands
for model in translators:
    unseen = (translate(model, src, 6)[1][:, 5] * month).sum(1) < 0.1  # sign 5 begins the month
    august = translate(model, src.masked_fill(month, vocabs["en"]["August"]), 6)[0][:, 5] == vocabs["zh"]["8"]
    begun.append((int(unseen.sum()), round(august[unseen].float().mean().item(), 2)))
print("dates whose month is begun without its name, and the share of them that August turns into 8:", begun)
assert sum(n > 0 and share > 0.8 for n, share in begun) >= 2, begun

# %% [markdown]
# Signs 13 (四) and 2 (the third digit) follow the token that they look at (two of three seeds at least); xing, which looks at the weekday too, does not.
# And what is hardly looked at may decide. When this was written, 21, 86 and 15 dates began their month almost without its name; all were right, and all followed it.
# The keys beside the name know it, and where they draw the look tells it: with the first seed, a look at a space says "February".
# So a map proves neither that a word was used nor that it was not.
#
# **Try it.** Put your own functions to work, as soon as their exercises pass:
#
# - in `DateReader.forward`, write `looks = masked_softmax(fit, (src == PAD)[:, None])`; train again: the exact share stays;
# - in the line `fit = …` use `additive_scores` with three parameters of your own: does it need more steps?
# - `no_future(lambda z: model.write(z[None])[0][0].detach(), …)` asks whether a GRU sees the future (call `model.double()` first). And `around`?
#
# ## What goes wrong in practice
#
# - **It trains, and is a little worse than it should be.** $d$ instead of $\sqrt d$, or $\sqrt C$ where $\sqrt{C/n}$ belongs: print the standard deviation of the scores;
#   with PyTorch's starting weights and inputs of variance 1 it is 0.3 to 1, whatever d is.
# - **The loss is `nan` from some batch on.** A row of the mask blocks everything.
# - **The loss is wonderful and the output is rubbish.** The causal mask is missing, off by one, or inverted: the model copies the future. Run `no_future`.
# - **True blocked, True allowed.** `nn.MultiheadAttention` and `F.scaled_dot_product_attention` mean opposite things. Test one mask with a known answer.
# - **The batch is mixed up, without an error.** `nn.MultiheadAttention` is `(T, B, C)` unless `batch_first=True`; and a view without a transposition has the right shape.
# - **Word order has no effect.** The positions were forgotten. Shuffle the input and compare.
# - **It works at L = 50 and runs out of memory at L = 5000.** The score table has $L^2$ entries for each head and each sample, and a mask saves none:
#   compute a band alone; without a mask, `F.scaled_dot_product_attention` need not store the table.
# - **A beautiful map of weights.** Change the input before you believe it.
#
# ## Summary
#
# Attention is a weighted mean: a query is compared with keys, a softmax makes weights of the scores, and the values are averaged with them.
# Nadaraya and Watson's regression is the case with a fixed kernel; the dot product over its standard deviation $\sqrt d$ is the usual learned one. Masks set scores to minus infinity; a row without any key is a case of its own.
# Self-attention computes three roles from one input by three projections; heads cut the numbers, not the words; cross-attention takes keys and values from the other side.
# Without positions attention is permutation equivariant, so positions are added; the dot product of two waves depends on their distance.
# With one-hot heads it is a convolution, but for the border. It costs $2L^2 d + 4Ld^2$; nothing waits, and any two places are one step apart.
# Measured: on digits the shuffle costs nothing without positions and much with them; on dates the map shows where each sign looks, and a changed word what it needs.
#
# ## Terms
#
# | English | 中文 | in one line |
# |---|---|---|
# | set of vectors | 向量集 | an input of any number of vectors |
# | sequence labelling | 序列标注 | one output for each input vector |
# | query, key, value | 查询，键，值 | what is asked; what it is compared with; what is averaged |
# | attention pooling | 注意力汇聚 | a mean of values weighted by nearness of keys |
# | attention weights | 注意力权重 | not negative, sum to 1 for each query that may see a key |
# | kernel | 核 | a bell that turns distance into weight; of a convolution, its numbers |
# | score | 得分 | how well a query and a key fit |
# | dot product, scaled | 点积，缩放点积 | $q \cdot k$; over $\sqrt d$ |
# | additive score | 加性 | a small tanh network for each pair |
# | saturated | 饱和 | where a softmax has almost no slope |
# | mask | 掩码 | which pairs are blocked (True) |
# | padding mask, causal mask | 填充掩码，因果掩码 | blocks pads; blocks the future |
# | window | 窗口，局部窗口 | only near keys may be seen |
# | self-attention | 自注意力 | queries, keys, values from one input |
# | cross-attention | 交叉注意力 | keys and values from the other sequence |
# | memory | 记忆 | the sequence that is looked at |
# | decoder | 解码器 | the half of a translator that writes |
# | multi-head attention | 多头注意力 | several attentions on slices of the numbers |
# | permutation equivariance | 置换等变性 | shuffled in, shuffled out alike |
# | permutation invariance | 置换不变性 | shuffled in, the same out |
# | probe | 探针 | a test from outside that can refute a property |
# | positional encoding | 位置编码 | rows that depend on the place, added to the input |
# | path length | 路径长度 | steps between two places |
#
# ## Reading
#
# - E. A. Nadaraya, *On Estimating Regression*, 1964; G. S. Watson, *Smooth Regression Analysis*, 1964.
# - D. Bahdanau, K. Cho, Y. Bengio, *Neural Machine Translation by Jointly Learning to Align and Translate*, 2015.
# - A. Vaswani and others, *Attention Is All You Need*, 2017.
# - S. Jain, B. C. Wallace, *Attention is not Explanation*, 2019.
# - J.-B. Cordonnier, A. Loukas, M. Jaggi, *On the Relationship between Self-Attention and Convolutional Layers*, 2020.
# - The PyTorch documentation: the pages of `torch.nn.MultiheadAttention` and `torch.nn.functional.scaled_dot_product_attention`.
