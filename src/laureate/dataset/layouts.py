"""Recognise how a user's image folder is laid out, by the programs that write or want it so."""

import re

from laureate.dataset.captions import Captions, prompt_of
from laureate.dataset.user_folder import Folder, shown
from laureate.formats import portraits
from laureate.formats.file_names import printable

KOHYA = re.compile(r"\d+_.+")


def recognised(folder: Folder, captions: Captions) -> str:
    """The layout in words, such as "Kohya's folders (REPEATS_NAME)"."""
    names = {path.name.lower() for path in folder.others}
    repeats = sorted({path.parent.name for path in folder.pictures if KOHYA.fullmatch(path.parent.name)})
    if portraits.MANIFEST in names:
        return "a crawl of laureate"
    kinds = sorted(name for name in captions.sources() if name.startswith("."))
    tables = sorted({table.path.name for table in captions.tables})
    if tables:
        below = any("images" in path.relative_to(folder.path).parts[:-1] for path in folder.pictures)
        named = ", ".join([*tables, *(["pictures in images/"] if below else [])])
        beside = f", and captions beside pictures ({', '.join(kinds)})" if kinds else ""
        return f"Hugging Face imagefolder ({named}){beside}"
    if repeats:
        return f"Kohya's folders REPEATS_NAME ({', '.join(repeats)}; the repeats are not used)"
    if any(path.stem.lower().endswith(("-masklabel", "-condlabel")) for path in folder.unread):
        return "OneTrainer's folder with masks, which are not read"
    if "multidatabackend.json" in names:
        return "SimpleTuner's folder"
    if kinds:
        who = "ai-toolkit, OneTrainer, SimpleTuner, Kohya"
        return f"captions beside the pictures ({', '.join(kinds)}), as {who} have them"
    if any(prompt_of(path) for path in folder.pictures[:8]):
        return "generated pictures with their prompts (prepare.embedded_prompts takes them as captions)"
    return "pictures without captions"


def summary(folder: Folder, captions: Captions, samples: int = 5) -> str:
    """What was recognised and counted, and the first captions."""
    places = len({path.parent for path in folder.pictures})
    sources = captions.sources()
    counted = ", ".join(f"{number} {name}" for name, number in sorted(sources.items()))
    lines = [
        f"{folder.path}: {recognised(folder, captions)}",
        f"{len(folder.pictures)} pictures in {places} folder{'s' * (places != 1)}, "
        + (f"{sources.total()} captions ({counted})" if counted else "no captions"),
    ]
    first = [(path, found.text) for path, found in captions.by_picture.items() if found.text is not None]
    for path, text in first[:samples]:
        cut = text if len(text) <= 100 else f"{text[:99]}…"
        lines.append(f"  {shown(path, folder.path)}: {printable(cut)}")
    return "\n".join(lines)
