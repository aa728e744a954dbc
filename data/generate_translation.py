"""Write `dates_en_zh.csv` and `numbers_en_zh.csv`: English dates and numbers with their Chinese form.

    python data/generate_translation.py [FOLDER]

Both files have the columns `split,en,zh` and are the same bytes on every machine. From Python's generator only `random()` is used: it is
the one method whose sequence for a given seed is promised not to change between versions. Names of months and days stand here, so the
locale of the machine plays no part.

Dates are split by year: every year from 1900 to 2099 belongs to one split, so no date of a test year is ever trained on.
Numbers are split by value; the values that introduce the words (0 to 20, the tens, the powers of ten) are all in the training split.
"""

from __future__ import annotations

import csv
import datetime
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import TypeVar

T = TypeVar("T")
Row = tuple[str, str, str]

SEED = 20210605
FIRST_YEAR, LAST_YEAR = 1900, 2099
YEARS = {"train": 160, "validation": 20, "test": 20}
ROWS = {"train": 6000, "validation": 750, "test": 750}
MOST_DIGITS = 10
ZERO_SHARE = 0.3  # share of zeros among the digits after the first, so that the rule of 零 is met often

MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TEENS = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
ONES = (*DIGITS, *TEENS)
TENS = ("zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
SCALES = ((10**9, "billion"), (10**6, "million"), (10**3, "thousand"))

ZH_DIGITS = "零一二三四五六七八九"
ZH_WEEKDAYS = "一二三四五六日"
ZH_PLACES = ("千", "百", "十", "")
ZH_GROUPS = ((10**8, "亿"), (10**4, "万"), (1, ""))

DATE_STYLES = (
    "{day} {month} {year}",
    "{month} {day}, {year}",
    "{weekday}, {day} {month} {year}",
    "{weekday}, {month} {day}, {year}",
    "{day} {mon} {year}",
    "{wkd} {day} {mon} {year}",
    "{month} {ordinal}, {year}",
    "the {ordinal} of {month} {year}",
)


def below(random: Random, n: int) -> int:
    """Return a whole number from 0 to n - 1."""
    return int(random.random() * n)


def shuffled(random: Random, items: list[T]) -> list[T]:
    """Return the items in a random order (Fisher and Yates)."""
    result = list(items)
    for last in range(len(result) - 1, 0, -1):
        other = below(random, last + 1)
        result[last], result[other] = result[other], result[last]
    return result


def ordinal(n: int) -> str:
    """Return 1 as `1st`, 12 as `12th`, 23 as `23rd`."""
    suffix = "th" if n in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{suffix}"


def english_date(date: datetime.date, style: str) -> str:
    """Return the date written in one of DATE_STYLES."""
    month, weekday = MONTHS[date.month - 1], WEEKDAYS[date.weekday()]
    return style.format(
        day=date.day, ordinal=ordinal(date.day), month=month, mon=month[:3], year=date.year, weekday=weekday, wkd=weekday[:3]
    )


def chinese_date(date: datetime.date, weekday: bool) -> str:
    """Return the date as `2021年6月5日`, with `星期六` after it where the weekday is wanted."""
    return f"{date.year}年{date.month}月{date.day}日" + (f"星期{ZH_WEEKDAYS[date.weekday()]}" if weekday else "")


def english_below_thousand(n: int) -> str:
    """Return 1 to 999 in words: `two hundred and thirty-four`."""
    hundreds, rest = divmod(n, 100)
    words = ONES[rest] if rest < 20 else TENS[rest // 10] + (f"-{ONES[rest % 10]}" if rest % 10 else "")
    parts = ([f"{ONES[hundreds]} hundred"] if hundreds else []) + ([words] if rest else [])
    return " and ".join(parts)


def english_number(n: int) -> str:
    """Return a number below 10^12 in British words: no commas, `and` before the last part that is below one hundred."""
    if n == 0:
        return ONES[0]
    words: list[str] = []
    rest = n
    for scale, name in SCALES:
        count, rest = divmod(rest, scale)
        if count:
            words.append(f"{english_below_thousand(count)} {name}")
    if rest:
        words.append(f"and {english_below_thousand(rest)}" if words and rest < 100 else english_below_thousand(rest))
    return " ".join(words)


def chinese_group(n: int) -> str:
    """Return 1 to 9999 in Chinese with every place named: 10 is `一十`, 1005 is `一千零五`; zeros at the end are not read."""
    text, gap = "", False
    for digit, place in zip(f"{n:04d}", ZH_PLACES, strict=True):
        if digit == "0":
            gap = bool(text)
            continue
        text += ("零" if gap else "") + ZH_DIGITS[int(digit)] + place
        gap = False
    return text


def chinese_number(n: int) -> str:
    """Return a number below 10^12 in Chinese numerals, written by these fixed rules.

    The digits are read in groups of four (亿, 万, ones). Zeros inside a group, at its beginning, or a whole group of them are one 零:
    10005 is 一万零五. Zeros at the end of a group are silent: 205000 is 二十万五千. Two is always 二, as in written arithmetic, never 两.
    A numeral that would begin with 一十 begins with 十 (12 is 十二); elsewhere 一十 stays (110 is 一百一十).
    """
    if n == 0:
        return "零"
    text, rest, gap = "", n, False
    for scale, name in ZH_GROUPS:
        group, rest = divmod(rest, scale)
        if not group:
            gap = True
            continue
        text += ("零" if text and (gap or group < 1000) else "") + chinese_group(group) + name
        gap = False
    return text[1:] if text.startswith("一十") else text


def split_years(random: Random) -> dict[str, list[int]]:
    """Return the years of each split; no year is in two of them."""
    years = shuffled(random, list(range(FIRST_YEAR, LAST_YEAR + 1)))
    result: dict[str, list[int]] = {}
    for split, count in YEARS.items():
        result[split], years = years[:count], years[count:]
    return result


def date_rows(random: Random) -> Iterator[Row]:
    """Yield the date pairs; an English text occurs once in the file."""
    for split, years in split_years(random).items():
        seen: set[str] = set()
        while len(seen) < ROWS[split]:
            start = datetime.date(years[below(random, len(years))], 1, 1)
            days = (datetime.date(start.year + 1, 1, 1) - start).days
            date = start + datetime.timedelta(days=below(random, days))
            style = DATE_STYLES[below(random, len(DATE_STYLES))]
            english = english_date(date, style)
            if english not in seen:
                seen.add(english)
                yield split, english, chinese_date(date, weekday="{weekday}" in style or "{wkd}" in style)


def drawn_number(random: Random) -> int:
    """Return a random number: first how many digits (2 to MOST_DIGITS), then the digits, of which ZERO_SHARE are zeros."""
    value = 1 + below(random, 9)
    for _ in range(1 + below(random, MOST_DIGITS - 1)):
        value = 10 * value + (0 if random.random() < ZERO_SHARE else 1 + below(random, 9))
    return value


def number_rows(random: Random) -> Iterator[Row]:
    """Yield the number pairs; a value occurs once in the file."""
    words = [*range(21), *range(30, 100, 10), *(10**power for power in range(2, MOST_DIGITS))]
    seen: set[int] = set(words)
    drawn: list[int] = []
    while len(words) + len(drawn) < sum(ROWS.values()):
        value = drawn_number(random)
        if value not in seen:
            seen.add(value)
            drawn.append(value)
    values = words + shuffled(random, drawn)  # short numbers run out early: unshuffled, few would reach the test split
    for split, count in ROWS.items():
        part, values = values[:count], values[count:]
        for value in part:
            yield split, english_number(value), chinese_number(value)


def write(path: Path, rows: list[Row]) -> None:
    """Write the rows under their header, with LF line ends, in UTF-8."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("split", "en", "zh"))
        writer.writerows(rows)


def main(folder: Path) -> None:
    """Write both files into the folder."""
    for name, make in (("dates_en_zh.csv", date_rows), ("numbers_en_zh.csv", number_rows)):
        random = Random(SEED)
        write(folder / name, shuffled(random, list(make(random))))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent)
