"""TOML in, frozen dataclasses out, nothing unknown let through."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from lucidray.config import STRICT, from_mapping, load_toml, merge, to_mapping
from lucidray.errors import ConfigError, LucidRayError


@dataclass(frozen=True)
class Inner:
    __pydantic_config__: ClassVar = STRICT
    rate: float = 0.1
    kind: Literal["a", "b"] = "a"

    def __post_init__(self) -> None:
        if self.rate < 0:
            raise ConfigError(f"rate is {self.rate:g}; expected 0 or more.")


@dataclass(frozen=True)
class Outer:
    __pydantic_config__: ClassVar = STRICT
    name: str
    inner: Inner = field(default_factory=Inner)
    many: tuple[Inner, ...] = ()
    pair: Annotated[tuple[int, ...], Field(min_length=1)] = (1,)

    def __post_init__(self) -> None:
        if self.name == self.inner.kind:
            raise ConfigError("name and kind must differ.")


def test_values_arrive_with_their_types() -> None:
    config = from_mapping(
        Outer, {"name": "x", "inner": {"rate": 1}, "many": [{"kind": "b"}]}, where="t"
    )
    assert config == Outer("x", Inner(1.0), (Inner(kind="b"),))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"name": "x", "iner": {}}, "did you mean 'inner'"),
        ({"name": "x", "inner": {"rat": 1}}, "did you mean 'rate'"),
        ({"name": "x", "many": [{"knd": "a"}]}, "did you mean 'kind'"),
        ({"inner": {}}, "'name' is missing"),
        ({"name": "x", "inner": {"rate": "fast"}}, "'inner.rate' is 'fast'"),
        ({"name": "x", "inner": {"kind": "c"}}, "'inner.kind' is 'c'"),
        ({"name": "x", "inner": {"rate": -1}}, r"^recipe.toml: in \[inner\] rate is -1"),
        ({"name": "a"}, r"^recipe.toml: name and kind must differ\.$"),
        ({"name": "x", "pair": 3}, "'pair' is 3: input should be a list"),
        ({"name": "x", "pair": []}, "list should have at least 1 item"),
    ],
)
def test_mistakes_are_named(values: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        from_mapping(Outer, values, where="recipe.toml")
    assert str(caught.value).startswith("recipe.toml")
    assert isinstance(caught.value, LucidRayError)


def test_a_file_round_trips(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('name = "x"\n[inner]\nrate = 0.5\n', encoding="utf-8")
    config = load_toml(file, Outer, overrides={"inner.kind": "b"})
    assert config.inner == Inner(0.5, "b")
    assert from_mapping(Outer, to_mapping(config), where="again") == config


@pytest.mark.parametrize("content", ["name = ", b"\xff\xfe"])
def test_a_broken_file_is_named(tmp_path: Path, content: str | bytes) -> None:
    file = tmp_path / "c.toml"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ConfigError, match="not valid TOML"):
        load_toml(file, Outer)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_toml(tmp_path / "none.toml", Outer)
    with pytest.raises(ConfigError, match="is a folder"):
        load_toml(tmp_path, Outer)


@given(st.dictionaries(st.text("abc", min_size=1), st.integers(), max_size=3), st.integers())
def test_overrides_win_and_change_nothing_behind_ones_back(
    values: dict[str, int], number: int
) -> None:
    before = dict(values)
    assert merge(values, {"a": number})["a"] == number
    assert values == before


def test_list_entries_are_set_by_their_number() -> None:
    values = {"phases": [{"epochs": 1}, {"epochs": 2}]}
    assert merge(values, {"phases.1.epochs": 9}) == {"phases": [{"epochs": 1}, {"epochs": 9}]}
    with pytest.raises(ConfigError, match="phases"):
        merge(values, {"phases.7.epochs": 9})


def test_a_single_value_has_no_keys() -> None:
    with pytest.raises(ConfigError, match="single value"):
        merge({"a": 1}, {"a.b": 2})
