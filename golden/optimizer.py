"""What steps the weights in training: AdamW, or Muon for the matrices of the blocks and AdamW for all else."""

import torch

from .recipe import Recipe

__all__ = ["optimizers_of"]

_EMBEDDINGS = ("cls_token", "pos_embed")  # matrices by their shape, but not by what they do


def optimizers_of(model: torch.nn.Module, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Return the optimizers of a model's parameters.

    Muon orthogonalizes the momentum of a matrix, so that a step turns it in all directions alike (Jordan et al. 2024);
    with its step scaled to the root mean square of AdamW's (Liu et al. 2025, "Muon is scalable for LLM training",
    equation 4), both take the same learning rate.
    """
    groups: dict[str, list[torch.Tensor]] = {"muon": [], "decayed": [], "others": []}
    for name, parameter in model.named_parameters():
        matrix = parameter.dim() > 1 and name not in _EMBEDDINGS
        turned = matrix and recipe.optimizer == "muon" and name.startswith("blocks.")
        groups["muon" if turned else "decayed" if matrix else "others"].append(parameter)
    adamw = torch.optim.AdamW([
        {"params": groups["decayed"], "weight_decay": recipe.weight_decay},
        {"params": groups["others"], "weight_decay": 0.0}], lr=recipe.learning_rate)
    if not groups["muon"]:
        return [adamw]
    return [torch.optim.Muon(groups["muon"], lr=recipe.learning_rate, weight_decay=recipe.weight_decay,
                             adjust_lr_fn="match_rms_adamw"), adamw]
