"""Write a mended copy of a user's image folder: usable pictures, and one table of their captions."""

import hashlib
import io
from pathlib import Path

from laureate.core.errors import LaureateError
from laureate.core.files import fresh_folder, write_bytes
from laureate.dataset import user_folder
from laureate.dataset.captions import Captions
from laureate.dataset.user_folder import Folder, shown
from laureate.formats import imagefolder
from laureate.formats.file_names import normalized
from laureate.imaging.blank import blankness
from laureate.imaging.image_io import FORMATS, MEGAPIXELS, ImageInfo, PictureError, examine, square
from laureate.imaging.near_duplicates import Hash, distance, perceptual_hash


def write(
    there: Folder, found: Captions, out: Path, near: float = 0.1, megapixels: float = MEGAPIXELS
) -> list[str]:
    """Write the new folder `out` => one line per correction. The folder itself is only read.

    Pictures that need no correction keep their bytes, others become PNG. Pictures that cannot be decoded,
    blank ones, and those that an earlier one repeats or nearly repeats are left out. All lie in one folder,
    with their captions in metadata.jsonl. Raises LaureateError when `out` exists or lies in the folder, and
    when no picture is left.
    """
    if out.exists() or out.is_symlink():
        raise LaureateError(f"{out} exists: name a new folder for the mended copy")
    if out.resolve().is_relative_to(there.path.resolve()):
        raise LaureateError(f"{out} lies in {there.path}: name a folder outside of it for the mended copy")
    changes: list[str] = []
    rows: list[dict[str, object]] = []
    seen: dict[str, str] = {}  # sha256 => where it was first
    hashes: dict[str, Hash] = {}
    names: set[str] = set()
    with fresh_folder(out) as folder:
        for path in there.pictures:
            where = shown(path, there.path)
            try:
                data = path.read_bytes()
                info, picture = examine(data, megapixels)
            except (OSError, PictureError) as error:
                changes.append(f"{where}: left out: {error}")
                continue
            why = blankness(picture) or blankness(square(picture))
            bits = perceptual_hash(picture)
            first = seen.get(hashlib.sha256(data).hexdigest())
            twin = first or next(
                (name for name, other in hashes.items() if distance(bits, other) <= near), ""
            )
            if why or twin:
                reason = f"it is blank: it {why}" if why else f"nearly the same picture as {twin}"
                changes.append(f"{where}: left out: {reason}")
                continue
            seen[hashlib.sha256(data).hexdigest()] = where
            hashes[where] = bits
            if _odd(info):
                buffer = io.BytesIO()
                picture.save(buffer, "PNG")
                data, suffix = buffer.getvalue(), "png"
                changes.append(f"{where}: saved as PNG, RGB, upright, with 8 bits a channel")
            else:
                suffix = FORMATS[info.format]
            name = _free(user_folder.name_of(path.relative_to(there.path).as_posix()), names)
            write_bytes(folder / f"{name}.{suffix}", data)
            caption = found.by_picture[path]
            if f"{name}.{suffix}" != where:
                changes.append(f"{where}: now {name}.{suffix}")
            if caption.text is not None and caption.text.strip():
                about = user_folder.about(caption.row or {})
                rows.append({"file_name": f"{name}.{suffix}", "text": caption.text, **about})
        if not names:
            raise LaureateError(f"{there.path} has no picture that can be used; `laureate doctor` says why")
        if rows:
            imagefolder.write_metadata(folder, rows)
    return changes


def _odd(info: ImageInfo) -> bool:
    """Whether a picture is saved anew, so that every program sees the same."""
    return bool(info.turned or info.notes or info.frames > 1 or info.mode not in ("RGB", "L"))


def _free(name: str, taken: set[str]) -> str:
    """A printable name that no other picture has, on file systems that ignore case too."""
    name = "".join(c if c.isprintable() and c not in '<>:"|?*\\' else "_" for c in normalized(name))
    found, number = name, 2
    while found.casefold() in taken:
        found, number = f"{name}-{number}", number + 1
    taken.add(found.casefold())
    return found
