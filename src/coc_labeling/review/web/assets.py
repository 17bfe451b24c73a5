"""Style sheets and scripts, read once: no request reaches the disk for them.

The version in their path is a hash of all of them, so that browsers may keep them for good, modules that they import by
relative names included.
"""

import hashlib
from dataclasses import dataclass
from importlib.resources import files as package_files
from importlib.resources.abc import Traversable

from fastapi import APIRouter, HTTPException, Request, Response

TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
}
router = APIRouter()


@dataclass(frozen=True)
class Assets:
    """Files by their names below ``static``, and the version of all."""

    contents: dict[str, bytes]
    version: str

    @classmethod
    def load(cls) -> "Assets":
        """Read what the package has."""
        contents = dict(_below(package_files("coc_labeling.review.web") / "static", ""))
        digest = hashlib.sha256()
        for name, content in sorted(contents.items()):
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
        return cls(contents, digest.hexdigest()[:16])

    def url(self, name: str) -> str:
        """Return where a file is found, such as ``style.css``; raises KeyError where there is none."""
        self.contents[name]
        return f"/static/{self.version}/{name}"


@router.get("/static/{version}/{name:path}")
def asset(request: Request, version: str, name: str) -> Response:
    """Send a file; one that a page of another version asks for is not kept by the browser."""
    assets: Assets = request.app.state.site.assets
    content = assets.contents.get(name)
    if content is None:
        raise HTTPException(404, "There is no such file.")
    kept = "public, max-age=31536000, immutable" if version == assets.version else "no-store"
    media_type = TYPES[name.rpartition(".")[2]]
    return Response(content, media_type=media_type, headers={"Cache-Control": kept})


def _below(folder: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    found = []
    for entry in folder.iterdir():
        name = f"{prefix}{entry.name}"
        if entry.is_dir():
            found += _below(entry, f"{name}/")
        elif entry.name.rpartition(".")[2] in TYPES:
            found.append((name, entry.read_bytes()))
    return found
