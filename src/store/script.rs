//! Statements that belong together. A trip to the thread of SQLite costs more than most statements do, so there they go in
//! one, with BEGIN and COMMIT if they are all of a transaction. PostgreSQL takes one statement at a time; there, statements
//! over different tables are joined into one (see [`joined`]).

mod joined;

use sea_orm::sea_query::{CaseStatement, Expr, ExprTrait as _, IntoValueTuple, OnConflict, Value, ValueTuple};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, EntityTrait,
    IdenStatic as _, IntoActiveModel, Iterable as _, ModelTrait, PrimaryKeyToColumn as _, QueryFilter as _, QueryTrait,
    Statement, Values,
};

use super::error::{Fault, StoreError};
use super::persist::Row;
use super::tx::{KEYS, rows_per_statement};

/// Fails if the statement before it did not write so many rows, whatever the tables hold: the other columns are NOT NULL.
const MISSED: &str = ";INSERT INTO head (id) SELECT 0 WHERE changes() <> ?";
/// How that shows.
const MISSED_ERROR: &str = "NOT NULL constraint failed: head.";

/// A column of the table of `M`.
pub(super) type Column<M> = <<M as ModelTrait>::Entity as EntityTrait>::Column;

/// Statements, in order.
pub(super) struct Script {
    backend: DbBackend,
    steps: Vec<Step>,
}

struct Step {
    statement: Statement,
    /// The table that it writes.
    table: &'static str,
    /// How many rows it must write; `None` if the statement fails by itself where it does not write all that it is to.
    rows: Option<u64>,
}

impl Script {
    pub(super) fn new(backend: DbBackend) -> Self {
        Self { backend, steps: Vec::new() }
    }

    /// Adds a statement that must find `rows` rows to write.
    pub(super) fn push<E: EntityTrait>(&mut self, statement: &impl QueryTrait, rows: usize) {
        self.add_step::<E>(statement, Some(rows as u64));
    }

    /// Adds a statement that writes what it is to, or fails.
    fn push_sure<E: EntityTrait>(&mut self, statement: &impl QueryTrait) {
        self.add_step::<E>(statement, None);
    }

    fn add_step<E: EntityTrait>(&mut self, statement: &impl QueryTrait, rows: Option<u64>) {
        self.steps.push(Step { statement: statement.build(self.backend), table: E::default().table_name(), rows });
    }

    /// Deletes the rows with these keys, all of which must exist.
    pub(super) fn delete<M: Row>(&mut self, keys: Vec<M::Key>) {
        for (these, count) in keyed::<M>(keys.into_iter()) {
            self.push::<M::Entity>(&M::Entity::delete_many().filter(these), count);
        }
    }

    /// Deletes the rows with these keys, as far as they exist.
    pub(super) fn remove<M: Row>(&mut self, keys: Vec<M::Key>) {
        for (these, _) in keyed::<M>(keys.into_iter()) {
            self.push_sure::<M::Entity>(&M::Entity::delete_many().filter(these));
        }
    }

    /// Deletes all rows in which `columns`, the first of the primary key, have these values.
    pub(super) fn remove_under<M: Row>(&mut self, columns: &[Column<M>], values: Vec<impl IntoValueTuple>) {
        for chunk in values.into_iter().map(IntoValueTuple::into_value_tuple).collect::<Vec<_>>().chunks(KEYS) {
            let these = Expr::tuple(columns.iter().map(|column| Expr::col(*column))).in_tuples(chunk.to_vec());
            self.push_sure::<M::Entity>(&M::Entity::delete_many().filter(these));
        }
    }

    /// Sets `columns` of rows, all of which must exist, to what they are in the first of `rows`.
    pub(super) fn set<M: Row>(&mut self, rows: &[M], columns: &[Column<M>]) {
        let Some(first) = rows.first() else { return };
        let set = M::Entity::update_many();
        let set = columns.iter().fold(set, |set, column| set.col_expr(*column, Expr::value(first.get(*column))));
        for (these, count) in keyed::<M>(rows.iter().map(Row::key)) {
            self.push::<M::Entity>(&set.clone().filter(these), count);
        }
    }

    /// Inserts rows; that one of them exists already is an error.
    pub(super) fn insert<M: Row>(&mut self, rows: Vec<M>) {
        self.chunks(rows, |script, rows| script.push_sure::<M::Entity>(&M::Entity::insert_many(rows)));
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
        self.insert_over(rows, replacing::<M>().action_and_where(newer));
    }

    /// Adds the numbers of rows, all of which are at least 0, to those of the rows with the same keys, or inserts the rows. A sum
    /// that a column does not hold stays at the greatest number that it does.
    pub(super) fn add<M: Row>(&mut self, rows: Vec<M>) {
        let others = others::<M>().map(|column| {
            let [held, more] = [Expr::col((M::Entity::default(), column)), Expr::col(("excluded", column))];
            let fits = held.clone().lte(Expr::cust("9223372036854775807").sub(more.clone()));
            (column, CaseStatement::new().case(fits, held.add(more)).finally(Expr::cust("9223372036854775807")).into())
        });
        let others: Vec<(_, Expr)> = others.collect();
        self.insert_over(rows, OnConflict::columns(key_columns::<M>()).values(others));
    }

    /// Inserts rows, except where there is one with the same primary key.
    pub(super) fn insert_new<M: Row>(&mut self, rows: Vec<M>) {
        self.insert_over(rows, OnConflict::columns(key_columns::<M>()).do_nothing());
    }

    fn insert_over<M: Row>(&mut self, rows: Vec<M>, conflict: &OnConflict) {
        self.chunks(rows, |script, rows| {
            script.push_sure::<M::Entity>(&M::Entity::insert_many(rows).on_conflict(conflict.clone()));
        });
    }

    /// Hands as many rows at a time to `push` as fit into a statement.
    fn chunks<M: Row>(
        &mut self,
        rows: Vec<M>,
        mut push: impl FnMut(&mut Self, Vec<<M::Entity as EntityTrait>::ActiveModel>),
    ) {
        let size = rows_per_statement(self.backend, Column::<M>::iter().count());
        let mut rows = rows.into_iter().map(IntoActiveModel::into_active_model).peekable();
        while rows.peek().is_some() {
            let chunk: Vec<_> = rows.by_ref().take(size).collect();
            push(self, chunk);
        }
    }

    /// Runs them all, within `tx`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Refused`] if not all rows could be written, else what the database says.
    pub(super) async fn run(self, tx: &DatabaseTransaction) -> Result<(), StoreError> {
        if self.steps.is_empty() {
            return Ok(());
        }
        if self.backend == DbBackend::Sqlite {
            return tx.execute_raw(join(self.steps)).await.map(drop).map_err(|error| refused(&error));
        }
        joined::run(self.steps, tx).await
    }

    /// Runs them all as a transaction, which is begun and committed on the same trip: on SQLite. Must not be abandoned
    /// half-way.
    ///
    /// # Errors
    ///
    /// As [`Script::run`]; [`StoreError::Unknown`] if it may have been committed or not.
    pub(super) async fn run_alone(self, writer: &DatabaseConnection) -> Result<(), StoreError> {
        let mut steps = vec![plain("BEGIN IMMEDIATE")];
        steps.extend(self.steps);
        steps.push(plain("COMMIT"));
        let Err(error) = writer.execute_raw(join(steps)).await else { return Ok(()) };
        if Fault::of(&error) == Fault::Pool {
            // Nothing was begun, and the connection is not to be waited for once more.
            return Err(error.into());
        }
        Err(match writer.execute_unprepared("ROLLBACK").await {
            // What can be rolled back was not committed.
            Ok(_) => refused(&error),
            Err(_) => StoreError::committing(&error),
        })
    }
}

/// What names the rows with these keys, as many at a time as one statement may name, and how many these are.
fn keyed<M: Row>(keys: impl Iterator<Item = M::Key>) -> impl Iterator<Item = (Expr, usize)> {
    let columns = key_columns::<M>();
    let mut keys = keys.map(IntoValueTuple::into_value_tuple);
    std::iter::from_fn(move || {
        let chunk: Vec<ValueTuple> = keys.by_ref().take(KEYS).collect();
        let count = chunk.len();
        let these = match columns.as_slice() {
            [column] => column.is_in(chunk.into_iter().flatten()),
            columns => Expr::tuple(columns.iter().map(|column| Expr::col(*column))).in_tuples(chunk),
        };
        (count > 0).then_some((these, count))
    })
}

/// The primary key.
pub(super) fn key_columns<M: Row>() -> Vec<Column<M>> {
    <M::Entity as EntityTrait>::PrimaryKey::iter().map(|key| key.into_column()).collect()
}

/// The columns that are not of the primary key.
fn others<M: Row>() -> impl Iterator<Item = Column<M>> {
    let keys = key_columns::<M>();
    Column::<M>::iter().filter(move |column| !keys.iter().any(|key| key.as_str() == column.as_str()))
}

/// On conflict with a row of the same primary key, that one is replaced.
fn replacing<M: Row>() -> OnConflict {
    OnConflict::columns(key_columns::<M>()).update_columns(others::<M>()).to_owned()
}

/// One statement of many for the driver of SQLite, which runs them until one fails, and binds the values to them in order.
/// One that must write so many rows is followed by one that fails if it did not.
fn join(steps: Vec<Step>) -> Statement {
    let (mut sql, mut all) = (String::new(), Vec::<Value>::new());
    for Step { statement: Statement { sql: next, values, .. }, rows, .. } in steps {
        if !sql.is_empty() {
            sql.push(';');
        }
        sql.push_str(&next);
        all.extend(values.into_iter().flat_map(|Values(values)| values));
        if let Some(rows) = rows {
            sql.push_str(MISSED);
            all.push(rows.into());
        }
    }
    Statement { sql, values: Some(Values(all)), db_backend: DbBackend::Sqlite }
}

/// What a statement of several means by its error, which left nothing.
fn refused(error: &DbErr) -> StoreError {
    match error.to_string().contains(MISSED_ERROR) {
        true => StoreError::refused("not all rows that are to be changed or deleted are there"),
        false => error.into(),
    }
}

fn plain(sql: &str) -> Step {
    Step { statement: Statement::from_string(DbBackend::Sqlite, sql), table: "", rows: None }
}
