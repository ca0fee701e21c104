//! A lane under a clock that only the test moves.
