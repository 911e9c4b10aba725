"""Captions in forms of other programs: each is read, or named as not read; none is replaced in silence."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from user_pictures import EXPECTED, Rows, caption, picture, problems, table, texts

from laureate.dataset import folder_check, user_folder
from laureate.formats.caption_tables import caption_of, known_name

NUMBERS = range(6)


def rows(form: str, sep: str = "\n") -> str:
    """One line per picture; {0}: its file, {1}: its caption, {2}: its stem."""
    return sep.join(form.format(f"p0{n}.jpg", f"CAPTION p0{n}", f"p0{n}") for n in NUMBERS)


def captions(folder: Path) -> dict[str, str | None]:
    """Stem => the caption that is used."""
    return {Path(row["file"]).stem: row["text"] for row in user_folder.read(folder)}


WANTED = {f"p0{n}": f"CAPTION p0{n}" for n in NUMBERS}
TABLES = {
    **{
        f"column {head}": (head + "\n" + rows("{0},{1}")).encode()
        for head in ("File Name,Text", "image_name,caption", "img,Caption Text", "image-file,alt_text",
                     '"fileName","text"', "imageFileName,TXT", "picture,prompt", "Image Path,Description")
    },
    "Excel says sep=": ("sep=;\r\nfile_name;text\r\n" + rows("{0};{1}", "\r\n")).encode(),
    "bars": ("file_name|text\n" + rows("{0}|{1}")).encode(),
    "lines of an old Mac": ("file_name;text\r" + rows('{0};"{1}"', "\r")).encode(),
    "with an index": (",file_name,text\n" + rows("0,{0},{1}")).encode(),
    "Excel's Unicode text": ("file_name\ttext\r\n" + rows("{0}\t{1}", "\r\n")).encode("utf-16"),
    "a column too many": ("file_name,text,\n" + rows("{0},{1},")).encode(),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_read_however_its_columns_are_spelt(folder: Path, name: str) -> None:
    (folder / "metadata.csv").write_bytes(TABLES[name])
    assert problems(folder) == []
    assert captions(folder) == WANTED


@pytest.mark.parametrize(
    "form",
    [
        '{{"File Name": "{0}", "Caption": "{1}"}}',
        '{{"file_name": "{0}", "text": null, "caption": "{1}"}}',
        '{{"file_name": "{0}", "text": " ", "prompt": "{1}"}}',
        '{{"img": "{0}", "captions": ["{1}", "another"]}}',
        '{{"image": {{"path": "{0}", "bytes": null}}, "text": "{1}"}}',
    ],
)
def test_the_caption_is_the_first_column_that_has_one(folder: Path, form: str) -> None:
    (folder / "metadata.jsonl").write_text(rows(form))
    assert problems(folder) == []
    assert captions(folder) == WANTED


@pytest.mark.parametrize(
    "value",
    [
        {"Caption": "A"},
        {"captions": ["A", "B"]},
        "A",
        {"text": "", "alt-text": "A"},
        {"tags": "x", "CAP": "A"},
    ],
)
def test_json_beside_a_picture_is_read(folder: Path, value: object) -> None:
    for n in NUMBERS:
        (folder / f"p0{n}.json").write_text(json.dumps(value))
    assert problems(folder) == []
    assert set(captions(folder).values()) == {"A"}


@pytest.mark.parametrize("value", [{}, [], None, 5, {"text": []}, {"text": {"caption": "A"}}, {"other": "A"}])
def test_json_of_something_else_has_no_caption(value: object) -> None:
    assert caption_of(value) is None


def test_a_column_of_another_name_is_none_of_ours() -> None:
    assert known_name("label") is None
    assert known_name("the file name") is None


LISTS = {
    "list.txt": rows("{0}: {1}"),
    "stems.txt": rows("{2}\t{1}"),
    "all.yaml": rows("{2}: {1}"),
    "train.json": json.dumps(WANTED),
    "tags.ndjson": rows('{{"id": "{2}", "text": "{1}"}}'),
    "captions": rows("{0}: {1}"),
    "captions.docx": "PK\3\4",
    "image_captions.sqlite": "SQLite format 3\0",
    "metadata.csv.gz": "\x1f\x8b\x08\0",
    "metadata (1).csv": rows("{0},{1}"),
    "captions_new.txt": rows("{0} {1}"),
}


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_one_file_for_all_pictures_is_named(folder: Path, name: str, encoding: str) -> None:
    (folder / name).write_bytes(LISTS[name].encode(encoding))
    assert [finding.where for finding in problems(folder)] == [name]


@pytest.mark.parametrize(
    ("suffix", "data"),
    [(".docx", b"PK\3\4\0\0\xff"), (".rtf", b"{\\rtf1 A man.}"), (".text", b"A man \xe9."),
     (".florence", b"A man."), (".caption.json", b"{}"), ("-caption.txt", b"A man.")],
)  # fmt: skip
def test_a_file_named_as_its_picture_is_named(folder: Path, suffix: str, data: bytes) -> None:
    for n in NUMBERS:
        (folder / f"p0{n}{suffix}").write_bytes(data)
    assert {finding.where for finding in problems(folder)} == {f"p0{n}{suffix}" for n in NUMBERS}


@pytest.mark.parametrize("places", [("images", "captions"), ("img", "txt"), (".", "labels")])
def test_captions_in_a_folder_of_their_own_are_named(folder: Path, places: tuple[str, str]) -> None:
    for place in places:
        (folder / place).mkdir(exist_ok=True)
    for n in NUMBERS:
        (folder / f"p0{n}.jpg").rename(folder / places[0] / f"p0{n}.jpg")
        (folder / places[1] / f"p0{n}.txt").write_text(f"CAPTION p0{n}")
    assert {finding.where for finding in problems(folder)} == {f"{places[1]}/p0{n}.txt" for n in NUMBERS}


@pytest.mark.parametrize("name", ["index.html", "download.log", "gallery"])
def test_another_text_that_names_pictures_is_mentioned_and_stops_nothing(
    folder: Path, prepared: Callable[..., Rows], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / name).write_text(rows('<img src="{0}" alt="{1}">'))
    assert problems(folder) == []
    prepared()
    assert f"{name}: names pictures, and is not read" in capsys.readouterr().out
    caption(folder)
    assert folder_check.check(folder, near=0.02) == []
    assert texts(prepared()) == EXPECTED


def test_numbers_in_other_files_name_no_pictures(folder: Path) -> None:
    for n in NUMBERS:
        (folder / f"p0{n}.jpg").rename(folder / f"{n}.jpg")
    (folder / "config.yaml").write_text("steps: 10\nrank: 4\n1: x\nlist: [0, 1, 2, 3, 4, 5]\n")
    (folder / "captions.py").write_text("print('1: 2')")
    assert folder_check.check(folder, near=0.02) == []


def test_a_yaml_file_of_captions_says_where_to_name_it(folder: Path) -> None:
    (folder / "mine.yaml").write_text(rows("{2}: {1}"))
    (finding,) = problems(folder)
    assert "prepare.captions" in finding.remedy


def test_a_table_of_the_whole_beside_captions_of_some(folder: Path) -> None:
    table(folder, "metadata.csv", ("Image", "Caption"))
    picture(50).save(folder / "q.jpg")
    (folder / "q.caption").write_text("CAPTION q")
    assert problems(folder) == []
    assert captions(folder) == WANTED | {"q": "CAPTION q"}
