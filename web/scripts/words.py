"""Collect the viewer's words for the site's catalogs of languages.

    python web/scripts/words.py            # writes src/lucidray_clinic/core/viewer_words.py

Every ``t("…")`` of ``web/src`` is one; a test of the site says when this was forgotten.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "web" / "src"
TARGET = ROOT / "src" / "lucidray_clinic" / "core" / "viewer_words.py"
WORD = re.compile(r'(?<![\w.])t\(\s*("(?:[^"\\]|\\.)+")')
HEAD = '''"""The viewer's words, which ``web/scripts/words.py`` collects; do not edit."""

# ruff: noqa: E501
# fmt: off
from __future__ import annotations

from django.utils.translation import gettext_noop as _

WORDS = (
'''


def collected() -> list[str]:
    """Return every text that the viewer shows, each once, in order."""
    files = sorted(SOURCE.rglob("*.ts"))
    texts = (file.read_text(encoding="utf-8") for file in files)
    return sorted({json.loads(word) for text in texts for word in WORD.findall(text)})


def module() -> str:
    """Return the module that holds them."""
    lines = [f"    _({json.dumps(word, ensure_ascii=False)}),\n" for word in collected()]
    return HEAD + "".join(lines) + ")\n"


if __name__ == "__main__":
    TARGET.write_text(module(), encoding="utf-8")
