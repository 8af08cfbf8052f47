"""What an installation sets of its node."""

from __future__ import annotations

from pathlib import Path

import pytest

from lucidray_clinic.errors import SetupError
from lucidray_clinic.pacs.environment import read_node_environment


def test_without_variables_it_listens_to_this_machine_only() -> None:
    told = read_node_environment({})
    assert (told.title, told.host, told.port, told.tls) == ("LUCIDRAY", "127.0.0.1", 11112, ())
    assert told.embedded
    assert told.most_bytes == 128 * 2**20
    assert (told.most_associations, told.most_from_one) == (8, 0)


def test_variables_are_understood() -> None:
    told = read_node_environment(
        {
            "LUCIDRAY_NODE": "[::]:104",
            "LUCIDRAY_NODE_TITLE": "ROOM",
            "LUCIDRAY_NODE_TLS": "/a.pem, /b.pem, /c.pem",
            "LUCIDRAY_NODE_MEGABYTES": "64",
            "LUCIDRAY_NODE_FROM_ONE": "6",
            "LUCIDRAY_WORKER": "separate",
            "LUCIDRAY_INSTITUTION": "Hospital",
        }
    )
    assert (told.host, told.port, told.title, told.embedded) == ("::", 104, "ROOM", False)
    assert told.tls == (Path("/a.pem"), Path("/b.pem"), Path("/c.pem"))
    assert (told.most_bytes, told.institution) == (64 * 2**20, "Hospital")
    assert told.most_from_one == 6


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LUCIDRAY_NODE", "11112"),
        ("LUCIDRAY_NODE", "host:0"),
        ("LUCIDRAY_NODE", "host:99999"),
        ("LUCIDRAY_NODE_TLS", "/only-one.pem"),
        ("LUCIDRAY_NODE_ASSOCIATIONS", "0"),
        ("LUCIDRAY_NODE_FROM_ONE", "-1"),
        ("LUCIDRAY_NODE_MEGABYTES", "many"),
        ("LUCIDRAY_WORKER", "sometimes"),
    ],
)
def test_what_is_not_understood_is_told_by_name(name: str, value: str) -> None:
    with pytest.raises(SetupError, match=name):
        read_node_environment({name: value})
