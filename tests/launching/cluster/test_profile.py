from pathlib import Path

import pytest

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.launching.cluster.profile import Profile, load_profile

PROFILES = Path(__file__).resolve().parents[3] / "infrastructure" / "grid" / "profiles"


@pytest.mark.parametrize("path", sorted(PROFILES.glob("*.json")), ids=lambda path: path.stem)
def test_every_profile_that_comes_along_is_one(path):
    assert load_profile(PROFILES, path.stem).seconds


def test_the_command_line_changes_a_profile_of_ones_own(write):
    path = write("mine.json", memory="2G", modules=["python/3.11"])

    profile = load_profile(PROFILES, str(path), ["memory=8G", "time=01:30:00", "cpus=2"])

    assert profile == Profile(memory="8G", time="01:30:00", cpus=2, modules=("python/3.11",))
    assert profile.seconds == 5400


def test_names_may_be_numbers(write):
    path = write("mine.json", queue=7, conda="base")

    profile = load_profile(PROFILES, str(path), ["account=12345", "conda=311"])

    assert (profile.queue, profile.account, profile.conda) == ("7", "12345", "311")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("ram=8G", r'unknown key "ram" \(value "8G"\); the keys are time, notice, memory'),
        ("time=90", '"time" is 90 but should be something like "04:00:00"'),
        ("time=1h", '"time" is "1h" but should be something like "04:00:00"'),
        ("memory=lots", '"memory" is "lots" but should be something like "4G"'),
        ("cpus=0", '"cpus" is 0 but should be greater than 0'),
        ("cpus", "should be KEY=VALUE"),
        ("gpus=1.5", '"gpus" is 1.5 but should be a valid integer'),
        ("gpus={1}", r"'gpus=\{1\}' should be KEY=VALUE, with a VALUE of JSON's types"),
        ("queue=[1]", r'"queue" is \[1\] but should be a valid string'),
    ],
)
def test_a_mistake_is_one_sentence(change, sentence):
    with pytest.raises(ConfigError, match=sentence):
        load_profile(PROFILES, "slurm", [change])


def test_a_profile_that_is_not_there_is_one_sentence():
    with pytest.raises(ConfigError, match=r"no profile .*big.json; there are gpu, sge, slurm"):
        load_profile(PROFILES, "big")
