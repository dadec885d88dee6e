//! Routing rules in tables: `routing_rule` and `routing_target`.

use std::collections::HashMap;

use super::cell::{self, Reading};
use super::entity::{routing_rule, routing_target};
use super::error::StoreError;
use super::persist::{Names, Persist, Row, Rows, Which, rows, unlike};
use super::tx::ReadTx;
use crate::cel::Expression;
use crate::domain::{Fallback, RoutingRule, RoutingTarget, Stored};

impl Row for routing_rule::Model {
    type Key = String;

    fn key(&self) -> String {
        self.id.clone()
    }

    fn moved(&self, before: &Self) -> bool {
        (&self.scope, &self.scope_id, &self.name, self.priority)
            != (&before.scope, &before.scope_id, &before.name, before.priority)
    }
}

impl Row for routing_target::Model {
    type Key = (String, i32);

    fn key(&self) -> Self::Key {
        (self.routing_rule_id.clone(), self.ord)
    }
}

impl Persist for RoutingRule {
    fn lay(stored: &Stored<Self>, other: Option<&Stored<Self>>, rows: &mut Rows) {
        let Stored { id, revision, created_at, updated_at, resource } = stored;
        let Self {
            name,
            description,
            enabled,
            expression,
            targets,
            fallbacks,
            scope,
            priority,
            chain_rule,
            query,
            managed_by,
        } = resource;
        let fallbacks: Vec<Box<str>> =
            fallbacks.iter().map(|Fallback { provider, model }| format!("{provider}/{model}").into()).collect();
        rows.routing_rule.push(routing_rule::Model {
            id: id.to_string(),
            revision: *revision,
            created_at: created_at.as_micros(),
            updated_at: updated_at.as_micros(),
            name: name.to_string(),
            description: description.to_string(),
            enabled: *enabled,
            cel_expression: expression.source().to_owned(),
            fallbacks: cell::list(&fallbacks),
            scope: scope.kind().name().to_owned(),
            scope_id: scope.id().to_owned(),
            priority: *priority,
            chain_rule: *chain_rule,
            query: query.as_ref().map(cell::structure),
            managed_by: managed_by.to_string(),
        });
        let targets = unlike(targets, other.map(|other| &*other.resource.targets));
        rows.routing_target.extend(targets.map(|(ord, target)| {
            let RoutingTarget { provider, model, key_id, weight } = target;
            routing_target::Model {
                routing_rule_id: id.to_string(),
                ord,
                provider: provider.as_ref().map(ToString::to_string),
                model: model.as_ref().map(ToString::to_string),
                key_id: key_id.as_ref().map(ToString::to_string),
                weight: *weight,
            }
        }));
    }

    async fn fetch(tx: &ReadTx, which: Which<'_>, names: &mut Names) -> Result<Vec<Stored<Self>>, StoreError> {
        let mut targets: HashMap<String, Vec<(i32, RoutingTarget)>> = HashMap::new();
        for row in rows(tx, which.select::<routing_target::Entity>(routing_target::Column::RoutingRuleId)).await? {
            if !row.weight.is_finite() {
                let reading = Reading { table: "routing_target", id: &row.routing_rule_id };
                return Err(reading.corrupt("a weight is not finite"));
            }
            let target = RoutingTarget {
                provider: row.provider.as_deref().map(|name| names.share(name)),
                model: row.model.map(Into::into),
                key_id: row.key_id.map(Into::into),
                weight: row.weight,
            };
            targets.entry(row.routing_rule_id).or_default().push((row.ord, target));
        }
        let mut rules = Vec::new();
        for row in rows(tx, which.select::<routing_rule::Entity>(routing_rule::Column::Id)).await? {
            let reading = Reading { table: "routing_rule", id: &row.id };
            let expression = Expression::compile(&row.cel_expression).map_err(|faults| {
                let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
                reading.corrupt(format!("the expression does not compile: {}", faults.join("; ")))
            })?;
            let fallback = |text: &str| {
                let (provider, model) =
                    text.split_once('/').ok_or_else(|| reading.corrupt("a fallback is not provider/model"))?;
                Ok(Fallback { provider: names.share(provider), model: model.into() })
            };
            let fallbacks = reading
                .list(&row.fallbacks)?
                .iter()
                .map(AsRef::as_ref)
                .map(fallback)
                .collect::<Result<_, StoreError>>()?;
            let targets = reading.in_order(targets.remove(&row.id).unwrap_or_default())?;
            rules.push(Stored {
                id: names.share(&row.id),
                revision: row.revision,
                created_at: reading.time(row.created_at)?,
                updated_at: reading.time(row.updated_at)?,
                resource: Self {
                    scope: reading.scope(&row.scope, &row.scope_id, names)?,
                    query: reading.structure(row.query.as_deref())?,
                    name: row.name.into(),
                    description: row.description.into(),
                    enabled: row.enabled,
                    expression,
                    targets: targets.collect(),
                    fallbacks,
                    priority: row.priority,
                    chain_rule: row.chain_rule,
                    managed_by: row.managed_by.into(),
                },
            });
        }
        match targets.into_keys().next() {
            None => Ok(rules),
            Some(id) => Err(StoreError::corrupt("routing_target", id, "its rule does not exist")),
        }
    }
}
