import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';

// `node check-manifests.ts FILE`: checks manifests against the packages of package.json, which are the schemas of
// Kubernetes 1.36, the Gateway API and the Prometheus operator. Exits with 1 if there is a problem.

type Manifest = Readonly<{
  apiVersion: string;
  kind: string;
  metadata: Readonly<{ name: string }>;
  data?: Readonly<Record<string, string>>;
}>;

const packages: Readonly<Record<string, string>> = {
  'gateway.networking.k8s.io': '@kubernetes-models/gateway-api',
  'monitoring.coreos.com': '@kubernetes-models/prometheus-operator',
};
const nameOf = ({ kind, metadata }: Manifest) => `${kind} ${metadata.name}`;

/** Kubernetes ignores the line breaks that kustomize writes into base64, and the schema does not. */
function withoutBreaks(manifest: Manifest): Manifest {
  if (manifest.kind !== 'Secret') return manifest;
  const data = Object.entries(manifest.data ?? {}).map(([name, value]) => [name, value.replace(/\s/g, '')]);
  return { ...manifest, data: Object.fromEntries(data) };
}

/**
 * Returns a program with one line for each manifest. Its types check the field names, and its validators check the
 * values.
 */
function programOf(manifests: readonly Manifest[]): string {
  const line = (manifest: Manifest, index: number) => {
    const { apiVersion, kind } = manifest;
    const module = `${packages[apiVersion.split('/')[0] ?? ''] ?? 'kubernetes-models'}/${apiVersion}/${kind}`;
    const [model, type, value] = [`Model${index}`, `Type${index}`, `manifest${index}`];
    return [
      `import { ${kind} as ${model}, type I${kind} as ${type} } from '${module}'`,
      `const ${value}: ${type} = ${JSON.stringify(manifest)}`,
      `try { new ${model}(${value}).validate() } catch (error) { console.log(${JSON.stringify(nameOf(manifest))} + ': ' + (error as Error).message) }`,
    ].join('; ');
  };
  return manifests.map(line).join('\n');
}

/** @returns The problems, each with the kind and the name of its manifest. */
function problemsOf(manifests: readonly Manifest[]): readonly string[] {
  const program = join(import.meta.dirname, `.check-${process.pid}.ts`);
  writeFileSync(program, programOf(manifests));
  try {
    const tsc = join(import.meta.dirname, '../../../node_modules/.bin/tsc');
    const options = '--noEmit --strict --skipLibCheck --module nodenext --ignoreConfig --pretty false'.split(' ');
    const compiled = spawnSync(tsc, [...options, program], { encoding: 'utf8', cwd: import.meta.dirname });
    const ran = spawnSync(process.execPath, [program], { encoding: 'utf8', maxBuffer: 2 ** 26 });
    if (ran.status !== 0) throw new Error(ran.stderr);
    const types = [...compiled.stdout.matchAll(/^[^\s(]+\((\d+),\d+\): (.*)$/gm)].map(([, line, message]) => {
      const manifest = manifests[Number(line) - 1];
      return `${manifest === undefined ? '' : nameOf(manifest)}: ${message}`;
    });
    if (compiled.status !== 0 && types.length === 0) throw new Error(compiled.stdout);
    return [...types, ...ran.stdout.split('\n').filter((line) => line !== '')];
  } finally {
    rmSync(program);
  }
}

const documents = parseAllDocuments(readFileSync(process.argv[2] ?? 0, 'utf8'));
const manifests = documents.map((document) => withoutBreaks(document.toJS() as Manifest));
const problems = problemsOf(manifests);
process.stdout.write(problems.map((problem) => `${problem}\n`).join(''));
if (problems.length > 0 || manifests.length === 0) process.exitCode = 1;
else process.stdout.write(`${manifests.length} manifests are valid\n`);
