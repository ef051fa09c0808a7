import type { Complaint } from '../client.ts';
import { useTexts } from '../texts/texts.ts';
import { Time } from '../ui/time.tsx';

/** Who filed the complaint, and when an answer is due. */
export function Facts({ complaint }: { complaint: Complaint }) {
  const { work, unnamed, priority } = useTexts();
  const { reporter, service_level: level } = complaint;
  return (
    <section className="card">
      <dl className="facts">
        <div>
          <dt>{reporter === null ? work.complainant : work.reporter}</dt>
          <dd>
            {reporter === null ? (complaint.complainant_name ?? unnamed) : reporter.name}
            {reporter?.email && <span className="muted">{reporter.email}</span>}
            {reporter?.phone && <span className="muted">{reporter.phone}</span>}
          </dd>
        </div>
        <div>
          <dt>{work.priority}</dt>
          <dd>{priority[complaint.priority]}</dd>
        </div>
        <Target
          name={work.firstAnswer}
          dueAt={level.first_answer_due_at}
          doneAt={level.first_answered_at}
          isMissed={level.first_answer_overdue}
        />
        <Target
          name={work.resolution}
          dueAt={level.resolution_due_at}
          doneAt={level.resolved_at}
          isMissed={level.resolution_overdue}
        />
      </dl>
    </section>
  );
}

type TargetProps = Readonly<{ name: string; dueAt: string | null; doneAt: string | null; isMissed: boolean }>;

function Target({ name, dueAt, doneAt, isMissed }: TargetProps) {
  const { queue, work } = useTexts();
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        {doneAt !== null && <Time of={doneAt} say={work.done} />}
        {doneAt === null && dueAt !== null && <Time of={dueAt} say={queue.due} />}
        {doneAt === null && dueAt === null && work.noTarget}
        {isMissed && <span className="error">{work.missed}</span>}
      </dd>
    </div>
  );
}
