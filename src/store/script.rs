//! Statements that belong together. A trip to the thread of SQLite costs more than most statements do, so there they go in
//! one; PostgreSQL takes one statement at a time. What one of many wrote is only known as a part of their sum. That is enough:
//! each statement that must write rows names or lists them, and so none can write more of them to hide that another wrote
//! fewer.

use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict, Value};
use sea_orm::{
    ConnectionTrait as _, DatabaseTransaction, DbBackend, EntityTrait, IdenStatic as _, IntoActiveModel, Iterable as _,
    ModelTrait, PrimaryKeyToColumn as _, QueryTrait, Statement, Values,
};

use super::error::StoreError;
use super::persist::Row;
use super::tx::rows_per_statement;

/// A column of the table of `M`.
pub(super) type Column<M> = <<M as ModelTrait>::Entity as EntityTrait>::Column;

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

    /// Adds a statement that must write `rows` rows.
    pub(super) fn push(&mut self, statement: &impl QueryTrait, rows: usize) {
        self.statements.push((statement.build(self.backend), rows as u64));
    }

    /// Adds a statement that leaves rows out that are there already.
    fn push_lenient(&mut self, statement: &impl QueryTrait) {
        self.lenient.push(statement.build(self.backend));
    }

    /// Inserts rows; that one of them exists already is an error.
    pub(super) fn insert<M: Row>(&mut self, rows: Vec<M>) {
        self.chunks(rows, |script, rows, count| script.push(&M::Entity::insert_many(rows), count));
    }

    /// Sets `columns` of rows that exist to what they are in `rows`: by an upsert, which gives each of many rows values of its
    /// own in one statement.
    pub(super) fn update<M: Row>(&mut self, rows: Vec<M>, columns: Vec<Column<M>>) {
        self.insert_over(rows, OnConflict::columns(key_columns::<M>()).update_columns(columns));
    }

    /// Replaces rows, or inserts them.
    pub(super) fn upsert<M: Row>(&mut self, rows: Vec<M>) {
        self.insert_over(rows, &replacing::<M>());
    }

    /// Replaces rows, or inserts them, except where what lies there has a greater `version`.
    pub(super) fn upsert_newer<M: Row>(&mut self, rows: Vec<M>, version: Column<M>) {
        let held = Expr::col((M::Entity::default(), version));
        let newer = held.lt(Expr::col(("excluded", version)));
        self.insert_over_some(rows, replacing::<M>().action_and_where(newer));
    }

    /// Inserts rows, except where there is one with the same primary key.
    pub(super) fn insert_new<M: Row>(&mut self, rows: Vec<M>) {
        self.insert_over_some(rows, OnConflict::columns(key_columns::<M>()).do_nothing());
    }

    fn insert_over<M: Row>(&mut self, rows: Vec<M>, conflict: &OnConflict) {
        self.chunks(rows, |script, rows, count| {
            script.push(&M::Entity::insert_many(rows).on_conflict(conflict.clone()), count);
        });
    }

    /// As [`Script::insert_over`], where not all rows need to be written.
    fn insert_over_some<M: Row>(&mut self, rows: Vec<M>, conflict: &OnConflict) {
        self.chunks(rows, |script, rows, _| {
            script.push_lenient(&M::Entity::insert_many(rows).on_conflict(conflict.clone()));
        });
    }

    /// Hands as many rows at a time to `push` as fit into a statement, and how many.
    fn chunks<M: Row>(
        &mut self,
        rows: Vec<M>,
        mut push: impl FnMut(&mut Self, Vec<<M::Entity as EntityTrait>::ActiveModel>, usize),
    ) {
        let size = rows_per_statement(self.backend, Column::<M>::iter().count());
        let mut rows = rows.into_iter().map(IntoActiveModel::into_active_model).peekable();
        while rows.peek().is_some() {
            let chunk: Vec<_> = rows.by_ref().take(size).collect();
            let count = chunk.len();
            push(self, chunk, count);
        }
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

/// The primary key.
pub(super) fn key_columns<M: Row>() -> Vec<Column<M>> {
    <M::Entity as EntityTrait>::PrimaryKey::iter().map(|key| key.into_column()).collect()
}

/// On conflict with a row of the same primary key, that one is replaced.
fn replacing<M: Row>() -> OnConflict {
    let keys = key_columns::<M>();
    let others = Column::<M>::iter().filter(|column| !keys.iter().any(|key| key.as_str() == column.as_str()));
    OnConflict::columns(keys.iter().copied()).update_columns(others).to_owned()
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
