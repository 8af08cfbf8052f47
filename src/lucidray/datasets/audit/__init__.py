"""The audit of a data set: what is broken, copied, leaking, confounded or odd in it."""

from lucidray.datasets.audit.build import audit
from lucidray.datasets.audit.duplicates import find_duplicates
from lucidray.datasets.audit.page import write_audit_page
from lucidray.datasets.audit.result import Audit, Remark
from lucidray.datasets.audit.scan import Scan, scan_images

__all__ = [
    "Audit",
    "Remark",
    "Scan",
    "audit",
    "find_duplicates",
    "scan_images",
    "write_audit_page",
]
