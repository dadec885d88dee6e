//! Whether spend contradicts itself: its rows, and the series that they name. What of it was counted when is not known from
//! the counters, whose windows are forgotten earlier.

use super::Verification;
use crate::store::{Reader, RecordedSpend, StoreError};
use crate::usage::{SpendCalendar, hour};

/// Adds the faults of spend.
///
/// # Errors
///
/// [`StoreError::Corrupt`] if its journal cannot be read, else [`StoreError::Unavailable`].
pub(super) async fn check(store: &Reader, found: &mut Verification) -> Result<(), StoreError> {
    store
        .recorded_spend(|calendar, row| {
            if let Some(fault) = fault(calendar, &row) {
                found.fault(format!("spend: {} of series {}: {fault}", row.start, hex::encode(&row.id)));
            }
            Ok(())
        })
        .await
}

fn fault(calendar: &SpendCalendar, row: &RecordedSpend) -> Option<&'static str> {
    let RecordedSpend { start, id, series, amounts } = row;
    if calendar.zone.day(calendar.joined_until).0 != calendar.joined_until {
        return Some("hours are joined to days up to what is the start of no day");
    }
    // Of the day that was joined last, hours may be left.
    let (last_day, _) = calendar.zone.day(calendar.joined_until.plus_micros(-1));
    match series {
        None => return Some("its series is missing"),
        Some((series, _)) if series.digest() != **id => return Some("its series has another id than its texts"),
        Some((_, last_start)) if last_start < start => return Some("its series was last used before it"),
        Some(_) => {}
    }
    if amounts.to_array().iter().any(|amount| *amount < 0) {
        return Some("it has a negative amount");
    }
    if hour(*start) != *start || (*start < last_day && calendar.zone.day(*start).0 != *start) {
        return Some("it starts where no hour or day does");
    }
    None
}
