//! The checker has nothing to say of a history that is as it should be, and finds each way in which one is not.

use std::time::Duration;

use tollgate::domain::{Kind, Timestamp};
use tollgate::proto::v1;
use tollgate::reducer::Reducer;
use tollgate::state::{Chain, Head, Op};
use tollgate::store::{ChainVersion, LogBody, RevisionRecord};

use super::*;
use crate::usage::reporter::Amounts;

const KEY: &str = "key";
const TEAM: &str = "team";

fn team(id: &str, name: &str, revision: i64) -> ConfigResource {
    let team = v1::Team { id: id.to_owned(), name: name.to_owned(), revision, ..Default::default() };
    ConfigResource { resource: Some(config_resource::Resource::Team(team)) }
}

/// A change of a team: its id and the name that it has afterwards, if it is there afterwards.
type Change<'a> = (&'a str, Option<&'a str>);

/// The log of these changes, one a revision. The request that did revision 7 is `r7`.
fn log(changes: &[Change<'_>]) -> Log {
    let (mut txns, mut names) = (Vec::<RevisionRecord>::new(), BTreeMap::<&str, LogBody>::new());
    for (revision, (id, name)) in (1..).zip(changes) {
        let before = names.remove(id);
        let after = name.map(|name| LogBody::from(team(id, name, revision).encode_to_vec()));
        names.extend(after.clone().map(|after| (*id, after)));
        let op = match (&before, &after) {
            (None, _) => Op::Create,
            (Some(_), Some(_)) => Op::Update,
            (Some(_), None) => Op::Delete,
        };
        let row = LogRow { kind: Kind::Team, id: (*id).into(), op, before, after };
        txns.push(RevisionRecord {
            revision,
            chain: Chain::ORIGIN,
            chain_version: ChainVersion::CURRENT,
            committed_at: Timestamp::EPOCH,
            actor: String::new(),
            peer: String::new(),
            method: String::new(),
            request_id: format!("r{revision}"),
            request_digest: None,
            adjustment: None,
            rows: vec![row],
        });
    }
    chained(txns)
}

/// A log whose chain is that of these revisions.
fn chained(mut txns: Vec<RevisionRecord>) -> Log {
    let mut chain = Chain::ORIGIN;
    for txn in &mut txns {
        chain = txn.chain_after(chain);
        txn.chain = chain;
    }
    let head = Head {
        store_id: "store".into(),
        revision: txns.last().map_or(0, |txn| txn.revision),
        chain,
        committed_at: Timestamp::EPOCH,
        compacted_revision: 0,
        compacted_chain: Chain::ORIGIN,
        last_config_id: 0,
    };
    Log { txns, head }
}

fn copy(revision: i64, teams: &[(&str, &str, i64)]) -> Arc<View> {
    let teams = teams.iter().map(|(id, name, revision)| team(id, name, *revision));
    Reducer::restore(teams, revision, "token").unwrap().state()
}

/// A write that took from one millisecond to another.
fn wrote(write: Write, (began, ended): (u64, u64), request: i64, outcome: Outcome) -> WriteRecord {
    let (began, ended) = (Duration::from_millis(began), Duration::from_millis(ended));
    WriteRecord { write, request_id: format!("r{request}"), began, ended, outcome }
}

fn acknowledged(id: &str, revision: i64) -> Outcome {
    Outcome::Acknowledged { id: id.to_owned(), revision }
}

fn begun(resumes: bool, mode: WatchMode, reason: WatchReason) -> Seen {
    Seen::Begun { resumes, at_least: 2, mode, reason, head: 2 }
}

fn bookmark(at: u64, age: u64, revision: i64) -> Seen {
    Seen::Bookmark { at: Duration::from_millis(at), age: Duration::from_millis(age), revision }
}

const SPENT: Amounts = Amounts { requests: 3, tokens: 20, cost: 7 };

/// The log, and a history that agrees with it: of what came after revision 1, two writes were acknowledged, one was given
/// up and done, one was given up and not done.
fn good() -> (History, Log) {
    let log =
        log(&[("p", Some("prepared")), ("a", Some("one")), ("a", Some("two")), ("a", None), ("b", Some("three"))]);
    let (one, two) = (Write::Create("one".to_owned()), Write::Update("a".to_owned(), "two".to_owned()));
    let writes = vec![
        wrote(one, (0, 10), 2, acknowledged("a", 2)),
        wrote(two, (11, 20), 3, acknowledged("a", 3)),
        wrote(Write::Delete("a".to_owned()), (21, 30), 4, Outcome::Unknown),
        wrote(Write::Create("three".to_owned()), (15, 40), 5, acknowledged("b", 5)),
        wrote(Write::Create("four".to_owned()), (22, 50), 6, Outcome::Unknown),
    ];
    let last = copy(5, &[("p", "prepared", 1), ("b", "three", 5)]);
    let stream = vec![
        begun(false, WatchMode::Snapshot, WatchReason::First),
        Seen::Copy(copy(2, &[("p", "prepared", 1), ("a", "one", 2)])),
        begun(true, WatchMode::Resumed, WatchReason::Unspecified),
        Seen::Copy(copy(3, &[("p", "prepared", 1), ("a", "two", 3)])),
        Seen::Copy(Arc::clone(&last)),
    ];
    let consumed = BTreeMap::from([(KEY.to_owned(), SPENT)]);
    let batches = vec![Reported { incarnation: 1, sequence: 1, consumed, applied: 1, duplicates: 1 }];
    let counted = BTreeMap::from([(KEY.to_owned(), SPENT), (TEAM.to_owned(), SPENT)]);
    let history = History {
        prepared: 1,
        started: Some(Timestamp::EPOCH),
        writes,
        streams: vec![stream],
        last: vec![("watcher".to_owned(), last)],
        lost: None,
        batches,
        keys: BTreeMap::from([(KEY.to_owned(), TEAM.to_owned())]),
        counted: vec![("replica".to_owned(), counted)],
        stops: Vec::new(),
        complaints: Vec::new(),
    };
    (history, log)
}

/// The laws that are broken if `spoil` is done to the good history and its log.
fn broken(spoil: impl FnOnce(&mut History, &mut Log)) -> BTreeSet<Law> {
    let (mut history, mut log) = good();
    spoil(&mut history, &mut log);
    check(&history, &log).0.into_iter().map(|violation| violation.law).collect()
}

macro_rules! finds {
    ($($name:ident: $laws:expr, $spoil:expr;)*) => {$(
        #[test]
        fn $name() {
            assert_eq!(broken($spoil), BTreeSet::from($laws));
        }
    )*};
}

#[test]
fn a_history_that_agrees_with_the_log_breaks_no_law() {
    let (history, log) = good();
    assert_eq!(check(&history, &log), (Vec::new(), 3));
    assert_eq!(check(&History { prepared: 5, ..History::default() }, &log), (Vec::new(), 0));
}

/// Makes the good history one of a store that was restored at revision 1: the watcher had something else at 2 before.
fn restored(history: &mut History) {
    history.lost = Some(log(&[("p", Some("prepared")), ("z", Some("lost"))]));
    history.streams[0].splice(
        ..1,
        [
            begun(true, WatchMode::Resumed, WatchReason::Unspecified),
            Seen::Copy(copy(2, &[("p", "prepared", 1), ("z", "lost", 2)])),
            begun(true, WatchMode::Snapshot, WatchReason::Diverged),
        ],
    );
}

#[test]
fn a_store_that_was_restored_breaks_no_law_if_everybody_is_told() {
    assert_eq!(broken(|history, _| restored(history)), BTreeSet::new());
}

finds! {
    a_write_that_is_lost: [Law::Durable, Law::Copies, Law::Converges], |history, log| {
        // It was given up, so that it need not be there; the last, which was acknowledged, must be.
        history.writes[2].outcome = Outcome::Unknown;
        log.txns.truncate(4);
        *log = chained(log.txns.clone());
    };
    a_write_that_was_given_up_may_be_lost: [], |history, _| {
        history.writes.push(wrote(Write::Create("five".to_owned()), (1, 2), 9, Outcome::Unknown));
    };
    a_write_that_is_done_twice: [Law::Once, Law::Converges], |_, log| {
        *log = super::tests::log(&[
            ("p", Some("prepared")), ("a", Some("one")), ("a", Some("two")), ("a", None), ("b", Some("three")),
            ("c", Some("three")),
        ]);
    };
    one_that_was_given_up_is_done_twice: [Law::Once, Law::Converges], |_, log| {
        *log = super::tests::log(&[
            ("p", Some("prepared")), ("a", Some("one")), ("a", Some("two")), ("a", None), ("b", Some("three")),
            ("c", Some("four")), ("d", Some("four")),
        ]);
    };
    a_write_that_nobody_asked_for: [Law::Wanted], |history, _| {
        history.writes.remove(2);
    };
    a_write_that_was_refused_and_done: [Law::Truthful, Law::Wanted], |history, _| {
        history.writes[2].outcome = Outcome::Refused("it is not there".to_owned());
    };
    a_write_that_was_refused: [Law::Truthful], |history, _| {
        history.writes[4].outcome = Outcome::Refused("the name is taken".to_owned());
    };
    an_answer_of_another_revision: [Law::Truthful], |history, _| {
        history.writes[3].outcome = acknowledged("b", 4);
    };
    an_answer_of_another_team: [Law::Truthful], |history, _| {
        history.writes[3].outcome = acknowledged("c", 5);
    };
    a_request_that_is_logged_as_another: [Law::Truthful], |history, _| {
        history.writes[3].request_id = "r9".to_owned();
    };
    a_later_write_with_an_earlier_revision: [Law::RealTime], |history, _| {
        // The first begins when the second, with the revision after, has ended.
        (history.writes[0].began, history.writes[0].ended) = (Duration::from_millis(21), Duration::from_millis(22));
    };
    a_clock_that_is_an_hour_off: [Law::Clock], |_, log| {
        log.txns[4].committed_at = Timestamp::from_micros(3_600_000_000);
        *log = chained(log.txns.clone());
    };
    two_writes_at_once_in_any_order: [], |history, _| {
        (history.writes[0].began, history.writes[0].ended) = (Duration::from_millis(20), Duration::from_millis(22));
    };
    a_revision_that_is_missing: [Law::Chain], |history, log| {
        // Of a write that nobody waits for.
        history.writes.remove(2);
        log.txns.remove(3);
        log.txns[3].rows.insert(0, LogRow {
            kind: Kind::Team, id: "a".into(), op: Op::Delete, before: Some(Vec::new().into()), after: None,
        });
        history.writes.push(wrote(Write::Delete("a".to_owned()), (1, 2), 5, Outcome::Unknown));
        *log = chained(log.txns.clone());
    };
    a_log_that_was_changed_afterwards: [Law::Chain], |_, log| {
        log.txns[1].rows[0].before = Some(b"something".to_vec().into());
    };
    a_head_that_the_log_does_not_lead_to: [Law::Chain], |_, log| {
        log.head.chain = Chain::ORIGIN;
    };
    a_stream_that_starts_over: [Law::Resumes], |history, _| {
        history.streams[0][2] = begun(true, WatchMode::Snapshot, WatchReason::Diverged);
    };
    a_stream_that_begins_before_what_it_is_asked_for: [Law::Resumes], |history, _| {
        let resumed = (WatchMode::Resumed, WatchReason::Unspecified);
        let (mode, reason) = resumed;
        history.streams[0][2] = Seen::Begun { resumes: true, at_least: 3, mode, reason, head: 2 };
    };
    a_stream_that_goes_back: [Law::Resumes], |history, _| {
        history.streams[0].swap(1, 4);
    };
    a_stream_that_takes_back_what_no_bookmark_followed: [Law::Resumes], |history, _| {
        let ahead = history.streams[0].remove(3);
        history.streams[0].insert(1, ahead);
    };
    a_stream_that_resumes_behind_what_is_shown: [Law::Resumes], |history, _| {
        history.streams[0].swap(2, 3);
    };
    a_copy_that_goes_back_when_the_snapshot_of_a_loss_is_over: [Law::Resumes], |history, _| {
        restored(history);
        history.streams[0].swap(3, 5);
    };
    somebody_who_is_not_told_of_a_loss: [Law::Resumes], |history, log| {
        history.lost = Some(log.clone());
    };
    what_is_lost_after_somebody_was_told: [Law::Copies], |history, _| {
        restored(history);
        history.streams[0].swap(1, 2);
    };
    a_copy_that_is_of_neither_log: [Law::Copies], |history, _| {
        restored(history);
        history.streams[0][1] = Seen::Copy(copy(2, &[("p", "prepared", 1), ("y", "else", 2)]));
    };
    a_copy_that_lacks_a_team: [Law::Copies], |history, _| {
        history.streams[0][1] = Seen::Copy(copy(2, &[("p", "prepared", 1)]));
    };
    a_copy_with_a_team_that_is_gone: [Law::Copies], |history, _| {
        history.streams[0][4] = Seen::Copy(copy(5, &[("p", "prepared", 1), ("a", "two", 3), ("b", "three", 5)]));
    };
    a_copy_with_a_team_as_it_was: [Law::Copies], |history, _| {
        history.streams[0][3] = Seen::Copy(copy(3, &[("p", "prepared", 1), ("a", "one", 2)]));
    };
    a_copy_at_a_revision_that_was_never_written: [Law::Copies], |history, _| {
        history.streams[0].push(Seen::Copy(copy(6, &[("p", "prepared", 1), ("b", "three", 5)])));
    };
    somebody_who_ends_too_early: [Law::Converges], |history, _| {
        history.last[0].1 = copy(4, &[("p", "prepared", 1)]);
    };
    somebody_who_ends_with_another_copy: [Law::Converges], |history, _| {
        history.last[0].1 = copy(5, &[("p", "prepared", 1)]);
    };
    a_nano_dollar_too_much: [Law::Usage], |history, _| {
        history.counted[0].1.get_mut(TEAM).unwrap().cost += 1;
    };
    a_key_whose_usage_is_lost: [Law::Usage], |history, _| {
        history.counted[0].1.remove(KEY);
    };
    a_batch_that_counts_twice: [Law::Usage], |history, _| {
        history.batches[0].applied = 2;
    };
    a_batch_without_an_acknowledgement: [Law::Usage], |history, _| {
        (history.batches[0].applied, history.batches[0].duplicates) = (0, 0);
    };
    a_bookmark_behind_of_what_was_acknowledged_long_before: [Law::Current], |history, _| {
        history.streams[0].push(bookmark(6_000, 0, 4));
    };
    one_that_says_how_old_it_is: [], |history, _| {
        history.streams[0].push(bookmark(6_000, 2_000, 4));
    };
    one_that_may_have_been_on_its_way: [], |history, _| {
        history.streams[0].push(bookmark(4_000, 0, 4));
    };
    one_whose_replica_was_stopped_before_it_was_sent: [], |history, _| {
        history.stops.push(Duration::from_secs(3)..Duration::from_secs(5));
        history.streams[0].push(bookmark(6_000, 0, 4));
    };
    one_that_came_long_after_a_replica_was_stopped: [Law::Current], |history, _| {
        history.stops.push(Duration::from_secs(3)..Duration::from_secs(5));
        history.streams[0].push(bookmark(12_000, 0, 4));
    };
    what_a_client_noticed: [Law::Noticed], |history, _| {
        history.complaints.push("the digest of kind 2 is another".to_owned());
    };
}
