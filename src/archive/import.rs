//! Reading a file into an empty store.

use std::io::{self, BufRead, Read as _};

use super::line::REMEDY;
use super::{FORMAT, Fault, line, record};
use crate::domain::{Error, Path, Violations};
use crate::ledger::{self, Import};
use crate::proto::export::v1::line::Line as Content;
use crate::proto::export::v1::{Header, Line, Trailer};
use crate::store::{Numbering, Store, StoreError};
use crate::usage::{SpendCalendar, SpendZone};
use crate::wire::parse_timestamp;

/// The longest line: more than any record has, and little enough to be held in memory.
const MAX_LINE_BYTES: u64 = 64 * 1024 * 1024;

/// Why a file cannot be imported. The store is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The store holds something.
    #[error(
        "the database is not empty; import into a new one, that no server was started on: a server writes as soon as it \
         starts"
    )]
    NotEmpty,
    /// A line is not as it should be.
    #[error("line {line}: {fault}")]
    Line {
        /// Its number, from 1.
        line: u64,
        /// Where on it, what is wrong, and what to do about it.
        fault: Fault,
    },
    /// The file cannot be read.
    #[error("the export cannot be read: {0}")]
    Read(#[from] io::Error),
    /// The store cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was imported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Imported {
    /// How many records.
    pub records: u64,
    /// The revision that the store is at.
    pub revision: i64,
}

/// Fills `store` with what `input` has, and tells `told` after each line how many bytes were read. Either all of it is there
/// in the end, or nothing.
///
/// # Errors
///
/// [`ImportError`]; only after [`StoreError::Unknown`] it is open whether all of it is there.
pub async fn import(store: &Store, input: impl BufRead, mut told: impl FnMut(u64)) -> Result<Imported, ImportError> {
    let mut lines =
        Lines { input, format: FORMAT, text: Vec::new(), number: 0, bytes: 0, hasher: blake3::Hasher::new() };
    let header = lines.header()?;
    let numbering = Numbering {
        last_config_id: header.last_config_id,
        last_incarnation: header.last_incarnation,
        usage_version: header.usage_version,
    };
    let spend_calendar = lines.spend_calendar(&header)?;
    let mut into = Import::begin(store, numbering, spend_calendar).await?.ok_or(ImportError::NotEmpty)?;
    match fill(&mut into, &mut lines, &mut told).await {
        Ok(records) => Ok(Imported { records, revision: into.commit().await? }),
        Err(error) => {
            into.rollback().await;
            Err(error)
        }
    }
}

/// Adds every record, and makes sure that the file is whole.
async fn fill<R: BufRead>(
    into: &mut Import,
    lines: &mut Lines<R>,
    told: &mut impl FnMut(u64),
) -> Result<u64, ImportError> {
    let mut records = 0;
    loop {
        let before = lines.hasher.finalize();
        let Some(found) = lines.next()? else {
            lines.number += 1;
            return lines.fault("is missing: the file ends before its trailer; it was cut off, export again");
        };
        told(lines.bytes);
        match found.line {
            Some(Content::Trailer(trailer)) => {
                lines.end(&trailer, records, before)?;
                return Ok(records);
            }
            Some(content) => {
                let mut violations = Violations::new();
                let Some(record) = record::parse(content.clone(), &mut violations) else {
                    return lines.fault(Fault::from(violations));
                };
                let rendered = record::render(&record);
                match line::difference(&Line { line: Some(content) }, &rendered) {
                    Ok(None) => {}
                    Ok(Some(field)) => {
                        return lines.fault(format!("{field}: is not as an export has it; {REMEDY}"));
                    }
                    Err(fault) => return lines.fault(fault),
                }
                match into.add(record).await {
                    Ok(()) => {}
                    Err(ledger::ImportError::Record(error)) => return lines.fault(refusal(error)),
                    Err(ledger::ImportError::Store(error)) => return Err(error.into()),
                }
                records += 1;
            }
            None => return lines.fault("is empty, or of a kind that this version does not know"),
        }
    }
}

/// All that is wrong with a record.
fn refusal(error: Error) -> Fault {
    match error {
        Error::Invalid(violations) => violations.into(),
        Error::MissingReferences(missing) => {
            let all = missing.iter().map(|it| {
                let hint = it.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
                format!("{}: there is no {} {:?} on the lines before{hint}", it.field, it.what, it.id)
            });
            Fault(all.collect::<Vec<_>>().join("; "))
        }
        Error::AlreadyExists { field, holder } => {
            Fault(format!("{field}: is a duplicate: {holder}, on a line before, has the same"))
        }
        other => Fault(other.to_string()),
    }
}

struct Lines<R> {
    input: R,
    /// As the header has it.
    format: i32,
    text: Vec<u8>,
    /// The number of the line that was read last.
    number: u64,
    bytes: u64,
    /// Of all lines that were read.
    hasher: blake3::Hasher,
}

impl<R: BufRead> Lines<R> {
    fn fault<T>(&self, fault: impl Into<Fault>) -> Result<T, ImportError> {
        Err(ImportError::Line { line: self.number, fault: fault.into() })
    }

    /// Reads a line; whether there is one.
    fn read(&mut self) -> Result<bool, ImportError> {
        self.text.clear();
        let read = (&mut self.input).take(MAX_LINE_BYTES).read_until(b'\n', &mut self.text)?;
        if read == 0 {
            return Ok(false);
        }
        self.number += 1;
        self.bytes += read as u64;
        self.hasher.update(&self.text);
        match self.text.ends_with(b"\n") {
            true => Ok(true),
            false if self.text.len() as u64 == MAX_LINE_BYTES => self.fault("is longer than any line of an export"),
            false => self.fault("has no end: the file was cut off, export again"),
        }
    }

    fn next(&mut self) -> Result<Option<Line>, ImportError> {
        if !self.read()? {
            return Ok(None);
        }
        line::decode(&self.text, self.format).map(Some).or_else(|fault| self.fault(fault))
    }

    /// The first line.
    fn header(&mut self) -> Result<Header, ImportError> {
        const NONE: &str = "is no header; is this a file that `tollgate export` wrote?";
        if !self.read()? {
            self.number = 1;
            return self.fault(NONE);
        }
        // What a later format has more must not hide that it is one.
        let Ok(Line { line: Some(Content::Header(Header { format_version, tollgate_version, .. })) }) =
            line::decode_known(&self.text)
        else {
            return self.fault(NONE);
        };
        if !(1..=FORMAT).contains(&format_version) {
            return self.fault(format!(
                "header.format_version: is {format_version}, and this version of tollgate knows 1 to {FORMAT} only; import \
                 with the version that wrote it ({tollgate_version:?}), or a later one"
            ));
        }
        self.format = format_version;
        match line::decode(&self.text, format_version) {
            Ok(Line { line: Some(Content::Header(header)) }) => {
                let Header { last_config_id, last_incarnation, usage_version, .. } = header;
                match [last_config_id, last_incarnation, usage_version].iter().all(|number| *number >= 0) {
                    true => Ok(header),
                    false => self.fault(format!("header: has a negative number; {REMEDY}")),
                }
            }
            Ok(_) => self.fault(NONE),
            Err(fault) => self.fault(fault),
        }
    }

    /// How the exported store kept spend; `None` if no server had started on it.
    fn spend_calendar(&self, header: &Header) -> Result<Option<SpendCalendar>, ImportError> {
        let Some(joined_until) = &header.spend_joined_until else { return Ok(None) };
        let mut violations = Violations::new();
        let joined_until = parse_timestamp(joined_until, &Path::root("header.spend_joined_until"), &mut violations);
        let zone = SpendZone::named(&header.spend_time_zone);
        if zone.is_none() {
            violations.add("header.spend_time_zone", "is no time zone that this version knows");
        }
        match zone.zip(joined_until) {
            Some((zone, joined_until)) => Ok(Some(SpendCalendar { zone, joined_until })),
            None => self.fault(Fault::from(violations)),
        }
    }

    /// Whether the file is what was written, and ends here. `before` is the hash of the lines before the trailer.
    fn end(&mut self, trailer: &Trailer, records: u64, before: blake3::Hash) -> Result<(), ImportError> {
        if u64::try_from(trailer.records) != Ok(records) {
            let text = format!("is {}, but {records} stand before it; export again", trailer.records);
            return self.fault(format!("trailer.records: {text}"));
        }
        if trailer.blake3.as_ref() != before.as_bytes() {
            return self.fault("trailer.blake3: is not that of the lines before; the file was changed, export again");
        }
        match self.read()? {
            true => self.fault("stands after the trailer; the file was changed, export again"),
            false => Ok(()),
        }
    }
}
