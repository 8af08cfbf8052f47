"""Derivatives by formula are those that autograd finds."""

from __future__ import annotations

import pytest
import torch
from timm.layers.mlp import Mlp
from timm.models.vision_transformer import LayerScale
from torch import nn

from lucidray.errors import ExportError
from lucidray.export.pull import differentiate

LAYERS = {
    "linear": [nn.Linear(6, 4)],
    "relu": [nn.Linear(6, 5), nn.ReLU(), nn.Dropout(0.5), nn.Linear(5, 3)],
    "gelu": [nn.Dropout(0.5), nn.Linear(6, 5), nn.GELU(), nn.Linear(5, 3)],
    "tanh gelu": [nn.GELU(approximate="tanh"), nn.Linear(6, 2)],
    "norm": [nn.LayerNorm(6), nn.Linear(6, 2)],
    "plain norm": [nn.LayerNorm(6, elementwise_affine=False), nn.Linear(6, 2)],
    "transformer": [nn.LayerNorm(6), Mlp(6, 9, 6), LayerScale(6, 0.3), nn.Identity()],
    "nested": [nn.Sequential(nn.Linear(6, 5), nn.Sequential(nn.ReLU(), nn.Linear(5, 2)))],
}


@pytest.mark.parametrize("name", LAYERS)
def test_it_agrees_with_autograd(name: str) -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(*LAYERS[name]).double().eval()
    for parameter in layers.parameters():
        nn.init.normal_(parameter)
    x = torch.randn(3, 6, dtype=torch.float64)
    output, pull = differentiate([layers], x)
    torch.testing.assert_close(output, layers(x))
    eye = torch.eye(output.shape[1], dtype=torch.float64)[None]
    for index, row in enumerate(x):
        wanted = torch.autograd.functional.jacobian(lambda v: layers(v[None])[0], row)
        torch.testing.assert_close(pull(eye).expand(3, -1, -1)[index], wanted)


def test_a_flattened_map_is_summed_over_its_pixels() -> None:
    torch.manual_seed(0)
    head = nn.Sequential(nn.Dropout(0.5), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 2)).eval()
    x = torch.randn(2, 12)
    _, pull = differentiate([head], x)
    _, folded = differentiate([head], x, channels=3)
    eye = torch.eye(2)[None]
    torch.testing.assert_close(folded(eye), pull(eye).view(2, 2, 3, 4).sum(3))


def test_an_unknown_layer_is_named() -> None:
    with pytest.raises(ExportError, match="Tanh"):
        differentiate([nn.Linear(2, 2), nn.Tanh()], torch.zeros(1, 2))
