"""Files that an option names, looked at before hours are spent on what goes into them."""

from coc_labeling.errors import CocLabelingError
from driving_clips import files


def prepare_output(option: str, path: str | None) -> None:
    """Create the folder of a file that is going to be written; None stands for an option that was not given.

    Raises:
        CocLabelingError: it is a folder, or none can be created for it.
    """
    if path is None:
        return
    if files.is_dir(path):
        raise CocLabelingError(f"{option} {path}: is a folder. Name a file.")
    try:
        files.make_parents(path)
    except (FileExistsError, FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise CocLabelingError(
            f"{option} {path}: its folder cannot be created ({error}). Name another file."
        ) from error
