//! The log: listing, following, compaction and pruning.

use super::*;
use crate::domain::Kind;

async fn with_history() -> Bench {
    let mut bench = Bench::new().await;
    bench.commit(&[vec![put("a", 1, customer("a")), put("a", 1, team("a"))]]).await;
    bench
        .commit(&[
            vec![put("a", 2, customer("b"))],
            vec![put("b", 3, customer("x")), put("c", 3, customer("c")), put("b", 3, team("b"))],
        ])
        .await;
    bench.commit(&[vec![remove::<Team>("a")], vec![remove::<Customer>("c"), remove::<Team>("b")]]).await;
    bench.commit(&[vec![put("b", 6, team("again"))]]).await;
    bench
}

/// All changes that match, the newest first, by the log that was committed.
fn expected(bench: &Bench, matches: impl Fn(&RevisionRecord, &LogRow) -> bool) -> Vec<LoggedChange> {
    let mut changes = Vec::new();
    for txn in &bench.log {
        for (row, ord) in txn.rows.iter().zip(0..) {
            if matches(txn, row) {
                changes.push(LoggedChange {
                    txn: RevisionRecord { rows: Vec::new(), ..txn.clone() },
                    ord,
                    row: row.clone(),
                });
            }
        }
    }
    changes.reverse();
    changes
}

#[tokio::test]
async fn changes_are_listed_by_all_filters_and_page_by_page() {
    let bench = with_history().await;
    let none = ChangeFilter::default;
    type Matches<'a> = &'a dyn Fn(&RevisionRecord, &LogRow) -> bool;
    let cases: [(ChangeFilter, Matches<'_>); 9] = [
        (none(), &|_, _| true),
        (ChangeFilter { kind: Some(Kind::Team), ..none() }, &|_, row| row.kind == Kind::Team),
        (ChangeFilter { id: Some("b".to_owned()), ..none() }, &|_, row| row.id.as_ref() == "b"),
        (ChangeFilter { actors: vec!["actor-1".to_owned()], ..none() }, &|txn, _| txn.actor == "actor-1"),
        (ChangeFilter { from: Some(at(3)), ..none() }, &|txn, _| txn.revision >= 3),
        (ChangeFilter { to: Some(at(3)), ..none() }, &|txn, _| txn.revision < 3),
        (ChangeFilter { revision: Some(3), ..none() }, &|txn, _| txn.revision == 3),
        (ChangeFilter { actors: vec!["nobody".to_owned()], ..none() }, &|_, _| false),
        (
            ChangeFilter {
                kind: Some(Kind::Customer),
                id: Some("b".to_owned()),
                actors: vec!["actor-1".to_owned()],
                from: Some(at(2)),
                to: Some(at(4)),
                revision: Some(3),
            },
            &|txn, row| txn.revision == 3 && row.kind == Kind::Customer && row.id.as_ref() == "b",
        ),
    ];
    for (filter, matches) in cases {
        let expected = expected(&bench, matches);
        for limit in [1, 2, 100] {
            let mut listed: Vec<LoggedChange> = Vec::new();
            loop {
                let before = listed.last().map(|last| (last.txn.revision, last.ord));
                let page = bench.store.list_changes(&filter, before, limit).await.unwrap();
                assert!(page.len() as u64 <= limit);
                if page.is_empty() {
                    break;
                }
                listed.extend(page);
            }
            assert_eq!(listed, expected, "{filter:?}");
        }
    }
}

#[tokio::test]
async fn the_log_is_read_as_it_was_written() {
    let bench = with_history().await;
    assert_eq!(bench.store.read_log(0, 100).await.unwrap(), bench.log);
    assert_eq!(bench.store.read_log(2, 2).await.unwrap(), bench.log[2..4]);
    assert_eq!(bench.store.read_log(6, 2).await.unwrap(), []);
    assert_eq!(bench.store.chain_at(0).await.unwrap(), Some(Chain::ORIGIN));
    assert_eq!(bench.store.chain_at(3).await.unwrap(), Some(bench.log[2].chain));
    assert_eq!(bench.store.chain_at(7).await.unwrap(), None);
    assert_eq!(bench.store.revision_at(at(0)).await.unwrap(), None);
    assert_eq!(bench.store.revision_at(at(3)).await.unwrap(), Some(3));
    assert_eq!(bench.store.revision_at(at(100)).await.unwrap(), Some(6));
}

#[tokio::test]
async fn compaction_moves_forward_only_and_to_what_the_log_says() {
    let mut bench = with_history().await;
    let to = |bench: &Bench, revision: i64| Head {
        compacted_revision: revision,
        compacted_chain: bench.log[revision as usize - 1].chain,
        ..bench.head.clone()
    };
    for refused in
        [Head { compacted_revision: 7, ..to(&bench, 6) }, Head { store_id: "another".into(), ..to(&bench, 4) }]
    {
        assert!(matches!(bench.store.compact(&refused).await, Err(StoreError::Fenced)));
    }
    let wrong = Head { compacted_chain: Chain::ORIGIN, ..to(&bench, 4) };
    assert!(matches!(bench.store.compact(&wrong).await, Err(StoreError::Refused { .. })));
    bench.check().await;

    for revision in [2, 4, 4] {
        bench.store.compact(&to(&bench, revision)).await.unwrap();
        bench.head = to(&bench, revision);
        bench.check().await;
    }
    assert!(matches!(bench.store.compact(&to(&bench, 3)).await, Err(StoreError::Fenced)));

    // A writer that has not heard of the compaction does not undo it.
    let compacted = bench.head.clone();
    let not_told = Head { compacted_revision: 0, compacted_chain: Chain::ORIGIN, ..compacted.clone() };
    bench.head = not_told;
    bench.commit(&[vec![put("z", 7, customer("z"))]]).await;
    bench.head = Head {
        compacted_revision: compacted.compacted_revision,
        compacted_chain: compacted.compacted_chain,
        ..bench.head
    };
    bench.check().await;
}

#[tokio::test]
async fn pruning_keeps_what_is_young_what_is_not_compacted_and_no_gaps() {
    let mut bench = with_history().await;
    let first = async |bench: &Bench| bench.store.read_log(0, 1).await.unwrap()[0].revision;
    let compact = async |bench: &mut Bench, revision: i64| {
        let compacted_chain = bench.log[revision as usize - 1].chain;
        let head = Head { compacted_revision: revision, compacted_chain, ..bench.head.clone() };
        bench.store.compact(&head).await.unwrap();
        bench.head = head;
    };
    assert_eq!(bench.store.prune_log(at(100), 100).await.unwrap(), 0);
    compact(&mut bench, 5).await;

    // The first has two changes, the second one.
    assert_eq!(bench.store.prune_log(at(3).plus_micros(-1), 2).await.unwrap(), 1);
    assert_eq!(first(&bench).await, 2);
    assert_eq!(bench.store.prune_log(at(3).plus_micros(-1), 2).await.unwrap(), 1);
    assert_eq!(first(&bench).await, 3);
    assert_eq!(bench.store.prune_log(at(3), 100).await.unwrap(), 1);
    assert_eq!(first(&bench).await, 4);
    assert_eq!(bench.store.prune_log(at(100), 1).await.unwrap(), 1);
    assert_eq!(bench.store.prune_log(at(100), 1).await.unwrap(), 1);
    assert_eq!(bench.store.prune_log(at(100), 1).await.unwrap(), 0);
    assert_eq!(first(&bench).await, 6);
    let listed = bench.store.list_changes(&ChangeFilter::default(), None, 100).await.unwrap();
    assert_eq!(listed, expected(&bench, |txn, _| txn.revision == 6));
    bench.check().await;
    // Where the head says which revision that was, compacting is harmless still.
    compact(&mut bench, 5).await;

    compact(&mut bench, 6).await;
    assert_eq!(bench.store.prune_log(at(100), 100).await.unwrap(), 1);
    assert_eq!(bench.store.read_log(0, 1).await.unwrap(), []);
    bench.check().await;
    let known = Position { head: bench.head.clone(), usage_version: 0, usage_mark: 0 };
    bench.commit(&[vec![put("z", 7, customer("z"))]]).await;
    bench.check().await;
    let news = bench.store.news(&known).await.unwrap().unwrap();
    assert_eq!(news.txns, bench.log[6..], "whoever knew the deleted revision goes on");
    let fork = Position { head: Head { chain: Chain([7; 32]), ..known.head.clone() }, ..known };
    assert!(bench.store.news(&fork).await.unwrap().is_none());
}

#[tokio::test]
async fn a_log_that_does_not_lead_to_the_head_is_corrupt() {
    use sea_orm::ConnectionTrait as _;
    let bytes = |count: usize| match on_postgres() {
        true => format!("'\\x{}'", "00".repeat(count)),
        false => format!("x'{}'", "00".repeat(count)),
    };
    let set = |column: &str, count: usize| format!("UPDATE {column} = {}", bytes(count));
    for (spoil, named) in [
        (
            "DELETE FROM change_txn WHERE revision = 3".to_owned(),
            "table change_txn, row \"3\": the revision is missing",
        ),
        ("DELETE FROM change_txn WHERE revision = 6".to_owned(), "table head, row \"1\": the log ends at revision 5"),
        (set("head SET chain", 32), "table head, row \"1\": the log ends at revision 6"),
        (set("head SET chain", 3), "table head, row \"1\": a chain is not 32 bytes long"),
        (set("change_txn SET chain", 1) + " WHERE revision = 2", "table change_txn, row \"2\""),
        (set("change_txn SET request_digest", 31) + " WHERE revision = 2", "table change_txn, row \"2\""),
        ("UPDATE change_txn SET chain_version = 3".to_owned(), "there is no version 3 of the chain"),
        ("UPDATE change_row SET ord = 7 WHERE ord = 0".to_owned(), "are numbered from 0"),
        ("DELETE FROM head".to_owned(), "table head, row \"1\": it is missing"),
    ] {
        let bench = with_history().await;
        bench.store.writer.get().execute_unprepared(&spoil).await.unwrap();
        // A server reads the tables and the chain when it starts, and the log when it follows.
        let error = match bench.store.load().await {
            Ok(_) => bench.store.read_log(0, 100).await.err().unwrap(),
            Err(error) => error,
        };
        assert!(matches!(error, StoreError::Corrupt { .. }), "{spoil}: {error:?}");
        assert!(error.to_string().contains(named), "{spoil}: {error}");
    }
}

#[tokio::test]
async fn revisions_of_many_changes_are_read_whole() {
    let mut bench = Bench::new().await;
    let many = |from: usize, count: usize, revision: i64| -> Vec<Change> {
        (from..from + count).map(|n| put(&format!("c{n}"), revision, customer(&format!("customer {n}")))).collect()
    };
    bench.commit(&[many(0, 3, 1), many(3, 4_000, 2), many(4_003, 3, 3)]).await;
    assert_eq!(bench.store.read_log(0, 10).await.unwrap(), bench.log);
    assert_eq!(bench.store.read_log(1, 1).await.unwrap(), bench.log[1..2]);
}
