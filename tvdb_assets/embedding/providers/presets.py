"""Servers that speak OpenAI's protocol, by name: ``TVDB_EMBEDDER=ollama:nomic-embed-text``.

What belongs here: where each one is, its key, and whose prices apply. What does not: the protocol
(`providers.openai`), what a server takes (it is learned), or the prefixes of models
(`embedding.model_prefixes`).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from pydantic import SecretStr

from tvdb_assets import error_codes as codes
from tvdb_assets.embedding.embedder_protocol import EmbeddingProvider
from tvdb_assets.embedding.model_prefixes import prefixes_of
from tvdb_assets.embedding.providers.openai import OpenAIEmbedder
from tvdb_assets.settings import Settings
from tvdb_assets.spend_guard.prices import Price, embedding_price


@dataclass(frozen=True, slots=True)
class _Preset:
    service: str
    display_name: str
    address: str | None
    """Where it is unless a setting says otherwise; None where each user has an own one."""
    variables: str = ""
    """How the variables of key and address begin; empty: with the name of the service."""
    prices: str | None = None
    """The provider of genai-prices; None for a server of one's own, which costs nothing."""


_PRESETS = (
    _Preset("azure", "Azure OpenAI", None, "AZURE_OPENAI", "azure"),
    _Preset("dashscope", "DashScope", "https://dashscope.aliyuncs.com", prices="dashscope"),
    _Preset("gemini", "Gemini", "https://generativelanguage.googleapis.com", prices="google"),
    _Preset("litellm", "LiteLLM", "http://127.0.0.1:4000", prices="litellm"),
    _Preset("llamacpp", "llama.cpp", "http://127.0.0.1:8080"),
    _Preset("lmstudio", "LM Studio", "http://127.0.0.1:1234"),
    _Preset("localai", "LocalAI", "http://127.0.0.1:8080"),
    _Preset("mistral", "Mistral", "https://api.mistral.ai", prices="mistral"),
    _Preset("ollama", "Ollama", "http://127.0.0.1:11434"),
    _Preset("siliconflow", "SiliconFlow", "https://api.siliconflow.cn", prices="siliconflow"),
    _Preset("tei", "Text Embeddings Inference", "http://127.0.0.1:8080"),
    _Preset("vllm", "vLLM", "http://127.0.0.1:8000"),
    _Preset("voyage", "Voyage", "https://api.voyageai.com", prices="voyage"),
)


def _embedder(preset: _Preset) -> type[OpenAIEmbedder]:
    begin = preset.variables or preset.service.upper()

    class PresetEmbedder(OpenAIEmbedder):
        """Vectors of one kind of server."""

        service = preset.service
        display_name = preset.display_name
        key_variable = f"{begin}_API_KEY"

        @classmethod
        def _find_key(cls, settings: Settings) -> SecretStr | None:
            key = settings.provider_variable(cls.key_variable)
            if key is None and preset.prices is not None:
                raise codes.KEY_MISSING.error(
                    service=cls.display_name, variable=cls.key_variable, mode="TVDB_EMBEDDER_MODE"
                )
            return key

        @classmethod
        def _find_address(cls, settings: Settings) -> str | None:
            given = settings.provider_variable(f"{begin}_BASE_URL")
            address = settings.embedding_base_url or (given.get_secret_value() if given else None)
            if address is None and preset.address is None:
                raise codes.ADDRESS_MISSING.error(
                    service=cls.display_name, variable=f"{begin}_BASE_URL"
                )
            return address or preset.address

        def _price_of(self, usd_per_million: Decimal | None) -> Price:
            """By a setting, or that of the model now; 0 for a server of one's own."""
            if usd_per_million is None and preset.prices is None:
                usd_per_million = Decimal(0)
            provider = preset.prices or preset.service
            return embedding_price(self._model, usd_per_million, provider=provider)

        @property
        def _model_prefixes(self) -> tuple[str, str]:
            return prefixes_of(self._model)

    PresetEmbedder.__name__ = PresetEmbedder.__qualname__ = f"{preset.service.title()}Embedder"
    return PresetEmbedder


def _provider(preset: _Preset) -> EmbeddingProvider:
    embedder = _embedder(preset)
    return EmbeddingProvider(
        preset.service,
        embedder,
        embedder.for_space,
        is_paid=True,
        is_preset=True,
        is_free_by_default=preset.prices is None,
    )


PROVIDERS = tuple(map(_provider, _PRESETS))
