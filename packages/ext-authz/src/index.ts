export { type CheckedRequest, readCheckRequest } from './check-request.ts';
export { type Allowed, allowedResponse, type Denied, deniedResponse } from './check-response.ts';
