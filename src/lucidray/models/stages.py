"""A backbone as a row of stages, so that its frozen beginning can be run once and kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from timm import models as timm_models
from torch import Tensor, nn

from lucidray.models.baseline_cnn import BaselineCNN


@dataclass(frozen=True)
class Stage:
    """One step of a backbone.

    Args:
        names: Prefixes of the names of all parameters that the step uses.
        run: The step; the stages run in order are the backbone's ``forward_features``.
        modules: What `run` calls.
        last: Whether the step belongs to the last block (or comes after it).
    """

    names: tuple[str, ...]
    run: Callable[[Tensor], Tensor]
    modules: tuple[nn.Module, ...]
    last: bool = False


def stages(backbone: nn.Module) -> list[Stage] | None:
    """Take a backbone apart.

    Args:
        backbone: A backbone as ``create_backbone`` makes it.

    Returns:
        Its stages; None for an architecture that is no row (NASNet) or is not known here.
    """
    if isinstance(backbone, timm_models.VisionTransformer):
        return list(_vision_transformer(backbone))
    names = _rows(backbone)
    if names is None:
        return None
    last = set(last_block(backbone) or ())
    row = []
    for name in names:
        module = backbone.get_submodule(name)
        row.append(Stage((name,), module, (module,), _within(name, last)))
    return row


def last_block(backbone: nn.Module) -> tuple[str, ...] | None:
    """Name the modules of a backbone's last block and all that follow it.

    The last block is the last stage at the final resolution: ``layer4`` of a ResNet (S1),
    ``denseblock4`` of a DenseNet (S1), the last stage of an EfficientNet, the last five
    convolutions' stage of a VGG, the exit flow of Xception, the last encoder block of a ViT.

    Returns:
        Prefixes of parameter names; None for an architecture that is not known here.
    """
    for kind, names in _LAST_BLOCK:
        if isinstance(backbone, kind):
            return names
    if isinstance(backbone, timm_models.VisionTransformer):
        return (f"blocks.{len(backbone.blocks) - 1}", "norm", "fc_norm", "attn_pool")
    if isinstance(backbone, timm_models.EfficientNet):
        return (f"blocks.{len(backbone.blocks) - 1}", "conv_head", "bn2")
    if isinstance(backbone, timm_models.ResNetV2):
        return (f"stages.{len(backbone.stages) - 1}", "norm")
    if isinstance(backbone, BaselineCNN):
        return (f"blocks.{len(backbone.blocks) - 1}",)
    return _last_vgg_block(backbone) if isinstance(backbone, timm_models.VGG) else None


def plainly_pooled(backbone: nn.Module) -> bool:
    """Say whether the architecture's own head is a mean over the map and one linear layer."""
    return type(backbone) in {*_ROWS, timm_models.NASNetALarge}


def final_pooling(backbone: nn.Module) -> int:
    """Return the edge of the max pooling between the last ReLU and the head; 1 for none."""
    return 2 if isinstance(backbone, (timm_models.VGG, BaselineCNN)) else 1


_XCEPTION = (
    *("conv1", "bn1", "act1", "conv2", "bn2", "act2"),
    *(f"block{number}" for number in range(1, 13)),
    *("conv3", "bn3", "act3", "conv4", "bn4", "act4"),
)
_INCEPTION = (
    *("conv2d_1a", "conv2d_2a", "conv2d_2b", "maxpool_3a", "conv2d_3b", "conv2d_4a", "maxpool_5a"),
    *("mixed_5b", "repeat/", "mixed_6a", "repeat_1/", "mixed_7a", "repeat_2/", "block8"),
    "conv2d_7b",
)
#: Modules in the order in which they run; a slash stands for "each child of".
_ROWS: dict[type[nn.Module], tuple[str, ...]] = {
    timm_models.ResNet: (
        *("conv1", "bn1", "act1", "maxpool"),
        *("layer1/", "layer2/", "layer3/", "layer4/"),
    ),
    timm_models.VGG: ("features/",),
    timm_models.DenseNet: ("features/",),
    timm_models.EfficientNet: ("conv_stem", "bn1", "blocks//", "conv_head", "bn2"),
    timm_models.ResNetV2: ("stem", "stages/", "norm"),
    timm_models.Xception: _XCEPTION,
    timm_models.InceptionResnetV2: _INCEPTION,
    BaselineCNN: ("blocks/",),
}
_LAST_BLOCK: tuple[tuple[type[nn.Module], tuple[str, ...]], ...] = (
    (timm_models.ResNet, ("layer4",)),
    (timm_models.DenseNet, ("features.denseblock4", "features.norm5")),
    (timm_models.Xception, ("block12", "conv3", "bn3", "conv4", "bn4")),
    (timm_models.InceptionResnetV2, ("mixed_7a", "repeat_2", "block8", "conv2d_7b")),
    (timm_models.NASNetALarge, ("reduction_cell_1", *(f"cell_{n}" for n in range(12, 18)))),
)


def _rows(backbone: nn.Module) -> list[str] | None:
    for kind, row in _ROWS.items():
        if type(backbone) is kind:
            return [name for pattern in row for name in _expand(backbone, pattern)]
    return None


def _expand(backbone: nn.Module, pattern: str) -> Iterator[str]:
    name, slash, rest = pattern.partition("/")
    if not slash:
        yield name
        return
    for child, _ in backbone.get_submodule(name).named_children():
        yield from _expand(backbone, f"{name}.{child}{rest}")


def _last_vgg_block(backbone: nn.Module) -> tuple[str, ...]:
    features = backbone.get_submodule("features")
    pools = [int(n) for n, m in features.named_children() if isinstance(m, nn.MaxPool2d)]
    names = [n for n, _ in features.named_children() if int(n) > max(pools)]
    return tuple(f"features.{name}" for name in names)


def _within(name: str, prefixes: set[str]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def _vision_transformer(vit: timm_models.VisionTransformer) -> Iterator[Stage]:
    def embed(x: Tensor) -> Tensor:
        tokens: Tensor = vit.norm_pre(vit.patch_drop(vit._pos_embed(vit.patch_embed(x))))
        return tokens

    names = ("patch_embed", "cls_token", "reg_token", "pos_embed", "norm_pre")
    modules = (vit.patch_embed, vit.pos_drop, vit.patch_drop, vit.norm_pre)
    yield Stage(names, embed, modules)
    for index, block in enumerate(vit.blocks):
        yield Stage((f"blocks.{index}",), block, (block,), index == len(vit.blocks) - 1)
    yield Stage(("norm",), vit.norm, (vit.norm,), True)
