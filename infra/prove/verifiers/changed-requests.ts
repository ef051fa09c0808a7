import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { IdentityRefused } from '../../../packages/identity/src/index.ts';
import { isExempt } from '../../../packages/identity/src/verify/exempt.ts';
import type { Message } from '../../../packages/identity/test/forge.ts';
import { deliver, toSnake, verifierAt } from '../../../packages/identity/test/verifier.ts';
import { repository } from '../../stacks/stack.ts';

type Request = Readonly<{ method: string; target: string; headers: [string, string][]; body_base64: string }>;
type Vector = Readonly<{ name: string; now: number; stream: boolean; request: Request }>;

const { vectors, ...file } = JSON.parse(readFileSync(resolve(repository, 'packages/identity/vectors.json'), 'utf8'));
const usual = (vectors as Vector[]).filter(({ stream, request }) => !stream && request.headers.length < 40);
const characters = ' \t"\'(),;:=?/%.\\_-@|~aZ019\u0000\u007f\u00a0\u00ff';

/** Numbers from 0 to below `end`, the same for each seed (a linear congruential generator). */
function numbersFrom(seed: number) {
  let state = seed;
  return (end: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * end);
  };
}

/** Random changes of the requests in vectors.json, as such a file, with what the verifier in TypeScript decides. */
export async function changedRequests(seed: number, count: number): Promise<object> {
  const below = numbersFrom(seed);
  const one = <T>(list: readonly T[]) => list[below(list.length)] as T;
  const changed = (text: string) => {
    const at = below(text.length + 1);
    return text.slice(0, at) + one(['', one([...characters]), 'aa']) + text.slice(at + below(3));
  };
  const change = (request: Request): Request => {
    const headers = request.headers.map(([name, value]): [string, string] => [name, value]);
    const at = below(headers.length);
    const [name = '', value = ''] = headers[at] ?? [];
    const other = one(one(usual).request.headers) ?? [name, value];
    const kinds: (() => Request)[] = [
      () => ({ ...request, headers: headers.with(at, [name, changed(value)]) }),
      () => ({ ...request, headers: headers.with(at, [changed(name), value]) }),
      () => ({ ...request, headers: headers.toSpliced(at, 1) }),
      () => ({ ...request, headers: headers.toSpliced(at, 0, other) }),
      () => ({ ...request, headers: headers.toSpliced(at, 1).toSpliced(below(headers.length), 0, [name, value]) }),
      () => ({ ...request, headers: headers.with(at, [name, one(one(usual).request.headers)?.[1] ?? '']) }),
      () => ({ ...request, target: changed(request.target) }),
      () => ({ ...request, method: one(['GET', 'POST', 'HEAD', changed(request.method)]) }),
      () => ({ ...request, body_base64: one(['', 'eA==']) }),
    ];
    return headers.length === 0 ? request : one(kinds)();
  };
  const decided: object[] = [];
  while (decided.length < count) {
    const { name, now, request: original } = one(usual);
    const request = change(below(2) === 0 ? original : change(original));
    if (isExempt(request.method, request.target)) continue;
    const message: Message = { ...request, body: Buffer.from(request.body_base64, 'base64') };
    const result = await deliver(verifierAt(now), message).then(
      (identity) => ({ identity: toSnake(identity) }),
      (error) => {
        if (error instanceof IdentityRefused) return { refused: error.reason };
        throw error;
      },
    );
    // The memory of `verifierAt` was made at 0, so it begins one second later.
    decided.push({ name, now, stream: false, memory_began: 1, delivered_before: 0, request, ...result });
  }
  return { ...file, vectors: decided };
}
