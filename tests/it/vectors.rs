//! `proto/vectors`, which clients in other languages are held to, against the code here.

use std::collections::BTreeMap;

use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::{Value, json};
use tollgate::domain::Kind;
use tollgate::proto::FILE_DESCRIPTOR_SET;
use tollgate::proto::v1::{LimitKind, WatchConfigResponse};
use tollgate::reducer::{Reducer, Summary, View};

const WATCH: &str = include_str!("../../proto/vectors/watch.json");

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
