//! Thresholds of limits, and whose limits reached them.

use super::Form;
use crate::domain::{AlertPercents, Id, LimitOwner, Path, Violations};
use crate::proto::v1;

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

/// The owner of a limit that reached a threshold, as the API has it.
pub fn render_threshold_owner(owner: &LimitOwner) -> v1::threshold_event::Owner {
    use v1::threshold_event::Owner;
    match owner {
        LimitOwner::Customer(id) => Owner::CustomerId(id.to_string()),
        LimitOwner::Team(id) => Owner::TeamId(id.to_string()),
        LimitOwner::VirtualKey(id) => Owner::VirtualKeyId(id.to_string()),
        LimitOwner::ProviderConfig(id) => Owner::ProviderConfigId(*id),
        LimitOwner::ModelConfig(id) => Owner::ModelConfigId(id.to_string()),
        LimitOwner::Provider(id) => Owner::Provider(id.to_string()),
    }
}

/// The owner of a limit that reached a threshold.
pub fn parse_threshold_owner(owner: v1::threshold_event::Owner) -> LimitOwner {
    use v1::threshold_event::Owner;
    match owner {
        Owner::CustomerId(id) => LimitOwner::Customer(Id::new(id)),
        Owner::TeamId(id) => LimitOwner::Team(Id::new(id)),
        Owner::VirtualKeyId(id) => LimitOwner::VirtualKey(Id::new(id)),
        Owner::ProviderConfigId(id) => LimitOwner::ProviderConfig(id),
        Owner::ModelConfigId(id) => LimitOwner::ModelConfig(Id::new(id)),
        Owner::Provider(id) => LimitOwner::Provider(Id::new(id)),
    }
}
