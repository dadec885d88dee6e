//! Cases of routing, checks and prices.

mod ceilings;
mod checks;
mod credit;
mod fallbacks;
mod free;
mod pricing;
mod routing;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tollgate_core::decision::*;
use tollgate_core::domain::*;
use tollgate_core::proto::v1;
use tollgate_testkit::world::{NOW, World, asked, config, key, keyless, parse};

fn budget(max_limit: f64, reset_duration: &str) -> v1::Budget {
    v1::Budget { max_limit, reset_duration: reset_duration.to_owned(), ..Default::default() }
}

fn rate(tokens: i64, requests: i64) -> Vec<v1::RateLimit> {
    vec![v1::RateLimit {
        token_max_limit: Some(tokens),
        token_reset_duration: Some("1h".to_owned()),
        request_max_limit: Some(requests),
        request_reset_duration: Some("1h".to_owned()),
        ..Default::default()
    }]
}

fn rule(priority: i32, expression: &str, provider: Option<&str>, model: Option<&str>) -> v1::RoutingRule {
    let target = v1::RoutingTarget {
        provider: provider.map(ToOwned::to_owned),
        model: model.map(ToOwned::to_owned),
        weight: 1.0,
        ..Default::default()
    };
    v1::RoutingRule {
        name: format!("rule {priority}"),
        cel_expression: expression.to_owned(),
        targets: vec![target],
        scope: v1::RoutingScope::Global.into(),
        priority,
        ..Default::default()
    }
}
