"""Evaluate refuses inputs that would spoil the scores, in one sentence that names the file."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from drawn_study import draw_judged_study
from PIL import Image

from laureate import cli
from laureate.config import params
from laureate.core.errors import LaureateError
from laureate.stages import evaluate


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory, tiny_models: Path) -> Path:
    return draw_judged_study(tmp_path_factory.mktemp("study"), tiny_models)


@pytest.fixture
def study(drawn: Path, working_copy: Callable[[Path], Path]) -> Path:
    return working_copy(drawn)


@pytest.mark.parametrize(
    ("remove", "sentence"),
    [
        ("data/samples/rank-4/manifest.json", "laureate sample --model rank-4"),
        ("data/dataset/holdout/metadata.jsonl", "laureate prepare"),
        ("models/embedded/clip/model.safetensors", r"clip/model\.safetensors is missing"),
        ("models/embedded/vision/config.json", r"vision/config\.json is missing"),
    ],
)
def test_what_is_missing_is_named(study: Path, remove: str, sentence: str) -> None:
    (study / remove).unlink()
    with pytest.raises(LaureateError, match=sentence):
        evaluate.run(params.load(), "rank-4")


def test_a_broken_picture_is_named(study: Path) -> None:
    file = next((study / "data/samples/rank-4").glob("*.png"))
    file.write_bytes(b"not a picture")
    with pytest.raises(LaureateError, match=file.name):
        evaluate.run(params.load(), "rank-4")


def test_an_unknown_style_is_refused_with_the_known_ones(study: Path) -> None:
    values = yaml.safe_load(Path("params.yaml").read_text())
    values["evaluate"]["style"] = "cubist"
    Path("params.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(LaureateError, match=r"evaluate\.style is 'cubist'.*woodcut"):
        evaluate.run(params.load(), "rank-4")


def edit(file: str, change: Callable[[list[dict]], None]) -> None:
    """Change the rows of a manifest or of metadata.jsonl."""
    path = Path(file)
    if path.suffix == ".json":
        manifest = json.loads(path.read_text())
        change(manifest["pictures"])
        path.write_text(json.dumps(manifest))
    else:
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        change(rows)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def twin(study: Path) -> str:
    train, held = (sorted((study / "data/dataset" / part).glob("*.png"))[0] for part in ("train", "holdout"))
    with Image.open(train) as picture:
        picture.save(held, compress_level=1)  # other bytes, the same pixels
    return rf"holdout/{held.name} is the same picture as .*train/{train.name}"


def caption(study: Path) -> str:
    prompt = yaml.safe_load((study / "data/prompts.yaml").read_text())[2]["text"]
    edit("data/dataset/holdout/metadata.jsonl", lambda rows: rows[3].update(text=prompt.upper()))
    row = json.loads((study / "data/dataset/holdout/metadata.jsonl").read_text().splitlines()[3])
    return rf"the prompt .* is the caption of data/dataset/holdout/{row['file_name']}"


def sizes(study: Path) -> str:
    file = sorted((study / "data/samples/rank-4").glob("*.png"))[3]
    with Image.open(file) as picture:
        picture.resize((64, 64)).save(file)
    return rf"rank-4/{file.name} has 64 x 64 pixels, but .* has 128 x 128"


def reference_sizes(study: Path) -> str:
    file = sorted((study / "data/dataset/holdout").glob("*.png"))[1]
    with Image.open(file) as picture:
        picture.resize((64, 64)).save(file)
    return rf"holdout/{file.name} has 64 x 64 pixels"


def not_a_number(study: Path) -> str:
    from safetensors.torch import load_file, save_file

    weights = study / "models/embedded/vision/model.safetensors"
    tensors = {name: value.clone() for name, value in load_file(weights).items()}
    tensors["stem.bias"][0] = float("nan")
    save_file(tensors, weights)
    first = json.loads((study / "data/samples/rank-4/manifest.json").read_text())["pictures"][0]["file"]
    return rf"rank-4/{first}: the judge vision gives features that are not finite"


def one_picture(study: Path) -> str:
    edit("data/samples/rank-4/manifest.json", lambda rows: rows.__delitem__(slice(1, None)))
    return r"samples/rank-4/manifest\.json lists 1 pictures.*laureate sample --model rank-4"


def two_pictures(study: Path) -> str:
    edit("data/samples/rank-4/manifest.json", lambda rows: rows.__delitem__(slice(2, None)))
    return r"lists 2 pictures, and scores need 3"


def one_prompt(study: Path) -> str:
    path = study / "data/samples/rank-4/manifest.json"
    manifest = json.loads(path.read_text())
    chosen = manifest["pictures"][0]
    manifest["pictures"] = [
        row | {key: chosen[key] for key in ("prompt", "text")} | {"seed": seed}
        for seed, row in enumerate(manifest["pictures"], 1)
    ]
    path.write_text(json.dumps(manifest))
    return r"rank-4/manifest\.json are of one prompt, and intervals need 2"


def two_references(study: Path) -> str:
    edit("data/dataset/holdout/metadata.jsonl", lambda rows: rows.__delitem__(slice(2, None)))
    return r"holdout/metadata\.jsonl lists 2 pictures, and scores need 3"


def no_picture(study: Path) -> str:
    edit("data/samples/rank-4/manifest.json", lambda rows: rows.clear())
    return r"samples/rank-4/manifest\.json lists 0 pictures"


def one_reference(study: Path) -> str:
    edit("data/dataset/holdout/metadata.jsonl", lambda rows: rows.__delitem__(slice(1, None)))
    return r"holdout/metadata\.jsonl lists 1 pictures.*laureate prepare"


def black(study: Path) -> str:
    file = sorted((study / "data/samples/rank-4").glob("*.png"))[5]
    Image.new("RGB", (128, 128), (1, 0, 2)).save(file)
    return rf"rank-4/{file.name} is black"


def constant(study: Path) -> str:
    file = sorted((study / "data/samples/rank-4").glob("*.png"))[2]
    Image.new("RGB", (128, 128), (200, 180, 160)).save(file)
    return rf"rank-4/{file.name} has one colour only"


def constant_reference(study: Path) -> str:
    file = sorted((study / "data/dataset/holdout").glob("*.png"))[2]
    Image.new("RGB", (128, 128), "white").save(file)
    return rf"holdout/{file.name} has one colour only"


def bad_row(study: Path) -> str:
    edit("data/dataset/holdout/metadata.jsonl", lambda rows: rows[3].pop("text"))
    return r"holdout/metadata\.jsonl, row 4 must be JSON with file_name and text"


def bad_sample(study: Path) -> str:
    edit("data/samples/rank-4/manifest.json", lambda rows: rows[3].pop("seed"))
    return r"rank-4/manifest\.json, picture 4: it needs seed"


SPOILT = (
    twin, caption, sizes, reference_sizes, not_a_number, one_picture, two_pictures,
    one_prompt, two_references, no_picture, one_reference, black,
    constant, constant_reference, bad_row, bad_sample,
)  # fmt: skip


@pytest.mark.parametrize("spoil", SPOILT, ids=lambda spoil: spoil.__name__)
def test_an_input_that_would_spoil_the_scores_stops_the_run_and_names_the_file(
    study: Path, spoil: Callable[[Path], str], capsys: pytest.CaptureFixture[str]
) -> None:
    sentence = spoil(study)
    assert cli.main(["evaluate", "--model", "rank-4"]) == 1
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert re.search(sentence, said), said
    assert said.startswith("laureate: ")
    for left in ("metrics/models/rank-4.json", "data/evidence/rank-4.safetensors"):
        assert not (study / left).exists()


def test_as_many_blank_pictures_as_sample_allows_are_scored(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = yaml.safe_load(Path("params.yaml").read_text())
    values["sample"]["blank"] = 0.125  # one of eight
    Path("params.yaml").write_text(yaml.safe_dump(values))
    files = sorted((study / "data/samples/rank-4").glob("*.png"))
    Image.new("RGB", (128, 128), (200, 180, 160)).save(files[2])
    assert cli.main(["evaluate", "--model", "rank-4"]) == 0
    assert (
        f"1 of 8 pictures are blank, such as data/samples/rank-4/{files[2].name}" in capsys.readouterr().err
    )
    Image.new("RGB", (128, 128)).save(files[3])
    assert cli.main(["evaluate", "--model", "rank-4"]) == 1
    assert "generating it went wrong" in capsys.readouterr().err
