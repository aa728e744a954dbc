# %% wrong="sigmoid-ratio"
def sigmoid_stable(z):
    grown = torch.exp(z)
    return torch.div(grown, grown + 1)


def logit(p):
    return torch.log(p) - torch.log1p(-p)


# %% wrong="sigmoid-cut-off"
def sigmoid_stable(z):
    limit = torch.full_like(z, 60.0)
    inside = torch.maximum(torch.minimum(z, limit), -limit)
    e = inside.exp()
    return e / (1 + e)


def logit(p):
    odds = p / (1 - p)
    return odds.log()


# %% wrong="bce-clamped-log"
def bce_with_logits(z, y, reduction="mean"):
    if z.shape != y.shape:
        raise ValueError("z and y have different shapes")
    small = 1e-7
    p = torch.exp(-torch.logaddexp(torch.zeros_like(z), -z))
    yes = torch.log(torch.clamp(p, min=small, max=1 - small))
    no = torch.log(torch.clamp(1 - p, min=small, max=1 - small))
    losses = -y * yes - (1 - y) * no
    if reduction == "none":
        return losses
    if reduction == "mean":
        return losses.mean()
    if reduction == "sum":
        return losses.sum()
    raise ValueError("reduction must be none, mean or sum")


# %% wrong="bce-textbook-slope"
def bce_with_logits(z, y, reduction="mean"):
    reductions = {"none": lambda t: t, "mean": torch.mean, "sum": torch.sum}
    if reduction not in reductions or tuple(z.shape) != tuple(y.shape):
        raise ValueError("wrong reduction or wrong shapes")
    tail = torch.log(1 + torch.exp(-torch.abs(z)))
    losses = torch.relu(z) - y * z + tail
    return reductions[reduction](losses)


# %% wrong="threshold-strict-recall"
def threshold_for_recall(p, y, r):
    found = sorted([chance for chance, label in zip(p.tolist(), y.tolist()) if label == 1], reverse=True)
    if not found:
        raise ValueError("there is no positive sample")
    for k, chance in enumerate(found, start=1):
        if k / len(found) > r:
            return chance
    return found[-1]


# %% wrong="threshold-smallest"
def threshold_for_recall(p, y, r):
    n_positive = int((y == 1).sum())
    if n_positive == 0:
        raise ValueError("no positives, so no recall")
    for t in sorted(p.tolist()):
        hits = int(((p >= t) & (y == 1)).sum())
        if hits / n_positive >= r:
            return t


# %% wrong="logsumexp-one-maximum"
def logsumexp(Z, dim):
    largest = torch.amax(Z)
    total = (Z - largest).exp().sum(dim=dim)
    return largest + total.log()


# %% wrong="logsumexp-maximum-lost"
def logsumexp(Z, dim):
    largest, _ = torch.max(Z, dim=dim, keepdim=True)
    shifted = Z - largest
    sums = torch.exp(shifted).sum(dim=dim)
    return sums.log()


# %% wrong="nll-over-samples"
def nll(logp, y):
    picked = [row[k] for row, k in zip(logp, y)]
    return -torch.stack(picked).mean()


def cross_entropy(Z, y):
    logp = Z - torch.logsumexp(Z, dim=0, keepdim=True)
    return nll(logp, y)


# %% wrong="softmax-grad-no-mean"
def softmax_grad(Z, y):
    gradient = torch.empty_like(Z)
    for i in range(len(y)):
        gradient[i] = torch.softmax(Z[i], dim=0)
        gradient[i, y[i]] -= 1
    return gradient


# %% wrong="softmax-grad-sign"
def softmax_grad(Z, y):
    n, k = Z.shape
    truth = (y.unsqueeze(1) == torch.arange(k)).to(Z.dtype)
    difference = truth - Z.softmax(dim=-1)
    return difference / n


# %% wrong="entropy-epsilon"
def entropy_kl(p, q):
    small = 1e-12

    def weighted_log(weights, inside):
        return torch.sum(weights * torch.log(inside + small), dim=-1)

    entropy = -weighted_log(p, p)
    cross = -weighted_log(p, q)
    divergence = weighted_log(p, p) - weighted_log(p, q)
    return entropy, cross, divergence


# %% wrong="xor-leak-difference"
def xor_feature_map(X):
    first, second = X.unbind(dim=1)
    new = first + second - 2 * first * second
    return torch.stack([first, second, new], dim=1)


# %% wrong="fit-softmax-before-loss"
def train_classifier(model, train, val, lr, batch_size, n_epochs, seed):
    X, y = train
    generator = torch.Generator()
    generator.manual_seed(seed)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    history, best_state = [], None
    for _ in range(n_epochs):
        model.train()
        order = torch.randperm(len(X), generator=generator)
        for k in range(0, len(X), batch_size):
            rows = order[k : k + batch_size]
            probabilities = torch.softmax(model(X[rows]), dim=1)
            loss = criterion(probabilities, y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            right = (model(val[0]).argmax(dim=1) == val[1]).sum().item()
        share = right / len(val[1])
        if best_state is None or share > max(history):
            best_state = copy.deepcopy(model.state_dict())
        history.append(share)
    model.load_state_dict(best_state)
    return history


# %% wrong="fit-alias"
def one_epoch(model, optimizer, X, y, order, batch_size):
    model.train()
    for rows in torch.split(order, batch_size):
        optimizer.zero_grad()
        loss = nn.CrossEntropyLoss()(model(X[rows]), y[rows])
        loss.backward()
        optimizer.step()


def share_right(model, X, y):
    model.eval()
    with torch.no_grad():
        guesses = model(X).argmax(dim=1)
    return sum(int(a == b) for a, b in zip(guesses, y)) / len(y)


def train_classifier(model, train, val, lr, batch_size, n_epochs, seed):
    g = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    history = []
    record = -1.0
    kept = {}
    for _ in range(n_epochs):
        one_epoch(model, optimizer, *train, torch.randperm(len(train[1]), generator=g), batch_size)
        history.append(share_right(model, *val))
        if history[-1] > record:
            record = history[-1]
            kept = {name: tensor for name, tensor in model.state_dict().items()}
    model.load_state_dict(kept)
    return history


# %% wrong="confusion-transposed"
def confusion_matrix(y, guesses, n_classes):
    counts = torch.zeros((n_classes, n_classes), dtype=torch.int64)
    for truth, guess in zip(y.tolist(), guesses.tolist()):
        counts[guess, truth] += 1
    return counts
