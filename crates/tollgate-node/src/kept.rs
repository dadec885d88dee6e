//! The copy on disk: what a node knew last, to start from while the control plane is away.
//!
//! The file `copy` is replaced whole, so that a crash leaves the one before. Its bytes have a length and a CRC-32, so that a damaged
//! one is seen. It has hashes and no secrets. Its time of modification is the last time at which the copy was proved.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use prost::Message as _;
use tokio::sync::watch;
use tollgate_core::proto::v1::{ConfigResource, CountedBatches, LimitUsage};
use tollgate_core::reducer::{ConfigCopy, Fold as _};
use tollgate_core::wire::{Form, render_any};

use crate::engine::Engine;
use crate::outbox::private;

/// The first bytes of the file: what it is, and the version of its form.
const MAGIC: &[u8; 8] = b"tgcopy1\n";
/// The magic, the length of the body, and its CRC-32, both little-endian.
const HEAD: usize = 20;
/// The least time between two files. A large one takes long: at most this part of the time is spent on it.
const PAUSE: Duration = Duration::from_secs(1);
const SHARE: u32 = 20;

/// A copy of the configuration, what limits had used, and the batches of the node that are in that usage.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Kept {
    #[prost(int64, tag = "1")]
    pub(crate) revision: i64,
    #[prost(string, tag = "2")]
    pub(crate) resume_token: String,
    #[prost(message, repeated, tag = "3")]
    pub(crate) resources: Vec<ConfigResource>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) usage: Vec<LimitUsage>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) counted: Vec<CountedBatches>,
}

/// Why a file is no copy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoCopy {
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("it is damaged")]
    Damaged,
    #[error("it is of another version of the node")]
    Version,
}

impl Kept {
    /// The copy in a directory, and when it was proved last; `None` if there is none.
    pub(crate) fn read(directory: &Path) -> Result<Option<(Self, SystemTime)>, NoCopy> {
        let mut file = match File::open(path(directory)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let proved = file.metadata()?.modified()?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(Some((Self::from_bytes(&bytes)?, proved)))
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, NoCopy> {
        let (head, body) = bytes.split_at_checked(HEAD).ok_or(NoCopy::Damaged)?;
        let (magic, sums) = head.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(if magic.starts_with(b"tgcopy") { NoCopy::Version } else { NoCopy::Damaged });
        }
        if sums != sums_of(body) {
            return Err(NoCopy::Damaged);
        }
        Self::decode(body).map_err(|_| NoCopy::Damaged)
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; HEAD];
        // A vector takes whatever is written to it.
        let _ = self.encode(&mut bytes);
        let sums = sums_of(&bytes[HEAD..]);
        bytes[..MAGIC.len()].copy_from_slice(MAGIC);
        bytes[MAGIC.len()..HEAD].copy_from_slice(&sums);
        bytes
    }

    fn write(&self, directory: &Path, proved: SystemTime) -> io::Result<()> {
        let draft = directory.join("copy.draft");
        let mut file = private().truncate(true).open(&draft)?;
        file.write_all(&self.to_bytes())?;
        file.set_modified(proved)?;
        file.sync_all()?;
        fs::rename(&draft, path(directory))?;
        File::open(directory)?.sync_all()
    }
}

fn path(directory: &Path) -> PathBuf {
    directory.join("copy")
}

fn sums_of(body: &[u8]) -> [u8; HEAD - MAGIC.len()] {
    let mut sums = [0; HEAD - MAGIC.len()];
    let (length, crc) = sums.split_at_mut(8);
    length.copy_from_slice(&u64::try_from(body.len()).unwrap_or(u64::MAX).to_le_bytes());
    crc.copy_from_slice(&crc32fast::hash(body).to_le_bytes());
    sums
}

/// The copy that is to be on the disk.
#[derive(Clone)]
pub(crate) struct Proved {
    pub(crate) copy: Arc<ConfigCopy>,
    pub(crate) resume_token: String,
    pub(crate) usage: Vec<LimitUsage>,
    pub(crate) counted: Vec<CountedBatches>,
    /// How often what is told of usage has changed.
    pub(crate) usage_version: u64,
    /// When it was proved.
    pub(crate) at: SystemTime,
}

impl Proved {
    fn kept(&self) -> Kept {
        let resources = self.copy.all();
        Kept {
            revision: self.copy.revision,
            resume_token: self.resume_token.clone(),
            resources: resources.iter().map(|(_, resource)| render_any(resource, Form::Stream)).collect(),
            usage: self.usage.clone(),
            counted: self.counted.clone(),
        }
    }
}

/// Writes what is proved, one after the other, and never more than is worth it.
pub(crate) struct Keeper {
    pub(crate) directory: PathBuf,
    pub(crate) engine: Arc<Engine>,
    pub(crate) proved: watch::Receiver<Option<Proved>>,
    /// The revision and the usage that are on the disk: where they are as before, only the time of the file changes.
    written: Option<(i64, u64)>,
    said: String,
    /// Held while the file is written: who stops waiting for that does not stop it.
    writing: Arc<Mutex<()>>,
}

impl Keeper {
    pub(crate) fn new(directory: PathBuf, engine: Arc<Engine>, proved: watch::Receiver<Option<Proved>>) -> Self {
        Self { directory, engine, proved, written: None, said: String::new(), writing: Arc::default() }
    }

    /// Goes on until nobody proves anything any more.
    pub(crate) async fn run(&mut self) {
        while self.proved.changed().await.is_ok() {
            let took = self.write().await;
            tokio::time::sleep(PAUSE.max(took * SHARE)).await;
        }
    }

    /// Writes what was proved last, if it is not on the disk. How long that took.
    pub(crate) async fn write(&mut self) -> Duration {
        let started = Instant::now();
        let Some(proved) = self.proved.borrow_and_update().clone() else { return Duration::ZERO };
        let (directory, version) = (self.directory.clone(), (proved.copy.revision, proved.usage_version));
        let is_written = self.written == Some(version);
        let counted = proved.counted.clone();
        let writing = Arc::clone(&self.writing);
        // The directory stays this node's as long as something is written there.
        let engine = Arc::clone(&self.engine);
        let written = tokio::task::spawn_blocking(move || {
            let _engine = engine;
            let _alone = writing.lock().unwrap_or_else(PoisonError::into_inner);
            if is_written {
                File::open(path(&directory))?.set_modified(proved.at)
            } else {
                proved.kept().write(&directory, proved.at)
            }
        });
        match written.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(()) => {
                self.written = Some(version);
                self.said.clear();
                self.engine.kept(&counted);
            }
            Err(error) => {
                self.written = None;
                let why = error.to_string();
                if why != self.said {
                    tracing::warn!(%why, "the copy of the configuration cannot be kept on the disk; trying again");
                    self.said = why;
                }
            }
        }
        started.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Kept {
        let usage = (0..5).map(|used| LimitUsage { limit_id: format!("limit {used}"), used, ..Default::default() });
        Kept { revision: 7, resume_token: "resume".to_owned(), usage: usage.collect(), ..Kept::default() }
    }

    #[test]
    fn a_copy_that_was_cut_or_damaged_anywhere_is_none() {
        let whole = kept().to_bytes();
        assert_eq!(Kept::from_bytes(&whole).unwrap(), kept());
        for end in 0..whole.len() {
            assert!(Kept::from_bytes(&whole[..end]).is_err(), "cut at {end}");
        }
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << bit;
                assert!(Kept::from_bytes(&bytes).is_err(), "bit {bit} of byte {at}");
            }
        }
        let longer = [whole.clone(), vec![0]].concat();
        assert!(matches!(Kept::from_bytes(&longer), Err(NoCopy::Damaged)));
        let other = [b"tgcopy2\n", &whole[8..]].concat();
        assert!(matches!(Kept::from_bytes(&other), Err(NoCopy::Version)));
    }
}
