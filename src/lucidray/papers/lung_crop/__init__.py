"""Does a fixed lung crop help? S. Aluri's experiment on pediatric pneumonia (document S4)."""

from lucidray.papers.catalog import Paper, papers
from lucidray.papers.lung_crop.experiment import run_lung_crop
from lucidray.papers.lung_crop.protocol import words
from lucidray.papers.lung_crop.published import ARMS, AUTHORS, FAULTS, QUESTION, TABLES, TITLE

LUNG_CROP = Paper(
    name="lung_crop",
    title=TITLE,
    authors=AUTHORS,
    document="S4",
    question=QUESTION,
    dataset="pediatric_pneumonia",
    arms=ARMS,
    tables=TABLES,
    faults=FAULTS,
    words=words,
    experiment=run_lung_crop,
)

papers.register("lung_crop", source=AUTHORS, document="S4")(LUNG_CROP)
