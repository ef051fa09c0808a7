import type { Ref } from 'react';
import { CommentForm, CommentList } from '../complaints/comments.tsx';
import { useTexts } from '../texts/texts.ts';

type Props = Readonly<{
  complaintId: string;
  isNote: boolean;
  onNote: (isNote: boolean) => void;
  fieldRef: Ref<HTMLTextAreaElement>;
}>;

/** Answers and internal notes in one list, so that they are read in their order. */
export function Conversation({ complaintId, isNote, onNote, fieldRef }: Props) {
  const { complaint, work } = useTexts();
  return (
    <section className={isNote ? 'card writes-note' : 'card'} aria-labelledby="comments">
      <h2 id="comments">{complaint.comments}</h2>
      <CommentList complaintId={complaintId} />
      <fieldset className="switch">
        <legend className="sr-only">{work.tabs}</legend>
        {[false, true].map((asNote) => (
          <label key={String(asNote)}>
            <input type="radio" name="remark" checked={isNote === asNote} onChange={() => onNote(asNote)} />
            {asNote ? complaint.note : work.answer}
          </label>
        ))}
      </fieldset>
      <CommentForm
        complaintId={complaintId}
        internal={isNote}
        label={isNote ? complaint.note : work.answer}
        hint={isNote ? complaint.noteHint : work.answerHint}
        action={isNote ? complaint.addNote : complaint.addComment}
        fieldRef={fieldRef}
      />
    </section>
  );
}
