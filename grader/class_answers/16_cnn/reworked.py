# %% wrong="lenet-quarter"
def lenet(size=28, n_classes=10):
    layers = []
    for c_in, c_out, pad in [(1, 6, 2), (6, 16, 0)]:
        layers.append(nn.Conv2d(c_in, c_out, kernel_size=5, padding=pad))
        layers.append(nn.ReLU())
        layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
    h = size // 2 // 2
    flat = 16 * h * h
    layers.append(nn.Flatten())
    widths = [flat, 120, 84]
    for a, b in zip(widths[:-1], widths[1:]):
        layers.append(nn.Linear(a, b))
        layers.append(nn.ReLU())
    layers.append(nn.Linear(84, n_classes))
    return nn.Sequential(*layers)

# %% wrong="lenet-softmax"
class LeNet(nn.Module):
    def __init__(self, size, n_classes):
        super().__init__()
        side = ((size // 2) - 4) // 2
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * side * side, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, n_classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = x.flatten(1)
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return F.softmax(self.fc3(x), dim=1)


def lenet(size=28, n_classes=10):
    return LeNet(size, n_classes)

# %% wrong="summary-no-finally"
def net_summary(model, x):
    rows = []
    counted = set()

    def make_hook(name):
        def hook(module, args, out):
            n_par = 0
            for p in module.parameters():
                if id(p) not in counted:
                    counted.add(id(p))
                    n_par += p.numel()
            kind = module.__class__.__name__
            if kind == "Conv2d":
                mults = module.weight.numel() * out.shape[-2] * out.shape[-1]
            elif kind == "Linear":
                mults = module.weight.numel()
            else:
                mults = 0
            rows.append((name, kind, tuple(out.shape), n_par, mults))

        return hook

    handles = [m.register_forward_hook(make_hook(n)) for n, m in model.named_modules() if len(list(m.children())) == 0]
    with torch.no_grad():
        model(x)
    for h in handles:
        h.remove()
    return rows

# %% wrong="summary-counted-by-module"
def net_summary(model, x):
    table = []
    done = []

    def multiplications(module, out):
        if isinstance(module, nn.Linear):
            return module.weight.numel()
        if isinstance(module, nn.Conv2d):
            return module.weight.numel() * out.size(2) * out.size(3)
        return 0

    def listen(name):
        def hook(module, inputs, out):
            if any(module is m for m in done):
                parameters = 0
            else:
                parameters = sum(p.numel() for p in module.parameters())
                done.append(module)
            table.append((name, type(module).__name__, tuple(out.shape), parameters, multiplications(module, out)))

        return hook

    handles = []
    try:
        for name, module in model.named_modules():
            if next(module.children(), None) is None:
                handles.append(module.register_forward_hook(listen(name)))
        with torch.no_grad():
            model(x)
    finally:
        while handles:
            handles.pop().remove()
    return table

# %% wrong="alex-no-dropout"
def alex_mini(size=28, n_classes=10):
    def pooled(h):
        return (h - 3) // 2 + 1

    side = pooled(pooled(pooled(size)))
    features = nn.Sequential(
        nn.Conv2d(1, 12, kernel_size=5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2),
        nn.Conv2d(12, 24, kernel_size=5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2),
        nn.Conv2d(24, 32, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 32, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 24, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2),
    )
    classifier = nn.Sequential(
        nn.Flatten(),
        nn.Linear(24 * side**2, 80),
        nn.ReLU(),
        nn.Linear(80, 80),
        nn.ReLU(),
        nn.Linear(80, n_classes),
    )
    return nn.Sequential(features, classifier)

# %% wrong="alex-no-overlap"
def alex_mini(size=28, n_classes=10):
    layers = []
    channels = 1
    for out, kernel in [(12, 5), (24, 5), (32, 3), (32, 3), (24, 3)]:
        layers.append(nn.Conv2d(channels, out, kernel, padding=(kernel - 1) // 2))
        layers.append(nn.ReLU())
        if out != 32:
            layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
            size = size // 2
        channels = out
    layers.append(nn.Flatten())
    n = channels * size * size
    for _ in range(2):
        layers.extend([nn.Dropout(p=0.5), nn.Linear(n, 80), nn.ReLU()])
        n = 80
    layers.append(nn.Linear(n, n_classes))
    return nn.Sequential(*layers)

# %% wrong="stack-equal-only"
def stack_cost(n, k, ci, C, H, W):
    weights = 0
    channels = ci
    field = 1
    for _ in range(n):
        weights += channels * C * k**2
        channels = C
        field += k - 1
    return weights, weights * (H * W), field


def three3_vs_7(ci, C):
    if ci != C:
        return "more"
    return "less"

# %% wrong="stack-field-product"
def stack_cost(n, k, ci, C, H, W):
    ins = [ci] + [C] * (n - 1)
    weights = sum(c * C * k * k for c in ins)
    field = k * n
    return (weights, weights * H * W, field)


def three3_vs_7(ci, C):
    a = stack_cost(3, 3, ci, C, 1, 1)[0]
    b = stack_cost(1, 7, ci, C, 1, 1)[0]
    if a == b:
        return "the same"
    if a > b:
        return "more"
    return "less"

# %% wrong="vgg-pool-each"
def vgg_block(n, ci, co):
    channels = [ci] + n * [co]
    block = nn.Sequential()
    for i in range(n):
        block.append(nn.Conv2d(channels[i], channels[i + 1], kernel_size=3, padding=1))
        block.append(nn.ReLU())
        block.append(nn.MaxPool2d(2, 2))
    return block


class VGG(nn.Module):
    def __init__(self, ci, size, blocks, hidden, n_classes):
        super().__init__()
        self.features = nn.Sequential()
        side, channels = size, ci
        for n, co in blocks:
            self.features.append(vgg_block(n, channels, co))
            channels = co
            side //= 2
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels * side * side, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, n_classes),
        )

    def forward(self, x):
        maps = self.features(x)
        return self.classifier(maps)

# %% wrong="vgg-no-relu-back"
def vgg_block(n, ci, co):
    first = [nn.Conv2d(ci, co, 3, padding=1), nn.ReLU()]
    rest = []
    for _ in range(n - 1):
        rest += [nn.Conv2d(co, co, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*first, *rest, nn.MaxPool2d(2))


class VGG(nn.Module):
    def __init__(self, ci, size, blocks, hidden, n_classes):
        super().__init__()
        stages = []
        for number, channels in blocks:
            stages.append(vgg_block(number, ci, channels))
            ci = channels
            size = size // 2
        self.features = nn.Sequential(*stages)
        widths = [ci * size**2, hidden, hidden, n_classes]
        linears = [nn.Linear(a, b) for a, b in zip(widths, widths[1:])]
        self.classifier = nn.Sequential(nn.Flatten(), *linears)

    def forward(self, x):
        x = self.features(x)
        x = self.classifier(x)
        return x

# %% wrong="bottleneck-one-place"
def one_by_one_bottleneck(ci, cm, co, k, H, W):
    places = H * W
    direct = places * k * k * ci * co
    squeeze = ci * cm
    expand = places * k * k * cm * co
    narrow = squeeze + expand
    ratio = direct / narrow
    return (direct, narrow, ratio)

# %% wrong="inception-no-relu-between"
class Inception(nn.Module):
    def __init__(self, ci, c1, c2, c3, c4):
        super().__init__()

        def reduce_then(c, kernel):
            middle, out = c
            return nn.Sequential(
                nn.Conv2d(ci, middle, kernel_size=1),
                nn.Conv2d(middle, out, kernel_size=kernel, padding=kernel // 2),
                nn.ReLU(),
            )

        self.b1 = nn.Sequential(nn.Conv2d(ci, c1, kernel_size=1), nn.ReLU())
        self.b2 = reduce_then(c2, 3)
        self.b3 = reduce_then(c3, 5)
        self.b4 = nn.Sequential(nn.MaxPool2d(kernel_size=3, stride=1, padding=1), nn.Conv2d(ci, c4, kernel_size=1), nn.ReLU())

    def forward(self, x):
        outs = [branch(x) for branch in (self.b1, self.b2, self.b3, self.b4)]
        return torch.cat(outs, dim=1)

# %% wrong="fold-bias-forgotten"
def fold_conv_bn(conv, bn):
    new = nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,
        stride=conv.stride,
        padding=conv.padding,
        dilation=conv.dilation,
        groups=conv.groups,
        bias=True,
    ).to(conv.weight.dtype)
    std = torch.sqrt(bn.running_var + bn.eps)
    scale = bn.weight.detach() / std
    new.weight.data = conv.weight.detach() * scale.reshape(-1, 1, 1, 1)
    new.bias.data = bn.bias.detach() - scale * bn.running_mean
    return new

# %% wrong="fold-eps-outside"
def fold_conv_bn(conv, bn):
    merged = copy.deepcopy(conv)
    deviation = torch.sqrt(bn.running_var) + bn.eps
    gamma, beta = bn.weight.detach(), bn.bias.detach()
    with torch.no_grad():
        for c in range(conv.out_channels):
            merged.weight[c] *= gamma[c] / deviation[c]
        old = conv.bias.detach() if conv.bias is not None else torch.zeros_like(beta)
        merged.bias = nn.Parameter((old - bn.running_mean) / deviation * gamma + beta)
    return merged

# %% wrong="shift-zero-background"
def shift(images, dy, dx, background):
    H, W = images.shape[-2:]
    moved = torch.zeros_like(images)
    target_rows = slice(max(dy, 0), H + min(dy, 0))
    source_rows = slice(max(-dy, 0), H + min(-dy, 0))
    target_cols = slice(max(dx, 0), W + min(dx, 0))
    source_cols = slice(max(-dx, 0), W + min(-dx, 0))
    moved[:, :, target_rows, target_cols] = images[:, :, source_rows, source_cols]
    return moved


def shift_robustness(model, images, labels, s, background):
    def share(pictures):
        with torch.no_grad():
            guess = model(pictures).argmax(dim=1)
        return (guess == labels).sum().item() / len(labels)

    model.eval()
    clean = share(images)
    moves = [(s, 0), (-s, 0), (0, s), (0, -s)]
    total = 0.0
    for dy, dx in moves:
        total += share(shift(images, dy, dx, background))
    return clean, total / len(moves)


def wins(ours, theirs):
    count = 0
    for mine, other in zip(ours, theirs):
        if mine[0] - mine[1] < other[0] - other[1]:
            count += 1
    return count

# %% wrong="shift-training-mode"
def shift(images, dy, dx, background):
    return nn.functional.pad(images, pad=(dx, -dx, dy, -dy), mode="constant", value=background)


@torch.no_grad()
def shift_robustness(model, images, labels, s, background):
    def accuracy(batch):
        scores = model(batch)
        return torch.mean((scores.argmax(dim=1) == labels).double()).item()

    clean = accuracy(images)
    down = accuracy(shift(images, s, 0, background))
    up = accuracy(shift(images, -s, 0, background))
    right = accuracy(shift(images, 0, s, background))
    left = accuracy(shift(images, 0, -s, background))
    return clean, (down + up + right + left) / 4


def wins(ours, theirs):
    lost_ours = [clean - moved for clean, moved in ours]
    lost_theirs = [clean - moved for clean, moved in theirs]
    return len([1 for a, b in zip(lost_ours, lost_theirs) if a < b])
