# %% answer="mse"
def mse(y: torch.Tensor, p: torch.Tensor, reduction: str = "mean") -> torch.Tensor:
    """Return the squared error of predictions `p` for targets `y` (same shape), averaged or summed, shape ().

    Raises ValueError for different shapes and for a reduction other than "mean" and "sum".
    """
    if reduction != "mean" and reduction != "sum":
        raise ValueError(f"reduction must be 'mean' or 'sum', got {reduction!r}")
    if y.shape != p.shape:
        raise ValueError(f"different shapes: {tuple(y.shape)} and {tuple(p.shape)}")
    squares = (p - y) ** 2
    if reduction == "sum":
        return squares.sum()
    return squares.mean()


# %% answer="grid"
def grid_search(ws: torch.Tensor, bs: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, float, float]:
    """Return the MSE of each line ws[i] x + bs[j], shape (W, B), and the first pair (w, b) with the smallest."""
    rows = []
    for w in ws:
        # all biases at once: (B, 1) against (N,) gives (B, N)
        residuals = w * x + bs[:, None] - y
        rows.append((residuals**2).mean(dim=1))
    losses = torch.stack(rows)

    # look for the smallest; `<` keeps the first of equal ones
    values = losses.tolist()
    best_i, best_j = 0, 0
    for i in range(len(ws)):
        for j in range(len(bs)):
            if values[i][j] < values[best_i][best_j]:
                best_i, best_j = i, j
    return losses, ws[best_i].item(), bs[best_j].item()


# %% answer="thirds"
def search_by_thirds(f, lo: float, hi: float, n_rounds: int) -> tuple[float, float]:
    """Return the interval (lo, hi) that n_rounds of search by thirds keep; 2 * n_rounds calls of `f` in all."""
    for _ in range(n_rounds):
        third = (hi - lo) / 3
        a = lo + third
        b = hi - third
        if f(a) < f(b):
            hi = b
        else:
            lo = a
    return lo, hi


# %% answer="gd-step"
def gd_step(X: torch.Tensor, y: torch.Tensor, w: torch.Tensor, lr: float) -> torch.Tensor:
    """Return w (D,) after one gradient step on mean((X w - y)²), for X (N, D) and y (N,); `w` is left alone."""
    n = len(y)
    residuals = X @ w - y  # (N,)
    gradient = 2 / n * (X.T @ residuals)  # (D,)
    return w - lr * gradient


# %% answer="max-lr"
def max_stable_lr(X: torch.Tensor) -> float:
    """Return 2 / λ_max of the Hessian of mean((X w - y)²) for X (N, D), as a float."""
    n = len(X)
    hessian = 2 / n * (X.T @ X)
    eigenvalues = torch.linalg.eigvalsh(hessian)
    largest = eigenvalues[-1].item()  # they are sorted
    return 2 / largest


# %% answer="sgd"
def sgd(
    X: torch.Tensor, y: torch.Tensor, batch_size: int, lr: float, n_epochs: int, seed: int
) -> tuple[torch.Tensor, list[list[torch.Tensor]]]:
    """Return w (D,) after n_epochs of mini-batch descent from zeros, and per epoch the list of batches (row numbers)."""
    n = len(y)
    generator = torch.Generator().manual_seed(seed)
    w = torch.zeros(X.shape[1], dtype=X.dtype)
    epochs = []
    for _ in range(n_epochs):
        order = torch.randperm(n, generator=generator)
        batches = []
        for first in range(0, n, batch_size):
            rows = order[first : first + batch_size]
            batches.append(rows)
            # one step on the mean over the rows of this batch
            residuals = X[rows] @ w - y[rows]
            gradient = 2 / len(rows) * (X[rows].T @ residuals)
            w = w - lr * gradient
        epochs.append(batches)
    return w, epochs


# %% answer="ewma"
def ewma(x: torch.Tensor, beta: float, bias_correct: bool = True) -> torch.Tensor:
    """Return the exponential average of x (T,) at every t = 1 … T, shape (T,), divided by 1 - beta^t if bias_correct."""
    result = torch.zeros_like(x)
    v = 0.0
    for t in range(1, len(x) + 1):
        v = beta * v + (1 - beta) * x[t - 1]
        if bias_correct:
            result[t - 1] = v / (1 - beta**t)
        else:
            result[t - 1] = v
    return result


# %% answer="classify"
def classify_stationary(H: torch.Tensor, tol: float = 1e-6) -> str:
    """Return "minimum", "maximum", "saddle" or "degenerate" for the symmetric Hessian H (D, D) at a stationary point."""
    # count the signs
    n_positive = 0
    n_negative = 0
    eigenvalues = torch.linalg.eigvalsh(H)
    for value in eigenvalues:
        if value > tol:
            n_positive = n_positive + 1
        elif value < -tol:
            n_negative = n_negative + 1

    if n_positive > 0 and n_negative > 0:
        return "saddle"
    if n_positive == len(eigenvalues):
        return "minimum"
    if n_negative == len(eigenvalues):
        return "maximum"
    return "degenerate"


# %% answer="escape"
def escape_saddle(H: torch.Tensor, tol: float = 1e-6) -> torch.Tensor | None:
    """Return a unit eigenvector (D,) of the most negative eigenvalue of the symmetric H (D, D), or None if none is < -tol."""
    values, vectors = torch.linalg.eigh(H)
    # ascending, so the first one is the most negative
    if values[0] < -tol:
        return vectors[:, 0]
    return None


# %% answer="fit"
def fit(X: torch.Tensor, y: torch.Tensor, lr: float, tol: float = 1e-6, max_steps: int = 100_000) -> tuple[torch.Tensor, int]:
    """Return w (D,) and the number of updates of gradient descent on mean((X w - y)²), stopped at a gradient norm <= tol.

    Raises FloatingPointError when the norm of the gradient is not finite.
    """
    n = len(y)
    w = torch.zeros(X.shape[1], dtype=X.dtype)
    for k in range(max_steps):
        # k updates have been made up to here
        gradient = 2 / n * (X.T @ (X @ w - y))
        length = gradient.norm()
        if not torch.isfinite(length):
            raise FloatingPointError(f"the descent diverged after {k} updates")
        if length <= tol:
            return w, k
        w = w - lr * gradient
    return w, max_steps
