import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, globSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';

// Runs in the build stage of the Dockerfile: `node collect.ts OUT WORKSPACE…` puts what each process needs at run time
// into OUT/WORKSPACE. That is its build, the packages that it depends on, the health check, and a list of all of them
// (CycloneDX).

type Entry = Readonly<{
  link?: boolean;
  resolved?: string;
  dependencies?: Readonly<Record<string, string>>;
  optionalDependencies?: Readonly<Record<string, string>>;
  peerDependencies?: Readonly<Record<string, string>>;
  peerDependenciesMeta?: Readonly<Record<string, { optional?: boolean }>>;
}>;

const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as { packages: Record<string, Entry> };

/** Everything that a package needs at run time, by its path in the lock file. */
function closureOf(workspace: string): ReadonlySet<string> {
  const found = new Set<string>();
  const visit = (place: string): void => {
    if (found.has(place)) return;
    found.add(place);
    const entry = packages[place] ?? {};
    if (entry.link && entry.resolved !== undefined) visit(entry.resolved);
    for (const name of dependenciesOf(entry)) {
      const at = placeOf(name, place);
      if (at !== undefined) visit(at);
    }
  };
  visit(workspace);
  return found;
}

function dependenciesOf(entry: Entry): readonly string[] {
  const { dependencies, optionalDependencies, peerDependencies = {}, peerDependenciesMeta = {} } = entry;
  const peers = Object.keys(peerDependencies).filter((name) => !peerDependenciesMeta[name]?.optional);
  return [...Object.keys({ ...dependencies, ...optionalDependencies }), ...peers];
}

/**
 * Finds the folder of a package as Node.js would. Undefined if the package is optional and not installed, for example
 * for another platform.
 */
function placeOf(name: string, from: string): string | undefined {
  for (let folder = from; ; folder = dirname(folder) === '.' ? '' : dirname(folder)) {
    const place = join(folder, 'node_modules', name);
    if (place in packages && existsSync(place)) return place;
    if (folder === '') return undefined;
  }
}

function copy(place: string, out: string): void {
  const entry = packages[place] ?? {};
  const to = join(out, place);
  mkdirSync(dirname(to), { recursive: true });
  if (entry.link && entry.resolved !== undefined) {
    symlinkSync(relative(dirname(place), entry.resolved), to);
  } else if (place.includes('node_modules')) {
    // Nested packages are copied separately.
    const nested = join(place, 'node_modules') + sep;
    cpSync(place, to, { recursive: true, filter: (file) => !`${file}${sep}`.startsWith(nested) });
  } else {
    for (const part of ['dist', 'bin', 'assets', 'vectors.json'].filter((name) => existsSync(join(place, name))))
      cpSync(join(place, part), join(to, part), { recursive: true });
    const { devDependencies, scripts, ...rest } = JSON.parse(readFileSync(join(place, 'package.json'), 'utf8'));
    mkdirSync(to, { recursive: true });
    writeFileSync(join(to, 'package.json'), JSON.stringify(rest, null, 2));
  }
}

type Content = Readonly<{ name: string; version: string; needs: Readonly<Record<string, string>> }>;

/** Copies and lists packages with everything that they need. */
function writeImage(places: readonly string[], out: string, { name, version, needs }: Content): void {
  for (const place of new Set(places.flatMap((root) => [...closureOf(root)]))) copy(place, out);
  for (const file of globSync('**/*.{map,d.ts,d.mts,d.cts}', { cwd: out })) rmSync(join(out, file));
  cpSync('LICENSE', join(out, 'LICENSE'));
  cpSync('infra/ship/docker/healthcheck.js', join(out, 'healthcheck.js'));
  const root = { name: `${name}-image`, version, private: true, type: 'module', dependencies: needs };
  writeFileSync(join(out, 'package.json'), JSON.stringify(root, null, 2));
}

function writeSbom(out: string): void {
  const sbom = execFileSync('npm', ['sbom', '--sbom-format', 'cyclonedx'], { cwd: out, maxBuffer: 2 ** 26 });
  writeFileSync(join(out, 'sbom.cdx.json'), sbom);
}

function collect(workspace: string, out: string): void {
  const { name, version } = JSON.parse(readFileSync(join(workspace, 'package.json'), 'utf8'));
  writeImage([workspace], out, { name, version, needs: { [name]: version } });
  const link = join(out, 'node_modules', name);
  mkdirSync(dirname(link), { recursive: true });
  if (!existsSync(link)) symlinkSync(relative(dirname(link), join(out, workspace)), link);
  writeSbom(out);
}

/** web/ is not a workspace. Its files are built, and its server runs from source with these packages. */
function collectWeb(out: string): void {
  const places = ['@countersign/process-kit', '@countersign/service-kit', 'express', 'zod'].map((name) =>
    join('node_modules', name),
  );
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
  const versionOf = (place: string) => JSON.parse(readFileSync(join(place, 'package.json'), 'utf8')).version;
  const needs = places.map((place) => [relative('node_modules', place), versionOf(place)]);
  writeImage(places, out, { name: 'web', version, needs: Object.fromEntries(needs) });
  for (const part of ['dist', 'server']) cpSync(join('web', part), join(out, 'web', part), { recursive: true });
  writeSbom(out);
}

const [out = '', ...workspaces] = process.argv.slice(2);
for (const workspace of workspaces) collect(workspace, join(out, workspace));
collectWeb(join(out, 'web'));
