import type { Stats } from 'node:fs';

/**
 * Returns why a file must not hold a private key: other users may read or write it.
 *
 * Its group may read it (mode 0440 or 0640) if this process is in that group, and root or this process's user owns the
 * file. A Kubernetes Secret is such a file: root owns it, and its group is the `fsGroup` of the Pod.
 *
 * @param file Of the file itself, not of a symbolic link to it: from `statSync` or `fstatSync`.
 * @param process The effective user and the groups of this process.
 * @returns The end of a sentence that begins with the file's path, or undefined if the file may hold a key.
 */
export function whyNotPrivate(
  { mode, uid, gid }: Pick<Stats, 'mode' | 'uid' | 'gid'>,
  process: Readonly<{ uid: number | undefined; groups: readonly number[] }> = thisProcess(),
): string | undefined {
  const open = mode & 0o077;
  if (open === 0) return undefined;
  const octal = (mode & 0o777).toString(8);
  if (open !== 0o040) return `others may read it (mode ${octal}). Run chmod 600 on it`;
  if (!process.groups.includes(gid)) return `group ${gid} may read it (mode ${octal}), and this process is not in it`;
  if (uid === 0 || uid === process.uid) return undefined;
  return `its group may read it (mode ${octal}), and neither root nor this process's user owns it`;
}

const thisProcess = () => ({ uid: process.geteuid?.(), groups: process.getgroups?.() ?? [] });
