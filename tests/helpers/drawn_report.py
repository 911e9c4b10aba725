"""A drawn study with its table, its advice and its report page, and a parser of that page."""

from html.parser import HTMLParser
from pathlib import Path

import pytest
from drawn_study import draw_study, name_pictures, write_metrics

VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """Tags, attributes and text of a page. Raises AssertionError where tags do not close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.data = "", ""
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["script"]:
            self.data += data
        else:
            self.text += data

    def all(self, tag: str, key: str) -> list[str]:
        """The values of an attribute of all tags of a name that have it."""
        return [str(attrs[key]) for name, attrs in self.tags if name == tag and key in attrs]


@pytest.fixture(scope="session")
def drawn_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a drawn study whose report is written; to be read only."""
    from laureate.config import params
    from laureate.stages import compare, report

    folder = draw_study(tmp_path_factory.mktemp("reported"))
    write_metrics(folder)
    name_pictures(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        compare.run(params.load())
        report.run(params.load())
    return folder


@pytest.fixture(scope="session")
def report_page(drawn_report: Path) -> Page:
    """Its page, parsed."""
    return Page((drawn_report / "metrics/report/index.html").read_text(encoding="utf-8"))
