import sharp from 'sharp';
import { maxImagePixels, maxImageSide } from '../domain/attachments/attachment-limits.ts';
import type { FileType } from '../domain/attachments/file-types.ts';
import { AppError } from '../errors.ts';

// Only these decoders can run. Otherwise the content could make libvips choose SVG, PDF, TIFF or others.
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({ operation: ['VipsForeignLoadJpegFile', 'VipsForeignLoadPngFile', 'VipsForeignLoadWebpFile'] });
sharp.cache(false);
sharp.concurrency(1);

const timeoutSec = 15;
const quality = 85;

/** A stored image. */
export type EncodedImage = Readonly<{ bytes: number; width: number; height: number }>;

/**
 * Decodes an image and encodes it as the same type: upright, at most {@link maxImageSide} pixels on each side, in sRGB,
 * one frame, without metadata such as the location. Hidden bytes in the original are lost.
 *
 * @throws AppError `unreadable_image` if the image is damaged, too large, or takes too long.
 */
export async function encodeAgain(from: string, to: string, { mediaType }: FileType): Promise<EncodedImage> {
  const image = sharp(from, { limitInputPixels: maxImagePixels, failOn: 'error', sequentialRead: true })
    .timeout({ seconds: timeoutSec })
    .autoOrient()
    .resize({ width: maxImageSide, height: maxImageSide, fit: 'inside', withoutEnlargement: true });
  const encoded = { 'image/png': () => image.png(), 'image/webp': () => image.webp({ quality }) }[mediaType as string];
  try {
    const { size, width, height } = await (encoded?.() ?? image.jpeg({ quality })).toFile(to);
    return { bytes: size, width, height };
  } catch (cause) {
    throw new AppError('unreadable_image', { cause });
  }
}
