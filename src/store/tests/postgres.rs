//! What is particular to PostgreSQL.

use super::*;

#[test]
fn the_store_on_postgresql() {
    cluster::run_again_on_postgres(&["store::tests::"]);
}

#[test]
fn urls_of_postgresql_are_shown_without_their_passwords() {
    let url = DatabaseUrl::parse("postgres://u:secret@h:5433/d?sslmode=verify-full&password=secret").unwrap();
    assert_eq!(url.to_string(), "postgres://u@h:5433/d");
    assert!(!format!("{url:?}").contains("secret"));
    let url = DatabaseUrl::parse("postgresql:///d?host=/run/postgresql&user=u").unwrap();
    assert_eq!(url.to_string(), "postgres://u@/run/postgresql:5432/d");
    for (url, why) in [
        ("postgres://u:secret@h/d?pasword=secret", "has the unknown parameter \"pasword\""),
        ("postgres://u:secret@h/d?sslmode=secret", "cannot be read"),
        ("postgres://u:secret@h:secret/d", "cannot be read"),
        ("postgres://u:secret@[h/d", "cannot be read"),
    ] {
        let error = DatabaseUrl::parse(url).err().unwrap().to_string();
        assert!(error.contains(why), "{url}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

/// On PostgreSQL only.
#[tokio::test]
async fn a_database_that_goes_away_is_reported_as_such_and_found_again() {
    if !on_postgres() {
        return;
    }
    let cluster = Cluster::start(&["fsync=off"]);
    let store = open(&DatabaseUrl::parse(&cluster.create()).unwrap()).await.unwrap();
    store.probe().await.unwrap();
    cluster.crash();
    for _ in 0..2 {
        let error = store.lock().await.err().unwrap();
        assert!(matches!(error, StoreError::Away { .. }), "{error:?}");
    }
    cluster.resume();
    store.probe().await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn what_another_server_wrote_is_told_and_another_history_is_noticed() {
    if !on_postgres() {
        return;
    }
    let mut bench = Bench::new().await;
    bench.commit(&[vec![put("a", 1, customer("a")), put("k", 1, virtual_key("k"))]]).await;
    let known = Position { head: bench.head.clone(), usage_version: 0, usage_mark: 0 };
    assert!(bench.store.news(&known).await.unwrap().unwrap().txns.is_empty());
    bench.commit(&[vec![put("b", 2, customer("b"))], vec![remove::<VirtualKey>("k")]]).await;
    bench.commit(&[vec![put("a", 4, customer("z"))], vec![put("x", 5, team("x"))], vec![remove::<Team>("x")]]).await;

    let news = bench.store.news(&known).await.unwrap().unwrap();
    assert_eq!(news.position.head, bench.head);
    assert_eq!(news.txns, bench.log[1..]);
    let mut resources: Vec<_> = news.resources.iter().map(|it| (it.key(), it.clone())).collect();
    resources.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(resources, bench.expected.clone().into_iter().collect::<Vec<_>>());
    let mut removed = news.removed;
    removed.sort();
    let key = |key: Change| key.key();
    assert_eq!(removed, [(3, key(remove::<VirtualKey>("k"))), (6, key(remove::<Team>("x")))]);

    let other = |change: fn(&mut Position)| {
        let mut known = known.clone();
        change(&mut known);
        known
    };
    for known in [
        other(|known| known.head.chain = Chain([7; 32])),
        other(|known| known.head.revision = 7),
        other(|known| known.head.store_id = "another".into()),
        other(|known| known.usage_version = 1),
        other(|known| known.usage_mark = 1),
    ] {
        assert!(bench.store.news(&known).await.unwrap().is_none(), "{known:?}");
    }
    use sea_orm::ConnectionTrait as _;
    let counts = |version: i64, column: &str, mark: &str| {
        format!(
            "UPDATE head SET usage_version = {version}, usage_mark = 5; \
             INSERT INTO usage_journal (version, from_version, body{column}) VALUES ({version}, {}, '\\x010000'{mark})",
            version - 1
        )
    };
    let known = |usage_version| Position { head: bench.head.clone(), usage_version, usage_mark: 5 };
    let another = counts(1, ", from_mark", ", 7");
    bench.store.writer.get().execute_unprepared(&another).await.unwrap();
    assert!(bench.store.news(&known(0)).await.unwrap().is_none(), "it goes on from another 0");
    bench.store.writer.get().execute_unprepared(&counts(2, "", "")).await.unwrap();
    let by_an_older_server = bench.store.news(&known(1)).await.unwrap().unwrap().position;
    assert_eq!((by_an_older_server.usage_version, by_an_older_server.usage_mark), (2, 5));
    let known = Position { head: Head { revision: 1, chain: bench.log[0].chain, ..bench.head.clone() }, ..known(2) };
    bench.store.writer.get().execute_unprepared("DELETE FROM change_txn WHERE revision = 3").await.unwrap();
    let error = bench.store.news(&known).await.err().unwrap();
    assert!(error.to_string().contains("row \"3\": the revision is missing"), "{error}");
}

#[tokio::test]
async fn one_server_at_a_time_has_the_lock() {
    if !on_postgres() {
        return;
    }
    let bench = Bench::new().await;
    let other = open(&bench.url).await.unwrap();
    let held = bench.store.lock().await.unwrap();
    let error = other.lock().await.err().unwrap();
    assert_eq!(error.to_string(), "the store is not available: the database is locked");
    held.rollback().await;
    other.lock().await.unwrap().rollback().await;
    other.close().await;
}

#[tokio::test]
async fn a_server_of_an_earlier_version_that_still_runs_writes_neither_revisions_nor_answers() {
    if !on_postgres() {
        return;
    }
    use sea_orm::ConnectionTrait as _;
    let bench = Bench::new().await;
    for insert in [
        "INSERT INTO change_txn (revision, chain, committed_at, actor, peer, method, request_id) \
         VALUES (1, '\\x00', 1, 'a', 'p', 'm', '')",
        "INSERT INTO request (caller, method, request_id, fingerprint, response, accepted_at) \
         VALUES ('c', 'm', 'r', '\\x00', '\\x00', 1)",
    ] {
        let error = StoreError::from(bench.store.writer.get().execute_unprepared(insert).await.unwrap_err());
        assert!(matches!(error, StoreError::Refused { .. }), "{error:?}");
    }
}
