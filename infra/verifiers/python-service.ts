import { resolve } from 'node:path';
import { eventually, startProcess } from '@countersign/testing';

const folder = resolve(import.meta.dirname, '../../packages/verifiers/python');

/** Every framework, on a server that people use for it. */
export const pythonServers = {
  'FastAPI on uvicorn': ['uvicorn', 'fastapi_app:app'],
  'Flask on gunicorn': ['gunicorn', 'flask_app:app'],
  'Django on gunicorn': ['gunicorn', 'django_app:application'],
  'Django on uvicorn': ['uvicorn', 'django_app:asgi_application'],
} as const;
export type PythonServer = keyof typeof pythonServers;
export const serverNames = Object.keys(pythonServers) as PythonServer[];

export type PythonService = Readonly<{
  port: number;
  /** How many requests have reached a handler of the service, which has one process. */
  reached(): Promise<number>;
  output(): string;
  stop(): Promise<unknown>;
}>;

export const python = process.env.VERIFIER_PYTHON ?? '';
export const pythonEnv = { PYTHONPATH: `${folder}/src`, PYTHONDONTWRITEBYTECODE: '1' };
export const pythonPackage = folder;

/** Starts one of the services in tests/services, and waits until it listens. */
export async function startPythonService(
  server: PythonServer,
  port: number,
  env: Readonly<Record<string, string>>,
  { workers = 1 } = {},
): Promise<PythonService> {
  const [program, app] = pythonServers[server];
  // By default gunicorn stops accepting at 1,000 connections, which is as many as the races open.
  const threads = ['--threads', '16', '--worker-connections', '2000'];
  const listen =
    program === 'uvicorn'
      ? ['--port', String(port), '--workers', String(workers), '--no-access-log', '--log-level', 'warning']
      : ['--bind', `127.0.0.1:${port}`, '--workers', String(workers), ...threads, '--log-level', 'warning'];
  const started = startProcess({
    command: python,
    args: ['-m', program, ...listen, app],
    cwd: `${folder}/tests/services`,
    env: { ...pythonEnv, SERVER: program === 'uvicorn' ? 'asgi' : 'wsgi', ...env },
  });
  const metrics = async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { connection: 'close' } });
    return ((await answer.json()) as { reached: number }).reached;
  };
  await eventually(metrics, 100_000).catch(async (error: unknown) => {
    await started.stop();
    throw new Error(started.output(), { cause: error });
  });
  return { port, reached: metrics, output: started.output, stop: () => started.stop() };
}
