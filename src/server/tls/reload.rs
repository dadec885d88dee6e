//! Follows the files: what tools that renew certificates write is used from the next handshake on. Connections that are
//! open go on as they are, but those of clients whose certificates would not be let in any more.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::files::{Config, Contents, TlsError};
use crate::settings::TlsSettings;

/// How often the files are read. They are small, and certificates are renewed long before they end.
const INTERVAL: Duration = Duration::from_secs(2);

/// What was seen of the files.
pub(in crate::server) struct Reload {
    settings: TlsSettings,
    current: watch::Sender<Arc<Config>>,
    /// What `current` was made of.
    used: blake3::Hash,
    /// What failed at the last look, if it did.
    failed: Option<Failed>,
}

/// Two files are seldom replaced in one instant, so a pair that does not fit is a fault only if it is still there at the
/// next look.
struct Failed {
    /// `None` if they could not be read.
    fingerprint: Option<blake3::Hash>,
    reported: bool,
}

impl Reload {
    pub(super) fn new(settings: TlsSettings, current: watch::Sender<Arc<Config>>, used: blake3::Hash) -> Self {
        Self { settings, current, used, failed: None }
    }

    /// Looks at the files again and again, until it is dropped.
    pub(in crate::server) async fn follow(mut self) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            // File systems block, and those of secrets may be far away.
            let looked = tokio::task::spawn_blocking(move || (self.look(), self));
            match looked.await {
                Ok((look, reload)) => {
                    look.log();
                    self = reload;
                }
                Err(error) => {
                    tracing::error!(error = %error, "the TLS certificate files are no longer followed; restart");
                    return std::future::pending().await;
                }
            }
        }
    }

    /// Reads the files, and uses what is in them if it has changed and can be used.
    pub(super) fn look(&mut self) -> Look {
        let contents = match Contents::read(&self.settings) {
            Ok(contents) => contents,
            Err(error) => return self.fail(None, error),
        };
        let fingerprint = contents.fingerprint();
        if fingerprint == self.used {
            self.failed = None;
            return Look::Nothing;
        }
        match contents.config(&self.settings) {
            Ok(config) => {
                self.current.send_replace(Arc::new(config));
                self.used = fingerprint;
                self.failed = None;
                Look::Changed
            }
            Err(error) => self.fail(Some(fingerprint), error),
        }
    }

    fn fail(&mut self, fingerprint: Option<blake3::Hash>, error: TlsError) -> Look {
        match &mut self.failed {
            Some(failed) if failed.fingerprint == fingerprint => {
                if std::mem::replace(&mut failed.reported, true) {
                    Look::Nothing
                } else {
                    Look::Broken(error)
                }
            }
            _ => {
                self.failed = Some(Failed { fingerprint, reported: false });
                Look::Nothing
            }
        }
    }
}

/// What a look has found.
#[derive(Debug)]
pub(super) enum Look {
    /// Nothing that is new, or that is certain.
    Nothing,
    /// Files that are used from now on.
    Changed,
    /// Files that cannot be used.
    Broken(TlsError),
}

impl Look {
    fn log(self) {
        match self {
            Self::Nothing => {}
            Self::Changed => {
                tracing::info!("the TLS certificate files changed: new connections use what is in them now");
            }
            Self::Broken(error) => tracing::error!(
                error = %error,
                "the TLS certificate files changed and cannot be used; new connections get what was there before. Put a \
                 certificate and its key in place; there is no need to restart"
            ),
        }
    }
}
