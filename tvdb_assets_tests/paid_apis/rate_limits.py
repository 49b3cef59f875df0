"""A rate limit as OpenAI keeps it: a bucket that refills over a minute.

What belongs here: two buckets, requests and tokens, and the headers that report them.
"""

from __future__ import annotations

from math import ceil

from tvdb_assets_tests.paid_apis.replies import Headers, RefusedError, openai_refusal

_PLENTY = {"requests": 10_000, "tokens": 10_000_000}


class RateLimit:
    """Requests and tokens a minute; 0 means that there is no limit, only its headers."""

    def __init__(self, requests_per_minute: int = 0, tokens_per_minute: int = 0) -> None:
        self._limits = {"requests": requests_per_minute, "tokens": tokens_per_minute}
        self._left = {name: float(limit) for name, limit in self._limits.items()}
        self._at: float | None = None

    def take(self, tokens: int, model: str, now: float) -> Headers:
        """Take one request and its tokens.

        Returns:
            The headers of the answer.

        Raises:
            RefusedError: There are not enough left; nothing was taken.
        """
        self._refill(now)
        wanted = {"requests": 1, "tokens": tokens}
        for name, limit in self._limits.items():
            short = wanted[name] - self._left[name]
            if limit and short > 0:
                raise self._refusal(name, wanted[name], short * 60 / limit, model)
        for name in self._limits:
            self._left[name] -= wanted[name]
        return self._headers(wanted)

    def _refill(self, now: float) -> None:
        if self._at is not None and now > self._at:
            for name, limit in self._limits.items():
                more = (now - self._at) * limit / 60
                self._left[name] = min(float(limit), self._left[name] + more)
        self._at = now if self._at is None else max(now, self._at)

    def _refusal(self, name: str, wanted: int, wait: float, model: str) -> RefusedError:
        limit, left = self._limits[name], int(self._left[name])
        short = {"requests": "RPM", "tokens": "TPM"}[name]
        message = (
            f"Rate limit reached for {model} in organization org-simulated on {name} per min "
            f"({short}): Limit {limit}, Used {limit - left}, Requested {wanted}. "
            f"Please try again in {wait:.3f}s."
        )
        waits: Headers = (
            ("retry-after", str(ceil(wait))),
            ("retry-after-ms", str(ceil(wait * 1000))),
        )
        headers = waits + self._headers({})
        return openai_refusal(429, message, name, "rate_limit_exceeded", headers=headers)

    def _headers(self, taken: dict[str, int]) -> Headers:
        headers: list[tuple[str, str]] = []
        for name, limit in self._limits.items():
            shown = limit or _PLENTY[name]
            left = self._left[name] if limit else shown - taken.get(name, 0)
            wait = (shown - left) * 60 / shown
            headers += [
                (f"x-ratelimit-limit-{name}", str(shown)),
                (f"x-ratelimit-remaining-{name}", str(max(0, int(left)))),
                (f"x-ratelimit-reset-{name}", _duration(wait)),
            ]
        return tuple(headers)


def _duration(seconds: float) -> str:
    """As OpenAI writes it: ``8ms``, ``1.5s``, ``6m0s``."""
    if seconds < 1:
        return f"{ceil(seconds * 1000)}ms"
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}m{rest:.3g}s" if minutes else f"{rest:.4g}s"
