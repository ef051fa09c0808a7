import { createLogger, type Logger } from '@countersign/service-kit';

export type CapturingLogger = Readonly<{
  logger: Logger;
  lines(): Record<string, unknown>[];
  /** Every byte so far, to search for secrets that must not be logged. */
  text(): string;
}>;

/** Creates the real logger, writing into memory. */
export function capturingLogger(level = 'trace'): CapturingLogger {
  let text = '';
  const logger = createLogger('test', level, {
    write(line: string) {
      text += line;
    },
  });
  return {
    logger,
    text: () => text,
    lines: () =>
      text
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Record<string, unknown>),
  };
}

export const silentLogger = (): Logger => createLogger('test', 'silent');
