"""Do Grad-CAM regions help? The two-phase experiment of Laghouat (document S0)."""

from lucidray.papers.cam_roi.experiment import run_cam_roi
from lucidray.papers.cam_roi.protocol import words
from lucidray.papers.cam_roi.published import ARMS, AUTHORS, FAULTS, QUESTION, TABLES, TITLE
from lucidray.papers.catalog import Paper, papers

CAM_ROI = Paper(
    name="cam_roi",
    title=TITLE,
    authors=AUTHORS,
    document="S0",
    question=QUESTION,
    dataset="chest_multiclass, brain_mri",
    arms=ARMS,
    tables=TABLES,
    faults=FAULTS,
    words=words,
    experiment=run_cam_roi,
)

papers.register("cam_roi", source=AUTHORS, document="S0")(CAM_ROI)
