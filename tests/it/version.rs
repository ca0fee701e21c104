//! The version of amoCRM's API that tests speak where they do not name one: v2, or what `TEST_API` says.

use std::sync::OnceLock;

/// `v2` or `v4`.
pub fn spoken() -> &'static str {
    static SPOKEN: OnceLock<&'static str> = OnceLock::new();
    SPOKEN.get_or_init(|| match std::env::var("TEST_API").as_deref() {
        Err(_) | Ok("v2") => "v2",
        Ok("v4") => "v4",
        Ok(other) => panic!("TEST_API is v2 or v4, not {other}"),
    })
}

/// The method that changes records.
pub fn changing() -> &'static str {
    if spoken() == "v2" { "POST" } else { "PATCH" }
}
