"""Runs over groups of clips: ``job_split_id`` "a-b-c" names three groups, each with its own inputs and folder."""

import re

from coc_labeling.config.schema import DataConfig, RunConfig
from coc_labeling.errors import CocLabelingError
from coc_labeling.results import CONFIG, new_experiment, resumed_experiment
from driving_clips import files

_LEGAL_GROUP = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._]*")
# The roots, and the keys that take ``<root>/<group>``. The cache may be made by the run, the others are its inputs.
_ROOTS = {
    "data_dir_root": "data_dir",
    "meta_action_dir_root": "meta_action_dir",
    "video_dir_root": "video_dir",
    "cache_dir_root": "cache_dir",
}
_MADE_BY_THE_RUN = "cache_dir"
_KEYFRAMES = "segment_config_dir"


def split_jobs(config: RunConfig) -> list[RunConfig]:
    """Return a configuration per group, or the one handed in where it names no groups.

    A group's has its name as ``job_split_id``, its own inputs (``<root>/<group>``, keyframes
    ``<segment_config_dir>/<group>.json``; what has no root stays as it is) and no roots. Its ``output_root`` is the
    folder of all groups, ``<output_root>/cot_data_<model_name>/<YYYYmmdd_HHMMSS>_<exp_name>``, or the one to resume:
    ``experiment_path`` tells the group's own. Nothing is written.

    Raises:
        CocLabelingError: unusable names of groups, roots without groups, inputs or a folder to resume that are not
            there; all that are missing are named at once.
    """
    roots = [name for name in (*_ROOTS, _KEYFRAMES) if getattr(config.data, name) is not None]
    if config.job_split_id is None:
        if roots:
            raise CocLabelingError(
                f"{', '.join(f'data.{name}' for name in roots)}: no effect without job_split_id, the groups' names. "
                "Set for example job_split_id=a-b, or these keys to null."
            )
        return [config]
    groups = group_names(config.job_split_id)
    if config.data.segment_config_dir is not None and config.data_loader.keyframe.segment_generator_type != "json":
        raise CocLabelingError(
            "data.segment_config_dir: holds keyframe JSON files, which are read with "
            "data_loader.keyframe.segment_generator_type=json only."
        )
    data = {group: _inputs(config.data, group) for group in groups}
    _refuse_missing(config.data, data)
    root = _folder_of_groups(config, groups)
    cache = {"response_cache_dir": response_cache_dir(config)}  # one for all groups, and for later runs
    return [
        config.model_copy(
            update={"job_split_id": group, "data": data[group], "output_root": root, "resume_exp_dir": None, **cache}
        )
        for group in groups
    ]


def group_names(job_split_id: str) -> tuple[str, ...]:
    """Return the groups that "a-b-c" names, in that order.

    Raises:
        CocLabelingError: an empty name, one twice, or one that cannot be a folder's.
    """
    groups = tuple(job_split_id.split("-"))
    wrong = [group for group in groups if not _LEGAL_GROUP.fullmatch(group)]
    if wrong:
        raise CocLabelingError(
            f"job_split_id={job_split_id}: expected names joined by '-', each of letters, digits, '.' and '_' and not "
            f"starting with '.', found {', '.join(map(repr, dict.fromkeys(wrong)))}."
        )
    twice = [group for group in dict.fromkeys(groups) if groups.count(group) > 1]
    if twice:
        raise CocLabelingError(f"job_split_id={job_split_id}: named more than once: {', '.join(twice)}.")
    return groups


def refuse_unsplit(config: RunConfig) -> None:
    """Raise CocLabelingError for a configuration of several groups: each has to be labelled by itself."""
    roots = [name for name in (*_ROOTS, _KEYFRAMES) if getattr(config.data, name) is not None]
    if roots or "-" in (config.job_split_id or ""):
        keys = ", ".join(["job_split_id", *(f"data.{name}" for name in roots)])
        raise CocLabelingError(
            f"{keys}: one configuration of several groups. Take it apart with coc_labeling.job_split.split_jobs."
        )


def response_cache_dir(config: RunConfig) -> str:
    """Return where answers of models are kept: one folder for all experiments below ``output_root``."""
    return config.response_cache_dir or files.join(config.output_root, ".response_cache")


def experiment_path(config: RunConfig) -> str:
    """Return the folder that a run, or one group of it, writes to: a new one, or the one to resume.

    Raises:
        CocLabelingError: the folder to resume is not there, or holds something else.
    """
    if config.job_split_id is not None and config.resume_exp_dir is None:
        path = files.join(config.output_root, config.job_split_id)
        return resumed_experiment(config.output_root, path) if files.is_dir(path) else path
    if config.resume_exp_dir is not None:
        return resumed_experiment(config.output_root, config.resume_exp_dir)
    return new_experiment(config.output_root, config.exp_name)


def _inputs(data: DataConfig, group: str) -> DataConfig:
    own: dict[str, str | None] = {}
    for root_key, key in _ROOTS.items():
        root = getattr(data, root_key)
        if root is not None:
            own |= {key: files.join(root, group), root_key: None}
    if data.segment_config_dir is not None:
        own |= {"segment_config_path": files.join(data.segment_config_dir, f"{group}.json"), _KEYFRAMES: None}
    return data.model_copy(update=own)


def _refuse_missing(shared: DataConfig, by_group: dict[str, DataConfig]) -> None:
    """Name all folders and keyframe files of groups that are not there."""
    folders = [key for root, key in _ROOTS.items() if getattr(shared, root) is not None and key != _MADE_BY_THE_RUN]
    missing = []
    for data in by_group.values():
        missing += [f"{getattr(data, key)} ({key})" for key in folders if not files.is_dir(getattr(data, key))]
        path = data.segment_config_path
        if shared.segment_config_dir is not None and path is not None and not files.is_file(path):
            missing.append(f"{path} (keyframes)")
    if missing:
        raise CocLabelingError(
            f"job_split_id={'-'.join(by_group)}: not there: {', '.join(missing)}. Make them, or leave these groups out."
        )


def _folder_of_groups(config: RunConfig, groups: tuple[str, ...]) -> str:
    """Return the folder that the groups' folders lie in; groups of one command share its time stamp."""
    model = re.sub(r"[^A-Za-z0-9._-]", "_", config.model_name)
    root = files.join(config.output_root, f"cot_data_{model}")
    if config.resume_exp_dir is None:
        return new_experiment(root, config.exp_name)
    places = (config.resume_exp_dir, files.join(root, config.resume_exp_dir))
    for path in (*places, files.join(config.output_root, config.resume_exp_dir)):
        if files.is_dir(path):
            _refuse_without_groups(path, groups)
            return path
    raise CocLabelingError(
        f"resume_exp_dir={config.resume_exp_dir}: no such folder, neither as a path nor below {root}. "
        "Use resume_exp_dir=null to start new experiments."
    )


def _refuse_without_groups(path: str, groups: tuple[str, ...]) -> None:
    """Raise CocLabelingError where a folder to resume is one experiment, or holds none: groups would not belong."""
    folders = files.list_folders(path)
    if files.exists(files.join(path, CONFIG)):
        found = "is an experiment without groups"
    elif folders and not any(files.exists(files.join(path, folder, CONFIG)) for folder in folders):
        found = "holds no experiment"
    else:
        return
    raise CocLabelingError(
        f"resume_exp_dir={path}: {found}. With job_split_id={'-'.join(groups)} it must be the folder that holds the "
        "groups' folders."
    )
