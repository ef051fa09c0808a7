// The buttons of the page at `/`. Tokens exist only in the memory of this page.

const password = document.getElementById('password').textContent;
const askEveryMs = 50;
const giveUpAfterMs = 5_000;

async function call(method, path, headers = {}, body = undefined) {
  const response = await fetch(path, { method, headers, body });
  const text = await response.text();
  return { status: response.status, body: text === '' ? {} : JSON.parse(text) };
}

/** @throws Error with the code, unless the response has this status. */
async function expectStatus(expected, calling) {
  const { status, body } = await calling;
  if (status !== expected) throw new Error(`Failed with ${status} ${body.code}: ${body.title}`);
  return body;
}

async function logIn() {
  const json = { 'content-type': 'application/json' };
  const email = document.querySelector('[name=account]:checked').value;
  const login = call('POST', '/v1/auth/login', json, JSON.stringify({ email, password }));
  return { authorization: `Bearer ${(await expectStatus(200, login)).access_token}` };
}

const echo = (headers) => call('GET', '/demo/echo', headers);

async function send() {
  const sent = { ...(await logIn()), 'x-user-id': 'the-boss' };
  const { headers } = await expectStatus(200, echo(sent));
  const bySignature = Object.groupBy(Object.entries(headers), ([name]) =>
    /^(x-(identity|user|tenant)|signature)/.test(name) ? 'signed' : 'others',
  );
  return [
    `The service answered 200. It received neither the token nor “the-boss”: the caller has the id ${headers['x-user-id']} and the role ${headers['x-user-role']}.`,
    ['What this page sent', Object.entries({ ...sent, authorization: `${sent.authorization.slice(0, 20)}…` })],
    ['What the service received from the gateway: who is calling, and the signature', bySignature.signed],
    ['The other headers that the service received', bySignature.others],
  ];
}

async function forge() {
  const { status, refusal } = await expectStatus(200, call('POST', '/demo/forgery'));
  return [
    `The service refused the request with ${status} ${refusal.code}: it has no signature of the gateway.`,
    ['What the service answered', Object.entries(refusal)],
  ];
}

async function end() {
  const token = await logIn();
  await expectStatus(200, echo(token));
  await expectStatus(204, call('POST', '/v1/auth/logout', token));
  const since = performance.now();
  let after = await echo(token);
  while (after.status === 200 && performance.now() - since < giveUpAfterMs) {
    await new Promise((resolve) => setTimeout(resolve, askEveryMs));
    after = await echo(token);
  }
  const ms = Math.round(performance.now() - since);
  return [
    `Before the log-out, the token got 200. ${ms} ms after it, the same token got ${after.status} ${after.body.code ?? ''}.`,
  ];
}

function element(name, content, properties = {}) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...[content].flat());
  return made;
}

function table([caption, rows]) {
  const body = rows.map(([name, value]) =>
    element('tr', [element('th', name, { scope: 'row', className: 'muted' }), element('td', String(value))]),
  );
  return element('table', [element('caption', caption, { className: 'muted' }), element('tbody', body)]);
}

for (const [id, work] of Object.entries({ send, forge, end })) {
  const [button, status, tables] = document.querySelectorAll(`#${id} :is(button, [role=status], div)`);
  button.addEventListener('click', async () => {
    if (button.ariaBusy === 'true') return;
    button.ariaBusy = 'true';
    status.textContent = 'Working …';
    const [text, ...shown] = await work().catch(({ message }) => [message]);
    status.textContent = text;
    tables.replaceChildren(...shown.map(table));
    button.ariaBusy = 'false';
  });
}
