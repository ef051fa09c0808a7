import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Beasties from 'beasties';

/** Until the scripts are loaded, what is out of sight has no layout, and buttons that do nothing are hidden. */
const unseen = `<style id="unseen">.vp-doc>div>:nth-child(n+8){content-visibility:auto}
@media(max-width:959px){.VPSidebar{content-visibility:hidden}}
.VPSwitchAppearance,#local-search{visibility:hidden}</style>`;

/** Runs in the page, after its first paint. */
async function loadRest(styles: readonly string[], scripts: readonly string[]): Promise<void> {
  for (const href of styles)
    document.head.append(Object.assign(document.createElement('link'), { rel: 'stylesheet', href }));
  for (const script of scripts) await import(script);
  document.querySelector('#unseen')?.remove();
}

/** Puts the styles that a page needs into it, and loads the theme's styles and scripts once it is painted. */
export async function paintFirst(folder: string, publicPath: string): Promise<void> {
  const options = { path: folder, publicPath, preload: false, pruneSource: false, logLevel: 'error' } as const;
  const inliner = new Beasties({ ...options, allowRules: [/^\.dark/, /^\.mac/] });
  for (const file of globSync('**/*.html', { cwd: folder }).map((name) => join(folder, name))) {
    const styles: string[] = [];
    const scripts: string[] = [];
    const html = readFileSync(file, 'utf8')
      .replaceAll('rel="preload stylesheet"', 'rel="stylesheet"')
      .replaceAll(/<link rel="modulepreload"[^>]*>/g, '');
    const lean = (await inliner.process(html)).replaceAll(
      /<link rel="stylesheet" href="([^"]+)"[^>]*>|<script type="module" src="([^"]+)"><\/script>/g,
      (_, style?: string, script?: string) => {
        if (style !== undefined) styles.push(style);
        if (script !== undefined) scripts.push(script);
        return '';
      },
    );
    const rest = `(${loadRest})(${JSON.stringify(styles)},${JSON.stringify(scripts)})`;
    const start = `<script>requestAnimationFrame(()=>setTimeout(()=>${rest}))</script>`;
    writeFileSync(file, lean.replace('</head>', `${unseen}</head>`).replace('</body>', `${start}</body>`));
  }
}
