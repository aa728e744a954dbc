# %% answer="mse"
def mse(y: torch.Tensor, p: torch.Tensor, reduction: str = "mean") -> torch.Tensor:
    """Return the squared error of predictions `p` for targets `y` (same shape), averaged or summed, shape ().

    Raises ValueError for different shapes and for a reduction other than "mean" and "sum".
    """
    if y.shape != p.shape:
        raise ValueError("y and p must have the same shape")
    if reduction not in ("mean", "sum"):
        raise ValueError("reduction must be 'mean' or 'sum'")
    squares = (p - y) ** 2
    if reduction == "mean":
        return squares.mean()
    return squares.sum()


# %% answer="grid"
def grid_search(ws: torch.Tensor, bs: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, float, float]:
    """Return the MSE of each line ws[i] x + bs[j], shape (W, B), and the first pair (w, b) with the smallest."""
    predictions = ws[:, None, None] * x + bs[None, :, None]  # (W, B, N)
    losses = ((predictions - y) ** 2).mean(dim=-1)
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
    r = X @ w - y
    grad = 2 / len(y) * X.T @ r
    return w - lr * grad


# %% answer="max-lr"
def max_stable_lr(X: torch.Tensor) -> float:
    """Return 2 / λ_max of the Hessian of mean((X w - y)²) for X (N, D), as a float."""
    H = 2 / len(X) * X.T @ X
    eigenvalues = torch.linalg.eigvalsh(H)
    return 2 / eigenvalues[-1].item()


# %% answer="sgd"
def sgd(
    X: torch.Tensor, y: torch.Tensor, batch_size: int, lr: float, n_epochs: int, seed: int
) -> tuple[torch.Tensor, list[list[torch.Tensor]]]:
    """Return w (D,) after n_epochs of mini-batch descent from zeros, and per epoch the list of batches (row numbers)."""
    generator = torch.Generator().manual_seed(seed)
    w = torch.zeros(X.shape[1], dtype=X.dtype)
    epochs = []
    for _ in range(n_epochs):
        order = torch.randperm(len(X), generator=generator)
        batches = list(order.split(batch_size))
        for batch in batches:
            Xb, yb = X[batch], y[batch]
            grad = 2 / len(batch) * Xb.T @ (Xb @ w - yb)
            w = w - lr * grad
        epochs.append(batches)
    return w, epochs


# %% answer="ewma"
def ewma(x: torch.Tensor, beta: float, bias_correct: bool = True) -> torch.Tensor:
    """Return the exponential average of x (T,) at every t = 1 … T, shape (T,), divided by 1 - beta^t if bias_correct."""
    result = torch.zeros_like(x)
    v = 0.0
    for t, x_t in enumerate(x, start=1):
        v = beta * v + (1 - beta) * x_t
        if bias_correct:
            result[t - 1] = v / (1 - beta**t)
        else:
            result[t - 1] = v
    return result


# %% answer="classify"
def classify_stationary(H: torch.Tensor, tol: float = 1e-6) -> str:
    """Return "minimum", "maximum", "saddle" or "degenerate" for the symmetric Hessian H (D, D) at a stationary point."""
    eigenvalues = torch.linalg.eigvalsh(H)
    smallest, largest = eigenvalues[0], eigenvalues[-1]
    if smallest < -tol and largest > tol:
        return "saddle"
    if smallest > tol:
        return "minimum"
    if largest < -tol:
        return "maximum"
    return "degenerate"


# %% answer="escape"
def escape_saddle(H: torch.Tensor, tol: float = 1e-6) -> torch.Tensor | None:
    """Return a unit eigenvector (D,) of the most negative eigenvalue of the symmetric H (D, D), or None if none is < -tol."""
    eigenvalues, eigenvectors = torch.linalg.eigh(H)
    if eigenvalues[0] < -tol:
        return eigenvectors[:, 0]
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
            raise FloatingPointError("the descent has diverged")
        if norm <= tol:
            return w, k
        w = w - lr * grad
    return w, max_steps
