import pytest

from coc_labeling.model_clients.credentials import PROVIDER_HOSTS
from coc_labeling.model_clients.egress import HTTPS_ONLY, EgressLog, allowed, check_host, is_loopback, split_url
from coc_labeling.model_clients.errors import EgressRefused, ModelUnusable


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "127.0.0.1", "127.8.9.1", "::1", "[::1]"])
def test_loopback(host):
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["localhost.example.com", "127.0.0.1.nip.io", "0.0.0.0", "10.0.0.1", "2130706433", "::2", ""]
)
def test_not_loopback(host):
    assert not is_loopback(host)


def test_allowed_host_and_port():
    assert allowed("GPU-2", 8000, ["gpu-2"])
    assert allowed("gpu-2", 8000, ["gpu-2:8000"])
    assert not allowed("gpu-2", 8001, ["gpu-2:8000"])
    assert not allowed("gpu-2.example.com", 8000, ["gpu-2"])


def test_refusal_says_what_to_add():
    with pytest.raises(EgressRefused, match=r"server_ip leads to gpu-2.*egress\.allow_hosts=\[gpu-2\]"):
        check_host("http://gpu-2:8000/v1", [], "server_ip")


@pytest.mark.parametrize(
    "url", ["gpu-2", "ftp://gpu-2", "http://", "http://a:99999", "http://[::1", "http://a:0", "http://a/v1?key=k"]
)
def test_no_address(url):
    with pytest.raises(ModelUnusable, match=r"base_url (is|has a query)"):
        split_url(url, "base_url")


@pytest.mark.parametrize("url", ["http://me:hunter2@gpu-2/v1", "http://me:hunt@er2@gpu-2:1/v1", "ftp://me:hunter2@a"])
def test_credentials_in_an_address_are_refused_unseen(url):
    with pytest.raises(ModelUnusable) as caught:
        split_url(url, "base_url")
    assert "hunter2" not in str(caught.value)
    assert "er2" not in str(caught.value)


@pytest.mark.parametrize("host", ["api.openai.com", "API.OpenAI.com.", "inference-api.nvidia.com:80"])
def test_providers_are_reached_encrypted_only(host):
    with pytest.raises(ModelUnusable, match=r"OPENAI_BASE_URL leads to .* in plain text; write https://"):
        check_host(f"http://{host}/v1", [host], "OPENAI_BASE_URL")
    check_host("https://api.openai.com/v1", ["api.openai.com"], "OPENAI_BASE_URL")
    assert set(PROVIDER_HOSTS.values()) == HTTPS_ONLY


def test_log():
    log = EgressLog()
    log.add("B", requests=1, n_bytes=10)
    log.add("b", images=2)
    log.add("a", requests=1)
    assert log.summary() == {
        "a": {"requests": 1, "images": 0, "bytes": 0},
        "b": {"requests": 1, "images": 2, "bytes": 10},
    }
