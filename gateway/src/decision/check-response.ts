import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** Field numbers in the public proto, `envoy/service/auth/v3` and `envoy/config/core/v3`. */
const fields = {
  checkResponse: { status: 1, denied: 2, ok: 3 },
  status: { code: 1 },
  denied: { status: 1, headers: 2, body: 3 },
  ok: { headers: 2, headersToRemove: 5, responseHeadersToAdd: 6 },
  headerOption: { header: 1, appendAction: 3 },
  headerValue: { key: 1, value: 2 },
} as const;

/** Codes of `google.rpc.Status`. Every code except `ok` refuses the request. */
const codes = { ok: 0, permissionDenied: 7, unauthenticated: 16 } as const;

/** Values of `HeaderValueOption.HeaderAppendAction`. */
const actions = { append: 0, overwrite: 2 } as const;

/** Alternating names and values. */
export type Allowed = Readonly<{
  /** The headers to set on the request to the service, and the names to remove from it. No name is in both. */
  set: readonly string[];
  remove: readonly string[];
  /** The headers to set on the response to the client. */
  forClient: readonly string[];
}>;

export type Denied = Readonly<{ status: number; headers: Readonly<Record<string, string>>; body: string }>;

export function encodeResponse(answer: Allowed | Denied): Uint8Array {
  const response = new BinaryWriter();
  const code = 'set' in answer ? codes.ok : answer.status === 401 ? codes.unauthenticated : codes.permissionDenied;
  response.tag(fields.checkResponse.status, WireType.LengthDelimited).fork();
  response.tag(fields.status.code, WireType.Varint).int32(code).join();
  if ('set' in answer) writeAllowed(response, answer);
  else writeDenied(response, answer);
  return response.join().finish();
}

function writeAllowed(response: BinaryWriter, { set, remove, forClient }: Allowed): void {
  response.tag(fields.checkResponse.ok, WireType.LengthDelimited).fork();
  writeHeaders(response, fields.ok.headers, set);
  for (const name of remove) response.tag(fields.ok.headersToRemove, WireType.LengthDelimited).string(name);
  writeHeaders(response, fields.ok.responseHeadersToAdd, forClient);
}

function writeDenied(response: BinaryWriter, { status, headers, body }: Denied): void {
  response.tag(fields.checkResponse.denied, WireType.LengthDelimited).fork();
  response.tag(fields.denied.status, WireType.LengthDelimited).fork();
  response.tag(fields.status.code, WireType.Varint).int32(status).join();
  // Envoy does its own framing.
  const kept = Object.entries(headers).filter(([name]) => name !== 'content-length' && name !== 'connection');
  writeHeaders(response, fields.denied.headers, kept.flat());
  response.tag(fields.denied.body, WireType.LengthDelimited).string(body);
}

function writeHeaders(response: BinaryWriter, field: number, headers: readonly string[]): void {
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] ?? '';
    response.tag(field, WireType.LengthDelimited).fork();
    response.tag(fields.headerOption.header, WireType.LengthDelimited).fork();
    response.tag(fields.headerValue.key, WireType.LengthDelimited).string(name);
    // Sends the bytes as received. If they are not UTF-8, Envoy cannot read the response, and refuses the request.
    const value = Buffer.from(headers[at + 1] ?? '', 'latin1');
    response.tag(fields.headerValue.value, WireType.LengthDelimited).bytes(value).join();
    // The service may name other headers in Vary.
    const action = name === 'vary' ? actions.append : actions.overwrite;
    response.tag(fields.headerOption.appendAction, WireType.Varint).int32(action).join();
  }
}
