"""docs/scores.md: every score of the table, in five lines."""

import re
from pathlib import Path

from laureate.comparison import results_table
from laureate.evaluation import feature_extraction, score_catalog, scores, scoring

LINES = ["Asks", "Formula", "Source", "Direction", "Misleads"]


def test_every_score_has_its_five_lines(root: Path) -> None:
    text = (root / "docs/scores.md").read_text(encoding="utf-8")
    sections = re.split(r"^##+ ", text, flags=re.MULTILINE)
    described: dict[str, str] = {}
    for section in sections:
        heading = section.partition("\n")[0]
        described |= dict.fromkeys(re.findall(r"`(\w+)`", heading), section)
    for key in (*(score.key for score in score_catalog.SCORES), *results_table.ORIGINAL):
        bullets = re.findall(r"^- \*\*(\w+)\*\*: \S", described[key], re.MULTILINE)
        assert bullets == LINES, key
    assert set(scoring.KEYS) == {score.key for score in score_catalog.SCORES}


def test_the_functions_it_names_are_there(root: Path) -> None:
    text = (root / "docs/scores.md").read_text(encoding="utf-8")
    for module in (scores, feature_extraction):
        names = re.findall(rf"`{module.__name__.rpartition('.')[2]}\.(\w+)`", text)
        assert names
        assert [name for name in names if not hasattr(module, name)] == []
