import { startProcess } from '@countersign/testing';

/** A service in another language that answers verified requests with the identity that it saw. */
export type ServiceProgram = Readonly<{
  port: number;
  url: string;
  /** How many requests its handlers saw. */
  handled(): Promise<number>;
  stop(): Promise<void>;
}>;

export type ServiceOptions = Readonly<{
  command: string;
  keysUrl: string;
  audience: string;
  /** A private JWK. */
  agreementKey?: object;
}>;

/** Starts the program. It prints its URL, and answers `/metrics` with the number of requests that it handled. */
export async function startServiceProgram(options: ServiceOptions): Promise<ServiceProgram> {
  const { command, keysUrl, audience, agreementKey } = options;
  const started = startProcess({
    command,
    args: [],
    env: {
      GATEWAY_KEYS_URL: keysUrl,
      AUDIENCE: audience,
      AGREEMENT_KEY: agreementKey && JSON.stringify(agreementKey),
    },
  });
  await started.waitFor(/listening on http:\S+\n/);
  const [, url = ''] = /listening on (\S+)/.exec(started.output()) ?? [];
  return {
    url,
    port: Number(new URL(url).port),
    handled: async () => ((await (await fetch(`${url}/metrics`)).json()) as { handled: number }).handled,
    stop: async () => void (await started.stop()),
  };
}
