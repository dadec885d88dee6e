//! The one law of the fold, over random histories.

use proptest::prelude::*;

use super::*;

/// A store of few resources with its whole history: what is held at each revision.
type History = Vec<BTreeMap<(i32, String), ConfigResource>>;

/// Each step puts or removes some of six resources in one revision.
fn history() -> impl Strategy<Value = History> {
    let step = prop::collection::vec((1..=2, 0..3_u8, prop::bool::weighted(0.7)), 1..4);
    prop::collection::vec(step, 1..30).prop_map(|steps| {
        let mut history = vec![BTreeMap::new()];
        for (revision, step) in (1_i64..).zip(steps) {
            let mut next = history.last().cloned().unwrap_or_default();
            for (kind, id, put) in step {
                let id = format!("id{id}");
                let name = format!("name {revision}");
                match (put, kind) {
                    (true, 1) => next.insert((kind, id.clone()), customer(&id, &name, revision)),
                    (true, _) => next.insert((kind, id.clone()), team(&id, &name, revision)),
                    (false, _) => next.remove(&(kind, id)),
                };
            }
            history.push(next);
        }
        history
    })
}

/// What leads from one state to another: the latest state of all that differs, and of what came and went markers too.
fn between(history: &History, from: i64, to: i64) -> ConfigBatch {
    let (before, after) = (&history[from as usize], &history[to as usize]);
    let newer = after.values().filter(|it| Summary::of(it).is_some_and(|it| it.revision > from));
    let touched = history[from as usize..=to as usize].iter().flat_map(BTreeMap::keys);
    let mut gone: Vec<_> = touched.filter(|key| !after.contains_key(*key)).cloned().collect();
    gone.extend(before.keys().filter(|key| !after.contains_key(*key)).cloned());
    gone.sort();
    gone.dedup();
    let removes = gone.into_iter().map(|(kind, id)| ResourceKey { kind, id }).collect();
    batch(from, to, newer.cloned().collect(), removes)
}

/// Cuts a batch into fragments of at most `size` entries.
fn fragments(whole: ConfigBatch, size: usize) -> Vec<WatchConfigResponse> {
    let mut rest = whole;
    let mut fragments = Vec::new();
    loop {
        let upserts: Vec<_> = rest.upserts.drain(..size.min(rest.upserts.len())).collect();
        let left = size - upserts.len();
        let removes: Vec<_> = rest.removes.drain(..left.min(rest.removes.len())).collect();
        let more = !rest.upserts.is_empty() || !rest.removes.is_empty();
        fragments.push(sent(ConfigBatch { upserts, removes, more, ..rest.clone() }));
        if !more {
            return fragments;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// However the history is cut into batches and fragments, wherever the snapshot ends and whenever the stream breaks
    /// off, the copy at each bookmark is the store at that revision.
    #[test]
    fn the_copy_is_the_store_at_every_bookmark(
        history in history(),
        snapshot_share in 0.0..=1.0_f64,
        cuts in prop::collection::vec((1..6_i64, 1..4_usize, prop::bool::weighted(0.2), 0..4_i64), 40),
    ) {
        let head = history.len() as i64 - 1;
        let snapshot_end = (head as f64 * snapshot_share) as i64;
        let mut cuts = cuts.into_iter().cycle();
        let mut reducer = Reducer::new();
        reducer.connect();
        reducer.apply(begin(WatchMode::Snapshot, head)).unwrap();

        // Early batches of a snapshot may show a state that has moved on since.
        let mut cursor = 0;
        while cursor < snapshot_end {
            let (step, size, ..) = cuts.next().unwrap();
            let to = (cursor + step).min(snapshot_end);
            for fragment in fragments(ConfigBatch { snapshot: true, ..between(&history, cursor, to) }, size) {
                reducer.apply(fragment).unwrap();
            }
            cursor = to;
        }
        prop_assert_eq!(reducer.state().len(), 0);
        let at = |revision: i64| history[revision as usize].values().cloned().collect::<Vec<_>>();
        let end = bookmark(snapshot_end, &snapshot_end.to_string(), digests(&at(snapshot_end)), true);
        reducer.apply(end).unwrap();
        prop_assert_eq!(held(&reducer.state()), at(snapshot_end));

        while cursor < head {
            let (step, size, broken, overlap) = cuts.next().unwrap();
            let to = (cursor + step).min(head);
            // A batch may begin before the cursor.
            let mut messages = fragments(between(&history, (cursor - overlap).max(0), to), size);
            if broken {
                messages.pop();
                for message in messages {
                    reducer.apply(message).unwrap();
                }
                let (token, shown) = reducer.connect();
                prop_assert_eq!((token.to_owned(), shown), (cursor.to_string(), cursor));
                reducer.apply(begin(WatchMode::Resumed, head)).unwrap();
                prop_assert_eq!(held(&reducer.state()), at(cursor));
                continue;
            }
            for message in messages {
                reducer.apply(message).unwrap();
            }
            let marked = reducer.apply(bookmark(to, &to.to_string(), digests(&at(to)), false)).unwrap();
            prop_assert_eq!(marked, Progress::Bookmarked { revision: to, verified: true, dropped: None, age: None });
            prop_assert_eq!(held(&reducer.state()), at(to));
            cursor = to;
        }
    }
}
