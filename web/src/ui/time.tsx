import { useTimes } from '../texts/times.ts';

/** A time in words, with the exact value as its tooltip. `say` puts it into a sentence. */
export function Time({ of, say = (when) => when }: { of: string; say?: (when: string) => string }) {
  const times = useTimes();
  return (
    <time dateTime={of} title={times.moment(of)}>
      {say(times.inWords(of))}
    </time>
  );
}
