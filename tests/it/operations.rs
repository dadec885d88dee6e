//! The 35 operations that the API mirrors (`docs/mapping.md`), one test each, named after the operation: what it does,
//! and each failure that its comment documents. What all kinds have in common is tried in depth in `contract`.

use tollgate::proto::v1;
use tollgate::proto::v1::budget_service_client::BudgetServiceClient;
use tollgate::proto::v1::provider_governance_service_client::ProviderGovernanceServiceClient;
use tollgate::proto::v1::rate_limit_service_client::RateLimitServiceClient;
use tollgate::proto::v1::virtual_key_service_client::VirtualKeyServiceClient;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::contract::subject::{Ask, How, Subject};
use crate::watch::rig::Rig;

const MISSING: &str = "0190a8f0-0000-7000-8000-00000000dead";

fn code<T>(result: Result<T, Status>) -> Code {
    result.err().expect("it is refused").code()
}

async fn lists<S: Subject>(channel: Channel) {
    let made = S::create(channel.clone(), S::sample(1), How::default()).await.unwrap();
    for from_memory in [false, true] {
        let page = S::list(channel.clone(), Ask { from_memory, ..Ask::default() }).await.unwrap();
        assert_eq!(page.items.iter().map(|it| S::id(it)).collect::<Vec<_>>(), [S::id(&made)]);
        assert_eq!((page.total, page.token.as_str()), (1, ""));
    }
    assert_eq!(code(S::list(channel, Ask { size: -1, ..Ask::default() }).await.map(|_| ())), Code::InvalidArgument);
}

async fn creates<S: Subject>(channel: Channel) {
    let made = S::create(channel.clone(), S::sample(1), How::default()).await.unwrap();
    assert!(!S::id(&made).is_empty());
    assert_eq!(S::get(channel.clone(), S::id(&made), true).await.unwrap(), made);
    assert_eq!(code(S::create(channel, S::Message::default(), How::default()).await), Code::InvalidArgument);
}

async fn gets<S: Subject>(channel: Channel) {
    let made = S::create(channel.clone(), S::sample(1), How::default()).await.unwrap();
    for from_memory in [false, true] {
        S::get(channel.clone(), S::id(&made), from_memory).await.unwrap();
        assert_eq!(code(S::get(channel.clone(), MISSING, from_memory).await), Code::NotFound);
    }
}

async fn updates<S: Subject>(channel: Channel) {
    let made = S::create(channel.clone(), S::sample(1), How::default()).await.unwrap();
    let mut desired = S::get(channel.clone(), S::id(&made), false).await.unwrap();
    let field = S::change(&mut desired);
    let after = S::update(channel.clone(), desired.clone(), How::mask(&[field])).await.unwrap();
    assert_eq!(S::get(channel.clone(), S::id(&made), true).await.unwrap(), after);
    assert_eq!(code(S::update(channel.clone(), desired, How::mask(&["nonsense"])).await), Code::InvalidArgument);
    let mut stale = after;
    *S::revision(&mut stale) = 1;
    assert_eq!(code(S::update(channel.clone(), stale.clone(), How::mask(&[field])).await), Code::Aborted);
    S::delete(channel.clone(), S::id(&made), 0, How::default()).await.unwrap();
    assert_eq!(code(S::update(channel, stale, How::mask(&[field])).await), Code::NotFound);
}

async fn deletes<S: Subject>(channel: Channel) {
    let made = S::create(channel.clone(), S::sample(1), How::default()).await.unwrap();
    let id = S::id(&made);
    assert_eq!(code(S::delete(channel.clone(), id, 1, How::default()).await), Code::Aborted);
    S::delete(channel.clone(), id, 0, How::default()).await.unwrap();
    assert_eq!(code(S::get(channel.clone(), id, true).await), Code::NotFound);
    assert_eq!(code(S::delete(channel, id, 0, How::default()).await), Code::NotFound);
}

macro_rules! operations {
    ($($name:ident: $scenario:ident $kind:ident;)*) => {$(
        #[tokio::test]
        async fn $name() {
            let (mut rig, api) = Rig::started().await;
            $scenario::<v1::$kind>(api.0.clone()).await;
            drop(api);
            rig.stop().await;
        }
    )*};
}

operations! {
    list_virtual_keys: lists VirtualKey;
    create_virtual_key: creates VirtualKey;
    get_virtual_key: gets VirtualKey;
    update_virtual_key: updates VirtualKey;
    delete_virtual_key: deletes VirtualKey;
    list_teams: lists Team;
    create_team: creates Team;
    get_team: gets Team;
    update_team: updates Team;
    delete_team: deletes Team;
    list_customers: lists Customer;
    create_customer: creates Customer;
    get_customer: gets Customer;
    update_customer: updates Customer;
    delete_customer: deletes Customer;
    list_routing_rules: lists RoutingRule;
    create_routing_rule: creates RoutingRule;
    get_routing_rule: gets RoutingRule;
    update_routing_rule: updates RoutingRule;
    delete_routing_rule: deletes RoutingRule;
    list_model_configs: lists ModelConfig;
    create_model_config: creates ModelConfig;
    get_model_config: gets ModelConfig;
    update_model_config: updates ModelConfig;
    delete_model_config: deletes ModelConfig;
    list_pricing_overrides: lists PricingOverride;
    create_pricing_override: creates PricingOverride;
    update_pricing_override: updates PricingOverride;
    delete_pricing_override: deletes PricingOverride;
}

fn budget(max_limit: f64, reset_duration: &str) -> v1::Budget {
    v1::Budget { max_limit, reset_duration: reset_duration.to_owned(), ..Default::default() }
}

async fn quota(channel: &Channel, header: &'static str, value: &str) -> Result<v1::GetVirtualKeyQuotaResponse, Status> {
    let mut request = Request::new(v1::GetVirtualKeyQuotaRequest {});
    request.metadata_mut().insert(header, value.parse().unwrap());
    Ok(VirtualKeyServiceClient::new(channel.clone()).get_virtual_key_quota(request).await?.into_inner())
}

#[tokio::test]
async fn get_virtual_key_quota() {
    let (mut rig, api) = Rig::started().await;
    let channel = &api.0;
    let key = v1::VirtualKey { name: "key".to_owned(), budgets: vec![budget(5.0, "1d")], ..Default::default() };
    let request = v1::CreateVirtualKeyRequest { virtual_key: Some(key), ..Default::default() };
    let mut keys = VirtualKeyServiceClient::new(channel.clone());
    let key = keys.create_virtual_key(request).await.unwrap().into_inner().virtual_key.unwrap();
    let scoped = v1::ModelConfig {
        model_name: "gpt-4o".to_owned(),
        scope: v1::ModelConfigScope::VirtualKey.into(),
        scope_id: key.id.clone(),
        budgets: vec![budget(1.0, "1h")],
        ..Default::default()
    };
    let scoped = <v1::ModelConfig as Subject>::create(channel.clone(), scoped, How::default()).await.unwrap();
    assert_eq!(scoped.scope_name, "key");

    for header in ["x-tg-vk", "x-bf-vk", "x-api-key", "x-goog-api-key", "api-key"] {
        let quota = quota(channel, header, &key.value).await.unwrap();
        assert_eq!((quota.virtual_key_name.as_str(), quota.is_active), ("key", true));
        assert_eq!((quota.budgets.len(), quota.model_configs), (1, vec![scoped.clone()]), "{header}");
    }
    let bearer = format!("Bearer {}", key.value);
    quota(channel, "authorization", &bearer).await.unwrap();
    assert_eq!(code(quota(channel, "x-tg-vk", "sk-tg-unknown").await), Code::Unauthenticated);
    assert_eq!(code(keys.get_virtual_key_quota(v1::GetVirtualKeyQuotaRequest {}).await), Code::Unauthenticated);

    let stopped = v1::VirtualKey { id: key.id.clone(), is_active: Some(false), ..Default::default() };
    <v1::VirtualKey as Subject>::update(channel.clone(), stopped, How::mask(&["is_active"])).await.unwrap();
    assert!(!quota(channel, "x-tg-vk", &key.value).await.unwrap().is_active);
    drop((api, keys));
    rig.stop().await;
}

/// An owner of each kind, with a budget and a rate limit.
async fn owners(channel: &Channel) -> (v1::VirtualKey, v1::ModelConfig) {
    let key = <v1::VirtualKey as Subject>::create(
        channel.clone(),
        v1::VirtualKey { provider_configs: Vec::new(), ..<v1::VirtualKey as Subject>::sample(1) },
        How::default(),
    );
    let config =
        <v1::ModelConfig as Subject>::create(channel.clone(), <v1::ModelConfig as Subject>::sample(1), How::default());
    (key.await.unwrap(), config.await.unwrap())
}

#[tokio::test]
async fn list_budgets() {
    let (mut rig, api) = Rig::started().await;
    let (key, config) = owners(&api.0).await;
    govern(&api.0, vec![budget(9.0, "1w")], Vec::new()).await;
    let mut budgets = BudgetServiceClient::new(api.0.clone());
    for from_memory in [false, true] {
        for (request, owned) in [
            (v1::ListBudgetsRequest::default(), 3),
            (v1::ListBudgetsRequest { virtual_key_id: key.id.clone(), ..Default::default() }, 1),
            (v1::ListBudgetsRequest { model_config_id: config.id.clone(), ..Default::default() }, 1),
            (v1::ListBudgetsRequest { provider: "openai".to_owned(), ..Default::default() }, 1),
            (v1::ListBudgetsRequest { provider: "groq".to_owned(), ..Default::default() }, 0),
            (v1::ListBudgetsRequest { team_id: MISSING.to_owned(), ..Default::default() }, 0),
        ] {
            let request = v1::ListBudgetsRequest { from_memory, ..request };
            let page = budgets.list_budgets(request.clone()).await.unwrap().into_inner();
            assert_eq!((page.budgets.len(), page.total_size), (owned, owned as i32), "{request:?}");
            assert!(
                page.budgets.iter().all(|it| it.owner.is_some() && it.next_reset.is_some() && it.last_reset.is_some())
            );
        }
    }
    let negative = v1::ListBudgetsRequest { page_size: -1, ..Default::default() };
    assert_eq!(code(budgets.list_budgets(negative).await), Code::InvalidArgument);
    drop((api, budgets));
    rig.stop().await;
}

#[tokio::test]
async fn list_rate_limits() {
    let (mut rig, api) = Rig::started().await;
    let (key, config) = owners(&api.0).await;
    let mut limits = RateLimitServiceClient::new(api.0.clone());
    for from_memory in [false, true] {
        for (request, owned) in [
            (v1::ListRateLimitsRequest::default(), 2),
            (v1::ListRateLimitsRequest { virtual_key_id: key.id.clone(), ..Default::default() }, 1),
            (v1::ListRateLimitsRequest { model_config_id: config.id.clone(), ..Default::default() }, 1),
            (v1::ListRateLimitsRequest { customer_id: MISSING.to_owned(), ..Default::default() }, 0),
        ] {
            let request = v1::ListRateLimitsRequest { from_memory, ..request };
            let page = limits.list_rate_limits(request.clone()).await.unwrap().into_inner();
            assert_eq!((page.rate_limits.len(), page.total_size), (owned, owned as i32), "{request:?}");
        }
    }
    let negative = v1::ListRateLimitsRequest { page_size: -1, ..Default::default() };
    assert_eq!(code(limits.list_rate_limits(negative).await), Code::InvalidArgument);
    drop((api, limits));
    rig.stop().await;
}

async fn update(
    channel: &Channel,
    provider_governance: v1::ProviderGovernance,
) -> Result<v1::ProviderGovernance, Status> {
    let update_mask = Some(prost_types::FieldMask { paths: vec!["*".to_owned()] });
    let provider_governance = Some(provider_governance);
    let request = v1::UpdateProviderGovernanceRequest { provider_governance, update_mask, ..Default::default() };
    let answer = ProviderGovernanceServiceClient::new(channel.clone()).update_provider_governance(request).await?;
    Ok(answer.into_inner().provider_governance.unwrap())
}

async fn govern(
    channel: &Channel,
    budgets: Vec<v1::Budget>,
    rate_limits: Vec<v1::RateLimit>,
) -> v1::ProviderGovernance {
    let provider = "openai".to_owned();
    update(channel, v1::ProviderGovernance { provider, budgets, rate_limits, ..Default::default() }).await.unwrap()
}

#[tokio::test]
async fn list_provider_governance() {
    let (mut rig, api) = Rig::started().await;
    let mut governance = ProviderGovernanceServiceClient::new(api.0.clone());
    for (budgets, listed) in [(vec![], 0), (vec![budget(1.0, "1d")], 1), (vec![], 0)] {
        govern(&api.0, budgets, Vec::new()).await;
        for from_memory in [false, true] {
            let request = v1::ListProviderGovernanceRequest { from_memory, ..Default::default() };
            let page = governance.list_provider_governance(request).await.unwrap().into_inner();
            assert_eq!((page.provider_governance.len(), page.total_size), (listed, listed as i32));
        }
    }
    drop((api, governance));
    rig.stop().await;
}

#[tokio::test]
async fn update_provider_governance() {
    let (mut rig, api) = Rig::started().await;
    let channel = &api.0;
    let nobody = v1::ProviderGovernance { provider: "nobody".to_owned(), ..Default::default() };
    assert_eq!(code(update(channel, nobody).await), Code::NotFound);
    let openai = || v1::ProviderGovernance { provider: "openai".to_owned(), ..Default::default() };
    let too_new = v1::ProviderGovernance { revision: 9, budgets: vec![budget(1.0, "1d")], ..openai() };
    assert_eq!(code(update(channel, too_new).await), Code::Aborted);
    assert_eq!(
        code(update(channel, v1::ProviderGovernance { budgets: vec![budget(-1.0, "1d")], ..openai() }).await),
        Code::InvalidArgument
    );

    // Aligned without a limit: nothing is stored.
    let nothing = update(channel, v1::ProviderGovernance { calendar_aligned: true, ..openai() }).await.unwrap();
    assert_eq!(nothing, v1::ProviderGovernance { id: "openai".to_owned(), ..openai() });
    let made = govern(channel, vec![budget(1.0, "1d")], Vec::new()).await;
    let same = govern(channel, made.budgets.clone(), Vec::new()).await;
    assert_eq!(same, made, "it took no revision");
    let more = govern(channel, vec![budget(2.0, "1d")], Vec::new()).await;
    assert_eq!((more.revision, &more.budgets[0].id), (made.revision + 1, &made.budgets[0].id));
    let gone = govern(channel, Vec::new(), Vec::new()).await;
    assert_eq!(gone, nothing);
    let get = v1::GetProviderGovernanceRequest { id: "openai".to_owned(), ..Default::default() };
    assert_eq!(
        code(ProviderGovernanceServiceClient::new(channel.clone()).get_provider_governance(get).await),
        Code::NotFound
    );
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn delete_provider_governance() {
    let (mut rig, api) = Rig::started().await;
    let mut governance = ProviderGovernanceServiceClient::new(api.0.clone());
    let delete =
        |id: &str, revision| v1::DeleteProviderGovernanceRequest { id: id.to_owned(), revision, ..Default::default() };
    let made = govern(&api.0, vec![budget(1.0, "1d")], Vec::new()).await;
    assert_eq!(code(governance.delete_provider_governance(delete("nobody", 0)).await), Code::NotFound);
    assert_eq!(code(governance.delete_provider_governance(delete("openai", 1)).await), Code::Aborted);
    let deleted = governance.delete_provider_governance(delete("openai", made.revision)).await.unwrap().into_inner();
    assert_eq!(deleted.revision, made.revision + 1);
    let again = governance.delete_provider_governance(delete("openai", 0)).await.unwrap().into_inner();
    assert_eq!(again.revision, deleted.revision, "there was nothing to delete");
    assert_eq!(code(governance.delete_provider_governance(delete("openai", 3)).await), Code::Aborted);
    drop((api, governance));
    rig.stop().await;
}
