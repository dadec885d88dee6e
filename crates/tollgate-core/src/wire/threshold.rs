//! Thresholds of limits.

use super::Form;
use crate::domain::{AlertPercents, Path, Violations};

/// The thresholds of a limit; the usual ones where something is wrong with those that were named.
pub(super) fn parse(named: Vec<i32>, path: &Path<'_>, violations: &mut Violations) -> AlertPercents {
    if named.len() > AlertPercents::MAX_COUNT {
        violations.add(path, format!("has {} entries; may have {}", named.len(), AlertPercents::MAX_COUNT));
        return AlertPercents::default();
    }
    for (index, percent) in named.iter().enumerate() {
        if !AlertPercents::RANGE.contains(percent) {
            let range = AlertPercents::RANGE;
            let text = format!("is {percent}; must be a percentage from {} to {}", range.start(), range.end());
            violations.add(path.index(index), text);
        } else if named.iter().take(index).any(|other| other == percent) {
            violations.add(path.index(index), format!("is {percent}, which is in the list already; leave it out"));
        }
    }
    AlertPercents::new(named).unwrap_or_default()
}

/// The thresholds of a limit as a list: answers name the usual ones, too.
pub(super) fn render(percents: &AlertPercents, form: Form) -> Vec<i32> {
    match form {
        Form::Stream | Form::Log if percents.are_usual() => Vec::new(),
        Form::Answer(_) | Form::Stream | Form::Log => percents.percents().to_vec(),
    }
}
