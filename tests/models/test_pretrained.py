"""Folders of diffusers as denoisers: what is read, what is refused, and the samples of pipelines."""

import json
import shutil
import sys
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import jaxsamp as js
from jaxsamp.models.diffusers import configs, load
from jaxsamp.models.diffusers.transformer2d import LAYERS
from jaxsamp.models.diffusers.weights import torch_tensors
from tests.models.diffusers_cases import FROZEN, SCHEDULER, about, freeze, frozen, written

PIPELINES = frozen("pipelines")
ABOUT = about(PIPELINES[""]["about"])
SAVED = FROZEN / "saved"
DECODER = about(frozen("AutoencoderKL")["one-level"]["about"])
UNET = about(frozen("UNet2DModel")["attention"]["about"])["config"]
CLASSES = about(frozen("UNet2DModel")["scale-shift"]["about"])["config"]
DIT = about(frozen("DiTTransformer2DModel")["pixels"]["about"])["config"]
SAMPLES = 1e-3  # of images in [0, 1]
SAMPLERS = {
    "DDIMScheduler": js.samplers.DDIM(),
    "UniPCMultistepScheduler": js.samplers.UniPC(lower_order_final="denoise"),
}


@pytest.fixture(scope="module")
def saved():
    return js.models.pretrained(SAVED)


def test_a_folder_with_several_files_of_weights(saved):
    assert saved.apply.event_shape == (8, 8, 3) and saved.prediction == "epsilon" and len(saved.schedule.lam) == 1000
    down = saved.params["down_blocks.1"]["attentions.0"]
    np.testing.assert_array_equal(
        down["to_q"]["kernel"], freeze.drawn("down_blocks.1.attentions.0.to_q.weight", (4, 4)).T
    )
    theirs = freeze.drawn("conv_in.weight", (4, 3, 3, 3))
    np.testing.assert_array_equal(saved.params["conv_in"]["kernel"], theirs.transpose(2, 3, 1, 0))


def test_a_folder_of_the_network_alone_finds_the_scheduler_beside_it_and_is_the_same_program(saved):
    again = js.models.pretrained(str(SAVED / "unet"))
    assert jax.tree.structure(again) == jax.tree.structure(saved) and hash(again.apply) == hash(saved.apply)
    assert jax.tree.all(jax.tree.map(lambda a, b: (np.asarray(a) == np.asarray(b)).all(), again, saved))


def grid_of(denoiser, config):
    name, own = config["_class_name"], {"spacing": config["timestep_spacing"], "steps_offset": config["steps_offset"]}
    return js.grids.diffusers(denoiser.schedule, freeze.STEPS, name, **own)


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", SAMPLERS)
def test_samples_of_a_unet_are_those_of_a_pipeline(tmp_path, scheduler):
    case = PIPELINES[f"unet/{scheduler}"]
    config = about(case["scheduler"])
    denoiser = js.models.pretrained(written(tmp_path, ABOUT["unet"], config))
    options = {"grid": grid_of(denoiser, config), "init": case["init"]}
    x = js.sample(jax.random.key(0), denoiser, case["init"].shape, SAMPLERS[scheduler], **options).x
    assert 0.5 < ((case["x"] > 0) & (case["x"] < 1)).mean()
    np.testing.assert_allclose(np.clip(x / 2 + 0.5, 0, 1), case["x"], atol=SAMPLES)


@pytest.mark.parametrize(
    "scheduler", [pytest.param("DDIMScheduler", marks=pytest.mark.slow), "UniPCMultistepScheduler"]
)
def test_guided_images_of_a_transformer_are_those_of_a_pipeline(tmp_path, scheduler):
    case = PIPELINES[f"dit/{scheduler}"]
    config = about(case["scheduler"])
    for name in ("transformer", "vae"):
        written(tmp_path / name, ABOUT[name])
    (tmp_path / "scheduler").mkdir()
    (tmp_path / "scheduler" / "scheduler_config.json").write_text(json.dumps(config))
    denoiser, decode = js.models.pretrained(tmp_path), js.models.pretrained_decoder(tmp_path)
    assert load.has_decoder(tmp_path) and not load.has_decoder(SAVED)
    guided = js.guide(denoiser, freeze.GUIDANCE, denoiser.apply.network.null_label)
    options = {"grid": grid_of(denoiser, config), "init": case["init"], "cond": jnp.array(freeze.LABELS)}
    x = js.sample(jax.random.key(0), guided, case["init"].shape, SAMPLERS[scheduler], **options).x
    assert 0.5 < ((case["x"] > 0) & (case["x"] < 1)).mean()
    np.testing.assert_allclose(np.clip(decode(x) / 2 + 0.5, 0, 1), case["x"], atol=SAMPLES)


def test_a_learned_variance_is_left_out_and_gray_images_need_no_axis(tmp_path, monkeypatch):
    scheduler = SCHEDULER | {"variance_type": "learned_range"}
    denoiser = js.models.pretrained(
        written(tmp_path, about(frozen("DiTTransformer2DModel")["learned-variance"]["about"]), scheduler)
    )
    assert denoiser.prediction == "v" and denoiser.apply.event_shape == (8, 8, 4)
    network = type(denoiser.apply.network)(in_channels=1, out_channels=2)
    monkeypatch.setattr(type(network), "apply", lambda self, params, x, t, cond: jnp.concatenate([x + 1, 0 * x], -1))
    x = jnp.ones((3, 8, 8))
    np.testing.assert_array_equal(load.DiffusersNetwork(network)({}, x, jnp.zeros(3, int)), x + 1)


def test_labels_are_checked_at_the_front_door(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(CLASSES))
    network = load.DiffusersNetwork(configs.network_of(tmp_path))
    network.check_cond(jnp.array([0, 4]), 2)
    with pytest.raises(
        ValueError, match=r"cond must have labels from 0 to 4, for a network of classes=5; got .* 0 to 5"
    ):
        network.check_cond(jnp.array([0, 5]), 2)
    (tmp_path / "config.json").write_text(json.dumps(DIT))
    network = load.DiffusersNetwork(configs.network_of(tmp_path))
    network.check_cond(jnp.array([0, 5]), 2)  # 5 is no label
    with pytest.raises(ValueError, match="cond must have labels from 0 to 4, or 5 for no label"):
        network.check_cond(jnp.array([0, 6]), 2)


REFUSED = {  # per change of a config: the sentence
    "unknown": (
        UNET,
        {"attention_kind": "x"},
        r"config.json must hold known settings of UNet2DModel only; got 'attention_kind'",
    ),
    "near": (UNET, {"norm_epsilon": 1}, "got 'norm_epsilon'"),
    "class": (
        UNET,
        {"_class_name": "UNet2DConditionModel"},
        "_class_name in .* must be one of .*; got 'UNet2DConditionModel'",
    ),
    "block": (
        UNET,
        {"down_block_types": ["DownBlock2D", "SkipDownBlock2D"]},
        "each of down_block_types .*; got 'SkipDownBlock2D'",
    ),
    "blocks": (UNET, {"up_block_types": ["UpBlock2D"]}, "up_block_types .* must be as many as block_out_channels, 2"),
    "act": (UNET, {"act_fn": "tanh"}, "act_fn in .* must be one of 'silu', .*; got 'tanh'"),
    "groups": (UNET, {"norm_num_groups": 3}, "block_out_channels .* must be divisible by norm_num_groups = 3; got 8"),
    "layers": (UNET, {"layers_per_block": 0}, "layers_per_block in .* must be at least 1; got 0"),
    "number": (UNET, {"freq_shift": True}, "freq_shift in .* must be a number; got True"),
    "type": (DIT, {"sample_size": None}, "sample_size in .* must be an integer; got None"),
    "learned": (UNET, {"time_embedding_type": "learned"}, "num_train_timesteps in .* must be given"),
    "fourier": (
        UNET,
        {"time_embedding_type": "fourier"},
        "time_embedding_type in place must be 'positional' or 'learned'",
    ),
    "out": (UNET, {"out_channels": 4}, "out_channels in place must be in_channels = 3 or twice as many; got 4"),
    "norm": (
        DIT,
        {"norm_type": "ada_norm"},
        "norm_type in .* is not supported as 'ada_norm'; it may be 'ada_norm_zero'",
    ),
    "width": (DIT, {"attention_head_dim": 3}, "must be divisible by 4; got 6"),
    "decoder": (DECODER["config"], {}, "place must hold a UNet or a transformer; .* has a AutoencoderKLDecoder"),
    "means": (
        DECODER["config"],
        {"latents_mean": [0.0]},
        r"latents_mean in .* is not supported as \[0.0\]; it may be None",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_config_is_refused_by_name(tmp_path, name):
    config, changes, sentence = REFUSED[name]
    (tmp_path / "config.json").write_text(json.dumps(config | changes))
    (tmp_path / "scheduler_config.json").write_text(json.dumps(SCHEDULER))
    with pytest.raises(ValueError, match=sentence):
        js.models.pretrained(tmp_path)


def test_an_older_config_of_a_transformer_is_understood(tmp_path):
    old = {
        "_class_name": "Transformer2DModel",
        "cross_attention_dim": None,
        "double_self_attention": False,
        "norm_num_groups": 32,
    }
    (tmp_path / "config.json").write_text(json.dumps(DIT | old))
    assert configs.network_of(tmp_path).num_layers == DIT["num_layers"]


def test_older_names_of_attention_are_understood(tmp_path):
    written(tmp_path, DECODER)
    file = tmp_path / "diffusion_pytorch_model.safetensors"
    new = js.models.pretrained_decoder(tmp_path)
    names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    weights = {}
    for name, array in load_file(file).items():
        for now, then in names.items():
            name = name.replace(f".{now}.", f".{then}.")
        weights[name] = array
    save_file(weights, file)
    assert jax.tree.all(jax.tree.map(np.array_equal, js.models.pretrained_decoder(tmp_path), new))


def test_stored_precision_is_kept(tmp_path):
    file = written(tmp_path, DECODER) / "diffusion_pytorch_model.safetensors"
    save_file({name: array.astype(np.float16) for name, array in load_file(file).items()}, file)
    decode = js.models.pretrained_decoder(tmp_path)
    assert {leaf.dtype for leaf in jax.tree.leaves(decode.params)} == {jnp.dtype("float16")}


def without(weights):
    del weights["decoder.conv_in.bias"]


def one_more(weights):
    weights["decoder.conv_out.scale"] = np.zeros(3, np.float32)


def other_shape(weights):
    weights["decoder.conv_in.weight"] = np.zeros((8, 4, 1, 1), np.float32)


def whole_numbers(weights):
    weights["decoder.conv_in.bias"] = np.zeros(8, np.int64)


CHANGED = {
    without: "has 'decoder.conv_in.bias', which the files lack",
    one_more: "has 'decoder.conv_out.scale', which AutoencoderKLDecoder has not",
    other_shape: r"'decoder.conv_in.weight' must have shape \(8, 4, 3, 3\) .* has shape \(8, 4, 1, 1\) of F32",
    whole_numbers: "'decoder.conv_in.bias' must have .* real numbers .* of I64",
}


@pytest.mark.parametrize("change", CHANGED, ids=lambda change: change.__name__)
def test_other_tensors_are_refused_by_name(tmp_path, change):
    file = written(tmp_path, DECODER) / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    change(weights)
    save_file(weights, file)
    with pytest.raises(ValueError, match=CHANGED[change]):
        js.models.pretrained_decoder(tmp_path)


def test_a_damaged_or_pickled_file_is_one_sentence(tmp_path):
    file = written(tmp_path, DECODER) / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(ValueError, match="place must hold safetensors files; .* could not be read"):
        js.models.pretrained_decoder(tmp_path)
    file.rename(tmp_path / "diffusion_pytorch_model.bin")
    with pytest.raises(ValueError, match="place must hold .* Files of pickled weights are not read"):
        js.models.pretrained_decoder(tmp_path)
    index = tmp_path / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "../other.safetensors"}}))
    with pytest.raises(ValueError, match="must name files of its own folder; got '../other.safetensors'"):
        js.models.pretrained_decoder(tmp_path)
    index.write_text("{}")
    with pytest.raises(ValueError, match="place must hold a readable .*index.json; got KeyError"):
        js.models.pretrained_decoder(tmp_path)


def test_places_that_are_none(tmp_path):
    with pytest.raises(ValueError, match="place must be a folder, or hf: and a repository; there is no folder nowhere"):
        js.models.pretrained("nowhere")
    with pytest.raises(ValueError, match="place must hold config.json of a UNet or a transformer; .* has none"):
        js.models.pretrained(tmp_path)
    shutil.copytree(SAVED / "unet", tmp_path / "unet")
    with pytest.raises(ValueError, match="place must hold scheduler_config.json in itself or in scheduler"):
        js.models.pretrained(tmp_path)
    (tmp_path / "unet" / "config.json").write_text("[1]")
    with pytest.raises(ValueError, match="place must hold a config.json of settings by name; got .* with a list"):
        js.models.pretrained(tmp_path)


def test_a_repository_is_copied_without_other_files(monkeypatch, saved):
    calls = []
    hub, errors = ModuleType("huggingface_hub"), ModuleType("huggingface_hub.errors")
    for name in ("HfHubHTTPError", "HFValidationError", "LocalEntryNotFoundError"):
        setattr(errors, name, type(name, (Exception,), {}))

    def snapshot_download(repo, **options):
        calls.append((repo, options))
        if repo == "none":
            raise errors.HfHubHTTPError("404\nmore")
        return SAVED

    hub.snapshot_download = snapshot_download
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    monkeypatch.setitem(sys.modules, "huggingface_hub.errors", errors)
    found = js.models.pretrained("hf:someone/something@main")
    assert jax.tree.structure(found) == jax.tree.structure(saved)
    repo, options = calls[0]
    assert (repo, options["revision"]) == ("someone/something", "main")
    assert not any(pattern.endswith((".bin", "*")) for pattern in options["allow_patterns"])
    with pytest.raises(ValueError, match=r"place must be a repository that can be read; got hf:none \(404\)"):
        js.models.pretrained("hf:none")


def test_a_repository_without_the_package_of_the_hub_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(
        ModuleNotFoundError, match=r"^a repository, hf:x/y, needs huggingface-hub, which is not installed"
    ):
        js.models.pretrained("hf:x/y")


def test_what_is_saved_has_the_names_and_axes_of_torch(tmp_path, saved):
    js.models.save_pretrained(tmp_path / "new", saved.apply.network, saved.params, SCHEDULER)
    tensors = load_file(tmp_path / "new" / "diffusion_pytorch_model.safetensors")
    stored = {}
    for file in (SAVED / "unet").glob("*.safetensors"):
        stored |= load_file(file)
    assert tensors.keys() == stored.keys() and all(np.array_equal(tensors[name], stored[name]) for name in stored)
    again = js.models.pretrained(tmp_path / "new")
    assert again.apply == saved.apply and again.prediction == "v"
    with pytest.raises(ValueError, match="config must hold known settings"):
        js.models.save_pretrained(tmp_path, saved.apply.network, saved.params, {"betas": 3})


def test_weights_that_were_in_several_files_are_replaced(tmp_path, saved):
    for file in (SAVED / "unet").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    assert len([*tmp_path.glob("*.safetensors")]) > 1
    zeros = jax.tree.map(np.zeros_like, saved.params)
    js.models.save_pretrained(tmp_path, saved.apply.network, zeros, SCHEDULER)
    assert not any(leaf.any() for leaf in jax.tree.leaves(js.models.pretrained(tmp_path).params))
    assert [file.name for file in tmp_path.glob("*safetensors*")] == ["diffusion_pytorch_model.safetensors"]


def test_stacked_layers_of_a_transformer_are_saved_apart(tmp_path):
    description = ABOUT["transformer"]
    denoiser = js.models.pretrained(written(tmp_path, description, SCHEDULER))
    tensors = torch_tensors(denoiser.params, LAYERS)
    assert {name: list(array.shape) for name, array in tensors.items()} == description["shapes"]
    assert all(np.array_equal(array, freeze.drawn(name, array.shape)) for name, array in tensors.items())


@pytest.mark.slow
def test_what_is_saved_loads_in_diffusers(tmp_path, saved):
    diffusers = pytest.importorskip("diffusers", reason="diffusers and torch are in the extra 'bench'")
    js.models.save_pretrained(tmp_path, saved.apply.network, saved.params, SCHEDULER)
    theirs = diffusers.UNet2DModel.from_pretrained(tmp_path)
    for name, tensor in theirs.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), freeze.drawn(name, tuple(tensor.shape)))
