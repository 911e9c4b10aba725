"""Inputs of every reader: good ones, spoilt at random, and JSON of any shape; strategies of hypothesis."""

import io
import json
from typing import Any

import numpy as np
from hypothesis import strategies as st
from PIL import Image

Bytes = st.SearchStrategy[bytes]


def spoilt(*seeds: bytes) -> Bytes:
    """Good bytes with some of them changed, cut off, doubled or put in, and random ones."""

    def spoil(seed: bytes, edits: list[tuple[int, bytes, int]], end: int | None) -> bytes:
        for place, new, removed in edits:
            at = place % (len(seed) + 1)
            seed = seed[:at] + new + seed[at + removed :]
        return seed if end is None else seed[: end % (len(seed) + 1)]

    small = st.binary(max_size=4) | st.sampled_from(
        [
            b"\0" * 4,
            b"\xff" * 4,
            b'"',
            b"{",
            b"[" * 2000,
            b": ",
            b"\n",
            b"-1",
            b"1e999",
            b"NaN",
            b"../",
            b"\xed\xa0\x80",
        ]
    )
    edit = st.tuples(st.integers(0, 5000), small, st.integers(0, 8))
    ends = st.none() | st.integers(0, 5000)
    return st.binary(max_size=60) | st.builds(spoil, st.sampled_from(seeds), st.lists(edit, max_size=4), ends)


def structured(keys: list[str]) -> Bytes:
    """JSON of any shape that uses these keys, as UTF-8."""
    leaves = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=8)
        | st.sampled_from(["a.png", "../a.png", "/etc/passwd", "a\0", "C:\\a.png", "\ud800", "2001", "p"])
    )
    values = st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(keys) | st.text(max_size=3), inner, max_size=5)
        ),
        max_leaves=12,
    )
    return values.map(lambda value: json.dumps(value).encode())


def lines(rows: Bytes) -> Bytes:
    """Several rows by line feeds."""
    return st.lists(rows, max_size=4).map(b"\n".join)


def _encoded(form: str, mode: str = "RGB", **options: Any) -> bytes:
    """A small picture as a file's bytes."""
    noise = np.random.default_rng(1).integers(0, 255, (12, 9, 3), np.uint8)
    buffer = io.BytesIO()
    image = Image.fromarray(noise)
    image = (
        Image.fromarray(np.asarray(image.convert("L"), np.float32)) if mode == "F" else image.convert(mode)
    )
    image.save(buffer, form, **options)
    return buffer.getvalue()


def _several(form: str) -> bytes:
    """A small picture of two frames."""
    return _encoded(form, save_all=True, append_images=[Image.new("RGB", (9, 12))])


EXIF = Image.Exif()
EXIF[0x0112] = 6
PICTURES = [
    _encoded("JPEG", exif=EXIF),
    _encoded("PNG"),
    _encoded("PNG", "RGBA"),
    _encoded("PNG", "P"),
    _encoded("TIFF"),
    _encoded("TIFF", "F"),
    _encoded("WEBP"),
    _encoded("JPEG", "CMYK"),
    _encoded("PNG", "I;16"),
    _several("GIF"),
    _several("MPO"),
    _several("PNG"),
    _several("WEBP"),
]


def parquet(**columns: list[str]) -> bytes:
    """A Parquet table of texts; without columns, one of a picture with its caption."""
    from arro3.core import Array, DataType, Table
    from arro3.io import write_parquet

    buffer = io.BytesIO()
    columns = columns or {"file_name": ["a.png"], "text": ["a.png"]}
    arrays = {name: Array(texts, type=DataType.utf8()) for name, texts in columns.items()}
    write_parquet(Table.from_pydict(arrays), buffer)
    return buffer.getvalue()


ROW = b'{"file_name": "a.png", "text": "A man.", "year": 1950, "id": 3}'
MANIFEST = b'{"source": "x", "pictures": [{"file": "a.png", "prompt": "p", "seed": 1}], "missing": []}'
PORTRAIT = (
    b'{"id": "1", "name": "A", "year": 2000, "category": "phy", "credit": "c", "kind": "illustration", '
    b'"file": "a.png", "sha256": "0", "size": 1}'
)
HEADER = b'{"__metadata__":{"a":"b"},"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
WEIGHTS = len(HEADER).to_bytes(8, "little") + HEADER + b"\0\0\0\0"
PROMPTS = b"- id: a-b\n  text: A man.\n  set: seed\n  attributes: {hair: curly}\n"
WORDS = b"gender: {place: noun, words: {man: man, woman: woman}}\nhair: {place: with, words: {a: b, c: d}}\n"
API = (
    b'{"laureates": [{"id": "1", "knownName": {"en": "A"}, "gender": "male", "nobelPrizes": [{"awardYear": '
    b'"2000", "category": {"en": "Physics"}, "links": [{"class": ["laureate facts"], "href": "/f/"}]}]}], '
    b'"meta": {"count": 1}}'
)
PAGE = (
    b'<section class="laureate-facts laur-1"><h1>A</h1><div class="image"><img src="/a.jpg"></div><p class="'
    b'figcaption__attribution">Ill. N.</p></section><meta name="robots" content="noai">'
)
LIST = (
    b'<p>awarded 3 times to 4 laureates between 1901 and 1903.</p><div class="card-prize"><div class="card-'
    b'prize--laureates--links"><a href="/prizes/physics/2000/a/facts/">a</a></div></div>'
)
VOTES = (
    b"study,rater,prompt,seed,left,right,choice,seconds\n"
    b'ab1,"Ann, B.",p1,1001,rank-4,rank-8,left,2.5\nab1,Ben,p2,1,baseline,rank-4,tie,0.4\n'
)
INFO = b"A man <lora:x:1>\nNegative prompt: bad\nSteps: 20, Sampler: Euler a, Seed: 5, CFG scale: 7"
COMFY = (
    b'{"1": {"class_type": "KSampler", "inputs": {"seed": 5, "positive": ["2", 0]}}, "2": {"class_type": '
    b'"CLIPTextEncode", "inputs": {"text": "A man."}}}'
)
FILE_KEYS = ["file_name", "file", "image", "path", "text", "caption", "year", "id", "gender", "name"]
ANSWER = (
    b'{"created": 1, "data": [{"b64_json": "data:image/png;base64,iVBORw0KGgo=", "revised_prompt": "A"}]}'
)
