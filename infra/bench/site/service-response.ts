/** The service's response to every request. */
export const serviceBody = JSON.stringify({
  id: '01890a5d-ac96-774b-bcce-b302099a8057',
  status: 'open',
  title: 'The lift is broken',
});

/** Alternating names and values, without the date, as Node's server sends them with a JSON body. */
export const serviceHeaders: readonly string[] = [
  'Content-Type',
  'application/json',
  'Content-Length',
  String(serviceBody.length),
  'Connection',
  'keep-alive',
  'Keep-Alive',
  'timeout=60',
];
