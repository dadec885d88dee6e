//! The prices with which a store begins.

use std::sync::Arc;

use tollgate::proto::v1::config_service_client::ConfigServiceClient;
use tollgate::proto::v1::model_price_service_client::ModelPriceServiceClient;

use super::commands::program;
use super::*;
use crate::engine::{Database, on_postgres};

impl Rig {
    /// A server that gives a new store the default prices, and is not started yet.
    fn with_default_prices(database: Arc<Database>) -> Self {
        let mut rig = Self::on(database);
        rig.settings.database.default_prices = true;
        rig
    }
}

async fn prices(api: &Api) -> Vec<v1::ModelPrice> {
    let request = v1::ListModelPricesRequest { page_size: 1_000, ..Default::default() };
    ModelPriceServiceClient::new(api.0.clone()).list_model_prices(request).await.unwrap().into_inner().model_prices
}

async fn changes(api: &Api) -> Vec<v1::Change> {
    let request = v1::ListChangesRequest { page_size: 1_000, ..Default::default() };
    ConfigServiceClient::new(api.0.clone()).list_changes(request).await.unwrap().into_inner().changes
}

#[tokio::test]
async fn a_new_store_begins_with_prices_and_none_comes_later() {
    let mut rig = Rig::with_default_prices(Arc::new(Database::new()));
    rig.start().await;
    let api = rig.api().await;
    let first = prices(&api).await;
    assert!(first.len() >= 60 && first.iter().all(|price| price.source.starts_with("default table of 20")));
    let told = changes(&api).await;
    assert!(told.iter().all(|it| (it.revision, it.actor.as_str(), it.method.as_str()) == (1, "tollgate", "bootstrap")));
    assert_eq!(told.iter().filter(|it| it.kind() == v1::ResourceKind::ModelPrice).count(), first.len());

    // What is asked for a request is known without anybody having said it.
    let request = v1::ResolvePriceRequest {
        provider: "openai".to_owned(),
        model: "gpt-4o".to_owned(),
        request_type: "chat_completion".to_owned(),
        ..Default::default()
    };
    let resolved = DecisionServiceClient::new(api.0.clone()).resolve_price(request).await.unwrap().into_inner();
    assert_eq!(resolved.rates.unwrap().input_cost_per_token, Some(2.5e-6));

    // One that somebody deleted stays away.
    api.delete_model_price(&first[0].id).await.unwrap();
    drop(api);
    let api = rig.restart().await;
    let kept = prices(&api).await;
    assert_eq!(kept.len(), first.len() - 1);
    assert!(kept.iter().all(|price| price.id != first[0].id));
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn a_store_that_began_without_prices_gets_them_by_a_command_alone() {
    let (mut rig, api) = Rig::started().await;
    assert_eq!(prices(&api).await, []);
    drop(api);
    rig.settings.database.default_prices = true;
    let api = rig.restart().await;
    assert_eq!(prices(&api).await, []);

    create(&api, price("openai", "gpt-4o", 7.0)).await.unwrap();
    let (done, shown, said) = program(&rig, &["import", "--default"]).await;
    assert!(done && shown.contains("updated 0, deleted 0, unchanged 0; revision 3"), "{shown}");
    assert_eq!(said.trim(), "left out: has a price from another source, which --replace would replace: openai/gpt-4o");
    let (_, shown, _) = program(&rig, &["import", "--default"]).await;
    assert!(
        shown.starts_with("created 0, updated 0, deleted 0, unchanged ") && shown.contains("revision 3"),
        "{shown}"
    );
    let (done, _, said) = program(&rig, &["diff"]).await;
    assert!(!done && said.contains("name either a FILE or --default"), "{said}");
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn servers_that_start_at_once_on_a_new_database_load_the_table_once() {
    if !on_postgres() {
        return;
    }
    let database = Arc::new(Database::new());
    let mut rigs = [(); 2].map(|()| Rig::with_default_prices(Arc::clone(&database)));
    for rig in &mut rigs {
        rig.start().await;
    }
    let [left, right] = [rigs[0].api().await, rigs[1].api().await];
    let told = changes(&left).await;
    assert!(told.iter().all(|change| change.revision == 1));
    assert_eq!(prices(&left).await, prices(&right).await);
    drop((left, right));
    for mut rig in rigs {
        rig.stop().await;
    }
}
