"""`laureate push`: an adapter with its card to a hub of models. Nothing is sent without `--yes`."""

from __future__ import annotations

import json
import os
from pathlib import Path

from laureate.commands import card
from laureate.config.params import Params
from laureate.core.errors import LaureateError
from laureate.core.paths import ADAPTERS

TOKEN = "HF_TOKEN"  # environment


def run(
    params: Params, rank: int, repo: str, rights: str = "", yes: bool = False, public: bool = False
) -> None:
    """exports/rank-N => the hub's repository `repo` (OWNER/NAME), made private where it does not exist.

    Without `yes` it says what would be sent, and sends nothing. Raises LaureateError for pictures that are
    not the project's own as long as `rights` does not say who allows it, for a missing token, and for
    whatever the hub answers but success.
    """
    config = _config(ADAPTERS / f"rank-{rank}" / "config.json")
    hosts = card.sources(config.get("dataset"))
    if not card.is_free(hosts) and not rights.strip():
        where = f"pictures from {', '.join(sorted(hosts))}" if hosts else "pictures of unknown source"
        raise LaureateError(
            f"rank-{rank} was trained on {where}, whose rights are not ours: nothing is sent; "
            'if you hold them, say so with --rights "WHO ALLOWS IT"'
        )
    folder = card.run(params, rank, rights)
    files = sorted(path for path in folder.iterdir() if path.is_file())
    print("\n".join(f"  {path.stat().st_size:>12,}  {path.name}" for path in files))
    kind = "public" if public else "private"
    if not yes:
        print(f"would go to {repo}, {kind} if it is new; add --yes to send it")
        return
    print(f"sent to {upload(folder, repo, public)}")


def upload(folder: Path, repo: str, public: bool) -> str:
    """Make the repository if need be and put the folder's files into one commit => its address."""
    token = os.environ.get(TOKEN)
    if not token:
        raise LaureateError(f"the environment has no {TOKEN}; it must hold a token that may write to {repo}")
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    api = HfApi(token=token, library_name="laureate")
    try:
        api.create_repo(repo, private=not public, exist_ok=True)
        commit = api.upload_folder(repo_id=repo, folder_path=folder, commit_message=f"laureate {folder.name}")
    except HFValidationError as error:
        raise LaureateError(f"--repo {repo}: {_short(error)}") from None
    except OfflineModeIsEnabled:
        raise LaureateError("HF_HUB_OFFLINE is set, so nothing can be sent; unset it") from None
    except (HfHubHTTPError, OSError) as error:
        raise LaureateError(
            f"the hub did not take {repo}: {_short(error)}; nothing may be complete"
        ) from None
    return str(commit.commit_url)


def _config(path: Path) -> dict[str, str]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        raise LaureateError(f"{path} is missing or damaged; run `laureate train` again") from None


def _short(error: object) -> str:
    return " ".join(str(error).split())[:300]
