"""From a number to a radiograph with known truth."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from lucidray.datasets.phantom import bones, chest, devices, findings, physics, vessels
from lucidray.datasets.phantom.body import Body, grow
from lucidray.datasets.phantom.case import Case, draw_case, stream
from lucidray.datasets.phantom.chest import Lung
from lucidray.datasets.phantom.config import (
    FINDINGS,
    LesionBox,
    Phantom,
    PhantomConfig,
)
from lucidray.datasets.phantom.draw import Random, deposit, join
from lucidray.datasets.phantom.frame import Frame
from lucidray.datasets.phantom.gaze import read_film
from lucidray.datasets.phantom.physics import Exposure
from lucidray.datasets.phantom.scene import Scene
from lucidray.errors import ConfigError, unknown_name
from lucidray.records import Bool, Float32


def make_phantom(
    seed: int,
    index: int,
    config: PhantomConfig | None = None,
    *,
    severities: Mapping[str, float] | None = None,
) -> Phantom:
    """Generate one radiograph.

    The same arguments give the same image, whatever else is generated and in whatever order.
    Every finding draws on its own source of chance, so that with `severities` one may ask for the
    same patient with and without a finding.

    Args:
        seed: The series' seed, 0 or more.
        index: The image's number within the series, 0 or more.
        config: What phantoms are to be like; None: the defaults.
        severities: Findings wanted instead of those drawn, with severity in [0, 1]; 0 is absent.

    Raises:
        ConfigError: Seed or index is negative, or a severity out of range.
        UnknownNameError: A finding is unknown.

    >>> phantom = make_phantom(0, 3, PhantomConfig(size=128), severities={"Effusion": 0.8})
    >>> phantom.pixels.shape, list(phantom.severities)
    ((128, 128), ['Effusion'])
    """
    config = config or PhantomConfig()
    _check(seed, index, severities)
    case = draw_case(seed, index, config)
    wanted = case.severities if severities is None else severities
    present = findings.signs(seed, index, wanted)
    body = _body(seed, case)
    body = findings.reshape(body, present)
    scene = Scene(chest.build(body, _frame(stream(seed, index, "frame"), body, config.size)))
    findings.draw(scene, present)
    depth, names = _depth(scene, seed, index, case, config)
    tag = _no_tag(config.size)
    if case.shortcut:
        tag = devices.plant(depth, stream(seed, index, "tag"))
    raw = _film(depth, case, seed, index)
    shown = {sign.finding: sign.severity for sign in present}
    return _record((seed, index), case, shown, scene, raw, tag, names)


def _check(seed: int, index: int, severities: Mapping[str, float] | None) -> None:
    for name, number in (("seed", seed), ("index", index)):
        if number < 0:
            raise ConfigError(f"{name} is {number}; expected a whole number from 0.")
    for finding, severity in (severities or {}).items():
        if finding not in FINDINGS:
            raise unknown_name("finding", finding, FINDINGS)
        if not 0 <= severity <= 1:
            raise ConfigError(f"severity of {finding} is {severity}; expected 0 to 1.")


def _body(seed: int, case: Case) -> Body:
    rng = stream(seed, case.patient.number, "body")
    return grow(
        rng, case.patient.age_years, case.patient.sex == "F", case.view_position, case.habitus
    )


def _frame(rng: Random, body: Body, size: int) -> Frame:
    roll = rng.standard_normal(6)
    need = max(body.length * 1.12 + 4.8, 2 * (body.width + body.wall) + 1.5)
    field = need + 1.8 * abs(roll[0])
    spare = field - body.length
    return Frame(
        size=size,
        field_cm=float(field),
        top_cm=float(np.clip(0.52 * spare + 0.7 * roll[1], 2.2, 8.0)),
        shift_cm=float(0.6 * roll[2]),
        angle=float(0.022 * roll[3]),
        turn=float(0.035 * roll[4]),
        tilt=float(0.05 * roll[5]),
    )


def _depth(
    scene: Scene, seed: int, index: int, case: Case, config: PhantomConfig
) -> tuple[Float32, tuple[str, ...]]:
    """Add up the optical depth of all that lies in the beam."""
    here, person = scene.chest, case.patient.number
    depth = chest.trunk(here, stream(seed, person, "trunk"))
    blood = vessels.vessels(here, stream(seed, person, "vessels"))
    rng = stream(seed, index, "lungs")
    for lung in here.lungs():
        _lung(scene, lung, depth, blood[lung.window], rng)
    air = vessels.airways(here, stream(seed, person, "airways"))
    depth -= np.minimum(air * np.float32(physics.SOFT), depth * np.float32(0.5))
    for window, extra in scene.added:
        depth[window] += extra
    equipment = devices.equip(
        here, stream(seed, index, "devices"), config.devices, case.view_position == "AP"
    )
    strokes = scene.strokes + equipment.strokes
    if strokes:
        depth += deposit(join(strokes), config.size)
    depth += bones.skeleton(here, stream(seed, person, "bones"))
    depth *= np.float32(here.body.scale)
    np.maximum(depth, 0, out=depth)
    if config.markers:
        devices.side_marker(depth, stream(seed, index, "marker"), case.view_position == "AP")
    return depth, equipment.names


def _lung(scene: Scene, lung: Lung, depth: Float32, blood: Float32, rng: Random) -> None:
    """Take a lung's air out of the trunk and put its vessels and lesions in."""
    dense = np.float32(physics.LUNG * scene.chest.body.air)
    density = dense * (1 + np.float32(0.06) * vessels.grain(lung, rng))
    if lung.side in scene.thinned:
        density = density * scene.thinned[lung.side]
    lost = lung.air * (np.float32(physics.SOFT) - density)
    branches = np.minimum(blood * vessels.fade(lung), np.float32(0.5) * lung.air)
    if lung.side in scene.kept:
        branches = branches * scene.kept[lung.side]
    lost -= branches * np.float32(physics.FILLED)
    if lung.side in scene.filled:
        lost *= 1 - scene.filled[lung.side]
    depth[lung.window] -= lost


def _film(
    depth: Float32, case: Case, seed: int, index: int
) -> np.ndarray[tuple[int, int], np.dtype[np.uint16]]:
    rng = stream(seed, index, "exposure")
    exposure = _exposure(rng, case.view_position == "AP")
    logarithmic = physics.expose(depth, exposure, stream(seed, index, "quanta"))
    shown = physics.develop(logarithmic, exposure)
    devices.shutter(shown, rng)
    shown *= np.float32(65535)
    return np.rint(shown).astype(np.uint16)


def _exposure(rng: Random, bedside: bool) -> Exposure:
    roll = rng.standard_normal(8)
    return Exposure(
        quanta=float(4e5 * np.exp(0.6 * roll[0] - 0.7 * bedside)),
        scatter=float(np.clip(0.55 + 0.6 * bedside + 0.2 * roll[1], 0.15, 2.0)),
        softness=float(np.clip(0.16 + 0.03 * roll[2] + 0.02 * bedside, 0.06, 0.24)),
        flatten=float(np.clip(0.38 + 0.14 * roll[3], 0.05, 0.68)),
        sharpen=float(np.clip(0.75 + 0.25 * roll[4], 0.2, 1.4)),
        dark=float(np.clip(0.035 + 0.03 * roll[5] - 0.03 * bedside, 0.0, 0.12)),
        bright=float(np.clip(0.985 + 0.02 * roll[6], 0.90, 1.0)),
        lift=float(np.clip(rng.normal(0.32 + 0.12 * bedside, 0.22), 0.0, 1.0)),
        steepness=float(np.clip(2.1 + 0.5 * roll[7], 1.0, 3.4)),
        falloff=float(rng.normal(0, 0.05)),
    )


def _no_tag(size: int) -> Bool:
    return np.zeros((size, size), bool)


def _record(
    number: tuple[int, int],
    case: Case,
    shown: Mapping[str, float],
    scene: Scene,
    raw: np.ndarray[tuple[int, int], np.dtype[np.uint16]],
    tag: Bool,
    names: tuple[str, ...],
) -> Phantom:
    here = scene.chest
    boxes, masks = _truth(scene)
    fields = [np.zeros(raw.shape, bool), np.zeros(raw.shape, bool)]
    for field, lung in zip(fields, here.lungs(), strict=True):
        field[lung.window] = lung.inside
    present = {name: shown[name] for name in FINDINGS if name in shown}
    spacing = here.frame.field_cm * 10 * here.body.scale / here.frame.size
    return Phantom(
        seed=number[0],
        index=number[1],
        raw=raw,
        pixels=raw.astype(np.float32) / np.float32(65535),
        patient=case.patient,
        view_position=case.view_position,
        spacing_mm=(round(spacing, 4), round(spacing, 4)),
        severities=MappingProxyType(present),
        lung_mask=fields[0] | fields[1],
        right_lung=fields[0],
        lesion_masks=MappingProxyType(masks),
        boxes=tuple(boxes),
        fixations=read_film(here, boxes, stream(*number, "gaze")),
        cardiothoracic_ratio=chest.cardiothoracic_ratio(here),
        shortcut=case.shortcut,
        shortcut_mask=tag,
        devices=names,
    )


def _truth(scene: Scene) -> tuple[list[LesionBox], dict[str, Bool]]:
    size = scene.chest.frame.size
    boxes: list[LesionBox] = []
    masks: dict[str, Bool] = {}
    for lesion in scene.lesions:
        mask = masks.setdefault(lesion.finding, np.zeros((size, size), bool))
        mask[lesion.window] |= lesion.mask
        top, left = lesion.window[0].start, lesion.window[1].start
        rows = np.nonzero(lesion.mask.any(axis=1))[0]
        columns = np.nonzero(lesion.mask.any(axis=0))[0]
        boxes.append(
            LesionBox(
                lesion.finding,
                int(columns[0]) + left,
                int(rows[0]) + top,
                int(columns[-1]) + left + 1,
                int(rows[-1]) + top + 1,
            )
        )
    return boxes, masks
