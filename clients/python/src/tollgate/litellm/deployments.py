"""LiteLLM's deployments as targets of Tollgate. LiteLLM calls a group of deployments a model; Tollgate decides on a
provider and the model that it is asked for."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import litellm
from litellm.exceptions import BadRequestError

from tollgate.usage import mapping

Deployment = Mapping[str, Any]
Target = tuple[str, str]
"""A provider and a model, by their names in Tollgate."""

_PROVIDERS = {
    "azure_text": "azure",
    "bedrock_converse": "bedrock",
    "cohere_chat": "cohere",
    "fireworks_ai": "fireworks",
    "hosted_vllm": "vllm",
    "runwayml": "runway",
    "text-completion-codestral": "mistral",
    "text-completion-openai": "openai",
    "vertex_ai": "vertex",
}
"""Providers that have another name in Tollgate."""


def target(deployment: Deployment) -> Target:
    """Where a deployment sends requests."""
    settings = deployment["litellm_params"]
    name = str(settings["model"])
    try:
        found: Any = litellm.get_llm_provider(model=name, custom_llm_provider=settings.get("custom_llm_provider"))
        model, provider = str(found[0]), str(found[1])
    except BadRequestError:
        provider, _, model = name.rpartition("/")
    return _PROVIDERS.get(provider, provider), model


def of_model(router: Any, model: str) -> Sequence[Deployment]:
    """The deployments that a request for a model may go to: those of the group, or the one with that id."""
    if is_id(router, model):
        return [router.get_deployment(model_id=model).model_dump(exclude_none=True)]
    return router.get_model_list(model_name=model) or []


def is_id(router: Any, model: Any) -> bool:
    """Whether a name is the id of one deployment. The router then asks nobody which deployment it may take."""
    name = mapping(model).get("model", model)
    return isinstance(name, str) and name not in router.model_names and router.has_model_id(name)


def draw(deployments: Sequence[Deployment]) -> list[Target]:
    """The targets of deployments, each once, in an order that is drawn by the weights of the deployments."""

    def lot(deployment: Deployment) -> float:
        return random.random() ** (1 / (deployment["litellm_params"].get("weight") or 1))

    return list(dict.fromkeys(target(it) for it in sorted(deployments, key=lot, reverse=True)))


def group(router: Any, wanted: Target) -> str | None:
    """The group that serves a target; `None` if none does."""
    known: Sequence[Deployment] = router.get_model_list() or []
    for deployment in known:
        if target(deployment) == wanted:
            return str(deployment["model_name"])
    provider, model = wanted
    names = [theirs for theirs, ours in _PROVIDERS.items() if ours == provider]
    # A group such as `openai/*` serves whatever is named so.
    return next(
        (name for it in (provider, *names) if router.get_model_list(model_name=(name := f"{it}/{model}"))), None
    )
