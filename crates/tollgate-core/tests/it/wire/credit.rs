//! Reports and directives about credit: every value comes back, and each message that is none is refused by its field.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use tollgate_core::counters::CounterKey;
use tollgate_core::credit::{Account, Credit, Directive, Hello, Report, Returned, Stated, Used, Want};
use tollgate_core::domain::{LimitKind, Path, Timestamp, Violations};
use tollgate_core::proto::v1;
use tollgate_core::wire::*;

fn keys() -> impl Strategy<Value = CounterKey> {
    let kind = proptest::sample::select(LimitKind::ALL.to_vec());
    let start = Timestamp::MIN.as_micros()..=Timestamp::MAX.as_micros();
    ("[a-z0-9-]{1,40}", kind, start).prop_map(|(id, kind, start)| CounterKey {
        limit_id: id.as_str().into(),
        kind,
        window_start: Timestamp::from_micros(start),
    })
}

fn amounts() -> impl Strategy<Value = i64> {
    prop_oneof![0..10_i64, 0..=i64::MAX]
}

fn spans() -> impl Strategy<Value = Duration> {
    (0..1_000_000_000_u64, 0..1_000_000_000_u32).prop_map(|(seconds, nanos)| Duration::new(seconds, nanos))
}

fn reports() -> impl Strategy<Value = Report> {
    let stated = (keys(), amounts(), amounts());
    let stated = stated.prop_map(|(key, granted, acknowledged)| Stated { key, granted, acknowledged });
    let want = (keys(), amounts(), amounts(), any::<bool>());
    let want = want.prop_map(|(key, level, ahead, guessed)| Want { key, level, ahead, guessed });
    let returned = (keys(), amounts()).prop_map(|(key, returned)| Returned { key, returned });
    prop_oneof![
        (any::<u64>(), amounts(), vec(stated, 0..4), spans()).prop_map(|(connection, session, stated, slots_for)| {
            Report::Hello(Hello { connection, session, stated, slots_for })
        }),
        (any::<i64>(), vec(want, 0..4)).prop_map(|(session, wants)| Report::Want { session, wants }),
        (any::<i64>(), vec(returned, 0..4)).prop_map(|(session, returns)| Report::Return { session, returns }),
        (any::<i64>(), spans(), spans()).prop_map(|(session, sent, slots_for)| Report::Renew {
            session,
            sent,
            slots_for
        }),
    ]
}

fn credits() -> impl Strategy<Value = Vec<Credit>> {
    let account = (amounts(), amounts(), amounts());
    let account = account.prop_map(|(granted, used, returned)| Account { granted, used, returned });
    let ends = keys().prop_map(|key| key.window_start);
    let raised = (proptest::option::of(keys().prop_map(|key| key.window_start)), any::<bool>());
    let credit = (keys(), account, amounts(), ends, proptest::option::of(spans()), any::<bool>(), raised);
    let credit = credit.prop_map(|(key, account, max, ends, lease, alone, (raised_until, is_raised))| Credit {
        key,
        account,
        max,
        ends,
        lease,
        alone,
        raised_until,
        is_raised,
    });
    vec(credit, 0..4)
}

fn directives() -> impl Strategy<Value = Directive> {
    prop_oneof![
        (any::<u64>(), any::<i64>(), credits()).prop_map(|(connection, session, credits)| Directive::Welcome {
            connection,
            session,
            credits
        }),
        (any::<i64>(), credits()).prop_map(|(session, credits)| Directive::Grant { session, credits }),
        (any::<i64>(), vec(keys(), 0..4), any::<bool>()).prop_map(|(session, keys, recalling)| Directive::Unmet {
            session,
            keys,
            recalling
        }),
        (any::<i64>(), vec(keys(), 0..4)).prop_map(|(session, keys)| Directive::Recall { session, keys }),
        (any::<i64>(), spans()).prop_map(|(session, sent)| Directive::Renewed { session, sent }),
        any::<i64>().prop_map(|session| Directive::Stale { session }),
        Just(Directive::Closed),
    ]
}

proptest! {
    #![proptest_config(super::config())]

    #[test]
    fn a_report_comes_back(report in reports()) {
        let message = render_credit_report(report.clone()).report.expect("a report");
        let mut violations = Violations::new();
        prop_assert_eq!(parse_credit_report(message, &Path::root("reports"), &mut violations), Some(report));
        prop_assert!(violations.is_empty());
    }

    #[test]
    fn a_directive_comes_back(directive in directives()) {
        let message = render_credit_directive(directive.clone()).directive.expect("a directive");
        prop_assert_eq!(parse_credit_directive(message), Ok(Some(directive)));
    }

    #[test]
    fn the_usage_of_a_batch_comes_back(used in vec((keys(), amounts(), amounts()), 0..5)) {
        let mut message = render_credit_used(used.iter().map(|(key, used, _)| (key, *used)));
        message.iter_mut().zip(&used).for_each(|(message, (.., uncovered))| message.uncovered = *uncovered);
        let used = used.into_iter().map(|(key, used, uncovered)| Used { key, used, uncovered }).collect();
        let mut violations = Violations::new();
        prop_assert_eq!(parse_credit_used(message, &Path::root("credit_used"), &mut violations), Some(used));
    }
}

/// The fields that make a report none.
fn wrong(report: v1::node_report::Report) -> Vec<String> {
    let mut violations = Violations::new();
    assert_eq!(parse_credit_report(report, &Path::root("reports").index(2), &mut violations), None);
    violations.iter().map(|violation| violation.field.clone()).collect()
}

#[test]
fn each_field_that_is_wrong_is_named() {
    use v1::node_report::Report;
    let key = |limit_id: &str, kind: i32| {
        let window_start = Some(prost_types::Timestamp::default());
        Some(v1::CreditKey { limit_id: limit_id.into(), kind, window_start })
    };
    let want = v1::CreditWant { key: key("", 9), level: -1, ahead: -1, guessed: false };
    let wants = Report::Wants(v1::CreditWants { session: 1, wants: vec![want] });
    let fields = ["level", "ahead", "key.limit_id", "key.kind"];
    assert_eq!(wrong(wants), fields.map(|field| format!("reports[2].wants.wants[0].{field}")));

    let returns = vec![v1::CreditReturn { key: None, returned: -1 }];
    let returns = Report::Returns(v1::CreditReturns { session: 1, returns });
    let fields = ["returned", "key.limit_id", "key.kind", "key.window_start"];
    assert_eq!(wrong(returns), fields.map(|field| format!("reports[2].returns.returns[0].{field}")));

    let stated = vec![v1::CreditStated { key: key("a", 1), granted: -1, acknowledged: -1 }];
    let span = Some(prost_types::Duration { seconds: -1, nanos: 0 });
    let hello = Report::Hello(v1::NodeHello { session: -1, stated, slots_for: span, ..v1::NodeHello::default() });
    let fields = ["slots_for", "session", "stated[0].granted", "stated[0].acknowledged"];
    assert_eq!(wrong(hello), fields.map(|field| format!("reports[2].hello.{field}")));

    let renewal = Report::Renewal(v1::CreditRenewal { session: 1, sent: span, slots_for: span });
    assert_eq!(wrong(renewal), ["sent", "slots_for"].map(|field| format!("reports[2].renewal.{field}")));

    let wants = vec![v1::CreditWant { key: key("a", 1), ..v1::CreditWant::default() }; 1_001];
    assert_eq!(wrong(Report::Wants(v1::CreditWants { session: 1, wants })), ["reports[2].wants.wants"]);
}

#[test]
fn reports_that_are_not_about_credit_are_none_and_no_error() {
    let mut violations = Violations::new();
    for report in
        [v1::node_report::Report::AppliedRevision(7), v1::node_report::Report::Status(v1::NodeStatus::default())]
    {
        assert_eq!(parse_credit_report(report, &Path::root("reports"), &mut violations), None);
    }
    assert!(violations.is_empty());
    assert_eq!(parse_credit_directive(v1::node_directive::Directive::GoAway(v1::GoAway::default())), Ok(None));
}
