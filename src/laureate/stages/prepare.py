"""Stage prepare: from the received bytes in `data/raw` to a captioned data set with a held-out part."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from laureate import crawled, dataset, prompts
from laureate.captioner import Questions, caption, check_tokens, load_vocabulary
from laureate.errors import LaureateError
from laureate.files import fresh_folder, write_bytes, write_text
from laureate.params import Params, Prepare
from laureate.pictures import PictureError, decode, resized, square
from laureate.progress import progress

RAW = Path("data/raw")
OUT = Path("data/dataset")


def run(params: Params, raw: str | Path = RAW, out: str | Path = OUT) -> None:
    """Write `out/{train,holdout}/` with pictures and `metadata.jsonl`, and `out/left_out.jsonl`.

    Raises LaureateError when raw pictures and their manifest differ, when there are too few of them, when a
    picture is on both sides, and when a prompt is a training caption. The raw pictures are not touched.
    """
    wanted, raw, out = params.prepare, Path(raw), Path(out)
    vocabulary = load_vocabulary(wanted.vocabulary)
    asked = [prompt.text for prompt in prompts.load(params.sample.prompts)]
    rows = crawled.read_manifest(raw / crawled.MANIFEST)
    dataset.check_files(rows, raw, crawled.MANIFEST)
    rows, left_out = dataset.usable(rows)
    pictures, broken = _pictures(rows, raw, wanted, params.crawl.megapixels)
    left_out += broken
    rows = [row for row in rows if row["file"] in pictures]
    texts = _captions(rows, pictures, wanted, vocabulary)
    sides: dict[str, list[dataset.Row]] = {name: [] for name in dataset.SIDES}
    for row in rows:
        sides[dataset.side(str(row["id"]), wanted.holdout, wanted.seed)].append(_row(row, texts))
    pixels = {f"{Path(file).stem}.png": _hash(picture) for file, picture in pictures.items()}
    dataset.check_split(sides, pixels, {"train": wanted.min_train, "holdout": wanted.min_holdout})
    dataset.check_prompts(sides["train"], asked)

    with fresh_folder(out) as folder:
        for name, members in sides.items():
            for member in members:
                write_bytes(folder / name / member["file_name"], _png(pictures[member["raw"]]))
            lines = ({key: value for key, value in member.items() if key != "raw"} for member in members)
            write_text(folder / name / "metadata.jsonl", dataset.as_lines(lines))
        write_text(folder / "left_out.jsonl", dataset.as_lines(left_out))
    counts = ", ".join(f"{len(members)} {name}" for name, members in sides.items())
    print(f"{out}: {counts}, {len(left_out)} left out")


def _pictures(
    rows: Sequence[dataset.Row], raw: Path, wanted: Prepare, megapixels: float
) -> tuple[dict[str, Image.Image], list[dict[str, str]]]:
    """File => square RGB picture at the wanted resolution; and {file, reason} for those left out."""
    pictures: dict[str, Image.Image] = {}
    left_out = []
    for row in progress(rows, len(rows), "pictures"):
        try:
            whole = decode((raw / row["file"]).read_bytes(), megapixels)
        except PictureError as error:
            left_out.append({"file": row["file"], "reason": str(error)})
            continue
        pictures[row["file"]] = resized(square(whole, wanted.head), wanted.resolution, wanted.filter)
    return pictures, left_out


def _captions(
    rows: Sequence[dataset.Row], pictures: Mapping[str, Image.Image], wanted: Prepare, vocabulary: Any
) -> dict[str, str]:
    """File => caption: written by hand where there is one, else the captioner's."""
    from laureate.judges import ClipJudge

    by_hand = _by_hand(Path(wanted.captions))
    if not rows:
        return {}
    judge = ClipJudge.load(wanted.clip)
    questions = Questions(vocabulary, wanted.style, judge, wanted.seed)
    features = judge.pictures([pictures[row["file"]] for row in rows])
    scale = float(judge.model.logit_scale.detach().exp())
    texts = {}
    for row, picture in progress(zip(rows, features, strict=True), len(rows), "captions"):
        known = {"male": "man", "female": "woman"}.get(row.get("gender") or "")
        answers = questions.answers(picture, scale, known)
        written = caption(vocabulary, answers, wanted.style, wanted.confidence)
        texts[row["file"]] = by_hand.get(Path(row["file"]).stem, written)
    check_tokens(texts, judge.tokenizer)
    return texts


def _by_hand(path: Path) -> dict[str, str]:
    """Stem of a raw file => caption. Raises LaureateError for a file that is no mapping of texts."""
    import yaml

    try:
        captions = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise LaureateError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(captions, dict):
        raise LaureateError(f"{path} must map the stem of a picture to its caption")
    for stem, text in captions.items():
        if not isinstance(text, str) or not text.strip():
            raise LaureateError(f"{path}: the caption of {stem} is empty or no text")
    return {str(stem): text.strip() for stem, text in captions.items()}


def _row(row: dataset.Row, texts: Mapping[str, str]) -> dataset.Row:
    """A row of `metadata.jsonl`; `raw` names the received file and is not written."""
    return {
        "file_name": f"{Path(row['file']).stem}.png",
        "text": texts[row["file"]],
        **{key: row[key] for key in ("id", "name", "year", "category", "credit", "page", "image")},
        "raw": row["file"],
    }


def _hash(picture: Image.Image) -> str:
    """SHA-256 of the pixels."""
    return hashlib.sha256(picture.tobytes()).hexdigest()


def _png(picture: Image.Image) -> bytes:
    """A picture as PNG."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
