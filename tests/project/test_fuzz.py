"""Spoilt inputs of every reader end in a value or in the promised error; FUZZ=10000 tries more of them."""

import os

import pytest
from fuzzed_readers import READERS, try_reader

EXAMPLES = int(os.environ.get("FUZZ", "100"))


@pytest.mark.parametrize("name", READERS)
def test_no_input_breaks_a_reader(name: str) -> None:
    refused = try_reader(READERS[name], EXAMPLES)
    assert refused > 0 or not READERS[name].errors
