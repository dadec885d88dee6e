-- The columns that are read of LiteLLM's tables, as its schema.prisma makes them, and an organisation in them.
CREATE SCHEMA "gateway";
SET search_path = "gateway";

CREATE TABLE "LiteLLM_BudgetTable" (
  budget_id TEXT PRIMARY KEY, max_budget DOUBLE PRECISION, soft_budget DOUBLE PRECISION, max_parallel_requests INTEGER,
  tpm_limit BIGINT, rpm_limit BIGINT, tpd_limit BIGINT, model_max_budget JSONB, budget_duration TEXT,
  budget_reset_at TIMESTAMP(3), created_by TEXT NOT NULL DEFAULT 'planted-author');
CREATE TABLE "LiteLLM_OrganizationTable" (
  organization_id TEXT PRIMARY KEY, organization_alias TEXT NOT NULL, budget_id TEXT NOT NULL,
  metadata JSONB NOT NULL DEFAULT '{}', models TEXT[], spend DOUBLE PRECISION NOT NULL DEFAULT 0,
  object_permission_id TEXT);
CREATE TABLE "LiteLLM_TeamTable" (
  team_id TEXT PRIMARY KEY, team_alias TEXT, organization_id TEXT, object_permission_id TEXT,
  members_with_roles JSONB NOT NULL DEFAULT '{}', metadata JSONB NOT NULL DEFAULT '{}', max_budget DOUBLE PRECISION,
  soft_budget DOUBLE PRECISION, spend DOUBLE PRECISION NOT NULL DEFAULT 0, models TEXT[], max_parallel_requests INTEGER,
  tpm_limit BIGINT, rpm_limit BIGINT, tpd_limit BIGINT, budget_duration TEXT, budget_reset_at TIMESTAMP(3),
  blocked BOOLEAN NOT NULL DEFAULT false, model_max_budget JSONB NOT NULL DEFAULT '{}', router_settings JSONB DEFAULT '{}',
  access_group_ids TEXT[] DEFAULT '{}', policies TEXT[] DEFAULT '{}', budget_limits JSONB, model_id INTEGER);
CREATE TABLE "LiteLLM_VerificationToken" (
  token TEXT PRIMARY KEY, key_name TEXT, key_alias TEXT, spend DOUBLE PRECISION NOT NULL DEFAULT 0, expires TIMESTAMP(3),
  models TEXT[], aliases JSONB NOT NULL DEFAULT '{}', config JSONB NOT NULL DEFAULT '{}', router_settings JSONB DEFAULT '{}',
  user_id TEXT, team_id TEXT, agent_id TEXT, project_id TEXT, permissions JSONB NOT NULL DEFAULT '{}',
  max_parallel_requests INTEGER, metadata JSONB NOT NULL DEFAULT '{}', blocked BOOLEAN, tpm_limit BIGINT,
  rpm_limit BIGINT, tpd_limit BIGINT, max_budget DOUBLE PRECISION, budget_duration TEXT, budget_reset_at TIMESTAMP(3),
  allowed_routes TEXT[] DEFAULT '{}', key_type TEXT, policies TEXT[] DEFAULT '{}', access_group_ids TEXT[] DEFAULT '{}',
  model_max_budget JSONB NOT NULL DEFAULT '{}', budget_fallbacks JSONB NOT NULL DEFAULT '{}', budget_id TEXT,
  organization_id TEXT, object_permission_id TEXT, auto_rotate BOOLEAN DEFAULT false, budget_limits JSONB);
CREATE TABLE "LiteLLM_DeprecatedVerificationToken" (
  id TEXT PRIMARY KEY, token TEXT NOT NULL, active_token_id TEXT NOT NULL, revoke_at TIMESTAMP(3) NOT NULL);
CREATE TABLE "LiteLLM_BudgetWindowSpend" (
  entity_type TEXT, entity_id TEXT, window_duration TEXT, window_start TIMESTAMP(3) NOT NULL,
  spend DOUBLE PRECISION NOT NULL DEFAULT 0, PRIMARY KEY (entity_type, entity_id, window_duration));
CREATE TABLE "LiteLLM_ProxyModelTable" (
  model_id TEXT PRIMARY KEY, model_name TEXT NOT NULL, litellm_params JSONB NOT NULL, model_info JSONB);
CREATE TABLE "LiteLLM_AccessGroupTable" (access_group_id TEXT PRIMARY KEY, access_model_names TEXT[] DEFAULT '{}');
CREATE TABLE "LiteLLM_UserTable" (
  user_id TEXT PRIMARY KEY, max_budget DOUBLE PRECISION, models TEXT[], max_parallel_requests INTEGER, tpm_limit BIGINT,
  rpm_limit BIGINT, password TEXT);

INSERT INTO "LiteLLM_BudgetTable" (budget_id, max_budget, budget_duration, budget_reset_at, rpm_limit)
  VALUES ('b-acme', 500, '30d', now() + interval '9 days', NULL), ('b-key', 20, '1d', NULL, 2);
INSERT INTO "LiteLLM_OrganizationTable" (organization_id, organization_alias, budget_id, models, spend, metadata)
  VALUES ('o-1', 'Acme', 'b-acme', '{gpt-4o,claude,hidden}', 120.5, '{"cost_centre": "4711", "api_key": "planted-metadata"}');
INSERT INTO "LiteLLM_TeamTable" (team_id, team_alias, organization_id, models, spend, max_budget, budget_duration, blocked)
  VALUES ('t-1', 'Search', 'o-1', '{gpt-4o,best}', 3.25, 50, '7d', false), ('t-2', 'Search', 'o-1', '{}', 0, NULL, NULL, true);
INSERT INTO "LiteLLM_TeamTable" (team_id, models, model_max_budget, metadata, members_with_roles)
  VALUES ('t-3', '{no-default-models}', '{"gpt-4o": {"budget_limit": 7, "time_period": "1d"}}',
          '{"model_rpm_limit": {"claude": 5}}', '[{"user_id": "u-1", "role": "admin"}]');
INSERT INTO "LiteLLM_VerificationToken" (token, key_alias, team_id, models, spend, budget_id, user_id, metadata)
  VALUES (encode(sha256('sk-plain-notebook-0123456789'), 'hex'), 'notebook', 't-1', '{all-team-models}', 1.5, 'b-key', 'u-1',
          '{"team": "blue", "logging": [{"callback_vars": {"langfuse_secret": "planted-langfuse"}}]}');
INSERT INTO "LiteLLM_VerificationToken" (token, key_alias, team_id, models, expires, blocked)
  VALUES (encode(sha256('sk-plain-blocked-0123456789'), 'hex'), 'blocked', 't-1', '{gpt-4o}', NULL, true),
         (encode(sha256('sk-plain-expired-0123456789'), 'hex'), 'expired', 't-1', '{gpt-4o}', '2020-01-01', NULL),
         (encode(sha256('sk-plain-other-0123456789'), 'hex'), 'notebook', 't-1', '{claude}', NULL, NULL),
         (encode(sha256('sk-plain-of-t-2-0123456789'), 'hex'), 'of t-2', 't-2', '{}', NULL, NULL),
         (encode(sha256('sk-plain-of-t-3-0123456789'), 'hex'), 'of t-3', 't-3', '{}', NULL, NULL),
         (encode(sha256('sk-plain-pages-0123456789'), 'hex'), 'a session', 'litellm-dashboard', '{}', NULL, NULL),
         (encode(sha256('sk-plain-orphan-0123456789'), 'hex'), 'orphan', 't-gone', '{}', NULL, NULL),
         ('sk-planted-unhashed', 'unhashed', NULL, '{}', NULL, NULL);
INSERT INTO "LiteLLM_VerificationToken" (token, organization_id, models, rpm_limit, tpm_limit, max_parallel_requests, budget_limits)
  VALUES (encode(sha256('sk-plain-unnamed-0123456789'), 'hex'), 'o-1', '{stable,unheard-of}', 60, 10000, 4,
          jsonb_build_array(jsonb_build_object('max_budget', 9, 'budget_duration', '1d', 'reset_at', now() + interval '1 hour')));
INSERT INTO "LiteLLM_DeprecatedVerificationToken" (id, token, active_token_id, revoke_at)
  VALUES ('d-1', encode(sha256('sk-plain-earlier-0123456789'), 'hex'), encode(sha256('sk-plain-notebook-0123456789'), 'hex'),
          now() + interval '1 day');
INSERT INTO "LiteLLM_BudgetWindowSpend" (entity_type, entity_id, window_duration, window_start, spend)
  VALUES ('key', encode(sha256('sk-plain-unnamed-0123456789'), 'hex'), '1d', now(), 4.5);
INSERT INTO "LiteLLM_ProxyModelTable" (model_id, model_name, litellm_params)
  VALUES ('m-1', 'hidden', '{"model": "planted-encrypted", "api_key": "planted-encrypted-key"}');
INSERT INTO "LiteLLM_UserTable" (user_id, max_budget, models, password) VALUES ('u-1', 10, '{}', 'planted-password');
