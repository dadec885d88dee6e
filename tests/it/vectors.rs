//! `proto/vectors`, which clients in other languages are held to, against the code here.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::{Value, json};
use tollgate::counters::ToldUsage;
use tollgate::decision::{self, KeyGiven, Verdict};
use tollgate::domain::{Kind, Path, Sha256Hash, Violations, VirtualKey};
use tollgate::proto::FILE_DESCRIPTOR_SET;
use tollgate::proto::v1::explain_request::Key;
use tollgate::proto::v1::{self, LimitKind, WatchConfigResponse};
use tollgate::reducer::{ConfigCopy, Reducer, Summary, View};
use tollgate::wire::{parse_fallbacks, parse_timestamp, read_usage, render_fallback};

const WATCH: &str = include_str!("../../proto/vectors/watch.json");
const DECISION: &str = include_str!("../../proto/vectors/decision.json");

fn copy(view: &View) -> Value {
    let held = view.iter().filter_map(|(_, resource)| Summary::of(resource));
    let held = held.map(|it| (format!("{} {}", Kind::from_number(it.key.kind).unwrap(), it.key.id), it.revision));
    json!({ "revision": view.revision(), "resources": held.collect::<BTreeMap<_, _>>() })
}

fn usage(reducer: &Reducer) -> Value {
    let used = reducer.usage().iter().map(|((limit, kind), it)| {
        assert_eq!(*kind, i32::from(LimitKind::Requests));
        (limit.clone(), it.used)
    });
    json!(used.collect::<BTreeMap<_, _>>())
}

#[test]
fn the_fold_makes_of_each_stream_what_the_vectors_say() {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let descriptor = pool.get_message_by_name("tollgate.v1.WatchConfigResponse").unwrap();
    let vectors: Value = serde_json::from_str(WATCH).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    assert!(cases.len() > 30);
    for case in cases {
        let mut reducer = Reducer::new();
        for step in case["steps"].as_array().unwrap() {
            let at = format!("{}: {step}", case["name"]);
            if let Some(expected) = step.get("connect") {
                let (resume_token, min_revision) = reducer.connect();
                assert_eq!(json!({ "resume_token": resume_token, "min_revision": min_revision }), *expected, "{at}");
            } else if let Some(message) = step.get("message") {
                let message = DynamicMessage::deserialize(descriptor.clone(), message).unwrap();
                let result = reducer.apply(message.transcode_to::<WatchConfigResponse>().unwrap());
                assert_eq!(result.is_err(), step["breaks"] == true, "{at}: {result:?}");
            } else if let Some(expected) = step.get("copy") {
                let view = reducer.state();
                let held = if *view == View::default() && expected.is_null() { Value::Null } else { copy(&view) };
                assert_eq!(held, *expected, "{at}");
            } else {
                assert_eq!(usage(&reducer), step["usage"], "{at}");
            }
        }
    }
}

/// A message from protobuf's JSON.
fn message<T: Message + Default>(pool: &DescriptorPool, name: &str, json: &Value) -> T {
    let descriptor = pool.get_message_by_name(name).unwrap();
    DynamicMessage::deserialize(descriptor, json).unwrap().transcode_to().unwrap()
}

/// The decision as protobuf's JSON names it.
fn named(verdict: Verdict) -> String {
    let mut name = "DECISION".to_owned();
    for letter in format!("{verdict:?}").chars() {
        if letter.is_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

/// What becomes of a request, as far as the vectors say it.
fn decided(copy: &ConfigCopy, used: &ToldUsage, request: v1::ExplainRequest) -> Value {
    let mut violations = Violations::new();
    let at = parse_timestamp(&request.at.unwrap(), &Path::root("at"), &mut violations).unwrap();
    let fallbacks = parse_fallbacks(&request.fallbacks, &Path::root("fallbacks"), &mut violations);
    assert!(violations.is_empty(), "{violations:?}");
    let found = match &request.key {
        None => None,
        Some(Key::VirtualKeyId(id)) => Some(copy.config.get::<VirtualKey>(id)),
        Some(Key::VirtualKeyValue(value)) => {
            Some(copy.config.key_by_secret(&Sha256Hash::of(value), at).map(|(key, _)| key))
        }
    };
    let lower = |map: BTreeMap<String, String>| map.into_iter().map(|(name, value)| (name.to_lowercase(), value));
    let explanation = decision::explain(
        &copy.config,
        used,
        &decision::Request {
            key: found.map_or(KeyGiven::None, |key| key.map_or(KeyGiven::Unknown, KeyGiven::Key)),
            provider: &request.provider,
            model: &request.model,
            provider_key_id: &request.provider_key_id,
            request_type: &request.request_type,
            headers: &lower(request.headers).collect(),
            params: &lower(request.params).collect(),
            fallbacks: &fallbacks,
            context_length: request.context_length,
            stream: request.stream,
            estimated_tokens: request.estimated_tokens,
            estimated_cost: request.estimated_cost_nano_usd,
            at,
            seed: rand::random(),
        },
    );
    let rejected = explanation
        .rejected_fallbacks
        .iter()
        .map(|it| json!({ "fallback": render_fallback(&it.fallback), "decision": named(it.verdict) }));
    let stopped_by = explanation.blocking.and_then(|place| explanation.limits.get(place));
    json!({
        "decision": named(explanation.verdict),
        "provider": &*explanation.provider,
        "model": &*explanation.model,
        "keyId": explanation.key_id.as_deref().unwrap_or_default(),
        "fallbacks": explanation.fallbacks.iter().map(render_fallback).collect::<Vec<_>>(),
        "rejectedFallbacks": rejected.collect::<Vec<_>>(),
        "limitId": stopped_by.map(|limit| limit.limit_id.to_string()).unwrap_or_default(),
    })
}

#[test]
fn a_copy_decides_what_the_vectors_say() {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let vectors: Value = serde_json::from_str(DECISION).unwrap();
    let (mut wrong, mut decisions) = (Vec::new(), BTreeSet::new());
    for case in vectors["cases"].as_array().unwrap() {
        let resources = case["config"].as_array().unwrap().iter();
        let resources = resources.map(|it| message::<v1::ConfigResource>(&pool, "tollgate.v1.ConfigResource", it));
        let copy = Reducer::<ConfigCopy>::of_resources(resources, 1_000, "").unwrap().state();
        for asked in case["requests"].as_array().unwrap() {
            let mut used = ToldUsage::default();
            for told in asked["usage"].as_array().unwrap() {
                let told = message::<v1::LimitUsage>(&pool, "tollgate.v1.LimitUsage", told);
                let (key, amount) = read_usage(&told).unwrap();
                used.put(key, amount);
            }
            let request = message::<v1::ExplainRequest>(&pool, "tollgate.v1.ExplainRequest", &asked["request"]);
            let got = decided(&copy, &used, request);
            decisions.insert(got["decision"].to_string());
            if got != asked["expect"] {
                wrong.push(format!("{}: {}\n  {got}\n  {}", case["name"], asked["request"], asked["expect"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(decisions.len() >= 11, "{decisions:?}");
}
