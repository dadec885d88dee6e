//! How far a long command is: a bar for people, and a line of the log now and then where nobody looks on.

use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Between two lines of the log.
const INTERVAL: Duration = Duration::from_secs(10);

/// On standard error, and gone when it is dropped.
pub(super) struct Progress {
    what: &'static str,
    bar: Option<ProgressBar>,
    total: u64,
    told: Instant,
}

impl Progress {
    /// Nothing of `total` is done. `template` is the bar as indicatif writes it.
    pub(super) fn new(what: &'static str, total: u64, template: &str) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(total).with_style(style).with_message(what)
        });
        Self { what, bar, total, told: Instant::now() }
    }

    /// So much is done.
    pub(super) fn reach(&mut self, done: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        } else if self.told.elapsed() >= INTERVAL {
            self.told = Instant::now();
            tracing::info!(done, total = self.total, "{}", self.what);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
