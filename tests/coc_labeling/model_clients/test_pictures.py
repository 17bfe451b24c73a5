import base64
import io

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from coc_labeling.errors import CocLabelingError
from coc_labeling.model_clients.pictures import data_uri

RGB = np.arange(64 * 48 * 3, dtype=np.uint32).astype(np.uint8).reshape(48, 64, 3)


def jpeg(**options) -> bytes:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0110] = "SECRET-CAMERA"
    Image.fromarray(RGB).save(buffer, "JPEG", exif=exif, comment=b"SECRET-COMMENT", **options)
    return buffer.getvalue()


def png() -> bytes:
    buffer = io.BytesIO()
    info = PngImagePlugin.PngInfo()
    info.add_text("Place", "SECRET-PLACE")
    Image.fromarray(RGB).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def decoded(uri: str) -> bytes:
    return base64.b64decode(uri.partition(",")[2])


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_loses_metadata_and_no_pixel(progressive):
    original = jpeg(progressive=progressive) + b"SECRET-VIDEO" * 10
    assert original.count(b"SECRET") == 12
    sent = decoded(data_uri(original))
    assert b"SECRET" not in sent
    np.testing.assert_array_equal(pixels(sent), pixels(original))


def test_png_loses_metadata_and_no_pixel():
    assert data_uri(png()).startswith("data:image/png;base64,")
    sent = decoded(data_uri(png()))
    assert b"SECRET" not in sent
    np.testing.assert_array_equal(pixels(sent), RGB)


def test_array_and_path(tmp_path):
    smooth = np.full((40, 60, 3), (200, 30, 90), np.uint8)
    sent = pixels(decoded(data_uri(smooth)))
    assert sent.shape == (40, 60, 3)
    assert abs(sent.astype(int) - smooth).max() < 6
    assert pixels(decoded(data_uri(smooth[..., 0]))).shape == (40, 60)
    (tmp_path / "a.jpg").write_bytes(jpeg())
    assert data_uri(tmp_path / "a.jpg") == data_uri(str(tmp_path / "a.jpg")) == data_uri(jpeg())


def test_cut_off_jpeg_is_survived():
    for length in range(3, len(jpeg()), 37):
        decoded(data_uri(jpeg()[:length]))


def test_data_uri_passes():
    assert data_uri("data:image/jpeg;base64,AAAA") == "data:image/jpeg;base64,AAAA"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"GIF89a", "neither a JPEG nor a PNG"),
        (b"", "neither a JPEG nor a PNG"),
        (RGB.astype(float), "uint8"),
        (RGB[..., :2], "uint8 of shape"),
        (np.zeros((0, 4, 3), np.uint8), "uint8 of shape"),
        ("/no/such.jpg", "/no/such.jpg: cannot read"),
        ("https://example.com/a.jpg", "cannot read"),
        ("x" * 100_000, "cannot read"),
        (None, "not NoneType"),
    ],
)
def test_no_picture(content, words):
    with pytest.raises(CocLabelingError, match=words) as caught:
        data_uri(content)
    assert len(str(caught.value)) < 400
