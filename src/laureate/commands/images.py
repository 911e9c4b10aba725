"""`laureate images`: request one picture per (prompt, seed) from an images endpoint, and keep every answer.

Not a stage: answers cost money and cannot be reproduced, so `dvc repro` must neither request nor delete them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laureate.commands.images_endpoint import Fault, Refusal, ask, connect, picture
from laureate.config.params import Endpoint, Params
from laureate.core.errors import LaureateError, ParameterError
from laureate.core.files import fresh_folder, write_json
from laureate.core.paths import EXTERNAL, WORK
from laureate.core.progress import progress
from laureate.formats import external, prompts

ANSWERS = WORK / "images"  # MODEL/HASH.json, one per request, sent once
MAX_FAULTS = 5  # consecutive failures after which a run ends


@dataclass(frozen=True)
class Request:
    """One picture to request."""

    prompt: str  # id
    text: str
    seed: int
    body: dict[str, Any]  # of the HTTP request

    def hash(self, endpoint: Endpoint) -> str:
        """SHA-256 over everything the answer depends on: address, body and seed."""
        content = {"url": endpoint.url, "body": self.body, "seed": self.seed}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def run(params: Params, model: str) -> None:
    """Fetch the pictures of params.external.MODEL => data/external/MODEL: PNGs and manifest.json.

    Answers are kept in .work/images, so that another run requests only what is missing; a refusal is an
    answer. Raises LaureateError if no key is set, if a run would request more than `cap` pictures, if the
    endpoint rejects the key or the request or fails MAX_FAULTS times in a row, and if there is no picture.
    """
    endpoint = params.external[model].endpoint if model in params.external else None
    if endpoint is None:
        raise ParameterError(
            f"external.{model}.endpoint is not set in params.yaml; set url and model of the endpoint"
        )
    asked = prompts.load(params.sample.prompts)
    requests = plan(endpoint, asked, params.sample.seeds)
    folder = ANSWERS / model
    new = [request for request in requests if _kept(folder, request.hash(endpoint)) is None]
    if len(new) > endpoint.cap:
        raise LaureateError(
            f"{model}: {len(new)} pictures to request, but external.{model}.endpoint.cap is {endpoint.cap}; "
            "raise it, or use fewer prompts or seeds"
        )
    failed = fetch(endpoint, new, folder) if new else {}
    answers = {key: _kept(folder, key) for key in (request.hash(endpoint) for request in requests)}
    write(model, endpoint, [(r, answers[r.hash(endpoint)]) for r in requests], failed)
    print(summary(external.read(model, asked), model))


def _kept(folder: Path, key: str) -> dict[str, Any] | None:
    """The answer that is kept under a key; None where there is none, or where it is damaged."""
    try:
        found = json.loads((folder / f"{key}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    whole = isinstance(found, dict) and ("refused" in found or {"picture", "revised_prompt"} <= found.keys())
    return found if whole else None


def plan(endpoint: Endpoint, asked: Sequence[prompts.Prompt], seeds: Sequence[int]) -> list[Request]:
    """One request per (prompt, seed), in the order of the samples."""
    size = {} if endpoint.size is None else {"size": endpoint.size}
    fixed = {"model": endpoint.model, "n": 1, **size, **endpoint.options}
    return [
        Request(p.id, p.text, s, {**fixed, "prompt": p.text, **({"seed": s} if endpoint.send_seed else {})})
        for p in asked
        for s in seeds
    ]


def fetch(endpoint: Endpoint, requests: Sequence[Request], folder: Path) -> dict[str, str]:
    """Send every request and keep each answer in `folder`/HASH.json => hash: reason, for the failed ones."""
    with connect(endpoint) as client:
        return _fetch(client, endpoint, requests, folder)


def _fetch(client: Any, endpoint: Endpoint, requests: Sequence[Request], folder: Path) -> dict[str, str]:
    failed: dict[str, str] = {}
    in_a_row, end = 0, time.monotonic() + 60 * endpoint.minutes
    for request in progress(requests, len(requests), f"images {endpoint.model}"):
        key = request.hash(endpoint)
        if time.monotonic() > end:
            failed[key] = f"not requested: the limit of {endpoint.minutes:g} minutes was reached"
            continue
        try:
            answer = ask(client, request.body, endpoint.retries)
        except Refusal as refusal:
            answer = {"refused": str(refusal)}
        except Fault as fault:
            failed[key] = str(fault)
            in_a_row += 1
            if in_a_row >= MAX_FAULTS:
                raise LaureateError(
                    f"{endpoint.url} failed {MAX_FAULTS} times in a row ({fault}); "
                    "answers so far are kept, run it again to continue"
                ) from None
            continue
        in_a_row = 0
        write_json(folder / f"{key}.json", answer)
    return failed


def write(
    model: str,
    endpoint: Endpoint,
    answered: Sequence[tuple[Request, dict[str, Any] | None]],
    failed: dict[str, str],
) -> None:
    """Write the answers to data/external/MODEL, in the format of data/external/README.md."""
    drawn, missing = [], []
    for request, answer in answered:
        row: dict[str, Any] = {"prompt": request.prompt, "seed": request.seed}
        if answer and "picture" in answer:
            file = f"{request.prompt}_{request.seed}.png"
            drawn.append((answer, row | {"file": file, "revised_prompt": answer["revised_prompt"]}))
        elif answer:
            missing.append(row | {"reason": answer["refused"]})
        else:
            missing.append(row | {"reason": failed.get(request.hash(endpoint), "not requested")})
    if not drawn:
        raise LaureateError(f"{endpoint.url} gave no picture; the first reason: {missing[0]['reason']}")
    with fresh_folder(EXTERNAL / model) as folder:
        for answer, row in drawn:
            picture(base64.b64decode(answer["picture"])).save(folder / row["file"])
        write_json(folder / external.MANIFEST, {
            "model": model,
            "source": f"{endpoint.model} at {endpoint.url}, size {endpoint.size or 'of its choice'}",
            "endpoint": endpoint.model_dump(exclude={"key"}),
            "pictures": [row for _, row in drawn],
            "missing": missing,
        })  # fmt: skip


def summary(pictures: external.Pictures, model: str) -> str:
    """Counts of pictures, refusals and failures, and what to do next, in two lines."""
    refused = sum(str(row.get("reason", "")).startswith("refused") for row in pictures.missing)
    other = len(pictures.missing) - refused
    text = f"{EXTERNAL / model}: {len(pictures.drawn)} pictures, {refused} refused, {other} failed"
    if other:
        text += f" ({pictures.missing[-1]['reason']}); run it again to request those"
    return f"{text}\nnext: dvc add {EXTERNAL / model} && dvc repro"
