//! Everything that is tested from outside of the modules: one binary, one file a subject.

mod tidy;
