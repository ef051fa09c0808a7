import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ensureAuthSecrets, ensureDemoClientSecret, ensureGatewayKey, ensureServiceKey } from './secrets.ts';
import type { Settings } from './settings.ts';
import type { ChildSpec } from './spawn.ts';

/** The debugger ports of `npm run dev`, as in .vscode/launch.json. */
const inspectorPorts: Readonly<Record<string, number>> = {
  gateway: 9229,
  'auth-service': 9230,
  'users-service': 9231,
  'complaint-service': 9232,
};

/** The processes and their variables. Each process gets only the variables that it needs. */
export function describeStack(settings: Settings): readonly ChildSpec[] {
  const { ports, home, seedFile, isDemo, isDevelopment } = settings;
  const logs = join(home, 'logs');
  mkdirSync(logs, { recursive: true, mode: 0o700 });
  ensureGatewayKey(home);
  const shared: Record<string, string> = { COUNTERSIGN_HOME: home };
  for (const [variable, port] of Object.entries(ports)) shared[variable] = String(port);
  const seeded: Record<string, string> = seedFile === undefined ? {} : { SEED_FILE: seedFile };
  const keyOf = (service: string) => ({ SERVICE_KEY_FILE: ensureServiceKey(home, service).privateFile });
  const part = (name: string, port: number, args: readonly string[], env = {}): ChildSpec => ({
    name,
    nodeOptions:
      isDevelopment && inspectorPorts[name] !== undefined
        ? ['--watch', '--watch-preserve-output', `--inspect=127.0.0.1:${inspectorPorts[name]}`]
        : [],
    args,
    env: { ...shared, ...env },
    readyUrl: `http://127.0.0.1:${port}/readyz`,
    logFile: join(logs, `${name}.log`),
  });
  // Each service creates its own keys for agreement there, and reads no other directory.
  const service = (name: string, port: number, env = {}): ChildSpec => ({
    ...part(name, port, [`${name}/src/main.ts`], {
      AGREEMENT_KEYS: join(home, 'agreement-keys', name),
      ...seeded,
      ...env,
    }),
    keepsData: true,
  });
  const serve = ['gateway/src/main.ts', 'serve', '--config', settings.gatewayConfig];
  const auth = service('auth-service', ports.AUTH_PORT, {
    ...ensureAuthSecrets(home),
    ...(seedFile !== undefined && { SEED_CLIENT_SECRET_FILE: ensureDemoClientSecret(home) }),
    ...keyOf('auth-service'),
    ...settings.registration,
    AUTH_API_DOCUMENT: 'docs/openapi/countersign.json',
    AUTH_SCOPES: settings.scopes,
  });
  const pages = {
    ...seeded,
    ...(isDemo && { WEB_DEMO: '1' }),
    // The user of `npm start` is also the operator.
    ...(seedFile !== undefined && { WEB_CONSOLE_URL: `http://127.0.0.1:${ports.GATEWAY_ADMIN_PORT}` }),
  };
  return [
    part('gateway', ports.GATEWAY_ADMIN_PORT, serve),
    { ...auth, show: mailedLink },
    service('users-service', ports.USERS_PORT),
    service('complaint-service', ports.COMPLAINTS_PORT, {
      COMPLAINTS_LINK_BASE_URL: `http://127.0.0.1:${ports.GATEWAY_PORT}/app/complaints`,
      ...keyOf('complaint-service'),
    }),
    part('web', ports.WEB_PORT, ['infra/run/web.ts'], pages),
    ...(isDemo ? [part('echo', ports.ECHO_PORT, ['infra/run/echo.ts'])] : []),
  ];
}

/**
 * Returns a terminal line with an email's link for its log line, because `npm start` has no mail server and the link
 * would otherwise be only in the log.
 *
 * @returns Undefined for every other line, and for an email without a link.
 */
function mailedLink(line: string): string | undefined {
  if (!line.includes('"an email was written to a file, not sent"')) return undefined;
  const { to, link } = JSON.parse(line) as Readonly<{ to: string; link?: string }>;
  return link && `An email to ${to}: ${link}`;
}
