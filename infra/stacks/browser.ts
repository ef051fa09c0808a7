import { existsSync } from 'node:fs';
import axe from 'axe-core';
import { type Browser, chromium, type Page } from 'playwright-core';

/** Debian's Chromium, or the browser that `CHROMIUM` names. */
const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';

/** @throws Error if Chromium is missing, because these suites must not pass without a browser. */
export async function openBrowser(): Promise<Browser> {
  if (!existsSync(executablePath)) {
    throw new Error(`${executablePath} is missing: install Debian's package chromium, or set CHROMIUM`);
  }
  return chromium.launch({ executablePath, args: ['--no-sandbox'] });
}

/**
 * Collects everything that must not happen on a page: errors, policy violations, dialogs, and requests to other hosts.
 */
export function watchPage(page: Page, origin: string): readonly string[] {
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('dialog', (dialog) => {
    complaints.push(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('request', (request) => {
    // A blob URL that the page created, such as a photo, belongs to its own origin.
    if (
      !request
        .url()
        .replace(/^blob:/, '')
        .startsWith(origin)
    )
      complaints.push(`a request to ${request.url()}`);
  });
  return complaints;
}

/** A phone, a tablet and a desktop. */
export const sizes = [
  { width: 360, height: 740 },
  { width: 768, height: 1024 },
  { width: 1440, height: 900 },
] as const;

/** A rule that axe reports as violated. */
type AccessibilityProblem = Readonly<{
  id: string;
  nodes: readonly Readonly<{ html: string; failureSummary?: string }>[];
}>;

/**
 * @returns The violations of WCAG 2.2 AA and best practices that axe finds. The page must be opened with `bypassCSP`.
 */
export async function accessibilityProblems(page: Page): Promise<readonly AccessibilityProblem[]> {
  await page.addScriptTag({ content: axe.source });
  const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
  const { violations } = (await page.evaluate(`axe.run(document, { runOnly: ${JSON.stringify(tags)} })`)) as {
    violations: readonly AccessibilityProblem[];
  };
  return violations.map(({ id, nodes }) => ({
    id,
    nodes: nodes.map(({ html, failureSummary = '' }) => ({ html, failureSummary })),
  }));
}

/** How much wider the page is than the screen, in pixels. */
export const overflow = (page: Page) =>
  page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');

/** Tabs through the page. @returns The controls that never got the focus, or whose focus was not visible. */
export async function unreached(page: Page): Promise<readonly string[]> {
  const list = `[...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]')]
    .filter((one) => one.checkVisibility() && !one.disabled && (one.type !== 'radio' || one.checked))`;
  const count = Number(await page.evaluate(`(window.controls = ${list}).length`));
  await page.evaluate(`window.seen = new Set(); document.body.focus()`);
  for (let press = 0; press < count + 2; press += 1) {
    await page.keyboard.press('Tab');
    await page.evaluate(`(() => {
      const one = document.activeElement;
      const { outlineStyle, outlineWidth } = getComputedStyle(one);
      if (outlineStyle !== 'none' && outlineWidth !== '0px') window.seen.add(one);
    })()`);
  }
  return (await page.evaluate(
    `window.controls.filter((one) => !window.seen.has(one)).map((one) => one.outerHTML.slice(0, 120))`,
  )) as readonly string[];
}
