"""Scene facts: what ego does, and what other road users are to it, from ego motion and obstacle tracks alone."""

from coc_labeling.scene.conflicts import Conflict, find_conflicts, walker_beside
from coc_labeling.scene.ego import Bend, find_bend, find_stop
from coc_labeling.scene.facts import SceneFacts, SeenTrack, facts_until_keyframe, scene_facts
from coc_labeling.scene.joining import joined_leads
from coc_labeling.scene.path import DrivenPath
from coc_labeling.scene.roles import Kind, Lead, Role
from coc_labeling.scene.side_moves import SideMove, side_moves
from coc_labeling.scene.sideways import Sideways, find_sideways
from coc_labeling.scene.traffic import TrafficLines, traffic_lines
from coc_labeling.scene.users import LEAD_RANGE_M

__all__ = [
    "LEAD_RANGE_M",
    "Bend",
    "Conflict",
    "DrivenPath",
    "Kind",
    "Lead",
    "Role",
    "SceneFacts",
    "SeenTrack",
    "SideMove",
    "Sideways",
    "TrafficLines",
    "facts_until_keyframe",
    "find_bend",
    "find_conflicts",
    "find_sideways",
    "find_stop",
    "joined_leads",
    "scene_facts",
    "side_moves",
    "traffic_lines",
    "walker_beside",
]
