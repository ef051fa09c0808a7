/** Maximum number of attachments of a complaint, including those of its comments. */
export const maxAttachments = 30;

/** Maximum size of an uploaded file, in bytes. The route in gateway.yaml has the same limit. */
export const maxFileBytes = 15 * 1024 * 1024;

/** The time window for the limit on the bytes that one user attaches. */
export const attachWindowMs = 24 * 3_600_000;

/**
 * Maximum width times height of an image. 50 million pixels are 150 MB when decoded; a file of a few kB can claim more.
 */
export const maxImagePixels = 50_000_000;
/** Stored images are scaled down to this width and height. */
export const maxImageSide = 4096;
