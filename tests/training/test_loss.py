"""Losses against torch, torchvision and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss

from lucidray.errors import ConfigError, DataError, ShapeError, UnknownNameError
from lucidray.training.loss import Loss, build_loss, class_weights, losses

LOGITS = torch.randn(12, 3, generator=torch.Generator().manual_seed(0)) * 2
MULTI = (torch.rand(12, 3, generator=torch.Generator().manual_seed(1)) < 0.4).float()
CLASS = torch.arange(12) % 3
ONE_HOT = functional.one_hot(CLASS, 3).float()


def unknown_some(labels: torch.Tensor) -> torch.Tensor:
    masked = labels.clone()
    masked[::4, 1] = torch.nan
    return masked


def test_bce_is_torch_s() -> None:
    loss = build_loss(Loss(), MULTI.numpy(), exclusive=False)
    wanted = functional.binary_cross_entropy_with_logits(LOGITS, MULTI)
    torch.testing.assert_close(loss(LOGITS, MULTI), wanted)


def test_weighted_bce_is_torch_s_with_unknown_labels_left_out() -> None:
    labels = unknown_some(MULTI)
    loss = build_loss(Loss(class_weights="neg_pos"), labels.numpy(), exclusive=False)
    known = labels.isfinite()
    positive = (labels == 1).sum(0)
    each = functional.binary_cross_entropy_with_logits(
        LOGITS, labels.nan_to_num(), pos_weight=((labels == 0).sum(0) / positive), reduction="none"
    )
    torch.testing.assert_close(loss(LOGITS, labels), each[known].mean())


def test_unknown_labels_send_no_gradient() -> None:
    logits = LOGITS.clone().requires_grad_()
    labels = unknown_some(MULTI)
    build_loss(Loss(), labels.numpy(), exclusive=False)(logits, labels).backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert ((logits.grad == 0) == labels.isnan()).all()


def test_all_unknown_is_zero_not_nan() -> None:
    loss = build_loss(Loss(), MULTI.numpy(), exclusive=False)
    assert loss(LOGITS, torch.full_like(MULTI, torch.nan)) == 0


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", ["none", "balanced"])
def test_cross_entropy_is_torch_s(smoothing: float, weights: str) -> None:
    labels = ONE_HOT[[0, 0, 0, 1, 1, 2, 2, 2, 2, 2, 2, 0]]
    options = Loss(class_weights=weights, label_smoothing=smoothing)  # type: ignore[arg-type]
    table = torch.from_numpy(class_weights(labels.numpy(), weights, exclusive=True))[1]
    wanted = functional.cross_entropy(
        LOGITS, labels.argmax(1), weight=table, label_smoothing=smoothing
    )
    loss = build_loss(options, labels.numpy(), exclusive=True)
    torch.testing.assert_close(loss(LOGITS, labels), wanted)


@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, None), (2.0, 0.25), (0.5, 0.75), (0.0, None)])
def test_focal_is_torchvision_s(gamma: float, alpha: float | None) -> None:
    options = Loss("focal", gamma=gamma, alpha=alpha)
    loss = build_loss(options, MULTI.numpy(), exclusive=False)
    wanted = sigmoid_focal_loss(
        LOGITS, MULTI, alpha=-1 if alpha is None else alpha, gamma=gamma, reduction="mean"
    )
    torch.testing.assert_close(loss(LOGITS, MULTI), wanted)


def test_focal_over_classes_follows_the_paper() -> None:
    loss = build_loss(Loss("focal", gamma=2.0), ONE_HOT.numpy(), exclusive=True)
    right = LOGITS.softmax(1)[torch.arange(12), CLASS]
    torch.testing.assert_close(loss(LOGITS, ONE_HOT), (-((1 - right) ** 2) * right.log()).mean())


def test_label_smoothing_of_bce_moves_targets_toward_a_half() -> None:
    loss = build_loss(Loss(label_smoothing=0.2), MULTI.numpy(), exclusive=False)
    wanted = functional.binary_cross_entropy_with_logits(LOGITS, MULTI * 0.8 + 0.1)
    torch.testing.assert_close(loss(LOGITS, MULTI), wanted)


def test_balanced_weights_are_scikit_learn_s() -> None:
    names = np.array([0, 0, 0, 0, 1, 1, 2])
    one_hot = np.eye(3, dtype=np.float32)[names]
    theirs = compute_class_weight("balanced", classes=np.arange(3), y=names)
    np.testing.assert_allclose(class_weights(one_hot, "balanced", exclusive=True)[1], theirs)
    binary = (names == 0).astype(np.float32)
    theirs = compute_class_weight("balanced", classes=np.array([0, 1]), y=binary)
    ours = class_weights(binary[:, None], "balanced", exclusive=False)
    np.testing.assert_allclose(ours[:, 0], theirs, rtol=1e-6)


def test_a_class_that_never_occurs_cannot_be_weighted() -> None:
    labels = np.zeros((5, 2), np.float32)
    with pytest.raises(DataError, match="at least once"):
        class_weights(labels, "neg_pos", exclusive=False)


def test_losses_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="may occur together"):
        build_loss(Loss("cross_entropy"), MULTI.numpy(), exclusive=False)
    with pytest.raises(UnknownNameError, match="did you mean 'focal'"):
        Loss("focl")
    with pytest.raises(ShapeError, match=r"\(B, F\)"):
        build_loss(Loss(), MULTI.numpy(), exclusive=False)(LOGITS[:, :1], MULTI)


@pytest.mark.parametrize("entry", losses.entries(), ids=lambda entry: entry.name)
def test_every_loss_is_documented_and_falls_toward_the_labels(entry) -> None:  # type: ignore[no-untyped-def]
    assert entry.summary.endswith(".") and entry.source
    exclusive = entry.facts["exclusive"]
    labels = ONE_HOT if exclusive else MULTI
    loss = build_loss(Loss(entry.name), labels.numpy(), exclusive=exclusive)
    good, bad = loss(20 * labels - 10, labels), loss(10 - 20 * labels, labels)
    assert 0 <= good < 1e-3 < bad
    assert loss(LOGITS.bfloat16(), labels).dtype == torch.float32
