//! What the limits of a resource count: dimensions, and the windows that they are counted in.

use super::CounterKey;
use crate::domain::{
    AlertPercents, AnyResource, Calendar, Enforcement, Id, LimitId, LimitKind, LimitOwner, Limits, RateDimension,
    ResetDuration, Timestamp, Window,
};

/// One dimension of a limit: what is limited, up to where, in which windows.
#[derive(Clone, Debug)]
pub struct Dimension<'a> {
    /// Id of the budget or rate limit.
    pub limit_id: LimitId,
    /// What of it.
    pub kind: LimitKind,
    /// Whose it is.
    pub owner: LimitOwner,
    /// How the limit holds requests back.
    pub enforcement: Enforcement,
    /// The percentages of the ceiling whose crossing is recorded.
    pub alert_percents: &'a AlertPercents,
    /// The calendar that windows of its owner follow; `None` if they are rolling.
    pub calendar: Option<&'a Calendar>,
    /// The ceiling without an increase: nano-dollars, tokens or requests.
    base: i64,
    /// The ceiling with an increase, and until when that holds.
    raised: Option<(i64, Timestamp)>,
    anchor: Timestamp,
    length: &'a ResetDuration,
    /// When its usage was set to zero last.
    usage_reset_at: Option<Timestamp>,
}

impl Dimension<'_> {
    /// The window that `at` lies in.
    pub fn window(&self, at: Timestamp) -> Window {
        Window::at(self.anchor, self.length, self.calendar, at)
    }

    /// Whether usage of the time `at`, which would count in `window`, occurred before an update set that window to zero.
    pub fn went_with_reset(&self, at: Timestamp, window: &Window) -> bool {
        self.reset_in(window).is_some_and(|reset_at| at < reset_at)
    }

    /// From when on usage counts in the window: its start, or when an update set it to zero last.
    pub fn counts_from(&self, window: &Window) -> Timestamp {
        self.reset_in(window).unwrap_or(window.start)
    }

    fn reset_in(&self, window: &Window) -> Option<Timestamp> {
        self.usage_reset_at.filter(|reset_at| window.start <= *reset_at && *reset_at < window.end)
    }

    /// The ceiling at the time `at`: nano-dollars, tokens or requests.
    pub fn max(&self, at: Timestamp) -> i64 {
        self.raised.filter(|(_, until)| at < *until).map_or(self.base, |(raised, _)| raised)
    }

    /// The ceiling at the time `at`, or the higher one that ended in this window before it.
    pub fn greatest_max(&self, window: &Window, at: Timestamp) -> i64 {
        self.raised.filter(|(_, until)| window.start < *until).map_or_else(|| self.max(at), |(raised, _)| raised)
    }

    /// Until when an increase raises the ceiling in this window, or did; `None` if it ends in another one.
    pub fn raised_until(&self, window: &Window) -> Option<Timestamp> {
        self.raised.map(|(_, until)| until).filter(|until| window.start < *until && *until < window.end)
    }

    /// When the window that `at` lies in ends, or the ceiling changes, if that is earlier.
    pub fn holds_until(&self, at: Timestamp) -> Timestamp {
        let end = self.window(at).end;
        self.raised.map_or(end, |(_, until)| if at < until { end.min(until) } else { end })
    }

    /// Whether its windows are those of the calendar.
    pub fn aligned(&self) -> bool {
        self.calendar.is_some() && self.length.can_align()
    }

    /// The counter of the window that `at` lies in.
    pub fn counter(&self, at: Timestamp) -> CounterKey {
        CounterKey { limit_id: self.limit_id.clone(), kind: self.kind, window_start: self.window(at).start }
    }
}

/// The dimension of the rate limit of an owner that limits requests which are open at once: one window for all time, in which
/// nothing is counted.
pub fn slots<'a>(owner: &LimitOwner, limits: &'a Limits) -> Option<Dimension<'a>> {
    let (rate, max) = limits.rate_limits.iter().find_map(|rate| Some((rate, rate.concurrent?)))?;
    Some(Dimension {
        limit_id: rate.id.clone(),
        kind: LimitKind::Concurrency,
        owner: owner.clone(),
        enforcement: rate.enforcement,
        alert_percents: &rate.alert_percents,
        calendar: None,
        base: max,
        raised: None,
        anchor: Timestamp::EPOCH,
        length: ResetDuration::ENDLESS,
        usage_reset_at: None,
    })
}

/// All dimensions of all limits of a resource in which something is counted, whose windows follow the `calendar` or are rolling.
pub fn dimensions<'a>(any: &'a AnyResource, calendar: Option<&'a Calendar>) -> Vec<Dimension<'a>> {
    let mut found = Vec::new();
    for (owner, limits) in owned_limits(any) {
        add_dimensions(&owner, limits, calendar, &mut found);
    }
    found
}

/// The dimensions of the limits of one owner in which something is counted.
pub fn add_dimensions<'a>(
    owner: &LimitOwner,
    limits: &'a Limits,
    calendar: Option<&'a Calendar>,
    found: &mut Vec<Dimension<'a>>,
) {
    for rate in &limits.rate_limits {
        for (kind, of) in [(LimitKind::Tokens, &rate.token), (LimitKind::Requests, &rate.request)] {
            if let Some(RateDimension { max_limit, reset_duration, anchor }) = of {
                let (limit_id, owner) = (rate.id.clone(), owner.clone());
                let (base, anchor, length) = (*max_limit, *anchor, reset_duration);
                let (enforcement, alert_percents) = (rate.enforcement, &rate.alert_percents);
                found.push(Dimension {
                    limit_id,
                    kind,
                    owner,
                    enforcement,
                    alert_percents,
                    calendar,
                    base,
                    raised: None,
                    anchor,
                    length,
                    usage_reset_at: rate.usage_reset_at.as_deref().copied(),
                });
            }
        }
    }
    for budget in &limits.budgets {
        found.push(Dimension {
            limit_id: budget.id.clone(),
            kind: LimitKind::Budget,
            owner: owner.clone(),
            enforcement: budget.enforcement,
            alert_percents: &budget.alert_percents,
            anchor: budget.anchor,
            length: &budget.reset_duration,
            usage_reset_at: budget.usage_reset_at.as_deref().copied(),
            calendar,
            base: budget.max_limit.nanos(),
            raised: budget.temporary_increase.as_deref().map(|it| (it.raised(budget.max_limit).nanos(), it.until)),
        });
    }
}

/// The limits that are parts of a resource, each with its owner.
pub fn owned_limits(any: &AnyResource) -> Vec<(LimitOwner, &Limits)> {
    match any {
        AnyResource::Customer(stored) => {
            let owner = LimitOwner::Customer(stored.id.clone());
            vec![(owner, &stored.resource.limits)]
        }
        AnyResource::Team(stored) => {
            let owner = LimitOwner::Team(stored.id.clone());
            vec![(owner, &stored.resource.limits)]
        }
        AnyResource::VirtualKey(stored) => {
            let key = (LimitOwner::VirtualKey(stored.id.clone()), &stored.resource.limits);
            let configs = stored.resource.provider_configs.iter();
            let configs = configs.map(|config| (LimitOwner::ProviderConfig(config.id), &config.limits));
            std::iter::once(key).chain(configs).collect()
        }
        AnyResource::ModelConfig(stored) => {
            let owner = LimitOwner::ModelConfig(stored.id.clone());
            vec![(owner, &stored.resource.limits)]
        }
        AnyResource::ProviderGovernance(stored) => {
            let owner = LimitOwner::Provider(Id::new(stored.id.shared()));
            vec![(owner, &stored.resource.limits)]
        }
        AnyResource::Provider(stored) => {
            let keys = stored.resource.keys.iter();
            keys.map(|key| (LimitOwner::ProviderKey(key.id.as_ref().into()), &key.limits)).collect()
        }
        AnyResource::McpClient(_)
        | AnyResource::RoutingRule(_)
        | AnyResource::PricingOverride(_)
        | AnyResource::ModelPrice(_)
        | AnyResource::Webhook(_)
        | AnyResource::Token(_) => Vec::new(),
    }
}
