# %% wrong="raster-swapped"
def rasterise(h, w, cy, cx, r, rgb):
    yy, xx = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    disc = ((xx - cy).pow(2) + (yy - cx).pow(2)) <= r * r
    picture = torch.zeros(3, h, w)
    for channel, value in enumerate(rgb):
        picture[channel][disc] = float(value)
    return picture

# %% wrong="raster-open-border"
def rasterise(h, w, cy, cx, r, rgb):
    img = torch.zeros((3, h, w), dtype=torch.float32)
    for i in range(h):
        for j in range(w):
            if (i - cy) ** 2 + (j - cx) ** 2 < r**2:
                for c in range(3):
                    img[c, i, j] = rgb[c]
    return img

# %% wrong="corr-flipped"
def corr2d(x, k):
    H, W = x.shape
    kh, kw = k.shape
    out = torch.zeros((H - kh + 1, W - kw + 1), dtype=x.dtype)
    for a in range(kh):
        for b in range(kw):
            out += x[a : a + out.shape[0], b : b + out.shape[1]] * k[kh - 1 - a, kw - 1 - b]
    return out

# %% wrong="corr-float32"
def corr2d(x, k):
    h = x.size(0) - k.size(0) + 1
    w = x.size(1) - k.size(1) + 1
    result = torch.zeros((h, w))
    for row in range(h):
        for col in range(w):
            total = 0.0
            for a in range(k.size(0)):
                for b in range(k.size(1)):
                    total += x[row + a, col + b] * k[a, b]
            result[row, col] = total
    return result

# %% wrong="size-one-side"
def out_size(h, k, s=1, p=0, d=1):
    span = d * (k - 1) + 1
    padded = h + p
    if span > padded:
        raise ValueError("kernel does not fit")
    return 1 + (padded - span) // s

# %% wrong="conv-bias-per-channel"
def conv2d(x, w, b=None, stride=1, padding=0):
    n, c_in, H, W = x.shape
    c_out, _, kh, kw = w.shape
    xp = x.new_zeros(n, c_in, H + 2 * padding, W + 2 * padding)
    xp[:, :, padding : padding + H, padding : padding + W] = x
    h_out = (H + 2 * padding - kh) // stride + 1
    w_out = (W + 2 * padding - kw) // stride + 1

    def one_channel(c, o):
        result = x.new_zeros(n, h_out, w_out)
        for i in range(h_out):
            for j in range(w_out):
                top, left = i * stride, j * stride
                result[:, i, j] = (xp[:, c, top : top + kh, left : left + kw] * w[o, c]).sum(dim=(1, 2))
        if b is not None:
            result = result + b[o]
        return result

    maps = [sum(one_channel(c, o) for c in range(c_in)) for o in range(c_out)]
    return torch.stack(maps, dim=1)

# %% wrong="conv-stride-ignored-in-window"
def conv2d(x, w, b=None, stride=1, padding=0):
    xp = F.pad(x, (padding, padding, padding, padding))
    N = x.shape[0]
    C_out, _, kh, kw = w.shape
    rows = (xp.shape[2] - kh) // stride + 1
    cols = (xp.shape[3] - kw) // stride + 1
    flat_w = w.reshape(C_out, -1)
    out = torch.empty(N, C_out, rows, cols, dtype=x.dtype)
    for i in range(rows):
        for j in range(cols):
            patch = xp[:, :, i : i + kh, j : j + kw].reshape(N, -1)
            out[:, :, i, j] = patch @ flat_w.T
    if b is not None:
        out = out + b[None, :, None, None]
    return out

# %% wrong="counts-no-input-channels"
def conv_params(c_in, c_out, k, bias=True):
    weights = c_out * k * k
    if bias:
        return weights + c_out
    return weights


def fc_params(c_in, c_out, h, w, bias=True):
    inputs = c_in * h * w
    outputs = c_out * h * w
    total = inputs * outputs
    if bias:
        total += outputs
    return total

# %% wrong="field-own-stride"
def receptive_field(layers):
    field = 1
    jump = 1
    for layer in layers:
        kernel, stride, dilation = layer
        jump = jump * stride
        span = dilation * (kernel - 1) + 1
        field = field + (span - 1) * jump
    return (field, jump)

# %% wrong="note-one-c"
def difference_weight(k, plus, minus, c_in):
    slices = []
    for c in range(c_in):
        if c == plus:
            slices.append(k)
        elif c == minus:
            slices.append(-k)
        else:
            slices.append(torch.zeros_like(k))
    return torch.stack(slices).unsqueeze(0)


def multiplications(k, n, c):
    total = 0
    for _ in range(n):
        total += c * k**2
    return total

# %% wrong="pool-zero-padding"
def max_pool(x, k, s, p):
    N, C, H, W = x.shape
    padded = torch.zeros(N, C, H + 2 * p, W + 2 * p, dtype=x.dtype)
    padded[:, :, p : p + H, p : p + W] = x
    h, w = (H + 2 * p - k) // s + 1, (W + 2 * p - k) // s + 1
    y = x.new_empty(N, C, h, w)
    for i in range(h):
        for j in range(w):
            y[:, :, i, j] = padded[:, :, i * s : i * s + k, j * s : j * s + k].flatten(2).max(dim=2).values
    return y


def avg_pool(x, k, s, p, include_pad=True):
    def windows(t):
        return F.pad(t, (p, p, p, p)).unfold(2, k, s).unfold(3, k, s)

    sums = windows(x).sum(dim=(-2, -1))
    counts = windows(torch.ones_like(x)).sum(dim=(-2, -1))
    return sums / (k * k) if include_pad else sums / counts


def nearest_up(x, f):
    y = torch.repeat_interleave(x, f, dim=3)
    return torch.repeat_interleave(y, f, dim=2)

# %% wrong="pool-tiles"
def _windows(x, k, s, p, value):
    return F.pad(x, (p, p, p, p), value=value).unfold(2, k, s).unfold(3, k, s)


def max_pool(x, k, s, p):
    return _windows(x, k, s, p, float("-inf")).flatten(4).max(dim=4)[0]


def avg_pool(x, k, s, p, include_pad=True):
    if include_pad:
        return _windows(x, k, s, p, 0.0).mean(dim=(4, 5))
    ones = torch.ones_like(x)
    return _windows(x, k, s, p, 0.0).sum(dim=(4, 5)) / _windows(ones, k, s, p, 0.0).sum(dim=(4, 5))


def nearest_up(x, f):
    wide = torch.cat([x] * f, dim=3)
    return torch.cat([wide] * f, dim=2)

# %% wrong="mix-no-bias"
def mix_channels(parts, w, b):
    stacked = torch.cat(parts, 1)
    kernel = w[:, :, 0, 0]
    return torch.einsum("oc,nchw->nohw", kernel, stacked)

# %% wrong="equi-mean"
def is_equivariant(f, x, shift, band):
    H, W = x.shape[-2:]
    dy, dx = shift

    def move(t):
        return torch.roll(t, shifts=(dy, dx), dims=(2, 3))

    difference = torch.abs(f(move(x)) - move(f(x)))
    middle = difference[:, :, band : H - band, band : W - band]
    return middle.mean().item() <= 1e-4

# %% wrong="equi-band-counted"
def is_equivariant(f, x, shift, band):
    first_moved = f(x.roll(shift, dims=(-2, -1)))
    first_f = f(x).roll(shift, dims=(-2, -1))
    worst = (first_moved - first_f).abs().max()
    return bool(worst <= 1e-4)

# %% wrong="back-padding-kept"
def conv_backward(dy, x, w, stride, padding):
    c_out, c_in, kh, kw = w.shape
    xp = F.pad(x, (padding, padding, padding, padding))
    dx = torch.zeros_like(xp)
    dw = torch.zeros_like(w)
    _, _, h_out, w_out = dy.shape
    span_h, span_w = (h_out - 1) * stride + 1, (w_out - 1) * stride + 1
    for a in range(kh):
        for b in range(kw):
            rows, cols = slice(a, a + span_h, stride), slice(b, b + span_w, stride)
            dw[:, :, a, b] = torch.einsum("nohw,nchw->oc", dy, xp[:, :, rows, cols])
            dx[:, :, rows, cols] += torch.einsum("nohw,oc->nchw", dy, w[:, :, a, b])
    db = dy.sum(dim=(0, 2, 3))
    return dx, dw, db
