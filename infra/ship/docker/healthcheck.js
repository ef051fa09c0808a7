// The image's health check: exits with 0 if HEALTH_URL responds with 200 within two seconds.
const answer = await fetch(process.env.HEALTH_URL, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined);
process.exitCode = answer?.status === 200 ? 0 : 1;
