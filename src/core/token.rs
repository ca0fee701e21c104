//! What an access token tells of itself, and how long it is good for.
//!
//! amoCRM's tokens are JWTs (claims as seen: `aud, jti, iat, nbf, exp, sub, account_id, base_domain, api_domain` …).
//! They are read, never verified: amoCRM does that. A token in another form works as well, it only tells nothing.

use super::time::Millis;
use serde::{Deserialize, Serialize};
use serde_json::Value;

const DAY_MS: i64 = 86_400_000;
/// A refresh token that is not used dies after three months (OAuth page), which are 89 days at least.
pub const REFRESH_LIFE_MS: i64 = 89 * DAY_MS;
/// An end that a human must prevent is announced so early.
pub const WARN_MS: i64 = 14 * DAY_MS;
/// An access token is renewed so early …
const RENEW_MS: i64 = 15 * 60_000;
/// … or when less than this part of its life is left, whichever is later.
const RENEW_PART: i64 = 4;
/// Longest token that is read: real ones have about a kilobyte.
const TOKEN_BYTES_MAX: usize = 64 * 1024;

/// What a JWT says. Claims that are missing or odd are left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Claims {
    /// When it was issued: `iat`.
    pub issued_at: Option<Millis>,
    /// When it ends: `exp`.
    pub expires_at: Option<Millis>,
    /// The host that knows where the account lives: `api_domain`, `api-b.amocrm.ru`.
    pub api_domain: Option<String>,
}

/// Reads the claims; none for a token that is no JWT.
pub fn claims(token: &str) -> Option<Claims> {
    if token.len() > TOKEN_BYTES_MAX {
        return None;
    }
    let mut parts = token.trim().split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let payload: Value = serde_json::from_slice(&base64url(payload)?).ok()?;
    let payload = payload.as_object()?;
    let moment = |name: &str| payload.get(name).and_then(seconds).map(Millis::from_seconds);
    let api_domain = payload.get("api_domain").and_then(Value::as_str).filter(|domain| is_host(domain));
    Some(Claims {
        issued_at: moment("iat"),
        expires_at: moment("exp"),
        api_domain: api_domain.map(str::to_ascii_lowercase),
    })
}

/// When a token ends by its own claims; none where it does not tell.
pub fn expiry(token: &str) -> Option<Millis> {
    claims(token)?.expires_at
}

/// Unix seconds as a number, whole or not, or as a text. Moments beyond the year 9999 are none.
fn seconds(value: &Value) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked below")]
    let whole = |number: f64| number.floor() as i64;
    let number = match value {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(whole)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|seconds| (1..253_402_300_800).contains(seconds))
}

/// True for what can stand between `https://` and the path: a host, perhaps with a port.
pub fn is_host(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':');
    !text.is_empty() && text.len() <= 255 && text.chars().all(fits)
}

/// The alphabet of RFC 4648 §5, padded or not.
fn base64url(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut held, mut bits) = (Vec::new(), 0_u32, 0_u32);
    for letter in text.trim_end_matches('=').bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'-' | b'+' => 62,
            b'_' | b'/' => 63,
            _ => return None,
        };
        held = (held << 6) | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((held >> bits) & 0xff).ok()?);
            held &= (1 << bits) - 1;
        }
    }
    Some(bytes)
}

/// When an access token is to be renewed: a quarter of an hour before its end, or when three quarters of a short life are
/// over.
pub fn renew_at(obtained_at: Millis, expires_at: Millis) -> Millis {
    let ahead_ms = RENEW_MS.min(expires_at.since(obtained_at).max(0) / RENEW_PART);
    expires_at.minus(ahead_ms)
}

/// How requests to amoCRM are authorised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    /// A pair that renews itself.
    Oauth,
    /// One token, good for up to five years.
    LongLived,
}

/// How a token stands, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenState {
    /// Nothing is to be done.
    Ok,
    /// It works, and a human must act before it ends.
    Expiring,
    /// Its time is over, and nothing renews it.
    Expired,
    /// There is none yet.
    Missing,
    /// amoCRM refuses to renew it.
    Refused,
    /// It was sent to be renewed and no answer came: whether it still can be is found out.
    Uncertain,
}

/// A token as `status` and the health page show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What it is.
    pub kind: TokenKind,
    /// How it stands.
    pub state: TokenState,
    /// Since when it is ours, or when it was issued; none: not known.
    pub obtained_at: Option<Millis>,
    /// When the access token ends.
    pub expires_at: Option<Millis>,
    /// When the refresh token dies of disuse.
    pub refresh_expires_at: Option<Millis>,
    /// What happened and what to do; none: nothing.
    pub note: Option<String>,
}

/// How a long-lived token stands: its end is in its own claims, where they can be read.
pub fn long_lived(token: &str, now: Millis) -> Standing {
    let claims = claims(token).unwrap_or_default();
    let left_ms = claims.expires_at.map(|end| end.since(now));
    let (state, begins) = match left_ms {
        Some(left_ms) if left_ms <= 0 => (TokenState::Expired, "amoCRM's token has expired"),
        Some(left_ms) if left_ms <= WARN_MS => (TokenState::Expiring, "amoCRM's token expires"),
        _ => (TokenState::Ok, ""),
    };
    let note = claims.expires_at.filter(|_| state != TokenState::Ok).map(|end| {
        format!("{begins} on {}: make a new one on the Keys tab of the integration, write it where amo.token is kept, restart the daemon", day(end))
    });
    Standing {
        kind: TokenKind::LongLived,
        state,
        obtained_at: claims.issued_at,
        expires_at: claims.expires_at,
        refresh_expires_at: None,
        note,
    }
}

/// A pair as far as time is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PairTimes {
    /// When it was obtained.
    pub obtained_at: Millis,
    /// When its access token ends.
    pub expires_at: Millis,
}

/// What stands in the way of renewing a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// It was sent at this time, and no answer came.
    Unanswered(Millis),
    /// amoCRM refused, with these words.
    Refused(String),
}

/// How a pair stands. `bridge` is for what to type.
pub fn oauth(bridge: &str, pair: Option<PairTimes>, trouble: Option<&Trouble>, now: Millis) -> Standing {
    let remedy = format!("authorise again: salebridge auth login --bridge {bridge}");
    let Some(pair) = pair else {
        return Standing {
            kind: TokenKind::Oauth,
            state: TokenState::Missing,
            obtained_at: None,
            expires_at: None,
            refresh_expires_at: None,
            note: Some(format!("amoCRM was not authorised yet: salebridge auth login --bridge {bridge}")),
        };
    };
    let dies_at = pair.obtained_at.plus(REFRESH_LIFE_MS);
    let end = match pair.expires_at > now {
        true => format!("the access token works until {}", minute(pair.expires_at)),
        false => "the access token has expired".to_owned(),
    };
    let (state, note) = match trouble {
        Some(Trouble::Refused(words)) => {
            (TokenState::Refused, Some(format!("amoCRM does not renew the token ({words}), {end}; {remedy}")))
        }
        Some(Trouble::Unanswered(since)) => {
            let note = format!(
                "the token was sent to be renewed at {} and no answer came, {end}; it is tried again",
                minute(*since)
            );
            (TokenState::Uncertain, Some(note))
        }
        None if dies_at <= now => {
            let note = format!("the refresh token was not used for three months and is dead by now; {remedy}");
            (TokenState::Expired, Some(note))
        }
        None if dies_at.since(now) <= WARN_MS => {
            let note = format!(
                "the refresh token dies on {}, three months after its last use: start the daemon before that, or {remedy}",
                day(dies_at)
            );
            (TokenState::Expiring, Some(note))
        }
        None => (TokenState::Ok, None),
    };
    Standing {
        kind: TokenKind::Oauth,
        state,
        obtained_at: Some(pair.obtained_at),
        expires_at: Some(pair.expires_at),
        refresh_expires_at: Some(dies_at),
        note,
    }
}

fn day(at: Millis) -> String {
    jiff::Timestamp::from_millisecond(at.0).map(|at| at.strftime("%Y-%m-%d").to_string()).unwrap_or_default()
}

fn minute(at: Millis) -> String {
    jiff::Timestamp::from_millisecond(at.0).map(|at| at.strftime("%Y-%m-%d %H:%M UTC").to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const NOW: Millis = Millis(1_760_000_000_000);

    /// `{"exp":1767225600,"iat":"1760000000.","api_domain":"API-B.amocrm.ru"}` and the like, encoded here.
    fn jwt(payload: &str) -> String {
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut text = String::new();
        for chunk in payload.as_bytes().chunks(3) {
            let mut held = 0_usize;
            (0..3).for_each(|at| held = (held << 8) | usize::from(chunk.get(at).copied().unwrap_or(0)));
            (0..=chunk.len()).for_each(|at| text.push(char::from(LETTERS[(held >> (18 - 6 * at)) & 63])));
        }
        format!("eyJhbGciOiJSUzI1NiJ9.{text}.signature")
    }

    #[test]
    fn claims_are_read_leniently() {
        let token = jwt(r#"{"exp":1767225600,"iat":"1760000000","api_domain":"API-B.amocrm.ru","имя":"Анна"}"#);
        let read = claims(&token).unwrap();
        assert_eq!(read.expires_at, Some(Millis(1_767_225_600_000)));
        assert_eq!(read.issued_at, Some(Millis(1_760_000_000_000)));
        assert_eq!(read.api_domain.as_deref(), Some("api-b.amocrm.ru"));
        let odd = jwt(r#"{"exp":1767225600.75,"iat":[],"api_domain":"evil/path@x"}"#);
        let read = claims(&odd).unwrap();
        assert_eq!((read.expires_at, read.issued_at), (Some(Millis(1_767_225_600_000)), None));
        assert_eq!(read.api_domain, None);
        assert_eq!(claims(&jwt(r#"{"exp":9e300}"#)).unwrap().expires_at, None);
    }

    #[rstest]
    #[case("")]
    #[case("opaque-token")]
    #[case("a.b")]
    #[case("a.!!!.c")]
    #[case("a.AAAA.c")]
    #[case("..")]
    #[case("a.e30.c.d")]
    fn what_is_no_jwt_tells_nothing(#[case] token: &str) {
        assert_eq!(claims(token), None);
        assert_eq!(long_lived(token, NOW).state, TokenState::Ok);
    }

    #[rstest]
    #[case(15, TokenState::Ok)]
    #[case(14, TokenState::Expiring)]
    #[case(0, TokenState::Expired)]
    fn a_long_lived_token_is_announced_two_weeks_ahead(#[case] days_left: i64, #[case] state: TokenState) {
        let end = NOW.plus(days_left * DAY_MS).seconds();
        let standing = long_lived(&jwt(&format!("{{\"exp\":{end}}}")), NOW);
        assert_eq!(standing.state, state);
        assert_eq!(standing.note.is_some(), state != TokenState::Ok);
    }

    #[test]
    fn renewal_is_ahead_of_the_end_and_short_lives_are_not_renewed_at_once() {
        assert_eq!(renew_at(NOW, NOW.plus(DAY_MS)), NOW.plus(DAY_MS - RENEW_MS));
        assert_eq!(renew_at(NOW, NOW.plus(20_000)), NOW.plus(15_000));
        assert_eq!(renew_at(NOW, NOW.minus(5)), NOW.minus(5));
    }

    #[test]
    fn a_pair_that_nobody_uses_is_announced_and_a_refused_one_says_what_to_do() {
        let pair = |age_days: i64| {
            let obtained_at = NOW.minus(age_days * DAY_MS);
            Some(PairTimes { obtained_at, expires_at: obtained_at.plus(DAY_MS) })
        };
        let state = |age_days| oauth("shop", pair(age_days), None, NOW).state;
        assert_eq!(
            [state(1), state(74), state(75), state(89)].map(|state| state == TokenState::Ok),
            [true, true, false, false]
        );
        assert_eq!([state(75), state(89)], [TokenState::Expiring, TokenState::Expired]);
        assert_eq!(oauth("shop", None, None, NOW).state, TokenState::Missing);
        for trouble in [Trouble::Refused("Token has been revoked".to_owned()), Trouble::Unanswered(NOW)] {
            let note = oauth("shop", pair(0), Some(&trouble), NOW).note.unwrap();
            assert!(note.contains("works until 2025-10-10"), "{note}");
        }
        let dead = oauth("shop", pair(3), Some(&Trouble::Refused("x".to_owned())), NOW).note.unwrap();
        assert!(
            dead.contains("has expired") && dead.contains("authorise again: salebridge auth login --bridge shop"),
            "{dead}"
        );
    }
}
