"""The scale benchmark: fitting and scoring on a cluster of one machine, and what a large data set takes by these figures."""

import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from amsl_tf.data.files import locked, read_json, write_json
from amsl_tf.errors import AMSLError
from benchmarks import scale_cases
from benchmarks.packages import versions
from benchmarks.pages import Section
from benchmarks.rows import markdown_table

ROOT = Path(__file__).resolve().parents[1]
SECTION = Section("scale", "scale")
PAGE = "scale.md"
PACKAGES = ("ray", "tensorflow", "numpy", "pyarrow")
CAP_WINDOWS = scale_cases.CAP_ROWS / scale_cases.STRIDE
BYTES = 4  # of a value
CORES, MACHINES = 16, (1, 10)  # of the plan
DISK, NETWORK = 1e9, 1.25e9  # bytes a second of a machine: an NVMe disk, 10 Gbit/s
HOUR = 3600.0
SHARES = (0.1, 0.5, 0.9)  # of the time of a run, at which its memory is shown


def run(results: Path, only: list[str] | None, tables: Path) -> None:
    """Measures the cases without a result, each in a process of its own, and writes the tables.

    Args:
        results: The JSON file.
        only: The names of the cases; all if None.
        tables: The folder of scale.md.

    Raises:
        AMSLError: A case fails, or the page lacks the marker lines of the tables.
    """
    SECTION.split(tables / PAGE)  # before anything is measured
    found = read_json(results, f"Remove {results} and run it again.") if results.exists() else {}
    with locked(results.parent / "scale"), tempfile.TemporaryDirectory() as folder:
        for name in only or scale_cases.CASES:
            if name not in found:
                found[name] = _measure(name, folder)
                found["machine"] = {"cores": os.cpu_count(), "versions": versions(PACKAGES)}
                print(f"{name}: {str(found[name])[:500]}", file=sys.stderr, flush=True)
                write_json(results, found)
    text = write_tables(found)
    SECTION.replace(tables / PAGE, text)
    print(f"{text}\nresults: {results}\ntables:  {tables / PAGE}")


def _measure(name: str, folder: str) -> Any:
    """Runs a case in a process of its own."""
    import json

    command = [sys.executable, "-m", "benchmarks.scale_cases", name, folder]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise AMSLError(f"the case {name} failed with status {done.returncode}; its error is above.")
    return json.loads(done.stdout.splitlines()[-1])


def write_tables(found: dict[str, Any]) -> str:
    """Writes the tables of the stored results."""
    parts = [_fits(found), _scoring(found), _rates(found), _memory(found), _plan(found)]
    about = found["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    return "\n\n".join([f"Measured on {about['cores']} shared cores without a GPU, with {packages}.", *filter(None, parts)])


def exponent(fits: list[dict[str, float]]) -> float:
    """Returns the exponent of the growth of the time of fits with the number of windows, between the two largest."""
    first, second = fits[-2:]
    return math.log(second["seconds"] / first["seconds"]) / math.log(second["windows"] / first["windows"])


def _fits(found: dict[str, Any]) -> str:
    fits = [found[name] for name in scale_cases.CASES if name.startswith("fit ") and name in found]
    if len(fits) < 2:
        return ""
    rows = [[f"{own['windows']:,}", f"{own['seconds']:.0f} s", f"{own['peak_mb']:,.0f} MB"] for own in fits]
    return f"""### Fitting

`amsl_tf.scale.fit_recordings` with {scale_cases.WORKERS} workers: windows of {scale_cases.STEPS} rows and
{scale_cases.CHANNELS} channels, one every {scale_cases.STRIDE} rows, made in the workers. Start of Ray included; memory of all
processes. Between the last two rows the time grows with the number of windows to the power of {exponent(fits):.2f}.

{markdown_table(("windows", "time", "peak memory"), rows)}"""


def _scoring(found: dict[str, Any]) -> str:
    titles = {
        scale_cases.LOCAL: "local, one CPU",
        scale_cases.ALL_CPUS: f"local, {scale_cases.WORKERS} CPUs",
        "score ray": f"Ray, {scale_cases.WORKERS} workers",
        "score killed": f"Ray, {scale_cases.WORKERS} nodes with a worker each, of which one is killed",
    }
    if not {*titles} <= {*found}:
        return ""
    rows = []
    for name, title in titles.items():
        own, cpus = found[name], scale_cases.CPUS.get(name, scale_cases.WORKERS)
        half = found.get(f"{name} half", {"windows": math.nan, "seconds": math.nan})
        speed = own["windows"] / own["seconds"] / cpus
        of_half = (own["windows"] - half["windows"]) / (own["seconds"] - half["seconds"]) / cpus
        cells = [title, f"{own['windows']:,}", f"{own['seconds']:.0f} s", f"{speed:,.0f}"]
        cells.append("" if math.isnan(of_half) else f"{of_half:,.0f}")
        rows.append([*cells, "" if name == scale_cases.LOCAL else "yes" if own["is_same"] else "no"])
    columns = ("engine", "windows", "time", "windows per second and CPU", "without the start", "same file")
    return f"""### Scoring

{scale_cases.FILES:,} Parquet files of {scale_cases.FILE_ROWS:,} rows and {scale_cases.CHANNELS} channels, from the call to the
complete table, the start of Ray and of the workers included; *without the start* is the speed of all files less half of them.
The table is compared byte by byte with that of the first row.

{markdown_table(columns, rows)}"""


def _rates(found: dict[str, Any]) -> str:
    if "rates" not in found:
        return ""
    units = {"scoring": "windows", "calibrating": "windows"}
    rows = [[name, f"{value:,.0f} {units.get(name, 'rows')}"] for name, value in found["rates"].items()]
    return f"""### One CPU

The parts of the work with one CPU. *Scoring* is `detect`, *calibrating* the third pass of a fit, both with a full bank: 10,000
windows and their noisy copies.

{markdown_table(("work", "per second"), rows)}"""


def _memory(found: dict[str, Any]) -> str:
    if "cap" not in found:
        return ""
    own = found["cap"]
    seconds, sizes = map(np.array, zip(*own["memory"], strict=True))
    at = ", ".join(f"{np.interp(share * own['seconds'], seconds, sizes):,.0f} MB after {share:.0%}" for share in SHARES)
    return f"""### Memory over time

A hundredth of the rows of CAP ({own["rows"]:,} rows in {scale_cases.CAP_PEOPLE} recordings, {own["windows"]:,} windows), made
in {scale_cases.WORKERS} workers and scored in {own["seconds"]:.0f} s. Memory of all processes: {at} of the time; at most
{sizes.max():,.0f} MB."""


def _plan(found: dict[str, Any]) -> str:
    if not {"rates", "fit 1000000"} <= {*found}:
        return ""
    rows, rates, largest = scale_cases.CAP_ROWS, found["rates"], found["fit 1000000"]
    windows, size = CAP_WINDOWS, rows * scale_cases.CHANNELS * BYTES
    per_worker = largest["windows"] / largest["seconds"] / scale_cases.WORKERS
    reading = rows * (1 / rates["reading Parquet"] + 1 / rates["cutting"])  # seconds of one core

    def cores(machines: int) -> int:
        return min(machines * CORES, scale_cases.CAP_PEOPLE)  # a recording is read by one worker

    seconds: dict[str, Callable[[int], float]] = {
        f"reading {size / 1e9:.0f} GB once from the disks": lambda machines: size / DISK / machines,
        "reading it once over the network": lambda machines: size / NETWORK / machines,
        "reading and cutting": lambda machines: reading / cores(machines),
        "fitting, all passes": lambda machines: windows / per_worker / cores(machines),
        "scoring, reading included": lambda machines: (reading + windows / rates["scoring"]) / cores(machines),
    }
    cells = [[name, *(_duration(work(machines)) for machines in MACHINES)] for name, work in seconds.items()]
    return f"""### All of CAP

{rows:,} rows of {scale_cases.CHANNELS} channels: {size / 1e9:.0f} GB in float32, {windows / 1e6:.1f} million windows of
{scale_cases.STEPS} rows. Calculated from the figures above for machines of {CORES} such cores, disks of {DISK / 1e9:g} GB/s and
a network of {8 * NETWORK / 1e9:g} Gbit/s for each machine; nothing of it has been run. Of ten machines {scale_cases.CAP_PEOPLE}
cores are busy, one for each recording.

{markdown_table(("work", *(f"{machines} machine{'s' * (machines > 1)}" for machines in MACHINES)), cells)}"""


def _duration(seconds: float) -> str:
    return f"{seconds / HOUR:.1f} h" if seconds >= HOUR else f"{seconds / 60:.1f} min"
