"""Answers of the API: whatever they hold gives typed values and a list of problems."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sites_of_faults import few

from crawler.api_responses import LaureatesResponse
from crawler.parsing import NotFound
from laureate.simulator.museum.server import Museum

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
fields = st.sampled_from(
    ["id", "knownName", "orgName", "gender", "nobelPrizes", "links", "awardYear", "category", "class"]
)
answers = st.fixed_dictionaries(
    {
        "laureates": st.lists(
            json_values | st.dictionaries(fields, json_values | st.dictionaries(fields, json_values)),
            max_size=4,
        )
    },
    optional={"meta": json_values, "links": json_values},
)


@settings(max_examples=100, deadline=None)
@given(answers | json_values)
def test_no_answer_of_an_api_breaks_the_reading(answer: Any) -> None:
    read = LaureatesResponse(json.dumps(answer), "http://127.0.0.1/2.1/laureates")
    try:
        assert all(entry.id.replace("-", "").replace("_", "").isalnum() for entry in read.entries)
    except NotFound:
        assert read.received == 0
    assert read.count is None or isinstance(read.count, int)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda a: a["meta"].update(count=900), "meta.count says 900 laureates, 3 came"),
        (lambda a: a["meta"].pop("count"), None),
        (lambda a: a["laureates"][0].update(id=None), "laureate 0 has no usable id"),
        (lambda a: a["laureates"][0].update(id="../../etc"), "laureate 0 has no usable id"),
        (lambda a: a["laureates"][0].pop("nobelPrizes"), "has no prize"),
        (
            lambda a: a["laureates"][0]["nobelPrizes"][0].update(links=[]),
            "has no link of class 'laureate facts'",
        ),
        (lambda a: a["laureates"][0].update(knownName="Plain Text"), None),
        (lambda a: a["links"].update(next="http://127.0.0.1:9/2.1/laureates"), None),
        (lambda a: a["laureates"].append(a["laureates"][0]), None),
    ],
)
def test_api_answers_with_faults(change: Callable[[Any], Any], reason: str | None) -> None:
    def act(text: str) -> str:
        answer = json.loads(text)
        change(answer)
        return json.dumps(answer)

    answer = LaureatesResponse(act(sample_answer()), "http://127.0.0.1/2.1/laureates")
    told = [*answer.problems]
    if answer.count != answer.received:
        told.append(f"meta.count says {answer.count} laureates, {answer.received} came")
    assert any(reason in problem for problem in told) if reason else len(answer.entries) >= 3


def sample_answer() -> str:
    """An answer of the API with three laureates."""
    return Museum(few(3))("/2.1/laureates", "127.0.0.1").body.decode()
