//! How far limits are used up: those nearest to exhaustion first.

use std::cmp::Ordering;
use std::collections::HashMap;

use serde_json::{Value, json};

use super::super::remote::{amount, kind_name, percent, permille};
use super::super::table::{Cell, Column, Tone, distance};
use super::owner::{Owner, OwnerKind};
use crate::domain::Timestamp;
use crate::proto::v1::{ConfigResource, LimitUsage, ResourceKey};
use crate::reducer::{ResourceChange, Usage, View};

/// The columns of [`Row::cells`].
pub(super) const COLUMNS: [Column; 6] = [
    Column::text("OWNER"),
    Column::whole("LIMIT"),
    Column::number("USED"),
    Column::number("MAX"),
    Column::number("PERCENT"),
    Column::number("RESETS"),
];

/// One limit.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Row {
    owner: OwnerKind,
    id: String,
    name: String,
    usage: LimitUsage,
    /// The window.
    start: Timestamp,
    end: Option<Timestamp>,
}

impl Row {
    /// For people, who see them `now`.
    pub(super) fn cells(&self, now: i64) -> Vec<Cell> {
        let LimitUsage { used, max, .. } = self.usage;
        let kind = self.usage.kind();
        let tone = match permille(used, max) {
            1_000.. => Tone::Bad,
            800.. => Tone::Warning,
            _ => Tone::Plain,
        };
        vec![
            format!("{} {}", self.owner.name().replace('_', " "), self.name).into(),
            kind_name(kind).to_owned().into(),
            amount(kind, used).into(),
            amount(kind, max).into(),
            Cell::new(percent(used, max), tone),
            self.end.map(|end| distance(now, end.parts().0)).unwrap_or_else(|| "never".to_owned()).into(),
        ]
    }

    /// For programs, in the ways of protobuf JSON.
    pub(super) fn json(&self) -> Value {
        let LimitUsage { limit_id, used, max, .. } = &self.usage;
        json!({
            "owner": self.owner.name(),
            "ownerId": self.id,
            "ownerName": self.name,
            "limitId": limit_id,
            "kind": self.usage.kind().as_str_name(),
            "used": used.to_string(),
            "max": max.to_string(),
            "percent": permille(*used, *max) as f64 / 10.0,
            "lastReset": self.start.to_string(),
            "nextReset": self.end.as_ref().map(ToString::to_string),
        })
    }
}

/// Which resource each limit is part of.
pub(super) struct Board {
    owners: Vec<OwnerKind>,
    limits: HashMap<String, ResourceKey>,
}

impl Board {
    /// For the limits of `owners`.
    pub(super) fn new(owners: Vec<OwnerKind>) -> Self {
        Self { owners, limits: HashMap::new() }
    }

    /// Looks at all resources anew.
    pub(super) fn read(&mut self, view: &View) {
        self.limits.clear();
        for (key, resource) in view.iter() {
            self.add(key, resource);
        }
    }

    /// Looks at what became of some.
    pub(super) fn change(&mut self, changes: &[ResourceChange]) {
        for before in changes.iter().filter_map(|change| change.before.as_deref()) {
            for id in Owner::all_of(before).iter().flat_map(Owner::limit_ids) {
                self.limits.remove(id);
            }
        }
        for ResourceChange { key, after, .. } in changes {
            if let Some(after) = after {
                self.add(key, after);
            }
        }
    }

    fn add(&mut self, key: &ResourceKey, resource: &ConfigResource) {
        let owners = Owner::all_of(resource);
        for id in owners.iter().filter(|owner| self.owners.contains(&owner.kind)).flat_map(Owner::limit_ids) {
            self.limits.insert(id.to_owned(), key.clone());
        }
    }

    /// The limits that are used most, at most `limit` of them, and how many are used at all.
    pub(super) fn rows(&self, view: &View, usage: &Usage, limit: usize) -> (Vec<Row>, usize) {
        let mut used: Vec<_> = usage
            .values()
            .filter(|usage| usage.used > 0)
            .filter_map(|usage| Some((usage, self.limits.get(&usage.limit_id)?)))
            .collect();
        let total = used.len();
        let order = |(one, _): &(&LimitUsage, _), (other, _): &(&LimitUsage, _)| order(one, other);
        if limit < total {
            used.select_nth_unstable_by(limit, order);
            used.truncate(limit);
        }
        used.sort_unstable_by(order);
        (used.into_iter().filter_map(|(usage, key)| row(view, usage, key)).collect(), total)
    }
}

/// The greatest share first; exactly, where a percentage would round.
fn order(one: &LimitUsage, other: &LimitUsage) -> Ordering {
    let share = |used: &LimitUsage, max: &LimitUsage| i128::from(used.used) * i128::from(max.max);
    let by_id = || (&one.limit_id, one.kind).cmp(&(&other.limit_id, other.kind));
    share(other, one).cmp(&share(one, other)).then_with(by_id)
}

fn row(view: &View, usage: &LimitUsage, key: &ResourceKey) -> Option<Row> {
    let resource = view.get(key)?;
    let owner = Owner::all_of(resource).into_iter().find(|owner| owner.limit_ids().any(|id| id == usage.limit_id))?;
    let (id, name) = owner.identity(resource, view);
    let start = usage.window_start.as_ref().and_then(timestamp).unwrap_or_default();
    let end = usage.window_end.as_ref().and_then(timestamp);
    Some(Row { owner: owner.kind, id, name, usage: usage.clone(), start, end })
}

fn timestamp(time: &prost_types::Timestamp) -> Option<Timestamp> {
    Timestamp::from_parts(time.seconds, time.nanos)
}
