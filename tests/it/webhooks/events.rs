//! Events: who hears of which, and how they are told.

use super::receiver::{Answer, Receiver};
use super::*;
use crate::usage::{batch, entry, register, report};

#[tokio::test]
async fn a_crossed_threshold_is_told_to_whom_it_concerns() {
    let (mut rig, api) = started().await;
    let (team, key) = spenders(&api).await;
    let customer = v1::Customer { name: "acme <&>".to_owned(), ..Default::default() };
    let customer = api.create_customer(customer).await.unwrap();
    let owned = v1::Team { id: team.id.clone(), customer_id: customer.id.clone(), ..Default::default() };
    api.update_team(owned, &["customer_id"]).await.unwrap();
    let renamed = v1::Team { id: team.id.clone(), name: "a <b> & c".to_owned(), ..Default::default() };
    api.update_team(renamed, &["name"]).await.unwrap();
    let another = api.team("another").await;

    let crossed = [WebhookEvent::ThresholdCrossed];
    let mut made = Vec::new();
    for (name, hears, change) in [
        ("all", true, v1::Webhook::default()),
        ("customer", true, v1::Webhook { customer_id: customer.id.clone(), ..Default::default() }),
        ("team", true, v1::Webhook { team_id: team.id.clone(), format: 2, ..Default::default() }),
        ("key", false, v1::Webhook { virtual_key_id: key.id.clone(), ..Default::default() }),
        ("another", false, v1::Webhook { team_id: another.id.clone(), ..Default::default() }),
        ("inactive", false, v1::Webhook { is_active: Some(false), ..Default::default() }),
    ] {
        let receiver = Receiver::start(&[Answer::Status(200)]).await;
        let v1::Webhook { name, url, events, .. } = webhook(name, &receiver.url(), &crossed);
        let webhook = create(&api.0, v1::Webhook { name, url, events, ..change }).await;
        made.push((hears, receiver, webhook));
    }
    let incarnation = register(&api).await;
    report(&api, vec![batch(incarnation, 1, vec![entry(&key.id, 850_000_000)])]).await;
    for (_, receiver, webhook) in made.iter_mut().filter(|(hears, ..)| *hears) {
        let received = receiver.next().await;
        let body = received.json();
        if webhook.format() == v1::WebhookFormat::Slack {
            let text = "tollgate: The budget of team \"a &lt;b&gt; &amp; c\" reached 80 %: $0.85 of $1.00.";
            assert_eq!(body, serde_json::json!({ "text": text }));
        } else {
            assert_eq!(body["type"], "threshold.crossed");
            let data = &body["data"];
            let owner = serde_json::json!({ "kind": "team", "id": team.id, "name": "a <b> & c" });
            assert_eq!((&data["owner"], &data["percent"]), (&owner, &80.into()));
            assert_eq!((&data["limit_id"], &data["unit"]), (&team.budgets[0].id.clone().into(), &"nano_usd".into()));
            assert_eq!((&data["used"], &data["max"]), (&850_000_000.into(), &1_000_000_000.into()));
            assert!(body["timestamp"].as_str().unwrap().ends_with('Z'));
        }
        delivery(&api.0, received.id(), is_delivered).await;
    }
    for (hears, receiver, webhook) in &mut made {
        assert_eq!(deliveries(&api.0, &webhook.id).await.len(), usize::from(*hears), "{}", webhook.name);
        assert!(receiver.rest().is_empty(), "{}", webhook.name);
    }
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn an_owner_is_one_that_exists_and_may_go_later() {
    let (mut rig, api) = Rig::started().await;
    let mut client = WebhookServiceClient::new(api.0.clone());
    let team = api.team("team").await;
    let of = |team_id: &str, customer_id: &str| v1::CreateWebhookRequest {
        webhook: Some(v1::Webhook {
            team_id: team_id.to_owned(),
            customer_id: customer_id.to_owned(),
            ..webhook("ops", "https://alerts.invalid", &[WebhookEvent::KeyExpiring])
        }),
        ..Default::default()
    };
    let missing = client.create_webhook(of("nobody", "")).await.unwrap_err();
    assert_eq!(missing.code(), tonic::Code::FailedPrecondition);
    let two = client.create_webhook(of(&team.id, &team.id)).await.unwrap_err();
    assert!(two.message().contains("webhook.team_id: is set beside customer_id"), "{}", two.message());
    let made = client.create_webhook(of(&team.id, "")).await.unwrap().into_inner().webhook.unwrap();
    api.delete_team(&team.id).await.unwrap();
    let renamed = v1::Webhook { name: "ops 2".to_owned(), ..made.clone() };
    let request = v1::UpdateWebhookRequest {
        webhook: Some(v1::Webhook { revision: 0, ..renamed }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["*".to_owned()] }),
        ..Default::default()
    };
    let renamed = client.update_webhook(request).await.unwrap().into_inner().webhook.unwrap();
    assert_eq!((renamed.name.as_str(), renamed.team_id), ("ops 2", team.id));
    drop((api, client));
    rig.stop().await;
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_webhook_is_said_at_once() {
    let (mut rig, api) = Rig::started().await;
    let wrong = v1::Webhook {
        url: "https://user:password@alerts.invalid/".to_owned(),
        secret: "whsec_short".to_owned(),
        events: vec![1, 1, 5, 99],
        format: 7,
        ..Default::default()
    };
    let request = v1::CreateWebhookRequest { webhook: Some(wrong), ..Default::default() };
    let refused = WebhookServiceClient::new(api.0.clone()).create_webhook(request).await.unwrap_err();
    let mut fields = crate::contract::laws::fields(&refused);
    fields.sort();
    let expected = ["events[1]", "events[2]", "events[3]", "format", "name", "secret", "url"];
    assert_eq!(fields, expected.map(|field| format!("webhook.{field}")));
    assert!(!refused.message().contains("password@"), "{}", refused.message());
    drop(api);
    rig.stop().await;
}
