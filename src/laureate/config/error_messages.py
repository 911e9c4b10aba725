"""Turn pydantic's validation errors into one sentence that names the dotted key."""

from typing import Any

from pydantic import ValidationError

from laureate.config.model_sources import HIDDEN
from laureate.config.schema import Params
from laureate.config.section import Section


def sentence(error: ValidationError) -> str:
    """The first error, in one sentence that names the dotted key."""
    # pydantic reports every member of a union: the last one is the most general (a number, not "rank")
    first = error.errors()[0]
    same = [e for e in error.errors() if _key(e["loc"]) == _key(first["loc"])]
    last = same[-1]
    key, value = _key(last["loc"]), last.get("input")
    if last["type"] == "extra_forbidden":
        return f"{key} is not a known key{_close(key)}"
    if last["type"] == "missing":
        return f"{key} is missing"
    if last["type"] == HIDDEN:
        return f"{key} must be {last['msg']}"
    return f"{key} must be {_wanted(same)}, got {shown(value)}{_hint(value)}"


def _key(location: tuple[int | str, ...]) -> str:
    """('train', 'targets', 0) => train.targets[0]; pydantic's tags for members of a union are dropped."""
    text = ""
    fields: Any = Params
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        elif "[" in part or "(" in part or (text and fields is None):
            continue  # "literal['rank']", "constrained-float", "float": a union's tag
        else:
            name = part if part.isprintable() else repr(part)
            text += f".{name}" if text else name
            fields = _under(fields, part)
    return text


def _under(fields: Any, part: str) -> Any:
    """The fields below `part`: a Section, {"": Section} for a mapping of sections, or None."""
    from typing import get_args

    if isinstance(fields, dict):
        return fields[""]
    field = fields.model_fields.get(part) if fields else None
    annotation = field.annotation if field else None
    for kind in (annotation, *get_args(annotation)):  # the section itself, of a union, or of a mapping
        if isinstance(kind, type) and issubclass(kind, Section):
            return {"": kind} if getattr(annotation, "__origin__", None) is dict else kind
    return None


def _wanted(errors: list[Any]) -> str:
    """What the value must be, from pydantic's messages, such as "a number greater than 0"."""
    names = {
        "int_type": "a whole number",
        "int_from_float": "a whole number",
        "float_type": "a number",
        "string_type": "text",
        "list_type": "a list",
        "bool_type": "true or false",
        "model_type": "a section of keys",
        "model_attributes_type": "a section of keys",
        "string_too_short": "text that is not empty",
        "dict_type": "a section of keys",
        "finite_number": "a finite number",
    }
    wanted = []
    plain = [
        error for error in errors if error["type"] != "dict_type"
    ]  # a mapping per rank is the rarer form
    for error in plain or errors:
        context = error.get("ctx", {})
        if error["type"] in names:
            wanted.append(names[error["type"]])
        elif error["type"] == "literal_error":
            wanted.append(str(context["expected"]))
        elif error["type"] == "string_pattern_mismatch":
            wanted.append(f"text of the form {context['pattern']}")
        elif error["type"] == "too_short":
            wanted.append(f"a list of at least {context['min_length']}")
        elif error["type"] == "too_long":
            wanted.append(f"a list of at most {context['max_length']}")
        else:
            wanted.append(error["msg"].removeprefix("Input should be "))
    return " or ".join(dict.fromkeys(wanted))


def shown(value: Any) -> str:
    """The value as text for a sentence, shortened to 60 characters."""
    if value is None:
        return "nothing"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _hint(value: Any) -> str:
    """How to write a number that PyYAML read as text: YAML 1.1 needs the point in 1.0e-4."""
    if not isinstance(value, str):
        return ""
    try:
        number = float(value)
    except ValueError:
        return ""
    mantissa, letter, exponent = value.strip().lower().partition("e")
    if not letter:
        return f" (write {number:g} without quotes)"
    sign = "" if exponent.startswith(("-", "+")) else "+"
    return f" (write {mantissa if '.' in mantissa else mantissa + '.0'}e{sign}{exponent})"


def _close(key: str) -> str:
    """A suggestion: the known key that is most similar to an unknown one."""
    from difflib import get_close_matches

    parent, _, name = key.rpartition(".")
    known: Any = Params
    for part in parent.split(".") if parent else []:
        known = _under(known, part)
        if known is None:
            return ""  # a key that contains points
    if isinstance(known, dict):
        return ""
    matches = get_close_matches(name, list(known.model_fields), n=1)
    return f" (did you mean {parent + '.' if parent else ''}{matches[0]}?)" if matches else ""
