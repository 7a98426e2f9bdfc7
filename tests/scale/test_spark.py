"""The program for Spark of docs/scale.md, as it is on the page."""

import os
import re
import shutil
import sys

import numpy as np
import pandas as pd
import pytest

from amsl_tf import AMSLDetector
from tests.conftest import ROOT, close, run_python

pytestmark = pytest.mark.slow

SESSION = """
from pyspark.sql import SparkSession

options = {"spark.ui.enabled": "false", "spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
SparkSession.builder.master("local[1]").config(map=options).getOrCreate()
"""  # the program on the page takes the session that there is


def test_spark_computes_the_scores_of_the_detector(tmp_path, rng):
    pytest.importorskip("pyspark")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    (program,) = re.findall(
        r"^## In Spark\n.*?^```python no-run\n(.*?)^```$", (ROOT / "docs/scale.md").read_text(), re.S | re.M
    )
    (shape,) = re.findall(r"input_tensor_shapes=\[\[(\d+), (\d+)\]\]", program)
    windows = rng.normal(size=(60, *map(int, shape))).astype(np.float32)
    windows[50:] *= np.float32(3)
    windows[59, 10:20, 1] = np.nan
    detector = AMSLDetector().fit(windows[:50])
    detector.save(tmp_path / "saved_models/mine")
    table = {"number": range(len(windows)), "window": list(windows.reshape(len(windows), -1))}
    pd.DataFrame(table).to_parquet(tmp_path / "windows.parquet")

    (tmp_path / "program.py").write_text(SESSION + program)
    code = f"import os, runpy; os.chdir({str(tmp_path)!r}); runpy.run_path('program.py', run_name='__main__')"
    finished = run_python("-c", code, PYSPARK_PYTHON=sys.executable, PYTHONPATH=os.pathsep.join([str(ROOT), *sys.path]))
    assert finished.returncode == 0, finished.stderr

    scored = pd.read_parquet(tmp_path / "scores.parquet").sort_values("number")
    expected = detector.detect(windows)
    assert list(scored) == ["number", "window", "score", "is_anomaly"]
    assert len(scored) == len(windows)
    close(scored["score"].to_numpy(), expected["score"])
    np.testing.assert_array_equal(scored["is_anomaly"], expected["is_anomaly"])
    assert expected["is_anomaly"][50:].all()
    assert not expected["is_anomaly"][:50].all()
