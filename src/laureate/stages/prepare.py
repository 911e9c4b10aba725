"""Stage prepare: crop, caption and split the pictures of a crawl or of a user's folder into a data set."""

import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from laureate.config.params import Params, Prepare
from laureate.core.errors import LaureateError
from laureate.core.files import fresh_folder, write_bytes
from laureate.core.paths import in_home
from laureate.core.progress import progress
from laureate.dataset import filters, folder_check, layouts, manual_captions, split, user_folder
from laureate.dataset.clip_captioner import MAX_TOKENS, AttributeClassifier, caption, check_tokens
from laureate.formats import imagefolder, portraits, prompts
from laureate.formats.jsonl import Row
from laureate.formats.vocabulary import load_vocabulary
from laureate.imaging.blank import blankness
from laureate.imaging.image_io import PictureError, decode, resized, square
from laureate.imaging.near_duplicates import Hash, perceptual_hash

RAW = Path(Prepare.model_fields["source"].default)
OUT = Path("data/dataset")


def run(params: Params, raw: str | Path | None = None, out: str | Path = OUT) -> None:
    """Write `out/{train,holdout}/` with pictures and `metadata.jsonl`, and `out/left_out.jsonl`.

    `raw` overrides `params.prepare.source`; it is only read. Raises LaureateError when pictures and manifest
    differ, when `laureate doctor` finds a serious problem in a user's folder, when there are too few
    pictures, when one is in both parts, and when a prompt is a training caption.
    """
    wanted, raw, out = params.prepare, in_home(raw or params.prepare.source), Path(out)
    vocabulary = load_vocabulary(wanted.vocabulary)
    asked = [prompt.text for prompt in prompts.load(params.sample.prompts)]
    prompts.check_enough(len(asked), len(params.sample.seeds))
    _name_long_prompts(asked, wanted)
    every = _rows(raw, wanted, params.crawl.megapixels)
    manual = manual_captions.load(Path(wanted.captions), every)
    rows, left_out = filters.usable(every)
    pictures, hashes, broken = _pictures(rows, raw, wanted, params.crawl.megapixels)
    rows = [row for row in rows if row["file"] in pictures]
    rows, duplicates = filters.without_near_duplicates(rows, hashes, wanted.near)
    left_out += broken + duplicates
    texts = _captions(rows, pictures, wanted, vocabulary, manual)
    parts: dict[str, list[Row]] = {name: [] for name in imagefolder.PARTS}
    for row in rows:
        parts[split.part_of(str(row["id"]), wanted.holdout, wanted.seed)].append(metadata_row(row, texts))
    least = {"train": wanted.min_train, "holdout": wanted.min_holdout}
    png_hashes = {_png_name(row["file"]): hashes[row["file"]] for row in rows}
    split.check_split(parts, png_hashes, least, wanted.near)
    split.check_prompts(parts["train"], asked)

    with fresh_folder(out) as folder:
        for name, members in parts.items():
            for member in members:
                write_bytes(folder / name / member["file_name"], _png(pictures[member["raw"]]))
            lines = ({key: value for key, value in member.items() if key != "raw"} for member in members)
            imagefolder.write_metadata(folder / name, lines)
        imagefolder.write_left_out(folder, left_out)
    counts = ", ".join(f"{len(members)} {name}" for name, members in parts.items())
    print(f"{out}: {counts}, {len(left_out)} left out{_seed_hint(rows, wanted)}")


def _name_long_prompts(asked: Sequence[str], wanted: Prepare) -> None:
    """Name prompts that CLIP's text encoder does not read to their end, before anything is trained."""
    count = folder_check.token_counter(wanted.clip)
    for text in asked:
        if (tokens := count(text)) > MAX_TOKENS:
            print(
                f"the prompt {text[:60]!r}... has {tokens} tokens, the text encoder reads {MAX_TOKENS} at "
                "once: its end is not read, unless sample.long_prompts is chunks; shorten it",
                file=sys.stderr,
            )


def _seed_hint(rows: Sequence[Row], wanted: Prepare) -> str:
    """A better `prepare.seed`, where a group is off by more than two standard deviations; else ''."""
    groups = split.strata(rows)
    apart = split.unevenness(groups, wanted.holdout, wanted.seed)
    worst = max(apart, key=lambda name: abs(apart[name]), default=None)
    if worst is None or abs(apart[worst]) <= 2:
        return ""
    direction = "more" if apart[worst] > 0 else "less"
    better = split.even_seed(groups, wanted.holdout)
    return f"; {direction} of {worst} than wanted is held out: prepare.seed {better} splits more evenly"


def _rows(raw: Path, wanted: Prepare, megapixels: float) -> list[Row]:
    """The rows of a crawl, or of a user's folder in which no serious problem was found."""
    manifest = raw / portraits.MANIFEST
    if not raw.is_dir() and raw != RAW:
        what = "a file, not a folder" if raw.exists() else "no folder: there is none of that name"
        raise LaureateError(f"prepare.source: {raw} is {what}")
    if manifest.exists() or raw == RAW:  # a crawl leaves a manifest
        rows = portraits.read_manifest(manifest)
        filters.check_files(rows, raw, portraits.MANIFEST)
        return rows
    there = user_folder.listed(raw, wanted.captions)
    found = user_folder.captions_of(there, wanted.embedded_prompts)
    count = folder_check.token_counter(wanted.clip)
    findings = folder_check.check_listed(
        there, found, wanted.near, megapixels, count, lambda paths: progress(paths, len(paths), "check")
    )
    serious = [finding for finding in findings if finding.serious]
    if serious:
        first, more = serious[0], f" and {len(serious) - 1} more" if len(serious) > 1 else ""
        raise LaureateError(
            f"{raw / first.where}: {first.problem}{more}; run `laureate doctor {raw}`, which says what to do"
        )
    print(layouts.summary(there, found))
    for finding in findings:
        print(f"{finding.where}: {finding.problem}; {finding.remedy}")
    return user_folder.read(raw, wanted.embedded_prompts)


def _pictures(
    rows: Sequence[Row], raw: Path, wanted: Prepare, megapixels: float
) -> tuple[dict[str, Image.Image], dict[str, Hash], list[dict[str, str]]]:
    """Three values: file => square RGB picture at `prepare.resolution`; file => perceptual hash of the whole
    picture; {file, reason} for pictures that cannot be decoded, and blank ones.
    """
    pictures: dict[str, Image.Image] = {}
    hashes: dict[str, Hash] = {}
    left_out = []
    for row in progress(rows, len(rows), "pictures"):
        try:
            whole = decode((raw / row["file"]).read_bytes(), megapixels)
        except PictureError as error:
            left_out.append({"file": row["file"], "reason": str(error)})
            continue
        picture = resized(square(whole, wanted.head), wanted.resolution, wanted.filter)
        why = blankness(whole) or blankness(picture)
        if why:
            left_out.append({"file": row["file"], "reason": f"it is blank: it {why}"})
            continue
        pictures[row["file"]] = picture
        hashes[row["file"]] = perceptual_hash(whole)
    return pictures, hashes, left_out


def _captions(
    rows: Sequence[Row],
    pictures: Mapping[str, Image.Image],
    wanted: Prepare,
    vocabulary: Any,
    manual: Mapping[str, str],
) -> dict[str, str]:
    """File => caption: that of `prepare.captions`, else that of the user's folder, else the captioner's."""
    from laureate.evaluation.judges.loading import load_captioning_clip

    if not rows:
        return {}
    judge = load_captioning_clip(wanted.clip)
    given = {row["file"]: manual.get(row["file"], row.get("text")) for row in rows}
    texts = {file: text for file, text in given.items() if text is not None}
    uncaptioned = [row for row in rows if row["file"] not in texts]
    images = [pictures[row["file"]] for row in uncaptioned]
    if uncaptioned and wanted.captioner == "blip":
        from laureate.dataset.blip_captioner import BlipCaptioner

        blip = BlipCaptioner.load(wanted.blip)
        sentences = (blip.caption(image, wanted.style) for image in progress(images, len(images), "captions"))
        texts |= {row["file"]: text for row, text in zip(uncaptioned, sentences, strict=True)}
    elif uncaptioned:
        classifier = AttributeClassifier(vocabulary, wanted.style, judge, wanted.seed)
        features = judge.pictures(images)
        scale = float(judge.model.logit_scale.detach().exp())
        for row, image in progress(zip(uncaptioned, features, strict=True), len(uncaptioned), "captions"):
            gender = {"male": "man", "female": "woman"}.get(row.get("gender") or "")
            answers = classifier.answers(image, scale, gender)
            texts[row["file"]] = caption(vocabulary, answers, wanted.style, wanted.confidence)
    check_tokens(texts, judge.tokenizer)
    return texts


def metadata_row(row: Row, texts: Mapping[str, str]) -> Row:
    """A row of `metadata.jsonl`; `raw` names the received file and is not written."""
    return {
        "file_name": _png_name(row["file"]),
        "text": texts[row["file"]],
        **{key: row.get(key) for key in ("id", "name", "year", "category", "credit", "page")},
        "address": row.get("image"),  # `datasets` takes a column `image` for the pictures themselves
        "raw": row["file"],
    }


def _png_name(file: str) -> str:
    """The file name in the data set of a received file."""
    return f"{user_folder.name_of(file)}.png"


def _png(picture: Image.Image) -> bytes:
    """A picture as PNG bytes."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
