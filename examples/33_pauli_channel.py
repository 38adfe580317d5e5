"""Which errors does a noisy device make? The same channel by four experiments, with and without ancillas."""

from pathlib import Path

import jax
import numpy as np

import jaxsamp as js

OUT = Path("runs/examples")

channel = js.quantum.PauliChannel.from_labels(
    {"III": 0.88, "ZII": 0.04, "IZI": 0.03, "IIX": 0.02, "XXI": 0.02, "IZZ": 0.01}  # two of them are of two qubits
)
for method, shots in (("bell", 45_000), ("stabilizer", 5_000), ("product", 45_000), ("decay", 1_000)):
    lossy = {"visibility": 0.9} if method == "decay" else {}
    data = js.quantum.measure_channel(jax.random.key(1), channel, shots, method, **lossy)
    found = js.quantum.pauli_eigenvalues(data)
    off = found.eigenvalues.values - np.asarray(channel.eigenvalues)[found.eigenvalues.indices]
    seen = 0 if found.rates is None else int((found.rates.low > 0.003).sum()) - 1
    print(f"{method:10} {data.uses:9,} uses: eigenvalues to {np.abs(off).max():.4f}, errors seen: {seen}")
    if method == "product":
        facts = js.recipes.pauli_facts(data, found, channel)
        figure = js.recipes.pauli_picture(facts, "Random product probes, without ancillas")
        print("           found:", ", ".join(label for label in found.rates.labels if label != "III"))

test = js.quantum.counter_test(3, 0.9, run=14, repeats=8)
print(
    f"two ancillas, one measurement: {test.uses:,} uses, {test.false_positive:.2f} false, {test.true_positive:.2f} true"
)

OUT.mkdir(parents=True, exist_ok=True)
js.plots.save(figure, OUT / "33_pauli_channel.png")
