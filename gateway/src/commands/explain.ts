import { generateKeyPairSync } from 'node:crypto';
import {
  contentDigest,
  type IdentityContext,
  type IdentityFacts,
  newRequestId,
  prepareIdentity,
  signRequest,
} from '@countersign/identity';
import type { GatewayConfig, Limit, Route } from '../config/config.ts';
import { id, role } from '../config/scalars.ts';
import { errorTable } from '../errors.ts';
import { createDecider, type Decision, type Question } from '../routing/decide.ts';
import type { Caller } from '../routing/policy.ts';
import { type Command, configOption, loadNamed, text, UsageError, type Values } from './command.ts';
import type { Terminal } from './terminal.ts';

export const explain: Command = {
  name: 'explain',
  usage: 'METHOD PATH',
  summary: 'show what becomes of a request: route, rules, limits, upstream and headers',
  options: [
    configOption.help,
    ['--role ROLE', 'the caller has a good token with this role; without it: anonymous'],
    ['--tenant ID', 'the tenant in that token; example-tenant if not given'],
    ['--user ID', 'the user in that token; example-user if not given'],
    ['--bound', 'that token is bound to a key (DPoP), and its proof is good'],
    ['--service NAME', 'a service calls, on the internal listener'],
  ],
  parse: {
    ...configOption.parse,
    role: { type: 'string' },
    tenant: { type: 'string' },
    user: { type: 'string' },
    bound: { type: 'boolean' },
    service: { type: 'string' },
  },
  run(terminal, values, [method, target, ...more]) {
    if (method === undefined || target === undefined) throw new UsageError('METHOD and PATH are needed');
    if (more.length > 0) throw new UsageError('too many arguments: quote the path');
    const caller = callerOf(values);
    const config = loadNamed(terminal, values, []);
    const question = { method: method.toUpperCase(), target, caller };
    const decision = createDecider(config)(question);
    for (const line of explanation(config, question, decision, terminal)) terminal.out(line);
    return 0;
  },
};

function callerOf(values: Values): Caller {
  const service = text(values.service);
  const userRole = text(values.role);
  const tenantId = text(values.tenant);
  const userId = text(values.user);
  if (userRole === undefined) {
    if (tenantId !== undefined || userId !== undefined || values.bound === true) {
      throw new UsageError('--tenant, --user and --bound need --role');
    }
    return service === undefined ? { kind: 'anonymous' } : { kind: 'service', serviceId: service };
  }
  const user = {
    userId: fitting('--user', userId ?? 'example-user', id),
    role: fitting('--role', userRole, role),
    tenantId: fitting('--tenant', tenantId ?? 'example-tenant', id),
  };
  return service === undefined
    ? { kind: 'user', ...user, bound: values.bound === true }
    : { kind: 'service', serviceId: service, user };
}

function fitting(option: string, value: string, type: typeof id): string {
  const parsed = type.safeParse(value);
  if (!parsed.success) throw new UsageError(`${option} ${parsed.error.issues[0]?.message ?? 'is not acceptable'}`);
  return value;
}

function explanation(
  config: GatewayConfig,
  question: Question,
  decision: Decision,
  terminal: Terminal,
): readonly string[] {
  const { route, refusal } = decision;
  const lines = [
    `${terminal.paint('strong', `${question.method} ${question.target}`)} as ${describe(question.caller)}`,
    '',
    row('route', route === undefined ? `none: ${decision.why}` : `${route.name}  ${route.path}`),
  ];
  for (const { rule, refusal: code, why } of decision.verdicts) {
    const verdict = code === undefined ? terminal.paint('good', 'holds') : terminal.paint('bad', code);
    lines.push(row('rule', `${rule}  ${verdict}  ${terminal.paint('quiet', `(${why})`)}`));
  }
  if (route !== undefined) lines.push(...conditions(route));
  if (config.cors !== undefined && route !== undefined && route.auth !== 'service') {
    lines.push(row('cors', `answered here, preflights too, for ${config.cors.origins.join(' ')}`));
  }
  if (refusal !== undefined) {
    lines.push(row('answer', terminal.paint('bad', `${errorTable[refusal].status} ${refusal}`)));
    if (decision.allow !== undefined) lines.push(row('', `allow: ${decision.allow.join(', ')}`));
    return lines;
  }
  if (route === undefined || decision.path === undefined) return lines;
  lines.push(row('upstream', `${route.upstream.name}  ${route.upstream.targets.join(' ')}`));
  lines.push(row('sends', `${question.method} ${decision.path}${decision.query}`));
  for (const [name, value] of exampleHeaders(config, question, route, decision, terminal)) {
    lines.push(row('', `${name}: ${value}`));
  }
  lines.push(row('', terminal.paint('quiet', "and the client's own, less what is stripped on every route")));
  lines.push(row('answer', terminal.paint('good', "the upstream's")));
  return lines;
}

function conditions(route: Route): readonly string[] {
  const { body } = route;
  return [
    ...route.limits.map((limit) => row('limit', limitText(limit))),
    row('body', body.mode === 'none' ? 'none' : `${body.mode}, at most ${body.maxBytes} bytes`),
    ...(route.websocket ? [row('upgrade', 'websocket')] : []),
  ];
}

const limitText = ({ requests, perSec, by, onStoreFailure }: Limit) =>
  `${requests} in ${perSec} s by ${by}${onStoreFailure === 'deny' ? '; 503 while Redis is gone' : ''}`;

/**
 * The headers as they would be signed, by the code that signs, with a key made for this and thrown away: what differs
 * each time is written as a word instead.
 */
function exampleHeaders(
  config: GatewayConfig,
  { method, caller }: Question,
  route: Route,
  decision: Decision,
  terminal: Terminal,
): readonly (readonly [string, string])[] {
  const digested = route.body.mode === 'digest' && method !== 'GET' && method !== 'HEAD';
  const signed = signRequest(
    { algorithm: 'ed25519', keyid: 'KEYID', privateKey: generateKeyPairSync('ed25519').privateKey },
    prepareIdentity(factsOf(config, route, caller), route.upstream.name),
    {
      method,
      path: decision.path ?? '',
      query: decision.query,
      requestId: newRequestId(),
      ip: exampleAddress,
      ...(route.upstream.txnToken && hasUser(caller) && { txnToken: 'a.b.c' }),
      ...(digested && { contentDigest: contentDigest(new Uint8Array()), contentType: 'application/json' }),
    },
    {
      createdSec: Math.floor(terminal.nowMs() / 1000),
      lifetimeSec: config.identity.lifetimeSec,
      nonce: 'NONCE',
    },
  );
  const { algorithm } = route.upstream.identity;
  return [
    ['x-forwarded-for', exampleAddress],
    ['x-forwarded-proto', 'http'],
    ['x-forwarded-host', new URL(config.publicOrigins[0] ?? 'http://HOST').host],
    ...signed.map(([name, value]): readonly [string, string] => {
      if (name === 'signature') return [name, 'countersign=:SIGNATURE:'];
      if (name === 'txn-token') return [name, 'TXN-TOKEN'];
      return [name, value.replace('alg="ed25519"', `alg="${algorithm}"`)];
    }),
  ];
}

// Of RFC 7638's own example.
const exampleThumbprint = 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs';
// From the range for documentation (RFC 5737).
const exampleAddress = '192.0.2.1';

function factsOf(config: GatewayConfig, route: Route, caller: Caller): IdentityFacts {
  // A public route does not look at tokens.
  if (caller.kind === 'anonymous' || route.auth === 'public') return { kind: 'anonymous' };
  const [issuer] = config.issuers;
  if (!hasUser(caller) || issuer === undefined) return caller;
  const context: IdentityContext = {
    iss: issuer.issuer,
    ...(issuer.revocations && { sid: 'SESSION' }),
    ...(caller.kind === 'user' && caller.bound && { jkt: exampleThumbprint }),
  };
  return { ...caller, context };
}

const hasUser = (caller: Caller) => caller.kind === 'user' || (caller.kind === 'service' && caller.user !== undefined);

function describe(caller: Caller): string {
  if (caller.kind === 'anonymous') return 'anonymous';
  const user = caller.kind === 'user' ? caller : caller.user;
  const person = user && `${user.role} ${user.userId} of ${user.tenantId}`;
  if (caller.kind === 'user') return `${person}${caller.bound ? ', bound to a key' : ''}`;
  return person === undefined ? `service ${caller.serviceId}` : `service ${caller.serviceId} for ${person}`;
}

const row = (label: string, value: string) => `  ${label.padEnd(9)} ${value}`;
