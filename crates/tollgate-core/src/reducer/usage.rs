//! The fold of usage: what each limit's window has counted, as far as this client was told.

use std::collections::HashMap;

use crate::proto::v1::{CountedBatches, LimitUsage, UsageUpdate};

/// Usage of all limits, by limit and number of the kind. What is not here is zero.
pub type Usage = HashMap<(String, i32), LimitUsage>;

/// Usage, and the fragments of an update until the last is there.
#[derive(Debug, Default)]
pub(super) struct UsageFold {
    usage: Usage,
    /// Whether the first update of the stream is still to come: all that it does not name is zero.
    anew: bool,
    staged: Vec<LimitUsage>,
}

impl UsageFold {
    /// A stream begins.
    pub(super) fn begin(&mut self) {
        self.anew = true;
        self.staged.clear();
    }

    pub(super) fn usage(&self) -> &Usage {
        &self.usage
    }

    /// Takes a fragment. Once the update is whole: what it changed, and the batches that are counted in what is known now.
    pub(super) fn take(&mut self, update: UsageUpdate) -> Option<(Vec<LimitUsage>, Vec<CountedBatches>)> {
        self.staged.extend(update.limits);
        if update.more {
            return None;
        }
        let told = std::mem::take(&mut self.staged);
        if std::mem::take(&mut self.anew) {
            self.usage.clear();
        }
        let mut changed = Vec::with_capacity(told.len());
        for limit in told {
            let key = (limit.limit_id.clone(), limit.kind);
            let is_news = self.usage.get(&key).is_none_or(|held| *held != limit && order(held) <= order(&limit));
            if is_news {
                self.usage.insert(key, limit.clone());
                changed.push(limit);
            }
        }
        Some((changed, update.counted))
    }
}

/// Of two values the one with the greater version is right; of the same version, that of the later window; of the same
/// window, that which comes later, since an increase may have ended.
fn order(usage: &LimitUsage) -> (i64, i64, i32) {
    let start = usage.window_start.unwrap_or_default();
    (usage.version, start.seconds, start.nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(id: &str, used: i64, version: i64, window: i64) -> LimitUsage {
        let window_start = Some(prost_types::Timestamp { seconds: window, nanos: 0 });
        LimitUsage { limit_id: id.to_owned(), used, version, window_start, ..LimitUsage::default() }
    }

    fn used(fold: &UsageFold, id: &str) -> Option<i64> {
        fold.usage().get(&(id.to_owned(), 0)).map(|limit| limit.used)
    }

    #[test]
    fn an_older_value_is_dropped_and_the_first_update_of_a_stream_names_all_that_is_not_zero() {
        let mut fold = UsageFold::default();
        fold.begin();
        let update = |limits, more| UsageUpdate { limits, more, counted: Vec::new() };
        assert_eq!(fold.take(update(vec![limit("a", 5, 9, 0)], true)), None);
        assert_eq!(used(&fold, "a"), None, "part of an update is visible");
        assert_eq!(fold.take(update(vec![limit("b", 1, 3, 0)], false)).unwrap().0.len(), 2);
        let repeated = vec![limit("a", 4, 8, 0), limit("a", 5, 9, 0)];
        assert_eq!(fold.take(update(repeated, false)), Some((Vec::new(), Vec::new())));
        assert_eq!(used(&fold, "a"), Some(5));
        // The window turned; nothing was counted since.
        assert_eq!(fold.take(update(vec![limit("a", 0, 9, 60)], false)).unwrap().0.len(), 1);
        assert_eq!(used(&fold, "a"), Some(0));
        // Its ceiling is another one; nothing was counted since.
        let lower = LimitUsage { max: 3, ..limit("a", 0, 9, 60) };
        assert_eq!(fold.take(update(vec![lower.clone()], false)).unwrap().0, [lower]);
        fold.begin();
        assert_eq!(used(&fold, "b"), Some(1), "the old values serve until the new ones are there");
        fold.take(update(vec![limit("a", 2, 11, 60)], false));
        assert_eq!((used(&fold, "a"), used(&fold, "b")), (Some(2), None));
    }
}
