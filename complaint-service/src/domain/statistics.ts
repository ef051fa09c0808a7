import type { Clocks } from './complaints/service-level.ts';
import { isActiveStatus, type Status } from './complaints/workflow.ts';

export type Counted = Readonly<{ category_id: string; status: Status; created_at: Date }>;

type StatusDelta = Readonly<{ category_id: string; status: Status; by: number }>;
type AgeDelta = Readonly<{ filed_on: string; by: number }>;
export type CountDeltas = Readonly<{ byStatus: readonly StatusDelta[]; byAge: readonly AgeDelta[] }>;

/**
 * Returns how a change to a complaint changes the counts. `before` is undefined for a new complaint, `after` for a
 * deleted one.
 */
export function countDeltas(before: Counted | undefined, after: Counted | undefined): CountDeltas {
  const sameStatus = before?.status === after?.status && before?.category_id === after?.category_id;
  const [wasActive, isActive] = [before, after].map((each) => each !== undefined && isActiveStatus(each));
  const filedOn = (after ?? before)?.created_at;
  return {
    byStatus: sameStatus ? [] : [...statusCount(before, -1), ...statusCount(after, 1)],
    byAge:
      filedOn === undefined || wasActive === isActive
        ? []
        : [{ filed_on: filedOn.toISOString().slice(0, 10), by: isActive ? 1 : -1 }],
  };
}

function statusCount(complaint: Counted | undefined, by: number): StatusDelta[] {
  return complaint === undefined ? [] : [{ category_id: complaint.category_id, status: complaint.status, by }];
}

/** Upper bounds of the time ranges in seconds: 1 hour, 4 hours, 1 day, 3 days, 7 days, 30 days. */
export const timeBoundsSec = [3_600, 14_400, 86_400, 259_200, 604_800, 2_592_000] as const;

export type Measured = Readonly<{
  measure: 'first_answer' | 'resolution';
  /** Returns the first day of the month (UTC) in which the clock stopped. */
  month: string;
  category_id: string;
  /** Returns how many upper bounds the time has reached. */
  bucket: number;
  seconds: number;
  /** Whether the target was met. Undefined if there was no target. */
  onTime: boolean | undefined;
}>;

type Timed = Clocks & Readonly<{ category_id: string }>;

/** Returns the response times that a change completes: to the first answer, and to the resolution. */
export function timesEnded(before: Timed, after: Timed): Measured[] {
  const measured: Measured[] = [];
  if (before.first_answered_at === null && after.first_answered_at !== null) {
    const ended = { from: after.created_at, to: after.first_answered_at, due: after.first_answer_due_at };
    measured.push(measure('first_answer', after.category_id, ended));
  }
  if (after.resolved_at !== null && after.resolved_at.getTime() !== before.resolved_at?.getTime()) {
    const ended = { from: after.clock_started_at, to: after.resolved_at, due: after.resolution_due_at };
    measured.push(measure('resolution', after.category_id, ended));
  }
  return measured;
}

function measure(
  kind: Measured['measure'],
  category_id: string,
  { from, to, due }: Readonly<{ from: Date; to: Date; due: Date | null }>,
): Measured {
  // Another instance's clock may be behind, which could make a time negative.
  const seconds = Math.max(0, Math.round((to.getTime() - from.getTime()) / 1_000));
  return {
    measure: kind,
    month: `${to.toISOString().slice(0, 7)}-01`,
    category_id,
    bucket: timeBoundsSec.filter((bound) => seconds >= bound).length,
    seconds,
    onTime: due === null ? undefined : to <= due,
  };
}

/** Age ranges for active complaints: the days at which each range starts. */
const ageBoundsDays = [1, 3, 7, 30, 90] as const;

type AgeClass = Readonly<{ from_days: number; to_days: number | null; complaints: number }>;

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
