import pytest

from deep_bottleneck.config.reading import read
from deep_bottleneck.errors import ConfigError


def test_a_byte_order_mark_in_front_of_a_config_is_no_part_of_it(tmp_path):
    path = tmp_path / "first.json"
    path.write_text('{"epochs": 3}', encoding="utf-8-sig")

    assert read(path) == {"epochs": 3}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "not JSON"),
        ("[1]", "expected a JSON object"),
        ('{"epochs": 1, "epochs": 2}', '"epochs" stands there twice'),
        ("", "not JSON"),
        ("[" * 200_000, "cannot be read"),
        ('{"epochs": 1' + "0" * 5000 + "}", "cannot be read"),
    ],
    ids=["cut", "a list", "a key twice", "empty", "deep", "a long number"],
)
def test_a_file_that_is_no_config_is_named(tmp_path, text, sentence):
    path = tmp_path / "broken.json"
    path.write_text(text)

    with pytest.raises(ConfigError, match=r"broken\.json") as error:
        read(path)

    assert sentence in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="there is no such file"):
        read(tmp_path / "absent.json")


def test_binary_noise_is_no_config(tmp_path):
    path = tmp_path / "noise.json"
    path.write_bytes(bytes(range(128, 256)))

    with pytest.raises(ConfigError, match="cannot be read"):
        read(path)


def test_a_path_that_no_file_can_have_is_named(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: embedded null"):
        read(tmp_path / "base\0.json")
