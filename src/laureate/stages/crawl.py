"""Stage crawl: fetch the portraits and who they show, over HTTP, into `data/raw`.

Beside the output lie the crawl report and, in a hidden folder, what was received before: a crawl that is cut
short goes on where it was, and one that is repeated asks only what may have changed.
"""

import fcntl
import json
import secrets
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from crawler import report, sites
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

    Raises LaureateError naming page and selector when too little of the site was understood; what was in
    `out` before then stays as it was.
    """
    wanted, out = params.crawl, Path(out or OUT)
    with sites.opened(site or wanted.site, api or (wanted.api if site is None else None)) as place:
        state = out.parent / f".{out.name}-crawl"
        options = _options(wanted, place, state)
        rude = _bad_manners(wanted, place)
        if dry_run:
            print(_first_requests(options))
            if rude:
                print(f"before a crawl: {rude}")
            return
        if rude:
            raise ParameterError(rude)
        with _alone(state) as lock:
            _crawl(wanted, options, out, state, lock)


def _crawl(wanted: Crawl, options: Any, out: Path, state: Path, lock: IO[str]) -> None:
    """One crawl: fetch, judge, report, and only when all is well put the result in place."""
    from crawler.pipelines import RESULT
    from crawler.response_store import Kept

    for part in [*out.parent.glob(f".{out.name}.*.part"), *state.glob(".*.part")]:
        _remove(part)  # left by a crawl that was killed
    begun, clock = datetime.now(UTC), time.monotonic()
    (state / RESULT).unlink(missing_ok=True)
    name = _name_of_crawl(state, options)
    asked = _fetch(options, name, lock)
    result = _read_result(state / RESULT, state)
    (state / "unfinished").unlink(missing_ok=True)

    least = wanted.coverage.model_dump()
    found = report.coverage(result, wanted.kinds, asked)
    rows = portraits.with_shared_files(result["rows"])
    record = {
        "site": options.known_as or options.site,
        "begun": begun.isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - clock, 1),
        "coverage": found,
        "least": least,
        "complaint": report.complaint(found, least, result, wanted.kinds),
        "kinds": dict(Counter(row["kind"] for row in rows)),
        "pictures": len({row["file"] for row in rows if row["file"]}),
        "size": sum({row["file"]: row["size"] for row in rows if row["file"]}.values()),
        "quarantined": [row for row in rows if row["kind"] == "unknown"],
        "changes": _changes(state, rows),
        **{
            key: result[key]
            for key in ("faults", "skipped", "excluded", "requests", "bytes", "fetched", "kept")
        },
    }
    stem = out.with_name("crawl_report")
    write_json(stem.with_suffix(".json"), record)
    write_text(stem.with_suffix(".md"), report.summary(record))
    if record["complaint"]:
        raise LaureateError(
            f"{record['complaint']}; {stem.with_suffix('.md')} lists everything, {out} is as it was"
        )
    kept = Kept(state)
    store(rows, kept, out)
    portraits.write_manifest(state / portraits.MANIFEST, rows)
    kept.compact(name)
    excluded = sum(row["prizes"] for row in result["excluded"])
    by = " and ".join(sorted({row["by"] for row in result["excluded"]}))
    print(
        f"{record['pictures']} portraits in {out}"
        + (f", {excluded} prizes left out by {by}" if excluded else "")
        + f"; what was left out, and why: {stem.with_suffix('.md')}"
    )


def store(rows: list[Row], kept: Any, out: Path) -> None:
    """Make `out` anew: the manifest, and each picture once, its bytes as they were received."""
    with fresh_folder(out) as folder:
        for row in {row["file"]: row for row in rows if row["file"]}.values():
            write_bytes(folder / row["file"], kept.path(row["sha256"]).read_bytes())
        portraits.write_manifest(folder / portraits.MANIFEST, rows)


def _fetch(options: Any, name: str, lock: IO[str]) -> int:
    """Run the crawling process and show how far it is; gives the number of facts pages it asked for."""
    errors = Path(options.state) / "errors.txt"
    with (
        errors.open("w") as told,
        subprocess.Popen(
            [sys.executable, "-m", "crawler"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=told,
            pass_fds=(lock.fileno(),),  # so that nobody else crawls here while it is still there
            text=True,
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        asked = 0
        with suppress(BrokenPipeError), process.stdin as questions:  # when this closes, the process ends
            questions.write(f"{options.to_json()}\n{name}\n")
            questions.flush()
            steps = _steps(process.stdout)
            asked = next((step["total"] for step in steps if step["event"] == "pages"), 0)
            for _ in progress((step for step in steps if step["event"] == "page"), asked, "facts pages"):
                pass
            process.wait()
    if process.returncode:
        last = errors.read_text(errors="replace").strip().splitlines()[-1:] or [
            f"see {options.state}/crawl.log"
        ]
        raise LaureateError(f"the crawling process ended with status {process.returncode}: {last[0]}")
    return int(asked)


def _steps(lines: IO[str]) -> Iterator[dict[str, Any]]:
    """The steps that the crawling process tells, one line of JSON each."""
    for line in lines:
        yield json.loads(line)


def _read_result(path: Path, state: Path) -> dict[str, Any]:
    """The result of a crawl that came to its end. Raises LaureateError saying why it did not."""
    try:
        result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LaureateError(f"the crawl left no result: see {state}/crawl.log") from None
    if result["robots"]:
        raise LaureateError(
            f"robots.txt could not be read ({result['robots']}), so nothing may be fetched: try again later"
        )
    if result["reason"] != "finished":
        raise LaureateError(f"the crawl stopped before its end: {result['reason']}; run it again to go on")
    return result


def _name_of_crawl(state: Path, options: Any) -> str:
    """The name of the crawl: that of the one cut short here, if it was of this site, or a new one."""
    mark, site = state / "unfinished", options.known_as or options.site
    if mark.exists():
        name, _, before = mark.read_text(encoding="utf-8").partition(" ")
        if before == site:
            return name
    name = secrets.token_hex(8)
    write_text(mark, f"{name} {site}")
    return name


def _changes(state: Path, rows: list[Row]) -> dict[str, list[str]] | None:
    """Against the crawl before, None when this is the first."""
    if not (state / portraits.MANIFEST).exists():
        return None
    return report.changes(portraits.read_manifest(state / portraits.MANIFEST), rows)


def _options(wanted: Crawl, place: sites.Site, state: Path) -> Any:
    """The parameters, as the crawling process takes them."""
    from crawler.options import Options

    contact = f" (+{wanted.contact})" if wanted.contact else ""
    return Options(
        site=place.address,
        api=place.api,
        known_as=place.known_as,
        state=str(state),
        behind_proxy=not place.here,
        private=place.here,
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


def _bad_manners(wanted: Crawl, place: sites.Site) -> str | None:
    """What must change first: a site that is somebody else's is asked slowly, over https, by someone who can
    be reached."""
    if place.here:
        return None
    if not (place.address.startswith("https://") and place.api.startswith("https://")):
        return f"crawl.site and crawl.api must be https:// addresses, got {place.address}, {place.api}"
    if wanted.delay < 1:
        return f"crawl.delay must be at least 1 second for {place.address}, got {wanted.delay:g}"
    if not wanted.contact.strip():
        return (
            f"crawl.contact must say who asks {place.address}: a mail address or a page, for the user agent"
        )
    return None


def _first_requests(options: Any) -> str:
    """What a crawl would ask first, and how."""
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
        f"hosts: {', '.join(sorted(options.places))}",
        f"delay: {options.delay:g} s between requests, one at a time; robots.txt and Retry-After obeyed",
    ]
    return "\n".join(dict.fromkeys(lines))


def _span(years: tuple[int | None, int | None]) -> str:
    """(2012, None) => '2012 to now'."""
    first, last = years
    return f"{'the first year' if first is None else first} to {'now' if last is None else last}"


@contextmanager
def _alone(state: Path) -> Iterator[IO[str]]:
    """Hold the state folder for this crawl alone; waits a little for one that is just ending."""
    state.mkdir(parents=True, exist_ok=True)
    with (state / "lock").open("w") as lock:
        for _ in range(100):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.1)
        else:
            raise LaureateError(f"another crawl is at work in {state}: wait for it to end")
        yield lock


def _remove(path: Path) -> None:
    """Remove a file or a folder."""
    import shutil

    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
