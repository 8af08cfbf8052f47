"""Explanations: where a model looked, for each of its findings."""

from lucidray.explain.attribution import to_attribution
from lucidray.explain.choosing import explain
from lucidray.explain.closed_form import closed_form, has_closed_form
from lucidray.explain.grad_cam import grad_cam
from lucidray.explain.method import Explainable, Explainer, explainers

__all__ = [
    "Explainable",
    "Explainer",
    "closed_form",
    "explain",
    "explainers",
    "grad_cam",
    "has_closed_form",
    "to_attribution",
]
