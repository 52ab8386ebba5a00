"""Compiled loop that evaluates a whole population of cascades on blocks of images with stored outputs.

Images are stored in groups of sixteen, side by side, so that one instruction processes a class of all of them. The few
operations on sixteen numbers are written in LLVM IR, so that vectorization does not depend on the compiler.
Their results are those of separate float32 operations. A set of images of a group is stored as the bits of an integer.
"""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core import cgutils as untyped_cgutils
from numba.extending import intrinsic

cgutils: Any = untyped_cgutils  # numba has no type annotations

LANES = 16
"""Number of images in a group."""

Lanes = npt.NDArray[np.float32]
Sets = npt.NDArray[np.int64]

_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_WORD = ir.IntType(64)


@numba.njit(nogil=True, cache=True)
def widen(bits: npt.NDArray[np.uint16], table: Lanes, out: Lanes) -> None:
    """Write the float32 values of half-precision numbers to an array.

    Args:
        bits: Bit patterns of the numbers, shape (n,).
        table: Value of each bit pattern, shape (65536,).
        out: Result, shape (n,).
    """
    for i in range(bits.size):
        out[i] = table[bits[i]]


@numba.njit(nogil=True, cache=True)
def count(  # noqa: PLR0917 -- compiled: plain arguments
    blocks: Sets,
    groups: int,
    outputs: Lanes,
    images: tuple[Sets, npt.NDArray[np.int32]],
    single: tuple[Lanes, Sets],
    networks: npt.NDArray[np.int16],
    thresholds: Lanes,
    means: Lanes,
    reached: Sets,
) -> None:
    """Add the results of cascades on blocks of images to ``reached``, shape (p, s + 1).

    Args:
        blocks: First group of each block to process, shape (b,).
        groups: Number of groups per block; the last block may have fewer.
        outputs: Probabilities by group, network, class and image, shape (g, k, c, LANES). The correct class of each
            image is swapped with class 0.
        images: Set of each group's images, shape (g,), and their labels, shape (g, LANES). All sets but the last are
            full.
        single: Largest probability of each network alone, shape (g, k, LANES), and the set of its wrong predictions,
            shape (g, k).
        networks: Indices in order, at least one, with -1 behind the last one, shape (p, s).
        thresholds: Thresholds before each position but the first, shape (p, s - 1).
        means: Buffer for the averages of two groups, shape (2 * c * LANES,).
        reached: Number of images that reach each position but the first, whose column is not changed. The last column
            counts wrong predictions.
    """
    k, c, size = outputs.shape[1], outputs.shape[2], networks.shape[1]
    flat, peaks = outputs.reshape(-1), single[0].reshape(-1)
    for block in blocks:
        for genome in range(len(networks)):
            first, last = networks[genome, 0], 0
            while last + 1 < size and networks[genome, last + 1] >= 0:
                last += 1
            for group in range(block, min(block + groups, len(outputs))):
                threshold = thresholds[genome, 0] if last > 0 else np.float32(-1)
                sure: int = _above(peaks, (group * k + first) * LANES, threshold)  # type: ignore[call-arg]
                answered = images[0][group] & sure
                wrong = _size(answered & single[1][group, first])
                asking = images[0][group] & ~answered
                position = 1
                while asking:
                    reached[genome, position] += _size(asking)
                    threshold = thresholds[genome, position] if position < last else np.float32(-1)
                    old, new = np.float32(position / (position + 1)), np.float32(1 / (position + 1))
                    row, mean = (group * k + networks[genome, position]) * c * LANES, (position & 1) * c * LANES
                    if position == 1:
                        before = (group * k + first) * c * LANES
                        judged = _average(flat, before, flat, row, means, mean, old, new, threshold, c)
                    else:
                        before = c * LANES - mean
                        judged = _average(means, before, flat, row, means, mean, old, new, threshold, c)
                    right, ties = judged >> LANES, asking & (judged >> 2 * LANES)
                    if ties:
                        right |= _first_of_equals(ties, images[1][group], means, mean)
                    answered = asking & judged
                    wrong += _size(answered & ~right)
                    asking &= ~answered
                    position += 1
                reached[genome, size] += wrong


@numba.njit(nogil=True, cache=True)
def _first_of_equals(ties: int, labels: npt.NDArray[np.int32], means: Lanes, mean: int) -> int:
    """Return the images among those with ties whose correct class comes before all classes of equal probability."""
    found = 0
    for lane in range(LANES):
        if ties >> lane & 1:
            first = 1
            for label in range(1, labels[lane] + 1):  # classes before the correct one; class 0 is at its index
                if means[mean + label * LANES + lane] == means[mean + lane]:
                    first = 0
            found |= first << lane
    return found


@intrinsic
def _size(typing: Any, images: Any) -> Any:
    """Return the number of images in a set."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.int64), generate


@intrinsic
def _above(typing: Any, values: Any, at: Any, threshold: Any) -> Any:
    """Return the set of images whose value, from ``values[at]`` on, is above the threshold."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        place = _address(context, builder, signature.args[0], arguments[0], arguments[1])
        found = _load(builder, place, _WORD(0))
        return _set(builder, builder.fcmp_ordered(">", found, _repeated(builder, arguments[2])))

    return types.int64(values, types.int64, types.float32), generate


@intrinsic
def _average(  # noqa: PLR0917 -- compiled: plain arguments
    typing: Any,
    before: Any,
    at: Any,
    row: Any,
    of: Any,
    mean: Any,
    to: Any,
    old: Any,
    new: Any,
    threshold: Any,
    classes: Any,
) -> Any:
    """Write ``old * before + new * row`` to ``mean``, each (classes * LANES,) from its index, and classify the result.

    Returns:
        The set of images whose largest probability is above the threshold. LANES bits higher follows the set of images
        whose class 0 is above all others; another LANES bits higher, the set whose class 0 equals the largest other.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        source, added, result = (
            _address(context, builder, signature.args[i], arguments[i], arguments[i + 1]) for i in (0, 2, 4)
        )
        weights = [_repeated(builder, arguments[i]) for i in (6, 7)]

        def averaged(place: Any) -> Any:
            parts = [_load(builder, source, place), _load(builder, added, place)]
            value = builder.fadd(builder.fmul(parts[0], weights[0]), builder.fmul(parts[1], weights[1]))
            builder.store(value, _vector_at(builder, result, place), align=4)
            return value

        right = averaged(_WORD(0))
        largest = cgutils.alloca_once_value(builder, ir.Constant(_VECTOR, [0.0] * LANES))
        end = builder.mul(arguments[9], _WORD(LANES))
        with cgutils.for_range_slice(builder, _WORD(LANES), end, _WORD(LANES), _WORD, inc=True) as (place, _):
            value, known = averaged(place), builder.load(largest)
            builder.store(builder.select(builder.fcmp_ordered(">", value, known), value, known), largest)
        other = builder.load(largest)
        is_right = builder.fcmp_ordered(">", right, other)
        peak = builder.select(is_right, right, other)
        sets = _set(builder, builder.fcmp_ordered(">", peak, _repeated(builder, arguments[8])))
        for shift, condition in ((LANES, is_right), (2 * LANES, builder.fcmp_ordered("==", right, other))):
            sets = builder.or_(sets, builder.shl(_set(builder, condition), _WORD(shift)))
        return sets

    index, number = types.int64, types.float32
    return index(before, index, row, index, mean, index, number, number, number, index), generate


def _address(context: Any, builder: ir.IRBuilder, kind: Any, array: Any, index: Any) -> Any:
    return builder.gep(cgutils.create_struct_proxy(kind)(context, builder, array).data, [index])


def _vector_at(builder: ir.IRBuilder, address: Any, place: Any) -> Any:
    return builder.bitcast(builder.gep(address, [place]), _VECTOR.as_pointer())


def _load(builder: ir.IRBuilder, address: Any, place: Any) -> Any:
    return builder.load(_vector_at(builder, address, place), align=4)


def _repeated(builder: ir.IRBuilder, number: Any) -> Any:
    """Return a vector with a number in all lanes."""
    one = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), number, ir.IntType(32)(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(one, ir.Constant(_VECTOR, ir.Undefined), zeros)


def _set(builder: ir.IRBuilder, condition: Any) -> Any:
    """Return the lanes in which a condition holds as the bits of an integer."""
    return builder.zext(builder.bitcast(condition, ir.IntType(LANES)), _WORD)
