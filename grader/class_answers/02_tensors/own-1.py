# %% answer="nchw"
def nchw(img_hwc: torch.Tensor) -> torch.Tensor:
    """Turn a picture (H, W, C), uint8 from 0 to 255, into a batch of one (1, C, H, W), float32 from 0 to 1."""
    # the number at (h, w, c) must go to (0, c, h, w)
    channels_first = img_hwc.permute(2, 0, 1)
    numbers = channels_first.float() / 255
    return numbers.unsqueeze(0)


# %% answer="channels"
def cat_channels(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Join `a` (N, C, H, W) and `b` (N, D, H, W) or (N, H, W) to (N, C + D, H, W); `b` without an axis of channels has D = 1."""
    if b.dim() == 3:
        b = b.unsqueeze(1)  # grey: put in the missing axis, only for us
    return torch.cat([a, b], dim=1)


# %% answer="rows"
def normalize_rows(X: torch.Tensor) -> torch.Tensor:
    """Divide each row of `X` (N, D) by its length; a row of zeros stays zero."""
    squares = X * X
    lengths = squares.sum(dim=1, keepdim=True) ** 0.5  # (N, 1)
    # a zero length would give 0 / 0, so take a tiny number there
    lengths = lengths.clamp(min=1e-8)
    return X / lengths


# %% answer="one-hot"
def one_hot(y: torch.Tensor, k: int) -> torch.Tensor:
    """Return (N, k), float32: row i has a 1 at place y[i] and zeros elsewhere; all zeros where y[i] is no class."""
    classes = torch.arange(k, device=y.device)  # (k,)
    hits = y[:, None] == classes[None, :]  # (N, 1) against (1, k)
    return hits.float()


# %% answer="sqdist"
def pairwise_sqdist(A: torch.Tensor, B: torch.Tensor) -> torch.Tensor:
    """Return (N, M): the squared distance of each row of `A` (N, D) to each row of `B` (M, D), without cancellation."""
    left = A[:, None, :]  # (N, 1, D)
    right = B[None, :, :]  # (1, M, D)
    difference = left - right  # (N, M, D), subtract first
    return (difference * difference).sum(dim=2)


# %% answer="shapes"
def predict_shapes() -> dict:
    """Return {key of PUZZLES: the shape of its result, a tuple, or "error"}."""
    shapes = {}
    shapes["sum"] = (2,)
    shapes["keepdim"] = (1, 4)
    shapes["add"] = (4, 3)
    shapes["mul"] = (6, 2, 5)
    shapes["sub"] = "error"  # 2 under 3
    shapes["squeeze"] = (28, 20)
    shapes["squeeze-0"] = (2, 5, 1)  # axis 0 has size 2, it stays
    shapes["unsqueeze"] = (3, 4, 1)
    shapes["cat"] = (7, 3)
    shapes["stack"] = (4, 3, 6)  # the new axis is in the middle
    shapes["permute"] = (4, 2, 3)
    shapes["index"] = (8, 3)
    return shapes


# %% answer="strings"
def encode_strings(words: list[str]) -> tuple[torch.Tensor, str]:
    """Return (codes (N, T), int64, padded with 0; alphabet): character k of the alphabet has id k + 1."""
    # collect every character once
    seen = set()
    longest = 0
    for word in words:
        for c in word:
            seen.add(c)
        if len(word) > longest:
            longest = len(word)
    alphabet = "".join(sorted(seen))

    # ids begin at 1, because 0 is the padding
    id_of = {}
    for k, c in enumerate(alphabet):
        id_of[c] = k + 1

    rows = []
    for word in words:
        row = []
        for c in word:
            row.append(id_of[c])
        while len(row) < longest:
            row.append(0)
        rows.append(row)
    return torch.tensor(rows, dtype=torch.int64), alphabet


# %% answer="mask"
def sequence_mask(lengths: torch.Tensor, T: int) -> torch.Tensor:
    """Return (N, T), bool: True at the first lengths[i] places of row i; on the device of `lengths` (N,)."""
    places = torch.arange(T, device=lengths.device)  # (T,)
    return places[None, :] < lengths[:, None]


# %% answer="unbroadcast"
def unbroadcast(g: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Sum `g` over the copies that broadcasting made of a tensor of shape `shape`; the result has that shape."""
    result = g
    # first the axes that were added on the left
    while result.dim() > len(shape):
        result = result.sum(dim=0)
    # then the sizes of 1 that were stretched: they stay as axes
    for axis, size in enumerate(shape):
        if size == 1 and result.shape[axis] != 1:
            result = result.sum(dim=axis, keepdim=True)
    return result


# %% answer="notes"
def corrected() -> dict:
    """Return {key of NOTES: the result that its program really has}."""
    results = {}
    results["axis"] = [6, 15]
    results["constructor"] = ("torch.int64", "torch.float32", 3)
    results["slice"] = [0, 9, 2, 3]
    results["bytes"] = [200, 44]  # 300 - 256
    results["view"] = ([[1, 2], [3, 4], [5, 6]], [[1, 4], [2, 5], [3, 6]])
    results["variable"] = ("Tensor", [10.0])
    results["data"] = [20.0, 6.0]  # backward sees the 10, not the 2
    results["detach"] = [1.0, 7.0]
    return results
