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
