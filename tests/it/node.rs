//! The node crate against a server: what it decides is what the server explains.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use tollgate::decision::{Explanation, Verdict};
use tollgate::domain::{Fallback, Id, LimitOwner, Timestamp};
use tollgate::proto::v1;
use tollgate::proto::v1::decision_service_client::DecisionServiceClient;
use tollgate::proto::v1::explain_request::Key;
use tollgate::proto::v1::usage_service_client::UsageServiceClient;
use tollgate::proto::v1::virtual_key_service_client::VirtualKeyServiceClient;
use tollgate::wire::render_fallback;
use tollgate_node::{Credential, Estimate, Node, Request, StartError, Status};

use crate::contract::subject::{How, Subject};
use crate::watch::api::Api;
use crate::watch::rig::{Rig, soon};

mod admit;
mod bad_input;
mod compose;
mod credit;
mod dimensions;
mod envoy;
mod fleet;
mod kept;
mod organisation;
mod prices;
mod provider_keys;
mod running;
mod serve;
mod slots;
mod targets;

use organisation::organisation;

const PROVIDERS: [&str; 4] = ["openai", "anthropic", "groq", ""];
const MODELS: [&str; 7] = ["gpt-4o", "openai/gpt-4o", "gpt-free", "openai/gpt-free", "o3", "claude", "*"];
const TYPES: [&str; 2] = ["chat_completion", "embedding"];

async fn made<S: Subject>(api: &Api, message: S::Message) -> S::Message {
    S::create(api.0.clone(), message, How::default()).await.unwrap()
}

fn budget(max_limit: f64) -> v1::Budget {
    v1::Budget { max_limit, reset_duration: "1d".to_owned(), ..Default::default() }
}

/// A budget that is raised for a part of the time that is asked of.
fn raised(max_limit: f64, temporary_increase: f64) -> v1::Budget {
    let (seconds, nanos) = Timestamp::now().plus_micros(6 * 3_600_000_000).parts();
    let temporary_increase_until = Some(prost_types::Timestamp { seconds, nanos });
    v1::Budget { temporary_increase, temporary_increase_until, ..budget(max_limit) }
}

fn rate(requests: i64) -> Vec<v1::RateLimit> {
    vec![v1::RateLimit {
        request_max_limit: Some(requests),
        request_reset_duration: Some("1h".to_owned()),
        ..Default::default()
    }]
}

/// At most so many requests at once.
fn at_once(max: i64) -> v1::RateLimit {
    v1::RateLimit { concurrent_request_max_limit: Some(max), ..Default::default() }
}

fn config(provider: &str, weight: Option<f64>, models: &[&str]) -> v1::VirtualKeyProviderConfig {
    v1::VirtualKeyProviderConfig {
        provider: provider.to_owned(),
        weight,
        allowed_models: models.iter().map(|&model| model.to_owned()).collect(),
        key_ids: vec!["*".to_owned()],
        budgets: vec![budget(0.002)],
        ..Default::default()
    }
}

fn rule(priority: i32, scope: v1::RoutingScope, scope_id: &str, expression: &str, model: &str) -> v1::RoutingRule {
    let target = |provider: Option<&str>, weight| v1::RoutingTarget {
        provider: provider.map(ToOwned::to_owned),
        model: Some(model.to_owned()),
        weight,
        ..Default::default()
    };
    v1::RoutingRule {
        name: format!("rule {priority}"),
        cel_expression: expression.to_owned(),
        targets: vec![target(Some("groq"), 0.5), target(None, 0.5)],
        fallbacks: vec!["anthropic/claude".to_owned()],
        scope: scope.into(),
        scope_id: scope_id.to_owned(),
        priority,
        ..Default::default()
    }
}

/// A request at random, as both sides have it.
#[derive(Clone, Debug)]
struct Asked {
    value: Option<String>,
    provider: &'static str,
    model: &'static str,
    provider_key_id: &'static str,
    request_type: &'static str,
    headers: BTreeMap<String, String>,
    params: BTreeMap<String, String>,
    stream: bool,
    fallbacks: Vec<Fallback>,
    tokens: i64,
    cost: i64,
    seed: u64,
    seconds: i64,
}

fn asked(values: Vec<String>) -> impl Strategy<Value = Asked> {
    let value = prop_oneof![
        6 => prop::sample::select(values).prop_map(Some),
        1 => Just(Some("sk-nobody-has-this-value-at-all".to_owned())),
        1 => Just(None),
    ];
    let place = (prop::sample::select(&PROVIDERS), prop::sample::select(&MODELS), prop::sample::select(&TYPES));
    let provider_key_id = prop_oneof![9 => Just(""), 2 => Just("one"), 1 => Just("two"), 1 => Just("only")];
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    let fallback = (prop::sample::select(&PROVIDERS[..3]), prop::sample::select(&["", "gpt-4o", "claude"][..]))
        .prop_map(|(provider, model)| Fallback { provider: Id::new(provider), model: model.into() });
    let fallbacks = prop::collection::vec(fallback, 0..3);
    // Seeds as clients can say them, below 2^53.
    let numbers = (0..3_i64, 0..3_000_000_i64, 0..1_u64 << 53, 0..200_000_i64);
    let parts = (value, place, provider_key_id, flags, fallbacks, numbers);
    parts.prop_map(|(value, place, provider_key_id, (tier, beta, stream), fallbacks, (tokens, cost, seed, seconds))| {
        let pair = |given: bool, name: &str, value: &str| given.then(|| (name.to_owned(), value.to_owned()));
        Asked {
            value,
            provider: place.0,
            model: place.1,
            provider_key_id,
            request_type: place.2,
            headers: pair(tier, "x-tier", "free").into_iter().collect(),
            params: pair(beta, "beta", "yes").into_iter().collect(),
            stream,
            fallbacks,
            tokens,
            cost,
            seed,
            seconds,
        }
    })
}

impl Asked {
    fn at(&self) -> Timestamp {
        Timestamp::now().plus_micros(self.seconds * 1_000_000)
    }

    fn message(&self, at: Timestamp) -> v1::ExplainRequest {
        let (seconds, nanos) = at.parts();
        v1::ExplainRequest {
            key: self.value.clone().map(Key::VirtualKeyValue),
            provider: self.provider.to_owned(),
            model: self.model.to_owned(),
            provider_key_id: self.provider_key_id.to_owned(),
            request_type: self.request_type.to_owned(),
            headers: self.headers.clone(),
            params: self.params.clone(),
            context_length: self.tokens,
            stream: self.stream,
            fallbacks: self.fallbacks.iter().map(render_fallback).collect(),
            estimated_tokens: self.tokens,
            estimated_cost_nano_usd: self.cost,
            seed: Some(self.seed),
            at: Some(prost_types::Timestamp { seconds, nanos }),
        }
    }

    fn request(&self) -> Request<'_> {
        Request {
            credential: self.value.as_deref().map_or(Credential::None, Credential::Value),
            provider: self.provider,
            model: self.model,
            provider_key_id: self.provider_key_id,
            request_type: self.request_type,
            headers: &self.headers,
            params: &self.params,
            stream: self.stream,
            fallbacks: &self.fallbacks,
            estimate: Estimate { input_tokens: Some(self.tokens), output_tokens: None, cost_nano_usd: Some(self.cost) },
            seed: Some(self.seed),
            ..Request::default()
        }
    }
}

/// Counts some usage, so that some limits are used up and others are not.
async fn report(api: &Api, keys: &[String]) {
    let mut client = UsageServiceClient::new(api.0.clone());
    let request = v1::RegisterNodeRequest { node_id: "reporter".to_owned(), ..Default::default() };
    let incarnation = client.register_node(request).await.unwrap().into_inner().incarnation;
    let entry = |id: &String, cost_nano_usd| v1::UsageEntry {
        virtual_key_id: id.clone(),
        provider: "openai".to_owned(),
        model: "gpt-4o".to_owned(),
        provider_key_id: "one".to_owned(),
        requests: 1,
        input_tokens: 700,
        output_tokens: 300,
        cost_nano_usd,
        ..Default::default()
    };
    let entries = keys.iter().zip([1_000_000, 2_500_000, 6_000_000]).map(|(id, cost)| entry(id, cost)).collect();
    let batch = v1::ReportUsageRequest {
        node_id: "reporter".to_owned(),
        incarnation,
        sequence: 1,
        entries,
        ..Default::default()
    };
    let mut acks = client.report_usage(tokio_stream::iter([batch])).await.unwrap().into_inner();
    let ack = acks.message().await.unwrap().unwrap();
    assert!(ack.rejected_entries.is_empty(), "{ack:?}");
}

/// What of an explanation both sides say, as text.
fn told(answer: &v1::ExplainResponse) -> String {
    let routing = answer.routing.clone().unwrap_or_default();
    let limits = answer.limits.iter().map(|it| (it.id.clone(), it.used, it.max, it.remaining, it.blocks));
    let rules = answer.rules.iter().map(|it| (it.id.clone(), it.matched, it.error.clone()));
    let candidates = answer.candidates.iter().map(|it| (it.provider_config_id, it.drawn, it.why.clone()));
    format!(
        "{} {:?} {:?} {:?} {:?} {:?}",
        answer.reason,
        answer.rejected_fallbacks.iter().map(|it| (it.fallback.clone(), it.reason.clone())).collect::<Vec<_>>(),
        (&routing.provider, &routing.model, &routing.key_id, &routing.fallbacks),
        limits.collect::<Vec<_>>(),
        rules.collect::<Vec<_>>(),
        candidates.collect::<Vec<_>>(),
    )
}

/// The same of what a node decided.
fn decided(explanation: &Explanation) -> String {
    let Explanation { reason, provider, model, key_id, fallbacks, rejected_fallbacks, .. } = explanation;
    let Explanation { limits, rules, candidates, .. } = explanation;
    let fallbacks: Vec<_> = fallbacks.iter().map(render_fallback).collect();
    let rejected = rejected_fallbacks.iter().map(|it| (render_fallback(&it.fallback), it.reason.clone()));
    let limits = limits.iter().map(|it| (it.limit_id.to_string(), it.used, it.max, it.remaining, it.blocks));
    let rules = rules.iter().map(|it| (it.rule.id.to_string(), it.matched, it.error.clone().unwrap_or_default()));
    let candidates = candidates.iter().map(|it| (it.config_id, it.drawn, it.why.clone()));
    format!(
        "{reason} {:?} {:?} {:?} {:?} {:?}",
        rejected.collect::<Vec<_>>(),
        (&**provider, &**model, key_id.as_deref().unwrap_or_default(), &fallbacks),
        limits.collect::<Vec<_>>(),
        rules.collect::<Vec<_>>(),
        candidates.collect::<Vec<_>>(),
    )
}

async fn caught_up(node: &Node, revision: i64) {
    let mut statuses = node.statuses();
    soon(statuses.wait_for(|status| matches!(status, Status::Ready { revision: at } if *at >= revision)))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_node_decides_what_the_server_explains() {
    let (mut rig, api) = Rig::started().await;
    let values = organisation(&api).await;
    let mut client = VirtualKeyServiceClient::new(api.0.clone());
    let keys = client.list_virtual_keys(v1::ListVirtualKeysRequest::default());
    let keys = keys.await.unwrap().into_inner().virtual_keys;
    report(&api, &keys.iter().map(|key| key.id.clone()).collect::<Vec<_>>()).await;
    let node = Node::builder(format!("http://{}", rig.address())).node_id("gateway").start().await.unwrap();
    let mut decisions = DecisionServiceClient::new(api.0.clone());
    let (mut runner, cases) = (TestRunner::deterministic(), asked(values));
    let (mut allowed, mut free, mut seen, mut of_keys) = (0, 0, BTreeSet::new(), 0);
    for _ in 0..600 {
        let asked = cases.new_tree(&mut runner).unwrap().current();
        let at = asked.at();
        let answer = decisions.explain(asked.message(at)).await.unwrap().into_inner();
        let explanation = node.decide_at(&asked.request(), at);
        assert_eq!(decided(&explanation), told(&answer), "{asked:?}");
        allowed += usize::from(explanation.is_allowed());
        let blocking = explanation.blocking.map(|place| &explanation.limits[place].owner);
        of_keys += usize::from(matches!(blocking, Some(LimitOwner::ProviderKey(_))));
        free += usize::from(explanation.reason.contains("price is 0"));
        assert_eq!(explanation.is_allowed(), answer.decision() == v1::Decision::Allow);
        seen.insert(answer.decision);
    }
    for decision in [v1::Decision::CustomerInactive, v1::Decision::TeamInactive] {
        assert!(seen.contains(&decision.into()), "{decision:?} was never decided");
    }
    assert!(allowed > 40 && seen.len() >= 7, "{allowed} of 600 were allowed, {seen:?} were decided");
    assert!(of_keys > 0, "{of_keys} of 600 were stopped by a limit of a provider key");
    assert!(free > 0, "{free} of 600 passed used-up budgets, since they cost nothing");

    // What changes reaches it, and what is deleted.
    let key = keys.iter().find(|key| key.name == "of nobody").unwrap();
    let request = Request { credential: Credential::VirtualKeyId(&key.id), model: "claude", ..Request::default() };
    assert!(!node.decide(&request).provider.is_empty());
    let deleted = client.delete_virtual_key(v1::DeleteVirtualKeyRequest { id: key.id.clone(), ..Default::default() });
    caught_up(&node, deleted.await.unwrap().into_inner().revision).await;
    assert_eq!(node.decide(&request).verdict, Verdict::UnknownKey);

    // Without the control plane it goes on from its copy.
    rig.stop().await;
    soon(node.statuses().wait_for(|status| matches!(status, Status::Stale { .. }))).await.unwrap();
    let keyless = Request { provider: "openai", model: "gpt-4o", ..Request::default() };
    assert!(node.decide(&keyless).is_allowed());
    let statuses = node.statuses();
    node.shutdown().await;
    assert_eq!(*statuses.borrow(), Status::Stopped);
}

#[tokio::test]
async fn a_node_that_cannot_start_says_why() {
    let started = |address: String| async move {
        Node::builder(address).start_timeout(Duration::from_millis(300)).start().await.map(drop)
    };
    assert!(matches!(started("control".to_owned()).await, Err(StartError::Address { .. })));
    assert!(matches!(started("http://127.0.0.1:1".to_owned()).await, Err(StartError::TooLate { .. })));
    let mut rig = Rig::new();
    rig.settings.access.bootstrap_token =
        Some(tollgate::settings::BootstrapToken("tg_an_access_token_of_the_test_0123456789".to_owned()));
    let address = rig.start().await;
    let refused = Node::builder(format!("http://{address}")).access_token("tg_another").start().await.map(drop);
    let Err(StartError::Rejected { why, .. }) = refused else { panic!("{refused:?}") };
    assert!(why.contains("Unauthenticated"), "{why}");
    rig.stop().await;
}
