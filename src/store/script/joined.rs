//! Statements joined into one, on PostgreSQL: each statement is a trip to the server, and a commit of a few small ones is
//! hardly more than its trips (row 2 of docs/benchmarks.md). They become common table expressions of one SELECT, which
//! answers how many rows each has written.
//!
//! Statements that are joined see the tables as they were before all of them, and PostgreSQL chooses their order. So only
//! statements over different tables are joined. What must come after another statement over its own table (a name that a
//! deletion frees, a second update of the head) is in the next trip.

use std::fmt::Write as _;

use sea_orm::sea_query::Value;
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbBackend, DbErr, Statement, Values};

use super::Step;
use crate::store::error::StoreError;
use crate::store::tx::bind_limit;

/// Runs statements in order, each trip as many as may be joined.
///
/// # Errors
///
/// [`StoreError::Refused`] if one of them did not find all rows that it must write, else what the database says.
pub(super) async fn run(steps: Vec<Step>, tx: &DatabaseTransaction) -> Result<(), StoreError> {
    for trip in trips(steps) {
        let must: Vec<u64> = trip.iter().filter_map(|step| step.rows).collect();
        let written = match <[Step; 1]>::try_from(trip) {
            Ok([Step { statement, .. }]) => vec![tx.execute_raw(statement).await?.rows_affected()],
            Err(several) => counts(tx, join(several), must.len()).await?,
        };
        if let Some((written, rows)) = written.into_iter().zip(must).find(|(written, rows)| written != rows) {
            return Err(StoreError::refused(format!(
                "{written} of {rows} rows that are to be changed or deleted are there"
            )));
        }
    }
    Ok(())
}

/// Groups of successive statements that may be joined: over different tables, with no more parameters than a statement binds.
fn trips(steps: Vec<Step>) -> Vec<Vec<Step>> {
    let mut trips: Vec<Vec<Step>> = Vec::new();
    let mut bound = 0;
    for step in steps {
        let binds = step.statement.values.as_ref().map_or(0, |Values(values)| values.len());
        match trips.last_mut() {
            Some(trip)
                if bound + binds <= bind_limit(DbBackend::Postgres) && trip.iter().all(|it| it.table != step.table) =>
            {
                bound += binds;
                trip.push(step);
            }
            _ => {
                bound = binds;
                trips.push(vec![step]);
            }
        }
    }
    trips
}

/// One statement of several. It answers with one row: for each that must write a number of rows, how many it has written.
fn join(steps: Vec<Step>) -> Statement {
    let (mut sql, mut counted, mut all) = (String::from("WITH "), Vec::new(), Vec::<Value>::new());
    for (place, Step { statement, rows, .. }) in steps.into_iter().enumerate() {
        let separator = if place == 0 { "" } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(sql, "{separator}s{place} AS (");
        renumber(&statement.sql, all.len(), &mut sql);
        if rows.is_some() {
            sql.push_str(" RETURNING 1");
            counted.push(format!("(SELECT count(*) FROM s{place})"));
        }
        sql.push(')');
        all.extend(statement.values.into_iter().flat_map(|Values(values)| values));
    }
    // Of a row of no column nothing could be read.
    counted.push("0::bigint".to_owned());
    let _ = write!(sql, " SELECT {}", counted.join(", "));
    Statement { sql, values: Some(Values(all)), db_backend: DbBackend::Postgres }
}

/// Adds a statement whose parameters are `$1` and so on to one that has `before` of them already. Statements are made of our
/// own names and of parameters: a dollar stands nowhere else.
fn renumber(statement: &str, before: usize, sql: &mut String) {
    let mut parts = statement.split('$');
    sql.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = part.split_at(digits);
        let _ = match number.parse::<usize>() {
            Ok(number) => write!(sql, "${}{rest}", before + number),
            Err(_) => write!(sql, "${part}"),
        };
    }
}

/// The first `count` columns of the row that `statement` answers with.
async fn counts(tx: &DatabaseTransaction, statement: Statement, count: usize) -> Result<Vec<u64>, StoreError> {
    let no_row = || DbErr::RecordNotFound("a statement that counts what it wrote answered nothing".to_owned());
    let row = tx.query_one_raw(statement).await?.ok_or_else(no_row)?;
    let at = |column| row.try_get_by_index::<i64>(column).map(|written| u64::try_from(written).unwrap_or_default());
    Ok((0..count).map(at).collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(table: &'static str, sql: &str, values: usize, rows: Option<u64>) -> Step {
        let values = (0_i64..).take(values).map(Value::from).collect();
        let statement =
            Statement { sql: sql.to_owned(), values: Some(Values(values)), db_backend: DbBackend::Postgres };
        Step { statement, table, rows }
    }

    #[test]
    fn statements_over_different_tables_share_a_trip_and_number_their_parameters_through() {
        let steps = vec![
            step("head", "UPDATE head SET a = $1 WHERE b = $2", 2, Some(1)),
            step("log", "INSERT INTO log (a) VALUES ($1), ($2)", 2, None),
            step("team", "DELETE FROM team WHERE id IN ($1)", 1, Some(1)),
        ];
        let [trip] = trips(steps).try_into().unwrap_or_else(|_| panic!("one trip"));
        let Statement { sql, values, .. } = join(trip);
        let expected = "WITH s0 AS (UPDATE head SET a = $1 WHERE b = $2 RETURNING 1), \
                        s1 AS (INSERT INTO log (a) VALUES ($3), ($4)), \
                        s2 AS (DELETE FROM team WHERE id IN ($5) RETURNING 1) \
                        SELECT (SELECT count(*) FROM s0), (SELECT count(*) FROM s2), 0::bigint";
        assert_eq!(sql, expected);
        assert_eq!(values, Some(Values([0_i64, 1, 0, 1, 0].into_iter().map(Value::from).collect())));
    }

    #[test]
    fn a_second_statement_over_a_table_and_too_many_parameters_begin_the_next_trip() {
        let tables =
            |steps| trips(steps).into_iter().map(|trip| trip.into_iter().map(|it| it.table).collect::<Vec<_>>());
        let steps = ["a", "b", "a", "c", "b"].map(|table| step(table, "", 1, None)).into();
        assert_eq!(tables(steps).collect::<Vec<_>>(), [vec!["a", "b"], vec!["a", "c", "b"]]);
        let large = [("a", 40_000), ("b", 25_535), ("c", 1)].map(|(table, binds)| step(table, "", binds, None)).into();
        assert_eq!(tables(large).collect::<Vec<_>>(), [vec!["a", "b"], vec!["c"]]);
    }
}
