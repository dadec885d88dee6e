#!/usr/bin/env python3
"""Writes cases.json: what LiteLLM says that requests cost, for the tests of `tollgate_core::price`.

    python3 -m venv /tmp/litellm && /tmp/litellm/bin/pip install litellm
    /tmp/litellm/bin/python recompute.py > cases.json

With --wide it does so for all models of the main providers that are no dated or regional variants of others. Their file is large, and
not kept; a test that is not run by default reads it:

    /tmp/litellm/bin/python recompute.py --wide > /tmp/wide.json
    TOLLGATE_PRICE_CASES=/tmp/wide.json cargo test -p tollgate-core --test it price:: -- --ignored --nocapture

The prices are those of the table that LiteLLM ships. Rates that Tollgate does not have are left out of a case; where
LiteLLM uses one of them, the test lists the case as a difference.
"""

import importlib.metadata
import json
import os
import pathlib
import re
import sys
from decimal import ROUND_HALF_EVEN, Decimal

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm  # noqa: E402
from litellm.cost_calculator import batch_cost_calculator  # noqa: E402
from litellm.types.utils import CompletionTokensDetailsWrapper, PromptTokensDetailsWrapper, Usage  # noqa: E402

MODELS = [
    ("openai", "gpt-4o"),
    ("openai", "gpt-4o-mini"),
    ("openai", "gpt-4.1"),
    ("openai", "gpt-5"),
    ("openai", "gpt-5-mini"),
    ("openai", "gpt-5.5"),
    ("openai", "o3"),
    ("openai", "gpt-audio"),
    ("openai", "text-embedding-3-small"),
    ("openai", "text-embedding-3-large"),
    ("anthropic", "claude-sonnet-4-5"),
    ("anthropic", "claude-haiku-4-5"),
    ("anthropic", "claude-opus-4-5"),
    ("gemini", "gemini/gemini-2.5-pro"),
    ("gemini", "gemini/gemini-2.5-flash"),
    ("gemini", "gemini/gemini-2.5-flash-lite"),
    ("mistral", "mistral/mistral-large-latest"),
    ("mistral", "mistral/codestral-latest"),
    ("cerebras", "cerebras/gpt-oss-120b"),
    ("groq", "groq/openai/gpt-oss-20b"),
    ("groq", "groq/openai/gpt-oss-120b"),
    ("cohere_chat", "command-a-03-2025"),
    ("xai", "xai/grok-4.3"),
    ("deepseek", "deepseek/deepseek-chat"),
    ("anthropic", "claude-sonnet-5"),
    ("bedrock", "amazon.nova-pro-v1:0"),
]

WIDE = (
    "openai anthropic gemini vertex_ai-language-models vertex_ai-anthropic_models azure bedrock_converse mistral cohere_chat cohere "
    "groq xai perplexity cerebras"
).split()
VARIANT = re.compile(
    r"ft:|(us|eu|au|apac|jp|global|us-gov)\.|azure/(us|eu|apac|global|global-standard|us-gov)/|perplexity/.*/|.*(20\d\d-?\d\d-?\d\d|-\d{4}$|preview|exp)"
)


def wide():
    """Models of the main providers, without the dated and regional ones."""
    for model, entry in litellm.model_cost.items():
        priced = entry.get("mode") in ("chat", "responses", "embedding") and entry.get("input_cost_per_token")
        is_own = model.startswith(("anthropic.", "amazon.")) or not VARIANT.match(model)
        if priced and is_own and entry.get("litellm_provider") in WIDE:
            yield entry["litellm_provider"], model


USAGES = {
    "small": {"input_tokens": 1_234, "output_tokens": 567},
    "cached": {"input_tokens": 10_000, "cache_read_tokens": 7_000, "output_tokens": 321},
    "written": {"input_tokens": 12_000, "cache_read_tokens": 3_000, "cache_creation_tokens": 5_000, "output_tokens": 77},
    "audio": {"input_tokens": 900, "input_audio_tokens": 600, "output_tokens": 400, "output_audio_tokens": 300},
    "128k": {"input_tokens": 150_000, "output_tokens": 1_000},
    "200k": {"input_tokens": 200_000, "output_tokens": 1_000},
    "long": {"input_tokens": 250_001, "cache_read_tokens": 100_000, "output_tokens": 3_000},
    "very long": {"input_tokens": 300_000, "output_tokens": 3_000},
    "priority": {"tier": "priority", "input_tokens": 5_000, "cache_read_tokens": 1_000, "output_tokens": 2_000},
    "long priority": {"tier": "priority", "input_tokens": 210_000, "output_tokens": 2_000},
    "batch": {"tier": "batch", "input_tokens": 4_000, "output_tokens": 2_000},
    "cached batch": {"tier": "batch", "input_tokens": 4_000, "cache_read_tokens": 1_000, "output_tokens": 2_000},
}


def rate_names():
    """The rates, from the source of the core."""
    source = pathlib.Path(__file__).parents[3] / "src/domain/pricing_override.rs"
    return re.search(r"RATE_NAMES: .*?= \[(.*?)\];", source.read_text(), re.S)[1].replace('"', "").replace(",", "").split()


def dollars(provider, model, used):
    usage = Usage(
        prompt_tokens=used["input_tokens"],
        completion_tokens=used["output_tokens"],
        total_tokens=used["input_tokens"] + used["output_tokens"],
        prompt_tokens_details=PromptTokensDetailsWrapper(
            cached_tokens=used.get("cache_read_tokens", 0), audio_tokens=used.get("input_audio_tokens", 0)
        ),
        completion_tokens_details=CompletionTokensDetailsWrapper(audio_tokens=used.get("output_audio_tokens", 0)),
        cache_creation_input_tokens=used.get("cache_creation_tokens", 0),
        cache_read_input_tokens=used.get("cache_read_tokens", 0),
    )
    if used.get("tier") == "batch":
        return batch_cost_calculator(usage=usage, model=model, custom_llm_provider=provider)
    return litellm.cost_per_token(
        model=model,
        custom_llm_provider=provider,
        prompt_tokens=used["input_tokens"],
        completion_tokens=used["output_tokens"],
        cache_creation_input_tokens=used.get("cache_creation_tokens", 0),
        cache_read_input_tokens=used.get("cache_read_tokens", 0),
        usage_object=usage,
        service_tier=used.get("tier"),
    )


def rates(model):
    entry = litellm.model_cost[model]
    return {name: entry[name] for name in NAMES if isinstance(entry.get(name), (int, float))}


def beyond(model):
    """The rates of LiteLLM that Tollgate does not have."""
    return [name for name in litellm.model_cost[model] if "cost" in name and name not in NAMES]


def cases(provider, model):
    for label, used in USAGES.items():
        if used["input_tokens"] > (litellm.model_cost[model].get("max_input_tokens") or 0):
            continue
        if label == "audio" and "input_cost_per_audio_token" not in rates(model):
            continue
        parts = dollars(provider, model.removeprefix(f"{provider}/"), used)
        nanos = sum(Decimal(part) for part in parts) * 1_000_000_000
        yield {"name": label, "usage": used, "nano_usd": int(nanos.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))}


NAMES = rate_names()
VERSION = importlib.metadata.version("litellm")
if "--wide" in sys.argv:
    models = [
        {"model": model, "rates": rates(model), "beyond": beyond(model), "cases": list(cases(provider, model))}
        for provider, model in wide()
    ]
    print(json.dumps({"litellm": VERSION, "models": models}))
    sys.exit()
models = ",\n".join(
    f'    {{\n      "model": {json.dumps(model)},\n      "rates": {json.dumps(rates(model))},\n      "cases": [\n'
    + ",\n".join(f"        {json.dumps(case)}" for case in cases(provider, model))
    + "\n      ]\n    }"
    for provider, model in MODELS
)
print(f'{{\n  "litellm": {json.dumps(VERSION)},\n  "models": [\n{models}\n  ]\n}}')
