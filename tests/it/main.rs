//! Integration tests: one binary, a module for each subject.

mod amocrm_adapter;
mod tidy;
