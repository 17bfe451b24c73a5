import numpy as np
import pytest

from builders.driving import drive
from driving_clips.datasets import DATASETS, open_dataset
from driving_clips.datasets.base import Discovery, Source, collect, cut
from driving_clips.ego_motion import EgoSamples, resample
from driving_clips.errors import ClipError, ClipRejectedError, DatasetError
from driving_clips.geometry import quat_of_yaw


def samples_of(d) -> EgoSamples:
    return EgoSamples(d.t_us, np.stack([d.x, d.y, 0 * d.x], axis=1), quat_of_yaw(d.yaw), None)


def cut_ids(d) -> list[str]:
    return [clip_id for clip_id, _ in cut("r", samples_of(d))]


def test_a_recording_of_twenty_seconds_keeps_its_id():
    assert cut_ids(drive(20.0)) == ["r"]


def test_a_longer_recording_is_cut_into_clips_named_by_their_start_second():
    assert cut_ids(drive(65.0)) == ["r-0", "r-20", "r-40", "r-60"]


def test_neighbouring_clips_share_the_tick_between_them():
    d = drive(60.0, hz=25, speed=lambda t: 5 + t / 10, yaw_rate=0.05)
    clips = [resample(samples) for _, samples in cut("r", samples_of(d))]
    assert [len(clip) for clip in clips] == [201, 201, 201]
    np.testing.assert_allclose(clips[0].xyz[-1], clips[1].xyz[0], atol=1e-9)
    np.testing.assert_allclose(clips[1].heading[-1], clips[2].heading[0], atol=1e-9)


def test_a_cut_clip_is_what_the_recording_is_at_that_time():
    d = drive(60.0, hz=25, speed=lambda t: 5 + t / 10)
    motion = resample(cut("r", samples_of(d))[1][1])
    np.testing.assert_allclose(motion.xyz[:, 0], np.interp(20 + motion.t_sec, d.t_us / 1e6, d.x), atol=1e-9)


@pytest.mark.parametrize(("rest", "labelled"), [(0.8, False), (0.9, True)])
def test_a_rest_under_ten_ticks_is_reported_and_a_longer_one_labelled(rest, labelled):
    clip_id, last = cut("r", samples_of(drive(20 + rest)))[-1]
    assert clip_id == "r-20"
    if labelled:
        assert len(resample(last)) == 10
    else:
        assert isinstance(last, ClipRejectedError)
        assert "last 0.80 s of r" in str(last)


def test_a_recording_that_begins_late_begins_with_the_clip_of_that_time():
    assert cut_ids(drive(30.0, start_us=25_000_000)) == ["r-20", "r-40"]


def test_a_hole_costs_only_the_clips_it_lies_in():
    d = drive(80.0)
    results = dict(cut("r", samples_of(d.rows((d.t_us < 25_000_000) | (d.t_us > 27_000_000)))))
    assert len(resample(results["r-0"])) == 201
    with pytest.raises(ClipRejectedError, match="no ego motion for"):
        resample(results["r-20"])
    assert len(resample(results["r-40"])) == 201


def test_one_wrong_timestamp_does_not_make_thousands_of_clips():
    d = drive(30.0)
    wrong = d.shifted(200_000_000_000).rows(slice(0, 1))
    both = EgoSamples(
        *(np.concatenate([getattr(samples_of(a), n) for a in (d, wrong)]) for n in ("t_us", "xyz", "quat")), None
    )
    assert len(cut("r", both)) < 10


def collected(*names: str) -> Discovery:
    discovery = Discovery()
    collect(discovery, [("g", Source(name, f"/data/{i}.csv")) for i, name in enumerate(names)])
    return discovery


@pytest.mark.parametrize("name", ["a", "2021-08-05", "a.b.c", "A_b-9", "_a", "-a", "x" * 200])
def test_legal_ids(name):
    assert collected(name).groups[0].sources[0].recording_id == name


@pytest.mark.parametrize("name", ["", ".a", "a b", "ä", "a/b", "a|b", "x" * 201, "a\n", "a:b"])
def test_illegal_ids_are_failures_that_name_the_file(name):
    discovery = collected(name, "good")
    (problem,) = discovery.problems.values()
    assert problem.reason == "illegal_id"
    assert "/data/0.csv" in str(problem)
    assert [source.recording_id for source in discovery.groups[0].sources] == ["good"]


def test_places_with_one_id_become_one_source():
    (source,) = collected("a", "a", "a").groups[0].sources
    assert source.path == "/data/0.csv"
    assert [repeat.path for repeat in source.repeats] == ["/data/1.csv", "/data/2.csv"]


def test_an_unknown_dataset_lists_the_known_ones(tmp_path):
    with pytest.raises(DatasetError, match=r"unknown dataset 'nuscenes'; known: pai, comma2k19, boreas, table"):
        open_dataset("nuscenes", str(tmp_path))


@pytest.mark.parametrize("name", DATASETS)
def test_a_missing_folder_is_named(name, tmp_path):
    with pytest.raises(DatasetError, match="nowhere: no such folder"):
        open_dataset(name, str(tmp_path / "nowhere"))


@pytest.mark.parametrize("name", DATASETS)
def test_an_empty_folder_is_no_dataset_and_the_message_says_what_is_expected(name, tmp_path):
    with pytest.raises(DatasetError, match="Expected"):
        open_dataset(name, str(tmp_path)).discover()


def test_clip_errors_travel_between_processes():
    import pickle

    error = pickle.loads(pickle.dumps(ClipRejectedError("hole", "a hole of 2 s")))
    assert isinstance(error, ClipError)
    assert (error.reason, str(error), error.outcome) == ("hole", "a hole of 2 s", "rejected")
