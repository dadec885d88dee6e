//! What happens when the store cannot or will not: nothing of a group is visible, and the error says what to do.

use sea_orm::{ConnectionTrait as _, TransactionTrait as _};

use super::*;

#[tokio::test]
async fn another_writer_is_fenced_off() {
    let mut bench = Bench::new().await;
    let stale = bench.group(&[vec![put("a", 1, customer("a"))]]);
    bench.commit(&[vec![put("b", 1, customer("b"))]]).await;
    assert!(matches!(bench.store.commit(&stale).await, Err(StoreError::Fenced)));
    bench.check().await;
    let mut other = bench.group(&[vec![put("c", 2, customer("c"))]]);
    other.head.store_id = "another".into();
    assert!(matches!(bench.store.commit(&other).await, Err(StoreError::Fenced)));
    let mut gap = bench.group(&[vec![put("c", 2, customer("c"))], vec![put("d", 3, customer("d"))]]);
    gap.txns[1].revision = 4;
    assert!(matches!(bench.store.commit(&gap).await, Err(StoreError::Refused { .. })));
    let mut silent = bench.group(&[vec![put("c", 2, customer("c"))]]);
    silent.txns.clear();
    assert!(matches!(bench.store.commit(&silent).await, Err(StoreError::Refused { .. })));
    bench.check().await;
}

#[tokio::test]
async fn what_the_tables_do_not_allow_is_refused_whole() {
    let mut bench = Bench::new().await;
    let key =
        |id: i64, name: &str| VirtualKey { provider_configs: [provider_config(id, "p")].into(), ..virtual_key(name) };
    bench
        .commit(&[vec![put("a", 1, customer("a")), put("k", 1, key(1, "k")), put("p", 1, provider(&[("x", "", &[])]))]])
        .await;
    let previous = |it: &str| Some(Box::new(PreviousSecret { sha256: Sha256Hash::of(it), expires_at: at(1) }));
    for refused in [
        // A name, the hash of a value, the hashes of two previous values, ids of parts.
        vec![put("b", 2, customer("b")), put("c", 2, customer("a"))],
        vec![put("l", 2, VirtualKey { secret: virtual_key("k").secret, ..key(2, "l") })],
        vec![
            put("l", 2, VirtualKey { previous_secret: previous("s"), ..key(2, "l") }),
            put("m", 2, VirtualKey { previous_secret: previous("s"), ..key(3, "m") }),
        ],
        vec![put("l", 2, key(1, "l"))],
        vec![put("q", 2, provider(&[("x", "", &[])]))],
    ] {
        let error = bench.try_commit(&[refused]).await.unwrap_err();
        assert!(matches!(error, StoreError::Refused { .. }), "{error:?}");
        assert_eq!(error.to_string(), "the store refused the change: a constraint of the database is violated");
        assert!(error.detail().to_lowercase().contains("unique"), "{}", error.detail());
        bench.check().await;
    }
    // Tables that are not as memory believes.
    bench.store.writer.get().execute_unprepared("DELETE FROM customer").await.unwrap();
    let error = bench.try_commit(&[vec![remove::<Customer>("a")]]).await.unwrap_err();
    assert!(error.to_string().contains("rows that are to be changed or deleted are there"), "{error}");
}

#[tokio::test]
async fn a_head_that_is_gone_is_not_written_past() {
    let mut bench = Bench::new().await;
    bench.commit(&[vec![put("a", 1, customer("a"))]]).await;
    bench.store.writer.get().execute_unprepared("DELETE FROM head").await.unwrap();
    let group = bench.group(&[vec![put("b", 2, customer("b"))]]);
    assert!(bench.store.commit(&group).await.is_err());
    let tx = bench.store.begin_read().await.unwrap();
    assert_eq!(changelog::chain_of(&tx, 2).await.unwrap(), None);
}

#[tokio::test]
async fn writes_do_not_wait_for_readers_nor_for_ever_for_another_writer() {
    // On PostgreSQL the test of a lock that is not let go is about this.
    if on_postgres() {
        return;
    }
    let mut bench = Bench::new().await;
    // All connections that read.
    let mut readers = Vec::new();
    while readers.len() < 4 {
        readers.push(bench.store.begin_read().await.unwrap());
    }
    let lock = bench.store.lock().await.unwrap();
    assert_eq!(lock.find_requests(&[("caller", "method", "id")], at(1)).await.unwrap(), []);
    bench.commit(&[vec![put("a", 1, customer("a"))]]).await;
    drop(readers);

    let another = bench.store.begin_write().await.unwrap();
    let error = bench.try_commit(&[vec![put("b", 2, customer("b"))]]).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "nothing was begun: {error:?}");
    tx::roll_back(another).await;
    bench.commit(&[vec![put("b", 2, customer("b"))]]).await;
    bench.check().await;
}

#[tokio::test]
async fn a_full_disk_stops_writing_and_nothing_else() {
    if on_postgres() {
        return;
    }
    let mut bench = Bench::new().await;
    bench.commit(&[vec![put("a", 1, customer("a"))]]).await;
    // The limit is one of the connection, of which there is one; it becomes the present size.
    bench.store.writer.get().execute_unprepared("PRAGMA max_page_count = 1").await.unwrap();
    let many = |revision| (0..500).map(|i| put(&format!("k{i}"), revision, virtual_key(&format!("{i}")))).collect();
    for _ in 0..3 {
        let error = bench.try_commit(&[vec![put("b", 2, customer("b"))], many(3)]).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        assert_eq!(error.to_string(), "the store is not available: the disk is full");
        assert!(error.detail().contains("full"), "{}", error.detail());
        bench.check().await;
    }
    bench.store.writer.get().execute_unprepared("PRAGMA max_page_count = 1000000").await.unwrap();
    bench.commit(&[vec![put("b", 2, customer("b"))], many(3)]).await;
    bench.check().await;
}

#[tokio::test]
async fn a_connection_that_lost_its_transaction_is_replaced() {
    let mut bench = Bench::new().await;
    bench.commit(&[vec![put("a", 1, customer("a"))]]).await;
    // What SQLite may do by itself when the disk fails: afterwards the driver's ROLLBACK fails.
    let transaction = bench.store.begin_write().await.unwrap();
    transaction.execute_unprepared("DELETE FROM customer").await.unwrap();
    transaction.execute_unprepared("ROLLBACK").await.unwrap();
    let failed: Result<(), _> = bench.store.reach.finish(transaction, Err(StoreError::Fenced)).await;
    assert!(matches!(failed, Err(StoreError::Fenced)));
    bench.commit(&[vec![put("b", 2, customer("b"))]]).await;

    // At COMMIT the same means that nobody knows. PostgreSQL takes a COMMIT of nothing for a success.
    if on_postgres() {
        return;
    }
    let transaction = bench.store.begin_write().await.unwrap();
    transaction.execute_unprepared("ROLLBACK").await.unwrap();
    let failed = bench.store.reach.finish(transaction, Ok(())).await;
    assert!(matches!(failed, Err(StoreError::Unknown { .. })), "{failed:?}");
    bench.commit(&[vec![put("c", 3, customer("c"))]]).await;
    bench.check().await;
}

#[tokio::test]
async fn an_abandoned_commit_leaves_nothing() {
    let bench = Bench::new().await;
    let many: Vec<Change> = (0..300).map(|i| put(&format!("k{i}"), 1, virtual_key(&format!("{i}")))).collect();
    let group = bench.group(&[many]);
    for polls in 1..40 {
        let mut commit = Box::pin(bench.store.commit(&group));
        let mut polled = 0;
        let done = std::future::poll_fn(|context| {
            polled += 1;
            match commit.as_mut().poll(context) {
                std::task::Poll::Ready(result) => std::task::Poll::Ready(Some(result)),
                std::task::Poll::Pending if polled == polls => std::task::Poll::Ready(None),
                std::task::Poll::Pending => std::task::Poll::Pending,
            }
        })
        .await;
        drop(commit);
        let head = bench.store.read_head().await.unwrap();
        if done.is_some() || head.revision == 1 {
            break;
        }
    }
    // Whether it was committed or not in the end: it is there whole or not at all, and the store goes on.
    let revision = loop {
        let loaded = bench.store.load().await.unwrap();
        assert_eq!(loaded.resources.len() as i64, loaded.head.revision * 300);
        if loaded.head.revision == 1 {
            break 1;
        }
        bench.store.commit(&group).await.unwrap();
    };
    assert_eq!(revision, 1);
}

#[tokio::test]
async fn readers_see_a_snapshot_and_do_not_wait_for_the_writer() {
    let mut bench = Bench::new().await;
    bench.commit(&[vec![put("a", 1, customer("a"))]]).await;
    let transaction = bench.store.writer.get().begin().await.unwrap();
    transaction.execute_unprepared("DELETE FROM customer").await.unwrap();
    bench.check().await;
    transaction.rollback().await.unwrap();
    let reader = bench.store.begin_read().await.unwrap();
    assert_eq!(head(&reader).await.unwrap().revision, 1);
    bench.commit(&[vec![put("b", 2, customer("b"))]]).await;
    assert_eq!(head(&reader).await.unwrap().revision, 1);
    assert_eq!(
        persist::rows(&reader, <entity::customer::Entity as sea_orm::EntityTrait>::find()).await.unwrap().len(),
        1
    );
}

#[tokio::test]
async fn readers_cannot_write() {
    let bench = Bench::new().await;
    let error = bench.store.readers.get().execute_unprepared("DELETE FROM head").await.unwrap_err();
    let said = error.to_string();
    assert!(said.contains("readonly") || said.contains("read-only"), "{said}");
}

#[tokio::test]
async fn rows_that_make_no_resource_are_named() {
    const HASH: &str = "table virtual_key, row \"k\": a hash has 1 bytes";
    for (spoil, named) in [
        ("UPDATE customer SET created_at = 9223372036854775807", "table customer, row \"c\""),
        ("UPDATE team SET profile = '[1]'", "table team, row \"t\": a structure is no JSON object"),
        ("UPDATE virtual_key_provider_config SET key_ids = '{}'", "table virtual_key_provider_config, row \"1\""),
        ("UPDATE virtual_key_provider_config SET virtual_key_id = 'x'", "table virtual_key_provider_config"),
        ("UPDATE budget SET reset_duration = 'monthly' WHERE id = 'x-a'", "row \"x-a\": \"monthly\" is no duration"),
        ("UPDATE budget SET max_limit_nano_usd = -1 WHERE id = 'x-a'", "row \"x-a\": a limit is -1"),
        ("UPDATE budget SET customer_id = 'gone' WHERE customer_id = 'c'", "the owner \"gone\" does not exist"),
        (
            "UPDATE budget SET customer_id = NULL, provider_config_id = 7 WHERE customer_id = 'c'",
            "the owner 7 does not exist",
        ),
        (
            "UPDATE rate_limit SET customer_id = NULL, provider_key_id = 'gone' WHERE customer_id = 'c'",
            "table rate_limit, row \"x-r\": the owner \"gone\" does not exist",
        ),
        ("UPDATE budget SET ord = ord + 1", "row \"c\": its parts in another table are not numbered from 0"),
        ("UPDATE rate_limit SET ord = ord + 1", "row \"c\": its parts in another table are not numbered from 0"),
        ("UPDATE rate_limit SET token_anchor = NULL", "row \"x-r\": a dimension has some of its columns only"),
        ("UPDATE label SET resource_id = 'gone'", "table label, row \"gone\": the resource does not exist"),
        ("UPDATE provider_key SET provider = 'gone'", "table provider_key, row \"pk\": its provider does not exist"),
        ("UPDATE mcp_client SET tools = 'a'", "table mcp_client, row \"m\""),
        match on_postgres() {
            true => ("UPDATE virtual_key SET value_sha256 = '\\x00'", HASH),
            false => ("UPDATE virtual_key SET value_sha256 = x'00'", HASH),
        },
        match on_postgres() {
            // Its columns hold only what they should.
            true => ("UPDATE customer SET created_at = 9223372036854775807", "table customer, row \"c\""),
            false => ("UPDATE customer SET created_at = 'x'", "table customer"),
        },
    ] {
        let mut bench = Bench::new().await;
        let key = VirtualKey { provider_configs: [provider_config(1, "p")].into(), ..virtual_key("k") };
        let labelled = Customer { limits: limits("x"), labels: [("a".into(), "b".into())].into(), ..customer("c") };
        bench
            .commit(&[vec![
                put("c", 1, labelled),
                put("t", 1, Team { profile: Some(Struct::new()), ..team("t") }),
                put("k", 1, key),
                put("p", 1, provider(&[("pk", "", &[])])),
                put("m", 1, McpClient::default()),
            ]])
            .await;
        bench.store.writer.get().execute_unprepared(spoil).await.unwrap();
        let error = bench.store.load().await.err().unwrap();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{spoil}: {error:?}");
        assert!(error.to_string().contains(named), "{spoil}: {error}");
        // Reading part by part finds as much.
        let error = bench.store.snapshot().await.unwrap().walk(|_| {}).await.err().unwrap();
        assert!(error.to_string().contains(named), "{spoil}, part by part: {error}");
    }
}
