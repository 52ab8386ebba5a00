import numpy as np
import pytest
import torch
from torch import nn

from nas.cascade.module import Cascade, Stages
from nas.dataset.batches import centre
from nas.errors import RunError
from nas.export.graph import (
    Preprocessed,
    exportable,
    first_line,
    fraction_of,
    free_sides,
    frozen,
    named,
    output_names,
    program,
    share_of,
    shorter,
)
from nas.export.torch_export import TorchExport
from nas.supernet.ofa_modules import Recomputed
from tests.export.networks import CROPS, SIDES, WHOLE, images, small_cascade, small_network, small_prepared, source


def test_a_frozen_network_is_a_copy_without_what_training_needs():
    network = small_network(8, 0).train()
    network[0].forward = Recomputed(network[0])
    batch = torch.from_numpy(images(2))
    copy = frozen(network)
    assert not copy.training and not any(tensor.requires_grad for tensor in copy.parameters())
    assert "forward" not in copy[0].__dict__
    assert network.training and isinstance(network[0].forward, Recomputed)
    torch.testing.assert_close(copy(batch), network.eval()(batch))


def test_what_is_made_of_each_kind_of_network():
    cascade = exportable(small_cascade(Cascade, (0.5, 0.5)))
    assert isinstance(cascade, Stages) and all(isinstance(each, Preprocessed) for each in cascade.networks)
    assert isinstance(exportable(small_prepared()), Preprocessed)
    network = small_network(8, 0)
    assert exportable(network) is network
    assert output_names(small_cascade(Cascade, (0.5, 0.5))) == ("probabilities", "predictions", "stages", "costs")
    assert output_names(network) == ("logits",)
    assert list(named(torch.zeros(2, 3))) == ["logits"]


def test_sides_stay_free_where_no_branch_cuts_out_a_centre():
    assert all(free_sides(small_prepared(crop=crop)) for crop in CROPS)
    assert not free_sides(small_network(8, 0))
    assert not free_sides(small_cascade(Cascade, (0.5, 0.5)))
    assert free_sides(small_cascade(Cascade, (0.5, 0.5), crops=WHOLE))


class Undecided(nn.Module):
    def forward(self, images):
        return images if images.sum() > 0 else -images


def test_what_cannot_be_followed_is_one_line():
    with pytest.raises(RunError, match=r"^torch\.export .* cannot follow the network: [^\n]+$"):
        program(source(TorchExport(), Undecided()))
    assert first_line(ValueError("one\ntwo")) == "one" and first_line(ValueError()) == "ValueError"


def test_the_nearest_integer_and_the_even_one_of_two():
    for numerator, denominator in ((1, 2), (7, 8), (9, 10), (3, 4), (1, 3)):
        for side in range(200):
            assert share_of(side, numerator, denominator) == round(numerator * side / denominator)


@pytest.mark.parametrize("share", [1.0, 0.95, 0.9, 0.875, 0.85, 0.8, 0.75, 0.6, 0.5])
def test_centres_are_the_data_sets(share):
    fraction = fraction_of(share)
    for side in range(2, 2049):
        part = centre(side, share)
        assert share_of(side, *fraction) == part.stop - part.start


def test_the_shorter_side():
    assert [shorter(3, 5), shorter(5, 3), shorter(4, 4)] == [3, 3, 4]


@pytest.mark.parametrize("crop", CROPS, ids=["whole", "centre", "timm"])
def test_it_changes_images_as_the_original(crop):
    prepared = small_prepared(crop=crop)
    changed = Preprocessed(prepared, prepared.network)
    for sides in (*SIDES, (6, 9), (31, 33)):
        batch = torch.from_numpy(images(3, *sides))
        with torch.no_grad():
            np.testing.assert_array_equal(changed(batch).numpy(), prepared(batch).numpy())
