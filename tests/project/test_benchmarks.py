"""The benchmarks run, on networks small enough for a test, and write what they promise."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import small_base
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from benchmarks import __main__ as command  # noqa: E402
from benchmarks import bases, harness, start  # noqa: E402
from laureate.config import params  # noqa: E402
from laureate.core.errors import LaureateError  # noqa: E402
from laureate.networks.diffusion import base_model  # noqa: E402
from laureate.stages import train  # noqa: E402
from laureate.torch_utils import device  # noqa: E402

# diffusers' DPM-Solver hands a tensor to np.array, which NumPy 2 dislikes in torch's __array__
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small base."""
    return small_base.write(tmp_path_factory.mktemp("base"))


@pytest.fixture
def bench(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a benchmark quickly on the small base and give its JSON."""
    monkeypatch.chdir(ROOT)

    def run(*words: str) -> dict[str, Any]:
        out = tmp_path / "result.json"
        status = command.main([*words, "--quick", "--base", str(small), "--out", str(out)])
        assert status == 0
        return harness.read(out)

    return run


times = st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=9)


@given(ours=times, factor=st.floats(0.1, 10))
def test_a_peer_that_is_slower_by_a_factor_has_that_ratio(ours: list[float], factor: float) -> None:
    outcome = harness.against({"a": ours, "b": [factor * taken for taken in ours]}, "a", "b")
    for key in ("ratio", "ratio_low", "ratio_high"):
        assert outcome[key] == pytest.approx(factor)
    assert outcome["ours_seconds_low"] <= outcome["ours_seconds"] <= outcome["ours_seconds_high"]


def test_contestants_take_turns_and_the_first_round_does_not_count() -> None:
    calls: list[str] = []
    seconds = harness.interleaved(
        {"ours": lambda: calls.append("o"), "peer": lambda: calls.append("p")}, 4, warm=1
    )
    assert {name: len(taken) for name, taken in seconds.items()} == {"ours": 4, "peer": 4}
    assert sorted(calls) == ["o"] * 5 + ["p"] * 5
    rounds = ["".join(calls[n : n + 2]) for n in range(0, 10, 2)]
    assert set(rounds) == {"op", "po"}, "neither is always the first"


def test_flops_are_those_of_the_textbook() -> None:
    a, b = torch.ones(3, 5, requires_grad=True), torch.ones(5, 7)
    assert harness.flops(lambda: a @ b) == 2 * 3 * 5 * 7
    assert harness.flops(lambda: (a @ b).sum().backward()) == 2 * 2 * 3 * 5 * 7


def test_a_result_names_no_folder_of_the_machine(tmp_path: Path) -> None:
    options = argparse.Namespace(
        out=tmp_path / "x.json", base=str(tmp_path / "base"), data=tmp_path / "set", near=Path("a/b"), steps=3
    )
    harness.report("x", options, [], {})
    asked = harness.read(tmp_path / "x.json")["options"]
    assert asked == {"base": "base", "data": "set", "near": str(Path("a/b")), "steps": 3}


def test_a_table_is_aligned_and_a_page_gets_it(tmp_path: Path) -> None:
    options = argparse.Namespace(out=tmp_path / "x-embedded-cpu.json", base="embedded", repeats=5)
    columns, rows = {"n": "n", "r": "ratio"}, [{"n": 1, "r": 2.34567, "more": 0}, {"n": 10, "r": None}]
    harness.report("x", options, rows, columns, beside={"other": (rows[:1], {"n": "number"})})
    assert harness.table(rows, columns) == " n  ratio\n 1   2.35\n10      –"
    page = tmp_path / "page.md"
    page.write_text(
        "A\n<!-- results: x-embedded-cpu -->\nold\n<!-- /results -->\nB\n"
        "<!-- results: x-embedded-cpu#other --><!-- no mark -->\n"
        "<!-- results: x-embedded-cpu#other -->\n<!-- /results -->\n"
    )
    words = ["page", "--page", str(page), "--results", str(tmp_path)]
    assert command.main(words) == 0
    text = page.read_text()
    assert "| n | ratio |\n|--:|--:|\n| 1 | 2.35 |" in text
    assert "| number |\n|--:|\n| 1 |\n<!-- /results -->" in text
    assert "old" not in text
    assert text.startswith("A\n")
    assert command.main(words) == 0
    assert page.read_text() == text, "a second time changes nothing"


def test_a_page_that_asks_for_what_is_not_there_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    words = ["page", "--page", str(page), "--results", str(tmp_path)]
    page.write_text("nothing")
    assert command.main(words) == 1
    assert "has no part marked" in capsys.readouterr().err
    page.write_text("<!-- results: pack-embedded-cpu -->\n<!-- /results -->\n")
    assert command.main(words) == 1
    assert "run `python -m benchmarks pack`" in capsys.readouterr().err


def test_sd21_has_the_published_size() -> None:
    """865,910,724 parameters in the UNet, 83,653,863 in the VAE, 340,387,840 in the text encoder."""
    with torch.device("meta"):
        from diffusers import AutoencoderKL, UNet2DConditionModel
        from transformers import CLIPTextConfig, CLIPTextModel

        parts = [
            UNet2DConditionModel(**bases.UNET),
            AutoencoderKL(**bases.VAE),
            CLIPTextModel(CLIPTextConfig(**bases.TEXT)),
        ]
    sizes = [sum(weight.numel() for weight in part.parameters()) for part in parts]
    assert sizes == [865_910_724, 83_653_863, 340_387_840]


def test_the_random_base_can_be_used_as_any_other() -> None:
    found = bases.find("sd21-random")
    for part in ("unet", "vae", "text_encoder", "tokenizer"):
        own, general = (inspect.signature(getattr(kind, part)) for kind in (type(found), base_model.Base))
        assert own == general
    assert found.prediction == "v_prediction"
    assert len(found.tokenizer()("A man.").input_ids) > 2


def test_every_benchmark_can_be_asked_for_help(capsys: pytest.CaptureFixture[str]) -> None:
    for name in command.NAMES:
        with pytest.raises(SystemExit) as end:
            command.main([name, "--help"])
        assert end.value.code == 0
        assert capsys.readouterr().out


def check(result: dict[str, Any], name: str) -> None:
    """What every result holds, and every number in it can be compared."""
    assert result["benchmark"] == name
    assert result["machine"]["cores"] >= 1
    assert result["versions"]["torch"] == torch.__version__
    assert result["rows"]
    for row in result["rows"]:
        assert set(dict(result["columns"])) <= set(row)
        assert all(math.isfinite(value) for value in row.values() if isinstance(value, float))


def test_pack_has_pefts_gradients_and_a_ratio(bench: Any) -> None:
    result = bench(
        "pack", "--ranks", "2", "8", "5", "--sizes", "2x8", "--repeats", "2", "--precision", "float32"
    )
    check(result, "pack")
    row = result["rows"][0]
    assert row["gradient_error"] < 1e-5
    assert row["ratio"] > 0
    # three adapters: the peer runs three times, what stands before the first adapter runs once in the stack
    assert 0.8 * row["peer_flops"] < row["flops"] <= 1.1 * row["peer_flops"]
    assert result["limits"].keys() == {"float32"}


def test_train_has_a_share_and_a_profile(bench: Any) -> None:
    result = bench("train", "--ranks", "2", "4", "--sizes", "1x8", "--repeats", "1")
    check(result, "train")
    assert [row["ranks"] for row in result["rows"]] == [2, 1]
    assert all(0 < row["share"] < 1 for row in result["rows"])
    assert 0 < sum(row["share"] for row in result["beside"]["profile"]["rows"]) <= 1.001


def test_sample_times_four_ways_and_holds_its_gate(bench: Any) -> None:
    result = bench("sample", "--ranks", "2", "4", "--repeats", "1", "--resolution", "32")
    check(result, "sample")
    ways = ["one picture per call", "the same batches", "guidance throughout", "stacked"]
    assert [row["peer"] for row in result["rows"]] == ways
    assert {row["peer_settings"] for row in result["rows"] if row["peer"] == "guidance throughout"} == {"2"}
    held = {(row["precision"], row["arm"]): row for row in result["beside"]["gate"]["rows"]}
    for arm in ("baseline", "rank-4"):
        assert held["float32", arm]["latent_error"] < 1e-3
        assert held["float32", arm]["psnr"] > 60


def test_sample_runs_on_random_weights(tmp_path: Path, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What --base sd21-random does on a GPU, with small numbers for its widths."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(bases, "UNET", json.loads((small / "unet" / "config.json").read_text()))
    monkeypatch.setattr(bases, "VAE", json.loads((small / "vae" / "config.json").read_text()))
    text = {"hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    monkeypatch.setattr(bases, "TEXT", bases.TEXT | text)
    found = bases.find("sd21-random")
    monkeypatch.setattr(bases, "find", lambda name: dataclasses.replace(found, downscale=4))
    out = tmp_path / "sample.json"
    words = ["sample", "--quick", "--base", "sd21-random", "--ranks", "2", "--repeats", "1"]
    assert command.main([*words, "--resolution", "32", "--precision", "float32", "--out", str(out)]) == 0
    for row in harness.read(out)["beside"]["gate"]["rows"]:
        assert row["latent_error"] < 1e-3


def test_start_runs_the_interpreter(bench: Any) -> None:
    result = bench("start", "--repeats", "1")
    check(result, "start")
    assert all(0 < row["seconds"] < 60 for row in result["rows"])


HEAVY = {
    "torch",
    "diffusers",
    "transformers",
    "scipy",
    "pandas",
    "matplotlib",
    "peft",
    "torchvision",
    "jinja2",
}
MODELS = ("diffusers.models.", "diffusers.schedulers.", "transformers.models.")
IMPORTED = f"""
import sys
kept = sorted(name for name, module in sys.modules.items() if module is not None)
print(*(name for name in kept if name in {HEAVY} or name.startswith({MODELS}) and name.count('.') == 2))"""


@pytest.mark.parametrize("verb", ["encode", "train --rank 2", "sample --model rank-2"])
def test_start_imports_what_the_stage_imports(study: params.Params, verb: str) -> None:
    """Heavy packages and the models of diffusers and transformers, as a process of the stage leaves them."""

    def imported(code: str, *words: str) -> set[str]:
        command = [sys.executable, "-c", code + IMPORTED, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return set(done.stdout.splitlines()[-1].split())

    if verb.startswith("sample"):
        train.run(study, rank=2)
    ran = imported("from laureate.cli import program\nassert program() == 0", *verb.split())
    assert imported(start.started(verb.split()[0])) == ran
    assert "torch" in ran


def test_sweep_says_what_it_lacks(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["sweep", "--base", str(small), "--data", str(tmp_path), "--script", str(tmp_path / "no.py")]
    assert command.main(words) == 1
    assert "sweep needs the script, a data set and a base on disk" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("warm_python")
def test_sweep_runs_both_and_shows_what_a_failed_process_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Our stages are the real ones; a script of a few lines stands in for that of diffusers."""
    study = small_base.study(tmp_path / "study")
    monkeypatch.chdir(ROOT)
    script = tmp_path / "script.py"
    script.write_text("import sys\nassert any(word.startswith('--rank=') for word in sys.argv)\n")
    out = tmp_path / "sweep.json"
    words = ["sweep", "--quick", "--base", str(study / "base"), "--data", str(study / "data/dataset")]
    words += ["--ranks", "2", "4", "--batch", "2", "--resolution", "32", "--repeats", "2", "--out", str(out)]
    assert command.main([*words, "--script", str(script)]) == 0
    result = json.loads(out.read_text())
    check(result, "sweep")
    assert [len(parts) for parts in result["processes"]["ours"]] == [3, 3], "encode and two ranks"
    assert [len(parts) for parts in result["processes"]["peer"]] == [2, 2]
    script.write_text("raise SystemExit('no such weather')\n")
    assert command.main([*words, "--script", str(script)]) == 1
    assert "no such weather" in capsys.readouterr().err


def test_an_unknown_base_is_refused() -> None:
    with pytest.raises(LaureateError, match="there is no base model at nowhere"):
        bases.find("nowhere")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_sd21_trains_on_a_gpu(tmp_path: Path) -> None:
    out = tmp_path / "pack.json"
    words = ["pack", "--quick", "--base", "sd21-random", "--sizes", "1x16", "--repeats", "1"]
    assert command.main([*words, "--precision", "float32", "--out", str(out)]) == 0
    assert harness.read(out)["machine"]["gpu"] == torch.cuda.get_device_name(device.pick())
