//! Who we are to amoCRM: a bearer token, wherever it comes from.

use crate::core::fault::Fault;
use crate::core::time::Millis;
use crate::core::token::{self, Standing, TokenState};
use crate::ports::env::Env;
use crate::remote::http::{Credentials, Renewal};
use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::sync::Arc;

/// Gives the access token in force.
#[async_trait]
pub trait TokenSource: Send + Sync {
    /// Sees to it that there is one, also by asking for it; called before a request waits for its permit.
    ///
    /// Errors: why there is none.
    async fn ready(&self) -> Result<(), Fault> {
        Ok(())
    }

    /// The token to send with the next request.
    async fn token(&self) -> Result<SecretString, Fault>;

    /// This token was refused, or the account is not at this address any more.
    async fn refused(&self, _sent: &SecretString) -> Renewal {
        Renewal::Unable
    }

    /// Where the account is, if no longer at its configured address: scheme and host.
    fn base(&self) -> Option<SecretString> {
        None
    }

    /// Does what is due without anybody asking: called every few seconds.
    async fn tend(&self) {}

    /// Waits for what must not be cut off.
    async fn settle(&self) {}

    /// How the token stands; none where nothing is known of it.
    fn standing(&self, _now: Millis) -> Option<Standing> {
        None
    }
}

/// A long-lived token: valid for one day to five years, cannot be renewed (OAuth page, long-lived tokens).
#[derive(Debug, Clone)]
pub struct LongLivedToken(pub SecretString);

#[async_trait]
impl TokenSource for LongLivedToken {
    async fn token(&self) -> Result<SecretString, Fault> {
        Ok(self.0.clone())
    }

    fn standing(&self, now: Millis) -> Option<Standing> {
        Some(token::long_lived(self.0.expose_secret(), now))
    }
}

/// A long-lived token that knows the time: once it has expired by its own claims, a refusal says so. It is sent all the
/// same, since it may be our clock that is wrong.
pub struct DatedToken {
    token: LongLivedToken,
    env: Arc<dyn Env>,
}

impl fmt::Debug for DatedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatedToken").finish_non_exhaustive()
    }
}

impl DatedToken {
    /// By this clock.
    pub fn new(token: SecretString, env: Arc<dyn Env>) -> DatedToken {
        DatedToken { token: LongLivedToken(token), env }
    }
}

#[async_trait]
impl TokenSource for DatedToken {
    async fn token(&self) -> Result<SecretString, Fault> {
        self.token.token().await
    }

    async fn refused(&self, _sent: &SecretString) -> Renewal {
        let standing = self.standing(self.env.now()).filter(|standing| standing.state == TokenState::Expired);
        standing.and_then(|standing| standing.note).map_or(Renewal::Unable, Renewal::Refused)
    }

    fn standing(&self, now: Millis) -> Option<Standing> {
        self.token.standing(now)
    }
}

/// A source that several know is one.
#[async_trait]
impl<S: TokenSource + ?Sized> TokenSource for Arc<S> {
    async fn ready(&self) -> Result<(), Fault> {
        (**self).ready().await
    }

    async fn token(&self) -> Result<SecretString, Fault> {
        (**self).token().await
    }

    async fn refused(&self, sent: &SecretString) -> Renewal {
        (**self).refused(sent).await
    }

    fn base(&self) -> Option<SecretString> {
        (**self).base()
    }

    async fn tend(&self) {
        (**self).tend().await;
    }

    async fn settle(&self) {
        (**self).settle().await;
    }

    fn standing(&self, now: Millis) -> Option<Standing> {
        (**self).standing(now)
    }
}

/// Sends a source's token as `Authorization: Bearer …`.
pub struct Bearer<S>(pub S);

#[async_trait]
impl<S: TokenSource> Credentials for Bearer<S> {
    async fn ready(&self) -> Result<(), Fault> {
        self.0.ready().await
    }

    async fn headers(&self) -> Result<Vec<(&'static str, SecretString)>, Fault> {
        let token = self.0.token().await?;
        Ok(vec![("authorization", SecretString::from(format!("{PREFIX}{}", token.expose_secret().trim())))])
    }

    async fn refused(&self, sent: &[(&'static str, SecretString)]) -> Renewal {
        let sent = sent.iter().find_map(|(_, value)| value.expose_secret().strip_prefix(PREFIX));
        match sent {
            Some(token) => self.0.refused(&SecretString::from(token)).await,
            None => Renewal::Unable,
        }
    }

    fn base(&self) -> Option<SecretString> {
        self.0.base()
    }
}

const PREFIX: &str = "Bearer ";
