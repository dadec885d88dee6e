#!/usr/bin/env bash
# Builds what a release has for this machine's architecture, in target/package: an archive, a Debian package, and the
# SHA-256 of each. Needs a cargo-deb that knows the edition 2024, as 2.0 does not.
#
#   deploy/package.sh
set -euo pipefail
cd "$(dirname "$0")/.."

out=target/package
rm -rf "$out"
mkdir -p "$out/completion"

cargo build --release --locked --bin tollgate
tollgate=target/release/tollgate
version=$("$tollgate" --version | cut -d ' ' -f 2)
arch=$(uname -m)

"$tollgate" man --dir "$out/man" >/dev/null
"$tollgate" completion bash >"$out/completion/tollgate.bash"
"$tollgate" completion zsh >"$out/completion/_tollgate"
"$tollgate" completion fish >"$out/completion/tollgate.fish"

name=tollgate-$version-linux-$arch
mkdir "$out/$name"
cp "$tollgate" LICENSE README.md CHANGELOG.md "$out/$name/"
cp -R "$out/man" "$out/completion" "$out/$name/"
mkdir "$out/$name/systemd"
cp deploy/tollgate.service deploy/tollgate-node.service "$out/$name/systemd/"
# Names, owners and times do not depend on who builds it.
tar --create --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$(git log -1 --format=%ct)" \
    --directory "$out" "$name" | gzip --no-name >"$out/$name.tar.gz"

cargo deb --no-build --no-strip --output "$out/"

(cd "$out" && sha256sum ./*.tar.gz ./*.deb >"SHA256SUMS-$arch")
rm -rf "${out:?}/$name"
ls -l "$out"
