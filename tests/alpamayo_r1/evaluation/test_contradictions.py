"""Sentences against their own trajectories: every one is listed, and pictures are shown only where they are safe."""

import base64
import io
import json
import os
import zlib

import pytest
from PIL import Image

from alpamayo_r1.evaluation import gallery, pictures
from alpamayo_r1.evaluation.contradictions import contradicted_scenes, contradiction_rows, write_contradictions
from alpamayo_r1.evaluation.evaluating import evaluate_files
from alpamayo_r1.evaluation.pictures import picture_path, picture_uri
from alpamayo_r1.evaluation.summarising import summarise
from builders.pages import Page
from builders.predicted import arc, made_up, scene_line, write_lines

LEFT = "Turn left at the junction."
CAFE = "Turn left at the caf\xe9 junction."


def evaluated(tmp_path, *lines):
    return evaluate_files(str(write_lines(tmp_path / "predictions.jsonl", lines)), "own", None)


def png(size=(40, 30), **info):
    buffer = io.BytesIO()
    Image.new("RGB", size, (200, 30, 30)).save(buffer, "PNG", **info)
    return buffer.getvalue()


@pytest.fixture
def scene(tmp_path):
    return evaluated(tmp_path, scene_line([arc(10.0, -0.02)], arc(), LEFT)).scenes[0]


def put(tmp_path, content, clip="clip", name="5100000.png"):
    path = tmp_path / "pictures" / clip / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_every_contradicted_sample_is_listed(tmp_path):
    own = evaluated(tmp_path, *made_up("comma2k19"))
    rows = list(contradiction_rows(own))
    against = [
        (scene.clip_id, scene.t0_us, sample)
        for scene in own.scenes
        for sample, fit in enumerate(scene.fits)
        if fit == "contradicted"
    ]
    assert len(against) > 20
    assert sorted({(row["clip_id"], row["t0_us"], row["sample"]) for row in rows}) == sorted(against)
    listed = contradicted_scenes(own)
    assert {own.scenes[row].key for rows in listed.values() for row in rows} == {one[:2] for one in against}
    said = summarise(own).by_said
    total = sum(round(group.measures["contradicted"].value * group.measures["contradicted"].n) for group in said)
    assert total == len(against)


def test_a_row_says_what_is_claimed_and_what_speaks_against_it(tmp_path):
    lines = [scene_line([arc(), arc(10.0, -0.02)] * 2, arc(), ["Drive on.", CAFE] * 2, sets=2)]
    own = evaluated(tmp_path, *lines)
    write_contradictions(str(tmp_path / "contradictions.jsonl"), [own])
    content = (tmp_path / "contradictions.jsonl").read_bytes()
    assert content.isascii()
    rows = [json.loads(line) for line in content.splitlines()]
    assert {(row["set"], row["sample"]) for row in rows} == {(0, 1), (1, 1)}
    row = rows[0]
    assert (row["sentence"], row["claim"], row["severity"]) == (CAFE, "turn left", 0.9)
    assert row["reason"] == "it says left, but ego steers only to the right in this window"
    assert row["decision"] == {"longitudinal": "none", "lateral": "turn left"}
    assert row["scenario"]["pace"] == "keeps its speed"
    assert (row["label"], row["picture"], row["line"]) == (None, None, 1)


def test_without_contradictions_the_file_is_empty(tmp_path):
    own = evaluated(tmp_path, scene_line([arc()], arc()))
    write_contradictions(str(tmp_path / "contradictions.jsonl"), [own])
    assert (tmp_path / "contradictions.jsonl").read_bytes() == b""
    assert contradicted_scenes(own) == {}


def test_a_picture_is_drawn_anew(tmp_path, scene):
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("Comment", "<script>alert(1)</script>")
    path = put(tmp_path, png((2000, 1000), pnginfo=info) + b"<script>")
    assert picture_path(scene) == str(path)
    uri = picture_uri(scene)
    content = base64.b64decode(uri.removeprefix("data:image/jpeg;base64,"))
    assert b"script" not in content
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.size) == ("JPEG", (900, 450))


def chunk(kind, data):
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


BOMB = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", bytes.fromhex("0000ea600000ea600802000000")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "content",
    [b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"GIF89a", png()[:60], png()[:-30], b"\x89PNG\r\n\x1a\n", BOMB],
    ids=["empty", "svg", "gif", "cut short", "without its end", "signature alone", "60,000 pixels wide and high"],
)
def test_what_is_no_sound_picture_is_left_out(tmp_path, scene, content):
    put(tmp_path, content)
    uri = picture_uri(scene)
    assert uri is None or uri.startswith("data:image/jpeg;base64,")
    if content != png()[:-30]:
        assert uri is None


def test_large_files_links_and_other_kinds_are_left_out(tmp_path, scene, monkeypatch):
    assert picture_path(scene) is None
    outside = tmp_path.parent / f"{tmp_path.name}-outside.png"
    outside.write_bytes(png())
    path = tmp_path / "pictures" / "clip" / "5100000.png"
    path.parent.mkdir(parents=True)
    path.symlink_to(outside)
    assert picture_path(scene) is None
    path.unlink()
    path.symlink_to(path)
    assert picture_path(scene) is None
    path.unlink()
    os.mkfifo(path)
    assert picture_path(scene) is None
    path.unlink()
    path.write_bytes(png())
    assert picture_uri(scene) is not None
    monkeypatch.setattr(pictures, "MOST_BYTES", 20)
    assert picture_path(scene) is None


def test_the_page_lists_what_it_does_not_picture(tmp_path):
    lines = [
        scene_line([arc(10.0, -0.02)] * 2, arc(), [LEFT, "Drive on." if n % 2 else LEFT], clip_id=f"clip{n:03}")
        for n in range(gallery.MOST_PICTURED + gallery.MOST_LISTED + 3)
    ]
    own = evaluated(tmp_path, *lines)
    (rows,) = contradicted_scenes(own).values()
    assert len(rows) == len(lines)
    assert [len(own.scenes[row].contradictions) for row in (rows[0], rows[-1])] == [4, 2]
    gallery.write_gallery(str(tmp_path / "contradictions.html"), [summarise(own)])
    page = Page((tmp_path / "contradictions.html").read_text())
    assert len(page.figures) == gallery.MOST_PICTURED
    assert f"{gallery.MOST_LISTED} further scenes" in page.said
    assert "3 more are in contradictions.jsonl alone" in page.said
    assert page.said.count("clip") >= gallery.MOST_PICTURED + gallery.MOST_LISTED


def test_who_says_nothing_has_no_share(tmp_path):
    (tmp_path / "silent").mkdir()
    says = evaluated(tmp_path, scene_line([arc(10.0, -0.02)], arc(), LEFT))
    silent = evaluated(tmp_path / "silent", scene_line([arc(10.0, -0.02)], arc(), ""))
    gallery.write_gallery(str(tmp_path / "contradictions.html"), [summarise(says), summarise(silent)])
    page = Page((tmp_path / "contradictions.html").read_text())
    assert "100.0 %" in page.said
    assert "0.0 %" not in page.said.replace("100.0 %", "")
