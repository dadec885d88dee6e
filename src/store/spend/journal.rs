//! The journal of spend, and adding it to the tables.

use std::collections::HashMap;
use std::sync::Arc;

use sea_orm::sea_query::Order;
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DatabaseTransaction, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};

use super::{SpendFolded, add, read_calendar};
use crate::domain::Timestamp;
use crate::seeded::{self, Bug};
use crate::store::entity::spend_journal::{Column, Entity, Model};
use crate::store::error::StoreError;
use crate::store::script::Script;
use crate::store::varint::{get, put, take};
use crate::usage::{HOUR_MICROS, SpendAmounts, SpendCell, SpendSeries, SpendTally};

/// The format of a row's body.
const FORMAT: u8 = 1;
const UUID: u8 = 1;
const TEXT: u8 = 0;
/// Places in the tables that one transaction adds to, if one row of the journal has no more.
const PLACES: usize = 2_000;
/// Amounts that one transaction adds up.
const AMOUNTS: usize = 100_000;
/// Rows of the journal that are read at a time.
const ROWS: usize = 8;

/// Adds to `script` what the transaction that leads to the usage version `version` adds to spend.
pub(in crate::store) fn append(script: &mut Script, version: i64, spend: &SpendTally) {
    if !spend.is_empty() {
        script.insert(vec![Model { version, body: encode(spend) }]);
    }
}

/// What of the journal is not in the tables.
///
/// # Errors
///
/// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
pub(in crate::store) async fn unfolded(connection: &impl ConnectionTrait) -> Result<SpendTally, StoreError> {
    let (mut all, mut after) = (SpendTally::default(), i64::MIN);
    loop {
        let rows = read(connection, after).await?;
        let Some(last) = rows.last() else { return Ok(all) };
        after = last.version;
        for row in &rows {
            for (cell, amounts) in decoded(row)? {
                all.add(cell, amounts);
            }
        }
    }
}

/// Adds the oldest part of the journal up to `covers` to the tables, and deletes it.
pub(super) async fn fold(tx: &DatabaseTransaction, covers: i64) -> Result<SpendFolded, StoreError> {
    let Some(calendar) = read_calendar(tx).await? else { return Ok(SpendFolded { amounts: 0, is_through: true }) };
    let (mut tally, mut amounts, mut after, mut is_through) = (SpendTally::default(), 0, i64::MIN, false);
    while !is_through && tally.len() < PLACES && amounts < AMOUNTS {
        let rows = read(tx, after).await?;
        let covered = rows.iter().take_while(|row| row.version <= covers);
        is_through = covered.clone().count() < ROWS;
        for row in covered {
            after = row.version;
            for (SpendCell { start, series }, more) in decoded(row)? {
                tally.add(SpendCell { start: calendar.place(start), series }, more);
                amounts += 1;
            }
        }
    }
    if amounts > 0 {
        let mut script = Script::new(tx.get_database_backend());
        add(&mut script, tally);
        script.run(tx).await?;
    }
    if !seeded::is(Bug::SpendAddedTwice) {
        Entity::delete_many().filter(Column::Version.lte(after)).exec(tx).await?;
    }
    Ok(SpendFolded { amounts, is_through })
}

async fn read(connection: &impl ConnectionTrait, after: i64) -> Result<Vec<Model>, StoreError> {
    let rows =
        Entity::find().filter(Column::Version.gt(after)).order_by(Column::Version, Order::Asc).limit(ROWS as u64);
    rows.all(connection).await.map_err(|error| StoreError::reading("spend_journal", &error))
}

fn decoded(row: &Model) -> Result<Vec<(SpendCell, SpendAmounts)>, StoreError> {
    decode(&row.body).ok_or_else(|| StoreError::corrupt("spend_journal", row.version, "it is cut or changed"))
}

/// The texts, each once, then the cells: the hour, the places of its series' texts, the amounts. Ids are UUIDs, which are half as
/// long in binary.
fn encode(tally: &SpendTally) -> Vec<u8> {
    let mut places: HashMap<&str, u64> = HashMap::new();
    let (mut texts, mut cells) = (Vec::new(), Vec::with_capacity(tally.len() * 24));
    for (SpendCell { start, series }, amounts) in tally.iter() {
        put(&mut cells, hours(*start));
        for text in series.texts() {
            let next = places.len() as u64;
            let place = *places.entry(text.as_ref()).or_insert_with(|| {
                put_text(&mut texts, text);
                next
            });
            put(&mut cells, place);
        }
        for amount in amounts.to_array() {
            put(&mut cells, amount as u64);
        }
    }
    let mut body = Vec::with_capacity(texts.len() + cells.len() + 16);
    body.push(FORMAT);
    put(&mut body, places.len() as u64);
    body.extend(texts);
    put(&mut body, tally.len() as u64);
    body.extend(cells);
    body
}

fn decode(body: &[u8]) -> Option<Vec<(SpendCell, SpendAmounts)>> {
    let mut rest = body;
    if take::<1>(&mut rest)? != [FORMAT] {
        return None;
    }
    let mut texts: Vec<Arc<str>> = Vec::new();
    for _ in 0..get(&mut rest)? {
        texts.push(get_text(&mut rest)?);
    }
    let mut cells = Vec::new();
    for _ in 0..get(&mut rest)? {
        let start = start_of(get(&mut rest)?)?;
        let mut series: [Arc<str>; 5] = Default::default();
        for text in &mut series {
            *text = Arc::clone(texts.get(usize::try_from(get(&mut rest)?).ok()?)?);
        }
        let mut amounts = [0; SpendAmounts::COUNT];
        for amount in &mut amounts {
            *amount = i64::try_from(get(&mut rest)?).ok()?;
        }
        cells.push((SpendCell { start, series: SpendSeries::of(series) }, SpendAmounts::from_array(amounts)));
    }
    rest.is_empty().then_some(cells)
}

/// Hours since the earliest that there is.
fn hours(start: Timestamp) -> u64 {
    (start.as_micros() - Timestamp::MIN.as_micros()).unsigned_abs() / HOUR_MICROS.unsigned_abs()
}

fn start_of(hours: u64) -> Option<Timestamp> {
    let micros = i64::try_from(hours).ok()?.checked_mul(HOUR_MICROS)?.checked_add(Timestamp::MIN.as_micros())?;
    Some(Timestamp::from_micros(micros))
}

fn put_text(body: &mut Vec<u8>, text: &str) {
    match uuid::Uuid::try_parse(text) {
        // Only what comes back letter by letter.
        Ok(uuid) if uuid.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()) == text => {
            body.push(UUID);
            body.extend(uuid.into_bytes());
        }
        Ok(_) | Err(_) => {
            body.push(TEXT);
            put(body, text.len() as u64);
            body.extend(text.as_bytes());
        }
    }
}

fn get_text(rest: &mut &[u8]) -> Option<Arc<str>> {
    match take::<1>(rest)? {
        [UUID] => Some(uuid::Uuid::from_bytes(take::<16>(rest)?).to_string().into()),
        [TEXT] => {
            let length = usize::try_from(get(rest)?).ok()?;
            let (text, after) = rest.split_at_checked(length)?;
            *rest = after;
            Some(std::str::from_utf8(text).ok()?.into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cell() -> impl Strategy<Value = (SpendCell, SpendAmounts)> {
        let text = || {
            let uuid = any::<u128>().prop_map(|id| uuid::Uuid::from_u128(id).to_string());
            prop_oneof![uuid, ".{0,40}", Just(String::new())].prop_map(Arc::<str>::from)
        };
        let texts = [text(), text(), text(), text(), text()];
        let hour = (0..80_000_000_u64).prop_map(|hours| start_of(hours).unwrap());
        (hour, texts, proptest::array::uniform9(0..i64::MAX)).prop_map(|(start, texts, amounts)| {
            (SpendCell { start, series: SpendSeries::of(texts) }, SpendAmounts::from_array(amounts))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_written_is_read_and_what_is_cut_is_noticed(
            cells in proptest::collection::vec(cell(), 0..20),
            cut in any::<proptest::sample::Index>(),
        ) {
            let mut tally = SpendTally::default();
            cells.into_iter().for_each(|(cell, amounts)| tally.add(cell, amounts));
            let body = encode(&tally);
            let mut read = SpendTally::default();
            decode(&body).unwrap().into_iter().for_each(|(cell, amounts)| read.add(cell, amounts));
            prop_assert_eq!(read, tally);
            prop_assert_eq!(decode(&body[..cut.index(body.len())]), None);
        }

        #[test]
        fn anything_at_all_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
    }
}
