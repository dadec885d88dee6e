//! Logs: structured events on standard error. `cli` calls [`init`] once, before anything else logs.
//!
//! Field names are dotted (`call.id`), units are in the names (`duration_ms`). Nothing of a request's or answer's
//! content is ever logged, and of a panic only where it happened, because its text may quote data.

use std::fmt;
use std::io::{self, IsTerminal as _};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{LogFormat, LogSettings};

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is no filter.
    #[error("--log-level {filter:?} is neither a level (error, warn, info, debug, trace) nor a list of directives")]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
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
    let filter = EnvFilter::builder()
        .parse(&filter)
        .map_err(|source| TelemetryError::Filter { filter, source })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    match format {
        LogFormat::Json => builder
            .fmt_fields(JsonFields::new())
            .event_format(FlatJson)
            .finish()
            .try_init()?,
        LogFormat::Pretty => builder.with_ansi(io::stderr().is_terminal()).finish().try_init()?,
    }
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        tracing::error!(
            panic.at = at,
            thread.name = thread.name().unwrap_or_default(),
            "a task panicked"
        );
    }));
    Ok(())
}

/// One JSON object per event: time, level, target, message, the fields of the enclosing spans and of the event, all on
/// one level. Of two fields with one name the innermost wins.
struct FlatJson;

impl<S, N> FormatEvent<S, N> for FlatJson
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Map::new();
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(formatted) = span.extensions().get::<FormattedFields<N>>()
                && let Ok(Value::Object(of_span)) = serde_json::from_str(&formatted.fields)
            {
                fields.extend(of_span);
            }
        }
        event.record(&mut Flat(&mut fields));

        // What every line has comes first, for people who read it all the same.
        let metadata = event.metadata();
        let message = fields.remove("message").unwrap_or_default();
        let (level, target) = (metadata.level().as_str(), Value::from(metadata.target()));
        let now = jiff::Timestamp::now();
        write!(
            writer,
            r#"{{"timestamp":"{now:.6}","level":"{level}","target":{target},"message":{message}"#
        )?;
        for (name, value) in fields {
            write!(writer, ",{}:{value}", Value::from(name))?;
        }
        writeln!(writer, "}}")
    }
}

struct Flat<'a>(&'a mut Map<String, Value>);

impl Visit for Flat<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn json_lines_are_flat() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .fmt_fields(JsonFields::new())
            .event_format(FlatJson)
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::error_span!("call", rpc.method = "a.B/C", call.id = %"x\"y");
            span.in_scope(|| tracing::info!(rpc.status = "OK", duration_ms = 1.5, "call\nended"));
        });
        let written = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let mut line: Map<String, Value> = serde_json::from_str(&written).unwrap();
        assert!(line.remove("timestamp").is_some());
        assert_eq!(
            Value::Object(line),
            serde_json::json!({
                "level": "INFO", "target": "tollgate::telemetry::tests", "message": "call\nended",
                "rpc.method": "a.B/C", "call.id": "x\"y", "rpc.status": "OK", "duration_ms": 1.5,
            })
        );
        assert_eq!(written.lines().count(), 1);
    }
}
