use proptest::prelude::*;

use super::super::record::{frame, read};
use super::*;

fn entry(key: u8, second: i64, tokens: i64) -> UsageEntry {
    UsageEntry {
        virtual_key_id: key.to_string(),
        requests: 1,
        input_tokens: tokens,
        cost_nano_usd: tokens * 7,
        occurred_at: Some(prost_types::Timestamp { seconds: second, nanos: 0 }),
        ..UsageEntry::default()
    }
}

/// Something that a node does, by numbers.
fn step(state: &State, (what, id, tokens): (u8, u8, i64)) -> Option<Record> {
    let bytes = [id + 1; 16];
    match what {
        0 => (!state.open.contains_key(&bytes) && state.ended(&bytes).is_none()).then(|| {
            let (provider_key_id, request_type) = (id.to_string(), "embedding".to_owned());
            admitted(bytes, Open { estimate: entry(id % 3, 5, 100), provider_key_id, request_type })
        }),
        1 => state.open.contains_key(&bytes).then(|| closed(bytes, How::Settled, Some(entry(id % 3, tokens, tokens)))),
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
    fn a_file_begun_anew_leads_to_the_same_and_nothing_is_lost(steps in prop::collection::vec((0..8_u8, 0..12_u8, 1..9_i64), 0..120)) {
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
        let fold = |records: Vec<Record>| {
            let mut state = State::default();
            records.into_iter().for_each(|record| state.apply(record));
            state
        };
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
