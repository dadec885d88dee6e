-- The columns that are read of Bifrost's config store, as its tables have them, and an organisation in them; hashes and times are
-- put in by the tests. For both engines.
CREATE TABLE governance_customers (
  id VARCHAR(255) PRIMARY KEY, name VARCHAR(255) NOT NULL, rate_limit_id VARCHAR(255), calendar_aligned BOOLEAN DEFAULT false);
CREATE TABLE governance_teams (
  id VARCHAR(255) PRIMARY KEY, name VARCHAR(255) NOT NULL, customer_id VARCHAR(255), rate_limit_id VARCHAR(255),
  calendar_aligned BOOLEAN DEFAULT false, profile TEXT, config TEXT, claims TEXT);
CREATE TABLE governance_virtual_keys (
  id VARCHAR(255) PRIMARY KEY, name VARCHAR(255) NOT NULL, description TEXT, value TEXT NOT NULL, is_active BOOLEAN DEFAULT true,
  team_id VARCHAR(255), customer_id VARCHAR(255), rate_limit_id VARCHAR(255), calendar_aligned BOOLEAN DEFAULT false,
  expires_at TIMESTAMPTZ, allow_all_providers BOOLEAN DEFAULT false, metadata TEXT, encryption_status VARCHAR(20) DEFAULT 'plain_text',
  value_hash VARCHAR(64), previous_value TEXT, previous_value_hash VARCHAR(64), previous_value_expires_at TIMESTAMPTZ);
CREATE TABLE governance_virtual_key_provider_configs (
  id INTEGER PRIMARY KEY, virtual_key_id VARCHAR(255) NOT NULL, provider VARCHAR(50) NOT NULL, weight DOUBLE PRECISION,
  allowed_models TEXT, blacklisted_models TEXT, allow_all_keys BOOLEAN DEFAULT false, rate_limit_id VARCHAR(255));
CREATE TABLE governance_virtual_key_provider_config_keys (
  table_virtual_key_provider_config_id INTEGER, table_key_id INTEGER);
CREATE TABLE governance_virtual_key_mcp_configs (
  id INTEGER PRIMARY KEY, virtual_key_id VARCHAR(255) NOT NULL, mcp_client_id INTEGER NOT NULL, tools_to_execute TEXT);
CREATE TABLE governance_budgets (
  id VARCHAR(255) PRIMARY KEY, max_limit DOUBLE PRECISION NOT NULL, reset_duration VARCHAR(50) NOT NULL, last_reset TIMESTAMPTZ,
  current_usage DOUBLE PRECISION DEFAULT 0, override_amount DOUBLE PRECISION DEFAULT 0, override_mode VARCHAR(20) DEFAULT '',
  team_id VARCHAR(255), virtual_key_id VARCHAR(255), provider_config_id INTEGER, model_config_id VARCHAR(255),
  customer_id VARCHAR(255));
CREATE TABLE governance_rate_limits (
  id VARCHAR(255) PRIMARY KEY, model_config_id VARCHAR(255), metric VARCHAR(20), token_max_limit BIGINT, token_reset_duration VARCHAR(50),
  token_current_usage BIGINT DEFAULT 0, request_max_limit BIGINT, request_reset_duration VARCHAR(50),
  request_current_usage BIGINT DEFAULT 0);
CREATE TABLE governance_model_configs (
  id VARCHAR(255) PRIMARY KEY, model_name VARCHAR(255) NOT NULL, provider VARCHAR(50), scope VARCHAR(50) NOT NULL DEFAULT 'global',
  scope_id VARCHAR(255), calendar_aligned BOOLEAN DEFAULT false, rate_limit_id VARCHAR(255));
CREATE TABLE routing_rules (
  id VARCHAR(255) PRIMARY KEY, name VARCHAR(255) NOT NULL, description TEXT, enabled BOOLEAN DEFAULT true, cel_expression TEXT,
  fallbacks TEXT, scope VARCHAR(50) NOT NULL, scope_id VARCHAR(255), priority INTEGER DEFAULT 0, chain_rule BOOLEAN DEFAULT false,
  ttft_timeout_ms INTEGER);
CREATE TABLE routing_targets (
  rule_id VARCHAR(255) NOT NULL, provider VARCHAR(255), model VARCHAR(255), key_id VARCHAR(255), weight DECIMAL(5,4) DEFAULT 1);
CREATE TABLE governance_pricing_overrides (
  id VARCHAR(255) PRIMARY KEY, name VARCHAR(255) NOT NULL, scope_kind VARCHAR(50) NOT NULL, virtual_key_id VARCHAR(255),
  provider_id VARCHAR(255), provider_key_id VARCHAR(255), match_type VARCHAR(20) NOT NULL, pattern VARCHAR(255) NOT NULL,
  request_types_json TEXT, pricing_patch_json TEXT);
CREATE TABLE config_providers (id INTEGER PRIMARY KEY, name VARCHAR(50) NOT NULL);
CREATE TABLE config_keys (
  id INTEGER PRIMARY KEY, key_id VARCHAR(255), name VARCHAR(255), provider VARCHAR(50), value TEXT, models_json TEXT);
CREATE TABLE config_mcp_clients (
  id INTEGER PRIMARY KEY, name VARCHAR(255), connection_string TEXT, allow_on_all_virtual_keys BOOLEAN DEFAULT false,
  disabled BOOLEAN DEFAULT false);

INSERT INTO governance_customers (id, name, calendar_aligned) VALUES ('c-1', 'Acme', true);
INSERT INTO governance_teams (id, name, customer_id, profile) VALUES ('t-1', 'Search', 'c-1', '{"sso": "planted-profile"}');
INSERT INTO governance_virtual_keys
  (id, name, value, team_id, customer_id, value_hash, encryption_status, description, previous_value, previous_value_hash,
   previous_value_expires_at) VALUES
  ('k-1', 'notebook', 'planted-encrypted', 't-1', 'c-1', '{sha256:sk-bf-notebook-0123456789}', 'encrypted', 'of the search team',
   'planted-previous', '{sha256:sk-bf-earlier-0123456789}', '{tomorrow}');
INSERT INTO governance_virtual_keys (id, name, value, value_hash, allow_all_providers, metadata) VALUES
  ('k-6', 'all', 'env.PLANTED', '{sha256:sk-bf-planted-all}', true, '{"cost_center": "cc-42", "api_key": "planted-metadata"}');
INSERT INTO governance_virtual_keys (id, name, value, customer_id, value_hash, is_active, expires_at) VALUES
  ('k-2', 'inactive', 'sk-bf-planted-inactive', 'c-1', '{sha256:sk-bf-planted-inactive}', false, NULL),
  ('k-3', 'expired', 'sk-bf-planted-expired', 'c-1', '{sha256:sk-bf-planted-expired}', true, '2020-01-01 00:00:00'),
  ('k-4', 'unhashed', 'sk-bf-planted-unhashed', 'c-1', NULL, true, NULL);
INSERT INTO governance_virtual_keys (id, name, value, encryption_status) VALUES ('k-5', 'lost', 'planted-lost', 'encrypted');
INSERT INTO governance_virtual_key_provider_configs
  (id, virtual_key_id, provider, weight, allowed_models, blacklisted_models, allow_all_keys) VALUES
  (1, 'k-1', 'openai', 1, '["gpt-4o","gpt-5"]', '["gpt-5"]', false), (2, 'k-1', 'house', NULL, '["*"]', '["regex:^x"]', true),
  (3, 'k-2', 'openai', 1, '["*"]', NULL, true), (4, 'k-3', 'openai', 1, '["*"]', NULL, true),
  (5, 'k-4', 'anthropic', 1, '["*"]', NULL, true);
INSERT INTO config_providers (id, name) VALUES (1, 'openai'), (2, 'house');
INSERT INTO config_keys (id, key_id, name, provider, value, models_json) VALUES
  (7, 'pk-openai', 'main', 'openai', 'sk-planted-openai', '["*"]');
INSERT INTO governance_virtual_key_provider_config_keys VALUES (1, 7);
INSERT INTO config_mcp_clients (id, name, connection_string, allow_on_all_virtual_keys, disabled) VALUES
  (3, 'wiki', 'https://planted@wiki.example', false, false), (4, 'notes', 'planted', true, false), (5, 'off', 'planted', true, true);
INSERT INTO governance_virtual_key_mcp_configs (id, virtual_key_id, mcp_client_id, tools_to_execute) VALUES
  (1, 'k-1', 3, '["search"]');
INSERT INTO governance_budgets (id, max_limit, reset_duration, last_reset, current_usage, customer_id) VALUES
  ('b-1', 500, '1M', CURRENT_TIMESTAMP, 120.5, 'c-1');
INSERT INTO governance_budgets (id, max_limit, reset_duration, last_reset, current_usage, team_id, override_amount, override_mode) VALUES
  ('b-2', 50, '1w', '2020-01-01 00:00:00', 9, 't-1', 10, 'forever'), ('b-6', 4, 'daily', CURRENT_TIMESTAMP, 0, 't-1', 1, 'cycles'),
  ('b-7', 1, '1.5d', CURRENT_TIMESTAMP, 0, 't-1', 0, '');
INSERT INTO governance_budgets (id, max_limit, reset_duration, last_reset, current_usage, model_config_id) VALUES
  ('b-3', 20, '30d', CURRENT_TIMESTAMP, 1.5, 'm-1'), ('b-4', 5, '30d', CURRENT_TIMESTAMP, 0.25, 'm-2'),
  ('b-5', 300, '1d', CURRENT_TIMESTAMP, 2, 'm-3'), ('b-8', 6, '30d', CURRENT_TIMESTAMP, 0, 'm-7');
INSERT INTO governance_budgets (id, max_limit, reset_duration, virtual_key_id) VALUES ('b-9', 21, '30d', 'k-1');
UPDATE governance_virtual_keys SET rate_limit_id = 'r-1' WHERE id = 'k-1';
INSERT INTO governance_rate_limits (id, request_max_limit, request_reset_duration, request_current_usage) VALUES
  ('r-1', 60, '1m', 3);
INSERT INTO governance_rate_limits (id, model_config_id, metric, token_max_limit, token_reset_duration) VALUES
  ('r-2', 'm-4', 'tokens', 1000, '1h'), ('r-3', 'm-4', 'tokens', 5000, '1d');
INSERT INTO governance_model_configs (id, model_name, provider, scope, scope_id, rate_limit_id) VALUES
  ('m-1', '*', NULL, 'virtual_key', 'k-1', 'r-1'), ('m-2', '*', 'openai', 'virtual_key', 'k-1', NULL),
  ('m-3', '*', 'openai', 'global', NULL, NULL), ('m-4', 'gpt-4o', 'openai', 'virtual_key', 'k-1', NULL),
  ('m-5', 'gpt-4o', NULL, 'user', 'u-1', NULL), ('m-6', '*', 'openai', 'global', NULL, 'r-1'),
  ('m-7', '*', 'house', 'virtual_key', 'k-6', NULL);
INSERT INTO routing_rules (id, name, cel_expression, fallbacks, scope, scope_id, priority, ttft_timeout_ms) VALUES
  ('rule-1', 'cheap', 'headers["x-tier"] == "cheap"', '["spare/gpt-4o-mini", {"provider": "openai", "model": "o4", "key_id": "pk"}]',
   'team', 't-1', 3, 900),
  ('rule-2', 'broken', 'nothing.is ==', NULL, 'global', NULL, 1, NULL), ('rule-3', 'of a user', '', NULL, 'user', 'u-1', 1, NULL);
INSERT INTO routing_targets (rule_id, provider, model, key_id, weight) VALUES
  ('rule-1', 'openai', 'gpt-4o', 'pk-openai', 1), ('rule-1', 'openai', 'o1', NULL, 0), ('rule-2', 'openai', 'gpt-4o', NULL, 1),
  ('rule-3', 'openai', 'gpt-4o', NULL, 1);
INSERT INTO governance_pricing_overrides
  (id, name, scope_kind, virtual_key_id, match_type, pattern, request_types_json, pricing_patch_json) VALUES
  ('o-1', 'half', 'virtual_key', 'k-1', 'exact', 'gpt-4o', '["chat_completion"]', '{"input_cost_per_token": 0.00000125}'),
  ('o-2', 'newer', 'global', NULL, 'exact', 'gpt-4o', '["chat_completion"]', '{"cost_per_request": 1}');
