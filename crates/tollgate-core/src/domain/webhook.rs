//! Webhooks: where alerts are sent. They are no part of what a decision reads, and no node needs to know them.

use std::fmt;

use super::{Customer, Id, Team, VirtualKey};

/// Where alerts are sent, and which.
#[derive(Clone, PartialEq, Debug)]
pub struct Webhook {
    /// Unique among webhooks.
    pub name: Box<str>,
    /// An absolute `https` URL, or `http` where the server allows it.
    pub url: Box<str>,
    /// The secret that deliveries are signed with; `None` if the webhook came from another store, whose export has no secrets.
    pub secret: Option<WebhookSecret>,
    /// The events that are sent, in order, each once.
    pub events: Vec<WebhookEvent>,
    /// Only what happens to this one and to what belongs to it.
    pub owner: Option<WebhookOwner>,
    /// How the body is written.
    pub format: WebhookFormat,
    /// Whether anything is sent.
    pub is_active: bool,
    /// The source that manages it; empty for none.
    pub managed_by: Box<str>,
}

/// The secret that both sides of a webhook know. It is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(Box<str>);

impl WebhookSecret {
    /// The beginning of every secret, as Standard Webhooks has it; Base64 of the key follows.
    pub const PREFIX: &'static str = "whsec_";
    /// Bytes of the key.
    const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

    /// The secret with this text; `None` if it is none.
    pub fn new(text: &str) -> Option<Self> {
        let key = text.strip_prefix(Self::PREFIX)?;
        let digits = key.trim_end_matches('=');
        let padding = key.len() - digits.len();
        let is_base64 = digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'));
        let fits = key.len().is_multiple_of(4) && padding <= 2 && Self::BYTES.contains(&(digits.len() * 3 / 4));
        (is_base64 && fits).then(|| Self(text.into()))
    }

    /// The secret, prefix included.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The Base64 of the key.
    pub fn key(&self) -> &str {
        self.0.strip_prefix(Self::PREFIX).unwrap_or_default()
    }

    /// The end of the secret, by which people recognise it.
    pub fn mask(&self) -> String {
        let end = self.0.trim_end_matches('=');
        format!("{}…{}", Self::PREFIX, end.get(end.len().saturating_sub(4)..).unwrap_or_default())
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}

/// The one whose events a webhook is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WebhookOwner {
    /// A customer, with its teams and all their keys.
    Customer(Id<Customer>),
    /// A team, with its keys.
    Team(Id<Team>),
    /// A virtual key.
    VirtualKey(Id<VirtualKey>),
}

/// An event that a webhook may be for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum WebhookEvent {
    /// A limit reached one of its thresholds.
    ThresholdCrossed,
    /// A virtual key is about to expire.
    KeyExpiring,
    /// A node is not heard any more.
    NodeSilent,
    /// A server cannot write to its database.
    StoreNotWritable,
    /// Somebody asked for it. No webhook names it: it is sent to the one that is tested.
    Test,
}

impl WebhookEvent {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::ThresholdCrossed, Self::KeyExpiring, Self::NodeSilent, Self::StoreNotWritable, Self::Test];

    /// The event's number in the API and in tables; it never changes.
    pub const fn number(self) -> i32 {
        match self {
            Self::ThresholdCrossed => 1,
            Self::KeyExpiring => 2,
            Self::NodeSilent => 3,
            Self::StoreNotWritable => 4,
            Self::Test => 5,
        }
    }

    /// The event with this number.
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.number() == number)
    }

    /// The event's name, as deliveries carry it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ThresholdCrossed => "threshold.crossed",
            Self::KeyExpiring => "key.expiring",
            Self::NodeSilent => "node.silent",
            Self::StoreNotWritable => "store.not_writable",
            Self::Test => "test",
        }
    }

    /// The event with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.name() == name)
    }
}

/// How the body of a delivery is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WebhookFormat {
    /// As Standard Webhooks has it: type, timestamp, data.
    Standard,
    /// One line of text, as Slack and what imitates it takes it.
    Slack,
}

impl WebhookFormat {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Standard, Self::Slack];

    /// The format's name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Slack => "slack",
        }
    }

    /// The format with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_base64_of_24_to_64_bytes_and_stay_hidden() {
        let good = format!("whsec_{}", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let secret = WebhookSecret::new(&good).unwrap();
        assert_eq!((secret.reveal(), secret.mask()), (good.as_str(), "whsec_…LaSw".to_owned()));
        assert!(!format!("{secret:?}").contains("MfKQ"));
        assert!(WebhookSecret::new(&format!("whsec_{}==", "A".repeat(86))).is_some(), "64 bytes");
        for bad in [
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned(),
            "whsec_".to_owned(),
            format!("whsec_{}", "A".repeat(28)),
            format!("whsec_{}", "A".repeat(92)),
            format!("whsec_{}é", "A".repeat(30)),
            format!("whsec_{}====", "A".repeat(40)),
            format!("whsec_{}", "A".repeat(33)),
        ] {
            assert!(WebhookSecret::new(&bad).is_none(), "{bad}");
        }
    }
}
