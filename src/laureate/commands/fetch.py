"""fetch: bring the base to `base.path` from the first of `base.sources` that has it, and note what it is.

A folder and a checkpoint lie on this machine; the hub and ModelScope are asked for exactly the files that a
Stable Diffusion is loaded from, safetensors only, small ones first: a wrong base stops before its gigabytes.
"""

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
from laureate.core.errors import LaureateError
from laureate.core.files import fresh_folder, write_json
from laureate.networks.diffusion import base_model
from laureate.networks.sources.http_download import Changed, Promise, Unavailable, download

MODELSCOPE = "https://modelscope.cn"


@dataclass(frozen=True)
class Remote:
    """One file of a repository."""

    url: str
    promise: Promise


@dataclass(frozen=True)
class Listing:
    """The files of a repository at one commit, by name."""

    commit: str
    files: Mapping[str, Remote]
    headers: Mapping[str, str] = field(default_factory=dict)


def run(params: Params) -> None:
    """Make `base.path` from the first source that has the base; verify it if it is there already.

    Notes the SHA-256 of every file in `base.lock` where none is known for the source. Raises LaureateError,
    one sentence: what every source said, or what is wrong with the base that one of them gave.
    """
    given, path = params.base, Path(params.base.path)
    if path.is_dir():
        found = base_model.expected(given)
        key = (
            json.loads((path / base_model.ORIGIN).read_text())["name"]
            if (path / base_model.ORIGIN).is_file()
            else None
        )
        note(given.lock, key or f"folder {given.path}", found)
        print(f"{path} is there: {found.source}, {found.prediction}, fingerprint {found.fingerprint[:12]}")
        return
    said = []
    for source in given.sources:
        try:
            found = obtain(source, given)
        except Unavailable as error:
            said.append(f"{source.name}: {error}")
            continue
        print(f"{path} made from {found.source}: {found.prediction}, fingerprint {found.fingerprint[:12]}")
        return
    raise LaureateError(f"no source of base.sources gives {path}; " + "; ".join(said))


def obtain(source: Source, given: Base) -> base_model.Base:
    """Make `given.path` from one source, checked against the lock; the folder appears when all is well.

    Raises Unavailable if the source does not have it or cannot be reached, LaureateError if what it has
    is not the base that is meant.
    """
    noted = base_model.read_lock(given.lock).get(source.name, {})
    downloads = Path(given.downloads) / re.sub(r"\W+", "-", source.name)
    revision = None
    with fresh_folder(given.path) as aside:
        if source.kind == "folder":
            _link(Path(str(source.folder)), aside)
        elif source.kind == "file":
            from laureate.networks.sources import checkpoint_conversion

            checkpoint_conversion.convert(
                Path(str(source.file)), str(source.layout), Path(str(source.tokenizer)), aside
            )
        else:
            lists = {"hub": hub, "modelscope": modelscope}[source.kind]
            listing = lists(source, noted.get("revision") or str(source.revision))
            revision = listing.commit
            _receive(listing, source, given, downloads)
            _link(downloads, aside)
        spoken = source.name + (f" at {revision}" if revision else "")
        write_json(aside / base_model.ORIGIN, {"name": source.name, "source": spoken})
        try:
            found = base_model.find(aside)
            base_model.check_prediction(found, given)
            base_model.check_lock(found, given.lock, source.name)
        except LaureateError as error:
            raise type(error)(str(error).replace(str(aside), spoken)) from None
    shutil.rmtree(downloads, ignore_errors=True)
    found = base_model.find(given.path)
    note(given.lock, source.name, found, revision)
    return found


def note(lock: str, name: str, found: base_model.Base, revision: str | None = None) -> None:
    """Put the files of a base into the lock under the name of its source, unless they are there."""
    noted = base_model.read_lock(lock)
    if name not in noted:
        entry = {"files": dict(found.files), "prediction": found.prediction, "revision": revision}
        write_json(lock, {**noted, name: entry})
        print(f"the SHA-256 of {len(found.files)} files noted in {lock}: put it under version control")


def hub(source: Source, revision: str) -> Listing:
    """The files of a repository of the Hugging Face hub. The token is the hub library's, or HF_TOKEN.

    Raises Unavailable: no such repository or revision, no leave to read it, no connection.
    """
    import httpx2 as httpx
    from huggingface_hub import HfApi, errors
    from huggingface_hub.utils import build_hf_headers

    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    name = str(source.hub)
    try:
        info = HfApi(endpoint=endpoint).model_info(name, revision=revision, files_metadata=True, timeout=30)
    except errors.GatedRepoError:
        raise Unavailable(
            f"{endpoint} keeps {name} behind a licence: accept it on its page and set HF_TOKEN"
        ) from None
    except errors.RepositoryNotFoundError as error:
        status = error.response.status_code
        raise Unavailable(
            f"{endpoint} answers {status} for {name}: it was deleted, is private or is misspelled; name "
            f"another source in base.sources{', or set HF_TOKEN if it is yours' if status == 401 else ''}"
        ) from None
    except errors.RevisionNotFoundError:
        raise Unavailable(f"{name} has no revision {revision}; correct it in base.sources") from None
    except errors.OfflineModeIsEnabled:
        raise Unavailable("HF_HUB_OFFLINE is set, so the hub is not asked; unset it to fetch") from None
    except errors.HfHubHTTPError as error:
        raise Unavailable(f"{endpoint} answers {error.response.status_code} for {name}; try later") from None
    except (httpx.HTTPError, OSError) as error:
        raise _unreachable(endpoint, error) from None
    files = {
        file.rfilename: Remote(
            url=f"{endpoint}/{name}/resolve/{info.sha}/{file.rfilename}",
            promise=Promise(
                file.size, file.lfs.sha256 if file.lfs else None, None if file.lfs else file.blob_id
            ),
        )
        for file in info.siblings or []
    }
    return Listing(str(info.sha), files, build_hf_headers(library_name="laureate"))


def _unreachable(endpoint: str, error: Exception) -> Unavailable:
    reason = type(error).__name__
    return Unavailable(f"{endpoint} cannot be reached ({reason}); go online or name a folder in base.sources")


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
    except requests.RequestException as error:
        raise _unreachable(endpoint, error) from None
    try:
        rows = answer.json()["Data"]["Files"]
        files = {
            str(row["Path"]): Remote(
                url=f"{endpoint}/models/{name}/resolve/{revision}/{row['Path']}",
                promise=Promise(
                    int(row["Size"]), row["Sha256"] if re.fullmatch(r"[0-9a-f]{64}", row["Sha256"]) else None
                ),
            )
            for row in rows
            if row.get("Type") != "tree"
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Unavailable(
            f"{endpoint} answers {answer.status_code} for {name} at {revision} without a list of files: it "
            "was deleted, is private or is misspelled; name another source in base.sources"
        ) from None
    return Listing(revision, files)


def choose(names: list[str], source: Source) -> dict[str, str]:
    """Name in the base => name in the repository, for the files that a base is loaded from.

    Raises Changed if a part has no safetensors weights, or the repository no Stable Diffusion.
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
                else "half a base"
            )
            raise Changed(f"{source.name} has no {name}: {why}; name another source in base.sources")
    return chosen


def _receive(listing: Listing, source: Source, given: Base, folder: Path) -> None:
    """Fetch what a base needs into `folder`, small files first, each checked against what was promised."""
    noted = base_model.read_lock(given.lock).get(source.name, {}).get("files", {})
    if "model_index.json" in listing.files:
        _get(listing, "model_index.json", folder / "model_index.json", noted.get("model_index.json"), source)
        _renamed(base_model.check_kind, folder, source)
    chosen = choose(list(listing.files), source)
    weights = [name for name in chosen if name.endswith(".safetensors")]
    for name in chosen.keys() - weights:
        _get(listing, chosen[name], folder / name, noted.get(name), source)
    _renamed(lambda path: base_model.check_scheduler(path, given, source.name), folder, source)
    for name in weights:
        _get(listing, chosen[name], folder / name, noted.get(name), source)


def _get(listing: Listing, name: str, target: Path, noted: str | None, source: Source) -> None:
    """One file, checked against what the lock has noted and what the server promised."""
    remote = listing.files[name]
    label = f"{name} of {source.name}"
    promise = remote.promise
    if noted and promise.sha256 and noted != promise.sha256:
        raise Changed(
            f"{label} was changed on the server: it has SHA-256 {promise.sha256} now, the lock has {noted}; "
            "pin another revision or source, or remove the entry from the lock if the change is meant"
        )
    if noted:
        promise = Promise(sha256=noted, size=promise.size)
    download(remote.url, target, promise, listing.headers, label)


def _renamed(check: Callable[[Path], Any], folder: Path, source: Source) -> None:
    """Run a check; its sentence names the source and not the folder of downloads."""
    try:
        check(folder)
    except LaureateError as error:
        raise Changed(str(error).replace(str(folder), source.name)) from None


def _link(source: Path, target: Path) -> None:
    """Put the files of a base into a new folder, without copying where the file system can do without.

    Raises Unavailable if there is no such folder.
    """
    if not source.is_dir():
        raise Unavailable(f"there is no folder {source}")
    for path in sorted(source.rglob("*")):
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
