"""The settings: what each is called, what it may be, and one sentence for each that is wrong.

Values come from the environment and from a ``.env`` file, the environment
first; an empty value counts as unset in both. Every bad key is reported at
once, by name, with an example, and no message ever quotes a value: a token is
easily pasted into the wrong line.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import unquote

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
)

from bot.errors import SettingsError
from bot.settings.env_file import env_file_path, read_env_file
from bot.settings.values import (
    clean_key,
    clean_token,
    lower,
    parse_api_url,
    parse_data_dir,
    parse_database_url,
    parse_keep_alive,
    parse_model,
    parse_ollama_host,
    parse_switch,
    passwords_of,
    upper,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_LONGEST_WAIT = 604_800.0  # seconds; a week is already "for ever" here

_PLAYGROUND_HINT = "(To try the bot without one, run: burble playground)"

# pydantic's error types and what we say instead; its own words may quote the value.
_REASONS = {
    "value_error": "{error}",
    "greater_than": "is not above {gt:g}",
    "greater_than_equal": "is below {ge:g}",
    "less_than_equal": "is above {le:,.0f}",
    "int_from_float": "is not a whole number",
    "int_parsing": "is not a whole number",
    "int_parsing_size": "is far too large",
    "float_parsing": "is not a number",
    "finite_number": "is not a finite number",
    "literal_error": "is not one of its values",
    "string_unicode": "is not Unicode text",
}

Seconds = Annotated[float, Field(gt=0, le=_LONGEST_WAIT, allow_inf_nan=False)]


class Settings(BaseModel):
    """All settings, checked. Field names are the keys in lower case; `load_settings` reads them.

    Each field's description says what the value must be and its first example
    is a good one: both go into the message for a bad value.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=False)

    discord_token: Annotated[SecretStr, BeforeValidator(clean_token)] | None = Field(
        None, description="the bot token from the Bot page of your application", examples=["MTE…"]
    )
    discord_api_url: Annotated[str, AfterValidator(parse_api_url)] = Field(
        "https://discord.com/api/v10",
        description="an http:// or https:// address",
        examples=["https://discord.com/api/v10"],
    )
    ollama_host: Annotated[str, BeforeValidator(parse_ollama_host)] = Field(
        "http://127.0.0.1:11434", repr=False, description="a host, host:port or URL", examples=["192.168.1.20:11434"]
    )
    ollama_api_key: Annotated[SecretStr, BeforeValidator(clean_key)] | None = Field(
        None, description="the key that ollama.com or your proxy gave you", examples=["abcdef0123…"]
    )
    ollama_model: Annotated[str, AfterValidator(parse_model)] | None = Field(
        None, description="a name as `ollama list` shows it", examples=["llama3.2:3b"]
    )
    database_url: Annotated[SecretStr, BeforeValidator(parse_database_url)] | None = Field(
        None, description="a SQLite or PostgreSQL URL", examples=["postgresql://burble:password@localhost/burble"]
    )
    data_dir: Annotated[Path, AfterValidator(parse_data_dir)] = Field(
        Path("data"), description="a directory that the bot may write to", examples=["data"]
    )
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(upper)] = Field(
        "INFO", description="one of DEBUG, INFO, WARNING, ERROR, CRITICAL", examples=["INFO"]
    )
    system_prompt: str | None = Field(
        None, description="text", examples=["You are a friendly assistant in a Discord server."]
    )
    num_ctx: int = Field(
        8192, ge=512, le=16_777_216, description="a whole number of tokens, 512 or more", examples=["8192"]
    )
    keep_alive: Annotated[str | float | int, BeforeValidator(parse_keep_alive)] | None = Field(
        None,
        description="seconds, or a duration as 5m or 1h30m; -1 keeps the model loaded, 0 unloads it at once",
        examples=["30m"],
    )
    preload_model: Annotated[Literal["on", "off"], BeforeValidator(parse_switch)] = Field(
        "off", description="on or off", examples=["on"]
    )
    resume_replies: Annotated[Literal["on", "off"], BeforeValidator(parse_switch)] = Field(
        "on", description="on or off", examples=["off"]
    )
    max_concurrent_replies: int = Field(16, ge=1, le=10_000, description="a whole number, 1 or more", examples=["16"])
    user_prompts_per_minute: int = Field(
        10, ge=0, le=10_000, description="a whole number; 0 sets no limit", examples=["10"]
    )
    channel_prompts_per_minute: int = Field(
        30, ge=0, le=10_000, description="a whole number; 0 sets no limit", examples=["30"]
    )
    max_messages: int = Field(8, ge=1, le=50, description="a whole number from 1 to 50", examples=["8"])
    render_markdown: Annotated[Literal["discord", "raw"], BeforeValidator(lower)] = Field(
        "discord", description="discord or raw", examples=["discord"]
    )
    connect_timeout_seconds: Seconds = Field(10.0, description="a number of seconds above 0", examples=["10"])
    first_byte_timeout_seconds: Seconds = Field(900.0, description="a number of seconds above 0", examples=["900"])
    idle_timeout_seconds: Seconds = Field(300.0, description="a number of seconds above 0", examples=["300"])
    shutdown_grace_seconds: float = Field(
        8.0,
        ge=0,
        le=_LONGEST_WAIT,
        allow_inf_nan=False,
        description="a number of seconds, 0 or more",
        examples=["8"],
    )

    @property
    def store_url(self) -> str:
        """The database's URL with its driver; by default a SQLite file in `data_dir`."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data_dir / 'burble.db'}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that no log may show (the whole database URL only for its password)."""
        held = [secret.get_secret_value() for secret in (self.discord_token, self.ollama_api_key) if secret]
        for url in (self.store_url, self.ollama_host):
            held += [form for password in passwords_of(url) for form in (password, unquote(password))]
        return tuple(dict.fromkeys(held))


def load_settings(
    environ: Mapping[str, str] | None = None,
    env_file: str | Path | None = None,
    *,
    require_token: bool = False,
    ignore: Collection[str] = (),
) -> Settings:
    """Read the settings from *environ* (default: the process's) and a ``.env`` file.

    *env_file* defaults to what ``BURBLE_ENV_FILE`` names, else ``.env`` in the
    working directory if there is one. *require_token* makes a missing
    ``DISCORD_TOKEN`` an error; keys in *ignore* are taken as unset.

    Raises:
        SettingsError: one line for each key that is missing or wrong.
    """
    environ = os.environ if environ is None else environ
    from_file, problems = read_env_file(environ, env_file)
    unread = len(problems)
    values: dict[str, Any] = {}
    for name in Settings.model_fields:
        key = name.upper()
        value = environ.get(key, "") if environ.get(key, "").strip() else from_file.get(key, "")
        if value.strip() and key not in ignore:
            values[name] = value
    try:
        settings = Settings(**values)
    except ValidationError as error:
        problems += [_describe(details) for details in error.errors(include_url=False, include_input=False)]
    if require_token and "discord_token" not in values:
        where = _where_to_set(env_file_path(environ, env_file))
        missing = f"DISCORD_TOKEN is not set. {_expectation('discord_token')} {where}{_PLAYGROUND_HINT}"
        problems.insert(unread, missing)  # behind a file that cannot be read: that may be why
    if problems:
        raise SettingsError("\n".join(dict.fromkeys(problems)))
    return settings


def _where_to_set(file: Path | None) -> str:
    """Return a sentence on where a setting may stand if there is no *file* yet."""
    if file is None or file.exists():
        return ""
    return f"There is no {file.name} in {file.absolute().parent}: copy .env.example to it, or use the environment. "


def _expectation(name: str) -> str:
    """Say what a good value is and show one."""
    field = Settings.model_fields[name]
    example = (field.examples or [""])[0]
    return f"It must be {field.description}. Example: {name.upper()}={example}"


def _describe(details: Mapping[str, Any]) -> str:
    """Turn one of pydantic's errors into a sentence that quotes no value."""
    name = str(details["loc"][0])
    reason = _REASONS.get(details["type"], "is not valid").format_map(details.get("ctx", {}))
    return f"{name.upper()} {reason}. {_expectation(name)}"
