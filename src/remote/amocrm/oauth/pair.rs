//! A pair of tokens: as the endpoint answers it, and as the store keeps it.
//!
//! Three texts, each with one writer, so that nobody overwrites what another one stored: commands write the pair a human
//! obtained, the daemon what became of it since, and what stands in the way of renewing it.

use crate::core::time::Millis;
use crate::core::token::{self, PairTimes, Trouble};
use crate::ports::store::{Change, Store, Stored};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fmt;

/// The pair that `auth login` or `auth import` obtained.
const GIVEN: &str = "amo_token_given";
/// What the one that drives the bridge made of it.
const RENEWED: &str = "amo_token_renewed";
/// What stands in the way of renewing it.
const TROUBLE: &str = "amo_token_trouble";
/// The life of an access token whose answer does not tell it (OAuth page).
const LIFE_S: i64 = 86_400;
/// Longest life that is believed.
const LIFE_S_MAX: i64 = 10 * 365 * 86_400;

/// An access token, and the refresh token that gets the next one, once.
#[derive(Clone)]
pub struct Pair {
    /// Names the login it descends from; tells nothing of the tokens.
    given: String,
    pub(super) access: SecretString,
    pub(super) refresh: SecretString,
    /// When it was asked for.
    pub obtained_at: Millis,
    /// When the access token ends.
    pub expires_at: Millis,
    /// The account's hosts, before and after it was renamed.
    pub(super) moved: Option<Moved>,
}

/// An account that has another address than the one it was configured with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Moved {
    pub(super) from: String,
    pub(super) to: String,
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair").field("given", &self.given).field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// Why a text is no answer of the token endpoint. Quotes nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PairError {
    /// Not JSON, or no object.
    #[error("it is no JSON object")]
    NoObject,
    /// A token is not there, or has characters that no token has.
    #[error("it has no usable {0}")]
    NoToken(&'static str),
}

impl Pair {
    /// Reads `{"token_type":"Bearer","expires_in":86400,"access_token":"…","refresh_token":"…"}` (OAuth page).
    /// `asked_at` is when it was asked for, or now where that is not known; the token's own end counts if it is earlier.
    pub fn read(text: &[u8], asked_at: Millis) -> Result<Pair, PairError> {
        let value: Value = serde_json::from_slice(text).map_err(|_| PairError::NoObject)?;
        let object = value.as_object().ok_or(PairError::NoObject)?;
        let token = |name: &'static str| {
            let text = object.get(name).and_then(Value::as_str).map(str::trim);
            let text = text.filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()));
            text.map(str::to_owned).ok_or(PairError::NoToken(name))
        };
        let (access, refresh) = (token("access_token")?, token("refresh_token")?);
        let life_s = match object.get("expires_in") {
            Some(Value::Number(number)) => number.as_i64(),
            Some(Value::String(text)) => text.trim().parse().ok(),
            _ => None,
        };
        let own_end = token::expiry(&access);
        let life_s = life_s.filter(|seconds| *seconds > 0).unwrap_or(LIFE_S).min(LIFE_S_MAX);
        let told_end = Millis(asked_at.0.saturating_add(life_s * 1000));
        // Without a life of its own in the answer, the token's claim is all there is.
        let expires_at = own_end.filter(|end| *end < told_end && *end > asked_at).unwrap_or(told_end);
        Ok(Pair {
            given: fingerprint(&refresh),
            access: access.into(),
            refresh: refresh.into(),
            obtained_at: asked_at,
            expires_at,
            moved: None,
        })
    }

    /// The next one of the same login.
    pub(super) fn follows(self, former: &Pair, moved: Option<Moved>) -> Pair {
        Pair { given: former.given.clone(), moved, ..self }
    }

    pub(super) fn is(&self, other: &Pair) -> bool {
        self.access.expose_secret() == other.access.expose_secret()
            && self.refresh.expose_secret() == other.refresh.expose_secret()
    }

    /// As far as time is concerned.
    pub fn times(&self) -> PairTimes {
        PairTimes { obtained_at: self.obtained_at, expires_at: self.expires_at }
    }

    /// How the store keeps a pair that a human obtained: it replaces whatever was there, unless that came of this very one.
    pub fn given(&self) -> Change {
        Change::PutText(GIVEN, self.text())
    }

    /// How the store keeps a pair that was renewed. What stood in the way is over.
    pub(super) fn renewed(&self) -> Vec<Change> {
        vec![Change::PutText(RENEWED, self.text()), Change::PutText(TROUBLE, String::new())]
    }

    fn text(&self) -> String {
        let kept = KeptPair {
            given: self.given.clone(),
            access_token: self.access.expose_secret().to_owned(),
            refresh_token: self.refresh.expose_secret().to_owned(),
            obtained_at: self.obtained_at,
            expires_at: self.expires_at,
            moved: self.moved.clone(),
        };
        // A struct of texts and numbers always has a JSON form.
        serde_json::to_string(&kept).unwrap_or_default()
    }

    fn from_text(text: &str) -> Option<Pair> {
        let kept: KeptPair = serde_json::from_str(text).ok()?;
        Some(Pair {
            given: kept.given,
            access: kept.access_token.into(),
            refresh: kept.refresh_token.into(),
            obtained_at: kept.obtained_at,
            expires_at: kept.expires_at,
            moved: kept.moved,
        })
    }
}

/// A pair in the store.
#[derive(Serialize, Deserialize)]
struct KeptPair {
    given: String,
    access_token: String,
    refresh_token: String,
    obtained_at: Millis,
    expires_at: Millis,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    moved: Option<Moved>,
}

/// Trouble in the store.
#[derive(Serialize, Deserialize)]
struct KeptTrouble {
    /// Which refresh token it is about.
    of: String,
    since: Millis,
    /// amoCRM's words; none: it did not answer.
    refused: Option<String>,
}

/// What the store keeps for a bridge.
#[derive(Debug, Clone, Default)]
pub struct Tokens {
    /// The pair in force.
    pub pair: Option<Pair>,
    /// What stands in the way of renewing it.
    pub trouble: Option<Trouble>,
}

/// Reads what the store keeps. A text that cannot be read counts as none.
pub async fn kept(store: &dyn Store, bridge: &str) -> Stored<Tokens> {
    let read = |text: Option<String>| text.and_then(|text| Pair::from_text(&text));
    let Some(given) = read(store.text(bridge, GIVEN).await?) else { return Ok(Tokens::default()) };
    let renewed = read(store.text(bridge, RENEWED).await?).filter(|renewed| renewed.given == given.given);
    let pair = renewed.unwrap_or(given);
    let trouble = store.text(bridge, TROUBLE).await?.unwrap_or_default();
    let trouble = serde_json::from_str::<KeptTrouble>(&trouble).ok();
    let trouble = trouble.filter(|trouble| trouble.of == fingerprint(pair.refresh.expose_secret()));
    let trouble = trouble.map(|trouble| match trouble.refused {
        Some(words) => Trouble::Refused(words),
        None => Trouble::Unanswered(trouble.since),
    });
    Ok(Tokens { pair: Some(pair), trouble })
}

/// How the store keeps what stands in the way of renewing a pair; none: nothing does.
pub(super) fn keep_trouble(pair: &Pair, trouble: Option<&Trouble>, now: Millis) -> Change {
    let (since, refused) = match trouble {
        None => return Change::PutText(TROUBLE, String::new()),
        Some(Trouble::Unanswered(since)) => (*since, None),
        Some(Trouble::Refused(words)) => (now, Some(words.clone())),
    };
    let kept = KeptTrouble { of: fingerprint(pair.refresh.expose_secret()), since, refused };
    Change::PutText(TROUBLE, serde_json::to_string(&kept).unwrap_or_default())
}

/// Names a token without telling it.
fn fingerprint(token: &str) -> String {
    Sha256::digest(token.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_760_000_000_000);

    #[test]
    fn answers_are_read_leniently_and_nothing_is_quoted() {
        let read = |text: &str| Pair::read(text.as_bytes(), NOW);
        let whole = read(r#"{"expires_in":"3600","access_token":" a ","refresh_token":"r","server_time":1}"#).unwrap();
        assert_eq!((whole.access.expose_secret(), whole.expires_at), ("a", NOW.plus(3_600_000)));
        let bare = read(r#"{"access_token":"a","refresh_token":"r","expires_in":-5}"#).unwrap();
        assert_eq!(bare.expires_at, NOW.plus(86_400_000));
        for (text, error) in [
            ("no json r-secret", PairError::NoObject),
            ("[\"r-secret\"]", PairError::NoObject),
            (r#"{"access_token":"a-secret"}"#, PairError::NoToken("refresh_token")),
            (r#"{"access_token":"a\nb","refresh_token":"r"}"#, PairError::NoToken("access_token")),
            (r#"{"access_token":7,"refresh_token":"r"}"#, PairError::NoToken("access_token")),
        ] {
            let found = read(text).unwrap_err();
            assert!(found == error && !found.to_string().contains("secret"), "{found}");
        }
        assert!(
            !format!("{:?}", read(r#"{"access_token":"a-secret","refresh_token":"r-secret"}"#)).contains("-secret")
        );
    }
}
