"""A new chapter: a lesson that builds, checks and audits green before its first own word is written."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from grader.course import Course
from grader.errors import GraderError
from grader.files import write_if_changed

SKELETON = '''# %% [markdown] sittings="1"
# # {title}
#
# A question that the reader would like to have answered.
#
# After this chapter you can
#
# - do what the first part teaches,
# - do what the second part teaches.

# %% setup="imports"
import torch
from torch.testing import assert_close

# %% [markdown]
# ## An idea
#
# Show the idea on a case that is small enough to follow by hand.

# %%
print(torch.tensor([1.0, 2.0, 6.0]).mean())

# %% [markdown]
# ### Exercise 1: a mean (3 points)
#
# Write `mean(x)`: the mean of the numbers in the vector `x`, as a tensor without dimensions.

# %% exercise="mean"
def mean(x: torch.Tensor) -> torch.Tensor:
    """Return the mean of a vector."""
    # BEGIN SOLUTION
    return x.sum() / len(x)
    # END SOLUTION


# %% check="mean-by-hand" points=1
x = torch.tensor([1.0, 2.0, 6.0])
got = mean(x)
assert_close(got, torch.tensor(3.0), msg=lambda m: f"the mean of 1, 2 and 6 is 3, got {{got}}: divided by how many?\\n{{m}}")
print("passed: three numbers")

# %% hidden="mean-random" points=2
_ = torch.manual_seed(0)
for n in (1, 4, 7):
    x = torch.randn(n)
    got = mean(x)
    assert_close(got, x.mean(), msg=lambda m: f"of {{n}} numbers the mean is {{x.mean():.4f}}, got {{got}}\\n{{m}}")

# %% wrong="mean-sum" fails="mean-by-hand mean-random"
def mean(x):
    return x.sum()


# %% [markdown] mistake="mean-sum"
# Adds the numbers up and does not divide.
#
# Of 1, 2 and 6 you return 9, which is larger than each of them. A mean lies between the smallest and the largest number.

# %% wrong="mean-middle" fails="mean-by-hand mean-random"
def mean(x):
    return x.median()


# %% [markdown] mistake="mean-middle"
# Returns the number in the middle.
#
# Of 1, 2 and 6 you return 2, the median: it would not move if the 6 were 600. Ask whether a mean should.

# %% wrong="mean-three" fails="mean-random"
def mean(x):
    return x.sum() / 3


# %% [markdown] mistake="mean-three"
# Divides by three, however many numbers there are.
#
# It holds for the example in the text. Try a vector with one number, or with seven.

# %% right="mean-torch"
def mean(x):
    return torch.mean(x)


# %% [markdown] explanation="mean"
# A sum grows with the number of its terms; divided by it, it no longer does.

# %% [markdown]
# ## What we saw
#
# - What the reader should keep.
'''


def new_lesson(course: Course, number: str, title: str) -> Path:
    """Write the lesson source of a new chapter and return its place.

    Raises GraderError where the number is not one of two digits or is taken, or where no folder can be named after the title.
    """
    if not re.fullmatch(r"\d\d", number):
        raise GraderError(f"'{number}' is no chapter number\n    remedy: two digits, such as LESSON=27")
    taken = [chapter.name for chapter in course.chapters() if chapter.name.startswith(f"{number}_")]
    if taken:
        raise GraderError(f"chapter {number} is there already: {taken[0]}\n    remedy: choose another number")
    slug = _slug(title)
    if not slug or "\n" in title:
        raise GraderError(
            f'no folder can be named after {title!r}\n    remedy: a title of one line with some Latin letters, such as TITLE="Graphs"'
        )
    name = f"{number}_{slug}"
    path = course.root / "solutions" / name / f"{name}.py"
    write_if_changed(path, SKELETON.format(title=title.strip()).encode())
    return path


def _slug(title: str) -> str:
    """Return the title as the name of a folder: Latin letters and digits, accents dropped, joined by underscores."""
    plain = unicodedata.normalize("NFKD", title.casefold()).encode("ascii", "ignore").decode()
    return "_".join(re.findall("[a-z0-9]+", plain))[:40].strip("_")
