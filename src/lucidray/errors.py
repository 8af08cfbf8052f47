"""Every error that LucidRay raises on purpose.

One tree, so that ``except LucidRayError`` catches all of it; each error is also the matching
builtin, so that code which knows nothing of LucidRay can catch it too. A message says what is
wrong, what came, what is expected and what to do. It never carries patient data or DICOM UIDs.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LucidRayError(Exception):
    """The root of all errors that LucidRay raises on purpose."""


class ImageError(LucidRayError, ValueError):
    """A file that is not a readable single-frame grey radiograph."""


class ShapeError(LucidRayError, ValueError):
    """Arrays whose shapes do not fit together."""


class DataError(LucidRayError, ValueError):
    """A data set whose files or tables are not as their publisher describes them."""


class LeakageError(DataError):
    """A patient (or near-duplicate image) stands in more than one split."""


class ConfigError(LucidRayError, ValueError):
    """A recipe, option or setting that is unknown or out of range."""


class UnknownNameError(ConfigError, LookupError):
    """A name that no registry entry carries."""


class ModelError(LucidRayError, ValueError):
    """A model that cannot do what is asked of it."""


class WeightsError(LucidRayError, OSError):
    """Weights that cannot be reached, read or fitted to the network."""


class RunError(LucidRayError, ValueError):
    """A run folder that is incomplete, foreign or in the way."""


class MetricError(LucidRayError, ValueError):
    """Labels, scores or masks that no metric can be computed from."""


class BundleError(LucidRayError, ValueError):
    """A bundle that is damaged, foreign or too new, or that cannot do what is asked of it."""


class ExportError(LucidRayError, ValueError):
    """A model that cannot be written as a bundle that gives the same answers."""


class DicomError(LucidRayError, ValueError):
    """A DICOM object that cannot be read, written or cleaned of who the patient is."""


class NetworkError(LucidRayError, OSError):
    """An archive that cannot be reached, or that does not take what it is sent."""


class ClusterError(LucidRayError, OSError):
    """A cluster that cannot be reached, or whose workers keep dying."""


class MissingExtraError(LucidRayError, ImportError):
    """A command that needs an optional part which is not installed."""


def unknown_name(kind: str, name: str, choices: Iterable[str]) -> UnknownNameError:
    """Build the error for a name that is not among the choices.

    Args:
        kind: What is being named, for example ``"backbone"``.
        name: What came.
        choices: What is expected.

    Returns:
        The error, naming the nearest choice where there is one; the caller raises it.

    >>> str(unknown_name("loss", "focl", ["bce", "focal"]))
    "unknown loss 'focl'; did you mean 'focal'? Choose one of: bce, focal."
    """
    known = sorted(choices)
    near = difflib.get_close_matches(name.lower(), known, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else "."
    return UnknownNameError(f"unknown {kind} '{name}'{hint} Choose one of: {', '.join(known)}.")


def missing_extra(what: str, extra: str) -> MissingExtraError:
    """Build the error for a part that is not installed.

    Args:
        what: What was asked for, for example ``"training"``.
        extra: The extra that brings it, for example ``"train"``.

    Returns:
        The error; the caller raises it ``from`` the ImportError.
    """
    return MissingExtraError(
        f"{what} needs packages that the base install leaves out. "
        f"Install them with: pip install 'lucidray[{extra}]'"
    )
