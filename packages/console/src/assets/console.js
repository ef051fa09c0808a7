// Live updates. Every page works without them. This script fetches the same page again and replaces its content.

const everyMs = 5_000;
const button = document.getElementById('live');
const main = document.getElementById('main');
let timer;

/** Whether the reader is doing something that an update would interrupt. */
function isInUse() {
  const active = document.activeElement;
  const isTyping = active?.matches('input, textarea, select') === true;
  const selection = document.getSelection();
  return document.hidden || isTyping || selection?.isCollapsed === false;
}

/** Finds an element again by its id, its link, or its position among the focusable elements. */
function placeOf(element) {
  if (!(element instanceof HTMLElement) || !main.contains(element)) return () => null;
  const href = element.getAttribute('href');
  const index = focusable().indexOf(element);
  return () => {
    const all = focusable();
    return (href && all.find((one) => one.getAttribute('href') === href)) ?? all[index] ?? null;
  };
}

const focusable = () => [...main.querySelectorAll('a, button, summary, [tabindex="0"]')];

async function refresh() {
  if (isInUse()) return;
  try {
    const response = await fetch(location.href, { headers: { accept: 'text/html' }, cache: 'no-store' });
    if (response.status === 429) {
      button.textContent = 'Busy';
      return;
    }
    if (!response.ok) throw new Error(String(response.status));
    const fresh = new DOMParser().parseFromString(await response.text(), 'text/html');
    if (isInUse()) return;
    const again = placeOf(document.activeElement);
    const open = [...main.querySelectorAll('details')].map((one) => one.open);
    exchange('main', fresh);
    exchange('status', fresh);
    for (const [at, one] of main.querySelectorAll('details').entries()) one.open = open[at] ?? false;
    again()?.focus({ preventScroll: true });
    button.textContent = 'Live';
  } catch {
    button.textContent = 'No answer';
  }
}

function exchange(id, fresh) {
  const [old, next] = [document.getElementById(id), fresh.getElementById(id)];
  if (old !== null && next !== null) old.replaceChildren(...next.childNodes);
}

function set(isLive) {
  clearInterval(timer);
  button.setAttribute('aria-pressed', String(isLive));
  button.textContent = isLive ? 'Live' : 'Paused';
  if (isLive) timer = setInterval(refresh, everyMs);
}

if (main.hasAttribute('data-live')) {
  button.hidden = false;
  button.addEventListener('click', () => {
    const isLive = button.getAttribute('aria-pressed') !== 'true';
    set(isLive);
    if (isLive) refresh();
  });
  document.addEventListener('visibilitychange', refresh);
  set(true);
}

// Without JavaScript, a button submits the form.
for (const select of document.querySelectorAll('.workers select')) {
  select.form.querySelector('button').hidden = true;
  select.addEventListener('change', () => select.form.requestSubmit());
}
