# %% answer="sigmoid"
def sigmoid_stable(z: torch.Tensor) -> torch.Tensor:
    """Return 1 / (1 + exp(-z)), same shape and dtype, with finite values and slopes for every finite z."""
    numerator = torch.exp(torch.minimum(z, torch.zeros_like(z)))
    return numerator / (1 + torch.exp(-z.abs()))


def logit(p: torch.Tensor) -> torch.Tensor:
    """Return the log of the odds of p (0 to 1), the inverse of the sigmoid."""
    return torch.log(p) - torch.log(1 - p)


# %% answer="bce"
def bce_with_logits(z: torch.Tensor, y: torch.Tensor, reduction: str = "mean") -> torch.Tensor:
    """Return the binary cross entropy of logits z for targets y (same shape, 0 to 1): "none" (same shape), "mean" or "sum" ()."""
    if z.shape != y.shape:
        raise ValueError("z and y must have the same shape")
    losses = torch.logaddexp(torch.zeros_like(z), z) - y * z
    if reduction == "none":
        return losses
    elif reduction == "mean":
        return losses.mean()
    elif reduction == "sum":
        return losses.sum()
    else:
        raise ValueError("reduction must be 'none', 'mean' or 'sum'")


# %% answer="threshold"
def threshold_for_recall(p: torch.Tensor, y: torch.Tensor, r: float) -> float:
    """Return the largest t such that calling p >= t positive finds at least the share r of the positives (y == 1)."""
    positives = p[y == 1]
    n = len(positives)
    if n == 0:
        raise ValueError("there is no positive sample")
    for t in positives.sort(descending=True).values:
        found = (positives >= t).sum().item()
        if found / n >= r:
            return t.item()


# %% answer="logsumexp"
def logsumexp(Z: torch.Tensor, dim: int) -> torch.Tensor:
    """Return log(sum(exp(Z))) over the axis `dim`, which disappears; stable for large and small numbers."""
    largest = Z.amax(dim=dim, keepdim=True)
    return (Z - largest).exp().sum(dim=dim).log() + largest.squeeze(dim)


# %% answer="nll"
def nll(logp: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the mean of -logp[i, y[i]] over the samples, shape ()."""
    return -logp[torch.arange(len(y)), y].mean()


def cross_entropy(Z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the mean cross entropy of logits Z (N, K) for the classes y (N,), shape ()."""
    return nll(torch.log_softmax(Z, dim=1), y)


# %% answer="softmax-grad"
def softmax_grad(Z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the gradient (N, K) of the mean cross entropy with respect to the logits Z (N, K), for classes y (N,)."""
    grad = torch.softmax(Z, dim=1)
    grad[torch.arange(len(y)), y] -= 1
    return grad / len(y)


# %% answer="entropy"
def entropy_kl(p: torch.Tensor, q: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return H(p), H(p, q) and KL(p || q) along the last axis of p and q (..., K), each of shape (...)."""
    h = -torch.xlogy(p, p).sum(dim=-1)
    cross = -torch.xlogy(p, q).sum(dim=-1)
    return h, cross, cross - h


# %% answer="xor"
def xor_feature_map(X: torch.Tensor) -> torch.Tensor:
    """Map X (N, 2) to (N, 3): both inputs and one new feature, so that a plane separates XOR."""
    x1, x2 = X[:, 0], X[:, 1]
    return torch.stack([x1, x2, x1 * x2], dim=1)


# %% answer="fit"
def train_classifier(
    model: nn.Module,
    train: tuple[torch.Tensor, torch.Tensor],
    val: tuple[torch.Tensor, torch.Tensor],
    lr: float,
    batch_size: int,
    n_epochs: int,
    seed: int,
) -> list[float]:
    """Train `model` by SGD, leave it with the parameters of its best epoch, and return the validation accuracies."""
    X, y = train
    X_v, y_v = val
    g = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    loss_function = nn.CrossEntropyLoss()
    history = []
    best_state = None
    for epoch in range(n_epochs):
        model.train()
        order = torch.randperm(len(y), generator=g)
        for rows in order.split(batch_size):
            output = model(X[rows])
            loss = loss_function(output, y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            output = model(X_v)
        history.append((output.argmax(dim=1) == y_v).float().mean().item())
        if history.index(max(history)) == epoch:
            best_state = copy.deepcopy(model.state_dict())
    model.load_state_dict(best_state)
    return history


# %% answer="confusion"
def confusion_matrix(y: torch.Tensor, guesses: torch.Tensor, n_classes: int) -> torch.Tensor:
    """Return counts (n_classes, n_classes), int64: entry [i, j] counts samples of true class i called j."""
    counts = torch.bincount(y * n_classes + guesses, minlength=n_classes * n_classes)
    return counts.reshape(n_classes, n_classes)
