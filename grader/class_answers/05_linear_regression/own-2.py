# %% answer="mse"
def mse(y: torch.Tensor, p: torch.Tensor, reduction: str = "mean") -> torch.Tensor:
    """Return the squared error of predictions `p` for targets `y` (same shape), averaged or summed, shape ().

    Raises ValueError for different shapes and for a reduction other than "mean" and "sum".
    """
    reductions = {"mean": torch.mean, "sum": torch.sum}
    if reduction not in reductions:
        raise ValueError(f"reduction must be one of {list(reductions)}, got {reduction!r}")
    if y.shape != p.shape:
        raise ValueError(f"targets and predictions differ in shape: {tuple(y.shape)} and {tuple(p.shape)}")
    return reductions[reduction]((p - y).square())


# %% answer="grid"
def grid_search(ws: torch.Tensor, bs: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, float, float]:
    """Return the MSE of each line ws[i] x + bs[j], shape (W, B), and the first pair (w, b) with the smallest."""
    residuals = ws[:, None, None] * x + bs[:, None] - y  # (W, B, N)
    losses = residuals.square().mean(dim=-1)
    i, j = divmod(losses.argmin().item(), len(bs))
    return losses, ws[i].item(), bs[j].item()


# %% answer="thirds"
def search_by_thirds(f, lo: float, hi: float, n_rounds: int) -> tuple[float, float]:
    """Return the interval (lo, hi) that n_rounds of search by thirds keep; 2 * n_rounds calls of `f` in all."""
    for _ in range(n_rounds):
        third = (hi - lo) / 3
        a, b = lo + third, hi - third
        lo, hi = (lo, b) if f(a) < f(b) else (a, hi)
    return lo, hi


# %% answer="gd-step"
def gd_step(X: torch.Tensor, y: torch.Tensor, w: torch.Tensor, lr: float) -> torch.Tensor:
    """Return w (D,) after one gradient step on mean((X w - y)²), for X (N, D) and y (N,); `w` is left alone."""
    gradient = 2 / len(y) * (X.T @ (X @ w - y))
    return w - lr * gradient


# %% answer="max-lr"
def max_stable_lr(X: torch.Tensor) -> float:
    """Return 2 / λ_max of the Hessian of mean((X w - y)²) for X (N, D), as a float."""
    # λ_max of 2/N XᵀX is 2/N σ², with σ the largest singular value of X
    return len(X) / torch.linalg.matrix_norm(X, ord=2).item() ** 2


# %% answer="sgd"
import itertools


def sgd(
    X: torch.Tensor, y: torch.Tensor, batch_size: int, lr: float, n_epochs: int, seed: int
) -> tuple[torch.Tensor, list[list[torch.Tensor]]]:
    """Return w (D,) after n_epochs of mini-batch descent from zeros, and per epoch the list of batches (row numbers)."""
    generator = torch.Generator().manual_seed(seed)
    epochs = [list(torch.randperm(len(X), generator=generator).split(batch_size)) for _ in range(n_epochs)]
    w = X.new_zeros(X.shape[1])
    for rows in itertools.chain.from_iterable(epochs):
        w = w - lr * 2 / len(rows) * (X[rows].T @ (X[rows] @ w - y[rows]))
    return w, epochs


# %% answer="ewma"
import itertools


def ewma(x: torch.Tensor, beta: float, bias_correct: bool = True) -> torch.Tensor:
    """Return the exponential average of x (T,) at every t = 1 … T, shape (T,), divided by 1 - beta^t if bias_correct."""
    running = itertools.accumulate(x.tolist(), lambda v, new: beta * v + (1 - beta) * new, initial=0.0)
    v = torch.tensor(list(running)[1:], dtype=torch.float64)
    if bias_correct:
        v = v / (1 - beta ** torch.arange(1, len(x) + 1, dtype=torch.float64))
    return v.to(x.dtype)


# %% answer="classify"
def classify_stationary(H: torch.Tensor, tol: float = 1e-6) -> str:
    """Return "minimum", "maximum", "saddle" or "degenerate" for the symmetric Hessian H (D, D) at a stationary point."""
    lowest, highest = torch.linalg.eigvalsh(H)[[0, -1]].tolist()
    if lowest < -tol and highest > tol:
        return "saddle"
    if lowest > tol:
        return "minimum"
    if highest < -tol:
        return "maximum"
    return "degenerate"


# %% answer="escape"
def escape_saddle(H: torch.Tensor, tol: float = 1e-6) -> torch.Tensor | None:
    """Return a unit eigenvector (D,) of the most negative eigenvalue of the symmetric H (D, D), or None if none is < -tol."""
    values, vectors = torch.linalg.eigh(H)
    return vectors[:, 0] if values[0] < -tol else None


# %% answer="fit"
def fit(X: torch.Tensor, y: torch.Tensor, lr: float, tol: float = 1e-6, max_steps: int = 100_000) -> tuple[torch.Tensor, int]:
    """Return w (D,) and the number of updates of gradient descent on mean((X w - y)²), stopped at a gradient norm <= tol.

    Raises FloatingPointError when the norm of the gradient is not finite.
    """
    w = X.new_zeros(X.shape[1])
    for n_steps in range(max_steps):
        gradient = 2 / len(y) * (X.T @ (X @ w - y))
        norm = gradient.norm()
        if not norm.isfinite():
            raise FloatingPointError(f"diverged: gradient norm {norm} after {n_steps} updates with lr {lr}")
        if norm <= tol:
            return w, n_steps
        w = w - lr * gradient
    return w, max_steps
