"""Tasks from stages: what is out of date, what runs together, what waits for what, what each claims."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

# the verbs that use a model; the others need one core and no GPU
HEAVY = ("prepare", "encode", "train", "choose", "sample", "evaluate")


def verb_of(name: str) -> str:
    """The verb of a stage by its name."""
    return name.partition("@")[0].partition("-")[0]


@dataclass(frozen=True)
class Stage:
    """One stage of dvc.yaml."""

    name: str  # as DVC addresses it: "crawl", "train@rank-4"
    needs: tuple[str, ...]  # stages whose outputs it reads
    stale: bool  # it is out of date, or a stage before it is

    @property
    def verb(self) -> str:
        """The name before the matrix key, and without a model: "sample" of "sample-baseline"."""
        return verb_of(self.name)


@dataclass(frozen=True)
class Resources:
    """What a task claims of one node."""

    cpus: int = 1
    gpus: int = 0
    memory: int = 0  # bytes; 0: not known, nothing is claimed

    def fits(self, node: Resources) -> bool:
        """Whether a node that is otherwise idle has all of it."""
        return self.cpus <= node.cpus and self.gpus <= node.gpus and self.memory <= node.memory


@dataclass(frozen=True)
class Task:
    """Stages that run one after the other in one clone."""

    name: str  # of its first stage
    stages: tuple[str, ...]
    inputs: tuple[str, ...]  # stages whose outputs must be in place, in the order in which they run
    needs: tuple[str, ...]  # tasks that make some of these
    resources: Resources


def out_of_date(
    names: Sequence[str], needs: Mapping[str, Collection[str]], changed: Collection[str]
) -> set[str]:
    """The changed stages and all that depend on them. `names` are in an order in which they can run."""
    stale: set[str] = set()
    for name in names:
        if name in changed or stale.intersection(needs[name]):
            stale.add(name)
    return stale


def tasks_of(
    stages: Sequence[Stage], pack: bool, claims: Mapping[str, Resources] | None = None
) -> list[Task]:
    """The stages that are out of date as tasks, in an order in which they can run.

    `pack`: the `train` stages that are out of date are one task, since one run trains their ranks; the
    adapters that are up to date are inputs of it, so that they are not trained again. What could only run one
    after the other is one task too (`chained`). `claims`: resources by verb, and of the pack under "pack".
    """
    claims = claims or {}
    stale = {stage.name for stage in stages if stage.stale}
    trains = [stage for stage in stages if stage.verb == "train"] if pack else []
    packed = [stage.name for stage in trains if stage.stale]
    owner = {name: packed[0] if name in packed else name for name in stale}
    by_name = {stage.name: stage for stage in stages}
    order = list(by_name)
    tasks = []
    for stage in stages:
        if owner.get(stage.name) != stage.name:
            continue
        members = packed if stage.name in packed else [stage.name]
        inputs = [need for name in members for need in by_name[name].needs if need not in members]
        if stage.name in packed:
            inputs += [other.name for other in trains if not other.stale]
        inputs = sorted(set(inputs), key=order.index)
        needs = dict.fromkeys(owner[name] for name in inputs if name in stale)
        claim = claims.get("pack" if len(members) > 1 else stage.verb) or claims.get(stage.verb)
        tasks.append(Task(stage.name, tuple(members), tuple(inputs), tuple(needs), claim or Resources()))
    return chained(tasks, order)


def chained(tasks: Sequence[Task], order: Sequence[str]) -> list[Task]:
    """Tasks of which one would wait for the other anyway, as one: a clone less, and nothing to pull.

    A task joins the one that it needs if it claims the same, if all that waits for that one waits for it too,
    and if what it needs besides is made before that one can start. `order`: names of all stages in an order
    in which they can run, as `tasks` are.
    """
    by_name = {task.name: task for task in tasks}
    waiting: dict[str, set[str]] = {name: set() for name in by_name}  # tasks that need it
    depth: dict[str, int] = {}
    for task in tasks:
        depth[task.name] = 1 + max((depth[need] for need in task.needs), default=-1)
        for need in task.needs:
            waiting[need].add(task.name)
    below: dict[str, set[str]] = {}  # tasks that need it, or one that does
    for task in reversed(tasks):
        below[task.name] = waiting[task.name].union(*(below[name] for name in waiting[task.name]))
    chains: dict[str, list[str]] = {}  # by the first task
    head = {}
    for task in tasks:
        head[task.name] = task.name
        for need in task.needs:
            first = head[need]
            chain = chains[first]
            early = {name for name in depth if depth[name] < depth[first]}
            if (
                chain[-1] == need
                and _alike(by_name[first], task)
                and early.union(chain) >= set(task.needs)
                and below[task.name] | {task.name, *chain} >= set().union(*(waiting[name] for name in chain))
            ):
                head[task.name] = first
                break
        chains.setdefault(head[task.name], []).append(task.name)
    place = {name: index for index, name in enumerate(by_name)}
    joined = []
    for chain in sorted(chains.values(), key=lambda chain: place[chain[-1]]):
        members = [by_name[name] for name in chain]
        stages = tuple(stage for task in members for stage in task.stages)
        inputs = {name for task in members for name in task.inputs} - set(stages)
        needs = dict.fromkeys(head[need] for task in members for need in task.needs if need not in chain)
        inputs_in_order = tuple(sorted(inputs, key=order.index))
        joined.append(Task(chain[0], stages, inputs_in_order, tuple(needs), members[0].resources))
    return joined


def _alike(one: Task, other: Task) -> bool:
    """Whether two tasks claim the same, and both use a model or neither does."""
    same_kind = (verb_of(one.name) in HEAVY) == (verb_of(other.name) in HEAVY)
    return same_kind and one.resources == other.resources


def impossible(tasks: Sequence[Task], nodes: Sequence[Resources]) -> Task | None:
    """A task that no node could ever run, or None."""
    return next((task for task in tasks if not any(task.resources.fits(node) for node in nodes)), None)
