import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { isInstalled } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { repository } from '../../stacks/stack.ts';
import { runConformance } from '../conformance/run-conformance.ts';
import { changedRequests } from './changed-requests.ts';

const folder = resolve(repository, 'packages/verifiers/java');
const tomcat = ['core', 'el'].map((part) => `/usr/share/java/tomcat10-embed-${part}.jar`);
const hasJava = isInstalled('javac') && tomcat.every((jar) => existsSync(jar));

/** Both servers refuse a `%` without digits, join folded lines, and hide the order of lines with different names. */
const ofBothServers = [/^every character that a (path|query) may have$/, /^percent signs and dots as they came: /];
const knownNotes = {
  HttpServerService: [
    ...ofBothServers,
    /^a folded line$/,
    /^a tab where a space was signed$/,
    /^a space in the target of a signed request$/,
    /^target_malformed: (a space$|before 257 headers$|\/\.well-known\/|(path|query): ".* .*")/,
    /^header_duplicated: before an (alias|unknown identity header) in a later line$/,
    /^header_malformed: .*\t/,
    /^header_malformed: a tab inside a value$/,
  ],
  TomcatService: [
    ...ofBothServers,
    /^a folded line$/,
    /^target_malformed: /,
    /^header_malformed: content-length( 0)? and transfer-encoding$/,
    /^header_alias: before a duplicate in a later line$/,
  ],
};

(hasJava ? describe : describe.skip)('the verifier in Java', () => {
  let classes: string;
  const run = (command: string, ...args: readonly string[]) => {
    const { status, stdout, stderr } = spawnSync(command, args, { cwd: folder, encoding: 'utf8' });
    return { status, output: stdout + stderr };
  };
  const compile = (classPath: readonly string[], ...folders: readonly string[]) => {
    const sources = folders.flatMap((name) => globSync(join(folder, name, '**/*.java')));
    const options = ['-Xlint:all', '-Werror', '--release', '17', '-cp', classPath.join(':'), '-d', classes];
    return run('javac', ...options, ...sources);
  };
  beforeAll(() => {
    classes = mkdtempSync(join(tmpdir(), 'countersign-java-'));
  });
  afterAll(() => rmSync(classes, { recursive: true }));

  test('compiles without warnings, with the JDK alone, and decides every vector as the contract does', () => {
    expect(compile([classes], 'src/main', 'tests/dev')).toEqual({ status: 0, output: '' });
    const vectors = run('java', '-cp', classes, 'dev.countersign.identity.Vectors', resolve(folder, '../../identity'));
    expect(vectors).toEqual({ status: 0, output: expect.stringMatching(/^2\d{3} right, 0 wrong\n$/) });
  });

  test.each(Array.from({ length: 10 }, (_, seed) => seed))(
    'decides 10,000 changed requests as the verifier in TypeScript: seed %i',
    async (seed) => {
      expect(compile([classes], 'src/main', 'tests/dev')).toEqual({ status: 0, output: '' });
      writeFileSync(join(classes, 'changed.json'), JSON.stringify(await changedRequests(seed, 10_000)));
      const compared = run('java', '-cp', classes, 'dev.countersign.identity.Vectors', classes, 'changed.json');
      expect(compared).toEqual({ status: 0, output: '10000 right, 0 wrong\n' });
    },
  );

  test('fetches the key set, and publishes keys for agreement, as the contract says', () => {
    expect(compile([classes], 'src/main', 'tests/dev')).toEqual({ status: 0, output: '' });
    const { status, output } = run('java', '-cp', classes, 'dev.countersign.identity.Fetches');
    expect([status, output.match(/^right: /gm)?.length, output]).toEqual([
      0,
      11,
      expect.not.stringContaining('wrong: '),
    ]);
  });

  test.each(['HttpServerService', 'TomcatService'] as const)(
    'conformance finds no fault in %s, and only known notes',
    async (service) => {
      expect(compile([classes, ...tomcat], 'src', 'tests')).toEqual({ status: 0, output: '' });
      const classPath = [classes, ...tomcat].join(':');
      const options = ['-Dsun.net.httpserver.maxReqHeaders=300', '-cp', classPath];
      const args = () => [...options, `dev.countersign.identity.${service}`];
      const { faults, notes, summary } = await runConformance({ command: 'java', args });
      expect([faults, summary]).toEqual([[], expect.stringContaining(' 0 faults')]);
      expect(notes.filter((note) => !knownNotes[service].some((known) => known.test(note)))).toEqual([]);
    },
  );
});
