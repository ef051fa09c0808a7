import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  contentDigest,
  defaultGatewayName,
  type ServiceForm,
  type ServiceKey,
  signServiceRequest,
} from '@countersign/identity';
import { rawRequest } from '@countersign/testing';
import { type GatewayUnderTest, parseAnswer, type RawAnswer } from './gateway-under-test.ts';

const internalRoutes = `
  - { name: lookup, path: "/internal/lookup/:id", methods: [GET, POST], upstream: things, auth: service, callers: [things, hashed] }
  - { name: staff, path: /internal/staff, methods: [GET], upstream: things, auth: service, callers: [things], allow: { roles: [admin] } }
  - { name: tenant-of, path: "/internal/tenants/:tenantId", methods: [GET], upstream: things, auth: service, callers: [things], allow: { tenant: ":tenantId" } }
  - { name: bodiless, path: /internal/bodiless, methods: [POST], upstream: things, auth: service, callers: [things], body: { mode: none } }
  - { name: counted, path: /internal/counted, methods: [GET], upstream: things, auth: service, callers: [things], limits: [{ requests: 2, per: 1m, by: user }] }`;

export type NestedCall = Readonly<{
  method?: string;
  target?: string;
  body?: string;
  contentType?: string;
  txnToken?: string | undefined;
  createdSec?: number;
  lifetimeSec?: number;
  /** The name of the called gateway. */
  audience?: string;
  form?: ServiceForm;
}>;

/** Services with keys: `things` and `hashed`, which the gateway also calls, and `stranger`, which no route names. */
export function callingServices() {
  const home = mkdtempSync(join(tmpdir(), 'countersign-services-'));
  const fileOf = (service: string) => join(home, `${service}.jwks.json`);
  const keys = new Map<string, ServiceKey>();

  /** Replaces the service's key, as a rotation does. */
  function renew(service: string): void {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const keyid = `${service}-${randomBytes(4).toString('hex')}`;
    keys.set(service, { keyid, privateKey });
    const jwk = { ...publicKey.export({ format: 'jwk' }), kid: keyid, alg: 'EdDSA', use: 'sig' };
    writeFileSync(fileOf(service), JSON.stringify({ keys: [jwk] }));
  }
  for (const service of ['things', 'hashed', 'stranger']) renew(service);

  const services = [...keys.keys()].map((service) => `${service}: { keys: "${fileOf(service)}" }`).join(', ');
  return {
    renew,
    keyOf(service: string): ServiceKey {
      const key = keys.get(service);
      if (key === undefined) throw new Error(`no service ${service}`);
      return key;
    },
    /** The edits that configure these services in gatewayUnderTest. */
    edits: [
      ['idle: 2s } }', 'idle: 2s }, txnToken: true }'],
      ['secret: "$' + '{HASHED_SECRET}" } }', 'secret: "$' + '{HASHED_SECRET}" }, txnToken: true }'],
      ['\nroutes:', `\nservices: { ${services} }\nroutes:${internalRoutes}`],
    ] as const,
    remove: () => rmSync(home, { recursive: true }),
  };
}

/** The headers that a service's client sends. */
export function signCall(key: ServiceKey, nowMs: number, call: NestedCall): (readonly [string, string])[] {
  const { method = 'GET', target = '/internal/lookup/1', body = '', txnToken, createdSec, lifetimeSec = 30 } = call;
  const { audience = defaultGatewayName, contentType, form } = call;
  const mark = target.indexOf('?');
  return [
    ...signServiceRequest(
      key,
      {
        audience,
        method,
        path: mark === -1 ? target : target.slice(0, mark),
        query: mark === -1 ? '' : target.slice(mark),
        contentType,
        contentDigest: contentDigest(Buffer.from(body)),
        ...(txnToken !== undefined && { txnToken }),
      },
      {
        createdSec: createdSec ?? Math.floor(nowMs / 1000),
        lifetimeSec,
        nonce: randomBytes(16).toString('base64url'),
      },
      form,
    ),
  ];
}

/** Sends a call to the internal listener with exactly these headers: as signed, or changed by the test. */
export async function sendCall(
  gateway: GatewayUnderTest,
  { method = 'GET', target = '/internal/lookup/1', body = '', contentType }: NestedCall,
  headers: readonly (readonly [string, string])[],
): Promise<RawAnswer> {
  const length: readonly (readonly [string, string])[] =
    body === '' ? [] : [['content-length', String(Buffer.byteLength(body))]];
  const type = contentType === undefined ? [] : [['content-type', contentType] as const];
  const lines = [['host', 'internal.test'] as const, ['connection', 'close'] as const, ...length, ...type, ...headers];
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  const text = `${method} ${target} HTTP/1.1\r\n${head}\r\n${body}`;
  return parseAnswer(await rawRequest(gateway.running.ports.internal, text));
}
