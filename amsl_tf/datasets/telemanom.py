"""Telemetry of spacecraft: Soil Moisture Active Passive (SMAP) and the Mars Science Laboratory (MSL), the rover Curiosity.

`train/<channel>.npy` and `test/<channel>.npy` hold a telemetry value, scaled, and encoded commands. `labeled_anomalies.csv`
lists the abnormal rows of the test arrays, such as "[[2149, 2349], [4536, 4844]]"; both ends of a sequence are abnormal.

Reference:
    K. Hundman et al., "Detecting spacecraft anomalies using LSTMs and nonparametric dynamic thresholding", KDD 2018,
    doi 10.1145/3219819.3219845.
"""

import csv
import json
import logging
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from amsl_tf.data.files import check_regular
from amsl_tf.data.store import open_array
from amsl_tf.datasets.series import Series, SeriesDataset
from amsl_tf.errors import DataError

log = logging.getLogger(__name__)

LABELS = "labeled_anomalies.csv"
COLUMNS = ("chan_id", "spacecraft", "anomaly_sequences", "num_values")


@dataclass(frozen=True)
class LabelRow:
    """A row of `labeled_anomalies.csv`; a channel may have several.

    Attributes:
        place: File and line, for error messages.
        spacecraft: The name of the spacecraft.
        rows: The number of rows of the test array.
        sequences: The first and the last row of each anomaly.
    """

    place: str
    spacecraft: str
    rows: int
    sequences: list[list[int]]


class Telemanom(SeriesDataset):
    """The channels of one spacecraft; a series is a channel. A test array without labels (T-10) is left out.

    Args:
        folder: The folder with train, test and labeled_anomalies.csv.
    """

    sampling_rate = 1 / 60  # as in the literature; the release has no times
    folder_name = "smap_msl"
    spacecraft: ClassVar[str]

    @cached_property
    def _channels(self) -> dict[str, list[LabelRow]]:
        """The labels of the channels of this spacecraft whose test arrays exist."""
        labels = self._read_labels()
        files = self.find_files("test/[!.]*.npy", example=f"train/T-1.npy, test/T-1.npy and {LABELS}")
        for file in files:
            if file.stem not in labels:
                log.info(f"{file}: left out, because {LABELS} does not list it")
        names = [file.stem for file in files if file.stem in labels]
        channels = {name: labels[name] for name in names if labels[name][0].spacecraft == self.spacecraft}
        if not channels:
            raise DataError(f"{self.folder}: expected channels of {self.spacecraft}, found others only. {self.advice}")
        return channels

    def names(self) -> tuple[str, ...]:
        """Returns the names of the channels whose test arrays exist, such as `T-1`."""
        return tuple(self._channels)

    def read_series(self, name: str) -> Series:
        """Reads the two arrays of a channel; see `SeriesDataset.read_series`."""
        self.check_name(name)
        train, test = (self.folder / part / f"{name}.npy" for part in ("train", "test"))
        values = open_array(test, self.advice)
        label = np.zeros(values.shape[:1], int)
        for row in self._channels[name]:
            if row.rows != label.size:
                fault = f"expected num_values to be the {label.size} rows of {test}, found {row.rows}"
                raise DataError(f"{row.place}: {fault}. {self.advice}")
            for first, last in row.sequences:
                label[first : last + 1] = 1
        normal = self.make_recording(train, open_array(train, self.advice))
        return Series(name, normal, self.make_recording(test, values, label))

    def _read_labels(self) -> dict[str, list[LabelRow]]:
        """Reads the labels of all channels of both spacecraft."""
        file = self.folder / LABELS
        check_regular(file, self.advice)
        labels: dict[str, list[LabelRow]] = defaultdict(list)
        with file.open(newline="", encoding="utf-8-sig", errors="replace") as opened:
            reader = csv.DictReader(opened)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise DataError(
                    f"{file}, line 1: expected the columns {', '.join(COLUMNS)}, found no {missing[0]}. {self.advice}"
                )
            try:
                for row in reader:
                    parsed, rows = self._parse(f"{file}, line {reader.line_num}", row), labels[str(row["chan_id"]).strip()]
                    if rows and rows[0].spacecraft != parsed.spacecraft:
                        fault = f"expected a channel of {rows[0].spacecraft}, found {parsed.spacecraft!r:.20}"
                        raise DataError(f"{parsed.place}: {fault}. {self.advice}")
                    rows.append(parsed)
            except csv.Error as error:
                raise DataError(f"{file}, line {reader.line_num}: not a CSV ({error}). {self.advice}") from error
        return labels

    def _parse(self, place: str, row: dict[str, Any]) -> LabelRow:
        try:
            rows, sequences = int(row["num_values"]), json.loads(row["anomaly_sequences"])
            is_valid = isinstance(sequences, list) and all(type(row) is int for sequence in sequences for row in sequence)
            is_valid = is_valid and all(0 <= first <= last < rows for first, last in sequences)
        except (TypeError, ValueError, RecursionError):  # text, missing cells, or JSON of another kind
            is_valid = False
        if not is_valid:
            found = f"{row['anomaly_sequences']!r:.80} and {row['num_values']!r:.20}"
            raise DataError(
                f"{place}: expected sequences such as [[2149, 2349]] within num_values, found {found}. {self.advice}"
            )
        return LabelRow(place, row["spacecraft"], rows, sequences)


class SMAP(Telemanom):
    """Telemetry of the satellite SMAP: 25 channels, the telemetry value and 24 commands."""

    window_shape = (100, 25)
    channel_names = ("telemetry", *(f"command {number}" for number in range(1, 25)))
    spacecraft = "SMAP"


class MSL(Telemanom):
    """Telemetry of the rover Curiosity: 55 channels, the telemetry value and 54 commands."""

    window_shape = (100, 55)
    channel_names = ("telemetry", *(f"command {number}" for number in range(1, 55)))
    spacecraft = "MSL"
