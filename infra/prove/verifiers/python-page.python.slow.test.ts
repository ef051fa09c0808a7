import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { testGateway } from '@countersign/identity/testing';
import { recordingUpstream } from '@countersign/testing';
import { expect, test } from '@jest/globals';
import { python, pythonEnv } from '../../stacks/languages.ts';
import { startService, untilStatus } from '../../stacks/service-process.ts';

const page = readFileSync(resolve(import.meta.dirname, '../../../docs/service-in-python.md'), 'utf8');

/** A section of the page: its files, and the commands that it prints. */
function section(title: string) {
  const text = new RegExp(`^## ${title}\n([\\s\\S]*?)(?=^## )`, 'm').exec(page)?.[1] ?? '';
  const files = [...text.matchAll(/<!-- (\S+\.py) -->\n```python\n([\s\S]*?)```/g)];
  const commands = [...text.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, block = '']) => block.trim().split('\n'));
  return {
    files: files.map(([, name = '', block = '']) => [name.replace(/^.*\/(?=\w*service\.py$)/, ''), block] as const),
    /** Programs of the environment, as the `python3 -m` that finds them outside of it. */
    commands: commands.filter((command) => !/^(pip|curl) /.test(command)).map((command) => command.split(' ')),
  };
}

test.each(['FastAPI', 'Flask', 'Django'])(
  'a service in %s, as the page says, refuses an unsigned request',
  async (title) => {
    const folder = mkdtempSync(join(tmpdir(), 'countersign-page-'));
    const gateway = testGateway({ audience: 'my-service' });
    const keys = await recordingUpstream({ answer: (_request, res) => void res.end(JSON.stringify(gateway.jwks)) });
    const { files, commands } = section(title);
    const server = commands.at(-1) ?? [];
    try {
      for (const command of commands.slice(0, -1)) {
        const { status, stderr } = spawnSync(
          python,
          ['-m', command[0] === 'django-admin' ? 'django' : '', ...command.slice(1)],
          {
            cwd: folder,
            encoding: 'utf8',
          },
        );
        expect([command, status, stderr]).toEqual([command, 0, '']);
      }
      for (const [name, block] of files) writeFileSync(join(folder, name), block);
      const args = (port: number) => ['-m', ...server.map((word) => word.replace('3000', String(port)))];
      const env = { ...pythonEnv, GATEWAY_KEYS_URL: `${keys.url}/.well-known/jwks.json` };
      const service = await startService({ command: python, args, cwd: folder, env });
      const url = `${service.url}/hello`;
      try {
        const refused = await untilStatus(401, () => fetch(url));
        expect(refused.headers.get('x-identity-refused')).toBe('signature_missing');
        const signed = () => fetch(url, { headers: gateway.signedRequest({ path: '/hello' }).headers });
        expect(await (await untilStatus(200, signed)).json()).toEqual({ hello: 'user-1' });
      } finally {
        await service.stop();
      }
    } finally {
      await keys.close();
      rmSync(folder, { recursive: true });
    }
  },
);

test('the test on the page passes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-page-'));
  const [, block = ''] = /<!-- test_service\.py -->\n```python\n([\s\S]*?)```/.exec(page) ?? [];
  writeFileSync(join(folder, 'test_service.py'), block);
  const { stdout } = spawnSync(python, ['-m', 'pytest', '-q'], {
    cwd: folder,
    env: { ...process.env, ...pythonEnv },
    encoding: 'utf8',
  });
  rmSync(folder, { recursive: true });
  expect(stdout).toMatch(/^1 passed/m);
});
