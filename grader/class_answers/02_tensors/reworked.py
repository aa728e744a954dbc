# %% wrong="nchw-reshaped"
def nchw(img_hwc):
    height, width, channels = img_hwc.shape
    numbers = img_hwc.flatten() / 255
    return numbers.unflatten(0, (1, channels, height, width))


# %% wrong="nchw-largest"
def nchw(img_hwc):
    planes = [img_hwc[:, :, c] for c in range(img_hwc.shape[2])]
    batch = torch.stack(planes, dim=0).to(torch.float32).unsqueeze(0)
    brightest = float(img_hwc.max())
    return batch.div(brightest)


# %% wrong="channels-along-batch"
def cat_channels(a, b):
    if len(b.shape) == 3:
        n, h, w = b.shape
        b = b.reshape(n, 1, h, w)
    pictures = [picture for picture in a] + [picture for picture in b]
    return torch.stack(pictures)


# %% wrong="channels-squeezed"
def cat_channels(a, b):
    if b.ndim != a.ndim:
        b = b.unsqueeze(dim=1)
    joined = [torch.cat([first, second]) for first, second in zip(a, b)]
    return torch.squeeze(torch.stack(joined))


# %% wrong="rows-no-keepdim"
def normalize_rows(X):
    lengths = torch.sqrt(torch.sum(X * X, dim=1))
    lengths = torch.where(lengths == 0, torch.ones_like(lengths), lengths)
    return torch.div(X, lengths)


# %% wrong="rows-squared-length"
def normalize_rows(X):
    tiny = 1e-12
    lengths = torch.einsum("nd,nd->n", X, X)
    lengths = torch.maximum(lengths, torch.full_like(lengths, tiny))
    return X / lengths.unsqueeze(1)


# %% wrong="one-hot-cpu"
def one_hot(y, k):
    classes = torch.tensor(list(range(k))).unsqueeze(0)
    hits = torch.eq(y.unsqueeze(1), classes)
    return hits.to(dtype=torch.float32)


# %% wrong="sqdist-multiplied-out"
def pairwise_sqdist(A, B):
    of_a = A.pow(2).sum(dim=1)
    of_b = B.pow(2).sum(dim=1)
    products = torch.einsum("nd,md->nm", A, B)
    return of_a.unsqueeze(1) - 2 * products + of_b.unsqueeze(0)


# %% wrong="sqdist-mean"
def pairwise_sqdist(A, B):
    D = A.shape[1]
    gaps = A.unsqueeze(1) - B.unsqueeze(0)
    return torch.einsum("nmd,nmd->nm", gaps, gaps) / D


# %% wrong="shapes-left-aligned"
def predict_shapes():
    shapes = {}
    shapes["sum"] = (2,)
    shapes["keepdim"] = (1, 4)
    shapes["add"] = "error"  # 4 over 3
    shapes["mul"] = "error"  # 6 over 2
    shapes["sub"] = (2, 3)  # 2 over 2
    shapes["squeeze"] = (28, 20)
    shapes["squeeze-0"] = (2, 5, 1)
    shapes["unsqueeze"] = (3, 4, 1)
    shapes["cat"] = (7, 3)
    shapes["stack"] = (4, 3, 6)
    shapes["permute"] = (4, 2, 3)
    shapes["index"] = (8, 3)
    return shapes


# %% wrong="strings-pad-clash"
def encode_strings(words):
    characters = sorted({c for word in words for c in word})
    ids = {c: i for i, c in enumerate(characters)}
    longest = max(len(word) for word in words)
    table = []
    for word in words:
        row = [ids[c] for c in word]
        while len(row) < longest:
            row.append(0)
        table.append(row)
    return torch.tensor(table, dtype=torch.int64), "".join(characters)


# %% wrong="strings-padded-left"
def encode_strings(words):
    alphabet = "".join(sorted(set().union(*words)))
    T = len(max(words, key=len))
    codes = torch.zeros((len(words), T), dtype=torch.int64)
    for i, word in enumerate(words):
        for back, c in enumerate(reversed(word), start=1):
            codes[i, T - back] = alphabet.find(c) + 1
    return codes, alphabet


# %% wrong="mask-one-too-many"
def sequence_mask(lengths, T):
    ones = torch.ones(lengths.shape[0], T, dtype=torch.int64, device=lengths.device)
    places = ones.cumsum(dim=1) - 1
    return places.le(lengths.unsqueeze(1))


# %% wrong="unbroadcast-forgets-ones"
def unbroadcast(g, shape):
    extra = g.dim() - len(shape)
    if extra == 0:
        return g
    return g.sum(dim=tuple(range(extra)))


# %% wrong="unbroadcast-mean"
def unbroadcast(g, shape):
    padded = (1,) * (g.ndim - len(shape)) + tuple(shape)
    stretched = [axis for axis in range(g.ndim) if padded[axis] == 1]
    if stretched:
        g = torch.mean(g, dim=stretched, keepdim=True)
    return g.reshape(shape)


# %% wrong="notes-copies"
def corrected():
    found = {"axis": [6, 15], "bytes": [200, 44]}
    found["constructor"] = ("torch.int64", "torch.float32", 3)
    found["slice"] = [0, 1, 2, 3]  # part is a list of its own
    rows = [[1, 2], [3, 4], [5, 6]]
    columns = [[1, 4], [2, 5], [3, 6]]
    found["view"] = (rows, columns)
    found["variable"] = ("Tensor", [10.0])
    found["data"] = [20.0, 6.0]
    found["detach"] = [1.0, 2.0]  # y is a copy
    return found
