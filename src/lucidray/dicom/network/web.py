"""DICOMweb: looking for studies, fetching and storing them over HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests
from dicomweb_client import DICOMwebClient
from pydicom.dataset import Dataset

from lucidray.errors import DicomError, NetworkError
from lucidray.images.discretion import silence

#: Everything as the archive has it, in whatever transfer syntax.
_AS_IT_IS = (("application/dicom", "*"),)


@dataclass(frozen=True)
class Archive:
    """An archive that speaks DICOMweb.

    Args:
        url: Of its DICOMweb services, for example ``"https://pacs.example.org/dicom-web"``.
        user: For basic authentication; None: none.
        password: The user's.
        headers: Sent with each request, for example a token.
        authorities: A file of certificates to believe; None: those of the system.
        seconds: How long to wait for an answer.
    """

    url: str
    user: str | None = None
    password: str | None = None
    headers: Mapping[str, str] | None = None
    authorities: str | None = None
    seconds: float = 30

    def find_studies(self, **filters: str) -> list[Dataset]:
        """Look for studies (QIDO-RS).

        Args:
            filters: Values by keyword, for example ``AccessionNumber="A123"``.

        Raises:
            NetworkError: The archive does not answer as it should.
        """
        with _mapped(self.url):
            found = self._client().search_for_studies(search_filters=filters, get_remaining=True)
        return [_dataset(each) for each in found]

    def find_instances(self, study: str, **filters: str) -> list[Dataset]:
        """Look for the objects of a study; else as `find_studies`.

        Args:
            study: Its UID.
            filters: Values by keyword, for example ``Modality="DX"``.
        """
        with _mapped(self.url):
            found = self._client().search_for_instances(
                study, search_filters=filters, get_remaining=True
            )
        return [_dataset(each) for each in found]

    def fetch(self, study: str, series: str, instance: str) -> Dataset:
        """Fetch one object as the archive has it (WADO-RS).

        Args:
            study: UID of its study.
            series: UID of its series.
            instance: Its own UID.

        Raises:
            NetworkError: The archive has it not, or does not answer.
        """
        with _mapped(self.url), silence():
            return self._client().retrieve_instance(study, series, instance, media_types=_AS_IT_IS)

    def fetch_study(self, study: str) -> Iterator[Dataset]:
        """Fetch all objects of a study, one by one; else as `fetch`."""
        for found in self.find_instances(study):
            yield self.fetch(study, found.SeriesInstanceUID, found.SOPInstanceUID)

    def store(self, objects: Sequence[Dataset]) -> None:
        """Store objects (STOW-RS).

        Args:
            objects: Data sets with file meta information.

        Raises:
            NetworkError: The archive does not answer, or has not taken all of them.
            DicomError: There is nothing to store.
        """
        if not objects:
            raise DicomError("no object to store.")
        with _mapped(self.url), silence():
            answer = self._client().store_instances(list(objects))
        failed = len(answer.get("FailedSOPSequence") or ())
        if failed:
            raise NetworkError(
                f"{self.url} took {len(objects) - failed} of {len(objects)} objects; ask who runs "
                "it why it refused the others."
            )

    def _client(self) -> DICOMwebClient:
        session = requests.Session()
        session.max_redirects = 0  # films go where somebody said, and nowhere else
        if self.user is not None:
            session.auth = (self.user, self.password or "")
        if self.authorities is not None:
            session.verify = self.authorities
        client = DICOMwebClient(
            self.url, session=session, headers=dict(self.headers or {}), timeout=self.seconds
        )
        client.set_http_retry_params(retry=True, max_attempts=3, wait_exponential_multiplier=200)
        return client


def _dataset(answer: Mapping[str, Any]) -> Dataset:
    with silence():
        return Dataset.from_json(dict(answer))


@contextmanager
def _mapped(url: str) -> Iterator[None]:
    try:
        yield
    except requests.HTTPError as error:
        code = error.response.status_code if error.response is not None else "?"
        raise NetworkError(
            f"{url} answers with HTTP {code}; check the address, the user and whether what is "
            "asked for is there."
        ) from error
    except requests.TooManyRedirects as error:
        raise NetworkError(
            f"{url} sends on to another address, which is not followed. Enter the address that it "
            "names, if you trust it."
        ) from error
    except (requests.RequestException, OSError, ValueError, KeyError) as error:
        raise NetworkError(
            f"{url} does not answer as DICOMweb does. Check the address, and whether it runs."
        ) from error
