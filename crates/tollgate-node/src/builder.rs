//! The settings of a node.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tonic::transport::ClientTlsConfig;

use crate::credit::Patience;
use crate::engine::{OnFull, OnOutage};

/// How long the first copy may take.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an admission may take.
const ADMISSION_TTL: Duration = Duration::from_secs(600);
/// The longest that it may be given.
const LONGEST_TTL: Duration = Duration::from_secs(86_400);
/// Bytes that the outbox may have.
const OUTBOX_MAX_BYTES: u64 = 1 << 30;
/// How long a request may wait for credit.
const CREDIT_WAIT: Patience = Patience { usual: Duration::from_millis(50), recall: Duration::from_millis(250) };

/// What a node is started with.
#[derive(Clone)]
pub struct Builder {
    pub(crate) address: String,
    pub(crate) fallback_addresses: Vec<String>,
    pub(crate) access_token: Option<String>,
    pub(crate) node_id: String,
    pub(crate) tls: Option<ClientTlsConfig>,
    pub(crate) start_timeout: Duration,
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) admission_ttl: Duration,
    pub(crate) max_staleness: Option<Duration>,
    pub(crate) outbox_max_bytes: u64,
    pub(crate) on_full: OnFull,
    pub(crate) strict_prices: bool,
    pub(crate) credit_wait: Patience,
    pub(crate) on_outage: OnOutage,
}

impl fmt::Debug for Builder {
    /// Without the access token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, node_id, data_dir, .. } = self;
        let mut shown = f.debug_struct("Builder");
        shown.field("address", address).field("node_id", node_id).field("data_dir", data_dir);
        shown.finish_non_exhaustive()
    }
}

impl Builder {
    pub(crate) fn new(address: String) -> Self {
        Self {
            address,
            fallback_addresses: Vec::new(),
            access_token: None,
            node_id: "tollgate-node".to_owned(),
            tls: None,
            start_timeout: START_TIMEOUT,
            data_dir: None,
            admission_ttl: ADMISSION_TTL,
            max_staleness: None,
            outbox_max_bytes: OUTBOX_MAX_BYTES,
            on_full: OnFull::default(),
            strict_prices: false,
            credit_wait: CREDIT_WAIT,
            on_outage: OnOutage::default(),
        }
    }

    /// Other servers of the same control plane, which are tried in their order when one fails. The default is none: a balancer in
    /// front of the servers serves as well.
    #[must_use]
    pub fn fallback_addresses(mut self, addresses: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.fallback_addresses = addresses.into_iter().map(Into::into).collect();
        self
    }

    /// Shows this access token, of the role NODE. The default is to show none.
    #[must_use]
    pub fn access_token(mut self, access_token: impl Into<String>) -> Self {
        self.access_token = Some(access_token.into());
        self
    }

    /// How the node names itself to the control plane. The default is `tollgate-node`.
    #[must_use]
    pub fn node_id(mut self, node_id: impl Into<String>) -> Self {
        self.node_id = node_id.into();
        self
    }

    /// How `https://` is spoken. The default trusts the certificate authorities of the system.
    #[must_use]
    pub fn tls(mut self, tls: ClientTlsConfig) -> Self {
        self.tls = Some(tls);
        self
    }

    /// How long the first copy may take. The default is 10 seconds.
    #[must_use]
    pub const fn start_timeout(mut self, start_timeout: Duration) -> Self {
        self.start_timeout = start_timeout;
        self
    }

    /// Where the node keeps its copy of the configuration, and what was used until the control plane has counted it: a directory
    /// of its own, which is made if it is not there. Without one it keeps that in memory: it cannot start while the control
    /// plane is away, and loses what was used if the process ends before it is counted.
    #[must_use]
    pub fn data_dir(mut self, data_dir: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(data_dir.into());
        self
    }

    /// How long an admission may take until it is charged at its estimate, unless it is
    /// [touched](crate::Granted::touch). The default is 10 minutes, and the most a day.
    #[must_use]
    pub const fn admission_ttl(mut self, admission_ttl: Duration) -> Self {
        self.admission_ttl = if admission_ttl.as_secs() > LONGEST_TTL.as_secs() { LONGEST_TTL } else { admission_ttl };
        self
    }

    /// From when on a node that has lost its control plane refuses requests. The default is never.
    #[must_use]
    pub const fn max_staleness(mut self, max_staleness: Duration) -> Self {
        self.max_staleness = Some(max_staleness);
        self
    }

    /// How many bytes the outbox may have, and what becomes of requests when it has them, or when its disk is full. The
    /// default is 1 GiB, and to refuse.
    #[must_use]
    pub const fn outbox_max_bytes(mut self, outbox_max_bytes: u64, on_full: OnFull) -> Self {
        self.outbox_max_bytes = outbox_max_bytes;
        self.on_full = on_full;
        self
    }

    /// Refuses requests for models whose price nobody knows. The default is to hold $0.01 or what the dearest request of the model
    /// cost, and to charge nothing unless the caller says a cost.
    #[must_use]
    pub const fn strict_prices(mut self, strict_prices: bool) -> Self {
        self.strict_prices = strict_prices;
        self
    }

    /// How long a request waits that needs credit which the node does not hold: for the control plane to answer, and where that asks other
    /// nodes to give credit back, for them. The default is 50 and 250 milliseconds.
    #[must_use]
    pub const fn credit_wait(mut self, usual: Duration, recall: Duration) -> Self {
        self.credit_wait = Patience { usual, recall };
        self
    }

    /// The treatment of requests that need credit which the node does not hold, while no server can be asked. The default is
    /// to refuse them.
    #[must_use]
    pub const fn on_outage(mut self, on_outage: OnOutage) -> Self {
        self.on_outage = on_outage;
        self
    }
}
