"""Networks that others have wrapped, packed or spread over processes."""

import dataclasses
import logging
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from deep_bottleneck import watch
from deep_bottleneck.errors import ConfigError

X = torch.rand(40, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(40) % 2
MEASURES = ["effective_information", "weight_graph_information", "efficiency", "similarity"]


def mlp():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))


class LowRank(nn.Module):
    """A frozen layer and what it learns beside, as adapters have it."""

    def __init__(self, base, rank=2):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.down = nn.Linear(base.in_features, rank, bias=False)
        self.up = nn.Linear(rank, base.out_features, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x):
        return self.base(x) + self.up(self.down(x))


def test_an_adapter_beside_a_frozen_layer():
    plain, adapted = mlp(), mlp()
    for index in (0, 2):
        adapted[index] = LowRank(adapted[index])
    watched = watch(
        adapted, data=(X, Y), measures=[*MEASURES, "gradient_noise"], batch_size=10,
        loss=nn.functional.cross_entropy,
    )  # fmt: skip
    before = watch(plain, data=(X, Y))

    watched.step()
    before.step()

    names = ["0.base", "0.down", "0.up", "2.base", "2.down", "2.up"]
    assert watched.layers["name"].tolist() == names
    base = watched.table[watched.table["name"].str.endswith("base")]
    assert base["MI_XM"].tolist() == before.table["MI_XM"].tolist()
    assert not adapted[0].base.weight.requires_grad
    assert watched.tables["gradient_noise"].query("measure == 'noise'")["value"].notna().all()


def test_what_wraps_a_layer_is_chosen_by_its_type():
    adapted = nn.Sequential(LowRank(nn.Linear(4, 5)), nn.Tanh(), nn.Linear(5, 2))

    assert watch(adapted, data=X, layers=LowRank).layers["name"].tolist() == ["0"]


@pytest.mark.filterwarnings("ignore")
def test_a_network_that_peft_has_adapted():
    peft = pytest.importorskip("peft", reason="needs peft: requirements/integrations.txt")
    plain, adapted = mlp(), mlp()
    chosen = peft.LoraConfig(r=2, target_modules=["0"], modules_to_save=["2"])
    adapted = peft.get_peft_model(adapted, chosen)
    places = ["0.base_layer", "0.lora_A.default", "0.lora_B.default", "2.modules_to_save.default"]

    parts = watch(adapted, data=(X, Y), estimators="binning=0.2")
    whole = watch(adapted, data=(X, Y), estimators="binning=0.2", layers="*.model.0")
    before = watch(plain, data=(X, Y), estimators="binning=0.2", layers="0")
    for watched in (parts, whole, before):
        watched.step()

    assert parts.layers["name"].tolist() == [f"base_model.model.{place}" for place in places]
    assert whole.layers["name"].tolist() == ["base_model.model.0"]
    # an adapter begins with nothing added
    assert whole.table["MI_XM"].tolist() == before.table["MI_XM"].tolist()
    assert parts.table["MI_XM"][0] == whole.table["MI_XM"][0]
    torch.nn.init.normal_(adapted.base_model.model[0].lora_B.default.weight)
    whole.step()
    with torch.no_grad():
        sums = adapted.base_model.model[0](X)
    by_hand = watch(nn.Identity(), data=(sums, Y), estimators="binning=0.2", layers=nn.Identity)
    by_hand.step()
    assert whole.table["MI_XM"].iloc[-1] == by_hand.table["MI_XM"].iloc[-1]


@pytest.fixture
def quantised():
    return torch.ao.quantization.quantize_dynamic(mlp(), {nn.Linear}, dtype=torch.qint8)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_quantised_layers_give_floats_and_what_they_cannot_give_is_named(quantised, caplog):
    watched = watch(quantised, data=(X, Y), measures=MEASURES, estimators="binning=0.2")

    watched.step()

    plain = watch(mlp(), data=(X, Y), estimators="binning=0.2")
    plain.step()
    np.testing.assert_allclose(watched.table["MI_XM"], plain.table["MI_XM"], atol=0.3)
    for name in MEASURES[:2]:
        assert watched.tables[name]["value"].isna().all()
        assert sum(f"{name}: " in text and "is NaN" in text for text in caplog.messages) >= 2
    with pytest.raises(ConfigError, match="0 has no weights that gradients can be of"):
        watch(
            quantised, data=(X, Y), measures=["gradient_noise"], batch_size=10,
            loss=nn.functional.cross_entropy,
        ).step()  # fmt: skip


def test_weights_that_are_nan_are_nan_in_all_tables(caplog):
    model = mlp()
    nn.init.constant_(model[0].weight, torch.nan)
    watched = watch(model, data=(X, Y), measures=MEASURES)

    watched.step()

    assert watched.table[["MI_XM", "MI_YM"]].isna().all(axis=None)
    for name in MEASURES[:2]:
        of_first = watched.tables[name].query("layer == 0")
        assert of_first["value"].isna().all()
    assert watched.tables["effective_information"].query("layer == 1")["value"].notna().any()
    assert "NaN or infinite" in caplog.text
    assert all(watched.plot(kind).axes for kind in ("informationplane", "trust", "causal_plane"))


@dataclasses.dataclass
class Output:
    """What a layer of one's own gives."""

    loss: torch.Tensor | None
    logits: torch.Tensor


class Giving(nn.Module):
    def __init__(self, form):
        super().__init__()
        self.weight, self.form = nn.Parameter(torch.ones(4, 3)), form

    def forward(self, x):
        return self.form(x @ self.weight)


@pytest.mark.parametrize(
    "form",
    [
        lambda y: Output(None, y),
        lambda y: (None, y),
        lambda y: {"loss": None, "logits": y},
        lambda y: [Output(None, y), y],
    ],
    ids=["dataclass", "tuple", "dictionary", "nested"],
)
def test_the_first_tensor_of_an_output_is_taken(form):
    watched = watch(Giving(form), data=X)

    watched.step()

    assert watched.layers["shape"].tolist() == [(3,)]


def test_complex_outputs_have_two_parts():
    model = nn.Sequential(nn.Linear(4, 3, dtype=torch.cfloat))
    imaginary = watch(model, data=(1j * X).to(torch.cfloat), estimators="binning=0.2")

    imaginary.step()

    assert imaginary.layers["shape"].tolist() == [(6,)]
    assert imaginary.table["ceiling"][0] == pytest.approx(np.log2(40))


class Scaling(nn.Module):
    """Normalises as many a model does by itself."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(5))

    def forward(self, x):
        return self.weight * x / x.norm(dim=-1, keepdim=True)


def test_a_scaling_of_units_is_no_layer(caplog):
    model = nn.Sequential(nn.Linear(4, 5), Scaling(), nn.LayerNorm(5), nn.PReLU(), nn.Linear(5, 2))

    with caplog.at_level(logging.INFO):
        layers = watch(model, data=X).layers

    assert layers["name"].tolist() == ["0", "4"]
    said = "as they scale units and connect none: 1 (Scaling), 2 (LayerNorm), 3 (PReLU)."
    assert said in caplog.text


def test_what_a_network_does_to_its_inputs_is_done_to_a_copy():
    class InPlace(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 3)

        def forward(self, x):
            return self.fc(x.mul_(2))

    given = X.clone()
    watched = watch(InPlace(), data=(given, Y), measures=MEASURES[:2], estimators="upper=0.1")

    for _ in range(2):
        watched.step()

    assert torch.equal(given, X)
    first, second = watched.table["MI_XM"]
    assert first == second


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_arrays_are_taken_in_the_precision_of_the_network(dtype):
    data = X.double().numpy() if dtype is torch.float64 else X.to(dtype)
    watched = watch(mlp().to(dtype), data=(data, Y), measures=MEASURES)

    watched.step()

    assert watched.table["MI_XM"].notna().all()


@pytest.mark.filterwarnings("ignore:.*jit:DeprecationWarning")
def test_torchscript_is_one_sentence():
    with pytest.raises(ConfigError, match="a RecursiveScriptModule, into which nobody can look"):
        watch(torch.jit.script(mlp()), data=X)


def test_two_watches_of_one_network_do_not_know_of_each_other():
    model = mlp()
    first, second = watch(model, data=(X, Y)), watch(model, data=(X, Y), layers="2")

    for one in (first, second, first):
        one.step()

    assert first.table.query("epoch == 0")["MI_XM"].tolist()[1:] == second.table["MI_XM"].tolist()
    assert first.table["epoch"].tolist() == [0, 0, 1, 1]


@pytest.fixture
def process_group(tmp_path):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1
    )
    yield
    torch.distributed.destroy_process_group()


def test_distributed_training_is_the_same_to_the_last_bit(process_group):
    def trained(steps):
        model = nn.parallel.DistributedDataParallel(mlp())
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        watched = watch(model, data=(X, Y), measures=MEASURES)
        for _ in range(2):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(X), Y)
            if steps:
                watched.step()
            loss.backward()
            optimizer.step()
        return model.state_dict(), watched.table

    (state, table), (alone, _) = trained(True), trained(False)

    assert all(torch.equal(state[name], value) for name, value in alone.items())
    assert table["name"].tolist() == ["0", "2"] * 2


PROCESS = """
import sys
import torch
from torch import nn
from deep_bottleneck import watch

rank, port, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3]
torch.distributed.init_process_group(
    "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
torch.manual_seed(0)
x, y = torch.rand(40, 4), torch.arange(40) % 2
model = nn.parallel.DistributedDataParallel(nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)))
watched = watch(model, data=(x, y), save=folder)
for _ in range(2):
    nn.functional.cross_entropy(model(x[rank::2]), y[rank::2]).backward()
    watched.step()
assert len(watched.table) == (0 if rank else 4), watched.table
assert watched.save() == (None if rank else 1)
watched.close()
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_the_first_of_two_processes_measures_and_saves(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    processes = [
        subprocess.Popen([sys.executable, "-c", PROCESS, str(rank), port, str(tmp_path)])
        for rank in range(2)
    ]

    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1"]
