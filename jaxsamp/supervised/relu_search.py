"""Sums of absolute values of projections, fitted in few dimensions from several starts."""

from collections.abc import Callable

import numpy as np

STEPS, MORE_STEPS, BEST = 15, 100, 3  # of each start; then of the best
DICTIONARY = 400  # directions among which the first start is chosen
EXACT = 1e-12  # share of the labels' variance below which there is nothing left to search for

Normal = tuple[float, np.ndarray, np.ndarray]  # a mean of squares, half of its gradient, and J^T J


def levenberg_marquardt(
    normal: Callable[[np.ndarray], Normal],
    point: np.ndarray,
    steps: int,
    moved: Callable[[np.ndarray], np.ndarray] = lambda point: point,
    tolerance: float = 1e-10,
) -> tuple[np.ndarray, Normal]:
    """Levenberg-Marquardt from `point`, until a step gains a smaller share of the loss; the last point, and there."""
    here, damping = normal(point), 1e-4
    for _ in range(steps):
        loss, back, gram = here
        ridge = damping * np.trace(gram) / len(gram)
        if not (loss > 0 and ridge > 0):
            break
        tried = moved(point - np.linalg.solve(gram + ridge * np.eye(len(gram)), back))
        there = normal(tried)
        if there[0] < loss:
            point, here, damping = tried, there, max(damping / 8, 1e-9)
            if there[0] > (1 - tolerance) * loss:
                break
        elif damping > 1e3:
            break
        else:
            damping *= 16
    return point, here


def search(z: np.ndarray, y: np.ndarray, k: int, starts: np.ndarray, dictionary: np.ndarray) -> np.ndarray:
    """Directions u (k, r) of the best c + b.z + sum_i a_i |u_i.z| for y (m,) from several starts, given z (m, r).

    For each u the rest is least squares, so that only u is searched (variable projection, Kaufman's form), by
    Levenberg-Marquardt: from k directions of `dictionary` (n, r), each the best one beside those before it, and from
    random `starts` (s, k, r). The best three after 15 steps go on.
    """
    found = []
    for start in (_greedy(z, y, k, dictionary), *starts):
        u, (loss, *_) = levenberg_marquardt(lambda u: _projected(z, y, u), start.reshape(-1), STEPS, _unit(k))
        found.append((loss, u))
        if loss < EXACT * np.mean(y**2):
            break
    best = sorted(found, key=lambda one: one[0])[:BEST]
    ends = [levenberg_marquardt(lambda u: _projected(z, y, u), u, MORE_STEPS, _unit(k)) for _, u in best]
    return min(ends, key=lambda one: one[1][0])[0].reshape(k, -1)


def coefficients(z: np.ndarray, y: np.ndarray, u: np.ndarray) -> np.ndarray:
    """The least squares c, b (r,) and a (k,) of the directions u, as one array."""
    features = np.concatenate([np.ones((len(z), 1)), z, np.abs(z @ u.T)], 1)
    return np.linalg.lstsq(features, y, rcond=1e-10)[0]


def _unit(k: int) -> Callable[[np.ndarray], np.ndarray]:
    def unit(u: np.ndarray) -> np.ndarray:
        rows = u.reshape(k, -1)
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).reshape(-1)

    return unit


def _projected(z: np.ndarray, y: np.ndarray, u: np.ndarray) -> Normal:
    """The mean of squares that is left after the least squares of all but u, from one matrix of products."""
    (m, r), k = z.shape, len(u) // z.shape[1]
    h = z @ u.reshape(k, r).T
    inner = np.sign(h)[:, :, None] * z[:, None, :]
    columns = np.concatenate([np.ones((m, 1)), z, np.abs(h), inner.reshape(m, -1), y[:, None]], 1)
    products, p = columns.T @ columns / m, 1 + r + k
    own = products[:p, :p] + 1e-12 * np.trace(products[:p, :p]) / p * np.eye(p)
    solved = np.linalg.solve(own, products[:p, p:])
    scale = np.repeat(solved[1 + r :, -1], r)  # a
    rest = products[p:, p:] - products[p:, :p] @ solved
    return max(float(rest[-1, -1]), 0.0), -scale * rest[:-1, -1], scale[:, None] * rest[:-1, :-1] * scale


def _greedy(z: np.ndarray, y: np.ndarray, k: int, dictionary: np.ndarray) -> np.ndarray:
    """k of the dictionary's directions: each has the largest correlation with what those before it leave."""
    features = np.abs(z @ dictionary.T)
    basis, chosen = np.linalg.qr(np.concatenate([np.ones((len(z), 1)), z], 1))[0], []
    for _ in range(k):
        left = features - basis @ (basis.T @ features)
        rest, size = y - basis @ (basis.T @ y), np.linalg.norm(left, axis=0)
        gain = np.abs(rest @ left) / np.maximum(size, 1e-6 * size.max() + 1e-300)
        gain[chosen] = -1
        chosen.append(int(np.argmax(gain)))
        basis = np.concatenate([basis, left[:, chosen[-1:]] / max(size[chosen[-1]], 1e-300)], 1)
    return dictionary[chosen]
