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
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad

        out.push = push
        return out

    def tanh(self):
        """Return the hyperbolic tangent of self, a Value."""
        t = math.tanh(self.data)
        out = Value(t, (self,))

        def push():
            self.grad += (1 - t**2) * out.grad

        out.push = push
        return out

    def __radd__(self, other):  # called for 2 + a
        return self + other

    def __rmul__(self, other):  # called for 2 * a
        return self * other


# %% answer="topo"
def topo_order(root) -> list:
    """Return `root` and all its ancestors, each once, each after its parents."""
    order, done, stack = [], set(), [root]
    while stack:
        node = stack[-1]
        waiting = [p for p in node.parents if p not in done]
        if waiting:
            stack.extend(waiting)
        else:
            stack.pop()
            if node not in done:
                done.add(node)
                order.append(node)
    return order


def backward(root) -> None:
    """Fill `grad` of `root` (1.0) and of its ancestors; grads of leaves are added to, all others start from zero."""
    order = topo_order(root)
    for node in order:
        if node.parents:
            node.grad = 0.0
    root.grad = 1.0
    for node in reversed(order):
        node.push()


# %% answer="layers"
def affine_backward(dY: torch.Tensor, X: torch.Tensor, W: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the gradients (dX, dW, db) of Y = X @ W + b for dY (N, K), X (N, D), W (D, K)."""
    return dY @ W.T, X.T @ dY, dY.sum(dim=0)


def relu_backward(dY: torch.Tensor, X: torch.Tensor) -> torch.Tensor:
    """Return the gradient dX of Y = relu(X), for dY of the shape of X; 0 where X is 0."""
    return dY * (X > 0)


def bce_backward(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the gradient (N,) with respect to the logits z of the mean binary cross entropy with targets y (N,)."""
    return (torch.sigmoid(z) - y) / len(z)


# %% answer="two-layer"
def two_layer_grads(
    X: torch.Tensor, y: torch.Tensor, W1: torch.Tensor, b1: torch.Tensor, W2: torch.Tensor, b2: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Return the gradients of the mean BCE of relu(X W1 + b1) W2 + b2, by the names "W1", "b1", "W2", "b2"."""
    A = X @ W1 + b1
    H = torch.relu(A)
    z = H @ W2 + b2
    dz = (torch.sigmoid(z) - y[:, None]) / len(y)
    dA = (dz @ W2.T) * (A > 0)
    return {"W1": X.T @ dA, "b1": dA.sum(dim=0), "W2": H.T @ dz, "b2": dz.sum(dim=0)}


# %% answer="accumulate"
def accumulate_demo(w: float, program: list[str]) -> list[float | None]:
    """Return what w.grad holds after each word of `program`, for the loss 3 w² and SGD with lr = 0.1."""
    grad = None
    result = []
    for word in program:
        if word == "backward":
            grad = 6 * w if grad is None else grad + 6 * w
        elif word == "zero_grad":
            grad = None
        elif grad is not None:
            w = w - 0.1 * grad
        result.append(grad)
    return result


# %% answer="detach"
def unit_length(v: torch.Tensor) -> torch.Tensor:
    """Return v (D,) divided by its Euclidean length; differentiable with respect to every use of v."""
    return v / v.norm()


def chase(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Return the mean squared difference, shape (); no gradient flows into the teacher."""
    return ((student - teacher.detach()) ** 2).mean()


def descend_(w: torch.Tensor, lr: float) -> None:
    """Change the leaf w in place by one gradient step, and clear its grad; autograd records nothing but sees the change."""
    with torch.no_grad():
        w -= lr * w.grad
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
