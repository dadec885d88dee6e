//! Who calls, and whether they may: the credentials of a call become a [`Principal`], and the table in `permissions`
//! says what that may do. `server` asks before any service sees the call.

use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use tonic::{Code, Status};

use super::certificate::{CertificateRole, ClientCertificate, Holder};
use super::permissions::{Who, who};
use super::status;
use crate::access::{Principal, Registry};
use crate::domain::{Error, Role};
use crate::ledger::Clock;

/// One text for all that is wrong with a token, so that nobody learns from it whether there once was such a one.
const NO_TOKEN: &str = "no valid token; send one as `authorization: Bearer tg_…`";

/// Decides who may call.
#[derive(Clone)]
pub struct Auth {
    registry: Arc<Registry>,
    clock: Clock,
}

/// Who calls.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    /// Somebody who was authenticated, or anybody while authentication is off.
    Known(Principal),
    /// Nobody knows, and the method does not need to.
    Unknown,
}

impl Auth {
    /// Decides by the tokens in `registry`, which expire by `clock`.
    pub fn new(registry: Arc<Registry>, clock: Clock) -> Self {
        Self { registry, clock }
    }

    /// Whether the store never had a token: then only this machine is served.
    pub(crate) fn has_never_had_tokens(&self) -> bool {
        self.registry.has_never_had_tokens()
    }

    /// Who calls `method` (as `tollgate.v1.TeamService/ListTeams`) with these header fields, on a connection with this
    /// certificate. A token says more than a certificate does, and wins.
    ///
    /// # Errors
    /// UNAUTHENTICATED, PERMISSION_DENIED; UNIMPLEMENTED for a method that nobody may call.
    pub(crate) fn admit(
        &self,
        method: &str,
        headers: &HeaderMap,
        certificate: Option<&ClientCertificate>,
    ) -> Result<Caller, Status> {
        if let Some(anonymous) = self.registry.anonymous() {
            return Ok(Caller::Known(anonymous));
        }
        let rule = who(method);
        if matches!(rule, Some(Who::Anyone | Who::KeyHolder)) {
            return Ok(Caller::Unknown);
        }
        let principal = match bearer(headers) {
            Some(value) => self.registry.authenticate(value, self.clock.now()),
            None => holder(certificate)?,
        };
        let principal = principal.ok_or_else(|| status::of(Error::Unauthenticated(NO_TOKEN), ""))?;
        match rule {
            Some(Who::Roles(roles)) if roles.contains(&principal.role()) => Ok(Caller::Known(principal)),
            Some(Who::Roles(roles)) => Err(status::of(Error::PermissionDenied(denied(method, &principal, roles)), "")),
            Some(Who::Anyone | Who::KeyHolder) => Ok(Caller::Unknown),
            None => Err(Status::new(Code::Unimplemented, "there is no such method, or nobody may call it")),
        }
    }
}

/// Whom a certificate names.
fn holder(certificate: Option<&ClientCertificate>) -> Result<Option<Principal>, Status> {
    match certificate {
        Some(ClientCertificate::Of(Holder { role, name })) => {
            let (role, node_id) = match role {
                CertificateRole::Admin => (Role::Admin, None),
                CertificateRole::Viewer => (Role::Viewer, None),
                CertificateRole::Node => (Role::Node, Some(name.as_str())),
            };
            Ok(Some(Principal::of_certificate(name, role, node_id)))
        }
        Some(ClientCertificate::OfNobody) | None => Ok(None),
        Some(ClientCertificate::Unclear(why)) => Err(status::of(Error::PermissionDenied(why.clone()), "")),
    }
}

/// The token that is shown. Two of them are none: it would not be clear whose call it is.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let only = given.next()?;
    if given.next().is_some() {
        return Some("");
    }
    let (scheme, value) = only.to_str().unwrap_or_default().split_once(' ').unwrap_or_default();
    Some(if scheme.eq_ignore_ascii_case("bearer") { value.trim() } else { "" })
}

fn denied(method: &str, principal: &Principal, roles: &[Role]) -> String {
    let roles: Vec<String> = roles.iter().map(|role| role.name().to_uppercase()).collect();
    let method = method.rsplit('/').next().unwrap_or_default();
    format!(
        "{method} takes a token of role {}; this one is a {}",
        roles.join(" or "),
        principal.role().name().to_uppercase()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::AccessSettings;

    const LIST: &str = "tollgate.v1.TeamService/ListTeams";
    const CREATE: &str = "tollgate.v1.TeamService/CreateTeam";
    const WATCH: &str = "tollgate.v1.ConfigService/WatchConfig";

    /// Who is let through to a method with a certificate; else the code of the refusal.
    fn admit(method: &str, fields: &[(&str, &str)], certificate: &ClientCertificate) -> Result<Option<String>, Code> {
        let auth = Auth::new(Arc::new(Registry::new(&AccessSettings::default(), true)), Clock::system());
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        match auth.admit(method, &headers, Some(certificate)) {
            Ok(Caller::Known(principal)) => Ok(Some(principal.actor().to_string())),
            Ok(Caller::Unknown) => Ok(None),
            Err(status) => Err(status.code()),
        }
    }

    fn of(uri: &str) -> ClientCertificate {
        ClientCertificate::of_names([uri])
    }

    #[test]
    fn a_certificate_is_as_good_as_a_token() {
        let actor = |text: &str| Ok(Some(text.to_owned()));
        for method in [LIST, CREATE, WATCH] {
            assert_eq!(admit(method, &[], &of("tollgate://admin/ops")), actor("certificate:admin/ops"));
        }
        assert_eq!(admit(LIST, &[], &of("tollgate://viewer/grafana")), actor("certificate:viewer/grafana"));
        assert_eq!(admit(CREATE, &[], &of("tollgate://viewer/grafana")), Err(Code::PermissionDenied));
        assert_eq!(admit(WATCH, &[], &of("tollgate://viewer/grafana")), actor("certificate:viewer/grafana"));
        assert_eq!(admit(WATCH, &[], &of("tollgate://node/gw-1")), actor("certificate:node/gw-1"));
        assert_eq!(admit(LIST, &[], &of("tollgate://node/gw-1")), Err(Code::PermissionDenied));
        assert_eq!(admit(LIST, &[], &ClientCertificate::OfNobody), Err(Code::Unauthenticated));
        assert_eq!(admit(LIST, &[], &of("tollgate://root/x")), Err(Code::PermissionDenied));
        assert_eq!(admit("grpc.health.v1.Health/Check", &[], &ClientCertificate::OfNobody), Ok(None));
        assert_eq!(admit("tollgate.v1.TeamService/New", &[], &of("tollgate://admin/a")), Err(Code::Unimplemented));
    }

    #[test]
    fn a_token_that_is_shown_is_what_counts() {
        let admin = of("tollgate://admin/ops");
        for wrong in ["Bearer tg_unknown", "Bearer", "Basic b3Bz", "tg_unknown", ""] {
            assert_eq!(admit(LIST, &[("authorization", wrong)], &admin), Err(Code::Unauthenticated), "{wrong:?}");
        }
        let two = [("authorization", "Bearer a"), ("authorization", "Bearer b")];
        assert_eq!(admit(LIST, &two, &admin), Err(Code::Unauthenticated));
    }

    #[test]
    fn the_scheme_is_read_as_http_has_it() {
        let read =
            |value: &str| bearer(&HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())])).map(str::to_owned);
        for (given, token) in [("Bearer x", "x"), ("bearer  x ", "x"), ("BEARER x", "x"), ("Basic x", ""), ("x", "")] {
            assert_eq!(read(given).as_deref(), Some(token), "{given:?}");
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
