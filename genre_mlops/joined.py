"""What pairs join, directly or by way of others."""

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


def smallest_joined(n: int, first: Integers, second: Integers) -> Integers:
    """Return for each of 0 to n - 1 the smallest number that it is joined with, itself included.

    Parameters
    ----------
    n : int
        How many there are.
    first, second : ndarray [shape=(n_pairs,), dtype=int64, range=[0, n)]
        Each pair joins two.

    Returns
    -------
    ndarray [shape=(n,), dtype=int64]
        Equal for all that are joined over any number of pairs.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(first), np.int8), (first, second)), (n, n))
    _, component = connected_components(graph, directed=False)
    _, smallest = np.unique(component, return_index=True)
    found: Integers = smallest[component]
    return found
