"""What leaves the machine, and where it may go."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from builders.commands import contents
from builders.driving import lively_drive
from builders.fake_openai import FakeOpenAI, Ok, Raw
from builders.model_runs import CAMERA, FPS, FRAMES, KEY, MANY, MOMENTS, ModelCommand, add_video, answer, small_video
from builders.table import write_csv
from builders.videos import number_of, times_of, write_video
from driving_clips import registry

START_US = 1_700_000_123_456_000  # a recording's own clock: 14 November 2023
TELLING = "munich_2023-11-14_car17"


def pictures_of(request) -> list[bytes]:
    found = []
    for message in request.json["messages"]:
        for part in message["content"]:
            if part["type"] == "image_url":
                head, _, data = part["image_url"]["url"].partition(",")
                assert head == "data:image/jpeg;base64"
                found.append(base64.b64decode(data))
    return found


def texts_of(request) -> str:
    return "\n".join(p.get("text", "") for m in request.json["messages"] for p in m["content"])


@pytest.fixture
def telling(model, tmp_path) -> ModelCommand:
    """The same command on a dataset whose names, paths and clock tell where and when it was recorded."""
    data = tmp_path / "data_of_customer_acme"
    write_csv(data, TELLING, lively_drive(1, start_us=START_US))
    times = times_of(FRAMES, float(FPS), START_US)
    write_video(data, small_video(), times, f"{TELLING}.{CAMERA}.mp4")
    return model


def test_no_name_path_or_time_of_the_recording_is_in_a_request(telling, server, tmp_path):
    server.answer = lambda request: answer()
    data = tmp_path / "data_of_customer_acme"
    moments = [(TELLING, frame) for frame in (10, 60, 190)]
    assert telling(moments, data__data_dir=str(data), log_json="true") == 0
    assert telling.asked == 3
    for request in server.requests:
        sent = texts_of(request) + json.dumps({k: v for k, v in request.json.items() if k != "messages"})
        sent += request.path + request.query + str({k: v for k, v in request.headers.items() if k != "authorization"})
        for private in (TELLING, "munich", "acme", str(tmp_path), ".mp4", "1700000", "2023"):
            assert private not in sent
        longest = max((len(found) for found in re.findall(r"\d+", texts_of(request))), default=0)
        assert longest < 5, "a number as long as a time stamp"


def test_two_clips_that_show_the_same_are_the_same_request(model, server, tmp_path):
    """Nothing tells clips apart but what they show."""
    data = tmp_path / "data"
    for clip_id in ("first", "second"):
        write_csv(data, clip_id, lively_drive(1))
        add_video(data, clip_id)
    assert model([("first", 60), ("second", 60)], data__data_dir=str(data), response_cache="false") == 0
    first, second = server.requests
    assert first.body == second.body
    assert first.headers.keys() == second.headers.keys()


def test_headers_tell_nothing_of_the_machine(model, server):
    assert model(MOMENTS[:1]) == 0
    (request,) = server.requests
    names = {"host", "accept", "connection", "content-type", "content-length", "user-agent", "authorization"}
    assert set(request.headers) == names
    assert request.headers["authorization"] == f"Bearer {KEY}"


def test_pictures_carry_nothing_but_pixels(model, server):
    assert model(MOMENTS[:2]) == 0
    for request in server.requests:
        pictures = pictures_of(request)
        assert len(pictures) == 16
        for picture in pictures:
            with Image.open(io.BytesIO(picture)) as image:
                assert image.format == "JPEG"
                assert len(image.getexif()) == 0
                assert not {"exif", "comment", "icc_profile", "xmp", "photoshop"} & set(image.info)
            segments = {picture[i + 1] for i in range(2, 400) if picture[i] == 0xFF and picture[i + 1] >= 0xE1}
            assert not {0xE1, 0xE2, 0xED, 0xFE} & segments, "APP1, APP2, APP13 or a comment"


def test_the_pictures_are_the_frames_at_the_told_times_in_their_order(model, server):
    assert model([("clip_1", 60)]) == 0
    (request,) = server.requests
    shown = [number_of(np.asarray(Image.open(io.BytesIO(picture)))) for picture in pictures_of(request)]
    assert shown == list(range(40, 120, 5))
    labels = re.findall(r"^t=(-?[\d.]+)s$", texts_of(request), re.M)
    assert [float(label) for label in labels] == [(number - 60) / FPS for number in shown]


ELSEWHERE = ["http://example.com/v1", "https://10.1.2.3:8000/v1", "http://localhost.example.com/v1"]


@pytest.mark.parametrize("base_url", ELSEWHERE)
def test_another_host_is_refused_before_anything_is_written_or_sent(model, server, capfd, base_url):
    before = contents(model.root)
    assert model(openai_compatible__base_url=base_url) == 2
    err = capfd.readouterr().err
    host = base_url.split("/")[2].partition(":")[0]
    assert f"egress.allow_hosts=[{host}]" in err
    after = contents(model.root)
    after.pop("keyframes.json")
    assert after == before
    assert not model.out.exists()
    assert server.requests == []


def test_servers_of_one_s_own_are_bound_by_the_same_rule(model, capfd):
    assert model(model_name="qwen3.5_35b", server_ip="10.1.2.3") == 2
    assert "egress.allow_hosts=[10.1.2.3]" in capfd.readouterr().err
    assert not model.out.exists()


def test_an_environment_cannot_move_a_provider_s_requests(model, capfd, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", "https://collector.example/v1")
    for name in ("NVHOST_OAI_CLIENT_ID", "NVIDIA_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    assert model(model_name="gpt5") == 2
    assert "egress.allow_hosts=[collector.example]" in capfd.readouterr().err
    assert not model.out.exists()


def test_a_redirect_to_another_host_is_not_followed(model, server):
    with FakeOpenAI() as other:
        server.default = Raw(b"", 307, {"location": f"{other.base_url}/chat/completions"})
        assert model() == 2
        assert other.requests == []


def test_the_summary_records_what_left(model, server):
    assert model() == 0
    sent = model.told()["egress"]
    assert list(sent) == ["127.0.0.1"]
    assert sent["127.0.0.1"]["images"] == sum(len(pictures_of(request)) for request in server.requests)


REDACTOR = """
import numpy as np


def blacken(picture, camera, t_us):
    return np.zeros_like(picture)


def fail(picture, camera, t_us):
    raise RuntimeError("no model of faces")
"""


@pytest.fixture
def redactor(tmp_path, monkeypatch):
    """A package of the user's with a redactor, installed where worker processes find it as well."""
    site = tmp_path / "site"
    info = site / "acme_redaction-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "acme_redaction.py").write_text(REDACTOR)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-redaction\nVersion: 1.0\n")
    entries = "black = acme_redaction:blacken\nfailing = acme_redaction:fail\n"
    (info / "entry_points.txt").write_text(f"[coc_labeling.redactors]\n{entries}")
    monkeypatch.syspath_prepend(str(site))
    registry._extensions.cache_clear()
    yield
    registry._extensions.cache_clear()


def test_a_redactor_changes_every_picture_before_it_leaves(redactor, spawning, server):
    server.default = Ok(answer())
    assert spawning(MOMENTS[:2], egress__redactor="black") == 0
    pictures = [picture for request in server.requests for picture in pictures_of(request)]
    assert len(pictures) == 32
    assert max(np.asarray(Image.open(io.BytesIO(picture))).max() for picture in pictures) < 5


def test_where_a_redactor_fails_nothing_leaves(redactor, model, server):
    assert model(egress__redactor="failing") == 2
    assert server.requests == []
    model.check()


def test_an_unknown_redactor_is_named_before_anything_is_sent(redactor, model, server, capfd):
    assert model(egress__redactor="blur") == 2
    err = capfd.readouterr().err
    assert "egress.redactor" in err
    assert "black, failing" in err
    assert server.requests == []
    assert not model.out.exists()


def test_a_dry_run_applies_the_redactor_too(redactor, model, server, capfd):
    def size() -> float:
        return float(re.search(r"([\d.]+) MB", capfd.readouterr().out)[1])

    assert model.dry_run(MANY) == 0
    whole = size()
    assert model.dry_run(MANY, egress__redactor="black") == 0
    assert size() < whole
