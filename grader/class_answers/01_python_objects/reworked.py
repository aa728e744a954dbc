# %% wrong="numbered-start-ignored"
def numbered(seq, start=0):
    pairs = []
    count = 0
    for item in seq:
        pairs.append((count, item))
        count += 1
    return pairs


# %% wrong="numbered-start-skips"
def numbered(seq, start=0):
    result = []
    for place, item in enumerate(seq):
        if place >= start:
            result.append((place, item))
    return result


# %% wrong="batches-last-lost"
def batches_with_index(it, size, start=0):
    numbered_items = enumerate(it, start)
    chunk = list(itertools.islice(numbered_items, size))
    while len(chunk) == size:
        yield chunk
        chunk = list(itertools.islice(numbered_items, size))


# %% wrong="batches-index-restarts"
def batches_with_index(it, size, start=0):
    batch = []
    for item in it:
        index = start + len(batch)
        batch.append((index, item))
        if len(batch) == size:
            yield batch
            batch = []
    if len(batch) > 0:
        yield batch


# %% wrong="wardrobe-truth"
class Wardrobe:
    def __init__(self, name, items=None):
        self.name = name
        self.items = []
        if items is not None:
            self.items.extend(items)

    def add(self, item, to=None):
        if not to:
            self.items.append(item)
            return self.items
        to.append(item)
        return to


# %% wrong="wardrobe-plus"
class Wardrobe:
    def __init__(self, name, items=()):
        self.name = name
        self.items = [thing for thing in items]

    def add(self, item, to=None):
        if to is None:
            return [*self.items, item]
        return [*to, item]


# %% wrong="counter-checks-late"
class Counter2:
    def __init__(self):
        self.__count = 0

    def __check(self, n):
        if not n >= 0:
            raise ValueError("n must not be negative, got " + str(n))

    def add(self, n=1):
        old = self.__count
        self.__count = old + n
        self.__check(n)

    @property
    def count(self):
        return self.__count


# %% wrong="repeatable-no-bounds"
class Lap(collections.abc.Iterator):
    def __init__(self, source):
        self.source = source
        self.next_place = 0

    def __next__(self):
        here = self.next_place
        if here >= len(self.source):
            raise StopIteration
        self.next_place = here + 1
        return self.source[here]


class Repeatable:
    def __init__(self, items, times):
        self.items = items
        self.times = times

    def __len__(self):
        return self.times * len(self.items)

    def __getitem__(self, i):
        _, rest = divmod(i, len(self.items))
        return self.items[rest]

    def __iter__(self):
        return Lap(self)

    def __repr__(self):
        return self.__class__.__name__ + "(" + repr(self.items) + ", " + repr(self.times) + ")"

    def __call__(self, function):
        results = []
        for item in self:
            results.append(function(item))
        return results


# %% wrong="label-strip-only"
class Label:
    names = CLASS_NAMES

    def __init__(self, index):
        self.index = index

    def text(self):
        return self.names[self.index]

    @staticmethod
    def tidy(text):
        small = text.lower()
        return small.lstrip().rstrip()

    @classmethod
    def from_text(cls, text):
        wanted = cls.tidy(text)
        for index, name in enumerate(cls.names):
            if cls.tidy(name) == wanted:
                return cls(index)
        raise ValueError(f"no label is called {text!r}")


# %% wrong="label-fixed-class"
class Label:
    names = CLASS_NAMES

    def __init__(self, index):
        self.index = index

    def text(self):
        return self.names[self.index]

    @staticmethod
    def tidy(text):
        words = text.split()
        return " ".join(words).lower()

    @classmethod
    def from_text(cls, text):
        places = {Label.tidy(name): place for place, name in enumerate(Label.names)}
        key = Label.tidy(text)
        if key not in places:
            raise ValueError("unknown label: " + text)
        return Label(places[key])


# %% wrong="mro-breadth-first"
def mro_of(cls):
    waiting = collections.deque([cls])
    found = []
    while waiting:
        one = waiting.popleft()
        if one not in found:
            found.append(one)
            waiting.extend(one.__bases__)
    return found


# %% wrong="mro-bases-not-merged"
def merge(lists):
    lists = [one for one in lists if one]
    if not lists:
        return []
    for candidate in (one[0] for one in lists):
        if all(candidate not in one[1:] for one in lists):
            shorter = [one[1:] if one[0] is candidate else one for one in lists]
            return [candidate] + merge(shorter)
    raise TypeError("there is no consistent order")


def mro_of(cls):
    return [cls] + merge([mro_of(base) for base in cls.__bases__])


# %% wrong="student-keywords-dropped"
class Student(Person):
    def __init__(self, school, **kwargs):
        self.school = school
        super().__init__(name=kwargs["name"])

    def describe(self):
        before = super().describe()
        return before + ", studies at " + self.school


class Employee(Person):
    def __init__(self, firm, **kwargs):
        self.firm = firm
        super().__init__(name=kwargs["name"])

    def describe(self):
        before = super().describe()
        return before + ", works at " + self.firm


class Assistant(Student, Employee):
    """Studies and works."""


# %% wrong="notes-shared-counter"
def corrected():
    results = {}
    results["private"] = (False, True)
    results["counter"] = (3, 3, 3)  # three visits in all
    results["local"] = (False, False)
    results["data"] = ("red", ["key"])  # both bags
    results["self"] = ("rubber", "leather")
    results["diamond"] = "C"
    results["bases"] = "TypeError"
    results["super"] = ("BA", "BCA", "CA")
    results["default"] = [1, 2]
    results["enumerate"] = ([(1, "a"), (2, "b")], [])
    return results


# %% wrong="node-leading-dot"
class Node:
    def __init__(self):
        self.children = dict()

    def __setattr__(self, name, value):
        object.__setattr__(self, name, value)
        if isinstance(value, Node):
            self.children[name] = value
        elif name in self.children:
            del self.children[name]

    def named_nodes(self, prefix=""):
        pairs = [(prefix, self)]
        for name in self.children:
            pairs.extend(self.children[name].named_nodes(prefix + "." + name))
        return iter(pairs)

    def forward(self, *args, **kwargs):
        raise NotImplementedError

    def __call__(self, *args, **kwargs):
        return self.forward(*args, **kwargs)

    def __repr__(self):
        kind = type(self).__name__
        if not self.children:
            return kind + "()"
        text = kind + "("
        for name, child in self.children.items():
            first, *rest = repr(child).split("\n")
            text += f"\n  ({name}): {first}"
            for line in rest:
                text += "\n  " + line
        return text + "\n)"


# %% wrong="node-stays-registered"
class Node:
    def __init__(self):
        super().__setattr__("children", {})

    def __setattr__(self, name, value):
        if isinstance(value, Node):
            self.children.update({name: value})
        super().__setattr__(name, value)

    def named_nodes(self, prefix=""):
        yield (prefix, self)
        start = prefix + "." if prefix != "" else ""
        for name, child in self.children.items():
            for pair in child.named_nodes(start + name):
                yield pair

    def forward(self, *args, **kwargs):
        raise NotImplementedError

    def __call__(self, *args, **kwargs):
        result = self.forward(*args, **kwargs)
        return result

    def __repr__(self):
        lines = []
        for name, child in self.children.items():
            lines += f"({name}): {child}".splitlines()
        if not lines:
            return f"{type(self).__name__}()"
        return "\n".join([f"{type(self).__name__}(", *["  " + line for line in lines], ")"])
