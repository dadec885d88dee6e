//! What a control plane told of the usage of limits.

use foldhash::fast::RandomState;

use super::CounterKey;
use crate::domain::{LimitId, LimitKind, Timestamp, Window};

/// What limits have used, each in the latest window that the control plane told of. Cloning is cheap.
#[derive(Clone, Default)]
pub struct ToldUsage(
    imbl::GenericHashMap<(LimitId, LimitKind), (Timestamp, i64), RandomState, imbl::shared_ptr::DefaultSharedPtr>,
);

impl ToldUsage {
    /// Takes what one limit has used in one window, in place of what was told before.
    pub fn put(&mut self, CounterKey { limit_id, kind, window_start }: CounterKey, used: i64) {
        self.0.insert((limit_id, kind), (window_start, used));
    }

    /// What a limit has used in this window: 0 if it is later than the one that was told of.
    pub fn used(&self, limit_id: &LimitId, kind: LimitKind, window: &Window) -> i64 {
        let told = self.0.get(&(limit_id.clone(), kind));
        told.filter(|(start, _)| *start == window.start).map_or(0, |(_, used)| *used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_that_turned_begins_at_zero() {
        let at = Timestamp::from_micros;
        let window = |start, end| Window { start: at(start), end: at(end) };
        let (limit_id, kind): (LimitId, _) = ("a".into(), LimitKind::Budget);
        let mut told = ToldUsage::default();
        assert_eq!(told.used(&limit_id, kind, &window(0, 60)), 0);
        told.put(CounterKey { limit_id: limit_id.clone(), kind, window_start: at(0) }, 7);
        assert_eq!(told.used(&limit_id, kind, &window(0, 60)), 7);
        assert_eq!(told.used(&limit_id, LimitKind::Tokens, &window(0, 60)), 0);
        assert_eq!(told.used(&limit_id, kind, &window(60, 120)), 0);
        told.put(CounterKey { limit_id: limit_id.clone(), kind, window_start: at(60) }, 1);
        assert_eq!(told.used(&limit_id, kind, &window(60, 120)), 1);
    }
}
