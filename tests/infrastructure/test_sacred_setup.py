"""The database and boards in containers, as far as it can be said without an engine to run them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dotenv import dotenv_values

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.storage.mongo import mongo_settings

ROOT = Path(__file__).resolve().parents[2]
SETUP = ROOT / "infrastructure" / "sacred_setup"
COMPOSE_FILE = SETUP / "docker-compose.yml"
# name:1.2 or more of a version
PINNED_IMAGE = re.compile(r"[a-z/-]+:\d[\w.-]*")


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load(COMPOSE_FILE.read_text())


@pytest.fixture(scope="module")
def example():
    return dotenv_values(SETUP / ".env.example")


def test_the_compose_file_keeps_to_the_specification():
    # the schema of the Compose specification comes with the package
    command = [sys.executable, "-m", "check_jsonschema"]
    command += ["--builtin-schema", "vendor.compose-spec", str(COMPOSE_FILE)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stdout + result.stderr


def test_every_image_and_package_is_pinned(compose):
    for name, service in compose["services"].items():
        if "image" in service:
            assert PINNED_IMAGE.fullmatch(service["image"])
        else:
            dockerfile = (SETUP / service["build"] / "Dockerfile").read_text()
            (image,) = re.findall(r"^FROM (\S+)$", dockerfile, re.MULTILINE)
            assert PINNED_IMAGE.fullmatch(image)
            packages = SETUP / service["build"] / "requirements.txt"
            pins = packages.read_text().split() if packages.exists() else [dockerfile]
            assert all(re.search(rf"(==|{name}@)\d", pin) for pin in pins)


def test_the_boards_have_versions_that_work_together():
    pins = (SETUP / "sacredboard" / "requirements.txt").read_text().split()
    versions = dict(pin.split("==") for pin in pins)

    assert versions["sacredboard"] == "0.4.2"
    assert versions["pymongo"].startswith("3.")  # Cursor.count
    assert int(versions["setuptools"].partition(".")[0]) < 82  # pkg_resources


def test_ports_are_bound_to_this_machine(compose, example):
    addresses = {
        name: [port["host_ip"] for port in service.get("ports", ())]
        for name, service in compose["services"].items()
    }

    chosen = ["${BIND_ADDRESS:-127.0.0.1}"]
    assert addresses == {
        "settings": [],
        "mongo": chosen,
        "mongo-express": chosen,
        # neither asks for a password
        "sacredboard": ["127.0.0.1"],
        "omniboard": ["127.0.0.1"],
    }
    assert example["BIND_ADDRESS"] == "127.0.0.1"


def test_mongo_has_authentication_a_volume_and_a_health_check_that_the_boards_wait_for(compose):
    services = compose["services"]
    mongo = services["mongo"]

    assert "--auth" in mongo["command"]
    assert {"MONGO_INITDB_ROOT_USERNAME", "MONGO_INITDB_ROOT_PASSWORD"} <= set(mongo["environment"])
    (volume,) = mongo["volumes"]
    assert volume.partition(":")[0] in compose["volumes"]
    assert mongo["healthcheck"]["test"][0] == "CMD"
    assert mongo["depends_on"]["settings"]["condition"] == "service_completed_successfully"
    for board in ("mongo-express", "sacredboard", "omniboard"):
        assert services[board]["depends_on"]["mongo"]["condition"] == "service_healthy"


def test_the_example_has_every_variable_and_explains_it(example):
    # what stands behind another's :- is its name in files of earlier years
    used = set(re.findall(r"(?<!:-)\$\{(\w+)", COMPOSE_FILE.read_text()))

    assert used <= set(example)
    assert all(example[name] for name in used)
    for block in (SETUP / ".env.example").read_text().split("\n\n"):
        assert block.startswith("#")


def test_a_database_without_a_host_is_on_this_machine():
    names = {"MONGO_DATABASE": "mine"}
    login = {"MONGO_INITDB_ROOT_USERNAME": "me", "MONGO_INITDB_ROOT_PASSWORD": "secret"}

    settings = mongo_settings(names | login, SETUP / "no.env")

    assert settings.uri == "mongodb://me:secret@localhost"
    assert settings.database == "mine"
    with pytest.raises(ConfigError, match="MONGO_INITDB_ROOT_USERNAME is set but MONGO_DATABASE"):
        mongo_settings(login, SETUP / "no.env")


def test_the_framework_reads_the_example():
    settings = mongo_settings({}, SETUP / ".env.example")

    assert settings.hosts == "localhost:27017"
    assert settings.database == "sacred"


def test_git_leaves_the_passwords_alone():
    command = ["git", "check-ignore", "--quiet", str(SETUP / ".env")]

    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def check(example, **changes):
    command = [shutil.which("sh"), str(SETUP / "check_settings.sh")]
    settings = {**example, **changes}
    return subprocess.run(command, env=settings, capture_output=True, text=True, check=False)


CHOSEN = {"MONGO_INITDB_ROOT_PASSWORD": "of-my-own", "MONGO_EXPRESS_PASSWORD": "of-my-own-too"}


def test_on_this_machine_the_example_will_do(example):
    assert check(example).returncode == 0


@pytest.mark.parametrize("variable", CHOSEN)
def test_beyond_this_machine_the_passwords_of_the_example_are_refused(example, variable):
    changes = {**CHOSEN, "BIND_ADDRESS": "0.0.0.0"}  # noqa: S104
    assert check(example, **changes).returncode == 0

    refused = check(example, **{**changes, variable: example[variable]})

    assert refused.returncode == 1
    assert f"BIND_ADDRESS is 0.0.0.0, beyond this machine, and {variable}" in refused.stderr


def test_a_password_that_would_break_an_address_is_refused_and_not_shown(example):
    refused = check(example, **dict.fromkeys(CHOSEN, "a/secret@word"))

    assert refused.returncode == 1
    assert "MONGO_INITDB_ROOT_PASSWORD may hold letters, digits and" in refused.stderr
    assert "secret" not in refused.stderr
