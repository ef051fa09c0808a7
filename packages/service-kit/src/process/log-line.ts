import { pino } from 'pino';
import { isoTime } from './iso-time.ts';
import type { Logger, LogStream } from './logger.ts';

/**
 * Writes lines from prepared JSON. A line has the same format as one of the logger, without the cost of an object with
 * many keys.
 *
 * pino's redaction does not see these lines, so `members` must hold no secret and no object that may hold one.
 *
 * @returns Writes one line. `members` is JSON such as `,"status":200`, with {@link jsonString} for each string.
 */
export function createLineWriter(logger: Logger, level: 'info', message: string): (members: string) => void {
  const parts = logger as unknown as PinoParts;
  const stream = parts[pino.symbols.streamSym];
  const append = stream.append ?? stream.write;
  const start = `${parts[pino.symbols.lsCacheSym][pino.levels.values[level] ?? 0]},"time":"`;
  const bindings = `"${parts[pino.symbols.chindingsSym]}`;
  const end = `,"msg":${JSON.stringify(message)}}\n`;
  return (members) => {
    if (logger.isLevelEnabled(level)) append.call(stream, start + isoTime(Date.now()) + bindings + members + end);
  };
}

/** What a pino logger writes before the members of a line, and where it writes it. */
type PinoParts = Readonly<{
  [pino.symbols.streamSym]: LogStream;
  [pino.symbols.lsCacheSym]: Readonly<Record<number, string>>;
  [pino.symbols.chindingsSym]: string;
}>;

// Quotes, backslashes, control characters and surrogates.
const needsEscape = /[^ !#-[\]-\ud7ff\ue000-\uffff]/;

/** Returns a string as JSON. Most strings need no escape. */
export const jsonString = (value: string): string => (needsEscape.test(value) ? JSON.stringify(value) : `"${value}"`);
