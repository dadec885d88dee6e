//! Names are unique within their parents, and paths of them name resources wherever ids do.

use sea_orm::ConnectionTrait as _;
use tollgate::proto::v1::Children;
use tollgate::proto::v1::customer_service_client::CustomerServiceClient;
use tollgate::proto::v1::decision_service_client::DecisionServiceClient;
use tollgate::proto::v1::explain_request::Key;
use tollgate::proto::v1::team_service_client::TeamServiceClient;
use tollgate::proto::v1::virtual_key_service_client::VirtualKeyServiceClient;
use tonic::Code;

use super::*;
use crate::contract::laws::{fields, reason};
use crate::watch::rig::Rig;

#[tokio::test]
async fn names_are_unique_within_their_parents_only() {
    let (mut rig, api) = Rig::started().await;
    let [acme, other] = [customer("Acme"), customer("Other")].map(|it| api.create_customer(it));
    let (acme, other) = (acme.await.unwrap().id, other.await.unwrap().id);
    let taken = |status: tonic::Status| assert_eq!(reason(&status, Code::AlreadyExists), "ALREADY_EXISTS");
    taken(api.create_customer(customer("Acme\u{200b} ")).await.unwrap_err());
    // é in one character and in two.
    let cafe = api.create_team(team("Caf\u{e9}", &acme)).await.unwrap();
    taken(api.create_team(team("Cafe\u{301}", &acme)).await.unwrap_err());
    let moved = api.create_team(team("Cafe\u{301}", &other)).await.unwrap();
    api.create_team(team("Caf\u{e9}", "")).await.unwrap();
    for (team_id, customer_id) in [(&*cafe.id, ""), (&*moved.id, ""), ("", &*acme), ("", &*other), ("", "")] {
        api.create_virtual_key(key("notebook", team_id, customer_id)).await.unwrap();
        taken(api.create_virtual_key(key("notebook", team_id, customer_id)).await.unwrap_err());
    }

    // A move to another parent meets the names that are there.
    let to_acme = v1::Team { id: moved.id.clone(), customer_id: acme.clone(), ..Default::default() };
    taken(api.update_team(to_acme.clone(), &["customer_id"]).await.unwrap_err());
    let renamed = v1::Team { name: "Bistro".to_owned(), ..to_acme };
    api.update_team(renamed, &["customer_id", "name"]).await.unwrap();
    let invisible = api.create_team(team("\u{200b}\u{2060}", "")).await.unwrap_err();
    assert_eq!(fields(&invisible), ["team.name"]);

    // What loses its parent meets them as well.
    let refused = api.delete_customer_and(&acme, Children::Detach).await.unwrap_err();
    assert_eq!(reason(&refused, Code::FailedPrecondition), "NAMES_CLASH");
    assert!(refused.message().contains("2 name(s)") && refused.message().contains("notebook"), "{refused:?}");
    api.delete_customer_and(&acme, Children::Delete).await.unwrap();
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn paths_name_customers_teams_and_keys_wherever_ids_do() {
    let (mut rig, api) = Rig::started().await;
    let acme = api.create_customer(customer("A/B 50%")).await.unwrap();
    let search = api.create_team(team("Search", "name:A%2FB 50%25")).await.unwrap();
    assert_eq!(search.customer_id, acme.id, "answers have ids");
    let root = api.create_team(team("Search", "")).await.unwrap();
    let deep = api.create_virtual_key(key("k", "name:A%2FB 50%25/Search", "")).await.unwrap();
    let of_root = api.create_virtual_key(key("k", "name:/Search", "")).await.unwrap();
    let direct = api.create_virtual_key(key("k", "", "name:A%2FB 50%25")).await.unwrap();
    let alone = api.create_virtual_key(key("k", "", "")).await.unwrap();
    assert_eq!([&deep.team_id, &of_root.team_id, &direct.customer_id], [&search.id, &root.id, &acme.id]);
    let mut keys = VirtualKeyServiceClient::new(api.0.clone());
    for (path, id) in [
        ("name:A%2FB 50%25/Search/k", &deep.id),
        ("name:/Search/k", &of_root.id),
        ("name:A%2FB 50%25//k", &direct.id),
        ("name://k", &alone.id),
    ] {
        for from_memory in [false, true] {
            let request = v1::GetVirtualKeyRequest { id: path.to_owned(), from_memory, ..Default::default() };
            assert_eq!(&keys.get_virtual_key(request).await.unwrap().into_inner().virtual_key.unwrap().id, id);
        }
        let rotated = api.rotate(path, None).await.unwrap();
        assert_eq!(&rotated.id, id);
        let request = v1::ExplainRequest {
            key: Some(Key::VirtualKeyId(path.to_owned())),
            model: "gpt-4o".to_owned(),
            ..Default::default()
        };
        let explained = DecisionServiceClient::new(api.0.clone()).explain(request).await.unwrap().into_inner();
        assert_eq!(explained.decision(), v1::Decision::Allow);
    }

    // Filters, scopes, updates and deletions.
    let request = v1::ListTeamsRequest { customer_id: "name:A%2FB 50%25".to_owned(), ..Default::default() };
    let listed = TeamServiceClient::new(api.0.clone()).list_teams(request).await.unwrap().into_inner();
    assert_eq!(listed.teams.iter().map(|team| &team.id).collect::<Vec<_>>(), [&search.id]);
    let made = api.create_routing_rule(rule("r", v1::RoutingScope::VirtualKey, "name://k", 1)).await.unwrap();
    assert_eq!(made.scope_id, alone.id);
    let config = v1::ModelConfig {
        model_name: "*".to_owned(),
        scope: v1::ModelConfigScope::Team.into(),
        scope_id: "name:/Search".to_owned(),
        budgets: vec![budget(1.0, "1d")],
        ..Default::default()
    };
    let made = api.create_model_config(config.clone()).await.unwrap();
    let same = v1::ModelConfig { id: made.id.clone(), ..config.clone() };
    assert_eq!(api.update_model_config(same, &["*"]).await.unwrap().revision, made.revision, "it is the same scope");
    let other = v1::ModelConfig { id: made.id, scope_id: "name:A%2FB 50%25/Search".to_owned(), ..config };
    assert_eq!(fields(&api.update_model_config(other, &["*"]).await.unwrap_err()), ["model_config.scope_id"]);
    let described = v1::VirtualKey { id: "name://k".to_owned(), description: "x".to_owned(), ..Default::default() };
    api.update_virtual_key(described, &["description"]).await.unwrap();
    api.delete_virtual_key("name://k").await.unwrap();
    let gone = api.delete_virtual_key("name://k").await.unwrap_err();
    assert_eq!(reason(&gone, Code::NotFound), "NOT_FOUND");

    // What is no path is told with the grammar, and one of nothing is as an id of nothing.
    let request = |id: &str| v1::GetCustomerRequest { id: id.to_owned(), ..Default::default() };
    let mut customers = CustomerServiceClient::new(api.0.clone());
    let malformed = customers.get_customer(request("name:a/b")).await.unwrap_err();
    assert_eq!(fields(&malformed), ["id"]);
    assert!(malformed.message().contains("name:<customer>"), "{}", malformed.message());
    assert_eq!(customers.get_customer(request("name:nobody")).await.unwrap_err().code(), Code::NotFound);
    let lost = api.create_team(team("x", "name:nobody")).await.unwrap_err();
    assert_eq!(reason(&lost, Code::FailedPrecondition), "REFERENCE_NOT_FOUND");
    let malformed = api.create_team(team("x", "name:%")).await.unwrap_err();
    assert_eq!(fields(&malformed), ["team.customer_id"]);
    drop((api, keys, customers));
    rig.stop().await;
}

#[tokio::test]
async fn a_store_with_names_that_clash_starts_and_goes_on() {
    let (mut rig, api) = Rig::started().await;
    let teams = [api.team("caf\u{e9}").await, api.team("other").await];
    drop(api);
    rig.stop().await;
    // As an earlier version left it, which compared names byte by byte.
    let database = sea_orm::Database::connect(rig.settings.database.url.as_str()).await.unwrap();
    let sql = format!("UPDATE team SET name = 'cafe\u{301}' WHERE id = '{}'", teams[1].id);
    database.execute_unprepared(&sql).await.unwrap();
    database.close().await.unwrap();

    rig.start().await;
    let api = rig.api().await;
    for team in &teams {
        api.label_team(&team.id, "still").await;
    }
    let taken = api.create_team(team("cafe\u{301}", "")).await.unwrap_err();
    assert_eq!(reason(&taken, Code::AlreadyExists), "ALREADY_EXISTS");
    let renamed = v1::Team { id: teams[1].id.clone(), name: "bistro".to_owned(), ..Default::default() };
    api.update_team(renamed.clone(), &["name"]).await.unwrap();
    let back = v1::Team { name: "cafe\u{301}".to_owned(), ..renamed };
    let taken = api.update_team(back, &["name"]).await.unwrap_err();
    assert_eq!(reason(&taken, Code::AlreadyExists), "ALREADY_EXISTS");
    drop(api);
    rig.stop().await;
}
