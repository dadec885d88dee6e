//! Reports and directives about credit, in both directions: nodes render the one and parse the other.

use std::time::Duration;

use super::text::{self, required_time, timestamp};
use super::{limit_kind, read_limit_kind};
use crate::counters::CounterKey;
use crate::credit::{Account, Credit, Directive, Hello, Report, Returned, Stated, Used, Want};
use crate::domain::{LimitKind, Path, Timestamp, Violations};
use crate::proto::v1;
use crate::proto::v1::node_directive::Directive as DirectiveMessage;
use crate::proto::v1::node_report::Report as ReportMessage;

/// The report of a node, if it is about credit: `None` for others, and for one that is wrong, which `violations` says then.
pub fn parse_credit_report(
    message: v1::node_report::Report,
    path: &Path<'_>,
    violations: &mut Violations,
) -> Option<Report> {
    let mut parser = Parser { violations, failed: false };
    let report = match message {
        ReportMessage::Hello(v1::NodeHello { connection, session, stated, slots_for, .. }) => {
            let path = path.field("hello");
            let slots_for = parser.duration(slots_for.unwrap_or_default(), &path.field("slots_for"));
            let session = parser.natural(session, &path.field("session"));
            let stated = parser.list(stated, &path.field("stated"), |parser, stated, path| {
                let v1::CreditStated { key, granted, acknowledged } = stated;
                let granted = parser.natural(granted, &path.field("granted"));
                let acknowledged = parser.natural(acknowledged, &path.field("acknowledged"));
                Stated { key: parser.key(key, &path.field("key")), granted, acknowledged }
            });
            Report::Hello(Hello { connection, session, stated, slots_for })
        }
        ReportMessage::Wants(v1::CreditWants { session, wants }) => {
            let wants = parser.bounded_list(wants, &path.field("wants").field("wants"), |parser, want, path| {
                let v1::CreditWant { key, level, ahead, guessed } = want;
                let level = parser.natural(level, &path.field("level"));
                let ahead = parser.natural(ahead, &path.field("ahead"));
                Want { key: parser.key(key, &path.field("key")), level, ahead, guessed }
            });
            Report::Want { session, wants }
        }
        ReportMessage::Returns(v1::CreditReturns { session, returns }) => {
            let returns =
                parser.bounded_list(returns, &path.field("returns").field("returns"), |parser, returned, path| {
                    let v1::CreditReturn { key, returned } = returned;
                    let returned = parser.natural(returned, &path.field("returned"));
                    Returned { key: parser.key(key, &path.field("key")), returned }
                });
            Report::Return { session, returns }
        }
        ReportMessage::Renewal(v1::CreditRenewal { session, sent, slots_for }) => {
            let path = path.field("renewal");
            let sent = parser.duration(sent.unwrap_or_default(), &path.field("sent"));
            let slots_for = parser.duration(slots_for.unwrap_or_default(), &path.field("slots_for"));
            Report::Renew { session, sent, slots_for }
        }
        ReportMessage::AppliedRevision(_) | ReportMessage::Status(_) => return None,
    };
    (!parser.failed).then_some(report)
}

/// The report as the API has it. Of a hello only what is about credit.
pub fn render_credit_report(report: Report) -> v1::NodeReport {
    let message = match report {
        Report::Hello(Hello { connection, session, stated, slots_for }) => {
            let stated = stated.into_iter().map(|Stated { key, granted, acknowledged }| {
                let key = Some(render_credit_key(&key));
                v1::CreditStated { key, granted, acknowledged }
            });
            let stated = stated.collect();
            let slots_for = render_span(slots_for);
            ReportMessage::Hello(v1::NodeHello { connection, session, stated, slots_for, ..v1::NodeHello::default() })
        }
        Report::Want { session, wants } => {
            let wants = wants.into_iter().map(|Want { key, level, ahead, guessed }| {
                let key = Some(render_credit_key(&key));
                v1::CreditWant { key, level, ahead, guessed }
            });
            ReportMessage::Wants(v1::CreditWants { session, wants: wants.collect() })
        }
        Report::Return { session, returns } => {
            let returns = returns.into_iter().map(|Returned { key, returned }| {
                let key = Some(render_credit_key(&key));
                v1::CreditReturn { key, returned }
            });
            ReportMessage::Returns(v1::CreditReturns { session, returns: returns.collect() })
        }
        Report::Renew { session, sent, slots_for } => ReportMessage::Renewal(v1::CreditRenewal {
            session,
            sent: Some(render_duration(sent)),
            slots_for: render_span(slots_for),
        }),
    };
    v1::NodeReport { report: Some(message) }
}

/// The directive of a server, if it is about credit: `None` for others.
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn parse_credit_directive(message: v1::node_directive::Directive) -> Result<Option<Directive>, Violations> {
    let mut violations = Violations::new();
    let mut parser = Parser { violations: &mut violations, failed: false };
    let directive = match message {
        DirectiveMessage::Welcome(v1::CreditWelcome { connection, session, credits }) => {
            let credits = parser.list(credits, &Path::root("welcome").field("credits"), Parser::credit);
            Directive::Welcome { connection, session, credits }
        }
        DirectiveMessage::Grant(v1::CreditGrant { session, credits }) => {
            let credits = parser.list(credits, &Path::root("grant").field("credits"), Parser::credit);
            Directive::Grant { session, credits }
        }
        DirectiveMessage::Unmet(v1::CreditUnmet { session, keys, recalling }) => {
            let keys = parser.keys(keys, &Path::root("unmet").field("keys"));
            Directive::Unmet { session, keys, recalling }
        }
        DirectiveMessage::Recall(v1::CreditRecall { session, keys }) => {
            let keys = parser.keys(keys, &Path::root("recall").field("keys"));
            Directive::Recall { session, keys }
        }
        DirectiveMessage::Renewed(v1::CreditRenewed { session, sent }) => {
            let sent = parser.duration(sent.unwrap_or_default(), &Path::root("renewed").field("sent"));
            Directive::Renewed { session, sent }
        }
        DirectiveMessage::Stale(v1::CreditStale { session }) => Directive::Stale { session },
        DirectiveMessage::Closed(v1::NodeClosed {}) => Directive::Closed,
        DirectiveMessage::GoAway(_) => return Ok(None),
    };
    violations.or(Some(directive))
}

/// The directive as the API has it.
pub fn render_credit_directive(directive: Directive) -> v1::NodeDirective {
    let render_credits = |credits: Vec<Credit>| credits.into_iter().map(render_credit).collect();
    let render_keys = |keys: Vec<CounterKey>| keys.iter().map(render_credit_key).collect();
    let message = match directive {
        Directive::Welcome { connection, session, credits } => {
            DirectiveMessage::Welcome(v1::CreditWelcome { connection, session, credits: render_credits(credits) })
        }
        Directive::Grant { session, credits } => {
            DirectiveMessage::Grant(v1::CreditGrant { session, credits: render_credits(credits) })
        }
        Directive::Unmet { session, keys, recalling } => {
            DirectiveMessage::Unmet(v1::CreditUnmet { session, keys: render_keys(keys), recalling })
        }
        Directive::Recall { session, keys } => {
            DirectiveMessage::Recall(v1::CreditRecall { session, keys: render_keys(keys) })
        }
        Directive::Renewed { session, sent } => {
            DirectiveMessage::Renewed(v1::CreditRenewed { session, sent: Some(render_duration(sent)) })
        }
        Directive::Stale { session } => DirectiveMessage::Stale(v1::CreditStale { session }),
        Directive::Closed => DirectiveMessage::Closed(v1::NodeClosed {}),
    };
    v1::NodeDirective { directive: Some(message) }
}

/// The cumulative usage that comes with a usage batch, each limit and window once, or `None` with everything that is wrong
/// with it.
pub fn parse_credit_used(used: Vec<v1::CreditUsed>, path: &Path<'_>, violations: &mut Violations) -> Option<Vec<Used>> {
    let mut parser = Parser { violations, failed: false };
    let used = parser.list(used, path, |parser, v1::CreditUsed { key, used, uncovered }, path| Used {
        key: parser.key(key, &path.field("key")),
        used: parser.natural(used, &path.field("used")),
        uncovered: parser.natural(uncovered, &path.field("uncovered")),
    });
    (!parser.failed).then_some(used)
}

/// The cumulative usage as a usage batch has it.
pub fn render_credit_used<'a>(used: impl IntoIterator<Item = (&'a CounterKey, i64)>) -> Vec<v1::CreditUsed> {
    let used = used.into_iter();
    used.map(|(key, used)| v1::CreditUsed { key: Some(render_credit_key(key)), used, uncovered: 0 }).collect()
}

/// The limit and window as the API has them.
pub fn render_credit_key(key: &CounterKey) -> v1::CreditKey {
    let CounterKey { limit_id, kind, window_start } = key;
    v1::CreditKey {
        limit_id: limit_id.to_string(),
        kind: limit_kind(*kind).into(),
        window_start: Some(timestamp(*window_start)),
    }
}

/// The limit and window of a message that was rendered here; `None` if it is none.
pub fn read_credit_key(message: &v1::CreditKey) -> Option<CounterKey> {
    let v1::CreditKey { limit_id, kind, window_start } = message;
    let start = window_start.as_ref()?;
    let window_start = Timestamp::from_parts(start.seconds, start.nanos)?;
    Some(CounterKey { limit_id: limit_id.as_str().into(), kind: read_limit_kind(*kind)?, window_start })
}

/// The span of time, which is absent if it is none.
fn render_span(span: Duration) -> Option<prost_types::Duration> {
    (!span.is_zero()).then(|| render_duration(span))
}

/// The span of time as protobuf has it.
pub fn render_duration(duration: Duration) -> prost_types::Duration {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    prost_types::Duration { seconds, nanos: duration.subsec_nanos().cast_signed() }
}

fn render_credit(credit: Credit) -> v1::Credit {
    let Credit { key, account: Account { granted, used, returned }, max, ends, lease, alone, raised_until, is_raised } =
        credit;
    v1::Credit {
        key: Some(render_credit_key(&key)),
        granted,
        used,
        returned,
        max,
        window_end: Some(timestamp(ends)),
        valid_for: lease.map(render_duration),
        alone,
        raised_until: raised_until.map(timestamp),
        raised: is_raised,
    }
}

/// Notes everything that is wrong with a message. A value that is wrong is replaced by any, and the message is refused.
struct Parser<'v> {
    violations: &'v mut Violations,
    failed: bool,
}

impl Parser<'_> {
    fn fail(&mut self, path: &Path<'_>, problem: impl Into<String>) {
        self.violations.add(path, problem);
        self.failed = true;
    }

    /// Runs what adds violations itself.
    fn check<T>(&mut self, run: impl FnOnce(&mut Violations) -> T) -> T {
        let mut found = Violations::new();
        let value = run(&mut found);
        self.failed |= !found.is_empty();
        self.violations.append(found);
        value
    }

    fn natural(&mut self, number: i64, path: &Path<'_>) -> i64 {
        if number < 0 {
            self.fail(path, format!("is {number}; must be at least 0"));
        }
        number
    }

    fn duration(&mut self, duration: prost_types::Duration, path: &Path<'_>) -> Duration {
        Duration::try_from(duration).unwrap_or_else(|_| {
            self.fail(path, "is no span of time; must be at least 0");
            Duration::ZERO
        })
    }

    fn time(&mut self, time: Option<prost_types::Timestamp>, path: &Path<'_>) -> Timestamp {
        self.check(|violations| required_time(time, path, violations))
    }

    fn list<T, M>(
        &mut self,
        list: Vec<M>,
        path: &Path<'_>,
        mut parse: impl FnMut(&mut Self, M, &Path<'_>) -> T,
    ) -> Vec<T> {
        list.into_iter().enumerate().map(|(index, message)| parse(self, message, &path.index(index))).collect()
    }

    /// A list of which a client could send more than is good for others.
    fn bounded_list<T, M>(
        &mut self,
        list: Vec<M>,
        path: &Path<'_>,
        parse: impl FnMut(&mut Self, M, &Path<'_>) -> T,
    ) -> Vec<T> {
        self.check(|violations| text::count(list.len(), path, violations));
        self.list(list, path, parse)
    }

    fn key(&mut self, key: Option<v1::CreditKey>, path: &Path<'_>) -> CounterKey {
        let v1::CreditKey { limit_id, kind, window_start } = key.unwrap_or_default();
        let limit_id = self.check(|violations| text::reference(&limit_id, &path.field("limit_id"), violations));
        let kind = read_limit_kind(kind).unwrap_or_else(|| {
            self.fail(
                &path.field("kind"),
                "is no kind of limit; must be LIMIT_KIND_TOKENS, LIMIT_KIND_REQUESTS, LIMIT_KIND_BUDGET or \
                 LIMIT_KIND_CONCURRENCY",
            );
            LimitKind::Budget
        });
        let window_start = self.time(window_start, &path.field("window_start"));
        CounterKey { limit_id: limit_id.as_ref().into(), kind, window_start }
    }

    fn keys(&mut self, keys: Vec<v1::CreditKey>, path: &Path<'_>) -> Vec<CounterKey> {
        self.list(keys, path, |parser, key, path| parser.key(Some(key), path))
    }

    fn credit(&mut self, credit: v1::Credit, path: &Path<'_>) -> Credit {
        let v1::Credit { key, granted, used, returned, max, window_end, valid_for, alone, raised_until, raised } =
            credit;
        let account = Account {
            granted: self.natural(granted, &path.field("granted")),
            used: self.natural(used, &path.field("used")),
            returned: self.natural(returned, &path.field("returned")),
        };
        let ends = self.time(window_end, &path.field("window_end"));
        let lease = valid_for.map(|lease| self.duration(lease, &path.field("valid_for")));
        let raised_until = raised_until.map(|until| self.time(Some(until), &path.field("raised_until")));
        let key = self.key(key, &path.field("key"));
        Credit { key, account, max, ends, lease, alone, raised_until, is_raised: raised }
    }
}
