"""Mutation operators on calls, arguments, attributes and indices: where a tensor program takes the wrong axis, order or function.

Each yields what could stand at a site by mistake; `grader.mutation.operators` has the others and says where they come from.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from grader.mutation.site import Operator, Replacement, Site, both_ways, called, changed, is_text, number, same, swapped, without, words

MODULES = words("torch F nn np numpy math cmath functional random copy itertools functools sympy special linalg")
DIM_KEYWORDS = words("dim axis dims")
DIM_METHODS = words(
    "all amax amin any argmax argmin argsort cat cumprod cumsum diff flatten flip gather index_select log_softmax logsumexp max mean "
    "median min prod scatter_ select size softmax sort squeeze stack std sum transpose swapaxes swapdims unbind unsqueeze var"
)
DEFAULT_DIM = {"cat": 0, "stack": 0, "concat": 0, "split": 0, "chunk": 0, "unbind": 0, "sort": -1, "argsort": -1, "topk": -1, "diff": -1}
TRANSPOSING = words("transpose swapaxes swapdims")
OPTIONAL_LAST = DIM_METHODS - TRANSPOSING - words("gather index_select scatter_ select unsqueeze") | words("enumerate get norm round")
LISTED = words("cat stack concat hstack vstack Compose ModuleList")
DROPPED_CALLS = words(
    "abs absolute ceil clamp clamp_min clamp_max clip clone contiguous copy cumprod cumsum deepcopy detach dict double exp expand "
    "expand_as expm1 flatten flip float floor int item list log log10 log1p log2 log_softmax logsigmoid long lower lstrip masked_fill "
    "mean movedim permute relu repeat repeat_interleave reshape reversed roll round rsqrt rstrip set sigmoid sign softmax softplus "
    "sort sorted sqrt square squeeze strip swapaxes t tanh to tolist transpose tril triu unique unsqueeze upper view"
)
SWAPPED_CALLS = both_ways(
    "sum/mean max/min argmax/argmin amax/amin maximum/minimum zeros/ones zeros_like/ones_like new_zeros/new_ones sin/cos floor/ceil "
    "tril/triu any/all cumsum/cumprod softmax/log_softmax sigmoid/tanh train/eval cat/stack vstack/hstack rand/randn children/modules "
    "std/var lstrip/rstrip find/rfind index/rindex ljust/rjust split/rsplit partition/rpartition removeprefix/removesuffix "
    "logical_and/logical_or add_/sub_ mul_/div_ MaxPool2d/AvgPool2d max_pool2d/avg_pool2d named_children/named_modules"
) | {"prod": "sum", "deepcopy": "copy"}
SWAPPED_BUILTINS = words("max min any all")
SWAPPED_ATTRIBUTES = both_ways("indices/values float64/float32 in_features/out_features in_channels/out_channels") | {
    "double": "float32",
    "long": "float32",
    "int64": "float32",
    "int32": "float32",
    "uint8": "float32",
    "bool": "int64",
}
DROPPED_ATTRIBUTES = words("T mT H mH data real")
UNSEEN_KEYWORDS = words(
    "device non_blocking pin_memory num_workers inplace weights_only label color title msg"
)  # no result depends on them
UNSWAPPED = TRANSPOSING | words(  # equal or senseless when swapped
    "max min maximum minimum allclose isclose equal dist dot inner add mul isinstance issubclass getattr setattr hasattr range where "
    "logical_and logical_or logaddexp mse_loss gcd hypot enumerate full full_like masked_fill"
)
SHAPED = words("reshape view expand zeros ones empty rand randn repeat Linear Embedding")  # a literal size may change places with a name


def of_module(func: ast.expr) -> bool:
    """Say whether `func` is a plain name or hangs under a module, as `torch.exp` does and `x.exp` does not."""
    while isinstance(func, ast.Attribute):
        func = func.value
        if isinstance(func, ast.Name):
            return func.id in MODULES
    return isinstance(func, ast.Name)


def is_dim(site: Site) -> bool:
    """Say whether a number is an axis: `dim=1`, or the 1 of `x.sum(1)`."""
    return site.keyword in DIM_KEYWORDS or (site.argument_of in DIM_METHODS and isinstance(site.above.func, ast.Attribute))


def force_where(site: Site) -> Iterator[Replacement]:
    """Turn `torch.where(c, a, b)` into `a` and `b`."""
    if called(site.node) == "where" and len(site.node.args) == 3:
        yield from site.node.args[1:]


def drop_call(site: Site) -> Iterator[Replacement]:
    """Turn `x.detach()` into `x`, `torch.exp(x)` too."""
    node, name = site.node, called(site.node)
    on_device = name == "to" and any("device" in ast.unparse(argument) for argument in node.args + node.keywords)
    if isinstance(site.above, ast.Expr) or name not in DROPPED_CALLS or on_device:
        return
    if not of_module(node.func):
        yield node.func.value
    elif node.args and not isinstance(node.args[0], ast.Starred) and not is_text(node.args[0]):
        yield node.args[0]


def replace_function(site: Site) -> Iterator[Replacement]:
    """Turn `x.sum()` into `x.mean()`."""
    func, name = site.node.func, called(site.node)
    if name in {"split", "rsplit"} and len(site.node.args) + len(site.node.keywords) < 2:
        return  # the same without a limit
    if isinstance(func, ast.Attribute) and name in SWAPPED_CALLS:
        yield changed(site.node, func=changed(func, attr=SWAPPED_CALLS[name]))
    elif name in SWAPPED_BUILTINS:
        yield changed(site.node, func=ast.Name(SWAPPED_CALLS[name], ast.Load()))


def swap_arguments(site: Site) -> Iterator[Replacement]:
    """Turn `f(a, b)` into `f(b, a)`; a number does not change places with a tensor."""
    args, name = site.node.args, called(site.node)
    if name == "permute":
        yield from (changed(site.node, args=swapped(args, index)) for index in range(len(args) - 1))
        return
    if len(args) < 2 or name in UNSWAPPED or same(args[0], args[1]) or is_text(args[0]):
        return
    if not any(isinstance(argument, ast.Starred | ast.Lambda) for argument in args[:2]):
        numbers = [number(argument) is not None for argument in args[:2]]
        displays = [isinstance(argument, ast.Tuple | ast.List) for argument in args[:2]]
        if (numbers[0] == numbers[1] or name in SHAPED) and displays[0] == displays[1]:
            yield changed(site.node, args=swapped(args, 0))


def drop_keyword(site: Site) -> Iterator[Replacement]:
    """Turn `f(x, p=2)` into `f(x)`; not where the default is the same, or flip-boolean and replace-attribute do as much."""
    name, value, call = site.node.arg, site.node.value, site.above
    if not isinstance(call, ast.Call) or name in UNSEEN_KEYWORDS:
        return
    only = called(call) in DROPPED_CALLS and len(call.args) + len(call.keywords) == 1
    default = name in DIM_KEYWORDS and called(call) in DEFAULT_DIM and number(value) == DEFAULT_DIM[called(call)]
    default |= isinstance(value, ast.Constant) and (
        value.value is None or isinstance(value.value, bool) or (name, value.value) == ("reduction", "mean")
    )
    dtype = name == "dtype" and isinstance(value, ast.Attribute) and value.attr in SWAPPED_ATTRIBUTES
    if not (only or default or dtype):
        yield []


def drop_argument(site: Site) -> Iterator[Replacement]:
    """Turn `x.sum(1)` into `x.sum()`, `super().__init__(n)` into `super().__init__()`; lose a layer of `Sequential`."""
    node, name = site.node, called(site.node)
    if (
        name == "__init__"
        and isinstance(site.node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Call)
        and node.args + node.keywords
    ):
        yield changed(node, args=[], keywords=[])
    elif name == "Sequential" and len(node.args) > 1:
        yield from (changed(node, args=without(node.args, index)) for index in range(len(node.args)))
    elif name in OPTIONAL_LAST and len(node.args) > of_module(node.func):
        value = number(node.args[-1])
        if value is not None and value != DEFAULT_DIM.get(name):
            yield changed(node, args=node.args[:-1])


def drop_element(site: Site) -> Iterator[Replacement]:
    """Turn `dim=(0, 2)` into `dim=(2,)`, `torch.cat([a, b])` into `torch.cat([b])`, `x[:, None]` into `x[:,]`."""
    elements = site.node.elts
    listed = site.index == 0 and site.argument_of in LISTED
    for index, element in enumerate(elements):
        added_axis = site.field == "slice" and isinstance(element, ast.Constant) and element.value is None
        if len(elements) > 1 and (listed or site.keyword in DIM_KEYWORDS or added_axis):
            yield changed(site.node, elts=without(elements, index))


def swap_elements(site: Site) -> Iterator[Replacement]:
    """Turn `x[i, j]` into `x[j, i]`, `return a, b` into `return b, a`."""
    elements = site.node.elts
    index = next((index for index in range(len(elements) - 1) if not same(elements[index], elements[index + 1])), None)
    if index is not None and isinstance(site.node.ctx, ast.Load) and (site.field == "slice" or isinstance(site.above, ast.Return)):
        yield changed(site.node, elts=swapped(elements, index))


def shift_bound(site: Site) -> Iterator[Replacement]:
    """Turn `range(n)` into `range(n + 1)` and `range(n - 1)`, a bound of a slice too; change-number does it where a number is written."""
    node = site.node
    bound = (isinstance(site.above, ast.Slice) and site.field != "step") or (site.argument_of == "range" and site.index != 2)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        bound &= number(node.left) is None and number(node.right) is None
    if bound and number(node) is None and not isinstance(node, ast.Constant | ast.Starred):
        yield from (ast.BinOp(node, sign, ast.Constant(1)) for sign in (ast.Add(), ast.Sub()))


def shift_start(site: Site) -> Iterator[Replacement]:
    """Turn `enumerate(x)` into `enumerate(x, 1)`."""
    if called(site.node) == "enumerate" and len(site.node.args) == 1 and not site.node.keywords:
        yield changed(site.node, args=[*site.node.args, ast.Constant(1)])


def invert_mask(site: Site) -> Iterator[Replacement]:
    """Turn `x.masked_fill(mask, v)` into `x.masked_fill(~mask, v)`."""
    if site.argument_of in {"masked_fill", "masked_fill_", "masked_select"} and site.index == int(of_module(site.above.func)):
        yield ast.UnaryOp(ast.Invert(), site.node)


def drop_attribute(site: Site) -> Iterator[Replacement]:
    """Turn `x.T` into `x`."""
    if site.node.attr in DROPPED_ATTRIBUTES and isinstance(site.node.ctx, ast.Load) and site.field != "func":
        yield site.node.value


def replace_attribute(site: Site) -> Iterator[Replacement]:
    """Turn `torch.float64` into `torch.float32`, `best.indices` into `best.values`."""
    if site.node.attr in SWAPPED_ATTRIBUTES and isinstance(site.node.ctx, ast.Load) and site.field != "func":
        yield changed(site.node, attr=SWAPPED_ATTRIBUTES[site.node.attr])


CALL_OPERATORS: tuple[tuple[type[ast.AST], tuple[Operator, ...]], ...] = (
    (ast.expr, (shift_bound,)),
    (ast.Call, (force_where, drop_call, replace_function, swap_arguments, drop_argument, shift_start)),
    (ast.keyword, (drop_keyword,)),
    (ast.Tuple, (drop_element, swap_elements)),
    (ast.List, (drop_element,)),
    (ast.Name, (invert_mask,)),
    (ast.Attribute, (drop_attribute, replace_attribute)),
)
