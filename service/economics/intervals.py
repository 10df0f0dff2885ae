"""Draws for intervals: scrambled Sobol points, normal quantiles, P10 to P90 (METHOD 6; equations U1, U2).

Quasi-Monte-Carlo: points that fill the unit cube evenly, so that a few hundred of them give the quantiles
that plain random draws need many thousands for. The same count, dimensions and seed give the same points.
"""

from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
_Bits = npt.NDArray[np.uint64]

PROBABILITIES: Final = (0.1, 0.5, 0.9)
_BITS: Final = 32
_DIRECTIONS: Final[tuple[tuple[int, int, tuple[int, ...]], ...]] = (
    (1, 0, (1,)),
    (2, 1, (1, 3)),
    (3, 1, (1, 3, 1)),
    (3, 2, (1, 1, 1)),
    (4, 1, (1, 1, 3, 3)),
    (4, 4, (1, 3, 5, 13)),
    (5, 2, (1, 1, 5, 5, 17)),
    (5, 4, (1, 1, 5, 5, 5)),
    (5, 7, (1, 1, 7, 11, 19)),
    (5, 11, (1, 1, 5, 1, 1)),
    (5, 13, (1, 1, 1, 3, 11)),
    (5, 14, (1, 3, 5, 5, 31)),
)
"""Degree, coefficients and first direction numbers of dimensions 2 to 13 (Joe and Kuo, SIAM J. Sci. Comput.
30(5), 2008, new-joe-kuo-6.21201); the first dimension is van der Corput's."""
DIMENSIONS: Final = 8
"""Of a draw unless more are asked for, which change nothing of these."""
MOST_DIMENSIONS: Final = len(_DIRECTIONS) + 1
_KEPT: Final = 32


@lru_cache(maxsize=_KEPT)
def sobol_points(count: int, seed: int, dimensions: int = DIMENSIONS) -> Array:
    """Return scrambled Sobol points inside the unit cube, shape (dimensions, count) (equation U1).

    Scrambled by a random lower-triangular matrix and a digital shift (Matousek, J. Complexity 14, 1998):
    every point is uniform on the cube, and the even filling stays.

    Parameters
    ----------
    count
        Points, at least 1; a power of two fills the cube best.
    seed
        Chooses the scrambling.
    dimensions
        1 to 13; the first ones are the same however many follow.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    index = np.arange(count, dtype=np.uint64)
    gray = index ^ (index >> np.uint64(1))
    points = np.empty((dimensions, count))
    for dimension in range(dimensions):
        columns = _scrambled(_direction_numbers(dimension), generator)
        state = np.full(count, generator.integers(0, 2**_BITS, dtype=np.uint64))
        for bit in range(max(count - 1, 1).bit_length()):
            state ^= np.where((gray >> np.uint64(bit)) & np.uint64(1), columns[bit], np.uint64(0))
        points[dimension] = (state.astype(np.float64) + 0.5) / 2.0**_BITS
    points.setflags(write=False)
    return points


@lru_cache(maxsize=_KEPT)
def normal_points(count: int, seed: int, dimensions: int = DIMENSIONS) -> Array:
    """Return the same points as independent standard normal draws, shape (dimensions, count)."""
    normals = normal_quantile(sobol_points(count, seed, dimensions))
    normals.setflags(write=False)
    return normals


def normal_quantile(probability: Array) -> Array:
    """Return the standard normal quantile of probabilities inside (0, 1).

    Wichura's algorithm AS 241 (Applied Statistics 37(3), 1988), accurate to 1e-16.
    """
    off = probability - 0.5
    middle = 0.180625 - off * off
    central = off * _ratio(_CENTRAL, np.maximum(middle, 0.0))
    tail = np.sqrt(-np.log(np.minimum(probability, 1.0 - probability)))
    near, far = _ratio(_NEAR, tail - 1.6), _ratio(_FAR, tail - 5.0)
    outer = np.copysign(np.where(tail <= 5.0, near, far), off)
    quantiles: Array = np.where(np.abs(off) <= 0.425, central, outer)
    return quantiles


def interval(samples: Array) -> Array:
    """Return P10, P50 and P90 of samples, shape (3, ...) for samples of shape (..., N)."""
    found: Array = np.quantile(samples, PROBABILITIES, axis=-1)
    return found


def _direction_numbers(dimension: int) -> list[int]:
    """Return the columns of a dimension's generating matrix, most significant bit first."""
    if dimension == 0:
        return [1 << (_BITS - 1 - bit) for bit in range(_BITS)]
    degree, coefficients, first = _DIRECTIONS[dimension - 1]
    columns = [number << (_BITS - 1 - bit) for bit, number in enumerate(first)]
    for bit in range(degree, _BITS):
        column = columns[bit - degree] ^ (columns[bit - degree] >> degree)
        for term in range(1, degree):
            if (coefficients >> (degree - 1 - term)) & 1:
                column ^= columns[bit - term]
        columns.append(column)
    return columns


def _scrambled(columns: list[int], generator: np.random.Generator) -> _Bits:
    """Multiply columns by a random lower-triangular matrix over GF(2) with ones on its diagonal."""
    below = generator.integers(0, 2**_BITS, size=_BITS, dtype=np.uint64)
    mixed = np.zeros(_BITS, dtype=np.uint64)
    bits = np.array(columns, dtype=np.uint64)
    for digit in range(_BITS):
        place = np.uint64(_BITS - 1 - digit)
        # A digit moves itself and what stands below it.
        moved = (np.uint64(1) << place) | (below[digit] & ((np.uint64(1) << place) - np.uint64(1)))
        mixed ^= np.where((bits >> place) & np.uint64(1), moved, np.uint64(0))
    return mixed


_Coefficients = tuple[tuple[float, ...], tuple[float, ...]]


def _ratio(coefficients: _Coefficients, value: Array) -> Array:
    over: Array = np.polyval(coefficients[0], value) / np.polyval(coefficients[1], value)
    return over


_CENTRAL: Final[_Coefficients] = (
    (2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
     13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608),
    (5226.495278852545925, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867,
     5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0),
)  # fmt: skip
_NEAR: Final[_Coefficients] = (
    (7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258,
     3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734),
    (1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.14810397642748007459,
     0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187, 1.0),
)  # fmt: skip
_FAR: Final[_Coefficients] = (
    (2.01033439929228813265e-7, 2.71155556874348757815e-5, 0.0012426609473880784386, 0.026532189526576123093,
     0.29656057182850489123, 1.7848265399172913358, 5.4637849111641143699, 6.6579046435011037772),
    (2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5, 7.868691311456132591e-4,
     0.0148753612908506148525, 0.13692988092273580531, 0.59983220655588793769, 1.0),
)  # fmt: skip
