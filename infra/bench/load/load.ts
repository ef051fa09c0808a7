import { execFile, execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { promisify } from 'node:util';

export type LoadOptions = Readonly<{
  origin: string;
  /** A file with a path and an access token on each line. They are sent in rotation. */
  requestsFile: string;
  connections: number;
  seconds: number;
  /** Cores in the form of `taskset -c`. Undefined: not pinned. */
  cores: string | undefined;
}>;

export type LoadResult = Readonly<{
  requests: number;
  seconds: number;
  /** Responses other than 2xx and 3xx. */
  refused: number;
  /** Requests without a response, because the connection failed or 10 s passed. */
  broken: number;
  p50Ms: number;
  p99Ms: number;
}>;

export type LoadGenerator = Readonly<{ name: string; run(options: LoadOptions): Promise<LoadResult> }>;

const run = promisify(execFile);

/** wrk where it is installed. Otherwise autocannon, which needs about five times the CPU of wrk. */
export function findLoadGenerator(): LoadGenerator {
  const version = wrkVersion();
  if (version !== undefined) return { name: version, run: (options) => execute('wrk', wrkArgs(options), options) };
  const { version: installed } = createRequire(import.meta.url)('autocannon/package.json') as { version: string };
  return {
    name: `autocannon ${installed}`,
    run(options) {
      const { origin, requestsFile, connections, seconds } = options;
      const program = join(import.meta.dirname, 'autocannon-program.ts');
      const settings = [origin, requestsFile, String(connections), String(seconds)];
      return execute(process.execPath, [program, ...settings], options);
    },
  };
}

function wrkVersion(): string | undefined {
  try {
    // `wrk -v` exits with 1.
    execFileSync('wrk', ['-v'], { stdio: 'pipe' });
  } catch (error) {
    const { stdout, code } = error as { stdout?: Buffer; code?: string };
    if (code === 'ENOENT') return undefined;
    return /^wrk \S+/.exec(String(stdout))?.[0] ?? 'wrk';
  }
  return 'wrk';
}

function wrkArgs({ origin, requestsFile, connections, seconds }: LoadOptions): string[] {
  const script = join(import.meta.dirname, 'rotate-requests.lua');
  return ['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '10s', '-s', script, origin, '--', requestsFile];
}

async function execute(command: string, args: readonly string[], { cores }: LoadOptions): Promise<LoadResult> {
  const { stdout } =
    cores === undefined ? await run(command, args) : await run('taskset', ['-c', cores, command, ...args]);
  const line = stdout.split('\n').find((text) => text.startsWith('{'));
  if (line === undefined) throw new Error(`${command} printed no result:\n${stdout}`);
  return JSON.parse(line) as LoadResult;
}
