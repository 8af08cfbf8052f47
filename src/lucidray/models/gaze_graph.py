"""A graph network that is given the gaze: patches of film and gaze as nodes, likeness as edges."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from lucidray.errors import ModelError, ShapeError
from lucidray.models.modes import set_mode
from lucidray.models.segmenter import convolution

#: Nodes whose messages each node takes.
NEIGHBORS = 9


class GraphLayer(nn.Module):
    """Each node takes in how its most alike nodes differ from it at most, then thinks for itself.

    Args:
        width: Channels of a node.
        neighbors: How many nodes it listens to, itself included.

    Source: Han et al. 2022, Vision GNN, arXiv:2206.00272: max-relative graph convolution and
        feed-forward network, each with a shortcut.
    """

    def __init__(self, width: int, neighbors: int = NEIGHBORS) -> None:
        super().__init__()
        self.neighbors = neighbors
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.listen = nn.Sequential(nn.Linear(2 * width, width), nn.GELU(), nn.Linear(width, width))
        self.think = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, nodes: Tensor) -> Tensor:
        """Return nodes ``(B, N, D)`` after one exchange."""
        x = self.before(nodes)
        around = gather(x, nearest(x, self.neighbors))
        heard = (around - x[:, :, None]).amax(2)
        nodes = nodes + self.listen(torch.cat([x, heard], 2))
        return torch.as_tensor(nodes + self.think(self.after(nodes)))


def nearest(nodes: Tensor, count: int) -> Tensor:
    """Return the indices ``(B, N, count)`` of the nodes nearest to each of ``(B, N, D)``."""
    with torch.no_grad():
        far = torch.cdist(nodes.float(), nodes.float())
        return far.topk(min(count, nodes.shape[1]), largest=False).indices


def gather(nodes: Tensor, indices: Tensor) -> Tensor:
    """Return ``(B, N, K, D)``: the nodes ``(B, N, D)`` that indices ``(B, N, K)`` name."""
    batch = torch.arange(len(nodes), device=nodes.device)[:, None, None]
    return nodes[batch, indices]


class GazeGraph(nn.Module):
    """Findings from a film and the gaze on it, as a graph of patches.

    A node is a patch's features, plus the share of the gaze that fell on it, plus its place. It
    asks for a reader's gaze also when it is used.

    Args:
        findings: One logit each.
        image_size: Edge in pixels of film and gaze.
        steps: How often the film is halved before a patch is a node.
        width: Channels of a node.
        depth: Graph layers.
        in_channels: Channels of the film, without the gaze.
        exclusive: Whether exactly one finding holds.

    Raises:
        ModelError: Fewer than four nodes would be left.

    Source: Wang et al. 2024, GazeGNN, arXiv:2305.18221: patch, gaze and position embeddings added,
        graph by likeness of features, convolutions over it, mean over nodes.
    Deviates: narrower, on a plain convolutional stem instead of a pretrained network.
    """

    def __init__(
        self,
        findings: Sequence[str],
        *,
        image_size: int = 224,
        steps: int = 4,
        width: int = 192,
        depth: int = 6,
        in_channels: int = 3,
        exclusive: bool = True,
    ) -> None:
        super().__init__()
        side = image_size // 2**steps
        if side < 2:
            raise ModelError(
                f"{image_size} pixels halved {steps} times leave {side} x {side} nodes; "
                "take a larger image_size or fewer steps."
            )
        self.findings, self.exclusive = tuple(findings), exclusive
        self.in_channels, self.side = in_channels, side
        widths = [in_channels, *(max(width >> (steps - 1 - step), 8) for step in range(steps))]
        self.stem = nn.Sequential(*(_halve(*pair) for pair in pairwise(widths)))
        self.attend = nn.Linear(1, widths[-1])
        self.place = nn.Parameter(torch.zeros(1, side * side, widths[-1]))
        self.layers = nn.Sequential(*(GraphLayer(widths[-1]) for _ in range(depth)))
        self.norm = nn.LayerNorm(widths[-1])
        self.judge = nn.Linear(widths[-1], len(findings))
        nn.init.trunc_normal_(self.place, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(B, F)`` of films with their gaze.

        Args:
            x: ``(B, in_channels + 1, S, S)``: the film, normalized, and last the gaze, not
                negative.

        Raises:
            ShapeError: Film and gaze are not that.
        """
        if x.ndim != 4 or x.shape[1] != self.in_channels + 1:
            raise ShapeError(
                f"film and gaze are {tuple(x.shape)}; expected (B, {self.in_channels + 1}, S, S)."
            )
        patches = self.stem(x[:, : self.in_channels])
        if patches.shape[-1] != self.side:
            patches = nn.functional.adaptive_avg_pool2d(patches, self.side)
        nodes = patches.flatten(2).transpose(1, 2) + self.attend(self.shares(x[:, -1:]))
        nodes = self.layers(nodes + self.place)
        return torch.as_tensor(self.judge(self.norm(nodes).mean(1)))

    def shares(self, gaze: Tensor) -> Tensor:
        """Return each node's gaze ``(B, N, 1)``, 1 on average; 0 where nobody looked."""
        fallen = nn.functional.adaptive_avg_pool2d(gaze, self.side).flatten(1)
        mean = fallen.mean(1, keepdim=True)
        return (fallen / torch.where(mean > 0, mean, 1.0))[:, :, None]

    def train(self, mode: bool = True) -> GazeGraph:
        """Set training mode, but leave all that is frozen in evaluation mode."""
        return set_mode(self, mode)


def _halve(inside: int, outside: int) -> nn.Sequential:
    return nn.Sequential(*convolution(inside, outside), nn.MaxPool2d(2))
