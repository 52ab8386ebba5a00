import numpy as np

from nas.cascade.space import GapCascadeSpace
from nas.dataset.none import NoImages
from nas.pool.none import NoPool
from nas.run.box import Box
from nas.space.ofa import OfaSpace
from nas.task.about import box_line, data_line, minimised_line, space_line, split_sizes
from nas.types import Measure
from tests.cascades import memory_pool
from tests.small import Bars

MEASURES = (Measure("top1_error", "%"), Measure("flops", "M"))


def test_images_and_their_splits():
    sizes = split_sizes(Bars(n=48), NoPool())
    assert sizes == {"train": 48, "validation": 48, "test": 48}
    line = data_line("photos", 3, {"train": 360, "validation": 120, "test": 1120})
    assert line == "photos, 1,600 images, 3 classes, split 360/120/1,120 (train/validation/test)"


def test_a_pool_has_the_splits_of_its_outputs_and_tables_have_none():
    assert split_sizes(Bars(), memory_pool(n=200)) == {"validation": 100, "test": 100}
    assert split_sizes(NoImages(classes=10, resolutions=(8,)), NoPool()) == {}
    assert data_line("none", 1000, {}) == "none, 1,000 classes"


def test_the_size_of_a_space_exactly_or_its_order_of_magnitude():
    small = OfaSpace(n_stages=1, depths=(1,), kernel_sizes=(3, 5), expand_ratios=(2,), resolutions=(8,), widths=(1.0,))
    assert space_line(small, {}) == "4 genes, 2 architectures"
    large = OfaSpace(
        n_stages=5,
        depths=(2, 3, 4),
        kernel_sizes=(3, 5, 7),
        expand_ratios=(3, 4, 6),
        resolutions=(160, 224),
        widths=(1.0,),
    )
    bounds = {"flops": {"min": 100.0, "max": 600.0}, "params": {"min": None, "max": None}}
    assert space_line(large, bounds) == (
        "46 genes, about 10^20 architectures; of these, those with flops at least 100 and flops at most 600"
    )
    many = GapCascadeSpace(names=[str(i) for i in range(300)], costs=np.arange(1.0, 301))
    assert " about 10^3" in space_line(many, {})  # a number of thousands of digits


def test_what_is_minimised_and_in_which_box():
    assert minimised_line(MEASURES) == "top-1 error (%) on the validation split, FLOPs (M)"
    assert box_line(Box((90.0, 2.0), (0.0, 0.5), "space"), MEASURES) == (
        "share of the box top-1 error 0 to 90 %, FLOPs 0.5 to 2 M"
    )
    assert "not comparable with other runs, set reference_point" in box_line(None, MEASURES)
