"""Read and write the manifest of one model's samples: data/samples/MODEL/manifest.json."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

from laureate.core.errors import LaureateError
from laureate.core.files import write_json
from laureate.core.paths import SAMPLES
from laureate.formats.picture_manifest import MANIFEST, Row, checked_rows, read_object

KEYS = {"file": str, "prompt": str, "text": str, "seed": int}


@dataclass(frozen=True)
class Samples:
    """What one model drew, and with which files and settings."""

    model: str
    base: str  # fingerprint of the base
    pictures: list[Row]  # file, prompt (an id), text, seed; but of the base `training`, a training seed
    base_source: str | None = None  # where the base came from, in words
    adapter: str | None = None  # SHA-256 of the main arm's weights; None for the base alone
    adapters: Row = field(default_factory=dict)  # training seed (as text) => SHA-256 of its adapter's weights
    settings: Row = field(default_factory=dict)  # `sample` of params.yaml, precision and resolution resolved


def write(folder: Path, samples: Samples) -> None:
    """Write `folder`/manifest.json."""
    write_json(folder / MANIFEST, asdict(samples))


def path_of(model: str, place: Path = SAMPLES) -> Path:
    """data/samples/MODEL/manifest.json; or that in another place, such as `paths.PLAIN`."""
    return place / model / MANIFEST


def read(model: str, place: Path = SAMPLES) -> Samples:
    """The manifest of a model in `place`, checked row by row.

    Raises LaureateError naming file and row: no manifest, not JSON, no base, a row without file, prompt, text
    or seed, a file that is not there, a picture twice. An empty list of pictures is returned as it is.
    """
    path, again = path_of(model, place), f"run `laureate sample --model {model}`"
    manifest = read_object(path, f"{again} first")
    if not isinstance(manifest.get("base"), str):
        raise LaureateError(f"{path} does not say which base drew the pictures; {again} again")
    try:
        rows = [row for _, row in checked_rows(path, manifest["pictures"], KEYS)]
    except LaureateError as error:
        raise LaureateError(f"{error}; {again} again") from None
    given = {
        key: manifest[key] for key in ("base_source", "adapter", "adapters", "settings") if key in manifest
    }
    return Samples(model, manifest["base"], rows, **given)
