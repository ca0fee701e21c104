//! Whose token it is and what it may: asked by `doctor` and `init`, and of no use to the engine.

use super::fault;
use super::loose::{Maybe, Text, Whole, decode};
use super::page::server_time;
use crate::core::fault::{Fault, FaultKind};
use crate::core::time::Millis;
use crate::ports::env::Env;
use crate::ports::remote::Priority;
use crate::remote::http::{Call, Credentials, RawAnswer, Sender, Transport};
use crate::remote::lane::Lane;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The users of an account in v4; one of them stands under its id.
const USERS_V4: &str = "/api/v4/users";

/// What an account says to the holder of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The account's id.
    pub account: u64,
    /// Its name.
    pub name: String,
    /// The first word of its address.
    pub subdomain: String,
    /// In whose name the token acts; none where the answer does not tell.
    pub user: Option<TokenUser>,
    /// The server's clock when it answered.
    pub server_time: Option<Millis>,
}

/// The user a token belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenUser {
    /// Its id.
    pub id: u64,
    /// Its name, where told.
    pub name: Option<String>,
    /// Whether it may change settings, where told.
    pub is_admin: Option<bool>,
    /// What it may do with records: `contact_edit` → `A` everything, `M` its own, `G` its group's, `D` nothing
    /// (v2 account page). Empty where not told.
    pub rights: BTreeMap<String, String>,
}

/// Asks an account about itself.
#[derive(Debug)]
pub struct Inquiry {
    sender: Sender,
    is_v4: bool,
}

impl Inquiry {
    /// `url` is the account's address; `lane` the account's own; `is_v4` the version that is asked.
    pub fn new(
        url: &str,
        credentials: Arc<dyn Credentials>,
        transport: Arc<dyn Transport>,
        lane: Arc<Lane>,
        env: Arc<dyn Env>,
        is_v4: bool,
    ) -> Inquiry {
        let base = SecretString::from(url.trim_end_matches('/'));
        Inquiry { sender: Sender::new("amocrm", base, credentials, transport, lane, env, fault::outcome), is_v4 }
    }

    /// Asks whose token it is: one request, in v4 a second one about the user.
    ///
    /// Errors as for any read; an answer that is no account is [`FaultKind::Broken`].
    pub async fn standing(&self) -> Result<Standing, Fault> {
        if self.is_v4 { self.standing_v4().await } else { self.standing_v2().await }
    }

    async fn get(&self, path: String, route: &'static str, with: Option<&str>) -> Result<RawAnswer, Fault> {
        let query = with.map(|with| ("with".to_owned(), with.to_owned())).into_iter().collect();
        let answer = self.sender.call(Call { query, ..Call::get(path, route, Priority::Person) }).await?;
        match fault::fault(&answer, true, self.sender.now()) {
            Some(fault) => Err(fault),
            None => Ok(answer),
        }
    }

    /// v2 account page: `current_user`, and the users with their rights under `_embedded`.
    async fn standing_v2(&self) -> Result<Standing, Fault> {
        let path = "/api/v2/account";
        let answer = self.get(path.to_owned(), path, Some("users")).await?;
        let row: AccountRow = read(&answer)?;
        let id = row.current_user.positive();
        let users = row.embedded.0.and_then(|parts| parts.users.0).unwrap_or_default();
        let known = id.and_then(|id| users.get(&id.to_string()).cloned());
        let user = id.map(|id| token_user(id, known.and_then(|row| decode(&row.to_string()).ok()), false));
        standing(row.id, row.name, row.subdomain, user, &answer)
    }

    /// v4 account page: `current_user_id`; v4 users page: a user by id, shown to administrators.
    async fn standing_v4(&self) -> Result<Standing, Fault> {
        let path = "/api/v4/account";
        let answer = self.get(path.to_owned(), path, None).await?;
        let row: AccountRow = read(&answer)?;
        let user = match row.current_user_id.positive() {
            Some(id) => Some(self.user_v4(id).await),
            None => None,
        };
        standing(row.id, row.name, row.subdomain, user, &answer)
    }

    /// The user, as far as it is shown.
    async fn user_v4(&self, id: u64) -> TokenUser {
        let answer = self.get(format!("{USERS_V4}/{id}"), USERS_V4, None).await;
        let row = answer.ok().filter(RawAnswer::looks_like_json).and_then(|answer| read::<UserRow>(&answer).ok());
        token_user(id, row, true)
    }
}

fn standing(
    id: Whole,
    name: Text,
    subdomain: Text,
    user: Option<TokenUser>,
    answer: &RawAnswer,
) -> Result<Standing, Fault> {
    let account = id.positive().ok_or_else(|| Fault::new(FaultKind::Broken, "the answer is no account of amoCRM"))?;
    let server_time = server_time(answer);
    Ok(Standing { account, name: name.or_empty(), subdomain: subdomain.or_empty(), user, server_time })
}

fn read<T: serde::de::DeserializeOwned>(answer: &RawAnswer) -> Result<T, Fault> {
    if answer.status != 200 || !answer.looks_like_json() {
        return Err(Fault::new(FaultKind::Broken, "the answer is no account of amoCRM"));
    }
    decode(&String::from_utf8_lossy(&answer.body))
        .map_err(|error| Fault::new(FaultKind::Broken, format!("the answer cannot be read: {}", error.reason)))
}

fn token_user(id: u64, row: Option<UserRow>, is_v4: bool) -> TokenUser {
    let Some(row) = row else { return TokenUser { id, name: None, is_admin: None, rights: BTreeMap::new() } };
    let rights = row.rights.0.unwrap_or_default();
    let is_admin = if is_v4 { truth(rights.get("is_admin")) } else { row.is_admin.0.map(|yes| yes != 0) };
    let rights = if is_v4 { rights_v4(&rights) } else { rights_v2(&rights) };
    TokenUser { id, name: row.name.filled(), is_admin, rights }
}

fn truth(value: Option<&Value>) -> Option<bool> {
    value.and_then(|value| value.as_bool().or_else(|| value.as_i64().map(|number| number != 0)))
}

/// `{"contact_edit":"A"}`
fn rights_v2(rights: &serde_json::Map<String, Value>) -> BTreeMap<String, String> {
    rights.iter().filter_map(|(name, right)| Some((name.clone(), right.as_str()?.to_owned()))).collect()
}

/// `{"contacts":{"edit":"A"}}`, told in the words of v2.
fn rights_v4(rights: &serde_json::Map<String, Value>) -> BTreeMap<String, String> {
    let mut told = BTreeMap::new();
    for (list, record) in [("contacts", "contact"), ("leads", "lead")] {
        for (verb, right) in rights.get(list).and_then(Value::as_object).into_iter().flatten() {
            told.extend(right.as_str().map(|right| (format!("{record}_{verb}"), right.to_owned())));
        }
    }
    told
}

#[derive(Deserialize)]
struct AccountRow {
    #[serde(default)]
    id: Whole,
    #[serde(default)]
    name: Text,
    #[serde(default)]
    subdomain: Text,
    #[serde(default)]
    current_user: Whole,
    #[serde(default)]
    current_user_id: Whole,
    #[serde(default, rename = "_embedded")]
    embedded: Maybe<Parts>,
}

#[derive(Deserialize)]
struct Parts {
    #[serde(default)]
    users: Maybe<BTreeMap<String, Value>>,
}

#[derive(Deserialize)]
struct UserRow {
    #[serde(default)]
    name: Text,
    #[serde(default)]
    is_admin: Whole,
    #[serde(default)]
    rights: Maybe<serde_json::Map<String, Value>>,
}
