//! Virtual keys.

use bytes::Bytes;

use super::text::{
    bounded, count, description, labels, managed_by, model_patterns, name, permit, reference, reference_to,
    render_labels, required_time, tidy_name, timestamp,
};
use super::{Form, Wire, calendar, limits};
use crate::domain::{
    AllowList, Calendar, Id, KeyOwner, Kind, LimitOwner, McpConfig, ModelPattern, Path, PreviousSecret, ProviderConfig,
    Secret, Sha256Hash, Stored, Violations, VirtualKey,
};
use crate::proto::v1;

/// The longest mask: the prefix, four characters, an ellipsis and four characters.
const MAX_MASK_BYTES: usize = 32;
/// The longest name of a caller.
const MAX_CALLER_BYTES: usize = 1_024;

impl Wire for VirtualKey {
    type Message = v1::VirtualKey;
    const OUTPUT_ONLY: &'static [&'static str] = &[
        "id",
        "revision",
        "created_at",
        "updated_at",
        "team",
        "customer",
        "created_by",
        "value_sha256",
        "previous_value_sha256",
        "previous_value_expires_at",
        // Neither output-only nor to be updated: only RotateVirtualKey changes it.
        "value",
    ];
    const IMMUTABLE: &'static [&'static str] = &[];

    /// The secret is not of the message: `api` makes it or takes it from the caller, and `state` keeps the stored one.
    fn parse(message: v1::VirtualKey, path: &Path<'_>, violations: &mut Violations) -> Option<Self> {
        let v1::VirtualKey {
            name: text,
            description: about,
            is_active,
            provider_configs,
            mcp_configs,
            team_id,
            customer_id,
            budgets,
            rate_limits,
            calendar_aligned,
            calendar: followed,
            expires_at,
            labels: pairs,
            managed_by: manager,
            ..
        } = message;
        let owner = match (team_id.is_empty(), customer_id.is_empty()) {
            (true, true) => None,
            (false, true) => {
                Some(KeyOwner::Team(Id::new(reference_to(Kind::Team, &team_id, &path.field("team_id"), violations))))
            }
            (true, false) => Some(KeyOwner::Customer(Id::new(reference_to(
                Kind::Customer,
                &customer_id,
                &path.field("customer_id"),
                violations,
            )))),
            (false, false) => {
                let text = "is set beside team_id; a key belongs to a team or to a customer directly, not to both";
                violations.add(path.field("customer_id"), text);
                None
            }
        };

        let list = path.field("provider_configs");
        count(provider_configs.len(), &list, violations);
        let provider_configs = provider_configs.into_iter().enumerate();
        let provider_configs = provider_configs
            .map(|(index, config)| provider_config(config, calendar_aligned, &list.index(index), violations))
            .collect();

        let list = path.field("mcp_configs");
        count(mcp_configs.len(), &list, violations);
        let mut seen: Vec<String> = Vec::new();
        let mut parsed = Vec::with_capacity(mcp_configs.len());
        for (index, config) in mcp_configs.into_iter().enumerate() {
            let path = list.index(index);
            let v1::VirtualKeyMcpConfig { id, mcp_client_name, tools_to_execute, mcp_client: _ } = config;
            check_id(id, &path, violations);
            if seen.contains(&mcp_client_name) {
                violations.add(path.field("mcp_client_name"), "is named twice; join the two entries");
            }
            parsed.push(McpConfig {
                id,
                mcp_client: Id::new(reference(&mcp_client_name, &path.field("mcp_client_name"), violations)),
                tools_to_execute: permit(&tools_to_execute, &path.field("tools_to_execute"), violations),
            });
            seen.push(mcp_client_name);
        }

        Some(Self {
            name: name(&text, &path.field("name"), violations),
            secret: Secret { sha256: Sha256Hash([0; 32]), mask: "".into() },
            previous_secret: None,
            description: description(&about, &path.field("description"), violations),
            is_active: is_active.unwrap_or(true),
            owner,
            expires_at: limits::optional_time(expires_at, &path.field("expires_at"), violations),
            provider_configs,
            mcp_configs: parsed.into(),
            calendar_aligned,
            calendar: calendar::parse(followed, &path.field("calendar"), violations),
            limits: limits::parse(budgets, rate_limits, calendar_aligned, path, violations),
            labels: labels(&pairs, &path.field("labels"), violations),
            created_by: "".into(),
            managed_by: managed_by(&manager, path, violations),
        })
    }

    fn review(message: &v1::VirtualKey, path: &Path<'_>, violations: &mut Violations) {
        let list = path.field("provider_configs");
        for (index, config) in message.provider_configs.iter().enumerate() {
            let v1::VirtualKeyProviderConfig { provider, allowed_models, blocked_models, .. } = config;
            for (field, models) in [("allowed_models", allowed_models), ("blocked_models", blocked_models)] {
                let path = list.index(index);
                let path = path.field(field);
                model_patterns(models, provider, &path, violations);
                // `*` itself is checked where lists are read.
                let all = |text: &String| text != "*" && ModelPattern::of(text, provider) == ModelPattern::ALL;
                let all = models.iter().position(all);
                if let Some(place) = all.filter(|_| models.len() > 1) {
                    let text = "means all models and stands alone; remove it or the other items";
                    violations.add(path.index(place), text);
                }
            }
        }
    }

    fn tidy(message: &mut v1::VirtualKey) {
        tidy_name(&mut message.name);
    }

    fn render(stored: &Stored<Self>, form: Form) -> v1::VirtualKey {
        let Self {
            name,
            secret,
            previous_secret,
            description,
            is_active,
            owner,
            expires_at,
            provider_configs,
            mcp_configs,
            calendar_aligned,
            calendar: followed,
            limits,
            labels,
            created_by,
            managed_by,
        } = &stored.resource;
        let windows = calendar::own(*calendar_aligned, followed.as_deref());
        let limit_owner = LimitOwner::VirtualKey(stored.id.clone());
        let (budgets, rate_limits) = limits::render(limits, &limit_owner, windows, form);
        let (team_id, customer_id) = match owner {
            Some(KeyOwner::Team(id)) => (id.to_string(), String::new()),
            Some(KeyOwner::Customer(id)) => (String::new(), id.to_string()),
            None => (String::new(), String::new()),
        };
        let hashes = match form {
            Form::Answer(_) => None,
            Form::Stream | Form::Log => Some(Bytes::copy_from_slice(&secret.sha256.0)),
        };
        let previous = hashes.as_ref().and(previous_secret.as_ref());
        v1::VirtualKey {
            id: stored.id.to_string(),
            name: name.to_string(),
            value: match form {
                Form::Stream => String::new(),
                Form::Answer(_) | Form::Log => secret.mask.to_string(),
            },
            description: description.to_string(),
            is_active: Some(*is_active),
            provider_configs: provider_configs
                .iter()
                .map(|config| render_provider_config(config, windows, form))
                .collect(),
            mcp_configs: mcp_configs
                .iter()
                .map(|config| v1::VirtualKeyMcpConfig {
                    id: config.id,
                    mcp_client_name: config.mcp_client.to_string(),
                    tools_to_execute: config.tools_to_execute.to_list(),
                    mcp_client: None,
                })
                .collect(),
            team_id,
            customer_id,
            budgets,
            rate_limits,
            calendar_aligned: *calendar_aligned,
            calendar: followed.as_deref().map(calendar::render),
            expires_at: expires_at.map(timestamp),
            labels: render_labels(labels),
            team: None,
            customer: None,
            created_by: created_by.to_string(),
            previous_value_sha256: previous.map(|p| Bytes::copy_from_slice(&p.sha256.0)).unwrap_or_default(),
            previous_value_expires_at: previous.map(|p| timestamp(p.expires_at)),
            value_sha256: hashes.unwrap_or_default(),
            revision: stored.revision,
            created_at: Some(timestamp(stored.created_at)),
            updated_at: Some(timestamp(stored.updated_at)),
            managed_by: managed_by.to_string(),
        }
    }

    fn recall(&mut self, message: &v1::VirtualKey, form: Form, path: &Path<'_>, violations: &mut Violations) {
        self.secret.sha256 = parse_hash(&message.value_sha256, &path.field("value_sha256"), violations);
        if !message.previous_value_sha256.is_empty() {
            self.previous_secret = Some(Box::new(previous_secret(message, path, violations)));
        }
        if form == Form::Log && !message.value.contains('…') {
            violations.add(path.field("value"), "is no mask; must be what is shown instead of the value");
        }
        self.secret.mask = bounded(&message.value, MAX_MASK_BYTES, false, &path.field("value"), violations);
        self.created_by = bounded(&message.created_by, MAX_CALLER_BYTES, false, &path.field("created_by"), violations);
        limits::recall(&mut self.limits, &message.budgets, &message.rate_limits, path, violations);

        let list = path.field("provider_configs");
        for (index, (config, message)) in self.provider_configs.iter_mut().zip(&message.provider_configs).enumerate() {
            let path = list.index(index);
            known_id(message.id, &path, violations);
            let (budgets, rate_limits) = (&message.budgets, &message.rate_limits);
            limits::recall(&mut config.limits, budgets, rate_limits, &path, violations);
        }
        let list = path.field("mcp_configs");
        for (index, message) in message.mcp_configs.iter().enumerate() {
            known_id(message.id, &list.index(index), violations);
        }
    }

    fn times(message: &v1::VirtualKey) -> [Option<prost_types::Timestamp>; 2] {
        [message.created_at, message.updated_at]
    }

    fn identity(message: &v1::VirtualKey) -> (&str, i64) {
        (&message.id, message.revision)
    }

    /// Setting the team clears the customer, and the reverse.
    fn mend(merged: &mut v1::VirtualKey, fields: &[&str]) {
        let has = |name: &str| fields.contains(&name);
        match (has("team_id") && !merged.team_id.is_empty(), has("customer_id") && !merged.customer_id.is_empty()) {
            (true, false) => merged.customer_id.clear(),
            (false, true) => merged.team_id.clear(),
            (true, true) | (false, false) => {}
        }
    }

    fn config_resource(message: v1::VirtualKey) -> v1::config_resource::Resource {
        v1::config_resource::Resource::VirtualKey(message)
    }
}

fn provider_config(
    message: v1::VirtualKeyProviderConfig,
    calendar_aligned: bool,
    path: &Path<'_>,
    violations: &mut Violations,
) -> ProviderConfig {
    let v1::VirtualKeyProviderConfig {
        id,
        provider,
        weight,
        allowed_models,
        blocked_models,
        key_ids,
        allow_all_keys: _,
        keys: _,
        budgets,
        rate_limits,
    } = message;
    check_id(id, path, violations);
    if let Some(weight) = weight
        && !(weight.is_finite() && weight >= 0.0)
    {
        let text = format!("is {weight}; must be a finite number of at least 0, or absent to be never drawn");
        violations.add(path.field("weight"), text);
    }
    ProviderConfig {
        id,
        provider: Id::new(reference(&provider, &path.field("provider"), violations)),
        weight,
        allowed_models: permit(&allowed_models, &path.field("allowed_models"), violations),
        blocked_models: permit(&blocked_models, &path.field("blocked_models"), violations),
        key_ids: permit(&key_ids, &path.field("key_ids"), violations),
        limits: limits::parse(budgets, rate_limits, calendar_aligned, path, violations),
    }
}

fn render_provider_config(
    config: &ProviderConfig,
    calendar: Option<&Calendar>,
    form: Form,
) -> v1::VirtualKeyProviderConfig {
    let owner = LimitOwner::ProviderConfig(config.id);
    let (budgets, rate_limits) = limits::render(&config.limits, &owner, calendar, form);
    v1::VirtualKeyProviderConfig {
        id: config.id,
        provider: config.provider.to_string(),
        weight: config.weight,
        allowed_models: config.allowed_models.to_list(),
        blocked_models: config.blocked_models.to_list(),
        key_ids: config.key_ids.to_list(),
        allow_all_keys: config.key_ids == AllowList::All,
        keys: Vec::new(),
        budgets,
        rate_limits,
    }
}

fn known_id(id: i64, path: &Path<'_>, violations: &mut Violations) {
    if id == 0 {
        violations.add(path.field("id"), "is 0; must be the id that the entry has");
    }
}

fn check_id(id: i64, path: &Path<'_>, violations: &mut Violations) {
    if id < 0 {
        violations.add(path.field("id"), format!("is {id}; must be the id of an existing entry, or 0 for a new one"));
    }
}

/// A hash of 32 bytes.
pub(super) fn parse_hash(bytes: &[u8], path: &Path<'_>, violations: &mut Violations) -> Sha256Hash {
    Sha256Hash::from_slice(bytes).unwrap_or_else(|| {
        violations.add(path, format!("has {} bytes; must have 32", bytes.len()));
        Sha256Hash([0; 32])
    })
}

fn previous_secret(message: &v1::VirtualKey, path: &Path<'_>, violations: &mut Violations) -> PreviousSecret {
    let sha256 = parse_hash(&message.previous_value_sha256, &path.field("previous_value_sha256"), violations);
    let path = path.field("previous_value_expires_at");
    PreviousSecret { sha256, expires_at: required_time(message.previous_value_expires_at, &path, violations) }
}

/// The secrets that a caller brings for a new key: the present one, by its value or its hash, and the one before, by its hash. `None` for a present one that the server is to make.
pub fn parse_secrets(
    message: &v1::VirtualKey,
    path: &Path<'_>,
    violations: &mut Violations,
) -> (Option<Secret>, Option<PreviousSecret>) {
    let v1::VirtualKey { value, value_sha256, previous_value_sha256, previous_value_expires_at, .. } = message;
    let by_value = (!value.is_empty()).then(|| parse_value(value, &path.field("value"), violations));
    let hash_path = path.field("value_sha256");
    let by_hash = (!value_sha256.is_empty()).then(|| Secret::hashed(parse_hash(value_sha256, &hash_path, violations)));
    if by_value.is_some() && by_hash.is_some() {
        violations.add(hash_path, "is set beside value; leave one of the two out");
    }
    if previous_value_sha256.is_empty() {
        if previous_value_expires_at.is_some() {
            violations.add(path.field("previous_value_expires_at"), "is set without previous_value_sha256");
        }
        return (by_value.or(by_hash), None);
    }
    let previous = previous_secret(message, path, violations);
    let problem = match &by_hash {
        None => Some("is set without value_sha256; give the hash of the present value too"),
        Some(present) if present.sha256 == previous.sha256 => Some("is that of the present value; leave it out"),
        Some(_) => None,
    };
    if let Some(problem) = problem {
        violations.add(path.field("previous_value_sha256"), problem);
    }
    (by_value.or(by_hash), Some(previous))
}

/// The secret that a caller brings: 20 to 256 printable ASCII characters without spaces. It is never shown in a
/// violation.
fn parse_value(value: &str, path: &Path<'_>, violations: &mut Violations) -> Secret {
    if !(20..=256).contains(&value.len()) || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        let text =
            "must have 20 to 256 printable ASCII characters without spaces, or be empty for the server to make it";
        violations.add(path, text);
    } else if value.starts_with("tg_") {
        violations
            .add(path, "begins with \"tg_\", which marks tokens of administrators and nodes; choose another value");
    }
    Secret::imported(value)
}
