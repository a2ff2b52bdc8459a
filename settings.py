"""Every setting of Segue, and the only place that reads the environment.

Entry points call `load()` once and pass the values down as arguments; nothing else looks at the environment.
A setting is an environment variable of the same name in capitals, or a line of the file `.env` beside this one (the
environment wins). `docs/reference/settings.md` lists them; a test compares the two.
"""

from __future__ import annotations

import os
import re
import tomllib
from ipaddress import ip_network
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent
DATASET_URL = "https://huggingface.co/datasets/maharshipandya/spotify-tracks-dataset/resolve/main/dataset.csv"
LEAST_RATE_PER_S, MOST_RATE_PER_S, MOST_BURST = 0.001, 10_000, 1_000_000
_ORIGIN = r"https?://[a-z0-9.:\[\]-]+"
STRATEGIES = ("catalogue", "spotify", "fuzzy", "genre", "popular")
LOOPBACK_HOSTS = ("127.0.0.1", "::1", "localhost")
REDIS_OPTIONS = {"db", "username", "password"}
REDISS_OPTIONS = REDIS_OPTIONS | {"ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_keyfile"}
"""What a REDIS_URL may say after its `?`: how to get in. How long to wait, and how often to try, is ours to say."""


class BadSettings(Exception):
    """A setting has a value that cannot be used; the message names it and says what is accepted."""


class Settings(BaseSettings):
    """The settings with their defaults. Units stand in the names (`_s` seconds, `_mb` megabytes)."""

    model_config = SettingsConfigDict(env_file=ROOT / ".env", env_ignore_empty=True, extra="ignore", frozen=True)

    segue_home: Path = Field(ROOT / ".segue", description="Where the one-machine launcher keeps its state.")
    artifacts_dir: Path | None = Field(None, description="Where models are published; unset: $SEGUE_HOME/artifacts.")
    redis_url: str | None = Field(
        None,
        pattern="^(redis|rediss|unix)://",
        description="The Redis or Valkey server (redis://…, rediss://…, unix://…); unset: run.sh starts its own.",
    )
    host: str = Field("127.0.0.1", min_length=1, description="The address that the API listens on.")
    port: int = Field(8000, ge=1, le=65535, description="The port that the API listens on.")
    auth: Literal["auto", "on", "off"] = Field(
        "auto", description="Whether callers need an API key; auto: unless only this machine can reach the API."
    )
    rate_per_s: float = Field(
        0, ge=0, le=MOST_RATE_PER_S, description="Jobs that a caller may submit a second, on average; 0: any number."
    )
    rate_burst: int = Field(20, ge=1, le=MOST_BURST, description="Jobs that it may submit at once.")
    cors_origins: str = Field(
        "", description="Origins whose pages may ask this API, joined by commas, or * for all; empty: none."
    )
    api_processes: int = Field(1, ge=1, le=64, description="Processes that serve HTTP.")
    api_threads: int = Field(16, ge=1, le=512, description="Requests that one API process serves at once.")
    workers: int = Field(2, ge=1, le=64, description="Worker processes that the one-machine launcher starts.")
    worker_memory_mb: int = Field(
        2048, ge=256, le=1_048_576, description="MB that one worker process may have, mapped models not counted."
    )
    queue_limit: int = Field(
        10_000, ge=1, description="Jobs that may wait in a queue; one more is answered 503 queue-full."
    )
    strategy_order: str = Field(
        ",".join(STRATEGIES),
        description="The strategies that a worker tries, in this order, joined by commas; a request may say otherwise.",
    )
    redis_timeout_s: float = Field(
        0.4, gt=0, le=5, description="How long the API waits for Redis to connect or to answer, in seconds."
    )
    spotipy_client_id: str | None = Field(
        None, description="The client id of an app of Spotify's; unset: Spotify is not asked for unknown songs."
    )
    spotipy_client_secret: SecretStr | None = Field(None, description="The client secret that goes with it.")
    spotify_api_url: str = Field(
        "https://api.spotify.com/v1", pattern="^https?://", description="Spotify's Web API, or a proxy of it."
    )
    spotify_accounts_url: str = Field(
        "https://accounts.spotify.com", pattern="^https?://", description="Where its tokens come from, or a proxy."
    )
    spotify_redirect_port: int = Field(
        8888, ge=1024, le=65535, description="Where `push` waits on 127.0.0.1 for the answer to its login."
    )
    spotify_budget_s: float = Field(
        2.5, gt=0, le=4, description="How long looking up one song outside may take, all in all, in seconds."
    )
    reccobeats: Literal["on", "off"] = Field(
        "off", description="on asks ReccoBeats for the audio features of songs that the catalogue lacks."
    )
    reccobeats_url: str = Field(
        "https://api.reccobeats.com", pattern="^https?://", description="ReccoBeats, or a proxy of it."
    )
    webhook_allow_networks: str = Field(
        "",
        description="Networks (CIDR, joined by commas) of private webhook receivers; those may use http and any port.",
    )
    webhook_ports: str = Field(
        "443,8443", description="Ports that webhooks to the public Internet may go to, joined by commas."
    )
    webhook_allow_http: Literal["on", "off"] = Field(
        "off", description="on lets webhooks go to the public Internet without TLS, on WEBHOOK_PORTS."
    )
    webhook_proxy_url: SecretStr = Field(
        SecretStr(""),
        description="An HTTP proxy that webhooks go through (http://user:password@host:port); unset: straight.",
    )
    segue_url: str | None = Field(
        None, pattern="^https?://", description="The API that the command line asks; unset: it asks through Redis."
    )
    segue_api_key: SecretStr | None = Field(None, description="The API key that the command line sends there.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="The least level logged.")
    log_format: Literal["text", "json"] = Field("text", description="text for people, json for log collectors.")
    dataset_url: str = Field(DATASET_URL, description="Where run.sh downloads a data set from when it has none.")
    download_connect_timeout_s: float = Field(
        3.0, gt=0, le=60, description="How long a download may take to connect, and then to send anything, in seconds."
    )
    download_timeout_s: float = Field(600.0, gt=0, description="How long a whole download may take, in seconds.")

    @field_validator("rate_per_s")
    @classmethod
    def _is_none_or_usable(cls, value: float) -> float:
        if 0 < value < LEAST_RATE_PER_S:
            raise ValueError(f"0, or at least {LEAST_RATE_PER_S}")
        return value

    @field_validator("cors_origins")
    @classmethod
    def _names_origins(cls, value: str) -> str:
        origins = [origin.strip() for origin in value.split(",")] if value.strip() else []
        if origins != ["*"] and not all(re.fullmatch(_ORIGIN, origin) for origin in origins):
            raise ValueError("origins as browsers send them (https://app.example, no path), or * alone")
        return ",".join(origins)

    @field_validator("strategy_order")
    @classmethod
    def _names_strategies(cls, value: str) -> str:
        names = [name.strip() for name in value.split(",")]
        if not set(names) <= set(STRATEGIES) or len(set(names)) < len(names):
            raise ValueError(f"names of {', '.join(STRATEGIES)}, each at most once")
        return ",".join(names)

    @field_validator("webhook_allow_networks")
    @classmethod
    def _names_networks(cls, value: str) -> str:
        for part in value.split(",") if value else ():
            try:
                ip_network(part.strip())
            except ValueError:
                raise ValueError("networks like 10.1.0.0/16 or fd00:1::/64, joined by commas") from None
        return value

    @field_validator("webhook_ports")
    @classmethod
    def _names_ports(cls, value: str) -> str:
        if not all(port.strip().isdecimal() and 0 < int(port) < 2**16 for port in value.split(",")):
            raise ValueError("ports from 1 to 65535, joined by commas")
        return value

    @field_validator("webhook_proxy_url")
    @classmethod
    def _leads_to_a_proxy(cls, value: SecretStr) -> SecretStr:
        try:
            parts = urlsplit(value.get_secret_value())
            good = parts.scheme == "http" and parts.hostname and parts.port and parts.path in ("", "/")
        except ValueError:
            good = False
        if value.get_secret_value() and not good:
            raise ValueError("should be like http://proxy:4750 or http://user:password@proxy:4750")
        return value

    @field_validator("redis_url")
    @classmethod
    def _leads_to_a_database(cls, value: str | None) -> str | None:
        if value is None:
            return None
        like = "should be like redis://:password@host:6379/0 or unix:///path/of/socket"
        try:
            parts = urlsplit(value)
            port = parts.port
        except ValueError:  # says what it could not read, which may be half a password
            raise ValueError(like) from None
        if not (parts.path if parts.scheme == "unix" else port != 0 and re.fullmatch(r"/?|/[0-9]+", parts.path)):
            raise ValueError(like)
        options = parse_qs(parts.query, keep_blank_values=True)
        accepted = REDISS_OPTIONS if parts.scheme == "rediss" else REDIS_OPTIONS
        if unknown := sorted(options.keys() - accepted):
            raise ValueError(f"the option {unknown[0]!r} is none of {', '.join(sorted(accepted))}")
        if not all(db.isdecimal() for db in options.get("db", [])):
            raise ValueError("db is the number of a database")
        return value

    @property
    def strategies(self) -> tuple[str, ...]:
        """`strategy_order`, name by name."""
        return tuple(self.strategy_order.split(","))

    @property
    def models_dir(self) -> Path:
        """`artifacts_dir`, or its default below `segue_home`."""
        return self.artifacts_dir or self.segue_home / "artifacts"

    @property
    def is_loopback(self) -> bool:
        """Whether the API is reachable from this machine only."""
        return self.host in LOOPBACK_HOSTS

    @property
    def asks_for_keys(self) -> bool:
        """Whether callers need an API key."""
        return self.auth == "on" or (self.auth == "auto" and not self.is_loopback)

    @property
    def origins(self) -> tuple[str, ...]:
        """`cors_origins`, one by one."""
        return tuple(self.cors_origins.split(",")) if self.cors_origins else ()


def load() -> Settings:
    """Read the settings from the environment and `.env`.

    Raises: BadSettings, with a line for each setting that is wrong.
    """
    try:
        return Settings()
    except ValidationError as error:
        lines = [f"{str(e['loc'][0]).upper()}: {e['msg']} (got {_shown(e['input'])})" for e in error.errors()]
        raise BadSettings("wrong setting: " + "; ".join(lines)) from error


def _shown(value: object) -> str:
    """Return a value as messages may show it: without the user and the password of an address."""
    return re.sub(r"//.*@", "//…@", re.sub(r"password=[^&']*", "password=…", repr(value)))


def version() -> str:
    """Return which release this is, as pyproject.toml says."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def one_thread() -> None:
    """Hold the numerical libraries of this process to one thread each; for workers, which scale by process.

    Call it before numpy is imported: the libraries look once.
    """
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    os.environ.update(dict.fromkeys(names, "1"))


def child_environment(**overrides: str) -> dict[str, str]:
    """Return this process's environment with `overrides` (setting names in capitals), for a child process."""
    return {**os.environ, **overrides}
