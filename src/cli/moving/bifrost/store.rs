//! The tables of Bifrost's config store that are read.

use std::collections::HashMap;

use super::source::Parts;
use crate::cli::Failure;
use crate::cli::moving::record::Record;
use crate::cli::moving::rows::rows;
use crate::store::ForeignDatabase;

/// The columns of the table that joins provider configs and provider keys.
const JOIN: [&str; 2] = ["table_virtual_key_provider_config_id", "table_key_id"];

/// Reads the config store.
pub(super) async fn read(database: &ForeignDatabase) -> Result<Parts, Failure> {
    let key = [
        "name",
        "description",
        "value",
        "value_hash",
        "encryption_status",
        "previous_value_hash",
        "previous_value_expires_at",
        "is_active",
        "expires_at",
        "allow_all_providers",
        "metadata",
        "team_id",
        "customer_id",
        "budget_id",
        "rate_limit_id",
        "calendar_aligned",
    ];
    let Some(keys) = rows(database, "governance_virtual_keys", &["id"], &key).await? else {
        let text = format!(
            "{} has no table governance_virtual_keys, so that it is not Bifrost's config store; name the one of config_store in \
             config.json",
            database.shown()
        );
        return Err(Failure::Failed(text.into()));
    };
    let table = async |table, id: &'static [&'static str], wanted: &[&'static str]| {
        Ok::<_, Failure>(rows(database, table, id, wanted).await?.unwrap_or_default())
    };
    let owner =
        ["name", "customer_id", "budget_id", "rate_limit_id", "calendar_aligned", "profile", "config", "claims"];
    let config =
        ["provider", "weight", "allowed_models", "blacklisted_models", "allow_all_keys", "budget_id", "rate_limit_id"];
    let mcp_config = ["mcp_client_id", "tools_to_execute"];
    let budget = [
        "max_limit",
        "reset_duration",
        "last_reset",
        "current_usage",
        "override_amount",
        "override_mode",
        "team_id",
        "customer_id",
        "virtual_key_id",
        "provider_config_id",
        "model_config_id",
    ];
    let rate_limit = [
        "token_max_limit",
        "token_reset_duration",
        "token_current_usage",
        "request_max_limit",
        "request_reset_duration",
        "request_current_usage",
        "model_config_id",
    ];
    let model_config =
        ["model_name", "provider", "scope", "scope_id", "calendar_aligned", "budget_id", "rate_limit_id"];
    let rule = [
        "name",
        "description",
        "enabled",
        "cel_expression",
        "fallbacks",
        "scope",
        "scope_id",
        "priority",
        "chain_rule",
        "ttft_timeout_ms",
        "provider",
        "model",
    ];
    let pricing = [
        "name",
        "scope_kind",
        "virtual_key_id",
        "provider_id",
        "provider_key_id",
        "match_type",
        "pattern",
        "request_types_json",
        "pricing_patch_json",
    ];
    let mut joins: HashMap<String, Vec<String>> = HashMap::new();
    for row in table("governance_virtual_key_provider_config_keys", &JOIN, &[]).await? {
        let [config, key] = JOIN.map(|name| row.text(name).unwrap_or_default());
        joins.entry(config).or_default().push(key);
    }
    let provider_configs = table("governance_virtual_key_provider_configs", &["id", "virtual_key_id"], &config).await?;
    let providers = table("config_providers", &["name"], &["budget_id", "rate_limit_id"]).await?;
    Ok(Parts {
        keys,
        customers: table("governance_customers", &["id"], &owner).await?,
        teams: table("governance_teams", &["id"], &owner).await?,
        mcp_configs: table("governance_virtual_key_mcp_configs", &["id", "virtual_key_id"], &mcp_config).await?,
        budgets: table("governance_budgets", &["id"], &budget).await?,
        rate_limits: table("governance_rate_limits", &["id"], &rate_limit).await?,
        model_configs: table("governance_model_configs", &["id"], &model_config).await?,
        rules: table("routing_rules", &["id"], &rule).await?,
        targets: table("routing_targets", &["rule_id"], &["provider", "model", "key_id", "weight"]).await?,
        overrides: table("governance_pricing_overrides", &["id"], &pricing).await?,
        provider_keys: table("config_keys", &["id"], &["key_id", "name", "provider"]).await?,
        mcp_clients: table("config_mcp_clients", &["id"], &["name", "allow_on_all_virtual_keys", "disabled"]).await?,
        provider_names: providers.iter().filter_map(|provider| provider.text("name")).collect(),
        // The column came with the version in which empty lists began to mean nothing.
        empty_means_all: provider_configs.iter().any(|config: &Record| config.get("allow_all_keys").is_none()),
        provider_configs,
        providers,
        joins,
    })
}
