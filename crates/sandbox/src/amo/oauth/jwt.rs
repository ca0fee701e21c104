//! Access tokens in the form of a JWT, with the claims that were seen in real ones. The signature is none.

use serde_json::Value;

/// `header.payload.signature`.
pub(super) fn jwt(claims: &Value) -> String {
    let header = r#"{"typ":"JWT","alg":"RS256"}"#;
    format!("{}.{}.{}", base64url(header.as_bytes()), base64url(claims.to_string().as_bytes()), base64url(b"sandbox"))
}

fn base64url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |place: usize| usize::from(chunk.get(place).copied().unwrap_or(0));
        let held = (byte(0) << 16) | (byte(1) << 8) | byte(2);
        for place in 0..=chunk.len() {
            text.push(char::from(LETTERS[(held >> (18 - 6 * place)) & 63]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_is_that_of_rfc_4648() {
        for (plain, encoded) in [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg")] {
            assert_eq!(base64url(plain.as_bytes()), encoded);
        }
        assert_eq!(base64url(&[0xfb, 0xff]), "-_8");
    }
}
