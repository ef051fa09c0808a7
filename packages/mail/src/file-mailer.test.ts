import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, test } from '@jest/globals';

test('leaves no file behind on a full disk', () => {
  const directory = mkdtempSync(join(tmpdir(), 'countersign-mail-'));
  const call = `import('${resolve(import.meta.dirname, 'file-mailer.ts')}')
    .then((it) => it.fileMailer({ directory: '${directory}', from: 'a@b.test', logger: console })
      .send({ kind: 'reset', to: 'c@d.test', subject: 's', text: 't' }))
    .catch((error) => { console.log(error.code); process.exit(1); })`;
  const limited = ['-c', 'ulimit -f 0; exec "$@"', 'bash', process.execPath, '--conditions=source', '-e', call];
  const { status, stdout } = spawnSync('bash', limited, { encoding: 'utf8' });
  expect([status, stdout]).toEqual([1, 'EFBIG\n']);
  expect(readdirSync(directory)).toEqual([]);
  rmSync(directory, { recursive: true });
});
