import type { components } from '@countersign/client';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import type { Complaint, Status } from '../client.ts';
import { historyQuery } from '../queries.ts';
import { useSession } from '../session.ts';
import { type Texts, useTexts } from '../texts/texts.ts';
import { Waiting } from '../ui/state.tsx';
import { Time } from '../ui/time.tsx';

type Entry = components['schemas']['HistoryEntry'];

/** All changes to a complaint. Loaded when opened. */
export function History({ complaint }: { complaint: Complaint }) {
  const texts = useTexts();
  const [isOpen, setOpen] = useState(false);
  return (
    <details className="card" id="history" onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary>
        <h2>{texts.complaint.history}</h2>
      </summary>
      {isOpen && <Entries complaint={complaint} />}
    </details>
  );
}

function Entries({ complaint }: { complaint: Complaint }) {
  const texts = useTexts();
  const { user } = useSession();
  const query = useQuery(historyQuery(complaint.id));
  if (query.data === undefined) return <Waiting query={query} />;
  return (
    <ol className="history">
      {query.data.map((entry) => (
        <li key={entry.id}>
          <b>{entry.actor_id === user.id ? texts.you : (entry.actor_name ?? texts.unnamed)}</b>{' '}
          {sentenceOf(texts, entry, complaint)} <Time of={entry.created_at} />
          {entry.reason !== undefined && <blockquote>{entry.reason}</blockquote>}
        </li>
      ))}
    </ol>
  );
}

function sentenceOf(texts: Texts, { action, fields = [], from, to }: Entry, complaint: Complaint): string {
  const { history, status } = texts;
  const statusText = (name: string | null | undefined) => status[name as Status] ?? name ?? '';
  switch (action) {
    case 'filed':
      return history.filed;
    case 'edited':
      return history.edited(fields.map((field) => history.fields[field] ?? field).join(', '));
    case 'assigned': {
      const name = to === complaint.assignee_id ? complaint.assignee_name : null;
      return typeof to === 'string' ? history.assigned(name ?? history.agent) : history.assignedTeam;
    }
    case 'unassigned':
      return history.unassigned;
    case 'moved':
      return history.moved(statusText(from), statusText(to));
    default:
      return action;
  }
}
