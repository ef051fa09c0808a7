import { printable } from '@countersign/process-kit';
import { type Delivery, EventTokenError, proveWebhook, webhookWindowMs } from '@countersign/signals';
import type { GatewayConfig } from '../config/config.ts';
import { endedTokens, readDelivered } from '../events/event-receiver.ts';
import { readOptionFile, type Terminal, UsageError } from './command.ts';

const requestLine = /^POST \/\.well-known\/countersign\/webhook\/([a-z][a-z0-9-]{0,62}) /;

/**
 * Prints what a recorded webhook would end: an HTTP request, as it arrived.
 *
 * @returns Whether it would have been accepted when it was signed.
 */
export function printSample(file: string, { issuers, eventSecrets }: GatewayConfig, { out, paint, nowMs }: Terminal) {
  const { name, delivery } = readSample(file);
  const issuer = issuers.find((one) => one.name === name && one.events?.webhook !== undefined);
  const { webhook } = issuer?.events ?? {};
  if (issuer === undefined || webhook === undefined) throw new UsageError(`${file}: no issuer "${name}" has a webhook`);
  try {
    const secrets = eventSecrets.get(name)?.webhook ?? [];
    const proved = proveWebhook(webhook.format.verify, delivery, secrets, undefined);
    const { signedAtMs = nowMs() } = proved;
    const { jti, ends, ignored } = readDelivered(issuer, delivery, proved, signedAtMs);
    const time = proved.signedAtMs === undefined ? '' : `, signed at ${new Date(signedAtMs).toISOString()}`;
    const by = `webhook of ${name} (${webhook.format.name})`;
    out(`${paint('good', 'authentic')} ${file}: ${by}, id ${printable(jti)}${time}`);
    for (const end of ends) {
      const { kind, name: id, notBeforeMs } = endedTokens(end, issuer);
      const until = kind === 'session' ? '' : `, issued before ${new Date(notBeforeMs).toISOString()}`;
      out(`  ${printable(end.event)} ends the tokens of ${kind} ${printable(id)}${until}`);
    }
    for (const reason of ignored) out(`  ends nothing: ${reason}`);
    if (Math.abs(nowMs() - signedAtMs) > webhookWindowMs)
      out('  sent again now, it is refused: its time is too far from now');
    return true;
  } catch (error) {
    if (!(error instanceof EventTokenError)) throw error;
    out(`${paint('bad', 'refused')} ${file}: ${error.message}`);
    return false;
  }
}

function readSample(file: string): Readonly<{ name: string; delivery: Delivery }> {
  const request = readOptionFile('--sample', file).toString('latin1');
  const [, first = '', head = '', rest = ''] = /^(.*?)\r?\n([\s\S]*?)\r?\n\r?\n([\s\S]*)$/.exec(request) ?? [];
  const name = requestLine.exec(first)?.[1];
  if (name === undefined)
    throw new UsageError(`${file}: must begin with "POST /.well-known/countersign/webhook/NAME HTTP/1.1"`);
  const lines = head.split(/\r?\n/);
  const headers = new Map(lines.map((line) => [line.split(':', 1)[0]?.toLowerCase(), line.replace(/^[^:]*:\s*/, '')]));
  // An editor may have added a line break.
  const length = Number(headers.get('content-length') ?? rest.length);
  const body = Buffer.from(rest.slice(0, length), 'latin1');
  return { name, delivery: { header: (wanted) => headers.get(wanted), body } };
}
