"""Weights that a backbone starts from: ImageNet's through timm, a local file, TorchXRayVision's."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import huggingface_hub
import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from lucidray.errors import WeightsError
from lucidray.models.backbones import card
from lucidray.models.spec import ModelSpec
from lucidray.models.xrv_weights import read_xrv_weights

#: Seconds after which a silent server counts as out of reach.
PATIENCE_S = 5.0

#: What files carry beside the backbone: classifiers of many names.
_NOT_BACKBONE = (
    *("head.", "head_dist.", "fc.", "classifier.", "classif.", "last_linear.", "pre_logits."),
    *("op_threshs", "aux_logits.", "AuxLogits."),
)


def load_weights(backbone: nn.Module, spec: ModelSpec) -> nn.Module:
    """Give a backbone the weights that its spec names.

    The classifier in the file, if any, is left out: a head always starts at random.

    Args:
        backbone: As ``create_backbone`` makes it; changed in place.
        spec: Names the backbone and the weights.

    Returns:
        The backbone.

    Raises:
        UnknownNameError: TorchXRayVision has no weights of that name.
        WeightsError: The weights cannot be reached, read or fitted; the message says what to do.
    """
    if spec.weights == "none":
        return backbone
    kind, _, name = spec.weights.partition(":")
    if spec.weights == "imagenet":
        state = read_imagenet_weights(spec.backbone)
    elif kind == "torchxrayvision":
        state = read_xrv_weights(name)
    else:
        state = read_local_weights(spec.weights)
    fit(backbone, state, where=f"weights '{spec.weights}' for '{spec.backbone}'")
    return backbone


def read_local_weights(path: str | Path) -> dict[str, Tensor]:
    """Read a ``.safetensors`` file of timm, or of a classifier that LucidRay trained.

    Raises:
        WeightsError: The file is missing, is a pickle, or is broken.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise WeightsError(
            f"weights are '{path.name}'; expected 'none', 'imagenet', 'torchxrayvision:NAME' or "
            "the path of a .safetensors file. A .pt or .pth file is a pickle, which may run code "
            "when read: convert it once with safetensors.torch.save_file."
        )
    try:
        state: dict[str, Tensor] = load_file(path)
    except FileNotFoundError as error:
        raise WeightsError(f"no such weights file: {path}. Check the path.") from error
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{path.name} is no readable safetensors file ({error}). Download or save it again."
        ) from error
    return state


def read_imagenet_weights(name: str) -> dict[str, Tensor]:
    """Read timm's ImageNet weights of a backbone, from the cache or from the network.

    Args:
        name: A registered or a timm name.

    Raises:
        WeightsError: There are none, or they are neither cached nor within reach.
    """
    timm_name = card(name).timm_name
    facts = timm.get_pretrained_cfg(timm_name) if timm_name else None
    if facts is None or not (facts.hf_hub_id or facts.url):
        raise WeightsError(
            f"there are no ImageNet weights for '{name}'. Set weights = \"none\", "
            "or name a tag of timm.list_pretrained() as the backbone."
        )
    try:
        return _from_hub(facts) if facts.hf_hub_id else _from_url(str(facts.url))
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise WeightsError(
            f"ImageNet weights of '{name}' are not in the cache and cannot be fetched from here "
            f"({facts.hf_hub_id or facts.url}). Copy them to this computer as a .safetensors file "
            'and give its path as weights, or set weights = "none" to start at random.'
        ) from error


def fit(backbone: nn.Module, state: Mapping[str, Tensor], *, where: str) -> None:
    """Copy weights into a backbone, adapting the first convolution to its channels.

    Args:
        backbone: Changed in place.
        state: Tensors by timm's, torchvision's or LucidRay's names.
        where: What the weights are, for messages.

    Raises:
        WeightsError: Tensors are missing, too many or of another shape.

    Source: for the channels, timm's ``adapt_input_conv``: a single channel gets the sum of the
        three, three channels get a third of the one each, so that gray films give equal maps.
    """
    state = _translate(backbone, _backbone_part(state))
    own = backbone.state_dict()
    for name in _first_convolutions(backbone):
        if name in state and name in own:
            state[name] = _adapt_channels(state[name], own[name].shape[1])
    wrong = [
        f"{name} is {tuple(state[name].shape)}, expected {tuple(own[name].shape)}"
        for name in own
        if name in state and state[name].shape != own[name].shape
    ]
    missing = [n for n in own if n not in state and not n.endswith("num_batches_tracked")]
    extra = [n for n in state if n not in own and not n.startswith(_NOT_BACKBONE)]
    if wrong or missing or extra:
        raise WeightsError(
            f"{where} do not fit: {_some('missing', missing)}{_some('too many', extra)}"
            f"{_some('of another shape', wrong)}Name the backbone that the weights were made for."
        )
    backbone.load_state_dict({n: state[n] for n in own if n in state}, strict=False)


def _from_hub(facts: Any) -> dict[str, Tensor]:
    place = {"repo_id": facts.hf_hub_id, "filename": facts.hf_hub_filename or "model.safetensors"}
    cached = huggingface_hub.try_to_load_from_cache(**place)
    if not isinstance(cached, str):
        _reach(huggingface_hub.constants.ENDPOINT)
        cached = huggingface_hub.hf_hub_download(**place)
    state: dict[str, Tensor] = load_file(cached)
    return state


def _from_url(url: str) -> dict[str, Tensor]:
    if not (Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]).is_file():
        _reach(url)
    state: dict[str, Tensor] = torch.hub.load_state_dict_from_url(
        url, map_location="cpu", progress=False, weights_only=True
    )
    return state


def _reach(url: str) -> None:
    """Ask for one answer, once: the libraries below would try for a minute."""
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - from timm's own table
    try:
        urllib.request.urlopen(request, timeout=PATIENCE_S).close()  # noqa: S310
    except urllib.error.HTTPError:
        return


def _backbone_part(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    for prefix in ("backbone.", "module.", "model."):
        part = {n.removeprefix(prefix): v for n, v in state.items() if n.startswith(prefix)}
        if part:
            return part
    return dict(state)


def _translate(backbone: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Let timm rename and resize (positions of a ViT) as its architecture's file knows how."""
    own = backbone.state_dict()
    if all(n in state and state[n].shape == own[n].shape for n in own):
        return state
    translate = getattr(import_module(type(backbone).__module__), "checkpoint_filter_fn", None)
    return state if translate is None else dict(translate(state, backbone))


def _first_convolutions(backbone: nn.Module) -> list[str]:
    first = dict(getattr(backbone, "pretrained_cfg", None) or {}).get("first_conv")
    names: Iterable[str] = [first] if isinstance(first, str) else first or ["blocks.0.0"]
    return [f"{name}.weight" for name in names]


def _adapt_channels(weight: Tensor, channels: int) -> Tensor:
    came = weight.shape[1]
    if came == channels:
        return weight
    if channels == 1:
        return weight.sum(1, keepdim=True)
    return weight.repeat(1, channels, 1, 1) / channels if came == 1 else weight


def _some(what: str, names: list[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{len(names)} {what} ({'; '.join(names[:3])}{more}). "
