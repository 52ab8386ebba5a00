import torch
from torch import nn

from nas.finetuning.teacher import Teacher


class Mean(nn.Module):
    """Logits that say what the network saw: the mean of each channel, and its side."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        side = images.new_full((len(images), 1), float(images.shape[-1]))
        return torch.cat([images.mean((2, 3)), side / 8], dim=1)


def test_it_sees_images_normalised_as_its_own_and_answers_with_probabilities():
    pixels = torch.rand(4, 3, 8, 8)
    mean, std = torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.2, 0.3, 0.4])
    other_mean, other_std = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.5, 0.6, 0.7])
    teacher = Teacher(
        Mean(),
        mean=tuple(other_mean.tolist()),
        std=tuple(other_std.tolist()),
        resolution=16,
        images_mean=tuple(mean.tolist()),
        images_std=tuple(std.tolist()),
    )
    given = (pixels - mean[:, None, None]) / std[:, None, None]
    seen = (pixels - other_mean[:, None, None]) / other_std[:, None, None]
    expected = torch.softmax(torch.cat([seen.mean((2, 3)), torch.full((4, 1), 2.0)], dim=1), dim=1)
    torch.testing.assert_close(teacher(given), expected, atol=2e-3, rtol=2e-3)


def test_it_learns_nothing():
    teacher = Teacher(
        nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        resolution=None,
        images_mean=(0.0, 0.0, 0.0),
        images_std=(1.0, 1.0, 1.0),
    )
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    assert not teacher(torch.rand(4, 3, 8, 8)).requires_grad
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.state_dict().items())
