import { closeSync, openSync, writeFileSync } from 'node:fs';

export type LogFile = Readonly<{ write(chunk: Buffer): void; close(): void }>;

/**
 * Opens a process's log file. If the file cannot be written, for example because the disk is full, lines are lost but
 * the process keeps running. Writes are synchronous, because a stream would end at the first error.
 *
 * @param onLost Called when lines begin to be lost.
 */
export function openLogFile(path: string, onLost: (why: Error) => void): LogFile {
  const file = openSync(path, 'a');
  let losing = false;
  return {
    write(chunk) {
      try {
        // Separates a truncated line from the next one.
        writeFileSync(file, losing ? Buffer.concat([Buffer.from('\n'), chunk]) : chunk);
        losing = false;
      } catch (error) {
        if (!losing) onLost(error as Error);
        losing = true;
      }
    },
    close: () => closeSync(file),
  };
}
