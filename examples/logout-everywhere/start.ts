import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startProvider } from '../external-provider/provider.ts';
import { startService } from '../external-provider/service.ts';

// Starts the provider, the service and the gateway. Press Ctrl-C to stop.

const { PROVIDER_PORT = '4000', SERVICE_PORT = '3000', GATEWAY_PORT = '8080', COUNTERSIGN_HOME } = process.env;
const { GATEWAY_INTERNAL_PORT = '8090', GATEWAY_ADMIN_PORT = '9090' } = process.env;
const config = resolve(import.meta.dirname, 'gateway.yaml');
const countersign = ['--conditions=source', resolve(import.meta.dirname, '../../gateway/bin/countersign.js')];
const keys = resolve(COUNTERSIGN_HOME ?? resolve(import.meta.dirname, '../../.countersign'), 'logout-everywhere-keys');

if (!existsSync(keys)) {
  spawnSync(process.execPath, [...countersign, 'keys', 'create', '--dir', keys], { stdio: 'inherit' });
}
const logoutUri = `http://127.0.0.1:${GATEWAY_PORT}/.well-known/countersign/backchannel-logout/example`;
startProvider(Number(PROVIDER_PORT), logoutUri);
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
process.stdout.write('ready: run log-in-and-out.ts in a second terminal\n');
