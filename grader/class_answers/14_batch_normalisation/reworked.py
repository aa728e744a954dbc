# %% wrong="scaling-ddof"
def zscore(X, train):
    mu = train.mean(dim=0)
    sigma = torch.std(train, dim=0)
    constant = (train == train[0]).all(dim=0)
    sigma = sigma.masked_fill(constant, 1.0)
    return (X - mu).div(sigma)


def minmax(X, train):
    smallest = train.min(dim=0).values
    largest = train.max(dim=0).values
    span = largest - smallest
    span[span == 0] = 1
    return (X - smallest) / span


def maxscale(X, train):
    biggest = train.abs().max(dim=0).values
    biggest[biggest == 0] = 1
    return X / biggest

# %% wrong="scaling-std-zero"
EPS = 1e-8


def zscore(X, train):
    mean = train.sum(dim=0) / len(train)
    sd = torch.sqrt(torch.mean((train - mean) ** 2, dim=0))
    return (X - mean) / (sd + EPS)


def minmax(X, train):
    lo = torch.amin(train, dim=0)
    width = torch.amax(train, dim=0) - lo
    return (X - lo) / (width + EPS)


def maxscale(X, train):
    m = torch.max(train.abs(), dim=0)[0]
    return X / (m + EPS)

# %% wrong="batchnorm-biased-running"
class MyBatchNorm(nn.Module):
    def __init__(self, n_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n_features))
        self.bias = nn.Parameter(torch.zeros(n_features))
        self.register_buffer("running_mean", torch.zeros(n_features))
        self.register_buffer("running_var", torch.ones(n_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))
        self.momentum = momentum
        self.eps = eps

    def _remember(self, mean, var):
        self.num_batches_tracked.add_(1)
        if self.momentum is None:
            share = 1.0 / int(self.num_batches_tracked)
        else:
            share = self.momentum
        self.running_mean.mul_(1 - share).add_(share * mean)
        self.running_var.mul_(1 - share).add_(share * var)

    def forward(self, x):
        n = len(x)
        if n < 2:
            raise ValueError("need at least two samples")
        mean = x.sum(dim=0) / n
        centred = x - mean
        var = (centred**2).sum(dim=0) / n
        self._remember(mean.detach(), var.detach())
        x_hat = centred / torch.sqrt(var + self.eps)
        return x_hat * self.weight + self.bias

# %% wrong="batchnorm-optimizer-momentum"
class MyBatchNorm(nn.Module):
    def __init__(self, n_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n_features))
        self.bias = nn.Parameter(torch.zeros(n_features))
        self.register_buffer("running_mean", torch.zeros(n_features))
        self.register_buffer("running_var", torch.ones(n_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))
        self.eps = eps
        self.momentum = momentum

    def forward(self, x):
        if x.size(0) == 1:
            raise ValueError("Expected more than 1 value per channel when training")
        batch_mean = torch.mean(x, dim=0)
        batch_var = torch.var(x, dim=0, correction=0)
        self.num_batches_tracked += 1
        if self.momentum is not None:
            keep = self.momentum
        else:
            keep = (self.num_batches_tracked.item() - 1) / self.num_batches_tracked.item()
        new_mean = keep * self.running_mean + (1 - keep) * batch_mean
        new_var = keep * self.running_var + (1 - keep) * torch.var(x, dim=0)
        self.running_mean.copy_(new_mean.detach())
        self.running_var.copy_(new_var.detach())
        return self.bias + self.weight * (x - batch_mean) * torch.rsqrt(batch_var + self.eps)

# %% wrong="eval-left-in-eval"
def bn_eval(x, gamma, beta, running_mean, running_var, eps=1e-5):
    inv = 1 / torch.sqrt(running_var + eps)
    return (x - running_mean) * inv * gamma + beta


def predict_one(model, sample):
    model.train(False)
    batch = sample.reshape(1, -1)
    answer = model(batch).detach()
    return answer[0]

# %% wrong="eval-eps-outside"
def bn_eval(x, gamma, beta, running_mean, running_var, eps=1e-5):
    deviation = running_var**0.5
    normalised = (x - running_mean) / (deviation + eps)
    return normalised.mul(gamma).add(beta)


@torch.no_grad()
def predict_one(model, sample):
    training_before = model.training
    model.eval()
    y = model(sample[None, :])[0]
    if training_before:
        model.train()
    return y

# %% wrong="fold-bias-lost"
def fold_bn(linear, bn):
    std = torch.sqrt(bn.running_var + bn.eps)
    new = nn.Linear(linear.in_features, linear.out_features, bias=True)
    with torch.no_grad():
        for c in range(linear.out_features):
            factor = bn.weight[c] / std[c]
            new.weight[c] = factor * linear.weight[c]
            new.bias[c] = bn.bias[c] - factor * bn.running_mean[c]
    return new

# %% wrong="fold-fixed-eps"
def fold_bn(linear, bn):
    eps = 1e-5
    scale = bn.weight.detach() * torch.rsqrt(bn.running_var + eps)
    shift = -bn.running_mean
    if linear.bias is not None:
        shift = shift + linear.bias.detach()
    folded = nn.Linear(linear.in_features, linear.out_features)
    with torch.no_grad():
        folded.weight.copy_(torch.diag(scale) @ linear.weight)
        folded.bias.copy_(bn.bias + scale * shift)
    return folded

# %% wrong="backward-mean-path"
def bn_backward(dy, x, gamma, eps=1e-5):
    n = x.shape[0]
    mu = x.sum(0) / n
    s = torch.sqrt(((x - mu) ** 2).sum(0) / n + eps)
    xhat = (x - mu) / s
    dbeta = dy.sum(0)
    dgamma = (dy * xhat).sum(0)
    dx = gamma / s * (dy - xhat * dgamma / n)
    return dx, dgamma, dbeta

# %% wrong="backward-eps-forgotten"
def bn_backward(dy, x, gamma, eps=1e-5):
    centred = x - x.mean(dim=0, keepdim=True)
    s = centred.square().mean(dim=0).sqrt()
    x_hat = centred / s
    dgamma = torch.sum(dy * x_hat, dim=0)
    dbeta = torch.sum(dy, dim=0)
    g = gamma * dy
    g_bar = g.mean(dim=0)
    gx_bar = (g * x_hat).mean(dim=0)
    dx = torch.empty_like(x)
    for i in range(len(x)):
        dx[i] = (g[i] - g_bar - x_hat[i] * gx_bar) / s
    return dx, dgamma, dbeta

# %% wrong="layernorm-unbiased"
def layernorm(x, gamma, beta, eps=1e-5):
    v, mu = torch.var_mean(x, dim=-1, keepdim=True)
    y = (x - mu) * torch.rsqrt(v + eps)
    return y * gamma + beta

# %% wrong="layernorm-axis-one"
def layernorm(x, gamma, beta, eps=1e-5):
    D = x.shape[1]
    mean = x.sum(dim=1, keepdim=True) / D
    diff = x - mean
    variance = (diff**2).sum(dim=1, keepdim=True) / D
    return diff / torch.sqrt(variance + eps) * gamma + beta

# %% wrong="group-order"
def group_instance(x, g, eps=1e-5):
    C = x.shape[1]
    if C % g != 0:
        raise ValueError("g must divide the number of channels")
    out = torch.zeros_like(x)
    for start in range(g):
        group = x[:, start::g]
        mean = group.mean(dim=(1, 2, 3), keepdim=True)
        var = ((group - mean) ** 2).mean(dim=(1, 2, 3), keepdim=True)
        out[:, start::g] = (group - mean) / torch.sqrt(var + eps)
    return out


def n_means(kind, shape, g=1):
    N, C, H, W = shape
    if kind == "batch":
        return C
    if kind == "layer":
        return N
    if kind == "instance":
        return N * C
    return N * g

# %% wrong="group-over-batch"
def group_instance(x, g, eps=1e-5):
    n, c, h, w = x.shape
    if c % g:
        raise ValueError(f"{g} groups do not fit into {c} channels")
    parts = []
    for chunk in x.split(c // g, dim=1):
        centred = chunk - chunk.mean()
        parts.append(centred / (centred.square().mean() + eps).sqrt())
    return torch.cat(parts, dim=1)


def n_means(kind, shape, g=1):
    n, c = shape[:2]
    if kind == "batch":
        count = c
    elif kind == "layer":
        count = n
    elif kind == "instance":
        count = n * c
    else:
        count = g
    return count

# %% wrong="residual-norm-on-branch"
def post_ln(x, f, norm):
    branch = f(x)
    branch = norm(branch)
    return branch + x


def pre_ln(x, f, norm):
    x = norm(x)
    return torch.add(x, f(x))

# %% wrong="note-not-filled"
def note_fix(x, dy, gamma0, beta0):
    layer = nn.BatchNorm1d(x.size(1))
    layer.train()
    inp = x.clone().detach()
    inp.requires_grad = True
    out = layer(inp)
    (dx,) = torch.autograd.grad(out, inp, grad_outputs=dy)
    return out.detach(), dx


def right_start():
    gamma, beta = 1.0, 0.0
    return dict(gamma=gamma, beta=beta)


def corrections():
    return list("cabcabc")
