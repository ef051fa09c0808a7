import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { eventually, startProcess } from '@countersign/testing';

// Podman leaves health checks to systemd timers, which may not run here. compose waits for health checks to pass.
const healthChecks = `while sleep 1; do
  for id in $("$@" ps --quiet); do "$@" healthcheck run "$id" > /dev/null 2>&1 || true; done
done`;

const here = import.meta.dirname;
const repository = resolve(here, '../../../..');

export type Engine = Awaited<ReturnType<typeof startEngine>>;

/**
 * Starts podman behind Docker's API, with its own containers and networks, the base images of the Dockerfile and
 * compose.yaml, and the layers of our images. Needs root.
 *
 * @param clone The repository whose images are built.
 * @param store Keeps images between runs. If absent, they are built again, which takes about five minutes.
 */
export async function startEngine(clone: string, store = process.env.IMAGE_STORE) {
  const place = mkdtempSync(join(tmpdir(), 'countersign-engine-'));
  const images = store ?? place;
  const options = ['--root', join(images, 'root'), '--runroot', join(images, 'run')];
  const withNetworks = [...options, '--network-config-dir', join(place, 'networks')];
  const env = writeSettings(place, withNetworks);
  const run = (command: string, ...args: readonly string[]) =>
    execFileSync(command, args, {
      cwd: repository,
      encoding: 'utf8',
      env: { ...process.env, ...env },
      maxBuffer: 2 ** 26,
    });
  run(join(here, 'base-images.sh'), images);
  // docker-compose builds images in parallel, and would build the stage that all share for each of them.
  const buildShared = (from: string) => {
    const shared = ['-f', join(from, 'infra/ship/docker/Dockerfile'), '--target', 'build', from];
    run('podman', ...options, 'build', '--quiet', '--format', 'docker', ...shared);
  };
  buildShared(clone);
  const podman = (...args: readonly string[]) => run('podman', ...withNetworks, ...args).trim();
  const socket = join(place, 'engine.sock');
  const service = startProcess({
    command: 'podman',
    args: [...withNetworks, 'system', 'service', '--time', '0', `unix://${socket}`],
    env,
  });
  await eventually(() => {
    if (!existsSync(socket)) throw new Error(`podman does not serve: ${service.output()}`);
  });
  const checks = startProcess({ command: 'bash', args: ['-c', healthChecks, 'bash', 'podman', ...withNetworks], env });
  return {
    /** A `docker` command on the PATH, and the API's address. */
    env,
    /** Runs podman, and returns its output. */
    podman,
    buildShared,
    async stop() {
      await checks.stop();
      podman('rm', '--all', '--force', '--time', '0');
      podman('volume', 'rm', '--all', '--force');
      podman('network', 'prune', '--force');
      await service.stop();
      // Not `system reset`: it deletes /run/libpod, which belongs to every podman of this machine.
      if (store === undefined) podman('rmi', '--all', '--force');
      rmSync(place, { recursive: true });
    },
  };
}

/** Writes podman's settings, and a `docker` command that runs podman or docker-compose. */
function writeSettings(place: string, options: readonly string[]): Readonly<Record<string, string>> {
  const limit = (name: string, flag: string) => {
    const { stdout } = spawnSync('bash', ['-c', `ulimit -H${flag}`], { encoding: 'utf8' });
    return `"${name}=${stdout.trim()}:${stdout.trim()}"`;
  };
  const containers = join(place, 'containers.conf');
  // runc, cgroupfs and files work without systemd. Default limits may be higher than ours.
  writeFileSync(
    containers,
    `[containers]
default_ulimits = [${limit('nofile', 'n')}, ${limit('nproc', 'u')}]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
`,
  );
  mkdirSync(join(place, 'bin'));
  const docker = `#!/bin/sh
[ "$1" != compose ] || { shift; exec docker-compose "$@"; }
exec podman ${options.join(' ')} "$@"
`;
  writeFileSync(join(place, 'bin/docker'), docker, { mode: 0o755 });
  return {
    PATH: `${join(place, 'bin')}:${process.env.PATH}`,
    CONTAINERS_CONF: containers,
    PODMAN_IGNORE_CGROUPSV1_WARNING: '1',
    DOCKER_HOST: `unix://${join(place, 'engine.sock')}`,
    // Podman supports the classic builder.
    DOCKER_BUILDKIT: '0',
  };
}
