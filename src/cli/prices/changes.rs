//! Differences between the prices of a table and those of a server.

use std::collections::BTreeMap;

use crate::price_table::{Notes, PriceTable, is_default, parse};
use crate::proto::v1;

/// A price that is not as the table has it: added, updated or deleted.
#[derive(PartialEq, Debug)]
pub(super) struct Change {
    /// The price that the server has; `None` if it lacks it.
    pub(super) before: Option<v1::ModelPrice>,
    /// The price of the table; `None` if the table has none any more.
    pub(super) after: Option<v1::ModelPrice>,
}

/// How prices of a table are taken over.
#[derive(Clone, Copy)]
pub(super) struct Policy<'a> {
    /// The source of the table's prices.
    pub(super) source: &'a str,
    /// Whether prices of the source that the table does not have are to be deleted.
    pub(super) prune: bool,
    /// Whether prices from other sources are to be replaced.
    pub(super) replace: bool,
}

impl Policy<'_> {
    /// Whether a price from `source` may be replaced. Nobody chose those that a store began with.
    fn may_replace(&self, source: &str) -> bool {
        self.replace || source == self.source || is_default(source)
    }
}

/// A table beside the prices of a server.
#[derive(Debug)]
pub(super) struct Comparison {
    /// The prices of the table that the server is to have.
    pub(super) desired: Vec<v1::ModelPrice>,
    /// What is different.
    pub(super) changes: Vec<Change>,
    /// Remarks on what is not taken over.
    pub(super) notes: Notes,
}

impl Comparison {
    /// Compares `table` with the `stored` prices of a server that has these `providers`.
    pub(super) fn of(table: PriceTable, stored: Vec<v1::ModelPrice>, providers: &[String], policy: Policy<'_>) -> Self {
        let PriceTable { prices, mut notes } = table;
        let stored = stored.into_iter().filter_map(|message| Some((parse(message.clone()).ok()?, message)));
        let mut stored: BTreeMap<_, _> = stored.map(|(price, message)| (price.place(), (price, message))).collect();
        let (mut taken, mut desired, mut changes) = (BTreeMap::new(), Vec::new(), Vec::new());
        for (name, message) in prices {
            if !providers.contains(&message.provider) {
                notes.add(format!("is of {:?}, which is no provider of the server", message.provider), &name);
                continue;
            }
            let price = match parse(message.clone()) {
                Ok(price) => price,
                Err(why) => {
                    notes.add(why, &name);
                    continue;
                }
            };
            let place = price.place();
            if let Some(first) = taken.get(&place) {
                if *first != price.rates {
                    notes.add("has other rates than an entry before it for the same model", &name);
                }
                continue;
            }
            let known = stored.remove(&place);
            taken.insert(place, price.rates.clone());
            match known {
                Some((other, _)) if !policy.may_replace(&other.source) => {
                    notes.add("has a price from another source, which --replace would replace", &name);
                    continue;
                }
                Some((before, _)) if before == price => {}
                Some((_, before)) => changes.push(Change { before: Some(before), after: Some(message.clone()) }),
                None => changes.push(Change { before: None, after: Some(message.clone()) }),
            }
            desired.push(message);
        }
        if policy.prune {
            let gone = stored.into_values().filter(|(price, _)| *price.source == *policy.source);
            changes.extend(gone.map(|(_, message)| Change { before: Some(message), after: None }));
        }
        Self { desired, changes, notes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(provider: &str, model: &str, rate: f64, source: &str) -> v1::ModelPrice {
        v1::ModelPrice {
            provider: provider.to_owned(),
            model: model.to_owned(),
            rates: Some(v1::PricingPatch { input_cost_per_token: Some(rate), ..v1::PricingPatch::default() }),
            source: source.to_owned(),
            ..v1::ModelPrice::default()
        }
    }

    fn table() -> PriceTable {
        let prices = [
            price("openai", "new", 1.0, "t"),
            price("openai", "same", 1.0, "t"),
            price("openai", "openai/same", 2.0, "t"),
            price("openai", "dearer", 2.0, "t"),
            price("openai", "by hand", 2.0, "t"),
            price("openai", "openai/by hand", 2.0, "t"),
            price("openai", "from the start", 2.0, "t"),
            price("nobody", "m", 1.0, "t"),
            price("openai", "negative", -1.0, "t"),
        ];
        let named = prices.into_iter().map(|price| (price.model.clone(), price));
        PriceTable { prices: named.collect(), notes: Notes::default() }
    }

    fn stored() -> Vec<v1::ModelPrice> {
        let later = Some(prost_types::Timestamp { seconds: 1_000, nanos: 0 });
        vec![
            price("openai", "same", 1.0, "t"),
            price("openai", "dearer", 1.0, "t"),
            price("openai", "by hand", 1.0, "me"),
            price("openai", "from the start", 1.0, "default table of 2026-01-01"),
            price("openai", "old", 1.0, "t"),
            price("openai", "also by hand", 1.0, "me"),
            v1::ModelPrice { valid_from: later, ..price("openai", "new", 5.0, "me") },
        ]
    }

    #[test]
    fn a_table_adds_changes_and_prunes_what_is_its_own() {
        let providers = ["openai".to_owned()];
        let policy = Policy { source: "t", prune: true, replace: false };
        let compared = Comparison::of(table(), stored(), &providers, policy);
        let expected = [
            Change { before: None, after: Some(price("openai", "new", 1.0, "t")) },
            Change {
                before: Some(price("openai", "dearer", 1.0, "t")),
                after: Some(price("openai", "dearer", 2.0, "t")),
            },
            Change {
                before: Some(price("openai", "from the start", 1.0, "default table of 2026-01-01")),
                after: Some(price("openai", "from the start", 2.0, "t")),
            },
            Change { before: Some(price("openai", "old", 1.0, "t")), after: None },
        ];
        assert_eq!(compared.changes, expected);
        let desired: Vec<_> = compared.desired.iter().map(|price| price.model.as_str()).collect();
        assert_eq!(desired, ["new", "same", "dearer", "from the start"]);
        let notes = compared.notes.lines();
        assert_eq!(notes.len(), 4, "{notes:?}");
        for (note, name) in notes.iter().zip(["by hand", "openai/same", "m", "negative"]) {
            assert!(note.ends_with(&format!(": {name}")), "{note}");
        }

        let policy = Policy { source: "t", prune: false, replace: true };
        let compared = Comparison::of(table(), stored(), &providers, policy);
        let replaced = Change {
            before: Some(price("openai", "by hand", 1.0, "me")),
            after: Some(price("openai", "by hand", 2.0, "t")),
        };
        assert!(compared.changes.contains(&replaced) && compared.changes.len() == 4, "{:?}", compared.changes);
    }
}
