"""What an experiment needs of a cluster: time, memory, processors, and what to set up."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveInt

from deep_bottleneck.config.messages import checked
from deep_bottleneck.config.reading import read
from deep_bottleneck.config.sweep import parse_update
from deep_bottleneck.errors import ConfigError


def _like(example: str, pattern: str) -> BeforeValidator:
    """Takes text of a form, and shows an example of it to who wrote another."""

    def check(value: Any) -> str:
        if isinstance(value, str) and re.fullmatch(pattern, value):
            return value
        raise ValueError(f'should be something like "{example}"')

    return BeforeValidator(check)


Time = Annotated[str, _like("04:00:00", r"\d+:[0-5]\d:[0-5]\d")]
Name = Annotated[str, Field(coerce_numbers_to_str=True)]
Memory = Annotated[str, _like("4G", r"\d+[KMGT]")]


class Profile(BaseModel):
    """Resources of one experiment; each field is a key of the JSON profile.

    Attributes:
        time: time limit as "hours:minutes:seconds", None for the site's own.
        notice: seconds before the limit at which the experiment is told to store what it has.
        memory: such as "4G"; for Grid Engine a site's name for it is in `memory_resource`.
        memory_resource: what Grid Engine calls memory at this site.
        cpus: processors, and so threads.
        parallel_environment: what Grid Engine calls the environment for several processors.
        gpus: graphics cards.
        gpu_resource: what the scheduler calls them.
        queue: queue of Grid Engine or partition of Slurm.
        account: account of Slurm or project of Grid Engine.
        modules: environment modules to load.
        conda: conda environment to activate.
        venv: folder of a virtual environment to activate; without either the Python that submits.
        submit_args: further arguments of the submit command, as they stand.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    time: Time | None = None
    notice: PositiveInt = 60
    memory: Memory | None = None
    memory_resource: str = "h_vmem"
    cpus: PositiveInt = 1
    parallel_environment: str = "smp"
    gpus: Annotated[int, Field(ge=0)] = 0
    gpu_resource: str = "gpu"
    queue: Name | None = None
    account: Name | None = None
    modules: tuple[str, ...] = ()
    conda: Name | None = None
    venv: str | None = None
    submit_args: tuple[str, ...] = ()

    @property
    def seconds(self) -> int | None:
        """The time limit in seconds."""
        if self.time is None:
            return None
        hours, minutes, seconds = map(int, self.time.split(":"))
        return 3600 * hours + 60 * minutes + seconds


def load_profile(folder: Path, name: str, changes: Sequence[str] = ()) -> Profile:
    """Read a profile and change some of its values.

    Args:
        folder: where profiles are that are given by their name.
        name: a name, or the path of a JSON file.
        changes: values that differ, each as `key=value`.

    Raises:
        ConfigError: if there is no such profile, or a key or value is not what it should be.
    """
    path = Path(name) if name.endswith(".json") else folder / f"{name}.json"
    if not path.exists():
        known = ", ".join(sorted(file.stem for file in folder.glob("*.json")))
        raise ConfigError(f"there is no profile {path}; there are {known}")
    values = {**read(path), **dict(map(parse_update, changes))}
    return checked(Profile, values, str(path))
