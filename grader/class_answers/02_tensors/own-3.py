# %% answer="nchw"
def nchw(img_hwc: torch.Tensor) -> torch.Tensor:
    """Turn a picture (H, W, C), uint8 from 0 to 255, into a batch of one (1, C, H, W), float32 from 0 to 1."""
    x = img_hwc.permute(2, 0, 1)  # (C, H, W)
    x = x.float() / 255
    return x.unsqueeze(0)


# %% answer="channels"
def cat_channels(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Join `a` (N, C, H, W) and `b` (N, D, H, W) or (N, H, W) to (N, C + D, H, W); `b` without an axis of channels has D = 1."""
    if b.dim() == 3:
        b = b.unsqueeze(1)
    return torch.cat([a, b], dim=1)


# %% answer="rows"
def normalize_rows(X: torch.Tensor) -> torch.Tensor:
    """Divide each row of `X` (N, D) by its length; a row of zeros stays zero."""
    lengths = (X**2).sum(dim=1, keepdim=True).sqrt()  # (N, 1)
    return X / lengths.clamp(min=1e-8)


# %% answer="one-hot"
def one_hot(y: torch.Tensor, k: int) -> torch.Tensor:
    """Return (N, k), float32: row i has a 1 at place y[i] and zeros elsewhere; all zeros where y[i] is no class."""
    classes = torch.arange(k, device=y.device)
    return (y[:, None] == classes).float()


# %% answer="sqdist"
def pairwise_sqdist(A: torch.Tensor, B: torch.Tensor) -> torch.Tensor:
    """Return (N, M): the squared distance of each row of `A` (N, D) to each row of `B` (M, D), without cancellation."""
    diff = A[:, None, :] - B[None, :, :]  # (N, M, D)
    return (diff**2).sum(dim=2)


# %% answer="shapes"
def predict_shapes() -> dict:
    """Return {key of PUZZLES: the shape of its result, a tuple, or "error"}."""
    return {
        "sum": (2,),
        "keepdim": (1, 4),
        "add": (4, 3),
        "mul": (6, 2, 5),
        "sub": "error",
        "squeeze": (28, 20),
        "squeeze-0": (2, 5, 1),
        "unsqueeze": (3, 4, 1),
        "cat": (7, 3),
        "stack": (4, 3, 6),
        "permute": (4, 2, 3),
        "index": (8, 3),
    }


# %% answer="strings"
def encode_strings(words: list[str]) -> tuple[torch.Tensor, str]:
    """Return (codes (N, T), int64, padded with 0; alphabet): character k of the alphabet has id k + 1."""
    alphabet = "".join(sorted(set("".join(words))))
    ids = {c: k + 1 for k, c in enumerate(alphabet)}
    T = max(len(word) for word in words)
    rows = []
    for word in words:
        row = [ids[c] for c in word]
        row = row + [0] * (T - len(row))
        rows.append(row)
    return torch.tensor(rows, dtype=torch.int64), alphabet


# %% answer="mask"
def sequence_mask(lengths: torch.Tensor, T: int) -> torch.Tensor:
    """Return (N, T), bool: True at the first lengths[i] places of row i; on the device of `lengths` (N,)."""
    places = torch.arange(T, device=lengths.device)
    return places < lengths[:, None]


# %% answer="unbroadcast"
def unbroadcast(g: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Sum `g` over the copies that broadcasting made of a tensor of shape `shape`; the result has that shape."""
    while g.dim() > len(shape):
        g = g.sum(dim=0)
    for i, size in enumerate(shape):
        if size == 1:
            g = g.sum(dim=i, keepdim=True)
    return g


# %% answer="notes"
def corrected() -> dict:
    """Return {key of NOTES: the result that its program really has}."""
    return {
        "axis": [6, 15],
        "constructor": ("torch.int64", "torch.float32", 3),
        "slice": [0, 9, 2, 3],
        "bytes": [200, 44],
        "view": ([[1, 2], [3, 4], [5, 6]], [[1, 4], [2, 5], [3, 6]]),
        "variable": ("Tensor", [10.0]),
        "data": [20.0, 6.0],
        "detach": [1.0, 7.0],
    }
