"""The crawl report: how complete a crawl is, and what changed since the one before."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from crawler.report import changes, coverage

row = st.fixed_dictionaries(
    {
        "id": st.sampled_from("123"),
        "year": st.sampled_from([2001, 2002]),
        "category": st.just("phy"),
        "name": st.just("N"),
        "kind": st.sampled_from(["illustration", "photograph", "unknown"]),
        "sha256": st.none() | st.sampled_from("abc"),
    }
)
tables = st.lists(row, unique_by=lambda r: (r["id"], r["year"]), max_size=6)


@given(tables, tables)
def test_changes_are_told_once_and_none_are_lost(before: Any, now: Any) -> None:
    told = changes(before, now)
    back = changes(now, before)
    assert sorted(told["appeared"]) == sorted(back["vanished"])
    assert len(told["changed kind"]) == len(back["changed kind"])
    assert changes(now, now) == {"appeared": [], "vanished": [], "changed bytes": [], "changed kind": []}
    assert len(now) == len(before) + len(told["appeared"]) - len(told["vanished"])


def test_coverage_counts_what_was_not_understood() -> None:
    faults = [{"about": about} for about in ("page", "picture", "check", "api")]
    rows = [{"kind": "illustration"}, {"kind": "unknown"}]
    found = coverage({"rows": rows, "faults": faults}, ["illustration"], asked=4)
    assert found == {"pages": 3 / 4, "pictures": 1 / 2, "credits": 2 / 3}
