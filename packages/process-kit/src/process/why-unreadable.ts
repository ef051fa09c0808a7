import { statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/**
 * Returns why a file cannot be read (the end of a sentence), and without permission, whose it is and what to do.
 *
 * @param error From `node:fs`, which sets `code` and `path`.
 */
export function whyUnreadable(error: unknown): string {
  const { code = 'error', path } = error as NodeJS.ErrnoException;
  const why = `cannot be read (${code})`;
  const me = process.geteuid?.();
  if (code !== 'EACCES' || path === undefined || me === undefined) return why;
  const { at, uid, mode } = nearestVisible(resolve(path));
  const facts = `${why}: ${at} belongs to user ${uid} and has mode ${(mode & 0o777).toString(8)}`;
  if (uid === me) return `${facts}. Run chmod u+rX on it`;
  const asOwner = uid === 0 ? '' : `, or run it as user ${uid} (docker run --user ${uid})`;
  return `${facts}, and this process runs as user ${me}. Let that user read the file${asOwner}`;
}

function nearestVisible(path: string): Readonly<{ at: string; uid: number; mode: number }> {
  try {
    const { uid, mode } = statSync(path);
    return { at: path, uid, mode };
  } catch {
    return nearestVisible(dirname(path));
  }
}
