/** Age ranges for active complaints: the days at which each range starts. */
export const ageBoundsDays = [1, 3, 7, 30, 90] as const;

export type AgeClass = Readonly<{ from_days: number; to_days: number | null; complaints: number }>;

const dayMs = 86_400_000;

/** Counts active complaints by age, from the number filed on each day (UTC). */
export function ageClasses(
  filed: readonly Readonly<{ filed_on: string; complaints: number }>[],
  now: Date,
): AgeClass[] {
  const starts = [0, ...ageBoundsDays];
  const today = Math.floor(now.getTime() / dayMs);
  const ageOf = (day: string) => today - Math.floor(Date.parse(`${day}T00:00:00Z`) / dayMs);
  return starts.map((from, index) => {
    const to = starts[index + 1] ?? null;
    const within = filed.filter(({ filed_on }) => {
      const age = ageOf(filed_on);
      return (age >= from || index === 0) && (to === null || age < to);
    });
    return { from_days: from, to_days: to, complaints: within.reduce((sum, { complaints }) => sum + complaints, 0) };
  });
}
