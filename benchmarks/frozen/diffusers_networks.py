"""Outputs of diffusers' networks and pipelines, frozen for tests that run without diffusers.

Writes tests/models/frozen/: per architecture one file of configurations with few channels, inputs and outputs in
float32 and in float64; one file of samples by pipelines; and a small folder as `save_pretrained` writes it. Weights are
drawn by a rule from their names, so that files hold only names and shapes. In float64 the waves of a time, which
diffusers computes in float32 whatever the network, are computed in float64 too. Needs NumPy, torch and diffusers:
python benchmarks/frozen/diffusers_networks.py
"""

import json
import math
import zlib
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parents[2] / "tests" / "models" / "frozen"
SEED, BATCH = 0, 2
OUTPUTS = ("conv_out.weight", "proj_out_2.weight")  # small, so that few pixels of pipelines are clipped

UNET = {"sample_size": 8, "block_out_channels": [8, 16], "norm_num_groups": 4, "layers_per_block": 1}
PLAIN = {"down_block_types": ["DownBlock2D", "AttnDownBlock2D"], "up_block_types": ["AttnUpBlock2D", "UpBlock2D"]}
UNETS = {
    "attention": UNET | PLAIN,
    "cifar": UNET
    | {
        "layers_per_block": 2,
        "down_block_types": ["AttnDownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "AttnUpBlock2D"],
        "attention_head_dim": None,
        "downsample_padding": 0,
        "flip_sin_to_cos": False,
        "freq_shift": 1,
        "norm_eps": 1e-6,
    },
    "scale-shift": UNET
    | {
        "down_block_types": ["ResnetDownsampleBlock2D", "AttnDownBlock2D"],
        "up_block_types": ["AttnUpBlock2D", "ResnetUpsampleBlock2D"],
        "resnet_time_scale_shift": "scale_shift",
        "num_class_embeds": 5,
        "act_fn": "mish",
        "out_channels": 6,
    },
    "learned-time": UNET
    | {
        "in_channels": 1,
        "out_channels": 1,
        "norm_num_groups": 2,
        "down_block_types": ["UNetResDownBlock2D", "UNetResAttnDownBlock2D"],
        "up_block_types": ["UNetResUpBlock2D", "UNetResUpBlock2D"],
        "time_embedding_type": "learned",
        "num_train_timesteps": 1000,
        "time_embedding_dim": 20,
        "mid_block_type": None,
        "act_fn": "gelu",
    },
    "fourier": UNET
    | {
        "block_out_channels": [8, 12],
        "norm_num_groups": 4,
        "down_block_types": ["AttnDownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "AttnUpBlock2D"],
        "downsample_type": "resnet",
        "upsample_type": "resnet",
        "time_embedding_type": "fourier",
        "center_input_sample": True,
        "class_embed_type": "identity",
        "mid_block_scale_factor": math.sqrt(2),
        "attn_norm_num_groups": 2,
        "attention_head_dim": 5,
    },
    "class-time": UNET | PLAIN | {"class_embed_type": "timestep", "add_attention": False, "act_fn": "relu"},
}
DIT = {"num_attention_heads": 2, "attention_head_dim": 8, "num_layers": 2, "sample_size": 8, "num_embeds_ada_norm": 5}
DITS = {
    "learned-variance": DIT | {"out_channels": 8},
    "affine": DIT
    | {"in_channels": 1, "patch_size": 4, "activation_fn": "geglu", "norm_elementwise_affine": True, "norm_eps": 1e-3},
    "other-size": DIT | {"in_channels": 3, "sample_size": 4, "activation_fn": "gelu-approximate", "num_layers": 3},
    "no-bias": DIT | {"attention_bias": False, "activation_fn": "swiglu", "num_attention_heads": 3},
    "pixels": DIT | {"in_channels": 1, "patch_size": 1, "sample_size": 4, "activation_fn": "linear-silu"},
}
VAE = {"norm_num_groups": 4, "block_out_channels": [8]}
VAES = {
    "one-level": VAE,
    "two-levels": VAE
    | {
        "block_out_channels": [8, 16],
        "layers_per_block": 2,
        "down_block_types": ["DownEncoderBlock2D"] * 2,
        "up_block_types": ["UpDecoderBlock2D"] * 2,
    },
    "shifted": VAE | {"use_post_quant_conv": False, "use_quant_conv": False, "shift_factor": 0.1, "latent_channels": 6},
    "no-attention": VAE | {"mid_block_add_attention": False, "act_fn": "mish", "out_channels": 1},
    "three-levels": VAE
    | {
        "block_out_channels": [4, 8, 8],
        "norm_num_groups": 2,
        "latent_channels": 3,
        "scaling_factor": 0.5,
        "down_block_types": ["DownEncoderBlock2D"] * 3,
        "up_block_types": ["UpDecoderBlock2D"] * 3,
    },
}
ARCHITECTURES = {"UNet2DModel": UNETS, "DiTTransformer2DModel": DITS, "AutoencoderKL": VAES}
SIDE, LATENT_SIDE = 8, 4
SCHEDULER = {"prediction_type": "v_prediction", "clip_sample": False}
GUIDANCE, LABELS, STEPS = 3.0, (1, 3), 10


def drawn(name, shape):
    """The weights of a name, whatever the version of NumPy: standard deviation 1 / sqrt(inputs); norms about 1."""
    values = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    if len(shape) > 1:
        values /= np.sqrt(np.prod(shape[1:])) * (4 if name.endswith(OUTPUTS) else 1)
    else:
        values = name.endswith("weight") + 0.1 * values
    return values.astype(np.float32)


def made(kind, config):
    """A network of diffusers with these weights."""
    import diffusers
    import torch

    network = getattr(diffusers, kind)(**config).eval()
    state = {name: torch.tensor(drawn(name, tuple(w.shape))) for name, w in network.state_dict().items()}
    network.load_state_dict(state)
    return network


def wide_waves(timesteps, embedding_dim, flip_sin_to_cos=False, downscale_freq_shift=1, **_):
    """The waves of a time in float64."""
    import torch

    half = embedding_dim // 2
    frequencies = 10000.0 ** (-torch.arange(half, dtype=torch.float64) / (half - downscale_freq_shift))
    angles = timesteps.double()[:, None] * frequencies
    both = [torch.cos(angles), torch.sin(angles)] if flip_sin_to_cos else [torch.sin(angles), torch.cos(angles)]
    return torch.nn.functional.pad(torch.cat(both, -1), (0, embedding_dim % 2))


def inputs(kind, config):
    """Arguments of a network as NumPy arrays, images with their channels last."""
    random = np.random.RandomState(SEED)
    if kind == "AutoencoderKL":
        return {"x": random.standard_normal((BATCH, LATENT_SIDE, LATENT_SIDE, config.get("latent_channels", 4)))}
    channels = config.get("in_channels", 3 if kind == "UNet2DModel" else 4)
    found = {"x": random.standard_normal((BATCH, SIDE, SIDE, channels)), "t": np.array([3, 977])}
    if config.get("time_embedding_type") == "fourier":
        found["t"] = np.array([0.7, 20.3])
    if config.get("class_embed_type") == "identity":
        found["cond"] = random.standard_normal((BATCH, 4 * config["block_out_channels"][0]))
    elif kind != "UNet2DModel" or "num_class_embeds" in config or "class_embed_type" in config:
        found["cond"] = np.array([2, 5 if kind != "UNet2DModel" else 4])  # 5 is "no label"
    return found


def output(kind, network, given, dtype):
    """What the network gives, with the channels last."""
    import torch
    from diffusers.models import embeddings

    real = lambda a: torch.tensor(a, dtype=dtype if a.dtype.kind == "f" else torch.long)  # noqa: E731
    shipped = embeddings.get_timestep_embedding
    try:
        if dtype == torch.float64:
            embeddings.get_timestep_embedding = wide_waves
        with torch.no_grad():
            x = real(given["x"]).permute(0, 3, 1, 2)
            network = network.to(dtype)
            if kind == "AutoencoderKL":
                config = network.config
                out = network.decode(x / config.scaling_factor + (config.shift_factor or 0)).sample
            else:
                cond = {"class_labels": real(given["cond"])} if "cond" in given else {}
                out = network(x, real(given["t"]), **cond).sample
    finally:
        embeddings.get_timestep_embedding = shipped
    return out.permute(0, 2, 3, 1).numpy()


def case(kind, config):
    """The config as it is saved, the names and shapes of the tensors, and numbers."""
    import torch

    network = made(kind, config)
    given = inputs(kind, config)
    out = {str(dtype).split(".")[1]: output(kind, network, given, dtype) for dtype in (torch.float32, torch.float64)}
    shapes = {name: list(w.shape) for name, w in network.state_dict().items()}
    about = {"config": json.loads(network.to_json_string()), "shapes": shapes}
    return given | out | {"about": np.array(json.dumps(about))}


def pipelines():
    """Samples of pipelines, from the same first noise: of a U-Net, and of a transformer with guidance and a decoder."""
    import diffusers
    import torch

    unet = made("UNet2DModel", UNETS["attention"])
    small = DIT | {"num_layers": 1, "out_channels": 8, "num_embeds_ada_norm": 1000}
    transformer, vae = made("DiTTransformer2DModel", small), made("AutoencoderKL", VAES["one-level"])
    found = {}
    for name in ("DDIMScheduler", "UniPCMultistepScheduler"):
        own = SCHEDULER if name == "DDIMScheduler" else {"prediction_type": "v_prediction"}
        scheduler = getattr(diffusers, name)(**own)
        start = torch.randn((BATCH, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(SEED))
        found[f"unet/{name}"] = start, unet_samples(unet, scheduler, start), scheduler
        start = torch.randn((BATCH, 4, SIDE, SIDE), generator=torch.Generator().manual_seed(SEED))
        pipeline = diffusers.DiTPipeline(transformer, vae, scheduler)
        pipeline.set_progress_bar_config(disable=True)
        generator = torch.Generator().manual_seed(SEED)
        options = {"num_inference_steps": STEPS, "generator": generator, "output_type": "pt", "return_dict": False}
        found[f"dit/{name}"] = start, pipeline([*LABELS], GUIDANCE, **options)[0], scheduler
    numbers = {}
    for name, (start, x, scheduler) in found.items():
        numbers[f"{name}/init"] = start.permute(0, 2, 3, 1).numpy()
        numbers[f"{name}/x"] = x.permute(0, 2, 3, 1).numpy()
        numbers[f"{name}/scheduler"] = np.array(scheduler.to_json_string())
    about = {}
    for name, network in (("unet", unet), ("transformer", transformer), ("vae", vae)):
        shapes = {key: list(w.shape) for key, w in network.state_dict().items()}
        about[name] = {"config": json.loads(network.to_json_string()), "shapes": shapes}
    return numbers | {"about": np.array(json.dumps(about))}


def unet_samples(unet, scheduler, start):
    """The images of DDIMPipeline, or its loop with another scheduler, in [0, 1]."""
    import diffusers
    import torch

    if isinstance(scheduler, diffusers.DDIMScheduler):
        pipeline = diffusers.DDIMPipeline(unet, scheduler)
        pipeline.set_progress_bar_config(disable=True)
        generator = torch.Generator().manual_seed(SEED)
        return pipeline(BATCH, generator, num_inference_steps=STEPS, output_type="pt", return_dict=False)[0]
    scheduler.set_timesteps(STEPS)
    x = start * scheduler.init_noise_sigma
    with torch.no_grad():
        for t in scheduler.timesteps:
            x = scheduler.step(unet(x, t).sample, t, x).prev_sample
    return (x / 2 + 0.5).clamp(0, 1)


def save_folder(folder):
    """A pipeline as diffusers saves it, its weights in several files."""
    import diffusers

    config = UNETS["attention"] | {"block_out_channels": [4, 4], "attention_head_dim": 2, "norm_num_groups": 2}
    made("UNet2DModel", config).save_pretrained(folder / "unet", max_shard_size="12KB")
    diffusers.DDPMScheduler(variance_type="fixed_large").save_pretrained(folder / "scheduler")


def frozen():
    """What each file holds."""
    import diffusers

    diffusers.logging.set_verbosity_error()
    files = {}
    for kind, configs in ARCHITECTURES.items():
        arrays = {}
        for name, config in configs.items():
            arrays |= {f"{name}/{key}": value for key, value in case(kind, config).items()}
        files[kind] = arrays
    return files | {"pipelines": pipelines()}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True, parents=True)
    for name, arrays in frozen().items():
        np.savez_compressed(FOLDER / f"{name}.npz", **arrays)
        print(name, (FOLDER / f"{name}.npz").stat().st_size)
    save_folder(FOLDER / "saved")
