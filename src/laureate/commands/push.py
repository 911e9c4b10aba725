"""`laureate push`: upload an adapter and its card to a model hub. Nothing is sent without `--yes`."""

from __future__ import annotations

from pathlib import Path

from laureate.commands import card
from laureate.config.params import Params
from laureate.core import network, secrets
from laureate.core.errors import LaureateError
from laureate.core.paths import ADAPTERS
from laureate.networks.lora import adapter_config

TOKEN_VARIABLE = "HF_TOKEN"


def run(
    params: Params,
    rank: int,
    repo: str,
    rights: str = "",
    yes: bool = False,
    public: bool = False,
    arm: str | None = None,
    step: int | None = None,
    strength: float | None = None,
) -> None:
    """exports/rank-N => the hub's repository `repo` (OWNER/NAME), made private where it does not exist.

    `arm`, `step` and `strength`: see `adapter_choice.choose`. Without `yes` it prints what would be sent, and
    sends nothing. Raises LaureateError for training pictures that are not the project's own work unless
    `rights` says who allows their use, for a missing token, and for any answer of the hub but success.
    """
    config = adapter_config.read(ADAPTERS / f"rank-{rank}")
    hosts = card.sources(config["dataset"])
    if not card.is_own_work(hosts) and not rights.strip():
        where = f"pictures from {', '.join(sorted(hosts))}" if hosts else "pictures of unknown source"
        raise LaureateError(
            f"rank-{rank} was trained on {where}, whose rights are not ours: nothing is sent; "
            'if you hold them, say so with --rights "WHO ALLOWS IT"'
        )
    folder = card.run(params, rank, rights, arm, step, strength)
    files = sorted(path for path in folder.iterdir() if path.is_file())
    print("\n".join(f"  {path.stat().st_size:>12,}  {path.name}" for path in files))
    kind = "public" if public else "private"
    if not yes:
        print(f"would go to {repo}, {kind} if it is new; add --yes to send it")
        return
    print(f"sent to {upload(folder, repo, public)}")


def upload(folder: Path, repo: str, public: bool) -> str:
    """Create the repository if it does not exist, upload the folder as one commit => the commit's address."""
    token = secrets.from_environment(TOKEN_VARIABLE)
    if token is None:
        raise LaureateError(
            f"the environment has no {TOKEN_VARIABLE}; it must hold a token that may write to {repo}"
        )
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    api = HfApi(token=token.reveal(), library_name="laureate")
    try:
        api.create_repo(repo, private=not public, exist_ok=True)
        commit = api.upload_folder(repo_id=repo, folder_path=folder, commit_message=f"laureate {folder.name}")
    except HFValidationError as error:
        raise LaureateError(f"--repo {repo}: {network.short(error)}") from None
    except OfflineModeIsEnabled:
        raise LaureateError("HF_HUB_OFFLINE is set, so nothing can be sent; unset it") from None
    except HfHubHTTPError as error:
        raise LaureateError(
            f"the hub did not take {repo}: {network.short(error)}; nothing may be complete"
        ) from None
    except network.errors() as error:
        raise LaureateError(
            f"the hub did not take {repo}: {network.reason(error)}; nothing may be complete"
        ) from None
    return str(commit.commit_url)
