// node review.mjs BASE HEAD [SECONDS]: reviews the gateway's configuration in a pull request. Both are checkouts; of HEAD
// only the configuration and its tests are read. Each command may take 60 s, or as given. Writes annotations to standard output and a summary to $GITHUB_STEP_SUMMARY.
// Exits with 1 if the pull request should not be merged, and with 2 if that could not be decided.
import { spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const [base, head] = process.argv.slice(2, 4).map((path) => resolve(path));
const seconds = Number(process.argv[4] ?? 60);
const command = join(base, 'node_modules/.bin/countersign');
const failOn = ['wider', 'different', 'never'];

/** Writes a workflow command of GitHub Actions, in which no text of the pull request can begin another. */
function annotate(level, message, { file, line, column } = {}) {
  const escaped = (text) => String(text).replace(/%/g, '%25').replace(/\r/g, '%0D').replace(/\n/g, '%0A');
  const property = (text) => escaped(text).replace(/:/g, '%3A').replace(/,/g, '%2C');
  const place = file ? ` file=${property(file)},line=${line},col=${column}` : '';
  process.stdout.write(`::${level}${place}::${escaped(message)}\n`);
}

function stop(level, message, code) {
  annotate(level, message);
  process.exit(code);
}

/** Runs countersign of the base branch in the pull request's directory. It gets no variable, so no secret. */
function countersign(...args) {
  const { error, status, stdout, stderr } = spawnSync(process.execPath, [command, ...args], {
    cwd: head,
    env: { PATH: process.env.PATH },
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
    timeout: seconds * 1000,
    killSignal: 'SIGKILL',
  });
  const why = error?.code === 'ETIMEDOUT' ? `takes more than ${seconds} s` : error?.message;
  if (error) stop('error', `countersign ${args[0]}: ${why}`, 2);
  return { status: status ?? 2, stdout, stderr };
}

const manifest = join(base, 'package.json');
const settings = existsSync(manifest) ? JSON.parse(readFileSync(manifest, 'utf8')).countersign : undefined;
if (settings === undefined || !existsSync(command))
  stop('notice', 'The base branch has no `countersign` in package.json and its lock file, so nothing is reviewed.', 0);
const { config = 'gateway.yaml', tests = [], failOn: when = 'wider' } = settings;
if (!failOn.includes(when)) stop('error', `countersign.failOn in package.json must be one of ${failOn.join(', ')}`, 2);

/** Runs `check` or `test`, and annotates what it reports. Returns whether all is well. */
function report(name, files) {
  const { status, stdout, stderr } = countersign(name, '--json', '--without-keys', ...files);
  if (status > 1) stop('error', `countersign ${name}: ${stderr}`, 2);
  const { ok, problems, warnings = [], tests: results = [] } = JSON.parse(stdout);
  for (const problem of problems) annotate('error', problem.message, problem);
  for (const warning of warnings) annotate('warning', warning.message, warning);
  for (const result of results) if (!result.passed) annotate('error', `${result.name}: ${result.message}`, result);
  const counts =
    name === 'check' ? [problems.length, 'problem'] : [results.filter((one) => !one.passed).length, 'failure'];
  return { ok, line: `- \`countersign ${name}\`: ${counts[0]} ${counts[1]}${counts[0] === 1 ? '' : 's'}` };
}

const checked = report('check', [config]);
const tested = tests.length === 0 || !checked.ok ? { ok: true } : report('test', [config, ...tests]);
const old = join(base, config);
const diff =
  checked.ok && existsSync(old)
    ? countersign('diff', '--markdown', ...(when === 'wider' ? ['--fail-on', 'wider'] : []), old, config)
    : { status: 0, stdout: checked.ok ? 'The file is new.' : '', stderr: '' };
if (diff.status > 1) stop('error', `countersign diff: ${diff.stderr}`, 2);
const isRefused = diff.status === 1 && when !== 'never';
if (isRefused)
  annotate('error', when === 'wider' ? 'Access becomes wider.' : 'Access changes.', {
    file: config,
    line: 1,
    column: 1,
  });
const summary = [`## ${config}`, checked.line, tested.line, '', diff.stdout]
  .filter((line) => line !== undefined)
  .join('\n');
if (process.env.GITHUB_STEP_SUMMARY) appendFileSync(process.env.GITHUB_STEP_SUMMARY, `${summary}\n`);
process.exit(checked.ok && tested.ok && !isRefused ? 0 : 1);
