import { cpSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

// The last step of `npm run build`. `@countersign/service-kit` is not published, so the package contains its build: this script
// copies it to dist/service-kit, and makes each import of it relative.

const dist = resolve(import.meta.dirname, '../dist');
const kit = join(dist, 'service-kit');

rmSync(kit, { recursive: true, force: true });
cpSync(resolve(import.meta.dirname, '../../packages/service-kit/dist'), kit, { recursive: true });

for (const file of globSync('**/*.{js,d.ts}', { cwd: dist })) {
  const path = join(dist, file);
  const steps = relative(dirname(path), join(kit, 'index.js'));
  const own = steps.startsWith('.') ? steps : `./${steps}`;
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, text.replaceAll(/(['"])@countersign\/service-kit\1/g, `'${own}'`));
}
