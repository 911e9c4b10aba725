"""The form of POST /v1/images/edits: read from a multipart body in memory, checked, drawn by img2img.

OpenAI's words (image, prompt, model, n, size), and as additions `strength`, `seed`, `start` and `background`.
A photo is held in memory while it is drawn from, and nowhere else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from laureate.core.errors import LaureateError
from laureate.img2img import photo as photos
from laureate.img2img.pipeline import STRENGTHS

if TYPE_CHECKING:
    from laureate.img2img.generator import Portrait, PortraitGenerator

MOST, LONGEST, FIELDS = 4, 2000, 30  # pictures a request, letters of a prompt, fields of a form


class BadForm(Exception):
    """What the client can put right: a sentence, the API's code, the field, and the HTTP status."""

    def __init__(self, message: str, code: str, param: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.message, self.code, self.param, self.status = message, code, param, status


class Edit(BaseModel):
    """The fields beside the photo; further words of the API are read over, as other servers do."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    prompt: str | None = Field(None, max_length=LONGEST)  # none or empty: the captioner writes one
    model: str | None = None  # none: the study's selected adapter
    n: int = Field(1, ge=1, le=MOST)
    size: str = Field("auto", pattern=r"^([0-9]{1,5}x[0-9]{1,5}|auto)$")
    strength: float | None = Field(None, gt=0, le=1)  # none: what suits `start`
    start: photos.Start = "ink"
    seed: int | None = Field(None, ge=0, lt=2**32)
    background: Literal["paper", "keep", "auto", "opaque"] = "paper"  # auto, opaque: paper
    response_format: Literal["b64_json"] = "b64_json"
    output_format: Literal["png"] = "png"
    stream: Literal["false", "False"] = "false"


async def read(headers: Any, stream: AsyncIterator[bytes], megabytes: float) -> tuple[bytes, Edit]:
    """The photo and the other fields of a multipart body, which never touches a disk.

    Raises BadForm: no multipart body, one larger than `megabytes`, no photo or several, a mask, a bad field.
    """
    from starlette.formparsers import MultiPartException, MultiPartParser

    class InMemory(MultiPartParser):
        spool_max_size = 2**62  # else a photo of more than a megabyte would go into a temporary file

    if not headers.get("content-type", "").startswith("multipart/form-data"):
        raise BadForm("the body must be multipart/form-data with the photo as `image`", "invalid_body")
    parser = InMemory(headers, _limited(stream, megabytes), max_files=2, max_fields=FIELDS)  # type: ignore[arg-type]
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise BadForm(f"the form cannot be read: {error.message}", "invalid_body") from None
    try:
        found = [(name, value) for name, value in form.multi_items() if not isinstance(value, str)]
        if any(name == "mask" for name, _ in found):
            raise BadForm("masks are not supported here: leave `mask` out", "unsupported_parameter", "mask")
        images = [value for name, value in found if name in ("image", "image[]")]
        if len(images) != 1:
            raise BadForm(f"send one photo as `image`, got {len(images)}", "invalid_value", "image")
        data = await images[0].read()
    finally:
        await form.close()
        for part in getattr(parser, "_files_to_close_on_error", ()):  # a photo that was cut off is in no form
            part.close()
    fields = {name: value for name, value in form.multi_items() if isinstance(value, str)}
    return data, _checked(fields)


def draw(generator: PortraitGenerator, data: bytes, edit: Edit, side: int, first: int) -> list[Portrait]:
    """Portraits of `side` x `side` pixels with the seeds from `first` on.

    Raises BadForm for a photo that cannot be used and a strength that leaves no step, LaureateError for what
    the server's side has to put right.
    """
    background: photos.Background = "keep" if edit.background == "keep" else "paper"
    params, sheet = generator.params, generator.paper_colour
    try:
        given = {"strength": STRENGTHS[edit.start] if edit.strength is None else edit.strength}
        generator.settings("not known yet", **given)
        options: dict[str, Any] = {"background": background, "ink": edit.start == "ink"}
        photo = photos.load(data, params.prepare, side, params.crawl.megapixels, sheet, **options)
    except LaureateError as error:
        param = "strength" if "strength" in str(error) else "image"
        raise BadForm(str(error), "invalid_value", param) from None
    prompt = (edit.prompt or "").strip() or generator.caption(photo)
    seeds = [(first + index) % 2**32 for index in range(edit.n)]
    model = edit.model or generator.default
    return generator.draw(photo, model, generator.settings(prompt, **given), seeds)


async def _limited(stream: AsyncIterator[bytes], megabytes: float) -> AsyncIterator[bytes]:
    """`stream`, cut off with BadForm when it is longer than `megabytes`."""
    size = 0
    async for chunk in stream:
        size += len(chunk)
        if size > megabytes * 1e6:
            raise BadForm(f"the body has more than {megabytes:g} MB", "too_large", "image", 413)
        yield chunk


def _checked(fields: Mapping[str, str]) -> Edit:
    try:
        return Edit.model_validate(dict(fields))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise BadForm(f"{name}: {first['msg']}", "invalid_value", name) from None
