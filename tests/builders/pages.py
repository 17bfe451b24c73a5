"""Reports as a browser would see them."""

import base64
from html.parser import HTMLParser
from pathlib import Path

from coc_labeling.report import build_report


class Page(HTMLParser):
    """What a browser would see: tags, links, pictures, the policy, the text."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.handlers: list[str] = []
        self.policy = ""
        self.text = ""
        self.feed(content)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "srcset", "action", "data", "poster"):
                self.links.append(value)
            if name.startswith("on"):
                self.handlers.append(name)
        if ("http-equiv", "Content-Security-Policy") in attrs:
            self.policy = dict(attrs)["content"]

    def handle_data(self, data):
        self.text += f"{data} "

    @property
    def said(self) -> str:
        """The text with single spaces."""
        return " ".join(self.text.split())

    @property
    def figures(self) -> list[str]:
        """The SVG pictures."""
        prefix = "data:image/svg+xml;base64,"
        return [link for link in self.links if link.startswith(prefix)]


def report(tmp_path, *runs, sample=12) -> Page:
    """Write the report of some runs and return its page."""
    path = build_report([str(run) for run in runs], str(tmp_path / "out" / "report.html"), sample)
    return Page(Path(path).read_text())


def svg(uri: str) -> str:
    """Return the drawing of a figure."""
    return base64.b64decode(uri.split(",", 1)[1]).decode()
