import { HttpClientError } from '../../src/http-client-error.ts';
import { ResponseParser } from '../../src/response-parser.ts';
import { nothingRead, type Reading, type Wire } from './read-response.ts';

/** Reads a response with the gateway's own parser. */
export function readWithClient({ method, pieces }: Wire): Reading {
  const reading = nothingRead();
  const parser = new ResponseParser({
    receiveHead(status, fields) {
      reading.status = status;
      reading.fields = fields;
    },
    receiveData(bytes, start, end) {
      reading.body += bytes.toString('latin1', start, end);
    },
    receiveEnd(trailers) {
      reading.trailers = trailers;
      reading.isComplete = true;
      reading.mayReuse = parser.framing.mayReuse;
    },
  });
  parser.expect(method);
  try {
    for (const piece of pieces) {
      // Copied, because the parser may change the bytes.
      parser.read(Buffer.from(piece), piece.length);
      if (reading.isComplete) return reading;
    }
    parser.endOfConnection(true);
  } catch (error) {
    if (!(error instanceof HttpClientError)) throw error;
  }
  return reading;
}
