//! What an access token tells without anybody being asked.

use super::time::Millis;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// When a token ends, where it is a JWT that says so: claim `exp`, Unix seconds (claims seen in amoCRM's tokens).
///
/// The signature is not checked: only the service can. None for a token of any other form.
pub fn expiry(token: &str) -> Option<Millis> {
    let mut parts = token.trim().split('.');
    let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&claims).ok()?;
    let exp = claims.get("exp")?;
    let seconds = exp.as_i64().or_else(|| exp.as_str()?.trim().parse().ok())?;
    (parts.next().is_none() && (1..=SECONDS_MAX).contains(&seconds)).then(|| Millis::from_seconds(seconds))
}

/// The year 9999: what is later is no time.
const SECONDS_MAX: i64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &str) -> String {
        format!("eyJ0eXAiOiJKV1QifQ.{}.c2lnbmF0dXJl", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn the_end_is_read_from_the_claims() {
        let end = Some(Millis::from_seconds(1_900_000_000));
        assert_eq!(expiry(&token(r#"{"aud":"x","exp":1900000000,"account_id":9}"#)), end);
        assert_eq!(expiry(&token(r#"{"exp":"1900000000"}"#)), end);
        assert_eq!(expiry(&format!(" {}\n", token(r#"{"exp":1900000000}"#))), end);
    }

    #[test]
    fn what_is_no_such_token_has_no_end() {
        for text in ["", "sandbox-token", "a.b.c", "..", "a.b", &"x.".repeat(1000)] {
            assert_eq!(expiry(text), None, "{text}");
        }
        for claims in ["{}", r#"{"exp":null}"#, r#"{"exp":-5}"#, r#"{"exp":1e300}"#, "[]", r#"{"exp":99999999999999}"#]
        {
            assert_eq!(expiry(&token(claims)), None, "{claims}");
        }
        assert_eq!(expiry(&format!("{}.x", token(r#"{"exp":1900000000}"#))), None);
    }
}
