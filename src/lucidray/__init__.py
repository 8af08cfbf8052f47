"""LucidRay: interpretable chest X-ray diagnosis, from training to the reading room."""

from lucidray.errors import LucidRayError as LucidRayError

__version__ = "0.1.0"
