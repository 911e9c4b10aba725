"""The section `choose`: how a rank's learning rate, step and strength are chosen."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from laureate.config.section import Fraction, Name, Section, Seed

Strength = Annotated[float, Field(gt=0, le=2)]


class Choose(Section):
    """Choose each rank's learning rate, step and strength on prompts that the table does not use.

    Candidates are every rate of `train.learning_rate` and `train.learning_rates`, every step of
    `train.snapshots` and the last, every strength of `sample.strength` and `choose.strengths`. With one
    candidate nothing is drawn.
    """

    # prompt files of its own, which share no prompt with those of sample.prompts
    prompts: list[Name] = Field(["data/prompts-choose.yaml"], min_length=1)
    seeds: list[Seed] = Field([2001], min_length=1)  # noise: one picture per prompt and seed
    strengths: list[Strength] = []  # further strengths to draw with, beside sample.strength
    first: Annotated[int, Field(ge=4)] = 12  # prompts of the first round; every further round doubles them
    # candidates stay in the race up to a held-out loss of the lowest plus this share of the way that the
    # lowest has come from the untuned base; 1: all of them
    loss_margin: Fraction = 0.1
