#!/usr/bin/env bash
# Makes target/debian/salebridge_*.deb. Needs cargo-deb (cargo install --locked cargo-deb). The manual pages and the
# completions are made by the program that is packed, so that they cannot fall behind.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --release --locked
program="${CARGO_TARGET_DIR:-target}/release/salebridge"
made=target/packaging
rm -rf "$made"
mkdir -p "$made/man" "$made/completions"
"$program" man --dir "$made/man"
# Without the time of the making, so that the same sources give the same package.
gzip --best --no-name "$made"/man/*.1
"$program" completions bash >"$made/completions/salebridge"
"$program" completions zsh >"$made/completions/_salebridge"
"$program" completions fish >"$made/completions/salebridge.fish"
cargo deb --no-build
