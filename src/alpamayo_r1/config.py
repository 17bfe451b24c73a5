"""Settings of the reasoning model with its action expert."""

from typing import Any

from transformers import AutoConfig

from alpamayo_r1.models.base_model import ReasoningVLAConfig


class AlpamayoR1Config(ReasoningVLAConfig):
    """Settings of the vision-language model and of the expert that drives from its cache.

    Attributes:
        diffusion_cfg: ``_target_`` and arguments of what draws actions.
        action_space_cfg: of the actions' meaning.
        action_in_proj_cfg: of the projection from noisy actions to the expert's tokens.
        action_out_proj_cfg: of that from the expert's hidden states to actions.
        expert_cfg: what the expert's decoder has otherwise than the vision-language model's, such as "hidden_size".
        keep_same_dtype: whether the projections take the expert's data type, or stay float32.
        expert_non_causal_attention: whether action tokens see all of each other.
    """

    model_type = "alpamayo_r1"

    diffusion_cfg: dict[str, Any] | None = None
    action_space_cfg: dict[str, Any] | None = None
    action_in_proj_cfg: dict[str, Any] | None = None
    action_out_proj_cfg: dict[str, Any] | None = None
    expert_cfg: dict[str, Any] | None = None
    keep_same_dtype: bool = True
    expert_non_causal_attention: bool = True


AutoConfig.register(AlpamayoR1Config.model_type, AlpamayoR1Config, exist_ok=True)
