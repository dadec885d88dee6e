//! Teams.

use super::text::{
    labels, managed_by, name, reference_to, render_labels, render_structure, structure, tidy_name, timestamp,
};
use super::{Form, Wire, calendar, ceiling, limits};
use crate::domain::{Id, Kind, LimitOwner, Path, Stored, Struct, Team, Violations};
use crate::proto::v1;

impl Wire for Team {
    type Message = v1::Team;
    const OUTPUT_ONLY: &'static [&'static str] =
        &["id", "revision", "created_at", "updated_at", "customer", "virtual_keys", "virtual_key_count"];
    const IMMUTABLE: &'static [&'static str] = &[];

    fn parse(message: v1::Team, path: &Path<'_>, violations: &mut Violations) -> Option<Self> {
        let v1::Team {
            name: text,
            customer_id,
            is_active,
            model_ceiling,
            budgets,
            rate_limits,
            calendar_aligned,
            calendar: followed,
            labels: pairs,
            profile,
            config,
            claims,
            managed_by: manager,
            ..
        } = message;
        let customer_id = (!customer_id.is_empty())
            .then(|| Id::new(reference_to(Kind::Customer, &customer_id, &path.field("customer_id"), violations)));
        Some(Self {
            name: name(&text, &path.field("name"), violations),
            customer_id,
            is_active: is_active.unwrap_or(true),
            model_ceiling: ceiling::parse(model_ceiling, &path.field("model_ceiling"), violations),
            calendar_aligned,
            calendar: calendar::parse(followed, &path.field("calendar"), violations),
            limits: limits::parse(budgets, rate_limits, calendar_aligned, path, violations),
            labels: labels(&pairs, &path.field("labels"), violations),
            profile: structure(profile, &path.field("profile"), violations),
            config: structure(config, &path.field("config"), violations),
            claims: structure(claims, &path.field("claims"), violations),
            managed_by: managed_by(&manager, path, violations),
        })
    }

    fn review(message: &v1::Team, path: &Path<'_>, violations: &mut Violations) {
        ceiling::review(message.model_ceiling.as_ref(), &path.field("model_ceiling"), violations);
    }

    fn tidy(message: &mut v1::Team) {
        tidy_name(&mut message.name);
    }

    fn render(stored: &Stored<Self>, form: Form) -> v1::Team {
        let Self {
            name,
            customer_id,
            is_active,
            model_ceiling,
            calendar_aligned,
            calendar: followed,
            limits,
            labels,
            profile,
            config,
            claims,
            managed_by,
        } = &stored.resource;
        let owner = LimitOwner::Team(stored.id.clone());
        let (budgets, rate_limits) =
            limits::render(limits, &owner, calendar::own(*calendar_aligned, followed.as_deref()), form);
        let free = |data: &Option<Struct>| match form {
            Form::Stream => None,
            Form::Answer(_) | Form::Log => data.as_ref().map(render_structure),
        };
        v1::Team {
            id: stored.id.to_string(),
            name: name.to_string(),
            customer_id: customer_id.as_ref().map(ToString::to_string).unwrap_or_default(),
            is_active: form.flag(*is_active),
            model_ceiling: ceiling::render(model_ceiling),
            budgets,
            rate_limits,
            calendar_aligned: *calendar_aligned,
            calendar: followed.as_deref().map(calendar::render),
            labels: render_labels(labels),
            profile: free(profile),
            config: free(config),
            claims: free(claims),
            customer: None,
            virtual_keys: Vec::new(),
            virtual_key_count: 0,
            revision: stored.revision,
            created_at: Some(timestamp(stored.created_at)),
            updated_at: Some(timestamp(stored.updated_at)),
            managed_by: managed_by.to_string(),
        }
    }

    fn recall(&mut self, message: &v1::Team, _form: Form, path: &Path<'_>, violations: &mut Violations) {
        limits::recall(&mut self.limits, &message.budgets, &message.rate_limits, path, violations);
    }

    fn times(message: &v1::Team) -> [Option<prost_types::Timestamp>; 2] {
        [message.created_at, message.updated_at]
    }

    fn identity(message: &v1::Team) -> (&str, i64) {
        (&message.id, message.revision)
    }

    fn config_resource(message: v1::Team) -> v1::config_resource::Resource {
        v1::config_resource::Resource::Team(message)
    }
}
