//! The connections of nodes to this replica, and what waits to be sent on each.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::credit::{Book, Directive};

/// Directives that may wait for a client to take them; a connection with more is ended.
const WAITING: usize = 1_024;

/// Where directives to one connection go. Cloning shares it.
#[derive(Clone)]
pub struct Outbox {
    sender: mpsc::Sender<Directive>,
    ended: CancellationToken,
    /// Of the last welcome; 0 before it.
    session: Arc<AtomicI64>,
}

/// The directives to one connection, to be sent.
pub struct Directives {
    receiver: mpsc::Receiver<Directive>,
    ended: CancellationToken,
}

/// An outbox, empty and open, and its other end.
pub fn outbox() -> (Outbox, Directives) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let ended = CancellationToken::new();
    (Outbox { sender, ended: ended.clone(), session: Arc::default() }, Directives { receiver, ended })
}

impl Directives {
    /// The directives that wait, as soon as there is one; none once the connection is to end.
    pub async fn next(&mut self) -> Vec<Directive> {
        let mut directives = Vec::new();
        tokio::select! {
            biased;
            () = self.ended.cancelled() => {}
            _ = self.receiver.recv_many(&mut directives, WAITING) => {}
        }
        directives
    }
}

impl Outbox {
    /// Sends a directive. A client that does not take them, or is gone, loses its connection: it says hello anew then, and is
    /// told where it stands.
    pub(super) fn send(&self, directive: Directive) {
        if let Directive::Welcome { session, .. } = directive {
            self.session.store(session, Ordering::Relaxed);
        }
        if self.sender.try_send(directive).is_err() {
            self.end();
        }
    }

    /// Ends the connection.
    pub(super) fn end(&self) {
        self.ended.cancel();
    }

    fn is_over(&self) -> bool {
        self.ended.is_cancelled() || self.sender.is_closed()
    }
}

/// The connections, by incarnation.
#[derive(Default)]
pub(super) struct Sessions(HashMap<i64, Outbox>);

impl Sessions {
    /// Takes the connection of an incarnation, in place of one that it had.
    pub(super) fn begin(&mut self, incarnation: i64, outbox: Outbox) {
        if let Some(before) = self.0.insert(incarnation, outbox) {
            before.end();
        }
    }

    pub(super) fn has(&self, incarnation: i64) -> bool {
        self.0.get(&incarnation).is_some_and(|outbox| !outbox.is_over())
    }

    /// Sends a directive to an incarnation, if it is connected here.
    pub(super) fn send(&self, incarnation: i64, directive: Directive) {
        if let Some(outbox) = self.0.get(&incarnation) {
            outbox.send(directive);
        }
    }

    /// Tells those whose session is over, since another replica began another, or closed the incarnation, or the store is
    /// another one.
    pub(super) fn compare(&mut self, book: &Book) {
        self.0.retain(|incarnation, outbox| {
            let session = outbox.session.load(Ordering::Relaxed);
            let over = match book.node(*incarnation) {
                Some(node) if node.is_closed => Directive::Closed,
                Some(node) if node.session == session => return !outbox.is_over(),
                Some(_) | None => Directive::Stale { session },
            };
            outbox.send(over);
            false
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_client_that_takes_nothing_loses_its_connection_and_gets_what_waits_in_order() {
        let (outbox, mut directives) = outbox();
        let stale = |session| Directive::Stale { session };
        outbox.send(stale(1));
        outbox.send(stale(2));
        assert_eq!(directives.next().await, [stale(1), stale(2)]);
        for session in 0..WAITING as i64 {
            outbox.send(stale(session));
        }
        assert!(!outbox.is_over());
        outbox.send(stale(0));
        assert!(outbox.is_over());
        assert_eq!(directives.next().await, []);
    }

    #[tokio::test]
    async fn another_connection_of_an_incarnation_ends_the_one_before() {
        let mut sessions = Sessions::default();
        let [(first, mut told), (second, mut heard)] = [outbox(), outbox()];
        sessions.begin(1, first);
        sessions.begin(1, second);
        assert_eq!(told.next().await, []);
        sessions.send(1, Directive::Closed);
        assert_eq!(heard.next().await, [Directive::Closed]);
        assert!(sessions.has(1) && !sessions.has(2));
        // Of an incarnation that the book does not know, the session is over.
        sessions.compare(&Book::default());
        assert_eq!(heard.next().await, [Directive::Stale { session: 0 }]);
        assert!(!sessions.has(1));
    }
}
