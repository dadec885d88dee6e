//! A batch, assigned to the counters that it moves before its turn comes: by the task of its stream, many at a time, so
//! that the ledger's task, of which there is one, has only to add.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Place;

use foldhash::fast::RandomState;

use super::count::assign;
use super::{Amount, Entry, Fault, FormerKeys, HOUR_MICROS, Refusal, SpendTally, hour};
use crate::counters::CounterKey;
use crate::domain::Timestamp;
use crate::state::{Chain, State, Tally};

/// What the entries of a batch move together, by the configuration of one revision and the windows of one time.
#[derive(Debug)]
pub struct Prepared {
    revision: i64,
    chain: Chain,
    from: Timestamp,
    until: Timestamp,
    /// How much of which windows; no two are of the same.
    amounts: Vec<Amount>,
    spend: SpendTally,
    rejected: Vec<(usize, Refusal)>,
    late: usize,
}

impl Prepared {
    /// Assigns `entries`; `None` if that takes what only the ledger's task knows, as with keys that were deleted, or if
    /// it is to be found out which of them would overflow a counter.
    pub fn of(state: &State, entries: &[Result<Entry, Refusal>], now: Timestamp) -> Option<Self> {
        let former = FormerKeys::default();
        // What has no time of its own is spent in the hour in which it is counted.
        let mut until = hour(now).plus_micros(HOUR_MICROS);
        let (mut rejected, mut late) = (Vec::new(), 0);
        let mut sums: HashMap<CounterKey, Amount, RandomState> = HashMap::default();
        let mut spend = SpendTally::default();
        for (index, entry) in entries.iter().enumerate() {
            let assigned = match entry {
                Ok(entry) => {
                    assign(state.config(), state.credit(), &former, entry, now).map(|assigned| (entry, assigned))
                }
                Err(refusal) => Err(Fault::Refused(refusal.clone())),
            };
            match assigned {
                Ok((entry, assigned)) => {
                    spend.count(entry, &assigned);
                    until = until.min(assigned.until);
                    late += usize::from(assigned.late);
                    for amount in assigned.amounts {
                        match sums.entry(amount.key.clone()) {
                            Place::Occupied(mut sum) => {
                                let sum = sum.get_mut();
                                sum.amount = sum.amount.checked_add(amount.amount)?;
                            }
                            Place::Vacant(place) => drop(place.insert(amount)),
                        }
                    }
                }
                Err(Fault::UnknownKey) => return None,
                Err(Fault::Refused(refusal)) => rejected.push((index, refusal)),
            }
        }
        let head = state.head();
        let amounts = sums.into_values().collect();
        Some(Self { revision: head.revision, chain: head.chain, from: now, until, amounts, spend, rejected, late })
    }

    /// Adds the batch to the tallies: the entries that are rejected, and how many came late. Adds nothing and returns `None`
    /// if the configuration is another by now or a window has turned, or if a counter would overflow: then each entry is
    /// to be counted by itself.
    pub fn count(
        self,
        state: &State,
        now: Timestamp,
        tally: &mut Tally<'_>,
        spent: &mut SpendTally,
    ) -> Option<(Vec<(usize, Refusal)>, usize)> {
        let Self { revision, chain, from, until, amounts, spend, rejected, late } = self;
        let holds = (revision, chain) == (state.revision(), state.head().chain) && (from..until).contains(&now);
        if !holds || tally.add(&amounts).is_err() {
            return None;
        }
        spent.add_all(spend);
        Some((rejected, late))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tollgate_testkit::world::{NOW, World, config, key, parse};

    use super::super::count;
    use super::*;
    use crate::counters::Counter;
    use crate::domain::{LimitKind, Sha256Hash, Team, VirtualKey};
    use crate::proto::v1;

    const AT: Timestamp = Timestamp::from_micros(NOW);
    const SECOND: i64 = 1_000_000;

    fn budget(max_limit: f64) -> Vec<v1::Budget> {
        vec![v1::Budget { max_limit, reset_duration: "1m".to_owned(), ..Default::default() }]
    }

    /// A key of a team, each with limits of a minute, and one of nobody.
    fn world() -> (World, [String; 2]) {
        let mut world = World::new();
        let team = world.add::<Team>(v1::Team { name: "team".to_owned(), budgets: budget(1.0), ..Default::default() });
        let rate_limit = v1::RateLimit {
            token_max_limit: Some(5_000),
            token_reset_duration: Some("1m".to_owned()),
            request_max_limit: Some(100),
            request_reset_duration: Some("1m".to_owned()),
            ..Default::default()
        };
        let config = v1::VirtualKeyProviderConfig { budgets: budget(0.5), ..config("openai", None) };
        let key = v1::VirtualKey { rate_limits: vec![rate_limit], budgets: budget(0.1), ..key(vec![config]) };
        let of_team = v1::VirtualKey { team_id: team.id.to_string(), ..key.clone() };
        let of_nobody = v1::VirtualKey { name: "other".to_owned(), rate_limits: Vec::new(), ..key };
        let keys = [(1, of_team), (2, of_nobody)].map(|(number, message)| {
            let mut key = parse::<VirtualKey>(message);
            key.secret.sha256 = Sha256Hash([number; 32]);
            world.put(&key).id.to_string()
        });
        (world, keys)
    }

    fn entry(key: &str, cost: i64) -> Entry {
        Entry {
            virtual_key_id: key.into(),
            provider: "openai".into(),
            model: "gpt-4o".into(),
            requests: 1,
            input_tokens: 7,
            output_tokens: 3,
            cost,
            ..Entry::default()
        }
    }

    /// What comes of counting each entry by itself.
    fn one_by_one(
        state: &State,
        entries: &[Result<Entry, Refusal>],
        tally: &mut Tally<'_>,
        spend: &mut SpendTally,
    ) -> (Vec<(usize, Refusal)>, usize) {
        let (mut rejected, mut late) = (Vec::new(), 0);
        for (index, entry) in entries.iter().enumerate() {
            let former = FormerKeys::default();
            match entry
                .clone()
                .and_then(|entry| count((state.config(), state.credit()), &former, &entry, AT, tally, spend))
            {
                Ok(came_late) => late += usize::from(came_late),
                Err(refusal) => rejected.push((index, refusal)),
            }
        }
        (rejected, late)
    }

    fn close(state: &State, tally: Tally<'_>) -> crate::state::Moved {
        tally.close(|key| state.config().limit(&key.limit_id, key.kind).map(|limit| limit.owner))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn a_batch_moves_what_its_entries_move(
            drawn in proptest::collection::vec(
                (0..3_usize, -1..50_000_000_i64, -400..400_i64, any::<bool>(), prop::sample::select(vec!["openai", "groq", "new"])),
                0..40,
            ),
        ) {
            let (world, keys) = world();
            let state = State::of(&world);
            let entries: Vec<_> = drawn
                .into_iter()
                .map(|(key, cost, seconds, now, provider)| {
                    let occurred_at = (!now).then(|| AT.plus_micros(seconds * SECOND));
                    let key = keys.get(key).map_or("", String::as_str);
                    Ok(Entry { occurred_at, provider: provider.into(), ..entry(key, cost) })
                })
                .collect();
            let mut expected = Tally::new(state.usage(), AT);
            let [mut spend, mut expected_spend] = [(); 2].map(|()| SpendTally::default());
            let outcome = one_by_one(&state, &entries, &mut expected, &mut expected_spend);
            let mut tally = Tally::new(state.usage(), AT);
            let prepared = Prepared::of(&state, &entries, AT).expect("all keys are known");
            prop_assert_eq!(prepared.count(&state, AT, &mut tally, &mut spend), Some(outcome));
            prop_assert_eq!(spend, expected_spend);
            let (moved, expected) = (close(&state, tally), close(&state, expected));
            prop_assert_eq!(&moved.counters, &expected.counters);
            prop_assert_eq!(&moved.crossings, &expected.crossings);
        }
    }

    #[test]
    fn what_does_not_hold_any_more_is_counted_entry_by_entry() {
        let (mut world, [key, other]) = world();
        let state = State::of(&world);
        let entries = [Ok(entry(&key, 5)), Ok(entry("", -1)), Err(Refusal("why".to_owned()))];
        let prepare = |state: &State, entries: &[_]| Prepared::of(state, entries, AT);
        let holds = |state: &State, prepared: Option<Prepared>, now| {
            let (mut tally, mut spend) = (Tally::new(state.usage(), now), SpendTally::default());
            let counted = prepared.expect("prepared").count(state, now, &mut tally, &mut spend).is_some();
            assert_eq!(counted, !spend.is_empty());
            (counted, !close(state, tally).counters.is_empty())
        };
        let before = prepare(&state, &entries);
        assert_eq!(holds(&state, prepare(&state, &entries), AT), (true, true));
        assert_eq!(holds(&state, prepare(&state, &entries), AT.plus_micros(59 * SECOND)), (true, true));
        assert_eq!(holds(&state, prepare(&state, &entries), AT.plus_micros(60 * SECOND)), (false, false), "a turn");
        assert_eq!(holds(&state, prepare(&state, &entries), AT.plus_micros(-1)), (false, false), "another time");
        world.remove::<VirtualKey>(&crate::domain::Id::new(other.as_str()));
        let mut state = State::of(&world);
        assert_eq!(holds(&state, before, AT), (false, false), "another configuration");
        assert!(prepare(&state, &[Ok(entry(&other, 1))]).is_none(), "a key that is gone");

        let much = [Ok(entry(&key, i64::MAX)), Ok(entry(&key, 1))];
        assert!(prepare(&state, &much).is_none(), "more than can be counted");
        let prepared = prepare(&state, &much[..1]);
        let budget = |state: &State| {
            state.config().get::<VirtualKey>(&key).map(|key| key.resource.limits.budgets[0].id.to_string())
        };
        let counted = Counter { used: 1, version: 1 };
        let limit_id = budget(&state).expect("a budget").as_str().into();
        let window_start = AT;
        state.usage_mut().put([(CounterKey { limit_id, kind: LimitKind::Budget, window_start }, counted)]);
        assert_eq!(holds(&state, prepared, AT), (false, false), "more than can be counted on top");
    }
}
