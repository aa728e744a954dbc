# %% wrong="linear-plain-tensor"
class MyLinear(nn.Module):
    def __init__(self, n_in, n_out, bias=True):
        super().__init__()
        limit = n_in**-0.5
        self.weight = (2 * torch.rand(n_out, n_in) - 1) * limit
        self.weight.requires_grad = True
        self.bias = None
        if bias:
            self.bias = (2 * torch.rand(n_out) - 1) * limit
            self.bias.requires_grad = True

    def forward(self, x):
        y = torch.matmul(x, self.weight.t())
        if self.bias is not None:
            y = y + self.bias
        return y


# %% wrong="linear-zero-bias"
class MyLinear(nn.Module):
    def __init__(self, n_in, n_out, bias=True):
        super().__init__()
        bound = 1 / n_in**0.5
        start = torch.rand(n_out, n_in) * 2 * bound - bound
        self.weight = nn.Parameter(start)
        if bias:
            self.bias = nn.Parameter(torch.tensor([0.0] * n_out))
        else:
            self.register_parameter("bias", None)

    def forward(self, x):
        result = torch.einsum("...i,oi->...o", x, self.weight)
        if self.bias is None:
            return result
        return result + self.bias


# %% wrong="nodes-counts-itself"
def count_nodes(net):
    def depth_of(module):
        deepest = 0
        for child in module.children():
            deepest = max(deepest, 1 + depth_of(child))
        return deepest

    direct = below = numbers = 0
    for _ in net.children():
        direct += 1
    for _ in net.named_modules():
        below += 1
    for p in net.parameters():
        numbers += p.numel()
    return direct, below, depth_of(net), numbers


# %% wrong="nodes-tied-twice"
def count_nodes(net):
    modules = list(net.modules())
    numbers = 0
    for module in modules:
        for p in module._parameters.values():
            if p is not None:
                numbers += p.nelement()
    depth, level = 0, list(net.children())
    while level:
        depth += 1
        level = [child for module in level for child in module.children()]
    return len(list(net.children())), len(modules) - 1, depth, numbers


# %% wrong="train-no-zero-grad"
def train(model, optimizer, criterion, batches):
    for batch in batches:
        inputs, targets = batch
        outputs = model(inputs)
        loss = criterion(outputs, targets)
        loss.backward()
        optimizer.step()


def mean_losses(model, optimizer, criterion, batches, n_epochs):
    history = []
    for _ in range(n_epochs):
        total = 0.0
        count = 0
        for inputs, targets in batches:
            optimizer.zero_grad()
            loss = criterion(model(inputs), targets)
            total += float(loss.detach()) * inputs.shape[0]
            count += inputs.shape[0]
            loss.backward()
            optimizer.step()
        history.append(total / count)
    return history


# %% wrong="train-item-too-late"
def one_step(model, optimizer, criterion, xb, yb):
    optimizer.zero_grad()
    loss = criterion(model(xb), yb)
    loss.backward()
    optimizer.step()
    return loss


def train(model, optimizer, criterion, batches):
    for xb, yb in batches:
        one_step(model, optimizer, criterion, xb, yb)


def mean_losses(model, optimizer, criterion, batches, n_epochs):
    history = []
    for _ in range(n_epochs):
        total, seen = torch.zeros(()), 0
        for xb, yb in batches:
            loss = one_step(model, optimizer, criterion, xb, yb)
            total = total + loss * len(xb)
            seen += len(xb)
        history.append(float(total / seen))
    return history


# %% wrong="csv-modulo"
class CsvDataset(Dataset):
    def __init__(self, source, features, target):
        table = pd.read_csv(source)
        words = table[target].tolist()
        self.classes = sorted(set(words))
        number = {word: k for k, word in enumerate(self.classes)}
        self.inputs = torch.tensor(table[features].values).to(torch.float32)
        self.targets = torch.tensor([number[word] for word in words], dtype=torch.int64)

    def __len__(self):
        return self.inputs.shape[0]

    def __getitem__(self, i):
        i = int(i)
        while i < 0:
            i += len(self)
        while i >= len(self):
            i -= len(self)
        return self.inputs[i], self.targets[i]


# %% wrong="csv-first-seen"
class CsvDataset(Dataset):
    def __init__(self, source, features, target):
        df = pd.read_csv(source)
        self.classes = []
        targets = []
        for word in df[target]:
            if word not in self.classes:
                self.classes.append(word)
            targets.append(self.classes.index(word))
        columns = [torch.tensor(df[name].to_numpy()).float() for name in features]
        self.x = torch.stack(columns, dim=1)
        self.y = torch.tensor(targets)

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


# %% wrong="iterations-epochs-joined"
def iterations(n, batch_size, n_epochs, drop_last=False):
    if batch_size <= 0:
        raise ValueError("a batch must hold at least one sample")
    samples = n * n_epochs
    steps, rest = divmod(samples, batch_size)
    if rest > 0 and drop_last:
        samples -= rest
    elif rest > 0:
        steps += 1
    return steps, samples


# %% wrong="scaler-each-by-itself"
def fit_scaler(train):
    mean = train.mean(dim=0)
    spread = train.var(dim=0, correction=0).sqrt()
    constant = (train == train[0]).all(dim=0)
    return mean, spread.masked_fill(constant, 1.0)


def scale_one(part):
    if len(part) == 0:
        return part.clone()
    mean, spread = fit_scaler(part)
    return (part - mean) / spread


def scale_parts(train, val, test):
    return scale_one(train), scale_one(val), scale_one(test)


# %% wrong="scaler-asks-for-zero"
def fit_scaler(train):
    mean, std = train.mean(0), train.std(0, unbiased=False)
    for column in range(train.shape[1]):
        if std[column].item() == 0:
            std[column] = 1
    return mean, std


def scale_parts(train, val, test):
    mean, std = fit_scaler(train)

    def scaled(part):
        return part.sub(mean).div(std)

    return scaled(train), scaled(val), scaled(test)


# %% wrong="note-own-numbers"
def max_scaled(train, images):
    result = torch.empty_like(images)
    for c in range(images.shape[1]):
        channel = images[:, c]
        result[:, c] = channel / channel.max()
    return result


def normalised(train, images):
    channels = [images[:, c] for c in range(images.shape[1])]
    mean = [channel.mean().item() for channel in channels]
    std = [channel.std(correction=0).item() for channel in channels]
    return transforms.Normalize(mean, std)(images)


# %% wrong="evaluate-axis"
@torch.no_grad()
def validation_loss(model, loader, criterion):
    model.train(False)
    total = count = 0
    for inputs, targets in loader:
        total += len(inputs) * criterion(model(inputs), targets).item()
        count += len(inputs)
    return total / count


@torch.no_grad()
def all_logits(model, loader):
    model.train(False)
    pieces = []
    for inputs, _ in loader:
        pieces.append(model(inputs))
    return torch.cat(pieces, dim=0)


@torch.no_grad()
def predictions(model, loader):
    model.train(False)
    guesses = []
    for inputs, _ in loader:
        _, best = torch.max(model(inputs), 0)
        guesses.append(best)
    return torch.cat(guesses)


# %% wrong="accuracy-batch-means"
def accuracy(model, loader):
    before = model.training
    model.eval()
    total, batches = 0.0, 0
    with torch.no_grad():
        for xb, yb in loader:
            guesses = model(xb).max(dim=1).indices
            right = torch.eq(guesses, yb).sum().item()
            total += right / len(yb)
            batches += 1
    model.train(before)
    return total / batches


# %% wrong="accuracy-not-restored"
@torch.no_grad()
def accuracy(model, loader):
    model.train(False)
    results = []
    for inputs, targets in loader:
        guesses = torch.argmax(model(inputs), dim=-1)
        results.extend((guesses == targets).tolist())
    return results.count(True) / len(results)


# %% wrong="choose-best-reported"
def choose(val, test):
    run, epoch, best = 0, 0, val[0, 0]
    for r in range(val.shape[0]):
        for e in range(val.shape[1]):
            if val[r, e] > best:
                run, epoch, best = r, e, val[r, e]
    reported = max(max(row) for row in test.tolist())
    return run, epoch, reported
