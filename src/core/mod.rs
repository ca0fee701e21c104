//! Decides, never does: no clock, randomness, network or database in here.
//!
//! Functions take what was seen and what is remembered and return what is to be done. The only
//! libraries used are pure ones (dates, phone numbers, text forms, templates, hashing).

pub mod action;
pub mod fault;
pub mod flex;
pub mod id;
pub mod link;
pub mod model;
pub mod people;
pub mod policy;
pub mod selector;
pub mod time;
