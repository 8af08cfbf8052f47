"""Fit a bundle's gate: films that it may judge against all that it may not, generated or given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from lucidray.bundle import archive
from lucidray.bundle.card import from_json, to_json
from lucidray.bundle.estimate import Estimate
from lucidray.bundle.gate import MEMBER, Gate, LikenessRule, write_rule
from lucidray.bundle.installed import find_bundle
from lucidray.bundle.runtime import CARD, Bundle, load_bundle
from lucidray.errors import ExportError
from lucidray.export.gate_images import FIT, MEASURE, SHARES, THRESHOLD, Film, Progress, look
from lucidray.export.outliers import KINDS
from lucidray.metrics.intervals import wilson_interval
from lucidray.records import Bool, Float32, Float64

#: Share of held-out outliers that the threshold refuses, where `ACCEPTED` allows it.
REFUSED = 0.998

#: Least and largest share of held-out films, as they are and varied, that the threshold accepts.
ACCEPTED = (0.99, 0.998)

#: Fewest films that a gate can be fitted to.
FEWEST = 40

_HIDDEN, _DROPOUT, _DECAY, _RATE, _EPOCHS, _BATCH = 32, 0.4, 0.3, 3e-3, 60, 128


def add_gate(
    path: str | Path,
    accepted: Sequence[Film],
    *,
    patients: Sequence[str] | None = None,
    outliers: Mapping[str, Sequence[Film]] | None = None,
    fitted_on: str = "",
    kinds: Sequence[str] = KINDS,
    per_kind: int = 80,
    seed: int = 0,
    progress: Progress | None = None,
) -> Gate:
    """Fit a gate to a bundle and write it into the file, in the place of one that it has.

    Args:
        path: The bundle, or the name of a known one.
        accepted: Chest films of the kind that the model learned from; a thousand are plenty.
        patients: One a film: films of a patient stand on one side of each split. None: each film
            is by itself.
        outliers: Real images to be refused, by kind, beside the generated ones.
        fitted_on: What the films are, in words; ``""``: the card's training data.
        kinds: Which outliers to generate.
        per_kind: Generated images of each kind to fit on; two thirds of that more to choose the
            threshold and to measure.
        seed: The same seed gives the same gate.
        progress: Called with images looked at and in all.

    Returns:
        The gate, as it now stands in the card.

    Raises:
        ExportError: There are fewer than `FEWEST` films, or patients do not fit them.
        BundleError, ImageError: The bundle or a film cannot be read.
    """
    found = find_bundle(path)
    bundle = load_bundle(found)
    gate, rule = fit_gate(
        bundle,
        accepted,
        patients=patients,
        outliers=outliers,
        fitted_on=fitted_on or bundle.card.training.data,
        kinds=kinds,
        per_kind=per_kind,
        seed=seed,
        progress=progress,
    )
    set_gate(found, gate, rule)
    return gate


def set_gate(path: Path, gate: Gate, rule: LikenessRule | None = None) -> None:
    """Write a gate into a bundle's file, which is signed anew.

    Args:
        path: The file.
        gate: For the card; with ``method="quality"`` it needs no rule.
        rule: For the member ``gate.npz``.
    """
    members = dict(archive.read(path).members)
    members.pop(MEMBER, None)
    members[CARD] = to_json(replace(from_json(members[CARD]), gate=gate)).encode()
    if rule is not None:
        members[MEMBER] = write_rule(rule)
    archive.write(path, members)


def fit_gate(
    bundle: Bundle,
    accepted: Sequence[Film],
    *,
    patients: Sequence[str] | None = None,
    outliers: Mapping[str, Sequence[Film]] | None = None,
    fitted_on: str = "",
    kinds: Sequence[str] = KINDS,
    per_kind: int = 80,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[Gate, LikenessRule]:
    """Fit a gate; else as `add_gate`, but nothing is written.

    65 % of the films (with two varied copies each) and most outliers fit the rule, in which films
    and outliers weigh the same, and so does each kind of outlier; 20 % of the films and other
    outliers set the threshold (`choose_threshold`), the rest measures.

    Returns:
        The gate with its measured rates, and its rule.

    Source:
        Outlier exposure: Hendrycks, Mazeika & Dietterich, arXiv:1812.04606.

    Deviates:
        The network is left as it is; a rule on its features and a thumbnail's is fitted.
    """
    parts = _split(len(accepted), patients, seed)
    seen = look(
        bundle,
        accepted,
        parts,
        outliers or {},
        kinds=kinds,
        per_kind=per_kind,
        seed=seed,
        progress=progress,
    )
    rule = fit_rule(seen.features, seen.film, seen.kind, chosen=seen.part == FIT, seed=seed)
    likeness = rule.likeness(seen.features)
    tried = (seen.part == THRESHOLD) & ~seen.unfit
    threshold = choose_threshold(likeness[tried & seen.film], likeness[tried & ~seen.film])
    refused = seen.unfit | (likeness < threshold)
    fit = seen.part == FIT
    gate = Gate(
        "quality_and_likeness",
        threshold,
        fitted_on,
        images=int(((seen.kind == "films") & fit).sum()),
        outliers=int((~seen.film & fit).sum()),
        accepted=_rates(seen.kind, ~refused, seen.film & (seen.part == MEASURE)),
        refused=_rates(seen.kind, refused, ~seen.film & (seen.part == MEASURE)),
    )
    return gate, rule


def fit_rule(
    features: Float32,
    film: Bool,
    kind: npt.NDArray[np.str_],
    *,
    chosen: Bool | None = None,
    seed: int = 0,
) -> LikenessRule:
    """Fit what tells films from everything else: two layers, dropout and weight decay.

    Args:
        features: float32 ``(N, D)``.
        film: ``(N,)``: whether they are to be accepted.
        kind: ``(N,)`` names; the kinds of either side weigh the same.
        chosen: ``(N,)``: which to fit on; None: all.
        seed: The same seed gives the same rule on the same machine.

    Returns:
        The rule, for features as they are (the fit itself is on standardized ones).
    """
    keep = np.ones(len(film), bool) if chosen is None else chosen
    features, film, kind = features[keep], film[keep], kind[keep]
    mean, spread = features.mean(0), features.std(0) + np.float32(1e-3)
    inputs = torch.from_numpy((features - mean) / spread)
    signs = torch.from_numpy(np.where(film, 1.0, -1.0).astype(np.float32))
    weights = torch.from_numpy((_balanced(film, kind) * len(film)).astype(np.float32))
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        inner, outer = _train(inputs, signs, weights)
    hidden = inner.weight.detach().numpy().T / spread[:, None]
    offsets = inner.bias.detach().numpy() - mean @ hidden
    slopes = outer.weight.detach().numpy()[0]
    return LikenessRule(np.ascontiguousarray(hidden), offsets, slopes, outer.bias.item())


def choose_threshold(films: Float32, outliers: Float32) -> float:
    """Choose the likeness below which an image is refused.

    Args:
        films: ``(N,)`` likeness of films that the rule was not fitted on.
        outliers: ``(M,)`` likeness of such images to be refused.

    Returns:
        What refuses `REFUSED` of the outliers, moved to where the share of accepted films lies
        within `ACCEPTED`.

    >>> choose_threshold(np.linspace(5, 15, 1001), np.linspace(-9, 1, 1001))  # far apart
    5.02
    >>> choose_threshold(np.linspace(5, 15, 1001), np.linspace(-1, 9, 1001))  # not quite
    5.1
    """
    least, most = np.quantile(films, [1 - ACCEPTED[1], 1 - ACCEPTED[0]])
    wanted = np.quantile(outliers, REFUSED) if len(outliers) else least
    return float(np.clip(wanted, least, most).round(6))


def rate(hits: Bool) -> Estimate:
    """Return a share with Wilson's 95 % interval; None of nothing."""
    if not len(hits):
        return Estimate(None)
    low, high = wilson_interval(int(hits.sum()), len(hits))
    return Estimate(float(hits.mean()), float(low), float(high), len(hits))


def _train(inputs: Tensor, signs: Tensor, weights: Tensor) -> tuple[nn.Linear, nn.Linear]:
    inner, outer = nn.Linear(inputs.shape[1], _HIDDEN), nn.Linear(_HIDDEN, 1)
    drop = nn.Dropout(_DROPOUT)
    network = nn.Sequential(drop, inner, nn.ReLU(), drop, outer)
    optimizer = torch.optim.AdamW(network.parameters(), _RATE, weight_decay=_DECAY)
    steps = _EPOCHS * -(-len(inputs) // _BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, steps)
    for _ in range(_EPOCHS):
        for batch in torch.split(torch.randperm(len(inputs)), _BATCH):
            margins = signs[batch] * network(inputs[batch])[:, 0]
            loss = (weights[batch] * functional.softplus(-margins)).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return inner, outer


def _rates(kinds: npt.NDArray[np.str_], hits: Bool, chosen: Bool) -> dict[str, Estimate]:
    names = sorted(set(kinds[chosen].tolist()))
    return {name: rate(hits[chosen & (kinds == name)]) for name in names}


def _balanced(film: Bool, kind: npt.NDArray[np.str_]) -> Float64:
    """Weigh films and outliers alike, and the kinds of each; 1 in all."""
    weight = np.zeros(len(film))
    for side in (True, False):
        names = set(kind[film == side].tolist())
        for name in names:
            these = (film == side) & (kind == name)
            weight[these] = 0.5 / len(names) / these.sum()
    return weight


def _split(count: int, patients: Sequence[str] | None, seed: int) -> npt.NDArray[np.int_]:
    """Deal films, patient by patient, to fit, threshold and measurement."""
    if count < FEWEST:
        raise ExportError(f"there are {count} films; a gate needs at least {FEWEST} to learn from.")
    if patients is not None and len(patients) != count:
        raise ExportError(f"there are {count} films but {len(patients)} patients; give one each.")
    names = np.arange(count) if patients is None else np.unique(patients, return_inverse=True)[1]
    rng = np.random.Generator(np.random.PCG64(seed))
    place = rng.permutation(int(names.max()) + 1) / (names.max() + 1)
    return np.asarray(np.digitize(place, SHARES)[names], np.intp)
