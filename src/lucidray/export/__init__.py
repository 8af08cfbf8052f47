"""From torch to a bundle: the graph, its parity with torch, calibration, lower precision.

Needs the extra ``train``. `export_run` writes a finished run, `export_ensemble` several as one,
`export_bundle` any classifiers, `import_xrv` and `import_timm` what others have published,
`lower_precision` a smaller or faster copy of a bundle.
"""

from lucidray.export.ensemble import card_of_ensemble, export_ensemble
from lucidray.export.from_run import About, card_of, export_run, performance_of
from lucidray.export.gate import add_gate, fit_gate, set_gate
from lucidray.export.peers import import_timm, import_xrv
from lucidray.export.precision import lower_precision
from lucidray.export.trained_run import TrainedRun
from lucidray.export.uncertainty import UncertaintySettings
from lucidray.export.write import export_bundle, weights_digest

__all__ = [
    "About",
    "TrainedRun",
    "add_gate",
    "UncertaintySettings",
    "card_of",
    "card_of_ensemble",
    "export_bundle",
    "export_ensemble",
    "export_run",
    "fit_gate",
    "import_timm",
    "import_xrv",
    "lower_precision",
    "performance_of",
    "set_gate",
    "weights_digest",
]
