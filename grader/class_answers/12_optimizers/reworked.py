# %% wrong="groups-one-rate"
class GroupSGD:
    def __init__(self, params, lr):
        self.default_lr = lr
        params = list(params)
        if isinstance(params[0], dict):
            given = params
        else:
            given = [dict(params=params)]
        self.param_groups = []
        known = set()
        for entry in given:
            group = {"params": [], "lr": entry.get("lr", lr)}
            for p in entry["params"]:
                if id(p) in known:
                    raise ValueError("this parameter is in the list already")
                known.add(id(p))
                group["params"].append(p)
            self.param_groups.append(group)

    def _all(self):
        for group in self.param_groups:
            yield from group["params"]

    def zero_grad(self):
        for p in self._all():
            p.grad = None

    @torch.no_grad()
    def step(self):
        for p in self._all():
            if p.grad is None:
                continue
            p -= self.default_lr * p.grad


# %% wrong="groups-needs-gradient"
class GroupSGD:
    def __init__(self, params, lr):
        entries = list(params)
        if type(entries[0]) is not dict:
            entries = [{"params": entries}]
        self.param_groups = []
        for entry in entries:
            rate = entry["lr"] if "lr" in entry else lr
            self.param_groups.append({"params": [*entry["params"]], "lr": rate})
        places = {}
        for group in self.param_groups:
            for p in group["params"]:
                places[id(p)] = places.get(id(p), 0) + 1
        if max(places.values()) > 1:
            raise ValueError("a parameter may be listed only once")

    def zero_grad(self):
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = None

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                change = group["lr"] * p.grad
                p -= change


# %% wrong="sgdm-lr-inside"
class SGDM(HandOptimizer):
    def __init__(self, params, lr, momentum=0.0, dampening=0.0, nesterov=False):
        if nesterov:
            if momentum <= 0:
                raise ValueError("Nesterov needs a momentum above 0")
            if dampening != 0:
                raise ValueError("Nesterov allows no dampening")
        defaults = dict(lr=lr, momentum=momentum, dampening=dampening, nesterov=nesterov)
        super().__init__(params, defaults)

    def update(self, p, g, state, group):
        move = group["lr"] * g
        mu = group["momentum"]
        if mu > 0:
            if "velocity" in state:
                state["velocity"].mul_(mu).add_(move, alpha=1 - group["dampening"])
            else:
                state["velocity"] = move.clone()
            if group["nesterov"]:
                move = move + mu * state["velocity"]
            else:
                move = state["velocity"]
        p -= move


# %% wrong="sgdm-dampened-start"
class SGDM(HandOptimizer):
    def __init__(self, params, lr, momentum=0.0, dampening=0.0, nesterov=False):
        if nesterov and not (momentum > 0 and dampening == 0):
            raise ValueError("nesterov=True needs momentum > 0 and dampening 0")
        super().__init__(params, {"lr": lr, "momentum": momentum, "dampening": dampening, "nesterov": nesterov})

    def update(self, p, g, state, group):
        direction = g
        if group["momentum"] != 0:
            if "v" not in state:
                state["v"] = torch.zeros_like(p)
            v = state["v"]
            v *= group["momentum"]
            v += g * (1 - group["dampening"])
            direction = v.clone()
            if group["nesterov"]:
                direction = g + group["momentum"] * v
        p.add_(direction, alpha=-group["lr"])


# %% wrong="adagrad-late-decay"
class Adagrad(HandOptimizer):
    def __init__(self, params, lr=0.01, lr_decay=0.0, eps=1e-10):
        super().__init__(params, dict(lr=lr, lr_decay=lr_decay, eps=eps))

    def update(self, p, g, state, group):
        if not state:
            state["squares"] = torch.zeros_like(g)
            state["count"] = 0
        state["count"] += 1
        state["squares"].addcmul_(g, g)
        rate = group["lr"] / (1 + group["lr_decay"] * state["count"])
        p -= rate * g / (torch.sqrt(state["squares"]) + group["eps"])


# %% wrong="adagrad-eps-inside"
class Adagrad(HandOptimizer):
    def __init__(self, params, lr=0.01, lr_decay=0.0, eps=1e-10):
        super().__init__(params, dict(lr=lr, lr_decay=lr_decay, eps=eps))

    def update(self, p, g, state, group):
        steps_before = state.get("steps", 0)
        total = g.square() if steps_before == 0 else state["total"] + g.square()
        state["steps"], state["total"] = steps_before + 1, total
        rate = group["lr"] / (1 + steps_before * group["lr_decay"])
        p.sub_(rate * g * torch.rsqrt(total + group["eps"]))


# %% wrong="rmsprop-swapped"
class RMSprop(HandOptimizer):
    def __init__(self, params, lr=0.01, alpha=0.99, eps=1e-8):
        super().__init__(params, dict(lr=lr, alpha=alpha, eps=eps))

    def update(self, p, g, state, group):
        if "average" not in state:
            state["average"] = torch.zeros_like(g)
        average = state["average"]
        average += group["alpha"] * (g.square() - average)
        root = torch.sqrt(average)
        p.addcdiv_(g, root + group["eps"], value=-group["lr"])


# %% wrong="rmsprop-corrected"
class RMSprop(HandOptimizer):
    def __init__(self, params, lr=0.01, alpha=0.99, eps=1e-8):
        super().__init__(params, dict(lr=lr, alpha=alpha, eps=eps))

    def update(self, p, g, state, group):
        alpha = group["alpha"]
        if len(state) == 0:
            state["s"], state["fade"] = torch.zeros_like(p), 1.0
        state["fade"] *= alpha
        state["s"].mul_(alpha).add_(g**2, alpha=1 - alpha)
        root = (state["s"] / (1 - state["fade"])) ** 0.5
        p -= group["lr"] * g / (root + group["eps"])


# %% wrong="averages-no-root"
def effective_steps(betas):
    _, beta = betas
    n_half, old = 0, 1.0
    while old > 0.5:
        old *= beta
        n_half += 1
    return 1 / (1 - beta), n_half


def early_factor(k, betas):
    m, v = 0.0, 0.0
    for _ in range(k):
        m = betas[0] * m + (1 - betas[0])
        v = betas[1] * v + (1 - betas[1])
    return m / v


# %% wrong="averages-inverted"
def effective_steps(betas):
    beta = betas[1]
    length = 1.0 / (1.0 - beta)
    n = 1
    while 1 - beta**n < 0.5:
        n += 1
    return length, n


def early_factor(k, betas):
    first, second = (1 - beta**k for beta in betas)
    without = first / math.sqrt(second)
    corrected = 1.0
    return corrected / without


# %% wrong="adam-no-correction"
class Adam(HandOptimizer):
    def __init__(self, params, lr=0.001, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps))

    def update(self, p, g, state, group):
        beta1, beta2 = group["betas"]
        if len(state) == 0:
            state["mean"] = torch.zeros_like(g)
            state["square"] = torch.zeros_like(g)
        state["mean"].mul_(beta1).add_(g, alpha=1 - beta1)
        state["square"].mul_(beta2).addcmul_(g, g, value=1 - beta2)
        divisor = torch.sqrt(state["square"]) + group["eps"]
        p.addcdiv_(state["mean"], divisor, value=-group["lr"])


# %% wrong="adam-k-shared"
class Adam(HandOptimizer):
    def __init__(self, params, lr=0.001, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps))
        self.n_updates = 0

    def update(self, p, g, state, group):
        self.n_updates = self.n_updates + 1
        beta1, beta2 = group["betas"]
        m = state.setdefault("m", torch.zeros_like(p))
        v = state.setdefault("v", torch.zeros_like(p))
        m.lerp_(g, 1 - beta1)
        v.lerp_(g * g, 1 - beta2)
        mean = m / (1 - beta1**self.n_updates)
        root = torch.sqrt(v / (1 - beta2**self.n_updates))
        p -= group["lr"] * mean / (root + group["eps"])


# %% wrong="race-no-half"
def race(makers, H, start, rates, tol, max_steps):
    def loss_at(theta):
        return torch.dot(theta, H @ theta).item()

    def count_steps(make, lr):
        theta = start.clone()
        optimizer = make([theta], lr)
        steps = 0
        while not loss_at(theta) <= tol:
            if steps == max_steps:
                return None
            theta.grad = H @ theta
            optimizer.step()
            steps += 1
        return steps

    table = {}
    for name in makers:
        arrived = [(count_steps(makers[name], lr), lr) for lr in rates]
        arrived = [run for run in arrived if run[0] is not None]
        table[name] = min(arrived, key=lambda run: run[0]) if arrived else None
    return table


# %% wrong="race-start-moves"
def race(makers, H, start, rates, tol, max_steps):
    def run(make, lr):
        theta = start.detach()
        optimizer = make([theta], lr)
        for k in range(max_steps + 1):
            loss = 0.5 * (theta @ (H @ theta))
            if loss <= tol:
                return k
            theta.grad = torch.mv(H, theta)
            optimizer.step()
        return math.inf

    answer = {}
    for name, make in makers.items():
        best_steps, best_rate = math.inf, None
        for lr in rates:
            steps = run(make, lr)
            if steps < best_steps:
                best_steps, best_rate = steps, lr
        answer[name] = None if best_rate is None else (best_steps, best_rate)
    return answer


# %% wrong="noise-never-replaces"
def batch_noise(G, batch_size, n_batches, generator, replacement=True):
    n = G.shape[0]
    draws = [torch.randperm(n, generator=generator) for _ in range(n_batches)]
    rows = torch.stack(draws)[:, :batch_size]
    gaps = G[rows].mean(dim=1) - G.mean(dim=0)
    return gaps.pow(2).sum(dim=1).mean().item()


# %% wrong="noise-mean-over-d"
def batch_noise(G, batch_size, n_batches, generator, replacement=True):
    middle = G.mean(dim=0)
    weights = torch.ones(len(G), dtype=G.dtype)
    rows = torch.multinomial(weights.expand(n_batches, -1), batch_size, replacement, generator=generator)
    means = torch.stack([G[batch].mean(dim=0) for batch in rows])
    squares = (means - middle) ** 2
    return squares.mean().item()
