type Schema = Readonly<{ required?: readonly string[]; examples?: readonly unknown[] }>;
type Operation = Readonly<{
  operationId: string;
  parameters?: readonly Readonly<{ name: string; in: string; required?: boolean }>[];
  requestBody?: Readonly<{ content: Readonly<Record<string, Readonly<{ schema: Schema }>>> }>;
}>;

/** The operations with a method of their own, which also begins or ends the session. */
const ofClient = ['logIn', 'chooseTenant', 'showSecondFactor', 'acceptInvitation', 'switchTenant'];

/** Returns how `@countersign/client` calls an operation. Undefined for bodies that are not JSON. */
function codeSample(path: string, method: string, operation: Operation): string | undefined {
  const { operationId, parameters = [], requestBody } = operation;
  const content = requestBody?.content ?? {};
  if (requestBody !== undefined && content['application/json'] === undefined) return undefined;
  const { examples = [], required = [] } = content['application/json']?.schema ?? {};
  const body = examples[0] ?? Object.fromEntries(required.map((name) => [name, '…']));
  const named = (place: string) =>
    parameters.filter((one) => one.in === place && one.required).map(({ name }) => [name, '…'] as const);
  const groups = ['path', 'query'].filter((place) => named(place).length > 0);
  const params = Object.fromEntries(groups.map((place) => [place, Object.fromEntries(named(place))]));
  const options = { ...(groups.length > 0 && { params }), ...(requestBody !== undefined && { body }) };
  const given = Object.keys(options).length === 0 ? '' : `, ${print(options)}`;
  const call = ofClient.includes(operationId)
    ? `${operationId}(${print(body)})`
    : `api.${method.toUpperCase()}('${path}'${given})`;
  const read = path.endsWith('/events')
    ? `for await (const event of client.events('${path}')) console.log(event);`
    : `const { data, error } = await client.${call};`;
  return `import { createClient } from '@countersign/client';

const client = createClient({ baseUrl: 'http://127.0.0.1:8080' });
// After client.logIn(…):
${read}`;
}

/** Prints a value as JavaScript. */
const print = (value: unknown): string => JSON.stringify(value, null, 2).replaceAll(/^( *)"(\w+)":/gm, '$1$2:');

type Described = {
  paths: Readonly<Record<string, Readonly<Record<string, Operation & { 'x-codeSamples'?: object[] }>>>>;
};

/** Adds samples to an OpenAPI document, for a page that shows it. */
export function withCodeSamples(document: string): string {
  const api = JSON.parse(document) as Described;
  for (const [path, operations] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const source = codeSample(path, method, operation);
      const sample = { lang: 'javascript', label: '@countersign/client', source };
      if (source !== undefined) operation['x-codeSamples'] = [sample];
    }
  }
  return JSON.stringify(api);
}
