//! Logs: structured events on standard error. `cli` calls [`init`] once, before anything else logs.
//!
//! Field names are dotted (`call.id`), units are in the names (`duration_ms`). Nothing of a request's or answer's
//! content is ever logged, and of a panic only where it happened, because its text may quote data.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::ops::Range;

use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::span::{self, Attributes, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::settings::{LogFormat, LogSettings};

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is no filter.
    #[error(
        "--log-level {filter:?}: {part:?} is neither a level ({}) nor a part of the program with one, as \
         tollgate::call=warn", LEVELS.map(|(name, _)| name).join(", ")
    )]
    Filter {
        /// What was given.
        filter: String,
        /// The part of it that is wrong.
        part: String,
    },
    /// Another subscriber is in place.
    #[error("logging is set up already")]
    Again(#[from] tracing_subscriber::util::TryInitError),
}

/// Sends the logs of this process to standard error, and the places of panics with them.
///
/// # Errors
///
/// The filter does not parse; or logging was set up before.
pub fn init(settings: LogSettings) -> Result<(), TelemetryError> {
    let LogSettings { format, filter } = settings;
    let registry = tracing_subscriber::registry().with(targets(&filter, format)?);
    match format {
        LogFormat::Json => registry.with(JsonLines(io::stderr)).try_init()?,
        LogFormat::Pretty => {
            let ansi = io::stderr().is_terminal() && colours(|name| std::env::var_os(name));
            registry.with(tracing_subscriber::fmt::layer().with_ansi(ansi).with_writer(io::stderr)).try_init()?;
        }
    }
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        tracing::error!(panic.at = at, thread.name = thread.name().unwrap_or_default(), "a task panicked");
    }));
    Ok(())
}

/// The target of what is logged once, when a server starts: `tollgate serve` tells people the same in three lines.
pub const START: &str = "tollgate::start";
/// The target of the line that says where the history stands.
pub const CHAIN: &str = "tollgate::chain";

const LEVELS: [(&str, LevelFilter); 6] = [
    ("off", LevelFilter::OFF),
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];

/// What `filter` lets through: levels, and parts of the program with theirs, separated by commas. Whatever it does not name
/// is logged from INFO on, but for what programs or people have no use for.
fn targets(filter: &str, format: LogFormat) -> Result<Targets, TelemetryError> {
    let mut rest = LevelFilter::INFO;
    let mut named = Vec::new();
    for part in filter.split(',').map(str::trim) {
        let (target, level) = part.rsplit_once('=').map_or((None, part), |(target, level)| (Some(target), level));
        let level = LEVELS.iter().find(|(name, _)| name.eq_ignore_ascii_case(level));
        match (target, level) {
            (None, Some((_, level))) => rest = *level,
            (Some(target), Some((_, level))) if !target.is_empty() => named.push((target.to_owned(), *level)),
            _ => return Err(TelemetryError::Filter { filter: filter.to_owned(), part: part.to_owned() }),
        }
    }
    let quiet: &[&str] = match format {
        LogFormat::Json => &["sea_orm_migration"],
        LogFormat::Pretty => &["sea_orm_migration", START, CHAIN],
    };
    let quiet = quiet.iter().filter(|_| rest == LevelFilter::INFO).map(|target| (*target, LevelFilter::WARN));
    // Strangers can provoke warnings of HTTP/2 without end, and each outage of a database as many as there are connections: the
    // server says the same itself, once.
    let loud = ["h2", "sqlx_core::pool"].into_iter().filter(|_| rest <= LevelFilter::INFO);
    let loud = loud.map(|target| (target, rest.min(LevelFilter::ERROR)));
    Ok(Targets::new().with_default(rest).with_targets(loud).with_targets(quiet).with_targets(named))
}

/// Whether people want colours: not with `NO_COLOR` (<https://no-color.org>), nor on a terminal that has none.
fn colours(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    variable("NO_COLOR").is_none_or(|value| value.is_empty()) && variable("TERM").is_none_or(|value| value != "dumb")
}

/// One JSON object per event: time, level, target, message, the fields of the event and of the enclosing spans, all on one
/// level. Of two fields with one name the innermost wins. There is a line per call, so values become JSON once, when they
/// are recorded.
struct JsonLines<W>(W);

impl<S, W> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    W: for<'writer> MakeWriter<'writer> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &span::Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        let (now, level) = (jiff::Timestamp::now(), metadata.level().as_str());
        let mut line = Vec::with_capacity(512);
        // What every line has comes first, for people who read it all the same. Nothing here fails: memory takes it all.
        let _ = write!(line, r#"{{"timestamp":"{now:.6}","level":"{level}","target":"#);
        put_json(&mut line, metadata.target());
        line.extend_from_slice(br#","message":"#);
        line.extend_from_slice(fields.get(MESSAGE).unwrap_or(br#""""#));
        let mut written = vec![MESSAGE];
        fields.write(&mut line, &mut written);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(fields) = span.extensions().get::<Fields>() {
                fields.write(&mut line, &mut written);
            }
        }
        line.extend_from_slice(b"}\n");
        // There is nowhere to say that it cannot be written.
        let _ = self.0.make_writer_for(metadata).write_all(&line);
    }
}

const MESSAGE: &str = "message";

/// Fields with their values as JSON, one behind the other in one text.
#[derive(Default)]
struct Fields {
    names: Vec<(&'static str, Range<usize>)>,
    values: Vec<u8>,
}

impl Fields {
    fn get(&self, name: &str) -> Option<&[u8]> {
        let (_, range) = self.names.iter().find(|(other, _)| *other == name)?;
        self.values.get(range.clone())
    }

    fn put(&mut self, field: &Field, value: impl Serialize) {
        let start = self.values.len();
        put_json(&mut self.values, value);
        let (name, range) = (field.name(), start..self.values.len());
        match self.names.iter_mut().find(|(other, _)| *other == name) {
            Some((_, before)) => *before = range,
            None => self.names.push((name, range)),
        }
    }

    /// Appends all but those that are `written` already.
    fn write(&self, line: &mut Vec<u8>, written: &mut Vec<&'static str>) {
        for (name, range) in &self.names {
            if !written.contains(name) {
                written.push(name);
                line.push(b',');
                put_json(line, name);
                line.push(b':');
                line.extend_from_slice(self.values.get(range.clone()).unwrap_or(b"null"));
            }
        }
    }
}

/// Appends a text or number, of which there is none that is no JSON; what is not finite becomes null.
fn put_json(bytes: &mut Vec<u8>, value: impl Serialize) {
    if serde_json::to_writer(&mut *bytes, &value).is_err() {
        bytes.extend_from_slice(b"null");
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format_args!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::{Map, Value};

    use tracing::field;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_filter_is_levels_and_parts_of_the_program_with_levels() {
        let lets =
            |filter: &str, format, target: &str, level| targets(filter, format).unwrap().would_enable(target, &level);
        use tracing::Level;
        for (filter, target, level, expected) in [
            ("info", "tollgate::server", Level::INFO, true),
            ("INFO", "tollgate::server", Level::DEBUG, false),
            ("off", "tollgate::server", Level::ERROR, false),
            ("info,tollgate::call=warn", "tollgate::call", Level::INFO, false),
            ("tollgate::call=warn", "tollgate::server", Level::INFO, true),
            ("warn, tollgate::watch=trace", "tollgate::watch", Level::TRACE, true),
            ("info", "sea_orm_migration::migrator", Level::INFO, false),
            ("debug", "sea_orm_migration::migrator", Level::INFO, true),
            ("info,sea_orm_migration=info", "sea_orm_migration::migrator", Level::INFO, true),
        ] {
            assert_eq!(lets(filter, LogFormat::Json, target, level), expected, "{filter} {target} {level}");
        }
        for target in [START, CHAIN] {
            assert!(
                lets("info", LogFormat::Json, target, Level::INFO)
                    && !lets("info", LogFormat::Pretty, target, Level::INFO)
            );
        }
        for wrong in ["", "inof", "info,", "tollgate::watch", "tollgate::watch=", "tollgate::watch=inof", "=info", "3"]
        {
            let error = targets(wrong, LogFormat::Json).unwrap_err().to_string();
            assert!(error.contains("off, error, warn, info, debug, trace"), "{wrong}: {error}");
        }
    }

    #[test]
    fn colours_are_off_where_they_are_not_wanted() {
        let with = |name: &'static str, value: &'static str| colours(move |it| (it == name).then(|| value.into()));
        assert!(colours(|_| None) && with("NO_COLOR", "") && with("TERM", "xterm"));
        assert!(!with("NO_COLOR", "1") && !with("TERM", "dumb"));
    }

    #[test]
    fn json_lines_are_flat() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::registry().with(JsonLines(move || writer.clone()));
        tracing::subscriber::with_default(subscriber, || {
            let outer = tracing::error_span!("outer", peer.addr = "1.2.3.4", outcome = "of the span");
            let _entered = outer.enter();
            let span = tracing::error_span!("call", rpc.method = "a.B/C", call.id = %"x\"y", actor = field::Empty);
            span.record("actor", "nobody");
            span.record("actor", "token");
            let outcome = "completed";
            span.in_scope(|| {
                tracing::info!(rpc.status = "OK", duration_ms = 1.5, outcome, lag = f64::NAN, "call\nended")
            });
        });
        let written = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let mut line: Map<String, Value> = serde_json::from_str(&written).unwrap();
        assert!(line.remove("timestamp").is_some());
        assert_eq!(
            Value::Object(line),
            serde_json::json!({
                "level": "INFO", "target": "tollgate::telemetry::tests", "message": "call\nended",
                "rpc.method": "a.B/C", "call.id": "x\"y", "actor": "token", "peer.addr": "1.2.3.4",
                "rpc.status": "OK", "duration_ms": 1.5, "outcome": "completed", "lag": null,
            })
        );
        assert_eq!(written.lines().count(), 1);
        assert_eq!(written.matches("outcome").count(), 1, "of two fields with one name the innermost is written");
    }
}
