"""Weights: local files, ImageNet's, TorchXRayVision's."""

from __future__ import annotations

import os
import pickle
import urllib.error
from pathlib import Path

import huggingface_hub
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from lucidray.errors import UnknownNameError, WeightsError
from lucidray.models import XRV_FILES, ModelSpec, build_model, read_xrv_weights, weights


def saved(network: nn.Module, path: Path) -> Path:
    save_file({name: value.clone() for name, value in network.state_dict().items()}, path)
    return path


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, Path]:
    network = timm.create_model("resnet18").eval()
    return network, saved(network, tmp_path_factory.mktemp("weights") / "resnet18.safetensors")


def build(backbone: str, path: object, channels: int = 3, size: int = 64):
    spec = ModelSpec(backbone, weights=str(path), in_channels=channels)
    return build_model(spec, ["a"], image_size=size).eval()


def test_timm_weights_from_a_file(resnet) -> None:
    network, path = resnet
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(build("resnet18", path).features(x), network.forward_features(x))


def test_one_channel_sees_a_gray_film_as_three_do(resnet) -> None:
    network, path = resnet
    x = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        one = build("resnet18", path, channels=1).features(x)
        three = network.forward_features(x.expand(1, 3, 64, 64))
    torch.testing.assert_close(one, three, rtol=1e-4, atol=1e-5)


def test_our_own_file_starts_the_backbone_and_not_the_head(tmp_path: Path) -> None:
    first = build_model(ModelSpec("baseline_cnn"), ["a", "b"], image_size=32)
    path = saved(first, tmp_path / "model.safetensors")
    second = build("baseline_cnn", path, size=32)
    assert torch.equal(second.backbone.blocks[0][0].weight, first.backbone.blocks[0][0].weight)
    assert len(second.head[-1].bias) == 1


def test_a_transformers_positions_are_resized(tmp_path: Path) -> None:
    network = timm.create_model("vit_tiny_patch16_224", img_size=96)
    path = saved(network, tmp_path / "vit.safetensors")
    model = build("vit_tiny_patch16_224", path)
    assert model.backbone.pos_embed.shape == (1, 17, 192)
    assert torch.equal(model.backbone.cls_token, network.cls_token)
    torch.testing.assert_close(model.backbone.pos_embed[:, 0], network.pos_embed[:, 0])


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        ("resnet34", r"do not fit: .* missing \(layer1.2.*Name the backbone"),
        ("resnet50", "of another shape"),
        ("densenet121", "too many"),
    ],
)
def test_weights_of_another_network_are_refused(resnet, backbone: str, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        build(backbone, resnet[1])


def test_weights_of_a_larger_network_are_refused(tmp_path: Path) -> None:
    path = saved(timm.create_model("resnet34"), tmp_path / "resnet34.safetensors")
    with pytest.raises(WeightsError, match=r"\d+ too many"):
        build("resnet18", path)


def test_files_that_are_no_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"pickle.*safetensors.torch.save_file"):
        build("resnet18", tmp_path / "resnet18.pth")
    with pytest.raises(WeightsError, match="no such weights file"):
        build("resnet18", tmp_path / "absent.safetensors")
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"not a header")
    with pytest.raises(WeightsError, match="no readable safetensors"):
        build("resnet18", broken)


def test_imagenet_weights_come_from_the_cache_without_a_network(resnet, monkeypatch) -> None:
    network, path = resnet
    asked = []

    def cached(repo_id: str, filename: str) -> str:
        asked.append((repo_id, filename))
        return str(path)

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", cached)
    monkeypatch.setattr(weights, "_reach", lambda url: pytest.fail("asked the network"))
    model = build("resnet18", "imagenet")
    assert asked == [("timm/resnet18.tv_in1k", "model.safetensors")]
    assert torch.equal(model.backbone.conv1.weight, network.conv1.weight)


@pytest.mark.parametrize("name", ["resnet18", "xception"])
def test_imagenet_weights_out_of_reach_say_what_to_do(name: str, monkeypatch, tmp_path) -> None:
    def silent(request: object, timeout: float) -> None:
        assert timeout <= 10
        raise urllib.error.URLError("no route")

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda **place: None)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(weights.urllib.request, "urlopen", silent)
    with pytest.raises(WeightsError, match=r"\.safetensors.*weights = \"none\"") as caught:
        build(name, "imagenet", size=96)
    assert isinstance(caught.value.__cause__, urllib.error.URLError)


def test_a_network_without_imagenet_weights_says_so() -> None:
    with pytest.raises(WeightsError, match="there are no ImageNet weights for 'baseline_cnn'"):
        build("baseline_cnn", "imagenet")


@pytest.mark.parametrize("legacy", [True, False])
def test_torchxrayvision_weights_give_its_features(tmp_path: Path, legacy: bool) -> None:
    xrv = pytest.importorskip("torchxrayvision")
    torch.manual_seed(0)
    theirs = xrv.models.DenseNet(num_classes=18, in_channels=1).eval()
    path = tmp_path / "whole.pt"
    torch.save(theirs, path, _use_new_zipfile_serialization=not legacy)
    ours = build("densenet121", f"torchxrayvision:{path}", channels=1)
    x = 1024 * torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        expected = functional.relu(theirs.features(x))
        torch.testing.assert_close(ours.features(x), expected)
        three = build("densenet121", f"torchxrayvision:{path}")
        seen = three.features(x.expand(1, 3, 64, 64))
        torch.testing.assert_close(seen, expected, rtol=5e-3, atol=1e-3)
    assert ours.normalization == ((0.5,), (1 / 2048,))


def test_torchxrayvision_state_dicts_are_read_too(tmp_path: Path) -> None:
    network = timm.create_model("resnet50")
    path = tmp_path / "state.pt"
    torch.save(network.state_dict(), path)
    model = build("resnet50", f"torchxrayvision:{path}")
    assert torch.equal(model.backbone.layer4[2].conv3.weight, network.layer4[2].conv3.weight)


def test_torchxrayvisions_own_table_of_files() -> None:
    xrv = pytest.importorskip("torchxrayvision")
    for name, file in XRV_FILES.items():
        assert xrv.models.model_urls[name]["weights_url"].endswith(f"/v1/{file}")


class Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.place,)


def test_nothing_in_a_pickle_is_run(tmp_path: Path) -> None:
    trap = Trap()
    trap.place = str(tmp_path / "sprung")
    path = tmp_path / "trap.pt"
    torch.save({"weight": torch.ones(1), "trap": trap}, path)
    assert list(read_xrv_weights(str(path))) == ["weight"]
    assert not (tmp_path / "sprung").exists()
    path.write_bytes(pickle.dumps(trap))
    with pytest.raises(WeightsError):
        read_xrv_weights(str(path))
    assert not (tmp_path / "sprung").exists()


def test_absent_torchxrayvision_weights_say_where_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"Fetch it from https://github\.com/mlmed") as caught:
        read_xrv_weights("densenet121-res224-all", tmp_path)
    assert XRV_FILES["densenet121-res224-all"] in str(caught.value)
    with pytest.raises(UnknownNameError, match="did you mean 'densenet121-res224-nih'"):
        read_xrv_weights("densenet121-res224-nhi", tmp_path)
    with pytest.raises(WeightsError, match=r"put it there"):
        read_xrv_weights(str(tmp_path / "mine.pt"))
