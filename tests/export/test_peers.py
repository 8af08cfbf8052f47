"""Published weights as bundles: the same numbers as the peer's own code gives."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from timm.models import save_for_hf

from lucidray.bundle import load_bundle
from lucidray.bundle.reference import make_images
from lucidray.errors import ExportError, UnknownNameError, WeightsError
from lucidray.export import peers
from lucidray.export.peers import import_timm, import_xrv
from lucidray.export.xrv_table import LABELS, XRV_WEIGHTS, XrvWeights
from lucidray.images.geometry import identity
from lucidray.images.preprocessing import preprocess
from lucidray.models.xrv_weights import XRV_FILES
from lucidray.records import XRay

xrv = pytest.importorskip("torchxrayvision.models")


def test_the_table_is_the_publishers() -> None:
    assert set(XRV_WEIGHTS) == set(XRV_FILES)
    for name, ours in XRV_WEIGHTS.items():
        theirs = xrv.model_urls[name]
        assert ours.size == theirs["input_resolution"]
        assert name.startswith(ours.backbone)
        for label, mine, spelled, point in zip(
            LABELS, ours.points, theirs["labels"], theirs["op_threshs"], strict=True
        ):
            known = spelled != "" and not math.isnan(point)
            assert (mine is not None) == known
            assert not known or (label, mine) == (spelled, point)


@pytest.mark.slow
def test_a_published_densenet_answers_as_the_peer_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 64 pixels instead of 224, since every layer is the same; random weights, their format."""
    torch.manual_seed(0)
    name = "densenet121-res224-chex"
    known = XRV_WEIGHTS[name]
    monkeypatch.setitem(
        peers.XRV_WEIGHTS, name, XrvWeights("densenet121", 64, known.trained_on, known.points)
    )
    theirs = xrv.DenseNet(weights=None).eval()
    with torch.no_grad():
        theirs.features.conv0.weight /= 300
        theirs.classifier.weight *= 3
        theirs.classifier.bias -= 2
    torch.save(theirs, tmp_path / "published.pt")
    path = import_xrv(
        name, tmp_path / "chex.lucid", file=tmp_path / "published.pt", fit_to="squash"
    )
    points = [math.nan if point is None else point for point in known.points]
    theirs.op_threshs = torch.tensor(points)
    theirs.targets = xrv.model_urls[name]["labels"]
    bundle = load_bundle(path, threads=1)
    kept = [index for index, label in enumerate(theirs.targets) if label]
    assert [each.source_name or each.name for each in bundle.card.findings] == [
        theirs.targets[index] for index in kept
    ]
    for image in make_images(64):
        pixels = image.astype(np.float32) / 255
        film = XRay(pixels, identity((pixels.shape[0], pixels.shape[1])))
        x = torch.from_numpy(preprocess(film, bundle.preprocessing)[0])[None]
        assert x.abs().max() <= 1024
        with torch.no_grad():
            wanted = theirs(x)[0, kept].numpy()
        found = bundle.predict(film)
        np.testing.assert_allclose(found.probabilities, wanted, atol=1e-5)
        assert wanted.std() > 0
        for label, value in zip(bundle.findings, wanted, strict=True):
            assert abs(value - 0.5) < 1e-4 or found.positive(label) == (value >= 0.5)


def test_other_weights_than_named_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'densenet121-res224-all'"):
        import_xrv("densenet121-res224-al", tmp_path / "x.lucid")
    with pytest.raises(WeightsError, match=r"none\.pt"):
        import_xrv("densenet121-res224-all", tmp_path / "x.lucid", file=tmp_path / "none.pt")
    torch.save(timm.create_model("resnet10t").state_dict(), tmp_path / "resnet.pt")
    with pytest.raises(WeightsError, match="do not fit"):
        import_xrv("densenet121-res224-all", tmp_path / "x.lucid", file=tmp_path / "resnet.pt")


def save_timm(folder: Path, **changes: object) -> torch.nn.Module:
    torch.manual_seed(0)
    model = timm.create_model("resnet10t", num_classes=2, in_chans=3).eval()
    facts = {**model.pretrained_cfg, "input_size": (3, 64, 64), **changes}
    config = {"label_names": ["normal", "Pneumonia"], "pretrained_cfg": facts}
    save_for_hf(model, folder, model_config=config, safe_serialization=True)
    return model


def test_a_timm_classifier_answers_as_timm_does(tmp_path: Path) -> None:
    theirs = save_timm(tmp_path / "hub")
    path = import_timm(tmp_path / "hub", tmp_path / "x.lucid")
    bundle = load_bundle(path, threads=1)
    assert bundle.findings == ("Normal", "Pneumonia")
    assert bundle.card.findings[0].source_name == "normal"
    assert bundle.exclusive
    mean, std = (torch.tensor(theirs.pretrained_cfg[key]).view(3, 1, 1) for key in ("mean", "std"))
    pixels = np.random.default_rng(0).random((64, 64), dtype=np.float32)
    with torch.no_grad():
        wanted = theirs(((torch.from_numpy(pixels) - mean) / std)[None]).softmax(-1)[0]
    np.testing.assert_allclose(bundle.predict(pixels).probabilities, wanted, atol=1e-5)


def test_what_timm_cannot_hand_over_is_refused(tmp_path: Path) -> None:
    folder, out = tmp_path / "hub", tmp_path / "x.lucid"
    with pytest.raises(WeightsError, match=r"config\.json of timm"):
        import_timm(tmp_path, out)
    save_timm(folder, mean=(0.1, 0.2, 0.3))
    with pytest.raises(ExportError, match=r"mean \(0\.1, 0\.2, 0\.3\)"):
        import_timm(folder, out)
    with pytest.raises(ExportError, match="3 labels are named for 2 logits"):
        import_timm(folder, out, labels=["a", "b", "c"])
    config = json.loads((folder / "config.json").read_text())
    config["architecture"] = "resnet18"
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match="do not fit"):
        import_timm(folder, out)
    assert not out.exists()


def test_a_network_that_answers_otherwise_is_refused() -> None:
    torch.manual_seed(0)
    theirs = timm.create_model("resnet10t", num_classes=2).eval()
    state = theirs.state_dict()
    model = peers.TimmModel("resnet10t", state, ("a", "b"), 64, 3, (0.5,) * 3, (0.5,) * 3)
    ours = peers._classifier("resnet10t", ("a", "b"), state, "x", channels=3, size=64)
    peers._fill_head(ours, state, ("fc",), where="x")
    peers._same(ours, theirs, model)
    with torch.no_grad():
        ours.head[-1].bias += 0.01
    with pytest.raises(ExportError, match="cannot be taken over"):
        peers._same(ours, theirs, model)
    with pytest.raises(WeightsError, match="no classifier"):
        peers._fill_head(ours, state, ("classifier",), where="x")
