//! Runs a node until SIGINT or SIGTERM.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};
use tokio::net::TcpListener;
use tollgate_node::serve::{Extras, Listen, ListenError, Listener, serve};
use tollgate_node::{Builder, Node, OnFull, OnOutage, StartError};

use super::super::target::Target;
use super::super::{Failure, stop_signal};
use crate::settings::LogFormat;
use crate::telemetry::START;

#[derive(Args, Debug)]
pub(super) struct RunArgs {
    #[command(flatten)]
    target: Target,

    /// Other servers of the same control plane, tried in their order when one fails; with the same --tls-ca and --token
    #[arg(long, env = "TOLLGATE_NODE_FALLBACK_SERVERS", value_name = "URL", value_delimiter = ',')]
    fallback_server: Vec<String>,

    /// Name of this node; no two nodes have the same [default: the name of this machine]
    #[arg(long, env = "TOLLGATE_NODE_ID", value_name = "TEXT")]
    node_id: Option<String>,

    /// Directory where the copy of the configuration is kept, and usage until the server has counted it; made if it does not
    /// exist, and used by one node alone
    #[arg(long, env = "TOLLGATE_NODE_DATA_DIR", default_value = "tollgate-node", value_name = "PATH")]
    data_dir: PathBuf,

    /// Where gateways ask: an address and port of this machine (port 0 takes any free one), or unix://PATH, which the user
    /// and the group of the node may connect to
    #[arg(long, env = "TOLLGATE_NODE_LISTEN", default_value = "127.0.0.1:50052", value_name = "PLACE")]
    listen: Listen,

    /// Let other machines ask, if --listen says so: whoever asks decides what is charged to whom
    #[arg(long, env = "TOLLGATE_NODE_INSECURE", value_parser = BoolishValueParser::new())]
    insecure: bool,

    /// Serve on --listen what Envoy asks too, so that it governs traffic of the APIs of OpenAI and Anthropic
    /// (docs/gateways.md)
    #[arg(long, env = "TOLLGATE_NODE_ENVOY", value_parser = BoolishValueParser::new())]
    envoy: bool,

    /// Address and port from which Prometheus reads metrics too, as GET /metrics over plain HTTP; it always can on --listen
    /// [default: off]
    #[arg(long, env = "TOLLGATE_NODE_METRICS_LISTEN", value_name = "ADDRESS:PORT")]
    metrics_listen: Option<String>,

    /// File to write the actual place to once requests are answered; removed when the node stops
    #[arg(long, env = "TOLLGATE_NODE_READY_FILE", value_name = "PATH")]
    ready_file: Option<PathBuf>,

    /// How long the server may take to send the first copy of the configuration; then the node starts with the one in
    /// --data-dir, if there is one
    #[arg(long, env = "TOLLGATE_NODE_START_TIMEOUT", default_value = "10s", value_name = "DURATION",
          value_parser = humantime::parse_duration)]
    start_timeout: Duration,

    /// How long an admission may take until it is charged at its estimate, unless the gateway touches it
    #[arg(long, env = "TOLLGATE_NODE_ADMISSION_TTL", default_value = "10m", value_name = "DURATION",
          value_parser = ttl)]
    admission_ttl: Duration,

    /// How long the node may be without its server before it refuses all requests [default: for ever]
    #[arg(long, env = "TOLLGATE_NODE_MAX_STALENESS", value_name = "DURATION", value_parser = humantime::parse_duration)]
    max_staleness: Option<Duration>,

    /// Bytes of usage that may wait on the disk to be reported
    #[arg(long, env = "TOLLGATE_NODE_OUTBOX_MAX_BYTES", default_value_t = 1 << 30, value_name = "N",
          value_parser = clap::value_parser!(u64).range(1 << 20..))]
    outbox_max_bytes: u64,

    /// What becomes of requests when --outbox-max-bytes wait, or the disk is full
    #[arg(long, env = "TOLLGATE_NODE_ON_FULL", value_enum, default_value = "refuse")]
    on_full: OnFullArg,

    /// Refuse requests for models whose price nobody knows; without this they cost nothing, unless the gateway says a cost
    #[arg(long, env = "TOLLGATE_NODE_STRICT_PRICES", value_parser = BoolishValueParser::new())]
    strict_prices: bool,

    /// How long a request waits for credit for a hard limit until the server answers
    #[arg(long, env = "TOLLGATE_NODE_CREDIT_WAIT", default_value = "50ms", value_name = "DURATION",
          value_parser = humantime::parse_duration)]
    credit_wait: Duration,

    /// How long it waits in all where the server asks other nodes to give credit back
    #[arg(long, env = "TOLLGATE_NODE_RECALL_WAIT", default_value = "250ms", value_name = "DURATION",
          value_parser = humantime::parse_duration)]
    recall_wait: Duration,

    /// What becomes of requests that need credit which the node does not hold, while it has no session with a server
    #[arg(long, env = "TOLLGATE_NODE_ON_OUTAGE", value_enum, default_value = "refuse")]
    on_outage: OnOutageArg,
}

/// The time of an admission.
fn ttl(text: &str) -> Result<Duration, String> {
    let ttl = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let is_sane = (Duration::from_secs(1)..=Duration::from_secs(86_400)).contains(&ttl);
    if is_sane { Ok(ttl) } else { Err("must be from 1s to 1day".to_owned()) }
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum OnFullArg {
    /// They are refused, so that nothing is used that may never be counted
    Refuse,
    /// They are served; their usage is lost if the node ends before there is room
    Serve,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum OnOutageArg {
    /// They are refused, so that no hard limit is exceeded
    Refuse,
    /// They are admitted until the limit is used up as far as the node knows
    Admit,
}

impl RunArgs {
    fn builder(&self) -> Result<Builder, Failure> {
        let Self { target, start_timeout, admission_ttl, outbox_max_bytes, data_dir, max_staleness, .. } = self;
        let on_full = match self.on_full {
            OnFullArg::Refuse => OnFull::Refuse,
            OnFullArg::Serve => OnFull::Serve,
        };
        let on_outage = match self.on_outage {
            OnOutageArg::Refuse => OnOutage::Refuse,
            OnOutageArg::Admit => OnOutage::Admit,
        };
        let mut builder = Node::builder(target.server().to_string())
            .fallback_addresses(self.fallback_server.iter().cloned())
            .node_id(self.node_id.clone().unwrap_or_else(name_of_this_machine))
            .data_dir(data_dir)
            .start_timeout(*start_timeout)
            .admission_ttl(*admission_ttl)
            .outbox_max_bytes(*outbox_max_bytes, on_full)
            .strict_prices(self.strict_prices)
            .credit_wait(self.credit_wait, self.recall_wait)
            .on_outage(on_outage);
        if let Some(tls) = target.tls()? {
            builder = builder.tls(tls);
        }
        if let Some(access_token) = target.access_token() {
            builder = builder.access_token(access_token);
        }
        if let Some(max_staleness) = max_staleness {
            builder = builder.max_staleness(*max_staleness);
        }
        Ok(builder)
    }
}

/// The name of this machine, where the system tells it.
fn name_of_this_machine() -> String {
    let named =
        ["/proc/sys/kernel/hostname", "/etc/hostname"].into_iter().find_map(|path| fs::read_to_string(path).ok());
    let named = named.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    named.unwrap_or_else(|| "tollgate-node".to_owned())
}

/// Whether a start failed for a setting, so that trying again does not help.
fn failed(error: StartError) -> Failure {
    match error {
        StartError::Address { .. } | StartError::AccessToken(_) => Failure::Usage(error.into()),
        StartError::Directory(_) | StartError::Outbox(_) | StartError::Rejected { .. } | StartError::TooLate { .. } => {
            Failure::Failed(error.into())
        }
    }
}

async fn listen(args: &RunArgs) -> Result<(Listener, Option<TcpListener>), Failure> {
    let listener = Listener::bind(&args.listen, args.insecure).await.map_err(|error| match error {
        ListenError::NotLoopback(_) | ListenError::NoSocket(_) | ListenError::NoUnix => Failure::Usage(error.into()),
        ListenError::InUse(_) | ListenError::Io { .. } => Failure::Failed(error.into()),
    })?;
    let metrics = match &args.metrics_listen {
        Some(listen) => Some(crate::server::bind_metrics(listen).await?),
        None => None,
    };
    Ok((listener, metrics))
}

/// Runs a node until a signal. `format`: how logs look.
pub(super) async fn run(args: RunArgs, format: LogFormat) -> Result<(), Failure> {
    let mut first = stop_signal()?;
    let mut second = stop_signal()?;
    let builder = args.builder()?;
    let (listener, metrics) = listen(&args).await?;
    let node = tokio::select! {
        node = builder.start() => Arc::new(node.map_err(failed)?),
        _ = first.received() => return Ok(()),
    };
    let place = listener.to_string();
    if let Some(path) = &args.ready_file {
        crate::server::announce(path, &place)
            .map_err(|error| Failure::Failed(format!("--ready-file {}: {error}", path.display()).into()))?;
    }
    let (node_id, server) = (node.node_id().to_owned(), args.target.server());
    tracing::info!(target: START, { node.id = %node_id, server.addr = %place, control_plane.addr = %server }, "serving");
    if format == LogFormat::Pretty {
        eprintln!("listening on {place}");
        eprintln!("follows {server} as {node_id}, data in {}", args.data_dir.display());
    }
    let asked = async {
        let signal = first.received().await;
        tracing::info!(signal, "asked to stop");
    };
    let asked_twice = async {
        second.received().await;
        second.received().await;
    };
    let ended = tokio::select! {
        served = serve(Arc::clone(&node), listener, Extras { metrics, envoy: args.envoy }, asked) => {
            node.shutdown().await;
            served.map_err(Failure::from)
        }
        () = asked_twice => Err(Failure::Failed("stopped at once by a second signal".into())),
    };
    if let Some(path) = &args.ready_file
        && let Err(error) = fs::remove_file(path)
    {
        tracing::warn!(%error, "cannot remove the ready file");
    }
    ended
}
