"""The traced part of an ensemble's graph, and the same asked of torch run by run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lucidray.bundle.calibration import calibrate
from lucidray.bundle.card import Calibration, Card
from lucidray.bundle.engines import Outputs
from lucidray.bundle.ensemble import EnsembleRule
from lucidray.bundle.reference import Grey8
from lucidray.errors import ExportError
from lucidray.export.mixing import Mixture, join
from lucidray.export.network import OUTPUTS, Core, calibrated
from lucidray.export.parity import answer
from lucidray.images.preprocessing import Preprocessing
from lucidray.images.resample import resample
from lucidray.models.classifier import Classifier
from lucidray.models.detector import Detector
from lucidray.models.gaze_fusion import GazeClassifier
from lucidray.records import Float32


class EnsembleCore(nn.Module):
    """All that follows the grey square: several runs, whose logits and maps are summed.

    Args:
        models: All networks of the first run, then those of the second, and so on.
        card: Names the runs, their weights, calibration, and what is done to an image.

    Raises:
        ExportError: The networks do not fit together, or find more than probabilities.
    """

    def __init__(self, models: Sequence[Classifier], card: Card) -> None:
        super().__init__()
        rule = rule_of(card)
        plain = Calibration()
        pairs = zip(groups_of(models, rule), configs_of(card), strict=True)
        self.runs = nn.ModuleList(
            Core(group, config, plain, flip=card.flip) for group, config in pairs
        )
        self.outputs = (*OUTPUTS, "disagreement")
        self.name = " + ".join(member.network for member in rule.members)
        self.size, self.exclusive = card.preprocessing.size, card.exclusive
        self.calibration = card.calibration
        self.weights = nn.Buffer(torch.tensor(rule.weights))
        self.intercepts = nn.Buffer(torch.tensor(rule.intercepts))
        self.eval()

    def forward(self, grey: Tensor) -> tuple[Tensor, ...]:
        """Return `outputs` of intensities ``(B, 1, S, S)`` in [0, 1]."""
        found = [run(grey) for run in self.runs]
        logits = (torch.stack([each[0] for each in found]) * self.weights[:, None]).sum(0)
        logits = logits + self.intercepts
        maps = torch.stack(_on_one_grid([each[2] for each in found]))
        maps = (maps * self.weights[:, None, :, None, None]).sum(0)
        apart = _deviation(torch.stack([each[1] for each in found]))
        probabilities = calibrated(logits, self.calibration, exclusive=self.exclusive)
        return logits, probabilities, maps, torch.cat([each[3] for each in found], 1), apart


def answer_ensemble(models: Sequence[Classifier], card: Card, image: Grey8) -> Outputs:
    """Ask the runs in torch one by one, and join their answers in NumPy; else as `answer`."""
    rule, single = rule_of(card), replace(card, calibration=Calibration(), ensemble=None)
    found = [
        answer(group, replace(single, preprocessing=config), image)
        for group, config in zip(groups_of(models, rule), configs_of(card), strict=True)
    ]
    weights = np.array(rule.weights)
    mixture = Mixture(weights, np.array(rule.intercepts))
    logits = join(np.stack([each.logits for each in found]), mixture)
    height, width = (max(each.maps.shape[side] for each in found) for side in (2, 3))
    maps = [_grown(each.maps[0], (height, width)) for each in found]
    summed = np.einsum("rfhw,rf->fhw", np.stack(maps).astype(np.float64), weights)
    return Outputs(
        logits,
        calibrate(logits, card.calibration, exclusive=card.exclusive),
        summed.astype(np.float32)[None],
        np.concatenate([each.embedding for each in found], axis=1),
        disagreement=np.std([each.probabilities for each in found], axis=0).astype(np.float32),
    )


def rule_of(card: Card) -> EnsembleRule:
    """Return how a card joins its runs.

    Raises:
        ExportError: It is the card of a single run.
    """
    if card.ensemble is None:
        raise ExportError("the card tells of no ensemble; set card.ensemble to an EnsembleRule.")
    return card.ensemble


def configs_of(card: Card) -> list[Preprocessing]:
    """Return what is done to an image for each run: the same but for the last step."""
    return [
        replace(card.preprocessing, normalization=each.normalization, channels=each.channels)
        for each in rule_of(card).members
    ]


def groups_of(models: Sequence[Classifier], rule: EnsembleRule) -> list[Sequence[Classifier]]:
    """Give each run its networks.

    Raises:
        ExportError: There are more or fewer than the rule says, or some find boxes or gaze.
    """
    if any(isinstance(model, (Detector, GazeClassifier)) for model in models):
        raise ExportError("an ensemble joins classifiers only, none that finds boxes or gaze.")
    ends = [0, *accumulate(member.networks for member in rule.members)]
    if ends[-1] != len(models):
        raise ExportError(
            f"the ensemble's members have {ends[-1]} networks, but {len(models)} were given."
        )
    return [models[start:end] for start, end in pairwise(ends)]


def _on_one_grid(maps: Sequence[Tensor]) -> list[Tensor]:
    """Bring maps to the finest grid among them; what each adds up to stays (but at its border)."""
    height, width = (max(each.shape[side] for each in maps) for side in (2, 3))
    grown = []
    for each in maps:
        share = each.shape[2] * each.shape[3] / (height * width)
        if share < 1:
            each = functional.interpolate(each, (height, width), mode="bilinear") * share
        grown.append(each)
    return grown


def _grown(maps: Float32, shape: tuple[int, int]) -> Float32:
    """Do in NumPy what `_on_one_grid` does; maps are ``(F, h, w)``."""
    height, width = maps.shape[1:]
    if (height, width) == shape:
        return maps
    whole = (0.0, 0.0, float(width), float(height))
    share = np.float32(height * width / (shape[0] * shape[1]))
    return np.stack([resample(np.ascontiguousarray(each), shape, whole) * share for each in maps])


def _deviation(values: Tensor) -> Tensor:
    """Return the standard deviation over the first axis, ``(R, B, F)`` to ``(B, F)``."""
    return (values - values.mean(0)).square().mean(0).sqrt()
