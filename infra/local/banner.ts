import type { Settings } from './settings.ts';

type Demo = { password: string; tenants: { slug: string; members: { email: string }[] }[] };

/** The three lines of the banner, to be pasted into a POSIX shell with curl and sed. */
export function firstLines(
  gatewayUrl: string,
  email: string,
  password: string,
): [login: string, file: string, list: string] {
  const json = "-H 'content-type: application/json'";
  const bearer = '-H "authorization: Bearer $TOKEN"';
  const credentials = JSON.stringify({ email, password });
  const complaint = JSON.stringify({
    title: 'The lift is stuck',
    description: 'It stops between the second and the third floor.',
    category: 'facilities',
  });
  return [
    `TOKEN=$(curl -s ${gatewayUrl}/v1/auth/login ${json} -d '${credentials}' | sed -n 's/.*"access_token":"\\([^"]*\\)".*/\\1/p')`,
    `curl -s ${gatewayUrl}/v1/complaints ${bearer} ${json} -d '${complaint}'; echo`,
    `curl -s ${gatewayUrl}/v1/complaints ${bearer}; echo`,
  ];
}

export function banner(settings: Settings, demo: Demo | undefined): string {
  const url = `http://127.0.0.1:${settings.ports.GATEWAY_PORT}`;
  const lines = [`Countersign is ready: ${url}`, `In the browser: ${url}/app/`, ''];
  const first = demo?.tenants[0]?.members[0];
  if (demo !== undefined && first !== undefined) {
    lines.push(`Demo accounts, password "${demo.password}":`);
    for (const tenant of demo.tenants) {
      lines.push(`  ${tenant.slug.padEnd(8)} ${tenant.members.map((member) => member.email).join('  ')}`);
    }
    lines.push('', 'Paste these: log in, file a complaint, list complaints.', '');
    lines.push(...firstLines(url, first.email, demo.password), '');
  }
  lines.push(`All calls: ${url}/docs`, `Console for operators: http://127.0.0.1:${settings.ports.GATEWAY_ADMIN_PORT}/`);
  lines.push(`Data, keys and logs: ${settings.home}`, 'Ctrl-C stops everything.');
  return lines.join('\n');
}
