import pytest

from nas.types import Measure


@pytest.mark.parametrize(
    ("name", "unit", "label"),
    [
        ("top1_error", "%", "top-1 error (%)"),
        ("flops", "M multiply-adds", "FLOPs (M)"),
        ("params", "M", "params (M)"),
        ("latency", "ms", "latency (ms)"),
        ("latency_table", "ms", "latency from table (ms)"),
        ("my_cost", "", "my cost"),
    ],
)
def test_labels_are_words(name: str, unit: str, label: str) -> None:
    assert Measure(name, unit).label == label
