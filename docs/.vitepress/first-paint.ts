import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Beasties from 'beasties';

/**
 * Until the first paint, what is out of sight has no layout. Until the theme's styles are loaded, an empty space takes
 * the place of the bars. The search is hidden until the scripts are loaded. Without scripts, all the rest is shown.
 */
const waiting = `<style id="before-paint" media="(scripting)">
.vp-doc>div>:nth-child(n+5),.header-anchor{display:none}
.VPDocFooter{visibility:hidden}
</style><style id="before-styles" media="(scripting)">
#bars{display:none}
@media(max-width:959px){#app>.Layout{padding-top:112px}}
</style><style id="before-scripts">
#local-search{visibility:hidden}
</style>`;

/** Runs in the page, after its first paint. */
async function loadRest(styles: readonly string[], scripts: readonly string[]): Promise<void> {
  document.querySelector('#before-paint')?.remove();
  const loaded = styles.map(
    (href) =>
      new Promise((resolve) => {
        const link = Object.assign(document.createElement('link'), { rel: 'stylesheet', href });
        link.onload = link.onerror = resolve;
        document.head.append(link);
      }),
  );
  await Promise.all(loaded);
  const bars = document.querySelector('#bars');
  document.querySelector('.VPContent')?.before(...(bars?.childNodes ?? []));
  bars?.remove();
  document.querySelector('#before-styles')?.remove();
  for (const script of scripts) await import(script);
  document.querySelector('#before-scripts')?.remove();
}

/** Puts the styles of a page's text into the page, and the bars behind the text. The rest is loaded once it is painted. */
export async function paintFirst(folder: string, publicPath: string): Promise<void> {
  const options = { path: folder, publicPath, preload: false, pruneSource: false, logLevel: 'error' } as const;
  const inliner = new Beasties({ ...options, allowRules: [/^\.dark/, />code/] });
  for (const file of globSync('**/*.html', { cwd: folder }).map((name) => join(folder, name))) {
    const styles: string[] = [];
    const scripts: string[] = [];
    let bars = '';
    const html = readFileSync(file, 'utf8')
      .replaceAll('rel="preload stylesheet"', 'rel="stylesheet"')
      .replaceAll(/<link rel="modulepreload"[^>]*>|<script id="check-mac-os">.*?<\/script>/g, '')
      .replace(/<header class="VPNav"[\s\S]*?(?=<div class="VPContent)/, (found) => {
        bars = found;
        return '';
      });
    const lean = (await inliner.process(html)).replaceAll(
      /<link rel="stylesheet" href="([^"]+)"[^>]*>|<script type="module" src="([^"]+)"><\/script>/g,
      (link, style?: string, script?: string) => {
        if (style !== undefined) styles.push(style);
        if (script !== undefined) scripts.push(script);
        return style === undefined ? '' : `<noscript>${link}</noscript>`;
      },
    );
    const rest = `(${loadRest})(${JSON.stringify(styles)},${JSON.stringify(scripts)})`;
    const end = `<div id="bars">${bars}</div><script>requestAnimationFrame(()=>setTimeout(()=>${rest}))</script>`;
    writeFileSync(
      file,
      lean.replace('</head>', `${waiting}</head>`).replace('</body>', () => `${end}</body>`),
    );
  }
}
