import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startProvider } from './provider.ts';
import { startService } from './service.ts';

type Example = Readonly<{
  /** Contains `gateway.yaml`. */
  directory: string;
  /** The program to run next. */
  next: string;
  /** The path at the gateway to which the provider sends logout tokens. */
  logoutPath?: string;
}>;

/** Starts the provider, the service and the gateway, until the process gets SIGINT or SIGTERM. */
export async function startExample({ directory, next, logoutPath }: Example): Promise<void> {
  const { PROVIDER_PORT = '4000', SERVICE_PORT = '3000', GATEWAY_PORT = '8080', COUNTERSIGN_HOME } = process.env;
  const { GATEWAY_INTERNAL_PORT = '8090', GATEWAY_ADMIN_PORT = '9090' } = process.env;
  const repository = resolve(import.meta.dirname, '../..');
  const home = resolve(COUNTERSIGN_HOME ?? resolve(repository, '.countersign'));
  const keys = resolve(home, `${basename(directory)}-keys`);
  const countersign = ['--conditions=source', resolve(repository, 'gateway/bin/countersign.js')];
  if (!existsSync(keys)) {
    spawnSync(process.execPath, [...countersign, 'keys', 'create', '--dir', keys], { stdio: 'inherit' });
  }
  startProvider(Number(PROVIDER_PORT), logoutPath && `http://127.0.0.1:${GATEWAY_PORT}${logoutPath}`);
  const config = resolve(directory, 'gateway.yaml');
  const gateway = spawn(process.execPath, [...countersign, 'serve', '-c', config], { stdio: 'inherit' });
  gateway.on('exit', (code) => process.exit(code ?? 1));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => gateway.kill(signal));

  const isReady = () =>
    fetch(`http://127.0.0.1:${GATEWAY_ADMIN_PORT}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    );
  while (!(await isReady())) await delay(100);
  startService(Number(SERVICE_PORT), `http://127.0.0.1:${GATEWAY_INTERNAL_PORT}/.well-known/jwks.json`);
  process.stdout.write(`ready: run ${next} in a second terminal\n`);
}
