//! Tests and properties of the three-way merge.
