import { execFile, execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

export type LoadOptions = Readonly<{
  origin: string;
  /** A file with a path and an access token on each line, which are sent in rotation. */
  requestsFile: string;
  seconds: number;
  /** Either how many connections send as fast as responses arrive, or how many requests to send per second. */
  pace: Readonly<{ connections: number } | { perSecond: number }>;
  /** Cores as `taskset -c` accepts them. Undefined if not pinned. */
  cores: string | undefined;
}>;

export type LoadResult = Readonly<{
  requests: number;
  seconds: number;
  /** Responses except 2xx and 3xx. */
  refused: number;
  /** Requests without a response, because the connection failed or 10 s passed. */
  broken: number;
  p50Ms: number;
  p99Ms: number;
}>;

export type LoadGenerator = Readonly<{ name: string; run(options: LoadOptions): Promise<LoadResult> }>;

const run = promisify(execFile);

/** Uses wrk if it is installed. Otherwise uses our program on undici, which needs several times as much CPU. */
export function findLoadGenerator(): LoadGenerator {
  const version = wrkVersion();
  if (version === undefined) return { name: 'undici', run: runLoadProgram };
  return { name: version, run: (options) => execute('wrk', wrkArgs(options), options) };
}

/** Uses our program on undici, because wrk cannot send at a constant rate. */
export function runLoadProgram(options: LoadOptions): Promise<LoadResult> {
  const { origin, requestsFile, seconds, pace } = options;
  const [kind, value] = 'perSecond' in pace ? ['rate', pace.perSecond] : ['connections', pace.connections];
  const program = join(import.meta.dirname, 'load-program.ts');
  return execute(process.execPath, [program, origin, requestsFile, String(seconds), kind, String(value)], options);
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

function wrkArgs({ origin, requestsFile, pace, seconds }: LoadOptions): string[] {
  const script = join(import.meta.dirname, 'rotate-requests.lua');
  return [
    '-t1',
    `-c${'connections' in pace ? pace.connections : 1}`,
    `-d${seconds}s`,
    '--timeout',
    '10s',
    '-s',
    script,
    origin,
    '--',
    requestsFile,
  ];
}

async function execute(command: string, args: readonly string[], { cores }: LoadOptions): Promise<LoadResult> {
  const { stdout } =
    cores === undefined ? await run(command, args) : await run('taskset', ['-c', cores, command, ...args]);
  const line = stdout.split('\n').find((text) => text.startsWith('{'));
  if (line === undefined) throw new Error(`${command} printed no result:\n${stdout}`);
  return JSON.parse(line) as LoadResult;
}
