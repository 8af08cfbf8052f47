"""How a reading tells that it is unsure: by hand, and as the measures of the library define it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lucidray.bundle import load_bundle
from lucidray.bundle.card import Card, Estimate, to_json
from lucidray.bundle.card_version import parse_card
from lucidray.bundle.uncertainty import Evidence, RiskCurve, UncertaintyRule, apply, rule_from
from lucidray.errors import BundleError, ConfigError
from lucidray.export.write import export_bundle
from lucidray.metrics.uncertainty import class_nearness, nearness, normalized_entropy
from lucidray.models import Classifier
from lucidray.records import Uncertainty

NAMES = ("A", "B", "C")
POINTS = {"A": 0.3, "C": 0.8}


def told(rule: UncertaintyRule, values: list[float], *, exclusive: bool = False) -> Uncertainty:
    return apply(
        rule,
        np.array(values, np.float32),
        findings=NAMES,
        operating_points=POINTS,
        exclusive=exclusive,
    )


def make_rule(score: str = "entropy", threshold: float = 0.5, *judged: str) -> UncertaintyRule:
    return UncertaintyRule(0.1, (0.25, 0.5, 0.0), (0.75, 0.25, 1.0), score, threshold, judged)


def test_sets_by_hand() -> None:
    found = told(make_rule(), [0.25, 0.375, 1.0])
    assert found.may_be_present.tolist() == [True, False, True]
    assert found.may_be_absent.tolist() == [True, False, True]
    found = told(make_rule(), [0.2, 0.5, 0.0])
    assert found.may_be_present.tolist() == [False, True, True]
    assert found.may_be_absent.tolist() == [True, False, True]


def test_sets_of_findings_that_exclude_each_other() -> None:
    rule = UncertaintyRule(0.1, (0.2, 0.3, 0.4), (1.0, 1.0, 1.0), "entropy", 0.9)
    one = told(rule, [0.1, 0.7, 0.2], exclusive=True)
    assert one.may_be_present.tolist() == [False, True, False]
    assert one.may_be_absent.tolist() == [True, False, True]
    two = told(rule, [0.5, 0.5, 0.0], exclusive=True)
    assert two.may_be_present.tolist() == [True, True, False]
    assert two.may_be_absent.tolist() == [True, True, True]
    none = told(rule, [0.15, 0.28, 0.39], exclusive=True)
    assert not none.may_be_present.any() and not none.may_be_absent.any()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3))
def test_entropy_and_margin_are_those_of_the_measures(values: list[float]) -> None:
    p = np.array(values, np.float32).astype(float)
    found = told(make_rule(), values)
    np.testing.assert_allclose(found.entropy, normalized_entropy(p), atol=1e-6)
    wanted = {"entropy": normalized_entropy(p), "margin": nearness(p, [0.3, 0.5, 0.8])}
    for name, each in wanted.items():
        chosen = each[[0, 2]]
        for score, value in ((name, chosen.max()), (f"mean_{name}", chosen.mean())):
            assert told(make_rule(score, value - 1e-6, "A", "C"), values).refer
            assert not told(make_rule(score, value + 1e-6, "A", "C"), values).refer
    total = p.sum() or 1.0
    shares = (p / total if p.any() else np.full(3, 1 / 3)).astype(np.float32)
    found = told(make_rule(), shares.tolist(), exclusive=True)
    wanted_entropy = normalized_entropy(shares.astype(float), exclusive=True)
    np.testing.assert_allclose(found.entropy, np.full(3, wanted_entropy), atol=1e-6)
    gap = float(class_nearness(shares.astype(float)))
    for score in ("margin", "mean_margin"):
        assert told(make_rule(score, gap - 1e-6), shares.tolist(), exclusive=True).refer
        assert not told(make_rule(score, gap + 1e-6), shares.tolist(), exclusive=True).refer


def test_only_judged_findings_decide_on_referral() -> None:
    unsure_of_b = [0.01, 0.5, 0.99]
    assert told(make_rule("entropy", 0.9), unsure_of_b).refer
    assert not told(make_rule("entropy", 0.9, "A", "C"), unsure_of_b).refer
    assert told(make_rule("margin", 0.999, "C"), [0.5, 0.5, 0.8]).refer


def test_rules_agree_with_themselves(card: Card) -> None:
    with pytest.raises(ConfigError, match="alpha is 0"):
        UncertaintyRule(0.0, (), (), "entropy", 0.5)
    with pytest.raises(ConfigError, match="score is 'mood'"):
        make_rule("mood")
    with pytest.raises(ConfigError, match="present_from has 2 entries"):
        UncertaintyRule(0.1, (0.1, 0.2), (0.3,), "entropy", 0.5)
    with pytest.raises(ConfigError, match="1 bounds for 2 findings"):
        replace(card, uncertainty=UncertaintyRule(0.1, (0.1,), (0.9,), "entropy", 0.5))
    with pytest.raises(BundleError, match=r"not valid.*absent_to"):
        rule_from({"alpha": 0.1, "present_from": [0.1]})


def a_card_rule() -> UncertaintyRule:
    curve = RiskCurve((0.5, 1.0), (0.0, 0.25), (0.0, None), (0.1, None), 0.1, 0.01)
    evidence = Evidence("films", 9, 8, 5, {"Pneumonia": {"coverage": Estimate(0.9)}}, curve=curve)
    return UncertaintyRule(
        0.1, (0.25, 0.0), (0.6, 1.0), "margin", 0.7, ("Pneumonia",), "why", evidence
    )


def test_the_fast_path_reads_what_the_card_says(card: Card) -> None:
    rule = a_card_rule()
    fast = rule_from(parse_card(to_json(replace(card, uncertainty=rule)))["uncertainty"])
    assert fast is not None and fast.evidence == Evidence()
    for name in ("alpha", "present_from", "absent_to", "score", "threshold", "judged"):
        assert getattr(fast, name) == getattr(rule, name)
    assert rule_from(None) is None


def test_readings_carry_it(card: Card, model: Classifier, tmp_path: Path) -> None:
    rule = a_card_rule()
    path = export_bundle([model], replace(card, uncertainty=rule), tmp_path / "s.lucid")
    bundle = load_bundle(path, threads=1)
    assert bundle.card.uncertainty == rule
    film = np.random.default_rng(0).random((40, 40), dtype=np.float32)
    for found in (bundle.predict(film), bundle.read_batch(film[None])[0].prediction):
        wanted = apply(
            rule,
            found.probabilities,
            findings=bundle.findings,
            operating_points=bundle.operating_points,
            exclusive=False,
        )
        assert found.uncertainty is not None
        np.testing.assert_array_equal(found.uncertainty.entropy, wanted.entropy)
        np.testing.assert_array_equal(found.uncertainty.may_be_present, wanted.may_be_present)
        assert found.uncertainty.refer == wanted.refer


def test_it_needs_numpy_alone() -> None:
    code = (
        "import sys, lucidray.bundle.uncertainty\n"
        "print(sorted({'scipy', 'torch', 'pydantic', 'lucidray.metrics'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
