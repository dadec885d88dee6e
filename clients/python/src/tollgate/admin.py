"""The client of a control plane: reads and writes its resources."""

from __future__ import annotations

import os
import uuid
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from copy import deepcopy
from datetime import timedelta
from typing import Any, Generic, TypeVar

import grpc
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from tollgate import channel as channels
from tollgate.errors import TollgateError, api_error
from tollgate.v1 import (
    budget_service_pb2,
    budget_service_pb2_grpc,
    config_pb2,
    config_service_pb2,
    config_service_pb2_grpc,
    customer_service_pb2,
    customer_service_pb2_grpc,
    decision_service_pb2,
    decision_service_pb2_grpc,
    hierarchy_pb2,
    limits_pb2,
    mcp_client_pb2,
    mcp_client_service_pb2,
    mcp_client_service_pb2_grpc,
    model_config_pb2,
    model_config_service_pb2,
    model_config_service_pb2_grpc,
    model_price_pb2,
    model_price_service_pb2,
    model_price_service_pb2_grpc,
    pricing_override_pb2,
    pricing_override_service_pb2,
    pricing_override_service_pb2_grpc,
    provider_governance_pb2,
    provider_governance_service_pb2,
    provider_governance_service_pb2_grpc,
    provider_pb2,
    provider_service_pb2,
    provider_service_pb2_grpc,
    rate_limit_service_pb2,
    rate_limit_service_pb2_grpc,
    resource_pb2,
    routing_rule_pb2,
    routing_rule_service_pb2,
    routing_rule_service_pb2_grpc,
    server_info_pb2,
    team_service_pb2,
    team_service_pb2_grpc,
    token_pb2,
    token_service_pb2,
    token_service_pb2_grpc,
    virtual_key_service_pb2,
    virtual_key_service_pb2_grpc,
    webhook_pb2,
    webhook_service_pb2,
    webhook_service_pb2_grpc,
)

R = TypeVar("R", bound=Message)


class NotOne(TollgateError):
    """`get` was asked for the resource with some values, and there is none, or there are several."""


class Service:
    """Calls of one service. A `request_id` goes with each that writes: one that is sent again is done once."""

    def __init__(self, channel: grpc.Channel, messages: Any, stubs: Any, kind: str) -> None:
        self._messages = messages
        self._stub = getattr(stubs, f"{kind}ServiceStub")(channel)

    def call(self, method: str, **fields: Any) -> Any:
        """Calls a method with the fields of its request; returns its response."""
        request = getattr(self._messages, f"{method}Request")(**fields)
        if "request_id" in request.DESCRIPTOR.fields_by_name and not request.request_id:
            request.request_id = str(uuid.uuid4())
        try:
            return getattr(self._stub, method)(request)
        except grpc.RpcError as error:
            raise api_error(error) from None

    def fields(self, method: str) -> set[str]:
        """The names of the fields of the request of a method."""
        return set(getattr(self._messages, f"{method}Request").DESCRIPTOR.fields_by_name)

    def pages(self, method: str, plural: str, **fields: Any) -> Iterator[Any]:
        """Calls a method that lists, page by page; yields what is in their field `plural`."""
        token = ""
        while True:
            page = self.call(method, **{"page_size": 1000, **fields, "page_token": token})
            yield from getattr(page, plural)
            token = page.next_page_token
            if not token:
                return


class Listing(Generic[R]):
    """The resources of one kind, as far as they can be listed."""

    def __init__(self, service: Service, singular: str, plural: str) -> None:
        self._service = service
        self._singular, self._plural = singular, plural
        self._type, self._types = _camel(singular), _camel(plural)

    def list(self, **filters: Any) -> Iterator[R]:
        """Yields all resources that match the filters, which are fields of the request; fetches pages on the way."""
        return self._service.pages(f"List{self._types}", self._plural, **filters)


class Editable(Listing[R]):
    """The resources of one kind that can be read one by one, changed and deleted. Fields are given by their names in
    the messages; `validate_only=True` and other fields of the requests go along with those of the resource."""

    def get(self, id: str | None = None, /, *, view: int = resource_pb2.RESOURCE_VIEW_BASIC, **values: Any) -> R:
        """Returns the resource with this id, or the only one with these values, as in `get(name="Research")`."""
        wanted = self._only(values).id if id is None else id
        return getattr(self._service.call(f"Get{self._type}", id=wanted, view=view), self._singular)

    def update(self, resource: R | str, /, **fields: Any) -> R:
        """Gives the named fields of a resource new values, and leaves the others alone. The resource is given by its
        id, or as it was read: then `Aborted` says that somebody has changed it since. Returns it as it is stored."""
        content, options = self._split(f"Update{self._type}", fields)
        mask = FieldMask(paths=list(content))
        return self._write("Update", {**_identity(resource), **content}, update_mask=mask, **options)

    @contextmanager
    def edit(self, resource: R | str, /, **options: Any) -> Generator[R, None, None]:
        """Reads a resource, lets the block change it, and sends the fields that changed:

        with admin.teams.edit(id) as team:
            team.calendar_aligned = True
        """
        before = self.get(_identity(resource)["id"])
        after = deepcopy(before)
        yield after
        names = [field.name for field in before.DESCRIPTOR.fields if _value(before, field) != _value(after, field)]
        if names or options:
            self._write("Update", after, update_mask=FieldMask(paths=names), **options)

    def delete(self, resource: R | str, /, **options: Any) -> Any:
        """Deletes a resource; one that is given as it was read only if nobody has changed it since. The response names
        the other resources that the same revision changed."""
        return self._service.call(f"Delete{self._type}", **_identity(resource), **options)

    def _only(self, values: dict[str, Any]) -> Any:
        method = f"List{self._types}"
        _, filters = self._split(method, {**values, "search": values.get("name", "")})
        found = [it for it in self.list(**filters) if all(getattr(it, name) == value for name, value in values.items())]
        if len(found) == 1:
            return found[0]
        wanted = ", ".join(f"{name}={value!r}" for name, value in values.items())
        raise NotOne(f"{len(found)} of {self._plural} have {wanted}, instead of one")

    def _write(self, verb: str, resource: Any, **options: Any) -> R:
        answer = self._service.call(f"{verb}{self._type}", **{self._singular: resource}, **options)
        return getattr(answer, self._singular)

    def _split(self, method: str, values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Parts values into those of the resource, and those that are fields of the request of a method."""
        known = self._service.fields(method)
        options = {name: value for name, value in values.items() if name in known}
        return {name: value for name, value in values.items() if name not in known}, options


class Collection(Editable[R]):
    """The resources of one kind, with the methods that all kinds have."""

    def create(self, resource: R | None = None, /, **fields: Any) -> R:
        """Creates a resource: the given one, or one with these fields. Returns it as it is stored."""
        content, options = self._split(f"Create{self._type}", fields)
        return self._write("Create", content if resource is None else resource, **options)


class VirtualKeys(Collection[hierarchy_pb2.VirtualKey]):
    """The virtual keys. `value` is the secret in what `create` and `rotate` return, and a mask elsewhere."""

    def rotate(
        self, key: hierarchy_pb2.VirtualKey | str, /, grace_period: timedelta = timedelta(), **options: Any
    ) -> hierarchy_pb2.VirtualKey:
        """Makes a new secret for a key; the old one works until the grace period ends."""
        fields = {**_identity(key), "grace_period": grace_period, **options}
        return self._service.call("RotateVirtualKey", **fields).virtual_key

    def lookup(self, value: str | bytes) -> hierarchy_pb2.VirtualKey:
        """Finds the key that a secret belongs to, by the secret or by its SHA-256."""
        key = {"value": value} if isinstance(value, str) else {"value_sha256": value}
        return self._service.call("LookupVirtualKey", **key).virtual_key


class Tokens(Listing[token_pb2.Token]):
    """The access tokens, which say who may call."""

    def create(self, **fields: Any) -> token_pb2.Token:
        """Makes an access token; `value` is in the answer, this once."""
        return self._service.call("CreateToken", token=fields).token

    def revoke(self, token: token_pb2.Token | str, /) -> token_pb2.Token:
        """Revokes an access token for good."""
        return self._service.call("RevokeToken", id=token if isinstance(token, str) else token.id).token


class Admin:
    """A client of a control plane.

        with Admin("https://control:50051", access_token="tg_…") as admin:
            team = admin.teams.create(name="Research", budgets=[{"max_limit": 500, "reset_duration": "1M"}])
            for key in admin.virtual_keys.list(team_id=team.id):
                print(key.name)

    What is left out comes from the environment: `TOLLGATE_SERVER`, `TOLLGATE_TOKEN` and `TOLLGATE_TLS_CA`.
    """

    def __init__(
        self,
        server: str | None = None,
        *,
        access_token: str | None = None,
        tls_ca: str | os.PathLike[str] | None = None,
    ) -> None:
        # Each write has a `request_id`, so one that is sent again is done once.
        retries = channels.retries({}, codes=["UNAVAILABLE", "RESOURCE_EXHAUSTED"])
        channel = channels.to_server(server, tls_ca, retries)
        access_token = access_token or os.environ.get("TOLLGATE_TOKEN") or None
        self.channel: grpc.Channel = channels.with_access_token(channel, access_token)
        """The channel, for calls that this class does not have: the stubs are in `tollgate.v1`. The access token goes
        with each call."""

        virtual_keys = self._service("VirtualKey", virtual_key_service_pb2, virtual_key_service_pb2_grpc)
        self.virtual_keys = VirtualKeys(virtual_keys, "virtual_key", "virtual_keys")
        teams = self._service("Team", team_service_pb2, team_service_pb2_grpc)
        self.teams = Collection[hierarchy_pb2.Team](teams, "team", "teams")
        customers = self._service("Customer", customer_service_pb2, customer_service_pb2_grpc)
        self.customers = Collection[hierarchy_pb2.Customer](customers, "customer", "customers")
        rules = self._service("RoutingRule", routing_rule_service_pb2, routing_rule_service_pb2_grpc)
        self.routing_rules = Collection[routing_rule_pb2.RoutingRule](rules, "routing_rule", "routing_rules")
        configs = self._service("ModelConfig", model_config_service_pb2, model_config_service_pb2_grpc)
        self.model_configs = Collection[model_config_pb2.ModelConfig](configs, "model_config", "model_configs")
        governance = self._service(
            "ProviderGovernance", provider_governance_service_pb2, provider_governance_service_pb2_grpc
        )
        self.provider_governance = Editable[provider_governance_pb2.ProviderGovernance](
            governance, "provider_governance", "provider_governance"
        )
        overrides = self._service("PricingOverride", pricing_override_service_pb2, pricing_override_service_pb2_grpc)
        self.pricing_overrides = Collection[pricing_override_pb2.PricingOverride](
            overrides, "pricing_override", "pricing_overrides"
        )
        prices = self._service("ModelPrice", model_price_service_pb2, model_price_service_pb2_grpc)
        self.model_prices = Collection[model_price_pb2.ModelPrice](prices, "model_price", "model_prices")
        providers = self._service("Provider", provider_service_pb2, provider_service_pb2_grpc)
        self.providers = Collection[provider_pb2.Provider](providers, "provider", "providers")
        clients = self._service("McpClient", mcp_client_service_pb2, mcp_client_service_pb2_grpc)
        self.mcp_clients = Collection[mcp_client_pb2.McpClient](clients, "mcp_client", "mcp_clients")
        webhooks = self._service("Webhook", webhook_service_pb2, webhook_service_pb2_grpc)
        self.webhooks = Collection[webhook_pb2.Webhook](webhooks, "webhook", "webhooks")
        budgets = self._service("Budget", budget_service_pb2, budget_service_pb2_grpc)
        self.budgets = Listing[limits_pb2.Budget](budgets, "budget", "budgets")
        limits = self._service("RateLimit", rate_limit_service_pb2, rate_limit_service_pb2_grpc)
        self.rate_limits = Listing[limits_pb2.RateLimit](limits, "rate_limit", "rate_limits")
        tokens = self._service("Token", token_service_pb2, token_service_pb2_grpc)
        self.tokens = Tokens(tokens, "token", "tokens")
        self._config = self._service("Config", config_service_pb2, config_service_pb2_grpc)
        self._decisions = self._service("Decision", decision_service_pb2, decision_service_pb2_grpc)

    def changes(self, **filters: Any) -> Iterator[config_pb2.Change]:
        """Yields who changed what, the newest first."""
        return self._config.pages("ListChanges", "changes", **filters)

    def server_info(self) -> server_info_pb2.ServerInfo:
        """Tells of the control plane as a whole: version, database, revision, servers, nodes."""
        return self._config.call("GetServerInfo").server_info

    def explain(self, *, model: str, **fields: Any) -> decision_service_pb2.ExplainResponse:
        """Explains what would become of a request, which is given by the fields of `ExplainRequest`."""
        return self._decisions.call("Explain", model=model, **fields)

    def close(self) -> None:
        """Closes the channel."""
        self.channel.close()

    def __enter__(self) -> Admin:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _service(self, kind: str, messages: Any, stubs: Any) -> Service:
        return Service(self.channel, messages, stubs, kind)


def _camel(snake: str) -> str:
    return "".join(word.capitalize() for word in snake.split("_"))


def _identity(resource: Any) -> dict[str, Any]:
    """The id of a resource, with its revision where it is known, which is then a precondition."""
    return {"id": resource} if isinstance(resource, str) else {"id": resource.id, "revision": resource.revision}


def _value(message: Message, field: Any) -> Any:
    """The value of a field, told apart from its absence."""
    return getattr(message, field.name) if not field.has_presence or message.HasField(field.name) else None
