//! The table and the shapes against the descriptors that they name.

use prost_reflect::{DynamicMessage, ReflectMessage as _, Value};
use serde_json::{Value as Json, json};

use super::operations::{Act, OPERATIONS, Route, method, route};
use super::read::{Purpose, Reader};
use super::shapes::{POOL, Source, named};
use super::{password, query};
use crate::domain::{
    Customer, ModelConfig, PricingOverride, ProviderGovernance, RoutingRule, Team, Violations, VirtualKey,
};
use crate::wire::Wire;

#[test]
fn every_operation_has_what_it_needs_of_its_method() {
    for operation in &OPERATIONS {
        let request = operation.descriptor().unwrap_or_else(|| panic!("{}", operation.id)).input();
        assert!(named(operation.resource.message).is_some(), "{}", operation.id);
        let needed: &[&str] = match operation.act {
            Act::List(_) => &["page_size", "page_token", "view", "from_memory"],
            Act::Get => &["id", "view", "from_memory"],
            Act::Update => &["update_mask"],
            Act::Delete => &["id"],
            Act::Create | Act::Quota => &[],
        };
        let parameters = query::parameters(operation).filter(|it| !["limit", "offset"].contains(it));
        for name in needed.iter().copied().chain(parameters) {
            assert!(request.get_field_by_name(name).is_some(), "{} takes no {name}", operation.id);
        }
        if operation.act == Act::Update {
            let get = method(operation.resource, &format!("Get{}", operation.resource.message));
            assert!(get.is_some(), "{}", operation.id);
        }
        let path = operation.path.replace(['{', '}'], "");
        let Route::To(found, id) = route(&operation.verb().parse().unwrap(), &path) else {
            panic!("{} has no route", operation.id)
        };
        assert_eq!((found.id, id), (operation.id, operation.parameter()));
    }
}

/// Reading goes by the comments of the protos, so they are held to the code.
#[test]
fn what_the_protos_call_output_only_is() {
    fn check<R: Wire>(message: &str) {
        for property in &named(message).unwrap().properties {
            let Source::Field(field) = &property.source else { continue };
            // It can be given to a new key.
            let is_output_only = R::OUTPUT_ONLY.contains(&field.name()) && field.name() != "value";
            assert_eq!(property.read_only, is_output_only, "{message}.{}", property.name);
        }
    }
    check::<Customer>("Customer");
    check::<Team>("Team");
    check::<VirtualKey>("VirtualKey");
    check::<RoutingRule>("RoutingRule");
    check::<ModelConfig>("ModelConfig");
    check::<ProviderGovernance>("ProviderGovernance");
    check::<PricingOverride>("PricingOverride");
}

fn read(
    message: &str,
    json: &Json,
    purpose: Purpose,
    current: Option<&DynamicMessage>,
) -> Result<DynamicMessage, Violations> {
    let of = POOL.get_message_by_name(&format!("tollgate.v1.{message}")).unwrap();
    let mut reader = Reader::default();
    let read = reader.resource(&of, json.as_object().unwrap(), purpose, current);
    reader.violations.or(read.message)
}

#[test]
fn numbers_are_whole_however_they_are_written() {
    for (written, number) in
        [("7", Some(7)), ("7.0", Some(7)), ("7e2", Some(700)), ("7.5", None), ("1e19", None), ("\"7\"", None)]
    {
        let json: Json =
            serde_json::from_str(&format!("{{\"token_max_limit\": {written}, \"token_reset_duration\": \"1d\"}}"))
                .unwrap();
        let message = read("RateLimit", &json, Purpose::Entry, None);
        let found = message.ok().and_then(|it| it.get_field_by_name("token_max_limit").and_then(|it| it.as_i64()));
        assert_eq!(found, number, "{written}");
    }
}

#[test]
fn budgets_speak_for_the_alignment_of_their_owner() {
    let aligned = |json: Json| {
        let message = read("Team", &json, Purpose::Create, None);
        message.map(|it| it.get_field_by_name("calendar_aligned").and_then(|it| it.as_bool())).map_err(|_| ())
    };
    let budget =
        |length: &str, flag: Json| json!({ "max_limit": 1, "reset_duration": length, "calendar_aligned": flag });
    let team = |budgets: Json| json!({ "name": "t", "budgets": budgets });
    assert_eq!(aligned(team(json!([budget("1d", json!(true)), budget("1h", json!(false))]))), Ok(Some(true)));
    assert_eq!(aligned(team(json!([budget("1d", json!(null))]))), Ok(Some(false)));
    assert_eq!(aligned(team(json!([budget("1d", json!(true)), budget("1M", json!(false))]))), Err(()));
    assert_eq!(aligned(team(json!([budget("1h", json!(true))]))), Err(()));
    let mut contradicted = team(json!([budget("1d", json!(true))]));
    contradicted["calendar_aligned"] = json!(false);
    assert_eq!(aligned(contradicted), Err(()));
}

#[test]
fn one_limit_changes_what_is_stored_of_it() {
    let stored =
        json!({ "name": "t", "budgets": [{ "max_limit": 1, "reset_duration": "1d", "alert_percents": [50] }] });
    let mut stored = read("Team", &stored, Purpose::Create, None).unwrap();
    let read_one = |json: Json, stored: &DynamicMessage| {
        let message = read("Team", &json, Purpose::Update, Some(stored)).unwrap();
        message.get_field_by_name("budgets").unwrap().as_list().unwrap().to_vec()
    };
    let budgets = read_one(json!({ "budget": { "max_limit": 2 } }), &stored);
    let budget = budgets[0].as_message().unwrap();
    assert_eq!(budget.get_field_by_name("max_limit").unwrap().as_f64(), Some(2.0));
    assert_eq!(budget.get_field_by_name("alert_percents").unwrap().as_list(), Some(&[Value::I32(50)][..]));
    assert!(read_one(json!({ "budget": {} }), &stored).is_empty());
    let field = stored.descriptor().get_field_by_name("budgets").unwrap();
    let two = [budgets[0].clone(), budgets[0].clone()];
    stored.set_field(&field, Value::List(two.to_vec()));
    assert!(read("Team", &json!({ "budget": { "max_limit": 2 } }), Purpose::Update, Some(&stored)).is_err());
}

#[test]
fn the_password_of_basic_is_read() {
    for (given, found) in [
        ("Basic dTp0Z194", Some("tg_x")),
        ("basic OnRnX3g=", Some("tg_x")),
        ("Basic dTp0Z186eA==", Some("tg_:x")),
        ("Basic dXNlcg==", None),
        ("Basic %%%", None),
        ("Bearer dTp0Z194", None),
    ] {
        assert_eq!(password(&given.parse().unwrap()).as_deref(), found, "{given}");
    }
}
