"""Job scripts: templates that a user can read and edit, with `{{name}}` where values go.

They are no templates of Jinja, which would take much of a shell's own text for its syntax, such as
`${#name}` for the beginning of a comment.
"""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.launching.cluster.profile import Profile


def fill_in(template: Path, values: Mapping[str, str]) -> str:
    """A template with its values.

    Raises:
        ConfigError: if the template cannot be read, or asks for a value that does not exist.
    """

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in values:
            raise ConfigError(
                f"{template}: there is no value {{{{{name}}}}}; there are {', '.join(values)}"
            )
        return values[name]

    try:
        text = template.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"the job script {template} cannot be read: {error.strerror}") from None
    return re.sub(r"\{\{(\w+)\}\}", value, text)


def set_up(profile: Profile, variables: Mapping[str, str]) -> str:
    """The lines of a job script that make its environment."""
    lines = [f"module load {shlex.quote(module)}" for module in profile.modules]
    if profile.conda:
        lines.append(
            f'eval "$(conda shell.bash hook)" && conda activate {shlex.quote(profile.conda)}'
        )
    if profile.venv:
        lines.append(f"source {shlex.quote(profile.venv)}/bin/activate")
    lines.append(f"export OMP_NUM_THREADS={profile.cpus}")
    lines += [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    return "\n".join(lines)
