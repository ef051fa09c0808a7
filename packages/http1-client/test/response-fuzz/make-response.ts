import type { Random } from './random.ts';
import type { Wire } from './read-response.ts';

const methods = ['GET', 'GET', 'GET', 'HEAD', 'POST'];
const statuses = [
  '200 OK',
  '200 OK',
  '200 OK',
  '204 No Content',
  '304 Not Modified',
  '404 Not Found',
  '500 ',
  '206',
  '599 x',
];
const informational = [
  'HTTP/1.1 100 Continue\r\n\r\n',
  'HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n',
  'HTTP/1.1 102 Processing\r\n\r\n',
  'HTTP/1.0 100 Continue\r\n\r\n',
  'HTTP/1.1 100 Continue\r\nContent-Length: 3\r\n\r\n',
  'HTTP/1.1 100 Continue\r\nConnection: close\r\n\r\n',
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
];
const plainFields = [
  'Server: x',
  'Date: Thu, 01 Jan 2026 00:00:00 GMT',
  'X-Empty:',
  'X-Blank: \t ',
  'x-tab:\ta\tb \t',
  'Set-Cookie: a=b; Path=/',
  'X-Latin: caf\xe9',
  'X-Colon: a:b:c',
  'Trailer: X-Sum',
];
const connectionFields = [
  'Connection: close',
  'Connection: keep-alive',
  'connection: Keep-Alive, Upgrade',
  'Connection: x, close',
  'Connection: closed',
  'Connection:',
  'Proxy-Connection: close',
  'Keep-Alive: timeout=5, max=10',
  'Upgrade: h2c',
];
const extensions = ['', '', '', ';a', ';a=b', ';a="b c"', ';a;b=c', '; a', ' ;a', ';', ';a=', ';a="\\""', ' '];
const trailers = [
  'X-Sum: 1\r\n',
  'X-Sum: 1\r\nX-B: \r\n',
  'Content-Length: 3\r\n',
  'Transfer-Encoding: chunked\r\n',
  ' x\r\n',
];
const scraps = [
  '\r',
  '\n',
  '\r\n',
  '\r\n\r\n',
  '\n\n',
  '\0',
  ' ',
  '\t',
  ':',
  ';',
  ',',
  '0',
  '1',
  '9',
  'a',
  'f',
  'F',
  '-',
  '+',
  '"',
  '\x7f',
  '\x80',
  '\xff',
  '\x0b',
  'chunked',
  'Chunked',
  'gzip, ',
  'identity',
  'Content-Length: 5\r\n',
  'Content-Length: 0\r\n',
  'content-length:7\r\n',
  'Transfer-Encoding: chunked\r\n',
  'transfer-encoding:chunked \r\n',
  'Transfer-Encoding: \r\n',
  '\t\r\n',
  ' \r\n',
  'Transfer-Encoding: chunked\t\r\n',
  'Content-Length: 5\t\r\n',
  'Content-Length: 5 \r\n',
  'Connection: close\t\r\n',
  'Connection:\tclose, x \r\n',
  'Connection: close\tx\r\n',
  'Connection: close,\tx\r\n',
  'Connection: close ,x\r\n',
  'Connection:,close\r\n',
  'Connection: keep-alive\t,close\r\n',
  'HTTP/1.1 ',
  'HTTP/1.0',
  'HTTP/2.0',
  '204',
  '100',
  '0\r\n\r\n',
  '5\r\nhello\r\n',
];

/** @returns The bytes of a response, sometimes an invalid one, with what comes before and after it. */
export function makeResponse(random: Random): Readonly<{ method: string; text: string }> {
  let text = '';
  while (random.chance(15)) text += random.pick(informational);
  const version = random.chance(85) ? 'HTTP/1.1' : 'HTTP/1.0';
  text += `${version} ${random.pick(statuses)}\r\n`;
  const fields: string[] = [];
  while (random.chance(50)) fields.push(random.pick(plainFields));
  while (random.chance(25)) fields.push(random.pick(connectionFields));
  const { framing, body } = makeBody(random);
  fields.splice(random.int(fields.length + 1), 0, ...framing);
  for (const field of fields) text += `${field}\r\n`;
  text += `\r\n${body}`;
  if (random.chance(8)) text += random.pick(['\r\n', 'x', 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil']);
  return { method: random.pick(methods), text };
}

function makeBody(random: Random): Readonly<{ framing: readonly string[]; body: string }> {
  const content = 'hello, world! \r\n\0'.repeat(1 + random.int(3)).slice(random.int(14), 14 + random.int(30));
  switch (random.int(8)) {
    case 0:
      return { framing: [], body: content };
    case 1:
      return { framing: ['Content-Length: 0'], body: '' };
    case 2:
    case 3:
    case 4:
      return {
        framing: [random.pick(['Content-Length: ', 'content-length:', 'Content-Length: 0']) + content.length],
        body: content,
      };
    default:
      return {
        framing: [random.pick(['Transfer-Encoding: chunked', 'transfer-encoding:Chunked'])],
        body: chunks(random, content),
      };
  }
}

function chunks(random: Random, content: string): string {
  let text = '';
  for (let at = 0; at < content.length; ) {
    const size = 1 + random.int(content.length - at);
    const digits = random.chance(20) ? size.toString(16).toUpperCase().padStart(4, '0') : size.toString(16);
    text += `${digits}${random.chance(10) ? random.pick(extensions) : ''}\r\n${content.slice(at, at + size)}\r\n`;
    at += size;
  }
  return `${text}0${random.chance(5) ? random.pick(extensions) : ''}\r\n${random.chance(15) ? random.pick(trailers) : ''}\r\n`;
}

/** Changes some bytes. */
export function mutate(random: Random, text: string): string {
  let changed = text;
  for (let left = random.int(4); left > 0; left -= 1) {
    const at = random.int(changed.length + 1);
    const to = Math.min(changed.length, at + random.int(random.chance(80) ? 3 : 40));
    switch (random.int(6)) {
      case 0:
        changed = changed.slice(0, at) + changed.slice(to);
        break;
      case 1:
        changed = changed.slice(0, at) + random.pick(scraps) + changed.slice(at);
        break;
      case 2:
        changed = changed.slice(0, at) + random.pick(scraps) + changed.slice(to);
        break;
      case 3:
        changed = changed.slice(0, at) + String.fromCharCode(random.int(256)) + changed.slice(at + 1);
        break;
      case 4:
        changed = changed.slice(0, to) + changed.slice(at);
        break;
      default:
        changed = changed.slice(0, random.chance(10) ? at : changed.length);
    }
  }
  return changed;
}

/** Splits the bytes into pieces at random positions. */
export function cut(random: Random, method: string, text: string): Wire {
  const bytes = Buffer.from(text, 'latin1');
  const pieces: Buffer[] = [];
  const most = random.pick([1, 3, 20, 1000]);
  for (let at = 0; at < bytes.length; ) {
    const size = 1 + random.int(most);
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return { method, pieces };
}
