"""One door to all explanation methods, which takes the fast way where it is the exact one."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from lucidray.errors import ModelError, unknown_name
from lucidray.explain.closed_form import closed_form, has_closed_form
from lucidray.explain.method import explainers


def explain(
    model: nn.Module,
    x: Tensor,
    *,
    method: str = "grad_cam",
    findings: Sequence[str] | None = None,
    layer: str | nn.Module | None = None,
    sign: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Explain what a classifier says of images.

    ``grad_cam`` is computed in closed form where that is exact, by gradients elsewhere. The model
    is left as found, the answer does not depend on the batch, and is the same each time.

    Args:
        model: A classifier with named findings.
        x: Images ``(B, C, H, W)``, normalized as the model expects.
        method: A name of ``explainers``.
        findings: Which of the model's findings; None = all, in the model's order.
        layer: The layer to be explained; None = chosen by the architecture.
        sign: 1 explains findings, -1 their absence (a binary model's negative class).

    Returns:
        Logits ``(B, F)`` of all findings of the model, and maps ``(B, len(findings), h, w)``:
        raw, signed, float32; positive speaks for the finding (``sign = -1``: against it).

    Raises:
        UnknownNameError: No such method or finding.
        ModelError: The method cannot explain this model, or there is no such layer.
        ShapeError: The images are not ``(B, C, H, W)``.
    """
    run = explainers[method]
    if method == "grad_cam" and layer is None and has_closed_form(model):
        run = closed_form
    return run(model, x, _targets(model, findings), layer=layer, sign=sign)


def _targets(model: nn.Module, findings: Sequence[str] | None) -> list[int] | None:
    if findings is None:
        return None
    if isinstance(findings, str):
        findings = (findings,)
    known = list(getattr(model, "findings", ()))
    if not known:
        raise ModelError("the model does not name its findings; call the method with targets.")
    for finding in findings:
        if finding not in known:
            raise unknown_name("finding", finding, known)
    return [known.index(finding) for finding in findings]
