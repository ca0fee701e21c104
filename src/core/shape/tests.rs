//! Tests of reading, comparing and writing values.
