"""The crawl report: coverage, changes since the crawl before, Markdown."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from laureate.formats.jsonl import Row


def coverage(result: Mapping[str, Any], kinds: Sequence[str], asked: int) -> dict[str, float]:
    """The share of the site that was read, by subject, each in 0..1.

    `pages`: facts pages that were read, of the number `asked` for (without organisations and second pages);
    `pictures`: pictures stored, of those wanted; `credits`: credit lines that name the kind of the picture,
    of those read. A share of nothing counts as 1.
    """
    rows, faults = result["rows"], Counter(fault["about"] for fault in result["faults"])
    wanted = [row for row in rows if row["kind"] in kinds]
    read = len(rows) + faults["picture"]
    known = sum(row["kind"] != "unknown" for row in rows) + faults["picture"]
    return {
        "pages": _share(read, min(asked, read + faults["page"])),
        "pictures": _share(len(wanted), len(wanted) + faults["picture"]),
        "credits": _share(known, read),
    }


def failure(
    coverage: Mapping[str, float], least: Mapping[str, float], result: Mapping[str, Any], kinds: Sequence[str]
) -> str | None:
    """Why the coverage is too low, with the first fault; None when it reaches `least`."""
    about = {"pages": ("page", "api", "list"), "pictures": ("picture",), "credits": ("page",)}
    faults = result["faults"]
    for name, share in coverage.items():
        if share < least[name]:
            first = next((f for f in faults if f["about"] in about[name]), None)
            wanted = f"at least {least[name]:.1%} are required (crawl.coverage.{name})"
            return f"the crawl read {share:.1%} of the {name}, {wanted}{_where(first)}"
    if not any(row["kind"] in kinds for row in result["rows"]):
        first = next((f for f in faults if f["about"] != "check"), None)
        excluded = left_out(result["excluded"])
        return f"the crawl found no {' and no '.join(kinds)} at all{_where(first) or excluded}"
    return None


def changes(before: Sequence[Row], now: Sequence[Row]) -> dict[str, list[str]]:
    """Portraits that appeared, vanished, changed their bytes or their kind since the crawl before."""
    old = {_key(row): row for row in before}
    new = {_key(row): row for row in now}
    both = [key for key in new if key in old]
    return {
        "appeared": [_titled(new[key]) for key in new if key not in old],
        "vanished": [_titled(old[key]) for key in old if key not in new],
        "changed bytes": [
            _titled(new[k])
            for k in both
            if new[k]["sha256"] and old[k]["sha256"] not in (None, new[k]["sha256"])
        ],
        "changed kind": [
            f"{_titled(new[k])}: {old[k]['kind']} is now {new[k]['kind']}"
            for k in both
            if new[k]["kind"] != old[k]["kind"]
        ],
    }


def summary(report: Mapping[str, Any]) -> str:
    """The report as Markdown."""
    kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(report["kinds"].items())) or "none"
    parts = [
        f"# Crawl of {report['site']}\n",
        f"{report['pictures']} pictures stored, {report['size'] / 2**20:.1f} MiB; by credit line: {kinds}.",
        f"{report['requests']} requests in {report['seconds']:.0f} s, begun {report['begun']}; "
        f"{report['fetched']['picture']} pictures downloaded, {report['reused']['picture']} reused.\n",
        "| read | share | required |\n| --- | ---: | ---: |",
        *(
            f"| {name} | {share:.1%} | {report['least'][name]:.1%} |"
            for name, share in report["coverage"].items()
        ),
        "",
    ]
    if report["failure"]:
        parts.insert(1, f"**Too little was read:** {report['failure']}\n")
    quarantined = [f"{_titled(row)}: “{row['credit']}” ({row['page']})" for row in report["quarantined"]]
    parts += _section("Quarantined: the credit line does not name the kind of the picture", quarantined)
    parts += _section("Faults", [f"{f['about']}: {f['reason']} ({f['address']})" for f in report["faults"]])
    parts += _section("Left out", [f"{s['what']}: {s['reason']}" for s in report["skipped"]])
    parts += _section("Prizes that a parameter leaves out", _excluded(report["excluded"]))
    if report["changes"] is not None:
        for name, rows in report["changes"].items():
            parts += _section(f"Since the crawl before: {name}", rows)
    return "\n".join(parts) + "\n"


def _section(title: str, lines: Sequence[str]) -> list[str]:
    """A heading and a list; nothing for an empty list."""
    return [f"\n## {title} ({len(lines)})\n", *(f"- {line}" for line in lines)] if lines else []


def left_out(excluded: Sequence[Mapping[str, Any]]) -> str:
    """', 12 prizes left out by crawl.years', '' where no parameter leaves a prize out."""
    names = " and ".join(sorted({row["by"] for row in excluded}))
    return f", {sum(row['prizes'] for row in excluded)} prizes left out by {names}" if excluded else ""


def _excluded(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Counts of prizes by parameter, year and category => one line per parameter and year."""
    counts: dict[tuple[str, int], list[str]] = {}
    for row in rows:
        counts.setdefault((row["by"], row["year"]), []).append(f"{row['prizes']} {row['category']}")
    return [f"{by}, {year}: {', '.join(categories)}" for (by, year), categories in counts.items()]


def _where(fault: Mapping[str, Any] | None) -> str:
    return f": {fault['reason']} ({fault['address']})" if fault else ""


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def _key(row: Row) -> tuple[str, int, str]:
    return str(row["id"]), int(row["year"]), str(row["category"])


def _titled(row: Row) -> str:
    return f"{row['name']} ({row['id']}, {row['category']} {row['year']})"
