import { ServerResponse } from 'node:http';
import type { AppError } from '../errors.ts';
import type { RequestRecord } from '../exchange.ts';

/** A response with what the listener and its handlers keep for the request. The fields take the place of closures. */
export class GatewayResponse extends ServerResponse {
  /** Why the listener refused the request, before any stage. */
  refusal: AppError | undefined = undefined;
  record: RequestRecord | undefined = undefined;
  /** Called once the response is sent, or its connection is closed. */
  ended: ((response: GatewayResponse) => void) | undefined = undefined;
}
