"""``lucidray trust --cluster``: a finding a worker, and the report of one process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch


def test_workers_report_what_one_process_reports(work: Path, cluster: str, command: Any) -> None:
    torch.set_num_threads(1)
    run = work / "both"
    both = ("--set", 'data.findings=["Normal","Pneumonia"]')
    assert (
        command("train", work / "recipe.toml", "--data", work / "films", "--out", run, *both) == 0
    )
    reports = []
    for name, where in (("here", ()), ("there", ("--cluster", cluster))):
        given = ("--data", work / "films", "--split", "all", "--methods", "grad_cam")
        few = ("--images", 4, "--bootstrap", 100, "--out", work / name)
        assert command("trust", run, *given, *few, *where) == 0
        report = json.loads((work / name / "trust.json").read_text(encoding="utf-8"))
        reports.append({key: value for key, value in report.items() if key != "seconds"})
    assert [found["finding"] for found in reports[0]["findings"]] == ["Normal", "Pneumonia"]
    assert reports[1] == reports[0]
