use proptest::prelude::*;
use tollgate_core::domain::{LimitKind, Timestamp};

use super::super::record::{Session, frame, read};
use super::*;

fn entry(key: u8, second: i64, tokens: i64) -> UsageEntry {
    UsageEntry {
        virtual_key_id: key.to_string(),
        requests: 1,
        input_tokens: tokens,
        cost_nano_usd: tokens * 7,
        occurred_at: Some(prost_types::Timestamp { seconds: second, nanos: 0 }),
        end_user: (key % 2).to_string(),
        tags: vec!["tag".to_owned(); usize::from(key % 3)],
        ..UsageEntry::default()
    }
}

/// Limits that an admission holds credit for.
fn limits(id: u8) -> Vec<CounterKey> {
    vec![limit(id % 2, LimitKind::Budget), limit(id % 3, LimitKind::Tokens)]
}

fn limit(number: u8, kind: LimitKind) -> CounterKey {
    let limit_id = number.to_string().as_str().into();
    CounterKey { limit_id, kind, window_start: Timestamp::from_micros(5_000_000) }
}

/// The state that records lead to.
fn fold(records: Vec<Record>) -> State {
    let mut state = State::default();
    records.into_iter().for_each(|record| state.apply(record));
    state
}

/// Something that a node does, by numbers.
fn step(state: &State, (what, id, tokens): (u8, u8, i64)) -> Option<Record> {
    let bytes = [id + 1; 16];
    match what {
        0 => (!state.open.contains_key(&bytes) && state.ended(&bytes).is_none()).then(|| {
            let (provider_key_id, request_type) = (id.to_string(), "embedding".to_owned());
            let estimate = UsageEntry { provider_key_id, ..entry(id % 3, 5, 100) };
            admitted(bytes, Open { estimate, request_type, credit: limits(id), bounds_output: id % 3 == 0 })
        }),
        1 => state.open.contains_key(&bytes).then(|| {
            let uncovered = [(limit(9, LimitKind::Budget), tokens)];
            closed_uncovered(
                bytes,
                How::Settled,
                Some(entry(id % 3, tokens, tokens)),
                &uncovered[..usize::from(id % 2)],
            )
        }),
        2 => state.open.contains_key(&bytes).then(|| closed(bytes, How::Abandoned, None)),
        3 => state.open.get(&bytes).map(|open| expired(bytes, Some(open.estimate.clone()), tokens)),
        4 => state.to_batches().into_iter().next(),
        5 => state.due().next().map(|batch| {
            let (incarnation, sequence) = batch.place;
            Event::Acknowledged(Acknowledged { incarnation, sequence }).into()
        }),
        6 => {
            let incarnation = state.registration.as_ref().map_or(1, |known| known.incarnation + 1);
            let node_id = "node".to_owned();
            Some(
                Event::Registered(Registered { incarnation, node_id, next_sequence: 1, ..Registered::default() })
                    .into(),
            )
        }
        7 => Some(Event::Session(Session { session: tokens, boot_id: id.to_string(), ..Session::default() }).into()),
        // A settlement of what had expired.
        _ => state
            .ended(&bytes)
            .filter(|ended| ended.how == How::Expired)
            .map(|_| closed(bytes, How::Settled, (tokens > 2).then(|| entry(id % 3, tokens, tokens)))),
    }
}

/// LLM tokens of all that is to be counted, or was.
fn tokens(state: &State) -> i64 {
    let batched = state.batches.iter().flat_map(|batch| &batch.entries);
    state.waiting.values().chain(batched).map(|entry| entry.input_tokens).sum()
}

/// Each batch is a record of its own; where the last was cut, its entries still wait.
#[test]
fn much_that_waits_goes_into_several_records() {
    let mut state = State::default();
    state.apply(Event::Registered(Registered { incarnation: 1, next_sequence: 1, ..Registered::default() }).into());
    let seconds = 0..i64::try_from(BATCH).unwrap() + 1;
    seconds.for_each(|second| state.apply(closed(NOBODY, How::Settled, Some(entry(1, second, 1)))));
    let records = state.to_batches();
    assert_eq!(records.len(), 2);
    let mut records = records.into_iter();
    state.apply(records.next().unwrap());
    assert_eq!((state.batches.len(), state.waiting.len()), (1, 1));
    state.apply(records.next().unwrap());
    assert_eq!((state.batches.len(), state.waiting.len(), tokens(&state)), (2, 0, 5_001));
}

/// Names and dimensions may be long: a message that the control plane does not take would stop all that is behind it.
#[test]
fn what_waits_goes_into_batches_that_fit_a_message() {
    let mut state = State::default();
    state.apply(Event::Registered(Registered { incarnation: 1, next_sequence: 1, ..Registered::default() }).into());
    let text = |letter: &str, length| letter.repeat(length);
    for second in 0..2_000 {
        let entry = UsageEntry {
            end_user: text("u", 128),
            session: text("s", 128),
            tool: text("t", 128),
            tags: (0..16).map(|number| format!("{number:02}{}", text("g", 126))).collect(),
            model: text("m", 256),
            ..entry(1, second, 1)
        };
        state.apply(closed(NOBODY, How::Settled, Some(entry)));
    }
    state.to_batches().into_iter().for_each(|record| state.apply(record));
    assert_eq!((state.waiting.len(), tokens(&state)), (0, 2_000));
    let sizes = state.batches.iter().map(|batch| batch.entries.iter().map(|entry| entry.encoded_len()).sum::<usize>());
    let sizes: Vec<_> = sizes.collect();
    assert!(sizes.len() == 3 && sizes.iter().all(|size| *size <= BATCH_BYTES), "{sizes:?}");
}

#[test]
fn usage_of_other_dimensions_is_another_entry_and_what_is_remembered_has_none() {
    let mut state = State::default();
    let of = |end_user: &str, tags: &[&str]| UsageEntry {
        end_user: end_user.to_owned(),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        ..entry(1, 5, 10)
    };
    let all = [of("ada", &[]), of("ada", &["a"]), of("eve", &[]), of("ada", &["a"])];
    for (id, entry) in (1..).zip(all) {
        state.apply(closed([id; 16], How::Settled, Some(entry)));
    }
    let waiting = |state: &State| {
        let told = state.waiting().map(|it| (it.end_user.clone(), it.tags.len(), it.requests));
        told.collect::<std::collections::BTreeSet<_>>()
    };
    let expected = [("ada", 0, 1), ("ada", 1, 2), ("eve", 0, 1)];
    let expected = expected.map(|(user, tags, requests)| (user.to_owned(), tags, requests)).into();
    assert_eq!(waiting(&state), expected);
    assert_eq!(waiting(&fold(state.to_records())), expected);
    let charged = state.ended(&[2; 16]).unwrap().charged.clone().unwrap();
    assert_eq!((charged.end_user.as_str(), charged.tags.len(), charged.input_tokens), ("", 0, 10));
    // One that expired may be charged more, for the same.
    state.apply(expired([9; 16], Some(of("eve", &["b"])), 1_000));
    assert_eq!(state.ended(&[9; 16]).unwrap().charged.clone().unwrap().tags, ["b"]);
}

/// Credit used by this key, as the last batch that tells it has it, and what a restart restores.
fn spent(state: &State, key: &CounterKey) -> (Option<i64>, Option<(i64, i64)>) {
    let batched = state.batches.iter().flat_map(|batch| super::super::spending::read(&batch.credit_used));
    let batched = batched.filter(|(of, _)| of == key).map(|(_, used)| used).max();
    let restored = state.spending().used().find(|(of, _, _)| of == key);
    (batched, restored.map(|(_, used, acknowledged)| (used, acknowledged)))
}

#[test]
fn usage_that_no_credit_was_held_for_is_told_once_across_restarts() {
    let budget = limit(1, LimitKind::Budget);
    let mut state = State::default();
    state.apply(Event::Registered(Registered { incarnation: 1, next_sequence: 1, ..Registered::default() }).into());
    let settle = |id: u8, second: i64| {
        closed_uncovered([id; 16], How::Settled, Some(entry(1, second, 10)), &[(limit(1, LimitKind::Budget), 70)])
    };
    let told = |state: &State| -> Vec<(i64, i64)> {
        let told = state.batches.iter().flat_map(|batch| &batch.credit_used);
        told.map(|told| (told.used, told.uncovered)).collect()
    };
    state.apply(settle(1, 5));
    // A restart in between.
    let mut state = fold(state.to_records());
    state.to_batches().into_iter().for_each(|record| state.apply(record));
    assert_eq!(told(&state), [(70, 70)]);
    let mut state = fold(state.to_records());
    state.apply(admitted([2; 16], Open { credit: vec![budget], ..Open::charged(entry(1, 6, 100)) }));
    state.apply(closed([2; 16], How::Settled, Some(entry(1, 6, 10))));
    state.apply(settle(3, 7));
    state.to_batches().into_iter().for_each(|record| state.apply(record));
    assert_eq!(told(&state), [(70, 70), (210, 70)]);
}

#[test]
fn usage_by_credit_is_told_with_the_last_batch_that_has_it_and_ends_with_the_incarnation() {
    let registered = |incarnation| {
        Record::from(Event::Registered(Registered { incarnation, next_sequence: 1, ..Registered::default() }))
    };
    let open = || Open { credit: vec![limit(1, LimitKind::Budget)], ..Open::charged(entry(1, 5, 100)) };
    let budget = limit(1, LimitKind::Budget);
    let mut state = State::default();
    state.apply(registered(1));
    for id in 1..=3 {
        state.apply(admitted([id; 16], open()));
    }
    // What is in flight is no usage yet.
    assert_eq!(spent(&state, &budget), (None, None));
    let settle = |id: u8| closed([id; 16], How::Settled, Some(entry(1, 5, 10)));
    state.apply(settle(1));
    let others = 0..i64::try_from(BATCH).unwrap();
    others.for_each(|second| state.apply(closed(NOBODY, How::Settled, Some(entry(2, second, 1)))));
    state.to_batches().into_iter().for_each(|record| state.apply(record));
    let told: Vec<_> = state.batches.iter().map(|batch| batch.credit_used.len()).collect();
    assert_eq!((told, spent(&state, &budget)), (vec![0, 1], (Some(70), Some((70, 0)))));
    // Cumulative, and acknowledged as far as the batch is.
    state.apply(settle(2));
    state.to_batches().into_iter().for_each(|record| state.apply(record));
    state.apply(Event::Acknowledged(Acknowledged { incarnation: 1, sequence: 2 }).into());
    assert_eq!(spent(&state, &budget), (Some(140), Some((140, 70))));
    // Another incarnation has nothing of it, and what was in flight holds no credit there.
    state.apply(registered(2));
    state.apply(settle(3));
    state.to_batches().into_iter().for_each(|record| state.apply(record));
    let due: Vec<_> = state.due().map(|batch| batch.credit_used.clone()).collect();
    assert_eq!((due.concat(), spent(&state, &budget).1), (Vec::new(), None));
}

#[test]
fn an_admission_that_expired_is_remembered_for_a_day() {
    let mut state = State::default();
    state.apply(expired([1; 16], Some(entry(1, 5, 100)), 1_000));
    state.apply(expired([2; 16], Some(entry(1, 5, 100)), 1_000 + SETTLED_WITHIN));
    let ids = [[1; 16], [2; 16]];
    assert!(ids.iter().all(|id| state.ended(id).is_some()));
    let mut anew = State::default();
    state.to_records().into_iter().for_each(|record| anew.apply(record));
    for state in [&mut state, &mut anew] {
        state.apply(expired([3; 16], None, 1_001 + SETTLED_WITHIN));
        assert_eq!(ids.map(|id| state.ended(&id).is_some()), [false, true]);
    }
}

proptest! {
    #[test]
    fn a_file_begun_anew_leads_to_the_same_and_nothing_is_lost(steps in prop::collection::vec((0..9_u8, 0..12_u8, 1..9_i64), 0..120)) {
        let (mut state, mut bytes, mut settled) = (State::default(), Vec::new(), 0);
        for numbers in steps {
            let Some(record) = step(&state, numbers) else { continue };
            if let Some(Event::Closed(Closed { entry: Some(entry), .. })) = &record.event {
                settled += entry.input_tokens;
            }
            frame(&record, &mut bytes);
            state.apply(record);
            prop_assert_eq!(tokens(&state), settled);
            let places: Vec<_> = state.due().map(|batch| batch.place).collect();
            prop_assert!(places.windows(2).all(|two| two[0].0 == two[1].0 && two[0].1 + 1 == two[1].1), "{:?}", places);
        }
        // What the file has is what happened.
        prop_assert_eq!(&fold(read(&bytes).0), &state);
        // A new file has all but how those ended that need no more be said of.
        let mut anew = fold(state.to_records());
        let over = |state: &State| {
            let expired = state.ended.iter().filter(|(_, ended)| ended.how == How::Expired);
            expired.map(|(id, ended)| (*id, ended.clone())).collect::<HashMap<_, _>>()
        };
        prop_assert_eq!(over(&anew), over(&state));
        (anew.ended, anew.order, anew.expired) = (state.ended.clone(), state.order.clone(), state.expired.clone());
        prop_assert_eq!(&anew, &state);
    }
}
