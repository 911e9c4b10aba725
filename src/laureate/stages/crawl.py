"""Stage crawl: download the portraits and their manifest over HTTP into `data/raw`.

Beside the output are the crawl report and, in a hidden folder, the responses received so far: an interrupted
crawl is resumed, and a repeated one requests only what may have changed.
"""

import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from crawler import process, report, sites, state
from crawler.options import Options
from crawler.response_store import ResponseStore
from laureate import __version__
from laureate.config.params import Crawl, Params
from laureate.core.errors import LaureateError, ParameterError
from laureate.core.files import fresh_folder, write_bytes, write_json, write_text
from laureate.core.progress import progress
from laureate.formats import portraits
from laureate.formats.jsonl import Row

OUT = Path("data/raw")


def run(
    params: Params,
    site: str | None = None,
    api: str | None = None,
    out: str | Path | None = None,
    dry_run: bool = False,
) -> None:
    """Crawl `params.crawl.site`; the other arguments override the parameters.

    Raises LaureateError naming page and selector when the coverage is too low; `out` is then unchanged.
    """
    wanted, out = params.crawl, Path(out or OUT)
    with sites.opened(site or wanted.site, api or (wanted.api if site is None else None)) as place:
        folder = out.parent / f".{out.name}-crawl"
        options = _options(wanted, place, folder)
        impolite = _politeness_error(wanted, place)
        if dry_run:
            print(_first_requests(options))
            if impolite:
                print(f"before a crawl: {impolite}")
            return
        if impolite:
            raise ParameterError(impolite)
        with state.locked(folder) as lock:
            _crawl(wanted, options, out, folder, lock)


def _crawl(wanted: Crawl, options: Options, out: Path, folder: Path, lock: IO[str]) -> None:
    """One crawl: download, check the coverage, report, and write the output when the coverage suffices."""
    state.remove_parts(folder, out)
    begun, clock = datetime.now(UTC), time.monotonic()
    process.remove_result(folder)
    name = state.begin(folder, options.known_as or options.site)
    asked = process.crawl(options, name, lock, lambda events, total: progress(events, total, "facts pages"))
    result = process.read_result(folder)
    state.finish(folder)

    least = wanted.coverage.model_dump()
    coverage = report.coverage(result, wanted.kinds, asked)
    rows = portraits.with_shared_files(result["rows"])
    record = {
        "site": options.known_as or options.site,
        "begun": begun.isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - clock, 1),
        "coverage": coverage,
        "least": least,
        "failure": report.failure(coverage, least, result, wanted.kinds),
        "kinds": dict(Counter(row["kind"] for row in rows)),
        "pictures": len({row["file"] for row in rows if row["file"]}),
        "size": sum({row["file"]: row["size"] for row in rows if row["file"]}.values()),
        "quarantined": [row for row in rows if row["kind"] == "unknown"],
        "changes": _changes(folder, rows),
        **{
            key: result[key]
            for key in ("faults", "skipped", "excluded", "requests", "bytes", "fetched", "reused")
        },
    }
    stem = out.with_name("crawl_report")
    write_json(stem.with_suffix(".json"), record)
    write_text(stem.with_suffix(".md"), report.summary(record))
    if record["failure"]:
        raise LaureateError(
            f"{record['failure']}; {stem.with_suffix('.md')} has the details, {out} is unchanged"
        )
    responses = ResponseStore(folder)
    write_output(rows, responses, out)
    portraits.write_manifest(folder / portraits.MANIFEST, rows)
    responses.compact(name)
    print(
        f"{record['pictures']} portraits in {out}{report.left_out(result['excluded'])}; "
        f"what was left out, and why: {stem.with_suffix('.md')}"
    )


def write_output(rows: list[Row], responses: ResponseStore, out: Path) -> None:
    """Replace `out`: the manifest, and each picture once, its bytes as received."""
    with fresh_folder(out) as folder:
        for row in {row["file"]: row for row in rows if row["file"]}.values():
            write_bytes(folder / row["file"], responses.path(row["sha256"]).read_bytes())
        portraits.write_manifest(folder / portraits.MANIFEST, rows)


def _changes(folder: Path, rows: list[Row]) -> dict[str, list[str]] | None:
    """Changes since the crawl before; None when this is the first."""
    if not (folder / portraits.MANIFEST).exists():
        return None
    return report.changes(portraits.read_manifest(folder / portraits.MANIFEST), rows)


def _options(wanted: Crawl, place: sites.Site, folder: Path) -> Options:
    """The parameters as options of the crawling process."""
    contact = f" (+{wanted.contact})" if wanted.contact else ""
    return Options(
        site=place.address,
        api=place.api,
        known_as=place.known_as,
        state=str(folder),
        behind_proxy=not place.is_local,
        private=place.is_local,
        agent=f"laureate/{__version__}{contact}",
        years=(wanted.years[0], wanted.years[1]),
        hosts=tuple(wanted.hosts),
        categories=tuple(wanted.categories),
        kinds=tuple(wanted.kinds),
        credits=tuple(wanted.credits.items()),
        **wanted.model_dump(
            include={"limit", "list_path", "delay", "timeout", "retries", "backoff", "longest_wait"}
            | {"megabytes", "megapixels", "refusals", "page_size", "fresh"}
        ),
    )


def _politeness_error(wanted: Crawl, place: sites.Site) -> str | None:
    """The parameter that is too impolite for a public site: https, a delay and a contact are required."""
    if place.is_local:
        return None
    if not (place.address.startswith("https://") and place.api.startswith("https://")):
        return f"crawl.site and crawl.api must be https:// addresses, got {place.address}, {place.api}"
    if wanted.delay < 1:
        return f"crawl.delay must be at least 1 second for {place.address}, got {wanted.delay:g}"
    if not wanted.contact.strip():
        return (
            f"crawl.contact must say who crawls {place.address}: a mail address or a page, for the user agent"
        )
    return None


def _first_requests(options: Options) -> str:
    """The first requests of a crawl, and how they would be made, as text."""
    api = urlsplit(options.api)
    lines = [
        f"GET {options.site}/robots.txt",
        f"GET {options.site}{options.list_path}",
        f"GET {api.scheme}://{api.netloc}/robots.txt",
        f"GET {options.api}/laureates?offset=0&limit={options.page_size}",
        f"then: more laureates by offset; facts pages of {_span(options.years)}, newest first"
        + (f", {options.limit} at most" if options.limit else "")
        + f"; after each its picture, if its credit says {' or '.join(options.kinds)}",
        f"User-Agent: {options.agent}",
        f"hosts: {', '.join(sorted(options.allowed_hosts))}",
        f"delay: {options.delay:g} s between requests, one at a time; robots.txt, its Crawl-delay and "
        "Retry-After obeyed",
    ]
    return "\n".join(dict.fromkeys(lines))


def _span(years: tuple[int | None, int | None]) -> str:
    """(2012, None) => '2012 to now'."""
    first, last = years
    return f"{'the first year' if first is None else first} to {'now' if last is None else last}"
