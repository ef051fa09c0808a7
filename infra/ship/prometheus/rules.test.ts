import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isInstalled } from '@countersign/testing';
import { expect, test } from '@jest/globals';
import { fastRules } from './real-prometheus.ts';
import { readRules, rulesFile } from './rules.ts';

const testsFile = join(import.meta.dirname, 'rules.tests.yaml');

test('each alert has a test in which it fires', () => {
  const tested = [...readFileSync(testsFile, 'utf8').matchAll(/ALERTS\{alertname="(\w+)"/g)].map(([, alert]) => alert);
  const alerts = readRules().groups.flatMap(({ rules }) => rules.map(({ alert }) => alert));
  expect([...new Set(tested)].sort()).toEqual(alerts.sort());
});

test('the rules for fault tests use seconds instead of minutes, with the same thresholds', () => {
  expect(fastRules()).not.toMatch(/(for: |\[)\d+[mh]/);
  expect(fastRules().replace(/for: \S+|\[\d+s\]/g, '')).toBe(
    readFileSync(rulesFile, 'utf8').replace(/for: \S+|\[\d+[mh]\]/g, ''),
  );
});

(isInstalled('promtool') ? test : test.skip).each([
  ['check rules --lint=all --lint-fatal', rulesFile],
  ['test rules', testsFile],
])('promtool %s passes', (command, file) => {
  const { status, stdout, stderr } = spawnSync('promtool', [...command.split(' '), file], { encoding: 'utf8' });
  expect(`${status} ${stdout}${stderr}`).toMatch(/^0 [\s\S]*SUCCESS/);
});
