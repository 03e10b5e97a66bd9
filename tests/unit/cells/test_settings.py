"""Settings: which source wins, and what is refused."""

from pathlib import Path

import pytest

from cells import settings
from cells.trouble import EXIT_USAGE, Trouble


def load(tmp_path: Path, toml: str = "", flags: dict[str, object] | None = None, **environment: str):
    (tmp_path / "titan.toml").write_text(toml, encoding="utf-8")
    return settings.load(flags, environment=environment, home=tmp_path)


def test_each_source_wins_over_the_one_below_it(tmp_path):
    """Given all four sources, the command line wins over the environment over titan.toml over the default."""
    toml = 'port = 8100\nhost = "10.0.0.1"\nlog_level = "debug"'

    resolved = load(tmp_path, toml, {"port": 8300, "host": None}, TITAN_PORT="8200", TITAN_HOST="10.0.0.2")

    assert (resolved.settings.port, resolved.sources["port"]) == (8300, "command line")
    assert (resolved.settings.host, resolved.sources["host"]) == ("10.0.0.2", "environment")
    assert resolved.settings.log_level == "debug"
    assert resolved.sources["log_level"] == str(tmp_path / "titan.toml")
    assert (resolved.settings.cells, resolved.sources["cells"]) == (1, "default")


@pytest.mark.parametrize(
    ("text", "expected"),
    (("off", False), ("false", False), ("0", False), ("no", False), ("on", True), ("ON", True), ("1", True)),
)
def test_a_switch_is_written_as_people_write_it(tmp_path, text, expected):
    assert load(tmp_path, TITAN_RATE_LIMITS=text).settings.rate_limits is expected


def test_origins_are_separated_by_commas(tmp_path):
    assert load(tmp_path, TITAN_ORIGINS="https://a.example, https://b.example").settings.origins == (
        "https://a.example",
        "https://b.example",
    )


def test_an_unknown_variable_is_refused_with_the_nearest_one(tmp_path):
    with pytest.raises(Trouble) as caught:
        load(tmp_path, TITAN_PROT="1")

    assert caught.value.code == EXIT_USAGE
    assert "TITAN_PROT" in caught.value.what
    assert "TITAN_PORT" in caught.value.why
    assert caught.value.mend == "unset TITAN_PROT"


def test_an_unknown_key_of_the_file_is_refused_with_the_nearest_one(tmp_path):
    with pytest.raises(Trouble, match=r"api_workrs[\s\S]*api_workers"):
        load(tmp_path, "api_workrs = 2")


def test_a_file_that_is_not_toml_is_named(tmp_path):
    with pytest.raises(Trouble, match=r"titan\.toml cannot be read"):
        load(tmp_path, "port 8000")


@pytest.mark.parametrize(
    "environment",
    (
        {"TITAN_PORT": "eighty"},
        {"TITAN_PORT": "0"},
        {"TITAN_PORT": "70000"},
        {"TITAN_CELLS": "0"},
        {"TITAN_LOG_LEVEL": "loud"},
        {"TITAN_RATE_LIMITS": "perhaps"},
        {"TITAN_NATS_URL": "http://nats:4222"},
        {"TITAN_DATABASE_URL": "localhost"},
        {"TITAN_DATA": ""},
    ),
    ids=str,
)
def test_a_value_that_does_not_fit_is_refused_with_its_variable(tmp_path, environment):
    with pytest.raises(Trouble) as caught:
        load(tmp_path, **environment)

    assert caught.value.code == EXIT_USAGE
    assert next(iter(environment)) in caught.value.what


def test_variables_between_our_own_processes_are_not_settings(tmp_path):
    assert (
        load(tmp_path, TITAN_STATUS_FD="3", TITAN_CELL_CONFIG="x", TITAN_PARENT_PID="1").settings.port == 8000
    )


def test_the_data_folder_lies_beside_whoever_names_it(tmp_path, monkeypatch):
    """The default and titan.toml's are beside their file, one of the command line in the working directory."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)

    assert load(tmp_path).settings.data == str(tmp_path / ".titan")
    assert load(tmp_path, 'data = "kept"').settings.data == str(tmp_path / "kept")
    assert load(tmp_path, flags={"data": "mine"}).settings.data == str(elsewhere / "mine")
    assert load(tmp_path, TITAN_DATA="mine").settings.data == str(elsewhere / "mine")


@pytest.mark.parametrize(
    ("url", "shown"),
    (
        ("nats://app:geheim@host:4222", "nats://app:***@host:4222"),
        ("redis://:geheim@host/0", "redis://:***@host/0"),
        ("postgresql://titan:ge%40heim@/titan?host=/s", "postgresql://titan:***@/titan?host=/s"),
        ("postgresql:///titan?user=t&password=geheim", "postgresql:///titan?user=t&password=***"),
        ("nats://host:4222", "nats://host:4222"),
        ("", ""),
    ),
)
def test_passwords_are_not_shown(url, shown):
    assert settings.redact("nats_url", url) == shown


def test_no_error_shows_a_password(tmp_path):
    with pytest.raises(Trouble) as caught:
        load(tmp_path, TITAN_REDIS_URL="http://app:geheim@host")

    assert "geheim" not in str(caught.value)


def test_every_setting_says_what_it_means():
    assert [field for field in settings.Settings.__struct_fields__ if not settings.describe(field)] == []
