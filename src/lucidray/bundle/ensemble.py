"""The part of a card that says how the runs of an ensemble were joined, and how far they agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from lucidray.bundle.estimate import Estimate
from lucidray.errors import ConfigError

How = Literal["mean", "weighted", "stacked"]
HOWS: tuple[How, ...] = ("mean", "weighted", "stacked")

_LENIENT = ConfigDict(extra="ignore")
Count = Annotated[int, Field(ge=1)]


@dataclass(frozen=True)
class EnsembleMember:
    """One run of an ensemble; its own networks (one a seed) count alike.

    Args:
        network: Its architecture.
        networks: How many networks it is, one a seed.
        normalization: What they expect of a film's intensities.
        channels: Channels that they take.
        seeds: One a network.
        recipe: All that decided its training, as plain values.
        log_loss: Of its own logits on the validation images.
        auc: Of its own logits there, by finding.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _LENIENT

    network: str
    networks: Count = 1
    normalization: Literal["unit", "zscore", "imagenet", "inception", "xrv"] = "imagenet"
    channels: Literal[1, 3] = 3
    seeds: tuple[int, ...] = ()
    recipe: Mapping[str, Any] = field(default_factory=dict)
    log_loss: Estimate | None = None
    auc: Mapping[str, Estimate] = field(default_factory=dict)


@dataclass(frozen=True)
class EnsembleRule:
    """How the logits of several runs become one: a sum with weights, and an intercept.

    The heat maps of an ensemble are the same sum of its members' maps (brought to one grid without
    changing what they add up to), and so the maps of the summed logit.

    Args:
        how: ``"mean"``: all alike; ``"weighted"``: one weight a run, adding up to 1; ``"stacked"``:
            a weight, not negative, for each run and finding, and an intercept.
        members: R runs.
        weights: ``(R, F)``.
        intercepts: ``(F,)``.
        fitted_on: The images that weights were fitted on, in words; ``""``: none were fitted.
        images: How many.
        patients: Of how many patients.
        log_loss: Of the joined logits on validation images, each by weights that were fitted
            without its patient.
        auc: Of the same, by finding.
        disagreement: By finding: mean over validation images of the standard deviation of the
            members' probabilities.
        disagreement_of_errors: How well that deviation tells wrong calls from right ones: an AUC,
            .5 = not at all; None: there are none of either.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _LENIENT

    how: How
    members: tuple[EnsembleMember, ...]
    weights: tuple[tuple[float, ...], ...]
    intercepts: tuple[float, ...]
    fitted_on: str = ""
    images: int = 0
    patients: int = 0
    log_loss: Estimate | None = None
    auc: Mapping[str, Estimate] = field(default_factory=dict)
    disagreement: Mapping[str, Estimate] = field(default_factory=dict)
    disagreement_of_errors: Estimate | None = None

    def __post_init__(self) -> None:
        lengths = {len(row) for row in self.weights} | {len(self.intercepts)}
        if len(self.weights) != len(self.members) or len(self.members) < 2 or len(lengths) != 1:
            raise ConfigError(
                f"an ensemble of {len(self.members)} members has {len(self.weights)} rows of "
                f"weights, of the lengths {sorted(lengths)} with its intercepts; one row a member "
                "(two at least) and one weight a finding are expected."
            )
