"""Prompt, seed and settings of a ComfyUI picture, traced through the graph that its PNG carries.

`prompt` is the graph as it ran: node id => {class_type, inputs}, where an input is a value or a link
[node id, output]. `workflow` is the same as the editor shows it, with values in `widgets_values`; it is used
where `prompt` is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Setting = str | int | float
Node = dict[str, Any]
Graph = Mapping[str, Node]

TEXTS = ("text", "text_g", "text_l", "clip_l", "t5xxl", "prompt")  # inputs of text encoders
VALUES = (
    "value",
    "seed",
    "noise_seed",
    "int",
    "number",
    "text",
    "string",
    "string_a",
    "prompt",
)  # of a primitive
CONDITIONS = ("positive", "conditioning", "conditioning_1", "conditioning_2", "conditioning_to", "guider")
SETTINGS = {  # input of a sampler, or of a node that feeds it => setting
    "steps": "steps", "cfg": "cfg_scale", "sampler_name": "sampler", "scheduler": "scheduler",
    "denoise": "denoise", "ckpt_name": "model", "unet_name": "model", "guidance": "guidance",
}  # fmt: skip
WIDGETS = {  # node of the editor => its inputs in the order of widgets_values; "" is no input
    "KSampler": ("seed", "", "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    "KSamplerAdvanced": ("add_noise", "noise_seed", "", "steps", "cfg", "sampler_name", "scheduler"),
    "CLIPTextEncode": ("text",),
    "CheckpointLoaderSimple": ("ckpt_name",),
    "UNETLoader": ("unet_name",),
    "LoraLoader": ("lora_name", "strength_model", "strength_clip"),
    "LoraLoaderModelOnly": ("lora_name", "strength_model"),
    "RandomNoise": ("noise_seed",),
    "BasicScheduler": ("scheduler", "steps", "denoise"),
    "KSamplerSelect": ("sampler_name",),
    "FluxGuidance": ("guidance",),
    "PrimitiveNode": ("value",),
}


def read(prompt: Any, workflow: Any) -> tuple[str | None, object, dict[str, Setting]]:
    """(prompt, seed, settings) of the first sampler: the one into which no other sampler's picture goes."""
    graph = {str(key): node for key, node in (prompt or {}).items() if _is_node(node)}
    if not graph:
        graph = of_workflow(workflow or {})
    samplers = [
        key for key, node in graph.items() if _seed_link(graph, node) is not None and _is_sampler(node)
    ]
    first = next((key for key in samplers if not set(samplers) & set(_upstream(graph, key, "latent"))), None)
    if first is None:
        return None, None, {}
    settings: dict[str, Setting] = {}
    loras: list[tuple[str, Setting]] = []
    for key in [first, *_upstream(graph, first)]:
        node = graph[key]
        for name, setting in SETTINGS.items():
            value = _value(graph, node["inputs"].get(name))
            if isinstance(value, (str, int, float)) and not isinstance(value, bool):
                settings.setdefault(setting, value)
        weight = _value(graph, node["inputs"].get("strength_model"))
        if "lora_name" in node["inputs"] and isinstance(weight, (int, float)):
            loras.append((str(_value(graph, node["inputs"]["lora_name"])), weight))
    for index, (name, weight) in enumerate(loras):
        alone = len(loras) == 1
        settings["lora" if alone else f"lora {index + 1}"] = name
        settings["lora_weight" if alone else f"lora_weight of {name}"] = weight
    texts = list(dict.fromkeys(_texts(graph, graph[first], set())))
    return "\n".join(texts) or None, _seed_link(graph, graph[first]), settings


def of_workflow(workflow: Mapping[str, Any]) -> dict[str, Node]:
    """The editor's graph in the form of the one that ran; nodes of unknown classes keep their links only."""
    nodes, links = workflow.get("nodes"), workflow.get("links")
    sources = {}
    for link in links if isinstance(links, list) else []:
        if isinstance(link, list) and len(link) >= 3:
            sources[link[0]] = [str(link[1]), link[2]]
        elif isinstance(link, dict):  # since version 1 of the form
            sources[link.get("id")] = [str(link.get("origin_id")), link.get("origin_slot")]
    graph = {}
    for node in nodes if isinstance(nodes, list) else []:
        if not isinstance(node, dict) or node.get("mode") in (2, 4):  # muted, bypassed
            continue
        inputs: dict[str, Any] = {}
        values = node.get("widgets_values")
        if isinstance(values, dict):
            inputs |= values
        elif isinstance(values, list):
            names = WIDGETS.get(str(node.get("type")), ())
            inputs |= {name: value for name, value in zip(names, values, strict=False) if name}
        for entry in node.get("inputs") or []:
            if isinstance(entry, dict) and entry.get("link") in sources:
                inputs[str(entry.get("name"))] = sources[entry["link"]]
        graph[str(node.get("id"))] = {"class_type": str(node.get("type")), "inputs": inputs}
    return graph


def _is_node(node: object) -> bool:
    return isinstance(node, dict) and isinstance(node.get("inputs"), dict)


def _is_sampler(node: Node) -> bool:
    return "positive" in node["inputs"] or "guider" in node["inputs"]


def _seed_link(graph: Graph, node: Node) -> object:
    """The seed of a sampler: its own, or that of the noise it is given."""
    inputs = node["inputs"]
    for name in ("seed", "noise_seed"):
        if name in inputs:
            return _value(graph, inputs[name])
    noise = _linked(graph, inputs.get("noise"))
    return None if noise is None else _value(graph, noise["inputs"].get("noise_seed"))


def _linked(graph: Graph, value: object) -> Node | None:
    """The node at the other end of a link; None where `value` is no link."""
    if isinstance(value, list) and len(value) == 2 and str(value[0]) in graph:
        return graph[str(value[0])]
    return None


def _value(graph: Graph, value: object, depth: int = 8) -> object:
    """A value, or what the primitive at the other end of a link holds."""
    node = _linked(graph, value)
    if node is None:
        return None if isinstance(value, (list, dict)) else value
    for name in VALUES if depth else ():
        if name in node["inputs"]:
            return _value(graph, node["inputs"][name], depth - 1)
    return None


def _texts(graph: Graph, node: Node, seen: set[int]) -> Iterator[str]:
    """Texts that a sampler is conditioned on, in the order of the links."""
    if id(node) in seen:
        return
    seen.add(id(node))
    inputs = node["inputs"]
    if "positive" not in inputs and "guider" not in inputs:
        for name in TEXTS:
            text = _value(graph, inputs.get(name))
            if isinstance(text, str) and text.strip():
                yield text
    for name in CONDITIONS:
        linked = _linked(graph, inputs.get(name))
        if linked is not None:
            yield from _texts(graph, linked, seen)


def _upstream(graph: Graph, key: str, through: str = "") -> list[str]:
    """Nodes that feed a node, nearest first; `through`: only by inputs whose name contains it."""
    found: list[str] = []
    waiting = [key]
    while waiting:
        current = waiting.pop(0)
        for name, value in graph[current]["inputs"].items():
            if (current == key and through not in name) or _linked(graph, value) is None:
                continue
            other = str(value[0])
            if other != key and other not in found:
                found.append(other)
                waiting.append(other)
    return found
