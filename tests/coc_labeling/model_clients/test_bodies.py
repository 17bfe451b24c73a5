import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coc_labeling.model_clients.bodies import to_bytes

urls = st.sampled_from(["data:image/jpeg;base64,AA+/=", "data:image/png;base64,", 'data:image/"\\\n', "data:,x", "ä"])
parts = st.builds(lambda text: {"type": "text", "text": text}, st.text()) | st.builds(
    lambda url: {"type": "image_url", "image_url": {"url": url, "detail": "low"}}, urls
)
messages = st.lists(
    st.builds(lambda content: {"role": "user", "content": content}, st.text() | st.lists(parts, max_size=4))
)


@given(messages)
def test_bytes_say_what_the_body_says(messages):
    body = {"model": "m", "messages": messages, "seed": 1}
    data, n_images = to_bytes(body)
    assert json.loads(data) == body
    assert data.isascii()
    assert n_images == sum(part["type"] == "image_url" for m in messages if isinstance(m["content"], list)
                           for part in m["content"])  # fmt: skip


def test_no_number_is_refused():
    with pytest.raises(ValueError, match="JSON"):
        to_bytes({"messages": [], "temperature": float("nan")})
