//! Typed settings. `cli` fills them from flags and the environment; `server` and `telemetry` take them apart field by
//! field, so that a setting without a use does not compile. The defaults are those of the flags.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// All that a server needs to know.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// Where the store is.
    pub database: DatabaseSettings,
    /// A file to write the address to once the server answers calls, and to remove when it stops.
    pub ready_file: Option<PathBuf>,
    /// How connections and calls are taken.
    pub transport: TransportSettings,
    /// How watch streams are served.
    pub watch: WatchSettings,
    /// What history is kept.
    pub retention: RetentionSettings,
    /// How spend is kept.
    pub spend: SpendSettings,
    /// How credit of hard limits is given.
    pub credit: CreditSettings,
    /// Who may call.
    pub access: AccessSettings,
    /// Where webhooks may lead.
    pub webhooks: WebhookSettings,
}

/// Where webhooks may lead.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct WebhookSettings {
    /// Whether to private addresses too, and by `http`.
    pub allow_private: bool,
}

/// Who may call.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct AccessSettings {
    /// Whether everybody who reaches the server is an administrator, whatever tokens there are.
    pub insecure: bool,
    /// The first token of a store that never had one.
    pub bootstrap_token: Option<BootstrapToken>,
}

/// The value of a token that an operator chose. It is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct BootstrapToken(pub String);

impl fmt::Debug for BootstrapToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BootstrapToken(…)")
    }
}

/// Where the store is.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseSettings {
    /// `sqlite://PATH` or `postgres://USER:PASSWORD@HOST:PORT/DATABASE`. Never shown: there may be a password in it.
    pub url: String,
    /// Whether the store is in memory, for tests, and nothing is left of it; the URL says nothing then.
    pub in_memory: bool,
    /// Connections to PostgreSQL at most; at least 4. SQLite has a number of its own.
    pub connections: u32,
    /// Whether a new store begins with the prices of the table that comes with the program.
    pub default_prices: bool,
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        Self { url: "sqlite://tollgate.db".to_owned(), in_memory: false, connections: 10, default_prices: true }
    }
}

impl fmt::Debug for DatabaseSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseSettings").field("connections", &self.connections).finish_non_exhaustive()
    }
}

/// How connections and calls are taken.
#[derive(Clone, PartialEq, Debug)]
pub struct TransportSettings {
    /// Whether gRPC-Web is served, and with it pages that have the server's own origin. Not as long as the store never
    /// had a token: a web page must not become an administrator.
    pub grpc_web: bool,
    /// Other origins whose pages are served, by gRPC-Web (if on) and Connect. Not as long as the store never had an
    /// access token.
    pub allow_origins: Vec<AllowedOrigin>,
    /// The certificate to serve with; without one, connections are not encrypted.
    pub tls: Option<TlsSettings>,
    /// The OpenTelemetry collector to send a span of each call to, as `http://127.0.0.1:4317`.
    pub otlp_endpoint: Option<String>,
    /// Whether calls are logged that succeed at once, too.
    pub log_calls: bool,
    /// Connections open at once; more wait to be accepted.
    pub max_connections: usize,
    /// Connections of one address open at once; more are closed.
    pub max_connections_per_address: usize,
    /// Unary calls of one caller (a token) in flight at once; more are refused.
    pub max_calls_per_caller: usize,
    /// Streaming calls of one caller open at once; more are refused.
    pub max_streams_per_caller: usize,
    /// Unary calls in flight at once, over all connections; more are refused.
    pub max_calls: usize,
    /// Streaming calls open at once, over all methods and connections; more are refused. To be larger than
    /// [`WatchSettings::max_streams`], which is the limit that clients meet.
    pub max_streams: usize,
    /// How long open calls may go on after shutdown began.
    pub shutdown_grace: Duration,
}

impl Default for TransportSettings {
    fn default() -> Self {
        Self {
            grpc_web: false,
            allow_origins: Vec::new(),
            tls: None,
            otlp_endpoint: None,
            log_calls: false,
            max_connections: 10_000,
            max_connections_per_address: 2_500,
            max_calls_per_caller: 1_024,
            max_streams_per_caller: 5_000,
            max_calls: 4_096,
            max_streams: 11_000,
            shutdown_grace: Duration::from_secs(10),
        }
    }
}

/// Origins whose pages may call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AllowedOrigin {
    /// Every one.
    Any,
    /// This one, as browsers write it: `https://console.example.com`.
    Of(String),
}

impl FromStr for AllowedOrigin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "must be * or an origin as browsers send it, which is a scheme, a host, a port unless it is the \
                            usual one, and nothing else: https://console.example.com or http://localhost:3000";
        if text == "*" {
            return Ok(Self::Any);
        }
        let (scheme, rest) = text.split_once("://").ok_or(FORM)?;
        let authority = rest.parse::<http::uri::Authority>().map_err(|_| FORM)?;
        let is_usual = matches!((scheme, authority.port_u16()), ("http", Some(80)) | ("https", Some(443)));
        let is_host = !rest.contains(['@', '/', '?', '#', '*']) && !authority.host().is_empty();
        let has_port = authority.as_str() == authority.host() || authority.port_u16().is_some();
        if is_usual || !is_host || !has_port || scheme.is_empty() {
            return Err(FORM);
        }
        Ok(Self::Of(text.to_ascii_lowercase()))
    }
}

/// PEM files, followed as they change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsSettings {
    /// The server's certificate, then those that lead to the root.
    pub cert: PathBuf,
    /// Its private key, not encrypted.
    pub key: PathBuf,
    /// The CAs that sign clients' certificates. With them, a client without such a certificate is not let in.
    pub client_ca: Option<PathBuf>,
}

/// How watch streams are served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WatchSettings {
    /// Watch streams open at once; more are refused.
    pub max_streams: usize,
    /// The longest that a watch stream stays silent.
    pub heartbeat_interval: Duration,
}

impl Default for WatchSettings {
    fn default() -> Self {
        Self { max_streams: 10_000, heartbeat_interval: Duration::from_secs(10) }
    }
}

/// What history is kept. Watchers can resume from what is younger than `compact_after` and from the last
/// `compact_keep_revisions`; of what is older than `compact_after`, at most `compact_max_revisions` stay. Whatever these are,
/// nobody can resume from what is older than `audit_retention`: it is deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetentionSettings {
    /// Watchers can resume from anything younger than this; at least 24 hours.
    pub compact_after: Duration,
    /// Watchers can resume from this many of the last revisions, however old.
    pub compact_keep_revisions: u64,
    /// Of what is older than `compact_after`, at most this many revisions stay.
    pub compact_max_revisions: u64,
    /// How long the audit trail is kept; at least 24 hours.
    pub audit_retention: Duration,
}

impl RetentionSettings {
    /// The least that [`RetentionSettings::compact_after`] and [`RetentionSettings::audit_retention`] may be.
    pub const LEAST: Duration = Duration::from_secs(24 * 3600);
}

impl Default for RetentionSettings {
    fn default() -> Self {
        Self {
            compact_after: Self::LEAST,
            compact_keep_revisions: 10_000,
            compact_max_revisions: 1_000_000,
            audit_retention: Duration::from_secs(400 * 24 * 3600),
        }
    }
}

/// How spend is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SpendSettings {
    /// The time zone of the days that hours are joined to, by its IANA name: UTC if absent. It is fixed at the first start.
    pub time_zone: Option<String>,
    /// How long spend is kept by hours.
    pub hour_retention: Duration,
    /// How long it is kept at all.
    pub day_retention: Duration,
}

impl Default for SpendSettings {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        Self { time_zone: None, hour_retention: DAY * 35, day_retention: DAY * 800 }
    }
}

/// How credit of hard limits is given. All servers of a database must have the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CreditSettings {
    /// The fate of the credit of a node that is gone.
    pub lost_credit: LostCredit,
    /// How long after a node was last heard its credit is freed, with [`LostCredit::Release`].
    pub credit_ttl: Duration,
}

/// The fate of the credit of a node that is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LostCredit {
    /// It stays reserved until the node reports, its window ends, or somebody forgets the node.
    Hold,
    /// It is freed after [`CreditSettings::credit_ttl`].
    Release,
}

impl Default for CreditSettings {
    fn default() -> Self {
        Self { lost_credit: LostCredit::Hold, credit_ttl: Duration::from_secs(60) }
    }
}

/// How logs look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// One JSON object per line, fields flat, names dotted.
    Json,
    /// For people, in colour if standard error is a terminal.
    Pretty,
}

/// What is logged, and how. Logs go to standard error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogSettings {
    /// How they look.
    pub format: LogFormat,
    /// A level, or levels by part of the program, such as `info,tollgate::watch=debug`.
    pub filter: String,
}

/// Whether a URL names a host, perhaps with a port, and nobody who is to log in there: such a name would be repeated by
/// messages, and its password too.
pub(crate) fn names_host_alone(uri: &http::Uri) -> bool {
    uri.authority().is_some_and(|authority| {
        let is_host = authority.as_str() == authority.host() || authority.port_u16().is_some();
        is_host && !authority.as_str().contains('@')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_written_as_browsers_send_them() {
        assert_eq!("*".parse(), Ok(AllowedOrigin::Any));
        for origin in ["https://console.example.com", "http://localhost:3000", "http://[::1]:8080", "app://tollgate"] {
            assert_eq!(origin.parse(), Ok(AllowedOrigin::Of(origin.to_owned())));
        }
        assert_eq!("HTTPS://Console.example".parse(), Ok(AllowedOrigin::Of("https://console.example".to_owned())));
        for wrong in [
            "",
            "null",
            "console.example.com",
            "https://",
            "https://console.example.com/",
            "https://console.example.com:443",
            "http://console.example.com:80",
            "https://*.example.com",
            "https://user@console.example.com",
            "https://console.example.com:port",
        ] {
            assert!(wrong.parse::<AllowedOrigin>().is_err(), "{wrong}");
        }
    }
}
