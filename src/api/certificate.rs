//! What a client's certificate says of the client. The transport puts it into the request's extensions of every call on
//! a connection that was opened with one.
//!
//! A certificate names its holder by a URI among its subject alternative names: `tollgate://admin/<name>`,
//! `tollgate://viewer/<name>` or `tollgate://node/<node id>`. One without such a URI opens the connection and is nobody:
//! its calls need a token like any other.

use std::fmt;

const SCHEME: &str = "tollgate://";
/// Bytes that a name may have; node ids have the same limit.
const MAX_NAME: usize = 128;

/// What the holder may do: the roles of tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CertificateRole {
    /// Everything.
    Admin,
    /// Reading.
    Viewer,
    /// What a node does, for one node.
    Node,
}

/// The holder of a certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holder {
    /// What it may do.
    pub role: CertificateRole,
    /// Its name; of a node, its node id.
    pub name: String,
}

/// A certificate that the transport has verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ClientCertificate {
    /// It names its holder.
    Of(Holder),
    /// It names none.
    OfNobody,
    /// It names one in a way that cannot be read: why. Such calls are refused; whoever signed the certificate meant
    /// something by it.
    Unclear(String),
}

impl ClientCertificate {
    /// Reads the URIs among the names of a certificate. Those of other schemes are left alone.
    pub fn of_names<'a>(uris: impl IntoIterator<Item = &'a str>) -> Self {
        let mut ours = uris
            .into_iter()
            .filter(|uri| uri.get(..SCHEME.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME)));
        match (ours.next(), ours.next()) {
            (None, _) => Self::OfNobody,
            (Some(uri), None) => match Holder::parse(uri) {
                Ok(holder) => Self::Of(holder),
                Err(fault) => Self::Unclear(format!(
                    "the client certificate's URI {:?} {fault}; it is written as tollgate://admin/<name>, \
                     tollgate://viewer/<name> or tollgate://node/<node id>",
                    shortened(uri)
                )),
            },
            (Some(_), Some(_)) => Self::Unclear(
                "the client certificate has several tollgate:// URIs; a certificate is for one holder".to_owned(),
            ),
        }
    }
}

impl Holder {
    fn parse(uri: &str) -> Result<Self, String> {
        let rest = uri.get(SCHEME.len()..).unwrap_or_default();
        let (role, name) = rest.split_once('/').ok_or("has no name")?;
        let role = match role {
            "admin" => CertificateRole::Admin,
            "viewer" => CertificateRole::Viewer,
            "node" => CertificateRole::Node,
            _ => return Err("names no role that there is".to_owned()),
        };
        let name = percent_decoded(name).ok_or("has a name that is not percent-encoded UTF-8")?;
        if name.is_empty() {
            return Err("has an empty name".to_owned());
        }
        if name.len() > MAX_NAME || name.chars().any(char::is_control) {
            return Err(format!("has a name with control characters or of more than {MAX_NAME} bytes"));
        }
        Ok(Self { role, name })
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, name } = self;
        let role = match role {
            CertificateRole::Admin => "admin",
            CertificateRole::Viewer => "viewer",
            CertificateRole::Node => "node",
        };
        write!(f, "{role}/{name}")
    }
}

/// Certificates are written by whoever holds the CA, and still not to fill a log.
fn shortened(uri: &str) -> String {
    uri.chars().take(200).collect()
}

/// The text that a part of a URI stands for. `/`, `?` and `#` would begin other parts, so as themselves they are
/// refused.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let mut digit = || (rest.next()? as char).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                bytes.push(digit()? * 16 + digit()?);
            }
            b'/' | b'?' | b'#' => return None,
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(uri: &str) -> ClientCertificate {
        ClientCertificate::of_names([uri])
    }

    fn holder(role: CertificateRole, name: &str) -> ClientCertificate {
        ClientCertificate::Of(Holder { role, name: name.to_owned() })
    }

    #[test]
    fn a_uri_names_role_and_name() {
        assert_eq!(of("tollgate://admin/ops"), holder(CertificateRole::Admin, "ops"));
        assert_eq!(of("tollgate://viewer/grafana"), holder(CertificateRole::Viewer, "grafana"));
        assert_eq!(of("Tollgate://node/eu-1%2Fa%20b"), holder(CertificateRole::Node, "eu-1/a b"));
        assert_eq!(of("tollgate://node/k%C3%B6ln"), holder(CertificateRole::Node, "köln"));
    }

    #[test]
    fn names_of_others_are_left_alone() {
        let names = ["https://example.com", "spiffe://example.com/tollgate", "tollgate:", "tollgat€://admin/x"];
        assert_eq!(ClientCertificate::of_names(names), ClientCertificate::OfNobody);
        let names = ["spiffe://example.com/x", "tollgate://admin/ops"];
        assert_eq!(ClientCertificate::of_names(names), holder(CertificateRole::Admin, "ops"));
    }

    #[test]
    fn what_cannot_be_read_is_nobody_in_particular_and_never_a_guess() {
        let long = format!("tollgate://node/{}", "x".repeat(129));
        for uri in [
            "tollgate://",
            "tollgate://admin",
            "tollgate://admin/",
            "tollgate:///ops",
            "tollgate://ADMIN/ops",
            "tollgate://root/ops",
            "tollgate://admin/a/b",
            "tollgate://admin/a?b",
            "tollgate://admin/a#b",
            "tollgate://node/%",
            "tollgate://node/%4",
            "tollgate://node/%zz",
            "tollgate://node/%ff",
            "tollgate://node/a%0Ab",
            "tollgate://node/%+1",
            &long,
        ] {
            let ClientCertificate::Unclear(why) = of(uri) else { panic!("{uri} was read") };
            assert!(why.contains("tollgate://node/<node id>"), "{why}");
        }
        let two = ClientCertificate::of_names(["tollgate://admin/a", "tollgate://admin/a"]);
        assert!(matches!(two, ClientCertificate::Unclear(_)));
    }
}
