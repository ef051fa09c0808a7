import { resolve } from 'node:path';
import { testGateway } from '@countersign/identity/testing';
import { recordingUpstream } from '@countersign/testing';
import { expect, test } from '@jest/globals';
import { hasGo, python, pythonEnv } from '../../stacks/languages.ts';
import { startService, untilStatus } from '../../stacks/service-process.ts';
import { repository } from '../../stacks/stack.ts';

const examples = resolve(repository, 'examples');
type Example = Readonly<{ name: string; folder: string; command: string; args: (port: number) => readonly string[] }>;
const inPython = (name: string, args: Example['args']): Example[] =>
  python ? [{ name, folder: 'python', command: python, args }] : [];
const programs: readonly Example[] = [
  ...inPython('fastapi', (port) => ['-m', 'uvicorn', 'service:app', '--port', String(port)]),
  ...inPython('flask', (port) => ['-m', 'flask', '--app', 'flask_service', 'run', '--port', String(port)]),
  ...inPython('django', (port) => ['-m', 'gunicorn', 'django_service:application', '--bind', `127.0.0.1:${port}`]),
  ...(hasGo ? [{ name: 'go', folder: 'go', command: 'go', args: () => ['run', '.'] }] : []),
];

test('every example in an installed language accepts signed requests and refuses others', async () => {
  for (const { folder, command, args } of programs) {
    const gateway = testGateway({ audience: 'my-service' });
    const keyServer = await recordingUpstream({
      answer: (_request, res) => void res.end(JSON.stringify(gateway.jwks)),
    });
    const env = { ...pythonEnv, GATEWAY_KEYS_URL: `${keyServer.url}/.well-known/jwks.json` };
    const service = await startService({ command, args, cwd: resolve(examples, folder), env });
    const url = `${service.url}/hello`;
    try {
      const signed = () => fetch(url, { headers: gateway.signedRequest({ path: '/hello' }).headers });
      expect(await (await untilStatus(200, signed)).json()).toEqual({ hello: 'user-1' });
      const forged = await fetch(url, { headers: { 'x-identity': 'user', 'x-user-id': 'user-1' } });
      expect([forged.status, forged.headers.get('x-identity-refused')]).toEqual([401, 'signature_missing']);
      const { headers } = gateway.signedRequest({ path: '/hello' });
      const replayed = [await fetch(url, { headers }), await fetch(url, { headers })];
      expect(replayed.map(({ status }) => status)).toEqual([200, 401]);
      for (const as of [{ kind: 'anonymous' }, { kind: 'client', clientId: 'client-1' }] as const) {
        const { headers: others } = gateway.signedRequest({ path: '/hello', as });
        expect((await fetch(url, { headers: others })).status).toBe(403);
      }
    } finally {
      await service.stop();
      await keyServer.close();
    }
  }
  const expected = [...(python ? ['fastapi', 'flask', 'django'] : []), ...(hasGo ? ['go'] : [])];
  expect(programs.map(({ name }) => name)).toEqual(expected);
});
