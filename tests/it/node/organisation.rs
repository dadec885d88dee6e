//! Resources of every kind, for requests at random.

use super::*;

/// Something of every kind that decisions read. The values of the keys.
pub(super) async fn organisation(api: &Api) -> Vec<String> {
    let calendar = v1::Calendar { time_zone: "Asia/Kolkata".to_owned(), ..Default::default() };
    let customer = v1::Customer {
        name: "customer".to_owned(),
        budgets: vec![budget(0.01)],
        calendar_aligned: true,
        calendar: Some(calendar),
        ..Default::default()
    };
    let customer = made::<v1::Customer>(api, customer).await;
    let team = v1::Team {
        name: "team".to_owned(),
        customer_id: customer.id.clone(),
        rate_limits: [rate(3), vec![at_once(2)]].concat(),
        ..Default::default()
    };
    let team = made::<v1::Team>(api, team).await;
    let ceiling = |providers: &[&str], allowed: &[&str], blocked: &[&str]| {
        let [allowed_providers, allowed_models, blocked_models] =
            [providers, allowed, blocked].map(|list| list.iter().map(|&it| it.to_owned()).collect());
        Some(v1::ModelCeiling { allowed_providers, allowed_models, blocked_models })
    };
    let ceiled = v1::Customer {
        name: "ceiled".to_owned(),
        model_ceiling: ceiling(&["openai", "groq"], &[], &["groq/gpt-*"]),
        ..Default::default()
    };
    let ceiled = v1::Team {
        name: "ceiled".to_owned(),
        customer_id: made::<v1::Customer>(api, ceiled).await.id,
        model_ceiling: ceiling(&[], &["gpt-*", "openai/o3"], &[]),
        ..Default::default()
    };
    let ceiled = made::<v1::Team>(api, ceiled).await;
    let asleep = v1::Customer { name: "asleep".to_owned(), is_active: Some(false), ..Default::default() };
    let asleep = made::<v1::Customer>(api, asleep).await;
    let idle = v1::Team { name: "idle".to_owned(), is_active: Some(false), ..Default::default() };
    let idle = made::<v1::Team>(api, idle).await;
    let key = |id: &str, budgets, rate_limits| v1::ProviderKey {
        id: id.to_owned(),
        budgets,
        rate_limits,
        ..Default::default()
    };
    for (name, keys) in [
        ("openai", vec![key("one", vec![budget(0.004)], Vec::new()), key("two", Vec::new(), rate(0))]),
        ("groq", vec![key("only", vec![budget(0.0025)], vec![at_once(2)])]),
    ] {
        api.update_provider(v1::Provider { id: name.to_owned(), keys, ..Default::default() }, &["keys"]).await.unwrap();
    }
    let mut values = Vec::new();
    for (name, team_id, customer_id, is_active) in [
        ("of a team", team.id.as_str(), "", true),
        ("of a customer", "", customer.id.as_str(), true),
        ("of nobody", "", "", true),
        ("inactive", "", "", false),
        ("of a ceiled team", ceiled.id.as_str(), "", true),
        ("of an inactive customer", "", asleep.id.as_str(), true),
        ("of an inactive team", idle.id.as_str(), "", true),
    ] {
        let key = v1::VirtualKey {
            name: name.to_owned(),
            team_id: team_id.to_owned(),
            customer_id: customer_id.to_owned(),
            is_active: Some(is_active),
            budgets: vec![raised(0.002, 0.003)],
            calendar_aligned: true,
            provider_configs: vec![
                config("openai", Some(1.0), &["*"]),
                config("groq", Some(2.0), &["gpt-*", "claude"]),
                config("anthropic", None, &["claude"]),
            ],
            ..Default::default()
        };
        values.push(made::<v1::VirtualKey>(api, key).await.value);
    }
    let free = "headers[\"x-tier\"] == 'free' && budget_used < 50.0";
    made::<v1::RoutingRule>(api, rule(1, v1::RoutingScope::Team, &team.id, free, "o3")).await;
    made::<v1::RoutingRule>(api, rule(2, v1::RoutingScope::Global, "", "params[\"beta\"] == 'yes'", "claude")).await;
    let long = "context_length > 1 && stream && now.getHours('Europe/Berlin') % 2 == 0";
    made::<v1::RoutingRule>(api, rule(3, v1::RoutingScope::Global, "", long, "openai/gpt-4o")).await;
    made::<v1::ModelConfig>(
        api,
        v1::ModelConfig {
            model_name: "o3".to_owned(),
            scope: v1::ModelConfigScope::Customer.into(),
            scope_id: customer.id,
            rate_limits: rate(2),
            ..Default::default()
        },
    )
    .await;
    let rates = v1::PricingPatch { input_cost_per_token: Some(0.0), ..Default::default() };
    let free = v1::ModelPrice {
        provider: "openai".to_owned(),
        model: "gpt-free".to_owned(),
        rates: Some(rates),
        ..Default::default()
    };
    made::<v1::ModelPrice>(api, free).await;
    values
}
