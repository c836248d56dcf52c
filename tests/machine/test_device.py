import jax
import keras
import numpy as np
import pytest
import torch

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.machine import device


@pytest.fixture
def visible(monkeypatch):
    def visible(n_devices):
        monkeypatch.setattr(torch.cuda, "device_count", lambda: n_devices)

    return visible


@pytest.mark.parametrize(
    ("wanted", "n_devices", "chosen"),
    [
        ("auto", 0, "cpu"),
        ("auto", 2, "cuda:0"),
        ("cpu", 2, "cpu"),
        ("cuda", 1, "cuda:0"),
        ("cuda:1", 2, "cuda:1"),
    ],
)
def test_a_visible_gpu_is_used_unless_the_config_says_otherwise(visible, wanted, n_devices, chosen):
    visible(n_devices)

    assert str(device.choose(wanted, "torch")) == chosen


@pytest.mark.parametrize(
    ("wanted", "backend", "n_devices", "sentence"),
    [
        ("cuda", "torch", 0, r'"device" is "cuda" but PyTorch .* sees no CUDA device on'),
        ("cuda:2", "torch", 2, '"device" is "cuda:2" but PyTorch .* sees only cuda:0, cuda:1'),
        ("cuda", "jax", 1, r'"device" is "cuda" but JAX .* sees no CUDA device on'),
        ("cuda", "tensorflow", 1, "the backend tensorflow chooses its device itself"),
    ],
)
def test_a_device_that_cannot_be_is_one_sentence(visible, wanted, backend, n_devices, sentence):
    visible(n_devices)

    with pytest.raises(ConfigError, match=sentence) as error:
        device.choose(wanted, backend)

    assert "\n" not in str(error.value)


def test_tensorflow_chooses_for_itself(visible):
    visible(1)

    assert device.choose("auto", "tensorflow").type == "cpu"


def test_networks_train_where_they_can_be_measured(visible, monkeypatch):
    monkeypatch.setattr(jax, "devices", lambda platform: ["one", "another"])
    visible(0)
    assert str(device.choose("auto", "jax")) == "cpu"

    visible(2)
    assert str(device.choose("auto", "jax")) == "cuda:0"
    assert str(device.choose("cuda:1", "jax")) == "cuda:1"


def test_the_record_says_where_on_which_version():
    described = device.description(torch.device("cpu"))

    assert described == {"device": "cpu", "torch": torch.__version__}


@pytest.mark.gpu
def test_the_record_of_a_gpu_says_its_name_memory_and_driver():
    described = device.description(torch.device("cuda:0"))

    assert described["name"]
    assert described["memory_bytes"] > 2**30
    assert described["cuda"] == torch.version.cuda
    assert "driver" in described


def test_keras_makes_what_it_makes_on_the_chosen_device():
    with device.chosen(torch.device("cpu")):
        (made_on,) = keras.Variable(np.zeros(2)).value.devices()

    assert made_on.platform == "cpu"


def test_rows_are_selected_from_tensors_and_arrays_alike():
    values = np.arange(6).reshape(3, 2)

    np.testing.assert_array_equal(device.select(values, [0, 2]), values[[0, 2]])
    np.testing.assert_array_equal(device.select(torch.tensor(values), [0, 2]), values[[0, 2]])
    assert device.select(values, [0, 1, 2]) is values
