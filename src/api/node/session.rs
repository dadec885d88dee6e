//! One session: reports in, directives out.

use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, Stream, stream};
use tonic::{Status, Streaming};

use crate::access::Principal;
use crate::api::call::{Statuses, speaks_for};
use crate::api::{Api, CallNotes};
use crate::credit::Report;
use crate::domain::{Error, Path, Violations};
use crate::ledger::{Directives, Outbox, outbox};
use crate::proto::v1;
use crate::proto::v1::node_directive::Directive as DirectiveMessage;
use crate::proto::v1::node_report::Report as ReportMessage;
use crate::store::NodeStatus;
use crate::wire;

/// Reports in one message.
const MAX_REPORTS: usize = 1_000;
/// Characters of a version, and of the name of a feature.
const MAX_VERSION: usize = 128;
const MAX_FEATURES: usize = 64;
/// Bytes of a node's last error that are kept.
const MAX_ERROR: usize = 1_024;
/// When to connect anew after the server ended a session.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// The server's end of a session.
struct Session {
    api: Api,
    principal: Principal,
    notes: CallNotes,
    statuses: Statuses,
    reports: Streaming<v1::ConnectRequest>,
    outbox: Outbox,
    directives: Directives,
    /// Resolves with the reason when the server or the caller's rights end.
    over: BoxFuture<'static, &'static str>,
    /// Of the hello; `None` before it.
    incarnation: Option<i64>,
    /// Requests that the node had refused at its last status for want of credit that others held.
    refused: Option<i64>,
}

/// What comes next.
enum Step {
    /// A message to the client.
    Send(v1::ConnectResponse),
    /// A message to the client, and the end.
    Last(Result<v1::ConnectResponse, Error>),
    /// Nothing for the client.
    Nothing,
    /// The end: the client said goodbye, or is gone.
    End,
}

impl Api {
    /// The directives of a session, whose reports are `reports`. It ends with them, when its caller loses its rights, when the
    /// server ends, and when too much waits to be sent.
    pub(super) fn session(
        &self,
        reports: Streaming<v1::ConnectRequest>,
        principal: Principal,
        notes: CallNotes,
        statuses: Statuses,
    ) -> impl Stream<Item = Result<v1::ConnectResponse, Status>> + Send + use<> {
        let (outbox, directives) = outbox();
        let (drained, lapse) = (self.watch.drained(), principal.lapse().clone());
        let over = async move {
            tokio::select! {
                () = drained => "the server is shutting down",
                () = lapse.cancelled() => "the rights of the caller have changed: its token was revoked or has expired",
            }
        };
        let (api, over) = (self.clone(), over.boxed());
        let session = Session {
            api,
            principal,
            notes,
            statuses,
            reports,
            outbox,
            directives,
            over,
            incarnation: None,
            refused: None,
        };
        stream::unfold(Some(session), |open| async {
            let mut session = open?;
            loop {
                match session.step().await {
                    Step::Send(response) => return Some((Ok(response), Some(session))),
                    Step::Last(last) => return Some((last.map_err(|error| session.statuses.status(error)), None)),
                    Step::Nothing => {}
                    Step::End => return None,
                }
            }
        })
    }
}

impl Session {
    async fn step(&mut self) -> Step {
        tokio::select! {
            biased;
            reason = &mut self.over => Step::Last(Ok(go_away(reason))),
            waiting = self.directives.next() => match waiting.is_empty() {
                false => {
                    let directives = waiting.into_iter().map(wire::render_credit_directive).collect();
                    Step::Send(v1::ConnectResponse { directives })
                }
                true => {
                    let what = "the session was ended by the server; say hello anew".to_owned();
                    Step::Last(Err(Error::Unavailable { what, retry_after: RETRY_AFTER }))
                }
            },
            report = self.reports.message() => match report {
                Ok(Some(request)) => match self.take(request).await {
                    Ok(()) => Step::Nothing,
                    Err(error) => Step::Last(Err(error)),
                },
                Ok(None) => {
                    self.hear(|status| status.has_session = false);
                    Step::End
                }
                Err(_) => Step::End,
            },
        }
    }

    async fn take(&mut self, request: v1::ConnectRequest) -> Result<(), Error> {
        let mut violations = Violations::new();
        let list = Path::root("reports");
        if request.reports.len() > MAX_REPORTS {
            let text = format!("has {} reports; must have at most {MAX_REPORTS}", request.reports.len());
            violations.add(list, text);
        }
        violations.or(())?;
        for (index, report) in request.reports.into_iter().enumerate() {
            let path = list.index(index);
            let Some(report) = report.report else { continue };
            match (self.incarnation, report) {
                (None, ReportMessage::Hello(hello)) => self.hello(hello, &path).await?,
                (None, _) => return Err(invalid(&path, "comes before the hello; the first report must be a hello")),
                (Some(_), ReportMessage::Hello(_)) => {
                    return Err(invalid(&path, "is a second hello; begin a new stream for a new session"));
                }
                (Some(incarnation), report) => self.report(incarnation, report, &path).await?,
            }
        }
        Ok(())
    }

    async fn hello(&mut self, hello: v1::NodeHello, path: &Path<'_>) -> Result<(), Error> {
        let mut violations = Violations::new();
        let report = wire::parse_credit_report(ReportMessage::Hello(hello.clone()), path, &mut violations);
        let path = path.field("hello");
        let v1::NodeHello { node_id, incarnation, version, kinds, features, applied_revision, max_staleness, .. } =
            hello;
        bounded(&version, &path.field("version"), &mut violations);
        if features.len() > MAX_FEATURES {
            let text = format!("has {} names; must have at most {MAX_FEATURES}", features.len());
            violations.add(path.field("features"), text);
        }
        if kinds.len() > MAX_FEATURES {
            let text = format!("has {} kinds; must have at most {MAX_FEATURES}", kinds.len());
            violations.add(path.field("kinds"), text);
        }
        for (index, feature) in features.iter().enumerate() {
            bounded(feature, &path.field("features").index(index), &mut violations);
        }
        let max_staleness = max_staleness.and_then(|span| {
            let parsed = Duration::try_from(span).ok();
            if parsed.is_none() {
                violations.add(path.field("max_staleness"), "is no span of time; must be at least 0");
            }
            parsed
        });
        if applied_revision < 0 {
            violations.add(path.field("applied_revision"), "must be a revision, or 0 for none");
        }
        violations.or(())?;
        let Some(Report::Hello(hello)) = report else { return Err(invalid(&path, "is no hello")) };
        speaks_for(&self.principal, &node_id)?;
        self.notes.node(&node_id);
        let (caller, node_id) = (self.principal.owner().as_ref().into(), node_id.into());
        let outbox = self.outbox.clone();
        self.api.ledger.begin_session(caller, node_id, incarnation, hello, outbox).await?;
        let now = self.api.now();
        self.api.ledger.fleet().enter(NodeStatus {
            incarnation,
            replica: Box::default(),
            version: version.into(),
            features,
            kinds,
            has_session: true,
            connected_at: now,
            last_seen: now,
            applied_revision,
            max_staleness,
            outbox_batches: 0,
            outbox_age: None,
            open_admissions: 0,
            last_error: Box::default(),
            credit_refused: 0,
        });
        self.incarnation = Some(incarnation);
        Ok(())
    }

    async fn report(&mut self, incarnation: i64, report: ReportMessage, path: &Path<'_>) -> Result<(), Error> {
        match report {
            ReportMessage::AppliedRevision(revision) => {
                if revision < 0 {
                    return Err(invalid(&path.field("applied_revision"), "must be a revision, or 0 for none"));
                }
                self.hear(|status| status.applied_revision = revision);
                Ok(())
            }
            ReportMessage::Status(told) => {
                let v1::NodeStatus { outbox_batches, outbox_age, open_admissions, last_error, credit_refused } = told;
                self.note_refused(credit_refused);
                self.hear(|status| {
                    status.outbox_batches = outbox_batches.max(0);
                    status.outbox_age = outbox_age.and_then(|age| Duration::try_from(age).ok());
                    status.open_admissions = open_admissions.max(0);
                    status.last_error = cut(&last_error).into();
                    status.credit_refused = credit_refused.max(0);
                });
                Ok(())
            }
            report => {
                self.hear(|_| ());
                let mut violations = Violations::new();
                let report = wire::parse_credit_report(report, path, &mut violations);
                let Some(report) = violations.or(report)? else { return Ok(()) };
                self.api.ledger.report_credit(incarnation, report, self.outbox.clone()).await
            }
        }
    }

    /// Counts the requests that the node has refused since its last status in this session for want of credit that others held.
    fn note_refused(&mut self, refused: i64) {
        if let Some(before) = self.refused.replace(refused) {
            self.api.ledger.fleet().note_refused(refused.saturating_sub(before));
        }
    }

    /// Notes that the node was heard, and what it told.
    fn hear(&self, tell: impl FnOnce(&mut NodeStatus)) {
        if let Some(incarnation) = self.incarnation {
            self.api.ledger.fleet().hear(incarnation, self.api.now(), tell);
        }
    }
}

fn go_away(reason: &str) -> v1::ConnectResponse {
    let retry_after = Some(wire::render_duration(RETRY_AFTER));
    let directive = DirectiveMessage::GoAway(v1::GoAway { reason: reason.to_owned(), retry_after });
    v1::ConnectResponse { directives: vec![v1::NodeDirective { directive: Some(directive) }] }
}

fn invalid(path: &Path<'_>, problem: &str) -> Error {
    let mut violations = Violations::new();
    violations.add(path, problem);
    violations.into()
}

fn bounded(text: &str, path: &Path<'_>, violations: &mut Violations) {
    let length = text.chars().count();
    if length > MAX_VERSION {
        violations.add(path, format!("has {length} characters; must have at most {MAX_VERSION}"));
    }
    if text.chars().any(char::is_control) {
        violations.add(path, "has control characters; must be printable");
    }
}

/// A node's error, as much of it as is kept.
fn cut(text: &str) -> &str {
    let end = (0..=MAX_ERROR.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}
