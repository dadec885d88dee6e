//! Changes that are decided together.

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tollgate::proto::v1::ApplyOperation::{Created, Deleted, Unchanged, Updated};
use tollgate::proto::v1::customer_service_client::CustomerServiceClient;
use tollgate::proto::v1::{Children, RoutingScope};
use tonic::Code;
use tonic_types::StatusExt as _;

use super::organisation::Organisation;
use super::*;
use crate::contract::laws::{fields, reason};
use crate::watch::rig::{Rig, node};

/// An organisation by names, each of its resources before those that it names.
fn organisation() -> Vec<v1::ApplyChange> {
    let limited = v1::ModelConfig {
        model_name: "*".to_owned(),
        scope: v1::ModelConfigScope::VirtualKey.into(),
        scope_id: "name:Acme/Search/notebook".to_owned(),
        budgets: vec![budget(1.0, "1d")],
        ..Default::default()
    };
    let governed = v1::ProviderGovernance {
        provider: "acme-ai".to_owned(),
        budgets: vec![budget(9.0, "1w")],
        ..Default::default()
    };
    vec![
        upsert(Resource::ProviderGovernance(governed)),
        upsert(Resource::ModelConfig(limited)),
        upsert(Resource::RoutingRule(rule("cheap", RoutingScope::Team, "name:Acme/Search", 1))),
        upsert(Resource::VirtualKey(key("notebook", "name:Acme/Search", ""))),
        upsert(Resource::VirtualKey(key("notebook", "", "name:Acme"))),
        upsert(Resource::Team(team("Search", "name:Acme"))),
        upsert(Resource::Customer(customer("Acme"))),
        upsert(Resource::Provider(v1::Provider { name: "acme-ai".to_owned(), ..Default::default() })),
    ]
}

#[tokio::test]
async fn an_organisation_is_applied_in_one_revision_and_a_second_time_changes_nothing() {
    let (mut rig, api) = Rig::started().await;
    let mut watcher = node(&api, &[]).await;
    let options = v1::ApplyOptions { managed_by: "files".to_owned(), ..Default::default() };
    let planned = v1::ApplyOptions { validate_only: true, ..options.clone() };
    let planned = apply(&api, planned, organisation()).await.unwrap();
    let before = apply(&api, v1::ApplyOptions::default(), Vec::new()).await.unwrap().revision;

    let answer = apply(&api, options.clone(), organisation()).await.unwrap();
    assert_eq!((answer.revision, operations(&answer)), (before + 1, vec![Created; 8]));
    assert_eq!(operations(&planned), operations(&answer), "the plan said it");
    assert!(planned.outcomes.iter().all(|outcome| outcome.value.is_empty()));
    let values: Vec<bool> = answer.outcomes.iter().map(|outcome| outcome.value.starts_with("sk-tg-")).collect();
    assert_eq!(values, [false, false, false, true, true, false, false, false], "keys' values are shown once");
    assert_eq!(watcher.until(answer.revision).await, 1, "watchers see one revision");
    let marked = api.all().await.into_iter().filter(|it| format!("{it:?}").contains("managed_by: \"files\""));
    assert_eq!(marked.count(), 7, "all but the governance, which is not listed here");

    let again = apply(&api, options, organisation()).await.unwrap();
    assert_eq!((again.revision, operations(&again)), (answer.revision, vec![Unchanged; 8]));
    assert_eq!(ids(&again), ids(&answer));
    drop((api, watcher));
    rig.stop().await;
}

#[tokio::test]
async fn the_order_of_changes_does_not_matter_and_what_they_exchange_is_no_clash() {
    let (mut rig, api) = Rig::started().await;
    let rules = [rule("a", RoutingScope::Global, "", 1), rule("b", RoutingScope::Global, "", 2)];
    let [one, other] = ["one", "other"].map(customer);
    let mut changes: Vec<_> = rules.clone().map(|it| upsert(Resource::RoutingRule(it))).into();
    changes.extend([one, other].map(|it| upsert(Resource::Customer(it))));
    let made = ids(&apply(&api, v1::ApplyOptions::default(), changes).await.unwrap());

    // Priorities and names change hands, in either order.
    for turn in [0, 1] {
        let rule = |place: usize| {
            let priority = if (place + turn).is_multiple_of(2) { 2 } else { 1 };
            upsert(Resource::RoutingRule(v1::RoutingRule { priority, ..rules[place].clone() }))
        };
        let renamed = |place: usize| {
            let name = ["one", "other"][(place + turn + 1) % 2];
            upsert(Resource::Customer(v1::Customer { id: made[2 + place].clone(), ..customer(name) }))
        };
        let mut changes = vec![rule(0), rule(1), renamed(0), renamed(1)];
        if turn == 1 {
            changes.reverse();
        }
        let answer = apply(&api, v1::ApplyOptions::default(), changes).await.unwrap();
        assert_eq!(operations(&answer), [Updated; 4]);
    }
    // A name is free for another one that is deleted by the call.
    let renamed = v1::Customer { id: made[2].clone(), ..customer("other") };
    let changes = vec![upsert(Resource::Customer(renamed)), delete(ResourceKind::Customer, &made[3])];
    let answer = apply(&api, v1::ApplyOptions::default(), changes).await.unwrap();
    assert_eq!(operations(&answer), [Updated, Deleted]);
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn what_may_only_be_created_is_refused_where_it_is() {
    let (mut rig, api) = Rig::started().await;
    let mut rng = StdRng::seed_from_u64(4);
    let (_, changes): (Vec<_>, Vec<_>) = Organisation::random(&mut rng, 60).upserts(&mut rng).into_iter().unzip();
    let options = v1::ApplyOptions { create_only: true, ..Default::default() };
    let made = apply(&api, options.clone(), changes.clone()).await.unwrap();
    assert_eq!(operations(&made), vec![Created; changes.len()]);
    for change in changes {
        let other = upsert(Resource::Customer(customer("other")));
        let refused = apply(&api, options.clone(), vec![other, change.clone()]).await.unwrap_err();
        assert_eq!(reason(&refused, Code::AlreadyExists), "ALREADY_EXISTS", "{change:?}");
        assert!(refused.message().starts_with("changes[1].upsert."), "{refused:?}");
    }
    let head = apply(&api, v1::ApplyOptions::default(), Vec::new()).await.unwrap().revision;
    assert_eq!(head, made.revision);
    let back = v1::ApplyOptions { rollback_to_revision: 1, ..options };
    assert_eq!(fields(&apply(&api, back, Vec::new()).await.unwrap_err()), ["options.create_only"]);
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn all_that_is_wrong_is_told_with_its_place_and_nothing_is_done() {
    let (mut rig, api) = Rig::started().await;
    let made = apply(&api, v1::ApplyOptions::default(), organisation()).await.unwrap();
    let before = api.all().await;

    let masked = v1::ApplyChange {
        update_mask: Some(prost_types::FieldMask { paths: vec!["nonsense".to_owned()] }),
        ..upsert(Resource::Customer(customer("masked")))
    };
    let heavy = v1::VirtualKey { budgets: vec![budget(-1.0, "1 day")], ..key("heavy", "", "") };
    let changes = vec![
        upsert(Resource::Customer(customer(" "))),
        upsert(Resource::Customer(customer("good"))),
        upsert(Resource::VirtualKey(heavy)),
        upsert(Resource::Team(team("lost", "name:Acme/Search"))),
        masked,
        delete(ResourceKind::Team, "name:Acme"),
        upsert(Resource::Customer(customer("good"))),
    ];
    let refused = apply(&api, v1::ApplyOptions::default(), changes).await.unwrap_err();
    let named = fields(&refused);
    for field in [
        "changes[0].upsert.customer.name",
        "changes[2].upsert.virtual_key.budgets[0].max_limit",
        "changes[2].upsert.virtual_key.budgets[0].reset_duration",
        "changes[3].upsert.team.customer_id",
        "changes[4].update_mask.paths[0]",
        "changes[6]",
    ] {
        assert!(named.iter().any(|it| it == field), "{field} is not in {named:?}");
    }

    let missing = vec![
        upsert(Resource::Team(team("a", "name:Nobody"))),
        upsert(Resource::VirtualKey(key("b", "no-such-id", ""))),
    ];
    let refused = apply(&api, v1::ApplyOptions::default(), missing).await.unwrap_err();
    assert_eq!(reason(&refused, Code::FailedPrecondition), "REFERENCE_NOT_FOUND");
    let message = refused.message();
    assert!(message.contains("changes[0].upsert.team.customer_id: customer \"name:Nobody\""), "{message}");
    assert!(message.contains("changes[1].upsert.virtual_key.team_id"), "{message}");

    let stale = v1::ApplyChange { revision: 1, ..upsert(Resource::Customer(customer("Acme"))) };
    let fine = upsert(Resource::Customer(customer("fine")));
    let refused = apply(&api, v1::ApplyOptions::default(), vec![fine.clone(), stale]).await.unwrap_err();
    assert_eq!(reason(&refused, Code::Aborted), "REVISION_MISMATCH");
    assert_eq!(refused.get_error_details().error_info().unwrap().metadata["change"], "1");
    let gone = delete(ResourceKind::Customer, "name:Nobody");
    let refused = apply(&api, v1::ApplyOptions::default(), vec![fine.clone(), gone]).await.unwrap_err();
    assert_eq!(reason(&refused, Code::NotFound), "NOT_FOUND");
    // What has children stays, with all else.
    let parent = delete(ResourceKind::Customer, "name:Acme");
    let refused = apply(&api, v1::ApplyOptions::default(), vec![fine, parent]).await.unwrap_err();
    assert_eq!(reason(&refused, Code::FailedPrecondition), "HAS_CHILDREN");
    assert_eq!(api.all().await, before);
    let head = apply(&api, v1::ApplyOptions::default(), Vec::new()).await.unwrap().revision;
    assert_eq!(head, made.revision);
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn masks_change_what_they_name_and_deletions_take_along_what_goes_with_them() {
    let (mut rig, api) = Rig::started().await;
    let mut watcher = node(&api, &[]).await;
    apply(&api, v1::ApplyOptions::default(), organisation()).await.unwrap();
    let described = v1::VirtualKey { description: "described".to_owned(), ..key("notebook", "", "name:Acme") };
    let described = v1::VirtualKey { budgets: Vec::new(), ..described };
    let masked = v1::ApplyChange {
        update_mask: Some(prost_types::FieldMask { paths: vec!["description".to_owned()] }),
        ..upsert(Resource::VirtualKey(described))
    };
    let options = v1::ApplyOptions { return_resources: true, ..Default::default() };
    let answer = apply(&api, options, vec![masked]).await.unwrap();
    let [outcome] = &answer.outcomes[..] else { panic!("{answer:?}") };
    let side = |side: &Option<v1::ConfigResource>| match side.clone().unwrap().resource {
        Some(Resource::VirtualKey(key)) => key,
        other => panic!("{other:?}"),
    };
    let (before, after) = (side(&outcome.before), side(&outcome.after));
    assert_eq!((outcome.operation(), &*before.description, &*after.description), (Updated, "", "described"));
    assert_eq!((before.budgets.len(), after.budgets), (1, before.budgets));
    assert!(before.value_sha256.is_empty() && after.value_sha256.is_empty());

    // The team's key is changed by one change, and loses its team by the other: one change of it in the log.
    let changed = v1::VirtualKey { description: "too".to_owned(), ..key("notebook", "name:Acme/Search", "") };
    let without =
        v1::ApplyChange { children: Children::Detach.into(), ..delete(ResourceKind::Team, "name:Acme/Search") };
    let changes = vec![without, upsert(Resource::VirtualKey(changed))];
    let answer = apply(&api, v1::ApplyOptions::default(), changes).await.unwrap();
    assert_eq!(operations(&answer), [Deleted, Updated]);
    assert_eq!((answer.total_changed_count, answer.also_changed.len()), (1, 1), "the rule of the team goes with it");
    let request = v1::ListChangesRequest { revision: answer.revision, ..Default::default() };
    let mut config = v1::config_service_client::ConfigServiceClient::new(api.0.clone());
    let logged = config.list_changes(request).await.unwrap().into_inner().changes;
    assert_eq!(logged.len(), 3, "{logged:?}");
    watcher.until_proved(answer.revision).await;
    drop((api, watcher));
    rig.stop().await;
}

#[tokio::test]
async fn a_repeated_call_is_answered_without_the_values_of_keys() {
    let (mut rig, api) = Rig::started().await;
    let options =
        v1::ApplyOptions { request_id: "0190a8f0-0000-7000-8000-000000000001".to_owned(), ..Default::default() };
    let first = apply(&api, options.clone(), organisation()).await.unwrap();
    let api = rig.restart().await;
    let again = apply(&api, options.clone(), organisation()).await.unwrap();
    assert_eq!((again.revision, ids(&again), operations(&again)), (first.revision, ids(&first), operations(&first)));
    assert!(again.outcomes.iter().all(|outcome| outcome.value.is_empty()));
    let refused = apply(&api, options, organisation().split_off(1)).await.unwrap_err();
    assert_eq!(reason(&refused, Code::InvalidArgument), "REQUEST_ID_REUSED");
    drop(api);
    rig.stop().await;
}

// On threads of its own: a client that sends thousands of messages at once leaves a server beside it no time to follow its
// database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_begins_with_its_options_and_has_an_end() {
    use v1::apply_request::Part;
    let (mut rig, api) = Rig::started().await;
    let options = || v1::ApplyRequest { part: Some(Part::Options(v1::ApplyOptions::default())) };
    let change = || v1::ApplyRequest { part: Some(Part::Change(upsert(Resource::Customer(customer("x"))))) };
    for messages in
        [vec![], vec![change()], vec![options(), options()], vec![options(), v1::ApplyRequest { part: None }]]
    {
        let refused = send(&api, messages).await.unwrap_err();
        assert_eq!(fields(&refused), ["options"]);
    }
    let many = std::iter::once(options()).chain((0..=10_000).map(|_| change())).collect();
    let refused = send(&api, many).await.unwrap_err();
    assert_eq!(reason(&refused, Code::ResourceExhausted), "TOO_LARGE");
    let empty = apply(&api, v1::ApplyOptions::default(), vec![v1::ApplyChange::default()]).await.unwrap_err();
    assert_eq!(fields(&empty), ["changes[0]"]);
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn more_than_a_call_makes_is_checked_only() {
    let (mut rig, api) = Rig::started().await;
    let customer = |number: usize| Resource::Customer(v1::Customer { name: number.to_string(), ..Default::default() });
    let changes = || (0..10_001).map(|number| upsert(customer(number))).collect::<Vec<_>>();
    let refused = apply(&api, v1::ApplyOptions::default(), changes()).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().contains("With validate_only, as many as 100,000"), "{}", refused.message());
    let checked = v1::ApplyOptions { validate_only: true, ..Default::default() };
    let with_resources = v1::ApplyOptions { return_resources: true, ..checked.clone() };
    let refused = apply(&api, with_resources, changes()).await.unwrap_err();
    assert_eq!(fields(&refused), ["options.return_resources"]);
    let made = api.create_customer(v1::Customer { name: "7".to_owned(), ..Default::default() }).await.unwrap();
    let answer = apply(&api, checked, changes()).await.unwrap();
    let created = operations(&answer).iter().filter(|fate| **fate == ApplyOperation::Created).count();
    assert_eq!((created, answer.revision), (10_000, made.revision + 1));
    assert_eq!((answer.outcomes[7].before_revision, answer.outcomes[8].before_revision), (made.revision, 0));
    let everything = v1::ListCustomersRequest::default();
    let customers = CustomerServiceClient::new(api.0.clone()).list_customers(everything).await.unwrap().into_inner();
    assert_eq!(customers.total_size, 1, "nothing is made");
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn what_is_missing_is_told_together_with_what_is_wrong() {
    let (mut rig, api) = Rig::started().await;
    let team = |name: &str, customer: &str| {
        let (name, customer_id) = (name.to_owned(), customer.to_owned());
        upsert(Resource::Team(v1::Team { name, customer_id, ..Default::default() }))
    };
    let of_team = |name: &str, team: &str| upsert(Resource::VirtualKey(key(name, team, "")));
    let changes = vec![
        team("", ""),
        team("a", "name:Nobody"),
        // Perhaps it would have been the one that is wrong.
        of_team("k", "name:/b"),
        upsert(Resource::RoutingRule(rule("r", RoutingScope::Customer, "name:None", 1))),
    ];
    let refused = apply(&api, v1::ApplyOptions::default(), changes.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let expected = [
        "changes[0].upsert.team.name",
        "changes[1].upsert.team.customer_id",
        "changes[3].upsert.routing_rule.scope_id",
    ];
    assert_eq!(fields(&refused), expected);
    let told = refused.get_error_details().bad_request().unwrap().field_violations[1].description.clone();
    assert_eq!(told, "names customer \"name:Nobody\", which does not exist");
    // Without the fault, all that is missing is one refusal.
    let refused = apply(&api, v1::ApplyOptions::default(), changes[1..].to_vec()).await.unwrap_err();
    assert_eq!(reason(&refused, Code::FailedPrecondition), "REFERENCE_NOT_FOUND");
    let details = refused.get_error_details();
    assert_eq!(details.precondition_failure().unwrap().violations.len(), 3);
    drop(api);
    rig.stop().await;
}
