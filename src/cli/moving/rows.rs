//! Rows of databases as records.

use super::money::hash;
use super::record::Record;
use crate::cli::Failure;
use crate::store::ForeignDatabase;

/// The rows of a table, each with the table and the beginning of its id as its place; `None` if there is no such table.
pub(super) async fn rows(
    database: &ForeignDatabase,
    table: &'static str,
    id: &[&'static str],
    wanted: &[&'static str],
) -> Result<Option<Vec<Record>>, Failure> {
    let Some(found) = database.rows(table, id, wanted).await? else { return Ok(None) };
    let place = |record: &Record| {
        let ids = id.iter().filter_map(|name| Some(format!("{name} {}", short(name, &record.text(name)?))));
        format!("{table}, {}", ids.collect::<Vec<_>>().join(", "))
    };
    Ok(Some(found.into_iter().map(|row| Record::of_row(row, place)).collect()))
}

/// An id for people. Of a hash of a key its beginning is enough to find it; what is no hash may be the key itself.
fn short(column: &str, id: &str) -> String {
    if column == "token" && hash(id).is_none() {
        return "…".to_owned();
    }
    let plain: String = id.chars().filter(|c| !c.is_control()).take(36).collect();
    if id.len() > 36 { format!("{}…", plain.chars().take(12).collect::<String>()) } else { plain }
}
