//! The tables of LiteLLM's database that are read.

use std::collections::HashMap;

use crate::cli::Failure;
use crate::cli::moving::record::Record;
use crate::cli::moving::rows::rows;
use crate::store::ForeignDatabase;

/// Limits that keys, teams and budgets have alike.
const LIMITS: [&str; 8] = [
    "max_budget",
    "soft_budget",
    "max_parallel_requests",
    "tpm_limit",
    "rpm_limit",
    "tpd_limit",
    "budget_duration",
    "budget_reset_at",
];

/// The rows that count.
#[derive(Default)]
pub(super) struct Tables {
    pub(super) keys: Vec<Record>,
    pub(super) teams: Vec<Record>,
    pub(super) organisations: Vec<Record>,
    pub(super) models: Vec<Record>,
    pub(super) access_groups: Vec<Record>,
    /// Budgets by their ids.
    pub(super) budgets: HashMap<String, Record>,
    /// Spend in windows of `budget_limits`, by the id of the owner and the duration.
    pub(super) windows: HashMap<(String, String), Record>,
    /// The values that keys had before, by the hashes of their present ones.
    pub(super) previous: HashMap<String, Vec<Record>>,
    /// Records of owners that have limits there and do not exist here, each with its noun.
    pub(super) beside: Vec<(Record, &'static str)>,
}

impl Tables {
    /// Reads all of them.
    pub(super) async fn read(database: &ForeignDatabase) -> Result<Self, Failure> {
        let key = [
            "key_alias",
            "spend",
            "expires",
            "models",
            "aliases",
            "config",
            "router_settings",
            "user_id",
            "team_id",
            "agent_id",
            "project_id",
            "permissions",
            "metadata",
            "blocked",
            "allowed_cache_controls",
            "allowed_routes",
            "key_type",
            "policies",
            "access_group_ids",
            "model_max_budget",
            "budget_fallbacks",
            "budget_id",
            "organization_id",
            "object_permission_id",
            "auto_rotate",
            "budget_limits",
        ];
        let keys = rows(database, "LiteLLM_VerificationToken", &["token"], &[&key[..], &LIMITS].concat()).await?;
        let Some(keys) = keys else {
            let text = format!(
                "{} has no table LiteLLM_VerificationToken, so that it is not LiteLLM's; name the database and the schema that its \
                 DATABASE_URL names",
                database.shown()
            );
            return Err(Failure::Failed(text.into()));
        };
        let team = [
            "team_alias",
            "organization_id",
            "object_permission_id",
            "members_with_roles",
            "metadata",
            "spend",
            "models",
            "blocked",
            "model_max_budget",
            "router_settings",
            "access_group_ids",
            "policies",
            "budget_limits",
            "model_id",
        ];
        let organisation = ["organization_alias", "budget_id", "metadata", "models", "spend", "object_permission_id"];
        let read = async |table, id: &'static [&'static str], wanted: &[&'static str]| {
            Ok::<_, Failure>(rows(database, table, id, wanted).await?.unwrap_or_default())
        };
        let budgets =
            read("LiteLLM_BudgetTable", &["budget_id"], &[&["model_max_budget"], &LIMITS[..]].concat()).await?;
        let windows = read("LiteLLM_BudgetWindowSpend", &["entity_id", "window_duration"], &["spend"]).await?;
        let window = |row: Record| Some(((row.text("entity_id")?, row.text("window_duration")?), row));
        let mut previous: HashMap<String, Vec<Record>> = HashMap::new();
        for row in read("LiteLLM_DeprecatedVerificationToken", &["token"], &["active_token_id", "revoke_at"]).await? {
            previous.entry(row.text("active_token_id").unwrap_or_default()).or_default().push(row);
        }
        let mut beside = Vec::new();
        for (table, id, noun) in BESIDE {
            let found = read(table, id, &BESIDE_LIMITS).await?;
            beside.extend(found.into_iter().map(|row| (row, noun)));
        }
        Ok(Self {
            keys,
            teams: read("LiteLLM_TeamTable", &["team_id"], &[&team[..], &LIMITS].concat()).await?,
            organisations: read("LiteLLM_OrganizationTable", &["organization_id"], &organisation).await?,
            models: read("LiteLLM_ProxyModelTable", &["model_id"], &["model_name", "model_info"]).await?,
            access_groups: read("LiteLLM_AccessGroupTable", &["access_group_id"], &["access_model_names"]).await?,
            windows: windows.into_iter().filter_map(window).collect(),
            previous,
            budgets: budgets.into_iter().filter_map(|row| Some((row.text("budget_id")?, row))).collect(),
            beside,
        })
    }

    /// The row of LiteLLM_BudgetTable that a record names.
    pub(super) fn budget_of(&self, record: &Record) -> Option<&Record> {
        self.budgets.get(&record.text("budget_id")?)
    }
}

/// Tables of owners that do not exist here.
const BESIDE: [(&str, &[&str], &str); 8] = [
    ("LiteLLM_UserTable", &["user_id"], "users"),
    ("LiteLLM_EndUserTable", &["user_id"], "end users"),
    ("LiteLLM_TeamMembership", &["user_id", "team_id"], "members of teams"),
    ("LiteLLM_OrganizationMembership", &["user_id", "organization_id"], "members of organisations"),
    ("LiteLLM_ProjectTable", &["project_id"], "projects"),
    ("LiteLLM_AgentsTable", &["agent_id"], "agents"),
    ("LiteLLM_TagTable", &["tag_name"], "tags"),
    ("LiteLLM_ModelAccessGroupBudgetTable", &["access_group_name"], "access groups"),
];

/// Their limits.
pub(super) const BESIDE_LIMITS: [&str; 7] =
    ["max_budget", "tpm_limit", "rpm_limit", "max_parallel_requests", "budget_id", "models", "blocked"];
