# %% answer="mse"
def mse(y: torch.Tensor, p: torch.Tensor, reduction: str = "mean") -> torch.Tensor:
    """Return the squared error of predictions `p` for targets `y` (same shape), averaged or summed, shape ().

    Raises ValueError for different shapes and for a reduction other than "mean" and "sum".
    """
    if y.shape != p.shape:
        raise ValueError("different shapes")
    if reduction not in ("mean", "sum"):
        raise ValueError("unknown reduction")
    squares = (p - y) ** 2
    return squares.mean() if reduction == "mean" else squares.sum()


# %% answer="grid"
def grid_search(ws: torch.Tensor, bs: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, float, float]:
    """Return the MSE of each line ws[i] x + bs[j], shape (W, B), and the first pair (w, b) with the smallest."""
    p = ws[:, None, None] * x + bs[:, None]  # (W, B, N)
    losses = ((p - y) ** 2).mean(-1)
    i, j = divmod(losses.argmin().item(), len(bs))
    return losses, ws[i].item(), bs[j].item()


# %% answer="thirds"
def search_by_thirds(f, lo: float, hi: float, n_rounds: int) -> tuple[float, float]:
    """Return the interval (lo, hi) that n_rounds of search by thirds keep; 2 * n_rounds calls of `f` in all."""
    for _ in range(n_rounds):
        a = lo + (hi - lo) / 3
        b = hi - (hi - lo) / 3
        if f(a) < f(b):
            hi = b
        else:
            lo = a
    return lo, hi


# %% answer="gd-step"
def gd_step(X: torch.Tensor, y: torch.Tensor, w: torch.Tensor, lr: float) -> torch.Tensor:
    """Return w (D,) after one gradient step on mean((X w - y)²), for X (N, D) and y (N,); `w` is left alone."""
    grad = 2 / len(y) * X.T @ (X @ w - y)
    return w - lr * grad


# %% answer="max-lr"
def max_stable_lr(X: torch.Tensor) -> float:
    """Return 2 / λ_max of the Hessian of mean((X w - y)²) for X (N, D), as a float."""
    H = 2 / len(X) * X.T @ X
    return 2 / torch.linalg.eigvalsh(H)[-1].item()


# %% answer="sgd"
def sgd(
    X: torch.Tensor, y: torch.Tensor, batch_size: int, lr: float, n_epochs: int, seed: int
) -> tuple[torch.Tensor, list[list[torch.Tensor]]]:
    """Return w (D,) after n_epochs of mini-batch descent from zeros, and per epoch the list of batches (row numbers)."""
    g = torch.Generator().manual_seed(seed)
    w = torch.zeros(X.shape[1], dtype=X.dtype)
    epochs = []
    for _ in range(n_epochs):
        batches = list(torch.randperm(len(y), generator=g).split(batch_size))
        for i in batches:
            grad = 2 / len(i) * X[i].T @ (X[i] @ w - y[i])
            w = w - lr * grad
        epochs.append(batches)
    return w, epochs


# %% answer="ewma"
def ewma(x: torch.Tensor, beta: float, bias_correct: bool = True) -> torch.Tensor:
    """Return the exponential average of x (T,) at every t = 1 … T, shape (T,), divided by 1 - beta^t if bias_correct."""
    out = torch.zeros_like(x)
    v = 0
    for t, x_t in enumerate(x, start=1):
        v = beta * v + (1 - beta) * x_t
        out[t - 1] = v / (1 - beta**t) if bias_correct else v
    return out


# %% answer="classify"
def classify_stationary(H: torch.Tensor, tol: float = 1e-6) -> str:
    """Return "minimum", "maximum", "saddle" or "degenerate" for the symmetric Hessian H (D, D) at a stationary point."""
    values = torch.linalg.eigvalsh(H)
    low, high = values[0], values[-1]
    if low < -tol and high > tol:
        return "saddle"
    if low > tol:
        return "minimum"
    if high < -tol:
        return "maximum"
    return "degenerate"


# %% answer="escape"
def escape_saddle(H: torch.Tensor, tol: float = 1e-6) -> torch.Tensor | None:
    """Return a unit eigenvector (D,) of the most negative eigenvalue of the symmetric H (D, D), or None if none is < -tol."""
    values, vectors = torch.linalg.eigh(H)
    if values[0] < -tol:
        return vectors[:, 0]
    return None


# %% answer="fit"
def fit(X: torch.Tensor, y: torch.Tensor, lr: float, tol: float = 1e-6, max_steps: int = 100_000) -> tuple[torch.Tensor, int]:
    """Return w (D,) and the number of updates of gradient descent on mean((X w - y)²), stopped at a gradient norm <= tol.

    Raises FloatingPointError when the norm of the gradient is not finite.
    """
    w = torch.zeros(X.shape[1], dtype=X.dtype)
    for k in range(max_steps):
        grad = 2 / len(y) * X.T @ (X @ w - y)
        norm = grad.norm()
        if not torch.isfinite(norm):
            raise FloatingPointError("diverged")
        if norm <= tol:
            return w, k
        w = w - lr * grad
    return w, max_steps
