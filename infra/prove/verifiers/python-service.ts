import { python, pythonEnv, pythonPackage } from '../../stacks/languages.ts';
import { type ServiceProcess, startService } from '../../stacks/service-process.ts';

/** Every framework, on a server that people use for it. */
const servers = {
  'FastAPI on uvicorn': ['uvicorn', 'fastapi_app:app'],
  'Flask on gunicorn': ['gunicorn', 'flask_app:app'],
  'Django on gunicorn': ['gunicorn', 'django_app:application'],
  'Django on uvicorn': ['uvicorn', 'django_app:asgi_application'],
} as const;
export type PythonServer = keyof typeof servers;
export const serverNames = Object.keys(servers) as PythonServer[];

/** Starts one of the services in tests/services. */
export function startPythonService(
  server: PythonServer,
  env: Readonly<Record<string, string>>,
  workers = 1,
): Promise<ServiceProcess> {
  const [program, app] = servers[server];
  const shared = ['--workers', String(workers), '--log-level', 'warning', app];
  // By default gunicorn stops accepting at 1,000 connections, which is as many as the races open.
  const threads = ['--threads', '16', '--worker-connections', '2000'];
  return startService({
    command: python,
    args: (port) =>
      program === 'uvicorn'
        ? ['-m', program, '--port', String(port), '--no-access-log', ...shared]
        : ['-m', program, '--bind', `127.0.0.1:${port}`, ...threads, ...shared],
    cwd: `${pythonPackage}/tests/services`,
    env: { ...pythonEnv, SERVER: program === 'uvicorn' ? 'asgi' : 'wsgi', ...env },
  });
}
