# %% answer="value"
class Value:
    """A number that remembers what it was computed from, and can hand its grad back to its parents."""

    def __init__(self, data: float, parents: tuple = ()):
        self.data = float(data)
        self.grad = 0.0
        self.parents = tuple(parents)
        self.push = lambda: None

    def __add__(self, other):
        """Return self + other, a Value; `other` is a Value or a plain number."""
        if not isinstance(other, Value):
            other = Value(other)
        out = Value(self.data + other.data, (self, other))

        def push():
            self.grad += out.grad
            other.grad += out.grad

        out.push = push
        return out

    def __mul__(self, other):
        """Return self * other, a Value; `other` is a Value or a plain number."""
        if not isinstance(other, Value):
            other = Value(other)
        out = Value(self.data * other.data, (self, other))

        def push():
            # each one gets the other factor
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad

        out.push = push
        return out

    def tanh(self):
        """Return the hyperbolic tangent of self, a Value."""
        t = math.tanh(self.data)
        out = Value(t, (self,))

        def push():
            self.grad += (1 - t * t) * out.grad

        out.push = push
        return out

    def __radd__(self, other):  # called for 2 + a
        return self + other

    def __rmul__(self, other):  # called for 2 * a
        return self * other


# %% answer="topo"
def topo_order(root) -> list:
    """Return `root` and all its ancestors, each once, each after its parents."""
    order = []
    done = set()  # ids of the nodes that are written down
    stack = [root]
    while len(stack) > 0:
        node = stack[-1]  # only look, do not take yet
        if id(node) in done:
            stack.pop()
            continue
        waiting = []
        for parent in node.parents:
            if id(parent) not in done:
                waiting.append(parent)
        if len(waiting) > 0:
            # the parents first, we come back to this node later
            for parent in waiting:
                stack.append(parent)
        else:
            stack.pop()
            done.add(id(node))
            order.append(node)
    return order


def backward(root) -> None:
    """Fill `grad` of `root` (1.0) and of its ancestors; grads of leaves are added to, all others start from zero."""
    order = topo_order(root)
    for node in order:
        if len(node.parents) > 0:
            node.grad = 0.0
    root.grad = 1.0
    # from the root back to the leaves
    for node in reversed(order):
        node.push()


# %% answer="layers"
def affine_backward(dY: torch.Tensor, X: torch.Tensor, W: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the gradients (dX, dW, db) of Y = X @ W + b for dY (N, K), X (N, D), W (D, K)."""
    dX = dY @ W.T  # (N, K) (K, D), sum over k
    dW = X.T @ dY  # (D, N) (N, K), sum over n
    db = dY.sum(dim=0)  # b is used in every row
    return dX, dW, db


def relu_backward(dY: torch.Tensor, X: torch.Tensor) -> torch.Tensor:
    """Return the gradient dX of Y = relu(X), for dY of the shape of X; 0 where X is 0."""
    return torch.where(X > 0, dY, torch.zeros_like(dY))


def bce_backward(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the gradient (N,) with respect to the logits z of the mean binary cross entropy with targets y (N,)."""
    # -y/p * p(1-p) + (1-y)/(1-p) * p(1-p) = -y(1-p) + (1-y)p = p - y
    p = torch.sigmoid(z)
    return (p - y) / len(z)


# %% answer="two-layer"
def two_layer_grads(
    X: torch.Tensor, y: torch.Tensor, W1: torch.Tensor, b1: torch.Tensor, W2: torch.Tensor, b2: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Return the gradients of the mean BCE of relu(X W1 + b1) W2 + b2, by the names "W1", "b1", "W2", "b2"."""
    N = X.shape[0]

    # forward
    A = X @ W1 + b1  # (N, K)
    H = A.clamp(min=0)  # relu
    z = H @ W2 + b2  # (N, 1)

    # backward, last step first
    dz = (torch.sigmoid(z) - y[:, None]) / N  # y as a column, so that it stays (N, 1)
    dW2 = H.T @ dz
    db2 = dz.sum(dim=0)
    dH = dz @ W2.T
    dA = dH * (A > 0)
    dW1 = X.T @ dA
    db1 = dA.sum(dim=0)
    return {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}


# %% answer="accumulate"
def accumulate_demo(w: float, program: list[str]) -> list[float | None]:
    """Return what w.grad holds after each word of `program`, for the loss 3 w² and SGD with lr = 0.1."""
    grad = None
    history = []
    for word in program:
        if word == "backward":
            if grad is None:
                grad = 0.0
            grad = grad + 6.0 * w
        elif word == "zero_grad":
            grad = None
        elif word == "step":
            if grad is not None:
                w = w - 0.1 * grad
        history.append(grad)
    return history


# %% answer="detach"
def unit_length(v: torch.Tensor) -> torch.Tensor:
    """Return v (D,) divided by its Euclidean length; differentiable with respect to every use of v."""
    length = (v * v).sum().sqrt()
    return v / length


def chase(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Return the mean squared difference, shape (); no gradient flows into the teacher."""
    constant = teacher.detach()
    difference = student - constant
    return (difference * difference).mean()


def descend_(w: torch.Tensor, lr: float) -> None:
    """Change the leaf w in place by one gradient step, and clear its grad; autograd records nothing but sees the change."""
    with torch.no_grad():
        w -= lr * w.grad  # in place, the same object
    w.grad = None


# %% answer="root"
class SquareRoot(torch.autograd.Function):
    """The square root of positive numbers; its derivative is computed from the saved output."""

    @staticmethod
    def forward(ctx, x: torch.Tensor) -> torch.Tensor:
        """Return the square root of x (any shape, positive), and save it for backward."""
        y = x.sqrt()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, dy: torch.Tensor) -> torch.Tensor:
        """Return the gradient with respect to x, of the shape of dy."""
        (y,) = ctx.saved_tensors
        return dy / (2 * y)
