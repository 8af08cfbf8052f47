"""Tiny models for explaining."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from lucidray.models import Classifier, ModelSpec, build_model

Build = Callable[..., Classifier]

#: A transformer of two blocks, in one name.
TINY_VIT = "vit_tiny_patch16_224"


@pytest.fixture
def build() -> Build:
    """Build a small classifier with random weights and lively batch norms."""

    def make(backbone: str = "baseline_cnn", size: int = 64, **options: object) -> Classifier:
        torch.manual_seed(3)
        findings = options.pop("findings", ("a", "b", "c"))
        model = build_model(ModelSpec(backbone, **options), findings, image_size=size)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.running_mean, 0, 0.2)
                nn.init.uniform_(module.running_var, 0.5, 1.5)
                nn.init.normal_(module.bias, 0, 0.2)
                nn.init.uniform_(module.weight, 0.5, 1.5)
        return model.eval()

    return make


@pytest.fixture
def images() -> torch.Tensor:
    """Two images of 64 x 64 pixels."""
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(5))
