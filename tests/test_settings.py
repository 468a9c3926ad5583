from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgpt.errors import SettingsError
from netgpt.settings import Settings, load_settings


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "netgpt.toml"
    file.write_text(text)
    return file


def test_defaults_are_safe() -> None:
    settings = load_settings(environment={})
    assert settings.server.host == "127.0.0.1"
    assert settings.cloud.base_url is None
    assert settings.cloud.trusted is False
    assert settings.privacy.names is True
    assert settings.home.is_absolute()


def test_environment_beats_file(tmp_path: Path) -> None:
    file = written(tmp_path, '[cloud]\nmodel = "from-file"\nbase_url = "https://a.example/v1"\n')
    settings = load_settings(file, {"NETGPT_CLOUD__MODEL": "from-env", "NETGPT_CLOUD__TIMEOUT": "7"})
    assert settings.cloud.model == "from-env"
    assert settings.cloud.base_url == "https://a.example/v1"
    assert settings.cloud.timeout_s == 7 and settings.cloud.patience == (7, 7)


def test_overrides_beat_the_environment() -> None:
    settings = load_settings(environment={"NETGPT_SERVER__PORT": "1"}, server={"port": 2})
    assert settings.server.port == 2


def test_a_wrong_value_is_named_with_file_and_line(tmp_path: Path) -> None:
    file = written(tmp_path, "# a comment\n[server]\nhost = '127.0.0.1'\nport = 99999\n")
    with pytest.raises(SettingsError) as error:
        load_settings(file, {})
    assert f"{file}:4: server.port" in error.value.message
    assert "65535" in error.value.message


def test_an_unknown_setting_is_named_and_the_right_one_offered(tmp_path: Path) -> None:
    file = written(tmp_path, "[cloud]\nbase_ur = 'https://a.example/v1'\n")
    with pytest.raises(SettingsError, match=r'netgpt.toml:2: cloud.base_ur: no such setting; did you mean "base_url"'):
        load_settings(file, {})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[cloud]\nbase_url = "cloud.example"\n', "netgpt.toml:2: cloud.base_url: must be an HTTP address"),
        ("[site]\nlatitude = 52.2\n", "latitude and longitude go together"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        load_settings(written(tmp_path, text), {})


def test_a_wrong_environment_variable_is_named_as_such() -> None:
    with pytest.raises(SettingsError, match="NETGPT_SERVER__PORT"):
        load_settings(environment={"NETGPT_SERVER__PORT": "many"})


def test_an_unknown_time_zone_gets_a_suggestion() -> None:
    with pytest.raises(SettingsError, match='did you mean "Europe/London"'):
        load_settings(environment={"NETGPT_SITE__TIME_ZONE": "Europe/Londn"})


def test_an_unknown_stage_is_refused_with_the_list_of_stages() -> None:
    with pytest.raises(SettingsError, match="the stages are identify, recall"):
        load_settings(environment={"NETGPT_WORKFLOW__STAGES": "identify,dream,record"})


def test_a_file_that_is_not_toml_is_refused_with_the_line(tmp_path: Path) -> None:
    file = written(tmp_path, "[server\n")
    with pytest.raises(SettingsError, match="not valid TOML"):
        load_settings(file, {})
    with pytest.raises(SettingsError, match="no such settings file"):
        load_settings(tmp_path / "missing.toml", {})


@given(secret=st.text(st.characters(categories=("L", "N")), min_size=8, max_size=40))
def test_secrets_never_show(secret: str) -> None:
    secret = "s3cr3t" + secret
    settings = load_settings(environment={}, cloud={"api_key": secret})
    assert secret not in repr(settings)
    assert secret not in settings.model_dump_json()
    with pytest.raises(SettingsError) as error:
        load_settings(environment={}, cloud={"api_key": [secret]})
    assert secret not in error.value.message


def test_every_setting_has_a_description() -> None:
    for name, section in Settings.model_fields.items():
        fields = getattr(section.annotation, "model_fields", None)
        for key, field in (fields or {}).items():
            if (name, key) not in {("site", "city"), ("site", "region"), ("site", "country")}:
                assert field.description, f"{name}.{key} needs a description"


def test_a_trusted_cloud_and_strict_rules_contradict_each_other(tmp_path: Path) -> None:
    file = tmp_path / "netgpt.toml"
    file.write_text('[cloud]\nbase_url = "https://cloud.example/v1"\ntrusted = true\n[policy]\nset = "strict"\n')
    with pytest.raises(SettingsError, match=r"cloud\.trusted"):
        load_settings(file, {})
    file.write_text(file.read_text().replace("strict", "balanced"))
    assert load_settings(file, {}).cloud.trusted


@pytest.mark.parametrize(
    "line", ["[waiting]\nmax_age_h = 1e300", "[waiting]\nkeep_days = inf", "[routing]\nstale_answer_s = inf"]
)
def test_times_that_no_calendar_has_are_refused(line: str, tmp_path: Path) -> None:
    file = tmp_path / "netgpt.toml"
    file.write_text(line)
    with pytest.raises(SettingsError, match=r"netgpt\.toml:2"):
        load_settings(file, {})


@pytest.mark.parametrize(
    ("variable", "fault"),
    [
        ("NETGPT_UPSTREAMS", "name the upstream"),
        ("NETGPT_UPSTREAMS__OTHER", "name the upstream"),
        ("NETGPT_UPSTREAMS__OTHER__API_KEY", r"the environment \(NETGPT_UPSTREAMS__...\): upstreams.base_url"),
    ],
)
def test_half_an_upstream_in_the_environment_is_refused(variable: str, fault: str, tmp_path: Path) -> None:
    file = tmp_path / "netgpt.toml"
    file.write_text("")
    with pytest.raises(SettingsError, match=fault) as error:
        load_settings(file, {variable: "sk-secret"})
    assert "sk-secret" not in error.value.message


def test_what_other_programs_are_told_counts_where_nothing_else_is_said(tmp_path: Path) -> None:
    others = {
        "HF_ENDPOINT": "hub.example",
        "HF_TOKEN": "hf_x",
        "OLLAMA_MODELS": "/srv/ollama",
        "HF_HOME": "/srv/hf",
        "NETGPT_HOME": str(tmp_path),
    }
    settings = load_settings(environment=others)
    assert settings.models.hub == "https://hub.example" and settings.models.found_in[:2] == (
        "/srv/ollama",
        "/srv/hf/hub",
    )
    assert settings.models.token is not None and "hf_x" not in repr(settings)
    file = tmp_path / "netgpt.toml"
    file.write_text('[models]\nhub = "https://mine.example"\nfound_in = []\n')
    settings = load_settings(file, others)
    assert settings.models.hub == "https://mine.example" and settings.models.found_in == ()
    ours = {**others, "NETGPT_MODELS__HUB": "https://env.example", "NETGPT_MODELS__FOUND_IN": "/a, /b"}
    settings = load_settings(file, ours)
    assert settings.models.hub == "https://env.example" and settings.models.found_in == ("/a", "/b")
    file.write_text('[models]\nhub = "ftp://x"\n')
    with pytest.raises(SettingsError, match=r"netgpt\.toml:2"):
        load_settings(file, {})
