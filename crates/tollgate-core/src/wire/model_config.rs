//! Model configs.

use super::text::{managed_by, model_pattern, name, reference, timestamp};
use super::{Form, Wire, calendar, limits, scope};
use crate::domain::{Id, LimitOwner, ModelConfig, NamePath, Path, ScopeKind, Stored, Violations};
use crate::proto::v1;

const SCOPES: &str = "MODEL_CONFIG_SCOPE_GLOBAL, MODEL_CONFIG_SCOPE_VIRTUAL_KEY, MODEL_CONFIG_SCOPE_TEAM, \
                      MODEL_CONFIG_SCOPE_CUSTOMER";

/// The scope as the domain has it; `None` for the unspecified one and for unknown numbers.
pub fn parse_model_config_scope(number: i32) -> Option<ScopeKind> {
    match v1::ModelConfigScope::try_from(number) {
        Err(_) | Ok(v1::ModelConfigScope::Unspecified) => None,
        Ok(v1::ModelConfigScope::Global) => Some(ScopeKind::Global),
        Ok(v1::ModelConfigScope::VirtualKey) => Some(ScopeKind::VirtualKey),
        Ok(v1::ModelConfigScope::Team) => Some(ScopeKind::Team),
        Ok(v1::ModelConfigScope::Customer) => Some(ScopeKind::Customer),
    }
}

const fn render_scope(kind: ScopeKind) -> v1::ModelConfigScope {
    match kind {
        ScopeKind::Global => v1::ModelConfigScope::Global,
        ScopeKind::VirtualKey => v1::ModelConfigScope::VirtualKey,
        ScopeKind::Team => v1::ModelConfigScope::Team,
        ScopeKind::Customer => v1::ModelConfigScope::Customer,
    }
}

impl Wire for ModelConfig {
    type Message = v1::ModelConfig;
    const OUTPUT_ONLY: &'static [&'static str] = &["id", "revision", "created_at", "updated_at", "scope_name"];
    const IMMUTABLE: &'static [&'static str] = &["scope", "scope_id"];

    fn parse(message: v1::ModelConfig, path: &Path<'_>, violations: &mut Violations) -> Option<Self> {
        let v1::ModelConfig { model_name, provider, scope, scope_id, calendar_aligned, managed_by: manager, .. } =
            message;
        let (followed, budgets, rate_limits) = (message.calendar, message.budgets, message.rate_limits);
        let model_name = name(&model_name, &path.field("model_name"), violations);
        let provider =
            (!provider.is_empty()).then(|| Id::new(reference(&provider, &path.field("provider"), violations)));
        let scope = scope::parse(parse_model_config_scope(scope), SCOPES, &scope_id, path, violations);
        let calendar = calendar::parse(followed, &path.field("calendar"), violations);
        let limits = limits::parse(budgets, rate_limits, calendar_aligned, path, violations);
        let managed_by = managed_by(&manager, path, violations);
        Some(Self { model_name, provider, scope: scope?, calendar_aligned, calendar, limits, managed_by })
    }

    fn review(message: &v1::ModelConfig, path: &Path<'_>, violations: &mut Violations) {
        model_pattern(message.model_name.trim(), &message.provider, &path.field("model_name"), violations);
    }

    fn given_by_path(message: &v1::ModelConfig) -> &'static [&'static str] {
        if NamePath::is_path(&message.scope_id) { &["scope_id"] } else { &[] }
    }

    fn render(stored: &Stored<Self>, form: Form) -> v1::ModelConfig {
        let Self { model_name, provider, scope, calendar_aligned, calendar: followed, limits, managed_by } =
            &stored.resource;
        let owner = LimitOwner::ModelConfig(stored.id.clone());
        let (budgets, rate_limits) =
            limits::render(limits, &owner, calendar::own(*calendar_aligned, followed.as_deref()), form);
        v1::ModelConfig {
            id: stored.id.to_string(),
            model_name: model_name.to_string(),
            provider: provider.as_ref().map(ToString::to_string).unwrap_or_default(),
            scope: render_scope(scope.kind()).into(),
            scope_id: scope.id().to_owned(),
            scope_name: String::new(),
            calendar_aligned: *calendar_aligned,
            calendar: followed.as_deref().map(calendar::render),
            budgets,
            rate_limits,
            revision: stored.revision,
            created_at: Some(timestamp(stored.created_at)),
            updated_at: Some(timestamp(stored.updated_at)),
            managed_by: managed_by.to_string(),
        }
    }

    fn recall(&mut self, message: &v1::ModelConfig, _form: Form, path: &Path<'_>, violations: &mut Violations) {
        limits::recall(&mut self.limits, &message.budgets, &message.rate_limits, path, violations);
    }

    fn times(message: &v1::ModelConfig) -> [Option<prost_types::Timestamp>; 2] {
        [message.created_at, message.updated_at]
    }

    fn identity(message: &v1::ModelConfig) -> (&str, i64) {
        (&message.id, message.revision)
    }

    fn config_resource(message: v1::ModelConfig) -> v1::config_resource::Resource {
        v1::config_resource::Resource::ModelConfig(message)
    }
}
