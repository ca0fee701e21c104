//! The functions a bot can call, under the names and with the arguments of the integration that Salebot had once.
//!
//! - [`catalog`]: their names, the order of their arguments, which can be left out.
//! - [`arguments`]: what came over the wire, in any of the forms in which bots send it.
//! - [`call`]: a function with its arguments understood; what is stored and carried out.
//! - [`once`]: the same call once more.
//! - [`effect`]: from what a call wants to the edits of a record as it is now.
//! - [`answer`]: flat JSON, as a bot's block can take it apart.
//! - [`report`]: answers to the functions that only read.

pub mod answer;
pub mod arguments;
pub mod call;
pub mod catalog;
pub mod effect;
pub mod once;
pub mod report;

pub use answer::Answer;
pub use arguments::Arguments;
pub use call::{Call, LEFT, TOLD, WAITING_MAX, Wanted, Work};
pub use catalog::Function;
