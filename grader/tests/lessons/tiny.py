# %% [markdown]
# # How long is an arrow?
#
# A lesson small enough to be built in a test.

# %% setup="imports"
import math

# %% [markdown]
# ### Exercise 1: the length of an arrow (5 points)
#
# Write `length(x, y)`, the length of the arrow from the origin to `(x, y)`.

# %% exercise="length"
def length(x: float, y: float) -> float:
    """Return the length of the arrow (x, y)."""
    # BEGIN SOLUTION
    return math.sqrt(x * x + y * y)
    # END SOLUTION


# %% check="length-by-hand" points=2
found = length(3.0, 4.0)
assert found == 5.0, f"length(3, 4) should be 5, got {found!r}"
print("passed: the example worked by hand")

# %% hidden="length-negative" points=3
found = length(-5.0, 12.0)
assert found == 13.0, f"length(-5, 12) should be 13, got {found!r}: did you square both?"

# %% wrong="length-sum" fails="length-by-hand length-negative"
def length(x, y):
    return x + y


# %% [markdown] mistake="length-sum"
# Adds the two sides.
#
# With sides 3 and 4 you return 7, which is the way around the corner. Draw the triangle and ask which path the length belongs to.

# %% wrong="length-table" fails="length-negative"
def length(x, y):
    return 5.0


# %% [markdown] mistake="length-table"
# Returns 5 whatever the sides are.
#
# Your answer holds for the one triangle in the text. Choose another triangle, work its length out by hand, and call your function with it.

# %% right="length-hypot"
def length(x, y):
    return math.hypot(x, y)


# %% [markdown] explanation="length"
# The squares take the signs away before the root is drawn.

# %% [markdown]
# ### Exercise 2: doubling (3 points)
#
# Write `double(values)`, a new list with every number doubled.

# %% exercise="double"
def double(values: list[float]) -> list[float]:
    """Return a new list, every value doubled."""
    # BEGIN SOLUTION
    return [2 * value for value in values]
    # END SOLUTION


# %% check="double-by-hand" points=1
found = double([1.0, 2.5])
assert found == [2.0, 5.0], f"double([1, 2.5]) should be [2, 5], got {found!r}"
print("passed: every number is doubled")

# %% hidden="double-keeps" points=2
def doubled_and_given():
    given = [1.0, -3.0]
    return double(given), given


found, numbers = doubled_and_given()
assert (found, numbers) == ([2.0, -6.0], [1.0, -3.0]), f"the list that is given must stay as it is, got {numbers!r} and {found!r}"

# %% wrong="double-in-place" fails="double-keeps"
def double(values):
    for i in range(len(values)):
        values[i] *= 2
    return values


# %% [markdown] mistake="double-in-place"
# Changes the list that it was given.
#
# After the call the caller's own numbers are twice as large as before, and a second call doubles them again. Print the list before and
# after you call your function.

# %% wrong="double-repeats" fails="double-by-hand double-keeps"
def double(values):
    return values * 2


# %% [markdown] mistake="double-repeats"
# Repeats the list instead of doubling its numbers.
#
# From one number you make two, and both are as small as before. Print how many numbers come back, and compare with how many went in.

# %% right="double-map"
def double(values):
    return list(map(lambda value: value + value, values))


# %% [markdown] explanation="double"
# A comprehension makes a new list; a loop over indices would have changed the caller's.

# %% [markdown]
# ## What we saw
#
# A lesson cell runs whether or not the exercises are done.

# %%
print(math.hypot(6.0, 8.0))
