"""Validation images seen as training saw its own: what an operating point must also stand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lucidray.models.classifier import Classifier
from lucidray.training.augmentation import augment
from lucidray.training.inputs import Examples, Normalized, to_unit
from lucidray.training.job import Job
from lucidray.training.order import Indices, derive_seed, epoch_order

#: Marks the draws of this module among those of training.
_PURPOSE = 20261121

#: About as many as in training: style and framing come from the others of a batch.
_BATCH = 32


def varied_logits(job: Job, models: Sequence[Classifier], copies: int) -> Tensor:
    """Return the members' mean logits of validation images that are varied as in training.

    A film of another hospital is framed, exposed and sharpened differently. Variation stands in for
    that, so a threshold that also suits varied images is worth more elsewhere than one that is
    exact to the last decimal on the images of one hospital.

    Args:
        job: What was trained.
        models: The members, with their best weights.
        copies: Variants of each image; 0: none.

    Returns:
        float32 ``(copies, N, F)``; the same for the same recipe and weights.
    """
    examples = job.task.validation.examples
    networks = [
        Normalized(
            model.eval().to(memory_format=torch.channels_last).to(job.machine.device),
            job.recipe.image,
        )
        for model in models
    ]
    found = torch.zeros(copies, *examples.labels.shape)
    for copy in range(copies):
        order = epoch_order(examples.labels, balanced=False, parts=(_PURPOSE, copy))
        for number, indices in enumerate(np.array_split(order, -(-len(order) // _BATCH))):
            seed = derive_seed(_PURPOSE, copy, number)
            images = _vary(job, examples, indices, seed)
            with torch.no_grad():
                total = torch.stack([network(images) for network in networks]).mean(dim=0)
            found[copy, torch.from_numpy(indices)] = total.float().cpu()
    return found


def _vary(job: Job, examples: Examples, indices: Indices, seed: int) -> Tensor:
    device = job.machine.device
    pixels = torch.from_numpy(np.ascontiguousarray(examples.pixels[indices]))[:, None].to(device)
    generator = torch.Generator(device=device).manual_seed(seed)
    return augment(to_unit(pixels), job.recipe.augment, generator)
