import { codeOf, isFinal } from '../failure.ts';
import type { Draft } from './draft.ts';
import type { Photo } from './photo-store.ts';

/** The functions that sending needs. */
export type Sending = Readonly<{
  file: (draft: Draft) => Promise<string>;
  attach: (complaintId: string, photo: Photo) => Promise<unknown>;
  /** Saves the draft before and after each step that must not happen twice. */
  keep: (change: Partial<Draft>) => void;
  /** Called after a photo was accepted or refused. It is not sent again. */
  finish: (photo: Photo) => void;
}>;

type RefusedPhoto = Readonly<{ name: string; code: string }>;
export type Filed = Readonly<{ id: string; refused: readonly RefusedPhoto[] }>;

/**
 * Files a draft and attaches its photos. Can be called again after any failure, even after a reload: the complaint and
 * each photo keep an Idempotency-Key until the response.
 *
 * @throws Any error from `file` or `attach`, except a refused photo.
 */
export async function sendDraft(draft: Draft, photos: readonly Photo[], sending: Sending): Promise<Filed> {
  const id = draft.complaintId ?? (await fileOnce(draft, sending));
  const refused: RefusedPhoto[] = [];
  for (const photo of photos) {
    try {
      await sending.attach(id, photo);
    } catch (error) {
      if (!isFinal(error)) throw error;
      refused.push({ name: photo.file.name, code: codeOf(error) });
    }
    sending.finish(photo);
  }
  return { id, refused };
}

async function fileOnce(draft: Draft, { file, keep }: Sending): Promise<string> {
  keep({ sent: true });
  try {
    const complaintId = await file(draft);
    keep({ complaintId });
    return complaintId;
  } catch (error) {
    // If the service refused the complaint, the key is unused, and the text can change. After any other error, an
    // earlier request may have succeeded although its response was lost.
    if (isFinal(error)) keep({ sent: false });
    throw error;
  }
}
