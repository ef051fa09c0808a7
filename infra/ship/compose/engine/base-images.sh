#!/usr/bin/env bash
# base-images.sh STORE: builds the images that the Dockerfile and compose.yaml start from, under their public names, from Debian packages.
# For machines that reach no registry of images. Needs root, podman and mmdebstrap. A second run builds what is missing.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
repository="$here/../../../.."
store="$1"
suite="${SUITE:-trixie}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
engine() { podman --root "$store/root" --runroot "$store/run" "$@"; }

# base NAME PACKAGES CHANGES…: imports a Debian with these packages, and the files of $work/add.
base() {
  local name="$1" packages="$2" changes=()
  shift 2
  for change in "$@"; do changes+=(--change "$change"); done
  mmdebstrap --quiet --variant=minbase --include="$packages" --customize-hook="sync-in $work/add /" "$suite" "$work/root.tar"
  engine import --quiet "${changes[@]}" "$work/root.tar" "$name" > /dev/null
  rm -rf "$work/root.tar" "$work/add"
}

name=docker.io/library/node:26-trixie-slim
if ! engine image exists "$name"; then
  npm_home="$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")"
  mkdir -p "$work"/add/usr/local/{bin,etc,lib/node_modules} "$work/add/etc/ssl/certs"
  cp "$(readlink -f "$repository/node_modules/node/bin/node")" "$work/add/usr/local/bin/node"
  cp -R "$npm_home" "$work/add/usr/local/lib/node_modules/npm"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$work/add/usr/local/bin/npm"
  # A registry may have a certificate that only this machine trusts.
  cp /etc/ssl/certs/ca-certificates.crt "$work/add/etc/ssl/certs/ca-certificates.crt"
  printf 'registry=%s\ncafile=/etc/ssl/certs/ca-certificates.crt\n' "$(npm config get registry)" > "$work/add/usr/local/etc/npmrc"
  base "$name" ca-certificates,libstdc++6,libatomic1 'ENV PATH=/usr/local/bin:/usr/bin:/bin'
fi

name=docker.io/library/postgres:17
if ! engine image exists "$name"; then
  mkdir -p "$work/add/usr/local/bin"
  install -m 755 "$here/postgres-entrypoint.sh" "$work/add/usr/local/bin/docker-entrypoint.sh"
  base "$name" postgresql-17 'ENV PATH=/usr/lib/postgresql/17/bin:/usr/local/bin:/usr/bin:/bin' \
    'ENV PGDATA=/var/lib/postgresql/data' 'ENTRYPOINT ["docker-entrypoint.sh"]' 'STOPSIGNAL SIGINT'
fi

name=docker.io/library/redis:8
if ! engine image exists "$name"; then
  mkdir -p "$work/add/data"
  base "$name" redis-server 'WORKDIR /data' 'ENV PATH=/usr/local/bin:/usr/bin:/bin'
fi

# Debian's version, so not under the public name.
name=localhost/nginx:debian
if ! engine image exists "$name"; then
  # A root that cannot be written needs them.
  mkdir -p "$work"/add/var/lib/nginx/{body,fastcgi,proxy,scgi,uwsgi}
  base "$name" nginx 'ENV PATH=/usr/sbin:/usr/bin:/bin' 'STOPSIGNAL SIGQUIT'
fi
