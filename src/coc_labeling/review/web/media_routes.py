"""Scene, videos and frames of a task's window. What came after the keyframe is sent only once the store unlocks it."""

import re
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Request, Response
from fastapi.responses import JSONResponse

from coc_labeling.review.errors import NotAssignedError
from coc_labeling.review.material import MaterialError
from coc_labeling.review.phases import Phase
from coc_labeling.review.store import TaskView
from coc_labeling.review.web.context import Here, Person, Site, Someone, TaskNumber
from driving_clips import files
from driving_clips.file_parts import FilePart

router = APIRouter()

FrameNumber = Annotated[int, Path(ge=0, lt=1 << 31)]
_UNSTORED = {"Cache-Control": "no-store"}
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


@router.get("/tasks/{task}/scene.json")
def scene(task: TaskNumber, here: Here, person: Someone) -> JSONResponse:
    """Return what moves in the window, as far as the reviewer may see it now."""
    view = _opened(here, task, person)
    shown = here.material.scene(view.clip_id, view.t_us, future=view.state.future_unlocked)
    return JSONResponse(shown, headers=_UNSTORED)


@router.get("/tasks/{task}/history.mp4")
def history(task: TaskNumber, request: Request, here: Here, person: Someone) -> Response:
    """Return the video up to the keyframe."""
    return _video(here, _opened(here, task, person), request, future=False)


@router.get("/tasks/{task}/window.mp4")
def window(task: TaskNumber, request: Request, here: Here, person: Someone) -> Response:
    """Return the video of the whole window."""
    return _video(here, _unlocked(here, task, person), request, future=True)


@router.get("/tasks/{task}/frames/{number}.jpg")
def frame(task: TaskNumber, number: FrameNumber, here: Here, person: Someone) -> Response:
    """Return the picture of a sampled time."""
    way_in = _unlocked if here.material.shows_future(number) else _opened
    view = way_in(here, task, person)
    try:
        return Response(here.material.frame(view.clip_id, view.t_us, number), 200, _UNSTORED, "image/jpeg")
    except MaterialError as error:
        raise HTTPException(404, str(error)) from error


def _opened(here: Site, task: int, person: Person) -> TaskView:
    """Return a task whose history may be shown."""
    try:
        view = here.store.view(task, person.name)
    except NotAssignedError as error:
        raise HTTPException(404, str(error)) from error
    if view.state.phase is Phase.WAITING:
        raise HTTPException(403, f"Task {task} is not open yet: nothing of it is shown before. Start it first.")
    return view


def _unlocked(here: Site, task: int, person: Person) -> TaskView:
    """Return a task of which all may be shown."""
    view = _opened(here, task, person)
    if not view.state.future_unlocked:
        raise HTTPException(403, f"Task {task}: what came after the keyframe is shown once its history is judged.")
    return view


def _video(here: Site, view: TaskView, request: Request, *, future: bool) -> Response:
    try:
        path = here.material.video(view.clip_id, view.t_us, future=future)
    except MaterialError as error:
        raise HTTPException(404, str(error)) from error
    return _part_of(path, request.headers.get("range", ""))


def _part_of(path: str, asked: str) -> Response:
    """Return the bytes of a file that a Range header asks for: one range, else all (RFC 9110, 14.2)."""
    size = files.stamp(path).size
    headers = {**_UNSTORED, "Accept-Ranges": "bytes"}
    match = _RANGE.fullmatch(asked.strip())
    found = _range(match, size) if match else None
    if found is None:
        return Response(_read(path, 0, size), 200, headers, "video/mp4")
    first, last = found
    if first >= size:
        return Response(None, 416, {**headers, "Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    return Response(_read(path, first, last + 1 - first), 206, headers, "video/mp4")


def _range(match: re.Match[str], size: int) -> tuple[int, int] | None:
    """Return first and last byte, the last within the file; None where the header says nothing that holds."""
    first, last = match.groups()
    if not first:  # so many from the end
        return (max(0, size - int(last)) if int(last) else size, size - 1) if last else None
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last), size - 1) if last else size - 1


def _read(path: str, first: int, length: int) -> bytes:
    part = FilePart(path, first, length)
    try:
        return part.read()
    finally:
        part.close()
