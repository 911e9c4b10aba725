"""The store of responses stays whole when a crawl is killed, and notices a damaged body."""

from pathlib import Path

from crawler.response_store import ResponseStore


def test_what_a_kill_leaves_half_written_is_taken_away(tmp_path: Path) -> None:
    kept = ResponseStore(tmp_path)
    kept.put("http://a/1", b"one", "image/jpeg", '"x"', "", "c")
    kept.put("http://a/2", b"two", "image/jpeg", "", "", "c")
    (tmp_path / "bodies/.abc.123.part").write_bytes(b"half")
    with (tmp_path / "index.jsonl").open("a") as index:
        index.write('{"address": "http://a/3", "sha2')
    again = ResponseStore(tmp_path)
    assert not list((tmp_path / "bodies").glob(".*"))
    assert again.find("http://a/3") is None
    entry = again.find("http://a/1")
    assert entry is not None
    assert again.path(entry.sha256).read_bytes() == b"one"
    again.put("http://a/3", b"three", "", "", "", "c")
    assert ResponseStore(tmp_path).find("http://a/3") is not None
    again.path(entry.sha256).write_bytes(b"eno")
    assert ResponseStore(tmp_path).find("http://a/1") is None
