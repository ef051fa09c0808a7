import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const main = resolve(import.meta.dirname, '../../../gateway/src/main.ts');

/**
 * Follows "Beside a proxy" in docs/operations/kubernetes.md, in a copy of decision/.
 *
 * @param change Makes additional changes to gateway.yaml.
 */
export function writeDecision(directory: string, upstream: string, change = (text: string) => text): void {
  const secret = randomBytes(32).toString('hex');
  const countersign = (...args: readonly string[]) =>
    execFileSync(process.execPath, ['--conditions=source', main, ...args], {
      cwd: directory,
      env: { ...process.env, DECISION_SECRET: secret },
    });
  const issuer = ['--provider', 'keycloak', '--issuer', 'https://sso.example.com/realms/acme'];
  countersign('init', '--in-cluster', ...issuer, '--upstream', upstream);
  const file = join(directory, 'gateway.yaml');
  const text = readFileSync(file, 'utf8')
    .replace('listen:\n', 'listen:\n  decision: "0.0.0.0:8091"\n')
    .replace(
      '    auth: required\n',
      '    auth: required\n    body: { mode: stream, unsigned: accept }\n    longLived: accept\n',
    );
  writeFileSync(file, change(`${text}decision: { proxy: nginx, secret: "\${DECISION_SECRET}" }\n`));
  writeFileSync(join(directory, 'decision-secret'), secret);
  const addresses = ['--gateway', 'gateway', '--listen', '0.0.0.0:8080'];
  countersign('integrate', 'nginx', ...addresses, '--out', 'countersign-nginx');
}
