import type { Settings } from './settings.ts';

type Demo = { password: string; tenants: { slug: string; members: { email: string; can_log_in?: boolean }[] }[] };

/** The output of `npm start` when everything is ready. The last line shows the address to open. */
export function banner({ ports, home }: Settings, demo: Demo | undefined): string {
  const url = `http://127.0.0.1:${ports.GATEWAY_PORT}`;
  const lines: string[] = [];
  if (demo !== undefined) {
    lines.push(`Demo accounts, password "${demo.password}":`);
    for (const { slug, members } of demo.tenants) {
      const emails = members.filter(({ can_log_in: canLogIn }) => canLogIn !== false).map(({ email }) => email);
      lines.push(`  ${slug.padEnd(8)} ${emails.join('  ')}`);
    }
    lines.push('');
  }
  lines.push(`Console for operators: http://127.0.0.1:${ports.GATEWAY_ADMIN_PORT}/`, `All calls: ${url}/docs`);
  lines.push(`Data, keys and logs: ${home}`, 'Ctrl-C stops everything.', '', `Countersign is ready. Open ${url}/`);
  return lines.join('\n');
}
