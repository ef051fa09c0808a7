const longestSide = 1_600;
const jpegQuality = 0.85;

/** Returns the size of an image after limiting its longer side to `max` pixels. It is never enlarged. */
export function fitWithin(width: number, height: number, max: number): Readonly<{ width: number; height: number }> {
  const scale = Math.min(1, max / Math.max(width, height));
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

/**
 * Turns a photo into a smaller, upright JPEG, which uploads quickly over a mobile network. Removes metadata such as the
 * location.
 *
 * @throws DOMException if the browser cannot read the image.
 */
export async function shrinkPhoto(file: File): Promise<File> {
  const bitmap = await createImageBitmap(file);
  const canvas = document.createElement('canvas');
  Object.assign(canvas, fitWithin(bitmap.width, bitmap.height, longestSide));
  const context = canvas.getContext('2d');
  if (context === null) throw new DOMException('no canvas', 'NotSupportedError');
  // JPEG has no transparency. Without this, transparent areas would turn black.
  context.fillStyle = 'white';
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/jpeg', jpegQuality));
  if (blob === null) throw new DOMException('too large', 'EncodingError');
  return new File([blob], `${file.name.replace(/\.[^.]*$/, '')}.jpg`, { type: 'image/jpeg' });
}
