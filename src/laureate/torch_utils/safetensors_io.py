"""Read and write safetensors files, with bytes that depend on names, values and metadata only.

The writer of the safetensors package orders metadata by a hash that changes with every process; this one
sorts. Reading is left to the package.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from laureate.core import os_errors
from laureate.core.errors import LaureateError
from laureate.core.files import write_bytes
from laureate.core.network import is_lfs_pointer

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    Array = np.ndarray[Any, Any]

T = TypeVar("T")
HEADER_LIMIT = 100_000_000  # bytes; the limit of the format


def dumps(tensors: Mapping[str, Tensor | Array], metadata: Mapping[str, str]) -> bytes:
    """A safetensors file as bytes: tensors of torch or NumPy in the order of their names, metadata sorted."""
    names = {
        "float32": "F32",
        "float64": "F64",
        "float16": "F16",
        "bfloat16": "BF16",
        "int32": "I32",
        "int64": "I64",
        "uint8": "U8",
    }
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))}
    parts, end = [], 0
    for name in sorted(tensors):
        tensor = tensors[name]
        data = _bytes_of(tensor)
        dtype = names[str(tensor.dtype).removeprefix("torch.")]
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [end, end + len(data)]}
        parts.append(data)
        end += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the data must start at a multiple of eight
    return b"".join([len(text).to_bytes(8, "little"), text, *parts])


def _bytes_of(tensor: Tensor | Array) -> bytes:
    """The values in C order, little endian."""
    import numpy as np  # late: a result that is there already is taken without it

    if isinstance(tensor, np.ndarray):
        return tensor.tobytes()
    import torch

    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def save(path: str | Path, tensors: Mapping[str, Tensor | Array], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file, aside and renamed."""
    write_bytes(path, dumps(tensors, metadata))


def load(path: str | Path) -> dict[str, Tensor]:
    """Every tensor of a file, on the CPU. Raises LaureateError if it is missing or damaged."""
    from safetensors.torch import load_file

    return _loaded(path, load_file)


def load_arrays(path: str | Path) -> dict[str, Array]:
    """`load` as arrays of NumPy, without torch; bfloat16, which NumPy does not have, counts as damage."""
    from safetensors.numpy import load_file

    return _loaded(path, load_file)


def _loaded(path: str | Path, load_file: Callable[[str | Path], dict[str, T]]) -> dict[str, T]:
    from safetensors import SafetensorError

    header(path)
    try:
        return load_file(path)
    except (SafetensorError, ValueError, KeyError, RuntimeError, AttributeError) as error:
        raise LaureateError(f"{path} is damaged ({error}); make or fetch it again") from None


def metadata(path: str | Path) -> dict[str, str]:
    """The metadata in a file's header. Raises LaureateError if the file is missing or damaged."""
    found = header(path).get("__metadata__", {})
    if not isinstance(found, dict):
        raise LaureateError(f"{path} is not a safetensors file; make or fetch it again")
    return found


def header(path: str | Path) -> dict[str, Any]:
    """The header of a safetensors file, after checking that the file is as long as it says; needs no torch.

    Raises LaureateError if the file is missing, is something else, or is cut short.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > HEADER_LIMIT:
                raise ValueError
            value = json.loads(file.read(length))
        ends = [int(tensor["data_offsets"][1]) for key, tensor in value.items() if key != "__metadata__"]
    except FileNotFoundError:
        raise LaureateError(f"there is no file {path}") from None
    except OSError as error:
        raise LaureateError(os_errors.sentence(error)) from None
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
        if is_lfs_pointer(path):
            raise LaureateError(
                f"{path} is a Git LFS pointer, not the weights: run `git lfs pull` in its repository"
            ) from None
        raise LaureateError(f"{path} is not a safetensors file; make or fetch it again") from None
    size, wanted = path.stat().st_size, 8 + length + max(ends, default=0)
    if size != wanted:
        raise LaureateError(f"{path} has {size} bytes instead of {wanted}; make or fetch it again")
    return dict(value)
