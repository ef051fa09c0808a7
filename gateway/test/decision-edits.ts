import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { testAuthority } from '@countersign/testing';

/** Opens the decision listener of `gatewayUnderTest` at an address. */
export const decisionAt = (address: string) =>
  ['internal: "127.0.0.1:0" }', `internal: "127.0.0.1:0", decision: "${address}" }`] as const;

/** Names the proxy, and sets the other keys of `decision`. */
export const decisionFor = (settings: string) =>
  ['trustedProxies: []', `trustedProxies: []\ndecision: { proxy: ${settings} }`] as const;

/** The variable DECISION_SECRET proves that calls come from the proxy. */
export const decisionWithSecret = (proxy: string) => decisionFor(`${proxy}, secret: "\${DECISION_SECRET}"`);

/**
 * A decision listener with TLS, and the two authorities: one for the gateway's certificate and one for the proxy's.
 */
export function decisionOverTls(home: string, proxy: string) {
  const authority = testAuthority();
  const proxies = testAuthority('proxies');
  const { cert, key } = authority.issue(['gateway.test']);
  writeFileSync(join(home, 'tls.pem'), cert);
  writeFileSync(join(home, 'tls.key'), key);
  writeFileSync(join(home, 'proxies.pem'), proxies.ca);
  const edits = [
    ['listen: {', `listen: { tls: { cert: "${home}/tls.pem", key: "${home}/tls.key" },`],
    decisionAt('127.0.0.1:0'),
    ['http://gateway.test', 'https://gateway.test'],
    decisionFor(`${proxy}, clientCa: "${home}/proxies.pem"`),
  ] as const;
  return { edits, proxies, tls: { ca: authority.ca, servername: 'gateway.test' } };
}
