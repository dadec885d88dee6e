//! Metrics of spend by model, and of the shares of budgets that are used.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use foldhash::fast::RandomState;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::super::Ledger;
use crate::config::Config;
use crate::counters::dimensions;
use crate::domain::{AnyResource, Customer, LimitKind, Provider, Resource as _, Team, Timestamp, VirtualKey};
use crate::usage::{SpendAmounts, SpendCell, SpendTally};

/// Stands for providers that the configuration does not name, and for models without a price: nodes report what callers asked
/// for, which must not add labels.
const OTHERS: &str = "(others)";
/// The label of owners whose budgets are shown, and its value.
const SHOWN: (&str, &str) = ("tollgate.metrics", "true");
/// The most budgets that are shown.
const MAX_BUDGETS: usize = 1_000;

/// Counted as it happens. Clones count together.
#[derive(Clone, Default)]
pub(in crate::ledger) struct SpendMetrics {
    cost: Family<[(&'static str, String); 2], Counter>,
    tokens: Family<[(&'static str, String); 3], Counter>,
}

impl SpendMetrics {
    /// Usage that was counted by this configuration.
    pub(in crate::ledger) fn counted(&self, config: &Config, now: Timestamp, spend: &SpendTally) {
        let mut sums: HashMap<(&str, &str), SpendAmounts, RandomState> = HashMap::default();
        for (SpendCell { series, .. }, amounts) in spend.iter() {
            let sum = sums.entry((series.provider.as_ref(), series.model.as_ref())).or_default();
            *sum = sum.plus(amounts);
        }
        for ((provider, model), amounts) in sums {
            let [provider, model] = known(config, provider, model, now);
            let labels = [("provider", provider), ("model", model)];
            self.cost.get_or_create(&labels).inc_by(amounts.cost.unsigned_abs());
            for (kind, tokens) in [("input", amounts.input_tokens), ("output", amounts.output_tokens)] {
                let [provider, model] = labels.clone();
                self.tokens.get_or_create(&[provider, model, ("kind", kind.to_owned())]).inc_by(tokens.unsigned_abs());
            }
        }
    }

    pub(super) fn register(&self, ledger: Ledger, registry: &mut Registry) {
        let Self { cost, tokens } = self.clone();
        registry.register("spend_nano_usd", "Nano-dollars of the usage that was counted", cost);
        registry.register("spend_tokens", "LLM tokens of the usage that was counted", tokens);
        registry.register_collector(Box::new(Budgets(ledger)));
    }
}

/// The provider and the model as the configuration has them.
fn known(config: &Config, provider: &str, model: &str, now: Timestamp) -> [String; 2] {
    if let Some(price) = config.model_price(provider, model, now) {
        return [price.resource.provider.to_string(), price.resource.bare_model().to_owned()];
    }
    let is_known = config.get::<Provider>(provider).is_some();
    [if is_known { provider } else { OTHERS }, OTHERS].map(ToOwned::to_owned)
}

/// Looked up when it is asked for.
struct Budgets(Ledger);

impl fmt::Debug for Budgets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Budgets")
    }
}

impl Collector for Budgets {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let (state, now) = (self.0.state(), self.0.now());
        let help = "The share of a budget that is used, of owners that ask for it by a label";
        let mut ratios = encoder.encode_descriptor("budget_used_ratio", help, None, MetricType::Gauge)?;
        let mut left = MAX_BUDGETS;
        for (owner, name, resource) in owners(state.config()) {
            let limits = dimensions(&resource, state.config().calendar(&resource));
            for budget in limits.iter().filter(|limit| limit.kind == LimitKind::Budget).take(left) {
                let (used, max) = (state.usage().get(&budget.counter(now)).used, budget.max(now));
                // A budget of nothing is used up.
                let ratio = if max > 0 { used as f64 / max as f64 } else { 1.0 };
                let id = budget.limit_id.to_string();
                let labels = [("owner", owner), ("name", &name), ("budget_id", &id)];
                ConstGauge::new(ratio).encode(ratios.encode_family(&labels)?)?;
                left -= 1;
            }
        }
        Ok(())
    }
}

/// The resources whose budgets are shown, by kind and name.
fn owners(config: &Config) -> Vec<(&'static str, Box<str>, AnyResource)> {
    macro_rules! of {
        ($owner:literal, $resource:ty) => {{
            let all = config.all::<$resource>();
            let shown = all.filter(|it| it.resource.labels.get(SHOWN.0).is_some_and(|value| **value == *SHOWN.1));
            shown.map(|it| ($owner, it.resource.name.as_ref().into(), <$resource>::wrap(Arc::clone(it))))
        }};
    }
    let (customers, teams) = (of!("customer", Customer), of!("team", Team));
    let mut all: Vec<_> = customers.chain(teams).chain(of!("virtual_key", VirtualKey)).collect();
    all.sort_by(|(owner, name, _), (other, other_name, _)| (owner, name).cmp(&(other, other_name)));
    all
}
