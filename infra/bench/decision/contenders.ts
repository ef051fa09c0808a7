import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type RunningServer, startServer } from '../machine/processes.ts';
import type { Subject } from '../rounds.ts';
import { benchPath, cliOf, nodeOf, startGateway } from '../site/gateway.ts';
import type { Site } from '../site/site.ts';
import { ask } from './ask.ts';
import { plainNginx, printedAddress, startNginx } from './nginx.ts';

export type DecisionOptions = Readonly<{
  /** The folder `gateway/` of a checkout. */
  folder: string;
  /** The signature algorithm: a key of `signatures`. */
  algorithm: string;
  requestsFile: string;
  cores: string | undefined;
}>;

/** The baseline's name: nginx with a server that answers immediately. */
export const limitOfDecision = 'nginx, asks node:http';

/**
 * Starts nginx alone, nginx that asks a server of `node:http`, nginx that asks the gateway, and the gateway without
 * nginx. nginx and the server that it asks share one core.
 */
export async function startDecisionSubjects(
  site: Site,
  options: DecisionOptions,
  onStart: (running: Pick<RunningServer, 'stop'>) => void,
): Promise<Subject[]> {
  const { folder, algorithm, requestsFile, cores } = options;
  const started = <Server extends RunningServer>(server: Server): Server => {
    onStart(server);
    return server;
  };
  const nginx = (files: Readonly<Record<string, string>>) => startNginx(site, files, cores).then(started);
  const socket = join(mkdtempSync(join(site.directory, 'decision-')), 'decision.sock');
  const gateway = started(await startGateway(site, { folder, algorithm, cores, decision: socket }));
  const files = printedFiles(folder, gateway.file);
  const [token = ''] = site.tokens;
  const answerSocket = join(dirname(socket), 'answer.sock');
  const answer = started(
    await startAnswer(folder, answerSocket, await ask({ socketPath: socket }, benchPath, token), cores),
  );
  const asksAnswer = Object.fromEntries(
    Object.entries(files).map(([name, text]) => [name, text.replaceAll(socket, answerSocket)]),
  );
  const subjects = [
    { name: limitOfDecision, asks: answer.pid, ...(await nginx(asksAnswer)) },
    { name: 'nginx alone', ...(await nginx({ 'nginx.conf': plainNginx(site) })) },
    { name: 'nginx, asks the gateway', asks: gateway.pid, ...(await nginx(files)) },
    { name: 'the gateway in its place', ...gateway },
  ];
  return subjects.map((subject) => ({ ...subject, requestsFile }));
}

/** The output of `countersign integrate`: file names with their contents. */
function printedFiles(folder: string, config: string): Record<string, string> {
  const out = mkdtempSync(join(dirname(config), 'printed-'));
  const args = [...cliOf(folder), 'integrate', 'nginx', '--config', config, '--listen', printedAddress, '--out', out];
  execFileSync(nodeOf(folder), args);
  return Object.fromEntries(readdirSync(out).map((name) => [name, readFileSync(join(out, name), 'utf8')]));
}

function startAnswer(
  folder: string,
  socket: string,
  headers: readonly string[],
  cores: string | undefined,
): Promise<RunningServer> {
  const program = join(import.meta.dirname, 'answer-program.ts');
  return startServer({
    command: nodeOf(folder),
    args: [program, socket, JSON.stringify(headers)],
    cores,
    ready: async () => void (await ask({ socketPath: socket }, benchPath, '')),
  });
}
