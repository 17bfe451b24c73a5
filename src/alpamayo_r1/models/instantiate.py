"""Builds the parts that a configuration names by ``_target_``: those of this package and no others.

A configuration is a file from somewhere: it may choose among known parts, it may not run code.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from alpamayo_r1.errors import AlpamayoError

# What version 1.5 calls the same package.
_PACKAGES = ("alpamayo_r1.", "alpamayo1_5.")
_SETTINGS = frozenset({"_target_", "_recursive_", "_convert_"})  # Hydra's; parts within parts build themselves

_PARTS = {
    "action_space.UnicycleAccelCurvatureActionSpace": "alpamayo_r1.action_space",
    "action_space.unicycle_accel_curvature.UnicycleAccelCurvatureActionSpace": "alpamayo_r1.action_space",
    "action_space.DiscreteTrajectoryTokenizer": "alpamayo_r1.action_space",
    "action_space.discrete_action_space.DiscreteTrajectoryTokenizer": "alpamayo_r1.action_space",
    "diffusion.flow_matching.FlowMatching": "alpamayo_r1.diffusion.flow_matching",
    "models.action_in_proj.PerWaypointActionInProjV2": "alpamayo_r1.models.action_in_proj",
    "models.delta_tokenizer.DeltaTrajectoryTokenizer": "alpamayo_r1.models.delta_tokenizer",
}
ALLOWED_TARGETS: Mapping[str, tuple[str, str]] = {
    "torch.nn.Linear": ("torch.nn", "Linear"),
    **{package + name: (where, name.rsplit(".", 1)[-1]) for package in _PACKAGES for name, where in _PARTS.items()},
}


def instantiate(config: Mapping[str, Any], **arguments: Any) -> Any:
    """Build what ``config["_target_"]`` names, one of ``ALLOWED_TARGETS``.

    Args:
        config: the target, Hydra's settings (they change nothing here), and the part's arguments.
        arguments: further ones; they win.

    Raises:
        AlpamayoError: the target is missing or not allowed, or the part refuses its arguments.

    Example:
        >>> instantiate({"_target_": "torch.nn.Linear"}, in_features=2, out_features=3)
        Linear(in_features=2, out_features=3, bias=True)
    """
    target = config.get("_target_") if isinstance(config, Mapping) else None
    if not isinstance(target, str) or target not in ALLOWED_TARGETS:
        raise AlpamayoError(
            f"_target_ {target!r}: not a part this package builds. It builds only {', '.join(sorted(_PARTS))} of "
            "alpamayo_r1, and torch.nn.Linear; a configuration must not run other code."
        )
    module, name = ALLOWED_TARGETS[target]
    given = {key: value for key, value in config.items() if key not in _SETTINGS} | arguments
    try:
        return getattr(import_module(module), name)(**given)
    except (TypeError, ValueError) as error:
        raise AlpamayoError(f"{target} cannot be built from {sorted(given)}: {error}") from error
