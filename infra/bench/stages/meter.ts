/** CPU microseconds of this process so far, including all threads. Other work on the machine does not affect it. */
export function cpuMicros(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** Adds up the CPU time of each part. */
export class Meter {
  readonly #totals = new Map<string, Readonly<{ micros: number; requests: number }>>();

  add(part: string, micros: number, requests: number): void {
    const before = this.#totals.get(part) ?? { micros: 0, requests: 0 };
    this.#totals.set(part, { micros: before.micros + micros, requests: before.requests + requests });
  }

  /** Passes every input through one stage, and waits only where the stage returns a promise. */
  async each<Input, Output>(
    part: string,
    inputs: readonly Input[],
    stage: (input: Input) => Output | Promise<Output>,
  ): Promise<Output[]> {
    const outputs: Output[] = [];
    const before = cpuMicros();
    for (const input of inputs) {
      const output = stage(input);
      outputs.push(output instanceof Promise ? await output : output);
    }
    this.add(part, cpuMicros() - before, inputs.length);
    return outputs;
  }

  /** @returns Microseconds per request, by part. */
  perRequest(): Map<string, number> {
    return new Map([...this.#totals].map(([part, { micros, requests }]) => [part, micros / requests]));
  }
}
