import { type ReactNode, useId, useLayoutEffect, useRef } from 'react';
import { useTexts } from '../texts/texts.ts';
import { Form } from './form.tsx';
import { ErrorNotice } from './state.tsx';

type Props = Readonly<{ title: string; onClose: () => void; wide?: boolean; children: ReactNode }>;

/** A modal dialog. It is open as long as it is rendered. */
export function Dialog({ title, onClose, wide = false, children }: Props) {
  const texts = useTexts();
  const ref = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  // Closes the dialog before removing it, so that the focus returns to where it was.
  useLayoutEffect(() => {
    const dialog = ref.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={ref}
      aria-labelledby={titleId}
      className={wide ? 'card wide' : 'card'}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      <h2 id={titleId}>{title}</h2>
      {children}
      {/* Comes last, so that the first field gets the focus. */}
      <button type="button" className="icon close" aria-label={texts.close} onClick={onClose}>
        ✕
      </button>
    </dialog>
  );
}

type FormProps = Omit<Props, 'wide'> &
  Readonly<{
    action: string;
    /** The mutation that the form starts. */
    change: Readonly<{ isPending: boolean; error: unknown }>;
    isReady?: boolean;
    onSubmit: (form: HTMLFormElement) => void;
  }>;

/** A dialog that asks for fields. */
export function FormDialog({ title, action, change, isReady = true, onSubmit, onClose, children }: FormProps) {
  const texts = useTexts();
  return (
    <Dialog title={title} onClose={onClose}>
      <Form onSubmit={onSubmit}>
        {children}
        {change.error !== null && <ErrorNotice error={change.error} />}
        <p className="row">
          <button type="button" onClick={onClose}>
            {texts.cancel}
          </button>
          <button type="submit" className="primary" disabled={change.isPending || !isReady}>
            {action}
          </button>
        </p>
      </Form>
    </Dialog>
  );
}
