"""Training by the worker processes of a cluster, all together on each batch, by Ray Train."""

from __future__ import annotations

import logging
import pickle
import shutil
import warnings
from pathlib import Path
from typing import Any

from torch import distributed

from lucidray.cluster import connected
from lucidray.cluster.session import RETRIES, load_ray, work_in
from lucidray.datasets.table import ImageTable
from lucidray.errors import ClusterError, LucidRayError
from lucidray.training.crew import BACKENDS, PATIENCE
from lucidray.training.fit import train
from lucidray.training.recipe import Recipe
from lucidray.training.run import Run, check_free, load_run


def train_apart(
    recipe: Recipe,
    data: str | Path | ImageTable,
    out: str | Path,
    *,
    cluster: str,
    workers: int,
    resume: bool = False,
    cache: str | Path | None = None,
) -> Run:
    """Train as `train` does, in worker processes that share each batch.

    Every machine must see data, cache and run folder under the same path. Where a worker dies, all
    begin again from the last state that was kept.

    Args:
        recipe: What to train.
        data: A data set's folder, or its table.
        out: The run folder.
        cluster: Address of a Ray cluster; ``"local"``: one that is started on this machine.
        workers: Processes that share each batch; with a graphics card each, where there are so
            many.
        resume: Go on with a run that was stopped, by as many workers as before.
        cache: Folder of decoded pixels; None: the user's cache folder.

    Raises:
        LucidRayError: As `train` does.
        ClusterError: There is no such cluster, it is too small, or workers keep dying.
    """
    folder = Path(out).absolute()
    if not (resume and (folder / "run.json").is_file()):
        check_free(folder)
    place = data if isinstance(data, ImageTable) else Path(data).absolute()
    kept = None if cache is None else Path(cache).absolute()
    with connected(cluster, cpus=workers):
        _check_room(workers)
        storage = folder.parent / f".{folder.name}.ray"
        try:
            _fit((recipe, place, folder, kept), workers, storage)
        finally:
            shutil.rmtree(storage, ignore_errors=True)
    return load_run(folder)


def _check_room(workers: int) -> None:
    room = int(load_ray().cluster_resources().get("CPU", 0))
    if workers > room:
        raise ClusterError(
            f"{workers} workers are asked for, but the cluster has {room} processors. Ask for "
            "fewer with --devices, or add machines."
        )


def _fit(given: tuple[Any, ...], workers: int, storage: Path) -> None:
    """Let the workers train; raise what they refuse."""
    mistakes = storage / "mistakes"
    mistakes.mkdir(parents=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's own deprecations
        try:
            _trainer(given, workers, storage, mistakes).fit()
        except _failures() as error:
            _raise_first(mistakes)
            raise ClusterError(
                f"workers died as training began, or {RETRIES + 1} times over it. What was kept "
                "stays: give each more memory (a smaller batch_size), then go on with --resume."
            ) from error
    _raise_first(mistakes)


def _raise_first(mistakes: Path) -> None:
    for path in sorted(mistakes.iterdir()):
        raise pickle.loads(path.read_bytes())  # noqa: S301 - our own worker's


def _failures() -> tuple[type[Exception], ...]:
    """Return what Ray Train raises, in its old form and in its new one."""
    from ray.train import TrainingFailedError
    from ray.train.v2.api.exceptions import TrainingFailedError as Newer

    return TrainingFailedError, Newer


def _trainer(given: tuple[Any, ...], workers: int, storage: Path, mistakes: Path) -> Any:
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    logging.getLogger("ray.train").setLevel(logging.CRITICAL)
    cards = load_ray().cluster_resources().get("GPU", 0) >= workers
    backend = BACKENDS["cuda" if cards else "cpu"]
    return TorchTrainer(
        _work,
        train_loop_config={"given": given, "mistakes": mistakes, "here": Path.cwd()},
        torch_config=TorchConfig(backend=backend, timeout_s=int(PATIENCE.total_seconds())),
        scaling_config=ScalingConfig(num_workers=workers, use_gpu=cards),
        run_config=RunConfig(
            name="run",
            storage_path=str(storage),
            failure_config=FailureConfig(max_failures=RETRIES),
        ),
    )


def _work(config: dict[str, Any]) -> None:
    """Train in a worker, from wherever earlier workers stopped; not again what was refused."""
    from ray.train import get_context

    if any(config["mistakes"].iterdir()):
        return
    recipe, data, folder, cache = config["given"]
    try:
        work_in(config["here"])
        train(recipe, data, folder, resume=True, cache=cache)
    except LucidRayError as error:
        place = config["mistakes"] / f"{get_context().get_world_rank():04d}.pickle"
        place.write_bytes(pickle.dumps(error))
        distributed.destroy_process_group()  # so that no other waits for this one
