"""Caption pictures with CLIP and a vocabulary: `A <mood> <man|woman> with <hair>, <glasses>, ..., STYLE.`

Zero-shot classification with prompt ensembling (Radford et al., 2021, section 3.1.4), one attribute at a
time, with any CLIP model.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from laureate.core.errors import LaureateError
from laureate.formats.vocabulary import NOUN, Vocabulary

Array = NDArray[np.float32]
MAX_TOKENS = 77  # the context of CLIP's text model, start and end included
CONTEXTS = 8  # sentences over which a value's text feature is averaged


class TextEncoder(Protocol):
    """A text encoder such as `evaluation.judges.ClipJudge`: unit features of texts."""

    def texts(self, texts: Sequence[str]) -> Array:
        """n texts => (n, d) float32, unit length."""
        ...


def sentence(vocabulary: Vocabulary, values: Mapping[str, str], style: str) -> str:
    """The caption that names `values` (attribute => value), and no other attribute."""
    words = {name: vocabulary.attributes[name].words[value] for name, value in values.items()}
    places: dict[str, list[str]] = {"noun": [], "mood": [], "with": [], "wearing": []}
    for name, attribute in vocabulary.attributes.items():
        if attribute.place != "inside" and name in words:
            inner = next(
                (words[n] for n, a in vocabulary.attributes.items() if a.of == name and n in words), ""
            )
            places[attribute.place].append(" ".join(words[name].replace("{}", inner).split()))
    subject = " ".join([*places["mood"], *(places["noun"] or ["person"])])
    text = f"{'An' if subject[0] in 'aeiou' else 'A'} {subject}"
    if places["with"]:
        text += f" with {_listed(places['with'])}"
    clauses = [f"wearing {_listed(places['wearing'])}"] if places["wearing"] else []
    return ", ".join([text, *clauses, *([style] if style else [])]) + "."


class AttributeClassifier:
    """Zero-shot classifier of every attribute; text features are computed once, for all pictures."""

    def __init__(self, vocabulary: Vocabulary, style: str, encoder: TextEncoder, seed: int = 0) -> None:
        self.vocabulary = vocabulary
        self._features: dict[tuple[str, str], Array] = {}  # (attribute, gender) => (values, d), unit length
        prompts: list[tuple[tuple[str, str], list[str]]] = []
        rng = np.random.default_rng(seed)
        for name, attribute in vocabulary.attributes.items():
            contexts = [_context(vocabulary, name, rng) for _ in range(CONTEXTS)]
            for gender in vocabulary.attributes[NOUN].words:
                for value in attribute.words:
                    named = [c | {NOUN: gender, name: value} for c in contexts]
                    prompts.append(
                        ((name, gender), [sentence(vocabulary, values, style) for values in named])
                    )
        features = encoder.texts([text for _, texts in prompts for text in texts])
        means = features.reshape(len(prompts), CONTEXTS, -1).mean(axis=1)
        means /= np.linalg.norm(means, axis=1, keepdims=True)
        for key in dict.fromkeys(key for key, _ in prompts):
            self._features[key] = means[[i for i, (k, _) in enumerate(prompts) if k == key]]

    def answers(
        self, picture: Array, scale: float, gender: str | None = None
    ) -> dict[str, tuple[str, float]]:
        """The best value of every attribute, with its probability, for one picture.

        `picture` is (d,) float32 of unit length, `scale` the logit scale; a known `gender` is taken as
        certain.
        """
        genders = list(self.vocabulary.attributes[NOUN].words)
        if gender is None:
            chances = _softmax(scale * self._features[NOUN, genders[0]] @ picture)
            answers = {NOUN: (genders[int(np.argmax(chances))], float(np.max(chances)))}
        else:
            answers = {NOUN: (gender, 1.0)}
        noun = answers[NOUN][0]
        for name, attribute in self.vocabulary.attributes.items():
            if name != NOUN and attribute.only.get(NOUN, noun) == noun:
                chances = _softmax(scale * self._features[name, noun] @ picture)
                best = int(np.argmax(chances))
                answers[name] = (list(attribute.words)[best], float(chances[best]))
        return answers


def caption(
    vocabulary: Vocabulary, answers: Mapping[str, tuple[str, float]], style: str, confidence: float
) -> str:
    """The sentence of all answers with a probability of at least `confidence` (0..1), without default values.

    Default values are those that the vocabulary lists as `silent`.
    """
    sure = {
        name: value
        for name, (value, chance) in answers.items()
        if name == NOUN or (chance >= confidence and value not in vocabulary.attributes[name].silent)
    }
    return sentence(vocabulary, sure, style)


def check_tokens(texts: Mapping[str, str], tokenizer: Any) -> None:
    """Raise LaureateError naming the first of `texts` (name => caption) that is empty or too long."""
    for name, text in texts.items():
        if not text.strip():
            raise LaureateError(f"the caption of {name} is empty: write one, or remove the empty one")
        count = len(tokenizer(text)["input_ids"])
        if count > MAX_TOKENS:
            raise LaureateError(
                f"the caption of {name} has {count} tokens, more than {MAX_TOKENS}: shorten {text!r}"
            )


def _context(vocabulary: Vocabulary, asked: str, rng: np.random.Generator) -> dict[str, str]:
    """Random values of two other attributes, for a sentence that is about the attribute `asked`.

    An attribute that stands inside another one brings that one with it.
    """
    known = vocabulary.attributes
    frame = known[asked].of
    others = [n for n, a in known.items() if not a.only and n not in (asked, NOUN, frame) and a.of is None]
    names = [str(name) for name in rng.choice(others, size=min(2, len(others)), replace=False)]
    context = {
        name: str(rng.choice([v for v in known[name].words if v not in known[name].silent])) for name in names
    }
    if frame is not None:
        context[frame] = str(rng.choice([v for v, words in known[frame].words.items() if "{}" in words]))
    return context


def _listed(items: Sequence[str]) -> str:
    """'a', 'a and b', 'a, b, and c'."""
    if len(items) < 3:
        return " and ".join(items)
    return ", ".join(items[:-1]) + f", and {items[-1]}"


def _softmax(logits: NDArray[Any]) -> Array:
    """(n,) logits => (n,) probabilities."""
    shifted = np.exp(logits - logits.max())
    return np.asarray(shifted / shifted.sum(), dtype=np.float32)
