//! One request and what is needed to answer it.

use super::options::AmoOptions;
use crate::http::Request;

/// One request and what is needed to answer it.
pub(super) struct Call<'a> {
    /// How this amoCRM behaves.
    pub(super) options: &'a AmoOptions,
    /// The request itself.
    pub(super) request: &'a Request,
    /// The service's clock, in Unix milliseconds.
    pub(super) now_ms: i64,
    /// The user the token belongs to.
    pub(super) author: u64,
}

impl Call<'_> {
    /// The service's clock, in Unix seconds.
    pub(super) fn now_s(&self) -> i64 {
        self.now_ms.div_euclid(1_000)
    }

    /// The values of the query parameters `name`, `name[]` and `name[0]`.
    pub(super) fn list<'c>(&'c self, name: &'c str) -> impl Iterator<Item = &'c str> {
        let named = move |key: &str| {
            let Some(rest) = key.strip_prefix(name) else {
                return false;
            };
            let index = rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            rest.is_empty() || index.is_some_and(|i| i.bytes().all(|byte| byte.is_ascii_digit()))
        };
        self.request.query.iter().filter(move |(key, _)| named(key)).map(|(_, value)| value.as_str())
    }

    /// Whether `with` names this addition.
    pub(super) fn has_with(&self, name: &str) -> bool {
        self.list("with").flat_map(|with| with.split(',')).any(|with| with.trim() == name)
    }
}
