"""The Application Server Dataset (ASD): metrics of twelve servers of an internet company, every 5 minutes.

A series is three pickles of arrays, `omi-<number>_train.pkl`, `omi-<number>_test.pkl` and `omi-<number>_test_label.pkl`.

Reference:
    Z. Li et al., "Multivariate time series anomaly detection and interpretation using hierarchical inter-metric and temporal
    embedding", KDD 2021, doi 10.1145/3447548.3467075.
"""

from amsl_tf.datasets.pickled import PickledDataset


class ASD(PickledDataset):
    """ASD, with the window length of the paper. A series is a server. The release does not name the metrics.

    Args:
        folder: The folder with the pickles.
    """

    window_shape = (100, 19)
    sampling_rate = 1 / 300
    prefix = "omi-"
