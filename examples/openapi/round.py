#!/usr/bin/env python3
"""Makes every operation of the mirrored REST API with a client that openapi-python-client has generated:
TOLLGATE_TOKEN=tg_… round.py URL
The server must be a new one, as `tollgate serve --testing` is.
"""

import os
import re
import sys
from collections.abc import Iterator
from typing import Any, TypeVar

import attrs
import httpx
from tollgate_governance_api_client import AuthenticatedClient
from tollgate_governance_api_client.api.governance import (
    create_customer,
    create_model_config,
    create_pricing_override,
    create_routing_rule,
    create_team,
    create_virtual_key,
    delete_customer,
    delete_model_config,
    delete_pricing_override,
    delete_provider_governance,
    delete_routing_rule,
    delete_team,
    delete_virtual_key,
    get_customer,
    get_model_config,
    get_routing_rule,
    get_team,
    get_virtual_key,
    get_virtual_key_quota,
    list_budgets,
    list_customers,
    list_model_configs,
    list_pricing_overrides,
    list_provider_governance,
    list_rate_limits,
    list_routing_rules,
    list_teams,
    list_virtual_keys,
    update_customer,
    update_model_config,
    update_pricing_override,
    update_provider_governance,
    update_routing_rule,
    update_team,
    update_virtual_key,
)
from tollgate_governance_api_client.models import (
    BudgetEntry,
    CreateCustomerRequest,
    CreateModelConfigRequest,
    CreatePricingOverrideRequest,
    CreateRoutingRuleRequest,
    CreateTeamRequest,
    CreateTeamRequestLabelsType0,
    CreateVirtualKeyRequest,
    Enforcement,
    ErrorResponse,
    ModelConfigScope,
    PricingMatchType,
    PricingPatchEntry,
    PricingRequestType,
    PricingScopeKind,
    QuotaError,
    RateLimitEntry,
    RoutingScope,
    RoutingTargetEntry,
    UpdateCustomerRequest,
    UpdateModelConfigRequest,
    UpdatePricingOverrideRequest,
    UpdateProviderGovernanceRequest,
    UpdateRoutingRuleRequest,
    UpdateTeamRequest,
    UpdateVirtualKeyRequest,
    VirtualKeyProviderConfigEntry,
)
from tollgate_governance_api_client.types import UNSET

T = TypeVar("T")


def good(answer: T | ErrorResponse | QuotaError | None) -> T:
    """An answer that is no error, and says nothing that the document does not."""
    assert answer is not None, "the status is not in the document"
    assert not isinstance(answer, ErrorResponse | QuotaError), answer
    assert not (unknown := list(undescribed(answer))), unknown
    return answer


def undescribed(value: Any) -> Iterator[str]:
    """The properties that the generated classes of an answer do not know."""
    if isinstance(value, list):
        for one in value:
            yield from undescribed(one)
    elif attrs.has(type(value)):
        names = [field.name for field in attrs.fields(type(value)) if field.name != "additional_properties"]
        # An object of free data, such as labels, has no properties of its own.
        if names:
            yield from (f"{type(value).__name__}.{name}" for name in value.additional_properties)
        for name in names:
            yield from undescribed(getattr(value, name))


def hierarchy(client: AuthenticatedClient) -> None:
    """Customers, teams and virtual keys."""
    budget = BudgetEntry(max_limit=5000, reset_duration="1M", enforcement=Enforcement.SOFT)
    made = good(create_customer.sync(client=client, body=CreateCustomerRequest(name="acme", budgets=[budget])))
    acme = made.customer
    assert made.message and acme.budgets[0].enforcement is Enforcement.SOFT, made
    changed = good(update_customer.sync(acme.id, client=client, body=UpdateCustomerRequest(is_active=True)))
    assert changed.customer.budgets[0].id == acme.budgets[0].id, "what is left out stays as it is"
    assert good(get_customer.sync(acme.id, client=client)).customer.name == "acme"
    assert good(list_customers.sync(client=client, search="acm")).count == 1

    labels = CreateTeamRequestLabelsType0.from_dict({"floor": "3"})
    new_team = CreateTeamRequest(name="research", customer_id=acme.id, labels=labels)
    team = good(create_team.sync(client=client, body=new_team)).team
    assert team.labels.to_dict() == {"floor": "3"} and team.customer_id == acme.id, team
    alone = good(update_team.sync(team.id, client=client, body=UpdateTeamRequest(customer_id=None))).team
    assert alone.customer_id is UNSET, "null clears it"
    assert good(get_team.sync(team.id, client=client)).team == alone
    assert [it.id for it in good(list_teams.sync(client=client, limit=1)).teams] == [team.id]

    new_key = CreateVirtualKeyRequest(
        name="ci",
        team_id=team.id,
        provider_configs=[
            VirtualKeyProviderConfigEntry(provider="openai", weight=1, allowed_models=["gpt-4o*"], key_ids=["*"])
        ],
        rate_limits=[RateLimitEntry(request_max_limit=60, request_reset_duration="1m")],
    )
    key = good(create_virtual_key.sync(client=client, body=new_key)).virtual_key
    stop = UpdateVirtualKeyRequest(is_active=False)
    stopped = good(update_virtual_key.sync(key.id, client=client, body=stop)).virtual_key
    assert stopped.is_active is False and stopped.value != key.value, "the value is shown once"
    assert good(get_virtual_key.sync(key.id, client=client)).virtual_key.provider_configs[0].provider == "openai"
    assert good(list_virtual_keys.sync(client=client, team_id=team.id, is_active=False)).total_count == 1
    # A virtual key asks with its own value.
    with AuthenticatedClient(str(client.get_httpx_client().base_url), token=key.value) as holder:
        quota = good(get_virtual_key_quota.sync(client=recorded(holder)))
    assert quota.virtual_key_name == "ci" and quota.rate_limits[0].request_max_limit == 60, quota
    assert good(list_rate_limits.sync(client=client, virtual_key_id=key.id)).rate_limits == stopped.rate_limits
    assert good(list_budgets.sync(client=client, customer_id=acme.id)).count == 1

    assert good(delete_virtual_key.sync(key.id, client=client)).message
    assert good(delete_team.sync(team.id, client=client)).message
    assert good(delete_customer.sync(acme.id, client=client)).message
    refused = get_team.sync(team.id, client=client)
    assert isinstance(refused, ErrorResponse) and refused.status_code == 404, refused
    assert refused.error.code == "not_found", refused


def models_and_prices(client: AuthenticatedClient) -> None:
    """Model configs, routing rules, the limits of providers, and prices."""
    daily = BudgetEntry(max_limit=100, reset_duration="1d")
    new_config = CreateModelConfigRequest(model_name="gpt-4o", provider="openai", budgets=[daily])
    config = good(create_model_config.sync(client=client, body=new_config)).model_config
    assert config.scope is ModelConfigScope.GLOBAL and config.scope_id is None, config
    aligned = UpdateModelConfigRequest(calendar_aligned=True)
    assert good(update_model_config.sync(config.id, client=client, body=aligned)).model_config.calendar_aligned
    assert good(get_model_config.sync(config.id, client=client)).model_config.model_name == "gpt-4o"
    assert good(list_model_configs.sync(client=client, scope=ModelConfigScope.GLOBAL)).count == 1
    assert good(delete_model_config.sync(config.id, client=client)).message

    new_rule = CreateRoutingRuleRequest(
        name="gold",
        cel_expression='headers["x-plan"] == "gold"',
        scope=RoutingScope.GLOBAL,
        targets=[RoutingTargetEntry(provider="openai", model="gpt-4o", weight=1)],
    )
    rule = good(create_routing_rule.sync(client=client, body=new_rule)).rule
    changed = good(update_routing_rule.sync(rule.id, client=client, body=UpdateRoutingRuleRequest(priority=10))).rule
    assert changed.priority == 10 and changed.targets == rule.targets, changed
    assert good(get_routing_rule.sync(rule.id, client=client)).rule == changed
    assert good(list_routing_rules.sync(client=client, scope=RoutingScope.TEAM)).rules == []
    assert good(delete_routing_rule.sync(rule.id, client=client)).message

    limits = UpdateProviderGovernanceRequest(budgets=[daily])
    assert good(update_provider_governance.sync("openai", client=client, body=limits)).provider == "openai"
    assert [it.id for it in good(list_provider_governance.sync(client=client)).providers] == ["openai"]
    assert good(delete_provider_governance.sync("openai", client=client)).message

    new_prices = CreatePricingOverrideRequest(
        name="negotiated",
        scope_kind=PricingScopeKind.PROVIDER,
        provider_id="openai",
        match_type=PricingMatchType.WILDCARD,
        pattern="gpt-4o*",
        request_types=[PricingRequestType.CHAT_COMPLETION],
        patch=PricingPatchEntry(input_cost_per_token=0.0000025),
    )
    prices = good(create_pricing_override.sync(client=client, body=new_prices)).pricing_override
    everywhere = UpdatePricingOverrideRequest(scope_kind=PricingScopeKind.GLOBAL, provider_id=None)
    changed_prices = good(update_pricing_override.sync(prices.id, client=client, body=everywhere)).pricing_override
    assert changed_prices.provider_id is None and changed_prices.patch == prices.patch, changed_prices
    listed = good(list_pricing_overrides.sync(client=client, scope_kind=PricingScopeKind.GLOBAL))
    assert listed.pricing_overrides == [changed_prices], listed
    assert good(delete_pricing_override.sync(prices.id, client=client)).message


requests: set[tuple[str, str]] = set()


def recorded(client: AuthenticatedClient) -> AuthenticatedClient:
    """The client, whose requests that succeed are kept."""

    def keep(response: httpx.Response) -> None:
        if response.is_success:
            requests.add((response.request.method.lower(), response.request.url.path))

    client.get_httpx_client().event_hooks["response"].append(keep)
    return client


def operation(paths: dict[str, Any], method: str, place: str) -> str:
    """The id of the operation of a request. A path without parameters goes before one with them."""
    templates = (it for it in paths if re.fullmatch(re.sub(r"{\w+}", "[^/]+", it), place))
    operations = paths[place if place in paths else next(templates)]
    return str(operations[method]["operationId"])


def main() -> None:
    """The round, and whether it was whole."""
    (url,) = sys.argv[1:]
    with AuthenticatedClient(url, token=os.environ["TOLLGATE_TOKEN"], raise_on_unexpected_status=True) as client:
        hierarchy(recorded(client))
        models_and_prices(client)
    paths = httpx.get(f"{url}/openapi.json").raise_for_status().json()["paths"]
    every = {it["operationId"] for operations in paths.values() for it in operations.values()}
    done = {operation(paths, *request) for request in requests}
    assert done == every, f"not made: {every - done}"
    print(f"made all {len(every)} operations")


main()
