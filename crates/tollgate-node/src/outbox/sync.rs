//! The thread that brings what was written to the disk: one `fsync` for all who wait.

use std::fs::File;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// How far the disk has what was written, in bytes since the start.
#[derive(Clone, Default)]
pub(super) struct Synced {
    pub(super) to: u64,
    /// How often it failed, and why it did last.
    pub(super) failures: u64,
    pub(super) why: String,
}

#[derive(Default)]
struct Wanted {
    to: u64,
    file: Option<Arc<File>>,
    is_over: bool,
}

pub(super) struct Syncer {
    wanted: Arc<(Mutex<Wanted>, Condvar)>,
    synced: watch::Sender<Synced>,
}

impl Syncer {
    pub(super) fn start() -> io::Result<Self> {
        let wanted: Arc<(Mutex<Wanted>, Condvar)> = Arc::default();
        let synced = watch::Sender::new(Synced::default());
        let (asked, tell) = (Arc::clone(&wanted), synced.clone());
        std::thread::Builder::new().name("outbox".to_owned()).spawn(move || run(&asked, &tell))?;
        Ok(Self { wanted, synced })
    }

    /// Asks for all that was written to `file` until now, which is up to `to`.
    pub(super) fn want(&self, file: Arc<File>, to: u64) {
        let mut wanted = lock(&self.wanted.0);
        if to > wanted.to {
            (wanted.to, wanted.file) = (to, Some(file));
            self.wanted.1.notify_one();
        }
    }

    /// Notes that all up to `to` is on the disk.
    pub(super) fn reached(&self, to: u64) {
        self.synced.send_modify(|synced| synced.to = synced.to.max(to));
    }

    pub(super) fn synced(&self) -> watch::Receiver<Synced> {
        self.synced.subscribe()
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        lock(&self.wanted.0).is_over = true;
        self.wanted.1.notify_one();
    }
}

fn lock(wanted: &Mutex<Wanted>) -> MutexGuard<'_, Wanted> {
    // Nothing in it can be half done.
    wanted.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run((wanted, changed): &(Mutex<Wanted>, Condvar), synced: &watch::Sender<Synced>) {
    loop {
        let (file, to) = {
            let mut wanted = lock(wanted);
            loop {
                match wanted.file.take() {
                    Some(file) => break (file, wanted.to),
                    None if wanted.is_over => return,
                    None => wanted = changed.wait(wanted).unwrap_or_else(PoisonError::into_inner),
                }
            }
        };
        let result = file.sync_data();
        synced.send_modify(|synced| match &result {
            Ok(()) => synced.to = synced.to.max(to),
            Err(error) => {
                synced.failures += 1;
                synced.why = error.to_string();
            }
        });
        if result.is_err() {
            // Whoever waits has heard; what is asked for again is tried again.
            lock(wanted).to = synced.borrow().to;
        }
    }
}
