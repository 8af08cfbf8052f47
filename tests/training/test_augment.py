

def test_spectra_take_the_sharpness_of_the_reference_and_nothing_else() -> None:
    images = torch.rand(3, 1, 64, 64, generator=seeded())
    dull = intensity.blur(images, torch.full((3,), 0.7))
    none = style.match_spectra(images, dull, torch.zeros(3))
    torch.testing.assert_close(none, images, atol=1e-5, rtol=0)
    full = style.match_spectra(images, dull, torch.ones(3))
    before, after = ((other - dull).square().mean() for other in (images, full))
    assert after < 0.05 * before
