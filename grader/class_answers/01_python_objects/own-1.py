# %% answer="numbered"
def numbered(seq: Iterable, start: int = 0) -> list:
    """Return [(start, first item), (start + 1, second item), …] for any iterable `seq`."""
    result = []
    number = start
    for item in seq:
        result.append((number, item))
        number = number + 1
    return result


# %% answer="batches"
def batches_with_index(it: Iterable, size: int, start: int = 0) -> Iterator[list]:
    """Yield lists of `size` pairs (index, item), counted from `start`; the last may be shorter, none is empty. `size` is at least 1."""
    batch = []
    index = start
    for item in it:
        batch.append((index, item))
        index = index + 1
        if len(batch) == size:
            yield batch
            batch = []  # a new list, the old one belongs to the caller now
    # what is left over
    if len(batch) > 0:
        yield batch


# %% answer="wardrobe"
class Wardrobe:
    """A named list of clothes; no two wardrobes share a list."""

    def __init__(self, name: str, items: Iterable[str] = ()):
        """Keep the name, and a list of its own that holds `items`."""
        self.name = name
        self.items = []
        for item in items:
            self.items.append(item)

    def add(self, item: str, to: list | None = None) -> list:
        """Append `item` to `to`, by default to this wardrobe's own items, and return that list."""
        if to is None:  # not `if not to`: an empty list is a list too
            to = self.items
        to.append(item)
        return to


# %% answer="counter"
class Counter2:
    """Counts upwards; everybody may read `count`, nobody may assign it."""

    def __init__(self):
        self.__count = 0

    def __check(self, n: int) -> None:
        """Raise ValueError where `n` is negative."""
        if n < 0:
            raise ValueError(f"n must not be negative, got {n}")

    def add(self, n: int = 1) -> None:
        """Raise the count by `n`."""
        self.__check(n)
        self.__count = self.__count + n

    @property
    def count(self) -> int:
        """The count so far."""
        return self.__count


# %% answer="repeatable"
class Lap(collections.abc.Iterator):
    """One walk over `source`, which has `__len__` and `__getitem__`."""

    def __init__(self, source: Sequence):
        self.source = source
        self.place = 0

    def __next__(self):
        """Return the next item; raise StopIteration where there is none."""
        if self.place >= len(self.source):
            raise StopIteration
        item = self.source[self.place]
        self.place = self.place + 1
        return item


class Repeatable:
    """`items`, `times` times over."""

    def __init__(self, items: Sequence, times: int):
        self.items = items
        self.times = times

    def __len__(self) -> int:
        return len(self.items) * self.times

    def __getitem__(self, i: int):
        """Return the item at place `i`, counted from the end where `i` is negative; raise IndexError outside."""
        length = len(self)
        if i < -length or i >= length:
            raise IndexError(f"place {i} is outside, the length is {length}")
        if i < 0:
            i = i + length
        return self.items[i % len(self.items)]

    def __iter__(self) -> Iterator:
        return Lap(self)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self.items!r}, {self.times!r})"

    def __call__(self, function: Callable) -> list:
        results = []
        for item in self:
            results.append(function(item))
        return results


# %% answer="label"
class Label:
    """A class number from Fashion-MNIST that knows its name."""

    names = CLASS_NAMES

    def __init__(self, index: int):
        self.index = index

    def text(self):
        """Return the name that belongs to the index."""
        return self.names[self.index]

    @staticmethod
    def tidy(text):
        """Return the text in lower case with one space between words."""
        words = text.lower().split()
        return " ".join(words)

    @classmethod
    def from_text(cls, text):
        """Return the label with this name; raise ValueError if there is none."""
        wanted = cls.tidy(text)
        for index, name in enumerate(cls.names):
            if cls.tidy(name) == wanted:
                return cls(index)
        raise ValueError(f"no label is called {text!r}")


# %% answer="mro"
def mro_of(cls) -> list:
    """Return the method resolution order of `cls` from `__bases__` alone; raise TypeError where there is none."""
    # the lists to merge: the order of each base, and the bases themselves
    lists = []
    for base in cls.__bases__:
        lists.append(mro_of(base))
    lists.append(list(cls.__bases__))

    order = [cls]
    while True:
        # throw away the lists that are used up
        full = []
        for q in lists:
            if len(q) > 0:
                full.append(q)
        lists = full
        if len(lists) == 0:
            return order

        # look for the first candidate that is not blocked
        taken = None
        found = False
        for q in lists:
            candidate = q[0]
            blocked = False
            for other in lists:
                if candidate in other[1:]:
                    blocked = True
                    break
            if not blocked:
                taken = candidate
                found = True
                break
        if not found:
            raise TypeError("there is no order that keeps all promises")

        # it can only stand at the front of a list
        order.append(taken)
        for q in lists:
            if q[0] is taken:
                q.pop(0)


# %% answer="student"
class Student(Person):
    """A person who studies at `school`."""

    def __init__(self, school: str, **kwargs):
        super().__init__(**kwargs)
        self.school = school

    def describe(self) -> str:
        return f"{super().describe()}, studies at {self.school}"


class Employee(Person):
    """A person who works at `firm`."""

    def __init__(self, firm: str, **kwargs):
        super().__init__(**kwargs)
        self.firm = firm

    def describe(self) -> str:
        return f"{super().describe()}, works at {self.firm}"


class Assistant(Student, Employee):
    """Studies and works; inherits everything."""


# %% answer="notes"
def corrected() -> dict:
    """Return {key of NOTES: the result that its program really has}."""
    answers = {}
    answers["private"] = (False, True)
    answers["counter"] = (2, 1, 0)
    answers["local"] = (False, False)
    answers["data"] = ("", ["key"])
    answers["self"] = ("rubber", "leather")
    answers["diamond"] = "C"  # MRO: D B C A
    answers["bases"] = "TypeError"  # P before Q, but Q is a subclass of P
    answers["super"] = ("BA", "BCA", "CA")
    answers["default"] = [1, 2]
    answers["enumerate"] = ([(1, "a"), (2, "b")], [])
    return answers


# %% answer="node"
class Node:
    """A part of a model; remembers the parts that are assigned to its attributes."""

    def __init__(self):
        self.children = {}

    def __setattr__(self, name: str, value) -> None:
        """Set the attribute, and keep `children` up to date."""
        # set it first, so that `self.children = {}` works as well
        super().__setattr__(name, value)
        if isinstance(value, Node):
            self.children[name] = value
        elif name in self.children:
            del self.children[name]

    def named_nodes(self, prefix: str = "") -> Iterator[tuple]:
        """Yield (dotted name, node) for this node, then for everything below it, depth first."""
        yield (prefix, self)
        for name, child in self.children.items():
            if prefix == "":
                full_name = name
            else:
                full_name = prefix + "." + name
            yield from child.named_nodes(full_name)

    def forward(self, *args, **kwargs):
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def __call__(self, *args, **kwargs):
        return self.forward(*args, **kwargs)

    def __repr__(self) -> str:
        title = self.__class__.__name__
        if len(self.children) == 0:
            return title + "()"
        text = title + "(\n"
        for name, child in self.children.items():
            lines = repr(child).replace("\n", "\n  ")
            text = text + f"  ({name}): {lines}\n"
        return text + ")"
