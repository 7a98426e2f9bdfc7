"""The use of a memory against values computed by hand."""

import numpy as np
import pytest

from amsl_tf.training.monitoring.memory_usage import MemoryReads


def usage_of(*attention):
    return MemoryReads.combine([MemoryReads.from_attention(np.array([row], np.float32)) for row in attention])


def test_usage_by_hand():
    """Of four slots two have the largest attention of a query, the third gets 1/4 of one query, the fourth less of both."""
    reads = usage_of([0.5, 0.25, 0.25, 0.0], [0.25, 0.5, 0.125, 0.125])
    np.testing.assert_allclose(reads.share, [0.375, 0.375, 0.1875, 0.0625])
    np.testing.assert_array_equal(reads.dead, [False, False, False, True])
    ln2 = np.log(2)
    assert reads.usage() == pytest.approx(
        {
            "used_share": 0.5,
            "effective_slots": np.exp(-sum(share * np.log(share) for share in (0.375, 0.375, 0.1875, 0.0625))),
            "attention_entropy": (1.5 * ln2 + 1.75 * ln2) / 2,
            "dead_slots": 1,
        },
        rel=1e-6,
    )


def test_limits():
    one = usage_of([1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]).usage()
    assert one == pytest.approx({"used_share": 0.25, "effective_slots": 1, "attention_entropy": 0, "dead_slots": 3}, abs=1e-6)
    uniform = usage_of([0.25] * 4, [0.25] * 4).usage()
    assert uniform["effective_slots"] == pytest.approx(4)
    assert uniform["attention_entropy"] == pytest.approx(np.log(4))
    assert uniform["dead_slots"] == 0


def test_queries_that_read_nothing_do_not_count():
    """Queries of MemAE may read nothing."""
    alone, beside = usage_of([0.0, 1.0]), usage_of([0.0, 1.0], [0.0, 0.0])
    assert beside.usage() == alone.usage()
    nothing = usage_of([0.0, 0.0])
    np.testing.assert_array_equal(nothing.share, 0)
    assert nothing.usage()["used_share"] == 0
    assert nothing.usage()["attention_entropy"] == 0


def test_combined_batches_equal_a_single_batch(rng):
    attention = rng.dirichlet(np.full(6, 0.3), size=50).astype(np.float32)
    single = MemoryReads.combine([MemoryReads.from_attention(attention)])
    parts = MemoryReads.combine([MemoryReads.from_attention(part) for part in np.split(attention, [7, 30])])
    assert parts.usage() == pytest.approx(single.usage(), rel=1e-5)
