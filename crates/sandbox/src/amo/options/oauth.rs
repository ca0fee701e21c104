//! The integration that may ask for tokens, and what the OAuth pages leave open.

/// How tokens are given. The default is what is documented, or seen where nothing is.
#[derive(Debug, Clone)]
pub struct OAuthOptions {
    /// The integration's id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// Its redirect address; a request must have the same, letter by letter.
    pub redirect_uri: String,
    /// The life of an access token, told as `expires_in`: a day.
    pub access_life_s: i64,
    /// The life of a refresh token that is not used: three months.
    pub refresh_life_s: i64,
    /// The life of a code: twenty minutes.
    pub code_life_s: i64,
    /// The form of access tokens.
    pub tokens: TokenForm,
    /// The status of a refusal: 400 is documented, 401 was seen.
    pub refusal: u16,
    /// Renewing ends the former access token at once; not documented.
    pub renewal_ends_access: bool,
    /// What the person on the page of consent answers.
    pub consents: bool,
    /// The answer of a host that the account has left.
    pub left_host: u16,
    /// Whether hosts tell where the account lives now.
    pub tells_host: ToldHost,
}

impl Default for OAuthOptions {
    fn default() -> Self {
        OAuthOptions {
            client_id: "5a1eb075-0000-4000-8000-00000000c11d".into(),
            client_secret: "sandbox-client-secret".into(),
            redirect_uri: "https://bridge.example.test/oauth".into(),
            access_life_s: 86_400,
            refresh_life_s: 90 * 86_400,
            code_life_s: 20 * 60,
            tokens: TokenForm::Jwt,
            refusal: 401,
            renewal_ends_access: false,
            consents: true,
            left_host: 404,
            tells_host: ToldHost::Both,
        }
    }
}

/// The form of access tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenForm {
    /// A JWT with the claims that were seen.
    Jwt,
    /// Letters without a meaning.
    Opaque,
}

/// Which of the two addresses tell where the account lives now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToldHost {
    /// Both.
    Both,
    /// Only the deprecated one.
    OldOnly,
    /// Neither.
    None,
}
