//! How limits hold requests back, and how much of them nodes hold for requests in flight.

use super::Form;
use crate::domain::{Enforcement, Path, Reserve, Violations};
use crate::proto::v1;

/// How a limit holds requests back, as a client says it.
pub(super) fn enforcement(number: i32, path: &Path<'_>, violations: &mut Violations) -> Option<Enforcement> {
    match v1::Enforcement::try_from(number) {
        Ok(v1::Enforcement::Unspecified | v1::Enforcement::Hard) => Some(Enforcement::Hard),
        Ok(v1::Enforcement::Soft) => Some(Enforcement::Soft),
        Ok(v1::Enforcement::Shadow) => Some(Enforcement::Shadow),
        Err(_) => {
            violations.add(path.field("enforcement"), format!("is {number}; must be HARD, SOFT or SHADOW"));
            None
        }
    }
}

/// How much of a limit is held for requests in flight, as a client says it.
pub(super) fn reserve(number: i32, path: &Path<'_>, violations: &mut Violations) -> Option<Reserve> {
    match v1::Reserve::try_from(number) {
        Ok(v1::Reserve::Unspecified | v1::Reserve::Observed) => Some(Reserve::Observed),
        Ok(v1::Reserve::WorstCase) => Some(Reserve::WorstCase),
        Err(_) => {
            violations.add(path.field("reserve"), format!("is {number}; must be OBSERVED or WORST_CASE"));
            None
        }
    }
}

/// How much of a limit is held, as the API has it; stream and log leave out what is usual.
pub(super) fn reserved(reserve: Reserve, form: Form) -> i32 {
    let reserve = match (reserve, form) {
        (Reserve::Observed, Form::Stream | Form::Log) => v1::Reserve::Unspecified,
        (Reserve::Observed, Form::Answer(_)) => v1::Reserve::Observed,
        (Reserve::WorstCase, _) => v1::Reserve::WorstCase,
    };
    reserve.into()
}

/// How a limit holds requests back, as the API has it.
pub fn render_enforcement(enforcement: Enforcement) -> v1::Enforcement {
    match enforcement {
        Enforcement::Hard => v1::Enforcement::Hard,
        Enforcement::Soft => v1::Enforcement::Soft,
        Enforcement::Shadow => v1::Enforcement::Shadow,
    }
}

/// Stream and log leave out that a limit is hard: so they are as they were before limits said it.
pub(super) fn said(enforcement: Enforcement, form: Form) -> i32 {
    match (enforcement, form) {
        (Enforcement::Hard, Form::Stream | Form::Log) => v1::Enforcement::Unspecified.into(),
        _ => render_enforcement(enforcement).into(),
    }
}
