# %% [markdown] sittings="3"
# # Python objects behind PyTorch
#
# A program that trains a network is full of lines like these:
#
# ```
# for i, batch in enumerate(loader):    # the loader is no list
#     print(i, len(batch))
# picture, label = dataset[3]           # and neither is the dataset
# guess = model(picture)                # the model is no function, and still it is called
# print(model)                          # a tree of parts appears, which nobody wrote down
# ```
#
# Nothing in them is special to PyTorch.
# Python lets any object say what `[3]`, `()`, `for` and `print` mean for it, and PyTorch says so in a few dozen short methods.
# Which methods are these, and could we write them ourselves?
#
# After this chapter you can
#
# - number and batch anything that a `for` loop accepts, with `enumerate`, iterators and generators,
# - say where an attribute lives (in the instance, in the class, in a base class), and repair data that is shared by mistake,
# - give a class a private count, a length, an index, a `for` loop, a call and a printed form,
# - work out the order in which Python searches several base classes, and let them work together through `super()`,
# - build the two objects that every PyTorch program is made of, a dataset and a tree of modules, with nothing but Python.
#
# The chapter takes two or three sittings; a resting place is marked after Exercise 5.

# %% [markdown]
# ## Setup
#
# All imports stand in one cell, as in every chapter.
# `torch` and `torchvision` bring the pictures here; you need to know nothing about them yet.
#
# "Notes" in this chapter are lecture notes found on the web; we check some of their sentences.
# Some figures take many lines to draw. You need not read the drawing code.

# %% setup="imports"
import collections
import itertools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import torch
import torchvision

# %% setup="fashion"
DATA = Path(os.environ.get("COURSE_DATA", "../../data"))
fashion = torchvision.datasets.FashionMNIST(root=DATA, train=False)
CLASS_NAMES = fashion.classes
print(len(fashion), "pictures of", len(CLASS_NAMES), "kinds")

# %% [markdown]
# Fashion-MNIST holds small grey pictures of clothes, each with a number from 0 to 9 that says which kind it is.
# `CLASS_NAMES` lists the ten names.
# We draw the first eight pictures, and above each one its place in the data set.

# %%
fig, axes = plt.subplots(1, 8, figsize=(10, 1.9))
for i, ax in enumerate(axes):
    picture, label = fashion[i]
    ax.imshow(picture, cmap="gray_r")
    ax.set(title=f"i = {i}", xlabel=f"{label}: {CLASS_NAMES[label]}", xticks=[], yticks=[])
plt.show()

# %% [markdown]
# The numbers below the pictures are their kinds.
# One line of this cell does the counting: `for i, ax in enumerate(axes)`.
#
# ## Walking over things
#
# A `for` loop asks an object for one item after another.
# Every object that can answer is an **iterable** (可迭代对象): a list, a string, a dictionary, a file, a data set.
# **`enumerate`** (枚举) puts a running number before each item.
# It gives pairs, and `for number, name in …` takes each pair apart.

# %%
for number, name in enumerate(CLASS_NAMES[:3]):
    print(number, name, end="; ")
for number, name in enumerate(CLASS_NAMES[:3], start=100):
    print(number, name, end="; ")

# %% [markdown]
# The numbers begin at 0.
# A second argument, `start`, moves the first number and leaves no item out: the second loop gave all three names again, numbered from 100.
#
# How does the loop get the items?
# It first calls `iter(…)`, which gives an **iterator** (迭代器): an object that remembers how far the walk has come.
# Then it calls `next(…)` again and again, until the iterator raises `StopIteration`.
# We do the same by hand.

# %%
walk = iter(["coat", "bag"])
print(next(walk), next(walk))
try:
    next(walk)
except StopIteration:
    print("StopIteration: this walk is over")

# %% [markdown]
# An iterator can be walked over once, because it is one walk.
# A list can be walked over as often as we like, because each loop asks it for a new iterator.
# `enumerate(…)` is itself an iterator, and so the second loop over the same one finds nothing:

# %%
pairs = enumerate(["coat", "bag"])
print("first: ", list(pairs))
print("second:", list(pairs))

# %% [markdown]
# ### Exercise 1: number the items of anything (5 points)
#
# Write `numbered(seq, start)`.
# (`seq: Iterable` and `-> list` in the cell below are type hints: they tell the reader the type, and Python does not check them.)
# `seq` is any iterable: a list, a string, or an iterator that has no length.
# The result is a list of tuples `(number, item)`; the first number is `start`, which is 0 where the caller leaves it out.
# By hand: `numbered(["coat", "bag"], 5)` is `[(5, 'coat'), (6, 'bag')]`.
# No item may be left out, whatever `start` is.
#
# <details><summary>Hint 1</summary>Which of <code>len(seq)</code>, <code>seq[0]</code> and <code>for item in seq</code> work for an iterator?</details>
# <details><summary>Hint 2</summary><code>enumerate</code> gives an iterator. What makes a list of an iterator?</details>

# %% exercise="numbered"
def numbered(seq: Iterable, start: int = 0) -> list:
    """Return [(start, first item), (start + 1, second item), …] for any iterable `seq`."""
    # BEGIN SOLUTION
    return list(enumerate(seq, start))
    # END SOLUTION


# %% check="numbered-by-hand" points=1
pairs = numbered(["coat", "bag"], 5)
assert pairs is not None, "numbered(['coat', 'bag'], 5) gave None: is `return` missing? Printing the pairs does not hand them back"
assert type(pairs) is list, (
    f"numbered(['coat', 'bag'], 5) must return a list, got {type(pairs).__name__}: an enumerate object is used up after one walk"
)
assert pairs == [(5, "coat"), (6, "bag")], (
    f"numbered(['coat', 'bag'], 5) should be [(5, 'coat'), (6, 'bag')], got {pairs}: does the count begin at start, is every "
    f"item there, and is each pair a tuple?"
)
print("passed: the example worked by hand")

# %% check="numbered-default" points=1
def number_without_start():
    found = []
    for seq in ("abc", iter("abc")):
        try:
            found.append(numbered(seq))
        except NotImplementedError:  # not written yet
            raise
        except Exception as error:
            found.append(f"{type(error).__name__}: {error}")
    return found


of_text, of_iterator = number_without_start()
expected = [(0, "a"), (1, "b"), (2, "c")]
assert of_text == expected, f"numbered('abc') should count from 0 and return {expected}, got {of_text}"
assert of_iterator == expected, (
    f"numbered(iter('abc')) should be {expected} as well, got {of_iterator}: an iterator has no length and no places, it can only be "
    f"walked over"
)
print("passed: without start the count begins at 0, and an iterator will do")

# %% hidden="numbered-iterator" points=2
def number_a_generator():
    return numbered((n * n for n in range(2, 5)), 7)


pairs = number_a_generator()
assert type(pairs) is list, f"numbered(generator, 7) must return a list, got {type(pairs).__name__}"
assert pairs == [(7, 4), (8, 9), (9, 16)], (
    f"for a generator of 4, 9, 16 and start 7 expected [(7, 4), (8, 9), (9, 16)], got {pairs}: a generator has no len() and no [0]"
)

# %% hidden="numbered-edges" points=1
nothing, below_zero = numbered([], 3), numbered(["x", "y", "z"], -1)
assert nothing == [] and type(nothing) is list, f"numbered([], 3) should be the empty list, got {nothing!r}"
assert below_zero == [(-1, "x"), (0, "y"), (1, "z")], f"numbered(['x', 'y', 'z'], -1) should count -1, 0, 1, got {below_zero}"

# %% wrong="numbered-start-ignored" fails="numbered-by-hand numbered-iterator numbered-edges"
def numbered(seq, start=0):
    return list(enumerate(seq))


# %% [markdown] mistake="numbered-start-ignored"
# Counts from 0 whatever `start` says.
#
# `numbered(["hat", "bag"], 5)` should begin with number 5, and yours begins with 0. Only calls that leave `start` out come out right. Look
# where `start` is used between the first line of your function and the result.

# %% wrong="numbered-by-length" fails="numbered-default numbered-iterator"
def numbered(seq, start=0):
    return [(start + i, seq[i]) for i in range(len(seq))]


# %% [markdown] mistake="numbered-by-length"
# Asks `seq` for its length and its places, which an iterator does not have.
#
# `numbered("xy")` works, but `numbered(iter("xy"))` stops with "object of type 'str_ascii_iterator' has no len()". The statement promises
# an iterator as input too; Hint 1 lists three things one can try with `seq`. Try each of them on `iter("xy")`.

# %% wrong="numbered-start-skips" fails="numbered-by-hand numbered-iterator"
def numbered(seq, start=0):
    return list(enumerate(seq))[start:]


# %% [markdown] mistake="numbered-start-skips"
# Takes `start` for a place in `seq` and leaves out the items before it.
#
# For `["hat", "bag", "coat"]` and `start` 1 you return `[(1, 'bag'), (2, 'coat')]`: the hat is gone. The statement says that no item may be
# left out. Compare the loop with `start=100` above the exercise: how many names did it print?

# %% wrong="numbered-not-a-list" fails="numbered-by-hand numbered-iterator numbered-edges"
def numbered(seq, start=0):
    return enumerate(seq, start)


# %% [markdown] mistake="numbered-not-a-list"
# Returns an iterator of pairs instead of a list.
#
# What you return can be walked over once; a second loop over it finds nothing, and it equals no list. The statement names the type of the
# result. Print `type(numbered("ab"))`, and read again what the cell with `first:` and `second:` shows.

# %% wrong="numbered-printed" fails="numbered-by-hand numbered-default numbered-iterator numbered-edges"
def numbered(seq, start=0):
    for number, item in enumerate(seq, start):
        print((number, item))


# %% [markdown] mistake="numbered-printed"
# Gives nothing back: its result is None.
#
# What is on the screen, or only has a name inside your function, no other line of a program can work with: `x = numbered("ab")` leaves
# `None` in `x`. Ask yourself what the caller gets back when your last line has run.

# %% wrong="numbered-lists" fails="numbered-by-hand numbered-default numbered-iterator numbered-edges"
def numbered(seq, start=0):
    return [[number, item] for number, item in enumerate(seq, start)]


# %% [markdown] mistake="numbered-lists"
# Makes each pair a list instead of a tuple.
#
# For `["hat"]` and `start` 3 you return `[[3, 'hat']]`. It looks alike, but to Python `[3, 'hat'] == (3, 'hat')` is False, and the
# statement asks for one of the two. Compare your output with the example worked by hand, bracket by bracket.

# %% right="numbered-zip"
def numbered(seq, start=0):
    return [*zip(itertools.count(start), seq)]


# %% right="numbered-loop"
def numbered(seq, start=0):
    found = []
    for item in seq:
        found.append((start, item))
        start += 1
    return found


# %% [markdown] explanation="numbered"
# `enumerate` needs nothing of `seq` but that it can be walked over, so generators, files and data loaders work.
# `range(len(seq))` asks for a length and an index, which an iterator does not have.
# The other usual mistake takes `start` for a place in the sequence: it is only the first number.
# Try next: number the lines of an open file from 1, as an editor does.

# %% [markdown]
# ### Generators: a walk written as a function
#
# A function with `yield` in it is a **generator** (生成器).
# Calling it runs nothing yet; it gives an iterator.
# Each `next` runs the function up to the following `yield`, hands out that value, and stops there until it is asked again.
# So it can describe a walk without an end.

# %%
def halves(length):
    while True:
        yield length
        length = length / 2


print(list(itertools.islice(halves(28), 4)))

# %% [markdown]
# `itertools.islice` takes the first four values and asks for no more.
#
# A network does not see one picture at a time but a **batch** (批), a few at once.
# The figure cuts the places 0 to 20 into batches of eight; the last row is what is left over.
# (`zip` walks over several iterables in step; `strict=False` lets it end with the shortest, `strict=True` wants them equally long.)

# %%
places = list(range(21))
chunks = [places[first : first + 8] for first in range(0, len(places), 8)]
fig, axes = plt.subplots(len(chunks), 8, figsize=(8, 3.6))
for ax in axes.flat:
    ax.axis("off")
for number, chunk in enumerate(chunks):
    for ax, i in zip(axes[number], chunk, strict=False):
        ax.imshow(fashion[i][0], cmap="gray_r")
        ax.set_title(f"{i}", fontsize=8)
    axes[number][0].text(-8, 14, f"batch {number}", ha="right", va="center")
plt.show()

# %% [markdown]
# Two full batches and a short one of five: the running number goes on from row to row, and no picture is lost.
#
# ### Exercise 2: batches with a running index (5 points)
#
# Write `batches_with_index(it, size, start)`, a generator or any other function that returns an iterator.
# It gives lists of `size` tuples `(index, item)`; the index begins at `start` (0 if left out) and runs on from batch to batch.
# The last list is shorter where the items do not come out even; an empty list is never given.
# By hand: `list(batches_with_index("abcde", 2, 1))` is `[[(1, 'a'), (2, 'b')], [(3, 'c'), (4, 'd')], [(5, 'e')]]`.
# `it` is any iterable and may be endless: a full batch is given at once, before the next item is asked for.
# So `list(it)`, `len(it)` and `it[a:b]` are out; `itertools.islice` is allowed. Every batch is a list of its own.
#
# <details><summary>Hint 1</summary>When is a batch ready to be handed out, and what has to be done after the loop?</details>
# <details><summary>Hint 2</summary>Loop over <code>enumerate(it, start)</code>, append each pair to a list, and <code>yield</code> the list when it is full.
# (A <code>next(…)</code> that finds nothing more inside a generator ends it with a RuntimeError.)</details>

# %% exercise="batches"
def batches_with_index(it: Iterable, size: int, start: int = 0) -> Iterator[list]:
    """Yield lists of `size` pairs (index, item), counted from `start`; the last may be shorter, none is empty. `size` is at least 1."""
    # BEGIN SOLUTION
    batch = []
    for pair in enumerate(it, start):
        batch.append(pair)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
    # END SOLUTION


# %% check="batches-by-hand" points=1
def batches_of_letters():
    answer = batches_with_index("abcd", 2, 1)
    return list(itertools.islice(answer, 10)) if isinstance(answer, Iterable) else type(answer).__name__


found = batches_of_letters()
expected = [[(1, "a"), (2, "b")], [(3, "c"), (4, "d")]]
assert type(found) is list, (
    f"batches_with_index('abcd', 2, 1) must give lists to a loop, got {found}: is `yield` missing, or, without `yield`, the `return`?"
)
assert len(found) < 10, (
    f"two batches of 'abcd' should come, but there were ten, the last one {found[-1]}: stop when no item is left, and begin the walk over "
    f"the items only once, not anew for each batch"
)
assert found != expected[0], f"batches of 'abcd', size 2: got {found}, which is one batch alone: `return` ends the walk, `yield` goes on"
assert [] not in found, (
    f"batches of 'abcd', size 2, must not be empty, got {found}: is the rest given only where there is one, and is every batch a new list "
    f"(`clear()` empties the one that was given away)?"
)
assert found == expected, (
    f"batches of 'abcd', size 2, start 1: expected {expected}, got {found}: does the index run on from batch to batch, is every batch a "
    f"new list, and are lists given, not single pairs?"
)
print("passed: two full batches, numbered from 1")

# %% check="batches-short" points=1
def batches_of_five():
    answer = batches_with_index([10, 20, 30, 40, 50], 3)
    return list(itertools.islice(answer, 10)) if isinstance(answer, Iterable) else type(answer).__name__


found = batches_of_five()
expected = [[(0, 10), (1, 20), (2, 30)], [(3, 40), (4, 50)]]
assert type(found) is list, (
    f"batches_with_index([10, 20, 30, 40, 50], 3) must give lists to a loop, got {found}: is `yield`, or the `return`, missing?"
)
assert len(found) < 10, f"five items in batches of 3 make two batches, but there were ten, the last one {found[-1]}: see the check above"
assert found == expected, (
    f"five items in batches of 3: expected {expected}, got {found}: is the rest a batch too, and does the index run on?"
)
print("passed: the short batch at the end is there")

# %% hidden="batches-generator" points=2
def batches_of_a_generator():
    sevens = (7 * n for n in range(6))
    walks = batches_with_index(sevens, 3, -2), batches_with_index([], 3), batches_with_index("xy", 1)
    return [list(itertools.islice(walk, 20)) for walk in walks]


evens, nothing, singles = batches_of_a_generator()
expected = [[(-2, 0), (-1, 7), (0, 14)], [(1, 21), (2, 28), (3, 35)]]
assert evens == expected, (
    f"six items of a generator, size 3, start -2: expected {expected}, got {evens}: no len(), no slices, and no empty batch at the "
    f"end"
)
assert nothing == [], f"no items make no batches, got {nothing}"
assert singles == [[(0, "x")], [(1, "y")]], f"size 1 gives batches of one item each, got {singles}"

# %% hidden="batches-lazy" points=1
def taken_for_one_batch():
    source = iter(range(100))
    first = next(batches_with_index(source, 4))
    return first, len(list(source))


first, left = taken_for_one_batch()
assert first == [(0, 0), (1, 1), (2, 2), (3, 3)], f"the first batch of 0, 1, 2, … should be [(0, 0), (1, 1), (2, 2), (3, 3)], got {first}"
assert left == 96, (
    f"one batch of 4 out of 100 items should leave 96 untouched, but {left} are left: yield as soon as the batch is full, before "
    f"the next item is taken"
)

# %% wrong="batches-last-lost" fails="batches-short"
def batches_with_index(it, size, start=0):
    full = []
    for pair in enumerate(it, start):
        full += [pair]
        if len(full) == size:
            yield full
            full = []


# %% [markdown] mistake="batches-last-lost"
# Loses the rest where the items do not come out even.
#
# Five items "pqrst" in batches of 2 give you two batches, and `(4, 't')` never comes out; two items in batches of 5 give you nothing at
# all. Ask what your function still holds in its hands when the loop is over.

# %% wrong="batches-index-restarts" fails="batches-by-hand batches-short batches-generator"
def batches_with_index(it, size, start=0):
    source = iter(it)
    while items := list(itertools.islice(source, size)):
        yield list(enumerate(items, start))


# %% [markdown] mistake="batches-index-restarts"
# Lets the index begin at `start` again in every batch.
#
# For "pqrst" and size 2 your second batch is `[(0, 'r'), (1, 's')]`, as if the walk had begun anew. The statement says that the index runs
# on from batch to batch. What in your code remembers how many items came before?

# %% wrong="batches-same-list" fails="batches-by-hand batches-short batches-generator"
def batches_with_index(it, size, start=0):
    full = []
    for pair in enumerate(it, start):
        full.append(pair)
        if len(full) == size:
            yield full
            full.clear()
    if full:
        yield full


# %% [markdown] mistake="batches-same-list"
# Hands out one list again and again, and empties it after each batch.
#
# A caller who keeps the batches of "pqrst", size 2, ends with `[(4, 't')]` three times, because all three are one object. Collect them with
# `list(…)`, and ask whether two of them are the same list with `is`. The last sentence of the statement is about this.

# %% wrong="batches-slices" fails="batches-generator batches-lazy"
def batches_with_index(it, size, start=0):
    for first in range(0, len(it), size):
        yield list(enumerate(it[first : first + size], start + first))


# %% [markdown] mistake="batches-slices"
# Asks `it` for its length or cuts pieces out of it, which an iterator does not allow.
#
# A string works, but `batches_with_index(iter("pqr"), 2)` stops with "object of type 'str_ascii_iterator' has no len()". The statement
# rules out three ways to touch `it`. Which one way of getting items works for every iterable, even an endless one?

# %% wrong="batches-all-at-once" fails="batches-lazy"
def batches_with_index(it, size, start=0):
    everything = list(enumerate(it, start))
    for first in range(0, len(everything), size):
        yield everything[first : first + size]


# %% [markdown] mistake="batches-all-at-once"
# Reads all of `it` before it gives the first batch.
#
# With ten items and size 3, after the first `next(…)` no item is left in the source, where seven should be; with `itertools.count()` the
# first batch would never come. Ask how many items must have been read at the moment when a batch is full.

# %% wrong="batches-empty-at-the-end" fails="batches-by-hand batches-generator"
def batches_with_index(it, size, start=0):
    full = []
    for pair in enumerate(it, start):
        full.append(pair)
        if len(full) == size:
            yield full
            full = []
    yield full


# %% [markdown] mistake="batches-empty-at-the-end"
# Gives an empty list at the end where the items come out even.
#
# Two items in batches of 2 give you `[(0, 'p'), (1, 'q')]` and then `[]`, and no items at all give one empty batch. Try four items by hand:
# what is left over after the last full batch, and should it be handed out?

# %% wrong="batches-endless" fails="batches-by-hand batches-short batches-generator"
def batches_with_index(it, size, start=0):
    walk = enumerate(it, start)
    while True:
        yield list(itertools.islice(walk, size))


# %% [markdown] mistake="batches-endless"
# Never ends: empty batches follow without end when the items are used up.
#
# After the last item of "pq" you go on with `[]`, `[]`, `[]`, …, so `list(batches_with_index("pq", 2))` would never return. What tells your
# loop that there is nothing left to take? Look at what one round gives when the items have run out.

# %% wrong="batches-returned" fails="batches-by-hand batches-short batches-generator batches-lazy"
def batches_with_index(it, size, start=0):
    full = []
    for pair in enumerate(it, start):
        full.append(pair)
        if len(full) == size:
            return full
    return full


# %% [markdown] mistake="batches-returned"
# Returns the first batch instead of an iterator over all batches.
#
# For "pqrst" and size 2 the caller gets `[(0, 'p'), (1, 'q')]` and never sees r, s and t; a loop over it meets pairs where batches should
# be. Compare what `return` and `yield` do to a function that has more to say.

# %% wrong="batches-never-new" fails="batches-by-hand batches-short batches-generator"
def batches_with_index(it, size, start=0):
    full = []
    for pair in enumerate(it, start):
        full.append(pair)
        if len(full) == size:
            yield full
    if full:
        yield full


# %% [markdown] mistake="batches-never-new"
# Goes on filling the same list after a batch was given, so one list grows and grows.
#
# For "pqrst" and size 2 you give the full list once, at two items; then it grows to five and is never of length 2 again. The first batch,
# already given away, grows with it. What should be true of your list right after a batch has gone out?

# %% right="batches-islice"
def batches_with_index(it, size, start=0):
    walk = enumerate(it, start)
    while full := list(itertools.islice(walk, size)):
        yield full


# %% [markdown] explanation="batches"
# One `enumerate` runs over the whole input, so the index never restarts.
# The list is handed out, and then a *new* list is made: `batch.clear()` would empty the list that the caller has just received.
# After the loop something may be left: forgetting it loses the last short batch, yielding it always gives an empty one where the items come out even.
# `DataLoader` knows both behaviours: `drop_last=True` throws the short batch away.

# %% [markdown]
# ## A class and its instances
#
# A **class** (类) describes a kind of object; an **instance** (实例) is one object of that kind.
# `Garment(…)` makes an instance, and Python then calls `__init__` to fill it.
# `self` is the instance that is being filled, or on which a method was called; Python passes it by itself.

# %%
class Garment:
    """A piece of clothing with a name and a price."""

    shop = "Main Street"

    def __init__(self, title, price):
        self.title = title
        self.price = price

    def offer(self, percent):
        lowered = self.price * (100 - percent) / 100
        return f"{self.title}: {lowered:g}"


coat = Garment("coat", 80)
scarf = Garment("scarf", 10)
print(coat.offer(25), "|", Garment.offer(coat, 25))

# %% [markdown]
# The two printed texts are equal, because `coat.offer(25)` *is* `Garment.offer(coat, 25)`: that is where `self` comes from.
#
# The text in triple quotes is the **docstring** (文档字符串); `help(Garment)` shows it, and it is kept in the class as `__doc__`.
# An **attribute** (属性) is a name after a dot, and `coat.title` is an **attribute reference** (属性引用).
# Three sorts of variables stand in this class:
#
# | sort | here | lives in | lives as long as |
# |---|---|---|---|
# | **class variable** (类变量) | `shop` | the class | the class |
# | **instance variable** (实例变量) | `title`, `price` | one instance | that instance |
# | **local variable** (局部变量) | `lowered`, `percent` | one call of `offer` | that call |
#
# Class and instance variables together are the **data members** (数据成员).
# Notes say "a local variable acts only on this instance's class"; it does not even outlive the call:

# %%
print(Garment.__doc__)
print(coat.title, coat.shop, Garment.shop)
print("lowered in the instance:", hasattr(coat, "lowered"), "| in the class:", hasattr(Garment, "lowered"))

# %% [markdown]
# `coat.shop` was found although no instance has it.
# To look up `coat.shop` Python first searches the instance's own names, `vars(coat)`, then those of its class.
# An *assignment* `coat.shop = …` does not search: it writes into the instance.
# (A class can say otherwise, with a property or with `__setattr__`; both come below.)
# We draw it; every word in the figure is read from the live objects.

# %%
def own_names(thing):
    members = [(k, v) for k, v in vars(thing).items() if not k.startswith("__")]
    return "\n".join(f"{k}()" if callable(v) else f"{k} = {v!r}" for k, v in members)


def box(ax, x, y, text, color):
    style = {"boxstyle": "round,pad=0.5", "facecolor": color, "edgecolor": "0.4"}
    return ax.text(x, y, text, bbox=style, ha="center", va="center", family="monospace", fontsize=9)


def arrow(ax, tail, head, **style):
    ends = {"patchA": tail.get_bbox_patch(), "patchB": head.get_bbox_patch(), "shrinkA": 0, "shrinkB": 3}
    looks = {"arrowstyle": "-|>", "color": "0.3"} | ends | style
    ax.annotate("", xy=head.get_position(), xytext=tail.get_position(), arrowprops=looks)


def draw_namespaces(ax, name, **instances):
    kind = type(next(iter(instances.values())))
    ax.set(xlim=(0, 10), ylim=(0, 10))
    ax.axis("off")
    top = box(ax, 5, 8.4, f"class {kind.__name__}\n{own_names(kind)}", "navajowhite")
    for place, (word, one) in enumerate(instances.items()):
        low = box(ax, 2.4 + 5.2 * place, 3.4, f"{word}\n{own_names(one)}", "lightblue")
        found = name in vars(one)
        arrow(ax, low, top, color="0.8" if found else "darkorange", linewidth=1 if found else 2)
        where = "the instance" if found else "the class"
        ax.text(2.4 + 5.2 * place, 0.4, f"{word}.{name} is {getattr(one, name)!r}\nfound in {where}", ha="center", fontsize=9)


# %%
fig, axes = plt.subplots(1, 2, figsize=(11, 4.2))
draw_namespaces(axes[0], "shop", coat=coat, scarf=scarf)
axes[0].set_title("as made")
coat.shop = "Outlet"
draw_namespaces(axes[1], "shop", coat=coat, scarf=scarf)
axes[1].set_title('after coat.shop = "Outlet"')
plt.show()

# %% [markdown]
# The orange arrows are searches for `shop` that went on to the class.
# Left, both instances have two names of their own and borrow `shop`.
# Right, the assignment gave `coat` a `shop` of its own, which hides the one in the class; `scarf` still borrows.
#
# ### Shared by mistake
#
# Assignment makes a new name in the instance, but `append` changes the object that is already there.
# If that object is a list in the class, it belongs to all:

# %%
class Basket:
    owner = ""
    goods = []

    def put(self, thing, into=[]):
        into.append(thing)
        return into


mine, yours = Basket(), Basket()
mine.owner = "Mei"
mine.goods.append("coat")
print(repr(yours.owner), yours.goods)
print(mine.put("bag"))
print(yours.put("shoe"))

# %% [markdown]
# `owner` behaved, because it was assigned; `goods` did not, because it was changed in place.
# Notes that write `name = ''` in the class "for each instance's data" work until the first list.
#
# The default `into=[]` has the same trouble: a default value is made once, when `def` runs, and all calls share it.
# So data of an instance is made in `__init__`, and a default that can change is replaced by `None`.

# %% [markdown]
# ### Exercise 3: a wardrobe that shares nothing (5 points)
#
# Repair the basket: write `Wardrobe` so that no two wardrobes share a list, and no default list is made once for all calls.
#
# - `Wardrobe(name, items)` keeps `self.name` and a *new* list `self.items` with the given items (none by default), so that the caller's list is never changed.
# - `add(item, to)` appends `item` to the list `to`, and returns that list. Where `to` is left out it is the wardrobe's own `items`.
#   A list that was given is used even when it is empty.
#
# By hand: after `w = Wardrobe("hall")`, `w.add("coat")` is `['coat']`, and `w.add("hat", [])` is `['hat']`, with `w.items` still `['coat']`.
#
# <details><summary>Hint 1</summary>Which of your lines makes a new list, and how often does it run: once, once for each wardrobe, or once for each call?</details>
# <details><summary>Hint 2</summary>An empty list counts as false. What does <code>to is None</code> ask, and what does <code>not to</code> ask?</details>

# %% exercise="wardrobe"
class Wardrobe:
    """A named list of clothes; no two wardrobes share a list."""

    def __init__(self, name: str, items: Iterable[str] = ()):
        """Keep the name, and a list of its own that holds `items`."""
        # BEGIN SOLUTION
        self.name = name
        self.items = list(items)
        # END SOLUTION

    def add(self, item: str, to: list | None = None) -> list:
        """Append `item` to `to`, by default to this wardrobe's own items, and return that list."""
        # BEGIN SOLUTION
        target = self.items if to is None else to
        target.append(item)
        return target
        # END SOLUTION


# %% check="wardrobe-apart" points=1
def fill_one_of_two():
    hall, attic = Wardrobe("hall"), Wardrobe("attic")
    try:
        added = hall.add("coat")
    except NotImplementedError:  # not written yet
        raise
    except Exception as error:
        added = f"{type(error).__name__}: {error}"
    return added, getattr(hall, "items", "nothing"), getattr(attic, "items", "nothing")


added, hall, attic = fill_one_of_two()
assert added == ["coat"], (
    f"add('coat') to an empty wardrobe must return ['coat'], got {added!r}: does __init__ give self.items a new list, and does add "
    f"return it?"
)
assert hall == ["coat"], (
    f"after add('coat') the wardrobe's items should be ['coat'], got {hall!r}: append to the list itself, `+` makes another one"
)
assert attic == [], (
    f"filling one wardrobe must leave the other one empty, but it holds {attic!r}: is the list made once for all, in the class or "
    f"as a default?"
)
print("passed: what goes into one wardrobe stays out of the other")

# %% check="wardrobe-instance" points=1
def names_of_its_own():
    return {key: value for key, value in vars(Wardrobe("hall", ["hat"])).items() if key in ("name", "items")}


own = names_of_its_own()
assert own == {"name": "hall", "items": ["hat"]}, (
    f"the instance itself must hold name 'hall' and items ['hat'], it holds {own}: assign to self.… in __init__, and "
    f"copy the items one by one ([items] is a list in a list)"
)
print("passed: name and items are instance variables")

# %% hidden="wardrobe-copy" points=2
def add_to_a_copy():
    given = ["hat"]
    first, second = Wardrobe("a", given), Wardrobe("b", given)
    first.add("coat")
    return given, first.items, second.items, Wardrobe("c", ("x", "y")).add("z")


given, first, second, from_tuple = add_to_a_copy()
assert first == ["hat", "coat"], f"the wardrobe given ['hat'] should hold ['hat', 'coat'] after add('coat'), got {first!r}"
assert given == ["hat"], f"the caller's list must stay ['hat'], it became {given!r}: self.items = items keeps the caller's own list"
assert second == ["hat"], f"a second wardrobe made from the same list must stay ['hat'], it became {second!r}"
assert from_tuple == ["x", "y", "z"], (
    f"items may be any iterable: a tuple ('x', 'y') and 'z' should give ['x', 'y', 'z'], got {from_tuple!r}"
)

# %% hidden="wardrobe-to" points=1
def add_elsewhere():
    hall, other, empty = Wardrobe("hall"), ["hat"], []
    results = [hall.add("coat"), hall.add("bag", other), hall.add("shoe", empty), hall.add("belt")]
    return results, hall.items, other, empty


results, hall, other, empty = add_elsewhere()
assert other == ["hat", "bag"], f"add('bag', to=['hat']) must append to that list, it is now {other!r}"
assert empty == ["shoe"], (
    f"add('shoe', to=[]) must append to the empty list that was given, it is now {empty!r}: `to or self.items` takes an empty list "
    f"for none"
)
assert hall == ["coat", "belt"], f"the wardrobe itself should hold ['coat', 'belt'], got {hall!r}: only calls without `to` go there"
assert results[1:] == [["hat", "bag"], ["shoe"], ["coat", "belt"]], f"add must return the list that it appended to, got {results!r}"

# %% wrong="wardrobe-class-list" fails="wardrobe-apart wardrobe-instance wardrobe-copy"
class Wardrobe:
    items = []

    def __init__(self, name, items=()):
        self.name = name
        self.items.extend(items)

    def add(self, item, to=None):
        target = self.items if to is None else to
        target.append(item)
        return target


# %% [markdown] mistake="wardrobe-class-list"
# Keeps the clothes in one list in the class, shared by all wardrobes.
#
# Put a hat into one wardrobe, and the next one that you make holds the hat as well; `vars(…)` of a wardrobe shows its name and no list.
# Look at the left figure above: how often is a line directly under `class` run?

# %% wrong="wardrobe-default-list" fails="wardrobe-apart wardrobe-copy"
class Wardrobe:
    def __init__(self, name, items=[]):
        self.name, self.items = name, items

    def add(self, item, to=None):
        target = self.items if to is None else to
        target.append(item)
        return target


# %% [markdown] mistake="wardrobe-default-list"
# Uses one default list for all wardrobes, and keeps the caller's list instead of a new one.
#
# After `Wardrobe("a").add("hat")`, a fresh `Wardrobe("b")` already holds `['hat']`; and a list that you pass in grows when the wardrobe
# does. Both have one cause: `__init__` makes no list. When is a default value made, and how often?

# %% wrong="wardrobe-truth" fails="wardrobe-to"
class Wardrobe:
    def __init__(self, name, items=()):
        self.name, self.items = name, list(items)

    def add(self, item, to=None):
        target = to or self.items
        target.append(item)
        return target


# %% [markdown] mistake="wardrobe-truth"
# Treats an empty list given as `to` as if none had been given.
#
# `add("tie", [])` on an empty wardrobe leaves the given list empty and puts the tie into the wardrobe. The statement has a sentence about
# an empty list. Work out what your test says for `[]` and what it says where `to` was left out.

# %% wrong="wardrobe-default-to" fails="wardrobe-apart wardrobe-to"
class Wardrobe:
    def __init__(self, name, items=()):
        self.name, self.items = name, list(items)

    def add(self, item, to=[]):
        to.append(item)
        return to


# %% [markdown] mistake="wardrobe-default-to"
# Gives `to` a default list, shared by all calls, and so never fills the wardrobe's own items.
#
# After `w.add("hat")` the list `w.items` is still empty, and the next `add("tie")`, even on another wardrobe, returns `['hat', 'tie']`.
# Basket's `put` above has the same trouble. Which list does the statement name for a call without `to`?

# %% wrong="wardrobe-nested" fails="wardrobe-instance wardrobe-copy"
class Wardrobe:
    def __init__(self, name, items=()):
        self.name = name
        self.items = [items] if items else []

    def add(self, item, to=None):
        target = self.items if to is None else to
        target.append(item)
        return target


# %% [markdown] mistake="wardrobe-nested"
# Puts the given collection as one single item into the list.
#
# `Wardrobe("v", ["cap"]).items` is `[['cap']]`, a list in a list, so the wardrobe holds one thing that is no piece of clothing. Try it with
# three items and ask for `len(….items)`; what do the brackets around a list do?

# %% wrong="wardrobe-local" fails="wardrobe-apart wardrobe-instance wardrobe-copy wardrobe-to"
class Wardrobe:
    def __init__(self, name, items=()):
        self.name = name
        items = list(items)

    def add(self, item, to=None):
        target = self.items if to is None else to
        target.append(item)
        return target


# %% [markdown] mistake="wardrobe-local"
# Keeps the items in a local variable, so that the wardrobe has none.
#
# `add("hat")` stops with "'Wardrobe' object has no attribute 'items'", and `vars(…)` of a new wardrobe shows the name alone. Find the row
# of the table of three sorts of variables that fits your list: how long does it live?

# %% wrong="wardrobe-plus" fails="wardrobe-apart wardrobe-copy wardrobe-to"
class Wardrobe:
    def __init__(self, name, items=()):
        self.name, self.items = name, list(items)

    def add(self, item, to=None):
        target = self.items if to is None else to
        return target + [item]


# %% [markdown] mistake="wardrobe-plus"
# `add` returns a new, longer list and leaves the wardrobe and the given list as they were.
#
# `w.add("hat")` returns `['hat']`, but afterwards `w.items` is still empty, and a list given as `to` does not grow either. The statement
# says which list is to be returned. Does your operation change a list or build another one?

# %% wrong="wardrobe-no-return" fails="wardrobe-apart wardrobe-copy wardrobe-to"
class Wardrobe:
    def __init__(self, name, items=()):
        self.name, self.items = name, list(items)

    def add(self, item, to=None):
        (self.items if to is None else to).append(item)


# %% [markdown] mistake="wardrobe-no-return"
# `add` appends the item but returns None.
#
# The hat does arrive in `w.items`, but `w.add("hat")` itself is `None`, where the example by hand shows a list. The sentence on `add` in
# the statement asks for two things; which of them does yours leave out?

# %% wrong="wardrobe-kept-tuple" fails="wardrobe-apart wardrobe-copy wardrobe-to"
class Wardrobe:
    def __init__(self, name, items=()):
        self.name, self.items = name, items

    def add(self, item, to=None):
        target = self.items if to is None else to
        target.append(item)
        return target


# %% [markdown] mistake="wardrobe-kept-tuple"
# Keeps `items` itself, tuple or list, instead of making a new list of it.
#
# `Wardrobe("a").add("hat")` stops with "'tuple' object has no attribute 'append'". A given list `['cap']` works, but then the caller's own
# list becomes `['cap', 'tie']`. The statement says what `self.items` must be, with one word in italics.

# %% right="wardrobe-unpacked"
class Wardrobe:
    def __init__(self, name, items=()):
        self.name = name
        self.items = [*items]

    def add(self, item, to=None):
        if to is None:
            to = self.items
        to += [item]
        return to


# %% [markdown] explanation="wardrobe"
# `list(items)` runs once for each wardrobe, so each has its own list, and the caller keeps theirs.
# The default `()` is safe because a tuple cannot change.
# `to is None` asks whether the caller said anything; `to or self.items` also overrules an empty list that the caller did give.
# Try next: print `Basket.put.__defaults__` after two calls, and see where the shared list is kept.

# %% [markdown]
# ## Private names, and what they protect
#
# A name that begins with two underscores and does not end with two is called private.
# Notes say that it "cannot be accessed outside the class".
# We ask Python.

# %%
class Safe:
    """Keeps a code."""

    def __init__(self, code):
        self.__code = code

    def __matches(self, guess):
        return guess == self.__code

    def opens(self, guess):
        return self.__matches(guess)


safe = Safe(1234)
print(safe.opens(1234), hasattr(safe, "__code"), vars(safe))
print(safe._Safe__code)

# %% [markdown]
# The name `__code` is not there, but `_Safe__code` is, and it opens without force.
# Inside a class Python rewrites every `__x` to `_ClassName__x`: this is **name mangling** (名称改写).
# It is no lock.
# It keeps a *subclass* that happens to use the same word from overwriting ours, and it works for methods such as `__matches` too.
#
# The next program is found in many notes as the example of a private counter.
# Three visits are counted, two of them by `a`.

# %%
class JustCounter:
    __total = 0

    def visit(self):
        self.__total += 1


a, b = JustCounter(), JustCounter()
for one in (a, a, b):
    one.visit()
print("class:", JustCounter._JustCounter__total, "| a:", vars(a), "| b:", vars(b))

# %% [markdown]
# The class still says 0.
# `self.__total += 1` means `self.__total = self.__total + 1`: the right side finds the 0 in the class, the left side makes an instance variable.
# So nothing was shared, and it looked right.
# For one count per instance, begin it in `__init__`; for one count in all, write `JustCounter.__total += 1`.
#
# To let others read a value but not assign it, a method is marked as a **property** (特性).
# The line with `@`, a **decorator** (装饰器), hands the method to `property`, and from then on it is read without parentheses.
# It is the exception announced above: Python asks the class for a property before it looks into, or writes into, the instance.

# %%
class Square:
    def __init__(self, side):
        self.side = side

    @property
    def area(self):
        return self.side**2


tile = Square(3)
print(tile.area)
try:
    tile.area = 10
except AttributeError:
    print("AttributeError: area can be read, not assigned")

# %% [markdown]
# ### Exercise 4: a counter to read, not to assign (6 points)
#
# Write `Counter2`.
# A new counter stands at 0, in a private instance variable `__count` (`vars(counter)` then holds `_Counter2__count` and nothing else).
#
# - `add(n)` raises the count by `n`, by 1 where `n` is left out; 0 is allowed.
# - The private method `__check(n)` raises `ValueError` where `n` is negative, and `add` calls it first, so that a refused call changes nothing.
# - `count` is a property: it can be read, and assigning to it raises `AttributeError`.
#
# By hand: after `c = Counter2()`, `c.add()` and `c.add(3)`, `c.count` is 4.
# A subclass may use `self.__count`, `self._count` or a method `__check` for its own ends without disturbing yours.
#
# <details><summary>Hint 1</summary>What does Python write in place of <code>self.__count</code> in this class, and what in a subclass called <code>Door</code>?</details>
# <details><summary>Hint 2</summary>Begin with <code>self.__count = 0</code>; what would happen if this line stood in the class instead of in <code>__init__</code>?</details>

# %% exercise="counter"
class Counter2:
    """Counts upwards; everybody may read `count`, nobody may assign it."""

    def __init__(self):
        # BEGIN SOLUTION
        self.__count = 0
        # END SOLUTION

    def __check(self, n: int) -> None:
        """Raise ValueError where `n` is negative."""
        # BEGIN SOLUTION
        if n < 0:
            raise ValueError(f"a counter only goes up, not by {n}")
        # END SOLUTION

    def add(self, n: int = 1) -> None:
        """Raise the count by `n`."""
        # BEGIN SOLUTION
        self.__check(n)
        self.__count += n
        # END SOLUTION

    @property
    def count(self) -> int:
        """The count so far."""
        # BEGIN SOLUTION
        return self.__count
        # END SOLUTION


# %% check="counter-counts" points=1
def count_twice():
    try:
        one, other = Counter2(), Counter2()
        one.add()
        one.add(3)
        return one.count, other.count
    except AttributeError as error:
        return f"AttributeError: {error}", 0


one, other = count_twice()
assert one == 4 and type(one) is int, (
    f"add() and add(3) should give a count of 4, got {one!r}: is the number in self.__count from __init__ on, does add raise it, "
    f"and does count return it?"
)
assert other == 0 and type(other) is int, (
    f"a second counter must still stand at 0, got {other!r}: is the count kept in the class, where all counters share it?"
)
print("passed: each counter counts for itself")

# %% check="counter-read-only" points=1
def assign_count():
    counter = Counter2()
    counter.add(2)
    try:
        counter.count = 50
    except Exception as error:
        return type(error).__name__, counter.count
    return "no error", counter.count


error, count = assign_count()
assert error == "AttributeError", f"counter.count = 50 must raise AttributeError, got {error}: make count a property without a setter"
assert count == 2, (
    f"after add(2) and the refused assignment a counter must stand at 2, got {count!r}: does each keep, and return, a count of its own?"
)
print("passed: count can be read and not assigned")

# %% hidden="counter-subclass" points=2
def count_doors():
    class Door(Counter2):
        def __init__(self):
            super().__init__()
            self.__count = self._count = 100

        def __check(self, n):
            raise RuntimeError("the subclass's own method")

    door = Door()
    door.add(5)
    return door.count


doors = count_doors()
assert doors == 5, (
    f"a subclass with its own __count, _count and __check must not disturb the count: expected 5 after add(5), got {doors!r}; a "
    f"single underscore is not mangled"
)

# %% hidden="counter-private" points=1
def own_variables():
    return dict(vars(Counter2())), [name for name in vars(Counter2) if name.endswith("count") and name != "count"]


own, shared = own_variables()
assert own == {"_Counter2__count": 0}, (
    f"a new counter must hold {{'_Counter2__count': 0}} and nothing else, it holds {own}: write self.__count = 0 in __init__"
)
assert shared == [], f"the class must not keep a count of its own, it has {shared}"

# %% hidden="counter-negative" points=1
def add_negative():
    c = Counter2()
    c.add(0)
    errors = []
    for call in (lambda: c.add(-1), lambda: c._Counter2__check(-3)):
        try:
            call()
            errors.append("no error")
        except Exception as refusal:
            errors.append(type(refusal).__name__)
    return errors, c.count


errors, count = add_negative()
assert errors == ["ValueError", "ValueError"], f"add(-1) and the private __check(-3) must both raise ValueError, got {errors}"
assert count == 0, f"after add(0) and a refused add(-1) the count must be 0, got {count!r}: check before you change"

# %% wrong="counter-class-state" fails="counter-counts counter-private"
class Counter2:
    __count = 0

    def __check(self, n):
        if n < 0:
            raise ValueError(n)

    def add(self, n=1):
        self.__check(n)
        Counter2.__count += n

    count = property(lambda self: Counter2.__count)


# %% [markdown] mistake="counter-class-state"
# Keeps one count in the class for all counters.
#
# After `add()` and `add(2)` on one counter, a second one that was never touched also stands at 3, and `vars(…)` of both is empty. The
# statement says where the number lives. In which object does your line of adding write?

# %% wrong="counter-just-counter" fails="counter-private"
class Counter2:
    __count = 0

    def __check(self, n):
        if n < 0:
            raise ValueError(n)

    def add(self, n=1):
        self.__check(n)
        self.__count += n

    count = property(lambda self: self.__count)


# %% [markdown] mistake="counter-just-counter"
# Begins the count in the class, so a new counter holds no number of its own.
#
# Counting looks right, but `vars(Counter2())` is `{}` and not `{'_Counter2__count': 0}`: the 0 is found in the class until the first `add`
# writes into the instance. It is the trick of JustCounter above. Which line runs for each new counter?

# %% wrong="counter-one-underscore" fails="counter-subclass counter-private"
class Counter2:
    def __init__(self):
        self._count = 0

    def __check(self, n):
        if n < 0:
            raise ValueError(n)

    def add(self, n=1):
        self.__check(n)
        self._count += n

    count = property(lambda self: self._count)


# %% [markdown] mistake="counter-one-underscore"
# Keeps the count under a name with one leading underscore, which is not mangled.
#
# A subclass that sets its own `self._count` to 50 and then calls `add()` gets 51: the two words are one variable. Print `vars(Counter2())`,
# compare it with the statement, and ask when Python rewrites a name.

# %% wrong="counter-public" fails="counter-read-only counter-private"
class Counter2:
    def __init__(self):
        self.count = 0

    def __check(self, n):
        if n < 0:
            raise ValueError(n)

    def add(self, n=1):
        self.__check(n)
        self.count += n


# %% [markdown] mistake="counter-public"
# Keeps the count as the plain attribute `count`, which everybody can assign.
#
# After two calls of `add` the count is 3; then `c.count = 9` raises nothing, and the counter stands at 9. The statement asks for a private
# variable and for something else called `count`, as `area` in the class `Square`.

# %% wrong="counter-checks-late" fails="counter-negative"
class Counter2:
    def __init__(self):
        self.__count = 0

    def __check(self, n):
        if n < 0:
            raise ValueError(n)

    def add(self, n=1):
        self.__count += n
        self.__check(n)

    count = property(lambda self: self.__count)


# %% [markdown] mistake="counter-checks-late"
# Checks `n` only after the count has been changed.
#
# A counter at 5 that gets `add(-2)` raises `ValueError`, but afterwards it stands at 3. The statement says what a refused call may change.
# Follow your `add` line by line for n = -2, and note the count after each line.

# %% wrong="counter-setter" fails="counter-read-only"
class Counter2:
    def __init__(self):
        self.__count = 0

    def __check(self, n):
        if n < 0:
            raise ValueError(n)

    def add(self, n=1):
        self.__check(n)
        self.__count += n

    @property
    def count(self):
        return self.__count

    @count.setter
    def count(self, value):
        self.__count = value


# %% [markdown] mistake="counter-setter"
# Lets others assign `count`: the property can be written as well as read.
#
# After two calls of `add` the counter stands at 3; `c.count = 9` raises nothing, and then it stands at 9. Compare your class with `Square`:
# why does `tile.area = 10` fail there, and what does yours have in addition?

# %% wrong="counter-no-return" fails="counter-counts counter-read-only counter-subclass counter-negative"
class Counter2:
    def __init__(self):
        self.__count = 0

    def __check(self, n):
        if n < 0:
            raise ValueError(n)

    def add(self, n=1):
        self.__check(n)
        self.__count += n

    @property
    def count(self):
        self.__count


# %% [markdown] mistake="counter-no-return"
# Reading `count` gives None.
#
# The number is kept and raised as it should be (`vars(c)` shows it after `add()`), but `c.count` is `None` all the time. A property is a
# method that is read without parentheses; what does a method hand back if it does not say so?

# %% right="counter-explicit"
class Counter2:
    def __init__(self):
        setattr(self, "_Counter2__count", 0)

    def __check(self, n):
        if not n >= 0:
            raise ValueError("negative")

    def add(self, n=1):
        Counter2.__check(self, n)
        self.__count = self.__count + n

    count = property(lambda self: self.__count)


# %% [markdown] explanation="counter"
# `self.__count` becomes `self._Counter2__count`, and the subclass's becomes `self._Door__count`: two names, no clash.
# The same holds for `__check`: our `add` calls `_Counter2__check`, whatever a subclass defines.
# In the class, `__count = 0` with `self.__count += n` seems to work (the note's JustCounter); with `Counter2.__count += n` all counters share one number.
# A property without a setter refuses assignment; the mangled name stays open to whoever insists.

# %% [markdown]
# ## Objects that answer to Python's syntax
#
# Names with two underscores on *both* sides are not mangled.
# They are **special methods** (特殊方法), also called dunder methods (from "double underscore"), and Python calls them for us:
# `thing[3]` becomes `type(thing).__getitem__(thing, 3)`.
# The class below notes each such call, and we draw who calls what.
# (In the cell after it, `lambda w: w[1]` is a function without a name: it takes `w` and returns `w[1]`.)

# %%
class Watched:
    """Passes everything on to a list, and notes which special method Python called."""

    def __init__(self, goods):
        self.goods, self.log = goods, collections.Counter()

    def __len__(self):
        self.log["__len__"] += 1
        return len(self.goods)

    def __getitem__(self, place):
        self.log["__getitem__"] += 1
        return self.goods[place]

    def __iter__(self):
        self.log["__iter__"] += 1
        return iter(self.goods)

    def __repr__(self):
        self.log["__repr__"] += 1
        return f"{self.__class__.__name__} of {len(self.goods)}"

    def __call__(self, word):
        self.log["__call__"] += 1
        return word


# %%
acts = {
    "w[1]": lambda w: w[1],
    "len(w)": lambda w: len(w),
    "bool(w)": lambda w: bool(w),
    "for x in w: …": lambda w: [x for x in w],
    "'bag' in w": lambda w: "bag" in w,
    "list(w)": lambda w: list(w),
    "reversed(w)": lambda w: [x for x in reversed(w)],
    "str(w)": lambda w: str(w),
    "w('fold')": lambda w: w("fold"),
}
columns = ["__getitem__", "__len__", "__iter__", "__repr__", "__call__"]
table = []
for act in acts.values():
    w = Watched(["coat", "bag", "hat"])
    act(w)
    table.append([w.log[column] for column in columns])

# %%
fig, ax = plt.subplots(figsize=(7, 4.2))
ax.imshow(table, cmap="Blues", vmax=6, aspect="auto")
for row, counts in enumerate(table):
    for column, times in enumerate(counts):
        ax.text(column, row, times or "", ha="center", va="center")
ax.set(xticks=range(5), yticks=range(len(acts)), title="calls of special methods, counted (w holds 3 items)")
ax.set_xticklabels(columns, family="monospace")
ax.set_yticklabels(list(acts), family="monospace")
ax.tick_params(length=0)
plt.show()

# %% [markdown]
# Read along a row: `for` and `in` ask for an iterator; `reversed` asks for the length and then for each place, three items in all.
# `list` also asks for the length, to reserve room; `bool` falls back on the length, and `str`, like a bare `{w}` in an f-string, on `__repr__`.
# `{w!r}` in an f-string asks for `__repr__` directly: a text then keeps its quotation marks.
# A set of methods that some syntax asks for is a **protocol** (协议), and having the methods is enough: `Watched` is no list.
#
# In `__repr__`, `self.__class__`, the same as `type(self)`, is the class of the instance, so the printed name stays right in a subclass.
#
# ### A base class from another module
#
# `class Child(Base)` makes `Child` a **subclass** (子类) of the **base class** (基类) `Base`: what `Child` does not define is looked up in `Base`.
# This is **inheritance** (继承).
# The base may come from any module: we reach it by attribute reference, `module.Base`, or import its name.

# %%
class Shelf(collections.UserList):
    """A list by inheritance, which also greets."""

    def greet(self):
        return f"{len(self)} things on a {self.__class__.__name__}"


shelf = Shelf(["hat"])
shelf.append("coat")
print(shelf.greet(), "|", Shelf.__bases__[0].__module__, Shelf.__bases__[0].__name__)

# %% [markdown]
# `append` and `len` came with the base class, `greet` is ours.
# The next exercise gets `__iter__` in the same way: `collections.abc.Iterator` has one that returns `self`, as every iterator must.

# %% [markdown]
# ### Exercise 5: something that can be repeated (7 points)
#
# Write two classes.
#
# `Lap(source)` is one walk over an object that has a length and an index: `next` gives `source[0]`, `source[1]`, …, and after `len(source)` items it raises `StopIteration`, every time it is asked.
# (It asks for the length; a source whose `[i]` never raises works too.)
#
# `Repeatable(items, times)` looks like `items` written `times` times over, without storing more than `items`:
#
# - its length is `len(items) * times`,
# - `[i]` gives the item at place `i`; negative places count from the end, as in a list; a place outside raises `IndexError`,
# - each `for` loop gets a new `Lap` over the Repeatable itself, so loops can stand inside each other,
# - its `repr` looks like `Repeatable(['coat', 'bag'], 2)`; an instance of a subclass shows the subclass's name,
# - called with a function, it returns the list of `function(item)` for all its items.
#
# By hand: `r = Repeatable(["coat", "bag"], 2)` has length 4, `r[2]` is `'coat'`, `r[-1]` is `'bag'`, `r(len)` is `[4, 3, 4, 3]`.
#
# <details><summary>Hint 1</summary>What does <code>i % len(items)</code> give for i = 2, 3 and −1 when there are two items?</details>
# <details><summary>Hint 2</summary>A Lap has two instance variables: the source and the place it has come to. When must the place move?</details>

# %% exercise="repeatable"
class Lap(collections.abc.Iterator):
    """One walk over `source`, which has `__len__` and `__getitem__`."""

    def __init__(self, source: Sequence):
        # BEGIN SOLUTION
        self.source = source
        self.place = 0
        # END SOLUTION

    def __next__(self):
        """Return the next item; raise StopIteration where there is none."""
        # BEGIN SOLUTION
        if self.place == len(self.source):
            raise StopIteration
        self.place += 1
        return self.source[self.place - 1]
        # END SOLUTION


class Repeatable:
    """`items`, `times` times over."""

    def __init__(self, items: Sequence, times: int):
        # BEGIN SOLUTION
        self.items = items
        self.times = times
        # END SOLUTION

    def __len__(self) -> int:
        # BEGIN SOLUTION
        return len(self.items) * self.times
        # END SOLUTION

    def __getitem__(self, i: int):
        """Return the item at place `i`, counted from the end where `i` is negative; raise IndexError outside."""
        # BEGIN SOLUTION
        if not -len(self) <= i < len(self):
            raise IndexError(f"place {i} of {len(self)}")
        return self.items[i % len(self.items)]
        # END SOLUTION

    def __iter__(self) -> Iterator:
        # BEGIN SOLUTION
        return Lap(self)
        # END SOLUTION

    def __repr__(self) -> str:
        # BEGIN SOLUTION
        return f"{type(self).__name__}({self.items!r}, {self.times!r})"
        # END SOLUTION

    def __call__(self, function: Callable) -> list:
        # BEGIN SOLUTION
        return [function(item) for item in self]
        # END SOLUTION


# %% check="repeatable-index" points=1
def places_by_hand():
    r = Repeatable(["coat", "bag"], 2)
    found = []
    for i in (0, 1, 2, 3, -1, -4, 4):
        try:
            found.append(r[i])
        except IndexError:
            found.append("IndexError")
        except NotImplementedError:  # not written yet
            raise
        except Exception as error:
            found.append(f"{type(error).__name__}: {error}")
    try:
        return len(r), found
    except NotImplementedError:
        raise
    except Exception as error:
        return f"{type(error).__name__}: {error}", found


length, (*items, last, first, outside) = places_by_hand()
assert length == 4, (
    f"len(Repeatable(['coat', 'bag'], 2)) should be 4, got {length!r}. A TypeError with NoneType: is the return of __len__ missing?"
)
assert items == ["coat", "bag", "coat", "bag"], (
    f"places 0 to 3 should hold coat, bag, coat, bag, got {items}. None: is the return of __getitem__ missing?"
)
assert (last, first) == ("bag", "coat"), (
    f"r[-1] should be 'bag' and r[-4] 'coat', got {last!r} and {first!r}: negative places count from the end"
)
assert outside == "IndexError", f"r[4] must raise IndexError where the length is 4, got {outside!r}: the remainder alone finds every place"
print("passed: length and places, from both ends")

# %% check="repeatable-for" points=1
def walk_over_it():
    try:
        return list(itertools.islice(Repeatable("ab", 3), 20))
    except NotImplementedError:  # not written yet
        raise
    except Exception as error:
        return f"{type(error).__name__}: {error}"


letters = walk_over_it()
assert letters == ["a", "b", "a", "b", "a", "b"], (
    f"a loop over Repeatable('ab', 3) should give a b a b a b and end, got {letters}: is the walk a Lap over the whole Repeatable, does "
    f"__next__ move on, return the item, and raise StopIteration at the end? An error about an integer: see the length in the check above"
)
print("passed: a for loop sees every item and ends")

# %% check="repeatable-repr" points=1
def printed():
    try:
        return repr(Repeatable(["coat", "bag"], 2)), str(Repeatable("ab", 3))
    except NotImplementedError:  # not written yet
        raise
    except Exception as error:
        return f"{type(error).__name__}: {error}", ""


with_list, with_text = printed()
assert with_list == "Repeatable(['coat', 'bag'], 2)", (
    f"repr should be Repeatable(['coat', 'bag'], 2), got {with_list}. A non-string: __repr__ returns the text, and prints nothing"
)
assert with_text == "Repeatable('ab', 3)", (
    f"repr should be Repeatable('ab', 3), got {with_text}: show the items by their own repr ({{…!r}})"
)
print("passed: it prints as the expression that makes it")

# %% hidden="repeatable-outside" points=1
def kinds_of_error():
    found = []
    for i in (6, -7, 100):  # just outside, on both sides, and far away
        try:
            found.append(Repeatable([1, 2, 3], 2)[i])
        except Exception as refusal:
            found.append(type(refusal).__name__)
    return found, [Repeatable([1, 2, 3], 2)[i] for i in (5, -6, -2)]


errors, inside = kinds_of_error()
assert errors == ["IndexError"] * 3, f"places 6, -7 and 100 of a Repeatable of length 6 must each raise IndexError, got {errors}"
assert inside == [3, 1, 2], f"places 5, -6 and -2 of 1 2 3 1 2 3 should hold 3, 1 and 2, got {inside}"

# %% hidden="repeatable-laps" points=1
def loops_in_loops():
    r = Repeatable("ab", 1)
    both = [x + y for x in itertools.islice(r, 9) for y in itertools.islice(r, 9)]
    lap = iter(r)
    first, again = next(lap), iter(lap) is lap
    rest = list(itertools.islice(lap, 9))
    return both, type(lap).__name__, first, again, rest, next(lap, "over"), next(lap, "over")


def laps_over_others():
    class Squares:
        """Has a length, and an answer for every place."""

        def __len__(self):
            return 3

        def __getitem__(self, i):
            return i * i

    return [list(itertools.islice(Lap(source), 9)) for source in (Squares(), [])]


both, kind, first, again, rest, over, still_over = loops_in_loops()
squares, empty = laps_over_others()
assert both == ["aa", "ab", "ba", "bb"], (
    f"a loop inside a loop over the same Repeatable('ab', 1) should give aa ab ba bb, got {both}: each loop needs a Lap of its own"
)
assert (kind, first, again, rest) == ("Lap", "a", True, ["b"]), (
    f"iter(r) must be a Lap that begins at 'a', is its own iterator, and goes on with 'b'; got {(kind, first, again, rest)}"
)
assert (over, still_over) == ("over", "over"), f"a Lap that has ended must raise StopIteration each time, got {(over, still_over)}"
assert squares == [0, 1, 4], f"a Lap over a source of length 3 should give [0, 1, 4] and end at the length, got {squares}"
assert empty == [], f"a Lap over nothing ends at once, got {empty}"

# %% hidden="repeatable-subclass" points=1
def printed_subclass():
    class Echo(Repeatable):
        pass

    return repr(Echo([7], 4))


echo = printed_subclass()
assert echo == "Echo([7], 4)", (
    f"repr of a subclass Echo should be Echo([7], 4), got {echo}: ask the instance for its class instead of writing the name"
)

# %% hidden="repeatable-call" points=1
def call_it():
    seen = []

    def length_of(word):
        seen.append(word)
        if len(seen) > 50:
            raise RuntimeError("the walk does not end")
        return len(word)

    return Repeatable(["coat", "bag", "t"], 2)(length_of)


lengths = call_it()
assert lengths == [4, 3, 1, 4, 3, 1], (
    f"r(len) for coat, bag, t twice over should be [4, 3, 1, 4, 3, 1], got {lengths!r}: a list over all places"
)

# %% wrong="repeatable-own-iterator" fails="repeatable-laps"
class Lap(collections.abc.Iterator):
    def __init__(self, source):
        self.source, self.place = source, 0

    def __next__(self):
        if self.place == len(self.source):
            raise StopIteration
        self.place += 1
        return self.source[self.place - 1]


class Repeatable:
    def __init__(self, items, times):
        self.items, self.times = items, times
        self.lap = Lap(self)

    def __len__(self):
        return len(self.items) * self.times

    def __getitem__(self, i):
        if not -len(self) <= i < len(self):
            raise IndexError(i)
        return self.items[i % len(self.items)]

    def __iter__(self):
        return self.lap

    def __repr__(self):
        return f"{type(self).__name__}({self.items!r}, {self.times!r})"

    def __call__(self, function):
        return [function(item) for item in self]


# %% [markdown] mistake="repeatable-own-iterator"
# Makes one Lap for each Repeatable and gives the same one to every `for` loop.
#
# With `r = Repeatable("xy", 1)`, a loop inside a loop over `r` gives only `xy`, not four pairs, and the next loop over `r` finds nothing:
# all push the same walk. When is a new walk to be made, according to the statement?

# %% wrong="repeatable-no-negative" fails="repeatable-index repeatable-outside"
class Lap(collections.abc.Iterator):
    def __init__(self, source):
        self.source, self.place = source, 0

    def __next__(self):
        if self.place == len(self.source):
            raise StopIteration
        self.place += 1
        return self.source[self.place - 1]


class Repeatable:
    def __init__(self, items, times):
        self.items, self.times = items, times

    def __len__(self):
        return len(self.items) * self.times

    def __getitem__(self, i):
        if not 0 <= i < len(self):
            raise IndexError(i)
        return self.items[i % len(self.items)]

    def __iter__(self):
        return Lap(self)

    def __repr__(self):
        return f"{type(self).__name__}({self.items!r}, {self.times!r})"

    def __call__(self, function):
        return [function(item) for item in self]


# %% [markdown] mistake="repeatable-no-negative"
# Raises IndexError for every negative place.
#
# For three items, twice over, `r[-1]` should be the last item, and yours raises `IndexError`. A list of six can be asked for more places
# than 0 to 5: write down which negative ones it accepts, and which are outside.

# %% wrong="repeatable-returns-none" fails="repeatable-for repeatable-laps repeatable-call repeatable-outside repeatable-subclass"
class Lap(collections.abc.Iterator):
    def __init__(self, source):
        self.source, self.place = source, 0

    def __next__(self):
        if self.place < len(self.source):
            self.place += 1
            return self.source[self.place - 1]
        return None


class Repeatable:
    def __init__(self, items, times):
        self.items, self.times = items, times

    def __len__(self):
        return len(self.items) * self.times

    def __getitem__(self, i):
        return self.items[i % len(self.items)]

    def __iter__(self):
        return Lap(self)

    def __repr__(self):
        return f"Repeatable({self.items!r}, {self.times!r})"

    def __call__(self, function):
        return [function(item) for item in self]


# %% [markdown] mistake="repeatable-returns-none"
# Gives None where a walk is over, answers places outside, and has a fixed name in `repr`.
#
# A loop over `Repeatable("xy", 2)` gives x, y, x, y, `None`, `None`, … and never ends; with six places, `r[6]` is the first item again; and
# a subclass prints as `Repeatable`. Which sentences of the statement say how a walk ends, what a place outside does, and whose name is
# shown?

# %% wrong="repeatable-lap-of-items" fails="repeatable-for repeatable-call"
class Lap(collections.abc.Iterator):
    def __init__(self, source):
        self.source, self.place = source, 0

    def __next__(self):
        if self.place == len(self.source):
            raise StopIteration
        self.place += 1
        return self.source[self.place - 1]


class Repeatable:
    def __init__(self, items, times):
        self.items, self.times = items, times

    def __len__(self):
        return len(self.items) * self.times

    def __getitem__(self, i):
        if not -len(self) <= i < len(self):
            raise IndexError(i)
        return self.items[i % len(self.items)]

    def __iter__(self):
        return Lap(self.items)

    def __repr__(self):
        return f"{type(self).__name__}({self.items!r}, {self.times!r})"

    def __call__(self, function):
        return [function(item) for item in self]


# %% [markdown] mistake="repeatable-lap-of-items"
# Walks over `items` once, not over the whole Repeatable.
#
# `len(Repeatable("xy", 2))` is 4, but a loop over it gives x, y and ends, and a call gives two results where four are due. The statement
# says what the new `Lap` walks over. Which length does your walk ask for?

# %% wrong="repeatable-no-bounds" fails="repeatable-index repeatable-outside"
class Lap(collections.abc.Iterator):
    def __init__(self, source):
        self.source, self.place = source, 0

    def __next__(self):
        if self.place == len(self.source):
            raise StopIteration
        self.place += 1
        return self.source[self.place - 1]


class Repeatable:
    def __init__(self, items, times):
        self.items, self.times = items, times

    def __len__(self):
        return len(self.items) * self.times

    def __getitem__(self, i):
        return self.items[i % len(self.items)]

    def __iter__(self):
        return Lap(self)

    def __repr__(self):
        return f"{type(self).__name__}({self.items!r}, {self.times!r})"

    def __call__(self, function):
        return [function(item) for item in self]


# %% [markdown] mistake="repeatable-no-bounds"
# Finds an item for places outside too, where IndexError is due.
#
# For three items, twice over, `r[6]` and `r[7]` give you the first and the second item, although the last place is 5. The remainder maps
# every whole number to some place. What does a list of six say to 6, and to -7?

# %% wrong="repeatable-items-only" fails="repeatable-index repeatable-for repeatable-outside repeatable-call"
class Lap(collections.abc.Iterator):
    def __init__(self, source):
        self.source, self.place = source, 0

    def __next__(self):
        if self.place == len(self.source):
            raise StopIteration
        self.place += 1
        return self.source[self.place - 1]


class Repeatable:
    def __init__(self, items, times):
        self.items, self.times = items, times

    def __len__(self):
        return len(self.items) * self.times

    def __getitem__(self, i):
        return self.items[i]

    def __iter__(self):
        return Lap(self)

    def __repr__(self):
        return f"{type(self).__name__}({self.items!r}, {self.times!r})"

    def __call__(self, function):
        return [function(item) for item in self]


# %% [markdown] mistake="repeatable-items-only"
# Looks up places in `items` as they are, so that only the first round can be found.
#
# For three items, twice over, the length is 6, but `r[3]` raises `IndexError`, and a loop over `r` stops with the same error after three
# items. Which item should stand at place 3, and how does that follow from 3 and the number of items?

# %% wrong="repeatable-stands-still" fails="repeatable-for repeatable-laps repeatable-call"
class Lap(collections.abc.Iterator):
    def __init__(self, source):
        self.source, self.place = source, 0

    def __next__(self):
        if self.place == len(self.source):
            raise StopIteration
        return self.source[self.place]


class Repeatable:
    def __init__(self, items, times):
        self.items, self.times = items, times

    def __len__(self):
        return len(self.items) * self.times

    def __getitem__(self, i):
        if not -len(self) <= i < len(self):
            raise IndexError(i)
        return self.items[i % len(self.items)]

    def __iter__(self):
        return Lap(self)

    def __repr__(self):
        return f"{type(self).__name__}({self.items!r}, {self.times!r})"

    def __call__(self, function):
        return [function(item) for item in self]


# %% [markdown] mistake="repeatable-stands-still"
# The walk never moves on: every `next` gives the first item.
#
# A loop over `Repeatable("xy", 2)` gives x, x, x, x, … without end, and so does a call. Write down, for two calls of `next` in a row, the
# place before and after each. Hint 2 asks when it changes.

# %% wrong="repeatable-until-error" fails="repeatable-laps"
class Lap(collections.abc.Iterator):
    def __init__(self, source):
        self.source, self.place = source, 0

    def __next__(self):
        try:
            item = self.source[self.place]
        except IndexError:
            raise StopIteration from None
        self.place += 1
        return item


class Repeatable:
    def __init__(self, items, times):
        self.items, self.times = items, times

    def __len__(self):
        return len(self.items) * self.times

    def __getitem__(self, i):
        if not -len(self) <= i < len(self):
            raise IndexError(i)
        return self.items[i % len(self.items)]

    def __iter__(self):
        return Lap(self)

    def __repr__(self):
        return f"{type(self).__name__}({self.items!r}, {self.times!r})"

    def __call__(self, function):
        return [function(item) for item in self]


# %% [markdown] mistake="repeatable-until-error"
# Ends a walk when the source raises IndexError, instead of asking for its length.
#
# Your own Repeatable raises an error outside, so your loops end. But the statement allows a source whose `[i]` never raises, such as one
# that answers `i` with `10 * i` and has length 2: your `Lap` over it never ends. What else tells how many items there are?

# %% wrong="repeatable-iter-self" fails="repeatable-for repeatable-laps repeatable-call"
class Lap(collections.abc.Iterator):
    def __init__(self, source):
        self.source, self.place = source, 0

    def __next__(self):
        if self.place == len(self.source):
            raise StopIteration
        self.place += 1
        return self.source[self.place - 1]


class Repeatable:
    def __init__(self, items, times):
        self.items, self.times = items, times

    def __len__(self):
        return len(self.items) * self.times

    def __getitem__(self, i):
        if not -len(self) <= i < len(self):
            raise IndexError(i)
        return self.items[i % len(self.items)]

    def __iter__(self):
        return self

    def __repr__(self):
        return f"{type(self).__name__}({self.items!r}, {self.times!r})"

    def __call__(self, function):
        return [function(item) for item in self]


# %% [markdown] mistake="repeatable-iter-self"
# `__iter__` returns the Repeatable itself, which is no walk.
#
# A loop stops with "iter() returned non-iterator of type 'Repeatable'": Python got an object that does not know `next`. Two classes are to
# be written. Which of them is one walk, and what does the statement say that each `for` loop gets?

# %% wrong="repeatable-no-quotes" fails="repeatable-repr"
class Lap(collections.abc.Iterator):
    def __init__(self, source):
        self.source, self.place = source, 0

    def __next__(self):
        if self.place == len(self.source):
            raise StopIteration
        self.place += 1
        return self.source[self.place - 1]


class Repeatable:
    def __init__(self, items, times):
        self.items, self.times = items, times

    def __len__(self):
        return len(self.items) * self.times

    def __getitem__(self, i):
        if not -len(self) <= i < len(self):
            raise IndexError(i)
        return self.items[i % len(self.items)]

    def __iter__(self):
        return Lap(self)

    def __repr__(self):
        return f"{type(self).__name__}({self.items}, {self.times!r})"

    def __call__(self, function):
        return [function(item) for item in self]


# %% [markdown] mistake="repeatable-no-quotes"
# Shows `items` in the `repr` without the quotation marks of a text.
#
# `Repeatable("xy", 2)` prints as `Repeatable(xy, 2)`; pasted back into Python this would look for a variable called xy. With a list the
# difference does not show. Read what was said above about `{w}` and `{w!r}` in an f-string.

# %% right="repeatable-chain"
class Lap(collections.abc.Iterator):
    def __init__(self, source):
        self.rest = iter([source[i] for i in range(len(source))])

    def __next__(self):
        return next(self.rest)


class Repeatable:
    def __init__(self, items, times):
        self.things, self.rounds = items, times

    def __len__(self):
        return sum(len(self.things) for _ in range(self.rounds))

    def __getitem__(self, i):
        return self.things[range(len(self))[i] % len(self.things)]

    def __iter__(self):
        return Lap(self)

    def __repr__(self):
        return f"{self.__class__.__name__}({self.things!r}, {self.rounds!r})"

    def __call__(self, function):
        return list(map(function, self))


# %% [markdown] explanation="repeatable"
# The remainder `%` of a negative number is positive in Python, so `-1 % 2` is 1 and one line serves both signs; the check before it gives the `IndexError`.
# The place belongs to the walk, not to the thing walked over: were it kept in `Repeatable`, two loops would push the same one.
# A `return` at the end of `__next__` gives `None` for ever; only `StopIteration` ends a loop.
# `__len__` and `__getitem__` alone are what a PyTorch data set needs: this class is one, and trains `times` epochs in one walk.

# %% [markdown]
# *A resting place.* Exercises 1 to 5 need nothing of what follows; when you come back, run the cells above once more and go on here.
#
# ## Three kinds of methods
#
# Notes say that "class methods must take self", and mean all methods of a class.
# It depends on what the method works on, and there are three kinds.

# %%
class Pixel:
    white = 255

    def __init__(self, value):
        self.value = value

    def share(self):
        return self.value / self.white

    @classmethod
    def brightest(cls):
        return cls(cls.white)

    @staticmethod
    def is_legal(number):
        return 0 <= number <= 255


print(Pixel(51).share(), Pixel.brightest().value, Pixel.is_legal(300))

# %% [markdown]
# | kind | first argument | works on | called as |
# |---|---|---|---|
# | **instance method** (实例方法) | `self`, the instance | one object | `Pixel(51).share()` |
# | **class method** (类方法) | `cls`, the class | the class: mostly another way to make an instance | `Pixel.brightest()` |
# | **static method** (静态方法) | none | its arguments only | `Pixel.is_legal(300)` |
#
# `cls` is the class on which the method was called.
# Because `brightest` says `cls(…)` and not `Pixel(…)`, a subclass inherits it correctly:

# %%
class DeepPixel(Pixel):
    white = 65535


lamp = DeepPixel.brightest()
print(type(lamp).__name__, lamp.value, lamp.share())

# %% [markdown]
# We got a `DeepPixel` with the value 65535, from a method written before `DeepPixel` existed.

# %% [markdown]
# ### Exercise 6: a label that can be made from its text (5 points)
#
# Give `Label` three methods, one of each kind. You write their decorators and signatures yourself.
#
# - `text()` is an instance method: the name that belongs to `self.index`, looked up through `self.names`; for example `Label(8).text()` is `'Bag'`.
# - `tidy(text)` is a static method: lower case, no white space (spaces, tabs, line ends) at the ends, one space between words; `Label.tidy("  Ankle   BOOT ")` is `'ankle boot'`.
# - `from_text(text)` is a class method: the label whose name equals `text` once both are tidied; `Label.from_text(" ankle BOOT").index` is 9.
#   An unknown text raises `ValueError`. It asks `cls` for the names, for `tidy` and for the new object.
#
# A subclass may thus have other names and another `tidy`, and all three methods follow.
#
# <details><summary>Hint 1</summary>Which of the three needs an instance, which needs only the class, and which needs neither?</details>
# <details><summary>Hint 2</summary><code>" a  b ".split()</code> is <code>['a', 'b']</code>, and <code>" ".join(…)</code> puts words together. A list has the method <code>index</code>, which raises ValueError.</details>

# %% exercise="label"
class Label:
    """A class number from Fashion-MNIST that knows its name."""

    names = CLASS_NAMES

    def __init__(self, index: int):
        self.index = index

    # BEGIN SOLUTION
    def text(self) -> str:
        return self.names[self.index]

    @staticmethod
    def tidy(text: str) -> str:
        return " ".join(text.lower().split())

    @classmethod
    def from_text(cls, text: str):
        return cls([cls.tidy(name) for name in cls.names].index(cls.tidy(text)))

    # END SOLUTION


# %% check="label-text" points=1
def texts_of_two():
    bag, top = Label(8), Label(0)
    try:
        return [bag.text(), top.text()]
    except NotImplementedError:  # not written yet
        raise
    except Exception as error:
        return f"{type(error).__name__}: {error}"


texts = texts_of_two()
assert texts == [CLASS_NAMES[8], CLASS_NAMES[0]], (
    f"Label(8).text() and Label(0).text() should be {CLASS_NAMES[8]!r} and {CLASS_NAMES[0]!r}, got {texts}. None: is the return missing? "
    f"'str' object is not callable: text is a method, no property"
)
print("passed: a label knows its name")

# %% check="label-from-text" points=1
def made_from(words):
    try:
        made = Label.from_text(words)
    except NotImplementedError:  # not written yet
        raise
    except Exception as error:
        return f"{type(error).__name__}: {error}", None
    return type(made).__name__, made.index if isinstance(made, Label) else None


def tidied():
    kind = Label
    try:
        return kind.tidy("  Ankle   BOOT ")
    except NotImplementedError:  # not written yet
        raise
    except Exception as error:
        return f"{type(error).__name__}: {error}"


words = tidied()
kind, index = made_from(" ankle BOOT")
assert words == "ankle boot", (
    f"Label.tidy('  Ankle   BOOT ') should be 'ankle boot', got {words!r}: one space between words, too. None: is the return missing? "
    f"A missing argument: is @staticmethod there, and is text the only parameter?"
)
assert kind == "Label", (
    f"Label.from_text(' ankle BOOT') must return a Label, got {kind}: is it a class method that returns cls(…), and are both the text and "
    f"the names tidied before they are compared?"
)
assert index == 9 and type(index) is int, f"Label.from_text(' ankle BOOT').index should be 9, got {index!r}"
print("passed: a text is tidied, and a label can be made from it")

# %% hidden="label-static" points=1
def tidy_both_ways():
    return Label.tidy("\n T-Shirt/TOP\t"), Label(3).tidy("A\tB"), Label.tidy("")


by_class, by_instance, empty = tidy_both_ways()
assert by_class == "t-shirt/top", f"a line end before and a tab behind 'T-Shirt/TOP' should go, got {by_class!r}"
assert by_instance == "a b", (
    f"Label(3).tidy('A<tab>B') should be 'a b', got {by_instance!r}: without @staticmethod the instance arrives as the first "
    f"argument"
)
assert empty == "", f"Label.tidy('') should be '', got {empty!r}"

# %% hidden="label-subclass" points=2
def label_of_a_subclass():
    class Verdict(Label):
        names = ["No!", "Yes!"]

        @staticmethod
        def tidy(text):
            return text.rstrip("!")

    made = Verdict.from_text("Yes")
    try:
        unknown = Label.from_text("umbrella").text()
    except Exception as refusal:
        unknown = type(refusal).__name__
    return type(made).__name__, made.index, made.text(), unknown


kind, index, words, unknown = label_of_a_subclass()
assert kind == "Verdict", f"from_text called on a subclass must make an instance of the subclass, got {kind}: return cls(…), not Label(…)"
assert (index, words) == (1, "Yes!"), (
    f"a subclass with its own names and tidy: expected index 1 and text 'Yes!', got {index!r} and {words!r}: ask cls for names and "
    f"tidy"
)
assert unknown == "ValueError", f"an unknown text must raise ValueError, got {unknown}"

# %% wrong="label-takes-self" fails="label-from-text label-subclass"
class Label:
    names = CLASS_NAMES

    def __init__(self, index):
        self.index = index

    def text(self):
        return self.names[self.index]

    @staticmethod
    def tidy(text):
        return " ".join(text.lower().split())

    def from_text(self, text):
        return Label([self.tidy(name) for name in self.names].index(self.tidy(text)))


# %% [markdown] mistake="label-takes-self"
# Makes `from_text` an instance method, so that it cannot be called on the class.
#
# `Label.from_text("Bag")` stops with "missing 1 required positional argument": the text went to the first parameter, and nothing is left
# for the second. When this call is made, which label exists already? Look at the table of three kinds of methods.

# %% wrong="label-fixed-class" fails="label-subclass"
class Label:
    names = CLASS_NAMES

    def __init__(self, index):
        self.index = index

    def text(self):
        return self.names[self.index]

    @staticmethod
    def tidy(text):
        return " ".join(text.lower().split())

    @classmethod
    def from_text(cls, text):
        return Label([Label.tidy(name) for name in Label.names].index(Label.tidy(text)))


# %% [markdown] mistake="label-fixed-class"
# `from_text` names `Label` itself, so a subclass gets Label's names and objects.
#
# For a subclass with the names Small and Large, its `from_text("large")` raises `ValueError`, because yours searches among the clothes. The
# statement says whom to ask for the names, for `tidy` and for the new object. What does the class method's first parameter hold in that
# call?

# %% wrong="label-undecorated" fails="label-static"
class Label:
    names = CLASS_NAMES

    def __init__(self, index):
        self.index = index

    def text(self):
        return self.names[self.index]

    def tidy(text):
        return " ".join(text.lower().split())

    @classmethod
    def from_text(cls, text):
        return cls([cls.tidy(name) for name in cls.names].index(cls.tidy(text)))


# %% [markdown] mistake="label-undecorated"
# Leaves `tidy` without its decorator, so a call on an instance fails.
#
# `Label.tidy(…)` works, but `Label(1).tidy("Red  HAT")` stops with "takes 1 positional argument but 2 were given". Which second argument
# did Python pass by itself? The table of three kinds of methods says which kind receives neither the instance nor the class.

# %% wrong="label-strip-only" fails="label-from-text label-static"
class Label:
    names = CLASS_NAMES

    def __init__(self, index):
        self.index = index

    def text(self):
        return self.names[self.index]

    @staticmethod
    def tidy(text):
        return text.strip().lower()

    @classmethod
    def from_text(cls, text):
        return cls([cls.tidy(name) for name in cls.names].index(cls.tidy(text)))


# %% [markdown] mistake="label-strip-only"
# `tidy` cleans the two ends only and leaves wide gaps between words.
#
# With three spaces between the words, " Red   HAT " becomes "red   hat" with all three still there, and so a label typed with two spaces is
# not found. The statement asks `tidy` for three things; count them. Print `repr(…)` of the result to see the spaces.

# %% wrong="label-global-names" fails="label-subclass"
class Label:
    names = CLASS_NAMES

    def __init__(self, index):
        self.index = index

    def text(self):
        return CLASS_NAMES[self.index]

    @staticmethod
    def tidy(text):
        return " ".join(text.lower().split())

    @classmethod
    def from_text(cls, text):
        return cls([cls.tidy(name) for name in cls.names].index(cls.tidy(text)))


# %% [markdown] mistake="label-global-names"
# `text` looks its name up in `CLASS_NAMES`, whatever names the class has.
#
# In a subclass with the names Small and Large, index 1 should read "Large", and yours says "Trouser". The statement says through which
# attribute `text` finds the name. Who can change that attribute, and who can change the global list?

# %% wrong="label-names-as-they-are" fails="label-from-text label-subclass"
class Label:
    names = CLASS_NAMES

    def __init__(self, index):
        self.index = index

    def text(self):
        return self.names[self.index]

    @staticmethod
    def tidy(text):
        return " ".join(text.lower().split())

    @classmethod
    def from_text(cls, text):
        return cls(cls.names.index(cls.tidy(text)))


# %% [markdown] mistake="label-names-as-they-are"
# `from_text` compares the tidied text with names that are not tidied.
#
# Even `Label.from_text("Bag")` raises "'bag' is not in list": the text has become lower case, and the name in the list has not. The
# statement says "once both are tidied". Print the two things that you compare.

# %% wrong="label-returns-index" fails="label-from-text label-subclass"
class Label:
    names = CLASS_NAMES

    def __init__(self, index):
        self.index = index

    def text(self):
        return self.names[self.index]

    @staticmethod
    def tidy(text):
        return " ".join(text.lower().split())

    @classmethod
    def from_text(cls, text):
        return [cls.tidy(name) for name in cls.names].index(cls.tidy(text))


# %% [markdown] mistake="label-returns-index"
# `from_text` returns the number, not a label.
#
# `Label.from_text("bag")` is `8`, and a number has no `index` or `text()` to go on with. The example in the statement ends in `.index`: of
# what is that an attribute? Look at what `Pixel.brightest` hands back.

# %% right="label-loop"
class Label:
    names = CLASS_NAMES

    def __init__(self, index):
        self.index = index

    def text(self):
        return type(self).names[self.index]

    @classmethod
    def from_text(cls, text):
        for index, known in enumerate(cls.names):
            if cls.tidy(known) == cls.tidy(text):
                return cls(index)
        raise ValueError(f"no label is called {text}")

    @staticmethod
    def tidy(text):
        return " ".join(word.lower() for word in text.split())


# %% [markdown] explanation="label"
# `text` needs one label, `from_text` needs a class to make one from, `tidy` needs neither.
# Without a decorator `Label.tidy("x")` still works, because a function reached through the class is a plain function; `Label(3).tidy("x")` passes the label as well and fails.
# `Label(…)` inside a class method ties it to one class; `cls(…)` follows the caller.
# PyTorch uses class methods in this way: `torch.nn.Embedding.from_pretrained(…)` is another way to make an `Embedding`.

# %% [markdown]
# ## Inheritance: who answers first?
#
# A subclass that defines a method of its base class again **overrides** (重写) it.
# `super()` still reaches the one that was overridden, so that we can add to it instead of copying it.

# %%
class Plain:
    def describe(self):
        return "cotton"


class Printed(Plain):
    def describe(self):
        return f"{super().describe()} with a print"


shirt = Printed()
print(shirt.describe(), "|", super(Printed, shirt).describe())

# %% [markdown]
# The second form, `super(Printed, shirt)`, is how Python 2 had to write it.
# It still works, also outside the class, as here; in new code write `super()` inside a method.
#
# A class may have several bases: **multiple inheritance** (多重继承).
# Notes say that Python then searches "left to right".
# With the diamond below, left to right and upwards would find `Top` through `Left` before it ever saw `Right`.

# %%
class Top:
    def who(self):
        return "Top"


class Left(Top):
    pass


class Right(Top):
    def who(self):
        return "Right"


class Bottom(Left, Right):
    pass


print(Bottom().who(), [c.__name__ for c in Bottom.__mro__])

# %% [markdown]
# `Right` answered.
# Python puts all the classes in one line, the **method resolution order** (方法解析顺序, MRO), and takes the first that has the name.
# It makes three promises: no class comes before one of its own subclasses; the bases keep the order in which they were written; and the order inside each base's own MRO is kept.
# We draw it for the diamond, and for a class of PyTorch with two bases: grey arrows lead to the bases, dashed orange arrows follow the MRO.

# %%
def height(cls):
    return 1 + max((height(base) for base in cls.__bases__), default=-1)


def draw_mro(ax, cls):
    boxes, columns = {}, {cls: [0]}
    for place, one in enumerate(cls.__mro__, start=1):
        x = sum(columns[one]) / len(columns[one])  # below the middle of the classes that lead here
        boxes[one] = box(ax, x, -1.4 * height(one), f"{place}. {one.__name__}", "navajowhite")
        for side, base in enumerate(one.__bases__):
            columns.setdefault(base, []).append(x + 3 * (side - (len(one.__bases__) - 1) / 2))
    for one in boxes:
        for base in one.__bases__:
            arrow(ax, boxes[one], boxes[base], color="0.7")
    for one, following in itertools.pairwise(cls.__mro__):
        bend = "arc3,rad=0.4" if boxes[one].get_position()[0] > 0 else "arc3,rad=-0.4"  # away from the straight arrows
        arrow(ax, boxes[one], boxes[following], color="darkorange", linestyle="--", linewidth=1.5, connectionstyle=bend)
    ax.set(xlim=(-3.5, 3.5), ylim=(-1.4 * height(cls) - 0.6, 0.6), title=f"{cls.__name__}.__mro__")
    ax.axis("off")


# %%
fig, axes = plt.subplots(1, 2, figsize=(11, 4.5))
draw_mro(axes[0], Bottom)
draw_mro(axes[1], torch.nn.LazyLinear)
plt.show()

# %% [markdown]
# Along every grey arrow the number grows: no base comes before its subclass.
# In the diamond the orange walk goes sideways from `Left` to `Right`, and reaches `Top` once, after both.
# On the right, `LazyModuleMixin` is a **mixin** (混入类): a small class that adds one ability to a main base.
#
# ### C3: the order worked out by hand
#
# The rule is called C3.
# The MRO of a class is the class itself, followed by the *merge* of the MROs of its bases and the list of the bases.
# To merge: take the first class of the first list, unless it stands *behind the first place* in some list; then try the first class of the next list.
# Remove the class taken from all lists, and repeat.
# For `Bottom(Left, Right)`, with T, L, R for the classes and o for `object`:
#
# | lists | candidate | behind the first place? | taken |
# |---|---|---|---|
# | [L T o] [R T o] [L R] | L | no | L |
# | [T o] [R T o] [R] | T | yes, in [R T o] | |
# | [T o] [R T o] [R] | R | no | R |
# | [T o] [T o] [] | T | no | T |
# | [o] [o] [] | o | no | o |
#
# The result is Bottom L R T o, as Python printed.
# Where every candidate is blocked, no order keeps all three promises, and Python refuses to make the class.
# (`type(name, bases, members)` makes a class as a `class` statement does.)

# %%
try:
    Impossible = type("Impossible", (Top, Left), {})
except TypeError:
    print("TypeError: Top was written before Left, but Left is a subclass of Top")

# %% [markdown]
# The next cell is for the checks of Exercise 7: `within(steps, function, …)` calls the function and stops it where its loop does not end.
# You need not read it.

# %% setup="within"
def within(steps: int, function: Callable, *arguments):
    """Return `function(*arguments)`; raise RuntimeError where it goes through more than `steps` lines."""
    left, before = steps, sys.gettrace()

    def count_line(frame, event, argument):
        nonlocal left
        left -= 1
        if left < 0 and event == "line":  # Python ignores an error that comes while a generator is closed, and traces no further
            raise RuntimeError(f"{function.__name__} did not end within {steps} lines: does its loop ever stop?")
        return count_line

    sys.settrace(count_line)
    try:
        return function(*arguments)
    finally:
        sys.settrace(before)


# %% [markdown]
# ### Exercise 7: the order of search (5 points)
#
# Write `mro_of(cls)`, which returns the list that `cls.__mro__` would hold, worked out by C3.
# Use nothing of a class but `cls.__bases__`, the tuple of its direct bases (empty for `object`): neither `__mro__` nor `mro()` nor the module `inspect`.
# The checks also pass stand-ins, objects that have `__bases__` and nothing else, so do not rely on `object` being at the end.
# Where no order exists, raise `TypeError`.
# By hand: for the diamond above the list is `[Bottom, Left, Right, Top, object]`.
#
# <details><summary>Hint 1</summary>Which lists does the merge begin with? One for each base, from <code>mro_of</code> itself, and one more.</details>
# <details><summary>Hint 2</summary>For a list <code>q</code>, the candidate is <code>q[0]</code>; it is blocked if it is in <code>other[1:]</code> for any list <code>other</code>.</details>

# %% exercise="mro"
def mro_of(cls) -> list:
    """Return the method resolution order of `cls` from `__bases__` alone; raise TypeError where there is none."""
    # BEGIN SOLUTION
    queues = [mro_of(base) for base in cls.__bases__] + [cls.__bases__]
    order = [cls]
    while any(queues):
        head = next((q[0] for q in queues if q and not any(q[0] in other[1:] for other in queues)), None)
        if head is None:
            raise TypeError(f"the bases {cls.__bases__} have no consistent order")
        order.append(head)
        queues = [[one for one in q if one is not head] for q in queues]
    return order
    # END SOLUTION


# %% check="mro-diamond" points=1
def order_in_a_diamond():
    A = type("A", (), {})
    B, C = type("B", (A,), {}), type("C", (A,), {})
    found = within(20_000, mro_of, type("D", (B, C), {}))
    return type(found).__name__, [getattr(one, "__name__", f"{one!r} (no class)") for one in found or []]


kind, order = order_in_a_diamond()
assert kind == "list", f"mro_of must return a list, got {kind}"
assert order == ["D", "B", "C", "A", "object"], (
    f"for D(B, C) over A the order is D B C A object, got {' '.join(order)}: does the list begin with the class itself, and does A wait "
    f"for both of its subclasses?"
)
print("passed: in a diamond the common base comes after both sides")

# %% check="mro-chain" points=1
def orders_of_chains():
    found = [within(20_000, mro_of, cls) for cls in (bool, object)]
    return [[getattr(one, "__name__", f"{one!r} (no class)") for one in order or []] for order in found]


def order_of_impossible():
    class StandIn:
        def __init__(self, *bases):
            self.__bases__ = bases

    top = StandIn()
    try:
        order = within(20_000, mro_of, StandIn(top, StandIn(top)))
    except NotImplementedError:  # not written yet
        raise
    except Exception as error:
        return type(error).__name__, f": {error}"
    return f"a list of {len(order)}" if type(order) is list else type(order).__name__, ""


chain, alone = orders_of_chains()
refusal, words = order_of_impossible()
assert chain == ["bool", "int", "object"], f"bool inherits from int, int from object: expected bool int object, got {chain}"
assert alone == ["object"], f"mro_of(object) must be [object], because it has no bases, got {alone}"
assert refusal == "TypeError", (
    f"a stand-in with the bases (Top, Left), where Left is a subclass of Top, must raise TypeError, got {refusal}{words}\n"
    f"A list: is the list of the bases merged too? None: an error must be raised. AttributeError: nothing but __bases__ may be used. "
    f"No end, or another error: no candidate is left, and that is the case to refuse"
)
print("passed: single bases, and a contradiction is refused")

# %% hidden="mro-harder" points=2
def six_classes():
    A, B = type("A", (), {}), type("B", (), {})
    C, D = type("C", (A, B), {}), type("D", (B,), {})
    E = type("E", (D, C), {})
    return type("F", (E, A), {}), type("G", (C, D), {})


def orders():
    classes = *six_classes(), torch.nn.LazyLinear, collections.Counter
    return [[one.__name__ for one in within(50_000, mro_of, cls)] for cls in classes]


found = orders()
expected = [[one.__name__ for one in cls.__mro__] for cls in (*six_classes(), torch.nn.LazyLinear, collections.Counter)]
for got, wanted in zip(found, expected, strict=True):
    assert got == wanted, f"the order of {wanted[0]} is {' '.join(wanted)}, got {' '.join(got)}: take the first head that is in no tail"

# %% hidden="mro-impossible" points=1
def order_of_stand_ins():
    class Plan:
        def __init__(self, *parents):
            self.__bases__ = parents

    x, y = Plan(), Plan()
    xy, yx = Plan(x, y), Plan(y, x)
    everyone = [x, y, xy]
    broken = []
    for plan in (Plan(xy, yx), Plan(x, y, Plan(x, y))):
        try:
            broken.append(f"a list of {len(within(20_000, mro_of, plan))}")
        except Exception as refusal:
            broken.append(type(refusal).__name__)
    return [everyone.index(one) for one in within(20_000, mro_of, xy)], broken


good, broken = order_of_stand_ins()
assert good == [2, 0, 1], f"for a stand-in with bases (x, y) the order is itself, x, y; got places {good} of [x, y, itself]"
assert broken[0] == "TypeError", f"bases (x, y) and (y, x) contradict each other: expected TypeError, got {broken[0]}"
assert broken[1] == "TypeError", (
    f"the bases x, y and a subclass of both, in this order, contradict each other: expected TypeError, got {broken[1]}; is the list of "
    f"bases merged too?"
)

# %% wrong="mro-depth-first" fails="mro-diamond mro-chain mro-harder mro-impossible"
def mro_of(cls):
    order = [cls]
    for base in cls.__bases__:
        order += [one for one in mro_of(base) if one not in order]
    return order


# %% [markdown] mistake="mro-depth-first"
# Walks depth first and keeps the first of each class, so a base comes before its subclasses.
#
# For the diamond you give Bottom, Left, Top, object, Right: `Top` stands before its own subclass `Right`. That is the order that the notes
# believed in. Go through the table for the diamond: at which row does your walk do something else?

# %% wrong="mro-depth-first-keep-last" fails="mro-chain mro-harder mro-impossible"
def mro_of(cls):
    def walk(one):
        return [one] + [other for base in one.__bases__ for other in walk(base)]

    seen = walk(cls)
    return [one for place, one in enumerate(seen) if one not in seen[place + 1 :]]


# %% [markdown] mistake="mro-depth-first-keep-last"
# Walks depth first and keeps the last of each class, which is not C3 and refuses nothing.
#
# The diamond comes out right. But with X(A, B), Y(A) and Z(X, Y) you give Z, X, B, Y, A, though X has A before B; and the bases (Top, Left)
# of `Impossible` give a list. Which of the three promises does your way look at?

# %% wrong="mro-breadth-first" fails="mro-chain mro-harder mro-impossible"
def mro_of(cls):
    order = [cls]
    for one in order:
        order += [base for base in one.__bases__ if base not in order]
    return order


# %% [markdown] mistake="mro-breadth-first"
# Walks breadth first: all direct bases before any base of these.
#
# The diamond comes out right, but with Mid(Top), Low(Mid) and Z(Low, Top) you give Z, Low, Top, Mid: `Top` stands before its own subclass.
# The bases of `Impossible` also give a list and no error. Work these two out with the table of candidates.

# %% wrong="mro-uses-python" fails="mro-chain mro-impossible"
def mro_of(cls):
    return list(cls.__mro__)


# %% [markdown] mistake="mro-uses-python"
# Asks Python for the finished order instead of working it out from `__bases__`.
#
# For real classes the list is right, but a stand-in stops you with "object has no attribute '__mro__'". The statement says which single
# attribute may be used. Do the diamond once with paper and pencil, and note each step that you make.

# %% wrong="mro-bases-not-merged" fails="mro-chain mro-impossible"
def mro_of(cls):
    queues, order = [mro_of(base) for base in cls.__bases__], [cls]
    while queues := [q for q in queues if q]:
        heads = [q[0] for q in queues if not any(q[0] in other[1:] for other in queues)]
        if not heads:
            raise TypeError
        order.append(heads[0])
        queues = [[one for one in q if one is not heads[0]] for q in queues]
    return order


# %% [markdown] mistake="mro-bases-not-merged"
# Merges the orders of the bases, but not the list of the bases itself.
#
# The bases (Top, Left), where Left is a subclass of Top, should be refused; you return a list with Left before Top. Nothing in your merge
# knows the order in which the bases were written. Count the lists in the first row of the diamond's table.

# %% wrong="mro-nothing-removed" fails="mro-diamond mro-chain mro-harder mro-impossible"
def mro_of(cls):
    queues, order = [*map(mro_of, cls.__bases__), list(cls.__bases__)], [cls]
    while any(queues):
        heads = [q[0] for q in queues if q and not any(q[0] in other[1:] for other in queues)]
        if not heads:
            raise TypeError
        order.append(heads[0])
    return order


# %% [markdown] mistake="mro-nothing-removed"
# Never removes a class that was taken, so the merge does not end.
#
# For a class One with the base Top your order grows as One, Top, Top, Top, … for ever. Read the last sentence of the rule again, and write
# down the lists of this example before and after the first step.

# %% wrong="mro-never-refuses" fails="mro-chain mro-impossible"
def mro_of(cls):
    queues, order = [*map(mro_of, cls.__bases__), list(cls.__bases__)], [cls]
    while any(queues):
        for head in [q[0] for q in queues if q]:
            if not any(head in other[1:] for other in queues):
                order.append(head)
                queues = [[one for one in q if one is not head] for q in queues]
                break
    return order


# %% [markdown] mistake="mro-never-refuses"
# Goes round for ever where every candidate is blocked.
#
# Whatever has an order comes out right. But with the bases (Top, Left) of `Impossible` no candidate is free, nothing is taken out of the
# lists, and your `while` begins the same round again. What is known when a round has found no candidate, and what should happen then?

# %% wrong="mro-without-itself" fails="mro-diamond mro-chain mro-harder mro-impossible"
def mro_of(cls):
    queues, order = [*map(mro_of, cls.__bases__), list(cls.__bases__)], []
    while any(queues):
        heads = [q[0] for q in queues if q and not any(q[0] in other[1:] for other in queues)]
        if not heads:
            raise TypeError
        order.append(heads[0])
        queues = [[one for one in q if one is not heads[0]] for q in queues]
    return order


# %% [markdown] mistake="mro-without-itself"
# Leaves the class itself out of its order.
#
# For `object` you return an empty list, and for One with the base Top you return object, Top: the recursion builds on lists that miss their
# first class, so even the order breaks. With what does the MRO of a class begin, by the rule?

# %% wrong="mro-tuple" fails="mro-diamond"
def mro_of(cls):
    queues, order = [list(mro_of(base)) for base in cls.__bases__] + [list(cls.__bases__)], (cls,)
    while any(queues):
        heads = [q[0] for q in queues if q and not any(q[0] in other[1:] for other in queues)]
        if not heads:
            raise TypeError
        order += (heads[0],)
        queues = [[one for one in q if one is not heads[0]] for q in queues]
    return order


# %% [markdown] mistake="mro-tuple"
# Returns a tuple instead of a list.
#
# The classes stand in the right order, but `mro_of(bool)` prints with round brackets, and to Python `(1, 2) == [1, 2]` is False. Look at
# the return type in the first line of the function, and at the brackets of the example by hand.

# %% right="mro-merge"
def mro_of(cls):
    def merge(lists):
        lists = [one for one in lists if one]
        if not lists:
            return []
        tails = [other for one in lists for other in one[1:]]
        for one in lists:
            if one[0] not in tails:
                first = one[0]
                return [first] + merge([[c for c in some if c is not first] for some in lists])
        raise TypeError

    return [cls] + merge([*map(mro_of, cls.__bases__), list(cls.__bases__)])


# %% [markdown] explanation="mro"
# The recursion gives each base's own order; the last list keeps the bases in the order in which they were written.
# A class that stands in some tail has a subclass that has not been taken yet, so it waits.
# Depth first, keeping the first of duplicates, puts the common base before `Right`; keeping the last one passes the diamond but breaks elsewhere (F above), and it never notices a contradiction.
# Predicting an order and computing it are different skills, so the prediction is asked for separately, in Exercise 9.
# Try next: print the order of `torchvision.datasets.FashionMNIST`, and count how many modules its classes come from.

# %% [markdown]
# ## `super()` follows the same line
#
# `super()` does not mean "my base class".
# It means "the next class, after the one in which this method is written, in the MRO *of this instance*".
# With several bases that may be a class that the author of the method never heard of.
#
# So that every `__init__` in the line runs once, each takes the keywords that it knows and hands the rest on to the next.
# `**others` collects the keywords that have no parameter of their own, as a dictionary; `*args` does the same, as a tuple, for arguments without a keyword.
# Written in a call, both unpack again.

# %% setup="person"
class Person:
    """Has a name; `inits` counts how often this `__init__` ran for the object."""

    def __init__(self, name: str, **others):
        super().__init__(**others)
        self.name = name
        self.inits = getattr(self, "inits", 0) + 1

    def describe(self) -> str:
        return self.name


# %% [markdown]
# At the end of the line stands `object`, whose `__init__` takes no keyword, so one that nobody knew raises `TypeError`.

# %% [markdown]
# ### Exercise 8: initialise everybody once (5 points)
#
# Write `Student(Person)` and `Employee(Person)`, so that a class with both as bases works without a line of its own.
#
# - `Student` takes the keyword `school` and keeps it as `self.school`; `Employee` takes `firm` and keeps it as `self.firm`.
#   All other keywords go on to the next class.
# - `describe()` is overridden: the next class's description, followed by `, studies at <school>` or `, works at <firm>`.
#
# By hand: `Student(name="Mei", school="NTU").describe()` is `'Mei, studies at NTU'`.
# For `Assistant(name="Mei", school="NTU", firm="Lab")` the MRO is Assistant, Student, Employee, Person, and the description begins at its end: `'Mei, works at Lab, studies at NTU'`.
# `Person.__init__` must run exactly once for each object; do not call `Person` by name.
#
# <details><summary>Hint 1</summary>For an Assistant, which class does <code>super()</code> mean inside <code>Student</code>?</details>
# <details><summary>Hint 2</summary>The first line of <code>Student.__init__</code> passes on <code>**kwargs</code>, which does not hold <code>school</code> any more.</details>

# %% exercise="student"
class Student(Person):
    """A person who studies at `school`."""

    def __init__(self, school: str, **kwargs):
        # BEGIN SOLUTION
        super().__init__(**kwargs)
        self.school = school
        # END SOLUTION

    def describe(self) -> str:
        # BEGIN SOLUTION
        return f"{super().describe()}, studies at {self.school}"
        # END SOLUTION


class Employee(Person):
    """A person who works at `firm`."""

    def __init__(self, firm: str, **kwargs):
        # BEGIN SOLUTION
        super().__init__(**kwargs)
        self.firm = firm
        # END SOLUTION

    def describe(self) -> str:
        # BEGIN SOLUTION
        return f"{super().describe()}, works at {self.firm}"
        # END SOLUTION


class Assistant(Student, Employee):
    """Studies and works; inherits everything."""


# %% check="student-alone" points=1
def mei():
    try:
        student = Student(name="Mei", school="NTU")
    except NotImplementedError:  # not written yet
        raise
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return {key: vars(student).get(key, "missing") for key in ("name", "school", "inits")}


found = mei()
assert found == {"name": "Mei", "school": "NTU", "inits": 1}, (
    f"Student(name='Mei', school='NTU') should hold name, school and one run of Person.__init__, got {found}: is super().__init__ "
    f"called once, with **kwargs and without school?"
)
print("passed: a student is initialised, and so is the person in it")

# %% check="student-describe" points=1
def descriptions():
    found = []
    for kind, keywords in ((Student, {"school": "NTU"}), (Employee, {"firm": "Lab"}), (Assistant, {"school": "NTU", "firm": "Lab"})):
        try:
            found.append(kind(name="Mei", **keywords).describe())
        except NotImplementedError:  # not written yet
            raise
        except Exception as error:
            found.append(f"{type(error).__name__}: {error}")
    return found


student, employee, both = descriptions()
assert student == "Mei, studies at NTU", (
    f"the student's description should be 'Mei, studies at NTU', got {student!r}: begin with super().describe(), then comma and space"
)
assert employee == "Mei, works at Lab", f"the employee's description should be 'Mei, works at Lab', got {employee!r}"
assert both == "Mei, works at Lab, studies at NTU", (
    f"the assistant's description should be 'Mei, works at Lab, studies at NTU', got {both!r}: do __init__ and describe both ask super(), "
    f"instead of Person or self.name?"
)
print("passed: each description adds to that of the next class")

# %% hidden="student-assistant" points=2
def assistant():
    someone = Assistant(firm="Shop", name="Ann", school="ETH")
    return someone.name, someone.school, someone.firm, someone.inits, someone.describe()


name, school, firm, inits, words = assistant()
assert (name, school, firm) == ("Ann", "ETH", "Shop"), f"an Assistant must hold name, school and firm, got {(name, school, firm)}"
assert inits == 1, (
    f"Person.__init__ must run once for an Assistant, it ran {inits} times: calling Person by name runs it again for each side of "
    f"the diamond"
)
assert words == "Ann, works at Shop, studies at ETH", (
    f"expected 'Ann, works at Shop, studies at ETH', got {words!r}: each describe() asks the next class in the MRO"
)

# %% hidden="student-other-order" points=1
def the_other_way_round():
    class Trainee(Employee, Student):
        """The same bases in the other order."""

    someone = Trainee(firm="Lab", school="NTU", name="Li")
    try:
        unknown = Student(name="Li", school="NTU", shoe=41).describe()
    except Exception as refusal:
        unknown = type(refusal).__name__
    return someone.inits, someone.describe(), unknown


inits, words, unknown = the_other_way_round()
assert (inits, words) == (1, "Li, studies at NTU, works at Lab"), (
    f"with the bases exchanged: expected one run and 'Li, studies at NTU, works at Lab', got {inits} and {words!r}"
)
assert unknown == "TypeError", f"a keyword that nobody knows must raise TypeError, got {unknown!r}: hand the keywords on, do not drop them"

# %% wrong="student-by-name" fails="student-describe student-assistant student-other-order"
class Student(Person):
    def __init__(self, school, name, firm=None):
        Person.__init__(self, name)
        self.school = school

    def describe(self):
        return f"{Person.describe(self)}, studies at {self.school}"


class Employee(Person):
    def __init__(self, firm, name, school=None):
        Person.__init__(self, name)
        self.firm = firm

    def describe(self):
        return f"{Person.describe(self)}, works at {self.firm}"


class Assistant(Student, Employee):
    def __init__(self, name, school, firm):
        Student.__init__(self, school, name)
        Employee.__init__(self, firm, name)


# %% [markdown] mistake="student-by-name"
# Calls `Person` by name, so it runs twice for an assistant and the chain of descriptions breaks.
#
# Your assistant has `inits` 2, and its description is "Mei, studies at NTU": the job is missing. The statement asks not to call `Person` by
# name, and that an assistant needs no line of its own. Which class comes after `Student` in the MRO of an assistant?

# %% wrong="student-no-super" fails="student-alone student-describe student-assistant"
class Student(Person):
    def __init__(self, school, **kwargs):
        self.school = school

    def describe(self):
        return f"{super().describe()}, studies at {self.school}"


class Employee(Person):
    def __init__(self, firm, **kwargs):
        self.firm = firm

    def describe(self):
        return f"{super().describe()}, works at {self.firm}"


class Assistant(Student, Employee):
    pass


# %% [markdown] mistake="student-no-super"
# `__init__` does not call the next class, so the person in the student is never initialised.
#
# `vars(Student(name="Mei", school="NTU"))` is `{'school': 'NTU'}`, and `describe()` stops with "'Student' object has no attribute 'name'".
# Where do the other keywords of your `__init__` go? Look at how `Person` begins its own.

# %% wrong="student-keywords-dropped" fails="student-describe student-assistant student-other-order"
class Student(Person):
    def __init__(self, school, name, **kwargs):
        super().__init__(name=name)
        self.school = school

    def describe(self):
        return f"{super().describe()}, studies at {self.school}"


class Employee(Person):
    def __init__(self, firm, name, **kwargs):
        super().__init__(name=name)
        self.firm = firm

    def describe(self):
        return f"{super().describe()}, works at {self.firm}"


class Assistant(Student, Employee):
    pass


# %% [markdown] mistake="student-keywords-dropped"
# Hands on only `name` and drops all other keywords.
#
# A student alone works. An assistant stops with "missing 1 required positional argument: 'firm'", because the firm was taken in and went
# nowhere; a keyword that nobody knows passes without an error. The statement says which keywords go on to the next class.

# %% wrong="student-person-keywords" fails="student-describe student-assistant student-other-order"
class Student(Person):
    def __init__(self, school, **kwargs):
        Person.__init__(self, **kwargs)
        self.school = school

    def describe(self):
        return f"{super().describe()}, studies at {self.school}"


class Employee(Person):
    def __init__(self, firm, **kwargs):
        Person.__init__(self, **kwargs)
        self.firm = firm

    def describe(self):
        return f"{super().describe()}, works at {self.firm}"


class Assistant(Student, Employee):
    pass


# %% [markdown] mistake="student-person-keywords"
# `__init__` calls `Person` by name, so for an assistant the other base is skipped.
#
# `Student(name="Mei", school="NTU")` works, but an assistant raises `TypeError`: its `firm` reaches `Person`, which hands it to `object`.
# Write down the MRO of an assistant and mark the class that your calls jump over; the statement also says whom not to name.

# %% wrong="student-own-name" fails="student-describe student-assistant student-other-order"
class Student(Person):
    def __init__(self, school, **kwargs):
        super().__init__(**kwargs)
        self.school = school

    def describe(self):
        return f"{self.name}, studies at {self.school}"


class Employee(Person):
    def __init__(self, firm, **kwargs):
        super().__init__(**kwargs)
        self.firm = firm

    def describe(self):
        return f"{self.name}, works at {self.firm}"


class Assistant(Student, Employee):
    pass


# %% [markdown] mistake="student-own-name"
# `describe` begins with the person's name instead of the next class's description.
#
# For a student alone the text is right. An assistant describes itself as "Mei, studies at NTU", and the job at the Lab is lost, since
# nobody asked `Employee`. The statement says whose description stands before the comma.

# %% wrong="student-not-unpacked" fails="student-alone student-describe student-assistant student-other-order"
class Student(Person):
    def __init__(self, school, **kwargs):
        super().__init__(kwargs)
        self.school = school

    def describe(self):
        return f"{super().describe()}, studies at {self.school}"


class Employee(Person):
    def __init__(self, firm, **kwargs):
        super().__init__(kwargs)
        self.firm = firm

    def describe(self):
        return f"{super().describe()}, works at {self.firm}"


class Assistant(Student, Employee):
    pass


# %% [markdown] mistake="student-not-unpacked"
# Hands the keywords on as one dictionary instead of as keywords.
#
# `vars(Student(name="Mei", school="NTU"))["name"]` is `{'name': 'Mei'}`: the whole dictionary arrived as the name. Read what is said above
# about `**others` in a parameter list and in a call, and print what `Person` receives.

# %% right="student-old-style"
class Student(Person):
    def __init__(self, school, **kwargs):
        self.school = school
        super(Student, self).__init__(**kwargs)

    def describe(self):
        return super(Student, self).describe() + ", studies at " + self.school


class Employee(Person):
    def __init__(self, firm, **kwargs):
        self.firm = firm
        super(Employee, self).__init__(**kwargs)

    def describe(self):
        return super(Employee, self).describe() + ", works at " + self.firm


class Assistant(Student, Employee):
    pass


# %% [markdown] explanation="student"
# Inside `Student`, `super()` means `Person` for a student and `Employee` for an assistant: the same line of code, another next class.
# Calling `Person.__init__` by name breaks the line: for an assistant either `Employee` is skipped, or `Person` runs twice.
# Leaving `super().__init__` out is the commonest mistake with `nn.Module` too; there it shows as "cannot assign module before Module.__init__() call".
# The Python 2 form `super(Student, self)` gives the same object and is only longer.

# %% [markdown]
# ## Correct the notes
#
# Each program below begins with a sentence from notes that is wrong or half true.
# Read a program, decide with the rules of this chapter what `result` will be, and only then run it with `run_program(NOTES["…"])`.

# %% setup="programs"
NOTES = {
    "private": """# note: a private attribute cannot be accessed outside
class Box:
    def __init__(self):
        self.__key = 7
box = Box()
result = (hasattr(box, "__key"), hasattr(box, "_Box__key"))
""",
    "counter": """# note: __n counts the visits of all instances
class JustCounter:
    __n = 0
    def visit(self):
        self.__n += 1
    def seen(self):
        return self.__n
a, b = JustCounter(), JustCounter()
a.visit(); a.visit(); b.visit()
result = (a.seen(), b.seen(), JustCounter._JustCounter__n)
""",
    "local": """# note: a local variable acts only on this instance's class
class Scale:
    def weigh(self, load):
        total = load + 1
        return total
scale = Scale()
scale.weigh(3)
result = (hasattr(scale, "total"), hasattr(Scale, "total"))
""",
    "data": """# note: name = '' and items = [] in the class are each instance's data
class Bag:
    name = ""
    items = []
a, b = Bag(), Bag()
a.name = "red"
a.items.append("key")
result = (b.name, b.items)
""",
    "self": """# note: class methods must take self
class Shoe:
    sole = "rubber"
    @classmethod
    def about(cls):
        return cls.sole
class Boot(Shoe):
    sole = "leather"
result = (Shoe.about(), Boot().about())
""",
    "diamond": """# note: several bases are searched depth first, left to right
class A:
    def who(self): return "A"
class B(A): pass
class C(A):
    def who(self): return "C"
class D(B, C): pass
result = D().who()
""",
    "bases": """# note: left to right, so P's method is used
class P: size = 1
class Q(P): size = 2
try:
    class R(P, Q): pass
    result = R.size
except Exception as error:
    result = type(error).__name__
""",
    "super": """# note: super() is the base class
class A:
    def path(self): return "A"
class B(A):
    def path(self): return "B" + super().path()
class C(A):
    def path(self): return "C" + super().path()
class D(B, C): pass
result = (B().path(), D().path(), super(B, D()).path())
""",
    "default": """# note: a default value is made anew for each call
def collect(x, into=[]):
    into.append(x)
    return into
collect(1)
result = collect(2)
""",
    "enumerate": """# note: enumerate gives a list of pairs, and start says where to begin
pairs = enumerate("ab", start=1)
result = (list(pairs), list(pairs))
""",
}


def run_program(program: str):
    """Run `program` and return what it called `result`."""
    scope: dict = {}
    exec(program, scope)
    return scope["result"]


# %% [markdown]
# ### Exercise 9: what really happens (5 points)
#
# Write `corrected()`: it returns a dictionary with one entry for each key of `NOTES`, the `result` that you predict for its program, with the right types (a tuple is not a list).
# Write the values down; do not run the programs inside `corrected`, or there is nothing to learn from.
# The real interpreter judges: the checks run the programs, and for each miss they name the rule that decides it.
# By hand: a program `class E: n = 1` followed by `e = E(); e.n += 1; result = (e.n, E.n)` would give `(2, 1)`.
# The visible check looks at the first five notes.
#
# <details><summary>Hint 1</summary>For each program ask: which object is changed, or in which object is a name written? Draw the boxes of the figure above.</details>
# <details><summary>Hint 2</summary>For the three with several bases write down the MRO first, then follow it with a finger.</details>

# %% exercise="notes"
def corrected() -> dict:
    """Return {key of NOTES: the result that its program really has}."""
    # BEGIN SOLUTION
    return {
        "private": (False, True),
        "counter": (2, 1, 0),
        "local": (False, False),
        "data": ("", ["key"]),
        "self": ("rubber", "leather"),
        "diamond": "C",
        "bases": "TypeError",
        "super": ("BA", "BCA", "CA"),
        "default": [1, 2],
        "enumerate": ([(1, "a"), (2, "b")], []),
    }
    # END SOLUTION


# %% check="notes-attributes" points=2
predicted = corrected()
rules = {
    "private": "name mangling: inside the class __key is written _Box__key, and that name is open to everybody",
    "counter": "self.__n += 1 reads from the class and writes into the instance; the class keeps its value",
    "local": "a local variable belongs to one call and is gone when the call returns",
    "data": "assignment makes an instance variable, append changes the one list in the class",
    "self": "a class method receives the class on which it was called, also through an instance",
}
assert type(predicted) is dict, f"corrected() must return a dict, got {type(predicted).__name__}"
for key, rule in rules.items():
    assert key in predicted, f"there is no prediction for {key!r}"
    assert repr(predicted[key]) == repr(run_program(NOTES[key])), (
        f"{key!r}: you predicted {predicted[key]!r}, and Python disagrees (a list is no tuple). The rule: {rule}"
    )
print("passed: five notes on attributes are corrected")

# %% hidden="notes-inheritance" points=2
answers = corrected()
reasons = {
    "diamond": "C3: a common base comes after all its subclasses, so C is asked before A",
    "bases": "no class may come before its own subclass, and P was written before its subclass Q: there is no order",
    "super": "super() is the next class in the MRO of the instance: C after B where the instance is a D",
}
for key, reason in reasons.items():
    assert repr(answers.get(key, "no prediction")) == repr(run_program(NOTES[key])), (
        f"{key!r}: you predicted {answers.get(key, 'nothing')!r}. The rule: {reason}"
    )

# %% hidden="notes-once" points=1
answers = corrected()
reasons = {
    "default": "a default value is made once, when def runs, and shared by all calls that use it",
    "enumerate": "enumerate is an iterator, used up by the first walk; start is the first number and skips nothing",
}
for key, reason in reasons.items():
    assert repr(answers.get(key, "no prediction")) == repr(run_program(NOTES[key])), (
        f"{key!r}: you predicted {answers.get(key, 'nothing')!r}. The rule: {reason}"
    )

# %% wrong="notes-believed" fails="notes-attributes notes-inheritance notes-once"
def corrected():
    return dict(
        private=(False, False),
        counter=(3, 3, 3),
        local=(False, True),
        data=("", []),
        self=("rubber", "rubber"),
        diamond="A",
        bases=1,
        super=("BA", "BA", "A"),
        default=[2],
        enumerate=([(1, "b")], [(1, "b")]),
    )


# %% [markdown] mistake="notes-believed"
# Predicts what the notes say, not what Python does.
#
# All ten answers follow the sentences above the programs, and each of these is wrong or half true. Cover the notes, take one program, and
# ask at each line with a dot: where is this name searched, and where is it written? Then run it.

# %% wrong="notes-super-is-base" fails="notes-inheritance"
def corrected():
    return dict(
        private=(False, True),
        counter=(2, 1, 0),
        local=(False, False),
        data=("", ["key"]),
        self=("rubber", "leather"),
        diamond="C",
        bases="TypeError",
        super=("BA", "BA", "A"),
        default=[1, 2],
        enumerate=([(1, "a"), (2, "b")], []),
    )


# %% [markdown] mistake="notes-super-is-base"
# Takes `super()` for the base class, whatever the instance is.
#
# Your answer for "super" gives B the same next class in all three calls. Write down the MRO of the instance on which each call was made,
# put a finger on the class in which `super()` is written, and go one place on.

# %% wrong="notes-shared-counter" fails="notes-attributes"
def corrected():
    return dict(
        private=(False, True),
        counter=(3, 3, 3),
        local=(False, False),
        data=("red", ["key"]),
        self=("rubber", "leather"),
        diamond="C",
        bases="TypeError",
        super=("BA", "BCA", "CA"),
        default=[1, 2],
        enumerate=([(1, "a"), (2, "b")], []),
    )


# %% [markdown] mistake="notes-shared-counter"
# Takes an assignment through an instance for a change of the class.
#
# In "counter" and in "data" you let `self.__n += 1` and `a.name = …` reach every instance. Look at the right figure above, after `coat.shop
# = "Outlet"`: which box got the new name, and what does `scarf` see?

# %% wrong="notes-list-of-pairs" fails="notes-once"
def corrected():
    return dict(
        private=(False, True),
        counter=(2, 1, 0),
        local=(False, False),
        data=("", ["key"]),
        self=("rubber", "leather"),
        diamond="C",
        bases="TypeError",
        super=("BA", "BCA", "CA"),
        default=[1, 2],
        enumerate=([(1, "a"), (2, "b")], [(1, "a"), (2, "b")]),
    )


# %% [markdown] mistake="notes-list-of-pairs"
# Takes the result of `enumerate` for a list that can be walked over again.
#
# In "enumerate" you let the second walk find the same as the first. What kind of object does `enumerate(…)` give, and how often can it be
# walked over? The cell that prints `first:` and `second:` above Exercise 1 shows it.

# %% wrong="notes-lists" fails="notes-attributes notes-inheritance notes-once"
def corrected():
    return dict(
        private=[False, True],
        counter=[2, 1, 0],
        local=[False, False],
        data=["", ["key"]],
        self=["rubber", "leather"],
        diamond="C",
        bases=TypeError,
        super=["BA", "BCA", "CA"],
        default=[1, 2],
        enumerate=[[(1, "a"), (2, "b")], []],
    )


# %% [markdown] mistake="notes-lists"
# Has the right content but other types: lists for tuples, a class for its name.
#
# To Python `[1, 2] == (1, 2)` is False, and the statement asks for the right types. Look at the brackets in each line `result = (…)`, and,
# in "bases", at what `type(error).__name__` gives: try `type(type(3).__name__)`.

# %% right="notes-step-by-step"
def corrected():
    answers = {"private": (False, True), "local": (False, False)}
    answers["counter"] = 2, 1, 0
    answers["data"] = "", ["key"]
    answers["self"] = tuple("rubber leather".split())
    answers["diamond"], answers["bases"] = "C", TypeError.__name__
    answers["super"] = "BA", "BCA", "CA"
    answers["default"] = list(range(1, 3))
    answers["enumerate"] = list(enumerate("ab", start=1)), []
    return answers


# %% [markdown] explanation="notes"
# Seven of the ten come down to two questions: where is a name *searched* (instance, then the classes of the MRO in turn), and where is it *written* (in the instance).
# "data" needs both: `a.name = …` writes, `a.items.append` only searches and then changes what it found.
# "super" is the one that surprises experienced people: the same `super()` in B leads to A or to C, depending on the instance.
# In "bases" Python refuses at the class statement, long before anybody asks for `size`.

# %% [markdown]
# ## The real task: a dataset and a tree of modules, in plain Python
#
# We now build a program that recognises clothes, out of the two kinds of object that every PyTorch program has: a *dataset* that hands out examples, and *modules*, parts of a model that contain parts.
# No **tensor** (张量), PyTorch's array of numbers, appears yet; a picture is its 784 brightness values.
#
# ### The dataset
#
# `__len__` and `__getitem__` are all that a dataset needs.
# Ours shows a stretch of Fashion-MNIST, and also keeps a diary of what it was asked for.

# %%
class Stretch:
    """Pictures `first` to `last - 1` of Fashion-MNIST, each with its kind."""

    def __init__(self, first, last):
        self.first, self.last = first, last
        self.asked = []

    def __len__(self):
        return self.last - self.first

    def __getitem__(self, place):
        if not 0 <= place < len(self):
            raise IndexError(place)
        self.asked.append(place)
        return fashion[self.first + place]


# %% [markdown]
# Its class comes from nowhere near PyTorch.
# We give it to PyTorch's `DataLoader`, which makes the batches, once in order and once shuffled, and draw the diary.
# (`collate_fn=list` tells it to leave each batch a list; in chapter 6 it will make tensors.)

# %%
diaries = []
for shuffle in (False, True):
    stretch = Stretch(0, 24)
    order = torch.Generator().manual_seed(0)  # a source of random numbers, not a generator with yield
    loader = torch.utils.data.DataLoader(stretch, batch_size=6, shuffle=shuffle, generator=order, collate_fn=list)
    sizes = [len(batch) for batch in loader]
    diaries.append(stretch.asked)
    print("shuffle:", shuffle, "| sizes of the batches:", sizes, "| every place once:", sorted(stretch.asked) == list(range(24)))
fig, axes = plt.subplots(1, 2, figsize=(8, 2.8), sharey=True)
for ax, diary, title in zip(axes, diaries, ["shuffle=False", "shuffle=True"], strict=True):
    ax.scatter(range(24), diary, c=[call // 6 for call in range(24)], cmap="tab10", vmax=9)
    ax.set(xlabel="number of the call", title=title, xticks=range(0, 25, 6))
axes[0].set_ylabel("place that __getitem__ got")
plt.show()

# %% [markdown]
# Each dot is one call of *our* `__getitem__`, made by the loader; the colours are the batches.
# It did not ask for PyTorch's base class, `torch.utils.data.Dataset`: it used the length and the places.
# (Inheriting from `Dataset` adds little more than `+`, which joins two data sets.)
# Shuffling changes the order of the questions and nothing else.
#
# ### A module is a node in a tree
#
# A model is made of parts, which are made of parts: a tree.
# PyTorch's `torch.nn.Module` remembers each part at the moment when it is assigned to an attribute, because it overrides `__setattr__`, the special method behind every assignment `self.x = …`.
# The smallest example of that method:

# %%
class Noted:
    def __setattr__(self, key, value):
        print(f"{key} becomes {value!r}")
        super().__setattr__(key, value)


note = Noted()
note.size = 3
print(vars(note))

# %% [markdown]
# Our method saw the assignment and then let `object.__setattr__` do the work.
# (`self.size = 3` *inside* `__setattr__` would call itself until Python gives up with `RecursionError`.)
#
# A walk over a tree calls itself on each child.
# `isinstance(x, C)` asks whether `x` is an instance of `C` or of a subclass, and in a generator `yield from` hands on everything that another iterable yields:

# %%
def leaves(nested):
    for one in nested:
        if isinstance(one, list):
            yield from leaves(one)
        else:
            yield one


print(list(leaves(["coat", ["bag", ["hat"]], "shoe"])))

# %% [markdown]
# ### Exercise 10: a module with nothing but Python (8 points)
#
# Write `Node`, the base class of all parts of a model.
#
# - `self.children` is a dictionary from attribute name to part, in the order of assignment; a name whose part is replaced by another keeps its place.
# - Assigning a `Node` to an attribute enters it in `children` under that name. Assigning anything else there takes the name out of `children`, if it was in.
#   In both cases the attribute itself is set, as always. (What `del` should do is not asked.)
# - `named_nodes()` yields pairs `(dotted name, node)`: the node itself first, under the name `prefix`, then each child with everything below it, in order.
#   A child's name is its parent's name, a dot, and the attribute; there is no dot where the parent's name is empty.
# - A call `node(…)` passes all its arguments, by position and by keyword, to `self.forward`, and returns what that returns.
# - `repr` is the tree. A node without children is the name of its class and `()`, so `repr(Node())` is `Node()`.
#   Any other node is the name of its class and `(`, then `(name): ` with the child's own repr for each child, two spaces deeper, then `)` on a line of its own.
#   Below, `Net` and `Leaf` stand for two subclasses of `Node`.
#
# ```
# Net(
#   (eyes): Leaf()
#   (head): Net(
#     (left): Leaf()
#   )
# )
# ```
#
# By hand: the names in this tree are `''`, `'eyes'`, `'head'`, `'head.left'`.
# Do not use `torch`. A subclass calls `super().__init__()` before it assigns anything.
#
# <details><summary>Hint 1</summary>In which order should <code>__setattr__</code> set the attribute and look into <code>self.children</code>, so that <code>self.children = {}</code> works as well?</details>
# <details><summary>Hint 2</summary>The repr of a child may have several lines. <code>text.replace("\n", "\n  ")</code> moves all but the first to the right.</details>

# %% exercise="node"
class Node:
    """A part of a model; remembers the parts that are assigned to its attributes."""

    def __init__(self):
        # BEGIN SOLUTION
        self.children = {}
        # END SOLUTION

    def __setattr__(self, name: str, value) -> None:
        """Set the attribute, and keep `children` up to date."""
        # BEGIN SOLUTION
        super().__setattr__(name, value)
        if isinstance(value, Node):
            self.children[name] = value
        else:
            self.children.pop(name, None)
        # END SOLUTION

    def named_nodes(self, prefix: str = "") -> Iterator[tuple]:
        """Yield (dotted name, node) for this node, then for everything below it, depth first."""
        # BEGIN SOLUTION
        yield prefix, self
        for name, child in self.children.items():
            yield from child.named_nodes(f"{prefix}.{name}" if prefix else name)
        # END SOLUTION

    def forward(self, *args, **kwargs):
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def __call__(self, *args, **kwargs):
        # BEGIN SOLUTION
        return self.forward(*args, **kwargs)
        # END SOLUTION

    def __repr__(self) -> str:
        # BEGIN SOLUTION
        lines = [f"\n({name}): {child!r}".replace("\n", "\n  ") for name, child in self.children.items()]
        return f"{type(self).__name__}({''.join(lines)}" + ("\n)" if lines else ")")
        # END SOLUTION


# %% check="node-registers" points=1
def parts_of_a_net():
    try:
        net, eyes = Node(), Node()
        net.eyes = eyes
        net.size = 28
        net.head = Node()
        return list(net.children), net.children.get("eyes") is eyes, net.eyes is eyes, net.size
    except NotImplementedError:  # not written yet
        raise
    except Exception as error:
        return f"{type(error).__name__}: {error}", False, False, None


names, same_child, same_attribute, size = parts_of_a_net()
assert names == ["eyes", "head"], (
    f"after net.eyes = Node(), net.size = 28, net.head = Node() the children should be ['eyes', 'head'], got {names}: is every attribute "
    f"set by super().__setattr__, before you look into self.children, and are only nodes entered?"
)
assert same_child and same_attribute, "net.children['eyes'] and net.eyes must both be the node that was assigned"
assert size == 28, f"net.size must be 28 as assigned, got {size!r}: pass every assignment on to super().__setattr__"
print("passed: parts are remembered when they are assigned")

# %% check="node-call" points=1
def call_a_node():
    class Scale(Node):
        def forward(self, x, factor=1):
            return x * factor

    try:
        return Scale()(4), Scale()(4, 5), Scale()(4, factor=7)
    except NotImplementedError:  # not written yet
        raise
    except Exception as error:
        return f"{type(error).__name__}: {error}"


results = call_a_node()
assert results == (4, 20, 28), (
    f"node(4), node(4, 5) and node(4, factor=7) should give 4, 20 and 28, got {results}: hand over *args and **kwargs, and return "
    f"the result. An AttributeError about children, or a RecursionError: first repair `__setattr__`, see the check above"
)
print("passed: a call goes to forward")

# %% check="node-names" points=1
def names_by_hand():
    try:
        net = Node()
        net.eyes, net.head = Node(), Node()
        net.head.left = Node()
        pairs, below = (list(itertools.islice(net.named_nodes(*prefix), 20)) for prefix in ([], ["net"]))
    except NotImplementedError:  # not written yet
        raise
    except Exception as error:
        return f"{type(error).__name__}: {error}", False, []
    names, under_net = ([pair[0] if type(pair) is tuple else type(pair).__name__ for pair in found] for found in (pairs, below))
    return names, names[3:] == ["head.left"] and pairs[3][1] is net.head.left, under_net


names, same, under_net = names_by_hand()
assert names == ["", "eyes", "head", "head.left"], (
    f"the dotted names should be '', 'eyes', 'head', 'head.left', got {names}: does `yield from` hand on the whole walk of each "
    f"child, is there no dot after an empty name, and has each node children of its own? An AttributeError or a RecursionError: first "
    f"repair `__setattr__`, see the first check. A TypeError with NoneType: nothing is yielded, or returned"
)
assert same, "the node that comes with the name 'head.left' must be net.head.left itself"
assert under_net == ["net", "net.eyes", "net.head", "net.head.left"], (
    f"with prefix 'net' the names should be net, net.eyes, net.head, net.head.left, got {under_net}"
)
print("passed: the names worked by hand")

# %% check="node-tree" points=1
def tree_by_hand():
    class Leaf(Node):
        """A part without parts."""

    class Net(Node):
        """A part with parts."""

    try:
        net = Net()
        net.eyes, net.head = Leaf(), Net()
        net.head.left = Leaf()
        return repr(net)
    except NotImplementedError:  # not written yet
        raise
    except Exception as error:
        return f"{type(error).__name__}: {error}"


tree = tree_by_hand()
expected = "Net(\n  (eyes): Leaf()\n  (head): Net(\n    (left): Leaf()\n  )\n)"
assert tree == expected, (
    f"the tree of the statement should print as\n{expected}\ngot\n{tree}\nIs every line of a child moved two spaces to the right, and "
    f"is the name that of the node's own class? An AttributeError or a RecursionError: first repair `__setattr__`, see the first check. "
    f"A non-string: __repr__ returns the text, and prints nothing"
)
print("passed: the tree prints as in the statement")

# %% hidden="node-deep" points=2
def grow(Base):
    class Leaf(Base):
        pass

    class Branch(Base):
        def __init__(self, *parts):
            super().__init__()
            for number, part in enumerate(parts):
                setattr(self, f"part{number}", part)

    return Branch(Leaf(), Branch(Branch(Leaf(), Leaf()), Leaf()), Branch())


def walk_over_nodes():
    return [(name, type(node).__name__) for name, node in grow(Node).named_nodes()]


walked = walk_over_nodes()
expected = [(name, type(module).__name__) for name, module in grow(torch.nn.Module).named_modules()]
assert walked == expected, (
    f"the walk should give the names that torch.nn.Module.named_modules gives for the same tree:\n{expected}\ngot\n{walked}"
)

# %% hidden="node-repr" points=1
def plant(Base):
    class Seed(Base):
        pass

    class Pot(Base):
        def __init__(self, **parts):
            super().__init__()
            for name, part in parts.items():
                setattr(self, name, part)

    return Pot(a=Seed(), b=Pot(c=Pot(d=Seed(), e=Pot()), f=Seed()))


def printed_nodes():
    return repr(plant(Node)), str(Node())


printed, alone = printed_nodes()
wanted = repr(plant(torch.nn.Module))
assert alone == "Node()", f"a node without children prints as Node(), got {alone!r}"
assert printed == wanted, (
    f"the tree should print as PyTorch prints it:\n{wanted}\ngot\n{printed}\nDoes each level move all lines of its children two "
    f"spaces to the right?"
)

# %% hidden="node-replaced" points=1
def replace_parts():
    net, other = Node(), Node()
    net.body, net.head = Node(), Node()
    first = list(net.children)
    net.body = newer = Node()
    kept = list(net.children), net.children["body"] is newer
    net.body = None
    removed = list(net.children), net.body
    net.head = Node()
    net.tail = net.head
    return first, kept, removed, list(net.children), net.children["head"] is net.head, list(other.children)


first, kept, removed, at_last, newest, other = replace_parts()
assert first == ["body", "head"], f"two parts were assigned, children should be ['body', 'head'], got {first}"
assert kept == (["body", "head"], True), (
    f"a part replaced by another keeps its place: expected ['body', 'head'] with the new body, got {kept[0]}"
)
assert removed == (["head"], None), f"after net.body = None only ['head'] is left, and net.body is None; got {removed}"
assert at_last == ["head", "tail"] and newest, (
    f"a part assigned anew replaces the old one in its place: expected ['head', 'tail'], got {at_last}"
)
assert other == [], f"another node must have no children, it has {other}: is children a list or dictionary in the class, shared by all?"

# %% wrong="node-shared-children" fails="node-names node-tree node-deep node-repr node-replaced"
class Node:
    children = {}

    def __init__(self):
        pass

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if isinstance(value, Node):
            self.children[name] = value
        else:
            self.children.pop(name, None)

    def named_nodes(self, prefix=""):
        yield prefix, self
        for name, child in self.children.items():
            yield from child.named_nodes(f"{prefix}.{name}" if prefix else name)

    def __call__(self, *args, **kwargs):
        return self.forward(*args, **kwargs)

    def __repr__(self):
        lines = [f"\n({name}): {child!r}".replace("\n", "\n  ") for name, child in self.children.items()]
        return f"{type(self).__name__}({''.join(lines)}" + ("\n)" if lines else ")")


# %% [markdown] mistake="node-shared-children"
# Keeps `children` in the class, where all nodes share it.
#
# After one tree was built, a fresh `Node()` already has children, and the names go on without end: body, body.body, body.body.body, …
# because each part seems to hold itself. Exercise 3 had the same trouble. How often is the line that makes your dictionary run?

# %% wrong="node-leading-dot" fails="node-names node-deep"
class Node:
    def __init__(self):
        self.children = {}

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if isinstance(value, Node):
            self.children[name] = value
        else:
            self.children.pop(name, None)

    def named_nodes(self, prefix=""):
        yield prefix, self
        for name, child in self.children.items():
            yield from child.named_nodes(f"{prefix}.{name}")

    def __call__(self, *args, **kwargs):
        return self.forward(*args, **kwargs)

    def __repr__(self):
        lines = [f"\n({name}): {child!r}".replace("\n", "\n  ") for name, child in self.children.items()]
        return f"{type(self).__name__}({''.join(lines)}" + ("\n)" if lines else ")")


# %% [markdown] mistake="node-leading-dot"
# Puts a dot before the names of the first level.
#
# The parts of a model come out as `.body`, `.body.arm`, `.leg`; with the prefix "m" all names are right. The last half of the sentence on a
# child's name speaks of this case. What is the parent's name at the very top?

# %% wrong="node-one-level" fails="node-names node-tree node-deep node-repr"
class Node:
    def __init__(self):
        self.children = {}

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if isinstance(value, Node):
            self.children[name] = value
        else:
            self.children.pop(name, None)

    def named_nodes(self, prefix=""):
        yield prefix, self
        for name, child in self.children.items():
            yield f"{prefix}.{name}" if prefix else name, child

    def __call__(self, *args, **kwargs):
        return self.forward(*args, **kwargs)

    def __repr__(self):
        lines = [f"\n  ({name}): {child!r}" for name, child in self.children.items()]
        return f"{type(self).__name__}({''.join(lines)}" + ("\n)" if lines else ")")


# %% [markdown] mistake="node-one-level"
# Handles one level only: deeper names are missing, and deeper lines are not moved in.
#
# For a body with an arm with a hand, your walk gives '', 'body', 'leg' and never reaches the arm, and the line `(hand)` stands no deeper
# than `(body)`. A child is a node and has this method too. What does the child's own text look like, line by line?

# %% wrong="node-stays-registered" fails="node-replaced"
class Node:
    def __init__(self):
        self.children = {}

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if isinstance(value, Node):
            self.children[name] = value

    def named_nodes(self, prefix=""):
        yield prefix, self
        for name, child in self.children.items():
            yield from child.named_nodes(f"{prefix}.{name}" if prefix else name)

    def __call__(self, *args, **kwargs):
        return self.forward(*args, **kwargs)

    def __repr__(self):
        lines = [f"\n({name}): {child!r}".replace("\n", "\n  ") for name, child in self.children.items()]
        return f"{type(self).__name__}({''.join(lines)}" + ("\n)" if lines else ")")


# %% [markdown] mistake="node-stays-registered"
# Leaves a part in `children` when its name is assigned something that is no Node.
#
# After `net.leg = Node()` and `net.leg = None`, the attribute is `None`, but `'leg'` still stands in `children` and would appear in the
# printed tree. The statement says what assigning anything else does to the name.

# %% wrong="node-positional-call" fails="node-call"
class Node:
    def __init__(self):
        self.children = {}

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if isinstance(value, Node):
            self.children[name] = value
        else:
            self.children.pop(name, None)

    def named_nodes(self, prefix=""):
        yield prefix, self
        for name, child in self.children.items():
            yield from child.named_nodes(f"{prefix}.{name}" if prefix else name)

    def __call__(self, x):
        return self.forward(x)

    def __repr__(self):
        lines = [f"\n({name}): {child!r}".replace("\n", "\n  ") for name, child in self.children.items()]
        return f"{type(self).__name__}({''.join(lines)}" + ("\n)" if lines else ")")


# %% [markdown] mistake="node-positional-call"
# A call passes on one argument by position only.
#
# With a `forward(self, x, step=1)`, `node(2)` works, and `node(2, step=3)` stops with "unexpected keyword argument 'step'". `Node` cannot
# know what its subclasses want. How did `Person` take in keywords that it had no parameter for, and how did it pass them on?

# %% wrong="node-children-first" fails="node-registers node-names node-deep node-repr"
class Node:
    def __init__(self):
        self.children = {}

    def __setattr__(self, name, value):
        if isinstance(value, Node):
            self.children[name] = value
        else:
            self.children.pop(name, None)
        super().__setattr__(name, value)

    def named_nodes(self, prefix=""):
        yield prefix, self
        for name, child in self.children.items():
            yield from child.named_nodes(f"{prefix}.{name}" if prefix else name)

    def __call__(self, *args, **kwargs):
        return self.forward(*args, **kwargs)

    def __repr__(self):
        lines = [f"\n({name}): {child!r}".replace("\n", "\n  ") for name, child in self.children.items()]
        return f"{type(self).__name__}({''.join(lines)}" + ("\n)" if lines else ")")


# %% [markdown] mistake="node-children-first"
# Never gets as far as setting `self.children`, so that no node can be made at all.
#
# `Node()` itself stops with "'Node' object has no attribute 'children'": the first line of `__init__` is an assignment, and so it goes
# through your `__setattr__` too. Follow that one assignment line by line. What exists at each step, and which line puts it there?

# %% wrong="node-either-or" fails="node-registers node-replaced"
class Node:
    def __init__(self):
        self.children = {}

    def __setattr__(self, name, value):
        if isinstance(value, Node):
            self.children[name] = value
        else:
            super().__setattr__(name, value)

    def named_nodes(self, prefix=""):
        yield prefix, self
        for name, child in self.children.items():
            yield from child.named_nodes(f"{prefix}.{name}" if prefix else name)

    def __call__(self, *args, **kwargs):
        return self.forward(*args, **kwargs)

    def __repr__(self):
        lines = [f"\n({name}): {child!r}".replace("\n", "\n  ") for name, child in self.children.items()]
        return f"{type(self).__name__}({''.join(lines)}" + ("\n)" if lines else ")")


# %% [markdown] mistake="node-either-or"
# Does one thing only: a Node is entered but not set, anything else is set but not taken out.
#
# After `net.leg = Node()`, reading `net.leg` stops with "no attribute 'leg'"; and a part later replaced by `None` stays in `children`. The
# statement says what happens "in both cases". Which of your lines run for each kind of value?

# %% wrong="node-anything" fails="node-registers node-replaced"
class Node:
    def __init__(self):
        self.children = {}

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if name != "children":
            self.children[name] = value

    def named_nodes(self, prefix=""):
        yield prefix, self
        for name, child in self.children.items():
            yield from child.named_nodes(f"{prefix}.{name}" if prefix else name)

    def __call__(self, *args, **kwargs):
        return self.forward(*args, **kwargs)

    def __repr__(self):
        lines = [f"\n({name}): {child!r}".replace("\n", "\n  ") for name, child in self.children.items()]
        return f"{type(self).__name__}({''.join(lines)}" + ("\n)" if lines else ")")


# %% [markdown] mistake="node-anything"
# Enters every value in `children`, not only nodes.
#
# After `net.size = 3` the children are `['size']`, and the printed tree would show a part called size. A part replaced by `None` also stays
# there. Ask what your test checks: the name, or what kind of thing is assigned?

# %% wrong="node-moves-to-the-end" fails="node-replaced"
class Node:
    def __init__(self):
        self.children = {}

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        self.children.pop(name, None)
        if isinstance(value, Node):
            self.children[name] = value

    def named_nodes(self, prefix=""):
        yield prefix, self
        for name, child in self.children.items():
            yield from child.named_nodes(f"{prefix}.{name}" if prefix else name)

    def __call__(self, *args, **kwargs):
        return self.forward(*args, **kwargs)

    def __repr__(self):
        lines = [f"\n({name}): {child!r}".replace("\n", "\n  ") for name, child in self.children.items()]
        return f"{type(self).__name__}({''.join(lines)}" + ("\n)" if lines else ")")


# %% [markdown] mistake="node-moves-to-the-end"
# Moves a part that is replaced by another to the end of `children`.
#
# With the parts body and leg, a new body gives the order leg, body, where the statement says that the name keeps its place. Try on a plain
# dictionary what happens to the order when a key is taken out and put in again.

# %% wrong="node-yield" fails="node-names node-deep"
class Node:
    def __init__(self):
        self.children = {}

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if isinstance(value, Node):
            self.children[name] = value
        else:
            self.children.pop(name, None)

    def named_nodes(self, prefix=""):
        yield prefix, self
        for name, child in self.children.items():
            yield child.named_nodes(f"{prefix}.{name}" if prefix else name)

    def __call__(self, *args, **kwargs):
        return self.forward(*args, **kwargs)

    def __repr__(self):
        lines = [f"\n({name}): {child!r}".replace("\n", "\n  ") for name, child in self.children.items()]
        return f"{type(self).__name__}({''.join(lines)}" + ("\n)" if lines else ")")


# %% [markdown] mistake="node-yield"
# Yields the walk of each child as one thing instead of what that walk gives.
#
# Your walk over a model with a body and a leg gives one pair and then two generators, so `for name, node in …` fails on the second item.
# Compare with `leaves` above: how does it hand on everything that another walk finds?

# %% wrong="node-no-return" fails="node-call"
class Node:
    def __init__(self):
        self.children = {}

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if isinstance(value, Node):
            self.children[name] = value
        else:
            self.children.pop(name, None)

    def named_nodes(self, prefix=""):
        yield prefix, self
        for name, child in self.children.items():
            yield from child.named_nodes(f"{prefix}.{name}" if prefix else name)

    def __call__(self, *args, **kwargs):
        self.forward(*args, **kwargs)

    def __repr__(self):
        lines = [f"\n({name}): {child!r}".replace("\n", "\n  ") for name, child in self.children.items()]
        return f"{type(self).__name__}({''.join(lines)}" + ("\n)" if lines else ")")


# %% [markdown] mistake="node-no-return"
# A call gives None back.
#
# With a `forward` that adds 1, `node(2)` is `None` and not 3. The sentence on calls in the statement has two halves: who does the work, and
# what becomes of the value that comes back?

# %% right="node-explicit"
class Node:
    def __init__(self):
        self.__dict__["children"] = {}

    def __setattr__(self, name, value):
        if isinstance(value, Node):
            self.children[name] = value
        elif name in self.children:
            del self.children[name]
        self.__dict__[name] = value

    def named_nodes(self, prefix=""):
        found = [(prefix, self)]
        for name in self.children:
            path = ".".join(filter(None, [prefix, name]))
            found.extend(self.children[name].named_nodes(path))
        return iter(found)

    def forward(self, *args, **kwargs):
        raise NotImplementedError

    def __call__(self, *args, **kwargs):
        answer = self.forward(*args, **kwargs)
        return answer

    def __repr__(self):
        head = self.__class__.__name__ + "("
        if not self.children:
            return head + ")"
        rows = [head]
        for name, child in self.children.items():
            first, *rest = repr(child).split("\n")
            rows += [f"  ({name}): {first}"] + ["  " + row for row in rest]
        return "\n".join(rows + [")"])


# %% [markdown] explanation="node"
# Setting the attribute first lets `self.children = {}` pass through our own `__setattr__`: by the time `pop` is reached, `children` exists.
# It is also why a subclass must call `super().__init__()` first: before that there is no `children` to enter a part in.
# `yield from` makes the walk of a child part of ours, and the prefix grows on the way down; a leading dot comes from joining an empty prefix.
# PyTorch keeps three such dictionaries, for parts, parameters and buffers, and its `__call__` also runs hooks before and after `forward`: that is why one writes `model(x)` and not `model.forward(x)`.
# One difference: PyTorch's walk lists a part that stands in two places once, ours lists it at both.

# %% [markdown]
# ### A model without a tensor
#
# Now the parts that recognise clothes.
# `Flatten` turns a picture into numbers, `Distances` compares these with ten typical pictures, one for each kind, and `Nearest` names the kind that differs least.
# The base class stands in one line: when your `Node` passes its checks, write `Base = Node` here and run on; everything below stays the same.

# %%
Base = torch.nn.Module


class Flatten(Base):
    def forward(self, picture):
        return list(picture.tobytes())


class Distances(Base):
    def __init__(self, typical):
        super().__init__()
        self.typical = typical

    def forward(self, pixels):
        return [sum((p - t) ** 2 for p, t in zip(pixels, one, strict=True)) for one in self.typical]


class Nearest(Base):
    def forward(self, distances):
        return distances.index(min(distances))


# %%
class Head(Base):
    def __init__(self, typical):
        super().__init__()
        self.compare = Distances(typical)
        self.choose = Nearest()

    def forward(self, pixels):
        return self.choose(self.compare(pixels))


class Recogniser(Base):
    def __init__(self, typical):
        super().__init__()
        self.eyes = Flatten()
        self.head = Head(typical)

    def forward(self, picture):
        return self.head(self.eyes(picture))


# %% [markdown]
# The typical picture of a kind is the mean of its pictures among the first thousand, pixel by pixel.
# `zip(*group)` walks over all pictures of a group in step: it gives the first pixel of each, then the second of each, and so on.

# %%
groups = [[] for _ in CLASS_NAMES]
for picture, label in Stretch(0, 1000):
    groups[label].append(picture.tobytes())
typical = [[sum(column) / len(group) for column in zip(*group, strict=True)] for group in groups]
model = Recogniser(typical)
print(model)

# %% [markdown]
# `for … in Stretch(0, 1000)` works without `__iter__`: Python then asks for places 0, 1, 2, … until an `IndexError` comes.
# The printed tree has the form of Exercise 10: names in parentheses, classes, two spaces a level.
# The next figure draws the same tree from the dotted names, and beside it what `Distances` holds.

# %%
def draw_tree(ax, parts):
    boxes, column = {}, 0
    for name in reversed(parts):  # children before their parents
        below = [boxes[other] for other in parts if other and other.rpartition(".")[0] == name]
        x = sum(child.get_position()[0] for child in below) / len(below) if below else (column := column - 3)
        depth = len(name.split(".")) if name else 0
        boxes[name] = box(ax, x, -depth, f"{name or '(the model)'}\n{type(parts[name]).__name__}", "lightblue")
        for child in below:
            arrow(ax, boxes[name], child)
    ax.set(xlim=(column - 1.8, -1.2), ylim=(-2.4, 0.4), title="the model, drawn from its dotted names")
    ax.axis("off")


# %%
fig, axes = plt.subplots(1, 2, figsize=(12, 3.4), width_ratios=[1, 1.25])
draw_tree(axes[0], dict(model.named_modules() if hasattr(model, "named_modules") else model.named_nodes()))
strips = [[one[28 * y : 28 * y + 28] for one in typical] for y in range(28)]
gap = [[0] * 140] * 8
rows = [sum(strip[:5], []) for strip in strips] + gap + [sum(strip[5:], []) for strip in strips] + gap
axes[1].imshow(rows, cmap="gray_r")
for kind, name in enumerate(CLASS_NAMES):
    axes[1].text(28 * (kind % 5) + 14, 36 * (kind // 5) + 32, name, ha="center", va="center", fontsize=9)
axes[1].set(title="model.head.compare.typical: the mean picture of each kind", xticks=[], yticks=[])
plt.show()

# %% [markdown]
# Every dotted name is a path of attribute references: the box `head.compare` is the object `model.head.compare`.
# The mean trouser and the mean sneaker are sharp, because such pictures resemble one another; the mean bag is a cloud.
#
# We let the model look at 300 pictures that took no part in the means, in batches from the loader, and count its commonest confusions.

# %%
loader = torch.utils.data.DataLoader(Stretch(1000, 1300), batch_size=50, collate_fn=list)
guesses = [(picture, label, model(picture)) for batch in loader for picture, label in batch]
right = sum(label == guess for _, label, guess in guesses)
print(f"right: {right} of {len(guesses)}")
confused = collections.Counter(" and ".join(sorted([CLASS_NAMES[k], CLASS_NAMES[guess]])) for _, k, guess in guesses if k != guess)
print(confused.most_common(3))

# %%
fig, axes = plt.subplots(2, 8, figsize=(10, 3.4))
for ax, (picture, label, guess) in zip(axes.flat, guesses, strict=False):
    ax.imshow(picture, cmap="gray_r")
    ax.set_title(CLASS_NAMES[guess], color="black" if guess == label else "red", fontsize=9)
    ax.set(xticks=[], yticks=[])
    ax.set_xlabel("" if guess == label else f"is: {CLASS_NAMES[label]}", fontsize=8, color="red")
plt.show()

# %% [markdown]
# Above each picture stands the guess, red where it is wrong.
# About six in ten of the 300 are right, where blind guessing would have one in ten.
# With `Base = Node` nothing was used but lists, loops, the objects of this chapter and PyTorch's loader.
# The commonest confusions, counted above, are between shirts, pullovers and coats, whose means look alike; none of them is among these sixteen.
# Chapter 2 makes the same comparison without a loop, and chapter 7 learns better pictures than the mean.
#
# ### The same protocols in PyTorch
#
# | you wrote | PyTorch has | the method behind it |
# |---|---|---|
# | `Repeatable`, `Stretch` | `torch.utils.data.Dataset` | `__len__`, `__getitem__` |
# | `batches_with_index` | `torch.utils.data.DataLoader` | `__iter__`, `__next__` |
# | `Node.children`, `named_nodes` | `nn.Module.named_children()`, `named_modules()` | `__setattr__` |
# | `node(x)` | `model(x)` | `__call__` → `forward` |
# | the tree of `repr(node)` | `print(model)` | `__repr__` |

# %% [markdown]
# ## What goes wrong in practice
#
# - **`AttributeError: cannot assign module before Module.__init__() call`**: `super().__init__()` is missing, or comes after the first part.
# - **A part does not appear in `print(model)`**: it was put into a plain list, `self.parts = [Head(…)]`. The list is assigned, not the part, so `__setattr__` sees no module.
# - **The second epoch (one walk over all the data) is empty**: somebody kept an iterator (`enumerate(…)`, `zip(…)`, a generator) instead of the iterable.
# - **`model.forward(x)`** works, but leaves out what `__call__` does around it. Call the model.
# - **`torch.utils.data.Dataloader(…)` gives `AttributeError`**: the class is `DataLoader`, with a capital L.
#
# ## Summary
#
# - A `for` loop calls `iter` once and `next` until `StopIteration`; `enumerate(…, start)` numbers the items and skips none.
# - An attribute is searched in the instance, then in the classes of its MRO, and an assignment writes into the instance, unless the class says otherwise (a property, or `__setattr__`).
# - Data of an instance is made in `__init__`; a changeable object in the class or as a default is shared.
# - `__x` is rewritten to `_Class__x`: protection from clashes, not from access.
# - Special methods connect objects with syntax: `[]`, `len`, `for`, `()`, `print`, `self.x = …`.
# - Instance methods receive `self`, class methods `cls`, static methods neither.
# - The MRO comes from C3, and `super()` is the next class in the MRO of the instance.
# - A PyTorch dataset is `__len__` and `__getitem__`; a PyTorch module is `__setattr__`, `__call__` and `__repr__` around your `forward`.
#
# ## Terms
#
# | English | 中文 | in one line |
# |---|---|---|
# | iterable | 可迭代对象 | can be walked over by `for` |
# | iterator | 迭代器 | one walk; `next` gives the next item |
# | generator | 生成器 | a function with `yield`, which describes a walk |
# | batch | 批 | a few examples handled together |
# | class, instance | 类、实例 | the kind, and one object of that kind |
# | attribute reference | 属性引用 | a name after a dot |
# | class variable, instance variable, local variable | 类变量、实例变量、局部变量 | kept in the class; in one instance; for one call |
# | docstring | 文档字符串 | the text under `class` or `def` that explains it |
# | data members | 数据成员 | class variables and instance variables |
# | name mangling | 名称改写 | `__x` in a class becomes `_Class__x` |
# | decorator | 装饰器 | a line with `@`, which hands the function below it to another function |
# | property | 特性 | a method read like a variable |
# | special method | 特殊方法 | `__len__` and the like, called by Python's syntax |
# | protocol | 协议 | the methods that a piece of syntax or a library asks for |
# | base class, subclass | 基类、子类 | the one inherited from, the one that inherits |
# | inheritance, multiple inheritance | 继承、多重继承 | what a class does not define is looked up in its base; in several bases |
# | override | 重写 | to define an inherited method anew |
# | MRO | 方法解析顺序 | the line of classes in which a name is searched |
# | mixin | 混入类 | a small base class that adds one ability |
# | instance method, class method, static method | 实例方法、类方法、静态方法 | receives the instance; the class; nothing of the two |
# | tensor | 张量 | PyTorch's array of numbers (chapter 2) |
#
# ## Reading
#
# - *The Python Tutorial*, chapter 9, "Classes", and *The Python Language Reference*, section "Data model": the list of all special methods.
# - Michele Simionato, "The Python 2.3 Method Resolution Order", 2003: C3 with many worked examples.
# - Raymond Hettinger, "Python's super() considered super!", 2011: cooperative classes with keywords.
# - Luciano Ramalho, *Fluent Python*, second edition, 2022: iterators, properties and inheritance at length.
# - Han Xiao, Kashif Rasul and Roland Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms", 2017.
# - PyTorch documentation, pages `torch.nn.Module` and `torch.utils.data`.
