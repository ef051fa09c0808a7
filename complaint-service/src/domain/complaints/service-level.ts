import type { Status } from './workflow.ts';

/** A category's targets in minutes of wall-clock time, or null. */
type ServiceLevelTargets = Readonly<{ first_answer_minutes: number | null; resolution_minutes: number | null }>;

export type Clocks = Readonly<{
  created_at: Date;
  /** When the resolution clock started: when the complaint was filed or last reopened. */
  clock_started_at: Date;
  first_answer_due_at: Date | null;
  first_answered_at: Date | null;
  resolution_due_at: Date | null;
  resolved_at: Date | null;
}>;

type DueTimes = Pick<Clocks, 'first_answer_due_at' | 'resolution_due_at'>;

/**
 * Returns when the targets are due. Clocks never pause, because no status means that the complaint waits for the
 * complainant. Even after a reopening, the time to the first answer starts when the complaint was filed.
 */
export function dueTimes(
  targets: ServiceLevelTargets,
  from: Pick<Clocks, 'created_at' | 'clock_started_at'>,
): DueTimes {
  return {
    first_answer_due_at: after(from.created_at, targets.first_answer_minutes),
    resolution_due_at: after(from.clock_started_at, targets.resolution_minutes),
  };
}

function after(start: Date, minutes: number | null): Date | null {
  return minutes === null ? null : new Date(start.getTime() + minutes * 60_000);
}

export function clocksAfterMove(
  complaint: Clocks,
  to: Status,
  at: Date,
  targets: ServiceLevelTargets,
): Partial<Clocks> {
  switch (to) {
    case 'resolved':
      return { resolved_at: at, ...answeredBy(complaint, at) };
    case 'rejected':
    case 'duplicate':
      // The reason for the decision counts as an answer.
      return answeredBy(complaint, at);
    case 'reopened':
      return {
        resolved_at: null,
        clock_started_at: at,
        resolution_due_at: after(at, targets.resolution_minutes),
      };
    default:
      return {};
  }
}

/** Returns how an answer changes the clocks. Only the first answer counts. */
export function answeredBy(complaint: Clocks, at: Date): Partial<Clocks> {
  return complaint.first_answered_at === null ? { first_answered_at: at } : {};
}

/** Returns which targets were missed, because the answer was late or is overdue. */
export function overdueMarks(complaint: Clocks & Readonly<{ active: boolean }>, now: Date) {
  const missed = (due: Date | null, done: Date | null) => {
    if (due === null) return false;
    // A complaint that ended without an answer has no running clock.
    const until = done ?? (complaint.active ? now : undefined);
    return until !== undefined && until > due;
  };
  return {
    first_answer_overdue: missed(complaint.first_answer_due_at, complaint.first_answered_at),
    resolution_overdue: missed(complaint.resolution_due_at, complaint.resolved_at),
  };
}
