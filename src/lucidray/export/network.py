"""The part of a bundle's graph that is traced: normalization, networks, calibration, heat maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lucidray.bundle.card import Calibration
from lucidray.bundle.metadata import MetadataRule
from lucidray.errors import ExportError
from lucidray.explain import class_token
from lucidray.explain.closed_form import has_closed_form
from lucidray.export.pull import differentiate
from lucidray.images.preprocessing import Preprocessing, channel_constants
from lucidray.models.classifier import Classifier
from lucidray.models.detector import Detector, mirrored_boxes
from lucidray.models.gaze_fusion import GazeClassifier
from lucidray.models.two_branch import RegionClassifier

#: Names of the graph's outputs, in order, and those that a detector adds.
OUTPUTS = ("logits", "probabilities", "maps", "embedding")
BOX_OUTPUTS = ("boxes", "box_scores")
GAZE_OUTPUTS = ("gaze",)
REGION_OUTPUTS = ("region_maps", "region")


class Normalization(nn.Module):
    """Shift and scale a grey square to what a network expects.

    Args:
        config: Names the normalization and the channels.
    """

    def __init__(self, config: Preprocessing) -> None:
        super().__init__()
        self.channels = config.channels
        self.own = config.normalization == "zscore"
        if not self.own:
            constants = channel_constants(config)
            mean, deviation = (torch.from_numpy(each).view(1, -1, 1, 1) for each in constants)
            self.scale = nn.Buffer(1 / deviation)
            self.shift = nn.Buffer(-mean / deviation)

    def forward(self, grey: Tensor) -> Tensor:
        """Return ``(B, C, S, S)`` of intensities ``(B, 1, S, S)`` in [0, 1]."""
        if not self.own:
            return grey * self.scale + self.shift
        centered = grey - _mean(grey)
        deviation = _mean(centered.square()).sqrt()
        normal = torch.where(deviation > 1e-6, centered / deviation.clamp_min(1e-6), 0.0)
        return normal.expand(-1, self.channels, -1, -1)


def _mean(values: Tensor) -> Tensor:
    """Average over rows, then over columns: engines add up one long row in single precision."""
    return values.mean(3, keepdim=True).mean(2, keepdim=True)


class Member(nn.Module):
    """One network with its closed-form heat maps, differentiated without gradients.

    Args:
        model: A classifier with a closed form.

    Raises:
        ExportError: It has none.
    """

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        if not has_closed_form(model):
            raise ExportError(
                f"'{model.spec.backbone}' with pool = \"{model.spec.pool}\" has no closed form of "
                'its heat maps, which a bundle needs. Train it with pool = "avg".'
            )
        self.model = model
        self.tokens = class_token.fits(model)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return logits ``(B, F)``, maps ``(B, F, h, w)`` and embedding ``(B, D)``.

        Of a detector also boxes ``(B, R, F, 4)`` and their scores ``(B, R, F)``; of a network that
        predicts gaze its density ``(B, S, S)``; of one that looks twice also the region's part of
        the maps, and its box ``(B, 4)`` in pixels.
        """
        if isinstance(self.model, RegionClassifier):
            return self._looking_twice(self.model, x)
        if isinstance(self.model, GazeClassifier):
            features, gaze = self.model.judge_and_look(x)
            return *self._pooled(features), gaze[:, 0]
        if isinstance(self.model, Detector):
            seen = self.model.see(x)
            return *self._pooled(seen.features), *self.model.regions(seen)
        return self._by_tokens(x) if self.tokens else self._pooled(self.model.features(x))

    def _pooled(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits, jacobian, vector = self._slopes(features)
        return logits, _weighed(jacobian, features), vector

    def _slopes(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits, their slopes by each pixel of a channel, and the pooled vector."""
        vector = self.model.embed(features)
        channels, height, width = features.shape[1:]
        logits, pull = differentiate([self.model.head], vector, channels=channels)
        return logits, pull(torch.eye(logits.shape[1])[None]) / (height * width), vector

    def _looking_twice(self, model: RegionClassifier, x: Tensor) -> tuple[Tensor, ...]:
        features, boxes = model.look(x)
        logits, jacobian, vector = self._slopes(features)
        pairs = zip(jacobian.chunk(2, 2), features.chunk(2, 1), strict=True)
        film, region = model.spread(torch.cat([_weighed(*pair) for pair in pairs], 1), boxes)
        return logits, film + region, vector, region, boxes * x.shape[-1]

    def _by_tokens(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        vectors: list[Tensor] = []

        def tail(
            model: Any, output: Tensor, token: Tensor, _: Sequence[int] | None
        ) -> tuple[Tensor, list[int], Tensor]:
            logits, vector, gradient = _tail(model, output, token)
            vectors.append(vector)
            return logits, list(range(logits.shape[1])), gradient

        logits, maps = class_token.explain_tokens(self.model, x, tail_gradient=tail)
        return logits, maps, vectors[0]


def _weighed(jacobian: Tensor, features: Tensor) -> Tensor:
    """Return maps ``(B, F, h, w)``: a map's channels, each times its slope, summed."""
    maps = torch.matmul(jacobian, features.flatten(2))
    return maps.view(-1, jacobian.shape[1], *features.shape[2:])


class Core(nn.Module):
    """All that follows the grey square.

    Args:
        models: The members of an ensemble, whose logits and maps are averaged.
        config: What the members expect of an image.
        calibration: From logits to probabilities.
        flip: Whether to average over the image and its mirror image too.

    Raises:
        ExportError: The members do not fit together or have no closed form.
    """

    def __init__(
        self,
        models: Sequence[Classifier],
        config: Preprocessing,
        calibration: Calibration,
        *,
        flip: bool = False,
    ) -> None:
        super().__init__()
        self.exclusive = _check(models, config)
        self.detects = isinstance(models[0], Detector)
        self.looks = isinstance(models[0], GazeClassifier)
        self.twice = isinstance(models[0], RegionClassifier)
        more = BOX_OUTPUTS if self.detects else GAZE_OUTPUTS if self.looks else ()
        more = REGION_OUTPUTS if self.twice else more
        self.outputs = (*OUTPUTS, *more)
        self.size = config.size
        self.name = models[0].spec.backbone
        self.normalization = Normalization(config)
        self.members = nn.ModuleList(Member(model) for model in models)
        self.calibration = calibration
        self.flip = flip
        self.eval()

    def forward(self, grey: Tensor) -> tuple[Tensor, ...]:
        """Return `outputs` of intensities ``(B, 1, S, S)`` in [0, 1]."""
        x = self.normalization(grey)
        found = [self._both_sides(member, x) for member in self.members]
        logits = torch.stack([each[0] for each in found]).mean(0)
        maps = torch.stack([each[1] for each in found]).mean(0)
        embedding = torch.cat([each[2] for each in found], 1)
        return logits, self._probabilities(logits), maps, embedding, *self._more(found)

    def _more(self, found: Sequence[tuple[Tensor, ...]]) -> list[Tensor]:
        """Join what members give beside logits, maps and embedding: boxes, gaze, or a region."""
        if self.looks:
            return [torch.stack([each[3] for each in found]).mean(0)]
        if self.twice:
            return [torch.stack([each[3] for each in found]).mean(0), found[0][4]]
        places = (3, 4) if self.detects else ()
        return [torch.cat([each[place] for each in found], 1) for place in places]

    def _both_sides(self, member: nn.Module, x: Tensor) -> tuple[Tensor, ...]:
        if not self.flip:
            return tuple(member(x))
        logits, maps, vector, *more = member(torch.cat([x, x.flip(-1)]))
        plain, mirrored = maps.view(2, -1, *maps.shape[1:])
        logits = logits.view(2, -1, *logits.shape[1:]).mean(0)
        vector = vector.view(2, -1, *vector.shape[1:]).mean(0)
        return logits, (plain + mirrored.flip(-1)) / 2, vector, *self._joined(more)

    def _joined(self, more: Sequence[Tensor]) -> list[Tensor]:
        """Set the regions of mirror images beside those of the images; average gaze."""
        halves = [each.view(2, -1, *each.shape[1:]) for each in more]
        if self.looks:
            return [(gaze[0] + gaze[1].flip(-1)) / 2 for gaze in halves]
        if self.twice:
            maps, box = halves
            return [(maps[0] + maps[1].flip(-1)) / 2, box[0]]
        if not self.detects:
            return []
        boxes, scores = halves
        back = mirrored_boxes(boxes[1], self.size)
        return [torch.cat([boxes[0], back], 1), torch.cat([scores[0], scores[1]], 1)]

    def _probabilities(self, logits: Tensor) -> Tensor:
        return calibrated(logits, self.calibration, exclusive=self.exclusive)


class FusedCore(nn.Module):
    """What metadata leave of a network's logits where all of them are missing.

    A reader adds the rest, which takes no network (`lucidray.bundle.metadata`).

    Args:
        core: All that follows the grey square, uncalibrated.
        rule: What metadata add.
        calibration: From logits to probabilities.
    """

    def __init__(self, core: Core, rule: MetadataRule, calibration: Calibration) -> None:
        super().__init__()
        self.core, self.calibration = core, calibration
        self.outputs, self.size, self.name = core.outputs, core.size, core.name
        self.scales = nn.Buffer(torch.tensor(rule.scales))
        self.intercepts = nn.Buffer(torch.tensor(rule.intercepts))
        self.eval()

    def forward(self, grey: Tensor) -> tuple[Tensor, ...]:
        """Return `outputs` of intensities ``(B, 1, S, S)`` in [0, 1]."""
        logits, _, maps, vector, *more = self.core(grey)
        logits = logits * self.scales + self.intercepts
        shown = calibrated(logits, self.calibration, exclusive=self.core.exclusive)
        grown = self.scales[:, None, None]
        if self.core.twice:
            more[0] = more[0] * grown
        return logits, shown, maps * grown, vector, *more


def calibrated(logits: Tensor, fit: Calibration, *, exclusive: bool) -> Tensor:
    """Turn logits ``(B, F)`` into probabilities in torch, as `lucidray.bundle.calibration` does."""
    if fit.method == "temperature":
        logits = logits / torch.tensor(fit.temperature)
    if fit.method == "platt":
        logits = logits * torch.tensor(fit.slopes) + torch.tensor(fit.intercepts)
    if exclusive:
        return logits.softmax(-1)
    probabilities = logits.sigmoid()
    if fit.method != "op_norm":
        return probabilities
    point = torch.tensor(fit.points)
    below, above = probabilities / (2 * point), 1 - (1 - probabilities) / (2 * (1 - point))
    return torch.where(probabilities < point, below, above)


def _check(models: Sequence[Classifier], config: Preprocessing) -> bool:
    if not models:
        raise ExportError("there is no model to export; give at least one.")
    first = models[0]
    for model in models:
        if isinstance(model, Detector) != isinstance(first, Detector):
            raise ExportError("all members of an ensemble must find boxes, or none.")
        if isinstance(model, GazeClassifier) != isinstance(first, GazeClassifier):
            raise ExportError("all members of an ensemble must predict gaze, or none.")
        if isinstance(model, RegionClassifier) != isinstance(first, RegionClassifier):
            raise ExportError("all members of an ensemble must look twice, or none.")
        if (model.findings, model.exclusive) != (first.findings, first.exclusive):
            raise ExportError("the members of an ensemble must judge the same findings.")
        if model.spec.in_channels != config.channels:
            raise ExportError(
                f"the network takes {model.spec.in_channels} channels but the preprocessing makes "
                f"{config.channels}; set both to the same number."
            )
    return first.exclusive


def _tail(model: Any, output: Tensor, token: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Carry a class token to the logits, and all logits' derivatives back to the attention.

    Args:
        model: A classifier on a vision transformer.
        output: ``(B, heads * d)``, what the last attention read.
        token: ``(B, C)``, the class token before the last block.

    Returns:
        Logits ``(B, F)``, embedding ``(B, C)`` and d logit / d output ``(B, F, heads * d)``.
    """
    vit, block = model.backbone, model.backbone.blocks[-1]
    read = (block.attn.norm, block.attn.proj, block.ls1, block.drop_path1)
    attended, pull_read = differentiate(read, output)
    middle = token + attended
    mixed, pull_mix = differentiate((block.norm2, block.mlp, block.ls2, block.drop_path2), middle)
    vector, pull_norm = differentiate((vit.norm, vit.fc_norm, vit.head_drop), middle + mixed)
    logits, pull_head = differentiate([model.head], vector)
    at_end = pull_norm(pull_head(torch.eye(logits.shape[1])[None]))
    return logits, vector, pull_read(at_end + pull_mix(at_end))
