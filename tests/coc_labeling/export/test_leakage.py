import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders.driving import drive
from builders.exports import exported, filmed
from builders.pai import ego_parquet, write_chunk
from coc_labeling.errors import CocLabelingError
from coc_labeling.export.content import Content, parse_components
from coc_labeling.export.places import Place, read_places
from coc_labeling.export.repeats import Neighbours, Repeats, path_key
from coc_labeling.export.trajectory import Drive, Path

HOUR_US = 3_600_000_000
CLIPS = [f"clip-{n}" for n in range(8)]


def test_keys_in_two_splits_are_counted():
    repeats = Repeats()
    for text, split in (("a", 0), ("a", 1), ("b", 0), ("b", 0), ("c", 1)):
        repeats.add(text, split)
    assert (repeats.across, repeats.total) == (2, 5)
    assert Repeats().across == 0


@pytest.mark.parametrize(
    ("place", "near"),
    [
        (Place(48.0, 11.0, 0), True),
        (Place(48.0, 11.0, 2 * HOUR_US), False),
        (Place(48.0, 11.0, None), True),
        (Place(48.0008, 11.0, 0), True),  # 89 m
        (Place(48.0011, 11.0, 0), False),  # 122 m
        (Place(48.0, 11.0012, 0), True),  # 89 m
        (Place(48.0, 11.0016, 0), False),  # 119 m
    ],
)
def test_clips_near_each_other(place, near):
    neighbours = Neighbours()
    neighbours.add(Place(48.0, 11.0, 0), 0)
    neighbours.add(place, 1)
    assert neighbours.across() == 2 * near


def test_neighbours_in_one_split_are_none():
    neighbours = Neighbours()
    for _ in range(3):
        neighbours.add(Place(48.0, 180.0, 0), 1)
    assert (neighbours.across(), neighbours.total, neighbours.timed) == (0, 3, 3)


def test_whoever_stands_has_no_path_of_its_own():
    stands = Path(np.zeros((16, 3)), np.tile([0, 0, 0, 1.0], (16, 1)))
    assert path_key(Drive(stands, None)) is None


def test_the_same_recording_under_two_names_is_found(tmp_path):
    run = filmed(tmp_path, CLIPS)
    same = ego_parquet(drive(speed=8.0, yaw_rate=0.05))
    write_chunk(tmp_path / "data", dict.fromkeys(CLIPS, same))
    content = Content(parse_components("traj_history,prompt,cot"))
    result = exported(run, tmp_path / "out", "sft-chat", "sft=1,rl=1", content=content)
    assert (result.counts.leakage.paths.across, result.counts.leakage.paths.total) == (15, 15)
    assert "Same path: 15 of 15 labels" in (tmp_path / "out" / "README.md").read_text()
    assert any("recorded twice" in notice for notice in result.notices)


def metadata(root, **columns):
    (root / "data" / "metadata").mkdir()
    pq.write_table(pa.table({"clip_id": CLIPS, **columns}), root / "data" / "metadata" / "data_collection.parquet")


def test_the_same_place_and_time_is_found_where_metadata_tell(tmp_path):
    run = filmed(tmp_path, CLIPS)
    metadata(tmp_path, latitude=[48.0] * 7 + [None], longitude=[11.0] * 8, start_time_us=[0] * 8)
    result = exported(run, tmp_path / "out", splits="sft=1,rl=1")
    assert result.counts.leakage.neighbours.total == 7
    card = (tmp_path / "out" / "README.md").read_text()
    assert "7 of 7 clips whose place is known were recorded within 100 m" in card
    assert "Of 1 clips the place is not known." in card


def test_metadata_without_places_tell_none(tmp_path):
    run = filmed(tmp_path, CLIPS)
    metadata(tmp_path, country=["DE"] * 8)
    exported(run, tmp_path / "out")
    assert "Same place and time: **not checked.**" in (tmp_path / "out" / "README.md").read_text()


def test_damaged_metadata_are_named(tmp_path):
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "data_collection.parquet").write_bytes(b"no parquet")
    with pytest.raises(CocLabelingError, match="data_collection"):
        read_places(str(tmp_path))
