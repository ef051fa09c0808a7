import type { Status } from '../client.ts';
import { useTexts } from '../texts/texts.ts';

const stages = ['open', 'in_progress', 'resolved', 'closed'] as const;
const stageOf: Partial<Record<Status, (typeof stages)[number]>> = {
  open: 'open',
  assigned: 'open',
  reopened: 'open',
  in_progress: 'in_progress',
  resolved: 'resolved',
  closed: 'closed',
};

/** The stages of a complaint. A complaint that left them, such as a rejected one, has no stage. */
export function Progress({ status }: { status: Status }) {
  const texts = useTexts();
  const stage = stageOf[status];
  if (stage === undefined) return null;
  const at = stages.indexOf(stage);
  return (
    <ol className="progress">
      {stages.map((each, index) => (
        <li key={each} className={index < at ? 'done' : undefined} aria-current={index === at ? 'step' : undefined}>
          {texts.status[each]}
        </li>
      ))}
    </ol>
  );
}
