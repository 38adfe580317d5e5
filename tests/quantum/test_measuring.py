"""Outcomes of measurements of several copies have their law, and keep the contracts of all draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp_kernels import flags

q = js.quantum


PROTOCOLS = {"keyl": q.Keyl(4), "purified": q.Purified(4), "single": q.Single()}


def state(eigenvalues, seed=3):
    return q.random_state(jax.random.key(seed), len(eigenvalues), eigenvalues)


@pytest.mark.parametrize("m", [0, 1, 5, 300])
@pytest.mark.parametrize("r", [0.0, 1e-4, 0.5, 1.0])
def test_cosines_have_their_law(m, r, x64):
    # The quantiles of density ((1 + r z) / 2)^m against its distribution function by quadrature.
    u = np.linspace(0.001, 0.999, 41)
    z = np.asarray(flags.bloch_cosine(jnp.asarray(u), jnp.log((1 - r) / (1 + r)), m + 1))
    nodes, weights = np.polynomial.legendre.leggauss(200)

    def mass(a, b):
        x = (a + b)[:, None] / 2 + (b - a)[:, None] / 2 * nodes
        return (((1 + r * x) / (1 + r)) ** m @ weights) * (b - a) / 2

    low = np.full_like(z, -1)
    np.testing.assert_allclose(mass(low, z) / mass(low, low + 2), u, atol=1e-6)


def test_a_move_keeps_the_triangle_and_draws_from_its_plane(x64, key):
    # The triangle of the new frame, and a moment of the law of the first minor, by quadrature over the Bloch sphere.
    p, m, k = np.array([0.5, 0.3, 0.15, 0.05]), 3, 1
    frame = np.asarray(q.haar(key, 4))
    triangle = np.linalg.qr(np.sqrt(p)[:, None] * frame)[1]
    u = np.random.default_rng(0).random((2000, 2))
    move = jax.jit(jax.vmap(lambda u: flags.heat_bath_move(jnp.asarray(frame), jnp.asarray(triangle), k, m, u)))
    frames, triangles = map(np.asarray, move(u))
    gram = np.einsum("nki,k,nkj->nij", frames.conj(), p, frames)
    np.testing.assert_allclose(np.einsum("nki,nkj->nij", triangles.conj(), triangles), gram, atol=1e-12)
    np.testing.assert_allclose(frames[:, :, [0, 3]] - frame[:, [0, 3]], 0, atol=1e-12)
    minors = np.stack([np.linalg.det(gram[:, :i, :i]).real for i in range(1, 5)], 1)
    assert np.ptp(minors[:, [0, 2, 3]], 0).max() < 1e-12  # one of them changes
    z, angle = np.meshgrid(*(np.linspace(-1, 1, 401), np.linspace(0, 2 * np.pi, 101)[:-1]))
    v = np.stack([np.sqrt((1 + z) / 2), np.sqrt((1 - z) / 2) * np.exp(1j * angle)])
    value = np.sum(np.abs(np.einsum("ij,jab->iab", triangle[1:3, 1:3], v)) ** 2, 0)
    want = np.average(value, weights=value**m) * minors[0, 0]
    error = minors[:, 1].std() / np.sqrt(len(minors))
    assert abs(minors[:, 1].mean() - want) < 4 * error + 1e-3 * want  # a false alarm in 16,000 runs


def test_frames_have_their_density(key, optimized):
    # Against frames of Haar's law with the density as weights, for one diagram: a false alarm in 16,000 runs.
    p, shape = np.array([0.75, 0.2, 0.05]), (3, 1, 0)
    out = q.measure(key, np.diag(p), (4000,), q.Keyl(4))
    mine = np.asarray(out.frame)[(np.asarray(out.partition) == shape).all(1)]
    rng = np.random.default_rng(1)
    frames = np.linalg.qr(rng.normal(size=(40_000, 3, 3)) + 1j * rng.normal(size=(40_000, 3, 3)))[0]
    gram = np.einsum("nki,k,nkj->nij", frames.conj(), p, frames)
    weights = gram[:, 0, 0].real ** 2 * np.linalg.det(gram[:, :2, :2]).real
    for i, k in ((0, 0), (1, 1), (2, 2), (0, 1)):
        got, all_of = np.abs(mine[:, i, k]) ** 2, np.abs(frames[:, i, k]) ** 2
        want = np.average(all_of, weights=weights)
        error = np.sqrt(np.sum((weights * (all_of - want)) ** 2)) / weights.sum()
        assert abs(got.mean() - want) < 4 * np.hypot(error, got.std() / np.sqrt(len(got)))


SLOW = [pytest.param(protocol, marks=pytest.mark.slow) for protocol in (q.Purified(3), q.Single())]


@pytest.mark.parametrize("protocol", [q.Keyl(3), *SLOW], ids=lambda protocol: protocol.name)
def test_an_outcome_depends_on_its_number_alone(protocol, key):
    rho = state((0.6, 0.3, 0.1))
    here = q.measure(key, rho, (4000,), protocol)
    there = q.measure(key, rho, (7,), protocol, mesh=js.mesh(), microbatch=1)
    np.testing.assert_array_equal(here.partition[:7], there.partition)
    np.testing.assert_allclose(here.frame[:7], there.frame, atol=1e-5)
    assert there.copies == protocol.copies and there.partition.shape == (7, 3) and there.frame.dtype == jnp.complex64


def test_equivariance(key, optimized):
    # Mean estimates of V rho V^dag are those of rho, turned: nine entries at 4.5 standard errors, once in 10,000 runs.
    rho, v = state((0.6, 0.3, 0.1)), q.haar(jax.random.key(9), 3)
    one = q.estimate_state(q.measure(key, rho, (4000,), q.Keyl(4)))
    other = q.estimate_state(q.measure(jax.random.key(5), v @ rho @ v.conj().T, (4000,), q.Keyl(4)))
    back = jnp.einsum("ji,njk,kl->nil", v.conj(), other.batches, v)
    error = jnp.sqrt((jnp.abs(back - back.mean(0)) ** 2).mean(0) / len(back))
    assert (jnp.abs(back.mean(0) - one.rho) < 4.5 * jnp.hypot(error, one.standard_error)).all()


class Fixed(q.CopyProtocol):
    """The eigenbasis itself, always."""

    name = "keyl"
    traces = 0

    def __init__(self, copies):
        self.copies = copies

    def draw(self, key, eigenvalues):
        Fixed.traces += 1
        d = len(eigenvalues)
        return jnp.zeros(d, jnp.int32).at[0].set(self.copies), jnp.eye(d) + 0j, {}


def test_a_protocol_of_ones_own_works_and_other_states_compile_nothing_anew(key):
    rho = state((0.6, 0.3, 0.1))
    est = q.estimate_state(q.measure(key, rho, (6,), Fixed(np.int32(1))), "keyl")
    np.testing.assert_allclose(rho @ est.rho, 0.6 * est.rho, atol=1e-5)  # the first eigenvector
    before = Fixed.traces
    q.measure(key, state((0.9, 0.1, 0.0), 4), (6,), Fixed(np.int32(7)))
    assert Fixed.traces == before == 1


@pytest.mark.parametrize("name", PROTOCOLS)
def test_outcomes_come_back_from_their_file(name, key, tmp_path):
    out = q.measure(key, state((0.6, 0.3, 0.1)), (4000,), PROTOCOLS[name])
    again = q.Outcomes.load(out.save(tmp_path / "out"))
    assert again.protocol == name and {*again.stats} == {*out.stats} and again.copies == out.copies
    for a, b in zip(jax.tree.leaves(out[:3]), jax.tree.leaves(again[:3]), strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.load(tmp_path / "out.npz", allow_pickle=False)["frame"].shape == (4000, 3, 3)


@pytest.mark.parametrize("name", ["single", pytest.param("keyl", marks=pytest.mark.slow)])
def test_x64_gives_complex128(name, x64):
    out = q.measure(jax.random.key(0), state((0.6, 0.3, 0.1)), (4,), PROTOCOLS[name])
    assert out.frame.dtype == jnp.complex128
    gram = jnp.einsum("nki,nkj->nij", out.frame.conj(), out.frame)
    np.testing.assert_allclose(gram, jnp.broadcast_to(jnp.eye(3), (4, 3, 3)), atol=1e-13)


def test_chains_that_are_too_short_say_so(key):
    rho = state((0.97, 0.02, 0.01))
    with pytest.warns(UserWarning, match="chains of Keyl's measurement are too short.*give more of them"):
        q.measure(key, rho, (400,), q.Keyl(40, sweeps=2))


def test_pure_states_of_many_copies_stay_finite(key):
    out = q.measure(key, state((1.0, 0.0, 0.0)), (4000,), q.Keyl(300))
    assert (out.partition == jnp.array([300, 0, 0])).all() and (out.stats["acceptance"] == 1).all()
    est = q.estimate_state(out)
    assert q.trace_distance(est.rho, state((1.0, 0.0, 0.0))) < 0.03


RHO = np.diag([0.5, 0.3, 0.2])


@pytest.mark.parametrize(
    ("rho", "shape", "protocol", "sentence"),
    [
        (RHO + np.eye(3, k=1), (3,), q.Keyl(2), "rho must be Hermitian; got entries that are 1 from those across"),
        (np.diag([1.2, -0.2, 0]), (3,), q.Keyl(2), "rho must be positive; got the eigenvalue -0.2"),
        (2 * RHO, (3,), q.Keyl(2), "rho must have trace 1; got 2"),
        (RHO[:2], (3,), q.Keyl(2), r"rho must be a density matrix \(d, d\); got shape \(2, 3\)"),
        (RHO * np.nan, (3,), q.Keyl(2), "rho must be finite"),
        (RHO, (3,), q.Keyl(0), "copies must be at least 1; got 0"),
        (RHO, (3,), q.Purified(0), "copies must be at least 1; got 0"),
        (RHO, (3,), q.Keyl(2, sweeps=1), "sweeps must be at least 2; got 1"),
        (RHO, (3, 3), q.Keyl(2), r"shape must be \(n,\), the number of measurements; got \(3, 3\)"),
        (RHO, (0,), q.Keyl(2), "every entry of shape must be at least 1; got 0"),
    ],
)
def test_bad_arguments(rho, shape, protocol, sentence, key):
    with pytest.raises(ValueError, match=sentence):
        q.measure(key, rho, shape, protocol)


def test_other_kinds_of_arguments(key):
    with pytest.raises(TypeError, match="copies must be an integer; got 2.5"):
        q.measure(key, RHO, (3,), q.Keyl(2.5))
    with pytest.raises(TypeError, match=r"protocol must be one of .* got 'keyl'"):
        q.measure.__wrapped__(key, RHO, (3,), "keyl")


OUT = q.Outcomes(np.array([[2, 1], [3, 0]]), np.tile(np.eye(2), (2, 1, 1)))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"frame": np.eye(2)},
            r"frame must have shape \(n, d, d\) = \(2, 2, 2\), .* got \(2, 2\)",
        ),
        ({"frame": 2 * np.tile(np.eye(2), (2, 1, 1))}, "frame must hold unitary matrices .* number 0 is 3 from one"),
        ({"frame": np.full((2, 2, 2), np.inf)}, "frame must be finite"),
        ({"partition": np.array([3, 0])}, r"partition must have shape \(n, d\); got \(2,\)"),
        ({"partition": np.array([[1, 2], [3, 0]])}, r"partition must have rows of counts that decrease; got \[1, 2\]"),
        (
            {"partition": np.array([[4, -1], [3, 0]])},
            r"partition must have rows of counts .* got \[4, -1\]",
        ),
        ({"partition": np.array([[2, 1], [2, 0]])}, "one and the same sum, .* got sums from 2 to 3"),
        ({"partition": np.zeros((2, 2), int)}, "one and the same sum, .* got sums from 0 to 0"),
        ({"protocol": "purified"}, "partition must be .t, 0, .... for the protocol 'purified'"),
        ({"protocol": "single"}, "partition must have sum 1 for the protocol 'single'; got 3"),
        ({"protocol": "keil"}, "protocol must be one of .* Did you mean 'keyl'"),
    ],
)
def test_outcomes_that_do_not_fit(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        q.estimate_state(OUT._replace(**change))


def test_files_without_outcomes(tmp_path):
    np.savez(tmp_path / "a.npz", frame=np.eye(2))
    with pytest.raises(ValueError, match="has no array 'partition'"):
        q.Outcomes.load(tmp_path / "a.npz")
    for text in ("nothing", ""):
        (tmp_path / "b.npz").write_text(text)
        with pytest.raises(ValueError, match="must be an .npz file of outcomes"):
            q.Outcomes.load(tmp_path / "b.npz")
    assert OUT.save(tmp_path / "eps0.5") == tmp_path / "eps0.5.npz" != OUT.save(tmp_path / "eps0.7.npz")
    q.Outcomes.load(tmp_path / "eps0.5")
    with pytest.raises(TypeError, match="partition must be integers; got dtype float64"):
        q.estimate_state(OUT._replace(partition=np.array([[2.0, 1.0], [3.0, 0.0]])))
