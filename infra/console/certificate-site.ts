import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CertificateAndKey, testAuthority } from '@countersign/testing';
import { type GatewayUnderTest, gatewayUnderTest } from '../../gateway/test/gateway-under-test.ts';

const dayMs = 86_400_000;
const hosts = ['gateway', 'api', 'orders', 'payments'].map(
  (name) => `${name}.eu-central-1.production.countersign.test`,
);

/**
 * Starts a gateway with a public TLS listener and three upstreams with mutual TLS. One certificate expires in 5 days,
 * one in 20 days, one has expired, and the files of one upstream become unreadable.
 */
export async function certificateSite(): Promise<GatewayUnderTest> {
  const home = mkdtempSync(join(tmpdir(), 'countersign-certificates-'));
  const write = (name: string, text: string): string => {
    const path = join(home, name);
    writeFileSync(path, text);
    return path;
  };
  const pair = (name: string, { cert, key }: CertificateAndKey, chain = '') =>
    `cert: "${write(`${name}.pem`, cert + chain)}", key: "${write(`${name}.key`, key)}"`;
  const authority = testAuthority('Countersign Test Authority G2', 400 * dayMs);
  const clients = testAuthority('Authority of the Clients', 20 * dayMs);
  const ca = write('ca.pem', authority.ca);
  const listener = pair('listener', authority.issue(hosts, 5 * dayMs), authority.ca);
  const upstream = (name: string, cert: string) =>
    `  ${name}: { targets: ["https://127.0.0.1:1"], tls: { ca: "${ca}", ${cert} } }`;
  const upstreams = [
    upstream('payments', pair('payments', authority.issue(['gateway'], 1_000))),
    upstream('orders', pair('orders', authority.issue(['gateway'], 90 * dayMs))),
    upstream('invoices', pair('invoices', authority.issue(['gateway'], dayMs / 2))),
  ];
  const gateway = await gatewayUnderTest({
    edits: [
      ['listen: {', `listen: { tls: { ${listener}, clients: { ca: "${write('clients.pem', clients.ca)}" } },`],
      ['http://gateway.test', 'https://gateway.test'],
      ['upstreams:', `upstreams:\n${upstreams.join('\n')}`],
    ],
  });
  write('orders.pem', 'no certificate');
  return {
    ...gateway,
    async close() {
      await gateway.close();
      rmSync(home, { recursive: true });
    },
  };
}
