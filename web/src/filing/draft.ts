export type Draft = Readonly<{
  /** The complaint's Idempotency-Key. The complaint is filed only once, however often it is sent. */
  key: string;
  category: string;
  title: string;
  description: string;
  address: string;
  point?: Readonly<{ latitude: number; longitude: number }> | undefined;
  /**
   * The complaint was sent, but the response may be lost. Until a response arrives, the text must not change, because
   * the key belongs to it.
   */
  sent: boolean;
  /** The complaint is filed, but photos are still missing. */
  complaintId?: string;
}>;

export const emptyDraft = (key: string): Draft => ({
  key,
  category: '',
  title: '',
  description: '',
  address: '',
  sent: false,
});

type Storage = Pick<globalThis.Storage, 'getItem' | 'setItem' | 'removeItem'>;

const nameOf = (userId: string): string => `countersign.draft.${userId}`;

/** Drafts in this browser tab, by user: another user who logs in does not see them. */
export function draftsIn(storage: Storage, newKey: () => string) {
  return {
    read(userId: string): Draft {
      const text = storage.getItem(nameOf(userId));
      return text === null ? emptyDraft(newKey()) : (JSON.parse(text) as Draft);
    },
    write: (userId: string, draft: Draft): void => storage.setItem(nameOf(userId), JSON.stringify(draft)),
    remove: (userId: string): void => storage.removeItem(nameOf(userId)),
  };
}

export function bodyOf({ title, description, category, address, point }: Draft) {
  const place = { ...point, ...(address.trim() !== '' && { address: address.trim() }) };
  const location = place as { address: string };
  return { title: title.trim(), description, category, ...(Object.keys(place).length > 0 && { location }) };
}

export const steps = ['category', 'text', 'place'] as const;
export type Step = (typeof steps)[number];

export const readStep = ({ step }: Record<string, unknown>): { step: Step } => ({
  step: steps.find((each) => each === step) ?? 'category',
});

/**
 * Returns the step to show. Never skips an incomplete step. While the draft waits for a response, this is the last
 * step.
 */
export function stepFor(draft: Draft, wanted: Step): Step {
  if (draft.sent) return 'place';
  if (draft.category === '') return 'category';
  const hasText = draft.title.trim() !== '' && draft.description.trim() !== '';
  return wanted === 'place' && !hasText ? 'text' : wanted;
}
