# %% answer="sigmoid"
def sigmoid_stable(z: torch.Tensor) -> torch.Tensor:
    """Return 1 / (1 + exp(-z)), same shape and dtype, with finite values and slopes for every finite z."""
    # z >= 0: 1 / (1 + exp(-z)), z < 0: exp(z) / (1 + exp(z)), in one fraction.
    # minimum has slope 1/2 at z = 0 and abs has 0 there: 1/2 * 1/2 = 1/4, as it should be
    zero = torch.zeros_like(z)
    numerator = torch.exp(torch.minimum(z, zero))
    denominator = 1 + torch.exp(-torch.abs(z))
    return numerator / denominator


def logit(p: torch.Tensor) -> torch.Tensor:
    """Return the log of the odds of p (0 to 1), the inverse of the sigmoid."""
    return torch.log(p) - torch.log(1 - p)


# %% answer="bce"
def bce_with_logits(z: torch.Tensor, y: torch.Tensor, reduction: str = "mean") -> torch.Tensor:
    """Return the binary cross entropy of logits z for targets y (same shape, 0 to 1): "none" (same shape), "mean" or "sum" ()."""
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"unknown reduction {reduction!r}")
    if z.shape != y.shape:
        raise ValueError(f"different shapes: {tuple(z.shape)} and {tuple(y.shape)}")
    # ln(e^0 + e^z) - y z
    losses = torch.logaddexp(torch.zeros_like(z), z) - y * z
    if reduction == "mean":
        return losses.mean()
    if reduction == "sum":
        return losses.sum()
    return losses


# %% answer="threshold"
def threshold_for_recall(p: torch.Tensor, y: torch.Tensor, r: float) -> float:
    """Return the largest t such that calling p >= t positive finds at least the share r of the positives (y == 1)."""
    # only the probabilities of the positives can be the answer
    positives = []
    for chance, truth in zip(p.tolist(), y.tolist(), strict=True):
        if truth == 1:
            positives.append(chance)
    n = len(positives)
    if n == 0:
        raise ValueError("there is no positive")

    # from the largest down: with the k-th as threshold at least k are found
    positives.sort(reverse=True)
    for k in range(1, n + 1):
        if k / n >= r:
            return positives[k - 1]
    return positives[-1]


# %% answer="logsumexp"
def logsumexp(Z: torch.Tensor, dim: int) -> torch.Tensor:
    """Return log(sum(exp(Z))) over the axis `dim`, which disappears; stable for large and small numbers."""
    # the largest number is only a shift that cancels, so no slope has to go through it
    largest = Z.detach().amax(dim=dim, keepdim=True)
    total = torch.exp(Z - largest).sum(dim=dim)
    return torch.log(total) + largest.squeeze(dim)


# %% answer="nll"
def nll(logp: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the mean of -logp[i, y[i]] over the samples, shape ()."""
    picked = []
    for i in range(len(y)):
        picked.append(logp[i, y[i]])
    return -torch.stack(picked).mean()


def cross_entropy(Z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the mean cross entropy of logits Z (N, K) for the classes y (N,), shape ()."""
    return nll(torch.log_softmax(Z, dim=1), y)


# %% answer="softmax-grad"
def softmax_grad(Z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the gradient (N, K) of the mean cross entropy with respect to the logits Z (N, K), for classes y (N,)."""
    n = len(y)
    gradient = torch.softmax(Z, dim=1)  # a new tensor, Z is not touched
    for i in range(n):
        gradient[i, y[i]] -= 1  # P - Y
    return gradient / n


# %% answer="entropy"
def entropy_kl(p: torch.Tensor, q: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return H(p), H(p, q) and KL(p || q) along the last axis of p and q (..., K), each of shape (...)."""
    p_log_p = torch.xlogy(p, p)  # 0 where p is 0
    p_log_q = torch.xlogy(p, q)
    entropy = -p_log_p.sum(dim=-1)
    cross = -p_log_q.sum(dim=-1)
    kl = (p_log_p - p_log_q).sum(dim=-1)
    return entropy, cross, kl


# %% answer="xor"
def xor_feature_map(X: torch.Tensor) -> torch.Tensor:
    """Map X (N, 2) to (N, 3): both inputs and one new feature, so that a plane separates XOR."""
    x1 = X[:, 0]
    x2 = X[:, 1]
    both = x1 * x2  # 1 at (1, 1) only; x1 + x2 - 2 both is then 0, 1, 1, 0
    return torch.stack([x1, x2, both], dim=1)


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
    X_check, y_check = val
    n = len(y)
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    loss_function = nn.CrossEntropyLoss()  # takes logits
    history = []
    best_accuracy = -1.0
    best_state = None
    for _ in range(n_epochs):
        # training
        model.train()
        order = torch.randperm(n, generator=generator)
        for first in range(0, n, batch_size):
            rows = order[first : first + batch_size]
            loss = loss_function(model(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        # validation
        model.eval()
        with torch.no_grad():
            guesses = model(X_check).argmax(dim=1)
        n_right = (guesses == y_check).sum().item()
        accuracy = n_right / len(y_check)
        history.append(accuracy)

        # `>` keeps the first of equal epochs
        if accuracy > best_accuracy:
            best_accuracy = accuracy
            best_state = copy.deepcopy(model.state_dict())

    model.load_state_dict(best_state)
    model.eval()
    return history


# %% answer="confusion"
def confusion_matrix(y: torch.Tensor, guesses: torch.Tensor, n_classes: int) -> torch.Tensor:
    """Return counts (n_classes, n_classes), int64: entry [i, j] counts samples of true class i called j."""
    counts = []
    for _ in range(n_classes):
        counts.append([0] * n_classes)
    for i, j in zip(y.tolist(), guesses.tolist(), strict=True):
        counts[i][j] = counts[i][j] + 1
    return torch.tensor(counts, dtype=torch.int64)
