"""Spoilt inputs of every reader end in a value or in the promised error; FUZZ=10000 tries more of them."""

import os

import fuzz_log
import fuzzed_readers
import pytest
from fuzzed_readers import READERS, try_reader

EXAMPLES = int(os.environ.get("FUZZ", "100"))


@pytest.mark.parametrize("name", READERS)
def test_no_input_breaks_a_reader(name: str) -> None:
    refused = try_reader(READERS[name], EXAMPLES)
    assert refused > 0 or name.startswith("folder") or not READERS[name].errors  # of spoilt ones some must be


def test_the_log_of_a_run_becomes_a_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(data: bytes, _: object) -> None:
        raise KeyError("a,\nb")

    monkeypatch.setitem(READERS, "a broken one", fuzzed_readers.Reader(READERS["one caption"].inputs, broken))
    monkeypatch.setattr("sys.argv", ["fuzz", "5", "one caption", "a broken one"])
    assert fuzzed_readers.main() == 1
    page = f"Before\n{fuzz_log.MARKS[0]}\nold\n{fuzz_log.MARKS[1]}\nafter\n"
    said = fuzz_log.written(page, capsys.readouterr().out)
    assert "2 readers were given 10 inputs; a broken one failed." in said
    assert "| one caption | 5 | 0 |" in said
    assert "| a broken one | 5 | failed |" in said
    assert "old" not in said
    assert said.startswith("Before\n")
    assert said.endswith("\nafter\n")


def test_the_page_has_the_readers_of_today_and_no_failure() -> None:
    page = fuzz_log.DOCS.read_text(encoding="utf-8")
    between = page.partition(fuzz_log.MARKS[0])[2].partition(fuzz_log.MARKS[1])[0]
    names = [line.split("|")[1].strip() for line in between.splitlines() if line.startswith("| ")][1:]
    assert names
    assert set(names) <= set(READERS)
    assert "failed" not in between
