import { nothingRead, type Reading, type Wire } from './read-response.ts';

type Callback = (...given: never[]) => unknown;
type NodeParser = {
  initialize(type: number, resource: object, maxHeaderSize: number, lenientFlags: number): void;
  execute(bytes: Buffer): number | Error;
  finish(): number | Error | undefined;
  [callback: number]: Callback;
};
type NodeParserClass = {
  new (): NodeParser;
  RESPONSE: number;
  kOnHeaders: number;
  kOnHeadersComplete: number;
  kOnBody: number;
  kOnMessageComplete: number;
};

// No public module exports Node's own parser.
const { HTTPParser } = process.getBuiltinModule('_http_common') as unknown as { HTTPParser: NodeParserClass };
const maxHeaderSize = 64 * 1024;
const strict = 0;

/** Reads a response with llhttp, as `http.request` does without `insecureHTTPParser`. */
export function readWithNode({ method, pieces }: Wire): Reading {
  const reading = nothingRead();
  let flushed: string[] = [];
  let isFinal = false;
  let isUpgrade = false;
  let mayReuse = false;
  const parser = new HTTPParser();
  parser.initialize(HTTPParser.RESPONSE, {}, maxHeaderSize, strict);
  const isOver = () => reading.isComplete || isUpgrade;
  parser[HTTPParser.kOnHeaders] = (fields: string[]) => void flushed.push(...fields);
  parser[HTTPParser.kOnHeadersComplete] = (
    _major: number,
    _minor: number,
    fields: string[] | undefined,
    _method: number,
    _url: string,
    status: number,
    _reason: string,
    upgrade: boolean,
    shouldKeepAlive: boolean,
  ) => {
    const all = [...flushed, ...(fields ?? [])];
    flushed = [];
    if (isOver()) return 0;
    if (upgrade || status === 101) {
      isUpgrade = true;
      return 2;
    }
    mayReuse = shouldKeepAlive;
    isFinal = status >= 200;
    if (!isFinal) return 1;
    reading.status = status;
    reading.fields = all;
    return method === 'HEAD' ? 1 : 0;
  };
  parser[HTTPParser.kOnBody] = (chunk: Buffer) => {
    if (!isOver()) reading.body += chunk.toString('latin1');
  };
  parser[HTTPParser.kOnMessageComplete] = () => {
    if (isFinal && !isOver()) {
      reading.trailers = flushed;
      reading.isComplete = true;
      reading.mayReuse = mayReuse;
    }
    flushed = [];
  };
  for (const piece of pieces) {
    const result = parser.execute(piece);
    if (typeof result !== 'number' || isOver()) return reading;
  }
  parser.finish();
  return reading;
}
