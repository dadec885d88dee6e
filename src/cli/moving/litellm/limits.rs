//! LiteLLM's limits of an owner: a key, a team or an organisation.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde_json::Value;

use super::models::{Models, Target};
use crate::cli::moving::draft::{Spend, Told, shown};
use crate::cli::moving::money::{moment, nano_usd};
use crate::cli::moving::record::{Record, number};
use crate::proto::v1;

/// Settings that hold for all owners.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) now: Timestamp,
    /// The time zone of `litellm_settings.timezone`, if it is not UTC.
    pub(super) time_zone: Option<String>,
}

/// The limits of an owner.
#[derive(Default, Debug)]
pub(super) struct Limits {
    pub(super) budgets: Vec<v1::Budget>,
    pub(super) rate_limits: Vec<v1::RateLimit>,
    pub(super) calendar_aligned: bool,
    pub(super) calendar: Option<v1::Calendar>,
    pub(super) spend: Vec<Spend>,
}

/// The length of a window, and whether it follows the calendar.
struct Window {
    length: String,
    aligned: bool,
    change: Option<&'static str>,
}

impl Window {
    /// Reads LiteLLM's length of a budget: days, weeks and months end at midnight, on Monday and on the first.
    fn read(text: &str) -> Option<Self> {
        let text = match text.trim().to_lowercase().as_str() {
            "hourly" => "1h".to_owned(),
            "daily" => "1d".to_owned(),
            "weekly" => "7d".to_owned(),
            "monthly" => "30d".to_owned(),
            other => other.to_owned(),
        };
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (count, unit) = text.split_at(digits);
        let count: u32 = count.parse().ok().filter(|count| *count > 0)?;
        let aligned = |length: String, change| Some(Self { length, aligned: true, change });
        let counted = "a window of several days, weeks or months begins on days that are counted from 1970-01-01, not where \
                       it was created";
        let rolling = "a window of hours, minutes or seconds begins when the limit is created here, not at full hours";
        match (count, unit) {
            (1, "d") | (24, "h") => aligned("1d".to_owned(), None),
            (7, "d") | (1, "w") => aligned("1w".to_owned(), None),
            (30, "d") | (1, "mo") => aligned("1M".to_owned(), None),
            (count, "d" | "w") => aligned(format!("{count}{unit}"), Some(counted)),
            (count, "mo") => aligned(format!("{count}M"), Some(counted)),
            (count, "h" | "m" | "s") => {
                Some(Self { length: format!("{count}{unit}"), aligned: false, change: Some(rolling) })
            }
            _ => None,
        }
    }
}

impl Limits {
    /// Reads the limits of the owner `id`; those that it has not itself come from `table`, a row of LiteLLM_BudgetTable.
    /// `windows` says what was spent in windows of `budget_limits`.
    pub(super) fn read(
        record: &Record,
        id: &str,
        table: Option<&Record>,
        windows: &HashMap<(String, String), Record>,
        setting: &Setting,
        told: &mut Told,
    ) -> Self {
        let mut limits = Self::default();
        let value = |name: &str| record.number(name).or_else(|| table?.number(name));
        let text = |name: &str| record.text(name).or_else(|| table?.text(name));
        let reset = record.time("budget_reset_at").or_else(|| table?.time("budget_reset_at"));
        let (most, soft) = (value("max_budget"), value("soft_budget"));
        let length = text("budget_duration");
        let spent = record.number("spend").unwrap_or_default();
        if let Some(max_limit) = most.or(soft) {
            let mut budget = v1::Budget { max_limit, ..Default::default() };
            match (most, soft) {
                (None, _) => {
                    budget.enforcement = v1::Enforcement::Shadow.into();
                    budget.alert_percents = vec![100];
                    told.changed("its soft budget is a budget that only alerts (enforcement SHADOW)");
                }
                (Some(most), Some(soft)) if most > 0.0 && soft > 0.0 => {
                    let percent = (soft / most * 100.0).round().clamp(1.0, 1_000.0);
                    budget.alert_percents = if percent == 100.0 { vec![100] } else { vec![percent as i32, 100] };
                    budget.alert_percents.sort_unstable();
                    if (percent / 100.0 * most - soft).abs() > 1e-9 {
                        told.changed("its soft budget is an alert at a whole percentage of its budget");
                    }
                }
                _ => {}
            }
            let metadata = Record::new(String::new(), &Value::Object(record.object("metadata")));
            let until = metadata.time("temp_budget_expiry").filter(|until| *until > setting.now);
            if let (Some(increase), Some(until)) =
                (metadata.number("temp_budget_increase").filter(|it| *it > 0.0), until)
            {
                budget.temporary_increase = increase;
                budget.temporary_increase_until = Some(moment(until));
            }
            let over = reset.is_some_and(|reset| reset <= setting.now);
            if over && spent > 0.0 {
                told.changed("the window of its budget is over, so that nothing of its spend counts");
            }
            let amount = if over { 0 } else { nano_usd(spent) };
            limits.budget(budget, length.as_deref(), amount, &record.place, told);
        } else if spent > 0.0 {
            told.impossible("its spend is not brought along: it has no budget that would count it");
        }
        for window in record.json("budget_limits").and_then(|it| it.as_array().cloned()).unwrap_or_default() {
            let window = Record::new(String::new(), &window);
            let most = window.number("max_budget").or_else(|| window.number("budget_limit"));
            let length = window.text("budget_duration").or_else(|| window.text("time_period"));
            let Some(max_limit) = most else { continue };
            let spent = length.as_ref().and_then(|length| windows.get(&(id.to_owned(), length.clone())));
            let over = window.time("reset_at").is_none_or(|reset| reset <= setting.now);
            let amount = match spent.and_then(|row| row.number("spend")) {
                Some(spent) if !over => nano_usd(spent),
                Some(_) => 0,
                None => {
                    told.changed(
                        "the spend of an entry of its budget_limits begins at 0: the database does not have it",
                    );
                    0
                }
            };
            let budget = v1::Budget { max_limit, ..Default::default() };
            limits.budget(budget, length.as_deref(), amount, &record.place, told);
        }
        let whole = |name: &str| record.whole(name).or_else(|| table?.whole(name)).map(|limit| limit.max(0));
        limits.per_minute(whole("rpm_limit"), whole("tpm_limit"), whole("max_parallel_requests"));
        if let Some(most) = whole("tpd_limit") {
            limits.calendar_aligned = true;
            limits.rate_limits.push(v1::RateLimit {
                token_max_limit: Some(most),
                token_reset_duration: Some("1d".to_owned()),
                ..Default::default()
            });
        }
        limits.on_calendar(setting);
        limits
    }

    fn per_minute(&mut self, requests: Option<i64>, tokens: Option<i64>, parallel: Option<i64>) {
        if [requests, tokens, parallel].iter().any(Option::is_some) {
            self.rate_limits.push(v1::RateLimit {
                request_max_limit: requests,
                request_reset_duration: requests.map(|_| "1m".to_owned()),
                token_max_limit: tokens,
                token_reset_duration: tokens.map(|_| "1m".to_owned()),
                concurrent_request_max_limit: parallel,
                ..Default::default()
            });
        }
    }

    fn on_calendar(&mut self, setting: &Setting) {
        let zone = setting.time_zone.clone().filter(|_| self.calendar_aligned);
        self.calendar = zone.map(|time_zone| v1::Calendar { time_zone, ..Default::default() });
    }

    /// Adds a budget, of which `spent` nano-dollars are used.
    fn budget(&mut self, mut budget: v1::Budget, length: Option<&str>, spent: i64, place: &str, told: &mut Told) {
        budget.max_limit = budget.max_limit.max(0.0);
        if budget.max_limit + budget.temporary_increase > 9.2e9 {
            return told.changed("a budget of more than 9.2e9 USD is none");
        }
        budget.reset_duration = match length.map(Window::read) {
            None => "never".to_owned(),
            Some(Some(Window { length, aligned, change })) => {
                self.calendar_aligned |= aligned;
                if let Some(change) = change {
                    told.changed(change);
                }
                length
            }
            Some(None) => {
                return told.impossible(format!(
                    "a budget is left out, since its duration {} is none; write 1d, 7d, 30d, 1mo or 6h",
                    shown(length.unwrap_or_default())
                ));
            }
        };
        if let Some(other) = self.budgets.iter_mut().find(|other| other.reset_duration == budget.reset_duration) {
            other.max_limit = other.max_limit.min(budget.max_limit);
            return told.changed("of two budgets with the same duration the lower one holds");
        }
        if spent > 0 {
            self.spend.push(Spend {
                length: budget.reset_duration.clone(),
                provider: String::new(),
                amount: spent,
                place: place.to_owned(),
            });
        }
        self.budgets.push(budget);
    }
}

/// The limits that an owner has for single models, by where they go. `scope` and `scope_id` say whose they are.
pub(super) fn of_models(
    record: &Record,
    table: Option<&Record>,
    models: &Models,
    setting: &Setting,
    (scope, scope_id): (v1::ModelConfigScope, &str),
    told: &mut Told,
) -> Vec<v1::ModelConfig> {
    let metadata = Record::new(String::new(), &Value::Object(record.object("metadata")));
    let mut found: BTreeMap<String, Limits> = BTreeMap::new();
    let mut budgets = record.object("model_max_budget");
    if budgets.is_empty() {
        budgets = table.map(|table| table.object("model_max_budget")).unwrap_or_default();
    }
    for (model, value) in &budgets {
        let limits = found.entry(model.clone()).or_default();
        let entry = Record::new(String::new(), value);
        let most = number(value).or_else(|| entry.number("budget_limit")).or_else(|| entry.number("max_budget"));
        let length = entry.text("time_period").or_else(|| entry.text("budget_duration"));
        if let Some(max_limit) = most {
            told.changed("the spend of its budgets of single models begins at 0: the database does not have it");
            limits.budget(v1::Budget { max_limit, ..Default::default() }, length.as_deref(), 0, &record.place, told);
        }
        limits.per_minute(entry.whole("rpm_limit"), entry.whole("tpm_limit"), None);
    }
    let (requests, tokens) = (metadata.object("model_rpm_limit"), metadata.object("model_tpm_limit"));
    for model in requests.keys().chain(tokens.keys().filter(|model| !requests.contains_key(*model))) {
        let of = |limits: &serde_json::Map<String, Value>| limits.get(model).and_then(Value::as_i64);
        found.entry(model.clone()).or_default().per_minute(of(&requests), of(&tokens), None);
    }
    let mut configs: Vec<v1::ModelConfig> = Vec::new();
    for (name, mut limits) in found {
        if limits.budgets.is_empty() && limits.rate_limits.is_empty() {
            continue;
        }
        limits.on_calendar(setting);
        let Some((provider, model_name)) = only(&models.targets(&name)) else {
            told.impossible(format!(
                "the limits of the model {} are left out: it goes to no deployment that is known, or to several models, and \
                 here each would have the whole limit; make a model config by hand",
                shown(&name)
            ));
            continue;
        };
        if configs.iter().any(|other| other.model_name == model_name && other.provider == provider) {
            told.impossible(format!(
                "the limits of {} are left out: another name of that model has limits",
                shown(&name)
            ));
            continue;
        }
        let Limits { budgets, rate_limits, calendar_aligned, calendar, spend: _ } = limits;
        configs.push(v1::ModelConfig {
            model_name,
            provider,
            scope: scope.into(),
            scope_id: scope_id.to_owned(),
            budgets,
            rate_limits,
            calendar_aligned,
            calendar,
            ..Default::default()
        });
    }
    configs
}

/// Provider and model that stand for all targets; no provider if the model has the same name at all of them.
fn only(targets: &[Target]) -> Option<(String, String)> {
    let first = targets.first()?;
    if !targets.iter().all(|target| target.model == first.model) {
        return None;
    }
    let one = targets.iter().all(|target| target.provider == first.provider);
    if !one && first.model == "*" {
        return None;
    }
    Some((if one { first.provider.clone() } else { String::new() }, first.model.clone()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lengths_of_budgets_follow_the_calendar_as_there() {
        for (text, expected) in [
            ("1d", Some(("1d", true, true))),
            ("24h", Some(("1d", true, true))),
            ("daily", Some(("1d", true, true))),
            ("7d", Some(("1w", true, true))),
            ("1w", Some(("1w", true, true))),
            ("30d", Some(("1M", true, true))),
            ("1mo", Some(("1M", true, true))),
            ("14d", Some(("14d", true, false))),
            ("6h", Some(("6h", false, false))),
            ("30m", Some(("30m", false, false))),
            ("", None),
            ("0d", None),
            ("soon", None),
        ] {
            let read = Window::read(text);
            let read = read.as_ref().map(|it| (it.length.as_str(), it.aligned, it.change.is_none()));
            assert_eq!(read, expected, "{text}");
        }
    }

    #[test]
    fn limits_come_from_the_owner_and_else_from_its_budget_table() {
        let setting =
            Setting { now: "2026-11-29T12:00:00Z".parse().unwrap(), time_zone: Some("Europe/Berlin".to_owned()) };
        let owner = json!({
            "max_budget": 100.0, "spend": 12.5, "budget_duration": "30d", "rpm_limit": 60, "tpd_limit": 5000,
            "budget_reset_at": "2026-12-01T00:00:00Z",
            "metadata": {"temp_budget_increase": 5, "temp_budget_expiry": "2026-12-24"},
        });
        let table = json!({"max_budget": 1.0, "soft_budget": 50.0, "max_parallel_requests": 3});
        let (owner, table) = (Record::new("x".to_owned(), &owner), Record::new("y".to_owned(), &table));
        let none = HashMap::new();
        let limits = Limits::read(&owner, "o", Some(&table), &none, &setting, &mut Told::default());
        let [budget] = limits.budgets.as_slice() else { panic!("{limits:?}") };
        assert_eq!((budget.max_limit, budget.reset_duration.as_str()), (100.0, "1M"));
        assert_eq!((budget.alert_percents.as_slice(), budget.temporary_increase), (&[50, 100][..], 5.0));
        let [minute, day] = limits.rate_limits.as_slice() else { panic!("{limits:?}") };
        assert_eq!((minute.request_max_limit, minute.concurrent_request_max_limit), (Some(60), Some(3)));
        assert_eq!(day.token_reset_duration.as_deref(), Some("1d"));
        assert_eq!(limits.calendar.unwrap().time_zone, "Europe/Berlin");
        assert_eq!(limits.spend[0].amount, 12_500_000_000);

        let over = json!({"max_budget": 0, "spend": 3, "budget_reset_at": "2026-11-01T00:00:00Z"});
        let limits =
            Limits::read(&Record::new("x".to_owned(), &over), "o", None, &none, &setting, &mut Told::default());
        assert_eq!((limits.budgets[0].max_limit, limits.budgets[0].reset_duration.as_str()), (0.0, "never"));
        assert_eq!((limits.spend, limits.calendar_aligned), (Vec::new(), false));

        // The windows of budget_limits have their spend in a table of their own, if it is still theirs.
        let entry = |length: &str, reset: &str| json!({"max_budget": 5, "budget_duration": length, "reset_at": reset});
        let several = json!({"budget_limits": [
            entry("1d", "2026-11-30T00:00:00Z"), entry("7d", "2026-11-16T00:00:00Z"), entry("6h", "2026-11-29T18:00:00Z"),
        ]});
        let row =
            |length: &str| (("o".to_owned(), length.to_owned()), Record::new(String::new(), &json!({"spend": 2})));
        let windows = HashMap::from([row("1d"), row("7d")]);
        let mut told = Told::default();
        let limits = Limits::read(&Record::new("x".to_owned(), &several), "o", None, &windows, &setting, &mut told);
        let lengths: Vec<_> = limits.budgets.iter().map(|budget| budget.reset_duration.as_str()).collect();
        assert_eq!(lengths, ["1d", "1w", "6h"]);
        let spent: Vec<_> = limits.spend.iter().map(|spend| (spend.length.as_str(), spend.amount)).collect();
        assert_eq!(spent, [("1d", 2_000_000_000)]);
    }
}
