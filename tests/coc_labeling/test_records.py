import pytest
import yaml
from hypothesis import given, settings

from builders.golden import TESTS
from builders.records import HOSTILE, full_record, plain_record, records, two_stage_record
from coc_labeling.errors import RecordError
from coc_labeling.records import UPGRADES, from_yaml, to_yaml, upgrade
from coc_labeling.schema import (
    SCHEMA_VERSION,
    CoCLabel,
    ModelCall,
    PromptMessage,
    Record,
    Repair,
    Usage,
    abstain,
    released_content,
)

FOLDER = TESTS / "data" / "records"
CLIP = "b6700354-ab89-45ec-8b47-7d6dbfe16b1a"


def golden(name: str) -> str:
    return (FOLDER / f"{name}.yaml").read_text()


def record(label: CoCLabel) -> Record:
    return Record(
        clip_id="clip",
        event_start_frame=0,
        event_start_timestamp=0,
        final_content=released_content(label),
        label=label,
    )


@settings(max_examples=60, deadline=None)
@given(records())
def test_what_is_written_is_read_back_equal(own):
    content = to_yaml(own).encode().decode("utf-8-sig")  # as files.read_text reads it
    assert from_yaml(content, "file", own.clip_id) == own


@pytest.mark.parametrize("text", HOSTILE)
def test_text_that_looks_like_yaml_stays_text(text):
    own = record(CoCLabel(trace=text, effect_on_ego_behavior=f"{text} Stop."))
    assert from_yaml(to_yaml(own), "file").label == own.label


@pytest.mark.parametrize("text", HOSTILE)
def test_other_readers_of_yaml_see_the_same_sentence(text):
    own = record(CoCLabel(effect_on_ego_behavior=f"{text} Stop."))
    content = yaml.load(to_yaml(own), Loader=yaml.SafeLoader)
    assert content["results"]["final_content"]["ego_behavior_schema"]["effect_on_ego_behavior"] == f"{text} Stop."


def test_an_abstention_is_read_back():
    own = record(abstain("no_frames", "no video: all of it"))
    assert from_yaml(to_yaml(own), "file") == own


def test_a_sentence_that_is_no_unicode_is_refused_before_it_is_written():
    with pytest.raises(ValueError, match="unicode"):
        CoCLabel(effect_on_ego_behavior="half a \ud83d pair")


def test_today_s_version_is_written_to_the_byte():
    assert to_yaml(two_stage_record()) == golden("v3")


def test_today_s_version_is_read():
    assert from_yaml(golden("v3"), "v3.yaml", CLIP) == two_stage_record()


def test_records_of_before_told_facts_were_kept_say_what_their_agent_is_told():
    assert from_yaml(golden("v2"), "v2.yaml", CLIP) == two_stage_record()


def test_records_of_before_there_were_two_stages_are_read_as_they_are():
    assert from_yaml(golden("v1"), "v1.yaml", CLIP) == full_record()


def test_records_of_before_there_were_calls_are_read_as_they_are():
    assert from_yaml(golden("v1_without_calls"), "v1_without_calls.yaml", CLIP) == plain_record()


def test_people_read_prompts_line_by_line():
    written = to_yaml(full_record())
    assert (
        "  - role: system\n    m_type: text\n    content: |\n      # Task\n      You label recorded driving.\n"
        in written
    )
    assert "    content: |-\n      t=-1.98s [a.front.mp4, index=318, ts=10617000]\n" in written


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_is_said_to_a_model_or_by_it_is_read_back(text):
    own = plain_record().model_copy(
        update={
            "prompt": (PromptMessage(role="system", m_type="text", content=text),),
            "calls": (ModelCall(purpose="label", request_hash="1e", max_tokens=9, answer=text),),
            "repair": Repair(outcome="failed", reasons=(text,), before=text, after=f"{text}\n{text}"),
        }
    )
    content = to_yaml(own).encode().decode("utf-8-sig")
    assert from_yaml(content, "file") == own
    seen = yaml.load(content, Loader=yaml.SafeLoader)["results"]
    assert (seen["prompt"][0]["content"], seen["calls"][0]["answer"]) == (text, text)


def test_the_released_nested_form_is_read():
    own = from_yaml(golden("v0_nested"), "v0_nested.yaml", CLIP)
    assert (own.schema_version, own.clip_id) == (SCHEMA_VERSION, CLIP)
    assert (own.event_start_frame, own.event_start_timestamp) == (126, 12_600_000)
    assert own.label == CoCLabel(effect_on_ego_behavior="Keep distance to the lead vehicle by decelerating.")
    assert own.provenance.agent == "released"


def test_the_released_flat_form_is_read_with_its_prompt_and_tokens():
    own = from_yaml(golden("v0_flat"), "v0_flat.yaml", CLIP)
    assert own.label.effect_on_ego_behavior == "Stop behind the lead vehicle."
    assert own.provenance.prompt_version == "coc_autolabeling_release"
    assert own.usage == Usage(prompt_tokens=1, response_tokens=2, reasoning_tokens=3)
    assert (own.calls, own.repair) == ((), None)
    assert [(m.role, m.m_type) for m in own.prompt] == [("system", "text"), ("user", "video")]
    assert own.prompt[1].content == "[front.mp4, index=318, ts=10600000]"


@pytest.mark.parametrize("name", ["v0_nested", "v0_flat", "v1_without_calls", "v1", "v2"])
def test_an_upgraded_record_is_written_as_today_s(name):
    own = from_yaml(golden(name), name, CLIP)
    assert from_yaml(to_yaml(own), name) == own


def test_every_version_has_a_golden_record():
    there = {path.stem.split("_")[0] for path in FOLDER.glob("*.yaml")}
    assert there == {f"v{version}" for version in range(SCHEMA_VERSION + 1)}


def test_every_version_leads_to_today_s():
    assert set(UPGRADES) == set(range(SCHEMA_VERSION))


def test_upgrading_leaves_what_it_was_given_alone():
    old = yaml.safe_load(golden("v0_nested"))["results"]
    before = yaml.safe_dump(old)
    upgrade(old, "file")
    assert yaml.safe_dump(old) == before


@pytest.mark.parametrize("sentence", ["null", '""', '"null"', '"N/A"', "[]", "{}", "7"])
def test_a_released_record_that_says_nothing_is_an_abstention(sentence):
    text = golden("v0_nested").replace('"Keep distance to the lead vehicle by decelerating."', sentence)
    assert from_yaml(text, "file", CLIP).label.abstention.reason == "empty_answer"


@pytest.mark.parametrize("content", ["null", "[]", "{}", "a text", "{ego_behavior_schema: null}"])
def test_a_released_record_without_content_is_an_abstention(content):
    text = f"results: {{event_start_frame: 1, event_start_timestamp: 100000, final_content: {content}}}"
    assert from_yaml(text, "file", CLIP).label.abstention.reason == "empty_answer"


def test_a_released_record_needs_its_clip_from_the_folder():
    with pytest.raises(RecordError, match=r"v0_nested\.yaml: not a valid record: clip_id"):
        from_yaml(golden("v0_nested"), "v0_nested.yaml")


@pytest.mark.parametrize("sentence", ["Stop behind the lead vehicle.", "null"])
@pytest.mark.parametrize("lacking", ["", "frame", "timestamp", "frame timestamp", "null"])
def test_a_released_record_has_its_keyframe_from_its_file_s_name(lacking, sentence):
    lines = golden("v0_flat").replace('"Stop behind the lead vehicle."', sentence).splitlines()
    kept = [line for line in lines if not any(line.startswith(f"event_start_{name}:") for name in lacking.split())]
    if lacking == "null":
        kept = [f"{line.partition(':')[0]}: null" if line.startswith("event_start_") else line for line in lines]
    own = from_yaml("\n".join(kept), "cot_12600000.yaml", CLIP, 12_600_000)
    assert (own.event_start_frame, own.event_start_timestamp) == (126, 12_600_000)
    assert own.label.effect_on_ego_behavior == (None if sentence == "null" else sentence)


def test_a_frame_that_is_not_that_of_the_timestamp_is_refused():
    with pytest.raises(RecordError, match="event_start_frame 126 is not event_start_timestamp 500000"):
        from_yaml(golden("v0_flat").replace("12600000", "500000"), "cot_500000.yaml", CLIP, 500_000)


def test_what_is_missing_is_called_missing():
    text = "final_content: {ego_behavior_schema: {effect_on_ego_behavior: Stop.}}"
    with pytest.raises(RecordError, match=r"event_start_frame: missing; event_start_timestamp: missing\.$"):
        from_yaml(text, "cot_x.yaml", CLIP)


def test_a_record_of_ours_says_its_keyframe_itself():
    text = golden("v3").replace("  event_start_timestamp: 12600000\n", "")
    with pytest.raises(RecordError, match="event_start_timestamp: missing"):
        from_yaml(text, "cot_12600000.yaml", CLIP, 12_600_000)


@pytest.mark.parametrize("version", ["4", "99", "-1", "'1'", "null", "[1]", "{a: 1}", "1.5"])
def test_a_version_of_the_future_is_named(version):
    text = golden("v1").replace("schema_version: 1", f"schema_version: {version}", 1)
    with pytest.raises(RecordError, match=r"v1\.yaml: schema_version is .* reads 0 \(released tool\) to 3"):
        from_yaml(text, "v1.yaml")


def test_a_record_of_another_clip_is_refused():
    with pytest.raises(RecordError, match="the file belongs to clip 'other'"):
        from_yaml(golden("v1"), "v1.yaml", "other")


def test_what_is_wrong_is_named_with_file_and_field():
    text = golden("v1").replace("decision: follow_lead", "decision: fly")
    with pytest.raises(RecordError, match=r"cot_1\.yaml: not a valid record: label\.longitudinal\.decision"):
        from_yaml(text, "cot_1.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "just text",
        "[1, 2]",
        "7",
        "null",
        "results: [1]",
        "results: null",
        "results:\n  a: 'torn",
        "a: b: c",
        "\x00\x01\x02",
        "\t- tab",
        "{",
        "&a [*a]",
        "&a {results: *a}",
        "? [a, b]\n: c",
        "!!binary R0lGODlh",
        "%YAML 9.9",
        "results: {event_start_frame: .nan, event_start_timestamp: 1}",
        "results: {event_start_frame: 2026-11-21, event_start_timestamp: x}",
        "results: {1: 2, event_start_frame: 0}",
        "results: {prompt: {a: 1}, event_start_frame: true, event_start_timestamp: 0}",
        "results: 0x",
        "results: 2026-99-99",
        f"results: {{event_start_frame: {'9' * 5000}, event_start_timestamp: 0}}",
        "--- {}\n--- {}",
    ],
)
def test_text_that_is_no_record_is_an_error_that_names_the_file(text):
    with pytest.raises(RecordError, match=r"^cot_1\.yaml: "):
        from_yaml(text, "cot_1.yaml", "clip")


@pytest.mark.parametrize("usage", ["7", "null", "[1]", "{prompt_tokens: many, other: 1}"])
def test_odd_token_counts_of_a_released_record_count_as_none(usage):
    text = golden("v0_flat").replace("{prompt_tokens: 1, response_tokens: 2, reasoning_tokens: 3}", usage)
    assert from_yaml(text, "file", CLIP).usage.prompt_tokens == 0


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.system", "!!python/object/new:os.system", "!!python/name:os.system", "!own"]
)
def test_python_tags_are_an_error_and_run_nothing(tag, tmp_path):
    proof = tmp_path / "executed"
    with pytest.raises(RecordError):
        from_yaml(f"results: {tag} ['touch {proof}']", "cot_1.yaml")
    assert not proof.exists()


def test_yaml_aliases_are_refused_before_they_unfold():
    bomb = "a: &a [x, x]\nb: &b [*a, *a]\nresults: {prompt: [*b, *b]}\n"
    with pytest.raises(RecordError, match="aliases"):
        from_yaml(bomb, "cot_0.yaml", "clip")


def test_a_sentence_with_asterisks_is_no_alias():
    text = 'final_content: {ego_behavior_schema: {effect_on_ego_behavior: "Stop - *now* , *please*"}}\n'
    record = from_yaml(f"event_start_frame: 0\nevent_start_timestamp: 0\n{text}", "cot_0.yaml", "clip")
    assert record.label.effect_on_ego_behavior == "Stop - *now* , *please*"
