"""S-parameters in and out, the two circuits, and what is refused."""

import jax
import numpy as np
import pytest

from jaxsamp import sparameters
from jaxsamp.sparameters import channel, circuits, interpolate, ladder, read, write

KEY = jax.random.key(0)
F, S = ladder().frequencies, ladder().s


def test_the_ladder_has_the_values_of_its_chain():
    assert np.linalg.svd(S, compute_uv=False).max() == pytest.approx(0.99718857, abs=1e-8)
    assert S[200, 1, 0] == pytest.approx(-0.50532792 + 0.80205166j, abs=1e-8)
    assert S[200, 0, 0] == pytest.approx(0.16434438 + 0.08042752j, abs=1e-8)
    assert np.abs(S[:, 0, 1] - S[:, 1, 0]).max() < 1e-13


def test_scattering_matrices_are_those_of_scikit_rf():
    skrf = pytest.importorskip("skrf")
    random = np.random.default_rng(0)
    chain = random.standard_normal((5, 2, 2)) + 1j * random.standard_normal((5, 2, 2))
    # Of reciprocal networks, with determinant 1, which is what the form of S21 relies on.
    chain[:, 1, 1] = (1 + chain[:, 0, 1] * chain[:, 1, 0]) / chain[:, 0, 0]
    np.testing.assert_allclose(
        circuits._scattering(chain, 50.0), skrf.network.a2s(chain, np.full((5, 2), 50.0)), rtol=1e-9
    )


def test_touchstone_files_come_back_digit_by_digit(tmp_path):
    path = write(tmp_path / "ladder", ladder())
    assert path.name == "ladder.s2p"
    back = read(path)
    np.testing.assert_array_equal(back.frequencies, F)
    np.testing.assert_array_equal(back.s, S)
    assert back.z0 == 1.0
    one = write(tmp_path / "one.s1p", (F, S[:, :1, :1]))
    np.testing.assert_array_equal(read(one).s, S[:, :1, :1])


@pytest.mark.parametrize("name", ["eps0.5", "dev.s1p", "dev.s2p", ".hidden", "50 ohm, 1.5 mm."])
def test_names_with_dots_of_their_own_are_kept(tmp_path, name):
    """A two-port called dev.s1p was written over the one-port of that name."""
    other = write(tmp_path / "dev.s1p", (F, S[:, :1, :1]))
    path = write(tmp_path / name, ladder())
    assert path.name == (name if name == "dev.s2p" else f"{name}.s2p")
    assert {*tmp_path.iterdir()} == {other, path}
    np.testing.assert_array_equal(read(path).s, S)
    np.testing.assert_array_equal(read(other).s, S[:, :1, :1])


def test_networks_of_scikit_rf_are_taken(tmp_path):
    skrf = pytest.importorskip("skrf")
    network = skrf.Network(frequency=skrf.Frequency.from_f(F, unit="Hz"), s=S, z0=75.0)
    assert sparameters.as_sparameters(network).z0 == 75.0
    network.z0 = np.broadcast_to([50.0, 75.0], (len(F), 2))
    with pytest.raises(ValueError, match="network must have one real reference impedance; got 2 of them"):
        sparameters.as_sparameters(network)


@pytest.mark.parametrize(
    ("network", "settings", "sentence"),
    [
        ((F[::-1], S), {}, "frequencies must be increasing, each once; 1.99505 Hz comes after 2 Hz"),
        ((F.repeat(2), S.repeat(2, 0)), {}, "frequencies must be increasing, each once; 0.02 Hz is there twice"),
        ((F - 1, S), {}, "frequencies must not be negative; got -0.98 Hz"),
        ((F, S[:, :1]), {}, r"S must be square matrices, of shape \(f, p, p\); got shape \(401, 1, 2\)"),
        ((F[1:], S), {}, "S must have one matrix per frequency, 400; got 401"),
        ((F, np.where(F[:, None, None] == F[3], np.nan, S)), {}, "S must be finite"),
        ((F, S), {"grid": [0.01, 1.0]}, "grid must be inside the band of the samples, 0.02 to 2 Hz"),
        ((F, S), {"grid": [1.0, 0.5]}, "grid must be increasing"),
        ((F, S), {"samples": [0, 1, 2]}, "samples must be at least 4 frequencies; got 3"),
        ((F, S), {"samples": [0, 5, 5, 9]}, "samples must be increasing indices from 0 to 400, each once"),
        ((F, S), {"samples": [0.0, 1.0]}, "samples must be integer indices"),
        ((F, S), {"noise": 0.0}, "noise must be a positive number; got 0.0"),
        ((F, S), {"method": "cubic"}, "method must be one of"),
        ((F, S), {"method": "deep"}, 'key must be given with method "deep"'),
        ("nowhere.s2p", {}, "path must be a Touchstone file; nowhere.s2p does not exist"),
    ],
    ids=lambda value: None if not isinstance(value, str) else value[:30].replace(" ", "-"),
)  # fmt: skip
def test_what_cannot_be_interpolated_is_a_sentence(network, settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        interpolate(network, **settings)


def test_other_objects_are_a_sentence():
    with pytest.raises(TypeError, match="network must be a pair"):
        interpolate(3)
    with pytest.raises(ValueError, match=r"fraction must leave at least 4 of the 401 frequencies; 0.005 leaves 2"):
        sparameters.spaced(401, 0.005)


@pytest.mark.parametrize("z0", [np.nan, np.inf, 0.0, -5.0, [50.0, 75.0], 50 + 1j, "50"])
def test_an_impedance_is_one_positive_number(z0):
    with pytest.raises(ValueError, match=r"^z0 must be one positive number, in ohm; got .*\.$"):
        sparameters.as_sparameters(sparameters.SParameters(F, S)._replace(z0=z0))
    assert sparameters.as_sparameters(ladder()._replace(z0=np.float32(75))).z0 == 75.0


def test_nothing_at_all_has_no_ratio_and_no_poles():
    """The ratio was minus infinity, and vector fitting ended with "SVD did not converge"."""
    given, methods = (F, 0 * S), ("causal", "vector", "spline")
    rows = {row["method"]: row for row in sparameters.compare(given, methods=methods)}
    assert rows["causal"]["snr"] is rows["spline"]["snr"] is None
    assert 'must not be "vector" where all samples are 0' in rows["vector"]["failed"]


def test_active_data_has_no_passive_draws():
    fit = interpolate((F, 1.1 * S), range(0, 401, 10))
    with pytest.raises(ValueError, match="passive must be False for active data: the samples have a singular value of"):
        sparameters.posterior(KEY, fit, 2)
    with pytest.raises(ValueError, match="fit must be of interpolate"):
        sparameters.posterior(KEY, interpolate((F, S), range(0, 401, 10), method="spline"), 2)
    assert sparameters.posterior(KEY, fit, 2, passive=False).s.shape == (2, 401, 2, 2)


def test_the_channel_is_passive_and_reciprocal():
    given = channel(200)
    assert np.linalg.svd(given.s, compute_uv=False).max() < 1
    np.testing.assert_allclose(given.s[:, 0, 1], given.s[:, 1, 0], atol=1e-12)
