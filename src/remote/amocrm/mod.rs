//! amoCRM: one port, two versions of its API.
//!
//! [`AmoV2`] and [`AmoV4`] are the same to the engine. What both do alike stands in the files beside this one: reading
//! what the service really sends, what its errors mean, how batches are cut and answered. `v2` and `v4` hold what
//! differs: addresses, names of members, paging, the form of values.

mod auth;
mod batch;
mod fault;
mod inquiry;
mod loose;
mod oauth;
mod page;
mod tasks;
mod v2;
mod v4;

mod values;
mod watch;
mod writing;

pub use auth::{Bearer, DatedToken, LongLivedToken, TokenSource};
pub use inquiry::{Inquiry, Standing, TokenUser};
pub use oauth::{Integration, OAuth, Pair, PairError, Parts as OAuthParts, Tokens, kept, obtain};
pub use v2::AmoV2;
pub use v4::AmoV4;
pub use watch::{Dialect, Watcher};
