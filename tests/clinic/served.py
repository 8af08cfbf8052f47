"""A reading room that `lucidray serve` opens for a real browser, and what its viewer is asked."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from room import free_port

PROGRAM = Path(sys.executable).with_name("lucidray")

#: Reads films in the page's own workers; returns findings with raw maps.
READ_HERE = """async ({files, digest, url, address}) => {
  const call = (worker, method, argument) => new Promise((resolve, reject) => {
    worker.onmessage = ({data}) => {
      if (data.kind === 'result') resolve(data.result);
      if (data.kind === 'error') reject(new Error(data.message));
    };
    worker.postMessage({id: 0, method, argument});
  });
  const decoder = new Worker('/static/lucidray/viewer/decode.js', {type: 'module'});
  const model = new Worker('/static/lucidray/viewer/infer.js', {type: 'module'});
  const found = [];
  for (const file of files) {
    const bytes = await (await fetch(`/api/v1/instances/${file}/file`)).arrayBuffer();
    const {width, height, pattern, table} = await call(decoder, 'decode', bytes);
    const film = {width, height, pattern, table};
    const told = await call(model, 'read', {digest, url: address + url, film});
    const {findings, refusal, refer} = told.reading;
    const plain = findings.map((each) => ({...each, map: each.map && [...each.map]}));
    found.push({findings: plain, refusal, refer, test: told.selfTest});
  }
  return found;
}"""


@dataclass
class Served:
    """A reading room that is open.

    Args:
        address: Where it is.
        link: Signs in once.
    """

    address: str
    link: str


@contextmanager
def served(folder: Path, *words: str) -> Iterator[Served]:
    """Serve a data folder, as ``lucidray serve`` does for anybody.

    Args:
        folder: Of the data.
        words: More for the command line.
    """
    port = free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LUCIDRAY_")}
    kept |= {"DJANGO_SETTINGS_MODULE": "lucidray_clinic.settings", "COLUMNS": "400"}
    command = [str(PROGRAM), "serve", "--data", str(folder), "--port", str(port), *words]
    process = subprocess.Popen(
        command, env=kept, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield _told(process)
    finally:
        process.terminate()
        process.wait(20)
        assert process.stdout is not None
        process.stdout.close()


def _told(process: Any) -> Served:
    told = ""
    for line in process.stdout:
        told += line
        if "Stop with Ctrl-C" in told:
            addresses = re.findall(r"http://\S+/", told)
            return Served(addresses[0].rstrip("/"), addresses[1])
    raise AssertionError(f"the room did not open: {told}")
