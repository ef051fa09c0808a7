import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ChildSpec } from './child.ts';
import { ensureAuthSecrets, ensureDemoClientSecret, ensureGatewayKey, ensureServiceKey } from './secrets.ts';
import type { Settings } from './settings.ts';

/** The debugger ports of `npm run dev`, as in .vscode/launch.json. */
const inspectorPorts: Readonly<Record<string, number>> & { gateway: number } = {
  gateway: 9229,
  'auth-service': 9230,
  'users-service': 9231,
  'complaint-service': 9232,
};

/** The five processes and their variables. Each process gets only the variables that it needs. */
export async function describeStack(settings: Settings): Promise<readonly ChildSpec[]> {
  const { ports, home, seedFile } = settings;
  const logs = join(home, 'logs');
  mkdirSync(logs, { recursive: true, mode: 0o700 });
  ensureGatewayKey(home);
  const shared: Record<string, string> = { COUNTERSIGN_HOME: home };
  for (const [variable, port] of Object.entries(ports)) shared[variable] = String(port);
  const seeded: Record<string, string> = seedFile === undefined ? {} : { SEED_FILE: seedFile };
  const keyOf = (service: string) => ({ SERVICE_KEY_FILE: ensureServiceKey(home, service).privateFile });
  const logFile = (name: string) => join(logs, `${name}.log`);
  const ready = (port: number) => `http://127.0.0.1:${port}/readyz`;
  const nodeOptions = (inspectorPort: number) =>
    settings.isDevelopment ? ['--watch', '--watch-preserve-output', `--inspect=127.0.0.1:${inspectorPort}`] : [];
  const service = (name: string, port: number, env: Record<string, string>): ChildSpec => ({
    name,
    keepsData: true,
    nodeOptions: nodeOptions(inspectorPorts[name] ?? 0),
    args: [`${name}/src/main.ts`],
    // Each service creates its own keys there, and reads no other directory.
    env: { ...shared, AGREEMENT_KEYS: join(home, 'agreement-keys', name), ...env },
    readyUrl: ready(port),
    logFile: logFile(name),
  });
  return [
    {
      name: 'gateway',
      nodeOptions: nodeOptions(inspectorPorts.gateway),
      args: ['gateway/src/main.ts', 'serve', '--config', settings.gatewayConfig],
      env: shared,
      readyUrl: ready(ports.GATEWAY_ADMIN_PORT),
      logFile: logFile('gateway'),
    },
    {
      show: mailedLink,
      ...service('auth-service', ports.AUTH_PORT, {
        ...seeded,
        ...ensureAuthSecrets(home),
        ...(seedFile !== undefined && { SEED_CLIENT_SECRET_FILE: ensureDemoClientSecret(home) }),
        ...keyOf('auth-service'),
        ...settings.registration,
        AUTH_API_DOCUMENT: 'docs/openapi/countersign.json',
        AUTH_SCOPES: settings.scopes,
      }),
    },
    service('users-service', ports.USERS_PORT, seeded),
    service('complaint-service', ports.COMPLAINTS_PORT, { ...seeded, ...keyOf('complaint-service') }),
    {
      name: 'web',
      args: ['infra/web/start.ts'],
      env: {
        WEB_PORT: String(ports.WEB_PORT),
        // The user of `npm start` is also the operator.
        ...(seedFile !== undefined && { WEB_CONSOLE_URL: `http://127.0.0.1:${ports.GATEWAY_ADMIN_PORT}` }),
      },
      readyUrl: ready(ports.WEB_PORT),
      logFile: logFile('web'),
    },
  ];
}

/**
 * Returns a terminal line with an email's link for its log line, because `npm start` has no mail server and the link
 * would otherwise be only in the log.
 *
 * @returns Undefined for every other line, and for an email without a link.
 */
export function mailedLink(line: string): string | undefined {
  if (!line.includes('"an email was written to a file, not sent"')) return undefined;
  const { to, link } = JSON.parse(line) as Readonly<{ to: string; link?: string }>;
  return link && `An email to ${to}: ${link}`;
}
