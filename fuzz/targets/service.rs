//! Targets of the service.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::{Buf as _, BufMut as _, Bytes};
use http::uri::PathAndQuery;
use prost::Message as _;
use prost_reflect::{DescriptorPool, MethodDescriptor};
use tollgate::proto::{FILE_DESCRIPTOR_SET, v1};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataValue;
use tonic::{Code, Request, Status};

use super::Rig;

/// Every method, in the order of the descriptors.
pub(super) static METHODS: LazyLock<Vec<MethodDescriptor>> = LazyLock::new(|| {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    // A token that was made would turn authentication on, and end the fuzzing.
    let methods = pool.services().filter(|service| service.name() != "TokenService");
    methods.flat_map(|service| service.methods().collect::<Vec<_>>()).collect()
});

/// Bytes of a message to any method: two bytes choose the method. What changes something is asked to validate only,
/// where the bytes leave room for that, so that the store does not fill up.
pub(crate) async fn request(rig: &Rig, input: &[u8]) {
    let Some((choice, message)) = input.split_first_chunk::<2>() else { return };
    let method = &METHODS[usize::from(u16::from_le_bytes(*choice)) % METHODS.len()];
    let mut message = message.to_vec();
    if let Some(field) = method.input().get_field_by_name("validate_only") {
        prost::encoding::bool::encode(field.number(), &true, &mut message);
    }
    let answer = call(rig, &path(method.parent_service().full_name(), method.name()), message, &[]).await;
    sound(answer, method.name());
}

/// The paths of a mask, separated by commas.
pub(crate) async fn mask(rig: &Rig, input: &[u8]) {
    let Ok(paths) = std::str::from_utf8(input) else { return };
    let paths: Vec<String> = paths.split(',').map(ToOwned::to_owned).collect();
    let team = v1::Team { id: rig.team_id.clone(), name: "one".to_owned(), ..Default::default() };
    let update_mask = Some(prost_types::FieldMask { paths: paths.clone() });
    let request = v1::UpdateTeamRequest { team: Some(team), update_mask, validate_only: true, ..Default::default() };
    let path = path("tollgate.v1.TeamService", "UpdateTeam");
    sound(call(rig, &path, request.encode_to_vec(), &[]).await, &format!("{paths:?}"));
}

/// A page token: the input as it is, and a real one that the input has changed, with its checksum made right.
pub(crate) async fn page_token(rig: &Rig, input: &[u8]) {
    for token in [String::from_utf8_lossy(input).into_owned(), tampered(&rig.page_token, input)] {
        for from_memory in [true, false] {
            let request =
                v1::ListTeamsRequest { page_size: 1, page_token: token.clone(), from_memory, ..Default::default() };
            let path = path("tollgate.v1.TeamService", "ListTeams");
            sound(call(rig, &path, request.encode_to_vec(), &[]).await, &token);
        }
    }
}

/// A resume token, in the same two ways.
pub(crate) async fn resume_token(rig: &Rig, input: &[u8]) {
    for token in [String::from_utf8_lossy(input).into_owned(), tampered(&rig.resume_token, input)] {
        let request = v1::WatchConfigRequest { resume_token: token.clone(), ..Default::default() };
        let path = path("tollgate.v1.ConfigService", "WatchConfig");
        sound(call(rig, &path, request.encode_to_vec(), &[]).await, &token);
    }
}

/// Credentials, in each of the places where they are looked for. The first byte chooses the place.
pub(crate) async fn credentials(rig: &Rig, input: &[u8]) {
    const PLACES: [(&str, &str); 7] = [
        ("authorization", ""),
        ("authorization", "Bearer "),
        ("authorization", "Bearer tg_"),
        ("authorization", "Bearer sk-"),
        ("x-tg-vk", ""),
        ("x-bf-vk", "sk-"),
        ("x-api-key", ""),
    ];
    let Some((place, value)) = input.split_first() else { return };
    let (name, prefix) = PLACES[usize::from(*place) % PLACES.len()];
    let Ok(value) = MetadataValue::try_from([prefix.as_bytes(), value].concat().as_slice()) else { return };
    let request = v1::GetVirtualKeyQuotaRequest::default().encode_to_vec();
    let path = path("tollgate.v1.VirtualKeyService", "GetVirtualKeyQuota");
    let answer = call(rig, &path, request, &[(name, value)]).await;
    let refused = answer.as_ref().err().map(Status::code);
    assert!(refused.is_some_and(|code| code != Code::Ok), "a made-up key was taken: {input:?}");
    sound(answer, name);
}

fn path(service: &str, method: &str) -> PathAndQuery {
    format!("/{service}/{method}").parse().unwrap()
}

/// Sends bytes, and gives the first message of the answer.
async fn call(
    rig: &Rig,
    path: &PathAndQuery,
    message: Vec<u8>,
    fields: &[(&'static str, MetadataValue<tonic::metadata::Ascii>)],
) -> Result<Option<Bytes>, Status> {
    let mut grpc = tonic::client::Grpc::new(rig.channel.clone());
    grpc.ready().await.map_err(|error| Status::unknown(error.to_string()))?;
    let mut request = Request::new(tokio_stream::once(Bytes::from(message)));
    for (name, value) in fields {
        request.metadata_mut().insert(*name, value.clone());
    }
    grpc.streaming(request, path.clone(), Raw).await?.into_inner().message().await
}

/// An answer that says whose fault it is.
fn sound(answer: Result<Option<Bytes>, Status>, what: &str) {
    if let Err(status) = answer {
        let ours = matches!(status.code(), Code::Internal | Code::Unknown | Code::DataLoss);
        assert!(!ours, "{what}: {status:?}");
    }
}

/// `token` with bytes of its body changed: the input is pairs of a place and what is added there. What is left over is
/// appended.
fn tampered(token: &str, input: &[u8]) -> String {
    let mut body = URL_SAFE_NO_PAD.decode(token).unwrap();
    body.truncate(body.len() - 4);
    let mut pairs = input.chunks_exact(2);
    for pair in pairs.by_ref() {
        let place = usize::from(pair[0]) % body.len();
        body[place] = body[place].wrapping_add(pair[1]);
    }
    body.extend(pairs.remainder());
    let sum = *blake3::hash(&body).as_bytes().first_chunk::<4>().unwrap();
    body.extend(sum);
    URL_SAFE_NO_PAD.encode(body)
}

/// Bytes as they are.
#[derive(Clone, Copy, Default)]
pub(crate) struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
