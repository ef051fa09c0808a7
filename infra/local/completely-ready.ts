/**
 * Whether a process is ready and nothing is missing. Ten seconds after its start, a gateway is also ready without the
 * keys and revocations of an issuer.
 */
export async function isCompletelyReady(readyUrl: string, signal: AbortSignal | null = null): Promise<boolean> {
  const answer = await fetch(readyUrl, { signal }).catch(() => undefined);
  const { checks = {} } = ((await answer?.json().catch(() => undefined)) ?? {}) as { checks?: Record<string, string> };
  return answer?.status === 200 && Object.values(checks).every((state) => state === 'ok');
}
