//! The OpenAPI document and the page that shows it.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::Value as Json;

use super::client::{Client, World};
use crate::watch::rig::Rig;

/// The operations of the mirrored API: facts of its own description.
const MIRRORED: &str = include_str!("../../fixtures/mirrored_operations.txt");

async fn document() -> Json {
    let mut rig = Rig::new();
    let client = Client { address: rig.start().await, authorization: None };
    let document = client.raw("GET", "/openapi.json", &[], Bytes::new()).await.of(200);
    rig.stop().await;
    document
}

#[tokio::test]
async fn every_operation_parameter_and_status_of_the_mirrored_api_is_there() {
    let document = document().await;
    let mut described = BTreeSet::new();
    for (path, verbs) in document["paths"].as_object().unwrap() {
        for (verb, operation) in verbs.as_object().unwrap() {
            described.insert((
                operation["operationId"].as_str().unwrap().to_owned(),
                verb.to_uppercase(),
                path.clone(),
            ));
        }
    }
    let mut mirrored = BTreeSet::new();
    for line in MIRRORED.lines().filter(|line| !line.starts_with('#')) {
        let [id, verb, path, parameters, statuses] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let path = format!("/api/governance/{path}");
        let operation = &document["paths"][&path][verb.to_lowercase()];
        let given: Vec<_> =
            operation["parameters"].as_array().into_iter().flatten().map(|it| it["name"].as_str().unwrap()).collect();
        for parameter in parameters.split(',').filter(|it| *it != "-") {
            assert!(given.contains(&parameter), "{id} has no {parameter}");
        }
        for status in statuses.split(',') {
            assert!(operation["responses"].get(status).is_some(), "{id} has no {status}");
        }
        mirrored.insert((id.to_owned(), verb.to_owned(), path));
    }
    assert_eq!(mirrored.len(), 35);
    assert_eq!(described, mirrored);
}

/// The description that the list of operations was made of, where somebody has it.
#[test]
fn the_list_of_mirrored_operations_is_whole() {
    let Some(file) = std::env::var_os("TOLLGATE_MIRRORED_DESCRIPTION") else { return };
    let text = std::fs::read_to_string(file).unwrap();
    let given = text.lines().filter_map(|line| line.trim().strip_prefix("operationId: "));
    let listed = MIRRORED.lines().filter(|line| !line.starts_with('#')).map(|line| line.split(' ').next().unwrap());
    assert_eq!(given.collect::<Vec<_>>(), listed.collect::<Vec<_>>());
}

#[tokio::test]
async fn every_reference_leads_somewhere() {
    let document = document().await;
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(references.len() > 200);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        let target = document.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere"));
        assert!(target.is_object(), "{reference}");
    }
}

fn collect(json: &Json, references: &mut Vec<String>) {
    match json {
        Json::Object(object) => {
            references.extend(object.get("$ref").and_then(Json::as_str).map(ToOwned::to_owned));
            object.values().for_each(|it| collect(it, references));
        }
        Json::Array(items) => items.iter().for_each(|it| collect(it, references)),
        _ => {}
    }
}

#[tokio::test]
async fn every_component_is_used_and_every_enum_is_one() {
    let document = document().await;
    let mut references = Vec::new();
    collect(&document, &mut references);
    for kind in ["schemas", "responses"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            assert!(references.contains(&format!("#/components/{kind}/{name}")), "{name} is not used");
        }
    }
    // Generators name an enum that stands in another schema after its place, once for each place.
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let enums = schemas.values().filter(|schema| schema["enum"].is_array()).count();
    assert_eq!((document.to_string().matches(r#""enum":["#).count(), enums), (8, 8));
}

#[tokio::test]
async fn the_examples_work() {
    let document = document().await;
    let world = World::new().await;
    let mut tried = 0;
    for (path, verbs) in document["paths"].as_object().unwrap() {
        let below = path.strip_prefix("/api/governance/").unwrap();
        let example = |verb: &str| verbs[verb]["requestBody"]["content"]["application/json"]["example"].clone();
        if !verbs["post"].is_null() {
            let status = if below == "pricing-overrides" { 201 } else { 200 };
            let answer = world.client.post(below, &example("post")).await.of(status);
            let made = answer.as_object().unwrap().iter().find(|(name, _)| *name != "message").unwrap().1;
            let one = format!("{below}/{}", made["id"].as_str().unwrap());
            let update = &document["paths"]
                .as_object()
                .unwrap()
                .iter()
                .find(|(other, _)| other.starts_with(&format!("{path}/{{")))
                .unwrap()
                .1["put"];
            world.client.put(&one, &update["requestBody"]["content"]["application/json"]["example"]).await.of(200);
            tried += 2;
        }
    }
    let limits = &document["paths"]["/api/governance/providers/{provider_name}"]["put"];
    world
        .client
        .put("providers/openai", &limits["requestBody"]["content"]["application/json"]["example"])
        .await
        .of(200);
    assert_eq!(tried, 12);
    world.end().await;
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere() {
    let mut rig = Rig::new();
    let client = Client { address: rig.start().await, authorization: None };
    let page = client.raw("GET", "/docs", &[], Bytes::new()).await;
    assert_eq!(page.status, 200);
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe") && !policy.contains("http"),
        "{policy}"
    );
    let text = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(!text.contains("://") && !text.contains("<script>") && !text.contains("style="), "{text}");
    let links = text.split(['"']).filter(|it| it.starts_with('/'));
    for link in links {
        let reply = client.raw("GET", link, &[], Bytes::new()).await;
        assert_eq!(reply.status, 200, "{link}");
        assert_eq!(reply.headers["x-content-type-options"], "nosniff");
        assert!(!String::from_utf8_lossy(&reply.body).contains("https://"), "{link}");
    }
    let reply = client.raw("POST", "/openapi.json", &[("content-type", "application/json")], "{}".into()).await;
    assert_eq!((reply.status, &reply.headers["allow"]), (405, &http::HeaderValue::from_static("GET, HEAD")));
    assert_eq!(client.raw("HEAD", "/docs", &[], Bytes::new()).await.status, 200);
    assert_eq!(client.raw("GET", "/docs/other.js", &[], Bytes::new()).await.status, 404);
    rig.stop().await;
}
