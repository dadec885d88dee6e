//! The flags of `tollgate serve`, and the settings that they make.

use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::{BoolishValueParser, RangedU64ValueParser};

use super::super::Failure;
use crate::domain::Token;
use crate::settings::{
    AccessSettings, AllowedOrigin, BootstrapToken, CreditSettings, DatabaseSettings, LostCredit, RetentionSettings,
    Settings, SpendSettings, TlsSettings, TransportSettings, WatchSettings, WebhookSettings,
};

/// Streams other than watch streams (health, reflection) that may be open beside `--max-streams`.
const OTHER_STREAMS: usize = 1_000;
/// More than any machine serves; within what a semaphore counts.
const MANY: u64 = 10_000_000;
/// The shortest heartbeat interval; more frequent ones keep all clients and the server busy with nothing.
const MIN_HEARTBEAT: Duration = Duration::from_millis(10);
/// The shortest life of credit: a node has to renew it several times meanwhile.
const MIN_TTL: Duration = Duration::from_secs(10);

#[derive(Args, Debug)]
#[command(after_help = "\
Durations are written as 500ms, 10s, 5m, 24h, 400d or a sum such as 1h30m.

SIGINT or SIGTERM stops the server in order: watchers are told to reconnect, open calls may end \
within --shutdown-grace. A second signal stops it at once; nothing that was answered is lost by that.

Examples:
  tollgate serve
      Listen on 127.0.0.1:50051, keep everything in ./tollgate.db.
  tollgate serve --listen 127.0.0.1:0 --ready-file /run/tollgate.addr
      Take a free port, and write its address to the file once calls are answered.
  tollgate serve --database sqlite:///var/lib/tollgate/tollgate.db --log-format json
      Keep the database elsewhere (an absolute path has three slashes), log for machines.
  PGPASSWORD=… tollgate serve --database 'postgres://tollgate@db.example/tollgate?sslmode=verify-full'
      Share a PostgreSQL database with other servers; any of them takes any call.
  tollgate serve --testing
      Serve a suite of tests: read the URL from the first line of standard output, send SIGTERM at the end.
  grpcurl -plaintext 127.0.0.1:50051 list
      See what the server offers.")]
pub(in crate::cli) struct ServeArgs {
    /// Address and port to listen on; port 0 takes any free one. Until the first access token is created, only loopback
    /// addresses are accepted [default: 127.0.0.1:50051, or with --testing 127.0.0.1:0]
    #[arg(long, env = "TOLLGATE_LISTEN", value_name = "ADDRESS:PORT")]
    listen: Option<String>,

    /// Serve tests: keep the store in memory, take a free port of this machine, and print the URL, on one line of standard
    /// output, once calls are answered. It begins without access tokens, webhooks may lead to private addresses, and nothing
    /// is left of it
    #[arg(long, env = "TOLLGATE_TESTING", value_parser = BoolishValueParser::new())]
    testing: bool,

    /// File to write the actual address to once calls are answered; removed when the server stops
    #[arg(long, env = "TOLLGATE_READY_FILE", value_name = "PATH")]
    ready_file: Option<PathBuf>,

    /// The database: sqlite://PATH, created if it does not exist, or postgres://USER:PASSWORD@HOST:PORT/DATABASE, which
    /// several servers may share. A password is better kept in PGPASSWORD or ~/.pgpass [default: sqlite://tollgate.db]
    #[arg(long, env = "TOLLGATE_DATABASE", hide_env_values = true, value_name = "URL")]
    database: Option<String>,

    /// Connections to PostgreSQL at most. Two of them write, one listens; the others read
    #[arg(long, env = "TOLLGATE_DATABASE_CONNECTIONS", default_value_t = 10, value_name = "N",
          value_parser = clap::value_parser!(u32).range(4..=1_000))]
    database_connections: u32,

    /// Begin a new store without the prices of common models that come with the program (docs/prices.md)
    #[arg(long, env = "TOLLGATE_NO_DEFAULT_PRICES", value_parser = BoolishValueParser::new())]
    no_default_prices: bool,

    /// Also serve gRPC-Web on this port; it stays off at a start while the store has never had an access token
    #[arg(long, env = "TOLLGATE_GRPC_WEB", value_parser = BoolishValueParser::new())]
    grpc_web: bool,

    /// Serve pages of this origin, by Connect and, with --grpc-web, by gRPC-Web; repeat it for more, in the environment
    /// separate them by commas. * serves pages of all origins: each of them can then try access tokens from within the
    /// network of whoever opens it, and with --insecure is an administrator. None stay as long as the store has never had
    /// an access token [default: none]
    #[arg(long = "allow-origin", env = "TOLLGATE_ALLOW_ORIGIN", value_name = "ORIGIN", value_delimiter = ',')]
    allow_origins: Vec<AllowedOrigin>,

    /// PEM file of the certificate to serve with, followed by those that lead to the root; needs --tls-key. Read again
    /// whenever it changes
    #[arg(long, env = "TOLLGATE_TLS_CERT", value_name = "PATH", requires = "tls_key", help_heading = "TLS")]
    tls_cert: Option<PathBuf>,

    /// PEM file of the private key of --tls-cert
    #[arg(long, env = "TOLLGATE_TLS_KEY", value_name = "PATH", requires = "tls_cert", help_heading = "TLS")]
    tls_key: Option<PathBuf>,

    /// PEM file of the CAs that sign clients' certificates; clients without one are not let in. A certificate's
    /// tollgate:// URI says who its holder is (docs/tls.md)
    #[arg(long, env = "TOLLGATE_TLS_CLIENT_CA", value_name = "PATH", requires = "tls_cert", help_heading = "TLS")]
    tls_client_ca: Option<PathBuf>,

    /// Value of the first access token, an administrator's, if the store has never had one: `tg_` and at least
    /// 32 letters, digits, `_` or `-`. Better given in the environment, where other users of the machine do not see it
    #[arg(long, env = "TOLLGATE_BOOTSTRAP_TOKEN", hide_env_values = true, value_name = "TOKEN", value_parser = bootstrap,
          help_heading = "Access")]
    bootstrap_token: Option<BootstrapToken>,

    /// Make everybody who can connect an administrator, whatever access tokens exist and wherever the server listens
    #[arg(long, env = "TOLLGATE_INSECURE", value_parser = BoolishValueParser::new(), help_heading = "Access")]
    insecure: bool,

    /// Address and port from which Prometheus reads metrics, as GET /metrics over plain HTTP (docs/metrics.md) [default:
    /// off]
    #[arg(long, env = "TOLLGATE_METRICS_LISTEN", value_name = "ADDRESS:PORT", help_heading = "Telemetry")]
    metrics_listen: Option<String>,

    /// OpenTelemetry collector to send a span of each call to, by OTLP over gRPC, as http://127.0.0.1:4317 (docs/traces.md)
    /// [default: off]
    #[arg(long, env = "TOLLGATE_OTLP_ENDPOINT", value_name = "URL", help_heading = "Telemetry")]
    otlp_endpoint: Option<String>,

    /// Log every call; else only those that fail or take 100 ms or longer
    #[arg(long, env = "TOLLGATE_LOG_CALLS", value_parser = BoolishValueParser::new(), help_heading = "Telemetry")]
    log_calls: bool,

    /// Connections open at once; more wait
    #[arg(long, env = "TOLLGATE_MAX_CONNECTIONS", default_value_t = 10_000, value_name = "N", value_parser = count())]
    max_connections: usize,

    /// Connections of one address (of one /64 with IPv6) open at once; more are closed
    #[arg(long, env = "TOLLGATE_MAX_CONNECTIONS_PER_ADDRESS", default_value_t = 2_500, value_name = "N",
          value_parser = count())]
    max_connections_per_address: usize,

    /// Unary calls of one access token in flight at once; more are refused with RESOURCE_EXHAUSTED
    #[arg(long, env = "TOLLGATE_MAX_CALLS_PER_CALLER", default_value_t = 1_024, value_name = "N", value_parser = count())]
    max_calls_per_caller: usize,

    /// Streams of one access token open at once; more are refused with RESOURCE_EXHAUSTED
    #[arg(long, env = "TOLLGATE_MAX_STREAMS_PER_CALLER", default_value_t = 5_000, value_name = "N", value_parser = count())]
    max_streams_per_caller: usize,

    /// Unary calls in flight at once, over all connections; more are refused with RESOURCE_EXHAUSTED
    #[arg(long, env = "TOLLGATE_MAX_CALLS", default_value_t = 4_096, value_name = "N", value_parser = count())]
    max_calls: usize,

    /// Watch streams open at once; more are refused with RESOURCE_EXHAUSTED
    #[arg(long, env = "TOLLGATE_MAX_STREAMS", default_value_t = 10_000, value_name = "N", value_parser = count())]
    max_streams: usize,

    /// Longest silence of a watch stream; a client that hears nothing for three times as long reconnects
    #[arg(long, env = "TOLLGATE_HEARTBEAT_INTERVAL", default_value = "10s", value_name = "DURATION",
          value_parser = heartbeat)]
    heartbeat_interval: Duration,

    /// How long open calls may go on after a signal to stop
    #[arg(long, env = "TOLLGATE_SHUTDOWN_GRACE", default_value = "10s", value_name = "DURATION",
          value_parser = humantime::parse_duration)]
    shutdown_grace: Duration,

    /// Age from which revisions may be compacted: a client that was away for longer gets a snapshot. At least 24h
    #[arg(long, env = "TOLLGATE_COMPACT_AFTER", default_value = "24h", value_name = "DURATION",
          value_parser = kept_a_day, help_heading = "History")]
    compact_after: Duration,

    /// Number of newest revisions that are not compacted before --audit-retention, however old
    #[arg(
        long,
        env = "TOLLGATE_COMPACT_KEEP_REVISIONS",
        default_value_t = 10_000,
        value_name = "N",
        help_heading = "History"
    )]
    compact_keep_revisions: u64,

    /// Maximum number of revisions older than --compact-after to keep
    #[arg(
        long,
        env = "TOLLGATE_COMPACT_MAX_REVISIONS",
        default_value_t = 1_000_000,
        value_name = "N",
        help_heading = "History"
    )]
    compact_max_revisions: u64,

    /// How long the audit trail (ListChanges) is kept. Older changes are deleted, whatever the other values are, and no
    /// client can resume from them. At least 24h
    #[arg(long, env = "TOLLGATE_AUDIT_RETENTION", default_value = "400d", value_name = "DURATION",
          value_parser = kept_a_day, help_heading = "History")]
    audit_retention: Duration,

    /// Time zone of the days that spend is kept by in the long run, as Europe/Berlin; its offsets from UTC are whole hours.
    /// It is fixed at the first start on a store [default: UTC]
    #[arg(long, env = "TOLLGATE_SPEND_TIME_ZONE", value_name = "NAME", help_heading = "Spend")]
    spend_time_zone: Option<String>,

    /// How long spend (ListSpend) is kept by hours; then hours are joined to days. At least 24h
    #[arg(long, env = "TOLLGATE_SPEND_HOUR_RETENTION", default_value = "35d", value_name = "DURATION",
          value_parser = kept_a_day, help_heading = "Spend")]
    spend_hour_retention: Duration,

    /// How long spend is kept by days; then it is deleted. At least 24h
    #[arg(long, env = "TOLLGATE_SPEND_DAY_RETENTION", default_value = "800d", value_name = "DURATION",
          value_parser = kept_a_day, help_heading = "Spend")]
    spend_day_retention: Duration,

    /// What becomes of credit for hard limits that a node holds and that is gone: hold keeps it reserved until the node
    /// reports, the window ends, or somebody forgets the node; release frees it after --credit-ttl
    #[arg(long, env = "TOLLGATE_LOST_CREDIT", default_value = "hold", value_name = "hold|release", value_parser = lost,
          help_heading = "Credit")]
    lost_credit: LostCredit,

    /// With --lost-credit release, how long after a node was last heard its credit is freed; the node stops before. At
    /// least 10s
    #[arg(long, env = "TOLLGATE_CREDIT_TTL", default_value = "60s", value_name = "DURATION", value_parser = ttl,
          help_heading = "Credit")]
    credit_ttl: Duration,

    /// Let webhooks lead to private addresses too, such as this machine's and its network's, and to http URLs
    /// (docs/webhooks.md)
    #[arg(long, env = "TOLLGATE_ALLOW_PRIVATE_WEBHOOKS", value_parser = BoolishValueParser::new(),
          help_heading = "Webhooks")]
    allow_private_webhooks: bool,
}

fn count() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=MANY)
}

/// Whatever is given: clap would repeat what it refuses, and this is a secret.
fn bootstrap(text: &str) -> Result<BootstrapToken, Infallible> {
    Ok(BootstrapToken(text.to_owned()))
}

fn heartbeat(text: &str) -> Result<Duration, String> {
    at_least(text, MIN_HEARTBEAT, "10ms")
}

fn lost(text: &str) -> Result<LostCredit, &'static str> {
    match text {
        "hold" => Ok(LostCredit::Hold),
        "release" => Ok(LostCredit::Release),
        _ => Err("must be hold or release"),
    }
}

fn ttl(text: &str) -> Result<Duration, String> {
    at_least(text, MIN_TTL, "10s")
}

fn kept_a_day(text: &str) -> Result<Duration, String> {
    at_least(text, RetentionSettings::LEAST, "24h")
}

fn at_least(text: &str, least: Duration, written: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if duration < least {
        return Err(format!("must be at least {written}"));
    }
    Ok(duration)
}

impl ServeArgs {
    /// Whether the server is for tests.
    pub(super) const fn is_testing(&self) -> bool {
        self.testing
    }

    /// Checks what the parser lets pass.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.testing && self.database.is_some() {
            let text = "--testing keeps its store in memory and takes no database; leave out --database and \
                        TOLLGATE_DATABASE";
            return Err(Failure::Usage(text.into()));
        }
        if self.bootstrap_token.as_ref().is_some_and(|token| !Token::is_chosen_value(&token.0)) {
            let text = "--bootstrap-token must be `tg_` and at least 32 letters, digits, `_` or `-`; make one with \
                        `echo tg_$(openssl rand -hex 32)`";
            return Err(Failure::Usage(text.into()));
        }
        Ok(())
    }

    /// Where to listen for calls, and for who reads metrics, and everything else.
    pub(super) fn settings(self) -> (String, Option<String>, Settings) {
        let Self {
            listen,
            testing,
            ready_file,
            database,
            database_connections,
            no_default_prices,
            grpc_web,
            allow_origins,
            tls_cert,
            tls_key,
            tls_client_ca,
            bootstrap_token,
            insecure,
            metrics_listen,
            otlp_endpoint,
            log_calls,
            max_connections,
            max_connections_per_address,
            max_calls_per_caller,
            max_streams_per_caller,
            max_calls,
            max_streams,
            heartbeat_interval,
            shutdown_grace,
            compact_after,
            compact_keep_revisions,
            compact_max_revisions,
            audit_retention,
            spend_time_zone,
            spend_hour_retention,
            spend_day_retention,
            lost_credit,
            credit_ttl,
            allow_private_webhooks,
        } = self;
        let usual = if testing { "127.0.0.1:0" } else { "127.0.0.1:50051" };
        let listen = listen.unwrap_or_else(|| usual.to_owned());
        let tls = tls_cert.zip(tls_key).map(|(cert, key)| TlsSettings { cert, key, client_ca: tls_client_ca });
        let transport = TransportSettings {
            grpc_web,
            allow_origins,
            tls,
            otlp_endpoint,
            log_calls,
            max_connections,
            max_connections_per_address,
            max_calls_per_caller,
            max_streams_per_caller,
            max_calls,
            max_streams: max_streams + OTHER_STREAMS,
            shutdown_grace,
        };
        let watch = WatchSettings { max_streams, heartbeat_interval };
        let retention =
            RetentionSettings { compact_after, compact_keep_revisions, compact_max_revisions, audit_retention };
        let spend = SpendSettings {
            time_zone: spend_time_zone,
            hour_retention: spend_hour_retention,
            day_retention: spend_day_retention,
        };
        let database = DatabaseSettings {
            url: database.unwrap_or_else(|| DatabaseSettings::default().url),
            in_memory: testing,
            connections: database_connections,
            default_prices: !no_default_prices,
        };
        let credit = CreditSettings { lost_credit, credit_ttl };
        let access = AccessSettings { insecure, bootstrap_token };
        let webhooks = WebhookSettings { allow_private: allow_private_webhooks || testing };
        let settings = Settings { database, ready_file, transport, watch, retention, spend, credit, access, webhooks };
        (listen, metrics_listen, settings)
    }
}
