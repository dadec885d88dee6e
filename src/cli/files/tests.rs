//! Documents that are right, and what is said of those that are not.

use std::path::Path;

use proptest::prelude::*;
use tollgate_testkit::valid::Sample;

use super::render::{Paths, document as rendered};
use super::source::Source;
use super::*;
use crate::cli::remote::dynamic;
use crate::domain::{
    Customer, McpClient, ModelConfig, ModelPrice, Path as Root, PricingOverride, Provider, ProviderGovernance,
    RoutingRule, Team, Violations, VirtualKey,
};
use crate::proto::v1::config_resource::Resource;

fn load_text(text: &str) -> (Vec<Document>, Vec<String>) {
    let (documents, faults) = read(&[Source { file: Path::new("a.yaml").into(), text: text.to_owned() }]);
    (documents, faults.iter().map(ToString::to_string).collect())
}

fn good(text: &str) -> Vec<Document> {
    let (documents, faults) = load_text(text);
    assert!(faults.is_empty(), "{faults:#?}");
    documents
}

#[test]
fn documents_become_resources_of_the_api() {
    let documents = good(
        "kind: Customer\nname: Acme\nbudgets: [{ max_limit: 500, reset_duration: 1M }]\ncalendar_aligned: true\n---\n\
         # A comment.\nkind: Team\nname: Search\ncustomer: Acme\nprofile: { floor: 3, tags: [a, null] }\n---\n\
         kind: VirtualKey\nname: notebook\nteam: Acme/Search\nlabels: { cost-center: \"4711\" }\n\
         expires_at: 2030-01-01T00:00:00Z\nprovider_configs:\n- { provider: openai, weight: 1, allowed_models: \
         [\"gpt-4o*\"], key_ids: [\"*\"] }\n---\n\
         {\"kind\": \"RoutingRule\", \"name\": \"cheap\", \"team\": \"Acme/Search\", \"celExpression\": \"stream\", \
         \"targets\": [{\"model\": \"gpt-4o-mini\", \"weight\": 1}]}\n",
    );
    let resources: Vec<_> = documents.into_iter().map(|document| document.resource.resource.unwrap()).collect();
    let [Resource::Customer(customer), Resource::Team(team), Resource::VirtualKey(key), Resource::RoutingRule(rule)] =
        resources.as_slice()
    else {
        panic!("{resources:?}");
    };
    assert_eq!((customer.budgets[0].max_limit, customer.calendar_aligned), (500.0, true));
    assert_eq!((team.customer_id.as_str(), team.profile.as_ref().unwrap().fields.len()), ("name:Acme", 2));
    assert_eq!((key.team_id.as_str(), key.labels["cost-center"].as_str()), ("name:Acme/Search", "4711"));
    assert_eq!(key.expires_at.unwrap().seconds, 1_893_456_000);
    assert_eq!(key.provider_configs[0].allowed_models, ["gpt-4o*"]);
    assert_eq!((rule.scope(), rule.scope_id.as_str()), (crate::proto::v1::RoutingScope::Team, "name:Acme/Search"));
    assert_eq!(rule.cel_expression, "stream");
}

#[test]
fn each_fault_has_file_line_and_path() {
    let cases = [
        ("kind: Custmer\nname: a", "a.yaml:1: kind \"Custmer\" is none; did you mean Customer?"),
        ("name: a", "a.yaml:1: kind is missing; write one of Customer, Team, "),
        ("- 1", "a.yaml:1: must be a document, a mapping with `kind`, and is a number"),
        ("kind: Customer\nnmae: a\nname: b", "a.yaml:2: nmae is no field of Customer; did you mean name?"),
        ("kind: Customer\nname: 5", "a.yaml:2: name must be a text and is a number; quote it: \"5\""),
        (
            "kind: Customer\nname: a\ncalendar_aligned: yes",
            "a.yaml:3: calendar_aligned must be true or false and is a text",
        ),
        (
            "kind: Customer\nname: a\nbudgets:\n- max_limit: lots\n  reset_duration: 1M",
            "a.yaml:4: budgets[0].max_limit must be a number and is a text",
        ),
        (
            "kind: Customer\nname: a\nbudgets:\n- max_limit: 5\n  reset_duration: 1x",
            "a.yaml:5: budgets[0].reset_duration ",
        ),
        ("kind: Customer\nname: a\nbudgets: {}", "a.yaml:3: budgets must be a list and is a mapping"),
        ("kind: Customer\nname: a\nid2: x\n", "a.yaml:3: id2 is no field of Customer"),
        ("kind: Customer\nname: a\nrevision: 3", "a.yaml:3: revision is set by the server; remove it"),
        ("kind: Customer\nname: a\nname: b", "a.yaml:3: has \"name\" twice; leave one out"),
        ("kind: Team\nname: a\ncustomer: x/y", "a.yaml:3: customer is no path; write the name of the customer"),
        ("kind: VirtualKey\nname: a\nteam: A/b/c", "a.yaml:3: team is no path; write Customer/Team"),
        ("kind: VirtualKey\nname: a\nvalue_from: X", "a.yaml:3: value_from must be {env: NAME} or {file: PATH}"),
        ("kind: VirtualKey\nname: a\nvalue_sha256: abc", "a.yaml:3: value_sha256 must be the SHA-256 of a value in 64"),
        ("kind: VirtualKey\nname: a\nexpires_at: tomorrow", "a.yaml:3: expires_at must be a time, as 2026-"),
        (
            "kind: RoutingRule\nname: a\nscope: global\ncel_expression: model = 1\ntargets:\n- weight: 1",
            "a.yaml:4: cel_expression ",
        ),
        (
            "kind: RoutingRule\nname: a\nscope: all",
            "a.yaml:3: scope must be one of GLOBAL, TEAM, CUSTOMER, VIRTUAL_KEY",
        ),
        ("kind: RoutingRule\nname: a\nscope: global\npriority: 1.5", "a.yaml:4: priority must be a whole number"),
        (
            "kind: Customer\nname: a\n---\nkind: Customer\nname: a",
            "a.yaml:4: kind is of a resource that a.yaml:1 describes",
        ),
        ("kind: Customer\nname: &a b\n", "a.yaml:2: has an anchor or an alias"),
        ("kind: Customer\nname: !!str b\n", "a.yaml:2: has a tag"),
        ("kind: Customer\nname: [a\n", "a.yaml:3: is no YAML: "),
        ("kind: Customer\n\tname: a\n", "a.yaml:1: is no YAML: "),
    ];
    for (text, expected) in cases {
        let (_, faults) = load_text(text);
        assert!(faults.iter().any(|fault| fault.starts_with(expected)), "{text:?}: {faults:#?}");
    }
}

#[test]
fn a_file_is_read_to_its_end_whatever_is_wrong_before() {
    let (_, faults) = load_text("kind: Customer\nnam: a\n---\nkind: Team\nnam: b\n---\nkind: Nothing\n");
    assert_eq!(faults.len(), 3, "{faults:?}");
}

/// Nine aliases of nine aliases of … would be gigabytes.
#[test]
fn what_would_grow_without_bound_is_refused() {
    let bomb: String = (1..30).map(|level| format!("a{level}: &a{level} [*a{0}, *a{0}]\n", level - 1)).collect();
    let (_, faults) = load_text(&format!("kind: Customer\na0: &a0 [x]\n{bomb}"));
    assert!(faults.len() == 1 && faults[0].starts_with("a.yaml:2: has an anchor"), "{faults:?}");
    for deep in [format!("kind: {}", "[".repeat(100_000)), format!("kind: {}", "[".repeat(200))] {
        assert_eq!(load_text(&deep).1.len(), 1);
    }
    let nested = format!("kind: {}x{}", "[".repeat(60), "]".repeat(60));
    assert!(load_text(&nested).1[0].contains("is nested deeper than 40 levels"));
    let many = "kind: Customer\nname: a\n---\n".repeat(MAX_DOCUMENTS + 1);
    let (_, faults) = load_text(&many);
    assert!(
        faults.len() == 1 && faults[0].contains("one of 100001 documents, and 100000 are checked together"),
        "{faults:?}"
    );
}

#[test]
fn a_value_in_a_file_is_refused_and_not_shown() {
    let (documents, faults) = load_text("kind: VirtualKey\nname: a\nvalue: sk-very-secret-value-1234567890\n");
    assert!(documents.is_empty() && faults.len() == 1, "{faults:?}");
    assert!(faults[0].starts_with("a.yaml:3: value is a secret, which is not kept in files"), "{faults:?}");
    assert!(!faults[0].contains("very-secret"));
    let documents = good("kind: VirtualKey\nname: a\nvalue_from: { file: keys/a.txt }\n");
    assert_eq!(documents[0].value_from, Some(ValueFrom::File("keys/a.txt".into())));
    assert!(ValueFrom::Env("TOLLGATE_NO_SUCH_VARIABLE".to_owned()).read().unwrap_err().contains("TOLLGATE_NO_SUCH"));
}

/// An answer is known by its revision and time, and what only the server sets is left out.
#[test]
fn answers_of_the_api_are_read_without_what_the_server_set() {
    let documents = good(
        "{\"kind\": \"VirtualKey\", \"id\": \"0190a8f0-0000-7000-8000-000000000000\", \"name\": \"a\", \"value\": \
         \"sk-tg-ab…yz\", \"revision\": \"7\", \"createdAt\": \"2026-01-01T00:00:00Z\", \"budgets\": [{\"id\": \"x\", \
         \"maxLimit\": 5, \"resetDuration\": \"1d\", \"currentUsage\": 2}]}",
    );
    let Some(Resource::VirtualKey(key)) = &documents[0].resource.resource else { panic!("{documents:?}") };
    assert_eq!((key.id.as_str(), key.value.as_str(), key.revision, key.budgets[0].id.as_str()), ("", "", 0, ""));
    assert_eq!((key.name.as_str(), key.budgets[0].max_limit), ("a", 5.0));
}

struct AsIs;

impl Paths for AsIs {
    fn shorthand(&self, _: &DynamicMessage, field: &str) -> Option<(String, String)> {
        (field == "team_id").then(|| ("team".to_owned(), "Acme/Search".to_owned()))
    }
}

#[test]
fn what_is_written_as_a_document_is_read_as_it_was() {
    let text = "\
kind: VirtualKey
name: \"yes\"
description: \"it's \\\"odd\\\": \\n# ünïcode \\\\ 1.10\"
is_active: false
team: Acme/Search
labels:
  \"1\": \"2\"
  a: b c
budgets:
- max_limit: 0.1
  reset_duration: 1M
  alert_percents: [50]
  enforcement: SOFT
provider_configs:
- provider: openai
  weight: 0.25
  allowed_models: [gpt-4o, \"o3*\"]
  key_ids: [\"*\"]
  rate_limits:
  - token_max_limit: 0
    token_reset_duration: 1h30m
calendar:
  time_zone: Europe/Berlin
";
    let documents = good(text);
    let Some(Resource::VirtualKey(key)) = &documents[0].resource.resource else { panic!("{documents:?}") };
    let again = rendered(&dynamic(key).unwrap(), &AsIs);
    let read_again = good(&again);
    assert_eq!(read_again[0].resource, documents[0].resource, "{again}");
    // Written twice, it is the same.
    let Some(Resource::VirtualKey(key)) = &read_again[0].resource.resource else { panic!("{read_again:?}") };
    assert_eq!(rendered(&dynamic(key).unwrap(), &AsIs), again);
}

struct Ids;

impl Paths for Ids {
    fn shorthand(&self, _: &DynamicMessage, _: &str) -> Option<(String, String)> {
        None
    }
}

/// Whatever a client could create is, written as a document and read again, the same.
fn survives<R>()
where
    R: Sample + PartialEq + std::fmt::Debug,
    R::Message: std::fmt::Debug,
{
    let parsed = |message: R::Message| {
        let mut violations = Violations::new();
        let resource = R::accept(message, &Root::root(R::KIND.name()), &mut violations);
        resource.filter(|_| violations.is_empty()).unwrap_or_else(|| panic!("{violations:?}"))
    };
    proptest!(ProptestConfig::with_cases(64), |(message in R::valid())| {
        let text = rendered(&dynamic(&message).unwrap(), &Ids);
        let mut documents = good(&text);
        prop_assert_eq!(documents.len(), 1);
        let read = documents.remove(0).message().unwrap().transcode_to::<R::Message>().unwrap();
        prop_assert_eq!(parsed(read), parsed(message), "{}", text);
    });
}

#[test]
fn all_that_can_be_created_can_be_written_and_read_again() {
    survives::<Customer>();
    survives::<Team>();
    survives::<VirtualKey>();
    survives::<RoutingRule>();
    survives::<ModelConfig>();
    survives::<ProviderGovernance>();
    survives::<PricingOverride>();
    survives::<Provider>();
    survives::<McpClient>();
    survives::<ModelPrice>();
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "(kind: [A-Z][a-z]{3,8}\n)?[a-z:\\-\\[\\]{}&*!|>'\"#%@` \n\t,?0-9é]{0,60}") {
        drop(load_text(&text));
    }
}
