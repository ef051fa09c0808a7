import { styleText } from 'node:util';
import type { Environment } from '@countersign/service-kit';

const formats = { good: 'green', bad: 'red', quiet: 'dim', strong: 'bold' } as const;

export type Terminal = Readonly<{
  out(line: string): void;
  err(line: string): void;
  /** Colors text for `out`, if `out` is a terminal. `err` has no colors, because people redirect it to files. */
  paint(style: keyof typeof formats, text: string): string;
  /** Whether `out` is a terminal, and not a file or a pipe. */
  isInteractive: boolean;
  env: Environment;
  nowMs(): number;
}>;

/** Standard output and error. Colors only on a terminal, and never with NO_COLOR (https://no-color.org). */
export function processTerminal(env: Environment): Terminal {
  // A reader such as `head -3` may close the pipe early. That must not change the exit code.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', ignoreClosedPipe);
  const isInteractive = process.stdout.isTTY === true;
  const isColored = isInteractive && (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb';
  return {
    out: (line) => void process.stdout.write(`${line}\n`),
    err: (line) => void process.stderr.write(`${line}\n`),
    paint: (style, text) => (isColored ? styleText(formats[style], text, { validateStream: false }) : text),
    isInteractive,
    env,
    nowMs: Date.now,
  };
}

function ignoreClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
}
