//! How streams begin at a replica that is behind, or whose database was put back.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::token::Token;
use super::{CatchUp, Currency, Filter, KindSet, Subscription, Watch};
use crate::domain::{Error, Kind, Timestamp};
use crate::proto::v1::watch_config_response::Event;
use crate::proto::v1::{WatchMode, WatchReason};
use crate::settings::WatchSettings;
use crate::state::{Chain, Head, State, UsageMoves};

const RESUMED: (WatchMode, WatchReason) = (WatchMode::Resumed, WatchReason::Unspecified);
const DIVERGED: (WatchMode, WatchReason) = (WatchMode::Snapshot, WatchReason::Diverged);

/// A store at this revision. Two have the same history up to revision 2, and go on as `fork` says.
fn state(store_id: &str, revision: i64, fork: u8) -> State {
    let chain = |revision: i64| Chain([if revision > 2 { fork } else { 0 } + revision as u8; 32]);
    let head = Head {
        store_id: store_id.into(),
        revision,
        chain: chain(revision),
        committed_at: Timestamp::EPOCH,
        compacted_revision: 0,
        compacted_chain: Chain::ORIGIN,
        last_config_id: 0,
    };
    State::restore(head, [], (1..=revision).map(|revision| chain(revision).prefix()), [])
}

fn current() -> Currency {
    Currency::new(|| std::time::Duration::ZERO)
}

/// How a stream begins for a client with a token of revision 2 that shows `shown`, at a replica that has `memory`, and whose
/// database has `database` or is away.
async fn begin(memory: State, database: Option<State>, filter: Filter, shown: i64) -> Result<Begun, Error> {
    let had = state("a store", 2, 0);
    let resume_token = Token::new(had.head(), 2, had.head().chain.prefix(), Filter::ALL).encode();
    let (publish, states) = watch::channel(Arc::new(memory));
    let catch_up: CatchUp = Arc::new(move || {
        let (publish, database) = (publish.clone(), database.clone());
        Box::pin(async move {
            let away = Error::Unavailable { what: "away".to_owned(), retry_after: std::time::Duration::ZERO };
            publish.send_replace(Arc::new(database.ok_or(away)?));
            Ok(())
        })
    });
    let moves = watch::Sender::new(UsageMoves::default());
    let now = Arc::new(|| Timestamp::EPOCH);
    let stop = CancellationToken::new();
    let watch = Watch::new(states, moves, now, catch_up, current(), WatchSettings::default(), stop.clone());
    let subscription = Subscription {
        node_id: String::new(),
        filter,
        resume_token,
        min_revision: shown,
        include_usage: false,
        incarnations: Vec::new(),
    };
    let mut follower = watch.begin(subscription, stop).await?;
    let first = follower.next().await.unwrap();
    match first.events().remove(0) {
        Event::Begin(begin) => Ok(((begin.mode(), begin.reason()), begin.head_revision)),
        other => panic!("a stream began with {other:?}"),
    }
}

fn teams() -> Filter {
    Filter { kinds: KindSet::of([Kind::Team]), ..Filter::ALL }
}

/// How, and at which revision.
type Begun = ((WatchMode, WatchReason), i64);

#[tokio::test]
async fn a_replica_that_is_behind_what_a_client_shows_catches_up_first() {
    let at = |revision| state("a store", revision, 0);
    assert_eq!(begin(at(3), Some(at(6)), Filter::ALL, 5).await, Ok((RESUMED, 6)));
    assert_eq!(begin(at(5), None, Filter::ALL, 5).await, Ok((RESUMED, 5)), "no database is needed");
    assert!(matches!(begin(at(4), None, Filter::ALL, 5).await, Err(Error::Unavailable { .. })));
    let other_filter = (WatchMode::Snapshot, WatchReason::FilterChanged);
    for filter in [teams(), Filter { hashes: false, ..Filter::ALL }] {
        assert_eq!(begin(at(3), Some(at(6)), filter, 5).await, Ok((other_filter, 6)));
    }
}

#[tokio::test]
async fn what_the_database_never_had_is_not_waited_for() {
    let (kept, others) = (state("a store", 2, 0), state("a store", 4, 7));
    for shown in [3, i64::MAX] {
        assert_eq!(begin(kept.clone(), Some(kept.clone()), Filter::ALL, shown).await, Ok((DIVERGED, 2)));
        assert_eq!(begin(kept.clone(), Some(kept.clone()), teams(), shown).await, Ok((DIVERGED, 2)));
    }
    assert_eq!(begin(kept.clone(), Some(others.clone()), Filter::ALL, 5).await, Ok((DIVERGED, 4)));
    // The client undoes what it shows: its token is good, and nothing goes back.
    assert_eq!(begin(kept, Some(others), Filter::ALL, 4).await, Ok((RESUMED, 4)));
    let elsewhere = state("another store", 3, 0);
    let changed = (WatchMode::Snapshot, WatchReason::StoreChanged);
    assert_eq!(begin(elsewhere.clone(), Some(elsewhere), Filter::ALL, 5).await, Ok((changed, 3)));
}
