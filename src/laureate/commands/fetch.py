"""`laureate fetch`: get the base model from the first of `base.sources` that has it, and record its hashes.

Only the files that a base is loaded from are downloaded, small ones first: a wrong base is refused early."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from laureate.config.params import Base, Params, Source
from laureate.core import network, secrets
from laureate.core.errors import LaureateError
from laureate.core.files import fresh_folder, write_json
from laureate.core.system_files import files_in
from laureate.networks.diffusion import base_model
from laureate.networks.sources.http_download import ExpectedFile, Unavailable, UnexpectedContent, download

MODELSCOPE = "https://modelscope.cn"


@dataclass(frozen=True)
class Remote:
    """One file of a repository."""

    url: str
    expected: ExpectedFile


@dataclass(frozen=True)
class Listing:
    """The files of a repository at one commit, by name."""

    commit: str
    files: Mapping[str, Remote]
    headers: Mapping[str, str] = field(default_factory=dict)


def run(params: Params) -> None:
    """Make `base.path` from the first source that has the base; verify it if it exists already.

    Records the SHA-256 of every file in `base.lock` if there is no entry for the source. Raises LaureateError
    with the reason of every source, or with what is wrong with the base that one of them gave.
    """
    wanted, path = params.base, Path(params.base.path)
    if path.is_dir():
        base = base_model.expected(wanted)
        origin = path / base_model.ORIGIN
        key = json.loads(origin.read_text())["name"] if origin.is_file() else f"folder {wanted.path}"
        note(wanted.lock, key, base)
        print(f"{path} exists: {base.source}, {base.prediction}, fingerprint {base.fingerprint[:12]}")
        return
    reasons = []
    for source in wanted.sources:
        try:
            base = obtain(source, wanted)
        except Unavailable as error:
            reasons.append(f"{source.name}: {error}")
            continue
        print(f"{path} made from {base.source}: {base.prediction}, fingerprint {base.fingerprint[:12]}")
        return
    raise LaureateError(f"no source of base.sources has {path}; " + "; ".join(reasons))


def obtain(source: Source, wanted: Base) -> base_model.Base:
    """Make `wanted.path` from one source and check it against the lock; the folder appears when it is valid.

    Raises Unavailable if the source does not have it or cannot be reached, LaureateError if the source has
    another base than the parameters and the lock describe.
    """
    recorded = base_model.read_lock(wanted.lock).get(source.name, {})
    downloads = Path(wanted.downloads) / re.sub(r"\W+", "-", source.name)
    revision = None
    with fresh_folder(wanted.path) as aside:
        if source.kind == "folder":
            _link(Path(str(source.folder)), aside)
        elif source.kind == "file":
            from laureate.networks.sources import checkpoint_conversion

            checkpoint_conversion.convert(
                Path(str(source.file)), str(source.layout), Path(str(source.tokenizer)), aside
            )
        else:
            lists = {"hub": hub, "modelscope": modelscope}[source.kind]
            listing = lists(source, recorded.get("revision") or str(source.revision))
            revision = listing.commit
            _receive(listing, source, wanted, downloads)
            _link(downloads, aside)
        described = source.name + (f" at {revision}" if revision else "")
        write_json(aside / base_model.ORIGIN, {"name": source.name, "source": described})
        try:
            base = base_model.find(aside)
            base_model.check_prediction(base, wanted)
            base_model.check_lock(base, wanted.lock, source.name)
        except LaureateError as error:
            raise type(error)(str(error).replace(str(aside), described)) from None
    shutil.rmtree(downloads, ignore_errors=True)
    base = base_model.find(wanted.path)
    note(wanted.lock, source.name, base, revision)
    return base


def note(lock: str, name: str, base: base_model.Base, revision: str | None = None) -> None:
    """Record the files of a base in the lock under the name of its source, unless there is an entry."""
    recorded = base_model.read_lock(lock)
    if name not in recorded:
        entry = {"files": dict(base.files), "prediction": base.prediction, "revision": revision}
        write_json(lock, {**recorded, name: entry})
        print(f"{lock}: recorded the SHA-256 of {len(base.files)} files; put it under version control")


def hub(source: Source, revision: str) -> Listing:
    """The files of a repository of the Hugging Face hub. The token is the hub library's, or HF_TOKEN.

    Raises Unavailable: no such repository or revision, no permission to read it, no connection.
    """
    from huggingface_hub import HfApi, errors
    from huggingface_hub.utils import build_hf_headers

    _check_token()
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    name = str(source.hub)
    try:
        info = HfApi(endpoint=endpoint).model_info(name, revision=revision, files_metadata=True, timeout=30)
    except errors.GatedRepoError:
        raise Unavailable(
            f"{endpoint} gives {name} only to those who accept its licence: accept it there and set HF_TOKEN"
        ) from None
    except errors.RepositoryNotFoundError as error:
        status = error.response.status_code
        raise Unavailable(
            f"{endpoint} answers {status} for {name}: it was deleted, is private or is misspelled; add "
            f"another source in base.sources{', or set HF_TOKEN if it is yours' if status == 401 else ''}"
        ) from None
    except errors.RevisionNotFoundError:
        raise Unavailable(f"{name} has no revision {revision}; correct it in base.sources") from None
    except errors.OfflineModeIsEnabled:
        raise Unavailable("HF_HUB_OFFLINE is set, so the hub is not used; unset it to download") from None
    except errors.HfHubHTTPError as error:
        raise Unavailable(f"{endpoint} answers {error.response.status_code} for {name}; try later") from None
    except network.errors() as error:
        raise _unreachable(endpoint, error) from None
    files = {
        file.rfilename: Remote(
            url=f"{endpoint}/{name}/resolve/{info.sha}/{file.rfilename}",
            expected=ExpectedFile(
                file.size, file.lfs.sha256 if file.lfs else None, None if file.lfs else file.blob_id
            ),
        )
        for file in info.siblings or []
    }
    return Listing(str(info.sha), files, build_hf_headers(library_name="laureate"))


def _check_token() -> None:
    """Read the hub's token as the hub library does, so that no message shows it. Raises LaureateError."""
    from huggingface_hub import get_token

    for variable in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        secrets.from_environment(variable)
    if token := get_token():  # also from a file of `hf auth login`
        secrets.Secret(token)


def _unreachable(endpoint: str, error: BaseException) -> Unavailable:
    reason = network.reason(error)
    return Unavailable(f"{endpoint} cannot be reached ({reason}); go online or add a folder to base.sources")


def modelscope(source: Source, revision: str) -> Listing:
    """The files of a repository of ModelScope. Raises Unavailable as `hub` does."""
    import requests

    endpoint = os.environ.get("MODELSCOPE_ENDPOINT", MODELSCOPE).rstrip("/")
    name = source.modelscope
    try:
        answer = requests.get(
            f"{endpoint}/api/v1/models/{name}/repo/files",
            params={"Revision": revision, "Recursive": "True"},
            timeout=30,
        )
    except network.errors() as error:
        raise _unreachable(endpoint, error) from None
    try:
        rows = answer.json()["Data"]["Files"]
        files = {
            str(row["Path"]): Remote(
                url=f"{endpoint}/models/{name}/resolve/{revision}/{row['Path']}",
                expected=ExpectedFile(
                    int(row["Size"]), row["Sha256"] if re.fullmatch(r"[0-9a-f]{64}", row["Sha256"]) else None
                ),
            )
            for row in rows
            if row.get("Type") != "tree"
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Unavailable(
            f"{endpoint} answers {answer.status_code} for {name} at {revision} without a list of files: it "
            "was deleted, is private or is misspelled; add another source to base.sources"
        ) from None
    return Listing(revision, files)


def choose(names: list[str], source: Source) -> dict[str, str]:
    """Select the files that a base is loaded from => name in the base: name in the repository.

    Raises UnexpectedContent if a part has no safetensors weights, or the repository is no Stable Diffusion.
    """
    chosen = {"model_index.json": "model_index.json"}
    chosen["scheduler/scheduler_config.json"] = "scheduler/scheduler_config.json"
    for part, file in base_model.WEIGHTS.items():
        chosen[f"{part}/config.json"] = f"{part}/config.json"
        stem = file.removesuffix("safetensors")
        chosen[f"{part}/{file}"] = f"{part}/{stem}{source.variant + '.' if source.variant else ''}safetensors"
    chosen |= {name: name for name in names if re.fullmatch(r"tokenizer/[\w.-]+\.(json|txt)", name)}
    for name in chosen.values():
        if name not in names:
            pickled = [
                n for n in names if Path(n).parent == Path(name).parent and n.endswith((".bin", ".ckpt"))
            ]
            why = (
                f"it has pickled weights ({pickled[0]}), which are not loaded here"
                if pickled
                else "it is incomplete"
            )
            raise UnexpectedContent(f"{source.name} has no {name}: {why}; add another source to base.sources")
    return chosen


def _receive(listing: Listing, source: Source, wanted: Base, folder: Path) -> None:
    """Download the files of a base into `folder`, small ones first, each checked against its hash."""
    recorded = base_model.read_lock(wanted.lock).get(source.name, {}).get("files", {})
    if "model_index.json" in listing.files:
        _get(
            listing, "model_index.json", folder / "model_index.json", recorded.get("model_index.json"), source
        )
        _renamed(base_model.check_kind, folder, source)
    chosen = choose(list(listing.files), source)
    weights = [name for name in chosen if name.endswith(".safetensors")]
    for name in chosen.keys() - weights:
        _get(listing, chosen[name], folder / name, recorded.get(name), source)
    _renamed(lambda path: base_model.check_scheduler(path, wanted, source.name), folder, source)
    for name in weights:
        _get(listing, chosen[name], folder / name, recorded.get(name), source)


def _get(listing: Listing, name: str, target: Path, recorded: str | None, source: Source) -> None:
    """Download one file and check it against the lock and the server's listing."""
    remote = listing.files[name]
    label = f"{name} of {source.name}"
    expected = remote.expected
    if recorded and expected.sha256 and recorded != expected.sha256:
        raise UnexpectedContent(
            f"{label} was changed on the server: it has SHA-256 {expected.sha256}, the lock has {recorded}; "
            "pin another revision or source, or remove the entry from the lock if the change is meant"
        )
    if recorded:
        expected = ExpectedFile(sha256=recorded, size=expected.size)
    download(remote.url, target, expected, listing.headers, label)


def _renamed(check: Callable[[Path], Any], folder: Path, source: Source) -> None:
    """Run a check whose error names the source instead of the folder of downloads."""
    try:
        check(folder)
    except LaureateError as error:
        raise UnexpectedContent(str(error).replace(str(folder), source.name)) from None


def _link(source: Path, target: Path) -> None:
    """Link the files of a base into a new folder, or copy them where links are not possible.

    Raises Unavailable if there is no such folder.
    """
    if not source.is_dir():
        raise Unavailable(f"there is no folder {source}")
    files = sorted(files_in(source))
    for path in files:
        if path.is_file() and network.is_lfs_pointer(path):
            raise Unavailable(f"{path} is a Git LFS pointer, not the file: run `git lfs pull` in {source}")
    for path in files:
        name = path.relative_to(source)
        if not path.is_file() or (len(name.parts) > 1 and name.parts[0] not in PARTS):
            continue
        if path.suffix not in (".json", ".txt", ".safetensors"):
            continue
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path.resolve(), target / name)
        except OSError:
            shutil.copyfile(path, target / name)


PARTS = (*base_model.WEIGHTS, "tokenizer", "scheduler")
