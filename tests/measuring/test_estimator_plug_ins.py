import pytest

from deep_bottleneck.config import Config
from deep_bottleneck.measuring.estimators import estimator_plug_ins


@pytest.mark.parametrize("path", ["mi_estimator.edge", "mi_estimator.edge_published"])
def test_edge_does_not_look_at_the_bin_width_of_earlier_configs(path, caplog):
    config = Config.parse({"estimator": path, "discretization_range": 0.07})

    (plug_in,) = estimator_plug_ins(config).values()

    assert plug_in.discretization_range == 1
    assert plug_in.load({}).method.parameter == "bandwidth 1 x automatic"
    assert f"{path} does not look at 0.07" in caplog.text


def test_edge_takes_any_other_bandwidth(caplog):
    config = Config.parse({"estimator": [["mi_estimator.edge", 0.5]]})

    (plug_in,) = estimator_plug_ins(config).values()

    assert plug_in.discretization_range == 0.5
    assert not caplog.text
