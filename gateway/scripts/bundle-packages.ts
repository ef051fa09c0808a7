import { cpSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

// The last step of `npm run build`. These packages are not published, so the gateway's package contains their builds.
// This script copies them to dist, and makes imports of them relative.

const bundled = [
  'process-kit',
  'service-kit',
  'http1-client',
  'proxy-config',
  'strict-yaml',
  'conformance',
  'revocations',
  'tracing',
  'console',
];
const dist = resolve(import.meta.dirname, '../dist');

// tsc copies only TypeScript.
for (const file of ['config/presets.yaml', 'config/webhooks.yaml', 'cli/init.template']) {
  cpSync(resolve(import.meta.dirname, '../src', file), join(dist, file));
}

for (const name of bundled) {
  const copy = join(dist, name);
  rmSync(copy, { recursive: true, force: true });
  cpSync(resolve(import.meta.dirname, '../../packages', name, 'dist'), copy, { recursive: true });
}

for (const file of globSync('**/*.{js,d.ts}', { cwd: dist })) {
  const path = join(dist, file);
  const text = readFileSync(path, 'utf8');
  const imports = new RegExp(`(['"])@countersign/(${bundled.join('|')})\\1`, 'g');
  const bundledText = text.replaceAll(imports, (_, _quote, name: string) => {
    const steps = relative(dirname(path), join(dist, name, 'index.js'));
    return `'${steps.startsWith('.') ? steps : `./${steps}`}'`;
  });
  writeFileSync(path, bundledText);
}
