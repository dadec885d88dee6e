//! Usage of limits for the streams that ask for it: one task looks at what moved, at most once a second, and at once when
//! a limit crosses a threshold, is reset, or its window turns. Who begins is told what holds then; that does not make the
//! others hear of it sooner. What it knows is an immutable view, in the order in which limits
//! changed last: a stream is a cursor into it, and gets the latest values of whatever changed since, however slow it is.

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use imbl::OrdMap;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::encode;
use super::hub::Shared;
use super::{Frame, KindSet};
use crate::counters::CountedBatches;
use crate::domain::{LimitId, LimitKind, Timestamp};
use crate::proto::v1;
use crate::proto::v1::watch_config_response::Event;
use crate::state::{State, UsageMoves};
use crate::wire;

/// The least time between two updates, unless one is urgent.
const INTERVAL: Duration = Duration::from_secs(1);
/// Limits in one message, so that it stays below a mebibyte.
const FRAGMENT: usize = 8_000;

/// Tells the time by which usage is counted.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What is known of the usage of all limits; `None` until somebody asks.
type Views = watch::Sender<Option<Arc<View>>>;

/// Usage as of one moment.
#[derive(Clone, Default)]
struct View {
    /// Which history of the store it is of, by number ([`Counters::history`](crate::state::Counters::history)).
    history: u64,
    /// Each limit at the place of its last change.
    places: OrdMap<i64, v1::LimitUsage>,
    /// The place of the last change of any.
    last: i64,
    /// The batches that are in these values, and no others.
    batches: CountedBatches,
    /// How many streams had begun when it was looked at.
    begun: u64,
    /// How often it was looked at for all streams, and not only for those that begin.
    round: u64,
}

/// Follows what is counted. Cloning shares it.
#[derive(Clone)]
pub(super) struct Feed {
    states: watch::Receiver<Arc<State>>,
    moves: watch::Sender<UsageMoves>,
    now: Now,
    views: Views,
    shared: Arc<Shared>,
}

impl Feed {
    pub(super) fn new(states: watch::Receiver<Arc<State>>, moves: watch::Sender<UsageMoves>, now: Now) -> Self {
        Self { states, moves, now, views: Views::new(None), shared: Arc::default() }
    }

    /// A stream's place in it. The stream is told how far batches of `incarnations` are in what it is told.
    pub(super) fn follow(&self, incarnations: Vec<i64>) -> UsageCursor {
        let mut number = 0;
        self.moves.send_modify(|moves| {
            moves.begun += 1;
            number = moves.begun;
        });
        UsageCursor {
            views: self.views.subscribe(),
            shared: Arc::clone(&self.shared),
            incarnations,
            counted: Vec::new(),
            number,
            at: None,
            round: 0,
        }
    }

    /// Looks at what moves until `drain`.
    pub(super) async fn run(self, drain: CancellationToken) {
        let mut moved = self.moves.subscribe();
        let mut book: Option<Book> = None;
        let mut rests_until = Instant::now();
        // Whether some streams were not told yet what others began with.
        let mut owed = false;
        loop {
            let (begins, waiting, urgent) = {
                let moves = moved.borrow_and_update();
                let begins = book.as_ref().map_or(0, |book| book.view.begun) < moves.begun;
                let waiting = owed || moves.anything || moves.batches || !moves.keys.is_empty();
                (begins, waiting && moves.begun > 0, moves.anything || moves.urgent)
            };
            let turns = book.as_ref().is_some_and(|book| book.turns_at().is_some_and(|end| end <= (self.now)()));
            let due = turns || book.is_none() || Instant::now() >= rests_until;
            if begins || turns || (waiting && (urgent || due)) {
                let counters = self.states.borrow().usage().clone();
                let counted = counters.batches();
                let state = Arc::clone(&self.states.borrow());
                if !state.usage().is_one_with(&counters) {
                    continue;
                }
                let UsageMoves { begun, keys, batches, anything, urgent } = self.take();
                let for_all = due || anything || urgent;
                owed = !for_all && (owed || batches || !keys.is_empty());
                let now = (self.now)();
                let history = state.usage().history();
                let book = book.get_or_insert_with(|| Book::of_history(history));
                if book.view.history != history {
                    // A backup was restored: what was told may have greater versions than what is true now.
                    *book = Book::of_history(history);
                }
                if anything || book.view.last == 0 {
                    book.read_all(&state, now);
                }
                for key in keys {
                    book.look(&state, (key.limit_id, key.kind), now);
                }
                book.turn(&state, now);
                book.view.batches.clone_from(&counted);
                drop(counted);
                book.view.begun = begun;
                if for_all {
                    book.view.round += 1;
                    rests_until = Instant::now() + INTERVAL;
                }
                self.views.send_replace(Some(Arc::new(book.view.clone())));
                continue;
            }
            let until_turn = book.as_ref().and_then(|book| book.until_turn((self.now)())).unwrap_or(INTERVAL);
            // A clock that is set is noticed within a second.
            let mut wake = Instant::now() + until_turn.min(INTERVAL);
            if waiting {
                wake = wake.min(rests_until);
            }
            tokio::select! {
                () = drain.cancelled() => return,
                changed = moved.changed() => if changed.is_err() {
                    return;
                },
                () = tokio::time::sleep_until(wake), if book.is_some() => {}
            }
        }
    }

    fn take(&self) -> UsageMoves {
        let mut taken = UsageMoves::default();
        self.moves.send_if_modified(|moves| {
            taken = std::mem::take(moves);
            moves.begun = taken.begun;
            false
        });
        taken
    }
}

type LimitKey = (LimitId, LimitKind);

/// What the task knows.
#[derive(Default)]
struct Book {
    view: View,
    limits: HashMap<LimitKey, Known>,
    /// When which limits are to be looked at: at the ends of windows that are followed by another value, and of increases.
    turns: BTreeSet<(Timestamp, LimitKey)>,
}

/// What the task knows of a limit.
#[derive(Clone, Copy)]
struct Known {
    /// Where it is in the view, if it was ever told.
    place: Option<i64>,
    /// When its window turns or its increase ends, if that is to be told.
    turns: Option<Timestamp>,
}

impl Book {
    fn of_history(history: u64) -> Self {
        Self { view: View { history, ..View::default() }, ..Self::default() }
    }

    fn turns_at(&self) -> Option<Timestamp> {
        self.turns.first().map(|(end, _)| *end)
    }

    fn until_turn(&self, now: Timestamp) -> Option<Duration> {
        let micros = self.turns_at()?.as_micros().saturating_sub(now.as_micros());
        Some(Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
    }

    fn read_all(&mut self, state: &State, now: Timestamp) {
        // Even where nothing is used, there is a view from now on.
        self.view.last += 1;
        let known: Vec<LimitKey> = self.limits.keys().cloned().collect();
        for limit in known {
            self.look(state, limit, now);
        }
        for (key, counter) in state.usage().to_vec() {
            if counter.used != 0 {
                self.look(state, (key.limit_id, key.kind), now);
            }
        }
    }

    /// Looks at those whose window has turned.
    fn turn(&mut self, state: &State, now: Timestamp) {
        while let Some((_, limit)) = self.turns.first().filter(|(end, _)| *end <= now).cloned() {
            self.look(state, limit, now);
        }
    }

    /// Notes what is counted in the current window of a limit, if that is new.
    fn look(&mut self, state: &State, limit: LimitKey, now: Timestamp) {
        let Known { mut place, turns } = self.limits.remove(&limit).unwrap_or(Known { place: None, turns: None });
        if let Some(end) = turns {
            self.turns.remove(&(end, limit.clone()));
        }
        let Some(dimension) = state.config().limit(&limit.0, limit.1) else {
            if let Some(place) = place {
                self.view.places.remove(&place);
            }
            return;
        };
        let window = dimension.window(now);
        let counter = state.usage().get(&dimension.counter(now));
        // What came early is there already.
        let next = state.usage().get(&dimension.counter(window.end));
        let before = place.and_then(|place| self.view.places.get(&place));
        // A window that nothing was counted in has no version of its own: it is as of all that was counted. One that was
        // counted in early has an older one than the window before it.
        let version = if counter.version == 0 { state.usage().version() } else { counter.version };
        let version = before.map_or(version, |before| before.version.max(version));
        let usage = v1::LimitUsage {
            limit_id: limit.0.to_string(),
            kind: wire::limit_kind(limit.1).into(),
            window_start: Some(wire::timestamp(window.start)),
            used: counter.used,
            max: dimension.max(now),
            version,
            window_end: window.has_end().then(|| wire::timestamp(window.end)),
        };
        // Of a limit with nothing in it that was never told, nobody was told anything else.
        let is_news = match before {
            Some(before) => *before != usage && (before.used, usage.used) != (0, 0),
            None => counter.version != 0,
        };
        if is_news {
            if let Some(place) = place {
                self.view.places.remove(&place);
            }
            self.view.last += 1;
            self.view.places.insert(self.view.last, usage);
            place = Some(self.view.last);
        }
        let turns = (counter.used != 0 || next.used != 0).then(|| dimension.holds_until(now));
        if let Some(end) = turns {
            self.turns.insert((end, limit.clone()));
        }
        if place.is_some() || turns.is_some() {
            self.limits.insert(limit, Known { place, turns });
        }
    }
}

/// How far a stream has told usage.
pub(super) struct UsageCursor {
    views: watch::Receiver<Option<Arc<View>>>,
    shared: Arc<Shared>,
    /// The incarnations whose batches the stream wants to be told of.
    incarnations: Vec<i64>,
    /// How far it was told that they are counted.
    counted: Vec<v1::CountedBatches>,
    /// Which of the streams that began this one is.
    number: u64,
    /// The history, and the place in it; `None` before the first update.
    at: Option<(u64, i64)>,
    /// The round of the last update.
    round: u64,
}

impl UsageCursor {
    /// Waits until there may be more to tell.
    pub(super) async fn changed(&mut self) {
        if self.views.changed().await.is_err() {
            // The server stops; the stream hears of that elsewhere.
            std::future::pending::<()>().await;
        }
    }

    /// What is new; `None` if what was told is not in the store's history any more. The first update is told even if it is
    /// empty: it says that everything else is zero.
    pub(super) fn advance(&mut self) -> Option<Vec<Frame>> {
        let view = self.views.borrow_and_update().clone().filter(|view| view.begun >= self.number);
        let Some(view) = view else { return Some(Vec::new()) };
        let counted = || {
            let counted = |incarnation: &i64| {
                let sequence = *view.batches.get(incarnation)?;
                Some(v1::CountedBatches { incarnation: *incarnation, sequence })
            };
            self.incarnations.iter().filter_map(counted).collect::<Vec<_>>()
        };
        let from = match self.at {
            Some((history, _)) if history != view.history => return None,
            Some(_) if self.round == view.round => return Some(Vec::new()),
            Some((_, at)) if at >= view.last && self.counted == counted() => return Some(Vec::new()),
            at => at.map(|(_, at)| at),
        };
        self.counted = counted();
        (self.at, self.round) = (Some((view.history, view.last)), view.round);
        let to = (view.last, view.history);
        let Ok(fragments) = self.shared.frames(from.unwrap_or(-1), to, KindSet::ALL, || match from {
            Some(from) => Ok::<_, Infallible>(fragments(view.places.range(from + 1..).map(|(_, usage)| usage))),
            None => Ok(fragments(view.places.values().filter(|usage| usage.used != 0))),
        });
        let counted = self.counted.clone();
        let last = encode::frame(Event::Usage(v1::UsageUpdate { counted, ..v1::UsageUpdate::default() }));
        Some(fragments.iter().cloned().chain([last]).collect())
    }
}

/// The values of an update, which all streams share. The fragment that ends it follows, and is of one stream.
fn fragments<'a>(limits: impl Iterator<Item = &'a v1::LimitUsage>) -> Vec<Frame> {
    let limits: Vec<_> = limits.cloned().collect();
    let fragment = |limits: &[_]| v1::UsageUpdate { limits: limits.to_vec(), more: true, counted: Vec::new() };
    limits.chunks(FRAGMENT).map(|limits| encode::frame(Event::Usage(fragment(limits)))).collect()
}

#[cfg(test)]
mod tests;
