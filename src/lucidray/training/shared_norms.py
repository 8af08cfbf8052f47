"""Batch normalization over a whole batch of which each process sees a share.

Lightning's own way takes torch's ``SyncBatchNorm``, which knows no processors, and puts it in the
place of timm's normalizations with their activations, which are then gone.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from lightning.pytorch.plugins import LayerSync
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm


class SharedNorms(LayerSync):
    """Lets batch normalizations take mean and variance over the shares of all processes."""

    def apply(self, model: nn.Module) -> nn.Module:
        """Let a model's batch normalizations share; they stay the modules that they are."""
        for module in model.modules():
            if isinstance(module, _BatchNorm):
                module.forward = partial(_forward, module)  # type: ignore[method-assign]
        return model

    def revert(self, model: nn.Module) -> nn.Module:
        """Let each see the batch of its own process again."""
        for module in model.modules():
            if isinstance(module, _BatchNorm):
                vars(module).pop("forward", None)
        return model


class _Sum(torch.autograd.Function):
    """The sum over all processes, of values and of gradients."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:  # noqa: ARG004
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # noqa: ARG004
        total = gradients[0].clone()
        distributed.all_reduce(total)
        return total


def _forward(module: _BatchNorm, x: Tensor) -> Tensor:
    if not module.training:
        return torch.as_tensor(type(module).forward(module, x))
    found = normalize_together(module, x)
    if isinstance(module, BatchNormAct2d):
        found = module.act(module.drop(found))
    return found


def normalize_together(module: _BatchNorm, x: Tensor) -> Tensor:
    """Normalize a process's share by mean and variance of the whole batch, and remember both.

    Args:
        module: A batch normalization in training mode; its running statistics are moved.
        x: ``(B, C, ...)``, this process's share.

    Returns:
        As `x`; the same as if one process had normalized all shares in one batch.

    Source: Ioffe & Szegedy 2015, arXiv:1502.03167, algorithm 1, its sums taken over all processes.
    """
    axes = [axis for axis in range(x.ndim) if axis != 1]
    shape = [1, -1, *[1] * (x.ndim - 2)]
    values = x.float()
    count = torch.tensor(float(values.numel() // values.shape[1]), device=x.device)
    distributed.all_reduce(count)
    mean: Tensor = _Sum.apply(values.sum(axes)) / count
    apart = values - mean.view(shape)
    variance: Tensor = _Sum.apply(apart.square().sum(axes)) / count
    _remember(module, mean.detach(), variance.detach() * count / (count - 1))
    found = apart * (variance + module.eps).rsqrt().view(shape)
    if module.affine:
        found = found * module.weight.view(shape) + module.bias.view(shape)
    return found.to(x.dtype)


@torch.no_grad()
def _remember(module: _BatchNorm, mean: Tensor, variance: Tensor) -> None:
    """Move the running statistics, as torch does."""
    if module.running_mean is None or module.running_var is None:
        return
    part = module.momentum
    if module.num_batches_tracked is not None:
        module.num_batches_tracked.add_(1)
        part = 1 / float(module.num_batches_tracked) if part is None else part
    module.running_mean.lerp_(mean, part or 0.0)
    module.running_var.lerp_(variance, part or 0.0)
