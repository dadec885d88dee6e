//! External processing: the filter `admit`, which sees requests and decides, and the filter `meter`, which reads answers. Which
//! of the two a stream is of, its first message tells: `admit` has the body of the request buffered, `meter` the body of the
//! answer streamed.

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::Envoy;
use super::admit::{Admitted, Incoming, REMOVED, admit};
use super::denial::Denial;
use super::flights::Flight;
use super::kind::Dialect;
use super::message::{admission_of, headers, metadata, set_header};
use super::meter::{Head, Meter};
use super::proto::envoy::config::core::v3::HttpStatus;
use super::proto::envoy::service::ext_proc::v3 as ext_proc;
use ext_proc::external_processor_server::ExternalProcessor;
use ext_proc::processing_request::Request as Part;
use ext_proc::processing_response::Response as Reply;
use ext_proc::protocol_configuration::BodySendMode;

/// Replies that wait for Envoy to take them.
const WAITING: usize = 8;
/// How many times an admission gets its whole time again before that would be up.
const TOUCHES: u32 = 3;

type Messages = Streaming<ext_proc::ProcessingRequest>;
type Replies = mpsc::Sender<Result<ext_proc::ProcessingResponse, Status>>;

#[tonic::async_trait]
impl ExternalProcessor for Envoy {
    type ProcessStream = ReceiverStream<Result<ext_proc::ProcessingResponse, Status>>;

    async fn process(&self, request: Request<Messages>) -> Result<Response<Self::ProcessStream>, Status> {
        let (replies, to_send) = mpsc::channel(WAITING);
        let (envoy, mut messages) = (self.clone(), request.into_inner());
        tokio::spawn(async move {
            // An error is that of the stream: Envoy has gone.
            let Ok(Some(first)) = messages.message().await else { return };
            let modes = first.protocol_config.unwrap_or_default();
            if modes.request_body_mode() == BodySendMode::Buffered {
                envoy.admit(first, messages, &replies).await;
            } else if modes.response_body_mode() == BodySendMode::Streamed {
                envoy.meter(first, messages, &replies).await;
            } else {
                let status = Status::failed_precondition(
                    "a filter of this node has request_body_mode BUFFERED, to admit, or response_body_mode STREAMED, to meter",
                );
                let _ = replies.send(Err(status)).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(to_send)))
    }
}

impl Envoy {
    /// Decides on the request of a stream, and ends the stream: an answer must not depend on it.
    async fn admit(&self, first: ext_proc::ProcessingRequest, mut messages: Messages, replies: &Replies) {
        let Some(Part::RequestHeaders(head)) = first.request else { return };
        let mut headers = headers(head.headers);
        let mut taken = |name: &str| headers.remove(name).unwrap_or_default();
        let (method, path) = (taken(":method"), taken(":path"));
        headers.retain(|name, _| !name.starts_with(':'));
        let mut body = Vec::new();
        if !head.end_of_stream {
            let mutation = Some(ext_proc::HeaderMutation {
                remove_headers: REMOVED.map(ToOwned::to_owned).into(),
                ..Default::default()
            });
            let response = Some(ext_proc::CommonResponse { header_mutation: mutation, ..Default::default() });
            if !send(replies, Reply::RequestHeaders(ext_proc::HeadersResponse { response })).await {
                return;
            }
            let Ok(Some(ext_proc::ProcessingRequest { request: Some(Part::RequestBody(part)), .. })) =
                messages.message().await
            else {
                return;
            };
            body = part.body;
        }
        let incoming = Incoming { method: &method, path: &path, headers, body: &body };
        match admit(&self.0.node, incoming).await {
            Ok(admitted) => self.let_on(admitted, replies).await,
            Err((dialect, denial)) => {
                send(replies, Reply::ImmediateResponse(immediate(&denial, dialect))).await;
            }
        }
    }

    async fn let_on(&self, admitted: Admitted, replies: &Replies) {
        let id = admitted.id();
        let Admitted { flight, route, body, .. } = admitted;
        let mut set_headers: Vec<_> = route.iter().map(|(name, value)| set_header(name, value, false)).collect();
        if let Some(body) = &body {
            set_headers.push(set_header("content-length", &body.len().to_string(), false));
        }
        let response = ext_proc::CommonResponse {
            header_mutation: Some(ext_proc::HeaderMutation { set_headers, ..Default::default() }),
            body_mutation: body
                .map(|body| ext_proc::BodyMutation { mutation: Some(ext_proc::body_mutation::Mutation::Body(body)) }),
            clear_route_cache: true,
        };
        // The meter may ask for it as soon as this is sent.
        self.0.flights.add(flight, self.0.node.admission_ttl());
        let reply = ext_proc::ProcessingResponse {
            response: Some(Reply::RequestBody(ext_proc::BodyResponse { response: Some(response) })),
            dynamic_metadata: Some(metadata(id, false)),
        };
        if replies.send(Ok(reply)).await.is_err() {
            // The caller has gone, and nothing was sent on.
            if let Some(flight) = self.0.flights.take(id) {
                flight.give_up(&self.0.node, &self.0.ended);
            }
        }
    }

    /// Reads the answer to a request, and ends its admission.
    async fn meter(&self, first: ext_proc::ProcessingRequest, mut messages: Messages, replies: &Replies) {
        let Self(shared) = self;
        let id = admission_of(first.metadata_context.as_ref());
        let mut flight = id.and_then(|id| shared.flights.take(id));
        let between = shared.node.admission_ttl() / TOUCHES;
        let mut touches = tokio::time::interval_at(Instant::now() + between, between);
        touches.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut answer, mut next) = (None, Some(first));
        while let Some(message) = next {
            let goes_on = match message.request {
                Some(part) => self.part(part, flight.as_ref(), &mut answer, replies).await,
                None => false,
            };
            if !goes_on {
                break;
            }
            next = loop {
                tokio::select! {
                    message = messages.message() => break message.ok().flatten(),
                    _ = touches.tick() => {
                        id.map(|id| shared.node.touch(id));
                    }
                }
            };
        }
        if let Some(flight) = flight.take() {
            let reading = answer.as_mut().map(Meter::reading);
            flight.end(&shared.node, reading, &shared.ended).await;
        }
    }

    /// Replies to a part of a message, then reads it. Whether more is to come.
    async fn part(&self, part: Part, flight: Option<&Flight>, answer: &mut Option<Meter>, replies: &Replies) -> bool {
        let is_end = match &part {
            Part::ResponseHeaders(head) => head.end_of_stream,
            Part::ResponseBody(body) => body.end_of_stream,
            Part::ResponseTrailers(_) => true,
            Part::RequestHeaders(_) | Part::RequestBody(_) | Part::RequestTrailers(_) => false,
        };
        let reply = match &part {
            Part::RequestHeaders(_) => Reply::RequestHeaders(ext_proc::HeadersResponse::default()),
            Part::RequestBody(_) => Reply::RequestBody(ext_proc::BodyResponse::default()),
            Part::RequestTrailers(_) => Reply::RequestTrailers(ext_proc::TrailersResponse::default()),
            Part::ResponseHeaders(_) => Reply::ResponseHeaders(told(flight)),
            Part::ResponseBody(_) => Reply::ResponseBody(ext_proc::BodyResponse::default()),
            Part::ResponseTrailers(_) => Reply::ResponseTrailers(ext_proc::TrailersResponse::default()),
        };
        // Envoy may have gone and left what is still to be read.
        let is_there = send(replies, reply).await;
        match (part, &mut *answer, flight) {
            (Part::ResponseHeaders(head), _, Some(flight)) => {
                let headers = headers(head.headers);
                let value = |name: &str| headers.get(name).map_or("", String::as_str);
                let head = Head {
                    status: value(":status").parse().unwrap_or_default(),
                    content_type: value("content-type"),
                    content_encoding: value("content-encoding"),
                };
                *answer = Some(Meter::new(flight.kind, head));
            }
            (Part::ResponseBody(body), Some(meter), _) => meter.feed(&body.body),
            _ => {}
        }
        if let (true, Some(meter)) = (is_end, answer) {
            meter.end();
        }
        is_there && !is_end
    }
}

/// The reply to the head of an answer, which tells the caller of its limits.
fn told(flight: Option<&Flight>) -> ext_proc::HeadersResponse {
    let set_headers =
        |flight: &Flight| flight.headers.iter().map(|(name, value)| set_header(name, value, false)).collect::<Vec<_>>();
    let mutation =
        flight.map(|flight| ext_proc::HeaderMutation { set_headers: set_headers(flight), ..Default::default() });
    ext_proc::HeadersResponse {
        response: Some(ext_proc::CommonResponse { header_mutation: mutation, ..Default::default() }),
    }
}

fn immediate(denial: &Denial, dialect: Dialect) -> ext_proc::ImmediateResponse {
    let set_headers = denial.headers().map(|(name, value)| set_header(name, value, false)).collect();
    ext_proc::ImmediateResponse {
        status: Some(HttpStatus { code: denial.status.into() }),
        headers: Some(ext_proc::HeaderMutation { set_headers, ..Default::default() }),
        body: denial.body(dialect).into_bytes(),
        details: format!("tollgate_{}", denial.code),
    }
}

/// Sends a reply. Whether Envoy is there to take it.
async fn send(replies: &Replies, reply: Reply) -> bool {
    let reply = ext_proc::ProcessingResponse { response: Some(reply), dynamic_metadata: None };
    replies.send(Ok(reply)).await.is_ok()
}
