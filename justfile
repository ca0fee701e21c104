# The checks of .ci/run one by one; `just` alone lists them. No check exists only there.

set shell := ["bash", "-euo", "pipefail", "-c"]

# List the commands.
default:
    @just --list

# Everything CI does, in its order.
ci:
    .ci/run

# Format the tree.
format:
    cargo fmt --all

# The form of the code.
fmt-check:
    cargo fmt --all --check

# Lints, every warning an error.
clippy:
    cargo clippy --locked --all-targets -- -D warnings

# The documentation, every warning an error.
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

# All tests.
test:
    cargo test --locked

# Both sandboxes and the daemon between them, with a verdict at the end.
demo:
    cargo run --locked -- demo

# The example configurations.
config:
    cargo run --locked -- config check --no-secrets config/salebridge.toml
    cargo run --locked -- config check --no-secrets config/default.toml

# Licences, bans and sources of the libraries (needs cargo-deny).
deny:
    cargo deny check licenses bans sources

# What systemd makes of the service's rights (needs systemd).
units:
    systemd-analyze security --offline=true systemd/salebridge.service
    systemd-analyze security --offline=true systemd/salebridge-backfill@.service
