//! Secrets and signatures, as Standard Webhooks has them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use crate::domain::WebhookSecret;

/// A secret of 32 bytes, from the operating system's random source.
pub fn new_secret() -> String {
    let mut key = [0; 32];
    rand::RngCore::fill_bytes(&mut rand::TryRngCore::unwrap_err(rand::rngs::OsRng), &mut key);
    format!("{}{}", WebhookSecret::PREFIX, STANDARD.encode(key))
}

/// The header `webhook-signature` of a delivery with this id, at this time in seconds.
pub(super) fn signature(secret: &WebhookSecret, id: &str, timestamp: i64, body: &str) -> String {
    // A secret that is no Base64 is refused when it is written.
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(secret.key()).unwrap_or_default());
    let tag = hmac::sign(&key, format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_the_standard() {
        // The example of its specification.
        let secret = WebhookSecret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = r#"{"test": 2432232314}"#;
        let signed = signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn new_secrets_are_secrets_and_differ() {
        let [one, other] = [new_secret(), new_secret()];
        assert!(WebhookSecret::new(&one).is_some() && one != other);
    }
}
