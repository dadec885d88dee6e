//! Databases of other programs, which are read and never written.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt as _;
use sea_orm::{
    AccessMode, ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, IsolationLevel,
    Statement, StreamTrait as _, TransactionTrait as _,
};

use super::connect::{self, DatabaseUrl};
use super::error::StoreError;

/// Parameters of URLs that only Prisma knows, as LiteLLM's `DATABASE_URL` may have them.
const PRISMA: [&str; 9] = [
    "schema",
    "connection_limit",
    "pool_timeout",
    "connect_timeout",
    "socket_timeout",
    "pgbouncer",
    "statement_cache_size",
    "max_idle_connection_lifetime",
    "sslaccept",
];

/// A row: the columns that are not null, as texts. Lists of PostgreSQL are JSON, and its times are in UTC.
pub type ForeignRow = BTreeMap<&'static str, String>;

/// A database of another program, as it is at one moment.
pub struct ForeignDatabase {
    shown: String,
    connection: DatabaseConnection,
    transaction: DatabaseTransaction,
}

/// The columns of a table; the value says whether a column holds lists.
struct Columns(BTreeMap<String, bool>);

impl ForeignDatabase {
    /// Opens it for reading: SQLite's file as read-only, PostgreSQL with a read-only transaction. The URL is as in
    /// [`DatabaseUrl::parse`]; those of PostgreSQL may have the parameters of Prisma too, of which `schema` counts.
    ///
    /// # Errors
    ///
    /// [`StoreError::Url`] if the URL is none, and [`StoreError::Open`] with what to do about it for everything else.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let (url, schema) = without_prisma(url);
        let url = DatabaseUrl::parse(&url)?;
        let connection = connect::foreign(&url).await?;
        // SQLite knows neither levels nor modes: its file is opened as read-only.
        let (level, mode) = match connection.get_database_backend() {
            DbBackend::Sqlite => (None, None),
            _ => (Some(IsolationLevel::RepeatableRead), Some(AccessMode::ReadOnly)),
        };
        let transaction = connection.begin_with_config(level, mode).await;
        let transaction = transaction.map_err(|error| connect::cannot_read(&url, &error))?;
        let database = Self { shown: url.to_string(), connection, transaction };
        if database.backend() == DbBackend::Postgres {
            let settings = match schema {
                Some(schema) => format!("SET LOCAL TIME ZONE 'UTC'; SET LOCAL search_path = {}", quoted(&schema)),
                None => "SET LOCAL TIME ZONE 'UTC'".to_owned(),
            };
            let set = database.transaction.execute_unprepared(&settings).await;
            set.map_err(|error| connect::cannot_read(&url, &error))?;
        }
        // SQLite looks at the file only now.
        database.columns("sqlite_master").await.map_err(|error| connect::cannot_read(&url, &error))?;
        Ok(database)
    }

    /// Where it is, without the password.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The rows of a table with those of the columns that it has, in the order of the first one; none if there is no such
    /// table. `needed` are the columns without which the table is another program's.
    ///
    /// # Errors
    ///
    /// [`StoreError::Open`] if a needed column is missing; others if the database cannot be read.
    pub async fn rows(
        &self,
        table: &'static str,
        needed: &[&'static str],
        wanted: &[&'static str],
    ) -> Result<Option<Vec<ForeignRow>>, StoreError> {
        let failed = |error: DbErr| StoreError::reading(table, &error);
        let Columns(there) = self.columns(table).await.map_err(failed)?;
        if there.is_empty() {
            return Ok(None);
        }
        if let Some(missing) = needed.iter().find(|name| !there.contains_key(**name)) {
            let what = format!(
                "the table {table} of {} has no column {missing}: it is of another version or another program than this \
                 command reads",
                self.shown
            );
            return Err(StoreError::Open { what, detail: String::new() });
        }
        let names: BTreeSet<_> = needed.iter().chain(wanted).copied().collect();
        let names: Vec<_> = names.into_iter().filter(|name| there.contains_key(*name)).collect();
        let expressions = names.iter().map(|name| match there.get(*name) {
            Some(true) => format!("CAST(to_json({}) AS TEXT)", quoted(name)),
            _ => format!("CAST({} AS TEXT)", quoted(name)),
        });
        let order = needed.first().map(|name| format!(" ORDER BY {}", quoted(name))).unwrap_or_default();
        let query = format!("SELECT {} FROM {}{order}", expressions.collect::<Vec<_>>().join(", "), quoted(table));
        let row = |row: sea_orm::QueryResult| {
            let cells = names.iter().enumerate().map(|(index, name)| {
                let cell: Option<String> = row.try_get_by_index(index)?;
                Ok(cell.map(|cell| (*name, cell)))
            });
            cells.filter_map(Result::transpose).collect::<Result<ForeignRow, DbErr>>()
        };
        // One by one: a row of the driver is many times as large as what is made of it.
        let query = Statement::from_string(self.backend(), query);
        let mut found = self.transaction.stream_raw(query).await.map_err(failed)?;
        let mut rows = Vec::new();
        while let Some(cells) = found.try_next().await.map_err(failed)? {
            rows.push(row(cells).map_err(failed)?);
        }
        Ok(Some(rows))
    }

    /// Ends it.
    pub async fn close(self) {
        // Nothing was written: how the transaction ends does not matter.
        let _ = self.transaction.rollback().await;
        let _ = self.connection.close().await;
    }

    fn backend(&self) -> DbBackend {
        self.connection.get_database_backend()
    }

    async fn columns(&self, table: &str) -> Result<Columns, DbErr> {
        let query = match self.backend() {
            DbBackend::Sqlite => "SELECT name, '' FROM pragma_table_info($1)",
            _ => {
                "SELECT CAST(column_name AS TEXT), CAST(data_type AS TEXT) FROM information_schema.columns \
                 WHERE table_schema = current_schema() AND table_name = $1"
            }
        };
        let query = Statement::from_sql_and_values(self.backend(), query, [table.into()]);
        let found = self.transaction.query_all_raw(query).await?;
        let column = |row: sea_orm::QueryResult| {
            let (name, kind): (String, String) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            Ok((name, kind == "ARRAY"))
        };
        found.into_iter().map(column).collect::<Result<_, DbErr>>().map(Columns)
    }
}

/// A name as SQL has it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A URL without what only Prisma knows, and the schema that it names.
fn without_prisma(url: &str) -> (String, Option<String>) {
    let Some((rest, query)) = url.split_once('?').filter(|_| !url.starts_with("sqlite:")) else {
        return (url.to_owned(), None);
    };
    let name = |pair: &str| pair.split_once('=').map_or(pair, |(name, _)| name).to_owned();
    let kept: Vec<_> = query.split('&').filter(|pair| !PRISMA.contains(&name(pair).as_str())).collect();
    let schema = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "schema");
    let schema = schema.map(|(_, value)| value.into_owned()).filter(|schema| !schema.is_empty());
    let url = if kept.is_empty() { rest.to_owned() } else { format!("{rest}?{}", kept.join("&")) };
    (url, schema)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_prisma_knows_is_left_out_of_urls() {
        for (url, expected, schema) in [
            ("postgres://u@h/d", "postgres://u@h/d", None),
            ("postgres://u@h/d?schema=l%20l&connection_limit=3", "postgres://u@h/d", Some("l l")),
            ("postgres://u@h/d?sslmode=require&schema=", "postgres://u@h/d?sslmode=require", None),
            ("sqlite://a?schema=x", "sqlite://a?schema=x", None),
        ] {
            assert_eq!(without_prisma(url), (expected.to_owned(), schema.map(str::to_owned)));
        }
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
    }
}
