import { closeSync, openSync, writeFileSync } from 'node:fs';

export type LogFile = Readonly<{ write(chunk: Buffer): void; close(): void }>;

/**
 * A process's log. Where it cannot be written, as on a full disk, its lines are lost and the process goes on: a log is no reason
 * to stop what it is about. At once and not by a stream, which would end at the first error; whoever writes here has nothing else to do.
 *
 * @param onLost Told when lines begin to be lost.
 */
export function openLogFile(path: string, onLost: (why: Error) => void): LogFile {
  const file = openSync(path, 'a');
  let losing = false;
  return {
    write(chunk) {
      try {
        // A line that was cut off must not run into the next.
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
