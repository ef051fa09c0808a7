#!/usr/bin/env bash
# Turns the changesets into versions and changelogs. The package for Python gets the version of the npm packages.
set -euo pipefail
cd "$(dirname "$0")/../../.."
npm ci --prefix infra/tools/release
infra/tools/release/node_modules/.bin/changeset version
version="$(node -p "require('./gateway/package.json').version")"
sed -i "s/^version = .*/version = \"$version\"/" packages/verifiers/python/pyproject.toml
npm install --package-lock-only
