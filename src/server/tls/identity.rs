//! Who a client's certificate says it is. Its signature and validity have been checked by the handshake.

use tokio_rustls::rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

use crate::api::ClientCertificate;

/// Reads the names of a certificate.
pub(super) fn read(certificate: &CertificateDer<'_>) -> ClientCertificate {
    match EndEntityCert::try_from(certificate) {
        Ok(certificate) => ClientCertificate::of_names(certificate.valid_uri_names()),
        Err(_) => ClientCertificate::of_names([]),
    }
}
