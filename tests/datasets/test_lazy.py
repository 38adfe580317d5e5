"""Data that do not fit in memory, and data sets by name: read right, in the right order, and what is wrong is named."""

import inspect
import io
import time

import grain
import jax
import numpy as np
import pytest
from PIL import Image

import jaxsamp as js
from jaxsamp import datasets, models
from jaxsamp.training import data as data_of
from jaxsamp.training.journal import read
from tests.cases import SCHEDULES

X = (np.random.default_rng(0).normal(size=(30, 2)) * [1.0, 0.4] + [0.0, 2.0]).astype(np.float32)
TINY = models.MLP(width=8, depth=1)


def source(data=X):
    return grain.MapDataset.source(data)


def batches(data, cond=None):
    return data_of.batches(data, cond, jax.random.key(0))


def fit(data, steps=6, door=None, **options):
    return (door or js.fit)(jax.random.key(0), TINY, data, SCHEDULES["vp"], steps, **{"batch_size": 8, **options})


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Twelve gray images of several sizes, of brightness 20 i, in two folders by class, and a file that is none."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "notes.txt").write_text("no image")
    for i in range(12):
        place = folder / "ab"[i % 2]
        place.mkdir(exist_ok=True)
        Image.new("L", (6 + i, 8), 20 * i).save(place / f"{i:02d}.png")
    return folder


def test_each_pass_reads_each_sample_once_in_a_new_order_by_number_alone():
    data = batches(source([(np.float32([i]), np.int64(i)) for i in range(10)]))
    seen = [data.batch(i, 4) for i in range(50)]
    passes = np.concatenate([x[:, 0] for x, _ in seen]).reshape(20, 10)
    np.testing.assert_array_equal(np.sort(passes), np.tile(np.arange(10), (20, 1)))
    assert len({tuple(order) for order in passes}) == 20
    assert all((cond == x[:, 0]).all() and cond.dtype == np.int32 for x, cond in seen)
    ahead = data.stream(3, 4)
    for i in range(3, 30):  # by threads, which finish in any order
        np.testing.assert_array_equal(next(ahead)[0], seen[i][0])
    other = data_of.batches(source(), None, jax.random.key(1))
    assert (other.batch(0, 30)[0] != batches(source()).batch(0, 30)[0]).any()


def test_hosts_share_each_batch_out():
    one, two = batches(source()), [batches(source()) for _ in range(2)]
    for host, data in enumerate(two):
        data.host, data.hosts = host, 2
    for i in (0, 5):
        whole = one.batch(i, 8)[0]
        for host, data in enumerate(two):
            np.testing.assert_array_equal(data.batch(i, 8)[0], whole[4 * host : 4 * host + 4])
    with pytest.raises(ValueError, match="batch_size must be divisible by the number of hosts, 2; got 7"):
        two[0].batch(0, 7)


def test_the_standard_deviation_is_that_of_the_array():
    far = X + 1000.0
    assert batches(source()).std() == pytest.approx(batches(X).std(), rel=1e-6)
    assert batches(source(far)).std() == pytest.approx(float(np.std(far.astype(float) - far.mean(0))), rel=1e-3)


def test_a_run_that_fails_resumes_to_the_same_bits_and_other_data_are_refused(tmp_path):
    class Stop(Exception):
        pass

    def stop(step, state):
        if step == 5:
            raise Stop

    data = source().map(lambda x: {"x": x * 2})
    options = {"checkpoint": tmp_path / "run", "checkpoint_every": 3, "resume": True}
    whole = fit(data)
    with pytest.raises(Stop):
        fit(data, callback=stop, callback_every=1, **options)
    resumed = fit(data, **options)
    assert same(whole.params, resumed.params) and same(whole.opt_state, resumed.opt_state)
    with pytest.raises(ValueError, match=r"data\.crc32 is \d+ there and \d+ here"):
        fit(source(), **options)
    with pytest.raises(ValueError, match="data.samples is 30 there and 20 here"):
        fit(data[:20], **options)


def test_waiting_for_slow_data_is_seen_in_the_journal(tmp_path):
    def slow(x):
        time.sleep(0.01)
        return x

    fit(source().map(slow), 4, metrics_file=tmp_path / "slow.jsonl", report_every=4)
    assert read(tmp_path / "slow.jsonl")[0]["input_seconds"] > 0.08  # the first batch, before which nothing was read


def spoiled(value, number=17):
    data = [x.copy() for x in X]
    data[number] = value
    return source(data)


BAD = {
    "nan": (lambda: spoiled(np.float32([1, np.nan])), ValueError, "data must be finite; got nan in sample 17"),
    "shape": (lambda: spoiled(np.ones(3)), ValueError, r"samples of one shape; .* sample 17 has \(\(3,\), None\)"),
    "words": (lambda: spoiled(np.array(["a", "b"])), TypeError, "data must be an array of real numbers; got dtype"),
    "scalar": (lambda: source([1.0, 2.0]), ValueError, r"samples of shape \(\*event\); got shape \(\) in sample 0"),
    "triple": (lambda: source([(X[0], 1, 2)]), ValueError, "arrays or pairs.*; sample 0 is a tuple of 3"),
    "keys": (lambda: source([{"image": X[0]}]), ValueError, r"dicts of 'x' and 'cond'; got keys \['image'\]"),
    "cond": (lambda: source([(X[0], np.nan)]), ValueError, "the condition of sample 0 must be finite"),
    "empty": (lambda: source([]), ValueError, "data must have samples; the dataset is empty"),
    "constant": (lambda: source([X[0]] * 9), ValueError, "data must vary"),
    "filter": (lambda: source().filter(lambda x: x[0] > 0), ValueError, "of known length, without `filter`"),
    "endless": (lambda: source().repeat(), ValueError, "of known length, without .* endless `repeat`"),
    "stream": (lambda: source().to_iter_dataset(), TypeError, "grain.MapDataset.*; got a PrefetchIterDataset"),
}


@pytest.mark.parametrize("name", BAD)
def test_the_first_bad_sample_is_named_when_it_is_read(name):
    make, kind, sentence = BAD[name]
    with pytest.raises(kind, match=sentence):
        fit(make(), 20, door=inspect.unwrap(js.fit))  # as users call it, without the tests' type checker
    with pytest.raises(ValueError, match="cond must be None for a dataset"):
        fit(source(), cond=np.ones(30))


def test_channels_first_are_said_of_a_dataset_too():
    with pytest.warns(datasets.DataWarning, match=r"must have its channels last, .*; got samples of shape \(3, 6, 5\)"):
        batches(source(np.zeros((4, 3, 6, 5), np.float32)))


def test_a_folder_is_read_lazily_to_the_same_pixels(pictures, tmp_path):
    lazy = datasets.folder(pictures, 4)
    assert len(lazy) == 12 and isinstance(lazy, grain.MapDataset) and lazy[3].dtype == np.float32
    np.testing.assert_array_equal(datasets.in_memory(lazy), datasets.read_folder(pictures, 4))
    assert datasets.folder(pictures, 4, gray=False)[0].shape == (4, 4, 3)
    Image.new("L", (5, 5)).save(tmp_path / "a.png")
    Image.new("RGB", (5, 5), "red").save(tmp_path / "b.png")
    with pytest.raises(ValueError, match=r"gray must be given, because .*a\.png is gray and .*b\.png has colors"):
        datasets.folder(tmp_path, 4)[1]
    (tmp_path / "c.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"folder must hold images; .*c\.png could not be read"):
        datasets.folder(tmp_path, 4)[2]
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "notes.txt").write_text("no image")
    with pytest.raises(ValueError, match="folder must hold images; .* none of its files is named like one"):
        datasets.folder(tmp_path / "words", 4)


def test_a_file_is_read_a_sample_at_a_time(tmp_path):
    np.save(tmp_path / "x.npy", X)
    np.testing.assert_array_equal(datasets.in_memory(datasets.memory_mapped(tmp_path / "x.npy")), X)
    np.save(tmp_path / "bytes.npy", np.array([[0, 255], [51, 0]], np.uint8))
    x, cond = datasets.in_memory(datasets.memory_mapped(tmp_path / "bytes.npy", cond={"label": np.array([7, 8])}))
    np.testing.assert_allclose(x, [[-1, 1], [-0.6, -1]], rtol=1e-6)
    np.testing.assert_array_equal(cond["label"], [7, 8])
    np.savez(tmp_path / "x.npz", x=X, y=X)
    np.save(tmp_path / "flat.npy", np.ones(3))
    for name, sentence in (("none.npy", "could not be read"), ("x.npz", "several arrays"), ("flat.npy", "shape")):
        with pytest.raises(ValueError, match=f"path must .*{sentence}"):
            datasets.memory_mapped(tmp_path / name)
    with pytest.raises(
        ValueError, match=r"cond must have leaves of shape \(n = 30, \.\.\.\), arrays; got a leaf of shape \(3,\)"
    ):
        datasets.memory_mapped(tmp_path / "x.npy", cond=np.ones(3))


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """Hugging Face's library, kept off the network, with a cache of its own."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    library = pytest.importorskip("datasets")
    library.disable_progress_bars()
    return library


def test_images_and_their_classes_are_read_by_hugging_face(hub, pictures, tmp_path):
    options = {"data_dir": str(pictures), "cache_dir": str(tmp_path)}
    data = datasets.hugging_face("imagefolder", size=4, **options)
    x, labels = datasets.in_memory(data)
    assert x.shape == (12, 4, 4) and labels.dtype == np.int32
    np.testing.assert_array_equal(x, datasets.read_folder(pictures, 4))  # by class, then by name
    np.testing.assert_array_equal(labels, [0] * 6 + [1] * 6)
    assert datasets.hugging_face("imagefolder", "train[:3]", 4, gray=False, **options)[0][0].shape == (4, 4, 3)
    state = js.fit(
        jax.random.key(0), models.MLP(width=8, depth=1, classes=2), data, SCHEDULES["vp"], 2, batch_size=4
    )  # fmt: skip
    assert int(state.step) == 2


def test_columns_of_numbers_are_read_by_hugging_face(hub, tmp_path):
    table = {"x": [[float(a), float(b)] for a, b in X], "kind": [i % 3 for i in range(30)], "name": ["n"] * 30}
    hub.Dataset.from_dict(table).to_parquet(tmp_path / "x.parquet")
    options = {"data_files": str(tmp_path / "x.parquet"), "cache_dir": str(tmp_path / "cache")}
    x, kinds = datasets.in_memory(datasets.hugging_face("parquet", column="x", label="kind", **options))
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(kinds, table["kind"])
    np.testing.assert_array_equal(datasets.hugging_face("parquet", "train[4:6]", column="x", **options)[1], X[5])
    with pytest.raises(ValueError, match="column must be one of 'x', 'kind', 'name', because .*; got None"):
        datasets.hugging_face("parquet", **options)
    with pytest.raises(ValueError, match="label must be one of .*; got 'kinds'. Did you mean 'kind'"):
        datasets.hugging_face("parquet", column="x", label="kinds", **options)
    with pytest.raises(TypeError, match="data must be an array of real numbers; got dtype"):
        datasets.hugging_face("parquet", column="name", **options)[0]
    with pytest.raises(ValueError, match="streaming must be left out"):
        datasets.hugging_face("parquet", streaming=True, **options)


def test_images_and_their_classes_are_read_by_tensorflow_datasets(pictures, tmp_path):
    library = pytest.importorskip("tensorflow_datasets")
    library.disable_progress_bar()
    paths = sorted(pictures.rglob("*.png"))

    class Squares(library.core.GeneratorBasedBuilder):
        """Brightness and class."""

        VERSION = library.core.Version("1.0.0")
        pkg_dir_path = library.core.Path(tmp_path)

        def _info(self):
            image = library.features.Image(shape=(None, None, 1))
            features = {"image": image, "label": library.features.ClassLabel(num_classes=2)}
            features = library.features.FeaturesDict(features)
            return library.core.DatasetInfo(builder=self, description="Squares", features=features)

        def _split_generators(self, manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            for i, path in enumerate(paths):
                yield i, {"image": io.BytesIO(path.read_bytes()), "label": int(path.parent.name == "b")}

    Squares(data_dir=tmp_path / "data", file_format="array_record").download_and_prepare()
    x, labels = datasets.in_memory(datasets.tfds("squares", size=4, data_dir=tmp_path / "data"))
    assert x.shape == (12, 4, 4)
    order = np.argsort(x[:, 0, 0])  # it shuffles as it writes
    np.testing.assert_allclose(x[order, 0, 0], np.arange(12) * 20 / 127.5 - 1, rtol=1e-6)
    np.testing.assert_array_equal(labels[order], np.arange(12) % 2)
