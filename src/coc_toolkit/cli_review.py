"""``coc review`` and ``coc review backup``: their options."""

from typing import Annotated

import typer

from coc_toolkit.default_command import DEFAULT, DefaultCommand, DefaultGroup
from coc_toolkit.ending import end

review = typer.Typer(cls=DefaultGroup, help="Review labels in the browser; `backup` copies what has been decided.")


@review.command(
    DEFAULT, cls=DefaultCommand, epilog="`coc review backup RUN_DIR TARGET` copies what has been decided into one file."
)
def review_serve(
    run_dir: Annotated[str, typer.Argument(help="an experiment folder; its labels are never changed")],
    reviewer: Annotated[list[str] | None, typer.Option(help="somebody who reviews; repeatable")] = None,
    auditor: Annotated[list[str] | None, typer.Option(help="somebody who re-checks a share; repeatable")] = None,
    admin: Annotated[list[str] | None, typer.Option(help="somebody who sees all and assigns; repeatable")] = None,
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 for any that is free", min=0, max=65535)] = 8321,
    allow_host: Annotated[
        list[str] | None, typer.Option("--allow-host", help="another name of this server, as a proxy's; repeatable")
    ] = None,
    data_dir: Annotated[
        str | None, typer.Option("--data_dir", help="where the dataset is now, if it has moved")
    ] = None,
    video_dir: Annotated[str | None, typer.Option("--video_dir", help="where the videos are now")] = None,
    camera: Annotated[str | None, typer.Option(help="whose video is shown (default: the run's first)")] = None,
    dataset_name: Annotated[
        str | None, typer.Option("--dataset_name", help="of records of another tool: pai, comma2k19, boreas or table")
    ] = None,
    cache_dir: Annotated[
        str | None, typer.Option("--cache_dir", help="keeps videos for the browser (default: the user's cache folder)")
    ] = None,
    gold: Annotated[
        str | None, typer.Option(help="a run known to be right, to plant from (default: what two people accepted)")
    ] = None,
    batch_size: Annotated[int, typer.Option("--batch-size", help="labels of a batch", min=1)] = 50,
    random_share: Annotated[float, typer.Option("--random-share", help="of a batch, drawn uniformly from all")] = 0.1,
    second_share: Annotated[
        float | None,
        typer.Option("--second-share", help="given blind to a second reviewer (default: 0.1 if there is one)"),
    ] = None,
    audit_share: Annotated[
        float | None, typer.Option("--audit-share", help="given to an auditor (default: 0.05 if there is one)")
    ] = None,
    planted_share: Annotated[float, typer.Option("--planted-share", help="labels with a known answer, on top")] = 0.04,
    blank_share: Annotated[float, typer.Option("--blank-share", help="whose components are listed from nothing")] = 0.1,
    seed: Annotated[int, typer.Option(help="another one draws other labels", min=0)] = 0,
) -> None:
    """Review labels in the browser: starts a server on this machine and prints a link for each person."""
    from coc_labeling.review.batches.planning import QueueSettings
    from coc_toolkit.review_command import Address, People, Places, ReviewRequest, serve

    def start() -> int:
        people = People(tuple(reviewer or ()), tuple(auditor or ()), tuple(admin or ()))
        address = Address(host, port, tuple(allow_host or ()))
        settings = QueueSettings(
            batch_size, random_share, planted_share=planted_share, blank_share=blank_share, seed=seed
        )
        places = Places(data_dir, video_dir, camera, dataset_name, cache_dir)
        return serve(ReviewRequest(run_dir, people, address, settings, second_share, audit_share, gold, places))

    end(start)


@review.command("backup")
def review_backup(
    run_dir: Annotated[str, typer.Argument(help="an experiment folder with reviews")],
    target: Annotated[str, typer.Argument(help="file that does not exist yet")],
) -> None:
    """Copy what has been decided into one file, while people go on working."""
    from coc_toolkit.review_command import run_backup

    end(lambda: run_backup(run_dir, target))
