"""The web application of reviews, served by a real server on the loopback, and people who use it."""

import json
import re
import threading
from html.parser import HTMLParser
from types import TracebackType
from typing import Any, Self

import httpx2
import uvicorn

from coc_labeling.review.store import ReviewStore, Role
from coc_labeling.review.web.access import Access
from coc_labeling.review.web.app import create_app
from coc_labeling.review.web.assets import Assets
from coc_labeling.review.web.context import Site
from coc_labeling.review.web.templates import environment
from coc_toolkit.review_command import Address, listen


class NoPictures:
    """Takes the place of the material: remembers what it was asked to make, shows nothing."""

    def __init__(self) -> None:
        self.warmed: list[tuple[str, int, bool]] = []

    def warm(self, clip_id: str, t_us: int, *, future: bool) -> None:
        self.warmed.append((clip_id, t_us, future))

    def scene(self, clip_id: str, t_us: int, *, future: bool) -> dict:
        return {"problems": []}

    def shows_future(self, number: int) -> bool:
        return True


class Served:
    """A site that is served while its context lasts."""

    def __init__(self, store: ReviewStore, run_dir: str, *hosts: str) -> None:
        store.add_person("dora", Role.ADMIN)
        self.store, self.material = store, NoPictures()
        self.access = Access(b"a secret of these tests alone....", run_dir)
        self.site = Site(store, self.material, self.access, environment(), run_dir, Assets.load())
        self._listening = listen(Address(port=0))
        self.port = self._listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        config = uvicorn.Config(create_app(self.site, hosts), access_log=False, log_config=None, ws="none")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listening]}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self._listening.close()
        self.store.close()

    def stranger(self) -> "Visitor":
        """Somebody who has not signed in."""
        return Visitor(self)

    def person(self, name: str) -> "Visitor":
        """Somebody who has opened their link."""
        visitor = Visitor(self)
        assert visitor.get(f"/?token={self.access.token(name)}").status_code == 303
        return visitor


class Visitor:
    """A browser without scripts: keeps cookies, follows no redirects."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.client = httpx2.Client(base_url=served.url, timeout=20)

    def get(self, path: str, **headers: str) -> httpx2.Response:
        return self.client.get(path, headers=headers)

    def page(self, path: str) -> "Seen":
        """Open a page that has to be there."""
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        return Seen(answer.text)

    def post(self, path: str, content: object = None, *, csrf: str | None = None, **headers: str) -> httpx2.Response:
        """Send JSON, with the proof of the session unless another one is given; an empty one is not sent."""
        proof = self.csrf if csrf is None else csrf
        given = {"Content-Type": "application/json", **({"X-CSRF-Token": proof} if proof else {}), **headers}
        body = content if isinstance(content, str) else json.dumps(content)
        return self.client.post(path, content=body, headers=given)

    def submit(self, path: str, *, csrf: str | None = None, **fields: str) -> httpx2.Response:
        """Send a form."""
        return self.client.post(path, data={"csrf": self.csrf if csrf is None else csrf, **fields})

    @property
    def csrf(self) -> str:
        return self.served.access.csrf(self.client.cookies.get(self.served.access.cookie, ""))


class Seen(HTMLParser):
    """A page: its words, links, and what its elements are."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html, self.words, self.links, self.elements = html, [], [], []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.links += [value for name, value in attrs if name in ("href", "action", "src") and value]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def said(self) -> str:
        """Its text with single spaces."""
        return re.sub(r"\s+", " ", " ".join(self.words))

    def fields(self) -> list[dict[str, Any]]:
        """Its form fields that people see."""
        return [
            {"tag": tag, **attributes}
            for tag, attributes in self.elements
            if tag in ("input", "select", "textarea") and attributes.get("type") != "hidden"
        ]
