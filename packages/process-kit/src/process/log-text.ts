/** The names of pino's levels. */
const labels: Readonly<Record<number, string>> = { 40: 'warning: ', 50: 'error: ', 60: 'error: ' };

/** What a request's line shows besides the method, path, status and time. The JSON has everything. */
const shownOfRequest = 'code route user_id client_id tenant_id upstream target detail err request_id'.split(' ');

/** Formats a JSON log line, such as `11:02:03 GET /orders 200 3.1 ms route=api`. Control characters are escaped. */
export function logText(json: string, paint: (style: 'bad' | 'quiet', text: string) => string): string {
  const {
    time,
    level,
    msg,
    name: _name,
    pid: _pid,
    ...members
  } = JSON.parse(json) as Readonly<Record<string, unknown>>;
  const { err, ...others } = msg === 'request' ? ofRequest(members) : members;
  const { method, path, status, duration_ms: durationMs } = members;
  const what =
    msg === 'request'
      ? `${method || '-'} ${path || '-'} ${status} ${durationMs} ms`
      : `${labels[Number(level)] ?? ''}${msg}`;
  const facts = Object.entries(others).map(([key, value]) => ` ${key}=${valueText(value)}`);
  const clock = new Date(String(time)).toTimeString().slice(0, 8);
  const isBad = Number(level) >= 40;
  const head = isBad ? paint('bad', printable(what)) : printable(what);
  return `${paint('quiet', clock)} ${head}${paint('quiet', printable(facts.join('')))}${stackOf(err)}\n`;
}

const ofRequest = (members: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> =>
  Object.fromEntries(shownOfRequest.flatMap((key) => (key in members ? [[key, members[key]]] : [])));

const valueText = (value: unknown): string =>
  typeof value === 'string' && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);

/** An error's stack, below the line. */
function stackOf(err: unknown): string {
  const { stack, message } = (err ?? {}) as Readonly<{ stack?: unknown; message?: unknown }>;
  const text = String(stack ?? message ?? '');
  const lines = text === '' ? [] : text.split('\n');
  return lines.map((line) => `\n  ${printable(line.trim())}`).join('');
}

/** Makes text safe for a terminal by escaping control characters and unusual spaces. */
export const printable = (text: string): string => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu, escaped);

/** Writes two sequences for a character beyond U+FFFF, as JSON does. */
const escaped = (character: string): string =>
  Array.from({ length: character.length }, (_, at) => hex(character.charCodeAt(at))).join('');
const hex = (code: number): string => `\\u${code.toString(16).padStart(4, '0')}`;
