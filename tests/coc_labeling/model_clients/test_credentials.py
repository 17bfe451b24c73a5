import pytest

from coc_labeling.model_clients.credentials import OAuthClient, hosted_access, key_from, with_version
from coc_labeling.model_clients.errors import ModelUnusable

AZURE = {"NVHOST_OAI_CLIENT_ID": "id-1", "NVHOST_OAI_CLIENT_SECRET": "secret-1"}
NVIDIA = {"NVIDIA_API_KEY": "nvapi-1"}
OPENAI = {"OPENAI_API_KEY": "sk-1"}


@pytest.mark.parametrize(
    ("environ", "provider", "base_url", "model_id"),
    [
        (
            AZURE | NVIDIA | OPENAI,
            "nvidia_azure",
            "https://prod.api.nvidia.com/llm/v1/azure/openai/deployments/gpt-5",
            "gpt-5",
        ),
        (NVIDIA | OPENAI, "nvidia", "https://inference-api.nvidia.com/v1", "us/azure/openai/gpt-5"),
        ({"NVHOST_OAI_CLIENT_ID": "half"} | OPENAI, "openai", "https://api.openai.com/v1", "gpt-5"),
    ],
)
def test_first_complete_set_wins(environ, provider, base_url, model_id):
    access, found = hosted_access("gpt-5", environ)
    assert (access.provider, access.base_url, found) == (provider, base_url, model_id)


def test_nvidia_names_and_overrides():
    assert hosted_access("gpt-5.5", NVIDIA)[1] == "openai/openai/gpt-5.5"
    changed = NVIDIA | {"NV_INFERENCE_URL": "https://elsewhere.example/", "NV_INFERENCE_MODEL": "mine"}
    access, model_id = hosted_access("gpt-5", changed)
    assert (access.base_url, model_id) == ("https://elsewhere.example/v1", "mine")


def test_openai_organisation_and_project():
    access, _ = hosted_access("gpt-5", OPENAI | {"OPENAI_ORG_ID": "org-1", "OPENAI_PROJECT": "proj-1"})
    assert access.headers == {"OpenAI-Organization": "org-1", "OpenAI-Project": "proj-1"}


def test_none_complete_lists_all_and_the_missing_half():
    with pytest.raises(ModelUnusable) as caught:
        hosted_access("gpt-5", {"NVHOST_OAI_CLIENT_ID": "id-1", "OPENAI_API_KEY": "  "})
    for name in (*AZURE, *NVIDIA, *OPENAI, "(NVHOST_OAI_CLIENT_SECRET is missing)"):
        assert name in str(caught.value)


def test_secrets_do_not_show():
    access, _ = hosted_access("gpt-5", AZURE)
    assert isinstance(access.key, OAuthClient)
    assert "secret-1" not in repr(access)
    assert "id-1" not in repr(access)
    assert set(access.secrets()) == {"id-1", "secret-1"}


@pytest.mark.parametrize("key", ["", " ", "sk-a b", "sk-ä", "sk-a\x00b", "sk-a\nb"])
def test_odd_keys_are_refused_unseen(key):
    with pytest.raises(ModelUnusable, match="MY_KEY") as caught:
        key_from({"MY_KEY": key}, "MY_KEY")
    assert "sk-" not in str(caught.value)


@pytest.mark.parametrize("name", ["sk-verysecret", "verysecret 1", "1verysecret", "verysecret=", "", "verysecret\n"])
def test_key_in_place_of_its_name_is_refused_unseen(name):
    with pytest.raises(ModelUnusable, match="api_key_env takes the name") as caught:
        key_from({}, name)
    assert "verysecret" not in str(caught.value)


def test_key_that_could_be_a_name_is_not_repeated():
    with pytest.raises(ModelUnusable, match=r"that openai_compatible\.api_key_env names is empty") as caught:
        key_from({}, "hf_verysecret")
    assert "verysecret" not in str(caught.value)
    assert key_from({"my_key": "k"}, "my_key").reveal() == "k"


def test_a_line_end_after_a_key_is_forgiven():
    assert key_from({"MY_KEY": "sk-1\n"}, "MY_KEY").reveal() == "sk-1"


def test_version_is_added_to_a_root_only():
    assert with_version("https://a.example/v1/", "x") == "https://a.example/v1"
    assert with_version("https://a.example", "x") == "https://a.example/v1"
