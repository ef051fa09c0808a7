import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { expect, test } from '@jest/globals';
import { withCodeSamples } from './code-samples.ts';

const document = readFileSync(new URL('../../../../docs/openapi/countersign.json', import.meta.url), 'utf8');
type Sampled = Readonly<{ operationId: string; 'x-codeSamples'?: readonly Readonly<{ source: string }>[] }>;
const { paths } = JSON.parse(withCodeSamples(document)) as Readonly<{
  paths: Readonly<Record<string, Readonly<Record<string, Sampled>>>>;
}>;
const samples = new Map(
  Object.values(paths)
    .flatMap((operations) => Object.values(operations))
    .map((operation) => [operation.operationId, operation['x-codeSamples']?.[0]?.source]),
);
/** The call in a sample, without spaces. */
const callOf = (operationId: string) => samples.get(operationId)?.split('(…):')[1]?.replaceAll(/\s+/g, '');

test.each([
  ['readComplaint', `const{data,error}=awaitclient.api.GET('/v1/complaints/{id}',{params:{path:{id:"…"}}});`],
  ['moveComplaint', 'body:{to:"rejected",reason:"Theroadbelongstothecounty."}});'],
  ['previewErasure', '{params:{query:{user_id:"…"}}});'],
  ['logIn', 'const{data,error}=awaitclient.logIn({'],
  ['forgotPassword', '{body:{email:"…"}});'],
  ['followEvents', "forawait(consteventofclient.events('/v1/complaints/events'))console.log(event);"],
])('the sample of %s calls the client', (operationId, call) => {
  expect(callOf(operationId)).toContain(call);
});

test('every sample is a valid module, and only bodies that are not JSON have none', () => {
  for (const source of samples.values()) if (source !== undefined) stripTypeScriptTypes(source);
  expect([...samples].filter(([, source]) => source === undefined).map(([name]) => name)).toEqual([
    'issueToken',
    'attachFile',
  ]);
});
