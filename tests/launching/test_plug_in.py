import pytest

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.launching.plug_in import LauncherPlugIn


@pytest.mark.parametrize(
    ("name", "queue", "waits"),
    [("local", None, True), ("sge", "Grid Engine", False), ("slurm", "Slurm", False)],
)
def test_each_launcher_of_the_package_says_how_it_is_followed(name, queue, waits):
    launcher = LauncherPlugIn.find(name)

    assert (launcher.queue and launcher.queue.name, launcher.waits) == (queue, waits)


def test_one_of_ones_own_need_not_say_it(own_launcher):
    launcher = LauncherPlugIn.find(own_launcher(""))

    assert (launcher.queue, launcher.waits) == (None, False)


@pytest.mark.parametrize("name", ["slurm", "launchers.slurm", "deep_bottleneck.launchers.slurm"])
def test_a_launcher_is_the_same_by_each_of_its_names(name):
    assert LauncherPlugIn.find(name).is_called("launchers.slurm")
    assert LauncherPlugIn.find("slurm").is_called(name)
    assert not LauncherPlugIn.find(name).is_called("launchers.sge")
    assert not LauncherPlugIn.find(name).is_called("our_lab.nowhere")


def test_one_that_is_not_there_is_one_sentence():
    with pytest.raises(ConfigError, match=r"no module 'launchers.slrum' .*mean launchers.slurm\?"):
        LauncherPlugIn.find("slrum")
