//! Whatever is altered in the database is found: each column of each table in turn gets another value that looks right,
//! and verification must name it. The columns come from the database itself, so that a new one is covered or fails here.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement};
use tollgate::credit::Book;
use tollgate::domain::{Timestamp, WebhookEvent};
use tollgate::ledger::verify;
use tollgate::store::{Delivery, Replica, Store, Told};

use crate::engine::on_postgres;
use crate::transfer::fill;
use crate::watch::rig::Rig;

/// Columns (`*`: all) in which verification cannot tell one value from another, and why.
const EXCEPTIONS: [(&str, &str, &str); 42] = [
    ("credit_node", "connection", "it is recorded nowhere else"),
    ("credit_node", "last_seen", "it is recorded nowhere else"),
    ("credit_node", "slots_until", "it is recorded nowhere else"),
    ("credit_pool", "awaited_until", "it is recorded nowhere else"),
    ("credit_pool", "epoch", "it is recorded nowhere else"),
    ("credit_pool", "is_moved", "it is recorded nowhere else"),
    ("credit_pool", "max", "it follows the limit when credit is next asked for"),
    ("credit_pool", "raised_until", "it follows the limit when credit is next asked for"),
    ("credit_pool", "uncovered", "it is recorded nowhere else"),
    ("credit_pool", "valid_for", "it follows the settings when credit is next asked for"),
    ("credit_pool", "window_end", "it follows the limit when credit is next asked for"),
    ("former_key", "*", "who owned a deleted key is not compared with the log"),
    ("head", "last_config_id", "it is not compared with the ids that were given away"),
    ("head", "store_id", "the id of the store is in no hash; watchers notice, and begin anew"),
    ("head", "usage_mark", "the next row of the journal repeats it, and there is none yet"),
    ("node_status", "*", "it is what a node says of itself"),
    ("replica", "*", "it is what a server says of itself"),
    ("spend", "audio_tokens", "its sum is recorded nowhere else"),
    ("spend", "cache_write_tokens", "its sum is recorded nowhere else"),
    ("spend", "cached_input_tokens", "its sum is recorded nowhere else"),
    ("spend", "cost_nano_usd", "its sum is recorded nowhere else"),
    ("spend", "input_tokens", "its sum is recorded nowhere else"),
    ("spend", "output_tokens", "its sum is recorded nowhere else"),
    ("spend", "reasoning_tokens", "its sum is recorded nowhere else"),
    ("spend", "requests", "its sum is recorded nowhere else"),
    ("spend", "unpriced_requests", "its sum is recorded nowhere else"),
    ("spend_journal", "body", "what it adds is recorded nowhere else"),
    ("spend_journal", "version", "it gives the rows an order alone"),
    ("spend_series", "last_start", "it may be later than all that is left"),
    ("threshold_event", "crossed_at", "it is recorded nowhere else"),
    ("token", "last_used_at", "to use an access token is no change of it"),
    ("usage_journal", "from_mark", "a mark is random"),
    ("usage_node", "metadata", "it is what a node says of itself"),
    ("usage_node", "node_id", "registrations are in no log"),
    ("usage_node", "registered_at", "registrations are in no log"),
    ("usage_node", "registered_by", "registrations are in no log"),
    ("usage_node", "store_id", "registrations are in no log"),
    ("usage_node", "version", "it is what a node says of itself"),
    ("webhook_delivery", "*", "what is on its way is in no log"),
    ("webhook_head", "crossing_version", "what is on its way is in no log"),
    ("webhook_head", "last_number", "it counts what is on its way, which is in no log"),
    ("webhook_told", "*", "what is on its way is in no log"),
];

/// A column as the database describes it.
#[derive(Default)]
struct Column {
    table: String,
    name: String,
    data_type: String,
    nullable: bool,
}

/// A database that is altered behind the back of its store.
struct Altered {
    connection: DatabaseConnection,
    store: Store,
}

impl Altered {
    async fn execute(&self, sql: &str) -> Result<(), String> {
        self.connection.execute_unprepared(sql).await.map(drop).map_err(|error| error.to_string())
    }

    /// The rows of a query, whose columns are all texts.
    async fn query(&self, sql: &str, columns: usize) -> Vec<Vec<String>> {
        let statement = Statement::from_string(self.connection.get_database_backend(), sql);
        let rows = self.connection.query_all_raw(statement).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        rows.iter().map(|row| (0..columns).map(|place| row.try_get_by_index(place).unwrap()).collect()).collect()
    }

    /// All columns of all tables.
    async fn columns(&self) -> Vec<Column> {
        let sql = match on_postgres() {
            true => {
                "SELECT table_name::text, column_name::text, data_type::text, lower(is_nullable::text) \
                 FROM information_schema.columns WHERE table_schema = 'public' ORDER BY table_name, ordinal_position"
            }
            false => {
                "SELECT m.name, p.name, lower(p.type), CASE p.\"notnull\" WHEN 0 THEN 'yes' ELSE 'no' END \
                 FROM sqlite_master m, pragma_table_info(m.name) p \
                 WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' ORDER BY m.name, p.cid"
            }
        };
        let rows = self.query(sql, 4).await.into_iter().map(|row| <[String; 4]>::try_from(row).unwrap());
        let columns = rows.map(|[table, name, data_type, nullable]| {
            let nullable = nullable == "yes";
            Column { table, name, data_type, nullable }
        });
        columns.filter(|column| column.table != "seaql_migrations").collect()
    }

    /// What verification finds; empty if nothing.
    async fn faults(&self) -> String {
        match verify(&self.store).await {
            Ok(found) => found.faults.join("\n"),
            Err(error) => error.to_string(),
        }
    }

    /// Alters a column by each of the statements that there are for it, one at a time. Returns those that were not found.
    async fn missed(&self, column: &Column) -> Vec<String> {
        let table = &column.table;
        let mut missed = Vec::new();
        let alterations = self.alterations(column).await;
        if alterations.is_empty() {
            missed.push(format!("there is nothing in {table}.{}", column.name));
        }
        for sql in alterations {
            // What a constraint forbids cannot be.
            if self.execute(&sql).await.is_err() {
                continue;
            }
            let faults = self.faults().await;
            if !named(table).iter().any(|name| faults.contains(name)) {
                missed.push(format!("{sql}: {faults:?}"));
            }
            self.execute(&format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM saved_{table}"))
                .await
                .unwrap();
        }
        missed
    }

    /// The first and the last row that has something in the column are altered, or has nothing if all have; where nothing
    /// may be, to that as well.
    async fn alterations(&self, column: &Column) -> Vec<String> {
        let Column { table, name, data_type, nullable } = column;
        let place = if on_postgres() { "ctid" } else { "rowid" };
        let mut alterations = Vec::new();
        let mut filled = format!("{table} WHERE {name} IS NOT NULL");
        if self.query(&format!("SELECT 'row' FROM {filled} LIMIT 1"), 1).await.is_empty() {
            filled = format!("{table} WHERE {name} IS NULL");
        }
        let count = self.query(&format!("SELECT 'row' FROM {filled}"), 1).await.len();
        let rows: BTreeSet<usize> = [1, count].into_iter().filter_map(|row| row.min(count).checked_sub(1)).collect();
        for row in rows {
            // What one batch crosses comes in no order. The first and the last kind of owner are still there.
            let order = if table == "threshold_event" { "owner_kind" } else { place };
            let row = format!("(SELECT {place} FROM {filled} ORDER BY {order} LIMIT 1 OFFSET {row})");
            let value = match data_type.as_str() {
                "bigint" | "integer" | "double" | "double precision" => {
                    lower(table, name).unwrap_or(format!("COALESCE({name}, 0) + 1"))
                }
                "boolean" => format!("NOT {name}"),
                "blob" | "bytea" => self.other_bytes(column, place, &row).await,
                "text" => other_text(table, name),
                other => panic!("{table}.{name} is of type {other}, which this test does not know"),
            };
            alterations.push(format!("UPDATE {table} SET {name} = {value} WHERE {place} = {row}"));
            if *nullable && filled.ends_with("NOT NULL") {
                alterations.push(format!("UPDATE {table} SET {name} = NULL WHERE {place} = {row}"));
            }
        }
        alterations
    }

    /// Bytes of which the last is another.
    async fn other_bytes(&self, Column { table, name, .. }: &Column, place: &str, row: &str) -> String {
        let hex = if on_postgres() { format!("COALESCE(encode({name}, 'hex'), '')") } else { format!("hex({name})") };
        let found = self.query(&format!("SELECT {hex} FROM {table} WHERE {place} = {row}"), 1).await;
        let mut bytes = hex::decode(&found[0][0]).unwrap();
        match bytes.last_mut() {
            Some(last) => *last ^= 1,
            None => bytes.push(1),
        }
        let hex = hex::encode(bytes);
        if on_postgres() { format!("'\\x{hex}'") } else { format!("x'{hex}'") }
    }
}

/// Counters that promise that nothing beyond them was given away are contradicted by less only.
fn lower(table: &str, name: &str) -> Option<String> {
    let is_promise = table == "head" && ["last_config_id", "last_incarnation"].contains(&name);
    is_promise.then(|| format!("{name} - 1"))
}

/// Another text that may be in the column.
fn other_text(table: &str, name: &str) -> String {
    match name {
        "cel_expression" => format!("'!(' || {name} || ')'"),
        "allowed_models"
        | "blocked_models"
        | "model_ceiling_allowed_providers"
        | "model_ceiling_allowed_models"
        | "model_ceiling_blocked_models"
        | "key_ids"
        | "models"
        | "tools"
        | "tools_to_execute" => "'[\"another\"]'".to_owned(),
        "fallbacks" => "'[\"openai/another\"]'".to_owned(),
        "profile" | "config" | "claims" | "query" | "metadata" => "'{\"another\":1}'".to_owned(),
        "rates" => "'{}'".to_owned(),
        _ if name.ends_with("reset_duration") => "'7d'".to_owned(),
        "scope" if table == "routing_rule" || table == "model_config" => {
            format!("CASE {name} WHEN 'team' THEN 'customer' ELSE 'team' END")
        }
        _ => format!("COALESCE({name}, '') || 'x'"),
    }
}

/// What a fault of this table names.
fn named(table: &str) -> &'static [&'static str] {
    match table {
        "head" => &["head", "revision", "usage"],
        "change_txn" | "change_row" => &["revision", "change_txn", "change_row"],
        "request" => &["request"],
        "usage_counter" | "usage_node" | "usage_journal" | "threshold_event" => &["usage", "threshold_event"],
        "credit_pool" | "credit_account" | "credit_node" => &["credit"],
        "spend" | "spend_head" | "spend_journal" | "spend_series" => &["spend"],
        // Resources, and tables with parts of them.
        _ => &[
            "budget",
            "customer",
            "label",
            "mcp_client",
            "model_config",
            "model_price",
            "pricing_override",
            "provider",
            "rate_limit",
            "routing_rule",
            "routing_target",
            "team",
            "token",
            "virtual_key",
            "webhook",
        ],
    }
}

#[tokio::test]
async fn whatever_column_is_altered_it_is_found() {
    let (mut rig, api) = Rig::started().await;
    fill(&api).await;
    drop(api);
    rig.stop().await;
    let store = rig.store().await;
    let usage = store.load_usage().await.unwrap();
    store.fold_usage(&usage.counters.to_vec(), &usage.watermarks).await.unwrap();
    let mut book = Book::default();
    usage.credit.into_iter().for_each(|row| book.apply(row));
    let rows: Vec<_> = book.rows().map(|row| (row.row(), Some(row))).collect();
    store.lock().await.unwrap().fold_credit(&rows).await.unwrap();
    let now = Timestamp::now();
    let delivery = Delivery::new("a".into(), "b", WebhookEvent::KeyExpiring, "{}".into(), now);
    let told = Told { subject: "c".into(), mark: 1 };
    store.put_deliveries(WebhookEvent::KeyExpiring, vec![(delivery, Some(told))], now).await.unwrap();
    // On SQLite no server tells of itself.
    let replica = Replica {
        id: "d".into(),
        name: "e".into(),
        version: "1".into(),
        started_at: now,
        last_seen: now,
        revision: 1,
        is_current: true,
    };
    store.write_replica(&replica, now).await.unwrap();
    let connection = sea_orm::Database::connect(rig.database.settings.url.as_str()).await.unwrap();
    let altered = Altered { connection, store };
    // Of spend, some is in the tables and some in the journal.
    let journal = Column { table: "spend_journal".to_owned(), name: "body".to_owned(), ..Column::default() };
    let place = if on_postgres() { "ctid" } else { "rowid" };
    let row = format!("(SELECT {place} FROM spend_journal LIMIT 1)");
    let body = altered.other_bytes(&journal, place, &row).await;
    while !altered.store.fold_spend(i64::MAX).await.unwrap().is_through {}
    altered.execute(&format!("INSERT INTO spend_journal (version, body) VALUES (1, {body})")).await.unwrap();
    assert_eq!(altered.faults().await, "");
    if !on_postgres() {
        altered.execute("PRAGMA synchronous = OFF").await.unwrap();
    }

    let columns = altered.columns().await;
    for table in columns.chunk_by(|one, other| one.table == other.table).map(|columns| &columns[0].table) {
        altered.execute(&format!("CREATE TABLE saved_{table} AS SELECT * FROM {table}")).await.unwrap();
        let rows = altered.query(&format!("SELECT 'row' FROM {table}"), 1).await;
        assert!(!rows.is_empty(), "nothing is in {table}");
    }
    let mut wrong = Vec::new();
    for column in &columns {
        let is_it =
            |(table, name, _): &&(&str, &str, &str)| *table == column.table && (*name == "*" || *name == column.name);
        let exception = EXCEPTIONS.iter().find(is_it);
        let missed = altered.missed(column).await;
        match exception {
            None => wrong.extend(missed),
            Some(_) if missed.is_empty() => wrong.push(format!("{}.{} is no exception", column.table, column.name)),
            Some(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(altered.faults().await, "");
    altered.connection.close().await.unwrap();
    altered.store.close().await;
}
