"""Is Grad-CAM more reliable for deeper networks? Z. Qiu's experiment on pneumothorax (S3)."""

from lucidray.papers.cam_depth.experiment import run_cam_depth
from lucidray.papers.cam_depth.protocol import words
from lucidray.papers.cam_depth.published import ARMS, AUTHORS, FAULTS, QUESTION, TABLES, TITLE
from lucidray.papers.catalog import Paper, papers

CAM_DEPTH = Paper(
    name="cam_depth",
    title=TITLE,
    authors=AUTHORS,
    document="S3",
    question=QUESTION,
    dataset="siim_acr",
    arms=ARMS,
    tables=TABLES,
    faults=FAULTS,
    words=words,
    experiment=run_cam_depth,
)

papers.register("cam_depth", source=AUTHORS, document="S3")(CAM_DEPTH)
