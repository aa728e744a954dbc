"""Write `names.csv`: names in Latin script with their language, from the locale lists of Faker.

    PYTHONPATH=path/to/an/unpacked/Faker python data/build_names.py [FOLDER]

Family names, because a given name such as Adam belongs to many languages; only for Chinese and Japanese, whose lists of romanised family
names are short, given names are added. A name that stands in the lists of two languages is left out, since nobody could give its one
language. Of a longer list MOST names are drawn with a fixed seed; the rows are sorted by language and name.
"""

from __future__ import annotations

import csv
import importlib
import sys
import unicodedata
from collections import Counter
from pathlib import Path
from random import Random

from generate_translation import SEED, shuffled

MOST = 400

# language: locale and lists in `faker.providers.person`
SOURCES: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "Chinese": (("zh_CN", ("last_romanized_names",)), ("zh_TW", ("last_romanized_names", "first_romanized_names"))),
    "Croatian": (("hr_HR", ("last_names",)),),
    "Dutch": (("nl_NL", ("last_names",)),),
    "English": (("en_GB", ("last_names",)),),
    "Estonian": (("et_EE", ("last_names_est",)),),
    "Finnish": (("fi_FI", ("last_names",)),),
    "French": (("fr_FR", ("last_names",)),),
    "German": (("de_DE", ("last_names",)), ("de_AT", ("last_names",))),
    "Irish": (("ga_IE", ("last_names",)),),
    "Italian": (("it_IT", ("last_names",)),),
    "Japanese": (("ja_JP", ("last_romanized_names", "first_romanized_names")),),
    "Polish": (("pl_PL", ("unisex_last_names", "male_last_names")),),
    "Spanish": (("es_ES", ("last_names",)),),
    "Swedish": (("sv_SE", ("last_names",)),),
    "Zulu": (("zu_ZA", ("last_names",)),),
}


def spelled(name: str) -> str:
    """Return the name in composed characters, with one kind of apostrophe; names in capitals get one capital: `MEI-LING` is `Mei-ling`."""
    name = unicodedata.normalize("NFC", " ".join(name.replace("’", "'").split()))
    return name.capitalize() if name.isupper() else name


def is_name(name: str) -> bool:
    """Tell whether the text is a name: Latin letters with spaces, hyphens and apostrophes, no note of the list's editor before it."""
    letters = [letter for letter in name if letter not in " -'"]
    return bool(letters) and all(unicodedata.name(letter, "").startswith("LATIN") for letter in letters)


def names_of(language: str) -> set[str]:
    """Return all names of the language in Faker's lists."""
    found: set[str] = set()
    for locale, lists in SOURCES[language]:
        provider = importlib.import_module(f"faker.providers.person.{locale}").Provider
        for attribute in lists:
            found |= {spelled(name) for name in getattr(provider, attribute)}
    if language == "German":  # its four entries of several words are remarks such as "auch Schlauchin"
        found = {name for name in found if " " not in name}
    return {name for name in found if is_name(name)}


def main(folder: Path) -> None:
    """Write the file into the folder."""
    lists = {language: names_of(language) for language in SOURCES}
    languages_of = Counter(name for names in lists.values() for name in names)
    random = Random(SEED)
    with (folder / "names.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("language", "name"))
        for language, names in lists.items():
            own = sorted(name for name in names if languages_of[name] == 1)
            writer.writerows((language, name) for name in sorted(shuffled(random, own)[:MOST]))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent)
