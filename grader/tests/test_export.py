"""Marks reach Canvas and Moodle in their own forms, and what cannot be filled in is said."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from grader.export import ExportError, export, export_json, rounded
from grader.ledger import Mark, Paper, Sheet
from grader.tests.test_collect import CANVAS_LIST, WORKSHEET


def sheet(student: str, *points: float | None, penalty: float = 0.0) -> Sheet:
    return Sheet("05_lines", student, tuple(Mark(f"c{place}", "e", got, 4.0) for place, got in enumerate(points)), penalty)


def written(path: Path, encoding: str, delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(path.read_bytes().decode(encoding), newline=""), delimiter=delimiter))


def test_canvas_gets_its_own_columns_a_new_one_and_its_mark_of_the_encoding(tmp_path: Path) -> None:
    (tmp_path / "canvas.csv").write_text(CANVAS_LIST, encoding="utf-8")
    sheets = [sheet("ada", 4.0, 3.0), sheet("joerg", 4.0, None), sheet("jane1", 1.0, 0.0, penalty=2.0), sheet("zoe", 1.0, 1.0)]
    made = export(tmp_path / "canvas.csv", "05_lines", sheets, tmp_path / "out" / "x.csv")
    assert (made.filled, made.empty, made.unmarked, made.left_out) == (("ada", "jane1"), ("xiaoming", "jane2"), ("joerg",), ("zoe",))
    assert made.path.read_bytes().startswith(b"\xef\xbb\xbfStudent,ID,SIS User ID,SIS Login ID,Section,05_lines\r\n")
    rows = written(made.path, "utf-8-sig")
    assert rows[1] == ["    Points Possible", "", "", "", "", "8"]
    assert rows[2] == ["Lovelace, Ada", "101", "S1", "ada", "A", "7"]
    assert [row[-1] for row in rows[3:]] == ["", "", "0", "", ""]


def test_canvas_s_own_column_is_filled_and_its_maximum_kept(tmp_path: Path) -> None:
    (tmp_path / "canvas.csv").write_text(CANVAS_LIST.replace("A,\n", "A,3\n", 1), encoding="utf-8")
    made = export(tmp_path / "canvas.csv", "05_lines", [sheet("ada", 4.0, 3.0)], tmp_path / "x.csv", "Homework (4314282)")
    rows = written(made.path, "utf-8-sig")
    assert rows[0][-1] == "Homework (4314282)"
    assert made.scale == (8.0, 10.0)
    assert [row[-1] for row in rows[1:3]] == ["10", "8.75"]
    with pytest.raises(ExportError, match=r"no column 'Hw'(.|\n)*choose one of: .*Homework"):
        export(tmp_path / "canvas.csv", "05_lines", [], tmp_path / "y.csv", "Hw")
    assert not (tmp_path / "y.csv").exists()


def test_what_canvas_has_for_somebody_without_a_mark_stays(tmp_path: Path) -> None:
    text = "Student,ID,SIS Login ID,Section,05_lines\nAda,1,ada,A,5\nBob,2,bob,A,EX\nCy,3,cy,A,\nDi,4,di,A,9\n"
    (tmp_path / "canvas.csv").write_text(text, encoding="utf-8")
    made = export(tmp_path / "canvas.csv", "05_lines", [sheet("ada", 4.0, None), sheet("di", 1.0)], tmp_path / "x.csv")
    assert [row[-1] for row in written(made.path, "utf-8")[1:]] == ["5", "EX", "", "1"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_moodle_s_worksheet_comes_back_as_it_was_with_marks(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "moodle.csv").write_text(WORKSHEET, encoding=encoding)
    made = export(tmp_path / "moodle.csv", "05_lines", [sheet("ada@example.org", 4.0, 3.0)], tmp_path / "x.csv")
    rows = written(made.path, encoding, ";")
    assert rows[0] == WORKSHEET.splitlines()[0].split(";")
    assert rows[1] == ["Participant 201", "Ada Lovelace", "S1", "ada@example.org", "Submitted", "8.75", "10"]
    assert rows[2] == ["Participant 202", 'O\'Neil, Zoë "Z"', "S2", "zoe@example.org", "Submitted", "", "10"]
    assert made.empty == ("zoe@example.org",)


def test_a_name_that_a_spreadsheet_would_run_is_text(tmp_path: Path) -> None:
    (tmp_path / "canvas.csv").write_text('Student,ID,SIS Login ID,Section\n"=cmd|x, Ada",1,ada,A\n', encoding="utf-8")
    made = export(tmp_path / "canvas.csv", "05_lines", [sheet("ada", 1.0)], tmp_path / "x.csv")
    assert written(made.path, "utf-8")[1] == ["'=cmd|x, Ada", "1", "ada", "A", "1"]


def test_what_a_student_wrote_on_moodle_is_text_and_what_moodle_reads_back_is_as_it_was(tmp_path: Path) -> None:
    text = "Identifier,Full name,Grade,Online text,Last modified,Feedback comments\nParticipant 1,Ada,,=cmd|x,-,- good\n"
    (tmp_path / "m.csv").write_text(text, encoding="utf-8")
    made = export(tmp_path / "m.csv", "05_lines", [sheet("1", 1.0)], tmp_path / "x.csv")
    assert written(made.path, "utf-8")[1] == ["Participant 1", "Ada", "1", "'=cmd|x", "-", "- good"]


def test_an_export_that_is_interrupted_leaves_what_stood_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "canvas.csv").write_text(CANVAS_LIST, encoding="utf-8")
    before = export(tmp_path / "canvas.csv", "05_lines", [sheet("ada", 1.0)], tmp_path / "out" / "x.csv").path.read_bytes()
    written_whole = Path.write_bytes

    def interrupted(path: Path, content: bytes) -> int:
        written_whole(path, content[:20])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", interrupted)
    for place in ("out", "new/folder"):
        with pytest.raises(KeyboardInterrupt):
            export(tmp_path / "canvas.csv", "05_lines", [sheet("ada", 2.0)], tmp_path / place / "x.csv")
    assert (tmp_path / "out" / "x.csv").read_bytes() == before
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["canvas.csv", "out", "x.csv"]


@pytest.mark.parametrize(("text", "words"), [("id,name\nx,Ada\n", "there is no column 'Grade'"), ("a,b\n", "names none of the columns")])
def test_what_is_no_platform_s_file_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "x.csv").write_text(text, encoding="utf-8")
    with pytest.raises(Exception, match=words):
        export(tmp_path / "x.csv", "05_lines", [], tmp_path / "y.csv")
    assert not (tmp_path / "y.csv").exists()


@pytest.mark.parametrize("maximum", ["-", "nan", ""])
def test_a_maximum_that_is_no_number_and_a_short_row_are_taken_as_they_come(tmp_path: Path, maximum: str) -> None:
    (tmp_path / "m.csv").write_text(f"Identifier,Full name,Grade,Maximum Grade\nParticipant 1,Ada,,{maximum}\nParticipant 2,Bob\n\n")
    made = export(tmp_path / "m.csv", "05_lines", [sheet("1", 4.0, 3.0)], tmp_path / "x.csv")
    assert [row[2] for row in written(made.path, "utf-8")] == ["Grade", "7", "", ""]


def test_where_there_is_no_mark_to_fill_in_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "canvas.csv").write_text(CANVAS_LIST, encoding="utf-8")
    for sheets in ([], [sheet("zoe", 1.0)], [sheet("ada", None)]):
        with pytest.raises(ExportError, match=r"none of its students has a mark(.|\n)*remedy"):
            export(tmp_path / "canvas.csv", "05_lines", sheets, tmp_path / "x.csv")
    assert not (tmp_path / "x.csv").exists()


def test_halves_are_rounded_up_whatever_their_binary_form() -> None:
    assert [rounded(points, 8.0, maximum) for points, maximum in ((1.005, 8.0), (7.0, 10.0), (8.0, 100.0), (0.0, 10.0), (1.0, 3.0))] == [
        "1.01",
        "8.75",
        "100",
        "0",
        "0.38",
    ]


def test_everything_that_is_known_of_the_marks_is_there_as_json(tmp_path: Path) -> None:
    mark = Mark("mean-by-hand", "mean", None, 2.0, "AssertionError: 王")
    papers = [Paper(Sheet("05_lines", "ada", (mark, Mark("mean-shape", "mean", 1.0, 1.0)), 0.5), comments={"mean": "nearly"})]
    assert export_json("05_lines", papers, tmp_path / "out" / "x.json") == 1
    (found,) = json.loads((tmp_path / "out" / "x.json").read_text(encoding="utf-8"))["students"]
    assert (found["student"], found["points"], found["possible"], found["penalty"]) == ("ada", 0.5, 3.0, 0.5)
    assert found["checks"][0] == {"cell": "mean-by-hand", "exercise": "mean", "points": None, "possible": 2.0, "message": mark.message}
    assert found["comments"] == {"mean": "nearly"}
    with pytest.raises(ExportError, match=r"05_lines: nobody has marks\n    remedy: run `make grade LESSON=05` first"):
        export_json("05_lines", [], tmp_path / "y.json")
    assert not (tmp_path / "y.json").exists()
