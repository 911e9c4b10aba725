"""How a picture was made: prompt, seed and settings from tables, PNG text and file names. Pure functions.

Read are our `manifest.json`, `metadata.jsonl`, the PNG text of A1111 and Forge (`parameters`), ComfyUI
(`prompt`, `workflow`; see `comfyui_graph`) and InvokeAI (`invokeai_metadata`, before that `sd-metadata`), and
names of the form PROMPT_SEED. What cannot be read is not known; nothing here raises for a strange file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any

from laureate.formats import comfyui_graph

Setting = str | int | float
FILES = ("file_name", "file", "image", "path")  # columns of a table that name the picture,
PROMPTS = ("text", "prompt", "caption", "cap")  # and its prompt; the first that is there
NOT_SETTINGS = frozenset({*FILES, *PROMPTS, "seed", "sha256", "negative_prompt"})

_PAIR = re.compile(
    r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)'
)  # "Steps: 20, Sampler: …" of A1111
_LORA = re.compile(r"<(?:lora|lyco):([^:>]+)(?::([-+\d.eE]+))?[^>]*>")
_NAMED = re.compile(r"(.*[^\d_])_(0|[1-9]\d*)")  # PROMPT_SEED; 00012 is a counter


@dataclass(frozen=True)
class Generation:
    """How one picture was made, as far as it is known."""

    prompt: str | None = None  # without LoRA tags, blanks collapsed: the same for models of one prompt
    seed: int | None = None
    settings: Mapping[str, Setting] = field(default_factory=dict)  # steps, cfg_scale, sampler, lora_weight, …

    def or_else(self, other: Generation) -> Generation:
        """This, with what it does not know taken from `other`."""
        return Generation(
            other.prompt if self.prompt is None else self.prompt,
            other.seed if self.seed is None else self.seed,
            {**other.settings, **self.settings},
        )


def of_picture(name: str, png_text: Mapping[str, str], row: Mapping[str, Any] | None = None) -> Generation:
    """What is known of a picture: its row in a table first, then its PNG text, then its name."""
    known = of_row(row) if row is not None else Generation()
    return known.or_else(of_png_text(png_text)).or_else(of_file_name(name))


def of_png_text(text: Mapping[str, str]) -> Generation:
    """From the text chunks of a PNG file, keyword => text."""
    if "invokeai_metadata" in text or "sd-metadata" in text:
        return of_invokeai(text)
    if "parameters" in text:
        return of_infotext(text["parameters"])
    if "prompt" in text or "workflow" in text:
        prompt, seed, settings = comfyui_graph.read(
            _object(text.get("prompt")), _object(text.get("workflow"))
        )
        return Generation(plain(prompt), _whole(seed), settings)
    return Generation()


def of_infotext(text: str) -> Generation:
    """From the text that A1111 and Forge write: prompt, "Negative prompt: …", "Steps: 20, Sampler: …".

    A last line with fewer than three pairs belongs to the prompt, as A1111 reads it.
    """
    *lines, last = text.strip().split("\n")
    pairs = _PAIR.findall(last)
    if len(pairs) < 3:
        lines, pairs = [*lines, last], []
    prompt = []
    for line in lines:
        if line.strip().startswith("Negative prompt:"):
            break
        prompt.append(line.strip())
    settings: dict[str, Setting] = {}
    for key, value in pairs:
        settings[key.strip().lower().replace(" ", "_")] = number(_unquoted(value.strip()))
    seed = settings.pop("seed", None)
    words, loras = without_loras("\n".join(prompt))
    return Generation(plain(words), _whole(seed), settings | lora_settings(loras))


def of_invokeai(text: Mapping[str, str]) -> Generation:
    """From InvokeAI's `invokeai_metadata` (version 3 on), or its older `sd-metadata`."""
    about = _object(text.get("invokeai_metadata"))
    if about is None:
        image = (_object(text.get("sd-metadata")) or {}).get("image")
        about = dict(image) if isinstance(image, dict) else {}
        prompt = about.pop("prompt", None)
        if isinstance(prompt, list):
            prompt = " ".join(
                str(part["prompt"]) for part in prompt if isinstance(part, dict) and "prompt" in part
            )
        about["positive_prompt"] = prompt
    settings: dict[str, Setting] = {
        key: value
        for key, value in about.items()
        if isinstance(value, (str, int, float)) and not isinstance(value, bool)
        and key not in ("positive_prompt", "negative_prompt", "seed")
    }  # fmt: skip
    if isinstance(about.get("model"), dict):
        settings["model"] = _name_of(about["model"])
    loras = []
    entries = about.get("loras")
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict):
            lora = entry.get("model") or entry.get("lora")
            weight = number(str(entry.get("weight", 1)))
            loras.append((_name_of(lora) if isinstance(lora, dict) else str(lora), weight))
    prompt = about.get("positive_prompt")
    found = Generation(None, _whole(about.get("seed")), settings | lora_settings(loras))
    return replace(found, prompt=plain(prompt) if isinstance(prompt, str) else None)


def of_row(row: Mapping[str, Any]) -> Generation:
    """From a row of metadata.jsonl or of our manifest: prompt, seed, and every other plain value."""
    prompt = next((row[key] for key in PROMPTS if isinstance(row.get(key), str)), None)
    settings = {
        key: value
        for key, value in row.items()
        if key not in NOT_SETTINGS and isinstance(value, (str, int, float)) and not isinstance(value, bool)
    }
    words, loras = without_loras(prompt or "")
    return Generation(plain(words), _whole(row.get("seed")), lora_settings(loras) | settings)


def of_file_name(name: str) -> Generation:
    """From PROMPT_SEED.png, as `laureate sample` names its pictures; a number that starts with 0 is none."""
    match = _NAMED.fullmatch(PurePath(name).stem)
    return Generation(plain(match[1]), int(match[2])) if match else Generation()


def table(text: str, manifest: bool = False) -> list[dict[str, Any]]:
    """Rows of a metadata.jsonl, or of a manifest.json, that name a file; others are left out.

    Each row has `file_name`, whatever its column was called.
    """
    rows: list[Any] = []
    if manifest:
        pictures = (_object(text) or {}).get("pictures")
        rows = pictures if isinstance(pictures, list) else []
    else:
        rows = [_object(line) for line in text.splitlines() if line.strip()]
    found = []
    for row in rows:
        name = (
            next((row[key] for key in FILES if isinstance(row.get(key), str)), None)
            if isinstance(row, dict)
            else None
        )
        if name is not None:
            found.append({**row, "file_name": name})
    return found


def without_loras(prompt: str) -> tuple[str, list[tuple[str, Setting]]]:
    """A prompt without its tags such as <lora:NAME:0.8>, and what they say: (name, weight)."""
    loras = [(match[1], number(match[2] or "1")) for match in _LORA.finditer(prompt)]
    return (re.sub(r"\s*,(?:\s*,)*", ",", _LORA.sub("", prompt)).strip(" ,") if loras else prompt), loras


def lora_settings(loras: list[tuple[str, Setting]]) -> dict[str, Setting]:
    """`lora` and `lora_weight` of the one adapter; of several, their names and weights side by side."""
    if not loras:
        return {}
    if len(loras) == 1:
        return {"lora": loras[0][0], "lora_weight": loras[0][1]}
    joined = {
        key: " + ".join(str(part[i]) for part in loras) for i, key in enumerate(("lora", "lora_weight"))
    }
    return {**joined, **{f"lora_weight of {name}": weight for name, weight in loras}}


def plain(prompt: str | None) -> str | None:
    """A prompt with its blanks collapsed; None for none."""
    words = " ".join((prompt or "").split())
    return words or None


def number(text: str) -> Setting:
    """ "20" => 20, "0.8" => 0.8, anything else stays a text."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        value = float(text)
    except ValueError:
        return text
    return value if value == value and abs(value) != float("inf") else text


def _object(text: str | None) -> dict[str, Any] | None:
    """The JSON object in a text; None where there is none."""
    try:
        value = json.loads(text or "")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] == '"':
        try:
            return str(json.loads(value))
        except ValueError:
            return value
    return value


def _whole(value: object) -> int | None:
    """A seed: a whole number, or a text of one."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,20}", value):
        return int(value)
    return value if isinstance(value, int) else None


def _name_of(model: Mapping[str, Any]) -> str:
    """The name of a model in InvokeAI's words: `name` since version 4, `model_name` in version 3."""
    return str(model.get("name") or model.get("model_name") or "")
