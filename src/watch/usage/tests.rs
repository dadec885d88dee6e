//! The usage that streams are told, by their cursor.

use tollgate_testkit::world::{NOW, World};

use super::*;
use crate::counters::{Counter, CounterKey};
use crate::domain::Customer;

/// A feed, and what counts for it.
struct Counting {
    feed: Feed,
    state: State,
    key: CounterKey,
    used: i64,
}

impl Counting {
    fn new() -> Self {
        let mut world = World::new();
        let budgets = vec![v1::Budget { max_limit: 1.0, reset_duration: "1d".to_owned(), ..Default::default() }];
        let customer = v1::Customer { name: "customer".to_owned(), budgets, ..Default::default() };
        let limit_id = world.add::<Customer>(customer).resource.limits.budgets[0].id.clone();
        let key = CounterKey { limit_id, kind: LimitKind::Budget, window_start: Timestamp::from_micros(NOW) };
        let state = State::of(&world);
        let states = watch::Sender::new(Arc::new(state.clone()));
        let now = Arc::new(|| Timestamp::from_micros(NOW));
        let feed = Feed::new(states.subscribe(), watch::Sender::new(UsageMoves::default()), now);
        tokio::spawn(feed.clone().run(CancellationToken::new()));
        Self { feed, state, key, used: 0 }
    }

    async fn count(&mut self, used: i64, urgent: bool) {
        self.used += 1;
        let counter = Counter { used, version: self.used };
        self.state.usage_mut().put([(self.key.clone(), counter)]);
        self.feed.moves.send_modify(|moves| {
            moves.keys.insert(self.key.clone());
            moves.urgent |= urgent;
        });
        settle().await;
    }

    async fn follow(&self) -> UsageCursor {
        let cursor = self.feed.follow(Vec::new());
        settle().await;
        cursor
    }
}

/// Lets the feed look, if it will now.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// What a stream is told; `None` for nothing.
fn told(cursor: &mut UsageCursor) -> Option<Vec<i64>> {
    let frames = cursor.advance().expect("its history");
    let limits = |event| match event {
        Event::Usage(update) => update.limits,
        other => panic!("usage is told by {other:?}"),
    };
    let limits = frames.iter().flat_map(Frame::events).flat_map(limits).map(|limit| limit.used).collect();
    (!frames.is_empty()).then_some(limits)
}

#[tokio::test(start_paused = true)]
async fn who_begins_is_told_what_holds_and_the_others_when_their_second_is_over() {
    let mut counting = Counting::new();
    let mut first = counting.follow().await;
    assert_eq!(told(&mut first), Some(vec![]));
    counting.count(5, false).await;
    assert_eq!(told(&mut first), None);
    let mut second = counting.follow().await;
    assert_eq!(told(&mut second), Some(vec![5]), "what was counted before it began");
    assert_eq!(told(&mut first), None, "not sooner for that");
    tokio::time::sleep(INTERVAL).await;
    assert_eq!((told(&mut first), told(&mut second)), (Some(vec![5]), None));

    // What others began with is told with what comes after it.
    counting.count(6, false).await;
    let mut third = counting.follow().await;
    counting.count(0, true).await;
    assert_eq!(told(&mut third), Some(vec![]), "a reset before the first update is in it");
    assert_eq!((told(&mut first), told(&mut second)), (Some(vec![0]), Some(vec![0])), "at once");
    tokio::time::sleep(INTERVAL).await;
    assert_eq!((told(&mut first), told(&mut second), told(&mut third)), (None, None, None));
}
