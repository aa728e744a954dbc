# %% wrong="ffn-one-convolution"
def ffn_by_convolution(x, linear1, linear2):
    def pointwise(z, layer):
        n_out, n_in = layer.weight.shape
        return nn.functional.conv1d(z, layer.weight.view(n_out, n_in, 1), layer.bias)

    channels_first = x.permute(0, 2, 1)
    out = pointwise(pointwise(channels_first, linear1), linear2)
    return out.permute(0, 2, 1)

# %% wrong="encoder-pre-ln"
def encoder_block(x, parts, pad):
    block = pad.unsqueeze(1)

    def attention(z):
        return parts.self_attn(z, z, block)

    def feed_forward(z):
        return parts.linear2(torch.relu(parts.linear1(z)))

    y = attention(parts.norm1(x)) + x
    return feed_forward(parts.norm2(y)) + y

# %% wrong="encoder-no-mask"
def encoder_block(x, parts, pad):
    attn = parts.self_attn
    k, v = attn.keys_values(x)
    h = x + attn.look(x, k, v)
    h = parts.norm1(h)
    hidden = torch.clamp(parts.linear1(h), min=0)
    update = parts.linear2(hidden)
    return parts.norm2(h + update)

# %% wrong="masks-blocks-the-past"
def make_masks(src, tgt, pad):
    place = torch.arange(tgt.shape[1], device=tgt.device)
    future = place[None, :] < place[:, None]
    src_pad = src.eq(pad)
    tgt_pad = tgt.eq(pad)
    return src_pad, tgt_pad, future

# %% wrong="masks-source-length"
def make_masks(src, tgt, pad):
    n = src.size(1)
    rows = torch.arange(n, device=tgt.device).unsqueeze(1)
    columns = torch.arange(n, device=tgt.device).unsqueeze(0)
    return (src == pad), (tgt == pad), columns > rows

# %% wrong="decoder-no-future-mask"
def decoder_block(y, memory, parts, future, tgt_pad, src_pad):
    self_block = tgt_pad.unsqueeze(1)
    cross_block = src_pad.unsqueeze(1)
    update = parts.self_attn(y, y, block=self_block)
    h1 = parts.norm1(y + update)
    update = parts.multihead_attn(h1, memory, block=cross_block)
    h2 = parts.norm2(h1 + update)
    update = parts.linear2(nn.functional.relu(parts.linear1(h2)))
    return parts.norm3(h2 + update)

# %% wrong="decoder-norms-swapped"
def decoder_block(y, memory, parts, future, tgt_pad, src_pad):
    def add_and_norm(norm, z, update):
        return norm(z + update)

    blocked = torch.logical_or(future[None], tgt_pad[:, None, :])
    y = add_and_norm(parts.norm1, y, parts.self_attn(y, y, blocked))
    y = add_and_norm(parts.norm3, y, parts.multihead_attn(y, memory, src_pad[:, None, :]))
    inner = parts.linear1(y).relu()
    return add_and_norm(parts.norm2, y, parts.linear2(inner))

# %% wrong="embed-copied-head"
class TiedEmbedding(nn.Module):
    def __init__(self, vocab: int, C: int, max_len: int) -> None:
        super().__init__()
        self.table = nn.Embedding(vocab, C)
        nn.init.normal_(self.table.weight, std=C**-0.5)
        self.register_buffer("positions", sinusoids(max_len, C))
        self.C = C
        self.head = nn.Linear(C, vocab, bias=False)
        self.head.weight = nn.Parameter(self.table.weight.detach().clone())

    def forward(self, ids: torch.Tensor, start: int = 0) -> torch.Tensor:
        T = ids.size(1)
        places = torch.arange(start, start + T)
        return math.sqrt(self.C) * self.table(ids) + self.positions[places]

# %% wrong="embed-positions-scaled"
class TiedEmbedding(nn.Module):
    def __init__(self, vocab: int, C: int, max_len: int) -> None:
        super().__init__()
        self.table = nn.Embedding(vocab, C)
        nn.init.normal_(self.table.weight, std=C**-0.5)
        self.register_buffer("positions", sinusoids(max_len, C))
        head = nn.Linear(C, vocab, bias=False)
        head.weight = self.table.weight
        self.head = head
        self.scale = math.sqrt(C)

    def forward(self, ids: torch.Tensor, start: int = 0) -> torch.Tensor:
        end = start + ids.shape[-1]
        x = self.table(ids)
        x = x + self.positions[start:end]
        x = x * self.scale
        return x

# %% wrong="copy-order-kqv"
def copy_weights(parts, model):
    def copy_attention(ours, theirs):
        C = theirs.embed_dim
        w, b = theirs.in_proj_weight, theirs.in_proj_bias
        for n, linear in enumerate([ours.w_k, ours.w_q, ours.w_v]):
            linear.weight.copy_(w[n * C : (n + 1) * C])
            linear.bias.copy_(b[n * C : (n + 1) * C])
        ours.w_o.weight.copy_(theirs.out_proj.weight)
        ours.w_o.bias.copy_(theirs.out_proj.bias)

    def copy_layer(ours, theirs, names):
        for name in names:
            getattr(ours, name).weight.copy_(getattr(theirs, name).weight)
            getattr(ours, name).bias.copy_(getattr(theirs, name).bias)

    with torch.no_grad():
        for ours, theirs in zip(parts.encoder.layers, model.encoder.layers):
            copy_attention(ours.self_attn, theirs.self_attn)
            copy_layer(ours, theirs, ["linear1", "linear2", "norm1", "norm2"])
        for ours, theirs in zip(parts.decoder.layers, model.decoder.layers):
            copy_attention(ours.self_attn, theirs.self_attn)
            copy_attention(ours.multihead_attn, theirs.multihead_attn)
            copy_layer(ours, theirs, ["linear1", "linear2", "norm1", "norm2", "norm3"])
        copy_layer(parts.encoder, model.encoder, ["norm"])
        copy_layer(parts.decoder, model.decoder, ["norm"])

# %% wrong="copy-no-final-norms"
def copy_weights(parts, model):
    theirs = dict(model.named_parameters())
    with torch.no_grad():
        for stack in ("encoder", "decoder"):
            for i, block in enumerate(getattr(parts, stack).layers):
                for name, p in block.named_parameters():
                    full = f"{stack}.layers.{i}.{name}"
                    piece = re.search(r"w_([qkv])\.(weight|bias)$", full)
                    if piece:
                        packed = theirs[full[: piece.start()] + "in_proj_" + piece[2]]
                        n = "qkv".index(piece[1])
                        p.copy_(packed.reshape(3, *p.shape)[n])
                    else:
                        p.copy_(theirs[full.replace("w_o", "out_proj")])

# %% wrong="smooth-mass-on-pad"
def label_smoothing_ce(logits, target, eps, pad):
    V = logits.size(-1)
    log_p = F.log_softmax(logits, dim=-1)
    true_token = log_p.gather(-1, target.unsqueeze(-1)).squeeze(-1)
    uniform = log_p.mean(dim=-1)
    losses = -((1 - eps) * true_token + eps * uniform)
    keep = (target != pad).to(losses.dtype)
    return (losses * keep).sum() / keep.sum()

# %% wrong="smooth-divided-by-all"
def label_smoothing_ce(logits, target, eps, pad):
    B, T, V = logits.shape
    share = eps / (V - 2)
    hot = F.one_hot(target, V).to(logits.dtype)
    q = (1 - eps) * hot + share * (1 - hot)
    q[:, :, pad] = 0
    log_p = torch.log_softmax(logits, dim=2)
    total = -torch.einsum("btv,btv->", q, log_p)
    return total / (B * T)

# %% wrong="cache-place-one-late"
@torch.no_grad()
def greedy_cache(decoder, table, positions, memory, src_pad, max_len):
    B, C = memory.shape[0], table.shape[1]
    scale = math.sqrt(C)
    src_block = src_pad.unsqueeze(1)
    cross = [layer.multihead_attn.keys_values(memory) for layer in decoder.layers]
    keys = [[] for _ in decoder.layers]
    values = [[] for _ in decoder.layers]
    token = torch.full((B,), BOS, dtype=torch.int64)
    finished = torch.zeros(B, dtype=torch.bool)
    written = []
    for step in range(1, max_len + 1):
        place = step % positions.shape[0]
        row = (table[token] * scale + positions[place])[:, None, :]
        for n, layer in enumerate(decoder.layers):
            k, v = layer.self_attn.keys_values(row)
            keys[n].append(k)
            values[n].append(v)
            row = layer.norm1(row + layer.self_attn.look(row, torch.cat(keys[n], dim=2), torch.cat(values[n], dim=2)))
            row = layer.norm2(row + layer.multihead_attn.look(row, cross[n][0], cross[n][1], src_block))
            row = layer.norm3(row + layer.linear2(F.relu(layer.linear1(row))))
        logits = F.linear(decoder.norm(row[:, 0]), table)
        token = logits.argmax(dim=1)
        token[finished] = PAD
        written.append(token)
        finished = finished | (token == EOS)
        if finished.all():
            break
    return torch.stack(written, dim=1)

# %% wrong="cache-never-stops"
@torch.no_grad()
def greedy_cache(decoder, table, positions, memory, src_pad, max_len):
    n_sentences = len(memory)
    blocks = list(decoder.layers)
    memory_kv = {}
    for i, block in enumerate(blocks):
        memory_kv[i] = block.multihead_attn.keys_values(memory)
    cache = {}

    def one_step(token, t):
        y = F.embedding(token.unsqueeze(1), table) * math.sqrt(table.size(1))
        y = y + positions[t : t + 1]
        for i, block in enumerate(blocks):
            new = block.self_attn.keys_values(y)
            if i in cache:
                new = tuple(torch.cat([old, n], dim=2) for old, n in zip(cache[i], new))
            cache[i] = new
            y = block.norm1(y + block.self_attn.look(y, *cache[i]))
            y = block.norm2(y + block.multihead_attn.look(y, *memory_kv[i], src_pad[:, None, :]))
            y = block.norm3(y + block.linear2(torch.relu(block.linear1(y))))
        scores = decoder.norm(y)[:, -1] @ table.t()
        return scores.argmax(dim=-1)

    ids = torch.zeros(n_sentences, max_len, dtype=torch.int64)
    token = torch.full((n_sentences,), BOS)
    for t in range(max_len):
        token = one_step(token, t)
        ids[:, t] = token
    return ids

# %% wrong="cost-cache-saves-passes"
def decoding_cost(n, kind):
    passes = {"full": n, "cached": 1, "parallel": 1}
    if kind not in passes:
        raise ValueError(f"kind must be full, cached or parallel, not {kind!r}")
    rows = sum(range(1, n + 1)) if kind == "full" else n
    return passes[kind], rows
