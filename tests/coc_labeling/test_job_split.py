import re

import pytest

from builders.runs import config, write_keyframes
from coc_labeling.errors import CocLabelingError
from coc_labeling.job_split import experiment_path, group_names, split_jobs
from coc_labeling.results import CONFIG, new_experiment

MOMENTS = {"stop": [("a", 30)]}


class Groups:
    """Roots with folders and keyframe files for groups a and b."""

    def __init__(self, root) -> None:
        self.root = root
        self.out = root / "experiments"
        for name in "ab":
            for kind in ("data", "meta", "video"):
                (root / kind / name).mkdir(parents=True)
            (root / "keyframes").mkdir(exist_ok=True)
            write_keyframes(root / "keyframes" / f"{name}.json", MOMENTS)

    def config(self, job_split_id="a-b", **settings):
        default = {
            "model_name": "rules",
            "exp_name": "night",
            "output_root": str(self.out),
            "data__data_dir_root": str(self.root / "data"),
            "data__meta_action_dir_root": str(self.root / "meta"),
            "data__video_dir_root": str(self.root / "video"),
            "data__cache_dir_root": str(self.root / "cache"),
            "data__segment_config_dir": str(self.root / "keyframes"),
        }
        return config(job_split_id=job_split_id, **(default | settings))

    def begin(self, job):
        """Make the folder that labelling a group leaves."""
        folder = self.out.parent / experiment_path(job)
        folder.mkdir(parents=True)
        (folder / CONFIG).write_text("{}")
        return folder


@pytest.fixture
def groups(tmp_path):
    return Groups(tmp_path)


def test_a_run_without_groups_stays_as_it_is():
    plain = config()
    assert split_jobs(plain) == [plain]


def test_each_group_has_its_own_inputs(groups):
    root = groups.root
    for name, job in zip("ab", split_jobs(groups.config()), strict=True):
        assert job.data.data_dir == str(root / "data" / name)
        assert job.data.meta_action_dir == str(root / "meta" / name)
        assert job.data.video_dir == str(root / "video" / name)
        assert job.data.cache_dir == str(root / "cache" / name)
        assert job.data.segment_config_path == str(root / "keyframes" / f"{name}.json")
        assert job.data.data_dir_root is job.data.segment_config_dir is None


def test_a_key_without_root_is_the_same_for_all_groups(groups):
    jobs = split_jobs(
        groups.config(data__video_dir_root=None, data__video_dir="/videos", data__segment_config_dir=None)
    )
    assert [job.data.video_dir for job in jobs] == ["/videos", "/videos"]
    assert {job.data.segment_config_path for job in jobs} == {config().data.segment_config_path}


def test_groups_are_written_below_one_folder_of_the_model(groups):
    paths = [experiment_path(job) for job in split_jobs(groups.config())]
    folder = re.escape(str(groups.out / "cot_data_rules"))
    assert re.fullmatch(rf"{folder}/\d{{8}}_\d{{6}}_night/a", paths[0])
    assert paths[1] == paths[0][:-1] + "b"


def test_splitting_writes_nothing(groups):
    split_jobs(groups.config())
    assert not groups.out.exists()


def test_two_runs_within_a_second_have_a_folder_each(groups):
    first = groups.begin(split_jobs(groups.config())[0])
    second = experiment_path(split_jobs(groups.config())[0])
    assert str(first) != second


def test_a_model_s_name_is_one_folder(groups):
    job = split_jobs(groups.config(model_name="org/../model"))[0]
    assert job.output_root.startswith(str(groups.out / "cot_data_org_.._model") + "/")


def test_one_group_is_a_split_too(groups):
    (job,) = split_jobs(groups.config("b"))
    assert experiment_path(job).endswith("_night/b")


@pytest.mark.parametrize("spelling", ["absolute", "name", "below the output root"])
def test_a_group_is_resumed_and_one_that_had_not_begun_is_created(groups, spelling):
    begun = groups.begin(split_jobs(groups.config())[0])
    folder = begun.parent
    named = {"absolute": str(folder), "name": folder.name, "below the output root": f"cot_data_rules/{folder.name}"}
    jobs = split_jobs(groups.config(resume_exp_dir=named[spelling]))
    assert [experiment_path(job) for job in jobs] == [str(begun), str(folder / "b")]


def test_a_folder_to_resume_that_is_not_there_is_named(groups):
    with pytest.raises(CocLabelingError, match=r"resume_exp_dir=gone: no such folder, .*cot_data_rules"):
        split_jobs(groups.config(resume_exp_dir="gone"))


def test_an_experiment_without_groups_cannot_be_resumed_with_them(groups):
    folder = groups.begin(split_jobs(groups.config())[0])
    with pytest.raises(CocLabelingError, match="is an experiment without groups"):
        split_jobs(groups.config(resume_exp_dir=str(folder)))


def test_a_folder_of_other_things_cannot_be_resumed(groups):
    with pytest.raises(CocLabelingError, match="holds no experiment"):
        split_jobs(groups.config(resume_exp_dir=str(groups.root)))


def test_a_group_s_folder_with_other_things_is_not_written_to(groups):
    begun = groups.begin(split_jobs(groups.config())[0])
    (begun.parent / "b").mkdir()
    (begun.parent / "b" / "mine.txt").write_text("")
    job = split_jobs(groups.config(resume_exp_dir=str(begun.parent)))[1]
    with pytest.raises(CocLabelingError, match="no experiment in this folder"):
        experiment_path(job)


def test_a_plain_run_has_the_folder_it_always_had(groups):
    plain = config(output_root=str(groups.out), exp_name="night")
    assert experiment_path(plain) == new_experiment(str(groups.out), "night")


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        ("a--b", "found ''"),
        ("", "found ''"),
        ("a-", "found ''"),
        ("a-../b", "found '../b'"),
        ("a-.b", "found '.b'"),
        ("a-b c", "found 'b c'"),
        ("a-b-a", "named more than once: a"),
    ],
)
def test_names_that_cannot_be_groups_are_refused(groups, names, complaint):
    with pytest.raises(CocLabelingError, match=rf"job_split_id={re.escape(names)}: .*{re.escape(complaint)}"):
        split_jobs(groups.config(names))


def test_groups_keep_their_order():
    assert group_names("b-a-0.1_x") == ("b", "a", "0.1_x")


def test_roots_without_groups_are_refused(groups):
    with pytest.raises(CocLabelingError, match=r"data\.data_dir_root.*data\.segment_config_dir: no effect without"):
        split_jobs(groups.config(None))


def test_all_that_is_missing_is_named_at_once(groups):
    (groups.root / "video" / "b").rmdir()
    with pytest.raises(CocLabelingError) as error:
        split_jobs(groups.config("a-b-c"))
    missing = ["video/b (video_dir)", "data/c (data_dir)", "meta/c (meta_action_dir)", "keyframes/c.json (keyframes)"]
    assert all(f"{groups.root}/{name}" in str(error.value) for name in missing)
    assert "cache" not in str(error.value)


def test_keyframe_files_of_groups_are_json(groups):
    with pytest.raises(CocLabelingError, match=r"data\.segment_config_dir: .*segment_generator_type=json"):
        split_jobs(groups.config(data_loader__keyframe__segment_generator_type="parquet"))
