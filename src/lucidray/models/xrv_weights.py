"""TorchXRayVision's weights, read out of their pickles without running anything in them."""

from __future__ import annotations

import pickle
import warnings
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch._utils import _rebuild_parameter, _rebuild_tensor_v2

from lucidray.errors import WeightsError, unknown_name

_RELEASE = "https://github.com/mlmed/torchxrayvision/releases/download/v1/"
_DENSENET = "densenet121-d121-tw-lr001-rot45-tr15-sc15-seed0-best.pt"

#: The published weights: name to file.
XRV_FILES = {
    "densenet121-res224-all": f"nih-pc-chex-mimic_ch-google-openi-kaggle-{_DENSENET}",
    "densenet121-res224-nih": f"nih-{_DENSENET}",
    "densenet121-res224-pc": f"pc-{_DENSENET}",
    "densenet121-res224-chex": f"chex-{_DENSENET}",
    "densenet121-res224-rsna": f"kaggle-{_DENSENET}",
    "densenet121-res224-mimic_nb": f"mimic_nb-{_DENSENET}",
    "densenet121-res224-mimic_ch": f"mimic_ch-{_DENSENET}",
    "resnet50-res512-all": "pc-nih-rsna-siim-vin-resnet50-test512-e400-state.pt",
}

#: Where TorchXRayVision keeps what it has fetched.
XRV_FOLDER = Path.home() / ".torchxrayvision" / "models_data"


def read_xrv_weights(name: str, folder: Path = XRV_FOLDER) -> dict[str, Tensor]:
    """Read weights that TorchXRayVision publishes, from the disk.

    Args:
        name: A published name (``densenet121-res224-all``), or the path of a ``.pt`` file.
        folder: Where the published files lie.

    Returns:
        Tensors by torchvision's names, which are timm's too.

    Raises:
        UnknownNameError: No weights of that name are published.
        WeightsError: The file is not there, or holds no network.

    Source: Cohen et al., TorchXRayVision, arXiv:2111.00595.
    """
    path = Path(name)
    if path.suffix not in {".pt", ".pth"}:
        if name not in XRV_FILES:
            raise unknown_name("TorchXRayVision weights", name, XRV_FILES)
        path = folder / XRV_FILES[name]
    if not path.is_file():
        remedy = f" Fetch it from {_RELEASE}{path.name} and" if path.name in _PUBLISHED else ""
        raise WeightsError(
            f"TorchXRayVision weights {path.name} are not at {path.parent}.{remedy} "
            f'put it there, or give weights = "torchxrayvision:PATH.pt".'
        )
    return read_pickled_network(path)


def read_pickled_network(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a network that was saved whole, or as a state dict, with torch.save.

    Nothing in the file is run or imported: every class but tensors becomes an inert stand-in.

    Raises:
        WeightsError: The file is broken, or holds no network.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            saved = torch.load(path, "cpu", pickle_module=_INERT, weights_only=False)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, TypeError) as error:
        raise WeightsError(f"{path.name} cannot be read: {error}. Fetch it again.") from error
    state = dict(_tensors(saved))
    if not state:
        raise WeightsError(f"{path.name} holds no network weights. Name another file.")
    return state


_PUBLISHED = frozenset(XRV_FILES.values())


class _StandIn:
    """What a class that we do not want to run becomes."""

    def __init__(self, *args: object, **options: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        if isinstance(state, dict):
            self.__dict__.update(state)


class _InertUnpickler(pickle.Unpickler):
    _ALLOWED: dict[tuple[str, str], Any] = {  # noqa: RUF012 - never changed
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor_v2,
        ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
        ("torch", "Size"): torch.Size,
        ("builtins", "set"): set,
        ("__builtin__", "set"): set,
    }

    def find_class(self, module: str, name: str) -> Any:
        return self._ALLOWED.get((module, name), type(name, (_StandIn,), {}))


def _inert_load(file: Any, **options: Any) -> Any:
    return _InertUnpickler(file, **options).load()


_INERT: Any = SimpleNamespace(__name__="inert", Unpickler=_InertUnpickler, load=_inert_load)


def _tensors(node: Any, prefix: str = "") -> list[tuple[str, Tensor]]:
    if isinstance(node, dict):
        return [(name, value.detach()) for name, value in node.items() if torch.is_tensor(value)]
    found = []
    for kind in ("_parameters", "_buffers"):
        for name, value in getattr(node, kind, {}).items():
            if torch.is_tensor(value):
                found.append((prefix + name, value.detach()))
    for name, child in getattr(node, "_modules", {}).items():
        found.extend(_tensors(child, f"{prefix}{name}."))
    return found
