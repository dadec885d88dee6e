//! Many prices at once.

use tollgate::proto::v1::ResourceKind;
use tollgate::proto::v1::model_price_service_client::ModelPriceServiceClient;
use tonic_types::StatusExt as _;

use super::*;
use crate::watch::rig::node;

async fn upsert(
    api: &Api,
    request: v1::BatchUpsertModelPricesRequest,
) -> Result<v1::BatchUpsertModelPricesResponse, Status> {
    let answer = ModelPriceServiceClient::new(api.0.clone()).batch_upsert_model_prices(request).await;
    answer.map(tonic::Response::into_inner)
}

fn batch(model_prices: Vec<v1::ModelPrice>) -> v1::BatchUpsertModelPricesRequest {
    v1::BatchUpsertModelPricesRequest { model_prices, ..Default::default() }
}

/// What was created, updated, deleted and left as it was.
fn counts(answer: &v1::BatchUpsertModelPricesResponse) -> [i32; 4] {
    [answer.created_count, answer.updated_count, answer.deleted_count, answer.unchanged_count]
}

fn from(source: &str, price: v1::ModelPrice) -> v1::ModelPrice {
    v1::ModelPrice { source: source.to_owned(), ..price }
}

/// The models that have prices, each with the rate of its input.
async fn stored(api: &Api) -> Vec<(String, f64)> {
    let mut prices = ModelPriceServiceClient::new(api.0.clone());
    let listed = prices.list_model_prices(v1::ListModelPricesRequest::default()).await.unwrap().into_inner();
    let rate = |price: &v1::ModelPrice| price.rates.and_then(|rates| rates.input_cost_per_token).unwrap();
    let mut all: Vec<_> = listed.model_prices.iter().map(|price| (price.model.clone(), rate(price))).collect();
    all.sort_by(|one, other| one.partial_cmp(other).unwrap());
    all
}

fn models(expected: &[(&str, f64)]) -> Vec<(String, f64)> {
    expected.iter().map(|(model, rate)| ((*model).to_owned(), *rate)).collect()
}

#[tokio::test]
async fn a_batch_is_one_revision_and_a_repeated_one_is_none() {
    let (mut rig, api) = Rig::started().await;
    let old = create(&api, price("openai", "openai/a", 1.0)).await.unwrap();
    let mut watcher = node(&api, &[ResourceKind::ModelPrice]).await;
    watcher.until_proved(old.revision).await;

    let mut request = batch(vec![price("openai", "a", 2.0), price("openai", "b", 1.0), price("azure", "a", 1.0)]);
    let made = upsert(&api, request.clone()).await.unwrap();
    assert_eq!((counts(&made), made.revision), ([2, 1, 0, 0], old.revision + 1));
    assert_eq!(stored(&api).await, models(&[("a", 1.0), ("a", 2.0), ("b", 1.0)]));
    let key = v1::ResourceKey { kind: ResourceKind::ModelPrice.into(), id: old.id.clone() };
    let updated = api.get(&key).await.unwrap().resource;
    let Some(v1::config_resource::Resource::ModelPrice(updated)) = updated else { panic!("{updated:?}") };
    assert_eq!((updated.model.as_str(), updated.created_at), ("a", old.created_at));
    watcher.until_proved(made.revision).await;
    assert_eq!(watcher.reducer.state().len(), 3);

    let again = upsert(&api, request.clone()).await.unwrap();
    assert_eq!((counts(&again), again.revision), ([0, 0, 0, 3], made.revision));
    request.model_prices[1] = price("openai", "b", 3.0);
    let next = upsert(&api, request).await.unwrap();
    assert_eq!((counts(&next), next.revision), ([0, 1, 0, 2], made.revision + 1));
    watcher.until_proved(next.revision).await;
    watcher.close();
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn a_batch_prunes_what_is_from_its_source_and_no_other() {
    let (mut rig, api) = Rig::started().await;
    let later = v1::ModelPrice { valid_from: at(1_000), ..from("list", price("openai", "a", 5.0)) };
    for price in [
        from("list", price("openai", "a", 1.0)),
        from("list", price("openai", "gone", 1.0)),
        later,
        from("me", price("openai", "mine", 1.0)),
        price("openai", "nobody's", 1.0),
    ] {
        create(&api, price).await.unwrap();
    }
    let request = v1::BatchUpsertModelPricesRequest {
        prune_source: "list".to_owned(),
        ..batch(vec![from("list", price("openai", "openai/a", 1.0)), from("list", price("openai", "b", 1.0))])
    };
    let made = upsert(&api, request).await.unwrap();
    assert_eq!(counts(&made), [1, 1, 2, 0]);
    assert_eq!(stored(&api).await, models(&[("b", 1.0), ("mine", 1.0), ("nobody's", 1.0), ("openai/a", 1.0)]));
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn a_batch_with_a_fault_changes_nothing_and_names_every_fault() {
    let (mut rig, api) = Rig::started().await;
    let refused = upsert(&api, batch(Vec::new())).await.unwrap_err();
    assert_eq!((refused.code(), fields(&refused)), (Code::InvalidArgument, vec!["model_prices".to_owned()]));
    let many = (0..10_001).map(|number| price("openai", &number.to_string(), 1.0)).collect();
    assert_eq!(upsert(&api, batch(many)).await.unwrap_err().code(), Code::InvalidArgument);

    let wrong = vec![
        price("openai", "a", 1.0),
        price("openai", "gpt-*", 1.0),
        price("openai", "openai/a", 2.0),
        v1::ModelPrice { valid_from: at(1), ..price("openai", "a", 1.0) },
        price("openai", "b", -1.0),
    ];
    let refused = upsert(&api, batch(wrong)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let expected = ["model_prices[1].model", "model_prices[2]", "model_prices[4].rates.input_cost_per_token"];
    assert_eq!(fields(&refused), expected);

    let nowhere = vec![price("nobody", "a", 1.0), price("openai", "a", 1.0), price("none", "a", 1.0)];
    let refused = upsert(&api, batch(nowhere)).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let missing = refused.get_details_precondition_failure().unwrap().violations;
    let subjects: Vec<_> = missing.iter().map(|violation| violation.subject.as_str()).collect();
    assert_eq!(subjects, ["model_prices[0].provider/nobody", "model_prices[2].provider/none"]);
    assert_eq!(stored(&api).await, []);
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn a_batch_is_tried_without_a_change_and_repeated_without_a_second() {
    let (mut rig, api) = Rig::started().await;
    let request = batch(vec![price("openai", "a", 1.0), price("openai", "b", 1.0)]);
    let tried = v1::BatchUpsertModelPricesRequest { validate_only: true, ..request.clone() };
    let tried = upsert(&api, tried).await.unwrap();
    assert_eq!((counts(&tried), stored(&api).await.len()), ([2, 0, 0, 0], 0));

    let request = v1::BatchUpsertModelPricesRequest { request_id: uuid::Uuid::from_u128(7).to_string(), ..request };
    let made = upsert(&api, request.clone()).await.unwrap();
    assert_eq!(upsert(&api, request.clone()).await.unwrap(), made, "the first answer");
    let other = v1::BatchUpsertModelPricesRequest { prune_source: "x".to_owned(), ..request };
    assert_eq!(upsert(&api, other).await.unwrap_err().code(), Code::InvalidArgument);
    drop(api);
    rig.stop().await;
}
