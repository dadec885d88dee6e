//! Writing a file.

use std::io::{self, Write};

use super::{FORMAT, Fault, line, record};
use crate::domain::Timestamp;
use crate::proto::export::v1::line::Line as Content;
use crate::proto::export::v1::{Header, Line, Trailer};
use crate::store::{Numbering, Snapshot, StoreError};
use crate::wire::timestamp;

/// Why a store cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// It cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It cannot be written down.
    #[error("the export cannot be written: {0}")]
    Write(#[from] io::Error),
    /// A record cannot be rendered.
    #[error("the export cannot be written: a record {0}")]
    Render(Fault),
}

/// Writes everything that `snapshot` holds to `out`, a line at a time, and tells `told` after each how many records there
/// were so far. Returns how many there are.
///
/// # Errors
///
/// If it cannot be read, or not written. What was written then has no trailer, and no import takes it.
pub async fn export(
    snapshot: &Snapshot,
    out: impl Write,
    now: Timestamp,
    mut told: impl FnMut(u64),
) -> Result<u64, ExportError> {
    let mut file = File { out, hasher: blake3::Hasher::new() };
    let (head, numbering) = (snapshot.head(), snapshot.numbering());
    let Numbering { last_config_id, last_incarnation, usage_version } = numbering;
    file.put(Content::Header(Header {
        format_version: FORMAT,
        tollgate_version: env!("CARGO_PKG_VERSION").to_owned(),
        exported_at: Some(timestamp(now)),
        store_id: head.store_id.to_string(),
        revision: head.revision,
        last_config_id,
        last_incarnation,
        usage_version,
        spend_time_zone: snapshot.spend_calendar().map(|it| it.zone.name().to_owned()).unwrap_or_default(),
        spend_joined_until: snapshot.spend_calendar().map(|it| timestamp(it.joined_until)),
    }))?;
    let mut records = 0;
    snapshot
        .read(now, |record| {
            file.write(&record::render(&record))?;
            records += 1;
            told(records);
            Ok::<_, ExportError>(())
        })
        .await?;
    let blake3 = file.hasher.finalize().as_bytes().to_vec().into();
    file.put(Content::Trailer(Trailer { records: i64::try_from(records).unwrap_or(i64::MAX), blake3 }))?;
    file.out.flush()?;
    Ok(records)
}

struct File<W> {
    out: W,
    hasher: blake3::Hasher,
}

impl<W: Write> File<W> {
    fn put(&mut self, content: Content) -> Result<(), ExportError> {
        self.write(&Line { line: Some(content) })
    }

    fn write(&mut self, line: &Line) -> Result<(), ExportError> {
        let mut text = line::encode(line).map_err(ExportError::Render)?;
        text.push('\n');
        self.hasher.update(text.as_bytes());
        Ok(self.out.write_all(text.as_bytes())?)
    }
}
