"""Loads an organisation from a JSON file. Running it again changes nothing: what is there by name is left as it is.

The secrets of new keys are written to the file that --keys names, readable by its owner only. They are shown once, so
they can be read nowhere else; they are never printed.
"""

import argparse
import json
import os
import uuid

import grpc
from google.protobuf.json_format import ParseDict

from stubs import service, v1


class Loader:
    """Creates what is missing, by name."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel
        self.created = 0

    def named(self, kind: str, plural: str, **filters: str) -> dict[str, object]:
        """All resources of a kind by name, over all pages."""
        found, token = {}, ""
        method = getattr(service(kind, self.channel), f"List{kind}s")
        field = plural
        while True:
            request = getattr(v1(kind), f"List{kind}sRequest")(page_size=1000, page_token=token, **filters)
            page = method(request)
            found.update({item.name: item for item in getattr(page, field)})
            token = page.next_page_token
            if not token:
                return found

    def create(self, kind: str, field: str, resource: dict) -> object:
        """One create. The request id makes the retry of a call whose answer was lost harmless."""
        request = getattr(v1(kind), f"Create{kind}Request")(request_id=str(uuid.uuid4()))
        ParseDict(resource, getattr(request, field))
        self.created += 1
        return getattr(getattr(service(kind, self.channel), f"Create{kind}")(request), field)

    def ensure(self, kind: str, field: str, plural: str, resources: list[dict]) -> dict[str, object]:
        """Creates those that are missing; all of them by name."""
        found = self.named(kind, plural)
        for resource in resources:
            if resource["name"] not in found:
                found[resource["name"]] = self.create(kind, field, resource)
        return found


def virtual_keys(team: dict, team_id: str) -> list[dict]:
    """The keys of a team: all alike, each with a rate limit of its own."""
    configs = [
        {"provider": provider, "weight": 1, "allowed_models": models, "key_ids": ["*"]}
        for provider, models in team["models"].items()
    ]
    tools = [{"mcp_client_name": client, "tools_to_execute": names} for client, names in team["tools"].items()]
    return [
        {
            "name": f"{team['name'].lower()}-{number:03}",
            "team_id": team_id,
            "provider_configs": configs,
            "mcp_configs": tools,
            "budgets": [{"max_limit": team["monthly_budget"] / team["keys"], "reset_duration": "1M"}],
            "rate_limit": {"request_max_limit": team["requests_per_minute"], "request_reset_duration": "1m"},
        }
        for number in range(team["keys"])
    ]


def load(loader: Loader, organisation: dict) -> dict[str, str]:
    """Loads it all; the secrets of new keys by the names of the keys."""
    for provider in organisation["providers"]:
        # Built-in providers are there from the start: their keys are set instead.
        if provider["name"] in loader.named("Provider", "providers"):
            request = v1("Provider").UpdateProviderRequest()
            ParseDict({**provider, "id": provider["name"]}, request.provider)
            request.update_mask.paths.append("keys")
            service("Provider", loader.channel).UpdateProvider(request)
        else:
            loader.create("Provider", "provider", provider)
    loader.ensure("McpClient", "mcp_client", "mcp_clients", organisation["mcp_clients"])
    customers = [
        {key: customer[key] for key in ("name", "budgets", "calendar_aligned")} for customer in organisation["customers"]
    ]
    customers = loader.ensure("Customer", "customer", "customers", customers)
    teams = [
        (team, {"name": team["name"], "customer_id": customers[customer["name"]].id,
                "budgets": [{"max_limit": team["monthly_budget"], "reset_duration": "1M"}]})
        for customer in organisation["customers"]
        for team in customer["teams"]
    ]
    ids = loader.ensure("Team", "team", "teams", [resource for _, resource in teams])
    keys = [key for team, _ in teams for key in virtual_keys(team, ids[team["name"]].id)]
    there = loader.named("VirtualKey", "virtual_keys")
    secrets = {
        key["name"]: loader.create("VirtualKey", "virtual_key", key).value for key in keys if key["name"] not in there
    }
    loader.ensure("RoutingRule", "routing_rule", "routing_rules", organisation["routing_rules"])
    loader.ensure("PricingOverride", "pricing_override", "pricing_overrides", organisation["pricing_overrides"])
    return secrets


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", default="127.0.0.1:50051")
    parser.add_argument("--keys", required=True, help="file for the secrets of new keys (JSON, mode 0600)")
    parser.add_argument("file", nargs="?", default=os.path.join(os.path.dirname(__file__), "organisation.json"))
    arguments = parser.parse_args()
    with open(arguments.file, encoding="utf-8") as file:
        organisation = json.load(file)
    with grpc.insecure_channel(arguments.server) as channel:
        loader = Loader(channel)
        secrets = load(loader, organisation)
    if secrets:
        descriptor = os.open(arguments.keys, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(secrets, file, indent=1)
    print(f"created {loader.created}, of which {len(secrets)} virtual keys")


if __name__ == "__main__":
    main()
