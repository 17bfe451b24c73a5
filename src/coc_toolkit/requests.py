"""``coc show-request`` on the terminal."""

import base64
import json

from batch_runs.outcomes import EXIT_FAILED
from batch_runs.terminal import complain, say
from coc_labeling.show_request import shortened, show_request


def _base64(picture: bytes) -> str:
    return base64.b64encode(picture).decode()


def print_requests(record: str, data_dir: str | None, video_dir: str | None, *, full: bool) -> int:
    """Print the requests behind a record; returns 1 where one is no longer what was sent.

    Raises:
        CocLabelingError, DatasetError: there is no request to show.
    """
    code = 0
    for shown in show_request(record, data_dir, video_dir):
        call = shown.call
        same = "the same as sent" if shown.same else "NOT the same as sent"
        complain(f"{call.purpose}: sha256 {call.request_hash}, {same}; answered {call.answer[:200]}")
        if not shown.same:
            complain("The video, the encoder or the configuration has changed since.")
            code = EXIT_FAILED
        say(json.dumps(shown.body if full else shortened(shown.body), indent=1, ensure_ascii=False, default=_base64))
    return code
