"""The train stage: one run trains what is missing, every rank's own stage picks its result up."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import small_base
import yaml
from filelock import FileLock, Timeout
from trained import changed, command, curve, forget, outputs

torch = pytest.importorskip("torch")

from laureate.config import params  # noqa: E402
from laureate.core import paths  # noqa: E402
from laureate.core.errors import LaureateError  # noqa: E402
from laureate.networks.diffusion import base_model  # noqa: E402
from laureate.networks.lora import adapter_files  # noqa: E402
from laureate.networks.lora.adapter import Adapter  # noqa: E402
from laureate.stages import train  # noqa: E402
from laureate.torch_utils.distributed import Team  # noqa: E402
from laureate.training import objective, trainer  # noqa: E402
from laureate.training.result_cache import Results, locked  # noqa: E402

RANKS = (2, 4)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[int, ...], int]]:
    """Every training step that is taken: the ranks that take it, and its number."""
    taken: list[tuple[tuple[int, ...], int]] = []
    original = trainer.Trainer.step

    def step(self: trainer.Trainer, examples: objective.Examples, number: int) -> Any:
        losses = original(self, examples, number)
        taken.append((tuple(adapter.rank for adapter in self.adapters), number))
        return losses

    monkeypatch.setattr(trainer.Trainer, "step", step)
    return taken


# --- what a run leaves ---


def test_a_run_leaves_adapter_configuration_and_curve_and_the_same_bytes_again(study: params.Params) -> None:
    train.run(study, rank=2)
    state, adapter = adapter_files.load(paths.ADAPTERS / "rank-2")
    assert adapter == Adapter(2, 2.0)
    assert any(tensor.any() for name, tensor in state.items() if "lora_B" in name)
    config = json.loads((paths.ADAPTERS / "rank-2" / "config.json").read_text())
    assert config["rank"] == 2
    assert config["base"] == base_model.find("base").fingerprint
    assert config["train"]["steps"] == 14
    rows = curve(2)
    assert [int(row["step"]) for row in rows] == [0, 5, 10, 14]
    assert all(float(row["loss"]) > 0 and float(row["holdout_loss"]) > 0 for row in rows)
    assert not (train.CACHE / "checkpoints").exists()
    first = outputs(2)
    forget()
    train.run(study, rank=2)
    assert outputs(2) == first


# --- the pack ---


def test_the_first_run_trains_the_pack_and_the_others_pick_their_results_up(
    study: params.Params, steps: list[Any]
) -> None:
    train.run(study, rank=2)
    assert steps == [(RANKS, number) for number in range(14)]
    assert not (paths.ADAPTERS / "rank-4").exists(), "each stage leaves its own outputs only"
    assert not (paths.CURVES / "rank-4.csv").exists()
    train.run(study, rank=4)
    assert len(steps) == 14, "nothing is trained twice"
    together = outputs(*RANKS)
    forget()
    train.run(study, rank=4)
    train.run(study, rank=2)
    assert outputs(*RANKS) == together, "whichever is first"


def test_a_result_in_the_pack_is_the_result_alone(study: params.Params, steps: list[Any]) -> None:
    train.run(study, rank=2)
    train.run(study, rank=4)
    packed = {rank: adapter_files.load(paths.ADAPTERS / f"rank-{rank}")[0] for rank in RANKS}
    curves = {rank: curve(rank) for rank in RANKS}
    forget()
    steps.clear()
    alone = changed(study, pack=False)
    for rank in RANKS:
        train.run(alone, rank)
    assert [ranks for ranks, _ in steps] == [(2,)] * 14 + [(4,)] * 14
    for rank in RANKS:
        for name, tensor in adapter_files.load(paths.ADAPTERS / f"rank-{rank}")[0].items():
            assert (tensor - packed[rank][name]).norm() <= 1e-4 * tensor.norm(), name
        for ours, theirs in zip(curve(rank), curves[rank], strict=True):
            assert float(ours["holdout_loss"]) == pytest.approx(float(theirs["holdout_loss"]), rel=1e-4)


@pytest.mark.parametrize("in_place", [True, False])
def test_another_rank_trains_that_rank_only(study: params.Params, steps: list[Any], in_place: bool) -> None:
    """Whether the work cache has the others' results or, as after `dvc pull`, their outputs are there."""
    train.run(study, rank=2)
    train.run(study, rank=4)
    before = outputs(*RANKS)
    shutil.rmtree(train.CACHE if in_place else paths.ADAPTERS)
    steps.clear()
    more = study.model_copy(update={"ranks": [2, 4, 8]})
    train.run(more, rank=8)
    assert {ranks for ranks, _ in steps} == {(8,)}
    if not in_place:
        train.run(more, rank=4)
        train.run(more, rank=2)
        assert {ranks for ranks, _ in steps} == {(8,)}
        assert outputs(*RANKS) == before


def test_what_the_weights_depend_on_trains_anew_and_once(study: params.Params, steps: list[Any]) -> None:
    train.run(study, rank=2)
    train.run(study, rank=4)
    steps.clear()
    longer = changed(study, steps=15)
    train.run(longer, rank=2)
    train.run(longer, rank=4)
    assert steps == [(RANKS, number) for number in range(15)]
    steps.clear()
    train.run(study, rank=2)
    assert not steps, "what was trained before is kept"


def test_what_the_weights_do_not_depend_on_trains_nothing(study: params.Params, steps: list[Any]) -> None:
    train.run(study, rank=2)
    before = outputs(2)
    steps.clear()
    train.run(changed(study, checkpoint_every=3, pack=False, preview=5, trackers=["dvclive"]), rank=2)
    assert not steps
    assert outputs(2) == before


def test_a_value_of_one_rank_trains_that_rank_only(study: params.Params, steps: list[Any]) -> None:
    train.run(study, rank=2)
    steps.clear()
    rate = study.train.learning_rate
    mapped = changed(study, learning_rate={2: rate, 4: 2 * rate})
    train.run(mapped, rank=2)
    assert not steps
    train.run(mapped, rank=4)
    assert {ranks for ranks, _ in steps} == {(4,)}
    config = json.loads((paths.ADAPTERS / "rank-4" / "config.json").read_text())
    assert config["train"]["learning_rate"] == 2 * rate


def test_a_damaged_result_is_not_picked_up(study: params.Params, steps: list[Any]) -> None:
    train.run(study, rank=2)
    before = outputs(2)
    steps.clear()
    for weights in (train.CACHE / "results").glob(f"*/{paths.ADAPTER_WEIGHTS}"):
        data = bytearray(weights.read_bytes())
        data[-1] ^= 1
        weights.write_bytes(data)
    shutil.rmtree(paths.ADAPTERS)
    train.run(study, rank=2)
    assert {ranks for ranks, _ in steps} == {RANKS}
    assert outputs(2) == before


def test_a_result_is_picked_up_without_torch(study: params.Params) -> None:
    train.run(study, rank=2)
    code = (
        "import sys; from laureate.cli import main; status = main(['train', '--rank', '4']); "
        "heavy = {'torch', 'diffusers', 'transformers', 'numpy'} & set(sys.modules); "
        "sys.exit(status or (str(heavy) if heavy else 0))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert adapter_files.load(paths.ADAPTERS / "rank-4")[1].rank == 4


def test_two_runs_at_once_train_once(study: params.Params) -> None:
    runs = [subprocess.Popen(command(rank), stderr=subprocess.PIPE, text=True) for rank in RANKS]
    said = [run.communicate()[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    assert sum("is trained already" in text for text in said) == 1
    assert outputs(*RANKS)


HOLD = """
import sys, time
from pathlib import Path
from laureate.training.result_cache import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(folder: Path) -> subprocess.Popen[str]:
    """A process that waits for the lock, says when it has it, and holds it until it is told to stop."""
    command = [sys.executable, "-c", HOLD, str(folder)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("end", ["well", "killed"])
def test_a_second_process_waits_for_the_lock_which_goes_with_its_process(tmp_path: Path, end: str) -> None:
    with locked(tmp_path):
        waiting = hold(tmp_path)
        assert waiting.stdout
        assert not select.select([waiting.stdout], [], [], 0.7)[0], "it waits"
        assert waiting.poll() is None
    assert waiting.stdout.readline() == "held\n"
    with pytest.raises(Timeout), FileLock(tmp_path / "lock", timeout=0):
        pass
    if end == "killed":
        waiting.kill()
    waiting.communicate()
    with FileLock(tmp_path / "lock", timeout=5):
        pass


def test_a_result_that_is_not_finished_is_not_there(tmp_path: Path) -> None:
    results = Results(tmp_path)
    with contextlib.suppress(KeyboardInterrupt), results.adding("key") as folder:
        (folder / "file").write_text("half")
        raise KeyboardInterrupt
    assert results.find("key") is None
    with results.adding("key") as folder:
        (folder / "file").write_text("whole")
    assert results.find("key") == tmp_path / "key"
    (tmp_path / "key" / "file").unlink()
    assert results.find("key") is None
    results.keep_recent([], count=0)
    assert not list(tmp_path.iterdir())


def test_results_of_other_parameters_stay_until_there_are_too_many(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for number in range(4):
        with results.adding(f"key-{number}") as folder:
            (folder / "file").write_text("whole")
        os.utime(tmp_path / f"key-{number}/hashes.json", (number, number))
    results.keep_recent(["key-0"], count=3)  # it is taken now, so it is the last to go
    assert {path.name for path in tmp_path.iterdir()} == {"key-0", "key-2", "key-3"}
    results.keep_recent(["key-0", "key-2", "key-3"], count=1)
    assert len(list(tmp_path.iterdir())) == 3


# --- several processes, other data, other precision ---


@pytest.mark.slow
def test_two_processes_train_what_one_does(study: params.Params) -> None:
    """Each on half of every batch, as accelerate finds them; what they leave is picked up by one process."""
    study = changed(study, dropout=0.2)
    Path("params.yaml").write_text(yaml.safe_dump(study.model_dump()))
    train.run(study, rank=2)
    train.run(study, rank=4)
    one = {rank: adapter_files.load(paths.ADAPTERS / f"rank-{rank}")[0] for rank in RANKS}
    curves = {rank: curve(rank) for rank in RANKS}
    forget()
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run([*launch, "-m", "laureate", "train", "--rank", "2"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("14/14") == 1, "one of them shows progress"
    assert subprocess.run(command(4), check=False).returncode == 0
    uneven = changed(study, batch=3).model_dump()
    Path("params.yaml").write_text(yaml.safe_dump(uneven))
    refused = subprocess.run(
        [*launch, "-m", "laureate", "train", "--rank", "2"], capture_output=True, text=True
    )
    assert "train.batch 3 cannot be shared evenly by 2 processes" in refused.stderr
    for rank in RANKS:
        for name, tensor in adapter_files.load(paths.ADAPTERS / f"rank-{rank}")[0].items():
            assert (tensor - one[rank][name]).norm() <= 1e-4 * tensor.norm(), name
        for ours, theirs in zip(curve(rank), curves[rank], strict=True):
            for key in ("loss", "holdout_loss"):
                assert float(ours[key]) == pytest.approx(float(theirs[key]), rel=1e-4)


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    assert [Team(index, 2).share(8) for index in range(2)] == [slice(0, 4), slice(4, 8)]
    with pytest.raises(LaureateError, match=r"train\.batch 8 cannot be shared evenly by 3 processes"):
        Team(0, 3).share(8)


def test_data_of_another_base_are_refused(study: params.Params) -> None:
    small_base.write(Path("other"), seed=1)
    other = study.model_copy(update={"base": params.Base(path="other")})
    with pytest.raises(
        LaureateError, match="was made with another base than other; run `laureate encode` again"
    ):
        train.run(other, rank=2)


def test_lower_precision_trains_the_same_thing(study: params.Params) -> None:
    train.run(study, rank=2)
    exact = [float(row["holdout_loss"]) for row in curve(2)]
    train.run(changed(study, precision="bfloat16"), rank=2)
    rough = [float(row["holdout_loss"]) for row in curve(2)]
    assert rough == pytest.approx(exact, rel=0.02)
    state, _ = adapter_files.load(paths.ADAPTERS / "rank-2")
    assert all(tensor.dtype == torch.float32 for tensor in state.values())
