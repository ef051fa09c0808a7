import type { Ref } from 'react';
import { CommentForm, Comments } from '../complaints/comments.tsx';
import { useTexts } from '../texts/texts.ts';

type Props = Readonly<{
  complaintId: string;
  isNote: boolean;
  onNote: (isNote: boolean) => void;
  /** The field in the current form. */
  fieldRef: Ref<HTMLTextAreaElement>;
}>;

/** Answers and internal notes in one list, in the order in which they were written. */
export function Conversation({ complaintId, isNote, onNote, fieldRef }: Props) {
  const { work, shortcuts } = useTexts();
  const forms = [
    { internal: false, label: work.answer, action: work.sendAnswer, sent: work.answerSent },
    { internal: true, label: shortcuts.note, hint: work.noteHint, action: work.saveNote, sent: work.noteSaved },
  ];
  return (
    <Comments complaintId={complaintId}>
      <fieldset className="switch">
        <legend className="sr-only">{work.tabs}</legend>
        {forms.map(({ internal }) => (
          <label key={String(internal)}>
            <input type="radio" name="remark" checked={isNote === internal} onChange={() => onNote(internal)} />
            {internal ? shortcuts.note : shortcuts.answer}
          </label>
        ))}
      </fieldset>
      {/* Each form keeps its own text, so that no key turns a note into an answer. */}
      {forms.map((form) => (
        <div
          key={String(form.internal)}
          className={form.internal ? 'writes-note' : undefined}
          hidden={isNote !== form.internal}
        >
          <CommentForm complaintId={complaintId} {...form} {...(isNote === form.internal && { fieldRef })} />
        </div>
      ))}
    </Comments>
  );
}
