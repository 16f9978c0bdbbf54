"""Every failure that we expect, and one sentence for the user for each.

The tree::

    BurbleError
    ├── SettingsError                 a setting is missing or wrong (exit code 2)
    ├── StoreError                    the database cannot be used
    ├── PromptTooLong                 the prompt alone does not fit the window
    ├── PromptRefused                 not taken in: there is too much of it
    │   ├── TooManyPrompts            one user or one channel asks too often
    │   └── QueueFull                 too many prompts wait already
    ├── ShuttingDown                  the bot is being stopped
    ├── OllamaError                   anything between us and the model
    │   ├── OllamaUnreachable         no connection: refused, reset, no route
    │   │   ├── OllamaNameError       its host name does not resolve
    │   │   └── OllamaTLSError        TLS against plain HTTP, a bad certificate
    │   ├── OllamaTimeout
    │   │   ├── ConnectTimeout        no connection in time
    │   │   ├── FirstByteTimeout      connected, but no answer began in time
    │   │   └── IdleTimeout           an answer began, then nothing for too long
    │   ├── OllamaStatusError         an HTTP status of 300 or more
    │   │   ├── ModelMissing          404: not installed
    │   │   ├── OllamaBusy            429, 502, 503, 504, 524: later, please
    │   │   ├── QuotaExceeded         429, 402, 403: a limit of hours or more, a plan
    │   │   ├── OllamaUnauthorized    401, 403: key, sign-in, Host or Origin
    │   │   └── ContextOverflow       the server says the prompt does not fit
    │   ├── NoModelInstalled          nothing there that can answer
    │   ├── NotOllama                 something answers there, but not Ollama
    │   ├── StreamError               an error line in the middle of an answer
    │   ├── StreamCut                 the answer ended without its last line
    │   └── ProtocolError             an answer we cannot read (a line too long …)
    └── DeliveryError                 Discord did not take a part of a reply
        ├── DeliveryRetry             not now: again, with the newest text
        │   └── DeliveryRateLimited   a 429; says how long and for what
        ├── MessageGone               the message or its channel was deleted
        ├── DeliveryForbidden         we may not write there (any more)
        └── DeliveryRejected          this very text was refused (too long, AutoMod)
"""

from __future__ import annotations

from bot.errors.base import (
    BurbleError,
    SettingsError,
    StoreError,
)
from bot.errors.delivery import (
    DeliveryError,
    DeliveryForbidden,
    DeliveryRateLimited,
    DeliveryRejected,
    DeliveryRetry,
    MessageGone,
)
from bot.errors.ollama import (
    ConnectTimeout,
    ContextOverflow,
    FirstByteTimeout,
    IdleTimeout,
    ModelMissing,
    NoModelInstalled,
    NotOllama,
    OllamaBusy,
    OllamaError,
    OllamaNameError,
    OllamaStatusError,
    OllamaTimeout,
    OllamaTLSError,
    OllamaUnauthorized,
    OllamaUnreachable,
    ProtocolError,
    QuotaExceeded,
    StreamCut,
    StreamError,
)
from bot.errors.prompts import (
    PromptRefused,
    PromptTooLong,
    QueueFull,
    ShuttingDown,
    TooManyPrompts,
)

__all__ = [
    "BurbleError",
    "ConnectTimeout",
    "ContextOverflow",
    "DeliveryError",
    "DeliveryForbidden",
    "DeliveryRateLimited",
    "DeliveryRejected",
    "DeliveryRetry",
    "FirstByteTimeout",
    "IdleTimeout",
    "MessageGone",
    "ModelMissing",
    "NoModelInstalled",
    "NotOllama",
    "OllamaBusy",
    "OllamaError",
    "OllamaNameError",
    "OllamaStatusError",
    "OllamaTLSError",
    "OllamaTimeout",
    "OllamaUnauthorized",
    "OllamaUnreachable",
    "PromptRefused",
    "PromptTooLong",
    "ProtocolError",
    "QueueFull",
    "QuotaExceeded",
    "SettingsError",
    "ShuttingDown",
    "StoreError",
    "StreamCut",
    "StreamError",
    "TooManyPrompts",
]
