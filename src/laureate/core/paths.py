"""Paths of the files that stages exchange, relative to the project folder."""

from pathlib import Path

from laureate.core.errors import LaureateError

DATASET = Path("data/dataset")
ENCODED = Path("data/encoded.safetensors")
RECONSTRUCTED = Path("data/reconstructed")  # training portraits through the base's VAE
ADAPTERS = Path("models/lora")
CURVES = Path("metrics/train")
MACHINES = Path("metrics/machines")
CHOICES = Path("metrics/choices")  # learning rate, step and strength of every rank
SAMPLES = Path("data/samples")
PLAIN = Path("data/plain")  # pictures of prompts without the style phrase
EVIDENCE = Path("data/evidence")
EXTERNAL = Path("data/external")  # pictures of external models
COMPARISON = Path("metrics/comparison.csv")
ADVICE = Path("metrics/adviser.json")
SELECTED = Path("metrics/selected.json")
WORK = Path(".work")  # what a stage keeps for its own next run; never an output
JUDGED = WORK / "judged"  # cache of judges' outputs, which experiments and the tasks of a node share
LIVE = WORK / "live"  # what a training shows while it runs
EXPERIMENTS = (".dvc", "tmp", "exps")  # below it DVC runs experiments of its queue, in copies of the tree

# the files in one adapter's folder
ADAPTER_WEIGHTS = "pytorch_lora_weights.safetensors"  # the name that diffusers expects
ADAPTER_CONFIG = "config.json"
ADAPTER_CURVE = "curve.csv"  # the losses of an arm other than the main one
# further trainings of the same rank, each a folder of the same files, within the folder of the adapter
ARMS = Path("arms")


def shared(place: Path) -> Path:
    """A place in WORK as all experiments of a project share it: in a copy of the tree that DVC runs an
    experiment in, that of the project it was copied from; elsewhere `place` as it is."""
    parts = Path.cwd().parts
    for index in range(len(parts) - len(EXPERIMENTS)):
        if parts[index : index + len(EXPERIMENTS)] == EXPERIMENTS:
            return Path(*parts[:index]) / place
    return place


def adapter_folder(rank: int) -> Path:
    """The folder of one adapter: models/lora/rank-N."""
    return ADAPTERS / f"rank-{rank}"


def snapshot_folder(arm: Path, step: int) -> Path:
    """The weights after some steps, within the folder of an arm: step-80."""
    return arm / f"step-{step}"


def curve_file(rank: int) -> Path:
    """The losses of one training: metrics/train/rank-N.csv."""
    return CURVES / f"rank-{rank}.csv"


def machine_file(rank: int) -> Path:
    """metrics/machines/rank-N.json: where the adapter was trained, with which precision, and at what cost."""
    return MACHINES / f"rank-{rank}.json"


def choice_file(rank: int) -> Path:
    """metrics/choices/rank-N.json: the learning rate, step and strength that a rank is drawn with."""
    return CHOICES / f"rank-{rank}.json"


def in_home(path: str | Path) -> Path:
    """A path with the home folder in place of `~` or `~NAME`. Raises LaureateError for a user who is none."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise LaureateError(f"{path}: this machine has no user of that name; write the whole path") from None
