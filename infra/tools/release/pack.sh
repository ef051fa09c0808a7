#!/usr/bin/env bash
# Writes everything that a release publishes into a new folder, with an SBOM of each npm package (CycloneDX) and
# checksums: infra/tools/release/pack.sh DIRECTORY. Needs jq and, for Python, the modules build and hatchling.
set -euo pipefail
out="$(realpath -m "$1")"
cd "$(dirname "$0")/../../.."
names=(@countersign/jwks @countersign/signals @countersign/identity @countersign/client countersign)
mkdir "$out"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

npm run build
npm pack --silent --pack-destination "$out" "${names[@]/#/--workspace=}"
"${PYTHON:-python3}" -m build --no-isolation --outdir "$out/python" packages/verifiers/python

for name in "${names[@]}"; do
  file="${name/#@countersign\//countersign-}"
  folder="$work/$name"
  mkdir -p "$folder"
  tar -xzf "$out/$file"-[0-9]*.tgz -C "$folder" --strip-components 1
  mapfile -t ours < <(jq -r '.dependencies // {} | to_entries[] | select(.key | startswith("@countersign/")) |
    "countersign-\(.key[13:])-\(.value).tgz"' "$folder/package.json")
  # Not from the workspace: there, npm leaves out packages that another workspace uses for development.
  (cd "$folder" && npm pkg delete devDependencies &&
    npm install --silent --package-lock-only --ignore-scripts --prefer-offline "${ours[@]/#/$out/}" &&
    npm sbom --package-lock-only --omit=dev --sbom-format=cyclonedx) |
    jq --arg name "$name" '.metadata.component.name = $name |
      del(.components[]?.externalReferences[]? | select(.url | startswith("file:")))' > "$out/$file.cdx.json"
done
(cd "$out" && find . -type f ! -name SHA256SUMS -print0 | sort -z | xargs -0 sha256sum > SHA256SUMS)
