//! Valid messages of every kind at random.

mod limits;

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use prost_types::value;

use tollgate_core::domain::{
    Customer, McpClient, ModelConfig, ModelPrice, PricingOverride, Provider, ProviderGovernance, Rates, RoutingRule,
    Team, VirtualKey,
};
use tollgate_core::proto::v1;
use tollgate_core::wire::{Wire, render_rates};

use limits::{Limits, budgets, calendar, limits, limits_of_several, rate_limits};

/// What valid messages name; a provider `p` has the key `p-key`.
pub const PROVIDERS: [&str; 3] = ["openai", "anthropic", "groq"];
/// The id of a customer.
pub const CUSTOMER: &str = "customer-id";
/// The id of a team.
pub const TEAM: &str = "team-id";
/// The id of a virtual key.
pub const KEY: &str = "key-id";
/// The name of an MCP client.
pub const MCP_CLIENT: &str = "files";
/// Before this, in seconds, no valid key expires.
pub const NOW_SECONDS: i64 = 1_800_000_000;

/// A kind with messages at random.
pub trait Sample: Wire {
    /// Messages that a client could create a resource with.
    fn valid() -> BoxedStrategy<Self::Message>;
}

fn name() -> impl Strategy<Value = String> {
    "[ ]?[a-zA-Zü][a-z ]{0,4}[a-z][ ]?"
}

/// The source that manages the resource with this name, if there is one.
fn manager(name: &str) -> String {
    if name.len().is_multiple_of(2) { name.to_owned() } else { String::new() }
}

fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map("[a-z]{1,2}", "[a-zü ]{0,3}", 0..3)
}

fn listed(of: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    let some = subsequence(of.to_vec(), 0..=of.len()).prop_shuffle();
    some.prop_map(|names| names.into_iter().map(ToOwned::to_owned).collect())
}

fn permit(of: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    prop_oneof![Just(vec!["*".to_owned()]), listed(of)]
}

fn time(seconds: std::ops::Range<i64>) -> impl Strategy<Value = prost_types::Timestamp> {
    (seconds, 0..1_000_000_000).prop_map(|(seconds, nanos)| prost_types::Timestamp { seconds, nanos })
}

fn structure() -> impl Strategy<Value = Option<prost_types::Struct>> {
    let number = prop_oneof![any::<f64>().prop_filter("finite", |number| number.is_finite()), Just(-0.0)];
    let leaf = prop_oneof![
        Just(None),
        Just(Some(value::Kind::NullValue(0))),
        any::<bool>().prop_map(|it| Some(value::Kind::BoolValue(it))),
        number.prop_map(|it| Some(value::Kind::NumberValue(it))),
        "[a-z\n\t]{0,3}".prop_map(|it| Some(value::Kind::StringValue(it))),
    ];
    let leaf = leaf.prop_map(|kind| prost_types::Value { kind });
    let value = leaf.prop_recursive(3, 12, 3, |inner| {
        let list =
            vec(inner.clone(), 0..3).prop_map(|values| value::Kind::ListValue(prost_types::ListValue { values }));
        let nested = btree_map("[a-z]{0,2}", inner, 0..3)
            .prop_map(|fields| value::Kind::StructValue(prost_types::Struct { fields }));
        prop_oneof![list, nested].prop_map(|kind| prost_types::Value { kind: Some(kind) })
    });
    option::of(btree_map("[a-z]{0,2}", value, 0..4).prop_map(|fields| prost_types::Struct { fields }))
}

const MODELS: &[&str] = &["gpt-4o", "GPT-4o", "openai/o3", "gpt-4*", "o3 ", "ü"];

fn ceiling() -> impl Strategy<Value = Option<v1::ModelCeiling>> {
    let lists = (listed(&PROVIDERS), permit(MODELS), permit(MODELS));
    option::of(lists.prop_map(|(allowed_providers, allowed_models, blocked_models)| v1::ModelCeiling {
        allowed_providers,
        allowed_models,
        blocked_models,
    }))
}

impl Sample for Customer {
    fn valid() -> BoxedStrategy<v1::Customer> {
        let parts = (name(), option::of(any::<bool>()), ceiling(), limits(), labels());
        parts
            .prop_map(
                |(name, is_active, model_ceiling, ((calendar_aligned, calendar), budgets, rate_limits), labels)| {
                    v1::Customer {
                        managed_by: manager(&name),
                        name,
                        is_active,
                        model_ceiling,
                        budgets,
                        rate_limits,
                        calendar_aligned,
                        calendar,
                        labels,
                        ..Default::default()
                    }
                },
            )
            .boxed()
    }
}

impl Sample for Team {
    fn valid() -> BoxedStrategy<v1::Team> {
        let free = (structure(), structure(), structure());
        let above = (select(vec!["", CUSTOMER]), option::of(any::<bool>()), ceiling());
        let parts = (name(), above, limits(), labels(), free);
        let team = |(name, above, ((calendar_aligned, calendar), budgets, rate_limits), labels, free): (
            String,
            (&str, _, _),
            Limits,
            _,
            _,
        )| {
            let (customer, is_active, model_ceiling) = above;
            let (profile, config, claims) = free;
            v1::Team {
                managed_by: manager(&name),
                name,
                customer_id: customer.to_owned(),
                is_active,
                model_ceiling,
                budgets,
                rate_limits,
                calendar_aligned,
                calendar,
                labels,
                profile,
                config,
                claims,
                ..Default::default()
            }
        };
        parts.prop_map(team).boxed()
    }
}

fn provider_config(aligned: bool) -> impl Strategy<Value = v1::VirtualKeyProviderConfig> {
    let models = (permit(MODELS), permit(MODELS));
    let weight = option::of(prop_oneof![0.0..1e9, select(vec![0.0, -0.0, f64::MIN_POSITIVE])]);
    let parts = (select(PROVIDERS.to_vec()), weight, models, 0..3, budgets(aligned), rate_limits(aligned));
    parts.prop_map(|(provider, weight, models, keys, budgets, rate_limits)| v1::VirtualKeyProviderConfig {
        provider: provider.to_owned(),
        weight,
        allowed_models: models.0,
        blocked_models: models.1,
        key_ids: match keys {
            0 => Vec::new(),
            1 => vec!["*".to_owned()],
            _ => vec![format!("{provider}-key")],
        },
        allow_all_keys: keys == 2,
        budgets,
        rate_limits,
        ..Default::default()
    })
}

impl Sample for VirtualKey {
    fn valid() -> BoxedStrategy<v1::VirtualKey> {
        let owner = select(vec![("", ""), (TEAM, ""), ("", CUSTOMER)]);
        let tools = option::of(permit(&["read", "Read", "write"]));
        let limited = any::<bool>().prop_flat_map(|aligned| {
            ((Just(aligned), calendar()), budgets(aligned), rate_limits(aligned), vec(provider_config(aligned), 0..3))
        });
        let expires_at = option::of(time(NOW_SECONDS + 1..4_000_000_000));
        let parts = (name(), "[a-z\t\n]{0,3}", option::of(any::<bool>()), owner, limited, tools, expires_at, labels());
        parts
            .prop_map(|(name, description, is_active, (team, customer), limited, tools, expires_at, labels)| {
                let ((calendar_aligned, calendar), budgets, rate_limits, provider_configs) = limited;
                let mcp = |tools_to_execute| v1::VirtualKeyMcpConfig {
                    mcp_client_name: MCP_CLIENT.to_owned(),
                    tools_to_execute,
                    ..Default::default()
                };
                v1::VirtualKey {
                    managed_by: manager(&name),
                    name,
                    description,
                    is_active,
                    provider_configs,
                    mcp_configs: tools.map(mcp).into_iter().collect(),
                    team_id: team.to_owned(),
                    customer_id: customer.to_owned(),
                    budgets,
                    rate_limits,
                    calendar_aligned,
                    calendar,
                    expires_at,
                    labels,
                    ..Default::default()
                }
            })
            .boxed()
    }
}

impl Sample for RoutingRule {
    fn valid() -> BoxedStrategy<v1::RoutingRule> {
        let weights = select(vec![vec![1.0], vec![0.25, 0.75], vec![0.1, 0.2, 0.7], vec![0.5, 0.4995]]);
        let targets = (weights, select(PROVIDERS.to_vec()), any::<bool>()).prop_map(|(weights, provider, with_key)| {
            let target = |(place, weight): (usize, f64)| v1::RoutingTarget {
                provider: (place != 0).then(|| provider.to_owned()),
                model: (place != 1).then(|| "Gpt-4o ".to_owned()),
                key_id: (place != 0 && with_key).then(|| format!("{provider}-key")),
                weight,
            };
            weights.into_iter().enumerate().map(target).collect()
        });
        let expressions = vec![
            "",
            " \r\n",
            "true",
            "headers[\"X-Tier\"] == 'gold'",
            "budget_used > 80 && model.startsWith('ü')",
            "context_length > 100000 && stream || now.getHours('Europe/Berlin') < 6 && request_type == 'embedding'",
        ];
        let scope = select(vec![(1, ""), (2, TEAM), (3, CUSTOMER), (4, KEY)]);
        let fallbacks = listed(&["openai/", "groq/ x ", "anthropic/a/b"]);
        let flags = (option::of(any::<bool>()), any::<bool>());
        let parts = (name(), flags, select(expressions), targets, fallbacks, scope, any::<i32>(), structure());
        parts
            .prop_map(|(name, flags, expression, targets, fallbacks, (scope, id), priority, query)| v1::RoutingRule {
                managed_by: manager(&name),
                name,
                enabled: flags.0,
                cel_expression: expression.to_owned(),
                targets,
                fallbacks,
                scope,
                scope_id: id.to_owned(),
                priority,
                chain_rule: flags.1,
                query,
                ..Default::default()
            })
            .boxed()
    }
}

impl Sample for ModelConfig {
    fn valid() -> BoxedStrategy<v1::ModelConfig> {
        let scope = select(vec![(1, ""), (2, KEY), (3, TEAM), (4, CUSTOMER)]);
        let parts = (
            prop_oneof![name(), select(vec!["*", "gpt-4*"]).prop_map(ToOwned::to_owned)],
            select(vec!["", "groq"]),
            scope,
            limits(),
        );
        parts
            .prop_map(|(model_name, provider, (scope, id), ((calendar_aligned, calendar), budgets, rate_limits))| {
                v1::ModelConfig {
                    managed_by: manager(&model_name),
                    model_name,
                    provider: provider.to_owned(),
                    scope,
                    scope_id: id.to_owned(),
                    calendar_aligned,
                    calendar,
                    budgets,
                    rate_limits,
                    ..Default::default()
                }
            })
            .boxed()
    }
}

impl Sample for ProviderGovernance {
    fn valid() -> BoxedStrategy<v1::ProviderGovernance> {
        limits()
            .prop_map(|((calendar_aligned, calendar), budgets, rate_limits)| v1::ProviderGovernance {
                provider: "openai".to_owned(),
                budgets,
                rate_limits,
                calendar_aligned,
                calendar,
                ..Default::default()
            })
            .boxed()
    }
}

impl Sample for PricingOverride {
    fn valid() -> BoxedStrategy<v1::PricingOverride> {
        let scopes = vec![
            (1, "", "", ""),
            (2, "", "openai", ""),
            (3, "", "", "groq-key"),
            (4, KEY, "", ""),
            (5, KEY, "groq", ""),
            (6, KEY, "", "groq-key"),
            (6, KEY, "groq", "groq-key"),
        ];
        let patterns = select(vec![(1, "gpt-4o"), (1, " x"), (2, "*"), (2, "gpt-*"), (2, " *")]);
        let types = subsequence((1..=12).collect::<Vec<i32>>(), 1..=12).prop_shuffle();
        let rates = btree_map(0..42_u8, prop_oneof![Just(0.0), 0.0..1e-3, 0.0..f64::MAX], 0..5);
        let rates = rates.prop_map(|rates| render_rates(&Rates(rates.into_iter().collect())));
        let parts = (name(), select(scopes), patterns, types, option::of(rates));
        parts
            .prop_map(
                |(name, (scope_kind, key, provider, provider_key), (match_type, pattern), request_types, patch)| {
                    v1::PricingOverride {
                        managed_by: manager(&name),
                        name,
                        scope_kind,
                        virtual_key_id: key.to_owned(),
                        provider_id: provider.to_owned(),
                        provider_key_id: provider_key.to_owned(),
                        match_type,
                        pattern: pattern.to_owned(),
                        request_types,
                        patch,
                        ..Default::default()
                    }
                },
            )
            .boxed()
    }
}

impl Sample for Provider {
    fn valid() -> BoxedStrategy<v1::Provider> {
        let key = (name(), listed(&["a", "b", "*"]));
        let ids = subsequence(vec!["one", "two words", "", ""], 0..=4).prop_shuffle();
        let parts = ("[ ]?[a-zü]{1,4}[0-9][ ]?", ids, vec(key, 4), limits_of_several(4));
        let provider = |(name, ids, keys, ((calendar_aligned, calendar), limits)): (String, Vec<&str>, Vec<_>, _)| {
            let keys = ids.into_iter().zip(keys).zip::<Vec<_>>(limits).map(|((id, (name, models)), limits)| {
                let (id, (budgets, rate_limits)) = (id.to_owned(), limits);
                v1::ProviderKey { id, name, models, budgets, rate_limits }
            });
            let (managed_by, keys) = (manager(&name), keys.collect());
            v1::Provider { managed_by, name, keys, calendar_aligned, calendar, ..Default::default() }
        };
        parts.prop_map(provider).boxed()
    }
}

impl Sample for McpClient {
    fn valid() -> BoxedStrategy<v1::McpClient> {
        let parts = ("[ ]?[a-zü]{1,4}[0-9][ ]?", listed(&["read", "Read", "*", " x "]));
        parts
            .prop_map(|(name, tools)| v1::McpClient { managed_by: manager(&name), name, tools, ..Default::default() })
            .boxed()
    }
}

impl Sample for ModelPrice {
    fn valid() -> BoxedStrategy<v1::ModelPrice> {
        let rates = btree_map(0..42_u8, prop_oneof![Just(0.0), 0.0..1e-3, 0.0..f64::MAX], 0..5);
        let rates = rates.prop_map(|rates| render_rates(&Rates(rates.into_iter().collect())));
        let model = select(vec!["gpt-4o", "openai/gpt-4o", " x"]);
        let time = |from: i64| option::of((from..from + 1_000_000_000, 0..1_000_000_000));
        let parts = (model, option::of(rates), (0..i64::MAX, 0..i64::MAX), name(), time(0), time(2_000_000_000));
        parts
            .prop_map(|(model, rates, (context_window, max_output_tokens), source, from, to)| {
                let time = |(seconds, nanos)| prost_types::Timestamp { seconds, nanos };
                v1::ModelPrice {
                    provider: "openai".to_owned(),
                    model: model.to_owned(),
                    rates,
                    context_window,
                    max_output_tokens,
                    managed_by: manager(&source),
                    source,
                    valid_from: from.map(time),
                    valid_to: to.map(time),
                    ..Default::default()
                }
            })
            .boxed()
    }
}
