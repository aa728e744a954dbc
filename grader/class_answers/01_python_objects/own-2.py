# %% answer="numbered"
def numbered(seq: Iterable, start: int = 0) -> list:
    """Return [(start, first item), (start + 1, second item), …] for any iterable `seq`."""
    return list(enumerate(seq, start))


# %% answer="batches"
def batches_with_index(it: Iterable, size: int, start: int = 0) -> Iterator[list]:
    """Yield lists of `size` pairs (index, item), counted from `start`; the last may be shorter, none is empty. `size` is at least 1."""
    pairs = enumerate(it, start)
    while batch := list(itertools.islice(pairs, size)):
        yield batch


# %% answer="wardrobe"
class Wardrobe:
    """A named list of clothes; no two wardrobes share a list."""

    def __init__(self, name: str, items: Iterable[str] = ()):
        """Keep the name, and a list of its own that holds `items`."""
        self.name = name
        self.items = list(items)

    def add(self, item: str, to: list | None = None) -> list:
        """Append `item` to `to`, by default to this wardrobe's own items, and return that list."""
        target = self.items if to is None else to
        target.append(item)
        return target


# %% answer="counter"
class Counter2:
    """Counts upwards; everybody may read `count`, nobody may assign it."""

    def __init__(self):
        self.__count = 0

    def __check(self, n: int) -> None:
        """Raise ValueError where `n` is negative."""
        if n < 0:
            raise ValueError(f"cannot add {n}: this counter only counts upwards")

    def add(self, n: int = 1) -> None:
        """Raise the count by `n`."""
        self.__check(n)
        self.__count += n

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
        self.place += 1
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
        place = range(len(self))[i]  # range knows negative places and raises IndexError
        return self.items[place % len(self.items)]

    def __iter__(self) -> Iterator:
        return Lap(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.items!r}, {self.times!r})"

    def __call__(self, function: Callable) -> list:
        return list(map(function, self))


# %% answer="label"
class Label:
    """A class number from Fashion-MNIST that knows its name."""

    names = CLASS_NAMES

    def __init__(self, index: int):
        self.index = index

    def text(self) -> str:
        """The name that belongs to the index."""
        return self.names[self.index]

    @staticmethod
    def tidy(text: str) -> str:
        """Lower case, no white space at the ends, one space between words."""
        return " ".join(text.lower().split())

    @classmethod
    def from_text(cls, text: str):
        """The label whose tidied name is the tidied `text`; ValueError where there is none."""
        return cls(list(map(cls.tidy, cls.names)).index(cls.tidy(text)))


# %% answer="mro"
def mro_of(cls) -> list:
    """Return the method resolution order of `cls` from `__bases__` alone; raise TypeError where there is none."""
    order = [cls]
    queues = [*map(mro_of, cls.__bases__), list(cls.__bases__)]
    while queues := [q for q in queues if q]:
        tails = list(itertools.chain.from_iterable(q[1:] for q in queues))
        for candidate, *_ in queues:
            if candidate not in tails:
                break
        else:
            raise TypeError(f"no consistent method resolution order for {cls!r}")
        order.append(candidate)
        queues = [q[1:] if q[0] is candidate else q for q in queues]
    return order


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


# %% answer="node"
class Node:
    """A part of a model; remembers the parts that are assigned to its attributes."""

    def __init__(self):
        self.children = {}

    def __setattr__(self, name: str, value) -> None:
        """Set the attribute, and keep `children` up to date."""
        super().__setattr__(name, value)
        if isinstance(value, Node):
            self.children[name] = value
        else:
            self.children.pop(name, None)

    def named_nodes(self, prefix: str = "") -> Iterator[tuple]:
        """Yield (dotted name, node) for this node, then for everything below it, depth first."""
        yield prefix, self
        for name, child in self.children.items():
            yield from child.named_nodes(f"{prefix}.{name}" if prefix else name)

    def forward(self, *args, **kwargs):
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def __call__(self, *args, **kwargs):
        return self.forward(*args, **kwargs)

    def __repr__(self) -> str:
        lines = [f"\n({name}): {child!r}".replace("\n", "\n  ") for name, child in self.children.items()]
        return f"{type(self).__name__}({''.join(lines)}" + ("\n)" if lines else ")")
