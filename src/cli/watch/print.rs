//! How `tollgate watch` shows the stream: lines for people, or lines of JSON for programs.

use std::error::Error;
use std::io::{self, BufWriter, Stdout, Write};

use jiff::Timestamp;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, ReflectMessage as _};

use super::super::remote::{amount, kind_name, percent};
use crate::proto::FILE_DESCRIPTOR_SET;
use crate::proto::v1::{ConfigResource, WatchConfigResponse, WatchMode, watch_config_response::Event};
use crate::reducer::{Progress, ResourceChange, Summary, View};

/// Fields that change with every change, so that naming them says nothing.
const ALWAYS: [&str; 2] = ["revision", "updated_at"];

/// Writes to standard output.
pub(super) struct Printer<W: Write = BufWriter<Stdout>> {
    out: W,
    json: bool,
    response: MessageDescriptor,
    resource: MessageDescriptor,
}

/// What a line says of the batch that it is about.
#[derive(Clone, Copy, Default)]
pub(super) struct Stamp {
    /// When it was committed; if the message does not say, now.
    time: Timestamp,
    /// The revision that it leads to; 0 for other messages.
    revision: i64,
}

impl Stamp {
    pub(super) fn of(message: &WatchConfigResponse) -> Self {
        let batch = match &message.event {
            Some(Event::Batch(batch)) => Some(batch),
            _ => None,
        };
        let committed = batch.and_then(|batch| batch.commit_time.as_ref());
        let committed = committed.and_then(|time| Timestamp::new(time.seconds, time.nanos).ok());
        Self { time: committed.unwrap_or_else(Timestamp::now), revision: batch.map_or(0, |batch| batch.to_revision) }
    }
}

impl Printer {
    /// For standard output, as JSON or for people.
    pub(super) fn new(json: bool) -> io::Result<Self> {
        Self::to(BufWriter::new(io::stdout()), json)
    }
}

impl<W: Write> Printer<W> {
    /// For any output.
    pub(super) fn to(out: W, json: bool) -> io::Result<Self> {
        let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).map_err(io::Error::other)?;
        let find = |name| pool.get_message_by_name(name).ok_or_else(|| io::Error::other(format!("{name} is missing")));
        let (response, resource) = (find("tollgate.v1.WatchConfigResponse")?, find("tollgate.v1.ConfigResource")?);
        Ok(Self { out, json, response, resource })
    }

    /// Shows a message as it came, if the output is JSON.
    pub(super) fn message(&mut self, message: &WatchConfigResponse) -> io::Result<()> {
        if !self.json {
            return Ok(());
        }
        let mut dynamic = DynamicMessage::new(self.response.clone());
        dynamic.transcode_from(message).map_err(io::Error::other)?;
        serde_json::to_writer(&mut self.out, &dynamic)?;
        writeln!(self.out)?;
        self.out.flush()
    }

    /// Shows what a message brought about, if the output is for people. `state` is the copy after it.
    pub(super) fn progress(&mut self, progress: &Progress, stamp: Stamp, state: &View) -> io::Result<()> {
        if self.json {
            return Ok(());
        }
        let Stamp { time, revision: to } = stamp;
        match progress {
            Progress::Begun { mode, reason, head_revision, without_hashes, .. } => {
                let reason = reason.as_str_name().trim_start_matches("WATCH_REASON_").to_lowercase();
                let how = match mode {
                    WatchMode::Snapshot => format!("snapshot ({reason}) of revision {head_revision}"),
                    WatchMode::Resumed | WatchMode::Unspecified => format!("resumed; the store is at {head_revision}"),
                };
                let hashes = if *without_hashes { ", without hashes of keys (a viewer gets none)" } else { "" };
                eprintln!("tollgate: {how}{hashes}");
            }
            Progress::Pending | Progress::GoAway { .. } => {}
            Progress::Used { limits, .. } => {
                for limit in limits {
                    let (kind, used, max) = (limit.kind(), limit.used, limit.max);
                    let (share, used, max) = (percent(used, max), amount(kind, used), amount(kind, max));
                    let (kind, id) = (kind_name(kind), limit.limit_id.escape_debug());
                    writeln!(self.out, "{time:.3}  {:<9}  usage     {kind:<11}  {id}  {used} of {max}, {share}", "")?;
                }
            }
            Progress::Staged(changes) | Progress::Applied(changes) => {
                for change in changes {
                    self.change(time, change, to)?;
                }
            }
            Progress::Bookmarked { revision, verified, dropped, age } => {
                for change in dropped.iter().flatten() {
                    self.change(time, change, *revision)?;
                }
                let end = if dropped.is_some() { ", end of snapshot" } else { "" };
                let proof = if *verified { ", digests match" } else { "" };
                // Below that it is how often a replica asks.
                let old = age.filter(|age| age.as_secs() > 0);
                let old = old.map(|age| format!(", {} s since the server reached its database", age.as_secs()));
                let (count, old) = (state.len(), old.unwrap_or_default());
                writeln!(self.out, "{time:.3}  r{revision:<8}  bookmark  {count} resources held{proof}{end}{old}")?;
            }
        }
        self.out.flush()
    }

    /// `revision` is for removals, whose own the stream does not tell.
    fn change(&mut self, time: Timestamp, change: &ResourceChange, revision: i64) -> io::Result<()> {
        let ResourceChange { key, before, after } = change;
        let summary = after.as_deref().or(before.as_deref()).and_then(Summary::of);
        let name = summary.as_ref().map(|summary| format!("  {:?}", summary.name)).unwrap_or_default();
        let kind = key.kind().as_str_name().trim_start_matches("RESOURCE_KIND_").to_lowercase();
        let id = key.id.escape_debug();
        let revision = match (after, &summary) {
            (Some(_), Some(summary)) => summary.revision,
            _ => revision,
        };
        let (what, fields) = match (before, after) {
            (_, None) => ("remove", String::new()),
            (None, Some(_)) => ("upsert", String::new()),
            (Some(before), Some(after)) => match self.changed_fields(before, after) {
                Ok(fields) if fields.is_empty() => ("upsert", "  (unchanged)".to_owned()),
                Ok(fields) => ("upsert", format!("  changed: {}", fields.join(", "))),
                Err(error) => return Err(io::Error::other(error)),
            },
        };
        writeln!(self.out, "{time:.3}  r{revision:<8}  {what:<8}  {kind:<11}  {id}{name}{fields}")
    }

    /// The names of the fields in which two states of a resource differ.
    fn changed_fields(
        &self,
        before: &ConfigResource,
        after: &ConfigResource,
    ) -> Result<Vec<String>, Box<dyn Error + Send + Sync>> {
        let stored = |resource: &ConfigResource| -> Result<Option<DynamicMessage>, prost::DecodeError> {
            let mut dynamic = DynamicMessage::new(self.resource.clone());
            dynamic.transcode_from(resource)?;
            Ok(dynamic.fields().next().and_then(|(_, value)| value.as_message().cloned()))
        };
        let (Some(before), Some(after)) = (stored(before)?, stored(after)?) else {
            return Ok(Vec::new());
        };
        Ok(after
            .descriptor()
            .fields()
            .filter(|field| !ALWAYS.contains(&field.name()))
            .filter(|field| {
                before.has_field(field) != after.has_field(field) || before.get_field(field) != after.get_field(field)
            })
            .map(|field| field.name().to_owned())
            .collect())
    }
}
