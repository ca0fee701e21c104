//! Decides, never does: no clock, randomness, network or database in here.
//!
//! Functions take what was seen and what is remembered and return what is to be done. The only
//! libraries used are pure ones (dates, phone numbers, text forms, templates, hashing).

pub mod action;
pub mod apply;
pub mod backfill;
pub mod check;
pub mod echo;
pub mod estimate;
pub mod fault;
pub mod fingerprint;
pub mod flex;
pub mod flips;
pub mod function;
pub mod gap;
pub mod guard;
pub mod hint;
pub mod id;
pub mod link;
pub mod merge;
pub mod model;
pub mod nearest;
pub mod note;
pub mod parked;
pub mod people;
pub mod plan;
pub mod policy;
pub mod probe;
pub mod propose;
pub mod retry;
pub mod run;
pub mod schedule;
pub mod seldom;
pub mod selector;
pub mod shape;
pub mod survey;
pub mod template;
pub mod text;
pub mod time;
pub mod token;
pub mod undo;
