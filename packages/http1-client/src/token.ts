/** The characters of a token (RFC 9110 section 5.6.2), to be put between the brackets of a regular expression. */
export const tokenCharacters = "!#$%&'*+.^_`|~0-9A-Za-z-";

/** A token, such as a method or the name of a header. */
export const token = new RegExp(`^[${tokenCharacters}]+$`);
