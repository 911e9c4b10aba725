"""Load params.yaml: parse it, validate every section, and check values across sections.

Imports nothing heavy, so that a bad parameter stops a command at once.
"""

import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from laureate.config.choosing import Choose
from laureate.config.error_messages import sentence, shown
from laureate.config.model_sources import SOURCES, Base, Endpoint, External, Source
from laureate.config.schema import (
    KINDS,
    PANEL,
    REFERENCES,
    Compare,
    Coverage,
    Crawl,
    Encode,
    Evaluate,
    Judge,
    Params,
    Prepare,
    Report,
    Roles,
    Sample,
    Train,
)
from laureate.core.errors import ParameterError
from laureate.core.text_files import TextError, decode_text

__all__ = [
    "REFERENCES",
    "Base",
    "Choose",
    "Compare",
    "Coverage",
    "Crawl",
    "Encode",
    "Endpoint",
    "Evaluate",
    "External",
    "Judge",
    "Params",
    "Prepare",
    "Report",
    "Roles",
    "Sample",
    "Source",
    "Train",
    "check_model",
    "check_rank",
    "check_snapshots",
    "load",
    "of_rank",
    "parse",
]


def load(path: str | Path = "params.yaml") -> Params:
    """Read and validate the parameters; paths in them are relative to the working folder.

    Raises ParameterError with one sentence naming the file and the dotted key.
    """
    try:
        text = decode_text(Path(path).read_bytes())
    except FileNotFoundError:
        raise ParameterError(
            f"{path} does not exist: run laureate in the project's folder, or name the file with --params"
        ) from None
    except OSError as error:
        raise ParameterError(f"{path} cannot be read: {error.strerror or error}") from None
    except TextError as error:
        raise ParameterError(f"{path} cannot be read: it is {error}; save it as UTF-8") from None
    return parse(text, path)


def parse(text: str, path: str | Path) -> Params:
    """Validate parameters given as YAML; errors name `path`. Raises ParameterError."""
    import yaml

    try:
        values = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date that there is not
        raise ParameterError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ParameterError(f"{path} must hold sections such as 'train:', not {shown(values)}")
    try:
        params = Params.model_validate(values)
    except ValidationError as error:
        raise ParameterError(f"{path}: {sentence(error)}") from None
    problem = _cross_check(params)
    if problem:
        raise ParameterError(f"{path}: {problem}")
    return params


def of_rank(value: Any, rank: int) -> Any:
    """The value for one rank; `value` is one for all ranks or a mapping from rank to value."""
    return value[rank] if isinstance(value, dict) else value


def check_rank(params: Params, rank: int) -> int:
    """Return `rank` if it is one of `ranks`. Raises ParameterError."""
    if rank not in params.ranks:
        raise ParameterError(f"--rank {rank} is not in ranks {params.ranks}")
    return rank


def check_model(name: str, names: list[str]) -> str:
    """Return `name` if it is one of `names`. Raises ParameterError."""
    if name not in names:
        raise ParameterError(f"--model {name} is unknown: choose one of {', '.join(names)}")
    return name


FEWEST_PORTRAITS = 3  # of a part: scores of fewer have no value


def _cross_check(params: Params) -> str | None:
    """Check values that depend on each other => what is wrong, or None."""
    if params.world != "embedded" and params.crawl.site == Params.model_fields["crawl"].default.site:
        return (
            f"world is {params.world!r}, but crawl.site and other values are still the embedded world's; "
            f"run `laureate world {params.world}`, which sets them all"
        )
    if len(set(params.ranks)) != len(params.ranks):
        return f"ranks must differ from each other, got {params.ranks}"
    for name in params.external:
        if name.startswith("rank-") or name in ("baseline", *REFERENCES):
            return f"external.{name} has the name of a model of the study; choose another name"
    if params.selected not in params.models:
        return f"selected is {params.selected!r}: choose one of {', '.join(params.models)}"
    for key in ("learning_rate", "alpha", "dropout"):
        value = getattr(params.train, key)
        without = [rank for rank in params.ranks if isinstance(value, dict) and rank not in value]
        if without:
            return f"train.{key} has no value for rank {without[0]}"
    problem = _check_train(params.train)
    if problem:
        return problem
    for part in ("train", "holdout"):
        least = getattr(params.prepare, f"min_{part}")
        if least < FEWEST_PORTRAITS:
            return f"prepare.min_{part} is {least}, but scores need {FEWEST_PORTRAITS} portraits or more"
    first, last = params.crawl.years
    if first is not None and last is not None and first > last:
        return f"crawl.years must be [first, last], got {params.crawl.years}"
    for kind, pattern in params.crawl.credits.items():
        try:
            re.compile(pattern)
        except re.error as error:
            return f"crawl.credits.{kind} is not a regular expression: {error}"
    problem = _check_roles(params.evaluate) or _check_panel(params)
    if problem:
        return problem
    lowest, highest = params.sample.guidance_interval
    if lowest >= highest:
        return f"sample.guidance_interval must be [lowest, highest], got {[lowest, highest]}"
    if len(set(params.sample.seeds)) != len(params.sample.seeds):
        return f"sample.seeds must differ from each other, got {params.sample.seeds}"
    for index, source in enumerate(params.base.sources):
        problem = _check_source(source)
        if problem:
            return f"base.sources[{index}] {problem}"
    for index, prompts in enumerate(params.sample.prompts):
        if not Path(prompts).is_file():
            return f"sample.prompts[{index}]: there is no file {prompts}"
    return _check_choose(params)


def _check_choose(params: Params) -> str | None:
    """Check the values that a choice depends on => what is wrong, or None."""
    choose = params.choose
    for key in ("seeds", "strengths"):
        values = getattr(choose, key)
        if len(set(values)) != len(values):
            return f"choose.{key} must differ from each other, got {values}"
    return None


def _check_train(train: Train) -> str | None:
    """Check the values of training that depend on each other => what is wrong, or None."""
    if train.init == "pissa" and train.variant == "dora":
        return "train.init: pissa goes with train.variant lora or rslora, not with dora"
    for key in ("seeds", "learning_rates", "snapshots"):
        values = getattr(train, key)
        if len(set(values)) != len(values):
            return f"train.{key} must differ from each other, got {values}"
    return _late_snapshot(train) if train.epochs is None else None


def check_snapshots(train: Train) -> Train:
    """Return `train` if no snapshot comes after its last step, which is known now. Raises ParameterError."""
    problem = _late_snapshot(train)
    if problem:
        raise ParameterError(problem)
    return train


def _late_snapshot(train: Train) -> str | None:
    late = [step for step in train.snapshots if step > train.steps]
    return (
        f"train.snapshots names step {late[0]}, but training ends after {train.steps} steps" if late else None
    )


def _check_roles(evaluate: Evaluate) -> str | None:
    """Check that every role has a judge of a kind that suits it => what is wrong, or None."""
    for role, name in evaluate.roles:
        if name is None:
            continue
        if name not in evaluate.judges:
            known = ", ".join(evaluate.judges)
            return f"evaluate.roles.{role} is {name!r}: choose one of evaluate.judges ({known}) or null"
        kind = evaluate.judges[name].kind
        if kind not in KINDS[role]:
            kinds = ", ".join(KINDS[role])
            return f"evaluate.roles.{role} is {name!r}, a judge of the kind {kind}: it must be one of {kinds}"
    return None


def _check_panel(params: Params) -> str | None:
    """Check that every judge of the panel has columns of the table => what is wrong, or None."""
    judges, roles = params.evaluate.judges, params.evaluate.roles
    kinds: list[str] = []
    for name in params.compare.judges:
        if name not in judges:
            known = ", ".join(judges)
            return f"compare.judges names {name!r}: choose of evaluate.judges ({known})"
        kind = judges[name].kind
        if name == roles.looks:
            continue
        if kind not in PANEL:
            return (
                f"compare.judges names {name!r}, a judge of the kind {kind}: besides the judge of "
                f"evaluate.roles.looks it must be one of {', '.join(PANEL)}"
            )
        if kind == "dino" and name != roles.dino:
            return f"compare.judges names {name!r}: then evaluate.roles.dino must name it too"
        kinds.append(kind)
    if len(set(params.compare.judges)) != len(params.compare.judges) or len(set(kinds)) != len(kinds):
        return f"compare.judges must name one judge of a kind, got {params.compare.judges}"
    return None


def _check_source(source: Source) -> str | None:
    """Check the keys of one source => what is wrong, to be put after its key, or None."""
    given = [kind for kind in SOURCES if getattr(source, kind) is not None]
    if len(given) != 1:
        return f"must have exactly one of {', '.join(SOURCES)}, got {', '.join(given) or 'none'}"
    belongs: dict[str, tuple[str, ...]] = {
        "revision": ("hub", "modelscope"),
        "variant": ("hub", "modelscope"),
    }
    belongs |= {"layout": ("file",), "tokenizer": ("file",)}
    for key, kinds in belongs.items():
        value = getattr(source, key)
        if value is not None and source.kind not in kinds:
            return f"is a {source.kind}, which has no {key}"
        if value is None and source.kind in kinds and key != "variant":
            return f"is a {source.kind} and needs {key} too"
    if source.kind == "file" and not str(source.file).endswith(".safetensors"):
        return f"names {source.file}: only .safetensors is read; other checkpoints can run code when opened"
    return None
