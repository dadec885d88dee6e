import type { DescMessage, DescMethodUnary, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { type CallOptions, callAgain, identified } from "./call.js";
import { Collection, Creatable, Listing } from "./collection.js";
import {
  BudgetSchema,
  BudgetService,
  ChangeSchema,
  ConfigService,
  CustomerSchema,
  CustomerService,
  McpClientSchema,
  McpClientService,
  ModelConfigSchema,
  ModelConfigService,
  ModelPriceSchema,
  ModelPriceService,
  PricingOverrideSchema,
  PricingOverrideService,
  ProviderGovernanceSchema,
  ProviderGovernanceService,
  ProviderSchema,
  ProviderService,
  RateLimitSchema,
  RateLimitService,
  RoutingRuleSchema,
  RoutingRuleService,
  SpendRowSchema,
  TeamSchema,
  TeamService,
  TokenSchema,
  TokenService,
  UsageService,
  VirtualKeySchema,
  VirtualKeyService,
  WebhookSchema,
  WebhookService,
} from "./gen/tollgate/v1/index.js";

/**
 * A control plane, for those who administer it. Every change has a request id, so that a call whose answer was lost is
 * repeated and does nothing twice. Calls fail with a `TollgateError`.
 */
export class Admin {
  /** The way to the control plane, for clients of its services as `createClient` makes them: `ConfigService.watchConfig`. */
  readonly transport: Transport;
  /** The customers: the top of the hierarchy customer, team, virtual key. */
  readonly customers;
  /** The teams. */
  readonly teams;
  /** The virtual keys. `value` of a key that was just created is its secret, this once. */
  readonly virtualKeys;
  /** The providers and their keys, by ids and names; their secrets are not here. */
  readonly providers;
  /** The MCP clients and their tools. */
  readonly mcpClients;
  /** The routing rules. */
  readonly routingRules;
  /** The model configs: limits of models. */
  readonly modelConfigs;
  /** The pricing overrides. */
  readonly pricingOverrides;
  /** The prices of models. */
  readonly modelPrices;
  /** The webhooks: where alerts are sent. `secret` of one that was just created is its secret, this once. */
  readonly webhooks;
  /** The limits of providers, by their names. One that does not exist is made by `patch`. */
  readonly providerGovernance;
  /** The budgets of all owners, with what is used. */
  readonly budgets;
  /** The rate limits of all owners, with what is used. */
  readonly rateLimits;
  /** The access tokens. */
  readonly accessTokens;
  /** The audit trail, newest first. */
  readonly changes;
  /** The amounts spent, by time and owner. */
  readonly spend;

  /** Administers the control plane that the transport leads to. `connectAdmin` of `@tollgate/client/nodejs` makes one. */
  constructor(transport: Transport) {
    this.transport = transport;
    this.customers = new Creatable(transport, {
      resource: CustomerSchema,
      list: CustomerService.method.listCustomers,
      create: CustomerService.method.createCustomer,
      get: CustomerService.method.getCustomer,
      update: CustomerService.method.updateCustomer,
      delete: CustomerService.method.deleteCustomer,
    });
    this.teams = new Creatable(transport, {
      resource: TeamSchema,
      list: TeamService.method.listTeams,
      create: TeamService.method.createTeam,
      get: TeamService.method.getTeam,
      update: TeamService.method.updateTeam,
      delete: TeamService.method.deleteTeam,
    });
    this.virtualKeys = new Creatable(transport, {
      resource: VirtualKeySchema,
      list: VirtualKeyService.method.listVirtualKeys,
      create: VirtualKeyService.method.createVirtualKey,
      get: VirtualKeyService.method.getVirtualKey,
      update: VirtualKeyService.method.updateVirtualKey,
      delete: VirtualKeyService.method.deleteVirtualKey,
    });
    this.providers = new Creatable(transport, {
      resource: ProviderSchema,
      list: ProviderService.method.listProviders,
      create: ProviderService.method.createProvider,
      get: ProviderService.method.getProvider,
      update: ProviderService.method.updateProvider,
      delete: ProviderService.method.deleteProvider,
    });
    this.mcpClients = new Creatable(transport, {
      resource: McpClientSchema,
      list: McpClientService.method.listMcpClients,
      create: McpClientService.method.createMcpClient,
      get: McpClientService.method.getMcpClient,
      update: McpClientService.method.updateMcpClient,
      delete: McpClientService.method.deleteMcpClient,
    });
    this.routingRules = new Creatable(transport, {
      resource: RoutingRuleSchema,
      list: RoutingRuleService.method.listRoutingRules,
      create: RoutingRuleService.method.createRoutingRule,
      get: RoutingRuleService.method.getRoutingRule,
      update: RoutingRuleService.method.updateRoutingRule,
      delete: RoutingRuleService.method.deleteRoutingRule,
    });
    this.modelConfigs = new Creatable(transport, {
      resource: ModelConfigSchema,
      list: ModelConfigService.method.listModelConfigs,
      create: ModelConfigService.method.createModelConfig,
      get: ModelConfigService.method.getModelConfig,
      update: ModelConfigService.method.updateModelConfig,
      delete: ModelConfigService.method.deleteModelConfig,
    });
    this.pricingOverrides = new Creatable(transport, {
      resource: PricingOverrideSchema,
      list: PricingOverrideService.method.listPricingOverrides,
      create: PricingOverrideService.method.createPricingOverride,
      get: PricingOverrideService.method.getPricingOverride,
      update: PricingOverrideService.method.updatePricingOverride,
      delete: PricingOverrideService.method.deletePricingOverride,
    });
    this.modelPrices = new Creatable(transport, {
      resource: ModelPriceSchema,
      list: ModelPriceService.method.listModelPrices,
      create: ModelPriceService.method.createModelPrice,
      get: ModelPriceService.method.getModelPrice,
      update: ModelPriceService.method.updateModelPrice,
      delete: ModelPriceService.method.deleteModelPrice,
    });
    this.webhooks = new Creatable(transport, {
      resource: WebhookSchema,
      list: WebhookService.method.listWebhooks,
      create: WebhookService.method.createWebhook,
      get: WebhookService.method.getWebhook,
      update: WebhookService.method.updateWebhook,
      delete: WebhookService.method.deleteWebhook,
    });
    this.providerGovernance = new Collection(transport, {
      resource: ProviderGovernanceSchema,
      list: ProviderGovernanceService.method.listProviderGovernance,
      get: ProviderGovernanceService.method.getProviderGovernance,
      update: ProviderGovernanceService.method.updateProviderGovernance,
      delete: ProviderGovernanceService.method.deleteProviderGovernance,
    });
    this.budgets = new Listing(transport, { resource: BudgetSchema, list: BudgetService.method.listBudgets });
    this.rateLimits = new Listing(transport, {
      resource: RateLimitSchema,
      list: RateLimitService.method.listRateLimits,
    });
    this.accessTokens = new Listing(transport, { resource: TokenSchema, list: TokenService.method.listTokens });
    this.changes = new Listing(transport, { resource: ChangeSchema, list: ConfigService.method.listChanges });
    this.spend = new Listing(transport, { resource: SpendRowSchema, list: UsageService.method.listSpend });
  }

  /** Calls any method that is no stream: `admin.call(VirtualKeyService.method.rotateVirtualKey, { id })`. */
  async call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    options?: CallOptions,
  ): Promise<MessageShape<O>> {
    return await callAgain(this.transport, method, identified(method.input, request), options);
  }
}
