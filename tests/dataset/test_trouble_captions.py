"""Captions of public trouble reports: every place, table and encoding, and what is not read."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from user_pictures import EXPECTED, Rows, caption, picture, problems, table, texts

from laureate.core.errors import LaureateError
from laureate.dataset import folder_check


@pytest.mark.parametrize("suffix", [".caption", ".txt", ".cap", ".TXT", ".Caption", "+.txt", "+.caption"])
def test_caption_ext(folder: Path, prepared: Callable[..., Rows], suffix: str) -> None:
    caption(folder, suffix)
    assert problems(folder) == []
    assert texts(prepared()) == EXPECTED


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_bom_txt(folder: Path, prepared: Callable[..., Rows], encoding: str) -> None:
    caption(folder, encoding=encoding, text="CAPTION {}\r\n")
    assert problems(folder) == []
    assert texts(prepared()) == EXPECTED


@pytest.mark.parametrize("data", [b"CAPTION \xe9\xff", "CAPTION".encode("utf-16-le"), b"a\0b"])
def test_a_caption_in_an_unknown_encoding_is_named(folder: Path, data: bytes) -> None:
    caption(folder)
    (folder / "p03.txt").write_bytes(data)
    (finding,) = problems(folder)
    assert finding.where == "p03.txt"
    assert "not UTF-8 text" in finding.problem


@pytest.mark.parametrize("mark", ["\u2028", "\u0085", "\u2029", "\x0b", "\x1e"])
def test_u2028_txt(folder: Path, prepared: Callable[..., Rows], mark: str) -> None:
    caption(folder, text=f"CAPTION {{}}{mark}a tie")
    assert texts(prepared()) == {name: f"{text}{mark}a tie" for name, text in EXPECTED.items()}


def test_lines_of_a_caption_become_one(folder: Path, prepared: Callable[..., Rows]) -> None:
    caption(folder, text="CAPTION\r\n {}\n\n")
    assert texts(prepared()) == EXPECTED


@pytest.mark.parametrize("name", ["metadata.jsonl", "metadata.csv", "metadata.parquet", "Metadata.CSV"])
@pytest.mark.parametrize(
    "columns", [("file_name", "text"), ("file", "cap"), ("image", "caption"), ("path", "prompt")]
)
@pytest.mark.parametrize("images", [False, True], ids=["beside", "in images"])
def test_meta_csv(
    folder: Path, prepared: Callable[..., Rows], name: str, columns: tuple[str, str], images: bool
) -> None:
    table(folder, name, columns)
    if images:
        (folder / "images").mkdir()
        for path in folder.glob("*.jpg"):
            path.rename(folder / "images" / path.name)
    assert problems(folder) == []
    found = texts(prepared())
    assert found == {("images-" if images else "") + name: text for name, text in EXPECTED.items()}


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_table_with_another_delimiter_is_read(
    folder: Path, prepared: Callable[..., Rows], delimiter: str
) -> None:
    table(folder, "metadata.csv", ("file_name", "text"), delimiter)
    assert texts(prepared()) == EXPECTED


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("captions.csv", "file_name,text\np00.jpg,CAPTION p00\n"),
        ("dataset.jsonl", '{"file_name": "p00.jpg", "text": "CAPTION"}\n'),
        ("meta_cap.json", '{"mine/p00": {"caption": "A."}, "p01.jpg": {"caption": "B."}}'),
        ("p00.tags", "a tie"),
        ("p00.caption.txt", "a tie"),
        ("p00_caption.txt", "a tie"),
        ("p00.caption_new", "a tie"),
        ("p00.text", "a tie"),
        ("p00.txt.bak", "a tie"),
        ("metadata.tsv", "file_name\ttext\n"),
        ("image_captions.csv", "1,A.\n"),
        ("metadata.csv", "bild,beschreibung\np00.jpg,CAPTION\np01.jpg,CAPTION\n"),
        ("metadata.csv", 'file_name,label\np00.jpg,"3"\n'),
        ("metadata.parquet", "PAR1 is not enough"),
    ],
)
def test_what_looks_like_captions_and_is_not_read_stops_prepare(
    folder: Path, prepared: Callable[..., Rows], name: str, content: str
) -> None:
    (folder / name).write_text(content)
    assert name in {finding.where for finding in problems(folder)}
    with pytest.raises(LaureateError, match="laureate doctor"):
        prepared()


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "LICENSE.txt",
        "notes.txt",
        "prompts.yaml",
        "config.yaml",
        "latents.npz",
        "p00.npz",
        "p00.xmp",
    ],
)
def test_other_files_do_not_matter(folder: Path, prepared: Callable[..., Rows], name: str) -> None:
    caption(folder)
    (folder / name).write_text("nothing about them")
    assert folder_check.check(folder, near=0.02) == []
    assert texts(prepared()) == EXPECTED


COLUMNS = [("File_Name", "Text"), (" file_name", "text "), ("FILE", "Caption")]


@pytest.mark.parametrize("columns", COLUMNS)
def test_columns_are_found_in_any_case(
    folder: Path, prepared: Callable[..., Rows], columns: tuple[str, str]
) -> None:
    table(folder, "metadata.csv", columns)
    assert texts(prepared()) == EXPECTED


def test_rows_by_windows_and_empty_lines(folder: Path, prepared: Callable[..., Rows]) -> None:
    (folder / "sub").mkdir()
    for path in folder.glob("*.jpg"):
        path.rename(folder / "sub" / path.name)
    rows = [json.dumps({"file_name": f"sub\\p0{n}.jpg ", "text": f"CAPTION p0{n}"}) for n in range(6)]
    (folder / "metadata.jsonl").write_text("\n" + "\n\n  \n".join(rows) + "\n\n")
    assert problems(folder) == []
    assert texts(prepared()) == {f"sub-{name}": text for name, text in EXPECTED.items()}


def test_a_second_table_that_says_something_else_is_named(
    folder: Path, prepared: Callable[..., Rows]
) -> None:
    table(folder, "metadata.csv", ("file_name", "text"))
    table(folder, "metadata.jsonl", ("file_name", "text"))
    assert folder_check.check(folder, near=0.02) == []
    (folder / "metadata.jsonl").write_text('{"file_name": "p00.jpg", "text": "another"}\n')
    (finding,) = folder_check.check(folder, near=0.02)
    assert (finding.where, finding.serious) == ("metadata.jsonl", False)
    assert "another caption than that in metadata.csv" in finding.problem
    assert texts(prepared()) == EXPECTED


def test_byte_order_marks_are_no_part_of_a_caption(folder: Path, prepared: Callable[..., Rows]) -> None:
    caption(folder, text="\ufeff\ufeffCAPTION\ufeff {}")
    assert texts(prepared()) == EXPECTED
    (folder / "p02.txt").write_text("\u200b\ufeff\u200e\n", "utf-8")
    assert [(f.where, f.problem) for f in problems(folder)] == [("p02.txt", "an empty caption")]


def test_control_characters_do_not_reach_the_terminal(
    folder: Path, prepared: Callable[..., Rows], capsys: pytest.CaptureFixture[str]
) -> None:
    caption(folder, text="CAPTION \x1b[2J{}\x07")
    prepared()
    said = capsys.readouterr().out
    assert "\\x1b[2Jp00\\x07" in said
    assert "\x1b" not in said


def test_mixed_captions(folder: Path, prepared: Callable[..., Rows]) -> None:
    (folder / "a").mkdir()
    (folder / "b").mkdir()
    for number in range(4):
        (folder / f"p0{number}.jpg").rename(folder / "a" / f"p0{number}.jpg")
    for number in (4, 5):
        (folder / f"p0{number}.jpg").rename(folder / "b" / f"p0{number}.jpg")
    table(folder / "b", "metadata.jsonl", ("file_name", "text"))
    (folder / "a/p00.txt").write_text("  ")
    (folder / "a/p01.txt").write_bytes("CAPTION p01".encode("utf-16"))
    (folder / "a/p02.txt").write_text("CAPTION p02")
    found = {finding.where: finding.problem for finding in problems(folder)}
    assert found == {
        "a/p00.txt": "an empty caption",
        "a/p03.txt": "p03.jpg has no caption, others have one",
    }
    for number in (0, 3):
        (folder / f"a/p0{number}.txt").write_text(f"CAPTION p0{number}")
    named = {f"{'ab'[n > 3]}-p0{n}.png": f"CAPTION p0{n}" for n in range(6)}
    assert texts(prepared()) == named


def test_a_table_that_lacks_pictures_leaves_them_to_their_files(
    folder: Path, prepared: Callable[..., Rows]
) -> None:
    (folder / "metadata.csv").write_text("file_name,text\np00.jpg,CAPTION p00\n")
    assert {f.problem for f in problems(folder)} == {"no row in metadata.csv"}
    caption(folder)
    assert problems(folder) == []
    assert texts(prepared()) == EXPECTED


def test_nearest_table(folder: Path, prepared: Callable[..., Rows]) -> None:
    (folder / "sub/deep").mkdir(parents=True)
    for number in (3, 4):
        (folder / f"p0{number}.jpg").rename(folder / f"sub/p0{number}.jpg")
    (folder / "p05.jpg").rename(folder / "sub/deep/p05.jpg")
    rows = {
        "": [("p00.jpg", "A"), ("p01.jpg", "B"), ("p02.jpg", "C"), ("sub/p03.jpg", "WRONG")],
        "sub": [("p03.jpg", "D"), ("p04.jpg", "E"), ("deep/p05.jpg", "F")],
    }
    for place, pairs in rows.items():
        lines = [json.dumps({"file_name": file, "text": text}) for file, text in pairs]
        (folder / place / "metadata.jsonl").write_text("\n".join(lines))
    assert problems(folder) == []
    assert sorted(texts(prepared()).values()) == list("ABCDEF")


def test_japanese(folder: Path, prepared: Callable[..., Rows]) -> None:
    caption(folder, text="帽子の男の肖像画 {}")
    assert texts(prepared())["p03.png"] == "帽子の男の肖像画 p03"


@pytest.mark.parametrize("year", ["ca. 1950", float("nan"), [1950], 1e99, True, "MCML", "1950?"])
def test_year_text(folder: Path, prepared: Callable[..., Rows], year: Any) -> None:
    rows = [
        {"file_name": f"p0{n}.jpg", "text": f"CAPTION p0{n}", "year": year, "gender": "?"} for n in range(6)
    ]
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    findings = {f.problem.partition(" in ")[0]: f for f in folder_check.check(folder, near=0.02)}
    assert set(findings) == {"year is no number", "gender is neither male nor female"}
    assert not any(finding.serious for finding in findings.values())
    assert {row["year"] for row in prepared().values()} == {None}


def test_a_year_in_words_of_a_table_is_a_number(folder: Path, prepared: Callable[..., Rows]) -> None:
    (folder / "metadata.csv").write_text(
        "file_name,text,year,id\n" + "".join(f"p0{n}.jpg,CAPTION p0{n},{1950 + n}.0,{n}\n" for n in range(6))
    )
    assert prepared()["p03.png"]["year"] == 1953


@pytest.mark.parametrize(
    ("key", "name"),
    [("007", "007.jpg"), ("1_2", "1_2.jpg"), ("1e3", "1e3.jpg"), ("yes", "yes.jpg"),
     ("2020-01-01", "2020-01-01.jpg"),
     ("0x1f", "0x1f.jpg"),
     ("null", "null.jpg"), ("'5'", "5.jpg"), ("sub-a", "sub/a.jpg"), ("é", "e\u0301.jpg")],
)  # fmt: skip
def test_octal_key(
    folder: Path, prepared: Callable[..., Rows], tmp_path: Path, key: str, name: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (folder / name).parent.mkdir(exist_ok=True)
    picture(50).save(folder / name)
    by_hand = tmp_path / "captions.yaml"
    by_hand.write_text(f"{key}: CAPTION by hand\nnobody: CAPTION\n", "utf-8")
    assert "CAPTION by hand" in texts(prepared(captions=str(by_hand))).values()
    assert "no picture is called nobody;" in capsys.readouterr().err


def test_captions_by_hand_may_lie_in_the_folder(folder: Path, prepared: Callable[..., Rows]) -> None:
    by_hand = folder / "captions.yaml"
    by_hand.write_text("".join(f"p0{n}.jpg: CAPTION p0{n}\n" for n in range(6)))
    assert texts(prepared(captions=str(by_hand))) == EXPECTED
