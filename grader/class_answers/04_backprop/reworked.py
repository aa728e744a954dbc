# %% wrong="value-assigns"
class Value:
    def __init__(self, data, parents=()):
        self.data = float(data)
        self.grad = 0.0
        self.parents = tuple(parents)
        self.push = lambda: None

    def _result(self, data, parents, slopes):
        out = Value(data, parents)

        def push():
            for parent, slope in zip(parents, slopes):
                parent.grad = slope * out.grad

        out.push = push
        return out

    def __add__(self, other):
        if not isinstance(other, Value):
            other = Value(other)
        return self._result(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other):
        if not isinstance(other, Value):
            other = Value(other)
        return self._result(self.data * other.data, (self, other), (other.data, self.data))

    def tanh(self):
        t = math.tanh(self.data)
        return self._result(t, (self,), (1 - t * t,))

    def __radd__(self, other):
        return self + other

    def __rmul__(self, other):
        return self * other


# %% wrong="value-own-factor"
def as_value(number):
    return number if type(number) is Value else Value(number)


class Value:
    def __init__(self, data, parents=()):
        self.data = float(data)
        self.grad = 0.0
        self.parents = tuple(parents)
        self.push = lambda: None

    def __add__(self, other):
        right = as_value(other)
        total = Value(self.data + right.data, (self, right))

        def push():
            for parent in total.parents:
                parent.grad += total.grad

        total.push = push
        return total

    def __mul__(self, other):
        right = as_value(other)
        product = Value(self.data * right.data, (self, right))

        def push():
            for parent in product.parents:
                parent.grad += parent.data * product.grad

        product.push = push
        return product

    def tanh(self):
        squashed = Value(math.tanh(self.data), (self,))

        def push():
            self.grad += squashed.grad * (1 - squashed.data * squashed.data)

        squashed.push = push
        return squashed

    def __radd__(self, other):
        return self + other

    def __rmul__(self, other):
        return self * other


# %% wrong="value-local-only"
class Value:
    def __init__(self, data, parents=(), slopes=()):
        self.data = float(data)
        self.grad = 0.0
        self.parents = tuple(parents)
        self.slopes = slopes
        self.push = self._hand_back

    def _hand_back(self):
        for k in range(len(self.parents)):
            self.parents[k].grad += self.slopes[k]

    def __add__(self, other):
        if isinstance(other, (int, float)):
            other = Value(other)
        return Value(self.data + other.data, (self, other), [1.0, 1.0])

    def __mul__(self, other):
        if isinstance(other, (int, float)):
            other = Value(other)
        return Value(self.data * other.data, (self, other), [other.data, self.data])

    def tanh(self):
        y = math.tanh(self.data)
        return Value(y, (self,), [1 - y**2])

    def __radd__(self, other):
        return self + other

    def __rmul__(self, other):
        return self * other


# %% wrong="topo-nearest-first"
def topo_order(root):
    layers, level, known = [], [root], {root}
    while level:
        layers.append(level)
        further = []
        for node in level:
            for parent in node.parents:
                if parent not in known:
                    known.add(parent)
                    further.append(parent)
        level = further
    order = []
    for level in layers:
        for node in level:
            order.insert(0, node)
    return order


def backward(root):
    order = topo_order(root)
    for node in order:
        if len(node.parents) > 0:
            node.grad = 0.0
    root.grad = 1.0
    while order:
        order.pop().push()


# %% wrong="topo-recursive"
def collect(node, done, order):
    if node in done:
        return
    done.add(node)
    for parent in node.parents:
        collect(parent, done, order)
    order.append(node)


def topo_order(root):
    order = []
    collect(root, set(), order)
    return order


def backward(root):
    line = topo_order(root)
    line.reverse()
    inner = [node for node in line if node.parents]
    for node in inner:
        node.grad = 0.0
    root.grad = 1.0
    for node in line:
        node.push()


# %% wrong="layers-mean-of-batch"
def affine_backward(dY, X, W):
    n = dY.shape[0]
    dX = torch.matmul(dY, W.t())
    dW = torch.einsum("nd,nk->dk", X, dY) / n
    db = dY.sum(dim=0) / n
    return dX, dW, db


def relu_backward(dY, X):
    slope = (X > 0).to(dY.dtype)
    return slope * dY


def bce_backward(z, y):
    p = torch.sigmoid(z)
    return (p - y) / y.shape[0]


# %% wrong="layers-relu-of-slope"
def affine_backward(dY, X, W):
    dX = torch.einsum("nk,dk->nd", dY, W)
    dW = torch.einsum("nd,nk->dk", X, dY)
    return dX, dW, torch.sum(dY, 0)


def relu_backward(dY, X):
    dX = dY.clone()
    dX[dY <= 0] = 0
    return dX


def bce_backward(z, y):
    count = len(z)
    return torch.sigmoid(z) / count - y / count


# %% wrong="layers-bce-summed"
def affine_backward(dY, X, W):
    db = torch.ones(len(dY), dtype=dY.dtype) @ dY
    return dY.matmul(W.T), X.T.matmul(dY), db


def relu_backward(dY, X):
    return dY.masked_fill(X <= 0, 0.0)


def bce_backward(z, y):
    chance = 1 / (1 + torch.exp(-z))
    wrong_way = chance * (1 - y)
    right_way = (1 - chance) * y
    return wrong_way - right_way


# %% wrong="two-layer-no-relu-back"
def two_layer_grads(X, y, W1, b1, W2, b2):
    n = X.shape[0]
    H = torch.relu(torch.addmm(b1, X, W1))
    z = (H @ W2 + b2).squeeze(1)
    dz = ((torch.sigmoid(z) - y) / n).reshape(n, 1)
    grads = {}
    grads["W2"] = H.T @ dz
    grads["b2"] = dz.sum(dim=0)
    dH = dz @ W2.T
    grads["W1"] = X.T @ dH
    grads["b1"] = dH.sum(dim=0)
    return grads


# %% wrong="two-layer-sum-loss"
def two_layer_grads(X, y, W1, b1, W2, b2):
    before = X @ W1 + b1
    after = torch.where(before > 0, before, torch.zeros_like(before))
    logits = (after @ W2 + b2).flatten()
    slope = torch.sigmoid(logits) - y
    back = torch.outer(slope, W2.flatten())
    back[before <= 0] = 0
    return dict(
        W1=torch.einsum("nd,nk->dk", X, back),
        b1=back.sum(0),
        W2=(slope @ after).reshape(-1, 1),
        b2=slope.sum().reshape(1),
    )


# %% wrong="accumulate-replaces"
def accumulate_demo(w, program):
    gradients = []
    current = None
    for word in program:
        if word == "backward":
            current = 3 * 2 * w
        elif word == "zero_grad":
            current = None
        elif word == "step":
            if current is not None:
                w -= 0.1 * current
        gradients.append(current)
    return gradients


# %% wrong="accumulate-step-clears"
def accumulate_demo(w, program):
    state = {"w": w, "grad": None}

    def backward():
        slope = 6 * state["w"]
        state["grad"] = slope if state["grad"] is None else state["grad"] + slope

    def zero_grad():
        state["grad"] = None

    def step():
        if state["grad"] is not None:
            state["w"] -= 0.1 * state["grad"]
            zero_grad()

    actions = {"backward": backward, "zero_grad": zero_grad, "step": step}
    history = []
    for word in program:
        actions[word]()
        history.append(state["grad"])
    return history


# %% wrong="detach-data-cut"
def unit_length(v):
    with torch.no_grad():
        length = torch.linalg.norm(v)
    return v / length


def chase(student, teacher):
    target = teacher.detach()
    gap = student - target
    return (gap * gap).mean()


def descend_(w, lr):
    slope = w.grad
    with torch.no_grad():
        w.add_(slope, alpha=-lr)
    w.grad = None


# %% wrong="detach-data-in-place"
def unit_length(v):
    length = torch.sqrt(torch.dot(v, v))
    return v / length


def chase(student, teacher):
    constant = teacher.detach().clone()
    return (student - constant).pow(2).sum() / student.numel()


def descend_(w, lr):
    change = lr * w.grad
    numbers = w.data
    numbers -= change
    w.grad = None


# %% wrong="root-input-for-output"
class SquareRoot(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = torch.sqrt(x)
        ctx.save_for_backward(x)
        return y

    @staticmethod
    def backward(ctx, dy):
        x = ctx.saved_tensors[0]
        return 0.5 * dy / x


# %% wrong="root-upstream-lost"
class SquareRoot(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = x.sqrt()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, dy):
        y = ctx.saved_tensors[0]
        return 0.5 * y.reciprocal()
