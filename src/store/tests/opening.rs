//! What can be opened, and what people are told about the rest.

use sea_orm::{ActiveModelTrait as _, ConnectionTrait as _, DbBackend, IntoActiveModel as _, Statement};
use sea_orm_migration::seaql_migrations;

use super::*;

fn parse(url: &str) -> Result<String, String> {
    DatabaseUrl::parse(url).map(|url| url.to_string()).map_err(|error| error.to_string())
}

async fn refused(path: &std::path::Path) -> String {
    let url = DatabaseUrl::parse(&format!("sqlite://{}", path.display())).unwrap();
    match open(&url).await.err().unwrap() {
        StoreError::Open { what, .. } => what,
        error => panic!("{error:?}"),
    }
}

#[test]
fn urls_are_of_sqlite_files() {
    assert_eq!(parse("sqlite://tollgate.db").unwrap(), "sqlite://tollgate.db");
    assert_eq!(parse("sqlite:///var/lib/a b%20c.db").unwrap(), "sqlite:///var/lib/a b%20c.db");
    for url in [
        "",
        "tollgate.db",
        "sqlite:tollgate.db",
        "sqlite://",
        "sqlite://:memory:",
        "sqlite://a?mode=ro",
        "mysql://u:secret@h/d",
    ] {
        let error = parse(url).unwrap_err();
        assert!(error.contains("expected sqlite://PATH"), "{url}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn a_new_store_is_empty_and_has_an_identity_that_stays() {
    let bench = Bench::new().await;
    let other = Bench::new().await;
    assert_eq!((bench.head.revision, bench.head.chain), (0, Chain::ORIGIN));
    assert_eq!((bench.head.compacted_revision, bench.head.compacted_chain), (0, Chain::ORIGIN));
    assert_eq!(uuid::Uuid::parse_str(&bench.head.store_id).unwrap().get_version_num(), 4);
    assert_ne!(bench.head.store_id, other.head.store_id);
    bench.store.close().await;
    let again = open(&bench.url).await.unwrap();
    assert_eq!(again.read_head().await.unwrap(), bench.head);
}

/// As `.cargo/config.toml` has it: without, a start takes half as long again.
#[tokio::test]
async fn sqlite_counts_no_memory_under_a_lock() {
    if on_postgres() {
        return;
    }
    let bench = Bench::new().await;
    let options = "SELECT sqlite_compileoption_used('DEFAULT_MEMSTATUS=0'), \
                   sqlite_compileoption_used('ENABLE_MEMORY_MANAGEMENT')";
    let row = bench.store.writer.get().query_one_raw(Statement::from_string(DbBackend::Sqlite, options)).await;
    let row = row.unwrap().unwrap();
    assert_eq!((row.try_get_by_index::<i32>(0).unwrap(), row.try_get_by_index::<i32>(1).unwrap()), (1, 0));
}

#[tokio::test]
async fn a_file_has_one_server() {
    if on_postgres() {
        return;
    }
    let bench = Bench::new().await;
    let path = bench.directory.path().join("store % ü.db");
    let link = bench.directory.path().join("link.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for spelling in [path.clone(), bench.directory.path().join("./store % ü.db"), link] {
        let spelling = DatabaseUrl::parse(&format!("sqlite://{}", spelling.display())).unwrap();
        let error = open(&spelling).await.err().unwrap();
        assert!(matches!(error, StoreError::InUse { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("store % ü.db\"") && text.contains("stop that one first"), "{text}");
    }
    let clone = bench.store.clone();
    clone.close().await;
    drop(open(&url(&bench.directory)).await.unwrap());
    assert!(matches!(bench.store.read_head().await, Err(StoreError::Unavailable { .. })));
}

#[tokio::test]
async fn closing_brings_the_log_into_the_file() {
    if on_postgres() {
        return;
    }
    let mut bench = Bench::new().await;
    bench.commit(&[vec![put("a", 1, customer("a"))]]).await;
    bench.store.close().await;
    let names = std::fs::read_dir(bench.directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["store % ü.db", "store % ü.db.lock"]);
}

#[cfg(unix)]
#[tokio::test]
async fn others_may_not_read_the_files() {
    if on_postgres() {
        return;
    }
    use std::os::unix::fs::PermissionsExt as _;
    let mut bench = Bench::new().await;
    bench.commit(&[vec![put("a", 1, customer("a"))]]).await;
    for end in ["", "-wal", ".lock"] {
        let path = bench.directory.path().join(format!("store % ü.db{end}"));
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o077, 0, "{end}");
    }
}

#[tokio::test]
async fn a_newer_database_is_refused() {
    let bench = Bench::new().await;
    let newer = seaql_migrations::Model { version: "m9999_future".to_owned(), applied_at: 0 };
    newer.into_active_model().insert(&bench.store.writer.get()).await.unwrap();
    bench.store.close().await;
    for _ in 0..2 {
        let error = open(&bench.url).await.err().unwrap();
        assert!(matches!(&error, StoreError::Newer { migrations, .. } if migrations == &["m9999_future"]), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("newer version of tollgate") && text.contains("m9999_future"), "{text}");
        assert_eq!(Store::migrations(&bench.url).await.unwrap_err().to_string(), text);
        assert_eq!(Store::migrate(&bench.url).await.unwrap_err().to_string(), text);
    }
}

/// The last migration, and what undoes it as far as it can be applied again.
const LAST: (&str, &str) = (
    "m0025_limits",
    "ALTER TABLE budget DROP COLUMN reserve; ALTER TABLE budget DROP COLUMN usage_reset_at;
     ALTER TABLE rate_limit DROP COLUMN reserve; ALTER TABLE rate_limit DROP COLUMN usage_reset_at",
);

fn pending(migrations: &[Migration]) -> Vec<&str> {
    migrations.iter().filter(|it| it.applied_at.is_none()).map(|it| it.name.as_str()).collect()
}

#[tokio::test]
async fn an_older_database_is_read_by_nobody_until_it_is_brought_up_to_date() {
    let mut bench = Bench::new().await;
    let blocked_models = AllowList::Only(strings(&["o3", "gpt-4*"]).into());
    let provider_configs = [ProviderConfig { blocked_models, ..provider_config(1, "openai") }].into();
    let key = VirtualKey { provider_configs, ..virtual_key("k") };
    bench.commit(&[vec![put("a", 1, customer("a")), put("k", 1, key)]]).await;
    let (last, undo) = LAST;
    bench.store.writer.get().execute_unprepared(undo).await.unwrap();
    let forget = format!("DELETE FROM seaql_migrations WHERE version = '{last}'");
    bench.store.writer.get().execute_unprepared(&forget).await.unwrap();
    bench.store.close().await;

    let known = Store::migrations(&bench.url).await.unwrap();
    assert_eq!((pending(&known), known.last().unwrap().name.as_str()), (vec![last], last));
    let error = Store::open_beside(&bench.url).await.err().unwrap().to_string();
    assert!(error.contains("is of an older version; bring it up to date with `tollgate migrate up`"), "{error}");

    let before = Timestamp::now();
    assert_eq!(Store::migrate(&bench.url).await.unwrap(), [last]);
    assert_eq!(Store::migrate(&bench.url).await.unwrap(), [""; 0]);
    let known = Store::migrations(&bench.url).await.unwrap();
    assert_eq!(pending(&known), [""; 0]);
    assert!(known.last().unwrap().applied_at.unwrap() >= before.plus_micros(-1_000_000), "{known:?}");
    bench.store = open(&bench.url).await.unwrap();
    bench.check().await;
    assert_eq!(bench.store.load_usage().await.unwrap().watermarks, []);
}

#[tokio::test]
async fn an_empty_database_lacks_every_migration_and_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let url = match on_postgres() {
        true => DatabaseUrl::parse(&Cluster::shared().create()).unwrap(),
        false => url(&directory),
    };
    if let DatabaseUrl::Sqlite(path) = &url {
        let error = Store::migrations(&url).await.unwrap_err().to_string();
        assert!(error.contains("there is no database") && !path.exists(), "{error}");
        std::fs::File::create(path).unwrap();
    }
    let known = Store::migrations(&url).await.unwrap();
    assert_eq!(pending(&known).len(), known.len());
    let error = Store::open_beside(&url).await.err().unwrap().to_string();
    assert!(error.contains("is empty; `tollgate serve` or `tollgate migrate up`"), "{error}");
    assert_eq!(Store::migrate(&url).await.unwrap(), pending(&known));
}

#[tokio::test]
async fn what_is_no_store_is_refused_with_its_path() {
    if on_postgres() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);

    std::fs::write(at("text"), "This is a text that is long enough to be taken for a header. ".repeat(40)).unwrap();
    let what = refused(&at("text")).await;
    assert!(what.contains("/text: the file is not a SQLite database"), "{what}");
    // Refused a second time for the same reason: the lock is free again.
    assert_eq!(refused(&at("text")).await, what);

    let what = refused(&at("no/such/place")).await;
    assert!(what.contains("no/such/place: its directory does not exist"), "{what}");
    // Where nothing can be written, even by root.
    let what = refused(&at("text").join("below")).await;
    assert!(what.contains("text/below: a part of the path is a file"), "{what}");
    let what = refused(directory.path()).await;
    assert!(what.contains("it is a directory"), "{what}");
    std::fs::create_dir(at("db.lock")).unwrap();
    let what = refused(&at("db")).await;
    assert!(what.contains("cannot lock") && what.contains("db.lock"), "{what}");
}

#[tokio::test]
async fn the_database_of_another_program_is_left_alone() {
    if on_postgres() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("other.db");
    let other = sea_orm::Database::connect(format!("sqlite://{}?mode=rwc", path.display())).await.unwrap();
    other.execute_unprepared("CREATE TABLE notes (text)").await.unwrap();
    other.close().await.unwrap();
    let before = std::fs::read(&path).unwrap();
    let what = refused(&path).await;
    assert!(what.contains("other.db belongs to another program"), "{what}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_damaged_file_is_reported_as_such() {
    if on_postgres() {
        return;
    }
    let mut bench = Bench::new().await;
    let keys = (0..2000).map(|i| put(&format!("k{i}"), 1, virtual_key(&format!("{i}"))));
    bench.commit(&[keys.collect()]).await;
    bench.store.close().await;
    let path = bench.directory.path().join("store % ü.db");
    let whole = std::fs::read(&path).unwrap();

    // Everything after the schema: opening works, loading tells.
    let mut damaged = whole.clone();
    damaged[100_000..].fill(0xee);
    std::fs::write(&path, damaged).unwrap();
    let error = match open(&url(&bench.directory)).await {
        Ok(store) => store.load().await.err().unwrap(),
        Err(error) => error,
    };
    assert!(error.to_string().contains("damaged"), "{error}");

    // The schema too.
    let mut damaged = whole;
    damaged[200..4096].fill(0xee);
    std::fs::write(&path, damaged).unwrap();
    let what = refused(&path).await;
    assert!(what.contains("store % ü.db: the file is damaged; restore a backup"), "{what}");
}
