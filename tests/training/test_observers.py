"""Trackers and previews: there while a run goes on, for every rank of the pack, and no result is another."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from trained import changed, curve, forget, outputs

from laureate.config import params
from laureate.core import paths
from laureate.core.errors import LaureateError
from laureate.stages import train
from laureate.training import preview, trainer

RANKS = (2, 4)
SEEN_AT = 12  # of the 14 steps of the small study; losses are fetched every 10


class Watcher:
    """Looks into the live folder when step number SEEN_AT begins."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        step = trainer.Trainer.step
        self.events: dict[str, list[tuple[int, float]]] = {}
        self.table: list[dict[str, str]] = []
        self.sheets: list[str] = []

        def watched(self_: trainer.Trainer, examples: Any, number: int) -> Any:
            if number + 1 == SEEN_AT:
                self.look()
            return step(self_, examples, number)

        monkeypatch.setattr(trainer.Trainer, "step", watched)

    def look(self) -> None:
        (folder,) = paths.LIVE.iterdir()
        self.sheets = sorted(path.name for path in folder.glob("*.png"))
        self.events = events(folder)
        file = folder / "dvclive/plots/metrics/loss/rank-4.tsv"
        if file.is_file():
            self.table = list(csv.DictReader(file.read_text().splitlines(), delimiter="\t"))


def events(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard's own reader finds: name => (step, value)."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reader = EventAccumulator(str(folder)).Reload()
    names = reader.Tags()["scalars"]
    return {name: [(e.step, e.value) for e in reader.Scalars(name)] for name in names}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of tensorboard and protobuf themselves
def test_losses_and_pictures_are_there_while_it_trains_and_change_nothing(
    study: params.Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    train.run(study, rank=2)
    train.run(study, rank=4)
    plain = outputs(*RANKS)
    assert not paths.LIVE.exists()
    forget()

    watcher = Watcher(monkeypatch)
    observed = changed(study, trackers=["tensorboard", "dvclive"], preview=5)
    train.run(observed, rank=2)
    train.run(observed, rank=4)
    assert outputs(*RANKS) == plain

    assert watcher.sheets == ["preview-000005.png", "preview-000010.png"]
    for rank in RANKS:
        assert [step for step, _ in watcher.events[f"loss/rank-{rank}"]] == list(range(1, SEEN_AT))
        assert [step for step, _ in watcher.events[f"holdout_loss/rank-{rank}"]] == [0, 5, 10]
    assert [int(row["step"]) for row in watcher.table] == list(range(1, SEEN_AT))
    (folder,) = paths.LIVE.iterdir()
    told = events(folder)
    for rank in RANKS:
        held = told[f"holdout_loss/rank-{rank}"]
        assert [(str(step), f"{value:.4f}") for step, value in held] == [
            (row["step"], f"{float(row['holdout_loss']):.4f}") for row in curve(rank)
        ]
    assert sorted(path.name for path in Path().iterdir() if path.name.startswith(("dvc", "runs"))) == []


def test_a_sheet_shows_every_rank_and_the_ranks_differ(
    study: params.Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    pictures = preview.Preview.pictures

    def kept(self: preview.Preview) -> Any:
        seen.append(pictures(self))
        return seen[-1]

    monkeypatch.setattr(preview.Preview, "pictures", kept)
    train.run(changed(study, preview=14, learning_rate=0.1), rank=2)
    (drawn,) = seen
    assert drawn.shape == (3, preview.CAPTIONS, 32, 32, 3)
    assert drawn.dtype == np.uint8
    assert (drawn[1] != drawn[2]).any()
    assert (drawn[1, 0] != drawn[1, 1]).any()
    (file,) = paths.LIVE.rglob("preview-000014.png")
    with Image.open(file) as page:
        assert np.asarray(page.convert("RGB")).std() > 10


def test_a_tracker_that_is_not_installed_is_named(
    study: params.Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    import accelerate.tracking

    monkeypatch.setattr(accelerate.tracking, "get_available_trackers", lambda: ["dvclive"])
    with pytest.raises(LaureateError, match="names wandb, which is not installed: pip install wandb"):
        train.run(changed(study, trackers=["wandb"]), rank=2)


def test_a_text_encoder_that_is_trained_is_seen_in_the_preview(study: params.Params) -> None:
    train.run(changed(study, preview=7, text_encoder=["q_proj"]), rank=2)
    assert len(list(paths.LIVE.rglob("preview-*.png"))) == 2
