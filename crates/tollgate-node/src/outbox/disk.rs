//! The file of an outbox: `outbox-N.log` in the node's directory. It is appended to; when it has grown, a new one with a
//! greater number takes its place, written whole before it is there. `lock` keeps a second process out.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::record::{self, Record};

/// Why a node's directory cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DirectoryError {
    /// Another process has it.
    #[error("{directory} is in use by another node; give each node a directory of its own (data_dir)")]
    InUse {
        /// The directory.
        directory: String,
    },
    /// It cannot be read or written.
    #[error("{directory} cannot be used: {why}; the node keeps usage there until it is counted")]
    Unusable {
        /// The directory.
        directory: String,
        /// What the system says.
        why: String,
    },
}

pub(super) struct Disk {
    directory: PathBuf,
    number: u64,
    file: Arc<File>,
    length: u64,
    /// Where a failed write could not be taken back, or what was written may not be on the disk: only a new file is sure.
    is_spoilt: bool,
    _lock: File,
}

impl Disk {
    /// Opens the directory, which is made if it is not there. Its records, and whether a write was cut.
    pub(super) fn open(directory: &Path) -> Result<(Self, Vec<Record>, bool), DirectoryError> {
        let unusable = |error: io::Error| DirectoryError::Unusable {
            directory: directory.display().to_string(),
            why: error.to_string(),
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(unusable)?;
        let lock = private().truncate(false).open(directory.join("lock")).map_err(unusable)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => DirectoryError::InUse { directory: directory.display().to_string() },
            TryLockError::Error(error) => unusable(error),
        })?;
        let mut numbers = numbers(directory).map_err(unusable)?;
        let Some(number) = numbers.pop() else {
            let (file, length) = begin(directory, 1, &[]).map_err(unusable)?;
            let disk = Self { directory: directory.to_owned(), number: 1, file, length, is_spoilt: false, _lock: lock };
            return Ok((disk, Vec::new(), false));
        };
        let path = path(directory, number);
        let bytes = fs::read(&path).map_err(unusable)?;
        let (records, whole) = record::read(&bytes);
        let is_cut = whole < bytes.len();
        let file = OpenOptions::new().append(true).open(&path).map_err(unusable)?;
        let length = u64::try_from(whole).unwrap_or(u64::MAX);
        if is_cut {
            file.set_len(length).map_err(unusable)?;
            file.sync_all().map_err(unusable)?;
        }
        // Those before it were replaced by it.
        for older in numbers {
            fs::remove_file(self::path(directory, older)).map_err(unusable)?;
        }
        let file = Arc::new(file);
        let disk = Self { directory: directory.to_owned(), number, file, length, is_spoilt: false, _lock: lock };
        Ok((disk, records, is_cut))
    }

    /// Bytes in the file.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    pub(super) fn is_spoilt(&self) -> bool {
        self.is_spoilt
    }

    pub(super) fn spoil(&mut self) {
        self.is_spoilt = true;
    }

    /// Appends. After an error, the file has what it had before, or is spoilt.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = (&*self.file).write_all(bytes);
        match written {
            Ok(()) => self.length += u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            Err(_) => self.is_spoilt |= self.file.set_len(self.length).is_err(),
        }
        written
    }

    /// Puts a new file in the place of this one. It is on the disk when this returns.
    pub(super) fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (file, length) = begin(&self.directory, self.number + 1, bytes)?;
        let older = path(&self.directory, self.number);
        (self.file, self.length, self.is_spoilt) = (file, length, false);
        self.number += 1;
        // Where it stays, the next start removes it.
        let _ = fs::remove_file(older);
        Ok(())
    }
}

/// A file that the node's user alone may read.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}

fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("outbox-{number}.log"))
}

/// The numbers of the files, in order.
fn numbers(directory: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("outbox-")?.strip_suffix(".log"));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// A new file, which is there whole or not at all.
fn begin(directory: &Path, number: u64, bytes: &[u8]) -> io::Result<(Arc<File>, u64)> {
    let draft = directory.join("outbox.draft");
    let mut file = private().truncate(true).open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    let path = path(directory, number);
    fs::rename(&draft, &path)?;
    File::open(directory)?.sync_all()?;
    let file = OpenOptions::new().append(true).open(&path)?;
    Ok((Arc::new(file), u64::try_from(bytes.len()).unwrap_or(u64::MAX)))
}
