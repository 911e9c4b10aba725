"""Prompt, seed and settings from what A1111, ComfyUI and InvokeAI write, from tables and from names."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from laureate.formats import generated_folder
from laureate.formats.generation_metadata import (
    Generation,
    of_file_name,
    of_infotext,
    of_picture,
    of_png_text,
    table,
)
from laureate.imaging import headers

# the example in the docstring of A1111's parse_generation_parameters
A1111 = """girl with an artist's beret, determined, blue eyes, desert scene, computer monitors
Negative prompt: ugly, fat, obese, chubby, (((deformed))), [blurry], bad anatomy
Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 965400086, Size: 512x512, Model hash: 45dee52b"""
# as version 1.9 and Forge write it: schedule, LoRA hashes in quotes, version
WITH_LORA = """portrait of a woman <lora:nobel_ink:0.8>, scarf,
golden hour
Negative prompt: photo
Steps: 30, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, Seed: 4294967295, Size: 768x768, \
Model hash: 6ce0161689, Model: v1-5, Lora hashes: "nobel_ink: 7f6146b8a9d1, other: 12", Version: v1.9.4"""


def comfy(**changes: Any) -> dict[str, Any]:
    """ComfyUI's default workflow as it is sent to be run, with one LoRA."""
    graph = {
        "3": {
            "class_type": "KSampler",
            "inputs": {
                "seed": 156680208700286, "steps": 20, "cfg": 8, "sampler_name": "euler",
                "scheduler": "normal",
                "denoise": 1, "model": ["10", 0], "positive": ["6", 0], "negative": ["7", 0],
                "latent_image": ["5", 0],
            },
        },
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "v1-5.safetensors"}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 512, "batch_size": 1}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "beautiful scenery", "clip": ["10", 1]}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "text, watermark", "clip": ["10", 1]}},
        "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
        "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "ComfyUI", "images": ["8", 0]}},
        "10": {
            "class_type": "LoraLoader",
            "inputs": {
                "lora_name": "ink.safetensors", "strength_model": 0.6, "strength_clip": 1.0,
                "model": ["4", 0], "clip": ["4", 1],
            },
        },
    }  # fmt: skip
    return graph | changes


def workflow() -> dict[str, Any]:
    """The same as the editor saves it: values in widgets_values, links in a list of their own."""
    return {
        "last_node_id": 9, "last_link_id": 9, "version": 0.4,
        "nodes": [
            {"id": 4, "type": "CheckpointLoaderSimple", "widgets_values": ["v1-5.safetensors"], "inputs": []},
            {"id": 6, "type": "CLIPTextEncode", "widgets_values": ["beautiful scenery"],
             "inputs": [{"name": "clip", "type": "CLIP", "link": 3}]},
            {"id": 7, "type": "CLIPTextEncode", "widgets_values": ["text, watermark"],
             "inputs": [{"name": "clip", "type": "CLIP", "link": 5}]},
            {"id": 3, "type": "KSampler", "mode": 0,
             "widgets_values": [156680208700286, "randomize", 20, 8, "euler", "normal", 1],
             "inputs": [{"name": "model", "type": "MODEL", "link": 1},
                        {"name": "positive", "type": "CONDITIONING", "link": 4},
                        {"name": "negative", "type": "CONDITIONING", "link": 6}]},
        ],
        "links": [[1, 4, 0, 3, 0, "MODEL"], [3, 4, 1, 6, 0, "CLIP"], [5, 4, 1, 7, 0, "CLIP"],
                  [4, 6, 0, 3, 1, "CONDITIONING"], [6, 7, 0, 3, 2, "CONDITIONING"]],
    }  # fmt: skip


def of_comfy(graph: dict[str, Any]) -> Generation:
    return of_png_text({"prompt": json.dumps(graph)})


def test_a1111() -> None:
    found = of_png_text({"parameters": A1111})
    assert found.prompt == A1111.splitlines()[0]
    assert found.seed == 965400086
    assert found.settings == {
        "steps": 20, "sampler": "Euler a", "cfg_scale": 7, "size": "512x512", "model_hash": "45dee52b",
    }  # fmt: skip


def test_a1111_with_a_lora_in_the_prompt() -> None:
    found = of_infotext(WITH_LORA)
    assert found.prompt == "portrait of a woman, scarf, golden hour"
    assert found.seed == 4294967295
    assert (found.settings["lora"], found.settings["lora_weight"]) == ("nobel_ink", 0.8)
    assert found.settings["lora_hashes"] == "nobel_ink: 7f6146b8a9d1, other: 12"
    assert found.settings["cfg_scale"] == 6.5
    assert found.settings["version"] == "v1.9.4"


def test_the_weight_of_a_lora_is_no_part_of_the_prompt() -> None:
    """X/Y/Z over the weight: the cells must pair."""
    texts = [WITH_LORA.replace(":0.8>", f":{weight}>") for weight in ("0.2", "1", "1.4")]
    found = [of_infotext(text) for text in texts]
    assert len({one.prompt for one in found}) == 1
    assert [one.settings["lora_weight"] for one in found] == [0.2, 1, 1.4]


def test_several_loras_stand_side_by_side() -> None:
    found = of_infotext(A1111.replace("girl", "<lora:a:0.5> <lora:b> girl"))
    assert found.settings["lora_weight"] == "0.5 + 1"
    assert found.settings["lora_weight of b"] == 1
    assert found.prompt == A1111.splitlines()[0]


def test_a_prompt_without_settings_stays_a_prompt() -> None:
    assert of_infotext("a cat, sitting: alone") == Generation("a cat, sitting: alone")


def test_comfyui() -> None:
    found = of_comfy(comfy())
    assert found.prompt == "beautiful scenery"
    assert found.seed == 156680208700286
    assert found.settings == {
        "steps": 20, "cfg_scale": 8, "sampler": "euler", "scheduler": "normal", "denoise": 1,
        "model": "v1-5.safetensors", "lora": "ink.safetensors", "lora_weight": 0.6,
    }  # fmt: skip


def test_comfyui_takes_the_first_pass_where_a_second_enlarges_it() -> None:
    second = {
        "class_type": "KSampler",
        "inputs": comfy()["3"]["inputs"] | {"seed": 1, "denoise": 0.5, "latent_image": ["20", 0]},
    }
    larger = {"class_type": "LatentUpscale", "inputs": {"samples": ["3", 0], "width": 1024}}
    found = of_comfy({"2": second, **comfy(), "20": larger})
    assert found.seed == 156680208700286
    assert found.settings["denoise"] == 1


def test_comfyui_with_flux_nodes_and_primitives() -> None:
    graph = {
        "1": {"class_type": "RandomNoise", "inputs": {"noise_seed": ["9", 0]}},
        "2": {"class_type": "BasicGuider", "inputs": {"model": ["8", 0], "conditioning": ["3", 0]}},
        "3": {"class_type": "FluxGuidance", "inputs": {"guidance": 3.5, "conditioning": ["4", 0]}},
        "4": {"class_type": "CLIPTextEncode", "inputs": {"text": ["10", 0], "clip": ["7", 0]}},
        "5": {
            "class_type": "BasicScheduler",
            "inputs": {"scheduler": "simple", "steps": 28, "model": ["8", 0]},
        },
        "6": {
            "class_type": "SamplerCustomAdvanced",
            "inputs": {
                "noise": ["1", 0], "guider": ["2", 0], "sampler": ["11", 0], "sigmas": ["5", 0],
                "latent_image": ["12", 0],
            },
        },
        "7": {"class_type": "DualCLIPLoader", "inputs": {"clip_name1": "t5.safetensors", "type": "flux"}},
        "8": {"class_type": "UNETLoader", "inputs": {"unet_name": "flux1-dev.safetensors"}},
        "9": {"class_type": "PrimitiveInt", "inputs": {"value": 77}, "is_changed": [float("nan")]},
        "10": {"class_type": "PrimitiveStringMultiline", "inputs": {"value": "a\nlaureate"}},
        "11": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}},
        "12": {"class_type": "EmptySD3LatentImage", "inputs": {"width": 64, "height": 64}},
    }  # fmt: skip
    found = of_comfy(graph)
    assert (found.prompt, found.seed) == ("a laureate", 77)
    assert found.settings == {
        "guidance": 3.5, "scheduler": "simple", "steps": 28, "model": "flux1-dev.safetensors",
        "sampler": "euler",
    }  # fmt: skip


def test_comfyui_with_both_texts_of_sdxl_says_one_prompt_once() -> None:
    encoder = {
        "class_type": "CLIPTextEncodeSDXL",
        "inputs": {"text_g": "a hat", "text_l": "a hat", "clip": ["4", 1]},
    }
    assert of_comfy(comfy(**{"6": encoder})).prompt == "a hat"


def test_comfyui_follows_conditions_that_are_combined() -> None:
    both = {
        "class_type": "ConditioningCombine",
        "inputs": {"conditioning_1": ["12", 0], "conditioning_2": ["13", 0]},
    }
    parts = {
        key: {"class_type": "CLIPTextEncode", "inputs": {"text": text, "clip": ["4", 1]}}
        for key, text in (("12", "left"), ("13", "right"))
    }
    assert of_comfy(comfy(**{"6": both}, **parts)).prompt == "left right"


def test_comfyui_by_the_editors_graph_alone() -> None:
    found = of_png_text({"workflow": json.dumps(workflow())})
    assert (found.prompt, found.seed) == ("beautiful scenery", 156680208700286)
    assert found.settings["steps"] == 20
    assert found.settings["model"] == "v1-5.safetensors"


def test_a_circle_in_a_graph_ends() -> None:
    graph = comfy(**{"6": {"class_type": "X", "inputs": {"positive": ["6", 0], "conditioning": ["6", 0]}}})
    assert of_comfy(graph).seed == 156680208700286


@pytest.mark.parametrize(
    ("model", "lora"),
    [
        (
            {"key": "d1", "hash": "blake3:1", "name": "dreamshaper", "base": "sd-1", "type": "main"},
            {"model": {"key": "e2", "name": "ink", "base": "sd-1", "type": "lora"}, "weight": 0.75},
        ),
        (
            {"model_name": "dreamshaper", "base_model": "sd-1", "model_type": "main"},
            {"lora": {"model_name": "ink", "base_model": "sd-1"}, "weight": 0.75},
        ),
    ],
    ids=["version 4", "version 3"],
)
def test_invokeai(model: dict[str, str], lora: dict[str, Any]) -> None:
    about = {
        "app_version": "3.3.0post3", "generation_mode": "txt2img", "positive_prompt": "a landscape ",
        "negative_prompt": "low quality", "width": 768, "height": 432, "seed": 356120443,
        "rand_device": "cpu", "cfg_scale": 7.5, "steps": 50, "scheduler": "dpmpp_2m_sde_k", "clip_skip": 0,
        "model": model,
        "controlnets": [], "loras": [lora],
    }  # fmt: skip
    found = of_png_text({"invokeai_metadata": json.dumps(about), "invokeai_graph": "{}"})
    assert (found.prompt, found.seed) == ("a landscape", 356120443)
    assert found.settings["steps"] == 50
    assert (found.settings["model"], found.settings["lora"]) == ("dreamshaper", "ink")
    assert found.settings["lora_weight"] == 0.75
    assert "negative_prompt" not in found.settings


def test_invokeai_before_version_3() -> None:
    about = {
        "model": "stable diffusion",
        "image": {"prompt": [{"prompt": "a hat", "weight": 1}], "steps": 30, "cfg_scale": 7.5, "seed": 5},
    }
    found = of_png_text({"sd-metadata": json.dumps(about), "Dream": "a hat -s 30"})
    assert (found.prompt, found.seed, found.settings["steps"]) == ("a hat", 5, 30)


@pytest.mark.parametrize(
    ("name", "prompt", "seed"),
    [
        ("man-bald-beard_1001.png", "man-bald-beard", 1001),
        ("a_b_0.png", "a_b", 0),
        ("img_0001.png", None, None),  # a counter
        ("ComfyUI_00012_.png", None, None),
        ("00003-965400086.png", None, None),
        ("portrait.jpg", None, None),
    ],
)
def test_file_names(name: str, prompt: str | None, seed: int | None) -> None:
    assert of_file_name(name) == Generation(prompt, seed)


def test_a_table_wins_over_the_png_text_and_that_over_the_name() -> None:
    row = {"file_name": "x_7.png", "caption": "from the table", "strength": 0.5}
    found = of_picture("x_7.png", {"parameters": A1111}, row)
    assert (found.prompt, found.seed) == ("from the table", 965400086)
    assert (found.settings["strength"], found.settings["steps"]) == (0.5, 20)
    assert of_picture("x_7.png", {}).seed == 7


@pytest.mark.parametrize("column", ["file_name", "file", "image", "path"])
def test_tables_by_the_names_of_their_columns(column: str) -> None:
    lines = [json.dumps({column: "a.png", "prompt": "p", "seed": 3}), "not json", "[1]", '{"seed": 4}', ""]
    assert [row["file_name"] for row in table("\n".join(lines))] == ["a.png"]
    manifest = {"pictures": [{column: "a.png", "prompt": "id", "text": "words", "seed": 3}]}
    ((row),) = table(json.dumps(manifest), manifest=True)
    assert of_picture("a.png", {}, row) == Generation("words", 3)


TEXT = st.text("ab:,<>=\n 1", max_size=40)


@given(
    st.dictionaries(
        st.sampled_from(["parameters", "prompt", "workflow", "invokeai_metadata", "sd-metadata"]),
        TEXT | st.recursive(
            st.none() | st.integers() | TEXT,
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
                st.sampled_from(["3", "inputs", "positive", "seed", "nodes", "links", "image", "loras"]),
                inner, max_size=4,
            ),
        ).map(json.dumps),
        max_size=3,
    )
)  # fmt: skip
def test_nothing_that_a_file_can_hold_raises(text: dict[str, str]) -> None:
    assert isinstance(of_png_text(text), Generation)


def test_a_real_png_is_read_back_in_the_order_of_its_table(tmp_path: Path) -> None:
    for name, text in (("a.png", A1111), ("b.png", WITH_LORA)):
        info = PngInfo()
        info.add_text("parameters", text)
        Image.new("RGB", (8, 6)).save(tmp_path / name, pnginfo=info)
    (tmp_path / "c.png").write_bytes(b"not a picture")
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "b.png", "text": "by hand"}\n')
    files = sorted(tmp_path.glob("*.png"))
    entries, unreadable = generated_folder.read(tmp_path, files)
    assert [entry.file.name for entry in entries] == ["b.png", "a.png"]
    assert [entry.made.prompt for entry in entries] == ["by hand", A1111.splitlines()[0]]
    assert entries[0].size == (8, 6)
    assert [file.name for file, _ in unreadable] == ["c.png"]


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_a1111_puts_the_same_text_into_the_exif_of_other_formats(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + A1111.encode("utf-16-be")
    Image.new("RGB", (8, 8)).save(tmp_path / f"a.{suffix}", exif=exif)
    size, text = headers.read_header(tmp_path / f"a.{suffix}")
    assert size == (8, 8)
    assert of_png_text(text) == of_infotext(A1111)


def test_cells_come_in_the_order_of_their_values() -> None:
    def entry(value: Any) -> generated_folder.Entry:
        return generated_folder.Entry(
            Path("x.png"), (8, 8), Generation(settings={"steps": value, "fixed": 1})
        )

    entries = [entry(value) for value in (20, 8, 20, 8.0, 100, 100)] + [
        generated_folder.Entry(Path("y.png"), (8, 8), Generation())
    ]
    cells = generated_folder.cells(entries, "steps")
    assert {name: len(part) for name, part in cells.items()} == {"steps 8": 2, "steps 20": 2, "steps 100": 2}
    assert list(cells) == ["steps 8", "steps 20", "steps 100"]
    assert generated_folder.axes(entries) == ["steps"]
