# %% wrong="pool-nan"
def attention_pool(query, keys, values, width):
    distance = torch.abs(query.unsqueeze(1) - keys.unsqueeze(0))
    kernel = torch.exp(-0.5 * (distance / width) ** 2)
    weights = kernel / kernel.sum(dim=1, keepdim=True)
    return (weights * values).sum(dim=1)

# %% wrong="pool-width"
def attention_pool(query, keys, values, width):
    gaps = torch.sub(query.view(-1, 1), keys.view(1, -1))
    logits = gaps.square().neg().div(2 * width)
    alpha = F.softmax(logits, dim=-1)
    return torch.einsum("mn,n->m", alpha, values)

# %% wrong="scores-by-d"
def dot_scores(q, k):
    return torch.einsum("...td,...sd->...ts", q, k)


def scaled_scores(q, k):
    d = q.size(-1)
    return dot_scores(q, k) / d


def additive_scores(q, k, W_q, W_k, u):
    a = F.linear(q, W_q)[..., :, None, :]
    b = F.linear(k, W_k)[..., None, :, :]
    return (torch.tanh(a + b) * u).sum(dim=-1)

# %% wrong="scores-no-u"
def dot_scores(q, k):
    return torch.matmul(q, k.swapaxes(-1, -2))


def scaled_scores(q, k):
    return torch.matmul(q, k.swapaxes(-1, -2)) / math.sqrt(k.size(-1))


def additive_scores(q, k, W_q, W_k, u):
    queries = torch.matmul(q, W_q.t())
    keys = torch.matmul(k, W_k.t())
    hidden = torch.tanh(queries[..., :, None, :] + keys[..., None, :, :])
    return torch.einsum("...h->...", hidden)

# %% wrong="masked-after"
def masked_softmax(scores, blocked):
    shifted = scores - scores.amax(dim=-1, keepdim=True)
    e = torch.exp(shifted)
    weights = e / e.sum(dim=-1, keepdim=True)
    return torch.where(blocked, torch.zeros_like(weights), weights)

# %% wrong="masked-zero-score"
def masked_softmax(scores, blocked):
    zero = torch.zeros((), dtype=scores.dtype)
    visible = torch.where(blocked, zero, scores)
    weights = torch.softmax(visible, -1)
    return torch.where(blocked, zero, weights)

# %% wrong="window-mirrored"
def window_mask(T, back, ahead):
    blocked = torch.ones(T, T, dtype=torch.bool)
    for t in range(T):
        first = max(0, t - ahead)
        last = min(T - 1, t + back)
        blocked[t, first : last + 1] = False
    return blocked

# %% wrong="window-self-missing"
def window_mask(T, back, ahead):
    def is_blocked(query, key):
        return not (query - back <= key < query + ahead)

    return torch.tensor([[is_blocked(t, s) for s in range(T)] for t in range(T)])

# %% wrong="multihead-root-of-all"
def multihead(x, source, weights, n_heads, blocked=None):
    in_w, in_b, out_w, out_b = weights
    C = x.shape[-1]
    if C % n_heads != 0:
        raise ValueError(f"C = {C} is not a multiple of {n_heads}")
    d = C // n_heads
    W_q, W_k, W_v = in_w.split(C)
    b_q, b_k, b_v = in_b.split(C)
    Q, K, V = F.linear(x, W_q, b_q), F.linear(source, W_k, b_k), F.linear(source, W_v, b_v)
    outs, maps = [], []
    for h in range(n_heads):
        part = slice(h * d, (h + 1) * d)
        scores = torch.bmm(Q[..., part], K[..., part].transpose(1, 2)) / math.sqrt(C)
        if blocked is not None:
            scores = scores.masked_fill(blocked, -math.inf)
        a = F.softmax(scores, dim=-1)
        maps.append(a)
        outs.append(torch.bmm(a, V[..., part]))
    out = F.linear(torch.cat(outs, dim=-1), out_w, out_b)
    return out, torch.stack(maps, dim=1)

# %% wrong="multihead-merged-flat"
def multihead(x, source, weights, n_heads, blocked=None):
    in_w, in_b, out_w, out_b = weights
    B, T, C = x.shape
    if C % n_heads:
        raise ValueError("n_heads has to divide C")

    def project(z, third):
        rows = slice(third * C, (third + 1) * C)
        y = F.linear(z, in_w[rows], in_b[rows])
        return y.reshape(B, z.shape[1], n_heads, C // n_heads).permute(0, 2, 1, 3)

    q, k, v = project(x, 0), project(source, 1), project(source, 2)
    scores = torch.einsum("bhtd,bhsd->bhts", q, k) * (C // n_heads) ** -0.5
    if blocked is not None:
        if blocked.ndim == 3:
            blocked = blocked[:, None]
        scores = torch.where(blocked, torch.full_like(scores, -torch.inf), scores)
    attn = torch.softmax(scores, dim=3)
    context = torch.einsum("bhts,bhsd->bhtd", attn, v)
    context = context.contiguous().view(B, T, C)
    return F.linear(context, out_w, out_b), attn

# %% wrong="cross-no-pads"
def cross_attention(y, memory, W_q, W_k, W_v, pad):
    d = len(W_q)
    queries = torch.einsum("btc,dc->btd", y, W_q)
    keys = torch.einsum("bsc,dc->bsd", memory, W_k)
    values = torch.einsum("bsc,dc->bsd", memory, W_v)
    attn = F.softmax(torch.bmm(queries, keys.mT) / math.sqrt(d), dim=2)
    out = torch.bmm(attn, values)
    return out, attn

# %% wrong="probes-off-by-one"
def permutation_equivariant(f, x, order, atol=1e-9):
    left = f(x[order])
    right = f(x)[order]
    difference = (left - right).abs()
    return not bool((~(difference <= atol)).any())


def no_future(f, x, atol=1e-9):
    T = len(x)
    before = f(x)
    for s in range(1, T):
        bumped = torch.cat([x[:s], x[s : s + 1] + 1, x[s + 1 :]])
        after = f(bumped)
        for t in range(s - 1):
            if not bool(((after[t] - before[t]).abs() <= atol).all()):
                return False
    return True

# %% wrong="probes-allclose"
def permutation_equivariant(f, x, order, atol=1e-9):
    reordered_first = f(torch.index_select(x, 0, order))
    reordered_last = torch.index_select(f(x), 0, order)
    return bool(torch.isclose(reordered_first, reordered_last, atol=atol).all())


def no_future(f, x, atol=1e-9):
    base = f(x)
    results = []
    for s in range(1, x.size(0)):
        bump = torch.zeros_like(x)
        bump[s] = 1
        moved = f(x + bump)
        results.append(bool(torch.isclose(moved[:s], base[:s], atol=atol).all()))
    return all(results)

# %% wrong="sinusoid-halves"
def sinusoid(L, d):
    n_sines = (d + 1) // 2
    out = torch.zeros(L, d)
    places = torch.arange(L, dtype=torch.float32)
    for column in range(d):
        i = column if column < n_sines else column - n_sines
        angle = places / 10000 ** (2 * i / d)
        out[:, column] = torch.sin(angle) if column < n_sines else torch.cos(angle)
    return out

# %% wrong="sinusoid-own-speeds"
def sinusoid(L, d):
    table = []
    for t in range(L):
        row = []
        for c in range(d):
            angle = t / 10000 ** (c / d)
            row.append(math.sin(angle) if c % 2 == 0 else math.cos(angle))
        table.append(row)
    return torch.tensor(table, dtype=torch.float32)

# %% wrong="conv-wraps"
def conv_as_attention(x, kernel):
    T = len(x)
    C_out, C, K = kernel.shape
    half = (K - 1) // 2
    attn = torch.zeros(K, T, T, dtype=x.dtype)
    for j in range(K):
        for t in range(T):
            attn[j, t, (t + j - half) % T] = 1
    out = torch.zeros(T, C_out, dtype=x.dtype)
    for j in range(K):
        out = out + torch.matmul(torch.matmul(attn[j], x), kernel[:, :, j].t())
    return out, attn
