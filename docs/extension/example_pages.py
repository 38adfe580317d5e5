"""What an example says of itself, and the page of all of them, with a picture where there is one."""

import ast
import json
from pathlib import Path

WRITTEN = {"rbm": "RBM", "sparameters": "S-parameters"}  # where the name of a file can't say it
HEAD = """# Examples

Short programs to start from: `python examples/01_sample_a_mixture.py` prints what it finds, and writes its picture to
`runs/examples`. Most take less than a minute on two CPU cores, a few some minutes.

| | |
|---|---|
"""


def title(stem: str) -> str:
    """The title of an example, by its name: of `01_sample_a_mixture`, "1. Sample a mixture"."""
    number, first, *words = stem.split("_")
    return " ".join([f"{int(number)}.", WRITTEN.get(first, first.capitalize()), *words])


def halves(text: str) -> tuple[str, str]:
    """The docstring of a file, and its code."""
    module = ast.parse(text)
    return ast.get_docstring(module) or "", "\n".join(text.splitlines()[module.body[0].end_lineno :]).strip("\n") + "\n"


def summary(path: Path) -> str:
    """The first sentence of the docstring of a file."""
    first = " ".join(halves(path.read_text())[0].split("\n\n")[0].split("\n"))
    return first.partition(". ")[0].rstrip(".") + ("" if first.partition(".")[0].endswith("?") else ".")


def heading(notebook: Path) -> str:
    """The title of a notebook, the first line of its first cell."""
    return "".join(json.loads(notebook.read_text())["cells"][0]["source"]).splitlines()[0].removeprefix("# ")


def gallery(root: Path) -> str:
    """The page of examples: those with a picture in two columns, then the others, then the notebooks."""
    cells, others = [], []
    for path in sorted((root / "examples").glob("*.py")):
        link, text = f"../../examples/{path.name}", summary(path).replace("|", r"\|")
        if (root / "docs" / "gallery" / f"{path.stem}.png").exists():
            picture = f"[![{title(path.stem)}]({path.stem}.png)]({link})"
            cells.append(f"{picture}<br>[{title(path.stem)}]({link})<br>{text}")
        else:
            others.append(f"- [{title(path.stem)}]({link}): {text}")
    cells += [""] * (len(cells) % 2)
    rows = [f"| {left} | {right} |" for left, right in zip(cells[::2], cells[1::2], strict=True)]
    notebooks = [
        f"- [{heading(path)}](../../examples/{path.name})" for path in sorted((root / "examples").glob("*.ipynb"))
    ]
    parts = ["\n".join(rows), "Without a picture here:", "\n".join(others), "Notebooks, stored as they ran:"]
    return HEAD + "\n\n".join([*parts, "\n".join(notebooks)]) + "\n"
