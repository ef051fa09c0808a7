import type { ServerResponse } from 'node:http';
import { type RecordingUpstream, recordingUpstream } from '@countersign/testing';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type Client, createClient, type StreamEvent } from '../src/index.ts';

let answers: ((res: ServerResponse) => void)[];
let server: RecordingUpstream;
let client: Client;
beforeEach(async () => {
  answers = [];
  server = await recordingUpstream({ answer: (_request, res) => (answers.shift() ?? end)(res) });
  client = createClient({ baseUrl: server.url, retry: { attempts: 1 } });
});
afterEach(() => server.close());

const end = (res: ServerResponse) => void res.writeHead(204).end();
const stream = (text: string) => (res: ServerResponse) =>
  void res.writeHead(200, { 'content-type': 'text/event-stream' }).end(text);
const broken = (text: string) => (res: ServerResponse) => {
  res.writeHead(200, { 'content-type': 'text/event-stream' }).write(text, () => res.destroy());
};

async function read(options = {}): Promise<StreamEvent[]> {
  const events: StreamEvent[] = [];
  for await (const event of client.events('/v1/complaints/events?of=me', options)) events.push(event);
  return events;
}
const lastIds = () => server.requests.map(({ headers }) => headers['last-event-id']);

test('reads events, and resumes after the last one when the stream ends or breaks', async () => {
  answers = [
    stream('retry: 1\nid: 1\nevent: filed\ndata: {"a":1}\n\ndata: no id\n\n'),
    broken('id: 2\ndata: second\n\ndata: half an ev'),
    (res) => void res.writeHead(503).end(),
    (res) => void res.destroy(),
    stream(': only a comment\n\n'),
  ];
  expect(await read()).toEqual([
    { id: '1', event: 'filed', data: '{"a":1}' },
    { id: undefined, event: 'message', data: 'no id' },
    { id: '2', event: 'message', data: 'second' },
  ]);
  expect(lastIds()).toEqual([undefined, '1', '2', '2', '2', '2']);
  expect(server.last()).toMatchObject({
    target: '/v1/complaints/events?of=me',
    headers: { accept: 'text/event-stream' },
  });
});

test('starts after a given event', async () => {
  await read({ lastEventId: '41' });
  expect(lastIds()).toEqual(['41']);
});

test('throws the problem when a stream is refused', async () => {
  const problem = JSON.stringify({ code: 'insufficient_role', title: 'No.', status: 403 });
  answers = [(res) => void res.writeHead(403, { 'content-type': 'application/problem+json' }).end(problem)];
  await expect(read()).rejects.toMatchObject({ status: 403, problem: { code: 'insufficient_role' } });
});

test('closes the connection when the caller leaves the loop, and ends when the signal aborts', async () => {
  const open: ServerResponse[] = [];
  const lasting = (res: ServerResponse) => {
    open.push(res);
    res.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: one\n\n');
  };
  answers = [lasting, lasting];
  for await (const { data } of client.events('/v1/complaints/events')) {
    expect(data).toBe('one');
    break;
  }
  const aborter = new AbortController();
  for await (const { data } of client.events('/v1/complaints/events', { signal: aborter.signal })) {
    expect(data).toBe('one');
    aborter.abort();
  }
  await Promise.all(open.map((res) => res.closed || new Promise((resolve) => res.once('close', resolve))));
  expect(server.requests).toHaveLength(2);
});
