# %% wrong="lstm-order-ifog"
def lstm_cell(x, state, weights):
    h, c = state
    W_ih, W_hh, b_ih, b_hh = weights
    H = h.size(1)
    z = nn.functional.linear(x, W_ih, b_ih) + nn.functional.linear(h, W_hh, b_hh)
    gates = torch.sigmoid(z[:, : 3 * H])
    inp, forget, out = gates[:, :H], gates[:, H : 2 * H], gates[:, 2 * H :]
    candidate = torch.tanh(z[:, 3 * H :])
    c_next = forget * c + inp * candidate
    h_next = out * torch.tanh(c_next)
    return h_next, c_next

# %% wrong="lstm-tanh-stored"
def lstm_cell(x, state, weights):
    h_old, c_old = state
    w_x, w_h, b_x, b_h = weights
    H = h_old.shape[1]

    def part(k):
        rows = slice(k * H, (k + 1) * H)
        return x @ w_x[rows].T + h_old @ w_h[rows].T + b_x[rows] + b_h[rows]

    i = torch.sigmoid(part(0))
    f = torch.sigmoid(part(1))
    g = torch.tanh(part(2))
    o = torch.sigmoid(part(3))
    c = torch.tanh(f * c_old + i * g)
    h = o * c
    return (h, c)

# %% wrong="gates-strict"
def gate_table(i, f, o):
    for gate in (i, f, o):
        if not (gate >= 0 and gate <= 1):
            raise ValueError(f"gate {gate} is not between 0 and 1")
    is_open = [gate > 0.5 for gate in (i, f, o)]
    if is_open[0] and is_open[1]:
        memory = "add"
    elif is_open[0]:
        memory = "overwrite"
    elif is_open[1]:
        memory = "hold"
    else:
        memory = "erase"
    if is_open[2]:
        return memory, "expose"
    return memory, "hide"


def run_gates(gates, candidates, c):
    cs, hs = [], []
    for t in range(len(gates)):
        i, f, o = gates[t]
        c = float(c * f + candidates[t] * i)
        cs.append(c)
        hs.append(float(o * math.tanh(c)))
    return cs, hs

# %% wrong="gates-rounded"
WORDS = {(True, True): "add", (True, False): "overwrite", (False, True): "hold", (False, False): "erase"}


def gate_table(i, f, o):
    if not all(0.0 <= v <= 1.0 for v in [i, f, o]):
        raise ValueError("all three gates must lie in [0, 1]")
    return WORDS[(i >= 0.5, f >= 0.5)], ("hide" if o < 0.5 else "expose")


def run_gates(gates, candidates, c):
    memories, outputs = [], []
    for (i, f, o), g in zip(gates, candidates):
        memory_word, output_word = gate_table(i, f, o)
        if memory_word == "erase":
            c = 0.0
        elif memory_word == "overwrite":
            c = float(g)
        elif memory_word == "add":
            c = float(c + g)
        else:
            c = float(c)
        memories.append(c)
        outputs.append(math.tanh(c) if output_word == "expose" else 0.0)
    return memories, outputs

# %% wrong="count-one-bias"
def count_lstm_params(n_in, n_hidden, n_layers=1, bidirectional=False):
    directions = 1 + int(bidirectional)
    total = 0
    inputs = n_in
    for layer in range(n_layers):
        weights = 4 * n_hidden * inputs + 4 * n_hidden * n_hidden
        biases = 4 * n_hidden
        total += directions * (weights + biases)
        inputs = directions * n_hidden
    return total

# %% wrong="count-one-direction-above"
def count_lstm_params(n_in, n_hidden, n_layers=1, bidirectional=False):
    def one(width):
        return 4 * n_hidden * width + 4 * n_hidden**2 + 8 * n_hidden

    first = one(n_in)
    others = (n_layers - 1) * one(n_hidden)
    if bidirectional:
        return 2 * (first + others)
    return first + others

# %% wrong="gru-reset-inside"
def gru_cell(x, h, weights):
    W_ih, W_hh, b_ih, b_hh = weights
    W_ir, W_iz, W_in = W_ih.chunk(3)
    W_hr, W_hz, W_hn = W_hh.chunk(3)
    b_ir, b_iz, b_in = b_ih.chunk(3)
    b_hr, b_hz, b_hn = b_hh.chunk(3)
    linear = nn.functional.linear
    reset = torch.sigmoid(linear(x, W_ir, b_ir) + linear(h, W_hr, b_hr))
    update = torch.sigmoid(linear(x, W_iz, b_iz) + linear(h, W_hz, b_hz))
    candidate = torch.tanh(linear(x, W_in, b_in) + linear(reset * h, W_hn, b_hn))
    return (1 - update) * candidate + update * h

# %% wrong="gru-paper-z"
def gru_cell(x, h, weights):
    W_ih, W_hh, b_ih, b_hh = weights
    H = h.shape[-1]
    a = torch.matmul(x, W_ih.t()) + b_ih
    b = torch.matmul(h, W_hh.t()) + b_hh
    rz = torch.sigmoid(a[:, : 2 * H] + b[:, : 2 * H])
    r, z = rz.split(H, dim=1)
    n = torch.tanh(a[:, 2 * H :] + r * b[:, 2 * H :])
    return torch.lerp(h, n, z)

# %% wrong="through-sum-of-h"
def grad_through_time(cell, x):
    is_lstm = isinstance(cell, nn.LSTMCell)

    def summed_state(first):
        state = cell(first)
        for t in range(1, len(x)):
            state = cell(x[t], state)
        h = state[0] if is_lstm else state
        return h.sum()

    gradient = torch.autograd.functional.jacobian(summed_state, x[0])
    return float(gradient.square().sum().sqrt())

# %% wrong="through-c-detached"
def grad_through_time(cell, x):
    lstm = isinstance(cell, nn.LSTMCell)
    first = x[0].detach().clone().requires_grad_(True)
    inputs = [first] + [x[t] for t in range(1, x.shape[0])]
    h = torch.zeros(cell.hidden_size, dtype=x.dtype)
    c = torch.zeros(cell.hidden_size, dtype=x.dtype)
    for x_t in inputs:
        if lstm:
            h, c = cell(x_t, (h, c))
            c = c.detach()
        else:
            h = cell(x_t, h)
    rows = [torch.autograd.grad(h[j], first, retain_graph=True)[0] for j in range(len(h))]
    return torch.stack(rows).norm().item()

# %% wrong="forget-doubled"
def set_forget_bias(lstm, value=1.0):
    if lstm.bias is False:
        raise ValueError("there are no biases to set")
    H = lstm.hidden_size
    directions = ["", "_reverse"] if lstm.bidirectional else [""]
    for layer in range(lstm.num_layers):
        for suffix in directions:
            for kind in ("ih", "hh"):
                b = getattr(lstm, f"bias_{kind}_l{layer}{suffix}")
                b.data[H : 2 * H] = value

# %% wrong="forget-one-direction"
def set_forget_bias(lstm, value=1.0):
    if not lstm.bias:
        raise ValueError("the LSTM was made with bias=False")
    H = lstm.hidden_size
    with torch.no_grad():
        for k in range(lstm.num_layers):
            b_ih = getattr(lstm, f"bias_ih_l{k}")
            b_hh = getattr(lstm, f"bias_hh_l{k}")
            b_ih[H : 2 * H] = value
            b_hh[H : 2 * H].zero_()

# %% wrong="stack-only-h-kept"
def stack_layers(x, lengths, cells):
    B, T, _ = x.shape
    layer_input = x
    h_last, c_last = [], []
    for cell in cells:
        h = torch.zeros(B, cell.hidden_size, dtype=x.dtype)
        c = torch.zeros(B, cell.hidden_size, dtype=x.dtype)
        outs = []
        for t in range(T):
            active = (t < lengths).to(x.dtype).unsqueeze(1)
            h_next, c = cell(layer_input[:, t], (h, c))
            h = active * h_next + (1 - active) * h
            outs.append(active * h)
        layer_input = torch.stack(outs, dim=1)
        h_last.append(h)
        c_last.append(c)
    return layer_input, (torch.stack(h_last), torch.stack(c_last))

# %% wrong="clip-by-value"
def train_clipped(model, optimizer, criterion, batches, limit):
    history = []
    for inputs, targets in batches:
        optimizer.zero_grad()
        loss = criterion(model(inputs), targets)
        loss.backward()
        squares = 0.0
        for p in model.parameters():
            if p.grad is not None:
                squares += p.grad.pow(2).sum().item()
        norm = squares**0.5
        history.append(norm)
        if math.isnan(norm) or math.isinf(norm):
            continue
        for p in model.parameters():
            if p.grad is not None:
                p.grad.clamp_(min=-limit, max=limit)
        optimizer.step()
    return history

# %% wrong="clip-each-tensor"
def train_clipped(model, optimizer, criterion, batches, limit):
    def clip(p):
        norm = p.grad.norm()
        if norm > limit:
            p.grad.mul_(limit / norm)
        return norm.item()

    norms = []
    for xb, yb in batches:
        model.zero_grad()
        criterion(model(xb), yb).backward()
        single = [clip(p) for p in model.parameters() if p.grad is not None]
        total = sum(n**2 for n in single) ** 0.5
        if math.isfinite(total):
            optimizer.step()
        norms.append(total)
    return norms

# %% wrong="warmth-overflow"
def temperature_probs(logits, temperature):
    if not math.isfinite(temperature) or temperature < 0:
        raise ValueError(f"not a temperature: {temperature}")
    if temperature == 0:
        best = logits.argmax(dim=-1, keepdim=True)
        return torch.zeros_like(logits).scatter_(-1, best, 1.0)
    odds = torch.exp(logits / temperature)
    total = odds.sum(dim=-1).unsqueeze(-1)
    return odds.div(total)
