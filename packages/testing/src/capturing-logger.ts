import { createLogger, type Logger } from '@countersign/service-kit';

export type CapturingLogger = Readonly<{
  logger: Logger;
  lines(): Record<string, unknown>[];
  /** Everything logged so far, to search for secrets. */
  text(): string;
}>;

/** Creates the real logger, which writes into memory. */
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
