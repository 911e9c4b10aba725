"""`laureate images`: every answer is kept, refusals and failures are listed, no request waits for ever."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import endpoints as e
import pytest
import yaml
from PIL import Image

from laureate.commands import images
from laureate.config import params
from laureate.core.errors import LaureateError
from laureate.formats import external, prompts

PROMPTS = ("man", "woman", "hat", "scarf")
Fetch = Callable[..., Any]


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four prompts, two seeds, a key in the environment."""
    rows = [{"id": name, "text": f"A {name}.", "set": "seed"} for name in PROMPTS]
    (tmp_path / "prompts.yaml").write_text(yaml.safe_dump(rows))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PAINTER_KEY", "secret")
    return tmp_path


def values(url: str, **endpoint: Any) -> params.Params:
    """Parameters with one external model at `url`."""
    settings = {"url": url, "model": "painter-1", "key": "PAINTER_KEY", "size": "64x64", "timeout": 1.0}
    return params.Params.model_validate(
        {
            "sample": {"prompts": ["prompts.yaml"], "seeds": [1, 2]},
            "external": {"painter": {"endpoint": settings | {"retries": 0} | endpoint}},
        }
    )


def found(study: Path) -> external.Pictures:
    return external.read("painter", prompts.load(["prompts.yaml"]))


def always(answer: e.Answer) -> Callable[[dict[str, Any], int], e.Answer]:
    return lambda body, number: answer


def only(**answers: e.Answer) -> Callable[[dict[str, Any], int], e.Answer]:
    """These prompts are answered so, all others well."""
    return lambda body, number: answers.get(body["prompt"].split()[1].rstrip("."), e.good)


def test_one_picture_per_prompt_and_seed_with_what_the_model_made_of_the_prompt(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with e.endpoint(always(e.good)) as server:
        images.run(values(server.url, options={"quality": "high"}), "painter")
    drawn = found(study).drawn
    assert [(row["prompt"], row["seed"]) for row in drawn] == [(p, s) for p in PROMPTS for s in (1, 2)]
    assert drawn[0]["revised_prompt"] == "Revised: A man."
    assert drawn[0]["text"] == "A man."
    assert "painter-1 at http://127.0.0.1" in drawn[0]["source"]
    assert server.bodies[0] == {
        "model": "painter-1", "n": 1, "size": "64x64", "prompt": "A man.", "quality": "high"
    }  # fmt: skip
    assert set(server.keys) == {"Bearer secret"}
    with Image.open(study / "data/external/painter/man_1.png") as picture:
        assert picture.size == (64, 64)
    assert "8 pictures, 0 refused, 0 failed" in capsys.readouterr().out
    kept = "".join(p.read_text() for p in study.rglob("*.json"))
    assert "secret" not in kept  # the key is written nowhere


def test_an_answer_is_asked_for_once(study: Path) -> None:
    with e.endpoint(only(hat=e.refuses)) as server:
        chosen = values(server.url)
        images.run(chosen, "painter")
        before = {p: p.read_bytes() for p in (study / "data/external/painter").iterdir()}
        images.run(chosen, "painter")
        assert len(server.bodies) == 8
        assert {p: p.read_bytes() for p in (study / "data/external/painter").iterdir()} == before
        images.run(values(server.url, size="32x32"), "painter")
        assert len(server.bodies) == 16


def test_a_refusal_is_missing_and_never_a_picture(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with e.endpoint(only(hat=e.refuses)) as server:
        images.run(values(server.url, retries=2), "painter")
        assert len(server.bodies) == 8  # asking again would not help
    pictures = found(study)
    assert len(pictures.drawn) == 6
    assert [(row["prompt"], row["seed"]) for row in pictures.missing] == [("hat", 1), ("hat", 2)]
    assert all(row["reason"].startswith("refused: ") for row in pictures.missing)
    assert {p.name for p in (study / "data/external/painter").glob("hat*")} == set()
    assert "6 pictures, 2 refused, 0 failed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (e.sleeps, "timed out"),
        (e.drips, "timed out"),
        (e.hangs_up, "no connection"),
        (e.busy, "status 429"),
        (e.says(500, {"error": {"message": "broken"}}), "status 500"),
        (e.says(503, b"<html>down</html>"), "status 503"),
        (e.says(200, b"not json"), "not an answer|without a picture"),
        (e.says(200, {"data": []}), "without a picture"),
        (e.says(200, {"data": [{"revised_prompt": "x"}]}), "without a picture"),
        (e.says(200, {"data": [{"b64_json": "%%%"}]}), "not a picture"),
        (e.says(200, {"data": [{"b64_json": e.png()[:60]}]}), "not a picture"),
        (e.says(200, {"data": [{"b64_json": "aGVsbG8="}]}), "not a picture"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_failure_is_missing_and_asked_for_again(study: Path, answer: e.Answer, reason: str) -> None:
    with e.endpoint(only(hat=answer)) as server:
        images.run(values(server.url), "painter")
        pictures = found(study)
        assert len(pictures.drawn) == 6
        for row in pictures.missing:
            assert row["prompt"] == "hat"
            assert any(part in row["reason"] for part in reason.split("|")), row
        server.behave = always(e.good)
        images.run(values(server.url), "painter")
        assert len(server.bodies) == 10  # the two that failed, and no other
    assert len(found(study).drawn) == 8
    assert found(study).missing == []


def test_a_passing_failure_is_tried_again_at_once(study: Path) -> None:
    with e.endpoint(lambda body, number: e.busy if number == 1 else e.good) as server:
        images.run(values(server.url, retries=1), "painter")
    assert len(found(study).drawn) == 8
    assert len(server.bodies) == 12


def test_an_endpoint_that_is_down_ends_the_run_and_keeps_what_came(study: Path) -> None:
    answered: list[str] = []

    def behave(body: dict[str, Any], number: int) -> e.Answer:
        answered.append(body["prompt"])
        return e.good if len(answered) <= 2 else e.says(502, {})

    with e.endpoint(behave) as server:
        with pytest.raises(LaureateError, match=r"failed 5 times in a row \(status 502\).*run it again"):
            images.run(values(server.url), "painter")
        assert len(server.bodies) == 7
        assert not (study / "data/external/painter").exists()
        server.behave = always(e.good)
        images.run(values(server.url), "painter")
        assert len(server.bodies) == 13
    assert len(found(study).drawn) == 8


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (e.says(401, {"error": {"message": "Incorrect API key"}}), "answered 401: .*Incorrect API key.*key"),
        (e.says(404, {"error": {"message": "no such model"}}), "answered 404: .*no such model"),
        (
            e.says(400, {"error": {"message": "Invalid size", "code": "invalid_value"}}),
            "rejects the request.*size",
        ),
        (e.says(200, {"data": [{"url": "http://127.0.0.1:1/x.png"}]}), "response_format: b64_json"),
    ],
    ids=["key", "model", "request", "address"],
)
def test_what_asking_again_cannot_mend_stops_at_once(study: Path, answer: e.Answer, sentence: str) -> None:
    with e.endpoint(always(answer)) as server:
        with pytest.raises(LaureateError, match=sentence):
            images.run(values(server.url, retries=2), "painter")
        assert len(server.bodies) == 1


def test_bounds_are_kept(study: Path) -> None:
    with e.endpoint(always(e.good)) as server:
        with pytest.raises(LaureateError, match=r"8 pictures to request.*cap is 7"):
            images.run(values(server.url, cap=7), "painter")
        assert server.bodies == []
        with pytest.raises(LaureateError, match=r"gave no picture.*minutes was reached"):
            images.run(values(server.url, minutes=1e-9), "painter")
        assert server.bodies == []


def test_only_refusals_make_no_row(study: Path) -> None:
    with (
        e.endpoint(always(e.refuses)) as server,
        pytest.raises(LaureateError, match="gave no picture; the first reason: refused"),
    ):
        images.run(values(server.url), "painter")


def test_no_key_no_endpoint_no_model(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PAINTER_KEY")
    with pytest.raises(LaureateError, match="the environment has no PAINTER_KEY"):
        images.run(values("http://127.0.0.1:1/v1"), "painter")
    with pytest.raises(LaureateError, match=r"external\.other\.endpoint is not set"):
        images.run(values("http://127.0.0.1:1/v1"), "other")


GOOD = {"file": "a.png", "prompt": "man", "seed": 1, "source": "a browser"}


@pytest.mark.parametrize(
    ("pictures", "sentence"),
    [
        ([], "lists no picture"),
        ([GOOD | {"prompt": "nobody"}], "picture 1: there is no prompt 'nobody'"),
        ([GOOD | {"file": "b.png"}], "picture 1: there is no file 'b.png'"),
        ([GOOD | {"file": "../outside.png"}], "picture 1: there is no file"),
        ([GOOD, GOOD | {"prompt": "hat"}], "picture 2: 'a.png' is there twice"),
        ([GOOD, GOOD | {"file": "c.png"}], "picture 2: .*is there twice"),
        ([{k: v for k, v in GOOD.items() if k != "source"}], "picture 1: it needs source, a text"),
        ([GOOD | {"seed": "1"}], "picture 1: it needs seed, a whole number"),
        (["a.png"], "picture 1: it needs file"),
        ({"a.png": "man"}, "must hold an object with a list 'pictures'"),
    ],
)
def test_a_manifest_is_checked_row_by_row(study: Path, pictures: Any, sentence: str) -> None:
    folder = study / "data/external/painter"
    folder.mkdir(parents=True)
    for name in ("data/external/outside.png", "data/external/painter/a.png", "data/external/painter/c.png"):
        Image.new("RGB", (8, 8)).save(study / name)
    (folder / "manifest.json").write_text(json.dumps({"pictures": pictures}))
    with pytest.raises(LaureateError, match=sentence):
        found(study)


def test_a_missing_manifest_says_how_to_get_one(study: Path) -> None:
    with pytest.raises(LaureateError, match="laureate images --model painter"):
        found(study)


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}", '{"picture": 1}', "\0\0"])
def test_a_damaged_answer_is_asked_for_again(study: Path, damage: str) -> None:
    with e.endpoint(always(e.good)) as server:
        images.run(values(server.url), "painter")
        kept = sorted(study.glob(".work/images/painter/*.json"))
        whole = kept[0].read_text()
        kept[0].write_text(damage)
        images.run(values(server.url), "painter")
        assert len(server.bodies) == 9
    assert kept[0].read_text() == whole
    assert len(found(study).drawn) == 8
