import { createLogger, type Logger } from '@countersign/process-kit';

export type CapturingLogger = ReturnType<typeof capturingLogger>;

/** Creates the real logger, which writes into memory. */
export function capturingLogger(level = 'trace') {
  let text = '';
  const logger = createLogger('test', level, {
    write(line: string) {
      text += line;
    },
  });
  return {
    logger,
    /** Everything logged so far, to search for secrets. */
    text: () => text,
    lines: () =>
      text
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Record<string, unknown>),
  };
}

export const silentLogger = (): Logger => createLogger('test', 'silent');
