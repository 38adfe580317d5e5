"""Images of every kind are read by their own range, or refused by name; what a folder holds is read once or counted."""

import os
import warnings

import numpy as np
import pytest
from PIL import ExifTags, Image

from jaxsamp import datasets

RAMP = np.linspace(0, 1, 64).reshape(8, 8)


def read(folder, size=8):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return datasets.read_folder(folder, size)


def save(array, path, **options):
    Image.fromarray(array).save(path, **options)


READ = {
    "16 bits": (lambda p: save((RAMP * 65535).astype(np.uint16), p / "a.png"), 1e-4),
    "16 bits in TIFF": (lambda p: save((RAMP * 65535).astype(np.uint16), p / "a.tif"), 1e-4),
    "16 bits in PGM": (lambda p: save((RAMP * 65535).astype(np.uint16), p / "a.pgm"), 1e-4),
    "floats": (lambda p: save(RAMP.astype(np.float32), p / "a.tif"), 1e-5),
    "gray palette": (lambda p: save((RAMP * 255).round().astype(np.uint8), p / "a.gif"), 0.005),
    "8 bits": (lambda p: save((RAMP * 255).round().astype(np.uint8), p / "a.png"), 0.005),
}


@pytest.mark.parametrize("name", READ)
def test_images_of_other_modes_do_not_turn_black(name, tmp_path):
    """They keep one channel and, but for 8 bits, all of their levels."""
    write, error = READ[name]
    write(tmp_path)
    images = read(tmp_path)
    assert images.shape == (1, 8, 8) and images.dtype == np.float32 and images.min() == -1 and images.max() == 1
    np.testing.assert_allclose(images[0], 2 * RAMP - 1, atol=error)
    Image.new("RGB", (8, 8), "white").save(tmp_path / "b.png")
    both = read(tmp_path)
    assert both.shape == (2, 8, 8, 3) and (both[0] == images[0, ..., None]).all()
    assert np.abs(datasets.folder(tmp_path, 4, gray=True)[0]).max() <= 1  # interpolated between extremes


def test_twelve_bits_in_tiff_have_a_range_of_their_own(tmp_path):
    values = (RAMP * 4095).round().astype(np.uint16).ravel()
    one, two = values[::2].astype(int), values[1::2].astype(int)
    packed = np.stack([one >> 4, (one & 15) << 4 | two >> 8, two & 255], 1).astype(np.uint8).tobytes()
    tags = [(256, 3, 8), (257, 3, 8), (258, 3, 12), (259, 3, 1), (262, 3, 1), (273, 4, 0), (277, 3, 1), (278, 3, 8)]
    tags = [*tags, (279, 4, len(packed))]
    start = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(
        np.array([tag, kind], "<u2").tobytes() + np.array([1, value or start], "<u4").tobytes()
        for tag, kind, value in tags
    )
    head = b"II*\0" + np.uint32(8).tobytes() + np.uint16(len(tags)).tobytes()
    (tmp_path / "a.tif").write_bytes(head + entries + bytes(4) + packed)
    np.testing.assert_allclose(read(tmp_path)[0], 2 * RAMP - 1, atol=5e-4)


REFUSED = {
    "int32": ((RAMP * 255).astype(np.int32), r"a\.tif has mode I and values from 0 to 255\. Convert it"),
    "CT": ((RAMP * 4000 - 1000).astype(np.int16), r"a\.tif has mode I and values from -1000 to 3000"),
    "floats of bytes": ((RAMP * 255).astype(np.float32), r"a\.tif has mode F and values from 0 to 255"),
    "floats below 0": ((RAMP * 2 - 1).astype(np.float32), r"a\.tif has mode F and values from -1 to 1"),
    "not finite": (np.full((8, 8), np.nan, np.float32), r"a\.tif has mode F and values from nan to nan"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_images_whose_range_is_not_known_are_refused_by_name(name, tmp_path):
    array, sentence = REFUSED[name]
    save(array, tmp_path / "a.tif")
    takes = "must hold images of 8 bits per channel, gray ones of 16 bits or gray ones of floats from 0 to 1; .*"
    for door, argument in ((datasets.read_folder, "data"), (datasets.folder, "folder")):
        with pytest.raises(ValueError, match=f"^{argument} {takes}{sentence}"):
            door(tmp_path, 8)


def test_a_mode_that_pillow_cannot_make_plain_is_refused_by_name(tmp_path):
    Image.new("LAB", (8, 8)).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"a\.tif has mode LAB\. Convert it, or give floats"):
        datasets.read_folder(tmp_path, 8)


def test_what_was_transparent_is_white_in_16_bits_too(tmp_path):
    save((RAMP * 65535).astype(np.uint16), tmp_path / "a.png", transparency=0)
    assert read(tmp_path)[0, 0, 0] == 1


def test_pixels_that_fill_little_of_their_range_are_said(tmp_path):
    ones = np.arange(20, dtype=np.uint8).reshape(10, 2) % 2
    sentence = r"data must fill the range of pixels.* the brightest fills 0\.39 % of it\. Scale them, or give .* floats"
    with pytest.warns(datasets.DataWarning, match=sentence):
        assert (datasets.as_samples(ones) == ones / np.float32(127.5) - 1).all()
    np.save(tmp_path / "ones.npy", ones)
    with pytest.warns(datasets.DataWarning, match="path must fill .*0.39 %"):
        datasets.memory_mapped(tmp_path / "ones.npy")
    (tmp_path / "deep").mkdir()
    save((RAMP * 4095).astype(np.uint16), tmp_path / "deep" / "a.png")  # 12 bits of 16
    for door in (datasets.read_folder, datasets.folder):
        with pytest.warns(datasets.DataWarning, match=r"deep must fill .*6\.2 % of it"):
            door(tmp_path / "deep", 8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        datasets.as_samples(ones * 100), datasets.as_samples(ones.astype(float))


def damaged():
    """Blocks of EXIF: one whole, and some that make Pillow raise errors of several kinds."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.Make], exif[ExifTags.Base.XResolution] = 6, "maker", 72.0
    exif[ExifTags.IFD.Exif] = {0x9000: b"0230", 0xA002: 8}
    exif[ExifTags.IFD.GPSInfo] = {1: "N", 2: (1.0, 2.0, 3.0)}
    whole = exif.tobytes()
    rng, blocks = np.random.default_rng(2), [whole, whole[:20], b"Exif\0\0M\0*\0"]
    for _ in range(200):
        block = np.frombuffer(whole, np.uint8).copy()
        block[rng.integers(6, len(block), 4)] = rng.integers(0, 256, 4)
        blocks.append(block.tobytes())
    return blocks


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damaged_metadata_do_not_end_the_read(tmp_path):
    stripe = np.zeros((8, 8), np.uint8)
    stripe[:, :4] = 255
    for number, block in enumerate(damaged()):
        save(stripe, tmp_path / f"{number:03d}.png", exif=block)
    images = datasets.read_folder(tmp_path, 8)
    upright, turned = stripe / 127.5 - 1, np.rot90(stripe, -1) / 127.5 - 1
    assert len(images) == 203 and (images[0] == turned).all()
    known = [np.rot90(stripe, k) / 127.5 - 1 for k in range(4)]
    assert all(any((image == other).all() for other in known) for image in images)
    assert (images[2] == upright).all() and datasets.folder(tmp_path, 8)[1].shape == (8, 8)


def test_files_that_are_passed_over_are_counted_and_said(tmp_path):
    Image.new("L", (8, 8), 200).save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    for name in ("b.txt", "c.txt", "d.txt"):
        (tmp_path / name).write_text("no image")
    with pytest.warns(datasets.DataWarning) as said:
        assert len(datasets.read_folder(tmp_path, 8)) == 1
    (one,) = said
    assert one.message.passed_over == 4
    assert str(one.message) == (
        f"4 of 5 files in {tmp_path} were passed over, because Pillow cannot read them as images: "
        "b.txt, c.txt, cut.png and 1 more."
    )
    with pytest.warns(datasets.DataWarning, match="3 of 5 .* because they are not named like images: b.txt, c.txt, d"):
        assert len(datasets.folder(tmp_path, 8)) == 2


def test_hidden_folders_are_left_out_and_linked_ones_read_once(tmp_path):
    place, far = tmp_path / "photos", tmp_path / "far"
    for folder in (place / "real", place / ".thumbnails", far):
        folder.mkdir(parents=True)
    for level, path in enumerate((place / "real" / "1.png", place / ".thumbnails" / "2.png", far / "3.png"), 1):
        Image.new("L", (8, 8), 50 * level).save(path)
    os.symlink(place, place / "a-cycle")
    os.symlink(place / "real", place / "a-link-inside")
    os.symlink(far, place / "a-link")
    os.symlink(place, far / "back")
    os.symlink(far / "none.png", place / "a-broken-link.png")
    os.symlink(far / "3.png", place / "4.png")
    levels = ((read(place)[:, 0, 0] + 1) * 127.5).round()
    assert levels.tolist() == [150, 150, 50]  # 4.png, a-link/3.png, real/1.png
    np.testing.assert_array_equal(datasets.in_memory(datasets.folder(place, 8)), read(place))
