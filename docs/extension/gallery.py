"""Run examples, keep a small copy of one picture of each in docs/gallery, and write the page of all of them there.

`python docs/extension/gallery.py` runs the examples that have no thumbnail yet, and with names, such as
`01_sample_a_mixture`, it runs those again. They take from seconds to minutes. Of several pictures it keeps the one that
is named as the example, or the first. `--pictures FOLDER` runs nothing, and takes what examples have written there.
"""

import argparse
import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from example_pages import gallery
from PIL import Image

ROOT = Path(__file__).parents[2]
THUMBNAILS = ROOT / "docs" / "gallery"
WIDTH, BYTES = 560, 40_000  # the most that a thumbnail has, in pixels and on disk


def run(name: str, folder: Path) -> Path:
    """Run an example in a folder; the folder of its pictures."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "kernels"), os.environ.get("PYTHONPATH", "")])
    settings = os.environ | {"PYTHONPATH": path, "MPLBACKEND": "Agg"}
    subprocess.run([sys.executable, ROOT / "examples" / f"{name}.py"], cwd=folder, env=settings, check=True)
    return folder / "runs" / "examples"


def chosen(name: str, pictures: Path) -> Path | None:
    """The picture of an example that stands for it, or None if it wrote none."""
    own = pictures / f"{name}.png"
    return own if own.exists() else next(iter(sorted(pictures.glob(f"{name[:2]}_*.png"))), None)


def thumbnail(picture: Path) -> bytes:
    """The picture as a PNG with a palette: as wide and with as many colors as the limits allow."""
    whole = Image.open(picture).convert("RGB")
    for width in (WIDTH, 480, 400, 320, 240):
        small = whole.copy()
        small.thumbnail((width, width), Image.Resampling.LANCZOS)
        for colors in (128, 64, 32):
            out = io.BytesIO()
            small.quantize(colors, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
            if out.tell() <= BYTES:
                return out.getvalue()
    raise ValueError(f"picture must fit into {BYTES} bytes at 240 pixels; got {picture}.")


def main() -> None:
    """Make the thumbnails that are missing or named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("examples", nargs="*", help="names without .py; by default all that have no thumbnail")
    parser.add_argument("--pictures", type=Path, help="take pictures from this folder and run nothing")
    settings = parser.parse_args()
    every = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))
    unknown = set(settings.examples) - set(every)
    if unknown:
        parser.error(f"examples must be names of files in examples/ without .py; got {', '.join(sorted(unknown))}.")
    THUMBNAILS.mkdir(exist_ok=True)
    for name in settings.examples or [name for name in every if not (THUMBNAILS / f"{name}.png").exists()]:
        with tempfile.TemporaryDirectory() as folder:
            picture = chosen(name, settings.pictures or run(name, Path(folder)))
            if picture is not None:
                data = thumbnail(picture)
                (THUMBNAILS / f"{name}.png").write_bytes(data)
                print(f"{name}: {len(data)} bytes", flush=True)
        (THUMBNAILS / "README.md").write_text(gallery(ROOT))


if __name__ == "__main__":
    main()
