/** The first release of each maintained line with the security fixes of 2026 (nodejs/security-wg, vuln/core). */
const firstFixed: readonly (readonly [major: number, minor: number, patch: number])[] = [
  [22, 23, 4],
  [24, 22, 1],
  [26, 12, 1],
];

/** Explains why Countersign does not run on this Node.js release. `engines` in each package.json has the same range. */
export function unsupportedNode(version: string): string | undefined {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if ((major === 22 && minor >= 19) || major === 24 || major >= 26) return undefined;
  return `needs Node.js 22 (from 22.19), 24, or 26 and later, but this is ${version}`;
}

/** @returns The release to upgrade to. Undefined if this one has the fixes, or belongs to a newer line. */
export function saferNodeRelease(version: string): string | undefined {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number);
  const fixed = firstFixed.find(([line]) => line >= major);
  if (fixed === undefined) return undefined;
  const [fixedMajor, fixedMinor, fixedPatch] = fixed;
  const hasFixes = major === fixedMajor && (minor > fixedMinor || (minor === fixedMinor && patch >= fixedPatch));
  return hasFixes ? undefined : fixed.join('.');
}
