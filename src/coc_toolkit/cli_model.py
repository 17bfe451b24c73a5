"""``coc train``, ``coc infer`` and ``coc evaluate``, the reasoning model's commands: their options."""

from typing import Annotated

import typer

from coc_toolkit.ending import end

_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}

train = typer.Typer(
    help="Fine-tune the reasoning model on labels. With several GPUs: accelerate launch -m coc_toolkit train stage1 "
    "key=value ...",
    no_args_is_help=True,
)


@train.command(context_settings=_PASS_ON, add_help_option=False)
def stage1(context: typer.Context) -> None:
    """The vision-language model learns reasoning and discrete trajectories. Keys: coc train stage1 --help."""
    from coc_toolkit.train_command import main

    raise typer.Exit(main("stage1", context.args))


@train.command(context_settings=_PASS_ON, add_help_option=False)
def stage2(context: typer.Context) -> None:
    """The expert learns to drive from the frozen model. Keys: coc train stage2 --help."""
    from coc_toolkit.train_command import main

    raise typer.Exit(main("stage2", context.args))


def infer(
    checkpoint: Annotated[str, typer.Option(help="folder of the reasoning model")],
    data_dir: Annotated[str, typer.Option("--data_dir", help="the dataset's root folder")],
    out: Annotated[str, typer.Option(help="folder for predictions; the same command again goes on there")],
    dataset: Annotated[str, typer.Option(help="pai, comma2k19, boreas or table")] = "pai",
    scene_list: Annotated[str | None, typer.Option("--scene_list", help="text file, one clip id per line")] = None,
    keyframes: Annotated[str | None, typer.Option(help="the moments of Step 2: its folder, or a file of it")] = None,
    t0_us: Annotated[
        list[int] | None, typer.Option("--t0_us", help="this moment of every clip (default: 5100000); repeatable")
    ] = None,
    every: Annotated[float | None, typer.Option(help="a moment every so many seconds of each clip")] = None,
    num_traj_samples: Annotated[int, typer.Option("--num_traj_samples", help="trajectories of a set")] = 6,
    num_traj_sets: Annotated[int, typer.Option("--num_traj_sets", help="sets of trajectories")] = 1,
    top_p: Annotated[float, typer.Option("--top_p", help="nucleus sampling: share of probability to draw from")] = 0.98,
    top_k: Annotated[int | None, typer.Option("--top_k", help="most tokens to draw from (default: no limit)")] = None,
    temperature: Annotated[float, typer.Option(help="lower: likelier words")] = 0.6,
    max_generation_length: Annotated[
        int, typer.Option("--max_generation_length", help="tokens of the reasoning and its special tokens")
    ] = 256,
    batch_size: Annotated[int, typer.Option("--batch_size", help="scenes at once")] = 1,
    seed: Annotated[int, typer.Option(help="of all drawing")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto (the checkpoint's), bfloat16 or float32")] = "auto",
    attn_implementation: Annotated[
        str, typer.Option("--attn_implementation", help="auto, sdpa, eager or flash_attention_2")
    ] = "auto",
    cameras: Annotated[str | None, typer.Option(help="joined by commas (default: the released model's four)")] = None,
    pictures: Annotated[int, typer.Option(help="most pictures to draw", min=0)] = 100,
    shard: Annotated[str, typer.Option(help="do the I-th of N parts, I/N")] = "0/1",
) -> None:
    """Let the reasoning model say what it sees and where it would drive: a line of JSON and a picture per moment."""
    from coc_toolkit.infer_command import InferOptions, request_of, run_inference

    options = InferOptions(
        num_traj_samples,
        num_traj_sets,
        top_p,
        top_k,
        temperature,
        max_generation_length,
        batch_size,
        seed,
        device,
        dtype,
        attn_implementation,
        cameras,
        pictures,
        shard,
    )
    end(
        lambda: run_inference(
            request_of(checkpoint, dataset, data_dir, out, scene_list, (keyframes, t0_us or [], every), options)
        )
    )


def evaluate(
    predictions: Annotated[
        list[str], typer.Argument(help="predictions.jsonl, or a folder of coc infer; further ones are compared")
    ],
    labels: Annotated[
        str | None, typer.Option(help="an experiment folder whose labels the sentences are compared with")
    ] = None,
    out: Annotated[
        str | None, typer.Option(help="folder for tables and page (default: evaluation beside the predictions)")
    ] = None,
) -> None:
    """Measure predictions: distance, comfort, sentences against labels and trajectories; compare models."""
    from coc_toolkit.evaluate_command import run_evaluation

    end(lambda: run_evaluation(predictions, labels, out))
