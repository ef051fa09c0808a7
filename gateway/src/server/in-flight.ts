/** The requests that one configuration still serves. */
export type InFlight = Readonly<{
  begin(request: object): void;
  /** It is over, or has become a connection that no longer needs the configuration. Said twice, it counts once. */
  end(request: object): void;
  /** Calls once, as soon as there are none. After that nobody may begin. */
  whenIdle(call: () => void): void;
}>;

export function createInFlight(): InFlight {
  const requests = new Set<object>();
  let idle: (() => void) | undefined;
  return {
    begin(request) {
      requests.add(request);
    },
    end(request) {
      if (requests.delete(request) && requests.size === 0) idle?.();
    },
    whenIdle(call) {
      if (requests.size === 0) call();
      else idle = call;
    },
  };
}
