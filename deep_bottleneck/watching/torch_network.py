"""The places of a PyTorch network, found by running it, and what they give."""

import dataclasses
import itertools
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple, cast

import torch
from torch import nn
from torch.nn.modules import activation
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.utils import parametrize

from deep_bottleneck.causal.network.modules import is_packed
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import FloatArray, LayerOutput
from deep_bottleneck.state_space.passing import tensors_among
from deep_bottleneck.state_space.torch_axes import Trail
from deep_bottleneck.watching.choice import by_layer, chosen_layers
from deep_bottleneck.watching.data import Examples, WatchedData
from deep_bottleneck.watching.networks import Choice, Loss, Place, Take
from deep_bottleneck.watching.undisturbed import casting, undisturbed

logger = logging.getLogger(__name__)

# they scale units and connect none
SCALING = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.LocalResponseNorm)
ACTIVATIONS = tuple(
    kind
    for name in activation.__all__
    if (kind := getattr(activation, name)) is not nn.MultiheadAttention
)
PROBES = 32
BATCH = 256


class Heard(NamedTuple):
    """One call of a module.

    Attributes:
        name: of the module, with the number of a further call.
        module: the module.
        inputs: the tensors that went in.
        output: what came out.
    """

    name: str
    module: nn.Module
    inputs: list[torch.Tensor]
    output: Any


class Call(NamedTuple):
    """What was found out of one call of a module.

    Attributes:
        module: the module.
        inputs: what went in, by identity.
        output: what came out.
        axis: which axis of it counts the neurons, counted from the last, None if unknown.
    """

    module: nn.Module
    inputs: tuple[int, ...]
    output: torch.Tensor
    axis: int | None


class TorchNetwork:
    """A PyTorch network whose places are watched.

    Attributes:
        model: the network, out of what `torch.compile` or data parallelism put around it.
        places: the places that are watched, in the order of their calls.
        batch_size: how many examples it gets at a time.
        device: where its first parameter is.
        casting: autocast as it is in training.
    """

    def __init__(self, model: nn.Module, data: WatchedData, choice: Choice) -> None:
        """Run the network on a few examples, and find its places.

        Args:
            model: the network.
            data: what it is watched on.
            choice: which places.

        Raises:
            ConfigError: if there are no such places, or they cannot be read.
        """
        self.model = inner(model)
        self.batch_size = choice.batch_size or BATCH
        self.casting = casting()
        self._data = data
        self._loss = choice.loss
        self._names = _names(self.model)
        if self.model not in self._names:
            raise ConfigError(
                f"watch was given a {type(self.model).__name__}, into which nobody can look: watch "
                "the module that TorchScript has made it of"
            )
        self._n_probes = min(PROBES, len(data.labels))
        self._batch_axes: list[int] = []
        self.places: list[Place] = []
        calls, others = self._probed(data.examples)
        wanted = self._wanted(calls, choice)
        axes = by_layer("channel_axis", choice.channel_axis, wanted, None)
        is_named = choice.layers is not None
        for name in wanted:
            self._add(name, calls[name], others.get(name), axes[name], must_be=is_named)
        if not self.places:
            raise ConfigError(
                f"{type(self.model).__name__} has no layer with weights whose outputs can be told "
                "apart by example"
            )

    @property
    def device(self) -> torch.device:
        """Where its first parameter is."""
        return next((p.device for p in self.model.parameters()), torch.device("cpu"))

    @property
    def example(self) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        """The examples by which its places were found, on its device."""
        return self._there(self._data.examples[: self._n_probes])

    def read(self, examples: Examples, wanted: Mapping[int, Take]) -> dict[int, torch.Tensor]:
        """What is wanted of some places, by their number, for a batch of examples.

        Raises:
            ConfigError: if a place is not reached, or gives something else than before.
        """
        numbers = {self.places[index].output.name: index for index in wanted}
        found: dict[int, torch.Tensor] = {}

        def hear(call: Heard) -> None:
            if call.name in numbers:
                index = numbers[call.name]
                output = self._checked(index, call.output, len(examples))
                # at once: what comes after may change it in place
                found[index] = _taken(wanted[index], output, call.name)

        modules = {self.places[index].layer for index in wanted}
        with listening(modules, self._names, hear):
            self._run(examples)
        for name, index in numbers.items():
            if index not in found:
                raise ConfigError(
                    f"{name} gives no output for some examples, or is no part of the network any "
                    "more: leave it out of layers, since it cannot be measured on all of them"
                )
        return found

    def kernels(self) -> list[FloatArray]:
        """The weights of each place that connect units, flattened."""
        return [
            torch.cat([weight.detach().float().flatten().cpu() for weight in kernels]).numpy()
            for kernels in map(kernels_of, (place.layer for place in self.places))
        ]

    def gradients(self) -> Iterator[list[FloatArray]]:
        """The gradients of the kernels of each place, one full batch of examples after the other.

        In evaluation mode, and of frozen weights as well.

        Raises:
            ConfigError: if the loss is not known.
        """
        if self._loss is None:
            raise ConfigError("gradients need the loss: give watch a loss=, such as cross_entropy")
        kernels = [
            [weight for weight in kernels_of(place.layer) if weight.is_floating_point()]
            for place in self.places
        ]
        for place, of_place in zip(self.places, kernels, strict=True):
            if not of_place:
                raise ConfigError(
                    f"{place.output.name} has no weights that gradients can be of, as it is "
                    "quantised: leave it out of layers, or gradients out of measures"
                )
        names = {id(weight): name for name, weight in self.model.named_parameters()}
        for start in range(0, len(self._data.labels) - self.batch_size + 1, self.batch_size):
            found = self._gradients_of(slice(start, start + self.batch_size), self._loss)
            yield [
                torch.cat([found[names[id(weight)]].flatten() for weight in of_place]).numpy()
                for of_place in kernels
            ]

    def _gradients_of(self, batch: slice, loss: Loss) -> dict[str, torch.Tensor]:
        parameters = dict(self.model.named_parameters())
        with torch.enable_grad():
            copies = {
                name: weight.detach().clone().requires_grad_()
                for name, weight in parameters.items()
                if weight.is_floating_point()
            }
            inputs = self._there(self._data.examples[batch])
            with self.casting():
                output = torch.func.functional_call(self.model, copies, *inputs)
            targets = self._data.targets
            labels = None if targets is None else targets[batch].to(self.device)
            gradients = torch.autograd.grad(
                loss(output, labels), list(copies.values()), materialize_grads=True
            )
        return {
            name: gradient.float().cpu() for name, gradient in zip(copies, gradients, strict=True)
        }

    def _run(self, examples: Examples) -> None:
        positional, keywords = self._there(examples)
        with self.casting():
            self.model(*positional, **keywords)

    def _there(
        self, examples: Examples
    ) -> tuple[tuple[torch.Tensor, ...], dict[str, torch.Tensor]]:
        """Examples on the device of the network, by position and by keyword."""
        keywords = {name: self._as_taken(tensor) for name, tensor in examples.keywords.items()}
        return tuple(map(self._as_taken, examples.positional)), keywords

    def _as_taken(self, tensor: torch.Tensor) -> torch.Tensor:
        """A copy, which the network may change, in double precision if it computes in that."""
        dtypes = (p.dtype for p in self.model.parameters() if p.is_floating_point())
        is_double = next(dtypes, None) == torch.float64 and tensor.dtype == torch.float32
        return tensor.to(self.device, torch.float64 if is_double else tensor.dtype, copy=True)

    def _checked(self, index: int, output: Any, n_examples: int) -> torch.Tensor:
        """An output with the examples on its first axis."""
        place, axis = self.places[index].output, self._batch_axes[index]
        tensor = tensor_of(output)
        if tensor is not None and tensor.ndim == len(place.shape) + 1:
            by_example = tensor.movedim(axis, 0)
            if by_example.shape == (n_examples, *place.shape):
                return by_example
        shape = None if tensor is None else tuple(tensor.shape)
        raise ConfigError(
            f"{place.name} gives {shape or 'no tensor'} for {n_examples} examples of this data, "
            f"should give {place.shape} for each, as it did at first"
        )

    def _probed(self, examples: Examples) -> tuple[dict[str, Call], dict[str, Call]]:
        """All calls for a few examples, and for one fewer, by name."""
        n_probes = self._n_probes
        with undisturbed([self.model]):
            return self._calls(examples[:n_probes]), self._calls(examples[: n_probes - 1])

    def _calls(self, examples: Examples) -> dict[str, Call]:
        calls: dict[str, Call] = {}
        trail = Trail()

        def hear(call: Heard) -> None:
            tensor = tensor_of(call.output)
            if tensor is None:
                return
            axis = trail.axis_at(call.module, tensor, call.inputs)
            trail.remember(tensor, axis)
            calls[call.name] = Call(call.module, tuple(map(id, call.inputs)), tensor, axis)

        trail.enter(self.model)
        try:
            with listening(self._names, self._names, hear):
                self._run(examples)
        except Exception as error:
            positional, keywords = self._there(examples)
            said = [*map(_said, positional), *(f"{n}={_said(t)}" for n, t in keywords.items())]
            error.add_note(f"The network was called with {', '.join(said)}.")
            raise
        finally:
            trail.leave(self.model)
        return calls

    def _wanted(self, calls: Mapping[str, Call], choice: Choice) -> list[str]:
        """The names of the calls to watch."""
        if choice.layers is None:
            chosen = _with_weights(self.model, calls)
            self._tell_of_others({calls[name].module for name in chosen}, calls)
        else:
            modules = {name: call.module for name, call in calls.items()}
            chosen = chosen_layers(choice.layers, modules)
        return _after_activations(chosen, calls) if choice.activations else chosen

    def _tell_of_others(self, watched: set[nn.Module], calls: Mapping[str, Call]) -> None:
        """Name the modules with weights of their own that no table has a row for, and say why."""
        called = {call.module for call in calls.values()}
        # a projection of attention is no module that is called
        inside = {part for module in called for part in _whole(module)}
        others = {
            name: module
            for module, name in self._names.items()
            if is_place(module) and module not in watched | inside
        }
        scaling = [
            f"{name} ({type(module).__name__})"
            for module, name in self._names.items()
            if not is_place(module)
            and any(True for _ in module.parameters(recurse=False))
            and module not in inside
        ]
        silent = [f"{name} ({type(m).__name__})" for name, m in others.items() if m not in called]
        outer = [f"{name} ({type(m).__name__})" for name, m in others.items() if m in called]
        if silent:
            logger.warning(
                "Not measured, as they give no output when the network is called: %s.",
                ", ".join(silent),
            )
        if scaling:
            logger.info(
                "Not measured, as they scale units and connect none: %s.", ", ".join(scaling)
            )
        if outer:
            logger.info("Not measured, as layers are inside that are: %s.", ", ".join(outer))

    def _add(
        self, name: str, call: Call, other: Call | None, axis: int | None, must_be: bool
    ) -> None:
        """Add a place, or say why it cannot be one."""
        shape = tuple(call.output.shape)
        of_fewer = None if other is None else tuple(other.output.shape)
        of_examples = axis_of_examples(self._n_probes, shape, of_fewer)
        if of_examples is None:
            reason = _why_not(name, shape, of_fewer)
            if must_be:
                raise ConfigError(reason)
            logger.warning("Not measured: %s.", reason)
            return
        own = (*shape[:of_examples], *shape[of_examples + 1 :])
        neurons = _of_example(call.axis, of_examples, len(own)) if axis is None else axis
        if neurons is not None and not -len(own) <= neurons < len(own):
            raise ConfigError(
                f"channel_axis is {axis} for {name}, whose outputs have the shape {own} for each "
                "example"
            )
        self._batch_axes.append(of_examples)
        self.places.append(Place(LayerOutput(name, own, neurons), call.module))


def inner(model: nn.Module) -> nn.Module:
    """A network without what `torch.compile`, data parallelism or a wrapper of these put around."""
    while True:
        if hasattr(model, "_orig_mod"):
            model = cast("nn.Module", model._orig_mod)
        elif isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        else:
            return model


def is_place(module: nn.Module) -> bool:
    """Whether a module has weights that connect units, and are not those of modules inside it."""
    # of one weight for each unit none leads from one to another
    own = any(weight.ndim > 1 for weight in module.parameters(recurse=False))
    is_hidden = parametrize.is_parametrized(module) or is_packed(module)
    return (own or is_hidden) and not isinstance(module, SCALING)


def kernels_of(module: nn.Module) -> list[torch.Tensor]:
    """The weights of a place that connect units; no biases."""
    own = [p for name, p in module.named_parameters() if "bias" not in name.rpartition(".")[2]]
    return [*(p for p in own if p.ndim > 1)] or [*own] or [*module.parameters()]


def tensor_of(output: Any) -> torch.Tensor | None:
    """The tensor that comes out of a module, or the first of several; floats of a quantised one."""
    while not isinstance(output, torch.Tensor):
        output = next((part for part in _parts(output) if part is not None), None)
        if output is None:
            return None
    if not output.ndim:
        return None
    if output.is_complex():  # both parts of a number tell something
        return torch.view_as_real(output).flatten(-2)
    return output.dequantize() if output.is_quantized else output


def _parts(output: Any) -> Iterable[Any]:
    """What a module gives together, as a tuple, a dictionary or a dataclass."""
    if isinstance(output, Mapping):
        return output.values()
    if dataclasses.is_dataclass(output):
        return [getattr(output, part.name) for part in dataclasses.fields(output)]
    return output if isinstance(output, tuple | list) else ()


def axis_of_examples(
    n_examples: int, shape: Sequence[int], of_fewer: Sequence[int] | None
) -> int | None:
    """Which axis counts the examples: the one that is shorter where there is one fewer."""
    if of_fewer is None or len(shape) != len(of_fewer):
        return None
    pairs = enumerate(zip(shape, of_fewer, strict=True))
    differing = {axis: sizes for axis, sizes in pairs if sizes[0] != sizes[1]}
    is_one = list(differing.values()) == [(n_examples, n_examples - 1)]
    return next(iter(differing)) if is_one else None


@contextmanager
def listening(
    modules: Iterable[nn.Module],
    names: Mapping[nn.Module, str],
    hear: Callable[[Heard], None],
) -> Iterator[None]:
    """Hear what modules give, each call under a name of its own, while the context lasts."""
    calls: Counter[nn.Module] = Counter()
    taken = set(names.values())

    def heard(module: nn.Module, inputs: Any, keywords: Any, output: Any) -> None:
        calls[module] += 1
        name, number = names[module], calls[module]
        if number > 1:
            name = _numbered(name, number, taken)
        hear(Heard(name, module, tensors_among([*inputs, *keywords.values()]), output))

    with ExitStack() as hooks:
        for module in modules:
            hooks.callback(module.register_forward_hook(heard, with_kwargs=True).remove)
        yield


def _of_example(axis: int | None, of_examples: int, n_axes: int) -> int | None:
    """An axis counted from the last, once that of the examples is the first; None if it is that."""
    if axis is None:
        return None
    full = axis % (n_axes + 1)
    return None if full == of_examples else full - (full > of_examples) - n_axes


def _taken(take: Take, output: torch.Tensor, name: str) -> torch.Tensor:
    try:
        return take(output)
    except Exception as error:
        error.add_note(f"It was layer {name}.")
        raise


def _said(tensor: torch.Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _whole(module: nn.Module) -> list[nn.Module]:
    """What is inside of one of PyTorch's own layers that is one place, whatever it is made of."""
    return [*module.modules()][1:] if isinstance(module, nn.MultiheadAttention) else []


def _numbered(name: str, number: int, taken: set[str]) -> str:
    """The name of a further call, which no module has: fc_2, or fc_2_2 where there is an fc_2."""
    numbered = f"{name}_{number}"
    return next(
        free for free in (numbered + "_2" * more for more in itertools.count()) if free not in taken
    )


def _names(model: nn.Module) -> dict[nn.Module, str]:
    """Each module's qualified name; what `torch.compile` puts in between is left out of it."""
    found: dict[nn.Module, str] = {}
    for name, module in model.named_modules():
        parts = [part for part in name.split(".") if part != "_orig_mod"]
        is_shell = hasattr(module, "_orig_mod") or isinstance(module, nn.ModuleList | nn.ModuleDict)
        in_parametrization = "parametrizations" in parts
        # TorchScript lets nobody look inside
        is_closed = isinstance(module, torch.jit.ScriptModule)
        if not is_shell and not in_parametrization and not is_closed:
            found[module] = ".".join(parts) or type(model).__name__
    return found


def _with_weights(model: nn.Module, calls: Mapping[str, Call]) -> list[str]:
    """The calls of modules with weights of their own; the network itself if there is no other."""
    found = [name for name, call in calls.items() if is_place(call.module)]
    return [name for name in found if calls[name].module is not model] or found


def _after_activations(chosen: Sequence[str], calls: Mapping[str, Call]) -> list[str]:
    """For each call the one of the activation that its output goes through."""
    found = []
    in_order = list(calls)
    for name in chosen:
        output, after = id(calls[name].output), name
        for later in in_order[in_order.index(name) + 1 :]:
            call = calls[later]
            if output in call.inputs and isinstance(call.module, (*SCALING, _DropoutNd)):
                output = id(call.output)
            elif output in call.inputs and isinstance(call.module, ACTIVATIONS):
                after = later
                break
        if after == name:
            logger.info(
                "%s is followed by no activation that is a module: it is taken itself.", name
            )
        found.append(after)
    return list(dict.fromkeys(found))


def _why_not(name: str, shape: Sequence[int], of_fewer: Sequence[int] | None) -> str:
    if of_fewer is None:
        return f"{name} is not called for all examples"
    return (
        f"{name} gives {tuple(shape)} and, for one example fewer, {tuple(of_fewer)}: it cannot be "
        "told which of it belongs to which example"
    )
