import pytest

from deep_bottleneck.config import Config
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.pipeline.plan import make_plan


def test_a_table_that_two_callbacks_leave_is_refused():
    twice = [[f"callbacks.{name}"] for name in ["gradient_noise", "efficiency", "gradient_noise"]]

    with pytest.raises(ConfigError, match='both leave the table "gradient_noise"'):
        make_plan(Config.parse({"callbacks": twice}))
