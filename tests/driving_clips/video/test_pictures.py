import io
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from builders.videos import number_of, times_of, video_bytes, write_video
from driving_clips.datasets.base import VideoLocation
from driving_clips.errors import ClipFailedError, DatasetError
from driving_clips.video.pictures import ImageSettings, redacted_frame, to_picture, to_rgb
from driving_clips.video.reading import VideoReader

PATCHES = {  # of the eight corners of the cube, none fully saturated
    "red": (220, 40, 40),
    "green": (40, 200, 40),
    "blue": (40, 40, 210),
    "yellow": (220, 210, 40),
    "cyan": (40, 200, 210),
    "magenta": (210, 40, 200),
    "white": (235, 235, 235),
    "grey": (90, 90, 90),
    "black": (16, 16, 16),
}
MATRICES = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 9: (0.2627, 0.0593)}  # weights of red and blue
MARKERS_ALLOWED = {0xD8, 0xE0, 0xDB, 0xC0, 0xC4, 0xDA, 0xD9}  # start, JFIF, tables, frame, tables, scan, end


def yuv_of(rgb, matrix: int, *, full: bool) -> tuple[int, int, int]:
    red, green, blue = (value / 255 for value in rgb)
    k_red, k_blue = MATRICES[matrix]
    y = k_red * red + (1 - k_red - k_blue) * green + k_blue * blue
    u, v = (blue - y) / (2 - 2 * k_blue), (red - y) / (2 - 2 * k_red)
    if full:
        return round(255 * y), round(128 + 255 * u), round(128 + 255 * v)
    return round(16 + 219 * y), round(128 + 224 * u), round(128 + 224 * v)


def patches(size, matrix: int, *, full: bool = False, flagged: bool = True) -> av.VideoFrame:
    """Encode the patches as H.264 in columns and return the decoded frame."""
    width, height = size
    planes = [np.zeros((height, width), np.uint8)] + [np.zeros((height // 2, width // 2), np.uint8) for _ in "uv"]
    for column, rgb in enumerate(PATCHES.values()):
        for plane, value in zip(planes, yuv_of(rgb, matrix, full=full), strict=True):
            step = plane.shape[1] / len(PATCHES)
            plane[:, round(column * step) : round((column + 1) * step)] = value
    array = np.concatenate([plane.ravel() for plane in planes]).reshape(height * 3 // 2, width)
    sink = io.BytesIO()
    with av.open(sink, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "5", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p" if full else "yuv420p"
        if flagged:
            stream.codec_context.colorspace = matrix
            stream.codec_context.color_range = 2 if full else 1
        frame = av.VideoFrame.from_ndarray(array, format=stream.pix_fmt)
        frame.pts, frame.time_base = 0, Fraction(1, 10)
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with av.open(io.BytesIO(sink.getvalue())) as container:
        return next(container.decode(video=0))


def colours(picture_or_rgb) -> dict[str, tuple[int, ...]]:
    rgb = picture_or_rgb
    if not isinstance(rgb, np.ndarray):
        rgb = np.asarray(Image.open(io.BytesIO(rgb.jpeg)).convert("RGB"))
    step, rows = rgb.shape[1] / len(PATCHES), slice(rgb.shape[0] // 4, rgb.shape[0] * 3 // 4)
    means = [
        rgb[rows, round((i + 0.3) * step) : round((i + 0.7) * step)].mean(axis=(0, 1)) for i in range(len(PATCHES))
    ]
    return dict(zip(PATCHES, means, strict=True))


CASES = {
    "709, flagged": ((576, 320), 1, {}),
    "709, HD that says nothing": ((1296, 720), 1, {"flagged": False}),
    "601, flagged": ((1296, 720), 5, {}),
    "601, small and says nothing": ((576, 320), 5, {"flagged": False}),
    "2020, flagged": ((576, 320), 9, {}),
    "709, full range": ((576, 320), 1, {"full": True}),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("max_side", [None, 290])
def test_colours_are_right(name, max_side):
    size, matrix, how = CASES[name]
    picture = to_picture(patches(size, matrix, **how), 0, 0, ImageSettings(quality=95, max_side=max_side))
    for colour, found in colours(picture).items():
        assert np.abs(found - PATCHES[colour]).max() <= 5, (colour, found)


@pytest.fixture(scope="module")
def frame():
    with av.open(io.BytesIO(video_bytes(2, size=(320, 180)))) as container:
        return next(container.decode(video=0))


def opened(picture) -> Image.Image:
    image = Image.open(io.BytesIO(picture.jpeg))
    assert image.size == (picture.width, picture.height)
    return image


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        (ImageSettings(), (320, 180)),
        (ImageSettings(max_side=160), (160, 90)),
        (ImageSettings(max_side=97), (97, 55)),
        (ImageSettings(max_side=None), (320, 180)),
        (ImageSettings(max_side=5000, max_pixels=10**8), (320, 180)),
        (ImageSettings(max_pixels=320 * 180 // 4), (160, 90)),
        (ImageSettings(max_side=1), (1, 1)),
    ],
)
def test_pictures_keep_their_shape_and_are_never_enlarged(frame, settings, size):
    assert opened(to_picture(frame, 0, 0, settings)).size == size


@pytest.mark.parametrize("pixels", [1, 2, 99, 1000, 12_345, 57_599])
def test_there_are_at_most_so_many_pixels(pixels):
    width, height = ImageSettings(max_side=None, max_pixels=pixels).size_of(320, 180)
    assert width * height <= max(pixels, 1)


@pytest.mark.parametrize("wrong", [{"quality": 0}, {"quality": 101}, {"max_side": 0}, {"max_pixels": -1}])
def test_wrong_settings_are_named(wrong):
    with pytest.raises(DatasetError, match=next(iter(wrong))):
        ImageSettings(**wrong)


def markers(jpeg: bytes) -> list[int]:
    found, place = [], 2
    while jpeg[place] == 0xFF:
        found.append(jpeg[place + 1])
        if jpeg[place + 1] == 0xDA:
            break
        place += 2 + int.from_bytes(jpeg[place + 2 : place + 4], "big")
    return found


@pytest.mark.parametrize("redact", [None, lambda rgb, camera, t_us: rgb])
def test_pictures_hold_no_metadata(frame, redact):
    picture = to_picture(frame, 0, 0, ImageSettings(max_side=100), redact)
    assert set(markers(picture.jpeg)) <= MARKERS_ALLOWED
    assert not opened(picture).getexif()
    assert set(opened(picture).info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_the_same_frame_gives_the_same_bytes(tmp_path):
    path = write_video(tmp_path, video_bytes(), times_of(60))
    place = VideoLocation("front", str(path), "", str(path).replace(".mp4", ".timestamps.parquet"))
    jpegs = []
    for indices in ([31], [5, 31, 59]):
        with VideoReader(place) as video:
            jpegs += [p.jpeg for p in video.pictures(indices, ImageSettings(max_side=100)) if p.index == 31]
    assert jpegs[0] == jpegs[1]


def test_pictures_of_a_video_know_their_place(tmp_path):
    path = write_video(tmp_path, video_bytes(), times_of(60, start_us=500))
    place = VideoLocation("front", str(path), "", str(path).replace(".mp4", ".timestamps.parquet"))
    with VideoReader(place) as video:
        pictures = list(video.pictures([7, 3]))
        assert [(p.index, p.t_us) for p in pictures] == [(3, int(video.t_us[3])), (7, int(video.t_us[7]))]
        assert [number_of(np.asarray(opened(p))) for p in pictures] == [3, 7]


def test_redaction_sees_the_full_picture_and_what_it_returns_is_shown(frame):
    seen = []

    def blacken(rgb, camera, t_us):
        seen.append((rgb.shape, rgb.dtype, camera, t_us))
        rgb[:, :160] = 0
        return rgb

    picture = to_picture(frame, 3, 99, ImageSettings(max_side=160), blacken, "front")
    assert seen == [((180, 320, 3), np.uint8, "front", 99)]
    pixels = np.asarray(opened(picture))
    assert pixels.shape == (90, 160, 3)
    assert pixels[:, :70].max() <= 12
    assert pixels[:, 90:].mean() > 50


@pytest.mark.parametrize(
    "wrong", [None, np.zeros((4, 4)), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 0, 3), np.uint8)]
)
def test_a_redaction_that_returns_no_picture_is_named(frame, wrong):
    with pytest.raises(
        ClipFailedError, match=r"redaction of front must return an array \(height, width, 3\)"
    ) as caught:
        to_picture(frame, 0, 0, ImageSettings(), lambda *_: wrong, "front")
    assert caught.value.reason == "redaction"


class Blur:
    """A redactor that is an object."""

    def __call__(self, rgb, camera, t_us):
        raise RuntimeError("no weights")


def unfinished(rgb, camera, t_us):
    """A redactor that is a function."""
    raise DatasetError("no weights")


@pytest.mark.parametrize(
    ("redact", "words"),
    [
        (Blur(), r"test_pictures\.Blur: RuntimeError: no weights"),
        (unfinished, r"\.unfinished: DatasetError: no weights"),
    ],
)
def test_a_redaction_that_fails_costs_its_clip_alone(frame, redact, words):
    with pytest.raises(ClipFailedError, match=words) as caught:
        to_picture(frame, 0, 0, ImageSettings(), redact, "front")
    assert caught.value.reason == "redaction"


@pytest.mark.parametrize("name", CASES)
def test_a_redacted_frame_keeps_its_colours(name):
    size, matrix, how = CASES[name]
    source = patches(size, matrix, **how)
    changed = redacted_frame(source, lambda rgb, camera, t_us: rgb, "front", 0)
    assert (changed.format.name, changed.width, changed.height) == ("yuv420p", *size)
    for colour, found in colours(to_rgb(changed)).items():
        assert np.abs(found - PATCHES[colour]).max() <= 5, (colour, found)


@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_a_video_that_asks_to_be_turned_is_turned(tmp_path, degrees):
    path = tmp_path / "turned.mp4"
    with av.open(io.BytesIO(video_bytes(2, size=(320, 180)))) as source, av.open(str(path), "w") as target:
        stream = source.streams.video[0]
        copied = target.add_stream_from_template(stream)
        copied.set_display_rotation(degrees)
        for packet in source.demux(stream):
            if packet.size:
                packet.stream = copied
                target.mux(packet)
    with VideoReader(VideoLocation("front", str(path))) as video:
        ((_, frame),) = video.frames([1])
        assert round(frame.rotation) % 360 == degrees % 360
        upright = to_rgb(frame)
        (picture,) = video.pictures([1])
    plain = frame.reformat(format="gray").to_ndarray()
    turned = np.rot90(plain, degrees // 90)
    assert upright.shape[:2] == turned.shape == (picture.height, picture.width)
    assert np.abs(upright.mean(axis=2) - turned).mean() < 25  # grey is limited-range, the picture is not
    assert np.corrcoef(upright.mean(axis=2).ravel(), turned.ravel())[0, 1] > 0.98
