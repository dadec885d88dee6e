//! Every method that is served, by every caller that there is. The methods come from the descriptors: one that is new
//! is called too, and who may call it must follow from its name as `expected` has it, or be said there.

use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, Value};
use tollgate::domain::Timestamp;
use tollgate::proto::FILE_DESCRIPTOR_SET;
use tollgate::proto::v1::{Role, Token};
use tonic::body::Body;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tower::ServiceExt as _;

use super::support::{ROOT, closed, make, revoke, token};
use crate::watch::rig::{endpoint, soon};

/// The node that requests with a `node_id` name.
const NODE: &str = "gw-1";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum By {
    Nobody,
    BadToken,
    Viewer,
    Node,
    NodeOfThis,
    NodeOfAnother,
    Admin,
    Expired,
    Revoked,
}

/// Everything of the API, and the services beside it.
fn methods() -> Vec<MethodDescriptor> {
    let mut pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    for set in [
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ] {
        pool.decode_file_descriptor_set(set).unwrap();
    }
    pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()).collect()
}

/// What a caller of a method must meet: `Ok` if it is let through to the method.
fn expected(method: &MethodDescriptor, by: By) -> Code {
    let name = method.name();
    if method.parent_service().full_name() == "grpc.health.v1.Health" {
        return Code::Ok;
    }
    if name == "GetVirtualKeyQuota" {
        // The key is the credential, and none is shown.
        return Code::Unauthenticated;
    }
    let reads = name.starts_with("Get") || name.starts_with("List") || name == "WaitForRevision";
    let decides = ["Explain", "ResolvePrice", "ServerReflectionInfo"].contains(&name);
    let watches = name == "WatchConfig";
    // The hello of a session names the node, and none is said.
    let says_hello = name == "Connect";
    let of_nodes = ["RegisterNode", "ReportUsage"].contains(&name) || says_hello;
    let may = match by {
        By::Nobody | By::BadToken | By::Expired | By::Revoked => return Code::Unauthenticated,
        By::Viewer => reads || decides || watches,
        By::Node | By::NodeOfThis => of_nodes || decides || watches,
        By::NodeOfAnother => decides || says_hello,
        By::Admin => true,
    };
    if may { Code::Ok } else { Code::PermissionDenied }
}

/// A request that says nothing but, if it can, which node calls.
fn request(method: &MethodDescriptor) -> Bytes {
    let mut message = DynamicMessage::new(method.input());
    if method.input().get_field_by_name("node_id").is_some() {
        message.set_field_by_name("node_id", Value::String(NODE.to_owned()));
    }
    let message = message.encode_to_vec();
    let mut framed = vec![0];
    framed.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    framed.extend(message);
    framed.into()
}

/// The status with which the call is refused, or that of the first thing that comes.
async fn call(channel: &Channel, method: &MethodDescriptor, token: Option<&str>) -> Status {
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let mut call = Request::post(path).header(CONTENT_TYPE, "application/grpc").header("te", "trailers");
    if let Some(token) = token {
        call = call.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    let call = call.body(Body::new(Full::new(request(method)))).unwrap();
    let (head, mut body) = soon(channel.clone().oneshot(call)).await.unwrap().into_parts();
    let read = |fields: &HeaderMap| Status::from_header_map(fields);
    if let Some(status) = read(&head.headers) {
        return status;
    }
    let frame = soon(body.frame()).await.unwrap().unwrap();
    frame.trailers_ref().and_then(read).unwrap_or_else(|| Status::ok(""))
}

#[tokio::test]
async fn every_method_is_served_to_whom_it_is_for_and_to_nobody_else() {
    let (mut rig, channel) = closed().await;
    let bound = |name: &str, node_id: &str| Token { node_id: node_id.to_owned(), ..token(name, Role::Node) };
    let expires_at = Timestamp::now().plus_micros(4_000_000).parts();
    let expires_at = Some(prost_types::Timestamp { seconds: expires_at.0, nanos: expires_at.1 });
    let expired = make(&channel, Token { expires_at, ..token("expired", Role::Admin) }).await.unwrap().value;
    let revoked = make(&channel, token("revoked", Role::Admin)).await.unwrap();
    revoke(&channel, &revoked.id).await.unwrap();
    let callers = [
        (By::Nobody, None),
        (By::BadToken, Some(Token { value: ROOT.replace("root", "toor"), ..Token::default() })),
        (By::Viewer, Some(make(&channel, token("viewer", Role::Viewer)).await.unwrap())),
        (By::Node, Some(make(&channel, token("node", Role::Node)).await.unwrap())),
        (By::NodeOfThis, Some(make(&channel, bound("this", NODE)).await.unwrap())),
        (By::NodeOfAnother, Some(make(&channel, bound("another", "gw-2")).await.unwrap())),
        (By::Admin, Some(Token { value: ROOT.to_owned(), ..Token::default() })),
        (By::Expired, Some(Token { value: expired.clone(), ..Token::default() })),
        (By::Revoked, Some(revoked)),
    ];
    let methods = methods();
    assert!(methods.len() > 60, "{}", methods.len());
    let list = methods.iter().find(|method| method.name() == "ListTeams").unwrap();
    while call(&channel, list, Some(&expired)).await.code() == Code::Ok {}

    let mut faults = Vec::new();
    let mut texts = std::collections::BTreeSet::new();
    for (number, method) in (1..).zip(&methods) {
        // From an address of its own, because failures of one address are slowed.
        let address = IpAddr::from(Ipv4Addr::new(127, 1, 0, number));
        let channel = endpoint(rig.address()).local_address(Some(address)).connect().await.unwrap();
        for (by, token) in &callers {
            let got = call(&channel, method, token.as_ref().map(|token| token.value.as_str())).await;
            let expected = expected(method, *by);
            let refused = [Code::Unauthenticated, Code::PermissionDenied, Code::Unimplemented].contains(&got.code());
            if if expected == Code::Ok { refused } else { got.code() != expected } {
                faults.push(format!("{} by {by:?}: {:?} {}", method.full_name(), got.code(), got.message()));
            }
            if got.code() == Code::Unauthenticated && method.name() != "GetVirtualKeyQuota" {
                texts.insert(got.message().to_owned());
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(texts.len(), 1, "what is wrong with a token is told apart: {texts:?}");

    let unknown = Request::post("/tollgate.v1.TeamService/Nothing").header(CONTENT_TYPE, "application/grpc");
    let unknown = unknown.header(AUTHORIZATION, format!("Bearer {ROOT}")).body(Body::empty()).unwrap();
    let answer = soon(channel.clone().oneshot(unknown)).await.unwrap();
    assert_eq!(Status::from_header_map(answer.headers()).unwrap().code(), Code::Unimplemented);
    drop(channel);
    rig.stop().await;
}
