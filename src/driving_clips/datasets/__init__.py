"""The datasets that can be read; more are added by the entry-point group ``driving_clips.datasets``."""

from driving_clips import registry
from driving_clips.datasets.base import Dataset
from driving_clips.datasets.boreas import BoreasDataset
from driving_clips.datasets.comma2k19 import Comma2k19Dataset
from driving_clips.datasets.pai import PaiDataset
from driving_clips.datasets.table import TableDataset
from driving_clips.errors import DatasetError

ENTRY_POINTS = "driving_clips.datasets"
DATASETS: dict[str, type[Dataset]] = {
    "pai": PaiDataset,
    "comma2k19": Comma2k19Dataset,
    "boreas": BoreasDataset,
    "table": TableDataset,
}


def open_dataset(name: str, data_dir: str) -> Dataset:
    """Open a dataset by name.

    Raises:
        DatasetError: unknown name, or no such folder.

    Example:
        >>> open_dataset("boreas", "demo_data/boreas").name
        'boreas'
    """
    try:
        dataset: Dataset = registry.look_up("dataset", name, DATASETS, ENTRY_POINTS)(data_dir)
    except KeyError as error:
        raise DatasetError(error.args[0]) from error
    return dataset
