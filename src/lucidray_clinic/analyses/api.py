"""Models and readings for programs and for the viewer."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast
from uuid import UUID

from django.core.files.uploadedfile import TemporaryUploadedFile
from django.http import FileResponse, HttpRequest, HttpResponse
from ninja import File, Form, Router, Schema, Status
from ninja.files import UploadedFile
from pydantic import ConfigDict, Field

from lucidray_clinic.analyses import keeping, maps, quicklook, revealing, runs, shelf, telling
from lucidray_clinic.cases.uploading import received

router = Router(tags=["analyses"])

Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class FindingIn(Schema):
    """What a browser's model says of one finding."""

    name: Annotated[str, Field(max_length=60)]
    logit: Annotated[float, Field(allow_inf_nan=False)]
    probability: Annotated[float, Field(ge=0, le=1)]
    positive: bool | None = None


class RefusalIn(Schema):
    """Why a browser's model gives no result."""

    reason: Annotated[str, Field(max_length=40)]
    message: Annotated[str, Field(max_length=300)]
    value: float | None = None
    low: float | None = None
    high: float | None = None


class SelfTestIn(Schema):
    """How the bundle's own images came out in the browser."""

    model_config = ConfigDict(extra="ignore")

    passed: bool
    probability_difference: Annotated[float | None, Field(ge=0)] = None
    map_difference: Annotated[float | None, Field(ge=0)] = None


class ReadingIn(Schema):
    """A reading that a browser made."""

    instance: UUID
    bundle_digest: Digest
    engine: Literal["browser"] = "browser"
    engine_version: Annotated[str, Field(max_length=80)] = ""
    refused: RefusalIn | None = None
    findings: Annotated[list[FindingIn], Field(max_length=200)]
    uncertainty: dict[str, Any] | None = Field(
        None, description="Not taken over: it follows from the probabilities."
    )
    pixels_sha256: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")] = ""
    self_test: SelfTestIn


class ServerReadingIn(Schema):
    """A reading that the server is asked for."""

    instance: UUID
    bundle: Digest


class FirstOpinionIn(Schema):
    """One finding of a first opinion."""

    finding: Annotated[str, Field(max_length=60)]
    certainty: Annotated[float | None, Field(ge=0, le=1)] = None


class RevealIn(Schema):
    """An own opinion before the reveal."""

    first_opinion: Annotated[list[FirstOpinionIn], Field(max_length=100)]
    seconds: Annotated[int | None, Field(ge=0, le=86400)] = None


@router.get("/bundles", url_name="bundles", response=list[dict[str, Any]])
def get_bundles(request: HttpRequest) -> list[dict[str, Any]]:  # noqa: ARG001
    """Return the models that are offered."""
    return [telling.bundle_as_json(bundle) for bundle in shelf.offered()]


@router.get("/bundles/{digest}/file", url_name="bundle_file")
def get_bundle_file(request: HttpRequest, digest: Digest) -> FileResponse:  # noqa: ARG001
    """Return the file of a model; it never changes, so a browser may keep it."""
    bundle = shelf.bundle_by_digest(digest)
    response = FileResponse(
        shelf.file_of(bundle).open("rb"),
        as_attachment=True,
        filename=f"{bundle.name}.lucid",
        content_type="application/zip",
    )
    response["Cache-Control"] = "private, max-age=31536000, immutable"
    response["ETag"] = f'"{bundle.digest}"'
    return response


@router.post("/cases/{case}/readings", url_name="readings", response={201: dict[str, Any]})
def post_reading(request: HttpRequest, case: UUID, told: ReadingIn) -> Status:
    """Keep a reading that was made in the browser: private mode."""
    answer = keeping.BrowserAnswer(
        instance=told.instance,
        bundle_digest=told.bundle_digest,
        findings=[each.model_dump() for each in told.findings],
        refused=told.refused.model_dump() if told.refused else None,
        pixels_sha256=told.pixels_sha256,
        self_test=told.self_test.model_dump(),
        engine=told.engine_version,
    )
    reading = keeping.keep_from_browser(request.user, case, answer)
    return Status(201, telling.reading_as_json(reading))


@router.post(
    "/cases/{case}/readings/server",
    url_name="server_readings",
    response={201: dict[str, Any], 202: dict[str, Any]},
)
def post_server_reading(request: HttpRequest, case: UUID, told: ServerReadingIn) -> Status:
    """Have a film read on the server; 202 where another process is at it."""
    run = runs.read_on_server(request.user, case, told.instance, told.bundle)
    if run.reading is None:
        return Status(202, {"run": str(run.pk), "state": run.state})
    return Status(201, telling.reading_as_json(run.reading))


@router.get("/readings/{reading}", url_name="reading", response=dict[str, Any])
def get_reading(request: HttpRequest, reading: UUID) -> dict[str, Any]:
    """Return a reading."""
    return telling.reading_as_json(telling.open_reading(request.user, reading))


@router.get("/readings/{reading}/maps", url_name="reading_maps")
def get_maps(request: HttpRequest, reading: UUID) -> HttpResponse:
    """Return the raw maps: one line of JSON, then float32 in little-endian order."""
    data = maps.maps_of(request.user, reading)
    return HttpResponse(data, content_type="application/octet-stream")


@router.post("/cases/{case}/reveal", url_name="reveal", response=dict[str, Any])
def post_reveal(request: HttpRequest, case: UUID, told: RevealIn) -> dict[str, Any]:
    """Lock the own opinion and show what models said."""
    opinion = [each.model_dump() for each in told.first_opinion]
    row = revealing.reveal(request.user, case, opinion, told.seconds)
    readings = telling.readings_part(request.user, row.case)
    return {"revealed": True, "first_opinion": row.findings, "readings": readings}


@router.post("/quicklook/server", url_name="quick_look_server", response=dict[str, Any])
def post_quick_look(
    request: HttpRequest, film: File[UploadedFile], bundle: Form[Digest]
) -> dict[str, Any]:
    """Read a film with consent on the server; nothing of it is stored."""
    user: Any = request.user
    path = received(cast(TemporaryUploadedFile, film).temporary_file_path())
    return quicklook.look(user, path, film.name or "", bundle)
