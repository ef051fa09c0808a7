export { type AnswerCall, answerCheck, isCheck, maxCheckBytes, messageOf } from './check-call.ts';
export { type CheckedRequest, readCheckRequest } from './check-request.ts';
export { type Allowed, allowedResponse, type Denied, deniedResponse } from './check-response.ts';
export { Http2Connections } from './http2-connections.ts';
