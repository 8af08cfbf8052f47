"""From a feature map to logits: pooling, and the layers of the source documents' heads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from lucidray.errors import ModelError
from lucidray.models.spec import Activation

_ACTIVATIONS: dict[Activation, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU}


class Pool(nn.Module):
    """Turn a map ``(B, C, h, w)`` into a vector ``(B, D)``.

    Every kind hands the whole gradient of its output on to its input (a mean spreads it, a maximum
    sends it to one pixel), which is what makes the closed form of Grad-CAM exact.

    Args:
        kind: ``"avg"``, ``"max"`` or ``"flatten"``.
        before: Edge of the max pooling that the architecture has between its last ReLU and its
            head (VGG and the baseline CNN: 2); 1 for none.
    """

    def __init__(self, kind: Literal["avg", "max", "flatten"] = "avg", before: int = 1) -> None:
        super().__init__()
        self.kind = kind
        self.before = nn.MaxPool2d(before) if before > 1 else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """Pool a map ``(B, C, h, w)``."""
        x: Tensor = self.before(features)
        if self.kind == "avg":
            return x.mean((2, 3))
        return x.amax((2, 3)) if self.kind == "max" else x.flatten(1)

    def extra_repr(self) -> str:
        """Name the kind."""
        return self.kind


def build_head(
    in_features: int,
    out_features: int,
    *,
    hidden: Sequence[int] = (),
    activation: Activation = "relu",
    dropout_before: float = 0.0,
    dropout_after: float = 0.0,
) -> nn.Sequential:
    """Build the layers after pooling.

    Args:
        in_features: Length of the pooled vector.
        out_features: Number of logits.
        hidden: Width of each hidden layer.
        activation: After each hidden layer.
        dropout_before: Dropped before the first layer.
        dropout_after: Dropped after each hidden layer's activation.

    Returns:
        Layers that map ``(B, in_features)`` to logits ``(B, out_features)``.

    >>> build_head(8, 2, hidden=[4], dropout_after=0.3)
    Sequential(
      (0): Linear(in_features=8, out_features=4, bias=True)
      (1): ReLU()
      (2): Dropout(p=0.3, inplace=False)
      (3): Linear(in_features=4, out_features=2, bias=True)
    )
    """
    head = nn.Sequential()
    if dropout_before:
        head.append(nn.Dropout(dropout_before))
    for width in hidden:
        head.extend([nn.Linear(in_features, width), _ACTIVATIONS[activation]()])
        if dropout_after:
            head.append(nn.Dropout(dropout_after))
        in_features = width
    return head.append(nn.Linear(in_features, out_features))


def keep_outputs(head: nn.Module, indices: Sequence[int]) -> None:
    """Take away all outputs of a head but some, in the order given.

    Args:
        head: As `build_head` makes it; changed in place.
        indices: Of the outputs to keep.

    Raises:
        ModelError: The head does not end in a linear layer.
    """
    last = head[-1] if isinstance(head, nn.Sequential) else head
    if not isinstance(last, nn.Linear):
        raise ModelError("the head does not end in a linear layer, so no finding can be left out.")
    kept = list(indices)
    last.weight = nn.Parameter(last.weight.detach()[kept].clone())
    if last.bias is not None:
        last.bias = nn.Parameter(last.bias.detach()[kept].clone())
    last.out_features = len(kept)
