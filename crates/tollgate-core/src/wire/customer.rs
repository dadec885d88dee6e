//! Customers.

use super::text::{labels, managed_by, name, render_labels, tidy_name, timestamp};
use super::{Form, Wire, calendar, ceiling, limits};
use crate::domain::{Customer, LimitOwner, Path, Stored, Violations};
use crate::proto::v1;

impl Wire for Customer {
    type Message = v1::Customer;
    const OUTPUT_ONLY: &'static [&'static str] =
        &["id", "revision", "created_at", "updated_at", "teams", "virtual_keys"];
    const IMMUTABLE: &'static [&'static str] = &[];

    fn parse(message: v1::Customer, path: &Path<'_>, violations: &mut Violations) -> Option<Self> {
        let v1::Customer {
            name: text,
            is_active,
            model_ceiling,
            budgets,
            rate_limits,
            calendar_aligned,
            calendar: followed,
            labels: pairs,
            managed_by: manager,
            ..
        } = message;
        Some(Self {
            name: name(&text, &path.field("name"), violations),
            is_active: is_active.unwrap_or(true),
            model_ceiling: ceiling::parse(model_ceiling, &path.field("model_ceiling"), violations),
            calendar_aligned,
            calendar: calendar::parse(followed, &path.field("calendar"), violations),
            limits: limits::parse(budgets, rate_limits, calendar_aligned, path, violations),
            labels: labels(&pairs, &path.field("labels"), violations),
            managed_by: managed_by(&manager, path, violations),
        })
    }

    fn review(message: &v1::Customer, path: &Path<'_>, violations: &mut Violations) {
        ceiling::review(message.model_ceiling.as_ref(), &path.field("model_ceiling"), violations);
    }

    fn tidy(message: &mut v1::Customer) {
        tidy_name(&mut message.name);
    }

    fn render(stored: &Stored<Self>, form: Form) -> v1::Customer {
        let Self { name, is_active, model_ceiling, calendar_aligned, calendar: followed, limits, labels, managed_by } =
            &stored.resource;
        let owner = LimitOwner::Customer(stored.id.clone());
        let (budgets, rate_limits) =
            limits::render(limits, &owner, calendar::own(*calendar_aligned, followed.as_deref()), form);
        v1::Customer {
            id: stored.id.to_string(),
            name: name.to_string(),
            is_active: form.flag(*is_active),
            model_ceiling: ceiling::render(model_ceiling),
            budgets,
            rate_limits,
            calendar_aligned: *calendar_aligned,
            calendar: followed.as_deref().map(calendar::render),
            labels: render_labels(labels),
            teams: Vec::new(),
            virtual_keys: Vec::new(),
            revision: stored.revision,
            created_at: Some(timestamp(stored.created_at)),
            updated_at: Some(timestamp(stored.updated_at)),
            managed_by: managed_by.to_string(),
        }
    }

    fn recall(&mut self, message: &v1::Customer, _form: Form, path: &Path<'_>, violations: &mut Violations) {
        limits::recall(&mut self.limits, &message.budgets, &message.rate_limits, path, violations);
    }

    fn times(message: &v1::Customer) -> [Option<prost_types::Timestamp>; 2] {
        [message.created_at, message.updated_at]
    }

    fn identity(message: &v1::Customer) -> (&str, i64) {
        (&message.id, message.revision)
    }

    fn config_resource(message: v1::Customer) -> v1::config_resource::Resource {
        v1::config_resource::Resource::Customer(message)
    }
}
