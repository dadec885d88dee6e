//! What waits for the ledger's task, and how much of it is taken at a time.
//!
//! Commands and usage wait apart, so that neither keeps the other waiting for more than the group that is being written
//! and the one that was begun meanwhile, however much of it there is.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::batch::Reported;
use super::credit::CreditRequest;
use super::{Answer, Call, Command, shutting_down};
use crate::counters::CounterKey;
use crate::domain::{Error, Timestamp};
use crate::store::{Registration, StoreError};

/// Requests that may wait, and batches; more are refused.
const CAPACITY: usize = 4_096;
/// Entries of usage that may wait, but for a single batch that has more: about 420 MB, and some seconds of work. One stream
/// may have 640,000 in flight.
const WAITING_ENTRIES: usize = 700_000;
/// Requests in one group at most, and batches.
const GROUP: usize = 256;
/// Entries of usage in one group at most, but for a single batch that has more. A command waits for about 20 ms of it.
const ENTRIES: usize = 2_000;
/// When to come back if the queue is full.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// A command, and where its answer goes.
pub(super) type Submitted = (Call, Command, oneshot::Sender<Result<Answer, Error>>);

/// What the task is asked, beside counting usage.
pub(super) enum Request {
    /// To decide and write a command.
    Command(Submitted),
    /// To register a node.
    Register { registration: Registration, reply: oneshot::Sender<Result<i64, StoreError>> },
    /// To move the point from which watchers can resume.
    Compact { revision: i64, reply: oneshot::Sender<Result<(), StoreError>> },
    /// To read what others wrote up to now.
    CatchUp { reply: oneshot::Sender<Result<(), StoreError>> },
    /// To forget windows and deleted keys that nothing counts against any more.
    ForgetUsage { counters: Vec<CounterKey>, former_before: Timestamp, reply: oneshot::Sender<Result<(), StoreError>> },
}

/// A queue, empty and open.
pub(super) fn queue() -> (Sender, Queue) {
    let (request_sender, requests) = mpsc::channel(CAPACITY);
    let (batch_sender, batches) = mpsc::channel(CAPACITY);
    let (credit_sender, credit) = mpsc::channel(CAPACITY);
    let entries = Arc::<AtomicUsize>::default();
    let sender = Sender {
        requests: request_sender,
        batches: batch_sender,
        credit: credit_sender,
        entries: Arc::clone(&entries),
    };
    (sender, Queue { requests, held: VecDeque::new(), batches, credit, entries })
}

/// Puts things into the queue. Cloning is cheap.
#[derive(Clone)]
pub(super) struct Sender {
    requests: mpsc::Sender<Request>,
    batches: mpsc::Sender<Reported>,
    credit: mpsc::Sender<CreditRequest>,
    /// Entries of the batches that wait.
    entries: Arc<AtomicUsize>,
}

impl Sender {
    /// Puts a request in.
    ///
    /// # Errors
    /// `Overloaded` if there are too many; `Unavailable` if the queue is closed.
    pub(super) fn request(&self, request: Request) -> Result<(), Error> {
        self.requests.try_send(request).map_err(|refused| refusal(&refused))
    }

    /// Puts a request in that may wait for its place. Whether the queue took it: it is closed otherwise.
    pub(super) async fn request_patiently(&self, request: Request) -> bool {
        self.requests.send(request).await.is_ok()
    }

    /// Puts a batch in.
    ///
    /// # Errors
    /// `Overloaded` if there are too many; `Unavailable` if the queue is closed.
    pub(super) fn report(&self, reported: Reported) -> Result<(), Error> {
        let entries = reported.batch.entries.len();
        let waiting = self.entries.fetch_add(entries, Ordering::Relaxed);
        let result = match waiting > 0 && waiting + entries > WAITING_ENTRIES {
            true => Err(overloaded()),
            false => self.batches.try_send(reported).map_err(|refused| refusal(&refused)),
        };
        if result.is_err() {
            self.entries.fetch_sub(entries, Ordering::Relaxed);
        }
        result
    }

    /// Puts a report about credit in, which waits for its place: a node that reports too much waits with it.
    ///
    /// # Errors
    /// `Unavailable` if the queue is closed.
    pub(super) async fn credit(&self, request: CreditRequest) -> Result<(), Error> {
        self.credit.send(request).await.map_err(|_| shutting_down())
    }

    /// How many requests, batches and reports about credit wait.
    pub(super) fn waiting(&self) -> usize {
        fn of<T>(sender: &mpsc::Sender<T>) -> usize {
            sender.max_capacity() - sender.capacity()
        }
        of(&self.requests) + of(&self.batches) + of(&self.credit)
    }
}

fn refusal<T>(refused: &mpsc::error::TrySendError<T>) -> Error {
    match refused {
        mpsc::error::TrySendError::Full(_) => overloaded(),
        mpsc::error::TrySendError::Closed(_) => shutting_down(),
    }
}

fn overloaded() -> Error {
    Error::Overloaded { what: "too many writes are queued".to_owned(), retry_after: RETRY_AFTER }
}

/// What waits, in the order in which it came.
pub(super) struct Queue {
    requests: mpsc::Receiver<Request>,
    /// Requests that were taken out of `requests` before it was their turn.
    held: VecDeque<Request>,
    batches: mpsc::Receiver<Reported>,
    credit: mpsc::Receiver<CreditRequest>,
    /// Entries of the batches that wait.
    entries: Arc<AtomicUsize>,
}

/// What was taken out of the queue.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) requests: Vec<Request>,
    pub(super) batches: Vec<Reported>,
    pub(super) credit: Vec<CreditRequest>,
}

impl Taken {
    /// Whether there was nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.requests.is_empty() && self.batches.is_empty() && self.credit.is_empty()
    }
}

impl Queue {
    /// Takes a group of each, as soon as there is anything; nothing once the queue is closed and empty. Nothing is lost if
    /// the future is dropped.
    pub(super) async fn take(&mut self) -> Taken {
        let mut taken = Taken::default();
        tokio::select! {
            biased;
            () = std::future::ready(()), if !self.held.is_empty() => taken.requests.extend(self.held.drain(..)),
            // Nothing comes if it is closed; then what is left of the other is taken below.
            _ = self.requests.recv_many(&mut taken.requests, GROUP) => {}
            batch = self.batches.recv() => taken.batches.extend(batch),
            request = self.credit.recv() => taken.credit.extend(request),
        }
        while taken.credit.len() < GROUP
            && let Ok(request) = self.credit.try_recv()
        {
            taken.credit.push(request);
        }
        while taken.requests.len() < GROUP
            && let Ok(request) = self.requests.try_recv()
        {
            taken.requests.push(request);
        }
        let mut entries: usize = taken.batches.iter().map(|reported| reported.batch.entries.len()).sum();
        while entries < ENTRIES
            && taken.batches.len() < GROUP
            && let Ok(reported) = self.batches.try_recv()
        {
            entries += reported.batch.entries.len();
            taken.batches.push(reported);
        }
        self.entries.fetch_sub(entries, Ordering::Relaxed);
        taken
    }

    /// Takes commands, as soon as there are any: such as make a group with `taken` others, and only while nothing else is
    /// waiting that has its turn before them. Nothing is lost if the future is dropped.
    pub(super) async fn take_commands(&mut self, taken: usize) -> Vec<Submitted> {
        let mut commands = Vec::new();
        let mut requests = Vec::new();
        if self.held.is_empty() && self.batches.is_empty() && self.credit.is_empty() && taken < GROUP {
            // Nothing comes if it is closed.
            self.requests.recv_many(&mut requests, GROUP - taken).await;
        }
        for request in requests {
            match request {
                Request::Command(submitted) if self.held.is_empty() => commands.push(submitted),
                other => self.held.push_back(other),
            }
        }
        match commands.is_empty() {
            true => std::future::pending().await,
            false => commands,
        }
    }

    /// Takes nothing in any more. What is in it can be taken still.
    pub(super) fn close(&mut self) {
        self.requests.close();
        self.batches.close();
        self.credit.close();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::ledger::Batch;
    use crate::state::{Context, State};
    use crate::usage::Refusal;

    fn batch(sequence: i64, entries: usize) -> Reported {
        let entries = vec![Err(Refusal(String::new())); entries];
        let (caller, node_id) = ("".into(), "node".into());
        let batch =
            Batch { caller, node_id, incarnation: 1, sequence, fingerprint: [0; 32], entries, credit_used: Vec::new() };
        Reported { batch, prepared: None, reply: oneshot::channel().0 }
    }

    fn request() -> Request {
        Request::CatchUp { reply: oneshot::channel().0 }
    }

    fn sequences(taken: &Taken) -> Vec<i64> {
        taken.batches.iter().map(|reported| reported.batch.sequence).collect()
    }

    #[tokio::test]
    async fn usage_is_taken_in_groups_that_a_request_can_wait_for() {
        let (sender, mut queue) = queue();
        for sequence in 1..=30 {
            sender.report(batch(sequence, ENTRIES / 10)).unwrap();
        }
        sender.report(batch(31, 5 * ENTRIES)).unwrap();
        let first = queue.take().await;
        assert_eq!(sequences(&first), (1..=10).collect::<Vec<_>>());

        sender.request(request()).unwrap();
        let second = queue.take().await;
        assert_eq!((second.requests.len(), sequences(&second)), (1, (11..=20).collect()));
        assert_eq!(sequences(&queue.take().await), (21..=30).collect::<Vec<_>>());
        assert_eq!(sequences(&queue.take().await), [31], "a batch is never split");
    }

    #[tokio::test]
    async fn commands_are_taken_before_their_turn_unless_something_waits_that_has_it_first() {
        fn command(method: &'static str) -> Request {
            let decide = |_: &State, _: &mut Context<'_>| Err(Error::RequestIdReused);
            let command = Command { decide: Box::new(decide), answer: Box::new(|_, _, _| Vec::new()) };
            Request::Command((Call::of(method), command, oneshot::channel().0))
        }
        fn method(request: &Request) -> &'static str {
            match request {
                Request::Command((call, _, _)) => call.method,
                _ => "",
            }
        }
        let (sender, mut queue) = queue();
        for request in [command("a"), command("b"), request(), command("c")] {
            sender.request(request).unwrap();
        }
        let first = queue.take_commands(GROUP - 1).await;
        assert_eq!(first.iter().map(|(call, _, _)| call.method).collect::<Vec<_>>(), ["a"], "as many as fit");
        assert_eq!(queue.take_commands(GROUP).now_or_never().map(|taken| taken.len()), None);
        let second = queue.take_commands(0).await;
        assert_eq!(second.iter().map(|(call, _, _)| call.method).collect::<Vec<_>>(), ["b"]);
        assert_eq!(queue.take_commands(0).now_or_never().map(|taken| taken.len()), None, "a request has its turn");
        sender.request(command("d")).unwrap();
        let rest = queue.take().await;
        assert_eq!(rest.requests.iter().map(method).collect::<Vec<_>>(), ["", "c", "d"]);

        sender.report(batch(1, 1)).unwrap();
        sender.request(command("e")).unwrap();
        assert_eq!(queue.take_commands(0).now_or_never().map(|taken| taken.len()), None, "usage has its turn");
        let rest = queue.take().await;
        assert_eq!((rest.requests.iter().map(method).collect::<Vec<_>>(), sequences(&rest)), (vec!["e"], vec![1]));
        queue.close();
        assert_eq!(queue.take_commands(0).now_or_never().map(|taken| taken.len()), None);
    }

    #[tokio::test]
    async fn what_is_in_a_queue_that_closes_is_taken_still() {
        let (sender, mut queue) = queue();
        for sequence in 1..=20 {
            sender.report(batch(sequence, ENTRIES / 10)).unwrap();
        }
        sender.request(request()).unwrap();
        queue.close();
        assert!(matches!(sender.report(batch(21, 1)), Err(Error::Unavailable { .. })));
        assert!(matches!(sender.request(request()), Err(Error::Unavailable { .. })));
        let first = queue.take().await;
        assert_eq!((first.requests.len(), sequences(&first)), (1, (1..=10).collect()));
        assert_eq!(sequences(&queue.take().await), (11..=20).collect::<Vec<_>>());
        let last = queue.take().await;
        assert!(last.is_empty());
    }

    #[tokio::test]
    async fn a_full_queue_of_usage_still_takes_requests() {
        let (sender, _queue) = queue();
        for sequence in 1..=CAPACITY {
            sender.report(batch(sequence as i64, 0)).unwrap();
        }
        assert!(matches!(sender.report(batch(0, 0)), Err(Error::Overloaded { .. })));
        sender.request(request()).unwrap();
        assert_eq!(sender.waiting(), CAPACITY + 1);
    }

    #[tokio::test]
    async fn batches_wait_as_long_as_they_fit_into_memory() {
        let (sender, mut queue) = queue();
        sender.report(batch(1, 2 * WAITING_ENTRIES)).unwrap();
        assert!(matches!(sender.report(batch(2, 1)), Err(Error::Overloaded { .. })));
        assert_eq!(sequences(&queue.take().await), [1], "any batch fits into an empty queue");
        sender.report(batch(2, WAITING_ENTRIES)).unwrap();
        assert!(matches!(sender.report(batch(3, 1)), Err(Error::Overloaded { .. })));
        assert_eq!(sequences(&queue.take().await), [2]);
        sender.report(batch(3, 1)).unwrap();
        assert_eq!(sequences(&queue.take().await), [3]);
    }
}
