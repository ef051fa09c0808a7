import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { loadConfig } from '../../../gateway/src/config/load.ts';

test('the gateway.yaml of docs/identity-token.md loads, and the page shows the defaults', () => {
  const page = readFileSync(resolve(import.meta.dirname, '../../../docs/identity-token.md'), 'utf8');
  const [file = '', defaults = ''] = [...page.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, text = '']) => text);
  const home = mkdtempSync(join(tmpdir(), 'countersign-token-'));
  const tokenOf = (text: string) => {
    writeFileSync(join(home, 'gateway.yaml'), text);
    return loadConfig(join(home, 'gateway.yaml'), {}).upstreams.get('orders')?.identity.token;
  };
  try {
    expect(tokenOf(file)).toMatchObject({ callers: ['user'] });
    expect(tokenOf(file.replace('token: {}', defaults.trim()))).toEqual(tokenOf(file));
    expect(file).toContain('token: {}');
  } finally {
    rmSync(home, { recursive: true });
  }
});
