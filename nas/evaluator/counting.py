"""The compiled loop behind stored outputs: what cascades of a whole population do with blocks of images."""

import numba
import numpy as np
import numpy.typing as npt

LANES = 64
"""Images of a block, which lie beside each other: the processor handles 8 or 16 of them at once."""

Lanes = npt.NDArray[np.float32]

_EXACT = {"nnan", "nsz"}  # no number is reassociated or fused: results are those of separate float32 operations
_SUMS = {"nnan", "nsz", "reassoc"}  # sums of ones and zeros, exact in any order


@numba.njit(nogil=True, cache=True)
def widen(bits: npt.NDArray[np.uint16], table: npt.NDArray[np.float32], out: npt.NDArray[np.float32]) -> None:
    """Write the float32 values of half-precision numbers, given as ``bits``, (n,), to ``out``, (n,).

    Args:
        bits: the numbers' bit patterns.
        table: the value of each pattern, shape (65536,).
        out: the result.
    """
    for i in range(bits.size):
        out[i] = table[bits[i]]


@numba.njit(nogil=True, cache=True, fastmath=_EXACT)
def count(  # noqa: PLR0917 -- compiled: plain arguments
    blocks: npt.NDArray[np.int64],
    outputs: npt.NDArray[np.float32],
    images: tuple[npt.NDArray[np.int32], Lanes],
    single: tuple[Lanes, Lanes],
    networks: npt.NDArray[np.int16],
    thresholds: npt.NDArray[np.float32],
    reached: npt.NDArray[np.int32],
) -> None:
    """Add what cascades do with blocks of images to ``reached``, (p, s + 1); its last column counts wrong answers.

    Args:
        blocks: indices of the blocks that count, shape (b,).
        outputs: probabilities by block, network, class and image, shape (blocks, k, c, LANES); the right class of
            each image has changed places with class 0.
        images: the right class, and 1 or 0 for an empty place, shape (blocks, LANES) each.
        single: of each network alone, its largest probability, and 1 or 0 for wrong, shape (blocks, k, LANES) each.
        networks: indices in order, at least one; -1 behind the last one, shape (p, s).
        thresholds: before each position but the first, shape (p, s - 1).
        reached: images that get to each position but the first, whose column stays as it is.
    """
    size = networks.shape[1]
    means = np.empty((2, outputs.shape[2], LANES), dtype=np.float32)  # never read and written at once: faster
    state = np.empty((4, LANES), dtype=np.float32)
    peak, right, alive, other = state[0], state[1], state[2], state[3]
    for block in blocks:
        for genome in range(len(networks)):
            first = networks[genome, 0]
            for lane in range(LANES):
                peak[lane] = single[0][block, first, lane]
                right[lane] = single[1][block, first, lane]
                alive[lane] = images[1][block, lane]
            for position in range(1, size):
                network = networks[genome, position]
                left = _stop(alive, peak, thresholds[genome, position - 1]) if network >= 0 else np.int32(0)
                if left == 0:
                    break
                reached[genome, position] += left
                old, new = np.float32(position / (position + 1)), np.float32(1 / (position + 1))
                mean = means[position % 2]
                before = outputs[block, first] if position == 1 else means[1 - position % 2]
                _average(before, outputs[block, network], old, new, mean, other)
                _judge(alive, mean, other, images[0][block], peak, right)
            reached[genome, size] += _zeros(right)


@numba.njit(nogil=True, cache=True, fastmath=_SUMS, inline="always")
def _stop(alive: Lanes, peak: Lanes, threshold: np.float32) -> np.int32:
    """Mark images above the threshold as answered; return how many are not."""
    left = np.float32(0)
    for lane in range(LANES):
        if peak[lane] > threshold:
            alive[lane] = np.float32(0)
    for lane in range(LANES):
        left += alive[lane]
    return np.int32(left)


@numba.njit(nogil=True, cache=True, fastmath=_EXACT, inline="always")
def _average(  # noqa: PLR0917 -- compiled: plain arguments
    before: Lanes,
    row: Lanes,
    old: np.float32,
    new: np.float32,
    mean: Lanes,
    other: Lanes,
) -> None:
    """Average a network's probabilities, (c, LANES), in; ``other``, (LANES,): the largest but the right class's."""
    other[:] = np.float32(0)
    for lane in range(LANES):
        mean[0, lane] = old * before[0, lane] + new * row[0, lane]
    for label in range(1, len(row)):
        for lane in range(LANES):
            value = old * before[label, lane] + new * row[label, lane]
            mean[label, lane] = value
            other[lane] = max(other[lane], value)


@numba.njit(nogil=True, cache=True, fastmath=_EXACT, inline="always")
def _judge(  # noqa: PLR0917 -- compiled: plain arguments
    alive: Lanes,
    mean: Lanes,
    other: Lanes,
    labels: npt.NDArray[np.int32],
    peak: Lanes,
    right: Lanes,
) -> None:
    """Update the largest probability of the images that go on, and whether the right class has it."""
    ties = False
    for lane in range(LANES):
        is_right = np.float32(1) if mean[0, lane] > other[lane] else np.float32(0)
        highest = max(mean[0, lane], other[lane])
        ties |= (mean[0, lane] == other[lane]) & (alive[lane] > 0)
        right[lane] = is_right if alive[lane] > 0 else right[lane]
        peak[lane] = highest if alive[lane] > 0 else peak[lane]
    if ties:  # of equal probabilities the first class's counts
        for lane in range(LANES):
            if alive[lane] > 0 and mean[0, lane] == other[lane]:
                first = True
                for label in range(1, labels[lane] + 1):  # the classes before the right one: 0 is in its place
                    first &= mean[label, lane] != mean[0, lane]
                right[lane] = first


@numba.njit(nogil=True, cache=True, fastmath=_SUMS, inline="always")
def _zeros(right: Lanes) -> np.int32:
    wrong = np.float32(0)
    for lane in range(LANES):
        wrong += np.float32(1) - right[lane]
    return np.int32(wrong)
