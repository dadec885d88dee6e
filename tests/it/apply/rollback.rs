//! Configuration as it was at an earlier revision.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tonic::Code;

use super::*;
use crate::contract::laws::{fields, reason};
use crate::usage::{batch, entry, register, report};
use crate::watch::api::{common, undated};
use crate::watch::rig::{Rig, node};
use crate::watch::writes::{Model, write};

fn back_to(revision: i64) -> v1::ApplyOptions {
    v1::ApplyOptions { rollback_to_revision: revision, ..Default::default() }
}

/// All of the configuration, without what tells when it was written.
async fn configuration(api: &Api) -> Vec<String> {
    let mut all = Vec::new();
    for resource in api.all().await {
        all.push(format!("{:?}", undated(&common(&resource))));
    }
    all.sort();
    all
}

#[tokio::test]
async fn a_rollback_to_any_revision_of_a_random_history_brings_its_configuration_back() {
    let (mut rig, api) = Rig::started().await;
    let mut watcher = node(&api, &[]).await;
    let mut rng = StdRng::seed_from_u64(23);
    let (mut head, mut model) = Model::of(&api).await;
    let mut history = vec![(head, configuration(&api).await)];
    while history.len() < 60 {
        if let Some((revision, after)) = write(&api, &mut rng, head, &model).await {
            (head, model) = (revision, after);
            history.push((head, configuration(&api).await));
        }
    }
    for _ in 0..12 {
        let (revision, wanted) = &history[rng.random_range(0..history.len())];
        let planned = v1::ApplyOptions { validate_only: true, ..back_to(*revision) };
        let planned = apply(&api, planned, Vec::new()).await.unwrap();
        let answer = apply(&api, back_to(*revision), Vec::new()).await.unwrap();
        assert_eq!(operations(&planned), operations(&answer));
        assert_eq!(&configuration(&api).await, wanted, "revision {revision}");
        let again = apply(&api, back_to(*revision), Vec::new()).await.unwrap();
        assert_eq!((again.revision, again.outcomes.len()), (answer.revision, 0), "it takes no revision twice");
        watcher.until_proved(answer.revision).await;
    }
    drop((api, watcher));
    rig.stop().await;
}

#[tokio::test]
async fn what_comes_back_has_its_secret_and_counts_anew_while_what_stayed_goes_on_counting() {
    let (mut rig, api) = Rig::started().await;
    let stays = api.create_virtual_key(key("stays", "", "")).await.unwrap();
    let goes = api.create_virtual_key(key("goes", "", "")).await.unwrap();
    let incarnation = register(&api).await;
    let entries = [&stays, &goes].map(|key| entry(&key.id, 7)).into();
    report(&api, vec![batch(incarnation, 1, entries)]).await;
    let used = |key: &v1::VirtualKey| key.budgets[0].current_usage_nano_usd;
    let read = async |id: &str| {
        let mut keys = v1::virtual_key_service_client::VirtualKeyServiceClient::new(api.0.clone());
        let request = v1::GetVirtualKeyRequest { id: id.to_owned(), ..Default::default() };
        keys.get_virtual_key(request).await.unwrap().into_inner().virtual_key.unwrap()
    };
    let counted = used(&read(&stays.id).await);
    assert!(counted > 0 && used(&read(&goes.id).await) == counted);

    api.delete_virtual_key(&goes.id).await.unwrap();
    let answer = apply(&api, back_to(goes.revision), Vec::new()).await.unwrap();
    assert_eq!(ids(&answer), std::slice::from_ref(&goes.id));
    let [stayed, came] = [read(&stays.id).await, read(&goes.id).await];
    assert_eq!((used(&stayed), used(&came)), (counted, 0));
    assert_eq!(
        (&came.budgets[0].id, &came.provider_configs[0].id),
        (&goes.budgets[0].id, &goes.provider_configs[0].id)
    );
    let looked =
        v1::LookupVirtualKeyRequest { key: Some(v1::lookup_virtual_key_request::Key::Value(goes.value.clone())) };
    let mut keys = v1::virtual_key_service_client::VirtualKeyServiceClient::new(api.0.clone());
    let found = keys.lookup_virtual_key(looked).await.unwrap().into_inner().virtual_key.unwrap();
    assert_eq!(found.id, goes.id);
    drop((keys, api));
    rig.stop().await;
}

#[tokio::test]
async fn a_rollback_is_of_what_is_named_and_of_what_the_log_still_has() {
    let (mut rig, api) = Rig::started().await;
    let made = api.create_customer(customer("Acme")).await.unwrap();
    let team = api.team("a").await;
    let changed = v1::Customer { id: made.id.clone(), name: "Other".to_owned(), ..Default::default() };
    api.update_customer(changed, &["name"]).await.unwrap();
    let head = api.label_team(&team.id, "x").await;

    let kind = v1::ResourceKind::Customer.into();
    let only = vec![v1::ResourceKey { kind, id: String::new() }];
    let options = v1::ApplyOptions { rollback_keys: only, ..back_to(team.revision) };
    let answer = apply(&api, options, Vec::new()).await.unwrap();
    assert_eq!((answer.revision, ids(&answer)), (head + 1, vec![made.id.clone()]));
    // Its name is another's by now.
    api.create_customer(customer("Other")).await.unwrap();
    let options =
        v1::ApplyOptions { rollback_keys: vec![v1::ResourceKey { kind, id: "name:Acme".to_owned() }], ..back_to(head) };
    let taken = apply(&api, options, Vec::new()).await.unwrap_err();
    assert_eq!(reason(&taken, Code::AlreadyExists), "ALREADY_EXISTS");

    let future = apply(&api, back_to(1_000), Vec::new()).await.unwrap_err();
    assert_eq!(fields(&future), ["options.rollback_to_revision"]);
    let both = apply(&api, back_to(1), vec![upsert(Resource::Customer(customer("x")))]).await.unwrap_err();
    assert_eq!(fields(&both), ["options.rollback_to_revision"]);
    drop(api);
    rig.stop().await;
}
