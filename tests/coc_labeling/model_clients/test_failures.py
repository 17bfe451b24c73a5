import time

import pytest

from coc_labeling.model_clients.errors import ModelUnreachable, ModelUnusable, RequestRefused
from coc_labeling.model_clients.failures import bad_response, not_reached, refused_by_status, shown


def refused(status, body, headers=None):
    return refused_by_status("api.example", status, headers or {}, body, ["hunter2"], ["MY_KEY"])


def error(message="no", **fields):
    return {"message": message, **fields}


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (400, error("Unsupported parameter", param="seed"), RequestRefused, r"omit_parameters=\[seed\]"),
        (400, error("Unsupported parameter: 'top_p' is not supported"), RequestRefused, r"omit_parameters=\[top_p\]"),
        (400, error("use 'max_completion_tokens' instead of 'max_tokens'"), RequestRefused, "token_parameter="),
        (400, error("bad", param="response_format"), RequestRefused, "response_format=json_object"),
        (400, error("maximum context length is 4096"), RequestRefused, "fewer or smaller pictures"),
        (413, "<html>Request Entity Too Large</html>", RequestRefused, "fewer or smaller pictures"),
        (422, {"detail": "no good"}, RequestRefused, "no good"),
        (401, error(), ModelUnusable, "check MY_KEY"),
        (403, error(), ModelUnusable, "check MY_KEY"),
        (404, error("The model does not exist", code="model_not_found"), ModelUnusable, "model's name"),
        (400, error(code="model_not_found"), ModelUnusable, "no"),
        (429, error("quota", code="insufficient_quota"), ModelUnusable, "billing"),
        (429, error("quota", type="insufficient_quota"), ModelUnusable, "billing"),
        (307, None, ModelUnusable, "redirects are not followed"),
        (408, None, ModelUnreachable, "answered 408"),
        (409, None, ModelUnreachable, "answered 409"),
        (429, error("slow down"), ModelUnreachable, "slow down"),
        (500, "", ModelUnreachable, "answered 500"),
        (529, error(), ModelUnreachable, "answered 529"),
    ],
)
def test_status(status, body, kind, words):
    failure = refused(status, body)
    assert type(failure) is kind
    assert words.replace("\\", "") in str(failure)
    assert str(failure).startswith(f"api.example answered {status}")
    assert failure.status == status
    assert failure.retryable is (kind is ModelUnreachable)


def test_codes():
    assert refused(400, error(code="content_filter")).code == "content_filter"
    assert refused(400, error(code=400, type="BadRequestError")).code == "BadRequestError"
    assert refused(400, None).code == "http_400"
    assert refused(503, None, {"retry-after": "3"}).retry_after_s == 3.0


def test_foreign_text_is_made_harmless():
    text = shown("a\x1b[31m\nb\u202e key hunter2 sk-abcdef123456 Bearer x.y http://me:pw@h/ " + "z" * 1000, ["hunter2"])
    assert len(text) == 300
    for bad in ("\x1b", "\n", "\u202e", "hunter2", "abcdef", "x.y", "pw"):
        assert bad not in text


@pytest.mark.parametrize("before", [0, 290, 297, 1997, 1999, 29_997, 29_999])
@pytest.mark.parametrize("filling", ["x", " "])
def test_no_part_of_a_secret_is_shown(before, filling):
    """Wherever a text is cut, and however much of it vanishes."""
    for secret, secrets in (("hunter2", ["hunter2", "hunt"]), ("sk-abcdef123456", [])):
        text = filling * before + (" " if before else "") + secret
        for failure in (
            bad_response("h", "no JSON", text.encode(), secrets),
            bad_response("h", "no JSON", text, secrets),
            refused_by_status("h", 400, {}, {"message": text, "code": text, "param": text}, secrets, []),
            not_reached("h", OSError(text), secrets),
        ):
            assert "hun" not in str(failure) + failure.code
            assert "sk-a" not in str(failure) + failure.code


def test_long_texts_are_read_quickly():
    started = time.perf_counter()
    for unit in (" ", "x", "/", "//a", "Bearer ", "sk-"):
        shown(unit * 10_000_000, ["hunter2"])
    assert time.perf_counter() - started < 3


@pytest.mark.parametrize("shift", range(40))
def test_cut_of_long_texts_shows_no_part_of_a_key(shift):
    for secret in ("sk-abcdef123456", "nvapi-abcdef123456", "http://me:abcdef@h/", "hunter2abcdef"):
        text = " " * (29_960 + shift) + secret + " " * 1000
        assert "abc" not in shown(text, ["hunter2abcdef"])


def test_advice_repeats_no_secret():
    failure = refused_by_status(
        "h", 400, {}, {"message": "unknown field 'letmein'", "param": "letmein"}, ["letmein"], []
    )
    assert "letmein" not in str(failure)


def test_halves_of_characters_can_be_printed():
    shown("\ud800 x").encode()


def test_secret_at_the_edge_of_the_shown_part_is_masked():
    assert "hunt" not in shown("x" * 295 + "hunter2", ["hunter2"])
