/** The stores that a suite runs on: this process's memory always, Redis where `REDIS_URL` names one. */
export function redisServers(
  url = process.env.REDIS_URL,
): [kind: string, server: Readonly<{ kind: 'memory' | 'redis'; url: string | undefined }>][] {
  const found: ReturnType<typeof redisServers> = [['memory', { kind: 'memory', url: undefined }]];
  if (url !== undefined && url !== '') found.push(['redis', { kind: 'redis', url }]);
  return found;
}
