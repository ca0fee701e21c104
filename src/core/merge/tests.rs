//! Tests and properties of the three-way merge.

mod first_sight;
mod lists;
mod properties;
mod singles;
mod world;
