"""Training: recipes, runs, prediction and evaluation. Needs the extra ``train``.

`train` makes a run folder from a recipe and a data set, `load_run` reads it, `predict` and
`evaluate` use it.
"""

from lucidray.training.augmentation import Augment, augment
from lucidray.training.box_prediction import predict_boxes
from lucidray.training.evaluation import Evaluation, evaluate, measure
from lucidray.training.fit import train
from lucidray.training.loss import Loss, build_loss, losses
from lucidray.training.machine import Machine, this_machine
from lucidray.training.mask_evaluation import MaskEvaluation, evaluate_masks
from lucidray.training.pixels import cache_folder
from lucidray.training.prediction import Predictions, predict
from lucidray.training.pretraining import Pretrained, Pretraining, load_pretraining, pretrain
from lucidray.training.processor import keep_memory
from lucidray.training.reader import RunReader, open_reader
from lucidray.training.recipe import Data, OperatingPoint, Phase, Recipe, load_recipe
from lucidray.training.run import Run, load_run
from lucidray.training.schedules import optimizers, schedulers
from lucidray.training.search import run_search
from lucidray.training.search_record import Found, Trial
from lucidray.training.search_space import Range, Search, load_search
from lucidray.training.search_strategies import strategies
from lucidray.training.task import Task, prepare_task

__all__ = [
    "Augment",
    "Data",
    "Evaluation",
    "Found",
    "Loss",
    "Machine",
    "MaskEvaluation",
    "OperatingPoint",
    "Phase",
    "Predictions",
    "Pretrained",
    "Pretraining",
    "Range",
    "Recipe",
    "Run",
    "RunReader",
    "Search",
    "Task",
    "Trial",
    "augment",
    "build_loss",
    "cache_folder",
    "evaluate",
    "evaluate_masks",
    "keep_memory",
    "load_pretraining",
    "load_recipe",
    "load_run",
    "load_search",
    "losses",
    "measure",
    "open_reader",
    "optimizers",
    "predict",
    "predict_boxes",
    "prepare_task",
    "pretrain",
    "run_search",
    "schedulers",
    "strategies",
    "this_machine",
    "train",
]
