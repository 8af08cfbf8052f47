"""Augmentation: exact on known cases, against PIL, scikit-image and scipy on others."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage
from skimage import exposure as skimage_exposure

from lucidray.config import from_mapping
from lucidray.errors import ConfigError, ShapeError
from lucidray.training import augmentation as module
from lucidray.training import intensity, style, warp
from lucidray.training.augmentation import Augment, augment

OPTIONS = {
    "rotate": 20.0, "zoom": 0.2, "aspect": 0.2, "shift": 0.1, "shear": 0.1, "flip": 0.5,
    "reframe": 0.2, "style": 1.0, "spectrum": 1.0, "fourier": 1.0, "degrade": 0.6, "blur": 1.5,
    "sharpen": 1.0, "exposure": 0.4, "gamma": 0.4, "brightness": 0.1, "contrast": 0.2,
    "noise": 0.05, "jpeg": 0.7, "erase": 0.2,
}  # fmt: skip


def picture(count: int = 4, side: int = 32) -> torch.Tensor:
    rng = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(rng.random((count, side, side)), (0, 3, 3))
    low, high = smooth.min(), smooth.max()
    levels = np.rint((smooth - low) / (high - low) * 255) / 255
    return torch.from_numpy(levels[:, None].astype(np.float32))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_every_option_is_tried_here() -> None:
    known = set(Augment.__dataclass_fields__) - set(module.SETTINGS)
    assert known == set(OPTIONS)


@pytest.mark.parametrize("name", OPTIONS)
def test_each_option_changes_images_and_repeats_under_a_seed(name: str) -> None:
    images, options = picture(), Augment(**{name: OPTIONS[name]})
    before = images.clone()
    first, again = augment(images, options, seeded()), augment(images, options, seeded())
    assert torch.equal(images, before)
    assert torch.equal(first, again)
    assert not torch.equal(first, images)
    assert first.shape == images.shape and first.dtype == torch.float32
    assert first.min() >= 0 and first.max() <= 1
    assert not torch.equal(first, augment(images, options, seeded(1)))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), side=st.sampled_from([17, 24]), count=st.integers(1, 3))
def test_all_together_stay_finite_and_in_range(seed: int, side: int, count: int) -> None:
    images = picture(count, side)
    varied = augment(images, Augment(**OPTIONS, chance=0.5), seeded(seed))
    assert varied.shape == images.shape
    assert torch.isfinite(varied).all()
    assert varied.min() >= 0 and varied.max() <= 1


def test_nothing_happens_without_options_or_without_chance() -> None:
    images = picture()
    assert augment(images, Augment(), seeded()) is images
    assert torch.equal(augment(images, Augment(noise=0.5, chance=0.0), seeded()), images)


def test_the_identity_warps_to_itself() -> None:
    images = picture()
    same = warp.warp(images, torch.eye(3).repeat(4, 1, 1))
    torch.testing.assert_close(same, images, atol=1e-6, rtol=0)


def test_flip_and_quarter_turn_are_exact() -> None:
    images = picture()
    mirrored = augment(images, Augment(flip=1.0), seeded())
    torch.testing.assert_close(mirrored, images.flip(-1), atol=1e-5, rtol=0)
    turned = warp.warp(images, warp.rotation(torch.full((4,), 90.0)))
    torch.testing.assert_close(turned, images.rot90(1, (2, 3)), atol=1e-5, rtol=0)


def test_shift_moves_by_whole_pixels() -> None:
    images = picture()
    right = torch.full((4,), -3.0)
    moved = warp.warp(images, warp.translation(right, torch.zeros(4)), padding="zeros")
    torch.testing.assert_close(moved[..., 3:], images[..., :-3], atol=1e-5, rtol=0)
    assert moved[..., :3].abs().max() < 1e-5


def test_warp_agrees_with_scipy() -> None:
    images, side = picture(), 32
    matrix = warp.random_affine(4, side, seeded(3), rotate=20, zoom=0.2, shift=0.2, shear=0.1)
    ours = warp.warp(images, matrix, padding="zeros")
    for image, result, affine in zip(images[:, 0], ours[:, 0], matrix.numpy(), strict=True):
        swap = affine[[1, 0]][:, [1, 0]]
        center = (side - 1) / 2
        offset = affine[[1, 0], 2] + center - swap @ [center, center]
        theirs = ndimage.affine_transform(
            image.numpy(), swap, offset, order=1, mode="grid-constant"
        )
        np.testing.assert_allclose(result.numpy(), theirs, atol=1e-4)


def test_draws_reach_their_limits_and_not_beyond() -> None:
    matrix = warp.random_affine(4000, 100, seeded(), shift=0.2)
    assert 19.5 < matrix[:, :2, 2].abs().max() <= 20
    scales = torch.linalg.det(warp.random_affine(4000, 100, seeded(), zoom=0.2)).sqrt()
    assert 0.8 <= scales.min() < 0.805 and 1.195 < scales.max() <= 1.2001
    apart = warp.random_affine(10, 100, seeded(), zoom=0.2, zoom_separately=True)
    assert not torch.allclose(apart[:, 0, 0], apart[:, 1, 1])


@pytest.mark.parametrize("quality", [20, 50, 75, 95])
def test_jpeg_agrees_with_pillow(quality: int) -> None:
    images = picture(2, 40)
    ours = intensity.jpeg(images, torch.full((2,), float(quality)))
    for image, result in zip(images[:, 0].numpy(), ours[:, 0].numpy(), strict=True):
        file = io.BytesIO()
        Image.fromarray(np.rint(image * 255).astype(np.uint8)).save(file, "JPEG", quality=quality)
        theirs = np.asarray(Image.open(file), np.float32)
        assert np.abs(result * 255 - theirs).mean() < 0.3
        assert np.median(np.abs(result * 255 - theirs)) < 1e-3


def test_histograms_agree_with_scikit_image() -> None:
    images = picture()
    references = (picture().roll(1, 0) ** 2 * 255).round() / 255
    ours = style.match_histograms(images, references)
    for image, reference, result in zip(images[:, 0], references[:, 0], ours[:, 0], strict=True):
        theirs = skimage_exposure.match_histograms(
            np.rint(image.numpy() * 255), np.rint(reference.numpy() * 255)
        )
        np.testing.assert_allclose(result.numpy() * 255, theirs, atol=1e-3)


def test_an_image_matched_to_itself_stays() -> None:
    images = picture()
    torch.testing.assert_close(style.match_histograms(images, images), images, atol=1e-6, rtol=0)


def test_amplitudes_of_oneself_change_nothing_and_full_band_takes_all() -> None:
    images = picture(2)
    amount = torch.ones(2)
    same = style.mix_amplitudes(images, images, amount)
    torch.testing.assert_close(same, images, atol=1e-5, rtol=0)
    other = images.flip(0)
    mixed = style.mix_amplitudes(images, other, amount, band=1.0)
    wanted = torch.fft.rfft2(other).abs()
    torch.testing.assert_close(torch.fft.rfft2(mixed).abs(), wanted, atol=1e-3, rtol=1e-3)


def test_blur_agrees_with_scipy_inside() -> None:
    images = picture(1)
    theirs = ndimage.gaussian_filter(images[0, 0].numpy(), 1.2, truncate=8)
    ours = intensity.blur(images, torch.tensor([1.2]))[0, 0].numpy()
    np.testing.assert_allclose(ours[8:-8, 8:-8], theirs[8:-8, 8:-8], atol=1e-5)


def test_neutral_strengths_are_neutral() -> None:
    images, one, zero = picture(), torch.ones(4), torch.zeros(4)
    for same in (
        intensity.blur(images, zero),
        intensity.sharpen(images, zero),
        intensity.degrade(images, one),
        intensity.gamma(images, one),
        intensity.contrast(images, one),
        intensity.brightness(images, zero),
        intensity.exposure(images, zero, seeded()),
        intensity.noise(images, zero, seeded()),
        intensity.erase(images, zero, seeded()),
    ):
        torch.testing.assert_close(same, images, atol=1e-6, rtol=0)


def test_degrade_keeps_flat_images_and_loses_detail() -> None:
    flat = torch.full((2, 1, 32, 32), 0.4)
    torch.testing.assert_close(intensity.degrade(flat, torch.tensor([0.2, 0.5])), flat)
    fine = (torch.arange(32) % 2).float().expand(1, 1, 32, 32)
    assert intensity.degrade(fine, torch.tensor([0.25])).std() < 0.1


def test_noise_has_the_stated_deviation() -> None:
    gray = torch.full((1, 1, 200, 200), 0.5)
    noisy = intensity.noise(gray, torch.tensor([0.03]), seeded())
    assert float(noisy.std()) == pytest.approx(0.03, rel=0.02)


def test_erase_takes_about_the_stated_area() -> None:
    ramp = torch.rand(400, 1, 50, 50, generator=seeded())
    erased = intensity.erase(ramp, torch.full((400,), 0.1), seeded(1)) != ramp
    parts = erased.float().mean(dim=(1, 2, 3))
    assert 0.09 < parts.max() < 0.115
    assert parts.min() > 0.015


def test_color_batches_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"expected float \(B, 1, H, W\)"):
        augment(torch.zeros(2, 3, 8, 8), Augment(noise=0.1), seeded())


def test_unknown_and_impossible_options_are_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="did you mean 'rotate'"):
        from_mapping(Augment, {"rotat": 3}, where="recipe.toml")
    with pytest.raises(ConfigError, match="'zoom'"):
        from_mapping(Augment, {"zoom": 1.5}, where="recipe.toml")


def test_spectra_take_the_sharpness_of_the_reference_and_nothing_else() -> None:
    images = torch.rand(3, 1, 64, 64, generator=seeded())
    dull = intensity.blur(images, torch.full((3,), 0.7))
    none = style.match_spectra(images, dull, torch.zeros(3))
    torch.testing.assert_close(none, images, atol=1e-5, rtol=0)
    full = style.match_spectra(images, dull, torch.ones(3))
    before, after = ((other - dull).square().mean() for other in (images, full))
    assert after < 0.05 * before


def test_reframing_changes_margins_only_and_often_blackens_them() -> None:
    images = torch.rand(200, 1, 40, 40, generator=seeded()) * 0.5 + 0.25
    framed = warp.draw_frame(images, 0.2, seeded(1)).around(images)
    torch.testing.assert_close(framed[:, :, 8:-8, 8:-8], images[:, :, 8:-8, 8:-8])
    changed = (framed != images).flatten(1).any(1).float().mean()
    black = (framed == 0).flatten(1).any(1).float().mean()
    assert changed > 0.9
    assert 0.2 < black < 0.45


def test_random_padding_takes_turns_with_all_kinds() -> None:
    images, options = torch.full((2, 1, 32, 32), 0.5), Augment(shift=0.4, padding="random")
    dark = {bool((augment(images, options, seeded(seed)) == 0).any()) for seed in range(12)}
    assert dark == {True, False}
