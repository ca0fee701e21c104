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
# What changed, as Debian wants to find it: the project's own list, and the package's, which only points to it.
version="$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)"
# Of a commit that is no release the time stands in the revision: apt takes two packages of one version for the same.
revision=1
if ! git describe --exact-match --tags >/dev/null 2>&1; then
    revision="1~git$(TZ=UTC git log -1 --format=%cd --date=format-local:%Y%m%d%H%M%S)"
fi
when="$(date --utc --rfc-email --date="@${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}")"
gzip --best --no-name --stdout CHANGELOG.md >"$made/changelog.gz"
printf 'salebridge (%s-%s) unstable; urgency=medium\n\n  * What changed stands in changelog.gz.\n\n -- %s  %s\n' \
    "$version" "$revision" "The salebridge authors <salebridge@example.org>" "$when" |
    gzip --best --no-name >"$made/changelog.Debian.gz"
cargo deb --no-build --deb-revision "$revision"
