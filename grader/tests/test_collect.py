"""What platforms give is sorted by student and chapter; whatever is wrong with it is said, and nothing is lost."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from grader.course import Course
from grader.handed_in import archives
from grader.handed_in.archives import ArchiveError, files
from grader.handed_in.collect import Collection, sort, write
from grader.handed_in.roster import Roster, RosterError, Student, keep, load, read
from grader.ledger.submissions import attempts
from grader.tests.conftest import TINY

CANVAS_LIST = """\ufeffStudent,ID,SIS User ID,SIS Login ID,Section,Homework (4314282)
    Points Possible,,,,,10
"Lovelace, Ada",101,S1,ada,A,
"Müller, Jörg",102,S2,joerg,A,
"王, 小明",103,S3,xiaoming,A,
"Smith, Jane",104,S4,jane1,A,
"Smith, Jane",105,S5,jane2,B,
"Student, Test",999,,,A,
"""
WORKSHEET = '''Identifier;Full name;ID number;Email address;Status;Grade;Maximum Grade
Participant 201;Ada Lovelace;S1;ada@example.org;Submitted;;10
Participant 202;"O'Neil, Zoë ""Z""";S2;zoe@example.org;Submitted;;10
'''


def csv(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "class list.csv"
    path.write_text(text, encoding=encoding)
    return path


def archive(folder: Path, contents: dict[str, bytes]) -> Path:
    path = folder / "submissions (1).zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in contents.items():
            made.writestr(name, content)
    return path


def folder(place: Path, contents: dict[str, bytes]) -> Path:
    for name, content in contents.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    return place


@pytest.fixture
def notebook(built: Course) -> bytes:
    return built.chapters()[0].student.read_bytes()


def collected(course: Course, source: Path, roster: Roster | None = None) -> Collection:
    return sort(course, files(source), roster)


def test_a_zip_from_canvas_is_sorted_by_student_and_the_last_attempt_is_chosen(built: Course, tmp_path: Path, notebook: bytes) -> None:
    source = archive(
        tmp_path,
        {
            f"lovelaceada_101_9001_{TINY}.ipynb": notebook + b" ",
            f"lovelaceada_101_9007_{TINY}-1.ipynb": notebook,
            f"müllerjörg_LATE_102_9002_{TINY}.ipynb": notebook,
            "王小明_103_9003_my answer.ipynb": notebook,  # whatever it is called, it says what it is
            f"smithjane_105_9004_{TINY} (2).ipynb": b"{not json",  # taken by its name: grading says what is wrong with it
            f"nobody_900_9005_{TINY}.ipynb": notebook,
            "lovelaceada_101_9006_photo.png": b"png",
        },
    )
    found = collected(built, source, read(csv(tmp_path, CANVAS_LIST)))
    assert [attempt.student.key for attempt in found.chosen] == ["ada", "jane2", "joerg", "xiaoming"]
    assert [attempt.student.key for attempt in found.late] == ["joerg"]
    assert [attempt.found.attempt for attempt in found.earlier] == [(9001, 0)]
    assert [student.key for student in found.missing[TINY]] == ["jane1"]
    assert [why for _, why in found.unknown] == ["nobody in the list"]
    assert [one.file for one, _ in found.unusable] == ["photo.png"]
    assert write(built, found) == 4
    assert write(built, found) == 0
    assert (built.gradebook / "submitted" / "ada" / TINY / f"{TINY}.ipynb").read_bytes() == notebook
    assert len(list((built.gradebook / "attempts" / "ada" / TINY).iterdir())) == 2


def test_a_number_that_a_browser_gave_makes_no_file_of_canvas_later(built: Course, tmp_path: Path, notebook: bytes) -> None:
    older, newer = notebook + b" ", notebook
    source = archive(tmp_path, {f"ada_101_9001_{TINY} (2).ipynb": older, f"ada_101_9007_{TINY}.ipynb": newer})
    found = collected(built, source)
    assert [attempt.found.content for attempt in found.chosen] == [newer]
    write(built, found)
    assert [path.read_bytes() for path in attempts(built, built.chapters()[0], "ada-101")] == [older, newer]


def test_every_attempt_is_kept_where_the_platform_numbers_none(built: Course, tmp_path: Path, notebook: bytes) -> None:
    several = [notebook + b" " * number for number in range(4)]
    here = "Ada_201_assignsubmission_file_"
    for contents in ({f"{here}/a.ipynb": several[0], f"{here}/b.ipynb": several[1]}, {f"{here}/a.ipynb": several[2]}):
        for _ in range(2):
            write(built, collected(built, archive(tmp_path, contents)))
    (tmp_path / "in" / "Ada-201").mkdir(parents=True)
    (tmp_path / "in" / "Ada-201" / "x.ipynb").write_bytes(several[3])
    write(built, collected(built, tmp_path / "in"))
    assert [path.read_bytes() for path in attempts(built, built.chapters()[0], "Ada-201")] == several


def test_a_zip_from_moodle_with_folders_or_without_is_sorted_too(built: Course, tmp_path: Path, notebook: bytes) -> None:
    roster = read(csv(tmp_path, WORKSHEET))
    for name in (f"Ada Lovelace_201_assignsubmission_file_/{TINY}.ipynb", f"Ada Lovelace_201_assignsubmission_file_{TINY}.ipynb"):
        found = collected(built, archive(tmp_path, {name: notebook}), roster)
        assert [attempt.student.key for attempt in found.chosen] == ["ada@example.org"]
        assert [student.name for student in found.missing[TINY]] == ['O\'Neil, Zoë "Z"']


def test_a_folder_with_one_folder_a_student_is_taken_by_name(built: Course, tmp_path: Path, notebook: bytes) -> None:
    roster = read(csv(tmp_path, CANVAS_LIST))
    for who in ("Ada Lovelace", "Jane Smith", "jane2"):
        (tmp_path / "in" / who).mkdir(parents=True)
        (tmp_path / "in" / who / "x.ipynb").write_bytes(notebook)
    found = collected(built, tmp_path / "in", roster)
    assert [attempt.student.key for attempt in found.chosen] == ["ada", "jane2"]
    assert [why for _, why in found.unknown] == ["2 students in the list have this name"]
    assert [attempt.student.key for attempt in collected(built, tmp_path / "in").chosen] == ["Ada_Lovelace", "Jane_Smith", "jane2"]


def test_a_notebook_of_another_chapter_is_named_and_not_taken(built: Course, tmp_path: Path, notebook: bytes) -> None:
    other = notebook.replace(f'"chapter": "{TINY}"'.encode(), b'"chapter": "99_other"')
    assert other != notebook
    found = collected(built, archive(tmp_path, {"a_1_2_x.ipynb": other, f"b_2_3_{TINY}.ipynb": b"[]"}))
    assert [why for _, why in found.unusable] == ["it says nothing of a chapter of this course"]
    assert [attempt.student.key for attempt in found.chosen] == ["b-2"]


def test_a_zip_in_a_zip_is_looked_into_once(built: Course, tmp_path: Path, notebook: bytes) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as made:
        made.writestr(f"homework/{TINY}.ipynb", notebook)
        made.writestr("__MACOSX/._x", b"")
        made.writestr("again.zip", b"PK")
    found = collected(built, archive(tmp_path, {"lovelaceada_101_9001_all.zip": inner.getvalue()}))
    assert [attempt.student.key for attempt in found.chosen] == ["lovelaceada-101"]
    assert [one.file for one, _ in found.unusable] == ["again.zip"]


def test_a_path_that_climbs_out_leads_nowhere(built: Course, tmp_path: Path, notebook: bytes) -> None:
    names = ["../../evil_1_2_x.ipynb", "/etc/evil_2_3_x.ipynb", "..\\..\\evil_3_4_x.ipynb", "a_4_5_../../../x.ipynb"]
    found = collected(built, archive(tmp_path, dict.fromkeys(names, notebook)))
    before = {path for path in tmp_path.rglob("*") if built.gradebook not in path.parents}
    write(built, found)
    assert {path for path in tmp_path.rglob("*") if built.gradebook not in path.parents} - {built.gradebook} == before
    submitted = built.gradebook / "submitted"
    assert all(path.resolve().is_relative_to(submitted.resolve()) for path in submitted.rglob("*"))


def test_a_bomb_ends_with_a_message(built: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_BYTES", 1000)
    source = archive(tmp_path, {"a_1_2_x.ipynb": bytes(5000), "b_2_3_y.ipynb": b"{}"})
    assert [problem for _, problem in collected(built, source).unusable] == [
        "it has more than 0 MiB",
        "it says nothing of a chapter of this course",
    ]
    monkeypatch.setattr(archives, "MAX_TOTAL", 2500)
    large = {f"{n}.ipynb": bytes(900) for n in range(2)}
    packed = {f"{n}.zip": archive(tmp_path, large).read_bytes() for n in range(2)}  # the measure is one, however deep
    for place in (archive(tmp_path, packed), folder(tmp_path / "in", packed)):
        with pytest.raises(ArchiveError, match=r"holds more than 0 GiB(.|\n)*remedy"):
            list(files(place))
    assert not any(found.content for found in files(archive(tmp_path, {f"{n}.png": bytes(900) for n in range(4)})))
    monkeypatch.setattr(archives, "MAX_FILES", 2)
    with pytest.raises(ArchiveError, match="more than 2 files"):
        list(files(archive(tmp_path, {f"{n}.txt": b"" for n in range(3)})))


def test_a_file_that_cannot_be_read_costs_no_other_one(
    built: Course, tmp_path: Path, notebook: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(tmp_path / "x.zip", "w", method) as made:
            for who in "ab":
                made.writestr(f"{who}_1_2_x.ipynb", notebook)
        content = bytearray((tmp_path / "x.zip").read_bytes())
        content[50:400] = bytes(350)
        (tmp_path / "x.zip").write_bytes(content)
        found = collected(built, tmp_path / "x.zip")
        assert [attempt.student.key for attempt in found.chosen] == ["b-1"]
        assert "cannot be read" in found.unusable[0][1]
    inside = folder(tmp_path / "in", {"ann/x.ipynb": notebook, "bob/x.ipynb": notebook})
    opened = Path.open

    def forbidden(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.parent.name == "ann":
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", forbidden)
    found = collected(built, inside)
    assert [attempt.student.key for attempt in found.chosen] == ["bob"]
    assert "Permission denied" in found.unusable[0][1]


def test_a_name_that_is_not_in_its_encoding_is_said(tmp_path: Path) -> None:
    place = archive(tmp_path, {"ä_1_2_x.ipynb": b"{}"})
    place.write_bytes(place.read_bytes().replace("ä".encode(), b"\xff\xff"))
    with pytest.raises(ArchiveError, match=r"a damaged one(.|\n)*remedy"):
        list(files(place))


def test_without_a_list_nobody_gets_the_folder_of_another(built: Course, tmp_path: Path, notebook: bytes) -> None:
    names = ["Ann B/x.ipynb", "Ann_B/x.ipynb", ".../x.ipynb", "cy/x.ipynb", f"submissions_2026_11_20/ada_101_9001_{TINY}.ipynb"]
    found = collected(built, folder(tmp_path / "in", dict.fromkeys(names, notebook)))
    assert [attempt.student.key for attempt in found.chosen] == ["ada-101", "cy"]
    assert [why for _, why in found.unknown] == [
        "its name cannot be that of a folder",
        "another student would get the same folder, Ann_B",
        "another student would get the same folder, Ann_B",
    ]


def test_of_a_class_that_handed_in_another_chapter_only_the_one_asked_for_is_taken(built: Course, tmp_path: Path, notebook: bytes) -> None:
    other = built.root / "solutions" / "02_other" / "02_other.py"
    other.parent.mkdir()
    other.touch()
    renamed = notebook.replace(f'"chapter": "{TINY}"'.encode(), b'"chapter": "02_other"')
    source = folder(tmp_path / "in", {"ada/x.ipynb": notebook, "bob/x.ipynb": renamed})
    found = sort(built, files(source), None, built.chapters([TINY])[0])
    assert [attempt.student.key for attempt in found.chosen] == ["ada"]
    assert [(attempt.student.key, chapter) for attempt, chapter in found.elsewhere] == [("bob", "02_other")]
    assert [attempt.chapter.name for attempt in sort(built, files(source), None).chosen] == [TINY, "02_other"]


def test_where_nothing_was_handed_in_the_command_fails_and_the_course_itself_is_not_collected(
    built: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(built.root)
    for source, words in (("", "holds the course itself"), ("..", "holds the course itself"), (str(tmp_path / "none"), "nothing to grade")):
        (tmp_path / "none").mkdir(exist_ok=True)
        ran = subprocess.run([sys.executable, "-m", "grader", "collect", source], capture_output=True, text=True, check=False)
        assert ran.returncode == 1
        assert words in ran.stdout
        assert "remedy" in ran.stdout
    assert not built.gradebook.exists()


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 and then nothing"])
def test_what_is_no_archive_is_said(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(ArchiveError, match=r"no zip archive(.|\n)*remedy"):
        list(files(tmp_path / "x.zip"))
    with pytest.raises(ArchiveError, match="no such file"):
        list(files(tmp_path / "y.zip"))


def test_a_list_is_read_whatever_separates_and_encodes_it(tmp_path: Path) -> None:
    expected = [Student("a", 'Müller; "Ann"', ("a",)), Student("b", "ملك", ("b",))]
    for delimiter in ",;\t":
        for encoding in ("utf-8", "utf-8-sig", "utf-16"):
            rows = ["id,name", 'a,"Müller; ""Ann"""', "b,ملك", ","]
            text = "\r\n".join([*(row.replace(",", delimiter, 1) for row in rows), ""])
            assert list(read(csv(tmp_path, text, encoding)).students) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1 names none of the columns"),
        ("who,mark\nx,1\n", "line 1 names none of the columns"),
        ("id,name\n,Ada\n", "line 2: no id for 'Ada'"),
        ("id,name\nx,Ada\nX,Bob\n", "'x' is the id of 'Ada' and 'Bob'"),
        ('id,name\nx,"Ada\ny,Bob\n', "line 3: unexpected end of data"),
        (f"id,name\nx,{'A' * 200_000}\n", "line 2: field larger than"),
        ("id,name\n,\n", "no student stands in it"),
        ("Identifier,Full name\n\nParticipant,Ada\n", "line 3: no id for 'Ada'"),
    ],
)
def test_a_list_that_cannot_be_used_is_refused_with_the_place(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(RosterError, match=r"remedy") as refused:
        read(csv(tmp_path, text))
    assert words in str(refused.value)
    with pytest.raises(RosterError, match="neither UTF-8 nor UTF-16"):
        (tmp_path / "latin.csv").write_bytes("id,name\nx,Jörg".encode("latin-1"))
        read(tmp_path / "latin.csv")


def test_the_list_is_kept_for_the_next_time(built: Course, tmp_path: Path) -> None:
    assert load(built) is None
    roster = read(csv(tmp_path, CANVAS_LIST))
    keep(built, roster)
    assert load(built) == roster
    (built.gradebook / "roster.json").write_text("[{}]")
    with pytest.raises(RosterError, match="remedy: delete it"):
        load(built)


def test_the_command_says_what_it_did_and_a_dry_run_does_nothing(built: Course, tmp_path: Path, notebook: bytes) -> None:
    source = archive(tmp_path, {f"lovelaceada_101_9001_{TINY}.ipynb": notebook, "x\x1b[31m_1_2_=cmd.txt": b""})
    command = [sys.executable, "-m", "grader", "collect", str(source), TINY[:2], "--roster", str(csv(tmp_path, CANVAS_LIST))]

    def run(*options: str) -> str:
        environment = {**os.environ, "COLUMNS": "200"}
        ran = subprocess.run([*command, *options], cwd=built.root, capture_output=True, text=True, env=environment, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert "\x1b" not in ran.stdout
        return ran.stdout

    assert "nothing was written" in run("--dry-run")
    assert not (built.gradebook / "submitted").exists()
    printed = run()
    assert f"{TINY}: 1 of 5 students" in printed
    assert f"missing from {TINY}: 4" in printed
    assert "1 of 1 notebooks are new or changed. Next: make grade" in printed
