/** Attachments of one complaint, those of its comments included. */
export const maxAttachments = 30;

/** Bytes of one file as it is uploaded. The route in gateway.yaml allows the same. */
export const maxFileBytes = 15 * 1024 * 1024;

/** The window of the limit on the bytes that one user attaches. */
export const attachWindowMs = 24 * 3_600_000;

/** Width times height of an image. 50 million are 150 MB when decoded; a file of a few kB can claim more. */
export const maxImagePixels = 50_000_000;
/** Stored images are scaled down to this width and height. */
export const maxImageSide = 4096;
