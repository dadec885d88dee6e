//! Dimensions of spend, as gateways tell them to a node.

use serde_json::{Value, json};
use tollgate_node::proto::node::v1 as local;
use tollgate_node::proto::node::v1::gate_service_client::GateServiceClient;

use super::admit::{COST, World};
use super::running::Running;
use super::serve::settlement;

fn with(mut body: Value, dimensions: &Value) -> Value {
    body.as_object_mut().unwrap().extend(dimensions.as_object().unwrap().clone());
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dimensions_are_taken_by_json_and_grpc_and_refused_where_they_cannot_be_recorded() {
    let world = World::new().await;
    let mut node = Running::start(&world, &[]).await;
    let dimensions = json!({ "end_user": "ada", "session": "s-1", "tool": "search", "tags": ["b", "a", "b"] });
    let (status, answer) = node.post("/v1/admit", &with(world.asked(COST), &dimensions)).await;
    assert_eq!(status, 200, "{answer}");
    let id = answer["admitted"]["admissionId"].clone();
    let long = "x".repeat(129);
    let many: Vec<_> = (0..17).map(|number| number.to_string()).collect();
    for (wrong, says) in [
        (json!({ "end_user": long }), "end_user: has 129 bytes; must have at most 128"),
        (json!({ "session": "a\u{7}" }), "session: has control characters; must be printable"),
        (json!({ "tool": long }), "tool: has 129 bytes; must have at most 128"),
        (json!({ "tags": ["a", ""] }), "tags[1]: is empty; name the tag or leave it out"),
        (json!({ "tags": many }), "tags: has 17 tags; must have at most 16"),
    ] {
        for (path, body) in [("/v1/admit", world.asked(COST)), ("/v1/settle", settlement(&id, 1))] {
            let (status, answer) = node.post(path, &with(body, &wrong)).await;
            assert_eq!((status, &answer["code"]), (400, &json!("invalid_argument")), "{path} {answer}");
            assert_eq!(answer["message"], json!(says), "{path}");
        }
    }
    // What is open keeps its dimensions when the node is killed; the next one charges it, and the control plane takes it.
    node.kill();
    let node = Running::start(&world, &[]).await;
    let mut gate = GateServiceClient::new(node.channel().await);
    let admitted = gate.admit(local::AdmitRequest {
        credential: Some(local::admit_request::Credential::VirtualKeyId(world.key.id.clone())),
        model: "gpt-4o".to_owned(),
        estimate: Some(local::Estimate { cost_nano_usd: Some(COST), ..Default::default() }),
        end_user: "eve".to_owned(),
        ..Default::default()
    });
    let Some(local::admit_response::Outcome::Admitted(admission)) = admitted.await.unwrap().into_inner().outcome else {
        panic!("it is refused")
    };
    let used = local::SettleRequest {
        admission_id: admission.admission_id,
        cost_nano_usd: Some(COST),
        tags: vec!["late".to_owned()],
        ..Default::default()
    };
    gate.settle(used).await.unwrap();
    world.until_counted(2 * COST).await;
    assert_eq!(node.status().await["requests"]["joinedDimensions"], Value::Null);
    world.end().await;
}
