//! The governance of providers.

use super::provider::named;
use super::text::{managed_by, timestamp};
use super::{Form, Wire, calendar, limits};
use crate::domain::{Id, LimitOwner, Path, ProviderGovernance, Stored, Violations};
use crate::proto::v1;

impl Wire for ProviderGovernance {
    type Message = v1::ProviderGovernance;
    const OUTPUT_ONLY: &'static [&'static str] = &["id", "revision", "created_at", "updated_at"];
    const IMMUTABLE: &'static [&'static str] = &["provider"];
    const NAMED_BY_ID: bool = true;

    fn parse(message: v1::ProviderGovernance, path: &Path<'_>, violations: &mut Violations) -> Option<Self> {
        let v1::ProviderGovernance {
            calendar_aligned,
            calendar: followed,
            budgets,
            rate_limits,
            managed_by: manager,
            ..
        } = message;
        let calendar = calendar::parse(followed, &path.field("calendar"), violations);
        let limits = limits::parse(budgets, rate_limits, calendar_aligned, path, violations);
        let managed_by = managed_by(&manager, path, violations);
        Some(Self { calendar_aligned, calendar, limits, managed_by })
    }

    fn render(stored: &Stored<Self>, form: Form) -> v1::ProviderGovernance {
        let Self { calendar_aligned, calendar: followed, limits, managed_by } = &stored.resource;
        let owner = LimitOwner::Provider(Id::new(stored.id.shared()));
        let (budgets, rate_limits) =
            limits::render(limits, &owner, calendar::own(*calendar_aligned, followed.as_deref()), form);
        v1::ProviderGovernance {
            id: stored.id.to_string(),
            provider: stored.id.to_string(),
            budgets,
            rate_limits,
            calendar_aligned: *calendar_aligned,
            calendar: followed.as_deref().map(calendar::render),
            revision: stored.revision,
            created_at: Some(timestamp(stored.created_at)),
            updated_at: Some(timestamp(stored.updated_at)),
            managed_by: managed_by.to_string(),
        }
    }

    fn recall(&mut self, message: &v1::ProviderGovernance, _form: Form, path: &Path<'_>, violations: &mut Violations) {
        limits::recall(&mut self.limits, &message.budgets, &message.rate_limits, path, violations);
    }

    fn times(message: &v1::ProviderGovernance) -> [Option<prost_types::Timestamp>; 2] {
        [message.created_at, message.updated_at]
    }

    fn identity(message: &v1::ProviderGovernance) -> (&str, i64) {
        (named(&message.provider, &message.id), message.revision)
    }

    fn config_resource(message: v1::ProviderGovernance) -> v1::config_resource::Resource {
        v1::config_resource::Resource::ProviderGovernance(message)
    }
}
