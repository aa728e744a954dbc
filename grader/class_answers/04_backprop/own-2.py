# %% answer="value"
class Value:
    """A number that remembers what it was computed from, and can hand its grad back to its parents."""

    def __init__(self, data: float, parents: tuple = ()):
        self.data = float(data)
        self.grad = 0.0
        self.parents = tuple(parents)
        self.push = lambda: None

    def _result(self, data, *edges):
        """Return a new Value made from the parents in `edges`, pairs (parent, local derivative)."""
        out = Value(data, tuple(parent for parent, _ in edges))

        def push():
            for parent, local in edges:
                parent.grad += local * out.grad

        out.push = push
        return out

    def __add__(self, other):
        """Return self + other, a Value; `other` is a Value or a plain number."""
        other = other if isinstance(other, Value) else Value(other)
        return self._result(self.data + other.data, (self, 1.0), (other, 1.0))

    def __mul__(self, other):
        """Return self * other, a Value; `other` is a Value or a plain number."""
        other = other if isinstance(other, Value) else Value(other)
        return self._result(self.data * other.data, (self, other.data), (other, self.data))

    def tanh(self):
        """Return the hyperbolic tangent of self, a Value."""
        t = math.tanh(self.data)
        return self._result(t, (self, 1.0 - t * t))

    def __radd__(self, other):  # called for 2 + a
        return self + other

    def __rmul__(self, other):  # called for 2 * a
        return self * other


# %% answer="topo"
def topo_order(root) -> list:
    """Return `root` and all its ancestors, each once, each after its parents."""
    order, seen = [], {id(root)}
    stack = [(root, iter(root.parents))]
    while stack:
        node, waiting = stack[-1]
        fresh = next((parent for parent in waiting if id(parent) not in seen), None)
        if fresh is None:
            order.append(node)
            stack.pop()
        else:
            seen.add(id(fresh))
            stack.append((fresh, iter(fresh.parents)))
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
    return dY @ W.mT, X.mT @ dY, dY.sum(dim=0)


def relu_backward(dY: torch.Tensor, X: torch.Tensor) -> torch.Tensor:
    """Return the gradient dX of Y = relu(X), for dY of the shape of X; 0 where X is 0."""
    return torch.where(X > 0, dY, torch.zeros_like(dY))


def bce_backward(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the gradient (N,) with respect to the logits z of the mean binary cross entropy with targets y (N,)."""
    return (torch.sigmoid(z) - y) / z.numel()


# %% answer="two-layer"
def two_layer_grads(
    X: torch.Tensor, y: torch.Tensor, W1: torch.Tensor, b1: torch.Tensor, W2: torch.Tensor, b2: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Return the gradients of the mean BCE of relu(X W1 + b1) W2 + b2, by the names "W1", "b1", "W2", "b2"."""
    A = torch.addmm(b1, X, W1)
    H = A.clamp(min=0)
    z = torch.addmm(b2, H, W2)  # (N, 1)
    dz = (torch.sigmoid(z) - y[:, None]) / len(y)  # (N, 1)
    dA = torch.where(A > 0, dz @ W2.mT, 0.0)
    return {"W1": X.mT @ dA, "b1": dA.sum(dim=0), "W2": H.mT @ dz, "b2": dz.sum(dim=0)}


# %% answer="accumulate"
def accumulate_demo(w: float, program: list[str]) -> list[float | None]:
    """Return what w.grad holds after each word of `program`, for the loss 3 w² and SGD with lr = 0.1."""
    grad, history = None, []
    for word in program:
        match word:
            case "backward":
                grad = (grad or 0.0) + 6.0 * w
            case "zero_grad":
                grad = None
            case "step":
                w -= 0.1 * (grad or 0.0)
        history.append(grad)
    return history


# %% answer="detach"
def unit_length(v: torch.Tensor) -> torch.Tensor:
    """Return v (D,) divided by its Euclidean length; differentiable with respect to every use of v."""
    return v / torch.linalg.vector_norm(v)


def chase(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Return the mean squared difference, shape (); no gradient flows into the teacher."""
    return (student - teacher.detach()).square().mean()


@torch.no_grad()
def descend_(w: torch.Tensor, lr: float) -> None:
    """Change the leaf w in place by one gradient step, and clear its grad; autograd records nothing but sees the change."""
    w.sub_(w.grad, alpha=lr)
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
