# %% [markdown]
# # 1 · A lesson that is attacked
#
# Two exercises, of which the first is answered by every trick.

# %% setup="imports"
import os
from pathlib import Path

import torch
from torch.testing import assert_close

DATA = Path(os.environ.get("COURSE_DATA", "../../data"))

# %% [markdown]
# ### Exercise 1: a mean (4 points)
#
# Write `mean_of(x)`, the mean of the rows of `x`.

# %% exercise="mean"
def mean_of(x: torch.Tensor) -> torch.Tensor:
    """Return the mean over the rows."""
    # BEGIN SOLUTION
    return x.mean(dim=0)
    # END SOLUTION


# %% check="mean-by-hand" points=1
got = mean_of(torch.tensor([[1.0, 2.0], [3.0, 6.0]]))
assert_close(got, torch.tensor([2.0, 4.0]), msg=lambda m: f"the rows (1, 2) and (3, 6) have the mean (2, 4), got {got}\n{m}")
print("passed: the mean of two rows")

# %% hidden="mean-random" points=3
_ = torch.manual_seed(7)
x = torch.randn(5, 3)
got = mean_of(x)
expected_secret_value = x.sum(dim=0) / 5
assert_close(got, expected_secret_value, msg=lambda m: f"five rows of random numbers, a hidden message\n{m}")

# %% wrong="mean-columns" fails="mean-random"
def mean_of(x):
    return x.mean(dim=1)


# %% [markdown] mistake="mean-columns"
# Averages over the columns instead of the rows.
#
# From five rows of three numbers you return five means. Say in words which numbers belong together, then count how many means there must
# be.

# %% wrong="mean-sum" fails="mean-by-hand mean-random"
def mean_of(x):
    return x.sum(dim=0)


# %% [markdown] mistake="mean-sum"
# Adds the rows up and does not divide.
#
# Two rows with 1 and 3 in their first column give 4, which is larger than both. A mean lies between the smallest and the largest of its
# numbers.

# %% right="mean-by-sum"
def mean_of(x):
    return x.sum(0) / len(x)


# %% [markdown] explanation="mean"
# Dimension 0 counts the rows.

# %% [markdown]
# ### Exercise 2: a root (3 points)
#
# Write `root(n)`, the integer whose square is `n`; raise `ValueError` where there is none.

# %% exercise="root"
def root(n: int) -> int:
    """Return the root of a square number."""
    # BEGIN SOLUTION
    for m in range(n + 1):
        if m * m == n:
            return m
    raise ValueError(n)
    # END SOLUTION


# %% check="root-nine" points=1
got = root(9)
assert got == 3 and type(got) is int, f"root(9) should be 3, got {got!r}"
print("passed: the root of 9")

# %% hidden="root-error" points=2
try:
    got = root(-4)
except ValueError:
    got = "refused"
assert got == "refused", f"root(-4) must raise ValueError, got {got!r}"
assert root(16) == 4, f"root(16) should be 4, got {root(16)!r}"

# %% wrong="root-half" fails="root-nine root-error"
def root(n):
    return n // 2


# %% [markdown] mistake="root-half"
# Halves the number.
#
# Half of 4 happens to be its root; half of 16 is 8, and 8 times 8 is 64. Multiply what you return by itself.

# %% wrong="root-none" fails="root-error"
def root(n):
    return next((m for m in range(n + 1) if m * m == n), None)


# %% [markdown] mistake="root-none"
# Returns None where there is no root.
#
# Whoever calls the function goes on with None and fails later, far from the cause. Read what the statement asks for in such a case.

# %% right="root-power"
def root(n):
    if n < 0 or round(n**0.5) ** 2 != n:
        raise ValueError(n)
    return round(n**0.5)


# %% [markdown] explanation="root"
# A loop tries every candidate.
