//! Who we are to amoCRM: a bearer token, wherever it comes from.

use crate::core::fault::Fault;
use crate::remote::http::Credentials;
use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};

/// Gives the access token in force.
#[async_trait]
pub trait TokenSource: Send + Sync {
    /// The token to send with the next request.
    async fn token(&self) -> Result<SecretString, Fault>;

    /// The token was refused. True when another one is in force now.
    async fn renew(&self) -> bool {
        false
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
}

/// Sends a source's token as `Authorization: Bearer …`.
pub struct Bearer<S>(pub S);

#[async_trait]
impl<S: TokenSource> Credentials for Bearer<S> {
    async fn headers(&self) -> Result<Vec<(&'static str, SecretString)>, Fault> {
        let token = self.0.token().await?;
        Ok(vec![("authorization", SecretString::from(format!("Bearer {}", token.expose_secret().trim())))])
    }

    async fn renew(&self) -> bool {
        self.0.renew().await
    }
}
