import pytest

from coc_labeling.checks.work import told_facts

EGO, ALL = {"ego_motion", "timeline"}, {"ego_motion", "timeline", "tracks"}


@pytest.mark.parametrize(
    ("agent", "kept", "told"),
    [
        ("released", [], EGO),
        ("released", None, EGO),
        ("released", ["tracks"], {"tracks"}),
        (None, [], EGO),
        (None, None, EGO),
        ("RulesAgent", None, ALL),
        ("VlmAgent", None, EGO),
        ("VlmAgent", [], set()),
        ("VlmAgent", ["ego_motion"], {"ego_motion"}),
    ],
)
def test_nothing_counts_as_told_only_where_a_record_says_so(agent, kept, told):
    assert told_facts({"agent": agent, "told_facts": kept}) == told
