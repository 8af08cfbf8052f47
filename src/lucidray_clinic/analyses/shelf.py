"""The shelf: bundles that came with LucidRay and those that administrators install."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext as _

import lucidray.bundle
from lucidray.bundle import Bundle, load_bundle
from lucidray.bundle.archive import read
from lucidray.bundle.card import from_json
from lucidray.bundle.comparison import Comparison, compare
from lucidray.bundle.reference import Verification, verify_bundle
from lucidray.config import to_mapping
from lucidray.errors import BundleError, LucidRayError
from lucidray_clinic.accounts.roles import Permission
from lucidray_clinic.analyses.models import ModelBundle
from lucidray_clinic.core import audit
from lucidray_clinic.errors import SiteError

SUFFIX = ".lucid"
_LOADING = threading.Lock()


@dataclass(frozen=True)
class Facts:
    """What a bundle's file says of itself, every byte of it checked.

    Args:
        digest: Stands for its members.
        sha256: Of the file.
        size: In bytes.
        card: As plain values.
    """

    digest: str
    sha256: str
    size: int
    card: dict[str, Any]


def bundles(*, retired: bool = False) -> QuerySet[ModelBundle]:
    """Return the bundles on the shelf, those that came with LucidRay put there when missing.

    Args:
        retired: Whether to return those that are no longer offered, too.
    """
    _ensure_shipped()
    rows = ModelBundle.objects.all()
    return rows if retired else rows.filter(retired_at=None)


def offered() -> list[ModelBundle]:
    """Return the bundles that are offered: those that read films first, as of `readers`."""
    others = bundles().exclude(task="classification").order_by("name", "-created_at")
    return [*readers(), *others]


def readers() -> QuerySet[ModelBundle]:
    """Return the bundles that read films, those with the better evidence first."""
    return bundles().filter(task="classification").order_by("experimental", "name", "-created_at")


def bundle_by_digest(digest: str, *, retired: bool = True) -> ModelBundle:
    """Return a bundle.

    Args:
        digest: Its digest.
        retired: Whether one that is no longer offered will do.

    Raises:
        Http404: It is not on the shelf.
    """
    return get_object_or_404(bundles(retired=retired), digest=digest)


def file_of(bundle: ModelBundle) -> Path:
    """Return where the file of a bundle lies.

    Args:
        bundle: The bundle.

    Raises:
        SiteError: It is gone.
    """
    if bundle.shipped:
        found = next((path for path in _shipped() if _facts(path).digest == bundle.digest), None)
        if found is not None:
            return found
    path = _place(bundle.digest)
    if not path.is_file():
        raise SiteError(_("The file of this model is missing. Install it again."), "bundle_missing")
    return path


def loaded(bundle: ModelBundle) -> Bundle:
    """Return a bundle ready to read, kept in memory for the next time.

    Args:
        bundle: The bundle.

    Raises:
        SiteError: Its file is missing, was changed, or cannot be run.
    """
    path = file_of(bundle)
    with _LOADING:
        try:
            model = _load(str(path), path.stat().st_mtime_ns)
        except LucidRayError as error:
            raise SiteError(str(error), "bundle_broken") from error
    if model.digest != bundle.digest:
        raise SiteError(_("The file of this model was exchanged."), "bundle_broken")
    return model


def install(user: Any, path: Path, *, offered: bool = True) -> ModelBundle:
    """Put a bundle on the shelf after checking every byte and asking it its own test images.

    Args:
        user: Who installs it.
        path: The file; it stays where it is.
        offered: Whether readers may use it at once; if not, it is retired from the start.

    Returns:
        The bundle; where it was here already, that one, offered again if it was retired and is
        to be offered.

    Raises:
        SiteError: It is no bundle, was changed, or does not give the answers it was written with.
        PermissionDenied: The person manages no team.
    """
    _may_manage(user)
    try:
        facts = _read_facts(path)
        model = load_bundle(path, threads=settings.INFERENCE_THREADS)
        checked = verify_bundle(model) if model.task == "classification" else None
    except LucidRayError as error:
        raise SiteError(str(error), "not_a_bundle") from error
    if checked is not None and not checked.passed:
        raise SiteError(_unlike(checked), "self_test")
    known = bundles(retired=True).filter(digest=facts.digest).first()
    if known is not None:
        return _offered_again(user, known) if offered else known
    _keep(path, facts.digest)
    with transaction.atomic():
        row = _row(facts, shipped=False, user=user)
        audit.record(user, "install model", row, digest=facts.digest)
        if not offered:
            row = retire(user, row.pk)
    return row


@transaction.atomic
def retire(user: Any, key: Any) -> ModelBundle:
    """Offer a bundle no longer; what it said stays.

    Args:
        user: Who retires it.
        key: Its id.
    """
    _may_manage(user)
    row = get_object_or_404(ModelBundle, pk=key, retired_at=None)
    row.retired_at, row.retired_by = timezone.now(), user
    row.save(update_fields=["retired_at", "retired_by"])
    audit.record(user, "retire model", row, digest=row.digest)
    return row


@transaction.atomic
def offer_again(user: Any, key: Any) -> ModelBundle:
    """Offer a retired bundle again.

    Args:
        user: Who decides it.
        key: Its id.
    """
    _may_manage(user)
    return _offered_again(user, get_object_or_404(ModelBundle, pk=key))


def compared(first: ModelBundle, second: ModelBundle) -> Comparison:
    """Return in what two bundles differ, on their cards and on their reference images.

    Args:
        first: One.
        second: The other.

    Raises:
        SiteError: They do different things.
    """
    if first.task != second.task or first.task != "classification":
        raise SiteError(_("Only models that judge findings can be compared."), "incomparable")
    return compare(loaded(first), loaded(second))


def _ensure_shipped() -> None:
    """Add rows for files of the package; does nothing but one query once they are there."""
    facts = [_facts(path) for path in _shipped()]
    known = set(
        ModelBundle.objects.filter(digest__in=[one.digest for one in facts]).values_list(
            "digest", flat=True
        )
    )
    for one in facts:
        if one.digest not in known:
            _row(one, shipped=True, user=None)


def _shipped() -> list[Path]:
    folder = Path(lucidray.bundle.__file__).parent / "shipped"
    return sorted(folder.glob(f"*{SUFFIX}"))


def _facts(path: Path) -> Facts:
    return _read_facts_once(str(path), path.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _read_facts_once(path: str, changed: int) -> Facts:  # noqa: ARG001
    return _read_facts(Path(path))


def _read_facts(path: Path) -> Facts:
    archive = read(path)
    if "card.json" not in archive.members:
        raise BundleError(f"{path.name} has no card; get the bundle again.")
    card = to_mapping(from_json(archive.members["card.json"]))
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Facts(archive.digest, digest, path.stat().st_size, card)


@lru_cache(maxsize=4)
def _load(path: str, changed: int) -> Bundle:  # noqa: ARG001
    return load_bundle(path, threads=settings.INFERENCE_THREADS)


def _row(facts: Facts, *, shipped: bool, user: Any) -> ModelBundle:
    card = facts.card
    row, _made = ModelBundle.objects.get_or_create(
        digest=facts.digest,
        defaults={
            "sha256": facts.sha256,
            "name": str(card["name"])[:80],
            "title": str(card["summary"])[:300],
            "task": card["task"],
            "experimental": card["experimental"],
            "shipped": shipped,
            "size": facts.size,
            "card": card,
            "installed_by": user,
        },
    )
    return row


def _offered_again(user: Any, row: ModelBundle) -> ModelBundle:
    if row.retired_at is not None:
        row.retired_at = row.retired_by = None
        row.save(update_fields=["retired_at", "retired_by"])
        audit.record(user, "offer model", row, digest=row.digest)
    return row


def _place(digest: str) -> Path:
    return Path(settings.MODELS_ROOT) / f"{digest}{SUFFIX}"


def _keep(path: Path, digest: str) -> None:
    place = _place(digest)
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = place.with_suffix(".part")
    draft.write_bytes(path.read_bytes())
    draft.replace(place)


def _unlike(checked: Verification) -> str:
    return _(
        "On this machine the model does not give the answers that it was written with "
        "(probabilities differ by %(difference).2g). It was not installed."
    ) % {"difference": checked.probability_difference}


def _may_manage(user: Any) -> None:
    if not user.may(Permission.MANAGE):
        raise PermissionDenied
