from __future__ import annotations

import csv
import datetime
import errno
import gzip
import hashlib
import importlib.util
import json
import re
import shutil
import sys
import time
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest
from babel.dates import format_date

from grader import data
from grader.data import data_folder, is_unpacked, prepare, remove, sums, unpack, verify
from grader.errors import DataError

ROOT = Path(__file__).parents[2]
DATA = ROOT / "data"
README = (DATA / "README.md").read_text(encoding="utf-8")
FILES = sorted(sums(DATA))
SCRIPTS = {"build_names.py", "generate_translation.py", "rebuild.py"}
SETS = ("MNIST", "FashionMNIST")


def script(name: str) -> ModuleType:
    """Import one of the scripts in `data/`, which is no package."""
    spec = importlib.util.spec_from_file_location(f"data_{name}", DATA / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def table(name: str) -> list[dict[str, str]]:
    """Read a CSV file of the data folder."""
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# ---- the folder


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A data folder of four small files, with their sums."""
    folder = tmp_path / "data"
    names = ["MNIST/raw/t10k-labels-idx1-ubyte.gz", "FashionMNIST/raw/t10k-labels-idx1-ubyte.gz", "stocks.csv", "sunspots.csv"]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(DATA / name, folder / name)
    (folder / "SHA256SUMS").write_text("".join(f"{digest}  {name}\n" for name, digest in sums(DATA).items() if name in names))
    return folder


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.name.endswith((".partial", "-ubyte"))]


def test_every_committed_file_is_as_published_and_the_check_is_quick() -> None:
    start = time.perf_counter()
    assert verify(DATA) == []
    assert time.perf_counter() - start < 3


def test_every_file_of_the_folder_is_a_script_a_text_or_has_a_sum() -> None:
    ignored = re.compile(r"-ubyte$|\.partial$|\.unpacked$|^\.git|__pycache__|_cache|^cifar-10-")
    there = {path.relative_to(DATA).as_posix() for path in DATA.rglob("*") if path.is_file()}
    there = {name for name in there if not any(ignored.search(part) for part in name.split("/"))}
    assert there - SCRIPTS - {"README.md", "SHA256SUMS"} == set(FILES)


def test_the_folder_stays_below_60_megabytes() -> None:
    assert sum((DATA / name).stat().st_size for name in FILES) < 60e6


def test_a_changed_file_is_named_with_its_remedy(small: Path) -> None:
    (small / "stocks.csv").write_bytes((small / "stocks.csv").read_bytes() + b"\n")
    (damage,) = verify(small)
    assert damage.path == small / "stocks.csv"
    assert damage.found.startswith("changed")
    assert "copy stocks.csv" in damage.remedy
    with pytest.raises(DataError, match=r"stocks\.csv: changed"):
        prepare(small)


def test_one_flipped_bit_is_a_change(small: Path) -> None:
    path = small / "sunspots.csv"
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    assert [damage.path.name for damage in verify(small)] == ["sunspots.csv"]


def test_every_missing_file_is_named(small: Path) -> None:
    (small / "stocks.csv").unlink()
    (small / "sunspots.csv").unlink()
    assert [(damage.path.name, damage.found) for damage in verify(small)] == [("stocks.csv", "missing"), ("sunspots.csv", "missing")]
    with pytest.raises(DataError, match=r"(?s)stocks\.csv: missing.*sunspots\.csv: missing"):
        prepare(small)


def test_a_folder_in_place_of_a_file_is_named(small: Path) -> None:
    (small / "stocks.csv").unlink()
    (small / "stocks.csv").mkdir()
    assert [damage.found for damage in verify(small)] == ["cannot be read: Is a directory"]


def test_in_a_clone_the_remedy_is_a_git_command(small: Path) -> None:
    (small.parent / ".git").mkdir()
    (small / "stocks.csv").unlink()
    assert verify(small)[0].remedy == "git checkout -- data/stocks.csv"


def test_a_folder_without_sums_is_no_data_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not the course's data folder"):
        verify(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        verify(tmp_path / "nowhere")


@pytest.mark.parametrize("line", ["", "stocks.csv", "abc  stocks.csv", "<<<<<<< HEAD"])
def test_a_damaged_list_of_sums_is_named_with_its_line(small: Path, line: str) -> None:
    path = small / "SHA256SUMS"
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(DataError, match=r"SHA256SUMS:5: not a sum and a file name"):
        verify(small)


def test_the_data_lie_in_the_course_unless_course_data_moves_them(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COURSE_DATA", raising=False)
    assert data_folder(ROOT) == DATA.resolve()
    monkeypatch.setenv("COURSE_DATA", str(small))
    assert data_folder(ROOT) == small.resolve()
    assert len(prepare(data_folder(ROOT))) == 2


# ---- unpacking


def test_unpacking_writes_each_file_once(small: Path) -> None:
    written = unpack(small)
    assert [path.name for path in written] == ["t10k-labels-idx1-ubyte", "t10k-labels-idx1-ubyte"]
    assert all(path.read_bytes() == gzip.decompress(path.with_name(f"{path.name}.gz").read_bytes()) for path in written)
    assert unpack(small) == []
    assert verify(small) == []


@pytest.mark.parametrize("wrong", [b"", b"short", b"\0" * 10008])
def test_an_unpacked_file_of_another_size_or_content_is_written_anew(small: Path, wrong: bytes) -> None:
    path = unpack(small)[0]
    whole = path.read_bytes()
    assert len(whole) == 10008
    path.write_bytes(wrong)
    assert unpack(small) == [path]
    assert path.read_bytes() == whole


DAMAGED = {
    "cut": lambda content: content[:2000],
    "not gzip": lambda content: b"GIF" + content[3:],
    "overwritten": lambda content: content[:2000] + bytes(50) + content[2050:],
    "empty": lambda content: content[:0],
}


@pytest.mark.parametrize("how", DAMAGED)
def test_a_damaged_gz_file_is_named_and_leaves_nothing_behind(small: Path, how: str) -> None:
    path = small / "MNIST/raw/t10k-labels-idx1-ubyte.gz"
    path.write_bytes(DAMAGED[how](path.read_bytes()))
    with pytest.raises(DataError, match=r"MNIST/raw/t10k-labels-idx1-ubyte\.gz: changed"):
        prepare(small)
    with pytest.raises(DataError, match=r"MNIST/raw/t10k-labels-idx1-ubyte\.gz: damaged"):
        unpack(small)
    assert leftovers(small / "MNIST") == []


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "(?s)t10k-labels-idx1-ubyte: the disk is full.*make room"),
        (errno.EDQUOT, "t10k-labels-idx1-ubyte: the disk is full"),
        (errno.EROFS, "(?s)t10k-labels-idx1-ubyte: cannot be written: Read-only file system.*COURSE_DATA"),
    ],
)
def test_a_full_or_read_only_disk_is_an_error_with_a_remedy_and_leaves_nothing(
    small: Path, monkeypatch: pytest.MonkeyPatch, number: int, message: str
) -> None:
    def half(packed: Path, target: Path) -> None:
        target.write_bytes(gzip.decompress(packed.read_bytes())[:4096])
        raise OSError(number, "Read-only file system" if number == errno.EROFS else "No space left on device")

    monkeypatch.setattr(data, "copy_unpacked", half)
    with pytest.raises(DataError, match=message):
        unpack(small)
    assert leftovers(small) == []


def test_removing_takes_the_unpacked_files_and_what_a_killed_run_left(small: Path) -> None:
    before = sorted(small.rglob("*"))
    unpack(small)
    (small / "MNIST/raw/.t10k-labels-idx1-ubyte.123.partial").touch()
    (small / "MNIST/raw/own-notes").touch()
    assert len(remove(small)) == 3
    (small / "MNIST/raw/own-notes").unlink()
    assert sorted(small.rglob("*")) == before
    assert remove(small) == []


# ---- the README


def test_the_readme_shows_the_sums_of_exactly_the_files_that_have_one() -> None:
    shown = dict(re.findall(r"^\| `([^`]+)` \| [^|]+ \| `([0-9a-f]{64})` \|$", README, re.MULTILINE))
    assert shown == sums(DATA)


def shape(name: str) -> str:
    """Say the shape of a data file as the README does, from the file itself."""
    path = DATA / name
    if name.endswith(".gz"):
        with gzip.open(path) as file:
            header = file.read(16)
        return " × ".join(str(int.from_bytes(header[4 * i : 4 * i + 4], "big")) for i in range(1, 1 + header[3]))
    if name.endswith(".json"):
        records = json.loads(path.read_text(encoding="utf-8"))
        return f"{len(records)} records × {len(records[0])} fields"
    if name.endswith(".txt"):
        content = path.read_bytes()
        return f"{len(content)} bytes, {content.count(bytes([10]))} lines"
    rows = table(name)
    return f"{len(rows)} rows × {len(rows[0])} columns"


@pytest.mark.parametrize("name", FILES)
def test_the_readme_states_the_shape_of_the_file(name: str) -> None:
    assert f"| `{name}` | {shape(name)} |" in README


def test_the_readme_states_the_shapes_of_the_sets_used_through_scikit_learn() -> None:
    import sklearn.datasets as sets

    rows = re.findall(r'^\| `(\w+)\((?:"(.+)")?\)` \| ([^|]+) \|', README, re.MULTILINE)
    assert len(rows) == 7
    for function, argument, stated in rows:
        loaded = getattr(sets, function)(*filter(None, [argument]))
        array = loaded if argument else loaded.data
        assert stated == " × ".join(map(str, array.shape))


def test_each_section_of_the_readme_names_source_licence_and_rebuild_command() -> None:
    sections = re.split(r"^### ", README, flags=re.MULTILINE)[1:]
    whole = [section for section in sections if not section.startswith(("CIFAR-10", "Used through"))]
    assert len(whole) == 11
    for section in whole:
        assert all(f"- **{word}**:" in section for word in ("What", "Source", "Licence", "Rebuild")), section.splitlines()[0]


def test_the_readme_names_no_host() -> None:
    assert "://" not in README


# ---- images


@pytest.fixture(scope="module")
def unpacked() -> Path:
    """The committed data folder, unpacked as `make setup` does."""
    prepare(DATA)
    return DATA


MNIST_TRAIN = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
MNIST_TEST = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@pytest.mark.parametrize(
    ("name", "train", "counts", "mean", "std"),
    [
        ("MNIST", True, MNIST_TRAIN, 0.1307, 0.3081),
        ("MNIST", False, MNIST_TEST, 0.1325, 0.3105),
        ("FashionMNIST", True, [6000] * 10, 0.2860, 0.3530),
        ("FashionMNIST", False, [1000] * 10, 0.2868, 0.3524),
    ],
)
def test_torchvision_loads_the_full_set_without_a_download(
    unpacked: Path, name: str, train: bool, counts: list[int], mean: float, std: float
) -> None:
    from torchvision import datasets

    images = getattr(datasets, name)(root=unpacked, train=train, download=False)
    assert tuple(images.data.shape) == (sum(counts), 28, 28)
    assert images.targets.bincount().tolist() == counts
    pixels = images.data.double() / 255
    assert float(pixels.mean()) == pytest.approx(mean, abs=5e-5)
    assert float(pixels.std()) == pytest.approx(std, abs=5e-5)
    picture, label = images[0]
    assert picture.size == (28, 28) and label == int(images.targets[0])


@pytest.mark.parametrize("name", SETS)
def test_the_gz_files_are_the_ones_that_torchvision_would_download(name: str) -> None:
    from torchvision import datasets

    for file, md5 in getattr(datasets, name).resources:
        assert hashlib.md5((DATA / name / "raw" / file).read_bytes()).hexdigest() == md5


@pytest.mark.parametrize("name", SETS)
def test_torchvision_does_not_read_the_gz_files_hence_the_unpacking(tmp_path: Path, name: str) -> None:
    from torchvision import datasets

    raw = tmp_path / name / "raw"
    raw.mkdir(parents=True)
    for path in (DATA / name / "raw").glob("*.gz"):
        (raw / path.name).symlink_to(path)
    with pytest.raises(RuntimeError, match="Dataset not found"):
        getattr(datasets, name)(root=tmp_path, download=False)


@pytest.mark.parametrize("name", SETS)
def test_the_rebuild_script_knows_the_first_bytes_of_each_gz_file(name: str) -> None:
    headers = script("rebuild").GZIP_HEADERS[name]
    assert len(headers) == 4
    for file, header in headers.items():
        assert (DATA / name / "raw" / f"{file}.gz").read_bytes().startswith(bytes(header))


@pytest.mark.parametrize("name", SETS)
def test_the_unpacked_files_are_whole(unpacked: Path, name: str) -> None:
    assert all(is_unpacked(path, path.with_suffix("")) for path in (unpacked / name / "raw").glob("*.gz"))


# ---- series, tables, text


def test_sunspots_are_one_number_a_year_from_1700_to_2008() -> None:
    rows = table("sunspots.csv")
    assert [int(row["YEAR"]) for row in rows] == list(range(1700, 2009))
    values = [float(row["SUNACTIVITY"]) for row in rows]
    assert (min(values), max(values)) == (0.0, 190.2)


def test_carbon_dioxide_is_weekly_with_59_gaps() -> None:
    rows = table("co2.csv")
    days = [datetime.datetime.strptime(row["date"], "%Y%m%d").date() for row in rows]
    assert (days[0], days[-1]) == (datetime.date(1958, 3, 29), datetime.date(2001, 12, 29))
    assert {later - earlier for earlier, later in pairwise(days)} == {datetime.timedelta(7)}
    assert {day.isoweekday() for day in days} == {6}
    values = [float(row["co2"]) for row in rows if row["co2"]]
    assert len(rows) - len(values) == 59
    assert (min(values), max(values)) == (313.0, 373.9)


def test_seattle_weather_has_every_day_of_four_years() -> None:
    rows = table("seattle-weather.csv")
    days = [datetime.datetime.strptime(row["date"], "%Y/%m/%d").date() for row in rows]
    assert days == [datetime.date(2012, 1, 1) + datetime.timedelta(i) for i in range(1461)]
    assert days[-1] == datetime.date(2015, 12, 31)
    assert Counter(row["weather"] for row in rows) == {"sun": 714, "fog": 411, "rain": 259, "drizzle": 54, "snow": 23}
    assert all(float(row["temp_min"]) <= float(row["temp_max"]) for row in rows)
    assert sum(float(row["precipitation"]) > 0 and row["weather"] != "rain" for row in rows) > 200


def test_stocks_are_monthly() -> None:
    rows = table("stocks.csv")
    assert Counter(row["symbol"] for row in rows) == {"AAPL": 123, "AMZN": 123, "IBM": 123, "MSFT": 123, "GOOG": 68}
    assert next(row["date"] for row in rows if row["symbol"] == "GOOG") == "Aug 1 2004"
    assert all(" 1 " in row["date"] and float(row["price"]) > 0 for row in rows)


def test_cars_have_the_stated_gaps_and_origins() -> None:
    cars = json.loads((DATA / "cars.json").read_text(encoding="utf-8"))
    gaps = Counter(field for car in cars for field, value in car.items() if value is None)
    assert gaps == {"Miles_per_Gallon": 8, "Horsepower": 6}
    assert Counter(car["Origin"] for car in cars) == {"USA": 254, "Japan": 79, "Europe": 73}
    assert {int(car["Year"][:4]) for car in cars} == set(range(1970, 1983)) - {1981}


def test_alice_is_ascii_with_an_end_mark() -> None:
    content = (DATA / "alice29.txt").read_bytes()
    assert content.isascii() and content.count(b"\r\n") == content.count(b"\n")
    text = (DATA / "alice29.txt").read_text(encoding="ascii")
    assert (len(text), len(set(text))) == (148_481, 73)
    assert text.rstrip("\x1a").rstrip().endswith("THE END")
    assert text.count("\x1a") == 1


def test_names_have_one_language_each() -> None:
    rows = table("names.csv")
    names = [row["name"] for row in rows]
    assert len(set(names)) == len(names)
    assert rows == sorted(rows, key=lambda row: (row["language"], row["name"]))
    counts = Counter(row["language"] for row in rows)
    assert len(counts) == 15
    assert {language: count for language, count in counts.items() if count != 400} == {
        "Chinese": 376,
        "Finnish": 371,
        "Estonian": 351,
        "French": 334,
        "Japanese": 100,
    }
    assert all(re.fullmatch(r"[^\W\d_]+(?:[ '-]+[^\W\d_]+)*|'s [^\W\d_]+", name) for name in names)


# ---- English and Chinese


@pytest.mark.parametrize("name", ["dates_en_zh.csv", "numbers_en_zh.csv"])
def test_the_generator_gives_the_committed_bytes(tmp_path: Path, name: str) -> None:
    script("generate_translation").main(tmp_path)
    assert (tmp_path / name).read_bytes() == (DATA / name).read_bytes()


@pytest.mark.parametrize("name", ["dates_en_zh.csv", "numbers_en_zh.csv"])
def test_the_splits_have_their_sizes_no_text_twice_and_are_shuffled(name: str) -> None:
    rows = table(name)
    assert Counter(row["split"] for row in rows) == {"train": 6000, "validation": 750, "test": 750}
    assert len({row["en"] for row in rows}) == len(rows)
    assert {row["split"] for row in rows[:100]} == {"train", "validation", "test"}
    assert b"\r" not in (DATA / name).read_bytes()


def test_no_year_is_in_two_splits() -> None:
    years: defaultdict[str, set[int]] = defaultdict(set)
    for row in table("dates_en_zh.csv"):
        years[row["split"]].add(int(row["zh"][:4]))
    assert {split: len(found) for split, found in years.items()} == {"train": 160, "validation": 20, "test": 20}
    assert set.union(*years.values()) == set(range(1900, 2100))


BABEL_STYLES = {  # pattern of Babel: is the day of the week named?
    "d MMMM y": False,
    "MMMM d, y": False,
    "EEEE, d MMMM y": True,
    "EEEE, MMMM d, y": True,
    "d MMM y": False,
    "EEE d MMM y": True,
    "'the' d 'of' MMMM y": False,
}
ORDINALS = (
    "1st 2nd 3rd 4th 5th 6th 7th 8th 9th 10th 11th 12th 13th 14th 15th 16th 17th 18th 19th 20th "
    "21st 22nd 23rd 24th 25th 26th 27th 28th 29th 30th 31st"
)


def date_style(english: str, date: datetime.date) -> str:
    """Return Babel's pattern for the text, with `th` where its day is an ordinal; fail where Babel would not write it so."""
    ordinal = re.search(r"\d+(?:st|nd|rd|th)", english)
    assert ordinal is None or ordinal.group() == ORDINALS.split()[date.day - 1]
    plain = re.sub(r"(\d)(?:st|nd|rd|th)\b", r"\1", english)
    pattern = next((style for style in BABEL_STYLES if format_date(date, style, locale="en") == plain), None)
    assert pattern is not None, english
    return pattern + (" th" if ordinal else "")


def test_the_dates_are_what_babel_writes_and_each_split_has_every_style() -> None:
    counts: Counter[tuple[str, str]] = Counter()
    for row in table("dates_en_zh.csv"):
        numbers = re.match(r"(\d{4})年(\d{1,2})月(\d{1,2})日", row["zh"])
        assert numbers is not None
        date = datetime.date(*map(int, numbers.groups()))
        style = date_style(row["en"], date)
        assert row["zh"] == format_date(date, "full" if BABEL_STYLES[style.removesuffix(" th")] else "long", locale="zh"), row
        counts[row["split"], style] += 1
    assert len(counts) == 3 * 8
    assert min(counts.values()) > 60


SMALL = (
    ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    ("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
TENS = ("thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
WORDS = {word: value for value, word in enumerate((*SMALL[0], *SMALL[1]))} | {word: 10 * value for value, word in enumerate(TENS, 3)}


def value_of_english(text: str) -> int:
    """Read a number in English words."""
    total, part = 0, 0
    for word in text.replace("-", " ").replace(" and ", " ").split():
        if word == "hundred":
            part *= 100
        elif word in ("thousand", "million", "billion"):
            total, part = total + part * {"thousand": 10**3, "million": 10**6, "billion": 10**9}[word], 0
        else:
            part += WORDS[word]
    return total + part


def value_of_chinese(text: str) -> int:
    """Read a Chinese numeral."""
    total, group, digit = 0, 0, 0
    for letter in text:
        if letter in "十百千":
            group, digit = group + (digit or 1) * 10 ** ("十百千".index(letter) + 1), 0
        elif letter in "万亿":
            total, group, digit = total + (group + digit) * (10**4 if letter == "万" else 10**8), 0, 0
        else:
            digit = "零一二三四五六七八九".index(letter)
    return total + group + digit


def chinese_by_rewriting(value: int) -> str:
    """Write a Chinese numeral in another way than the generator: name every place, then strike out what is not read."""
    places = ["", "十", "百", "千", "万", "十", "百", "千", "亿", "十", "百", "千"]
    text = "".join(
        "零一二三四五六七八九"[int(digit)] + places[place]
        for digit, place in zip(str(value), range(len(str(value)) - 1, -1, -1), strict=True)
    )
    text = re.sub("零[十百千]", "零", text)
    text = re.sub("零+", "零", text)
    text = re.sub("零(?=[万亿])", "", text).replace("亿万", "亿零")
    text = re.sub("零+", "零", text)
    return re.sub("^一十", "十", text.rstrip("零")) or "零"


def test_the_numbers_mean_the_same_in_both_languages() -> None:
    for row in table("numbers_en_zh.csv"):
        value = value_of_english(row["en"])
        assert value_of_chinese(row["zh"]) == value, row
        assert row["zh"] == chinese_by_rewriting(value), row


def test_no_number_is_in_two_splits_and_every_word_is_trained_on() -> None:
    rows = table("numbers_en_zh.csv")
    values = [value_of_english(row["en"]) for row in rows]
    assert len(set(values)) == len(values)
    words: defaultdict[str, set[str]] = defaultdict(set)
    for row in rows:
        words[row["split"]] |= set(re.split("[ -]", row["en"]))
    assert words["validation"] | words["test"] <= words["train"]
    assert {len(str(value)) for value in values} == set(range(1, 11))


@pytest.mark.parametrize(
    ("value", "english", "chinese"),
    [
        (0, "zero", "零"),
        (10, "ten", "十"),
        (12, "twelve", "十二"),
        (20, "twenty", "二十"),
        (105, "one hundred and five", "一百零五"),
        (110, "one hundred and ten", "一百一十"),
        (200, "two hundred", "二百"),
        (1_002, "one thousand and two", "一千零二"),
        (1_010, "one thousand and ten", "一千零一十"),
        (1_234, "one thousand two hundred and thirty-four", "一千二百三十四"),
        (2_000, "two thousand", "二千"),
        (10_005, "ten thousand and five", "一万零五"),
        (10_500, "ten thousand five hundred", "一万零五百"),
        (120_000, "one hundred and twenty thousand", "十二万"),
        (205_000, "two hundred and five thousand", "二十万五千"),
        (1_000_000, "one million", "一百万"),
        (10_100_010, "ten million one hundred thousand and ten", "一千零一十万零一十"),
        (100_000_005, "one hundred million and five", "一亿零五"),
        (100_005_000, "one hundred million five thousand", "一亿零五千"),
        (105_005_000, "one hundred and five million five thousand", "一亿零五百万五千"),
        (1_000_000_000, "one billion", "十亿"),
        (9_876_543_210, "nine billion eight hundred and seventy-six million five hundred and forty-three thousand two hundred and ten",
         "九十八亿七千六百五十四万三千二百一十"),
    ],
)  # fmt: skip
def test_numbers_are_written_as_by_hand(value: int, english: str, chinese: str) -> None:
    generator = script("generate_translation")
    assert generator.english_number(value) == english
    assert generator.chinese_number(value) == chinese
    assert chinese_by_rewriting(value) == chinese
