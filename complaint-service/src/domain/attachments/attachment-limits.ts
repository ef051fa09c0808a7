/** Maximum number of attachments for a complaint and its comments. */
export const maxAttachments = 30;

/** Maximum upload size in bytes. The route in gateway.yaml has the same limit. */
export const maxFileBytes = 15 * 1024 * 1024;

/** The time window for the limit on each user's attached bytes. */
export const attachWindowMs = 24 * 3_600_000;

/**
 * Maximum number of pixels in an image. Decoding 50 million pixels takes 150 MB, and a file of a few kB can claim more.
 */
export const maxImagePixels = 50_000_000;
/** Maximum width and height of stored images. Larger images are scaled down. */
export const maxImageSide = 4096;
