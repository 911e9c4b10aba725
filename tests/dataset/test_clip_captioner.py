"""The CLIP captioner: its grammar, its prompts, and that captions follow the model's answers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from laureate.core.errors import LaureateError
from laureate.dataset.clip_captioner import Array, AttributeClassifier, caption, check_tokens, sentence
from laureate.evaluation.judges import ClipJudge
from laureate.formats.vocabulary import VOCABULARY, Vocabulary, load_vocabulary
from laureate.simulator.portraits import captions
from laureate.simulator.portraits.attributes import random_attributes
from laureate.simulator.portraits.portrait import draw
from laureate.simulator.portraits.styles import readable

STYLE = "in the style of Nobel Laureate"
WORDS = load_vocabulary(Path(__file__).resolve().parents[2] / "data/vocabulary.yaml")


class BagOfWords:
    """A judge that knows words: each has its own direction, a text is the sum of its words."""

    def __init__(self, d: int = 512) -> None:
        self.d = d
        self.known: dict[str, Array] = {}

    def texts(self, texts: Sequence[str]) -> Array:
        """n texts => (n, d) float32, unit length."""
        features = np.stack(
            [sum(map(self._word, _words(text)), np.zeros(self.d, np.float32)) for text in texts]
        )
        return np.asarray(features / np.linalg.norm(features, axis=1, keepdims=True), np.float32)

    def _word(self, word: str) -> Array:
        if word not in self.known:
            noise = np.random.default_rng(len(self.known)).standard_normal(self.d)
            self.known[word] = (noise / np.linalg.norm(noise)).astype(np.float32)
        return self.known[word]


def _words(text: str) -> list[str]:
    words = text.lower().replace(",", " ").replace(".", " ").split()
    return [word for word in words if word not in ("a", "an", "and", "with")]


def asked_of(attributes: Any) -> dict[str, str]:
    """The values of a drawn person that the vocabulary can say."""
    values = {name: value for name, value in attributes.to_dict().items() if name in WORDS.attributes}
    return {
        name: value
        for name, value in values.items()
        if value in WORDS.attributes[name].words and value not in WORDS.attributes[name].silent
    }


people = st.integers(0, 10_000).map(lambda seed: random_attributes(np.random.default_rng(seed)))


def test_the_vocabulary_speaks_of_what_the_judges_know() -> None:
    for name, attribute in WORDS.attributes.items():
        assert attribute.words.keys() <= set(VOCABULARY[name])
        if name != "hair_colour":  # ink shows black and white, gold is in between
            assert attribute.words.keys() == set(VOCABULARY[name])


@given(people)
def test_the_sentence_is_that_of_the_simulator(person: Any) -> None:
    values = asked_of(person)
    if person.hair == "bald":
        values.pop("hair_colour", None)
    assert sentence(WORDS, values, STYLE) == captions.prompt(person, "laureate", values)


@given(people, st.sets(st.sampled_from(sorted(WORDS.attributes))))
def test_a_sentence_has_the_grammar_whatever_is_said(person: Any, names: set[str]) -> None:
    text = sentence(WORDS, {n: v for n, v in asked_of(person).items() if n in names}, STYLE)
    assert text.startswith(("A ", "An "))
    assert text.endswith(f", {STYLE}.")
    assert "  " not in text
    assert "{}" not in text
    assert text.count("with ") <= 1


def test_the_example_of_the_field() -> None:
    values = {
        "gender": "woman",
        "expression": "laugh",
        "hair": "curly",
        "hair_colour": "white",
        "glasses": "round",
    }
    text = "A laughing woman with curly white hair and round glasses, wearing a scarf and a hat, as a print."
    assert sentence(WORDS, values | {"clothing": "scarf", "headwear": "hat"}, "as a print") == text
    assert sentence(WORDS, {"gender": "man", "expression": "angry"}, "") == "An angry man."


@given(people)
def test_what_a_picture_shows_is_what_is_said(person: Any) -> None:
    judge = JUDGE
    said = asked_of(person)
    (picture,) = judge.texts([sentence(WORDS, said, STYLE)])
    answers = QUESTIONS.answers(picture, scale=100.0)
    for name in ("gender", "expression", "glasses", "clothing", "headwear"):
        if name in said:
            assert answers[name][0] == said[name]


JUDGE = BagOfWords()
QUESTIONS = AttributeClassifier(WORDS, STYLE, JUDGE)


def test_a_known_gender_is_believed_and_women_are_not_asked_for_beards() -> None:
    (picture,) = JUDGE.texts(["A man with a beard."])
    answers = QUESTIONS.answers(picture, 100.0, gender="woman")
    assert answers["gender"] == ("woman", 1.0)
    assert "facial_hair" not in answers
    assert "facial_hair" in QUESTIONS.answers(picture, 100.0, gender="man")


def test_what_is_unsure_or_goes_without_saying_is_not_said() -> None:
    answers = {
        "gender": ("man", 0.51),
        "glasses": ("none", 0.99),
        "hair": ("short", 0.4),
        "headwear": ("cap", 0.9),
    }
    assert caption(WORDS, answers, STYLE, confidence=0.5) == f"A man, wearing a cap, {STYLE}."
    assert caption(WORDS, answers, STYLE, confidence=0.3) == f"A man with short hair, wearing a cap, {STYLE}."


def test_the_same_seed_asks_the_same() -> None:
    picture = JUDGE.texts(["A calm man."])[0]
    one, two = (AttributeClassifier(WORDS, STYLE, JUDGE, seed=3).answers(picture, 50.0) for _ in range(2))
    assert one == two


def test_a_caption_that_clip_would_cut_is_an_error() -> None:
    def tokenizer(text: str) -> dict[str, list[int]]:
        return {"input_ids": [0, *range(len(text.split())), 1]}

    check_tokens({"1.png": "word " * 75}, tokenizer)
    with pytest.raises(LaureateError, match=r"the caption of 2\.png has 78 tokens, more than 77: shorten"):
        check_tokens({"1.png": "short", "2.png": "word " * 76}, tokenizer)


@pytest.mark.parametrize(
    ("change", "sentence_of_error"),
    [
        (lambda v: v.pop("gender"), "needs the attribute gender"),
        (lambda v: v["hair_colour"].update(of="beak"), "must name the attribute"),
        (lambda v: v["glasses"].update(silent=["monocle"]), "must hold values"),
        (lambda v: v["glasses"].update(words={}), r"glasses\.words"),
        (lambda v: v["glasses"].update(place="nose"), r"glasses\.place"),
        (lambda v: v["glasses"].update(colour="red"), r"glasses\.colour"),
    ],
)
def test_a_vocabulary_that_makes_no_sense_is_named(
    tmp_path: Path, change: Any, sentence_of_error: str
) -> None:
    values = {name: a.model_dump(exclude_defaults=True) for name, a in WORDS.attributes.items()}
    assert Vocabulary(attributes=values) == WORDS
    change(values)
    (tmp_path / "words.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(LaureateError, match=rf"words\.yaml.*{sentence_of_error}"):
        load_vocabulary(tmp_path / "words.yaml")


def test_what_the_shipped_clip_says_of_fresh_laureates_is_so(embedded: Path) -> None:
    judge = ClipJudge.load(embedded / "clip")
    scale = float(judge.model.logit_scale.detach().exp())
    questions = AttributeClassifier(WORDS, STYLE, judge)
    rng = np.random.default_rng(2026)
    drawn = [random_attributes(rng) for _ in range(60)]
    pictures = judge.pictures([draw(person, "laureate", seed) for seed, person in enumerate(drawn)])
    right = []
    for person, picture in zip(drawn, pictures, strict=True):
        for name, (value, chance) in questions.answers(picture, scale).items():
            if chance >= 0.6 and name in readable(person, "laureate"):
                right.append(getattr(person, name) == value)
    assert len(right) >= 2 * len(drawn)
    assert np.mean(right) >= 0.8
