"""A run folder: what a training leaves behind, and how it is read again."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import torch

from lucidray.config import from_mapping, to_mapping
from lucidray.errors import RunError, unknown_name
from lucidray.models.classifier import Classifier, build_model
from lucidray.models.detector import Detector, build_detector
from lucidray.models.heads import keep_outputs
from lucidray.models.segmenter import Segmenter, build_segmenter
from lucidray.models.spec import ModelSpec
from lucidray.models.two_branch import build_region_classifier
from lucidray.training.places import at_home, find_places, follow
from lucidray.training.recipe import Recipe
from lucidray.training.weights import load_weights, write_text

#: Packages whose versions decide what comes out.
_PACKAGES = ("lucidray", "torch", "torchvision", "timm", "lightning", "numpy", "pillow", "pydicom")


_Network = TypeVar("_Network", Classifier, Detector, Segmenter)


@dataclass(frozen=True)
class Run:
    """A finished training.

    Args:
        folder: Where it lies.
        recipe: What it was trained by.
        findings: What it tells, in the order of the logits.
        exclusive: Whether exactly one of them is present in each image.
        operating_points: Probability from which on each finding counts as present, chosen on
            validation images; findings without one are left out.
        facts: All of ``run.json``: versions, seeds, data digest, timing, members.
    """

    folder: Path
    recipe: Recipe
    findings: tuple[str, ...]
    exclusive: bool
    operating_points: Mapping[str, float]
    facts: Mapping[str, Any]

    @property
    def weights(self) -> tuple[Path, ...]:
        """The best weights of each member of the ensemble."""
        return tuple(self.folder / member["weights"] for member in self.facts["members"])

    def only(self, findings: Sequence[str]) -> Run:
        """Return the run as if it told nothing but some of its findings.

        Args:
            findings: Names, in the order wanted.

        Raises:
            UnknownNameError: The run does not tell one of them.
            RunError: Its findings exclude each other, so none can be left out.
        """
        for name in findings:
            if name not in self.findings:
                raise unknown_name("finding", name, self.findings)
        if self.exclusive:
            raise RunError(f"the findings of {self.folder} exclude each other; keep all of them.")
        kept = {name: at for name, at in self.operating_points.items() if name in findings}
        return replace(self, findings=tuple(findings), operating_points=kept)

    def models(self) -> list[Classifier]:
        """Build every member with its best weights, ready to predict.

        Raises:
            WeightsError: A weights file is missing or broken.
            RunError: The run makes masks.
        """
        return self._built(Classifier, "makes masks; ask for its segmenters() instead.")

    @property
    def detects(self) -> bool:
        """Whether it also finds boxes."""
        return self.recipe.model.detector != "none"

    def detectors(self) -> list[Detector]:
        """Build every member of a run that also finds boxes; else as `models`.

        Raises:
            WeightsError: A weights file is missing or broken.
            RunError: The run finds no boxes.
        """
        return self._built(Detector, "finds no boxes; train it with model.detector.")

    def segmenters(self) -> list[Segmenter]:
        """Build every member of a run that makes masks; else as `models`.

        Raises:
            WeightsError: A weights file is missing or broken.
            RunError: The run makes no masks.
        """
        return self._built(Segmenter, "judges findings; ask for its models() instead.")

    def _built(self, kind: type[_Network], otherwise: str) -> list[_Network]:
        built, told = [], tuple(self.facts.get("findings", self.findings))
        for path in self.weights:
            model = new_network(self.recipe, told, exclusive=self.exclusive)
            if not isinstance(model, kind):
                raise RunError(f"the run in {self.folder} {otherwise}")
            load_weights(path, model)
            if self.findings != told:
                keep_outputs(model.head, [told.index(name) for name in self.findings])
                model.findings = self.findings
            built.append(model.eval())
        return built


def new_network(
    recipe: Recipe, findings: tuple[str, ...], *, exclusive: bool, pretrained: bool = False
) -> Classifier | Segmenter:
    """Build a recipe's network, of masks or of findings; else as `new_model`."""
    if not recipe.model.decoder:
        return new_model(recipe, findings, exclusive=exclusive, pretrained=pretrained)
    spec = recipe.model if pretrained else replace(recipe.model, weights="none")
    model = build_segmenter(spec, findings, image_size=recipe.image.size)
    model.spec = recipe.model
    return model


def new_model(
    recipe: Recipe, findings: tuple[str, ...], *, exclusive: bool, pretrained: bool = False
) -> Classifier:
    """Build a recipe's classifier.

    Args:
        recipe: Names the network.
        findings: One a logit.
        exclusive: Whether exactly one finding is present in each image.
        pretrained: Whether to fetch the weights that the recipe starts from.
    """
    spec = recipe.model if pretrained else _from_nothing(recipe.model)
    size = recipe.image.size
    model: Classifier
    if spec.detector != "none":
        model = build_detector(spec, findings, image_size=size)
    elif spec.region.source != "none":
        model = build_region_classifier(spec, findings, exclusive=exclusive, image_size=size)
    else:
        model = build_model(spec, findings, exclusive=exclusive, image_size=size)
    model.spec = recipe.model
    return model


def _from_nothing(spec: ModelSpec) -> ModelSpec:
    """Return a spec that reads no weights: not its own start, not those of what finds a region."""
    return replace(spec, weights="none", region=replace(spec.region, run=""))


def load_run(folder: str | Path) -> Run:
    """Read a finished run.

    Raises:
        RunError: The folder is no run, or the run is not finished.
    """
    folder = Path(folder)
    facts = read_facts(folder)
    status = read_status(folder)
    if status != "finished":
        raise RunError(
            f"the run in {folder} is {status}; finish it with: lucidray train ... --resume"
        )
    recipe = at_home(facts["recipe"], _places(facts), folder)
    return Run(
        folder,
        from_mapping(Recipe, recipe, where=str(folder / "run.json")),
        tuple(facts["findings"]),
        bool(facts["exclusive"]),
        _read_points(folder / "operating_points.json"),
        facts,
    )


def read_facts(folder: Path) -> dict[str, Any]:
    """Return what ``run.json`` holds.

    Raises:
        RunError: It is missing or broken.
    """
    remedy = "Name a folder that `lucidray train` wrote."
    if not folder.exists():
        raise RunError(f"no such run folder: {folder}. {remedy}")
    if not folder.is_dir():
        raise RunError(f"{folder} is a file, not a run folder. {remedy}")
    try:
        facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunError(f"{folder} is no run: it has no run.json. {remedy}") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RunError(f"{folder / 'run.json'} is damaged: {error}. {remedy}") from error
    if not isinstance(facts, dict) or not all(
        isinstance(facts.get(key), kind) for key, kind in _KEYS.items()
    ):
        raise RunError(f"{folder / 'run.json'} does not describe a run. {remedy}")
    return facts


#: What every ``run.json`` holds from the start.
_KEYS = {"recipe": dict, "findings": list, "exclusive": bool, "data": dict}


def _read_points(path: Path) -> dict[str, float]:
    try:
        points = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): float(point["threshold"]) for name, point in points.items()}
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise RunError(
            f"{path} is missing or damaged. Restore it from a copy, or train again."
        ) from error


def read_status(folder: Path) -> str:
    """Return running, interrupted, failed or finished; unknown where the folder does not say."""
    path = folder / "status"
    return path.read_text(encoding="utf-8").strip() if path.is_file() else "unknown"


def write_status(folder: Path, status: str) -> None:
    """Say how the run stands."""
    write_text(folder / "status", status + "\n")


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write JSON whole or not at all; nan becomes null."""
    write_text(path, json.dumps(plain(values), indent=2, allow_nan=False) + "\n")


def plain(value: Any) -> Any:
    """Turn nested values into what JSON knows, nan and infinities into None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if value - value == 0 else None
    return value


def describe_machine() -> dict[str, Any]:
    """Return the versions and the machine that a run depends on."""
    return {
        "versions": {name: metadata.version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "processor": platform.machine(),
        "threads": torch.get_num_threads(),
    }


def begin(
    folder: Path, recipe: Recipe, facts: Mapping[str, Any], *, resume: bool
) -> dict[str, Any]:
    """Open a run folder, new or to be resumed.

    Args:
        folder: The run folder.
        recipe: What is to be trained.
        facts: Findings, data digest and the like, which a resumed run must share.
        resume: Whether to go on with what is there.

    Returns:
        The content of ``run.json``.

    Raises:
        RunError: The folder is in the way, or holds a run of another recipe or other data.
    """
    wanted = {"recipe": to_mapping(recipe), **plain(facts)}
    places = find_places(wanted["recipe"], folder)
    if (folder / "run.json").is_file() and resume:
        found = read_facts(folder)
        where = str(folder / "run.json")
        # An option that came later has the value that the run was begun with: its default.
        found["recipe"] = to_mapping(from_mapping(Recipe, found["recipe"], where=where))
        found["recipe"] = follow(found["recipe"], _places(found), wanted["recipe"], folder)
        changed = [key for key in wanted if found.get(key) != wanted[key]]
        if changed:
            raise RunError(
                f"the run in {folder} was begun with {_difference(found, wanted, changed[0])}; "
                "resume it with the same recipe and data, or train into a new folder."
            )
        return found | {"places": places}
    check_free(folder)
    folder.mkdir(parents=True, exist_ok=True)
    found = wanted | {"places": places} | describe_machine()
    write_json(folder / "run.json", found)
    return found


def _places(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return where the recipe's files lie, seen from the run; nothing of a run that is older."""
    found = facts.get("places")
    return found if isinstance(found, dict) else {}


def check_free(folder: Path) -> None:
    """Refuse a folder that a new run cannot have to itself.

    Raises:
        RunError: It is a file, or holds something.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(
            f"{folder} is in the way: it is not an empty folder. Continue a run that was stopped "
            "with --resume, or name a new folder."
        )


def _difference(found: Mapping[str, Any], wanted: Mapping[str, Any], key: str) -> str:
    before, now = found.get(key), wanted[key]
    if isinstance(before, dict) and isinstance(now, dict):
        inner = next((name for name in now if before.get(name) != now[name]), None)
        if inner is not None:
            return f"{key}." + _difference(before, now, inner)
    if key == "digest":
        return "other images, labels or splits"
    return f"{key} = {json.dumps(before)}, not {json.dumps(now)}"
