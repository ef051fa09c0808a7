/** How many WebSockets each user, or streamed bodies each address, has open here. A process counts its own: what another one holds costs it nothing. */
export type SocketCount = Readonly<{
  /** @returns Gives the place back, once. Undefined where there is none left. */
  take(key: string, max: number): (() => void) | undefined;
}>;

export function createSocketCount(): SocketCount {
  const open = new Map<string, number>();
  return {
    take(key, max) {
      const count = open.get(key) ?? 0;
      if (count >= max) return undefined;
      open.set(key, count + 1);
      let isHeld = true;
      return () => {
        if (!isHeld) return;
        isHeld = false;
        const left = (open.get(key) ?? 1) - 1;
        if (left === 0) open.delete(key);
        else open.set(key, left);
      };
    },
  };
}
