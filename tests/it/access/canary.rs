//! Secrets are planted wherever a caller can put one, and looked for wherever somebody else could find it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::Message;
use tollgate::proto::v1;
use tollgate::proto::v1::config_service_client::ConfigServiceClient;
use tollgate::proto::v1::decision_service_client::DecisionServiceClient;
use tollgate::proto::v1::explain_request::Key;
use tollgate::proto::v1::lookup_virtual_key_request::Key as Wanted;
use tollgate::proto::v1::token_service_client::TokenServiceClient;
use tollgate::proto::v1::virtual_key_service_client::VirtualKeyServiceClient;
use tonic::{Request, Response, Status};

use super::support::{Process, ROOT, caller, make, token};
use crate::engine::on_postgres;
use crate::metrics::get;
use crate::watch::rig::{endpoint, soon};

/// What somebody who may not have the secrets gets to see.
#[derive(Default)]
struct Seen(Vec<(String, Vec<u8>)>);

impl Seen {
    fn answer<M: Message + Default>(&mut self, what: &str, answer: Result<Response<M>, Status>) -> M {
        match answer {
            Ok(answer) => {
                let message = answer.into_inner();
                self.0.push((what.to_owned(), message.encode_to_vec()));
                message
            }
            Err(status) => {
                let metadata = format!("{:?}", status.metadata()).into_bytes();
                let message = status.message().as_bytes().to_vec();
                self.0.push((format!("{what}: the error"), [&message, &metadata, status.details()].concat()));
                M::default()
            }
        }
    }
}

#[tokio::test]
async fn no_secret_is_found_anywhere_but_in_the_answer_that_made_it() {
    let flags = ["--heartbeat-interval", "50ms", "--metrics-listen", "127.0.0.1:0"];
    let server = Process::start(&flags, &[("TOLLGATE_BOOTSTRAP_TOKEN", ROOT)]).await;
    let channel = soon(endpoint(server.address).connect()).await.unwrap();
    let mut seen = Seen::default();
    let mut secrets = vec![ROOT.to_owned()];

    let viewer = make(&channel, token("viewer", v1::Role::Viewer)).await.unwrap();
    secrets.push(viewer.value.clone());
    let mut keys = VirtualKeyServiceClient::new(caller(&channel, ROOT));
    let chosen = "sk-canary-chosen-by-the-caller-0123456789";
    let key = |name: &str, value: &str| v1::CreateVirtualKeyRequest {
        virtual_key: Some(v1::VirtualKey { name: name.to_owned(), value: value.to_owned(), ..Default::default() }),
        request_id: uuid::Uuid::now_v7().to_string(),
        validate_only: false,
    };
    let request = key("made", "");
    let made = keys.create_virtual_key(request.clone()).await.unwrap().into_inner().virtual_key.unwrap();
    secrets.push(made.value.clone());
    secrets.push(chosen.to_owned());
    seen.answer("an imported key", keys.create_virtual_key(key("chosen", chosen)).await);
    seen.answer("a repeated create", keys.create_virtual_key(request).await);
    seen.answer("a taken value", keys.create_virtual_key(key("again", chosen)).await);
    let rotate = v1::RotateVirtualKeyRequest { id: made.id.clone(), ..Default::default() };
    let rotated = keys.rotate_virtual_key(rotate).await.unwrap().into_inner().virtual_key.unwrap();
    secrets.push(rotated.value.clone());

    // Secrets in the wrong place, and wrong ones: they may be right elsewhere.
    let mut plant = |text: &str| {
        secrets.push(text.to_owned());
        text.to_owned()
    };
    let malformed = plant("sk-canary-with-a-bell-\u{7}-0123456789abcdef");
    seen.answer("a malformed value", keys.create_virtual_key(key("malformed", &malformed)).await);
    let short = plant("sk-canary-short");
    seen.answer("a short value", keys.create_virtual_key(key("short", &short)).await);
    let wanted = plant("sk-canary-looked-up-in-vain-0123456789");
    let lookup = v1::LookupVirtualKeyRequest { key: Some(Wanted::Value(wanted)) };
    seen.answer("a look-up in vain", keys.lookup_virtual_key(lookup).await);
    let lookup = v1::LookupVirtualKeyRequest { key: Some(Wanted::Value(chosen.to_owned())) };
    seen.answer("a look-up", keys.lookup_virtual_key(lookup).await);
    let guess = plant("sk-canary-quota-of-nobody-0123456789");
    for (header, value) in [("x-tg-vk", guess.clone()), ("authorization", format!("Bearer {guess}"))] {
        let mut request = Request::new(v1::GetVirtualKeyQuotaRequest {});
        request.metadata_mut().insert(header, value.parse().unwrap());
        seen.answer("a quota", VirtualKeyServiceClient::new(channel.clone()).get_virtual_key_quota(request).await);
    }
    let mut request = Request::new(v1::GetVirtualKeyQuotaRequest {});
    request.metadata_mut().insert("x-tg-vk", chosen.parse().unwrap());
    seen.answer("a quota", VirtualKeyServiceClient::new(channel.clone()).get_virtual_key_quota(request).await);
    let guess = plant("tg_canary_of_nobody_0123456789abcdefghijk");
    let mut stranger = TokenServiceClient::new(caller(&channel, &guess));
    seen.answer("a bad token", stranger.list_tokens(v1::ListTokensRequest::default()).await);
    let id = plant("tg_canary_as_an_id_0123456789abcdefghijkl");
    let mut tokens = TokenServiceClient::new(caller(&channel, ROOT));
    let revoke = tokens.revoke_token(v1::RevokeTokenRequest { id, ..Default::default() }).await;
    // What a client sends as an id is shown to that client, and to nobody else.
    assert_eq!(revoke.unwrap_err().code(), tonic::Code::NotFound);
    let explained = plant("sk-canary-explained-0123456789abcdef");
    for value in [explained, chosen.to_owned()] {
        let key = Some(Key::VirtualKeyValue(value));
        let request = v1::ExplainRequest { key, model: "gpt-4o".to_owned(), ..Default::default() };
        seen.answer("an explanation", DecisionServiceClient::new(caller(&channel, ROOT)).explain(request).await);
    }

    // What a viewer and a node read.
    let viewer = || caller(&channel, &viewer.value);
    let mut reader = VirtualKeyServiceClient::new(viewer());
    for from_memory in [false, true] {
        let full = v1::ResourceView::Full.into();
        let request = v1::ListVirtualKeysRequest { from_memory, view: full, ..Default::default() };
        let listed = seen.answer("a list of keys", reader.list_virtual_keys(request).await);
        assert_eq!(listed.virtual_keys.len(), 2);
    }
    let changes = ConfigServiceClient::new(viewer()).list_changes(v1::ListChangesRequest::default()).await;
    let changes = seen.answer("the changes", changes).changes;
    assert!(changes.iter().filter(|change| change.id == made.id).count() >= 2);
    let hash = tollgate::domain::Sha256Hash::of(chosen).0;
    let changes = changes.iter().flat_map(Message::encode_to_vec).collect::<Vec<u8>>();
    assert!(!holds(&changes, &hash), "ListChanges has hashes");
    seen.answer("the tokens", TokenServiceClient::new(viewer()).list_tokens(v1::ListTokensRequest::default()).await);
    let mut node = ConfigServiceClient::new(caller(&channel, ROOT));
    let mut stream = node.watch_config(v1::WatchConfigRequest::default()).await.unwrap().into_inner();
    loop {
        let message = soon(stream.message()).await.unwrap().unwrap();
        seen.0.push(("the stream".to_owned(), message.encode_to_vec()));
        if matches!(message.event, Some(v1::watch_config_response::Event::Bookmark(_))) {
            break;
        }
    }

    let metrics = soon(get(server.metrics_address().await, "/metrics")).await.1;
    assert!(metrics.contains("LookupVirtualKey"), "{metrics}");
    seen.0.push(("the metrics".to_owned(), metrics.into_bytes()));

    let exported = server.run(&["export", "--database", server.database()], &[]).unwrap();
    assert!(exported.contains("\"valueSha256\"") && exported.contains("\"request\""), "{exported}");
    seen.0.push(("an export".to_owned(), exported.into_bytes()));

    let files = server.kill();
    let log = files.iter().find(|(name, _)| name.ends_with("/log")).unwrap();
    assert!(holds(&log.1, b"\"level\":\"TRACE\""), "the log is the most verbose one");
    let database = if on_postgres() { "the database" } else { "/t.db" };
    let mut database = files.iter().filter(|(name, _)| name.contains(database));
    let digits = hex::encode(hash);
    let is_there = database.any(|(_, bytes)| holds(bytes, &hash) || holds(bytes, digits.as_bytes()));
    assert!(is_there, "secrets are looked for where not even hashes are");
    seen.0.extend(files);
    for secret in &secrets {
        // Not even the greater part of it: masks show the ends.
        let core = &secret[secret.len() / 4..secret.len() - secret.len() / 5];
        let encoded = STANDARD.encode(secret);
        for (place, bytes) in &seen.0 {
            assert!(!holds(bytes, core.as_bytes()), "{secret} is in {place}");
            assert!(!holds(bytes, encoded.trim_end_matches('=').as_bytes()), "{secret} is in {place}, as base64");
            assert!(!holds(bytes, hex::encode(core).as_bytes()), "{secret} is in {place}, as hexadecimal digits");
        }
    }
}

fn holds(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}
