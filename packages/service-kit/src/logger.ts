import { type DestinationStream, destination, type Logger, pino } from 'pino';

export type { Logger } from 'pino';

// Last line of defence: code must not log these at all, but a stray object with one of them still shows nothing.
const secretKeys = [
  'authorization',
  'cookie',
  'dpop',
  'password',
  'signature',
  'access_token',
  'refresh_token',
  'token',
  'secret',
  'txn-token',
  '"set-cookie"',
];
const redactedPaths = secretKeys.flatMap((key) => {
  const bracketed = key.startsWith('"') ? `[${key}]` : `["${key}"]`;
  return [bracketed, `*${bracketed}`, `*.*${bracketed}`];
});

/**
 * One JSON line an event on standard output, times as RFC 3339.
 *
 * @param to Where lines go; tests pass a stream of their own.
 */
export function createLogger(name: string, level: string, to?: DestinationStream): Logger {
  return pino(
    {
      name,
      level,
      base: { name, pid: process.pid },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      redact: { paths: redactedPaths, censor: '[redacted]' },
    },
    // Synchronous: a crash must not lose the line that explains it.
    to ?? destination({ dest: 1, sync: true }),
  );
}
