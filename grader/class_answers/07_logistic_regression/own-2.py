# %% answer="sigmoid"
def sigmoid_stable(z: torch.Tensor) -> torch.Tensor:
    """Return 1 / (1 + exp(-z)), same shape and dtype, with finite values and slopes for every finite z."""
    return torch.exp(-torch.logaddexp(torch.zeros_like(z), -z))


def logit(p: torch.Tensor) -> torch.Tensor:
    """Return the log of the odds of p (0 to 1), the inverse of the sigmoid."""
    return p.log() - torch.log1p(-p)


# %% answer="bce"
def bce_with_logits(z: torch.Tensor, y: torch.Tensor, reduction: str = "mean") -> torch.Tensor:
    """Return the binary cross entropy of logits z for targets y (same shape, 0 to 1): "none" (same shape), "mean" or "sum" ()."""
    reductions = {"none": lambda losses: losses, "mean": torch.mean, "sum": torch.sum}
    if reduction not in reductions:
        raise ValueError(f"reduction must be one of {list(reductions)}, got {reduction!r}")
    if z.shape != y.shape:
        raise ValueError(f"logits and targets differ in shape: {tuple(z.shape)} and {tuple(y.shape)}")
    return reductions[reduction](torch.logaddexp(torch.zeros_like(z), z) - y * z)


# %% answer="threshold"
def threshold_for_recall(p: torch.Tensor, y: torch.Tensor, r: float) -> float:
    """Return the largest t such that calling p >= t positive finds at least the share r of the positives (y == 1)."""
    positives = p[y == 1].sort(descending=True).values
    n = len(positives)
    if n == 0:
        raise ValueError("there is no positive, so recall is not defined")
    shares = torch.arange(1, n + 1, dtype=torch.float64) / n  # recall when the first k are found
    return positives[(shares < r).sum()].item()


# %% answer="logsumexp"
def logsumexp(Z: torch.Tensor, dim: int) -> torch.Tensor:
    """Return log(sum(exp(Z))) over the axis `dim`, which disappears; stable for large and small numbers."""
    top = Z.detach().amax(dim=dim, keepdim=True)
    return (Z - top).exp().sum(dim=dim).log() + top.squeeze(dim)


# %% answer="nll"
def nll(logp: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the mean of -logp[i, y[i]] over the samples, shape ()."""
    return -logp.gather(1, y[:, None]).mean()


def cross_entropy(Z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the mean cross entropy of logits Z (N, K) for the classes y (N,), shape ()."""
    return nll(Z.log_softmax(dim=1), y)


# %% answer="softmax-grad"
def softmax_grad(Z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the gradient (N, K) of the mean cross entropy with respect to the logits Z (N, K), for classes y (N,)."""
    n, k = Z.shape
    return (Z.softmax(dim=1) - nn.functional.one_hot(y, k)) / n


# %% answer="entropy"
def entropy_kl(p: torch.Tensor, q: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return H(p), H(p, q) and KL(p || q) along the last axis of p and q (..., K), each of shape (...)."""
    own, other = torch.special.entr(p), -torch.xlogy(p, q)
    return own.sum(dim=-1), other.sum(dim=-1), (other - own).sum(dim=-1)


# %% answer="xor"
def xor_feature_map(X: torch.Tensor) -> torch.Tensor:
    """Map X (N, 2) to (N, 3): both inputs and one new feature, so that a plane separates XOR."""
    return torch.cat([X, X.prod(dim=1, keepdim=True)], dim=1)


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
    (X, y), (X_val, y_val) = train, val
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    history = []
    for epoch in range(n_epochs):
        model.train()
        for rows in torch.randperm(len(y), generator=generator).split(batch_size):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            right = model(X_val).argmax(dim=1) == y_val
        history.append(right.double().mean().item())
        if history.index(max(history)) == epoch:
            best = copy.deepcopy(model.state_dict())
    model.load_state_dict(best)
    return history


# %% answer="confusion"
def confusion_matrix(y: torch.Tensor, guesses: torch.Tensor, n_classes: int) -> torch.Tensor:
    """Return counts (n_classes, n_classes), int64: entry [i, j] counts samples of true class i called j."""
    return torch.bincount(y * n_classes + guesses, minlength=n_classes**2).view(n_classes, n_classes)
