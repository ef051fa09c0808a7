import { setTimeout as delay } from 'node:timers/promises';
import { isLoopback } from '@countersign/process-kit';
import { parseTime } from '@countersign/signals';
import { type Command, readOptionFile, type Terminal, text, UsageError, type Values } from './command.ts';

const variable = 'COUNTERSIGN_REVOKE_SECRET';
const attemptMs = 5_000;

export const revoke: Command = {
  name: 'revoke',
  usage: '--issuer NAME ...',
  summary: 'end the tokens of a session, a user or a member now, at a running gateway',
  options: [
    ['--issuer NAME', 'the `name` of the issuer in gateway.yaml'],
    ['--session ID', 'end the tokens of this session'],
    ['--user ID', 'end the tokens of this user that were issued before now, or before --at'],
    ['--member TENANT USER', 'like --user, in one tenant'],
    ['--at TIME', 'when it happened, such as 2027-01-15T08:00:00Z; default: now'],
    ['--reason TEXT', 'shown by explain, token and the console; at most 128 characters'],
    ['--url URL', 'the listener that receives events; default: http://127.0.0.1:8080'],
    ['--secret-file FILE', `the secret of events.revoke; default: the variable ${variable}`],
    ['--timeout SECONDS', 'how long to repeat the call while the gateway is unreachable; default: 30'],
  ],
  async run(terminal, values, positionals) {
    const call = callOf(values, positionals, terminal);
    const { url } = call;
    if (url.protocol === 'http:' && !isLoopback(url.href))
      terminal.err(`warning: ${url.host} gets the secret over plain http: use https, or a private network`);
    const { result, why, isFinal } = await send(call);
    if (result !== undefined) {
      terminal.out(`${terminal.paint('good', results[result] ?? result)} (id ${call.id})`);
      return 0;
    }
    terminal.err(`countersign revoke: ${why}`);
    return isFinal ? 1 : 3;
  },
};

const results: Readonly<Record<string, string>> = {
  applied: 'ended',
  repeated: 'ended before',
  expired: 'nothing to end: all its tokens have expired',
};

function callOf(values: Values, positionals: readonly string[], { env, nowMs }: Terminal) {
  const [issuer, session, user, tenant] = ['issuer', 'session', 'user', 'member'].map((name) => text(values[name]));
  if (issuer === undefined || !/^[a-z][a-z0-9-]{0,62}$/.test(issuer)) throw new UsageError('--issuer NAME is required');
  if ([session, user, tenant].filter((one) => one !== undefined).length !== 1)
    throw new UsageError('one of --session ID, --user ID and --member TENANT USER is required');
  if (positionals.length !== (tenant === undefined ? 0 : 1))
    throw new UsageError(tenant === undefined ? `remove ${positionals.join(' ')}` : 'write --member TENANT USER');
  const at = text(values.at) ?? new Date(nowMs()).toISOString();
  if (parseTime(at) === undefined) throw new UsageError('--at must be a time such as 2027-01-15T08:00:00Z');
  const timeoutSec = Number(text(values.timeout) ?? '30');
  if (!(timeoutSec > 0 && timeoutSec <= 3_600)) throw new UsageError('--timeout must be 1 to 3600 seconds');
  const url = URL.parse(`/.well-known/countersign/revoke/${issuer}`, text(values.url) ?? 'http://127.0.0.1:8080');
  if (!/^https?:$/.test(url?.protocol ?? '')) throw new UsageError('--url must begin with https:// or http://');
  const file = text(values['secret-file']);
  const secret = file === undefined ? env[variable] : readOptionFile('--secret-file', file).toString().trimEnd();
  if (!secret) throw new UsageError(`the secret is missing: set ${variable}, or --secret-file FILE`);
  // Fixed once, so that a repeated call changes nothing.
  const id = crypto.randomUUID();
  const member = tenant && { tenant, user: positionals[0] };
  const body = JSON.stringify({ id, session, user, member, at, reason: text(values.reason) });
  return { url: url as URL, id, secret, timeoutSec, body };
}

type Outcome = Readonly<{ result?: string; why: string; isFinal: boolean }>;

/** Repeats the same call, first after 250 ms, until the gateway answers something else than 429 or 5xx. */
async function send(call: ReturnType<typeof callOf>): Promise<Outcome> {
  const untilMs = performance.now() + call.timeoutSec * 1000;
  for (let pauseMs = 250; ; pauseMs = Math.min(pauseMs * 2, 5_000)) {
    const outcome = await sendOnce(call);
    if (outcome.isFinal || performance.now() + pauseMs > untilMs) return outcome;
    await delay(pauseMs);
  }
}

async function sendOnce({ url, secret, body }: ReturnType<typeof callOf>): Promise<Outcome> {
  const headers = { authorization: `Bearer ${secret}`, 'content-type': 'application/json' };
  try {
    // Another host must not get the secret.
    const sent = { method: 'POST', headers, body, redirect: 'manual', signal: AbortSignal.timeout(attemptMs) } as const;
    const response = await fetch(url, sent);
    const { status } = response;
    const { result, title = '' } = (await response.json().catch(() => ({}))) as Record<string, unknown>;
    // Another server may answer 200.
    if (status === 200 && typeof result === 'string') return { result, why: '', isFinal: true };
    const why = status === 200 ? 'the answer is not from a gateway' : `${status} ${title}`;
    return { why, isFinal: status !== 429 && status < 500 };
  } catch (error) {
    const { cause, message } = error as Error & { cause?: { code?: string } };
    return { why: `${url.origin} cannot be reached: ${cause?.code ?? message}`, isFinal: false };
  }
}
