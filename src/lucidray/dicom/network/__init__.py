"""The way to an archive and back: a DICOM node, C-STORE with retries, DICOMweb."""

from lucidray.dicom.network.inbox import Inbox, Kept
from lucidray.dicom.network.node import Node, Received
from lucidray.dicom.network.node_settings import NodeSettings
from lucidray.dicom.network.send import Delivery, Peer, Retry, echo, send
from lucidray.dicom.network.tls import Tls
from lucidray.dicom.network.web import Archive

__all__ = [
    "Archive",
    "Delivery",
    "Inbox",
    "Kept",
    "Node",
    "NodeSettings",
    "Peer",
    "Received",
    "Retry",
    "Tls",
    "echo",
    "send",
]
