import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { eventually, type StartedProcess, startProcess } from '@countersign/testing';

const repository = resolve(import.meta.dirname, '../../..');
const readme = readFileSync(join(repository, 'README.md'), 'utf8');
const [, code = ''] = /^```js\n([\s\S]*?)^```$/m.exec(readme) ?? [];

/** The service in README.md on another port, with changes to its code. */
export type ReadmeService = Readonly<{
  url: string;
  /** Starts it, and settles when its port answers. */
  start(edits?: readonly (readonly [from: string, to: string])[]): Promise<StartedProcess>;
}>;

/** Saves the service in README.md, as a reader does. @param home An empty directory. */
export function readmeService(home: string, port: number, keysUrl: string): ReadmeService {
  mkdirSync(home);
  symlinkSync(join(repository, 'node_modules'), join(home, 'node_modules'));
  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    async start(edits = []) {
      const own = [['http://127.0.0.1:8090/.well-known/jwks.json', keysUrl] as const, ['(3000,', `(${port},`] as const];
      const text = [...own, ...edits].reduce((before, [from, to]) => {
        if (!before.includes(from)) throw new Error(`README.md has no ${from}`);
        return before.replace(from, to);
      }, code);
      writeFileSync(join(home, 'hello.mjs'), text);
      const started = startProcess({ args: ['hello.mjs'], cwd: home });
      await eventually(() => fetch(url, { headers: { connection: 'close' } }), 60_000);
      return started;
    },
  };
}
