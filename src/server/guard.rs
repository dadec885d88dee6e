//! Who is served while the store has no tokens. Then whoever reaches the port is an administrator, so the server
//! listens on loopback addresses only; this guard keeps web pages out that a browser on this machine has open.
//!
//! A page can reach loopback in two ways. It can name it (`http://127.0.0.1:50051`): then the browser sends the page's
//! `Origin`, which is never served then. Or it can have its own name resolve to it (DNS rebinding): then the request's
//! host is foreign. gRPC proper cannot be spoken by a page at all; gRPC-Web is made for it, and off unless the operator
//! asked for it and there is an access token. JSON can be sent by a page, but not without an `Origin`.

use std::net::IpAddr;

use http::header::{CONTENT_TYPE, HOST, HeaderMap, ORIGIN};
use http::uri::{Authority, Uri};
use http::{HeaderValue, request};

use crate::http::Origins;

/// What is let in.
#[derive(Debug)]
pub(super) struct Guard {
    /// Also callers that speak gRPC-Web.
    pub(super) grpc_web: bool,
    /// The pages that may call.
    pub(super) origins: Origins,
}

impl Guard {
    /// Whether the call may go on; if not, why. With `loopback_only`, callers must name this machine by a loopback name.
    ///
    /// gRPC-Web must not have been translated yet for it to be noticed; that holds because it is translated only where
    /// it is allowed.
    pub(super) fn check(&self, head: &request::Parts, loopback_only: bool) -> Result<(), &'static str> {
        let Self { grpc_web, origins } = self;
        if !grpc_web && head.headers.get(CONTENT_TYPE).is_some_and(is_grpc_web) {
            return Err("gRPC-Web is off on this server; it is turned on with --grpc-web, once there is a token");
        }
        if let Some(origin) = head.headers.get(ORIGIN)
            && !origins.allow(origin, &head.uri, &head.headers)
        {
            return Err(
                "calls with an Origin come from web pages, and this server does not serve those of this origin; \
                        they are let in with --allow-origin, once there is an access token",
            );
        }
        if loopback_only && !names_loopback(&head.uri, &head.headers) {
            return Err("this server has no tokens yet, so it serves only callers who address it as localhost, \
                        127.0.0.1 or [::1]; the host (:authority) of this call is none of these");
        }
        Ok(())
    }
}

/// Whether a content type is that of gRPC-Web, in any of its forms.
pub(super) fn is_grpc_web(content_type: &HeaderValue) -> bool {
    let prefix = b"application/grpc-web";
    content_type.as_bytes().get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Whether the request says whom it is for, and every place that says so names loopback.
fn names_loopback(uri: &Uri, headers: &HeaderMap) -> bool {
    let hosts = headers.get_all(HOST);
    (uri.authority().is_some() || hosts.iter().next().is_some())
        && uri.authority().is_none_or(is_loopback)
        && hosts.iter().all(|host| Authority::try_from(host.as_bytes()).is_ok_and(|host| is_loopback(&host)))
}

fn is_loopback(authority: &Authority) -> bool {
    let host = authority.host();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::settings::AllowedOrigin;

    fn closed() -> Guard {
        Guard { grpc_web: false, origins: Origins::default() }
    }

    fn web() -> Guard {
        Guard { grpc_web: true, origins: Origins::new(&[], true) }
    }

    fn listing(origins: &[&str]) -> Guard {
        let origins: Vec<AllowedOrigin> = origins.iter().map(|it| it.parse().unwrap()).collect();
        Guard { grpc_web: false, origins: Origins::new(&origins, false) }
    }

    fn admits(guard: Guard, uri: &str, headers: &[(&str, &str)]) -> bool {
        admitted(guard, true, uri, headers)
    }

    fn admitted(guard: Guard, loopback_only: bool, uri: &str, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        guard.check(&request.body(()).unwrap().into_parts().0, loopback_only).is_ok()
    }

    #[test]
    fn only_loopback_names_are_let_in() {
        for host in
            ["localhost", "LOCALHOST:50051", "127.0.0.1:1", "127.9.9.9", "[::1]", "[::1]:50051", "[::ffff:127.0.0.1]:5"]
        {
            assert!(admits(closed(), &format!("http://{host}/a.B/C"), &[]), "{host} as authority");
            assert!(admits(closed(), "/a.B/C", &[("host", host)]), "{host} as host");
        }
        for host in [
            "example.com",
            "localhost.example.com",
            "127.0.0.1.nip.io",
            "10.0.0.1",
            "0.0.0.0:50051",
            "[::]:1",
            "127.1",
            "evil@evil.com",
        ] {
            assert!(!admits(closed(), &format!("http://{host}/a.B/C"), &[]), "{host} as authority");
            assert!(!admits(closed(), "/a.B/C", &[("host", host)]), "{host} as host");
        }
        assert!(!admits(closed(), "/a.B/C", &[]), "no host");
        assert!(!admits(closed(), "http://localhost/a.B/C", &[("host", "evil.com")]), "two hosts");
        assert!(!admits(closed(), "/a.B/C", &[("host", "localhost"), ("host", "evil.com")]), "two hosts");
        assert!(!admits(closed(), "http://localhost@evil.com/a.B/C", &[]), "user info");
    }

    #[test]
    fn pages_are_let_in_from_where_the_server_is_and_from_where_it_is_said() {
        let of = |origin| [("host", "tollgate.example.com"), ("origin", origin)];
        let own = "https://tollgate.example.com";
        for origin in ["http://localhost:3000", "https://evil.example", "https://tollgate.example.com:8443", "null", ""]
        {
            for guard in [closed(), web(), listing(&["https://console.example"])] {
                assert!(!admitted(guard, false, "/a.B/C", &of(origin)), "{origin}");
            }
        }
        assert!(admitted(web(), false, "/a.B/C", &of(own)));
        assert!(!admitted(closed(), false, "/a.B/C", &of(own)), "without --grpc-web");
        let guard = || listing(&["https://console.example", "http://localhost:3000"]);
        for origin in ["https://console.example", "HTTPS://Console.Example", "http://localhost:3000"] {
            assert!(admitted(guard(), false, "/a.B/C", &of(origin)), "{origin}");
        }
        for origin in ["http://console.example", "https://console.example:444", "https://a.console.example", own] {
            assert!(!admitted(guard(), false, "/a.B/C", &of(origin)), "{origin}");
        }
        assert!(admitted(listing(&["*"]), false, "/a.B/C", &of("null")));
    }

    #[test]
    fn grpc_web_is_let_in_only_with_grpc_web() {
        for content_type in ["application/grpc-web", "application/grpc-web+proto", "Application/gRPC-Web-Text"] {
            let headers = [("host", "localhost"), ("content-type", content_type)];
            assert!(admits(web(), "/a.B/C", &headers));
            assert!(!admits(closed(), "/a.B/C", &headers));
        }
        assert!(admits(closed(), "/a.B/C", &[("host", "localhost"), ("content-type", "application/grpc+proto")]));
    }

    #[test]
    fn with_tokens_any_host_is_let_in() {
        assert!(admitted(closed(), false, "http://tollgate.example.com/a.B/C", &[]));
    }
}
