//! The admission of a request as it comes by HTTP.

use std::collections::BTreeMap;

use tollgate_core::domain::bare_model;

use super::body::Body;
use super::denial::Denial;
use super::dimensions::{HEADERS, dimensions};
use super::flights::Flight;
use super::kind::{Dialect, Kind};
use crate::admission::AdmissionId;
use crate::decide::{Credential, Request as Asked};
use crate::node::Node;

/// The header by which a route knows the provider that a request goes to.
const PROVIDER: &str = "x-tollgate-provider";
/// The header by which a route knows the provider key that a request is to use, if there is a choice.
const PROVIDER_KEY: &str = "x-tollgate-provider-key";
/// Headers that a virtual key may be in. None of them reaches a provider.
const CREDENTIALS: [&str; 3] = ["authorization", "x-api-key", "api-key"];
/// The headers that are removed from each request: keys, a route that somebody else chose, the leave to compress the answer, which
/// would only have to be unpacked to be read, and the dimensions of spend.
pub(super) const REMOVED: [&str; 10] = [
    "authorization",
    "x-api-key",
    "api-key",
    PROVIDER,
    PROVIDER_KEY,
    "accept-encoding",
    HEADERS[0],
    HEADERS[1],
    HEADERS[2],
    HEADERS[3],
];

/// A request.
pub(super) struct Incoming<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    /// By names in lower case, without those that begin with a colon.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: &'a [u8],
}

/// A request that may go on.
pub(super) struct Admitted {
    pub(super) flight: Flight,
    /// Headers that choose the route.
    pub(super) route: Vec<(&'static str, String)>,
    /// The model that it goes to, if that is another one than was asked for.
    pub(super) other_model: Option<String>,
    /// The body that the provider gets, if that is another one than came.
    pub(super) body: Option<Vec<u8>>,
}

impl Admitted {
    pub(super) fn id(&self) -> AdmissionId {
        self.flight.id
    }
}

/// Admits a request, or says how to answer it.
pub(super) async fn admit(node: &Node, incoming: Incoming<'_>) -> Result<Admitted, (Dialect, Denial)> {
    let Incoming { method, path, mut headers, body } = incoming;
    let Some(kind) = Kind::of_path(path).filter(|_| method == "POST") else {
        return Err((Dialect::OpenAi, Denial::unknown(method, path)));
    };
    let denied = |denial| (kind.dialect(), denial);
    let key = key_of(&headers).ok_or_else(|| denied(Denial::without_key()))?;
    let body = Body::read(kind, body).map_err(|why| denied(Denial::invalid(why)))?;
    let dimensions = dimensions(&headers, &body.end_user).map_err(|why| denied(Denial::invalid(why)))?;
    // Conditions of routing rules get no secrets.
    headers.retain(|name, _| !CREDENTIALS.contains(&name.as_str()));
    let query = path.split_once('?').map_or("", |(_, query)| query);
    let params = form_urlencoded::parse(query.as_bytes());
    let params = params.map(|(name, value)| (name.to_lowercase(), value.into_owned())).collect();
    let asked = Asked {
        credential: Credential::Value(&key),
        model: body.model.trim(),
        request_type: kind.request_type(),
        headers: &headers,
        params: &params,
        stream: body.stream,
        estimate: body.estimate,
        dimensions: &dimensions,
        ..Asked::default()
    };
    let granted = node.admit(&asked).await.map_err(|refused| denied(Denial::of(&refused, node.engine.now())))?;
    let model = bare_model(granted.model(), granted.provider()).to_owned();
    // What was admitted is given up where the body cannot be changed.
    let rewritten = body.rewritten(&model).map_err(|why| denied(Denial::invalid(why)))?;
    let mut route = vec![(PROVIDER, granted.provider().to_owned())];
    route.extend(granted.provider_key_id().map(|id| (PROVIDER_KEY, id.to_owned())));
    let (estimate, headers) = (granted.estimate(), granted.rate_limit_headers());
    Ok(Admitted {
        route,
        other_model: (model != body.model).then_some(model),
        body: rewritten,
        flight: Flight { id: granted.detach(), kind, estimate, headers },
    })
}

/// The value of the virtual key of a request.
fn key_of(headers: &BTreeMap<String, String>) -> Option<String> {
    CREDENTIALS.into_iter().find_map(|name| {
        let value = headers.get(name)?.as_str();
        let key = match name {
            "authorization" => value.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))?.1,
            _ => value,
        };
        let key = key.trim();
        (!key.is_empty()).then(|| key.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_virtual_key_is_found_where_clients_put_their_keys() {
        for (headers, expected) in [
            (&[("authorization", "Bearer sk-1")][..], Some("sk-1")),
            (&[("authorization", "bearer  sk-1 ")], Some("sk-1")),
            (&[("x-api-key", "sk-2")], Some("sk-2")),
            (&[("api-key", "sk-3")], Some("sk-3")),
            (&[("authorization", "Basic abc"), ("x-api-key", "sk-2")], Some("sk-2")),
            (&[("authorization", "Bearer "), ("cookie", "sk-4")], None),
            (&[], None),
        ] {
            let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            assert_eq!(key_of(&headers).as_deref(), expected, "{headers:?}");
        }
    }
}
