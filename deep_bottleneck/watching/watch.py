"""The watch: what the layers of somebody's network make of some data, while they train it."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from torch import nn

from deep_bottleneck.causal.network.kinds import is_keras
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.training.schedule import Schedule, default_schedule
from deep_bottleneck.watching.choice import by_layer
from deep_bottleneck.watching.data import WatchedData, read_data
from deep_bottleneck.watching.estimators import named_estimators
from deep_bottleneck.watching.group import WatchedGroup
from deep_bottleneck.watching.measurement import PART, REPRESENTATION, Measurement, Plan
from deep_bottleneck.watching.networks import Choice, Loss, Network
from deep_bottleneck.watching.record import in_json
from deep_bottleneck.watching.representation import (
    Representation,
    called,
    check_representation,
)
from deep_bottleneck.watching.torch_network import TorchNetwork
from deep_bottleneck.watching.undisturbed import random_states
from deep_bottleneck.watching.watched import Watch

logger = logging.getLogger(__name__)

Every = int | Literal["log"] | Schedule


def watch(
    model: Any,
    data: Any,
    *,
    layers: Any = None,
    activations: bool = False,
    estimators: str | Sequence[Any] = ("binning",),
    measures: Sequence[Any] = (),
    representation: Representation | Mapping[str, Representation] = "flatten",
    mask: Any = None,
    channel_axis: int | Mapping[str, int] | None = None,
    max_examples: int | None = None,
    batch_size: int | None = None,
    every: Every = 1,
    seed: int = 0,
    strict: bool = True,
    save: bool | str | Path = False,
    loss: Loss | None = None,
) -> Watch:
    """Watch a network in a training loop of your own.

    Call `step()` on what is returned wherever the network shall be measured, such as once an epoch.
    The training goes on as if nobody had looked.

    Args:
        model: a PyTorch or a Keras network, or a list of some of one architecture, each a run.
        data: what the layers are shown: (inputs, labels), or inputs alone. Inputs are an array or a
            tensor, a tuple of several, or a dictionary of keyword inputs, of which "labels" are the
            labels; or a `Dataset` or `DataLoader` of these, which is read once. Labels are one
            class for each example; without them there is I(X;M) alone.
        layers: which layers: names, shell patterns such as "encoder.*.mlp.*", types and modules;
            None for all with weights that connect units, at any depth, each call of a layer that is
            shared by itself.
        activations: whether to take what the activation function after each layer gives.
        estimators: of mutual information: "binning=0.5" is `mi_estimator.binning` with the bin
            width 0.5; a name with a dot is an import path; entries of a config are taken too.
        measures: "similarity", "efficiency", "effective_information", "weight_graph_information",
            "gradient_noise", and other recorders, as a config names them.
        representation: of layers with positions: "flatten" for all they give, "mean" over
            positions, "first" of them, "positions" for each as an example, or a function of the
            outputs, shape (n_examples, ...); one for all, or by name or pattern.
        mask: which positions count, shape (n_examples, n_positions), or the name of the keyword
            input that says it.
        channel_axis: which axis of a layer's outputs for one example counts the neurons, where it
            cannot be told; one for all, or by name or pattern.
        max_examples: how many examples to take at most, drawn once.
        batch_size: how many of them the network gets at a time.
        every: measure every so many epochs; "log": often at first and seldom later; or a function
            that says whether to measure an epoch.
        seed: where what is drawn starts.
        strict: whether an error in `step` is raised; else it is logged, and training goes on.
        save: whether to store a record from the beginning on, or the folder of records to store it
            in; `DEEP_BOTTLENECK_RUNS` or `runs` by default.
        loss: of what the network gives and the labels that were given, as a tensor, for gradients;
            a Keras network has the one that it was compiled with.

    Raises:
        ConfigError: if something that is wanted does not exist, or cannot be had of this network.
        DataError: if the data cannot be used.

    Example:
        >>> network = torch.nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
        >>> watched = watch(network, data=torch.rand(20, 4))
        >>> watched.step()
        >>> watched.table["name"].tolist()
        ['0', '2']
    """
    models = list(model) if isinstance(model, list | tuple) else [model]
    _check(models, every)
    with random_states():
        data = read_data(data, mask).few(_count("max_examples", max_examples), seed)
        _count("batch_size", batch_size)
        choice = Choice(layers, activations, channel_axis, batch_size, loss)
        networks = [_network(one, data, choice) for one in models]
        names = [place.output.name for place in networks[0].places]
        chosen = by_layer("representation", representation, names, "flatten")
        for place in networks[0].places:
            check_representation(chosen[place.output.name], place.output)
        group = WatchedGroup(networks, chosen)
        plan = Plan(named_estimators(estimators), measures, seed)
        found = {name: called(one) for name, one in chosen.items()}
        measurement = Measurement(plan, data, group, found)
    config = {
        "model": type(networks[0].model).__name__,
        "layers": names,
        "estimator": plan.estimators,
        "measures": list(measures),
        REPRESENTATION: found,
        "calculate_mi_for": [PART],
        "n_examples": len(data.labels),
        "n_runs": len(models),
        "every": every if isinstance(every, int | str) else repr(every),
        "seed": seed,
    }
    watched = Watch(group, measurement, _schedule(every), in_json(config), strict)
    if save:
        watched.begin_record(None if save is True else save)
    return watched


def _network(model: Any, data: WatchedData, choice: Choice) -> Network:
    if is_keras(model):
        from deep_bottleneck.watching.keras_network import KerasNetwork

        if choice.activations:
            raise ConfigError(
                "activations=True is for networks of PyTorch: a layer of Keras gives what its own "
                "activation makes of it; name layers.Activation in layers where there are such"
            )
        return KerasNetwork(model, data, choice)
    return TorchNetwork(model, data, choice)


def _check(models: Sequence[Any], every: Any) -> None:
    if not models:
        raise ConfigError("watch was given an empty list of networks")
    for model in models:
        if not isinstance(model, nn.Module) and not is_keras(model):
            raise ConfigError(
                f"watch was given a {type(model).__name__}, should be a torch.nn.Module or a Keras "
                "model, or a list of some"
            )
    is_count = isinstance(every, int) and not isinstance(every, bool) and every > 0
    if not (is_count or every == "log" or callable(every)):
        raise ConfigError(
            f'every is {every!r}, should be a whole number above 0, "log", or a function'
        )


def _count(name: str, value: int | None) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and value > 0
    if value is not None and not is_count:
        raise ConfigError(f"{name} is {value!r}, should be a whole number above 0")
    return value


def _schedule(every: Every) -> Schedule:
    if isinstance(every, int):
        return lambda epoch: epoch % every == 0
    return default_schedule if isinstance(every, str) else every
