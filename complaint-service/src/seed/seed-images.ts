import { Readable } from 'node:stream';
import sharp from 'sharp';
import { attachFile, type UploadParts } from '../flows/attachments/attach-file.ts';
import type { Random } from './random.ts';
import type { Story } from './story.ts';

const size = 320;

/** Attaches a generated picture to some of the complaints, as the people who filed them. */
export async function seedImages(
  parts: UploadParts,
  random: Random,
  { stories, images }: Readonly<{ stories: readonly Story[]; images: number }>,
): Promise<void> {
  const { signal } = new AbortController();
  for (let index = 0; index < images; index += 1) {
    const { row, filedBy } = random.pick(stories);
    const at = row.created_at;
    const body = Readable.from([await drawnPicture(random)]);
    const user = { kind: 'user', requestId: random.id(at), context: {}, tenantId: row.tenant_id, ...filedBy } as const;
    const then = { ...parts, now: () => at };
    const upload = { complaintId: row.id, name: `photo-${index + 1}.png`, body, signal };
    await attachFile(then, user, upload, (added) => added);
  }
}

/** A wall with a dark hole, in random colors. Drawn as pixels, because the service does not let sharp read SVG. */
function drawnPicture(random: Random): Promise<Buffer> {
  const part = () => Math.floor(random.next() * 256);
  const [x, y, radius] = [40 + part(), 40 + part(), 20 + Math.floor(random.next() * 60)];
  const wall = [part(), part(), part()];
  const pixels = Buffer.alloc(size * size * 3);
  for (let at = 0; at < size * size; at += 1) {
    const isHole = Math.hypot((at % size) - x, Math.floor(at / size) - y) < radius;
    pixels.set(isHole ? [20, 20, 20] : wall, at * 3);
  }
  return sharp(pixels, { raw: { width: size, height: size, channels: 3 } })
    .png()
    .toBuffer();
}
