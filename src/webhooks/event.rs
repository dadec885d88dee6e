//! Events: to whom they are of concern, and how they are told.

use serde_json::{Value, json};

use crate::config::{Config, LimitPlace};
use crate::domain::{
    Customer, Id, KeyOwner, LimitKind, ModelConfig, Scope, Stored, Team, Timestamp, VirtualKey, Webhook, WebhookEvent,
    WebhookFormat, WebhookOwner,
};
use crate::state::Crossing;

/// An event that webhooks are told.
pub(super) struct Event {
    pub(super) kind: WebhookEvent,
    pub(super) at: Timestamp,
    /// The data of the standard format.
    data: Value,
    /// One line.
    text: String,
    concerns: Concerns,
}

/// To whom an event is of concern.
#[derive(Default)]
struct Concerns {
    customer: Option<Id<Customer>>,
    team: Option<Id<Team>>,
    virtual_key: Option<Id<VirtualKey>>,
}

impl Concerns {
    fn customer(id: &Id<Customer>) -> Self {
        Self { customer: Some(id.clone()), ..Self::default() }
    }

    fn team(config: &Config, id: &Id<Team>) -> Self {
        let customer = config.get::<Team>(id.as_str()).and_then(|team| team.resource.customer_id.clone());
        Self { customer, team: Some(id.clone()), ..Self::default() }
    }

    fn virtual_key(config: &Config, id: &Id<VirtualKey>) -> Self {
        let owner = config.get::<VirtualKey>(id.as_str()).and_then(|key| key.resource.owner.clone());
        let of_owner = match &owner {
            Some(KeyOwner::Team(id)) => Self::team(config, id),
            Some(KeyOwner::Customer(id)) => Self::customer(id),
            None => Self::default(),
        };
        Self { virtual_key: Some(id.clone()), ..of_owner }
    }

    fn limit(config: &Config, place: &LimitPlace) -> Self {
        match place {
            LimitPlace::Customer(id) => Self::customer(id),
            LimitPlace::Team(id) => Self::team(config, id),
            LimitPlace::VirtualKey(id) | LimitPlace::ProviderConfig(id, _) => Self::virtual_key(config, id),
            LimitPlace::ModelConfig(id) => match config.get::<ModelConfig>(id.as_str()).map(|it| &it.resource.scope) {
                Some(Scope::Customer(id)) => Self::customer(id),
                Some(Scope::Team(id)) => Self::team(config, id),
                Some(Scope::VirtualKey(id)) => Self::virtual_key(config, id),
                Some(Scope::Global) | None => Self::default(),
            },
            LimitPlace::ProviderGovernance(_) | LimitPlace::ProviderKey(..) => Self::default(),
        }
    }
}

/// The owner of a limit for people: its kind, id and name. It may be gone already.
fn owner(config: &Config, place: &LimitPlace) -> (&'static str, String, String) {
    let id = match place {
        LimitPlace::ProviderKey(_, id) => id.to_string(),
        _ => place.resource().id.to_string(),
    };
    let (kind, name) = match place {
        LimitPlace::Customer(_) => ("customer", config.get::<Customer>(&id).map(|it| it.resource.name.to_string())),
        LimitPlace::Team(_) => ("team", config.get::<Team>(&id).map(|it| it.resource.name.to_string())),
        LimitPlace::VirtualKey(_) | LimitPlace::ProviderConfig(..) => {
            ("virtual_key", config.get::<VirtualKey>(&id).map(|it| it.resource.name.to_string()))
        }
        LimitPlace::ModelConfig(_) => {
            ("model_config", config.get::<ModelConfig>(&id).map(|it| it.resource.model_name.to_string()))
        }
        LimitPlace::ProviderGovernance(_) => ("provider", Some(id.clone())),
        LimitPlace::ProviderKey(..) => ("provider_key", config.provider_key(&id).map(|(_, key)| key.name.to_string())),
    };
    (kind, id, name.unwrap_or_default())
}

/// An amount for people.
fn amount(kind: LimitKind, amount: i64) -> String {
    match kind {
        LimitKind::Budget => {
            let cents = (i128::from(amount) + 5_000_000) / 10_000_000;
            format!("${}.{:02}", cents / 100, cents % 100)
        }
        LimitKind::Tokens => format!("{amount} LLM tokens"),
        LimitKind::Requests => format!("{amount} requests"),
        LimitKind::Concurrency => format!("{amount} open requests"),
    }
}

impl Event {
    /// A limit reached one of its thresholds.
    pub(super) fn crossed(config: &Config, crossing: &Crossing) -> Self {
        let Crossing { key, owner: of, percent, used, max, version: _, crossed_at } = crossing;
        let place = config.limit_place(&key.limit_id).map(|(place, ..)| place).or_else(|| config.place_of(of));
        let (kind, unit) = match key.kind {
            LimitKind::Budget => ("budget", "nano_usd"),
            LimitKind::Tokens => ("tokens", "llm_tokens"),
            LimitKind::Requests => ("requests", "requests"),
            LimitKind::Concurrency => ("concurrency", "open_requests"),
        };
        let (owner_kind, owner_id, name) = place.as_ref().map(|place| owner(config, place)).unwrap_or_default();
        let what = if key.kind == LimitKind::Budget { "budget" } else { "rate limit" };
        let [told_used, told_max] = [*used, *max].map(|it| amount(key.kind, it));
        Self {
            kind: WebhookEvent::ThresholdCrossed,
            at: *crossed_at,
            text: format!(
                "The {what} of {} \"{name}\" reached {percent} %: {told_used} of {told_max}.",
                owner_kind.replace('_', " ")
            ),
            data: json!({
                "limit_id": key.limit_id.to_string(),
                "limit_kind": kind,
                "owner": { "kind": owner_kind, "id": owner_id, "name": name },
                "percent": percent,
                "used": used,
                "max": max,
                "unit": unit,
                "window_start": key.window_start.to_string(),
            }),
            concerns: place.map(|place| Concerns::limit(config, &place)).unwrap_or_default(),
        }
    }

    /// A key expires in less than so many days.
    pub(super) fn expiring(
        config: &Config,
        key: &Stored<VirtualKey>,
        expires_at: Timestamp,
        days: i64,
        at: Timestamp,
    ) -> Self {
        let concerns = Concerns::virtual_key(config, &key.id);
        let name = &key.resource.name;
        let within = if days == 1 { "a day".to_owned() } else { format!("{days} days") };
        Self {
            kind: WebhookEvent::KeyExpiring,
            at,
            text: format!("The virtual key \"{name}\" expires in less than {within}, at {expires_at}."),
            data: json!({
                "virtual_key_id": key.id.as_str(),
                "virtual_key_name": name,
                "team_id": concerns.team.as_ref().map(Id::as_str),
                "customer_id": concerns.customer.as_ref().map(Id::as_str),
                "expires_at": expires_at.to_string(),
                "within_days": days,
            }),
            concerns,
        }
    }

    /// A node is not heard any more.
    pub(super) fn silent(node_id: &str, incarnation: i64, replica: &str, last_seen: Timestamp, at: Timestamp) -> Self {
        Self {
            kind: WebhookEvent::NodeSilent,
            at,
            text: format!("The node \"{node_id}\" is silent: it was last heard at {last_seen}."),
            data: json!({
                "node_id": node_id,
                "incarnation": incarnation,
                "replica": replica,
                "last_seen": last_seen.to_string(),
            }),
            concerns: Concerns::default(),
        }
    }

    /// A server cannot write to its database.
    pub(super) fn not_writable(replica: &str, at: Timestamp) -> Self {
        Self {
            kind: WebhookEvent::StoreNotWritable,
            at,
            text: format!("The server {replica} cannot write to its database since {at}."),
            data: json!({ "replica": replica }),
            concerns: Concerns::default(),
        }
    }

    /// Somebody asked for it.
    pub(super) fn test(webhook: &Stored<Webhook>, at: Timestamp) -> Self {
        let name = &webhook.resource.name;
        Self {
            kind: WebhookEvent::Test,
            at,
            text: format!("This is a test of the webhook \"{name}\"."),
            data: json!({ "webhook_id": webhook.id.as_str(), "webhook_name": name }),
            concerns: Concerns::default(),
        }
    }

    /// Whether `webhook` is to hear of it.
    pub(super) fn is_for(&self, webhook: &Webhook) -> bool {
        let Concerns { customer, team, virtual_key } = &self.concerns;
        let is_owner = match &webhook.owner {
            None => true,
            Some(WebhookOwner::Customer(id)) => customer.as_ref() == Some(id),
            Some(WebhookOwner::Team(id)) => team.as_ref() == Some(id),
            Some(WebhookOwner::VirtualKey(id)) => virtual_key.as_ref() == Some(id),
        };
        is_owner && webhook.is_active && webhook.events.contains(&self.kind)
    }

    /// The body of a delivery.
    pub(super) fn body(&self, format: WebhookFormat) -> Box<str> {
        let body = match format {
            WebhookFormat::Standard => {
                json!({ "type": self.kind.name(), "timestamp": self.at.to_string(), "data": self.data })
            }
            WebhookFormat::Slack => {
                // A name must not become a link or a mention.
                let text = self.text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
                json!({ "text": format!("tollgate: {text}") })
            }
        };
        body.to_string().into()
    }
}
