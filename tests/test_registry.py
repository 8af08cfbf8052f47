"""Named things: registered once, found by name, unknown ones explained."""

from __future__ import annotations

import pytest

from lucidray.errors import ConfigError, UnknownNameError
from lucidray.registry import Registry


def filled() -> Registry[object]:
    registry: Registry[object] = Registry("method")

    @registry.register("grad_cam", source="arXiv:1610.02391", needs="gradients")
    def grad_cam() -> None:
        """Weigh feature maps by their mean gradient.

        More words.
        """

    registry.register("cam", source="arXiv:1512.04150")(len)
    return registry


def test_entries_carry_their_facts() -> None:
    entry = filled().entry("grad_cam")
    assert entry.summary == "Weigh feature maps by their mean gradient."
    assert entry.facts == {"needs": "gradients"}
    assert list(filled()) == ["cam", "grad_cam"]
    assert "cam" in filled()
    assert len(filled()) == 2


def test_an_unknown_name_lists_choices_and_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean 'grad_cam'.*cam, grad_cam"):
        filled()["gradcam"]
    with pytest.raises(LookupError):
        filled()["zzz"]


def test_a_name_is_taken_once() -> None:
    registry = filled()
    with pytest.raises(ConfigError, match="registered twice"):
        registry.register("cam", source="")(len)
