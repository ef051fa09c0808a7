import type { Allow, Route, Upstream } from '../../src/config/config.ts';

export const exampleUpstream: Upstream = {
  name: 'users-service',
  targets: ['http://127.0.0.1:8082'],
  identity: { algorithm: 'ed25519', headers: true, token: undefined },
  txnToken: false,
  paths: 'tolerant',
  httpClient: 'own',
  timeouts: { connectMs: 2000, responseMs: 30_000, idleMs: 60_000 },
  minRate: 1024,
  balance: 'round-robin',
  health: undefined,
  retry: { attempts: 0 },
  breaker: undefined,
  tls: undefined,
};

/** No conditions, so every user is allowed and no machine is. */
export const exampleAllow: Allow = {};

/** A complete route. A test passes only the fields that it is about. */
export function exampleRoute(part: Partial<Route> & { path: string }): Route {
  return {
    name: 'example',
    methods: ['GET'],
    upstream: exampleUpstream,
    inherited: [],
    auth: 'required',
    allow: exampleAllow,
    senderConstrained: false,
    schemes: ['Bearer'],
    callers: new Set(),
    hiddenHeaders: undefined,
    limits: [],
    body: { mode: 'digest', maxBytes: 1024 },
    websocket: false,
    rewrite: undefined,
    forward: { cookies: new Set(), authorization: false, dpop: false, guarded: new Set<string>() },
    ...part,
  };
}
