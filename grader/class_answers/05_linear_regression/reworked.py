# %% wrong="mse-always-sum"
def mse(y, p, reduction="mean"):
    if tuple(y.shape) != tuple(p.shape):
        raise ValueError("y and p must have the same shape")
    if reduction not in ["mean", "sum"]:
        raise ValueError("unknown reduction: " + str(reduction))
    residuals = (y - p).flatten()
    return torch.dot(residuals, residuals)


# %% wrong="grid-transposed"
def grid_search(ws, bs, x, y):
    rows = []
    for b in bs:
        lines = torch.outer(ws, x) + b
        rows.append((lines - y).pow(2).mean(dim=1))
    losses = torch.stack(rows)
    place = int(losses.argmin())
    j = place // len(ws)
    i = place % len(ws)
    return losses, float(ws[i]), float(bs[j])


# %% wrong="grid-sum"
def grid_search(ws, bs, x, y):
    losses = torch.zeros(len(ws), len(bs), dtype=x.dtype)
    best = (0, 0)
    for i in range(len(ws)):
        for j in range(len(bs)):
            residuals = ws[i] * x + bs[j] - y
            losses[i, j] = torch.sum(residuals**2)
            if losses[i, j] < losses[best]:
                best = (i, j)
    return losses, ws[best[0]].item(), bs[best[1]].item()


# %% wrong="thirds-tie"
def search_by_thirds(f, lo, hi, n_rounds):
    done = 0
    while done < n_rounds:
        length = hi - lo
        left, right = lo + length / 3, hi - length / 3
        f_left, f_right = f(left), f(right)
        if f_left > f_right:
            lo = left
        else:
            hi = right
        done += 1
    return (lo, hi)


# %% wrong="gd-step-uphill"
def gd_step(X, y, w, lr):
    n = X.shape[0]
    residuals = y - X @ w
    gradient = 2 / n * torch.matmul(X.T, residuals)
    return w - lr * gradient


# %% wrong="gd-step-no-two"
def gd_step(X, y, w, lr):
    residuals = torch.mv(X, w) - y
    gradient = (residuals.unsqueeze(1) * X).mean(dim=0)
    new = w.clone()
    new -= lr * gradient
    return new


# %% wrong="max-lr-norm"
def max_stable_lr(X):
    hessian = X.T @ X * (2 / X.shape[0])
    eigenvalues = torch.linalg.eigvalsh(hessian)
    return 2 / eigenvalues.sum().item()


# %% wrong="max-lr-no-mean"
def max_stable_lr(X):
    largest_singular = float(torch.linalg.svdvals(X).max())
    largest_eigenvalue = largest_singular * largest_singular
    return 2.0 / largest_eigenvalue


# %% wrong="sgd-drops-last"
def sgd(X, y, batch_size, lr, n_epochs, seed):
    generator = torch.Generator()
    generator.manual_seed(seed)
    w = torch.zeros(X.shape[1], dtype=X.dtype)
    epochs = []
    n_batches = len(X) // batch_size
    for _ in range(n_epochs):
        order = torch.randperm(len(X), generator=generator)
        used = []
        for k in range(n_batches):
            rows = order[k * batch_size : (k + 1) * batch_size]
            residuals = X[rows] @ w - y[rows]
            gradient = 2 * (X[rows] * residuals[:, None]).mean(dim=0)
            w = w - lr * gradient
            used.append(rows)
        epochs.append(used)
    return w, epochs


# %% wrong="sgd-over-all-rows"
def batch_gradient(X, y, w, n):
    residuals = X @ w - y
    return 2 / n * (X.T @ residuals)


def sgd(X, y, batch_size, lr, n_epochs, seed):
    n, d = X.shape
    g = torch.Generator().manual_seed(seed)
    w = torch.zeros(d).to(X.dtype)
    epochs = [[] for _ in range(n_epochs)]
    for batches in epochs:
        shuffled = torch.randperm(n, generator=g)
        for first in range(0, n, batch_size):
            rows = shuffled[first : first + batch_size]
            w = w - lr * batch_gradient(X[rows], y[rows], w, n)
            batches.append(rows)
    return w, epochs


# %% wrong="ewma-correction-fed-back"
def ewma(x, beta, bias_correct=True):
    result = torch.zeros_like(x)
    power = 1.0
    last = 0.0
    for i in range(len(x)):
        power *= beta
        result[i] = beta * last + (1 - beta) * x[i]
        if bias_correct:
            result[i] = result[i] / (1 - power)
        last = result[i].item()
    return result


# %% wrong="ewma-starts-at-first"
def ewma(x, beta, bias_correct=True):
    values = x.tolist()
    average = values[0]
    averages = []
    for t, value in enumerate(values):
        average += (1 - beta) * (value - average)
        divisor = 1 - beta ** (t + 1) if bias_correct else 1.0
        averages.append(average / divisor)
    return torch.tensor(averages, dtype=x.dtype)


# %% wrong="classify-diagonal"
def classify_stationary(H, tol=1e-6):
    up = down = 0
    for k in range(len(H)):
        curvature = H[k, k].item()
        if curvature > tol:
            up += 1
        elif curvature < -tol:
            down += 1
    if up > 0 and down > 0:
        return "saddle"
    if up == len(H):
        return "minimum"
    if down == len(H):
        return "maximum"
    return "degenerate"


# %% wrong="escape-row"
def escape_saddle(H, tol=1e-6):
    result = torch.linalg.eigh(H)
    lowest = int(result.eigenvalues.argmin())
    if not result.eigenvalues[lowest] < -tol:
        return None
    return result.eigenvectors[lowest, :]


# %% wrong="fit-nan-silently"
def fit(X, y, lr, tol=1e-6, max_steps=100_000):
    n, d = X.shape
    w = torch.zeros(d, dtype=X.dtype)
    n_steps = 0
    while n_steps < max_steps:
        gradient = 2 / n * (X.T @ (X @ w - y))
        length = torch.linalg.vector_norm(gradient).item()
        if length <= tol:
            break
        w = w - lr * gradient
        n_steps += 1
    return w, n_steps


# %% wrong="fit-largest-entry"
def fit(X, y, lr, tol=1e-6, max_steps=100_000):
    def slope_at(w):
        residuals = X @ w - y
        return 2 * (X * residuals[:, None]).mean(dim=0)

    w = torch.zeros(X.shape[1], dtype=X.dtype)
    for step in range(max_steps):
        gradient = slope_at(w)
        size = max(abs(v) for v in gradient.tolist())
        if not torch.isfinite(gradient.norm()):
            raise FloatingPointError(f"the gradient is no finite number after {step} updates")
        if size <= tol:
            return w, step
        w = w - lr * gradient
    return w, max_steps
