"""Readers of files and answers that people bring, each with inputs of its kind that are spoilt at random.

Every input must end in a value, or in the error that the reader promises; nothing is written, and no file
outside of the folder is named. `python tests/helpers/fuzzed_readers.py 10000` tries that many inputs per
reader, prints a line per reader, and exits 1 if one failed.
"""

import json
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import fuzzed_requests
import spoilt_inputs
from hypothesis import HealthCheck, Phase, given, settings
from spoilt_inputs import Bytes, lines, spoilt, structured

from crawler import site_rules
from crawler.api_responses import LaureatesResponse
from crawler.pages import FactsPage, PrizeList
from crawler.parsing import NotFound
from laureate.commands import endpoint_answers
from laureate.config import params
from laureate.core.errors import LaureateError
from laureate.core.text_files import TextError, decode_text
from laureate.dataset import captions, folder_check, manual_captions, user_folder
from laureate.formats import (
    generation_metadata,
    imagefolder,
    jsonl,
    portraits,
    prompts,
    vocabulary,
    vote_file,
)
from laureate.formats.caption_tables import parse_table
from laureate.formats.file_names import is_outside
from laureate.formats.picture_manifest import checked_rows, read_object
from laureate.imaging import png_text
from laureate.imaging.headers import read_header
from laureate.imaging.image_io import PictureError, examine
from laureate.torch_utils import safetensors_io


@dataclass(frozen=True)
class Reader:
    """`read(data, folder)` for inputs of one kind; `errors` are those that it may raise."""

    inputs: Bytes
    read: Callable[[bytes, Path], object]
    errors: tuple[type[Exception], ...] = (LaureateError,)


def _file(name: str, read: Callable[[Path], object]) -> Callable[[bytes, Path], object]:
    """Read the input as a file of this name."""

    def act(data: bytes, folder: Path) -> object:
        (folder / name).write_bytes(data)
        return read(folder / name)

    return act


def _examine(data: bytes, _: Path) -> None:
    info, picture = examine(data, 1.0)
    assert picture.mode == "RGB"
    assert info.size in (picture.size, picture.size[::-1])


def _folder(name: str) -> Callable[[bytes, Path], object]:
    """Read a user's folder of one picture whose captions are the input."""

    def act(data: bytes, folder: Path) -> None:
        (folder / "a.png").write_bytes(spoilt_inputs.PICTURES[1])
        (folder / name).write_bytes(data)
        folder_check.check(folder)
        (row,) = user_folder.read(folder, embedded_prompts=True)
        assert row["file"] == "a.png"
        jsonl.write(folder / "out.part", [row])  # whatever was read can be written
        json.loads((folder / "out.part").read_text("utf-8"), parse_constant=_no_number)

    return act


def _no_number(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


def _table(name: str) -> Callable[[bytes, Path], object]:
    def act(data: bytes, folder: Path) -> None:
        for _, row in parse_table(data, Path(name)):
            assert row is None or isinstance(row["file_name"], str)

    return act


def _manifest(path: Path) -> None:
    (path.parent / "a.png").touch()
    keys = {"file": str, "prompt": str, "seed": int}
    for _, row in checked_rows(path, read_object(path, "make it")["pictures"], keys):
        assert not is_outside(row["file"])


def _dataset(path: Path) -> object:
    (path.parent / "a.png").touch()
    return imagefolder.read_metadata(path.parent)


def _page(data: bytes, _: Path) -> None:
    page = FactsPage(data.decode("utf-8", "replace"), "https://a.example/facts/")
    assert page.refusal is None or page.refusal
    for name in ("id", "image", "credit", "name"):
        try:
            getattr(page, name)
        except NotFound:
            continue


def _endpoint_answer(data: bytes, _: Path) -> object:
    words, codes = endpoint_answers.said(data.decode("utf-8", "replace"))
    assert len(words) <= 200
    assert {endpoint_answers.refuses(code, words, codes) for code in (200, 403, 429)} <= {True, False}
    found = endpoint_answers.first_picture(endpoint_answers.parsed(data))[0]
    return None if found is None else endpoint_answers.decoded(found)


READERS: dict[str, Reader] = {
    "decoder": Reader(spoilt(*spoilt_inputs.PICTURES), _examine, (PictureError,)),
    "picture headers": Reader(
        spoilt(*spoilt_inputs.PICTURES), _file("a.png", read_header), (OSError, PictureError)
    ),
    "PNG texts": Reader(
        spoilt(*spoilt_inputs.PICTURES[1:4]),
        lambda data, _: (png_text.texts(data), png_text.without_texts(data)),
        (),
    ),
    "text files": Reader(
        spoilt(spoilt_inputs.ROW, spoilt_inputs.ROW.decode().encode("utf-16")),
        lambda data, _: decode_text(data),
        (TextError,),
    ),
    "jsonl tables": Reader(
        spoilt(spoilt_inputs.ROW, spoilt_inputs.ROW + b"\n" + spoilt_inputs.ROW)
        | lines(structured(spoilt_inputs.FILE_KEYS)),
        _table("metadata.jsonl"),
    ),
    "csv tables": Reader(
        spoilt(b'file_name,text\na.png,"A, b"\n', b"file;cap\r\na.png;A\r\n"), _table("metadata.csv")
    ),
    "parquet tables": Reader(spoilt(spoilt_inputs.parquet()), _table("metadata.parquet")),
    "folder with a table": Reader(
        spoilt(spoilt_inputs.ROW) | lines(structured(spoilt_inputs.FILE_KEYS)), _folder("metadata.jsonl")
    ),
    "folder with a csv": Reader(spoilt(b"file_name,text,year\na.png,A,1950\n"), _folder("metadata.csv")),
    "folder with captions": Reader(spoilt(b"A man.\n", "Ä".encode("utf-16")), _folder("a.txt")),
    "folder with json": Reader(
        spoilt(b'{"caption": "A man."}') | structured(spoilt_inputs.FILE_KEYS), _folder("a.json")
    ),
    "captions.yaml": Reader(spoilt(b"007: A man.\n1_2: B\n"), _file("c.yaml", manual_captions.read)),
    "manifests": Reader(
        spoilt(spoilt_inputs.MANIFEST) | structured(["pictures", "file", "prompt", "seed"]),
        _file("m.json", _manifest),
    ),
    "crawl manifests": Reader(
        spoilt(spoilt_inputs.PORTRAIT) | lines(structured(["id", "file"])),
        _file("p.jsonl", portraits.read_manifest),
    ),
    "data sets": Reader(spoilt(spoilt_inputs.ROW), _file("metadata.jsonl", _dataset)),
    "left_out.jsonl": Reader(
        spoilt(b'{"file": "a", "reason": "b"}') | lines(structured(["file", "reason"])),
        _file("left_out.jsonl", lambda path: imagefolder.read_left_out(path.parent)),
    ),
    "prompts": Reader(
        spoilt(spoilt_inputs.PROMPTS) | structured(["id", "text", "set", "attributes"]),
        _file("p.yaml", lambda path: prompts.load([path])),
    ),
    "vocabulary": Reader(
        spoilt(spoilt_inputs.WORDS) | structured(["gender", "place", "words", "of"]),
        _file("v.yaml", vocabulary.load_vocabulary),
    ),
    "params.yaml": Reader(
        spoilt(b"ranks: [4, 8]\nprepare: {near: 0.1}\n") | structured(["ranks", "prepare", "train"]),
        _file("params.yaml", params.load),
    ),
    "safetensors": Reader(
        spoilt(spoilt_inputs.WEIGHTS)
        | structured(["__metadata__", "data_offsets", "shape", "dtype"]).map(
            lambda head: len(head).to_bytes(8, "little") + head
        ),
        _file("w.safetensors", safetensors_io.load),
    ),
    "safetensors metadata": Reader(
        spoilt(spoilt_inputs.WEIGHTS), _file("w.safetensors", safetensors_io.metadata)
    ),
    "API answers": Reader(
        spoilt(spoilt_inputs.API) | structured(["laureates", "id", "nobelPrizes", "links", "meta", "count"]),
        lambda data, _: LaureatesResponse(data.decode("utf-8", "replace"), "https://a.example/").entries,
        (NotFound,),
    ),
    "pages": Reader(spoilt(spoilt_inputs.PAGE), _page, ()),
    "list pages": Reader(
        spoilt(spoilt_inputs.LIST),
        lambda data, _: PrizeList(data.decode("utf-8", "replace"), "https://a.example/").facts,
        (NotFound,),
    ),
    "robots.txt": Reader(
        spoilt(b"User-agent: *\nCrawl-delay: 2\n"),
        lambda data, _: site_rules.robots_text(data),
        (ValueError,),
    ),
    "prompts in pictures": Reader(
        spoilt(spoilt_inputs.INFO, spoilt_inputs.COMFY) | structured(["class_type", "inputs", "text"]),
        lambda data, _: [
            generation_metadata.of_png_text({key: data.decode("utf-8", "replace")}).prompt
            for key in ("parameters", "prompt", "workflow", "invokeai_metadata", "sd-metadata")
        ],
        (),
    ),
    "endpoint answers": Reader(
        spoilt(spoilt_inputs.ANSWER)
        | structured(["data", "b64_json", "images", "url", "error", "message", "code"]),
        _endpoint_answer,
        (ValueError,),
    ),
    "HTTP requests": Reader(fuzzed_requests.requests(), fuzzed_requests.send, (fuzzed_requests.Refused,)),
    "vote files": Reader(spoilt(spoilt_inputs.VOTES), _file("votes.csv", vote_file.read)),
    "one caption": Reader(
        spoilt(b"A man.\r\n  with a hat"),
        lambda data, _: captions.one_line(data.decode("utf-8", "replace")),
        (),
    ),
}


def try_reader(reader: Reader, examples: int) -> int:
    """Read `examples` spoilt inputs => how many were refused. Raises what the reader must not raise."""
    refused = 0

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(reader.inputs)
    def one(data: bytes) -> None:
        nonlocal refused
        with tempfile.TemporaryDirectory() as parent, warnings.catch_warnings():
            warnings.simplefilter("error")
            folder = Path(parent) / "in"
            folder.mkdir()
            try:
                reader.read(data, folder)
            except reader.errors:
                refused += 1
            assert [path.name for path in Path(parent).iterdir()] == ["in"]

    one()
    return refused


def main() -> int:
    """Try every reader, or those named after the number of inputs."""
    examples, names = int(sys.argv[1]), sys.argv[2:] or list(READERS)
    failed = 0
    for name in names:
        begun = time.monotonic()
        try:
            refused = f"{try_reader(READERS[name], examples)} refused, none failed"
        except Exception as error:  # noqa: BLE001  # the log goes on with the next reader
            failed += 1
            refused = f"FAILED: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
        print(f"{name}: {examples} inputs, {refused}, {time.monotonic() - begun:.0f} s", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
