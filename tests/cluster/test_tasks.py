"""Tasks from stages, and their schedule: properties over random graphs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laureate.cluster.schedule import schedule
from laureate.cluster.tasks import Resources, Stage, Task, impossible, out_of_date, tasks_of


@st.composite
def graphs(draw: st.DrawFn) -> list[Stage]:
    """Stages in an order in which they can run, with what is changed below what is changed."""
    count = draw(st.integers(1, 9))
    names = [draw(st.sampled_from(["train@rank-", "sample@rank-", "report"])) + str(i) for i in range(count)]
    needs = {
        name: draw(st.lists(st.sampled_from(names[:i]), unique=True)) if i else []
        for i, name in enumerate(names)
    }
    for name in names:  # trainings do not read each other's results
        if name.startswith("train"):
            needs[name] = []
    stale = out_of_date(names, needs, draw(st.sets(st.sampled_from(names))))
    return [Stage(name, tuple(needs[name]), name in stale) for name in names]


@given(graphs(), st.booleans())
def test_every_stage_that_is_out_of_date_is_in_one_task(stages: list[Stage], pack: bool) -> None:
    tasks = tasks_of(stages, pack)
    assert sorted(name for task in tasks for name in task.stages) == sorted(s.name for s in stages if s.stale)
    packed = [task for task in tasks if task.name.startswith("train")]
    assert len(packed) <= 1 or not pack


@given(graphs(), st.booleans())
def test_a_task_has_all_inputs_and_waits_for_those_that_are_made(stages: list[Stage], pack: bool) -> None:
    done: set[str] = set()
    by_name = {stage.name: stage for stage in stages}
    owners = {name: task.name for task in tasks_of(stages, pack) for name in task.stages}
    for task in tasks_of(stages, pack):
        assert done.issuperset(task.needs)
        done.add(task.name)
        for name in task.stages:
            assert {*task.inputs, *task.stages} >= set(by_name[name].needs)
        assert set(task.needs) == {owners[name] for name in task.inputs if by_name[name].stale}


def test_adapters_that_are_up_to_date_are_inputs_of_the_pack() -> None:
    """Or the run would train them again, and with another pack."""
    stages = [Stage("train@rank-4", (), False), Stage("train@rank-8", (), True)]
    assert [task.inputs for task in tasks_of(stages, pack=True)] == [("train@rank-4",)]
    assert [task.inputs for task in tasks_of(stages, pack=False)] == [()]


def test_verbs_and_what_they_claim() -> None:
    stages = [Stage("sample-baseline", (), True), Stage("train@rank-4", (), True), Stage("report", (), True)]
    tasks = tasks_of(stages, True, {"sample": Resources(2, 1), "train": Resources(3), "pack": Resources(4)})
    assert [task.resources for task in tasks] == [Resources(2, 1), Resources(3), Resources()]


def test_what_waits_for_one_task_only_is_one_with_it() -> None:
    """A rank's choice, pictures and scores; not what others wait for, nor what must wait for others."""
    ranks = ("rank-4", "rank-8")
    stages = [Stage("crawl", (), True), Stage("prepare", ("crawl",), True)]
    stages += [Stage("sample-baseline", (), True)]
    stages += [Stage(f"train@{rank}", ("prepare",), True) for rank in ranks]
    for rank in ranks:
        stages += [
            Stage(f"choose@{rank}", (f"train@{rank}",), True),
            Stage(f"sample@{rank}", (f"train@{rank}", f"choose@{rank}"), True),
            Stage(f"evaluate@{rank}", ("prepare", "sample-baseline", f"sample@{rank}"), True),
        ]
    stages += [Stage("compare", tuple(f"evaluate@{rank}" for rank in ranks), True)]
    stages += [Stage("report", ("compare", "train@rank-4"), True)]
    assert [task.stages for task in tasks_of(stages, True)] == [
        ("crawl",),
        ("sample-baseline",),
        ("prepare", "train@rank-4", "train@rank-8"),
        *((f"choose@{rank}", f"sample@{rank}", f"evaluate@{rank}") for rank in ranks),
        ("compare", "report"),
    ]
    claims = {"evaluate": Resources(1, 1)}
    alone = [task.stages for task in tasks_of(stages, True, claims)]
    assert ("choose@rank-4", "sample@rank-4") in alone
    assert ("evaluate@rank-4",) in alone


nodes = st.lists(st.builds(Resources, st.integers(1, 4), st.integers(0, 2)), min_size=1, max_size=4)


@given(graphs(), nodes, st.data())
def test_a_schedule_respects_inputs_and_nodes(
    stages: list[Stage], nodes: list[Resources], data: st.DataObject
) -> None:
    tasks = tasks_of(stages, True)
    seconds = {task.name: data.draw(st.floats(0.5, 100)) for task in tasks}
    placed = {place.task: place for place in schedule(tasks, nodes, seconds)}
    assert placed.keys() == {task.name for task in tasks}
    for task in tasks:
        for need in task.needs:
            assert placed[need].end <= placed[task.name].start
        together = [
            p
            for p in placed.values()
            if p.node == placed[task.name].node and p.start <= placed[task.name].start < p.end
        ]
        assert len(together) <= nodes[placed[task.name].node].cpus
    total = sum(seconds.values())
    assert max((place.end for place in placed.values()), default=0) <= total * (1 + 1e-9)


def test_a_task_that_no_node_can_run_is_named() -> None:
    task = Task("train@rank-4", ("train@rank-4",), (), (), Resources(1, 1))
    assert impossible([task], [Resources(8)]) is task
    assert impossible([task], [Resources(8), Resources(1, 1)]) is None
    with pytest.raises(ValueError, match="train@rank-4"):
        schedule([task], [Resources(8)], {task.name: 1.0})
