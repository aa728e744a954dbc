# %% wrong="embed-float-ids"
def embed_as_matmul(W, ids):
    V, C = W.shape
    flat = ids.reshape(-1).to(torch.int64)
    onehot = torch.zeros(flat.numel(), V, dtype=W.dtype)
    for row, i in enumerate(flat.tolist()):
        onehot[row, i] = 1
    return (onehot @ W).reshape(*ids.shape, C)

# %% wrong="embed-short-one-hot"
def embed_as_matmul(W, ids):
    if ids.dtype != torch.int64 and ids.dtype != torch.int32:
        raise TypeError(f"expected integer ids, got {ids.dtype}")
    n = int(ids.max()) + 1
    hot = (ids.unsqueeze(-1) == torch.arange(n)).to(W.dtype)
    return torch.matmul(hot, W)

# %% wrong="unroll-h-n-turned"
def cell_step(x, h, weights):
    W_ih, W_hh, b_ih, b_hh = weights
    from_input = nn.functional.linear(x, W_ih, b_ih)
    from_state = nn.functional.linear(h, W_hh, b_hh)
    return (from_input + from_state).tanh()


def unroll(x, layers, batch_first=False):
    if not batch_first:
        x = x.transpose(0, 1)
    B, T, _ = x.shape
    finals = []
    for w in layers:
        H = w[1].shape[0]
        h = torch.zeros(B, H, dtype=x.dtype)
        outs = []
        for t in range(T):
            h = cell_step(x[:, t], h, w)
            outs.append(h)
        x = torch.stack(outs, dim=1)
        finals.append(h)
    h_n = torch.stack(finals, dim=1)
    if batch_first:
        return x, h_n
    return x.transpose(0, 1), h_n.transpose(0, 1)

# %% wrong="unroll-state-from-below"
def cell_step(x, h, weights):
    w_x, w_h, b_x, b_h = weights
    z = torch.matmul(x, w_x.t()) + b_x
    z = z + torch.matmul(h, w_h.t()) + b_h
    return torch.tanh(z)


def unroll(x, layers, batch_first=False):
    inputs = x.permute(1, 0, 2) if batch_first else x
    T, B = inputs.shape[0], inputs.shape[1]
    H = layers[0][1].shape[0]
    state = torch.zeros((B, H), dtype=x.dtype)
    h_n = []

    def run_layer(inputs, state, weights):
        collected = []
        for t in range(T):
            state = cell_step(inputs[t], state, weights)
            collected.append(state)
        return torch.stack(collected, dim=0), state

    for weights in layers:
        inputs, state = run_layer(inputs, state, weights)
        h_n.append(state)
    output = inputs.permute(1, 0, 2) if batch_first else inputs
    return output, torch.stack(h_n, dim=0)

# %% wrong="elman-jordan-hidden"
def _state(x, memory, W, U):
    return torch.tanh(nn.functional.linear(x, W) + nn.functional.linear(memory, U))


def elman_step(x, memory, W, U, V):
    new = _state(x, memory, W, U)
    return nn.functional.linear(new, V), new


def jordan_step(x, memory, W, U, V):
    new = _state(x, memory, W, U)
    y = nn.functional.linear(new, V)
    return y, new

# %% wrong="elman-old-memory"
def elman_step(x, memory, W, U, V):
    z = torch.einsum("bc,hc->bh", x, W) + torch.einsum("bm,hm->bh", memory, U)
    h = z.tanh()
    y = torch.einsum("bh,kh->bk", h, V)
    return y, memory


def jordan_step(x, memory, W, U, V):
    z = torch.einsum("bc,hc->bh", x, W) + torch.einsum("bm,hm->bh", memory, U)
    h = z.tanh()
    y = torch.einsum("bh,kh->bk", h, V)
    memory = y
    return y, memory

# %% wrong="perplexity-by-sequence"
def perplexity(nll, mask):
    if mask.sum() == 0:
        raise ValueError("the mask has no True")
    clean = torch.where(mask, nll, torch.zeros_like(nll))
    counts = mask.sum(dim=1)
    keep = counts > 0
    means = clean.sum(dim=1)[keep] / counts[keep]
    return math.exp(means.mean().item())

# %% wrong="perplexity-mean-of-exp"
def perplexity(nll, mask):
    real = torch.masked_select(nll, mask)
    if real.numel() == 0:
        raise ValueError("no tokens")
    return float(sum(math.exp(v) for v in real.tolist()) / real.numel())

# %% wrong="bidirectional-last-column"
def reverse_real(x, lengths):
    T = x.shape[1]
    t = torch.arange(T).expand(x.shape[0], T)
    n = lengths.view(-1, 1)
    places = torch.where(t < n, n - 1 - t, t)
    rows = torch.arange(x.shape[0]).view(-1, 1)
    return x[rows, places]


def bidirectional(x, lengths, forward, backward):
    out_f = forward(x)
    out_b = backward(reverse_real(x, lengths))
    out_b = reverse_real(out_b, lengths)
    h_n = torch.stack((out_f[:, -1, :], out_b[:, 0, :]), dim=0)
    output = torch.cat((out_f, out_b), dim=-1)
    for b in range(len(lengths)):
        output[b, lengths[b] :] = 0
    return output, h_n

# %% wrong="reach-of-the-sum"
def reach(rnn, x):
    def last_state_sum(inp):
        _, h = rnn(inp.unsqueeze(0))
        return h.sum()

    J = torch.autograd.functional.jacobian(last_state_sum, x)  # (T, C)
    norms = [J[t].square().sum().sqrt() for t in range(len(x) - 1, -1, -1)]
    return torch.stack(norms).detach()

# %% wrong="reach-by-time"
def reach(rnn, x):
    inp = x.detach().clone().requires_grad_(True)
    output, _ = rnn(inp.unsqueeze(0))
    last = output[0, -1]
    squares = torch.zeros(x.shape[0], dtype=x.dtype)
    for i in range(last.numel()):
        (g,) = torch.autograd.grad(last[i], inp, retain_graph=True)
        squares += (g**2).sum(dim=1)
    return torch.sqrt(squares)

# %% wrong="bptt-mean-of-chunk"
def bptt_truncated(rnn, head, x, y, k):
    if k < 1:
        raise ValueError(f"k must be positive, got {k}")
    T = x.shape[1]
    criterion = nn.MSELoss()
    losses = []
    h = torch.zeros(1, x.shape[0], rnn.hidden_size, dtype=x.dtype)
    start = 0
    while start < T:
        end = min(start + k, T)
        states, h = rnn(x[:, start:end], h.detach())
        loss = criterion(head(states), y[:, start:end])
        loss.backward()
        losses.append(loss.item())
        start = end
    return float(sum(losses))

# %% wrong="bptt-short-chunk-lost"
def bptt_truncated(rnn, head, x, y, k):
    if k <= 0:
        raise ValueError("chunks need at least one step")
    B, T, K = y.shape
    n_chunks = (T - 1) // k
    h, total = None, 0.0
    for i in range(n_chunks):
        part = slice(i * k, (i + 1) * k)
        out, h = rnn(x[:, part], h)
        h = h.detach()
        loss = torch.sum((head(out) - y[:, part]) ** 2) / (B * T * K)
        loss.backward()
        total += float(loss.detach())
    return total

# %% wrong="window-horizon-from-zero"
def window(series, w, h):
    if w < 1 or h < 1:
        raise ValueError("w and h start at 1")
    X, y = [], []
    i = 0
    while i + w + h < len(series):
        X.append(series[i : i + w].clone())
        y.append(series[i + w + h].clone())
        i += 1
    if not X:
        raise ValueError("the series is too short")
    return torch.stack(X), torch.stack(y)

# %% wrong="trips-majority"
def trips(cities):
    result = []
    for start, end in itertools.permutations(cities, 2):
        result.append((["leave", start, "arrive", end], "O DEP O ARR".split()))
        result.append((["arrive", end, "leave", start], "O ARR O DEP".split()))
    return result


def ceiling(keys, tags):
    label, times = Counter(tags).most_common(1)[0]
    return float(times / len(keys))

# %% wrong="tagger-pads-read"
class SlotTagger(nn.Module):
    def __init__(self, n_words, n_tags, C=8, H=16):
        super().__init__()
        self.embed = nn.Embedding(num_embeddings=n_words, embedding_dim=C, padding_idx=0)
        self.rnn = nn.RNN(input_size=C, hidden_size=H, num_layers=1, batch_first=True, bidirectional=True)
        self.head = nn.Linear(in_features=2 * H, out_features=n_tags)

    def forward(self, ids, lengths):
        x = self.embed(ids)
        h_0 = x.new_zeros(2, ids.shape[0], self.rnn.hidden_size)
        states, h_n = self.rnn(x, h_0)
        logits = self.head(states)
        return logits
