//! How a law is tried: a server, one kind after the other, and what an error must say.

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Tries a law on every kind, each on a server of its own.
macro_rules! on_every_kind {
    ($law:ident) => {
        $crate::contract::laws::on_every_kind!($law, Customer, Team, VirtualKey, McpClient, Provider, RoutingRule, ModelConfig, PricingOverride, ModelPrice, Webhook);
    };
    ($law:ident, $($kind:ident),*) => {$(
        {
            let (mut rig, api) = crate::watch::rig::Rig::started().await;
            $law::<tollgate::proto::v1::$kind>(&mut rig, api.0.clone()).await;
            drop(api);
            rig.stop().await;
        }
    )*};
}
pub(super) use on_every_kind;

/// An error of this code, with a reason of the contract; the reason without its prefix.
pub(crate) fn reason(status: &Status, code: Code) -> String {
    assert_eq!(status.code(), code, "{status:?}");
    let info = status.get_error_details().error_info().cloned().expect("every error has ErrorInfo");
    assert_eq!(info.domain, "tollgate");
    info.reason.strip_prefix("ERROR_REASON_").expect("a value of ErrorReason").to_owned()
}

/// The fields that an INVALID_ARGUMENT names.
pub(crate) fn fields(status: &Status) -> Vec<String> {
    reason(status, Code::InvalidArgument);
    let details = status.get_error_details();
    let violations = &details.bad_request().expect("it has BadRequest").field_violations;
    assert!(violations.iter().all(|violation| !violation.description.is_empty()));
    violations.iter().map(|violation| violation.field.clone()).collect()
}
