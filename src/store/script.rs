//! Statements that belong together. A trip to the thread of SQLite costs more than most statements do, so there they go in
//! one; PostgreSQL takes one statement at a time. What one of many wrote is only known as a part of their sum. That is enough:
//! each statement that must write rows names or lists them, and so none can write more of them to hide that another wrote
//! fewer.

use sea_orm::sea_query::Value;
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbBackend, QueryTrait, Statement, Values};

use super::error::StoreError;
use super::tx::rows_per_statement;

/// Statements, in order, that write so many rows each.
pub(super) struct Script {
    backend: DbBackend,
    statements: Vec<(Statement, u64)>,
    /// Those that may write fewer. They come last.
    lenient: Vec<Statement>,
}

impl Script {
    pub(super) fn new(tx: &DatabaseTransaction) -> Self {
        Self { backend: tx.get_database_backend(), statements: Vec::new(), lenient: Vec::new() }
    }

    /// How many rows of `columns` parameters each fit into one statement.
    pub(super) fn rows_per_statement(&self, columns: usize) -> usize {
        rows_per_statement(self.backend, columns)
    }

    /// Adds a statement that must write `rows` rows.
    pub(super) fn push(&mut self, statement: &impl QueryTrait, rows: usize) {
        self.statements.push((statement.build(self.backend), rows as u64));
    }

    /// Adds a statement that leaves rows out that are there already.
    pub(super) fn push_lenient(&mut self, statement: &impl QueryTrait) {
        self.lenient.push(statement.build(self.backend));
    }

    /// Runs them all.
    ///
    /// # Errors
    ///
    /// [`StoreError::Refused`] if not all rows could be written, else what the database says.
    pub(super) async fn run(self, tx: &DatabaseTransaction) -> Result<(), StoreError> {
        let Self { backend, statements, lenient } = self;
        let together = match backend {
            DbBackend::Sqlite => join(statements).into_iter().collect(),
            _ => statements,
        };
        for (statement, expected) in together {
            let written = tx.execute_raw(statement).await?.rows_affected();
            if written != expected {
                return Err(StoreError::refused(format!("{written} of {expected} rows could be written")));
            }
        }
        for statement in lenient {
            tx.execute_raw(statement).await?;
        }
        Ok(())
    }
}

/// One statement of many for the driver of SQLite, which binds the values to them in order and adds up what they write.
fn join(statements: Vec<(Statement, u64)>) -> Option<(Statement, u64)> {
    let mut statements = statements.into_iter();
    let (Statement { mut sql, values, db_backend }, mut expected) = statements.next()?;
    let mut all: Vec<Value> = values.map(|Values(values)| values).unwrap_or_default();
    for (Statement { sql: next, values, .. }, rows) in statements {
        sql.push(';');
        sql.push_str(&next);
        all.extend(values.into_iter().flat_map(|Values(values)| values));
        expected += rows;
    }
    Some((Statement { sql, values: Some(Values(all)), db_backend }, expected))
}
